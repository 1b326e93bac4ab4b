//! What of a scope is stored: everything but the objects that leave with their session, and what only
//! those hold.

use std::sync::Arc;

use super::Commit;
use super::state::state_fragments;
use crate::ids::ObjectId;
use crate::model::restore::restore;
use crate::model::{
    ChangeSet, Fragment, FragmentKind, Graph, JudgeLimits, Lifetime, ModelId, ObjectRef, Property,
    PropertyId, PropertyType, Schema, Value, judge,
};

/// The scope as it will be rebuilt from its log.
///
/// Kept beside the live one where models have objects that leave with their session: such an object can
/// be the last to hold another, which then is in the scope but not in its log, until somebody takes it up
/// again. Where there are no such models, the log is the scope.
#[derive(Debug, Default)]
pub(super) struct Durable(Option<Graph>);

impl Durable {
    /// What is stored of a graph.
    pub(super) fn of(graph: &Graph) -> Self {
        let passing = graph.schema().models().any(|(id, _)| leaves(graph.schema(), id));
        Self(passing.then(|| rebuilt(graph)))
    }

    /// What of a commit has to be stored, `None` if nothing. `graph` is the scope with it.
    pub(super) fn stored(&mut self, graph: &Graph, commit: &Arc<Commit>) -> Option<Arc<Commit>> {
        let Some(mirror) = &mut self.0 else { return Some(commit.clone()) };
        let changes = ChangeSet::new(lasting(mirror, graph, &commit.fragments));
        let mut fragments: Vec<_> = changes.fragments.iter().flatten().cloned().collect();
        let judgement = judge(mirror, &changes, &JudgeLimits::NONE);
        if judgement.replies.iter().all(Result::is_ok) {
            judgement.plan.into_iter().for_each(|plan| mirror.apply(plan));
        } else {
            // It is about something that only a passing object held until now, or holds from now on.
            let all = restore(mirror, graph).expect("a uuid is one object within a commit");
            let judgement = judge(mirror, &all, &JudgeLimits::NONE);
            judgement.plan.into_iter().for_each(|plan| mirror.apply(plan));
            fragments = all.fragments.into_iter().flatten().collect();
        }
        let lasts = !fragments.is_empty();
        lasts.then(|| Arc::new(Commit { fragments: fragments.into(), ..Commit::clone(commit) }))
    }
}

/// The graph without what leaves with sessions.
fn rebuilt(graph: &Graph) -> Graph {
    let fragments = state_fragments(graph);
    Graph::from_state(graph.schema().clone(), graph.root(), fragments)
        .expect("every object is reached by a way that lasts")
}

/// The fragments without what leaves with sessions, and the values of properties that may refer to such
/// objects, where what lasts of them has changed.
fn lasting(mirror: &Graph, graph: &Graph, fragments: &[Fragment]) -> Vec<Fragment> {
    let schema = graph.schema();
    let mut kept = Vec::new();
    let mut mixed: Vec<(ObjectId, ModelId, PropertyId)> = Vec::new();
    for fragment in fragments.iter().filter(|one| lasts(graph, one.object, one.model)) {
        let mut fragment = fragment.clone();
        let model = schema.model(fragment.model);
        let mut stays = |id: PropertyId| {
            let refers = may_leave(schema, model.property(id));
            if refers {
                mixed.push((fragment.object, fragment.model, id));
            }
            !refers
        };
        fragment.properties.retain(|(id, _)| stays(*id));
        fragment.collections.retain(|(id, _)| stays(*id));
        let is_empty = fragment.properties.is_empty() && fragment.collections.is_empty();
        if !is_empty || fragment.kind != FragmentKind::Change {
            kept.push(fragment);
        }
    }
    let moves = kept.iter().any(|fragment| fragment.kind == FragmentKind::MoveChange);
    for (id, model, property) in mixed {
        let now = graph.object(id).map(|object| lasting_value(object, property));
        let before = mirror.object(id).map(|object| object.value(property));
        // What is moved keeps the parents that are named, also those that it had.
        if let Some(now) = now
            && (moves || before.is_none_or(|before| before != now))
        {
            kept.push(Fragment::new(FragmentKind::Change, id, model).with(property, now));
        }
    }
    kept
}

/// What lasts of a property's value.
pub(super) fn lasting_value(object: ObjectRef<'_>, property: PropertyId) -> Value {
    let value = object.value(property);
    let schema = object.graph().schema();
    if !may_leave(schema, schema.model(object.model()).property(property)) {
        return value;
    }
    let lasts = |target: &ObjectRef<'_>| lasts(object.graph(), target.id(), target.model());
    match value {
        Value::Reference(_) => {
            Value::Reference(object.reference(property).filter(lasts).map(|target| target.id()))
        }
        _ => Value::References(object.references(property).filter(lasts).map(|o| o.id()).collect()),
    }
}

/// Whether a ChangeSet is only about objects that leave with their session, and about properties that hold
/// nothing else: then nothing of it is stored.
pub(super) fn is_passing(graph: &Graph, changes: &ChangeSet) -> bool {
    let schema = graph.schema();
    let holds_passing = |model: ModelId, property: PropertyId| {
        let kind = schema.model(model).property(property).kind();
        matches!(kind, PropertyType::Model(target) if leaves(schema, target))
    };
    changes.fragments.iter().flatten().all(|fragment| {
        let changed = fragment.properties.iter().map(|(id, _)| *id);
        let mut changed = changed.chain(fragment.collections.iter().map(|(id, _)| *id));
        !lasts(graph, fragment.object, fragment.model)
            || fragment.kind == FragmentKind::Change
                && changed.all(|property| holds_passing(fragment.model, property))
    })
}

/// Whether an object stays when its session leaves. The root does, whatever its model says.
pub(super) fn lasts(graph: &Graph, id: ObjectId, model: ModelId) -> bool {
    id == graph.root() || !leaves(graph.schema(), model)
}

/// Whether objects of this model leave with their session.
fn leaves(schema: &Schema, model: ModelId) -> bool {
    schema.model(model).lifetime() == Lifetime::Session
}

/// Whether a property may refer to objects that leave with their session.
fn may_leave(schema: &Schema, property: &Property) -> bool {
    let PropertyType::Model(target) = property.kind() else { return false };
    schema.models().any(|(id, _)| leaves(schema, id) && schema.is_a(id, target))
}
