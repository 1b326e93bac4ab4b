//! From a configuration to a [`Trial`] of a scope's rules, and from files to what is tried on it.
//!
//! In claims and changes `"$root"`, and every other name that the trial knows, stands for an object's uuid: the
//! root of most scopes has a new one at each start.

use std::path::Path;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value as Json};

use super::check::state;
use super::mistake::{Collector, Origin, Place, Source, Sources};
use super::{Config, LoadError, Mistakes, ScopeConfig};
use crate::access::{Rules, Trial};
use crate::authentication::with_user;
use crate::core::limits::Limits;
use crate::core::model::spelling::nearest;
use crate::core::model::{ChangeSet, Graph, Rejection};
use crate::core::scope::Claims;
use crate::core::scope::access::ScopeFacts;
use crate::core::wire::change_set::Typing;
use crate::core::wire::message::Dialect;

/// Why there is nothing to try.
#[derive(Debug, thiserror::Error)]
pub enum TrialError {
    /// No scope and no family has this name.
    #[error("no scope {name:?}{help}")]
    Unknown {
        /// The name.
        name: String,
        /// What is meant, perhaps.
        help: String,
    },
    /// The scope has no rules: everybody may do everything.
    #[error("the scope {0:?} has no access table: everybody may do everything in it")]
    NoRules(String),
    /// What the scope begins with cannot be made.
    #[error("the scope {name:?} cannot be made: {}", why.message)]
    Refused {
        /// The name.
        name: String,
        /// Why.
        why: Rejection,
    },
    /// A file is wrong.
    #[error(transparent)]
    Load(#[from] LoadError),
}

impl Config {
    /// The rules of a scope over what it begins with.
    ///
    /// # Errors
    ///
    /// There is no such scope, or it has no rules.
    pub fn trial(&self, scope: &str) -> Result<Trial, TrialError> {
        let (found, rules, facts) = self.ruled(scope)?;
        let graph = self.graph(found)();
        let name = || scope.to_owned();
        let graph = graph.map_err(|why| TrialError::Refused { name: name(), why })?;
        Ok(Trial::new(rules, facts, graph).options(self.options(found)))
    }

    /// The rules of a scope over the objects of a file, which is read as `state` is in the configuration.
    ///
    /// # Errors
    ///
    /// There is no such scope, it has no rules, or the file is wrong.
    pub fn trial_on(&self, scope: &str, state: &Path) -> Result<Trial, TrialError> {
        let (found, rules, facts) = self.ruled(scope)?;
        let graph = self.state(found, state)?;
        Ok(Trial::new(rules, facts, graph).options(self.options(found)))
    }

    /// A scope with its rules, and what those know of it.
    fn ruled(&self, name: &str) -> Result<(&ScopeConfig, Arc<Rules>, ScopeFacts), TrialError> {
        let single = self.scopes.iter().filter(|scope| !scope.template.is_family());
        let families = self.scopes.iter().filter(|scope| scope.template.is_family());
        let mut matching =
            single.chain(families).filter_map(|scope| Some((scope, scope.template.matches(name)?)));
        let Some((scope, params)) = matching.next() else {
            let names: Vec<String> = self.scopes.iter().map(|s| s.template.to_string()).collect();
            let help = match nearest(name, names.iter().map(String::as_str)) {
                Some(meant) => format!(", did you mean {meant:?}?"),
                None => format!("; there are: {}", names.join(", ")),
            };
            return Err(TrialError::Unknown { name: name.to_owned(), help });
        };
        let Some(rules) = scope.access.clone() else {
            return Err(TrialError::NoRules(name.to_owned()));
        };
        let facts = ScopeFacts { name: name.into(), params: params.into_iter().collect() };
        Ok((scope, rules, facts))
    }

    fn state(&self, scope: &ScopeConfig, path: &Path) -> Result<Graph, LoadError> {
        let file = File::read(path)?;
        let mut mistakes = Collector::default();
        let model = self.schema.model(scope.root);
        let (schema, limits) = (&self.schema, &scope.limits);
        let graph = state::graph(&file.text, file.source, model, schema, limits, &mut mistakes);
        mistakes.finish(&file.sources, graph).map_err(Into::into)
    }
}

/// Reads a session's claims: a JSON object. Rules know a `sub` as `session.user` as well, as they do of a token.
///
/// # Errors
///
/// The file cannot be read, or is no JSON object.
pub fn read_claims(path: &Path) -> Result<Claims, LoadError> {
    let file = File::read(path)?;
    let claims = file.json::<Map<String, Json>>("{\"sub\": \"ann\", \"roles\": [\"editor\"]}")?;
    Ok(with_user(claims))
}

/// Reads changes: an array of fragments, or a message `{"fragments": […], "atomic": …, "procedure": …}`. A fragment
/// that is none stays in its place, refused.
///
/// # Errors
///
/// The file cannot be read, or is neither.
pub fn read_changes(path: &Path, trial: &Trial) -> Result<ChangeSet, LoadError> {
    let file = File::read(path)?;
    let found = file.json::<Json>(CHANGES_HELP)?;
    let flag = |key: &str| found.get(key).and_then(Json::as_bool).unwrap_or_default();
    let (fragments, atomic, procedure) = match &found {
        Json::Array(fragments) => (Some(fragments), false, None),
        message => {
            let procedure = message.get("procedure").and_then(Json::as_str);
            (message.get("fragments").and_then(Json::as_array), flag("atomic"), procedure)
        }
    };
    let Some(fragments) = fragments else {
        return Err(file.mistake(0, "these are no changes", CHANGES_HELP).into());
    };
    Ok(change_set(fragments, atomic, procedure, trial))
}

/// Types changes as the server types what a 1.0 client sends.
pub(super) fn change_set(
    fragments: &[Json],
    atomic: bool,
    procedure: Option<&str>,
    trial: &Trial,
) -> ChangeSet {
    let raw = fragments.iter().map(|fragment| {
        let mut fragment = fragment.clone();
        put_ids(&mut fragment, trial);
        to_raw_value(&fragment).expect("JSON is written as JSON")
    });
    let limits: &Limits = &trial.scope_options().limits;
    let typing = Typing { schema: trial.schema(), dialect: Dialect::V1, limits };
    typing.change_set(&raw.collect::<Vec<_>>(), atomic, procedure)
}

/// Puts uuids for names.
fn put_ids(json: &mut Json, trial: &Trial) {
    match json {
        Json::String(text) => {
            if let Some(id) = text.strip_prefix('$').and_then(|name| trial.named(name)) {
                *text = id.to_string();
            }
        }
        Json::Array(elements) => elements.iter_mut().for_each(|element| put_ids(element, trial)),
        Json::Object(entries) => entries.values_mut().for_each(|value| put_ids(value, trial)),
        Json::Null | Json::Bool(_) | Json::Number(_) => {}
    }
}

/// A file with what is needed to speak of its places.
struct File {
    text: String,
    source: super::mistake::SourceId,
    sources: Sources,
}

impl File {
    fn read(path: &Path) -> Result<Self, LoadError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| LoadError::Unreadable { file: name.clone(), error })?;
        let mut sources = Sources::default();
        let source = sources.add(Source::new(Origin::File, name, text.clone()));
        Ok(Self { text, source, sources })
    }

    fn json<T: DeserializeOwned>(&self, help: &str) -> Result<T, Mistakes> {
        serde_json::from_str(&self.text).map_err(|error| {
            let at = state::offset(&self.text, error.line(), error.column());
            // The position is in the place, and once is enough.
            let message = error.to_string();
            self.mistake(at, message.split(" at line ").next().unwrap_or_default(), help)
        })
    }

    fn mistake(&self, at: usize, message: &str, help: &str) -> Mistakes {
        let mut mistakes = Collector::default();
        mistakes.add_with_help(Place::new(self.source, at..at), message, help);
        mistakes.finish::<()>(&self.sources, None).expect_err("there is one")
    }
}

const CHANGES_HELP: &str = "[{\"type\": \"change\", \"uuid\": \"$root\", \"clsName\": \"…\", \"properties\": {…}}, …], or a whole \
                            ScopeSync";
