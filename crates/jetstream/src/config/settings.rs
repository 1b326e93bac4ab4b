//! Settings that do not stand in the file: flags and environment variables.
//!
//! `--set scopes.Canvas.limits.members_max=10` names a key as the file would.
//! `JETSTREAM_SCOPES__CANVAS__LIMITS__MEMBERS_MAX=10` names the same one: `__` stands between the parts,
//! and as variables are written in capitals, a part is first looked for among the keys that are there.

use super::mistake::{Collector, Origin, Place, Source, Sources};
use super::tree::{Entry, KEY_PARTS_MAX, Node, Table, Value, parse, parse_value};
use crate::core::model::spelling::nearest;

/// A setting from outside the file, as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// A flag's `key=value`, in the words of the file.
    Assignment {
        /// The flag that it was given with, for messages: `--set`.
        flag: String,
        /// `scopes.Canvas.limits.members_max=10`.
        text: String,
    },
    /// A flag that stands for one key.
    Flag {
        /// The flag, for messages: `--listen`.
        flag: String,
        /// The key.
        key: String,
        /// The value, taken as a string.
        value: String,
    },
    /// An environment variable.
    Variable {
        /// The whole name, with the prefix `JETSTREAM_`.
        name: String,
        /// The value.
        value: String,
    },
}

/// The prefix of the environment variables that are settings.
pub const PREFIX: &str = "JETSTREAM_";

/// What an environment holds for the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variables {
    /// The settings, in the order of their names.
    pub settings: Vec<Setting>,
    /// Variables with the prefix that are no settings, and are not near to any: somebody else's, such as
    /// a path that a script keeps there.
    pub others: Vec<String>,
}

/// Picks the settings out of an environment.
///
/// `reserved` are variables with the same prefix that mean something else. Those that Kubernetes sets
/// in every container for a service whose name begins with "jetstream" are none either.
pub fn variables(
    environment: impl IntoIterator<Item = (String, String)>,
    reserved: &[&str],
) -> Variables {
    let mut found: Vec<(String, String)> = environment
        .into_iter()
        .filter(|(name, _)| name.starts_with(PREFIX) && name.len() > PREFIX.len())
        .filter(|(name, _)| !reserved.contains(&name.as_str()) && !is_service_link(name))
        .collect();
    // The environment has no order; the same one must always mean the same.
    found.sort();
    let (settings, others): (Vec<_>, Vec<_>) =
        found.into_iter().partition(|(name, _)| is_meant_as_a_setting(name));
    let setting = |(name, value)| Setting::Variable { name, value };
    Variables {
        settings: settings.into_iter().map(setting).collect(),
        others: others.into_iter().map(|(name, _)| name).collect(),
    }
}

/// Whether whoever set the variable meant a key, right or misspelled. A misspelled setting that is
/// passed over is as bad as one in the file.
fn is_meant_as_a_setting(name: &str) -> bool {
    let rest = name[PREFIX.len()..].to_lowercase();
    rest.contains(SEPARATOR)
        || nearest(&rest, TOP_LEVEL_KEYS.iter().copied()).is_some()
        || TOP_LEVEL_KEYS.iter().any(|key| {
            rest.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
        })
}

/// `JETSTREAM_SERVICE_HOST`, `JETSTREAM_PORT_3000_TCP_ADDR` and the like.
fn is_service_link(name: &str) -> bool {
    let numbered = |part: &str| part.starts_with(|c: char| c.is_ascii_digit());
    !name.contains("__")
        && (name.ends_with("_SERVICE_HOST")
            || name.contains("_SERVICE_PORT")
            || name.ends_with("_PORT")
            || name.split("_PORT_").skip(1).any(numbered))
}

impl Setting {
    /// Lays this setting over `root`.
    pub(super) fn apply(&self, root: &mut Table, sources: &mut Sources, mistakes: &mut Collector) {
        let table = match self {
            Self::Assignment { flag, text } => assignment(flag, text, sources, mistakes),
            Self::Flag { flag, key, value } => Some(of_flag(flag, key, value, sources)),
            Self::Variable { name, value } => Some(variable(name, value, root, sources, mistakes)),
        };
        if let Some(table) = table {
            root.merge(table);
        }
    }
}

fn assignment(
    flag: &str,
    text: &str,
    sources: &mut Sources,
    mistakes: &mut Collector,
) -> Option<Table> {
    let source = sources.add(Source::new(Origin::Setting, flag, text));
    let whole = Place::new(source, 0..text.len());
    let form = "a setting has the form key=value: limits.members_max=10";
    let Some(equals) = position_of_equals(text) else {
        mistakes.add_with_help(whole, "no `=` in the setting", form);
        return None;
    };
    // The key is read as the file would read it, points and quotes included. Its value is put in after.
    let (key, value) = (&text[..equals], &text[equals + 1..]);
    let mut unread = Collector::default();
    let table = parse(&format!("{key}=0"), source, &mut unread);
    let Some(mut table) = table.filter(|table| !key.contains('\n') && table.0.len() == 1) else {
        mistakes.add_with_help(
            Place::new(source, 0..equals),
            "the setting has no proper key",
            form,
        );
        return None;
    };
    let node = parse_value(value, source, equals + 1, mistakes).unwrap_or_else(|| Node {
        place: Place::new(source, equals + 1..text.len()),
        value: Value::String(value.to_owned()),
    });
    set_innermost(&mut table, node);
    Some(table)
}

/// The first `=` that does not stand within quotes.
fn position_of_equals(text: &str) -> Option<usize> {
    let mut quote = None;
    for (index, character) in text.char_indices() {
        match (quote, character) {
            (None, '=') => return Some(index),
            (None, '"' | '\'') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    None
}

/// Puts `node` where a table of one dotted key has its placeholder.
fn set_innermost(table: &mut Table, node: Node) {
    let Some(entry) = table.0.first_mut() else { return };
    match &mut entry.node.value {
        Value::Table(inner) => set_innermost(inner, node),
        _ => entry.node = node,
    }
}

fn of_flag(flag: &str, key: &str, value: &str, sources: &mut Sources) -> Table {
    let text = format!("{flag} {value}");
    let (key_end, end) = (flag.len(), text.len());
    let source = sources.add(Source::new(Origin::Setting, flag, text));
    let place = Place::new(source, key_end + 1..end);
    Table(vec![Entry {
        key: key.to_owned(),
        key_place: Place::new(source, 0..key_end),
        node: Node { place, value: Value::String(value.to_owned()) },
    }])
}

fn variable(
    name: &str,
    value: &str,
    root: &Table,
    sources: &mut Sources,
    mistakes: &mut Collector,
) -> Table {
    let text = format!("{name}={value}");
    let source = sources.add(Source::new(Origin::Setting, name, text));
    let value_start = name.len() + 1;
    let mut node = parse_value(value, source, value_start, mistakes).unwrap_or_else(|| Node {
        place: Place::new(source, value_start..value_start + value.len()),
        value: Value::String(value.to_owned()),
    });
    for (key, span) in keys_of_variable(name, root).into_iter().rev() {
        let key_place = Place::new(source, span);
        let place = node.place;
        node = Node { place, value: Value::Table(Table(vec![Entry { key, key_place, node }])) };
    }
    match node.value {
        Value::Table(table) => table,
        _ => Table::default(),
    }
}

/// The keys that a variable names, with where each stands in its name.
fn keys_of_variable(name: &str, root: &Table) -> Vec<(String, std::ops::Range<usize>)> {
    let mut keys = Vec::new();
    let mut table = Some(root);
    let mut start = PREFIX.len();
    // No key is that deep; the first parts are enough to say so.
    while start < name.len() && keys.len() < KEY_PARTS_MAX {
        let rest = &name[start..];
        let present = table.and_then(|table| key_that_begins(rest, table));
        let (key, length) = match present {
            Some((entry, length)) => (entry.key.clone(), length),
            None => {
                let length = rest.find(SEPARATOR).unwrap_or(rest.len());
                let part = &rest[..length];
                // Small letters in a variable are there on purpose.
                let spelled = part.chars().any(char::is_lowercase);
                (if spelled { part.to_owned() } else { part.to_lowercase() }, length)
            }
        };
        table = present.and_then(|(entry, _)| match &entry.node.value {
            Value::Table(table) => Some(table),
            _ => None,
        });
        keys.push((key, start..start + length));
        start += length + SEPARATOR.len();
    }
    keys
}

/// The longest key of `table` with which `rest` begins, and its length there.
fn key_that_begins<'a>(rest: &str, table: &'a Table) -> Option<(&'a Entry, usize)> {
    let length_of = |entry: &'a Entry| {
        let wanted = spelled_as_variable(&entry.key);
        let part = rest.get(..wanted.len())?;
        let after = &rest[wanted.len()..];
        let ends = after.is_empty() || after.starts_with(SEPARATOR);
        (ends && !wanted.is_empty() && spelled_as_variable(part) == wanted)
            .then_some((entry, wanted.len()))
    };
    table.0.iter().filter_map(length_of).max_by_key(|(_, length)| *length)
}

/// `boards/{id}` is `BOARDS__ID_`: what a variable's name cannot hold becomes `_`.
fn spelled_as_variable(key: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    key.chars().map(letter).collect()
}

/// The keys with which every path begins.
pub(super) const TOP_LEVEL_KEYS: [&str; 18] = [
    "api",
    "listen",
    "tls",
    "origins",
    "compression",
    "io_uring",
    "demos",
    "limits",
    "enumerations",
    "models",
    "scopes",
    "procedures",
    "storage",
    "migrations",
    "metrics",
    "inspector",
    "authentication",
    "proxies",
];

/// Stands between the parts of a variable's name.
const SEPARATOR: &str = "__";

#[cfg(test)]
mod tests {
    use super::*;

    /// What a tree holds, one `path = value` a line.
    fn lines(table: &Table, prefix: &str, out: &mut Vec<String>) {
        for entry in &table.0 {
            let path = format!("{prefix}{}", entry.key);
            match &entry.node.value {
                Value::Table(inner) => lines(inner, &format!("{path}."), out),
                value => out.push(format!("{path} = {}", value.found())),
            }
        }
    }

    fn apply(file: &str, settings: &[Setting]) -> (Vec<String>, Vec<String>) {
        let mut sources = Sources::default();
        let mut mistakes = Collector::default();
        let source = sources.add(Source::new(Origin::File, "jetstream.toml", file));
        let mut root = parse(file, source, &mut mistakes).unwrap();
        for setting in settings {
            setting.apply(&mut root, &mut sources, &mut mistakes);
        }
        let mut found = Vec::new();
        lines(&root, "", &mut found);
        let mistakes = mistakes.finish(&sources, Some(())).err().map_or(Vec::new(), |m| m.0);
        (found, mistakes.iter().map(ToString::to_string).collect())
    }

    fn set(text: &str) -> Setting {
        Setting::Assignment { flag: "--set".into(), text: text.into() }
    }

    fn variable(name: &str, value: &str) -> Setting {
        Setting::Variable { name: name.into(), value: value.into() }
    }

    #[test]
    fn a_flag_names_a_key_as_the_file_does_and_replaces_its_value() {
        let cases = [
            ("a.b=2", "a.b = the integer 2"),
            ("a.b = [1]", "a.b = an array"),
            ("a.b=1MiB", "a.b = the string \"1MiB\""),
            ("a.b=\"2\"", "a.b = the string \"2\""),
            ("a.b=", "a.b = the string \"\""),
            ("a.b={ c = 1 }", "a.b.c = the integer 1"),
            ("a.b=x=y", "a.b = the string \"x=y\""),
        ];
        for (text, expected) in cases {
            let (found, mistakes) = apply("a.b = 1", &[set(text)]);
            assert_eq!((found, mistakes), (vec![expected.to_owned()], vec![]), "{text}");
        }
    }

    #[test]
    fn quoted_parts_of_a_key_may_hold_anything() {
        let (found, _) = apply("", &[set("scopes.\"a=b/{id}\".root=Canvas")]);
        assert_eq!(found, ["scopes.a=b/{id}.root = the string \"Canvas\""]);
    }

    #[test]
    fn tables_are_merged_and_the_last_setting_wins() {
        let settings = [set("a={ c = 3 }"), set("a.c=4")];
        let (found, _) = apply("a = { b = 1, c = 2 }", &settings);
        assert_eq!(found, ["a.b = the integer 1", "a.c = the integer 4"]);
    }

    #[test]
    fn a_setting_without_a_proper_key_is_a_mistake_that_names_the_flag() {
        let (_, mistakes) = apply("", &[set("listen")]);
        assert_eq!(
            mistakes,
            [
                "error: no `=` in the setting\n--> --set\n |\n | listen\n | ^^^^^^\n = a setting has the form \
              key=value: limits.members_max=10"
            ]
        );
        for text in ["=1", "a b=1", "[x]=1", "a.=1", "a\nb=1", "\"a=1"] {
            let (found, mistakes) = apply("", &[set(text)]);
            assert_eq!((found.len(), mistakes.len()), (0, 1), "{text}");
        }
    }

    #[test]
    fn a_variable_finds_the_keys_that_are_there() {
        let file = "[scopes.Canvas]\nroot = 'A'\n[scopes.'boards/{id}']\nroot = 'B'\n";
        let cases = [
            ("JETSTREAM_SCOPES__CANVAS__ROOT", "scopes.Canvas.root"),
            ("JETSTREAM_SCOPES__canvas__root", "scopes.Canvas.root"),
            ("JETSTREAM_SCOPES__BOARDS__ID___ROOT", "scopes.boards/{id}.root"),
            ("JETSTREAM_LIMITS__MEMBERS_MAX", "limits.members_max"),
            ("JETSTREAM_SCOPES__Other__ROOT", "scopes.Other.root"),
        ];
        for (name, path) in cases {
            let (found, mistakes) = apply(file, &[variable(name, "new")]);
            let expected = format!("{path} = the string \"new\"");
            assert!(found.contains(&expected), "{name}: {found:?}");
            assert!(mistakes.is_empty(), "{mistakes:?}");
        }
    }

    #[test]
    fn only_variables_that_are_meant_as_settings_are_taken_for_them() {
        let (setting, other, neither) = (Some(true), Some(false), None);
        let cases = [
            ("PATH", neither),
            ("JETSTREAM_", neither),
            ("JETSTREAM_LOG_LEVEL", neither),
            ("JETSTREAM_PORT", neither),
            ("JETSTREAM_PORT_3000_TCP_ADDR", neither),
            ("JETSTREAM_SERVICE_HOST", neither),
            ("JETSTREAM_SERVICE_PORT_WEB", neither),
            ("JETSTREAM_METRICS_SERVICE_HOST", neither),
            ("JETSTREAM_BINARY", other),
            ("JETSTREAM_HOME", other),
            ("JETSTREAM_VERSION", other),
            ("JETSTREAM_LISTEN", setting),
            ("JETSTREAM_LISEN", setting),
            ("JETSTREAM_METRICS_LISTEN", setting),
            ("JETSTREAM_AUTHENTICATION", setting),
            ("JETSTREAM_LIMITS__MEMBERS_MAX", setting),
            ("JETSTREAM_NOWHERE__MEMBERS_MAX", setting),
            ("JETSTREAM_MODELS__SHIP__PROPERTIES__HOME_PORT", setting),
        ];
        for (name, expected) in cases {
            let environment = [(name.to_owned(), "1".to_owned())];
            let found = variables(environment, &["JETSTREAM_LOG_LEVEL"]);
            let found = match (found.settings.len(), found.others.len()) {
                (1, 0) => setting,
                (0, 1) => other,
                _ => neither,
            };
            assert_eq!(found, expected, "{name}");
        }
    }
}
