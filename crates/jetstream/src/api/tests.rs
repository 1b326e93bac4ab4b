//! What the document says and what is served.

use serde_json::Value;

use super::listener::DESCRIPTION;
use super::route::Operation;

#[test]
fn the_document_describes_what_is_routed_and_nothing_else() {
    let document: Value = serde_json::from_str(DESCRIPTION).unwrap();
    let mut described = Vec::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        let id = "5a000000-0000-4000-8000-000000000001";
        let path = path.replace("{name}", "a").replace("{uuid}", id).replace("{id}", "1");
        for method in ["GET", "PUT", "POST", "DELETE", "PATCH"] {
            let routed = Operation::of(&method.parse().unwrap(), &path);
            let is_described = operations.get(method.to_lowercase()).is_some();
            assert_eq!(routed.is_ok(), is_described, "{method} {path}");
            described.extend(routed.ok());
        }
    }
    for (place, operation) in described.iter().enumerate() {
        assert!(!described[..place].contains(operation), "{operation:?} has two paths");
    }
    assert_eq!(described.len(), 9, "all of them: {described:?}");
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn check(value: &Value, document: &Value) {
        match value {
            Value::Object(fields) => fields.iter().for_each(|(name, value)| match value {
                Value::String(path) if name == "$ref" => {
                    let pointer = path.strip_prefix('#').unwrap();
                    assert!(document.pointer(pointer).is_some(), "{path}");
                }
                value => check(value, document),
            }),
            Value::Array(elements) => elements.iter().for_each(|value| check(value, document)),
            _ => {}
        }
    }
    let document = serde_json::from_str(DESCRIPTION).unwrap();
    check(&document, &document);
}
