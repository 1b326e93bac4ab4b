//! From a token to its session, for whoever may go on with it.
//!
//! The rule is [`Shown::resumption`]. Whoever may not have a session does not touch it: its connection is not
//! taken over, and what is stored of it stays as it is.

use std::sync::Arc;
use std::time::Duration;

use jetstream_core::model::{ErrorCode, Rejection};
use jetstream_core::scope::Claims;
use jetstream_core::session::{CloseReason, Resumption, Shown};
use semver::Version;
use serde_json::Map;
use tokio::time::timeout;

use super::Shared;
use super::cell::SessionCell;
use super::identify::{ask, identify};
use super::keeper::Keeper;
use super::request::{Admission, Occasion, SessionRequest};
use super::session_task::SessionTask;
use super::token::TokenHash;
use crate::authentication::Identity;
use crate::clock;
use crate::storage::{StoredIdentity, StoredSession};
use crate::transport::ConnectInfo;

/// A session that a connection may go on with.
pub(super) enum Found {
    /// It runs. Who the client is, if it had to say so.
    Running(Arc<SessionCell>, Option<Box<Identity>>),
    /// It was stored.
    Woken(Box<SessionTask>),
}

/// The session of this token; or why the connection does not get it.
pub(super) async fn find(
    server: &Arc<Shared>,
    token: TokenHash,
    connect: ConnectInfo,
) -> Result<Found, CloseReason> {
    let mut connect = Arc::new(connect);
    if let Some(cell) = server.directory.by_token(&token) {
        let (version, shown) = (cell.info.version().clone(), cell.info.0.shown.unwrap_or_default());
        let identity = check(server, &connect, version, shown).await?;
        return Ok(Found::Running(cell, identity.map(Box::new)));
    }
    let Some(keeper) = &server.keeper else { return Err(CloseReason::unknown_token()) };
    let stored = keeper.load(&token).await?;
    let (admission, identity) = admit(server, keeper, &stored, &connect).await?;
    if let (Some(_), Some(connect)) = (admission.shown, Arc::get_mut(&mut connect)) {
        connect.forget_credentials();
    }
    let _turn = keeper.turn(&token).await;
    // Another connection may have been quicker.
    if let Some(cell) = server.directory.by_token(&token) {
        return Ok(Found::Running(cell, identity.map(Box::new)));
    }
    let woken = keeper.wake(server, &token, connect, admission).await?;
    Ok(Found::Woken(woken))
}

/// Why a connection with a credential of somebody else does not get a session.
pub(super) fn not_yours() -> Rejection {
    Rejection::new(ErrorCode::Unauthorized, "the session belongs to somebody else")
}

/// Who the client is, if it has to say so: of a session that began in this way.
async fn check(
    server: &Shared,
    connect: &Arc<ConnectInfo>,
    version: Version,
    shown: Shown,
) -> Result<Option<Identity>, CloseReason> {
    let Some(authenticator) = &server.handlers.authenticator else { return Ok(None) };
    let strict = server.handlers.resumes_with_credential;
    match shown.resumption(authenticator.shows(connect), strict) {
        Resumption::Free => Ok(None),
        Resumption::Refused => {
            let why = "this session is resumed with the credential of who began it";
            Err(refused(server, Rejection::new(ErrorCode::Unauthorized, why)))
        }
        Resumption::Checked => {
            let (connect, params, occasion) = (connect.clone(), Map::new(), Occasion::Resume);
            let request = SessionRequest { connect, params, version, occasion };
            let identity = identify(server, authenticator, &request).await;
            identity.map(Some).map_err(|refusal| refused(server, refusal))
        }
    }
}

/// As whom the client goes on with a session that was stored.
async fn admit(
    server: &Arc<Shared>,
    keeper: &Keeper,
    stored: &StoredSession,
    connect: &Arc<ConnectInfo>,
) -> Result<(Admission, Option<Identity>), CloseReason> {
    let version: Version = stored.version.parse().map_err(|_| CloseReason::unknown_token())?;
    let known = stored.identity.as_ref().filter(|_| server.handlers.authenticator.is_some());
    let Some((identity, shown)) = known.and_then(|known| Some((known, known.shown?))) else {
        let admission = ask_anew(server, stored, version, connect).await?;
        let Admission { claims, expires_at, shown, .. } = &admission;
        let (claims, expires_at) = (claims.as_ref().clone(), *expires_at);
        let identity = shown.map(|_| Identity { claims, expires_at });
        return Ok((admission, identity));
    };
    if identity.is_expired(clock::now().wall) {
        keeper.forget(stored.id).await;
        return Err(CloseReason::unknown_token());
    }
    let StoredIdentity { claims, expires_at, .. } = identity;
    let claims = Claims::new(claims.clone());
    let fresh = check(server, connect, version, shown).await?;
    let (claims, expires_at) = match &fresh {
        Some(fresh) if !fresh.claims.is_same_principal(&claims) => {
            return Err(refused(server, not_yours()));
        }
        Some(fresh) => (fresh.claims.clone(), fresh.expires_at),
        None => (claims, *expires_at),
    };
    let (claims, shown) = (Arc::new(claims), Some(shown));
    Ok((Admission { data: None, claims, expires_at, shown }, fresh))
}

/// Asks as if the session began: what is stored does not say who the client is.
async fn ask_anew(
    server: &Shared,
    stored: &StoredSession,
    version: Version,
    connect: &Arc<ConnectInfo>,
) -> Result<Admission, CloseReason> {
    let (connect, params) = (connect.clone(), stored.params.clone());
    let request = SessionRequest { connect, params, version, occasion: Occasion::Restore };
    let limit = Duration::from_millis(server.limits.establish_timeout_ms);
    let Ok((_, _, verdict)) = timeout(limit, ask(server, request)).await else {
        let message = "the session could not be looked at in time; try again later".to_owned();
        return Err(CloseReason::TryAgain { message });
    };
    verdict.0.map_err(|refusal| {
        tracing::debug!(session = %stored.id, %refusal, "a stored session is denied");
        match is_undecided(&refusal) {
            true => CloseReason::TryAgain { message: refusal.message },
            false => CloseReason::unknown_token(),
        }
    })
}

/// How a connection that does not get its session is closed. If it only cannot be found out who it is, the
/// session is still its own, and it tries again.
pub(super) fn refused(server: &Shared, refusal: Rejection) -> CloseReason {
    server.metrics.resumptions_denied.inc();
    match is_undecided(&refusal) {
        true => CloseReason::TryAgain { message: refusal.message },
        false => CloseReason::Denied { code: ErrorCode::Unauthorized, message: refusal.message },
    }
}

fn is_undecided(refusal: &Rejection) -> bool {
    refusal.code.as_deref() == Some(ErrorCode::Internal.as_str())
}
