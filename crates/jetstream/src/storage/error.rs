//! What a store could not do, and whether it can at present.

use jetstream_core::ids::ScopeName;

/// Why a store did not do what it was asked. Whatever it is, nothing of it was done, nor will it be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// There is no room.
    #[error("storage: no space is left: {0}")]
    Full(String),
    /// The disk, or the way to the store, failed.
    #[error("storage: {0}")]
    Failed(String),
    /// The store takes nothing until it is [`StorageHealth::Good`] again.
    #[error("storage: read-only: {0}")]
    ReadOnly(String),
    /// What is stored of a scope is not what was written. Other scopes are not concerned.
    #[error("storage: the scope {scope:?} is damaged: {what}")]
    Damaged {
        /// Which.
        scope: ScopeName,
        /// What was found.
        what: String,
    },
    /// What is stored does not fit the models.
    #[error("storage: {0}")]
    Unfit(String),
    /// The question broke the contract: a mistake of ours, or a second writer.
    #[error("storage: {0}")]
    Refused(String),
}

impl StorageError {
    /// That a scope has no snapshot.
    pub fn unknown(scope: &ScopeName) -> Self {
        Self::Refused(format!("no scope {scope:?} is stored"))
    }

    /// Whether the same question may be answered later: the store is away or has no room, and nothing is
    /// wrong with what was asked or with what is stored.
    pub const fn may_pass(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Failed(_) | Self::ReadOnly(_))
    }

    /// That something of a scope is not as it was written.
    pub fn damaged(scope: &ScopeName, what: impl Into<String>) -> Self {
        Self::Damaged { scope: scope.clone(), what: what.into() }
    }
}

/// Whether a store takes what it is given.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum StorageHealth {
    /// It does.
    #[default]
    Good,
    /// It can be read, and refuses everything that would change it, until it has found out by itself that
    /// it can be written again.
    ReadOnly {
        /// In plain words for the operator.
        why: String,
    },
}

impl StorageHealth {
    /// Whether it takes what it is given.
    pub fn is_good(&self) -> bool {
        *self == Self::Good
    }
}
