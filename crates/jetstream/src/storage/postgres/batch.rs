//! A batch: everything that waits, written in one transaction and sent in one go.
//!
//! `BEGIN`, the statements and `COMMIT` leave without waiting for each other's answers. A statement that
//! finds something other than it expects ends the transaction, and then the `COMMIT` behind it commits
//! nothing.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Error, Statement};

use super::problem::Problem;
use super::work::{Append, LetterRow, Place, SessionRow, Work};

/// The statements of batches, prepared on one connection.
pub(super) struct Statements {
    hold: Statement,
    append: Statement,
    save: Statement,
    forget: Statement,
    snapshot: Statement,
    trim_log: Statement,
    trim_snapshots: Statement,
    remove: Statement,
    follow: Statement,
    advance: Statement,
    letter: Statement,
    drop_letters: Statement,
    add_schema: Statement,
}

impl Statements {
    pub(super) async fn prepare(client: &Client) -> Result<Self, Problem> {
        Ok(Self {
            hold: client.prepare(HOLD).await?,
            append: client.prepare(APPEND).await?,
            save: client.prepare(SAVE).await?,
            forget: client.prepare(FORGET).await?,
            snapshot: client.prepare(SNAPSHOT).await?,
            trim_log: client.prepare(TRIM_LOG).await?,
            trim_snapshots: client.prepare(TRIM_SNAPSHOTS).await?,
            remove: client.prepare(REMOVE).await?,
            follow: client.prepare(FOLLOW).await?,
            advance: client.prepare(ADVANCE).await?,
            letter: client.prepare(LETTER).await?,
            drop_letters: client.prepare(DROP_LETTERS).await?,
            add_schema: client.prepare(ADD_SCHEMA).await?,
        })
    }
}

/// Writes `works` as the batch of this number: all of them or none.
///
/// # Errors
///
/// [`Problem::Lost`] leaves it open whether it was stored; after every other problem nothing was.
pub(super) async fn write(
    client: &Client,
    statements: &Statements,
    (epoch, batch): (i64, i64),
    works: &[&Work],
) -> Result<(), Problem> {
    let merged = Merged::of(works);
    let columns = AppendColumns::of(&merged.appends);
    let sessions = SessionColumns::of(&merged.sessions);
    let mut steps = Steps::new(client);
    steps.command("BEGIN");
    steps.run(&statements.hold, vec![&epoch, &batch]);
    if !merged.appends.is_empty() {
        steps.run(&statements.append, columns.parameters());
    }
    if !sessions.saved.is_empty() {
        let SessionColumns { saved, tokens, records, sums, .. } = &sessions;
        steps.run(&statements.save, vec![saved, tokens, records, sums]);
    }
    if !sessions.forgotten.is_empty() {
        steps.run(&statements.forget, vec![&sessions.forgotten]);
    }
    for work in &merged.others {
        steps.other(statements, work);
    }
    steps.command("COMMIT");
    steps.carry_out().await
}

/// What can be said of many calls in one statement, and the rest.
#[derive(Default)]
struct Merged<'a> {
    appends: Vec<&'a Append>,
    /// What becomes of each session: the last word counts.
    sessions: BTreeMap<&'a str, Option<&'a SessionRow>>,
    others: Vec<&'a Work>,
}

impl<'a> Merged<'a> {
    fn of(works: &[&'a Work]) -> Self {
        let mut merged = Self::default();
        for work in works {
            match work {
                Work::Append(append) => merged.appends.push(append),
                Work::SaveSessions(rows) => {
                    merged.sessions.extend(rows.iter().map(|row| (row.id.as_str(), Some(row))));
                }
                Work::ForgetSessions(ids) => {
                    merged.sessions.extend(ids.iter().map(|id| (id.as_str(), None)));
                }
                other => merged.others.push(other),
            }
        }
        merged
    }
}

/// Appends, column by column.
#[derive(Default)]
struct AppendColumns<'a> {
    scopes: Vec<&'a str>,
    afters: Vec<i64>,
    entries: Vec<i64>,
    versions: Vec<i64>,
    firsts: Vec<Option<i64>>,
    lasts: Vec<Option<i64>>,
    times: Vec<Option<i64>>,
    records: Vec<&'a str>,
    sums: Vec<i64>,
}

impl<'a> AppendColumns<'a> {
    fn of(appends: &[&'a Append]) -> Self {
        let mut columns = Self::default();
        for append in appends {
            columns.scopes.push(&append.scope);
            columns.afters.push(append.after);
            columns.entries.push(append.entries);
            columns.versions.push(append.version);
            columns.firsts.push(append.commits.map(|commits| commits.first));
            columns.lasts.push(append.commits.map(|commits| commits.last));
            columns.times.push(append.commits.map(|commits| commits.time));
            columns.records.push(&append.record.text);
            columns.sums.push(append.record.crc.into());
        }
        columns
    }

    fn parameters(&self) -> Parameters<'_> {
        vec![
            &self.scopes,
            &self.afters,
            &self.entries,
            &self.versions,
            &self.firsts,
            &self.lasts,
            &self.times,
            &self.records,
            &self.sums,
        ]
    }
}

/// Sessions, column by column.
#[derive(Default)]
struct SessionColumns<'a> {
    saved: Vec<&'a str>,
    tokens: Vec<&'a [u8]>,
    records: Vec<&'a str>,
    sums: Vec<i64>,
    forgotten: Vec<&'a str>,
}

impl<'a> SessionColumns<'a> {
    fn of(sessions: &BTreeMap<&'a str, Option<&'a SessionRow>>) -> Self {
        let mut columns = Self::default();
        for (id, row) in sessions {
            match row {
                Some(row) => {
                    columns.saved.push(id);
                    columns.tokens.push(&row.token);
                    columns.records.push(&row.record.text);
                    columns.sums.push(row.record.crc.into());
                }
                None => columns.forgotten.push(id),
            }
        }
        columns
    }
}

type Parameters<'a> = Vec<&'a (dyn ToSql + Sync)>;
type Step<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// Statements that leave in order, before the first of them is answered.
struct Steps<'a> {
    client: &'a Client,
    steps: Vec<Step<'a>>,
}

impl<'a> Steps<'a> {
    fn new(client: &'a Client) -> Self {
        Self { client, steps: Vec::new() }
    }

    fn command(&mut self, sql: &'a str) {
        let client = self.client;
        self.steps.push(Box::pin(client.batch_execute(sql)));
    }

    fn run(&mut self, statement: &'a Statement, parameters: Parameters<'a>) {
        let client = self.client;
        self.steps.push(Box::pin(async move {
            client.execute(statement, &parameters).await.map(|_| ())
        }));
    }

    fn other(&mut self, statements: &'a Statements, work: &'a Work) {
        match work {
            Work::Snapshot {
                scope,
                place: Place { position, revision, time, version, crc },
                text,
            } => {
                let parameters: Parameters<'_> =
                    vec![scope, position, revision, time, text, crc, version];
                self.run(&statements.snapshot, parameters);
            }
            Work::Trim { scope, position } => {
                self.run(&statements.trim_log, vec![scope, position]);
                self.run(&statements.trim_snapshots, vec![scope, position]);
            }
            Work::RemoveScope { scope } => self.run(&statements.remove, vec![scope]),
            Work::Follow { scope, consumer } => {
                self.run(&statements.follow, vec![scope, consumer]);
            }
            Work::Advance { scope, consumer, revision, failing_since, letter } => {
                self.run(&statements.advance, vec![scope, consumer, revision, failing_since]);
                if let Some(LetterRow { after, time, key, why, text, crc }) = letter {
                    let parameters: Parameters<'_> =
                        vec![consumer, scope, after, revision, time, key, why, text, crc];
                    self.run(&statements.letter, parameters);
                }
            }
            Work::DropLetters(letters) => self.run(&statements.drop_letters, vec![letters]),
            Work::AddSchema { version, text } => {
                self.run(&statements.add_schema, vec![version, text]);
            }
            Work::Append(_) | Work::SaveSessions(_) | Work::ForgetSessions(_) => {
                unreachable!("these were merged")
            }
        }
    }

    /// The first problem is the one that says why: behind it everything fails.
    async fn carry_out(self) -> Result<(), Problem> {
        let mut steps = self.steps;
        let mut results: Vec<Option<Result<(), Error>>> = steps.iter().map(|_| None).collect();
        poll_fn(|context| {
            // Each is sent when it is polled for the first time, so the order of polling is that of sending.
            for (step, result) in steps.iter_mut().zip(&mut results) {
                if result.is_none()
                    && let Poll::Ready(answer) = step.as_mut().poll(context)
                {
                    *result = Some(answer);
                }
            }
            if results.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        let problem = results.into_iter().flatten().find_map(Result::err);
        problem.map_or(Ok(()), |error| Err(error.into()))
    }
}

/// Counts the batch, and finds out whether the store is still ours.
const HOLD: &str = "
WITH held AS (
    UPDATE jetstream.owner SET batch = $2 WHERE epoch = $1 AND ended IS NULL RETURNING 1
)
SELECT jetstream.demand((SELECT count(*) FROM held) = 1, 'JS001',
                        'another server has taken the store')";

/// Lets the logs of scopes grow, each behind its end.
const APPEND: &str = "
WITH grown AS (
    UPDATE jetstream.scope AS s
    SET position = g.after + g.entries,
        revision = coalesce(g.last, s.revision),
        modified = coalesce(g.time, s.modified)
    FROM unnest($1::text[], $2::int8[], $3::int8[], $4::int8[], $5::int8[], $6::int8[],
                $7::int8[], $8::text[], $9::int8[])
         AS g (name, after, entries, version, first, last, time, record, crc)
    WHERE s.name = g.name AND s.position = g.after AND s.schema_version = g.version
      AND (g.first IS NULL OR s.revision < g.first)
    RETURNING s.id, s.position, g.entries, g.last, g.record, g.crc
), written AS (
    INSERT INTO jetstream.log (scope, position, entries, revision, record, crc)
    SELECT id, position, entries, last, record, crc FROM grown
), told AS (
    UPDATE jetstream.consumer AS c SET behind = true FROM grown
    WHERE c.scope = grown.id AND NOT c.behind AND grown.last IS NOT NULL
)
SELECT jetstream.demand((SELECT count(*) FROM grown) = cardinality($1), 'JS002',
                        'a scope is not stored, or these entries do not go on where it ends')";

const SAVE: &str = "
INSERT INTO jetstream.session (id, token, record, crc)
SELECT * FROM unnest($1::text[], $2::bytea[], $3::text[], $4::int8[])
ON CONFLICT (id) DO UPDATE
SET token = excluded.token, record = excluded.record, crc = excluded.crc";

const FORGET: &str = "DELETE FROM jetstream.session WHERE id = ANY ($1::text[])";

const SNAPSHOT: &str = "
WITH begun AS (
    INSERT INTO jetstream.scope (name, position, revision, modified, schema_version)
    VALUES ($1, $2, $3, $4, $7)
    ON CONFLICT (name) DO NOTHING
    RETURNING id
), there AS (
    UPDATE jetstream.scope AS s
    SET schema_version = CASE
        WHEN $2 >= (SELECT max(position) FROM jetstream.snapshot WHERE scope = s.id) THEN $7
        ELSE s.schema_version END
    WHERE s.name = $1 AND s.position >= $2 AND s.revision >= $3
      AND $2 >= (SELECT min(position) FROM jetstream.snapshot WHERE scope = s.id)
    RETURNING s.id
), known AS (
    SELECT id FROM begun UNION ALL SELECT id FROM there
), written AS (
    INSERT INTO jetstream.snapshot (scope, position, revision, time, record, crc)
    SELECT id, $2, $3, $4, $5, $6 FROM known
    ON CONFLICT (scope, position) DO UPDATE
    SET revision = excluded.revision, time = excluded.time, record = excluded.record,
        crc = excluded.crc
)
SELECT jetstream.demand((SELECT count(*) FROM known) = 1, 'JS002',
                        'this snapshot is not of what is stored')";

const TRIM_LOG: &str = "
DELETE FROM jetstream.log
WHERE scope = (SELECT id FROM jetstream.scope WHERE name = $1) AND position <= $2";

const TRIM_SNAPSHOTS: &str = "
DELETE FROM jetstream.snapshot
WHERE scope = (SELECT id FROM jetstream.scope WHERE name = $1) AND position < $2";

const REMOVE: &str = "
WITH gone AS (DELETE FROM jetstream.scope WHERE name = $1 RETURNING id),
     log AS (DELETE FROM jetstream.log WHERE scope = (SELECT id FROM gone)),
     consumers AS (DELETE FROM jetstream.consumer WHERE scope = (SELECT id FROM gone))
DELETE FROM jetstream.snapshot WHERE scope = (SELECT id FROM gone)";

const ADD_SCHEMA: &str = "INSERT INTO jetstream.model_schema (version, text) VALUES ($1, $2)";

const FOLLOW: &str = "
WITH s AS (SELECT id, revision FROM jetstream.scope WHERE name = $1),
     begun AS (
         INSERT INTO jetstream.consumer (scope, name, scope_name, revision, behind)
         SELECT id, $2, $1, revision, false FROM s
         ON CONFLICT (scope, name) DO NOTHING
     )
SELECT jetstream.demand((SELECT count(*) FROM s) = 1, 'JS002', 'the scope is not stored')";

const ADVANCE: &str = "
WITH moved AS (
    UPDATE jetstream.consumer AS c
    SET revision = $3, failing_since = $4, behind = s.revision > $3
    FROM jetstream.scope AS s
    WHERE s.name = $1 AND c.scope = s.id AND c.name = $2 AND c.revision <= $3
    RETURNING 1
)
SELECT jetstream.demand((SELECT count(*) FROM moved) = 1, 'JS002',
                        'the consumer does not follow the scope, or is further')";

const LETTER: &str = "
INSERT INTO jetstream.letter (consumer, scope, after, revision, time, key, why, record, crc)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

const DROP_LETTERS: &str = "DELETE FROM jetstream.letter WHERE id = ANY ($1::int8[])";
