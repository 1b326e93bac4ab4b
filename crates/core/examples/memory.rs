//! What a scope keeps in memory for each of its objects, counted at the allocator.
//!
//! `cargo run --release -p jetstream-core --example memory` builds a scope as `docs/performance.md` has it,
//! objects of five numbers and a text in one collection, and prints what of it is alive beyond the values
//! themselves: eight bytes a number, the length of a text.

use std::hint::black_box;
use std::sync::Arc;

use jetstream_core::scope::{Options, Scope, encode_state};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[allow(dead_code, reason = "each example uses the part that it needs")]
#[path = "support/drawing.rs"]
mod drawing;

use drawing::{TEXT, graph, schema};

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
