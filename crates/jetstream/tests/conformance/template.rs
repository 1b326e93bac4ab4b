//! Placeholders: what stands for a token, for a long text, for a thousand fragments.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

/// The texts that were bound so far, by name.
pub type Bindings = HashMap<String, String>;

/// Puts in what is bound and repeats what is to be repeated. What only an expectation may hold
/// (`{{any}}`, `{{bind:…}}`) stays as it is.
pub fn fill_text(text: &str, bindings: &Bindings) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((inside, after)) = after.split_once("}}") else { break };
        filled.push_str(before);
        match resolve(inside, bindings) {
            Some(value) => filled.push_str(&value),
            None => {
                filled.push_str("{{");
                filled.push_str(inside);
                filled.push_str("}}");
            }
        }
        rest = after;
    }
    filled.push_str(rest);
    filled
}

fn resolve(placeholder: &str, bindings: &Bindings) -> Option<String> {
    if let Some(repeat) = placeholder.strip_prefix("repeat:") {
        let (text, times) = repeat.rsplit_once(':').expect("repeat has a text and a number");
        return Some(text.repeat(times.parse().expect("repeat ends with a number")));
    }
    bindings.get(placeholder).cloned()
}

/// The same in every text of a value, and every `$for` written out.
pub fn fill(value: &Value, bindings: &Bindings) -> Value {
    match value {
        Value::String(text) => Value::String(fill_text(text, bindings)),
        Value::Array(items) => {
            Value::Array(items.iter().flat_map(|item| unroll(item, bindings)).collect())
        }
        Value::Object(entries) => Value::Object(
            entries.iter().map(|(key, value)| (key.clone(), fill(value, bindings))).collect(),
        ),
        other => other.clone(),
    }
}

fn unroll(item: &Value, bindings: &Bindings) -> Vec<Value> {
    let Some(repeat) = item.get("$for") else { return vec![fill(item, bindings)] };
    let bound = |key: &str| repeat[key].as_u64().expect("$for counts from a number to a number");
    (bound("from")..=bound("to"))
        .map(|i| {
            let mut counted = bindings.clone();
            for (name, number) in [("i", i), ("i+1", i + 1), ("i-1", i - 1)] {
                counted.insert(name.to_owned(), format!("{number:012}"));
            }
            fill(&repeat["item"], &counted)
        })
        .collect()
}

/// A `send` action's text: as it was written, unless something has to be counted out.
pub fn fill_message(message: &str, bindings: &Bindings) -> String {
    if message.contains("\"$for\"") {
        let value = serde_json::from_str(message).expect("a message that is sent is JSON");
        return fill(&value, bindings).to_string();
    }
    fill_text(message, bindings)
}

/// Checks of this file, run as tests of their own.
pub fn self_test() {
    let bindings = Bindings::from([("token_a".to_owned(), "T".to_owned())]);
    assert_eq!(fill_text("/?t={{token_a}}&{{any}}", &bindings), "/?t=T&{{any}}");
    assert_eq!(fill_text("{{repeat:[:3}}{{repeat:]:3}}", &bindings), "[[[]]]");
    let counted =
        json!([{ "$for": { "from": 1, "to": 2, "item": ["{{i}}", "{{i+1}}", "{{i-1}}"] } }, 5]);
    let rows = json!([
        ["000000000001", "000000000002", "000000000000"],
        ["000000000002", "000000000003", "000000000001"],
        5
    ]);
    assert_eq!(fill(&counted, &bindings), rows);
    assert_eq!(fill(&Value::Object(Map::new()), &bindings), json!({}));
    assert_eq!(fill_message(r#"{"b":1,"a":"{{token_a}}"}"#, &bindings), r#"{"b":1,"a":"T"}"#);
}
