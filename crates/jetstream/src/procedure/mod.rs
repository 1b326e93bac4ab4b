//! What decides about ChangeSets before they are applied: the seam behind procedures and validation.
//!
//! An [`Action`] is asked about a ChangeSet that fits the models and the procedure's constraints. It may take
//! its time: only the ChangeSet's author waits for it. A closure is an action:
//!
//! ```
//! # use std::sync::Arc;
//! # use jetstream::{Scope, core::model::{FragmentKind, Graph, ProcedureName, Rejection, Schema}};
//! use jetstream::core::model::constraint::{Constraint, PropertyConstraint};
//! use jetstream::core::scope::Procedure;
//! use jetstream::procedure::{ActionCall, Verdict};
//!
//! # async fn is_taken(name: &str) -> bool { false }
//! # let schema = Schema::builder().model("Canvas", |m| m.property("name", "String")).build().unwrap();
//! # let (model, _) = schema.find("Canvas").unwrap();
//! # let (name, _) = schema.model(model).find("name").unwrap();
//! # let root = "c0000000-0000-4000-8000-000000000001".parse().unwrap();
//! # let graph = Graph::new(Arc::new(schema), root, model);
//! let rename = ProcedureName::parse("Canvas.rename").unwrap();
//! // A call is one change of one Canvas, which sets its name and nothing else.
//! let constraint = Constraint {
//!     kind: FragmentKind::Change,
//!     model,
//!     properties: vec![(name, PropertyConstraint::New)],
//!     additional: false,
//!     repeated: false,
//! };
//! let scope = Scope::builder("Canvas", graph)
//!     .procedure(rename.clone(), Procedure { constraints: vec![constraint], ..Procedure::default() })
//!     .action(rename, |call: &ActionCall<'_>| {
//!         // What is needed of the objects is taken now; the rest goes on without them.
//!         let name = call.text("Canvas", "name");
//!         async move {
//!             if is_taken(&name.unwrap_or_default()).await {
//!                 return Verdict::Refuse(Rejection::message("somebody else has that name"));
//!             }
//!             Verdict::ACCEPT
//!         }
//!     })
//!     .build();
//! ```

mod answer;
mod http;
mod key;
mod template;

use std::collections::BTreeMap;
use std::future::Future;

use jetstream_core::ids::{Revision, ScopeName};
use jetstream_core::model::{Fragment, Graph, ProcedureName, Scalar, Value};
use jetstream_core::scope::access::ScopeFacts;

use crate::future::BoxFuture;
use crate::server::SessionInfo;

pub(crate) use answer::refusal_of;
pub use http::HttpAction;
pub use template::{BodyTemplate, RequestTemplate, TemplateError, UrlTemplate};

pub use jetstream_core::scope::{Call, FragmentVerdict, Verdict};

/// Decides about ChangeSets.
///
/// It is asked on the scope's task, in the order of the ChangeSets, and must not block there. The future
/// that it gives runs on its own, beside those of other ChangeSets. If it takes longer than the scope's
/// `procedure_timeout_ms`, it is dropped; if it panics, or is too late, the ChangeSet is refused with
/// `procedure-failed`. An accepted ChangeSet is judged again on what is there by then, so it may still be
/// refused.
pub trait Action: Send + Sync + 'static {
    /// Begins to decide. What is needed of the objects must be taken before the future is given.
    fn decide(&self, call: &ActionCall<'_>) -> BoxFuture<'static, Verdict>;
}

impl<F, V> Action for F
where
    F: Fn(&ActionCall<'_>) -> V + Send + Sync + 'static,
    V: Future<Output = Verdict> + Send + 'static,
{
    fn decide(&self, call: &ActionCall<'_>) -> BoxFuture<'static, Verdict> {
        Box::pin(self(call))
    }
}

/// A ChangeSet that somebody has to decide about, and where it happens.
#[derive(Debug)]
pub struct ActionCall<'a> {
    pub(crate) scope: &'a ScopeFacts,
    pub(crate) graph: &'a Graph,
    pub(crate) session: Option<&'a SessionInfo>,
    pub(crate) call: &'a Call,
}

impl ActionCall<'_> {
    /// The scope's name.
    pub const fn scope(&self) -> &ScopeName {
        &self.scope.name
    }

    /// What the parameters of its family's name stand for: `id` in `boards/{id}`.
    pub const fn params(&self) -> &BTreeMap<String, String> {
        &self.scope.params
    }

    /// What this ChangeSet is known by: the same when it comes again after a crash that took its answer with it.
    /// Whoever has carried it out already says so again.
    pub fn key(&self) -> String {
        key::of(self.scope(), self.call)
    }

    /// Whether it is to be written through: accepted, it is committed.
    pub const fn is_write(&self) -> bool {
        self.call.write
    }

    /// The scope's revision.
    pub const fn revision(&self) -> Revision {
        self.call.revision
    }

    /// The objects as they are, without the ChangeSet.
    pub const fn graph(&self) -> &Graph {
        self.graph
    }

    /// Whose ChangeSet it is.
    pub const fn session(&self) -> Option<&SessionInfo> {
        self.session
    }

    /// Which procedure is called; `None`: a ChangeSet to validate.
    pub const fn procedure(&self) -> Option<&ProcedureName> {
        self.call.procedure.as_ref()
    }

    /// Whether all fragments are applied or none is.
    pub const fn is_atomic(&self) -> bool {
        self.call.atomic
    }

    /// What would be applied, in order; [`Verdict::Accept`] speaks of these.
    pub fn fragments(&self) -> &[Fragment] {
        &self.call.fragments
    }

    /// The first value that a fragment of this model sets for this property.
    pub fn value(&self, model: &str, property: &str) -> Option<&Value> {
        let schema = self.graph.schema();
        let (_, model) = schema.find(model)?;
        let (property, _) = model.find(property)?;
        let of_model = |f: &&Fragment| schema.model(f.model).name() == model.name();
        let mut values = self.fragments().iter().filter(of_model).flat_map(|f| &f.properties);
        values.find(|(id, _)| *id == property).map(|(_, value)| value)
    }

    /// The same, if it is a text.
    pub fn text(&self, model: &str, property: &str) -> Option<String> {
        match self.value(model, property)? {
            Value::Scalar(Some(Scalar::String(text))) => Some(text.to_string()),
            _ => None,
        }
    }
}
