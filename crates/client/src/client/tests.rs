//! Stories of the machine with a server whose every word is written down here.

use std::sync::Arc;

use jetstream_core::model::{CollectionEdit, Fragment, FragmentKind, ProcedureName, Scalar, Value};
use serde_json::{Value as Json, json};

use super::*;

const ROOT: &str = "ca000000-0000-4000-8000-000000000000";

/// A client that has fetched a scope, and what came of it.
struct Story {
    client: Client,
    copy: CopyId,
    events: Vec<Event>,
    schema: Arc<Schema>,
    index: u64,
}

impl Story {
    fn begin() -> Self {
        let schema = Schema::builder()
            .model("Canvas", |m| m.property("name", "String").property("shapes", "[Shape]"))
            .model("Shape", |m| m.property("x", "Number"))
            .build();
        let schema = Arc::new(schema.unwrap());
        let mut client = Client::new(ClientConfig::default(), 0);
        let copy = client.fetch("Canvas", Params::new(), Some(schema.clone()));
        let mut story = Self { client, copy, events: Vec::new(), schema, index: 0 };
        story.connect("first");
        story.numbered(json!({"type": "ScopeFetchReply", "replyTo": 1, "scopeIndex": 0}));
        story.state(0, "begun", &[]);
        story.sent();
        story
    }

    /// A connection on which the server makes a session.
    fn connect(&mut self, token: &str) {
        self.input(ClientInput::Connected);
        self.sent();
        self.index = 0;
        let reply = json!({"type": "SessionCreateReply", "index": 0, "sessionToken": token});
        self.input(ClientInput::Frame { text: &reply.to_string() });
    }

    fn input(&mut self, input: ClientInput<'_>) {
        self.client.handle(Now::default(), input, &mut self.events);
    }

    fn numbered(&mut self, mut message: Json) {
        self.index += 1;
        message["index"] = self.index.into();
        self.input(ClientInput::Frame { text: &message.to_string() });
    }

    fn state(&mut self, index: u32, name: &str, shapes: &[u8]) {
        let shapes: Vec<String> = shapes.iter().map(|shape| id(*shape).to_string()).collect();
        let properties = json!({"name": name, "shapes": shapes});
        let mut fragments = vec![
            json!({"type": "change", "uuid": ROOT, "clsName": "Canvas", "properties": properties}),
        ];
        fragments.extend(shapes.iter().map(|shape| {
            json!({"type": "add", "uuid": shape, "clsName": "Shape", "properties": {"x": 0}})
        }));
        self.numbered(json!({
            "type": "ScopeState", "scopeIndex": index, "rootUUID": ROOT, "fragments": fragments,
        }));
    }

    fn edit(&mut self, changes: ChangeSet) -> EditId {
        self.client.edit(self.copy, changes, &mut self.events).unwrap()
    }

    /// The messages that the client has sent since, but for Pings.
    fn sent(&mut self) -> Vec<Json> {
        let mut frame = Frame::new();
        let mut messages = Vec::new();
        while self.client.next_frame(Now::default(), &mut frame) {
            let text: Vec<Json> = serde_json::from_str(&frame.to_text()).unwrap();
            messages.extend(text.into_iter().filter(|message| message["type"] != "Ping"));
        }
        messages
    }

    fn types(&mut self) -> Vec<String> {
        self.sent().iter().map(|message| message["type"].as_str().unwrap().to_owned()).collect()
    }

    fn outcome(&self, edit: EditId) -> Option<&Result<(), NotApplied>> {
        let mut outcomes = self.events.iter().filter_map(|event| match event {
            Event::Answered { edit: answered, outcome, .. } if *answered == edit => Some(outcome),
            _ => None,
        });
        let outcome = outcomes.next();
        assert!(outcomes.next().is_none(), "an edit has one outcome");
        outcome
    }

    fn name(&mut self) -> String {
        let graph = self.client.graph(self.copy).unwrap();
        let root = graph.object(graph.root()).unwrap();
        let (name, _) = graph.schema().model(root.model()).find("name").unwrap();
        match root.scalar(name) {
            Some(Scalar::String(name)) => name.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn objects(&mut self) -> usize {
        self.client.graph(self.copy).unwrap().len()
    }

    fn rename(&self, name: &str) -> ChangeSet {
        let (canvas, model) = self.schema.find("Canvas").unwrap();
        let property = model.find("name").unwrap().0;
        let change = Fragment::new(FragmentKind::Change, ROOT.parse().unwrap(), canvas);
        ChangeSet::new([change.with(property, Value::Scalar(Some(name.into())))])
    }

    fn add(&self, shape: u8) -> ChangeSet {
        let (canvas, model) = self.schema.find("Canvas").unwrap();
        let shapes = model.find("shapes").unwrap().0;
        let edit = CollectionEdit::Insert { object: id(shape), after: None };
        let attach = Fragment::new(FragmentKind::Change, ROOT.parse().unwrap(), canvas);
        let add = Fragment::new(FragmentKind::Add, id(shape), self.schema.find("Shape").unwrap().0);
        ChangeSet::new([add, attach.with_edits(shapes, vec![edit])])
    }
}

fn id(number: u8) -> ObjectId {
    format!("5a000000-0000-4000-8000-0000000000{number:02}").parse().unwrap()
}

#[test]
fn after_a_lost_session_each_edit_is_settled_repeated_or_given_up_as_it_deserves() {
    let mut story = Story::begin();
    let arrived = story.edit(story.add(1));
    let lost = story.edit(story.add(2));
    let renamed = story.edit(story.rename("mine"));
    let procedure = Some(ProcedureName::parse("Canvas.rename").unwrap());
    let called = story.edit(ChangeSet { procedure, atomic: true, ..story.rename("called") });
    assert_eq!(story.types(), ["ScopeSync"; 4]);

    let reason = r#"{"message":"forgotten"}"#;
    story.input(ClientInput::Disconnected { code: Some(4097), reason });
    story.connect("second");
    let meanwhile = story.edit(story.rename("meanwhile"));
    assert_eq!(story.types(), ["ScopeFetch"]);
    story.numbered(json!({"type": "ScopeFetchReply", "replyTo": 1, "scopeIndex": 0}));
    story.state(0, "theirs", &[1]);

    assert_eq!(story.outcome(arrived), Some(&Ok(())));
    assert_eq!(story.outcome(called), Some(&Err(NotApplied::Unknown)));
    let sent = story.sent();
    let repeated: Vec<_> = sent.iter().map(|message| message["fragments"][0].clone()).collect();
    assert_eq!(repeated[0]["uuid"], id(2).to_string());
    assert_eq!(repeated[1]["properties"], json!({"name": "mine"}));
    assert_eq!(repeated[2]["properties"], json!({"name": "meanwhile"}));
    assert_eq!(repeated.len(), 3);
    for (edit, message) in [lost, renamed, meanwhile].into_iter().zip(sent) {
        assert_eq!(story.outcome(edit), None);
        let replies = vec![json!({}); message["fragments"].as_array().unwrap().len()];
        let message = &message["index"];
        story.numbered(
            json!({"type": "ScopeSyncReply", "replyTo": message, "fragmentReplies": replies}),
        );
        assert_eq!(story.outcome(edit), Some(&Ok(())));
    }
    assert_eq!((story.name().as_str(), story.objects()), ("meanwhile", 3));
    assert_eq!(story.client.pending_all(), 0);
}

#[test]
fn what_does_not_fit_is_answered_by_fetching_again_and_edits_go_on() {
    let mut story = Story::begin();
    let before = story.edit(story.add(1));
    story.sent();
    let stray = json!({"type": "change", "uuid": id(9).to_string(), "clsName": "Shape", "properties": {"x": 1}});
    story.numbered(json!({"type": "ScopeSync", "scopeIndex": 0, "fragments": [stray]}));
    let after = story.edit(story.add(2));
    assert_eq!(story.types(), ["ScopeUnfetch", "ScopeFetch"], "edits wait for the new index");

    story.numbered(json!({"type": "ScopeSyncReply", "replyTo": 2, "fragmentReplies": [{}, {}]}));
    assert_eq!(story.outcome(before), Some(&Ok(())));
    assert_eq!(story.objects(), 3, "what was accepted does not vanish until the state is here");
    story.numbered(json!({"type": "ScopeFetchReply", "replyTo": 4, "scopeIndex": 1}));
    story.state(1, "again", &[1, 9]);
    assert_eq!((story.name().as_str(), story.objects()), ("again", 4));
    let sent = story.sent();
    assert_eq!((sent.len(), &sent[0]["scopeIndex"]), (1, &json!(1)));
    assert_eq!(story.outcome(after), None);
}

#[test]
fn modifications_are_shown_and_told() {
    let mut story = Story::begin();
    story.client.watch(story.copy, true);
    let edit = story.edit(story.rename("Mine"));
    let replies = json!([{"modifications": {"name": "mine"}}]);
    story.sent();
    story.numbered(json!({"type": "ScopeSyncReply", "replyTo": 2, "fragmentReplies": replies}));
    assert_eq!((story.name().as_str(), story.outcome(edit)), ("mine", Some(&Ok(()))));
    let origins = story.events.iter().filter_map(|event| match event {
        Event::Changed { origin, .. } => Some(*origin),
        _ => None,
    });
    assert_eq!(origins.collect::<Vec<_>>(), [Origin::Local, Origin::Server]);
}

#[test]
fn a_copy_that_is_left_before_it_comes_is_left_when_it_comes() {
    let mut story = Story::begin();
    let other = story.client.fetch("Other", Params::new(), Some(story.schema.clone()));
    assert_eq!(story.types(), ["ScopeFetch"]);
    story.client.leave(other);
    story.numbered(json!({"type": "ScopeFetchReply", "replyTo": 2, "scopeIndex": 1}));
    let sent = story.sent();
    assert_eq!((&sent[0]["type"], &sent[0]["scopeIndex"]), (&json!("ScopeUnfetch"), &json!(1)));
    story.state(1, "late", &[]);
    assert_eq!(story.client.graph(other).map(Graph::len), None);
}

#[test]
fn a_scope_that_is_denied_later_can_still_be_read_and_gives_up_what_is_pending() {
    let mut story = Story::begin();
    story.input(ClientInput::Disconnected { code: Some(4097), reason: "" });
    let edit = story.edit(story.rename("mine"));
    story.connect("second");
    let error = json!({"message": "no more"});
    story.numbered(json!({"type": "ScopeFetchReply", "replyTo": 1, "error": error}));
    let expected = Rejection::message("no more");
    assert_eq!(story.outcome(edit), Some(&Err(NotApplied::Closed(expected.clone()))));
    assert_eq!(story.client.closed(story.copy), Some(&expected));
    assert_eq!(story.name(), "begun");
    let changes = story.rename("too late");
    assert!(story.client.edit(story.copy, changes, &mut Vec::new()).is_err());
}
