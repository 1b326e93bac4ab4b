//! The scopes that a session has fetched.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::ids::{ScopeIndex, ScopeName};
use crate::model::Schema;

/// Scopes by index. An index is never used again, also not after the scope was left.
#[derive(Debug, Default)]
pub(super) struct Scopes {
    fetched: BTreeMap<ScopeIndex, Fetched>,
    next: ScopeIndex,
}

#[derive(Debug)]
struct Fetched {
    name: ScopeName,
    schema: Arc<Schema>,
    freshness: Freshness,
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
}

impl Scopes {
    /// Gives a scope the next index.
    pub(super) fn insert(&mut self, name: ScopeName, schema: Arc<Schema>) -> ScopeIndex {
        let index = self.next;
        self.next = index.next();
        let freshness = Freshness::Fresh;
        self.fetched.insert(index, Fetched { name, schema, freshness });
        index
    }

    /// Forgets a scope. False if it is not there.
    pub(super) fn remove(&mut self, index: ScopeIndex) -> bool {
        self.fetched.remove(&index).is_some()
    }

    /// Forgets all scopes.
    pub(super) fn clear(&mut self) {
        self.fetched.clear();
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.fetched.len()
    }

    /// The index of a scope that was fetched by this name.
    pub(super) fn find(&self, name: &str) -> Option<ScopeIndex> {
        let mut all = self.fetched.iter();
        all.find(|(_, scope)| scope.name.as_str() == name).map(|(index, _)| *index)
    }

    /// What changes to this scope are typed with.
    pub(super) fn schema(&self, index: ScopeIndex) -> Option<&Arc<Schema>> {
        self.fetched.get(&index).map(|scope| &scope.schema)
    }

    /// Whether a change of this scope makes sense to the client.
    pub(super) fn is_fresh(&self, index: ScopeIndex) -> bool {
        self.fetched.get(&index).is_some_and(|scope| scope.freshness == Freshness::Fresh)
    }

    /// The scope's state is here.
    pub(super) fn refreshed(&mut self, index: ScopeIndex) {
        if let Some(scope) = self.fetched.get_mut(&index) {
            scope.freshness = Freshness::Fresh;
        }
    }

    /// Changes of this scope were dropped.
    pub(super) fn mark_stale(&mut self, index: ScopeIndex) {
        if let Some(scope) = self.fetched.get_mut(&index)
            && scope.freshness == Freshness::Fresh
        {
            scope.freshness = Freshness::Stale;
        }
    }

    /// Whether some scope's state must be asked for.
    pub(super) fn any_stale(&self) -> bool {
        self.fetched.values().any(|scope| scope.freshness == Freshness::Stale)
    }

    /// The scopes whose state must be asked for; from now on it counts as asked for.
    pub(super) fn resync(&mut self) -> impl Iterator<Item = ScopeIndex> {
        self.fetched.iter_mut().filter_map(|(index, scope)| {
            (scope.freshness == Freshness::Stale).then(|| {
                scope.freshness = Freshness::Resyncing;
                *index
            })
        })
    }
}
