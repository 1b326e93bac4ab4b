//! Clients whose models are older than the scope's: they see what they know.
//!
//! A client of the original takes a fragment for wrong as a whole if it names a property, or holds a value of an
//! enumeration, that its models do not have. So who is known to have older models sees a scope through them, in
//! the same way as who may not read everything: what is unknown to it does not exist for it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::core::model::prospect::ProspectObject;
use crate::core::model::schema::EnumerationValues;
use crate::core::model::{ModelId, Property, PropertyId, PropertyType, Scalar, Schema, Value};
use crate::core::scope::Claims;
use crate::core::scope::access::{
    AccessPolicy, Case, ClassKey, Denial, FetchesBy, Hidden, Rights, ScopeFacts,
};
use crate::server::SessionInfo;
use crate::storage::{Evolution, SchemaVersion};

/// The rules of a scope for clients whose models may be older than its own.
#[derive(Debug)]
pub(crate) struct Outdated {
    /// The scope's own rules; `None`: everybody may do everything.
    rules: Option<Arc<dyn AccessPolicy>>,
    evolution: Arc<Evolution>,
    /// What is known with each of the older schemas.
    known: Mutex<HashMap<SchemaVersion, Arc<Known>>>,
}

impl Outdated {
    /// These rules, if there are older models at all.
    pub(crate) fn over(
        rules: Option<Arc<dyn AccessPolicy>>,
        evolution: &Arc<Evolution>,
    ) -> Option<Arc<dyn AccessPolicy>> {
        if evolution.is_first() {
            return rules;
        }
        let (evolution, known) = (evolution.clone(), Mutex::default());
        Some(Arc::new(Self { rules, evolution, known }))
    }

    fn known(&self, version: SchemaVersion) -> Option<Arc<Known>> {
        let (present, schema) = self.evolution.present();
        let older = self.evolution.schema(version).filter(|_| version != present)?;
        let mut known = self.known.lock();
        let known = known.entry(version).or_insert_with(|| Arc::new(Known::of(older, schema)));
        Some(known.clone())
    }
}

/// The claims of a session, with what it says its client's models are: the parameter `schema`.
pub(crate) fn with_models(claims: &Arc<Claims>, session: Option<&SessionInfo>) -> Arc<Claims> {
    let said = session.and_then(|session| session.params().get(PARAMETER)?.as_u64());
    match said.and_then(|said| u32::try_from(said).ok()) {
        Some(version) => Arc::new((**claims).clone().knowing(version)),
        None => claims.clone(),
    }
}

/// The parameter of a session that says which of the store's schemas its client knows.
pub(crate) const PARAMETER: &str = "schema";

impl AccessPolicy for Outdated {
    fn rights(&self, claims: &Claims, scope: &ScopeFacts) -> Arc<dyn Rights> {
        let rights = match &self.rules {
            Some(rules) => rules.rights(claims, scope),
            None => Arc::new(Everything),
        };
        let version = claims.models().map(SchemaVersion);
        match version.and_then(|version| Some((version, self.known(version)?))) {
            Some((version, known)) => Arc::new(Narrowed { rights, version, known }),
            None => rights,
        }
    }

    fn narrows(&self) -> bool {
        // Nobody pays for older models before the first has come who has them.
        let somebody_is_narrow = || !self.known.lock().is_empty();
        self.rules.as_ref().is_some_and(|rules| rules.narrows()) || somebody_is_narrow()
    }
}

/// What of the present models is in older ones.
#[derive(Debug)]
struct Known(HashMap<ModelId, Vec<Seen>>);

/// What a client knows of a property.
#[derive(Debug, Clone, PartialEq)]
enum Seen {
    /// All that it can hold.
    Whole,
    /// Only these values.
    Values(Vec<Scalar>),
    Nothing,
}

impl Known {
    fn of(older: &Schema, present: &Schema) -> Self {
        let models = present.models().filter_map(|(id, model)| {
            let (_, before) = older.find(model.name())?;
            let properties = model.properties().map(|(_, property)| {
                let known = before.find(property.name());
                known.map_or(Seen::Nothing, |(_, known)| seen((older, known), (present, property)))
            });
            Some((id, properties.collect()))
        });
        Self(models.collect())
    }
}

fn seen((older, before): (&Schema, &Property), (present, now): (&Schema, &Property)) -> Seen {
    if before.is_collection() != now.is_collection() {
        return Seen::Nothing;
    }
    match (before.kind(), now.kind()) {
        (PropertyType::Enumeration(before), PropertyType::Enumeration(now)) => {
            let (before, now) = (older.enumeration(before), present.enumeration(now));
            let is_known = |value: &Scalar| before.contains(value);
            let values = scalars(now.values());
            if values.iter().all(is_known) {
                Seen::Whole
            } else {
                Seen::Values(values.into_iter().filter(is_known).collect())
            }
        }
        (PropertyType::Model(before), PropertyType::Model(now))
            if older.model(before).name() == present.model(now).name() =>
        {
            Seen::Whole
        }
        (PropertyType::Model(_), _) | (_, PropertyType::Model(_)) => Seen::Nothing,
        (before, now) if before == now => Seen::Whole,
        _ => Seen::Nothing,
    }
}

fn scalars(values: &EnumerationValues) -> Vec<Scalar> {
    match values {
        EnumerationValues::Strings(texts) => texts.iter().cloned().map(Scalar::String).collect(),
        EnumerationValues::Integers(named) => {
            named.iter().map(|(_, number)| Scalar::Number(*number as f64)).collect()
        }
    }
}

/// Rights of somebody with older models.
#[derive(Debug)]
struct Narrowed {
    rights: Arc<dyn Rights>,
    version: SchemaVersion,
    known: Arc<Known>,
}

impl Rights for Narrowed {
    fn begin(&self, fragment: usize) {
        self.rights.begin(fragment);
    }

    fn fetch(&self, root: ProspectObject<'_>) -> Result<(), Denial> {
        self.rights.fetch(root)
    }

    fn add(&self, case: &Case<'_>) -> Result<(), Denial> {
        self.rights.add(case)
    }

    fn change(&self, case: &Case<'_>, property: Option<PropertyId>) -> Result<(), Denial> {
        self.rights.change(case, property)
    }

    fn names_property(&self, case: &Case<'_>, property: PropertyId) -> bool {
        self.rights.names_property(case, property)
    }

    fn remove(&self, case: &Case<'_>) -> Result<(), Denial> {
        self.rights.remove(case)
    }

    fn hidden(&self, root: ProspectObject<'_>, object: ProspectObject<'_>) -> Option<Hidden> {
        let known = self.known.0.get(&object.model())?;
        let mut hidden = self.rights.hidden(root, object)?;
        for ((property, _), seen) in object.definition().properties().zip(known) {
            let shows = match seen {
                Seen::Whole => true,
                Seen::Nothing => false,
                Seen::Values(values) => match object.value(property) {
                    Value::Scalar(value) => value.is_none_or(|value| values.contains(&value)),
                    Value::Scalars(all) => all.iter().all(|value| values.contains(value)),
                    _ => true,
                },
            };
            if !shows && !hidden.contains(&property) {
                hidden.push(property);
            }
        }
        Some(hidden)
    }

    fn hides(
        &self,
        root: ProspectObject<'_>,
        object: ProspectObject<'_>,
        property: PropertyId,
    ) -> Option<String> {
        self.rights.hides(root, object, property)
    }

    fn reads_by_root(&self) -> bool {
        self.rights.reads_by_root()
    }

    fn fetches_by(&self) -> FetchesBy {
        self.rights.fetches_by()
    }

    fn class(&self) -> Option<ClassKey> {
        let version = self.version.0;
        let class = self.rights.class().map_or_else(Default::default, |class| class.0);
        Some(ClassKey(format!("schema {version} {class}").into()))
    }
}

/// The rights of everybody where there are no rules.
#[derive(Debug)]
struct Everything;

impl Rights for Everything {
    fn fetch(&self, _: ProspectObject<'_>) -> Result<(), Denial> {
        Ok(())
    }

    fn add(&self, _: &Case<'_>) -> Result<(), Denial> {
        Ok(())
    }

    fn change(&self, _: &Case<'_>, _: Option<PropertyId>) -> Result<(), Denial> {
        Ok(())
    }

    fn names_property(&self, _: &Case<'_>, _: PropertyId) -> bool {
        false
    }

    fn remove(&self, _: &Case<'_>) -> Result<(), Denial> {
        Ok(())
    }

    fn hidden(&self, _: ProspectObject<'_>, _: ProspectObject<'_>) -> Option<Hidden> {
        Some(Hidden::new())
    }

    fn hides(&self, _: ProspectObject<'_>, _: ProspectObject<'_>, _: PropertyId) -> Option<String> {
        None
    }

    fn reads_by_root(&self) -> bool {
        false
    }

    fn fetches_by(&self) -> FetchesBy {
        FetchesBy::Nothing
    }

    fn class(&self) -> Option<ClassKey> {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(colors: &[&'static str], newer: bool) -> Schema {
        let mut builder = Schema::builder()
            .enumeration_of_strings("Color", colors.iter().copied())
            .model("Shape", |m| {
                let m = m.property("x", "Number").property("color", "Color");
                if newer { m.property("label", "String") } else { m }
            })
            .model("Canvas", |m| {
                let m = m.property("name", if newer { "Number" } else { "String" });
                let m = m.property("shapes", "[Shape]");
                if newer { m.property("notes", "[Note]") } else { m }
            });
        if newer {
            builder = builder.model("Note", |m| m.property("text", "String"));
        }
        builder.build().unwrap()
    }

    #[test]
    fn what_older_models_know_goes_by_names_and_types() {
        let (older, present) = (schema(&["red", "blue"], false), schema(&["red", "green"], true));
        let known = Known::of(&older, &present);
        let of = |model: &str| known.0.get(&present.find(model).unwrap().0);
        let red = vec![Scalar::from("red")];
        assert_eq!(of("Shape").unwrap()[..], [Seen::Whole, Seen::Values(red), Seen::Nothing]);
        assert_eq!(of("Canvas").unwrap()[..], [Seen::Nothing, Seen::Whole, Seen::Nothing]);
        assert_eq!(of("Note"), None);
        let wider = Known::of(&schema(&["red", "blue"], false), &schema(&["blue"], false));
        assert!(wider.0.values().flatten().all(|seen| *seen == Seen::Whole));
    }
}
