//! `jetstream access`: what access rules decide, why, and whether it is what is expected.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::{MISTAKEN, complain, load, say};
use crate::access::Trial;
use crate::config::{Cases, Config, LoadError, Setting, TrialError, read_changes, read_claims};
use crate::core::model::ChangeSet;

#[derive(Debug, Subcommand)]
pub(super) enum Access {
    /// Says for a session and its changes which rule decides, and why: for the fetch, for each fragment, and for
    /// what the session sees afterwards.
    Explain(Explain),
    /// Runs a file of cases and says which are not as expected.
    Test(Test),
}

#[derive(Debug, Args)]
#[command(override_usage = "jetstream access explain [FILE] --scope <NAME> [OPTIONS] <CHANGES>")]
pub(super) struct Explain {
    /// The configuration file, without it as for `serve`; and last the changes, in JSON: an array of fragments, or a
    /// ScopeSync. "$root" stands for the root's uuid.
    #[arg(required = true, value_names = ["[FILE] CHANGES"])]
    files: Vec<PathBuf>,
    /// Who the session is: a JSON object with its claims. Without it, nobody.
    #[arg(long, value_name = "FILE")]
    session: Option<PathBuf>,
    /// The scope, by its name.
    #[arg(long, value_name = "NAME")]
    scope: String,
    /// What is in the scope; without it, what it begins with.
    #[arg(long, value_name = "FILE")]
    state: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(super) struct Test {
    /// The cases, in TOML.
    file: PathBuf,
    /// The configuration file; without it, the one that the cases name.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Exits with 0, with 1 if a case is not as expected, and with 2 if a file is wrong.
pub(super) fn access(arguments: Access, settings: &[Setting]) -> ExitCode {
    let done = match arguments {
        Access::Explain(arguments) => explain(&arguments, settings),
        Access::Test(arguments) => test(&arguments, settings).map_err(TrialError::from),
    };
    done.unwrap_or_else(|error| {
        match error {
            TrialError::Load(error) => complain(&error.to_string()),
            error => complain(&format!("error: {error}")),
        }
        ExitCode::from(MISTAKEN)
    })
}

fn explain(arguments: &Explain, settings: &[Setting]) -> Result<ExitCode, TrialError> {
    // Options may stand between the two, so they cannot be told apart before.
    let (file, changes) = match arguments.files.as_slice() {
        [changes] => (None, changes),
        [file, changes] => (Some(file.as_path()), changes),
        _ => {
            complain("error: expected at most a configuration file and a file with changes");
            return Ok(ExitCode::from(MISTAKEN));
        }
    };
    let (config, _) = load(file, settings)?;
    let trial = trial(&config, &arguments.scope, arguments.state.as_deref())?;
    let claims = arguments.session.as_deref().map(read_claims).transpose()?.unwrap_or_default();
    let changes = read_changes(changes, &trial)?;
    let given = ChangeSet::new([]);
    let explanation = trial.run(&claims, &given, &changes).expect("nothing is given");
    say(explanation.to_string().trim_end());
    Ok(ExitCode::SUCCESS)
}

fn trial(config: &Config, scope: &str, state: Option<&Path>) -> Result<Trial, TrialError> {
    match state {
        Some(state) => config.trial_on(scope, state),
        None => config.trial(scope),
    }
}

fn test(arguments: &Test, settings: &[Setting]) -> Result<ExitCode, LoadError> {
    let config =
        arguments.config.as_deref().map(|file| Config::load(file, settings)).transpose()?;
    let report = Cases::load(&arguments.file, config, settings)?.run();
    say(&report.to_string());
    Ok(if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
