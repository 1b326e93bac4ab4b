//! Changes that programs ask the application for: on whose behalf, recognised by a key, for a state.

use jetstream_core::ids::{ObjectId, Origin};
use jetstream_core::limits::Limits;
use jetstream_core::model::{ChangeSet, Rejection};
use jetstream_core::scope::{Outcome, Terms};
use jetstream_core::wire::update::Update;
use ring::digest::{Context, SHA256};

use super::{BuildChanges, Revision, Scope, ScopeError, StateTag, new_object_id};

/// A change on somebody's behalf: [`Scope::on_behalf_of`].
///
/// ```
/// # use std::sync::Arc;
/// # use jetstream::Scope;
/// # use jetstream::core::model::{ChangeSet, Graph, Schema};
/// # use jetstream::core::wire::update::Update;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let schema = Schema::builder().model("Counter", |m| m.property("count", "Number")).build()?;
/// # let (model, _) = schema.find("Counter").unwrap();
/// # let root = "c0000000-0000-4000-8000-000000000001".parse()?;
/// # let scope = Scope::new("Counter", Graph::new(Arc::new(schema), root, model));
/// let text = r#"{"query": null, "update": {"$set": {"count": 1}}}"#;
/// for _ in 0..2 {
///     let request = scope.on_behalf_of("billing").key("order-17", text);
///     let updated = request.update_by(Update::parse(text)?).await?;
///     assert_eq!(updated.accepted()?.0, 1, "it was changed once");
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use = "nothing happens until it is sent"]
pub struct UpdateRequest<'a> {
    scope: &'a Scope,
    terms: Terms,
    expected: Option<StateTag>,
}

/// What became of an update.
#[derive(Debug, Clone, PartialEq)]
pub struct Updated {
    /// The scope's revision afterwards.
    pub revision: Revision,
    /// One entry for each fragment: accepted, or why not.
    pub replies: Vec<Result<(), Rejection>>,
    /// The objects that were added, in the order of the fragments.
    pub added: Vec<ObjectId>,
}

impl Updated {
    /// The revision if every fragment was accepted.
    ///
    /// # Errors
    ///
    /// The first refusal.
    pub fn accepted(self) -> Result<Revision, Rejection> {
        self.replies.into_iter().collect::<Result<(), _>>()?;
        Ok(self.revision)
    }

    /// What an application without a key is told.
    pub(super) fn of((revision, outcome): (Revision, Outcome)) -> Self {
        let (replies, added) = match outcome {
            Outcome::Judged { replies, added } => (replies, added),
            Outcome::NotSaved { replies, .. } => (replies, Vec::new()),
            Outcome::Moved | Outcome::KeyUsed => unreachable!("it came without terms"),
        };
        Self { revision, replies, added }
    }
}

impl<'a> UpdateRequest<'a> {
    pub(super) fn new(scope: &'a Scope, author: &str) -> Self {
        let terms = Terms { author: Some(author.into()), ..Terms::default() };
        Self { scope, terms, expected: None }
    }

    /// Recognises the request when it comes again: it gets the answer that it got, also after a crash if the
    /// scope is stored, and changes nothing a second time. `content` is what is asked, in any form that is
    /// the same for the same request; with another one the key is refused.
    ///
    /// A key belongs to who asks and to this scope. It is good for a day, and of one scope the newest 4096
    /// are, or fewer if their answers take more than 1 MiB.
    pub fn key(mut self, key: &str, content: impl AsRef<[u8]>) -> Self {
        let author = self.terms.author.as_deref().unwrap_or_default();
        let key = hash(&[author.as_bytes(), key.as_bytes()]);
        self.terms.origin = Some(Origin::of_request(key, hash(&[content.as_ref()])));
        self
    }

    /// Changes the scope only if its state is this one.
    pub const fn at(mut self, state: StateTag) -> Self {
        self.expected = Some(state);
        self
    }

    /// As [`Scope::update`].
    ///
    /// # Errors
    ///
    /// If the scope is closed or at another state, the key was used for something else, or nothing can be
    /// stored at present. Refused fragments are no error but stand in the answer.
    pub async fn update(self, changes: ChangeSet) -> Result<Updated, ScopeError> {
        self.ask(Box::new(|_| changes)).await
    }

    /// As [`Scope::update_by`].
    ///
    /// # Errors
    ///
    /// As [`update`](Self::update).
    pub async fn update_by(self, update: Update) -> Result<Updated, ScopeError> {
        self.ask(by_paths(update)).await
    }

    async fn ask(self, build: BuildChanges) -> Result<Updated, ScopeError> {
        let Self { scope, terms, expected } = self;
        let (revision, outcome) = scope.ask_update(build, terms, expected).await?;
        let name = scope.name().clone();
        match outcome {
            Outcome::Judged { replies, added } => Ok(Updated { revision, replies, added }),
            Outcome::NotSaved { why, .. } => Err(ScopeError::NotSaved(why.to_string())),
            Outcome::Moved => Err(ScopeError::Moved { scope: name, revision }),
            Outcome::KeyUsed => Err(ScopeError::KeyUsed(name)),
        }
    }
}

/// Makes a ChangeSet when the objects are at hand.
pub(super) fn by_paths(update: Update) -> BuildChanges {
    Box::new(move |graph| {
        // The application is trusted with sizes; how many objects there may be is judged as always.
        let changes = update.change_set(graph, &Limits::default(), &mut new_object_id);
        let refused = |refusal| ChangeSet { fragments: vec![Err(refusal)], ..ChangeSet::default() };
        changes.unwrap_or_else(refused)
    })
}

/// 64 bits of a SHA-256: two requests of the few thousand that a scope remembers do not have the same.
fn hash(parts: &[&[u8]]) -> u64 {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    let digest = context.finish();
    let first = digest.as_ref().first_chunk().expect("a SHA-256 has 32 bytes");
    u64::from_le_bytes(*first)
}
