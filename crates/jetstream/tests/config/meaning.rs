//! What a configuration without mistakes means.

use jetstream::config::{Config, Initial, LIMIT_KEYS};
use jetstream::core::limits::Limits;
use jetstream::core::model::constraint::PropertyConstraint;
use jetstream::core::model::schema::Lifetime;
use jetstream::core::model::{FragmentKind, Scalar, Value};
use jetstream::core::time::Timestamp;

use super::{load, load_with, set, variable};
use jetstream::config::Setting;

fn loaded(text: &str) -> Config {
    load(text).unwrap_or_else(|mistakes| panic!("{mistakes}"))
}

/// The properties of a model in wire order, with their types.
fn properties(config: &Config, model: &str) -> Vec<String> {
    let (_, model) = config.schema.find(model).unwrap();
    let line = |p: &jetstream::core::model::Property| {
        let default = p.default().map_or(String::new(), |default| format!(" = {default:?}"));
        format!("{}: {}{default}", p.name(), config.schema.type_name(p))
    };
    model.properties().map(|(_, property)| line(property)).collect()
}

/// The first values of a scope's root, by name.
fn first_values(config: &Config, scope: usize) -> Vec<(String, Value)> {
    let scope = &config.scopes[scope];
    let Initial::Properties(values) = &scope.initial else { panic!("a state") };
    let model = config.schema.model(scope.root);
    values.iter().map(|(id, v)| (model.property(*id).name().to_string(), v.clone())).collect()
}

#[test]
fn the_example_of_the_contract_means_what_it_says() {
    let config = loaded(include_str!("contract.toml"));
    assert_eq!(config.listen, "127.0.0.1:3000");
    assert_eq!(config.metrics.as_deref(), Some("127.0.0.1:9090"));
    assert_eq!(config.limits, Limits { message_bytes_max: 1 << 20, ..Limits::default() });
    assert_eq!(
        properties(&config, "Circle"),
        [
            "x: Number",
            "y: Number",
            "width: Number = Number(100.0)",
            "height: Number = Number(100.0)",
            "color: Number",
            "radius: Number"
        ]
    );
    assert_eq!(properties(&config, "Canvas"), ["name: String", "shapes: [Shape]"]);
    let names: Vec<_> = config.scopes.iter().map(|scope| scope.template.to_string()).collect();
    assert_eq!(names, ["Canvas", "boards/{id}"]);
    let name = Value::Scalar(Some(Scalar::from("Shapes Demo")));
    assert_eq!(first_values(&config, 0), [("name".to_owned(), name)]);
    assert_eq!(first_values(&config, 1), []);

    let procedure = &config.procedures[0];
    assert_eq!(procedure.name.as_str(), "Canvas.addShape");
    let kinds: Vec<_> = procedure.constraints.iter().map(|c| (c.kind, c.additional)).collect();
    assert_eq!(kinds, [(FragmentKind::Add, true), (FragmentKind::Change, false)]);
    let asked = |index: usize| -> Vec<_> {
        procedure.constraints[index].properties.iter().map(|(_, asked)| asked.clone()).collect()
    };
    assert_eq!(asked(0), [PropertyConstraint::New, PropertyConstraint::New]);
    assert_eq!(asked(1), [PropertyConstraint::Insert]);
}

#[test]
fn nothing_has_to_be_said() {
    let config = loaded("");
    assert_eq!(config.listen, "127.0.0.1:3000");
    assert_eq!((config.scopes.len(), config.metrics, config.tls), (0, None, None));
    assert_eq!(config.limits, Limits::default());
}

#[test]
fn first_values_are_typed_by_the_model() {
    let config = loaded(
        "[models.A.properties]
        s = 'String'
        n = 'Number'
        b = 'Boolean'
        d1 = 'Date'
        d2 = 'Date'
        d3 = 'Date'
        day = 'Day'
        status = 'Status'
        ns = '[Number]'
        days = '[Day]'
        ds = '[Date]'
        [enumerations]
        Day = ['Mon', 'Tue']
        Status = { Open = 0, Closed = 1 }
        [scopes.A]
        root = 'A'
        [scopes.A.initial]
        s = ''
        n = -1.5
        b = false
        d1 = 2020-01-02T03:04:05.678Z
        d2 = '2020-01-02T03:04:05.678Z'
        d3 = 1577934245.678
        day = 'Tue'
        status = 1
        ns = [1, 2.5, -9007199254740992]
        days = ['Mon', 'Mon']
        ds = [1970-01-01, 1]",
    );
    let scalar = |scalar| Value::Scalar(Some(scalar));
    let date = scalar(Scalar::Date(Timestamp(1_577_934_245_678)));
    let numbers = [1.0, 2.5, -9_007_199_254_740_992.0];
    let expected = [
        ("s", scalar(Scalar::from(""))),
        ("n", scalar(Scalar::Number(-1.5))),
        ("b", scalar(Scalar::Boolean(false))),
        ("d1", date.clone()),
        ("d2", date.clone()),
        ("d3", date),
        ("day", scalar(Scalar::from("Tue"))),
        ("status", scalar(Scalar::Number(1.0))),
        ("ns", Value::Scalars(numbers.map(Scalar::Number).into())),
        ("days", Value::Scalars(["Mon", "Mon"].map(Scalar::from).into())),
        ("ds", Value::Scalars([0, 1000].map(|t| Scalar::Date(Timestamp(t))).into())),
    ];
    assert_eq!(first_values(&config, 0), expected.map(|(name, value)| (name.to_owned(), value)));
}

#[test]
fn a_constraint_can_ask_for_a_text_that_means_something_else() {
    let config = loaded(
        "models.A.properties = { s = 'String', n = 'Number' }
        [procedures.'A.p']
        constraints = [
            { type = 'movechange', model = 'A', properties = { s = { value = 'new' }, n = 1 } },
            { type = 'remove', model = 'A', repeated = true },
        ]",
    );
    let asked: Vec<_> =
        config.procedures[0].constraints[0].properties.iter().map(|(_, a)| a.clone()).collect();
    let value = |scalar| PropertyConstraint::Value(Value::Scalar(Some(scalar)));
    assert_eq!(asked, [value(Scalar::from("new")), value(Scalar::Number(1.0))]);
    let removal = &config.procedures[0].constraints[1];
    assert_eq!((removal.kind, removal.repeated), (FragmentKind::Remove, true));
}

#[test]
fn a_lifetime_is_of_the_scope_unless_the_model_says_so() {
    let config = loaded(
        "models.Shape = { lifetime = 'scope' }
        models.Cursor = { lifetime = 'session' }
        models.Pen = { extends = 'Cursor' }
        models.Canvas = {}",
    );
    let lifetimes: Vec<_> = config.schema.models().map(|(_, model)| model.lifetime()).collect();
    let (scope, session) = (Lifetime::Scope, Lifetime::Session);
    assert_eq!(lifetimes, [scope, session, session, scope]);
}

#[test]
fn a_limit_has_its_default_the_servers_or_the_scopes_own_value() {
    let config = loaded(
        "models.A = {}
        limits = { members_max = 7, session_timeout_ms = '1h' }
        scopes.A = { root = 'A', limits = { scope_idle_ms = '2s' } }
        scopes.B = { root = 'A', limits = { members_max = 3 } }",
    );
    assert_eq!(config.limits.session_timeout_ms, 3_600_000);
    let of_scopes: Vec<_> =
        config.scopes.iter().map(|s| (s.limits.members_max, s.limits.scope_idle_ms)).collect();
    assert_eq!(of_scopes, [(7, 2_000), (3, 60_000)]);
}

#[test]
fn every_limit_is_set_under_its_own_name() {
    for key in LIMIT_KEYS {
        let value = (key.get)(&Limits::default()) + 1;
        // The hard bound may not be the lower one.
        let text = format!("[limits]\nbacklog_bytes_hard_max = 99999999\n{} = {value}", key.name);
        let text = match key.name {
            "backlog_bytes_hard_max" => format!("[limits]\n{} = {value}", key.name),
            _ => text,
        };
        let limits = loaded(&text).limits;
        let set: Vec<_> = LIMIT_KEYS
            .iter()
            .filter(|other| other.name == key.name || other.name != "backlog_bytes_hard_max")
            .filter(|other| (other.get)(&limits) != (other.get)(&Limits::default()))
            .map(|other| (other.name, (other.get)(&limits)))
            .collect();
        assert_eq!(set, [(key.name, value)]);
    }
}

#[test]
fn the_later_setting_wins_over_the_earlier_and_all_over_the_file() {
    let flag = Setting::Flag { flag: "--listen".into(), key: "listen".into(), value: "d:4".into() };
    let settings =
        [variable("JETSTREAM_LISTEN", "b:2"), set("listen=c:3"), set("metrics.listen=e:5"), flag];
    let listen = |count: usize| load_with("listen = 'a:1'", &settings[..count]).unwrap().listen;
    assert_eq!([0, 1, 2, 4].map(listen), ["a:1", "b:2", "c:3", "d:4"]);
    assert_eq!(load_with("", &settings).unwrap().metrics.as_deref(), Some("e:5"));
}

#[test]
fn addresses_of_every_kind_are_taken() {
    for address in ["localhost:0", "0.0.0.0:3000", "[::1]:3000", "[::]:0", "my-host.example:65535"]
    {
        assert_eq!(loaded(&format!("listen = '{address}'")).listen, address);
    }
    for address in ["::1:3000", "[::1]", "a b:1", ":3000", "host", "host:", "host:+1", "http://a:1"]
    {
        assert!(load(&format!("listen = '{address}'")).is_err(), "{address}");
    }
}

#[test]
fn the_demos_are_those_that_clients_in_the_field_know() {
    let config = loaded(include_str!("../../../../demos/jetstream.toml"));
    let names: Vec<_> = config.scopes.iter().map(|scope| scope.template.to_string()).collect();
    assert_eq!(names, ["Canvas", "ChatRoom", "boards/{id}", "presence/{id}"]);
    assert_eq!(
        properties(&config, "Shape"),
        ["x: Number", "y: Number", "width: Number", "height: Number", "color: Number"]
    );
    assert_eq!(properties(&config, "Canvas"), ["name: String", "shapes: [Shape]"]);
    assert_eq!(
        properties(&config, "ChatRoom"),
        ["name: String", "attributes: ChatRoomAttributes", "users: [User]", "messages: [Message]"]
    );
}

#[test]
fn every_limit_is_documented_with_its_default() {
    let page = include_str!("../../../../docs/configuration.md");
    for key in LIMIT_KEYS {
        let row = format!("| `{}` |", key.name);
        let line = page.lines().find(|line| line.starts_with(&row));
        let line = line.unwrap_or_else(|| panic!("no row {row} in docs/configuration.md"));
        let default = (key.get)(&Limits::default());
        assert!(line.contains(&format!("| {default} ")), "{line} does not give {default}");
        assert_eq!(line.contains("| yes |"), key.of_scope, "{line}");
    }
}

#[test]
fn the_page_of_the_book_shows_what_happens() {
    let page = include_str!("../../../../docs/configuration.md");
    let block = |language: &str| {
        let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("\n```").unwrap().0
    };
    let example = block("toml");
    assert_eq!(loaded(example).scopes.len(), 2);
    let mistaken = example
        .replacen("x = \"Number\"", "x = \"Nmber\"", 1)
        .replace("members_max = 50", "members = 50");
    assert_eq!(load(&mistaken).unwrap_err().to_string(), block("text"));
}

#[test]
fn the_inspector_is_there_beside_the_demos_or_when_it_is_asked_for() {
    let cases = [
        ("", false),
        ("demos = true", true),
        ("demos = true\ninspector.enabled = false", false),
        ("[inspector]", true),
        ("inspector.token = 'sixteen-letters!'", true),
    ];
    for (text, expected) in cases {
        assert_eq!(loaded(text).inspector.enabled, expected, "{text}");
    }
    let config = loaded("inspector.token = 'sixteen-letters!'");
    assert!(config.inspector.token.as_ref().is_some_and(|token| token.is("sixteen-letters!")));
    assert!(!format!("{config:?}").contains("sixteen"));
}

#[test]
fn a_token_that_is_easily_guessed_is_refused() {
    for token in ["short", "fifteen-letters", "sixteen letters and spaces"] {
        let mistakes = load(&format!("inspector.token = '{token}'")).unwrap_err().to_string();
        assert!(
            mistakes.contains("a token has at least 16 characters, and no spaces"),
            "{mistakes}"
        );
    }
}
