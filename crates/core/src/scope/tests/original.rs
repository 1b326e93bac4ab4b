//! Clients below 1.0 converge: doubles of the original's JavaScript client, true to its habits, edit one
//! scope at the same time over links that delay.
//!
//! The habits: it applies what arrives over its own edits; it sends collections whole, as they were at
//! the edit; it collects edits for a moment before it sends them, and forgets those of objects that leave
//! meanwhile; it takes a refused edit of a collection back by emptying it, and sends that as an edit.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::*;

const NAME: u128 = 0xca;

/// What travels from the server to a client.
#[derive(Clone)]
enum Down {
    Sync(Vec<(FragmentKind, u128, Vec<Set>)>),
    /// Of each fragment whether it was accepted, and the `x` that somebody put in its place.
    Reply(u64, Vec<(bool, Option<f64>)>),
}

/// What travels from a client to the server.
enum Up {
    Sync(u64, ChangeSet),
    Ack(usize),
}

/// A property and its value, as the client reads it.
#[derive(Clone, PartialEq, Debug)]
enum Set {
    Shapes(Vec<u128>),
    X(f64),
}

/// What a sent fragment changes: the object and, unless it is an add, the value before.
type Touch = (u128, Option<Set>);

/// The double of an original client.
#[derive(Default)]
struct Client {
    shapes: Vec<u128>,
    x: BTreeMap<u128, f64>,
    unsent_adds: BTreeMap<u128, f64>,
    unsent_x: BTreeMap<u128, f64>,
    unsent_shapes: Option<Vec<u128>>,
    /// Before the first unsent edit.
    original_x: BTreeMap<u128, f64>,
    /// Sent and not answered: the message, and what each fragment changes.
    flying: VecDeque<(u64, Vec<Touch>)>,
    next_message: u64,
    received: usize,
    down: VecDeque<Down>,
    up: VecDeque<Up>,
}

impl Client {
    fn push(&mut self, id: u128, at: usize) {
        self.shapes.insert(at.min(self.shapes.len()), id);
        self.x.insert(id, 0.0);
        self.unsent_adds.insert(id, 0.0);
        self.unsent_shapes = Some(self.shapes.clone());
    }

    fn take(&mut self, at: usize) -> u128 {
        let id = self.shapes.remove(at);
        self.unsent_shapes = Some(self.shapes.clone());
        self.drop_unheld(id);
        id
    }

    fn set_x(&mut self, id: u128, x: f64) {
        let before = self.x.insert(id, x).unwrap_or_default();
        if let Some(add) = self.unsent_adds.get_mut(&id) {
            *add = x;
        } else {
            self.unsent_x.insert(id, x);
            self.original_x.entry(id).or_insert(before);
        }
    }

    fn drop_unheld(&mut self, id: u128) {
        if !self.shapes.contains(&id) {
            self.x.remove(&id);
            self.unsent_adds.remove(&id);
            self.unsent_x.remove(&id);
        }
    }

    fn reset_shapes(&mut self, shapes: Vec<u128>) {
        let before = std::mem::replace(&mut self.shapes, shapes);
        before.into_iter().for_each(|id| self.drop_unheld(id));
    }

    fn flush(&mut self, world: &World) {
        let mut fragments = Vec::new();
        let mut changes = Vec::new();
        let (shape, x_property) = world.property("Shape", "x");
        let (canvas, shapes_property) = world.property("Canvas", "shapes");
        let number = |x| Value::Scalar(Some(Scalar::Number(x)));
        for (id, x) in std::mem::take(&mut self.unsent_adds) {
            let fragment = Fragment::new(FragmentKind::Add, super::shape(id), shape);
            fragments.push(fragment.with(x_property, number(x)));
            changes.push((id, None));
        }
        if let Some(shapes) = self.unsent_shapes.take() {
            let value = Value::References(shapes.iter().map(|id| super::shape(*id)).collect());
            let fragment = Fragment::new(FragmentKind::Change, ROOT, canvas);
            fragments.push(fragment.with(shapes_property, value));
            changes.push((NAME, Some(Set::Shapes(shapes))));
        }
        for (id, x) in std::mem::take(&mut self.unsent_x) {
            let fragment = Fragment::new(FragmentKind::Change, super::shape(id), shape);
            fragments.push(fragment.with(x_property, number(x)));
            changes.push((id, self.original_x.remove(&id).map(Set::X)));
        }
        self.original_x.clear();
        if !fragments.is_empty() {
            self.next_message += 1;
            self.up.push_back(Up::Sync(self.next_message, ChangeSet::new(fragments)));
            self.flying.push_back((self.next_message, changes));
        }
    }

    fn receive(&mut self) {
        let Some(message) = self.down.pop_front() else { return };
        self.received += 1;
        match message {
            Down::Sync(fragments) => self.receive_sync(&fragments),
            Down::Reply(message, replies) => self.receive_reply(message, &replies),
        }
    }

    fn receive_sync(&mut self, fragments: &[(FragmentKind, u128, Vec<Set>)]) {
        let adds = fragments.iter().filter(|(kind, ..)| *kind == FragmentKind::Add);
        let mut known: BTreeMap<u128, f64> = adds.map(|(_, id, _)| (*id, 0.0)).collect();
        for (kind, id, sets) in fragments {
            for set in sets {
                match set {
                    Set::X(x) if self.x.contains_key(id) => drop(self.x.insert(*id, *x)),
                    Set::X(x) if *kind == FragmentKind::Add => drop(known.insert(*id, *x)),
                    Set::X(_) => {}
                    Set::Shapes(shapes) => {
                        // An unknown object makes the whole value invalid; the client keeps what it has.
                        if shapes.iter().all(|id| self.x.contains_key(id) || known.contains_key(id))
                        {
                            for id in shapes {
                                let x = known.get(id).copied().unwrap_or_default();
                                self.x.entry(*id).or_insert(x);
                            }
                            self.reset_shapes(shapes.clone());
                        }
                    }
                }
            }
        }
    }

    fn receive_reply(&mut self, message: u64, replies: &[(bool, Option<f64>)]) {
        let place = self.flying.iter().position(|(m, _)| *m == message).expect("it was sent");
        let (_, changes) = self.flying.remove(place).expect("found one line above");
        for ((id, change), (accepted, modified)) in changes.into_iter().zip(replies) {
            // Taken over whatever was edited since.
            if let (Some(modified), Some(x)) = (modified, self.x.get_mut(&id)) {
                *x = *modified;
            }
            let touches = |later: &Touch| later.0 == id && later.1.is_some();
            let later =
                self.flying.iter().skip(place).any(|(_, changes)| changes.iter().any(touches));
            match change {
                Some(Set::Shapes(_)) if !accepted && !later => {
                    self.reset_shapes(Vec::new());
                    self.unsent_shapes = Some(Vec::new());
                }
                Some(Set::X(original)) if !accepted && !later && self.x.contains_key(&id) => {
                    self.set_x(id, original);
                }
                _ => {}
            }
        }
    }
}

/// A generator that needs no crate (splitmix64, Steele, Lea and Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }
}

struct Room {
    world: World,
    clients: Vec<Client>,
    /// For each client, the revisions of what it was sent and has not acknowledged.
    unacked: Vec<VecDeque<Revision>>,
    added: BTreeSet<u128>,
    accepted: BTreeSet<u128>,
    removed: BTreeSet<u128>,
    /// What each unanswered message adds, fragment by fragment.
    asked: BTreeMap<(MemberId, MessageIndex), Vec<Option<u128>>>,
    /// Calls without a verdict.
    calls: Vec<Ticket>,
}

impl Room {
    fn new(clients: usize, repair_delay_ms: u64, validate: bool) -> Self {
        let mut world = World::new();
        world.scope.options.repair_delay_ms = repair_delay_ms;
        world.scope.options.validate = validate;
        for member in 0..clients {
            world.join(MemberId(member as u64), Dialect::Original);
        }
        world.out.clear();
        Self {
            world,
            clients: (0..clients).map(|_| Client::default()).collect(),
            unacked: vec![VecDeque::new(); clients],
            added: BTreeSet::new(),
            accepted: BTreeSet::new(),
            removed: BTreeSet::new(),
            asked: BTreeMap::new(),
            calls: Vec::new(),
        }
    }

    fn server_receives(&mut self, client: usize) {
        let member = MemberId(client as u64);
        match self.clients[client].up.pop_front() {
            None => {}
            Some(Up::Ack(count)) => {
                let unacked = &mut self.unacked[client];
                let last = unacked.drain(..count).next_back();
                let seen = match unacked.front() {
                    Some(first) => Revision(first.0.saturating_sub(1)),
                    None => last.unwrap_or_default(),
                };
                self.world.tell(Input::Seen { member, revision: seen });
            }
            Some(Up::Sync(message, changes)) => {
                let adds: Vec<Option<u128>> = changes
                    .fragments
                    .iter()
                    .map(|fragment| fragment.as_ref().ok())
                    .map(|f| f.filter(|f| f.kind == FragmentKind::Add))
                    .map(|f| f.map(|f| f.object.as_uuid().as_u128()))
                    .collect();
                self.asked.insert((member, MessageIndex(message)), adds);
                self.world.sync(member, message, changes).persist();
                self.deliver();
            }
        }
    }

    /// Somebody decides about a call, not always the oldest.
    fn verdict(&mut self, random: &mut Random) {
        if self.calls.is_empty() {
            return;
        }
        let ticket = self.calls.swap_remove(random.below(self.calls.len()));
        let verdict = match random.below(8) {
            0 => Verdict::failed("no"),
            1 => Verdict::Accept(vec![FragmentVerdict::Refuse(Rejection::message("not this"))]),
            2 => {
                let amended = self.world.amended_x(7.0);
                Verdict::Accept(vec![FragmentVerdict::Accept, FragmentVerdict::Amend(amended)])
            }
            _ => Verdict::ACCEPT,
        };
        self.world.tell(Input::Verdict { ticket, verdict }).persist();
        self.deliver();
    }

    fn deliver(&mut self) {
        self.world.scope.graph().check().unwrap();
        for output in std::mem::take(&mut self.world.out) {
            match output {
                Output::Persist { .. }
                | Output::Committed(_)
                | Output::Limited(_)
                | Output::State { .. }
                | Output::Updated { .. } => {}
                Output::Call(call) => self.calls.push(call.ticket),
                Output::Sync { .. } | Output::Recall { .. } | Output::Dismissed { .. } => {
                    panic!("there are no rules")
                }
                Output::Reply { member, message, revision, body, .. } => {
                    let adds = self.asked.remove(&(member, message)).expect("asked once");
                    let replies: Vec<serde_json::Value> = serde_json::from_str(&body).unwrap();
                    let read = |reply: &serde_json::Value| {
                        (reply.get("error").is_none(), reply["modifications"]["x"].as_f64())
                    };
                    let replies: Vec<(bool, Option<f64>)> = replies.iter().map(read).collect();
                    let accepted = adds.iter().zip(&replies).filter(|(_, (accepted, _))| *accepted);
                    self.accepted.extend(accepted.filter_map(|(add, _)| *add));
                    self.send(member.0 as usize, revision, Down::Reply(message.0, replies));
                }
                Output::Repair { member, revision, body } => {
                    self.send(member.0 as usize, revision, Down::Sync(read(&body)));
                }
                Output::Broadcast { commit, to, bodies } => {
                    let Some(body) = bodies.original else { continue };
                    for client in 0..self.clients.len() {
                        if to.has(MemberId(client as u64)) {
                            self.send(client, commit.revision, Down::Sync(read(&body)));
                        }
                    }
                }
            }
        }
    }

    fn send(&mut self, client: usize, revision: Revision, message: Down) {
        self.unacked[client].push_back(revision);
        self.clients[client].down.push_back(message);
    }

    fn edit(&mut self, client: usize, random: &mut Random, next: &mut u128) {
        let it = &mut self.clients[client];
        match random.below(10) {
            0..3 => {
                *next += 1;
                self.added.insert(*next);
                it.push(*next, random.below(it.shapes.len() + 1));
            }
            // Not in the same moment as another edit of the collection: taking out what was just put in
            // looks as if something else, that arrived meanwhile, was taken out.
            3..5 if !it.shapes.is_empty() && it.unsent_shapes.is_none() => {
                self.removed.insert(it.take(random.below(it.shapes.len())));
            }
            _ if !it.shapes.is_empty() => {
                let id = it.shapes[random.below(it.shapes.len())];
                it.set_x(id, random.below(1000) as f64);
            }
            _ => {}
        }
    }

    fn ack(&mut self, client: usize) {
        let it = &mut self.clients[client];
        // Acknowledgements are seconds apart, edits are sent within milliseconds: of two
        // acknowledgements the second always comes after the edits that were made before the first.
        let quiet = it.unsent_shapes.is_none() && it.unsent_x.is_empty();
        if it.received > 0 && quiet {
            it.up.push_back(Up::Ack(std::mem::take(&mut it.received)));
        }
    }

    fn run(&mut self, random: &mut Random, steps: usize) {
        let mut next = 0x1000;
        for _ in 0..steps {
            let client = random.below(self.clients.len());
            self.let_time_pass();
            if random.below(10) == 0 {
                self.verdict(random);
            }
            match random.below(12) {
                0..3 => self.edit(client, random, &mut next),
                3..6 => self.clients[client].flush(&self.world),
                6..9 => self.server_receives(client),
                9..11 => self.clients[client].receive(),
                _ => self.ack(client),
            }
        }
        for _ in 0..1000 {
            self.let_time_pass();
            self.verdict(random);
            for client in 0..self.clients.len() {
                self.clients[client].flush(&self.world);
                self.server_receives(client);
                self.clients[client].receive();
            }
        }
    }

    fn let_time_pass(&mut self) {
        self.world.now.mono = self.world.now.mono.plus(1);
        if self.world.scope.deadline().is_some_and(|at| at <= self.world.now.mono) {
            self.world.tell(Input::Deadline);
            self.deliver();
        }
    }

    fn check(&self, seed: u64) {
        let (_, shapes) = self.world.property("Canvas", "shapes");
        let (_, x) = self.world.property("Shape", "x");
        let root = self.world.scope.graph().object(ROOT).unwrap();
        let number = |object: crate::model::ObjectRef<'_>| match object.scalar(x) {
            Some(Scalar::Number(x)) => *x,
            other => panic!("{other:?}"),
        };
        let server: Vec<(u128, f64)> = root
            .references(shapes)
            .map(|object| (object.id().as_uuid().as_u128(), number(object)))
            .collect();
        for (index, client) in self.clients.iter().enumerate() {
            assert!(client.up.is_empty() && client.down.is_empty(), "seed {seed}: not quiet");
            let shown: Vec<_> = client.shapes.iter().map(|id| (*id, client.x[id])).collect();
            assert_eq!(shown, server, "seed {seed}: client {index} shows something else");
        }
        let there: BTreeSet<u128> = server.iter().map(|(id, _)| *id).collect();
        for id in self.accepted.difference(&self.removed) {
            assert!(there.contains(id), "seed {seed}: {id:x} was accepted and is lost");
        }
    }
}

fn read(body: &str) -> Vec<(FragmentKind, u128, Vec<Set>)> {
    let number = |id: &serde_json::Value| {
        let id: ObjectId = id.as_str().unwrap().parse().unwrap();
        id.as_uuid().as_u128()
    };
    let fragments: Vec<serde_json::Value> = serde_json::from_str(body).unwrap();
    let read = |fragment: &serde_json::Value| {
        let kind = match fragment["type"].as_str().unwrap() {
            "add" => FragmentKind::Add,
            "change" => FragmentKind::Change,
            other => panic!("an original client does not know {other}"),
        };
        let mut sets = Vec::new();
        for (name, value) in fragment["properties"].as_object().unwrap() {
            match name.as_str() {
                "shapes" => {
                    sets.push(Set::Shapes(value.as_array().unwrap().iter().map(number).collect()));
                }
                "x" => sets.push(Set::X(value.as_f64().unwrap())),
                _ => {}
            }
        }
        (kind, number(&fragment["uuid"]), sets)
    };
    fragments.iter().map(read).collect()
}

/// Enough to meet each kind of crossing many times, in about two seconds.
const SEEDS: u64 = 300;

#[test]
fn original_clients_that_edit_at_the_same_time_end_equal() {
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let clients = 2 + random.below(3);
        let mut room = Room::new(clients, [0, 3, 30][seed as usize % 3], false);
        room.run(&mut random, 40 + seed as usize % 400);
        room.check(seed);
    }
}

#[test]
fn original_clients_end_equal_when_what_they_do_is_decided_late() {
    for seed in 0..SEEDS {
        let mut random = Random(seed);
        let clients = 2 + random.below(3);
        let mut room = Room::new(clients, [0, 3, 30][seed as usize % 3], true);
        room.run(&mut random, 40 + seed as usize % 400);
        room.check(seed);
    }
}

/// Ann and Bo have both renamed the canvas, without having seen what the other did.
fn crossing(repair_delay_ms: u64) -> World {
    let mut world = World::new();
    world.scope.options.repair_delay_ms = repair_delay_ms;
    world.join(ANN, Dialect::Original).join(BO, Dialect::Original);
    let [bos, anns] = ["from bo", "from ann"].map(|name| ChangeSet::new([world.rename(name)]));
    world.sync(BO, 1, bos).persist().lines();
    world.sync(ANN, 1, anns).persist();
    world
}

const REPAIR: &str =
    r##"1 repair [{"type":"change","uuid":"#ca","Canvas","properties":{"name":"from ann"}}]"##;

#[test]
fn a_value_that_crossed_another_is_stated_again_behind_the_reply() {
    let lines = crossing(0).lines();
    assert_eq!(lines[1..3], ["1 reply 1 [{}]", REPAIR]);
}

#[test]
fn a_repair_of_a_plain_value_waits_for_a_pause() {
    let mut world = crossing(100);
    assert!(!world.lines().iter().any(|line| line.contains("repair")));
    assert_eq!(world.scope.deadline(), Some(Millis(100)));
    let again = ChangeSet::new([world.rename("from ann")]);
    world.sync(ANN, 2, again).persist();
    assert!(!world.lines().iter().any(|line| line.contains("repair")));
    world.now.mono = Millis(100);
    world.tell(Input::Deadline);
    assert_eq!(world.lines(), [REPAIR]);
    assert_eq!(world.scope.deadline(), None);
}

#[test]
fn a_refused_collection_is_repaired_when_the_client_has_emptied_it() {
    let mut world = World::new();
    world.join(ANN, Dialect::Original);
    let (canvas, shapes) = world.property("Canvas", "shapes");
    let set = |ids: &[u128]| {
        let ids = ids.iter().map(|id| super::shape(*id)).collect();
        Fragment::new(FragmentKind::Change, ROOT, canvas).with(shapes, Value::References(ids))
    };
    let first = ChangeSet::new([world.add(1), set(&[1])]);
    world.sync(ANN, 1, first).persist().lines();
    world.sync(ANN, 2, ChangeSet::new([set(&[1, 9])]));
    assert!(!world.lines().iter().any(|line| line.contains("repair")));
    world.sync(ANN, 3, ChangeSet::new([set(&[])])).persist();
    let lines = world.lines();
    assert!(lines.iter().any(|line| line.contains(r##"{"shapes":["#01"]}"##)), "{lines:?}");
}

#[test]
fn of_several_values_in_one_message_the_last_counts() {
    let mut world = World::new();
    world.join(ANN, Dialect::Original);
    let renames = ["one", "two"].map(|name| world.rename(name));
    world.sync(ANN, 1, ChangeSet::new(renames)).persist();
    assert!(!world.lines().iter().any(|line| line.contains("repair")));
}
