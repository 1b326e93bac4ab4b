//! Fragments of a server into typed ones, for a program that may not know all of the scope's models.
//!
//! A program is older than the server it talks to, sooner or later. What it does not know (a property, a
//! model, and the objects that only those lead to) is left out; nothing that it does know may be wrong.

use std::collections::HashSet;
use std::sync::Arc;

use jetstream_core::ids::ObjectId;
use jetstream_core::limits::Limits;
use jetstream_core::model::{
    Fragment, FragmentKind, Graph, ModelId, PropertyId, Rejection, Schema, StateError, Value,
};
use jetstream_core::wire::change_set::Typing;
use jetstream_core::wire::message::{Dialect, RawFragment};
use serde_json::Value as Json;

/// Reads fragments with one schema.
#[derive(Debug)]
pub(super) struct Reading {
    schema: Arc<Schema>,
    limits: Limits,
    /// Objects that were left out.
    unknown: HashSet<ObjectId>,
}

impl Reading {
    pub(super) fn new(schema: Arc<Schema>) -> Self {
        // The server has judged what it sends by limits of its own.
        let limits = Limits {
            string_bytes_max: usize::MAX,
            collection_elements_max: usize::MAX,
            fragments_max: usize::MAX,
            ..Limits::default()
        };
        Self { schema, limits, unknown: HashSet::new() }
    }

    /// A whole state as a graph.
    pub(super) fn state(
        &mut self,
        root: ObjectId,
        raw: &[RawFragment],
    ) -> Result<Graph, Rejection> {
        self.unknown.clear();
        let mut fragments = self.fragments(raw)?;
        // Whether nothing leads to an object any more shows only when others have been left out.
        loop {
            let graph = Graph::from_state(self.schema.clone(), root, fragments.clone());
            let errors = match graph {
                Ok(graph) => return Ok(graph),
                Err(errors) => errors,
            };
            let partial = fragments.len() < raw.len() || self.left_out_properties(raw);
            let adds = errors.iter().filter_map(|error| match error {
                StateError::Fragment(place, _) => fragments.get(*place),
                StateError::NoRoot(_) => None,
            });
            let lost: HashSet<_> =
                adds.filter(|f| f.kind == FragmentKind::Add).map(|f| f.object).collect();
            if !partial || lost.is_empty() {
                return Err(Rejection::message(errors[0].to_string()));
            }
            self.unknown.extend(lost);
            fragments = self.without_unknown(fragments);
        }
    }

    /// The fragments of a commit.
    pub(super) fn fragments(&mut self, raw: &[RawFragment]) -> Result<Vec<Fragment>, Rejection> {
        let mut fragments = Vec::with_capacity(raw.len());
        for raw in raw {
            match self.typing().fragment(raw) {
                Ok(fragment) => fragments.push(fragment),
                Err(error) => fragments.extend(self.what_is_known(raw).ok_or(error)??),
            }
        }
        Ok(if self.unknown.is_empty() { fragments } else { self.without_unknown(fragments) })
    }

    /// Property values of an object of `model`.
    pub(super) fn properties(
        &self,
        model: ModelId,
        text: &str,
    ) -> Result<Vec<(PropertyId, Value)>, Rejection> {
        self.typing().properties(model, text)
    }

    fn typing(&self) -> Typing<'_> {
        Typing { schema: &self.schema, dialect: Dialect::V1, limits: &self.limits }
    }

    /// The part of a fragment that the schema knows; nothing of an object whose model it does not. The outer
    /// `None`: it is no fragment at all.
    fn what_is_known(&mut self, raw: &RawFragment) -> Option<Result<Option<Fragment>, Rejection>> {
        let Ok(Json::Object(mut fragment)) = serde_json::from_str(raw.get()) else { return None };
        let Some((_, model)) = self.schema.find(fragment.get("clsName")?.as_str()?) else {
            self.unknown.insert(fragment.get("uuid")?.as_str()?.parse().ok()?);
            return Some(Ok(None));
        };
        for part in ["properties", "collections"] {
            if let Some(Json::Object(properties)) = fragment.get_mut(part) {
                properties.retain(|name, _| model.find(name).is_some());
            }
        }
        let known = serde_json::value::to_raw_value(&fragment).ok()?;
        Some(self.typing().fragment(&known).map(Some))
    }

    fn left_out_properties(&self, raw: &[RawFragment]) -> bool {
        raw.iter().any(|raw| self.typing().fragment(raw).is_err())
    }

    /// The same without the objects that were left out, and without references to them.
    fn without_unknown(&self, fragments: Vec<Fragment>) -> Vec<Fragment> {
        let known = |id: &ObjectId| !self.unknown.contains(id);
        let mut kept: Vec<_> =
            fragments.into_iter().filter(|fragment| known(&fragment.object)).collect();
        for fragment in &mut kept {
            for (_, value) in &mut fragment.properties {
                match value {
                    Value::Reference(Some(id)) if !known(id) => *value = Value::Reference(None),
                    Value::References(ids) if !ids.iter().all(known) => {
                        *ids = ids.iter().copied().filter(known).collect();
                    }
                    _ => {}
                }
            }
            for (_, edits) in &mut fragment.collections {
                edits.retain(|edit| known(&edit.object()));
            }
        }
        kept
    }
}
