//! A file of cases for access rules: `jetstream access test`.
//!
//! It names a configuration, a scope and the objects to begin with, then sessions, and in each `[[case]]` what
//! one of them does and what is expected of the rules.

use std::fmt;
use std::path::Path;

use serde_json::{Map, Number, Value as Json};

use super::reader::{Reader, allowed, array, boolean, string, table};
use crate::access::Trial;
use crate::access::cases::{Case, CaseResult, Expected, Fate, Thing};
use crate::authentication::with_user;
use crate::config::mistake::{Collector, Origin, Place, Source, Sources};
use crate::config::tree::{self, Entry, Node, Table, Value, quoted};
use crate::config::trial::{TrialError, change_set};
use crate::config::{Config, LoadError, Setting};
use crate::core::ids::ObjectId;
use crate::core::model::ChangeSet;
use crate::core::scope::Claims;

/// Cases, checked against the configuration that they are about.
#[derive(Debug)]
pub struct Cases {
    file: String,
    trial: Trial,
    cases: Vec<(usize, Case)>,
}

/// What became of them.
#[derive(Debug)]
pub struct Report {
    file: String,
    results: Vec<(usize, String, CaseResult)>,
}

impl Cases {
    /// Reads a file. `config` is used instead of the configuration that the file names, which is looked for
    /// beside it.
    ///
    /// # Errors
    ///
    /// A file cannot be read, or every mistake that is in it.
    pub fn load(
        path: &Path,
        config: Option<Config>,
        settings: &[Setting],
    ) -> Result<Self, LoadError> {
        let file = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|error| LoadError::Unreadable { file: file.clone(), error })?;
        let mut sources = Sources::default();
        let source = sources.add(Source::new(Origin::File, file.clone(), text.clone()));
        let mut mistakes = Collector::default();
        let Some(root) = tree::parse(&text, source, &mut mistakes) else {
            return mistakes.finish(&sources, None).map_err(Into::into);
        };
        let mut reader = Reader::of("the cases", &root, Place::new(source, 0..0));
        let directory = path.parent().unwrap_or(Path::new(""));
        let named = reader.take("config");
        let config = match (config, named) {
            (Some(config), _) => Some(config),
            (None, Some(entry)) => match string(&entry.node, "the name of a file", &mut mistakes) {
                Some(name) => Some(Config::load(&directory.join(name), settings)?),
                None => None,
            },
            (None, None) => {
                let help = "config = \"jetstream.toml\", or on the command line: --config";
                let at = Place::new(source, 0..0);
                mistakes.add_with_help(at, "the cases need the key \"config\"", help);
                None
            }
        };
        let trial = config.and_then(|config| trial(&mut reader, &config, directory, &mut mistakes));
        let sessions = sessions(reader.take("sessions"), &mut mistakes);
        let cases = reader.require("case", &mut mistakes);
        reader.finish(&mut mistakes);
        let read = match (trial, cases) {
            (Some(trial), Some(entry)) => {
                let mut looking = Looking { trial: &trial, sessions: &sessions, mistakes };
                let nodes = array(&entry.node, "cases: [[case]]", &mut looking.mistakes);
                let nodes = nodes.unwrap_or_default();
                let cases = nodes
                    .iter()
                    .filter_map(|node| Some((sources.line(node.place), looking.case(node)?)));
                let cases: Vec<_> = cases.collect();
                mistakes = looking.mistakes;
                Some(Self { file, trial, cases })
            }
            _ => None,
        };
        mistakes.finish(&sources, read).map_err(Into::into)
    }

    /// Tries all of them.
    pub fn run(&self) -> Report {
        let run = |(line, case): &(usize, Case)| (*line, case.name.clone(), case.run(&self.trial));
        Report { file: self.file.clone(), results: self.cases.iter().map(run).collect() }
    }
}

impl Report {
    /// Whether everything was as expected.
    pub fn passed(&self) -> bool {
        self.results.iter().all(|(.., result)| result.failures.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut failed = 0;
        for (line, name, result) in &self.results {
            if result.failures.is_empty() {
                writeln!(f, "ok    {name}")?;
                continue;
            }
            failed += 1;
            writeln!(f, "FAIL  {name} ({}:{line})", self.file)?;
            for line in result.failures.iter().flat_map(|failure| failure.lines()) {
                writeln!(f, "        {line}")?;
            }
        }
        let checks: usize = self.results.iter().map(|(.., result)| result.checks).sum();
        let count = self.results.len();
        write!(f, "{count} cases, {checks} checks, {failed} failed")
    }
}

/// The scope that the cases are about, with the objects and names of the file.
fn trial(
    reader: &mut Reader<'_>,
    config: &Config,
    directory: &Path,
    mistakes: &mut Collector,
) -> Option<Trial> {
    let scope = reader.require("scope", mistakes);
    let state = reader.take("state");
    let names = reader.take("names");
    let entry = scope?;
    let scope = string(&entry.node, "the name of a scope", mistakes)?;
    let state = match state {
        Some(entry) => Some((entry, string(&entry.node, "the name of a file", mistakes)?)),
        None => None,
    };
    let trial = match state {
        None => config.trial(scope),
        Some((_, file)) => config.trial_on(scope, &directory.join(file)),
    };
    let place = match (&trial, state) {
        (Err(TrialError::Load(_)), Some((state, _))) => state.node.place,
        _ => entry.node.place,
    };
    let mut trial = match trial {
        Ok(trial) => trial,
        Err(error) => {
            mistakes.add(place, error.to_string());
            return None;
        }
    };
    let named = names.and_then(|entry| table(&entry.node, "names of objects", mistakes));
    for Entry { key, node, .. } in named.into_iter().flat_map(|table| &table.0) {
        let Some(text) = string(node, "a uuid", mistakes) else { continue };
        match text.parse::<ObjectId>() {
            Ok(id) => trial = trial.name(key, id),
            Err(_) => mistakes.add(node.place, format!("{} is no uuid", quoted(text))),
        }
    }
    Some(trial)
}

/// Claims by the name of a session.
fn sessions(entry: Option<&Entry>, mistakes: &mut Collector) -> Vec<(String, Claims)> {
    let table = entry.and_then(|entry| table(&entry.node, "sessions by name", mistakes));
    let entries = table.into_iter().flat_map(|table| &table.0);
    entries.filter_map(|entry| Some((entry.key.clone(), claims(&entry.node, mistakes)?))).collect()
}

fn claims(node: &Node, mistakes: &mut Collector) -> Option<Claims> {
    Some(with_user(object(table(node, "a session's claims", mistakes)?)))
}

struct Looking<'a> {
    trial: &'a Trial,
    sessions: &'a [(String, Claims)],
    mistakes: Collector,
}

impl Looking<'_> {
    fn case(&mut self, node: &Node) -> Option<Case> {
        let mut reader = Reader::open("a case", node, &mut self.mistakes)?;
        let name = reader.require("name", &mut self.mistakes);
        let session = reader.require("session", &mut self.mistakes);
        let given = reader.take("given");
        let changes = reader.take("changes");
        let atomic = reader.take("atomic");
        let procedure = reader.take("procedure");
        let fetch = reader.take("fetch");
        let expect = reader.take("expect");
        let sees = reader.take("sees");
        let hides = reader.take("hides");
        reader.finish(&mut self.mistakes);

        let name = name.and_then(|e| string(&e.node, "what the case shows", &mut self.mistakes));
        let claims = session.and_then(|entry| self.session(&entry.node));
        let given = self.fragments(given, false, None);
        let atomic = atomic.and_then(|entry| boolean(&entry.node, &mut self.mistakes));
        let procedure =
            procedure.and_then(|e| string(&e.node, "the name of a procedure", &mut self.mistakes));
        let atomic = atomic.unwrap_or(procedure.is_some());
        let changes = self.fragments(changes, atomic, procedure);
        let fetch = fetch.map_or(Some(Fate::Allowed), |entry| self.fate(&entry.node));
        let fragments = match expect {
            Some(entry) => self.fates(&entry.node, changes.fragments.len()),
            None => Some(Vec::new()),
        };
        let expected = Expected {
            fetch: fetch?,
            fragments: fragments?,
            sees: self.things(sees),
            hides: self.things(hides),
        };
        Some(Case { name: name?.to_owned(), claims: claims?, given, changes, expected })
    }

    fn session(&mut self, node: &Node) -> Option<Claims> {
        let Value::String(name) = &node.value else { return claims(node, &mut self.mistakes) };
        let found = self.sessions.iter().find(|(known, _)| known == name);
        if found.is_none() {
            let names = self.sessions.iter().map(|(name, _)| name.as_str());
            let help = allowed("sessions", name, names);
            let message = format!("no session {} in [sessions]", quoted(name));
            self.mistakes.add_with_help(node.place, message, help);
        }
        found.map(|(_, claims)| claims.clone())
    }

    fn fragments(
        &mut self,
        entry: Option<&Entry>,
        atomic: bool,
        procedure: Option<&str>,
    ) -> ChangeSet {
        let nodes = entry.and_then(|e| array(&e.node, "fragments", &mut self.mistakes));
        let fragments: Vec<Json> = nodes.unwrap_or_default().iter().map(json).collect();
        change_set(&fragments, atomic, procedure, self.trial)
    }

    /// One word for all fragments, or one for each.
    fn fates(&mut self, node: &Node, fragments: usize) -> Option<Vec<Fate>> {
        let Value::Array(nodes) = &node.value else {
            return Some(vec![self.fate(node)?; fragments]);
        };
        if nodes.len() != fragments {
            let message = format!("{} expectations for {fragments} fragments", nodes.len());
            let help = "one for each fragment, in order, or one word for all of them";
            self.mistakes.add_with_help(node.place, message, help);
            return None;
        }
        nodes.iter().map(|node| self.fate(node)).collect()
    }

    fn fate(&mut self, node: &Node) -> Option<Fate> {
        let text = string(node, "what becomes of it", &mut self.mistakes)?;
        let help = "\"allowed\", \"refused\", \"refused by RULE\", or \"no rule\"";
        match text {
            "allowed" => return Some(Fate::Allowed),
            "refused" => return Some(Fate::Refused),
            "no rule" => return Some(Fate::NoRule),
            _ => {}
        }
        let Some(rule) = text.strip_prefix("refused by ") else {
            let message = format!("{} is not what can become of it", quoted(text));
            self.mistakes.add_with_help(node.place, message, help);
            return None;
        };
        let names = self.trial.rule_names();
        // Quotes within quotes are hard to write, so they may be left out.
        let plain = |name: &str| name.replace('"', "");
        if let Some(name) = names.iter().find(|name| plain(name) == plain(rule)) {
            return Some(Fate::RefusedBy(name.clone()));
        }
        let help = allowed("rules", rule, names.iter().map(String::as_str));
        self.mistakes.add_with_help(node.place, format!("no rule {}", quoted(rule)), help);
        None
    }

    fn things(&mut self, entry: Option<&Entry>) -> Vec<Thing> {
        let nodes =
            entry.and_then(|e| array(&e.node, "objects and properties", &mut self.mistakes));
        nodes.unwrap_or_default().iter().filter_map(|node| self.thing(node)).collect()
    }

    /// `$name`, `$name.property`, or a uuid in place of the name.
    fn thing(&mut self, node: &Node) -> Option<Thing> {
        let text = string(node, "an object or a property", &mut self.mistakes)?;
        let (object, property) = match text.split_once('.') {
            Some((object, property)) => (object, Some(property)),
            None => (text, None),
        };
        let id = match object.strip_prefix('$') {
            Some(name) => self.trial.named(name),
            None => object.parse().ok(),
        };
        let Some(id) = id else {
            let help = "write \"$name\" or \"$name.property\", with the name in [names]; the root is $root";
            let message = format!("no object {}", quoted(object));
            self.mistakes.add_with_help(node.place, message, help);
            return None;
        };
        let known = |property: &&str| {
            self.trial.schema().models().any(|(_, model)| model.find(property).is_some())
        };
        if let Some(property) = property.filter(|property| !known(property)) {
            let message = format!("no model has a property {}", quoted(property));
            self.mistakes.add(node.place, message);
            return None;
        }
        let property = property.map(str::to_owned);
        Some(Thing { text: text.to_owned(), object: id, property })
    }
}

fn object(table: &Table) -> Map<String, Json> {
    table.0.iter().map(|entry| (entry.key.clone(), json(&entry.node))).collect()
}

/// What was written in TOML as it would be written in JSON.
fn json(node: &Node) -> Json {
    match &node.value {
        Value::String(text) | Value::Date(text) => Json::String(text.clone()),
        Value::Integer(number) => Json::Number((*number).into()),
        Value::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Value::Boolean(value) => Json::Bool(*value),
        Value::Array(elements) => elements.iter().map(json).collect(),
        Value::Table(entries) => Json::Object(object(entries)),
    }
}
