//! A web service of few words: it remembers what it is told, and answers with the status that it is set to.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::Value;

use super::process::PATIENCE;

/// Instead of a status: it takes what it is told and never says so.
pub(crate) const SILENT: u16 = 0;

/// The service. It goes with the process of the test.
pub(crate) struct Service {
    pub(crate) port: u16,
    status: Arc<Mutex<u16>>,
    told: mpsc::Receiver<(u16, Value, String)>,
}

impl Service {
    pub(crate) fn answering(status: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let status = Arc::new(Mutex::new(status));
        let (tell, told) = mpsc::channel();
        let answers = status.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (tell, status) = (tell.clone(), answers.clone());
                thread::spawn(move || {
                    let mut reader = BufReader::new(stream.try_clone().unwrap());
                    let mut stream = stream;
                    while let Some((body, key)) = request(&mut reader) {
                        let status = *status.lock().unwrap();
                        let body = serde_json::from_slice(&body).unwrap_or_default();
                        let _ = tell.send((status, body, key));
                        if status == SILENT {
                            continue;
                        }
                        let answer = format!("HTTP/1.1 {status} -\r\ncontent-length: 0\r\n\r\n");
                        if stream.write_all(answer.as_bytes()).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self { port, status, told }
    }

    pub(crate) fn answer(&self, status: u16) {
        *self.status.lock().unwrap() = status;
    }

    /// Its answer, the next thing that it is told, and the key that came with it.
    pub(crate) fn told(&self) -> (u16, Value, String) {
        self.told.recv_timeout(PATIENCE).unwrap()
    }
}

/// The body of the next request, if there is one, and its key.
fn request(reader: &mut impl BufRead) -> Option<(Vec<u8>, String)> {
    let (mut length, mut key) = (None, String::new());
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().ok();
        }
        if let Some(value) = line.strip_prefix("idempotency-key:") {
            key = value.trim().to_owned();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some((body, key))
}
