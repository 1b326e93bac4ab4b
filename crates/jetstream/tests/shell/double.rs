//! A web service that is slow, wrong, dead or lying, as a test wants it.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What the service does with a request.
#[derive(Clone)]
pub(crate) enum Act {
    /// It answers in JSON.
    Answer(u16, Value),
    /// It answers something that claims to be JSON.
    Text(u16, String),
    /// It answers with a header and nothing else.
    Header(u16, &'static str, &'static str),
    /// It closes the connection without an answer.
    HangUp,
    /// It says nothing until it is told to do something else.
    Hold,
}

/// A request that came.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
    /// As it came.
    pub(crate) raw: Bytes,
}

/// A text and the status with which every request is answered that has it.
type Refused = Arc<Mutex<Option<(String, u16)>>>;

/// The service. It is gone when this is dropped.
pub(crate) struct Double {
    pub(crate) port: u16,
    act: watch::Sender<Act>,
    seen: Arc<Mutex<Vec<Seen>>>,
    refused: Refused,
    held: watch::Sender<Option<String>>,
    _running: JoinSet<()>,
}

impl Double {
    pub(crate) async fn new(act: Act) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (act, acts) = watch::channel(act);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let mut running = JoinSet::new();
        let (noted, refused) = (seen.clone(), Refused::default());
        let refuses = refused.clone();
        let (held, holds) = watch::channel(None);
        running.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (acts, seen, refused) = (acts.clone(), noted.clone(), refuses.clone());
                let held = holds.clone();
                let service = service_fn(move |request| {
                    answer(request, acts.clone(), seen.clone(), refused.clone(), held.clone())
                });
                connections.spawn(async move {
                    let connection = http1::Builder::new();
                    let _ = connection.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self { port, act, seen, refused, held, _running: running }
    }

    /// What it does from now on, also with those that it holds.
    pub(crate) fn will(&self, act: Act) {
        self.act.send_replace(act);
    }

    /// Whatever else it does, it refuses requests with this text in them.
    pub(crate) fn refuse_where(&self, text: &str, status: u16) {
        *self.refused.lock() = Some((text.to_owned(), status));
    }

    /// It says nothing to requests with this text in them.
    pub(crate) fn hold_where(&self, text: &str) {
        self.held.send_replace(Some(text.to_owned()));
    }

    /// Those that it holds get what the others get.
    pub(crate) fn let_go(&self) {
        self.held.send_replace(None);
    }

    /// What came since the last time.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock())
    }

    /// Waits for a request that nobody has looked at.
    pub(crate) async fn asked(&self) {
        while self.seen.lock().is_empty() {
            tokio::task::yield_now().await;
        }
    }
}

async fn answer(
    request: Request<Incoming>,
    mut acts: watch::Receiver<Act>,
    seen: Arc<Mutex<Vec<Seen>>>,
    refused: Refused,
    mut held: watch::Receiver<Option<String>>,
) -> Result<Response<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await?.to_bytes();
    seen.lock().push(Seen {
        method: head.method.to_string(),
        path: head.uri.to_string(),
        headers: head.headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
        raw: body.clone(),
    });
    let text = String::from_utf8_lossy(&body).into_owned();
    let is_free = |held: &Option<String>| held.as_ref().is_none_or(|held| !text.contains(held));
    drop(held.wait_for(is_free).await?);
    let act = acts.wait_for(|act| !matches!(act, Act::Hold)).await?.clone();
    let answer = |status: u16, text: String| {
        let builder = Response::builder().status(status).header("content-type", "application/json");
        builder.body(Full::from(text)).map_err(Into::into)
    };
    if let Some((text, status)) = &*refused.lock()
        && String::from_utf8_lossy(&body).contains(text.as_str())
    {
        return answer(*status, "{}".to_owned());
    }
    match act {
        Act::Answer(status, body) => answer(status, body.to_string()),
        Act::Text(status, text) => answer(status, text),
        Act::Header(status, name, value) => {
            Ok(Response::builder().status(status).header(name, value).body(Full::default())?)
        }
        Act::HangUp | Act::Hold => Err("goes away".into()),
    }
}
