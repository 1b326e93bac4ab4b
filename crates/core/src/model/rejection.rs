//! Why a request, or one fragment of it, was refused.

use std::fmt;

use crate::limits::Limit;

/// The machine-readable part of an error, as `protocol.md` lists it.
///
/// One table from variant to wire text, so that no text is written twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The first message was no proper `SessionCreate`.
    UnrecognizedHandshake,
    /// The client's protocol version is not one that this server speaks.
    UnsupportedVersion,
    /// No session was named or created in time.
    SessionEstablishTimedout,
    /// No session has this token.
    SessionTokenUnrecognized,
    /// The application refused without a more specific reason.
    Rejected,
    /// Who the client is could not be established.
    Unauthorized,
    /// The client may not do this.
    Forbidden,
    /// The session has no scope with this index.
    ScopeIndexNotFound,
    /// The ChangeSet, or this fragment of it, could not be applied.
    CouldNotApplySyncMessage,
    /// Another fragment of the same atomic ChangeSet failed.
    TransactionAborted,
    /// A validator refused it.
    ValidationFailed,
    /// The procedure's constraints do not admit it.
    ConstraintFailed,
    /// The procedure's action failed.
    ProcedureFailed,
    /// Too many requests.
    RateLimited,
    /// A limit on size was exceeded.
    TooLarge,
    /// The server is at fault.
    Internal,
}

impl ErrorCode {
    /// The `type` that stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnrecognizedHandshake => "unrecognized-handshake",
            Self::UnsupportedVersion => "unsupported-version",
            Self::SessionEstablishTimedout => "session-establish-timedout",
            Self::SessionTokenUnrecognized => "session-token-unrecognized",
            Self::Rejected => "rejected",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden => "forbidden",
            Self::ScopeIndexNotFound => "scope-index-not-found",
            Self::CouldNotApplySyncMessage => "could-not-apply-sync-message",
            Self::TransactionAborted => "transaction-aborted",
            Self::ValidationFailed => "validation-failed",
            Self::ConstraintFailed => "constraint-failed",
            Self::ProcedureFailed => "procedure-failed",
            Self::RateLimited => "rate-limited",
            Self::TooLarge => "too-large",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal that goes back to who asked: `{"message": …, "type"?: …}` on the wire.
///
/// The type is a text because applications have types of their own; the server's own come from
/// [`ErrorCode`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    /// The machine-readable reason, if there is one.
    pub code: Option<std::borrow::Cow<'static, str>>,
    /// In plain words what was wrong and where, for a person.
    pub message: String,
    /// The bound that was met, for those who count. It does not go over the wire.
    pub limit: Option<Limit>,
}

impl Rejection {
    /// A refusal with one of the protocol's own reasons.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code: Some(code.as_str().into()), message: message.into(), limit: None }
    }

    /// More than a bound on sizes and numbers allows. The message gets the bound's name.
    pub fn beyond(limit: Limit, message: impl fmt::Display) -> Self {
        let message = format!("{message} ({})", limit.name());
        Self { limit: Some(limit), ..Self::new(ErrorCode::TooLarge, message) }
    }

    /// Too fast. The message gets the bound's name.
    pub fn too_fast(limit: Limit, message: impl fmt::Display) -> Self {
        Self { code: Some(ErrorCode::RateLimited.as_str().into()), ..Self::beyond(limit, message) }
    }

    /// A fragment that cannot be applied, the most common reason.
    pub fn fragment(message: impl Into<String>) -> Self {
        Self::new(ErrorCode::CouldNotApplySyncMessage, message)
    }

    /// A refusal in plain words only.
    pub fn message(message: impl Into<String>) -> Self {
        Self { code: None, message: message.into(), limit: None }
    }

    /// A refusal with a reason of the application's own.
    pub fn with_type(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: Some(code.into().into()), message: message.into(), limit: None }
    }
}
