//! Judging a ChangeSet: which of its fragments can be applied, and what a graph then has to do.

use std::collections::{HashMap, HashSet};

use super::draft::{Draft, Plan};
use super::graph::Graph;
use super::settle::settle;
use super::{ChangeSet, ErrorCode, Fragment, FragmentKind, ModelId, PropertyId, Rejection};
use crate::ids::ObjectId;
use crate::limits::{Limit, Limits};

/// The bounds that a judgement observes.
#[derive(Debug, Clone, Copy)]
pub struct JudgeLimits {
    /// The most objects that a scope may hold.
    pub scope_objects_max: usize,
    /// What the objects of a scope may take in memory, in bytes.
    pub scope_bytes_max: usize,
    /// The most elements that a collection may hold after edits.
    pub collection_elements_max: usize,
}

impl JudgeLimits {
    /// No bounds, for what comes from a trusted place.
    pub const NONE: Self = Self {
        scope_objects_max: u32::MAX as usize,
        scope_bytes_max: usize::MAX,
        collection_elements_max: u32::MAX as usize,
    };
}

impl From<&Limits> for JudgeLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            scope_objects_max: limits.scope_objects_max,
            scope_bytes_max: limits.scope_bytes_max,
            collection_elements_max: limits.collection_elements_max,
        }
    }
}

/// What is to become of a ChangeSet.
#[derive(Debug)]
pub struct Judgement {
    /// For each fragment whether it is applied, or why not.
    pub replies: Vec<Result<(), Rejection>>,
    /// What the graph has to do; `None` if no fragment is applied.
    pub plan: Option<Plan>,
    /// Properties that were changed by a removal, a move or an edit: a peer that knows only `add` and
    /// `change` with whole values has to be told their values.
    pub touched: Vec<(ObjectId, PropertyId)>,
}

/// How often the fragments of one ChangeSet are tried again without those that failed.
///
/// A ChangeSet in which each failure uncovers another is nothing that a program makes; it would cost
/// the square of its length.
const ROUNDS_MAX: usize = 16;

/// What an author can see of a graph. What it cannot see is not there for it: a fragment that names it is
/// answered as if nobody had such an object.
pub trait Sight {
    /// Whether the object is seen.
    fn sees(&self, object: ObjectId) -> bool;
    /// Whether a property of an object that is seen is.
    fn sees_property(&self, object: ObjectId, property: PropertyId) -> bool;
    /// Whether somebody who sees more says what a property refers to, and not the author alone.
    fn is_completed(&self, _object: ObjectId, _property: PropertyId) -> bool {
        false
    }
}

/// Judges a ChangeSet against a graph, which stays as it is.
///
/// Fragments that fail take with them those that name an object which they would have added; the rest is
/// tried again as if they had not been there, until nothing fails any more.
pub fn judge<'a>(graph: &'a Graph, changes: &'a ChangeSet, limits: &'a JudgeLimits) -> Judgement {
    judge_by_sight(graph, changes, limits, None)
}

/// The same for an author who does not see everything.
pub fn judge_by_sight<'a>(
    graph: &'a Graph,
    changes: &'a ChangeSet,
    limits: &'a JudgeLimits,
    sight: Option<&'a dyn Sight>,
) -> Judgement {
    let mut trial = Trial::new(graph, changes, sight);
    trial.refuse_doubled_adds();
    trial.refuse_adds_beyond(limits.scope_objects_max);
    for _ in 0..ROUNDS_MAX {
        if changes.atomic && trial.has_failures() {
            break;
        }
        if let Some(passed) = trial.round(limits) {
            return trial.accepted(passed);
        }
    }
    trial.refused()
}

struct Trial<'a> {
    graph: &'a Graph,
    changes: &'a ChangeSet,
    sight: Option<&'a dyn Sight>,
    failures: Vec<Option<Rejection>>,
    /// Which fragment adds an object, and which others name it. Worked out only if something fails.
    names: Option<HashMap<ObjectId, Vec<usize>>>,
}

/// The result of a round in which nothing failed.
struct Passed {
    plan: Option<Plan>,
    touched: Vec<(ObjectId, PropertyId)>,
}

impl<'a> Trial<'a> {
    fn new(graph: &'a Graph, changes: &'a ChangeSet, sight: Option<&'a dyn Sight>) -> Self {
        let failures = changes.fragments.iter().map(|f| f.as_ref().err().cloned()).collect();
        Self { graph, changes, sight, failures, names: None }
    }

    fn has_failures(&self) -> bool {
        self.failures.iter().any(Option::is_some)
    }

    /// The fragments that have not failed, with their places.
    fn standing(&self) -> impl Iterator<Item = (usize, &'a Fragment)> + '_ {
        let fragments = self.changes.fragments.iter().enumerate();
        fragments.filter_map(|(place, fragment)| match (&self.failures[place], fragment) {
            (None, Ok(fragment)) => Some((place, fragment)),
            _ => None,
        })
    }

    fn adds(&self) -> impl Iterator<Item = (usize, &'a Fragment)> + '_ {
        self.standing().filter(|(_, fragment)| fragment.kind == FragmentKind::Add)
    }

    /// An id can be added once. Fragments that name it mean the object that is there, or the first add.
    fn refuse_doubled_adds(&mut self) {
        let mut seen = HashSet::new();
        let adds: Vec<_> = self.adds().map(|(place, fragment)| (place, fragment.object)).collect();
        for (place, id) in adds {
            let is_hidden = |id| self.sight.is_some_and(|sight| !sight.sees(id));
            let failure = if self.graph.key(id).is_some() {
                // An id cannot be used twice, and whoever names one has to be told; but not why.
                if is_hidden(id) {
                    format!("{id} cannot be added")
                } else {
                    format!("{id} is in the scope already")
                }
            } else if !seen.insert(id) {
                format!("{id} is added twice in the same message")
            } else {
                continue;
            };
            self.failures[place] = Some(Rejection::fragment(failure));
        }
    }

    /// The first adds get what room there is.
    fn refuse_adds_beyond(&mut self, objects_max: usize) {
        let room = objects_max.saturating_sub(self.graph.len());
        let beyond: Vec<usize> = self.adds().skip(room).map(|(place, _)| place).collect();
        for place in beyond {
            let message = format!("a scope holds at most {objects_max} objects");
            self.fail(place, Rejection::beyond(Limit::ScopeObjects, message));
        }
    }

    /// Tries all fragments that have not failed. `None` if some failed now.
    fn round(&mut self, limits: &'a JudgeLimits) -> Option<Passed> {
        let mut draft = Draft::new(self.graph, limits, self.sight);
        let adds: Vec<(ObjectId, ModelId)> =
            self.adds().map(|(_, fragment)| (fragment.object, fragment.model)).collect();
        draft.declare(adds);
        let standing: Vec<_> = self.standing().collect();
        let mut failed = false;
        for (place, fragment) in &standing {
            // An earlier failure of this round may have taken this one with it.
            if self.failures[*place].is_none()
                && let Err(failure) = draft.apply(fragment)
            {
                self.fail(*place, failure);
                failed = true;
            }
        }
        if failed {
            return None;
        }
        if standing.is_empty() {
            return Some(Passed { plan: None, touched: Vec::new() });
        }
        draft.finish_moves();
        let settled = settle(&draft);
        let must_be_attached = |fragment: &Fragment| {
            fragment.kind == FragmentKind::Add
                || (fragment.kind == FragmentKind::MoveChange && draft.is_moved(fragment.object))
        };
        let attached = standing.iter().filter(|(_, fragment)| must_be_attached(fragment));
        let attached: Vec<_> = attached
            .filter_map(|(place, fragment)| {
                Some((*place, fragment.object, draft.resolve(fragment.object)?.0))
            })
            .collect();
        let unseen = draft.unseen(attached.iter().map(|(.., key)| *key).chain(draft.taken()));
        for (place, id, key) in attached {
            if settled.unreachable.contains(&key) || unseen.contains(&key) {
                let failure = format!("the root does not reach {id} when the message ends");
                self.fail(place, Rejection::fragment(failure));
                failed = true;
            }
        }
        if failed {
            return None;
        }
        let touched = draft.touched();
        let orphans = settled.unreachable.into_iter().collect();
        Some(Passed { plan: Some(draft.into_plan(settled.hung, orphans, unseen)), touched })
    }

    fn fail(&mut self, place: usize, failure: Rejection) {
        if self.failures[place].is_some() {
            return;
        }
        self.failures[place] = Some(failure);
        if let Ok(fragment) = &self.changes.fragments[place]
            && fragment.kind == FragmentKind::Add
        {
            self.fail_those_that_name(fragment.object);
        }
    }

    /// Whoever names an object that will not be added fails, and so on.
    fn fail_those_that_name(&mut self, id: ObjectId) {
        let changes = self.changes;
        let names = self.names.get_or_insert_with(|| who_names_what(changes));
        let mut gone = vec![id];
        while let Some(id) = gone.pop() {
            for place in names.get(&id).map_or(&[][..], Vec::as_slice) {
                let Ok(fragment) = &changes.fragments[*place] else { continue };
                if self.failures[*place].is_some() {
                    continue;
                }
                let failure = format!("{id} is needed, but adding it failed");
                self.failures[*place] = Some(Rejection::fragment(failure));
                if fragment.kind == FragmentKind::Add && fragment.object != id {
                    gone.push(fragment.object);
                }
            }
        }
    }

    fn accepted(self, passed: Passed) -> Judgement {
        let replies = self.failures.into_iter().map(|f| f.map_or(Ok(()), Err)).collect();
        Judgement { replies, plan: passed.plan, touched: passed.touched }
    }

    /// Nothing is applied: the ChangeSet is atomic, or no end was found.
    fn refused(self) -> Judgement {
        let rest = if self.changes.atomic {
            Rejection::new(
                ErrorCode::TransactionAborted,
                "another fragment of the same atomic message failed",
            )
        } else {
            Rejection::fragment("too many fragments of this message depend on others that fail")
        };
        let failures = self.failures.into_iter();
        let replies = failures.map(|f| Err(f.unwrap_or_else(|| rest.clone()))).collect();
        Judgement { replies, plan: None, touched: Vec::new() }
    }
}

/// For each object, the fragments that name it: as their own, as a value or in an edit.
///
/// An `after` is no such name: where it is gone, an insertion goes to the end.
fn who_names_what(changes: &ChangeSet) -> HashMap<ObjectId, Vec<usize>> {
    let mut names: HashMap<ObjectId, Vec<usize>> = HashMap::new();
    for (place, fragment) in changes.fragments.iter().enumerate() {
        let Ok(fragment) = fragment else { continue };
        let values = fragment.properties.iter().flat_map(|(_, value)| value.references());
        let edits = fragment.collections.iter().flat_map(|(_, edits)| edits);
        let edited = edits.map(|edit| edit.object());
        for id in values.copied().chain(edited).chain([fragment.object]) {
            let places = names.entry(id).or_default();
            if places.last() != Some(&place) {
                places.push(place);
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{CollectionEdit, PropertyId, Scalar, Schema, Value};

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
                m.property("label", "String")
                    .property("next", "Node")
                    .property("children", "[Node]")
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
    fn adds_may_refer_to_each_other_in_any_order() {
        let mut world = world();
        let chain = [change(0).children(&[1]), add(1).next(2), add(3), add(2).next(3)];
        assert_eq!(world.each(chain), [true; 4]);
        assert_eq!(world.tree(), [1, 2, 3]);
    }

    #[test]
    fn what_is_not_attached_at_the_end_is_not_added() {
        let mut world = world();
        assert_eq!(
            world.each([add(1), add(2).next(2), add(3).next(4), add(4).next(3)]),
            [false; 4]
        );
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
        let within = [
            node(FragmentKind::MoveChange, 3),
            change(0).take(3).insert(3, 5).insert(6, 3),
            add(6),
        ];
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
        world.each([
            node(FragmentKind::Remove, 3),
            change(1).next(3),
            node(FragmentKind::Remove, 3),
        ]);
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
        let changes =
            ChangeSet::new([change(0).insert(2, 1), add(2), change(0).insert(3, 1), add(3)]);
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
}
