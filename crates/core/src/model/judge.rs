//! Judging a ChangeSet: which of its fragments can be applied, and what a graph then has to do.

use std::collections::{HashMap, HashSet};

use super::draft::{Draft, Plan};
use super::graph::Graph;
use super::settle::settle;
use super::{ChangeSet, ErrorCode, Fragment, FragmentKind, PropertyId, Rejection};
use crate::ids::ObjectId;
use crate::limits::{Limit, Limits};

/// The bounds that a judgement observes.
#[derive(Debug, Clone, Copy)]
pub struct JudgeLimits {
    /// The most objects that a scope may hold.
    pub scope_objects_max: usize,
    /// What the objects of a scope may take in memory, in bytes.
    pub scope_bytes_max: usize,
    /// The most elements that a collection may hold after edits.
    pub collection_elements_max: usize,
}

impl JudgeLimits {
    /// No bounds, for what comes from a trusted place.
    pub const NONE: Self = Self {
        scope_objects_max: u32::MAX as usize,
        scope_bytes_max: usize::MAX,
        collection_elements_max: u32::MAX as usize,
    };
}

impl From<&Limits> for JudgeLimits {
    fn from(limits: &Limits) -> Self {
        Self {
            scope_objects_max: limits.scope_objects_max,
            scope_bytes_max: limits.scope_bytes_max,
            collection_elements_max: limits.collection_elements_max,
        }
    }
}

/// What is to become of a ChangeSet.
#[derive(Debug)]
pub struct Judgement {
    /// For each fragment whether it is applied, or why not.
    pub replies: Vec<Result<(), Rejection>>,
    /// What the graph has to do; `None` if no fragment is applied.
    pub plan: Option<Plan>,
    /// Properties that were changed by a removal, a move or an edit: a peer that knows only `add` and
    /// `change` with whole values has to be told their values.
    pub touched: Vec<(ObjectId, PropertyId)>,
}

/// How often the fragments of one ChangeSet are tried again without those that failed.
///
/// A ChangeSet in which each failure uncovers another is nothing that a program makes; it would cost
/// the square of its length.
const ROUNDS_MAX: usize = 16;

/// What an author can see of a graph. What it cannot see is not there for it: a fragment that names it is
/// answered as if nobody had such an object.
pub trait Sight {
    /// Whether the object is seen.
    fn sees(&self, object: ObjectId) -> bool;
    /// Whether a property of an object that is seen is.
    fn sees_property(&self, object: ObjectId, property: PropertyId) -> bool;
    /// Whether somebody who sees more says what a property refers to, and not the author alone.
    fn is_completed(&self, _object: ObjectId, _property: PropertyId) -> bool {
        false
    }
}

/// Judges a ChangeSet against a graph, which stays as it is.
///
/// Fragments that fail take with them those that name an object which they would have added; the rest is
/// tried again as if they had not been there, until nothing fails any more.
pub fn judge<'a>(graph: &'a Graph, changes: &'a ChangeSet, limits: &'a JudgeLimits) -> Judgement {
    judge_by_sight(graph, changes, limits, None)
}

/// The same for an author who does not see everything.
pub fn judge_by_sight<'a>(
    graph: &'a Graph,
    changes: &'a ChangeSet,
    limits: &'a JudgeLimits,
    sight: Option<&'a dyn Sight>,
) -> Judgement {
    let mut trial = Trial::new(graph, changes, sight);
    trial.refuse_doubled_adds();
    trial.refuse_adds_beyond(limits.scope_objects_max);
    for _ in 0..ROUNDS_MAX {
        if changes.atomic && trial.has_failures() {
            break;
        }
        if let Some(passed) = trial.round(limits) {
            return trial.accepted(passed);
        }
    }
    trial.refused()
}

struct Trial<'a> {
    graph: &'a Graph,
    changes: &'a ChangeSet,
    sight: Option<&'a dyn Sight>,
    failures: Vec<Option<Rejection>>,
    /// Which fragment adds an object, and which others name it. Worked out only if something fails.
    names: Option<HashMap<ObjectId, Vec<usize>>>,
}

/// The result of a round in which nothing failed.
struct Passed {
    plan: Option<Plan>,
    touched: Vec<(ObjectId, PropertyId)>,
}

impl<'a> Trial<'a> {
    fn new(graph: &'a Graph, changes: &'a ChangeSet, sight: Option<&'a dyn Sight>) -> Self {
        let failures = changes.fragments.iter().map(|f| f.as_ref().err().cloned()).collect();
        Self { graph, changes, sight, failures, names: None }
    }

    fn has_failures(&self) -> bool {
        self.failures.iter().any(Option::is_some)
    }

    /// The fragments that have not failed, with their places.
    fn standing(&self) -> impl Iterator<Item = (usize, &'a Fragment)> + '_ {
        let fragments = self.changes.fragments.iter().enumerate();
        fragments.filter_map(|(place, fragment)| match (&self.failures[place], fragment) {
            (None, Ok(fragment)) => Some((place, fragment)),
            _ => None,
        })
    }

    fn adds(&self) -> impl Iterator<Item = (usize, &'a Fragment)> + '_ {
        self.standing().filter(|(_, fragment)| fragment.kind == FragmentKind::Add)
    }

    /// An id can be added once. Fragments that name it mean the object that is there, or the first add.
    fn refuse_doubled_adds(&mut self) {
        let mut seen = HashSet::new();
        let adds: Vec<_> = self.adds().map(|(place, fragment)| (place, fragment.object)).collect();
        for (place, id) in adds {
            let is_hidden = |id| self.sight.is_some_and(|sight| !sight.sees(id));
            let failure = if self.graph.key(id).is_some() {
                // An id cannot be used twice, and whoever names one has to be told; but not why.
                if is_hidden(id) {
                    format!("{id} cannot be added")
                } else {
                    format!("{id} is in the scope already")
                }
            } else if !seen.insert(id) {
                format!("{id} is added twice in the same message")
            } else {
                continue;
            };
            self.failures[place] = Some(Rejection::fragment(failure));
        }
    }

    /// The first adds get what room there is.
    fn refuse_adds_beyond(&mut self, objects_max: usize) {
        let room = objects_max.saturating_sub(self.graph.len());
        let beyond: Vec<usize> = self.adds().skip(room).map(|(place, _)| place).collect();
        for place in beyond {
            let message = format!("a scope holds at most {objects_max} objects");
            self.fail(place, Rejection::beyond(Limit::ScopeObjects, message));
        }
    }

    /// Tries all fragments that have not failed. `None` if some failed now.
    fn round(&mut self, limits: &'a JudgeLimits) -> Option<Passed> {
        let mut draft = Draft::new(self.graph, limits, self.sight);
        draft.declare(self.adds().map(|(_, fragment)| (fragment.object, fragment.model)));
        let standing: Vec<_> = self.standing().collect();
        let mut failed = false;
        for (place, fragment) in &standing {
            // An earlier failure of this round may have taken this one with it.
            if self.failures[*place].is_none()
                && let Err(failure) = draft.apply(fragment)
            {
                self.fail(*place, failure);
                failed = true;
            }
        }
        if failed {
            return None;
        }
        if standing.is_empty() {
            return Some(Passed { plan: None, touched: Vec::new() });
        }
        if draft.moves_nothing() {
            let plan = draft.into_plan(Vec::new(), Vec::new(), HashSet::new());
            return Some(Passed { plan: Some(plan), touched: Vec::new() });
        }
        self.settled(draft, &standing)
    }

    /// Finds out what a draft leaves reachable. `None` if some fragments fail by it.
    ///
    /// Apart from the rounds: most ChangeSets set scalars, and their way stays short.
    #[inline(never)]
    fn settled(
        &mut self,
        mut draft: Draft<'a>,
        standing: &[(usize, &'a Fragment)],
    ) -> Option<Passed> {
        let mut failed = false;
        draft.finish_moves();
        let settled = settle(&draft);
        let must_be_attached = |fragment: &Fragment| {
            fragment.kind == FragmentKind::Add
                || (fragment.kind == FragmentKind::MoveChange && draft.is_moved(fragment.object))
        };
        let attached = standing.iter().filter(|(_, fragment)| must_be_attached(fragment));
        let attached: Vec<_> = attached
            .filter_map(|(place, fragment)| {
                Some((*place, fragment.object, draft.resolve(fragment.object)?.0))
            })
            .collect();
        let unseen = draft.unseen(attached.iter().map(|(.., key)| *key).chain(draft.taken()));
        for (place, id, key) in attached {
            if settled.unreachable.contains(&key) || unseen.contains(&key) {
                let failure = format!("the root does not reach {id} when the message ends");
                self.fail(place, Rejection::fragment(failure));
                failed = true;
            }
        }
        if failed {
            return None;
        }
        let touched = draft.touched();
        let orphans = settled.unreachable.into_iter().collect();
        Some(Passed { plan: Some(draft.into_plan(settled.hung, orphans, unseen)), touched })
    }

    fn fail(&mut self, place: usize, failure: Rejection) {
        if self.failures[place].is_some() {
            return;
        }
        self.failures[place] = Some(failure);
        if let Ok(fragment) = &self.changes.fragments[place]
            && fragment.kind == FragmentKind::Add
        {
            self.fail_those_that_name(fragment.object);
        }
    }

    /// Whoever names an object that will not be added fails, and so on.
    fn fail_those_that_name(&mut self, id: ObjectId) {
        let changes = self.changes;
        let names = self.names.get_or_insert_with(|| who_names_what(changes));
        let mut gone = vec![id];
        while let Some(id) = gone.pop() {
            for place in names.get(&id).map_or(&[][..], Vec::as_slice) {
                let Ok(fragment) = &changes.fragments[*place] else { continue };
                if self.failures[*place].is_some() {
                    continue;
                }
                let failure = format!("{id} is needed, but adding it failed");
                self.failures[*place] = Some(Rejection::fragment(failure));
                if fragment.kind == FragmentKind::Add && fragment.object != id {
                    gone.push(fragment.object);
                }
            }
        }
    }

    fn accepted(self, passed: Passed) -> Judgement {
        let replies = self.failures.into_iter().map(|f| f.map_or(Ok(()), Err)).collect();
        Judgement { replies, plan: passed.plan, touched: passed.touched }
    }

    /// Nothing is applied: the ChangeSet is atomic, or no end was found.
    fn refused(self) -> Judgement {
        let rest = if self.changes.atomic {
            Rejection::new(
                ErrorCode::TransactionAborted,
                "another fragment of the same atomic message failed",
            )
        } else {
            Rejection::fragment("too many fragments of this message depend on others that fail")
        };
        let failures = self.failures.into_iter();
        let replies = failures.map(|f| Err(f.unwrap_or_else(|| rest.clone()))).collect();
        Judgement { replies, plan: None, touched: Vec::new() }
    }
}

/// For each object, the fragments that name it: as their own, as a value or in an edit.
///
/// An `after` is no such name: where it is gone, an insertion goes to the end.
fn who_names_what(changes: &ChangeSet) -> HashMap<ObjectId, Vec<usize>> {
    let mut names: HashMap<ObjectId, Vec<usize>> = HashMap::new();
    for (place, fragment) in changes.fragments.iter().enumerate() {
        let Ok(fragment) = fragment else { continue };
        let values = fragment.properties.iter().flat_map(|(_, value)| value.references());
        let edits = fragment.collections.iter().flat_map(|(_, edits)| edits);
        let edited = edits.map(|edit| edit.object());
        for id in values.copied().chain(edited).chain([fragment.object]) {
            let places = names.entry(id).or_default();
            if places.last() != Some(&place) {
                places.push(place);
            }
        }
    }
    names
}

#[cfg(test)]
mod tests;
