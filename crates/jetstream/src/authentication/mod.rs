//! Who a client is: from what it shows to what access rules know as `session`.
//!
//! [`Authenticator`] is the seam. A client shows its credential in the header `Authorization: Bearer …`, in the
//! connection parameter `x-jetstream-authorization`, or as `token` among the parameters of its session, which
//! is the way for browsers; it never has to stand in a URL.

mod jwt;

use std::future::Future;
use std::sync::Arc;

use jetstream_core::model::{ErrorCode, Rejection};
use jetstream_core::scope::Claims;

pub use jwt::{Jwt, JwtError};

use crate::future::BoxFuture;
use crate::server::SessionRequest;

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
/// authenticator to say. A refusal is told to the client in its own words; it should not tell why a credential
/// is no good beyond what its owner can do about it.
pub trait Authenticator: Send + Sync + 'static {
    /// Who it is, or why it is not let in.
    fn authenticate<'a>(
        &'a self,
        request: &'a SessionRequest,
    ) -> BoxFuture<'a, Result<Identity, Rejection>>;
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
}

impl<A: Authenticator> Authenticator for Arc<A> {
    fn authenticate<'a>(
        &'a self,
        request: &'a SessionRequest,
    ) -> BoxFuture<'a, Result<Identity, Rejection>> {
        (**self).authenticate(request)
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
    let connection = request.connection();
    let header = connection.header("authorization").and_then(bearer);
    let parameter = connection.parameter("authorization");
    let parameter = parameter.map(|text| bearer(text).unwrap_or(text));
    header.or(parameter).or_else(|| request.param("token")).filter(|text| !text.is_empty())
}

/// What stands behind `Bearer`, however that is written.
fn bearer(header: &str) -> Option<&str> {
    let (scheme, credential) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}

fn unauthorized(message: &str) -> Rejection {
    Rejection::new(ErrorCode::Unauthorized, message)
}
