//! `jetstream tail`: what is in a scope, and what happens to it.

mod print;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Args;
use jetstream_client::{Connector, Params, RawScope, Session, SessionState};

use super::serve::Signals;
use super::{MISTAKEN, complain};
use print::Format;

#[derive(Debug, Args)]
pub(super) struct Tail {
    /// The scope's name.
    scope: String,
    /// The server.
    #[arg(long, value_name = "URL", default_value = "ws://localhost:3000")]
    url: String,
    /// What the application on the server is told with the fetch: a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    params: Option<Params>,
    /// What it is told when the session is created: a JSON object.
    #[arg(long, value_name = "JSON", value_parser = object)]
    session_params: Option<Params>,
    /// One JSON object a line, for programs.
    #[arg(long)]
    json: bool,
}

fn object(text: &str) -> Result<Params, String> {
    serde_json::from_str(text).map_err(|error| format!("not a JSON object: {error}"))
}

/// Prints until a signal comes, or there is nothing more to print.
pub(super) fn tail(arguments: Tail) -> ExitCode {
    let connector = match Connector::new(&arguments.url) {
        Ok(connector) => connector,
        Err(error) => {
            complain(&format!("error: --url: {error}"));
            return ExitCode::from(MISTAKEN);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(run(connector, arguments))) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read what we print has gone: `jetstream tail Canvas | head`.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error}"));
            ExitCode::FAILURE
        }
    }
}

async fn run(connector: Connector, arguments: Tail) -> io::Result<()> {
    let mut signals = Signals::new()?;
    let connector = connector.params(arguments.session_params.clone().unwrap_or_default());
    let session = tokio::select! {
        connected = connector.connect() => connected.map_err(io::Error::other)?,
        _ = signals.next() => return Ok(()),
    };
    let followed = tokio::select! {
        followed = follow(&session, arguments) => followed,
        _ = signals.next() => Ok(()),
    };
    tokio::select! {
        () = session.close() => {}
        _ = signals.next() => {}
    }
    followed
}

async fn follow(session: &Session, arguments: Tail) -> io::Result<()> {
    let Tail { scope, params, json, .. } = arguments;
    let mut states = session.states();
    let fetched = session.fetch_raw(&scope, params.unwrap_or_default()).await;
    let mut scope = fetched.map_err(io::Error::other)?;
    let format = if json { Format::Json } else { Format::Human };
    let mut lost = false;
    loop {
        tokio::select! {
            biased;
            news = scope.next() => match news {
                Some(news) => write(&format.news(&news))?,
                None => return Err(io::Error::other(why_closed(&scope))),
            },
            _ = states.changed() => {
                let state = *states.borrow_and_update();
                if !lost && state == SessionState::Offline {
                    complain("the connection is lost; trying again");
                    lost = true;
                }
                if lost && state == SessionState::Online {
                    complain("connected");
                    lost = false;
                }
            }
        }
    }
}

fn why_closed(scope: &RawScope) -> String {
    let name = scope.name();
    match scope.closed() {
        Some(error) => format!("the scope {name:?} is closed: {error}"),
        None => format!("the scope {name:?} is closed"),
    }
}

fn write(text: &str) -> io::Result<()> {
    let mut out = io::stdout();
    out.write_all(text.as_bytes())?;
    out.flush()
}
