//! Connections to the database, one by one and in a pool.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use tokio::task::JoinHandle;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row};

use super::address::PostgresAddress;
use super::problem::Problem;

/// A connection of its own.
pub(super) struct Connection {
    pub(super) client: Client,
    /// The process of the database that serves it.
    pub(super) process: i32,
    driver: JoinHandle<Result<(), tokio_postgres::Error>>,
}

impl Connection {
    /// Ready when the connection is gone, with what was said.
    pub(super) async fn gone(&mut self) -> Problem {
        match (&mut self.driver).await {
            Ok(Err(error)) => match Problem::from(error) {
                problem @ Problem::Lost(_) => problem,
                other => Problem::Lost(other.to_string()),
            },
            Ok(Ok(())) => Problem::Lost("the connection was closed".to_owned()),
            Err(failed) => Problem::Lost(format!("the connection's task failed: {failed}")),
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Otherwise a connection that does not answer would hang on until the system gives it up.
        self.driver.abort();
    }
}

/// Connects, and sees to it that what is committed is durable.
pub(super) async fn connect(address: &PostgresAddress) -> Result<Connection, Problem> {
    let encryption = address.trust.encryption();
    let (client, connection) = address.config.connect(encryption).await?;
    let driver = tokio::spawn(connection);
    let row = client.query_one(DURABLY, &[]).await?;
    Ok(Connection { process: row.get(0), client, driver })
}

/// Connections for reading, as many as are needed up to a bound.
#[derive(Clone)]
pub(super) struct Readers(Pool);

impl Readers {
    pub(super) fn new(address: &PostgresAddress) -> Result<Self, Problem> {
        let config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let encryption = address.trust.encryption();
        let manager = Manager::from_config(address.config.clone(), encryption, config);
        let pool = Pool::builder(manager)
            .max_size(READERS_MAX)
            .runtime(Runtime::Tokio1)
            .wait_timeout(Some(WAIT_MAX))
            .create_timeout(Some(WAIT_MAX))
            .build();
        pool.map(Self).map_err(|error| Problem::Unusable(error.to_string()))
    }

    /// Asks, and asks again if the connection was one that had died in the pool.
    pub(super) async fn query(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Problem> {
        match self.ask(sql, parameters).await {
            Err(Problem::Lost(_)) => self.ask(sql, parameters).await,
            answered => answered,
        }
    }

    async fn ask(
        &self,
        sql: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, Problem> {
        let client: Object = self.0.get().await.map_err(|error| Problem::from_pool(&error))?;
        let statement = client.prepare_cached(sql).await?;
        Ok(client.query(&statement, parameters).await?)
    }
}

impl Problem {
    fn from_pool(error: &deadpool_postgres::PoolError) -> Self {
        use deadpool_postgres::PoolError;
        match error {
            PoolError::Backend(error) => Self::Lost(super::problem::describe(error)),
            other => Self::Failing(other.to_string()),
        }
    }
}

/// Whoever set the database up may not mind losing the last half second; what is told as stored must be.
/// A stronger setting than the usual one is left as it is.
const DURABLY: &str = "
SELECT pg_backend_pid(),
       CASE WHEN current_setting('synchronous_commit') = 'off'
            THEN set_config('synchronous_commit', 'on', false) END";

/// How many connections read at a time. Scopes are read when they are opened, which is rare; a database
/// has about a hundred connections for everybody.
const READERS_MAX: usize = 8;

/// How long a reader waits for its connection.
const WAIT_MAX: Duration = Duration::from_secs(10);
