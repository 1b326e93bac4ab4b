//! Stories of ChangeSets that somebody else decides about.

use super::*;
use crate::limits::Limits;
use crate::model::constraint::PropertyConstraint;

/// A scope with a procedure `Canvas.rename` that asks, and members Ann and Bo.
fn world() -> World {
    let mut world = World::with(|schema| {
        let (canvas, model) = schema.find("Canvas").unwrap();
        let name = model.find("name").unwrap().0;
        let constraint = Constraint {
            kind: FragmentKind::Change,
            model: canvas,
            properties: vec![(name, PropertyConstraint::New)],
            additional: false,
            repeated: false,
        };
        let procedure = Procedure { constraints: vec![constraint], action: true };
        [(ProcedureName::parse("Canvas.rename").unwrap(), procedure)].into()
    });
    world.join(ANN, Dialect::V1).join(BO, Dialect::V1).lines();
    world
}

impl World {
    fn call(&self, name: &str) -> ChangeSet {
        let procedure = ProcedureName::parse("Canvas.rename");
        ChangeSet { procedure, ..ChangeSet::atomic([self.rename(name)]) }
    }

    fn plain(&self, name: &str) -> ChangeSet {
        ChangeSet::new([self.rename(name)])
    }

    fn verdict(&mut self, ticket: u64, verdict: Verdict) -> &mut Self {
        self.tell(Input::Verdict { ticket: Ticket(ticket), verdict })
    }

    fn limit(&mut self, change: impl FnOnce(&mut Limits)) {
        let mut limits = (*self.scope.options.limits).clone();
        change(&mut limits);
        self.scope.options.limits = Arc::new(limits);
    }

    fn name(&self) -> String {
        let (_, name) = self.property("Canvas", "name");
        match self.scope.graph().object(ROOT).unwrap().scalar(name) {
            Some(Scalar::String(text)) => text.to_string(),
            other => format!("{other:?}"),
        }
    }
}

#[test]
fn others_commit_while_a_call_is_out() {
    let mut world = world();
    let (call, plain) = (world.call("asked"), world.plain("meanwhile"));
    world.sync(ANN, 1, call);
    assert_eq!(world.lines(), ["call 1: Canvas.rename 1 of 1"]);
    world.sync(BO, 1, plain).persist();
    let lines = world.lines();
    assert_eq!(lines[..2], ["1 stores commit 1", "2 reply 1 [{}]"]);
    assert!(lines[2].starts_with("all but 2"), "Ann is told, too: {lines:#?}");
    world.verdict(1, Verdict::ACCEPT).persist();
    assert_eq!(world.lines()[..2], ["2 stores commit 2", "1 reply 1 [{}]"]);
    assert_eq!(world.name(), "asked");
}

#[test]
fn a_members_own_changes_keep_their_order_behind_its_call() {
    let mut world = world();
    let (call, plain, again) = (world.call("1"), world.plain("2"), world.call("3"));
    let last = world.plain("4");
    world.sync(ANN, 1, call).sync(ANN, 2, plain).sync(ANN, 3, again).sync(ANN, 4, last);
    assert_eq!(world.lines(), ["call 1: Canvas.rename 1 of 1"]);
    world.verdict(1, Verdict::failed("no")).persist();
    let lines = world.lines();
    assert_eq!(lines[..2], ["2 stores commit 1", "call 2: Canvas.rename 3 of 1"]);
    assert_eq!(lines[2], r#"1 reply 1 [{"error":{"message":"no","type":"procedure-failed"}}]"#);
    assert_eq!(lines[3], "1 reply 2 [{}]");
    assert_eq!(world.name(), "2");
    world.verdict(2, Verdict::ACCEPT).persist();
    let lines = world.lines();
    let replies: Vec<_> = lines.iter().filter(|line| line.contains("reply")).collect();
    assert_eq!(replies, ["1 reply 3 [{}]", "1 reply 4 [{}]"]);
    assert_eq!(world.name(), "4");
    assert!(!world.scope.pending.holds(ANN));
}

#[test]
fn what_was_accepted_is_judged_again_on_what_is_there_by_then() {
    let mut world = world();
    world.scope.options.validate = true;
    world.tell(Input::Update {
        ticket: Ticket(1),
        terms: Terms::default(),
        changes: ChangeSet::new([world.add(1), world.insert(1)]),
    });
    world.persist().lines();
    let (shape, x) = world.property("Shape", "x");
    let change = Fragment::new(FragmentKind::Change, super::shape(1), shape)
        .with(x, Value::Scalar(Some(Scalar::Number(5.0))));
    let changes = ChangeSet::new([change, world.rename("still there")]);
    let remove = ChangeSet::new([world.remove(1)]);
    world.sync(ANN, 1, changes).lines();
    world
        .tell(Input::Update { ticket: Ticket(2), terms: Terms::default(), changes: remove })
        .persist()
        .lines();
    world.verdict(1, Verdict::ACCEPT).persist();
    let lines = world.lines();
    assert!(lines[1].starts_with(r#"1 reply 1 [{"error":{"message":"no object"#), "{lines:#?}");
    assert!(lines[1].ends_with(",{}]"), "{lines:#?}");
    assert_eq!(world.name(), "still there");
}

#[test]
fn a_verdict_refuses_or_amends_fragment_by_fragment() {
    let mut world = world();
    world.scope.options.validate = true;
    let unreadable = Err(Rejection::message("nobody can read it"));
    let mut changes =
        ChangeSet::new([world.add(1), world.insert(1), world.add(2), world.insert(2)]);
    changes.fragments.insert(0, unreadable);
    world.sync(ANN, 1, changes).lines();
    let refusal = Rejection::with_type("full", "one is enough");
    let verdict = Verdict::Accept(vec![
        FragmentVerdict::Amend(world.amended_x(7.0)),
        FragmentVerdict::Accept,
        FragmentVerdict::Refuse(refusal),
    ]);
    world.verdict(1, verdict).persist();
    let lines = world.lines();
    let expected = concat!(
        r#"1 reply 1 [{"error":{"message":"nobody can read it"}},"#,
        r#"{"modifications":{"x":7,"width":100}},{},"#,
        r#"{"error":{"message":"one is enough","type":"full"}},{"error":{"message":"#,
    );
    assert!(lines[1].starts_with(expected), "{lines:#?}");
    assert!(lines[2].contains(r#""x":7"#) && !lines[2].contains("#02"), "{lines:#?}");
    assert_eq!(world.scope.graph().len(), 2);
}

#[test]
fn an_atomic_call_of_which_a_fragment_is_refused_is_refused_as_a_whole() {
    let mut world = world();
    world.scope.options.validate = true;
    let changes = ChangeSet::atomic([world.add(1), world.insert(1), world.rename("x")]);
    world.sync(ANN, 1, changes).lines();
    let refusal = FragmentVerdict::Refuse(Rejection::message("not so"));
    let accept = FragmentVerdict::Accept;
    world.verdict(1, Verdict::Accept(vec![accept.clone(), accept, refusal])).persist();
    let lines = world.lines();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0].matches("transaction-aborted").count(), 2, "{lines:#?}");
    assert!(lines[0].ends_with(r#"{"error":{"message":"not so"}}]"#), "{lines:#?}");
}

#[test]
fn a_call_without_an_answer_ends_when_its_time_is_over() {
    let mut world = world();
    world.limit(|limits| limits.procedure_timeout_ms = 500);
    let (call, plain) = (world.call("asked"), world.plain("behind"));
    world.sync(ANN, 1, call).sync(ANN, 2, plain).lines();
    assert_eq!(world.scope.deadline(), Some(Millis(500)));
    world.now.mono = Millis(500);
    world.tell(Input::Deadline).persist();
    let lines = world.lines();
    assert!(lines[1].contains("procedure-failed"), "{lines:#?}");
    assert_eq!([&*lines[0], &*lines[2]], ["2 stores commit 1", "1 reply 2 [{}]"]);
    world.verdict(1, Verdict::ACCEPT).persist();
    assert_eq!(world.lines(), [""; 0], "too late");
    assert_eq!(world.name(), "behind");
    assert_eq!(world.scope.deadline(), None);
}

#[test]
fn what_cannot_be_applied_anyway_is_not_asked_about() {
    let mut world = world();
    world.scope.options.validate = true;
    let stray = ChangeSet::new([world.add(1)]);
    let unfit = ChangeSet { fragments: vec![Ok(world.insert(1))], ..world.call("x") };
    world.sync(ANN, 1, stray).sync(ANN, 2, unfit).persist();
    let lines = world.lines();
    assert_eq!(lines.len(), 2);
    assert!(lines.iter().all(|line| line.contains("reply")), "{lines:#?}");
}

#[test]
fn who_leaves_while_a_call_is_out_leaves_behind_what_it_said() {
    let mut world = world();
    let (call, plain) = (world.call("asked"), world.plain("behind"));
    world.sync(ANN, 1, call).sync(ANN, 2, plain).tell(Input::Leave { member: ANN }).lines();
    assert_eq!(world.scope.member_count(), 2);
    world.verdict(1, Verdict::ACCEPT).persist();
    let lines = world.lines();
    let commits = lines.iter().filter(|line| line.contains("stores commit")).count();
    assert_eq!((commits, world.name().as_str()), (2, "behind"));
    assert_eq!(world.scope.member_count(), 1);
}

#[test]
fn what_waits_behind_a_call_is_bounded() {
    let mut world = world();
    world.limit(|limits| limits.procedure_waiting_max = 2);
    let call = world.call("asked");
    world.sync(ANN, 1, call);
    for message in 2..=4 {
        let plain = world.plain(&message.to_string());
        world.sync(ANN, message, plain);
    }
    world.lines();
    world.verdict(1, Verdict::ACCEPT).persist();
    let lines = world.lines();
    let last = lines.iter().find(|line| line.starts_with("1 reply 4")).unwrap();
    assert!(last.contains("rate-limited"), "{last}");
    assert_eq!(world.name(), "3");
}

#[test]
fn a_late_decision_loses_nothing_that_others_added_to_a_collection() {
    let mut world = World::new();
    world.scope.options.validate = true;
    world.join(ANN, Dialect::Original).join(BO, Dialect::V1).lines();
    let (canvas, shapes) = world.property("Canvas", "shapes");
    // An original client sends the whole array, as it was for it.
    let whole = Fragment::new(FragmentKind::Change, ROOT, canvas)
        .with(shapes, Value::References([shape(1)].into()));
    let changes = ChangeSet::new([world.add(1), whole]);
    world.sync(ANN, 1, changes).lines();
    // More than the versions that a scope remembers.
    for number in 100..200 {
        let changes = ChangeSet::new([world.add(number), world.insert(number)]);
        world.tell(Input::Update { ticket: Ticket(1), terms: Terms::default(), changes }).persist();
    }
    world.verdict(1, Verdict::ACCEPT).persist();
    assert_eq!(world.scope.graph().len(), 102);
    assert!(!world.scope.pending.holds(ANN));
}
