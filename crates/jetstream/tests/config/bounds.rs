//! Rates, and who may say where clients come from.

use jetstream::config::Config;
use jetstream::core::limits::Limits;

use super::load;

fn load_well(text: &str) -> Config {
    load(text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

fn mistake(text: &str) -> String {
    load(text).expect_err(text).to_string()
}

#[test]
fn a_rate_is_a_number_or_none() {
    let text = "[limits]\nsession_messages_per_second_max = 50\n\
                session_bytes_per_second_max = '64KiB'\n\
                principal_messages_per_second_max = 'none'\n\
                principal_bytes_per_second_max = 'none'\nrate_burst_ms = '3s'";
    let limits = load_well(text).limits;
    assert_eq!(limits.session_messages_per_second_max, 50);
    assert_eq!(limits.session_bytes_per_second_max, 64 << 10);
    assert_eq!(limits.principal_messages_per_second_max, Limits::NONE);
    assert_eq!(limits.principal_bytes_per_second_max, Limits::NONE);
    assert_eq!(limits.rate_burst_ms, 3_000);
    for (text, expected) in [
        ("session_messages_per_second_max = 0", "a number in a second from 1 on, or \"none\""),
        ("session_messages_per_second_max = 'fast'", "found the string \"fast\""),
        ("session_bytes_per_second_max = 'some'", "a size in a second from 1 on"),
        ("members_max = 'none'", "expected an integer from 1 on"),
    ] {
        let found = mistake(&format!("[limits]\n{text}"));
        assert!(found.contains(expected), "{found}");
    }
}

#[test]
fn a_client_that_is_slowed_must_not_expire() {
    let text = "[limits]\nrate_burst_ms = '2min'\nsession_timeout_ms = '8min'";
    let found = mistake(text);
    let expected =
        "4 times rate_burst_ms (480000) is not less than session_timeout_ms (480000)\n --> ";
    assert!(found.contains(expected), "{found}");
    assert!(found.contains(":2:17"), "{found}");
    load_well("[limits]\nrate_burst_ms = '2min'\nsession_timeout_ms = '9min'");
}

#[test]
fn proxies_are_addresses_and_networks_and_what_they_write() {
    let client = |text: &str, header: &str, peer: &str| {
        let proxies = load_well(text).proxies;
        let headers = [(header, "203.0.113.5, 192.0.2.1")];
        proxies.client(peer.parse().unwrap(), headers.into_iter()).to_string()
    };
    let text = "[proxies]\ntrusted = ['10.0.0.0/8', '::1']";
    assert_eq!(client(text, "x-forwarded-for", "10.1.2.3"), "192.0.2.1");
    assert_eq!(client(text, "x-forwarded-for", "::1"), "192.0.2.1");
    assert_eq!(client(text, "x-forwarded-for", "192.0.2.9"), "192.0.2.9");
    assert_eq!(client("", "x-forwarded-for", "127.0.0.1"), "127.0.0.1", "nobody, by default");
    let other = format!("{text}\nheader = 'X-Real-IP'");
    assert_eq!(client(&other, "x-real-ip", "10.1.2.3"), "192.0.2.1");
    assert_eq!(client(&other, "x-forwarded-for", "10.1.2.3"), "10.1.2.3");
}

#[test]
fn what_is_no_address_of_a_proxy_is_reported_where_it_stands() {
    for (text, expected) in [
        ("trusted = ['10.0.0.1/8']", "\"10.0.0.1/8\" is no address and no network"),
        ("trusted = ['proxy.example']", "\"proxy.example\" is no address and no network"),
        ("trusted = '10.0.0.1'", "expected an array of addresses, found the string"),
        ("trusted = []\nheader = 'no header'", "\"no header\" is no name of a header"),
        ("header = 'X-Real-IP'", "[proxies] needs the key \"trusted\""),
        ("trusted = []\nheaders = 'x'", "no key \"headers\" in [proxies]"),
    ] {
        let found = mistake(&format!("[proxies]\n{text}"));
        assert!(found.contains(expected), "{found}");
        assert!(found.ends_with("1 mistake"), "{found}");
    }
}
