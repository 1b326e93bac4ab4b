//! A session as its two writers share it: its own task, and the tasks of its scopes.
//!
//! The machine and the sink of the connection stand behind one lock that is never held over an await. A
//! scope's task that has something for a member takes the lock, gives it to the machine, and later
//! takes the lock again to pull frames out and write them to the socket. It never waits for the lock:
//! what it has goes into the session's mail then, which the session's own task opens. That task is woken
//! only for this, and for what a scope's task cannot do: outputs to carry out, a socket that is full, a
//! deadline that came nearer.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jetstream_core::ids::{ConnectionId, ScopeIndex};
use jetstream_core::session::{Delivery, Frame, FramePart, Input, Output, ServerSession};
use jetstream_core::time::{Millis, Now};
use parking_lot::Mutex;
use smallvec::SmallVec;
use tokio::sync::{Notify, mpsc};

use super::keeper;
use super::recorder::{Recorded, Recorder, Way};
use super::request::SessionInfo;
use super::session_task::Order;
use super::token::TokenHash;
use crate::future::panic_text;
use crate::metrics::Metrics;
use crate::scope::Recipient;
use crate::storage::StoredSession;
use crate::transport::{FrameSink, Sent};

/// A session.
pub(super) struct SessionCell {
    pub(super) info: SessionInfo,
    pub(super) token: TokenHash,
    /// To the session's task.
    pub(super) orders: mpsc::Sender<Order>,
    state: Mutex<State>,
    /// What scopes had for the session while others held its state.
    mail: Mutex<VecDeque<Mail>>,
    /// Wakes the session's task.
    pub(super) wake: Notify,
    metrics: Metrics,
}

struct State {
    machine: ServerSession,
    /// What the session's task has to carry out.
    outputs: Vec<Output>,
    /// Scopes that have ended: the session's task lets go of them.
    closed: Vec<ScopeIndex>,
    line: Option<Line>,
    /// When the session's task will wake by itself.
    armed: Option<Millis>,
    /// Where frames are noted, if somebody watches.
    recorder: Option<Box<Recorder>>,
    /// The session's task reads no frames, because the machine had enough when it last asked.
    paused: bool,
    /// The machine has panicked: a mistake of ours. Nothing is asked of it any more, and the session's
    /// task ends the session.
    broken: Option<String>,
}

/// What a scope has for the session.
enum Mail {
    Delivery(ScopeIndex, Delivery),
    /// Nothing more will come from this scope.
    Closed(ScopeIndex),
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

thread_local! {
    /// What a frame is written into before it is sent: one for a thread, not one for a session.
    static FRAME: RefCell<Frame> = RefCell::new(Frame::new());
}

impl SessionCell {
    pub(super) fn new(
        info: SessionInfo,
        token: TokenHash,
        machine: ServerSession,
        orders: mpsc::Sender<Order>,
        metrics: Metrics,
    ) -> Self {
        let (outputs, closed) = (Vec::new(), Vec::new());
        let state = State {
            machine,
            outputs,
            closed,
            line: None,
            armed: None,
            recorder: None,
            paused: false,
            broken: None,
        };
        let (state, mail) = (Mutex::new(state), Mutex::default());
        Self { info, token, orders, state, mail, wake: Notify::new(), metrics }
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

    /// Gives the machine an input. The outputs wait for [`take_outputs`](Self::take_outputs).
    pub(super) fn input(&self, now: Now, input: Input<'_>) {
        let state = &mut *self.state.lock();
        if let Input::Frame { text, .. } = input {
            record(&mut state.recorder, now, Way::FromClient, || text);
        }
        state.machine.handle(now, input, &mut state.outputs);
    }

    /// Gives the machine what scopes left for it, and tells it that its deadline has come, if it has.
    pub(super) fn tick(&self, now: Now) {
        let state = &mut *self.state.lock();
        self.open_mail(now, state);
        if state.machine.deadline().is_some_and(|deadline| deadline <= now.mono) {
            state.machine.handle(now, Input::Deadline, &mut state.outputs);
        }
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
        self.send(now, &mut self.state.lock());
    }

    /// What is to be carried out, in order.
    pub(super) fn take_outputs(&self) -> Vec<Output> {
        std::mem::take(&mut self.state.lock().outputs)
    }

    /// Scopes that have ended since the last call.
    pub(super) fn take_closed(&self) -> Vec<ScopeIndex> {
        std::mem::take(&mut self.state.lock().closed)
    }

    /// What the machine panicked with, if it did.
    pub(super) fn take_broken(&self) -> Option<String> {
        self.state.lock().broken.take()
    }

    /// Whether frames are to be read.
    pub(super) fn wants_frames(&self) -> bool {
        let state = &mut *self.state.lock();
        state.paused = !state.machine.wants_frames();
        !state.paused
    }

    /// The sink if it is full, for the session's task to wait on.
    pub(super) fn full_sink(&self) -> Option<Arc<dyn FrameSink>> {
        let state = self.state.lock();
        let line = state.line.as_ref().filter(|line| line.room == Room::Full)?;
        Some(line.sink.clone())
    }

    /// The full sink has room again.
    pub(super) fn writable(&self) {
        if let Some(line) = &mut self.state.lock().line
            && line.room == Room::Full
        {
            line.room = Room::Open;
        }
    }

    /// When the machine wants to be woken. The session's task promises to wake then; deliveries that
    /// bring the moment nearer wake it at once.
    pub(super) fn arm(&self) -> Option<Millis> {
        let mut state = self.state.lock();
        state.armed = state.machine.deadline();
        state.armed
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
        state.recorder.get_or_insert_with(|| Box::new(Recorder::new(now))).ask(now, after)
    }

    /// Whether somebody has watched lately. What was recorded for nobody is let go of.
    pub(super) fn is_watched(&self, now: Now) -> bool {
        let mut state = self.state.lock();
        state.recorder.take_if(|recorder| !recorder.is_watched(now));
        state.recorder.is_some()
    }

    pub(super) fn stop_recording(&self) {
        self.state.lock().recorder = None;
    }
}

impl SessionCell {
    /// Gives the machine what a scope has for it, or leaves it for whoever holds the state at the moment.
    ///
    /// A session holds its own state while it reads a frame, which takes as long as its client makes it. A
    /// scope never waits for that: its other members would wait with it.
    fn post(&self, now: Now, mail: Mail) {
        let mut waiting = self.mail.lock();
        let state = if waiting.is_empty() { self.state.try_lock() } else { None };
        match state {
            Some(mut state) => {
                drop(waiting);
                self.guard(&mut state, |state| state.take(now, mail));
            }
            None => {
                // Behind what waits already: a scope's deliveries keep their order.
                waiting.push_back(mail);
                self.wake.notify_one();
            }
        }
    }

    /// Gives the machine what was left for it. What is left after that has woken the session's task.
    fn open_mail(&self, now: Now, state: &mut State) {
        loop {
            let Some(mail) = self.mail.lock().pop_front() else { return };
            state.take(now, mail);
        }
    }

    /// Sends what there is, as long as the sink takes it.
    fn send(&self, now: Now, state: &mut State) {
        self.guard(state, |state| {
            self.open_mail(now, state);
            let (frames, bytes) = state.send(now);
            self.metrics.frames_out.inc_by(frames);
            self.metrics.bytes_out.inc_by(bytes);
            let is_full = state.line.as_ref().is_some_and(|line| line.room == Room::Full);
            if is_full && frames > 0 {
                self.metrics.sinks_full.inc();
            }
            if (is_full && frames > 0) || state.needs_task() {
                self.wake.notify_one();
            }
        });
    }

    /// Does something to the state on behalf of a scope, which must not fall over a session's mistake.
    fn guard(&self, state: &mut State, work: impl FnOnce(&mut State)) {
        if state.broken.is_some() {
            return;
        }
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| work(state))) {
            state.broken = Some(panic_text(&*panic));
            self.wake.notify_one();
        }
    }
}

/// Notes a frame if somebody watches. Without anybody it costs one look at an empty place.
fn record<T: AsRef<str>>(
    recorder: &mut Option<Box<Recorder>>,
    now: Now,
    way: Way,
    text: impl FnOnce() -> T,
) {
    if let Some(watching) = recorder {
        match watching.is_watched(now) {
            true => watching.note(now, way, text().as_ref()),
            false => *recorder = None,
        }
    }
}

impl State {
    fn take(&mut self, now: Now, mail: Mail) {
        let input = match mail {
            Mail::Delivery(scope, delivery) => Input::Deliver { scope, delivery },
            Mail::Closed(scope) => {
                self.closed.push(scope);
                Input::ScopeClosed { scope }
            }
        };
        self.machine.handle(now, input, &mut self.outputs);
    }

    /// How many frames and bytes went to the sink, until it was full or there was nothing left.
    fn send(&mut self, now: Now) -> (u64, u64) {
        let (mut frames, mut bytes) = (0, 0);
        let Some(line) = &mut self.line else { return (0, 0) };
        FRAME.with_borrow_mut(|frame| {
            while line.room == Room::Open && self.machine.next_frame(now, frame) {
                let parts: SmallVec<[FramePart<'_>; 16]> = frame.parts().collect();
                line.room = match line.sink.send(&parts) {
                    Sent::Room => Room::Open,
                    Sent::Full => Room::Full,
                    Sent::Closed => Room::Gone,
                };
                frames += 1;
                bytes += frame.byte_length() as u64;
                record(&mut self.recorder, now, Way::ToClient, || frame.to_text());
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
        sooner || reads_again || !self.outputs.is_empty() || !self.closed.is_empty()
    }
}

impl Recipient for SessionCell {
    fn deliver(&self, now: Now, scope: ScopeIndex, delivery: Delivery) {
        self.post(now, Mail::Delivery(scope, delivery));
    }

    fn scope_closed(&self, now: Now, scope: ScopeIndex) {
        self.post(now, Mail::Closed(scope));
    }

    fn session(&self) -> Option<&SessionInfo> {
        Some(&self.info)
    }

    /// Whoever holds the state at the moment leaves this to the session's task.
    fn flush(&self, now: Now) {
        match self.state.try_lock() {
            Some(mut state) => self.send(now, &mut state),
            None => self.wake.notify_one(),
        }
    }
}
