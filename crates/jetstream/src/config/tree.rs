//! The configuration as it was written: values that remember their place.
//!
//! The file, the environment and the flags become one [`Table`] each and are laid over one another;
//! from there on nobody needs to know who said what, except to report a mistake at the right place.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::mistake::{Collector, Place, SourceId};

/// A value and where it stands.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// What can be written.
#[derive(Debug, Clone)]
pub(super) enum Value {
    String(String),
    Integer(i64),
    Float(f64),
    Boolean(bool),
    /// A date or a time, as it is written.
    Date(String),
    Array(Vec<Node>),
    Table(Table),
}

/// Keys and values in the order in which they were written.
#[derive(Debug, Clone, Default)]
pub(super) struct Table(pub(super) Vec<Entry>);

/// One line of a table.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) node: Node,
}

impl Value {
    /// For messages: `the integer 5`.
    pub(super) fn found(&self) -> String {
        match self {
            Self::String(text) => format!("the string {}", quoted(text)),
            Self::Integer(number) => format!("the integer {number}"),
            Self::Float(number) => format!("the number {number}"),
            Self::Boolean(value) => format!("{value}"),
            Self::Date(text) => format!("the date {text}"),
            Self::Array(_) => "an array".to_owned(),
            Self::Table(_) => "a table".to_owned(),
        }
    }
}

impl Table {
    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.0.iter().find(|entry| entry.key == key)
    }

    /// Lays `other` over this: tables are merged, anything else is replaced.
    pub(super) fn merge(&mut self, other: Self) {
        for entry in other.0 {
            match self.0.iter_mut().find(|mine| mine.key == entry.key) {
                None => self.0.push(entry),
                Some(mine) => match (&mut mine.node.value, entry.node.value) {
                    (Value::Table(mine), Value::Table(other)) => mine.merge(other),
                    (_, value) => {
                        mine.key_place = entry.key_place;
                        mine.node = Node { place: entry.node.place, value };
                    }
                },
            }
        }
    }
}

/// Reads a whole TOML text. What cannot be read is in `mistakes`.
pub(super) fn parse(text: &str, source: SourceId, mistakes: &mut Collector) -> Option<Table> {
    if let Some(span) = key_of_too_many_parts(text) {
        let message = format!("a key of more than {KEY_PARTS_MAX} parts");
        mistakes.add(Place::new(source, span), message);
        return None;
    }
    let (root, errors) = DeTable::parse_recoverable(text);
    if errors.is_empty() {
        return Some(table(root.get_ref(), source, mistakes));
    }
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        mistakes.add(Place::new(source, span), error.message());
    }
    None
}

/// Reads one value. `None` if `text` is none; `offset` is where it begins in its source.
pub(super) fn parse_value(
    text: &str,
    source: SourceId,
    offset: usize,
    mistakes: &mut Collector,
) -> Option<Node> {
    if key_of_too_many_parts(text).is_some() {
        return None;
    }
    let offset = offset + text.len() - text.trim_start().len();
    let value = DeValue::parse(text.trim()).ok()?;
    let mut node = node(value.get_ref(), value.span(), source, mistakes);
    shift(&mut node, offset);
    Some(node)
}

fn table(table: &DeTable<'_>, source: SourceId, mistakes: &mut Collector) -> Table {
    let entries = table.iter().map(|(key, value)| Entry {
        key: key.get_ref().clone().into_owned(),
        key_place: Place::new(source, key.span()),
        node: node(value.get_ref(), value.span(), source, mistakes),
    });
    Table(entries.collect())
}

fn node(
    value: &DeValue<'_>,
    span: Range<usize>,
    source: SourceId,
    mistakes: &mut Collector,
) -> Node {
    let place = Place::new(source, span);
    let value = match value {
        DeValue::String(text) => Value::String(text.clone().into_owned()),
        DeValue::Integer(number) => Value::Integer(
            i64::from_str_radix(number.as_str(), number.radix()).unwrap_or_else(|_| {
                mistakes.add(place, "an integer of more than 64 bits");
                0
            }),
        ),
        DeValue::Float(number) => Value::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Datetime(date) => Value::Date(date.to_string()),
        DeValue::Array(elements) => Value::Array(
            elements.iter().map(|e| node(e.get_ref(), e.span(), source, mistakes)).collect(),
        ),
        DeValue::Table(entries) => Value::Table(table(entries, source, mistakes)),
    };
    Node { place, value }
}

/// Finds a dotted key that would nest deeper than the stack reaches: the parser bounds the depth of
/// arrays and inline tables, but not that of keys.
fn key_of_too_many_parts(text: &str) -> Option<Range<usize>> {
    let (mut start, mut points) = (0, 0);
    let mut index = 0;
    while let Some(character) = text[index..].chars().next() {
        let rest = &text[index..];
        let length = match character {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            '"' | '\'' => length_of_string(rest),
            _ => character.len_utf8(),
        };
        match character {
            '.' => points += 1,
            '"' | '\'' | '-' | '_' | ' ' | '\t' => {}
            letter if letter.is_alphanumeric() => {}
            _ => (start, points) = (index + length, 0),
        }
        index += length;
        if points >= KEY_PARTS_MAX {
            return Some(start..index);
        }
    }
    None
}

/// How long the quoted text is with which `text` begins, in bytes.
fn length_of_string(text: &str) -> usize {
    let quote = &text[..1];
    let fence = quote.repeat(3);
    let (delimiter, many_lines) =
        if text.starts_with(&fence) { (fence.as_str(), true) } else { (quote, false) };
    let mut index = delimiter.len();
    while index < text.len() {
        let rest = &text[index..];
        if rest.starts_with(delimiter) {
            return index + delimiter.len();
        }
        if rest.starts_with('\n') && !many_lines {
            return index;
        }
        let escape = quote == "\"" && rest.starts_with('\\');
        index += rest.chars().take(if escape { 2 } else { 1 }).map(char::len_utf8).sum::<usize>();
    }
    text.len()
}

/// Moves every place, for a text that was cut out of a longer one.
fn shift(node: &mut Node, offset: usize) {
    node.place = node.place.shifted(offset);
    match &mut node.value {
        Value::Array(elements) => elements.iter_mut().for_each(|element| shift(element, offset)),
        Value::Table(Table(entries)) => {
            for entry in entries {
                entry.key_place = entry.key_place.shifted(offset);
                shift(&mut entry.node, offset);
            }
        }
        _ => {}
    }
}

/// A text as it would be written, short enough for a message.
pub(super) fn quoted(text: &str) -> String {
    if text.chars().count() <= SHOWN_MAX {
        return format!("{text:?}");
    }
    let shown: String = text.chars().take(SHOWN_MAX).collect();
    format!("{shown:?}…")
}

/// The most parts of a dotted key; a configuration has five.
pub(super) const KEY_PARTS_MAX: usize = 64;

/// The most characters of a value that a message repeats.
const SHOWN_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_points_between_the_parts_of_one_key_are_counted() {
        let many = "a.".repeat(100);
        let points = ".".repeat(100);
        let cases = [
            (format!("x = 1\n{many}b = 1"), true),
            (format!("[{many}b]"), true),
            (format!("x = {{ {many}b = 1 }}"), true),
            ("'a.'.\"\\\".\".".repeat(40), true),
            (format!("x = \"{points}\""), false),
            (format!("x = '{points}' # {points}"), false),
            (format!("x = \"\"\"\n{points}\n\" {points}\"\"\""), false),
            ("a.b = 1.5\n".repeat(100), false),
            (format!("x = \"{points}"), false),
        ];
        for (text, expected) in cases {
            assert_eq!(key_of_too_many_parts(&text).is_some(), expected, "{text}");
        }
    }
}
