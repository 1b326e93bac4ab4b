//! Names of families of scopes: `boards/{id}`.

use std::fmt;

use jetstream_core::ids::ScopeName;

/// The pattern of a family's names: literal text, and parameters in braces.
///
/// A parameter stands for at least one character other than `/`. Only the first text that can follow a
/// parameter ends it, so a name matches in one way or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    text: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Parameter(String),
}

/// Why a text is no template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// A brace without its other half, or within another pair.
    #[error("unpaired brace in {0:?}")]
    Brace(String),
    /// `{}`, or a name that is no identifier.
    #[error("{1:?} in {0:?} is no name for a parameter")]
    Name(String, String),
    /// The same parameter stands twice.
    #[error("the parameter {1:?} stands twice in {0:?}")]
    Twice(String, String),
    /// Nothing between two parameters says where the first ends.
    #[error("nothing separates the parameters of {0:?}")]
    Adjacent(String),
}

impl Template {
    /// Reads a template. A text without braces is a template that matches itself.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts: Vec<Part> = Vec::new();
        let mut rest = text;
        while let Some(open) = rest.find(['{', '}']) {
            let (literal, from_brace) = rest.split_at(open);
            let close = from_brace.find('}').filter(|_| from_brace.starts_with('{'));
            let close = close.ok_or_else(|| TemplateError::Brace(text.to_owned()))?;
            let name = &from_brace[1..close];
            if name.contains('{') {
                return Err(TemplateError::Brace(text.to_owned()));
            }
            if name.is_empty() || !name.chars().all(|c| c.is_alphanumeric() || c == '_') {
                return Err(TemplateError::Name(text.to_owned(), name.to_owned()));
            }
            let parameter = Part::Parameter(name.to_owned());
            if parts.contains(&parameter) {
                return Err(TemplateError::Twice(text.to_owned(), name.to_owned()));
            }
            if !literal.is_empty() {
                parts.push(Part::Literal(literal.to_owned()));
            } else if matches!(parts.last(), Some(Part::Parameter(_))) {
                return Err(TemplateError::Adjacent(text.to_owned()));
            }
            parts.push(parameter);
            rest = &from_brace[close + 1..];
        }
        if !rest.is_empty() {
            parts.push(Part::Literal(rest.to_owned()));
        }
        Ok(Self { text: text.to_owned(), parts })
    }

    /// Whether it stands for many names.
    pub fn is_family(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Parameter(_)))
    }

    /// What the parameters stand for in this name; `None` if it is no name of this family.
    pub fn matches(&self, name: &str) -> Option<Vec<(String, String)>> {
        let mut rest = name;
        let mut values = Vec::new();
        for (place, part) in self.parts.iter().enumerate() {
            match part {
                Part::Literal(literal) => rest = rest.strip_prefix(&**literal)?,
                Part::Parameter(parameter) => {
                    let end = match self.parts.get(place + 1) {
                        // At least one character is the parameter's.
                        Some(Part::Literal(literal)) => {
                            let first = rest.chars().next()?.len_utf8();
                            first + rest[first..].find(&**literal)?
                        }
                        _ => rest.len(),
                    };
                    let value = &rest[..end];
                    if value.is_empty() || value.contains('/') {
                        return None;
                    }
                    values.push((parameter.clone(), value.to_owned()));
                    rest = &rest[end..];
                }
            }
        }
        rest.is_empty().then_some(values)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl From<&Template> for ScopeName {
    fn from(template: &Template) -> Self {
        template.text.as_str().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(template: &str, name: &str) -> Option<Vec<String>> {
        let values = Template::parse(template).unwrap().matches(name)?;
        Some(values.into_iter().map(|(_, value)| value).collect())
    }

    #[test]
    fn a_name_matches_a_template_as_a_whole() {
        let some = |values: &[&str]| Some(values.iter().map(|v| (*v).to_owned()).collect());
        let cases: [(&str, &str, Option<Vec<String>>); 12] = [
            ("Canvas", "Canvas", some(&[])),
            ("Canvas", "Canvas2", None),
            ("boards/{id}", "boards/7", some(&["7"])),
            ("boards/{id}", "boards/é", some(&["é"])),
            ("boards/{id}", "boards/", None),
            ("boards/{id}", "boards/7/more", None),
            ("boards/{id}", "board/7", None),
            ("{team}/boards/{id}", "a/boards/b", some(&["a", "b"])),
            ("{team}/boards/{id}", "/boards/b", None),
            ("{a}-{b}", "1-2-3", some(&["1", "2-3"])),
            ("{a}.x", "n.x", some(&["n"])),
            ("{a}.x", "n.x.x", None),
        ];
        for (template, name, expected) in cases {
            assert_eq!(values(template, name), expected, "{name} as {template}");
        }
    }

    #[test]
    fn what_is_no_template_is_refused_with_the_reason() {
        let cases = [
            ("boards/{id", "unpaired brace in \"boards/{id\""),
            ("boards/id}", "unpaired brace in \"boards/id}\""),
            ("{a{b}}", "unpaired brace in \"{a{b}}\""),
            ("{}", "\"\" in \"{}\" is no name for a parameter"),
            ("{a}/{a}", "the parameter \"a\" stands twice in \"{a}/{a}\""),
            ("{a}{b}", "nothing separates the parameters of \"{a}{b}\""),
        ];
        for (template, expected) in cases {
            assert_eq!(Template::parse(template).unwrap_err().to_string(), expected);
        }
    }
}
