//! Asking who a client is, for as long as its client may wait.

use std::sync::Arc;
use std::time::Duration;

use jetstream_core::model::{ErrorCode, Rejection};
use jetstream_core::session::Shown;
use semver::Version;
use serde_json::{Map, Value};
use tokio::time::timeout;

use super::Shared;
use super::request::{Admission, SessionRequest, SessionVerdict};
use crate::authentication::{Authenticator, Identity, TOKEN};
use crate::future::catch_panic;

/// Whether a client gets a session: the authenticator's answer, or the application's verdict. A panic in
/// either denies.
pub(super) async fn ask(
    server: &Shared,
    mut request: SessionRequest,
) -> (Map<String, Value>, Version, SessionVerdict) {
    if let Some(authenticator) = &server.handlers.authenticator {
        let verdict = identify(server, authenticator, &request).await.map(|identity| {
            let Identity { claims, expires_at } = identity;
            let shown = match claims.is_anonymous() {
                true => Shown::Nowhere,
                false if authenticator.shows(&request.connect) => Shown::Connection,
                false => Shown::Params,
            };
            Admission { data: None, claims: Arc::new(claims), expires_at, shown: Some(shown) }
        });
        // It has done its work. What is not there cannot be stored, nor shown to anybody.
        request.params.remove(TOKEN);
        return (request.params, request.version, SessionVerdict(verdict));
    }
    let Some(on_session) = &server.handlers.on_session else {
        let verdict = request.accept();
        return (request.params, request.version, verdict);
    };
    let (params, version) = (request.params.clone(), request.version.clone());
    let verdict = catch_panic(async { on_session(request).await }).await;
    let verdict = verdict.unwrap_or_else(|panic| SessionVerdict(Err(panicked(server, &panic))));
    (params, version, verdict)
}

/// Who a client is. No client waits longer for it than for its session.
pub(super) async fn identify(
    server: &Shared,
    authenticator: &Arc<dyn Authenticator>,
    request: &SessionRequest,
) -> Result<Identity, Rejection> {
    let limit = Duration::from_millis(server.limits.establish_timeout_ms);
    let asked = catch_panic(async { authenticator.authenticate(request).await });
    match timeout(limit, asked).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(panic)) => Err(panicked(server, &panic)),
        Err(_) => {
            tracing::warn!("it takes too long to find out who a client is");
            let why = "who you are could not be checked in time; try again later";
            Err(Rejection::new(ErrorCode::Internal, why))
        }
    }
}

fn panicked(server: &Shared, panic: &str) -> Rejection {
    server.metrics.handler_panics.inc();
    tracing::error!(%panic, "the session handler panicked");
    Rejection::new(ErrorCode::Internal, "the session could not be created")
}
