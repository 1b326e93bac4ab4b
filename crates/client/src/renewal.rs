//! What says who the client is: asked for with each connection, and anew before it expires.

use std::error::Error;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use jetstream_core::model::Rejection;
use tokio::time::{Instant, sleep_until};

use crate::link::BoxFuture;

/// Gives a credential that is good at the moment.
pub(crate) type Credential = Arc<dyn Fn() -> BoxFuture<'static, io::Result<String>> + Send + Sync>;

/// A function of the application's as that.
pub(crate) fn credential_of<F, R, E>(give: F) -> Credential
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Result<String, E>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>>,
{
    Arc::new(move || {
        let given = give();
        Box::pin(async { given.await.map_err(io::Error::other) })
    })
}

/// What there is to know about a credential that was shown.
#[derive(Debug)]
pub(crate) enum Notice {
    /// It is good for so many seconds more.
    Expiring(u64),
    /// The application wants another to be shown.
    Wanted,
    /// Another was looked at.
    Renewed(Result<(), Rejection>),
}

/// The renewal of what was shown on one connection.
pub(crate) struct Renewal {
    credential: Option<Credential>,
    expires_at: Option<Instant>,
    step: Step,
}

enum Step {
    Idle,
    /// The application is asked for another credential.
    Asking(BoxFuture<'static, io::Result<String>>),
    /// The last one was no good, or there was none. Then there is another attempt.
    Pausing(Instant),
    /// The server looks at it.
    Shown,
}

impl Renewal {
    pub(crate) fn new(credential: Option<Credential>) -> Self {
        Self { credential, expires_at: None, step: Step::Idle }
    }

    /// Takes in what is new.
    pub(crate) fn note(&mut self, notice: Notice) {
        match notice {
            Notice::Expiring(seconds) => {
                self.expires_at = Some(Instant::now() + Duration::from_secs(seconds));
                if !matches!(self.step, Step::Asking(_)) {
                    self.ask();
                }
            }
            Notice::Wanted if !matches!(self.step, Step::Asking(_)) => self.ask(),
            Notice::Wanted => {}
            Notice::Renewed(Ok(())) => (self.expires_at, self.step) = (None, Step::Idle),
            Notice::Renewed(Err(error)) => {
                tracing::warn!(%error, "the server refuses the new credential");
                self.pause();
            }
        }
    }

    /// The next credential to show; never, if there is none. May be dropped and called again.
    pub(crate) async fn next(&mut self) -> String {
        loop {
            match &mut self.step {
                Step::Asking(asked) => match asked.await {
                    Ok(credential) => {
                        self.step = Step::Shown;
                        return credential;
                    }
                    Err(error) => {
                        tracing::warn!(%error, "there is no new credential");
                        self.pause();
                    }
                },
                Step::Pausing(until) => {
                    sleep_until(*until).await;
                    self.ask();
                }
                Step::Idle | Step::Shown => pending().await,
            }
        }
    }

    fn ask(&mut self) {
        self.step = match &self.credential {
            Some(credential) => Step::Asking(credential()),
            None => Step::Idle,
        };
    }

    /// Waits for a quarter of the time that is left.
    fn pause(&mut self) {
        let left = self.expires_at.map(|at| at.saturating_duration_since(Instant::now()));
        self.step = match left {
            Some(left) if !left.is_zero() => {
                Step::Pausing(Instant::now() + (left / 4).max(PAUSE_MIN))
            }
            _ => Step::Idle,
        };
    }
}

/// The shortest pause between two attempts.
const PAUSE_MIN: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::time::timeout;

    use super::*;

    /// Gives `c1`, `c2` and so on, but for the first `failures` times.
    fn counted(failures: usize) -> (Credential, Arc<AtomicUsize>) {
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let give = move || {
            let number = count.fetch_add(1, Ordering::Relaxed) + 1;
            async move { if number > failures { Ok(format!("c{number}")) } else { Err("offline") } }
        };
        (credential_of(give), asked)
    }

    #[tokio::test(start_paused = true)]
    async fn what_expires_is_replaced_once() {
        let (credential, asked) = counted(0);
        let mut renewal = Renewal::new(Some(credential));
        assert!(timeout(Duration::from_secs(999), renewal.next()).await.is_err());
        renewal.note(Notice::Expiring(60));
        assert_eq!(renewal.next().await, "c1");
        assert!(
            timeout(Duration::from_secs(999), renewal.next()).await.is_err(),
            "it is looked at"
        );
        renewal.note(Notice::Renewed(Ok(())));
        assert!(timeout(Duration::from_secs(999), renewal.next()).await.is_err());
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_that_fail_are_repeated_more_and_more_often_until_it_is_too_late() {
        let (credential, asked) = counted(3);
        let mut renewal = Renewal::new(Some(credential));
        renewal.note(Notice::Expiring(60));
        let began = Instant::now();
        assert_eq!(renewal.next().await, "c4");
        assert_eq!(began.elapsed().as_millis() / 100, 346, "15, 11.25 and 8.4 seconds");
        renewal.note(Notice::Renewed(Err(Rejection::message("no"))));
        assert_eq!(renewal.next().await, "c5");
        // Nobody has any: it ends with the session.
        let (credential, asked_in_vain) = counted(usize::MAX);
        let mut renewal = Renewal::new(Some(credential));
        renewal.note(Notice::Expiring(60));
        assert!(timeout(Duration::from_secs(999), renewal.next()).await.is_err());
        let attempts = asked_in_vain.load(Ordering::Relaxed);
        assert!((10..=25).contains(&attempts), "{attempts}");
        assert_eq!(asked.load(Ordering::Relaxed), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_credential_nothing_is_shown() {
        let mut renewal = Renewal::new(None);
        renewal.note(Notice::Expiring(60));
        renewal.note(Notice::Wanted);
        assert!(timeout(Duration::from_secs(999), renewal.next()).await.is_err());
    }
}
