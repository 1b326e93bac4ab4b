//! What an acknowledgement says about the edits that are still to come.
//!
//! Scopes want to know what an original client had seen when it made its edits, and take it from the
//! acknowledgements that came before them. Over one connection that is right, for everything on it keeps
//! its order. But edits that were lost with a connection are made before the acknowledgements on the next
//! and come after them. They have come once the client acknowledges something that followed our own
//! question for what is missing.

use std::collections::BTreeMap;

use crate::ids::{MessageIndex, Revision, ScopeIndex};

/// Up to where acknowledgements are only noted, and what was noted.
#[derive(Debug, Default)]
pub(super) struct Trust {
    /// What the client may have had already when the present connection began.
    before: Option<MessageIndex>,
    noted: BTreeMap<ScopeIndex, Revision>,
}

impl Trust {
    /// There is a connection; so far, messages up to `last_sent` went out.
    pub(super) fn resumed(&mut self, last_sent: MessageIndex) {
        self.before = (last_sent > MessageIndex(0)).then_some(last_sent);
    }

    /// The client asks for everything after `ack`; what comes now comes behind our own question.
    pub(super) fn asked(&mut self, ack: MessageIndex) {
        self.before = self.before.map(|before| before.min(ack));
    }

    /// What the scopes can be told that the client had seen before it made its next edit, now that it
    /// acknowledges `ack` and with it these revisions.
    pub(super) fn acknowledged(
        &mut self,
        ack: MessageIndex,
        seen: BTreeMap<ScopeIndex, Revision>,
    ) -> BTreeMap<ScopeIndex, Revision> {
        self.noted.extend(seen);
        if self.before.is_some_and(|before| ack <= before) {
            return BTreeMap::new();
        }
        self.before = None;
        std::mem::take(&mut self.noted)
    }

    /// The client has left a scope.
    pub(super) fn forget(&mut self, scope: ScopeIndex) {
        self.noted.remove(&scope);
    }
}
