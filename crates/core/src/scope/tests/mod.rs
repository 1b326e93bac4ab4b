//! Stories of a scope: who is told what, and when.

mod durable;
mod original;
mod pending;
mod requests;
mod states;
mod through;

use super::*;
use crate::ids::{ObjectId, Ticket};
use crate::model::ProcedureName;
use crate::model::constraint::Constraint;
use crate::model::{CollectionEdit, FragmentKind, PropertyId, Scalar, Schema, Value};
use crate::wire::StateBody;
use std::collections::{BTreeMap, BTreeSet};

const ROOT: ObjectId = ObjectId::from_uuid(uuid::Uuid::from_u128(0xca));
const ANN: MemberId = MemberId(1);
const BO: MemberId = MemberId(2);
const CY: MemberId = MemberId(3);

fn shape(number: u128) -> ObjectId {
    ObjectId::from_uuid(uuid::Uuid::from_u128(number))
}

fn schema() -> Schema {
    Schema::builder()
        .model("Canvas", |m| m.property("name", "String").property("shapes", "[Shape]"))
        .model("Shape", |m| {
            m.property("x", "Number").property_with_default("width", "Number", 100.0)
        })
        .model("Cursor", |m| m.extends("Shape").lifetime(crate::model::Lifetime::Session))
        .build()
        .unwrap()
}

/// A scope with a store that the test drives.
struct World {
    scope: Scope,
    now: Now,
    out: Vec<Output>,
}

impl World {
    fn new() -> Self {
        Self::with(|_| BTreeMap::new())
    }

    /// Nothing is stored.
    fn memory() -> Self {
        let mut world = Self::new();
        let graph = world.scope.graph().clone();
        world.scope = Scope::new(graph, Options::default());
        world
    }

    fn with(procedures: impl FnOnce(&Schema) -> BTreeMap<ProcedureName, Procedure>) -> Self {
        let schema = schema();
        let procedures = procedures(&schema);
        let canvas = schema.find("Canvas").unwrap().0;
        let graph = Graph::new(Arc::new(schema), ROOT, canvas);
        let options = Options { procedures, stored: true, ..Options::default() };
        Self { scope: Scope::new(graph, options), now: Now::default(), out: Vec::new() }
    }

    fn tell(&mut self, input: Input) -> &mut Self {
        self.scope.handle(self.now, input, &mut self.out);
        self
    }

    fn join(&mut self, member: MemberId, dialect: Dialect) -> &mut Self {
        self.tell(Input::Join {
            member,
            session: SessionId(member.0),
            dialect,
            claims: Arc::default(),
            returns: false,
        })
    }

    fn sync(&mut self, member: MemberId, message: u64, changes: ChangeSet) -> &mut Self {
        let (message, delivered) = (MessageIndex(message), MessageIndex(0));
        self.tell(Input::Sync { member, message, delivered, changes })
    }

    fn persist(&mut self) -> &mut Self {
        self.tell(Input::Persisted { position: Position(u64::MAX) })
    }

    /// What has come out since the last time, a line each. What those who follow the log are told is left
    /// out, and answers that are stored.
    fn lines(&mut self) -> Vec<String> {
        let mut lines = self.all_lines();
        lines.retain(|line| !line.starts_with("committed") && !line.contains("stores the answer"));
        lines
    }

    fn all_lines(&mut self) -> Vec<String> {
        self.scope.graph().check().unwrap();
        std::mem::take(&mut self.out).into_iter().map(|output| line(&output)).collect()
    }

    fn property(&self, model: &str, name: &str) -> (crate::model::ModelId, PropertyId) {
        let (id, model) = self.scope.graph().schema().find(model).unwrap();
        (id, model.find(name).unwrap().0)
    }

    fn rename(&self, name: &str) -> Fragment {
        let (canvas, property) = self.property("Canvas", "name");
        let name = Value::Scalar(Some(Scalar::from(name)));
        Fragment::new(FragmentKind::Change, ROOT, canvas).with(property, name)
    }

    fn add(&self, number: u128) -> Fragment {
        let (model, x) = self.property("Shape", "x");
        Fragment::new(FragmentKind::Add, shape(number), model)
            .with(x, Value::Scalar(Some(Scalar::Number(1.0))))
    }

    /// What a verdict says to set `x` to another value.
    fn amended_x(&self, value: f64) -> Vec<(PropertyId, Value)> {
        vec![(self.property("Shape", "x").1, Value::Scalar(Some(Scalar::Number(value))))]
    }

    fn remove(&self, number: u128) -> Fragment {
        let (model, _) = self.property("Shape", "x");
        Fragment::new(FragmentKind::Remove, shape(number), model)
    }

    fn insert(&self, number: u128) -> Fragment {
        let (canvas, shapes) = self.property("Canvas", "shapes");
        let edit = CollectionEdit::Insert { object: shape(number), after: None };
        Fragment::new(FragmentKind::Change, ROOT, canvas).with_edits(shapes, vec![edit])
    }
}

fn line(output: &Output) -> String {
    let short = |text: &str| {
        text.replace("00000000-0000-0000-0000-0000000000", "#").replace("\"clsName\":", "")
    };
    match output {
        Output::Persist { position, entry: Entry::Commit(commit) } => {
            format!("{position} stores commit {}", commit.revision)
        }
        Output::Persist { position, entry: Entry::Answer(answer) } => {
            format!("{position} stores the answer to {}", answer.origin.message)
        }
        Output::Limited(limit) => format!("met {}", limit.name()),
        Output::Committed(commit) => format!("committed {}", commit.revision),
        Output::State { member, body, .. } => format!("{member} state {}", short(&body.to_text())),
        Output::Reply { member, message, body, .. } => format!("{member} reply {message} {body}"),
        Output::Repair { member, body, .. } => format!("{member} repair {}", short(body)),
        Output::Broadcast { to, bodies, .. } => {
            let body = |body: &Option<SharedText>| body.as_deref().map(short).unwrap_or_default();
            let list = |members: &BTreeSet<MemberId>| {
                members.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
            };
            let to = match to {
                Listeners::All => "all but nobody".to_owned(),
                Listeners::AllBut(author) => format!("all but {author}"),
                Listeners::AllButThese(others) => format!("all but {}", list(others)),
                Listeners::Only(these) => format!("only {}", list(these)),
            };
            format!("{to}: {} | {}", body(&bodies.original), body(&bodies.v1))
        }
        Output::Call(call) => {
            let about = call.procedure.as_ref().map_or("validate", |name| name.as_str());
            let about = if call.write { "write" } else { about };
            format!("call {}: {about} {} of {}", call.ticket, call.origin.message, call.member)
        }
        Output::Sync { to, body, .. } => format!("{to:?} sync {}", short(body)),
        Output::Recall { to } => format!("{to:?} recall"),
        Output::Dismissed { member, error } => format!("{member} dismissed: {error}"),
        Output::Updated { ticket, revision, outcome } => {
            let (Outcome::Judged { replies, .. } | Outcome::NotSaved { replies, .. }) = outcome
            else {
                return format!("updated {ticket} {outcome:?} at {revision}");
            };
            let ok: Vec<_> = replies.iter().map(Result::is_ok).collect();
            format!("updated {ticket} {ok:?} at {revision}")
        }
    }
}

#[test]
fn nobody_is_told_of_a_commit_before_it_is_durable() {
    let mut world = World::new();
    world.join(ANN, Dialect::V1).join(BO, Dialect::V1).lines();
    let rename = world.rename("new");
    world.sync(ANN, 1, ChangeSet::new([rename]));
    assert_eq!(world.lines(), ["1 stores commit 1"]);
    world.join(CY, Dialect::V1);
    let refused = world.add(7);
    world.sync(BO, 1, ChangeSet::new([refused]));
    let lines = world.all_lines();
    assert_eq!(lines, ["2 stores the answer to 1"], "a state waits, and so does a refusal");
    world.tell(Input::Persisted { position: Position(1) });
    let lines = world.all_lines();
    assert_eq!(lines[..2], ["committed 1", "1 reply 1 [{}]"]);
    assert!(lines[2].starts_with("all but 1: "), "{lines:#?}");
    assert!(lines[3].starts_with("3 state ") && lines[3].contains("\"new\""), "{lines:#?}");
    assert_eq!(lines.len(), 4);
    world.tell(Input::Persisted { position: Position(2) });
    let lines = world.lines();
    assert!(lines.len() == 1 && lines[0].starts_with("2 reply 1 [{\"error\""), "{lines:#?}");
}

#[test]
fn a_commit_is_encoded_for_the_dialects_that_are_there() {
    let mut world = World::new();
    world.join(ANN, Dialect::V1).lines();
    let add = [world.add(1), world.insert(1)];
    world.sync(ANN, 1, ChangeSet::new(add)).persist();
    let lines = world.lines();
    assert_eq!(lines[1], "1 reply 1 [{\"modifications\":{\"width\":100}},{}]");
    assert!(lines[2].starts_with("all but 1:  | ["), "{lines:#?}");
    world.join(BO, Dialect::Original).lines();
    let add = [world.add(2), world.insert(2)];
    world.sync(ANN, 2, ChangeSet::new(add)).persist();
    let expected = concat!(
        r##"all but 1: [{"type":"add","uuid":"#02","Shape","properties":{"x":1}},"##,
        r##"{"type":"change","uuid":"#ca","Canvas","properties":{"shapes":["#02","#01"]}}]"##,
        r##" | [{"type":"add","uuid":"#02","Shape","properties":{"x":1,"width":100}},"##,
        r##"{"type":"change","uuid":"#ca","Canvas","properties":{},"##,
        r##""collections":{"shapes":[{"insert":"#02","after":null}]}}]"##,
    );
    assert_eq!(world.lines()[2], expected);
}

#[test]
fn a_default_does_not_undo_what_the_same_message_set_before_its_add() {
    let mut world = World::new();
    world.join(ANN, Dialect::V1).lines();
    let (model, width) = world.property("Shape", "width");
    let wide = Value::Scalar(Some(Scalar::Number(250.0)));
    let widen = Fragment::new(FragmentKind::Change, shape(1), model).with(width, wide);
    let changes = [widen, world.add(1), world.insert(1)];
    world.sync(ANN, 1, ChangeSet::new(changes)).persist();
    let lines = world.lines();
    assert_eq!(lines[1], "1 reply 1 [{},{},{}]");
    assert!(!lines[2].contains(r#""width":100"#), "{lines:#?}");
}

#[test]
fn a_removal_reaches_original_clients_as_a_change_of_the_parents() {
    let mut world = World::new();
    world.join(ANN, Dialect::V1).join(BO, Dialect::Original);
    let add = [world.add(1), world.insert(1), world.add(2), world.insert(2)];
    world.sync(ANN, 1, ChangeSet::new(add)).persist().lines();
    let remove = world.remove(2);
    world.sync(ANN, 2, ChangeSet::new([remove])).persist();
    let expected = concat!(
        r##"all but 1: [{"type":"change","uuid":"#ca","Canvas","properties":{"shapes":["#01"]}}]"##,
        r##" | [{"type":"remove","uuid":"#02","Shape"}]"##,
    );
    assert_eq!(world.lines()[2], expected);
}

#[test]
fn a_refused_change_set_is_nobody_elses_business() {
    let mut world = World::new();
    world.join(ANN, Dialect::Original).join(BO, Dialect::Original).lines();
    let stray = world.add(1);
    world.sync(ANN, 1, ChangeSet::new([stray]));
    let lines = world.persist().lines();
    assert_eq!(lines.len(), 1);
    assert!(lines[0].starts_with("1 reply 1 [{\"error\":"), "{lines:#?}");
    assert_eq!(world.scope.revision(), Revision(0));
}

#[test]
fn the_application_changes_a_scope_as_its_members_do() {
    let mut world = World::new();
    world.join(ANN, Dialect::Original).lines();
    let rename = world.rename("by the application");
    world.tell(Input::Update {
        ticket: Ticket(5),
        terms: Terms::default(),
        changes: ChangeSet::atomic([rename]),
    });
    world.persist();
    let lines = world.lines();
    assert_eq!(lines[0], "1 stores commit 1");
    assert!(lines[1].starts_with("all but nobody: [{\"type\":\"change\""), "{lines:#?}");
    assert_eq!(lines[2], "updated 5 [true] at 1");
}

#[test]
fn what_one_message_costs_to_understand_is_bounded() {
    let mut world = World::new();
    world.join(ANN, Dialect::Original);
    let (canvas, shapes) = world.property("Canvas", "shapes");
    let all: Arc<[ObjectId]> = (1001..=4000).map(shape).collect();
    let change = Fragment::new(FragmentKind::Change, ROOT, canvas)
        .with(shapes, Value::References(all.clone()));
    let adds: Vec<Fragment> = (1001..=4000).map(|number| world.add(number)).collect();
    world.tell(Input::Update {
        ticket: Ticket(1),
        terms: Terms::default(),
        changes: ChangeSet::new(adds.into_iter().chain([change])),
    });
    world.persist().lines();
    let fewer = Fragment::new(FragmentKind::Change, ROOT, canvas)
        .with(shapes, Value::References(all[..2999].into()));
    let mut fragments = vec![fewer; 1000];
    fragments.push(world.rename("still judged"));
    world.sync(ANN, 1, ChangeSet::new(fragments)).persist();
    let reply = world.lines().into_iter().find(|line| line.contains("reply")).unwrap();
    let refused = reply.matches("too-large").count();
    assert!((1..1000).contains(&refused), "{refused}");
    assert!(reply.ends_with(",{}]"));
    assert_eq!(world.scope.graph().len(), 3000);
}

#[test]
fn who_has_left_is_not_answered() {
    let mut world = World::new();
    world.join(ANN, Dialect::V1).tell(Input::Leave { member: ANN }).lines();
    let rename = world.rename("late");
    world.sync(ANN, 1, ChangeSet::new([rename])).tell(Input::Resync { member: ANN });
    assert_eq!(world.lines(), [""; 0]);
}

#[test]
fn a_procedure_admits_what_fits_its_constraints() {
    let mut world = World::with(|schema| {
        let (canvas, model) = schema.find("Canvas").unwrap();
        let name = model.find("name").unwrap().0;
        let constraint = Constraint {
            kind: FragmentKind::Change,
            model: canvas,
            properties: vec![(name, crate::model::constraint::PropertyConstraint::New)],
            additional: false,
            repeated: false,
        };
        let procedure = Procedure { constraints: vec![constraint], ..Procedure::default() };
        [(ProcedureName::parse("Canvas.rename").unwrap(), procedure)].into()
    });
    world.join(ANN, Dialect::V1).lines();
    let call = |world: &World, name: &str, fragment: Fragment| {
        let _ = world;
        ChangeSet { procedure: ProcedureName::parse(name), ..ChangeSet::atomic([fragment]) }
    };
    let accepted = call(&world, "Canvas.rename", world.rename("x"));
    let unknown = call(&world, "Canvas.other", world.rename("x"));
    let no_model = call(&world, "Nothing.rename", world.rename("x"));
    let unfit = call(&world, "Canvas.rename", world.insert(1));
    world.sync(ANN, 1, accepted).sync(ANN, 2, unknown).sync(ANN, 3, no_model).sync(ANN, 4, unfit);
    let lines = world.persist().lines();
    assert_eq!(lines[1], "1 reply 1 [{}]");
    for (line, text) in
        lines[3..].iter().zip(["No such procedure", "No such model", "do not match"])
    {
        assert!(line.contains(text), "{line} does not say {text}");
    }
    assert_eq!(lines.len(), 6);
}

#[test]
fn what_lives_with_a_session_leaves_with_it() {
    let mut world = World::new();
    // Ann's session fetched the scope twice.
    world.join(ANN, Dialect::V1).join(BO, Dialect::V1);
    world
        .tell(Input::Join {
            member: CY,
            session: SessionId(ANN.0),
            dialect: Dialect::V1,
            claims: Arc::default(),
            returns: false,
        })
        .lines();
    let (cursor, _) = world.property("Cursor", "x");
    let add = Fragment { model: cursor, ..world.add(1) };
    let changes = [add, world.insert(1), world.add(2), world.insert(2)];
    world.sync(ANN, 1, ChangeSet::new(changes)).persist().lines();
    world.tell(Input::Leave { member: BO }).tell(Input::Leave { member: ANN });
    assert_eq!(world.lines(), [""; 0]);
    world.join(BO, Dialect::V1).lines();
    world.tell(Input::Leave { member: CY }).persist();
    let lines = world.lines();
    assert_eq!(
        lines[0], r##"all but nobody:  | [{"type":"remove","uuid":"#01","Cursor"}]"##,
        "{lines:#?}"
    );
    assert_eq!(world.scope.graph().len(), 2);
}

#[test]
fn a_state_that_nobody_changed_is_encoded_once() {
    let mut world = World::new();
    world.join(ANN, Dialect::V1).join(BO, Dialect::Original);
    let bodies: Vec<StateBody> = world
        .out
        .drain(..)
        .map(|output| match output {
            Output::State { body, .. } => body,
            other => panic!("{other:?}"),
        })
        .collect();
    assert!(bodies[0].is(&bodies[1]));
}
