//! Operations over a scope that was stored, without and with a server in between.

use std::io::BufReader;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::schema::SchemaBuilder;
use jetstream_core::model::{ChangeSet, Fragment, FragmentKind, Graph, Schema, Value};
use serde_json::Value as Json;

use super::*;
use crate::scope::Scope;
use crate::storage::{Horizon, MemoryStorage, Migrations};

fn schema(more: fn(SchemaBuilder) -> SchemaBuilder) -> Arc<Schema> {
    let schema = Schema::builder()
        .model("Canvas", |m| m.property("name", "String").property("shapes", "[Shape]"))
        .model("Shape", |m| m.property("x", "Number"));
    Arc::new(more(schema).build().unwrap())
}

fn id(number: u8) -> ObjectId {
    format!("00000000-0000-4000-8000-0000000000{number:02}").parse().unwrap()
}

/// A store with the scope "Canvas", and what is done with it.
struct World {
    storage: Arc<MemoryStorage>,
    operations: Operations,
    scope: Scope,
}

impl World {
    async fn new() -> Self {
        let storage = Arc::new(MemoryStorage::new());
        let evolution = Arc::new(Evolution::only(schema(|s| s)));
        let kept = evolution.clone();
        let scopes = Scopes::builder()
            .kept_in(storage.clone(), evolution.clone())
            .scope("Canvas", move |_| {
                let (_, schema) = kept.present();
                Ok(Graph::new(schema.clone(), id(0), schema.find("Canvas").unwrap().0))
            })
            .build()
            .unwrap();
        let scope = scopes.open("Canvas").await.unwrap();
        let operations = Operations::new(storage.clone(), evolution, scopes);
        Self { storage, operations, scope }
    }

    /// Three commits: a name, a shape, and the shape gone again with another name.
    async fn with_a_past() -> Self {
        let world = Self::new().await;
        let name = |name: &str| Value::Scalar(Some(name.into()));
        world.change([world.canvas("name", name("first"))]).await;
        let shapes = |ids: &[ObjectId]| world.canvas("shapes", Value::References(ids.into()));
        world.change([shapes(&[id(1)]), world.shape()]).await;
        world.change([shapes(&[]), world.canvas("name", name("last"))]).await;
        world
    }

    fn canvas(&self, property: &str, value: Value) -> Fragment {
        let (model, canvas) = self.scope.schema().find("Canvas").unwrap();
        let (property, _) = canvas.find(property).unwrap();
        Fragment::new(FragmentKind::Change, id(0), model).with(property, value)
    }

    fn shape(&self) -> Fragment {
        let (model, shape) = self.scope.schema().find("Shape").unwrap();
        let (x, _) = shape.find("x").unwrap();
        let add = Fragment::new(FragmentKind::Add, id(1), model);
        add.with(x, Value::Scalar(Some(5.0.into())))
    }

    async fn change(&self, fragments: impl IntoIterator<Item = Fragment>) {
        self.scope.update(ChangeSet::atomic(fragments)).await.unwrap().accepted().unwrap();
    }

    async fn run(&self, operation: Operation) -> Result<Vec<Json>, String> {
        let (lines, error) = self.lines(operation).await;
        error.map(|()| lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect())
    }

    /// The lines, whatever the end.
    async fn lines(&self, operation: Operation) -> (Vec<String>, Result<(), String>) {
        let (out, mut receiver) = Lines::channel();
        let operations = self.operations.clone();
        let work = tokio::spawn(async move { operations.run(operation, &out).await });
        let mut lines = Vec::new();
        while let Some(line) = receiver.recv().await {
            lines.push(line);
        }
        (lines, work.await.unwrap().map_err(|error| error.to_string()))
    }

    async fn state(&self, at: Option<&str>) -> Result<Json, String> {
        let at = at.map(|at| at.parse().unwrap());
        let mut lines = self.run(Operation::State { scope: "Canvas".into(), at }).await?;
        Ok(lines.remove(0))
    }

    async fn revert(&self, to: &str) -> Result<Json, String> {
        let to = to.parse().unwrap();
        let mut lines = self.run(Operation::Revert { scope: "Canvas".into(), to }).await?;
        Ok(lines.remove(0))
    }
}

fn all(scopes: &[&str]) -> Operation {
    Operation::Export { scopes: scopes.iter().map(ToString::to_string).collect() }
}

#[tokio::test]
async fn every_commit_is_a_line_of_the_history() {
    let world = World::with_a_past().await;
    let lines = world.run(Operation::History { scope: "Canvas".into(), after: 1 }).await.unwrap();
    let revisions: Vec<_> = lines.iter().map(|line| line["revision"].as_u64().unwrap()).collect();
    assert_eq!(revisions, [2, 3]);
    let expected = serde_json::json!([
        {"type": "change", "model": "Canvas", "uuid": id(0).to_string(), "properties": ["shapes"]},
        {"type": "add", "model": "Shape", "uuid": id(1).to_string(), "properties": ["x"]},
    ]);
    assert_eq!(lines[0]["changes"], expected);
    let unknown = world.run(Operation::History { scope: "Canvsa".into(), after: 0 }).await;
    assert_eq!(unknown.unwrap_err(), "no scope \"Canvsa\" is stored");
}

#[tokio::test]
async fn a_state_is_told_for_every_revision_and_time() {
    let world = World::with_a_past().await;
    let at_2 = world.state(Some("2")).await.unwrap();
    assert_eq!(
        (at_2["revision"].clone(), at_2["rootUUID"].clone()),
        (2.into(), id(0).to_string().into())
    );
    assert_eq!(at_2["fragments"][0]["properties"]["name"], "first");
    assert_eq!(at_2["fragments"][1]["properties"]["x"], 5);
    let latest = world.state(None).await.unwrap();
    assert_eq!(latest["fragments"][0]["properties"]["name"], "last");
    assert_eq!(world.state(Some("2999-01-01T00:00:00Z")).await.unwrap(), latest);
    let before = world.state(Some("1999-01-01T00:00:00Z")).await.unwrap_err();
    assert_eq!(before, "the past of \"Canvas\" does not reach back to 1999-01-01T00:00:00.000Z");
    assert!("yesterday".parse::<At>().unwrap_err().contains("neither a revision nor a time"));
}

#[tokio::test]
async fn a_revert_is_a_commit_like_any_other() {
    let world = World::with_a_past().await;
    let wanted = world.state(Some("2")).await.unwrap();
    assert_eq!(
        world.revert("2").await.unwrap(),
        serde_json::json!({"revision": 4, "fragments": 2})
    );
    assert_eq!(world.state(None).await.unwrap()["fragments"], wanted["fragments"]);
    // Once more there is nothing to do, and the revert can be reverted.
    assert_eq!(
        world.revert("2").await.unwrap(),
        serde_json::json!({"revision": 4, "fragments": 0})
    );
    assert_eq!(world.revert("3").await.unwrap()["revision"], 5);
    let name = world.state(None).await.unwrap()["fragments"][0]["properties"]["name"].clone();
    assert_eq!(name, "last");
}

#[tokio::test]
async fn what_is_forgotten_cannot_be_gone_back_to() {
    let world = World::with_a_past().await;
    let key = world.operations.key("Canvas");
    let stored = world.storage.load(&key).await.unwrap().unwrap();
    let snapshot = stored.rebuild(&key).unwrap().snapshot();
    world.storage.compact(&key, snapshot).await.unwrap();
    world.storage.trim(&key, Horizon::NOW).await.unwrap();
    let error = world.revert("2").await.unwrap_err();
    assert_eq!(error, "the past of \"Canvas\" does not reach back to revision 2");
}

#[tokio::test]
async fn the_audit_says_who_changed_what_and_when() {
    let world = World::with_a_past().await;
    let audit = Operation::Audit { scope: None, since: Some("2".parse().unwrap()) };
    let lines = world.run(audit).await.unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["scope"], "Canvas");
    assert_eq!(lines[0]["fragments"][1]["properties"]["x"], 5);
    assert!(lines[0]["time"].as_str().unwrap().ends_with('Z'));
    assert_eq!(lines[1]["fragments"][1]["properties"]["name"], "last");
}

/// The number of scopes that a store takes from an export, or why it takes none.
async fn import_into(
    storage: &MemoryStorage,
    lines: &[String],
    present: &Arc<Evolution>,
    migrations: &Migrations,
    replace: bool,
) -> Result<usize, String> {
    let text = lines.join("\n");
    let open = || Ok(BufReader::new(text.as_bytes()));
    let imported = import(storage, present, migrations, replace, open).await;
    imported.map_err(|error| error.to_string())
}

#[tokio::test]
async fn an_export_makes_the_same_scopes_elsewhere_even_with_other_models() {
    let world = World::with_a_past().await;
    world.revert("2").await.unwrap();
    let (lines, _) = world.lines(all(&[])).await;
    let present = Arc::new(Evolution::only(schema(|s| s.model("Star", |m| m))));
    let storage = MemoryStorage::new();
    let none = Migrations::new();
    assert_eq!(import_into(&storage, &lines, &present, &none, false).await, Ok(1));
    let key = StoredScope::evolving("Canvas".into(), present.clone());
    let imported = storage.load(&key).await.unwrap().unwrap().rebuild(&key).unwrap();
    let exported = world.state(None).await.unwrap();
    let state = jetstream_core::scope::encode_state(&imported.graph);
    let state: Json = serde_json::from_str(&format!("{{{state}}}")).unwrap();
    assert_eq!((imported.revision.0, &state["fragments"]), (4, &exported["fragments"]));

    let again = import_into(&storage, &lines, &present, &none, false).await;
    assert_eq!(again, Err("the scope \"Canvas\" is there already".to_owned()));
    assert_eq!(import_into(&storage, &lines, &present, &none, true).await, Ok(1));

    let without: fn(SchemaBuilder) -> SchemaBuilder =
        |_| Schema::builder().model("Canvas", |m| m.property("title", "String"));
    let other = Arc::new(Evolution::only(schema(without)));
    let error = import_into(&storage, &lines, &other, &none, true).await.unwrap_err();
    assert!(error.contains("Canvas.name: is not there any more"), "{error}");
    let entries = none.rename("Canvas.name", "title").drop("Canvas.shapes").drop("Shape");
    assert_eq!(import_into(&storage, &lines, &other, &entries, true).await, Ok(1));
}

#[tokio::test]
async fn an_export_that_is_wrong_anywhere_changes_nothing() {
    let world = World::with_a_past().await;
    let (lines, _) = world.lines(all(&["Canvas"])).await;
    let present = Arc::new(Evolution::only(schema(|s| s)));
    let damaged = |place: usize, from: &str, to: &str| {
        let mut lines = lines.clone();
        lines[place] = lines[place].replace(from, to);
        lines
    };
    let cases = [
        (lines[..2].to_vec(), "line 3: the export is cut: its last line is missing"),
        (Vec::new(), "line 1: this is no export"),
        (
            damaged(0, "\"format\":1,\"schema\":{", "\"format\":2,\"schema\":{"),
            "line 1: expected \"export\" of format 1",
        ),
        (
            damaged(1, "\"last\"", "7"),
            "line 2: property \"name\" of \"Canvas\": expected a string, found a number",
        ),
        (damaged(2, "1", "2"), "line 3: 2 scopes were exported, not 1"),
    ];
    for (lines, expected) in cases {
        let storage = MemoryStorage::new();
        let refused = import_into(&storage, &lines, &present, &Migrations::new(), false).await;
        assert_eq!(refused, Err(expected.to_owned()));
        assert!(storage.scopes(None, 1).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn verifying_finds_a_snapshot_that_the_log_does_not_lead_to() {
    let world = World::with_a_past().await;
    let key = world.operations.key("Canvas");
    let stored = world.storage.load(&key).await.unwrap().unwrap();
    let (snapshot, position) = (stored.snapshot.clone(), stored.position());
    world.storage.compact(&key, stored.rebuild(&key).unwrap().snapshot()).await.unwrap();
    let verify = || Operation::Verify { scope: None };
    let expected =
        serde_json::json!({"scope": "Canvas", "revision": 3, "snapshots": 2, "commits": 3});
    assert_eq!(world.run(verify()).await, Ok(vec![expected]));

    let wrong = crate::storage::Snapshot { position, revision: Revision(3), ..snapshot };
    world.storage.compact(&key, wrong).await.unwrap();
    let (lines, ended) = world.lines(verify()).await;
    assert_eq!(ended, Err("1 scope is damaged".to_owned()));
    let line: Json = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(line["damage"], "from revision 0 the log does not lead to the snapshot of 3");
}

#[tokio::test]
async fn another_process_asks_by_the_file_that_only_its_user_can_read() {
    let world = World::with_a_past().await;
    let folder = std::env::temp_dir().join(format!("jetstream-control-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("control.json");
    let state = || Operation::State { scope: "Canvas".into(), at: None };
    assert!(control::ask(&file, state(), |_| Ok(())).await.is_none());
    let control = control::listen(world.operations.clone(), file.clone()).await.unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let mut lines = Vec::new();
    let answer = control::ask(&file, state(), |line| {
        lines.push(line.to_owned());
        Ok(())
    });
    assert_eq!(answer.await, Some(Ok(())));
    let line: Json = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!(line, world.state(None).await.unwrap());
    let unknown = Operation::State { scope: "Gone".into(), at: None };
    let refused = control::ask(&file, unknown, |_| Ok(())).await;
    assert_eq!(refused, Some(Err(OperationError("no scope \"Gone\" is stored".to_owned()))));

    let contact = std::fs::read_to_string(&file).unwrap();
    let (before, _) = contact.split_once("\"token\":\"").unwrap();
    let other = folder.join("other.json");
    std::fs::write(&other, format!("{before}\"token\":\"guessed\"}}")).unwrap();
    let refused = control::ask(&other, state(), |_| Ok(())).await;
    assert_eq!(refused, Some(Err(OperationError("wrong token".to_owned()))));
    drop(control);
    assert!(!file.exists());
    std::fs::remove_dir_all(folder).unwrap();
}
