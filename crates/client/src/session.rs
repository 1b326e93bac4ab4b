//! A session as an application holds it.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jetstream_core::model::{Rejection, Schema};
use jetstream_core::session::ClientConfig;
use jetstream_model::{Model, SchemaMismatch};
use tokio::sync::{oneshot, watch};

use crate::backoff::LONGEST;
use crate::client::Params;
use crate::driver::Driver;
use crate::feed::Feed;
use crate::link::Transport;
use crate::raw::RawScope;
use crate::renewal::{Credential, credential_of};
use crate::scope::{Held, Scope, TypedScope};
use crate::shared::Shared;
use crate::websocket::{UrlError, WebSocket};

/// A client's standing with a server. Cheap to clone; all clones are the same session.
///
/// It outlives connections: while there is none, scopes can be read and edited as before, and what was
/// edited is sent as soon as there is one. If the server has forgotten the session meanwhile, it begins
/// another, fetches the same scopes and sends what is pending.
///
/// When the last clone is dropped, and the last scope, the session ends behind what was edited before;
/// [`close`](Self::close) waits for that.
#[derive(Clone)]
pub struct Session(Arc<Handle>);

struct Handle {
    shared: Arc<Shared>,
}

/// Where a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// It is about to connect.
    Connecting,
    /// Messages flow.
    Online,
    /// There is no connection; another attempt comes soon.
    Offline,
    /// It has ended for good.
    Closed,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The URL is none.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// There is no server, or it does not answer.
    #[error("the server cannot be reached: {0}")]
    Unreachable(io::Error),
    /// The server refuses a session.
    #[error("the server refused a session: {0}")]
    Refused(Rejection),
    /// The system has no random numbers.
    #[error("no random numbers: {0}")]
    Random(getrandom::Error),
}

/// Why a scope could not be fetched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FetchError {
    /// The server said no, or the session is closed.
    #[error("the scope was denied: {0}")]
    Denied(Rejection),
    /// Its root is not of the model that was expected.
    #[error(transparent)]
    Schema(#[from] SchemaMismatch),
}

/// Connects to the server at a `ws://` or `wss://` URL.
///
/// # Errors
///
/// If the server cannot be reached now or refuses a session. Once there is a session, lost connections are
/// its own affair. To go on trying from the start, see [`Connector::start`].
pub async fn connect(url: &str) -> Result<Session, ConnectError> {
    Connector::new(url)?.connect().await
}

/// Describes a session before it begins.
pub struct Connector {
    transport: Box<dyn Transport>,
    config: ClientConfig,
    longest_wait: Duration,
    credential: Option<Credential>,
}

impl Connector {
    /// A session with the server at a `ws://` or `wss://` URL.
    ///
    /// # Errors
    ///
    /// If the URL is none.
    pub fn new(url: &str) -> Result<Self, UrlError> {
        Ok(Self::over(WebSocket::new(url)?))
    }

    /// A session over any transport.
    pub fn over(transport: impl Transport) -> Self {
        let (transport, config) = (Box::new(transport), ClientConfig::default());
        Self { transport, config, longest_wait: LONGEST, credential: None }
    }

    /// What the application on the server is told when the session is created.
    #[must_use]
    pub fn params(mut self, params: Params) -> Self {
        self.config.params = params;
        self
    }

    /// What says who the client is, such as a token: asked for before each connection, and again when the server
    /// says that it is about to expire. The session then goes on with the new one, over the same connection.
    /// An error is a connection that could not be made, and another attempt later.
    ///
    /// ```no_run
    /// # use jetstream_client::Connector;
    /// # async fn fresh_token() -> Result<String, std::io::Error> { unimplemented!() }
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let connector = Connector::new("wss://example.org")?.credential(fresh_token);
    /// let session = connector.connect().await?;
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn credential<F, R, E>(mut self, credential: F) -> Self
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Result<String, E>> + Send + 'static,
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        self.credential = Some(credential_of(credential));
        self
    }

    /// How long to wait at most before the next attempt to connect, instead of half a minute. The waits
    /// grow up to that: a server that comes back has all its clients at the door.
    #[must_use]
    pub const fn longest_wait(mut self, longest: Duration) -> Self {
        self.longest_wait = longest;
        self
    }

    /// Begins the session and waits until the server has made it.
    ///
    /// # Errors
    ///
    /// If the server cannot be reached at the first attempt, or refuses a session.
    pub async fn connect(self) -> Result<Session, ConnectError> {
        let (sender, receiver) = oneshot::channel();
        let session = self.begin(Some(sender))?;
        match receiver.await {
            Ok(result) => result.map(|()| session),
            Err(_) => Err(ConnectError::Unreachable(io::Error::other("the session was closed"))),
        }
    }

    /// Begins the session and returns at once. It tries to connect until it is closed, also after it was
    /// refused; scopes come when it succeeds.
    ///
    /// # Errors
    ///
    /// If the system has no random numbers.
    pub fn start(self) -> Result<Session, ConnectError> {
        self.begin(None)
    }

    fn begin(self, first: Option<crate::driver::First>) -> Result<Session, ConnectError> {
        let seed = getrandom::u64().map_err(ConnectError::Random)?;
        let shared = Arc::new(Shared::new(self.config.clone(), seed));
        // It ends when the handle is closed or dropped, and tells everybody who waits.
        let Self { transport, longest_wait, credential, .. } = self;
        let driver = Driver::new(shared.clone(), transport, longest_wait, first, credential);
        tokio::spawn(driver.run());
        Ok(Session(Arc::new(Handle { shared })))
    }
}

impl Session {
    /// Fetches a scope whose root is an `M`, and waits for its state.
    ///
    /// # Errors
    ///
    /// If the server denies it, or its root is no `M`.
    pub async fn fetch<M: Model>(&self, name: &str) -> Result<TypedScope<M>, FetchError> {
        self.fetch_with(name, Params::new()).await
    }

    /// The same, with something for the application on the server.
    ///
    /// # Errors
    ///
    /// As [`fetch`](Self::fetch).
    pub async fn fetch_with<M: Model>(
        &self,
        name: &str,
        params: Params,
    ) -> Result<TypedScope<M>, FetchError> {
        TypedScope::new(self.fetch_untyped(name, params, M::schema()).await?)
    }

    /// Fetches a scope with a schema that is only known at run time.
    ///
    /// # Errors
    ///
    /// If the server denies it, or it does not fit the schema.
    pub async fn fetch_untyped(
        &self,
        name: &str,
        params: Params,
        schema: Arc<Schema>,
    ) -> Result<Scope, FetchError> {
        let ask = |client: &mut crate::client::Client| client.fetch(name, params, Some(schema));
        let (copy, fetched) = self.shared().fetch(ask, None);
        let held = Held::new(self.clone(), copy, name);
        answered(fetched).await?;
        Ok(Scope::new(held))
    }

    /// Fetches a scope without knowing its models: what the server says of it comes as it is.
    ///
    /// # Errors
    ///
    /// If the server denies it.
    pub async fn fetch_raw(&self, name: &str, params: Params) -> Result<RawScope, FetchError> {
        let feed = Feed::new();
        let ask = |client: &mut crate::client::Client| client.fetch(name, params, None);
        let (copy, fetched) = self.shared().fetch(ask, Some(feed.clone()));
        let held = Held::new(self.clone(), copy, name);
        answered(fetched).await?;
        Ok(RawScope::new(held, feed))
    }

    /// Where the session stands.
    pub fn state(&self) -> SessionState {
        self.shared().state()
    }

    /// The same, to be told of changes.
    pub fn states(&self) -> watch::Receiver<SessionState> {
        self.shared().states()
    }

    /// Shows who the client is anew, over the connection that there is: when its rights have changed, and not only
    /// when what it has shown expires. Does nothing without [`Connector::credential`], and waits for nothing.
    pub fn renew(&self) {
        self.shared().want_renewal();
    }

    /// How many edits wait for the server's answer, in all scopes.
    pub fn pending(&self) -> usize {
        *self.shared().pending().borrow()
    }

    /// Waits until the server has answered every edit that was made so far, or the session is closed.
    pub async fn synced(&self) {
        // The sender lives as long as we do.
        let _ = self.shared().pending().wait_for(|pending| *pending == 0).await;
    }

    /// Ends the session: sends what was edited before and waits for the answers, but not for a
    /// connection, nor for ever. What is not answered then is given up, and says so.
    pub async fn close(self) {
        self.shared().close();
        let _ = self.states().wait_for(|state| *state == SessionState::Closed).await;
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.0.shared
    }
}

async fn answered(fetched: oneshot::Receiver<Result<(), Rejection>>) -> Result<(), FetchError> {
    let closed = || Err(Rejection::message("the session is closed"));
    fetched.await.unwrap_or_else(|_| closed()).map_err(FetchError::Denied)
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("state", &self.state()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").field("config", &self.config).finish_non_exhaustive()
    }
}
