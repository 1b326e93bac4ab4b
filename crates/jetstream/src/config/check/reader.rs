//! Reading tables key by key, so that no key is passed over in silence.

use crate::config::mistake::{Collector, Place, list};
use crate::config::tree::{Entry, Node, Table, Value, quoted};
use crate::core::model::spelling::nearest;

/// Reads the keys of one table. What nobody asked for by the end is a mistake.
pub(super) struct Reader<'a> {
    /// What the table describes, for messages: `a scope`.
    what: &'static str,
    table: &'a Table,
    place: Place,
    known: Vec<&'static str>,
}

impl<'a> Reader<'a> {
    /// Begins to read `node`, if it is a table.
    pub(super) fn open(
        what: &'static str,
        node: &'a Node,
        mistakes: &mut Collector,
    ) -> Option<Self> {
        let table = table(node, what, mistakes)?;
        Some(Self::of(what, table, node.place))
    }

    pub(super) fn of(what: &'static str, table: &'a Table, place: Place) -> Self {
        Self { what, table, place, known: Vec::new() }
    }

    /// The value of `key`, if it is there.
    pub(super) fn take(&mut self, key: &'static str) -> Option<&'a Entry> {
        self.known.push(key);
        self.table.get(key)
    }

    /// The value of `key`, for a look that does not count as reading it.
    pub(super) fn get(&self, key: &str) -> Option<&'a Entry> {
        self.table.get(key)
    }

    /// The value of `key`, which has to be there.
    pub(super) fn require(
        &mut self,
        key: &'static str,
        mistakes: &mut Collector,
    ) -> Option<&'a Entry> {
        let entry = self.take(key);
        if entry.is_none() {
            mistakes.add(self.place, format!("{} needs the key \"{key}\"", self.what));
        }
        entry
    }

    /// Reports the keys that nobody asked for.
    pub(super) fn finish(self, mistakes: &mut Collector) {
        for entry in &self.table.0 {
            let key = entry.key.as_str();
            if !self.known.contains(&key) {
                let message = format!("no key {} in {}", quoted(key), self.what);
                let help = allowed("keys", key, self.known.iter().copied());
                mistakes.add_with_help(entry.key_place, message, help);
            }
        }
    }
}

/// `did you mean "x"?` if one of `names` is close to `name`, and all that there are.
pub(super) fn allowed<'n>(
    plural: &str,
    name: &str,
    names: impl Iterator<Item = &'n str> + Clone,
) -> String {
    match nearest(name, names.clone()) {
        Some(close) => format!("did you mean \"{close}\"? (allowed: {})", list(names)),
        None if names.clone().next().is_none() => format!("there are no {plural}"),
        None => format!("{plural}: {}", list(names)),
    }
}

/// The node as a table.
pub(super) fn table<'a>(node: &'a Node, what: &str, mistakes: &mut Collector) -> Option<&'a Table> {
    match &node.value {
        Value::Table(table) => Some(table),
        other => {
            let message = format!("expected a table for {what}, found {}", other.found());
            mistakes.add(node.place, message);
            None
        }
    }
}

/// The node as an array.
pub(super) fn array<'a>(
    node: &'a Node,
    what: &str,
    mistakes: &mut Collector,
) -> Option<&'a [Node]> {
    match &node.value {
        Value::Array(elements) => Some(elements),
        other => {
            mistakes.add(node.place, format!("expected {what}, found {}", other.found()));
            None
        }
    }
}

/// The node as a text that is not empty.
pub(super) fn string<'a>(node: &'a Node, what: &str, mistakes: &mut Collector) -> Option<&'a str> {
    match &node.value {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::String(_) => {
            mistakes.add(node.place, format!("expected {what}, found an empty string"));
            None
        }
        other => {
            mistakes.add(node.place, format!("expected {what}, found {}", other.found()));
            None
        }
    }
}

/// The node as true or false.
pub(super) fn boolean(node: &Node, mistakes: &mut Collector) -> Option<bool> {
    match &node.value {
        Value::Boolean(value) => Some(*value),
        other => {
            mistakes.add(node.place, format!("expected true or false, found {}", other.found()));
            None
        }
    }
}

/// The node as `host:port`.
pub(super) fn address(node: &Node, mistakes: &mut Collector) -> Option<String> {
    let what = "an address as \"host:port\"";
    let text = string(node, what, mistakes)?;
    let valid = text.rsplit_once(':').is_some_and(|(host, port)| {
        let v6 = host.starts_with('[') && host.ends_with(']');
        let host_valid = if v6 {
            text.parse::<std::net::SocketAddr>().is_ok()
        } else {
            let letter = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_');
            !host.is_empty() && host.chars().all(letter)
        };
        host_valid && port.parse::<u16>().is_ok() && port.chars().all(|c| c.is_ascii_digit())
    });
    if !valid {
        mistakes.add_with_help(
            node.place,
            format!("expected {what}, found {}", quoted(text)),
            "for example \"127.0.0.1:3000\", \"0.0.0.0:3000\" (every interface), \"[::1]:3000\"; port 0 \
             picks a free one",
        );
        return None;
    }
    Some(text.to_owned())
}
