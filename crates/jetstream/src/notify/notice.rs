//! What a consumer is told: some commits of a scope, or that some are not known any more.

use jetstream_core::ids::{Revision, ScopeName, SharedText};
use jetstream_core::time::Timestamp;
use jetstream_core::wire::encode;
use jetstream_core::wire::message::Dialect;
use jetstream_core::wire::print;
use ring::digest::{Context, SHA256};

use super::NotifyOptions;
use crate::storage::{DeadLetter, PastCommit, Storage, StorageError, StoredScope};

/// A piece of news about one scope.
#[derive(Debug, Clone)]
pub struct Notice {
    key: String,
    scope: ScopeName,
    after: Revision,
    revision: Revision,
    commits: Vec<PastCommit>,
    body: SharedText,
}

impl Notice {
    /// What the consumer knows it by: the same text for the same news, however often it is told.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The scope.
    pub const fn scope(&self) -> &ScopeName {
        &self.scope
    }

    /// It is about what came after this revision,
    pub const fn after(&self) -> Revision {
        self.after
    }

    /// up to this one.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The commits. None, if they are not known any more; and none in a notice that was set aside and is told
    /// again, of which only the text is kept.
    pub fn commits(&self) -> &[PastCommit] {
        &self.commits
    }

    /// All of it as JSON, as web services are told it.
    pub const fn body(&self) -> &SharedText {
        &self.body
    }

    /// One that was set aside.
    pub(super) fn of_letter(letter: &DeadLetter, body: SharedText) -> Self {
        let (key, scope) = (letter.key.clone(), letter.scope.clone());
        Self {
            key,
            scope,
            after: letter.after,
            revision: letter.revision,
            commits: Vec::new(),
            body,
        }
    }

    /// When the first of it was made, if that is known.
    pub(super) fn oldest(&self) -> Option<Timestamp> {
        self.commits.first().map(|past| past.commit.time)
    }

    /// When the last of it was made, if that is known.
    pub(super) fn newest(&self) -> Option<Timestamp> {
        self.commits.last().map(|past| past.commit.time)
    }
}

/// What there is to tell.
#[derive(Debug)]
pub(super) struct News {
    pub(super) notice: Notice,
    /// Nothing more was found behind it.
    pub(super) is_last: bool,
}

/// Reads what a consumer has to be told that has everything up to `after`. `until`: no further than this.
pub(super) async fn read(
    storage: &dyn Storage,
    scope: &StoredScope,
    consumer: &str,
    after: Revision,
    until: Option<Revision>,
    options: &NotifyOptions,
) -> Result<Option<News>, StorageError> {
    let mut batch = Batch::new(scope, after);
    let mut is_last = false;
    let max = options.batch_commits_max.max(1);
    while !is_last && batch.commits.len() < max && batch.text.len() < options.batch_bytes_max {
        let wanted = PAGE_COMMITS.min(max - batch.commits.len());
        let page = storage.commits(scope, batch.last, wanted).await?;
        is_last = page.len() < wanted;
        if batch.commits.is_empty() && !follows(page.first(), after) {
            // Read after the commits: what is known now was known then.
            let begins = storage.past_begins(scope).await?;
            if let Some(begins) = begins.filter(|begins| *begins > after) {
                let notice = missed(scope, consumer, after, begins);
                return Ok(Some(News { notice, is_last: false }));
            }
        }
        for past in page {
            let is_full = batch.text.len() >= options.batch_bytes_max;
            if is_full || until.is_some_and(|until| past.commit.revision > until) {
                is_last = false;
                return Ok(batch.notice(consumer).map(|notice| News { notice, is_last }));
            }
            batch.add(past)?;
        }
    }
    Ok(batch.notice(consumer).map(|notice| News { notice, is_last }))
}

/// Whether nothing can be missing between a revision and a commit.
fn follows(first: Option<&PastCommit>, after: Revision) -> bool {
    first.is_some_and(|past| past.commit.revision == after.next())
}

/// The text of a notice while it grows.
struct Batch<'a> {
    scope: &'a StoredScope,
    after: Revision,
    last: Revision,
    time: Timestamp,
    commits: Vec<PastCommit>,
    text: String,
}

impl<'a> Batch<'a> {
    fn new(scope: &'a StoredScope, after: Revision) -> Self {
        let (commits, text) = (Vec::new(), String::new());
        Self { scope, after, last: after, time: Timestamp(0), commits, text }
    }

    fn add(&mut self, past: PastCommit) -> Result<(), StorageError> {
        let schema = self.scope.schema_of(past.version)?;
        let (commit, text) = (&past.commit, &mut self.text);
        text.push_str(if text.is_empty() { "{\"revision\":" } else { ",{\"revision\":" });
        print::unsigned(text, commit.revision.0);
        text.push_str(",\"time\":");
        time(text, commit.time);
        if let Some(author) = &commit.author {
            text.push_str(",\"author\":");
            print::string(text, author);
        }
        if let Some(origin) = commit.origin.filter(|origin| !origin.is_request()) {
            text.push_str(",\"session\":");
            print::unsigned(text, origin.session.0);
            text.push_str(",\"message\":");
            print::unsigned(text, origin.message.0);
        }
        text.push_str(",\"fragments\":");
        text.push_str(&encode::fragments(schema, &commit.fragments, Dialect::V1));
        text.push('}');
        (self.last, self.time) = (commit.revision, commit.time);
        self.commits.push(past);
        Ok(())
    }

    fn notice(self, consumer: &str) -> Option<Notice> {
        let Self { scope, after, last, time, commits, text } = self;
        if commits.is_empty() {
            return None;
        }
        let name = scope.name.clone();
        let mut body = begin("scope.changed", Some(time), &name, after, last);
        body.push_str(",\"commits\":[");
        body.push_str(&text);
        body.push_str("]}}");
        let key = key(consumer, &name, after, last);
        Some(Notice { key, scope: name, after, revision: last, commits, body: body.into() })
    }
}

/// That commits are not known any more.
fn missed(scope: &StoredScope, consumer: &str, after: Revision, begins: Revision) -> Notice {
    let name = scope.name.clone();
    let mut body = begin("scope.missed", None, &name, after, begins);
    body.push_str("}}");
    let key = key(consumer, &name, after, begins);
    let commits = Vec::new();
    Notice { key, scope: name, after, revision: begins, commits, body: body.into() }
}

/// What every body begins with.
fn begin(
    kind: &str,
    made: Option<Timestamp>,
    scope: &ScopeName,
    after: Revision,
    revision: Revision,
) -> String {
    let mut body = String::from("{\"type\":");
    print::string(&mut body, kind);
    if let Some(made) = made {
        body.push_str(",\"timestamp\":");
        time(&mut body, made);
    }
    body.push_str(",\"data\":{\"scope\":");
    print::string(&mut body, scope.as_str());
    body.push_str(",\"after\":");
    print::unsigned(&mut body, after.0);
    body.push_str(",\"revision\":");
    print::unsigned(&mut body, revision.0);
    body
}

fn time(out: &mut String, time: Timestamp) {
    match time.to_iso8601() {
        Some(text) => print::string(out, &text),
        None => out.push_str("null"),
    }
}

/// Says the same of the same news, and is no longer than a header likes.
fn key(consumer: &str, scope: &ScopeName, after: Revision, revision: Revision) -> String {
    let mut context = Context::new(&SHA256);
    for part in [consumer, scope.as_str()] {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part.as_bytes());
    }
    context.update(&after.0.to_le_bytes());
    context.update(&revision.0.to_le_bytes());
    let digest = context.finish();
    let digits = digest.as_ref()[..16].iter().map(|byte| format!("{byte:02x}"));
    format!("msg_{}", digits.collect::<String>())
}

/// How many commits are read at a time. A notice holds no more bytes than it may, but what is read is in memory
/// first, and a commit can be as large as a message.
const PAGE_COMMITS: usize = 32;
