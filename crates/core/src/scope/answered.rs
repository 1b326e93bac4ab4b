//! What authors were told about their ChangeSets, as long as it may not have reached them.

use std::collections::{BTreeMap, VecDeque};

use super::Answer;
use crate::ids::{MessageIndex, Origin, SessionId};
use crate::time::Timestamp;

/// The answers of one scope that their authors may still need.
///
/// A ChangeSet that comes again, because a crash took the answer with it, is recognised by them: it is
/// answered as it was, and not judged again. An answer is forgotten when its author says that it has it
/// or leaves for good, and, if there are too many, when it is the oldest.
///
/// The programs that ask the application never say that they have an answer. Theirs are kept for a day, as
/// long as there are not too many.
#[derive(Debug, Clone, Default)]
pub struct Answered {
    /// Each in ascending order of their messages.
    by_session: BTreeMap<SessionId, VecDeque<Answer>>,
    /// In the order in which they were given. Some may be forgotten already.
    order: VecDeque<Origin>,
    count: usize,
    /// Answers to requests, in the order in which they were given. Some may be forgotten already.
    requests: VecDeque<(Timestamp, Origin)>,
    /// What those take that are not forgotten, in bytes.
    request_bytes: usize,
}

impl Answered {
    /// Keeps an answer, and forgets what its author has.
    ///
    /// Answers to one author mostly come in the order of its messages. But a refusal that could not be
    /// stored leaves a gap, which another one fills when the message comes again after a crash.
    pub fn note(&mut self, answer: Answer) {
        let Origin { session, message } = answer.origin;
        if answer.origin.is_request() {
            return self.note_request(answer);
        }
        self.delivered(session, answer.delivered);
        let answers = self.by_session.entry(session).or_default();
        if let Err(place) = answers.binary_search_by_key(&message, |a| a.origin.message) {
            self.order.push_back(answer.origin);
            answers.insert(place, answer);
            self.count += 1;
        }
        self.keep_the_bound();
    }

    /// There is one answer to a key. What is too old when it comes has just been forgotten.
    fn note_request(&mut self, answer: Answer) {
        let (origin, time) = (answer.origin, answer.time);
        if self.get(origin).is_some() {
            return;
        }
        self.forget(origin.session);
        self.request_bytes += answer.reply.len();
        self.by_session.insert(origin.session, VecDeque::from([answer]));
        self.count += 1;
        self.order.push_back(origin);
        self.requests.push_back((time, origin));
        let since = time.0.saturating_sub(REQUEST_ANSWER_MS_MAX);
        while let Some((time, oldest)) = self.requests.front().copied()
            && oldest != origin
            && (self.requests.len() > REQUEST_ANSWERS_MAX
                || self.request_bytes > REQUEST_ANSWERS_BYTES_MAX
                || time.0 < since)
        {
            self.requests.pop_front();
            if self.get(oldest).is_some() {
                self.forget(oldest.session);
            }
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
        let Some(answers) = self.by_session.remove(&session) else { return };
        self.count -= answers.len();
        let requests = answers.iter().filter(|answer| answer.origin.is_request());
        self.request_bytes -= requests.map(|answer| answer.reply.len()).sum::<usize>();
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

    /// The newest message of each author that has an answer here.
    pub(super) fn newest(&self) -> BTreeMap<SessionId, MessageIndex> {
        let newest = |answers: &VecDeque<Answer>| answers.back().map(|last| last.origin.message);
        self.by_session.iter().filter_map(|(id, kept)| Some((*id, newest(kept)?))).collect()
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
            if !oldest.is_request() {
                // Nothing of this author is older.
                self.delivered(oldest.session, oldest.message);
            } else if self.get(oldest).is_some() {
                self.forget(oldest.session);
            }
        }
        if self.order.len() > 2 * self.count + FEW {
            let by_session = &self.by_session;
            self.order.retain(|origin| {
                let first = by_session.get(&origin.session).and_then(VecDeque::front);
                first.is_some_and(|first| match origin.is_request() {
                    true => first.origin == *origin,
                    false => first.origin.message <= origin.message,
                })
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

/// How long the answer to a request is kept, in milliseconds: a day, longer than a program goes on trying.
pub const REQUEST_ANSWER_MS_MAX: i64 = 24 * 60 * 60 * 1000;

/// How many answers to requests a scope keeps: some hours of a backend that changes it all the time.
pub const REQUEST_ANSWERS_MAX: usize = 4_096;

/// How much the answers to requests may take, in bytes, but for the newest: they stand in each snapshot.
pub const REQUEST_ANSWERS_BYTES_MAX: usize = 1 << 20;

/// So many forgotten answers are not worth looking for.
const FEW: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

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

    fn request(key: u64, content: u64, time: i64, reply: &str) -> Answer {
        let (origin, delivered) = (Origin::of_request(key, content), MessageIndex(0));
        Answer { origin, time: Timestamp(time), delivered, reply: reply.into() }
    }

    #[test]
    fn the_answer_to_a_request_is_kept_for_a_day_and_there_is_one_for_a_key() {
        let mut answered = Answered::default();
        answered.note(request(1, 7, 0, "first"));
        answered.note(request(1, 7, 5, "again"));
        answered.note(answer(1, 1, 0));
        answered.note(request(2, 7, REQUEST_ANSWER_MS_MAX, "second"));
        assert_eq!(kept(&answered), ["first", "1:1", "second"]);
        answered.note(request(1, 3, REQUEST_ANSWER_MS_MAX, "other"));
        assert_eq!(kept(&answered), ["1:1", "second", "other"]);
        answered.note(request(4, 7, REQUEST_ANSWER_MS_MAX + 1, "next day"));
        assert_eq!(kept(&answered), ["1:1", "second", "other", "next day"]);
        answered.note(request(5, 7, 2 * REQUEST_ANSWER_MS_MAX + 2, "much later"));
        assert_eq!(kept(&answered), ["1:1", "much later"]);
        assert_eq!((answered.len(), answered.request_bytes), (2, "much later".len()));
    }

    #[test]
    fn of_too_many_or_too_long_answers_to_requests_the_oldest_go() {
        let mut answered = Answered::default();
        answered.note(answer(9, 1, 0));
        for key in 0..REQUEST_ANSWERS_MAX as u64 + 10 {
            answered.note(request(key, 1, 0, "{}"));
        }
        assert_eq!(answered.len(), 1 + REQUEST_ANSWERS_MAX);
        assert!(answered.get(Origin::of_request(9, 1)).is_none());
        assert!(answered.get(Origin::of_request(10, 1)).is_some());
        answered.note(request(50_000, 1, 0, &"x".repeat(REQUEST_ANSWERS_BYTES_MAX - 4)));
        assert_eq!(answered.len(), 4, "two short ones beside the long one");
        answered.note(request(50_001, 1, 0, &"x".repeat(2 * REQUEST_ANSWERS_BYTES_MAX)));
        assert_eq!(answered.len(), 2, "the newest is kept however long it is");
        assert!(answered.order.len() <= 2 * answered.len() + FEW);
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
