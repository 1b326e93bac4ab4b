//! The commits of a scope as a typed stream.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use jetstream_core::ids::{ObjectId, Revision};
use jetstream_core::model::effects::Effects;
use jetstream_core::model::{ChangeSet, Graph, JudgeLimits, ModelId, judge};
use jetstream_core::scope::Commit;

use super::{Id, Model, ModelProperty};
use crate::scope::{Changes, Scope, ScopeError};

/// Follows a scope: its state at one moment, and every commit after it.
///
/// It keeps a copy of the scope's objects, which each commit brings forward, so that objects can be read
/// as they were at that commit, and so that it is known which objects left. That costs memory like the
/// scope itself; [`Scope::changes`], which passes on fragments only, costs none.
///
/// Who falls far behind misses nothing, only detail: the commits in between come as one.
///
/// ```
/// # use jetstream::{Model, Scope};
/// # use jetstream::typed::Change;
/// # #[derive(Model)] struct Shape { x: f64 }
/// # #[derive(Model)] struct Canvas { name: String, shapes: Vec<Shape> }
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let scope = Scope::with_root("Canvas", Canvas::default());
/// let mut changes = scope.changes().await?;
/// assert_eq!(changes.root().shapes().len(), 0);
///
/// scope.update(|canvas| { canvas.shapes_mut().push(Shape { x: 1.0 }); }).await?;
///
/// let commit = changes.next().await.unwrap();
/// for change in commit.of::<Shape>() {
///     match change {
///         Change::Added(shape) => assert_eq!(shape.x(), 1.0),
///         Change::Changed { object, properties } => println!("{:?} of {object:?}", properties),
///         Change::Removed(id) => println!("{id} is gone"),
///     }
/// }
/// # Ok(()) }
/// ```
pub struct TypedChanges<M> {
    scope: Scope,
    commits: Changes,
    graph: Graph,
    revision: Revision,
    root: PhantomData<fn() -> M>,
}

impl<M: Model> TypedChanges<M> {
    pub(crate) async fn begin(scope: Scope) -> Result<Self, ScopeError> {
        // In this order nothing is missed; what is in both is skipped by its revision.
        let commits = scope.changes();
        let (graph, revision) = snapshot(&scope).await?;
        Ok(Self { scope, commits, graph, revision, root: PhantomData })
    }

    /// The scope's root as it was at the last commit that was given out, or else at the beginning.
    pub fn root(&self) -> M::Ref<'_> {
        super::read::<M>(&self.graph).expect("a scope keeps its models")
    }

    /// How many commits the scope had seen then.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The next commit; `None` after the last one of the scope.
    ///
    /// Cancelling the call loses nothing.
    pub async fn next(&mut self) -> Option<TypedCommit<'_, M>> {
        loop {
            match self.commits.next().await? {
                Ok(commit) if commit.revision <= self.revision => {}
                Ok(commit) if commit.revision == self.revision.next() => {
                    let effects = self.apply(&commit);
                    return Some(self.commit(effects, Some(commit)));
                }
                // Some are missing: either the stream says so, or it said so to a call that was cancelled.
                Ok(_) | Err(_) => {
                    let (graph, revision) = snapshot(&self.scope).await.ok()?;
                    let effects = Effects::between(&self.graph, &graph);
                    (self.graph, self.revision) = (graph, revision);
                    return Some(self.commit(effects, None));
                }
            }
        }
    }

    fn apply(&mut self, commit: &Commit) -> Effects {
        let changes = ChangeSet::new(commit.fragments.iter().cloned());
        let plan = judge(&self.graph, &changes, &JudgeLimits::NONE).plan;
        self.revision = commit.revision;
        let Some(plan) = plan else { return Effects::default() };
        let effects = plan.effects(&self.graph);
        self.graph.apply(plan);
        effects
    }

    const fn commit(&self, effects: Effects, raw: Option<Arc<Commit>>) -> TypedCommit<'_, M> {
        TypedCommit { changes: self, effects, raw }
    }
}

async fn snapshot(scope: &Scope) -> Result<(Graph, Revision), ScopeError> {
    scope.read_at(|graph, revision| (graph.clone(), revision)).await
}

/// One commit of a scope, with the objects as they are after it.
pub struct TypedCommit<'a, M> {
    changes: &'a TypedChanges<M>,
    effects: Effects,
    raw: Option<Arc<Commit>>,
}

/// What a commit did to an object.
pub enum Change<'a, M: Model> {
    /// It is new.
    Added(M::Ref<'a>),
    /// It was there before.
    Changed {
        /// As it is now.
        object: M::Ref<'a>,
        /// Which of its properties were set; perhaps to what they held.
        properties: Vec<M::Property>,
    },
    /// Nothing holds it any more.
    Removed(Id<M>),
}

impl<'a, M: Model> TypedCommit<'a, M> {
    /// The scope's root after the commit.
    pub fn root(&self) -> M::Ref<'a> {
        self.changes.root()
    }

    /// The scope's revision after it.
    pub const fn revision(&self) -> Revision {
        self.changes.revision
    }

    /// The commit itself: its fragments, when it was made and by whom. `None` if it stands for several,
    /// since this stream had fallen behind.
    pub const fn raw(&self) -> Option<&Arc<Commit>> {
        self.raw.as_ref()
    }

    /// What happened to objects of model `S` and of its submodels: first those that are new, then those
    /// that changed, then those that are gone.
    pub fn of<S: Model>(&self) -> impl Iterator<Item = Change<'a, S>> + use<'a, '_, S, M> {
        let graph = &self.changes.graph;
        let schema = graph.schema();
        let expected = schema.find(S::NAME).map(|(model, _)| model);
        let is = move |model: ModelId| expected.is_some_and(|s| schema.is_a(model, s));
        let object = move |id: ObjectId| {
            super::find::<S>(graph, Id::new(id)).expect("the graph is that after the commit")
        };
        let effects = &self.effects;
        let added = effects.added.iter().filter(move |(_, model)| is(*model));
        let added = added.map(move |(id, _)| Change::Added(object(*id)));
        let changed = effects.changed.iter().filter(move |(_, model, _)| is(*model));
        let changed = changed.filter_map(move |(id, model, properties)| {
            let model = schema.model(*model);
            let names = properties.iter().map(|property| model.property(*property).name());
            let properties: Vec<_> = names.filter_map(|name| S::Property::find(name)).collect();
            // Otherwise only properties of a submodel were set.
            (!properties.is_empty()).then(|| Change::Changed { object: object(*id), properties })
        });
        let removed = effects.removed.iter().filter(move |(_, model)| is(*model));
        let removed = removed.map(|(id, _)| Change::Removed(Id::new(*id)));
        added.chain(changed).chain(removed)
    }
}

// Derived, these would ask `Debug` of the models themselves.
impl<M> fmt::Debug for TypedChanges<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("TypedChanges");
        text.field("scope", self.scope.name()).field("revision", &self.revision);
        text.finish_non_exhaustive()
    }
}

impl<M> fmt::Debug for TypedCommit<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("TypedCommit");
        text.field("revision", &self.changes.revision).field("effects", &self.effects).finish()
    }
}

impl<M: Model> fmt::Debug for Change<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Added(object) => write!(f, "Added({object:?})"),
            Self::Changed { object, properties } => {
                write!(f, "Changed({object:?}, {properties:?})")
            }
            Self::Removed(id) => write!(f, "Removed({id:?})"),
        }
    }
}
