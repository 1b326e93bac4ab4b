//! What a scope begins with: objects that are at hand, or that somebody else has.

use std::sync::Arc;
use std::time::Duration;

use jetstream_core::model::{Graph, Rejection};
use jetstream_core::scope::access::ScopeFacts;
use tokio::time::timeout;

use crate::future::catch_panic;
use crate::load::{LoadRequest, Loader, cannot};
use crate::storage::StorageError;

/// What a scope begins with, if nothing of it is stored.
pub(super) struct Beginning {
    /// With a loader, this says only what the models are.
    pub(super) graph: Graph,
    pub(super) loader: Option<Arc<dyn Loader>>,
    pub(super) facts: Arc<ScopeFacts>,
    /// How long a loader may take.
    pub(super) time_limit: Duration,
}

/// Why a scope does not begin.
#[derive(Debug, thiserror::Error)]
pub(super) enum BeginError {
    /// Its store failed.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Whoever has its objects did not give them.
    #[error("{}", .0.message)]
    Refused(Rejection),
}

impl Beginning {
    /// The objects.
    pub(super) async fn graph(self) -> Result<Graph, BeginError> {
        let Some(loader) = self.loader else { return Ok(self.graph) };
        let schema = self.graph.schema().clone();
        let request = LoadRequest { scope: self.facts.clone(), schema: schema.clone() };
        let load = catch_panic(async move { loader.load(request).await });
        let scope = &self.facts.name;
        let loaded = match timeout(self.time_limit, load).await {
            Ok(Ok(loaded)) => loaded,
            Ok(Err(panic)) => {
                tracing::error!(%scope, %panic, "a loader panicked");
                Err(cannot("the loader failed"))
            }
            Err(_) => Err(cannot("there was no answer in time")),
        };
        match loaded {
            Ok(graph) if !Arc::ptr_eq(graph.schema(), &schema) => {
                tracing::error!(%scope, "a loader gave objects of another schema");
                Err(BeginError::Refused(cannot("the loader failed")))
            }
            loaded => loaded.map_err(BeginError::Refused),
        }
    }
}
