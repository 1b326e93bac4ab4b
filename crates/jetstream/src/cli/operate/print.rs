//! The lines of operations for people.

use std::io::{self, Write};

use serde::Deserialize;

/// A line as it is, for programs.
pub(super) fn line(out: &mut dyn Write, line: &str) -> io::Result<()> {
    writeln!(out, "{line}")
}

#[derive(Deserialize)]
struct Commit {
    revision: u64,
    time: String,
    session: Option<u64>,
    author: Option<String>,
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    r#type: String,
    model: String,
    uuid: String,
    properties: Vec<String>,
}

/// `12  2026-03-01T12:00:00.000Z  session 7  change Shape 8c5e… (x, y)`.
pub(super) fn commit(out: &mut dyn Write, line: &str) -> io::Result<()> {
    let Commit { revision, time, session, author, changes } = serde_json::from_str(line)?;
    let who = match (session, author) {
        (Some(id), _) => format!("session {id}"),
        (None, Some(author)) => format!("application for {author}"),
        (None, None) => "application".to_owned(),
    };
    write!(out, "{revision:>6}  {time}  {who}")?;
    for change in changes.iter().take(CHANGES_MAX) {
        let Change { r#type, model, uuid, properties } = change;
        write!(out, "  {type} {model} {uuid}")?;
        if !properties.is_empty() {
            write!(out, " ({})", properties.join(", "))?;
        }
    }
    match changes.len().saturating_sub(CHANGES_MAX) {
        0 => writeln!(out),
        more => writeln!(out, "  and {more} more"),
    }
}

#[derive(Deserialize)]
struct Reverted {
    revision: u64,
    fragments: usize,
}

/// What came of a revert.
pub(super) fn reverted(out: &mut dyn Write, line: &str) -> io::Result<()> {
    let Reverted { revision, fragments } = serde_json::from_str(line)?;
    match fragments {
        0 => writeln!(out, "nothing to do: the scope is like that at revision {revision}"),
        _ => writeln!(out, "reverted by revision {revision}, which changes {fragments} objects"),
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Found {
    Scope(Verified),
    Finding { finding: String },
}

#[derive(Deserialize)]
struct Verified {
    scope: String,
    revision: u64,
    snapshots: usize,
    commits: usize,
    damage: Option<String>,
}

/// What was found out about a scope, or about the store's files.
pub(super) fn verified(out: &mut dyn Write, line: &str) -> io::Result<()> {
    let Verified { scope, revision, snapshots, commits, damage } = match serde_json::from_str(line)?
    {
        Found::Scope(verified) => verified,
        Found::Finding { finding } => return writeln!(out, "the files: {finding}"),
    };
    match damage {
        Some(damage) => writeln!(out, "{scope}: damaged: {damage}"),
        None => writeln!(
            out,
            "{scope}: good; revision {revision}, snapshots: {snapshots}, commits: {commits}"
        ),
    }
}

/// Of a commit that changes more, the rest is counted.
const CHANGES_MAX: usize = 3;
