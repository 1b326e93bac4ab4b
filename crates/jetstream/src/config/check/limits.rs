//! `[limits]`: numbers with units, under the names of [`Limits`].

use super::reader::{allowed, table};
use crate::config::mistake::{Collector, Place};
use crate::config::tree::{Node, Value, quoted};
use crate::core::limits::Limits;
use crate::core::rate::CLOSED_BURSTS;

/// What a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Bytes; a text like `"1MiB"` is allowed.
    Bytes,
    /// Milliseconds; a text like `"10s"` is allowed.
    Milliseconds,
    /// Things in a second, or `"none"`.
    PerSecond,
    /// Bytes in a second; a text like `"8MiB"` is allowed, or `"none"`.
    BytesPerSecond,
}

/// One key of `[limits]`.
#[derive(Debug, Clone, Copy)]
pub struct LimitKey {
    /// The key, the same as the field of [`Limits`].
    pub name: &'static str,
    /// What it counts.
    pub unit: Unit,
    /// Whether a scope can have its own.
    pub of_scope: bool,
    /// Reads it.
    pub get: fn(&Limits) -> u64,
    set: fn(&mut Limits, u64),
}

/// Makes the table of keys; does not compile when [`Limits`] has a field that is not in it.
macro_rules! keys {
    ($($name:ident: $unit:ident $($scope:ident)?,)*) => {
        /// Every key of `[limits]`.
        pub const KEYS: &[LimitKey] = &[$(LimitKey {
            name: stringify!($name),
            unit: Unit::$unit,
            of_scope: !stringify!($($scope)?).is_empty(),
            get: |limits| limits.$name as u64,
            set: |limits, value| limits.$name = value as _,
        }),*];

        const _: fn(&Limits) = |Limits { $($name: _),* }| ();
    };
}

keys! {
    message_bytes_max: Bytes,
    frame_messages_max: Count,
    fragments_max: Count,
    string_bytes_max: Bytes,
    collection_elements_max: Count,
    scope_objects_max: Count scope,
    scope_bytes_max: Bytes scope,
    session_scopes_max: Count,
    sessions_max: Count,
    principal_sessions_max: Count,
    address_sessions_max: Count,
    scopes_max: Count,
    scopes_bytes_max: Bytes,
    members_max: Count scope,
    connections_pending_max: Count,
    address_connections_pending_max: Count,
    address_connections_per_second_max: PerSecond,
    backlog_bytes_max: Bytes,
    backlog_bytes_hard_max: Bytes,
    inbox_messages_max: Count,
    mailbox_requests_max: Count scope,
    session_requests_max: Count,
    session_messages_per_second_max: PerSecond,
    session_bytes_per_second_max: BytesPerSecond,
    principal_messages_per_second_max: PerSecond,
    principal_bytes_per_second_max: BytesPerSecond,
    rate_burst_ms: Milliseconds,
    procedure_timeout_ms: Milliseconds scope,
    procedure_waiting_max: Count scope,
    establish_timeout_ms: Milliseconds,
    handshake_timeout_ms: Milliseconds,
    ping_interval_ms: Milliseconds,
    session_timeout_ms: Milliseconds,
    expiry_warning_ms: Milliseconds,
    scope_idle_ms: Milliseconds scope,
    shutdown_timeout_ms: Milliseconds,
}

/// Reads the limits of the whole server.
pub(super) fn of_server(node: &Node, mistakes: &mut Collector) -> Limits {
    let mut limits = Limits::default();
    read(node, &mut limits, "the server's limits", |_| true, mistakes);
    if limits.backlog_bytes_hard_max < limits.backlog_bytes_max {
        let message = format!(
            "backlog_bytes_hard_max ({}) is less than backlog_bytes_max ({})",
            limits.backlog_bytes_hard_max, limits.backlog_bytes_max
        );
        mistakes.add(place(node, ["backlog_bytes_hard_max", "backlog_bytes_max"]), message);
    }
    // Nothing is heard from a client that is slowed, and it is slowed so long at the most.
    let slowed_ms = limits.rate_burst_ms.saturating_mul(CLOSED_BURSTS);
    if slowed_ms >= limits.session_timeout_ms {
        let message = format!(
            "{CLOSED_BURSTS} times rate_burst_ms ({slowed_ms}) is not less than session_timeout_ms ({})",
            limits.session_timeout_ms
        );
        mistakes.add(place(node, ["rate_burst_ms", "session_timeout_ms"]), message);
    }
    limits
}

/// Where the first of these keys stands that is there.
fn place(node: &Node, keys: [&str; 2]) -> Place {
    let Value::Table(table) = &node.value else { return node.place };
    let found = keys.iter().find_map(|key| table.get(key));
    found.map_or(node.place, |entry| entry.node.place)
}

/// Reads the limits of one scope, which has the server's where it says nothing.
pub(super) fn of_scope(node: &Node, server: &Limits, mistakes: &mut Collector) -> Limits {
    let mut limits = server.clone();
    read(node, &mut limits, "a scope's limits", |key| key.of_scope, mistakes);
    limits
}

fn read(
    node: &Node,
    limits: &mut Limits,
    what: &str,
    admits: impl Fn(&LimitKey) -> bool,
    mistakes: &mut Collector,
) {
    let Some(entries) = table(node, what, mistakes) else { return };
    for entry in &entries.0 {
        match KEYS.iter().find(|key| key.name == entry.key) {
            Some(key) if admits(key) => {
                if let Some(value) = number(&entry.node, key.unit, mistakes) {
                    (key.set)(limits, value);
                }
            }
            known => {
                let names = KEYS.iter().filter(|key| admits(key)).map(|key| key.name);
                let message = match known {
                    Some(key) => {
                        format!("\"{}\" is a limit of the server, not of a scope", key.name)
                    }
                    None => format!("no key {} in {what}", quoted(&entry.key)),
                };
                let help = allowed("keys", &entry.key, names);
                mistakes.add_with_help(entry.key_place, message, help);
            }
        }
    }
}

/// A number with its unit.
pub(super) fn number(node: &Node, unit: Unit, mistakes: &mut Collector) -> Option<u64> {
    let number = match &node.value {
        Value::Integer(number) => u64::try_from(*number).ok(),
        Value::String(text) if text == "none" && unit.admits_none() => Some(Limits::NONE as u64),
        Value::String(text) => with_unit(text, unit.suffixes()),
        _ => None,
    };
    // Nothing works with a limit of 0, and "no limit" is not what it would mean.
    let number = number.filter(|number| *number > 0 && usize::try_from(*number).is_ok());
    if number.is_none() {
        let found = node.value.found();
        mistakes.add(node.place, format!("expected {}, found {found}", unit.expected()));
    }
    number
}

impl Unit {
    /// Whether the limit can be left out.
    const fn admits_none(self) -> bool {
        matches!(self, Self::PerSecond | Self::BytesPerSecond)
    }

    /// What follows the number in a text, with how many it stands for.
    const fn suffixes(self) -> &'static [(&'static str, u64)] {
        match self {
            Self::Count | Self::PerSecond => &[],
            Self::Bytes | Self::BytesPerSecond => &[
                ("KiB", 1 << 10),
                ("MiB", 1 << 20),
                ("GiB", 1 << 30),
                ("kB", 1_000),
                ("MB", 1_000_000),
                ("GB", 1_000_000_000),
                ("B", 1),
            ],
            Self::Milliseconds => {
                &[("ms", 1), ("s", 1_000), ("min", 60_000), ("h", 3_600_000), ("d", 86_400_000)]
            }
        }
    }

    const fn expected(self) -> &'static str {
        match self {
            Self::Count => "an integer from 1 on",
            Self::Bytes => {
                "a size from 1 on: a number of bytes, or a text with B, KiB, MiB, GiB, kB, MB or GB"
            }
            Self::PerSecond => "a number in a second from 1 on, or \"none\"",
            Self::BytesPerSecond => {
                "a size in a second from 1 on: a number of bytes, or a text with B, KiB, MiB, GiB, kB, MB or GB, or \"none\""
            }
            Self::Milliseconds => {
                "a duration from 1 on: a number of milliseconds, or a text with ms, s, min, h or d"
            }
        }
    }
}

/// `10s` is 10,000 where `s` is 1,000.
fn with_unit(text: &str, suffixes: &[(&str, u64)]) -> Option<u64> {
    let end = text.find(|c: char| !c.is_ascii_digit())?;
    let (number, suffix) = text.split_at(end);
    let (_, factor) = suffixes.iter().find(|(name, _)| *name == suffix.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_durations_have_units() {
        let cases = [
            (Unit::Bytes, "1MiB", Some(1 << 20)),
            (Unit::Bytes, "64 KiB", Some(64 << 10)),
            (Unit::Bytes, "10kB", Some(10_000)),
            (Unit::Bytes, "7B", Some(7)),
            (Unit::Bytes, "7", None),
            (Unit::Bytes, "1mib", None),
            (Unit::Bytes, "-1MiB", None),
            (Unit::Bytes, "1.5MiB", None),
            (Unit::Bytes, "99999999999GiB", None),
            (Unit::Bytes, "99999999999999999999B", None),
            (Unit::Milliseconds, "10s", Some(10_000)),
            (Unit::Milliseconds, "250ms", Some(250)),
            (Unit::Milliseconds, "10min", Some(600_000)),
            (Unit::Milliseconds, "1h", Some(3_600_000)),
            (Unit::Milliseconds, "10MiB", None),
            (Unit::Count, "10", None),
        ];
        for (unit, text, expected) in cases {
            assert_eq!(with_unit(text, unit.suffixes()), expected, "{text}");
        }
    }

    #[test]
    fn a_name_ends_in_its_unit() {
        for key in KEYS {
            let expected = match key.unit {
                Unit::PerSecond => key.name.ends_with("_per_second_max"),
                Unit::BytesPerSecond => key.name.ends_with("_bytes_per_second_max"),
                Unit::Bytes => key.name.contains("_bytes_"),
                Unit::Milliseconds => key.name.ends_with("_ms"),
                Unit::Count => !key.name.contains("bytes") && key.name.ends_with("_max"),
            };
            assert!(expected, "{} counts {:?}", key.name, key.unit);
        }
    }
}
