//! Whether what arrived is what was expected.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::peer::Event;
use crate::scenario::Expectation;

/// How strictly a step's events are compared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// The texts of errors count.
    pub exact_errors: bool,
    /// A Ping counts even where none is expected.
    pub pings: bool,
    /// Every frame must hold an array.
    pub arrays: bool,
}

/// What one expectation says about the events so far.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything has come; these names were bound.
    Matches(BTreeMap<String, String>),
    /// Nothing wrong so far, but something is missing.
    Incomplete,
    /// This will not match any more.
    Differs(String),
}

/// Compares the events of all clients with one expectation. Clients without an entry in
/// `arrived` have received nothing.
pub fn judge(
    expectation: &Expectation,
    arrived: &BTreeMap<String, Vec<Event>>,
    rules: Rules,
) -> Verdict {
    let mut bound = BTreeMap::new();
    let mut complete = true;
    let nothing = json!([]);
    let names = arrived.keys().chain(expectation.keys().filter(|name| *name != "*"));
    for name in names {
        let expected = expectation.get(name).or_else(|| expectation.get("*")).unwrap_or(&nothing);
        let events = arrived.get(name).map_or(&[][..], Vec::as_slice);
        match judge_client(expected, events, rules, &mut bound) {
            Ok(all) => complete &= all,
            Err(difference) => return Verdict::Differs(format!("{name}: {difference}")),
        }
    }
    if complete { Verdict::Matches(bound) } else { Verdict::Incomplete }
}

/// Whether all expected events are there, or what is wrong with one that is.
fn judge_client(
    expected: &Value,
    events: &[Event],
    rules: Rules,
    bound: &mut BTreeMap<String, String>,
) -> Result<bool, String> {
    if expected == "{{any}}" {
        return Ok(true);
    }
    let expected = expected.as_array().ok_or("an expectation is a list or {{any}}")?;
    let mut waiting = expected.iter();
    let mut next = waiting.next();
    for event in events {
        if rules.arrays && matches!(event, Event::Message { in_array: false, .. }) {
            return Err(format!("{} did not come in an array", event.to_json()));
        }
        let arrived = event.to_json();
        let compared = match next {
            Some(expected) => compare(expected, &arrived, rules, bound),
            None => Err("was not expected".to_owned()),
        };
        match compared {
            Ok(()) => next = waiting.next(),
            Err(_) if !rules.pings && is_ping(&arrived) => {}
            Err(difference) => return Err(format!("{difference}: {}", shorten(&arrived))),
        }
    }
    Ok(next.is_none())
}

/// Servers send these on their own account.
fn is_ping(message: &Value) -> bool {
    message["type"] == "Ping" && message["index"] == 0
}

fn compare(
    expected: &Value,
    actual: &Value,
    rules: Rules,
    bound: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    match (expected, actual) {
        (Value::String(text), _) if text == "{{any}}" => Ok(()),
        (Value::String(text), _) if text.starts_with("{{bind:") => bind(text, actual, bound),
        (Value::Number(expected), Value::Number(actual)) if same_number(expected, actual) => Ok(()),
        (Value::Array(expected), Value::Array(actual)) => {
            if expected.len() != actual.len() {
                return Err(format!("{} elements instead of {}", actual.len(), expected.len()));
            }
            let pairs = expected.iter().zip(actual).enumerate();
            each(pairs.map(|(i, (expected, actual))| (i, compare(expected, actual, rules, bound))))
        }
        (Value::Object(expected), Value::Object(actual)) => {
            if let Some(key) = actual.keys().find(|key| !expected.contains_key(*key)) {
                return Err(format!("unexpected key {key:?}"));
            }
            each(expected.iter().map(|(key, expected)| {
                let compared = match actual.get(key) {
                    None => Err("is missing".to_owned()),
                    Some(actual) if is_error(key, expected) => {
                        compare_error(expected, actual, rules)
                    }
                    Some(actual) => compare(expected, actual, rules, bound),
                };
                (key, compared)
            }))
        }
        _ if expected == actual => Ok(()),
        _ => Err(format!("{} instead of {}", shorten(actual), shorten(expected))),
    }
}

fn each<Place: std::fmt::Display>(
    mut compared: impl Iterator<Item = (Place, Result<(), String>)>,
) -> Result<(), String> {
    compared.try_for_each(|(place, result)| {
        result.map_err(|difference| format!("{place}: {difference}"))
    })
}

fn bind(
    placeholder: &str,
    actual: &Value,
    bound: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let name = placeholder.trim_start_matches("{{bind:").trim_end_matches("}}");
    match actual.as_str() {
        Some(text) if !text.is_empty() => {
            bound.insert(name.to_owned(), text.to_owned());
            Ok(())
        }
        _ => Err(format!("{} instead of a text", shorten(actual))),
    }
}

fn same_number(expected: &serde_json::Number, actual: &serde_json::Number) -> bool {
    expected == actual || expected.as_f64() == actual.as_f64()
}

/// Errors, and the reasons of closes, are there to be read by people.
fn is_error(key: &str, expected: &Value) -> bool {
    matches!(key, "error" | "reason") && expected.is_object()
}

/// The type must be the recorded one, if one was recorded; the message must say something.
fn compare_error(expected: &Value, actual: &Value, rules: Rules) -> Result<(), String> {
    let entries = actual.as_object().ok_or_else(|| format!("{} is no error", shorten(actual)))?;
    if let Some(key) = entries.keys().find(|key| !matches!(key.as_str(), "type" | "message")) {
        return Err(format!("unexpected key {key:?} in an error"));
    }
    if actual["message"].as_str().is_none_or(str::is_empty) {
        return Err("an error without a message".to_owned());
    }
    if expected.get("type").is_some() && expected["type"] != actual["type"] {
        return Err(format!("type {} instead of {}", actual["type"], expected["type"]));
    }
    if rules.exact_errors && expected["message"] != actual["message"] {
        return Err(format!("message {} instead of {}", actual["message"], expected["message"]));
    }
    Ok(())
}

/// A value as it fits into a line of a failure's report.
pub fn shorten(value: &Value) -> String {
    const CHARACTERS_MAX: usize = 400;
    let text = value.to_string();
    match text.char_indices().nth(CHARACTERS_MAX) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text,
    }
}

/// Checks of this file: that it tells right from wrong, and what it lets pass.
pub fn self_test() {
    let message = |value: Value| Event::Message { value, in_array: true };
    let verdict = |expected: Value, arrived: Vec<Event>, rules: Rules| {
        let expectation = serde_json::from_value(json!({ "a": expected })).unwrap();
        judge(&expectation, &BTreeMap::from([("a".to_owned(), arrived)]), rules)
    };
    let matches = |expected: Value, arrived: Vec<Value>| {
        let arrived = arrived.into_iter().map(message).collect();
        matches!(verdict(json!(expected), arrived, Rules::default()), Verdict::Matches(_))
    };
    let ping = json!({ "type": "Ping", "index": 0 });

    assert!(matches(json!([{ "x": 1 }]), vec![json!({ "x": 1.0 })]), "numbers by value");
    assert!(!matches(json!([{ "x": 1 }]), vec![json!({ "x": 1, "y": 1 })]), "no key more");
    assert!(!matches(json!([{ "x": 1, "y": 1 }]), vec![json!({ "x": 1 })]), "no key less");
    assert!(!matches(json!([{ "x": [1, 2] }]), vec![json!({ "x": [2, 1] })]), "order counts");
    assert!(!matches(json!([]), vec![json!({ "x": 1 })]), "nothing means nothing");
    assert!(matches(json!("{{any}}"), vec![json!({ "x": 1 })]), "any list of events");
    assert!(matches(json!([{ "x": "{{any}}" }]), vec![json!({ "x": [] })]), "any value");
    assert!(matches(json!([1]), vec![ping.clone(), json!(1), ping.clone()]), "Pings pass");
    assert!(matches(json!([ping]), vec![ping.clone()]), "and count where expected");
    let strict = Rules { pings: true, ..Rules::default() };
    assert!(matches!(verdict(json!([]), vec![message(ping)], strict), Verdict::Differs(_)));
    assert_eq!(verdict(json!([1]), vec![], Rules::default()), Verdict::Incomplete);

    let error = |value: Value| json!([{ "error": value }]);
    let arrived = |value: Value| vec![json!({ "error": value })];
    assert!(matches(
        error(json!({ "message": "x" })),
        arrived(json!({ "message": "y", "type": "t" }))
    ));
    assert!(!matches(error(json!({ "message": "x" })), arrived(json!({ "message": "" }))));
    assert!(!matches(
        error(json!({ "message": "x", "type": "t" })),
        arrived(json!({ "message": "x" }))
    ));

    let token = verdict(json!([{ "t": "{{bind:b}}" }]), vec![message(json!({ "t": "T" }))], strict);
    assert_eq!(token, Verdict::Matches(BTreeMap::from([("b".to_owned(), "T".to_owned())])));
    let array = Rules { arrays: true, ..Rules::default() };
    let bare = Event::Message { value: json!(1), in_array: false };
    assert!(matches!(verdict(json!([1]), vec![bare], array), Verdict::Differs(_)));
}
