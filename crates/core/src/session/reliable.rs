//! What makes a stream of messages, each once and in order, out of connections that break.
//!
//! Both ends number what they send and keep it until the other end acknowledges it; both sort what
//! arrives into news, repetitions and gaps. When to ask for a resend, and when to send at all, is decided
//! by the sessions.

use std::cmp::Ordering;
use std::ops::ControlFlow;

use crate::ids::MessageIndex;

use super::queue::Queue;

/// A message that a [`Reliable`] can keep.
pub trait Keep {
    /// What it costs to keep it, in bytes.
    fn byte_length(&self) -> usize;

    /// Whether it may be dropped when too much is kept, because something newer can stand for it.
    fn is_droppable(&self) -> bool {
        false
    }
}

/// What an arriving index means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrival {
    /// The next one: its message is to be processed.
    New,
    /// One that was there already, as is normal after a resume.
    Repeated,
    /// Something before it is missing.
    Gap {
        /// The first that is missing.
        expected: MessageIndex,
    },
}

/// What one side knows about the messages that it sent and received.
///
/// Messages get their index when they go out for the first time, not when they are queued: those that
/// wait can be dropped without leaving a gap.
#[derive(Debug)]
#[repr(C)]
pub struct Reliable<M> {
    bytes: usize,
    droppable_bytes: usize,
    /// How many messages were not sent yet.
    waiting: usize,
    last_sent: MessageIndex,
    /// The first of the unacknowledged that still has to go out on this connection; one past
    /// `last_sent` if there is none.
    cursor: MessageIndex,
    /// Oldest first: what was sent and is not acknowledged, with consecutive indices that end with
    /// `last_sent`; behind it what waits. One queue, so that sending a message does not move it.
    messages: Queue<M>,
    last_received: MessageIndex,
}

impl<M> Default for Reliable<M> {
    fn default() -> Self {
        Self {
            messages: Queue::default(),
            waiting: 0,
            last_sent: MessageIndex(0),
            cursor: MessageIndex(1),
            last_received: MessageIndex(0),
            bytes: 0,
            droppable_bytes: 0,
        }
    }
}

impl<M: Keep> Reliable<M> {
    /// Sorts an arriving index into news, repetition or gap.
    ///
    /// A repetition is normal after a resume. A gap means that messages were lost on the way: nothing
    /// behind it may be delivered, or the peers' models would part.
    pub fn receive(&mut self, index: MessageIndex) -> Arrival {
        let expected = self.last_received.next();
        match index.cmp(&expected) {
            Ordering::Less => Arrival::Repeated,
            Ordering::Equal => {
                self.last_received = index;
                Arrival::New
            }
            Ordering::Greater => Arrival::Gap { expected },
        }
    }

    /// Everything up to here was received, by a session before this one.
    pub fn received_up_to(&mut self, index: MessageIndex) {
        self.last_received = self.last_received.max(index);
    }

    /// The other end has everything up to here, from a session before this one: the numbering goes on
    /// behind it. Only as long as nothing was sent.
    pub fn begin_after(&mut self, ack: MessageIndex) {
        debug_assert!(self.sent() == 0, "nothing was sent");
        self.last_sent = ack;
        self.cursor = ack.next();
    }

    /// Has the place fetched from memory where the next message comes to stand.
    pub fn prefetch(&self) {
        self.messages.prefetch();
    }

    /// Puts a message behind all others.
    pub fn queue(&mut self, message: M) {
        self.count(&message);
        self.messages.push_back(message);
        self.waiting += 1;
    }

    /// The next message that has to go out: first what is to be sent again, then what waits.
    pub fn pull(&mut self) -> Option<(MessageIndex, &M)> {
        if self.cursor > self.last_sent {
            self.waiting = self.waiting.checked_sub(1)?;
            self.last_sent = self.last_sent.next();
        }
        let index = self.cursor;
        self.cursor = index.next();
        // At or behind the first unacknowledged one, and not past the last: see `acknowledge`.
        let place = (index.0 - self.first_unacked().0) as usize;
        Some((index, self.messages.get(place).expect("what is not acknowledged is kept")))
    }

    /// Forgets what the other end has. What was never sent cannot be acknowledged; such a number says
    /// nothing.
    pub fn acknowledge(&mut self, ack: MessageIndex) {
        self.acknowledge_each(ack, |_| {});
    }

    /// The same, and shows each message that the other end has to `arrived`.
    pub fn acknowledge_each(&mut self, ack: MessageIndex, mut arrived: impl FnMut(&M)) {
        if ack > self.last_sent {
            return;
        }
        let count = (ack.0 + 1).saturating_sub(self.first_unacked().0) as usize;
        for _ in 0..count {
            let Some(message) = self.messages.pop_front() else { break };
            arrived(&message);
            Self::discount(&mut self.bytes, &mut self.droppable_bytes, &message);
        }
        self.cursor = self.cursor.max(self.first_unacked());
    }

    /// Puts another message in the place of one that was sent and is not acknowledged, if it is there.
    pub fn replace(&mut self, index: MessageIndex, message: M) {
        let place = index.0.checked_sub(self.first_unacked().0);
        let Some(place) = place.map(|place| place as usize).filter(|place| *place < self.sent())
        else {
            return;
        };
        self.count(&message);
        if let Some(kept) = self.messages.get_mut(place) {
            let old = std::mem::replace(kept, message);
            Self::discount(&mut self.bytes, &mut self.droppable_bytes, &old);
        }
    }

    /// What was sent and is not acknowledged, oldest first.
    pub fn unacknowledged(&self) -> impl Iterator<Item = &M> {
        self.messages.iter().take(self.sent())
    }

    /// Whether nothing was sent that is not acknowledged.
    pub fn is_acknowledged(&self) -> bool {
        self.sent() == 0
    }

    /// Sends again everything after `ack` that was not acknowledged.
    pub fn resend_after(&mut self, ack: MessageIndex) {
        let after = MessageIndex(ack.0.saturating_add(1));
        self.cursor = after.clamp(self.first_unacked(), self.last_sent.next());
    }

    /// What goes out again on this connection, in bytes.
    pub fn resent_bytes(&self) -> usize {
        let kept = (self.cursor.0 - self.first_unacked().0) as usize;
        self.unacknowledged().skip(kept).map(Keep::byte_length).sum()
    }

    /// Sends nothing again: the connection is new, and nobody has asked yet.
    pub fn forget_resend(&mut self) {
        self.cursor = self.last_sent.next();
    }

    /// Drops waiting messages for which `keep` is false; the last one queued comes last.
    pub fn retain_waiting(&mut self, mut keep: impl FnMut(&M) -> bool) {
        let mut waiting = self.messages.split_off(self.sent());
        let (bytes, droppable) = (&mut self.bytes, &mut self.droppable_bytes);
        waiting.retain(|message| {
            let kept = keep(message);
            if !kept {
                Self::discount(bytes, droppable, message);
            }
            kept
        });
        self.waiting = waiting.len();
        waiting.into_iter().for_each(|message| self.messages.push_back(message));
    }

    /// Replaces unacknowledged messages, oldest first, until `replace` says to stop with `Break`; with
    /// each comes whether it is still to go out on this connection.
    pub fn replace_unacked(
        &mut self,
        mut replace: impl FnMut(&M, bool, usize) -> ControlFlow<(), Option<M>>,
    ) {
        let (first, cursor, sent) = (self.first_unacked().0, self.cursor.0, self.sent());
        for (place, message) in self.messages.iter_mut().take(sent).enumerate() {
            let goes_out = first + place as u64 >= cursor;
            match replace(message, goes_out, self.droppable_bytes) {
                ControlFlow::Break(()) => return,
                ControlFlow::Continue(None) => {}
                ControlFlow::Continue(Some(new)) => {
                    Self::discount(&mut self.bytes, &mut self.droppable_bytes, message);
                    self.bytes += new.byte_length();
                    if new.is_droppable() {
                        self.droppable_bytes += new.byte_length();
                    }
                    *message = new;
                }
            }
        }
    }

    /// Forgets all messages, sent or not. The numbering goes on.
    pub fn clear(&mut self) {
        self.messages = Queue::default();
        self.waiting = 0;
        self.cursor = self.last_sent.next();
        (self.bytes, self.droppable_bytes) = (0, 0);
    }

    /// The index of the latest message that arrived in order.
    pub fn last_received(&self) -> MessageIndex {
        self.last_received
    }

    /// The index of the latest message that went out.
    pub fn last_sent(&self) -> MessageIndex {
        self.last_sent
    }

    /// The index that the next queued message will have, if nothing that waits is dropped.
    pub fn next_queued(&self) -> MessageIndex {
        MessageIndex(self.last_sent.0 + self.waiting as u64 + 1)
    }

    /// Whether [`pull`](Self::pull) has nothing.
    pub fn is_drained(&self) -> bool {
        self.cursor > self.last_sent && self.waiting == 0
    }

    /// What is kept, sent or not, in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// How much of it may be dropped, in bytes.
    pub fn droppable_bytes(&self) -> usize {
        self.droppable_bytes
    }

    /// How many were sent and are not acknowledged.
    fn sent(&self) -> usize {
        self.messages.len() - self.waiting
    }

    fn first_unacked(&self) -> MessageIndex {
        MessageIndex(self.last_sent.0 + 1 - self.sent() as u64)
    }

    fn count(&mut self, message: &M) {
        self.bytes += message.byte_length();
        if message.is_droppable() {
            self.droppable_bytes += message.byte_length();
        }
    }

    fn discount(bytes: &mut usize, droppable_bytes: &mut usize, message: &M) {
        *bytes -= message.byte_length();
        if message.is_droppable() {
            *droppable_bytes -= message.byte_length();
        }
    }
}

/// Watches one side's gaps, so that each is asked about once for each time that it was sent.
///
/// Messages that were under way when we asked still arrive, all of them behind the gap; only when the
/// indices go back has the other end begun to send again.
#[derive(Debug, Default)]
pub struct GapWatch {
    open: Option<OpenGap>,
}

#[derive(Debug)]
struct OpenGap {
    expected: MessageIndex,
    /// The highest index of this run; an index that is not higher begins another run.
    newest: MessageIndex,
    asked: u8,
    unreadable: bool,
}

/// What to do about a gap.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GapAction {
    /// Nothing: we have asked, and the answer is under way.
    Wait,
    /// Ask with a Ping for what is missing.
    Ask,
    /// Give up: the other end cannot close it.
    GiveUp,
}

impl GapWatch {
    /// Whether something is missing. A question about it can be lost, so it is asked again with every
    /// Ping.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// A message arrived behind a gap.
    pub fn behind(&mut self, expected: MessageIndex, index: MessageIndex) -> GapAction {
        match &mut self.open {
            Some(gap) if gap.expected == expected => {
                let again = index <= gap.newest;
                gap.newest = index;
                if !again {
                    return GapAction::Wait;
                }
                if gap.unreadable || gap.asked == GAP_ASKED_MAX {
                    return GapAction::GiveUp;
                }
                gap.asked += 1;
            }
            open => *open = Some(OpenGap { expected, newest: index, asked: 1, unreadable: false }),
        }
        GapAction::Ask
    }

    /// A message arrived that was there already: the other end has begun to send again.
    pub fn repeated(&mut self) {
        if let Some(gap) = &mut self.open {
            gap.newest = MessageIndex(u64::MAX);
        }
    }

    /// A message could not be read. True if it is the very one that we asked for: it will not get
    /// better by being sent a third time.
    pub fn unreadable(&mut self, index: Option<MessageIndex>) -> bool {
        let Some(gap) = &mut self.open else { return false };
        gap.unreadable |= index.is_none();
        index == Some(gap.expected)
    }

    /// The next message arrived in order, or the connection is another.
    pub fn close(&mut self) {
        self.open = None;
    }
}

/// How often the same gap is asked about before we give up.
///
/// Once should do. A peer that was just about to send when it lost its connection may need a second time;
/// one that never fills the gap would otherwise send everything again for ever.
const GAP_ASKED_MAX: u8 = 3;

#[cfg(test)]
mod tests;
