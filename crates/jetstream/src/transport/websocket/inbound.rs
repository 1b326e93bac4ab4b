//! The reading half of a connection: bytes into whole texts, by way of tungstenite.
//!
//! tungstenite is handed the stream anew with each call: reads come from the socket, and what it has to
//! say itself (pongs, the echo of a close) goes through the connection's sink, behind what waits there.

use std::io::{self, Read, Write};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tungstenite::error::{CapacityError, Error, ProtocolError};
use tungstenite::protocol::{Message, Role, WebSocketConfig, WebSocketContext};
use tungstenite::{Bytes, Utf8Bytes};

use super::inflate::{Failure, Inflating};
use super::outbound::ControlSink;
use crate::transport::{FrameSource, FrameText, Received};

/// The reading half of a connection.
pub(super) struct SocketSource<R> {
    socket: R,
    sink: Arc<dyn ControlSink>,
    reader: Reader,
    /// How many bytes the decoder was given beyond the messages that it has made of them.
    undecoded: usize,
    /// The decoder holds a pong that the sink has no room for.
    owes_pong: bool,
    message_bytes_max: usize,
    /// Whether the client may send compressed frames.
    compresses: bool,
    /// How many bytes were read beside those that came out as texts.
    beside: usize,
    /// How many of them have to be told.
    overhead: usize,
}

/// A connection that is silent keeps no buffers: ten thousand of them should cost nothing.
enum Reader {
    /// What was read and not decoded: mostly nothing.
    Silent(Vec<u8>),
    Speaking(Box<WebSocketContext>, Option<Box<Inflating>>),
}

impl<R: AsyncRead + Send + Unpin> SocketSource<R> {
    /// Reads from `socket`, after what was `already_read` of it.
    pub(super) fn new(
        socket: R,
        sink: Arc<dyn ControlSink>,
        already_read: &[u8],
        (message_bytes_max, compresses): (usize, bool),
    ) -> Self {
        let reader = Reader::Silent(already_read.to_vec());
        Self {
            socket,
            sink,
            reader,
            undecoded: 0,
            owes_pong: false,
            message_bytes_max,
            compresses,
            beside: 0,
            overhead: 0,
        }
    }

    /// The decoder, made when the first bytes have come; `None` if none came before the end.
    fn poll_speaking(&mut self, context: &mut Context<'_>) -> Poll<Option<()>> {
        let Reader::Silent(already_read) = &mut self.reader else { return Poll::Ready(Some(())) };
        if already_read.is_empty() {
            let mut first = [0; 512];
            let mut buffer = ReadBuf::new(&mut first);
            let read = ready!(Pin::new(&mut self.socket).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(None);
            }
            already_read.extend_from_slice(buffer.filled());
        }
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(CONTROL_BUFFER_BYTES_MAX)
            .max_message_size(Some(self.message_bytes_max))
            .max_frame_size(Some(self.message_bytes_max));
        let mut already_read = std::mem::take(already_read);
        self.beside += already_read.len();
        let inflating = self.compresses.then(|| {
            let arrived = std::mem::take(&mut already_read);
            Box::new(Inflating::new(&arrived, self.message_bytes_max))
        });
        self.undecoded = already_read.len();
        let context =
            WebSocketContext::from_partially_read(already_read, Role::Server, Some(config));
        self.reader = Reader::Speaking(Box::new(context), inflating);
        Poll::Ready(Some(()))
    }

    fn read(&mut self, context: &mut Context<'_>) -> Result<Message, Error> {
        let Reader::Speaking(websocket, inflating) = &mut self.reader else {
            return Err(Error::AlreadyClosed);
        };
        let (mut read, mut given) = (0, 0);
        let mut stream = Duplex {
            socket: &mut self.socket,
            sink: &*self.sink,
            inflating: inflating.as_deref_mut(),
            context,
            read: &mut read,
            given: &mut given,
            owes_pong: &mut self.owes_pong,
        };
        let message = websocket.read(&mut stream);
        if matches!(message, Ok(Message::Close(_))) {
            // The echo leaves now; nobody may ask for another frame. That it says "closed" is no news.
            let _ = websocket.flush(&mut stream);
            self.sink.finish();
        }
        self.beside += read;
        self.undecoded += given;
        let message = message?;
        self.undecoded = self.undecoded.saturating_sub(masked_frame_length(message.len()));
        Ok(message)
    }

    /// How many bytes may be read for one message. A message of the greatest length may come in pieces, but
    /// not in pieces without end.
    fn pieces_bytes_max(&self) -> usize {
        self.message_bytes_max.saturating_mul(2).saturating_add(BESIDE_BYTES_MAX)
    }

    /// A text has come out of what was read. Texts in many tiny pieces are more work than they are long.
    fn account(&mut self, text: &FrameText) {
        self.beside = self.beside.saturating_sub(text.len());
        if self.beside > BESIDE_BYTES_MAX {
            self.overhead = std::mem::take(&mut self.beside);
        }
    }

    /// Lets go of the decoder and its buffers if there is nothing in them. In one that has met a message in
    /// pieces something seems to be left for ever: it is kept.
    fn fall_silent(&mut self) {
        let is_whole = match &self.reader {
            Reader::Speaking(_, Some(inflating)) => inflating.is_idle(),
            _ => true,
        };
        if self.undecoded == 0 && !self.owes_pong && is_whole {
            self.reader = Reader::Silent(Vec::new());
        }
    }

    fn failure(&self) -> Option<Failure> {
        match &self.reader {
            Reader::Speaking(_, Some(inflating)) => inflating.failure(),
            _ => None,
        }
    }

    /// The client broke the rules of WebSocket: tell it which, and take nothing more.
    fn refuse(&self, code: u16, reason: &str) -> Received {
        self.sink.close(code, reason);
        Received::Ended
    }
}

impl<R: AsyncRead + Send + Unpin> FrameSource for SocketSource<R> {
    fn poll_frame(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        if self.overhead > 0 {
            return Poll::Ready(Received::Overhead(std::mem::take(&mut self.overhead)));
        }
        if ready!(self.poll_speaking(context)).is_none() {
            return Poll::Ready(Received::Ended);
        }
        loop {
            let received = match self.read(context) {
                Ok(Message::Text(text)) => Received::Frame(text.into()),
                Ok(Message::Binary(bytes)) => match text(bytes) {
                    Some(text) => Received::Frame(text),
                    None => self.refuse(CODE_BAD_DATA, "the frame is no UTF-8"),
                },
                Ok(Message::Ping(said) | Message::Pong(said)) => {
                    self.beside = self.beside.saturating_sub(said.len());
                    Received::Overhead(said.len())
                }
                Ok(Message::Frame(_)) => continue,
                Err(Error::Io(_)) if self.beside > self.pieces_bytes_max() => {
                    self.refuse(CODE_TOO_BIG, "the frame comes in too many pieces")
                }
                Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    // A pong may wait for room that nobody else waits for.
                    let _ = self.sink.poll_writable(context);
                    self.fall_silent();
                    return Poll::Pending;
                }
                Err(Error::Utf8(_)) => self.refuse(CODE_BAD_DATA, "the frame is no UTF-8"),
                Err(Error::Capacity(CapacityError::MessageTooLong { max_size, .. })) => {
                    self.refuse(CODE_TOO_BIG, &too_long(max_size))
                }
                Err(Error::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => {
                    Received::Ended
                }
                Err(Error::Protocol(error)) => {
                    self.refuse(CODE_PROTOCOL_ERROR, &error.to_string().to_lowercase())
                }
                Ok(Message::Close(_)) => Received::Ended,
                Err(_) => match self.failure() {
                    None => Received::Ended,
                    Some(failure) => {
                        let (code, reason) = refusal(failure, self.message_bytes_max);
                        self.refuse(code, &reason)
                    }
                },
            };
            if let Received::Frame(text) = &received {
                self.account(text);
                // Mostly it was the only one, and the decoder would clear its buffer to find that out.
                self.fall_silent();
            }
            return Poll::Ready(received);
        }
    }

    fn poll_gone(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut scrap = [0; 4096];
        loop {
            let mut buffer = ReadBuf::new(&mut scrap);
            let read = ready!(Pin::new(&mut self.socket).poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(());
            }
        }
    }
}

/// How long a frame of a client is at least that has so much payload: header, mask, payload.
fn masked_frame_length(payload: usize) -> usize {
    let extended_length = match payload {
        0..126 => 0,
        126..65_536 => 2,
        _ => 8,
    };
    2 + extended_length + 4 + payload
}

/// What a client is told whose compressed message cannot be read.
fn refusal(failure: Failure, bytes_max: usize) -> (u16, String) {
    match failure {
        Failure::Protocol => {
            (CODE_PROTOCOL_ERROR, "a compressed message is broken by other frames".to_owned())
        }
        Failure::TooLong => (CODE_TOO_BIG, too_long(bytes_max)),
        Failure::Data => (CODE_BAD_DATA, "a compressed message cannot be inflated".to_owned()),
    }
}

fn too_long(bytes_max: usize) -> String {
    format!("the frame is longer than {bytes_max} bytes")
}

fn text(bytes: Bytes) -> Option<FrameText> {
    Utf8Bytes::try_from(bytes).ok().map(FrameText::from)
}

/// The stream as tungstenite wants it: "would block" is an error, and the context says whom to wake.
struct Duplex<'a, 'b, R> {
    socket: &'a mut R,
    sink: &'a dyn ControlSink,
    inflating: Option<&'a mut Inflating>,
    context: &'a mut Context<'b>,
    /// Counts what is read.
    read: &'a mut usize,
    /// Counts what the decoder gets of it: more, where it was compressed.
    given: &'a mut usize,
    /// Notes whether something is still to be written.
    owes_pong: &'a mut bool,
}

impl<R: AsyncRead + Unpin> Read for Duplex<'_, '_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Self { socket, context, read, .. } = self;
        let mut receive = |buffer: &mut [u8]| {
            let mut buffer = ReadBuf::new(buffer);
            match Pin::new(&mut **socket).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) => {
                    **read += buffer.filled().len();
                    Ok(buffer.filled().len())
                }
                Poll::Ready(Err(error)) => Err(error),
                Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
            }
        };
        let given = match &mut self.inflating {
            Some(inflating) => inflating.read(buffer, receive)?,
            None => receive(buffer)?,
        };
        *self.given += given;
        Ok(given)
    }
}

impl<R> Write for Duplex<'_, '_, R> {
    /// Takes all or nothing, so that a control frame never stands in the middle of another frame.
    fn write(&mut self, frames: &[u8]) -> io::Result<usize> {
        *self.owes_pong = !self.sink.send_control(frames);
        if !*self.owes_pong { Ok(frames.len()) } else { Err(io::ErrorKind::WouldBlock.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What may be read beside texts before it is told: more than the buffer holds of the next message.
const BESIDE_BYTES_MAX: usize = 64 << 10;

/// Enough for most messages; longer ones get a buffer of their size while they arrive.
const READ_BUFFER_BYTES: usize = 4 << 10;

/// How many bytes of pongs tungstenite keeps while the sink has no room; more are left out.
const CONTROL_BUFFER_BYTES_MAX: usize = 1 << 10;

const CODE_PROTOCOL_ERROR: u16 = 1002;
const CODE_BAD_DATA: u16 = 1007;
const CODE_TOO_BIG: u16 = 1009;
