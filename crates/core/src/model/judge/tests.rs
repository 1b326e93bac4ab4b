//! Which fragments are accepted, and what becomes of the tree.

use std::sync::Arc;

use super::*;
use crate::model::{CollectionEdit, ModelId, PropertyId, Scalar, Schema, Value};

/// A tree of nodes: each with a `label`, a `next`, and `children`; the root is node 0.
struct World {
    graph: Graph,
}

fn id(number: u128) -> ObjectId {
    ObjectId::from_uuid(uuid::Uuid::from_u128(number))
}

fn node(kind: FragmentKind, number: u128) -> Fragment {
    Fragment::new(kind, id(number), world().model())
}

fn add(number: u128) -> Fragment {
    node(FragmentKind::Add, number)
}

fn change(number: u128) -> Fragment {
    node(FragmentKind::Change, number)
}

fn world() -> World {
    let schema = Schema::builder()
        .model("Node", |m| {
            m.property("label", "String").property("next", "Node").property("children", "[Node]")
        })
        .model("Leaf", |m| m.property("label", "String"))
        .build()
        .unwrap();
    let (model, _) = schema.find("Node").unwrap();
    World { graph: Graph::new(Arc::new(schema), id(0), model) }
}

impl World {
    fn model(&self) -> ModelId {
        self.graph.schema().find("Node").unwrap().0
    }

    /// Judges and applies; tells which fragments were accepted.
    fn sync(&mut self, changes: ChangeSet) -> Vec<bool> {
        let before = format!("{:?}", self.tree());
        let judgement = judge(&self.graph, &changes, &JudgeLimits::NONE);
        assert_eq!(before, format!("{:?}", self.tree()), "judging touched the graph");
        if let Some(plan) = judgement.plan {
            self.graph.apply(plan);
        }
        self.graph.check().unwrap();
        judgement.replies.iter().map(Result::is_ok).collect()
    }

    fn each(&mut self, fragments: impl IntoIterator<Item = Fragment>) -> Vec<bool> {
        self.sync(ChangeSet::new(fragments))
    }

    /// All nodes but the root, depth first.
    fn tree(&self) -> Vec<u128> {
        self.graph.depth_first().skip(1).map(|o| o.id().as_uuid().as_u128()).collect()
    }

    fn children(&self, number: u128) -> Vec<u128> {
        let object = self.graph.object(id(number)).unwrap();
        object.references(CHILDREN()).map(|o| o.id().as_uuid().as_u128()).collect()
    }
}

fn property(name: &str) -> PropertyId {
    let world = world();
    let model = world.model();
    world.graph.schema().model(model).find(name).unwrap().0
}

#[expect(non_snake_case, reason = "reads as the constant that it is")]
fn CHILDREN() -> PropertyId {
    property("children")
}

trait Build {
    fn children(self, children: &[u128]) -> Self;
    fn next(self, next: impl Into<Option<u128>>) -> Self;
    fn label(self, label: &str) -> Self;
    fn insert(self, object: u128, after: impl Into<Option<u128>>) -> Self;
    fn take(self, object: u128) -> Self;
}

impl Build for Fragment {
    fn children(self, children: &[u128]) -> Self {
        self.with(CHILDREN(), Value::References(children.iter().map(|n| id(*n)).collect()))
    }

    fn next(self, next: impl Into<Option<u128>>) -> Self {
        self.with(property("next"), Value::Reference(next.into().map(id)))
    }

    fn label(self, label: &str) -> Self {
        self.with(property("label"), Value::Scalar(Some(Scalar::from(label))))
    }

    fn insert(self, object: u128, after: impl Into<Option<u128>>) -> Self {
        let after = after.into().map(id);
        self.with_edits(CHILDREN(), vec![CollectionEdit::Insert { object: id(object), after }])
    }

    fn take(self, object: u128) -> Self {
        self.with_edits(CHILDREN(), vec![CollectionEdit::Remove { object: id(object) }])
    }
}

#[test]
fn an_edit_that_changes_nothing_is_told_to_those_who_know_only_whole_values() {
    let mut world = world();
    let tree = [change(0).children(&[1, 2]), add(1).children(&[3]), add(2), add(3)];
    assert_eq!(world.each(tree), [true; 4]);
    for edit in [change(0).take(3), change(0).insert(2, 1)] {
        let judgement = judge(&world.graph, &ChangeSet::new([edit]), &JudgeLimits::NONE);
        assert_eq!(judgement.touched, [(id(0), CHILDREN())]);
    }
}

/// Sees everything but one object.
struct Blind(ObjectId);

impl Sight for Blind {
    fn sees(&self, object: ObjectId) -> bool {
        object != self.0
    }

    fn sees_property(&self, object: ObjectId, _: PropertyId) -> bool {
        self.sees(object)
    }
}

#[test]
fn what_an_author_takes_out_of_the_last_place_that_it_sees_is_gone_for_it() {
    let mut world = world();
    let tree = [change(0).children(&[1, 2]), add(1).children(&[3]), add(2).children(&[3]), add(3)];
    assert_eq!(world.each(tree), [true; 4]);
    let taken = ChangeSet::new([change(2).with(CHILDREN(), Value::References([].into()))]);
    let (all, blind) = (JudgeLimits::NONE, Blind(id(1)));
    for (sight, expected) in [(Some(&blind as &dyn Sight), 1), (None, 0)] {
        let judgement = judge_by_sight(&world.graph, &taken, &all, sight);
        assert_eq!(judgement.plan.unwrap().vanished.len(), expected);
    }
}

#[test]
fn adds_may_refer_to_each_other_in_any_order() {
    let mut world = world();
    let chain = [change(0).children(&[1]), add(1).next(2), add(3), add(2).next(3)];
    assert_eq!(world.each(chain), [true; 4]);
    assert_eq!(world.tree(), [1, 2, 3]);
}

#[test]
fn what_is_not_attached_at_the_end_is_not_added() {
    let mut world = world();
    assert_eq!(world.each([add(1), add(2).next(2), add(3).next(4), add(4).next(3)]), [false; 4]);
    assert_eq!(world.tree(), []);
}

#[test]
fn a_failed_add_fails_whatever_names_it() {
    let mut world = world();
    let fragments = [
        change(0).children(&[1, 3]),
        add(1).next(2),
        add(2).next(99),
        add(3),
        change(0).label("alone"),
    ];
    // 3 is only attached by the change that fails.
    assert_eq!(world.each(fragments), [false, false, false, false, true]);
    assert_eq!(world.tree(), []);
}

#[test]
fn an_atomic_change_set_is_applied_as_a_whole_or_not_at_all() {
    let mut world = world();
    let judgement = judge(
        &world.graph,
        &ChangeSet::atomic([change(0).label("x"), change(9).label("y")]),
        &JudgeLimits::NONE,
    );
    assert!(judgement.plan.is_none());
    let codes: Vec<_> =
        judgement.replies.into_iter().map(|r| r.unwrap_err().code.unwrap()).collect();
    assert_eq!(codes, ["transaction-aborted", "could-not-apply-sync-message"]);
    assert_eq!(world.sync(ChangeSet::atomic([change(0).children(&[1]), add(1)])), [true; 2]);
}

#[test]
fn a_cycle_without_the_root_leaves() {
    let mut world = world();
    world.each([change(0).children(&[1]), add(1).next(2), add(2).next(3), add(3).next(1)]);
    assert_eq!(world.tree(), [1, 2, 3]);
    world.each([change(0).children(&[])]);
    assert_eq!(world.tree(), []);
}

#[test]
fn a_cycle_stays_while_one_of_it_is_held_elsewhere() {
    let mut world = world();
    let ring = [
        change(0).children(&[1, 9]),
        add(1).next(2),
        add(2).next(3),
        add(3).next(1),
        add(9).next(3),
    ];
    assert_eq!(world.each(ring), [true; 5]);
    world.each([change(0).children(&[9])]);
    assert_eq!(world.tree(), [9, 3, 1, 2]);
    world.each([node(FragmentKind::Remove, 9)]);
    assert_eq!(world.tree(), []);
}

#[test]
fn an_object_with_several_parents_stays_until_the_last_lets_go() {
    let mut world = world();
    world.each([
        change(0).children(&[1, 2]),
        add(1).next(3),
        add(2).next(3),
        add(3).next(4),
        add(4),
    ]);
    world.each([change(1).next(None)]);
    assert_eq!(world.tree(), [1, 2, 3, 4]);
    world.each([change(2).next(None)]);
    assert_eq!(world.tree(), [1, 2]);
}

#[test]
fn removal_happens_at_the_end() {
    let mut world = world();
    world.each([change(0).children(&[1, 2]), add(1).next(3), add(2), add(3)]);
    let moved = [change(1).next(None), change(3).label("moved"), change(2).next(3)];
    assert_eq!(world.each(moved), [true; 3]);
    assert_eq!(world.tree(), [1, 2, 3]);
    let gone = [change(2).next(None), change(3).label("late")];
    assert_eq!(world.each(gone), [true; 2]);
    assert_eq!(world.each([change(3).label("too late")]), [false]);
    assert_eq!(world.each([change(0).children(&[1, 2, 3]), add(3)]), [true, true]);
}

#[test]
fn remove_takes_an_object_out_of_every_place() {
    let mut world = world();
    world.each([change(0).children(&[1, 2, 1]).next(1), add(1), add(2).children(&[1])]);
    assert_eq!(world.each([node(FragmentKind::Remove, 1)]), [true]);
    assert_eq!(world.tree(), [2]);
    assert_eq!(world.each([node(FragmentKind::Remove, 0)]), [false]);
    assert_eq!(world.each([node(FragmentKind::Remove, 1)]), [false]);
}

#[test]
fn movechange_leaves_every_place_that_the_message_did_not_give() {
    let mut world = world();
    world.each([change(0).children(&[1, 2, 3]).next(3), add(1), add(2), add(3)]);
    let moved = [node(FragmentKind::MoveChange, 3).label("m"), change(1).children(&[3])];
    assert_eq!(world.each(moved), [true; 2]);
    assert_eq!(world.children(0), [1, 2]);
    assert_eq!(world.children(1), [3]);
    assert_eq!(world.each([node(FragmentKind::MoveChange, 2)]), [false]);
    assert_eq!(world.children(0), [1, 2]);
}

#[test]
fn movechange_within_a_collection_leaves_one_place() {
    let mut world = world();
    world.each([change(0).children(&[1, 2, 3]), add(1), add(2), add(3)]);
    world.each([node(FragmentKind::MoveChange, 1), change(0).insert(1, 3)]);
    assert_eq!(world.children(0), [2, 3, 1]);
    world.each([node(FragmentKind::MoveChange, 1), change(0).take(1).insert(1, None)]);
    assert_eq!(world.children(0), [1, 2, 3]);
}

#[test]
fn movechange_takes_an_object_out_before_edits_look_for_their_places() {
    let mut world = world();
    world.each([change(0).children(&[1, 2, 3]), add(1), add(2), add(3)]);
    // 1 is gone from here, whether the edits or something else give it its new place.
    let away = [node(FragmentKind::MoveChange, 1), change(0).insert(4, 1), add(4).next(1)];
    assert_eq!(world.each(away), [true; 3]);
    assert_eq!(world.children(0), [2, 3, 4]);
    let within = [node(FragmentKind::MoveChange, 2), change(0).take(2).insert(5, 2), add(5)];
    assert_eq!(world.each(within), [false, true, true]);
    let within =
        [node(FragmentKind::MoveChange, 3), change(0).take(3).insert(3, 5).insert(6, 3), add(6)];
    assert_eq!(world.each(within), [true; 3]);
    assert_eq!(world.children(0), [4, 5, 3, 6]);
}

#[test]
fn edits_find_their_place_by_element() {
    let mut world = world();
    world.each([change(0).children(&[1, 2]), add(1), add(2)]);
    world.each([change(0).insert(3, 1), add(3)]);
    world.each([change(0).insert(4, None), add(4)]);
    world.each([change(0).insert(5, 77), add(5)]);
    assert_eq!(world.children(0), [4, 1, 3, 2, 5]);
    assert_eq!(world.each([change(0).take(3).take(66)]), [true]);
    assert_eq!(world.children(0), [4, 1, 2, 5]);
    assert!(world.graph.object(id(3)).is_none());
}

#[test]
fn an_add_that_exists_or_comes_twice_fails() {
    let mut world = world();
    world.each([change(0).children(&[1]), add(1).label("first")]);
    assert_eq!(world.each([add(1).label("again")]), [false]);
    let twice = [add(2).label("a"), add(2).label("b"), change(0).children(&[1, 2])];
    assert_eq!(world.each(twice), [true, false, true]);
}

#[test]
fn a_class_name_must_be_the_objects_own() {
    let mut world = world();
    let leaf = world.graph.schema().find("Leaf").unwrap().0;
    let wrong = Fragment::new(FragmentKind::Change, id(0), leaf);
    assert_eq!(world.each([wrong]), [false]);
    let stray = Fragment::new(FragmentKind::Add, id(1), leaf);
    assert_eq!(world.each([stray, change(0).children(&[1])]), [false, false]);
}

#[test]
fn the_root_may_refer_to_itself_and_let_go() {
    let mut world = world();
    assert_eq!(world.each([change(0).next(0)]), [true]);
    assert_eq!(world.each([change(0).next(None)]), [true]);
    assert_eq!(world.graph.len(), 1);
}

#[test]
fn what_was_removed_and_put_elsewhere_can_be_removed_again() {
    let mut world = world();
    world.each([change(0).children(&[1, 2]), add(1).next(3), add(2).next(3), add(3)]);
    let back = [
        node(FragmentKind::Remove, 3),
        change(1).next(3),
        change(0).insert(3, 1),
        node(FragmentKind::Remove, 3),
        change(2).next(3),
    ];
    assert_eq!(world.each(back), [true; 5]);
    assert_eq!((world.tree(), world.children(0)), (vec![1, 2, 3], vec![1, 2]));
    let parents = |world: &World| world.graph.object(id(3)).map(|o| o.parents().count());
    assert_eq!(parents(&world), Some(1));
    world.each([node(FragmentKind::Remove, 3), change(1).next(3), node(FragmentKind::Remove, 3)]);
    assert_eq!(parents(&world), None);
}

#[test]
fn a_second_removal_looks_only_at_parents_that_came_back() {
    let mut world = world();
    let many: Vec<u128> = (2..=500).collect();
    let adds = many.iter().map(|n| add(*n).next(1));
    world.each(adds.chain([add(1), change(0).children(&many)]));
    let mut draft = Draft::new(&world.graph, &JudgeLimits::NONE, None);
    draft.apply(&node(FragmentKind::Remove, 1)).unwrap();
    draft.apply(&change(7).next(1)).unwrap();
    let (one, _) = draft.resolve(id(1)).unwrap();
    assert_eq!(draft.parents_to_leave(one).len(), 1);
}

#[test]
fn a_scope_holds_no_more_objects_than_its_limit() {
    let mut world = world();
    world.each([change(0).children(&[1]), add(1)]);
    let limits = JudgeLimits { scope_objects_max: 3, ..JudgeLimits::NONE };
    let changes = ChangeSet::new([change(0).insert(2, 1), add(2), change(0).insert(3, 1), add(3)]);
    let judgement = judge(&world.graph, &changes, &limits);
    let accepted: Vec<_> = judgement.replies.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [true, true, false, false]);
    let limits = JudgeLimits { collection_elements_max: 1, ..JudgeLimits::NONE };
    let changes = ChangeSet::new([change(0).insert(2, 1), add(2)]);
    assert!(judge(&world.graph, &changes, &limits).plan.is_none());
}

#[test]
fn an_add_beyond_the_limit_takes_only_those_along_that_need_it() {
    let mut world = world();
    world.each([change(0).children(&[1]), add(1)]);
    let limits = JudgeLimits { scope_objects_max: 3, ..JudgeLimits::NONE };
    // 2 and 1 are there whatever becomes of the later adds; 3 is not.
    let changes = ChangeSet::new([
        change(0).insert(2, 1),
        add(2),
        add(2).label("again"),
        add(3),
        add(1).next(3),
        change(1).label("named by an add that was refused"),
        change(1).next(3),
    ]);
    let judgement = judge(&world.graph, &changes, &limits);
    let accepted: Vec<_> = judgement.replies.iter().map(Result::is_ok).collect();
    assert_eq!(accepted, [true, true, false, false, false, true, false]);
}

#[test]
fn removing_one_of_many_looks_at_one() {
    let mut world = world();
    let many: Vec<u128> = (1..=20_000).collect();
    let mut fragments: Vec<Fragment> = many.iter().map(|n| add(*n)).collect();
    fragments.push(change(0).children(&many));
    world.each(fragments);
    let changes = ChangeSet::new([change(0).take(777)]);
    let mut draft = Draft::new(&world.graph, &JudgeLimits::NONE, None);
    draft.apply(changes.fragments[0].as_ref().unwrap()).unwrap();
    let settled = settle(&draft);
    assert_eq!(settled.unreachable.len(), 1);
    assert_eq!(settled.hung.len(), 0);
    let orphans = settled.unreachable.into_iter().collect();
    let plan = draft.into_plan(settled.hung, orphans, HashSet::new());
    assert_eq!((plan.edges.len(), plan.fields.len(), plan.orphans.len()), (1, 1, 1));
}
