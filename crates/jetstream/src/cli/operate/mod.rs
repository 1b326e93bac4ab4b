//! What an operator does with what is stored: `history`, `revert`, `audit`, `export`, `import`, `verify`,
//! `notify`, and (`copies`) `backup`, `restore` and `salvage`.
//!
//! A running server has its store to itself and is asked by the file that it wrote; if there is none, the
//! command opens the store that the configuration names.

mod copies;
mod notify;
mod print;

use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

pub(in crate::cli) use copies::{Backup, Restore, Salvage, back_up, restore, salvage};

use super::{complain, load, refuse, say};
use crate::config::{Config, Kept, OpenError, Setting};
use crate::metrics::Metrics;
use crate::operations::{At, ImportError, Lines, Operation, OperationError, control, import};
use crate::storage::evolution::{Change, Evolution, EvolutionError};
use crate::storage::{SchemaVersion, StoredSchema};

pub(in crate::cli) use notify::{Notify, notify};

/// The configuration that says where the store is.
#[derive(Debug, Args)]
pub(in crate::cli) struct Where {
    /// The configuration file; without it ./jetstream.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct History {
    /// The scope's name.
    scope: String,
    /// Prints the state that it had then, as JSON: at a revision, or at a time (2026-03-01T12:00:00Z).
    #[arg(long, value_name = "REVISION|TIME", conflicts_with = "after")]
    at: Option<At>,
    /// Leaves out the commits up to this revision.
    #[arg(long, value_name = "REVISION", default_value_t = 0)]
    after: u64,
    /// One JSON object a line, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Revert {
    /// The scope's name.
    scope: String,
    /// The revision, or the time, whose state it is to have again.
    #[arg(long, value_name = "REVISION|TIME")]
    to: At,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Audit {
    /// The scope's name; without it, all scopes.
    scope: Option<String>,
    /// Leaves out what was before a revision, or a time.
    #[arg(long, value_name = "REVISION|TIME")]
    since: Option<At>,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Export {
    /// The scopes' names; without any, all scopes.
    scopes: Vec<String>,
    /// Writes here rather than to the standard output.
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Import {
    /// What `jetstream export` wrote.
    file: PathBuf,
    /// Replaces scopes that are there already.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Verify {
    /// The scope's name; without it, all scopes.
    scope: Option<String>,
    /// One JSON object a line, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

pub(in crate::cli) fn history(arguments: History, settings: &[Setting]) -> ExitCode {
    let History { scope, at, after, json, place } = arguments;
    match at {
        Some(at) => ask(&place, settings, Operation::State { scope, at: Some(at) }, print::line),
        None if json => ask(&place, settings, Operation::History { scope, after }, print::line),
        None => ask(&place, settings, Operation::History { scope, after }, print::commit),
    }
}

pub(in crate::cli) fn revert(arguments: Revert, settings: &[Setting]) -> ExitCode {
    let Revert { scope, to, place } = arguments;
    ask(&place, settings, Operation::Revert { scope, to }, print::reverted)
}

pub(in crate::cli) fn audit(arguments: Audit, settings: &[Setting]) -> ExitCode {
    let Audit { scope, since, place } = arguments;
    ask(&place, settings, Operation::Audit { scope, since }, print::line)
}

pub(in crate::cli) fn export(arguments: Export, settings: &[Setting]) -> ExitCode {
    let Export { scopes, output, place } = arguments;
    let operation = Operation::Export { scopes };
    let Some(output) = output else { return ask(&place, settings, operation, print::line) };
    // What is there stays until the new one is whole.
    let half = output.with_extension("part");
    let mut file = match File::create(&half) {
        Ok(file) => io::BufWriter::new(file),
        Err(error) => return fail(&format!("cannot write {}: {error}", half.display())),
    };
    let code = ask(&place, settings, operation, |_, line| writeln!(file, "{line}"));
    let whole = file.into_inner().map_err(io::IntoInnerError::into_error);
    let whole = whole.and_then(|file| file.sync_all());
    if code != ExitCode::SUCCESS {
        let _ = std::fs::remove_file(half);
        return code;
    }
    match whole.and_then(|()| std::fs::rename(&half, &output)) {
        Ok(()) => code,
        Err(error) => fail(&format!("cannot write {}: {error}", output.display())),
    }
}

pub(in crate::cli) fn verify(arguments: Verify, settings: &[Setting]) -> ExitCode {
    let Verify { scope, json, place } = arguments;
    let print = if json { print::line } else { print::verified };
    ask(&place, settings, Operation::Verify { scope }, print)
}

pub(in crate::cli) fn import_file(arguments: &Import, settings: &[Setting]) -> ExitCode {
    let config = match load(arguments.place.config.as_deref(), settings) {
        Ok((config, _)) => config,
        Err(error) => return refuse(&error),
    };
    let open = || File::open(&arguments.file).map(BufReader::new);
    let imported = in_runtime(async {
        nobody_serves(&config, "imported").await?;
        let kept = open_store(&config).await?;
        let (storage, evolution) = (&*kept.storage, &kept.evolution);
        let imported =
            import(storage, evolution, &config.migrations, arguments.replace, open).await;
        imported.map_err(|error| OperationError(in_file(&arguments.file, &error)))
    });
    match imported {
        Ok(count) => {
            say(&format!("imported scopes: {count}"));
            ExitCode::SUCCESS
        }
        Err(error) => fail(&error.0),
    }
}

/// Makes sure that no server has the store of a configuration open.
async fn nobody_serves(config: &Config, done: &str) -> Result<(), OperationError> {
    match &config.storage.control {
        Some(file) if control::ask(file, Operation::Schemas, |_| Ok(())).await.is_some() => {
            let why = format!("a server has the store open: stop it before anything is {done}");
            Err(OperationError(why))
        }
        _ => Ok(()),
    }
}

fn in_file(file: &Path, error: &ImportError) -> String {
    match error {
        ImportError::Line(..) | ImportError::Io(_) => format!("{}: {error}", file.display()),
        ImportError::There(_) => format!("{error}; --replace replaces it"),
        ImportError::Schema(_) | ImportError::Storage(_) => error.to_string(),
    }
}

/// Runs an operation, in the server if one runs, and prints its lines.
fn ask(
    place: &Where,
    settings: &[Setting],
    operation: Operation,
    mut print: impl FnMut(&mut dyn Write, &str) -> io::Result<()>,
) -> ExitCode {
    let config = match load(place.config.as_deref(), settings) {
        Ok((config, _)) => config,
        Err(error) => return refuse(&error),
    };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut gone = false;
    let each = |line: &str| {
        let printed = print(&mut out, line);
        gone |= printed.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
        printed
    };
    let done = in_runtime(run(&config, operation, each));
    let flushed = out.flush();
    match done {
        // Whoever read what we print has gone: `jetstream history Canvas | head`.
        Err(_) if gone => ExitCode::SUCCESS,
        Err(error) => fail(&error.0),
        Ok(()) => match flushed {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&error.to_string()),
            _ => ExitCode::SUCCESS,
        },
    }
}

async fn run(
    config: &Config,
    operation: Operation,
    mut each: impl FnMut(&str) -> io::Result<()>,
) -> Result<(), OperationError> {
    if let Some(file) = &config.storage.control
        && let Some(answer) = control::ask(file, operation.clone(), &mut each).await
    {
        return answer;
    }
    let kept = open_store(config).await?;
    let (out, mut lines) = Lines::channel();
    let operations = kept.operations();
    let work = tokio::spawn(async move { operations.run(operation, &out).await });
    while let Some(line) = lines.recv().await {
        each(&line).map_err(|error| OperationError(error.to_string()))?;
    }
    let ended = work.await.map_err(|error| OperationError(error.to_string()))?;
    kept.scopes.close().await;
    ended
}

async fn open_store(config: &Config) -> Result<Kept, OperationError> {
    if config.storage.is_memory() {
        let why = "the configuration keeps scopes in memory only, and no server of it was found";
        return Err(OperationError(why.to_owned()));
    }
    let kept = config.open(Metrics::process()).await;
    let kept = kept.map_err(|error| OperationError(error.to_string()))?;
    kept.ok_or_else(|| OperationError("the configuration names no store".to_owned()))
}

/// What lies between the models of a configuration and those that its store was written with.
///
/// # Errors
///
/// A change needs an entry, or the store cannot be read.
pub(in crate::cli) fn changes(config: &Config) -> Result<Vec<Change>, OpenError> {
    let stored = in_runtime(async {
        let mut stored = Vec::new();
        let Some(file) = &config.storage.control else { return stored };
        let _ = control::ask(file, Operation::Schemas, |line| {
            stored.extend(schema(line));
            Ok(())
        })
        .await;
        stored
    });
    let step = Evolution::step(&stored, &config.schema, &config.migrations);
    Ok(step.map_err(|error: EvolutionError| OpenError::Unfit(error))?.changes)
}

fn schema(line: &str) -> Option<StoredSchema> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let version = SchemaVersion(line["version"].as_u64()?.try_into().ok()?);
    Some(StoredSchema { version, text: line["text"].as_str()?.into() })
}

fn in_runtime<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.expect("a process that just began has room for its threads").block_on(future)
}

fn fail(why: &str) -> ExitCode {
    complain(&format!("error: {why}"));
    ExitCode::FAILURE
}
