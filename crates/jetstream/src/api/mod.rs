//! HTTP for programs: backends that read and change scopes, operators that end sessions.
//!
//! A listener of its own, apart from what clients reach. What can be asked stands in `openapi.json`, which the
//! listener serves; the book says it in words, `docs/guide/backends.md`.
//!
//! - [`Api`]: what there is to serve, to whom, and where.
//! - `token`: who asks, and what they may.
//! - `listener`, `patience`: connections and their bounds.
//! - `route`: which operation a request is about.
//! - `request`, `answer`, `problem`: what HTTP has to say besides.
//! - `scopes`, `events`, `sessions`: the operations.
//!
//! Rules of access are about clients. A program with a token may do what its token says, in every object.

mod answer;
mod events;
mod listener;
mod patience;
mod problem;
mod request;
mod route;
mod scopes;
mod sessions;
mod token;

#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use token::{ApiToken, Role};

use crate::scope::Scopes;

/// What programs may ask over HTTP: [`ServerBuilder::api`](crate::ServerBuilder::api).
///
/// ```
/// use jetstream::{Api, ApiToken, Role, Scopes, Secret};
///
/// let scopes = Scopes::builder().build()?;
/// let token = std::env::var("BILLING_TOKEN").unwrap_or_else(|_| "a long random text".to_owned());
/// let api = Api::new(scopes.clone(), "127.0.0.1:9091")
///     .token(ApiToken::new("billing", Secret::new(&token)).role(Role::Read).role(Role::Write));
/// let server = jetstream::Server::builder().scopes(scopes).api(api);
/// # Ok::<(), jetstream::scope::TemplateError>(())
/// ```
#[derive(Debug)]
pub struct Api {
    scopes: Scopes,
    address: String,
    certificate: Option<(PathBuf, PathBuf)>,
    tokens: Vec<ApiToken>,
    unprotected: bool,
    limits: ApiLimits,
}

/// The bounds of the interface for programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiLimits {
    /// The most connections. Those beyond are closed at once.
    pub connections_max: usize,
    /// The most programs that follow scopes at a time. Those beyond are answered with 429.
    pub streams_max: usize,
    /// The longest body of a request, in bytes. A longer one is answered with 413.
    pub body_bytes_max: usize,
}

impl Default for ApiLimits {
    /// Room for a few hundred processes of a backend, and for messages as long as those of clients.
    fn default() -> Self {
        Self { connections_max: 1_000, streams_max: 500, body_bytes_max: 4 << 20 }
    }
}

impl Api {
    /// Serves these scopes at an address, `host:port`, to nobody yet. Port 0 picks a free one;
    /// [`api_addr`](crate::ServerHandle::api_addr) tells which.
    pub fn new(scopes: Scopes, address: impl Into<String>) -> Self {
        let (address, limits) = (address.into(), ApiLimits::default());
        let (certificate, tokens, unprotected) = (None, Vec::new(), false);
        Self { scopes, address, certificate, tokens, unprotected, limits }
    }

    /// Speaks TLS with this certificate chain and key, both PEM files. They are read when the server
    /// starts.
    #[must_use]
    pub fn tls(mut self, certificate: impl Into<PathBuf>, key: impl Into<PathBuf>) -> Self {
        self.certificate = Some((certificate.into(), key.into()));
        self
    }

    /// Lets a program in.
    #[must_use]
    pub fn token(mut self, token: ApiToken) -> Self {
        self.tokens.push(token);
        self
    }

    /// Lets everybody do everything without a token who asks from this machine. The address has to be one
    /// that only this machine reaches, or the server does not start.
    #[must_use]
    pub const fn unprotected(mut self) -> Self {
        self.unprotected = true;
        self
    }

    /// The bounds.
    #[must_use]
    pub const fn limits(mut self, limits: ApiLimits) -> Self {
        self.limits = limits;
        self
    }
}
