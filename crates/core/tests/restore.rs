//! What leads a graph back leads exactly there, whatever happened in between.

use std::sync::Arc;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::restore::{RestoreError, restore};
use jetstream_core::model::{
    ChangeSet, CollectionEdit, Fragment, FragmentKind, Graph, JudgeLimits, Lifetime, PropertyId,
    Schema, Value, judge,
};
use jetstream_core::scope::state_fragments;
use proptest::prelude::*;

/// Nodes with values, references and collections of them, and cursors that point at nodes.
fn schema() -> Arc<Schema> {
    let schema = Schema::builder()
        .model("Node", |m| {
            m.property_with_default("label", "String", "new")
                .property("tags", "[Number]")
                .property("next", "Node")
                .property("children", "[Node]")
        })
        .model("Cursor", |m| m.extends("Node").lifetime(Lifetime::Session).property("at", "[Node]"))
        .build();
    Arc::new(schema.unwrap())
}

fn id(number: u8) -> ObjectId {
    format!("00000000-0000-4000-8000-0000000000{number:02}").parse().unwrap()
}

/// One step of a history: what is done, to which object, with which other.
#[derive(Debug, Clone, Copy)]
struct Step(u8, u8, u8);

/// The nodes are 0 (the root) to 7, the cursors 8 and 9.
const OBJECTS: u8 = 10;

fn steps(objects: u8) -> impl Strategy<Value = Vec<Step>> {
    let step = (0..8_u8, 0..objects, 0..objects).prop_map(|(what, a, b)| Step(what, a, b));
    prop::collection::vec(step, 0..40)
}

struct World(Graph);

impl World {
    fn new() -> Self {
        let schema = schema();
        let (node, _) = schema.find("Node").unwrap();
        Self(Graph::new(schema, id(0), node))
    }

    fn fragment(&self, kind: FragmentKind, number: u8) -> Fragment {
        let model = if number < 8 { "Node" } else { "Cursor" };
        Fragment::new(kind, id(number), self.0.schema().find(model).unwrap().0)
    }

    fn property(&self, name: &str) -> PropertyId {
        self.0.schema().find("Cursor").unwrap().1.find(name).unwrap().0
    }

    /// Does one step; what does not fit is refused, as it would be for a client.
    fn step(&mut self, Step(what, object, other): Step) {
        let change = self.fragment(FragmentKind::Change, object);
        let children = self.property("children");
        let insert = |after| vec![CollectionEdit::Insert { object: id(other), after }];
        let change = match what {
            0 => change.with(self.property("label"), Value::Scalar(None)),
            1 => {
                let tags = [f64::from(other).into(), 1.5.into()];
                change.with(self.property("tags"), Value::Scalars(tags.into()))
            }
            2 => change.with(self.property("next"), Value::Reference(Some(id(other)))),
            3 => change.with(self.property("next"), Value::Reference(None)),
            4 => change.with_edits(children, insert(None)),
            5 => change.with_edits(children, insert(Some(id(object / 2)))),
            6 => change.with_edits(children, vec![CollectionEdit::Remove { object: id(other) }]),
            _ if object < 8 => change.with(self.property("label"), Value::Scalar(Some("x".into()))),
            _ => change.with(self.property("at"), Value::References([id(other)].into())),
        };
        let mut fragments = vec![change];
        if self.0.object(id(other)).is_none() {
            fragments.push(self.fragment(FragmentKind::Add, other));
        }
        self.apply(&ChangeSet::new(fragments));
    }

    fn apply(&mut self, changes: &ChangeSet) -> Vec<Result<(), String>> {
        let judgement = judge(&self.0, changes, &JudgeLimits::NONE);
        if let Some(plan) = judgement.plan {
            self.0.apply(plan);
        }
        self.0.check().unwrap();
        let replies = judgement.replies.into_iter();
        replies.map(|reply| reply.map_err(|rejection| rejection.message)).collect()
    }

    /// Goes back to `wanted`; all of it has to be accepted.
    fn restore(&mut self, wanted: &Graph) {
        let changes = restore(&self.0, wanted).unwrap();
        assert!(changes.atomic);
        let replies = self.apply(&changes);
        assert!(replies.iter().all(Result::is_ok), "{replies:?}");
        assert!(restore(&self.0, wanted).unwrap().fragments.is_empty(), "it is there");
    }

    fn cursors(&self) -> Vec<ObjectId> {
        let cursor = self.0.schema().find("Cursor").unwrap().0;
        self.0.depth_first().filter(|o| o.model() == cursor).map(|o| o.id()).collect()
    }

    fn without_cursors(&mut self) {
        let cursors = (8..OBJECTS).map(|cursor| self.fragment(FragmentKind::Remove, cursor));
        self.apply(&ChangeSet::new(cursors.collect::<Vec<_>>()));
    }
}

fn after(steps: &[Step]) -> World {
    let mut world = World::new();
    steps.iter().for_each(|step| world.step(*step));
    world
}

proptest! {
    #[test]
    fn a_graph_is_led_to_any_other(past in steps(8), there in steps(8), here in steps(8)) {
        let wanted = after(&[past.clone(), there].concat());
        let mut world = after(&[past, here].concat());
        world.restore(&wanted.0);
        prop_assert_eq!(state_fragments(&world.0), state_fragments(&wanted.0));
    }

    #[test]
    fn what_lives_with_its_session_is_neither_taken_away_nor_brought_back(
        past in steps(8), there in steps(OBJECTS), here in steps(OBJECTS),
    ) {
        let mut wanted = after(&[past.clone(), there].concat());
        let mut world = after(&[past, here].concat());
        let before = world.cursors();
        world.restore(&wanted.0);
        prop_assert!(world.cursors().iter().all(|cursor| before.contains(cursor)));
        wanted.without_cursors();
        world.without_cursors();
        prop_assert_eq!(state_fragments(&world.0), state_fragments(&wanted.0));
    }
}

#[test]
fn a_cursor_keeps_its_place_among_what_comes_back() {
    let mut wanted = World::new();
    // Each is put in front: the children are 1, 2, 3.
    [3, 2, 1].into_iter().for_each(|node| wanted.step(Step(4, 0, node)));
    let mut world = World(wanted.0.clone());
    // The cursor goes behind the root's place / 2: at the end, as 0 is no child; then 2 leaves.
    world.step(Step(5, 0, 8));
    world.step(Step(6, 0, 2));
    world.step(Step(4, 0, 9));
    world.restore(&wanted.0);
    let children = world.0.object(id(0)).unwrap().value(world.property("children"));
    assert_eq!(children, Value::References([9, 1, 2, 3, 8].map(id).into()));
}

#[test]
fn what_no_change_set_can_say_is_an_error_that_names_the_object() {
    let world = World::new();
    let (cursor, _) = world.0.schema().find("Cursor").unwrap();
    let other_root = Graph::new(world.0.schema().clone(), id(1), cursor);
    let error = restore(&world.0, &other_root).unwrap_err();
    assert_eq!(error, RestoreError::Root { present: id(0), wanted: id(1) });
    let same_root = Graph::new(world.0.schema().clone(), id(0), cursor);
    let error = restore(&world.0, &same_root).unwrap_err().to_string();
    let expected = "00000000-0000-4000-8000-000000000000 was of the model \"Cursor\" and is now another \
                    object, of the model \"Node\"";
    assert_eq!(error, expected);
}
