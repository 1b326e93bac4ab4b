//! `[scopes.X.access]`: the rules of a scope, compiled and checked against the models.

use super::Context;
use super::models::Checked;
use super::reader::{Reader, string};
use crate::access::{Operation, RuleMistake, Rules};
use crate::config::mistake::Place;
use crate::config::tree::{Entry, Value};
use crate::core::model::Model;
use std::sync::Arc;

/// Reads the rules of a scope whose root is of this model.
pub(super) fn read(
    entry: &Entry,
    root: &Model,
    checked: &Checked,
    context: &mut Context,
) -> Option<Arc<Rules>> {
    let mut reader = Reader::open("the access rules", &entry.node, &mut context.mistakes)?;
    let mut rules = Vec::new();
    match reader.take("fetch") {
        Some(entry) => rules.extend(Written::of(Operation::Fetch, "", entry, context)),
        None => context.mistakes.add_with_help(
            entry.key_place,
            "without the key \"fetch\" nobody may fetch this scope",
            "fetch = \"true\" lets everybody in; add, change and remove say what they may do",
        ),
    }
    for (key, operation) in OPERATIONS {
        if let Some(entry) = reader.take(key) {
            rules.extend(of_operation(operation, entry, context));
        }
    }
    reader.finish(&mut context.mistakes);
    let (root, _) = checked.schema.find(root.name())?;
    let mut builder = Rules::builder(Arc::new(checked.schema.clone()), root);
    for rule in &rules {
        builder = builder.rule(rule.operation, &rule.target, &rule.condition);
    }
    let found = match builder.build() {
        Ok(built) => return Some(Arc::new(built)),
        Err(found) => found,
    };
    for RuleMistake { place, mistake } in found {
        let written = &rules[place];
        let (at, mistake) = match mistake {
            Ok(mistake) => {
                (written.place.within(mistake.span.clone(), written.condition.len()), mistake)
            }
            Err(mistake) => (written.target_place, mistake),
        };
        match mistake.help {
            Some(help) => context.mistakes.add_with_help(at, mistake.message, help),
            None => context.mistakes.add(at, mistake.message),
        }
    }
    None
}

/// A rule as it stands in the file.
struct Written {
    operation: Operation,
    target: String,
    target_place: Place,
    condition: String,
    place: Place,
}

impl Written {
    fn of(
        operation: Operation,
        target: &str,
        entry: &Entry,
        context: &mut Context,
    ) -> Option<Self> {
        let condition = string(&entry.node, "a rule, as a text", &mut context.mistakes)?;
        Some(Self {
            operation,
            target: target.to_owned(),
            target_place: entry.key_place,
            condition: condition.to_owned(),
            place: entry.node.place,
        })
    }
}

/// A table of rules by model or property, or one text for all models.
fn of_operation(operation: Operation, entry: &Entry, context: &mut Context) -> Vec<Written> {
    let Value::Table(table) = &entry.node.value else {
        return Written::of(operation, "*", entry, context).into_iter().collect();
    };
    let rules = table.0.iter();
    rules.filter_map(|entry| Written::of(operation, &entry.key, entry, context)).collect()
}

const OPERATIONS: [(&str, Operation); 4] = [
    ("add", Operation::Add),
    ("change", Operation::Change),
    ("remove", Operation::Remove),
    ("read", Operation::Read),
];
