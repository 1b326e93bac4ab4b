//! Models, scopes and procedures as `models.json` describes them, read with the library's own means.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::sync::Arc;

use jetstream::core::ids::ObjectId;
use jetstream::core::limits::Limits;
use jetstream::core::model::constraint::{Constraint, PropertyConstraint};
use jetstream::core::model::schema::{ModelBuilder, PropertyDefinition};
use jetstream::core::model::{Fragment, FragmentKind, Graph, ProcedureName, Scalar, Schema};
use jetstream::core::scope::Procedure;
use jetstream::core::wire::change_set::Typing;
use jetstream::core::wire::message::Dialect;
use serde::Deserialize;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};

/// What a server of the conformance scenarios serves.
#[derive(Debug)]
pub(crate) struct World {
    /// The name and the first state of each scope.
    pub(crate) scopes: Vec<(String, Graph)>,
    /// The procedures that clients may call, in any scope.
    pub(crate) procedures: BTreeMap<ProcedureName, Procedure>,
}

#[derive(Deserialize)]
struct File {
    enumerations: Vec<EnumerationEntry>,
    models: Vec<ModelEntry>,
    procedures: Vec<ProcedureEntry>,
    scopes: Vec<ScopeEntry>,
}

#[derive(Deserialize)]
struct EnumerationEntry {
    name: String,
    values: EnumerationEntryValues,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum EnumerationEntryValues {
    Texts(Vec<String>),
    Numbers(HashMap<String, i64>),
}

#[derive(Deserialize)]
struct ModelEntry {
    name: String,
    extends: Option<String>,
    properties: Vec<PropertyEntry>,
}

#[derive(Deserialize)]
struct PropertyEntry {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    collection: bool,
    default: Option<Value>,
}

#[derive(Deserialize)]
struct ProcedureEntry {
    model: String,
    name: String,
    constraints: Vec<ConstraintEntry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConstraintEntry {
    #[serde(rename = "type")]
    kind: String,
    cls_name: String,
    properties: Map<String, Value>,
    #[serde(default)]
    allow_additional_properties: bool,
}

#[derive(Deserialize)]
struct ScopeEntry {
    name: String,
    root: ObjectId,
    objects: Vec<ObjectEntry>,
}

#[derive(Deserialize)]
struct ObjectEntry {
    uuid: ObjectId,
    class: String,
    #[serde(default)]
    properties: Map<String, Value>,
}

/// Reads the text of a `models.json`.
///
/// # Errors
///
/// If it is no such file, or describes models or states that contradict themselves.
pub(crate) fn read(text: &str) -> Result<World, Box<dyn Error>> {
    let file: File = serde_json::from_str(text)?;
    let schema = Arc::new(schema(&file)?);
    let scopes = file.scopes.iter().map(|scope| Ok((scope.name.clone(), graph(&schema, scope)?)));
    let scopes = scopes.collect::<Result<_, Box<dyn Error>>>()?;
    let procedures = file.procedures.iter().map(|entry| procedure(&schema, entry));
    Ok(World { scopes, procedures: procedures.collect::<Result<_, _>>()? })
}

fn schema(file: &File) -> Result<Schema, Box<dyn Error>> {
    let mut builder = Schema::builder();
    for enumeration in &file.enumerations {
        let name = &enumeration.name;
        builder = match &enumeration.values {
            EnumerationEntryValues::Texts(texts) => {
                builder.enumeration_of_strings(name, texts.iter().map(String::as_str))
            }
            EnumerationEntryValues::Numbers(numbers) => {
                let numbers = numbers.iter().map(|(name, value)| (name.as_str(), *value));
                builder.enumeration_of_integers(name, numbers)
            }
        };
    }
    for entry in &file.models {
        builder = builder.model(&entry.name, |model| describe(model, entry));
    }
    Ok(builder.build()?)
}

fn describe(mut model: ModelBuilder, entry: &ModelEntry) -> ModelBuilder {
    if let Some(parent) = &entry.extends {
        model = model.extends(parent);
    }
    for PropertyEntry { name, kind, collection, default } in &entry.properties {
        let kind = if *collection { format!("[{kind}]") } else { kind.clone() };
        let default = default.as_ref().and_then(scalar);
        model = model.define(PropertyDefinition { name: name.clone(), kind, default });
    }
    model
}

fn scalar(value: &Value) -> Option<Scalar> {
    match value {
        Value::String(text) => Some(Scalar::from(text.as_str())),
        Value::Number(number) => number.as_f64().map(Scalar::Number),
        Value::Bool(boolean) => Some(Scalar::Boolean(*boolean)),
        _ => None,
    }
}

/// The first state of a scope: its objects as the fragments of a ScopeState.
fn graph(schema: &Arc<Schema>, scope: &ScopeEntry) -> Result<Graph, Box<dyn Error>> {
    let limits = Limits::default();
    let typing = Typing { schema, dialect: Dialect::V1, limits: &limits };
    let fragments = scope.objects.iter().map(|object| {
        let kind = if object.uuid == scope.root { "change" } else { "add" };
        let fragment = json!({
            "type": kind, "uuid": object.uuid, "clsName": object.class,
            "properties": object.properties,
        });
        Ok(typing.fragment(&to_raw_value(&fragment)?).map_err(|error| error.message)?)
    });
    let fragments = fragments.collect::<Result<Vec<Fragment>, Box<dyn Error>>>()?;
    Graph::from_state(Arc::clone(schema), scope.root, fragments)
        .map_err(|mistakes| format!("{}: {mistakes:?}", scope.name).into())
}

fn procedure(
    schema: &Schema,
    entry: &ProcedureEntry,
) -> Result<(ProcedureName, Procedure), Box<dyn Error>> {
    let name = format!("{}.{}", entry.model, entry.name);
    let name = ProcedureName::parse(&name).ok_or_else(|| format!("no procedure name: {name}"))?;
    let constraints = entry.constraints.iter().map(|entry| constraint(schema, entry));
    Ok((
        name,
        Procedure { constraints: constraints.collect::<Result<_, _>>()?, ..Procedure::default() },
    ))
}

fn constraint(schema: &Schema, entry: &ConstraintEntry) -> Result<Constraint, Box<dyn Error>> {
    let class = &entry.cls_name;
    let (model_id, model) = schema.find(class).ok_or_else(|| format!("no model {class:?}"))?;
    let properties = entry.properties.iter().map(|(name, admitted)| {
        let (property, _) =
            model.find(name).ok_or_else(|| format!("no property {name:?} on {class:?}"))?;
        match admitted.as_str() {
            Some("any") => Ok((property, PropertyConstraint::New)),
            _ => Err(format!("{class}.{name}: only \"any\" is known, found {admitted}").into()),
        }
    });
    Ok(Constraint {
        kind: match entry.kind.as_str() {
            "add" => FragmentKind::Add,
            "change" => FragmentKind::Change,
            other => return Err(format!("no fragment type {other:?}").into()),
        },
        model: model_id,
        properties: properties.collect::<Result<_, Box<dyn Error>>>()?,
        additional: entry.allow_additional_properties,
        // Of the original: one constraint admits as many fragments as fit it.
        repeated: true,
    })
}
