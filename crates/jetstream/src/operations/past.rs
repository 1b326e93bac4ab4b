//! Looking at the past of scopes, and going back to it.

use jetstream_core::ids::{MessageIndex, Revision, SessionId, SharedText};
use jetstream_core::model::restore::restore;
use jetstream_core::model::{ChangeSet, Fragment, Schema};
use jetstream_core::scope::encode_state;
use jetstream_core::wire::encode;
use jetstream_core::wire::message::Dialect;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{At, Lines, OperationError, Operations, iso};
use crate::storage::past::{Commits, Summaries, state_at};
use crate::storage::{Moment, PastCommit, Rebuilt, StoredScope};

/// A commit, without the values that it set.
#[derive(Serialize)]
struct HistoryLine<'a> {
    revision: u64,
    time: String,
    #[serde(flatten)]
    who: Who,
    changes: Vec<Changed<'a>>,
}

/// The session and the message that a commit came from; neither: the application, perhaps on somebody's
/// behalf.
#[derive(Serialize)]
struct Who {
    #[serde(skip_serializing_if = "Option::is_none")]
    author: Option<SharedText>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<MessageIndex>,
}

#[derive(Serialize)]
struct Changed<'a> {
    r#type: &'static str,
    model: &'a str,
    uuid: String,
    properties: Vec<&'a str>,
}

/// A commit with everything.
#[derive(Serialize)]
struct AuditLine<'a> {
    scope: &'a str,
    revision: u64,
    time: String,
    #[serde(flatten)]
    who: Who,
    /// Which of the store's schemas the names are of.
    schema: u32,
    fragments: Box<RawValue>,
}

/// What a revert did.
#[derive(Serialize)]
struct RevertLine {
    /// The scope's revision with it.
    revision: u64,
    /// How many objects it changed; none: the scope was like that already.
    fragments: usize,
}

impl Operations {
    pub(super) async fn history(
        &self,
        scope: &str,
        after: Revision,
        out: &Lines,
    ) -> Result<(), OperationError> {
        let key = self.known(scope).await?;
        let mut commits = Commits::after(&*self.storage, &key, after);
        while let Some(past) = commits.next().await? {
            let schema = key.schema_of(past.version)?;
            let line = HistoryLine {
                revision: past.commit.revision.0,
                time: iso(past.commit.time),
                who: Who::of(&past),
                changes: past.commit.fragments.iter().map(|f| changed(schema, f)).collect(),
            };
            out.say(&line).await?;
        }
        Ok(())
    }

    pub(super) async fn state(
        &self,
        scope: &str,
        at: Option<At>,
        out: &Lines,
    ) -> Result<(), OperationError> {
        let latest = Moment::Revision(Revision(u64::MAX));
        let rebuilt = self.rebuilt(scope, at.map_or(latest, |at| at.0)).await?;
        out.say(&state_line(scope, &rebuilt)?).await
    }

    pub(super) async fn revert(
        &self,
        scope: &str,
        to: At,
        out: &Lines,
    ) -> Result<(), OperationError> {
        let wanted = self.rebuilt(scope, to.0).await?.graph;
        let open = self.scopes.open(scope).await.map_err(|error| {
            OperationError(format!("the scope {scope:?} cannot be opened: {error}"))
        })?;
        // What leads back is worked out while the scope stands still, whatever clients do meanwhile.
        let updated = open.update_with(move |graph| match restore(graph, &wanted) {
            Ok(changes) => (changes.clone(), Ok(changes.fragments.len())),
            Err(error) => (ChangeSet::default(), Err(error)),
        });
        let (updated, fragments) =
            updated.await.map_err(|error| OperationError(error.to_string()))?;
        let refused =
            |why: String| OperationError(format!("{scope:?} cannot go back to {to}: {why}"));
        let fragments = fragments.map_err(|error| refused(error.to_string()))?;
        let revision = updated.accepted().map_err(|rejection| refused(rejection.message))?.0;
        out.say(&RevertLine { revision, fragments }).await
    }

    pub(super) async fn audit(
        &self,
        scope: Option<&str>,
        since: Option<At>,
        out: &Lines,
    ) -> Result<(), OperationError> {
        if let Some(scope) = scope {
            return self.audit_scope(&self.known(scope).await?, since, out).await;
        }
        let mut scopes = Summaries::of(&*self.storage);
        while let Some(summary) = scopes.next().await? {
            self.audit_scope(&self.key(summary.name), since, out).await?;
        }
        Ok(())
    }

    async fn audit_scope(
        &self,
        key: &StoredScope,
        since: Option<At>,
        out: &Lines,
    ) -> Result<(), OperationError> {
        let mut commits = Commits::after(&*self.storage, key, Revision(0));
        while let Some(past) = commits.next().await? {
            let commit = &past.commit;
            let early = since.is_some_and(|since| match since.0 {
                Moment::Revision(revision) => commit.revision < revision,
                Moment::Time(time) => commit.time < time,
            });
            if early {
                continue;
            }
            let schema = key.schema_of(past.version)?;
            let fragments = encode::fragments(schema, &commit.fragments, Dialect::V1);
            out.say(&AuditLine {
                scope: key.name.as_str(),
                revision: commit.revision.0,
                time: iso(commit.time),
                who: Who::of(&past),
                schema: past.version.0,
                fragments: raw(fragments.to_string())?,
            })
            .await?;
        }
        Ok(())
    }

    /// A scope's state at a moment.
    async fn rebuilt(&self, scope: &str, moment: Moment) -> Result<Rebuilt, OperationError> {
        let key = self.known(scope).await?;
        let rebuilt = state_at(&*self.storage, &key, moment).await?;
        let forgotten = || {
            let at = At(moment);
            OperationError(format!("the past of {scope:?} does not reach back to {at}"))
        };
        rebuilt.ok_or_else(forgotten)
    }
}

impl Who {
    fn of(past: &PastCommit) -> Self {
        let origin = past.commit.origin.filter(|origin| !origin.is_request());
        Self {
            author: past.commit.author.clone(),
            session: origin.map(|origin| origin.session),
            message: origin.map(|origin| origin.message),
        }
    }
}

fn changed<'a>(schema: &'a Schema, fragment: &Fragment) -> Changed<'a> {
    let model = schema.model(fragment.model);
    let set = fragment.properties.iter().map(|(id, _)| *id);
    let edited = fragment.collections.iter().map(|(id, _)| *id);
    Changed {
        r#type: fragment.kind.as_str(),
        model: model.name(),
        uuid: fragment.object.to_string(),
        properties: set.chain(edited).map(|id| &**model.property(id).name()).collect(),
    }
}

/// A state as a line: where it is in its scope's history, and the body of a `ScopeState`.
pub(super) fn state_line(scope: &str, state: &Rebuilt) -> Result<Box<RawValue>, OperationError> {
    let head = serde_json::json!({
        "scope": scope, "revision": state.revision.0, "time": iso(state.time),
    });
    let head = head.to_string();
    let head = head.strip_suffix('}').expect("an object ends with a brace");
    raw(format!("{head},{}}}", encode_state(&state.graph)))
}

fn raw(text: String) -> Result<Box<RawValue>, OperationError> {
    RawValue::from_string(text).map_err(|error| OperationError(error.to_string()))
}
