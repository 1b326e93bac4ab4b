//! Looking after those who are told of changes: how it stands with them, and what they did not take.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Lines, OperationError, Operations, iso};
use crate::notify::{LetterError, Notifier};
use crate::storage::{DeadLetter, LetterId};

/// What can be done about consumers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "notify", rename_all = "snake_case")]
pub enum NotifyOperation {
    /// One line for each consumer: how it stands with it.
    Standing,
    /// One line for each notice that is set aside.
    List,
    /// Tells notices again that were set aside. One line for each: what came of it.
    Retry(Letters),
    /// Forgets notices that were set aside. One line for each.
    Drop(Letters),
    /// One line: a notice that was set aside, as it was to be told.
    Show {
        /// Which.
        letter: u64,
    },
    /// Tells consumers again that are told nothing any more. One line for each.
    Resume {
        /// Which; `None`: all.
        consumer: Option<String>,
    },
}

/// Which dead letters are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Letters {
    /// Those of this consumer only.
    #[serde(default)]
    pub consumer: Option<String>,
    /// Their numbers; none: all.
    #[serde(default)]
    pub letters: Vec<u64>,
}

#[derive(Serialize)]
struct StandingLine<'a> {
    consumer: &'a str,
    stopped: Option<String>,
    scopes_behind: u64,
    commits_behind: u64,
    dead_letters: u64,
}

#[derive(Serialize)]
struct LetterLine<'a> {
    letter: u64,
    consumer: &'a str,
    scope: &'a str,
    after: u64,
    revision: u64,
    time: String,
    key: &'a str,
    why: &'a str,
}

#[derive(Serialize)]
struct DoneLine<'a> {
    letter: u64,
    consumer: &'a str,
    scope: &'a str,
    /// Why it stays; `null`: it is gone.
    stays: Option<String>,
}

#[derive(Serialize)]
struct ResumedLine<'a> {
    resumed: &'a str,
}

impl Operations {
    pub(super) async fn notify(
        &self,
        operation: NotifyOperation,
        out: &Lines,
    ) -> Result<(), OperationError> {
        match operation {
            NotifyOperation::Standing => self.standing(out).await,
            NotifyOperation::List => self.letters(out).await,
            NotifyOperation::Retry(which) => self.look_after(&which, true, out).await,
            NotifyOperation::Drop(which) => self.look_after(&which, false, out).await,
            NotifyOperation::Show { letter } => self.show(LetterId(letter), out).await,
            NotifyOperation::Resume { consumer } => self.resume(consumer.as_deref(), out).await,
        }
    }

    async fn standing(&self, out: &Lines) -> Result<(), OperationError> {
        let mut letters: BTreeMap<String, u64> = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.storage.letters(after, PAGE_LETTERS).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (_, letter) in page {
                *letters.entry(letter.consumer).or_default() += 1;
            }
        }
        for notifier in &*self.notifiers {
            let (scopes_behind, commits_behind) = self.behind(notifier.name()).await?;
            out.say(&StandingLine {
                consumer: notifier.name(),
                stopped: notifier.standing().stopped,
                scopes_behind,
                commits_behind,
                dead_letters: letters.get(notifier.name()).copied().unwrap_or_default(),
            })
            .await?;
        }
        Ok(())
    }

    /// How many scopes have something for a consumer, and how many commits these are.
    async fn behind(&self, consumer: &str) -> Result<(u64, u64), OperationError> {
        let (mut scopes, mut commits, mut after) = (0, 0, None);
        loop {
            let page = self.storage.behind(consumer, after.as_ref(), PAGE_SCOPES).await?;
            let Some(last) = page.last() else { return Ok((scopes, commits)) };
            after = Some(last.scope.clone());
            scopes += page.len() as u64;
            commits += page.iter().map(|it| it.last.0.saturating_sub(it.got.0)).sum::<u64>();
        }
    }

    /// All of them, also those whose consumer is in the configuration no more.
    async fn letters(&self, out: &Lines) -> Result<(), OperationError> {
        let mut after = None;
        loop {
            let page = self.storage.letters(after, PAGE_LETTERS).await?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(*last);
            for (id, letter) in &page {
                out.say(&LetterLine {
                    letter: id.0,
                    consumer: &letter.consumer,
                    scope: letter.scope.as_str(),
                    after: letter.after.0,
                    revision: letter.revision.0,
                    time: iso(letter.time),
                    key: &letter.key,
                    why: &letter.why,
                })
                .await?;
            }
        }
    }

    async fn show(&self, id: LetterId, out: &Lines) -> Result<(), OperationError> {
        let text = self.storage.letter_text(id).await?;
        let text = text.ok_or_else(|| OperationError(LetterError::Unknown(id).to_string()))?;
        out.say(&serde_json::value::RawValue::from_string(text.to_string()).map_err(|error| {
            OperationError(format!("the dead letter {id} cannot be shown: {error}"))
        })?)
        .await
    }

    /// Tells letters again, or drops them.
    async fn look_after(
        &self,
        which: &Letters,
        retry: bool,
        out: &Lines,
    ) -> Result<(), OperationError> {
        let mut missing: Vec<u64> = which.letters.clone();
        let mut after = None;
        loop {
            let page = self.storage.letters(after, PAGE_LETTERS).await?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (id, letter) in page.iter().filter(|(id, letter)| which.means(*id, letter)) {
                missing.retain(|missing| *missing != id.0);
                let stays = match self.notifier(&letter.consumer) {
                    Some(notifier) if retry => notifier.retry(*id, letter).await.err(),
                    Some(notifier) => notifier.forget(*id).await.err().map(LetterError::Storage),
                    None if retry => {
                        let why = "no such consumer is configured any more".to_owned();
                        Some(LetterError::NotTaken(crate::notify::NotTaken::Gone(why)))
                    }
                    None => self.storage.drop_letters(&[*id]).await.err().map(LetterError::Storage),
                };
                out.say(&DoneLine {
                    letter: id.0,
                    consumer: &letter.consumer,
                    scope: letter.scope.as_str(),
                    stays: stays.map(|error| error.to_string()),
                })
                .await?;
            }
        }
        match missing.first() {
            None => Ok(()),
            Some(unknown) => {
                Err(OperationError(LetterError::Unknown(LetterId(*unknown)).to_string()))
            }
        }
    }

    async fn resume(&self, consumer: Option<&str>, out: &Lines) -> Result<(), OperationError> {
        if let Some(name) = consumer
            && self.notifier(name).is_none()
        {
            let names: Vec<_> = self.notifiers.iter().map(Notifier::name).collect();
            return Err(OperationError(format!(
                "no consumer {name:?} is configured (there are: {})",
                names.join(", ")
            )));
        }
        for notifier in &*self.notifiers {
            if consumer.is_none_or(|consumer| consumer == notifier.name()) {
                notifier.resume().await;
                out.say(&ResumedLine { resumed: notifier.name() }).await?;
            }
        }
        Ok(())
    }

    fn notifier(&self, name: &str) -> Option<&Notifier> {
        self.notifiers.iter().find(|notifier| notifier.name() == name)
    }
}

impl Letters {
    fn means(&self, id: LetterId, letter: &DeadLetter) -> bool {
        let consumer = self.consumer.as_deref();
        consumer.is_none_or(|consumer| consumer == letter.consumer)
            && (self.letters.is_empty() || self.letters.contains(&id.0))
    }
}

/// How many letters are read at a time.
const PAGE_LETTERS: usize = 500;
/// How many scopes are listed at a time.
const PAGE_SCOPES: usize = 500;
