//! `backup` and `restore`: a copy of the store in a folder, and back again; and `salvage`, for when there is
//! none.
//!
//! The first two write beside the place that is meant, read everything in the copy, and only then put it there in one
//! step: what has the name is whole.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;

use super::{Where, fail, in_runtime, nobody_serves};
use crate::cli::{MISTAKEN, complain, load, refuse, say};
use crate::config::{Config, Setting, StorageConfig};
use crate::operations::{Lines, Operation, OperationError, Operations, control};
use crate::scope::Scopes;
use crate::storage::past::Summaries;
use crate::storage::{EmbeddedOptions, EmbeddedStorage, Evolution, Restoring, Salvaged, Storage};

#[derive(Debug, Args)]
pub(in crate::cli) struct Backup {
    /// The folder of the copy, which must not be there yet.
    folder: PathBuf,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Restore {
    /// What `jetstream backup` wrote.
    folder: PathBuf,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Salvage {
    /// The folder of the new store, which must not be there yet.
    folder: PathBuf,
    #[command(flatten)]
    place: Where,
}

/// Copies the store of a configuration, whether a server has it open or not.
pub(in crate::cli) fn back_up(arguments: &Backup, settings: &[Setting]) -> ExitCode {
    with_store(&arguments.place, settings, async |config, store| {
        let to =
            std::path::absolute(&arguments.folder).map_err(|e| cannot(&arguments.folder, &e))?;
        if to.exists() {
            return Err(OperationError(format!("{} is there already", to.display())));
        }
        let mut part = OsString::from(&to);
        part.push(".part");
        let part = PathBuf::from(part);
        remove(&part).map_err(|error| cannot(&part, &error))?;
        copy(config, store, &part).await?;
        let seen = look_at(&part).await?;
        tidy(&part).and_then(|()| fs::rename(&part, &to)).map_err(|error| cannot(&to, &error))?;
        sync_parent(&to).map_err(|error| cannot(&to, &error))?;
        Ok((format!("backed up to {}: {}", to.display(), seen.counted()), seen))
    })
}

/// Puts a copy where a configuration has its store.
pub(in crate::cli) fn restore(arguments: &Restore, settings: &[Setting]) -> ExitCode {
    with_store(&arguments.place, settings, async |config, store| {
        nobody_serves(config, "restored").await?;
        let restoring = Restoring::begin(&arguments.folder, store)?;
        forget_sessions(restoring.part()).await?;
        let seen = look_at(restoring.part()).await?;
        restoring.finish()?;
        let (from, to) = (arguments.folder.display(), store.display());
        Ok((format!("restored from {from} to {to}: {}", seen.counted()), seen))
    })
}

/// Makes a new store of what can be read in that of a configuration.
pub(in crate::cli) fn salvage(arguments: &Salvage, settings: &[Setting]) -> ExitCode {
    with_store(&arguments.place, settings, async |config, store| {
        nobody_serves(config, "salvaged").await?;
        if !store.exists() {
            return Err(OperationError(format!("there is no folder {}", store.display())));
        }
        let salvaged = EmbeddedStorage::salvage(store, &arguments.folder).await?;
        tidy(&arguments.folder).map_err(|error| cannot(&arguments.folder, &error))?;
        let seen = Seen {
            scopes: salvaged.iter().filter(|scope| scope.revision.is_some()).count(),
            damage: salvaged.iter().filter_map(loss).collect(),
            ..look_at(&arguments.folder).await?
        };
        tidy(&arguments.folder).map_err(|error| cannot(&arguments.folder, &error))?;
        Ok((format!("salvaged to {}: {}", arguments.folder.display(), seen.counted()), seen))
    })
}

/// What is lost of a scope, for a person.
fn loss(scope: &Salvaged) -> Option<String> {
    let lost = scope.lost.as_ref()?;
    let name = scope.name.as_ref().map_or("a scope".to_owned(), |name| format!("{name:?}"));
    Some(match scope.revision {
        Some(revision) => format!("{name} is what it was at revision {revision}: {lost}"),
        None => format!("{name} is lost: {lost}"),
    })
}

/// Runs a command on the folder of a configuration, and says what came of it.
fn with_store(
    place: &Where,
    settings: &[Setting],
    run: impl AsyncFnOnce(&Config, &Path) -> Result<(String, Seen), OperationError>,
) -> ExitCode {
    let config = match load(place.config.as_deref(), settings) {
        Ok((config, _)) => config,
        Err(error) => return refuse(&error),
    };
    let Some(store) = config.storage.path.clone() else {
        complain(&format!("error: {}", no_folder(&config.storage)));
        return ExitCode::from(MISTAKEN);
    };
    match in_runtime(run(&config, &store)) {
        Ok((done, seen)) => {
            say(&done);
            for damage in &seen.damage {
                complain(&format!("error: {damage}"));
            }
            if seen.damage.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => fail(&error.0),
    }
}

/// Why a store without a folder is not copied, and what to do instead.
const fn no_folder(storage: &StorageConfig) -> &'static str {
    if storage.is_memory() {
        "the configuration keeps scopes in memory only; `jetstream export` writes their states"
    } else {
        "the store is a PostgreSQL database: copy and restore it with pg_dump and pg_restore, or with \
         continuous archiving, while no server runs on what is restored"
    }
}

/// Lets the server write the copy, if one runs, or else writes it.
async fn copy(config: &Config, store: &Path, to: &Path) -> Result<(), OperationError> {
    let operation = Operation::BackUp { folder: to.to_owned() };
    if let Some(file) = &config.storage.control
        && let Some(answer) = control::ask(file, operation, |_| Ok(())).await
    {
        return answer;
    }
    if !EmbeddedStorage::is_in(store) {
        return Err(OperationError(format!("there is no store in {}", store.display())));
    }
    let storage = EmbeddedStorage::open(&EmbeddedOptions::new(store))?;
    Ok(storage.back_up(to).await?)
}

/// What was seen in a store.
struct Seen {
    scopes: usize,
    bytes: u64,
    /// What is wrong, in plain words.
    damage: Vec<String>,
}

impl Seen {
    fn counted(&self) -> String {
        let Self { scopes, bytes, damage } = self;
        let damaged = match damage.len() {
            0 => String::new(),
            found => format!(", damages: {found}"),
        };
        format!("scopes: {scopes}, bytes: {bytes}{damaged}")
    }
}

/// Reads everything in a store.
async fn look_at(folder: &Path) -> Result<Seen, OperationError> {
    let storage = EmbeddedStorage::open(&EmbeddedOptions::new(folder))?;
    let storage: Arc<dyn Storage> = Arc::new(storage);
    let mut seen = Seen { scopes: 0, bytes: 0, damage: Vec::new() };
    let mut summaries = Summaries::of(&*storage);
    while let Some(summary) = summaries.next().await? {
        seen.scopes += 1;
        seen.bytes += summary.bytes;
    }
    // By its own schemas: a configuration may have gone on, and a copy is not to be changed.
    let evolution = Evolution::stored(&storage.schemas().await?);
    let Some(evolution) = evolution.map_err(|error| OperationError(error.to_string()))? else {
        return Ok(seen);
    };
    let scopes = Scopes::builder().build().expect("there is no name that could be wrong");
    let operations = Operations::new(storage, Arc::new(evolution), scopes);
    let (out, mut lines) = Lines::channel();
    let work =
        tokio::spawn(async move { operations.run(Operation::Verify { scope: None }, &out).await });
    while let Some(line) = lines.recv().await {
        let line: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
        if let Some(damage) = line["damage"].as_str() {
            seen.damage.push(format!("the scope {} is damaged: {damage}", line["scope"]));
        } else if let Some(finding) = line["finding"].as_str() {
            seen.damage.push(format!("the files: {finding}"));
        }
    }
    let verified = work.await.map_err(|error| OperationError(error.to_string()))?;
    // Damage is told with the copy; there is none better.
    if seen.damage.is_empty() { verified.map(|()| seen) } else { Ok(seen) }
}

/// Sessions remember what their clients had, which is more than the copy has.
async fn forget_sessions(folder: &Path) -> Result<(), OperationError> {
    let storage = EmbeddedStorage::open(&EmbeddedOptions::new(folder))?;
    loop {
        let sessions = storage.sessions(None, SESSIONS_AT_A_TIME).await?;
        if sessions.is_empty() {
            return Ok(());
        }
        let ids: Vec<_> = sessions.iter().map(|session| session.id).collect();
        storage.forget_sessions(&ids).await?;
    }
}

/// Leaves only what belongs to a copy, and not what opening it has made.
fn tidy(part: &Path) -> io::Result<()> {
    for entry in fs::read_dir(part)? {
        let entry = entry?;
        if entry.file_name() != EmbeddedStorage::FILE {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn remove(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn sync_parent(folder: &Path) -> io::Result<()> {
    let parent = folder.parent().filter(|_| cfg!(unix));
    parent.map_or(Ok(()), |parent| fs::File::open(parent)?.sync_all())
}

fn cannot(path: &Path, error: &io::Error) -> OperationError {
    OperationError(format!("cannot write {}: {error}", path.display()))
}

/// How many sessions are forgotten in one transaction.
const SESSIONS_AT_A_TIME: usize = 1000;
