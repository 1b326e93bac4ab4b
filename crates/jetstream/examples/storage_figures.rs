//! What the embedded store does on this machine: `cargo run --release --example storage_figures FOLDER`,
//! in `target/figures` if none is named.
//!
//! Prints how long it takes to open a store of 100,000 scopes, to load a scope of 10,000 objects, how many
//! commits a second it takes from how many writers, how large it is after many changes of one property, and
//! when others see a change that is shown when it is durable, or at once.
//! With `strace -f -c -e trace=fsync,fdatasync` before it, also how often the disk is flushed.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jetstream::core::ids::{ObjectId, Revision};
use jetstream::core::model::{
    ChangeSet, Fragment, FragmentKind, Graph, JudgeLimits, Schema, Value, judge,
};
use jetstream::core::scope::{Commit, Entry, Options, Visible};
use jetstream::core::time::Timestamp;
use jetstream::storage::{EmbeddedOptions, EmbeddedStorage, Snapshot, StoredScope};
use jetstream::transport::memory::{FromServer, MemoryClient, MemoryConnector};
use jetstream::{ConnectInfo, MemoryTransport, Scopes, Server, Storage};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome<()> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| "target/figures".to_owned());
    let folder = Path::new(&folder);
    let wanted = |figure: &str| std::env::args().skip(2).all(|named| named == figure);
    if wanted("writers") {
        writers(&folder.join("writers")).await?;
    }
    if wanted("many") {
        many_scopes(&folder.join("many")).await?;
    }
    if wanted("large") {
        large_scope(&folder.join("large")).await?;
    }
    if wanted("growth") {
        growth(&folder.join("growth")).await?;
    }
    if wanted("visible") {
        for (name, visible) in [("durable", Visible::Durable), ("at-once", Visible::AtOnce)] {
            shown(&folder.join(name), name, visible).await?;
        }
    }
    Ok(())
}

fn open(folder: &Path) -> Outcome<EmbeddedStorage> {
    Ok(EmbeddedStorage::open(&EmbeddedOptions::new(folder))?)
}

fn scope(name: &str) -> Outcome<StoredScope> {
    let schema = Schema::builder()
        .model("Shape", |m| m.property("x", "Number").property("y", "Number"))
        .model("Canvas", |m| m.property("count", "Number").property("shapes", "[Shape]"))
        .build()?;
    Ok(StoredScope::new(name.into(), Arc::new(schema)))
}

fn id(number: u128) -> ObjectId {
    ObjectId::from_random_bytes(number.to_le_bytes())
}

fn empty(scope: &StoredScope) -> Graph {
    let (model, _) = scope.schema.find("Canvas").expect("it is in the schema");
    Graph::new(scope.schema.clone(), id(1), model)
}

async fn begin(storage: &EmbeddedStorage, name: &str) -> Outcome<StoredScope> {
    let scope = scope(name)?;
    let snapshot = Snapshot::of(&empty(&scope), Revision(0), Timestamp(0));
    storage.compact(&scope, snapshot).await?;
    Ok(scope)
}

fn commit(scope: &StoredScope, revision: u64, now: i64) -> Entry {
    let (model, canvas) = scope.schema.find("Canvas").expect("it is in the schema");
    let (count, _) = canvas.find("count").expect("it is in the schema");
    let fragment = Fragment::new(FragmentKind::Change, id(1), model)
        .with(count, Value::Scalar(Some((revision as f64).into())));
    Entry::Commit(Arc::new(Commit {
        revision: Revision(revision),
        time: Timestamp(now),
        author: None,
        origin: None,
        delivered: Default::default(),
        fragments: [fragment].into(),
        reply: "[{}]".into(),
    }))
}

/// Commits a second, each to a scope of its own writer, which waits for it.
async fn writers(folder: &Path) -> Outcome<()> {
    for count in [1, 100, 1_000] {
        let storage = open(folder)?;
        let mut scopes = Vec::new();
        for number in 0..count {
            scopes.push(begin(&storage, &format!("{count}/{number}")).await?);
        }
        let start = Instant::now();
        let tasks = scopes.into_iter().map(|scope| {
            let storage = storage.clone();
            tokio::spawn(async move {
                let mut revision = 0;
                while start.elapsed() < Duration::from_secs(3) {
                    revision += 1;
                    storage.append(&scope, &[commit(&scope, revision, 0)]).await?;
                }
                Outcome::Ok(revision)
            })
        });
        let mut commits = 0;
        for task in tasks.collect::<Vec<_>>() {
            commits += task.await??;
        }
        let rate = commits as f64 / start.elapsed().as_secs_f64();
        say(&format!("{count} writers: {commits} commits, {rate:.0} a second"));
    }
    Ok(())
}

/// How long a store with 100,000 scopes takes to open.
async fn many_scopes(folder: &Path) -> Outcome<()> {
    let storage = open(folder)?;
    let batches = (0..100).map(|batch| {
        let storage = storage.clone();
        tokio::spawn(async move {
            for number in 0..1_000 {
                begin(&storage, &format!("scopes/{batch}/{number}")).await?;
            }
            Outcome::Ok(())
        })
    });
    for batch in batches.collect::<Vec<_>>() {
        batch.await??;
    }
    drop(storage);
    let start = Instant::now();
    let storage = open(folder)?;
    say(&format!("100,000 scopes: opened in {:?}", start.elapsed()));
    let (start, scope) = (Instant::now(), scope("scopes/50/500")?);
    storage.load(&scope).await?.ok_or("it is gone")?.rebuild(&scope)?;
    say(&format!("100,000 scopes: one of them loaded in {:?}", start.elapsed()));
    Ok(())
}

/// How long a scope of 10,000 objects takes to load.
async fn large_scope(folder: &Path) -> Outcome<()> {
    let storage = open(folder)?;
    let scope = scope("large")?;
    let (canvas, model) = scope.schema.find("Canvas").ok_or("no such model")?;
    let (shape, shape_model) = scope.schema.find("Shape").ok_or("no such model")?;
    let (shapes, _) = model.find("shapes").ok_or("no such property")?;
    let (x, _) = shape_model.find("x").ok_or("no such property")?;
    let ids: Vec<_> = (2..10_002).map(id).collect();
    let adds = ids.iter().zip(0..).map(|(id, number)| {
        Fragment::new(FragmentKind::Add, *id, shape)
            .with(x, Value::Scalar(Some(f64::from(number).into())))
    });
    let all = Fragment::new(FragmentKind::Change, id(1), canvas)
        .with(shapes, Value::References(ids.clone().into()));
    let mut graph = empty(&scope);
    let changes = ChangeSet::new(adds.chain([all]));
    graph.apply(judge(&graph, &changes, &JudgeLimits::NONE).plan.ok_or("nothing was accepted")?);
    storage.compact(&scope, Snapshot::of(&graph, Revision(0), Timestamp(0))).await?;
    drop(storage);
    let storage = open(folder)?;
    for _ in 0..3 {
        let start = Instant::now();
        let stored = storage.load(&scope).await?.ok_or("it is gone")?;
        let loaded = start.elapsed();
        let rebuilt = stored.rebuild(&scope)?;
        let (objects, whole) = (rebuilt.graph.len(), start.elapsed());
        say(&format!("{objects} objects: read in {loaded:?}, there in {whole:?}"));
    }
    Ok(())
}

/// How large a store is after a million changes of one property, with snapshots as a scope takes them.
async fn growth(folder: &Path) -> Outcome<()> {
    let storage = open(folder)?;
    let scope = begin(&storage, "growth").await?;
    for thousand in 0..1_000_u64 {
        let revisions = thousand * 1_000 + 1..=thousand * 1_000 + 1_000;
        let entries: Vec<_> =
            revisions.map(|revision| commit(&scope, revision, revision as i64)).collect();
        for entry in entries.chunks(10) {
            storage.append(&scope, entry).await?;
        }
        let stored = storage.load(&scope).await?.ok_or("it is gone")?;
        storage.compact(&scope, stored.rebuild(&scope)?.snapshot()).await?;
        let now = Timestamp(thousand as i64 * 1_000);
        storage.trim(&scope, storage.retention().horizon(now)).await?;
        if (thousand + 1) % 250 == 0 {
            let files = std::fs::read_dir(folder)?.flatten();
            let bytes: u64 = files.flat_map(|file| file.metadata()).map(|data| data.len()).sum();
            say(&format!("{} changes: {} KiB", (thousand + 1) * 1_000, bytes >> 10));
        }
    }
    Ok(())
}

/// How long it takes until others see a change, and until its author has the reply.
async fn shown(folder: &Path, name: &str, visible: Visible) -> Outcome<()> {
    let (key, storage) = (scope("Canvas")?, open(folder)?);
    let options = Options { visible, ..Options::default() };
    let beginning = empty(&key);
    let scopes = Scopes::builder().storage(storage);
    let scopes = scopes.scope_with("Canvas", options, move |_| Ok(beginning.clone())).build()?;
    let (transport, connector) = MemoryTransport::new();
    let server = Server::builder().transport(transport).scopes(scopes).start().await?;
    let (mut writer, mut watcher) = (join(&connector).await?, join(&connector).await?);
    let (mut seen, mut replied) = (Vec::new(), Vec::new());
    for index in 2..402 {
        let message = format!(
            r#"{{"type":"ScopeSync","index":{index},"scopeIndex":0,"fragments":[{{"type":"change",
            "uuid":"{}","clsName":"Canvas","properties":{{"count":{index}}}}}]}}"#,
            id(1)
        );
        let start = Instant::now();
        writer.send(message).await;
        let watch = async { until(&mut watcher, "\"ScopeSync\"").await.map(|()| start.elapsed()) };
        let reply = async { until(&mut writer, "ScopeSyncReply").await.map(|()| start.elapsed()) };
        let (watched, answered) = tokio::join!(watch, reply);
        seen.push(watched?);
        replied.push(answered?);
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort();
        times[times.len() / 2]
    };
    let (seen, replied) = (median(&mut seen), median(&mut replied));
    say(&format!(
        "shown {name}: others see it after {seen:?}, its author is answered after {replied:?}"
    ));
    server.shutdown().await;
    Ok(())
}

async fn join(connector: &MemoryConnector) -> Outcome<MemoryClient> {
    let info = ConnectInfo::new("/");
    let mut client = connector.connect(info).await.ok_or("the server does not listen")?;
    client.send(r#"{"type":"SessionCreate","index":0,"params":{},"version":"1.0.0"}"#).await;
    until(&mut client, "SessionCreateReply").await?;
    client.send(r#"{"type":"ScopeFetch","index":1,"name":"Canvas","params":{}}"#).await;
    until(&mut client, "ScopeState").await?;
    Ok(client)
}

/// Waits for a frame with this text.
async fn until(client: &mut MemoryClient, text: &str) -> Outcome<()> {
    loop {
        match client.recv().await {
            Some(FromServer::Frame(frame)) if frame.contains(text) => return Ok(()),
            Some(FromServer::Frame(_)) => {}
            _ => return Err("the connection has ended".into()),
        }
    }
}

#[expect(clippy::print_stdout, reason = "the figures are what it is run for")]
fn say(text: &str) {
    println!("{text}");
}
