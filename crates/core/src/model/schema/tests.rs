use super::*;
use crate::time::Timestamp;

fn mistakes(builder: SchemaBuilder) -> Vec<String> {
    builder.build().unwrap_err().0.iter().map(ToString::to_string).collect()
}

#[test]
fn inherited_properties_come_first_and_keep_their_ids() {
    let schema = Schema::builder()
        .model("Cook", |m| m.extends("Person").property("speciality", "Flavour"))
        .model("Person", |m| m.property("name", "String").property("age", "Number"))
        .enumeration_of_strings("Flavour", ["sweet", "sour"])
        .build()
        .unwrap();
    let (person, _) = schema.find("Person").unwrap();
    let (cook, model) = schema.find("Cook").unwrap();
    let names: Vec<_> = model.properties().map(|(_, p)| p.name().to_string()).collect();
    assert_eq!(names, ["name", "age", "speciality"]);
    assert_eq!(
        schema.model(person).find("age").unwrap().0,
        schema.model(cook).find("age").unwrap().0
    );
    assert!(schema.is_a(cook, person));
    assert!(!schema.is_a(person, cook));
}

#[test]
fn every_mistake_is_reported_at_once() {
    let found = mistakes(
        Schema::builder()
            .enumeration_of_strings("Empty", [""; 0])
            .enumeration_of_integers("Twice", [("A", 1), ("B", 1)])
            .model("Shape", |m| {
                m.property("x", "Nmber")
                    .property("y", "number")
                    .property_with_default("z", "Number", "no")
                    .property_with_default("all", "[Shape]", 1.0)
            })
            .model("Shape", |m| m)
            .model("Loop", |m| m.extends("Loop"))
            .model("Lost", |m| m.extends("Nowhere"))
            .model("9", |m| m),
    );
    let expected = [
        "models.Shape: the type name `Shape` is taken already",
        "models.9: a name is made of",
        "enumerations.Empty: an enumeration needs at least one value",
        "enumerations.Twice.B: the value 1 stands twice",
        "models.Shape.properties.x.type: no type `Nmber` (did you mean `Number`?)",
        "models.Shape.properties.y.type: no type `number` (did you mean `Number`?)",
        "models.Shape.properties.z.default: the default has the wrong type, expected a finite number",
        "models.Shape.properties.all.default: a collection begins empty",
        "models.Lost.extends: no model `Nowhere`; there are Loop, Lost, Shape",
        "models.Loop.extends: the model extends itself",
    ];
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    for (found, expected) in found.iter().zip(expected) {
        assert!(found.starts_with(expected), "{found} does not start with {expected}");
    }
}

#[test]
fn a_property_may_not_hide_an_inherited_one() {
    let found = mistakes(
        Schema::builder()
            .model("A", |m| m.property("x", "Number"))
            .model("B", |m| m.extends("A").property("x", "String")),
    );
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("models.B.properties.x: the property stands twice"));
}

#[test]
fn the_same_model_added_twice_is_one_and_a_different_one_is_a_mistake() {
    let shape = || ModelBuilder::default().property("x", "Number");
    let mut builder = Schema::builder();
    assert!(builder.add_model("Shape", shape()));
    assert!(!builder.add_model("Shape", shape()));
    assert_eq!(builder.clone().build().unwrap().models().len(), 1);
    assert!(builder.add_model("Shape", shape().property("y", "Number")));
    assert_eq!(mistakes(builder), ["models.Shape: the type name `Shape` is taken already"]);
}

#[test]
fn a_submodel_lives_no_longer_than_its_supermodel() {
    let schema = Schema::builder()
        .model("Cursor", |m| m.lifetime(Lifetime::Session))
        .model("Pen", |m| m.extends("Cursor"))
        .model("Shape", |m| m)
        .build()
        .unwrap();
    let lifetime = |name| schema.find(name).unwrap().1.lifetime();
    assert_eq!(lifetime("Pen"), Lifetime::Session);
    assert_eq!(lifetime("Shape"), Lifetime::Scope);
}

#[test]
fn a_date_default_is_given_in_seconds_or_as_text() {
    let schema = Schema::builder()
        .model("A", |m| {
            m.property_with_default("s", "Date", 1.5).property_with_default(
                "t",
                "Date",
                "1970-01-01T00:00:01.500Z",
            )
        })
        .build()
        .unwrap();
    let (_, model) = schema.find("A").unwrap();
    for (_, property) in model.properties() {
        assert_eq!(property.default(), Some(&Scalar::Date(Timestamp(1500))));
    }
}
