//! One copy of a scope: where it stands with the server, and its replica.

use std::collections::VecDeque;
use std::sync::Arc;

use jetstream_core::ids::{ObjectId, ScopeIndex};
use jetstream_core::model::{FragmentKind, ProcedureName, Rejection, Schema};
use jetstream_core::replica::{EditId, Replica};
use jetstream_core::wire::encode;
use jetstream_core::wire::message::{ClientBody, Dialect, FragmentReply, RawFragment};
use serde_json::value::RawValue;

use super::reading::Reading;
use super::{NotApplied, Params};

/// One copy of a scope.
#[derive(Debug)]
pub(super) struct Copy {
    pub(super) name: String,
    pub(super) params: Params,
    pub(super) phase: Phase,
    /// How fragments are read; `None` if there are no models.
    pub(super) reading: Option<Reading>,
    /// `None` before the first state.
    pub(super) replica: Option<Replica>,
    /// Pending edits that were not sent in this session, oldest first.
    pub(super) unsent: VecDeque<EditId>,
    /// Pending edits that were sent in a session that is over: nobody knows which of them arrived.
    pub(super) unsure: VecDeque<EditId>,
    /// To be left as soon as nothing is pending.
    pub(super) leaving: bool,
    /// It has had a state.
    pub(super) fetched: bool,
    watched: bool,
}

/// Where a copy stands with the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Phase {
    /// It was asked for.
    Asked,
    /// It has its index; the state is under way.
    Accepted(ScopeIndex),
    /// It has its state and is told every change.
    Live(ScopeIndex),
    /// The server has nothing more for it.
    Closed(Rejection),
}

impl Phase {
    pub(super) const fn index(&self) -> Option<ScopeIndex> {
        match self {
            Self::Asked | Self::Closed(_) => None,
            Self::Accepted(index) | Self::Live(index) => Some(*index),
        }
    }
}

/// What the server sent cannot be, or not here: a fresh state is needed.
#[derive(Debug)]
pub(super) struct Misfit;

/// An edit and what became of it.
type Settled = (EditId, Result<(), NotApplied>);

impl Copy {
    pub(super) fn new(name: &str, params: Params, schema: Option<Arc<Schema>>) -> Self {
        Self {
            name: name.to_owned(),
            params,
            phase: Phase::Asked,
            reading: schema.map(Reading::new),
            replica: None,
            unsent: VecDeque::new(),
            unsure: VecDeque::new(),
            leaving: false,
            fetched: false,
            watched: false,
        }
    }

    pub(super) fn watch(&mut self, watched: bool) {
        self.watched = watched;
        if let Some(replica) = &mut self.replica {
            replica.watch(watched);
        }
    }

    pub(super) fn pending(&self) -> usize {
        self.replica.as_ref().map_or(0, |replica| replica.pending().len())
    }

    /// Whether it can be edited.
    pub(super) fn is_open(&self) -> bool {
        !self.leaving && !matches!(self.phase, Phase::Closed(_))
    }

    /// Whether the server is to be asked for it, in another session.
    pub(super) fn is_wanted(&self) -> bool {
        (!self.leaving || self.pending() > 0) && !matches!(self.phase, Phase::Closed(_))
    }

    pub(super) const fn live(&self) -> Option<ScopeIndex> {
        match self.phase {
            Phase::Live(index) => Some(index),
            _ => None,
        }
    }

    /// Nothing more will come. Gives the edits that are given up with it.
    pub(super) fn close(&mut self, error: Rejection) -> Vec<EditId> {
        self.phase = Phase::Closed(error);
        self.unsent.clear();
        self.unsure.clear();
        let Some(replica) = &mut self.replica else { return Vec::new() };
        let given_up: Vec<_> = replica.pending().map(|(edit, _)| edit).collect();
        for edit in &given_up {
            replica.settle(*edit);
        }
        given_up
    }

    /// An edit that cannot be sent is taken back.
    pub(super) fn give_up(&mut self, edit: EditId, why: Rejection) -> NotApplied {
        let Some(replica) = &mut self.replica else { return NotApplied::Closed(why) };
        let fragments = replica.changes(edit).map_or(1, |changes| changes.fragments.len());
        replica.settle(edit);
        NotApplied::Refused(vec![Err(why); fragments])
    }

    /// The first state, or a fresh one. Gives the edits of which it shows what became of them.
    pub(super) fn take_state(
        &mut self,
        root: ObjectId,
        fragments: &[RawFragment],
    ) -> Result<Vec<Settled>, Rejection> {
        let Some(reading) = &mut self.reading else { return Ok(Vec::new()) };
        let graph = reading.state(root, fragments)?;
        match &mut self.replica {
            Some(replica) => replica.reset(graph),
            none => {
                let mut replica = Replica::new(graph);
                replica.watch(self.watched);
                *none = Some(replica);
            }
        }
        Ok(self.settle_unsure())
    }

    /// A session was lost with edits under way. Those that add an object which is there now have arrived;
    /// the others are sent again. Setting a property twice does no harm, calling a procedure may.
    fn settle_unsure(&mut self) -> Vec<Settled> {
        let Some(replica) = &mut self.replica else { return Vec::new() };
        let mut settled = Vec::new();
        for edit in std::mem::take(&mut self.unsure).into_iter().rev() {
            let Some(changes) = replica.changes(edit) else { continue };
            let mut adds =
                changes.fragments.iter().flatten().filter(|f| f.kind == FragmentKind::Add);
            let outcome = if adds.any(|add| replica.confirmed().object(add.object).is_some()) {
                Ok(())
            } else if changes.procedure.is_some() {
                Err(NotApplied::Unknown)
            } else {
                self.unsent.push_front(edit);
                continue;
            };
            replica.settle(edit);
            settled.push((edit, outcome));
        }
        settled.reverse();
        settled
    }

    /// A commit of somebody else.
    pub(super) fn receive(&mut self, fragments: &[RawFragment]) -> Result<(), Misfit> {
        let (Some(reading), Some(replica)) = (&mut self.reading, &mut self.replica) else {
            return Ok(());
        };
        let fragments = reading.fragments(fragments).map_err(|_| Misfit)?;
        replica.receive(fragments).map_err(|_| Misfit)
    }

    /// The answer to an edit: what became of it, and whether the replica could take it in.
    pub(super) fn answer(
        &mut self,
        edit: EditId,
        replies: &[FragmentReply],
    ) -> (Result<(), NotApplied>, bool) {
        let results: Vec<_> =
            replies.iter().map(|reply| reply.error.clone().map_or(Ok(()), Err)).collect();
        let fits = self.take_answer(edit, replies, &results);
        let refused = results.iter().any(Result::is_err);
        (if refused { Err(NotApplied::Refused(results)) } else { Ok(()) }, fits)
    }

    fn take_answer(
        &mut self,
        edit: EditId,
        replies: &[FragmentReply],
        results: &[Result<(), Rejection>],
    ) -> bool {
        let live = self.live().is_some();
        let (Some(reading), Some(replica)) = (&self.reading, &mut self.replica) else {
            return true;
        };
        let Some(changes) = replica.changes(edit) else { return true };
        let modified = replies.iter().zip(&changes.fragments).enumerate();
        let modifications: Result<Vec<_>, Rejection> = modified
            .filter_map(|(place, (reply, fragment))| {
                let properties = reply.modifications.as_ref()?;
                let model = fragment.as_ref().ok()?.model;
                Some(reading.properties(model, properties).map(|properties| (place, properties)))
            })
            .collect();
        match modifications {
            Ok(modifications) if replies.len() == changes.fragments.len() => {
                // If a fresh state is under way, it has what was accepted.
                replica.answer(edit, results, modifications).is_ok() || !live
            }
            _ => {
                replica.settle(edit);
                !live
            }
        }
    }

    /// The message that sends an edit; `None` if it is not pending any more.
    pub(super) fn encode(&self, edit: EditId, scope_index: ScopeIndex) -> Option<ClientBody> {
        let replica = self.replica.as_ref()?;
        let changes = replica.changes(edit)?;
        let schema = replica.confirmed().schema();
        let fragments = changes.fragments.iter().flatten().map(|fragment| {
            let mut text = String::new();
            encode::fragment(&mut text, schema, fragment, Dialect::V1);
            RawValue::from_string(text).expect("the encoder writes JSON")
        });
        let procedure = changes.procedure.as_ref().map(ProcedureName::to_string);
        let (fragments, atomic) = (fragments.collect(), changes.atomic);
        Some(ClientBody::ScopeSync { scope_index, fragments, atomic, procedure })
    }
}
