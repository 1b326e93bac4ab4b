//! The command `jetstream`: `serve`, `check`, `types`, `tail`, `history` and its like, `--version`.
//!
//! - `access`: what access rules decide, and why.
//! - `arguments`: what can be said on the command line and in the environment.
//! - `logs`: where events go.
//! - `pages`: the demos in a browser.
//! - `inspector`: a page that shows what goes on.
//! - `serve`: a server from its configuration to its last connection.
//! - `types`: models as definitions in other languages.
//! - `operate`: looking at what is stored, and changing it.
//! - `token`: a token for trying access rules.
//! - `tail`: a client that prints what happens to a scope.

mod access;
mod arguments;
mod inspector;
mod logs;
mod operate;
mod pages;
mod serve;
mod tail;
mod token;
mod types;

use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;

use crate::config::{Config, LoadError, Setting, Variables};
use arguments::{Arguments, Command};

/// Runs the command with the arguments and the environment of this process.
///
/// Exits with 0 when it did what it was asked for (a server: when it was told to stop), with 1 when the
/// world did not allow it (an address is in use), and with 2 when what was asked for is wrong
/// (arguments, configuration).
pub fn main() -> ExitCode {
    run(std::env::args_os(), environment())
}

/// The environment, as far as it is text; what is not is no setting.
fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

fn run(arguments: impl Iterator<Item = OsString>, environment: Vec<(String, String)>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way, too, and are no failure. Nobody is left to tell when the
            // terminal is gone.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(MISTAKEN) } else { ExitCode::SUCCESS };
        }
    };
    let Variables { settings, others } = arguments.settings(environment);
    match arguments.command.unwrap_or(Command::Serve { file: None }) {
        Command::Check { file } => {
            for name in others {
                complain(&format!("warning: the variable {name} is no setting and passed over"));
            }
            check(file.as_deref(), &settings)
        }
        Command::Serve { file } => match load(file.as_deref(), &settings) {
            Ok((config, _)) => serve::serve(&config, &others, &arguments.logs),
            Err(error) => refuse(&error),
        },
        Command::Types { file, language } => types(file.as_deref(), &settings, language),
        Command::Access(arguments) => access::access(arguments, &settings),
        Command::Token(arguments) => token::token(&arguments),
        Command::Tail(arguments) => tail::tail(arguments),
        Command::History(arguments) => operate::history(arguments, &settings),
        Command::Revert(arguments) => operate::revert(arguments, &settings),
        Command::Audit(arguments) => operate::audit(arguments, &settings),
        Command::Export(arguments) => operate::export(arguments, &settings),
        Command::Import(arguments) => operate::import_file(&arguments, &settings),
        Command::Verify(arguments) => operate::verify(arguments, &settings),
        Command::Notify(command) => operate::notify(command, &settings),
        Command::Backup(arguments) => operate::back_up(&arguments, &settings),
        Command::Restore(arguments) => operate::restore(&arguments, &settings),
        Command::Salvage(arguments) => operate::salvage(&arguments, &settings),
    }
}

fn types(file: Option<&Path>, settings: &[Setting], language: types::Language) -> ExitCode {
    let (config, name) = match load(file, settings) {
        Ok(loaded) => loaded,
        Err(error) => return refuse(&error),
    };
    let name =
        Path::new(&name).file_name().map_or(name.clone(), |n| n.to_string_lossy().into_owned());
    match types::print(&config.schema, language, &name) {
        Ok(text) => {
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(problem) => {
            complain(&format!("error: {problem}"));
            ExitCode::from(MISTAKEN)
        }
    }
}

fn check(file: Option<&Path>, settings: &[Setting]) -> ExitCode {
    match load(file, settings) {
        Ok((config, name)) => {
            let (models, scopes) = (config.schema.models().len(), config.scopes.len());
            say(&format!("{name}: no mistakes; models: {models}, scopes and families: {scopes}"));
            check_store(&config)
        }
        Err(error) => refuse(&error),
    }
}

/// Says what the configuration would do to what is stored.
fn check_store(config: &Config) -> ExitCode {
    match operate::changes(config) {
        Ok(changes) => {
            for change in changes {
                say(&change.to_string());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            complain(&format!("error: {error}"));
            ExitCode::from(MISTAKEN)
        }
    }
}

/// The configuration, and what its text is called.
fn load(file: Option<&Path>, settings: &[Setting]) -> Result<(Config, String), LoadError> {
    let default = Path::new(DEFAULT_FILE);
    match file.or_else(|| default.exists().then_some(default)) {
        Some(file) => {
            Config::load(file, settings).map(|config| (config, file.display().to_string()))
        }
        None => {
            let config = Config::parse(DEMOS_NAME, DEMOS, Path::new(""), settings)?;
            Ok((config, DEMOS_NAME.to_owned()))
        }
    }
}

fn refuse(error: &LoadError) -> ExitCode {
    complain(&error.to_string());
    ExitCode::from(MISTAKEN)
}

/// Tells a person what is wrong.
fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// One line for who started the command: a person, or a script that reads it.
fn say(line: &str) {
    let mut out = std::io::stdout();
    // A closed standard output is no reason to stop a server.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

/// The exit code for arguments and configurations that are wrong.
const MISTAKEN: u8 = 2;

/// What is served when no file is named.
const DEFAULT_FILE: &str = "jetstream.toml";

/// What is served when there is no such file either.
const DEMOS: &str = include_str!("../../../../demos/jetstream.toml");

/// How the built-in text is called in messages.
const DEMOS_NAME: &str = "demos/jetstream.toml (built in)";
