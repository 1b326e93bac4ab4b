//! What a log tells of the latest changes.
//!
//! A client of the original that comes back after a crash has edits under way that it made before it. What
//! it had then is no longer in anybody's memory; but what was changed lately is in the log.

use super::told::{Place, Told};
use super::{Commit, FragmentKind};
use crate::ids::Revision;
use crate::model::{ChangeSet, Graph, JudgeLimits, Rejection, judge};

/// The changes since a snapshot, for members below 1.0 who come back.
#[derive(Debug, Default)]
pub struct Recent(Told);

impl Recent {
    /// Begins with a snapshot of this revision: nothing is known of what was before.
    pub fn since(revision: Revision) -> Self {
        Self(Told::since(revision))
    }

    /// Makes a stored commit's changes in `graph` again.
    ///
    /// # Errors
    ///
    /// If something of it cannot be applied: it is not the graph that the commit was made in.
    pub fn replay(&mut self, graph: &mut Graph, commit: &Commit) -> Result<(), Rejection> {
        let changes = ChangeSet::new(commit.fragments.iter().cloned());
        let judgement = judge(graph, &changes, &JudgeLimits::NONE);
        if let Some(refused) = judgement.replies.into_iter().find_map(Result::err) {
            return Err(refused);
        }
        let Some(plan) = judgement.plan else { return Ok(()) };
        let set = commit.fragments.iter().filter(|fragment| fragment.kind != FragmentKind::Add);
        let set = set.flat_map(|f| f.properties.iter().map(|(property, _)| (f.object, *property)));
        let mut places: Vec<Place> = set.chain(judgement.touched.iter().copied()).collect();
        places.sort_unstable();
        places.dedup();
        self.0.before(graph, Revision(commit.revision.0.saturating_sub(1)), &places);
        graph.apply(plan);
        self.0.after(graph, commit.revision, None, &places);
        Ok(())
    }

    /// For a scope that goes on at this revision.
    pub(super) fn into_told(mut self, revision: Revision) -> Told {
        self.0.goes_on_at(revision);
        self.0
    }
}
