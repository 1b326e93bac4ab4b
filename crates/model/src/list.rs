//! A collection of references as a transaction would leave it.
//!
//! A transaction that appends to a collection of a hundred thousand, or takes one out, must not copy the
//! hundred thousand. So edits lie on top of what the graph has, and a copy is made only when somebody
//! wants to see the elements after edits in their midst.

use std::collections::{HashMap, HashSet};
use std::sync::OnceLock;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::graph::ObjectRef;
use jetstream_core::model::sequence::Sequence;
use jetstream_core::model::{CollectionEdit, PropertyId};

/// What a transaction did to one collection.
#[derive(Debug)]
pub(crate) struct List {
    /// What was done, in order, for the ChangeSet. `None`: the collection was replaced.
    pub(crate) edits: Option<Vec<CollectionEdit>>,
    state: State,
}

#[derive(Debug)]
enum State {
    /// What can be read without a copy.
    Light(Light),
    /// What can only be counted without a copy.
    Layered(Box<Layered>),
    /// All elements.
    Full(Sequence<ObjectId>),
}

/// The first places of `removed` are gone, each once, and `appended` stand at the end.
#[derive(Debug, Default)]
struct Light {
    removed: Vec<ObjectId>,
    appended: Sequence<ObjectId>,
}

/// Edits on top of what is light, carried out when somebody wants to see all elements.
#[derive(Debug)]
struct Layered {
    light: Light,
    edits: Vec<CollectionEdit>,
    /// How many places more (or fewer) the edits give to an element.
    counts: HashMap<ObjectId, isize>,
    elements: OnceLock<Sequence<ObjectId>>,
}

/// With more removals than this on top of a graph, going past them costs more than a copy.
const REMOVED_MAX: usize = 16;

impl Default for List {
    fn default() -> Self {
        Self { edits: Some(Vec::new()), state: State::Light(Light::default()) }
    }
}

/// The collection in the graph, if its object is not new.
pub(crate) type Base<'a> = Option<(ObjectRef<'a>, PropertyId)>;

impl List {
    pub(crate) fn push(&mut self, base: Base<'_>, object: ObjectId) {
        let view = ListView { base, edit: Some(self) };
        let after = view.last();
        if after.is_some_and(|after| view.count(after) > 1) {
            // An edit names the first place of an element, which is not the end here.
            self.edits = None;
        }
        let edit = CollectionEdit::Insert { object, after };
        self.note(edit);
        match &mut self.state {
            State::Light(light) => light.appended.push(object),
            // Somebody has looked for the last element, so all of them are there.
            _ => self.full(base).push(object),
        }
    }

    /// Puts `object` behind the first place of `after`, or at the front.
    pub(crate) fn insert(&mut self, base: Base<'_>, object: ObjectId, after: Option<ObjectId>) {
        self.carry_out(base, CollectionEdit::Insert { object, after });
    }

    /// Takes out the first place of `object`. `false` if there is none.
    pub(crate) fn remove(&mut self, base: Base<'_>, object: ObjectId) -> bool {
        let view = ListView { base, edit: Some(self) };
        if view.count(object) == 0 {
            return false;
        }
        let in_base = view.base_count(object);
        let edit = CollectionEdit::Remove { object };
        match &mut self.state {
            State::Light(light) if light.can_remove(object, in_base) => {
                light.removed.push(object);
                self.note(edit);
            }
            _ => self.carry_out(base, edit),
        }
        true
    }

    fn carry_out(&mut self, base: Base<'_>, edit: CollectionEdit) {
        self.note(edit);
        match &mut self.state {
            State::Light(light) => {
                let mut layered = Layered::on(std::mem::take(light));
                layered.push(edit);
                self.state = State::Layered(Box::new(layered));
            }
            State::Layered(layered) if layered.elements.get().is_none() => layered.push(edit),
            _ => carry_out(self.full(base), edit),
        }
    }

    pub(crate) fn replace(&mut self, objects: impl IntoIterator<Item = ObjectId>) {
        self.edits = None;
        self.state = State::Full(objects.into_iter().collect());
    }

    /// The edits, but for those of objects that were never there. `None` if only the whole collection
    /// can say what it has become.
    pub(crate) fn edits_without(&self, dropped: &HashSet<ObjectId>) -> Option<Vec<CollectionEdit>> {
        let edits = self.edits.as_ref()?;
        let named = |edit: &&CollectionEdit| !dropped.contains(&edit.object());
        let edits: Vec<CollectionEdit> = edits.iter().filter(named).copied().collect();
        let lost = edits.iter().any(|edit| match edit {
            CollectionEdit::Insert { after, .. } => after.is_some_and(|id| dropped.contains(&id)),
            CollectionEdit::Remove { .. } => false,
        });
        (!lost).then_some(edits)
    }

    fn note(&mut self, edit: CollectionEdit) {
        if let Some(edits) = &mut self.edits {
            edits.push(edit);
        }
    }

    fn full(&mut self, base: Base<'_>) -> &mut Sequence<ObjectId> {
        if !matches!(self.state, State::Full(_)) {
            let elements = ListView { base, edit: Some(self) }.iter().collect();
            self.state = State::Full(elements);
        }
        match &mut self.state {
            State::Full(elements) => elements,
            _ => unreachable!("replaced two lines above"),
        }
    }
}

impl Light {
    fn removals(&self, object: ObjectId) -> usize {
        self.removed.iter().filter(|other| **other == object).count()
    }

    /// Whether the first place of an element is in the graph, and few are gone from there.
    fn can_remove(&self, object: ObjectId, in_base: usize) -> bool {
        self.removed.len() < REMOVED_MAX && in_base > self.removals(object)
    }
}

impl Layered {
    fn on(light: Light) -> Self {
        let (edits, counts, elements) = Default::default();
        Self { light, edits, counts, elements }
    }

    fn push(&mut self, edit: CollectionEdit) {
        let by = match edit {
            CollectionEdit::Insert { .. } => 1,
            CollectionEdit::Remove { .. } => -1,
        };
        *self.counts.entry(edit.object()).or_default() += by;
        self.edits.push(edit);
    }
}

fn carry_out(elements: &mut Sequence<ObjectId>, edit: CollectionEdit) {
    match edit {
        CollectionEdit::Insert { object, after } => elements.insert_after(object, after),
        CollectionEdit::Remove { object } => {
            elements.remove_first(object);
        }
    }
}

/// A collection to be read.
#[derive(Clone, Copy)]
pub(crate) struct ListView<'a> {
    pub(crate) base: Base<'a>,
    pub(crate) edit: Option<&'a List>,
}

impl<'a> ListView<'a> {
    pub(crate) fn len(self) -> usize {
        let light = |light: &Light| self.base_len() - light.removed.len() + light.appended.len();
        match self.edit.map(|edit| &edit.state) {
            None => self.base_len(),
            Some(State::Light(state)) => light(state),
            Some(State::Layered(layered)) => {
                light(&layered.light).wrapping_add_signed(layered.counts.values().sum())
            }
            Some(State::Full(elements)) => elements.len(),
        }
    }

    pub(crate) fn contains(self, object: ObjectId) -> bool {
        self.count(object) > 0
    }

    /// How many places `object` has.
    pub(crate) fn count(self, object: ObjectId) -> usize {
        let light = |light: &Light| {
            self.base_count(object) - light.removals(object) + light.appended.count(object)
        };
        match self.edit.map(|edit| &edit.state) {
            None => self.base_count(object),
            Some(State::Light(state)) => light(state),
            Some(State::Layered(layered)) => {
                let by = layered.counts.get(&object).copied().unwrap_or(0);
                light(&layered.light).wrapping_add_signed(by)
            }
            Some(State::Full(elements)) => elements.count(object),
        }
    }

    pub(crate) fn get(self, index: usize) -> Option<ObjectId> {
        match self.parts() {
            Parts::Light { removed: [], appended } => match index.checked_sub(self.base_len()) {
                Some(index) => appended?.get(index),
                None => {
                    let (base, property) = self.base?;
                    base.reference_at(property, index).map(|object| object.id())
                }
            },
            Parts::Light { .. } => self.iter().nth(index),
            Parts::Full(elements) => elements.get(index),
        }
    }

    pub(crate) fn last(self) -> Option<ObjectId> {
        let Parts::Light { removed, appended } = self.parts() else {
            return self.get(self.len().checked_sub(1)?);
        };
        if let Some(appended) = appended
            && let Some(last) = appended.len().checked_sub(1)
        {
            return appended.get(last);
        }
        let (base, property) = self.base?;
        let last = base.reference_at(property, self.base_len().checked_sub(1)?)?.id();
        if removed.contains(&last) { self.iter().last() } else { Some(last) }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = ObjectId> + use<'a> {
        self.elements().map(Element::id)
    }

    /// All elements; those of the graph without looking them up by their ids.
    pub(crate) fn elements(self) -> impl Iterator<Item = Element<'a>> + use<'a> {
        self.elements_of(self.parts())
    }

    fn elements_of(self, parts: Parts<'a>) -> impl Iterator<Item = Element<'a>> + use<'a> {
        let (removed, appended, full) = match parts {
            Parts::Light { removed, appended } => (removed, appended, None),
            Parts::Full(elements) => (&[][..], None, Some(elements)),
        };
        let base = self.base.filter(|_| full.is_none());
        let base = base.into_iter().flat_map(|(base, property)| base.references(property));
        let mut removed = removed.to_vec();
        let base = base.filter(move |object| {
            let gone = removed.iter().position(|other| *other == object.id());
            gone.map(|place| removed.swap_remove(place)).is_none()
        });
        let edited = appended.into_iter().chain(full).flat_map(Sequence::iter);
        base.map(Element::Base).chain(edited.map(Element::Named))
    }

    fn base_len(self) -> usize {
        self.base.map_or(0, |(base, property)| base.references_len(property))
    }

    fn base_count(self, object: ObjectId) -> usize {
        self.base.map_or(0, |(base, property)| base.references_count(property, object))
    }

    fn parts(self) -> Parts<'a> {
        match self.edit.map(|edit| &edit.state) {
            None => Parts::Light { removed: &[], appended: None },
            Some(State::Light(light)) => light.into(),
            Some(State::Layered(layered)) => Parts::Full(layered.elements.get_or_init(|| {
                let light = self.elements_of((&layered.light).into());
                let mut elements: Sequence<_> = light.map(Element::id).collect();
                layered.edits.iter().for_each(|edit| carry_out(&mut elements, *edit));
                elements
            })),
            Some(State::Full(elements)) => Parts::Full(elements),
        }
    }
}

/// An element of a collection.
#[derive(Clone, Copy)]
pub(crate) enum Element<'a> {
    /// One that the graph has in the collection.
    Base(ObjectRef<'a>),
    /// One that the transaction put there; new or not.
    Named(ObjectId),
}

impl Element<'_> {
    fn id(self) -> ObjectId {
        match self {
            Self::Base(object) => object.id(),
            Self::Named(id) => id,
        }
    }
}

/// What the elements of a collection are made of.
enum Parts<'a> {
    Light { removed: &'a [ObjectId], appended: Option<&'a Sequence<ObjectId>> },
    Full(&'a Sequence<ObjectId>),
}

impl<'a> From<&'a Light> for Parts<'a> {
    fn from(light: &'a Light) -> Self {
        Self::Light { removed: &light.removed, appended: Some(&light.appended) }
    }
}
