//! What clients might send: sensible ChangeSets, clumsy ones, absurd ones.
//!
//! The ids come from a small pool, so that clients meet at the same objects all the time.

use std::sync::Arc;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::schema::EnumerationValues;
use jetstream_core::model::{
    ChangeSet, CollectionEdit, Fragment, FragmentKind, Graph, ModelId, ObjectRef, Property,
    PropertyId, PropertyType, Rejection, Scalar, Schema, Value,
};
use jetstream_core::time::Timestamp;
use jetstream_core::wire::message::Dialect;

use crate::dice::Dice;

/// The root of every simulated scope.
pub const ROOT: ObjectId = object_id(0);

/// The object with this number.
pub const fn object_id(number: u128) -> ObjectId {
    ObjectId::from_uuid(uuid::Uuid::from_u128(number))
}

/// Models with everything that a schema can have: each type, references of its own kind and of others,
/// submodels, several ways from one object to another, and ways back to the root.
pub fn schema() -> Arc<Schema> {
    let schema = Schema::builder()
        .enumeration_of_strings("Colour", ["red", "green", "blue"])
        .enumeration_of_integers("Level", [("low", 0), ("high", 7)])
        .model("Board", |m| {
            m.property("title", "String")
                .property("made", "Date")
                .property("nodes", "[Node]")
                .property("main", "Node")
                .property("notes", "[Note]")
                .property("sub", "Board")
        })
        .model("Node", |m| {
            m.property("label", "String")
                .property_with_default("weight", "Number", 1.0)
                .property("colour", "Colour")
                .property("next", "Node")
                .property("children", "[Node]")
                .property("note", "Note")
                .property("home", "Board")
                .property("tags", "[String]")
        })
        .model("Group", |m| {
            m.extends("Node")
                .property("members", "[Node]")
                .property("others", "[Group]")
                .property_with_default("open", "Boolean", true)
        })
        .model("Note", |m| {
            m.property("text", "String")
                .property("level", "Level")
                .property("about", "[Node]")
                .property("dates", "[Date]")
        });
    Arc::new(schema.build().expect("checked by every run"))
}

/// A scope of a root alone.
pub fn new_graph(schema: &Arc<Schema>) -> Graph {
    let (board, _) = schema.find("Board").expect("the root's model");
    Graph::new(schema.clone(), ROOT, board)
}

/// Makes ChangeSets for one client.
#[derive(Debug)]
pub struct Workload<'a> {
    /// Where the choices come from.
    pub dice: &'a mut Dice,
    /// What the client believes the scope to be.
    pub graph: &'a Graph,
    /// What the client speaks.
    pub dialect: Dialect,
    /// How many objects there are to argue about.
    pub pool: usize,
}

impl Workload<'_> {
    /// A ChangeSet of one to a few intentions, sometimes mixed up, sometimes with nonsense in it.
    pub fn change_set(&mut self) -> ChangeSet {
        let mut fragments: Vec<Result<Fragment, Rejection>> = Vec::new();
        for _ in 0..1 + self.dice.below(3) {
            let intention = self.intention();
            fragments.extend(intention.into_iter().map(Ok));
        }
        if self.dice.one_in(12) {
            fragments.push(Err(Rejection::fragment("nobody could read this")));
        }
        if self.dice.one_in(3) {
            self.dice.shuffle(&mut fragments);
        }
        ChangeSet { fragments, atomic: self.dice.one_in(4), procedure: None }
    }

    /// A change of plain values, which is nearly always accepted.
    pub fn edit(&mut self) -> ChangeSet {
        ChangeSet::new(self.set_values())
    }

    /// Plain values for some properties of a model.
    pub fn values(&mut self, model: ModelId) -> Vec<(PropertyId, Value)> {
        let schema = self.schema();
        let mut values = Vec::new();
        for (id, property) in schema.model(model).properties().filter(|(_, p)| !p.is_reference()) {
            if self.dice.one_in(3) {
                values.push((id, self.value(property)));
            }
        }
        values
    }

    fn intention(&mut self) -> Vec<Fragment> {
        let old_ways = self.dialect == Dialect::Original;
        match self.dice.below(16) {
            0..=3 => self.add(),
            4 | 12..=13 => self.add_several(),
            5 | 14..=15 => self.set_values(),
            6 => self.rearrange(),
            7 if old_ways => self.rearrange(),
            7 => self.edit_collection(),
            8 if old_ways => self.let_go(),
            8 => self.remove(),
            9 if old_ways => self.let_go(),
            9 => self.move_elsewhere(),
            10 => self.let_go(),
            _ => vec![self.anything()],
        }
    }

    fn add(&mut self) -> Vec<Fragment> {
        let (id, model) = (self.unused_id(), self.any_model());
        let add = self.filled(FragmentKind::Add, id, model);
        let mut fragments = vec![add];
        // Once in a while it is forgotten to attach it.
        if !self.dice.one_in(10) {
            fragments.extend(self.attach(id, model));
        }
        fragments
    }

    /// Several objects, each attached to the one before or to something that is there.
    fn add_several(&mut self) -> Vec<Fragment> {
        let mut fragments: Vec<Fragment> = Vec::new();
        for _ in 0..2 + self.dice.below(3) {
            let (id, model) = (self.unused_id(), self.any_model());
            let holder = fragments.last_mut().filter(|f| f.kind == FragmentKind::Add);
            let schema = self.graph.schema();
            let place = holder.and_then(|holder| {
                let places = places_for(schema, holder.model, model);
                let (property, collection) = *self.dice.pick(&places)?;
                holder.properties.retain(|(other, _)| *other != property);
                holder.properties.push((property, one_reference(id, collection)));
                Some(())
            });
            if place.is_none() {
                fragments.extend(self.attach(id, model));
            }
            fragments.push(self.filled(FragmentKind::Add, id, model));
        }
        fragments
    }

    fn set_values(&mut self) -> Vec<Fragment> {
        let object = self.any_object();
        let fragment = Fragment::new(FragmentKind::Change, object.id(), object.model());
        vec![Fragment { properties: self.values(object.model()), ..fragment }]
    }

    /// A whole array in another order, with something doubled or missing.
    fn rearrange(&mut self) -> Vec<Fragment> {
        let Some((object, property)) = self.any_collection() else { return self.set_values() };
        let mut ids: Vec<ObjectId> = object.references(property).map(|o| o.id()).collect();
        self.dice.shuffle(&mut ids);
        if self.dice.one_in(3) {
            ids.pop();
        }
        if self.dice.one_in(4) {
            ids.extend(ids.first().copied());
        }
        let value = Value::References(ids.into());
        vec![Fragment::new(FragmentKind::Change, object.id(), object.model()).with(property, value)]
    }

    fn edit_collection(&mut self) -> Vec<Fragment> {
        let Some((object, property)) = self.any_collection() else { return self.set_values() };
        let mut ids: Vec<ObjectId> = object.references(property).map(|o| o.id()).collect();
        ids.push(self.any_id());
        let mut edits = Vec::new();
        for _ in 0..1 + self.dice.below(3) {
            let object = *self.dice.pick(&ids).expect("one was pushed");
            if self.dice.one_in(2) {
                edits.push(CollectionEdit::Remove { object });
            }
            if !self.dice.one_in(3) {
                let after = self.dice.pick(&ids).copied().filter(|_| !self.dice.one_in(3));
                edits.push(CollectionEdit::Insert { object, after });
            }
        }
        let fragment = Fragment::new(FragmentKind::Change, object.id(), object.model());
        vec![fragment.with_edits(property, edits)]
    }

    fn remove(&mut self) -> Vec<Fragment> {
        let object = self.any_object();
        vec![Fragment::new(FragmentKind::Remove, object.id(), object.model())]
    }

    fn move_elsewhere(&mut self) -> Vec<Fragment> {
        let object = self.any_object();
        let (id, model) = (object.id(), object.model());
        let mut fragments = vec![Fragment::new(FragmentKind::MoveChange, id, model)];
        if self.dice.one_in(3) {
            fragments = vec![self.filled(FragmentKind::MoveChange, id, model)];
        }
        fragments.extend(self.attach(id, model));
        if self.dice.one_in(4) {
            // Within a collection that is edited in other places, too.
            fragments.extend(self.edit_collection());
        }
        fragments
    }

    /// Somebody drops what a property refers to.
    fn let_go(&mut self) -> Vec<Fragment> {
        let object = self.any_object();
        let mut properties = self.graph.schema().model(object.model()).properties();
        let held = |(id, p): &(PropertyId, &Property)| {
            p.is_reference() && !object.value(*id).references().is_empty()
        };
        let Some((property, _)) = properties.find(held) else { return self.set_values() };
        let value = match object.value(property) {
            Value::References(ids) => {
                let gone = self.dice.below(ids.len());
                let kept = ids.iter().enumerate().filter(|(place, _)| *place != gone);
                Value::References(kept.map(|(_, id)| *id).collect())
            }
            _ => Value::Reference(None),
        };
        vec![Fragment::new(FragmentKind::Change, object.id(), object.model()).with(property, value)]
    }

    /// A fragment that may be wrong in every way that its types allow.
    fn anything(&mut self) -> Fragment {
        let kinds = [FragmentKind::Add, FragmentKind::Change, FragmentKind::Remove];
        let kind = match self.dialect {
            Dialect::Original => kinds[self.dice.below(2)],
            Dialect::V1 if self.dice.one_in(4) => FragmentKind::MoveChange,
            Dialect::V1 => kinds[self.dice.below(3)],
        };
        let (id, model) = (self.any_id(), self.any_model());
        let known = self.graph.object(id).map(|object| object.model());
        let model = known.filter(|_| !self.dice.one_in(5)).unwrap_or(model);
        match kind {
            FragmentKind::Remove => Fragment::new(kind, id, model),
            _ => self.filled(kind, id, model),
        }
    }

    /// A fragment with some values, and references to whatever.
    fn filled(&mut self, kind: FragmentKind, id: ObjectId, model: ModelId) -> Fragment {
        let schema = self.graph.schema();
        let mut fragment = Fragment::new(kind, id, model);
        for (id, property) in schema.model(model).properties() {
            let one_in = if property.is_reference() { 6 } else { 3 };
            if self.dice.one_in(one_in) {
                fragment.properties.push((id, self.value(property)));
            }
        }
        fragment
    }

    /// Puts an object into some property that takes it.
    fn attach(&mut self, id: ObjectId, model: ModelId) -> Option<Fragment> {
        let schema = self.graph.schema();
        // The root more often than the others, or most things would soon hang in the air.
        let holder = match self.dice.one_in(3) {
            true => self.graph.object(ROOT).expect("the root is always there"),
            false => self.any_object(),
        };
        let places = places_for(schema, holder.model(), model);
        let (property, collection) = *self.dice.pick(&places)?;
        let fragment = Fragment::new(FragmentKind::Change, holder.id(), holder.model());
        if !collection {
            return Some(fragment.with(property, Value::Reference(Some(id))));
        }
        let mut ids: Vec<ObjectId> = holder.references(property).map(|o| o.id()).collect();
        if self.dialect == Dialect::V1 && !self.dice.one_in(3) {
            let after = self.dice.pick(&ids).copied().filter(|_| !self.dice.one_in(3));
            return Some(
                fragment.with_edits(property, vec![CollectionEdit::Insert { object: id, after }]),
            );
        }
        ids.insert(self.dice.below(ids.len() + 1), id);
        Some(fragment.with(property, Value::References(ids.into())))
    }

    fn value(&mut self, property: &Property) -> Value {
        let count = self.dice.below(4);
        match (property.is_reference(), property.is_collection()) {
            (true, true) => {
                Value::References((0..count).flat_map(|_| self.fitting(property)).collect())
            }
            (true, false) => Value::Reference(self.fitting(property).filter(|_| count > 0)),
            (false, true) => {
                Value::Scalars((0..count).map(|_| self.scalar(property.kind())).collect())
            }
            (false, false) => Value::Scalar((count > 0).then(|| self.scalar(property.kind()))),
        }
    }

    /// Something that the property takes, as a rule.
    fn fitting(&mut self, property: &Property) -> Option<ObjectId> {
        if self.dice.one_in(10) {
            return Some(self.any_id());
        }
        let schema = self.graph.schema();
        let fits = |object: &ObjectRef<'_>| match property.kind() {
            PropertyType::Model(expected) => schema.is_a(object.model(), expected),
            _ => false,
        };
        let fitting: Vec<ObjectId> =
            self.graph.depth_first().filter(fits).map(|object| object.id()).collect();
        self.dice.pick(&fitting).copied()
    }

    fn scalar(&mut self, kind: PropertyType) -> Scalar {
        let number = self.dice.between(0, 999);
        match kind {
            PropertyType::String => Scalar::from(format!("text \"{number}\" ü")),
            PropertyType::Number => Scalar::Number(number as f64 / 8.0),
            PropertyType::Boolean => Scalar::Boolean(number.is_multiple_of(2)),
            PropertyType::Date => Scalar::Date(Timestamp(1_400_000_000_000 + number as i64)),
            PropertyType::Enumeration(id) => match self.graph.schema().enumeration(id).values() {
                EnumerationValues::Strings(texts) => {
                    Scalar::String(texts[number as usize % texts.len()].clone())
                }
                EnumerationValues::Integers(values) => {
                    Scalar::Number(values[number as usize % values.len()].1 as f64)
                }
            },
            PropertyType::Model(_) => unreachable!("only asked about plain values"),
        }
    }

    fn any_id(&mut self) -> ObjectId {
        if self.dice.one_in(2) {
            return self.any_object().id();
        }
        object_id(self.dice.below(self.pool + 1) as u128)
    }

    fn unused_id(&mut self) -> ObjectId {
        let id = self.any_id();
        if self.graph.object(id).is_none() || self.dice.one_in(12) {
            return id;
        }
        object_id(1 + self.dice.below(self.pool) as u128)
    }

    fn any_model(&mut self) -> ModelId {
        let models: Vec<ModelId> = self.schema().models().map(|(id, _)| id).collect();
        *self.dice.pick(&models).expect("there are models")
    }
}

impl<'g> Workload<'g> {
    fn schema(&self) -> &'g Schema {
        self.graph.schema()
    }

    fn any_object(&mut self) -> ObjectRef<'g> {
        let place = self.dice.below(self.graph.len());
        self.graph.depth_first().nth(place).expect("there are as many as it says")
    }

    fn any_collection(&mut self) -> Option<(ObjectRef<'g>, PropertyId)> {
        let object = self.any_object();
        let properties = self.graph.schema().model(object.model()).properties();
        let collections: Vec<PropertyId> = properties
            .filter(|(_, p)| p.is_reference() && p.is_collection())
            .map(|(id, _)| id)
            .collect();
        Some((object, *self.dice.pick(&collections)?))
    }
}

/// The properties of a model that take an object of another, and whether they are collections.
fn places_for(schema: &Schema, holder: ModelId, model: ModelId) -> Vec<(PropertyId, bool)> {
    let takes = |property: &Property| match property.kind() {
        PropertyType::Model(expected) => schema.is_a(model, expected),
        _ => false,
    };
    let properties = schema.model(holder).properties().filter(|(_, property)| takes(property));
    properties.map(|(id, property)| (id, property.is_collection())).collect()
}

fn one_reference(id: ObjectId, collection: bool) -> Value {
    match collection {
        true => Value::References([id].into()),
        false => Value::Reference(Some(id)),
    }
}
