//! Sentences about sessions, schemas, and the store's health.

use jetstream_core::ids::{MessageIndex, ScopeIndex, SessionId};
use jetstream_core::session::Shown;

use crate::storage::{
    SchemaVersion, Storage, StorageError, StoredFetch, StoredIdentity, StoredSchema, StoredSession,
    TokenHash,
};

fn session(id: u64) -> StoredSession {
    let mut params = serde_json::Map::new();
    params.insert("user".into(), "Änne".into());
    let fetch = StoredFetch {
        index: ScopeIndex(2),
        name: "a/\"b\"".into(),
        message: MessageIndex(3),
        params: serde_json::Map::new(),
    };
    StoredSession {
        id: SessionId(id),
        token: token(id),
        version: "1.0.0".to_owned(),
        identity: Some(StoredIdentity {
            claims: params.clone(),
            expires_at: Some(4_000_000_000),
            shown: Some(Shown::Connection),
        }),
        params,
        scopes: vec![fetch],
        next_scope: ScopeIndex(3),
        position: MessageIndex(17),
        remaining_ms: 60_000,
    }
}

fn token(id: u64) -> TokenHash {
    let mut bytes = [7; TokenHash::BYTES];
    bytes[..8].copy_from_slice(&id.to_le_bytes());
    TokenHash::new(bytes)
}

/// A session comes back as it was saved.
pub async fn a_session_is_found_by_its_token(storage: &dyn Storage) {
    assert_eq!(storage.load_session(&token(1)).await.unwrap(), None);
    storage.save_sessions(&[session(1), session(u64::MAX)]).await.unwrap();
    assert_eq!(storage.load_session(&token(1)).await.unwrap(), Some(session(1)));
    assert_eq!(storage.load_session(&token(u64::MAX)).await.unwrap(), Some(session(u64::MAX)));
    assert_eq!(storage.load_session(&token(2)).await.unwrap(), None);
}

/// The last that was saved counts, also within one call.
pub async fn a_saved_session_replaces_what_was_stored_of_it(storage: &dyn Storage) {
    let later = StoredSession { position: MessageIndex(99), scopes: Vec::new(), ..session(1) };
    storage.save_sessions(&[session(1), session(2)]).await.unwrap();
    storage.save_sessions(&[session(1), later.clone()]).await.unwrap();
    assert_eq!(storage.load_session(&token(1)).await.unwrap(), Some(later.clone()));
    let moved = StoredSession { token: token(77), ..later };
    storage.save_sessions(std::slice::from_ref(&moved)).await.unwrap();
    assert_eq!(storage.load_session(&token(1)).await.unwrap(), None);
    assert_eq!(storage.load_session(&token(77)).await.unwrap(), Some(moved));
    assert_eq!(storage.load_session(&token(2)).await.unwrap(), Some(session(2)));
}

/// Forgetting is for ever, and may be asked for twice.
pub async fn a_forgotten_session_is_gone_with_its_token(storage: &dyn Storage) {
    storage.save_sessions(&[session(1), session(2)]).await.unwrap();
    for _ in 0..2 {
        storage.forget_sessions(&[SessionId(1), SessionId(9)]).await.unwrap();
        assert_eq!(storage.load_session(&token(1)).await.unwrap(), None);
    }
    assert_eq!(storage.load_session(&token(2)).await.unwrap(), Some(session(2)));
}

/// Ids are ordered as numbers, the highest among them.
pub async fn sessions_are_listed_by_id_page_by_page(storage: &dyn Storage) {
    let ids = [u64::MAX, 10, 9, 1 << 63];
    let saved: Vec<_> = ids.into_iter().map(session).collect();
    storage.save_sessions(&saved).await.unwrap();
    let mut found = Vec::new();
    let mut after = None;
    loop {
        let page = storage.sessions(after, 3).await.unwrap();
        let Some(last) = page.last() else { break };
        after = Some(last.id);
        found.extend(page);
    }
    assert_eq!(found, [session(9), session(10), session(1 << 63), session(u64::MAX)]);
}

/// Versions rise, and what was written under one of them is never another text.
pub async fn schemas_are_kept_in_order_and_never_changed(storage: &dyn Storage) {
    let schema =
        |version, text: &str| StoredSchema { version: SchemaVersion(version), text: text.into() };
    assert!(storage.schemas().await.unwrap().is_empty());
    storage.add_schema(schema(1, "{}")).await.unwrap();
    storage.add_schema(schema(3, "{\"é\":1}")).await.unwrap();
    storage.add_schema(schema(1, "{}")).await.unwrap();
    for refused in [schema(1, "[]"), schema(2, "{}"), schema(3, "{}")] {
        let refused = storage.add_schema(refused).await;
        assert!(matches!(refused, Err(StorageError::Refused(_))), "{refused:?}");
    }
    let expected = [schema(1, "{}"), schema(3, "{\"é\":1}")];
    assert_eq!(storage.schemas().await.unwrap(), expected);
}

/// Nothing is the matter until something is.
pub async fn a_store_that_nothing_happened_to_is_good(storage: &dyn Storage) {
    assert!(storage.health().borrow().is_good());
}
