//! A scope whose members see different things.

mod attacks;
mod claims;
mod never_told;
mod oracles;
mod passages;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Map, Value as Json, json};

use super::*;
use crate::ids::{MemberId, MessageIndex, ObjectId, SessionId, Ticket};
use crate::model::prospect::Prospect;
use crate::model::{
    ChangeSet, Fragment, FragmentKind, Graph, Lifetime, ModelId, Property, Scalar, Schema,
    Value as Held,
};
use crate::scope::{Input, Options, Output, Scope, Terms};
use crate::time::Now;
use crate::wire::message::Dialect;

/// Rules without a language: an object is seen up to a level, and by its owner always; what is private of it
/// by nobody else; objects are changed and removed by their owners.
#[derive(Debug, Default)]
struct Levels {
    /// Everybody may change everything.
    lenient: bool,
    /// Everybody may read everything.
    open: bool,
    /// How many fragments were asked about.
    asked: Arc<AtomicUsize>,
}

impl Levels {
    fn lenient() -> Self {
        Self { lenient: true, ..Self::default() }
    }
}

#[derive(Debug)]
struct Visitor {
    user: String,
    level: f64,
    lenient: bool,
    open: bool,
    asked: Arc<AtomicUsize>,
}

impl AccessPolicy for Levels {
    fn rights(&self, claims: &Claims, _: &ScopeFacts) -> Arc<dyn Rights> {
        let user = claims.entries().get("user").and_then(Json::as_str).unwrap_or_default();
        let level = claims.entries().get("level").and_then(Json::as_f64).unwrap_or_default();
        let (lenient, open, asked) = (self.lenient, self.open, self.asked.clone());
        Arc::new(Visitor { user: user.to_owned(), level, lenient, open, asked })
    }

    fn narrows(&self) -> bool {
        !self.open
    }
}

/// Who sees everything.
const ADMIN: f64 = 99.0;

impl Visitor {
    fn owns(&self, object: ProspectObject<'_>) -> bool {
        text(object, "owner").as_deref() == Some(&self.user)
    }

    fn own(&self, case: &Case<'_>, rule: &str) -> Result<(), Denial> {
        let mine = self.owns(case.object) && case.before.is_none_or(|before| self.owns(before));
        if mine || self.lenient {
            return Ok(());
        }
        Err(Denial { action: format!("{rule} \"Node\""), rule: Some(format!("{rule}.Node")) })
    }
}

impl Rights for Visitor {
    fn begin(&self, _: usize) {
        self.asked.fetch_add(1, Ordering::Relaxed);
    }

    fn fetch(&self, root: ProspectObject<'_>) -> Result<(), Denial> {
        let (next, _) = root.definition().find("next").unwrap();
        let notice = root.reference(next).and_then(|notice| text(notice, "label"));
        if self.level >= 0.0 && notice != Some(format!("without {}", self.user)) {
            return Ok(());
        }
        Err(Denial { action: "fetch it".to_owned(), rule: Some("fetch".to_owned()) })
    }

    fn add(&self, case: &Case<'_>) -> Result<(), Denial> {
        self.own(case, "add")
    }

    fn change(&self, case: &Case<'_>, _: Option<PropertyId>) -> Result<(), Denial> {
        self.own(case, "change")
    }

    fn names_property(&self, _: &Case<'_>, _: PropertyId) -> bool {
        false
    }

    fn remove(&self, case: &Case<'_>) -> Result<(), Denial> {
        self.own(case, "remove")
    }

    fn hidden(&self, root: ProspectObject<'_>, object: ProspectObject<'_>) -> Option<Hidden> {
        let more = if text(root, "label").as_deref() == Some("open") { 1.0 } else { 0.0 };
        if &**object.definition().name() == "Sealed" && self.level < ADMIN {
            return None;
        }
        if self.level >= ADMIN || self.owns(object) {
            return Some(Hidden::new());
        }
        let (level, _) = object.definition().find("level").unwrap();
        let level = match object.scalar(level) {
            Some(Scalar::Number(level)) => *level,
            _ => 0.0,
        };
        let private = ["secret", "pin", "drawer"];
        let private = private.map(|name| object.definition().find(name).unwrap().0);
        (level <= self.level + more).then(|| private.into_iter().collect())
    }

    fn reads_by_root(&self) -> bool {
        true
    }

    fn hides(
        &self,
        _: ProspectObject<'_>,
        object: ProspectObject<'_>,
        property: PropertyId,
    ) -> Option<String> {
        let model = object.definition();
        Some(format!("read.\"{}.{}\"", model.name(), model.property(property).name()))
    }

    fn fetches_by(&self) -> FetchesBy {
        FetchesBy::Objects
    }

    fn class(&self) -> Option<ClassKey> {
        (self.level < ADMIN && !self.open)
            .then(|| ClassKey(format!("{}/{}", self.user, self.level).into()))
    }
}

fn text(object: ProspectObject<'_>, name: &str) -> Option<String> {
    let (property, _) = object.definition().find(name)?;
    match object.scalar(property)? {
        Scalar::String(text) => Some(text.to_string()),
        _ => None,
    }
}

fn schema() -> Schema {
    let schema = Schema::builder().model("Node", |m| {
        m.property("label", "String")
            .property("level", "Number")
            .property("owner", "String")
            .property("secret", "String")
            .property("children", "[Node]")
            .property("next", "Node")
            .property("pin", "Node")
            .property("drawer", "[Node]")
            .property("seals", "[Sealed]")
    });
    let schema = schema
        .model("Sealed", |m| m.extends("Node"))
        .model("Cursor", |m| m.extends("Node").lifetime(Lifetime::Session));
    schema.build().unwrap()
}

fn id(number: u128) -> ObjectId {
    ObjectId::from_uuid(uuid::Uuid::from_u128(0xabcd_0000_0000_4000_8000_0000_0000_0000 + number))
}

fn claims(user: &str, level: f64) -> Arc<Claims> {
    let claims: Map<String, Json> =
        [("user".to_owned(), json!(user)), ("level".to_owned(), json!(level))]
            .into_iter()
            .collect();
    Arc::new(Claims::new(claims))
}

struct World {
    scope: Scope,
    schema: Arc<Schema>,
    node: ModelId,
    out: Vec<Output>,
    messages: u64,
}

impl World {
    fn new(policy: Levels) -> Self {
        Self::with(policy, |_| Options::default())
    }

    fn with(policy: Levels, options: impl FnOnce(&Schema) -> Options) -> Self {
        let schema = Arc::new(schema());
        let (node, _) = schema.find("Node").unwrap();
        let scope = ScopeFacts { name: "nodes".into(), params: BTreeMap::new() };
        let access = Access { policy: Arc::new(policy), scope: Arc::new(scope) };
        let options = Options { access: Some(access), ..options(&schema) };
        let scope = Scope::new(Graph::new(schema.clone(), id(0), node), options);
        Self { scope, schema, node, out: Vec::new(), messages: 0 }
    }

    fn property(&self, name: &str) -> (PropertyId, &Property) {
        self.schema.model(self.node).find(name).unwrap()
    }

    fn node(&self, kind: FragmentKind, number: u128) -> Node<'_> {
        Node { world: self, fragment: Fragment::new(kind, id(number), self.node) }
    }

    fn add(&self, number: u128) -> Node<'_> {
        self.node(FragmentKind::Add, number)
    }

    /// An object of a submodel.
    fn add_of(&self, model: &str, number: u128) -> Node<'_> {
        let (model, _) = self.schema.find(model).unwrap();
        Node { world: self, fragment: Fragment::new(FragmentKind::Add, id(number), model) }
    }

    fn change(&self, number: u128) -> Node<'_> {
        self.node(FragmentKind::Change, number)
    }

    fn tell(&mut self, input: Input) {
        self.scope.handle(Now::default(), input, &mut self.out);
        self.scope.graph().check().unwrap();
    }

    fn join(&mut self, member: u64, dialect: Dialect, claims: Arc<Claims>) {
        let (member, session) = (MemberId(member), SessionId(member));
        self.tell(Input::Join { member, session, dialect, claims, returns: false });
    }

    fn update(&mut self, fragments: impl IntoIterator<Item = Fragment>) {
        let changes = ChangeSet::new(fragments);
        self.tell(Input::Update { ticket: Ticket(1), terms: Terms::default(), changes });
    }

    fn sync(&mut self, member: u64, changes: ChangeSet) {
        self.messages += 1;
        let (message, delivered) = (MessageIndex(self.messages), MessageIndex(0));
        self.tell(Input::Sync { member: MemberId(member), message, delivered, changes });
    }

    /// What came out since the last time, for one member: the texts, and which of them is a reply.
    fn take(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    /// What becomes of each fragment, in words; nothing else is looked at.
    fn replies(
        &mut self,
        member: u64,
        fragments: impl IntoIterator<Item = Fragment>,
    ) -> Vec<String> {
        self.answers(member, ChangeSet::new(fragments))
    }

    fn answers(&mut self, member: u64, changes: ChangeSet) -> Vec<String> {
        self.take();
        self.sync(member, changes);
        let outputs = self.take();
        let reply = outputs.iter().find_map(|output| match output {
            Output::Reply { body, .. } => Some(body.clone()),
            _ => None,
        });
        let replies: Vec<Json> =
            serde_json::from_str(&reply.expect("every message is answered")).unwrap();
        let words = replies.iter().map(|reply| match reply.get("error") {
            Some(error) => format!(
                "{}: {}",
                error["type"].as_str().unwrap(),
                error["message"].as_str().unwrap()
            ),
            None => "ok".to_owned(),
        });
        words.collect()
    }
}

impl World {
    /// The children of an object, by their numbers.
    fn children(&self, number: u128) -> Vec<u128> {
        let object = self.scope.graph().object(id(number)).unwrap();
        object.references(self.property("children").0).map(|child| number_of(child.id())).collect()
    }

    /// All that has come out for a member since the last time, as text.
    fn told(&mut self, member: u64) -> Vec<String> {
        let member = MemberId(member);
        let texts = self.take().into_iter().filter_map(|output| match output {
            Output::State { member: to, body, .. } => (to == member).then(|| body.to_string()),
            Output::Repair { member: to, body, .. } | Output::Reply { member: to, body, .. } => {
                (to == member).then(|| body.to_string())
            }
            Output::Sync { to, body, .. } => to.contains(&member).then(|| body.to_string()),
            Output::Broadcast { to, bodies, .. } => {
                to.has(member).then(|| format!("{:?}", bodies.get(Dialect::V1)))
            }
            _ => None,
        });
        texts.collect()
    }
}

fn number_of(object: ObjectId) -> u128 {
    object.as_uuid().as_u128() - id(0).as_uuid().as_u128()
}

struct Node<'w> {
    world: &'w World,
    fragment: Fragment,
}

impl Node<'_> {
    fn with(mut self, name: &str, value: Held) -> Self {
        let property = self.world.property(name).0;
        self.fragment = self.fragment.with(property, value);
        self
    }

    fn set(self, name: &str, value: impl Into<Scalar>) -> Self {
        self.with(name, Held::Scalar(Some(value.into())))
    }

    fn children(self, children: &[u128]) -> Self {
        self.with("children", Held::References(children.iter().map(|child| id(*child)).collect()))
    }

    fn next(self, next: Option<u128>) -> Self {
        self.with("next", Held::Reference(next.map(id)))
    }

    fn edit(mut self, edit: crate::model::CollectionEdit) -> Self {
        let property = self.world.property("children").0;
        self.fragment = self.fragment.with_edits(property, vec![edit]);
        self
    }

    fn build(self) -> Fragment {
        self.fragment
    }
}
