//! How far consumers have got: what is written of it, and what is read.

use jetstream_core::ids::{Revision, ScopeName, SharedText};
use jetstream_core::time::Timestamp;
use tokio_postgres::Row;

use super::read::{bounded, number};
use super::work::{LetterRow, Work};
use super::{PostgresStorage, key};
use crate::future::BoxFuture;
use crate::storage::record::Place;
use crate::storage::{
    Behind, ConsumerStorage, DeadLetter, LetterId, Progress, StorageError, StoredScope,
};

impl PostgresStorage {
    async fn find_progress(
        &self,
        scope: &ScopeName,
        consumer: &str,
    ) -> Result<Option<Progress>, StorageError> {
        let rows = self.readers.query(PROGRESS, &[&key(scope)?, &consumer]).await?;
        Ok(rows.first().map(|row| Progress {
            revision: Revision(row.get::<_, i64>("revision").unsigned_abs()),
            failing_since: row.get::<_, Option<i64>>("failing_since").map(Timestamp),
        }))
    }

    async fn begin_to_follow(
        &self,
        scope: &ScopeName,
        consumer: &str,
    ) -> Result<Progress, StorageError> {
        if let Some(progress) = self.find_progress(scope, consumer).await? {
            return Ok(progress);
        }
        let work = Work::Follow { scope: key(scope)?, consumer: consumer.to_owned() };
        self.write(work).await?;
        let progress = self.find_progress(scope, consumer).await?;
        progress.ok_or_else(|| StorageError::unknown(scope))
    }

    async fn note_progress(
        &self,
        scope: &ScopeName,
        consumer: &str,
        progress: Progress,
        letter: Option<(DeadLetter, SharedText)>,
    ) -> Result<(), StorageError> {
        let row = |(letter, text): (DeadLetter, SharedText)| {
            Ok::<_, StorageError>(LetterRow {
                after: number(letter.after.0)?,
                time: letter.time.0,
                crc: Place::Letter(&letter.scope, letter.revision).crc(&text).into(),
                key: letter.key,
                why: letter.why,
                text: text.to_string(),
            })
        };
        self.write(Work::Advance {
            scope: key(scope)?,
            consumer: consumer.to_owned(),
            revision: number(progress.revision.0)?,
            failing_since: progress.failing_since.map(|time| time.0),
            letter: letter.map(row).transpose()?,
        })
        .await
    }

    async fn read_letter(&self, letter: LetterId) -> Result<Option<SharedText>, StorageError> {
        let rows = self.readers.query(LETTER_TEXT, &[&number(letter.0)?]).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        let scope = ScopeName::from(row.get::<_, &str>("scope"));
        let revision = Revision(row.get::<_, i64>("revision").unsigned_abs());
        let (text, crc): (&str, i64) = (row.get("record"), row.get("crc"));
        if i64::from(Place::Letter(&scope, revision).crc(text)) != crc {
            return Err(StorageError::Failed(format!("the dead letter {letter} is damaged")));
        }
        Ok(Some(text.into()))
    }
}

impl ConsumerStorage for PostgresStorage {
    fn follow<'a>(
        &'a self,
        scope: &'a ScopeName,
        consumer: &'a str,
    ) -> BoxFuture<'a, Result<Progress, StorageError>> {
        Box::pin(self.begin_to_follow(scope, consumer))
    }

    fn progress<'a>(
        &'a self,
        scope: &'a ScopeName,
        consumer: &'a str,
    ) -> BoxFuture<'a, Result<Option<Progress>, StorageError>> {
        Box::pin(self.find_progress(scope, consumer))
    }

    fn advance<'a>(
        &'a self,
        scope: &'a ScopeName,
        consumer: &'a str,
        progress: Progress,
        letter: Option<(DeadLetter, SharedText)>,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        Box::pin(self.note_progress(scope, consumer, progress, letter))
    }

    fn behind<'a>(
        &'a self,
        consumer: &'a str,
        after: Option<&'a ScopeName>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<Behind>, StorageError>> {
        Box::pin(async move {
            let after = after.map(ToString::to_string);
            let rows =
                self.readers.query(BEHIND, &[&consumer, &after, &bounded(max as u64)]).await?;
            let behind = |row: &Row| Behind {
                scope: row.get::<_, &str>("scope_name").into(),
                got: Revision(row.get::<_, i64>("revision").unsigned_abs()),
                last: Revision(row.get::<_, i64>("last").unsigned_abs()),
            };
            Ok(rows.iter().map(behind).collect())
        })
    }

    fn past_begins<'a>(
        &'a self,
        scope: &'a StoredScope,
    ) -> BoxFuture<'a, Result<Option<Revision>, StorageError>> {
        Box::pin(async move {
            let rows = self.readers.query(PAST_BEGINS, &[&key(&scope.name)?]).await?;
            Ok(rows.first().map(|row| Revision(row.get::<_, i64>(0).unsigned_abs())))
        })
    }

    fn letters(
        &self,
        after: Option<LetterId>,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<(LetterId, DeadLetter)>, StorageError>> {
        Box::pin(async move {
            let after = bounded(after.map_or(0, |after| after.0));
            let rows = self.readers.query(LETTERS, &[&after, &bounded(max as u64)]).await?;
            Ok(rows.iter().map(letter).collect())
        })
    }

    fn letter_text(
        &self,
        letter: LetterId,
    ) -> BoxFuture<'_, Result<Option<SharedText>, StorageError>> {
        Box::pin(self.read_letter(letter))
    }

    fn drop_letters<'a>(
        &'a self,
        letters: &'a [LetterId],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let letters = letters.iter().map(|letter| bounded(letter.0)).collect();
        Box::pin(self.write(Work::DropLetters(letters)))
    }
}

fn letter(row: &Row) -> (LetterId, DeadLetter) {
    let number = |column: &str| row.get::<_, i64>(column).unsigned_abs();
    let letter = DeadLetter {
        consumer: row.get("consumer"),
        scope: row.get::<_, &str>("scope").into(),
        after: Revision(number("after")),
        revision: Revision(number("revision")),
        time: Timestamp(row.get("time")),
        key: row.get("key"),
        why: row.get("why"),
    };
    (LetterId(number("id")), letter)
}

const PROGRESS: &str = "
SELECT c.revision, c.failing_since
FROM jetstream.consumer AS c JOIN jetstream.scope AS s ON s.id = c.scope
WHERE s.name = $1 AND c.name = $2";

const BEHIND: &str = "
SELECT c.scope_name, c.revision, s.revision AS last
FROM jetstream.consumer AS c JOIN jetstream.scope AS s ON s.id = c.scope
WHERE c.behind AND c.name = $1 AND ($2::text IS NULL OR c.scope_name > $2)
ORDER BY c.scope_name LIMIT $3";

const PAST_BEGINS: &str = "
SELECT n.revision
FROM jetstream.snapshot AS n JOIN jetstream.scope AS s ON s.id = n.scope
WHERE s.name = $1 ORDER BY n.position LIMIT 1";

const LETTERS: &str = "
SELECT id, consumer, scope, after, revision, time, key, why FROM jetstream.letter
WHERE id > $1 ORDER BY id LIMIT $2";

const LETTER_TEXT: &str = "SELECT scope, revision, record, crc FROM jetstream.letter WHERE id = $1";
