//! `[authentication]`: what can be said, and what is said about mistakes.

use jetstream::config::Config;

use super::load;
use crate::mistakes::check;

const KEYS: &str = r#"{"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}]}"#;

/// What follows `[authentication]` is taken, in a folder with a file of keys and one of a secret.
fn is_taken(text: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("jwks.json"), KEYS).unwrap();
    std::fs::write(folder.path().join("secret"), "s3cret\n").unwrap();
    let text = format!("[authentication]\n{text}");
    if let Err(mistakes) = Config::parse("jetstream.toml", &text, folder.path(), &[]) {
        panic!("{text}\n{mistakes}");
    }
}

#[test]
fn every_way_to_say_who_it_is_can_be_configured() {
    is_taken("jwt = { keys = 'jwks.json' }");
    is_taken(
        "jwt = { keys = 'jwks.json', audience = 'a', issuer = 'i', skew_seconds = 0, anonymous = true }",
    );
    is_taken("jwt = { keys = 'https://id.example.com/jwks', refresh = '1h' }");
    is_taken("jwt = { keys = 'jwks.json' }\nresume_with_credential = true");
    is_taken("http = { url = 'http://127.0.0.1:9/check' }");
    is_taken(
        "http = { url = 'https://id.example.com', timeout = '1s', retries = 2, retry_pause = '1ms', \
         calls_max = 9, failures_max = 3, pause = '1min', bearer_file = 'secret', anonymous = true }",
    );
}

#[test]
fn without_authentication_everybody_is_nobody() {
    assert!(load("").unwrap().authentication.is_none());
}

#[test]
fn mistakes_of_authentication() {
    check(
        "[authentication]\n",
        "",
        &[
            ("", &["1:1 [authentication] needs the key \"jwt\" or the key \"http\""]),
            (
                "jwt = { keys = 'https://a.b/c' }\nhttp = { url = 'https://a.b' }",
                &["3:1 a service means nothing beside \"jwt\" = take out the one or the other"],
            ),
            (
                "jtw = {}",
                &[
                    "1:1 [authentication] needs the key \"jwt\" or the key \"http\"",
                    "2:1 no key \"jtw\" in [authentication] = did you mean \"jwt\"? (allowed: jwt, http and resume_with_credential)",
                ],
            ),
            ("jwt = {}", &["2:7 tokens needs the key \"keys\""]),
            (
                "jwt = { keys = 'ftp://a.b/c' }",
                &["2:16 \"ftp://a.b/c\" is no address of a web service"],
            ),
            (
                "jwt = { keys = 'nowhere.json' }",
                &["2:16 cannot read \"nowhere.json\": No such file or directory (os error 2)"],
            ),
            (
                "jwt = { keys = 'https://a.b/c', refresh = 'soon' }",
                &[
                    "2:43 expected a duration from 1 on: a number of milliseconds, or a text with ms, s, min, h or d, found the string \"soon\"",
                ],
            ),
            (
                "jwt = { keys = 'https://a.b/c', skew_seconds = -1 }",
                &["2:48 expected a number of seconds up to 86400, found the integer -1"],
            ),
            ("http = {}", &["2:8 a service that knows who clients are needs the key \"url\""]),
            (
                "http = { url = 'a.b/c' }",
                &[
                    "2:16 \"a.b/c\" is no address of a web service = for example \"https://accounts.example.com/check\"",
                ],
            ),
            (
                "http = { url = 'https://a.b/c', body = {} }",
                &[
                    "2:33 no key \"body\" in a service that knows who clients are = keys: url, timeout, retry_pause, pause, retries, calls_max, failures_max, bearer_file and anonymous",
                ],
            ),
            (
                "http = { url = 'https://a.b/c' }\nresume_with_credential = 'yes'",
                &["3:26 expected true or false, found the string \"yes\""],
            ),
        ],
    );
}
