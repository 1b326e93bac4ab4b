//! Whether a server does its work, found out by asking it to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::{ChangeSet, Graph, Schema};
use parking_lot::Mutex;
use tokio::time::timeout;

use crate::scope::{Scope, WeakScope};

/// Whether a server should be sent clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Scopes answer, and the server is not going away.
    pub ready: bool,
    /// In plain words what is the matter; empty if nothing is.
    pub problem: String,
}

/// Asks scopes.
pub(super) struct Probe {
    /// A scope of the server's own: it answers as long as tasks run and time passes.
    own: Scope,
    /// Scopes that sessions have fetched, the one that was asked last at the end.
    known: Mutex<VecDeque<WeakScope>>,
}

impl Probe {
    pub(super) fn new() -> Self {
        let schema = Schema::builder().model("Probe", |model| model).build();
        let schema = Arc::new(schema.expect("an empty model is a proper one"));
        let (model, _) = schema.find("Probe").expect("defined one line above");
        let root = ObjectId::from_uuid(uuid::Uuid::from_u128(1));
        let own = Scope::new("health", Graph::new(schema, root, model));
        Self { own, known: Mutex::default() }
    }

    /// Remembers a scope to ask.
    pub(super) fn note(&self, scope: &Scope) {
        let mut known = self.known.lock();
        known.retain(|other| other.upgrade().is_some_and(|other| !other.is_closed()));
        let is_new = known.iter().all(|other| !other.upgrade().is_some_and(|o| o.is(scope)));
        if is_new {
            known.push_front(scope.downgrade());
            known.truncate(KNOWN_MAX);
        }
    }

    /// The scopes that are there to be asked.
    pub(super) fn known(&self) -> Vec<Scope> {
        let known = self.known.lock();
        let open = known.iter().filter_map(WeakScope::upgrade);
        open.filter(|scope| !scope.is_closed()).collect()
    }

    /// Has the server's own scope change itself, and one of the others look at itself.
    pub(super) async fn ask(&self) -> Health {
        let update = self.own.update(ChangeSet::default());
        if !matches!(timeout(ANSWER_MAX, update).await, Ok(Ok(_))) {
            return Health::not_ready("the server's own scope does not answer");
        }
        let next = {
            let mut known = self.known.lock();
            let next = known.pop_front();
            known.extend(next.clone());
            next.and_then(|scope| scope.upgrade()).filter(|scope| !scope.is_closed())
        };
        let Some(scope) = next else { return Health::ready() };
        match timeout(ANSWER_MAX, scope.read(|_| ())).await {
            Ok(Ok(())) => Health::ready(),
            // It was closed in the meantime, as scopes are.
            Ok(Err(_)) => Health::ready(),
            Err(_) => Health::not_ready(format!("the scope {:?} does not answer", scope.name())),
        }
    }
}

impl Health {
    fn ready() -> Self {
        Self { ready: true, problem: String::new() }
    }

    pub(super) fn not_ready(problem: impl Into<String>) -> Self {
        Self { ready: false, problem: problem.into() }
    }
}

/// How long a scope may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// How many scopes are asked in turn; looking for a new one among them costs time with every fetch.
const KNOWN_MAX: usize = 32;
