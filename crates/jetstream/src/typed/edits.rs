//! What a transaction has changed so far, on top of a graph that stays as it is.

use std::collections::{HashMap, HashSet};

use jetstream_core::ids::ObjectId;
use jetstream_core::model::graph::Graph;
use jetstream_core::model::{
    ChangeSet, CollectionEdit, Fragment, FragmentKind, ModelId, PropertyId, Value,
};

use super::WriteError;
use super::list::{List, ListView};

/// The changes of one transaction, by object.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    /// In the order in which they were touched first: two runs of a program make the same ChangeSet.
    objects: Vec<Edit>,
    places: HashMap<ObjectId, usize>,
    /// The first mistake: with it, nothing is applied.
    mistake: Option<WriteError>,
}

/// The changes of one object.
#[derive(Debug)]
pub(crate) struct Edit {
    id: ObjectId,
    pub(crate) model: ModelId,
    new: bool,
    /// In the order in which they were set first, but never references in a collection.
    values: Vec<(PropertyId, Value)>,
    lists: Vec<(PropertyId, List)>,
}

impl Edit {
    pub(crate) fn value(&self, property: PropertyId) -> Option<&Value> {
        self.values.iter().find(|(id, _)| *id == property).map(|(_, value)| value)
    }

    pub(crate) fn list(&self, property: PropertyId) -> Option<&List> {
        self.lists.iter().find(|(id, _)| *id == property).map(|(_, list)| list)
    }

    pub(crate) fn set(&mut self, property: PropertyId, value: Value) {
        match (self.values.iter_mut().find(|(id, _)| *id == property), value) {
            (_, Value::References(objects)) => {
                self.list_mut(property).replace(objects.iter().copied());
            }
            (Some((_, there)), value) => *there = value,
            (None, value) => self.values.push((property, value)),
        }
    }

    pub(crate) fn list_mut(&mut self, property: PropertyId) -> &mut List {
        let place = match self.lists.iter().position(|(id, _)| *id == property) {
            Some(place) => place,
            None => {
                self.lists.push((property, List::default()));
                self.lists.len() - 1
            }
        };
        &mut self.lists[place].1
    }
}

impl Edits {
    /// What was changed of an object; `None` if nothing was.
    pub(crate) fn of(&self, id: ObjectId) -> Option<&Edit> {
        self.places.get(&id).map(|place| &self.objects[*place])
    }

    /// The changes of an object, to add to them.
    pub(crate) fn of_mut(&mut self, id: ObjectId, model: ModelId) -> &mut Edit {
        self.edit(id, model, false)
    }

    /// Takes over objects that were made from values.
    pub(crate) fn add(&mut self, fragments: Vec<Fragment>) {
        for fragment in fragments {
            let edit = self.edit(fragment.object, fragment.model, true);
            for (property, value) in fragment.properties {
                edit.set(property, value);
            }
        }
    }

    fn edit(&mut self, id: ObjectId, model: ModelId, new: bool) -> &mut Edit {
        let place = *self.places.entry(id).or_insert_with(|| {
            self.objects.push(Edit { id, model, new, values: Vec::new(), lists: Vec::new() });
            self.objects.len() - 1
        });
        &mut self.objects[place]
    }

    /// Notes a mistake: the transaction will not be applied.
    pub(crate) fn mistake(&mut self, mistake: WriteError) {
        self.mistake.get_or_insert(mistake);
    }

    /// The properties of this transaction that hold `object`.
    pub(crate) fn holders(&self, object: ObjectId) -> Vec<(ObjectId, PropertyId)> {
        let mut holders = Vec::new();
        for edit in &self.objects {
            let values = edit.values.iter().filter(|(_, value)| value.references() == [object]);
            let lists = edit
                .lists
                .iter()
                .filter(|(_, list)| ListView { base: None, edit: Some(list) }.contains(object));
            let properties = values.map(|(property, _)| *property);
            let properties = properties.chain(lists.map(|(property, _)| *property));
            holders.extend(properties.map(|property| (edit.id, property)));
        }
        holders
    }

    /// The changes as one ChangeSet that is applied as a whole.
    ///
    /// # Errors
    ///
    /// The first mistake that was made.
    pub(crate) fn finish(self, graph: &Graph) -> Result<ChangeSet, WriteError> {
        if let Some(mistake) = self.mistake {
            return Err(mistake);
        }
        let attached = self.attached(graph);
        let new = self.objects.iter().filter(|edit| edit.new).map(|edit| edit.id);
        let dropped: HashSet<ObjectId> = new.filter(|id| !attached.contains(id)).collect();
        let kept = self.objects.into_iter().filter(|edit| !dropped.contains(&edit.id));
        let fragments = kept.map(|edit| edit.into_fragment(graph, &dropped));
        Ok(ChangeSet::atomic(fragments.filter(|fragment| {
            let empty = fragment.properties.is_empty() && fragment.collections.is_empty();
            fragment.kind == FragmentKind::Add || !empty
        })))
    }

    /// The new objects that something holds in the end: what was made and dropped again within the
    /// transaction was never there.
    fn attached(&self, graph: &Graph) -> HashSet<ObjectId> {
        let mut attached = HashSet::new();
        let old = self.objects.iter().filter(|edit| !edit.new);
        let mut waiting: Vec<&Edit> = old.collect();
        while let Some(edit) = waiting.pop() {
            for id in edit.given(graph) {
                if let Some(child) = self.of(id).filter(|child| child.new)
                    && attached.insert(id)
                {
                    waiting.push(child);
                }
            }
        }
        attached
    }
}

impl Edit {
    /// The objects that this object holds because of the transaction.
    fn given(&self, graph: &Graph) -> Vec<ObjectId> {
        let values = self.values.iter().flat_map(|(_, value)| value.references()).copied();
        let mut given: Vec<ObjectId> = values.collect();
        for (property, list) in &self.lists {
            let base = graph.object(self.id).map(|base| (base, *property));
            let view = ListView { base, edit: Some(list) };
            match &list.edits {
                Some(edits) => {
                    let inserted = edits.iter().filter_map(|edit| match edit {
                        CollectionEdit::Insert { object, .. } => Some(*object),
                        CollectionEdit::Remove { .. } => None,
                    });
                    let all = inserted.clone().count() == edits.len();
                    given.extend(inserted.filter(|id| all || view.contains(*id)));
                }
                None => given.extend(view.iter()),
            }
        }
        given
    }

    fn into_fragment(self, graph: &Graph, dropped: &HashSet<ObjectId>) -> Fragment {
        let kind = if self.new { FragmentKind::Add } else { FragmentKind::Change };
        let mut fragment = Fragment::new(kind, self.id, self.model);
        fragment.properties = self.values;
        for (property, list) in self.lists {
            match list.edits_without(dropped) {
                Some(edits) if !self.new => {
                    if !edits.is_empty() {
                        fragment.collections.push((property, edits));
                    }
                }
                _ => {
                    let base = graph.object(self.id).map(|base| (base, property));
                    let elements = ListView { base, edit: Some(&list) }.iter().collect();
                    fragment.properties.push((property, Value::References(elements)));
                }
            }
        }
        fragment.properties.sort_by_key(|(property, _)| *property);
        fragment
    }
}
