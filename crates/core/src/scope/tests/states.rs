//! States that are written in steps, and texts that are kept.

use super::*;

impl World {
    /// So many objects, written one by one.
    fn of_many(objects: u128) -> Self {
        let mut world = Self::new();
        let adds: Vec<Fragment> =
            (1..=objects).flat_map(|n| [world.add(n), world.insert(n)]).collect();
        world
            .tell(Input::Update {
                ticket: Ticket(1),
                terms: Terms::default(),
                changes: ChangeSet::new(adds),
            })
            .persist();
        world.scope.options.state_step_bytes = 1;
        world.lines();
        world
    }

    fn step(&mut self) -> bool {
        let is_due = self.scope.deadline() == Some(self.now.mono);
        if is_due {
            self.tell(Input::Deadline);
        }
        is_due
    }

    fn finish(&mut self) -> Vec<String> {
        while self.step() {}
        self.persist().lines()
    }
}

#[test]
fn a_long_state_is_written_in_steps_and_has_what_changed_meanwhile() {
    let mut world = World::of_many(20);
    world.join(BO, Dialect::V1);
    assert_eq!(world.lines(), [""; 0]);
    assert!(world.step());
    let rename = world.rename("meanwhile");
    let grow = [world.add(21), world.insert(21)];
    world.tell(Input::Update {
        ticket: Ticket(2),
        terms: Terms::default(),
        changes: ChangeSet::new([rename]),
    });
    assert!(world.step());
    world.tell(Input::Update {
        ticket: Ticket(3),
        terms: Terms::default(),
        changes: ChangeSet::new(grow),
    });
    let shrink = world.remove(7);
    world.tell(Input::Update {
        ticket: Ticket(4),
        terms: Terms::default(),
        changes: ChangeSet::new([shrink]),
    });
    let lines = world.finish();
    let states: Vec<&String> = lines.iter().filter(|line| line.starts_with("2 state ")).collect();
    assert_eq!(states.len(), 1);
    assert_eq!(lines.last(), Some(states[0]), "after everything that it has");
    let expected = encode_state(world.scope.graph());
    let has = |number| expected.contains(&shape(number).to_string());
    assert!(expected.contains("meanwhile") && has(21) && !has(7));
    world.tell(Input::Resync { member: BO });
    let Some(Output::State { body, .. }) = world.out.pop() else { panic!("it is kept") };
    assert_eq!(body.to_text(), expected);
    assert_eq!(world.scope.deadline(), None);
}

#[test]
fn members_who_come_while_a_state_is_written_get_the_same_one() {
    let mut world = World::of_many(20);
    world.join(ANN, Dialect::V1).join(BO, Dialect::Original).join(CY, Dialect::V1);
    world.tell(Input::Leave { member: CY });
    while world.step() {}
    let bodies: Vec<(MemberId, StateBody)> = world
        .out
        .drain(..)
        .map(|output| match output {
            Output::State { member, body, .. } => (member, body),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(bodies.iter().map(|(member, _)| *member).collect::<Vec<_>>(), [ANN, BO]);
    assert!(bodies[0].1.is(&bodies[1].1));
}

#[test]
fn a_change_is_written_again_alone() {
    let mut world = World::of_many(40);
    world.scope.options.state_step_bytes = 0;
    world.join(ANN, Dialect::V1);
    let state = |world: &mut World| match world.out.pop() {
        Some(Output::State { body, .. }) => body,
        other => panic!("{other:?}"),
    };
    let before = state(&mut world);
    let (model, width) = world.property("Shape", "width");
    let widen = Fragment::new(FragmentKind::Change, shape(9), model)
        .with(width, Value::Scalar(Some(Scalar::Number(7.0))));
    world
        .tell(Input::Update {
            ticket: Ticket(2),
            terms: Terms::default(),
            changes: ChangeSet::new([widen]),
        })
        .persist();
    world.lines();
    world.tell(Input::Resync { member: ANN });
    let after = state(&mut world);
    let both = before.pieces().iter().zip(after.pieces());
    // The head and the tail are written each time.
    let other = both.filter(|(before, after)| before.len() > 100 && !before.is(after));
    assert_eq!(other.count(), 1);
}

#[test]
fn a_text_that_nobody_needs_is_let_go_of() {
    let mut world = World::new();
    world.scope.options.state_kept_ms = 1_000;
    world.join(ANN, Dialect::V1).lines();
    assert_eq!(world.scope.deadline(), Some(Millis(1_000)));
    world.now.mono = Millis(600);
    world.join(BO, Dialect::V1).lines();
    world.now.mono = Millis(1_600);
    world.tell(Input::Deadline);
    assert!(world.scope.state.is_empty());
    assert_eq!(world.scope.deadline(), None);
}
