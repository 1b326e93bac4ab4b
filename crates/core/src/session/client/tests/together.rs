//! Both ends together, over a link that is cut: every request is taken up once and in order, and
//! every answer and change arrives once and in order.

use std::collections::VecDeque;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::ids::{ConnectionId, Revision, SessionId, SharedText};
use crate::limits::Limits;
use crate::model::Schema;
use crate::session::{Delivery, Input, Output, ServerSession};

#[derive(Debug, Clone, Copy)]
enum Step {
    /// The client sends a ChangeSet.
    Sync,
    /// The scope answers the oldest ChangeSet.
    Answer,
    /// Somebody else changes the scope.
    Change,
    ClientSends,
    ServerSends,
    ClientReceives,
    ServerReceives,
    Cut,
    Wait(u16),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => Just(Step::Sync),
        3 => Just(Step::Answer),
        4 => Just(Step::Change),
        6 => Just(Step::ClientSends),
        6 => Just(Step::ServerSends),
        6 => Just(Step::ClientReceives),
        6 => Just(Step::ServerReceives),
        1 => Just(Step::Cut),
        1 => (0..12_000u16).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..300)
}

/// A client, its server and the link between them. What the scope says is numbered; the client
/// must see the numbers in order.
struct World {
    client: ClientSession,
    server: ServerSession,
    now: Now,
    connection: u64,
    to_server: VecDeque<String>,
    to_client: VecDeque<String>,
    /// Messages whose ChangeSets the scope has, not answered.
    asked: VecDeque<MessageIndex>,
    /// All that the scope was asked, in order.
    requested: Vec<MessageIndex>,
    sent: Vec<MessageIndex>,
    said: Vec<String>,
    seen: Vec<String>,
    in_scope: bool,
}

impl World {
    fn new(version: &str, limits: Limits) -> Self {
        let version: semver::Version = version.parse().unwrap();
        let now = Now::default();
        let dialect = Dialect::of(&version);
        let mut world = Self {
            client: ClientSession::new(ClientConfig { version, ..ClientConfig::default() }, 1),
            server: ServerSession::new(SessionId(1), dialect, Arc::new(limits), 2, now),
            now,
            connection: 0,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            asked: VecDeque::new(),
            requested: Vec::new(),
            sent: Vec::new(),
            said: Vec::new(),
            seen: Vec::new(),
            in_scope: false,
        };
        world.connect();
        // The handshake is another machine's affair.
        world.client.next_frame(now, &mut Frame::new());
        world.client(ClientInput::Frame { text: TOKEN });
        world.client.send(&ClientBody::ScopeFetch { name: "A".into(), params: Default::default() });
        world
    }

    fn connect(&mut self) {
        self.connection += 1;
        self.to_server.clear();
        self.to_client.clear();
        self.client(ClientInput::Connected);
        self.server(&Input::Connected { connection: ConnectionId(self.connection) });
    }

    fn client(&mut self, input: ClientInput<'_>) {
        let mut out = Vec::new();
        self.client.handle(self.now, input, &mut out);
        for output in out {
            match output {
                ClientOutput::Message(message) => self.client_sees(message),
                ClientOutput::Established { .. } | ClientOutput::Resumed => {}
                ClientOutput::Reconnect => self.connect(),
                other => panic!("{other:?}"),
            }
        }
    }

    fn client_sees(&mut self, message: ServerMessage) {
        match message.body {
            ServerBody::ScopeSyncReply { reply_to, .. } => {
                self.seen.push(format!("reply to {reply_to}"));
            }
            ServerBody::ScopeSync { fragments, .. } => {
                // Without fragments: what was lost, for which a state will stand.
                self.seen.extend(fragments.iter().map(|fragment| fragment.get().to_owned()));
            }
            ServerBody::ScopeState { fragments, .. } => {
                let seen = fragments[0].get().parse().unwrap();
                // As if the client had seen every change that is in the state; replies come always.
                let said: Vec<_> = self.said[..seen].to_vec();
                let replies: Vec<_> =
                    self.seen.iter().filter(|s| s.starts_with('r')).cloned().collect();
                let earlier = said.iter().filter(|s| s.starts_with('r')).count();
                self.seen = said;
                self.seen.extend(replies.into_iter().skip(earlier));
            }
            _ => {}
        }
    }

    fn server(&mut self, input: &Input<'_>) {
        let mut out = Vec::new();
        let input = match input {
            Input::Connected { connection } => Input::Connected { connection: *connection },
            Input::Deadline => Input::Deadline,
            Input::Frame { text, connection } => Input::Frame { connection: *connection, text },
            other => panic!("{other:?}"),
        };
        self.server.handle(self.now, input, &mut out);
        self.outputs(out);
    }

    fn outputs(&mut self, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Fetch { message, .. } => {
                    let schema = Arc::new(Schema::default());
                    let mut out = Vec::new();
                    let accepted = Input::FetchAccepted { message, scope: "A".into(), schema };
                    self.server.handle(self.now, accepted, &mut out);
                    self.outputs(out);
                }
                Output::Join { .. } | Output::Resync { .. } => {
                    self.in_scope = true;
                    let root = "00000000-0000-4000-8000-000000000001";
                    let body = format!(r#""rootUUID":"{root}","fragments":[{}]"#, self.said.len());
                    self.deliver(Delivery::State { revision: Revision(0), body: body.into() });
                }
                Output::Sync { message, .. } => {
                    self.requested.push(message);
                    self.asked.push_back(message);
                }
                Output::Close { reason, .. } => assert_eq!(reason, CloseReason::Replaced),
                Output::Seen { .. } | Output::Limited(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    fn deliver(&mut self, delivery: Delivery) {
        let mut out = Vec::new();
        let scope = ScopeIndex(0);
        self.server.handle(self.now, Input::Deliver { scope, delivery }, &mut out);
        self.outputs(out);
    }

    fn answer(&mut self) {
        if let Some(message) = self.asked.pop_front() {
            self.said.push(format!("reply to {message}"));
            self.deliver(Delivery::Reply {
                message,
                revision: Revision(0),
                lasting: true,
                body: "[]".into(),
            });
        }
    }

    fn change(&mut self) {
        if self.in_scope {
            let number = format!("[{},{}]", self.said.len(), "1,".repeat(40) + "1");
            let body: SharedText = format!("[{number}]").into();
            self.said.push(number);
            self.deliver(Delivery::Sync { revision: Revision(0), body });
        }
    }

    fn step(&mut self, step: Step) -> bool {
        let mut frame = Frame::new();
        match step {
            Step::Sync => {
                let body = ClientBody::ScopeSync {
                    scope_index: ScopeIndex(0),
                    fragments: Vec::new(),
                    atomic: false,
                    procedure: None,
                };
                self.sent.push(self.client.send(&body));
            }
            Step::Answer => self.answer(),
            Step::Change => self.change(),
            Step::ClientSends => {
                let sent = self.client.next_frame(self.now, &mut frame);
                self.to_server.extend(sent.then(|| frame.to_text()));
                return sent;
            }
            Step::ServerSends => {
                let sent = self.server.next_frame(self.now, &mut frame);
                self.to_client.extend(sent.then(|| frame.to_text()));
                return sent;
            }
            Step::ClientReceives => {
                let Some(text) = self.to_client.pop_front() else { return false };
                self.client(ClientInput::Frame { text: &text });
            }
            Step::ServerReceives => {
                let Some(text) = self.to_server.pop_front() else { return false };
                let connection = ConnectionId(self.connection);
                self.server(&Input::Frame { connection, text: &text });
            }
            Step::Cut => self.connect(),
            Step::Wait(milliseconds) => {
                self.now.mono = self.now.mono.plus(milliseconds.into());
                self.client(ClientInput::Deadline);
                self.server(&Input::Deadline);
            }
        }
        true
    }

    fn settle(&mut self) {
        use Step::{ClientReceives, ClientSends, ServerReceives, ServerSends};
        loop {
            let mut moved = !self.asked.is_empty();
            self.answer();
            for step in [ClientSends, ServerReceives, ServerSends, ClientReceives] {
                moved |= self.step(step);
            }
            moved |= self.server.deadline() == Some(self.now.mono);
            self.server(&Input::Deadline);
            if !moved {
                return;
            }
        }
    }
}

fn check(steps: Vec<Step>, version: &str, limits: Limits) -> Result<(), TestCaseError> {
    let bound = limits.backlog_bytes_hard_max;
    let mut world = World::new(version, limits);
    for step in steps {
        world.step(step);
        prop_assert!(world.server.backlog_bytes() <= bound);
    }
    world.step(Step::Cut);
    world.settle();
    // The answer to a resend may wait for a second.
    world.step(Step::Wait(1_000));
    world.settle();
    prop_assert_eq!(&world.requested, &world.sent);
    prop_assert_eq!(&world.seen, &world.said);
    Ok(())
}

proptest! {
    #[test]
    fn nothing_is_lost_doubled_or_out_of_order(steps in steps(), v1: bool) {
        let version = if v1 { "1.0.0" } else { "0.13.4" };
        check(steps, version, Limits::default())?;
    }

    #[test]
    fn a_client_that_falls_behind_ends_with_everything_all_the_same(steps in steps(), v1: bool) {
        let version = if v1 { "1.0.0" } else { "0.13.4" };
        let limits = Limits {
            backlog_bytes_max: 1_000,
            backlog_bytes_hard_max: 100_000,
            ..Limits::default()
        };
        check(steps, version, limits)?;
    }
}
