//! What lies between two schemas, and what settles it.
//!
//! A change goes without saying if every value that could be stored before can be kept as it is. Every
//! other one needs an entry of [`Migrations`]; without it nothing is touched.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use jetstream_core::model::schema::EnumerationValues;
use jetstream_core::model::{
    Enumeration, Lifetime, Model, ModelId, Property, PropertyId, PropertyType, Schema,
};

use super::convert::{Conversion, ModelStep, OBJECT, PropertyStep};
use super::migration::{Migration, Migrations};
use crate::expression::{Environment, Expression, Kind};

/// One difference between the stored schema and the present one.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What it is about: `Shape`, `Shape.colour`, `Day`.
    pub subject: String,
    /// What is different.
    pub what: String,
    /// What becomes of what is stored.
    pub settled: Settled,
}

/// Whether it is known what becomes of stored values.
#[derive(Debug, Clone, PartialEq)]
pub enum Settled {
    /// They stay as they are.
    ByItself,
    /// What an entry says.
    By(Entry),
    /// Nobody knows.
    Not {
        /// What entry would say it.
        help: String,
    },
}

/// An entry of [`Migrations`].
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// What it is about.
    pub subject: String,
    /// What it says.
    pub migration: Migration,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} = {}", self.subject, self.migration)
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.subject, self.what)?;
        match &self.settled {
            Settled::ByItself => Ok(()),
            Settled::By(entry) => write!(f, " (settled by {entry})"),
            Settled::Not { help } => write!(f, "\n  {help}"),
        }
    }
}

impl Change {
    /// Whether it is known what becomes of stored values.
    pub const fn is_settled(&self) -> bool {
        !matches!(self.settled, Settled::Not { .. })
    }
}

/// The differences between two schemas, and the way from one to the other. The way is only one if all
/// changes are settled.
pub(super) fn compare(
    old: &Arc<Schema>,
    new: &Arc<Schema>,
    migrations: &Migrations,
) -> (Vec<Change>, Conversion) {
    let mut comparing =
        Comparing { old, new, migrations, models: HashMap::new(), changes: Vec::new() };
    comparing.models();
    comparing.enumerations();
    let steps = old.models().map(|(id, model)| (id, comparing.model(id, model))).collect();
    (comparing.changes, Conversion::new(old.clone(), new.clone(), steps))
}

struct Comparing<'a> {
    old: &'a Arc<Schema>,
    new: &'a Arc<Schema>,
    migrations: &'a Migrations,
    /// What became of the models whose objects go on.
    models: HashMap<ModelId, ModelId>,
    changes: Vec<Change>,
}

impl Comparing<'_> {
    fn change(&mut self, subject: impl Into<String>, what: impl Into<String>, settled: Settled) {
        let change = Change { subject: subject.into(), what: what.into(), settled };
        // What a submodel inherits is met once for each of them.
        if !self.changes.contains(&change) {
            self.changes.push(change);
        }
    }

    fn models(&mut self) {
        for (id, model) in self.old.models() {
            // Of these nothing is stored.
            if model.lifetime() == Lifetime::Session {
                continue;
            }
            let Some(there) = self.successor(model) else { continue };
            let (name, now) = (model.name(), self.new.model(there));
            if now.lifetime() == Lifetime::Scope {
                self.models.insert(id, there);
                continue;
            }
            let settled = match self.model_entry(name) {
                Some(entry) if entry.migration == Migration::Drop => Settled::By(entry),
                _ => Settled::Not { help: needs(name, "{ drop = true }") },
            };
            let what = "its objects live with their sessions now; those that are stored have none";
            self.change(&**name, what, settled);
        }
        for (id, model) in self.new.models() {
            let known = self.old.find(model.name()).is_some();
            if !known && !self.models.values().any(|successor| *successor == id) {
                self.change(&**model.name(), "is new", Settled::ByItself);
            }
        }
    }

    /// The model that objects of an old one are of from now on.
    fn successor(&mut self, model: &Model) -> Option<ModelId> {
        let name = model.name();
        if let Some((there, _)) = self.new.find(name) {
            return Some(there);
        }
        let gone = "is not there any more";
        let entry = self.model_entry(name);
        match entry.as_ref().map(|entry| &entry.migration) {
            Some(Migration::Keep { rename: Some(to), .. }) => {
                let successor = self.new.find(to).map(|(there, _)| there);
                let settled = match entry.clone().filter(|_| successor.is_some()) {
                    Some(entry) => Settled::By(entry),
                    None => Settled::Not {
                        help: format!("its entry renames it to {to:?}, but there is no such model"),
                    },
                };
                self.change(&**name, gone, settled);
                return successor;
            }
            Some(Migration::Drop) => {
                self.change(&**name, gone, entry.map_or(Settled::ByItself, Settled::By))
            }
            Some(Migration::Keep { rename: None, .. }) | None => {
                let help = needs(name, RENAME_OR_DROP);
                self.change(&**name, gone, Settled::Not { help });
            }
        }
        None
    }

    fn enumerations(&mut self) {
        for now in self.new.enumerations() {
            let was = self.old.enumerations().find(|was| was.name() == now.name());
            let added = was.map_or_else(Vec::new, |was| missing(now, was));
            if !added.is_empty() {
                let what = format!("takes {} too", added.join(", "));
                self.change(&**now.name(), what, Settled::ByItself);
            }
        }
    }

    fn model(&mut self, id: ModelId, model: &Model) -> ModelStep {
        let Some(successor) = self.models.get(&id).copied() else { return ModelStep::Drop };
        let now = self.new.model(successor);
        self.inheritance(model, now);
        let properties: Vec<PropertyStep> =
            model.properties().map(|(property, _)| self.property(id, now, property)).collect();
        let targets: Vec<PropertyId> = properties.iter().filter_map(PropertyStep::target).collect();
        if !targets.is_sorted() {
            self.change(
                &**model.name(),
                "its properties stand in another order",
                Settled::ByItself,
            );
        }
        let mut computed = Vec::new();
        let is_new = |(id, property): &(PropertyId, &Property)| {
            !targets.contains(id) && model.find(property.name()).is_none()
        };
        for (property, added) in now.properties().filter(is_new) {
            let declaring = declaring(self.new, successor, property);
            let entry = self.entry(now.name(), declaring.name(), added.name());
            let subject = format!("{}.{}", declaring.name(), added.name());
            match entry {
                Some(entry) if entry.migration.makes() => {
                    let made = self.convert(subject, "is new".to_owned(), id, entry);
                    computed.extend(made.map(|expression| (property, expression)));
                }
                _ => self.change(subject, "is new", Settled::ByItself),
            }
        }
        ModelStep::Become { model: successor, properties, computed }
    }

    fn inheritance(&mut self, model: &Model, now: &Model) {
        let was = model.extends();
        let successor = was.and_then(|id| self.models.get(&id).copied());
        // A model that goes on as another one takes that one's place.
        if model.name() == now.name() && successor != now.extends() {
            let called = |schema: &Schema, id: Option<ModelId>| {
                id.map_or_else(
                    || "nothing".to_owned(),
                    |id| format!("{:?}", schema.model(id).name()),
                )
            };
            let (is, was) = (called(self.new, now.extends()), called(self.old, was));
            // What does not fit because of that is a change of the properties that it does not fit.
            let what = format!("extends {is} rather than {was}");
            self.change(&**model.name(), what, Settled::ByItself);
        }
    }

    fn property(&mut self, model: ModelId, now: &Model, property: PropertyId) -> PropertyStep {
        let name = self.old.model(model).property(property).name().clone();
        let subject = self.subject(model, property);
        let declaring = declaring(self.old, model, property).name().clone();
        let entry = self.entry(self.old.model(model).name(), &declaring, &name);
        match now.find(&name) {
            Some((there, successor)) => match self.takes(model, property, successor) {
                Ok(()) => {
                    self.default(model, property, successor);
                    PropertyStep::Keep(there)
                }
                Err(why) => self.unfit(subject, why, model, there, entry),
            },
            None => self.gone(subject, (model, property), now, entry),
        }
    }

    /// A property that is not there any more, at least not under its name.
    fn gone(
        &mut self,
        subject: String,
        (model, property): (ModelId, PropertyId),
        now: &Model,
        entry: Option<Entry>,
    ) -> PropertyStep {
        let gone = "is not there any more";
        let Some(entry) = entry else { return self.needs(subject, gone, RENAME_OR_DROP) };
        let (to, converts) = match &entry.migration {
            Migration::Drop => {
                self.change(subject, gone, Settled::By(entry));
                return PropertyStep::Drop;
            }
            Migration::Keep { rename: None, .. } => {
                return self.needs(subject, gone, RENAME_OR_DROP);
            }
            Migration::Keep { rename: Some(to), convert } => (to.clone(), convert.is_some()),
        };
        let Some((there, successor)) = now.find(&to) else {
            let name = now.name();
            let help = format!("its entry renames it to {to:?}, but {name:?} has no such property");
            self.change(subject, gone, Settled::Not { help });
            return PropertyStep::Drop;
        };
        if converts {
            let made = self.convert(subject, gone.to_owned(), model, entry);
            return made.map_or(PropertyStep::Drop, |made| PropertyStep::Convert(there, made));
        }
        match self.takes(model, property, successor) {
            Ok(()) => self.change(subject, gone, Settled::By(entry)),
            Err(why) => {
                let help = format!("its entry has to say how: convert = {EXPRESSION}");
                self.change(subject, format!("{gone}, and {to:?} {why}"), Settled::Not { help });
            }
        }
        PropertyStep::Keep(there)
    }

    /// A property that is still there and does not take all of its old values.
    fn unfit(
        &mut self,
        subject: String,
        why: String,
        model: ModelId,
        there: PropertyId,
        entry: Option<Entry>,
    ) -> PropertyStep {
        match entry {
            Some(entry) if entry.migration == Migration::Drop => {
                self.change(subject, why, Settled::By(entry));
                PropertyStep::Drop
            }
            Some(entry) if entry.migration.makes() => {
                let made = self.convert(subject, why, model, entry);
                made.map_or(PropertyStep::Drop, |made| PropertyStep::Convert(there, made))
            }
            _ => self.needs(subject, why, CONVERT_OR_DROP),
        }
    }

    fn needs(&mut self, subject: String, what: impl Into<String>, entry: &str) -> PropertyStep {
        let help = needs(&subject, entry);
        self.change(subject, what, Settled::Not { help });
        PropertyStep::Drop
    }

    /// Reads the expression of an entry, over objects of an old model.
    fn convert(
        &mut self,
        subject: String,
        what: String,
        model: ModelId,
        entry: Entry,
    ) -> Option<Expression> {
        let Migration::Keep { convert: Some(text), .. } = &entry.migration else { return None };
        // An entry about a supermodel is about that one's properties, whatever the object is.
        let named = entry.subject.split('.').next().and_then(|name| self.old.find(name));
        let named = named.map(|(id, _)| id).filter(|id| self.old.is_a(model, *id));
        let kind = Kind::Object(named.unwrap_or(model));
        let environment = Environment::new(self.old.clone()).with(OBJECT, kind);
        match Expression::compile(text, &environment) {
            Ok(expression) => {
                self.change(subject, what, Settled::By(entry));
                Some(expression)
            }
            Err(mistakes) => {
                let mistake = mistakes.first().map_or("", |mistake| &mistake.message);
                let help = format!("its entry says {text:?}, and that is wrong: {mistake}");
                self.change(subject, what, Settled::Not { help });
                None
            }
        }
    }

    fn default(&mut self, model: ModelId, property: PropertyId, successor: &Property) {
        let was = self.old.model(model).property(property);
        if was.default() != successor.default() {
            let what = "new objects begin with another value; those that are there keep theirs";
            let declaring = declaring(self.old, model, property).name();
            self.change(format!("{declaring}.{}", was.name()), what, Settled::ByItself);
        }
    }

    /// The entry for a property: its model's own, or that of the model that it is inherited from.
    fn entry(&self, model: &str, declaring: &str, property: &str) -> Option<Entry> {
        [model, declaring].into_iter().find_map(|model| {
            let subject = format!("{model}.{property}");
            let migration = self.migrations.get(&subject)?.clone();
            Some(Entry { subject, migration })
        })
    }

    fn model_entry(&self, model: &str) -> Option<Entry> {
        let migration = self.migrations.get(model)?.clone();
        Some(Entry { subject: model.to_owned(), migration })
    }

    /// What a property is called in messages. One that is inherited is its supermodel's, unless that one
    /// has no trouble with it.
    fn subject(&self, model: ModelId, property: PropertyId) -> String {
        let declaring = declaring(self.old, model, property);
        let name = self.old.model(model).property(property).name();
        let id = self.old.find(declaring.name()).map(|(id, _)| id);
        let successor = id.and_then(|id| self.models.get(&id)).map(|id| self.new.model(*id));
        let own = match successor {
            None => true,
            Some(successor) => successor
                .find(name)
                .is_some_and(|(_, there)| self.takes(model, property, there).is_ok()),
        };
        let model = if own { self.old.model(model) } else { declaring };
        format!("{}.{name}", model.name())
    }

    /// Whether a property takes every value that another could have.
    fn takes(&self, model: ModelId, property: PropertyId, now: &Property) -> Result<(), String> {
        let was = self.old.model(model).property(property);
        let otherwise = || {
            let (is, was) = (self.new.type_name(now), self.old.type_name(was));
            Err(format!("is {is} and was {was}"))
        };
        if was.is_collection() != now.is_collection() {
            return otherwise();
        }
        match (was.kind(), now.kind()) {
            (PropertyType::String, PropertyType::String)
            | (PropertyType::Number, PropertyType::Number)
            | (PropertyType::Boolean, PropertyType::Boolean)
            | (PropertyType::Date, PropertyType::Date) => Ok(()),
            (PropertyType::Enumeration(was), PropertyType::Enumeration(now)) => {
                all_values(self.old.enumeration(was), self.new.enumeration(now))
            }
            (PropertyType::Enumeration(was), plain) => {
                match (self.old.enumeration(was).values(), plain) {
                    (EnumerationValues::Strings(_), PropertyType::String)
                    | (EnumerationValues::Integers(_), PropertyType::Number) => Ok(()),
                    _ => otherwise(),
                }
            }
            (PropertyType::Model(was), PropertyType::Model(now)) => self.all_models(was, now),
            _ => otherwise(),
        }
    }

    fn all_models(&self, was: ModelId, now: ModelId) -> Result<(), String> {
        let referred = self.old.models().filter(|(id, _)| self.old.is_a(*id, was));
        let unfit = referred.filter(|(id, _)| {
            let successor = self.models.get(id);
            successor.is_some_and(|successor| !self.new.is_a(*successor, now))
        });
        let names: Vec<_> = unfit.map(|(_, model)| format!("{:?}", model.name())).collect();
        if names.is_empty() { Ok(()) } else { Err(no_longer(&names)) }
    }
}

/// The model that a property is written down at: the model itself or one that it extends.
fn declaring(schema: &Schema, model: ModelId, property: PropertyId) -> &Model {
    let mut declaring = schema.model(model);
    while let Some(extended) = declaring.extends().map(|id| schema.model(id))
        && property.index() < extended.properties().len()
    {
        declaring = extended;
    }
    declaring
}

fn all_values(was: &Enumeration, now: &Enumeration) -> Result<(), String> {
    let gone = missing(was, now);
    if !gone.is_empty() {
        return Err(no_longer(&gone));
    }
    if let (EnumerationValues::Integers(was), EnumerationValues::Integers(now)) =
        (was.values(), now.values())
    {
        // All numbers are still there. One that has another name's meaning now is a change, too.
        let moved = |(name, value): &&(Arc<str>, i64)| {
            now.iter().any(|(other, number)| other == name && number != value)
        };
        if let Some((name, value)) = was.iter().find(moved) {
            return Err(format!("does not mean {name:?} by {value} any more"));
        }
    }
    Ok(())
}

/// The values of one enumeration that another does not have, as they are written.
fn missing(of: &Enumeration, there: &Enumeration) -> Vec<String> {
    use jetstream_core::model::Scalar;
    match of.values() {
        EnumerationValues::Strings(values) => values
            .iter()
            .filter(|value| !there.contains(&Scalar::String((*value).clone())))
            .map(|value| format!("{value:?}"))
            .collect(),
        EnumerationValues::Integers(values) => values
            .iter()
            .filter(|(_, value)| !there.contains(&Scalar::Number(*value as f64)))
            .map(|(name, value)| format!("{name} ({value})"))
            .collect(),
    }
}

fn no_longer(values: &[String]) -> String {
    format!("does not take {} any more", values.join(", "))
}

/// What an operator has to write.
fn needs(subject: &str, entry: &str) -> String {
    format!("it needs an entry in [migrations]: {subject:?} = {entry}")
}

const RENAME_OR_DROP: &str = "{ rename = \"…\" } or { drop = true }";
const CONVERT_OR_DROP: &str = "{ convert = \"object.…\" } or { drop = true }";

/// Stands for what only the operator knows.
const EXPRESSION: &str = "\"object.…\"";
