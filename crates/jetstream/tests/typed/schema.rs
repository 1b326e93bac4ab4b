//! Models defined in different ways are the same schema.

use std::fmt::Write as _;

use jetstream::core::model::schema::SchemaMistakes;
use jetstream::core::model::{Scalar, Schema};
use jetstream::typed::check_schema;
use jetstream::{Model, SchemaExt};

use super::models::*;

/// Everything a schema says, one line a fact, models in the order of their names.
fn describe(schema: &Schema) -> String {
    let mut models: Vec<_> = schema.models().collect();
    models.sort_by_key(|(_, model)| model.name().clone());
    let mut text = String::new();
    for (_, model) in models {
        let extends = model.extends().map(|id| schema.model(id).name());
        writeln!(text, "{} extends {extends:?}", model.name()).unwrap();
        for (_, property) in model.properties() {
            let kind = schema.type_name(property);
            writeln!(text, "  {}: {kind} = {:?}", property.name(), property.default()).unwrap();
        }
    }
    let mut enumerations: Vec<_> = schema.enumerations().collect();
    enumerations.sort_by_key(|enumeration| enumeration.name().clone());
    for enumeration in enumerations {
        writeln!(text, "{} {:?}", enumeration.name(), enumeration.values()).unwrap();
    }
    text
}

fn built() -> Result<Schema, SchemaMistakes> {
    Schema::builder()
        .enumeration_of_strings("Flavour", ["sweet", "sour", "very-salty"])
        .enumeration_of_integers("Heat", [("Off", 0), ("Low", 1), ("High", 5)])
        .model("Kitchen", |m| {
            m.property_with_default("title", "String", "Unnamed")
                .property_with_default("open", "Boolean", true)
                .property_with_default("foundedAt", "Date", 1_000_000_000.0)
                .property("flavour", "Flavour")
                .property_with_default("heat", "Heat", 1.0)
                .property("motto", "String")
                .property("rating", "Number")
                .property("vegan", "Boolean")
                .property("inspectedAt", "Date")
                .property("mood", "Flavour")
                .property("burner", "Heat")
                .property("labels", "[String]")
                .property("scores", "[Number]")
                .property("counts", "[Number]")
                .property("switches", "[Boolean]")
                .property("closures", "[Date]")
                .property("flavours", "[Flavour]")
                .property("heats", "[Heat]")
                .property("mainItem", "Item")
                .property("items", "[Item]")
                .property("favourites", "[Item]")
                .property("staff", "[Person]")
                .property("cook", "Cook")
                .property("chef", "Chef")
                .property("tree", "Node")
                .property("annex", "Kitchen")
                .property("type", "Number")
        })
        .model("Item", |m| {
            m.property_with_default("name", "String", "thing")
                .property_with_default("qty", "Number", 1.0)
        })
        .model("Chef", |m| m.extends("Cook").property("stars", "Number"))
        .model("Cook", |m| {
            m.extends("Person")
                .property_with_default("speciality", "Flavour", "sour")
                .property("knife", "Item")
        })
        .model("Waiter", |m| m.extends("Person").property("section", "String"))
        .model("Person", |m| m.property("name", "String").property("age", "Number"))
        .model("Node", |m| {
            m.property("label", "String")
                .property("left", "Node")
                .property("children", "[Node]")
                .property("parent", "Node")
        })
        .build()
}

#[test]
fn derived_models_are_the_same_schema_as_those_of_a_builder() {
    assert_eq!(describe(&Kitchen::schema()), describe(&built().unwrap()));
}

#[cfg(feature = "config")]
#[test]
fn derived_models_are_the_same_schema_as_those_of_a_configuration_file() {
    let config = jetstream::config::Config::parse(
        "jetstream.toml",
        include_str!("kitchen.toml"),
        std::path::Path::new(""),
        &[],
    );
    let config = config.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    assert_eq!(describe(&Kitchen::schema()), describe(&config.schema));
}

#[test]
fn several_derived_models_that_share_others_make_one_schema() {
    let one = Schema::builder().with::<Kitchen>().build().unwrap();
    let all = Schema::builder()
        .with::<Item>()
        .with::<Tree>()
        .with::<Kitchen>()
        .with::<Chef>()
        .build()
        .unwrap();
    assert_eq!(describe(&one), describe(&all));
}

#[test]
fn a_submodel_that_no_property_mentions_is_in_the_schema() {
    let schema = Kitchen::schema();
    let (waiter, _) = schema.find("Waiter").unwrap();
    let (person, _) = schema.find("Person").unwrap();
    assert!(schema.is_a(waiter, person));
}

#[test]
fn two_different_models_of_one_name_are_a_mistake() {
    mod other {
        #[derive(jetstream::Model)]
        pub(crate) struct Item {
            pub(crate) weight: f64,
        }
    }
    let mistakes = Schema::builder().with::<Item>().with::<other::Item>().build().unwrap_err();
    assert_eq!(mistakes.0.len(), 1);
    assert_eq!(mistakes.0[0].to_string(), "models.Item: the type name `Item` is taken already");
}

#[test]
fn a_default_counts_in_rust_as_on_the_wire() {
    let shape = Shape::default();
    assert_eq!(shape, Shape { x: 0.0, y: 0.0, width: 100.0, height: 50.5, kind: 0.0 });
    let schema = Shape::schema();
    let (_, model) = schema.find("Shape").unwrap();
    let (_, width) = model.find("width").unwrap();
    assert_eq!(width.default(), Some(&Scalar::Number(100.0)));
    assert_eq!(Kitchen::default().heat, Heat::Low);
    assert_eq!(Kitchen::default().flavour, Flavour::Salty);
    assert_eq!(Chef::default().cook.speciality, Flavour::Sour);
}

#[test]
fn a_schema_from_elsewhere_may_have_its_properties_in_another_order_and_more_of_them() {
    let schema = Schema::builder()
        .model("Canvas", |m| {
            m.property("shapes", "[Shape]").property("extra", "String").property("name", "String")
        })
        .model("Shape", |m| {
            m.property("kind", "Number")
                .property("height", "Number")
                .property("width", "Number")
                .property("y", "Number")
                .property("x", "Number")
        })
        .build()
        .unwrap();
    assert_eq!(check_schema::<Canvas>(&schema.into()), Ok(()));
}

#[test]
fn a_schema_that_differs_is_refused_with_every_difference() {
    let schema = Schema::builder()
        .model("Canvas", |m| m.property("name", "Number").property("shapes", "Shape"))
        .model("Shape", |m| m.property("x", "Number").property("y", "Number"))
        .build()
        .unwrap();
    let mismatch = check_schema::<Canvas>(&schema.into()).unwrap_err();
    assert_eq!(
        mismatch.0,
        [
            "\"name\" of `Canvas` is `Number` in the scope and `String` in the program",
            "\"shapes\" of `Canvas` is `Shape` in the scope and `[Shape]` in the program",
            "no property \"width\" on `Shape`",
            "no property \"height\" on `Shape`",
            "no property \"kind\" on `Shape`",
        ]
    );
}

#[test]
fn an_enumeration_with_other_values_is_refused() {
    #[derive(Model)]
    struct Pot {
        #[allow(dead_code)]
        heat: Heat,
    }
    let schema = Schema::builder()
        .enumeration_of_integers("Heat", [("Off", 0), ("Low", 1)])
        .model("Pot", |m| m.property("heat", "Heat"))
        .build()
        .unwrap();
    let mismatch = check_schema::<Pot>(&schema.into()).unwrap_err();
    assert_eq!(mismatch.0, ["the values of `Heat` differ"]);
}

#[test]
fn every_attribute_is_heard() {
    #[derive(Model)]
    #[model(rename = "Level", rename_all = "SCREAMING_SNAKE_CASE", integers)]
    enum Depth {
        VeryLow,
        High,
    }

    #[derive(Model)]
    #[model(rename = "Gauge", rename_all = "camelCase", no_default)]
    struct Meter {
        max_depth: Depth,
        #[model(default = 3)]
        tries: Option<u8>,
        #[model(default = Some("m".to_owned()))]
        unit: Option<String>,
        #[model(default = -1.5, rename = "zero point")]
        zero_point: f32,
        #[model(default = None)]
        note: Option<String>,
    }

    impl Default for Meter {
        fn default() -> Self {
            let (unit, note) = (None, Some("own".to_owned()));
            Self { max_depth: Depth::High, tries: None, unit, zero_point: 0.0, note }
        }
    }

    let expected = Schema::builder()
        .enumeration_of_integers("Level", [("VERY_LOW", 0), ("HIGH", 1)])
        .model("Gauge", |m| {
            m.property("maxDepth", "Level")
                .property_with_default("tries", "Number", 3.0)
                .property_with_default("unit", "String", "m")
                .property_with_default("zero point", "Number", -1.5)
                .property("note", "String")
        })
        .build()
        .unwrap();
    assert_eq!(describe(&Meter::schema()), describe(&expected));
    let graph = super::graph(Meter::default());
    let meter = jetstream::typed::read::<Meter>(&graph).unwrap();
    assert!(matches!(meter.max_depth(), Depth::High));
    assert_eq!((meter.note(), meter.tries()), (Some("own"), None));
}
