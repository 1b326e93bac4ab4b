//! Updates as a backend writes them: `{"query": …, "update": {"$set": …, "$push": …}}`, into a ChangeSet.
//!
//! An update says what is to become of values that it names by paths, such as `attributes.topic` or
//! `shapes[-1].x`. What objects these lead to is only known where the objects are, so an [`Update`] is read
//! without them, and becomes a ChangeSet with a graph.

use std::collections::HashSet;

use serde_json::{Map, Value as Json};

use super::change_set::Typing;
use super::message::Dialect;
use crate::ids::ObjectId;
use crate::limits::Limits;
use crate::model::{
    ChangeSet, CollectionEdit, Fragment, FragmentKind, Graph, Model, ModelId, ObjectRef, Property,
    PropertyId, PropertyType, Rejection, Value,
};

/// What a backend wants to have changed.
///
/// `query` is `null` for the root, or `{"$uuid": …}`, with `"$cls"` if the object must be of that model.
/// `update` holds operators, each with values by path:
///
/// - `$set`: the value is this from now on.
/// - `$push`, `$addToSet`: this is put at the end of the collection; with `$addToSet` unless it is in it.
///   `{"$each": […]}` stands for several.
/// - `$pull`: this is taken out of the collection, wherever it is.
///
/// An object is named by `{"$uuid": …}` and made by `{"$cls": "Shape", "x": 1}`, with a uuid of its own if
/// `$uuid` says so.
#[derive(Debug, Clone, PartialEq)]
pub struct Update {
    query: Option<Query>,
    operations: Vec<Operation>,
}

#[derive(Debug, Clone, PartialEq)]
struct Query {
    object: ObjectId,
    model: Option<String>,
}

#[derive(Debug, Clone, PartialEq)]
struct Operation {
    operator: Operator,
    path: Path,
    value: Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Set,
    Push,
    AddToSet,
    Pull,
}

const OPERATORS: [(&str, Operator); 4] = [
    ("$set", Operator::Set),
    ("$push", Operator::Push),
    ("$addToSet", Operator::AddToSet),
    ("$pull", Operator::Pull),
];

/// `shapes[-1].x`: ways to other objects, and the property of the last.
#[derive(Debug, Clone, PartialEq)]
struct Path {
    text: String,
    ways: Vec<(String, Option<i64>)>,
    property: String,
}

impl Update {
    /// Reads an update.
    ///
    /// # Errors
    ///
    /// What is wrong with its form.
    pub fn parse(text: &str) -> Result<Self, Rejection> {
        let json = serde_json::from_str(text).map_err(|e| wrong(format!("no JSON: {e}")))?;
        let Json::Object(mut fields) = json else { return Err(wrong("an update is an object")) };
        let query = fields.remove("query").unwrap_or_default();
        let update = fields.remove("update").unwrap_or_default();
        if let Some(key) = fields.keys().next() {
            return Err(wrong(format!("no key {key:?}: an update has \"query\" and \"update\"")));
        }
        let Json::Object(update) = update else {
            return Err(wrong("\"update\": expected an object of operators"));
        };
        let mut operations = Vec::new();
        for (name, values) in update {
            let known = OPERATORS.iter().find(|(known, _)| *known == name);
            let (_, operator) = known.ok_or_else(|| {
                wrong(format!("no operator {name:?}: there are $set, $push, $addToSet and $pull"))
            })?;
            let Json::Object(values) = values else {
                return Err(wrong(format!("{name}: expected an object of values by path")));
            };
            for (path, value) in values {
                operations.push(Operation {
                    operator: *operator,
                    path: Path::parse(&path)?,
                    value,
                });
            }
        }
        Ok(Self { query: Query::read(query)?, operations })
    }

    /// The same, where every object that it makes has its id: whoever carries it out needs none.
    #[must_use]
    pub fn with_ids(mut self, new_id: &mut dyn FnMut() -> ObjectId) -> Self {
        self.operations.iter_mut().for_each(|operation| give_ids(&mut operation.value, new_id));
        self
    }

    /// What has to be done to the objects of a graph, all or nothing. `new_id` gives ids for objects that the
    /// update makes without saying theirs.
    ///
    /// # Errors
    ///
    /// A path that leads nowhere, or a value that does not fit its place.
    pub fn change_set(
        &self,
        graph: &Graph,
        limits: &Limits,
        new_id: &mut dyn FnMut() -> ObjectId,
    ) -> Result<ChangeSet, Rejection> {
        let target = match &self.query {
            None => graph.object(graph.root()).expect("a graph has its root"),
            Some(query) => query.find(graph)?,
        };
        let mut builder =
            Builder { graph, limits, new_id, fragments: Vec::new(), places: HashSet::new() };
        for operation in &self.operations {
            builder.operation(target, operation).map_err(|rejection| Rejection {
                message: format!("{}: {}", operation.path.text, rejection.message),
                ..rejection
            })?;
        }
        Ok(ChangeSet::atomic(builder.fragments))
    }
}

impl Query {
    fn read(json: Json) -> Result<Option<Self>, Rejection> {
        let form = || wrong("\"query\": expected null, or {\"$uuid\": …} with or without \"$cls\"");
        let fields = match json {
            Json::Null => return Ok(None),
            Json::Object(fields) => fields,
            _ => return Err(form()),
        };
        if fields.keys().any(|key| key != "$uuid" && key != "$cls") {
            return Err(form());
        }
        let object = uuid_of(&fields)?.ok_or_else(form)?;
        let model = match fields.get("$cls") {
            None => None,
            Some(Json::String(name)) => Some(name.clone()),
            Some(_) => return Err(form()),
        };
        Ok(Some(Self { object, model }))
    }

    fn find<'g>(&self, graph: &'g Graph) -> Result<ObjectRef<'g>, Rejection> {
        let object = existing(graph, self.object)?;
        if let Some(name) = &self.model {
            let (model, _) =
                graph.schema().find(name).ok_or_else(|| wrong(format!("no model {name:?}")))?;
            if !graph.schema().is_a(object.model(), model) {
                return Err(wrong(format!("{} is no {name}", self.object)));
            }
        }
        Ok(object)
    }
}

impl Path {
    fn parse(text: &str) -> Result<Self, Rejection> {
        let mut ways = text.split('.').map(Self::way).collect::<Option<Vec<_>>>();
        match ways.as_mut().and_then(Vec::pop) {
            Some((property, None)) => {
                let ways = ways.unwrap_or_default();
                Ok(Self { text: text.to_owned(), ways, property })
            }
            Some((_, Some(_))) => {
                Err(wrong(format!("{text:?} ends in an element, not a property")))
            }
            None => Err(wrong(format!("{text:?} is no path such as \"shapes[-1].x\""))),
        }
    }

    /// `shapes[-1]` or `shapes`.
    fn way(text: &str) -> Option<(String, Option<i64>)> {
        let Some((name, rest)) = text.split_once('[') else {
            return (!text.is_empty()).then(|| (text.to_owned(), None));
        };
        let index = rest.strip_suffix(']')?.parse().ok()?;
        (!name.is_empty()).then(|| (name.to_owned(), Some(index)))
    }

    /// The object whose property is meant.
    fn follow<'g>(&self, mut object: ObjectRef<'g>) -> Result<ObjectRef<'g>, Rejection> {
        for (name, index) in &self.ways {
            let (id, property) = find(model_of(object), name)?;
            let next = match (property.is_reference(), property.is_collection(), index) {
                (true, false, None) => object.reference(id),
                (true, true, Some(index)) => element(object, id, *index),
                (true, true, None) => {
                    return Err(wrong(format!("{name:?} needs an index: {name}[0]")));
                }
                _ => return Err(wrong(format!("{name:?} leads to no object"))),
            };
            object = next.ok_or_else(|| wrong(format!("{name:?} holds nothing there")))?;
        }
        Ok(object)
    }
}

/// From the front, or with a negative index from the end.
fn element(object: ObjectRef<'_>, property: PropertyId, index: i64) -> Option<ObjectRef<'_>> {
    let length = i64::try_from(object.references_len(property)).ok()?;
    let index = if index < 0 { length.checked_add(index)? } else { index };
    object.references(property).nth(usize::try_from(index).ok()?)
}

struct Builder<'a> {
    graph: &'a Graph,
    limits: &'a Limits,
    new_id: &'a mut dyn FnMut() -> ObjectId,
    fragments: Vec<Fragment>,
    /// What was changed already.
    places: HashSet<(ObjectId, PropertyId)>,
}

impl Builder<'_> {
    fn operation(&mut self, target: ObjectRef<'_>, operation: &Operation) -> Result<(), Rejection> {
        let object = operation.path.follow(target)?;
        let (id, property) = find(model_of(object), &operation.path.property)?;
        if !self.places.insert((object.id(), id)) {
            return Err(wrong("it is named twice in the same update"));
        }
        let fragment = Fragment::new(FragmentKind::Change, object.id(), object.model());
        let value = &operation.value;
        let fragment = match (operation.operator, property.is_collection(), property.is_reference())
        {
            (Operator::Set, ..) => {
                fragment.with(id, self.value(object.model(), property, value, 0)?)
            }
            (_, false, _) => return Err(wrong("it is no collection")),
            (operator, true, true) => {
                let edits = self.edits(operator, object, id, property, &each(operator, value)?)?;
                fragment.with_edits(id, edits)
            }
            (operator, true, false) => {
                let value =
                    self.scalars(operator, object, id, property, &each(operator, value)?)?;
                fragment.with(id, value)
            }
        };
        self.fragments.push(fragment);
        Ok(())
    }

    fn edits(
        &mut self,
        operator: Operator,
        object: ObjectRef<'_>,
        id: PropertyId,
        property: &Property,
        values: &[&Json],
    ) -> Result<Vec<CollectionEdit>, Rejection> {
        let mut present: Vec<ObjectId> =
            object.references(id).map(|element| element.id()).collect();
        let mut edits = Vec::new();
        for value in values {
            let named = self.object(property.kind(), value, 0)?;
            match operator {
                Operator::Pull => {
                    let places = present.iter().filter(|element| **element == named).count();
                    edits.extend((0..places).map(|_| CollectionEdit::Remove { object: named }));
                    present.retain(|element| *element != named);
                }
                Operator::AddToSet if present.contains(&named) => {}
                _ => {
                    let after = present.last().copied();
                    edits.push(CollectionEdit::Insert { object: named, after });
                    present.push(named);
                }
            }
        }
        Ok(edits)
    }

    fn scalars(
        &mut self,
        operator: Operator,
        object: ObjectRef<'_>,
        id: PropertyId,
        property: &Property,
        values: &[&Json],
    ) -> Result<Value, Rejection> {
        let array = Json::Array(values.iter().map(|value| (*value).clone()).collect());
        let Value::Scalars(values) = self.plain(object.model(), property, &array)? else {
            return Err(wrong("expected values"));
        };
        let mut present = object.scalars(id).to_vec();
        match operator {
            Operator::Pull => present.retain(|element| !values.contains(element)),
            _ => {
                for value in values.iter() {
                    if operator == Operator::Push || !present.contains(value) {
                        present.push(value.clone());
                    }
                }
            }
        }
        Ok(Value::Scalars(present.into()))
    }

    fn value(
        &mut self,
        model: ModelId,
        property: &Property,
        json: &Json,
        depth: usize,
    ) -> Result<Value, Rejection> {
        match (property.is_reference(), property.is_collection(), json) {
            (false, ..) => self.plain(model, property, json),
            (true, false, Json::Null) => Ok(Value::Reference(None)),
            (true, false, json) => {
                Ok(Value::Reference(Some(self.object(property.kind(), json, depth)?)))
            }
            (true, true, Json::Array(elements)) => {
                let elements = elements.iter().map(|e| self.object(property.kind(), e, depth));
                Ok(Value::References(elements.collect::<Result<Vec<_>, _>>()?.into()))
            }
            (true, true, _) => Err(wrong("expected an array of objects")),
        }
    }

    /// A value without objects, typed as a client's would be.
    fn plain(&self, model: ModelId, property: &Property, json: &Json) -> Result<Value, Rejection> {
        let typing =
            Typing { schema: self.graph.schema(), dialect: Dialect::V1, limits: self.limits };
        let one = Map::from_iter([(property.name().to_string(), json.clone())]);
        let mut values = typing.properties(model, &Json::Object(one).to_string())?;
        values.pop().map(|(_, value)| value).ok_or_else(|| wrong("expected a value"))
    }

    /// An object that is named, or made.
    fn object(
        &mut self,
        kind: PropertyType,
        json: &Json,
        depth: usize,
    ) -> Result<ObjectId, Rejection> {
        let Json::Object(fields) = json else {
            return Err(wrong("expected an object: {\"$uuid\": …} or {\"$cls\": …}"));
        };
        let uuid = uuid_of(fields)?;
        let Some(name) = fields.get("$cls") else {
            let uuid = uuid.ok_or_else(|| wrong("an object has \"$uuid\" or \"$cls\""))?;
            if fields.len() > 1 {
                return Err(wrong("an object that is there has \"$uuid\" only"));
            }
            // It may also be one that this update makes.
            let made = self.fragments.iter().any(|fragment| fragment.object == uuid);
            return if made {
                Ok(uuid)
            } else {
                existing(self.graph, uuid).map(|object| object.id())
            };
        };
        if depth >= DEPTH_MAX {
            return Err(wrong(format!("objects within objects, more than {DEPTH_MAX} deep")));
        }
        let name = name.as_str().ok_or_else(|| wrong("\"$cls\": expected the name of a model"))?;
        let schema = self.graph.schema().clone();
        let (model, definition) =
            schema.find(name).ok_or_else(|| wrong(format!("no model {name:?}")))?;
        if let PropertyType::Model(expected) = kind
            && !schema.is_a(model, expected)
        {
            return Err(wrong(format!("a {name} is no {}", schema.model(expected).name())));
        }
        let object = uuid.unwrap_or_else(|| (self.new_id)());
        let mut add = Fragment::new(FragmentKind::Add, object, model);
        for (key, json) in fields.iter().filter(|(key, _)| *key != "$cls" && *key != "$uuid") {
            let (id, property) = find(definition, key)?;
            add.properties.push((id, self.value(model, property, json, depth + 1)?));
        }
        self.fragments.push(add);
        Ok(object)
    }
}

/// Its text was read, which bounds its depth.
fn give_ids(json: &mut Json, new_id: &mut dyn FnMut() -> ObjectId) {
    match json {
        Json::Array(elements) => elements.iter_mut().for_each(|json| give_ids(json, new_id)),
        Json::Object(fields) => {
            fields.values_mut().for_each(|json| give_ids(json, new_id));
            if fields.contains_key("$cls") && !fields.contains_key("$uuid") {
                fields.insert("$uuid".to_owned(), Json::from(new_id().to_string()));
            }
        }
        _ => {}
    }
}

/// One value, or those of `$each`.
fn each(operator: Operator, value: &Json) -> Result<Vec<&Json>, Rejection> {
    debug_assert_ne!(operator, Operator::Set, "a value is set as it is");
    match value.get("$each") {
        None => Ok(vec![value]),
        Some(Json::Array(values)) => Ok(values.iter().collect()),
        Some(_) => Err(wrong("$each: expected an array")),
    }
}

fn model_of(object: ObjectRef<'_>) -> &Model {
    object.graph().schema().model(object.model())
}

fn find<'m>(model: &'m Model, name: &str) -> Result<(PropertyId, &'m Property), Rejection> {
    let found = model.find(name);
    found.ok_or_else(|| wrong(format!("no property {name:?} on {:?}", model.name())))
}

fn existing(graph: &Graph, id: ObjectId) -> Result<ObjectRef<'_>, Rejection> {
    graph.object(id).ok_or_else(|| wrong(format!("no object {id} in the scope")))
}

fn uuid_of(fields: &Map<String, Json>) -> Result<Option<ObjectId>, Rejection> {
    let Some(uuid) = fields.get("$uuid") else { return Ok(None) };
    let id = uuid.as_str().and_then(|text| text.parse().ok());
    id.map(Some).ok_or_else(|| wrong("\"$uuid\": expected a uuid"))
}

fn wrong(message: impl Into<String>) -> Rejection {
    Rejection::fragment(message)
}

/// Objects within objects deeper than this are nothing that a program writes.
const DEPTH_MAX: usize = 64;

#[cfg(test)]
mod tests;
