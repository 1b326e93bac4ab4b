//! Connections that never become sessions.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::victim::Victim;

/// How many connections stay silent at the same time.
const SILENT: usize = 2_000;

/// Thousands that connect and never speak cost little, and nobody notices them.
pub async fn thousands_may_stay_silent() {
    let victim = Victim::start();
    let mut workers = victim.workers().await;
    let before = victim.peak_memory();
    let mut silent = Vec::new();
    for _ in 0..SILENT / 2 {
        silent.push(Client::open(&victim.address(), "/").await.expect("the server accepts"));
    }
    let mut mute = Vec::new();
    for _ in 0..SILENT / 2 {
        mute.push(TcpStream::connect(victim.address()).await.expect("the server accepts"));
    }
    workers.work().await;
    let each = victim.peak_memory().saturating_sub(before) / SILENT as u64;
    assert!(each < 16 << 10, "{each} bytes for a connection that never spoke");
}

/// Past the bound of connections without a session further ones are closed at once; those with a
/// session stay, and there is room again when the silent ones are gone.
pub async fn beyond_the_bound_strangers_are_turned_away() {
    const PLACES: usize = 100;
    let victim = Victim::with_limits(&["connections_pending_max=100"]);
    let mut workers = victim.workers().await;
    let mut inside = Vec::new();
    while inside.len() < PLACES {
        inside.push(Client::open(&victim.address(), "/").await.expect("there is room"));
    }
    for _ in 0..20 {
        assert!(Client::open(&victim.address(), "/").await.is_err(), "there is no room");
    }
    workers.work().await;
    drop(inside);
    while Client::open(&victim.address(), "/").await.is_err() {
        tokio::task::yield_now().await;
    }
    workers.work().await;
}

/// A request that never ends is dropped when its time is up, however busily it drips.
pub async fn half_a_handshake_is_dropped() {
    let victim = Victim::with_limits(&["handshake_timeout_ms=300", "establish_timeout_ms=300"]);
    let mut workers = victim.workers().await;
    let half = b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upg";
    for request in [&b""[..], b"G", half, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"] {
        let mut stream = TcpStream::connect(victim.address()).await.expect("the server accepts");
        stream.write_all(request).await.expect("the server reads");
        drain(&mut stream).await;
    }
    // Slow-loris: a byte now and then, so that no single read ever waits long.
    victim.dripped(b"GET / HTTP/1.1\r\n", b"a: b\r\n").await;
    // Who makes it to WebSocket and no further is told why.
    let mut stranger = Client::open(&victim.address(), "/").await.expect("the server accepts");
    let (code, reason) = stranger.closed().await;
    assert_eq!(code, 4096);
    assert!(reason.contains("session-establish-timedout"), "{reason}");
    workers.work().await;
}

/// Reads until the server has closed the connection.
async fn drain(stream: &mut TcpStream) {
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(std::time::Duration::from_secs(20), read)
        .await
        .expect("the server closes");
}

/// Headers without end are refused; so is what is not WebSocket at all.
pub async fn odd_requests_are_answered_or_dropped() {
    let victim = Victim::start();
    let mut workers = victim.workers().await;
    let mut endless = b"GET / HTTP/1.1\r\nHost: x\r\n".to_vec();
    for number in 0..20_000 {
        endless.extend(format!("x-{number}: {}\r\n", "y".repeat(50)).into_bytes());
    }
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\n";
    let requests = [
        endless,
        b"\x00\x01\x02\x03\r\n\r\n".to_vec(),
        format!("POST / HTTP/1.1\r\nHost: x\r\n{upgrade}\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{upgrade}Sec-WebSocket-Version: 7\r\n\r\n").into_bytes(),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{upgrade}Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\n\r\n")
            .into_bytes(),
    ];
    for request in requests {
        let mut stream = TcpStream::connect(victim.address()).await.expect("the server accepts");
        let _ = stream.write_all(&request).await;
        let mut start = [0; 12];
        let answered = stream.read_exact(&mut start).await.is_ok();
        assert!(
            !answered || start.starts_with(b"HTTP/1.1 4"),
            "{}",
            String::from_utf8_lossy(&start)
        );
    }
    workers.work().await;
}

/// A token that is guessed is refused like any other; a session is not found by trying.
pub async fn a_token_is_not_guessed() {
    let victim = Victim::start();
    let mut workers = victim.workers().await;
    let token = Client::establish(&victim.address()).await.token;
    assert!(token.len() >= 32, "{} characters", token.len());
    let mut guesses: Vec<String> =
        ["x", "constructor", "__proto__", "null", "0"].map(str::to_owned).to_vec();
    guesses.push(token[..token.len() - 1].to_owned());
    guesses.push(format!("{token}0"));
    guesses.push(token.chars().rev().collect());
    guesses.push("a".repeat(6_000));
    guesses.extend((0..200).map(|number| format!("{number:043}")));
    for guess in guesses {
        let path = format!("/?x-jetstream-sessiontoken={guess}");
        let mut attacker =
            Client::open(&victim.address(), &path).await.expect("the server accepts");
        let (code, reason) = attacker.closed().await;
        assert_eq!(code, 4096, "{guess}");
        assert!(reason.contains("session-token-unrecognized"), "{reason}");
    }
    workers.work().await;
}
