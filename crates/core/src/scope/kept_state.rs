//! A state as text that is kept from one member to the next, and follows what changes.
//!
//! The objects stand in blocks of some tens, in the order of a state, and each block has its text. When an
//! object changes, its block loses the text; when somebody needs the state, only such blocks are written. When
//! something comes, goes or moves, the order is found anew, which is a walk over the objects, and blocks whose
//! objects still follow each other stay as they are. So a fetch costs what has changed since the last one, and
//! the first one is written in steps between which others have their turn.
//!
//! It costs the length of the text, and eight bytes for each object; the scope lets go of it when nobody has
//! needed it for a while.

use super::state::{encode_seen, order, write_objects};
use crate::ids::ObjectId;
use crate::model::draft::{FieldChange, Plan};
use crate::model::graph::Key;
use crate::model::{Graph, Sight};
use crate::wire::{Piece, StateBody, encode};

/// The text of a state, or as much of it as is written.
#[derive(Debug, Default)]
pub(super) struct KeptState {
    blocks: Vec<Block>,
    /// The block that each object stands in, by the number of its key.
    places: Vec<u32>,
    /// The blocks without a text, each once.
    missing: Vec<u32>,
    /// Objects have come, gone or moved: the order may be another one.
    is_reordered: bool,
    /// The whole, as long as nothing changes.
    whole: Option<StateBody>,
}

/// Some objects that follow each other.
#[derive(Debug)]
struct Block {
    keys: Box<[Key]>,
    text: Option<Piece>,
}

impl KeptState {
    /// Notes what a plan is about to do.
    pub(super) fn note(&mut self, plan: &Plan) {
        for ((key, _), change) in &plan.fields {
            self.change(*key);
            self.is_reordered |=
                matches!(change, FieldChange::Reference(_) | FieldChange::Collection(_));
        }
        for added in &plan.added {
            // An object that has gone may have had this key.
            self.change(added.key);
        }
        if !plan.added.is_empty() || !plan.orphans.is_empty() {
            self.reorder();
        }
    }

    /// Notes that an object is written in another way.
    pub(super) fn change_object(&mut self, graph: &Graph, id: ObjectId) {
        if let Some(key) = graph.key(id) {
            self.change(key);
        }
    }

    /// Notes that objects have come, gone or moved.
    pub(super) fn reorder(&mut self) {
        self.is_reordered = true;
        self.whole = None;
    }

    fn change(&mut self, key: Key) {
        self.whole = None;
        let Some(place) = self.places.get(key.0 as usize) else { return };
        if let Some(block) = self.blocks.get_mut(*place as usize)
            && block.text.take().is_some()
        {
            self.missing.push(*place);
        }
    }

    /// Whether nothing is kept.
    pub(super) fn is_empty(&self) -> bool {
        self.blocks.is_empty()
    }

    /// The length of the whole text, in bytes, if there is one.
    pub(super) fn byte_length(&self) -> usize {
        self.whole.as_ref().map_or(0, StateBody::byte_length)
    }

    /// The state as it is now. `None` if more than `room` bytes have to be written for it: then so much is
    /// written, and the next call goes on. `room` counts down.
    pub(super) fn body(
        &mut self,
        graph: &Graph,
        sight: Option<&dyn Sight>,
        room: &mut usize,
    ) -> Option<StateBody> {
        if let Some(whole) = &self.whole {
            return Some(whole.clone());
        }
        self.is_reordered |= self.blocks.is_empty();
        loop {
            // Not with each step of the first time: what comes in between is put in its place at the end.
            if self.is_reordered && self.missing.len() * 2 <= self.blocks.len() {
                self.arrange(graph, sight);
            }
            if !self.write_missing(graph, sight, room) {
                return None;
            }
            if !self.is_reordered {
                break;
            }
        }
        let mut head = String::new();
        encode::state_head(&mut head, graph.root());
        let texts = self.blocks.iter().filter_map(|block| block.text.clone());
        let head = std::iter::once(Piece::from(&*head));
        let body = StateBody::new(head.chain(texts).chain([encode::STATE_TAIL.into()]));
        self.whole = Some(body.clone());
        Some(body)
    }

    /// Whether what is kept, if anything is, is what would be written afresh.
    pub(super) fn check(&mut self, graph: &Graph, sight: Option<&dyn Sight>) -> Result<(), String> {
        if self.is_empty() {
            return Ok(());
        }
        let mut room = usize::MAX;
        let (kept, fresh) = (self.body(graph, sight, &mut room), encode_seen(graph, sight));
        let kept = kept.map_or_else(String::new, |body| body.to_string());
        if kept == *fresh { Ok(()) } else { Err(format!("kept {kept}\nand not {fresh}")) }
    }

    /// Writes blocks that have no text. False if there are more of them than there is room.
    fn write_missing(
        &mut self,
        graph: &Graph,
        sight: Option<&dyn Sight>,
        room: &mut usize,
    ) -> bool {
        let mut text = String::new();
        while let Some(place) = self.missing.pop() {
            if *room == 0 {
                self.missing.push(place);
                return false;
            }
            let block = &mut self.blocks[place as usize];
            text.clear();
            write_objects(&mut text, graph, sight, &block.keys);
            *room = room.saturating_sub(text.len().max(1));
            block.text = Some(text.as_str().into());
        }
        true
    }

    /// Puts the objects in order. Blocks whose objects still stand together stay.
    fn arrange(&mut self, graph: &Graph, sight: Option<&dyn Sight>) {
        let order = order(graph, sight);
        let mut old: Vec<Option<Block>> =
            std::mem::take(&mut self.blocks).into_iter().map(Some).collect();
        let mut loose: Vec<Key> = Vec::new();
        let mut rest = &order[..];
        while let Some(key) = rest.first() {
            let place = self.places.get(key.0 as usize).copied();
            let before = place.and_then(|place| old.get_mut(place as usize));
            // The rest of a block that was broken is not left to become many blocks of few objects.
            let may_end = loose.is_empty() || loose.len() >= BLOCK_OBJECTS / 4;
            if let Some(before) = before
                && may_end
                && before.as_ref().is_some_and(|block| rest.starts_with(&block.keys))
            {
                self.end_block(&mut loose);
                let block = before.take().expect("looked at one line above");
                rest = &rest[block.keys.len()..];
                self.blocks.push(block);
                continue;
            }
            loose.push(*key);
            rest = &rest[1..];
            // The root stands alone: where it holds everything it is long, and changes with every object.
            let is_root = self.blocks.is_empty() && loose.len() == 1;
            if is_root || loose.len() == 2 * BLOCK_OBJECTS {
                let next = loose.split_off(loose.len().min(BLOCK_OBJECTS));
                self.end_block(&mut loose);
                loose = next;
            }
        }
        if loose.len() > BLOCK_OBJECTS {
            let next = loose.split_off(BLOCK_OBJECTS);
            self.end_block(&mut loose);
            loose = next;
        }
        self.end_block(&mut loose);
        self.is_reordered = false;
        self.index(graph);
    }

    fn end_block(&mut self, keys: &mut Vec<Key>) {
        if !keys.is_empty() {
            self.blocks.push(Block { keys: keys.as_slice().into(), text: None });
            keys.clear();
        }
    }

    fn index(&mut self, graph: &Graph) {
        self.missing.clear();
        self.places.clear();
        self.places.resize(graph.keys_end(), u32::MAX);
        for (place, block) in (0..).zip(&self.blocks) {
            for key in &block.keys {
                self.places[key.0 as usize] = place;
            }
            if block.text.is_none() {
                self.missing.push(place);
            }
        }
    }
}

/// How many objects stand in a block that is made. Fewer cost more pieces to put a state together from, more
/// cost more to write again when one of them changes; of objects of some properties these are 8 kB.
const BLOCK_OBJECTS: usize = if cfg!(test) { 4 } else { 32 };
