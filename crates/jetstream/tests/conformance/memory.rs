//! Clients inside the server's process, without a socket.

use jetstream::ConnectInfo;
use jetstream::transport::memory::{FromServer, MemoryClient, MemoryConnector};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

use crate::peer::{Event, Inbox, Network, Outgoing, Peer};
use crate::scenario::{Connect, Scenario};

/// A server that is reached through memory.
#[derive(Debug)]
pub struct Memory {
    pub connector: MemoryConnector,
}

impl Network for Memory {
    type Peer = Process;

    async fn connect(&self, options: &Connect, inbox: Inbox) -> Result<Process, String> {
        let mut info = ConnectInfo::new(if options.path.is_empty() { "/" } else { &options.path });
        for (name, value) in &options.headers {
            info = info.with_header(name, value);
        }
        let client = self.connector.connect(info).await.ok_or("the server accepts no more")?;
        let (outgoing, to_send) = unbounded_channel();
        let running = tokio::spawn(run(client, to_send, inbox));
        Ok(Process { outgoing: Some(outgoing), running })
    }

    fn short_quiet_ms(&self) -> u64 {
        30
    }
}

/// Why a scenario needs a socket, if it does: it is about bytes, frames or the HTTP request.
pub fn refusal(scenario: &Scenario) -> Option<&'static str> {
    let has = |test: fn(&crate::scenario::Step) -> bool| scenario.steps.iter().any(test);
    if has(|step| step.send_raw.is_some()) {
        return Some("raw bytes");
    }
    if has(|step| step.send_binary.is_some()) {
        return Some("binary frames");
    }
    let http = |connect: &Connect| connect.deflate || !connect.protocols.is_empty();
    let negotiates = scenario.steps.iter().filter_map(|step| step.connect.as_ref()).any(http);
    negotiates.then_some("negotiates with HTTP headers")
}

/// One connection, kept by a task of its own.
#[derive(Debug)]
pub struct Process {
    outgoing: Option<UnboundedSender<Outgoing>>,
    running: JoinHandle<()>,
}

impl Peer for Process {
    async fn write(&mut self, outgoing: Vec<Outgoing>) {
        for part in outgoing {
            let closes = matches!(part, Outgoing::Close(_));
            if let Some(sender) = &self.outgoing {
                // The server may have closed the connection; then the expectation says so.
                let _ = sender.send(part);
            }
            if closes {
                self.outgoing = None;
            }
        }
    }

    async fn terminate(self) {
        self.running.abort();
        let _ = self.running.await;
    }
}

enum Happening {
    Send(Option<Outgoing>),
    Received(Option<FromServer>),
}

/// Moves frames both ways. A close of ours ends it: in memory there is no closing handshake.
async fn run(mut client: MemoryClient, mut outgoing: UnboundedReceiver<Outgoing>, inbox: Inbox) {
    loop {
        let happening = tokio::select! {
            // What is to be sent goes first: a burst leaves before the answer to its beginning comes.
            biased;
            part = outgoing.recv() => Happening::Send(part),
            received = client.recv() => Happening::Received(received),
        };
        match happening {
            Happening::Send(Some(Outgoing::Text(text))) => {
                client.send(text).await;
            }
            Happening::Send(_) => return,
            Happening::Received(Some(FromServer::Frame(text))) => {
                Event::of_frame(&text).into_iter().for_each(|event| inbox.put(event));
            }
            Happening::Received(Some(FromServer::Closed { code, reason })) => {
                return inbox.put(Event::Closed { code, reason });
            }
            Happening::Received(None) => {
                return inbox.put(Event::Closed { code: 1006, reason: "gone".to_owned() });
            }
        }
    }
}
