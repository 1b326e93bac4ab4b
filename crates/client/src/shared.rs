//! What a session's handles and its task have in common: the machine behind a lock, and who waits for what.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use jetstream_core::model::effects::Effects;
use jetstream_core::model::{ChangeSet, Rejection};
use jetstream_core::replica::EditId;
use jetstream_core::session::{ClientConfig, ClientInput, Frame};
use jetstream_core::time::{Millis, Now, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::Instant;

use crate::client::{Client, CopyId, Event, NotApplied, Origin, RawNews};
use crate::feed::Feed;
use crate::renewal::Notice;
use crate::session::SessionState;

/// The machine behind a lock, and who waits for what.
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    /// Copies whose handles were dropped. Handles are dropped anywhere, also while `inner` is locked.
    dropped: Mutex<Vec<CopyId>>,
    closing: AtomicBool,
    /// Wakes the task: there may be something to send, or the session is to end.
    wake: Notify,
    state: watch::Sender<SessionState>,
    /// How many edits wait for an answer.
    pending: watch::Sender<usize>,
    started: Instant,
}

struct Inner {
    client: Client,
    events: Vec<Event>,
    waiters: Waiters,
    /// About what says who the client is, for the task.
    notices: Vec<Notice>,
}

#[derive(Default)]
struct Waiters {
    fetches: HashMap<CopyId, oneshot::Sender<Result<(), Rejection>>>,
    answers: HashMap<(CopyId, EditId), oneshot::Sender<Result<(), NotApplied>>>,
    watchers: HashMap<CopyId, Vec<Feed<Seen>>>,
    raw: HashMap<CopyId, Feed<RawNews>>,
}

/// What will become of an edit.
pub(crate) type Answer = oneshot::Receiver<Result<(), NotApplied>>;

/// One step of what a copy shows.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) origin: Origin,
    /// `None`: there were more steps than were kept.
    pub(crate) effects: Option<Arc<Effects>>,
}

/// What has to be done with the connection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// Nothing.
    Keep,
    /// Drop it and make another.
    Reconnect,
    /// The server refused a session.
    Refused(Rejection),
}

impl Shared {
    pub(crate) fn new(config: ClientConfig, jitter_seed: u64) -> Self {
        let inner = Inner {
            client: Client::new(config, jitter_seed),
            events: Vec::new(),
            waiters: Waiters::default(),
            notices: Vec::new(),
        };
        Self {
            inner: Mutex::new(inner),
            dropped: Mutex::default(),
            closing: AtomicBool::new(false),
            wake: Notify::new(),
            state: watch::Sender::new(SessionState::Connecting),
            pending: watch::Sender::new(0),
            started: Instant::now(),
        }
    }

    // -- For handles

    pub(crate) fn fetch(
        &self,
        fetch: impl FnOnce(&mut Client) -> CopyId,
        raw: Option<Feed<RawNews>>,
    ) -> (CopyId, oneshot::Receiver<Result<(), Rejection>>) {
        let (sender, receiver) = oneshot::channel();
        let mut inner = self.inner.lock();
        let copy = fetch(&mut inner.client);
        if self.state() == SessionState::Closed {
            let _ = sender.send(Err(closed()));
        } else {
            inner.waiters.fetches.insert(copy, sender);
            inner.waiters.raw.extend(raw.map(|feed| (copy, feed)));
        }
        drop(inner);
        self.wake.notify_one();
        (copy, receiver)
    }

    /// Looks at the machine, and changes nothing that anybody has to be told of.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&mut Client) -> R) -> R {
        look(&mut self.inner.lock().client)
    }

    /// Makes an edit of what `make` sees. `Ok(None)`: there was nothing to do.
    pub(crate) fn edit<R, E: From<NotApplied>>(
        &self,
        copy: CopyId,
        make: impl FnOnce(&mut Client) -> Result<(ChangeSet, R), E>,
    ) -> Result<(Option<Answer>, R), E> {
        let mut inner = self.inner.lock();
        let (changes, result) = make(&mut inner.client)?;
        if changes.fragments.is_empty() && changes.procedure.is_none() {
            return Ok((None, result));
        }
        let Inner { client, events, waiters, .. } = &mut *inner;
        let edit = client.edit(copy, changes, events)?;
        let (sender, receiver) = oneshot::channel();
        waiters.answers.insert((copy, edit), sender);
        self.after(&mut inner);
        drop(inner);
        self.wake.notify_one();
        Ok((Some(receiver), result))
    }

    pub(crate) fn watch(&self, copy: CopyId) -> Feed<Seen> {
        let feed = Feed::new();
        let mut inner = self.inner.lock();
        if inner.client.graph(copy).is_some() && inner.client.closed(copy).is_none() {
            inner.client.watch(copy, true);
            inner.waiters.watchers.entry(copy).or_default().push(feed.clone());
        } else {
            feed.end();
        }
        feed
    }

    /// Leaves a scope whose last handle is dropped. Waits for nothing.
    pub(crate) fn leave(&self, copy: CopyId) {
        self.dropped.lock().push(copy);
        self.wake.notify_one();
    }

    /// Ends the session, after what was edited before is sent. Waits for nothing.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Wants another credential to be shown. Waits for nothing.
    pub(crate) fn want_renewal(&self) {
        self.inner.lock().notices.push(Notice::Wanted);
        self.wake.notify_one();
    }

    pub(crate) fn state(&self) -> SessionState {
        *self.state.borrow()
    }

    pub(crate) fn states(&self) -> watch::Receiver<SessionState> {
        self.state.subscribe()
    }

    pub(crate) fn pending(&self) -> watch::Receiver<usize> {
        self.pending.subscribe()
    }

    // -- For the task

    pub(crate) fn handle(&self, input: ClientInput<'_>) -> Verdict {
        let mut inner = self.inner.lock();
        let now = self.now();
        let Inner { client, events, .. } = &mut *inner;
        client.handle(now, input, events);
        self.after(&mut inner)
    }

    /// What there is to know about the credential that was shown.
    pub(crate) fn take_notices(&self) -> Vec<Notice> {
        std::mem::take(&mut self.inner.lock().notices)
    }

    /// Shows another one.
    pub(crate) fn renew(&self, credential: String) {
        self.inner.lock().client.renew(credential);
    }

    pub(crate) fn next_frame(&self, frame: &mut Frame) -> Option<String> {
        let now = self.now();
        self.inner.lock().client.next_frame(now, frame).then(|| frame.to_text())
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let at = self.inner.lock().client.deadline()?;
        Some(self.started + std::time::Duration::from_millis(at.0))
    }

    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
        self.leave_dropped();
    }

    fn leave_dropped(&self) {
        let dropped = std::mem::take(&mut *self.dropped.lock());
        let mut inner = self.inner.lock();
        for copy in dropped {
            inner.client.leave(copy);
            inner.waiters.fetches.remove(&copy);
            inner.waiters.raw.remove(&copy);
        }
    }

    pub(crate) fn token(&self) -> Option<String> {
        self.inner.lock().client.token().map(str::to_owned)
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::Acquire)
    }

    /// Whether every edit is answered.
    pub(crate) fn is_settled(&self) -> bool {
        *self.pending.borrow() == 0
    }

    /// Says goodbye, if there is somebody to say it to.
    pub(crate) fn say_goodbye(&self) -> bool {
        let mut inner = self.inner.lock();
        inner.client.close();
        inner.client.token().is_some()
    }

    pub(crate) fn set_state(&self, state: SessionState) {
        self.state.send_if_modified(|current| std::mem::replace(current, state) != state);
    }

    /// It is over: whoever waits is told.
    pub(crate) fn finish(&self) {
        let mut inner = self.inner.lock();
        self.closing.store(true, Ordering::Release);
        self.set_state(SessionState::Closed);
        let Inner { client, events, .. } = &mut *inner;
        client.abandon(&closed(), events);
        self.after(&mut inner);
    }

    /// Tells everybody who waits, while the machine is still locked: what they hear comes in order.
    fn after(&self, inner: &mut Inner) -> Verdict {
        let Inner { client, events, waiters, notices } = inner;
        let mut verdict = Verdict::Keep;
        for event in events.drain(..) {
            match event {
                Event::Online { .. } => self.set_state(SessionState::Online),
                Event::Refused { error } => verdict = Verdict::Refused(error),
                Event::Reconnect | Event::Over { .. } => verdict = Verdict::Reconnect,
                Event::Expiring { seconds } => notices.push(Notice::Expiring(seconds)),
                Event::Renewed(result) => notices.push(Notice::Renewed(result)),
                event => waiters.tell(client, event),
            }
        }
        let pending = client.pending_all();
        self.pending.send_if_modified(|current| std::mem::replace(current, pending) != pending);
        verdict
    }

    fn now(&self) -> Now {
        let mono = Millis(self.started.elapsed().as_millis() as u64);
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono, wall: Timestamp(wall.as_millis() as i64) }
    }
}

impl Waiters {
    fn tell(&mut self, client: &mut Client, event: Event) {
        match event {
            Event::Fetched(copy) => {
                if let Some(waiter) = self.fetches.remove(&copy) {
                    let _ = waiter.send(Ok(()));
                }
            }
            Event::Closed { copy, error } => self.closed(copy, error),
            Event::Answered { copy, edit, outcome } => {
                if let Some(waiter) = self.answers.remove(&(copy, edit)) {
                    let _ = waiter.send(outcome);
                }
            }
            Event::Changed { copy, origin, effects } => self.changed(client, copy, origin, effects),
            Event::Raw { copy, news } => {
                let Some(feed) = self.raw.get(&copy) else { return };
                if matches!(news, RawNews::State { .. }) {
                    // Whatever waits is older.
                    feed.replace(Some(news));
                } else if !feed.push(news) {
                    feed.replace(None);
                    client.refresh(copy);
                }
            }
            Event::Online { .. }
            | Event::Refused { .. }
            | Event::Expiring { .. }
            | Event::Renewed(_)
            | Event::Reconnect
            | Event::Over { .. } => {}
        }
    }

    fn changed(&mut self, client: &mut Client, copy: CopyId, origin: Origin, effects: Effects) {
        let Some(watchers) = self.watchers.get_mut(&copy) else { return };
        let effects = Some(Arc::new(effects));
        watchers.retain(Feed::is_shared);
        for watcher in &*watchers {
            if !watcher.push(Seen { origin, effects: effects.clone() }) {
                watcher.replace(Some(Seen { origin: Origin::Server, effects: None }));
            }
        }
        if watchers.is_empty() {
            self.watchers.remove(&copy);
            client.watch(copy, false);
        }
    }

    fn closed(&mut self, copy: CopyId, error: Rejection) {
        if let Some(waiter) = self.fetches.remove(&copy) {
            let _ = waiter.send(Err(error));
        }
        self.watchers.remove(&copy).iter().flatten().for_each(Feed::end);
        if let Some(feed) = self.raw.remove(&copy) {
            feed.end();
        }
    }
}

fn closed() -> Rejection {
    Rejection::message("the session is closed")
}
