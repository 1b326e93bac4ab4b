//! `state = "file.json"`: a scope that begins with objects.

use std::path::Path;

use jetstream::config::{Config, Initial, Mistakes};

const CONFIG: &str = "[models.Shape.properties]
x = 'Number'
[models.Canvas.properties]
name = 'String'
shapes = '[Shape]'
[scopes.Canvas]
root = 'Canvas'
state = 'canvas.json'
";

const ROOT: &str = "ca000000-0000-4000-8000-000000000001";
const SHAPE: &str = "5a000000-0000-4000-8000-000000000001";

/// Loads the configuration from a folder of the test's own, with `state` in its file.
fn load(test: &str, state: &str) -> Result<Config, Mistakes> {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("canvas.json"), state).unwrap();
    Config::parse("jetstream.toml", CONFIG, &folder, &[])
}

/// The mistakes, as `line:column message`; all of them in the state's file.
fn mistakes(test: &str, state: &str) -> Vec<String> {
    let mistakes = load(test, state).unwrap_err().0;
    let line = |mistake: &jetstream::config::Mistake| {
        assert!(mistake.source.ends_with("canvas.json"), "{mistake}");
        let (line, column) = mistake.position.unwrap();
        format!("{line}:{column} {}", mistake.message)
    };
    mistakes.iter().map(line).collect()
}

fn state(fragments: &[String]) -> String {
    format!("{{\n\"rootUUID\": \"{ROOT}\",\n\"fragments\": [\n{}\n]}}", fragments.join(",\n"))
}

fn canvas(properties: &str) -> String {
    format!(
        "{{\"type\": \"change\", \"uuid\": \"{ROOT}\", \"clsName\": \"Canvas\", \"properties\": {{{properties}}}}}"
    )
}

fn shape(properties: &str) -> String {
    format!(
        "  {{\"type\": \"add\", \"uuid\": \"{SHAPE}\", \"clsName\": \"Shape\", \"properties\": {{{properties}}}}}"
    )
}

#[test]
fn the_objects_of_the_file_are_the_scopes_first() {
    let text = state(&[canvas(&format!("\"shapes\": [\"{SHAPE}\"]")), shape("\"x\": 1")]);
    let config = load("state_good", &text).unwrap();
    let Initial::State(graph) = &config.scopes[0].initial else { panic!("no state") };
    assert_eq!(graph.root().to_string(), ROOT);
    let objects: Vec<_> = graph.depth_first().map(|object| object.id().to_string()).collect();
    assert_eq!(objects, [ROOT, SHAPE]);
}

#[test]
fn mistakes_in_the_file_have_its_lines() {
    let attached = canvas(&format!("\"shapes\": [\"{SHAPE}\"]"));
    let cases = [
        (
            "state_no_json",
            "{\n  oops }".to_owned(),
            "2:3 cannot be read as a state: key must be a string",
        ),
        (
            "state_no_root",
            "{\"fragments\": []\n}".to_owned(),
            "2:1 cannot be read as a state: missing field `rootUUID`",
        ),
        (
            "state_empty",
            state(&[]),
            "1:1 the first fragment must be a change of the root ca000000-0000-4000-8000-000000000001",
        ),
        (
            "state_wrong_model",
            state(&[shape("").replace(SHAPE, ROOT).replace("add", "change")]),
            "4:3 the root is of the model \"Shape\", the scope's is \"Canvas\"",
        ),
        (
            "state_wrong_type",
            state(&[attached, shape("\"x\": \"one\"")]),
            "5:3 property \"x\" of \"Shape\": expected a number, found \"one\"",
        ),
        (
            "state_unattached",
            state(&[canvas(""), shape("")]),
            "5:3 the root does not reach 5a000000-0000-4000-8000-000000000001 when the message ends",
        ),
    ];
    for (test, text, expected) in cases {
        assert_eq!(mistakes(test, &text), [expected]);
    }
}
