//! What it costs the others that a service is slow.
//!
//! Fifty clients edit a scope. In every other round ten more call a procedure whose service takes five seconds, and
//! a service that is told of changes takes as long. The rounds are compared with each other, so that whatever else
//! the machine does falls on both:
//!
//! ```sh
//! cargo run --release --example slow_service            # about two minutes
//! ```

#![allow(clippy::print_stdout)]

use std::collections::HashMap;
use std::convert::Infallible;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use jetstream::config::Config;
use jetstream::notify::Notifier;
use jetstream::transport::memory::{FromServer, MemoryClient, MemoryConnector};
use jetstream::{ConnectInfo, MemoryTransport, Metrics};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

type Failure = Box<dyn std::error::Error + Send + Sync>;

const EDITORS: usize = 50;
const CALLERS: usize = 10;
const CHANGES_PER_SECOND: u32 = 5;
const SLOW: Duration = Duration::from_secs(5);
const ROUND: Duration = Duration::from_secs(8);
const ROUNDS: usize = 6;

const CONFIG: &str = r#"
[models.Canvas.properties]
name = "String"
asked = "Number"
[scopes.Canvas]
root = "Canvas"
NOTIFY
[procedures."Canvas.ask"]
constraints = [{ type = "change", model = "Canvas", properties = { asked = "new" } }]
http = { url = "http://127.0.0.1:PORT/ask", timeout = "8s" }
[storage]
memory = true
retention = { age = "1h" }
"#;

const GONE: &str = "the server has closed the connection";

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let port = slow_service().await?;
    let mut ratios = Vec::new();
    println!("{EDITORS} clients, {CHANGES_PER_SECOND} changes a second each; rounds of {ROUND:?}");
    println!("round   without: p50, p99     with: p50, p99   ratio of p99");
    for round in 1..=ROUNDS {
        // Which one comes first changes from round to round.
        let (with, without) = if round % 2 == 0 {
            let with = measure(port, true).await?;
            (with, measure(port, false).await?)
        } else {
            let without = measure(port, false).await?;
            (measure(port, true).await?, without)
        };
        let ratio = with.1 / without.1;
        println!(
            "{round:>5}   {:>7.2} ms {:>7.2} ms   {:>6.2} ms {:>7.2} ms   {ratio:.2}",
            without.0, without.1, with.0, with.1
        );
        ratios.push(ratio);
    }
    // Over as many rounds of the one order as of the other: whatever comes first has a cold machine.
    let mean =
        (ratios.iter().map(|ratio: &f64| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp();
    println!("the geometric mean of the ratios is {mean:.2}");
    Ok(())
}

/// A service that takes its time, whatever it is asked.
async fn slow_service() -> Result<u16, Failure> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let service = service_fn(|request: Request<Incoming>| async {
                let _ = request.into_body().collect().await;
                sleep(SLOW).await;
                Ok::<_, Infallible>(Response::new(Full::new(Bytes::new())))
            });
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    Ok(port)
}

/// The median and the 99th percentile of how long a change takes to its reply, in milliseconds. Both kinds of rounds
/// keep the scope in a store, for which replies wait.
async fn measure(port: u16, slow: bool) -> Result<(f64, f64), Failure> {
    let notify = format!("notify = {{ http = {{ url = \"http://127.0.0.1:{port}/told\" }} }}");
    let text = CONFIG.replace("NOTIFY", if slow { &notify } else { "" });
    let text = text.replace("PORT", &port.to_string());
    let config = Config::parse("slow_service", &text, Path::new(""), &[])?;
    let (transport, connector) = MemoryTransport::new();
    let kept = config.open(Metrics::new()).await?;
    let server = match &kept {
        Some(kept) => config.server_over(kept),
        None => config.server(),
    };
    let server = server.metrics(Metrics::new()).transport(transport).start().await?;
    kept.iter().flat_map(|kept| &kept.notifiers).for_each(Notifier::begin);
    let mut callers = JoinSet::new();
    for _ in 0..CALLERS {
        let client = Client::join(&connector).await?;
        callers.spawn(client.call(slow));
    }
    let mut editors = JoinSet::new();
    for _ in 0..EDITORS {
        let client = Client::join(&connector).await?;
        editors.spawn(client.edit());
    }
    let mut all = Vec::new();
    while let Some(latencies) = editors.join_next().await {
        all.extend(latencies??);
    }
    callers.shutdown().await;
    for notifier in kept.iter().flat_map(|kept| &kept.notifiers) {
        notifier.stop().await;
    }
    server.shutdown().await;
    all.sort_by(f64::total_cmp);
    let quantile = |q: f64| all[((all.len() - 1) as f64 * q) as usize];
    Ok((quantile(0.5), quantile(0.99)))
}

/// A client with the canvas.
struct Client {
    line: MemoryClient,
    root: String,
    index: u64,
    received: u64,
}

impl Client {
    async fn join(connector: &MemoryConnector) -> Result<Self, Failure> {
        let line = connector.connect(ConnectInfo::new("/")).await.ok_or(GONE)?;
        let mut client = Self { line, root: String::new(), index: 0, received: 0 };
        let create = json!({"type": "SessionCreate", "index": 0, "version": "1.0.0", "params": {}});
        client.line.send(create.to_string()).await;
        client.send(json!({"type": "ScopeFetch", "name": "Canvas", "params": {}})).await?;
        while client.root.is_empty() {
            for message in client.next().await? {
                if message["type"] == "ScopeState" {
                    client.root = message["rootUUID"].as_str().unwrap_or_default().to_owned();
                }
            }
        }
        Ok(client)
    }

    async fn send(&mut self, mut message: Value) -> Result<u64, Failure> {
        self.index += 1;
        message["index"] = self.index.into();
        message["ack"] = self.received.into();
        if !self.line.send(message.to_string()).await {
            return Err(GONE.into());
        }
        Ok(self.index)
    }

    async fn next(&mut self) -> Result<Vec<Value>, Failure> {
        let Some(FromServer::Frame(text)) = self.line.recv().await else {
            return Err(GONE.into());
        };
        let messages = match serde_json::from_str(&text)? {
            Value::Array(messages) => messages,
            message => vec![message],
        };
        let indices = messages.iter().filter_map(|message| message["index"].as_u64());
        self.received = indices.fold(self.received, u64::max);
        Ok(messages)
    }

    async fn change(&mut self, properties: Value, procedure: bool) -> Result<u64, Failure> {
        let mut sync = json!({"type": "ScopeSync", "scopeIndex": 0, "fragments": [
            {"type": "change", "uuid": self.root, "clsName": "Canvas", "properties": properties}]});
        if procedure {
            sync["procedure"] = "Canvas.ask".into();
            sync["atomic"] = true.into();
        }
        self.send(sync).await
    }

    /// Changes at a steady rate, and notes how long each change takes.
    async fn edit(mut self) -> Result<Vec<f64>, Failure> {
        let mut ticks = interval(Duration::from_secs(1) / CHANGES_PER_SECOND);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut waiting, mut latencies) = (HashMap::new(), Vec::new());
        let begun = Instant::now();
        while begun.elapsed() < ROUND || !waiting.is_empty() {
            tokio::select! {
                messages = self.next() => {
                    for message in messages? {
                        let reply = message["replyTo"].as_u64().and_then(|to| waiting.remove(&to));
                        latencies.extend(reply.map(|sent: Instant| sent.elapsed().as_secs_f64() * 1e3));
                    }
                }
                _ = ticks.tick(), if begun.elapsed() < ROUND => {
                    let sent = Instant::now();
                    let index = self.change(json!({"name": format!("{}", self.index)}), false).await?;
                    waiting.insert(index, sent);
                }
            }
        }
        Ok(latencies)
    }

    /// Calls the procedure again and again; or only listens, so that there are as many members in all rounds.
    async fn call(mut self, slow: bool) -> Result<(), Failure> {
        loop {
            if !slow {
                self.next().await?;
                continue;
            }
            let index = self.change(json!({"asked": self.index}), true).await?;
            while !self.next().await?.iter().any(|message| message["replyTo"] == index) {}
        }
    }
}
