//! Objects and JSON as the interpreter's values, and back.

use std::collections::HashMap;
use std::fmt;

use cel::ExecutionError;
use cel::common::traits::Indexer;
use cel::common::types::{
    CelBool, CelDouble, CelInt, CelList, CelMap, CelMapKey, CelNull, CelString, CelUInt, Type,
};
use cel::common::value::{CowVal, Val};
use jetstream_core::ids::ObjectId;
use jetstream_core::model::prospect::{Prospect, ProspectObject};
use jetstream_core::model::{PropertyId, Scalar};
use serde_json::Value as Json;

/// A value that is prepared once and looked at often: a session's claims, a scope's parameters.
pub struct Constant(Box<dyn Val>);

impl Constant {
    /// From JSON. Entries of maps that are `null` are left out: what nobody said anything about must not be
    /// equal to an unset property.
    pub fn new(json: &Json) -> Self {
        Self(from_json(json))
    }

    pub(super) fn as_val(&self) -> &dyn Val {
        &*self.0
    }
}

/// Shows nothing: claims may be secrets.
impl fmt::Debug for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Constant")
    }
}

fn from_json(json: &Json) -> Box<dyn Val> {
    match json {
        Json::Null => Box::new(CelNull),
        Json::Bool(value) => Box::new(CelBool::from(*value)),
        Json::Number(number) => Box::new(CelDouble::from(number.as_f64().unwrap_or(f64::NAN))),
        Json::String(text) => Box::new(CelString::from(text.clone())),
        Json::Array(elements) => {
            Box::new(CelList::from(elements.iter().map(from_json).collect::<Vec<_>>()))
        }
        Json::Object(entries) => {
            let said = entries.iter().filter(|(_, value)| !value.is_null());
            let entries: HashMap<CelMapKey<'static>, Box<dyn Val>> = said
                .map(|(name, value)| (CelMapKey::from(name.clone()), from_json(value)))
                .collect();
            Box::new(CelMap::from(entries))
        }
    }
}

/// A value as JSON; `None` for kinds that JSON has no form for.
pub(super) fn to_json(value: &dyn Val) -> Option<Json> {
    if let Some(value) = value.downcast_ref::<CelBool>() {
        return Some(Json::Bool(*value.inner()));
    }
    if let Some(value) = value.downcast_ref::<CelInt>() {
        return Some(Json::from(*value.inner()));
    }
    if let Some(value) = value.downcast_ref::<CelUInt>() {
        return Some(Json::from(*value.inner()));
    }
    if let Some(value) = value.downcast_ref::<CelDouble>() {
        return number(*value.inner());
    }
    if let Some(value) = value.downcast_ref::<CelString<'_>>() {
        return Some(Json::String(value.inner().to_owned()));
    }
    if let Some(list) = value.downcast_ref::<CelList<'_>>() {
        return list.inner().iter().map(|element| to_json(&**element)).collect();
    }
    if let Some(map) = value.downcast_ref::<CelMap<'_>>() {
        let mut entries = serde_json::Map::new();
        for (key, value) in map.inner() {
            let Json::String(key) = to_json(key.inner())? else { return None };
            entries.insert(key, to_json(&**value)?);
        }
        return Some(Json::Object(entries));
    }
    match value.get_type().name() {
        "null_type" => Some(Json::Null),
        OBJECT_NAME => uuid_of(value).map(Json::String),
        _ => None,
    }
}

/// As the protocol writes numbers: without a fraction where there is none.
fn number(value: f64) -> Option<Json> {
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    if value.fract() == 0.0 && value.abs() < WHOLE_MAX {
        return Some(Json::from(value as i64));
    }
    serde_json::Number::from_f64(value).map(Json::Number)
}

/// An object, or `null`.
pub(super) fn object<'v>(object: Option<ProspectObject<'v>>) -> Box<dyn Val + 'v> {
    match object {
        Some(object) => Box::new(Seen(object)),
        None => Box::new(CelNull),
    }
}

/// All objects, by uuid.
pub(super) fn all<'v>(objects: &'v Prospect<'v>) -> Box<dyn Val + 'v> {
    Box::new(All(objects))
}

/// What an object says under a name; `None` if its model has no such property.
pub(super) fn field<'b, 'v>(object: ProspectObject<'v>, name: &str) -> Option<CowVal<'b, 'v>> {
    if let Some((property, _)) = object.definition().find(name) {
        return Some(CowVal::Owned(of_property(object, property)));
    }
    match name {
        "uuid" => Some(CowVal::Owned(uuid(object.id()))),
        "clsName" => {
            let name: &'v str = object.definition().name();
            Some(CowVal::Owned(Box::new(CelString::from(name))))
        }
        _ => None,
    }
}

fn of_property<'v>(seen: ProspectObject<'v>, property: PropertyId) -> Box<dyn Val + 'v> {
    let definition = seen.definition().property(property);
    match (definition.is_reference(), definition.is_collection()) {
        (false, false) => seen.scalar(property).map_or_else(|| Box::new(CelNull) as _, of_scalar),
        (false, true) => {
            let elements: Vec<Box<dyn Val + 'v>> =
                seen.scalars(property).iter().map(of_scalar).collect();
            Box::new(CelList::from(elements))
        }
        (true, false) => object(seen.reference(property)),
        (true, true) => {
            let elements = seen.references(property).into_iter();
            let elements: Vec<Box<dyn Val + 'v>> = elements.map(|o| object(Some(o))).collect();
            Box::new(CelList::from(elements))
        }
    }
}

fn of_scalar(scalar: &Scalar) -> Box<dyn Val + '_> {
    match scalar {
        Scalar::String(text) => Box::new(CelString::from(&**text)),
        Scalar::Number(number) => Box::new(CelDouble::from(*number)),
        Scalar::Boolean(value) => Box::new(CelBool::from(*value)),
        Scalar::Date(date) => Box::new(CelDouble::from(date.to_seconds())),
    }
}

fn uuid(id: ObjectId) -> Box<dyn Val> {
    Box::new(CelString::from(id.to_string()))
}

/// An object, whose properties are looked up when they are asked for.
#[derive(Debug, Clone, Copy)]
struct Seen<'v>(ProspectObject<'v>);

const OBJECT_NAME: &str = "jetstream.Object";
static OBJECT: Type = Type::new_unspecified_type(OBJECT_NAME);

impl Val for Seen<'_> {
    fn get_type(&self) -> &Type {
        &OBJECT
    }

    fn cel_type() -> &'static Type {
        &OBJECT
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn equals(&self, other: &dyn Val) -> bool {
        other.get_type().name() == OBJECT_NAME
            && uuid_of(other).is_some_and(|other| other == self.0.id().to_string())
    }

    fn clone_as_boxed<'w>(&self) -> Box<dyn Val + 'w>
    where
        Self: 'w,
    {
        Box::new(*self)
    }
}

impl Indexer for Seen<'_> {
    fn get<'b, 'w>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        let name = index.downcast_ref::<CelString<'_>>().map(|name| name.inner().to_owned());
        let name = name.unwrap_or_default();
        field(self.0, &name).ok_or_else(|| ExecutionError::NoSuchKey(name.into()))
    }

    fn steal<'w>(self: Box<Self>, index: &dyn Val) -> Result<Box<dyn Val + 'w>, ExecutionError>
    where
        Self: 'w,
    {
        self.get(index).map(CowVal::into_owned)
    }
}

/// The objects of a scope, of which one is looked up when it is asked for.
#[derive(Debug, Clone, Copy)]
struct All<'v>(&'v Prospect<'v>);

static ALL: Type = Type::new_unspecified_type("jetstream.Objects");

impl Val for All<'_> {
    fn get_type(&self) -> &Type {
        &ALL
    }

    fn cel_type() -> &'static Type {
        &ALL
    }

    fn as_indexer<'b, 'w>(&'b self) -> Option<&'b (dyn Indexer + 'w)>
    where
        Self: 'w,
    {
        Some(self)
    }

    fn equals(&self, _: &dyn Val) -> bool {
        false
    }

    fn clone_as_boxed<'w>(&self) -> Box<dyn Val + 'w>
    where
        Self: 'w,
    {
        Box::new(*self)
    }
}

impl Indexer for All<'_> {
    fn get<'b, 'w>(&'b self, index: &dyn Val) -> Result<CowVal<'b, 'w>, ExecutionError>
    where
        Self: 'w,
    {
        let uuid = index.downcast_ref::<CelString<'_>>();
        let id = uuid.and_then(|uuid| uuid.inner().to_lowercase().parse::<ObjectId>().ok());
        Ok(CowVal::Owned(object(id.and_then(|id| self.0.object(id)))))
    }

    fn steal<'w>(self: Box<Self>, index: &dyn Val) -> Result<Box<dyn Val + 'w>, ExecutionError>
    where
        Self: 'w,
    {
        self.get(index).map(CowVal::into_owned)
    }
}

/// A borrowing value cannot be told by its Rust type, but it can be asked.
fn uuid_of(value: &dyn Val) -> Option<String> {
    let uuid = value.as_indexer()?.get(&CelString::from("uuid")).ok()?;
    uuid.downcast_ref::<CelString<'_>>().map(|uuid| uuid.inner().to_owned())
}
