//! Requests over the loopback interface: whether they were meant for it.
//!
//! What is open to this machine alone must not be open to others through it. A page of another site can make
//! its own name mean this machine, and a proxy on this machine passes on what comes from elsewhere.

use http::header::{HOST, HeaderMap};

/// Whether a request that reached the loopback interface was meant for it.
pub(crate) fn is_for_this_machine(headers: &HeaderMap) -> bool {
    let passed_on = PASSED_ON.iter().any(|name| headers.contains_key(*name));
    let host = headers.get(HOST).map(|host| host.to_str().unwrap_or("no text"));
    host.is_none_or(is_this_machine) && !passed_on
}

/// Whether the host of an authority, `host:port`, is this machine to itself.
pub(crate) fn is_this_machine(authority: &str) -> bool {
    let name = authority.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok());
    let name = name.map_or(authority, |(name, _)| name);
    let ip = name.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    name.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback())
}

/// What proxies add.
const PASSED_ON: [&str; 5] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-real-ip"];
