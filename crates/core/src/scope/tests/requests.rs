//! Requests of programs: recognised by their keys, held to the revision that they were meant for.

use super::durable::Log;
use super::*;
use crate::time::Timestamp;

impl World {
    fn request(&mut self, terms: Terms, fragments: Vec<Fragment>) -> (Revision, Outcome) {
        let changes = ChangeSet::atomic(fragments);
        self.tell(Input::Update { ticket: Ticket(1), terms, changes }).persist();
        let updated = self.out.iter().position(|output| matches!(output, Output::Updated { .. }));
        match self.out.remove(updated.expect("an answer")) {
            Output::Updated { revision, outcome, .. } => (revision, outcome),
            other => panic!("{other:?}"),
        }
    }

    fn at(&mut self, wall: i64) {
        self.now.wall = Timestamp(wall);
    }
}

fn key(key: u64, content: u64) -> Terms {
    let origin = Some(Origin::of_request(key, content));
    Terms { author: Some("billing".into()), origin, at: None }
}

/// The world's scope again, out of its log.
fn after_a_crash(world: &mut World, log: &mut Log, beginning: Graph) -> World {
    world.log(log);
    World::of(log.restored(beginning), Options::default())
}

#[test]
fn a_request_that_comes_again_is_answered_as_before_also_after_a_crash() {
    let (mut world, mut log) = (World::new(), Log::default());
    let beginning = world.scope.graph().clone();
    let add = vec![world.add(1), world.insert(1)];
    let stray = vec![world.add(2), world.rename("refused with it")];
    let (done, refused) =
        (world.request(key(1, 1), add.clone()), world.request(key(2, 1), stray.clone()));
    let expected = Outcome::Judged { replies: vec![Ok(()), Ok(())], added: vec![shape(1)] };
    assert_eq!(done, (Revision(1), expected));
    assert!(matches!(&refused.1, Outcome::Judged { replies, .. } if replies[0].is_err()));
    let rename = vec![world.rename("in between")];
    world.request(Terms::default(), rename);
    let mut again = after_a_crash(&mut world, &mut log, beginning);
    for world in [&mut world, &mut again] {
        assert_eq!(world.request(key(1, 1), add.clone()), done);
        assert_eq!(world.request(key(2, 1), stray.clone()), refused);
        let (revision, outcome) = world.request(key(1, 2), add.clone());
        assert_eq!((revision, outcome), (Revision(2), Outcome::KeyUsed));
        assert_eq!(world.scope.revision(), Revision(2), "nothing was done twice");
    }
}

#[test]
fn the_log_says_on_whose_behalf_a_commit_was_made() {
    let mut world = World::new();
    let rename = vec![world.rename("paid")];
    world.request(key(1, 1), rename);
    let stored = world.out.iter().find_map(|output| match output {
        Output::Persist { entry, .. } => entry.commit().cloned(),
        _ => None,
    });
    let commit = stored.unwrap();
    assert_eq!(commit.author.as_deref(), Some("billing"));
    assert!(commit.origin.unwrap().is_request());
    let id = SessionId((1 << 53) - 1);
    assert!(!Origin { session: id, message: MessageIndex(1) }.is_request());
}

#[test]
fn a_key_is_good_for_a_day() {
    let mut world = World::new();
    let rename = vec![world.rename("same")];
    world.at(0);
    assert_eq!(world.request(key(1, 1), rename.clone()).0, Revision(1));
    world.at(REQUEST_ANSWER_MS_MAX);
    assert_eq!(world.request(key(1, 1), rename.clone()).0, Revision(1));
    assert_eq!(world.request(key(1, 2), rename.clone()).1, Outcome::KeyUsed);
    world.at(REQUEST_ANSWER_MS_MAX + 1);
    assert_eq!(world.request(key(1, 2), rename.clone()).0, Revision(2));
    assert_eq!(world.request(key(1, 1), rename).1, Outcome::KeyUsed);
}

#[test]
fn a_request_for_another_revision_changes_nothing_unless_it_is_known_already() {
    let mut world = World::new();
    let rename = vec![world.rename("first")];
    let terms = |at| Terms { at: Some(Revision(at)), ..key(1, 1) };
    assert_eq!(world.request(terms(1), rename.clone()), (Revision(0), Outcome::Moved));
    assert_eq!(world.request(terms(0), rename.clone()).0, Revision(1));
    let (revision, outcome) = world.request(terms(0), rename.clone());
    assert!(matches!(outcome, Outcome::Judged { .. }), "{outcome:?}");
    assert_eq!(revision, Revision(1));
    let other = Terms { at: Some(Revision(0)), ..Terms::default() };
    assert_eq!(world.request(other, rename), (Revision(1), Outcome::Moved));
}

#[test]
fn while_nothing_can_be_stored_a_request_is_neither_done_nor_remembered() {
    let mut world = World::new();
    world.tell(Input::Frozen { why: Some("no space is left".into()) });
    let (rename, stray) = (vec![world.rename("paid")], vec![world.add(7)]);
    for fragments in [rename.clone(), stray.clone()] {
        let (revision, outcome) = world.request(key(1, 1), fragments);
        assert_eq!(revision, Revision(0));
        assert!(
            matches!(&outcome, Outcome::NotSaved { why, replies } if &**why == "no space is left" && replies.len() == 1)
        );
    }
    world.tell(Input::Frozen { why: None });
    assert_eq!(world.request(key(1, 1), rename).0, Revision(1));
    let (_, outcome) = world.request(key(2, 1), stray);
    assert!(matches!(&outcome, Outcome::Judged { replies, .. } if replies[0].is_err()));
}

#[test]
fn a_scope_that_is_not_stored_recognises_requests_as_well() {
    let mut world = World::memory();
    let (rename, stray) = (vec![world.rename("paid")], vec![world.add(7)]);
    let (done, refused) =
        (world.request(key(1, 1), rename.clone()), world.request(key(2, 1), stray.clone()));
    assert_eq!(world.request(key(1, 1), rename.clone()), done);
    assert_eq!(world.request(key(2, 1), stray), refused);
    assert_eq!(world.request(key(2, 2), rename).1, Outcome::KeyUsed);
    assert_eq!(world.scope.revision(), Revision(1));
}
