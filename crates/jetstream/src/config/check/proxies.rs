//! `[proxies]`: whose word counts for where a client comes from.

use super::reader::{Reader, array, string};
use crate::config::mistake::Collector;
use crate::config::tree::{Entry, Node, quoted};
use crate::transport::{Network, Proxies};

/// Reads which proxies are trusted, and what they write where.
pub(super) fn read(entry: &Entry, mistakes: &mut Collector) -> Option<Proxies> {
    let mut reader = Reader::open("[proxies]", &entry.node, mistakes)?;
    let trusted = reader.require("trusted", mistakes).and_then(|e| networks(&e.node, mistakes));
    let header = reader.take("header").map(|e| header(&e.node, mistakes));
    reader.finish(mistakes);
    let proxies = Proxies::new(trusted?);
    match header {
        Some(name) => Some(proxies.header(&name?)),
        None => Some(proxies),
    }
}

fn networks(node: &Node, mistakes: &mut Collector) -> Option<Vec<Network>> {
    let elements = array(node, "an array of addresses", mistakes)?;
    let networks: Vec<_> = elements.iter().map(|element| network(element, mistakes)).collect();
    networks.into_iter().collect()
}

fn network(node: &Node, mistakes: &mut Collector) -> Option<Network> {
    let text = string(node, "an address", mistakes)?;
    let network = text.parse();
    if network.is_err() {
        mistakes.add_with_help(
            node.place,
            format!("{} is no address and no network", quoted(text)),
            "for example \"10.0.0.7\", \"10.0.0.0/8\" (all that begin with 10), \"2001:db8::/32\"",
        );
    }
    network.ok()
}

fn header(node: &Node, mistakes: &mut Collector) -> Option<String> {
    let text = string(node, "the name of a header", mistakes)?;
    if http::HeaderName::from_bytes(text.as_bytes()).is_err() {
        mistakes.add(node.place, format!("{} is no name of a header", quoted(text)));
        return None;
    }
    Some(text.to_owned())
}
