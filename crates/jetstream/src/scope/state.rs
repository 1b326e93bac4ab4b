//! The state of a scope as programs get it: with its revision, and a name by which they know it again.

use std::fmt;
use std::str::FromStr;
use std::sync::atomic::Ordering;

use jetstream_core::ids::{ObjectId, Revision};
use jetstream_core::model::{Fragment, Lifetime, Schema};
use jetstream_core::scope::object_fragment;
use jetstream_core::wire::StateBody;

use super::{Scope, ScopeError, Status};
use crate::clock;

/// The state of a scope at a revision.
#[derive(Debug, Clone)]
pub struct ScopeState {
    /// What it is known by.
    pub tag: StateTag,
    /// The body of a `ScopeState` message: `"rootUUID":…,"fragments":[…]`.
    pub body: StateBody,
}

/// An object of a scope at a revision.
#[derive(Debug, Clone)]
pub struct ObjectState {
    /// What the scope's state is known by.
    pub tag: StateTag,
    /// The object with all its properties, but for references that are not set: an `add`, or the `change`
    /// of the root.
    pub fragment: Fragment,
}

/// Names a state of a scope: its revision, and, where revisions begin anew when the scope is loaded anew,
/// which life of the scope it is of. Equal tags are equal states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateTag {
    /// The revision.
    pub revision: Revision,
    life: Option<u64>,
}

impl StateTag {
    /// For whoever knows only a revision: any life of the scope fits.
    pub const fn of(revision: Revision) -> Self {
        Self { revision, life: None }
    }
}

impl fmt::Display for StateTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.life {
            None => write!(f, "{}", self.revision),
            Some(life) => write!(f, "{}-{life:016x}", self.revision),
        }
    }
}

/// The text names no state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no state has this name")]
pub struct NotATag;

impl FromStr for StateTag {
    type Err = NotATag;

    fn from_str(text: &str) -> Result<Self, NotATag> {
        let (revision, life) = match text.split_once('-') {
            None => (text, None),
            Some((revision, life)) => {
                let digits = life.len() == 16 && life.bytes().all(|byte| byte.is_ascii_hexdigit());
                let life = u64::from_str_radix(life, 16).ok().filter(|_| digits);
                (revision, Some(life.ok_or(NotATag)?))
            }
        };
        let digits = revision.bytes().all(|byte| byte.is_ascii_digit());
        let revision = revision.parse().ok().filter(|_| digits).ok_or(NotATag)?;
        Ok(Self { revision: Revision(revision), life })
    }
}

impl Scope {
    /// The state, as it is when everything that was asked before is done, stored and told; `None` if it is
    /// still that of `known`.
    ///
    /// # Errors
    ///
    /// If the scope is closed.
    pub async fn state(&self, known: Option<StateTag>) -> Result<Option<ScopeState>, ScopeError> {
        let shared = self.0.status.clone();
        self.look(move |scope| {
            let tag = shared.tag(scope.revision());
            (known != Some(tag)).then(|| ScopeState { tag, body: scope.whole_state(clock::now()) })
        })
        .await
    }

    /// An object as it is then; `None` if the scope has none of this id.
    ///
    /// # Errors
    ///
    /// If the scope is closed.
    pub async fn object(&self, id: ObjectId) -> Result<Option<ObjectState>, ScopeError> {
        let shared = self.0.status.clone();
        self.look(move |scope| {
            let tag = shared.tag(scope.revision());
            let object = scope.graph().object(id)?;
            Some(ObjectState { tag, fragment: object_fragment(object) })
        })
        .await
    }
}

impl Status {
    fn tag(&self, revision: Revision) -> StateTag {
        let life = (!self.revisions_last()).then(|| self.life.load(Ordering::Acquire));
        StateTag { revision, life }
    }

    /// The revision at which the scope has to be for this to be its state; `None`: it never will be.
    pub(super) fn revision_of(&self, tag: StateTag) -> Option<Revision> {
        let fits = tag.life.is_none_or(|_| self.tag(tag.revision) == tag);
        fits.then_some(tag.revision)
    }

    /// Whether a revision that was told means the same for ever: it is in the store, as all of its objects
    /// are.
    fn revisions_last(&self) -> bool {
        self.log.is_some() && !has_passing(&self.schema)
    }
}

/// Whether there are objects that leave with their session, and so are not stored.
pub(super) fn has_passing(schema: &Schema) -> bool {
    schema.models().any(|(_, model)| model.lifetime() == Lifetime::Session)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_written_and_read_again() {
        let tag = StateTag { revision: Revision(12), life: Some(0xab) };
        assert_eq!(tag.to_string(), "12-00000000000000ab");
        assert_eq!(tag.to_string().parse(), Ok(tag));
        assert_eq!("7".parse(), Ok(StateTag::of(Revision(7))));
        for wrong in ["", "-", "7-", "+7", "7-xyz", "7-+0000000000000ab", "99999999999999999999"] {
            assert_eq!(wrong.parse::<StateTag>(), Err(NotATag), "{wrong}");
        }
    }
}
