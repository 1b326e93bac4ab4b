//! Objects that live as long as the session that added them: cursors, who is here.

use std::collections::{BTreeMap, HashMap};

use indexmap::IndexSet;

use crate::ids::{ObjectId, SessionId};
use crate::model::{ChangeSet, Fragment, FragmentKind, Graph, Lifetime};

/// Whose the objects are that leave with a session.
///
/// What the application adds belongs to no session and stays until somebody removes it.
#[derive(Debug, Default)]
pub(super) struct Presence {
    by_session: BTreeMap<SessionId, IndexSet<ObjectId>>,
    owners: HashMap<ObjectId, SessionId>,
}

impl Presence {
    /// Notes what a session's ChangeSet has added.
    pub(super) fn note<'a>(
        &mut self,
        graph: &Graph,
        session: SessionId,
        applied: impl Iterator<Item = &'a Fragment>,
    ) {
        let schema = graph.schema();
        let mut added = false;
        for fragment in applied.filter(|fragment| fragment.kind == FragmentKind::Add) {
            if schema.model(fragment.model).lifetime() == Lifetime::Session {
                // The same id may have belonged to another session before.
                self.forget(fragment.object);
                self.owners.insert(fragment.object, session);
                self.by_session.entry(session).or_default().insert(fragment.object);
                added = true;
            }
        }
        if added {
            self.forget_removed(graph, session);
        }
    }

    /// A session has left: the ChangeSet that takes its objects out, if it has any.
    pub(super) fn leave(&mut self, graph: &Graph, session: SessionId) -> Option<ChangeSet> {
        let objects = self.by_session.remove(&session)?;
        let mut fragments = Vec::new();
        for id in objects {
            self.owners.remove(&id);
            if let Some(object) = graph.object(id) {
                fragments.push(Fragment::new(FragmentKind::Remove, id, object.model()));
            }
        }
        (!fragments.is_empty()).then(|| ChangeSet::new(fragments))
    }

    fn forget(&mut self, id: ObjectId) {
        if let Some(session) = self.owners.remove(&id)
            && let Some(objects) = self.by_session.get_mut(&session)
        {
            objects.swap_remove(&id);
        }
    }

    /// Forgets what is gone, now and then: when half of a session's objects may be.
    fn forget_removed(&mut self, graph: &Graph, session: SessionId) {
        let Some(objects) = self.by_session.get_mut(&session) else { return };
        if objects.len() < FEW || !objects.len().is_power_of_two() {
            return;
        }
        let owners = &mut self.owners;
        objects.retain(|id| {
            let there = graph.object(*id).is_some();
            if !there {
                owners.remove(id);
            }
            there
        });
    }
}

/// So many objects of one session are not worth looking through.
const FEW: usize = 64;
