//! The task that owns a scope's objects: moves requests into the machine and its outputs to where they
//! belong.
//!
//! One batch of requests after the other: all of them into the machine, their entries to the store in one
//! go, and only then, from behind the machine's gate, replies and broadcasts to the members. While the
//! store works, further requests are judged; their entries go into its next turn. Deliveries go straight into the members' sessions, each of which is flushed once at the end of the batch, so
//! no task is woken for a delivery, and commits that came together leave in one write.

mod tell;

use std::collections::{HashMap, VecDeque};
use std::future::pending;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use indexmap::IndexMap;
use jetstream_core::hash::OwnState;
use jetstream_core::ids::{
    MemberId, MessageIndex, Position, Revision, ScopeIndex, SessionId, Ticket,
};
use jetstream_core::model::{ChangeSet, ErrorCode, Rejection};
use jetstream_core::scope::{
    self as core, Call, Claims, Input, Options, Output, REPAIR_DELAY_MS, Restored, STATE_KEPT_MS,
    STATE_STEP_BYTES, Terms, Verdict,
};
use jetstream_core::time::{Millis, Now};
use jetstream_core::wire::encode;
use jetstream_core::wire::message::Dialect;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, Sleep};

use super::beginning::{BeginError, Beginning};
use super::calls::{Actions, Calls};
use super::handout;
use super::outdated::with_models;
use super::room::SCOPE_BYTES;
use super::store::{News, Store};
use super::{Answer, Joining, LookAt, Phase, Recipient, Request, ScopeError, Status};
use crate::clock;
use crate::future::{catch_panic, panic_text};
use crate::metrics::{Counted, Metrics};

/// Owns a scope.
pub(super) struct ScopeTask {
    status: Arc<Status>,
    requests: mpsc::Receiver<Request>,
    phase: watch::Sender<Phase>,
    /// What to begin with, until the state is loaded.
    beginning: Option<Beginning>,
    options: Options,
    store: Option<Store>,
    metrics: Metrics,
    idle: Option<Idle>,
    /// Since when there is nothing to do, as far as that was asked.
    idle_since: Option<Instant>,
    /// What wakes the task for what is due.
    timer: Option<Pin<Box<Sleep>>>,

    /// One behind the other in memory, since most of what the scope has goes to all of them.
    members: IndexMap<MemberId, Member, OwnState>,
    /// Who waits for the answer to an update.
    answers: HashMap<Ticket, Answer>,
    last_ticket: Ticket,
    /// What came out of the machine and is not carried out yet.
    outputs: Vec<Output>,
    /// Requests that were taken from the mailbox and have to wait for one before them.
    batch: VecDeque<Request>,
    /// Requests on their way from the mailbox into the batch.
    mail: Vec<Request>,
    /// What the machine panicked with.
    torn: Option<String>,
    /// The ChangeSet that it was at work on then: who sent it, and how many fragments it has.
    judging: Option<(MemberId, MessageIndex, usize)>,
    /// Members that were given something in this batch.
    touched: Vec<MemberId>,
    /// The places of those that a broadcast goes to, while it does. Kept for its allocation.
    told: Vec<usize>,
    /// The batch is a single request: nothing comes that could leave together with what it brings about.
    is_single: bool,
    /// What the machine wants to have decided, until it is asked.
    questions: Vec<Call>,
    calls: Calls,
    /// Who wants to look at the objects.
    reads: Vec<LookAt>,
    closing: bool,
}

struct Member {
    session: SessionId,
    index: ScopeIndex,
    dialect: Dialect,
    /// What is known of it, for the scope's rules.
    claims: Arc<Claims>,
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
    /// The timer was set for something that was due before: nothing is.
    Early,
    /// The store has done something.
    Store(News),
    /// Somebody has decided about a ChangeSet.
    Verdict(Ticket, Verdict),
}

impl ScopeTask {
    pub(super) fn new(
        (status, requests, phase): (Arc<Status>, mpsc::Receiver<Request>, watch::Sender<Phase>),
        (beginning, options, actions): (Beginning, Options, Actions),
        store: Option<Store>,
        metrics: Metrics,
        idle: Option<Idle>,
    ) -> Self {
        let calls = Calls::new(actions, options.limits.procedure_timeout_ms, metrics.clone());
        let stored = store.is_some();
        Self {
            options: Options {
                repair_delay_ms: REPAIR_DELAY_MS,
                state_step_bytes: STATE_STEP_BYTES,
                state_kept_ms: STATE_KEPT_MS,
                stored,
                ..options
            },
            status,
            requests,
            phase,
            beginning: Some(beginning),
            store,
            metrics,
            idle,
            idle_since: None,
            timer: None,
            members: IndexMap::default(),
            answers: HashMap::new(),
            last_ticket: Ticket(0),
            outputs: Vec::new(),
            batch: VecDeque::new(),
            mail: Vec::new(),
            torn: None,
            judging: None,
            touched: Vec::new(),
            told: Vec::new(),
            is_single: false,
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
            Ok(Err(BeginError::Refused(refusal))) => {
                tracing::debug!(scope = %name, why = %refusal.message, "scope was not loaded");
                let _ = self.status.refused.set(refusal);
            }
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

    async fn run(&mut self) -> Result<(), BeginError> {
        let mut scope = self.load().await?;
        self.phase.send_replace(Phase::Running);
        loop {
            let event = self.next_event(scope.deadline()).await;
            let now = clock::now();
            self.is_single = false;
            if !matches!(event, Event::Early) {
                self.idle_since = None;
            }
            let is_mail = matches!(event, Event::Mail(_));
            match event {
                Event::Mail(0) => self.closing = true,
                Event::Mail(_) => self.handle_mail(&mut scope, now),
                Event::Idle => self.handle_idle(),
                Event::Deadline => self.handle(&mut scope, now, Input::Deadline),
                Event::Verdict(ticket, verdict) => {
                    self.handle(&mut scope, now, Input::Verdict { ticket, verdict });
                }
                Event::Store(News::Stored(Ok(position))) => self.persisted(&mut scope, position),
                Event::Store(News::Stored(Err(error))) => {
                    scope = self.rebuild(scope, &error.to_string()).await?;
                }
                Event::Store(News::Health) => self.freeze(&mut scope),
                Event::Store(News::Nothing) | Event::Early => {}
            }
            if is_mail && self.torn.is_none() {
                self.handle_what_is_due(&mut scope, now);
            }
            if let Some(panic) = self.torn.take() {
                scope = self.mend(scope, &panic).await?;
            }
            self.flush(now).await;
            self.look(&mut scope);
            self.status.occupied.set(SCOPE_BYTES + scope.graph().bytes());
            if self.closing && self.is_settled() {
                return Ok(());
            }
        }
    }

    /// The machine with what the store has, or with the graph that the scope was made with.
    async fn load(&mut self) -> Result<core::Scope, BeginError> {
        let restored = match (&mut self.store, self.beginning.take()) {
            (Some(store), beginning) => store.load(beginning, || self.requests.is_closed()).await?,
            (None, beginning) => {
                Restored::new(beginning.expect("a task begins once").graph().await?)
            }
        };
        self.status.revision.store(restored.revision.0, Ordering::Release);
        let life = getrandom::u64().expect("the system has a source of randomness");
        self.status.life.store(life, Ordering::Release);
        let mut scope = core::Scope::restored(restored, self.options.clone());
        self.freeze(&mut scope);
        Ok(scope)
    }

    /// Begins anew with what is stored, when something could not be. Members stay: they are told what
    /// became of their ChangeSets, and then the state as it is.
    async fn rebuild(&mut self, scope: core::Scope, why: &str) -> Result<core::Scope, BeginError> {
        self.metrics.scopes_rebuilt.inc();
        tracing::error!(scope = %self.status.name, why, "refuses what is not stored, begins anew");
        let now = clock::now();
        self.calls.forget();
        let mut anew = self.load().await?;
        self.outputs.splice(..0, scope.into_refusals(why, anew.answered()));
        self.carry_out(now);
        let mut joins = Vec::new();
        for (id, member) in &mut self.members {
            member.informed = false;
            let (session, dialect) = (member.session, member.dialect);
            let claims = member.claims.clone();
            joins.push(Input::Join { member: *id, session, dialect, claims, returns: true });
        }
        for join in joins {
            anew.handle(now, join, &mut self.outputs);
        }
        self.carry_out(now);
        Ok(anew)
    }

    /// The machine has panicked: a mistake of ours. What it handed out before is stored and told, what it
    /// was at work on is refused, and another goes on with what is stored.
    async fn mend(
        &mut self,
        mut scope: core::Scope,
        panic: &str,
    ) -> Result<core::Scope, BeginError> {
        self.outputs.clear();
        if let Some((member, message, fragments)) = self.judging.take() {
            let error = Rejection::new(ErrorCode::Internal, "the server has made a mistake");
            let (body, revision) = (encode::refusals(&error, fragments), scope.revision());
            let lasting = false;
            self.outputs.push(Output::Reply { member, message, revision, lasting, body });
        }
        while let Some(store) = self.store.as_mut().filter(|store| !store.is_settled()) {
            match store.news().await {
                News::Stored(Ok(position)) => self.persisted(&mut scope, position),
                News::Stored(Err(_)) => break,
                News::Health | News::Nothing => {}
            }
        }
        self.carry_out(clock::now());
        self.rebuild(scope, &format!("the scope made a mistake: {panic}")).await
    }

    /// Whether nothing waits for the store.
    fn is_settled(&self) -> bool {
        self.store.as_ref().is_none_or(Store::is_settled)
    }

    /// Tells the machine whether anything can be stored.
    fn freeze(&mut self, scope: &mut core::Scope) {
        if let Some(store) = &mut self.store {
            let why = store.frozen();
            scope.handle(clock::now(), Input::Frozen { why }, &mut self.outputs);
        }
    }

    fn persisted(&mut self, scope: &mut core::Scope, position: Position) {
        self.handle(scope, clock::now(), Input::Persisted { position });
    }

    /// Waits for whatever comes first; others wait for what the store does.
    async fn next_event(&mut self, deadline: Option<Millis>) -> Event {
        // Whoever looks at the objects sees what is durable, so nothing else is judged until then.
        let reads = !self.closing
            && self.reads.is_empty()
            && self.store.as_ref().is_none_or(|store| !store.is_full());
        if reads && !self.batch.is_empty() {
            return Event::Mail(self.batch.len());
        }
        let due = self.due(deadline);
        self.arm(due.as_ref().map(|(at, _)| *at));
        let Self { store, requests, mail, calls, timer, .. } = self;
        let event = tokio::select! {
            biased;
            news = async {
                match store {
                    Some(store) => store.news().await,
                    None => pending().await,
                }
            } => Event::Store(news),
            Some((ticket, verdict)) = calls.next(), if !calls.is_empty() => {
                Event::Verdict(ticket, verdict)
            }
            count = requests.recv_many(mail, BATCH_REQUESTS_MAX), if reads => Event::Mail(count),
            event = async {
                match (due, timer) {
                    (Some((at, event)), Some(timer)) if at > Instant::now() => {
                        timer.as_mut().await;
                        if timer.deadline() < at { Event::Early } else { event }
                    }
                    // What is due at once is work that goes on: other tasks have their turn in between.
                    (Some((_, event)), _) => {
                        tokio::task::yield_now().await;
                        event
                    }
                    (None, _) => pending().await,
                }
            } => event,
        };
        self.batch.extend(self.mail.drain(..));
        event
    }

    /// Sees to it that the task wakes then. A timer that is set for an earlier moment is left alone: what is
    /// due mostly moves away, and waking once for nothing is cheaper than setting it anew for each batch.
    fn arm(&mut self, at: Option<Instant>) {
        let Some(at) = at else { return };
        match &mut self.timer {
            Some(timer) if timer.is_elapsed() || timer.deadline() > at => timer.as_mut().reset(at),
            Some(_) => {}
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(at))),
        }
    }

    /// What comes if nothing else does, and when.
    fn due(&mut self, deadline: Option<Millis>) -> Option<(Instant, Event)> {
        let deadline = deadline.map(|at| (clock::instant(at), Event::Deadline));
        let is_idle = self.members.is_empty() && self.calls.is_empty() && self.is_settled();
        let idle = self.idle.as_ref().filter(|_| is_idle);
        let since = &mut self.idle_since;
        let idle = idle.map(|idle| {
            let since = *since.get_or_insert_with(Instant::now);
            (since + idle.after, Event::Idle)
        });
        deadline.into_iter().chain(idle).min_by_key(|(at, _)| *at)
    }

    /// Requests that keep coming must not put off what has its time.
    fn handle_what_is_due(&mut self, scope: &mut core::Scope, now: Now) {
        if scope.deadline().is_some_and(|at| at <= now.mono) {
            self.handle(scope, now, Input::Deadline);
        }
    }

    fn handle_mail(&mut self, scope: &mut core::Scope, now: Now) {
        self.metrics.scope_requests_waiting.set(self.requests.len() as i64);
        self.status.occupied.use_now(now.mono);
        self.is_single = self.batch.len() == 1 && handout::parts(self.members.len()) == 1;
        while self.reads.is_empty()
            && self.torn.is_none()
            && !self.closing
            && let Some(request) = self.batch.pop_front()
        {
            self.take(scope, now, request);
        }
    }

    fn take(&mut self, scope: &mut core::Scope, now: Now, request: Request) {
        match request {
            Request::Sync { member, message, delivered, changes } => {
                let asked = (member, message, changes.fragments.len());
                self.handle(scope, now, Input::Sync { member, message, delivered, changes });
                self.judging = self.torn.is_some().then_some(asked);
            }
            request => self.take_rare(scope, now, request),
        }
    }

    /// Takes what is no change of a client, out of the way of those.
    #[inline(never)]
    fn take_rare(&mut self, scope: &mut core::Scope, now: Now, request: Request) {
        let input = match request {
            Request::Join(joining) => self.join(joining),
            Request::Leave(member) => {
                self.members.swap_remove(&member);
                self.count_members();
                Input::Leave { member }
            }
            Request::Claims { member, claims } => {
                let mut claims = claims;
                // A scope that is rebuilt must not give back rights that were taken away.
                if let Some(known) = self.members.get_mut(&member) {
                    claims = with_models(&claims, known.recipient.session());
                    known.claims = claims.clone();
                }
                Input::Claims { member, claims }
            }
            Request::Resync(member) => {
                self.metrics.resyncs.inc();
                Input::Resync { member }
            }
            Request::Seen { member, revision } => Input::Seen { member, revision },
            Request::Sync { .. } => unreachable!("taken by the caller"),
            Request::Update { build, mut terms, expected, answer } => {
                // A state that never was is at no revision.
                terms.at =
                    expected.map(|tag| self.status.revision_of(tag).unwrap_or(Revision(u64::MAX)));
                match guard(|| build(scope.graph())) {
                    Ok(changes) => self.update(terms, changes, answer),
                    Err(error) => return drop(answer.send(Err(error))),
                }
            }
            Request::Read(read) => return self.reads.push(read),
            Request::Close => return self.closing = true,
            Request::Retire => return self.retire(),
            #[cfg(test)]
            Request::Panic => return self.torn = Some("a test".to_owned()),
        };
        self.handle(scope, now, input);
    }

    /// Gives the machine an input and carries out what comes of it.
    fn handle(&mut self, scope: &mut core::Scope, now: Now, input: Input) {
        let outputs = &mut self.outputs;
        let handled = catch_unwind(AssertUnwindSafe(|| scope.handle(now, input, outputs)));
        if let Err(panic) = handled {
            if self.store.is_none() {
                resume_unwind(panic);
            }
            return self.torn = Some(panic_text(&*panic));
        }
        // Outputs name members by id, and those must still be the members of that moment.
        self.carry_out(now);
        for call in self.questions.drain(..) {
            let member = self.members.get(&call.member);
            let session = member.and_then(|member| member.recipient.session());
            self.calls.ask(&self.status.facts, scope.graph(), session, &call);
        }
    }

    fn join(&mut self, joining: Joining) -> Input {
        let Joining { member, session, dialect, claims, index, returns, recipient } = joining;
        let claims = with_models(&claims, recipient.session());
        let _counted = Counted::new(&self.metrics.members);
        let (informed, touched) = (false, false);
        let joined = Member {
            session,
            index,
            dialect,
            claims: claims.clone(),
            recipient,
            informed,
            touched,
            _counted,
        };
        self.members.insert(member, joined);
        self.count_members();
        Input::Join { member, session, dialect, claims, returns }
    }

    fn update(&mut self, terms: Terms, changes: ChangeSet, answer: Answer) -> Input {
        let ticket = self.last_ticket.next();
        self.last_ticket = ticket;
        self.answers.insert(ticket, answer);
        Input::Update { ticket, terms, changes }
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

    /// Makes room for others, unless somebody has come meanwhile.
    fn retire(&mut self) {
        let is_idle = self.members.is_empty()
            && self.calls.is_empty()
            && self.is_settled()
            && self.batch.is_empty()
            && self.reads.is_empty();
        if is_idle {
            self.handle_idle();
        }
        if !self.closing {
            self.status.occupied.stay();
        }
    }

    /// Shows the objects to those who want to look, when what they see is durable and told: what an
    /// application sees must not be gone after a crash.
    fn look(&mut self, scope: &mut core::Scope) {
        if !self.is_settled() {
            return;
        }
        for read in self.reads.drain(..) {
            read(scope);
        }
    }

    /// The end: whoever waits for this scope stops waiting.
    fn part(mut self: Box<Self>) {
        self.phase.send_replace(Phase::Closed);
        self.status.occupied.set(0);
        self.requests.close();
        let now = clock::now();
        // Those who asked to join and were not taken any more are told like members.
        let mut waiting = std::mem::take(&mut self.batch);
        waiting.extend(std::iter::from_fn(|| self.requests.try_recv().ok()));
        for request in waiting {
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

/// Runs a function of the application's: its panic is its own.
pub(super) fn guard<R>(run: impl FnOnce() -> R) -> Result<R, ScopeError> {
    // The function does not change the objects, so it cannot have torn them.
    catch_unwind(AssertUnwindSafe(run)).map_err(|panic| ScopeError::Panicked(panic_text(&*panic)))
}

/// How many requests are handled before their commits are stored and their members told. Large enough
/// to share a flush of the disk, small enough that the first of them does not wait long.
const BATCH_REQUESTS_MAX: usize = 64;
