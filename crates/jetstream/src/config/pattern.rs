//! Names of scopes in the configuration: one scope, or a family of them.

use std::fmt;

use crate::core::ids::ScopeName;

/// The name of one scope, `Canvas`, or of a family, `boards/{id}`.
///
/// A placeholder takes one part between slashes, whatever it is, as long as it is not empty.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScopePattern {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    Exactly(String),
    Placeholder(String),
}

impl ScopePattern {
    /// Reads a name. A name without braces is a pattern for itself only.
    ///
    /// # Errors
    ///
    /// What is wrong with it: it is empty, or braces stand where no placeholder can.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("the name of a scope may not be empty".to_owned());
        }
        let parts = text.split('/').map(Part::parse).collect::<Result<Vec<_>, _>>()?;
        for (index, part) in parts.iter().enumerate() {
            if matches!(part, Part::Placeholder(_)) && parts[..index].contains(part) {
                return Err(format!("the placeholder {part} stands twice"));
            }
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it stands for many scopes.
    pub fn is_family(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Placeholder(_)))
    }

    /// The one scope that it names, if it is no family.
    pub fn scope_name(&self) -> Option<ScopeName> {
        (!self.is_family()).then(|| ScopeName::from(self.text.as_str()))
    }

    /// Whether a scope of this name is meant.
    pub fn matches(&self, name: &str) -> bool {
        let mut given = name.split('/');
        let fits = self.parts.iter().all(|part| match (part, given.next()) {
            (Part::Exactly(text), Some(given)) => text == given,
            (Part::Placeholder(_), Some(given)) => (1..=PART_BYTES_MAX).contains(&given.len()),
            (_, None) => false,
        });
        fits && given.next().is_none()
    }
}

impl Part {
    fn parse(text: &str) -> Result<Self, String> {
        if !text.contains(['{', '}']) {
            return Ok(Self::Exactly(text.to_owned()));
        }
        let name = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let letter = |c: char| c.is_alphanumeric() || c == '_';
        match name {
            Some(name) if !name.is_empty() && name.chars().all(letter) => {
                Ok(Self::Placeholder(name.to_owned()))
            }
            _ => Err(format!(
                "`{text}` is no placeholder: one takes a whole part between slashes and is named with \
                 letters, digits and `_`, as in boards/{{id}}"
            )),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(text) => f.write_str(text),
            Self::Placeholder(name) => write!(f, "{{{name}}}"),
        }
    }
}

impl fmt::Display for ScopePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// The longest part of a name that a placeholder takes, in bytes.
///
/// Anybody can make a scope of a family, and each costs at least its name.
const PART_BYTES_MAX: usize = 255;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_takes_one_part() {
        let long = "x".repeat(256);
        let cases = [
            ("Canvas", "Canvas", true),
            ("Canvas", "canvas", false),
            ("Canvas", "Canvas/1", false),
            ("boards/{id}", "boards/1", true),
            ("boards/{id}", "boards/ä b", true),
            ("boards/{id}", "boards/{id}", true),
            ("boards/{id}", "boards/", false),
            ("boards/{id}", "boards", false),
            ("boards/{id}", "boards/1/2", false),
            ("boards/{id}", "Boards/1", false),
            ("boards/{id}", &format!("boards/{long}"), false),
            ("{org}/boards/{id}", "a/boards/b", true),
            ("{org}/boards/{id}", "/boards/b", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(
                ScopePattern::parse(pattern).unwrap().matches(name),
                expected,
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn braces_stand_around_placeholders_only() {
        for text in ["", "board-{id}", "{", "}", "{}", "{a}{b}", "{a b}", "a/{x}/{x}", "{{id}}"] {
            assert!(ScopePattern::parse(text).is_err(), "{text}");
        }
    }
}
