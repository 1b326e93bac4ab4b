//! What SQLite says when something goes wrong, sorted by whose matter it is.

use jetstream_core::ids::ScopeName;
use rusqlite::ErrorCode;

use super::super::StorageError;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// The disk has no room.
    Full(String),
    /// The disk does not do what it is told.
    Disk(String),
    /// What is read is not what was written.
    Damaged(String),
    /// Not our file, or not of this version.
    Foreign(String),
    /// The question was wrong.
    Refused(StorageError),
}

impl Trouble {
    /// Whether the whole transaction is lost, and not only the part of one scope.
    pub(super) const fn concerns_all(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Disk(_))
    }

    /// What a caller is told, who asked about this scope.
    pub(super) fn of(self, scope: Option<&ScopeName>) -> StorageError {
        match (self, scope) {
            (Self::Full(what), _) => StorageError::Full(what),
            (Self::Refused(error), _) => error,
            (Self::Damaged(what), Some(scope)) => StorageError::damaged(scope, what),
            (Self::Disk(what) | Self::Damaged(what) | Self::Foreign(what), _) => {
                StorageError::Failed(what)
            }
        }
    }
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full(what) => write!(f, "no space is left: {what}"),
            Self::Disk(what) | Self::Damaged(what) | Self::Foreign(what) => f.write_str(what),
            Self::Refused(error) => error.fmt(f),
        }
    }
}

impl From<StorageError> for Trouble {
    fn from(error: StorageError) -> Self {
        Self::Refused(error)
    }
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        let text = match error.sqlite_error() {
            Some(code) => format!("{error} (SQLite {})", code.extended_code),
            None => error.to_string(),
        };
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(text),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(text),
            // A type or a row that cannot be is damage, too: only we write these tables.
            None => Self::Damaged(text),
            Some(ErrorCode::ConstraintViolation) => Self::Damaged(text),
            Some(_) => Self::Disk(text),
        }
    }
}

impl From<std::io::Error> for Trouble {
    fn from(error: std::io::Error) -> Self {
        match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                Self::Full(error.to_string())
            }
            _ => Self::Disk(error.to_string()),
        }
    }
}
