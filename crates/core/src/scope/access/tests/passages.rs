//! What comes into a view and leaves it, and everything beside a change that a scope tells its members.

use super::attacks::{MALLORY, OLD, UNKNOWN, alike, world};
use super::*;

const ANN: u64 = 3;

fn names(texts: &[String], number: u128) -> bool {
    texts.iter().any(|text| text.contains(&id(number).to_string()))
}

/// A notice below the root that ends the membership of whoever it names.
fn notice(world: &World, user: &str) -> Vec<Fragment> {
    vec![
        world.add(9).set("label", format!("without {user}").as_str()).build(),
        world.change(0).next(Some(9)).set("label", "last words").build(),
    ]
}

fn is_dismissed(outputs: &[Output], who: u64) -> bool {
    outputs.iter().any(|o| matches!(o, Output::Dismissed { member, .. } if member.0 == who))
}

#[test]
fn who_may_not_stay_is_not_told_of_the_change_that_says_so() {
    for open in [false, true] {
        let mut world = World::new(Levels { open, ..Levels::default() });
        for member in [MALLORY, OLD, ANN] {
            let user = if member == ANN { "ann" } else { "mallory" };
            let dialect = if member == OLD { Dialect::Original } else { Dialect::V1 };
            world.join(member, dialect, claims(user, 1.0));
        }
        world.take();
        let fragments = notice(&world, "mallory");
        world.update(fragments);
        let outputs = world.take();
        assert!(is_dismissed(&outputs, MALLORY) && is_dismissed(&outputs, OLD));
        world.out = outputs;
        let told = world.told(ANN);
        assert_eq!(told.len(), 1, "Ann stays: {told:?}");
    }
    for open in [false, true] {
        let mut world = World::new(Levels { open, ..Levels::default() });
        world.join(MALLORY, Dialect::V1, claims("mallory", 1.0));
        world.take();
        let fragments = notice(&world, "mallory");
        world.update(fragments);
        assert_eq!(world.told(MALLORY), Vec::<String>::new());
    }
}

#[test]
fn who_may_stay_can_depend_on_any_object() {
    let mut world = world();
    let fragments = notice(&world, "nobody");
    world.update(fragments);
    world.take();
    let rename = world.change(9).set("label", "without mallory").build();
    world.update([rename]);
    let outputs = world.take();
    assert!(is_dismissed(&outputs, MALLORY) && is_dismissed(&outputs, OLD));
}

#[test]
fn an_author_who_shuts_itself_out_gets_its_reply_and_nothing_else() {
    for member in [MALLORY, OLD] {
        let mut world = World::new(Levels::lenient());
        world.join(member, Dialect::Original, claims("mallory", 1.0));
        world.take();
        let fragments = notice(&world, "mallory");
        world.sync(member, ChangeSet::new(fragments));
        assert_eq!(world.told(member), ["[{},{}]"]);
    }
}

#[test]
fn a_state_that_is_asked_for_again_is_the_view() {
    let mut world = world();
    for member in [MALLORY, OLD] {
        world.tell(Input::Resync { member: MemberId(member) });
        let told = world.told(member);
        assert!(names(&told, 1) && names(&told, 5), "{told:?}");
        assert!(!names(&told, 2) && !names(&told, 3) && !names(&told, 4), "{told:?}");
    }
    let hide = world.change(1).set("level", 9.0).build();
    world.update([hide]);
    world.take();
    world.tell(Input::Resync { member: MemberId(MALLORY) });
    let told = world.told(MALLORY);
    assert!(!names(&told, 1) && names(&told, 5), "{told:?}");
}

#[test]
fn a_repair_states_nothing_that_is_hidden() {
    let mut world = World::new(Levels::lenient());
    let fragments =
        [world.change(0).children(&[1, 2]).build(), world.add(1).build(), world.add(2).build()];
    world.update(fragments);
    world.join(OLD, Dialect::Original, claims("mallory", 1.0));
    let crossing = [
        world.add(7).set("level", 9.0).set("label", "hidden").build(),
        world.add(8).build(),
        world.change(0).children(&[1, 2, 7, 8]).build(),
    ];
    world.update(crossing);
    world.take();
    let without = world.change(0).children(&[1]).build();
    world.sync(OLD, ChangeSet::new([without]));
    world.tell(Input::Deadline);
    let told = world.told(OLD);
    assert!(told.len() > 1 && names(&told[1..], 8), "there is a repair: {told:?}");
    assert!(!names(&told, 7) && !told.concat().contains("hidden"), "{told:?}");
    assert_eq!(world.children(0), [1, 7, 8]);
}

#[test]
fn what_leaves_with_a_session_is_told_to_those_who_saw_it() {
    let mut world = world();
    world.join(ANN, Dialect::V1, claims("ann", ADMIN));
    let cursor = |number: u128, level: f64, world: &World| {
        vec![
            world.add_of("Cursor", number).set("level", level).set("owner", "ann").build(),
            world.change(1).children(&[2, number]).build(),
        ]
    };
    for (number, level, seen) in [(7, 9.0, false), (8, 0.0, true)] {
        let fragments = cursor(number, level, &world);
        world.sync(ANN, ChangeSet::new(fragments));
        assert_eq!(names(&world.told(MALLORY), number), seen);
    }
    world.tell(Input::Leave { member: MemberId(ANN) });
    assert_eq!(world.children(1), [2]);
    let told = world.told(MALLORY);
    assert!(told.len() == 1 && !names(&told, 7), "{told:?}");
}

#[test]
fn a_hidden_submodel_is_hidden_where_its_supermodel_is_expected() {
    let mut world = world();
    let fragments = [
        world.add_of("Sealed", 7).set("label", "sealed").build(),
        world.change(5).next(Some(7)).children(&[7]).build(),
        world.change(1).next(Some(7)).build(),
    ];
    world.update(fragments);
    assert_eq!(world.told(MALLORY), Vec::<String>::new());
    world.join(4, Dialect::V1, claims("mallory", 1.0));
    let told = world.told(4);
    assert!(!names(&told, 7) && !told.concat().contains("ealed"), "{told:?}");
    let clear = |target| {
        move |world: &World| [world.change(5).next(Some(target)).children(&[target]).build()]
    };
    let answer = |world: &mut World, target: u128| {
        let fragments = clear(target)(world);
        let replies = world.replies(MALLORY, fragments);
        replies.iter().map(|reply| reply.replace(&id(target).to_string(), "that")).collect()
    };
    let (sealed, unknown): (Vec<String>, Vec<String>) =
        (answer(&mut world, 7), answer(&mut world, UNKNOWN));
    assert_eq!(sealed, unknown);
}

#[test]
fn a_wrong_submodel_of_a_hidden_object_tells_nothing() {
    alike(|world, target| {
        let mut fragment = world.change(target).build();
        fragment.model = world.schema.find("Sealed").unwrap().0;
        vec![fragment]
    });
}

#[test]
fn a_ring_of_hidden_objects_holds_nothing_that_is_seen() {
    let mut world = world();
    let ring = world.change(4).next(Some(3)).children(&[4]).build();
    world.update([ring]);
    assert_eq!(world.told(MALLORY), Vec::<String>::new());
    alike(|world, target| vec![world.change(5).next(Some(target)).build()]);
    let refer = world.change(5).next(Some(4)).build();
    assert!(world.replies(MALLORY, [refer])[0].contains("not in the scope"));
}

#[test]
fn of_several_parents_the_hidden_ones_are_never_named() {
    let mut world = world();
    let hold = world.change(1).children(&[2, 4]).build();
    world.update([hold]);
    let told = world.told(MALLORY);
    assert!(names(&told, 4) && !names(&told, 3) && !names(&told, 2), "{told:?}");
    let let_go = world.change(1).children(&[2]).build();
    world.update([let_go]);
    let told = world.told(MALLORY);
    assert!(told.len() == 1 && !names(&told, 3) && !names(&told, 2), "{told:?}");
    assert!(world.scope.graph().object(id(4)).is_some(), "the hidden one keeps it");
    let change = world.change(4).set("label", "x").build();
    assert!(world.replies(MALLORY, [change])[0].contains("no object"));
}

#[test]
fn a_root_that_closes_takes_back_what_it_opened() {
    let mut world = world();
    let label = |world: &World, label: &str, level: f64| {
        vec![
            world.change(0).set("label", label).build(),
            world.change(3).set("level", level).set("label", label).build(),
        ]
    };
    let open = label(&world, "open", 2.0);
    world.update(open);
    let told = world.told(MALLORY);
    assert!(names(&told, 3) && names(&told, 4), "{told:?}");
    let closed = label(&world, "closed", 2.0);
    world.update(closed);
    let told = world.told(MALLORY);
    assert!(!told.concat().contains(&format!("\"uuid\":\"{}\"", id(3))), "{told:?}");
    let later = world.change(3).set("label", "again").build();
    world.update([later]);
    assert_eq!(world.told(MALLORY), Vec::<String>::new());
}

#[test]
fn an_object_that_comes_back_under_its_id_is_judged_anew() {
    let mut world = world();
    let remove = world.node(FragmentKind::Remove, 1).build();
    world.update([remove]);
    world.take();
    let again = [
        world.add(1).set("level", 9.0).set("label", "now hidden").build(),
        world.change(0).children(&[1, 3, 5]).build(),
    ];
    world.update(again);
    let told = world.told(MALLORY);
    assert!(!names(&told, 1), "{told:?}");
    let at_once =
        [world.node(FragmentKind::Remove, 5).build(), world.change(1).set("level", 0.0).build()];
    world.update(at_once);
    let told = world.told(MALLORY);
    assert!(names(&told, 1) && !names(&told, 5), "{told:?}");
}

#[test]
fn a_scope_that_is_fetched_twice_is_seen_twice_alike() {
    let mut world = world();
    let session = SessionId(MALLORY);
    let member = MemberId(10);
    let claims_now = claims("mallory", 1.0);
    let (dialect, claims, returns) = (Dialect::V1, claims_now, false);
    world.tell(Input::Join { member, session, dialect, claims, returns });
    let told = world.told(10);
    assert!(names(&told, 1) && !names(&told, 2) && !names(&told, 3), "{told:?}");
    let hide = world.change(1).set("level", 9.0).set("label", "hidden now").build();
    world.update([hide]);
    for member in [MALLORY, 10] {
        world.tell(Input::Resync { member: MemberId(member) });
    }
    let outputs = world.take();
    let states = outputs.iter().filter_map(|output| match output {
        Output::State { body, .. } => Some(body.clone()),
        _ => None,
    });
    let states: Vec<_> = states.collect();
    assert_eq!(states.len(), 2);
    assert!(states[0].is(&states[1]), "encoded once");
    assert!(!states[0].to_text().contains("hidden now"));
}

#[test]
fn a_second_session_with_more_rights_gives_the_first_none() {
    let mut world = world();
    world.join(ANN, Dialect::V1, claims("mallory", ADMIN));
    assert!(names(&world.told(ANN), 2));
    let fragments = [
        world.add(7).set("owner", "mallory").set("level", 9.0).set("secret", "s7").build(),
        world.add(8).set("owner", "ann").set("level", 9.0).build(),
        world.change(5).children(&[7]).build(),
        world.change(1).children(&[2, 8]).build(),
    ];
    let replies = world.replies(ANN, fragments);
    assert!(replies[1].starts_with("forbidden"), "seeing all is not doing all: {replies:?}");
    let name = world.change(2).set("label", "x").build();
    let hidden = world.change(UNKNOWN).set("label", "x").build();
    let replies = world.replies(MALLORY, [name, hidden]);
    assert_eq!(
        replies[0].replace(&id(2).to_string(), ""),
        replies[1].replace(&id(UNKNOWN).to_string(), "")
    );
}

#[test]
fn who_leaves_and_comes_back_with_less_sees_less() {
    let mut world = world();
    world.join(ANN, Dialect::V1, claims("cy", 9.0));
    assert!(names(&world.told(ANN), 2));
    world.tell(Input::Leave { member: MemberId(ANN) });
    world.join(ANN, Dialect::V1, claims("cy", 1.0));
    let told = world.told(ANN);
    assert!(names(&told, 1) && !names(&told, 2) && !names(&told, 3), "{told:?}");
}

#[test]
fn between_less_and_more_rights_nothing_is_told() {
    let mut world = world();
    world.join(ANN, Dialect::V1, claims("cy", 9.0));
    world.take();
    let member = MemberId(ANN);
    world.tell(Input::Claims { member, claims: claims("cy", 1.0) });
    let told = world.told(ANN);
    assert!(!told.is_empty() && !names(&told, 2), "it is told what to forget: {told:?}");
    let meanwhile = world.change(2).set("label", "meanwhile").build();
    world.update([meanwhile]);
    assert_eq!(world.told(ANN), Vec::<String>::new());
    world.tell(Input::Claims { member, claims: claims("cy", 9.0) });
    let told = world.told(ANN);
    assert!(names(&told, 2) && told.concat().contains("meanwhile"), "{told:?}");
}

#[test]
fn a_member_that_comes_later_gets_the_view_of_its_class() {
    let mut world = world();
    world.join(6, Dialect::V1, claims("mallory", 1.0));
    let before = world.told(6);
    let quietly = world.change(2).set("label", "quietly").build();
    world.update([quietly]);
    world.take();
    world.join(7, Dialect::V1, claims("mallory", 1.0));
    assert_eq!(world.told(7), before);
    world.join(8, Dialect::V1, claims("ann", 9.0));
    assert!(world.told(8).concat().contains("quietly"));
}

#[test]
fn an_added_object_is_judged_as_the_message_leaves_it() {
    let mut world = world();
    let hand_over = [
        world.add(50).set("owner", "mallory").build(),
        world.change(5).children(&[50]).build(),
        world.change(50).set("owner", "ann").build(),
    ];
    let replies = world.replies(MALLORY, hand_over);
    assert!(replies[0].starts_with("forbidden: may not add"), "{replies:?}");
    assert!(world.scope.graph().object(id(50)).is_none());
}

#[test]
fn an_author_is_not_told_again_of_what_it_hid_from_itself() {
    let mut world = World::new(Levels::lenient());
    let fragments = [world.change(0).children(&[1]).build(), world.add(1).build()];
    world.update(fragments);
    for (member, dialect) in [(MALLORY, Dialect::V1), (OLD, Dialect::Original)] {
        world.join(member, dialect, claims("mallory", 1.0));
    }
    world.take();
    let hide = world.change(1).set("level", 9.0).set("label", "out of sight").build();
    world.sync(MALLORY, ChangeSet::new([hide]));
    let outputs = world.take();
    let texts = outputs.iter().filter_map(|output| match output {
        Output::Sync { body, .. } | Output::Repair { body, .. } => Some(body.to_string()),
        _ => None,
    });
    let texts: Vec<String> = texts.collect();
    assert!(texts.len() == 2 && !texts.concat().contains("out of sight"), "{texts:?}");
}

fn recalled(outputs: &[Output]) -> Vec<u64> {
    let to = outputs.iter().filter_map(|output| match output {
        Output::Recall { to } => Some(to.iter().map(|member| member.0)),
        _ => None,
    });
    to.flatten().collect()
}

#[test]
fn what_is_on_its_way_to_those_who_see_less_now_is_recalled() {
    let mut world = world();
    world.join(ANN, Dialect::V1, claims("cy", 9.0));
    world.take();
    let say = world.change(1).set("label", "said").build();
    world.update([say]);
    assert_eq!(recalled(&world.take()), Vec::<u64>::new(), "nobody sees less");
    let remove = world.node(FragmentKind::Remove, 2).build();
    world.update([remove]);
    assert_eq!(recalled(&world.take()), Vec::<u64>::new(), "what is gone is no secret");
    let hide = world.change(1).set("level", 5.0).build();
    world.update([hide]);
    let outputs = world.take();
    assert_eq!(recalled(&outputs), [MALLORY, OLD], "Cy sees it still");
    let place = |wanted: fn(&Output) -> bool| outputs.iter().position(wanted).unwrap();
    let recall = place(|output| matches!(output, Output::Recall { .. }));
    assert!(recall < place(|output| matches!(output, Output::Sync { .. })));
    world.tell(Input::Claims { member: MemberId(ANN), claims: claims("cy", 1.0) });
    assert_eq!(recalled(&world.take()), [ANN]);
    world.tell(Input::Claims { member: MemberId(ANN), claims: claims("cy", -1.0) });
    assert_eq!(recalled(&world.take()), [ANN]);
}

#[test]
fn a_property_that_becomes_private_is_recalled() {
    let mut world = world();
    let give = world.change(5).set("owner", "ann").build();
    world.update([give]);
    assert_eq!(recalled(&world.take()), [MALLORY, OLD]);
}

#[test]
fn a_collection_that_is_completed_takes_nothing_of_another_model() {
    for member in [MALLORY, OLD] {
        let mut world = World::new(Levels::lenient());
        let seals = |world: &World, seals: &[u128]| {
            let seals = seals.iter().map(|number| id(*number)).collect();
            world.change(0).with("seals", Held::References(seals)).build()
        };
        let fragments = [
            world.change(0).children(&[5]).build(),
            seals(&world, &[7]),
            world.add(5).build(),
            world.add_of("Sealed", 7).build(),
        ];
        world.update(fragments);
        world.join(MALLORY, Dialect::V1, claims("mallory", 1.0));
        world.join(OLD, Dialect::Original, claims("mallory", 1.0));
        let wrong = seals(&world, &[5]);
        let replies = world.replies(member, [wrong]);
        assert!(replies[0].contains("takes [Sealed]"), "{replies:?}");
    }
}

#[test]
fn an_author_who_has_not_heard_what_is_hidden_is_told_what_became_of_its_collection() {
    let mut world = World::new(Levels::lenient());
    let fragments =
        [world.change(0).children(&[1, 2, 3]).build(), world.add(1).build(), world.add(2).build()];
    world.update(fragments.into_iter().chain([world.add(3).build()]));
    world.join(MALLORY, Dialect::V1, claims("mallory", 1.0));
    let hide = world.change(2).set("level", 9.0).build();
    world.update([hide]);
    world.take();
    let swap = world.change(0).children(&[3, 2, 1]).build();
    world.sync(MALLORY, ChangeSet::new([swap]));
    let told = world.told(MALLORY);
    assert_eq!(told[0], "[{}]");
    let shown = format!("\"children\":[\"{}\",\"{}\"]", id(3), id(1));
    assert!(told.len() == 2 && told[1].contains(&shown), "{told:?}");
    let again = world.change(0).children(&[1, 3]).build();
    world.sync(MALLORY, ChangeSet::new([again]));
    assert_eq!(world.told(MALLORY), ["[{}]"], "nothing was left out");
}

#[test]
fn who_adds_an_object_does_not_mean_the_one_that_was_hidden() {
    let mut world = World::new(Levels::lenient());
    let fragments = [world.change(0).children(&[1, 2]).build(), world.add(1).build()];
    world.update(fragments.into_iter().chain([world.add(2).build()]));
    world.join(MALLORY, Dialect::V1, claims("mallory", 1.0));
    let hide = world.change(2).set("level", 9.0).build();
    world.update([hide]);
    world.take();
    let again = [world.change(0).children(&[1, 2]).build(), world.add(2).build()];
    world.sync(MALLORY, ChangeSet::new(again));
    let told = world.told(MALLORY);
    assert_eq!(told.len(), 1, "nothing was applied that has to be put right: {told:?}");
    assert_eq!(told[0].matches("error").count(), 2, "{told:?}");
    assert!(told[0].contains("is not in the scope"), "as of an object that nobody has: {told:?}");
}
