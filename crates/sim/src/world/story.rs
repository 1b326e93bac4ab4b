//! What a story does with a world: it says who is there, what they do and what goes wrong.

use jetstream_core::ids::{MessageIndex, ScopeIndex};
use jetstream_core::model::{ChangeSet, Graph};
use jetstream_core::time::Millis;
use jetstream_core::wire::message::Dialect;

use super::copies::Content;
use super::{Manner, Settings, World};
use crate::dice::Dice;
use crate::event::ClientId;

impl World {
    /// A world in which nothing goes wrong by itself, with so many 1.0 clients who have their copy of the
    /// only scope.
    ///
    /// # Panics
    ///
    /// If they do not get it.
    pub fn of<const N: usize>(seed: u64, settings: Settings) -> (Self, [ClientId; N]) {
        let mut world = Self::new(settings, Dice::new(seed), false);
        let manner = Manner { dialect: Dialect::V1, polite: true, edits_together: false };
        let clients = std::array::from_fn(|_| world.add_client(manner));
        world.settle().expect("nothing goes wrong by itself");
        (world, clients)
    }

    /// A client edits its copy of the first scope.
    ///
    /// # Panics
    ///
    /// If nothing of the edit fits what the client shows.
    pub fn says(&mut self, client: ClientId, changes: ChangeSet) -> MessageIndex {
        self.edit(client, ScopeIndex(0), changes).expect("an edit that fits")
    }

    /// A while passes.
    ///
    /// # Panics
    ///
    /// If a property does not hold.
    pub fn waits(&mut self, milliseconds: u64) {
        let until = Millis(self.now().0 + milliseconds);
        self.run_until(until).expect("every property holds");
    }

    /// Everything goes on until the next commit, and then a client's connection breaks with all that is
    /// under way on it.
    ///
    /// # Panics
    ///
    /// If there is no further commit.
    pub fn cut_after_commit(&mut self, client: ClientId) {
        let before = self.counts().commits;
        while self.counts().commits == before {
            assert!(self.step(Millis(u64::MAX)), "nothing is left to do");
        }
        self.cut_off(client);
    }

    /// A client's connection breaks, with all that is under way on it. Both sides notice at once; the client
    /// stays away until [`World::comes_back`].
    pub fn cut_off(&mut self, client: ClientId) {
        if let Some(connection) = self.clients[client].connection() {
            let now = self.now;
            if let Some(pipes) = self.connections.get_mut(&connection) {
                pipes.up.cut(0, now);
                pipes.down.cut(0, now);
            }
        }
        self.clients[client].away = true;
        self.waits(0);
    }

    /// A client drops its connection and makes another at once; the server believes in the old one for
    /// another minute.
    pub fn moves_on(&mut self, client: ClientId) {
        if let Some(connection) = self.clients[client].connection()
            && let Some(pipes) = self.connections.get_mut(&connection)
        {
            pipes.up.cut(0, self.now.plus(60_000));
        }
        self.drop_connection(client);
    }

    /// A client that was away connects again.
    pub fn comes_back(&mut self, client: ClientId) {
        self.clients[client].away = false;
        self.connect_later(client);
    }

    /// How long the store takes from now on, in milliseconds: from and to.
    pub fn store_takes(&mut self, milliseconds: (u64, u64)) {
        self.settings.persist_ms = milliseconds;
    }

    /// What a client has of the first scope, as far as it is confirmed.
    pub fn confirmed(&self, client: ClientId) -> Option<&Graph> {
        match &self.clients[client].copies().get(&ScopeIndex(0))?.content {
            Content::Replica(replica) => Some(replica.confirmed()),
            _ => None,
        }
    }

    /// What a client shows of the first scope.
    pub fn shown(&mut self, client: ClientId) -> Option<&Graph> {
        self.clients[client].shown(ScopeIndex(0))
    }
}
