//! A scope as an application with derived models holds it.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use jetstream_core::ids::ScopeName;
use jetstream_core::model::{ChangeSet, ErrorCode, Graph, Rejection};

use super::{Model, NewScopeError, SchemaMismatch, TransactError, TypedChanges, WriteError};
use crate::scope::{Scope, ScopeError};

/// A scope whose root is an `M`, to be read and changed as what it is.
///
/// A handle like [`Scope`], and usable as one: where a `&Scope` is asked for, a `&TypedScope` will do.
/// What is asked of a scope runs in its own task, between two changes of others; so the functions given
/// here must not take long, and own what they use.
///
/// ```
/// use jetstream::{Model, Scope};
///
/// #[derive(Model)]
/// struct Shape { x: f64, y: f64 }
///
/// #[derive(Model)]
/// struct Canvas { name: String, shapes: Vec<Shape> }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let scope = Scope::with_root("Canvas", Canvas { name: "Demo".into(), ..Default::default() });
///
/// let id = scope.update(|canvas| canvas.shapes_mut().push(Shape { x: 1.0, y: 2.0 })).await?;
/// scope.update(move |canvas| canvas.shapes_mut().get(id).map(|mut shape| shape.set_x(3.0))).await?;
///
/// let x = scope.read(move |canvas| canvas.shapes().get(id).map(|shape| shape.x())).await?;
/// assert_eq!(x, Some(3.0));
/// # Ok(()) }
/// ```
pub struct TypedScope<M> {
    scope: Scope,
    root: PhantomData<fn() -> M>,
}

impl Scope {
    /// A scope that clients fetch by `name` and that begins with `root`, kept in memory only. Its models
    /// are those of `M`.
    ///
    /// With limits, procedures or a store of its own:
    /// `Scope::builder(name, typed::graph_of(root)?)….build().typed().await?`.
    ///
    /// # Panics
    ///
    /// If the models make no schema or the value no state: see [`Scope::try_with_root`].
    pub fn with_root<M: Model>(name: impl Into<ScopeName>, root: M) -> TypedScope<M> {
        let name = name.into();
        match Self::try_with_root(name.clone(), root) {
            Ok(scope) => scope,
            Err(error) => panic!("the scope {name:?} cannot begin like this: {error}"),
        }
    }

    /// The same, for a value from outside.
    ///
    /// # Errors
    ///
    /// If the value holds a number that is not finite, an integer or a date that JavaScript does not
    /// know, or an [`Id`](super::Id) of an object that is not in it.
    ///
    /// # Panics
    ///
    /// If the models make no schema: see [`Model::schema`].
    pub fn try_with_root<M: Model>(
        name: impl Into<ScopeName>,
        root: M,
    ) -> Result<TypedScope<M>, NewScopeError> {
        Ok(TypedScope::new(Self::new(name, super::graph_of(root)?)))
    }

    /// This scope with an `M` as its root.
    ///
    /// # Errors
    ///
    /// If its models are not those of the program, or the scope is closed. They may come from elsewhere,
    /// a configuration file for example, and have more models and properties, in any order.
    pub async fn typed<M: Model>(&self) -> Result<TypedScope<M>, UpdateError> {
        self.read(|graph| super::read::<M>(graph).map(|_| ())).await??;
        Ok(TypedScope::new(self.clone()))
    }
}

impl<M: Model> TypedScope<M> {
    fn new(scope: Scope) -> Self {
        Self { scope, root: PhantomData }
    }

    /// The scope without its types: whole ChangeSets, the graph itself, commits as fragments.
    pub const fn untyped(&self) -> &Scope {
        &self.scope
    }

    /// Looks at the objects. While `read` runs, the scope stands still.
    ///
    /// # Errors
    ///
    /// If the scope is closed, or `read` panics.
    pub async fn read<R, F>(&self, read: F) -> Result<R, ScopeError>
    where
        R: Send + 'static,
        F: FnOnce(M::Ref<'_>) -> R + Send + 'static,
    {
        self.scope.read(|graph| read(root::<M>(graph))).await
    }

    /// Changes the scope in a transaction: `change` sees what it has written so far, others see all of it
    /// or nothing. Every member is told; the answer comes when the change is durable.
    ///
    /// # Errors
    ///
    /// If something was set that no property can hold, if the scope refused the result (a limit), if the
    /// scope is closed, or if `change` panics. Then nothing was changed.
    pub async fn update<R, F>(&self, change: F) -> Result<R, UpdateError>
    where
        R: Send + 'static,
        F: FnOnce(&mut M::Mut<'_>) -> R + Send + 'static,
    {
        match self.try_update(|root| Ok::<R, Never>(change(root))).await {
            Ok(result) => Ok(result),
            Err(TryUpdateError::Update(error)) => Err(error),
            Err(TryUpdateError::Aborted(never)) => match never {},
        }
    }

    /// The same for a `change` that may give up: on `Err` nothing is changed.
    ///
    /// # Errors
    ///
    /// What `change` gave up with, and all errors of [`update`](Self::update).
    pub async fn try_update<R, E, F>(&self, change: F) -> Result<R, TryUpdateError<E>>
    where
        R: Send + 'static,
        E: Send + 'static,
        F: FnOnce(&mut M::Mut<'_>) -> Result<R, E> + Send + 'static,
    {
        let updated = self.scope.update_with(|graph| transact::<M, R, E>(graph, change)).await;
        let (updated, result) = updated.map_err(UpdateError::Scope)?;
        let result = result?;
        // Where one fragment is refused, the others only say that another was.
        let refusals = updated.replies.into_iter().filter_map(Result::err);
        let aborted = Some(ErrorCode::TransactionAborted.as_str());
        match refusals.min_by_key(|refusal| refusal.code.as_deref() == aborted) {
            None => Ok(result),
            Some(refusal) => Err(UpdateError::Refused(refusal).into()),
        }
    }

    /// The scope's state from now on and every commit that changes it, whoever made it, typed.
    ///
    /// # Errors
    ///
    /// If the scope is closed.
    pub async fn changes(&self) -> Result<TypedChanges<M>, ScopeError> {
        TypedChanges::begin(self.scope.clone()).await
    }
}

/// What never happens, until the language's own `!` can stand here.
enum Never {}

fn root<M: Model>(graph: &Graph) -> M::Ref<'_> {
    super::read::<M>(graph)
        .expect("compared when the handle was made, and a scope keeps its models")
}

fn transact<M: Model, R, E>(
    graph: &Graph,
    change: impl FnOnce(&mut M::Mut<'_>) -> Result<R, E>,
) -> (ChangeSet, Result<R, TryUpdateError<E>>) {
    match super::transact::<M, _>(graph, change) {
        Ok((changes, Ok(result))) => (changes, Ok(result)),
        Ok((_, Err(error))) => (ChangeSet::default(), Err(TryUpdateError::Aborted(error))),
        Err(error) => (ChangeSet::default(), Err(TryUpdateError::Update(error.into()))),
    }
}

/// Why a scope was not changed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum UpdateError {
    /// Something was set that no property can hold.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The scope refused the result; a limit was exceeded, for example.
    #[error(transparent)]
    Refused(Rejection),
    /// The scope's models are not those of the program.
    #[error(transparent)]
    Schema(#[from] SchemaMismatch),
    /// The scope is closed, or the given function panicked.
    #[error(transparent)]
    Scope(#[from] ScopeError),
}

impl From<TransactError> for UpdateError {
    fn from(error: TransactError) -> Self {
        match error {
            TransactError::Schema(error) => Self::Schema(error),
            TransactError::Write(error) => Self::Write(error),
        }
    }
}

/// Why a scope was not changed by a function that could give up.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TryUpdateError<E> {
    /// The function gave up.
    #[error("the update was given up")]
    Aborted(E),
    /// It could not be done.
    #[error(transparent)]
    Update(#[from] UpdateError),
}

impl<M> Deref for TypedScope<M> {
    type Target = Scope;

    fn deref(&self) -> &Scope {
        &self.scope
    }
}

impl<M> AsRef<Scope> for TypedScope<M> {
    fn as_ref(&self) -> &Scope {
        &self.scope
    }
}

impl<M> From<TypedScope<M>> for Scope {
    fn from(typed: TypedScope<M>) -> Self {
        typed.scope
    }
}

impl<M> Clone for TypedScope<M> {
    fn clone(&self) -> Self {
        Self { scope: self.scope.clone(), root: PhantomData }
    }
}

impl<M> fmt::Debug for TypedScope<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.scope.fmt(f)
    }
}
