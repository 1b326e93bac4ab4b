//! The limit program: a server that does nothing but write prepared frames.
//!
//! It takes what the generator says apart just enough to know whom to write what. What a real server
//! costs beside it is what the server itself costs; the rest is the kernel's.

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind, Read, Write};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use jetstream_burst::{Burst, Taken, ToSend};
use memchr::memmem;
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Token};

use crate::job::TAG_LENGTH;
use crate::websocket::{Frame, FrameReader, RESPONSE, TEXT, push_unmasked};

/// How the program writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Writes {
    /// One write for each frame.
    Single,
    /// One write for all frames that a turn of its loop has for a member.
    Joined,
    /// One call for the frames of a change to all members.
    Burst,
}

/// Serves until its standard input closes, or for ever.
pub fn serve(state: &Path, writes: Writes) -> io::Result<()> {
    let state = std::fs::read_to_string(state)?;
    let mut listener = TcpListener::bind(([127, 0, 0, 1], 0).into())?;
    announce(listener.local_addr()?.port())?;
    let mut poll = Poll::new()?;
    poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
    let burst = match writes {
        Writes::Burst => Some(Burst::new()?),
        Writes::Single | Writes::Joined => None,
    };
    let mut limit = Limit {
        burst,
        taken: Vec::new(),
        frames: Frames::new(&state),
        writes,
        members: Vec::new(),
        scopes: HashMap::new(),
        pending: Vec::new(),
    };
    let mut scratch = vec![0; 256 << 10];
    let mut events = Events::with_capacity(1024);
    loop {
        match poll.poll(&mut events, None) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        for event in &events {
            match event.token() {
                LISTENER => limit.accept(&listener, &poll)?,
                Token(number) => {
                    if event.is_writable() {
                        limit.members[number].drain();
                    }
                    if event.is_readable() {
                        limit.read(number, &mut scratch);
                    }
                }
            }
        }
        limit.flush();
    }
}

#[expect(clippy::print_stdout, reason = "the line that tells where it listens")]
fn announce(port: u16) -> io::Result<()> {
    println!("listening on 127.0.0.1:{port}");
    io::stdout().flush()?;
    // Whoever started us may be gone without having ended us.
    std::thread::spawn(|| {
        while io::stdin().read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
        std::thread::sleep(Duration::from_millis(10));
        std::process::exit(0);
    });
    Ok(())
}

/// What is written, prepared.
struct Frames {
    created: Rc<[u8]>,
    state: Rc<[u8]>,
    reply: Rc<[u8]>,
    change: Vec<u8>,
    /// Where in `change` the tag stands.
    tag: usize,
    pong: Rc<[u8]>,
}

impl Frames {
    fn new(state: &str) -> Self {
        let state = state.trim().strip_prefix('{').and_then(|state| state.strip_suffix('}'));
        let state = state.expect("the state is one object");
        let change = format!("[{}]", crate::speech::change(1_000_000, 0, 0));
        let change = frame(&change).to_vec();
        let tag = memchr::memchr(b'@', &change).expect("a change has a tag");
        let token = "0123456789012345678901";
        Self {
            created: frame(&format!(
                "[{{\"type\":\"SessionCreateReply\",\"index\":0,\"sessionToken\":\"{token}\"}}]"
            )),
            state: frame(&format!(
                "[{{\"type\":\"ScopeFetchReply\",\"index\":1,\"replyTo\":1,\"scopeIndex\":0}},\
                 {{\"type\":\"ScopeState\",\"index\":2,\"scopeIndex\":0,{state}}}]"
            )),
            reply: frame(
                "[{\"type\":\"ScopeSyncReply\",\"index\":1000000,\"replyTo\":1000000,\
                 \"fragmentReplies\":[{}]}]",
            ),
            change,
            tag,
            pong: frame("[{\"type\":\"Ping\",\"index\":0,\"ack\":1,\"resendMissing\":false}]"),
        }
    }
}

fn frame(text: &str) -> Rc<[u8]> {
    let mut frame = Vec::new();
    push_unmasked(&mut frame, TEXT, text.as_bytes());
    frame.into()
}

struct Limit {
    /// What frames leave through, if they leave together.
    burst: Option<Burst>,
    /// What became of those that did.
    taken: Vec<Taken>,
    frames: Frames,
    writes: Writes,
    members: Vec<Member>,
    /// The members of each scope.
    scopes: HashMap<Vec<u8>, Vec<usize>>,
    /// The scopes that have something to write at the end of this turn: all their changes in one piece.
    pending: Vec<(Vec<u8>, Vec<u8>)>,
}

struct Member {
    stream: Option<TcpStream>,
    reader: FrameReader,
    is_upgraded: bool,
    scope: Vec<u8>,
    /// What the socket did not take; of the first, so many bytes are written. Shared, since two
    /// thousand members may wait for the same megabytes.
    waiting: VecDeque<Rc<[u8]>>,
    written: usize,
}

impl Limit {
    fn accept(&mut self, listener: &TcpListener, poll: &Poll) -> io::Result<()> {
        loop {
            let mut stream = match listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(_) => continue,
            };
            let _ = stream.set_nodelay(true);
            let number = self.members.len();
            let interest = Interest::READABLE | Interest::WRITABLE;
            poll.registry().register(&mut stream, Token(number), interest)?;
            self.members.push(Member {
                stream: Some(stream),
                reader: FrameReader::default(),
                is_upgraded: false,
                scope: Vec::new(),
                waiting: VecDeque::new(),
                written: 0,
            });
        }
    }

    fn read(&mut self, number: usize, scratch: &mut [u8]) {
        loop {
            let member = &mut self.members[number];
            let Some(stream) = &mut member.stream else { return };
            match stream.read(scratch) {
                Ok(count) if count > 0 => self.take(number, &scratch[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => return self.leave(number),
            }
        }
    }

    fn leave(&mut self, number: usize) {
        let member = &mut self.members[number];
        member.stream = None;
        if let Some(scope) = self.scopes.get_mut(&member.scope) {
            scope.retain(|other| *other != number);
        }
    }

    fn take(&mut self, number: usize, bytes: &[u8]) {
        let member = &mut self.members[number];
        if !member.is_upgraded {
            // The generator asks in one write and says nothing more before it is answered.
            member.is_upgraded = bytes.ends_with(b"\r\n\r\n");
            return member.write(&RESPONSE.into());
        }
        let mut reader = std::mem::take(&mut member.reader);
        reader.feed(bytes, |frame| self.frame(number, &frame));
        self.members[number].reader = reader;
    }

    fn frame(&mut self, number: usize, frame: &Frame<'_>) {
        let says = |word: &[u8]| memmem::find(frame.payload, word).is_some();
        if let Some(at) = memchr::memchr(b'@', frame.payload) {
            self.change(number, &frame.payload[at..at + TAG_LENGTH]);
        } else if says(b"ScopeFetch") {
            let name = memmem::find(frame.payload, b"\"name\":").unwrap_or(0);
            let scope = frame.payload[name..].to_vec();
            self.scopes.entry(scope.clone()).or_default().push(number);
            self.members[number].scope = scope;
            self.members[number].write(&self.frames.state);
        } else if says(b"SessionCreate") {
            self.members[number].write(&self.frames.created);
        } else if says(b"\"resendMissing\":true") {
            self.members[number].write(&self.frames.pong);
        }
    }

    fn change(&mut self, author: usize, tag: &[u8]) {
        self.frames.change[self.frames.tag..][..TAG_LENGTH].copy_from_slice(tag);
        self.members[author].write(&self.frames.reply);
        let scope = &self.members[author].scope;
        if self.writes == Writes::Joined {
            match self.pending.iter_mut().find(|(name, _)| name == scope) {
                Some((_, frames)) => frames.extend(&self.frames.change),
                None => self.pending.push((scope.clone(), self.frames.change.clone())),
            }
            return;
        }
        let change: Rc<[u8]> = self.frames.change.as_slice().into();
        let receivers = self.scopes.get(scope).into_iter().flatten().filter(|n| **n != author);
        if self.burst.is_some() {
            let receivers: Vec<usize> = receivers.copied().collect();
            return self.send_together(&receivers, &change);
        }
        for number in receivers {
            self.members[*number].write(&change);
        }
    }

    fn send_together(&mut self, receivers: &[usize], change: &Rc<[u8]>) {
        let Some(burst) = &mut self.burst else { return };
        let members = receivers.iter().map(|number| &self.members[*number]);
        let free = members.filter(|member| member.waiting.is_empty());
        let sockets: Vec<_> = free.filter_map(|member| member.stream.as_ref()).collect();
        burst.send(sockets.iter().map(|socket| ToSend::new(*socket, change)), &mut self.taken);
        let mut taken = self.taken.drain(..);
        for number in receivers {
            let member = &mut self.members[*number];
            if member.stream.is_none() {
                continue;
            }
            let written = match member.waiting.is_empty() {
                true => taken.next().and_then(Result::ok).unwrap_or(0),
                false => 0,
            };
            if written < change.len() {
                // Of what waits already, something may be written: of this there is nothing.
                if member.waiting.is_empty() {
                    member.written = written;
                }
                member.waiting.push_back(change.clone());
            }
        }
    }

    /// Writes what the changes of this turn come to. Their author gets its own, too: telling them apart
    /// would cost more than it saves.
    fn flush(&mut self) {
        for (scope, frames) in self.pending.drain(..) {
            let frames: Rc<[u8]> = frames.into();
            for number in self.scopes.get(&scope).into_iter().flatten() {
                self.members[*number].write(&frames);
            }
        }
    }
}

impl Member {
    fn write(&mut self, bytes: &Rc<[u8]>) {
        self.waiting.push_back(bytes.clone());
        if self.waiting.len() == 1 {
            self.drain();
        }
    }

    fn drain(&mut self) {
        let Some(stream) = &mut self.stream else { return self.waiting.clear() };
        while let Some(first) = self.waiting.front() {
            match stream.write(&first[self.written..]) {
                Ok(count) => self.written += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return,
            }
            if self.written == first.len() {
                self.written = 0;
                self.waiting.pop_front();
            }
        }
    }
}

const LISTENER: Token = Token(usize::MAX);
