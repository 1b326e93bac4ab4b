//! Tells others of changes after they have happened: at least once, in order, however long it takes.
//!
//! A [`Consumer`] is told of the commits of scopes: a web service ([`Webhook`]), or a closure. Its [`Notifier`]
//! reads what there is to tell from the store's log and not from the scopes, so that no scope waits for it,
//! nothing piles up in memory, and scopes that nobody has open get their rest told as well. How far it has got
//! with each scope is kept in the store, beside the commits: after a crash it goes on from there.
//!
//! - `notice`: what is told.
//! - `schedule`: about which scope next.
//! - `attempt`: tells one notice, and decides what becomes of it.
//! - `notifier`: the task, and the handle to it.
//! - `webhook`: over HTTP, signed.
//!
//! ```
//! # use std::sync::Arc;
//! # use jetstream::core::model::{Graph, Schema};
//! # use jetstream::storage::Evolution;
//! use jetstream::notify::{Notice, Notifier, NotTaken};
//! use jetstream::{MemoryStorage, Scope, Storage};
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() {
//! # let schema = Arc::new(Schema::builder().model("Canvas", |m| m.property("name", "String")).build().unwrap());
//! # let (model, _) = schema.find("Canvas").unwrap();
//! # let root = "c0000000-0000-4000-8000-000000000001".parse().unwrap();
//! # let graph = Graph::new(schema.clone(), root, model);
//! let storage: Arc<dyn Storage> = Arc::new(MemoryStorage::new());
//! let evolution = Arc::new(Evolution::only(schema));
//! let notifier = Notifier::builder("mail", storage.clone(), evolution).start(|notice: &Notice| {
//!     println!("{} is at revision {}: {}", notice.scope(), notice.revision(), notice.body());
//!     async { Ok::<(), NotTaken>(()) }
//! });
//! let scope = Scope::builder("Canvas", graph).storage(storage).notify(notifier.clone()).build();
//! # drop(scope);
//! # notifier.stop().await;
//! # }
//! ```

mod attempt;
mod notice;
mod notifier;
mod schedule;
mod webhook;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::time::Duration;

pub use notice::Notice;
pub use notifier::{LetterError, Notifier, NotifierBuilder, Standing};
pub use webhook::{SigningKey, Webhook};

use crate::future::BoxFuture;

/// Somebody who is told of changes.
///
/// It is told about one scope in order, one notice at a time, and about several scopes side by side. A notice
/// that it takes may come again, with the same [`key`](Notice::key) or with more commits in it, if the server
/// dies before it has noted that: what is not past the last revision that it knows of a scope is a repetition.
pub trait Consumer: Send + Sync + 'static {
    /// Takes a notice, or says why not.
    fn take<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), NotTaken>>;
}

impl<F, R> Consumer for F
where
    F: Fn(&Notice) -> R + Send + Sync + 'static,
    R: Future<Output = Result<(), NotTaken>> + Send + 'static,
{
    fn take<'a>(&'a self, notice: &'a Notice) -> BoxFuture<'a, Result<(), NotTaken>> {
        Box::pin(self(notice))
    }
}

/// Why a notice was not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It may be taken later. What comes behind it for the same scope waits.
    #[error("{why}")]
    Later {
        /// In plain words for the operator.
        why: String,
        /// Not before so much time has passed, whatever the pauses are.
        not_before: Option<Duration>,
    },
    /// It will never be taken: it is set aside, and the next ones follow.
    #[error("{0}")]
    Never(String),
    /// Nobody was asked, since the consumer has not answered lately. It counts as no attempt.
    #[error("it has not answered lately, and is left alone for a while")]
    Away(Duration),
    /// The consumer takes nothing any more, whatever it is about.
    #[error("{0}")]
    Gone(String),
}

impl NotTaken {
    /// It may be taken later.
    pub fn later(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), not_before: None }
    }
}

/// How a consumer is treated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotifyOptions {
    /// At most so many commits are told at a time.
    pub batch_commits_max: usize,
    /// No more are put into a notice when it has so many bytes.
    pub batch_bytes_max: usize,
    /// About so many scopes it is told at a time.
    pub scopes_at_a_time_max: usize,
    /// The pause before a notice that was not taken is told again; each further one is twice as long, within a
    /// third at random.
    pub retry_pause: Duration,
    /// The longest pause.
    pub retry_pause_max: Duration,
    /// A notice that was not taken for so long is set aside.
    pub retry_for: Duration,
    /// With so many notices set aside the consumer is told nothing more, until somebody has looked after them.
    pub letters_max: u64,
}

impl Default for NotifyOptions {
    fn default() -> Self {
        const HOUR: u64 = 60 * 60;
        Self {
            batch_commits_max: 100,
            batch_bytes_max: 256 << 10,
            scopes_at_a_time_max: 8,
            retry_pause: Duration::from_secs(1),
            retry_pause_max: Duration::from_secs(HOUR),
            retry_for: Duration::from_secs(3 * 24 * HOUR),
            letters_max: 10_000,
        }
    }
}
