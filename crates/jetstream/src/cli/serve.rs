//! A server from its configuration to its last connection.

use std::io;
use std::process::ExitCode;

use bytes::Bytes;
use http::{Request, Response};

use super::arguments::Logs;
use super::inspector::Inspector;
use super::{MISTAKEN, complain, logs, pages, say};
use crate::config::{Config, Kept, OpenError};
use crate::future::BoxFuture;
use crate::metrics::Metrics;
use crate::notify::Notifier;
use crate::operations::control::{self, Control};
use crate::storage::evolution::EvolutionError;

/// Serves until a signal comes.
pub(super) fn serve(config: &Config, foreign_variables: &[String], logs: &Logs) -> ExitCode {
    if let Err(error) = logs::begin(logs) {
        complain(&format!("error: --log-level: {error}"));
        return ExitCode::from(MISTAKEN);
    }
    for variable in foreign_variables {
        tracing::warn!(variable, "the variable is no setting and passed over");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    match runtime.and_then(|runtime| runtime.block_on(run(config))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&format!("error: {error}"));
            let unfit = error.get_ref().is_some_and(|inner| inner.is::<EvolutionError>());
            if unfit { ExitCode::from(MISTAKEN) } else { ExitCode::FAILURE }
        }
    }
}

async fn run(config: &Config) -> io::Result<()> {
    // Before anybody is told that the server runs, so that no signal finds nobody listening.
    let mut signals = Signals::new()?;
    let inspector = Inspector::new(config.inspector.clone());
    let transport = config.transport().http(pages(&inspector, config.demos));
    let kept = open(config).await?;
    let server = match &kept {
        Some((kept, _)) => config.server_over(kept),
        None => config.server(),
    };
    let server = server.transport(transport).start().await?;
    inspector.begin(&server);
    let notifiers = kept.iter().flat_map(|(kept, _)| &kept.notifiers);
    notifiers.clone().for_each(Notifier::begin);
    tracing::info!(address = %server.local_addr(), scopes = config.scopes.len(), "serving");
    let (socket, page) = if config.tls.is_some() { ("wss", "https") } else { ("ws", "http") };
    let address = server.local_addr();
    say(&format!("listening on {socket}://{address}"));
    if let Some(metrics) = server.admin_addr() {
        say(&format!("metrics on http://{metrics}"));
    }
    if let (Some(address), Some(api)) = (server.api_addr(), &config.api) {
        let scheme = if api.tls.is_some() { "https" } else { "http" };
        say(&format!("api on {scheme}://{address}/v1/"));
    }
    if config.demos {
        say(&format!("demos on {page}://{address}"));
    }
    if inspector.is_there(address) {
        say(&format!("inspector on {page}://{address}/inspector/"));
    }
    let signal = signals.next().await;
    tracing::info!(signal, "told to stop");
    let stop = async {
        server.shutdown().await;
        // What the last changes were is told now, or by the next server.
        for notifier in notifiers {
            notifier.stop().await;
        }
    };
    tokio::select! {
        () = stop => Ok(()),
        signal = signals.next() => {
            Err(io::Error::other(format!("{signal} for the second time: stopped at once")))
        }
    }
}

/// Opens what the scopes are kept in, if anything is to be kept, for the server and for commands.
async fn open(config: &Config) -> io::Result<Option<(Kept, Option<Control>)>> {
    let kept = config.open(Metrics::process()).await.map_err(|error| match error {
        OpenError::Storage(error) => io::Error::other(error),
        OpenError::Unfit(error) => io::Error::other(error),
    })?;
    let Some(kept) = kept else { return Ok(None) };
    tracing::info!(schema = kept.evolution.present().0.0, "the store is open");
    for change in &kept.changes {
        tracing::info!(%change, "the models have changed");
    }
    let control = match &config.storage.control {
        Some(file) => Some(control::listen(kept.operations(), file.clone()).await?),
        None => None,
    };
    Ok(Some((kept, control)))
}

/// What plain HTTP requests are answered with.
fn pages(
    inspector: &Inspector,
    demos: bool,
) -> impl Fn(Request<()>) -> Answer + Send + Sync + 'static {
    let inspector = inspector.clone();
    move |request| {
        let inspector = inspector.clone();
        Box::pin(async move {
            let answer = inspector.answer(&request).await;
            answer.or_else(|| pages::answer(&request, demos))
        })
    }
}

type Answer = BoxFuture<'static, Option<Response<Bytes>>>;

/// The signals that stop the command.
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    pub(super) async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.terminate.recv() => "SIGTERM",
            _ = self.interrupt.recv() => "SIGINT",
        }
    }
}

#[cfg(not(unix))]
impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    pub(super) async fn next(&mut self) -> &'static str {
        // Where there is no such signal to wait for, the process is ended from outside.
        match tokio::signal::ctrl_c().await {
            Ok(()) => "Ctrl-C",
            Err(_) => std::future::pending().await,
        }
    }
}
