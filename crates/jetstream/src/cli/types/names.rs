//! Names that another language takes.

use std::collections::HashSet;

/// Names that are given once each.
#[derive(Debug, Default)]
pub(super) struct Names(HashSet<String>);

impl Names {
    /// With these taken from the start.
    pub(super) fn without(taken: &[&str]) -> Self {
        Self(taken.iter().map(|name| (*name).to_owned()).collect())
    }

    /// The name, or the next one to it that is free.
    pub(super) fn give(&mut self, wanted: &str) -> String {
        let mut name = wanted.to_owned();
        for number in 2.. {
            if self.0.insert(name.clone()) {
                break;
            }
            name = format!("{wanted}_{number}");
        }
        name
    }
}

/// `lastActive`, `LastActive` and `last-active` as `last_active`.
pub(super) fn snake(name: &str) -> String {
    words(name).join("_")
}

/// `very-salty` as `VerySalty`.
pub(super) fn pascal(name: &str) -> String {
    let capitalized = |word: String| {
        let mut characters = word.chars();
        let first = characters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(characters).collect::<String>()
    };
    words(name).into_iter().map(capitalized).collect()
}

/// The words of a name in lower case. What is no ASCII letter or digit stands between words.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for character in name.chars() {
        if character.is_ascii_alphanumeric() {
            let begins = character.is_ascii_uppercase() && !before.is_ascii_uppercase();
            if begins || !before.is_ascii_alphanumeric() {
                words.push(String::new());
            }
            let word = words.last_mut().expect("the first letter begins a word");
            word.push(character.to_ascii_lowercase());
        }
        before = character;
    }
    words
}

/// Letters, digits and `_`, and no digit first.
pub(super) fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_taken_apart_where_their_words_begin() {
        let cases = [
            ("lastActive", "last_active", "LastActive"),
            ("very-salty", "very_salty", "VerySalty"),
            ("HTTPStatus", "httpstatus", "Httpstatus"),
            ("x2", "x2", "X2"),
            ("  ", "", ""),
            ("42", "42", "42"),
        ];
        for (name, as_snake, as_pascal) in cases {
            assert_eq!((snake(name), pascal(name)), (as_snake.into(), as_pascal.into()), "{name}");
        }
    }

    #[test]
    fn a_name_is_given_once() {
        let mut names = Names::without(&["Vec"]);
        assert_eq!(["Vec", "a", "a"].map(|name| names.give(name)), ["Vec_2", "a", "a_2"]);
    }
}
