//! How far consumers have got: what is written of it, and what is read.

use jetstream_core::ids::{Revision, ScopeName, SharedText};
use jetstream_core::time::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::super::consumers::cannot_advance;
use super::super::record::{Place, Record};
use super::super::{
    Behind, ConsumerStorage, DeadLetter, LetterId, Progress, StorageError, StoredScope,
};
use super::EmbeddedStorage;
use super::change::{Change, Changes};
use super::head;
use super::key;
use super::trouble::Trouble;
use crate::future::BoxFuture;

/// How far a consumer has got, with what it did not take.
#[derive(Debug)]
pub(super) struct Advance {
    pub(super) scope: ScopeName,
    pub(super) consumer: String,
    pub(super) progress: Progress,
    pub(super) letter: Option<(DeadLetter, Record)>,
}

impl Changes {
    /// Lets a consumer follow a scope, from its end on, unless it does already.
    pub(super) fn follow(
        &mut self,
        db: &Connection,
        scope: &ScopeName,
        consumer: &str,
    ) -> Result<(), Trouble> {
        let (id, revision) = self.end(db, scope)?.ok_or_else(|| StorageError::unknown(scope))?;
        let insert = "INSERT INTO consumers(scope, name, scope_name, revision, behind)
                      VALUES(?1, ?2, ?3, ?4, 0) ON CONFLICT DO NOTHING";
        let made = db.prepare_cached(insert)?.execute(params![
            id,
            consumer,
            scope.as_str(),
            revision.0 as i64
        ])?;
        if made > 0 {
            self.has_caught_up(scope);
        }
        Ok(())
    }

    pub(super) fn advance(&mut self, db: &Connection, advance: &Advance) -> Result<(), Trouble> {
        let Advance { scope, consumer, progress, letter } = advance;
        let refused = || cannot_advance(scope, consumer, *progress);
        let (id, last) = self.end(db, scope)?.ok_or_else(refused)?;
        let behind = progress.revision < last;
        let update = "UPDATE consumers SET revision = ?3, failing_since = ?4, behind = ?5
                      WHERE scope = ?1 AND name = ?2 AND revision <= ?3";
        let updated = db.prepare_cached(update)?.execute(params![
            id,
            consumer,
            progress.revision.0 as i64,
            progress.failing_since.map(|time| time.0),
            behind,
        ])?;
        if updated == 0 {
            return Err(refused().into());
        }
        if !behind {
            self.has_caught_up(scope);
        }
        match letter {
            Some((letter, record)) => keep(db, letter, record),
            None => Ok(()),
        }
    }
}

fn keep(db: &Connection, letter: &DeadLetter, record: &Record) -> Result<(), Trouble> {
    let DeadLetter { consumer, scope, after, revision, time, key, why } = letter;
    db.prepare_cached(
        "INSERT INTO letters(consumer, scope, after, revision, time, key, why, crc, record)
         VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
    )?
    .execute(params![
        consumer,
        scope.as_str(),
        after.0 as i64,
        revision.0 as i64,
        time.0,
        key,
        why,
        record.crc,
        record.text.as_bytes(),
    ])?;
    Ok(())
}

/// That a scope has more for all that follow it. Their rows are only touched when they had everything.
pub(super) fn fall_behind(db: &Connection, scope: i64) -> Result<(), Trouble> {
    let update = "UPDATE consumers SET behind = 1 WHERE scope = ?1 AND NOT behind";
    db.prepare_cached(update)?.execute([scope])?;
    Ok(())
}

/// Whether somebody follows a scope who has everything.
pub(super) fn somebody_has_all(db: &Connection, scope: i64) -> Result<bool, Trouble> {
    let query = "SELECT EXISTS(SELECT 1 FROM consumers WHERE scope = ?1 AND NOT behind)";
    Ok(db.prepare_cached(query)?.query_row([scope], |row| row.get(0))?)
}

pub(super) fn forget_consumers(db: &Connection, scope: i64) -> Result<(), Trouble> {
    db.prepare_cached("DELETE FROM consumers WHERE scope = ?1")?.execute([scope])?;
    Ok(())
}

pub(super) fn drop_letters(db: &Connection, letters: &[LetterId]) -> Result<(), Trouble> {
    let mut forget = db.prepare_cached("DELETE FROM letters WHERE id = ?1")?;
    for letter in letters {
        forget.execute([letter.0 as i64])?;
    }
    Ok(())
}

fn progress(
    db: &Connection,
    scope: &ScopeName,
    consumer: &str,
) -> Result<Option<Progress>, Trouble> {
    let Some(head) = head::find(db, scope)? else { return Ok(None) };
    let query = "SELECT revision, failing_since FROM consumers WHERE scope = ?1 AND name = ?2";
    let found = db.prepare_cached(query)?.query_row(params![head.scope, consumer], |row| {
        let revision = Revision(row.get::<_, i64>(0)? as u64);
        let failing_since = row.get::<_, Option<i64>>(1)?.map(Timestamp);
        Ok(Progress { revision, failing_since })
    });
    Ok(found.optional()?)
}

fn behind(
    db: &Connection,
    consumer: &str,
    after: Option<&ScopeName>,
    max: usize,
) -> Result<Vec<Behind>, Trouble> {
    let query = "SELECT scope_name, revision,
                        ifnull((SELECT revision FROM scopes WHERE id = consumers.scope), revision)
                 FROM consumers WHERE behind AND name = ?1 AND (scope_name > ?2 OR ?3)
                 ORDER BY scope_name LIMIT ?4";
    let mut statement = db.prepare_cached(query)?;
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let from = after.map_or("", ScopeName::as_str);
    let behind = statement.query_map(params![consumer, from, after.is_none(), max], |row| {
        let revision = |at| Ok::<_, rusqlite::Error>(Revision(row.get::<_, i64>(at)? as u64));
        let scope = ScopeName::from(row.get::<_, String>(0)?);
        Ok(Behind { scope, got: revision(1)?, last: revision(2)? })
    })?;
    Ok(behind.collect::<Result<_, _>>()?)
}

fn past_begins(db: &Connection, scope: &ScopeName) -> Result<Option<Revision>, Trouble> {
    let Some(head) = head::find(db, scope)? else { return Ok(None) };
    let query = "SELECT revision FROM snapshots WHERE id >= ?1 AND id < ?2 ORDER BY id LIMIT 1";
    let range = [key::first(head.scope), key::end(head.scope)];
    let oldest = db.prepare_cached(query)?.query_row(range, |row| row.get::<_, i64>(0));
    Ok(oldest.optional()?.map(|revision| Revision(revision as u64)))
}

fn letters(
    db: &Connection,
    after: Option<LetterId>,
    max: usize,
) -> Result<Vec<(LetterId, DeadLetter)>, Trouble> {
    let query = "SELECT id, consumer, scope, after, revision, time, key, why FROM letters
                 WHERE id > ?1 ORDER BY id LIMIT ?2";
    let mut statement = db.prepare_cached(query)?;
    let max = i64::try_from(max).unwrap_or(i64::MAX);
    let from = after.map_or(0, |after| after.0 as i64);
    let letters = statement.query_map(params![from, max], |row| {
        let letter = DeadLetter {
            consumer: row.get(1)?,
            scope: row.get::<_, String>(2)?.into(),
            after: Revision(row.get::<_, i64>(3)? as u64),
            revision: Revision(row.get::<_, i64>(4)? as u64),
            time: Timestamp(row.get(5)?),
            key: row.get(6)?,
            why: row.get(7)?,
        };
        Ok((LetterId(row.get::<_, i64>(0)? as u64), letter))
    })?;
    Ok(letters.collect::<Result<_, _>>()?)
}

fn letter_text(db: &Connection, letter: LetterId) -> Result<Option<SharedText>, Trouble> {
    let query = "SELECT scope, revision, crc, record FROM letters WHERE id = ?1";
    let found = db.prepare_cached(query)?.query_row([letter.0 as i64], |row| {
        let (scope, revision) = (row.get::<_, String>(0)?, row.get::<_, i64>(1)? as u64);
        Ok((scope, Revision(revision), row.get::<_, u32>(2)?, row.get::<_, Vec<u8>>(3)?))
    });
    let Some((scope, revision, crc, record)) = found.optional()? else { return Ok(None) };
    let damaged = || Trouble::Damaged(format!("the dead letter {letter}"));
    let text = String::from_utf8(record).map_err(|_| damaged())?;
    if Place::Letter(&scope.into(), revision).crc(&text) != crc {
        return Err(damaged());
    }
    Ok(Some(text.into()))
}

impl ConsumerStorage for EmbeddedStorage {
    fn follow<'a>(
        &'a self,
        scope: &'a ScopeName,
        consumer: &'a str,
    ) -> BoxFuture<'a, Result<Progress, StorageError>> {
        Box::pin(async move {
            if let Some(progress) = self.progress(scope, consumer).await? {
                return Ok(progress);
            }
            self.change(Change::Follow { scope: scope.clone(), consumer: consumer.to_owned() })
                .await?;
            let progress = self.progress(scope, consumer).await?;
            progress.ok_or_else(|| StorageError::unknown(scope))
        })
    }

    fn progress<'a>(
        &'a self,
        scope: &'a ScopeName,
        consumer: &'a str,
    ) -> BoxFuture<'a, Result<Option<Progress>, StorageError>> {
        let (scope, consumer) = (scope.clone(), consumer.to_owned());
        Box::pin(self.ask(Some(scope.clone()), move |db| progress(db, &scope, &consumer)))
    }

    fn advance<'a>(
        &'a self,
        scope: &'a ScopeName,
        consumer: &'a str,
        progress: Progress,
        letter: Option<(DeadLetter, SharedText)>,
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let letter = letter.map(|(letter, text)| {
            let record = Place::Letter(&letter.scope, letter.revision).seal(text.to_string());
            (letter, record)
        });
        let (scope, consumer) = (scope.clone(), consumer.to_owned());
        let advance = Advance { scope, consumer, progress, letter };
        Box::pin(async move { self.change(Change::Advance(advance)).await.map(drop) })
    }

    fn behind<'a>(
        &'a self,
        consumer: &'a str,
        after: Option<&'a ScopeName>,
        max: usize,
    ) -> BoxFuture<'a, Result<Vec<Behind>, StorageError>> {
        let (consumer, after) = (consumer.to_owned(), after.cloned());
        Box::pin(self.ask(None, move |db| behind(db, &consumer, after.as_ref(), max)))
    }

    fn past_begins<'a>(
        &'a self,
        scope: &'a StoredScope,
    ) -> BoxFuture<'a, Result<Option<Revision>, StorageError>> {
        let name = scope.name.clone();
        Box::pin(self.ask(Some(name.clone()), move |db| past_begins(db, &name)))
    }

    fn letters(
        &self,
        after: Option<LetterId>,
        max: usize,
    ) -> BoxFuture<'_, Result<Vec<(LetterId, DeadLetter)>, StorageError>> {
        Box::pin(self.ask(None, move |db| letters(db, after, max)))
    }

    fn letter_text(
        &self,
        letter: LetterId,
    ) -> BoxFuture<'_, Result<Option<SharedText>, StorageError>> {
        Box::pin(self.ask(None, move |db| letter_text(db, letter)))
    }

    fn drop_letters<'a>(
        &'a self,
        letters: &'a [LetterId],
    ) -> BoxFuture<'a, Result<(), StorageError>> {
        let letters = letters.to_vec();
        Box::pin(async move { self.change(Change::DropLetters(letters)).await.map(drop) })
    }
}
