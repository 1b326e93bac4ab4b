//! How a server is made.

use std::future::{Future, IntoFuture, pending};
use std::io;
use std::sync::Arc;

use jetstream_core::limits::Limits;

use super::handle::ServerHandle;
use super::request::{FetchRequest, FetchVerdict, SessionRequest, SessionVerdict};
use super::{Handlers, start};
use crate::api::Api;
use crate::authentication::Authenticator;
use crate::future::BoxFuture;
use crate::metrics::Metrics;
use crate::scope::Scopes;
use crate::storage::{SchemaVersion, Storage};
use crate::transport::{Proxies, Transport};

/// Describes a server: [`Server::builder`](super::Server::builder).
pub struct ServerBuilder {
    pub(super) transports: Vec<Box<dyn Transport>>,
    pub(super) handlers: Handlers,
    pub(super) limits: Arc<Limits>,
    pub(super) metrics: Metrics,
    pub(super) admin: Option<String>,
    pub(super) api: Option<Api>,
    pub(super) storage: Option<Arc<dyn Storage>>,
    pub(super) proxies: Proxies,
    shutdown_on: BoxFuture<'static, ()>,
}

impl ServerBuilder {
    pub(super) fn new() -> Self {
        Self {
            transports: Vec::new(),
            handlers: Handlers::default(),
            limits: Arc::default(),
            metrics: Metrics::process(),
            admin: None,
            api: None,
            storage: None,
            proxies: Proxies::default(),
            shutdown_on: Box::pin(pending()),
        }
    }

    /// A way for clients to reach the server. There may be several.
    #[must_use]
    pub fn transport(mut self, transport: impl Transport) -> Self {
        self.transports.push(Box::new(transport));
        self
    }

    /// Decides who gets a session; without it everybody does. The handler gives a verdict or a future of
    /// one; if it panics, the session is denied.
    ///
    /// ```
    /// # use jetstream::Server;
    /// # async fn user_of(token: &str) -> Option<String> { None }
    /// let server = Server::builder().on_session(|session| async move {
    ///     match user_of(session.param("token").unwrap_or_default()).await {
    ///         Some(user) => session.accept_with(user),
    ///         None => session.deny_with("unauthorized", "sign in first"),
    ///     }
    /// });
    /// ```
    #[must_use]
    pub fn on_session<F, V>(mut self, handler: F) -> Self
    where
        F: Fn(SessionRequest) -> V + Send + Sync + 'static,
        V: IntoFuture<Output = SessionVerdict>,
        V::IntoFuture: Send + 'static,
    {
        self.handlers.authenticator = None;
        self.handlers.on_session =
            Some(Box::new(move |request| Box::pin(handler(request).into_future())));
        self
    }

    /// Finds out who asks for a session, instead of [`on_session`](Self::on_session). What it finds is what
    /// access rules know as `session`; the session ends when that is no longer good.
    ///
    /// A session is bound to who began it: nobody else resumes it, whatever token it has. Credentials are kept
    /// nowhere once they were looked at, neither in [`SessionInfo`](super::SessionInfo) nor in a store.
    #[must_use]
    pub fn authenticator(mut self, authenticator: impl Authenticator) -> Self {
        self.handlers.on_session = None;
        self.handlers.authenticator = Some(Arc::new(authenticator));
        self
    }

    /// Whether every session that began with a credential is only resumed with one, of the same principal.
    /// Otherwise (as long as nothing is said) those that began with `token` in their parameters are resumed by
    /// whoever has their session token: clients of the original cannot show a credential again.
    #[must_use]
    pub fn resume_with_credential(mut self, always: bool) -> Self {
        self.handlers.resumes_with_credential = always;
        self
    }

    /// Decides who gets which scope; without it nobody gets any. The handler gives a verdict or a future
    /// of one; if it panics, the fetch is denied. While it works, its session waits, and no other.
    #[must_use]
    pub fn on_fetch<F, V>(mut self, handler: F) -> Self
    where
        F: Fn(FetchRequest) -> V + Send + Sync + 'static,
        V: IntoFuture<Output = FetchVerdict>,
        V::IntoFuture: Send + 'static,
    {
        self.handlers.on_fetch =
            Some(Box::new(move |request| Box::pin(handler(request).into_future())));
        self
    }

    /// Lets everybody have these scopes, by name.
    #[must_use]
    pub fn scopes(self, scopes: Scopes) -> Self {
        self.on_fetch(move |fetch| {
            let scopes = scopes.clone();
            async move { scopes.open(fetch.name()).await.into() }
        })
    }

    /// The bounds that the server holds its clients and itself to.
    #[must_use]
    pub fn limits(mut self, limits: impl Into<Arc<Limits>>) -> Self {
        self.limits = limits.into();
        self
    }

    /// The proxies that may say who is behind them. Without it nobody may, and limits by address count those
    /// who come through a proxy as one.
    #[must_use]
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Where sessions are kept, so that clients resume them after the server was gone; without it they are
    /// in memory. Scopes have their own, [`ScopesBuilder::storage`](crate::scope::ScopesBuilder::storage), which
    /// has to be the same: a scope recognises by its sessions what it was told before.
    #[must_use]
    pub fn storage(mut self, storage: Arc<dyn Storage>) -> Self {
        self.storage = Some(storage);
        self
    }

    /// Which models clients of the original are taken to know that do not say it with the parameter `schema`, by
    /// their number in the store. It is kept with their sessions: when the models have changed, those who come
    /// back are told what they know, and nothing else. Usually these are the models of the scopes.
    #[must_use]
    pub const fn original_models(mut self, models: SchemaVersion) -> Self {
        self.handlers.original_models = Some(models);
        self
    }

    /// Where the server counts, if not with the process.
    #[must_use]
    pub fn metrics(mut self, metrics: Metrics) -> Self {
        self.metrics = metrics;
        self
    }

    /// Serves `/metrics`, `/health/live` and `/health/ready` at this address.
    #[must_use]
    pub fn admin(mut self, address: impl Into<String>) -> Self {
        self.admin = Some(address.into());
        self
    }

    /// Lets programs read and change scopes over HTTP, and operators end sessions.
    #[must_use]
    pub fn api(mut self, api: Api) -> Self {
        self.api = Some(api);
        self
    }

    /// When [`run`](Self::run) ends: the signal of the operating system, for example.
    #[must_use]
    pub fn shutdown_on(mut self, signal: impl Future<Output = ()> + Send + 'static) -> Self {
        self.shutdown_on = Box::pin(signal);
        self
    }

    /// Starts the server. It runs until [`ServerHandle::shutdown`], whether the handle is kept or not.
    ///
    /// # Errors
    ///
    /// If a transport cannot take its place; then nothing runs.
    pub async fn start(self) -> io::Result<ServerHandle> {
        start(self).await
    }

    /// Runs the server until the future of [`shutdown_on`](Self::shutdown_on) is ready; without one, for
    /// ever.
    ///
    /// # Errors
    ///
    /// If a transport cannot take its place.
    pub async fn run(mut self) -> io::Result<()> {
        let signal = std::mem::replace(&mut self.shutdown_on, Box::pin(pending()));
        let server = self.start().await?;
        signal.await;
        server.shutdown().await;
        Ok(())
    }
}
