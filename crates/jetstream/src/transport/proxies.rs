//! Whose word counts for where a client comes from.
//!
//! A proxy writes into a header from where it was asked; so can anybody. The header is read from its end,
//! where the last proxy has written, and only as far as those who wrote are trusted.

use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

/// The proxies that are trusted, and the header that they write. None, by default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proxies {
    trusted: Vec<Network>,
    /// In lower case.
    header: String,
}

impl Default for Proxies {
    fn default() -> Self {
        Self::new([])
    }
}

impl Proxies {
    /// The header that is read if no other is named.
    pub const HEADER: &'static str = "x-forwarded-for";

    /// Trusts proxies in these networks.
    pub fn new(trusted: impl IntoIterator<Item = Network>) -> Self {
        Self { trusted: trusted.into_iter().collect(), header: Self::HEADER.to_owned() }
    }

    /// The same with another header: `Forwarded`, or one with a single address such as `X-Real-IP`.
    #[must_use]
    pub fn header(mut self, name: &str) -> Self {
        self.header = name.to_ascii_lowercase();
        self
    }

    /// Whether the address is that of a proxy that is trusted.
    pub fn trusts(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Who is behind a connection from `peer` with these headers, whose names are in lower case.
    pub fn client<'h>(
        &self,
        peer: IpAddr,
        headers: impl Iterator<Item = (&'h str, &'h str)>,
    ) -> IpAddr {
        let mut client = peer.to_canonical();
        if !self.trusts(client) {
            return client;
        }
        let values: Vec<&str> =
            headers.filter(|(name, _)| *name == self.header).map(|(_, value)| value).collect();
        for hop in values.iter().rev().flat_map(|value| value.rsplit(',')) {
            // What cannot be read was written by who was asked before: beyond that nothing is known.
            let Some(address) = read(hop) else { break };
            client = address;
            if !self.trusts(client) {
                break;
            }
        }
        client
    }
}

/// The address of one entry: `192.0.2.1`, `192.0.2.1:4711`, `[2001:db8::1]:4711`, `for="[2001:db8::1]"`.
fn read(hop: &str) -> Option<IpAddr> {
    let mut parts = hop.split(';').map(str::trim);
    let text = match parts.clone().find_map(|part| after_for(part)) {
        Some(text) => text,
        None => parts.next()?,
    };
    let text = text.trim_matches('"');
    let address = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        // One colon is before a port; an address of version 6 has more.
        None if text.matches(':').count() == 1 => text.split_once(':')?.0,
        None => text,
    };
    address.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn after_for(part: &str) -> Option<&str> {
    let (name, value) = part.split_once('=')?;
    name.trim().eq_ignore_ascii_case("for").then(|| value.trim())
}

/// Addresses that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

impl Network {
    /// Those that a single customer has: one address of version 4, or the first half of one of version 6,
    /// within which everybody has as many as they like.
    pub fn of_customer(address: IpAddr) -> Self {
        let address = address.to_canonical();
        let bits = if address.is_ipv4() { 32 } else { 64 };
        Self { first: masked(address, bits), bits }
    }

    /// Whether the address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.bits) == self.first
    }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    let keep = |length: u8| u128::MAX.checked_shl(u32::from(length - bits)).unwrap_or(0);
    match address {
        IpAddr::V4(address) => IpAddr::V4((address.to_bits() & keep(32) as u32).into()),
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & keep(128))),
    }
}

/// Why a text is no [`Network`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no address and no network")]
pub struct NoNetwork;

impl FromStr for Network {
    type Err = NoNetwork;

    /// An address, or the beginning of some: `10.0.0.0/8`.
    fn from_str(text: &str) -> Result<Self, NoNetwork> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = address.parse::<IpAddr>().map_err(|_| NoNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse::<u8>().map_err(|_| NoNetwork))?;
        if bits > most || masked(address, bits) != address {
            return Err(NoNetwork);
        }
        Ok(Self { first: address, bits })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(trusted: &[&str]) -> Proxies {
        Proxies::new(trusted.iter().map(|network| network.parse().unwrap()))
    }

    fn client(proxies: &Proxies, peer: &str, values: &[&str]) -> String {
        let headers = values.iter().map(|value| (proxies.header.as_str(), *value));
        proxies.client(peer.parse().unwrap(), headers).to_string()
    }

    #[test]
    fn what_somebody_says_who_is_not_trusted_counts_for_nothing() {
        let nobody = Proxies::default();
        assert_eq!(client(&nobody, "127.0.0.1", &["192.0.2.1"]), "127.0.0.1");
        let proxies = proxies(&["10.0.0.0/8"]);
        assert_eq!(client(&proxies, "192.0.2.9", &["192.0.2.1"]), "192.0.2.9");
        assert_eq!(client(&proxies, "::ffff:10.1.2.3", &["192.0.2.1"]), "192.0.2.1");
    }

    #[test]
    fn the_header_is_read_from_its_end_as_far_as_proxies_are_trusted() {
        let proxies = proxies(&["10.0.0.0/8", "2001:db8:1::/48"]);
        for (values, expected) in [
            (&[][..], "10.0.0.1"),
            (&["192.0.2.1"], "192.0.2.1"),
            (&["203.0.113.5, 192.0.2.1"], "192.0.2.1"),
            (&["192.0.2.1, 10.9.9.9,10.8.8.8"], "192.0.2.1"),
            (&["203.0.113.5", "192.0.2.1, 10.9.9.9"], "192.0.2.1"),
            (&["10.9.9.9, 10.8.8.8"], "10.9.9.9"),
            (&["192.0.2.1, unknown, 10.8.8.8"], "10.8.8.8"),
            (&["192.0.2.1, , 10.8.8.8"], "10.8.8.8"),
            (&["192.0.2.1:4711"], "192.0.2.1"),
            (&["2001:db8:2::1, [2001:db8:1::7]:443"], "2001:db8:2::1"),
            (&["nonsense"], "10.0.0.1"),
        ] {
            assert_eq!(client(&proxies, "10.0.0.1", values), expected, "{values:?}");
        }
    }

    #[test]
    fn the_standard_header_is_read_as_well() {
        let proxies = proxies(&["10.0.0.1"]).header("Forwarded");
        for (value, expected) in [
            ("for=192.0.2.1;proto=https", "192.0.2.1"),
            ("proto=https; For=\"[2001:db8::1]:4711\"", "2001:db8::1"),
            ("for=203.0.113.5, for=192.0.2.1", "192.0.2.1"),
            ("for=_hidden", "10.0.0.1"),
        ] {
            assert_eq!(client(&proxies, "10.0.0.1", &[value]), expected, "{value}");
        }
    }

    #[test]
    fn addresses_of_version_6_are_one_customer_by_their_first_half() {
        let customer = |address: &str| Network::of_customer(address.parse().unwrap());
        assert_eq!(customer("2001:db8::1"), customer("2001:db8::ffff:1:2:3"));
        assert_ne!(customer("2001:db8::1"), customer("2001:db8:0:1::1"));
        assert_ne!(customer("192.0.2.1"), customer("192.0.2.2"));
        assert_eq!(customer("192.0.2.1"), customer("::ffff:192.0.2.1"));
    }

    #[test]
    fn a_network_is_an_address_or_what_some_begin_with() {
        for right in ["10.0.0.0/8", "192.0.2.1", "::1", "2001:db8::/32", "0.0.0.0/0", "::/0"] {
            assert!(right.parse::<Network>().is_ok(), "{right}");
        }
        for wrong in ["", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0/8", "host", "::1/129"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains("192.0.2.1".parse().unwrap()));
        assert!(!all.contains("::1".parse().unwrap()), "the other version is another world");
    }
}
