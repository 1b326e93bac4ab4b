//! What a transaction has changed so far, on top of a graph that stays as it is.

use std::collections::{HashMap, HashSet};

use jetstream_core::ids::ObjectId;
use jetstream_core::model::graph::Graph;
use jetstream_core::model::{
    ChangeSet, CollectionEdit, Fragment, FragmentKind, ModelId, PropertyId, Value,
};

use crate::WriteError;
use crate::holders::root_reaches;
use crate::list::{List, ListView};

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
    pub(crate) const fn id(&self) -> ObjectId {
        self.id
    }

    /// The properties that were changed and now hold `object`.
    pub(crate) fn holding(
        &self,
        graph: &Graph,
        object: ObjectId,
    ) -> impl Iterator<Item = PropertyId> {
        let values = self.values.iter().filter(move |(_, value)| value.references() == [object]);
        let lists = self.lists.iter().map(|(property, _)| *property);
        let lists = lists.filter(move |id| self.view(graph, *id).contains(object));
        values.map(|(property, _)| *property).chain(lists)
    }

    /// A collection as the transaction has it.
    fn view<'a>(&'a self, graph: &'a Graph, property: PropertyId) -> ListView<'a> {
        let base = graph.object(self.id).map(|base| (base, property));
        ListView { base, edit: self.list(property) }
    }

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

    /// What was changed, object by object.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Edit> {
        self.objects.iter()
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
        let kept = self.kept(graph);
        let new = self.objects.iter().filter(|edit| edit.new).map(|edit| edit.id);
        let dropped: HashSet<ObjectId> = new.filter(|id| !kept.contains(id)).collect();
        let edits = self.objects.iter().filter(|edit| kept.contains(&edit.id));
        let fragments = edits.map(|edit| edit.to_fragment(graph, &dropped));
        Ok(ChangeSet::atomic(fragments.filter(|fragment| {
            let empty = fragment.properties.is_empty() && fragment.collections.is_empty();
            fragment.kind == FragmentKind::Add || !empty
        })))
    }

    /// The objects whose changes count: new ones that the root reaches in the end, and old ones, but for
    /// those that were lost with new ones below them. What was made and dropped again within the
    /// transaction was never there, and nobody need hear of it.
    fn kept(&self, graph: &Graph) -> HashSet<ObjectId> {
        let mut kept = HashSet::new();
        let mut waiting = Vec::new();
        for edit in self.objects.iter().filter(|edit| !edit.new) {
            let new = self.new_below(edit, graph);
            if new.is_empty() || root_reaches(graph, self, edit.id) {
                kept.insert(edit.id);
                waiting.extend(new);
            }
        }
        while let Some(new) = waiting.pop() {
            if kept.insert(new.id) {
                waiting.extend(self.new_below(new, graph));
            }
        }
        kept
    }

    /// The new objects that an object was given.
    fn new_below(&self, edit: &Edit, graph: &Graph) -> Vec<&Edit> {
        let given = edit.given(graph).into_iter().filter_map(|id| self.of(id));
        given.filter(|edit| edit.new).collect()
    }
}

impl Edit {
    /// The objects that this object holds because of the transaction.
    fn given(&self, graph: &Graph) -> Vec<ObjectId> {
        let values = self.values.iter().flat_map(|(_, value)| value.references()).copied();
        let mut given: Vec<ObjectId> = values.collect();
        for (property, list) in &self.lists {
            let view = self.view(graph, *property);
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

    fn to_fragment(&self, graph: &Graph, dropped: &HashSet<ObjectId>) -> Fragment {
        let kind = if self.new { FragmentKind::Add } else { FragmentKind::Change };
        let mut fragment = Fragment::new(kind, self.id, self.model);
        fragment.properties.clone_from(&self.values);
        for (property, list) in &self.lists {
            match list.edits_without(dropped) {
                Some(edits) if !self.new => {
                    if !edits.is_empty() {
                        fragment.collections.push((*property, edits));
                    }
                }
                _ => {
                    let elements = self.view(graph, *property).iter().collect();
                    fragment.properties.push((*property, Value::References(elements)));
                }
            }
        }
        if let Some(base) = graph.object(self.id) {
            // Set to something else and back again.
            fragment.properties.retain(|(property, value)| base.value(*property) != *value);
        }
        fragment.properties.sort_by_key(|(property, _)| *property);
        fragment
    }
}
