//! The scopes that a session has fetched.

use std::sync::Arc;

use smallvec::SmallVec;

use crate::ids::{MessageIndex, ScopeIndex, ScopeName};
use crate::model::Schema;

use super::keeping::FetchRecord;

/// Scopes by index. An index is never used again, also not after the scope was left.
///
/// Each change of a scope asks whether its client has all changes before it, once for every member; so
/// that stands in the session itself, and everything else of a scope apart from it.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    /// In ascending order of the indices.
    freshness: SmallVec<[(ScopeIndex, Freshness); 2]>,
    /// At the same places.
    fetched: Vec<Fetched>,
    next: ScopeIndex,
}

#[derive(Debug)]
struct Fetched {
    /// The message that asked, and what for.
    asked: Asked,
    name: ScopeName,
    schema: Arc<Schema>,
    /// The last message to the scope whose answer the client has.
    delivered: MessageIndex,
    /// The client has sent something to it.
    is_named: bool,
}

/// A client's question for a scope.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    pub(super) message: MessageIndex,
    pub(super) name: String,
    pub(super) params: serde_json::Map<String, serde_json::Value>,
}

/// Whether the client has, or will have, every change of a scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freshness {
    /// Yes.
    Fresh,
    /// Changes were dropped: it needs the state afresh, and until then no changes.
    Stale,
    /// The same, and the state was asked for.
    Resyncing,
    /// The same, and the client will fetch the scope again by itself.
    Awaited,
}

impl Scopes {
    /// Gives a scope the next index.
    pub(super) fn insert(
        &mut self,
        asked: Asked,
        name: ScopeName,
        schema: Arc<Schema>,
    ) -> ScopeIndex {
        let index = self.next;
        self.next = index.next();
        let delivered = asked.message;
        self.push(index, Fetched { asked, name, schema, delivered, is_named: false });
        index
    }

    /// The scopes of a session that was stored. They have to be [rejoined](Self::rejoin).
    pub(super) fn restored(records: Vec<FetchRecord>, next: ScopeIndex) -> Self {
        let mut records = records;
        records.sort_by_key(|record| record.index);
        let mut scopes = Self { next, ..Self::default() };
        for FetchRecord { index, message, name, params } in records {
            let scope = Fetched {
                name: name.as_str().into(),
                asked: Asked { message, name, params },
                schema: Arc::default(),
                delivered: MessageIndex(0),
                is_named: false,
            };
            scopes.push(index, scope);
            scopes.next = scopes.next.max(index.next());
        }
        scopes
    }

    /// Puts a scope behind the others.
    fn push(&mut self, index: ScopeIndex, scope: Fetched) {
        self.freshness.push((index, Freshness::Fresh));
        // Most sessions have one scope, and idle sessions are many.
        self.fetched.reserve_exact(1);
        self.fetched.push(scope);
    }

    fn place(&self, index: ScopeIndex) -> Option<usize> {
        self.freshness.binary_search_by_key(&index, |(index, _)| *index).ok()
    }

    fn get(&self, index: ScopeIndex) -> Option<&Fetched> {
        self.place(index).map(|place| &self.fetched[place])
    }

    fn get_mut(&mut self, index: ScopeIndex) -> Option<&mut Fetched> {
        self.place(index).map(|place| &mut self.fetched[place])
    }

    fn freshness_mut(&mut self, index: ScopeIndex) -> Option<&mut Freshness> {
        self.place(index).map(|place| &mut self.freshness[place].1)
    }

    fn all(&self) -> impl Iterator<Item = (ScopeIndex, &Fetched)> {
        self.freshness.iter().map(|(index, _)| *index).zip(&self.fetched)
    }

    /// A restored scope is there again. The message that asked for it, if it is one of the session's.
    pub(super) fn rejoin(
        &mut self,
        index: ScopeIndex,
        schema: Arc<Schema>,
    ) -> Option<MessageIndex> {
        let scope = self.get_mut(index)?;
        scope.schema = schema;
        Some(scope.asked.message)
    }

    /// What has to be stored.
    pub(super) fn records(&self) -> impl Iterator<Item = FetchRecord> {
        self.all().map(|(index, scope)| {
            let Asked { message, name, params } = scope.asked.clone();
            FetchRecord { index, message, name, params }
        })
    }

    /// The index that the next scope gets.
    pub(super) fn next_index(&self) -> ScopeIndex {
        self.next
    }

    /// The message that asked for a scope.
    pub(super) fn message(&self, index: ScopeIndex) -> Option<MessageIndex> {
        self.get(index).map(|scope| scope.asked.message)
    }

    /// The client has sent something to this scope. True if it is the first time.
    pub(super) fn named(&mut self, index: ScopeIndex) -> bool {
        let scope = self.get_mut(index);
        scope.is_some_and(|scope| !std::mem::replace(&mut scope.is_named, true))
    }

    /// The message that asked for a scope that the client has sent something to.
    pub(super) fn named_by(&self, index: ScopeIndex) -> Option<MessageIndex> {
        let scope = self.get(index).filter(|scope| scope.is_named)?;
        Some(scope.asked.message)
    }

    /// The scope that this message asked for, before the server was gone.
    pub(super) fn asked_by(&self, message: MessageIndex) -> Option<ScopeIndex> {
        self.all().find(|(_, scope)| scope.asked.message == message).map(|(index, _)| index)
    }

    /// The client has the answer to this message to a scope.
    pub(super) fn deliver(&mut self, index: ScopeIndex, message: MessageIndex) {
        if let Some(scope) = self.get_mut(index) {
            scope.delivered = scope.delivered.max(message);
        }
    }

    /// The last message to a scope whose answer the client has.
    pub(super) fn delivered(&self, index: ScopeIndex) -> MessageIndex {
        self.get(index).map(|scope| scope.delivered).unwrap_or_default()
    }

    /// Forgets a scope. False if it is not there.
    pub(super) fn remove(&mut self, index: ScopeIndex) -> bool {
        let place = self.place(index);
        if let Some(place) = place {
            self.freshness.remove(place);
            self.fetched.remove(place);
        }
        place.is_some()
    }

    /// Forgets all scopes.
    pub(super) fn clear(&mut self) {
        self.freshness.clear();
        self.fetched.clear();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.fetched.len()
    }

    /// The index of a scope that was fetched by this name.
    pub(super) fn find(&self, name: &str) -> Option<ScopeIndex> {
        self.all().find(|(_, scope)| scope.name.as_str() == name).map(|(index, _)| index)
    }

    /// What changes to this scope are typed with.
    pub(super) fn schema(&self, index: ScopeIndex) -> Option<&Arc<Schema>> {
        self.get(index).map(|scope| &scope.schema)
    }

    /// Whether a change of this scope makes sense to the client.
    pub(super) fn is_fresh(&self, index: ScopeIndex) -> bool {
        self.place(index).is_some_and(|place| self.freshness[place].1 == Freshness::Fresh)
    }

    /// The scope's state is here.
    pub(super) fn refreshed(&mut self, index: ScopeIndex) {
        if let Some(freshness) = self.freshness_mut(index) {
            *freshness = Freshness::Fresh;
        }
    }

    /// The client will fetch this scope again and gets its state then.
    pub(super) fn mark_awaited(&mut self, index: ScopeIndex) {
        if let Some(freshness) = self.freshness_mut(index) {
            *freshness = Freshness::Awaited;
        }
    }

    /// The client has fetched it again: its state must be asked for.
    pub(super) fn refetched(&mut self, index: ScopeIndex) {
        if let Some(freshness) = self.freshness_mut(index) {
            *freshness = Freshness::Resyncing;
        }
    }

    /// Changes of this scope were dropped.
    pub(super) fn mark_stale(&mut self, index: ScopeIndex) {
        if let Some(freshness) = self.freshness_mut(index)
            && *freshness == Freshness::Fresh
        {
            *freshness = Freshness::Stale;
        }
    }

    /// Whether some scope's state must be asked for.
    pub(super) fn any_stale(&self) -> bool {
        self.freshness.iter().any(|(_, freshness)| *freshness == Freshness::Stale)
    }

    /// The scopes whose state must be asked for; from now on it counts as asked for.
    pub(super) fn resync(&mut self) -> impl Iterator<Item = ScopeIndex> {
        self.freshness.iter_mut().filter_map(|(index, freshness)| {
            (*freshness == Freshness::Stale).then(|| {
                *freshness = Freshness::Resyncing;
                *index
            })
        })
    }
}
