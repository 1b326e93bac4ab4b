//! `jetstream types`: definitions that other programs compile.
//!
//! What is expected stands in files that the suites of those languages compile: JavaScript and TypeScript
//! in `js/test/generated`, Rust in the test `types`.

use super::process::{folder, jetstream, run};

const MODELS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/types/models.toml");

fn printed(language: &str) -> String {
    let ended = run(jetstream(&folder(language), &["types", MODELS, "--as", language]));
    assert_eq!((ended.code, ended.err.as_str()), (Some(0), ""));
    ended.out
}

#[test]
fn every_language_gets_all_that_the_configuration_says() {
    let expected = [
        ("js", include_str!("../../../../js/test/generated/models.js")),
        ("ts", include_str!("../../../../js/test/generated/typed-models.ts")),
        ("rust", include_str!("../types/models.rs")),
        ("swift", include_str!("../types/Models.swift")),
    ];
    for (language, expected) in expected {
        assert_eq!(printed(language), expected, "{language}");
    }
}

#[test]
fn without_a_file_the_models_of_the_demos_are_printed_as_javascript() {
    let ended = run(jetstream(&folder("types_of_demos"), &["types"]));
    assert!(ended.out.contains("export const Canvas = model('Canvas', {"), "{}", ended.out);
}

/// Brackets that close in order, and texts that end: what can be said of Swift without its compiler.
fn is_balanced(text: &str) -> bool {
    let mut open = Vec::new();
    let (mut in_text, mut escaped) = (false, false);
    for line in text.lines() {
        for character in line.split("//").next().unwrap_or_default().chars() {
            match character {
                _ if escaped => escaped = false,
                '\\' if in_text => escaped = true,
                '"' => in_text = !in_text,
                _ if in_text => {}
                '{' | '[' | '(' => open.push(character),
                '}' | ']' | ')' => {
                    let begun = open.pop();
                    let fits = ["{}", "[]", "()"]
                        .contains(&&*format!("{}{character}", begun.unwrap_or(' ')));
                    if !fits {
                        return false;
                    }
                }
                _ => {}
            }
        }
        if in_text {
            return false;
        }
    }
    open.is_empty()
}

#[test]
fn the_swift_that_is_printed_has_only_lines_of_the_few_kinds_that_a_model_needs() {
    let text = printed("swift");
    assert!(is_balanced(&text), "{text}");
    let begins = [
        "//",
        "import ",
        "public enum ",
        "    case ",
        "@objc(",
        "    @objc public dynamic var ",
        "}",
    ];
    for line in text.lines().filter(|line| !line.is_empty()) {
        assert!(begins.iter().any(|begin| line.starts_with(begin)), "{line}");
    }
}

#[test]
fn a_property_that_swift_has_no_name_for_is_named() {
    let folder = folder("unnameable");
    for name in ["last-active", "description"] {
        let text = format!("[models.User.properties]\n'{name}' = 'String'\n");
        std::fs::write(folder.join("jetstream.toml"), text).unwrap();
        let ended = run(jetstream(&folder, &["types", "--as", "swift"]));
        let expected = format!(
            "error: the property {name:?} of \"User\" cannot be a variable of a Swift class\n"
        );
        assert_eq!((ended.code, ended.out.as_str(), ended.err), (Some(2), "", expected));
        assert_eq!(run(jetstream(&folder, &["types", "--as", "rust"])).code, Some(0));
    }
}

#[test]
fn a_configuration_with_mistakes_prints_nothing() {
    let folder = folder("types_mistaken");
    std::fs::write(folder.join("jetstream.toml"), "[models.A.properties]\nx = 'Nmber'\n").unwrap();
    let ended = run(jetstream(&folder, &["types"]));
    assert_eq!((ended.code, ended.out.as_str()), (Some(2), ""));
    assert!(ended.err.contains("no type `Nmber`"), "{}", ended.err);
}
