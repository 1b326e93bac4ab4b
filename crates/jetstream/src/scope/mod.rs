//! A scope as an application holds it: a handle to the task that owns the objects.
//!
//! - [`Scope`]: the handle. Cheap to clone; the scope lives as long as somebody holds one.
//! - [`Scopes`]: scopes by name, among them families that are made at the first fetch.
//! - [`Changes`]: what a scope commits, as a stream; [`Feed`]: the same after a revision, from the log.
//! - `task`: moves requests into the machine ([`jetstream_core::scope`]) and its outputs to where they
//!   belong.

mod beginning;
mod builder;
mod calls;
mod changes;
mod feed;
mod handout;
pub(crate) mod outdated;
mod registry;
mod room;
mod state;
mod store;
mod task;
mod template;
mod update;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};

use jetstream_core::ids::{
    MemberId, MessageIndex, ObjectId, Revision, ScopeIndex, ScopeName, SessionId,
};
use jetstream_core::limits::Limit;
use jetstream_core::model::prospect::Prospect;
use jetstream_core::model::{ChangeSet, Graph, Rejection, Schema};
use jetstream_core::scope::access::ScopeFacts;
use jetstream_core::scope::{Access, Claims, Outcome, Scope as Machine, Terms};
use jetstream_core::session::Delivery;
use jetstream_core::time::Now;
use jetstream_core::wire::message::Dialect;
use jetstream_core::wire::update::Update;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot, watch};

pub use builder::ScopeBuilder;
pub use changes::{Changes, Lagged};
pub use feed::{Feed, FeedCommit, FeedError};
pub use registry::{Match, OpenError, Scopes, ScopesBuilder};
pub use state::{NotATag, ObjectState, ScopeState, StateTag};
pub use template::{Template, TemplateError};
pub use update::{UpdateRequest, Updated};

use room::Occupied;
use task::ScopeTask;

use crate::server::SessionInfo;
use crate::storage::{Storage, StoredScope};
use crate::transport::Departure;

/// One shared tree of objects, which sessions fetch and the application reads and changes.
///
/// A handle: clones mean the same scope. The scope runs as a task of its own, which begins when it is
/// first used and ends when nobody holds a handle any more, or with [`close`](Self::close). One scope can
/// be served by several servers.
///
/// ```
/// # use std::sync::Arc;
/// # use jetstream::Scope;
/// # use jetstream::core::model::{ChangeSet, Fragment, FragmentKind, Graph, Schema, Value};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let schema = Schema::builder().model("Counter", |m| m.property("count", "Number")).build()?;
/// let (model, counter) = schema.find("Counter").unwrap();
/// let (count, _) = counter.find("count").unwrap();
/// let root = "c0000000-0000-4000-8000-000000000001".parse()?;
/// let scope = Scope::new("Counter", Graph::new(Arc::new(schema), root, model));
///
/// let change = Fragment::new(FragmentKind::Change, root, model)
///     .with(count, Value::Scalar(Some(1.0.into())));
/// scope.update(ChangeSet::new([change])).await?.accepted()?;
/// let value = scope.read(move |graph| graph.object(root).unwrap().value(count)).await?;
/// assert_eq!(value, Value::Scalar(Some(1.0.into())));
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Scope(Arc<Shared>);

/// A handle that does not keep its scope alive.
#[derive(Clone)]
pub(crate) struct WeakScope(Weak<Shared>);

impl WeakScope {
    /// The handle, if the scope is still held by somebody.
    pub(crate) fn upgrade(&self) -> Option<Scope> {
        self.0.upgrade().map(Scope)
    }
}

struct Shared {
    status: Arc<Status>,
    mailbox: mpsc::Sender<Request>,
    phase: watch::Receiver<Phase>,
    /// The task until it is first needed: a scope can be made where no runtime runs yet.
    task: Mutex<Option<Box<ScopeTask>>>,
    next_member: AtomicU64,
}

/// What handles and the task both know. The task must not hold a handle, or the scope would never end.
struct Status {
    name: ScopeName,
    /// The same, with what its family's parameters stand for.
    facts: Arc<ScopeFacts>,
    /// Why it did not begin, if somebody said so.
    refused: OnceLock<Rejection>,
    schema: Arc<Schema>,
    /// Who may do what.
    access: Option<Access>,
    /// Where it is kept, for those who read its past.
    log: Option<Log>,
    revision: AtomicU64,
    /// A number that is another one each time that the scope was loaded.
    life: AtomicU64,
    members: AtomicUsize,
    subscribers: Mutex<Vec<changes::Subscriber>>,
    members_max: usize,
    /// How much memory it takes.
    occupied: Occupied,
}

/// A store, and the name of the scope in it.
type Log = (Arc<dyn Storage>, Arc<StoredScope>);

/// Where a scope is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its state is being loaded.
    Loading,
    /// It takes requests.
    Running,
    /// It is over.
    Closed,
}

/// What a scope is asked. Requests are handled in the order in which they come.
pub(crate) enum Request {
    /// A session has fetched the scope.
    Join(Joining),
    /// Something else is known about who a member is.
    Claims { member: MemberId, claims: Arc<Claims> },
    /// A member leaves.
    Leave(MemberId),
    /// A member needs the state afresh.
    Resync(MemberId),
    /// A member has acknowledged everything up to this revision.
    Seen { member: MemberId, revision: Revision },
    /// A member's ChangeSet.
    Sync { member: MemberId, message: MessageIndex, delivered: MessageIndex, changes: ChangeSet },
    /// The application's.
    Update {
        build: BuildChanges,
        terms: Terms,
        /// The state that it is meant for.
        expected: Option<StateTag>,
        answer: Answer,
    },
    /// Looks at the objects.
    Read(LookAt),
    /// Ends the scope.
    Close,
    /// Ends it if nobody uses it: others need the room.
    Retire,
    /// Makes the machine fall over.
    #[cfg(test)]
    Panic,
}

/// Makes a ChangeSet out of the present state.
type BuildChanges = Box<dyn FnOnce(&Graph) -> ChangeSet + Send>;

/// Where an update's answer goes.
type Answer = oneshot::Sender<Result<(Revision, Outcome), ScopeError>>;

/// Looks at the present state.
type LookAt = Box<dyn FnOnce(&mut Machine) + Send>;

/// A session that becomes a member.
pub(crate) struct Joining {
    pub(crate) member: MemberId,
    pub(crate) session: SessionId,
    pub(crate) dialect: Dialect,
    pub(crate) claims: Arc<Claims>,
    /// What the session calls this scope.
    pub(crate) index: ScopeIndex,
    /// It was a member before the server or the scope was gone.
    pub(crate) returns: bool,
    pub(crate) recipient: Arc<dyn Recipient>,
}

/// Who gets what a scope has for a member. Never waits: a session that cannot send keeps what it gets.
pub(crate) trait Recipient: Send + Sync {
    /// Has what a delivery looks at fetched from memory: a hint that its turn comes.
    fn prefetch(&self) {}
    /// The same for what stands in other places, which only what was fetched before tells.
    fn prefetch_further(&self) {}
    /// Takes a delivery; it leaves with the next flush.
    fn deliver(&self, now: Now, scope: ScopeIndex, delivery: Delivery);
    /// Takes a delivery and sends it, and what was delivered before it, in one go and with the departure.
    fn send(&self, now: Now, scope: ScopeIndex, delivery: Delivery, departure: &mut Departure);
    /// Nothing more will come from this scope.
    fn scope_closed(&self, now: Now, scope: ScopeIndex);
    /// Sends what was delivered, as far as the connection takes it.
    fn flush(&self, now: Now);
    /// The same, with the departure.
    fn flush_with(&self, now: Now, departure: &mut Departure);
    /// Not all of what went with a departure was taken.
    fn held_up(&self, now: Now);
    /// Whose session it is, if it is one.
    fn session(&self) -> Option<&SessionInfo>;
}

/// Why a scope gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ScopeError {
    /// It was closed, or failed.
    #[error("the scope {0:?} is closed")]
    Closed(ScopeName),
    /// Whoever has what it begins with did not give it.
    #[error("{}", .0.message)]
    Refused(Rejection),
    /// The given function panicked; the scope goes on as it was.
    #[error("the function panicked: {0}")]
    Panicked(String),
    /// A request was meant for another state; nothing was changed.
    #[error("the scope {scope:?} is at revision {revision}, which the request is not meant for")]
    Moved {
        /// The scope.
        scope: ScopeName,
        /// Its revision.
        revision: Revision,
    },
    /// A request came with the key of another one; nothing was changed.
    #[error("the key was used for another request to the scope {0:?}")]
    KeyUsed(ScopeName),
    /// Nothing can be stored at present, and nothing was changed.
    #[error("not saved: {0}")]
    NotSaved(String),
}

impl Scope {
    /// A scope that clients fetch by `name`, beginning with `graph`, kept in memory only.
    pub fn new(name: impl Into<ScopeName>, graph: Graph) -> Self {
        Self::builder(name, graph).build()
    }

    /// A scope with limits, procedures or a store of its own.
    pub fn builder(name: impl Into<ScopeName>, graph: Graph) -> ScopeBuilder {
        ScopeBuilder::new(name.into(), graph)
    }

    /// The name under which clients fetch it.
    pub fn name(&self) -> &ScopeName {
        &self.0.status.name
    }

    /// Its models.
    pub fn schema(&self) -> &Arc<Schema> {
        &self.0.status.schema
    }

    /// How many commits there have been, as far as they are durable.
    pub fn revision(&self) -> Revision {
        Revision(self.0.status.revision.load(Ordering::Acquire))
    }

    /// How many memberships there are: a session that fetched the scope twice counts twice.
    pub fn member_count(&self) -> usize {
        self.0.status.members.load(Ordering::Acquire)
    }

    /// Whether it is over.
    pub fn is_closed(&self) -> bool {
        *self.0.phase.borrow() == Phase::Closed
    }

    /// Whether it has its state and is not over.
    fn is_running(&self) -> bool {
        *self.0.phase.borrow() == Phase::Running
    }

    /// Changes the scope; every member is told. The answer comes when the change is durable.
    ///
    /// # Errors
    ///
    /// If the scope is closed. Refused fragments are no error but stand in the answer.
    pub async fn update(&self, changes: ChangeSet) -> Result<Updated, ScopeError> {
        self.ask_plainly(Box::new(|_| changes)).await
    }

    /// Changes the scope for somebody who is named in the history, and who may ask again without changing it
    /// twice.
    pub fn on_behalf_of(&self, author: &str) -> UpdateRequest<'_> {
        UpdateRequest::new(self, author)
    }

    /// Changes the scope by what `build` makes of the present state. Nothing else happens to the scope in
    /// between. What else `build` gives is handed back.
    ///
    /// # Errors
    ///
    /// If the scope is closed, or `build` panics.
    pub async fn update_with<R, F>(&self, build: F) -> Result<(Updated, R), ScopeError>
    where
        R: Send + 'static,
        F: FnOnce(&Graph) -> (ChangeSet, R) + Send + 'static,
    {
        let (sender, mut receiver) = oneshot::channel();
        let updated = self.ask_plainly(Box::new(move |graph| {
            let (changes, result) = build(graph);
            let _ = sender.send(result);
            changes
        }));
        let updated = updated.await?;
        let result = receiver.try_recv().expect("the function has run, since there is an answer");
        Ok((updated, result))
    }

    /// Changes the scope as a backend's update says, all or nothing: paths lead to where the objects are when
    /// it is its turn. An update that does not fit is refused like a ChangeSet of one fragment.
    ///
    /// # Errors
    ///
    /// If the scope is closed.
    pub async fn update_by(&self, update: Update) -> Result<Updated, ScopeError> {
        self.ask_plainly(update::by_paths(update)).await
    }

    /// Looks at the objects, as they are when everything that was asked before is done, stored and told.
    /// While the function runs, the scope stands still.
    ///
    /// # Errors
    ///
    /// If the scope is closed, or `read` panics.
    pub async fn read<R, F>(&self, read: F) -> Result<R, ScopeError>
    where
        R: Send + 'static,
        F: FnOnce(&Graph) -> R + Send + 'static,
    {
        self.read_at(|graph, _| read(graph)).await
    }

    /// The same, with the revision that the objects are at.
    pub(crate) async fn read_at<R, F>(&self, read: F) -> Result<R, ScopeError>
    where
        R: Send + 'static,
        F: FnOnce(&Graph, Revision) -> R + Send + 'static,
    {
        self.look(move |scope| read(scope.graph(), scope.revision())).await
    }

    /// The same, with all that the machine knows. It is not to be changed.
    async fn look<R, F>(&self, look: F) -> Result<R, ScopeError>
    where
        R: Send + 'static,
        F: FnOnce(&mut Machine) -> R + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        self.send(Request::Read(Box::new(move |scope| {
            let _ = sender.send(task::guard(|| look(scope)));
        })))
        .await?;
        receiver.await.map_err(|_| self.closed())?
    }

    /// What the scope commits from now on, whoever made it.
    pub fn changes(&self) -> Changes {
        self.subscribe().0
    }

    /// What the scope has committed after a revision and commits from now on, without a gap: out of its
    /// store what is past, then each commit when it is durable.
    ///
    /// # Errors
    ///
    /// If the scope is closed, or its past does not reach back so far: then the state tells what there is.
    pub async fn changes_after(&self, revision: Revision) -> Result<Feed, FeedError> {
        Feed::after(self, revision).await
    }

    /// What the scope commits from now on, as [`changes_after`](Self::changes_after) gives it.
    ///
    /// # Errors
    ///
    /// If the scope is closed.
    pub async fn changes_from_now(&self) -> Result<Feed, FeedError> {
        Feed::from_now(self).await
    }

    /// What the scope commits from now on, and the revision from which on that is.
    fn subscribe(&self) -> (Changes, Revision) {
        self.start();
        let (subscriber, changes) = changes::subscribe();
        let mut subscribers = self.0.status.subscribers.lock();
        // Under the lock, for the task takes its subscribers with it when it ends.
        if !self.is_closed() {
            subscribers.push(subscriber);
        }
        (changes, self.revision())
    }

    /// Whether somebody may be a member, as far as that can be said before it is one.
    pub(crate) async fn admit(&self, claims: &Claims) -> Result<(), Rejection> {
        let Some(access) = &self.0.status.access else { return Ok(()) };
        let rights = access.policy.rights(claims, &access.scope);
        let known = !claims.is_anonymous();
        let verdict = self.read(move |graph| rights.fetch(Prospect::present(graph).root())).await;
        match verdict {
            Ok(verdict) => verdict.map_err(|denial| denial.rejection(known)),
            Err(error) => Err(Rejection::message(error.to_string())),
        }
    }

    /// Ends the scope: what was asked before is done, members are told, everything later is refused.
    pub async fn close(&self) {
        // If it does not take the request, it is over already.
        let _ = self.send(Request::Close).await;
        self.ended().await;
    }

    /// Waits until the scope is over.
    pub async fn ended(&self) {
        let _ = self.0.phase.clone().wait_for(|phase| *phase == Phase::Closed).await;
    }

    /// Waits until the scope has its state.
    ///
    /// # Errors
    ///
    /// If it is closed, or its state could not be loaded.
    pub async fn ready(&self) -> Result<(), ScopeError> {
        self.start();
        let mut phase = self.0.phase.clone();
        match phase.wait_for(|phase| *phase != Phase::Loading).await {
            Ok(phase) if *phase == Phase::Running => Ok(()),
            _ => Err(self.closed()),
        }
    }

    /// Begins the task, if it has not begun.
    fn start(&self) {
        let task = self.0.task.lock().take();
        if let Some(task) = task {
            tokio::spawn(task.run_to_end());
        }
    }

    async fn ask_plainly(&self, build: BuildChanges) -> Result<Updated, ScopeError> {
        self.ask_update(build, Terms::default(), None).await.map(Updated::of)
    }

    async fn ask_update(
        &self,
        build: BuildChanges,
        terms: Terms,
        expected: Option<StateTag>,
    ) -> Result<(Revision, Outcome), ScopeError> {
        let (answer, receiver) = oneshot::channel();
        self.send(Request::Update { build, terms, expected, answer }).await?;
        receiver.await.map_err(|_| self.closed())?
    }

    async fn send(&self, request: Request) -> Result<(), ScopeError> {
        self.start();
        self.0.mailbox.send(request).await.map_err(|_| self.closed())
    }

    fn closed(&self) -> ScopeError {
        match self.0.status.refused.get() {
            Some(refusal) => ScopeError::Refused(refusal.clone()),
            None => ScopeError::Closed(self.name().clone()),
        }
    }

    /// Puts a request into the mailbox if it has room, or gives it back.
    pub(crate) fn try_send(
        &self,
        request: Request,
    ) -> Result<(), mpsc::error::TrySendError<Request>> {
        self.start();
        self.0.mailbox.try_send(request)
    }

    /// The mailbox, for those who wait for a place in it.
    pub(crate) fn mailbox(&self) -> mpsc::Sender<Request> {
        self.0.mailbox.clone()
    }

    /// A membership that nobody else has.
    pub(crate) fn next_member(&self) -> MemberId {
        MemberId(self.0.next_member.fetch_add(1, Ordering::Relaxed))
    }

    /// Whether another member is within the limit.
    ///
    /// # Errors
    ///
    /// That it is not.
    pub(crate) fn has_room(&self) -> Result<(), Rejection> {
        let max = self.0.status.members_max;
        if self.member_count() < max {
            return Ok(());
        }
        Err(Rejection::beyond(Limit::Members, format!("the scope is full: it takes {max} members")))
    }

    /// A handle that does not keep the scope alive.
    pub(crate) fn downgrade(&self) -> WeakScope {
        WeakScope(Arc::downgrade(&self.0))
    }

    /// Whether both are handles to the same scope.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// An id that no object has.
pub(crate) fn new_object_id() -> ObjectId {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has a source of randomness");
    ObjectId::from_random_bytes(bytes)
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope")
            .field("name", self.name())
            .field("revision", &self.revision())
            .field("members", &self.member_count())
            .finish_non_exhaustive()
    }
}
