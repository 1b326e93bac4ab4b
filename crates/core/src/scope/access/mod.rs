//! Who may do what in a scope: asked between reading a ChangeSet and carrying it out.
//!
//! - [`AccessPolicy`]: the seam. It binds a session's claims to [`Rights`], which answer at once and always
//!   alike for the same question.
//! - `judging`: which fragments of a ChangeSet its author may apply.
//! - `view`: what sessions with equal rights see of a scope, kept up to date commit by commit.
//! - `passage`: the way from one view to another as fragments.
//! - `classes`: the members by what they may read.
//!
//! What a session may not see does not exist for it. A fragment that names a hidden object is answered as if
//! nobody had ever heard of it, an edit keeps away from the places of hidden objects, and what comes into a
//! view or leaves it does so as an ordinary add or removal. A scope without a policy pays nothing for all this.

mod classes;
mod judging;
mod passage;
mod view;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value};
use smallvec::SmallVec;

use crate::ids::ScopeName;
use crate::model::prospect::ProspectObject;
use crate::model::{ErrorCode, PropertyId, Rejection};

pub(super) use classes::{Audience, Classes, Consequences, Renewal};
pub(super) use judging::judge_with_rights;
pub(super) use view::Glimpse;
pub(super) use view::Step;

/// What is known about who a session is. Nothing, for somebody who did not say.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Claims {
    entries: Map<String, Value>,
    models: Option<u32>,
}

impl Claims {
    /// What somebody vouches for.
    pub const fn new(claims: Map<String, Value>) -> Self {
        Self { entries: claims, models: None }
    }

    /// The same of somebody whose client knows these models, of those that the scope had in the course of time.
    #[must_use]
    pub fn knowing(self, models: u32) -> Self {
        Self { models: Some(models), ..self }
    }

    /// Which models its client knows; `None`: nothing else is known than that they are the scope's.
    pub const fn models(&self) -> Option<u32> {
        self.models
    }

    /// All of it.
    pub const fn entries(&self) -> &Map<String, Value> {
        &self.entries
    }

    /// Whether nothing is known.
    pub fn is_anonymous(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether both are about the same principal: the same person or program, whatever else is said of it.
    ///
    /// That is who has the same `iss`, `sub` and `user`. Of somebody who has neither `sub` nor `user`
    /// everything that is said has to be the same, apart from when it was said and how long it is good:
    /// two strangers with a likeness are not one.
    pub fn is_same_principal(&self, other: &Self) -> bool {
        self.principal() == other.principal()
    }

    fn principal(&self) -> BTreeMap<&str, &Value> {
        let says = |value: &Value| !value.is_null() && value != "";
        let is_named = NAMES.iter().any(|name| self.entries.get(*name).is_some_and(says));
        let counts = |name: &str| match is_named {
            true => name == ISSUER || NAMES.contains(&name),
            false => !OF_A_TOKEN.contains(&name),
        };
        let said = self.entries.iter().filter(|(name, value)| counts(name) && says(value));
        said.map(|(name, value)| (name.as_str(), value)).collect()
    }
}

/// Claims that name a principal, and who has given it the name.
const NAMES: [&str; 2] = ["sub", "user"];
const ISSUER: &str = "iss";

/// Claims about a token, and not about whoever has it.
const OF_A_TOKEN: [&str; 4] = ["exp", "iat", "nbf", "jti"];

/// Shows names only: a claim can be anything about a person.
impl fmt::Debug for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.entries.keys()).finish()
    }
}

/// What rules can know of a scope as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScopeFacts {
    /// Its name.
    pub name: ScopeName,
    /// What the parameters of its family's name stand for: `id` in `boards/{id}`.
    pub params: BTreeMap<String, String>,
}

/// Which rules a scope has, and what they can know of it.
#[derive(Debug, Clone)]
pub struct Access {
    /// The rules.
    pub policy: Arc<dyn AccessPolicy>,
    /// The scope.
    pub scope: Arc<ScopeFacts>,
}

/// Says what sessions may do.
///
/// An answer depends on the question and on nothing else: no clock, no randomness, no state.
pub trait AccessPolicy: fmt::Debug + Send + Sync {
    /// What a session with these claims may do in this scope.
    fn rights(&self, claims: &Claims, scope: &ScopeFacts) -> Arc<dyn Rights>;

    /// Whether there are sessions that may not read everything. If not, no view is ever kept.
    fn narrows(&self) -> bool;
}

/// What one session may do in one scope.
pub trait Rights: fmt::Debug + Send + Sync {
    /// The questions that follow are about the fragment at this place, until the next one is named. For those who
    /// keep a record.
    fn begin(&self, _fragment: usize) {}

    /// Whether it may be a member at all. `root` is the scope's root as it is.
    ///
    /// # Errors
    ///
    /// What does not allow it.
    fn fetch(&self, root: ProspectObject<'_>) -> Result<(), Denial>;

    /// Whether it may add `case.object`.
    ///
    /// # Errors
    ///
    /// What does not allow it.
    fn add(&self, case: &Case<'_>) -> Result<(), Denial>;

    /// Whether it may change a property of an object; `None`: none in particular.
    ///
    /// # Errors
    ///
    /// What does not allow it.
    fn change(&self, case: &Case<'_>, property: Option<PropertyId>) -> Result<(), Denial>;

    /// Whether a rule speaks of this very property and not only of its model.
    fn names_property(&self, case: &Case<'_>, property: PropertyId) -> bool;

    /// Whether it may remove `case.before`.
    ///
    /// # Errors
    ///
    /// What does not allow it.
    fn remove(&self, case: &Case<'_>) -> Result<(), Denial>;

    /// What of an object it may not read; `None`: it may not read the object at all.
    ///
    /// Depends on nothing but the object's own values, and those of the root if
    /// [`reads_by_root`](Self::reads_by_root).
    fn hidden(&self, root: ProspectObject<'_>, object: ProspectObject<'_>) -> Option<Hidden>;

    /// The rule that hides a property of an object, for refusals; `None`: none in particular.
    fn hides(
        &self,
        root: ProspectObject<'_>,
        object: ProspectObject<'_>,
        property: PropertyId,
    ) -> Option<String>;

    /// Whether what it may read depends on the root's values.
    fn reads_by_root(&self) -> bool;

    /// What may end its membership.
    fn fetches_by(&self) -> FetchesBy;

    /// What it reads by: sessions whose class is equal see the same, whatever the objects are. `None`: it
    /// may read everything.
    fn class(&self) -> Option<ClassKey>;
}

/// What the answer to [`Rights::fetch`] depends on, beside who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FetchesBy {
    /// On nothing: who was let in stays.
    Nothing,
    /// On the root's own values.
    Root,
    /// On those of other objects, too. It is asked again with every commit.
    Objects,
}

/// The properties of an object that are hidden.
pub type Hidden = SmallVec<[PropertyId; 2]>;

/// Names a class of sessions that read alike.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClassKey(pub Arc<str>);

/// What a rule can look at.
#[derive(Debug, Clone, Copy)]
pub struct Case<'a> {
    /// The root as it is, not as the ChangeSet would make it: nobody gives itself a right and uses it at once.
    pub root: ProspectObject<'a>,
    /// The object as it would be; as it is, where it is to be removed.
    pub object: ProspectObject<'a>,
    /// The object as it is; `None` where it is to be added.
    pub before: Option<ProspectObject<'a>>,
    /// The procedure that is called, or an empty text.
    pub procedure: &'a str,
}

/// What did not allow something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What was to be done: `change "Shape.color"`.
    pub action: String,
    /// The rule that decided: `change.Shape`; `None`: there is none, and what is not allowed is refused.
    pub rule: Option<String>,
}

impl Denial {
    /// What the session is told.
    pub fn rejection(&self, claims_are_known: bool) -> Rejection {
        let code = if claims_are_known { ErrorCode::Forbidden } else { ErrorCode::Unauthorized };
        Rejection::new(code, self.to_string())
    }
}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Some(rule) => write!(f, "may not {}: refused by the rule {rule}", self.action),
            None => write!(f, "may not {}: no rule allows it", self.action),
        }
    }
}
