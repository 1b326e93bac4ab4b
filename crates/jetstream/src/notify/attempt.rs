//! Tells one notice, and decides what becomes of it.

use std::sync::atomic::Ordering;
use std::time::Duration;

use jetstream_core::ids::{Revision, SharedText};
use jetstream_core::time::{Millis, Timestamp};

use super::notice::{self, News, Notice};
use super::notifier::Shared;
use super::schedule::{Outcome, Turn};
use super::{NotTaken, NotifyOptions};
use crate::clock;
use crate::future::catch_panic;
use crate::storage::{DeadLetter, Progress, StorageError, StoredScope};

/// What came of a turn, and whether the consumer is to be told nothing more.
pub(super) struct Attempted {
    pub(super) outcome: Outcome,
    pub(super) stop: Option<String>,
}

impl From<Outcome> for Attempted {
    fn from(outcome: Outcome) -> Self {
        Self { outcome, stop: None }
    }
}

/// Tells a consumer what comes next of a scope.
pub(super) async fn attempt(shared: &Shared, turn: &Turn) -> Attempted {
    match tell(shared, turn).await {
        Ok(attempted) => attempted,
        Err(error) => {
            // Not the consumer's fault; the store says itself when it is unwell.
            let Shared { name: consumer, .. } = shared;
            tracing::warn!(%consumer, scope = %turn.scope, %error, "cannot read or note what was told");
            let at = clock::now().mono.plus(STORE_PAUSE_MS);
            Outcome::Failed { until: turn.until.unwrap_or_default(), oldest: None, at }.into()
        }
    }
}

async fn tell(shared: &Shared, turn: &Turn) -> Result<Attempted, StorageError> {
    let Shared { storage, name: consumer, options, .. } = shared;
    let nothing = |got| Ok(Outcome::CaughtUp(got).into());
    let Some(progress) = storage.progress(&turn.scope, consumer).await? else {
        // The scope was removed meanwhile.
        return nothing(Revision(0));
    };
    let key = StoredScope::evolving(turn.scope.clone(), shared.evolution.clone());
    let (after, until) = (progress.revision, turn.until.filter(|until| *until > progress.revision));
    let news = notice::read(&**storage, &key, consumer, after, until, options).await?;
    let Some(News { notice, is_last }) = news else { return nothing(progress.revision) };
    let not_taken = match hand_over(shared, &notice).await {
        Ok(()) => {
            shared.figures.commits.inc_by(notice.commits().len() as u64);
            advance(shared, &notice, None).await?;
            let (got, newest) = (notice.revision(), notice.newest());
            let went = if is_last { Outcome::CaughtUp(got) } else { Outcome::Went(got, newest) };
            return Ok(went.into());
        }
        Err(not_taken) => not_taken,
    };
    if let NotTaken::Away(pause) = not_taken {
        return Ok(Outcome::Away(later(pause)).into());
    }
    shared.figures.failures.inc();
    let why = not_taken.to_string();
    tracing::warn!(
        %consumer, scope = %turn.scope, after = %notice.after(), revision = %notice.revision(),
        attempts = turn.attempts + 1, %why, "a notice was not taken"
    );
    let now = clock::now().wall;
    let since = progress.failing_since.unwrap_or(now);
    let at = pause(options, turn.attempts, &not_taken);
    let failed = Outcome::Failed { until: notice.revision(), oldest: notice.oldest(), at };
    match not_taken {
        NotTaken::Gone(why) => Ok(Attempted { outcome: failed, stop: Some(why) }),
        NotTaken::Later { .. } if !is_over(since, now, options.retry_for) => {
            if progress.failing_since.is_none() {
                let progress = Progress { failing_since: Some(since), ..progress };
                storage.advance(&turn.scope, consumer, progress, None).await?;
            }
            Ok(failed.into())
        }
        _ => set_aside(shared, &notice, why, failed).await,
    }
}

/// Tells the consumer; its panic is its own.
pub(super) async fn hand_over(shared: &Shared, notice: &Notice) -> Result<(), NotTaken> {
    shared.figures.attempts.inc();
    catch_panic(async { shared.consumer.take(notice).await }).await.unwrap_or_else(|panic| {
        shared.metrics.handler_panics.inc();
        tracing::error!(consumer = %shared.name, %panic, "a consumer panicked");
        Err(NotTaken::later("it panicked"))
    })
}

/// Keeps a notice that is not taken where an operator finds it, and goes on behind it.
async fn set_aside(
    shared: &Shared,
    notice: &Notice,
    why: String,
    failed: Outcome,
) -> Result<Attempted, StorageError> {
    let letters_max = shared.options.letters_max;
    // Counted before, so that those who do the same side by side do not go past it together.
    if shared.letters.fetch_add(1, Ordering::AcqRel) >= letters_max {
        shared.letters.fetch_sub(1, Ordering::AcqRel);
        let why =
            format!("{letters_max} notices are set aside already; the last was not taken: {why}");
        return Ok(Attempted { outcome: failed, stop: Some(why) });
    }
    let letter = DeadLetter {
        consumer: shared.name.clone(),
        scope: notice.scope().clone(),
        after: notice.after(),
        revision: notice.revision(),
        time: clock::now().wall,
        key: notice.key().to_owned(),
        why,
    };
    tracing::error!(
        consumer = %shared.name, scope = %letter.scope, after = %letter.after,
        revision = %letter.revision, why = %letter.why, "a notice is set aside"
    );
    if let Err(error) = advance(shared, notice, Some((letter, notice.body().clone()))).await {
        shared.letters.fetch_sub(1, Ordering::AcqRel);
        return Err(error);
    }
    shared.figures.letters.set(shared.letters.load(Ordering::Acquire) as i64);
    Ok(Outcome::Went(notice.revision(), notice.newest()).into())
}

async fn advance(
    shared: &Shared,
    notice: &Notice,
    letter: Option<(DeadLetter, SharedText)>,
) -> Result<(), StorageError> {
    let progress = Progress { revision: notice.revision(), failing_since: None };
    shared.storage.advance(notice.scope(), &shared.name, progress, letter).await
}

/// Whether a notice has been tried for long enough.
fn is_over(since: Timestamp, now: Timestamp, retry_for: Duration) -> bool {
    let tried = now.0.saturating_sub(since.0);
    i64::try_from(retry_for.as_millis()).is_ok_and(|retry_for| tried >= retry_for)
}

/// When a notice is told again: longer each time, never the same for all, and not before the consumer wants.
fn pause(options: &NotifyOptions, attempts: u32, why: &NotTaken) -> Millis {
    let mut byte = [0];
    getrandom::fill(&mut byte).expect("the system has a source of randomness");
    let pause = options.retry_pause.saturating_mul(1 << attempts.min(30));
    let pause = pause.min(options.retry_pause_max).mul_f64(1.0 + f64::from(byte[0]) / 765.0);
    let wanted = match why {
        NotTaken::Later { not_before: Some(wanted), .. } => (*wanted).min(WANTED_MAX),
        _ => Duration::ZERO,
    };
    later(pause.max(wanted))
}

fn later(pause: Duration) -> Millis {
    clock::now().mono.plus(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
}

/// How long a store that could not be read or written is left alone.
const STORE_PAUSE_MS: u64 = 1_000;

/// A consumer that wants to be left alone for longer is asked once a day.
const WANTED_MAX: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_up_to_a_bound_unless_the_consumer_wants_longer_ones() {
        let options = NotifyOptions {
            retry_pause: Duration::from_secs(1),
            retry_pause_max: Duration::from_secs(60),
            ..NotifyOptions::default()
        };
        let why = NotTaken::later("");
        let wanting = |seconds| NotTaken::Later {
            why: String::new(),
            not_before: Some(Duration::from_secs(seconds)),
        };
        for (attempts, why, seconds) in [
            (0, &why, 1),
            (3, &why, 8),
            (6, &why, 60),
            (u32::MAX, &why, 60),
            (0, &wanting(100), 100),
            (6, &wanting(5), 60),
            (0, &wanting(u64::MAX), 24 * 60 * 60),
        ] {
            let before = clock::now().mono.0;
            let pause = pause(&options, attempts, why).0 - before;
            // A third more at most, and what the test itself takes.
            assert!(
                (seconds * 1000..seconds * 1340 + 60_000).contains(&pause),
                "{seconds}: {pause}"
            );
        }
    }

    #[test]
    fn a_notice_is_tried_for_its_time_and_not_for_less() {
        let hour = Duration::from_secs(3600);
        assert!(!is_over(Timestamp(0), Timestamp(3_599_999), hour));
        assert!(is_over(Timestamp(0), Timestamp(3_600_000), hour));
        assert!(!is_over(Timestamp(5), Timestamp(0), hour), "a clock that was set back");
        assert!(!is_over(Timestamp(0), Timestamp(i64::MAX), Duration::MAX));
    }
}
