//! What a scope keeps in memory for each of its objects, counted at the allocator.
//!
//! `cargo run --release -p jetstream-core --example memory` builds a scope as `docs/performance.md` has it,
//! objects of five numbers and a text in one collection, and prints what of it is alive beyond the values
//! themselves: eight bytes a number, the length of a text.

use std::hint::black_box;
use std::sync::Arc;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::{Fragment, FragmentKind, Graph, Scalar, Schema, Value};
use jetstream_core::scope::{Options, Scope, encode_state};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

fn main() {
    let objects =
        std::env::args().nth(1).and_then(|count| count.parse().ok()).unwrap_or(100_000_usize);
    let schema = Arc::new(schema());
    let own = objects * (5 * size_of::<f64>() + TEXT.len());

    let region = Region::new(ALLOCATOR);
    let graph = graph(&schema, objects);
    report("graph", &region, objects, own);

    let region = Region::new(ALLOCATOR);
    let state = encode_state(&graph);
    report("a state as one text", &region, objects, 0);
    drop(black_box(state));

    let region = Region::new(ALLOCATOR);
    let scope = Scope::new(graph, Options { stored: true, ..Options::default() });
    report("scope beside it", &region, objects, 0);
    black_box(scope);
}

/// What the allocator keeps beside each allocation, mostly eight bytes, is not in it.
fn report(what: &str, region: &Region<'_, std::alloc::System>, objects: usize, own: usize) {
    let change = region.change();
    let alive = change.bytes_allocated as isize - change.bytes_deallocated as isize;
    let pieces = change.allocations as isize - change.deallocations as isize;
    let each = |count: isize| count as f64 / objects as f64;
    let line = format!(
        "{what}: {:.0} bytes an object beyond its values, in {:.1} allocations",
        each(alive - own as isize),
        each(pieces),
    );
    let mut out = std::io::stdout().lock();
    std::io::Write::write_all(&mut out, format!("{line}\n").as_bytes()).expect("standard output");
}

fn schema() -> Schema {
    Schema::builder()
        .model("Canvas", |m| m.property("name", "String").property("shapes", "[Shape]"))
        .model("Shape", |m| {
            let numbers = ["x", "y", "width", "height", "angle"];
            numbers.iter().fold(m, |m, name| m.property(*name, "Number")).property("tag", "String")
        })
        .build()
        .expect("the schema is right")
}

fn graph(schema: &Arc<Schema>, objects: usize) -> Graph {
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
                _ => Scalar::Number(number as f64 + 0.25),
            };
            fragment.properties.push((property, Value::Scalar(Some(value))));
        }
        fragment
    });
    let fragments = std::iter::once(first).chain(rest).collect();
    Graph::from_state(schema.clone(), id(0), fragments).expect("the state is right")
}

fn id(number: usize) -> ObjectId {
    ObjectId::from_uuid(uuid::Uuid::from_u128(
        0x4000_8000_0000_0000_0000_0000 + u128::from(number as u64),
    ))
}

const TEXT: &str = "a shape";
