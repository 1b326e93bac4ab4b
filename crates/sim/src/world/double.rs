//! A double of the original's JavaScript client, true to its habits, with somebody who edits.
//!
//! It applies what arrives over its own edits. It sends collections whole, as they were at the edit. It
//! collects edits for ten milliseconds before it sends them, and forgets those of objects that leave their
//! collection meanwhile. It takes a refused edit of a collection back by emptying it, and sends that as an
//! edit. Of a board it knows the nodes in their order, and of a node its weight.

use std::collections::{BTreeMap, VecDeque};

use jetstream_core::ids::ObjectId;
use jetstream_core::model::{
    ChangeSet, Fragment, FragmentKind, Graph, ModelId, PropertyId, Rejection, Scalar, Value,
};
use jetstream_core::time::Millis;

use crate::workload::ROOT;

/// What the double shows, and what it has not sent.
#[derive(Debug)]
pub(crate) struct Double {
    places: Places,
    nodes: Vec<ObjectId>,
    weights: BTreeMap<ObjectId, f64>,
    unsent_adds: BTreeMap<ObjectId, f64>,
    unsent_weights: BTreeMap<ObjectId, f64>,
    unsent_nodes: Option<Vec<ObjectId>>,
    /// Before the first unsent edit.
    weights_before: BTreeMap<ObjectId, f64>,
    /// What each message that is not answered changes, the oldest first.
    flying: VecDeque<Vec<Touch>>,
    /// When unsent edits are sent.
    flush_at: Option<Millis>,
}

/// What a sent fragment changes, and the value before.
#[derive(Debug, Clone, Copy)]
enum Touch {
    Add,
    Nodes,
    Weight(ObjectId, f64),
}

/// The models and properties that it knows.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    pub(super) board: ModelId,
    pub(super) nodes: PropertyId,
    pub(super) node: ModelId,
    pub(super) weight: PropertyId,
}

impl Places {
    pub(super) fn of(graph: &Graph) -> Self {
        let schema = graph.schema();
        let find = |model, property| {
            let (id, model) = schema.find(model).expect("it is in the schema of the simulator");
            (id, model.find(property).expect("it is in the schema of the simulator").0)
        };
        let ((board, nodes), (node, weight)) = (find("Board", "nodes"), find("Node", "weight"));
        Self { board, nodes, node, weight }
    }

    /// What a graph has of what the double knows.
    fn read(self, graph: &Graph) -> (Vec<ObjectId>, BTreeMap<ObjectId, f64>) {
        let root = graph.object(ROOT).expect("a scope has its root");
        let nodes: Vec<_> = root.references(self.nodes).collect();
        let weight = |node: &jetstream_core::model::ObjectRef<'_>| match node.scalar(self.weight) {
            Some(Scalar::Number(weight)) => *weight,
            _ => f64::NEG_INFINITY,
        };
        let weights = nodes.iter().map(|node| (node.id(), weight(node))).collect();
        (nodes.iter().map(|node| node.id()).collect(), weights)
    }
}

impl Double {
    pub(super) fn of(graph: &Graph) -> Self {
        let places = Places::of(graph);
        let (nodes, weights) = places.read(graph);
        Self {
            places,
            nodes,
            weights,
            unsent_adds: BTreeMap::new(),
            unsent_weights: BTreeMap::new(),
            unsent_nodes: None,
            weights_before: BTreeMap::new(),
            flying: VecDeque::new(),
            flush_at: None,
        }
    }

    /// A fresh state: what flies is still to be answered.
    pub(super) fn reset(&mut self, graph: &Graph) {
        let flying = std::mem::take(&mut self.flying);
        *self = Self { flying, ..Self::of(graph) };
    }

    /// How it differs from the server, in words.
    pub(crate) fn difference(&self, graph: &Graph) -> Option<String> {
        let theirs = self.places.read(graph);
        let ours = (&self.nodes, &self.weights);
        (ours != (&theirs.0, &theirs.1)).then(|| format!("{ours:?}\nand not\n{theirs:?}"))
    }

    pub(super) fn nodes(&self) -> &[ObjectId] {
        &self.nodes
    }

    /// Whether the nodes can be edited again before the last edit of them is sent: what is put in and
    /// taken out at once looks as if something else had been taken out.
    pub(super) fn has_sent_nodes(&self) -> bool {
        self.unsent_nodes.is_none()
    }

    pub(super) fn flush_at(&self) -> Option<Millis> {
        self.flush_at
    }

    pub(super) fn push(&mut self, id: ObjectId, at: usize, now: Millis) {
        self.nodes.insert(at.min(self.nodes.len()), id);
        self.weights.insert(id, 1.0);
        self.unsent_adds.insert(id, 1.0);
        self.edited_nodes(now);
    }

    pub(super) fn take(&mut self, at: usize, now: Millis) -> ObjectId {
        let id = self.nodes.remove(at);
        self.drop_unheld(id);
        self.edited_nodes(now);
        id
    }

    pub(super) fn weigh(&mut self, id: ObjectId, weight: f64, now: Millis) {
        let before = self.weights.insert(id, weight).unwrap_or_default();
        if let Some(add) = self.unsent_adds.get_mut(&id) {
            *add = weight;
        } else {
            self.unsent_weights.insert(id, weight);
            self.weights_before.entry(id).or_insert(before);
        }
        self.flush_at.get_or_insert(now.plus(COLLECT_MS));
    }

    fn edited_nodes(&mut self, now: Millis) {
        self.unsent_nodes = Some(self.nodes.clone());
        self.flush_at.get_or_insert(now.plus(COLLECT_MS));
    }

    /// What it sends now.
    pub(super) fn flush(&mut self) -> Option<ChangeSet> {
        self.flush_at = None;
        let Places { board, nodes, node, weight } = self.places;
        let number = |weight| Value::Scalar(Some(Scalar::Number(weight)));
        let (mut fragments, mut touches) = (Vec::new(), Vec::new());
        for (id, weighs) in std::mem::take(&mut self.unsent_adds) {
            let fragment = Fragment::new(FragmentKind::Add, id, node);
            fragments.push(fragment.with(weight, number(weighs)));
            touches.push(Touch::Add);
        }
        if let Some(ids) = self.unsent_nodes.take() {
            let fragment = Fragment::new(FragmentKind::Change, ROOT, board);
            fragments.push(fragment.with(nodes, Value::References(ids.into())));
            touches.push(Touch::Nodes);
        }
        for (id, weighs) in std::mem::take(&mut self.unsent_weights) {
            let fragment = Fragment::new(FragmentKind::Change, id, node);
            fragments.push(fragment.with(weight, number(weighs)));
            let before = self.weights_before.get(&id).copied().unwrap_or(weighs);
            touches.push(Touch::Weight(id, before));
        }
        self.weights_before.clear();
        if fragments.is_empty() {
            return None;
        }
        self.flying.push_back(touches);
        Some(ChangeSet::new(fragments))
    }

    /// Somebody else's changes, or a repair: applied over what it did itself.
    pub(super) fn receive(&mut self, fragments: &[Fragment]) {
        let adds = fragments.iter().filter(|fragment| fragment.kind == FragmentKind::Add);
        let mut known: BTreeMap<ObjectId, f64> = adds.map(|add| (add.object, 1.0)).collect();
        for fragment in fragments {
            let id = fragment.object;
            for (property, value) in &fragment.properties {
                let unset = f64::NEG_INFINITY;
                match value {
                    Value::Scalar(weighs)
                        if fragment.model != self.places.board
                            && *property == self.places.weight =>
                    {
                        let weighs = match weighs {
                            Some(Scalar::Number(weighs)) => *weighs,
                            _ => unset,
                        };
                        if let Some(shown) = self.weights.get_mut(&id) {
                            *shown = weighs;
                        } else if let Some(known) = known.get_mut(&id) {
                            *known = weighs;
                        }
                    }
                    Value::References(ids) if id == ROOT && *property == self.places.nodes => {
                        self.receive_nodes(ids, &known);
                    }
                    _ => {}
                }
            }
        }
    }

    /// An unknown object makes the whole value invalid: it keeps what it has.
    fn receive_nodes(&mut self, ids: &[ObjectId], known: &BTreeMap<ObjectId, f64>) {
        if !ids.iter().all(|id| self.weights.contains_key(id) || known.contains_key(id)) {
            return;
        }
        for id in ids {
            let weighs = known.get(id).copied().unwrap_or(1.0);
            self.weights.entry(*id).or_insert(weighs);
        }
        self.show_nodes(ids.to_vec());
    }

    /// The answer to its oldest message: what was refused is taken back, unless it was edited again.
    pub(super) fn answer(&mut self, results: &[Result<(), Rejection>], now: Millis) {
        let touches = self.flying.pop_front().expect("answers come in order, one for each message");
        let refused = touches.into_iter().zip(results).filter(|(_, result)| result.is_err());
        for (touch, _) in refused {
            match touch {
                Touch::Nodes if !self.flies(|t| matches!(t, Touch::Nodes)) => {
                    self.show_nodes(Vec::new());
                    self.edited_nodes(now);
                }
                Touch::Weight(id, before)
                    if self.weights.contains_key(&id)
                        && !self
                            .flies(|t| matches!(t, Touch::Weight(other, _) if *other == id)) =>
                {
                    self.weigh(id, before, now);
                }
                Touch::Add | Touch::Nodes | Touch::Weight(..) => {}
            }
        }
    }

    fn flies(&self, is_it: impl Fn(&Touch) -> bool) -> bool {
        self.flying.iter().flatten().any(is_it)
    }

    fn show_nodes(&mut self, nodes: Vec<ObjectId>) {
        let before = std::mem::replace(&mut self.nodes, nodes);
        before.into_iter().for_each(|id| self.drop_unheld(id));
    }

    fn drop_unheld(&mut self, id: ObjectId) {
        if !self.nodes.contains(&id) {
            self.weights.remove(&id);
            self.unsent_adds.remove(&id);
            self.unsent_weights.remove(&id);
        }
    }
}

/// How long it collects edits, in milliseconds.
const COLLECT_MS: u64 = 10;
