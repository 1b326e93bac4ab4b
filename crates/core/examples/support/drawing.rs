//! The scope that `docs/performance.md` measures: shapes of five numbers and a text in one collection.

use std::sync::Arc;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::{Fragment, FragmentKind, Graph, Scalar, Schema, Value};

/// The text of each shape.
pub(crate) const TEXT: &str = "a shape";

/// Its models.
pub(crate) fn schema() -> Schema {
    Schema::builder()
        .model("Canvas", |m| m.property("name", "String").property("shapes", "[Shape]"))
        .model("Shape", |m| {
            let numbers = ["x", "y", "width", "height", "angle"];
            numbers.iter().fold(m, |m, name| m.property(*name, "Number")).property("tag", "String")
        })
        .build()
        .expect("the schema is right")
}

/// It, with so many shapes.
pub(crate) fn graph(schema: &Arc<Schema>, objects: usize) -> Graph {
    let (canvas, root) = schema.find("Canvas").expect("it is there");
    let (shape, model) = schema.find("Shape").expect("it is there");
    let (shapes, _) = root.find("shapes").expect("it has shapes");
    let ids: Vec<ObjectId> = (1..=objects).map(id).collect();
    let first = Fragment::new(FragmentKind::Change, id(0), canvas)
        .with(shapes, Value::References(ids.clone().into()));
    let rest = ids.into_iter().enumerate().map(|(number, object)| {
        let mut fragment = Fragment::new(FragmentKind::Add, object, shape);
        for (property, definition) in model.properties() {
            let value = match &**definition.name() {
                "tag" => Scalar::from(TEXT),
                // Fractions with many digits, as what is drawn has them.
                _ => Scalar::Number(number as f64 * 0.618_033_988_75 + 0.25),
            };
            fragment.properties.push((property, Value::Scalar(Some(value))));
        }
        fragment
    });
    let fragments = std::iter::once(first).chain(rest).collect();
    Graph::from_state(schema.clone(), id(0), fragments).expect("the state is right")
}

/// The root is 0, the shapes are counted from 1.
pub(crate) fn id(number: usize) -> ObjectId {
    ObjectId::from_uuid(uuid::Uuid::from_u128(
        0x4000_8000_0000_0000_0000_0000 + u128::from(number as u64),
    ))
}
