//! Stories of a scope and its log: what is stored, what a crash leaves, and what is told of it.

use super::*;

/// A log that can be read again.
#[derive(Default)]
pub(super) struct Log(Vec<Entry>);

impl World {
    pub(super) fn of(restored: Restored, options: Options) -> Self {
        let options = Options { stored: true, ..options };
        Self { scope: Scope::restored(restored, options), now: Now::default(), out: Vec::new() }
    }

    fn at_once() -> Self {
        let (schema, canvas) = {
            let schema = schema();
            let canvas = schema.find("Canvas").unwrap().0;
            (Arc::new(schema), canvas)
        };
        let options = Options { visible: Visible::AtOnce, ..Options::default() };
        Self::of(Restored::new(Graph::new(schema, ROOT, canvas)), options)
    }

    fn cursor(&self, number: u128) -> Fragment {
        Fragment { model: self.property("Cursor", "x").0, ..self.add(number) }
    }

    fn resync(&mut self, member: MemberId, message: u64, delivered: u64, changes: ChangeSet) {
        let (message, delivered) = (MessageIndex(message), MessageIndex(delivered));
        self.tell(Input::Sync { member, message, delivered, changes });
    }

    pub(super) fn log(&mut self, log: &mut Log) {
        for output in &self.out {
            if let Output::Persist { position, entry } = output {
                log.0.push(entry.clone());
                assert_eq!(position.0, log.0.len() as u64);
            }
        }
    }
}

impl Log {
    /// What a scope goes on from after a crash.
    pub(super) fn restored(&self, mut graph: Graph) -> Restored {
        let (mut revision, mut recent) = (Revision(0), Recent::since(Revision(0)));
        for commit in self.0.iter().filter_map(Entry::commit) {
            revision = commit.revision;
            recent.replay(&mut graph, commit).unwrap();
        }
        let answered = self.0.iter().filter_map(Entry::answer).collect();
        let position = Position(self.0.len() as u64);
        Restored { graph, revision, position, answered, recent }
    }
}

#[test]
fn what_was_answered_before_a_crash_is_answered_again_and_not_judged_again() {
    let mut world = World::new();
    let beginning = world.scope.graph().clone();
    let mut log = Log::default();
    world.join(ANN, Dialect::V1).join(BO, Dialect::V1).lines();
    let (rename, refused) = (world.rename("once"), world.add(7));
    world.sync(ANN, 1, ChangeSet::new([rename.clone()]));
    world.sync(ANN, 2, ChangeSet::new([refused.clone()]));
    world.log(&mut log);
    let told = world.persist().lines();
    let mut world = World::of(log.restored(beginning), Options::default());
    world.join(ANN, Dialect::V1);
    let lines = world.lines();
    assert_eq!(lines[..2], [told[1].clone(), told[3].clone()], "the answers come first");
    assert!(lines[2].starts_with("1 state ") && lines[2].contains("once"), "{lines:#?}");
    assert_eq!(lines.len(), 3);
    // The object that was refused could be attached now, if it was judged again.
    let insert = world.insert(7);
    world.sync(BO, 1, ChangeSet::new([insert])).sync(ANN, 1, ChangeSet::new([rename]));
    world.sync(ANN, 2, ChangeSet::new([refused]));
    let again = world.persist().lines();
    assert_eq!(again, [told[1].clone(), told[3].clone()]);
    assert_eq!(world.scope.revision(), Revision(1));
}

#[test]
fn what_was_not_stored_is_not_applied_behind_what_came_after_it() {
    let mut world = World::new();
    let beginning = world.scope.graph().clone();
    let mut log = Log::default();
    world.join(ANN, Dialect::V1).lines();
    let (first, last) = (world.rename("first"), world.rename("last"));
    world.tell(Input::Frozen { why: Some("the disk is away".into()) });
    world.sync(ANN, 1, ChangeSet::new([first.clone()])).lines();
    world.tell(Input::Frozen { why: None });
    world.sync(ANN, 2, ChangeSet::new([last]));
    world.log(&mut log);
    // Its refusal was lost with the connection, so the author sends the first one again.
    let mut world = World::of(log.restored(beginning), Options::default());
    world.join(ANN, Dialect::V1).lines();
    world.sync(ANN, 1, ChangeSet::new([first])).persist();
    let error = r#"[{"error":{"message":"not saved: what came after it is","type":"internal"}}]"#;
    assert_eq!(world.lines(), [format!("1 reply 1 {error}")]);
    let messages = world.scope.answered().iter().map(|answer| answer.origin.message.0);
    assert_eq!(messages.collect::<Vec<_>>(), [2, 1], "the refusal lasts now");
    let next = world.rename("next");
    world.sync(ANN, 3, ChangeSet::new([next])).persist();
    assert!(world.lines().contains(&"1 reply 3 [{}]".to_owned()));
}

#[test]
fn an_original_client_that_was_here_before_a_crash_is_repaired_and_its_arrays_are_understood() {
    let mut world = World::new();
    let beginning = world.scope.graph().clone();
    let mut log = Log::default();
    world.join(ANN, Dialect::Original).join(BO, Dialect::V1);
    let whole = |world: &World, numbers: &[u128]| {
        let (canvas, shapes) = world.property("Canvas", "shapes");
        let elements = numbers.iter().map(|number| shape(*number)).collect();
        Fragment::new(FragmentKind::Change, ROOT, canvas).with(shapes, Value::References(elements))
    };
    let first = [world.add(1), world.insert(1), world.rename("before")];
    world.sync(BO, 1, ChangeSet::new(first));
    let second = [world.add(2), world.insert(2)];
    world.sync(BO, 2, ChangeSet::new(second));
    world.log(&mut log);
    let mut world = World::of(log.restored(beginning), Options::default());
    let (session, dialect) = (SessionId(ANN.0), Dialect::Original);
    let (member, claims, returns) = (ANN, Arc::default(), true);
    world.tell(Input::Join { member, session, dialect, claims, returns }).lines();
    // It had the first shape when it added the third, and the state has overwritten what it shows.
    let edits = [world.add(3), whole(&world, &[1, 3]), world.rename("ann's")];
    world.sync(ANN, 1, ChangeSet::new(edits)).persist();
    world.now.mono = Millis(REPAIR_DELAY_MS);
    world.tell(Input::Deadline).persist();
    let lines = world.lines();
    let repairs: Vec<_> = lines.iter().filter(|line| line.starts_with("1 repair")).collect();
    assert!(repairs.iter().any(|line| line.contains("\"name\":\"ann's\"")), "{lines:#?}");
    assert!(repairs.iter().any(|line| line.contains("\"shapes\"")), "{lines:#?}");
    let there = |world: &World| -> BTreeSet<ObjectId> {
        let root = world.scope.graph().object(ROOT).unwrap();
        root.references(world.property("Canvas", "shapes").1).map(|shape| shape.id()).collect()
    };
    assert_eq!(
        there(&world),
        [1, 2, 3].map(shape).into(),
        "the second was not there to be removed"
    );
    // It empties a collection when an edit of it was refused, and that may have been before the crash.
    let emptied = [whole(&world, &[])];
    world.sync(ANN, 2, ChangeSet::new(emptied)).persist();
    assert_eq!(there(&world).len(), 3);
}

#[test]
fn an_answer_that_arrived_is_forgotten() {
    let mut world = World::new();
    world.join(ANN, Dialect::V1).lines();
    for message in 1..=20 {
        let rename = world.rename(&format!("number {message}"));
        world.resync(ANN, message, message.saturating_sub(3), ChangeSet::new([rename]));
    }
    assert_eq!(world.scope.answered.len(), 3);
    world.tell(Input::Leave { member: ANN });
    assert!(world.scope.answered.is_empty());
}

#[test]
fn what_lives_with_a_session_is_not_stored_and_waits_for_no_disk() {
    let mut world = World::new();
    world.join(ANN, Dialect::V1).lines();
    let both = [world.cursor(1), world.insert(1), world.add(2), world.insert(2)];
    let mut log = Log::default();
    let beginning = world.scope.graph().clone();
    world.sync(ANN, 1, ChangeSet::new(both));
    world.log(&mut log);
    assert_eq!(log.restored(beginning).graph.len(), 2, "the root and one shape");
    world.persist().lines();
    let (cursor, x) = world.property("Cursor", "x");
    let moved = Fragment::new(FragmentKind::Change, shape(1), cursor)
        .with(x, Value::Scalar(Some(5.0.into())));
    world.sync(ANN, 2, ChangeSet::new([moved.clone()]));
    assert_eq!(world.lines()[0], "1 reply 2 [{}]", "at once");
    // Behind something that has to be stored it waits with it.
    let rename = world.rename("new");
    world.sync(ANN, 3, ChangeSet::new([rename])).sync(ANN, 4, ChangeSet::new([moved]));
    assert_eq!(world.lines(), ["2 stores commit 3"]);
    assert_eq!(world.persist().lines().len(), 4);
}

#[test]
fn a_scope_that_cannot_be_stored_refuses_what_would_be_lost() {
    let mut world = World::new();
    world.join(ANN, Dialect::V1).lines();
    let cursor = [world.cursor(1), world.insert(1)];
    world.sync(ANN, 1, ChangeSet::new(cursor)).persist().lines();
    world.tell(Input::Frozen { why: Some("no space is left".into()) });
    let rename = world.rename("lost");
    world.sync(ANN, 2, ChangeSet::new([rename.clone()]));
    let error = r#"[{"error":{"message":"not saved: no space is left","type":"internal"}}]"#;
    assert_eq!(world.all_lines(), [format!("1 reply 2 {error}")]);
    let (cursor, x) = world.property("Cursor", "x");
    let moved = Fragment::new(FragmentKind::Change, shape(1), cursor)
        .with(x, Value::Scalar(Some(5.0.into())));
    world.sync(ANN, 3, ChangeSet::new([moved]));
    assert_eq!(world.lines()[0], "1 reply 3 [{}]");
    world.tell(Input::Frozen { why: None });
    world.sync(ANN, 4, ChangeSet::new([rename]));
    assert_eq!(world.persist().lines()[0], "1 stores commit 3");
}

#[test]
fn what_could_not_be_stored_is_refused_to_those_who_wait() {
    let mut world = World::new();
    world.join(ANN, Dialect::V1).lines();
    let (rename, update) = (world.rename("lost"), world.rename("as well"));
    world.sync(ANN, 1, ChangeSet::new([rename.clone(), rename]));
    world
        .tell(Input::Update {
            ticket: Ticket(1),
            terms: Terms::default(),
            changes: ChangeSet::new([update]),
        })
        .lines();
    let refusals = world.scope.into_refusals("the disk is full", &Answered::default());
    let lines: Vec<_> = refusals.iter().map(line).collect();
    let error = r#"{"error":{"message":"not saved: the disk is full","type":"internal"}}"#;
    assert_eq!(
        lines,
        [format!("1 reply 1 [{error},{error}]"), "updated 1 [false] at 2".to_owned()]
    );
}

#[test]
fn where_changes_are_visible_at_once_only_answers_wait_and_what_comes_behind_them() {
    let mut world = World::at_once();
    world.join(ANN, Dialect::V1).join(BO, Dialect::V1).join(CY, Dialect::V1).lines();
    let (anns, bos) = (world.rename("ann's"), world.rename("bo's"));
    world.sync(ANN, 1, ChangeSet::new([anns]));
    let lines = world.lines();
    assert_eq!(lines[0], "1 stores commit 1");
    assert!(lines[1].starts_with("all but 1: ") && lines[1].contains("ann's"), "{lines:#?}");
    assert_eq!(lines.len(), 2);
    world.sync(BO, 1, ChangeSet::new([bos]));
    let lines = world.lines();
    assert!(lines[1].starts_with("all but 1 and 2: ") && lines[1].contains("bo's"), "{lines:#?}");
    world.tell(Input::Persisted { position: Position(1) });
    assert_eq!(world.lines(), ["1 reply 1 [{}]"]);
    world.tell(Input::Persisted { position: Position(2) });
    let lines = world.lines();
    assert_eq!(lines[0], "2 reply 1 [{}]");
    assert!(lines[1].starts_with("only 1: ") && lines[1].contains("bo's"), "{lines:#?}");
    let third = world.rename("third");
    world.sync(CY, 1, ChangeSet::new([third]));
    assert!(world.lines()[1].starts_with("all but 3: "), "nobody else waits any more");
}
