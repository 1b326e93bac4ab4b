//! Connections that delay, break and lose what is under way.

use std::collections::VecDeque;

use jetstream_core::time::Millis;

use crate::event::ClientId;

/// One connection: a pipe each way.
///
/// Frames of a connection arrive in order or not at all; what comes after a frame that was lost is lost, too.
/// That is what TCP promises, and nothing else is promised.
#[derive(Debug)]
pub(super) struct Connection {
    /// Who made it.
    pub(super) client: ClientId,
    /// From the client to the server.
    pub(super) up: Pipe,
    /// From the server to the client.
    pub(super) down: Pipe,
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Pipe {
    /// What is under way, with the time of its arrival.
    packets: VecDeque<(Millis, Packet)>,
    /// The receiver does not look any more.
    closed: bool,
}

/// Something under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Packet {
    /// A frame.
    Frame(String),
    /// The sender closes the connection.
    Close {
        /// The close code.
        code: u16,
        /// The close reason.
        reason: String,
    },
    /// The receiver learns that the connection is lost.
    Lost,
}

impl Pipe {
    /// Puts something in; it arrives behind everything that is under way.
    pub(super) fn put(&mut self, at: Millis, packet: Packet) {
        if !self.closed {
            let behind = self.packets.back().map_or(at, |(last, _)| at.max(*last));
            self.packets.push_back((behind, packet));
        }
    }

    /// When the next thing arrives.
    pub(super) fn next_at(&self) -> Option<Millis> {
        self.packets.front().map(|(at, _)| *at)
    }

    /// What comes next.
    pub(super) fn peek(&self) -> Option<&Packet> {
        self.packets.front().map(|(_, packet)| packet)
    }

    /// Takes out what has arrived.
    pub(super) fn take(&mut self) -> Option<Packet> {
        self.packets.pop_front().map(|(_, packet)| packet)
    }

    /// How much is under way.
    pub(super) fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether nothing is under way.
    pub(super) fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Whether the receiver looks no more.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The receiver does not look any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.packets.clear();
    }

    /// The connection breaks: the first `kept` of what is under way still arrive, and the receiver
    /// learns of it at `notice`. What the sender goes on to put in piles up behind that and is lost.
    pub(super) fn cut(&mut self, kept: usize, notice: Millis) {
        self.packets.truncate(kept);
        self.put(notice, Packet::Lost);
    }

    /// Changes a frame that is under way.
    pub(super) fn spoil(&mut self, place: usize, spoil: impl FnOnce(&mut String)) {
        if let Some((_, Packet::Frame(text))) = self.packets.get_mut(place) {
            spoil(text);
        }
    }
}
