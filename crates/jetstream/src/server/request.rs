//! What the application is asked, and what it answers.

use std::any::Any;
use std::fmt;
use std::future::{IntoFuture, Ready, ready};
use std::sync::Arc;

use jetstream_core::ids::SessionId;
use jetstream_core::model::Rejection;
use jetstream_core::scope::Claims;
use jetstream_core::session::Shown;
use jetstream_core::time::Timestamp;
use jetstream_core::wire::message::Dialect;
use parking_lot::RwLock;
use semver::Version;
use serde_json::{Map, Value};

use crate::scope::Scope;
use crate::transport::ConnectInfo;

/// A client asks for a session. Answer with [`accept`](Self::accept) or [`deny`](Self::deny).
#[derive(Debug)]
pub struct SessionRequest {
    pub(super) connect: Arc<ConnectInfo>,
    pub(super) params: Map<String, Value>,
    pub(super) version: Version,
    pub(super) occasion: Occasion,
}

/// Why it is asked who a client is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// The client asks for a session.
    Begin,
    /// The client comes back to its session, and shows a credential. There are no parameters.
    Resume,
    /// The session was there before the server was restarted, and its client resumes it.
    Restore,
    /// The client shows a new credential for the session that it has. It stands in the parameters, which
    /// are not those with which the session began.
    Renew,
}

impl Occasion {
    /// In a word: `begin`, `resume`, `restore`, `renew`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Resume => "resume",
            Self::Restore => "restore",
            Self::Renew => "renew",
        }
    }
}

impl SessionRequest {
    /// What the client adds for the application.
    pub fn params(&self) -> &Map<String, Value> {
        &self.params
    }

    /// One of the [`params`](Self::params) that is a text.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name)?.as_str()
    }

    /// The version of the protocol that the client speaks.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// How it connected: headers, query, connection parameters, address.
    pub fn connection(&self) -> &ConnectInfo {
        &self.connect
    }

    /// Whether the session was there before the server was restarted, and its client resumes it. Who is
    /// denied now begins anew.
    pub fn is_restored(&self) -> bool {
        self.occasion == Occasion::Restore
    }

    /// Why it is asked who the client is. A handler of sessions is only asked when one begins and when one is
    /// restored; an [`Authenticator`](crate::authentication::Authenticator) also later.
    pub fn occasion(&self) -> Occasion {
        self.occasion
    }

    /// Lets the client in.
    pub fn accept(&self) -> SessionVerdict {
        SessionVerdict(Ok(Admission::default()))
    }

    /// Lets the client in as somebody: what access rules know as `session`.
    pub fn accept_as(&self, claims: Claims) -> SessionVerdict {
        self.accept().with_claims(claims)
    }

    /// Lets the client in and keeps what the application knows of it, such as who it is. Fetches find
    /// it with [`SessionInfo::data`].
    pub fn accept_with<T: Any + Send + Sync>(&self, data: T) -> SessionVerdict {
        SessionVerdict(Ok(Admission { data: Some(Arc::new(data)), ..Admission::default() }))
    }

    /// Refuses for a reason that is given.
    pub const fn refuse(&self, reason: Rejection) -> SessionVerdict {
        SessionVerdict(Err(reason))
    }

    /// Refuses, in plain words for the client's user.
    pub fn deny(&self, message: impl Into<String>) -> SessionVerdict {
        SessionVerdict(Err(Rejection::message(message)))
    }

    /// Refuses with a reason that a program can read.
    pub fn deny_with(&self, code: impl Into<String>, message: impl Into<String>) -> SessionVerdict {
        SessionVerdict(Err(Rejection::with_type(code, message)))
    }
}

/// The answer to a [`SessionRequest`].
#[derive(Debug)]
#[must_use = "a verdict must be returned from the handler"]
pub struct SessionVerdict(pub(super) Result<Admission, Rejection>);

/// What is known of a client that is let in.
#[derive(Debug, Default)]
pub(super) struct Admission {
    pub(super) data: Option<Data>,
    pub(super) claims: Arc<Claims>,
    /// When what it showed is no longer good, in seconds since 1970.
    pub(super) expires_at: Option<u64>,
    /// Where it showed it; `None`: the application knows who it is, and is asked again after a restart.
    pub(super) shown: Option<Shown>,
}

impl SessionVerdict {
    /// The same for somebody: what access rules know as `session`.
    pub fn with_claims(mut self, claims: Claims) -> Self {
        if let Ok(admission) = &mut self.0 {
            admission.claims = Arc::new(claims);
        }
        self
    }

    /// The same, up to a moment in seconds since 1970: then the session ends.
    pub fn until(mut self, expires_at: u64) -> Self {
        if let Ok(admission) = &mut self.0 {
            admission.expires_at = Some(expires_at);
        }
        self
    }
}

type Data = Arc<dyn Any + Send + Sync>;

/// A session's client asks for a scope. Answer with [`accept`](Self::accept) or [`deny`](Self::deny).
#[derive(Debug)]
pub struct FetchRequest {
    pub(super) session: SessionInfo,
    pub(super) name: String,
    pub(super) params: Map<String, Value>,
}

impl FetchRequest {
    /// The name of the scope.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What the client adds for the application.
    pub fn params(&self) -> &Map<String, Value> {
        &self.params
    }

    /// One of the [`params`](Self::params) that is a text.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name)?.as_str()
    }

    /// Who asks.
    pub fn session(&self) -> &SessionInfo {
        &self.session
    }

    /// Makes the session a member of this scope. It may have another name than the one asked for.
    pub fn accept(&self, scope: &Scope) -> FetchVerdict {
        FetchVerdict(Ok(scope.clone()))
    }

    /// Refuses, in plain words for the client's user.
    pub fn deny(&self, message: impl Into<String>) -> FetchVerdict {
        FetchVerdict(Err(Rejection::message(message)))
    }

    /// Refuses with a reason that a program can read.
    pub fn deny_with(&self, code: impl Into<String>, message: impl Into<String>) -> FetchVerdict {
        FetchVerdict(Err(Rejection::with_type(code, message)))
    }
}

/// The answer to a [`FetchRequest`].
#[derive(Debug)]
#[must_use = "a verdict must be returned from the handler"]
pub struct FetchVerdict(pub(super) Result<Scope, Rejection>);

impl<E: Into<Rejection>> From<Result<Scope, E>> for FetchVerdict {
    /// For `scopes.open(fetch.name()).await.into()`.
    fn from(result: Result<Scope, E>) -> Self {
        Self(result.map_err(Into::into))
    }
}

/// So that a handler may give a verdict or a future of one.
impl IntoFuture for SessionVerdict {
    type Output = Self;
    type IntoFuture = Ready<Self>;

    fn into_future(self) -> Ready<Self> {
        ready(self)
    }
}

/// So that a handler may give a verdict or a future of one.
impl IntoFuture for FetchVerdict {
    type Output = Self;
    type IntoFuture = Ready<Self>;

    fn into_future(self) -> Ready<Self> {
        ready(self)
    }
}

/// What is known of a session. Cheap to clone.
#[derive(Clone)]
pub struct SessionInfo(pub(super) Arc<SessionFacts>);

pub(super) struct SessionFacts {
    pub(super) id: SessionId,
    pub(super) dialect: Dialect,
    pub(super) connect: Arc<ConnectInfo>,
    pub(super) params: Map<String, Value>,
    pub(super) version: Version,
    pub(super) data: Option<Data>,
    pub(super) shown: Option<Shown>,
    pub(super) known: RwLock<Known>,
}

/// Who a session's client is.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) claims: Arc<Claims>,
    /// Up to when that is good, in seconds since 1970.
    pub(super) expires_at: Option<u64>,
}

impl Known {
    /// The same for a session's machine.
    pub(super) fn until(&self) -> Option<Timestamp> {
        self.expires_at.map(|seconds| {
            let milliseconds = i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
            Timestamp(milliseconds.min(Timestamp::MAX_MILLIS))
        })
    }
}

impl SessionInfo {
    /// Its name inside the server; no secret.
    pub fn id(&self) -> SessionId {
        self.0.id
    }

    /// Which protocol its client speaks.
    pub fn dialect(&self) -> Dialect {
        self.0.dialect
    }

    /// The version that its client named.
    pub fn version(&self) -> &Version {
        &self.0.version
    }

    /// What its client said when it asked for the session.
    pub fn params(&self) -> &Map<String, Value> {
        &self.0.params
    }

    /// How its client first connected. Later connections may come from elsewhere.
    pub fn connection(&self) -> &ConnectInfo {
        &self.0.connect
    }

    /// Who its client is, as access rules know it.
    pub fn claims(&self) -> Arc<Claims> {
        self.0.known.read().claims.clone()
    }

    /// What the application kept with [`SessionRequest::accept_with`], if it is of this type.
    pub fn data<T: Any>(&self) -> Option<&T> {
        self.0.data.as_deref()?.downcast_ref()
    }
}

/// Shows no parameters, which may be secrets.
impl fmt::Debug for SessionInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionInfo")
            .field("id", &self.0.id)
            .field("version", &self.0.version)
            .finish_non_exhaustive()
    }
}
