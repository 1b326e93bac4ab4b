//! Who the root still reaches when a ChangeSet ends, and from whom everything hangs then.
//!
//! Objects *hang* from one of their parents each, so that the hanging makes a tree below the root. Those
//! that lost the parent they hung from, and new ones, look for another parent: any parent will do whose
//! own hanging leads to the root. If there is none, what hangs from them has to look, too, and if one of
//! those finds a parent elsewhere, it may become the parent of the others. What is left is unreachable.
//!
//! The cost is that of the objects that have to look, with their parents and, if an object of the graph
//! came loose, the length of the way to the root. The idea of a spanning tree whose cut edges are replaced is that of dynamic connectivity
//! (for example Henzinger and King, "Randomized fully dynamic graph algorithms with polylogarithmic time
//! per operation", 1999); here without its levels, since trees of models are shallow.

use std::collections::{HashMap, HashSet, VecDeque};

use indexmap::{IndexMap, IndexSet};

use super::draft::Draft;
use super::graph::Key;

/// What [`settle`] found.
#[derive(Debug, Default)]
pub(crate) struct Settled {
    /// Objects that hang from another parent than before.
    pub(crate) hung: Vec<(Key, Key)>,
    /// Objects, old and new, that the root does not reach.
    pub(crate) unreachable: IndexSet<Key>,
}

/// Finds out what a draft leaves reachable.
pub(crate) fn settle(draft: &Draft<'_>) -> Settled {
    let mut search = Search {
        draft,
        loose: IndexSet::new(),
        hung: IndexMap::new(),
        anchored: HashSet::new(),
        blocked: HashMap::new(),
        is_intact: false,
    };
    search.run();
    Settled { hung: search.hung.into_iter().collect(), unreachable: search.loose }
}

struct Search<'d, 'g> {
    draft: &'d Draft<'g>,
    /// Objects that hang from nothing at present.
    loose: IndexSet<Key>,
    /// New hangings.
    hung: IndexMap<Key, Key>,
    /// Objects known to hang, over whatever way, from the root.
    anchored: HashSet<Key>,
    /// Objects known to hang from a loose one. It may have found a parent since.
    blocked: HashMap<Key, Key>,
    /// No object of the graph has come loose, only new ones are: all others still lead to the root, and
    /// the way there need not be walked. So adding costs the same at any depth.
    is_intact: bool,
}

impl Search<'_, '_> {
    fn run(&mut self) {
        let draft = self.draft;
        for key in draft.lost() {
            let parent = draft.graph().at(key).hangs_from;
            if !parent.is_some_and(|parent| draft.holds(parent, key)) {
                self.loose.insert(key);
            }
        }
        self.is_intact = self.loose.is_empty();
        self.loose.extend(draft.added().map(|added| added.key));
        self.hang_as_they_are();
        self.open();
        self.spread();
    }

    /// Finds parents without taking anything apart: what hangs from a loose object stays there.
    fn hang_as_they_are(&mut self) {
        let first: Vec<Key> = self.loose.iter().copied().collect();
        let mut waiting: HashMap<Key, Vec<Key>> = HashMap::new();
        for key in first {
            let mut to_try = vec![key];
            while let Some(key) = to_try.pop() {
                if !self.loose.contains(&key) {
                    continue;
                }
                match self.find_parent(key) {
                    Ok(parent) => {
                        self.hang(key, parent);
                        to_try.extend(waiting.remove(&key).unwrap_or_default());
                    }
                    Err(blockers) => {
                        for loose in blockers {
                            waiting.entry(loose).or_default().push(key);
                        }
                    }
                }
            }
        }
    }

    /// Takes apart what hangs from objects that found no parent, since one of those below may be held
    /// from elsewhere. Those that are keep what hangs from them.
    fn open(&mut self) {
        let root = self.draft.graph().root_key();
        let mut to_open: VecDeque<Key> = self.loose.iter().copied().collect();
        while let Some(key) = to_open.pop_front() {
            for child in self.draft.children(key) {
                if child == root || self.loose.contains(&child) || self.parent(child) != Some(key) {
                    continue;
                }
                self.loose.insert(child);
                match self.find_parent(child) {
                    Ok(parent) => self.hang(child, parent),
                    Err(_) => to_open.push_back(child),
                }
            }
        }
    }

    /// Hangs what is still loose but held by something that is not, and then what that holds. Everything
    /// that is not loose leads to the root by now.
    fn spread(&mut self) {
        let mut found: Vec<(Key, Key)> = Vec::new();
        for key in &self.loose {
            let parent = self.draft.parents(*key).find(|parent| !self.loose.contains(parent));
            found.extend(parent.map(|parent| (*key, parent)));
        }
        while let Some((key, parent)) = found.pop() {
            if self.loose.contains(&key) {
                self.hang(key, parent);
                found.extend(self.draft.children(key).into_iter().map(|child| (child, key)));
            }
        }
    }

    fn hang(&mut self, key: Key, parent: Key) {
        self.loose.swap_remove(&key);
        self.hung.insert(key, parent);
    }

    /// A parent that leads to the root, or else the loose objects that the parents lead to.
    fn find_parent(&mut self, key: Key) -> Result<Key, Vec<Key>> {
        let draft = self.draft;
        let mut blockers = Vec::new();
        for parent in draft.parents(key) {
            match self.blocker(parent) {
                None => return Ok(parent),
                Some(loose) => blockers.push(loose),
            }
        }
        Err(blockers)
    }

    /// The loose object that `start` hangs from; `None` if it hangs from the root.
    fn blocker(&mut self, start: Key) -> Option<Key> {
        let root = self.draft.graph().root_key();
        let mut path = Vec::new();
        let mut current = start;
        let found = loop {
            let is_old = || self.draft.graph().get(current).is_some();
            if current == root || self.anchored.contains(&current) || self.is_intact && is_old() {
                break None;
            }
            if self.loose.contains(&current) {
                break Some(current);
            }
            path.push(current);
            current = match self.blocked.get(&current) {
                Some(once_loose) => *once_loose,
                None => self.parent(current).expect("what is not loose hangs from something"),
            };
        };
        for key in path {
            match found {
                None => drop(self.anchored.insert(key)),
                Some(loose) => drop(self.blocked.insert(key, loose)),
            }
        }
        found
    }

    fn parent(&self, key: Key) -> Option<Key> {
        match self.hung.get(&key) {
            Some(parent) => Some(*parent),
            None => self.draft.graph().get(key)?.hangs_from,
        }
    }
}
