//! Messages that are none, or not quite.

use serde_json::{Value, json};

use crate::client::{Client, ROOT, SHAPE};
use crate::victim::Victim;
use crate::websocket;

/// What is no message, or none that makes sense, is dropped; the session goes on as if it had never
/// come.
pub async fn what_cannot_be_read_is_dropped() {
    let victim = Victim::start();
    let mut workers = victim.workers().await;
    let mut attacker = Client::join(&victim.address()).await;
    let texts = [
        "",
        " ",
        "{",
        "nonsense",
        "\"text\"",
        "null",
        "[null]",
        "[[[]]]",
        "{}",
        "[1,2,3]",
        "{\"type\":5,\"index\":2}",
        "{\"type\":\"ScopeSync\",\"index\":2}",
        "{\"type\":\"ScopeSync\",\"index\":-1,\"scopeIndex\":0,\"fragments\":[]}",
        "{\"type\":\"ScopeSync\",\"index\":1e400,\"scopeIndex\":0,\"fragments\":[]}",
        "{\"type\":\"ScopeSync\",\"index\":2,\"scopeIndex\":0,\"fragments\":NaN}",
        "{\"type\":\"ScopeSync\",\"type\":\"ScopeSync\"",
        "{\"type\":\"Ping\",\"index\":0,\"ack\":18446744073709551616}",
        "\u{0}",
        "\u{feff}{}",
    ];
    for text in texts {
        attacker.send_text(text).await;
    }
    let index = attacker.change("color", &json!(1)).await;
    assert_eq!(attacker.reply(index).await["fragmentReplies"], json!([{}]));
    workers.work().await;
}

/// Nesting is bounded by a number, not by the stack.
pub async fn a_million_levels_are_a_bound_not_a_stack_overflow() {
    const LEVELS: usize = 1_000_000;
    let victim = Victim::start();
    let mut workers = victim.workers().await;
    let arrays = format!("{}{}", "[".repeat(LEVELS), "]".repeat(LEVELS));
    let objects = format!("{}1{}", "{\"a\":".repeat(LEVELS / 2), "}".repeat(LEVELS / 2));

    let mut stranger = Client::open(&victim.address(), "/").await.expect("the server accepts");
    stranger.send_text(&arrays).await;
    assert_eq!(stranger.closed().await.0, 4096, "before the session it is no handshake");

    let mut attacker = Client::join(&victim.address()).await;
    for deep in [&arrays, &objects, &"[".repeat(LEVELS)] {
        attacker.send_text(deep).await;
    }
    for deep in [&arrays, &objects] {
        let index = attacker.index();
        let sync = format!(
            "{{\"type\":\"ScopeSync\",\"index\":{index},\"scopeIndex\":0,\"fragments\":[{{\
             \"type\":\"change\",\"uuid\":\"{SHAPE}\",\"clsName\":\"Shape\",\
             \"properties\":{{\"x\":{deep}}}}}]}}"
        );
        attacker.send_text(&sync).await;
        let reply = attacker.reply(index).await;
        assert!(is_refused(&reply["fragmentReplies"][0]), "{reply}");
    }
    workers.work().await;
}

/// A fragment that is no proper fragment fails alone, with an error that says why.
pub async fn broken_fragments_get_an_error_each() {
    let victim = Victim::start();
    let mut workers = victim.workers().await;
    let mut attacker = Client::join(&victim.address()).await;
    let shape = |properties: &str| {
        format!(
            "{{\"type\":\"change\",\"uuid\":\"{SHAPE}\",\"clsName\":\"Shape\",\
             \"properties\":{properties}}}"
        )
    };
    let add = |uuid: &str| {
        format!("{{\"type\":\"add\",\"uuid\":{uuid},\"clsName\":\"Shape\",\"properties\":{{}}}}")
    };
    let root = |shapes: &str| {
        format!(
            "{{\"type\":\"change\",\"uuid\":\"{ROOT}\",\"clsName\":\"Canvas\",\
             \"properties\":{{\"shapes\":{shapes}}}}}"
        )
    };
    let broken = [
        "null".to_owned(),
        "5".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        format!("{{\"type\":\"add\",\"uuid\":\"{ROOT}\",\"clsName\":\"Shape\"}}"),
        shape("null"),
        shape("[]"),
        shape("\"x\""),
        shape("{\"x\":1e400}"),
        shape("{\"x\":-1e400}"),
        shape("{\"x\":\"NaN\"}"),
        shape("{\"x\":{}}"),
        shape("{\"x\":[[[[1]]]]}"),
        shape("{\"constructor\":1}"),
        shape("{\"__proto__\":{\"x\":1}}"),
        shape("{\"\":1}"),
        add("\"\""),
        add("\"not-a-uuid\""),
        add("\"5a000000-0000-4000-8000-00000000000g\""),
        add("\"{5a000000-0000-4000-8000-000000000009}\""),
        add("\"5a0000000000400080000000000000099999\""),
        add("5"),
        add("null"),
        add("[\"5a000000-0000-4000-8000-000000000009\"]"),
        root("null"),
        root("[null]"),
        root("[5]"),
        root("[\"nobody\"]"),
        root(&format!("[\"{ROOT}\"]")),
        root("{}"),
    ];
    for fragment in broken {
        let index = attacker.index();
        let sync = format!(
            "{{\"type\":\"ScopeSync\",\"index\":{index},\"scopeIndex\":0,\"fragments\":[{fragment}]}}"
        );
        attacker.send_text(&sync).await;
        let reply = attacker.reply(index).await;
        assert!(is_refused(&reply["fragmentReplies"][0]), "{fragment}: {reply}");
    }
    workers.work().await;
}

fn is_refused(reply: &Value) -> bool {
    reply["error"]["message"].as_str().is_some_and(|message| !message.is_empty())
}

/// A frame that is announced as a hundred megabytes is refused before it is read.
pub async fn a_huge_frame_is_refused_unread() {
    const ANNOUNCED: u64 = 100 << 20;
    let victim = Victim::start();
    let mut workers = victim.workers().await;
    let before = victim.peak_memory();

    let mut whole = Client::join(&victim.address()).await;
    let mut head = vec![0x81, 0xff];
    head.extend(ANNOUNCED.to_be_bytes());
    head.extend([0; 4]);
    whole.send_bytes(&head).await;
    assert_eq!(whole.closed().await.0, 1009);

    let mut stranger = Client::open(&victim.address(), "/").await.expect("the server accepts");
    stranger.send_bytes(&head).await;
    assert_eq!(stranger.closed().await.0, 1009);

    let mut pieces = Client::join(&victim.address()).await;
    let mut piece = websocket::frame(websocket::CONTINUATION, &vec![b' '; 1 << 20]);
    piece[0] &= 0x7f;
    pieces.send_bytes(&[0x01, 0x80, 0, 0, 0, 0]).await;
    for _ in 0..100 {
        pieces.send_bytes(&piece).await;
    }
    let (code, _) = pieces.closed().await;
    assert!([1009, 1006].contains(&code), "in pieces it comes to the same: {code}");

    workers.work().await;
    let grown = victim.peak_memory().saturating_sub(before);
    assert!(grown < 25 << 20, "{grown} bytes for frames that were refused");
}

/// Text that is no UTF-8 closes the connection with the code that WebSocket has for it.
pub async fn invalid_utf8_closes_with_1007() {
    let victim = Victim::start();
    let mut workers = victim.workers().await;
    let overlong = b"{\"type\":\"\xc0\xaf\"}";
    for opcode in [websocket::TEXT, websocket::BINARY] {
        for bytes in [&b"\xff\xfe"[..], b"\xed\xa0\x80", b"\xf4\x90\x80\x80", overlong] {
            let mut attacker = Client::join(&victim.address()).await;
            attacker.send_bytes(&websocket::frame(opcode, bytes)).await;
            assert_eq!(attacker.closed().await.0, 1007, "{opcode} {bytes:?}");
        }
    }
    workers.work().await;
}

/// What breaks WebSocket's own rules closes that connection with 1002.
pub async fn broken_frames_close_with_1002() {
    let victim = Victim::start();
    let mut workers = victim.workers().await;
    let mut unmasked = vec![0x81, 2];
    unmasked.extend(b"{}");
    let too_long_a_ping = websocket::frame(websocket::PING, &[0; 200]);
    let mut fragmented_ping = websocket::frame(websocket::PING, b"");
    fragmented_ping[0] &= 0x7f;
    let frames: [&[u8]; 6] = [
        &unmasked,
        &[0x83, 0x80, 0, 0, 0, 0],
        &[0xc1, 0x80, 0, 0, 0, 0],
        &[0x80, 0x80, 0, 0, 0, 0],
        &too_long_a_ping,
        &fragmented_ping,
    ];
    for frame in frames {
        let mut attacker = Client::join(&victim.address()).await;
        attacker.send_bytes(frame).await;
        assert_eq!(attacker.closed().await.0, 1002, "{frame:?}");
    }
    workers.work().await;
}
