//! The book's page about backends: its configuration is served, its commands are carried out, and their
//! answers are as it says.

use serde_json::Value;

use super::http::{Ask, get};
use super::world::{ADMIN, WRITER, World};

const PAGE: &str = include_str!("../../../../docs/guide/backends.md");

/// The blocks of code of the page with their languages.
fn blocks() -> impl Iterator<Item = (&'static str, &'static str)> {
    PAGE.split("\n```").skip(1).step_by(2).map(|block| block.split_once('\n').unwrap())
}

/// The words of a command, with variables put in. What the page uses of a shell, and no more.
fn words(command: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quote = None;
    let mut characters = command.trim().chars().peekable();
    while let Some(character) = characters.next() {
        match (quote, character) {
            (None, '\'' | '"') => quote = Some(character),
            (Some(open), close) if open == close => quote = None,
            (None, '\\') if characters.next_if_eq(&'\n').is_some() => {}
            (None, ' ') => {
                if words.last().is_some_and(|word| !word.is_empty()) {
                    words.push(String::new());
                }
            }
            (None | Some('"'), '$') => {
                let mut name = String::new();
                while let Some(letter) = characters.next_if(char::is_ascii_uppercase) {
                    name.push(letter);
                }
                let found = variables.iter().find(|(known, _)| *known == name);
                let (_, value) = found.unwrap_or_else(|| panic!("no variable {name:?}"));
                words.last_mut().unwrap().push_str(value);
            }
            (_, other) => words.last_mut().unwrap().push(other),
        }
    }
    words
}

/// What a command of curl asks for.
fn curl(command: &str) -> Ask {
    let words = words(command, &[("URL", ""), ("TOKEN", WRITER), ("ADMIN", ADMIN)]);
    let mut words = words.into_iter();
    assert_eq!(words.next().as_deref(), Some("curl"), "{command}");
    let mut ask = get("");
    while let Some(word) = words.next() {
        match word.as_str() {
            "-N" => {}
            "-H" => {
                let header = words.next().unwrap();
                let (name, value) = header.split_once(": ").unwrap();
                ask = ask.header(name, value);
            }
            "-d" => (ask.method, ask.body) = ("POST".to_owned(), words.next()),
            path => ask.path = path.to_owned(),
        }
    }
    ask
}

/// Whether what is shown is a part of what was answered.
fn shows(answer: &Value, shown: &Value) -> bool {
    match (answer, shown) {
        (Value::Object(answer), Value::Object(shown)) => shown
            .iter()
            .all(|(key, value)| answer.get(key).is_some_and(|found| shows(found, value))),
        _ => answer == shown,
    }
}

#[tokio::test]
async fn the_examples_of_the_page_work() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("billing.token"), WRITER).unwrap();
    std::fs::write(folder.path().join("operator.token"), ADMIN).unwrap();
    let (_, text) = blocks().find(|(language, _)| *language == "toml").unwrap();
    let text = text.replace(":3000", ":0").replace(":9091", ":0");
    let config = jetstream::config::Config::parse("page.toml", &text, folder.path(), &[]);
    let world = World::of(&config.unwrap_or_else(|error| panic!("{error}"))).await;
    let mut last = None;
    let mut compared = 0;
    for (language, text) in blocks() {
        match language {
            "sh" => {
                let answer = world.ask(&curl(text)).await;
                assert_eq!(answer.status, 200, "{text}\n{answer:?}");
                last = Some(answer);
            }
            "json" => {
                let answer = last.take().unwrap().json();
                let shown: Value = serde_json::from_str(text).unwrap();
                assert!(shows(&answer, &shown), "{answer}\n{shown}");
                compared += 1;
            }
            "text" => {
                let answer = last.take().unwrap();
                let (before, _) = text.split_once("data:").unwrap();
                assert!(answer.body.starts_with(before), "{answer:?}");
                compared += 1;
            }
            _ => {}
        }
    }
    assert_eq!(compared, 8, "as many as there are on the page");
}
