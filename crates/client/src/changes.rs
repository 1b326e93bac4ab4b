//! What changes in a scope, as a stream.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use jetstream_core::ids::ObjectId;
use jetstream_core::model::effects::Effects;
use jetstream_core::model::{ModelId, Schema};
use jetstream_model::{Id, Model, ModelProperty};

use crate::client::Origin;
use crate::feed::Feed;
use crate::scope::Held;
use crate::shared::Seen;

/// The changes of what a scope shows, from the moment on at which it was made.
///
/// Local edits come at once, and again only if the server refuses or amends them. It ends with the scope.
/// Keeping it unread costs a bounded queue; who falls behind by more is told that something was
/// [missed](Changed::missed).
pub struct Changes {
    scope: Arc<Held>,
    schema: Arc<Schema>,
    feed: Feed<Seen>,
}

impl Changes {
    pub(crate) const fn new(scope: Arc<Held>, schema: Arc<Schema>, feed: Feed<Seen>) -> Self {
        Self { scope, schema, feed }
    }

    /// The next change; `None` when the scope is closed. Cancelling the call loses nothing.
    pub async fn next(&mut self) -> Option<Changed> {
        poll_fn(|context| self.poll(context)).await
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Changed>> {
        self.feed.poll_next(context).map(|seen| {
            seen.map(|Seen { origin, effects }| Changed {
                origin,
                effects,
                schema: self.schema.clone(),
            })
        })
    }
}

impl Stream for Changes {
    type Item = Changed;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Changed>> {
        self.poll(context)
    }
}

impl fmt::Debug for Changes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Changes").field("scope", &self.scope.name()).finish_non_exhaustive()
    }
}

/// One change of what a scope shows: which objects came, changed and left.
///
/// It names objects and does not hold them. By the time it is looked at, the scope may show something newer.
#[derive(Debug, Clone)]
pub struct Changed {
    origin: Origin,
    effects: Option<Arc<Effects>>,
    schema: Arc<Schema>,
}

impl Changed {
    /// Whether this program made the change.
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Changes were left out, because they came faster than they were read: look at everything.
    pub const fn missed(&self) -> bool {
        self.effects.is_none()
    }

    /// All of it, without types. `None` if something was [missed](Self::missed).
    pub fn effects(&self) -> Option<&Effects> {
        self.effects.as_deref()
    }

    /// The new objects of model `M` and its submodels.
    pub fn added<M: Model>(&self) -> impl Iterator<Item = Id<M>> + '_ {
        let added = self.effects().map_or(&[][..], |effects| &effects.added);
        self.of(added)
    }

    /// The objects of model `M` and its submodels that nothing holds any more.
    pub fn removed<M: Model>(&self) -> impl Iterator<Item = Id<M>> + '_ {
        let removed = self.effects().map_or(&[][..], |effects| &effects.removed);
        self.of(removed)
    }

    /// The objects of model `M` and its submodels that were there before and still are, with the properties
    /// of `M` that were set.
    pub fn changed<M: Model>(&self) -> impl Iterator<Item = (Id<M>, Vec<M::Property>)> + '_ {
        let changed = self.effects().map_or(&[][..], |effects| &effects.changed);
        changed.iter().filter(|(_, model, _)| self.is::<M>(*model)).filter_map(
            |(id, model, properties)| {
                let model = self.schema.model(*model);
                let names = properties.iter().map(|property| model.property(*property).name());
                let properties: Vec<_> = names.filter_map(|name| M::Property::find(name)).collect();
                // Otherwise only properties of a submodel were set.
                (!properties.is_empty()).then(|| (Id::new(*id), properties))
            },
        )
    }

    fn of<'a, M: Model>(
        &'a self,
        objects: &'a [(ObjectId, ModelId)],
    ) -> impl Iterator<Item = Id<M>> + 'a {
        objects.iter().filter(|(_, model)| self.is::<M>(*model)).map(|(id, _)| Id::new(*id))
    }

    fn is<M: Model>(&self, model: ModelId) -> bool {
        let expected = self.schema.find(M::NAME);
        expected.is_some_and(|(expected, _)| self.schema.is_a(model, expected))
    }
}
