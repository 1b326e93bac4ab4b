//! A message that a server has for its client, before it has an index.

use crate::ids::{MessageIndex, Revision, ScopeIndex, SharedText};
use crate::model::Rejection;
use crate::wire::{StateBody, encode};

use super::frame::Frame;
use super::reliable::Keep;

/// What a session keeps until its client acknowledges it. Written with the same index, it is the same
/// text each time.
#[derive(Debug)]
pub(super) enum Outgoing {
    /// The answer to a ScopeFetch.
    FetchReply { reply_to: MessageIndex, result: Result<ScopeIndex, Box<Rejection>> },
    /// The answer to a ScopeSync.
    SyncReply { at: Moment, reply_to: MessageIndex, body: SharedText },
    /// The answer to a SessionRenew.
    Reply { reply_to: MessageIndex, error: Option<Box<Rejection>> },
    /// A scope's state.
    State { at: Moment, body: StateBody },
    /// What somebody else changed in a scope.
    Sync { at: Moment, body: SharedText },
    /// What was a `State` or `Sync` and became too much to keep. It holds its place in the numbering
    /// with an empty ScopeSync.
    Lost { at: Moment },
}

/// A revision of one of the session's scopes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    pub(super) scope: ScopeIndex,
    pub(super) revision: Revision,
}

impl Outgoing {
    /// The scope whose state or changes it carries.
    pub(super) fn droppable_scope(&self) -> Option<ScopeIndex> {
        match self {
            Self::State { at, .. } | Self::Sync { at, .. } => Some(at.scope),
            _ => None,
        }
    }

    /// What a client has seen of a scope once it has this message.
    pub(super) fn moment(&self) -> Option<Moment> {
        match self {
            Self::FetchReply { .. } | Self::Reply { .. } => None,
            Self::SyncReply { at, .. }
            | Self::State { at, .. }
            | Self::Sync { at, .. }
            | Self::Lost { at } => Some(*at),
        }
    }

    /// Appends it to a frame.
    pub(super) fn write(&self, index: MessageIndex, frame: &mut Frame) {
        match self {
            Self::FetchReply { reply_to, result } => {
                let result = result.as_ref().map_err(|error| &**error);
                frame.message(|out| {
                    encode::scope_fetch_reply(out, index, *reply_to, result.copied());
                });
            }
            Self::Reply { reply_to, error } => {
                frame.message(|out| encode::reply(out, index, *reply_to, error.as_deref()));
            }
            Self::SyncReply { reply_to, body, .. } => {
                frame.message(|out| encode::scope_sync_reply_head(out, index, *reply_to));
                frame.body(body, encode::TAIL);
            }
            Self::State { at, body } => {
                frame.message(|out| encode::scope_state_head(out, index, at.scope));
                frame.state(body, encode::TAIL);
            }
            Self::Sync { at, body } => {
                frame.message(|out| encode::scope_sync_head(out, index, at.scope));
                frame.body(body, encode::TAIL);
            }
            Self::Lost { at } => frame.message(|out| {
                encode::scope_sync_head(out, index, at.scope);
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
            Self::Reply { error: Some(error), .. } => error.message.len(),
            Self::FetchReply { .. } | Self::Reply { .. } | Self::Lost { .. } => 0,
            // Shared with other sessions, but this one may be the last to hold it.
            Self::SyncReply { body, .. } | Self::Sync { body, .. } => body.len(),
            Self::State { body, .. } => body.byte_length(),
        };
        size_of::<Self>() + text
    }

    fn is_droppable(&self) -> bool {
        self.droppable_scope().is_some()
    }
}
