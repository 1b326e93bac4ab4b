//! What is kept, and what becomes of it.

use jetstream::storage::Retention;
use jetstream::storage::evolution::Migration;

use super::mistakes::check;

#[test]
fn migrations_and_the_past_are_as_they_are_written() {
    let text = "[storage]\nretention = { age = \"30d\" }\n\n[migrations]\nSticker = { drop = true }\n\
                \"Shape.colour\" = { rename = \"color\", convert = \"'#' + object.colour\" }";
    let config = super::load(text).unwrap();
    let retention = config.storage.retention.unwrap();
    assert_eq!(retention.age_ms_max, 30 * 24 * 60 * 60 * 1000);
    assert_eq!(retention.bytes_max, Retention::default().bytes_max);
    assert_eq!(config.migrations.get("Sticker"), Some(&Migration::Drop));
    let (rename, convert) = (Some("color".to_owned()), Some("'#' + object.colour".to_owned()));
    let colour = Migration::Keep { rename, convert };
    assert_eq!(config.migrations.get("Shape.colour"), Some(&colour));
}

#[test]
fn mistakes_in_what_is_kept_are_told_with_their_place() {
    check(
        "",
        "",
        &[
            (
                "[storage]\nretention = { age = 0, size = \"1 day\" }\ncontrol = 7",
                &[
                    "2:21 expected a duration from 1 on: a number of milliseconds, or a text with ms, s, min, h or d, found the integer 0",
                    "2:31 expected a size from 1 on: a number of bytes, or a text with B, KiB, MiB, GiB, kB, MB or GB, found the string \"1 day\"",
                    "3:11 expected the name of a file, found the integer 7",
                ],
            ),
            (
                "[migrations]\nA = {}\n\"A.b.c\" = { drop = true }\nB = { convert = \"1\" }\nC = { drop = 1 }\n\"C.d\" = { drop = true, rename = \"e\" }",
                &[
                    "2:5 a migration says what becomes of it = { drop = true }, { rename = \"…\" }, { convert = \"…\" }, or the last two",
                    "3:1 \"A.b.c\" is neither a model nor a property of one = an entry is about a model or a property: \"Shape\" = …, \"Shape.colour\" = …",
                    "4:5 the objects of a model cannot be converted, their properties can",
                    "5:14 expected true or false, found the integer 1",
                    "6:9 a migration says what becomes of it = { drop = true }, { rename = \"…\" }, { convert = \"…\" }, or the last two",
                ],
            ),
        ],
    );
}

#[test]
fn scopes_are_kept_in_a_database_that_is_named() {
    let address = "postgres://jetstream:hush@db.example/boards?sslmode=disable";
    let storage = super::load(&format!("[storage]\npostgres = \"{address}\"")).unwrap().storage;
    let folder = std::path::Path::new("");
    let expected = jetstream::storage::PostgresAddress::parse(address, folder).unwrap();
    assert_eq!((storage.postgres, storage.path), (Some(expected), None));
}

#[test]
fn mistakes_about_a_database_are_told_without_its_password() {
    let wrong = "postgres://jetstream:hush@db.example/boards?sslmode=perhaps";
    let mistakes = super::load(&format!("[storage]\npath = 'x'\npostgres = \"{wrong}\""));
    let told = mistakes.unwrap_err().to_string();
    assert!(told.contains("a database means nothing with \"memory\" or \"path\""), "{told}");
    assert!(told.contains("sslmode is \"perhaps\""), "{told}");
    assert!(!told.contains("hush"), "{told}");
}

#[test]
fn scopes_are_kept_beside_the_file_unless_it_says_otherwise() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
    let cases = [
        ("", Some("data")),
        ("[storage]", Some("data")),
        ("[storage]\nmemory = false", Some("data")),
        ("[storage]\npath = 'x/y'", Some("x/y")),
        ("[storage]\npath = '/var/z'", Some("/var/z")),
        ("[storage]\nmemory = true", None),
    ];
    for (text, expected) in cases {
        let storage = super::load(text).unwrap().storage;
        let path = expected.map(|path| folder.join(path));
        let control = path.as_ref().map(|path| path.join("control.json"));
        assert_eq!((storage.path, storage.control), (path, control), "{text}");
    }
    let storage = super::load("[storage]\ncontrol = 'run/c.json'").unwrap().storage;
    assert_eq!(storage.control, Some(folder.join("run/c.json")));
}
