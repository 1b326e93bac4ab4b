//! Scopes by name: single ones, and families that are made at the first fetch.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use jetstream_core::ids::ScopeName;
use jetstream_core::limits::Limits;
use jetstream_core::model::{ErrorCode, Graph, Rejection};
use jetstream_core::scope::Options;
use parking_lot::Mutex;

use super::room::Room;
use super::task::Idle;
use super::template::{Template, TemplateError};
use super::{Scope, ScopeBuilder, ScopeError};
use crate::metrics::Metrics;
use crate::storage::{Evolution, Storage};

/// Scopes that are opened by name. A handle; clones mean the same scopes.
///
/// A single scope is made when it is first opened and then stays. A scope of a family, whose name is a
/// template such as `boards/{id}`, is closed when nobody has held it for `limits.scope_idle_ms`; it comes
/// back from the store when it is opened again.
#[derive(Clone)]
pub struct Scopes(Arc<Inner>);

struct Inner {
    rules: Vec<Rule>,
    open: Mutex<HashMap<ScopeName, Scope>>,
    storage: Option<Arc<dyn Storage>>,
    evolution: Option<Arc<Evolution>>,
    metrics: Metrics,
    /// How many may be open, and how much memory they may take.
    room: Arc<Room>,
}

struct Rule {
    template: Template,
    options: Options,
    set_up: SetUp,
    make: Make,
}

type SetUp = Box<dyn Fn(ScopeBuilder) -> ScopeBuilder + Send + Sync>;
type Make = Box<dyn Fn(&Match) -> Result<Graph, Rejection> + Send + Sync>;

/// A name that was asked for, and what the template's parameters stand for in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    name: ScopeName,
    parameters: Vec<(String, String)>,
}

impl Match {
    /// The whole name.
    pub fn name(&self) -> &ScopeName {
        &self.name
    }

    /// The value of a parameter: of `id` in `boards/{id}`.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = self.parameters.iter().find(|(candidate, _)| candidate == name)?;
        Some(&found.1)
    }
}

/// Why a scope was not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// No scope and no family has this name.
    #[error("no such scope")]
    Unknown(ScopeName),
    /// The function that makes the scope refused.
    #[error(transparent)]
    Refused(#[from] Rejection),
    /// The scope failed while it was opened, or is being closed.
    #[error(transparent)]
    Failed(#[from] ScopeError),
}

impl From<OpenError> for Rejection {
    /// What a client is told, which is less than what the log is told.
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Unknown(_) => Self::message("No such scope"),
            OpenError::Refused(rejection) | OpenError::Failed(ScopeError::Refused(rejection)) => {
                rejection
            }
            OpenError::Failed(_) => Self::new(ErrorCode::Internal, "the scope cannot be opened"),
        }
    }
}

/// Describes the scopes of a [`Scopes`].
pub struct ScopesBuilder {
    rules: Vec<(String, Option<Options>, SetUp, Make)>,
    limits: Arc<Limits>,
    storage: Option<Arc<dyn Storage>>,
    evolution: Option<Arc<Evolution>>,
    metrics: Metrics,
}

impl ScopesBuilder {
    /// A scope, or a family of them if the name is a template; `make` gives what a new scope begins with.
    /// When several match a name, the first one counts.
    #[must_use]
    pub fn scope<F>(mut self, name: &str, make: F) -> Self
    where
        F: Fn(&Match) -> Result<Graph, Rejection> + Send + Sync + 'static,
    {
        self.rules.push((name.to_owned(), None, Box::new(|builder| builder), Box::new(make)));
        self
    }

    /// The same, with limits and procedures of its own.
    #[must_use]
    pub fn scope_with<F>(self, name: &str, options: Options, make: F) -> Self
    where
        F: Fn(&Match) -> Result<Graph, Rejection> + Send + Sync + 'static,
    {
        self.scope_set_up(name, options, |builder| builder, make)
    }

    /// The same, with what else a [`ScopeBuilder`] can say of each new scope: who decides about its changes,
    /// for example.
    #[must_use]
    pub fn scope_set_up<S, F>(mut self, name: &str, options: Options, set_up: S, make: F) -> Self
    where
        S: Fn(ScopeBuilder) -> ScopeBuilder + Send + Sync + 'static,
        F: Fn(&Match) -> Result<Graph, Rejection> + Send + Sync + 'static,
    {
        let (set_up, make) = (Box::new(set_up), Box::new(make));
        self.rules.push((name.to_owned(), Some(options), set_up, make));
        self
    }

    /// The bounds of scopes that have none of their own.
    #[must_use]
    pub fn limits(mut self, limits: impl Into<Arc<Limits>>) -> Self {
        self.limits = limits.into();
        self
    }

    /// Where the scopes are kept; without it they are gone when they are closed.
    #[must_use]
    pub fn storage(mut self, storage: impl Storage) -> Self {
        self.storage = Some(Arc::new(storage));
        self
    }

    /// Keeps the scopes in a store that others hold as well, with all the schemas that it was written with;
    /// the last of them is that of the scopes.
    #[must_use]
    pub fn kept_in(mut self, storage: Arc<dyn Storage>, evolution: Arc<Evolution>) -> Self {
        (self.storage, self.evolution) = (Some(storage), Some(evolution));
        self
    }

    /// Where the scopes count, if not with the process.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// The scopes; none of them is open yet.
    ///
    /// # Errors
    ///
    /// If a name is no proper template.
    pub fn build(self) -> Result<Scopes, TemplateError> {
        let mut rules = Vec::with_capacity(self.rules.len());
        for (name, options, set_up, make) in self.rules {
            let template = Template::parse(&name)?;
            let options = options
                .unwrap_or_else(|| Options { limits: self.limits.clone(), ..Options::default() });
            rules.push(Rule { template, options, set_up, make });
        }
        let room = Arc::new(Room::new(&self.limits, self.metrics.clone()));
        let (storage, evolution, metrics) = (self.storage, self.evolution, self.metrics);
        let open = Mutex::default();
        Ok(Scopes(Arc::new(Inner { rules, open, storage, evolution, metrics, room })))
    }
}

impl Scopes {
    /// Begins a description of scopes.
    pub fn builder() -> ScopesBuilder {
        ScopesBuilder {
            rules: Vec::new(),
            limits: Arc::default(),
            storage: None,
            evolution: None,
            metrics: Metrics::process(),
        }
    }

    /// The scope of this name, made if it is not open. However many ask at the same time, there is one.
    ///
    /// # Errors
    ///
    /// If no scope has this name, or it cannot be made or loaded.
    pub async fn open(&self, name: &str) -> Result<Scope, OpenError> {
        let scope = match self.get(name) {
            Some(scope) => scope,
            None => self.make(name)?,
        };
        scope.ready().await?;
        Ok(scope)
    }

    /// The scope of this name if it is open.
    pub fn get(&self, name: &str) -> Option<Scope> {
        let open = self.0.open.lock();
        open.get(&ScopeName::from(name)).filter(|scope| !scope.is_closed()).cloned()
    }

    /// All scopes that are open, by name.
    pub fn list(&self) -> Vec<Scope> {
        let mut open: Vec<Scope> = self.0.open.lock().values().cloned().collect();
        open.retain(|scope| !scope.is_closed());
        open.sort_by(|a, b| a.name().cmp(b.name()));
        open
    }

    /// Closes all scopes.
    pub async fn close(&self) {
        let open: Vec<Scope> = self.0.open.lock().drain().map(|(_, scope)| scope).collect();
        for scope in open {
            scope.close().await;
        }
    }

    fn make(&self, name: &str) -> Result<Scope, OpenError> {
        let inner = &*self.0;
        if name.len() > NAME_BYTES_MAX {
            return Err(OpenError::Unknown(name.into()));
        }
        let found = inner.rules.iter().find_map(|rule| Some((rule, rule.template.matches(name)?)));
        let Some((rule, parameters)) = found else { return Err(OpenError::Unknown(name.into())) };
        let asked = Match { name: name.into(), parameters };
        // Outside the lock, for it may take its time. If somebody else is quicker, theirs counts: a
        // scope that nobody has used yet has loaded nothing and has no task.
        let graph = (rule.make)(&asked)?;
        let mut builder = Scope::builder(asked.name.clone(), graph)
            .limits(rule.options.limits.clone())
            .visible(rule.options.visible)
            .params(asked.parameters.iter().cloned().collect())
            .metrics(inner.metrics.clone());
        for (name, procedure) in &rule.options.procedures {
            builder = builder.procedure(name.clone(), procedure.clone());
        }
        if let Some(access) = &rule.options.access {
            let params = asked.parameters.iter().cloned().collect();
            builder = builder.access(access.policy.clone(), params);
        }
        builder = (rule.set_up)(builder);
        if let Some(storage) = &inner.storage {
            builder = builder.storage(storage.clone());
        }
        if let Some(evolution) = &inner.evolution {
            builder = builder.evolution(evolution.clone());
        }
        // What is kept elsewhere need not be in memory.
        if rule.template.is_family() || inner.storage.is_some() {
            let after = Duration::from_millis(rule.options.limits.scope_idle_ms).max(IDLE_MIN);
            let release = Self::release(Arc::downgrade(&self.0), asked.name.clone());
            builder = builder.idle(Idle { after, release });
        }
        let mut open = inner.open.lock();
        match open.get(&asked.name).filter(|scope| !scope.is_closed()) {
            Some(quicker) => Ok(quicker.clone()),
            None => {
                // Names are for clients to choose: a family has as many scopes as somebody cares to fetch.
                inner.room.admit(&open, inner.storage.is_some())?;
                let scope = builder.room(inner.room.clone()).build();
                open.insert(asked.name, scope.clone());
                Ok(scope)
            }
        }
    }

    /// Forgets a scope if nobody else holds it. Under the lock nobody can get hold of it meanwhile.
    fn release(inner: Weak<Inner>, name: ScopeName) -> Box<dyn Fn() -> bool + Send> {
        Box::new(move || {
            let Some(inner) = inner.upgrade() else { return false };
            let mut open = inner.open.lock();
            let unused = open.get(&name).is_some_and(|scope| Arc::strong_count(&scope.0) == 1);
            if unused {
                open.remove(&name);
            }
            unused
        })
    }
}

/// Longer names of scopes are not looked for, in bytes: a name stands in logs and keys of stores.
const NAME_BYTES_MAX: usize = 1024;

impl fmt::Debug for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let templates: Vec<_> = self.0.rules.iter().map(|rule| rule.template.to_string()).collect();
        f.debug_struct("Scopes").field("names", &templates).finish_non_exhaustive()
    }
}

/// A scope that is held but has no members looks again and again whether it is still held.
const IDLE_MIN: Duration = Duration::from_millis(100);
