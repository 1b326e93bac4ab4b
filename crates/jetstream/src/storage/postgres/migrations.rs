//! The tables, made and brought up to date when a store is opened.

use tokio_postgres::Client;

use super::problem::Problem;

/// Each brings the tables from the version before to its own; once released, none is ever changed.
const MIGRATIONS: [&str; 2] =
    [include_str!("migrations/0001-store.sql"), include_str!("migrations/0002-consumers.sql")];

/// Brings the tables up to date, all or nothing. The caller owns the store, so nobody else does the same.
pub(super) async fn migrate(client: &mut Client) -> Result<(), Problem> {
    let transaction = client.transaction().await?;
    transaction.batch_execute(BEGINNING).await?;
    let row = transaction.query_one("SELECT max(version) FROM jetstream.migration", &[]).await?;
    let found = row.get::<_, Option<i32>>(0).unwrap_or(0);
    let known = MIGRATIONS.len() as i32;
    if found > known {
        return Err(Problem::Unusable(format!(
            "its tables are of version {found}, and this program knows them up to {known}: a newer one \
             has used them"
        )));
    }
    for (version, sql) in (1..).zip(MIGRATIONS).skip(found as usize) {
        transaction.batch_execute(sql).await?;
        transaction
            .execute("INSERT INTO jetstream.migration (version) VALUES ($1)", &[&version])
            .await?;
        tracing::info!(version, "made the tables of the store");
    }
    Ok(transaction.commit().await?)
}

/// What has to be there before versions can be counted. The schema is only made if it is missing: that
/// needs a privilege which the server should not have to have for ever.
const BEGINNING: &str = "
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_namespace WHERE nspname = 'jetstream') THEN
        CREATE SCHEMA jetstream;
    END IF;
END
$$;
CREATE TABLE IF NOT EXISTS jetstream.migration (
    version integer PRIMARY KEY,
    applied timestamptz NOT NULL DEFAULT now()
);";
