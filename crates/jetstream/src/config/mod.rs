//! The configuration file: one TOML text that says everything a server needs to know.
//!
//! [`Config::load`] reads a file, lays [`Setting`]s from flags and the environment over it, and checks
//! the result as a whole. It reports every [`Mistake`] at once, with its line, and then there is no
//! configuration: a server never starts with half of what it was told. The way of a text:
//!
//! - `tree`: TOML into values that remember their place; settings are laid over it.
//! - `check`: the tree into a [`Config`], in which everything is typed and every name is looked up.
//! - `apply`: the configuration into what a server is made of.
//!
//! The keys are described in the book, `docs/configuration.md`.

mod apply;
mod check;
mod mistake;
mod settings;
mod tree;
mod trial;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::{HeaderName, HeaderValue, StatusCode};

pub use crate::secret::Secret;
pub use apply::{Kept, OpenError};
pub use check::cases::{Cases, Report};
pub use check::limits::{KEYS as LIMIT_KEYS, LimitKey, Unit};
pub use mistake::{Mistake, Mistakes};
pub use settings::{PREFIX as VARIABLE_PREFIX, Setting, Variables, variables};
pub use trial::{TrialError, read_changes, read_claims};

use crate::access::Rules;
use crate::api::{ApiLimits, ApiToken};
use crate::authentication::Authenticator;
use crate::core::limits::Limits;
use crate::core::model::constraint::Constraint;
use crate::core::model::{Graph, ModelId, ProcedureName, PropertyId, Schema, Value};
use crate::core::scope::{Visible, WriteOrder};
use crate::http::ServiceOptions;
use crate::notify::{NotifyOptions, SigningKey};
use crate::procedure::RequestTemplate;
use crate::scope::Template;
#[cfg(feature = "postgres")]
use crate::storage::PostgresAddress;
use crate::storage::{Migrations, Retention, SchemaVersion};
use crate::transport::Proxies;
use mistake::{Collector, Origin, Place, Source, Sources};

/// Everything that a configuration file says, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients connect, as `host:port`. Port 0 picks a free one.
    pub listen: String,
    /// What makes connections secure; without it they are plain.
    pub tls: Option<Tls>,
    /// The web origins whose pages may connect, in lower case; `None`: all.
    pub origins: Option<Vec<String>>,
    /// Whether states are compressed for clients that offer it.
    pub compression: bool,
    /// Whether frames to many clients may leave in one call into the kernel, where it offers that.
    pub io_uring: bool,
    /// Whether the pages of the demos are served beside the scopes.
    pub demos: bool,
    /// The models of all scopes.
    pub schema: Arc<Schema>,
    /// The scopes and families, in the order of the file.
    pub scopes: Vec<ScopeConfig>,
    /// The procedures, in the order of the file.
    pub procedures: Vec<ProcedureConfig>,
    /// The bounds of the server.
    pub limits: Limits,
    /// Where and how long scopes are kept.
    pub storage: StorageConfig,
    /// What becomes of what is stored when the models change.
    pub migrations: Migrations,
    /// How clients say who they are; `None`: they do not.
    pub authentication: Option<AuthenticationConfig>,
    /// Where metrics and health are served, as `host:port`.
    pub metrics: Option<String>,
    /// The interface for programs, if there is one.
    pub api: Option<ApiConfig>,
    /// Who may look at the page `/inspector`.
    pub inspector: InspectorConfig,
    /// Who may say where clients come from.
    pub proxies: Proxies,
}

/// What programs may ask over HTTP.
#[derive(Debug, Clone)]
pub struct ApiConfig {
    /// Where they connect, as `host:port`.
    pub listen: String,
    /// What makes connections secure; without it they are plain.
    pub tls: Option<Tls>,
    /// Who they are, and what they may.
    pub tokens: Vec<ApiToken>,
    /// Whether programs on this machine may do everything without a token.
    pub unprotected: bool,
    /// The bounds.
    pub limits: ApiLimits,
}

/// How clients say who they are.
#[derive(Clone)]
pub struct AuthenticationConfig {
    /// Who finds it out.
    pub authenticator: Arc<dyn Authenticator>,
    /// Whether every session that began with a credential is only resumed with one.
    pub resume_with_credential: bool,
}

/// Shows no secret.
impl fmt::Debug for AuthenticationConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationConfig")
            .field("resume_with_credential", &self.resume_with_credential)
            .finish_non_exhaustive()
    }
}

/// Who may look at what goes on in the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InspectorConfig {
    /// Whether anybody may.
    pub enabled: bool,
    /// What one has to know for it. Without it nobody may look but who is on the same machine.
    pub token: Option<Secret>,
}

/// Where and how long scopes are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StorageConfig {
    /// The folder; `None`: in memory, or in a database.
    pub path: Option<PathBuf>,
    /// The database; `None`: in a folder, or in memory.
    #[cfg(feature = "postgres")]
    pub postgres: Option<PostgresAddress>,
    /// How much of the past is kept; `None`: as much as the store keeps by itself.
    pub retention: Option<Retention>,
    /// The models that clients of the original are taken to know, by their number in the store; `None`: the
    /// present ones.
    pub original_models: Option<SchemaVersion>,
    /// The file by which commands find the running server; `None`: they do not.
    pub control: Option<PathBuf>,
}

/// The files of a certificate, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The certificate and those that vouch for it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// A scope that clients can fetch, or a family of them.
#[derive(Debug, Clone)]
pub struct ScopeConfig {
    /// Its name, or the names of its family.
    pub template: Template,
    /// The model of its root.
    pub root: ModelId,
    /// What it begins with.
    pub initial: Initial,
    /// Its bounds: its own where it has them, else the server's.
    pub limits: Limits,
    /// When members see a change of it.
    pub visible: Visible,
    /// Who decides about ChangeSets that are no calls of procedures.
    pub validate: Option<ServiceConfig>,
    /// Who may do what in it; `None`: everybody everything.
    pub access: Option<Arc<Rules>>,
    /// Who is told of its changes after they have happened.
    pub notify: Option<NotifyConfig>,
    /// Who takes its changes before they are committed.
    pub write: Option<WriteConfig>,
    /// Who gives what it begins with.
    pub load: Option<ServiceConfig>,
}

/// A service that changes are written to.
#[derive(Debug, Clone)]
pub struct WriteConfig {
    /// In which order.
    pub order: WriteOrder,
    /// The service.
    pub http: ServiceConfig,
}

/// Who is told of changes.
#[derive(Debug, Clone)]
pub struct NotifyConfig {
    /// What the store knows it by.
    pub name: String,
    /// How it is treated.
    pub options: NotifyOptions,
    /// How it is reached.
    pub http: WebhookConfig,
}

/// A service that is told of changes.
#[derive(Debug, Clone)]
pub struct WebhookConfig {
    /// Where.
    pub url: String,
    /// What is said beside the changes.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// What they are signed with.
    pub keys: Vec<SigningKey>,
    /// The statuses that take them; none: 200 to 299.
    pub success: Vec<StatusCode>,
    /// How calls are made.
    pub options: ServiceOptions,
}

/// A service that is asked about ChangeSets.
#[derive(Debug, Clone)]
pub struct ServiceConfig {
    /// What it is told.
    pub request: RequestTemplate,
    /// The statuses of an acceptance; none: 200 to 299.
    pub success: Vec<StatusCode>,
    /// How it is treated.
    pub options: ServiceOptions,
}

/// What a scope begins with.
#[derive(Debug, Clone)]
pub enum Initial {
    /// A root with these values, and defaults for the others.
    Properties(Vec<(PropertyId, Value)>),
    /// A whole state. As objects and not as fragments: a copy is made in a tenth of the time that
    /// judging a hundred thousand fragments once more would take the first member.
    State(Arc<Graph>),
}

/// A procedure that clients can call.
#[derive(Debug, Clone)]
pub struct ProcedureConfig {
    /// `Model.name`.
    pub name: ProcedureName,
    /// What a call has to consist of.
    pub constraints: Vec<Constraint>,
    /// Who decides about it; `None`: what meets the constraints is applied.
    pub action: Option<ServiceConfig>,
}

impl Config {
    /// Reads a file and lays `settings` over it, the later ones over the earlier.
    ///
    /// # Errors
    ///
    /// The file cannot be read, or there are mistakes: all of them, in the file and in the settings.
    pub fn load(path: &Path, settings: &[Setting]) -> Result<Self, LoadError> {
        let name = path.display().to_string();
        let bytes = std::fs::read(path)
            .map_err(|error| LoadError::Unreadable { file: name.clone(), error })?;
        let directory = path.parent().unwrap_or(Path::new(""));
        match String::from_utf8(bytes) {
            Ok(text) => Self::parse(&name, &text, directory, settings).map_err(Into::into),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let text = String::from_utf8_lossy(error.as_bytes()).into_owned();
                let mut sources = Sources::default();
                let source = sources.add(Source::new(Origin::File, name, text));
                let mut mistakes = Collector::default();
                mistakes.add(Place::new(source, at..at), "the file is not in UTF-8");
                mistakes.finish(&sources, None).map_err(Into::into)
            }
        }
    }

    /// Reads a text. `name` stands for it in messages; files that it names are relative to `directory`.
    ///
    /// # Errors
    ///
    /// Every mistake, in the text and in the settings.
    pub fn parse(
        name: &str,
        text: &str,
        directory: &Path,
        settings: &[Setting],
    ) -> Result<Self, Mistakes> {
        let mut sources = Sources::default();
        let mut mistakes = Collector::default();
        let source = sources.add(Source::new(Origin::File, name, text));
        let root = tree::parse(text, source, &mut mistakes);
        // What settings mean depends on what is in the file; without it they cannot be judged.
        let Some(mut root) = root else { return mistakes.finish(&sources, None) };
        for setting in settings {
            setting.apply(&mut root, &mut sources, &mut mistakes);
        }
        let mut context = check::Context { sources, mistakes, directory: directory.to_owned() };
        let config = check::check(&root, Place::new(source, 0..0), &mut context);
        context.mistakes.finish(&context.sources, config)
    }
}

/// Why there is no configuration.
#[derive(Debug)]
pub enum LoadError {
    /// The file cannot be read at all.
    Unreadable {
        /// Its name.
        file: String,
        /// Why.
        error: std::io::Error,
    },
    /// It can be read, and is wrong.
    Mistakes(Mistakes),
}

impl From<Mistakes> for LoadError {
    fn from(mistakes: Mistakes) -> Self {
        Self::Mistakes(mistakes)
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable { file, error } => write!(f, "error: cannot read {file}: {error}"),
            Self::Mistakes(mistakes) => mistakes.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

/// Where a server listens if nothing else is said: to this machine only, which is safe without access
/// rules.
const LISTEN: &str = "127.0.0.1:3000";
