//! What somebody might try to learn or to change what is not theirs.

use super::*;
use crate::model::CollectionEdit;

/// Mallory sees up to level 1. 1 is public, 2 is hidden below it, 3 is hidden below the root and holds the
/// public 4, 5 is Mallory's own.
pub(super) fn world() -> World {
    let mut world = World::new(Levels::default());
    let fragments = [
        world.change(0).children(&[1, 3, 5]).set("label", "closed").build(),
        world
            .add(1)
            .set("level", 0.0)
            .set("owner", "ann")
            .set("secret", "s1")
            .children(&[2])
            .build(),
        world.add(2).set("level", 9.0).set("owner", "ann").build(),
        world.add(3).set("level", 9.0).set("owner", "ann").children(&[4]).build(),
        world.add(4).set("level", 0.0).set("owner", "ann").build(),
        world.add(5).set("level", 0.0).set("owner", "mallory").set("secret", "s5").build(),
    ];
    world.update(fragments);
    world.join(MALLORY, Dialect::V1, claims("mallory", 1.0));
    world.join(OLD, Dialect::Original, claims("mallory", 1.0));
    world.take();
    world
}

pub(super) const MALLORY: u64 = 1;
/// Mallory with a client of the original.
pub(super) const OLD: u64 = 2;
/// An id that nobody has.
pub(super) const UNKNOWN: u128 = 77;

/// What is said about a hidden object is what is said about one that is not there.
pub(super) fn alike(attack: impl Fn(&World, u128) -> Vec<Fragment>) {
    for hidden in [2, 3, 4] {
        for member in [MALLORY, OLD] {
            let answer = |target: u128| {
                let mut world = world();
                let fragments = attack(&world, target);
                let before = crate::scope::encode_state(world.scope.graph());
                let replies = world.replies(member, fragments);
                let after = crate::scope::encode_state(world.scope.graph());
                let told: Vec<String> = replies
                    .iter()
                    .map(|reply| reply.replace(&id(target).to_string(), "that"))
                    .collect();
                (told, before != after)
            };
            assert_eq!(answer(hidden), answer(UNKNOWN), "{hidden} by {member}");
        }
    }
}

#[test]
fn a_change_of_a_hidden_object_is_answered_as_one_of_an_unknown_object() {
    alike(|world, target| vec![world.change(target).set("label", "x").build()]);
}

#[test]
fn an_empty_change_tells_nothing() {
    alike(|world, target| vec![world.change(target).build()]);
}

#[test]
fn a_removal_tells_nothing() {
    alike(|world, target| vec![world.node(FragmentKind::Remove, target).build()]);
}

#[test]
fn a_move_tells_nothing() {
    alike(|world, target| vec![world.node(FragmentKind::MoveChange, target).build()]);
    alike(|world, target| {
        let there = world.change(5).children(&[target]).build();
        vec![there, world.node(FragmentKind::MoveChange, target).build()]
    });
}

#[test]
fn a_reference_to_a_hidden_object_tells_nothing() {
    alike(|world, target| vec![world.change(5).next(Some(target)).build()]);
    alike(|world, target| vec![world.change(5).children(&[target]).build()]);
}

#[test]
fn a_reference_from_a_new_object_tells_nothing() {
    alike(|world, target| {
        let add = world.add(50).set("owner", "mallory").next(Some(target)).build();
        vec![add, world.change(5).children(&[50]).build()]
    });
}

#[test]
fn an_insertion_of_a_hidden_object_tells_nothing() {
    let insert = |after| {
        move |world: &World, target| {
            let edit = CollectionEdit::Insert { object: id(target), after };
            vec![world.change(5).edit(edit).build()]
        }
    };
    alike(insert(None));
    alike(insert(Some(id(1))));
}

#[test]
fn an_insertion_behind_a_hidden_object_tells_nothing() {
    alike(|world, target| {
        let edit = CollectionEdit::Insert { object: id(51), after: Some(id(target)) };
        let add = world.add(51).set("owner", "mallory").build();
        vec![add, world.change(0).edit(edit).build()]
    });
    // Not by the place either: where the place is unknown, an insertion goes to the end.
    let mut world = world();
    let edit = CollectionEdit::Insert { object: id(51), after: Some(id(3)) };
    let fragments =
        [world.add(51).set("owner", "mallory").build(), world.change(0).edit(edit).build()];
    assert_eq!(world.replies(MALLORY, fragments), ["ok", "ok"]);
    let children: Vec<_> = world
        .scope
        .graph()
        .object(id(0))
        .unwrap()
        .value(world.property("children").0)
        .references()
        .to_vec();
    assert_eq!(children, [id(1), id(3), id(5), id(51)]);
}

#[test]
fn what_means_nobody_for_its_author_means_nobody_for_those_who_see_it() {
    let mut world = world();
    let take = world.change(5).edit(CollectionEdit::Remove { object: id(3) }).build();
    let edit = CollectionEdit::Insert { object: id(51), after: Some(id(3)) };
    let add = world.add(51).set("owner", "mallory").build();
    let insert = world.change(0).edit(edit).build();
    world.sync(MALLORY, ChangeSet::new([take, add, insert]));
    let outputs = world.take();
    let commits = outputs.iter().filter_map(|output| match output {
        Output::Committed(commit) => Some(format!("{:?}", commit.fragments)),
        _ => None,
    });
    for commit in commits {
        assert!(!commit.contains(&id(3).to_string()), "{commit}");
    }
}

#[test]
fn taking_a_hidden_object_out_of_a_collection_does_nothing_and_tells_nothing() {
    alike(|world, target| {
        let edit = CollectionEdit::Remove { object: id(target) };
        vec![world.change(5).edit(edit).build()]
    });
    alike(|world, target| {
        let edit = CollectionEdit::Remove { object: id(target) };
        vec![world.change(0).edit(edit).build()]
    });
    alike(|world, target| {
        let edit = CollectionEdit::Remove { object: id(target) };
        vec![world.change(1).edit(edit).build()]
    });
}

#[test]
fn a_whole_collection_that_names_a_hidden_object_tells_nothing() {
    alike(|world, target| vec![world.change(0).children(&[1, target, 5]).build()]);
    alike(|world, target| vec![world.change(1).children(&[target]).build()]);
    alike(|world, target| vec![world.change(5).children(&[target, target]).build()]);
}

#[test]
fn a_wrong_model_name_tells_nothing() {
    alike(|world, target| {
        let mut fragment = world.change(target).build();
        fragment.properties = vec![(world.property("next").0, Held::Reference(Some(id(target))))];
        vec![fragment]
    });
}

#[test]
fn an_atomic_message_tells_nothing_by_what_it_aborts() {
    for target in [2, 3, UNKNOWN] {
        let mut world = world();
        let changes = ChangeSet::atomic([
            world.change(5).set("label", "mine").build(),
            world.change(target).set("label", "x").build(),
        ]);
        world.sync(MALLORY, changes);
        let replies = world.take().into_iter().find_map(|output| match output {
            Output::Reply { body, .. } => Some(body.replace(&id(target).to_string(), "that")),
            _ => None,
        });
        let replies = replies.unwrap();
        assert!(
            replies.contains("transaction-aborted")
                && replies.contains("no object that in the scope"),
            "{replies}"
        );
    }
}

#[test]
fn an_add_with_the_id_of_a_hidden_object_changes_nothing() {
    let mut world = world();
    let add = world.add(2).set("owner", "mallory").set("label", "mine").build();
    let attach = world.change(5).children(&[2]).build();
    let replies = world.replies(MALLORY, [add, attach]);
    assert!(replies.iter().all(|reply| reply.starts_with("could-not-apply")), "{replies:?}");
    assert!(!replies[0].contains("in the scope already"), "{replies:?}");
    assert_eq!(
        text(Prospect::present(world.scope.graph()).object(id(2)).unwrap(), "owner").unwrap(),
        "ann"
    );
}

#[test]
fn a_collection_that_is_sent_whole_keeps_what_its_author_cannot_see() {
    for member in [MALLORY, OLD] {
        let mut world = World::new(Levels::lenient());
        let fragments = [
            world.change(0).children(&[1, 2, 3, 4]).set("label", "closed").build(),
            world.add(1).build(),
            world.add(2).set("level", 9.0).build(),
            world.add(3).build(),
            world.add(4).set("level", 9.0).build(),
        ];
        world.update(fragments);
        world.join(MALLORY, Dialect::V1, claims("mallory", 1.0));
        world.join(OLD, Dialect::Original, claims("mallory", 1.0));
        let swap = world.change(0).children(&[3, 1]).build();
        assert_eq!(world.replies(member, [swap]), ["ok"]);
        let empty = world.change(0).children(&[]).build();
        let children = |world: &World| -> Vec<ObjectId> {
            world
                .scope
                .graph()
                .object(id(0))
                .unwrap()
                .value(world.property("children").0)
                .references()
                .to_vec()
        };
        assert_eq!(children(&world), [id(3), id(4), id(1), id(2)]);
        assert_eq!(world.replies(member, [empty]), ["ok"]);
        assert_eq!(children(&world), [id(4), id(2)]);
    }
}

#[test]
fn a_move_leaves_the_places_that_its_author_cannot_see() {
    let mut world = World::new(Levels::lenient());
    let fragments = [
        world.change(0).children(&[1, 2, 3]).set("label", "closed").build(),
        world.add(1).children(&[4]).build(),
        world.add(2).set("level", 9.0).children(&[4]).build(),
        world.add(3).build(),
        world.add(4).build(),
    ];
    world.update(fragments);
    world.join(MALLORY, Dialect::V1, claims("mallory", 1.0));
    let moved =
        [world.change(3).children(&[4]).build(), world.node(FragmentKind::MoveChange, 4).build()];
    assert_eq!(world.replies(MALLORY, moved), ["ok", "ok"]);
    let children = |number| {
        world
            .scope
            .graph()
            .object(id(number))
            .unwrap()
            .value(world.property("children").0)
            .references()
            .to_vec()
    };
    assert_eq!((children(1), children(2), children(3)), (vec![], vec![id(4)], vec![id(4)]));
}

#[test]
fn a_hidden_property_can_be_neither_written_nor_emptied_nor_guessed() {
    for value in ["s1", "other"] {
        let mut world = world();
        let change = world.change(1).set("secret", value).build();
        assert!(world.replies(MALLORY, [change])[0].starts_with("forbidden"));
    }
    let mut world = World::new(Levels::lenient());
    let fragments =
        [world.change(0).children(&[1]).build(), world.add(1).set("secret", "s").build()];
    world.update(fragments);
    world.join(MALLORY, Dialect::V1, claims("mallory", 1.0));
    let change = world.change(1).with("secret", Held::Scalar(None)).build();
    assert_eq!(
        world.replies(MALLORY, [change]),
        ["forbidden: may not read \"Node.secret\": refused by the rule read.\"Node.secret\""]
    );
}

#[test]
fn nobody_takes_an_object_over_by_naming_itself_its_owner() {
    let mut world = world();
    let steal = world.change(1).set("owner", "mallory").build();
    assert_eq!(
        world.replies(MALLORY, [steal]),
        ["forbidden: may not change \"Node\": refused by the rule change.Node"]
    );
    let twice = [
        world.change(1).set("owner", "mallory").build(),
        world.change(1).set("label", "x").build(),
    ];
    assert!(world.replies(MALLORY, twice).iter().all(|reply| reply.starts_with("forbidden")));
}

#[test]
fn emptying_a_collection_removes_nothing_that_may_not_be_removed() {
    let mut world = world();
    let empty = world.change(0).children(&[]).build();
    assert!(world.replies(MALLORY, [empty])[0].starts_with("forbidden: may not remove"));
    let edit = CollectionEdit::Remove { object: id(1) };
    let take = world.change(0).edit(edit).build();
    assert!(world.replies(MALLORY, [take])[0].starts_with("forbidden: may not remove"));
    let remove = world.node(FragmentKind::Remove, 1).build();
    assert!(world.replies(MALLORY, [remove])[0].starts_with("forbidden: may not remove"));
}

#[test]
fn somebody_elses_object_cannot_be_carried_off_and_dropped() {
    let mut world = world();
    let hold = world.change(5).children(&[1]).build();
    assert_eq!(world.replies(MALLORY, [hold]), ["ok"], "it may refer to what it sees");
    let carry =
        [world.node(FragmentKind::MoveChange, 1).build(), world.change(5).children(&[1]).build()];
    assert!(world.replies(MALLORY, carry)[0].starts_with("forbidden"));
    let leave_out = world.change(0).children(&[5]).build();
    assert!(
        world.replies(MALLORY, [leave_out])[0].starts_with("forbidden"),
        "elsewhere is not gone"
    );
    let drop = world.node(FragmentKind::Remove, 5).build();
    assert_eq!(world.replies(MALLORY, [drop]), ["ok"]);
    assert!(world.scope.graph().object(id(1)).is_some());
}

#[test]
fn the_order_of_what_is_not_ones_own_stays() {
    let mut world = world();
    let swap = world.change(0).children(&[5, 1]).build();
    assert!(world.replies(MALLORY, [swap])[0].starts_with("forbidden"));
    let smuggle = [
        world.add(52).set("owner", "mallory").build(),
        world.change(0).children(&[5, 52, 1]).build(),
    ];
    assert!(world.replies(MALLORY, smuggle)[1].starts_with("forbidden"));
    let edit = CollectionEdit::Insert { object: id(5), after: None };
    let again = world.change(0).edit(edit).build();
    assert!(world.replies(MALLORY, [again])[0].starts_with("forbidden"));
}

#[test]
fn what_is_added_goes_where_its_author_puts_it() {
    let mut world = world();
    let edit = CollectionEdit::Insert { object: id(52), after: Some(id(1)) };
    let add = [world.add(52).set("owner", "mallory").build(), world.change(0).edit(edit).build()];
    assert_eq!(world.replies(MALLORY, add), ["ok", "ok"]);
    let whole = [
        world.add(53).set("owner", "mallory").build(),
        world.change(0).children(&[1, 53, 52, 5]).build(),
    ];
    assert_eq!(world.replies(OLD, whole), ["ok", "ok"]);
    let foreign = [
        world.add(54).set("owner", "ann").build(),
        world.change(0).children(&[1, 53, 54, 52, 5]).build(),
    ];
    let replies = world.replies(OLD, foreign);
    assert!(replies[0].starts_with("forbidden") && !replies[1].starts_with("ok"), "{replies:?}");
}

#[test]
fn a_refused_fragment_takes_nothing_else_with_it() {
    let mut world = world();
    let fragments =
        [world.change(1).set("label", "x").build(), world.change(5).set("label", "y").build()];
    let replies = world.replies(MALLORY, fragments);
    assert!(replies[0].starts_with("forbidden") && replies[1] == "ok", "{replies:?}");
}

#[test]
fn who_says_nothing_about_itself_is_unauthorized_not_forbidden() {
    let mut world = world();
    world.join(3, Dialect::V1, Arc::default());
    let change = world.change(1).set("label", "x").build();
    assert!(world.replies(3, [change])[0].starts_with("unauthorized"));
}

#[test]
fn who_may_not_fetch_is_dismissed_and_so_is_who_may_no_longer() {
    let mut world = world();
    world.join(3, Dialect::V1, claims("cy", -1.0));
    let dismissed =
        |world: &mut World| world.take().iter().any(|o| matches!(o, Output::Dismissed { .. }));
    assert!(dismissed(&mut world));
    world.tell(Input::Claims { member: MemberId(MALLORY), claims: claims("mallory", -1.0) });
    assert!(dismissed(&mut world));
    let change = world.change(5).set("label", "x").build();
    world.sync(MALLORY, ChangeSet::new([change]));
    assert!(world.take().is_empty(), "nobody asks any more");
}

#[test]
fn whom_only_a_hidden_object_holds_stays_hidden_until_it_is_held_elsewhere() {
    let mut world = world();
    let show = world.change(5).next(Some(4)).build();
    world.update([show]);
    let told: Vec<String> = world
        .take()
        .into_iter()
        .filter_map(|output| match output {
            Output::Sync { body, .. } => Some(body.to_string()),
            _ => None,
        })
        .collect();
    assert!(
        told.iter()
            .all(|body| body.contains("\"type\":\"add\"") && body.contains(&id(4).to_string())),
        "{told:?}"
    );
}
