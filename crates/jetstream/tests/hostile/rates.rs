//! Too much in too little time, of whatever there is.
//!
//! Where a rate matters it is one in a second with a burst of a hundred: what a server that counts lets
//! through is near the burst, what one that does not lets through is everything, and how long the test
//! takes makes no difference to which it is.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::client::{Client, ROOT, change};
use crate::victim::Victim;
use crate::websocket;

const SLOW: [&str; 2] = ["session_messages_per_second_max=1", "rate_burst_ms=100000"];

/// What a server may let through that lets one a second through after the first hundred: a test that takes
/// a quarter of an hour is none.
const SLOWED: u64 = 1_000;

/// A client that sends without end is slowed to its rate, whatever it sends.
pub async fn a_flood_of_changes_is_slowed() {
    let victim = Victim::with_limits(&SLOW);
    let mut workers = victim.workers().await;
    let mut attacker = Client::join(&victim.address()).await;
    let flood: Vec<u8> = (1..=20_000)
        .flat_map(|number| {
            let change = change(attacker.index(), "color", &json!(number));
            websocket::frame(websocket::TEXT, change.to_string().as_bytes())
        })
        .collect();
    let sending = attacker.flood(flood);
    for _ in 0..4 {
        workers.work().await;
    }
    let color = victim.shape().await["color"].as_u64().expect("the attacker has set it");
    assert!(color < SLOWED, "{color} changes were let through");
    sending.abort();
}

/// What one frame holds beyond the second burst is refused, in order and without a gap; beyond the fourth the
/// session is over.
pub async fn what_one_frame_holds_is_refused_then_closed() {
    let victim = Victim::with_limits(&SLOW);
    let mut workers = victim.workers().await;
    let frame = |client: &mut Client, count: u64| -> (Vec<u64>, String) {
        let indices: Vec<u64> = (0..count).map(|_| client.index()).collect();
        let changes: Vec<Value> =
            indices.iter().map(|index| change(*index, "color", &json!(index))).collect();
        (indices, json!(changes).to_string())
    };
    let mut eager = Client::join(&victim.address()).await;
    let (indices, text) = frame(&mut eager, 300);
    eager.send_text(&text).await;
    let mut refused = 0;
    for index in indices {
        let reply = eager.reply(index).await;
        let error = &reply["fragmentReplies"][0]["error"];
        match error["type"].as_str() {
            None => assert_eq!(refused, 0, "after the first refusal there is no other answer"),
            Some(code) => {
                assert_eq!(code, "rate-limited");
                let message = error["message"].as_str().unwrap_or_default();
                assert!(message.contains("session_messages_per_second_max"), "{message}");
                refused += 1;
            }
        }
    }
    assert!((50..=101).contains(&refused), "{refused} of 300 refused");
    workers.work().await;

    let mut hostile = Client::join(&victim.address()).await;
    let (_, text) = frame(&mut hostile, 1_000);
    hostile.send_text(&text).await;
    let (code, reason) = hostile.closed().await;
    assert_eq!(code, 4096);
    assert!(reason.contains("rate-limited"), "{reason}");
    workers.work().await;
}

/// Frames without a message, Pings of the transport and texts in pieces without end are work for nothing.
pub async fn tiny_frames_are_counted_and_pieces_without_end_are_refused() {
    let victim = Victim::start();
    let mut workers = victim.workers().await;
    let before = victim.peak_memory();
    let empty = websocket::frame(websocket::TEXT, b"");
    let ping = websocket::frame(websocket::PING, b"");
    let mut floods = Vec::new();
    for tiny in [empty, ping] {
        let attacker = Client::join(&victim.address()).await;
        floods.push(attacker.flood(tiny.repeat(200_000)));
    }
    let endless = Client::join(&victim.address()).await;
    let mut nothing = websocket::frame(websocket::CONTINUATION, b"");
    nothing[0] &= 0x7f;
    let mut text = websocket::frame(websocket::TEXT, b"[");
    text[0] &= 0x7f;
    text.extend(nothing.repeat(3_000_000));
    let (code, _) = endless.closed_during(text).await;
    assert!([1009, 1006].contains(&code), "{code}");
    for _ in 0..5 {
        workers.work().await;
    }
    floods.into_iter().for_each(|flood| flood.abort());
    let grown = victim.peak_memory().saturating_sub(before);
    assert!(grown < 20 << 20, "{grown} bytes for frames that say nothing");
}

/// Short questions with long answers count by their answers.
pub async fn fetching_without_end_is_slowed_by_what_it_costs() {
    const STATE_BYTES: usize = 200_000;
    let victim =
        Victim::with_limits(&["session_bytes_per_second_max=50000", "rate_burst_ms=20000"]);
    let mut author = Client::join(&victim.address()).await;
    let index = author.index();
    author.send(&rename(index, &"z".repeat(STATE_BYTES))).await;
    author.reply(index).await;
    let mut workers = victim.workers().await;
    let mut attacker = Client::establish_as(&victim.address(), "1.0.0").await;
    let mut messages = Vec::new();
    for number in 0..2_000 {
        let (fetch, leave) = (attacker.index(), attacker.index());
        messages.push(json!({ "type": "ScopeFetch", "index": fetch, "name": "Canvas" }));
        messages.push(json!({ "type": "ScopeUnfetch", "index": leave, "scopeIndex": number }));
    }
    attacker.send(&json!(messages)).await;
    let (mut reader, _writer) = attacker.into_reader();
    let received = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = received.clone();
    let reading = tokio::spawn(async move {
        while let Ok(frame) = reader.next().await {
            count.fetch_add(frame.payload.len(), std::sync::atomic::Ordering::Relaxed);
        }
    });
    for _ in 0..10 {
        workers.work().await;
    }
    let received = received.load(std::sync::atomic::Ordering::Relaxed);
    assert!(received < 100 * STATE_BYTES, "{received} bytes of states were sent");
    reading.abort();
}

fn rename(index: u64, name: &str) -> Value {
    json!({
        "type": "ScopeSync", "index": index, "scopeIndex": 0,
        "fragments": [{
            "type": "change", "uuid": ROOT, "clsName": "Canvas", "properties": { "name": name },
        }],
    })
}

/// One address has only so many sessions and connections, and others have theirs.
pub async fn one_address_does_not_take_all_places() {
    const MAX: usize = 10;
    let victim =
        Victim::behind_a_proxy(&["address_sessions_max=10", "address_connections_pending_max=10"]);
    let mut workers = victim.workers().await;
    let address = victim.address();
    let mut sessions = Vec::new();
    for _ in 0..MAX {
        sessions.push(Client::establish_from(&address, "192.0.2.1").await.expect("there is room"));
    }
    let refused = Client::establish_from(&address, "192.0.2.1").await.expect_err("there is none");
    assert_eq!(refused["type"], "too-large");
    let message = refused["message"].as_str().unwrap_or_default();
    assert!(message.contains("address_sessions_max"), "{message}");
    workers.work().await;

    let mut silent = Vec::new();
    while silent.len() < MAX {
        silent.push(Client::open_from(&address, "192.0.2.7").await.expect("there is room"));
    }
    let refused = Client::open_from(&address, "192.0.2.7").await.expect_err("there is none");
    assert!(refused.to_string().contains("429"), "{refused}");
    // Of version 6 a customer has as many addresses as there are stars.
    for star in 0..MAX {
        silent.push(Client::open_from(&address, &format!("2001:db8::{star}")).await.expect("room"));
    }
    assert!(Client::open_from(&address, "2001:db8::ffff").await.is_err(), "it is one customer");
    Client::establish_from(&address, "192.0.2.2").await.expect("others have their places");
    workers.work().await;
}

/// Sessions that are made and ended in a loop cost their address its rate.
pub async fn making_sessions_without_end_is_bounded() {
    let victim =
        Victim::behind_a_proxy(&["address_connections_per_second_max=1", "rate_burst_ms=50000"]);
    let address = victim.address();
    let mut workers = victim.workers().await;
    let mut made = 0;
    for _ in 0..400 {
        let Ok(mut session) = Client::open_from(&address, "192.0.2.1").await else { continue };
        session.send(&json!({ "type": "SessionCreate", "index": 0, "version": "1.0.0" })).await;
        session.send(&json!({ "type": "SessionClose", "index": 1 })).await;
        assert_eq!(session.closed().await.0, 4097);
        made += 1;
    }
    assert!((50..300).contains(&made), "{made} sessions of 400");
    Client::establish_from(&address, "192.0.2.2").await.expect("others are not concerned");
    workers.work().await;
}

/// A scope takes no more bytes than it may, and goes on.
pub async fn a_scope_is_not_bloated() {
    const EACH: u64 = 500;
    let victim = Victim::with_limits(&["scope_bytes_max=1000000"]);
    let mut workers = victim.workers().await;
    let mut attacker = Client::establish_as(&victim.address(), "1.0.0").await;
    let index = attacker.index();
    attacker.send(&json!({ "type": "ScopeFetch", "index": index, "name": "Canvas" })).await;
    attacker.reply(index).await;
    let before = victim.peak_memory();
    let mut added = 0;
    for turn in 0..40 {
        let ids: Vec<String> = (turn * EACH..(turn + 1) * EACH)
            .map(|number| format!("a0000000-0000-4000-8000-{number:012}"))
            .collect();
        let inserts = ids.iter().map(|id| json!({ "insert": id, "after": null }));
        let mut fragments = vec![json!({
            "type": "change", "uuid": ROOT, "clsName": "Canvas",
            "collections": { "shapes": inserts.collect::<Vec<_>>() },
        })];
        let add = |id| json!({ "type": "add", "uuid": id, "clsName": "Shape", "properties": {} });
        fragments.extend(ids.iter().map(add));
        let index = attacker.index();
        attacker
            .send(&json!({
                "type": "ScopeSync", "index": index, "scopeIndex": 0, "atomic": true,
                "fragments": fragments,
            }))
            .await;
        let reply = attacker.reply(index).await;
        added += if reply["fragmentReplies"][0]["error"].is_null() { EACH } else { 0 };
    }
    assert!((EACH..10_000).contains(&added), "{added} objects in a million bytes");
    // Long texts in the objects that are there.
    let index = attacker.index();
    attacker.send(&rename(index, &"z".repeat(1_000_000))).await;
    let reply = attacker.reply(index).await;
    let error = &reply["fragmentReplies"][0]["error"];
    assert_eq!(error["type"], "too-large", "{reply}");
    assert!(error["message"].as_str().is_some_and(|text| text.contains("scope_bytes_max")));
    workers.work().await;
    let grown = victim.peak_memory().saturating_sub(before);
    assert!(grown < 40 << 20, "{grown} bytes for a scope that may have one million");
}

/// A request whose body never ends is dropped when its time is up, however busily it drips.
pub async fn a_body_without_end_is_dropped() {
    let victim = Victim::with_limits(&["handshake_timeout_ms=100", "establish_timeout_ms=300"]);
    let mut workers = victim.workers().await;
    for head in [
        "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n",
    ] {
        victim.dripped(head.as_bytes(), b"x").await;
    }
    workers.work().await;
}

/// Members that are slowed, read nothing and go on sending cost no more than their bounds.
pub async fn who_is_slowed_and_never_reads_costs_little() {
    let victim = Victim::with_limits(&SLOW);
    let mut workers = victim.workers().await;
    let before = victim.peak_memory();
    let mut attackers = Vec::new();
    for _ in 0..10 {
        let mut attacker = Client::join(&victim.address()).await;
        let sync = change(attacker.index(), "color", &json!("x".repeat(10_000))).to_string();
        let frames = websocket::frame(websocket::TEXT, sync.as_bytes()).repeat(300);
        let (unread, mut writer) = attacker.into_reader();
        attackers.push(tokio::spawn(async move {
            let _ = writer.write_all(&frames).await;
            drop(unread);
        }));
    }
    for _ in 0..3 {
        workers.work().await;
    }
    attackers.into_iter().for_each(|attacker| attacker.abort());
    let grown = victim.peak_memory().saturating_sub(before);
    assert!(grown < 60 << 20, "{grown} bytes for ten that are slowed");
}
