//! Where events go: to the standard error output, for people or for machines.

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

use super::arguments::{LogFormat, Logs};

/// Begins to log. Only the first call in a process counts.
///
/// # Errors
///
/// The level is none.
pub(super) fn begin(logs: &Logs) -> Result<(), ParseError> {
    let filter = match &logs.log_level {
        Some(level) => EnvFilter::try_new(level)?,
        None => EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info")),
    };
    // What others log in detail are frames and addresses, and in those are tokens and what users wrote.
    let filter = FOREIGN.into_iter().fold(filter, |filter, part| {
        filter.add_directive(format!("{part}=info").parse().expect("a part and a level"))
    });
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let _ = match logs.log_format {
        LogFormat::Human => {
            let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
            builder.with_ansi(colours).try_init()
        }
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    Ok(())
}

/// The libraries that see what goes over connections.
const FOREIGN: [&str; 6] =
    ["hyper", "hyper_util", "rustls", "tokio_rustls", "tokio_tungstenite", "tungstenite"];
