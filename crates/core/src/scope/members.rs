//! Who is in a scope, and what they understand.

use std::collections::BTreeMap;

use crate::ids::{MemberId, SessionId};
use crate::wire::message::Dialect;

/// The members of a scope.
#[derive(Debug, Default)]
pub(super) struct Members {
    by_id: BTreeMap<MemberId, Member>,
    originals: usize,
    /// How many memberships each session has.
    sessions: BTreeMap<SessionId, usize>,
}

/// One membership.
#[derive(Debug, Clone, Copy)]
pub(super) struct Member {
    pub(super) session: SessionId,
    pub(super) dialect: Dialect,
    /// It was here before, with a copy of the scope and edits of its own.
    pub(super) returns: bool,
}

impl Members {
    pub(super) fn join(&mut self, id: MemberId, member: Member) {
        self.leave(id);
        self.by_id.insert(id, member);
        self.originals += usize::from(member.dialect == Dialect::Original);
        *self.sessions.entry(member.session).or_default() += 1;
    }

    /// Whose membership it was.
    pub(super) fn leave(&mut self, id: MemberId) -> Option<SessionId> {
        let member = self.by_id.remove(&id)?;
        self.originals -= usize::from(member.dialect == Dialect::Original);
        let memberships = self.sessions.get_mut(&member.session)?;
        *memberships -= 1;
        if *memberships == 0 {
            self.sessions.remove(&member.session);
        }
        Some(member.session)
    }

    pub(super) fn has_session(&self, session: SessionId) -> bool {
        self.sessions.contains_key(&session)
    }

    pub(super) fn get(&self, id: MemberId) -> Option<Member> {
        self.by_id.get(&id).copied()
    }

    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether some member speaks this dialect.
    pub(super) fn speak(&self, dialect: Dialect) -> bool {
        match dialect {
            Dialect::Original => self.originals > 0,
            Dialect::V1 => self.len() > self.originals,
        }
    }
}
