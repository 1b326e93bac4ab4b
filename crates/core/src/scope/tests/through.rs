//! Stories of ChangeSets that somebody else takes before they are committed.

use super::*;
use crate::limits::Limits;
use crate::model::{JudgeLimits, judge};
use crate::wire::update::Update;

/// A scope with two shapes whose changes are written through, and members Ann, Bo and Cy.
fn world() -> World {
    let mut world = World::new();
    world.scope.options.write = Some(WriteOrder::Places);
    let shapes = [1, 2].map(|number| [world.add(number), world.insert(number)]);
    let changes = ChangeSet::new(shapes.into_iter().flatten());
    world.tell(Input::Update { ticket: Ticket(1), terms: Terms::default(), changes }).persist();
    for member in [ANN, BO, CY] {
        world.join(member, Dialect::V1);
    }
    world.lines();
    world
}

impl World {
    fn set_x(&self, number: u128, value: f64) -> ChangeSet {
        let (model, x) = self.property("Shape", "x");
        let value = Value::Scalar(Some(Scalar::Number(value)));
        ChangeSet::new([Fragment::new(FragmentKind::Change, shape(number), model).with(x, value)])
    }

    fn named(&self, name: &str) -> ChangeSet {
        ChangeSet::new([self.rename(name)])
    }

    fn takes(&mut self, ticket: u64) -> &mut Self {
        self.said(ticket, Verdict::ACCEPT)
    }

    fn said(&mut self, ticket: u64, verdict: Verdict) -> &mut Self {
        self.tell(Input::Verdict { ticket: Ticket(ticket), verdict }).persist()
    }

    /// The calls and the author's replies that have come out.
    fn news(&mut self) -> Vec<String> {
        let mut lines = self.lines();
        lines.retain(|line| line.starts_with("call") || line.contains(" reply "));
        lines
    }
}

const NAME: &str = "name";

fn name_of(world: &World) -> String {
    let (_, name) = world.property("Canvas", NAME);
    match world.scope.graph().object(ROOT).unwrap().scalar(name) {
        Some(Scalar::String(text)) => text.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn what_touches_the_same_is_written_in_its_order_and_the_rest_side_by_side() {
    let mut world = world();
    let (first, second, apart) = (world.named("ann"), world.named("bo"), world.set_x(1, 5.0));
    world.sync(ANN, 1, first).sync(BO, 1, second).sync(CY, 1, apart);
    assert_eq!(world.news(), ["call 1: write 1 of 1", "call 2: write 1 of 3"]);
    world.takes(2);
    assert_eq!(world.news(), ["3 reply 1 [{}]"], "it waited for nobody");
    world.takes(1);
    assert_eq!(world.news(), ["call 3: write 1 of 2", "1 reply 1 [{}]"]);
    world.takes(3);
    assert_eq!(
        (world.news(), name_of(&world)),
        (vec!["2 reply 1 [{}]".to_owned()], "bo".to_owned())
    );
}

#[test]
fn a_refusal_refuses_and_what_waited_is_judged_on_what_is_there() {
    let mut world = world();
    let (remove, change) = (ChangeSet::new([world.remove(1)]), world.set_x(1, 5.0));
    world.sync(ANN, 1, remove.clone()).sync(BO, 1, change.clone());
    assert_eq!(world.news(), ["call 1: write 1 of 1"], "a removal touches the whole object");
    world.said(1, Verdict::Refuse(Rejection::with_type("locked", "it stays")));
    let news = world.news();
    assert_eq!(news[0], "call 2: write 1 of 2");
    assert_eq!(news[1], r#"1 reply 1 [{"error":{"message":"it stays","type":"locked"}}]"#);
    world.takes(2).sync(ANN, 2, remove).sync(BO, 2, change);
    world.news();
    world.takes(3);
    let news = world.news();
    assert!(news[1].starts_with(r#"2 reply 2 [{"error":{"message":"no object"#), "{news:#?}");
    assert_eq!(world.scope.graph().len(), 2);
}

#[test]
fn who_waits_behind_others_for_too_long_is_refused_and_lets_the_next_go_on() {
    let mut world = world();
    let mut limits = Limits::clone(&world.scope.options.limits);
    limits.procedure_timeout_ms = 500;
    world.scope.options.limits = limits.into();
    let (first, second) = (world.named("ann"), world.named("bo"));
    world.sync(ANN, 1, first);
    world.now.mono = Millis(100);
    let behind = world.set_x(1, 3.0);
    world.sync(BO, 1, second).sync(BO, 2, behind);
    assert_eq!(world.news(), ["call 1: write 1 of 1"]);
    world.now.mono = Millis(500);
    world.tell(Input::Deadline).persist();
    let news = world.news();
    assert!(news[1].contains("procedure-failed"), "{news:#?}");
    assert_eq!(news[0], "call 2: write 1 of 2", "nobody knows whether the first was taken");
    assert_eq!(world.scope.deadline(), Some(Millis(1000)));
    let third = world.named("cy");
    world.now.mono = Millis(600);
    world.sync(CY, 1, third);
    world.now.mono = Millis(1100);
    world.tell(Input::Deadline).persist();
    let news = world.news();
    assert!(news.iter().any(|line| line == "call 3: write 2 of 2"), "{news:#?}");
}

#[test]
fn a_change_is_written_as_it_was_decided() {
    let mut world = world();
    world.scope.options.validate = true;
    let change = world.set_x(1, 5.0);
    world.sync(ANN, 1, change);
    assert_eq!(world.news(), ["call 1: validate 1 of 1"]);
    let amended = FragmentVerdict::Amend(world.amended_x(7.0));
    world.tell(Input::Verdict { ticket: Ticket(1), verdict: Verdict::Accept(vec![amended]) });
    let Some(Output::Call(call)) = world.out.first() else { panic!("{:?}", world.out) };
    assert!(call.write && call.revision == Revision(1));
    assert_eq!(call.fragments[0].properties, world.amended_x(7.0));
    world.takes(2);
    let news = world.news();
    assert_eq!(news.last().unwrap(), r#"1 reply 1 [{"modifications":{"x":7}}]"#);
    // What is not decided well is never written.
    let change = world.set_x(2, 5.0);
    world.sync(ANN, 2, change).said(3, Verdict::failed("no"));
    assert!(world.news().iter().all(|line| !line.contains("write")));
}

#[test]
fn with_an_order_by_authors_nobody_waits_for_others() {
    let mut world = world();
    world.scope.options.write = Some(WriteOrder::Authors);
    let names = ["ann", "bo", "ann again"].map(|name| world.named(name));
    let [first, second, third] = names;
    world.sync(ANN, 1, first).sync(BO, 1, second).sync(ANN, 2, third);
    assert_eq!(world.news(), ["call 1: write 1 of 1", "call 2: write 1 of 2"]);
    world.takes(1);
    assert_eq!(world.news(), ["call 3: write 2 of 1", "1 reply 1 [{}]"]);
}

#[test]
fn what_leaves_with_its_session_is_not_written_and_what_cannot_be_kept_neither() {
    let mut world = world();
    let (cursor, x) = world.property("Cursor", "x");
    let add = Fragment::new(FragmentKind::Add, shape(7), cursor);
    let changes = ChangeSet::new([add, world.insert(7)]);
    world
        .tell(Input::Update { ticket: Ticket(1), terms: Terms::default(), changes })
        .persist()
        .lines();
    let value = Value::Scalar(Some(Scalar::Number(3.0)));
    let moved = Fragment::new(FragmentKind::Change, shape(7), cursor).with(x, value);
    world.sync(ANN, 1, ChangeSet::new([moved])).persist();
    assert_eq!(world.news(), ["1 reply 1 [{}]"]);
    world.tell(Input::Frozen { why: Some("the disk is full".into()) });
    let change = world.named("lost");
    world.sync(ANN, 2, change).persist();
    let news = world.news();
    assert!(news.len() == 1 && news[0].contains("the disk is full"), "{news:#?}");
}

#[test]
fn updates_of_a_verdict_follow_what_was_applied_and_nothing_else() {
    let mut world = world();
    let update = |text: &str| Update::parse(text).unwrap().with_ids(&mut || shape(9));
    let updates = vec![
        update(r#"{"update": {"$push": {"shapes": {"$cls": "Shape", "x": 9}}}}"#),
        update(r#"{"update": {"$set": {"nothing": 1}}}"#),
    ];
    let verdict = Verdict::AcceptAnd(vec![], updates);
    let change = world.set_x(1, 5.0);
    world.sync(ANN, 1, change).said(1, verdict.clone());
    let lines = world.lines();
    assert!(lines.iter().any(|line| line == "updated 0 [false] at 3"), "{lines:#?}");
    assert!(
        lines.iter().any(|line| line.starts_with("all but nobody")),
        "the author is told, too: {lines:#?}"
    );
    assert!(world.scope.graph().object(shape(9)).is_some());
    // The object is gone: nothing was applied, and nothing follows.
    let (change, remove) = (world.set_x(2, 5.0), ChangeSet::new([world.remove(2)]));
    world.sync(ANN, 2, change);
    world.tell(Input::Update { ticket: Ticket(5), terms: Terms::default(), changes: remove });
    world.said(2, verdict);
    assert_eq!(world.scope.revision(), Revision(4));
}

/// Somebody who takes changes in an order of its own, and whose answers overtake each other.
struct Truth {
    graph: Graph,
    seed: u64,
}

impl Truth {
    fn dice(&mut self, sides: u64) -> u64 {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.seed >> 33) % sides
    }

    fn take(&mut self, fragments: &[Fragment]) -> Verdict {
        let changes = ChangeSet::new(fragments.iter().cloned());
        let judgement = judge(&self.graph, &changes, &JudgeLimits::NONE);
        let takes = self.dice(8) > 0 && judgement.replies.iter().all(Result::is_ok);
        match judgement.plan.filter(|_| takes) {
            Some(plan) => {
                self.graph.apply(plan);
                Verdict::ACCEPT
            }
            None => Verdict::Refuse(Rejection::message("not taken")),
        }
    }
}

fn shown(graph: &Graph) -> Vec<String> {
    let mut shown: Vec<_> = state_fragments(graph).iter().map(|f| format!("{f:?}")).collect();
    shown.sort();
    shown
}

#[test]
fn whatever_is_taken_in_whatever_order_the_scope_ends_as_who_has_the_say() {
    for seed in 0..100 {
        let mut world = world();
        let mut truth = Truth { graph: world.scope.graph().clone(), seed };
        // Calls that are out, and verdicts that are on their way.
        let (mut out, mut answers) = (Vec::new(), Vec::new());
        let mut messages = [0; 3];
        let mut most = 0;
        for step in 0..200 {
            match truth.dice(4) {
                0 | 1 if step < 150 => {
                    let member = truth.dice(3) as usize;
                    let number = u128::from(truth.dice(6)) + 1;
                    let changes = match truth.dice(5) {
                        0 => world.named(&step.to_string()),
                        1 => ChangeSet::new([world.add(number), world.insert(number)]),
                        2 => ChangeSet::new([world.remove(number)]),
                        3 => ChangeSet::new([world.insert(number)]),
                        _ => world.set_x(number, f64::from(step)),
                    };
                    messages[member] += 1;
                    let id = [ANN, BO, CY][member];
                    world.sync(id, messages[member], changes);
                }
                2 if !out.is_empty() => {
                    let (ticket, fragments): (Ticket, Arc<[Fragment]>) =
                        out.swap_remove(truth.dice(out.len() as u64) as usize);
                    let verdict = truth.take(&fragments);
                    answers.push((ticket, verdict));
                }
                _ if !answers.is_empty() => {
                    let place = truth.dice(answers.len() as u64) as usize;
                    let (ticket, verdict) = answers.swap_remove(place);
                    world.tell(Input::Verdict { ticket, verdict });
                }
                _ => {}
            }
            world.persist();
            for output in std::mem::take(&mut world.out) {
                if let Output::Call(call) = output {
                    out.push((call.ticket, call.fragments));
                }
            }
            most = most.max(out.len() + answers.len());
        }
        while !out.is_empty() || !answers.is_empty() {
            if let Some((ticket, fragments)) = out.pop() {
                let verdict = truth.take(&fragments);
                answers.push((ticket, verdict));
            } else if let Some((ticket, verdict)) = answers.pop() {
                world.tell(Input::Verdict { ticket, verdict }).persist();
            }
            for output in std::mem::take(&mut world.out) {
                if let Output::Call(call) = output {
                    out.push((call.ticket, call.fragments));
                }
            }
        }
        assert!(most > 1, "some were out side by side");
        assert_eq!(shown(world.scope.graph()), shown(&truth.graph), "seed {seed}");
        world.scope.graph().check().unwrap();
    }
}
