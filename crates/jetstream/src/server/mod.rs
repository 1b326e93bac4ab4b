//! A server: sessions over transports, and the scopes that they fetch.
//!
//! A connection's way through here:
//!
//! 1. `establish`: by its token to its session (`resumption`: if it may have it), or by a handshake to a new
//!    one (`identify`: if it is known who it is).
//! 2. `session_task`: reads frames into the session's machine and carries out what it wants;
//!    `outgoing`: what it asks of scopes waits for places in their mailboxes.
//! 3. `cell`: the machine and the sink behind one lock, which scopes deliver into.
//!
//! Beside it: `request` (what the application is asked), `directory` and `token` (who is who), `keeper` (who
//! was, when the server is back), `principal` and `seats` (who holds how much), `health` and
//! `admin` (for operators), `inspect` and `recorder` (for who looks), `builder` and `handle` (for the
//! application).

mod builder;
mod handle;
mod request;

mod alarm;
mod cell;
mod establish;
mod identify;
mod orders;
mod outgoing;
mod resumption;
mod session_task;

mod admin;
mod directory;
mod health;
mod keeper;
mod principal;
mod seats;
mod token;

mod inspect;
mod recorder;

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jetstream_core::limits::Limits;
use jetstream_core::wire::message::Dialect;
use parking_lot::Mutex;
use serde_json::{Map, Value};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use crate::authentication::Authenticator;
use crate::future::BoxFuture;
use crate::metrics::Metrics;
use crate::scope::outdated;
use crate::storage::SchemaVersion;
use crate::transport::{Entrance, Environment, Listener};

use directory::Directory;
use health::Probe;
use keeper::Keeper;
use principal::Principals;
use session_task::Order;

pub use builder::ServerBuilder;
pub use handle::{ServerHandle, SessionStatus};
pub use health::Health;
pub use inspect::Inspected;
pub use recorder::{Recorded, Way};
pub use request::{
    FetchRequest, FetchVerdict, Occasion, SessionInfo, SessionRequest, SessionVerdict,
};

/// The beginning of every server: [`Server::builder`].
#[derive(Debug)]
pub struct Server(());

impl Server {
    /// Begins to describe a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::new()
    }
}

/// What all tasks of a server know.
struct Shared {
    limits: Arc<Limits>,
    handlers: Handlers,
    metrics: Metrics,
    directory: Directory,
    principals: Principals,
    entrance: Arc<Entrance>,
    /// Where sessions are kept, if they are.
    keeper: Option<Arc<Keeper>>,
    health: Probe,
    watched: inspect::Watched,
    phase: watch::Receiver<Phase>,
    /// Everything that runs for this server and is waited for when it ends.
    tasks: Mutex<JoinSet<()>>,
}

/// The application's decisions.
#[derive(Default)]
struct Handlers {
    on_session: Option<Handler<SessionRequest, SessionVerdict>>,
    /// Who finds out who clients are, in place of `on_session`.
    authenticator: Option<Arc<dyn Authenticator>>,
    /// Whether sessions that began with a credential are only resumed with one.
    resumes_with_credential: bool,
    on_fetch: Option<Handler<FetchRequest, FetchVerdict>>,
    /// Which models clients of the original know that do not say it.
    original_models: Option<SchemaVersion>,
}

impl Handlers {
    /// The parameters of a new session, with the models that its client knows: after the models have changed and
    /// the server has been started anew, that is what it still knows.
    fn with_models(&self, mut params: Map<String, Value>, dialect: Dialect) -> Map<String, Value> {
        if let Some(models) = self.original_models.filter(|_| dialect < Dialect::V1) {
            params.entry(outdated::PARAMETER).or_insert_with(|| models.0.into());
        }
        params
    }
}

type Handler<Q, A> = Box<dyn Fn(Q) -> BoxFuture<'static, A> + Send + Sync>;

/// Where a server is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Stopping,
    Ended,
}

impl Shared {
    /// Runs a task that the server waits for when it ends.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let mut tasks = self.tasks.lock();
        // Those that have ended are let go of; a panic in one of them is a mistake of ours.
        while let Some(ended) = tasks.try_join_next() {
            report(ended);
        }
        tasks.spawn(task);
    }

    async fn health(&self) -> Health {
        match *self.phase.borrow() {
            Phase::Running => {}
            Phase::Stopping | Phase::Ended => return Health::not_ready("the server is going away"),
        }
        if let Some(problem) = self.keeper.as_ref().and_then(|keeper| keeper.problem()) {
            return Health::not_ready(problem);
        }
        let authenticator = self.handlers.authenticator.as_ref();
        if let Some(problem) = authenticator.and_then(|authenticator| authenticator.problem()) {
            return Health::not_ready(problem);
        }
        self.health.ask().await
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a task of the server panicked");
    }
}

async fn start(builder: ServerBuilder) -> io::Result<ServerHandle> {
    let ServerBuilder {
        transports, handlers, limits, metrics, admin, api, storage, proxies, ..
    } = builder;
    let entrance = Arc::new(Entrance::new(limits.clone(), metrics.clone(), proxies));
    let environment = Environment {
        entrance: entrance.clone(),
        limits: limits.clone(),
        metrics: metrics.clone(),
    };
    let mut listeners = Vec::with_capacity(transports.len());
    for transport in transports {
        listeners.push(transport.listen(environment.clone()).await?);
    }
    let api = match api {
        Some(api) => Some(api.bind().await?),
        None => None,
    };
    let (phase, phases) = watch::channel(Phase::Running);
    let phase = Arc::new(phase);
    let shared = Arc::new(Shared {
        limits,
        handlers,
        metrics,
        directory: Directory::default(),
        principals: Principals::default(),
        entrance,
        keeper: storage.map(|storage| Arc::new(Keeper::new(storage))),
        health: Probe::new(),
        watched: inspect::Watched::default(),
        phase: phases,
        tasks: Mutex::default(),
    });
    let admin = match admin {
        Some(address) => Some(admin::start(&shared, &address).await?),
        None => None,
    };
    if let Some(upkeep) = shared.handlers.authenticator.as_ref().and_then(|who| who.upkeep()) {
        shared.spawn(upkeep);
    }
    if let Some(keeper) = &shared.keeper {
        shared.spawn(keeper::sweep(shared.clone(), keeper.clone()));
    }
    let addresses = listeners.iter().filter_map(|listener| listener.local_addr()).collect();
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn(accept(shared.clone(), listener));
    }
    let api_address = api.as_ref().map(|api| api.local_addr());
    let server = ServerHandle { shared, addresses, admin, api: api_address, phase };
    let api = api.map(|api| tokio::spawn(api.serve(server.clone())));
    tokio::spawn(supervise(server.clone(), accepting, api));
    Ok(server)
}

/// Accepts connections for as long as the server runs.
async fn accept(server: Arc<Shared>, mut listener: Box<dyn Listener>) {
    while let Some(connection) = listener.accept().await {
        server.spawn(establish::establish(server.clone(), connection));
    }
}

/// Owns the server's tasks, and ends them in order when it is shut down.
async fn supervise(
    ServerHandle { shared: server, phase, .. }: ServerHandle,
    mut accepting: JoinSet<()>,
    mut api: Option<JoinHandle<()>>,
) {
    let mut phases = server.phase.clone();
    let _ = phases.wait_for(|phase| *phase != Phase::Running).await;
    tracing::info!("shutting down");
    accepting.shutdown().await;
    server.directory.close();
    let limit = Duration::from_millis(server.limits.shutdown_timeout_ms);
    let farewell = async {
        let mut going = JoinSet::new();
        for cell in server.directory.list() {
            going.spawn(async move {
                if cell.order(Order::GoAway).await.is_ok() {
                    // The task ends when it has said goodbye.
                    cell.orders.closed().await;
                }
            });
        }
        while going.join_next().await.is_some() {}
        if let Some(api) = &mut api {
            let _ = api.await;
        }
    };
    if timeout(limit, farewell).await.is_err() {
        tracing::warn!("some sessions or requests took too long and are dropped");
    }
    api.into_iter().for_each(|api| api.abort());
    // What is left belongs to connections without a session, and to those that linger. One that ends may
    // have begun another.
    loop {
        let mut tasks = std::mem::take(&mut *server.tasks.lock());
        if tasks.is_empty() {
            break;
        }
        tasks.shutdown().await;
    }
    phase.send_replace(Phase::Ended);
    tracing::info!("shut down");
}

/// The examples of the book's page on embedding, and of the front page.
#[cfg(doctest)]
mod pages {
    #[doc = include_str!("../../../../docs/guide/embedding.md")]
    struct Embedding;
    #[doc = include_str!("../../../../README.md")]
    struct Readme;
}
