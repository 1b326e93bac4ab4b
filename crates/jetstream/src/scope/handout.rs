//! Handing out: what a scope has for its members goes to their sockets, over several workers if there are
//! many of them.
//!
//! Applying changes is one writer's job, but a write to a socket costs the kernel more than a change costs
//! the scope, and there is one for each member. Who writes them does not matter: a session sends what it
//! has in the order in which it got it. So the members of a busy scope are divided among the workers, and
//! the scope goes on when all have written; by then it has the next batch in its mailbox.

use std::sync::Arc;

use jetstream_core::time::Now;
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::Recipient;
use crate::transport::Departure;

/// In how many parts this many members are flushed.
pub(super) fn parts(members: usize) -> usize {
    if members < 2 * PART_MEMBERS_MIN {
        return 1;
    }
    let workers = Handle::current().metrics().num_workers();
    (members / PART_MEMBERS_MIN).min(workers)
}

/// Flushes them in so many parts, each in a task of its own.
pub(super) async fn flush(mut recipients: Vec<Arc<dyn Recipient>>, parts: usize, now: Now) {
    let length = recipients.len().div_ceil(parts).max(1);
    let mut tasks = JoinSet::new();
    while !recipients.is_empty() {
        let part = recipients.split_off(recipients.len().saturating_sub(length));
        // This task writes nothing itself: the runtime would keep one of the parts waiting behind it.
        tasks.spawn(async move {
            each(
                now,
                |turn| part.get(turn),
                |_, recipient, departure| {
                    recipient.flush_with(now, departure);
                },
            );
        });
    }
    // A session's panic ends that session and is not passed on to here.
    while tasks.join_next().await.is_some() {}
}

/// Does something for each of these recipients, whose frames leave together.
pub(super) fn each<'a>(
    now: Now,
    recipients: impl Fn(usize) -> Option<&'a Arc<dyn Recipient>>,
    mut act: impl FnMut(usize, &dyn Recipient, &mut Departure),
) {
    let held_up = |turn| {
        if let Some(recipient) = recipients(turn) {
            recipient.held_up(now);
        }
    };
    let mut departure = Departure::default();
    let mut turn = 0;
    while let Some(recipient) = recipients(turn) {
        prefetch(turn, &recipients);
        departure.turn(turn);
        act(turn, &**recipient, &mut departure);
        if departure.is_full() {
            departure.leave(held_up);
        }
        turn += 1;
    }
    departure.leave(held_up);
}

/// Has those whose turns come next fetched from memory while this one is written to: nothing of them is in the
/// processor's caches, and the way into the kernel throws out what was.
pub(super) fn prefetch<'a>(
    turn: usize,
    recipient: impl Fn(usize) -> Option<&'a Arc<dyn Recipient>>,
) {
    if let Some(next) = recipient(turn + 1) {
        next.prefetch_further();
    }
    if let Some(next) = recipient(turn + 2) {
        next.prefetch();
    }
}

/// Fewer members are not worth waking another worker for: that costs as much as some ten writes.
const PART_MEMBERS_MIN: usize = 128;
