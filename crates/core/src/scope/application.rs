//! What the application changes itself, and what a program of its own asks it to.
//!
//! A program that got no answer asks again. It gives its request a key: with the same one it gets the same
//! answer and the scope changes once, also after a crash, since the answer stands in the log beside the
//! commit. For how long is said by [`REQUEST_ANSWER_MS_MAX`].

use serde::{Deserialize, Serialize};

use super::{Answer, Output, Scope, ToTell, durable, not_saved, refuse_all, tell};
use crate::ids::{MessageIndex, ObjectId, Origin, Revision, SharedText, Ticket};
use crate::model::{ChangeSet, Fragment, FragmentKind, Rejection, judge};
use crate::time::Now;

use super::answered::REQUEST_ANSWER_MS_MAX;

/// What a ChangeSet of the application comes with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Terms {
    /// On whose behalf, for the history.
    pub author: Option<SharedText>,
    /// What it is recognised by if it comes again: [`Origin::of_request`].
    pub origin: Option<Origin>,
    /// Only while the scope is at this revision.
    pub at: Option<Revision>,
}

/// What became of a ChangeSet of the application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It was judged, now or when it first came.
    Judged {
        /// One for each fragment.
        replies: Vec<Result<(), Rejection>>,
        /// The objects that it added, in the order of its fragments.
        added: Vec<ObjectId>,
    },
    /// Nothing can be stored at present, so nothing of it was applied.
    NotSaved {
        /// In plain words.
        why: SharedText,
        /// One refusal for each fragment.
        replies: Vec<Result<(), Rejection>>,
    },
    /// The scope is at another revision than it was meant for.
    Moved,
    /// Something else came with the same key before.
    KeyUsed,
}

impl Outcome {
    /// The same, when it turns out that nothing of it was stored.
    pub(super) fn into_not_saved(self, why: &str) -> Self {
        match self {
            Self::Judged { replies, .. } => {
                let replies = replies.iter().map(|_| Err(not_saved(why))).collect();
                Self::NotSaved { why: why.into(), replies }
            }
            other => other,
        }
    }
}

impl Scope {
    /// Judges a ChangeSet of the application's and answers it.
    pub(super) fn update(
        &mut self,
        now: Now,
        ticket: Ticket,
        terms: &Terms,
        changes: &ChangeSet,
        out: &mut Vec<Output>,
    ) {
        let (revision, outcome) = match self.known(now, terms) {
            Some(known) => known,
            None if terms.at.is_some_and(|at| at != self.revision) => {
                (self.revision, Outcome::Moved)
            }
            None => self.apply(now, terms, changes, out),
        };
        self.pass(Output::Updated { ticket, revision, outcome }, out);
    }

    /// What was answered to this request before.
    fn known(&mut self, now: Now, terms: &Terms) -> Option<(Revision, Outcome)> {
        let origin = terms.origin?;
        let answer = self.answered.of(origin.session).next()?;
        if answer.time.0 < now.wall.0.saturating_sub(REQUEST_ANSWER_MS_MAX) {
            self.answered.forget(origin.session);
            return None;
        }
        if answer.origin != origin {
            return Some((self.revision, Outcome::KeyUsed));
        }
        let told = Told::read(&answer.reply).expect("we wrote the answer");
        Some(told.into_outcome())
    }

    /// Judges a ChangeSet that no member waits for, and tells the members.
    pub(super) fn apply(
        &mut self,
        now: Now,
        terms: &Terms,
        changes: &ChangeSet,
        out: &mut Vec<Output>,
    ) -> (Revision, Outcome) {
        let mut judgement = judge(&self.graph, changes, &self.limits);
        // A refusal would have to be stored as well, if it has to be given again.
        let to_last = match judgement.plan {
            Some(_) => !durable::is_passing(&self.graph, changes),
            None => terms.origin.is_some(),
        };
        if to_last && let Some(why) = &self.frozen {
            judgement = refuse_all(changes, &not_saved(why));
            let (why, replies) = (why.clone(), judgement.replies);
            return (self.revision, Outcome::NotSaved { why, replies });
        }
        let replies = judgement.replies.clone();
        let completed = tell::completed(self.graph.schema(), changes, &replies);
        let applies = judgement.plan.is_some();
        let revision = if applies { self.revision.next() } else { self.revision };
        let added = added(completed.iter().map(|completed| &*completed.fragment));
        let told = Told::new(revision, &replies, &added);
        let reply = terms.origin.map_or_else(|| "[]".into(), |_| told.write());
        let by = super::By::application(terms);
        let committed = self.commit(now, &by, changes, judgement, &completed, &reply, out);
        if let Some(told) = &committed {
            self.pass(Output::Committed(told.commit.clone()), out);
        }
        if let Some(origin) = terms.origin {
            let answer = Answer { origin, time: now.wall, delivered: MessageIndex(0), reply };
            self.remember(answer, committed.as_ref(), out);
        }
        if let Some(told) = committed {
            self.broadcast(now, told, None, out);
        }
        (revision, Outcome::Judged { replies, added })
    }

    /// Keeps the answer to a request. One to a commit stands in the log with it.
    fn remember(&mut self, answer: Answer, committed: Option<&ToTell>, out: &mut Vec<Output>) {
        match committed {
            None if self.options.stored => self.enter(super::Entry::Answer(answer), out),
            // Also where the commit was not to last, or nothing is stored: it is given again for as long as
            // the scope remembers what it was about.
            _ => self.answered.note(answer),
        }
    }
}

fn added<'a>(fragments: impl Iterator<Item = &'a Fragment>) -> Vec<ObjectId> {
    let added = fragments.filter(|fragment| fragment.kind == FragmentKind::Add);
    added.map(|fragment| fragment.object).collect()
}

/// An answer as it is kept: short, since most requests are accepted as a whole.
#[derive(Debug, Serialize, Deserialize)]
struct Told {
    revision: Revision,
    fragments: usize,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refused: Vec<(usize, Option<String>, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    added: Vec<ObjectId>,
}

impl Told {
    fn new(revision: Revision, replies: &[Result<(), Rejection>], added: &[ObjectId]) -> Self {
        let refused = replies.iter().enumerate().filter_map(|(place, reply)| {
            let Rejection { code, message, .. } = reply.as_ref().err()?;
            Some((place, code.as_deref().map(str::to_owned), message.clone()))
        });
        let (fragments, refused) = (replies.len(), refused.collect());
        Self { revision, fragments, refused, added: added.to_vec() }
    }

    fn write(&self) -> SharedText {
        serde_json::to_string(self).expect("texts and numbers are written without fail").into()
    }

    fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    fn into_outcome(self) -> (Revision, Outcome) {
        let mut replies = vec![Ok(()); self.fragments];
        for (place, code, message) in self.refused {
            if let Some(reply) = replies.get_mut(place) {
                *reply = Err(match code {
                    Some(code) => Rejection::with_type(code, message),
                    None => Rejection::message(message),
                });
            }
        }
        (self.revision, Outcome::Judged { replies, added: self.added })
    }
}
