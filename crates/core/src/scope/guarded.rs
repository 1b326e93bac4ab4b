//! A scope with rules: what its members may do and see, where the scope asks for it.

use std::borrow::Cow;

use super::access::{Claims, Glimpse, judge_with_rights};
use super::pending::{Amended, Arrival};
use super::{Output, Scope, refuse_all, tell};
use crate::ids::MemberId;
use crate::model::prospect::Prospect;
use crate::model::{ChangeSet, ErrorCode, Judgement, Rejection, judge};
use crate::time::Now;

impl Scope {
    /// What a member means by what it sent, read against what it can have seen.
    pub(super) fn meaning<'a>(
        &self,
        member: MemberId,
        changes: &'a ChangeSet,
        arrival: Option<&Arrival>,
    ) -> Cow<'a, ChangeSet> {
        let glimpse = self.classes.as_ref().map_or_else(Glimpse::default, |c| c.glimpse(member));
        self.told.understand(&self.graph, member, changes, arrival, glimpse)
    }

    /// Judges what a member means, by its rights and by what it sees, if there are rules.
    pub(super) fn judge<'a>(
        &self,
        member: MemberId,
        meant: Cow<'a, ChangeSet>,
    ) -> (Cow<'a, ChangeSet>, Judgement) {
        let Some(classes) = &self.classes else {
            let judgement = match self.admit(&meant) {
                Ok(()) => judge(&self.graph, &meant, &self.limits),
                Err(refusal) => refuse_all(&meant, &refusal),
            };
            return (meant, judgement);
        };
        let (meant, completed) = classes.meant(&self.graph, member, meant);
        let admitted = self.admit(&classes.blinded(member, &meant));
        let judgement = match (admitted, classes.author(member, completed)) {
            (Ok(()), Some(author)) => judge_with_rights(&self.graph, &meant, &self.limits, &author),
            (Err(refusal), _) => refuse_all(&meant, &refusal),
            (_, None) => refuse_all(&meant, &Rejection::new(ErrorCode::Forbidden, "no member")),
        };
        (meant, judgement)
    }

    /// What of a ChangeSet its author may still do now that somebody else has decided about it. The rest
    /// stands as its refusal.
    pub(super) fn admit_again<'a>(
        &self,
        member: MemberId,
        meant: Cow<'a, ChangeSet>,
    ) -> (Cow<'a, ChangeSet>, Result<(), Rejection>) {
        if self.classes.is_none() {
            let admitted = self.admit(&meant);
            return (meant, admitted);
        }
        let (mut meant, judgement) = self.judge(member, meant);
        for (place, reply) in judgement.replies.into_iter().enumerate() {
            if let Err(refusal) = reply {
                meant.to_mut().fragments[place] = Err(refusal);
            }
        }
        (meant, Ok(()))
    }

    /// Leaves out of the reply what its author may not see: defaults, and values from elsewhere.
    pub(super) fn hide_from_author<'a>(
        &self,
        member: MemberId,
        judgement: &Judgement,
        completed: &mut [tell::Completed<'_>],
        amended: &'a Amended,
    ) -> Cow<'a, Amended> {
        let mut amended = Cow::Borrowed(amended);
        let narrow = self.classes.as_ref().filter(|classes| classes.narrow());
        let (Some(classes), Some(plan)) = (narrow, &judgement.plan) else { return amended };
        let after = Prospect::with(&self.graph, plan);
        for completed in completed {
            let hidden = classes.hidden_in_reply(member, &after, completed.fragment.object);
            completed.hide(&hidden);
            if !hidden.is_empty() && amended.contains_key(&completed.place) {
                let told = amended.to_mut().entry(completed.place).or_default();
                told.retain(|property| !hidden.contains(property));
            }
        }
        amended
    }

    /// Something else is known about a member.
    pub(super) fn renew(
        &mut self,
        now: Now,
        member: MemberId,
        claims: &Claims,
        out: &mut Vec<Output>,
    ) {
        let Some(classes) = &mut self.classes else { return };
        match classes.renew(&self.graph, member, claims) {
            Ok(None) => {}
            Ok(Some(body)) => {
                let revision = self.revision;
                self.pass(Output::Repair { member, revision, body }, out);
            }
            Err(error) => self.dismiss(now, member, error, out),
        }
    }

    pub(super) fn dismiss(
        &mut self,
        now: Now,
        member: MemberId,
        error: Rejection,
        out: &mut Vec<Output>,
    ) {
        self.leave(now, member, out);
        self.pass(Output::Dismissed { member, error }, out);
    }
}
