//! The task of a session: reads its connection, keeps its time, and carries out what its machine wants.
//!
//! It outlives connections. What scopes have for the session does not pass through here but goes straight
//! into the [`SessionCell`]; so the session is delivered to even while this task waits for a
//! place in a scope's mailbox, and neither can wait for the other.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use jetstream_core::hash::OwnState;
use jetstream_core::ids::{ConnectionId, MemberId, MessageIndex, ScopeIndex};
use jetstream_core::model::{ErrorCode, Rejection};
use jetstream_core::session::{CloseReason, Input, Output};
use jetstream_core::time::Millis;
use serde_json::{Map, Value};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio::time::{Sleep, sleep_until};

use super::Shared;
use super::cell::{Rest, SessionCell, Work};
use super::establish::{goodbye, linger};
use super::identify::identify;
use super::outgoing::{Outgoing, Place};
use super::request::{FetchRequest, FetchVerdict, Known, Occasion, SessionRequest};
use super::resumption;
use super::seats::Seats;
use crate::authentication::Identity;
use crate::clock;
use crate::future::{BoxFuture, catch_panic};
use crate::metrics::{Counted, Metrics};
use crate::scope::{Joining, Request, Scope};
use crate::transport::{FrameSink, FrameSource, FrameText, Received};

/// What the server tells a session's task.
pub(super) enum Order {
    /// A connection named the session's token.
    Arrived {
        source: Box<dyn FrameSource>,
        sink: Arc<dyn FrameSink>,
        /// Who the client is, if it had to say so.
        identity: Option<Box<Identity>>,
    },
    /// Something else is known about who the client is.
    Renewed(Box<Identity>),
    /// The session is over, in plain words why.
    End(String),
    /// The client may not have the session any more, in plain words why.
    Revoked(String),
    /// The server goes away.
    GoAway,
    /// Somebody wants to know what the session has fetched.
    Describe(oneshot::Sender<Vec<Scope>>),
}

/// Runs a session.
pub(super) struct SessionTask {
    cell: Arc<SessionCell>,
    server: Arc<Shared>,
    connection: Option<Live>,
    /// The connection that the present one replaced, until it is closed.
    replaced: Option<Live>,
    /// The scope of the fetch that was accepted last, until it is joined.
    accepted: Option<(MessageIndex, Scope)>,
    /// Scopes that the session had before the server was gone, until they are joined.
    rejoining: HashMap<ScopeIndex, Scope>,
    memberships: HashMap<ScopeIndex, (Scope, MemberId), OwnState>,
    /// Requests to scopes. While there are any, no frames are read.
    outgoing: Outgoing,
    /// The application's handlers at work, if any are.
    handlers: Option<JoinSet<Answer>>,
    /// The session on its way into the store; its position then.
    saving: Option<BoxFuture<'static, Option<MessageIndex>>>,
    timer: Option<Timer>,
    /// What to wait for when there is nothing to do.
    rest: Rest,
    over: bool,
    /// Its client will not resume it.
    is_forgotten: bool,
    /// Held for as long as the session lives.
    seats: Seats,
}

/// What the application is asked about.
#[derive(Clone, Copy)]
enum Asked {
    /// A fetch, by its message.
    Fetch(MessageIndex),
    /// A scope that the session had before the server was gone.
    Rejoin(ScopeIndex),
}

/// What came of asking.
enum Answer {
    Fetch(Asked, FetchVerdict),
    /// Who the client is, by the credential in this message.
    Renewal(MessageIndex, Result<Identity, Rejection>),
}

/// A connection that is in use.
struct Live {
    id: ConnectionId,
    source: Box<dyn FrameSource>,
    sink: Arc<dyn FrameSink>,
    _counted: Counted,
}

struct Timer {
    at: Millis,
    sleep: Pin<Box<Sleep>>,
}

/// What wakes the task.
enum Event {
    Order(Order),
    Answer(Answer),
    /// The session is stored up to this position; `None`: it could not be.
    Saved(Option<MessageIndex>),
    /// There is a place in a scope's mailbox, or the scope is closed.
    Place(Place),
    /// The sink has room again.
    Writable,
    /// The session's cell has something to carry out.
    Woken,
    /// The timer is due, which may have been set for an earlier deadline.
    Time,
    Frame(FrameText),
    /// Something came that is no frame, so many bytes.
    Overhead(usize),
    /// The connection is gone.
    Ended,
}

impl Drop for SessionTask {
    fn drop(&mut self) {
        self.cell.orders.close();
    }
}

impl SessionTask {
    /// In a box: a future that holds it by value keeps room for it several times over.
    pub(super) fn new(cell: Arc<SessionCell>, server: Arc<Shared>) -> Box<Self> {
        Box::new(Self {
            cell,
            server,
            connection: None,
            replaced: None,
            accepted: None,
            rejoining: HashMap::new(),
            saving: None,
            memberships: HashMap::default(),
            outgoing: Outgoing::default(),
            handlers: None,
            timer: None,
            rest: Rest::default(),
            over: false,
            is_forgotten: false,
            seats: Seats::default(),
        })
    }

    /// The same, with what the session takes up beside itself.
    pub(super) fn seated(mut self: Box<Self>, seats: Seats) -> Box<Self> {
        self.seats = seats;
        self
    }

    pub(super) fn metrics(&self) -> &Metrics {
        &self.server.metrics
    }

    /// Takes the connection that created the session, and the frame that came with `SessionCreate`.
    pub(super) fn begin(
        &mut self,
        source: Box<dyn FrameSource>,
        sink: Arc<dyn FrameSink>,
        full: bool,
        frame: Option<&str>,
    ) {
        let connection = self.connect(source, sink, full);
        if let Some(text) = frame {
            self.cell.input(clock::now(), Input::Frame { connection, text });
        }
    }

    /// Runs the session to its end. A mistake of ours ends this session and no other.
    pub(super) async fn run_to_end(mut self: Box<Self>) {
        let session = self.cell.info.id();
        tracing::debug!(%session, "session begun");
        if let Err(panic) = catch_panic(self.run()).await {
            self.server.metrics.sessions_failed.inc();
            tracing::error!(%session, %panic, "session panicked");
            self.fail();
        }
        self.server.directory.remove(&self.cell);
        if self.is_forgotten
            && let Some(keeper) = &self.server.keeper
        {
            or_done(self.saving.take()).await;
            Box::pin(keeper.forget(session)).await;
        }
        Box::pin(self.leave()).await;
        tracing::debug!(%session, "session ended");
    }

    async fn run(&mut self) {
        self.settle();
        while !self.over {
            match self.next_event().await {
                Event::Frame(text) => self.handle_frame(&text),
                Event::Woken | Event::Time => {}
                Event::Order(Order::GoAway) => {
                    self.settle();
                    // Boxed like the other ends: the running session needs no room for it.
                    Box::pin(self.go_away()).await;
                    break;
                }
                event => self.handle_rare(event),
            }
            self.settle();
        }
    }

    /// Handles what is not a frame. Out of the way of those: what every frame goes through stands close
    /// together in memory, see "Where the time goes" in the book's chapter on performance.
    #[inline(never)]
    fn handle_rare(&mut self, event: Event) {
        match event {
            Event::Order(Order::Arrived { source, sink, identity }) => {
                self.arrived(source, sink, identity);
            }
            Event::Order(Order::Renewed(identity)) => self.know(*identity),
            Event::Order(Order::Revoked(message)) => {
                // What the client has asked of scopes that have had no room for it.
                self.outgoing = Outgoing::default();
                self.cell.input(clock::now(), Input::Revoke { message });
            }
            Event::Order(Order::End(message)) => {
                self.cell.input(clock::now(), Input::End { message });
            }
            Event::Order(Order::Describe(answer)) => {
                let scopes = self.memberships.values().map(|(scope, _)| scope.clone());
                let _ = answer.send(scopes.collect());
            }
            Event::Answer(Answer::Fetch(asked, verdict)) => self.handle_verdict(asked, verdict),
            Event::Answer(Answer::Renewal(message, found)) => self.renew(message, found),
            Event::Saved(position) => self.cell.input(clock::now(), Input::Saved { position }),
            Event::Place(place) => {
                if let Err(index) = self.outgoing.take_place(place) {
                    self.scope_is_closed(index);
                }
            }
            Event::Writable => self.cell.writable(),
            Event::Overhead(bytes) => self.handle_overhead(bytes),
            Event::Ended => self.handle_ended(),
            Event::Frame(_) | Event::Woken | Event::Time | Event::Order(Order::GoAway) => {
                unreachable!("the loop handles these itself")
            }
        }
    }

    /// Waits for whatever comes first. Frames come last: a client that sends without end must not keep the
    /// others waiting.
    async fn next_event(&mut self) -> Event {
        poll_fn(|context| self.poll_event(context)).await
    }

    /// Asks one after the other. By hand, since most of them are not there most of the time, and this is
    /// gone through twice for each frame of each client.
    fn poll_event(&mut self, context: &mut Context<'_>) -> Poll<Event> {
        if let Poll::Ready(order) = self.cell.poll_woken(context) {
            return Poll::Ready(order.map_or(Event::Woken, Event::Order));
        }
        if let Some(handlers) = &mut self.handlers {
            match handlers.poll_join_next(context) {
                Poll::Ready(Some(Ok(answer))) => return Poll::Ready(Event::Answer(answer)),
                // Handlers catch their panics, and nobody cancels them.
                Poll::Ready(Some(Err(_))) => return Poll::Ready(Event::Woken),
                Poll::Ready(None) => self.handlers = None,
                Poll::Pending => {}
            }
        }
        if let Some(saving) = &mut self.saving
            && let Poll::Ready(position) = saving.as_mut().poll(context)
        {
            self.saving = None;
            return Poll::Ready(Event::Saved(position));
        }
        if let Poll::Ready(place) = self.outgoing.poll_place(context) {
            return Poll::Ready(Event::Place(place));
        }
        if let Some(sink) = &self.rest.full
            && sink.poll_writable(context).is_ready()
        {
            return Poll::Ready(Event::Writable);
        }
        if let Some(timer) = &mut self.timer
            && timer.sleep.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Event::Time);
        }
        match &mut self.connection {
            Some(connection) if self.rest.takes_frames && self.outgoing.is_empty() => {
                connection.source.poll_frame(context).map(|received| match received {
                    Received::Frame(text) => Event::Frame(text),
                    Received::Overhead(bytes) => Event::Overhead(bytes),
                    Received::Ended => Event::Ended,
                })
            }
            _ => Poll::Pending,
        }
    }

    /// Talks over this connection from now on, and no more over the one before.
    fn connect(
        &mut self,
        source: Box<dyn FrameSource>,
        sink: Arc<dyn FrameSink>,
        full: bool,
    ) -> ConnectionId {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let id = ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed));
        let _counted = Counted::new(&self.server.metrics.connections);
        self.replaced = self.connection.replace(Live { id, source, sink: sink.clone(), _counted });
        self.cell.connect(clock::now(), id, sink, full);
        id
    }

    /// A connection named the session's token. One of somebody else does not take it over.
    fn arrived(
        &mut self,
        source: Box<dyn FrameSource>,
        sink: Arc<dyn FrameSink>,
        identity: Option<Box<Identity>>,
    ) {
        if let Some(identity) = identity {
            if !self.is_client(&identity) {
                let reason = resumption::refused(&self.server, resumption::not_yours());
                self.server.spawn(async move { goodbye(source, &*sink, &reason).await });
                return;
            }
            self.know(*identity);
        }
        tracing::debug!(session = %self.cell.info.id(), "session resumed");
        self.server.metrics.sessions_resumed.inc();
        self.connect(source, sink, false);
    }

    /// Whether this is who the session belongs to.
    fn is_client(&self, identity: &Identity) -> bool {
        identity.claims.is_same_principal(&self.cell.info.claims())
    }

    /// It is known anew who the client is: its scopes are told, if that is something else.
    fn know(&mut self, Identity { claims, expires_at }: Identity) {
        let before = self.cell.info.0.known.read().clone();
        let is_news = *before.claims != claims;
        if !is_news && before.expires_at == expires_at {
            return;
        }
        let claims = Arc::new(claims);
        let known = Known { claims: claims.clone(), expires_at };
        let until = known.until();
        *self.cell.info.0.known.write() = known;
        for (index, (scope, member)) in self.memberships.iter().filter(|_| is_news) {
            let request = Request::Claims { member: *member, claims: claims.clone() };
            self.outgoing.push(scope.clone(), *index, request);
        }
        self.cell.input(clock::now(), Input::Known { until });
    }

    /// Finds out who the client is by a new credential, in a task of its own: it may take a while.
    fn look_at(&mut self, message: MessageIndex, params: Map<String, Value>) {
        let (server, info) = (self.server.clone(), self.cell.info.clone());
        self.handlers.get_or_insert_default().spawn(async move {
            let Some(authenticator) = &server.handlers.authenticator else {
                let why = "this server takes no new credential for a session";
                return Answer::Renewal(message, Err(Rejection::new(ErrorCode::Rejected, why)));
            };
            let (connect, version) = (info.0.connect.clone(), info.version().clone());
            let request = SessionRequest { connect, params, version, occasion: Occasion::Renew };
            Answer::Renewal(message, identify(&server, authenticator, &request).await)
        });
    }

    /// A new credential was looked at. It counts if it is of whom the session belongs to.
    fn renew(&mut self, message: MessageIndex, found: Result<Identity, Rejection>) {
        let result = found.and_then(|identity| match self.is_client(&identity) {
            true => Ok(identity),
            false => Err(resumption::not_yours()),
        });
        let result = result.map(|identity| self.know(identity));
        self.cell.input(clock::now(), Input::Renewed { message, result });
    }

    fn handle_frame(&mut self, text: &str) {
        let metrics = &self.server.metrics;
        metrics.frames_in.inc();
        metrics.bytes_in.inc_by(text.len() as u64);
        if let Some(connection) = &self.connection {
            let connection = connection.id;
            self.cell.input(clock::now(), Input::Frame { connection, text });
        }
    }

    fn handle_overhead(&mut self, bytes: usize) {
        if let Some(connection) = &self.connection {
            let connection = connection.id;
            self.cell.input(clock::now(), Input::Overhead { connection, bytes });
        }
    }

    fn handle_ended(&mut self) {
        if let Some(connection) = self.connection.take() {
            self.cell.disconnect(clock::now(), connection.id);
            let Live { source, sink, .. } = connection;
            self.server.spawn(async move { linger(source, &*sink).await });
        }
    }

    fn handle_verdict(&mut self, asked: Asked, FetchVerdict(verdict): FetchVerdict) {
        let verdict = verdict.and_then(|scope| {
            if scope.is_closed() {
                return Err(Rejection::message("the scope is closed"));
            }
            scope.has_room().map(|()| scope)
        });
        match &verdict {
            Ok(scope) => self.server.health.note(scope),
            Err(error) => {
                self.server.metrics.fetches_denied.inc();
                self.server.metrics.count_limit(error.limit);
            }
        }
        let input = match (asked, verdict) {
            (Asked::Fetch(message), Ok(scope)) => {
                let (name, schema) = (scope.name().clone(), scope.schema().clone());
                self.accepted = Some((message, scope));
                Input::FetchAccepted { message, scope: name, schema }
            }
            (Asked::Fetch(message), Err(error)) => Input::FetchDenied { message, error },
            (Asked::Rejoin(index), Ok(scope)) => {
                let schema = scope.schema().clone();
                self.rejoining.insert(index, scope);
                Input::RejoinAccepted { scope: index, schema }
            }
            (Asked::Rejoin(index), Err(_)) => Input::RejoinDenied { scope: index },
        };
        self.cell.input(clock::now(), input);
    }

    /// Carries out everything that the last event has brought about.
    fn settle(&mut self) {
        let now = clock::now();
        if self.timer.as_ref().is_some_and(|timer| timer.at <= now.mono) {
            self.timer = None;
        }
        loop {
            let Work { outputs, closed, broken } = self.cell.work(now);
            if let Some(panic) = broken {
                // A scope's task has caught it; it is ours to fall.
                std::panic::resume_unwind(Box::new(panic));
            }
            let is_done = outputs.is_empty() && !self.post();
            outputs.into_iter().for_each(|output| self.carry_out(output));
            for index in closed {
                self.memberships.remove(&index);
            }
            if is_done {
                break;
            }
        }
        self.rest = self.cell.rest(now);
        self.arm();
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Sync { scope, message, delivered, changes } => {
                self.request(scope, |member| Request::Sync { member, message, delivered, changes });
            }
            output => self.carry_out_rare(output),
        }
    }

    /// Carries out what no change of a client brings about, out of the way of those.
    #[inline(never)]
    fn carry_out_rare(&mut self, output: Output) {
        match output {
            Output::Fetch { message, name, params } => {
                let session = self.cell.info.clone();
                self.ask(Asked::Fetch(message), FetchRequest { session, name, params });
            }
            Output::Rejoin { scope, name, params } => {
                let session = self.cell.info.clone();
                self.ask(Asked::Rejoin(scope), FetchRequest { session, name, params });
            }
            Output::Save => {
                if let Some(keeper) = &self.server.keeper {
                    self.saving = Some(Box::pin(keeper.clone().save(self.cell.stored())));
                }
            }
            Output::Join { message, scope, returns } => self.join(message, scope, returns),
            Output::Resync { scope } => self.request(scope, Request::Resync),
            Output::Seen { scope, revision } => {
                self.request(scope, |member| Request::Seen { member, revision });
            }
            Output::Renew { message, params } => self.look_at(message, params),
            Output::Leave { scope } => {
                self.request(scope, Request::Leave);
                self.memberships.remove(&scope);
            }
            Output::Close { connection, reason } => self.close(connection, &reason),
            Output::Limited(limit) => self.server.metrics.count_limit(Some(limit)),
            Output::Ended => {
                self.over = true;
                self.is_forgotten = true;
            }
            Output::Sync { .. } => unreachable!("carried out by the caller"),
        }
    }

    /// Asks the application, in a task of its own: it may take its time, and it may panic.
    fn ask(&mut self, asked: Asked, fetch: FetchRequest) {
        let server = self.server.clone();
        self.handlers.get_or_insert_default().spawn(async move {
            let Some(on_fetch) = &server.handlers.on_fetch else {
                return Answer::Fetch(asked, fetch.deny("No such scope"));
            };
            let claims = fetch.session.claims();
            let verdict = catch_panic(async { on_fetch(fetch).await }).await;
            let verdict = verdict.unwrap_or_else(|panic| {
                server.metrics.handler_panics.inc();
                tracing::error!(%panic, "the fetch handler panicked");
                let error = Rejection::new(ErrorCode::Internal, "the fetch could not be answered");
                FetchVerdict(Err(error))
            });
            let verdict = match verdict.0 {
                Ok(scope) => FetchVerdict(scope.admit(&claims).await.map(|()| scope)),
                Err(error) => FetchVerdict(Err(error)),
            };
            Answer::Fetch(asked, verdict)
        });
    }

    fn join(&mut self, message: MessageIndex, index: ScopeIndex, returns: bool) {
        let accepted = self.accepted.take_if(|(accepted, _)| *accepted == message);
        let scope = self.rejoining.remove(&index).or(accepted.map(|(_, scope)| scope));
        let Some(scope) = scope else { return };
        let member = scope.next_member();
        let request = Request::Join(Joining {
            member,
            session: self.cell.info.id(),
            dialect: self.cell.info.dialect(),
            claims: self.cell.info.claims(),
            index,
            returns,
            recipient: self.cell.clone(),
        });
        self.memberships.insert(index, (scope.clone(), member));
        self.outgoing.push(scope, index, request);
    }

    fn request(&mut self, index: ScopeIndex, request: impl FnOnce(MemberId) -> Request) {
        if let Some((scope, member)) = self.memberships.get(&index) {
            let request = request(*member);
            self.outgoing.push(scope.clone(), index, request);
        }
    }

    /// Puts requests into mailboxes until one is full. True: the machine was told something.
    fn post(&mut self) -> bool {
        match self.outgoing.post() {
            Ok(()) => false,
            Err(index) => {
                self.scope_is_closed(index);
                true
            }
        }
    }

    fn scope_is_closed(&mut self, index: ScopeIndex) {
        if self.memberships.remove(&index).is_some() {
            self.cell.input(clock::now(), Input::ScopeClosed { scope: index });
        }
    }

    /// Closes a connection after what the machine still has for it.
    fn close(&mut self, connection: ConnectionId, reason: &CloseReason) {
        let is_it = |live: &mut Live| live.id == connection;
        let live = if let Some(replaced) = self.replaced.take_if(is_it) {
            replaced
        } else if let Some(live) = self.connection.take_if(is_it) {
            self.cell.send_all(clock::now());
            live
        } else {
            return;
        };
        self.cell.disconnect(clock::now(), connection);
        let (Live { source, sink, .. }, reason) = (live, reason.clone());
        self.server.spawn(async move { goodbye(source, &*sink, &reason).await });
    }

    /// Sees to it that the task wakes at the machine's deadline. A timer that is set for an earlier moment
    /// is left alone: deadlines mostly move away, and waking once for nothing is cheaper than setting
    /// the timer anew with every frame.
    fn arm(&mut self) {
        let Some(at) = self.rest.deadline else { return };
        if self.timer.as_ref().is_none_or(|timer| timer.at > at) {
            self.timer = Some(Timer { at, sleep: Box::pin(sleep_until(clock::instant(at))) });
        }
    }

    /// The session is broken: its client starts over with another one.
    fn fail(&mut self) {
        for connection in [self.connection.take(), self.replaced.take()].into_iter().flatten() {
            let message = "the server has made a mistake; start a new session".to_owned();
            let reason = CloseReason::SessionClosed { message };
            let Live { source, sink, .. } = connection;
            self.server.spawn(async move { goodbye(source, &*sink, &reason).await });
        }
        self.outgoing = Outgoing::default();
        self.is_forgotten = true;
    }

    /// The server goes away: what was asked is answered, then the client is told to resume elsewhere.
    async fn go_away(&mut self) {
        self.outgoing.post_all().await;
        for (scope, _) in self.memberships.values() {
            // Answered behind what was asked before, and after that was told.
            let _ = scope.read(|_| ()).await;
        }
        self.cell.send_all(clock::now());
        if let Some(keeper) = &self.server.keeper {
            // What was begun before must not come to stand on top of this.
            or_done(self.saving.take()).await;
            keeper.clone().save(self.cell.stored()).await;
        }
        if let Some(connection) = self.connection.take() {
            goodbye(connection.source, &*connection.sink, &CloseReason::GoingAway).await;
        }
    }

    /// Leaves all scopes, behind what the client has asked of them.
    async fn leave(&mut self) {
        self.outgoing.post_all().await;
        for (scope, member) in std::mem::take(&mut self.memberships).into_values() {
            let _ = scope.mailbox().send(Request::Leave(member)).await;
        }
    }
}

/// Waits for a future, if there is one.
async fn or_done<F: Future + Unpin>(future: Option<F>) {
    if let Some(future) = future {
        future.await;
    }
}
