//! The commits of a scope as a stream.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_core::Stream;
use jetstream_core::scope::Commit;
use tokio::sync::mpsc;

/// The commits of a scope, in order, from the moment of [`Scope::changes`](super::Scope::changes) on.
///
/// A receiver that falls behind by more than 1024 commits loses those that come then, and is told how
/// many at the place where they are missing. Ends with the scope.
#[derive(Debug)]
pub struct Changes {
    commits: mpsc::Receiver<Result<Arc<Commit>, Lagged>>,
}

/// A receiver was too slow, and commits are missing here: it should read the state afresh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{missed} commits were missed")]
pub struct Lagged {
    /// How many.
    pub missed: u64,
}

impl Changes {
    /// The next commit; `None` after the last one of the scope.
    pub async fn next(&mut self) -> Option<Result<Arc<Commit>, Lagged>> {
        self.commits.recv().await
    }

    /// What is there already: a commit, or that there will be none any more. `None`: nothing.
    pub(super) fn try_next(&mut self) -> Option<Option<Result<Arc<Commit>, Lagged>>> {
        match self.commits.try_recv() {
            Ok(next) => Some(Some(next)),
            Err(mpsc::error::TryRecvError::Disconnected) => Some(None),
            Err(mpsc::error::TryRecvError::Empty) => None,
        }
    }
}

impl Stream for Changes {
    type Item = Result<Arc<Commit>, Lagged>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.commits.poll_recv(context)
    }
}

/// The scope's end of a stream.
#[derive(Debug)]
pub(super) struct Subscriber {
    commits: mpsc::Sender<Result<Arc<Commit>, Lagged>>,
    missed: u64,
}

pub(super) fn subscribe() -> (Subscriber, Changes) {
    let (sender, commits) = mpsc::channel(COMMITS_WAITING_MAX);
    (Subscriber { commits: sender, missed: 0 }, Changes { commits })
}

impl Subscriber {
    /// Passes a commit on. False: nobody listens any more.
    pub(super) fn tell(&mut self, commit: &Arc<Commit>) -> bool {
        if self.missed > 0 {
            // Two places, or the note would stand where nothing is missing.
            match self.commits.try_reserve_many(2) {
                Ok(mut places) => {
                    let (note, place) = (places.next(), places.next());
                    let missed = std::mem::take(&mut self.missed);
                    note.into_iter().for_each(|note| note.send(Err(Lagged { missed })));
                    place.into_iter().for_each(|place| place.send(Ok(commit.clone())));
                }
                Err(mpsc::error::TrySendError::Full(())) => self.missed += 1,
                Err(mpsc::error::TrySendError::Closed(())) => return false,
            }
            return true;
        }
        match self.commits.try_send(Ok(commit.clone())) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.missed = 1;
                true
            }
            Err(mpsc::error::TrySendError::Closed(_)) => false,
        }
    }
}

const COMMITS_WAITING_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use jetstream_core::ids::{MessageIndex, Revision};
    use jetstream_core::time::Timestamp;

    use super::*;

    fn commit(revision: u64) -> Arc<Commit> {
        Arc::new(Commit {
            revision: Revision(revision),
            time: Timestamp(0),
            author: None,
            origin: None,
            delivered: MessageIndex(0),
            fragments: [].into(),
            reply: "[]".into(),
        })
    }

    #[tokio::test]
    async fn a_slow_receiver_is_told_where_and_how_many_commits_are_missing() {
        let (mut subscriber, mut changes) = subscribe();
        let full = COMMITS_WAITING_MAX as u64;
        for revision in 1..=full + 3 {
            assert!(subscriber.tell(&commit(revision)));
        }
        for revision in 1..=full {
            assert_eq!(changes.next().await.unwrap().unwrap().revision, Revision(revision));
        }
        assert!(subscriber.tell(&commit(full + 4)));
        assert_eq!(changes.next().await.unwrap().unwrap_err(), Lagged { missed: 3 });
        assert_eq!(changes.next().await.unwrap().unwrap().revision, Revision(full + 4));
        drop(changes);
        assert!(!subscriber.tell(&commit(full + 5)));
    }
}
