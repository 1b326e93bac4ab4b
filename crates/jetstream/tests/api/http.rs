//! An HTTP client that does exactly what it is told.

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// A request, as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Option<String>,
}

pub(crate) fn get(path: &str) -> Ask {
    Ask { method: "GET".into(), path: path.into(), headers: Vec::new(), body: None }
}

pub(crate) fn post(path: &str, body: &Value) -> Ask {
    let ask = Ask { method: "POST".into(), body: Some(body.to_string()), ..get(path) };
    ask.header("Content-Type", "application/json")
}

impl Ask {
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    pub(crate) fn bearer(mut self, token: &str) -> Self {
        self.headers.retain(|(name, _)| name != "Authorization");
        self.header("Authorization", &format!("Bearer {token}"))
    }

    fn text(&self, address: &str) -> String {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.path);
        if !self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            text += &format!("Host: {address}\r\n");
        }
        for (name, value) in &self.headers {
            text += &format!("{name}: {value}\r\n");
        }
        let body = self.body.as_deref().unwrap_or_default();
        if self.body.is_some() {
            text += &format!("Content-Length: {}\r\n", body.len());
        }
        text + "\r\n" + body
    }
}

/// An answer, read to its end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The type of the error.
    pub(crate) fn problem(&self) -> (u16, String) {
        let kind = self.json()["error"]["type"].as_str().unwrap_or_default().to_owned();
        (self.status, kind)
    }
}

/// An answer whose body comes piece by piece.
pub(crate) struct Opened {
    pub(crate) answer: Answer,
    stream: BufReader<TcpStream>,
    is_chunked: bool,
    read: String,
}

pub(crate) async fn open(address: &str, ask: &Ask) -> Opened {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(ask.text(address).as_bytes()).await.unwrap();
    let mut stream = BufReader::new(stream);
    let status = line(&mut stream).await;
    let status = status.split(' ').nth(1).unwrap().parse().unwrap();
    let mut headers = Vec::new();
    loop {
        let line = line(&mut stream).await;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_owned(), value.trim().to_owned()));
    }
    let answer = Answer { status, headers, body: String::new() };
    let is_chunked = answer.header("transfer-encoding") == Some("chunked");
    Opened { answer, stream, is_chunked, read: String::new() }
}

/// Asks and reads the whole answer.
pub(crate) async fn ask(address: &str, ask: &Ask) -> Answer {
    open(address, ask).await.whole().await
}

impl Opened {
    pub(crate) async fn whole(mut self) -> Answer {
        if self.is_chunked {
            while self.piece().await {}
        } else {
            let length = self.answer.header("content-length").unwrap_or("0").parse().unwrap();
            let mut bytes = vec![0; length];
            self.stream.read_exact(&mut bytes).await.unwrap();
            self.read = String::from_utf8(bytes).unwrap();
        }
        Answer { body: self.read, ..self.answer }
    }

    /// The next event: its name, its id and its data. Comments and what is no event are passed over.
    pub(crate) async fn event(&mut self) -> Option<(String, Option<u64>, Value)> {
        loop {
            while !self.read.contains("\n\n") {
                if !self.piece().await {
                    return None;
                }
            }
            let (event, rest) = self.read.split_once("\n\n").unwrap();
            let field = |name: &str| {
                event.lines().find_map(|line| Some(line.strip_prefix(name)?.to_owned()))
            };
            let found = field("event: ").map(|name| {
                let data = serde_json::from_str(&field("data: ").unwrap()).unwrap();
                (name, field("id: ").map(|id| id.parse().unwrap()), data)
            });
            self.read = rest.to_owned();
            if found.is_some() {
                return found;
            }
        }
    }

    /// The revisions of the next commits.
    pub(crate) async fn revisions(&mut self, count: usize) -> Vec<u64> {
        let mut revisions = Vec::new();
        for _ in 0..count {
            let (name, id, data) = self.event().await.unwrap();
            assert_eq!((name.as_str(), data["revision"].as_u64()), ("commit", id));
            revisions.extend(id);
        }
        revisions
    }

    async fn piece(&mut self) -> bool {
        let size = line(&mut self.stream).await;
        let size = usize::from_str_radix(&size, 16).unwrap_or_else(|_| panic!("{size:?}"));
        let mut bytes = vec![0; size + 2];
        self.stream.read_exact(&mut bytes).await.unwrap();
        bytes.truncate(size);
        self.read += &String::from_utf8(bytes).unwrap();
        size > 0
    }
}

async fn line(stream: &mut BufReader<TcpStream>) -> String {
    let mut line = String::new();
    stream.read_line(&mut line).await.unwrap();
    line.trim_end().to_owned()
}
