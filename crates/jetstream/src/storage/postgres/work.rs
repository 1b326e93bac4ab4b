//! What is to be written, in the database's terms.

use jetstream_core::scope::Entry;

use super::read::number;
use crate::storage::StorageError;
use crate::storage::record::Record;

/// One call that changes something. Each is done as a whole or not at all.
#[derive(Debug, Clone)]
pub(super) enum Work {
    /// Entries for the end of a scope's log.
    Append(Append),
    /// A state of a scope, which makes it known if it is the first.
    Snapshot {
        /// The scope's name.
        scope: String,
        /// What of it is columns.
        place: Place,
        /// Its record.
        text: String,
    },
    /// Everything that only tells what was before the snapshot at this position goes.
    Trim {
        /// The scope's name.
        scope: String,
        /// Where its past begins then.
        position: i64,
    },
    /// A scope goes, with its past.
    RemoveScope {
        /// Its name.
        scope: String,
    },
    /// Sessions as they are now.
    SaveSessions(Vec<SessionRow>),
    /// Sessions that have ended.
    ForgetSessions(Vec<String>),
    /// A consumer follows a scope, from its end on.
    Follow {
        /// The scope's name.
        scope: String,
        /// The consumer's.
        consumer: String,
    },
    /// A consumer has got further.
    Advance {
        /// The scope's name.
        scope: String,
        /// The consumer's.
        consumer: String,
        /// Up to here.
        revision: i64,
        /// Since when it takes nothing.
        failing_since: Option<i64>,
        /// What it did not take.
        letter: Option<LetterRow>,
    },
    /// Dead letters that were looked after.
    DropLetters(Vec<i64>),
    /// A schema that records will be written with.
    AddSchema {
        /// Its number.
        version: i64,
        /// What it says.
        text: String,
    },
}

/// Where in its scope's log a snapshot stands, and its checksum.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) position: i64,
    pub(super) revision: i64,
    pub(super) time: i64,
    /// Of the schema that it is of.
    pub(super) version: i64,
    pub(super) crc: i64,
}

/// Entries of one scope that are stored together.
#[derive(Debug, Clone)]
pub(super) struct Append {
    pub(super) scope: String,
    /// Where the log ends before them.
    pub(super) after: i64,
    pub(super) entries: i64,
    /// Of the schema that they are of.
    pub(super) version: i64,
    /// What is among them of commits.
    pub(super) commits: Option<Commits>,
    pub(super) record: Record,
}

/// Commits that are stored together.
#[derive(Debug, Clone, Copy)]
pub(super) struct Commits {
    pub(super) first: i64,
    pub(super) last: i64,
    /// When the last was made.
    pub(super) time: i64,
}

impl Commits {
    /// Of these entries.
    ///
    /// # Errors
    ///
    /// If their revisions do not rise.
    pub(super) fn of(entries: &[Entry]) -> Result<Option<Self>, StorageError> {
        let mut commits: Option<Self> = None;
        for commit in entries.iter().filter_map(Entry::commit) {
            let revision = number(commit.revision.0)?;
            if let Some(before) = commits.filter(|before| before.last >= revision) {
                let refused = format!("revision {revision} does not come after {}", before.last);
                return Err(StorageError::Refused(refused));
            }
            let first = commits.map_or(revision, |before| before.first);
            commits = Some(Self { first, last: revision, time: commit.time.0 });
        }
        Ok(commits)
    }
}

/// A dead letter's columns.
#[derive(Debug, Clone)]
pub(super) struct LetterRow {
    pub(super) after: i64,
    pub(super) time: i64,
    pub(super) key: String,
    pub(super) why: String,
    pub(super) text: String,
    pub(super) crc: i64,
}

/// A session, and what it is found by.
#[derive(Debug, Clone)]
pub(super) struct SessionRow {
    pub(super) id: String,
    pub(super) token: Vec<u8>,
    pub(super) record: Record,
}

impl Work {
    /// About how much is sent for it.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Self::Append(append) => append.record.text.len(),
            Self::SaveSessions(sessions) => sessions.iter().map(|row| row.record.text.len()).sum(),
            Self::Snapshot { text, .. } | Self::AddSchema { text, .. } => text.len(),
            Self::Advance { letter, .. } => letter.as_ref().map_or(0, |letter| letter.text.len()),
            Self::Trim { .. }
            | Self::RemoveScope { .. }
            | Self::ForgetSessions(_)
            | Self::Follow { .. }
            | Self::DropLetters(_) => 0,
        }
    }
}
