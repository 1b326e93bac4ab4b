//! Too much of everything.

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;

use crate::client::{Client, ROOT, change};
use crate::victim::Victim;
use crate::websocket;

/// A frame of very many tiny messages is either processed or refused, by a number.
pub async fn a_frame_of_tiny_messages_is_bounded() {
    let victim = Victim::start();
    let mut workers = victim.workers().await;
    for tiny in ["0", "{}", "[]", "{\"type\":\"Ping\",\"index\":0,\"ack\":0}"] {
        let mut attacker = Client::join(&victim.address()).await;
        let frame = format!("[{}]", vec![tiny; 50_000].join(","));
        attacker.send_text(&frame).await;
        assert_eq!(attacker.closed().await.0, 4096, "{tiny}");
    }
    let mut busy = Client::join(&victim.address()).await;
    let messages: Vec<Value> =
        (0..5_000).map(|number| change(busy.index(), "color", &json!(number))).collect();
    busy.send(&json!(messages)).await;
    for message in &messages {
        busy.reply(message["index"].as_u64().expect("a number")).await;
    }
    workers.work().await;
}

/// Pings of both kinds are answered or passed over; a flood of them keeps nobody else from working.
pub async fn pings_without_end_disturb_nobody() {
    let victim = Victim::start();
    let mut workers = victim.workers().await;
    let before = victim.peak_memory();
    let attacker = Client::join(&victim.address()).await;
    let (_unread, mut writer) = attacker.into_reader();
    let mut pings = websocket::frame(websocket::PING, &[7; 125]).repeat(500);
    let resend = json!({ "type": "Ping", "index": 0, "ack": 0, "resendMissing": true });
    let resend = websocket::frame(websocket::TEXT, resend.to_string().as_bytes());
    pings.extend(resend.repeat(500));
    let flood = tokio::spawn(async move {
        for _ in 0..100 {
            if writer.write_all(&pings).await.is_err() {
                break;
            }
        }
    });
    for _ in 0..5 {
        workers.work().await;
    }
    flood.abort();
    let grown = victim.peak_memory().saturating_sub(before);
    assert!(grown < 20 << 20, "{grown} bytes for a client that never reads its answers");
}

/// A client that asks and asks and never reads an answer fills a bounded place, then the server reads
/// no more of it or ends its session; everybody else goes on, and gets everything.
pub async fn who_never_reads_is_kept_within_bounds() {
    const MESSAGES: u64 = 1_000;
    const ROUNDS: usize = 10;
    let victim = Victim::start();
    let mut workers = victim.workers().await;
    let before = victim.peak_memory();
    let mut attacker = Client::join(&victim.address()).await;
    let mut frame = |messages: u64| {
        let messages: Vec<Value> =
            (0..messages).map(|_| change(attacker.index(), "nonsense", &json!(1))).collect();
        websocket::frame(websocket::TEXT, json!(messages).to_string().as_bytes())
    };
    // Some 60 MB of refusals, if all of them were answered.
    let frames: Vec<Vec<u8>> = (0..500).map(|_| frame(MESSAGES)).collect();
    let (_unread, mut writer) = attacker.into_reader();
    let flood = tokio::spawn(async move {
        for frame in frames {
            if writer.write_all(&frame).await.is_err() {
                break;
            }
        }
    });
    for _ in 0..ROUNDS {
        workers.work().await;
    }
    flood.abort();
    workers.work().await;
    let grown = victim.peak_memory().saturating_sub(before);
    assert!(grown < 40 << 20, "{grown} bytes for a client that never reads");
}

/// A member that does not read while others write much: it costs a bounded backlog, and the others get
/// every edit.
pub async fn a_member_that_reads_nothing_costs_a_bounded_backlog() {
    const TEXT_BYTES: usize = 200_000;
    let victim = Victim::start();
    let mut workers = victim.workers().await;
    let mut deaf = Vec::new();
    for _ in 0..10 {
        deaf.push(Client::join(&victim.address()).await);
    }
    let mut loud = Client::join(&victim.address()).await;
    let before = victim.peak_memory();
    for turn in 0..100 {
        let index = loud.index();
        let name = format!("{turn}{}", "z".repeat(TEXT_BYTES));
        loud.send(&json!({
            "type": "ScopeSync", "index": index, "scopeIndex": 0,
            "fragments": [{
                "type": "change", "uuid": ROOT, "clsName": "Canvas",
                "properties": { "name": name },
            }],
        }))
        .await;
        loud.reply(index).await;
        if turn % 20 == 0 {
            workers.work().await;
        }
    }
    workers.work().await;
    let grown = victim.peak_memory().saturating_sub(before);
    let bound = 10 * (4 << 20) + (20 << 20);
    assert!(grown < bound, "{grown} bytes for ten members that read nothing");
    drop(deaf);
}
