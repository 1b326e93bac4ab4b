//! Schemas as they change, one table, and states that go through several of them.

use jetstream_core::ids::ObjectId;
use jetstream_core::model::schema::SchemaBuilder;
use jetstream_core::model::{Fragment, FragmentKind, Lifetime, Value};
use jetstream_core::scope::encode_state;

use super::*;

type Describe = fn(SchemaBuilder) -> SchemaBuilder;

fn schema(describe: Describe) -> Arc<Schema> {
    Arc::new(describe(Schema::builder()).build().unwrap())
}

/// What every case begins with.
fn shapes(builder: SchemaBuilder) -> SchemaBuilder {
    builder
        .enumeration_of_strings("Day", ["Sunday", "Monday"])
        .enumeration_of_integers("Status", [("Open", 0), ("Closed", 1)])
        .model("Canvas", |m| {
            m.property("name", "String").property("shapes", "[Shape]").property("best", "Shape")
        })
        .model("Shape", |m| {
            m.property("x", "Number").property("day", "Day").property("status", "Status")
        })
        .model("Circle", |m| m.extends("Shape").property("radius", "Number"))
}

/// The changes from [`shapes`], a line for each, with `?` before those that need an entry.
fn changes(to: Describe, migrations: &Migrations) -> Vec<String> {
    let (changes, _) = compare(&schema(shapes), &schema(to), migrations);
    let line = |change: &Change| {
        let unsettled = if change.is_settled() { "" } else { "? " };
        format!("{unsettled}{}", change.to_string().lines().next().unwrap())
    };
    changes.iter().map(line).collect()
}

fn days(builder: SchemaBuilder, days: &[&'static str]) -> SchemaBuilder {
    builder
        .enumeration_of_strings("Day", days.iter().copied())
        .enumeration_of_integers("Status", [("Open", 0), ("Closed", 1)])
}

fn canvas(builder: SchemaBuilder) -> SchemaBuilder {
    builder.model("Canvas", |m| {
        m.property("name", "String").property("shapes", "[Shape]").property("best", "Shape")
    })
}

fn shape(builder: SchemaBuilder) -> SchemaBuilder {
    builder.model("Shape", |m| {
        m.property("x", "Number").property("day", "Day").property("status", "Status")
    })
}

fn circle(builder: SchemaBuilder) -> SchemaBuilder {
    builder.model("Circle", |m| m.extends("Shape").property("radius", "Number"))
}

#[test]
fn what_every_stored_value_survives_goes_without_saying() {
    let cases: [(Describe, &[&str]); 8] = [
        (shapes, &[]),
        (
            |b| days(circle(canvas(shape(b))), &["Monday", "Sunday", "Friday"]),
            &["Day: takes \"Friday\" too"],
        ),
        (
            |b| {
                circle(canvas(days(b, &["Sunday", "Monday"]))).model("Star", |m| m).model(
                    "Shape",
                    |m| {
                        m.property_with_default("z", "Number", 1.0)
                            .property_with_default("x", "Number", 2.0)
                            .property("day", "Day")
                            .property("status", "Status")
                    },
                )
            },
            &[
                "Star: is new",
                "Shape.x: new objects begin with another value; those that are there keep theirs",
                "Shape.z: is new",
            ],
        ),
        (
            |b| {
                circle(canvas(days(b, &["Sunday", "Monday"]))).model("Shape", |m| {
                    m.property("status", "Status").property("x", "Number").property("day", "Day")
                })
            },
            &[
                "Shape: its properties stand in another order",
                "Circle: its properties stand in another order",
            ],
        ),
        // An enumeration's values are texts and numbers.
        (
            |b| {
                circle(canvas(b)).model("Shape", |m| {
                    m.property("x", "Number").property("day", "String").property("status", "Number")
                })
            },
            &[],
        ),
        // A model between the two changes nothing for their objects.
        (
            |b| {
                shape(canvas(days(b, &["Sunday", "Monday"])))
                    .model("Round", |m| m.extends("Shape"))
                    .model("Circle", |m| m.extends("Round").property("radius", "Number"))
            },
            &["Round: is new", "Circle: extends \"Round\" rather than \"Shape\""],
        ),
        // What was a circle may be any shape.
        (
            |b| {
                days(b, &["Sunday", "Monday"])
                    .model("Thing", |m| m)
                    .model("Canvas", |m| {
                        m.property("name", "String")
                            .property("shapes", "[Thing]")
                            .property("best", "Thing")
                    })
                    .model("Shape", |m| {
                        m.extends("Thing")
                            .property("x", "Number")
                            .property("day", "Day")
                            .property("status", "Status")
                    })
                    .model("Circle", |m| m.extends("Shape").property("radius", "Number"))
            },
            &["Thing: is new", "Shape: extends \"Thing\" rather than nothing"],
        ),
        // Session objects are never stored: nothing can be wrong with those that were.
        (|b| shapes(b).model("Cursor", |m| m.lifetime(Lifetime::Session)), &["Cursor: is new"]),
    ];
    for (to, expected) in cases {
        assert_eq!(changes(to, &Migrations::new()), expected);
    }
}

#[test]
fn what_would_lose_or_misread_a_value_needs_an_entry() {
    let none = Migrations::new;
    let cases: [(Describe, Migrations, &[&str]); 13] = [
        (
            |b| shape(canvas(days(b, &["Sunday", "Monday"]))),
            none(),
            &["? Circle: is not there any more"],
        ),
        (
            |b| shape(canvas(days(b, &["Sunday", "Monday"]))),
            none().drop("Circle"),
            &["Circle: is not there any more (settled by \"Circle\" = { drop = true })"],
        ),
        (
            |b| shape(canvas(days(b, &["Sunday", "Monday"]))),
            none().rename("Circle", "Shape"),
            &[
                "Circle: is not there any more (settled by \"Circle\" = { rename = \"Shape\" })",
                "? Circle.radius: is not there any more",
            ],
        ),
        (
            |b| shape(canvas(days(b, &["Sunday", "Monday"]))),
            none().rename("Circle", "Square"),
            &["? Circle: is not there any more"],
        ),
        (
            |b| circle(shape(canvas(days(b, &["Monday"])))),
            none(),
            &["? Shape.day: does not take \"Sunday\" any more"],
        ),
        (
            |b| circle(shape(canvas(days(b, &["Monday"])))),
            none().convert("Shape.day", "'Monday'"),
            &[
                "Shape.day: does not take \"Sunday\" any more (settled by \"Shape.day\" = { convert = \
               \"'Monday'\" })",
            ],
        ),
        (
            |b| {
                circle(shape(canvas(b)))
                    .enumeration_of_strings("Day", ["Sunday", "Monday"])
                    .enumeration_of_integers("Status", [("Open", 1), ("Closed", 0)])
            },
            none(),
            &["? Shape.status: does not mean \"Open\" by 0 any more"],
        ),
        (
            |b| circle(canvas(b)).model("Shape", |m| m.property("x", "String")),
            none().drop("Shape.day").rename("Shape.status", "x"),
            &[
                "? Shape.x: is String and was Number",
                "Shape.day: is not there any more (settled by \"Shape.day\" = { drop = true })",
                "? Shape.status: is not there any more, and \"x\" is String and was Status",
            ],
        ),
        (
            |b| {
                circle(canvas(days(b, &["Sunday", "Monday"]))).model("Shape", |m| {
                    m.property("left", "Number")
                        .property("day", "[Day]")
                        .property("status", "Status")
                })
            },
            none().rename("Shape.x", "left").convert("Shape.day", "[object.day]"),
            &[
                "Shape.x: is not there any more (settled by \"Shape.x\" = { rename = \"left\" })",
                "Shape.day: is [Day] and was Day (settled by \"Shape.day\" = { convert = \
                 \"[object.day]\" })",
            ],
        ),
        (
            |b| {
                circle(canvas(days(b, &["Sunday", "Monday"]))).model("Shape", |m| {
                    m.property("x", "String").property("day", "Day").property("status", "Status")
                })
            },
            none().convert("Shape.x", "string(object.y)"),
            &["? Shape.x: is String and was Number"],
        ),
        // A circle is no shape any more, and so does not stand where shapes do.
        (
            |b| {
                shape(canvas(days(b, &["Sunday", "Monday"])))
                    .model("Circle", |m| m.property("radius", "Number"))
            },
            none(),
            &[
                "? Canvas.shapes: does not take \"Circle\" any more",
                "? Canvas.best: does not take \"Circle\" any more",
                "Circle: extends nothing rather than \"Shape\"",
                "? Circle.x: is not there any more",
                "? Circle.day: is not there any more",
                "? Circle.status: is not there any more",
            ],
        ),
        (
            |b| {
                shape(canvas(days(b, &["Sunday", "Monday"]))).model("Circle", |m| {
                    m.extends("Shape").lifetime(Lifetime::Session).property("radius", "Number")
                })
            },
            none(),
            &[
                "? Circle: its objects live with their sessions now; those that are stored have none",
            ],
        ),
        (
            |b| shapes(b).model("Note", |m| m.property("text", "String")),
            // What names nothing that changed is passed over.
            none().drop("Shape.x").rename("Gone", "Note").drop("Note"),
            &["Note: is new"],
        ),
    ];
    for (to, migrations, expected) in cases {
        assert_eq!(changes(to, &migrations), expected, "{migrations:?}");
    }
}

#[test]
fn a_refusal_says_of_each_change_what_would_settle_it() {
    let first = Evolution::step(&[], &schema(shapes), &Migrations::new()).unwrap();
    let stored = [first.add.unwrap()];
    let present = schema(|b| shape(canvas(days(b, &["Sunday"]))).model("Star", |m| m));
    let refused = Evolution::step(&stored, &present, &Migrations::new()).unwrap_err().to_string();
    let expected = "the models do not fit what is stored, and nothing was touched:\n\
        Circle: is not there any more\n  \
        it needs an entry in [migrations]: \"Circle\" = { rename = \"…\" } or { drop = true }\n\
        Shape.day: does not take \"Monday\" any more\n  \
        it needs an entry in [migrations]: \"Shape.day\" = { convert = \"object.…\" } or { drop = true }\n\
        2 of 3 changes cannot be made without an entry";
    assert_eq!(refused, expected);
}

fn id(number: u8) -> ObjectId {
    format!("00000000-0000-4000-8000-0000000000{number:02}").parse().unwrap()
}

/// A canvas with a shape and a circle, which is also the best.
fn state() -> Graph {
    let schema = schema(shapes);
    let property = |model: &str, name: &str| {
        schema.find(model).unwrap().1.find(name).expect("the model has it").0
    };
    let fragment =
        |kind, number, model: &str| Fragment::new(kind, id(number), schema.find(model).unwrap().0);
    let text = |text: &str| Value::Scalar(Some(text.into()));
    let number = |number: f64| Value::Scalar(Some(number.into()));
    let fragments = vec![
        fragment(FragmentKind::Change, 0, "Canvas")
            .with(property("Canvas", "name"), text("C"))
            .with(property("Canvas", "shapes"), Value::References([id(1), id(2)].into()))
            .with(property("Canvas", "best"), Value::Reference(Some(id(2)))),
        fragment(FragmentKind::Add, 1, "Shape")
            .with(property("Shape", "x"), number(1.5))
            .with(property("Shape", "day"), text("Sunday")),
        fragment(FragmentKind::Add, 2, "Circle")
            .with(property("Circle", "x"), number(2.0))
            .with(property("Circle", "day"), text("Monday"))
            .with(property("Circle", "radius"), number(7.0)),
    ];
    Graph::from_state(schema.clone(), id(0), fragments).unwrap()
}

/// The state in the last of several schemas, each with the entries that lead to it.
fn through(steps: &[(Describe, Migrations)]) -> Result<String, String> {
    let mut stored =
        vec![Evolution::step(&[], &schema(shapes), &Migrations::new()).unwrap().add.unwrap()];
    let mut evolution = Evolution::only(schema(shapes));
    for (describe, migrations) in steps {
        let step = Evolution::step(&stored, &schema(*describe), migrations);
        let step = step.map_err(|error| error.to_string())?;
        stored.extend(step.add);
        evolution = step.evolution;
    }
    let graph = evolution.bring(state(), SchemaVersion(1)).map_err(|error| error.to_string())?;
    graph.check().unwrap();
    Ok(encode_state(&graph).replace("00000000-0000-4000-8000-0000000000", "").replace('"', ""))
}

#[test]
fn a_state_goes_through_every_schema_in_between() {
    let left: Describe = |b| {
        circle(canvas(days(b, &["Sunday", "Monday"]))).model("Shape", |m| {
            m.property("left", "Number").property("day", "Day").property("status", "Status")
        })
    };
    let texts: Describe = |b| {
        b.model("Canvas", |m| {
            m.property("title", "String")
                .property("shapes", "[Figure]")
                .property("days", "[String]")
        })
        .model("Figure", |m| m.property("left", "String").property_with_default("z", "Number", 3.0))
    };
    let to_texts = Migrations::new()
        .rename("Shape", "Figure")
        .rename("Circle", "Figure")
        .rename("Canvas.name", "title")
        .drop("Canvas.best")
        .convert("Canvas.days", "object.shapes.map(shape, shape.day)")
        .convert("Shape.left", "string(object.left * 2)")
        .drop("Shape.day")
        .drop("Shape.status")
        .drop("Circle.radius");
    let found = through(&[(left, Migrations::new().rename("Shape.x", "left")), (texts, to_texts)]);
    let expected = "rootUUID:00,fragments:[\
        {type:change,uuid:00,clsName:Canvas,properties:{title:C,shapes:[01,02],days:[Sunday,Monday]}},\
        {type:add,uuid:01,clsName:Figure,properties:{left:3,z:3}},\
        {type:add,uuid:02,clsName:Figure,properties:{left:4,z:3}}]";
    assert_eq!(found.as_deref(), Ok(expected));
}

#[test]
fn what_is_dropped_leaves_every_place_and_takes_along_what_only_it_held() {
    let no_circles: Describe = |b| shape(canvas(days(b, &["Sunday", "Monday"])));
    let found = through(&[(no_circles, Migrations::new().drop("Circle"))]).unwrap();
    let expected = "rootUUID:00,fragments:[\
        {type:change,uuid:00,clsName:Canvas,properties:{name:C,shapes:[01]}},\
        {type:add,uuid:01,clsName:Shape,properties:{x:1.5,day:Sunday,status:null}}]";
    assert_eq!(found, expected);
    let only_best: Describe = |b| {
        circle(shape(days(b, &["Sunday", "Monday"])))
            .model("Canvas", |m| m.property("name", "String").property("best", "Circle"))
    };
    let migrations = Migrations::new()
        .drop("Canvas.shapes")
        .convert("Canvas.best", "object.best.clsName == 'Circle' ? object.best : null");
    let found = through(&[(only_best, migrations)]).unwrap();
    let expected = "rootUUID:00,fragments:[\
        {type:change,uuid:00,clsName:Canvas,properties:{name:C,best:02}},\
        {type:add,uuid:02,clsName:Circle,properties:{x:2,day:Monday,status:null,radius:7}}]";
    assert_eq!(found, expected);
}

#[test]
fn an_entry_that_fails_names_the_object_and_can_be_put_right() {
    let texts: Describe = |b| {
        circle(canvas(days(b, &["Sunday", "Monday"]))).model("Shape", |m| {
            m.property("x", "Boolean").property("day", "Day").property("status", "Status")
        })
    };
    let wrong = Migrations::new().convert("Shape.x", "object.x");
    let failed = through(&[(texts, wrong.clone())]).unwrap_err();
    let expected = "\"Shape.x\" of 00000000-0000-4000-8000-000000000001: the expression gives what is no \
                    Boolean";
    assert_eq!(failed, expected);
    let right = Migrations::new().convert("Shape.x", "object.x > 1.5");
    let found = through(&[(texts, wrong.clone()), (texts, right.clone())]).unwrap();
    assert!(
        found.contains("Shape,properties:{x:false") && found.contains("Circle,properties:{x:true")
    );
    // Once more the same, or without entries that have done their work: nothing new.
    let again = [(texts, right.clone()), (texts, right), (texts, Migrations::new())];
    assert_eq!(through(&again).unwrap(), found);
}

#[test]
fn a_schema_that_is_known_adds_nothing() {
    let first = Evolution::step(&[], &schema(shapes), &Migrations::new()).unwrap();
    let stored = [first.add.unwrap()];
    assert_eq!(stored[0].version, SchemaVersion(1));
    let again = Evolution::step(&stored, &schema(shapes), &Migrations::new()).unwrap();
    assert!(again.add.is_none() && again.changes.is_empty());
    assert_eq!(again.evolution.present().0, SchemaVersion(1));
}

#[test]
fn the_root_cannot_be_dropped() {
    let other: Describe = |b| circle(shape(days(b, &["Sunday", "Monday"])));
    let failed = through(&[(other, Migrations::new().drop("Canvas"))]).unwrap_err();
    assert!(failed.starts_with("the root's model was dropped"), "{failed}");
}

#[test]
fn a_schema_of_a_later_version_is_not_guessed_at() {
    let text = "{\"format\":2,\"schema\":{\"enumerations\":[],\"models\":[]},\"migrations\":{}}";
    let stored = [StoredSchema { version: SchemaVersion(1), text: text.into() }];
    let error = Evolution::step(&stored, &schema(shapes), &Migrations::new()).unwrap_err();
    assert_eq!(error.to_string(), "the stored schema 1 cannot be read: its format is 2, not 1");
}
