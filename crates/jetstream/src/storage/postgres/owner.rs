//! Who may write: one server at a time.
//!
//! An advisory lock, held by the connection that writes, keeps a second server from starting, and is let
//! go of by the database when its holder is gone, however that came about. It is no fence: a holder that
//! was cut off may not know yet. The fence is the epoch that every batch has to find in `jetstream.owner`.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use tokio_postgres::Client;

use super::address::PostgresAddress;
use super::connection::{Connection, connect};
use super::migrations::migrate;
use super::problem::Problem;

/// One server, for as long as its process runs.
#[derive(Debug, Clone)]
pub(super) struct Instance {
    id: String,
    holder: String,
}

impl Instance {
    pub(super) fn new() -> Result<Self, Problem> {
        let unusable = |error| Problem::Unusable(format!("no random numbers: {error}"));
        let id = format!("{:016x}", getrandom::u64().map_err(unusable)?);
        Ok(Self { id, holder: format!("process {}", std::process::id()) })
    }
}

/// The right to write, and the connection that it hangs on.
pub(super) struct Ownership {
    pub(super) connection: Connection,
    pub(super) epoch: i64,
    /// The last batch of this process that was stored.
    pub(super) batch: i64,
}

/// Takes the store for a server that starts, and makes its tables.
///
/// Whoever had it may just have been killed: the database needs a moment to see that.
pub(super) async fn take(
    address: &PostgresAddress,
    instance: &Instance,
    patience: Duration,
) -> Result<Ownership, Problem> {
    let until = Instant::now() + patience;
    loop {
        let problem = match attempt(address, instance, None).await {
            Ok(ownership) => return Ok(ownership),
            Err(problem) => problem,
        };
        let worth_waiting = problem.may_pass() || matches!(problem, Problem::Taken(_));
        if !worth_waiting || Instant::now() >= until {
            return Err(problem);
        }
        sleep(BETWEEN_ATTEMPTS).await;
    }
}

/// Takes the store back after the connection was lost: once.
///
/// # Errors
///
/// [`Problem::Taken`] if another server has had it meanwhile: then it is not ours any more.
pub(super) async fn retake(
    address: &PostgresAddress,
    instance: &Instance,
    last: i32,
) -> Result<Ownership, Problem> {
    attempt(address, instance, Some(last)).await
}

/// `last` is the process of the database that served the connection which was lost.
async fn attempt(
    address: &PostgresAddress,
    instance: &Instance,
    last: Option<i32>,
) -> Result<Ownership, Problem> {
    let mut connection = connect(address).await?;
    let client = &mut connection.client;
    if last.is_none() {
        check(client).await?;
    }
    client.batch_execute(FOR_A_LONG_TIME).await?;
    if !lock(client).await? {
        return Err(match last {
            Some(last) => still_locked(client, instance, last).await?,
            None => Problem::Taken(holder(client).await),
        });
    }
    if last.is_none() {
        migrate(client).await?;
    }
    let (epoch, batch) = begin(client, instance, last.is_some()).await?;
    Ok(Ownership { connection, epoch, batch })
}

async fn lock(client: &Client) -> Result<bool, Problem> {
    let row = client.query_one("SELECT pg_try_advisory_lock($1)", &[&LOCK]).await?;
    Ok(row.get(0))
}

/// The lock is another's, or still that of the connection which we lost: that one is ended, with what it
/// may yet be doing.
async fn still_locked(client: &Client, instance: &Instance, last: i32) -> Result<Problem, Problem> {
    let row = client.query_one(END_LOST, &[&last, &LOCK]).await?;
    let (ended, owner): (bool, Option<String>) = (row.get(0), row.get(1));
    if ended || owner.as_deref() == Some(&instance.id) {
        return Ok(Problem::Lost("the lost connection still holds the store".to_owned()));
    }
    Ok(Problem::Taken(holder(client).await))
}

/// Opens an epoch. Whoever still writes in the one before is waited for; whoever comes later is refused.
async fn begin(
    client: &mut Client,
    instance: &Instance,
    again: bool,
) -> Result<(i64, i64), Problem> {
    let transaction = client.transaction().await?;
    let present = transaction.query_opt(PRESENT, &[]).await?;
    let owner: Option<String> = present.as_ref().map(|row| row.get(0));
    if again && owner.as_deref() != Some(&instance.id) {
        return Err(Problem::Taken("another server has had the store meanwhile".to_owned()));
    }
    transaction
        .execute("UPDATE jetstream.owner SET ended = now() WHERE ended IS NULL", &[])
        .await?;
    let row = transaction.query_one(BEGIN, &[&instance.id, &instance.holder]).await?;
    let (epoch, batch) = (row.get(0), row.get(1));
    transaction.execute(FORGET, &[&epoch, &instance.id]).await?;
    transaction.commit().await?;
    Ok((epoch, batch))
}

/// Whether the last batch of this process was stored, asked after another server has taken the store.
pub(super) async fn last_batch(
    address: &PostgresAddress,
    instance: &Instance,
) -> Result<i64, Problem> {
    let connection = connect(address).await?;
    let row = connection.client.query_one(LAST_BATCH, &[&instance.id]).await?;
    Ok(row.get(0))
}

/// Who has the store, for the one who wants it.
async fn holder(client: &Client) -> String {
    let found = client.query_opt(HOLDER, &[]).await.ok().flatten();
    match found {
        Some(row) => format!("another server has the store: {}", row.get::<_, String>(0)),
        None => "another server has the store".to_owned(),
    }
}

/// What a database has to be for what it says to be believed.
async fn check(client: &Client) -> Result<(), Problem> {
    let row = client.query_one(SETTINGS, &[]).await?;
    let version: i32 = row.get(0);
    if version < VERSION_MIN {
        let found: &str = row.get(1);
        return Err(Problem::Unusable(format!("PostgreSQL 14 or later is needed, not {found}")));
    }
    for (setting, value) in [("fsync", row.get::<_, &str>(2)), ("full_page_writes", row.get(3))] {
        if value == "off" {
            let what = "what is stored may be lost or damaged when the database's machine fails";
            tracing::warn!(setting, value, "{what}");
        }
    }
    Ok(())
}

/// The lock's number, the same for all servers of one database: "jetstrea" in letters.
const LOCK: i64 = i64::from_be_bytes(*b"jetstrea");

/// The oldest version that is tested.
const VERSION_MIN: i32 = 140_000;

/// How often a store is tried again that another server has just now.
const BETWEEN_ATTEMPTS: Duration = Duration::from_millis(50);

/// A connection that idles all night is no lost one, and a lost one must not hold the lock for hours.
const FOR_A_LONG_TIME: &str = "
SET idle_session_timeout = 0;
SET tcp_keepalives_idle = 10;
SET tcp_keepalives_interval = 5;
SET tcp_keepalives_count = 3;
SET tcp_user_timeout = 25000;";

const SETTINGS: &str = "
SELECT current_setting('server_version_num')::int, current_setting('server_version'),
       current_setting('fsync'), current_setting('full_page_writes')";

const PRESENT: &str = "SELECT instance FROM jetstream.owner WHERE ended IS NULL FOR UPDATE";

const BEGIN: &str = "
INSERT INTO jetstream.owner (epoch, instance, holder, batch)
SELECT coalesce(max(epoch), 0) + 1, $1,
       $2 || coalesce(' at ' || host(inet_client_addr()), ''),
       coalesce(max(batch) FILTER (WHERE instance = $1), 0)
FROM jetstream.owner
RETURNING epoch, batch";

/// Rows of the past tell people when servers came and went. Ours of before tells us what was stored.
const FORGET: &str =
    "DELETE FROM jetstream.owner WHERE epoch < $1::bigint - 1000 AND instance <> $2";

const LAST_BATCH: &str = "SELECT coalesce(max(batch), 0) FROM jetstream.owner WHERE instance = $1";

const HOLDER: &str = "
SELECT holder || ', since ' || to_char(begun AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') || ' UTC'
FROM jetstream.owner WHERE ended IS NULL";

/// Ends the lost connection if it is that which has the lock, and tells who owns the store.
const END_LOST: &str = "
SELECT coalesce((SELECT bool_or(pg_terminate_backend(pid)) FROM pg_locks
                 WHERE locktype = 'advisory' AND pid = $1 AND granted
                   AND (classid::bigint << 32 | objid::bigint) = $2), false),
       (SELECT instance FROM jetstream.owner WHERE ended IS NULL)";
