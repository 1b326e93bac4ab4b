//! A connection that has no session yet.
//!
//! A connection with a token never comes here. One without has a limited time to send `SessionCreate`,
//! alone or as the first of several messages in a frame; what follows it belongs to the session that
//! it creates.

use std::sync::Arc;

use crate::ids::SharedText;
use crate::limits::Limits;
use crate::model::{ErrorCode, Rejection};
use crate::time::{Millis, Now};
use crate::wire::decode::{self, Fault, Unreadable};
use crate::wire::encode;
use crate::wire::message::{ClientBody, Dialect};

use super::CloseReason;

/// The first messages of a connection without a token.
#[derive(Debug)]
pub struct Handshake {
    limits: Arc<Limits>,
    deadline: Millis,
    state: State,
    /// How much came that means nothing here.
    noise: usize,
}

#[derive(Debug)]
enum State {
    /// Nothing was said yet.
    Silent,
    /// The application is deciding.
    Asked { dialect: Dialect, frame: Option<String> },
    /// The application said no. The client may read the answer until the deadline.
    Denied,
    /// The session stands, or the connection is to be closed.
    Over,
}

/// What a frame means to a [`Handshake`].
#[derive(Debug)]
pub enum HandshakeOutput {
    /// Ask the application for a session; answer with [`accept`](Handshake::accept) or
    /// [`deny`](Handshake::deny). Read no frames before.
    Create {
        /// For the application.
        params: serde_json::Map<String, serde_json::Value>,
        /// What the client speaks.
        version: semver::Version,
        /// Which protocol that is.
        dialect: Dialect,
    },
    /// Close the connection.
    Close(CloseReason),
}

/// A session that was accepted.
#[derive(Debug)]
pub struct Accepted {
    /// The frame to send before anything else of the session.
    pub reply: String,
    /// What the session speaks.
    pub dialect: Dialect,
    /// The frame that held `SessionCreate`, if it held more: the session's first
    /// [`Input::Frame`](super::Input::Frame).
    pub frame: Option<String>,
}

impl Handshake {
    /// A connection that was made just now.
    pub fn new(limits: Arc<Limits>, now: Now) -> Self {
        let deadline = now.mono.plus(limits.establish_timeout_ms);
        Self { limits, deadline, state: State::Silent, noise: 0 }
    }

    /// A frame arrived.
    pub fn frame(&mut self, text: &str) -> Option<HandshakeOutput> {
        if !matches!(self.state, State::Silent) {
            return self.overhead();
        }
        match first_message(text, &self.limits) {
            Ok((ClientBody::SessionCreate { params, version }, count)) => {
                let dialect = Dialect::of(&version);
                let frame = (count > 1).then(|| text.to_owned());
                self.state = State::Asked { dialect, frame };
                Some(HandshakeOutput::Create { params, version, dialect })
            }
            Ok((other, _)) => {
                Some(self.close(denied(format!("expected SessionCreate first, found {other}"))))
            }
            Err(reason) => Some(self.close(reason)),
        }
    }

    /// What is no frame arrived, or one that nobody waits for. A stranger may do that, but not without end.
    pub fn overhead(&mut self) -> Option<HandshakeOutput> {
        self.noise += 1;
        (self.noise > NOISE_MAX).then(|| {
            self.close(CloseReason::Denied {
                code: ErrorCode::RateLimited,
                message: format!("more than {NOISE_MAX} frames without a session"),
            })
        })
    }

    /// [`deadline`](Self::deadline) may have come.
    pub fn tick(&mut self, now: Now) -> Option<HandshakeOutput> {
        let timed_out = self.deadline().is_some_and(|deadline| deadline <= now.mono);
        timed_out.then(|| {
            self.close(CloseReason::Denied {
                code: ErrorCode::SessionEstablishTimedout,
                message: "no session was created in time".into(),
            })
        })
    }

    /// The application accepted. `None` if it was not asked, or took longer than the client may wait.
    pub fn accept(&mut self, token: &str) -> Option<Accepted> {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Asked { dialect, frame } => {
                let reply = reply(Ok(token));
                Some(Accepted { reply, dialect, frame })
            }
            other => {
                self.state = other;
                None
            }
        }
    }

    /// The application refused: this frame tells the client. The connection stays open until the
    /// deadline, and what it sends is ignored.
    pub fn deny(&mut self, error: &Rejection) -> Option<SharedText> {
        let State::Asked { .. } = self.state else { return None };
        self.state = State::Denied;
        Some(reply(Err(error)).into())
    }

    /// When the connection has been without a session for too long.
    pub fn deadline(&self) -> Option<Millis> {
        (!matches!(self.state, State::Over)).then_some(self.deadline)
    }

    /// Whether the transport should read further frames: not while the application decides, and not
    /// when it is over.
    pub fn wants_frames(&self) -> bool {
        matches!(self.state, State::Silent | State::Denied)
    }

    fn close(&mut self, reason: CloseReason) -> HandshakeOutput {
        self.state = State::Over;
        HandshakeOutput::Close(reason)
    }
}

fn reply(result: Result<&str, &Rejection>) -> String {
    let mut text = String::from("[");
    encode::session_create_reply(&mut text, result);
    text.push(']');
    text
}

/// The message that comes first, and how many there are.
fn first_message(text: &str, limits: &Limits) -> Result<(ClientBody, usize), CloseReason> {
    let messages = decode::frame(text, limits).map_err(|error| too_large(error.to_string()))?;
    let count = messages.len();
    match messages.into_iter().next() {
        None => Err(denied("expected SessionCreate first, found nothing".into())),
        Some(Ok(message)) => Ok((message.body, count)),
        Some(Err(Unreadable { fault: Fault::Version, .. })) => Err(CloseReason::Denied {
            code: ErrorCode::UnsupportedVersion,
            message: Fault::Version.to_string(),
        }),
        Some(Err(unreadable)) => Err(denied(unreadable.to_string())),
    }
}

fn denied(message: String) -> CloseReason {
    CloseReason::Denied { code: ErrorCode::UnrecognizedHandshake, message }
}

fn too_large(message: String) -> CloseReason {
    CloseReason::Denied { code: ErrorCode::TooLarge, message }
}

/// How much a connection without a session may send that means nothing. A client that was denied has
/// perhaps sent the rest of what it had in mind.
const NOISE_MAX: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake() -> Handshake {
        Handshake::new(Limits::default().into(), Now::default())
    }

    fn closed(text: &str) -> (u16, String) {
        match handshake().frame(text) {
            Some(HandshakeOutput::Close(reason)) => (reason.code(), reason.reason_text()),
            other => panic!("{text}: {other:?}"),
        }
    }

    const CREATE: &str = r#"{"type":"SessionCreate","index":0,"version":"0.1.0"}"#;

    #[test]
    fn a_session_is_created_by_a_message_alone_or_in_an_array() {
        for (text, more) in [
            (CREATE.to_owned(), false),
            (format!("[{CREATE}]"), false),
            (format!(r#"[{{"type":"ScopeFetch","index":1,"name":"A"}},{CREATE}]"#), true),
        ] {
            let mut handshake = handshake();
            assert!(handshake.wants_frames());
            let Some(HandshakeOutput::Create { dialect, params, .. }) = handshake.frame(&text)
            else {
                panic!("{text}");
            };
            assert_eq!(dialect, Dialect::Original);
            assert!(params.is_empty());
            assert!(!handshake.wants_frames());
            let accepted = handshake.accept("abc").unwrap();
            assert_eq!(
                accepted.reply,
                r#"[{"type":"SessionCreateReply","index":0,"sessionToken":"abc"}]"#
            );
            assert_eq!(accepted.frame, more.then_some(text));
            assert_eq!(handshake.deadline(), None);
        }
    }

    #[test]
    fn what_is_no_session_create_closes_with_4096() {
        let cases = [
            ("hello", "unrecognized-handshake"),
            ("null", "unrecognized-handshake"),
            ("5", "unrecognized-handshake"),
            ("{}", "unrecognized-handshake"),
            ("[]", "unrecognized-handshake"),
            ("[[]]", "unrecognized-handshake"),
            (r#"{"type":"Ping","index":0,"ack":0}"#, "unrecognized-handshake"),
            (r#"{"type":"SessionCreate","index":0}"#, "unrecognized-handshake"),
            (r#"{"type":"SessionCreate","index":0,"version":1}"#, "unrecognized-handshake"),
            (r#"{"type":"SessionCreate","index":0,"version":"1.0"}"#, "unsupported-version"),
        ];
        for (text, code) in cases {
            let (close_code, reason) = closed(text);
            assert_eq!(close_code, 4096, "{text}");
            assert!(reason.starts_with(&format!(r#"{{"type":"{code}","#)), "{text}: {reason}");
        }
        let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
        assert_eq!(closed(&deep).0, 4096);
    }

    #[test]
    fn silence_closes_at_the_deadline() {
        let mut handshake = handshake();
        assert_eq!(handshake.deadline(), Some(Millis(10_000)));
        let at = |mono| Now { mono: Millis(mono), ..Now::default() };
        assert!(handshake.tick(at(9_999)).is_none());
        let Some(HandshakeOutput::Close(reason)) = handshake.tick(at(10_000)) else {
            panic!("still open");
        };
        assert!(reason.reason_text().contains("session-establish-timedout"));
        assert!(handshake.tick(at(20_000)).is_none());
    }

    #[test]
    fn who_makes_noise_without_end_is_closed() {
        let mut silent = handshake();
        let mut denied = handshake();
        denied.frame(CREATE);
        denied.deny(&Rejection::message("no")).unwrap();
        for _ in 0..NOISE_MAX {
            assert!(silent.overhead().is_none());
            assert!(denied.frame("more").is_none());
        }
        for output in [silent.overhead(), denied.frame("more")] {
            let Some(HandshakeOutput::Close(reason)) = output else { panic!("still open") };
            assert_eq!(reason.code(), 4096);
            assert!(reason.reason_text().contains("rate-limited"));
        }
    }

    #[test]
    fn a_denied_client_is_told_and_then_ignored_until_the_deadline() {
        let mut handshake = handshake();
        assert!(handshake.deny(&Rejection::message("early")).is_none());
        handshake.frame(CREATE);
        assert_eq!(
            &*handshake.deny(&Rejection::message("no")).unwrap(),
            r#"[{"type":"SessionCreateReply","index":0,"error":{"message":"no"}}]"#
        );
        assert!(handshake.wants_frames());
        assert!(handshake.frame(CREATE).is_none());
        assert!(handshake.accept("late").is_none());
        assert_eq!(handshake.deadline(), Some(Millis(10_000)));
    }
}
