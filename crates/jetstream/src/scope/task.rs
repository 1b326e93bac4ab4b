//! The task that owns a scope's objects: moves requests into the machine and its outputs to where they
//! belong.
//!
//! One batch of requests after the other: all of them into the machine, their commits to the store in one
//! go, and only then, from behind the machine's gate, replies and broadcasts to the members. Deliveries
//! go straight into the members' sessions, each of which is flushed once at the end of the batch, so
//! no task is woken for a delivery, and commits that came together leave in one write.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jetstream_core::ids::{MemberId, Revision, ScopeIndex, Ticket};
use jetstream_core::model::{ChangeSet, Graph, Rejection};
use jetstream_core::scope::{
    self as core, Bodies, Call, Commit, Input, Options, Output, REPAIR_DELAY_MS, Verdict,
};
use jetstream_core::session::Delivery;
use jetstream_core::time::{Millis, Now};
use jetstream_core::wire::message::Dialect;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{sleep, sleep_until};

use super::calls::{Actions, Calls};
use super::store::Store;
use super::{Joining, LookAt, Phase, Recipient, Request, ScopeError, Status, Updated};
use crate::clock;
use crate::future::{catch_panic, panic_text};
use crate::metrics::{Counted, Metrics};
use crate::storage::{Storage, StorageError, StoredScope};

/// Owns a scope.
pub(super) struct ScopeTask {
    status: Arc<Status>,
    requests: mpsc::Receiver<Request>,
    phase: watch::Sender<Phase>,
    /// The graph to begin with, until the state is loaded.
    beginning: Option<(Graph, Options)>,
    store: Option<Store>,
    metrics: Metrics,
    idle: Option<Idle>,

    members: BTreeMap<MemberId, Member>,
    /// Who waits for the answer to an update.
    answers: HashMap<Ticket, oneshot::Sender<Result<Updated, ScopeError>>>,
    last_ticket: Ticket,
    /// What came out of the machine and is not carried out yet.
    outputs: Vec<Output>,
    /// Commits that are not durable yet.
    commits: Vec<Arc<Commit>>,
    /// Members that were given something in this batch.
    touched: Vec<MemberId>,
    /// What the machine wants to have decided, until it is asked.
    questions: Vec<Call>,
    calls: Calls,
    /// Who wants to look at the objects.
    reads: Vec<LookAt>,
    closing: bool,
}

struct Member {
    index: ScopeIndex,
    dialect: Dialect,
    recipient: Arc<dyn Recipient>,
    /// Has its state, and so takes part in broadcasts.
    informed: bool,
    touched: bool,
    _counted: Counted,
}

/// What a scope does when nobody has used it for a while.
pub(super) struct Idle {
    pub(super) after: Duration,
    /// Lets go of the handle that keeps the scope, if it is the last one.
    pub(super) release: Box<dyn Fn() -> bool + Send>,
}

/// What wakes the task.
enum Event {
    /// So many requests have come; none: nobody holds a handle any more.
    Mail(usize),
    /// No request has come for the time after which the scope is idle.
    Idle,
    /// The machine's deadline has come.
    Deadline,
    /// Somebody has decided about a ChangeSet.
    Verdict(Ticket, Verdict),
}

impl ScopeTask {
    pub(super) fn new(
        (status, requests, phase): (Arc<Status>, mpsc::Receiver<Request>, watch::Sender<Phase>),
        (graph, options, actions): (Graph, Options, Actions),
        storage: Option<(Arc<dyn Storage>, StoredScope)>,
        metrics: Metrics,
        idle: Option<Idle>,
    ) -> Self {
        let calls = Calls::new(actions, options.limits.procedure_timeout_ms, metrics.clone());
        Self {
            status,
            requests,
            phase,
            beginning: Some((graph, options)),
            store: storage.map(|(storage, key)| Store::new(storage, key)),
            metrics,
            idle,
            members: BTreeMap::new(),
            answers: HashMap::new(),
            last_ticket: Ticket(0),
            outputs: Vec::new(),
            commits: Vec::new(),
            touched: Vec::new(),
            questions: Vec::new(),
            calls,
            reads: Vec::new(),
            closing: false,
        }
    }

    /// Runs the scope, and leaves nobody waiting however it ends.
    pub(super) async fn run_to_end(mut self: Box<Self>) {
        let running = Counted::new(&self.metrics.scopes);
        let name = self.status.name.clone();
        match catch_panic(self.run()).await {
            Ok(Ok(())) => tracing::debug!(scope = %name, "scope ended"),
            Ok(Err(error)) => {
                self.metrics.scopes_failed.inc();
                tracing::error!(scope = %name, %error, "scope failed");
            }
            Err(panic) => {
                self.metrics.scopes_failed.inc();
                tracing::error!(scope = %name, %panic, "scope panicked");
            }
        }
        drop(running);
        self.part();
    }

    async fn run(&mut self) -> Result<(), StorageError> {
        let mut scope = self.load().await?;
        self.phase.send_replace(Phase::Running);
        let mut batch = Vec::new();
        loop {
            match self.next_event(scope.deadline(), &mut batch).await {
                Event::Mail(0) => return Ok(()),
                Event::Mail(_) => self.handle_mail(&mut scope, &mut batch),
                Event::Idle => self.handle_idle(),
                Event::Deadline => self.handle(&mut scope, clock::now(), Input::Deadline),
                Event::Verdict(ticket, verdict) => {
                    self.handle(&mut scope, clock::now(), Input::Verdict { ticket, verdict });
                }
            }
            self.persist_and_release(&mut scope).await?;
            self.flush();
            self.look(&scope);
            if self.closing {
                return Ok(());
            }
        }
    }

    /// The machine with what the store has, or with the graph that the scope was made with.
    async fn load(&mut self) -> Result<core::Scope, StorageError> {
        let (graph, options) = self.beginning.take().expect("a task runs once");
        let options = Options { repair_delay_ms: REPAIR_DELAY_MS, ..options };
        let Some(store) = &mut self.store else { return Ok(core::Scope::new(graph, options)) };
        let (graph, revision) = store.load(clock::now().wall, graph).await?;
        self.status.revision.store(revision.0, Ordering::Release);
        Ok(core::Scope::at_revision(graph, revision, options))
    }

    async fn next_event(&mut self, deadline: Option<Millis>, batch: &mut Vec<Request>) -> Event {
        let is_idle = self.members.is_empty() && self.calls.is_empty();
        let idle_after = self.idle.as_ref().map(|idle| idle.after).filter(|_| is_idle);
        let Self { requests, calls, .. } = self;
        let mail = requests.recv_many(batch, BATCH_REQUESTS_MAX);
        if deadline.is_none() && idle_after.is_none() && calls.is_empty() {
            return Event::Mail(mail.await);
        }
        let wake = async {
            match (deadline, idle_after) {
                (Some(at), _) => sleep_until(clock::instant(at)).await,
                (None, Some(after)) => sleep(after).await,
                (None, None) => pending().await,
            }
        };
        tokio::select! {
            biased;
            Some((ticket, verdict)) = calls.next(), if !calls.is_empty() => {
                Event::Verdict(ticket, verdict)
            }
            count = mail => Event::Mail(count),
            () = wake => if deadline.is_some() { Event::Deadline } else { Event::Idle },
        }
    }

    /// Gives the machine an input and carries out what comes of it.
    fn handle(&mut self, scope: &mut core::Scope, now: Now, input: Input) {
        scope.handle(now, input, &mut self.outputs);
        // Outputs name members by id, and those must still be the members of that moment.
        self.carry_out(now);
        for call in self.questions.drain(..) {
            let member = self.members.get(&call.member);
            let session = member.and_then(|member| member.recipient.session());
            self.calls.ask(&self.status.name, scope.graph(), session, &call);
        }
    }

    fn handle_mail(&mut self, scope: &mut core::Scope, batch: &mut Vec<Request>) {
        self.metrics.scope_requests_waiting.set(self.requests.len() as i64);
        let now = clock::now();
        for request in batch.drain(..) {
            self.take(scope, now, request);
        }
        self.carry_out(now);
    }

    fn take(&mut self, scope: &mut core::Scope, now: Now, request: Request) {
        let input = match request {
            Request::Join(joining) => self.join(joining),
            Request::Leave(member) => {
                self.members.remove(&member);
                self.count_members();
                Input::Leave { member }
            }
            Request::Resync(member) => {
                self.metrics.resyncs.inc();
                Input::Resync { member }
            }
            Request::Seen { member, revision } => Input::Seen { member, revision },
            Request::Sync { member, message, changes } => Input::Sync { member, message, changes },
            Request::Update { build, answer } => match guard(|| build(scope.graph())) {
                Ok(changes) => self.update(changes, answer),
                Err(error) => return drop(answer.send(Err(error))),
            },
            Request::Read(read) => return self.reads.push(read),
            Request::Close => return self.closing = true,
        };
        self.handle(scope, now, input);
    }

    fn join(&mut self, joining: Joining) -> Input {
        let Joining { member, session, dialect, index, recipient } = joining;
        let _counted = Counted::new(&self.metrics.members);
        let (informed, touched) = (false, false);
        self.members
            .insert(member, Member { index, dialect, recipient, informed, touched, _counted });
        self.count_members();
        Input::Join { member, session, dialect, claims: Arc::default() }
    }

    fn update(
        &mut self,
        changes: ChangeSet,
        answer: oneshot::Sender<Result<Updated, ScopeError>>,
    ) -> Input {
        let ticket = self.last_ticket.next();
        self.last_ticket = ticket;
        self.answers.insert(ticket, answer);
        Input::Update { ticket, changes }
    }

    fn count_members(&self) {
        self.status.members.store(self.members.len(), Ordering::Release);
    }

    /// Ends the scope if nobody can reach it any more; the last handle is let go of with it.
    fn handle_idle(&mut self) {
        if let Some(idle) = &self.idle
            && (idle.release)()
        {
            tracing::debug!(scope = %self.status.name, "scope is idle");
            self.closing = true;
        }
    }

    /// Makes the batch's commits durable, then lets out what waited for that.
    async fn persist_and_release(&mut self, scope: &mut core::Scope) -> Result<(), StorageError> {
        let Some(last) = self.commits.last() else { return Ok(()) };
        let revision = last.revision;
        if let Some(store) = &mut self.store {
            store.append(&self.commits).await?;
        }
        self.metrics.commits.inc_by(self.commits.len() as u64);
        self.status.revision.store(revision.0, Ordering::Release);
        let now = clock::now();
        scope.handle(now, Input::Persisted { revision }, &mut self.outputs);
        self.carry_out(now);
        self.tell_subscribers();
        match &mut self.store {
            Some(store) => store.compact(now.wall, scope.graph()).await,
            None => Ok(()),
        }
    }

    fn carry_out(&mut self, now: Now) {
        let mut outputs = std::mem::take(&mut self.outputs);
        for output in outputs.drain(..) {
            match output {
                Output::Commit(commit) => self.commits.push(commit),
                Output::State { member, revision, body } => {
                    if let Some(member) = self.members.get_mut(&member) {
                        member.informed = true;
                    }
                    self.deliver(now, member, Delivery::State { revision, body });
                }
                Output::Reply { member, message, revision, body } => {
                    self.deliver(now, member, Delivery::Reply { message, revision, body });
                }
                Output::Repair { member, revision, body } => {
                    self.deliver(now, member, Delivery::Sync { revision, body });
                }
                Output::Broadcast { commit, except, bodies } => {
                    self.broadcast(now, commit.revision, except, &bodies);
                }
                Output::Call(call) => self.questions.push(call),
                Output::Sync { to, revision, body } => {
                    for member in to.iter() {
                        self.deliver(now, *member, Delivery::Sync { revision, body: body.clone() });
                    }
                }
                Output::Dismissed { member, error } => self.dismiss(now, member, &error),
                Output::Updated { ticket, result, revision } => {
                    self.answer(ticket, Updated { revision, replies: result });
                }
            }
        }
        // The allocation is used again.
        self.outputs = outputs;
    }

    fn deliver(&mut self, now: Now, id: MemberId, delivery: Delivery) {
        let Some(member) = self.members.get_mut(&id) else { return };
        member.recipient.deliver(now, member.index, delivery);
        member.touch(id, &mut self.touched);
        self.metrics.deliveries.inc();
    }

    fn broadcast(
        &mut self,
        now: Now,
        revision: Revision,
        except: Option<MemberId>,
        bodies: &Bodies,
    ) {
        let mut deliveries = 0;
        for (id, member) in &mut self.members {
            if !member.informed || Some(*id) == except {
                continue;
            }
            let Some(body) = bodies.get(member.dialect) else { continue };
            let delivery = Delivery::Sync { revision, body: body.clone() };
            member.recipient.deliver(now, member.index, delivery);
            member.touch(*id, &mut self.touched);
            deliveries += 1;
        }
        self.metrics.deliveries.inc_by(deliveries);
    }

    /// Somebody may not be here: its session hears nothing more of this scope.
    fn dismiss(&mut self, now: Now, id: MemberId, error: &Rejection) {
        let Some(member) = self.members.remove(&id) else { return };
        tracing::debug!(scope = %self.status.name, member = %id, %error, "member dismissed");
        self.metrics.members_dismissed.inc();
        self.count_members();
        member.recipient.scope_closed(now, member.index);
        member.recipient.flush(now);
    }

    fn answer(&mut self, ticket: Ticket, updated: Updated) {
        if updated.replies.iter().any(Result::is_err) {
            self.metrics.updates_refused.inc();
        }
        if let Some(answer) = self.answers.remove(&ticket) {
            let _ = answer.send(Ok(updated));
        }
    }

    fn tell_subscribers(&mut self) {
        let mut subscribers = self.status.subscribers.lock();
        subscribers.retain_mut(|subscriber| self.commits.iter().all(|c| subscriber.tell(c)));
        self.commits.clear();
    }

    fn flush(&mut self) {
        let now = clock::now();
        for id in self.touched.drain(..) {
            if let Some(member) = self.members.get_mut(&id) {
                member.touched = false;
                member.recipient.flush(now);
            }
        }
    }

    /// Shows the objects to those who want to look, when what they see is durable and told: what an
    /// application sees must not be gone after a crash.
    fn look(&mut self, scope: &core::Scope) {
        for read in self.reads.drain(..) {
            read(scope.graph(), scope.revision());
        }
    }

    /// The end: whoever waits for this scope stops waiting.
    fn part(mut self: Box<Self>) {
        self.phase.send_replace(Phase::Closed);
        self.requests.close();
        let now = clock::now();
        // Those who asked to join and were not taken any more are told like members.
        while let Ok(request) = self.requests.try_recv() {
            if let Request::Join(joining) = request {
                joining.recipient.scope_closed(now, joining.index);
                joining.recipient.flush(now);
            }
        }
        for member in std::mem::take(&mut self.members).into_values() {
            member.recipient.scope_closed(now, member.index);
            member.recipient.flush(now);
        }
        self.count_members();
        self.status.subscribers.lock().clear();
    }
}

impl Member {
    fn touch(&mut self, id: MemberId, touched: &mut Vec<MemberId>) {
        if !std::mem::replace(&mut self.touched, true) {
            touched.push(id);
        }
    }
}

/// Runs a function of the application's: its panic is its own.
pub(super) fn guard<R>(run: impl FnOnce() -> R) -> Result<R, ScopeError> {
    // The function only sees the objects through a shared reference, so it cannot have torn them.
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| ScopeError::Panicked(panic_text(&*panic)))
}

/// How many requests are handled before their commits are stored and their members told. Large enough
/// to share a flush of the disk, small enough that the first of them does not wait long.
const BATCH_REQUESTS_MAX: usize = 64;
