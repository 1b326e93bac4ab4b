//! What goes wrong, and what clients do meanwhile.

use jetstream_core::ids::{ConnectionId, ScopeIndex};
use jetstream_core::time::Millis;

use super::World;
use super::copies::Content;
use crate::event::ClientId;
use jetstream_core::wire::message::Dialect;

impl World {
    /// Somebody at the keyboard does something.
    pub(super) fn act(&mut self, id: ClientId) {
        let mean = self.settings.act_every_ms.max(1);
        self.clients[id].act_at = Some(self.within((mean / 4, mean * 7 / 4)));
        let indices: Vec<ScopeIndex> = self.clients[id].copies().keys().copied().collect();
        let Some(index) = self.dice.pick(&indices).copied() else {
            return self.fetch_if_idle(id);
        };
        let manner = self.clients[id].manner();
        if manner.edits_together {
            return self.edit_together(id, index);
        }
        match self.dice.below(40) {
            0 => {
                let scope = self.dice.below(self.hosts.len() + 1);
                self.fetch(id, (scope < self.hosts.len()).then_some(scope));
            }
            1 if manner.dialect == Dialect::V1 => self.unfetch(id, index),
            2 if manner.dialect == Dialect::V1 && self.dice.one_in(10) => self.close_session(id),
            // A polite client below 1.0 only watches.
            _ if manner.dialect == Dialect::Original && manner.polite => {}
            _ => self.edit_somehow(id, index, false),
        }
    }

    /// Something goes wrong.
    pub(super) fn fault(&mut self) {
        let mean = self.settings.fault_every_ms.max(1);
        self.fault_at = Some(self.within((mean / 4, mean * 7 / 4)));
        if self.settings.veiled && self.dice.one_in(2) {
            let scope = self.dice.below(self.hosts.len());
            return if self.dice.one_in(2) { self.renew() } else { self.update(scope) };
        }
        let connections: Vec<ConnectionId> = self.connections.keys().copied().collect();
        let Some(connection) = self.dice.pick(&connections).copied() else { return };
        let client = self.connections[&connection].client;
        match self.dice.below(10) {
            0 if self.settings.deserters && self.dice.one_in(4) => self.desert(client),
            // It connects again while the server still believes in the old connection.
            1 => self.drop_connection(client),
            2..=3 if self.settings.spoils => self.spoil(connection),
            _ => self.cut(connection),
        }
    }

    /// A connection breaks; some of what is under way still arrives, and each side notices when it
    /// does.
    pub(super) fn cut(&mut self, connection: ConnectionId) {
        let notices = [self.notice(), self.notice()];
        let Some(pipes) = self.connections.get_mut(&connection) else { return };
        let kept = [self.dice.below(pipes.up.len() + 1), self.dice.below(pipes.down.len() + 1)];
        pipes.up.cut(kept[0], notices[0]);
        pipes.down.cut(kept[1], notices[1]);
        self.counts.cuts += 1;
        self.note(|| format!("connection {connection} is cut"));
    }

    /// A client goes away and will not come back.
    pub(super) fn desert(&mut self, client: ClientId) {
        self.note(|| format!("client {client} goes for good"));
        self.clients[client].desert();
        self.drop_connection(client);
    }

    /// Something under way becomes unreadable.
    fn spoil(&mut self, connection: ConnectionId) {
        let (up, at) = (self.dice.one_in(2), self.dice.roll() as usize);
        let Some(pipes) = self.connections.get_mut(&connection) else { return };
        let pipe = if up { &mut pipes.up } else { &mut pipes.down };
        if pipe.is_empty() {
            return;
        }
        pipe.spoil(at % pipe.len(), |text| {
            let cut = (0..=at % text.len().max(1)).rev().find(|at| text.is_char_boundary(*at));
            text.truncate(cut.unwrap_or(0));
        });
        self.note(|| format!("a frame on connection {connection} is spoiled"));
    }

    fn notice(&mut self) -> Millis {
        match self.dice.below(3) {
            0 => self.within((0, 5)),
            1 => self.within((0, 2_000)),
            _ => self.within((0, 40_000)),
        }
    }

    /// Nothing goes wrong any more, everything is quick, and nobody does anything of their own accord.
    pub fn heal(&mut self) {
        self.fault_at = None;
        self.settings.latency_ms = (1, 5);
        self.settings.persist_ms = (0, 5);
        self.settings.verdict_ms = self.settings.verdict_ms.map(|_| (0, 5));
        self.settings.loses_verdicts = false;
        self.note(|| "the world heals".to_owned());
        for client in &mut self.clients {
            client.rest();
        }
    }

    /// Everybody says one more thing in every scope, and so does the application: a message that was lost
    /// without a trace is missed when the next one comes.
    pub(super) fn last_words(&mut self) {
        for scope in 0..self.hosts.len() {
            self.update(scope);
        }
        for client in 0..self.clients.len() {
            self.fetch(client, None);
            let manner = self.clients[client].manner();
            if manner.edits_together || manner.dialect == Dialect::Original && manner.polite {
                continue;
            }
            let copies = self.clients[client].copies().iter();
            let ready = copies.filter(|(_, copy)| !matches!(copy.content, Content::Awaited));
            for index in ready.map(|(index, _)| *index).collect::<Vec<_>>() {
                self.edit_somehow(client, index, true);
            }
        }
    }
}
