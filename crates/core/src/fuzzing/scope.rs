//! A scope whose members send whatever the bytes say.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::ids::{
    MemberId, MessageIndex, ObjectId, Position, Revision, SessionId, SharedText, Ticket,
};
use crate::limits::Limits;
use crate::model::{
    ChangeSet, CollectionEdit, Fragment, FragmentKind, Graph, JudgeLimits, Lifetime, ModelId,
    Property, PropertyId, PropertyType, Rejection, Scalar, Schema, Value, judge,
};
use crate::replica::Replica;
use crate::scope::{
    Call, Entry, FragmentVerdict, Input, Options, Output, Scope, Terms, Verdict, encode_state,
    state_fragments,
};
use crate::time::Now;
use crate::wire::change_set::Typing;
use crate::wire::message::{Dialect, RawFragment};

/// Runs a scope with the inputs that `bytes` describe.
///
/// # Panics
///
/// If the graph is not sound after any of them, if a ChangeSet is not answered fragment by fragment, if
/// somebody is told of a commit that is not durable, if a member that believes what it is told ends with
/// something else than the scope, or if the log does not lead to what lasts of it.
pub fn scope(bytes: &[u8]) {
    let mut bytes = Bytes(bytes);
    let first = bytes.next();
    // States are written in one go, or object by object.
    let mut world = World::new(first % 2 == 1, first / 2 % 2);
    while !bytes.0.is_empty() {
        world.step(&mut bytes);
        world.scope.graph().check().expect("a sound graph");
    }
    while !world.calls.is_empty() {
        world.decide(&mut bytes);
    }
    while world.scope.deadline().is_some() {
        world.handle(Input::Deadline);
    }
    world.persist();
    world.check();
}

/// What is left of the input; zeros behind its end.
struct Bytes<'a>(&'a [u8]);

impl Bytes<'_> {
    fn next(&mut self) -> usize {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                usize::from(*first)
            }
            None => 0,
        }
    }
}

struct World {
    schema: Arc<Schema>,
    scope: Scope,
    persisted: Position,
    /// The last entry that came out, and for each revision the last one that it needs.
    last: Position,
    needs: BTreeMap<Revision, Position>,
    /// What the log leads to.
    log: Graph,
    /// The copy of a 1.0 member that only listens.
    listener: Option<Replica>,
    /// Which members are there.
    present: [bool; MEMBERS],
    messages: u64,
    /// How many fragments each question has that was not answered yet.
    unanswered: Vec<(MemberId, MessageIndex, usize)>,
    /// What the scope has asked and was not told yet.
    calls: VecDeque<Call>,
}

/// Who listens and never speaks.
const LISTENER: MemberId = MemberId(0);
/// Objects and members are few, so that they meet.
const OBJECTS: usize = 12;
const MEMBERS: usize = 4;

impl World {
    fn new(validate: bool, state_step_bytes: usize) -> Self {
        let schema = Arc::new(models());
        let (model, _) = schema.find("Node").expect("one of the models");
        let limits = Limits { scope_objects_max: 10, ..Limits::default() };
        let limits = Arc::new(limits);
        let options =
            Options { limits, validate, state_step_bytes, stored: true, ..Options::default() };
        let log = Graph::new(schema.clone(), object(0), model);
        let scope = Scope::new(log.clone(), options);
        let mut world = Self {
            schema,
            scope,
            persisted: Position(0),
            last: Position(0),
            needs: BTreeMap::new(),
            log,
            listener: None,
            present: [false; MEMBERS],
            messages: 0,
            unanswered: Vec::new(),
            calls: VecDeque::new(),
        };
        (0..MEMBERS).for_each(|member| world.join(member));
        world
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let member = 1 + bytes.next() % (MEMBERS - 1);
        let id = MemberId(member as u64);
        match bytes.next() % 16 {
            // A membership that has something under way does not begin again.
            0 if self.calls.iter().any(|call| call.member == id) => {}
            0 => self.join(member),
            1 => {
                self.present[member] = false;
                self.handle(Input::Leave { member: id });
            }
            2 => self.handle(Input::Resync { member: if member == 1 { LISTENER } else { id } }),
            3 => {
                let revision = Revision(self.scope.revision().0 - self.scope.revision().0.min(1));
                self.handle(Input::Seen { member: id, revision });
            }
            4 => self.persist(),
            5 => self.handle(Input::Deadline),
            6 => {
                let changes = self.change_set(bytes);
                self.handle(Input::Update { ticket: Ticket(1), terms: Terms::default(), changes });
            }
            7 => self.decide(bytes),
            8 => self.scope.check_states().expect("what is kept is what is there"),
            _ => self.sync(member, bytes),
        }
    }

    /// Somebody decides about the oldest call, or about none.
    fn decide(&mut self, bytes: &mut Bytes<'_>) {
        let Some(call) = self.calls.pop_front() else { return };
        let refuse = || Rejection::fragment("somebody does not want it");
        let of_fragment = |fragment: &Fragment| match bytes.next() % 4 {
            0 => FragmentVerdict::Refuse(refuse()),
            1 if fragment.kind != FragmentKind::Remove => {
                let mut other = Fragment::new(fragment.kind, fragment.object, fragment.model);
                for (property, definition) in self.schema.model(fragment.model).properties() {
                    self.fill(&mut other, property, definition, bytes);
                }
                FragmentVerdict::Amend(other.properties)
            }
            _ => FragmentVerdict::Accept,
        };
        let verdict = match call.fragments.len() % 3 {
            0 => Verdict::Refuse(refuse()),
            _ => Verdict::Accept(call.fragments.iter().map(of_fragment).collect()),
        };
        self.handle(Input::Verdict { ticket: call.ticket, verdict });
    }

    /// Every second one speaks the original dialect.
    fn join(&mut self, member: usize) {
        let dialect = if member.is_multiple_of(2) { Dialect::V1 } else { Dialect::Original };
        self.present[member] = true;
        let member = MemberId(member as u64);
        self.handle(Input::Join {
            member,
            session: SessionId(member.0),
            dialect,
            claims: Arc::default(),
            returns: false,
        });
    }

    fn sync(&mut self, member: usize, bytes: &mut Bytes<'_>) {
        let changes = self.change_set(bytes);
        self.messages += 1;
        let (id, message) = (MemberId(member as u64), MessageIndex(self.messages));
        if self.present[member] {
            self.unanswered.push((id, message, changes.fragments.len()));
        }
        self.handle(Input::Sync { member: id, message, delivered: MessageIndex(0), changes });
    }

    fn persist(&mut self) {
        self.persisted = self.last;
        self.handle(Input::Persisted { position: self.last });
    }

    fn handle(&mut self, input: Input) {
        let mut out = Vec::new();
        self.scope.handle(Now::default(), input, &mut out);
        for output in out {
            match output {
                Output::Persist { position, entry } => {
                    self.last = self.last.next();
                    assert_eq!(position, self.last);
                    if let Entry::Commit(commit) = entry {
                        self.needs.insert(commit.revision, position);
                        self.replay(&commit.fragments);
                    }
                }
                Output::Committed(commit) => assert!(self.is_durable(commit.revision)),
                Output::State { member, revision, body } => {
                    assert!(self.is_durable(revision));
                    if member == LISTENER {
                        self.listener = Some(Replica::new(self.read_state(&body.to_text())));
                    }
                }
                Output::Reply { member, message, revision, body, .. } => {
                    assert!(self.is_durable(revision));
                    let asked = (member, message);
                    let place = self.unanswered.iter().position(|(m, i, _)| (*m, *i) == asked);
                    let (.., count) = self.unanswered.remove(place.expect("asked once"));
                    assert_eq!(list(&body).len(), count);
                }
                Output::Repair { revision, body, .. } => {
                    assert!(self.is_durable(revision));
                    self.read(&body);
                }
                Output::Broadcast { commit, to, bodies } => {
                    assert!(self.is_durable(commit.revision) && to.has(LISTENER));
                    bodies.original.iter().for_each(|body| drop(self.read(body)));
                    let body = bodies.v1.as_ref().expect("the listener speaks 1.0");
                    let fragments = self.read(body);
                    if let Some(listener) = &mut self.listener {
                        listener.receive(fragments).expect("what it is told fits");
                    }
                }
                Output::Call(call) => self.calls.push_back(call),
                Output::Limited(_) => {}
                Output::Sync { .. } | Output::Recall { .. } | Output::Dismissed { .. } => {
                    unreachable!("there are no rules")
                }
                Output::Updated { revision, .. } => assert!(self.is_durable(revision)),
            }
        }
    }

    fn is_durable(&self, revision: Revision) -> bool {
        let needed = self.needs.range(..=revision).next_back();
        needed.is_none_or(|(_, position)| *position <= self.persisted)
    }

    fn replay(&mut self, fragments: &[Fragment]) {
        let changes = ChangeSet::new(fragments.iter().cloned());
        let judgement = judge(&self.log, &changes, &JudgeLimits::NONE);
        assert!(judgement.replies.iter().all(Result::is_ok), "{changes:?}: {judgement:?}");
        judgement.plan.into_iter().for_each(|plan| self.log.apply(plan));
    }

    fn check(&mut self) {
        self.scope.check_states().expect("what is kept is what is there");
        assert_eq!(self.unanswered, [], "everything that a member asked is answered");
        let listener = self.listener.as_ref().expect("it joined first");
        assert_eq!(encode_state(listener.confirmed()), encode_state(self.scope.graph()));
        assert_eq!(state_fragments(&self.log), state_fragments(self.scope.graph()));
    }

    fn read(&self, body: &SharedText) -> Vec<Fragment> {
        let limits = Limits::default();
        let typing = Typing { schema: &self.schema, dialect: Dialect::V1, limits: &limits };
        list(body).iter().map(|raw| typing.fragment(raw).expect("the scope wrote it")).collect()
    }

    fn read_state(&self, body: &SharedText) -> Graph {
        let (_, fragments) = body.split_once("\"fragments\":").expect("a state has fragments");
        let fragments = self.read(&fragments.into());
        Graph::from_state(self.schema.clone(), object(0), fragments).expect("a whole state")
    }

    fn change_set(&self, bytes: &mut Bytes<'_>) -> ChangeSet {
        let shape = bytes.next();
        let fragments = (0..shape % 6).map(|_| match bytes.next() {
            255 => Err(Rejection::fragment("it could not be read")),
            byte => Ok(self.fragment(byte, bytes)),
        });
        ChangeSet { fragments: fragments.collect(), atomic: shape >= 192, procedure: None }
    }

    fn fragment(&self, byte: usize, bytes: &mut Bytes<'_>) -> Fragment {
        let kinds = [
            FragmentKind::Add,
            FragmentKind::Change,
            FragmentKind::Remove,
            FragmentKind::MoveChange,
        ];
        let id = object(bytes.next() % OBJECTS);
        let models: Vec<ModelId> = self.schema.models().map(|(id, _)| id).collect();
        let known = self.scope.graph().object(id).map(|object| object.model());
        let model = known.filter(|_| byte < 240).unwrap_or(models[bytes.next() % models.len()]);
        let mut fragment = Fragment::new(kinds[byte % 4], id, model);
        if fragment.kind != FragmentKind::Remove {
            for (property, definition) in self.schema.model(model).properties() {
                self.fill(&mut fragment, property, definition, bytes);
            }
        }
        fragment
    }

    fn fill(
        &self,
        fragment: &mut Fragment,
        property: PropertyId,
        definition: &Property,
        bytes: &mut Bytes<'_>,
    ) {
        let choice = bytes.next();
        let mut some_object = || object(bytes.next() % OBJECTS);
        let value = match (choice % 4, definition.is_reference(), definition.is_collection()) {
            (0 | 1, ..) => return,
            (2, true, true) => {
                let edits = (0..choice / 4 % 4).map(|edit| match edit % 2 {
                    0 => CollectionEdit::Insert {
                        object: some_object(),
                        after: Some(some_object()).filter(|after| *after != object(0)),
                    },
                    _ => CollectionEdit::Remove { object: some_object() },
                });
                let edits = edits.collect();
                return fragment.collections.push((property, edits));
            }
            (_, true, true) => {
                Value::References((0..choice / 4 % 5).map(|_| some_object()).collect())
            }
            (_, true, false) => Value::Reference((choice >= 64).then(some_object)),
            (..) => Value::Scalar((choice >= 64).then(|| scalar(definition.kind(), choice))),
        };
        fragment.properties.push((property, value));
    }
}

fn object(number: usize) -> ObjectId {
    ObjectId::from_uuid(uuid::Uuid::from_u128(number as u128))
}

fn scalar(kind: PropertyType, choice: usize) -> Scalar {
    match kind {
        PropertyType::Boolean => Scalar::Boolean(choice.is_multiple_of(2)),
        PropertyType::Number => Scalar::Number(choice as f64 / 2.0),
        _ => Scalar::from(format!("text {choice}")),
    }
}

fn list(body: &str) -> Vec<RawFragment> {
    serde_json::from_str(body).expect("the scope wrote it")
}

/// Objects that can refer to each other in every way.
fn models() -> Schema {
    Schema::builder()
        .model("Node", |m| {
            m.property("label", "String")
                .property_with_default("weight", "Number", 1.0)
                .property("next", "Node")
                .property("children", "[Node]")
                .property("group", "Group")
        })
        .model("Group", |m| {
            m.extends("Node").property("members", "[Node]").property("open", "Boolean")
        })
        .model("Hand", |m| m.extends("Node").lifetime(Lifetime::Session))
        .build()
        .expect("checked by every run")
}
