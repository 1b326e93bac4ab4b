//! No byte of an object reaches a member whose view excludes it, under any order of changes of objects and
//! claims; and what reaches it adds up to exactly what it may see.

use std::collections::{BTreeMap, HashMap};

use super::*;
use crate::ids::SharedText;
use crate::limits::Limits;
use crate::model::{CollectionEdit, Sight};
use crate::replica::{EditId, Modifications, Replica};
use crate::scope::state::{encode_seen, encode_state};
use crate::wire::change_set::Typing;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound as u64) as usize
    }

    fn of<T: Copy>(&mut self, things: &[T]) -> T {
        things[self.below(things.len())]
    }
}

/// What a member may see, found out without any cleverness.
struct Oracle(HashMap<ObjectId, Hidden>);

impl Oracle {
    fn new(graph: &Graph, claims: &Claims) -> Self {
        let facts = ScopeFacts { name: "nodes".into(), params: BTreeMap::new() };
        let rights = Levels::default().rights(claims, &facts);
        let prospect = Prospect::present(graph);
        let all = || graph.schema().model(graph.object(id(0)).unwrap().model()).properties();
        let hidden = rights.hidden(prospect.root(), prospect.root());
        let mut seen =
            HashMap::from([(id(0), hidden.unwrap_or_else(|| all().map(|(p, _)| p).collect()))]);
        loop {
            let before = seen.len();
            for object in graph.depth_first() {
                let Some(hidden) = seen.get(&object.id()).cloned() else { continue };
                for (property, _) in all().filter(|(p, _)| !hidden.contains(p)) {
                    for child in object.value(property).references() {
                        let child = prospect.object(*child).unwrap();
                        if let Some(hidden) = rights.hidden(prospect.root(), child) {
                            seen.entry(child.id()).or_insert(hidden);
                        }
                    }
                }
            }
            if seen.len() == before {
                return Self(seen);
            }
        }
    }
}

impl Sight for Oracle {
    fn sees(&self, object: ObjectId) -> bool {
        self.0.contains_key(&object)
    }

    fn sees_property(&self, object: ObjectId, property: PropertyId) -> bool {
        self.0.get(&object).is_some_and(|hidden| !hidden.contains(&property))
    }
}

struct Member {
    dialect: Dialect,
    claims: Arc<Claims>,
    replica: Option<Replica>,
    edit: Option<(EditId, usize)>,
    before: Oracle,
}

struct Room {
    world: World,
    members: BTreeMap<u64, Member>,
    random: Random,
    next: u128,
    secrets: HashMap<String, ObjectId>,
    /// What the member whose turn it is names itself.
    named: String,
    seed: u64,
}

impl Room {
    fn new(seed: u64) -> Self {
        // States are written in steps of some objects.
        let world = World::with(Levels::lenient(), |_| Options {
            state_step_bytes: 300,
            ..Options::default()
        });
        let members = BTreeMap::new();
        let (random, secrets, named) = (Random(seed), HashMap::new(), String::new());
        let mut room = Self { world, members, random, next: 1, secrets, named, seed };
        for member in 1..=4 {
            room.join(member);
        }
        room
    }

    fn join(&mut self, member: u64) {
        let dialect = self.random.of(&[Dialect::V1, Dialect::Original]);
        let level = self.random.of(&[0.0, 1.0, 2.0, ADMIN]);
        let claims = claims(["ann", "bo", "cy"][member as usize % 3], level);
        let before = Oracle::new(self.world.scope.graph(), &claims);
        let joined = Member { dialect, claims: claims.clone(), replica: None, edit: None, before };
        self.members.insert(member, joined);
        self.world.join(member, dialect, claims);
        self.deliver();
    }

    fn step(&mut self) {
        let graph = self.world.scope.graph().clone();
        for member in self.members.values_mut() {
            member.before = Oracle::new(&graph, &member.claims);
        }
        self.named.clear();
        if self.random.below(3) == 0 {
            self.world
                .scope
                .check_states()
                .unwrap_or_else(|why| panic!("seed {}: {why}", self.seed));
        }
        match self.random.below(14) {
            12 | 13 => self.world.tell(Input::Deadline),
            0 => self.renew(),
            1 | 2 => {
                let fragments = self.fragments(&graph, Dialect::V1);
                self.world.update(fragments);
            }
            3 => {
                let label = self.random.of(&["open", "closed"]);
                let fragment = self.world.change(0).set("label", label).build();
                self.world.update([fragment]);
            }
            _ => self.edit(),
        }
        self.deliver();
        self.check();
    }

    fn renew(&mut self) {
        let number = 1 + self.random.below(4) as u64;
        if !self.members.contains_key(&number) {
            return self.join(number);
        }
        let (user, level) =
            (self.random.of(&["ann", "bo"]), self.random.of(&[-1.0, 0.0, 1.0, 2.0, ADMIN]));
        let claims = claims(user, level);
        self.members.get_mut(&number).unwrap().claims = claims.clone();
        self.world.tell(Input::Claims { member: MemberId(number), claims });
    }

    fn edit(&mut self) {
        let number = 1 + self.random.below(4) as u64;
        let Some(member) = self.members.get_mut(&number) else { return };
        let dialect = member.dialect;
        let Some(replica) = &mut member.replica else { return };
        let shown = replica.shown().clone();
        let fragments = self.fragments(&shown, dialect);
        let changes = ChangeSet::new(fragments.clone());
        let member = self.members.get_mut(&number).unwrap();
        let Ok(edit) = member.replica.as_mut().unwrap().edit(changes.clone()) else { return };
        member.edit = Some((edit, fragments.len()));
        self.named = format!("{fragments:?}");
        self.world.sync(number, changes);
    }

    /// Some fragments that make sense for who sees this graph.
    fn fragments(&mut self, shown: &Graph, dialect: Dialect) -> Vec<Fragment> {
        let objects: Vec<u128> = shown
            .depth_first()
            .map(|object| object.id().as_uuid().as_u128() - id(0).as_uuid().as_u128())
            .collect();
        let (a, b) = (self.random.of(&objects), self.random.of(&objects));
        let secret = format!("secret-{}", self.next);
        let level = self.random.below(5) as f64;
        let owner = self.random.of(&["ann", "bo", "cy", "nobody"]);
        let children = |number: u128| -> Vec<u128> {
            let object = shown.object(id(number)).unwrap();
            let property =
                object.graph().schema().model(object.model()).find("children").unwrap().0;
            object
                .references(property)
                .map(|o| o.id().as_uuid().as_u128() - id(0).as_uuid().as_u128())
                .collect()
        };
        self.next += 1;
        let new = self.next;
        match self.random.below(11) {
            0..=2 => {
                self.secrets.insert(secret.clone(), id(new));
                let add = self
                    .world
                    .add(new)
                    .set("level", level)
                    .set("owner", owner)
                    .set("secret", secret.as_str());
                let mut fragments = vec![add.build()];
                let insert = CollectionEdit::Insert {
                    object: id(new),
                    after: children(a).last().map(|c| id(*c)),
                };
                fragments.push(match dialect {
                    Dialect::V1 => self.world.change(a).edit(insert).build(),
                    Dialect::Original => {
                        let mut children = children(a);
                        children.insert(self.random.below(children.len() + 1), new);
                        self.world.change(a).children(&children).build()
                    }
                });
                fragments
            }
            3 => vec![self.world.change(a).set("level", level).build()],
            4 => vec![self.world.change(a).set("owner", owner).build()],
            5 if a != 0 => vec![self.world.node(FragmentKind::Remove, a).build()],
            6 => {
                let target = Some(b).filter(|b| *b != a);
                vec![self.world.change(a).next(target).build()]
            }
            9 => {
                let held = Held::Reference(Some(id(b)).filter(|_| a != b));
                vec![self.world.change(a).with("pin", held).build()]
            }
            10 if a != b => {
                let held = Held::References([id(b)].into());
                vec![self.world.change(a).with("drawer", held).build()]
            }
            7 if a != 0 && a != b => {
                let mut children = children(b);
                children.retain(|child| *child != a);
                children.push(a);
                let kind = if dialect == Dialect::V1 {
                    FragmentKind::MoveChange
                } else {
                    FragmentKind::Change
                };
                vec![
                    self.world.change(b).children(&children).build(),
                    self.world.node(kind, a).build(),
                ]
            }
            _ => {
                let mut children = children(a);
                if !children.is_empty() {
                    children.remove(self.random.below(children.len()));
                }
                vec![self.world.change(a).children(&children).build()]
            }
        }
    }

    fn deliver(&mut self) {
        for output in self.world.take() {
            match output {
                Output::State { member, body, .. } => {
                    let body = body.to_text();
                    self.inspect(member, &body);
                    let state = self.read_state(&body);
                    self.members.get_mut(&member.0).unwrap().replica = Some(Replica::new(state));
                }
                Output::Sync { to, body, .. } => to.iter().for_each(|m| self.receive(*m, &body)),
                Output::Repair { member, body, .. } => self.receive(member, &body),
                Output::Reply { member, body, .. } => self.answer(member, &body),
                Output::Dismissed { member, .. } => drop(self.members.remove(&member.0)),
                Output::Broadcast { .. } => {
                    panic!("members who see different things are told the same")
                }
                Output::Persist { .. }
                | Output::Recall { .. }
                | Output::Committed(_)
                | Output::Limited(_)
                | Output::Updated { .. }
                | Output::Call(_) => {}
            }
        }
    }

    fn receive(&mut self, member: MemberId, body: &SharedText) {
        self.inspect(member, body);
        let mut fragments = self.read(body);
        let seed = self.seed;
        let told = self.members.get_mut(&member.0).unwrap();
        let replica = told.replica.as_mut().unwrap();
        // Clients of the original are told of objects again that they may have dropped.
        for fragment in fragments.iter_mut().filter(|_| told.dialect == Dialect::Original) {
            if fragment.kind == FragmentKind::Add
                && replica.confirmed().object(fragment.object).is_some()
            {
                fragment.kind = FragmentKind::Change;
            }
        }
        replica
            .receive(fragments)
            .unwrap_or_else(|error| panic!("seed {seed}: {member}: {error}\n{body}"));
    }

    fn answer(&mut self, member: MemberId, body: &SharedText) {
        self.inspect(member, body);
        let replies: Vec<Json> = serde_json::from_str(body).unwrap();
        let told = self.members.get_mut(&member.0).unwrap();
        let (edit, count) = told.edit.take().expect("one edit at a time");
        assert_eq!(replies.len(), count);
        let replies: Vec<_> = replies
            .iter()
            .map(|reply| match reply.get("error") {
                None => Ok(()),
                Some(error) => Err(Rejection::message(error["message"].as_str().unwrap())),
            })
            .collect();
        told.replica.as_mut().unwrap().answer(edit, &replies, Modifications::new()).unwrap();
    }

    /// Nothing that a member is told names what it may not see.
    fn inspect(&self, member: MemberId, body: &str) {
        let graph = self.world.scope.graph();
        let told = &self.members[&member.0];
        let now = Oracle::new(graph, &told.claims);
        for number in 1..=self.next {
            let id = id(number);
            let known =
                now.sees(id) || told.before.sees(id) || self.named.contains(&id.to_string());
            assert!(
                known || !body.contains(&id.to_string()),
                "seed {}: {member} is told of {id}: {body}",
                self.seed
            );
        }
        let secret = self.world.property("secret").0;
        for (text, id) in &self.secrets {
            let quoted = format!("\"{text}\"");
            let known = now.sees_property(*id, secret);
            assert!(
                known || !body.contains(&quoted),
                "seed {}: {member} is told {text}: {body}",
                self.seed
            );
        }
    }

    /// What a member has is what it may see, no less and no more.
    fn check(&mut self) {
        let graph = self.world.scope.graph();
        let secret = self.world.property("secret").0;
        for (number, member) in &self.members {
            let oracle = Oracle::new(graph, &member.claims);
            // Who waits for its state has nothing, and was told nothing.
            let Some(replica) = &member.replica else { continue };
            let confirmed = replica.confirmed();
            let (has, may) =
                (encode_seen(confirmed, Some(&oracle)), encode_seen(graph, Some(&oracle)));
            let apart = has
                .bytes()
                .zip(may.bytes())
                .take_while(|(a, b)| a == b)
                .count()
                .saturating_sub(200);
            assert_eq!(
                has.get(apart..),
                may.get(apart..),
                "seed {}: {:?} member {number}: {}",
                self.seed,
                member.dialect,
                self.named
            );
            assert_eq!(
                confirmed.len(),
                oracle.0.len(),
                "seed {}: member {number} has more",
                self.seed
            );
            for object in confirmed.depth_first().filter(|o| !oracle.sees_property(o.id(), secret))
            {
                let held = object.scalar(secret);
                // What it has written itself before the object became somebody else's, it is told to forget.
                assert_eq!(held, None, "seed {}: member {number} keeps a secret", self.seed);
            }
        }
    }

    fn read(&self, body: &SharedText) -> Vec<Fragment> {
        let limits = Limits::default();
        let typing = Typing { schema: &self.world.schema, dialect: Dialect::V1, limits: &limits };
        let raw: Vec<Box<serde_json::value::RawValue>> = serde_json::from_str(body).unwrap();
        raw.iter().map(|raw| typing.fragment(raw).expect("the scope wrote it")).collect()
    }

    fn read_state(&self, body: &SharedText) -> Graph {
        let (_, fragments) = body.split_once("\"fragments\":").unwrap();
        let fragments = self.read(&fragments.into());
        Graph::from_state(self.world.schema.clone(), id(0), fragments).expect("a whole state")
    }
}

#[test]
fn no_byte_of_an_object_reaches_a_member_whose_view_excludes_it() {
    for seed in 0..SEEDS {
        let mut room = Room::new(seed);
        for _ in 0..120 {
            room.step();
        }
    }
}

#[test]
#[should_panic(expected = "is told of")]
fn a_leak_would_be_found() {
    let mut room = Room::new(1);
    let add = room.world.add(1).set("level", 50.0).build();
    let attach = room.world.change(0).children(&[1]).build();
    room.members.retain(|_, member| member.claims.entries()["level"] != json!(ADMIN));
    room.world.update([add, attach]);
    room.world.take();
    let member = MemberId(*room.members.keys().next().expect("not all are admins"));
    let body = encode_state(room.world.scope.graph());
    room.inspect(member, &body);
}

/// How many worlds are tried; each has some hundred steps.
const SEEDS: u64 = 120;
