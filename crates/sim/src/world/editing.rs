//! Clients of both kinds that edit one board together, as people do: they add nodes, take some out, and
//! change what is there.

use jetstream_core::ids::{ObjectId, ScopeIndex};
use jetstream_core::model::{
    ChangeSet, CollectionEdit, Fragment, FragmentKind, Rejection, Scalar, Value,
};

use super::World;
use super::copies::Content;
use super::double::Places;
use crate::event::ClientId;
use crate::workload::{ROOT, object_id};

/// What somebody means to do.
enum Intention {
    Add(ObjectId),
    TakeOut(usize),
    Weigh(usize, f64),
}

impl World {
    /// Somebody edits the board.
    pub(super) fn edit_together(&mut self, id: ClientId, index: ScopeIndex) {
        let Some(copy) = self.clients[id].copies.get_mut(&index) else { return };
        let (nodes, may_take) = match &mut copy.content {
            Content::Double(double) => (double.nodes().to_vec(), double.has_sent_nodes()),
            Content::Replica(replica) => {
                let places = Places::of(replica.confirmed());
                let root = replica.shown().object(ROOT).expect("a scope has its root");
                (root.references(places.nodes).map(|node| node.id()).collect(), true)
            }
            Content::Awaited | Content::Watched(_) => return,
        };
        let at = self.dice.below(nodes.len() + 1);
        let intention = match self.dice.below(10) {
            0..3 => Intention::Add(object_id(u128::from(self.dice.roll()) | 1 << 64)),
            3 if may_take && at < nodes.len() => Intention::TakeOut(at),
            _ if at < nodes.len() => Intention::Weigh(at, self.dice.below(1_000) as f64),
            _ => return,
        };
        if let Intention::TakeOut(at) = intention {
            self.clients[id].taken_out.push(nodes[at]);
        }
        self.carry_out_intention(id, index, &nodes, at, &intention);
    }

    fn carry_out_intention(
        &mut self,
        id: ClientId,
        index: ScopeIndex,
        nodes: &[ObjectId],
        at: usize,
        intention: &Intention,
    ) {
        let now = self.now;
        let Some(copy) = self.clients[id].copies.get_mut(&index) else { return };
        if let Content::Double(double) = &mut copy.content {
            match *intention {
                Intention::Add(node) => double.push(node, at, now),
                Intention::TakeOut(at) => drop(double.take(at, now)),
                Intention::Weigh(at, weight) => double.weigh(nodes[at], weight, now),
            }
            return;
        }
        let Content::Replica(replica) = &copy.content else { return };
        let places = Places::of(replica.confirmed());
        let board = |edit| {
            Fragment::new(FragmentKind::Change, ROOT, places.board)
                .with_edits(places.nodes, vec![edit])
        };
        let changes = match *intention {
            Intention::Add(object) => {
                let after = at.checked_sub(1).map(|before| nodes[before]);
                let add = Fragment::new(FragmentKind::Add, object, places.node);
                ChangeSet::new([add, board(CollectionEdit::Insert { object, after })])
            }
            Intention::TakeOut(at) => {
                ChangeSet::new([board(CollectionEdit::Remove { object: nodes[at] })])
            }
            Intention::Weigh(at, weight) => {
                let value = Value::Scalar(Some(Scalar::Number(weight)));
                let fragment = Fragment::new(FragmentKind::Change, nodes[at], places.node);
                ChangeSet::new([fragment.with(places.weight, value)])
            }
        };
        self.edit(id, index, changes);
    }

    /// A double sends what it has collected.
    pub(super) fn flush(&mut self, id: ClientId) {
        let due = |copy: &&mut super::copies::Copy| match &copy.content {
            Content::Double(double) => double.flush_at().is_some_and(|at| at <= self.now),
            _ => false,
        };
        let copies = &mut self.clients[id].copies;
        let indices: Vec<ScopeIndex> =
            copies.iter_mut().filter(|(_, copy)| due(copy)).map(|(index, _)| *index).collect();
        for index in indices {
            let content = self.clients[id].copies.get_mut(&index).map(|copy| &mut copy.content);
            if let Some(Content::Double(double)) = content
                && let Some(changes) = double.flush()
            {
                self.edit(id, index, changes);
            }
        }
    }

    /// Remembers which of a client's new nodes the server has accepted.
    pub(super) fn note_accepted(
        &mut self,
        id: ClientId,
        changes: &ChangeSet,
        results: &[Result<(), Rejection>],
    ) {
        let both = changes.fragments.iter().zip(results).filter(|(_, result)| result.is_ok());
        let adds = both
            .filter_map(|(fragment, _)| fragment.as_ref().ok())
            .filter(|fragment| fragment.kind == FragmentKind::Add)
            .map(|fragment| fragment.object);
        self.clients[id].accepted.extend(adds);
    }
}
