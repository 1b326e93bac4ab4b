//! Stories: one rule of the protocol each, told with clients, a server and what goes wrong between them.

use std::sync::Arc;

use jetstream_core::ids::ObjectId;
use jetstream_core::limits::Limits;
use jetstream_core::model::{
    ChangeSet, CollectionEdit, Fragment, FragmentKind, Graph, PropertyId, Scalar, Value,
};
use jetstream_sim::workload::{self, ROOT, object_id};
use jetstream_sim::world::{Settings, World};

fn property(model: &str, name: &str) -> (jetstream_core::model::ModelId, PropertyId) {
    let schema = workload::schema();
    let (id, model) = schema.find(model).unwrap();
    (id, model.find(name).unwrap().0)
}

fn title(text: &str) -> ChangeSet {
    let (board, title) = property("Board", "title");
    let text = Value::Scalar(Some(Scalar::from(text)));
    ChangeSet::new([Fragment::new(FragmentKind::Change, ROOT, board).with(title, text)])
}

/// A new node at the end of the board's.
fn node(number: u128) -> ChangeSet {
    let (board, nodes) = property("Board", "nodes");
    let object = object_id(number);
    let edit = CollectionEdit::Insert { object, after: Some(object_id(9_999)) };
    ChangeSet::new([
        Fragment::new(FragmentKind::Add, object, property("Node", "label").0),
        Fragment::new(FragmentKind::Change, ROOT, board).with_edits(nodes, vec![edit]),
    ])
}

fn title_of(graph: Option<&Graph>) -> String {
    let root = graph.unwrap().object(ROOT).unwrap();
    match root.scalar(property("Board", "title").1) {
        Some(Scalar::String(text)) => text.to_string(),
        _ => String::new(),
    }
}

fn nodes_of(graph: Option<&Graph>) -> Vec<ObjectId> {
    let root = graph.unwrap().object(ROOT).unwrap();
    root.references(property("Board", "nodes").1).map(|node| node.id()).collect()
}

#[test]
fn a_reply_lost_with_the_connection_is_not_applied_twice() {
    let (mut world, [ann, bo]) = World::of(3, Settings::calm());
    world.says(ann, node(1));
    world.cut_after_commit(ann);
    world.waits(2_000);
    assert_eq!(nodes_of(world.confirmed(ann)), [], "the answer is lost");
    assert_eq!(nodes_of(world.confirmed(bo)), [object_id(1)]);
    world.comes_back(ann);
    world.settle().unwrap();
    assert_eq!(nodes_of(world.confirmed(ann)), [object_id(1)]);
    assert_eq!((world.counts().commits, world.counts().resumes), (1, 1));
}

#[test]
fn a_message_lost_with_the_connection_is_sent_again() {
    let (mut world, [ann, bo]) = World::of(4, Settings::calm());
    world.says(ann, title("lost"));
    world.cut_off(ann);
    world.says(ann, title("written while away"));
    world.waits(5_000);
    assert_eq!(title_of(world.confirmed(bo)), "");
    world.comes_back(ann);
    world.settle().unwrap();
    assert_eq!(title_of(world.confirmed(bo)), "written while away");
    assert_eq!(world.counts().commits, 2);
}

#[test]
fn what_both_add_at_the_same_time_both_keep() {
    let (mut world, [ann, bo]) = World::of(5, Settings::calm());
    world.says(ann, node(1));
    world.says(bo, node(2));
    assert_eq!(nodes_of(world.shown(ann)), [object_id(1)], "shown before it is confirmed");
    assert_eq!(nodes_of(world.confirmed(ann)), []);
    world.settle().unwrap();
    assert_eq!(nodes_of(world.confirmed(ann)).len(), 2);
    assert_eq!(nodes_of(world.confirmed(ann)), nodes_of(world.confirmed(bo)));
}

#[test]
fn a_new_connection_takes_over_from_one_that_the_server_believes_in() {
    let (mut world, [ann, bo]) = World::of(6, Settings::calm());
    world.moves_on(ann);
    world.waits(2_000);
    world.says(bo, title("for the new connection"));
    world.waits(2_000);
    assert_eq!(title_of(world.confirmed(ann)), "for the new connection");
    assert_eq!(world.session_count(), 2);
    world.settle().unwrap();
}

#[test]
fn who_was_away_for_too_much_gets_the_state_afresh() {
    let limits = Limits { backlog_bytes_max: 2_000, ..Limits::default() };
    let settings = Settings { limits: Arc::new(limits), ..Settings::calm() };
    let (mut world, [ann, bo]) = World::of(7, settings);
    world.cut_off(ann);
    for number in 0..50 {
        world.says(bo, title(&format!("number {number}")));
        world.waits(100);
    }
    assert_eq!(world.counts().resyncs, 0);
    world.comes_back(ann);
    world.settle().unwrap();
    assert_eq!(title_of(world.confirmed(ann)), "number 49");
    assert_eq!(world.counts().resyncs, 1);
}

#[test]
fn a_session_that_expired_is_replaced_by_a_new_one() {
    let (mut world, [ann, bo]) = World::of(8, Settings::calm());
    world.cut_off(ann);
    world.says(ann, title("never sent"));
    world.waits(700_000);
    assert_eq!(world.session_count(), 1);
    world.comes_back(ann);
    world.settle().unwrap();
    assert_eq!(world.session_count(), 2);
    assert_eq!(title_of(world.confirmed(bo)), "", "what the session had not sent is lost with it");
    world.says(ann, title("in the new session"));
    world.settle().unwrap();
    assert_eq!(title_of(world.confirmed(bo)), "in the new session");
}

#[test]
fn nobody_hears_of_what_is_not_durable() {
    let (mut world, [ann, bo]) = World::of(9, Settings::calm());
    world.store_takes((5_000, 5_000));
    world.says(ann, title("slowly stored"));
    world.waits(4_900);
    assert_eq!(world.counts().commits, 1);
    assert_eq!(title_of(world.confirmed(ann)), "");
    assert_eq!(title_of(world.shown(ann)), "slowly stored");
    assert_eq!(title_of(world.confirmed(bo)), "");
    world.settle().unwrap();
    assert_eq!(title_of(world.confirmed(bo)), "slowly stored");
}
