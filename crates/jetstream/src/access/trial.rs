//! What the rules of a scope say of a session and of what it wants to change, and why: a real scope of the same
//! machine as in the server, with nothing around it and somebody who hears what its rules are asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jetstream_core::ids::{MemberId, MessageIndex, ObjectId, SessionId, Ticket};
use jetstream_core::model::prospect::Prospect;
use jetstream_core::model::{ChangeSet, Fragment, FragmentKind, Graph, Rejection, Schema};
use jetstream_core::scope::access::{AccessPolicy, ScopeFacts};
use jetstream_core::scope::{
    Access, Claims, Input, Options, Outcome, Output, Scope, Terms, Verdict,
};
use jetstream_core::time::Now;
use jetstream_core::wire::message::Dialect;
use serde_json::Value as Json;

use super::witness::{Question, Witness};
use super::{Operation, Rules, Witnessed};
use crate::expression::Looked;

/// A scope on which rules can be tried. Every [`run`](Self::run) begins with the same objects.
#[derive(Debug, Clone)]
pub struct Trial {
    rules: Arc<Rules>,
    facts: Arc<ScopeFacts>,
    graph: Graph,
    options: Options,
    names: BTreeMap<String, ObjectId>,
}

/// What the rules said.
#[derive(Debug, Clone, PartialEq)]
pub struct Explanation {
    /// Whether the session may be a member, and why. If not, nothing else was asked.
    pub fetch: Question,
    /// What became of each fragment, in order.
    pub fragments: Vec<Judged>,
    /// What the session sees of each object afterwards, in the order of a state.
    pub objects: Vec<Sighted>,
    names: Names,
}

/// What became of a fragment.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What it is: `change of Message $hello`.
    pub fragment: String,
    /// Whether it was applied, or what its author is told.
    pub result: Result<(), Rejection>,
    /// What the rules were asked about it. Nothing, if it was refused for another reason.
    pub questions: Vec<Question>,
}

/// What a session sees of an object.
#[derive(Debug, Clone, PartialEq)]
pub struct Sighted {
    /// Which.
    pub object: ObjectId,
    /// Its model.
    pub model: String,
    /// Whether it is in the state that the session gets.
    pub seen: bool,
    /// The properties that are not, though the object is.
    pub hidden: BTreeSet<String>,
    /// What the rules under `read` said of it and of its properties. An object that may be read and is not
    /// seen is one that only hidden ones lead to.
    pub questions: Vec<Question>,
}

/// What objects are called in what is printed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Names(BTreeMap<ObjectId, String>);

impl Trial {
    /// A scope with these rules and objects.
    pub fn new(rules: Arc<Rules>, scope: ScopeFacts, graph: Graph) -> Self {
        let names = BTreeMap::from([(ROOT_NAME.to_owned(), graph.root())]);
        Self { rules, facts: Arc::new(scope), graph, options: Options::default(), names }
    }

    /// The scope's limits and procedures. Nobody is asked about its changes: who decides about them elsewhere
    /// is taken to agree.
    #[must_use]
    pub fn options(mut self, options: Options) -> Self {
        self.options = Options { stored: false, ..options };
        self
    }

    /// Calls an object by a name, in what is read for this trial and in what is printed of it: `$name`. The
    /// root is `$root`.
    #[must_use]
    pub fn name(mut self, name: &str, object: ObjectId) -> Self {
        self.names.insert(name.to_owned(), object);
        self
    }

    /// The object of this name.
    pub fn named(&self, name: &str) -> Option<ObjectId> {
        self.names.get(name).copied()
    }

    /// The models of the scope.
    pub fn schema(&self) -> &Schema {
        self.graph.schema()
    }

    /// The scope's limits and procedures.
    pub const fn scope_options(&self) -> &Options {
        &self.options
    }

    /// The names of the rules, as refusals tell them.
    pub fn rule_names(&self) -> Vec<String> {
        self.rules.names()
    }

    /// Lets a session with these claims fetch the scope and change it. `given` is what happened before.
    ///
    /// # Errors
    ///
    /// Why what is given cannot be applied; its place in the list, and what is wrong.
    pub fn run(
        &self,
        claims: &Claims,
        given: &ChangeSet,
        changes: &ChangeSet,
    ) -> Result<Explanation, (usize, Rejection)> {
        let mut run = Run::new(self);
        if !given.fragments.is_empty() {
            run.given(given)?;
        }
        let (fetch, denied) = run.fetch(claims);
        let names = Names(self.names.iter().map(|(name, id)| (*id, format!("${name}"))).collect());
        let labels: Vec<String> =
            changes.fragments.iter().map(|f| label(self.schema(), f, &names)).collect();
        let (fragments, objects) = match denied {
            Some(rejection) => {
                let refused = |fragment: String| Judged {
                    fragment,
                    result: Err(rejection.clone()),
                    questions: Vec::new(),
                };
                (labels.into_iter().map(refused).collect(), Vec::new())
            }
            None => {
                let fragments = match labels.is_empty() {
                    true => Vec::new(),
                    false => run.sync(changes, labels),
                };
                (fragments, run.read(claims))
            }
        };
        Ok(Explanation { fetch, fragments, objects, names })
    }
}

/// One run of a trial.
struct Run<'t> {
    trial: &'t Trial,
    policy: Arc<Witnessed>,
    scope: Scope,
    out: Vec<Output>,
}

const SESSION: MemberId = MemberId(1);

impl<'t> Run<'t> {
    fn new(trial: &'t Trial) -> Self {
        let witness = Arc::new(Witness::default());
        let policy = Arc::new(Witnessed { rules: trial.rules.clone(), witness });
        let access = Access { policy: policy.clone(), scope: trial.facts.clone() };
        let options = Options { access: Some(access), ..trial.options.clone() };
        Self { trial, policy, scope: Scope::new(trial.graph.clone(), options), out: Vec::new() }
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        self.scope.handle(Now::default(), input, &mut self.out);
        std::mem::take(&mut self.out)
    }

    fn given(&mut self, given: &ChangeSet) -> Result<(), (usize, Rejection)> {
        let (terms, changes) = (Terms::default(), given.clone());
        let out = self.tell(Input::Update { ticket: Ticket(1), terms, changes });
        let result = out.into_iter().find_map(|output| match output {
            Output::Updated { outcome: Outcome::Judged { replies, .. }, .. } => Some(replies),
            _ => None,
        });
        let mut replies = result.unwrap_or_default().into_iter().enumerate();
        replies.try_for_each(|(place, reply)| reply.map_err(|error| (place, error)))
    }

    /// Whether the session is let in, and if not, what it is told.
    fn fetch(&mut self, claims: &Claims) -> (Question, Option<Rejection>) {
        let (member, session) = (SESSION, SessionId(1));
        let (claims, returns) = (Arc::new(claims.clone()), false);
        let out = self.tell(Input::Join { member, session, dialect: Dialect::V1, claims, returns });
        let mut asked = self.policy.witness.take().into_iter().map(|(_, question)| question);
        let fetch = asked.find(|question| question.operation == Operation::Fetch);
        let fetch = fetch.expect("who joins a scope with rules is asked about");
        (fetch, out.into_iter().find_map(dismissal))
    }

    fn sync(&mut self, changes: &ChangeSet, labels: Vec<String>) -> Vec<Judged> {
        let (message, delivered) = (MessageIndex(1), MessageIndex(0));
        let changes = changes.clone();
        let mut out = self.tell(Input::Sync { member: SESSION, message, delivered, changes });
        while let Some(ticket) = out.iter().find_map(|output| match output {
            Output::Call(call) => Some(call.ticket),
            _ => None,
        }) {
            out = self.tell(Input::Verdict { ticket, verdict: Verdict::ACCEPT });
        }
        let reply = out.into_iter().find_map(|output| match output {
            Output::Reply { body, .. } => Some(body),
            _ => None,
        });
        let reply = reply.expect("every message is answered");
        let replies: Vec<Json> = serde_json::from_str(&reply).expect("a scope writes JSON");
        let asked = self.policy.witness.take();
        let judged = labels.into_iter().zip(replies).enumerate();
        let judged = judged.map(|(place, (fragment, reply))| {
            let result = match reply.get("error") {
                None => Ok(()),
                Some(error) => Err(rejection(error)),
            };
            let mine = asked.iter().filter(|(of, _)| *of == Some(place));
            let questions = mine.map(|(_, question)| question.clone()).collect();
            Judged { fragment, result, questions }
        });
        judged.collect()
    }

    /// What is in the state of the session, and what the rules say of each object.
    fn read(&mut self, claims: &Claims) -> Vec<Sighted> {
        let out = self.tell(Input::Resync { member: SESSION });
        let state = out.into_iter().find_map(|output| match output {
            Output::State { body, .. } => Some(format!("{{{body}}}")),
            _ => None,
        });
        let state: Json =
            serde_json::from_str(state.as_deref().unwrap_or("{}")).expect("a scope writes JSON");
        let fragments = state["fragments"].as_array().map_or(&[][..], Vec::as_slice);
        let seen: BTreeSet<&str> = fragments.iter().filter_map(|f| f["uuid"].as_str()).collect();
        let rights = self.policy.rights(claims, &self.trial.facts);
        let graph = self.scope.graph();
        let prospect = Prospect::present(graph);
        self.policy.witness.take();
        self.policy.witness.hear_reading(true);
        let objects = graph.depth_first().filter_map(|object| prospect.object(object.id()));
        let sighted = objects.map(|object| {
            let hidden = rights.hidden(prospect.root(), object);
            let questions = self.policy.witness.take().into_iter().map(|(_, question)| question);
            let model = object.definition();
            let is_root = object.id() == graph.root();
            let hidden: BTreeSet<String> = match hidden {
                Some(hidden) => {
                    hidden.iter().map(|p| model.property(*p).name().to_string()).collect()
                }
                // A client needs a root: of one that may not be read, everything else is hidden.
                None if is_root => model.properties().map(|(_, p)| p.name().to_string()).collect(),
                None => BTreeSet::new(),
            };
            Sighted {
                object: object.id(),
                model: model.name().to_string(),
                seen: seen.contains(object.id().to_string().as_str()),
                hidden,
                questions: questions.collect(),
            }
        });
        sighted.collect()
    }
}

fn dismissal(output: Output) -> Option<Rejection> {
    match output {
        Output::Dismissed { error, .. } => Some(error),
        _ => None,
    }
}

fn rejection(error: &Json) -> Rejection {
    let text = |key: &str| error[key].as_str().unwrap_or_default().to_owned();
    Rejection::with_type(text("type"), text("message"))
}

fn label(schema: &Schema, fragment: &Result<Fragment, Rejection>, names: &Names) -> String {
    let Ok(fragment) = fragment else { return "unreadable".to_owned() };
    let kind = match fragment.kind {
        FragmentKind::Add => "add",
        FragmentKind::Change => "change",
        FragmentKind::Remove => "remove",
        FragmentKind::MoveChange => "movechange",
    };
    let model = schema.model(fragment.model).name();
    format!("{kind} {model} {}", names.of(fragment.object))
}

impl Names {
    fn of(&self, object: ObjectId) -> String {
        self.0.get(&object).cloned().unwrap_or_else(|| object.to_string())
    }
}

impl Explanation {
    /// Whether the session sees an object.
    pub fn sees(&self, object: ObjectId) -> bool {
        self.sighted(object).is_some_and(|sighted| sighted.seen)
    }

    /// Whether the session sees a property of an object.
    pub fn sees_property(&self, object: ObjectId, property: &str) -> bool {
        let sighted = self.sighted(object);
        sighted.is_some_and(|sighted| sighted.seen && !sighted.hidden.contains(property))
    }

    /// What it sees of an object.
    pub fn sighted(&self, object: ObjectId) -> Option<&Sighted> {
        self.objects.iter().find(|sighted| sighted.object == object)
    }

    pub(super) fn write_question(
        &self,
        f: &mut fmt::Formatter<'_>,
        question: &Question,
        indent: &str,
    ) -> fmt::Result {
        let (operation, object) = (question.operation.as_str(), self.names.of(question.object));
        let outcome = if question.allowed { "allowed" } else { "refused" };
        let what = match question.operation {
            Operation::Fetch => "fetch".to_owned(),
            _ => format!("{operation} {} of {object}", question.target),
        };
        let Some(rule) = &question.rule else {
            return writeln!(f, "{indent}{what}: {outcome}, no rule allows it");
        };
        writeln!(f, "{indent}{what}: {outcome} by the rule {} = {}", rule.name, rule.text)?;
        for evaluation in &question.evaluations {
            let speaks_of_both = question.operation == Operation::Change;
            let moment = match (speaks_of_both, evaluation.before) {
                (false, _) => String::new(),
                (true, true) => "as it is: ".to_owned(),
                (true, false) => "as it would be: ".to_owned(),
            };
            match &evaluation.result {
                Ok(value) => writeln!(f, "{indent}  {moment}{value}")?,
                Err(error) => writeln!(f, "{indent}  {moment}no value, which refuses: {error}")?,
            }
            for Looked { path, value } in &evaluation.looked {
                match value {
                    Ok(value) => writeln!(f, "{indent}    {path} = {}", short(&value.to_string()))?,
                    Err(error) => writeln!(f, "{indent}    {path}: {error}")?,
                }
            }
        }
        Ok(())
    }

    fn write_reading(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = self.objects.iter().filter(|sighted| sighted.seen).count();
        writeln!(f, "read: {seen} of {} objects are seen", self.objects.len())?;
        let is_all = |sighted: &&Sighted| sighted.seen && sighted.hidden.is_empty();
        let (all, part): (Vec<_>, Vec<_>) = self.objects.iter().partition(is_all);
        for sighted in part.iter().take(SHOWN_MAX) {
            let object = self.names.of(sighted.object);
            match sighted.seen {
                true => {
                    let hidden: Vec<&str> = sighted.hidden.iter().map(String::as_str).collect();
                    writeln!(f, "  {} {object}: without {}", sighted.model, hidden.join(", "))?;
                }
                false => writeln!(f, "  {} {object}: hidden", sighted.model)?,
            }
            let refused = sighted.questions.iter().filter(|question| !question.allowed);
            let refused: Vec<_> = refused.collect();
            if refused.is_empty() {
                writeln!(f, "    only hidden objects or properties lead to it")?;
            }
            for question in refused {
                self.write_question(f, question, "    ")?;
            }
        }
        if part.len() > SHOWN_MAX {
            writeln!(f, "  and {} more of which something is hidden", part.len() - SHOWN_MAX)?;
        }
        if !all.is_empty() && !part.is_empty() {
            writeln!(f, "  all of the other {}", all.len())?;
        }
        Ok(())
    }
}

/// What a person reads who wants to know why.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_question(f, &self.fetch, "")?;
        for (place, judged) in self.fragments.iter().enumerate() {
            write!(f, "\nfragment {}, {}: ", place + 1, judged.fragment)?;
            match &judged.result {
                Ok(()) => writeln!(f, "applied")?,
                Err(rejection) => {
                    let code = rejection.code.as_deref().unwrap_or("refused");
                    writeln!(f, "{code}: {}", rejection.message)?;
                }
            }
            if judged.questions.is_empty() && self.fetch.allowed {
                writeln!(f, "  no rule was asked")?;
            }
            for question in &judged.questions {
                self.write_question(f, question, "  ")?;
            }
        }
        if self.fetch.allowed {
            writeln!(f)?;
            self.write_reading(f)?;
        }
        Ok(())
    }
}

fn short(text: &str) -> String {
    match text.char_indices().nth(VALUE_SHOWN_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// What the root is called.
const ROOT_NAME: &str = "root";

/// Past so many objects of which something is hidden, only their number is printed.
const SHOWN_MAX: usize = 20;

/// Longer values are cut when they are printed, in characters.
const VALUE_SHOWN_MAX: usize = 120;
