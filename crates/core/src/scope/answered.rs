//! What authors were told about their ChangeSets, as long as it may not have reached them.

use std::collections::{BTreeMap, VecDeque};

use super::Answer;
use crate::ids::{MessageIndex, Origin, SessionId};

/// The answers of one scope that their authors may still need.
///
/// A ChangeSet that comes again, because a crash took the answer with it, is recognised by them: it is
/// answered as it was, and not judged again. An answer is forgotten when its author says that it has it
/// or leaves for good, and, if there are too many, when it is the oldest.
#[derive(Debug, Clone, Default)]
pub struct Answered {
    /// Each in ascending order of their messages.
    by_session: BTreeMap<SessionId, VecDeque<Answer>>,
    /// In the order in which they were given. Some may be forgotten already.
    order: VecDeque<Origin>,
    count: usize,
}

impl Answered {
    /// Keeps an answer, and forgets what its author has.
    ///
    /// Answers to one author mostly come in the order of its messages. But one that could not be stored
    /// leaves a gap, which the message fills when it comes again after a crash.
    pub fn note(&mut self, answer: Answer) {
        let Origin { session, message } = answer.origin;
        self.delivered(session, answer.delivered);
        let answers = self.by_session.entry(session).or_default();
        if let Err(place) = answers.binary_search_by_key(&message, |a| a.origin.message) {
            self.order.push_back(answer.origin);
            answers.insert(place, answer);
            self.count += 1;
        }
        self.keep_the_bound();
    }

    /// An author has its answers up to this message.
    pub fn delivered(&mut self, session: SessionId, message: MessageIndex) {
        let Some(answers) = self.by_session.get_mut(&session) else { return };
        while answers.front().is_some_and(|answer| answer.origin.message <= message) {
            answers.pop_front();
            self.count -= 1;
        }
        if answers.is_empty() {
            self.by_session.remove(&session);
        }
    }

    /// An author needs no answers any more.
    pub fn forget(&mut self, session: SessionId) {
        if let Some(answers) = self.by_session.remove(&session) {
            self.count -= answers.len();
        }
    }

    /// The answer to this message, if it is kept.
    pub fn get(&self, origin: Origin) -> Option<&Answer> {
        let answers = self.by_session.get(&origin.session)?;
        let place = answers.binary_search_by_key(&origin.message, |a| a.origin.message).ok()?;
        answers.get(place)
    }

    /// What is kept for an author, in the order of its messages.
    pub fn of(&self, session: SessionId) -> impl Iterator<Item = &Answer> {
        self.by_session.get(&session).into_iter().flatten()
    }

    /// All that is kept, in the order in which it was given.
    pub fn iter(&self) -> impl Iterator<Item = &Answer> {
        self.order.iter().filter_map(|origin| self.get(*origin))
    }

    /// How many are kept.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether none is kept.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn keep_the_bound(&mut self) {
        while self.count > ANSWERS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            // Nothing of this author is older.
            self.delivered(oldest.session, oldest.message);
        }
        if self.order.len() > 2 * self.count + FEW {
            let by_session = &self.by_session;
            self.order.retain(|origin| {
                let first = by_session.get(&origin.session).and_then(VecDeque::front);
                first.is_some_and(|first| first.origin.message <= origin.message)
            });
        }
    }
}

impl FromIterator<Answer> for Answered {
    fn from_iter<T: IntoIterator<Item = Answer>>(answers: T) -> Self {
        let mut answered = Self::default();
        answers.into_iter().for_each(|answer| answered.note(answer));
        answered
    }
}

/// How many answers a scope keeps.
///
/// What authors are waiting for at a time is far less; the rest belongs to sessions that ended with a
/// crash and will never ask.
const ANSWERS_MAX: usize = 65_536;

/// So many forgotten answers are not worth looking for.
const FEW: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    fn answer(session: u64, message: u64, delivered: u64) -> Answer {
        Answer {
            origin: Origin { session: SessionId(session), message: MessageIndex(message) },
            time: Timestamp(0),
            delivered: MessageIndex(delivered),
            reply: format!("{session}:{message}").as_str().into(),
        }
    }

    fn kept(answered: &Answered) -> Vec<String> {
        answered.iter().map(|answer| answer.reply.to_string()).collect()
    }

    #[test]
    fn an_answer_is_kept_until_its_author_has_it() {
        let mut answered: Answered =
            [answer(1, 1, 0), answer(2, 1, 0), answer(1, 2, 0)].into_iter().collect();
        assert_eq!(kept(&answered), ["1:1", "2:1", "1:2"]);
        answered.note(answer(1, 5, 1));
        assert_eq!(kept(&answered), ["2:1", "1:2", "1:5"]);
        assert_eq!(answered.of(SessionId(1)).count(), 2);
        answered.note(answer(1, 4, 0));
        assert_eq!(kept(&answered), ["2:1", "1:2", "1:5", "1:4"], "it came late");
        let messages = answered.of(SessionId(1)).map(|answer| answer.origin.message.0);
        assert_eq!(messages.collect::<Vec<_>>(), [2, 4, 5]);
        answered.forget(SessionId(1));
        assert_eq!((kept(&answered), answered.len()), (vec!["2:1".to_owned()], 1));
    }

    #[test]
    fn of_too_many_answers_the_oldest_go() {
        let mut answered = Answered::default();
        for message in 1..=ANSWERS_MAX as u64 + 10 {
            answered.note(answer(message % 3, message, 0));
        }
        assert_eq!(answered.len(), ANSWERS_MAX);
        assert!(answered.get(answer(1, 10, 0).origin).is_none());
        assert!(answered.get(answer(2, 11, 0).origin).is_some());
    }

    #[test]
    fn what_is_forgotten_takes_no_room() {
        let mut answered = Answered::default();
        for message in 1..10_000 {
            answered.note(answer(1, message, message - 1));
        }
        assert_eq!(answered.len(), 1);
        assert!(answered.order.len() <= FEW + 3, "{}", answered.order.len());
    }
}
