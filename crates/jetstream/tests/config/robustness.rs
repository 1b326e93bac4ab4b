//! No text stops the reader: it answers with a configuration or with mistakes that can be printed.

use jetstream::config::variables;
use proptest::prelude::*;

use super::{load, load_with, set, variable};

/// Pieces of which interesting configurations are made.
const PIECES: &[&str] = &[
    "[models.A.properties]\n",
    "[models.A]\n",
    "[scopes.A]\n",
    "[scopes.'b/{id}']\n",
    "[scopes.A.limits]\n",
    "[limits]\n",
    "[enumerations]\n",
    "[procedures.'A.b']\n",
    "[[models]]\n",
    "listen = ",
    "root = ",
    "extends = ",
    "initial = ",
    "state = ",
    "members_max = ",
    "message_bytes_max = ",
    "constraints = ",
    "x = ",
    "type = ",
    "default = ",
    "'A'",
    "\"[A]\"",
    "'Number'",
    "'1MiB'",
    "'127.0.0.1:0'",
    "{ x = 1 }",
    "{ type = 'Date', default = 2020-01-01 }",
    "[{ type = 'add', model = 'A', properties = { x = 'new' } }]",
    "['a', 'a']",
    "9223372036854775807",
    "9223372036854775808",
    "-1",
    "1e400",
    "nan",
    "true",
    "07:32:00",
    "\n",
    ",",
    "{",
    "]",
    "\"",
    "ä",
    "\u{feff}",
    "\0",
    "\r\n",
];

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<String>(),
        prop::collection::vec(prop::sample::select(PIECES), 0..24).prop_map(|p| p.concat()),
        (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<char>()).prop_map(
            |(from, to, character)| {
                let whole = include_str!("contract.toml");
                let boundary =
                    |index: usize| (0..=index).rev().find(|i| whole.is_char_boundary(*i));
                let a = boundary(from.index(whole.len())).unwrap_or(0);
                let b = boundary(to.index(whole.len())).unwrap_or(0);
                let (a, b) = (a.min(b), a.max(b));
                format!("{}{character}{}", &whole[..a], &whole[b..])
            }
        ),
    ]
}

fn print(result: Result<jetstream::config::Config, jetstream::config::Mistakes>) {
    if let Err(mistakes) = result {
        assert!(!mistakes.0.is_empty());
        assert!(!mistakes.to_string().is_empty());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in text()) {
        print(load(&text));
    }

    #[test]
    fn any_setting_is_read_or_refused(key in text(), value in text(), name in any::<String>()) {
        let settings = [
            set(&key),
            set(&format!("{key}={value}")),
            set(&format!("scopes.Canvas.{name}={value}")),
            variable(&format!("JETSTREAM_{name}"), &value),
            variable(&format!("JETSTREAM_SCOPES__CANVAS__{name}"), &value),
        ];
        for setting in settings {
            print(load_with(include_str!("contract.toml"), &[setting]));
        }
        variables([(name, value)], &[]);
    }
}

#[test]
fn deep_nesting_is_a_mistake_and_no_stack_overflow() {
    for (open, close) in [("[", "]"), ("{ a = ", "}")] {
        let text = format!("listen = {}1{}", open.repeat(100_000), close.repeat(100_000));
        assert!(load(&text).is_err());
        print(load_with("", &[set(&text)]));
    }
    let dotted = format!("{}x = 1", "a.".repeat(100_000));
    print(load(&dotted));
    print(load_with("", &[variable(&format!("JETSTREAM_{}", "A__".repeat(100_000)), "1")]));
}
