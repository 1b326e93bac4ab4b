//! The structs that `jetstream types` prints: they compile, and mean what the configuration says.

#![cfg(feature = "config")]

use std::fmt::Write as _;
use std::path::Path;

use jetstream::SchemaExt;
use jetstream::config::Config;
use jetstream::core::model::Schema;

/// As it was printed.
#[expect(unreachable_pub, reason = "for the modules of a program, where it is reachable")]
mod printed {
    include!("models.rs");
}

/// Everything a schema says, models in the order of their names.
fn describe(schema: &Schema) -> String {
    let mut models: Vec<_> = schema.models().map(|(_, model)| model).collect();
    models.sort_by_key(|model| model.name().clone());
    let mut text = String::new();
    for model in models {
        let extends = model.extends().map(|id| schema.model(id).name());
        writeln!(text, "{} extends {extends:?}, {:?}", model.name(), model.lifetime()).unwrap();
        for (_, property) in model.properties() {
            let (name, kind) = (property.name(), schema.type_name(property));
            writeln!(text, "  {name}: {kind} = {:?}", property.default()).unwrap();
        }
    }
    let mut enumerations: Vec<_> = schema.enumerations().collect();
    enumerations.sort_by_key(|enumeration| enumeration.name().clone());
    for enumeration in enumerations {
        writeln!(text, "{} {:?}", enumeration.name(), enumeration.values()).unwrap();
    }
    text
}

#[test]
fn printed_structs_are_the_schema_of_the_configuration() {
    let text = include_str!("models.toml");
    let config = Config::parse("models.toml", text, Path::new(""), &[]);
    let config = config.unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let derived = Schema::builder()
        .with::<printed::Kitchen>()
        .with::<printed::Cursor>()
        .with::<printed::Option2>()
        .with::<printed::Class>()
        .build()
        .unwrap();
    assert_eq!(describe(&derived), describe(&config.schema));
}
