//! Why a connection is closed, as the WebSocket close frame says it.

use crate::model::{ErrorCode, Rejection};
use crate::wire::print;

/// Why the server closes a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CloseReason {
    /// 1000: a newer connection of the same session took over.
    Replaced,
    /// 4096: bad handshake, unknown token, timeout, or messages that cannot be read.
    Denied {
        /// The machine-readable part.
        code: ErrorCode,
        /// In plain words.
        message: String,
    },
    /// 4097: the session has expired or was ended.
    SessionClosed {
        /// In plain words.
        message: String,
    },
    /// 1001: the server goes away; the client resumes elsewhere or later.
    GoingAway,
    /// 1013: whether the client may resume its session cannot be found out at present; it tries again later.
    TryAgain {
        /// In plain words.
        message: String,
    },
}

impl CloseReason {
    /// The close code of a connection that was denied a session.
    pub const DENIED: u16 = 4096;
    /// The close code of a connection whose session has ended.
    pub const SESSION_CLOSED: u16 = 4097;
    /// The longest reason that a WebSocket close frame can carry, in bytes.
    pub const TEXT_BYTES_MAX: usize = 123;

    /// A connection that names a token which no session has.
    pub fn unknown_token() -> Self {
        Self::Denied {
            code: ErrorCode::SessionTokenUnrecognized,
            message: "no session has this token; start a new one".into(),
        }
    }

    /// The close code.
    pub const fn code(&self) -> u16 {
        match self {
            Self::Replaced => 1000,
            Self::GoingAway => 1001,
            Self::TryAgain { .. } => 1013,
            Self::Denied { .. } => Self::DENIED,
            Self::SessionClosed { .. } => Self::SESSION_CLOSED,
        }
    }

    /// The close reason: JSON of at most [`TEXT_BYTES_MAX`](Self::TEXT_BYTES_MAX) bytes. A message
    /// that is too long loses its end.
    pub fn reason_text(&self) -> String {
        let (code, message) = match self {
            Self::Replaced => (None, "a newer connection of this session took over"),
            Self::GoingAway => (None, "the server goes away; resume the session"),
            Self::Denied { code, message } => (Some(*code), message.as_str()),
            Self::SessionClosed { message } => (None, message.as_str()),
            Self::TryAgain { message } => (Some(ErrorCode::Internal), message.as_str()),
        };
        // No character is shorter than a byte, so this many are the most that can fit.
        let most = message.char_indices().nth(Self::TEXT_BYTES_MAX);
        let mut message = &message[..most.map_or(message.len(), |(end, _)| end)];
        loop {
            let text = reason(code, message);
            match message.char_indices().next_back() {
                Some((end, _)) if text.len() > Self::TEXT_BYTES_MAX => message = &message[..end],
                _ => return text,
            }
        }
    }

    /// What a client can make of a close reason: `None` if it is no JSON of ours.
    pub fn read_reason(text: &str) -> Option<Rejection> {
        crate::wire::decode::error(text)
    }
}

fn reason(code: Option<ErrorCode>, message: &str) -> String {
    let mut text = String::from("{");
    if let Some(code) = code {
        text.push_str("\"type\":");
        print::string(&mut text, code.as_str());
        text.push(',');
    }
    text.push_str("\"message\":");
    print::string(&mut text, message);
    text.push('}');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_names_type_and_message() {
        let denied = CloseReason::unknown_token();
        assert_eq!(denied.code(), 4096);
        assert_eq!(
            denied.reason_text(),
            r#"{"type":"session-token-unrecognized","message":"no session has this token; start a new one"}"#
        );
        let read = CloseReason::read_reason(&denied.reason_text()).unwrap();
        assert_eq!(read.code.as_deref(), Some("session-token-unrecognized"));
        assert_eq!(CloseReason::read_reason("bye"), None);
    }

    #[test]
    fn a_reason_that_is_too_long_loses_its_end_at_a_character() {
        for message in ["x".repeat(500), "é".repeat(500), "\"".repeat(500), "\u{1}😀".repeat(99)]
        {
            let code = ErrorCode::SessionEstablishTimedout;
            for reason in [
                CloseReason::Denied { code, message: message.clone() },
                CloseReason::SessionClosed { message },
            ] {
                let text = reason.reason_text();
                assert!((110..=123).contains(&text.len()), "{text}");
                assert!(CloseReason::read_reason(&text).is_some(), "{text}");
            }
        }
    }
}
