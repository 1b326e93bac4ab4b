//! A collection of references as a transaction would leave it.
//!
//! A transaction that appends to a collection of a hundred thousand, or takes one out, must not copy the
//! hundred thousand. So edits lie on top of what the graph has, and only those that need to know every
//! place make a copy.

use std::collections::HashSet;

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
    /// The first places of `removed` are gone, each once, and `appended` stand at the end.
    Light { removed: Vec<ObjectId>, appended: Sequence<ObjectId> },
    /// All elements.
    Full(Sequence<ObjectId>),
}

/// With more removals than this on top of a graph, going past them costs more than a copy.
const REMOVED_MAX: usize = 16;

impl Default for List {
    fn default() -> Self {
        let state = State::Light { removed: Vec::new(), appended: Sequence::default() };
        Self { edits: Some(Vec::new()), state }
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
        match &mut self.state {
            State::Light { appended, .. } => appended.push(object),
            State::Full(elements) => elements.push(object),
        }
        self.note(CollectionEdit::Insert { object, after });
    }

    /// Puts `object` behind the first place of `after`, or at the front.
    pub(crate) fn insert(&mut self, base: Base<'_>, object: ObjectId, after: Option<ObjectId>) {
        self.full(base).insert_after(object, after);
        self.note(CollectionEdit::Insert { object, after });
    }

    /// Takes out the first place of `object`. `false` if there is none.
    pub(crate) fn remove(&mut self, base: Base<'_>, object: ObjectId) -> bool {
        if !self.remove_light(base, object) && !self.full(base).remove_first(object) {
            return false;
        }
        self.note(CollectionEdit::Remove { object });
        true
    }

    /// Takes out an element of the graph without a copy, if it is clear that this is its first place.
    fn remove_light(&mut self, base: Base<'_>, object: ObjectId) -> bool {
        let State::Light { removed, .. } = &mut self.state else { return false };
        let gone = removed.iter().filter(|other| **other == object).count();
        let light = removed.len() < REMOVED_MAX
            && base.is_some_and(|(base, property)| base.references_count(property, object) > gone);
        if light {
            removed.push(object);
        }
        light
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
        if let State::Light { .. } = self.state {
            let elements = ListView { base, edit: Some(self) }.iter().collect();
            self.state = State::Full(elements);
        }
        match &mut self.state {
            State::Full(elements) => elements,
            State::Light { .. } => unreachable!("replaced two lines above"),
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
        match self.parts() {
            Parts::Light { removed, appended } => {
                self.base_len() - removed.len() + appended.map_or(0, Sequence::len)
            }
            Parts::Full(elements) => elements.len(),
        }
    }

    pub(crate) fn contains(self, object: ObjectId) -> bool {
        self.count(object) > 0
    }

    /// How many places `object` has.
    pub(crate) fn count(self, object: ObjectId) -> usize {
        match self.parts() {
            Parts::Light { removed, appended } => {
                let base = self.base;
                let base =
                    base.map_or(0, |(base, property)| base.references_count(property, object));
                let gone = removed.iter().filter(|other| **other == object).count();
                base - gone + appended.map_or(0, |appended| appended.count(object))
            }
            Parts::Full(elements) => elements.count(object),
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
        let (removed, appended, full) = match self.parts() {
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

    fn parts(self) -> Parts<'a> {
        match self.edit.map(|edit| &edit.state) {
            None => Parts::Light { removed: &[], appended: None },
            Some(State::Light { removed, appended }) => {
                Parts::Light { removed, appended: Some(appended) }
            }
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

/// [`State`], also where there is none.
enum Parts<'a> {
    Light { removed: &'a [ObjectId], appended: Option<&'a Sequence<ObjectId>> },
    Full(&'a Sequence<ObjectId>),
}
