//! A fetched scope as an application holds it.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use jetstream_core::model::{ChangeSet, Graph, ProcedureName, Rejection};
use jetstream_model::{self as model, Model, SchemaMismatch, TransactError, WriteError};

use crate::changes::Changes;
use crate::client::{CopyId, NotApplied};
use crate::session::{FetchError, Session};
use crate::shared::Answer;

/// A scope whose objects are read and changed without derived models.
///
/// What it shows is what the server confirmed, with our own edits on top. Cheap to clone; when the last
/// clone is dropped, the session leaves the scope as soon as nothing is pending in it.
#[derive(Clone)]
pub struct Scope(Arc<Held>);

/// A copy that is left when it is dropped.
pub(crate) struct Held {
    session: Session,
    copy: CopyId,
    name: Box<str>,
}

impl Held {
    pub(crate) fn new(session: Session, copy: CopyId, name: &str) -> Self {
        Self { session, copy, name: name.into() }
    }

    pub(crate) const fn session(&self) -> &Session {
        &self.session
    }

    pub(crate) const fn name(&self) -> &str {
        &self.name
    }

    /// Why nothing more comes for it, if so.
    pub(crate) fn closed(&self) -> Option<Rejection> {
        self.session.shared().look(|client| client.closed(self.copy).cloned())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.session.shared().leave(self.copy);
    }
}

impl Scope {
    pub(crate) fn new(held: Held) -> Self {
        Self(Arc::new(held))
    }

    /// The name under which it was fetched.
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// The session that fetched it.
    pub fn session(&self) -> &Session {
        self.0.session()
    }

    /// Looks at the objects. Meanwhile the session stands still, so `read` must be short and may not use
    /// the session or its scopes.
    pub fn read<R>(&self, read: impl FnOnce(&Graph) -> R) -> R {
        self.0.session.shared().look(|client| read(graph(client, self.0.copy)))
    }

    /// Changes the scope: shown at once, sent when it can be.
    ///
    /// # Errors
    ///
    /// If what is shown does not admit all of it, or the scope is closed. Then nothing happens.
    pub fn edit(&self, changes: ChangeSet) -> Result<Pending<()>, NotApplied> {
        self.edit_with(|_| Ok((changes, ())))
    }

    /// What changes from now on, whoever changes it.
    pub fn changes(&self) -> Changes {
        let schema = self.read(|graph| graph.schema().clone());
        Changes::new(self.0.clone(), schema, self.0.session.shared().watch(self.0.copy))
    }

    /// How many edits of this scope wait for the server's answer.
    pub fn pending(&self) -> usize {
        self.0.session.shared().look(|client| client.pending(self.0.copy))
    }

    /// Why the server has nothing more for it, if so. It can still be read.
    pub fn closed(&self) -> Option<Rejection> {
        self.0.closed()
    }

    fn edit_with<R, E: From<NotApplied>>(
        &self,
        make: impl FnOnce(&Graph) -> Result<(ChangeSet, R), E>,
    ) -> Result<Pending<R>, E> {
        let copy = self.0.copy;
        let (answer, result) =
            self.0.session.shared().edit(copy, |client| make(graph(client, copy)))?;
        Ok(Pending { answer, result: Some(result) })
    }
}

fn graph(client: &mut crate::client::Client, copy: CopyId) -> &Graph {
    client
        .graph(copy)
        .expect("a scope is only handed out with its state, and kept until it is left")
}

/// A scope whose root is an `M`, to be read and changed as what it is.
///
/// A handle like [`Scope`], and usable as one.
pub struct TypedScope<M> {
    scope: Scope,
    root: PhantomData<fn() -> M>,
}

impl<M: Model> TypedScope<M> {
    pub(crate) fn new(scope: Scope) -> Result<Self, FetchError> {
        scope.read(|graph| model::read::<M>(graph).map(|_| ()))?;
        Ok(Self { scope, root: PhantomData })
    }

    /// The scope without its types.
    pub const fn untyped(&self) -> &Scope {
        &self.scope
    }

    /// Looks at the objects. Meanwhile the session stands still, so `read` must be short and may not use
    /// the session or its scopes.
    pub fn read<R>(&self, read: impl FnOnce(M::Ref<'_>) -> R) -> R {
        self.scope
            .read(|graph| read(model::read::<M>(graph).expect("compared when it was fetched")))
    }

    /// Changes the scope in a transaction: `change` sees what it has written so far; it is shown at once,
    /// sent when it can be, and then applied as a whole or not at all. As with [`read`](Self::read), the
    /// session stands still meanwhile.
    ///
    /// # Errors
    ///
    /// If something was set that no property can hold, or the scope is closed. Then nothing happens. What
    /// the server makes of it is for the [`Pending`] to say.
    pub fn update<R>(
        &self,
        change: impl FnOnce(&mut M::Mut<'_>) -> R,
    ) -> Result<Pending<R>, UpdateError> {
        self.scope.edit_with(|graph| Ok(model::transact::<M, R>(graph, change)?))
    }

    /// The same as a call of a procedure, `Model.name`, which the server may check and amend.
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update), and if the name is none.
    pub fn call<R>(
        &self,
        procedure: &str,
        change: impl FnOnce(&mut M::Mut<'_>) -> R,
    ) -> Result<Pending<R>, UpdateError> {
        let name = ProcedureName::parse(procedure)
            .ok_or_else(|| UpdateError::Procedure(procedure.to_owned()))?;
        self.scope.edit_with(|graph| {
            let (mut changes, result) = model::transact::<M, R>(graph, change)?;
            changes.atomic = true;
            changes.procedure = Some(name);
            Ok((changes, result))
        })
    }
}

impl<M> Deref for TypedScope<M> {
    type Target = Scope;

    fn deref(&self) -> &Scope {
        &self.scope
    }
}

// Derived, these would ask the same of `M`, of which no value is held.
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

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("name", &self.name()).finish_non_exhaustive()
    }
}

/// Why an update was not even tried.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UpdateError {
    /// Something was set that no property can hold.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The scope's models are not those of the program.
    #[error(transparent)]
    Schema(#[from] SchemaMismatch),
    /// What is shown does not admit it, or the scope is closed.
    #[error(transparent)]
    NotApplied(#[from] NotApplied),
    /// This is not the name of a procedure.
    #[error("{0:?} is not the name of a procedure, such as \"Canvas.addShape\"")]
    Procedure(String),
}

impl From<TransactError> for UpdateError {
    fn from(error: TransactError) -> Self {
        match error {
            TransactError::Schema(error) => Self::Schema(error),
            TransactError::Write(error) => Self::Write(error),
        }
    }
}

/// An edit that is shown, and that the server has still to answer.
///
/// Awaited, it gives what the update returned once the edit is in the scope, or why it is not: then it is
/// not shown any more. It need not be awaited; the edit is sent all the same.
#[derive(Debug)]
pub struct Pending<R> {
    /// `None`: there was nothing to send.
    answer: Option<Answer>,
    result: Option<R>,
}

impl<R> Pending<R> {
    /// What the update returned.
    pub const fn value(&self) -> &R {
        self.result.as_ref().expect("only awaiting takes it, and to the end")
    }

    /// What the update returned; what becomes of the edit does not matter.
    pub fn into_value(self) -> R {
        self.result.expect("only awaiting takes it, and to the end")
    }
}

// The result is never pinned.
impl<R> Unpin for Pending<R> {}

impl<R> Future for Pending<R> {
    type Output = Result<R, NotApplied>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if let Some(answer) = &mut self.answer {
            let answered = match Pin::new(answer).poll(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(answered) => answered,
            };
            // Every edit is answered before its waiter is dropped, but for one that nobody can answer.
            let closed = || Err(NotApplied::Closed(Rejection::message("the session is closed")));
            if let Err(error) = answered.unwrap_or_else(|_| closed()) {
                return Poll::Ready(Err(error));
            }
        }
        Poll::Ready(Ok(self.result.take().expect("a future is not polled after its end")))
    }
}
