//! A record of what rules were asked, for those who want to know why something was allowed or refused.

use std::mem;

use jetstream_core::ids::ObjectId;
use jetstream_core::model::PropertyId;
use jetstream_core::model::prospect::ProspectObject;
use parking_lot::Mutex;

use super::Operation;
use super::table::Rule;
use crate::expression::{Bindings, EvaluationError, Looked};

/// A question to the rules, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// What was to be done.
    pub operation: Operation,
    /// The object that was asked about.
    pub object: ObjectId,
    /// What was to be done to: `Message` or `Message.text`.
    pub target: String,
    /// The rule that decided; `None`: there is none for this.
    pub rule: Option<RuleText>,
    /// What the rule said, of the object as it is and as it would be.
    pub evaluations: Vec<Evaluation>,
    /// Whether it is allowed.
    pub allowed: bool,
}

/// A rule as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleText {
    /// As refusals name it: `change.Message`.
    pub name: String,
    /// Its condition.
    pub text: String,
}

/// What a rule said once.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// Whether `object` was the object as it is, and not as it would be.
    pub before: bool,
    /// What the condition gave. One that cannot be evaluated refuses.
    pub result: Result<bool, EvaluationError>,
    /// What it looked at.
    pub looked: Vec<Looked>,
}

/// Hears what the rules of one scope are asked.
#[derive(Debug, Default)]
pub(super) struct Witness(Mutex<Record>);

#[derive(Debug, Default)]
struct Record {
    /// Whether questions about reading are heard: views ask many of them.
    hears_reading: bool,
    /// The fragment that is asked about.
    fragment: Option<usize>,
    /// What has been said about the question that is not decided yet.
    evaluations: Vec<Evaluation>,
    questions: Vec<(Option<usize>, Question)>,
}

impl Witness {
    /// The questions that follow are about a fragment. What was asked about it before does not count any more:
    /// it is judged again because of others.
    pub(super) fn begin(&self, fragment: usize) {
        let mut record = self.0.lock();
        record.fragment = Some(fragment);
        record.questions.retain(|(of, _)| *of != Some(fragment));
    }

    /// Hears what is asked about reading from now on, or does not.
    pub(super) fn hear_reading(&self, whether: bool) {
        self.0.lock().hears_reading = whether;
    }

    pub(super) fn heard(
        &self,
        rule: &Rule,
        before: bool,
        bindings: &Bindings<'_>,
        result: &Result<bool, EvaluationError>,
    ) {
        let looked = rule.expression.looks(bindings);
        let evaluation = Evaluation { before, result: result.clone(), looked };
        self.0.lock().evaluations.push(evaluation);
    }

    pub(super) fn decided(
        &self,
        operation: Operation,
        object: ProspectObject<'_>,
        property: Option<PropertyId>,
        rule: Option<&Rule>,
        allowed: bool,
    ) {
        let mut record = self.0.lock();
        let rule = rule.map(|rule| RuleText {
            name: rule.name.clone(),
            text: rule.expression.text().to_owned(),
        });
        let (target, evaluations) = (target(object, property), mem::take(&mut record.evaluations));
        if operation == Operation::Read && !record.hears_reading {
            return;
        }
        let object = object.id();
        let question = Question { operation, object, target, rule, evaluations, allowed };
        let fragment = record.fragment;
        record.questions.push((fragment, question));
    }

    /// Everything since the last time, with the fragments that it was about.
    pub(super) fn take(&self) -> Vec<(Option<usize>, Question)> {
        mem::take(&mut self.0.lock().questions)
    }
}

/// `Message`, or `Message.text`.
pub(super) fn target(object: ProspectObject<'_>, property: Option<PropertyId>) -> String {
    let model = object.definition();
    match property {
        None => model.name().to_string(),
        Some(property) => format!("{}.{}", model.name(), model.property(property).name()),
    }
}
