//! Where keys come from, and how they are rotated while the server runs.
//!
//! Keys are looked at again after a while, and at once when a token names one that is not there; that at most
//! once in [`REFETCH_PAUSE`], or strangers could have the issuer asked as often as they like. What cannot be
//! read changes nothing: the keys from before stay.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::{HeaderMap, Method, StatusCode};
use parking_lot::RwLock;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::keys::{KeySet, KeysError};
use crate::http::{Outgoing, Service, ServiceError, ServiceOptions};
use crate::metrics::Metrics;

/// Keys, and where newer ones come from.
pub(super) struct Keys {
    present: RwLock<Arc<KeySet>>,
    source: Source,
    /// How the last attempt to read them went. Held by whoever makes another: one at a time.
    last: Mutex<Option<Attempt>>,
}

enum Source {
    /// They are what they are.
    Fixed,
    File(PathBuf),
    Address {
        service: Service,
        url: String,
        refresh: Duration,
    },
}

#[derive(Clone, Copy)]
struct Attempt {
    at: Instant,
    succeeded: bool,
}

/// What became of the wish for newer keys.
pub(super) enum Renewal {
    Newer(Arc<KeySet>),
    /// There are none.
    Same,
    /// Nobody knows.
    Failed,
}

/// Why no keys can be fetched from an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// It is none.
    #[error("{0:?} is no address of a web service")]
    NotAnAddress(String),
    /// There are no certificates to trust.
    #[error("no service can be called: {0}")]
    NoClient(String),
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("{0}")]
    File(std::io::Error),
    #[error("{0}")]
    Service(ServiceError),
    #[error("the answer has the status {0}")]
    Status(StatusCode),
    #[error("the answer is no UTF-8")]
    NoText,
    #[error(transparent)]
    Keys(#[from] KeysError),
}

/// A file's length and the time of its last change: by these another version of it is recognised.
type Stamp = Option<(u64, SystemTime)>;

impl Keys {
    pub(super) fn fixed(keys: KeySet) -> Self {
        Self::new(keys, Source::Fixed)
    }

    /// Keys that were read from a file just now.
    pub(super) fn of_file(keys: KeySet, path: &Path) -> Self {
        Self::new(keys, Source::File(path.to_owned()))
    }

    /// Keys that have to be fetched first.
    pub(super) fn of_address(url: &str, metrics: Metrics) -> Result<Self, AddressError> {
        let parsed = reqwest::Url::parse(url).ok();
        if !parsed.is_some_and(|u| matches!(u.scheme(), "http" | "https") && u.has_host()) {
            return Err(AddressError::NotAnAddress(url.to_owned()));
        }
        let options = ServiceOptions {
            timeout: FETCH_MAX,
            retries: 1,
            calls_max: 1,
            // Here is decided when it is asked again.
            failures_max: u32::MAX,
            ..ServiceOptions::default()
        };
        let service = Service::new(options, metrics);
        let service = service.map_err(|error| AddressError::NoClient(error.to_string()))?;
        let source = Source::Address { service, url: url.to_owned(), refresh: KEY_REFRESH };
        Ok(Self::new(KeySet::default(), source))
    }

    fn new(keys: KeySet, source: Source) -> Self {
        Self { present: RwLock::new(Arc::new(keys)), source, last: Mutex::new(None) }
    }

    /// The same, fetched anew after another time.
    pub(super) fn refreshed_after(mut self, period: Duration) -> Self {
        if let Source::Address { refresh, .. } = &mut self.source {
            *refresh = period;
        }
        self
    }

    pub(super) fn present(&self) -> Arc<KeySet> {
        self.present.read().clone()
    }

    /// Newer keys than these, which lack one. Whoever comes while they are being read waits for them.
    pub(super) async fn newer_than(&self, keys: &Arc<KeySet>) -> Renewal {
        let pause = match &self.source {
            Source::Fixed => return Renewal::Same,
            Source::File(_) => FILE_PAUSE,
            Source::Address { .. } => REFETCH_PAUSE,
        };
        let mut last = self.last.lock().await;
        let present = self.present();
        if !Arc::ptr_eq(&present, keys) {
            return Renewal::Newer(present);
        }
        match *last {
            Some(attempt) if attempt.at.elapsed() < pause => match attempt.succeeded {
                true => Renewal::Same,
                false => Renewal::Failed,
            },
            _ => match self.read(&mut last).await {
                true => Renewal::Newer(self.present()),
                false => Renewal::Failed,
            },
        }
    }

    /// Keeps the keys as new as they have to be. Never ends.
    pub(super) async fn keep(&self) {
        match &self.source {
            Source::Fixed => {}
            Source::File(path) => self.watch(path).await,
            Source::Address { refresh, .. } => self.refetch(*refresh).await,
        }
    }

    async fn watch(&self, path: &Path) {
        // It may have changed since the configuration was read.
        let mut seen = None;
        loop {
            sleep(FILE_POLL).await;
            let stamp = stamp(path).await;
            if stamp.is_some() && stamp != seen {
                self.read(&mut *self.last.lock().await).await;
                seen = stamp;
            }
        }
    }

    async fn refetch(&self, refresh: Duration) {
        let mut pause = FETCH_PAUSE_MIN;
        loop {
            let succeeded = self.read(&mut *self.last.lock().await).await;
            let wait = if succeeded { refresh } else { pause.min(refresh) };
            pause = if succeeded { FETCH_PAUSE_MIN } else { (pause * 2).min(FETCH_PAUSE_MAX) };
            sleep(wait).await;
        }
    }

    /// Reads the keys. False if that failed.
    async fn read(&self, last: &mut Option<Attempt>) -> bool {
        let read = match &self.source {
            Source::Fixed => return true,
            Source::File(path) => from_file(path).await,
            Source::Address { service, url, .. } => fetch(service, url).await,
        };
        let succeeded = read.is_ok();
        *last = Some(Attempt { at: Instant::now(), succeeded });
        match read {
            Ok(keys) => *self.present.write() = Arc::new(keys),
            Err(error) => {
                let kept = self.present().len();
                tracing::warn!(%error, kept, "the keys of tokens cannot be read; those from before stay");
            }
        }
        succeeded
    }
}

async fn from_file(path: &Path) -> Result<KeySet, ReadError> {
    let text = tokio::task::spawn_blocking({
        let path = path.to_owned();
        move || std::fs::read_to_string(path)
    });
    let text = text.await.map_err(std::io::Error::other).flatten().map_err(ReadError::File)?;
    Ok(KeySet::of_ours(&text)?)
}

async fn fetch(service: &Service, url: &str) -> Result<KeySet, ReadError> {
    let outgoing = Outgoing {
        method: Method::GET,
        url: url.to_owned(),
        headers: HeaderMap::new(),
        body: None,
        repeatable: true,
    };
    let answer = service.call(&outgoing).await.map_err(ReadError::Service)?;
    if answer.status != StatusCode::OK {
        return Err(ReadError::Status(answer.status));
    }
    let text = std::str::from_utf8(&answer.body).map_err(|_| ReadError::NoText)?;
    Ok(KeySet::of_an_issuer(text)?)
}

async fn stamp(path: &Path) -> Stamp {
    let path = path.to_owned();
    let stamp = tokio::task::spawn_blocking(move || {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.len(), metadata.modified().ok()?))
    });
    stamp.await.ok().flatten()
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("count", &self.present().len()).finish_non_exhaustive()
    }
}

/// After this time keys are fetched anew, unless something else is said. Issuers announce a new key for
/// longer than this before they use it.
pub const KEY_REFRESH: Duration = Duration::from_secs(300);

/// How long one attempt to fetch keys may take; half of what a client waits for its session.
const FETCH_MAX: Duration = Duration::from_secs(4);

/// The pauses between attempts that fail.
const FETCH_PAUSE_MIN: Duration = Duration::from_secs(1);
const FETCH_PAUSE_MAX: Duration = Duration::from_secs(60);

/// How often tokens with unknown keys may have the keys fetched.
const REFETCH_PAUSE: Duration = Duration::from_secs(10);

/// The same for a file, which costs less to read.
const FILE_PAUSE: Duration = Duration::from_secs(1);

/// How often a file is looked at.
const FILE_POLL: Duration = Duration::from_secs(5);
