//! `jetstream notify`: how it stands with those who are told of changes, and what they did not take.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde::Deserialize;

use super::{Where, ask, print};
use crate::config::Setting;
use crate::operations::{Letters, NotifyOperation, Operation};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Notify {
    /// Prints how it stands with each service that is told of changes.
    Status(Look),
    /// Lists what was set aside, since it was not taken.
    List(Look),
    /// Prints one that was set aside, as it was to be sent.
    Show {
        /// Its number.
        letter: u64,
        #[command(flatten)]
        place: Where,
    },
    /// Sends again what was set aside; what is taken now is forgotten.
    Retry(Which),
    /// Forgets what was set aside.
    Drop(Which),
    /// Goes on with a service that is told nothing any more, and tries at once what waits for it.
    Resume {
        /// The consumer's name; without it, all.
        consumer: Option<String>,
        #[command(flatten)]
        place: Where,
    },
}

#[derive(Debug, Args)]
pub(in crate::cli) struct Look {
    /// One JSON object a line, for programs.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    place: Where,
}

#[derive(Debug, Args)]
#[group(id = "which", required = true, multiple = true, args = ["letters", "all"])]
pub(in crate::cli) struct Which {
    /// Their numbers, as `jetstream notify list` prints them.
    letters: Vec<u64>,
    /// All of them.
    #[arg(long, conflicts_with = "letters")]
    all: bool,
    /// Those for this consumer only.
    #[arg(long, value_name = "NAME")]
    consumer: Option<String>,
    #[command(flatten)]
    place: Where,
}

pub(in crate::cli) fn notify(command: Notify, settings: &[Setting]) -> ExitCode {
    let run = |place: &Where, operation, printed: fn(&mut dyn Write, &str) -> io::Result<()>| {
        ask(place, settings, Operation::Notify(operation), printed)
    };
    match command {
        Notify::Status(Look { json, place }) => {
            run(&place, NotifyOperation::Standing, if json { print::line } else { standing })
        }
        Notify::List(Look { json, place }) => {
            run(&place, NotifyOperation::List, if json { print::line } else { letter })
        }
        Notify::Show { letter, place } => {
            run(&place, NotifyOperation::Show { letter }, print::line)
        }
        Notify::Retry(which) => run(&which.place, NotifyOperation::Retry(which.letters()), retried),
        Notify::Drop(which) => run(&which.place, NotifyOperation::Drop(which.letters()), dropped),
        Notify::Resume { consumer, place } => {
            run(&place, NotifyOperation::Resume { consumer }, resumed)
        }
    }
}

impl Which {
    fn letters(&self) -> Letters {
        Letters { consumer: self.consumer.clone(), letters: self.letters.clone() }
    }
}

#[derive(Deserialize)]
struct Standing {
    consumer: String,
    stopped: Option<String>,
    scopes_behind: usize,
    commits_behind: u64,
    dead_letters: u64,
}

fn standing(out: &mut dyn Write, line: &str) -> io::Result<()> {
    let Standing { consumer, stopped, scopes_behind, commits_behind, dead_letters } =
        serde_json::from_str(line)?;
    let stopped = stopped.map_or_else(String::new, |why| format!("; stopped: {why}"));
    writeln!(
        out,
        "{consumer}: scopes behind: {scopes_behind}, commits: {commits_behind}, dead letters: \
         {dead_letters}{stopped}"
    )
}

#[derive(Deserialize)]
struct Letter {
    letter: u64,
    consumer: String,
    scope: String,
    after: u64,
    revision: u64,
    time: String,
    why: String,
}

fn letter(out: &mut dyn Write, line: &str) -> io::Result<()> {
    let Letter { letter, consumer, scope, after, revision, time, why } =
        serde_json::from_str(line)?;
    let from = after + 1;
    writeln!(out, "{letter:>6}  {time}  {consumer}  {scope}  revisions {from} to {revision}: {why}")
}

#[derive(Deserialize)]
struct Done {
    letter: u64,
    stays: Option<String>,
}

fn retried(out: &mut dyn Write, line: &str) -> io::Result<()> {
    done(out, line, "taken")
}

fn dropped(out: &mut dyn Write, line: &str) -> io::Result<()> {
    done(out, line, "dropped")
}

fn done(out: &mut dyn Write, line: &str, what: &str) -> io::Result<()> {
    let Done { letter, stays } = serde_json::from_str(line)?;
    match stays {
        None => writeln!(out, "{letter:>6}  {what}"),
        Some(why) => writeln!(out, "{letter:>6}  stays: {why}"),
    }
}

#[derive(Deserialize)]
struct Resumed {
    resumed: String,
}

fn resumed(out: &mut dyn Write, line: &str) -> io::Result<()> {
    let Resumed { resumed } = serde_json::from_str(line)?;
    writeln!(out, "{resumed}: goes on")
}
