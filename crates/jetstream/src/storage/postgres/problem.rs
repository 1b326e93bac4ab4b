//! What a database can answer besides what it was asked for, and what that means for a store.

use std::io;

use tokio_postgres::error::{Error, Severity, SqlState};

use crate::storage::StorageError;

/// Why something was not done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Problem {
    /// The connection is gone. If a commit was under way, nobody here knows what became of it.
    Lost(String),
    /// There is no room, or the disk fails. Nothing was done; later it may be possible again.
    Full(String),
    /// The database takes nothing for another reason that may pass. Nothing was done.
    Failing(String),
    /// The question broke the store's contract.
    Refused(String),
    /// Another server has the store.
    Taken(String),
    /// It will not become better by waiting: a wrong password, a missing privilege.
    Unusable(String),
}

impl Problem {
    /// Whether it is one of the database, not of the question.
    pub(super) const fn concerns_all(&self) -> bool {
        !matches!(self, Self::Refused(_) | Self::Unusable(_))
    }

    /// Whether another attempt to connect may succeed.
    pub(super) const fn may_pass(&self) -> bool {
        matches!(self, Self::Lost(_) | Self::Full(_) | Self::Failing(_))
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Lost(text)
            | Self::Full(text)
            | Self::Failing(text)
            | Self::Refused(text)
            | Self::Taken(text)
            | Self::Unusable(text) => f.write_str(text),
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        let text = describe(&error);
        let Some(answer) = error.as_db_error() else {
            return if error.is_closed() || is_broken(&error) {
                Self::Lost(text)
            } else {
                Self::Unusable(text)
            };
        };
        let code = answer.code();
        if *code == SqlState::from_code(TAKEN) {
            return Self::Taken(text);
        }
        if *code == SqlState::from_code(REFUSED) {
            return Self::Refused(answer.message().to_owned());
        }
        // After these the connection ends, and they may come when the commit is done already.
        if matches!(answer.parsed_severity(), Some(Severity::Fatal | Severity::Panic)) {
            return if is_about_who_we_are(code) { Self::Unusable(text) } else { Self::Lost(text) };
        }
        match code.code() {
            "53100" | "53200" => Self::Full(text),
            // A standby, or a database that was told to take nothing.
            "25006" => Self::Failing(text),
            code => match &code[..2] {
                // Resources, operators, the system below it, damage.
                "53" | "57" | "58" | "XX" => Self::Failing(text),
                // Deadlocks, which there are none of, and somebody else's locks.
                "40" | "55" => Self::Failing(text),
                _ => Self::Unusable(text),
            },
        }
    }
}

impl From<Problem> for StorageError {
    fn from(problem: Problem) -> Self {
        match problem {
            Problem::Full(text) => Self::Full(text),
            Problem::Refused(text) => Self::Refused(text),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Wrong user, wrong password, no such database: answers to a connection that waiting does not change.
fn is_about_who_we_are(code: &SqlState) -> bool {
    matches!(&code.code()[..2], "28" | "3D" | "42")
}

/// Whether it was the way to the database that failed.
fn is_broken(error: &Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // A certificate that is not believed stays so.
            return !matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput
            );
        }
        cause = error.source();
    }
    error.to_string().contains("timeout") || error.to_string().contains("unexpected message")
}

/// What is in an error, its causes included. What a database answers never holds a password.
pub(super) fn describe(error: &Error) -> String {
    if let Some(answer) = error.as_db_error() {
        let detail = answer.detail().map(|detail| format!(" ({detail})")).unwrap_or_default();
        return format!("{}{detail}", answer.message());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// What `jetstream.demand` says when a server does not own the store (any more).
pub(super) const TAKEN: &str = "JS001";

/// What it says when a question broke the contract.
pub(super) const REFUSED: &str = "JS002";
