//! permessage-deflate over a real socket, with a client that is only bytes.

use jetstream_core::ids::SharedText;
use jetstream_core::wire::Piece;

use super::super::deflate::pack;
use super::*;
use crate::transport::FramePart;

fn offering() -> String {
    HANDSHAKE.replace("Host:", "Sec-WebSocket-Extensions: permessage-deflate\r\nHost:")
}

fn compressing() -> WebSocket {
    local().compression(true)
}

/// A text as the payload of a compressed message.
fn packed(text: &str) -> Vec<u8> {
    let packed = pack(text);
    packed[..packed.len() - 4].to_vec()
}

/// What the payload of a compressed message means, as another inflater reads it.
fn inflated(payload: &[u8]) -> String {
    let mut inflate = flate2::Decompress::new(false);
    let mut out = Vec::with_capacity(8 << 20);
    let whole = [payload, &[0, 0, 0xff, 0xff]].concat();
    inflate.decompress_vec(&whole, &mut out, flate2::FlushDecompress::Sync).unwrap();
    assert_eq!(inflate.total_in() as usize, whole.len());
    String::from_utf8(out).unwrap()
}

/// The first byte of the next frame, and its payload.
async fn frame(stream: &mut TcpStream) -> (u8, Vec<u8>) {
    let first = stream.read_u8().await.unwrap();
    let length = match stream.read_u8().await.unwrap() {
        126 => u64::from(stream.read_u16().await.unwrap()),
        127 => stream.read_u64().await.unwrap(),
        short => u64::from(short),
    };
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await.unwrap();
    (first, payload)
}

#[tokio::test]
async fn pieces_of_states_go_compressed_and_all_else_as_it_is() {
    let (mut listener, address) = listen(compressing(), |_| {}).await;
    let (mut stream, connection) = raw_after(&mut listener, address, &offering()).await;
    let shared: SharedText = "a broadcast ".repeat(100).into();
    let pieces: Vec<Piece> =
        (0..40).map(|n| Piece::from(&*format!("the piece {n} of a state, ").repeat(100))).collect();
    connection.sink.send(&[FramePart::Copied("[{"), FramePart::Shared(&shared)]);
    let (first, payload) = frame(&mut stream).await;
    assert_eq!((first, payload), (0x81, format!("[{{{shared}").into_bytes()));
    let long = "x".repeat(70_000);
    let mut parts = vec![FramePart::Copied("[{"), FramePart::Shared(&shared)];
    parts.extend(pieces.iter().map(FramePart::Piece));
    parts.extend([FramePart::Copied(&long), FramePart::Piece(&pieces[0]), FramePart::Copied("}]")]);
    let text: String = parts.iter().map(|part| part.as_str()).collect();
    for _ in 0..2 {
        connection.sink.send(&parts);
        let (first, payload) = frame(&mut stream).await;
        assert_eq!(first, 0xc1);
        assert!(payload.len() < 80_000, "{}", payload.len());
        assert!(inflated(&payload) == text);
    }
}

#[tokio::test]
async fn a_long_state_is_compressed_by_and_by() {
    let (mut listener, address) = listen(compressing(), |_| {}).await;
    let (mut stream, connection) = raw_after(&mut listener, address, &offering()).await;
    let object = |n: u32| format!("the object {n} of a state, ").repeat(1000);
    let pieces: Vec<Piece> = (0..200).map(|n| Piece::from(&*object(n))).collect();
    let mut parts = vec![FramePart::Copied("[{")];
    parts.extend(pieces.iter().map(FramePart::Piece));
    let text: String = parts.iter().map(|part| part.as_str()).collect();
    let mut lengths = Vec::new();
    for _ in 0..4 {
        connection.sink.send(&parts);
        let sink = connection.sink.clone();
        let written = tokio::spawn(async move { poll_fn(|cx| sink.poll_writable(cx)).await });
        let (_, payload) = frame(&mut stream).await;
        written.await.unwrap();
        assert!(inflated(&payload) == text);
        lengths.push(payload.len());
    }
    assert!(lengths[0] > lengths[1] && lengths[1] > lengths[2], "{lengths:?}");
    assert_eq!(lengths[2], lengths[3]);
}

#[tokio::test]
async fn a_compressed_message_is_read_like_any_other() {
    let (mut listener, address) = listen(compressing(), |_| {}).await;
    let together = [offering().as_bytes(), &masked(0xc1, &packed("in a hurry"))].concat();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(&together).await.unwrap();
    let mut connection = listener.accept().await.unwrap();
    let rest = [masked(0x41, &packed("cut")[..2]), masked(0x80, &packed("cut")[2..])];
    stream.write_all(&[rest.concat(), masked(0x81, b"plain")].concat()).await.unwrap();
    for expected in ["in a hurry", "cut", "plain"] {
        let received = poll_fn(|context| connection.source.poll_frame(context)).await;
        assert!(matches!(received, Received::Frame(text) if &*text == expected), "{expected}");
    }
}

#[tokio::test]
async fn what_breaks_the_rules_of_compression_is_closed_with_the_code_for_it() {
    let code = async |bytes: &[u8]| code_after(compressing(), &offering(), bytes).await;
    assert_eq!(code(&masked(0xc1, b"\xff\xff\xff")).await, 1007, "no compressed data");
    assert_eq!(code(&masked(0xc1, &packed("text")[1..])).await, 1007, "its beginning is lost");
    let two_halves = [masked(0x41, b"a"), masked(0xc0, b"b")].concat();
    assert_eq!(code(&two_halves).await, 1002, "the bit stands on the first frame only");
    assert_eq!(code(&masked(0xc9, b"ping")).await, 1002, "control frames are never compressed");
    assert_eq!(code(&masked(0xc0, b"continues nothing")).await, 1002);
    // Some fifty thousand bytes that mean five million.
    let bomb = packed(&"0".repeat(5 << 20));
    let length = u16::try_from(bomb.len()).unwrap().to_be_bytes();
    let bomb = [&[0xc1, 0xfe, length[0], length[1], 0, 0, 0, 0], &bomb[..]].concat();
    assert_eq!(code(&bomb).await, 1009);
    // Whoever did not agree on it may not use it.
    assert_eq!(code_after(compressing(), HANDSHAKE, &masked(0xc1, &packed("text"))).await, 1002);
    assert_eq!(code_after(local(), &offering(), &masked(0xc1, &packed("text"))).await, 1002);
}
