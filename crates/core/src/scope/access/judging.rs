//! Which fragments of a ChangeSet its author may apply.
//!
//! A ChangeSet is judged as if there were no rules, by what its author sees; then the rules judge what would
//! come of it. What they refuse is taken out, and the rest judged again: a refused add may be what another
//! fragment relied on.
//!
//! Putting an added object into its place belongs to adding it, and taking an object out for good belongs
//! to removing it. Everything else that is done to a collection or a reference is a change of it.

use std::borrow::Cow;
use std::collections::HashSet;

use super::view::{View, places_of};
use super::{Case, Denial, Rights};
use crate::ids::ObjectId;
use crate::model::draft::Plan;
use crate::model::graph::Key;
use crate::model::prospect::Prospect;
use crate::model::{
    ChangeSet, Fragment, FragmentKind, Graph, JudgeLimits, Judgement, PropertyId, Rejection, Sight,
    judge_by_sight,
};

/// An author as the rules know it.
pub(in crate::scope) struct Author<'a> {
    pub(super) rights: &'a dyn Rights,
    /// What it sees; `None`: everything.
    pub(super) view: Option<&'a View>,
    /// The collections in its ChangeSet that were completed with what it does not see.
    pub(super) completed: Completed,
    pub(super) is_known: bool,
}

/// Properties of objects.
pub(in crate::scope) type Completed = HashSet<(ObjectId, PropertyId)>;

/// What an author sees, but for the collections that were completed for it.
struct Eyes<'a> {
    view: &'a View,
    completed: &'a Completed,
}

impl Sight for Eyes<'_> {
    fn sees(&self, object: ObjectId) -> bool {
        self.view.sees(object)
    }

    fn sees_property(&self, object: ObjectId, property: PropertyId) -> bool {
        self.view.sees_property(object, property)
    }

    fn is_completed(&self, object: ObjectId, property: PropertyId) -> bool {
        self.completed.contains(&(object, property))
    }
}

/// Judges a ChangeSet of an author whose rights are limited.
pub(in crate::scope) fn judge_with_rights(
    graph: &Graph,
    changes: &ChangeSet,
    limits: &JudgeLimits,
    author: &Author<'_>,
) -> Judgement {
    let eyes = author.view.map(|view| Eyes { view, completed: &author.completed });
    let sight = eyes.as_ref().map(|eyes| eyes as &dyn Sight);
    let mut tried = Cow::Borrowed(changes);
    for _ in 0..ROUNDS_MAX {
        let judgement = judge_by_sight(graph, &tried, limits, sight);
        let Some(plan) = &judgement.plan else { return judgement };
        let rules = Rules::new(graph, plan, &tried, &judgement, author);
        let refused = rules.refused();
        if refused.is_empty() {
            return judgement;
        }
        for (place, rejection) in refused {
            tried.to_mut().fragments[place] = Err(rejection);
        }
    }
    let message = "too many fragments of this message depend on others that may not be applied";
    let refuse = |fragment: &Result<Fragment, Rejection>| match fragment {
        Ok(_) => Err(Rejection::fragment(message)),
        Err(rejection) => Err(rejection.clone()),
    };
    let replies = tried.fragments.iter().map(refuse).collect();
    Judgement { replies, plan: None, touched: Vec::new() }
}

/// How often a ChangeSet is judged again without what the rules refused. Each refusal can only make
/// another one necessary if it changes what an object would be; programs do not write longer chains.
const ROUNDS_MAX: usize = 16;

struct Rules<'a> {
    graph: &'a Graph,
    before: Prospect<'a>,
    after: Prospect<'a>,
    plan: &'a Plan,
    /// What the plan takes out of the scope.
    gone: HashSet<Key>,
    /// The fragments that would be applied, with their places.
    accepted: Vec<(usize, &'a Fragment)>,
    /// The properties of objects that fragments name.
    named: HashSet<(ObjectId, PropertyId)>,
    author: &'a Author<'a>,
    procedure: &'a str,
}

impl<'a> Rules<'a> {
    fn new(
        graph: &'a Graph,
        plan: &'a Plan,
        changes: &'a ChangeSet,
        judgement: &Judgement,
        author: &'a Author<'a>,
    ) -> Self {
        let fragments = changes.fragments.iter().zip(&judgement.replies).enumerate();
        let accepted: Vec<_> = fragments
            .filter_map(|(place, (fragment, reply))| match (fragment, reply) {
                (Ok(fragment), Ok(())) => Some((place, fragment)),
                _ => None,
            })
            .collect();
        let named = accepted.iter().flat_map(|(_, f)| places_named(f).map(|p| (f.object, p)));
        let named = named.collect();
        let procedure = changes.procedure.as_ref().map_or("", |name| name.as_str());
        let (before, after) = (Prospect::present(graph), Prospect::with(graph, plan));
        let gone = plan.orphans.iter().copied().collect();
        Self { graph, before, after, plan, gone, accepted, named, author, procedure }
    }

    fn refused(&self) -> Vec<(usize, Rejection)> {
        let judged = self.accepted.iter().map(|(place, fragment)| {
            self.author.rights.begin(*place);
            (*place, self.judge(fragment))
        });
        let refused = judged.filter_map(|(place, result)| Some((place, result.err()?)));
        refused.map(|(place, denial)| (place, denial.rejection(self.author.is_known))).collect()
    }

    fn judge(&self, fragment: &Fragment) -> Result<(), Denial> {
        let rights = self.author.rights;
        let id = fragment.object;
        let Some(case) = self.case(id) else { return Ok(()) };
        // First of all: what the other rules say depends on what is there.
        for property in places_named(fragment) {
            self.visible(&case, property)?;
        }
        match fragment.kind {
            FragmentKind::Add => rights.add(&case)?,
            FragmentKind::Remove => return self.remove(id),
            FragmentKind::Change | FragmentKind::MoveChange if self.after.adds(id) => {}
            FragmentKind::Change | FragmentKind::MoveChange => self.change(fragment, &case)?,
        }
        Ok(())
    }

    fn case(&self, id: ObjectId) -> Option<Case<'_>> {
        let object = self.after.object(id)?;
        let before = self.before.object(id);
        Some(Case { root: self.before.root(), object, before, procedure: self.procedure })
    }

    fn remove(&self, id: ObjectId) -> Result<(), Denial> {
        let Some(before) = self.before.object(id) else { return Ok(()) };
        let (root, procedure) = (self.before.root(), self.procedure);
        self.author.rights.remove(&Case { root, object: before, before: Some(before), procedure })
    }

    fn change(&self, fragment: &Fragment, case: &Case<'_>) -> Result<(), Denial> {
        let model = self.after.schema().model(fragment.model);
        let mut nothing = true;
        for property in places_named(fragment) {
            nothing = false;
            if model.property(property).is_reference() {
                self.place(fragment.object, property, case)?;
            } else {
                self.author.rights.change(case, Some(property))?;
            }
        }
        if fragment.kind == FragmentKind::MoveChange {
            self.leaves_places(fragment.object)
        } else if nothing {
            self.author.rights.change(case, None)
        } else {
            Ok(())
        }
    }

    /// What is done to the references of a property.
    fn place(&self, id: ObjectId, property: PropertyId, case: &Case<'_>) -> Result<(), Denial> {
        let rights = self.author.rights;
        let edits = self.after.edits(id, property);
        let (gone, elsewhere): (Vec<ObjectId>, Vec<ObjectId>) =
            edits.taken.iter().partition(|taken| self.leaves(**taken));
        for gone in gone {
            self.remove(gone)?;
        }
        let adds_only = edits.inserted.iter().all(|inserted| self.after.adds(*inserted));
        let nothing_else = adds_only && elsewhere.is_empty() && !edits.reordered;
        let does_something = !edits.inserted.is_empty() || !edits.taken.is_empty();
        if nothing_else && does_something && !rights.names_property(case, property) {
            return Ok(());
        }
        rights.change(case, Some(property))
    }

    /// Moving an object changes the places that it leaves.
    fn leaves_places(&self, id: ObjectId) -> Result<(), Denial> {
        let Some(object) = self.graph.object(id) else { return Ok(()) };
        for parent in object.parents() {
            for property in places_of(parent, id) {
                let place = (parent.id(), property);
                let stays = || !self.after.edits(place.0, property).taken.contains(&id);
                if self.named.contains(&place) || stays() {
                    continue;
                }
                let Some(case) = self.case(place.0) else { continue };
                self.author.rights.change(&case, Some(property))?;
            }
        }
        Ok(())
    }

    /// Whether an object is gone, as the author sees it: an answer must not tell that something hidden keeps it.
    fn leaves(&self, id: ObjectId) -> bool {
        let key = self.graph.key(id);
        key.is_some_and(|key| self.gone.contains(&key) || self.plan.vanished.contains(&key))
    }

    /// What may not be read may not be written either: an answer would tell something about it.
    fn visible(&self, case: &Case<'_>, property: PropertyId) -> Result<(), Denial> {
        let id = case.object.id();
        let hidden = match self.author.view {
            None => false,
            Some(view) if view.sees(id) => !view.sees_property(id, property),
            Some(_) => {
                let hidden = self.author.rights.hidden(case.root, case.object);
                hidden.is_some_and(|hidden| hidden.contains(&property))
            }
        };
        if !hidden {
            return Ok(());
        }
        let model = case.object.definition();
        let place = format!("{}.{}", model.name(), model.property(property).name());
        let object = case.before.unwrap_or(case.object);
        let rule = self.author.rights.hides(case.root, object, property);
        Err(Denial { action: format!("read {place:?}"), rule })
    }
}

/// The properties that a fragment says something about.
fn places_named(fragment: &Fragment) -> impl Iterator<Item = PropertyId> + '_ {
    let set = fragment.properties.iter().map(|(property, _)| *property);
    set.chain(fragment.collections.iter().map(|(property, _)| *property))
}
