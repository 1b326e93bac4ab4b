//! Each message once and in order, over connections that break.

use std::collections::VecDeque;

use super::*;
use proptest::prelude::*;

impl Keep for u32 {
    fn byte_length(&self) -> usize {
        *self as usize
    }

    /// Odd ones.
    fn is_droppable(&self) -> bool {
        self % 2 == 1
    }
}

fn pull_all(reliable: &mut Reliable<u32>) -> Vec<(u64, u32)> {
    std::iter::from_fn(|| reliable.pull().map(|(index, message)| (index.0, *message))).collect()
}

fn index(number: u64) -> MessageIndex {
    MessageIndex(number)
}

#[test]
fn an_index_is_new_repeated_or_behind_a_gap() {
    let mut reliable = Reliable::<u32>::default();
    assert_eq!(reliable.receive(index(1)), Arrival::New);
    assert_eq!(reliable.receive(index(1)), Arrival::Repeated);
    assert_eq!(reliable.receive(index(3)), Arrival::Gap { expected: index(2) });
    assert_eq!(reliable.receive(index(2)), Arrival::New);
    assert_eq!(reliable.receive(index(3)), Arrival::New);
    assert_eq!(reliable.last_received(), index(3));
}

#[test]
fn what_was_not_acknowledged_is_sent_again_ahead_of_what_waits() {
    let mut reliable = Reliable::default();
    [10, 20, 30].into_iter().for_each(|m| reliable.queue(m));
    assert_eq!(reliable.next_queued(), index(4));
    assert_eq!(pull_all(&mut reliable), [(1, 10), (2, 20), (3, 30)]);
    reliable.acknowledge(index(1));
    reliable.queue(40);
    reliable.resend_after(index(0));
    assert!(!reliable.is_drained());
    assert_eq!(pull_all(&mut reliable), [(2, 20), (3, 30), (4, 40)]);
    reliable.resend_after(index(3));
    assert_eq!(pull_all(&mut reliable), [(4, 40)]);
    assert!(reliable.is_drained());
    reliable.acknowledge(index(4));
    assert_eq!((reliable.bytes(), reliable.droppable_bytes()), (0, 0));
}

#[test]
fn an_acknowledgement_of_what_was_never_sent_says_nothing() {
    let mut reliable = Reliable::default();
    reliable.queue(10);
    reliable.queue(20);
    reliable.pull();
    for ack in [2, u64::MAX] {
        reliable.acknowledge(index(ack));
        assert_eq!(reliable.bytes(), 30);
    }
    reliable.resend_after(index(u64::MAX));
    assert_eq!(pull_all(&mut reliable), [(2, 20)]);
}

#[test]
fn an_acknowledgement_in_the_middle_of_a_resend_shortens_it() {
    let mut reliable = Reliable::default();
    [1, 2, 3].into_iter().for_each(|m| reliable.queue(m));
    pull_all(&mut reliable);
    reliable.resend_after(index(0));
    reliable.pull();
    reliable.acknowledge(index(2));
    assert_eq!(pull_all(&mut reliable), [(3, 3)]);
}

#[test]
fn waiting_messages_can_be_dropped_without_a_gap() {
    let mut reliable = Reliable::default();
    [1, 2, 3, 4].into_iter().for_each(|m| reliable.queue(m));
    reliable.pull();
    reliable.retain_waiting(|message| !message.is_droppable());
    assert_eq!((reliable.bytes(), reliable.droppable_bytes()), (7, 1));
    assert_eq!(pull_all(&mut reliable), [(2, 2), (3, 4)]);
}

#[test]
fn sent_messages_can_be_replaced_and_keep_their_index() {
    let mut reliable = Reliable::default();
    [5, 7, 9].into_iter().for_each(|m| reliable.queue(m));
    pull_all(&mut reliable);
    reliable.resend_after(index(1));
    let mut seen = Vec::new();
    reliable.replace_unacked(|message, goes_out, droppable| {
        seen.push((*message, goes_out, droppable));
        if *message == 9 {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(Some(2))
    });
    assert_eq!(seen, [(5, false, 21), (7, true, 16), (9, true, 9)]);
    assert_eq!((reliable.bytes(), reliable.droppable_bytes()), (13, 9));
    assert_eq!(pull_all(&mut reliable), [(2, 2), (3, 9)]);
}

#[test]
fn a_gap_is_asked_about_once_for_each_run() {
    let mut watch = GapWatch::default();
    let two = index(2);
    assert_eq!(watch.behind(two, index(3)), GapAction::Ask);
    assert_eq!(watch.behind(two, index(4)), GapAction::Wait);
    assert_eq!(watch.behind(two, index(3)), GapAction::Ask);
    assert_eq!(watch.behind(two, index(4)), GapAction::Wait);
    watch.repeated();
    assert_eq!(watch.behind(two, index(5)), GapAction::Ask);
    assert_eq!(watch.behind(two, index(5)), GapAction::GiveUp);
    watch.close();
    assert_eq!(watch.behind(two, index(5)), GapAction::Ask);
    assert_eq!(watch.behind(index(7), index(8)), GapAction::Ask);
}

#[test]
fn what_is_unreadable_a_second_time_is_known_by_its_index_or_by_the_gap_that_stays() {
    let mut watch = GapWatch::default();
    assert!(!watch.unreadable(Some(index(2))));
    watch.behind(index(2), index(3));
    assert!(!watch.unreadable(Some(index(4))));
    assert!(watch.unreadable(Some(index(2))));
    assert!(!watch.unreadable(None));
    assert_eq!(watch.behind(index(2), index(3)), GapAction::GiveUp);
}

/// One end of a link: what it sends is numbered, what it got is recorded.
#[derive(Default)]
struct End {
    reliable: Reliable<u32>,
    got: Vec<u32>,
    held: bool,
}

/// What can happen to two ends and the link between them.
#[derive(Debug, Clone, Copy)]
enum Step {
    Say(bool),
    Send(bool),
    Deliver(bool),
    Acknowledge(bool),
    Cut,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let side = any::<bool>();
    let step = prop_oneof![
        6 => side.prop_map(Step::Say),
        6 => side.prop_map(Step::Send),
        8 => side.prop_map(Step::Deliver),
        2 => side.prop_map(Step::Acknowledge),
        1 => Just(Step::Cut),
    ];
    prop::collection::vec(step, 0..300)
}

/// What is under way: a message, or an acknowledgement that may ask for a resend.
enum Parcel {
    Message(MessageIndex, u32),
    Ping { ack: MessageIndex, resend: bool },
}

struct Link {
    ends: [End; 2],
    /// What is under way to each end.
    under_way: [VecDeque<Parcel>; 2],
    said: [Vec<u32>; 2],
}

impl Link {
    fn ping(&mut self, from: usize, resend: bool) {
        let ack = self.ends[from].reliable.last_received();
        self.under_way[1 - from].push_back(Parcel::Ping { ack, resend });
    }

    fn send(&mut self, from: usize) -> bool {
        let end = &mut self.ends[from];
        let Some((index, message)) = (!end.held).then(|| end.reliable.pull()).flatten() else {
            return false;
        };
        self.under_way[1 - from].push_back(Parcel::Message(index, *message));
        true
    }

    fn deliver(&mut self, to: usize) -> bool {
        let Some(parcel) = self.under_way[to].pop_front() else { return false };
        let end = &mut self.ends[to];
        match parcel {
            Parcel::Message(index, message) => match end.reliable.receive(index) {
                Arrival::New => end.got.push(message),
                Arrival::Repeated => {}
                Arrival::Gap { .. } => panic!("the link loses nothing without being cut"),
            },
            Parcel::Ping { ack, resend } => {
                end.reliable.acknowledge(ack);
                if resend {
                    end.reliable.resend_after(ack);
                    end.held = false;
                }
            }
        }
        true
    }

    /// Everything under way is lost; each end tells the other what it has.
    fn cut(&mut self) {
        for side in [0, 1] {
            self.under_way[side].clear();
            self.ends[side].reliable.forget_resend();
            self.ends[side].held = true;
        }
        self.ping(0, true);
        self.ping(1, true);
    }

    fn settle(&mut self) {
        while [0, 1].into_iter().any(|side| self.send(side) | self.deliver(side)) {}
    }
}

proptest! {
    #[test]
    fn two_ends_over_a_link_that_is_cut_deliver_everything_once_and_in_order(steps in steps()) {
        let mut link = Link {
            ends: [End::default(), End::default()],
            under_way: [VecDeque::new(), VecDeque::new()],
            said: [Vec::new(), Vec::new()],
        };
        for (number, step) in (1..).zip(steps) {
            match step {
                Step::Say(side) => {
                    link.ends[usize::from(side)].reliable.queue(number);
                    link.said[usize::from(side)].push(number);
                }
                Step::Send(side) => drop(link.send(usize::from(side))),
                Step::Deliver(side) => drop(link.deliver(usize::from(side))),
                Step::Acknowledge(side) => link.ping(usize::from(side), false),
                Step::Cut => link.cut(),
            }
        }
        link.cut();
        link.settle();
        for side in [0, 1] {
            prop_assert_eq!(&link.ends[side].got, &link.said[1 - side]);
            link.ping(side, false);
        }
        link.settle();
        for end in &link.ends {
            prop_assert_eq!(end.reliable.bytes(), 0);
            prop_assert_eq!(end.reliable.droppable_bytes(), 0);
        }
    }
}
