//! A client that writes all the time and remembers what it was told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jetstream_client::{Connector, NotApplied, Session, TypedScope};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::board::{Board, Mark, Tally, View};
use crate::campaign::fetch;
use crate::link::Patient;

/// One client.
pub(crate) struct Author {
    pub(crate) name: String,
    session: Session,
    /// How often its session was begun.
    begun: Arc<AtomicUsize>,
    next: u64,
}

/// What became of the marks and counts of one author on one board.
#[derive(Debug, Default)]
struct Told {
    /// The marks, and whether the server said that they are there.
    marks: BTreeMap<u64, Result<(), String>>,
    /// The last count that the server said is there.
    count: Option<u64>,
    /// What the server refused although nothing is wrong with it.
    refused: Vec<String>,
    /// How many counts were refused because the store was away.
    not_saved: usize,
    /// What the server should have refused.
    wrong: Vec<String>,
}

/// An author at work on a board.
pub(crate) struct Work {
    pub(crate) board: TypedScope<Board>,
    told: Arc<Mutex<Told>>,
    stop: watch::Sender<bool>,
    task: JoinHandle<u64>,
}

impl Author {
    pub(crate) async fn join(name: &str, url: &str, up: watch::Receiver<bool>) -> Self {
        let (link, begun) = Patient::new(url, up);
        let session = Connector::over(link).longest_wait(WAIT_MAX).connect().await.unwrap();
        Self { name: name.to_owned(), session, begun, next: 0 }
    }

    /// Begins to write on a board.
    pub(crate) async fn begin(&self, board: &str) -> Work {
        let board = fetch(&self.session, board).await;
        let told = Arc::new(Mutex::new(Told::default()));
        let (stop, stopped) = watch::channel(false);
        let task =
            tokio::spawn(write(self.name.clone(), self.next, board.clone(), told.clone(), stopped));
        Work { board, told, stop, task }
    }

    /// Lets an author finish: everything that was written is answered then.
    pub(crate) async fn finish(&mut self, work: Work) -> (Finished, TypedScope<Board>) {
        work.stop.send_replace(true);
        self.next = work.task.await.unwrap();
        let told = std::mem::take(&mut *work.told.lock());
        (Finished { author: self.name.clone(), told }, work.board)
    }

    /// Sessions outlive servers: there is never a second one.
    pub(crate) fn sessions(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }
}

/// Marks, counts, and a call that is refused; several under way at a time.
async fn write(
    author: String,
    mut number: u64,
    board: TypedScope<Board>,
    told: Arc<Mutex<Told>>,
    mut stop: watch::Receiver<bool>,
) -> u64 {
    let tally = loop {
        let tally = Tally { author: author.clone(), count: 0.0 };
        match board.update(|board| board.tallies_mut().push(tally)).unwrap().await {
            Ok(tally) => break tally,
            Err(error) => assert!(is_not_saved(&error.to_string()), "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    let mut answering = JoinSet::new();
    while !*stop.borrow_and_update() {
        number += 1;
        let this = number;
        let mark = Mark { author: author.clone(), number: number as f64 };
        let marked = board.update(|board| board.marks_mut().push(mark)).unwrap();
        let answers = told.clone();
        answering.spawn(async move {
            let answer = marked.await.map(|_| ()).map_err(|error| error.to_string());
            answers.lock().marks.insert(this, answer);
        });
        let counted = board
            .update(|board| board.find(tally).map(|mut tally| tally.set_count(this as f64)))
            .unwrap();
        let answers = told.clone();
        answering.spawn(async move {
            match counted.await {
                Ok(_) => {
                    let count = &mut answers.lock().count;
                    // Whoever waited may be told in any order.
                    *count = (*count).max(Some(this));
                }
                Err(error) if is_not_saved(&error.to_string()) => answers.lock().not_saved += 1,
                Err(error) => answers.lock().refused.push(format!("count {this}: {error}")),
            }
        });
        if number.is_multiple_of(5) {
            refused(format!("{number} by {author}"), &board, told.clone(), &mut answering);
        }
        // A handful under way at a time: then there is always something half done, and no heap of it.
        while board.pending() > UNDER_WAY_MAX && !*stop.borrow_and_update() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
        while answering.try_join_next().is_some() {}
    }
    answering.join_all().await;
    number
}

/// A call that does not keep to its constraints: it must be refused, before a crash and after it.
fn refused(
    title: String,
    board: &TypedScope<Board>,
    told: Arc<Mutex<Told>>,
    answering: &mut JoinSet<()>,
) {
    let called = board.call("Board.retitle", |board| board.set_title(title)).unwrap();
    answering.spawn(async move {
        match called.await {
            Err(NotApplied::Refused(_)) => {}
            other => told.lock().wrong.push(format!("a forbidden call was answered {other:?}")),
        }
    });
}

/// What one author was told about one board.
#[derive(Debug)]
pub(crate) struct Finished {
    author: String,
    told: Told,
}

impl Finished {
    /// What on the board is other than its author was told.
    pub(crate) fn compare(&self, view: &View) -> Vec<String> {
        let author = &self.author;
        let found = view.marks(author);
        let mut wrong = self.told.wrong.clone();
        wrong.extend(self.told.refused.iter().map(|refused| format!("{author}'s {refused}")));
        for (number, answer) in &self.told.marks {
            let times = found.iter().filter(|mark| *mark == number).count();
            match (answer, times) {
                (Ok(()), 1) => {}
                (Ok(()), 0) => wrong.push(format!("{author}'s mark {number} is gone")),
                (Ok(()), times) => {
                    wrong.push(format!("{author}'s mark {number} is there {times} times"))
                }
                (Err(error), 0) if is_not_saved(error) => {}
                (Err(error), times) => wrong.push(format!(
                    "{author}'s mark {number} was refused, and is there {times} times: {error}"
                )),
            }
        }
        let unknown = found.iter().filter(|mark| !self.told.marks.contains_key(mark));
        wrong.extend(unknown.map(|mark| format!("{author}'s mark {mark} has had no answer")));
        // A mark that was put behind one that was refused stands at the end, also behind later ones.
        if !found.is_sorted() && self.not_saved() == 0 {
            wrong.push(format!("{author}'s marks are out of order: {found:?}"));
        }
        if view.tally(author) != self.told.count.or(Some(0)) {
            let (found, told) = (view.tally(author), self.told.count);
            wrong.push(format!("{author}'s count is {found:?}, and {told:?} was acknowledged"));
        }
        if !view.title().is_empty() {
            wrong.push(format!("the title {:?} was refused, and is there", view.title()));
        }
        wrong
    }

    /// How many changes were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.told.marks.values().filter(|answer| answer.is_ok()).count()
    }

    /// How many changes were refused because the store was away.
    pub(crate) fn not_saved(&self) -> usize {
        let marks = self.told.marks.values().filter_map(|answer| answer.as_ref().err());
        self.told.not_saved + marks.filter(|error| is_not_saved(error)).count()
    }
}

/// Whether the server said that its store is away: what it cannot keep, it does not take.
fn is_not_saved(error: &str) -> bool {
    error.contains("not saved: ")
}

/// How many changes of one author wait for their answer at most.
const UNDER_WAY_MAX: usize = 12;

/// How long a client waits at most before it connects again: connections that live for a moment only would
/// make it more and more patient.
const WAIT_MAX: Duration = Duration::from_millis(100);
