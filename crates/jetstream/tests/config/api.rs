//! `[api]`: who may ask, and what is wrong with it.

use std::path::Path;

use jetstream::Role;
use jetstream::config::Config;

const MODELS: &str =
    "[models.A]\n[scopes.Canvas]\nroot = 'A'\n[scopes.'boards/{id}']\nroot = 'A'\n";

/// What `printf %s sixteen-letters! | sha256sum` prints.
const DIGEST: &str = "d3e36fb15d3e8ae0a8ed4ed1dfb8d4e5ad5d23a5b7d8dfd7ea26b1d3bde3eb1a";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("good.token"), "sixteen-letters!\n").unwrap();
    std::fs::write(folder.path().join("short.token"), "short\n").unwrap();
    folder
}

fn load(folder: &Path, api: &str) -> Result<Config, String> {
    let text = format!("{MODELS}[api]\n{api}");
    Config::parse("jetstream.toml", &text, folder, &[]).map_err(|error| error.to_string())
}

#[test]
fn a_program_is_known_by_a_file_or_by_a_digest() {
    let folder = folder();
    let text = format!(
        "listen = '0.0.0.0:9091'\nbody_bytes_max = '1MiB'\nstreams_max = 5\n\
         [api.tokens.billing]\nfile = 'good.token'\nroles = ['read', 'write']\n\
         scopes = ['Canvas', 'boards/{{id}}', 'boards/1']\n\
         [api.tokens.operator]\nsha256 = '{DIGEST}'\nroles = ['admin']\n"
    );
    let config = load(folder.path(), &text).unwrap_or_else(|error| panic!("{error}"));
    assert!(!format!("{config:?}").contains("sixteen"), "no token is shown");
    let api = config.api.unwrap();
    assert_eq!((api.listen.as_str(), api.unprotected), ("0.0.0.0:9091", false));
    assert_eq!((api.limits.body_bytes_max, api.limits.streams_max), (1 << 20, 5));
    assert_eq!(api.limits.connections_max, 1_000);
    let [billing, operator] = &api.tokens[..] else { panic!("{:?}", api.tokens) };
    assert_eq!((billing.name(), billing.roles()), ("billing", &[Role::Read, Role::Write][..]));
    assert!(billing.secret().is("sixteen-letters!"));
    assert!(!operator.secret().is("sixteen-letters!"));
}

#[test]
fn on_this_machine_it_may_be_open_if_somebody_says_so() {
    let folder = folder();
    for listen in ["127.0.0.1:0", "[::1]:9091", "localhost:9091"] {
        let text = format!("listen = '{listen}'\nunprotected = true");
        assert!(load(folder.path(), &text).unwrap().api.unwrap().unprotected, "{listen}");
    }
}

#[test]
fn mistakes_of_the_interface_for_programs() {
    let folder = folder();
    let listen = "listen = '127.0.0.1:0'\n";
    let token = |keys: &str| format!("{listen}[api.tokens.a]\n{keys}");
    let good = "file = 'good.token'\nroles = ['read']\n";
    let twice = format!("{listen}[api.tokens.a]\n{good}[api.tokens.b]\n{good}");
    for (text, expected) in [
        (listen.to_owned(), "nobody may ask: [api] needs a token"),
        (format!("{listen}unprotected = false"), "nobody may ask: [api] needs a token"),
        ("unprotected = true".to_owned(), "[api] needs the key \"listen\""),
        (
            "listen = '0.0.0.0:1'\nunprotected = true".to_owned(),
            "without tokens it has to be an address that only this machine reaches",
        ),
        (
            format!("{listen}unprotected = true\n[api.tokens.a]\n{good}"),
            "a token means nothing with unprotected = true",
        ),
        (format!("{listen}streams = 1"), "no key \"streams\" in [api]"),
        (format!("{listen}streams_max = 0"), "expected an integer from 1 on"),
        (token("roles = ['read']"), "a token is known by \"sha256\" or by \"file\""),
        (
            token(&format!("{good}sha256 = '{DIGEST}'")),
            "a token is known by \"sha256\" or by \"file\"",
        ),
        (token("sha256 = 'abc'\nroles = ['read']"), "expected 64 hexadecimal digits"),
        (token("file = 'good.token'"), "a token needs the key \"roles\""),
        (token("file = 'good.token'\nroles = []"), "a token without a role may nothing"),
        (token("file = 'good.token'\nroles = ['reed']"), "no role \"reed\""),
        (token("file = 'no.token'\nroles = ['read']"), "cannot read \"no.token\""),
        (
            token("file = 'short.token'\nroles = ['read']"),
            "a token has at least 16 characters, and no spaces",
        ),
        (token(&format!("{good}scopes = ['Canvsa']")), "no scope \"Canvsa\""),
        (token(&format!("{good}scopes = ['boards/{{']")), "unpaired brace"),
        (
            token("file = 'good.token'\nroles = ['admin']\nscopes = ['Canvas']"),
            "the role \"admin\" is about the whole server",
        ),
        (twice, "it is the same token as \"a\""),
        (format!("{listen}[api.tokens.'a b']\n{good}"), "it is no name for a token"),
    ] {
        let mistakes = load(folder.path(), &text).expect_err(&text);
        assert!(mistakes.contains(expected), "{text}\n{mistakes}");
        assert!(!mistakes.contains("sixteen-letters"), "{mistakes}");
    }
}
