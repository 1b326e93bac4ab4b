//! Whether what is stored is what was written.

use jetstream_core::ids::Revision;
use jetstream_core::scope::{Entry, encode_state};
use serde::Serialize;

use super::{Lines, OperationError, Operations};
use crate::storage::past::{Commits, Summaries, rebuild};
use crate::storage::{Moment, Snapshot, StorageError, Stored, StoredScope};

/// What was found out about a scope.
#[derive(Serialize)]
struct VerifyLine<'a> {
    scope: &'a str,
    revision: u64,
    snapshots: usize,
    commits: usize,
    /// What is wrong; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    damage: Option<String>,
}

/// Something that is wrong with what the records stand in.
#[derive(Serialize)]
struct FindingLine<'a> {
    finding: &'a str,
}

/// What was looked at.
#[derive(Default)]
struct Seen {
    revision: Revision,
    snapshots: usize,
    commits: usize,
}

impl Operations {
    /// Reads everything that is stored of scopes, which checks every checksum, and replays each log from
    /// snapshot to snapshot: each must say what the log before it leads to. Of all scopes, the store also looks
    /// at its files. A damaged scope does not end the search.
    pub(super) async fn verify(
        &self,
        scope: Option<&str>,
        out: &Lines,
    ) -> Result<(), OperationError> {
        let mut damaged = 0;
        if let Some(scope) = scope {
            damaged += usize::from(self.verify_scope(&self.key(scope), out).await?);
        } else {
            let mut scopes = Summaries::of(&*self.storage);
            while let Some(summary) = scopes.next().await? {
                let key = self.key(summary.name);
                damaged += usize::from(self.verify_scope(&key, out).await?);
            }
        }
        let findings = match scope {
            Some(_) => Vec::new(),
            None => self.storage.check().await?,
        };
        for finding in &findings {
            out.say(&FindingLine { finding }).await?;
        }
        let scopes = match damaged {
            0 if findings.is_empty() => return Ok(()),
            0 => return Err(OperationError("the store's files are damaged".to_owned())),
            1 => "1 scope is damaged".to_owned(),
            damaged => format!("{damaged} scopes are damaged"),
        };
        Err(OperationError(scopes))
    }

    /// Tells whether the scope is damaged.
    async fn verify_scope(&self, key: &StoredScope, out: &Lines) -> Result<bool, OperationError> {
        let mut seen = Seen::default();
        let damage = match self.replay(key, &mut seen).await {
            Ok(()) => None,
            Err(StorageError::Damaged { what, .. }) => Some(what),
            Err(StorageError::Unfit(what)) => Some(what),
            // That is no property of the scope.
            Err(error) => return Err(error.into()),
        };
        let is_damaged = damage.is_some();
        let Seen { revision, snapshots, commits } = seen;
        let (scope, revision) = (key.name.as_str(), revision.0);
        out.say(&VerifyLine { scope, revision, snapshots, commits, damage }).await?;
        Ok(is_damaged)
    }

    async fn replay(&self, key: &StoredScope, seen: &mut Seen) -> Result<(), StorageError> {
        let Some(stored) = self.storage.load(key).await? else {
            return Err(StorageError::damaged(&key.name, "it is not stored"));
        };
        seen.revision = stored.revision();
        seen.commits = stored.entries.iter().filter_map(Entry::commit).count();
        seen.snapshots = 1;
        let mut newer = stored.snapshot.clone();
        rebuild(stored, key).await?;
        while let Some(older) = self.snapshot_before(key, &newer).await? {
            seen.snapshots += 1;
            seen.commits += self.compare(key, &older, &newer).await?;
            newer = older;
        }
        Ok(())
    }

    async fn snapshot_before(
        &self,
        key: &StoredScope,
        newer: &Snapshot,
    ) -> Result<Option<Snapshot>, StorageError> {
        let Some(before) = newer.revision.0.checked_sub(1) else { return Ok(None) };
        self.storage.snapshot_at(key, Moment::Revision(Revision(before))).await
    }

    /// Whether the log leads from one snapshot to the next; how many commits it takes.
    async fn compare(
        &self,
        key: &StoredScope,
        older: &Snapshot,
        newer: &Snapshot,
    ) -> Result<usize, StorageError> {
        let mut commits = Commits::after(&*self.storage, key, older.revision);
        let mut entries = Vec::new();
        while let Some(past) = commits.next().await?
            && past.commit.revision <= newer.revision
        {
            entries.push(Entry::Commit(past.commit));
        }
        let count = entries.len();
        let led_to = rebuild(Stored { snapshot: older.clone(), entries }, key).await?;
        let said = rebuild(Stored { snapshot: newer.clone(), entries: Vec::new() }, key).await?;
        if led_to.revision != said.revision {
            let (last, said) = (led_to.revision, said.revision);
            let what = format!("the log ends at revision {last} before the snapshot of {said}");
            return Err(StorageError::damaged(&key.name, what));
        }
        if encode_state(&led_to.graph) != encode_state(&said.graph) {
            let (from, to) = (older.revision, newer.revision);
            let what =
                format!("from revision {from} the log does not lead to the snapshot of {to}");
            return Err(StorageError::damaged(&key.name, what));
        }
        Ok(count)
    }
}
