use std::task::Waker;

use jetstream_core::ids::{Revision, SessionId};
use jetstream_core::limits::Limits;
use jetstream_core::model::Schema;
use jetstream_core::wire::message::Dialect;
use parking_lot::RwLock;
use semver::Version;
use serde_json::{Map, Value};

use super::super::request::{Known, SessionFacts};
use super::*;

const SCOPE: ScopeIndex = ScopeIndex(0);

/// A sink that takes everything and keeps it.
#[derive(Default)]
struct Sheet(Mutex<Vec<String>>);

impl FrameSink for Sheet {
    fn send(&self, parts: &[FramePart<'_>]) -> Sent {
        self.0.lock().push(parts.iter().map(|part| part.as_str()).collect());
        Sent::Room
    }

    fn poll_writable(&self, _: &mut Context<'_>) -> Poll<()> {
        Poll::Ready(())
    }

    fn close(&self, _: u16, _: &str) {}
}

fn now() -> Now {
    Now { mono: Millis(1), wall: jetstream_core::time::Timestamp(0) }
}

/// A session that has fetched a scope, and what its client is sent.
fn session() -> (SessionCell, Arc<Sheet>) {
    let (id, dialect) = (SessionId(1), Dialect::V1);
    let facts = SessionFacts {
        id,
        dialect,
        connect: Arc::default(),
        params: Map::new(),
        version: Version::new(1, 0, 0),
        data: None,
        shown: None,
        known: RwLock::new(Known { claims: Arc::default(), expires_at: None }),
    };
    let machine = ServerSession::new(id, dialect, Arc::new(Limits::default()), 0, now());
    let (info, token) = (SessionInfo(Arc::new(facts)), TokenHash::of("a token"));
    let cell = SessionCell::new(info, token, machine, Metrics::new());
    let (connection, sheet) = (ConnectionId(1), Arc::new(Sheet::default()));
    cell.connect(now(), connection, sheet.clone(), false);
    let text = r#"[{"type":"ScopeFetch","index":1,"name":"a","params":{}}]"#;
    cell.input(now(), Input::Frame { connection, text });
    for output in cell.work(now()).outputs {
        if let Output::Fetch { message, name, .. } = output {
            let (scope, schema) = (name.as_str().into(), Arc::new(Schema::default()));
            cell.input(now(), Input::FetchAccepted { message, scope, schema });
        }
    }
    // As the session's task would, up to where it waits.
    let joins = cell.work(now()).outputs;
    assert!(matches!(*joins, [Output::Join { .. }]), "{joins:?}");
    cell.rest(now());
    is_woken(&cell);
    sheet.0.lock().clear();
    (cell, sheet)
}

fn change(revision: u64) -> Delivery {
    let body = format!(r#"["change {revision}"]"#).into();
    Delivery::Sync { revision: Revision(revision), body }
}

/// The numbers of the changes in what was sent, in order.
fn changes(sheet: &Sheet) -> Vec<u64> {
    let frames = sheet.0.lock();
    let messages = frames.iter().flat_map(|frame| {
        let messages: Vec<Value> = serde_json::from_str(frame).expect("a frame is an array");
        messages
    });
    let fragments = messages.map(|message| message["fragments"][0].as_str().unwrap().to_owned());
    fragments.map(|change| change.strip_prefix("change ").unwrap().parse().unwrap()).collect()
}

fn send(cell: &SessionCell, delivery: Delivery) {
    cell.send(now(), SCOPE, delivery, &mut Departure::default());
}

fn is_woken(cell: &SessionCell) -> bool {
    cell.poll_woken(&Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn what_was_left_goes_before_what_comes_later() {
    let (cell, sheet) = session();
    {
        let _held = cell.state.lock();
        send(&cell, change(1));
        cell.deliver(now(), SCOPE, change(2));
        assert!(changes(&sheet).is_empty(), "nobody waits for the session");
    }
    send(&cell, change(3));
    assert_eq!(changes(&sheet), [1, 2, 3]);
    send(&cell, change(4));
    assert_eq!(changes(&sheet), [1, 2, 3, 4]);
}

#[test]
fn what_was_left_is_sent_although_nothing_comes_later() {
    let (cell, sheet) = session();
    assert!(!is_woken(&cell));
    {
        let _held = cell.state.lock();
        send(&cell, change(1));
    }
    assert!(is_woken(&cell), "the session's task is to look at it");
    assert!(cell.work(now()).outputs.is_empty());
    cell.rest(now());
    assert_eq!(changes(&sheet), [1]);
}

#[test]
fn a_delivery_that_was_taken_wakes_nobody() {
    let (cell, sheet) = session();
    cell.prefetch();
    cell.prefetch_further();
    send(&cell, change(1));
    assert!(!is_woken(&cell));
    assert_eq!(changes(&sheet), [1]);
}

#[test]
fn what_is_prefetched_is_what_a_delivery_looks_at() {
    let (cell, _) = session();
    let from = (&raw const cell).addr();
    assert_eq!(from % LINE_BYTES, 0, "a line begins with the session");
    let state = cell.state.lock();
    let machine = (&raw const state.machine).addr();
    assert_eq!(from + HOT_BYTES, machine + ServerSession::HOT_BYTES);
}

#[test]
fn a_scope_that_ends_is_told_to_the_task_behind_what_it_sent() {
    let (cell, sheet) = session();
    send(&cell, change(1));
    cell.scope_closed(now(), SCOPE);
    cell.flush(now());
    assert!(is_woken(&cell));
    assert_eq!(cell.work(now()).closed, [SCOPE]);
    assert_eq!(changes(&sheet), [1]);
    assert!(cell.work(now()).closed.is_empty(), "once");
}

#[test]
fn after_it_was_held_up_it_sends_nothing_before_there_is_room() {
    for held in [false, true] {
        let (cell, sheet) = session();
        send(&cell, change(1));
        {
            let _lock = held.then(|| cell.state.lock());
            cell.held_up(now());
        }
        assert!(is_woken(&cell), "the session's task is to wait for room");
        send(&cell, change(2));
        assert_eq!(changes(&sheet), [1]);
        cell.work(now());
        assert!(cell.rest(now()).full.is_some());
        assert_eq!(changes(&sheet), [1]);
        cell.writable();
        assert!(cell.rest(now()).full.is_none());
        assert_eq!(changes(&sheet), [1, 2]);
        // With no connection there is nothing to wait for.
        cell.disconnect(now(), ConnectionId(1));
        cell.held_up(now());
        assert!(cell.rest(now()).full.is_none());
    }
}
