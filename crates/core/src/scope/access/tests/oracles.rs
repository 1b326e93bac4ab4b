//! What an answer could tell of something that its author does not see: by its words, by the rule that
//! refuses, by what happens beside it, and by the work that it takes.

use super::attacks::{MALLORY, OLD, UNKNOWN, alike, world};
use super::*;
use crate::limits::Limits;
use crate::model::constraint::{Constraint, PropertyConstraint};
use crate::model::{CollectionEdit, ProcedureName};
use crate::scope::{FragmentVerdict, Procedure, Verdict};

/// Two worlds that differ in something that Mallory does not see answer the same attack in the same way.
fn no_difference(
    set_up: impl Fn(&World, bool) -> Vec<Fragment>,
    attack: impl Fn(&World) -> ChangeSet,
) {
    no_difference_in(world, set_up, attack);
}

fn no_difference_in(
    world: impl Fn() -> World,
    set_up: impl Fn(&World, bool) -> Vec<Fragment>,
    attack: impl Fn(&World) -> ChangeSet,
) {
    for member in [MALLORY, OLD] {
        let told = |with| {
            let mut world = world();
            let fragments = set_up(&world, with);
            world.update(fragments);
            world.take();
            let changes = attack(&world);
            world.sync(member, changes);
            world.told(member)
        };
        assert_eq!(told(false), told(true), "member {member}");
    }
}

/// Mallory's 6 is where it is put; if `with`, the hidden 3 holds it, too.
fn held_by_a_hidden_one(world: &World, parent: u128, with: bool) -> Vec<Fragment> {
    let mut children = world.children(parent);
    children.push(6);
    let mut fragments = vec![
        world.add(6).set("owner", "mallory").build(),
        world.change(parent).children(&children).build(),
    ];
    if with {
        fragments.push(world.change(3).children(&[4, 6]).build());
    }
    fragments
}

#[test]
fn which_rule_refuses_does_not_tell_what_a_hidden_reference_holds() {
    let set_up = |world: &World, with: bool| match with {
        false => Vec::new(),
        true => {
            let held = Held::Reference(Some(id(6)));
            vec![world.add(6).build(), world.change(1).with("pin", held).build()]
        }
    };
    for value in [None, Some(5), Some(1)] {
        no_difference(set_up, |world| {
            let value = Held::Reference(value.map(id));
            ChangeSet::new([world.change(1).with("pin", value).build()])
        });
    }
}

#[test]
fn which_rule_refuses_does_not_tell_what_a_hidden_collection_holds() {
    let set_up = |world: &World, with: bool| match with {
        false => Vec::new(),
        true => {
            let held = Held::References([id(6)].into());
            vec![world.add(6).build(), world.change(1).with("drawer", held).build()]
        }
    };
    for value in [&[][..], &[5]] {
        no_difference(set_up, |world| {
            let value = Held::References(value.iter().map(|number| id(*number)).collect());
            ChangeSet::new([world.change(1).with("drawer", value).build()])
        });
    }
}

#[test]
fn the_length_of_a_hidden_collection_is_not_told_by_its_bound() {
    let small = || {
        let limits = Limits { collection_elements_max: 3, ..Limits::default() };
        let mut small = World::with(Levels::default(), |_| Options {
            limits: Arc::new(limits),
            ..Options::default()
        });
        let fragments = [
            small.change(0).children(&[1, 5]).build(),
            small.add(1).set("owner", "ann").build(),
            small.add(5).set("owner", "mallory").build(),
        ];
        small.update(fragments);
        small.join(MALLORY, Dialect::V1, claims("mallory", 1.0));
        small.join(OLD, Dialect::Original, claims("mallory", 1.0));
        small
    };
    let set_up = |world: &World, with: bool| {
        let full = Held::References([id(5), id(5), id(5)].into());
        if with { vec![world.change(1).with("drawer", full).build()] } else { Vec::new() }
    };
    no_difference_in(small, set_up, |world| {
        let edit = CollectionEdit::Insert { object: id(5), after: None };
        let mut fragment = world.change(1).build();
        fragment = fragment.with_edits(world.property("drawer").0, vec![edit]);
        ChangeSet::new([fragment])
    });
}

#[test]
fn taking_an_object_out_does_not_tell_that_a_hidden_one_holds_it() {
    let set_up = |world: &World, with: bool| held_by_a_hidden_one(world, 0, with);
    no_difference(set_up, |world| ChangeSet::new([world.change(0).children(&[1, 5]).build()]));
    no_difference(set_up, |world| {
        let edit = CollectionEdit::Remove { object: id(6) };
        ChangeSet::new([world.change(0).edit(edit).build()])
    });
    no_difference(set_up, |world| ChangeSet::new([world.node(FragmentKind::Remove, 6).build()]));
}

#[test]
fn a_move_to_nowhere_does_not_tell_that_a_hidden_one_holds_the_object() {
    let set_up = |world: &World, with: bool| held_by_a_hidden_one(world, 5, with);
    no_difference(set_up, |world| {
        ChangeSet::new([world.node(FragmentKind::MoveChange, 6).build()])
    });
}

#[test]
fn adding_below_what_leaves_does_not_tell_that_a_hidden_one_keeps_it() {
    let set_up = |world: &World, with: bool| held_by_a_hidden_one(world, 5, with);
    let attack = |world: &World| {
        [
            world.change(5).children(&[]).build(),
            world.add(60).set("owner", "mallory").build(),
            world.change(6).children(&[60]).build(),
        ]
    };
    no_difference(set_up, |world| ChangeSet::new(attack(world)));
    no_difference(set_up, |world| ChangeSet::atomic(attack(world)));
}

#[test]
fn a_ring_that_a_hidden_object_keeps_is_no_place_to_add_to() {
    let set_up = |world: &World, with: bool| {
        let mut fragments = held_by_a_hidden_one(world, 5, with);
        fragments.push(world.change(6).next(Some(6)).build());
        fragments
    };
    no_difference(set_up, |world| {
        ChangeSet::new([
            world.change(5).children(&[]).build(),
            world.add(60).set("owner", "mallory").build(),
            world.change(6).children(&[60]).build(),
        ])
    });
}

/// A scope with a procedure `Node.call` of these constraints.
fn with_procedure(properties: &[(&str, PropertyConstraint)], kind: FragmentKind) -> World {
    let mut called = World::with(Levels::default(), |schema| {
        let (node, model) = schema.find("Node").unwrap();
        let properties = properties.iter();
        let properties = properties.map(|(name, c)| (model.find(name).unwrap().0, c.clone()));
        let (properties, additional) = (properties.collect(), true);
        let constraint = Constraint { kind, model: node, properties, additional, repeated: false };
        let procedure = Procedure { constraints: vec![constraint], ..Procedure::default() };
        let name = ProcedureName::parse("Node.call").unwrap();
        Options { procedures: [(name, procedure)].into(), ..Options::default() }
    });
    let fragments = [
        called.change(0).children(&[1, 3, 5]).build(),
        called.add(1).set("owner", "ann").build(),
        called.add(3).set("level", 9.0).children(&[4]).build(),
        called.add(4).build(),
        called.add(5).set("owner", "mallory").build(),
    ];
    called.update(fragments);
    called.join(MALLORY, Dialect::V1, claims("mallory", 1.0));
    called.join(OLD, Dialect::Original, claims("mallory", 1.0));
    called.take();
    called
}

fn call(fragment: Fragment) -> ChangeSet {
    let procedure = ProcedureName::parse("Node.call");
    ChangeSet { procedure, ..ChangeSet::atomic([fragment]) }
}

#[test]
fn a_constraint_does_not_tell_what_a_hidden_object_holds() {
    let set_up = |world: &World, with: bool| {
        if with { vec![world.change(3).children(&[]).build()] } else { Vec::new() }
    };
    let insert = [("children", PropertyConstraint::Insert)];
    for kind in [FragmentKind::Add, FragmentKind::Change] {
        no_difference_in(
            || with_procedure(&insert, kind),
            set_up,
            |world| call(world.node(kind, 3).children(&[5]).build()),
        );
    }
    let remove = [("children", PropertyConstraint::Remove)];
    no_difference_in(
        || with_procedure(&remove, FragmentKind::Change),
        set_up,
        |world| call(world.change(3).children(&[]).build()),
    );
}

#[test]
fn a_constraint_does_not_tell_what_a_hidden_collection_holds() {
    let set_up = |world: &World, with: bool| {
        let held = Held::References([id(5)].into());
        if with { vec![world.change(1).with("drawer", held).build()] } else { Vec::new() }
    };
    for constraint in [PropertyConstraint::Insert, PropertyConstraint::Remove] {
        let constraints = [("drawer", constraint)];
        let called = || with_procedure(&constraints, FragmentKind::Change);
        for value in [&[][..], &[5, 1], &[1]] {
            no_difference_in(called, set_up, |world| {
                let value = Held::References(value.iter().map(|number| id(*number)).collect());
                call(world.change(1).with("drawer", value).build())
            });
        }
    }
}

#[test]
fn a_constraint_tells_a_hidden_object_from_an_unknown_one_by_nothing() {
    for constraint in [PropertyConstraint::New, PropertyConstraint::Insert] {
        let constraints = [("children", constraint)];
        let answer = |target: u128| {
            let mut world = with_procedure(&constraints, FragmentKind::Change);
            let changes = call(world.change(target).children(&[5]).build());
            let answers = world.answers(MALLORY, changes);
            answers.iter().map(|a| a.replace(&id(target).to_string(), "that")).collect::<Vec<_>>()
        };
        assert_eq!(answer(3), answer(UNKNOWN));
    }
}

#[test]
fn a_procedure_is_no_way_around_the_rules() {
    let mut world = with_procedure(&[("label", PropertyConstraint::New)], FragmentKind::Change);
    let changes = call(world.change(1).set("label", "x").build());
    assert!(world.answers(MALLORY, changes)[0].starts_with("forbidden: may not change"));
    let changes = call(world.change(5).set("label", "x").build());
    assert_eq!(world.answers(MALLORY, changes), ["ok"]);
}

#[test]
fn what_stands_beside_a_hidden_object_fares_as_beside_an_unknown_one() {
    let around = |world: &World, target: u128| {
        vec![
            world.change(5).set("label", "mine").build(),
            world.change(target).set("label", "x").build(),
            world.add(50).set("owner", "mallory").build(),
            world.change(5).children(&[50]).build(),
        ]
    };
    alike(around);
    alike(|world, target| {
        let mut fragments = around(world, target);
        fragments.reverse();
        fragments
    });
}

#[test]
fn a_hidden_object_takes_no_other_work_than_an_unknown_one() {
    type Attack = dyn Fn(&World, u128) -> Fragment;
    let attacks: [&Attack; 4] = [
        &|world, target| world.change(target).set("label", "x").build(),
        &|world, target| world.change(5).next(Some(target)).build(),
        &|world, target| world.node(FragmentKind::Remove, target).build(),
        &|world, target| {
            let edit = CollectionEdit::Remove { object: id(target) };
            world.change(5).edit(edit).build()
        },
    ];
    for attack in attacks {
        let work = |target: u128| {
            let asked = Arc::new(AtomicUsize::new(0));
            let mut world = world_asking(asked.clone());
            let fragment = attack(&world, target);
            asked.store(0, Ordering::Relaxed);
            world.sync(MALLORY, ChangeSet::new([fragment]));
            let outputs: Vec<_> = world.take().iter().map(std::mem::discriminant).collect();
            (asked.load(Ordering::Relaxed), outputs)
        };
        assert_eq!(work(2), work(UNKNOWN));
    }
}

fn world_asking(asked: Arc<AtomicUsize>) -> World {
    let mut world = World::new(Levels { asked, ..Levels::default() });
    let fragments = [
        world.change(0).children(&[1, 5]).build(),
        world.add(1).set("owner", "ann").children(&[2]).build(),
        world.add(2).set("level", 9.0).set("owner", "ann").build(),
        world.add(5).set("owner", "mallory").build(),
    ];
    world.update(fragments);
    world.join(MALLORY, Dialect::V1, claims("mallory", 1.0));
    world.take();
    world
}

#[test]
fn what_happens_to_what_is_hidden_makes_no_sound() {
    let mut world = world();
    let fragments = [
        world.change(2).set("label", "whisper").build(),
        world.add(7).set("level", 9.0).build(),
        world.change(3).children(&[4, 7]).build(),
        world.change(1).set("secret", "s2").build(),
    ];
    world.update(fragments);
    let told: Vec<_> = world
        .take()
        .into_iter()
        .filter(|output| matches!(output, Output::Sync { .. } | Output::Repair { .. }))
        .collect();
    assert!(told.is_empty(), "{told:?}");
}

/// A lenient scope in which every change is asked about. 2 is hidden, 4 is in 1 and in 2.
fn asked_about() -> World {
    let mut world =
        World::with(Levels::lenient(), |_| Options { validate: true, ..Options::default() });
    let fragments = [
        world.change(0).children(&[1, 2, 3]).build(),
        world.add(1).children(&[4]).build(),
        world.add(2).set("level", 9.0).children(&[4]).build(),
        world.add(3).build(),
        world.add(4).build(),
    ];
    world.update(fragments);
    world.join(MALLORY, Dialect::V1, claims("mallory", 1.0));
    world.take();
    world
}

impl World {
    fn decide(&mut self, verdicts: Vec<FragmentVerdict>) -> String {
        let ticket = self.take().into_iter().find_map(|output| match output {
            Output::Call(call) => Some(call.ticket),
            _ => None,
        });
        let ticket = ticket.expect("somebody is asked");
        self.tell(Input::Verdict { ticket, verdict: Verdict::Accept(verdicts) });
        self.told(MALLORY).join("\n")
    }
}

#[test]
fn a_move_that_somebody_was_asked_about_leaves_the_places_that_its_author_cannot_see() {
    let mut world = asked_about();
    let moved =
        [world.change(3).children(&[4]).build(), world.node(FragmentKind::MoveChange, 4).build()];
    world.sync(MALLORY, ChangeSet::new(moved));
    assert!(world.decide(Vec::new()).starts_with("[{},{}]"));
    assert_eq!(
        (world.children(1), world.children(2), world.children(3)),
        (vec![], vec![4], vec![4])
    );
}

#[test]
fn a_whole_collection_that_somebody_was_asked_about_keeps_what_its_author_cannot_see() {
    let mut world = asked_about();
    let swap = world.change(0).children(&[3, 1]).build();
    world.sync(MALLORY, ChangeSet::new([swap]));
    assert!(world.decide(Vec::new()).starts_with("[{}]"));
    assert_eq!(world.children(0), [3, 1, 2]);
}

#[test]
fn what_somebody_else_puts_into_a_hidden_property_is_not_in_the_reply() {
    let mut world = asked_about();
    let change = world.change(1).set("label", "x").build();
    world.sync(MALLORY, ChangeSet::new([change]));
    let set = |name: &str, value: Held| (world.property(name).0, value);
    let amended = vec![
        set("secret", Held::Scalar(Some("for ann".into()))),
        set("pin", Held::Reference(Some(id(2)))),
    ];
    let told = world.decide(vec![FragmentVerdict::Amend(amended)]);
    assert!(told.starts_with("[{"), "{told}");
    assert!(!told.contains("for ann") && !told.contains(&id(2).to_string()), "{told}");
    let object = world.scope.graph().object(id(1)).unwrap();
    assert_eq!(object.reference(world.property("pin").0).map(|held| held.id()), Some(id(2)));
}

#[test]
fn rights_that_end_while_somebody_is_asked_are_not_there_any_more() {
    let mut world = asked_about();
    let change = world.change(4).set("label", "x").build();
    world.sync(MALLORY, ChangeSet::new([change]));
    let hide = world.change(4).set("level", 9.0).build();
    let call = world.take();
    world.update([hide]);
    world.take();
    world.out = call;
    let told = world.decide(Vec::new());
    assert!(told.contains("no object"), "what has become hidden is not there: {told}");
}

#[test]
fn claims_that_change_while_somebody_is_asked_decide() {
    let mut world =
        World::with(Levels::default(), |_| Options { validate: true, ..Options::default() });
    let fragments =
        [world.change(0).children(&[5]).build(), world.add(5).set("owner", "mallory").build()];
    world.update(fragments);
    world.join(MALLORY, Dialect::V1, claims("mallory", 1.0));
    let change = world.change(5).set("label", "x").build();
    world.take();
    world.sync(MALLORY, ChangeSet::new([change]));
    let call = world.take();
    world.tell(Input::Claims { member: MemberId(MALLORY), claims: claims("bo", 1.0) });
    world.take();
    world.out = call;
    assert!(world.decide(Vec::new()).contains("forbidden"));
}
