//! No byte of an object reaches a member whose view excludes it, under any order of changes of objects and of
//! claims. Looked at twice: when a scope tells something, and when it goes out, perhaps much later, over a
//! connection that came after others had broken.

use std::collections::{BTreeMap, BTreeSet};

use jetstream_core::ids::{ObjectId, Revision, ScopeIndex, SessionId};
use jetstream_core::model::{Graph, Value};
use serde_json::Value as Json;

use super::Property;
use crate::event::{Event, News, ScopeId};
use crate::veil::{EVERYTHING, Level, Seen};
use crate::world::{Content, Host, World};

#[derive(Debug)]
pub(super) struct Veiled {
    /// Each scope at each revision.
    history: Vec<Vec<Graph>>,
    members: BTreeMap<(SessionId, ScopeIndex), Member>,
}

#[derive(Debug)]
struct Member {
    scope: ScopeId,
    level: Level,
    /// The latest that it was told of.
    revision: Revision,
    /// What it has rightly been told of at some time: a collection may be said to have lost it.
    known: BTreeSet<ObjectId>,
    /// What it was told, and at which revision.
    told: Vec<(Revision, Vec<Json>)>,
}

impl Veiled {
    pub(super) fn new(hosts: &[Host]) -> Self {
        let history = hosts.iter().map(|host| vec![host.scope.graph().clone()]).collect();
        Self { history, members: BTreeMap::new() }
    }

    fn told(
        &mut self,
        key: (SessionId, ScopeIndex),
        revision: Revision,
        fragments: &[Json],
    ) -> Result<(), String> {
        let Some(member) = self.members.get_mut(&key) else { return Ok(()) };
        member.revision = member.revision.max(revision);
        let graph = graph(&self.history, member.scope, revision)?;
        let seen = Seen::of(graph, member.level);
        member.known.extend(seen.objects());
        member.told.push((revision, fragments.to_vec()));
        // Those who see everything are told what was done, also of what is gone by now.
        if member.level >= EVERYTHING {
            return Ok(());
        }
        let known = |id: ObjectId| member.known.contains(&id);
        fragments.iter().try_for_each(|fragment| {
            inspect(fragment, &known, &|id| seen.object(id), &|id, name| seen.property(id, name))
        })
    }

    /// What goes out may be older than what was told last, but may not say more than that about what is still
    /// there.
    fn sent(&self, session: SessionId, message: &Json) -> Result<(), String> {
        let index = message["scopeIndex"].as_u64().unwrap_or_default() as u32;
        let Some(member) = self.members.get(&(session, ScopeIndex(index))) else { return Ok(()) };
        let seen = Seen::of(graph(&self.history, member.scope, member.revision)?, member.level);
        let fragments = message["fragments"].as_array().map_or(&[][..], Vec::as_slice);
        let told = member.told.iter().rev().find(|(_, told)| told == fragments);
        let since = told.map_or(member.revision, |(revision, _)| *revision);
        // What has gone since, and perhaps come back under its id as something else, is no secret.
        let history = &self.history[member.scope][since.0 as usize..=member.revision.0 as usize];
        let gone = |id: ObjectId| history.iter().any(|graph| graph.object(id).is_none());
        let known = |id: ObjectId| member.known.contains(&id);
        let object = |id| seen.object(id) || gone(id);
        let property = |id, name: &str| seen.property(id, name) || gone(id);
        fragments.iter().try_for_each(|f| inspect(f, &known, &object, &property))
    }
}

fn graph(history: &[Vec<Graph>], scope: ScopeId, revision: Revision) -> Result<&Graph, String> {
    let graph = history[scope].get(revision.0 as usize);
    graph.ok_or_else(|| format!("nobody knows scope-{scope} at {revision}"))
}

/// Looks at everything that a fragment says.
fn inspect(
    fragment: &Json,
    known: &dyn Fn(ObjectId) -> bool,
    sees: &dyn Fn(ObjectId) -> bool,
    sees_property: &dyn Fn(ObjectId, &str) -> bool,
) -> Result<(), String> {
    let id = id(&fragment["uuid"]).ok_or("a fragment of nobody")?;
    if !sees(id) {
        return Err(format!("it is hidden, and told: {fragment}"));
    }
    let properties = fragment["properties"].as_object().into_iter().flatten();
    for (name, value) in properties {
        let says_nothing = value.is_null() || value.as_array().is_some_and(Vec::is_empty);
        if !says_nothing && !sees_property(id, name) {
            return Err(format!("{name:?} is hidden, and told: {fragment}"));
        }
        if let Some(hidden) = references(value).into_iter().find(|id| !sees(*id)) {
            return Err(format!("{hidden} is hidden, and named: {fragment}"));
        }
    }
    let collections = fragment["collections"].as_object().into_iter().flatten();
    for (name, edits) in collections {
        if !sees_property(id, name) {
            return Err(format!("{name:?} is hidden, and edited: {fragment}"));
        }
        for edit in edits.as_array().into_iter().flatten() {
            let inserted = references(&edit["insert"]).into_iter().find(|id| !sees(*id));
            let places = [&edit["remove"], &edit["after"]].map(references).concat();
            let placed = places.into_iter().find(|id| !sees(*id) && !known(*id));
            if let Some(hidden) = inserted.or(placed) {
                return Err(format!("{hidden} is hidden, and named: {fragment}"));
            }
        }
    }
    Ok(())
}

fn id(value: &Json) -> Option<ObjectId> {
    value.as_str()?.parse().ok()
}

fn references(value: &Json) -> Vec<ObjectId> {
    match value {
        Json::Array(elements) => elements.iter().filter_map(id).collect(),
        value => id(value).into_iter().collect(),
    }
}

impl Property for Veiled {
    fn name(&self) -> &'static str {
        "nothing hidden is told"
    }

    fn observe(&mut self, event: &Event<'_>) -> Result<(), String> {
        match event {
            Event::Judged { scope, graph, revision, .. } => {
                let history = &mut self.history[*scope];
                if history.len() == revision.0 as usize {
                    history.push((*graph).clone());
                }
            }
            Event::Sees { session, index, scope, level } => {
                let (revision, known, told) = (Revision(0), BTreeSet::new(), Vec::new());
                let fresh = Member { scope: *scope, level: *level, revision, known, told };
                self.members.entry((*session, *index)).or_insert(fresh).level = *level;
            }
            Event::Told(told) => {
                let (index, text) = match &told.news {
                    News::State(index, text) => (*index, format!("{{{text}}}")),
                    News::Sync(index, text) => (*index, format!("{{\"fragments\":{text}}}")),
                    // What it has done itself it knows, too.
                    News::Reply(..) => (told.index, "{}".to_owned()),
                };
                let said: Json = serde_json::from_str(&text).map_err(|e| e.to_string())?;
                let fragments = said["fragments"].as_array().map_or(&[][..], Vec::as_slice);
                let told = self.told((told.session, index), told.revision, fragments);
                return told.map_err(|why| format!("by the scope: {why}"));
            }
            Event::Sent { session, text } => {
                let said: Json = serde_json::from_str(text).map_err(|e| e.to_string())?;
                let messages = said.as_array().map_or(std::slice::from_ref(&said), Vec::as_slice);
                let of_scopes = messages.iter().filter(|message| {
                    message["type"] == "ScopeState" || message["type"] == "ScopeSync"
                });
                for message in of_scopes {
                    let sent = self.sent(*session, message);
                    sent.map_err(|why| format!("to session {session}: {why}"))?;
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What a 1.0 client has in the end is what it may see, no less and no more.
    fn finish(&mut self, world: &World) -> Result<(), String> {
        for client in world.clients().iter().filter(|client| !client.has_deserted()) {
            let Some(session) = client.session() else { continue };
            for (index, copy) in client.copies().iter().filter(|(_, copy)| !copy.misfits) {
                let (Content::Replica(replica), Some(member)) =
                    (&copy.content, self.members.get(&(session, *index)))
                else {
                    continue;
                };
                let graph = world.hosts()[member.scope].scope.graph();
                let seen = Seen::of(graph, member.level);
                compare(replica.confirmed(), graph, &seen).map_err(|why| {
                    let (name, level) = (client.name(), member.level);
                    format!("{name} at level {level} in its scope {index}: {why}")
                })?;
            }
        }
        Ok(())
    }
}

fn compare(copy: &Graph, graph: &Graph, seen: &Seen) -> Result<(), String> {
    let (has, may): (BTreeSet<ObjectId>, BTreeSet<ObjectId>) =
        (copy.depth_first().map(|object| object.id()).collect(), seen.objects().collect());
    if has != may {
        return Err(format!("it has {has:?} and not {may:?}"));
    }
    for object in graph.depth_first().filter(|object| seen.object(object.id())) {
        let held = copy.object(object.id()).expect("the objects are the same");
        for (property, definition) in graph.schema().model(object.model()).properties() {
            if !seen.property(object.id(), definition.name()) {
                continue;
            }
            let (shown, there) = (held.value(property), clip(object.value(property), seen));
            if shown != there {
                let name = definition.name();
                return Err(format!("{name} of {} is {shown:?} and not {there:?}", object.id()));
            }
        }
    }
    Ok(())
}

fn clip(value: Value, seen: &Seen) -> Value {
    match value {
        Value::Reference(reference) => Value::Reference(reference.filter(|id| seen.object(*id))),
        Value::References(references) => {
            Value::References(references.iter().copied().filter(|id| seen.object(*id)).collect())
        }
        value => value,
    }
}
