//! What an operator says about changes that do not go without saying.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The entries of `[migrations]`, by the name of what they are about: `Shape` or `Shape.colour`, as the
/// stored schema calls it.
///
/// An entry is only looked at where something changed that needs one, so one that has done its work may
/// stay until every store has seen it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Migrations(BTreeMap<String, Migration>);

/// What becomes of a model or a property that is not what it was.
#[derive(Debug, Clone, PartialEq)]
pub enum Migration {
    /// Its values, or its objects, are given up.
    Drop,
    /// It goes on.
    Keep {
        /// Under this name.
        rename: Option<String>,
        /// With values that this expression in CEL makes of the old object, which it calls `object`; for
        /// properties only.
        convert: Option<String>,
    },
}

impl Migrations {
    /// No entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Gives up the objects of a model, or the values of a property: `Shape`, `Shape.colour`.
    #[must_use]
    pub fn drop(self, subject: &str) -> Self {
        self.entry(subject, Migration::Drop)
    }

    /// A model or property goes on under another name.
    #[must_use]
    pub fn rename(self, subject: &str, name: &str) -> Self {
        self.entry(subject, Migration::Keep { rename: Some(name.to_owned()), convert: None })
    }

    /// The values of a property are made anew, by an expression over the old `object`.
    #[must_use]
    pub fn convert(self, subject: &str, expression: &str) -> Self {
        let convert = Some(expression.to_owned());
        self.entry(subject, Migration::Keep { rename: None, convert })
    }

    /// Any entry; it replaces one of the same name.
    #[must_use]
    pub fn entry(mut self, subject: &str, migration: Migration) -> Self {
        self.0.insert(subject.to_owned(), migration);
        self
    }

    /// The entry about `Model` or `Model.property`.
    pub fn get(&self, subject: &str) -> Option<&Migration> {
        self.0.get(subject)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The names of what the entries are about, in order.
    pub fn subjects(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl Migration {
    /// Whether it makes values anew and does nothing else.
    pub(super) const fn makes(&self) -> bool {
        matches!(self, Self::Keep { rename: None, convert: Some(_) })
    }
}

impl fmt::Display for Migration {
    /// As it stands in the configuration.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Drop => f.write_str("{ drop = true }"),
            Self::Keep { rename, convert } => {
                let rename = rename.iter().map(|name| format!("rename = {name:?}"));
                let convert = convert.iter().map(|e| format!("convert = {e:?}"));
                write!(f, "{{ {} }}", rename.chain(convert).collect::<Vec<_>>().join(", "))
            }
        }
    }
}

/// A migration as a store keeps it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct MigrationText {
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    drop: bool,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    rename: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    convert: Option<String>,
}

impl Serialize for Migration {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let text = match self {
            Self::Drop => MigrationText { drop: true, ..MigrationText::default() },
            Self::Keep { rename, convert } => {
                MigrationText { drop: false, rename: rename.clone(), convert: convert.clone() }
            }
        };
        text.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Migration {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let MigrationText { drop, rename, convert } = MigrationText::deserialize(deserializer)?;
        Ok(if drop { Self::Drop } else { Self::Keep { rename, convert } })
    }
}

impl Serialize for Migrations {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Migrations {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_kept_as_json_and_shown_as_in_the_configuration() {
        let migrations = Migrations::new()
            .drop("Sticker")
            .rename("Shape.colour", "color")
            .convert("Shape.width", "double(object.width)");
        let text = serde_json::to_string(&migrations).unwrap();
        let expected = "{\"Shape.colour\":{\"rename\":\"color\"},\
                        \"Shape.width\":{\"convert\":\"double(object.width)\"},\"Sticker\":{\"drop\":true}}";
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Migrations>(&text).unwrap(), migrations);
        let shown = |subject: &str| migrations.0[subject].to_string();
        assert_eq!(shown("Shape.colour"), "{ rename = \"color\" }");
        assert_eq!(shown("Shape.width"), "{ convert = \"double(object.width)\" }");
        assert_eq!(shown("Sticker"), "{ drop = true }");
    }
}
