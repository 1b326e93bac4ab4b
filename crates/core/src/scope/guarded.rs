//! A scope with rules: what its members may do and see, where the scope asks for it.

use std::borrow::Cow;
use std::collections::HashSet;

use super::access::{Claims, Glimpse, Renewal, judge_with_rights};
use super::pending::{Amended, Arrival, Asked};
use super::{Output, Scope, refuse_all, tell};
use crate::ids::{MemberId, ObjectId, SharedText};
use crate::model::prospect::Prospect;
use crate::model::{
    ChangeSet, ErrorCode, Fragment, FragmentKind, Judgement, PropertyId, Rejection, Sight, Value,
    judge, judge_by_sight,
};
use crate::time::Now;
use crate::wire::encode;
use crate::wire::message::Dialect;

/// What an author sees, where a ChangeSet was judged by that before: what it refers to may since be something
/// that only others see.
struct Beyond<'a> {
    sight: &'a dyn Sight,
    said: HashSet<(ObjectId, PropertyId)>,
}

impl Sight for Beyond<'_> {
    fn sees(&self, object: ObjectId) -> bool {
        self.sight.sees(object)
    }

    fn sees_property(&self, object: ObjectId, property: PropertyId) -> bool {
        self.sight.sees_property(object, property)
    }

    fn is_completed(&self, object: ObjectId, property: PropertyId) -> bool {
        self.said.contains(&(object, property))
    }
}

impl Beyond<'_> {
    /// Collections that were sent whole stand in the ChangeSet with what its author does not see of them.
    fn said(meant: &ChangeSet, amended: &Amended) -> HashSet<(ObjectId, PropertyId)> {
        let mut said = HashSet::new();
        for (place, fragment) in meant.fragments.iter().enumerate() {
            let Ok(fragment) = fragment else { continue };
            let set = fragment.properties.iter();
            let whole = set.filter(|(_, value)| matches!(value, Value::References(_)));
            let others = amended.get(&place).into_iter().flatten();
            let properties = whole.map(|(property, _)| property).chain(others);
            said.extend(properties.map(|property| (fragment.object, *property)));
        }
        said
    }
}

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
            let judgement = match self.admit(&meant, None) {
                Ok(()) => judge(&self.graph, &meant, &self.limits),
                Err(refusal) => refuse_all(&meant, &refusal),
            };
            return (meant, judgement);
        };
        let (meant, completed) = classes.meant(&self.graph, member, meant);
        let admitted = self.admit(&meant, classes.sight(member));
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
            let admitted = self.admit(&meant, None);
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

    /// Judges what somebody else has made of a ChangeSet that its author may apply: by what the author sees,
    /// but for the values that were put into it.
    pub(super) fn judge_amended(
        &self,
        member: MemberId,
        meant: &ChangeSet,
        amended: &Amended,
    ) -> Judgement {
        let sight = self.classes.as_ref().and_then(|classes| classes.sight(member));
        let Some(sight) = sight else { return judge(&self.graph, meant, &self.limits) };
        let beyond = Beyond { sight, said: Beyond::said(meant, amended) };
        judge_by_sight(&self.graph, meant, &self.limits, Some(&beyond))
    }

    /// What an author has to be told of places in which it named something that is hidden: it had not heard of
    /// that, so it was left out, and its client cannot know. Members below 1.0 have their repairs.
    pub(super) fn reworded(
        &self,
        asked: &Asked,
        dialect: Dialect,
        replies: &[Result<(), Rejection>],
    ) -> Option<SharedText> {
        let Asked { member, changes, .. } = asked;
        let classes = self.classes.as_ref().filter(|_| dialect >= Dialect::V1)?;
        let sight = classes.sight(*member)?;
        let applied = changes.fragments.iter().zip(replies);
        let applied =
            applied.filter_map(|(fragment, reply)| reply.as_ref().ok().and(fragment.as_ref().ok()));
        let fragments = applied.filter_map(|sent| {
            let object = self.graph.object(sent.object)?;
            let names_hidden = |value: &Value| value.references().iter().any(|id| !sight.sees(*id));
            let places = sent.properties.iter().filter(|(_, value)| names_hidden(value));
            let values = places.map(|(property, _)| (*property, object.value(*property)));
            let mut fragment = Fragment::new(FragmentKind::Change, sent.object, sent.model);
            fragment.properties = values.collect();
            (!fragment.properties.is_empty()).then_some(fragment)
        });
        let fragments = classes.clip(*member, fragments.collect());
        let schema = self.graph.schema();
        (!fragments.is_empty()).then(|| encode::fragments(schema, &fragments, Dialect::V1))
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
            Ok(Renewal { body, narrows }) => {
                let revision = self.revision;
                if narrows {
                    self.pass(Output::Recall { to: [member].into() }, out);
                }
                if let Some(body) = body {
                    self.pass(Output::Repair { member, revision, body }, out);
                }
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
        self.pass(Output::Recall { to: [member].into() }, out);
        self.pass(Output::Dismissed { member, error }, out);
    }
}
