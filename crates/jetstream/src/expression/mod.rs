//! Expressions over model objects, as the configuration writes them: CEL, checked against the schema.
//!
//! An [`Expression`] is compiled once, in an [`Environment`] that says which variables there are. A
//! property that no model has, or a number compared with a text, is a [`Mistake`] then, with its place in
//! the text. It is evaluated as often as needed over [`Bindings`], which give the variables their objects and
//! values without copying them.
//!
//! All numbers are doubles, as everywhere in the protocol: `object.width + 10` adds to a Number. A `Date` is
//! its seconds since 1970. A reference is the object that it leads to, `null` if unset; `.uuid` and
//! `.clsName` are every object's. Evaluating has no side effect and depends on nothing but the bindings. It is
//! for expressions whose author is trusted: loops within loops over long collections take their time.

mod check;
mod kind;
mod look;
mod seen;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use cel::common::types::CelBool;
use cel::common::value::{CowVal, Val};
use cel::context::VariableResolver;
use cel::parser::{Expression as Tree, Parser};
use cel::{Context, Env, Value as Cel};
use jetstream_core::model::Schema;
use jetstream_core::model::prospect::{Prospect, ProspectObject};

pub use kind::Kind;
pub use look::Looked;
pub use seen::Constant;

/// The variables that an expression may name, and the models of its objects.
#[derive(Debug, Clone)]
pub struct Environment {
    schema: Arc<Schema>,
    variables: BTreeMap<String, Kind>,
    follows: bool,
}

impl Environment {
    /// No variables yet.
    pub const fn new(schema: Arc<Schema>) -> Self {
        Self { schema, variables: BTreeMap::new(), follows: true }
    }

    /// One variable more.
    #[must_use]
    pub fn with(mut self, name: &str, kind: Kind) -> Self {
        self.variables.insert(name.to_owned(), kind);
        self
    }

    /// Objects are seen alone: what they refer to only by its `uuid`. For expressions that are looked at again
    /// when one of their objects changes, and would not be when another one does.
    #[must_use]
    pub const fn without_references(mut self) -> Self {
        self.follows = false;
        self
    }
}

/// What is wrong with the text of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// Where, in bytes.
    pub span: Range<usize>,
    /// What was found.
    pub message: String,
    /// What is allowed, or what to do.
    pub help: Option<String>,
}

/// Why an expression that is right in itself has no value for these bindings.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// Such as a claim that the session does not have, or a comparison with `null`.
    #[error("{0}")]
    Failed(String),
    /// A condition gave something else than true or false.
    #[error("it is neither true nor false")]
    NoCondition,
}

/// An expression, compiled and checked.
#[derive(Clone)]
pub struct Expression {
    text: Arc<str>,
    tree: Arc<Tree>,
    kind: Kind,
    uses: Uses,
}

/// What of its variables an expression looks at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uses {
    fields: BTreeMap<String, Option<BTreeSet<String>>>,
    follows: bool,
}

impl Uses {
    /// Whether the variable is named at all.
    pub fn names(&self, variable: &str) -> bool {
        self.fields.contains_key(variable)
    }

    /// The fields of a variable that are looked at; `None`: it is used as a whole.
    pub fn fields(&self, variable: &str) -> Option<&BTreeSet<String>> {
        self.fields.get(variable)?.as_ref()
    }

    /// Whether values are looked at of objects that others refer to.
    pub const fn follows(&self) -> bool {
        self.follows
    }

    fn note(&mut self, variable: &str, field: Option<&str>) {
        let entry = self.fields.entry(variable.to_owned()).or_insert_with(|| Some(BTreeSet::new()));
        match (field, &mut *entry) {
            (Some(field), Some(fields)) => {
                fields.insert(field.to_owned());
            }
            (None, entry) => *entry = None,
            (Some(_), None) => {}
        }
    }
}

impl Expression {
    /// Reads an expression and checks it.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn compile(text: &str, environment: &Environment) -> Result<Self, Vec<Mistake>> {
        if text.len() > TEXT_BYTES_MAX {
            let message = format!("an expression of more than {TEXT_BYTES_MAX} bytes");
            return Err(vec![Mistake { span: 0..text.len(), message, help: None }]);
        }
        // The parser recurses deeply, and the thread that asks may have a small stack.
        std::thread::scope(|scope| {
            let compile = || Self::compile_here(text, environment);
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            let compiled = thread.spawn_scoped(scope, compile).map(|thread| thread.join());
            compiled.ok().and_then(Result::ok).unwrap_or_else(|| {
                let message = "the expression cannot be read".to_owned();
                Err(vec![Mistake { span: 0..text.len(), message, help: None }])
            })
        })
    }

    fn compile_here(text: &str, environment: &Environment) -> Result<Self, Vec<Mistake>> {
        let parsed = Parser::default().parse_with_source_info(text);
        let (mut tree, source) = parsed.map_err(|errors| {
            let mistake = |error: &cel::ParseError| check::of_parser(text, error);
            errors.errors.iter().map(mistake).collect::<Vec<_>>()
        })?;
        let (kind, uses) = check::check(text, &mut tree, &source, environment)?;
        Ok(Self { text: text.into(), tree: Arc::new(tree), kind, uses })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What kind of value it has.
    pub const fn kind(&self) -> &Kind {
        &self.kind
    }

    /// What it looks at.
    pub const fn uses(&self) -> &Uses {
        &self.uses
    }

    /// Whether the condition holds.
    ///
    /// # Errors
    ///
    /// It has no value, or is no condition.
    pub fn holds(&self, bindings: &Bindings<'_>) -> Result<bool, EvaluationError> {
        self.run(bindings, |value| value.downcast_ref::<CelBool>().map(|value| *value.inner()))?
            .ok_or(EvaluationError::NoCondition)
    }

    /// Its value as JSON; an object is its uuid.
    ///
    /// # Errors
    ///
    /// It has no value.
    pub fn value(&self, bindings: &Bindings<'_>) -> Result<serde_json::Value, EvaluationError> {
        self.run(bindings, |value| seen::to_json(value))?
            .ok_or_else(|| EvaluationError::Failed("its value has no form in JSON".to_owned()))
    }

    fn run<R>(
        &self,
        bindings: &Bindings<'_>,
        look: impl FnOnce(&dyn Val) -> R,
    ) -> Result<R, EvaluationError> {
        with_context(bindings, |context| {
            let value = Cel::resolve_val(&self.tree, context);
            value.map(|value| look(&*value)).map_err(|e| EvaluationError::Failed(in_words(&e)))
        })
    }
}

fn with_context<R>(bindings: &Bindings<'_>, look: impl FnOnce(&Context<'_, '_>) -> R) -> R {
    static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));
    let mut context = Context::with_env(STANDARD.clone());
    context.set_variable_resolver(bindings);
    look(&context)
}

/// Names keys and functions, never values: those may be secrets.
fn in_words(error: &cel::ExecutionError) -> String {
    use cel::ExecutionError as E;
    match error {
        E::NoSuchKey(key) => format!("there is no {key:?}"),
        E::NoSuchOverload(error) => error.to_string(),
        E::UndeclaredReference(name) => format!("{name:?} has no value"),
        E::DivisionByZero(_) | E::RemainderByZero(_) => "a division by zero".to_owned(),
        E::IndexOutOfBounds(_) => "a place outside of a list".to_owned(),
        E::FunctionError { function, .. } => format!("{function} failed"),
        _ => "an operation on a value of the wrong kind".to_owned(),
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.text).finish()
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// What the variables stand for in one evaluation. Nothing is copied.
#[derive(Debug, Clone, Default)]
pub struct Bindings<'v> {
    objects: smallvec::SmallVec<[(&'static str, Option<ProspectObject<'v>>); 3]>,
    constants: smallvec::SmallVec<[(&'static str, &'v Constant); 3]>,
    all: Option<(&'static str, &'v Prospect<'v>)>,
}

impl<'v> Bindings<'v> {
    /// Nothing is bound yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Binds an object; `None` is `null`.
    pub fn object(&mut self, name: &'static str, object: Option<ProspectObject<'v>>) {
        self.objects.push((name, object));
    }

    /// Binds all objects of a scope, by their uuids; `null` is what no object has.
    pub fn all(&mut self, name: &'static str, objects: &'v Prospect<'v>) {
        self.all = Some((name, objects));
    }

    /// Binds a value that was prepared before.
    pub fn constant(&mut self, name: &'static str, constant: &'v Constant) {
        self.constants.push((name, constant));
    }
}

impl VariableResolver for Bindings<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        if let Some((variable, field)) = variable.split_once('.') {
            // The interpreter asks for `object.width` as a whole first: that spares an object.
            let (_, object) = self.objects.iter().find(|(name, _)| *name == variable)?;
            return seen::field((*object)?, field);
        }
        if let Some((_, constant)) = self.constants.iter().find(|(name, _)| *name == variable) {
            return Some(CowVal::Borrowed(constant.as_val()));
        }
        if let Some((_, all)) = self.all.filter(|(name, _)| *name == variable) {
            return Some(CowVal::Owned(seen::all(all)));
        }
        let (_, object) = self.objects.iter().find(|(name, _)| *name == variable)?;
        Some(CowVal::Owned(seen::object(*object)))
    }
}

/// The longest expression, in bytes: nobody can read a longer one, and the parser takes long for it.
pub const TEXT_BYTES_MAX: usize = 10_000;

/// The stack of the thread that compiles, in bytes: what a debug build needs for the deepest expression
/// that the parser takes.
const STACK_BYTES: usize = 16 << 20;
