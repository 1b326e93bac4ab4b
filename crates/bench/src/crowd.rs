//! Thousands of clients in one loop: connections that say what they are told to, and count what comes.
//!
//! One thread waits for all of them. A frame is searched for the tags of changes and thrown away, so
//! that the generator takes as little as possible of the machine that it shares with the server.

mod connection;
mod latency;
mod stream;

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Socket, Type};

use crate::job::TAG_LENGTH;
use crate::speech::{Speech, ping};
use crate::websocket::{CLOSE, Frame, PING, PONG};
pub use connection::{Connection, Phase};
pub use latency::Latencies;
pub use stream::{CERTIFICATE, KEY, Stream};

/// A crowd of clients.
pub struct Crowd {
    poll: Poll,
    events: Events,
    pub connections: Vec<Connection>,
    scratch: Vec<u8>,
    pub seen: Seen,
    swept: Instant,
}

/// What the members of a crowd have seen together.
#[derive(Debug)]
pub struct Seen {
    begun: Instant,
    /// When each change was sent, in microseconds.
    sent_at: Vec<u32>,
    /// How many changes have arrived, summed over the members that count.
    pub deliveries: u64,
    /// Bytes that have arrived, over all connections.
    pub bytes: u64,
    pub latencies: Latencies,
    /// How many connections are members.
    pub joined: usize,
    /// How many have ended.
    pub ended: usize,
}

impl Crowd {
    pub fn new() -> io::Result<Self> {
        let seen = Seen {
            begun: Instant::now(),
            sent_at: Vec::new(),
            deliveries: 0,
            bytes: 0,
            latencies: Latencies::default(),
            joined: 0,
            ended: 0,
        };
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(1024),
            connections: Vec::new(),
            scratch: vec![0; 256 << 10],
            seen,
            swept: Instant::now(),
        })
    }

    /// Opens a connection; it makes its way to a member by itself. Its number comes back.
    pub fn open(&mut self, port: u16, speech: &Arc<Speech>) -> io::Result<usize> {
        let path = speech.path(self.connections.len()).to_owned();
        self.open_at(port, &path, speech)
    }

    /// Opens a connection to this path.
    pub fn open_at(&mut self, port: u16, path: &str, speech: &Arc<Speech>) -> io::Result<usize> {
        // Over loopback this returns at once, and needs no state of its own.
        let stream = std::net::TcpStream::connect(("127.0.0.1", port))?;
        self.take_over(stream, port, path, speech)
    }

    /// Opens a connection for which the system keeps hardly anything that is not read: what a member
    /// leaves unread is soon the server's matter.
    pub fn open_narrow(&mut self, port: u16, speech: &Arc<Speech>) -> io::Result<usize> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_recv_buffer_size(NARROW_BYTES)?;
        socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into())?;
        let path = speech.path(self.connections.len()).to_owned();
        self.take_over(socket.into(), port, &path, speech)
    }

    fn take_over(
        &mut self,
        stream: std::net::TcpStream,
        port: u16,
        path: &str,
        speech: &Arc<Speech>,
    ) -> io::Result<usize> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        let mut stream = TcpStream::from_std(stream);
        let number = self.connections.len();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(&mut stream, Token(number), interest)?;
        let mut connection = Connection::new(Stream::new(stream, speech.is_secure), speech.clone());
        connection.ask(port, path);
        self.connections.push(connection);
        Ok(number)
    }

    /// Opens so many connections and waits until all are members.
    pub fn join(&mut self, port: u16, speech: &Arc<Speech>, count: usize) -> Result<(), String> {
        let target = self.seen.joined + count;
        for opened in 0..count {
            self.open(port, speech).map_err(|error| format!("could not connect: {error}"))?;
            // No more at once than a server's queue of connections takes.
            if opened % 64 == 63 {
                let so_far = self.seen.joined + 64;
                self.wait(Duration::from_millis(200), |crowd| crowd.seen.joined >= so_far);
            }
        }
        let ended = self.seen.ended;
        self.wait(JOIN_MAX, |crowd| crowd.seen.joined >= target || crowd.seen.ended > ended);
        match self.seen.joined >= target {
            true => Ok(()),
            false => Err(format!("only {} of {target} members joined", self.seen.joined)),
        }
    }

    /// Reads and writes until `done`, or for so long. Whether it was done.
    pub fn wait(&mut self, at_most: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = Instant::now() + at_most;
        loop {
            if done(self) {
                return true;
            }
            let now = Instant::now();
            if now >= end {
                return false;
            }
            self.turn((end - now).min(Duration::from_millis(10)));
        }
    }

    /// Waits for so long, and reads and writes what there is.
    pub fn turn(&mut self, timeout: Duration) {
        if let Err(error) = self.poll.poll(&mut self.events, Some(timeout))
            && error.kind() != ErrorKind::Interrupted
        {
            panic!("waiting for the sockets failed: {error}");
        }
        let events = std::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            let Token(number) = event.token();
            if event.is_readable() {
                self.read(number);
            }
            if event.is_writable() {
                self.connections[number].write();
            }
        }
        self.events = events;
        self.acknowledge();
    }

    /// Sends a frame with the change of this number.
    pub fn send_change(&mut self, connection: usize, number: usize, payload: &[u8]) {
        self.send_changes(connection, number..number + 1, payload);
    }

    /// Sends a frame with all changes of these numbers.
    pub fn send_changes(&mut self, connection: usize, numbers: Range<usize>, payload: &[u8]) {
        let now = self.seen.now();
        self.seen.sent_at.resize(numbers.end.max(self.seen.sent_at.len()), u32::MAX);
        self.seen.sent_at[numbers].fill(now);
        self.connections[connection].send(payload);
    }

    /// Ends a connection as a network does: without a word.
    pub fn cut(&mut self, number: usize) {
        if self.connections[number].phase == Phase::Member {
            self.seen.joined -= 1;
        }
        self.connections[number].end();
    }

    fn read(&mut self, number: usize) {
        let connection = &mut self.connections[number];
        if connection.is_deaf {
            return;
        }
        loop {
            let Some(stream) = &mut connection.stream else { return };
            match stream.read(&mut self.scratch) {
                Ok(0) => return self.note_end(number),
                Ok(count) => {
                    self.seen.bytes += count as u64;
                    let phase = connection.phase;
                    let is_drained = stream.is_drained(count, self.scratch.len());
                    connection.take(&self.scratch[..count], &mut self.seen);
                    if phase != Phase::Member && connection.phase == Phase::Member {
                        self.seen.joined += 1;
                    }
                    if connection.phase == Phase::Ended {
                        return self.note_end(number);
                    }
                    if is_drained {
                        return;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return self.note_end(number),
            }
        }
    }

    fn note_end(&mut self, number: usize) {
        self.connections[number].end();
        self.seen.ended += 1;
    }

    /// Hears what was left unread while a connection was deaf.
    pub fn hear(&mut self, number: usize) {
        self.connections[number].is_deaf = false;
        self.read(number);
    }

    /// Lets members of Jetstream acknowledge what they have every ten seconds, as clients do; not all at
    /// the same moment.
    fn acknowledge(&mut self) {
        if self.swept.elapsed() < SWEEP {
            return;
        }
        self.swept = Instant::now();
        let sweeps = (ACKNOWLEDGE.as_millis() / SWEEP.as_millis()) as usize;
        let turn = (self.seen.begun.elapsed().as_millis() / SWEEP.as_millis()) as usize;
        for connection in self.connections.iter_mut().skip(turn % sweeps).step_by(sweeps) {
            if connection.speech.is_jetstream() && connection.phase == Phase::Member {
                let ack = connection.highest_index;
                connection.send(ping(ack, false).as_bytes());
            }
        }
    }
}

impl Seen {
    /// Microseconds since the crowd was made.
    fn now(&self) -> u32 {
        u32::try_from(self.begun.elapsed().as_micros()).expect("a run lasts less than an hour")
    }

    /// The changes of which a frame tells. How many they are, and the number of the last.
    fn look(&mut self, frame: &Frame<'_>, now: u32) -> (u64, Option<usize>) {
        let (mut count, mut last) = (0, None);
        for at in memchr::memchr_iter(b'@', frame.payload) {
            let Some(number) = tagged(&frame.payload[at..]) else { continue };
            let Some(sent) = self.sent_at.get(number) else { continue };
            self.latencies.note(now.saturating_sub(*sent));
            count += 1;
            last = Some(number);
        }
        (count, last)
    }
}

fn tagged(bytes: &[u8]) -> Option<usize> {
    let digits = bytes.get(1..TAG_LENGTH)?;
    digits.iter().try_fold(0, |number, digit| match digit {
        b'0'..=b'9' => Some(number * 10 + usize::from(digit - b'0')),
        _ => None,
    })
}

/// What a control frame asks for; true if the frame was one.
fn control(frame: &Frame<'_>) -> Option<Control> {
    match frame.opcode {
        CLOSE => Some(Control::Close),
        PING => Some(Control::Answer(PONG, frame.payload.to_vec())),
        PONG => Some(Control::Nothing),
        _ => None,
    }
}

enum Control {
    Close,
    Answer(u8, Vec<u8>),
    Nothing,
}

/// What the system is asked to keep unread for a narrow connection; it makes a little more of it.
const NARROW_BYTES: usize = 4 << 10;
/// How long members may take to join.
const JOIN_MAX: Duration = Duration::from_secs(60);
/// How often a client acknowledges what it has.
const ACKNOWLEDGE: Duration = Duration::from_secs(10);
/// How often it is looked whose turn that is.
const SWEEP: Duration = Duration::from_millis(50);
