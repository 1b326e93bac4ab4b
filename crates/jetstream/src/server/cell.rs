//! A session as its two writers share it: its own task, and the tasks of its scopes.
//!
//! The machine and the sink of the connection stand behind one lock that is never held over an await. A
//! scope's task that has something for a member takes the lock, gives it to the machine, and later
//! takes the lock again to pull frames out and write them to the socket. It never waits for the lock:
//! what it has goes into the session's mail then, which whoever has the lock next opens first. The session's
//! own task is woken for this, and for what a scope's task cannot do: outputs to carry out, a socket that is
//! full, a deadline that came nearer.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::mem::offset_of;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::slice::from_ref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use jetstream_core::ids::{ConnectionId, ScopeIndex};
use jetstream_core::session::{Delivery, Frame, FramePart, Input, Output, ServerSession};
use jetstream_core::time::{Millis, Now};
use parking_lot::Mutex;
use prefetch_index::prefetch_index;
use smallvec::SmallVec;
use tokio::sync::Notify;

use super::alarm::Alarm;
use super::keeper;
use super::orders::Orders;
use super::recorder::{Recorded, Recorder, Way};
use super::request::SessionInfo;
use super::session_task::Order;
use super::token::TokenHash;
use crate::future::panic_text;
use crate::metrics::Metrics;
use crate::scope::Recipient;
use crate::storage::StoredSession;
use crate::transport::{Departure, FrameSink, Sent};

/// A session.
///
/// What a delivery looks at stands first and in its order, here and in the state, and begins with a line of the
/// processor's caches: of a session whose turn comes none is there, and each has to be waited for.
#[repr(C, align(64))]
pub(super) struct SessionCell {
    metrics: Metrics,
    /// Whether there is mail. True as soon as somebody who has left some can look again.
    has_mail: AtomicBool,
    state: Mutex<State>,
    /// What scopes had for the session while others held its state.
    mail: Mutex<VecDeque<Mail>>,
    pub(super) info: SessionInfo,
    /// Wakes the session's task.
    alarm: Alarm,
    /// To the session's task.
    pub(super) orders: Orders,
    pub(super) token: TokenHash,
}

#[repr(C)]
struct State {
    line: Option<Line>,
    extras: Option<Box<Extras>>,
    /// What the session's task has to carry out.
    outputs: Vec<Output>,
    /// When the session's task will wake by itself.
    armed: Option<Millis>,
    /// The session's task reads no frames, because the machine had enough when it last asked.
    paused: bool,
    machine: ServerSession,
}

/// What a session mostly does not have.
#[derive(Default)]
struct Extras {
    /// Scopes that have ended: the session's task lets go of them.
    closed: Vec<ScopeIndex>,
    /// Where frames are noted, if somebody watches.
    recorder: Option<Recorder>,
    /// The machine has panicked: a mistake of ours. Nothing is asked of it any more, and the session's
    /// task ends the session.
    broken: Option<String>,
}

/// What a session's task has to do.
pub(super) struct Work {
    /// To be carried out, in order.
    pub(super) outputs: Vec<Output>,
    /// Scopes that have ended.
    pub(super) closed: Vec<ScopeIndex>,
    /// What the machine panicked with, if it did.
    pub(super) broken: Option<String>,
}

/// What a session's task waits for when it has nothing to do.
#[derive(Default)]
pub(super) struct Rest {
    pub(super) deadline: Option<Millis>,
    /// The sink if it is full.
    pub(super) full: Option<Arc<dyn FrameSink>>,
    /// Whether frames are to be read.
    pub(super) takes_frames: bool,
}

/// What a scope has for the session.
enum Mail {
    Delivery(ScopeIndex, Delivery),
    /// Nothing more will come from this scope.
    Closed(ScopeIndex),
    /// The sink did not take all of what it was sent in a departure.
    HeldUp,
}

/// The way to the client.
struct Line {
    connection: ConnectionId,
    sink: Arc<dyn FrameSink>,
    room: Room,
}

/// Whether the sink takes frames.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Room {
    Open,
    /// Not before it is writable again.
    Full,
    /// Never again; the connection's source will say so too.
    Gone,
}

/// How many of a session's first bytes a delivery looks at: those before the machine, and the machine's.
const HOT_BYTES: usize = offset_of!(SessionCell, state)
    + align_of::<State>()
    + offset_of!(State, machine)
    + ServerSession::HOT_BYTES;

/// What the processor fetches from memory at a time: on nearly all, and on the others a part or a multiple.
const LINE_BYTES: usize = 64;

thread_local! {
    /// What a frame is written into before it is sent: one for a thread, not one for a session.
    static FRAME: RefCell<Frame> = RefCell::new(Frame::new());
}

impl SessionCell {
    pub(super) fn new(
        info: SessionInfo,
        token: TokenHash,
        machine: ServerSession,
        metrics: Metrics,
    ) -> Self {
        let (line, extras, outputs) = (None, None, Vec::new());
        let state = State { machine, line, extras, outputs, armed: None, paused: false };
        let (state, mail, has_mail) = (Mutex::new(state), Mutex::default(), AtomicBool::new(false));
        let (orders, alarm) = (Orders::new(), Alarm::default());
        Self { info, token, orders, alarm, metrics, mail, has_mail, state }
    }

    /// The same, with something to carry out from before.
    pub(super) fn with(mut self, outputs: Vec<Output>) -> Self {
        self.state.get_mut().outputs = outputs;
        self
    }

    /// What a store has to keep of the session.
    pub(super) fn stored(&self) -> StoredSession {
        keeper::stored(&self.info, self.token, self.state.lock().machine.record())
    }

    /// Gives the machine an input. The outputs wait for the session's task.
    pub(super) fn input(&self, now: Now, input: Input<'_>) {
        let state = &mut *self.state.lock();
        if let Input::Frame { text, .. } = input {
            record(&mut state.extras, now, Way::FromClient, || text);
        }
        state.machine.handle(now, input, &mut state.outputs);
    }

    /// What the session's task has to do, now that the machine was given what scopes left for it, and was told
    /// that its deadline has come, if it has.
    pub(super) fn work(&self, now: Now) -> Work {
        let state = &mut *self.state.lock();
        self.open_mail(now, state);
        if state.machine.deadline().is_some_and(|deadline| deadline <= now.mono) {
            state.machine.handle(now, Input::Deadline, &mut state.outputs);
        }
        let outputs = std::mem::take(&mut state.outputs);
        let (mut closed, mut broken) = (Vec::new(), None);
        if let Some(extras) = &mut state.extras {
            (closed, broken) = (std::mem::take(&mut extras.closed), extras.broken.take());
        }
        Work { outputs, closed, broken }
    }

    /// Sends what there is, as long as the sink takes it, and says what the session's task waits for. The task
    /// promises to wake at the deadline; deliveries that bring the moment nearer wake it at once.
    pub(super) fn rest(&self, now: Now) -> Rest {
        let state = &mut *self.state.lock();
        self.flush_state(now, state, None);
        state.paused = !state.machine.wants_frames();
        state.armed = state.machine.deadline();
        let full = state.line.as_ref().filter(|line| line.room == Room::Full);
        Rest {
            deadline: state.armed,
            full: full.map(|line| line.sink.clone()),
            takes_frames: !state.paused,
        }
    }

    /// Tells the session's task something, when it has a place for that.
    ///
    /// # Errors
    ///
    /// The order, if the task has ended.
    pub(super) async fn order(&self, order: Order) -> Result<(), Order> {
        self.orders.send(order, &self.alarm).await
    }

    /// Ready when there is work for the session's task, or an order.
    pub(super) fn poll_woken(&self, context: &Context<'_>) -> Poll<Option<Order>> {
        ready!(self.alarm.poll(context));
        let order = self.orders.take();
        if order.is_some() {
            // There may be others.
            self.alarm.ring();
        }
        Poll::Ready(order)
    }

    /// Talks over this sink from now on.
    pub(super) fn connect(
        &self,
        now: Now,
        connection: ConnectionId,
        sink: Arc<dyn FrameSink>,
        full: bool,
    ) {
        let state = &mut *self.state.lock();
        let room = if full { Room::Full } else { Room::Open };
        state.line = Some(Line { connection, sink, room });
        state.machine.handle(now, Input::Connected { connection }, &mut state.outputs);
    }

    /// Stops talking over this connection, if it still does.
    pub(super) fn disconnect(&self, now: Now, connection: ConnectionId) {
        let state = &mut *self.state.lock();
        if state.line.as_ref().is_some_and(|line| line.connection == connection) {
            state.line = None;
        }
        state.machine.handle(now, Input::Disconnected { connection }, &mut state.outputs);
    }

    /// Sends what there is, as long as the sink takes it. For the session's task, which may wait for the
    /// state.
    pub(super) fn send_all(&self, now: Now) {
        self.flush_state(now, &mut self.state.lock(), None);
    }

    /// The full sink has room again.
    pub(super) fn writable(&self) {
        if let Some(line) = &mut self.state.lock().line
            && line.room == Room::Full
        {
            line.room = Room::Open;
        }
    }

    /// Whether there is a connection, and what is kept for the client in bytes.
    pub(super) fn standing(&self) -> (bool, usize) {
        let state = self.state.lock();
        (state.line.is_some(), state.machine.backlog_bytes())
    }
}

impl SessionCell {
    /// The frames after this number, and what tells of more. Frames are recorded from now on.
    pub(super) fn recorded(&self, now: Now, after: u64) -> (Vec<Recorded>, Arc<Notify>) {
        let mut state = self.state.lock();
        let recorder = &mut state.extras.get_or_insert_default().recorder;
        recorder.get_or_insert_with(|| Recorder::new(now)).ask(now, after)
    }

    /// Whether somebody has watched lately. What was recorded for nobody is let go of.
    pub(super) fn is_watched(&self, now: Now) -> bool {
        let mut state = self.state.lock();
        let Some(extras) = &mut state.extras else { return false };
        extras.recorder.take_if(|recorder| !recorder.is_watched(now));
        extras.recorder.is_some()
    }

    pub(super) fn stop_recording(&self) {
        if let Some(extras) = &mut self.state.lock().extras {
            extras.recorder = None;
        }
    }
}

impl SessionCell {
    /// Gives the machine what a scope has for it and does what is to be done after that, or leaves it for
    /// whoever holds the state next.
    ///
    /// A session holds its own state while it reads a frame, which takes as long as its client makes it. A
    /// scope never waits for that: its other members would wait with it.
    fn post(&self, now: Now, mail: Mail, then: impl FnOnce(&mut State)) {
        match self.state.try_lock() {
            Some(mut state) => self.guard(&mut state, |state| {
                // What was left before goes before: a scope's deliveries keep their order.
                self.open_mail(now, state);
                state.take(now, mail);
                then(state);
            }),
            None => self.leave(mail),
        }
    }

    fn leave(&self, mail: Mail) {
        {
            let mut waiting = self.mail.lock();
            waiting.push_back(mail);
            self.has_mail.store(true, Ordering::Relaxed);
        }
        self.alarm.ring();
    }

    /// Gives the machine what was left for it. What is left after that has woken the session's task.
    ///
    /// Whoever left something looks here again after that, so for them no order has to be asked of the
    /// memory: what is read of the mail itself is read under its lock.
    fn open_mail(&self, now: Now, state: &mut State) {
        while self.has_mail.load(Ordering::Relaxed) {
            let mail = {
                let mut waiting = self.mail.lock();
                let mail = waiting.pop_front();
                self.has_mail.store(!waiting.is_empty(), Ordering::Relaxed);
                mail
            };
            mail.into_iter().for_each(|mail| state.take(now, mail));
        }
    }

    /// Sends what there is, as long as the sink takes it.
    fn flush_state(&self, now: Now, state: &mut State, departure: Option<&mut Departure>) {
        self.guard(state, |state| {
            self.open_mail(now, state);
            self.write(now, state, departure);
        });
    }

    /// Sends what there is; whoever holds the state at the moment leaves this to the session's task.
    fn try_flush(&self, now: Now, departure: Option<&mut Departure>) {
        match self.state.try_lock() {
            Some(mut state) => self.flush_state(now, &mut state, departure),
            None => self.alarm.ring(),
        }
    }

    /// Sends what there is: with the departure, if there is one.
    fn write(&self, now: Now, state: &mut State, departure: Option<&mut Departure>) {
        let (frames, bytes) = state.send(now, departure);
        self.metrics.frames_out.inc_by(frames);
        self.metrics.bytes_out.inc_by(bytes);
        let is_full = state.line.as_ref().is_some_and(|line| line.room == Room::Full);
        if is_full && frames > 0 {
            self.metrics.sinks_full.inc();
        }
        if (is_full && frames > 0) || state.needs_task() {
            self.alarm.ring();
        }
    }

    /// Does something to the state on behalf of a scope, which must not fall over a session's mistake.
    fn guard(&self, state: &mut State, work: impl FnOnce(&mut State)) {
        if state.extras.as_ref().is_some_and(|extras| extras.broken.is_some()) {
            return;
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(state))) {
            state.extras.get_or_insert_default().broken = Some(panic_text(&*panic));
            self.alarm.ring();
        }
    }
}

/// Notes a frame if somebody watches. Without anybody it costs one look at an empty place.
fn record<T: AsRef<str>>(
    extras: &mut Option<Box<Extras>>,
    now: Now,
    way: Way,
    text: impl FnOnce() -> T,
) {
    let Some(recorder) = extras.as_mut().map(|extras| &mut extras.recorder) else { return };
    if let Some(watching) = recorder {
        match watching.is_watched(now) {
            true => watching.note(now, way, text().as_ref()),
            false => *recorder = None,
        }
    }
}

impl State {
    /// Has fetched from memory what only the state knows the places of.
    fn prefetch(&self) {
        if let Some(line) = &self.line {
            line.sink.prefetch();
        }
        self.machine.prefetch();
    }

    fn take(&mut self, now: Now, mail: Mail) {
        let input = match mail {
            Mail::Delivery(scope, delivery) => Input::Deliver { scope, delivery },
            Mail::Closed(scope) => {
                self.extras.get_or_insert_default().closed.push(scope);
                Input::ScopeClosed { scope }
            }
            // The room is asked for again, by the session's task.
            Mail::HeldUp => return self.fill_up(),
        };
        self.machine.handle(now, input, &mut self.outputs);
    }

    #[cold]
    fn fill_up(&mut self) {
        if let Some(line) = &mut self.line
            && line.room == Room::Open
        {
            line.room = Room::Full;
        }
    }

    /// How many frames and bytes went to the sink, until it was full or there was nothing left.
    fn send(&mut self, now: Now, mut departure: Option<&mut Departure>) -> (u64, u64) {
        let (mut frames, mut bytes) = (0, 0);
        let Some(line) = &mut self.line else { return (0, 0) };
        FRAME.with_borrow_mut(|frame| {
            while line.room == Room::Open && self.machine.next_frame(now, frame) {
                let parts: SmallVec<[FramePart<'_>; 16]> = frame.parts().collect();
                let sent = match &mut departure {
                    Some(departure) => line.sink.clone().send_with(&parts, departure),
                    None => line.sink.send(&parts),
                };
                line.room = match sent {
                    Sent::Room => Room::Open,
                    Sent::Full => Room::Full,
                    Sent::Closed => Room::Gone,
                };
                frames += 1;
                bytes += frame.byte_length() as u64;
                record(&mut self.extras, now, Way::ToClient, || frame.to_text());
            }
            // What is shared is let go of: the next frame may be long in coming.
            frame.clear();
        });
        (frames, bytes)
    }

    /// Whether there is something that only the session's task can do.
    fn needs_task(&self) -> bool {
        let sooner = match (self.machine.deadline(), self.armed) {
            (Some(deadline), Some(armed)) => deadline < armed,
            (Some(_), None) => true,
            (None, _) => false,
        };
        let reads_again = self.paused && self.machine.wants_frames();
        let has_closed = self.extras.as_ref().is_some_and(|extras| !extras.closed.is_empty());
        sooner || reads_again || !self.outputs.is_empty() || has_closed
    }
}

impl Recipient for SessionCell {
    fn prefetch(&self) {
        // Behind the lock nothing may be looked at here; but this does not look, whatever stands there.
        (0..HOT_BYTES)
            .step_by(LINE_BYTES)
            .for_each(|at| prefetch_index(from_ref(&self.has_mail), at));
    }

    fn prefetch_further(&self) {
        if let Some(state) = self.state.try_lock() {
            state.prefetch();
        }
    }

    fn deliver(&self, now: Now, scope: ScopeIndex, delivery: Delivery) {
        self.post(now, Mail::Delivery(scope, delivery), |_| {});
    }

    fn send(&self, now: Now, scope: ScopeIndex, delivery: Delivery, departure: &mut Departure) {
        let mail = Mail::Delivery(scope, delivery);
        self.post(now, mail, |state| self.write(now, state, Some(departure)));
    }

    fn held_up(&self, now: Now) {
        self.metrics.sinks_full.inc();
        self.post(now, Mail::HeldUp, |_| self.alarm.ring());
    }

    fn scope_closed(&self, now: Now, scope: ScopeIndex) {
        self.post(now, Mail::Closed(scope), |_| {});
    }

    fn session(&self) -> Option<&SessionInfo> {
        Some(&self.info)
    }

    fn flush(&self, now: Now) {
        self.try_flush(now, None);
    }

    fn flush_with(&self, now: Now, departure: &mut Departure) {
        self.try_flush(now, Some(departure));
    }
}

#[cfg(test)]
mod tests;
