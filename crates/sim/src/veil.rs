//! Rules that hide things, and what they leave to be seen, worked out without any cleverness.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::prospect::{Prospect, ProspectObject};
use jetstream_core::model::{Graph, PropertyId, Scalar};
use jetstream_core::scope::Claims;
use jetstream_core::scope::access::{
    AccessPolicy, Case, ClassKey, Denial, FetchesBy, Hidden, Rights, ScopeFacts,
};
use serde_json::json;

/// How much a member may see: 0 to 3, and 3 is everything.
pub type Level = u8;

/// Who sees everything.
pub const EVERYTHING: Level = 3;

/// What a member shows to have a level.
pub fn claims(level: Level) -> Arc<Claims> {
    let claims = json!({ "level": level });
    Arc::new(Claims::new(claims.as_object().expect("it is one").clone()))
}

/// Red nodes are seen from level 1 on, or by all while the board has no title; notes that are high from level
/// 2 on. Of blue nodes the children are hidden below level 2, and of all notes the text below level 1. Notes
/// are changed from level 1 on.
#[derive(Debug, Clone, Copy, Default)]
pub struct Veil {
    /// A mistake for the simulator to find: all who do not see everything are taken for alike.
    pub mixes_classes: bool,
}

#[derive(Debug)]
struct Visitor {
    level: Level,
    mixes_classes: bool,
}

impl AccessPolicy for Veil {
    fn rights(&self, claims: &Claims, _: &ScopeFacts) -> Arc<dyn Rights> {
        let level = claims.entries().get("level").and_then(serde_json::Value::as_u64);
        let level = level.unwrap_or_default() as Level;
        Arc::new(Visitor { level, mixes_classes: self.mixes_classes })
    }

    fn narrows(&self) -> bool {
        true
    }
}

impl Visitor {
    fn writes(&self, case: &Case<'_>) -> Result<(), Denial> {
        if self.level >= 1 || model_name(case.object) != "Note" {
            return Ok(());
        }
        Err(Denial { action: "write notes".to_owned(), rule: Some("notes".to_owned()) })
    }
}

impl Rights for Visitor {
    fn fetch(&self, _: ProspectObject<'_>) -> Result<(), Denial> {
        Ok(())
    }

    fn add(&self, case: &Case<'_>) -> Result<(), Denial> {
        self.writes(case)
    }

    fn change(&self, case: &Case<'_>, _: Option<PropertyId>) -> Result<(), Denial> {
        self.writes(case)
    }

    fn names_property(&self, _: &Case<'_>, _: PropertyId) -> bool {
        false
    }

    fn remove(&self, case: &Case<'_>) -> Result<(), Denial> {
        self.writes(case)
    }

    fn hidden(&self, root: ProspectObject<'_>, object: ProspectObject<'_>) -> Option<Hidden> {
        hidden(self.level, root, object)
    }

    fn hides(&self, _: ProspectObject<'_>, _: ProspectObject<'_>, _: PropertyId) -> Option<String> {
        None
    }

    fn reads_by_root(&self) -> bool {
        true
    }

    fn fetches_by(&self) -> FetchesBy {
        FetchesBy::Nothing
    }

    fn class(&self) -> Option<ClassKey> {
        let level = if self.mixes_classes { 0 } else { self.level };
        (self.level < EVERYTHING).then(|| ClassKey(level.to_string().into()))
    }
}

fn hidden(level: Level, root: ProspectObject<'_>, object: ProspectObject<'_>) -> Option<Hidden> {
    let is = |name: &str, wanted: &Scalar| scalar(object, name) == Some(wanted);
    let is_node = object.definition().find("colour").is_some();
    let untitled = scalar(root, "title").is_none();
    if is_node && level < 1 && !untitled && is("colour", &"red".into()) {
        return None;
    }
    if model_name(object) == "Note" && level < 2 && is("level", &7.0.into()) {
        return None;
    }
    let mut hidden = Hidden::new();
    if is_node && level < 2 && is("colour", &"blue".into()) {
        hidden.extend(object.definition().find("children").map(|(property, _)| property));
    }
    if model_name(object) == "Note" && level < 1 {
        hidden.extend(object.definition().find("text").map(|(property, _)| property));
    }
    Some(hidden)
}

fn model_name(object: ProspectObject<'_>) -> &str {
    object.definition().name()
}

fn scalar<'a>(object: ProspectObject<'a>, name: &str) -> Option<&'a Scalar> {
    object.scalar(object.definition().find(name)?.0)
}

/// What a level sees of a graph: objects, each with the names of its properties that are hidden.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen(BTreeMap<ObjectId, BTreeSet<String>>);

impl Seen {
    /// Goes from the root over what is seen until nothing is new.
    pub fn of(graph: &Graph, level: Level) -> Self {
        let prospect = Prospect::present(graph);
        let root = prospect.root();
        let mut seen = BTreeMap::new();
        let mut to_see = vec![root.id()];
        while let Some(id) = to_see.pop() {
            let Some(object) = prospect.object(id).filter(|_| !seen.contains_key(&id)) else {
                continue;
            };
            let all = || object.definition().properties();
            let hidden = match hidden(level.min(EVERYTHING), root, object) {
                _ if level >= EVERYTHING => Hidden::new(),
                Some(hidden) => hidden,
                None if id == root.id() => all().map(|(property, _)| property).collect(),
                None => continue,
            };
            for (property, _) in all().filter(|(property, _)| !hidden.contains(property)) {
                to_see.extend(object.value(property).references());
            }
            let name = |id: &PropertyId| object.definition().property(*id).name().to_string();
            seen.insert(id, hidden.iter().map(name).collect());
        }
        Self(seen)
    }

    /// Whether an object is seen.
    pub fn object(&self, id: ObjectId) -> bool {
        self.0.contains_key(&id)
    }

    /// Whether a property of an object is seen.
    pub fn property(&self, id: ObjectId, name: &str) -> bool {
        self.0.get(&id).is_some_and(|hidden| !hidden.contains(name))
    }

    /// All objects that are seen.
    pub fn objects(&self) -> impl Iterator<Item = ObjectId> + '_ {
        self.0.keys().copied()
    }
}
