//! What sessions with equal rights see of a scope.
//!
//! An object is seen if it may be read and the root leads to it over properties and objects that are seen: who
//! may not see a room sees nothing of what is only in it. A view is kept up to date by what a commit did, not by
//! looking at everything; only rules that look at the root make a change of the root cost that.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::passage::clip;
use super::{Hidden, Rights};
use crate::ids::ObjectId;
use crate::model::draft::Plan;
use crate::model::prospect::Prospect;
use crate::model::way::climb;
use crate::model::{Graph, ObjectRef, PropertyId, Sight, Value};
use crate::scope::kept_state::KeptState;

/// What a class of sessions sees.
#[derive(Debug)]
pub(super) struct View {
    seen: HashMap<ObjectId, Hidden>,
    /// Objects that were seen and are not any more, though they are still there, oldest first: a client may
    /// name one that it has not been told about.
    departed: VecDeque<ObjectId>,
}

impl Turn {
    /// Notes in the text of a state what is written in another way now. `step`: what brought this about.
    pub(super) fn note(&self, graph: &Graph, step: &Step, state: &mut KeptState) {
        let covers = self.covered.iter().chain(&self.uncovered).map(|(id, _)| id);
        let passing = || self.entered.iter().chain(self.left.keys());
        // Who holds an object names it as long as it is seen.
        let holders = passing().filter_map(|id| graph.object(*id)).flat_map(|o| o.parents());
        holders.for_each(|holder| state.change_object(graph, holder.id()));
        let changed = step.changed.keys().chain(&step.added).chain(covers).chain(passing());
        changed.for_each(|id| state.change_object(graph, *id));
        let is_link = |value: &Value| matches!(value, Value::Reference(_) | Value::References(_));
        let links = step.changed.values().flatten().any(|(_, value)| is_link(value));
        let turns = !self.covered.is_empty() || !self.uncovered.is_empty();
        if links || turns || passing().next().is_some() || !step.added.is_empty() {
            state.reorder();
        }
    }
}

/// Past so many objects that have left a view, the oldest are forgotten: a client that has not heard of it
/// by then has its edit refused and repaired.
const DEPARTED_MAX: usize = 1_000;

/// What a commit did, as views need to know it.
#[derive(Debug, Clone, Default)]
pub(in crate::scope) struct Step {
    pub(super) added: Vec<ObjectId>,
    gone: IndexSet<ObjectId>,
    /// What properties of objects that were there before held.
    pub(super) changed: IndexMap<ObjectId, Vec<(PropertyId, Value)>>,
    /// Children that gained or lost a parent.
    linked: IndexSet<ObjectId>,
}

impl Step {
    /// What a plan is about to do.
    pub(in crate::scope) fn of(graph: &Graph, plan: &Plan) -> Self {
        let prospect = Prospect::with(graph, plan);
        let mut changed: IndexMap<ObjectId, Vec<(PropertyId, Value)>> = IndexMap::new();
        for (key, property) in plan.fields.keys() {
            let id = prospect.at(*key).id();
            if let Some(object) = graph.object(id) {
                changed.entry(id).or_default().push((*property, object.value(*property)));
            }
        }
        // What goes takes its references with it, without a word in the plan.
        let gone = plan.orphans.iter().filter(|key| graph.get(**key).is_some());
        let let_go = gone.flat_map(|key| graph.children(*key));
        let linked = plan.edges.keys().map(|(child, _)| *child).chain(let_go);
        Self {
            added: plan.added.iter().map(|added| added.id).collect(),
            gone: plan.orphans.iter().map(|key| prospect.at(*key).id()).collect(),
            changed,
            linked: linked.map(|child| prospect.at(child).id()).collect(),
        }
    }

    pub(super) fn takes_away(&self, id: ObjectId) -> bool {
        self.gone.contains(&id)
    }
}

/// How a view changed.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) entered: IndexSet<ObjectId>,
    /// With what was hidden of them before.
    pub(super) left: IndexMap<ObjectId, Hidden>,
    /// Properties of objects that stay which are seen no longer, or now.
    pub(super) covered: IndexSet<(ObjectId, PropertyId)>,
    pub(super) uncovered: IndexSet<(ObjectId, PropertyId)>,
}

impl Turn {
    /// Whether something is seen no longer that is still there.
    pub(super) fn narrows(&self, step: &Step) -> bool {
        !self.covered.is_empty() || self.left.keys().any(|id| !step.takes_away(*id))
    }

    fn recover(&mut self, id: ObjectId, before: &Hidden, now: &Hidden) {
        let only_in = |a: &Hidden, b: &Hidden| -> Vec<PropertyId> {
            a.iter().filter(|property| !b.contains(property)).copied().collect()
        };
        self.covered.extend(only_in(now, before).into_iter().map(|property| (id, property)));
        self.uncovered.extend(only_in(before, now).into_iter().map(|property| (id, property)));
    }
}

/// What a member has an idea of, for those who find out what it means.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::scope) struct Glimpse<'a>(pub(super) Option<&'a View>);

impl Glimpse<'_> {
    /// Whether the member knows of an object.
    pub(in crate::scope) fn sees(self, id: ObjectId) -> bool {
        self.0.is_none_or(|view| view.sees(id))
    }

    /// A value as the member sees it.
    pub(in crate::scope) fn clip(self, value: Value) -> Value {
        match self.0 {
            None => value,
            Some(view) => clip(value, |id| view.sees(id)),
        }
    }

    /// Collections as the member may have seen them.
    pub(in crate::scope) fn known(self, collections: Vec<Arc<[ObjectId]>>) -> Vec<Arc<[ObjectId]>> {
        let Some(view) = self.0 else { return collections };
        let known = |id: &ObjectId| view.sees(*id) || view.has_departed(*id);
        let those = |ids: Arc<[ObjectId]>| ids.iter().copied().filter(known).collect();
        collections.into_iter().map(those).collect()
    }
}

impl Sight for View {
    fn sees(&self, object: ObjectId) -> bool {
        self.seen.contains_key(&object)
    }

    fn sees_property(&self, object: ObjectId, property: PropertyId) -> bool {
        self.seen.get(&object).is_some_and(|hidden| !hidden.contains(&property))
    }
}

impl View {
    /// What these rights show of a graph.
    pub(super) fn new(graph: &Graph, rights: &dyn Rights) -> Self {
        let mut view = Self { seen: HashMap::new(), departed: VecDeque::new() };
        let root = graph.object(graph.root()).expect("a graph has a root");
        let hidden = read(graph, rights, root).expect("the root is always there");
        view.seen.insert(root.id(), hidden);
        let near = view.children(root).collect();
        view.take_in(graph, rights, near, &mut Turn::default());
        view
    }

    /// Whether the object was seen not long ago, and is hidden now.
    pub(super) fn has_departed(&self, id: ObjectId) -> bool {
        self.departed.contains(&id)
    }

    /// Follows a commit that the graph has made.
    pub(super) fn follow(&mut self, graph: &Graph, rights: &dyn Rights, step: &Step) -> Turn {
        let mut turn = Turn::default();
        for id in &step.gone {
            self.remove(*id, &mut turn);
        }
        let (mut loose, mut near) = (Vec::new(), Vec::new());
        if rights.reads_by_root() && step.changed.contains_key(&graph.root()) {
            for object in graph.depth_first() {
                self.consider(graph, rights, object, &mut turn, &mut loose, &mut near);
            }
        } else {
            for object in step.changed.keys().filter_map(|id| graph.object(*id)) {
                self.consider(graph, rights, object, &mut turn, &mut loose, &mut near);
            }
        }
        for id in step.linked.iter().filter(|id| graph.object(**id).is_some()) {
            if self.sees(*id) { loose.push(*id) } else { near.push(*id) }
        }
        near.extend(&step.added);
        self.let_go(graph, loose, &mut turn);
        self.take_in(graph, rights, near, &mut turn);
        self.note_departed(graph, &turn);
        turn
    }

    /// The way from one view to another of the same graph.
    pub(super) fn between(graph: &Graph, from: Option<&Self>, to: Option<&Self>) -> Turn {
        let nothing = Hidden::new();
        let mut turn = Turn::default();
        for object in graph.depth_first() {
            let hidden = |view: Option<&Self>| match view {
                None => Some(nothing.clone()),
                Some(view) => view.seen.get(&object.id()).cloned(),
            };
            match (hidden(from), hidden(to)) {
                (None, Some(_)) => {
                    turn.entered.insert(object.id());
                }
                (Some(before), None) => {
                    turn.left.insert(object.id(), before);
                }
                (Some(before), Some(now)) => turn.recover(object.id(), &before, &now),
                (None, None) => {}
            }
        }
        turn
    }

    /// Looks again at an object whose values have changed.
    fn consider(
        &mut self,
        graph: &Graph,
        rights: &dyn Rights,
        object: ObjectRef<'_>,
        turn: &mut Turn,
        loose: &mut Vec<ObjectId>,
        near: &mut Vec<ObjectId>,
    ) {
        let Some(before) = self.seen.get(&object.id()).cloned() else {
            return near.push(object.id());
        };
        let Some(now) = read(graph, rights, object) else {
            loose.extend(self.children(object));
            self.remove(object.id(), turn);
            return;
        };
        if before == now {
            return;
        }
        loose.extend(self.children(object));
        turn.recover(object.id(), &before, &now);
        self.seen.insert(object.id(), now);
        near.extend(self.children(object));
    }

    /// Lets objects go that the root does not lead to any more, with what hangs below them.
    fn let_go(&mut self, graph: &Graph, mut loose: Vec<ObjectId>, turn: &mut Turn) {
        let mut safe = HashSet::from([graph.root()]);
        while let Some(id) = loose.pop() {
            if !self.sees(id) || safe.contains(&id) {
                continue;
            }
            let lost = climb(id, &mut safe, |at| {
                graph.object(at).map_or_else(Vec::new, |object| self.holders(object).collect())
            });
            for lost in lost {
                if let Some(object) = graph.object(lost) {
                    loose.extend(self.children(object));
                }
                self.remove(lost, turn);
            }
        }
    }

    /// Takes in what may be read and what something that is seen leads to, and what is below it.
    fn take_in(
        &mut self,
        graph: &Graph,
        rights: &dyn Rights,
        near: Vec<ObjectId>,
        turn: &mut Turn,
    ) {
        let mut near: VecDeque<ObjectId> = near.into();
        while let Some(id) = near.pop_front() {
            if self.sees(id) {
                continue;
            }
            let Some(object) = graph.object(id) else { continue };
            if self.holders(object).next().is_none() {
                continue;
            }
            let Some(hidden) = read(graph, rights, object) else { continue };
            match turn.left.shift_remove(&id) {
                Some(before) => turn.recover(id, &before, &hidden),
                None => {
                    turn.entered.insert(id);
                }
            }
            self.seen.insert(id, hidden);
            near.extend(self.children(object));
        }
    }

    fn remove(&mut self, id: ObjectId, turn: &mut Turn) {
        if let Some(hidden) = self.seen.remove(&id) {
            // What came and went again was never there.
            if !turn.entered.shift_remove(&id) {
                turn.left.insert(id, hidden);
            }
        }
    }

    fn note_departed(&mut self, graph: &Graph, turn: &Turn) {
        let there = turn.left.keys().filter(|id| graph.object(**id).is_some());
        self.departed.extend(there);
        let seen = &self.seen;
        self.departed.retain(|id| !seen.contains_key(id) && graph.object(*id).is_some());
        while self.departed.len() > DEPARTED_MAX {
            self.departed.pop_front();
        }
    }

    /// What an object leads to over properties that are seen.
    fn children<'g>(&self, object: ObjectRef<'g>) -> impl Iterator<Item = ObjectId> + use<'g> {
        let hidden = self.seen.get(&object.id()).cloned().unwrap_or_default();
        let properties = object.graph().schema().model(object.model()).properties();
        let open = properties.filter(move |(id, p)| p.is_reference() && !hidden.contains(id));
        open.flat_map(move |(id, _)| {
            object.reference(id).into_iter().chain(object.references(id)).map(|child| child.id())
        })
    }

    /// The objects that are seen to lead to this one.
    fn holders<'a>(&'a self, object: ObjectRef<'a>) -> impl Iterator<Item = ObjectId> + 'a {
        let parents = object.parents().filter(move |parent| self.seen.contains_key(&parent.id()));
        let id = object.id();
        let leads = move |parent: &ObjectRef<'_>| self.places_in(*parent, id).next().is_some();
        parents.filter(leads).map(|parent| parent.id())
    }

    /// The properties of a parent that are seen and hold an object.
    pub(super) fn places_in<'a>(
        &'a self,
        parent: ObjectRef<'a>,
        child: ObjectId,
    ) -> impl Iterator<Item = PropertyId> + 'a {
        let properties = places_of(parent, child);
        properties.filter(move |property| self.sees_property(parent.id(), *property))
    }
}

/// The properties of a parent that hold an object.
pub(super) fn places_of<'a>(
    parent: ObjectRef<'a>,
    child: ObjectId,
) -> impl Iterator<Item = PropertyId> + 'a {
    let properties = parent.graph().schema().model(parent.model()).properties();
    let references = properties.filter(|(_, property)| property.is_reference());
    let holds = move |property| {
        parent.holds(property, child)
            || parent.reference(property).is_some_and(|object| object.id() == child)
    };
    references.map(|(property, _)| property).filter(move |property| holds(*property))
}

/// What of an object is hidden. A client needs a root: of one that may not be read, everything is hidden.
fn read(graph: &Graph, rights: &dyn Rights, object: ObjectRef<'_>) -> Option<Hidden> {
    let prospect = Prospect::present(graph);
    let seen = prospect.object(object.id())?;
    let hidden = rights.hidden(prospect.root(), seen);
    if hidden.is_none() && object.id() == graph.root() {
        let properties = graph.schema().model(object.model()).properties();
        return Some(properties.map(|(property, _)| property).collect());
    }
    hidden
}
