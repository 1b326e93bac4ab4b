//! Clients over real sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;

use crate::peer::{Event, Inbox, Network, Outgoing, Peer};
use crate::scenario::Connect;
use crate::websocket::{self, Handshake, Opened, Reader};

/// A server that listens on a TCP address.
#[derive(Debug)]
pub struct Sockets {
    /// `host:port`.
    pub address: String,
}

impl Network for Sockets {
    type Peer = Socket;

    async fn connect(&self, options: &Connect, inbox: Inbox) -> Result<Socket, String> {
        let handshake = Handshake {
            path: options.path.clone(),
            headers: options.headers.clone().into_iter().collect(),
            protocols: options.protocols.clone(),
            deflate: options.deflate,
        };
        let Opened { reader, writer, protocol } = websocket::open(&self.address, &handshake)
            .await
            .map_err(|error| format!("could not connect: {error}"))?;
        if options.expect_protocol.is_some() && options.expect_protocol != protocol {
            return Err(format!("the server chose the subprotocol {protocol:?}"));
        }
        let writer = Arc::new(Mutex::new(writer));
        let closing = Arc::new(AtomicBool::new(false));
        let reading = tokio::spawn(read(reader, Arc::clone(&writer), Arc::clone(&closing), inbox));
        Ok(Socket { writer, closing, reading })
    }

    fn short_quiet_ms(&self) -> u64 {
        30
    }
}

/// One connection.
#[derive(Debug)]
pub struct Socket {
    writer: Arc<Mutex<OwnedWriteHalf>>,
    /// We asked for the close: it is no event.
    closing: Arc<AtomicBool>,
    reading: JoinHandle<()>,
}

impl Peer for Socket {
    async fn write(&mut self, outgoing: Vec<Outgoing>) {
        let mut bytes = Vec::new();
        for part in outgoing {
            match part {
                Outgoing::Text(text) => {
                    bytes.extend(websocket::frame(websocket::TEXT, text.as_bytes()));
                }
                Outgoing::Binary(binary) => {
                    bytes.extend(websocket::frame(websocket::BINARY, &binary));
                }
                Outgoing::Close(close) => {
                    self.closing.store(true, Ordering::SeqCst);
                    let close = close.as_ref().map(|(code, reason)| (*code, reason.as_str()));
                    bytes.extend(websocket::frame(
                        websocket::CLOSE,
                        &websocket::close_payload(close),
                    ));
                }
                Outgoing::Raw(raw) => bytes.extend(raw),
            }
        }
        // The server may have closed the connection; then the expectation says so.
        let _ = self.writer.lock().await.write_all(&bytes).await;
    }

    async fn terminate(self) {
        self.reading.abort();
        let _ = self.reading.await;
    }
}

/// Hands on what arrives, and does what every WebSocket client does: answers pings and closes.
async fn read(
    mut reader: Reader,
    writer: Arc<Mutex<OwnedWriteHalf>>,
    closing: Arc<AtomicBool>,
    inbox: Inbox,
) {
    let mut message: Vec<u8> = Vec::new();
    let closed = loop {
        let frame = match reader.next().await {
            Ok(frame) => frame,
            Err(error) => break Event::Closed { code: 1006, reason: error.to_string() },
        };
        match frame.opcode {
            websocket::CONTINUATION | websocket::TEXT | websocket::BINARY => {
                message.extend(frame.payload);
                if frame.is_final {
                    let text = String::from_utf8_lossy(&message).into_owned();
                    Event::of_frame(&text).into_iter().for_each(|event| inbox.put(event));
                    message.clear();
                }
            }
            websocket::PING => {
                let pong = websocket::frame(websocket::PONG, &frame.payload);
                let _ = writer.lock().await.write_all(&pong).await;
            }
            websocket::CLOSE => {
                if !closing.load(Ordering::SeqCst) {
                    let echo = websocket::frame(websocket::CLOSE, &frame.payload);
                    let _ = writer.lock().await.write_all(&echo).await;
                }
                let (code, reason) = websocket::close_reason(&frame.payload);
                break Event::Closed { code, reason };
            }
            _ => {}
        }
    };
    if !closing.load(Ordering::SeqCst) {
        inbox.put(closed);
    }
}
