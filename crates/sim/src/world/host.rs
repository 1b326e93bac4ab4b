//! What holds a scope: its mailbox, its store and its members' addresses.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use jetstream_core::ids::{MemberId, MessageIndex, Position, Revision, ScopeIndex, SessionId};
use jetstream_core::replica::Replica;
use jetstream_core::scope::{Call, Entry, Input, Scope};
use jetstream_core::time::Millis;
use jetstream_core::wire::message::Dialect;

/// A scope with what a server keeps around it.
#[derive(Debug)]
pub struct Host {
    /// The machine.
    pub scope: Scope,
    /// The name that clients fetch it by.
    pub name: String,
    /// Requests under way to the scope, in the order in which they arrive.
    pub mail: VecDeque<(Millis, Input)>,
    /// Everything that was handed to the store, in order.
    pub log: Vec<Entry>,
    /// Entries that the store works on, with the time at which each is durable.
    pub storing: VecDeque<(Millis, Position)>,
    /// The last that is durable.
    pub durable: Position,
    /// Where members are to be found.
    pub addresses: BTreeMap<MemberId, Address>,
    /// The members that have their state and get every change.
    pub following: BTreeSet<MemberId>,
    /// The revision at which each ChangeSet was judged, if it was at once, and how many fragments it has,
    /// until its answer is out.
    pub judged: BTreeMap<(MemberId, MessageIndex), (Option<Revision>, usize)>,
    /// What somebody thinks about, with the time at which he has decided.
    pub calls: VecDeque<(Millis, Call)>,
    /// What the scope was after its last commit, as the commits say.
    pub shadow: Replica,
    /// The longest state that was told, in bytes.
    pub longest_state: usize,
}

/// Where a member is to be found.
#[derive(Debug, Clone, Copy)]
pub struct Address {
    /// Its session.
    pub session: SessionId,
    /// The index that the session knows the scope by.
    pub index: ScopeIndex,
    /// What it understands.
    pub dialect: Dialect,
}

impl Host {
    /// Around a scope.
    pub fn new(name: String, scope: Scope) -> Self {
        Self {
            durable: Position(0),
            log: Vec::new(),
            shadow: Replica::new(scope.graph().clone()),
            scope,
            name,
            mail: VecDeque::new(),
            storing: VecDeque::new(),
            addresses: BTreeMap::new(),
            following: BTreeSet::new(),
            judged: BTreeMap::new(),
            calls: VecDeque::new(),
            longest_state: 0,
        }
    }

    /// Sends the scope something; it arrives behind what was sent before.
    pub fn send(&mut self, at: Millis, input: Input) {
        let behind = self.mail.back().map_or(at, |(last, _)| at.max(*last));
        self.mail.push_back((behind, input));
    }

    /// The store will have an entry at some time, but not before those that came earlier.
    pub fn store(&mut self, at: Millis, entry: Entry) {
        let behind = self.storing.back().map_or(at, |(last, _)| at.max(*last));
        self.log.push(entry);
        self.storing.push_back((behind, Position(self.log.len() as u64)));
    }

    /// The last commit that is durable.
    pub fn durable_revision(&self) -> Revision {
        let durable = &self.log[..self.durable.0 as usize];
        durable.iter().rev().find_map(Entry::commit).map_or(Revision(0), |commit| commit.revision)
    }

    /// The member that a session is under an index.
    pub fn member(&self, session: SessionId, index: ScopeIndex) -> Option<MemberId> {
        let is_it = |address: &Address| address.session == session && address.index == index;
        self.addresses.iter().find(|(_, address)| is_it(address)).map(|(member, _)| *member)
    }

    /// Whether nothing is under way.
    pub fn is_quiet(&self) -> bool {
        self.mail.is_empty()
            && self.storing.is_empty()
            && self.calls.is_empty()
            && self.scope.deadline().is_none()
    }
}
