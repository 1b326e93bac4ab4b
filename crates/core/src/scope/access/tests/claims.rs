//! Who is the same, and who only looks like it.

use serde_json::{Value, json};

use crate::scope::Claims;

fn claims(said: &Value) -> Claims {
    Claims::new(said.as_object().cloned().expect("claims are an object"))
}

#[test]
fn a_principal_is_who_it_is_whatever_else_is_said() {
    let ann = json!({"iss": "us", "sub": "ann", "user": "ann", "roles": ["editor"], "exp": 1});
    let later =
        json!({"iss": "us", "sub": "ann", "user": "ann", "roles": [], "exp": 2, "jti": "x"});
    let elsewhere = json!({"iss": "them", "sub": "ann", "user": "ann"});
    let renamed = json!({"iss": "us", "sub": "ann", "user": "bo"});
    let unnamed = json!({"iss": "us", "roles": ["editor"], "exp": 1});
    let unnamed_later = json!({"iss": "us", "roles": ["editor"], "exp": 2});
    let others = json!({"iss": "us", "roles": ["viewer"], "exp": 1});
    let nobody = json!({});
    let nameless = json!({"user": "", "sub": null});
    for (one, other, same) in [
        (&ann, &later, true),
        (&ann, &elsewhere, false),
        (&ann, &renamed, false),
        (&ann, &unnamed, false),
        (&ann, &nobody, false),
        (&unnamed, &unnamed_later, true),
        (&unnamed, &others, false),
        (&unnamed, &nobody, false),
        (&nobody, &nobody, true),
        (&nobody, &nameless, true),
    ] {
        assert_eq!(claims(one).is_same_principal(&claims(other)), same, "{one} {other}");
        assert_eq!(claims(other).is_same_principal(&claims(one)), same, "{other} {one}");
    }
}
