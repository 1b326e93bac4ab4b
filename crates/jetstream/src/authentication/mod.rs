//! Who a client is: from what it shows to what access rules know as `session`.
//!
//! [`Authenticator`] is the seam. A client shows its credential in one of these places, the first that there
//! is: the header `Authorization: Bearer …`; a subprotocol of its WebSocket, `jetstream.authorization.…`, which
//! is the way for browsers; the connection parameter `x-jetstream-authorization`; or `token` among the
//! parameters of its session. It never has to stand in a URL.
//!
//! - [`Jwt`]: tokens, signed with keys of a set that is rotated while the server runs (`keys`, `key_source`).
//! - [`HttpAuthenticator`]: a service is asked.
//! - [`Anyone`], [`ByFunction`]: nobody is asked, or the application.

mod jwt;
mod key_source;
mod keys;

mod service;

use std::future::Future;
use std::sync::Arc;

use jetstream_core::model::{ErrorCode, Rejection};
use jetstream_core::scope::Claims;
use serde_json::{Map, Value};

pub use jwt::Jwt;
pub use key_source::{AddressError, KEY_REFRESH};
pub use keys::KeysError;
pub use service::HttpAuthenticator;

use crate::future::BoxFuture;
use crate::server::{Occasion, SessionRequest};
use crate::transport::ConnectInfo;

/// Somebody.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// What is known.
    pub claims: Claims,
    /// Up to when that is good, in seconds since 1970; `None`: as long as the session lives.
    pub expires_at: Option<u64>,
}

/// Finds out who asks for a session.
///
/// A client that says nothing about itself is asked about as well; whether it is let in as nobody is for the
/// authenticator to say. It is asked again for a client that comes back with a credential, and for one that
/// shows a new one ([`SessionRequest::occasion`]).
///
/// A refusal is told to the client in its own words; it should not tell why a credential is no good beyond
/// what its owner can do about it. A refusal of the type `internal` says that it could not be found out: the
/// client may try again.
pub trait Authenticator: Send + Sync + 'static {
    /// Who it is, or why it is not let in.
    fn authenticate<'a>(
        &'a self,
        request: &'a SessionRequest,
    ) -> BoxFuture<'a, Result<Identity, Rejection>>;

    /// Whether a connection shows a credential: a session that began on such a connection is only resumed by
    /// one that shows one, too. For those who look for it elsewhere, in a cookie for example.
    fn shows(&self, connection: &ConnectInfo) -> bool {
        shown(connection).is_some()
    }

    /// What it does beside answering. It is run for as long as the server.
    fn upkeep(&self) -> Option<BoxFuture<'static, ()>> {
        None
    }

    /// Why it can recognise nobody at present, if that is so. The server is not ready then.
    fn problem(&self) -> Option<String> {
        None
    }
}

/// Lets everybody in as nobody in particular.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anyone;

impl Authenticator for Anyone {
    fn authenticate<'a>(
        &'a self,
        _: &'a SessionRequest,
    ) -> BoxFuture<'a, Result<Identity, Rejection>> {
        Box::pin(async { Ok(Identity::default()) })
    }

    fn shows(&self, _: &ConnectInfo) -> bool {
        false
    }
}

impl<A: Authenticator + ?Sized> Authenticator for Arc<A> {
    fn authenticate<'a>(
        &'a self,
        request: &'a SessionRequest,
    ) -> BoxFuture<'a, Result<Identity, Rejection>> {
        (**self).authenticate(request)
    }

    fn shows(&self, connection: &ConnectInfo) -> bool {
        (**self).shows(connection)
    }

    fn upkeep(&self) -> Option<BoxFuture<'static, ()>> {
        (**self).upkeep()
    }

    fn problem(&self) -> Option<String> {
        (**self).problem()
    }
}

/// A function of the application's as an [`Authenticator`].
pub struct ByFunction<F>(pub F);

impl<F, R> Authenticator for ByFunction<F>
where
    F: Fn(Option<String>) -> R + Send + Sync + 'static,
    R: Future<Output = Result<Identity, Rejection>> + Send + 'static,
{
    fn authenticate<'a>(
        &'a self,
        request: &'a SessionRequest,
    ) -> BoxFuture<'a, Result<Identity, Rejection>> {
        Box::pin((self.0)(credential(request).map(str::to_owned)))
    }
}

/// What a client shows to say who it is. A secret.
pub fn credential(request: &SessionRequest) -> Option<&str> {
    let connection = match request.occasion() {
        // What the connection has shown is what the session had before.
        Occasion::Renew => None,
        Occasion::Begin | Occasion::Resume | Occasion::Restore => shown(request.connection()),
    };
    connection.or_else(|| request.param(TOKEN).filter(|text| !text.is_empty()))
}

/// What a connection shows, before anything is said on it. A secret.
fn shown(connection: &ConnectInfo) -> Option<&str> {
    let header = connection.header("authorization").and_then(bearer);
    let parameter = connection.parameter("authorization");
    let parameter = parameter.map(|text| bearer(text).unwrap_or(text));
    let not_empty = |text: &&str| !text.is_empty();
    header.filter(not_empty).or(connection.credential()).or(parameter).filter(not_empty)
}

/// What stands behind `Bearer`, however that is written.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, credential) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}

/// Somebody of whom this is said. Where there is a `sub` and no `user`, rules know it as `session.user`, too.
fn identity(said: Map<String, Value>, expires_at: Option<u64>) -> Identity {
    Identity { claims: with_user(said), expires_at }
}

/// Claims as rules know them: where there is a `sub` and no `user`, the subject is the user, too.
pub(crate) fn with_user(mut said: Map<String, Value>) -> Claims {
    if !said.contains_key("user")
        && let Some(subject) = said.get("sub").cloned()
    {
        said.insert("user".to_owned(), subject);
    }
    Claims::new(said)
}

fn unauthorized(message: &str) -> Rejection {
    Rejection::new(ErrorCode::Unauthorized, message)
}

/// Nobody can say at present who it is.
fn undecided() -> Rejection {
    Rejection::new(
        ErrorCode::Internal,
        "who you are cannot be checked at the moment; try again later",
    )
}

/// Nothing was shown.
fn nothing_shown(anonymous: bool) -> Result<Identity, Rejection> {
    match anonymous {
        true => Ok(Identity::default()),
        false => Err(unauthorized("sign in first: the session needs a credential")),
    }
}

/// The parameter of a session in which a credential can stand.
pub(crate) const TOKEN: &str = "token";

/// The longest credential, in bytes: larger than what any issuer gives, and little work to look at.
const CREDENTIAL_BYTES_MAX: usize = 16 << 10;
