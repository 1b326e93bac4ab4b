//! What a judged ChangeSet makes of a graph, as orders for it.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;

use super::graph::Key;
use super::sequence::Sequence;
use super::{ModelId, PropertyId, Scalar};
use crate::hash::OwnState;
use crate::ids::ObjectId;

/// What a graph has to do to become what a draft worked out.
#[derive(Debug)]
pub struct Plan {
    pub(crate) added: Vec<Added>,
    pub(crate) fields: IndexMap<(Key, PropertyId), FieldChange, OwnState>,
    /// How many references more (or fewer) lead from a parent to a child: `(child, parent)`.
    pub(crate) edges: IndexMap<(Key, Key), i32, OwnState>,
    /// From which parent an object hangs from now on.
    pub(crate) hung: Vec<(Key, Key)>,
    /// What the root does not reach any more.
    pub(crate) orphans: Vec<Key>,
    /// What stays, but not for the author: only what it does not see leads there still.
    pub(crate) vanished: HashSet<Key>,
}

/// An object that the ChangeSet creates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Added {
    pub(crate) key: Key,
    pub(crate) id: ObjectId,
    pub(crate) model: ModelId,
}

/// What becomes of a property.
#[derive(Debug)]
pub(crate) enum FieldChange {
    Scalar(Option<Scalar>),
    Scalars(Arc<[Scalar]>),
    Reference(Option<Key>),
    Collection(CollectionChange),
}

/// What becomes of a collection of references.
#[derive(Debug)]
pub(crate) enum CollectionChange {
    /// It is replaced.
    Whole(Box<Sequence<Key>>),
    /// It is edited. Nobody has looked at its elements: `counts` says how often those that are named
    /// will be in it, `length` how many there will be.
    Edits { edits: Vec<KeyEdit>, counts: HashMap<Key, usize>, length: usize },
}

/// One edit of a collection.
#[derive(Debug, Clone, Copy)]
pub(crate) enum KeyEdit {
    Insert(Key, Place),
    Remove(Key),
    RemoveAll(Key),
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Place {
    Front,
    Behind(Key),
    End,
}
