//! The one task that writes: what waits together goes into one transaction.
//!
//! Whatever happens to the connection, a call is answered only when it is known what became of it. Who is
//! in doubt waits until the store is ours again: then the number of the last batch that was stored says
//! it, and nothing that the lost connection may have had under way can come afterwards.

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use tokio_postgres::Client;

use super::address::PostgresAddress;
use super::batch::{self, Statements};
use super::owner::{self, Instance, Ownership};
use super::problem::Problem;
use super::work::Work;
use crate::storage::{StorageError, StorageHealth};

/// What one call wants written.
pub(super) struct Order {
    pub(super) work: Work,
    pub(super) answer: oneshot::Sender<Result<(), StorageError>>,
}

/// Owns the store and writes into it.
pub(super) struct Writer {
    address: PostgresAddress,
    instance: Instance,
    calls: mpsc::Receiver<Order>,
    health: watch::Sender<StorageHealth>,
    /// The last batch that was begun.
    batch: i64,
}

/// A connection that has the store.
struct Holding {
    ownership: Ownership,
    statements: Statements,
}

/// What wakes the writer.
enum Event {
    /// So many calls have come; none: the store was dropped.
    Calls(usize),
    /// The connection is gone.
    Gone(Problem),
}

/// How an ownership ends.
enum End {
    /// The store was dropped.
    Dropped,
    /// The connection is gone. Of these calls nobody knows what became of them.
    Lost { why: String, in_doubt: Vec<Order>, process: i32 },
    /// Another server has the store.
    Taken(String),
}

impl Writer {
    pub(super) fn new(
        address: PostgresAddress,
        instance: Instance,
        calls: mpsc::Receiver<Order>,
        health: watch::Sender<StorageHealth>,
    ) -> Self {
        Self { address, instance, calls, health, batch: 0 }
    }

    /// Writes until the store is dropped.
    pub(super) async fn run(mut self, ownership: Ownership) {
        let mut next = Some(ownership);
        while let Some(ownership) = next {
            next = match self.own(ownership).await {
                End::Dropped => return,
                End::Lost { why, in_doubt, process } => self.regain(&why, in_doubt, process).await,
                End::Taken(why) => {
                    self.report(&why);
                    None
                }
            };
        }
        // The store is another's. Nothing is taken any more; what is there can still be read.
        while let Some(call) = self.calls.recv().await {
            self.refuse(call);
        }
    }

    /// Writes for as long as the connection lasts.
    async fn own(&mut self, ownership: Ownership) -> End {
        let statements = match Statements::prepare(&ownership.connection.client).await {
            Ok(statements) => statements,
            Err(problem) => return lost(&ownership, problem.to_string(), Vec::new()),
        };
        let mut holding = Holding { ownership, statements };
        self.health
            .send_if_modified(|health| !std::mem::replace(health, StorageHealth::Good).is_good());
        let mut calls = Vec::new();
        loop {
            match self.next_event(&mut holding, &mut calls).await {
                Event::Calls(0) => return End::Dropped,
                Event::Calls(_) => {}
                Event::Gone(problem) => {
                    return lost(&holding.ownership, problem.to_string(), Vec::new());
                }
            }
            if let Err(end) = self.write_all(&holding, std::mem::take(&mut calls)).await {
                return end;
            }
        }
    }

    async fn next_event(&mut self, holding: &mut Holding, calls: &mut Vec<Order>) -> Event {
        tokio::select! {
            biased;
            problem = holding.ownership.connection.gone() => Event::Gone(problem),
            count = self.calls.recv_many(calls, BATCH_CALLS_MAX) => Event::Calls(count),
        }
    }

    /// Writes calls in batches of a bounded size.
    async fn write_all(&mut self, holding: &Holding, calls: Vec<Order>) -> Result<(), End> {
        let mut waiting = calls.into_iter().peekable();
        while waiting.peek().is_some() {
            let mut bytes = 0;
            let mut group = Vec::new();
            while let Some(call) = waiting
                .next_if(|call| group.is_empty() || bytes + call.work.bytes() <= BATCH_BYTES_MAX)
            {
                bytes += call.work.bytes();
                group.push(call);
            }
            if let Err(end) = self.write_group(holding, group).await {
                // What was not sent is not stored; it need not wait for what is in doubt.
                self.set_read_only(end.why());
                waiting.for_each(|call| self.refuse(call));
                return Err(end);
            }
        }
        Ok(())
    }

    /// Writes calls as one batch, or, if one of them cannot be written, each by itself: one scope's
    /// mistake is not another's.
    async fn write_group(&mut self, holding: &Holding, group: Vec<Order>) -> Result<(), End> {
        let works: Vec<&Work> = group.iter().map(|call| &call.work).collect();
        match self.write(holding, &works).await {
            Err(problem) if group.len() > 1 && !problem.concerns_all() => {
                let mut rest = group.into_iter();
                while let Some(call) = rest.next() {
                    let written = self.write(holding, &[&call.work]).await;
                    if let Err(end) = self.answer(holding, written, vec![call]).await {
                        rest.for_each(|call| self.refuse(call));
                        return Err(end);
                    }
                }
                Ok(())
            }
            written => self.answer(holding, written, group).await,
        }
    }

    async fn write(&mut self, holding: &Holding, works: &[&Work]) -> Result<(), Problem> {
        self.batch += 1;
        let Ownership { connection, epoch, .. } = &holding.ownership;
        let number = (*epoch, self.batch);
        let written = batch::write(&connection.client, &holding.statements, number, works);
        self.attentively(written).await
    }

    /// Waits for the database, and says so if it takes long. Meanwhile nothing more is taken.
    async fn attentively(
        &mut self,
        work: impl Future<Output = Result<(), Problem>>,
    ) -> Result<(), Problem> {
        let mut work = pin!(work);
        if let Ok(done) = tokio::time::timeout(ANSWER_MAX, &mut work).await {
            return done;
        }
        let was_good = self.health.borrow().is_good();
        self.set_read_only("the database does not answer");
        let done = self.refusing_until(work).await;
        if was_good && done.is_some() {
            self.health.send_replace(StorageHealth::Good);
        }
        done.unwrap_or_else(|| Err(Problem::Lost(DROPPED.to_owned())))
    }

    /// Waits for `work`, and refuses what comes meanwhile. `None`: the store was dropped, and nobody waits.
    async fn refusing_until<T>(&mut self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        loop {
            let call = tokio::select! {
                biased;
                done = &mut work => return Some(done),
                call = self.calls.recv() => call?,
            };
            self.refuse(call);
        }
    }

    /// Says what became of calls that went into one batch.
    async fn answer(
        &mut self,
        holding: &Holding,
        written: Result<(), Problem>,
        calls: Vec<Order>,
    ) -> Result<(), End> {
        match written {
            Err(Problem::Lost(why)) => Err(lost(&holding.ownership, why, calls)),
            Err(problem @ Problem::Taken(_)) => {
                let error = StorageError::from(problem.clone());
                self.set_read_only(&problem.to_string());
                calls.into_iter().for_each(|call| drop(call.answer.send(Err(error.clone()))));
                Err(End::Taken(problem.to_string()))
            }
            Err(problem) if problem.concerns_all() => {
                self.report(&problem.to_string());
                let error = StorageError::from(problem);
                calls.into_iter().for_each(|call| drop(call.answer.send(Err(error.clone()))));
                self.wait_for_room(holding).await
            }
            written => {
                let answer = written.map_err(StorageError::from);
                calls.into_iter().for_each(|call| drop(call.answer.send(answer.clone())));
                Ok(())
            }
        }
    }

    /// Tries from time to time whether the database takes something again.
    async fn wait_for_room(&mut self, holding: &Holding) -> Result<(), End> {
        let client = &holding.ownership.connection.client;
        loop {
            let probed = async {
                sleep(PROBE_EVERY).await;
                probe(client).await
            };
            match self.refusing_until(probed).await.ok_or(End::Dropped)? {
                Ok(()) => break,
                Err(Problem::Lost(why)) => {
                    return Err(lost(&holding.ownership, why, Vec::new()));
                }
                Err(problem) => self.set_read_only(&problem.to_string()),
            }
        }
        tracing::info!("the database takes what it is given again");
        self.health.send_replace(StorageHealth::Good);
        Ok(())
    }

    /// Gets the store back, and then answers those that are in doubt. `None`: it is another server's.
    async fn regain(&mut self, why: &str, in_doubt: Vec<Order>, process: i32) -> Option<Ownership> {
        self.report(why);
        let (address, instance) = (self.address.clone(), self.instance.clone());
        let regained = reconnect(&address, &instance, process);
        let (regained, stored) = self.refusing_until(regained).await?;
        let answer = if stored >= self.batch && !in_doubt.is_empty() {
            Ok(())
        } else {
            Err(StorageError::Failed(why.to_owned()))
        };
        in_doubt.into_iter().for_each(|call| drop(call.answer.send(answer.clone())));
        match regained {
            Ok(ownership) => {
                tracing::info!(epoch = ownership.epoch, "the database is there again");
                Some(ownership)
            }
            Err(taken) => {
                self.report(&taken);
                None
            }
        }
    }

    fn report(&self, why: &str) {
        tracing::error!(why, "the store is read-only");
        self.set_read_only(why);
    }

    fn set_read_only(&self, why: &str) {
        self.health.send_replace(StorageHealth::ReadOnly { why: why.to_owned() });
    }

    fn refuse(&self, call: Order) {
        let why = match &*self.health.borrow() {
            StorageHealth::ReadOnly { why } => why.clone(),
            StorageHealth::Good => "the database is not reached".to_owned(),
        };
        let _ = call.answer.send(Err(StorageError::ReadOnly(why)));
    }
}

impl End {
    fn why(&self) -> &str {
        match self {
            Self::Dropped => DROPPED,
            Self::Lost { why, .. } | Self::Taken(why) => why,
        }
    }
}

fn lost(ownership: &Ownership, why: String, in_doubt: Vec<Order>) -> End {
    End::Lost { why, in_doubt, process: ownership.connection.process }
}

/// Whether the database takes something.
async fn probe(client: &Client) -> Result<(), Problem> {
    let probed = client.batch_execute(PROBE).await;
    client.batch_execute("ROLLBACK").await?;
    Ok(probed?)
}

/// Tries until the store is ours again, or known to be another's; and the last batch that was stored.
async fn reconnect(
    address: &PostgresAddress,
    instance: &Instance,
    process: i32,
) -> (Result<Ownership, String>, i64) {
    let mut pause = PAUSE_MIN;
    loop {
        let taken = match owner::retake(address, instance, process).await {
            Ok(ownership) => {
                let stored = ownership.batch;
                return (Ok(ownership), stored);
            }
            Err(Problem::Taken(why)) => Some(why),
            Err(problem) => {
                tracing::debug!(%problem, "the database is still not reached");
                None
            }
        };
        if let Some(why) = taken
            && let Ok(stored) = owner::last_batch(address, instance).await
        {
            return (Err(why), stored);
        }
        sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// How many calls go into one transaction: enough for all that come while one is under way, and not so
/// many that the first of them waits long.
const BATCH_CALLS_MAX: usize = 256;

/// How many bytes of records go into one transaction, unless one call alone has more.
const BATCH_BYTES_MAX: usize = 4 << 20;

/// How long the database may take before writers are told that it does not answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// How often a database that took nothing is asked whether it does again.
const PROBE_EVERY: Duration = Duration::from_millis(500);

/// The pauses between attempts to connect: short at first, as most databases that restart are back soon,
/// and never so long that an operator would wait for it.
const PAUSE_MIN: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Takes room for a moment, more than a scope's next changes would, and in a file of its own: the pages that
/// are there already may have some left.
const PROBE: &str = "
BEGIN;
TRUNCATE jetstream.probe;
INSERT INTO jetstream.probe
SELECT string_agg(md5(random()::text), '') FROM generate_series(1, 64), generate_series(1, 64) AS row
GROUP BY row;";

const DROPPED: &str = "the store was dropped";
