//! Changes: one fragment, and the ChangeSet that is judged and applied together.
//!
//! Fragments are typed: their model and properties are already looked up in the schema and their
//! values have the right types. What is not checked yet is what only the graph knows: whether the
//! objects exist, and what reaches what.

use std::fmt;
use std::sync::Arc;

use super::{ModelId, PropertyId, Rejection, Value};
use crate::ids::{ObjectId, SharedText};

/// What a fragment does to its object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FragmentKind {
    /// Creates the object, which must be attached when the ChangeSet ends.
    Add,
    /// Sets properties.
    Change,
    /// Takes the object out of every property that holds it.
    Remove,
    /// Sets properties; the object keeps only the parents that this ChangeSet gives it: it is taken out
    /// of every place before the first fragment of the ChangeSet is applied.
    MoveChange,
}

impl FragmentKind {
    /// The `type` that stands on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Change => "change",
            Self::Remove => "remove",
            Self::MoveChange => "movechange",
        }
    }
}

/// One edit of a collection of references: says what is done, not what the result is, so that edits of
/// several clients combine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CollectionEdit {
    /// Puts `object` behind the first place of `after`, or at the front. If `after` is gone, at the end.
    Insert {
        /// What is put in.
        object: ObjectId,
        /// Behind which element; `None`: at the front.
        after: Option<ObjectId>,
    },
    /// Takes out the first place of `object`. Nothing happens if it is not there any more.
    Remove {
        /// What is taken out.
        object: ObjectId,
    },
}

impl CollectionEdit {
    /// The object that is put in or taken out.
    pub const fn object(&self) -> ObjectId {
        match *self {
            Self::Insert { object, .. } | Self::Remove { object } => object,
        }
    }
}

/// One add, change, removal or move of one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Fragment {
    /// What is done.
    pub kind: FragmentKind,
    /// To which object.
    pub object: ObjectId,
    /// The object's model, as its sender claims it.
    pub model: ModelId,
    /// Properties and their new values, in the order in which they were sent, each at most once.
    pub properties: Vec<(PropertyId, Value)>,
    /// Edits of collections of references, in the order in which they were sent.
    pub collections: Vec<(PropertyId, Vec<CollectionEdit>)>,
    /// For `Date` properties whose sender wrote something else than plain seconds: the JSON text that
    /// it sent, which peers below 1.0 are passed on.
    pub dates_as_sent: Vec<(PropertyId, SharedText)>,
}

impl Fragment {
    /// A fragment without any property.
    pub fn new(kind: FragmentKind, object: ObjectId, model: ModelId) -> Self {
        Self {
            kind,
            object,
            model,
            properties: Vec::new(),
            collections: Vec::new(),
            dates_as_sent: Vec::new(),
        }
    }

    /// The same fragment with one property more.
    #[must_use]
    pub fn with(mut self, property: PropertyId, value: Value) -> Self {
        self.properties.push((property, value));
        self
    }

    /// The same fragment with edits of one collection more.
    #[must_use]
    pub fn with_edits(mut self, property: PropertyId, edits: Vec<CollectionEdit>) -> Self {
        self.collections.push((property, edits));
        self
    }
}

/// A procedure's full name, `Model.name`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcedureName(Arc<str>);

impl ProcedureName {
    /// The longest name, in bytes. A refused call repeats it in the reply to each of its fragments.
    pub const BYTES_MAX: usize = 256;

    /// Takes a text of two parts that are not empty, with one point between, and of at most
    /// [`BYTES_MAX`](Self::BYTES_MAX) bytes.
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > Self::BYTES_MAX {
            return None;
        }
        let (model, name) = text.split_once('.')?;
        (!model.is_empty() && !name.is_empty() && !name.contains('.')).then(|| Self(text.into()))
    }

    /// The full name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The model's name and the procedure's own.
    pub fn parts(&self) -> (&str, &str) {
        self.0.split_once('.').expect("parse only takes names of two parts")
    }
}

impl fmt::Display for ProcedureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for ProcedureName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The fragments of one message, judged and applied together.
///
/// A fragment that could not even be read stands as its error, in its place: replies are by position.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ChangeSet {
    /// One entry for each fragment that was sent, in order.
    pub fragments: Vec<Result<Fragment, Rejection>>,
    /// Either all fragments are applied or none is.
    pub atomic: bool,
    /// The procedure that the ChangeSet is a call of.
    pub procedure: Option<ProcedureName>,
}

impl ChangeSet {
    /// A ChangeSet of proper fragments, each of which succeeds or fails alone.
    pub fn new(fragments: impl IntoIterator<Item = Fragment>) -> Self {
        Self { fragments: fragments.into_iter().map(Ok).collect(), ..Self::default() }
    }

    /// A ChangeSet that is applied as a whole or not at all.
    pub fn atomic(fragments: impl IntoIterator<Item = Fragment>) -> Self {
        Self { atomic: true, ..Self::new(fragments) }
    }
}
