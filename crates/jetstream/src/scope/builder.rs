//! How a scope is made.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jetstream_core::ids::ScopeName;
use jetstream_core::limits::Limits;
use jetstream_core::model::{Graph, ProcedureName};
use jetstream_core::scope::access::{AccessPolicy, ScopeFacts};
use jetstream_core::scope::{Access, Options, Procedure, Visible, WriteOrder};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, mpsc, watch};

use super::beginning::Beginning;
use super::calls::Actions;
use super::outdated::Outdated;
use super::room::{Occupied, Room};
use super::store::Store;
use super::task::{Idle, ScopeTask};
use super::{Phase, Scope, Shared, Status};
use crate::load::Loader;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::procedure::Action;
use crate::storage::{Evolution, Storage, StoredScope};

/// Makes a [`Scope`] that is more than objects in memory.
pub struct ScopeBuilder {
    name: ScopeName,
    graph: Graph,
    options: Options,
    actions: Actions,
    storage: Option<Arc<dyn Storage>>,
    evolution: Option<Arc<Evolution>>,
    metrics: Metrics,
    idle: Option<Idle>,
    room: Option<Arc<Room>>,
    notifiers: Vec<Notifier>,
    loader: Option<Arc<dyn Loader>>,
    params: BTreeMap<String, String>,
}

impl ScopeBuilder {
    pub(super) fn new(name: ScopeName, graph: Graph) -> Self {
        let (options, metrics) = (Options::default(), Metrics::process());
        let actions = Actions::default();
        let (storage, evolution, idle, room) = (None, None, None, None);
        let (notifiers, loader, params) = (Vec::new(), None, BTreeMap::new());
        Self {
            name,
            graph,
            options,
            actions,
            storage,
            evolution,
            metrics,
            idle,
            room,
            notifiers,
            loader,
            params,
        }
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
        let action = procedure.action || self.actions.procedures.contains_key(&name);
        self.options.procedures.insert(name, Procedure { action, ..procedure });
        self
    }

    /// Who decides about the calls of a procedure, before they are carried out. What the procedure admits is
    /// said with [`procedure`](Self::procedure); its action is asked about nothing else.
    #[must_use]
    pub fn action(mut self, name: ProcedureName, action: impl Action) -> Self {
        self.options.procedures.entry(name.clone()).or_default().action = true;
        self.actions.procedures.insert(name, Arc::new(action));
        self
    }

    /// Who decides about every ChangeSet of a client that is no call of a procedure. The application's own
    /// are not asked about.
    #[must_use]
    pub fn validate(mut self, action: impl Action) -> Self {
        self.options.validate = true;
        self.actions.validate = Some(Arc::new(action));
        self
    }

    /// Who takes every ChangeSet of a client before it is committed, and has the say: what it refuses is refused.
    /// It is asked after whoever else decides, about what came of that. What leaves with its session, and the
    /// application's own changes, it is not asked about.
    #[must_use]
    pub fn write(mut self, order: WriteOrder, action: impl Action) -> Self {
        self.options.write = Some(order);
        self.actions.write = Some(Arc::new(action));
        self
    }

    /// Who gives what the scope begins with, if its store has nothing of it; the given graph says only what the
    /// models are then. Whoever fetches the scope waits for [`Scope::ready`] before that.
    #[must_use]
    pub fn load(mut self, loader: impl Loader) -> Self {
        self.loader = Some(Arc::new(loader));
        self
    }

    /// What the parameters of its family's name stand for: `id` in `boards/{id}`.
    #[must_use]
    pub fn params(mut self, params: BTreeMap<String, String>) -> Self {
        self.params = params;
        self
    }

    /// Who may do what. `params` is what rules can know of the scope besides its name.
    #[must_use]
    pub fn access(
        mut self,
        policy: Arc<dyn AccessPolicy>,
        params: BTreeMap<String, String>,
    ) -> Self {
        let scope = Arc::new(ScopeFacts { name: self.name.clone(), params });
        self.options.access = Some(Access { policy, scope });
        self
    }

    /// Where the scope is kept. If the store knows it, it begins with what the store has, and the given
    /// graph says only what the models are.
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = Some(storage);
        self
    }

    /// The schemas that the store was written with, the last of which is that of the graph. Without them the
    /// store has to have known only one.
    #[must_use]
    pub fn evolution(mut self, evolution: Arc<Evolution>) -> Self {
        self.evolution = Some(evolution);
        self
    }

    /// When members see a change of a scope that is stored: when it is durable, if nothing else is said.
    #[must_use]
    pub fn visible(mut self, visible: Visible) -> Self {
        self.options.visible = visible;
        self
    }

    /// Who is told of what the scope commits, after it is stored. The notifier has to be one of the store that
    /// the scope is [kept in](Self::storage); of a scope without a store nobody is told.
    #[must_use]
    pub fn notify(mut self, notifier: Notifier) -> Self {
        self.notifiers.push(notifier);
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

    /// What it takes its memory from, together with others.
    pub(super) fn room(mut self, room: Arc<Room>) -> Self {
        self.room = Some(room);
        self
    }

    /// The scope. Its task begins with the first use.
    pub fn build(mut self) -> Scope {
        if let Some(evolution) = &self.evolution {
            let access = self.options.access.take();
            let (rules, scope) =
                access.map_or((None, None), |access| (Some(access.policy), Some(access.scope)));
            self.options.access = Outdated::over(rules, evolution).map(|policy| {
                let facts = || ScopeFacts { name: self.name.clone(), params: self.params.clone() };
                Access { policy, scope: scope.unwrap_or_else(|| Arc::new(facts())) }
            });
        }
        let limits = &self.options.limits;
        let (mailbox, requests) =
            mpsc::channel(limits.mailbox_requests_max.clamp(1, Semaphore::MAX_PERMITS));
        let (phase, phases) = watch::channel(Phase::Loading);
        let schema = self.graph.schema().clone();
        let evolution = self.evolution;
        let evolution = evolution.unwrap_or_else(|| Arc::new(Evolution::only(schema.clone())));
        let key = Arc::new(StoredScope::evolving(self.name.clone(), evolution));
        let log = self.storage.map(|storage| (storage, key));
        let facts = Arc::new(ScopeFacts { name: self.name.clone(), params: self.params });
        let status = Arc::new(Status {
            name: self.name,
            facts: facts.clone(),
            refused: OnceLock::new(),
            schema,
            log: log.clone(),
            access: self.options.access.clone(),
            revision: AtomicU64::new(0),
            life: AtomicU64::new(0),
            members: AtomicUsize::new(0),
            subscribers: Mutex::default(),
            members_max: limits.members_max,
            occupied: Occupied::of(self.room),
        });
        let time_limit = Duration::from_millis(limits.procedure_timeout_ms);
        let beginning = Beginning { graph: self.graph, loader: self.loader, facts, time_limit };
        let task = ScopeTask::new(
            (status.clone(), requests, phase),
            (beginning, self.options, self.actions),
            log.map(|log| Store::new(log, self.notifiers)),
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
