//! A WebSocket client that does exactly what it is told.
//!
//! Tests of a server need a peer that may break the rules: raw bytes, half a frame, several frames in
//! one write, no answer to a close. A well-behaved library hides all of that, so this is our own. It
//! checks what the server sends as strictly as a careful client would.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// What a client asks for when it opens a connection.
#[derive(Debug, Default)]
pub struct Handshake {
    /// The request's target; empty means `/`.
    pub path: String,
    /// Headers on top of those that a WebSocket needs.
    pub headers: Vec<(String, String)>,
    /// The subprotocols to offer, best first.
    pub protocols: Vec<String>,
    /// Offers permessage-deflate. The server may only decline: this client cannot inflate.
    pub deflate: bool,
}

/// The two halves of an open connection, and the subprotocol that the server chose.
#[derive(Debug)]
pub struct Opened {
    pub reader: Reader,
    pub writer: OwnedWriteHalf,
    pub protocol: Option<String>,
}

/// One WebSocket frame as it came.
#[derive(Debug)]
pub struct Frame {
    pub opcode: u8,
    pub is_final: bool,
    pub payload: Vec<u8>,
}

pub const CONTINUATION: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// The example of RFC 6455, section 1.3: a nonce and the answer it must get.
const NONCE: (&str, &str) = ("dGhlIHNhbXBsZSBub25jZQ==", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
/// Masking protects proxies, not us; a fixed mask makes a recorded failure repeatable.
const MASK: [u8; 4] = [0x12, 0x34, 0x56, 0x78];

/// Opens a WebSocket connection to `address` (`host:port`).
pub async fn open(address: &str, handshake: &Handshake) -> io::Result<Opened> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (read, mut write) = stream.into_split();
    write.write_all(request(address, handshake).as_bytes()).await?;
    let mut reader = BufReader::new(read);
    let mut lines = response_head(&mut reader).await?.into_iter();
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 101") {
        return Err(io::Error::other(format!("the server answered the handshake with: {status}")));
    }
    if header(lines.as_slice(), "sec-websocket-accept").as_deref() != Some(NONCE.1) {
        return Err(io::Error::other("the server's Sec-WebSocket-Accept is wrong"));
    }
    if let Some(extensions) = header(lines.as_slice(), "sec-websocket-extensions") {
        return Err(io::Error::other(format!("the server chose extensions: {extensions}")));
    }
    let protocol = header(lines.as_slice(), "sec-websocket-protocol");
    Ok(Opened { reader: Reader { stream: reader }, writer: write, protocol })
}

fn header(lines: &[String], name: &str) -> Option<String> {
    lines.iter().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    })
}

fn request(address: &str, handshake: &Handshake) -> String {
    let path = if handshake.path.is_empty() { "/" } else { &handshake.path };
    let mut text = format!(
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {}\r\n",
        NONCE.0
    );
    if !handshake.protocols.is_empty() {
        text += &format!("Sec-WebSocket-Protocol: {}\r\n", handshake.protocols.join(", "));
    }
    if handshake.deflate {
        text += "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    }
    for (name, value) in &handshake.headers {
        text += &format!("{name}: {value}\r\n");
    }
    text + "\r\n"
}

async fn response_head(reader: &mut BufReader<OwnedReadHalf>) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = line.trim_end();
        if line.is_empty() {
            return Ok(lines);
        }
        lines.push(line.to_owned());
    }
}

/// The half of a connection that frames come from.
#[derive(Debug)]
pub struct Reader {
    stream: BufReader<OwnedReadHalf>,
}

impl Reader {
    /// The next frame, or an error when the connection ends or the server breaks the protocol.
    pub async fn next(&mut self) -> io::Result<Frame> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).await?;
        let [first, second] = head;
        if first & 0x70 != 0 {
            return Err(io::Error::other("the server set a reserved bit"));
        }
        if second & 0x80 != 0 {
            return Err(io::Error::other("the server masked a frame"));
        }
        let length = match second & 0x7f {
            126 => u64::from(self.stream.read_u16().await?),
            127 => self.stream.read_u64().await?,
            short => u64::from(short),
        };
        let mut payload = vec![0; usize::try_from(length).expect("a frame fits into memory")];
        self.stream.read_exact(&mut payload).await?;
        Ok(Frame { opcode: first & 0x0f, is_final: first & 0x80 != 0, payload })
    }
}

/// A complete, masked frame.
pub fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        short @ ..126 => bytes.push(0x80 | short as u8),
        middle @ ..0x1_0000 => {
            bytes.push(0x80 | 126);
            bytes.extend((middle as u16).to_be_bytes());
        }
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The payload of a close frame: nothing, or a code and a reason.
pub fn close_payload(close: Option<(u16, &str)>) -> Vec<u8> {
    close.map_or_else(Vec::new, |(code, reason)| {
        [&code.to_be_bytes()[..], reason.as_bytes()].concat()
    })
}

/// The code and the reason in the payload of a close frame; 1005 stands for none.
pub fn close_reason(payload: &[u8]) -> (u16, String) {
    match payload.split_first_chunk::<2>() {
        Some((code, reason)) => {
            (u16::from_be_bytes(*code), String::from_utf8_lossy(reason).into_owned())
        }
        None => (1005, String::new()),
    }
}
