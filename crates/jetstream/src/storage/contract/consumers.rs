//! Sentences about how far consumers have got.

use jetstream_core::ids::{Revision, SharedText};

use super::{beginning, begun, commit, grown, snapshot, time};
use crate::storage::{
    Behind, DeadLetter, Horizon, LetterId, Progress, Storage, StorageError, StoredScope,
};

const MAIL: &str = "mail";
const BILLING: &str = "billing";

fn at(revision: u64) -> Progress {
    Progress { revision: Revision(revision), failing_since: None }
}

async fn advance(
    storage: &dyn Storage,
    scope: &StoredScope,
    consumer: &str,
    revision: u64,
) -> Result<(), StorageError> {
    storage.advance(&scope.name, consumer, at(revision), None).await
}

async fn behind(storage: &dyn Storage, consumer: &str) -> Vec<String> {
    let names = storage.behind(consumer, None, 100).await.unwrap();
    names.iter().map(|behind| behind.scope.to_string()).collect()
}

/// A consumer that is new has nothing to catch up with; what it has got is remembered, each scope and each
/// consumer for itself, with the time since which it takes nothing.
pub async fn a_consumer_begins_behind_the_last_commit_and_keeps_its_place(storage: &dyn Storage) {
    let (scope, other) = (grown(storage, "followed", 3).await, begun(storage, "other").await);
    assert_eq!(storage.progress(&scope.name, MAIL).await.unwrap(), None);
    assert_eq!(storage.follow(&scope.name, MAIL).await.unwrap(), at(3));
    assert_eq!(storage.follow(&other.name, MAIL).await.unwrap(), at(0));
    storage.append(&scope, &[commit(&scope, 4), commit(&scope, 5)]).await.unwrap();
    assert_eq!(storage.follow(&scope.name, BILLING).await.unwrap(), at(5));
    let failing = Progress { failing_since: Some(time(9)), ..at(4) };
    storage.advance(&scope.name, MAIL, failing, None).await.unwrap();
    assert_eq!(storage.follow(&scope.name, MAIL).await.unwrap(), failing);
    assert_eq!(storage.progress(&scope.name, MAIL).await.unwrap(), Some(failing));
    advance(storage, &scope, MAIL, 4).await.unwrap();
    assert_eq!(storage.progress(&scope.name, MAIL).await.unwrap(), Some(at(4)));
    assert_eq!(storage.progress(&other.name, MAIL).await.unwrap(), Some(at(0)));
    let unknown = storage.follow(&"unknown".into(), MAIL).await;
    assert!(matches!(unknown, Err(StorageError::Refused(_))), "{unknown:?}");
}

/// Whoever looks after a crash finds every scope that has something, and no other.
pub async fn a_scope_has_something_for_a_consumer_from_its_first_commit_to_its_last(
    storage: &dyn Storage,
) {
    let (scope, other) = (grown(storage, "busy", 2).await, begun(storage, "calm").await);
    for scope in [&scope, &other] {
        storage.follow(&scope.name, MAIL).await.unwrap();
        storage.follow(&scope.name, BILLING).await.unwrap();
    }
    assert_eq!(behind(storage, MAIL).await, [""; 0]);
    storage.append(&scope, &[commit(&scope, 3)]).await.unwrap();
    storage.append(&scope, &[commit(&scope, 4)]).await.unwrap();
    assert_eq!(behind(storage, MAIL).await, ["busy"]);
    advance(storage, &scope, MAIL, 3).await.unwrap();
    let left = Behind { scope: scope.name.clone(), got: Revision(3), last: Revision(4) };
    assert_eq!(storage.behind(MAIL, None, 1).await.unwrap(), [left]);
    advance(storage, &scope, MAIL, 4).await.unwrap();
    assert_eq!(behind(storage, MAIL).await, [""; 0]);
    assert_eq!(behind(storage, BILLING).await, ["busy"]);
    storage.append(&scope, &[commit(&scope, 5)]).await.unwrap();
    assert_eq!(behind(storage, MAIL).await, ["busy"]);
    // That there is a reply without a commit is nobody's business.
    advance(storage, &scope, MAIL, 5).await.unwrap();
    let answer = jetstream_core::scope::Entry::Answer(super::answer(7));
    storage.append(&scope, &[answer]).await.unwrap();
    assert_eq!(behind(storage, MAIL).await, [""; 0]);
    // A snapshot changes nothing.
    storage.compact(&scope, snapshot(&scope, 4)).await.unwrap();
    storage.append(&scope, &[commit(&scope, 6)]).await.unwrap();
    assert_eq!(behind(storage, MAIL).await, ["busy"]);
    assert_eq!(behind(storage, "somebody").await, [""; 0]);
}

/// The list is in the order of the names' bytes.
pub async fn scopes_with_something_for_a_consumer_are_listed_by_name_page_by_page(
    storage: &dyn Storage,
) {
    for name in ["b", "é", "B", "a", "calm"] {
        let scope = begun(storage, name).await;
        storage.follow(&scope.name, MAIL).await.unwrap();
        if name != "calm" {
            storage.append(&scope, &[commit(&scope, 1)]).await.unwrap();
        }
    }
    let all = storage.behind(MAIL, None, 10).await.unwrap();
    assert_eq!(behind(storage, MAIL).await, ["B", "a", "b", "é"]);
    let page = storage.behind(MAIL, Some(&"B".into()), 2).await.unwrap();
    assert_eq!(page, all[1..3]);
    // Where the page begins need not be there.
    assert_eq!(storage.behind(MAIL, Some(&"aa".into()), 9).await.unwrap(), all[2..]);
    assert!(storage.behind(MAIL, Some(&all[3].scope), 9).await.unwrap().is_empty());
}

/// What was told once is not untold, and nobody advances who does not follow.
pub async fn a_consumer_never_goes_back(storage: &dyn Storage) {
    let scope = grown(storage, "forward", 3).await;
    let refused = advance(storage, &scope, MAIL, 3).await;
    assert!(matches!(refused, Err(StorageError::Refused(_))), "{refused:?}");
    storage.follow(&scope.name, MAIL).await.unwrap();
    for revision in [2, 0] {
        let refused = advance(storage, &scope, MAIL, revision).await;
        assert!(matches!(refused, Err(StorageError::Refused(_))), "{refused:?}");
    }
    let unknown = storage.advance(&"unknown".into(), MAIL, at(9), None).await;
    assert!(matches!(unknown, Err(StorageError::Refused(_))), "{unknown:?}");
    assert_eq!(storage.progress(&scope.name, MAIL).await.unwrap(), Some(at(3)));
}

/// Begun anew, it begins anew for its consumers, too.
pub async fn a_removed_scope_has_nothing_for_anybody(storage: &dyn Storage) {
    let scope = begun(storage, "gone").await;
    storage.follow(&scope.name, MAIL).await.unwrap();
    storage.append(&scope, &[commit(&scope, 1)]).await.unwrap();
    storage.remove_scope(&scope.name).await.unwrap();
    assert_eq!(behind(storage, MAIL).await, [""; 0]);
    assert_eq!(storage.progress(&scope.name, MAIL).await.unwrap(), None);
    storage.compact(&scope, beginning(&scope)).await.unwrap();
    storage.append(&scope, &[commit(&scope, 1)]).await.unwrap();
    assert_eq!(behind(storage, MAIL).await, [""; 0]);
    assert_eq!(storage.follow(&scope.name, MAIL).await.unwrap(), at(1));
}

/// Who has a revision from there on misses nothing.
pub async fn where_the_known_past_begins_is_told(storage: &dyn Storage) {
    assert_eq!(storage.past_begins(&super::scope("nothing")).await.unwrap(), None);
    let scope = grown(storage, "begins", 4).await;
    assert_eq!(storage.past_begins(&scope).await.unwrap(), Some(Revision(0)));
    storage.compact(&scope, snapshot(&scope, 3)).await.unwrap();
    assert_eq!(storage.past_begins(&scope).await.unwrap(), Some(Revision(0)));
    storage.trim(&scope, Horizon::NOW).await.unwrap();
    assert_eq!(storage.past_begins(&scope).await.unwrap(), Some(Revision(3)));
}

/// A letter is there exactly if the progress is; letters have their text, an order, and go one by one.
pub async fn a_dead_letter_is_kept_with_the_progress_that_passes_it_over(storage: &dyn Storage) {
    let scope = begun(storage, "letters").await;
    let entries: Vec<_> = (1..=4).map(|revision| commit(&scope, revision)).collect();
    storage.follow(&scope.name, MAIL).await.unwrap();
    storage.append(&scope, &entries).await.unwrap();
    let letter = |after: u64, revision: u64| DeadLetter {
        consumer: MAIL.to_owned(),
        scope: scope.name.clone(),
        after: Revision(after),
        revision: Revision(revision),
        time: time(revision),
        key: format!("key {revision}"),
        why: "nobody \"wants\" it: é".to_owned(),
    };
    let text = |number: u64| SharedText::from(format!("{{\"number\":{number},\"é\":\"\\u0000\"}}"));
    for (after, revision) in [(0, 2), (2, 3)] {
        let aside = Some((letter(after, revision), text(revision)));
        storage.advance(&scope.name, MAIL, at(revision), aside).await.unwrap();
    }
    let back = Some((letter(0, 1), text(1)));
    storage.advance(&scope.name, MAIL, at(1), back).await.unwrap_err();
    let letters = storage.letters(None, 10).await.unwrap();
    let said: Vec<_> = letters.iter().map(|(_, letter)| letter.clone()).collect();
    assert_eq!(said, [letter(0, 2), letter(2, 3)]);
    let [first, second] = [letters[0].0, letters[1].0];
    assert!(first < second);
    assert_eq!(storage.letters(Some(first), 1).await.unwrap()[0].0, second);
    assert!(storage.letters(Some(second), 10).await.unwrap().is_empty());
    assert_eq!(storage.letter_text(second).await.unwrap(), Some(text(3)));
    storage.drop_letters(&[first, LetterId(u64::from(u32::MAX))]).await.unwrap();
    assert_eq!(storage.letter_text(first).await.unwrap(), None);
    assert_eq!(storage.letters(None, 10).await.unwrap().len(), 1);
    // The number of one that is gone is not another's.
    storage.drop_letters(&[second]).await.unwrap();
    let aside = Some((letter(3, 4), text(4)));
    storage.advance(&scope.name, MAIL, at(4), aside).await.unwrap();
    assert!(storage.letters(None, 10).await.unwrap()[0].0 > second);
    // A letter outlives its scope: whoever looks after it decides.
    storage.remove_scope(&scope.name).await.unwrap();
    assert_eq!(storage.letters(None, 10).await.unwrap().len(), 1);
}
