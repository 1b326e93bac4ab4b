//! The contract of a [`Transport`] as a suite: each function is one sentence of it.
//!
//! An implementation says how a client of it is made ([`Harness`]) and invokes
//! [`transport_contract!`](crate::transport_contract) in a test module.

use std::future::poll_fn;
use std::sync::Arc;

use super::memory::FromServer;
use super::{
    Connection, Departure, Entrance, Environment, FramePart, Listener, Proxies, Received, Sent,
};
use crate::future::BoxFuture;
use crate::metrics::Metrics;
use jetstream_core::ids::SharedText;
use jetstream_core::limits::Limits;

/// Makes transports and clients for them.
pub trait Harness: Send + Sync {
    /// A transport in its place, and what makes clients for it.
    fn open(
        &self,
        environment: Environment,
    ) -> BoxFuture<'static, (Box<dyn Listener>, Box<dyn Connect>)>;
}

/// Makes clients.
pub trait Connect: Send + Sync {
    /// Connects to the path with one header more; `None` if it was not let in.
    fn connect(
        &self,
        path: &str,
        header: (&str, &str),
    ) -> BoxFuture<'static, Option<Box<dyn Client>>>;
}

/// A client's end. Dropped, it is gone.
pub trait Client: Send {
    /// Sends a frame.
    fn send(&mut self, text: String) -> BoxFuture<'_, ()>;
    /// Receives a frame or the close; `None` if the connection is gone.
    fn recv(&mut self) -> BoxFuture<'_, Option<FromServer>>;
}

/// One test for each sentence, for a [`Harness`] given as an expression.
#[macro_export]
macro_rules! transport_contract {
    ($harness:expr) => {
        $crate::transport_contract! { $harness,
            what_the_client_said_is_handed_on,
            frames_from_the_client_come_whole_and_in_order,
            a_frame_that_is_too_long_closes_the_connection,
            a_client_that_goes_ends_the_source_and_closes_the_sink,
            frames_to_the_client_arrive_whole_and_in_order,
            a_client_that_does_not_read_fills_the_sink_and_loses_nothing,
            what_was_sent_before_a_close_arrives_before_it,
            what_goes_with_a_departure_arrives_in_order_with_the_rest,
            a_departure_that_is_not_taken_whole_tells_whose_and_loses_nothing,
            what_was_put_aboard_before_a_close_arrives_before_it,
            only_the_first_close_counts,
            without_a_permit_no_connection_is_made,
            a_dropped_listener_accepts_no_more_and_its_connections_live_on,
        }
    };
    ($harness:expr, $($sentence:ident,)*) => {
        $(
            #[tokio::test]
            async fn $sentence() {
                $crate::transport::contract::$sentence(&$harness).await;
            }
        )*
    };
}

/// The path, the headers and the connection parameters reach the server.
pub async fn what_the_client_said_is_handed_on(harness: &dyn Harness) {
    let mut world = World::new(harness).await;
    let path = "/boards/7?x-jetstream-User=ann%20b&x-jetstream-sessionToken=secret";
    let (_client, connection) = world.connect(path, ("X-Jetstream-Device", "phone")).await;
    let info = &connection.info;
    assert_eq!(info.path(), "/boards/7");
    assert_eq!(info.parameter("user"), Some("ann b"));
    assert_eq!(info.parameter("device"), Some("phone"));
    assert_eq!(info.header("x-jetstream-device"), Some("phone"));
    assert_eq!(info.session_token(), Some("secret"));
    assert!(connection.pending.is_some());
}

/// Frames come whole, in the order in which they were sent, each once.
pub async fn frames_from_the_client_come_whole_and_in_order(harness: &dyn Harness) {
    let mut world = World::new(harness).await;
    let (mut client, mut connection) = world.connect("/", NO_HEADER).await;
    let texts = texts();
    for text in &texts {
        client.send(text.clone()).await;
        let Received::Frame(received) = next(&mut connection).await else { panic!("ended") };
        assert_eq!(*received, **text);
    }
}

/// None is longer than the limit: a longer one closes the connection with the transport's code.
pub async fn a_frame_that_is_too_long_closes_the_connection(harness: &dyn Harness) {
    let mut world = World::new(harness).await;
    let (mut client, mut connection) = world.connect("/", NO_HEADER).await;
    let limit = world.environment.limits.message_bytes_max;
    client.send("x".repeat(limit)).await;
    assert!(matches!(next(&mut connection).await, Received::Frame(text) if text.len() == limit));
    client.send("x".repeat(limit + 1)).await;
    assert!(matches!(next(&mut connection).await, Received::Ended));
    linger(connection);
    assert!(matches!(client.recv().await, Some(FromServer::Closed { code: 1009, .. })));
}

/// When the client is gone, the source ends and the sink takes nothing more.
pub async fn a_client_that_goes_ends_the_source_and_closes_the_sink(harness: &dyn Harness) {
    let mut world = World::new(harness).await;
    let (client, mut connection) = world.connect("/", NO_HEADER).await;
    drop(client);
    assert!(matches!(next(&mut connection).await, Received::Ended));
    // A network may take frames for a moment before it tells that nobody is there.
    while send(&connection, &["anyone?"]) != Sent::Closed {
        poll_fn(|context| connection.sink.poll_writable(context)).await;
        tokio::task::yield_now().await;
    }
    poll_fn(|context| connection.sink.poll_writable(context)).await;
}

/// Frames arrive whole, in the order in which they were sent, however they are cut into parts.
pub async fn frames_to_the_client_arrive_whole_and_in_order(harness: &dyn Harness) {
    let mut world = World::new(harness).await;
    let (mut client, connection) = world.connect("/", NO_HEADER).await;
    for text in texts() {
        let cut = text.char_indices().nth(text.chars().count() / 3).map_or(0, |(at, _)| at);
        let shared = text[cut..].into();
        connection.sink.send(&[FramePart::Copied(&text[..cut]), FramePart::Shared(&shared)]);
        // Something must carry away what the connection did not take at once.
        let sink = connection.sink.clone();
        let writing =
            tokio::spawn(async move { poll_fn(|context| sink.poll_writable(context)).await });
        assert_eq!(client.recv().await, Some(FromServer::Frame(text)));
        writing.await.unwrap();
    }
    let many_parts: Vec<String> = (0..3000).map(|part| format!("{part},")).collect();
    let parts: Vec<&str> = many_parts.iter().map(String::as_str).collect();
    send(&connection, &parts);
    poll_fn(|context| connection.sink.poll_writable(context)).await;
    assert_eq!(client.recv().await, Some(FromServer::Frame(many_parts.concat())));
}

/// A sink never blocks: what the client does not take is kept, and there is room again once it reads.
pub async fn a_client_that_does_not_read_fills_the_sink_and_loses_nothing(harness: &dyn Harness) {
    let mut world = World::new(harness).await;
    let (mut client, connection) = world.connect("/", NO_HEADER).await;
    let frame: SharedText = "y".repeat(64 << 10).into();
    let mut sent = 0;
    loop {
        sent += 1;
        let number = sent.to_string();
        match connection.sink.send(&[FramePart::Copied(&number), FramePart::Shared(&frame)]) {
            Sent::Room => assert!(sent < 10_000, "the sink never gets full"),
            Sent::Full => break,
            Sent::Closed => panic!("closed"),
        }
    }
    let sink = connection.sink.clone();
    let writable = tokio::spawn(async move { poll_fn(|c| sink.poll_writable(c)).await });
    for expected in 1..=sent {
        let Some(FromServer::Frame(text)) = client.recv().await else { panic!("lost {expected}") };
        assert_eq!(text.strip_suffix(&*frame), Some(&*expected.to_string()));
    }
    writable.await.unwrap();
    assert_eq!(send(&connection, &["room"]), Sent::Room);
    assert_eq!(client.recv().await, Some(FromServer::Frame("room".to_owned())));
}

/// What was sent before a close arrives before it; nothing is sent after it.
pub async fn what_was_sent_before_a_close_arrives_before_it(harness: &dyn Harness) {
    let mut world = World::new(harness).await;
    let (mut client, connection) = world.connect("/", NO_HEADER).await;
    let long = "z".repeat(1 << 20);
    send(&connection, &[&long]);
    connection.sink.close(4097, "over");
    assert_eq!(send(&connection, &["too late"]), Sent::Closed);
    linger(connection);
    assert_eq!(client.recv().await, Some(FromServer::Frame(long)));
    let closed = FromServer::Closed { code: 4097, reason: "over".to_owned() };
    assert_eq!(client.recv().await, Some(closed));
    assert_eq!(client.recv().await, None);
}

/// Frames that leave with others' arrive in the order in which they were sent, also among those that do not.
pub async fn what_goes_with_a_departure_arrives_in_order_with_the_rest(harness: &dyn Harness) {
    let mut world = World::new(harness).await;
    let (mut ann, mut bo) =
        (world.connect("/", NO_HEADER).await, world.connect("/", NO_HEADER).await);
    let mut departure = Departure::default();
    for round in 0..3 {
        // The last one goes by itself, though one before it is aboard.
        for text in ["a", "b"] {
            send_with(&ann.1, &[text, "nn"], &mut departure);
        }
        send_with(&bo.1, &["bo"], &mut departure);
        for (connection, text) in [(&ann.1, "d"), (&bo.1, "e")] {
            send(connection, &[text]);
        }
        let lingering = [&ann.1, &bo.1].map(|connection| {
            let sink = connection.sink.clone();
            tokio::spawn(async move { poll_fn(|context| sink.poll_writable(context)).await })
        });
        tokio::task::yield_now().await;
        departure.leave(|_| {});
        for (client, texts) in [(&mut ann.0, &["ann", "bnn", "d"][..]), (&mut bo.0, &["bo", "e"])] {
            for text in texts {
                let expected = FromServer::Frame((*text).to_owned());
                assert_eq!(client.recv().await, Some(expected), "in round {round}");
            }
        }
        for writing in lingering {
            writing.await.unwrap();
        }
    }
}

/// Whoever's frames a departure could not get rid of is told of, and waits for room as after any other frame.
pub async fn a_departure_that_is_not_taken_whole_tells_whose_and_loses_nothing(
    harness: &dyn Harness,
) {
    let mut world = World::new(harness).await;
    let ((mut client, slow), (mut other, quick)) =
        (world.connect("/", NO_HEADER).await, world.connect("/", NO_HEADER).await);
    let filling = "y".repeat(1 << 10);
    let mut departure = Departure::default();
    let (mut sent, mut held_up) = (0_usize, false);
    while !held_up {
        assert!(sent < 1_000_000, "the sink never gets full");
        departure.turn(7);
        let number = sent.to_string();
        held_up = send_with(&slow, &[&number, " ", &filling], &mut departure) == Sent::Full;
        sent += 1;
        departure.turn(8);
        send_with(&quick, &["on time"], &mut departure);
        departure.leave(|turn| {
            assert_eq!(turn, 7, "the other one reads");
            held_up = true;
        });
        assert_eq!(other.recv().await, Some(FromServer::Frame("on time".to_owned())));
    }
    let sink = slow.sink.clone();
    let writable = tokio::spawn(async move { poll_fn(|c| sink.poll_writable(c)).await });
    for expected in 0..sent {
        let Some(FromServer::Frame(text)) = client.recv().await else { panic!("lost {expected}") };
        assert_eq!(text, format!("{expected} {filling}"));
    }
    writable.await.unwrap();
    assert_eq!(send_with(&slow, &["room"], &mut departure), Sent::Room);
    departure.leave(|_| panic!("there is room"));
    assert_eq!(client.recv().await, Some(FromServer::Frame("room".to_owned())));
}

/// What is put aboard counts as sent, also if the connection is closed or gone before it leaves.
pub async fn what_was_put_aboard_before_a_close_arrives_before_it(harness: &dyn Harness) {
    let mut world = World::new(harness).await;
    let (mut client, connection) = world.connect("/", NO_HEADER).await;
    let (gone, left) = world.connect("/", NO_HEADER).await;
    let mut departure = Departure::default();
    send_with(&connection, &["last"], &mut departure);
    send_with(&left, &["last"], &mut departure);
    drop(gone);
    drop(left);
    connection.sink.close(4097, "over");
    assert_eq!(send_with(&connection, &["too late"], &mut departure), Sent::Closed);
    linger(connection);
    tokio::task::yield_now().await;
    departure.leave(|_| {});
    assert_eq!(client.recv().await, Some(FromServer::Frame("last".to_owned())));
    let closed = FromServer::Closed { code: 4097, reason: "over".to_owned() };
    assert_eq!(client.recv().await, Some(closed));
    assert_eq!(client.recv().await, None);
}

/// Of several closes the client is told the first.
pub async fn only_the_first_close_counts(harness: &dyn Harness) {
    let mut world = World::new(harness).await;
    let (mut client, connection) = world.connect("/", NO_HEADER).await;
    connection.sink.close(1001, "first");
    connection.sink.close(4097, "second");
    linger(connection);
    let closed = FromServer::Closed { code: 1001, reason: "first".to_owned() };
    assert_eq!(client.recv().await, Some(closed));
}

/// Connections beyond the permits are closed at once; a permit given back lets the next one in.
pub async fn without_a_permit_no_connection_is_made(harness: &dyn Harness) {
    let mut world = World::new(harness).await;
    let mut held = Vec::new();
    for _ in 0..PENDING_MAX {
        held.push(world.connect("/", NO_HEADER).await);
    }
    let refused = world.connector.connect("/", NO_HEADER).await;
    if let Some(mut refused) = refused {
        // Depending on the transport the client learns it at once or with its first read. Accepting
        // goes on meanwhile, for that is where some transports notice.
        tokio::select! {
            received = refused.recv() => assert_eq!(received, None),
            _ = world.listener.accept() => panic!("let in without a permit"),
        }
    }
    let (_, connection) = held.pop().unwrap();
    drop(connection);
    world.connect("/", NO_HEADER).await;
}

/// Dropped, a listener accepts no more; the connections that it has handed out live on.
pub async fn a_dropped_listener_accepts_no_more_and_its_connections_live_on(harness: &dyn Harness) {
    let mut world = World::new(harness).await;
    let (mut client, mut connection) = world.connect("/", NO_HEADER).await;
    let World { listener, connector, .. } = world;
    drop(listener);
    tokio::task::yield_now().await;
    if let Some(mut late) = connector.connect("/", NO_HEADER).await {
        assert_eq!(late.recv().await, None);
    }
    client.send("still here".to_owned()).await;
    assert!(matches!(next(&mut connection).await, Received::Frame(text) if &*text == "still here"));
    send(&connection, &["so am I"]);
    assert_eq!(client.recv().await, Some(FromServer::Frame("so am I".to_owned())));
}

/// A transport, its connector and what it was given.
struct World {
    environment: Environment,
    listener: Box<dyn Listener>,
    connector: Box<dyn Connect>,
}

impl World {
    async fn new(harness: &dyn Harness) -> Self {
        let limits = Limits {
            message_bytes_max: 100_000,
            connections_pending_max: PENDING_MAX,
            ..Limits::default()
        };
        let (limits, metrics) = (Arc::new(limits), Metrics::new());
        let entrance = Entrance::new(limits.clone(), metrics.clone(), Proxies::default());
        let environment = Environment { limits, metrics, entrance: Arc::new(entrance) };
        let (listener, connector) = harness.open(environment.clone()).await;
        Self { environment, listener, connector }
    }

    async fn connect(&mut self, path: &str, header: (&str, &str)) -> (Box<dyn Client>, Connection) {
        let (client, connection) =
            tokio::join!(self.connector.connect(path, header), self.listener.accept());
        (client.expect("let in"), connection.expect("accepting"))
    }
}

async fn next(connection: &mut Connection) -> Received {
    poll_fn(|context| connection.source.poll_frame(context)).await
}

fn send(connection: &Connection, parts: &[&str]) -> Sent {
    let parts: Vec<_> = parts.iter().map(|part| FramePart::Copied(part)).collect();
    connection.sink.send(&parts)
}

fn send_with(connection: &Connection, parts: &[&str], departure: &mut Departure) -> Sent {
    let parts: Vec<_> = parts.iter().map(|part| FramePart::Copied(part)).collect();
    connection.sink.clone().send_with(&parts, departure)
}

/// What a server does with a connection that it has closed.
fn linger(mut connection: Connection) {
    tokio::spawn(async move {
        poll_fn(|context| connection.sink.poll_writable(context)).await;
        poll_fn(|context| connection.source.poll_gone(context)).await;
    });
}

/// Of all lengths that have a form of their own, and with characters of all lengths.
fn texts() -> Vec<String> {
    let mut texts: Vec<String> =
        [0, 1, 125, 126, 65_535, 65_536, 99_000].map(|length| "t".repeat(length)).into();
    texts.push("a é € 😀 \" \\ \u{0} \n".to_owned());
    texts
}

const NO_HEADER: (&str, &str) = ("x-nothing", "");
const PENDING_MAX: usize = 3;
