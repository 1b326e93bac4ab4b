//! The task that tells one consumer, and the handle to it.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jetstream_core::ids::{Revision, ScopeName};
use jetstream_core::time::Millis;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::attempt::{Attempted, attempt, hand_over};
use super::notice::Notice;
use super::schedule::{Bounds, Schedule, Turn};
use super::{Consumer, NotTaken, NotifyOptions};
use crate::clock;
use crate::metrics::{ConsumerFigures, Metrics};
use crate::storage::{DeadLetter, Evolution, LetterId, Progress, Storage, StorageError};

/// Tells a consumer of the commits of scopes, from where it stopped before. A handle; clones mean the same. The
/// consumer is told nothing more when all handles are gone, scopes' included.
#[derive(Clone)]
pub struct Notifier(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
    mail: Arc<Mail>,
    orders: mpsc::Sender<Order>,
    /// Until it begins.
    task: Mutex<Option<Box<Task>>>,
}

/// What handles, the task and its attempts know.
pub(super) struct Shared {
    pub(super) name: String,
    pub(super) consumer: Box<dyn Consumer>,
    pub(super) options: NotifyOptions,
    pub(super) storage: Arc<dyn Storage>,
    pub(super) evolution: Arc<Evolution>,
    pub(super) metrics: Metrics,
    pub(super) figures: ConsumerFigures,
    /// How many notices are set aside.
    pub(super) letters: AtomicU64,
    standing: Mutex<Standing>,
}

/// How it stands with a consumer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Why it is told nothing; `None`: it is told.
    pub stopped: Option<String>,
    /// How many scopes have something for it, as far as it is known: at most those that are looked after at a
    /// time.
    pub scopes_behind: usize,
    /// How many commits these have for it together.
    pub commits_behind: u64,
    /// How many notices are set aside.
    pub letters: u64,
}

/// What scopes say to the task. They never wait for it.
#[derive(Default)]
struct Mail {
    woken: Mutex<Woken>,
    news: Notify,
}

#[derive(Default)]
struct Woken {
    scopes: HashMap<ScopeName, Revision>,
    /// More than there was room for: they are in the store's list.
    more: bool,
}

enum Order {
    Resume,
    Stop(oneshot::Sender<()>),
}

/// Why something was not done with a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LetterError {
    /// It is not there.
    #[error("there is no dead letter {0}")]
    Unknown(LetterId),
    /// The consumer has not taken it this time either.
    #[error("it was not taken: {0}")]
    NotTaken(#[from] NotTaken),
    /// The store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Describes a [`Notifier`].
pub struct NotifierBuilder {
    name: String,
    storage: Arc<dyn Storage>,
    evolution: Arc<Evolution>,
    options: NotifyOptions,
    metrics: Metrics,
}

impl NotifierBuilder {
    /// How the consumer is treated.
    #[must_use]
    pub fn options(mut self, options: NotifyOptions) -> Self {
        self.options = options;
        self
    }

    /// Where it counts, if not with the process.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// The notifier, which tells nothing before it [begins](Notifier::begin).
    pub fn build(self, consumer: impl Consumer) -> Notifier {
        let figures = self.metrics.of_consumer(&self.name);
        let shared = Arc::new(Shared {
            name: self.name,
            consumer: Box::new(consumer),
            options: self.options,
            storage: self.storage,
            evolution: self.evolution,
            metrics: self.metrics,
            figures,
            letters: AtomicU64::new(0),
            standing: Mutex::default(),
        });
        let mail = Arc::new(Mail::default());
        let (orders, received) = mpsc::channel(ORDERS_MAX);
        let task = Task::new(shared.clone(), mail.clone(), received);
        Notifier(Arc::new(Handle { shared, mail, orders, task: Mutex::new(Some(Box::new(task))) }))
    }

    /// The same, and it begins.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub fn start(self, consumer: impl Consumer) -> Notifier {
        let notifier = self.build(consumer);
        notifier.begin();
        notifier
    }
}

impl Notifier {
    /// Describes how a consumer is told what is kept in a store. The name is what the store knows it by: with the
    /// same name it goes on where it was.
    pub fn builder(
        name: impl Into<String>,
        storage: Arc<dyn Storage>,
        evolution: Arc<Evolution>,
    ) -> NotifierBuilder {
        let (options, metrics) = (NotifyOptions::default(), Metrics::process());
        NotifierBuilder { name: name.into(), storage, evolution, options, metrics }
    }

    /// The consumer's name.
    pub fn name(&self) -> &str {
        &self.0.shared.name
    }

    /// Begins to tell, with what was left to tell before.
    ///
    /// # Panics
    ///
    /// Outside of a runtime.
    pub fn begin(&self) {
        if let Some(task) = self.0.task.lock().take() {
            tokio::spawn(task.run());
        }
    }

    /// Tells nothing more. What is being told now may end, for some seconds.
    pub async fn stop(&self) {
        self.0.task.lock().take();
        let (stopped, wait) = oneshot::channel();
        if self.0.orders.send(Order::Stop(stopped)).await.is_ok() {
            let _ = wait.await;
        }
    }

    /// How it stands with the consumer.
    pub fn standing(&self) -> Standing {
        let letters = self.0.shared.letters.load(Ordering::Acquire);
        Standing { letters, ..self.0.shared.standing.lock().clone() }
    }

    /// Tells a consumer again that was told nothing any more, and tries at once what is waiting.
    pub async fn resume(&self) {
        // If the task has ended, there is nobody to go on.
        let _ = self.0.orders.send(Order::Resume).await;
    }

    /// The notices of this consumer that are set aside, after one of them, at most `max`.
    ///
    /// # Errors
    ///
    /// The store cannot be read.
    pub async fn letters(
        &self,
        after: Option<LetterId>,
        max: usize,
    ) -> Result<Vec<(LetterId, DeadLetter)>, StorageError> {
        let Shared { storage, name, .. } = &*self.0.shared;
        let (mut after, mut found) = (after, Vec::new());
        loop {
            let page = storage.letters(after, LETTERS_PAGE).await?;
            after = page.last().map(|(id, _)| *id);
            let is_last = page.len() < LETTERS_PAGE;
            found.extend(page.into_iter().filter(|(_, letter)| letter.consumer == *name));
            if is_last || found.len() >= max {
                found.truncate(max);
                return Ok(found);
            }
        }
    }

    /// Tells a notice again that was set aside; taken, it is forgotten.
    ///
    /// # Errors
    ///
    /// It is not there, or not taken: then it stays.
    pub async fn retry(&self, id: LetterId, letter: &DeadLetter) -> Result<(), LetterError> {
        let shared = &*self.0.shared;
        let text = shared.storage.letter_text(id).await?;
        let text = text.ok_or(LetterError::Unknown(id))?;
        hand_over(shared, &Notice::of_letter(letter, text)).await?;
        Ok(self.forget(id).await?)
    }

    /// Forgets a notice that was set aside.
    ///
    /// # Errors
    ///
    /// The store cannot be written.
    pub async fn forget(&self, id: LetterId) -> Result<(), StorageError> {
        let shared = &*self.0.shared;
        if shared.storage.letter_text(id).await?.is_none() {
            return Ok(());
        }
        shared.storage.drop_letters(&[id]).await?;
        let less = |count: u64| Some(count.saturating_sub(1));
        let _ = shared.letters.fetch_update(Ordering::AcqRel, Ordering::Acquire, less);
        shared.figures.letters.set(shared.letters.load(Ordering::Acquire) as i64);
        Ok(())
    }

    /// Lets the consumer follow a scope, before anything of it is committed that it has to know.
    pub(crate) async fn follow(&self, scope: &ScopeName) -> Result<(), StorageError> {
        let Progress { revision, .. } =
            self.0.shared.storage.follow(scope, &self.0.shared.name).await?;
        tracing::trace!(consumer = %self.0.shared.name, %scope, %revision, "follows");
        Ok(())
    }

    /// A scope has stored a commit.
    pub(crate) fn wake(&self, scope: &ScopeName, last: Revision) {
        {
            let Woken { scopes, more } = &mut *self.0.mail.woken.lock();
            let is_full = scopes.len() >= WOKEN_MAX;
            match scopes.get_mut(scope) {
                Some(known) => *known = last.max(*known),
                None if is_full => *more = true,
                None => drop(scopes.insert(scope.clone(), last)),
            }
        }
        self.0.mail.news.notify_one();
    }
}

impl fmt::Debug for Notifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Notifier").field(&self.0.shared.name).finish()
    }
}

/// Tells one consumer.
struct Task {
    shared: Arc<Shared>,
    mail: Arc<Mail>,
    orders: mpsc::Receiver<Order>,
    schedule: Schedule,
    attempts: JoinSet<(Turn, Attempted)>,
    list: List,
    stopped: Option<String>,
}

/// Where the reading of the store's list is.
#[derive(Default)]
struct List {
    under_way: bool,
    cursor: Option<ScopeName>,
    /// It is not read on, or anew, before.
    not_before: Millis,
    /// When the reading began that is under way, or was.
    began: Option<Millis>,
}

/// What wakes the task.
enum Event {
    /// Scopes have something.
    News,
    /// Somebody has something; `None`: nobody holds a handle any more.
    Order(Option<Order>),
    /// A turn is over.
    Done(Turn, Attempted),
    /// Something is due, or figures are to be shown.
    Due,
}

impl Task {
    fn new(shared: Arc<Shared>, mail: Arc<Mail>, orders: mpsc::Receiver<Order>) -> Self {
        let active_max = shared.options.scopes_at_a_time_max.max(1);
        let bounds = Bounds { known_max: SCOPES_KNOWN_MAX.max(2 * active_max), active_max };
        let (schedule, attempts) = (Schedule::new(bounds), JoinSet::new());
        Self { shared, mail, orders, schedule, attempts, list: List::default(), stopped: None }
    }

    async fn run(mut self: Box<Self>) {
        self.count_letters().await;
        loop {
            if self.stopped.is_none() {
                self.read_list().await;
                self.begin_turns();
            }
            self.show();
            match self.next_event().await {
                Event::News => self.hear(),
                Event::Done(turn, Attempted { outcome, stop }) => {
                    self.schedule.done(&turn.scope, outcome);
                    if let Some(why) = stop {
                        self.stop_telling(why);
                    }
                }
                Event::Order(Some(Order::Resume)) => {
                    self.stopped = None;
                    self.schedule.hurry();
                }
                Event::Order(Some(Order::Stop(stopped))) => {
                    self.finish().await;
                    let _ = stopped.send(());
                    return;
                }
                Event::Order(None) => return self.finish().await,
                Event::Due => {}
            }
        }
    }

    /// What an earlier server has set aside.
    async fn count_letters(&mut self) {
        let Shared { storage, name, letters, figures, .. } = &*self.shared;
        let mut after = None;
        loop {
            match storage.letters(after, LETTERS_PAGE).await {
                Ok(page) if page.is_empty() => break,
                Ok(page) => {
                    after = page.last().map(|(id, _)| *id);
                    let ours = page.iter().filter(|(_, letter)| letter.consumer == *name);
                    letters.fetch_add(ours.count() as u64, Ordering::AcqRel);
                }
                Err(error) => {
                    tracing::warn!(consumer = %name, %error, "dead letters cannot be counted");
                    break;
                }
            }
        }
        figures.letters.set(letters.load(Ordering::Acquire) as i64);
    }

    async fn next_event(&mut self) -> Event {
        let due = self.due();
        let Self { mail, orders, attempts, .. } = self;
        tokio::select! {
            biased;
            order = orders.recv() => Event::Order(order),
            Some(done) = attempts.join_next(), if !attempts.is_empty() => match done {
                Ok((turn, attempted)) => Event::Done(turn, attempted),
                // The consumer's panics are caught, and nobody cancels an attempt.
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            },
            () = mail.news.notified() => Event::News,
            () = async {
                match due {
                    Some(at) => tokio::time::sleep_until(clock::instant(at)).await,
                    None => std::future::pending().await,
                }
            } => Event::Due,
        }
    }

    /// When there is something to do even if nothing happens.
    fn due(&self) -> Option<Millis> {
        let now = clock::now().mono;
        let show = (self.schedule.len() > 0).then(|| now.plus(SHOW_EVERY_MS));
        if self.stopped.is_some() {
            return show;
        }
        let list = self.wants_list().then_some(self.list.not_before).filter(|at| *at > now);
        [show, list, self.schedule.deadline()].into_iter().flatten().min()
    }

    /// Takes up what scopes have said.
    fn hear(&mut self) {
        let Woken { scopes, more } = std::mem::take(&mut *self.mail.woken.lock());
        let now = clock::now().wall;
        for (scope, last) in &scopes {
            self.schedule.wake(now, scope, *last);
        }
        if more {
            self.schedule.miss();
        }
    }

    fn wants_list(&self) -> bool {
        self.list.under_way || self.schedule.has_more()
    }

    /// Reads on in the store's list of scopes that have something, as far as there is room.
    async fn read_list(&mut self) {
        while self.wants_list() && clock::now().mono >= self.list.not_before {
            let room = self.schedule.room().min(LIST_PAGE);
            if room == 0 {
                return;
            }
            let now = clock::now().mono;
            if !self.list.under_way {
                self.schedule.take_more();
                self.list = List { under_way: true, began: Some(now), ..List::default() };
            }
            let Shared { storage, name, .. } = &*self.shared;
            match storage.behind(name, self.list.cursor.as_ref(), room).await {
                Ok(page) => {
                    for behind in &page {
                        self.schedule.list(&behind.scope, behind.got, behind.last);
                    }
                    self.list.cursor = page.last().map(|behind| behind.scope.clone());
                    if page.len() < room {
                        self.list.under_way = false;
                        // Whatever fails must not make it be read again and again.
                        let began = self.list.began.unwrap_or(now);
                        self.list.not_before = began.plus(LIST_EVERY_MS);
                    }
                }
                Err(error) => {
                    tracing::warn!(consumer = %name, %error, "cannot read what is left to tell");
                    self.list.not_before = now.plus(LIST_PAUSE_MS);
                }
            }
        }
    }

    fn begin_turns(&mut self) {
        while let Some(turn) = self.schedule.take(clock::now().mono) {
            let shared = self.shared.clone();
            self.attempts.spawn(async move {
                let attempted = attempt(&shared, &turn).await;
                (turn, attempted)
            });
        }
    }

    fn stop_telling(&mut self, why: String) {
        if self.stopped.is_none() {
            tracing::error!(consumer = %self.shared.name, %why, "is told nothing until it is resumed");
        }
        self.stopped = Some(why);
    }

    /// Lets what is being told end.
    async fn finish(&mut self) {
        let ended = async { while self.attempts.join_next().await.is_some() {} };
        if timeout(STOP_PATIENCE, ended).await.is_err() {
            self.attempts.shutdown().await;
        }
    }

    fn show(&self) {
        let Shared { figures, standing, .. } = &*self.shared;
        let now = clock::now().wall;
        let age = self.schedule.oldest().map_or(0, |oldest| now.0.saturating_sub(oldest.0));
        figures.scopes_behind.set(self.schedule.len() as i64);
        figures.lag_revisions.set(self.schedule.lag() as i64);
        figures.lag_seconds.set(age.max(0) / 1000);
        figures.stopped.set(i64::from(self.stopped.is_some()));
        *standing.lock() = Standing {
            stopped: self.stopped.clone(),
            scopes_behind: self.schedule.len(),
            commits_behind: self.schedule.lag(),
            letters: 0,
        };
    }
}

/// How many scopes are known to have something for a consumer. The others are in the store's list; this many take
/// a megabyte or two.
const SCOPES_KNOWN_MAX: usize = 4096;

/// How many scopes may say that they have something while the task does something else.
const WOKEN_MAX: usize = 16_384;

/// How many of the store's list are read at a time.
const LIST_PAGE: usize = 256;

/// How many dead letters are read at a time.
const LETTERS_PAGE: usize = 1000;

/// The list is not read from its beginning more often.
const LIST_EVERY_MS: u64 = 10_000;

/// How long a store is left alone whose list could not be read.
const LIST_PAUSE_MS: u64 = 1_000;

/// How often figures are brought up to date while there is something to tell.
const SHOW_EVERY_MS: u64 = 1_000;

/// How long what is being told may take at the end.
const STOP_PATIENCE: Duration = Duration::from_secs(5);

/// How many orders wait. They come from people.
const ORDERS_MAX: usize = 8;
