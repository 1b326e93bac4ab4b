//! One client of a crowd.

use std::io::ErrorKind;
use std::sync::Arc;

use memchr::memmem;

use super::{Control, Seen, Stream, control};
use crate::speech::Speech;
use crate::websocket::{Frame, FrameReader, push_masked, request};

/// A client.
pub struct Connection {
    /// `None` once it has ended.
    pub(super) stream: Option<Stream>,
    pub speech: Arc<Speech>,
    reader: FrameReader,
    /// What the socket has not taken yet.
    outbox: Vec<u8>,
    pub phase: Phase,
    /// Does not read: its messages pile up on the way to it.
    pub is_deaf: bool,
    /// Does not count: a writer hears of others' changes, too, but is no member that is measured.
    pub is_writer: bool,
    /// How many changes it has heard of.
    pub heard: u64,
    /// The number of the latest change that it has heard of.
    pub latest: Option<usize>,
    /// The highest index of a message that has come.
    pub highest_index: u64,
    /// The response to the upgrade, as far as it has come.
    response: Vec<u8>,
    /// Its session, if it is a client of Jetstream.
    pub token: Option<String>,
    /// The root of its scope, likewise.
    pub root: Option<String>,
}

/// How far a client has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Waits for the response to its upgrade.
    Upgrading,
    /// Waits for the answer to this step of its hello.
    Hello(usize),
    Member,
    Ended,
}

impl Connection {
    pub(super) fn new(stream: Stream, speech: Arc<Speech>) -> Self {
        Self {
            stream: Some(stream),
            speech,
            reader: FrameReader::default(),
            outbox: Vec::new(),
            phase: Phase::Upgrading,
            is_deaf: false,
            is_writer: false,
            heard: 0,
            latest: None,
            highest_index: 0,
            response: Vec::new(),
            token: None,
            root: None,
        }
    }

    pub(super) fn ask(&mut self, port: u16, path: &str) {
        self.outbox.extend(request(port, path));
        self.write();
    }

    /// Sends a frame.
    pub fn send(&mut self, payload: &[u8]) {
        push_masked(&mut self.outbox, self.speech.opcode, payload);
        self.write();
    }

    pub(super) fn write(&mut self) {
        let Some(stream) = &mut self.stream else { return };
        let mut written = 0;
        // What cannot be sent shows when the connection is read.
        let _ = stream.flush();
        while written < self.outbox.len() {
            match stream.write(&self.outbox[written..]) {
                Ok(count) => written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        self.outbox.drain(..written);
    }

    /// Takes in what has come.
    pub(super) fn take(&mut self, bytes: &[u8], seen: &mut Seen) {
        let mut rest = bytes;
        if self.phase == Phase::Upgrading {
            self.response.extend_from_slice(bytes);
            let Some(end) = memmem::find(&self.response, b"\r\n\r\n") else { return };
            if !self.response.starts_with(b"HTTP/1.1 101") {
                return self.end();
            }
            let behind = self.response.len() - (end + 4);
            rest = &bytes[bytes.len() - behind..];
            self.response = Vec::new();
            self.step(0);
        }
        let mut reader = std::mem::take(&mut self.reader);
        let now = seen.now();
        reader.feed(rest, |frame| self.frame(&frame, seen, now));
        self.reader = reader;
    }

    /// Says what belongs to a step of the hello; behind the last it is a member.
    fn step(&mut self, step: usize) {
        let speech = self.speech.clone();
        match speech.hello.get(step) {
            Some(next) => {
                self.phase = Phase::Hello(step);
                self.send(&next.send);
            }
            None => self.phase = Phase::Member,
        }
    }

    fn frame(&mut self, frame: &Frame<'_>, seen: &mut Seen, now: u32) {
        match control(frame) {
            Some(Control::Close) => return self.end(),
            Some(Control::Answer(opcode, payload)) => {
                push_masked(&mut self.outbox, opcode, &payload);
                return self.write();
            }
            Some(Control::Nothing) => return,
            None => {}
        }
        if self.speech.is_jetstream() {
            self.note_index(frame.payload);
        }
        if let Phase::Hello(step) = self.phase {
            return self.hello(step, frame.payload);
        }
        let answers = self.speech.answers.iter();
        if let Some((_, answer)) = answers.clone().find(|(to, _)| to == frame.payload) {
            let answer = answer.clone();
            return self.send(&answer);
        }
        if self.is_writer {
            return;
        }
        let (count, last) = seen.look(frame, now);
        if let Some(last) = last {
            let news = match self.latest {
                // The latest of several stands for those that the server has merged into it.
                before if self.speech.merges => {
                    last.saturating_sub(before.map_or(0, |before| before)) as u64
                }
                _ => count,
            };
            self.latest = Some(last.max(self.latest.unwrap_or(0)));
            self.heard += news;
            seen.deliveries += news;
        }
    }

    fn hello(&mut self, step: usize, payload: &[u8]) {
        self.token = self.token.take().or_else(|| text_behind(payload, b"\"sessionToken\":\""));
        self.root = self.root.take().or_else(|| text_behind(payload, b"\"rootUUID\":\""));
        if memmem::find(payload, &self.speech.hello[step].until).is_some() {
            self.step(step + 1);
        }
    }

    /// The last index in a frame is the highest.
    fn note_index(&mut self, payload: &[u8]) {
        const INDEX: &[u8] = b"\"index\":";
        let Some(at) = memmem::rfind(payload, INDEX) else { return };
        let digits = payload[at + INDEX.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        let index = digits.fold(0, |index, digit| index * 10 + u64::from(digit - b'0'));
        self.highest_index = self.highest_index.max(index);
    }

    pub(super) fn end(&mut self) {
        self.stream = None;
        self.phase = Phase::Ended;
    }
}

/// The text between this and the next quotation mark.
fn text_behind(payload: &[u8], key: &[u8]) -> Option<String> {
    let begin = memmem::find(payload, key)? + key.len();
    let length = memchr::memchr(b'"', &payload[begin..])?;
    String::from_utf8(payload[begin..begin + length].to_vec()).ok()
}
