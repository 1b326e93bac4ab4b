//! Names on the wire from names in Rust.

use syn::{Error, Ident, LitStr, ext::IdentExt};

/// How names are spelled when no `rename` says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Camel,
    Pascal,
    Snake,
    Kebab,
    Lower,
    Upper,
    ScreamingSnake,
}

const CASES: [(&str, Case); 7] = [
    ("camelCase", Case::Camel),
    ("PascalCase", Case::Pascal),
    ("snake_case", Case::Snake),
    ("kebab-case", Case::Kebab),
    ("lowercase", Case::Lower),
    ("UPPERCASE", Case::Upper),
    ("SCREAMING_SNAKE_CASE", Case::ScreamingSnake),
];

impl Case {
    /// Reads the value of `rename_all`.
    pub(crate) fn parse(text: &LitStr) -> syn::Result<Self> {
        let found = CASES.iter().find(|(name, _)| *name == text.value());
        found.map(|(_, case)| *case).ok_or_else(|| {
            let all = CASES.map(|(name, _)| format!("\"{name}\"")).join(", ");
            Error::new_spanned(text, format!("no such spelling; there are {all}"))
        })
    }

    /// The name in this spelling.
    pub(crate) fn apply(self, name: &str) -> String {
        let words = words(name);
        match self {
            Self::Camel => {
                let capitalized = words.iter().skip(1).map(|word| capitalize(word));
                words.iter().take(1).cloned().chain(capitalized).collect()
            }
            Self::Pascal => words.iter().map(|word| capitalize(word)).collect(),
            Self::Snake => words.join("_"),
            Self::Kebab => words.join("-"),
            Self::Lower => words.concat(),
            Self::Upper => words.concat().to_uppercase(),
            Self::ScreamingSnake => words.join("_").to_uppercase(),
        }
    }
}

/// The name as written, without `r#`.
pub(crate) fn plain(ident: &Ident) -> String {
    ident.unraw().to_string()
}

/// The words of a name in lower case: `last_active` and `LastActive` have the same two.
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut begins = true;
    for character in name.chars() {
        if character == '_' {
            begins = true;
            continue;
        }
        if begins || character.is_uppercase() {
            words.push(String::new());
        }
        begins = false;
        let word = words.last_mut().expect("the first character begins a word");
        word.extend(character.to_lowercase());
    }
    words
}

fn capitalize(word: &str) -> String {
    let mut characters = word.chars();
    let first = characters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(characters).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_spelled_as_asked() {
        for (case, field, variant) in [
            ("camelCase", "lastActive", "verySweet"),
            ("PascalCase", "LastActive", "VerySweet"),
            ("snake_case", "last_active", "very_sweet"),
            ("kebab-case", "last-active", "very-sweet"),
            ("lowercase", "lastactive", "verysweet"),
            ("UPPERCASE", "LASTACTIVE", "VERYSWEET"),
            ("SCREAMING_SNAKE_CASE", "LAST_ACTIVE", "VERY_SWEET"),
        ] {
            let literal = LitStr::new(case, proc_macro2::Span::call_site());
            let parsed = Case::parse(&literal).unwrap();
            assert_eq!(parsed.apply("last_active"), field);
            assert_eq!(parsed.apply("VerySweet"), variant);
        }
    }

    #[test]
    fn a_spelling_that_does_not_exist_is_named_with_those_that_do() {
        let literal = LitStr::new("camel", proc_macro2::Span::call_site());
        let message = Case::parse(&literal).unwrap_err().to_string();
        assert!(message.starts_with("no such spelling; there are \"camelCase\""), "{message}");
    }
}
