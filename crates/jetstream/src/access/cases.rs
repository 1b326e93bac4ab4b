//! What the rules of a scope are expected to say, and whether they do.

use std::fmt;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::ChangeSet;
use jetstream_core::scope::Claims;

use super::trial::{Explanation, Judged, Trial};
use super::witness::Question;

/// A session, what it does, and what is expected of the rules.
#[derive(Debug, Clone)]
pub struct Case {
    /// What it shows, in words.
    pub name: String,
    /// Who the session is.
    pub claims: Claims,
    /// What happened before, whoever did it.
    pub given: ChangeSet,
    /// What the session wants to change.
    pub changes: ChangeSet,
    /// What is expected.
    pub expected: Expected,
}

/// What a case expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expected {
    /// Of the fetch.
    pub fetch: Fate,
    /// Of each fragment, in order. Those that are not named may be allowed or refused.
    pub fragments: Vec<Fate>,
    /// What the session sees afterwards.
    pub sees: Vec<Thing>,
    /// What it does not see afterwards.
    pub hides: Vec<Thing>,
}

/// Whether something is expected to be allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It is.
    Allowed,
    /// It is not, for whatever reason.
    Refused,
    /// It is not, because of this rule.
    RefusedBy(String),
    /// It is not, because no rule allows it.
    NoRule,
}

/// An object, or a property of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Thing {
    /// As it was written.
    pub text: String,
    /// Which object.
    pub object: ObjectId,
    /// Which property; `None`: the object.
    pub property: Option<String>,
}

/// What became of a case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CaseResult {
    /// How much was looked at.
    pub checks: usize,
    /// What is not as expected, each with the reason.
    pub failures: Vec<String>,
}

impl Case {
    /// Tries it.
    pub fn run(&self, trial: &Trial) -> CaseResult {
        let Expected { fetch, fragments, sees, hides } = &self.expected;
        let checks = 1 + fragments.len() + sees.len() + hides.len();
        let explanation = match trial.run(&self.claims, &self.given, &self.changes) {
            Ok(explanation) => explanation,
            Err((place, rejection)) => {
                let failure = format!(
                    "what is given cannot be: fragment {}: {}",
                    place + 1,
                    rejection.message
                );
                return CaseResult { checks, failures: vec![failure] };
            }
        };
        let mut failures = Vec::new();
        let asked = std::slice::from_ref(&explanation.fetch);
        let found = Found { allowed: explanation.fetch.allowed, why: None, asked };
        failures.extend(found.failure("fetch", fetch, &explanation));
        for (place, (fate, judged)) in fragments.iter().zip(&explanation.fragments).enumerate() {
            let what = format!("fragment {}, {}", place + 1, judged.fragment);
            failures.extend(Found::of(judged).failure(&what, fate, &explanation));
        }
        for (expected, things) in [(true, sees), (false, hides)] {
            for thing in things {
                failures.extend(thing.failure(expected, &explanation));
            }
        }
        CaseResult { checks, failures }
    }
}

/// What was found out, to be compared with what was expected.
struct Found<'a> {
    allowed: bool,
    /// Why it was refused, in the words that its author gets.
    why: Option<&'a str>,
    asked: &'a [Question],
}

impl<'a> Found<'a> {
    fn of(judged: &'a Judged) -> Self {
        let why = judged.result.as_ref().err().map(|rejection| rejection.message.as_str());
        Self { allowed: judged.result.is_ok(), why, asked: &judged.questions }
    }

    fn failure(&self, what: &str, fate: &Fate, explanation: &Explanation) -> Option<String> {
        let refused = self.asked.iter().find(|question| !question.allowed);
        let by = refused.and_then(|question| question.rule.as_ref()).map(|rule| &rule.name);
        let holds = match fate {
            Fate::Allowed => self.allowed,
            Fate::Refused => !self.allowed,
            Fate::RefusedBy(rule) => by == Some(rule),
            Fate::NoRule => refused.is_some() && by.is_none(),
        };
        if holds {
            return None;
        }
        let found = match (self.allowed, by, self.why) {
            (true, ..) => "it was allowed".to_owned(),
            (false, Some(rule), _) => format!("refused by {rule}"),
            (false, None, Some(why)) => format!("refused: {why}"),
            (false, None, None) => "refused, no rule allows it".to_owned(),
        };
        let why = match refused {
            Some(refused) => Reason { explanation, questions: std::slice::from_ref(refused) },
            None => Reason { explanation, questions: self.asked },
        };
        Some(format!("{what}: expected {fate}, {found}\n{why}"))
    }
}

impl Thing {
    fn failure(&self, expected: bool, explanation: &Explanation) -> Option<String> {
        let sees = match &self.property {
            None => explanation.sees(self.object),
            Some(property) => explanation.sees_property(self.object, property),
        };
        if sees == expected {
            return None;
        }
        let (expected, found) = if expected { ("seen", "hidden") } else { ("hidden", "seen") };
        let Some(sighted) = explanation.sighted(self.object) else {
            let why =
                if explanation.fetch.allowed { "there is no such object" } else { "no fetch" };
            return Some(format!("{}: expected to be {expected}, but {why}\n", self.text));
        };
        let about = |question: &&Question| match &self.property {
            None => !question.target.contains('.'),
            Some(property) => question.target.ends_with(&format!(".{property}")),
        };
        let mut questions: Vec<Question> =
            sighted.questions.iter().filter(about).cloned().collect();
        if questions.is_empty() {
            questions = sighted.questions.clone();
        }
        let why = Reason { explanation, questions: &questions };
        Some(format!("{}: expected to be {expected}, is {found}\n{why}", self.text))
    }
}

/// What the rules were asked, a line each.
struct Reason<'a> {
    explanation: &'a Explanation,
    questions: &'a [Question],
}

impl fmt::Display for Reason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut questions = self.questions.iter();
        questions.try_for_each(|question| self.explanation.write_question(f, question, "  "))
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed => f.write_str("allowed"),
            Self::Refused => f.write_str("refused"),
            Self::RefusedBy(rule) => write!(f, "refused by {rule}"),
            Self::NoRule => f.write_str("no rule to allow it"),
        }
    }
}
