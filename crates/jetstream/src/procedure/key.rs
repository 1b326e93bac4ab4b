//! What a service knows a call by, however often it comes.

use jetstream_core::ids::ScopeName;
use jetstream_core::scope::Call;
use ring::digest::{Context, SHA256};
use uuid::Builder;

/// The key of a call: made of the message that it came from, so that it is the same for all attempts, and for the
/// same message that a client sends again after a crash.
pub(super) fn of(scope: &ScopeName, call: &Call) -> String {
    let mut context = Context::new(&SHA256);
    context.update(&call.origin.session.0.to_le_bytes());
    context.update(&call.origin.message.0.to_le_bytes());
    // What is decided and then written are two calls.
    context.update(&[u8::from(call.write)]);
    context.update(scope.as_str().as_bytes());
    let digest = context.finish();
    let bytes = digest.as_ref()[..16].try_into().expect("a SHA-256 has 32 bytes");
    Builder::from_custom_bytes(bytes).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jetstream_core::ids::{MemberId, MessageIndex, Origin, Revision, SessionId, Ticket};

    fn call(session: u64, message: u64, write: bool) -> Call {
        Call {
            ticket: Ticket(1),
            member: MemberId(1),
            origin: Origin { session: SessionId(session), message: MessageIndex(message) },
            procedure: None,
            atomic: false,
            fragments: [].into(),
            write,
            revision: Revision(1),
        }
    }

    #[test]
    fn the_same_message_has_the_same_key_and_no_other_has_it() {
        let first = of(&"Canvas".into(), &call(1, 2, true));
        let again = Call { ticket: Ticket(9), revision: Revision(8), ..call(1, 2, true) };
        assert_eq!(of(&"Canvas".into(), &again), first);
        let others = [
            of(&"Canvas".into(), &call(1, 2, false)),
            of(&"Canvas".into(), &call(1, 3, true)),
            of(&"Canvas".into(), &call(2, 2, true)),
            of(&"Other".into(), &call(1, 2, true)),
        ];
        assert!(!others.contains(&first));
        assert_eq!(first.len(), 36);
    }
}
