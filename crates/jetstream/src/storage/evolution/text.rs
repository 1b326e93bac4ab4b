//! A schema as text: what a store keeps of every schema that it was written with.
//!
//! JSON with names for everything, in the order in which the schema has it: what is typed with a schema is
//! typed with the one that its text gives as well.

use jetstream_core::model::schema::{EnumerationValues, ModelBuilder, PropertyDefinition};
use jetstream_core::model::{Enumeration, Lifetime, Model, Scalar, Schema, SchemaBuilder};
use serde::{Deserialize, Serialize};

/// A schema, with names in place of ids.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SchemaText {
    enumerations: Vec<EnumerationText>,
    models: Vec<ModelText>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EnumerationText {
    name: String,
    values: ValuesText,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum ValuesText {
    Strings(Vec<String>),
    Integers(Vec<(String, i64)>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ModelText {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    extends: Option<String>,
    /// Whether its objects live no longer than their session.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    of_session: bool,
    /// Its own, in the order on the wire.
    properties: Vec<PropertyText>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct PropertyText {
    name: String,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    default: Option<DefaultText>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum DefaultText {
    Boolean(bool),
    /// Also a date, in seconds since 1970.
    Number(f64),
    String(String),
}

impl SchemaText {
    pub(super) fn of(schema: &Schema) -> Self {
        let enumerations = schema.enumerations();
        let models = schema.models();
        Self {
            enumerations: enumerations.map(enumeration).collect(),
            models: models.map(|(_, m)| model(schema, m)).collect(),
        }
    }

    /// The schema that this is the text of.
    pub(super) fn schema(self) -> Result<Schema, String> {
        let mut builder = SchemaBuilder::default();
        for EnumerationText { name, values } in self.enumerations {
            builder.add_enumeration(&name, values.into());
        }
        for mut model in self.models {
            let name = std::mem::take(&mut model.name);
            builder.add_model(&name, model.into());
        }
        builder.build().map_err(|mistakes| mistakes.to_string())
    }
}

fn enumeration(enumeration: &Enumeration) -> EnumerationText {
    let values = match enumeration.values() {
        EnumerationValues::Strings(values) => {
            ValuesText::Strings(values.iter().map(ToString::to_string).collect())
        }
        EnumerationValues::Integers(values) => {
            ValuesText::Integers(values.iter().map(|(name, n)| (name.to_string(), *n)).collect())
        }
    };
    EnumerationText { name: enumeration.name().to_string(), values }
}

fn model(schema: &Schema, model: &Model) -> ModelText {
    let extends = model.extends().map(|id| schema.model(id));
    let inherited = extends.map_or(0, |model| model.properties().len());
    let own = model.properties().skip(inherited).map(|(_, property)| PropertyText {
        name: property.name().to_string(),
        r#type: schema.type_name(property),
        default: property.default().map(DefaultText::from),
    });
    ModelText {
        name: model.name().to_string(),
        extends: extends.map(|model| model.name().to_string()),
        of_session: model.lifetime() == Lifetime::Session,
        properties: own.collect(),
    }
}

impl From<ValuesText> for EnumerationValues {
    fn from(text: ValuesText) -> Self {
        match text {
            ValuesText::Strings(values) => {
                Self::Strings(values.into_iter().map(Into::into).collect())
            }
            ValuesText::Integers(values) => {
                Self::Integers(values.into_iter().map(|(name, n)| (name.into(), n)).collect())
            }
        }
    }
}

impl From<ModelText> for ModelBuilder {
    fn from(text: ModelText) -> Self {
        let mut model = Self::default();
        if let Some(extends) = text.extends {
            model = model.extends(extends);
        }
        if text.of_session {
            model = model.lifetime(Lifetime::Session);
        }
        text.properties.into_iter().fold(model, |model, property| {
            model.define(PropertyDefinition {
                name: property.name,
                kind: property.r#type,
                default: property.default.map(Into::into),
            })
        })
    }
}

impl From<&Scalar> for DefaultText {
    fn from(scalar: &Scalar) -> Self {
        match scalar {
            Scalar::String(text) => Self::String(text.to_string()),
            Scalar::Number(number) => Self::Number(*number),
            Scalar::Boolean(boolean) => Self::Boolean(*boolean),
            Scalar::Date(date) => Self::Number(date.to_seconds()),
        }
    }
}

impl From<DefaultText> for Scalar {
    fn from(text: DefaultText) -> Self {
        match text {
            DefaultText::Boolean(boolean) => boolean.into(),
            DefaultText::Number(number) => number.into(),
            DefaultText::String(text) => text.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jetstream_core::time::Timestamp;

    fn schema(builder: SchemaBuilder) -> SchemaBuilder {
        builder
            .enumeration_of_strings("Day", ["Sunday", "Monday"])
            .enumeration_of_integers("Status", [("Open", 0), ("Closed", 1)])
    }

    fn models() -> Schema {
        schema(Schema::builder())
            .model("Canvas", |m| m.property("shapes", "[Shape]").property("day", "Day"))
            .model("Shape", |m| {
                m.property_with_default("x", "Number", 1.5)
                    .property_with_default("made", "Date", Timestamp(1_500))
                    .property_with_default("status", "Status", 1.0)
                    .property_with_default("text", "String", "a\"b")
                    .property_with_default("on", "Boolean", true)
            })
            .model("Cursor", |m| {
                m.extends("Shape").lifetime(Lifetime::Session).property("at", "Shape")
            })
            .build()
            .unwrap()
    }

    #[test]
    fn a_schema_is_what_its_text_says() {
        let text = serde_json::to_string(&SchemaText::of(&models())).unwrap();
        let read: SchemaText = serde_json::from_str(&text).unwrap();
        let again = SchemaText::of(&read.clone().schema().unwrap());
        assert_eq!(again, read);
        assert_eq!(serde_json::to_string(&again).unwrap(), text);
        let expected = "{\"enumerations\":[{\"name\":\"Day\",\"values\":[\"Sunday\",\"Monday\"]},\
                        {\"name\":\"Status\",\"values\":[[\"Open\",0],[\"Closed\",1]]}],\
                        \"models\":[{\"name\":\"Canvas\",\"properties\":[{\"name\":\"shapes\",";
        assert!(text.starts_with(expected), "{text}");
        let expected = "{\"name\":\"Cursor\",\"extends\":\"Shape\",\"of_session\":true,\
                        \"properties\":[{\"name\":\"at\",\"type\":\"Shape\"}]}]}";
        assert!(text.ends_with(expected), "{text}");
        let names = |schema: &Schema| -> Vec<_> {
            schema.models().map(|(id, model)| (id, model.name().clone())).collect()
        };
        assert_eq!(names(&read.schema().unwrap()), names(&models()));
    }

    #[test]
    fn a_text_that_says_more_than_is_known_is_refused() {
        let text =
            "{\"enumerations\":[],\"models\":[{\"name\":\"A\",\"properties\":[],\"later\":1}]}";
        assert!(serde_json::from_str::<SchemaText>(text).is_err());
    }
}
