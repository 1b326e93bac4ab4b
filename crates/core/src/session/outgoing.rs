//! A message that a server has for its client, before it has an index.

use crate::ids::{MessageIndex, ScopeIndex, SharedText};
use crate::model::Rejection;
use crate::wire::encode;

use super::frame::Frame;
use super::reliable::Keep;

/// What a session keeps until its client acknowledges it. Written with the same index, it is the same
/// text each time.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// The answer to a ScopeFetch.
    FetchReply { reply_to: MessageIndex, result: Result<ScopeIndex, Rejection> },
    /// The answer to a ScopeSync.
    SyncReply { reply_to: MessageIndex, body: SharedText },
    /// A scope's state.
    State { scope: ScopeIndex, body: SharedText },
    /// What somebody else changed in a scope.
    Sync { scope: ScopeIndex, body: SharedText },
    /// What was a `State` or `Sync` and became too much to keep. It holds its place in the numbering
    /// with an empty ScopeSync.
    Lost { scope: ScopeIndex },
}

impl Outgoing {
    /// The scope whose state or changes it carries.
    pub(super) fn droppable_scope(&self) -> Option<ScopeIndex> {
        match self {
            Self::State { scope, .. } | Self::Sync { scope, .. } => Some(*scope),
            _ => None,
        }
    }

    /// Appends it to a frame.
    pub(super) fn write(&self, index: MessageIndex, frame: &mut Frame) {
        match self {
            Self::FetchReply { reply_to, result } => {
                frame.message(|out| encode::scope_fetch_reply(out, index, *reply_to, result));
            }
            Self::SyncReply { reply_to, body } => {
                frame.message(|out| encode::scope_sync_reply_head(out, index, *reply_to));
                frame.body(body, encode::TAIL);
            }
            Self::State { scope, body } => {
                frame.message(|out| encode::scope_state_head(out, index, *scope));
                frame.body(body, encode::TAIL);
            }
            Self::Sync { scope, body } => {
                frame.message(|out| encode::scope_sync_head(out, index, *scope));
                frame.body(body, encode::TAIL);
            }
            Self::Lost { scope } => frame.message(|out| {
                encode::scope_sync_head(out, index, *scope);
                out.push_str("[]");
                out.push_str(encode::TAIL);
            }),
        }
    }
}

impl Keep for Outgoing {
    fn byte_length(&self) -> usize {
        let text = match self {
            Self::FetchReply { result: Err(error), .. } => error.message.len(),
            Self::FetchReply { .. } | Self::Lost { .. } => 0,
            // Shared with other sessions, but this one may be the last to hold it.
            Self::SyncReply { body, .. } | Self::State { body, .. } | Self::Sync { body, .. } => {
                body.len()
            }
        };
        size_of::<Self>() + text
    }

    fn is_droppable(&self) -> bool {
        self.droppable_scope().is_some()
    }
}
