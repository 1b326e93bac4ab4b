//! How a scope is made.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize};

use jetstream_core::ids::ScopeName;
use jetstream_core::limits::Limits;
use jetstream_core::model::{Graph, ProcedureName};
use jetstream_core::scope::{Options, Procedure};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, watch};

use super::task::{Idle, ScopeTask};
use super::{Phase, Scope, Shared, Status};
use crate::metrics::Metrics;
use crate::storage::Storage;

/// Makes a [`Scope`] that is more than objects in memory.
pub struct ScopeBuilder {
    name: ScopeName,
    graph: Graph,
    options: Options,
    storage: Option<Arc<dyn Storage>>,
    metrics: Metrics,
    idle: Option<Idle>,
}

impl ScopeBuilder {
    pub(super) fn new(name: ScopeName, graph: Graph) -> Self {
        let (options, metrics) = (Options::default(), Metrics::process());
        Self { name, graph, options, storage: None, metrics, idle: None }
    }

    /// The bounds of this scope: members, objects, sizes, waiting requests.
    #[must_use]
    pub fn limits(mut self, limits: impl Into<Arc<Limits>>) -> Self {
        self.options.limits = limits.into();
        self
    }

    /// A procedure that clients may call.
    #[must_use]
    pub fn procedure(mut self, name: ProcedureName, procedure: Procedure) -> Self {
        self.options.procedures.insert(name, procedure);
        self
    }

    /// Where the scope is kept. If the store knows it, it begins with what the store has, and the given
    /// graph says only what the models are.
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = Some(storage);
        self
    }

    /// Where the scope counts, if not with the process.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// What happens when nobody has used the scope for some time.
    pub(super) fn idle(mut self, idle: Idle) -> Self {
        self.idle = Some(idle);
        self
    }

    /// The scope. Its task begins with the first use.
    pub fn build(self) -> Scope {
        let limits = &self.options.limits;
        let (mailbox, requests) =
            mpsc::channel(limits.mailbox_requests_max.clamp(1, Semaphore::MAX_PERMITS));
        let (phase, phases) = watch::channel(Phase::Loading);
        let status = Arc::new(Status {
            name: self.name,
            schema: self.graph.schema().clone(),
            revision: AtomicU64::new(0),
            members: AtomicUsize::new(0),
            subscribers: Mutex::default(),
            members_max: limits.members_max,
        });
        let task = ScopeTask::new(
            (status.clone(), requests, phase),
            (self.graph, self.options),
            self.storage,
            self.metrics,
            self.idle,
        );
        Scope(Arc::new(Shared {
            status,
            mailbox,
            phase: phases,
            task: Mutex::new(Some(Box::new(task))),
            next_member: AtomicU64::new(1),
        }))
    }
}
