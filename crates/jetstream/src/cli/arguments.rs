//! What can be said on the command line and in the environment.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::access::Access;
use super::operate;
use super::tail::Tail;
use super::token::Token;
use super::types::Language;
use crate::config::{Setting, Variables, variables};

/// A real-time server that keeps typed models in sync between many clients.
///
/// Without a command it serves, as `jetstream serve` does.
#[derive(Debug, Parser)]
#[command(name = "jetstream", version, after_help = AFTER_HELP)]
pub(super) struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    settings: Settings,
    #[command(flatten)]
    pub(super) logs: Logs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Runs a server.
    Serve {
        /// The configuration file; without it ./jetstream.toml, or the built-in demos if there is none.
        file: Option<PathBuf>,
    },
    /// Reads a configuration file and reports every mistake in it.
    Check {
        /// The configuration file; without it as for `serve`.
        file: Option<PathBuf>,
    },
    /// Prints the models of a configuration file as definitions for a client.
    Types {
        /// The configuration file; without it as for `serve`.
        file: Option<PathBuf>,
        /// The language.
        #[arg(long = "as", value_name = "LANGUAGE", default_value = "js")]
        language: Language,
    },
    /// Says what access rules decide, and why; tests them.
    #[command(subcommand)]
    Access(Access),
    /// Prints a signed token for trying access rules, in development.
    Token(Token),
    /// Prints what is in a scope, and then what happens to it.
    Tail(Tail),
    /// Prints the commits of a scope, or a state that it had.
    History(operate::History),
    /// Makes a scope what it was, as a change like any other.
    Revert(operate::Revert),
    /// Prints who changed what and when, as JSON lines.
    Audit(operate::Audit),
    /// Writes the states of scopes as JSON lines that any version reads.
    Export(operate::Export),
    /// Puts the scopes of an export into the store; no server may run on it.
    Import(operate::Import),
    /// Checks everything that is stored: checksums, and that logs lead to snapshots.
    Verify(operate::Verify),
    /// Looks after the services that are told of changes, and what they did not take.
    #[command(subcommand)]
    Notify(operate::Notify),
    /// Copies the store into a new folder, also while a server runs, and reads everything in the copy.
    Backup(operate::Backup),
    /// Puts a copy where the configuration has its store; nothing may be there.
    Restore(operate::Restore),
    /// Makes a new store of what can be read in a damaged one, and says what is lost.
    Salvage(operate::Salvage),
}

#[derive(Debug, Args)]
struct Settings {
    /// Listens here, whatever the file says; port 0 picks a free one.
    #[arg(long, global = true, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// Sets one key of the configuration: --set limits.members_max=10.
    #[arg(long = "set", global = true, value_name = "KEY=VALUE")]
    assignments: Vec<String>,
}

#[derive(Debug, Args)]
pub(super) struct Logs {
    /// What is logged: error, warn, info, debug, trace, or by part, as in info,jetstream=debug.
    ///
    /// Without it, RUST_LOG says it, or else it is info.
    #[arg(long, global = true, value_name = "LEVEL", env = LOG_LEVEL)]
    pub(super) log_level: Option<String>,
    /// How it is logged.
    #[arg(long, global = true, value_name = "FORMAT", env = LOG_FORMAT, default_value = "human")]
    pub(super) log_format: LogFormat,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// A line for a person.
    Human,
    /// A JSON object a line.
    Json,
}

impl Arguments {
    /// All that is laid over the file, the weakest first.
    ///
    /// The variables that look like settings and are none come with them.
    pub(super) fn settings(&self, environment: Vec<(String, String)>) -> Variables {
        let Variables { mut settings, others } = variables(environment, &[LOG_LEVEL, LOG_FORMAT]);
        settings.extend(
            self.settings
                .assignments
                .iter()
                .map(|text| Setting::Assignment { flag: "--set".to_owned(), text: text.clone() }),
        );
        settings.extend(self.settings.listen.iter().map(|address| Setting::Flag {
            flag: "--listen".to_owned(),
            key: "listen".to_owned(),
            value: address.clone(),
        }));
        Variables { settings, others }
    }
}

const LOG_LEVEL: &str = "JETSTREAM_LOG_LEVEL";
const LOG_FORMAT: &str = "JETSTREAM_LOG_FORMAT";

const AFTER_HELP: &str = "Any key of the configuration can be set with --set or with a variable: \
                          JETSTREAM_LIMITS__MEMBERS_MAX=10. Flags win over variables, variables over \
                          the file.";
