//! What a server says of a scope, as lines.

use std::fmt::Write;

use jetstream_client::RawNews;
use jetstream_core::wire::message::RawFragment;
use serde_json::{Map, Value};

/// How it is printed.
#[derive(Debug, Clone, Copy)]
pub(super) enum Format {
    /// A line for each object of a state and each fragment of a change: `+ Shape 5a00… x=1`.
    Human,
    /// A JSON object for each state and each change.
    Json,
}

impl Format {
    /// Lines, each with its end.
    pub(super) fn news(self, news: &RawNews) -> String {
        match (self, news) {
            (Self::Human, RawNews::State { root: _, fragments }) => state(fragments),
            (Self::Human, RawNews::Sync { fragments }) => fragments.iter().map(change).collect(),
            (Self::Json, RawNews::State { root, fragments }) => {
                let fragments = list(fragments);
                format!(
                    "{{\"event\":\"state\",\"rootUUID\":\"{root}\",\"fragments\":{fragments}}}\n"
                )
            }
            (Self::Json, RawNews::Sync { fragments }) => {
                format!("{{\"event\":\"sync\",\"fragments\":{}}}\n", list(fragments))
            }
        }
    }
}

/// The fragments as they came. JSON in one message may stand over several lines, here it may not.
fn list(fragments: &[RawFragment]) -> String {
    let each = fragments.iter().map(|fragment| fragment.get().replace(['\n', '\r'], " "));
    format!("[{}]", each.collect::<Vec<_>>().join(","))
}

fn state(fragments: &[RawFragment]) -> String {
    let objects = if fragments.len() == 1 { "object" } else { "objects" };
    let mut text = format!("state: {} {objects}\n", fragments.len());
    text.extend(fragments.iter().map(|fragment| line("=", fragment)));
    text
}

fn change(fragment: &RawFragment) -> String {
    let sign = match object(fragment).get("type").and_then(Value::as_str) {
        Some("add") => "+",
        Some("remove") => "-",
        Some("movechange") => ">",
        _ => "~",
    };
    line(sign, fragment)
}

/// `= Shape 5a00… x=1 color="red" shapes:+5b00…`
fn line(sign: &str, fragment: &RawFragment) -> String {
    let fragment = object(fragment);
    let mut line = sign.to_owned();
    for field in ["clsName", "uuid"] {
        let text = fragment.get(field).and_then(Value::as_str).unwrap_or("?");
        // What a server says may hold what moves a terminal's cursor; as JSON it does not.
        let _ = write!(line, " {}", bare(text));
    }
    for (name, value) in entries(&fragment, "properties") {
        let _ = write!(line, " {}={value}", bare(name));
    }
    for (name, edits) in entries(&fragment, "collections") {
        let _ = write!(line, " {}:{}", bare(name), collection_edits(edits));
    }
    line.push('\n');
    line
}

/// `+5b00…,-5c00…`
fn collection_edits(edits: &Value) -> String {
    let edits = edits.as_array().map(Vec::as_slice).unwrap_or_default();
    let edit = |edit: &Value| match (edit["insert"].as_str(), edit["remove"].as_str()) {
        (Some(object), _) => format!("+{}", bare(object)),
        (_, Some(object)) => format!("-{}", bare(object)),
        _ => edit.to_string(),
    };
    edits.iter().map(edit).collect::<Vec<_>>().join(",")
}

fn object(fragment: &RawFragment) -> Map<String, Value> {
    serde_json::from_str(fragment.get()).unwrap_or_default()
}

fn entries<'a>(
    fragment: &'a Map<String, Value>,
    part: &str,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    fragment.get(part).and_then(Value::as_object).into_iter().flatten()
}

/// A name or an id as it is, anything else as JSON.
fn bare(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !text.is_empty() && text.chars().all(is_plain) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(json: &str) -> RawFragment {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn each_fragment_is_a_line() {
        for (fragment, expected) in [
            (
                r#"{"type":"add","uuid":"5a","clsName":"Shape","properties":{"x":1.50,"name":"a\u001b[2J"}}"#,
                r#"+ Shape 5a name="a\u001b[2J" x=1.5"#,
            ),
            (
                r#"{"type":"change","uuid":"ca","clsName":"Canvas","collections":{"shapes":[{"insert":"5b","after":null},{"remove":"5a"}]}}"#,
                "~ Canvas ca shapes:+5b,-5a",
            ),
            (r#"{"type":"remove","uuid":"5a","clsName":"Shape"}"#, "- Shape 5a"),
            (r#"{"type":"movechange","uuid":"5a","clsName":"Shape"}"#, "> Shape 5a"),
            (r#"{"uuid":7,"clsName":"\u001bc"}"#, r#"~ "\u001bc" "?""#),
            ("[]", r#"~ "?" "?""#),
        ] {
            assert_eq!(change(&raw(fragment)), format!("{expected}\n"));
        }
    }

    #[test]
    fn for_programs_each_message_is_a_line() {
        let fragments = vec![raw(r#"{"uuid":"ca","x":1e400}"#)];
        assert_eq!(
            Format::Json.news(&RawNews::Sync { fragments }),
            "{\"event\":\"sync\",\"fragments\":[{\"uuid\":\"ca\",\"x\":1e400}]}\n"
        );
    }
}
