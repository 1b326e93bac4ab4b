//! How another process asks the one that has a store open: the command line asks a running server.
//!
//! The server listens on this machine only and writes where, and a token, into a file that only its own user
//! can read: who may read the store may ask. One connection is one question: a line of JSON with the token and
//! the operation. The answer is lines, each with a sign before it: `+` a line of the operation's, `.` the end,
//! `!` why it came to none.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ring::digest::{SHA256, digest};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::{Lines, Operation, OperationError, Operations};

/// What the file says.
#[derive(Serialize, Deserialize)]
struct Contact {
    address: SocketAddr,
    token: String,
}

#[derive(Serialize, Deserialize)]
struct Question {
    token: String,
    #[serde(flatten)]
    operation: Operation,
}

/// A server's open ear. It closes, and the file goes, when this is dropped.
#[derive(Debug)]
pub struct Control {
    file: PathBuf,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        // If it stays, whoever reads it finds nobody there.
        let _ = std::fs::remove_file(&self.file);
    }
}

/// Lets other processes of this machine's user ask for operations.
///
/// # Errors
///
/// No place to listen at, or the file cannot be written.
pub async fn listen(operations: Operations, file: PathBuf) -> io::Result<Control> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let contact = Contact { address: listener.local_addr()?, token: new_token()? };
    write_for_owner(&file, &serde_json::to_vec(&contact)?)?;
    let task = tokio::spawn(accept(listener, operations, contact.token.into()));
    Ok(Control { file, task })
}

async fn accept(listener: TcpListener, operations: Operations, token: Arc<str>) {
    let places = Arc::new(Semaphore::new(QUESTIONS_MAX));
    let mut answers = JoinSet::new();
    loop {
        // Who finds no place waits in the listener's queue.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let connection = match listener.accept().await {
            Ok((connection, _)) => connection,
            // No file descriptors are left, perhaps: some will be.
            Err(_) => {
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        while answers.try_join_next().is_some() {}
        let (operations, token) = (operations.clone(), token.clone());
        answers.spawn(async move {
            let _place = place;
            if let Err(error) = answer(connection, &operations, &token).await {
                tracing::debug!(%error, "a question to the server ended early");
            }
        });
    }
}

async fn answer(mut connection: TcpStream, operations: &Operations, token: &str) -> io::Result<()> {
    let (reader, mut writer) = connection.split();
    let mut line = String::new();
    let mut reader = BufReader::new(reader.take(QUESTION_BYTES_MAX));
    let ended = match timeout(PATIENCE, reader.read_line(&mut line)).await? {
        Ok(_) => match question_of(&line, token) {
            Ok(operation) => run(operations, operation, &mut writer).await?,
            Err(error) => Err(error),
        },
        Err(error) => return Err(error),
    };
    let last = match ended {
        Ok(()) => ".\n".to_owned(),
        Err(error) => format!("!{}\n", serde_json::Value::from(error.0)),
    };
    write(&mut writer, last.as_bytes()).await
}

fn question_of(line: &str, token: &str) -> Result<Operation, OperationError> {
    let question: Question = serde_json::from_str(line)
        .map_err(|error| OperationError(format!("the question cannot be read: {error}")))?;
    // Compared by their hashes, so that the time that it takes tells nothing.
    let same = digest(&SHA256, question.token.as_bytes()).as_ref()
        == digest(&SHA256, token.as_bytes()).as_ref();
    if same { Ok(question.operation) } else { Err(OperationError("wrong token".to_owned())) }
}

/// Runs an operation while its lines are written. An asker that does not read is not waited for.
async fn run(
    operations: &Operations,
    operation: Operation,
    writer: &mut (impl AsyncWriteExt + Unpin),
) -> io::Result<Result<(), OperationError>> {
    let (out, mut lines) = Lines::channel();
    let work = async move { operations.run(operation, &out).await };
    // When writing fails its end of the lines is gone, and the operation ends at its next one.
    let writing = async move {
        while let Some(line) = lines.recv().await {
            write(writer, format!("+{line}\n").as_bytes()).await?;
        }
        io::Result::Ok(())
    };
    let (ended, written) = tokio::join!(work, writing);
    written.map(|()| ended)
}

async fn write(writer: &mut (impl AsyncWriteExt + Unpin), bytes: &[u8]) -> io::Result<()> {
    timeout(PATIENCE, writer.write_all(bytes)).await?
}

/// Asks the server that wrote the file, if it is there, and hands each line of the answer to `each`.
/// `None`: nobody is there.
///
/// # Errors
///
/// What the server says, or that the connection broke.
pub async fn ask(
    file: &Path,
    operation: Operation,
    mut each: impl FnMut(&str) -> io::Result<()>,
) -> Option<Result<(), OperationError>> {
    let contact: Contact = serde_json::from_slice(&std::fs::read(file).ok()?).ok()?;
    // A server that was killed leaves its file behind.
    let connection = TcpStream::connect(contact.address).await.ok()?;
    let question = Question { token: contact.token, operation };
    Some(listen_to(connection, &question, &mut each).await)
}

async fn listen_to(
    mut connection: TcpStream,
    question: &Question,
    each: &mut impl FnMut(&str) -> io::Result<()>,
) -> Result<(), OperationError> {
    let broken = |error: io::Error| OperationError(format!("the server did not answer: {error}"));
    let mut text = serde_json::to_string(question).expect("names and numbers have a JSON text");
    text.push('\n');
    connection.write_all(text.as_bytes()).await.map_err(broken)?;
    let mut lines = BufReader::new(connection).lines();
    while let Some(line) = lines.next_line().await.map_err(broken)? {
        match line.split_at_checked(1) {
            Some(("+", line)) => each(line).map_err(|error| OperationError(error.to_string()))?,
            Some((".", _)) => return Ok(()),
            Some(("!", error)) => {
                let error = serde_json::from_str(error).unwrap_or_else(|_| error.to_owned());
                return Err(OperationError(error));
            }
            _ => break,
        }
    }
    Err(OperationError("the server ended before its answer did".to_owned()))
}

fn new_token() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Writes a file that only its owner can read, from its first moment on.
fn write_for_owner(file: &Path, bytes: &[u8]) -> io::Result<()> {
    use std::io::Write;
    let with_name = |error: io::Error| {
        io::Error::new(error.kind(), format!("cannot write {}: {error}", file.display()))
    };
    // One that is left over may have other rights.
    let _ = std::fs::remove_file(file);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut opened = options.open(file).map_err(with_name)?;
    opened.write_all(bytes).map_err(with_name)
}

/// How many questions are answered at a time: operators ask one after the other.
const QUESTIONS_MAX: usize = 8;
/// The longest question, in bytes.
const QUESTION_BYTES_MAX: u64 = 64 * 1024;
/// How long an asker may take for its question, and for taking a line of the answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long accepting pauses when it fails.
const PAUSE: Duration = Duration::from_millis(100);
