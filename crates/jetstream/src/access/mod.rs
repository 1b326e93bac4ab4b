//! Rules of the configuration as an [`AccessPolicy`]: conditions in CEL over the session, the scope, the root and
//! the object.
//!
//! - `table`: which rule decides about a model or a property.
//! - [`Trial`]: what the rules of a scope say of a session and its changes, and why; `witness` hears it.
//! - [`cases`]: what they are expected to say.
//! - [`Rules`]: the policy of a scope. [`Rules::builder`] reads it, as the table `[scopes.X.access]` does.
//!
//! What no rule allows is refused, with one exception: who may fetch a scope may read it, as far as no rule
//! under `read` takes something away.

pub mod cases;
mod table;
mod trial;
mod witness;

#[cfg(test)]
mod tests;

pub use trial::{Explanation, Judged, Sighted, Trial};
pub use witness::{Evaluation, Question, RuleText};

use std::sync::Arc;

use jetstream_core::model::prospect::ProspectObject;
use jetstream_core::model::{ModelId, PropertyId, Schema};
use jetstream_core::scope::Claims;
use jetstream_core::scope::access::{
    AccessPolicy, Case, ClassKey, Denial, FetchesBy, Hidden, Rights, ScopeFacts,
};
use serde_json::{Value as Json, json};

use crate::expression::{Bindings, Constant, Environment, Expression, Kind, Mistake};
use table::{Rule, Table};
use witness::Witness;

/// What a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// Being a member of the scope at all.
    Fetch,
    /// Adding an object.
    Add,
    /// Changing an object or a property.
    Change,
    /// Removing an object.
    Remove,
    /// Reading an object or a property.
    Read,
}

impl Operation {
    /// As the configuration calls it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fetch => "fetch",
            Self::Add => "add",
            Self::Change => "change",
            Self::Remove => "remove",
            Self::Read => "read",
        }
    }
}

/// The rules of a scope, compiled.
#[derive(Debug)]
pub struct Rules {
    fetch: Option<Arc<Rule>>,
    add: Table,
    change: Table,
    remove: Table,
    read: Table,
}

/// Reads rules.
#[derive(Debug)]
pub struct RulesBuilder {
    schema: Arc<Schema>,
    root: ModelId,
    rules: Vec<(Operation, String, String)>,
}

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleMistake {
    /// Its place among those that were given.
    pub place: usize,
    /// What is wrong with its condition; `Err`: with what it is about.
    pub mistake: Result<Mistake, Mistake>,
}

impl Rules {
    /// Begins to read rules for a scope whose root is of this model.
    pub const fn builder(schema: Arc<Schema>, root: ModelId) -> RulesBuilder {
        RulesBuilder { schema, root, rules: Vec::new() }
    }

    /// The names of all rules, as refusals tell them: `change.Message`.
    pub fn names(&self) -> Vec<String> {
        let tables = [&self.add, &self.change, &self.remove, &self.read];
        let rules = tables.into_iter().flat_map(Table::rules);
        self.fetch.iter().cloned().chain(rules).map(|rule| rule.name.clone()).collect()
    }
}

impl RulesBuilder {
    /// A rule about an operation. `target` is a model (`Shape`), a property (`Shape.color`), or `*` for every
    /// model without a rule of its own; for [`Operation::Fetch`] it means nothing.
    #[must_use]
    pub fn rule(mut self, operation: Operation, target: &str, condition: &str) -> Self {
        self.rules.push((operation, target.to_owned(), condition.to_owned()));
        self
    }

    /// The rules, checked against the schema.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with any of them.
    pub fn build(self) -> Result<Rules, Vec<RuleMistake>> {
        let mut mistakes = Vec::new();
        let mut rules = Rules {
            fetch: None,
            add: Table::default(),
            change: Table::default(),
            remove: Table::default(),
            read: Table::default(),
        };
        for (place, (operation, target, condition)) in self.rules.iter().enumerate() {
            let note = |mistake| RuleMistake { place, mistake };
            let about = match table::target(&self.schema, *operation, target) {
                Ok(about) => about,
                Err(mistake) => {
                    mistakes.push(note(Err(mistake)));
                    continue;
                }
            };
            let environment = self.environment(*operation, about.model());
            let expression = match Expression::compile(condition, &environment) {
                Ok(expression) => expression,
                Err(found) => {
                    mistakes.extend(found.into_iter().map(|mistake| note(Ok(mistake))));
                    continue;
                }
            };
            if !matches!(expression.kind(), Kind::Boolean | Kind::Any) {
                let message = format!("a rule is true or false, not a {}", expression.kind());
                let span = 0..condition.len();
                mistakes.push(note(Ok(Mistake { span, message, help: None })));
                continue;
            }
            let rule = Arc::new(Rule::new(*operation, target, expression));
            match operation {
                Operation::Fetch => rules.fetch = Some(rule),
                Operation::Add => rules.add.insert(about, rule),
                Operation::Change => rules.change.insert(about, rule),
                Operation::Remove => rules.remove.insert(about, rule),
                Operation::Read => rules.read.insert(about, rule),
            }
        }
        for table in [&mut rules.add, &mut rules.change, &mut rules.remove, &mut rules.read] {
            table.settle(&self.schema);
        }
        if mistakes.is_empty() { Ok(rules) } else { Err(mistakes) }
    }

    fn environment(&self, operation: Operation, model: Option<ModelId>) -> Environment {
        let object = model.map_or(Kind::Any, Kind::Object);
        let environment = Environment::new(self.schema.clone())
            .with("session", Kind::Any)
            .with("scope", Kind::Map)
            .with("root", Kind::Object(self.root));
        match operation {
            Operation::Fetch => environment,
            Operation::Read => environment.with("object", object).without_references(),
            Operation::Add => environment.with("object", object).with("procedure", Kind::Text),
            Operation::Change | Operation::Remove => environment
                .with("object", object.clone())
                .with("before", object)
                .with("procedure", Kind::Text),
        }
    }
}

/// A policy as it is configured, once for all scopes of a family.
#[derive(Debug, Clone)]
pub struct Configured(pub Arc<Rules>);

impl AccessPolicy for Configured {
    fn rights(&self, claims: &Claims, scope: &ScopeFacts) -> Arc<dyn Rights> {
        Arc::new(Bound::new(self.0.clone(), claims, scope, None))
    }

    fn narrows(&self) -> bool {
        !self.0.read.is_empty()
    }
}

/// The same, with somebody who hears what is asked.
#[derive(Debug)]
struct Witnessed {
    rules: Arc<Rules>,
    witness: Arc<Witness>,
}

impl AccessPolicy for Witnessed {
    fn rights(&self, claims: &Claims, scope: &ScopeFacts) -> Arc<dyn Rights> {
        let witness = Some(self.witness.clone());
        Arc::new(Bound::new(self.rules.clone(), claims, scope, witness))
    }

    fn narrows(&self) -> bool {
        !self.rules.read.is_empty()
    }
}

/// The rules for one session in one scope.
#[derive(Debug)]
struct Bound {
    rules: Arc<Rules>,
    session: Constant,
    scope: Constant,
    /// For each rule under `read` what it says, if that depends on no object.
    settled: Vec<Option<bool>>,
    class: Option<ClassKey>,
    /// Who hears what is asked.
    witness: Option<Arc<Witness>>,
}

impl Bound {
    fn new(
        rules: Arc<Rules>,
        claims: &Claims,
        scope: &ScopeFacts,
        witness: Option<Arc<Witness>>,
    ) -> Self {
        let scope_facts = json!({ "name": scope.name.as_str(), "params": scope.params });
        let (session, scope) =
            (Constant::new(&Json::Object(claims.entries().clone())), Constant::new(&scope_facts));
        let (settled, class) = (Vec::new(), None);
        let mut bound = Self { rules, session, scope, settled, class, witness };
        let reading = bound.rules.read.rules();
        bound.settled = reading.iter().map(|rule| bound.settle(rule)).collect();
        bound.class = bound.class_key(&reading, claims);
        bound
    }

    /// What a rule says that looks at nothing but the session and the scope.
    fn settle(&self, rule: &Rule) -> Option<bool> {
        if rule.looks_at("object") || rule.looks_at("root") {
            return None;
        }
        Some(rule.expression.holds(&self.bindings()).unwrap_or(false))
    }

    /// What the answers of the rules under `read` depend on, as far as it is the session's.
    fn class_key(&self, reading: &[Arc<Rule>], claims: &Claims) -> Option<ClassKey> {
        if self.settled.iter().all(|settled| *settled == Some(true)) {
            return None;
        }
        let of = |(rule, settled): (&Arc<Rule>, &Option<bool>)| match settled {
            Some(settled) => Json::Bool(*settled),
            None if !rule.looks_at("session") => Json::Null,
            None => match rule.expression.uses().fields("session") {
                None => Json::Object(claims.entries().clone()),
                Some(fields) => {
                    let claim = |field: &String| claims.entries().get(field).cloned();
                    fields.iter().map(|field| claim(field).unwrap_or_default()).collect()
                }
            },
        };
        let parts: Json = reading.iter().zip(&self.settled).map(of).collect();
        Some(ClassKey(parts.to_string().into()))
    }

    fn bindings(&self) -> Bindings<'_> {
        let mut bindings = Bindings::new();
        bindings.constant("session", &self.session);
        bindings.constant("scope", &self.scope);
        bindings
    }

    /// Whether a rule holds. One that cannot be evaluated does not.
    fn ask(&self, rule: &Rule, before: bool, bindings: &Bindings<'_>) -> bool {
        let result = rule.expression.holds(bindings);
        if let Some(witness) = &self.witness {
            witness.heard(rule, before, bindings, &result);
        }
        result.unwrap_or(false)
    }

    /// Whether a rule holds of an object; `before`: as it is.
    fn holds(&self, rule: &Rule, case: &Case<'_>, before: bool) -> bool {
        let procedure =
            rule.looks_at("procedure").then(|| Constant::new(&Json::from(case.procedure)));
        let mut bindings = self.bindings();
        if let Some(procedure) = &procedure {
            bindings.constant("procedure", procedure);
        }
        bindings.object("root", Some(case.root));
        bindings.object("object", if before { case.before } else { Some(case.object) });
        bindings.object("before", case.before);
        self.ask(rule, before, &bindings)
    }

    fn reads(&self, rule: &Rule, root: ProspectObject<'_>, object: ProspectObject<'_>) -> bool {
        if self.witness.is_none()
            && let Some(settled) = self.settled[rule.number]
        {
            return settled;
        }
        let mut bindings = self.bindings();
        bindings.object("root", Some(root));
        bindings.object("object", Some(object));
        self.ask(rule, true, &bindings)
    }

    /// Whether a rule lets an object or a property be read.
    fn shows(
        &self,
        rule: &Rule,
        property: Option<PropertyId>,
        root: ProspectObject<'_>,
        object: ProspectObject<'_>,
    ) -> bool {
        let shows = self.reads(rule, root, object);
        if let Some(witness) = &self.witness {
            witness.decided(Operation::Read, object, property, Some(rule), shows);
        }
        shows
    }

    fn decide(
        &self,
        operation: Operation,
        object: ProspectObject<'_>,
        property: Option<PropertyId>,
        rule: Option<&Arc<Rule>>,
        holds: impl FnOnce(&Rule) -> bool,
    ) -> Result<(), Denial> {
        let allowed = rule.is_some_and(|rule| holds(rule));
        if let Some(witness) = &self.witness {
            witness.decided(operation, object, property, rule.map(|rule| &**rule), allowed);
        }
        if allowed {
            return Ok(());
        }
        let rule = rule.map(|rule| rule.name.clone());
        let action = match operation {
            Operation::Fetch => "fetch this scope".to_owned(),
            _ => format!("{} {:?}", operation.as_str(), witness::target(object, property)),
        };
        Err(Denial { action, rule })
    }
}

impl Rights for Bound {
    fn begin(&self, fragment: usize) {
        if let Some(witness) = &self.witness {
            witness.begin(fragment);
        }
    }

    fn fetch(&self, root: ProspectObject<'_>) -> Result<(), Denial> {
        self.decide(Operation::Fetch, root, None, self.rules.fetch.as_ref(), |rule| {
            let mut bindings = self.bindings();
            bindings.object("root", Some(root));
            self.ask(rule, true, &bindings)
        })
    }

    fn add(&self, case: &Case<'_>) -> Result<(), Denial> {
        let rule = self.rules.add.of_model(case.object.model());
        self.decide(Operation::Add, case.object, None, rule, |rule| self.holds(rule, case, false))
    }

    fn change(&self, case: &Case<'_>, property: Option<PropertyId>) -> Result<(), Denial> {
        let rule = self.rules.change.of(case.object.model(), property);
        self.decide(Operation::Change, case.object, property, rule, |rule| {
            // A rule that does not speak of before is meant for before, too: or whoever may only change
            // what is its own could make anything its own first.
            let once = case.before.is_none() || rule.looks_at("before");
            (once || self.holds(rule, case, true)) && self.holds(rule, case, false)
        })
    }

    fn names_property(&self, case: &Case<'_>, property: PropertyId) -> bool {
        self.rules.change.names(case.object.model(), property)
    }

    fn remove(&self, case: &Case<'_>) -> Result<(), Denial> {
        let rule = self.rules.remove.of_model(case.object.model());
        self.decide(Operation::Remove, case.object, None, rule, |rule| self.holds(rule, case, true))
    }

    fn hidden(&self, root: ProspectObject<'_>, object: ProspectObject<'_>) -> Option<Hidden> {
        let model = object.model();
        if let Some(rule) = self.rules.read.of_model(model)
            && !self.shows(rule, None, root, object)
        {
            return None;
        }
        let properties = self.rules.read.of_properties(model).iter();
        let hidden =
            properties.filter(|(property, rule)| !self.shows(rule, Some(*property), root, object));
        Some(hidden.map(|(property, _)| *property).collect())
    }

    fn hides(
        &self,
        root: ProspectObject<'_>,
        object: ProspectObject<'_>,
        property: PropertyId,
    ) -> Option<String> {
        let rule = self.rules.read.of(object.model(), Some(property))?;
        if let Some(witness) = &self.witness {
            witness.hear_reading(true);
            self.shows(rule, Some(property), root, object);
            witness.hear_reading(false);
        }
        Some(rule.name.clone())
    }

    fn reads_by_root(&self) -> bool {
        self.rules.read.looks_at("root")
    }

    fn fetches_by(&self) -> FetchesBy {
        match &self.rules.fetch {
            Some(rule) if rule.expression.uses().follows() => FetchesBy::Objects,
            Some(rule) if rule.looks_at("root") => FetchesBy::Root,
            _ => FetchesBy::Nothing,
        }
    }

    fn class(&self) -> Option<ClassKey> {
        self.class.clone()
    }
}
