//! The latest messages of a session, kept only while somebody watches them.
//!
//! A session that nobody watches has no recorder. One that is watched has it until nobody has asked for
//! a while; then the next frame lets go of it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use jetstream_core::time::{Millis, Now, Timestamp};
use tokio::sync::Notify;

/// Which way a frame went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The client sent it.
    FromClient,
    /// The client was sent it.
    ToClient,
}

/// A frame as it went over the wire, cut off where it is very long.
#[derive(Clone)]
pub struct Recorded {
    /// Counts from 1 since somebody began to watch.
    pub number: u64,
    /// When it came or went.
    pub at: Timestamp,
    /// Which way it went.
    pub way: Way,
    /// What it says, as far as it was kept.
    pub text: Arc<str>,
    /// How long the whole frame was.
    pub bytes: usize,
}

/// Shows no text: it has values in it.
impl fmt::Debug for Recorded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, way, bytes, .. } = self;
        write!(f, "frame {number} {way:?}, {bytes} bytes")
    }
}

/// The latest frames of one session.
pub(super) struct Recorder {
    frames: VecDeque<Recorded>,
    bytes: usize,
    count: u64,
    /// Past this nobody watches any more, unless somebody asks before.
    until: Millis,
    news: Arc<Notify>,
}

impl Recorder {
    pub(super) fn new(now: Now) -> Self {
        let until = now.mono.plus(WATCH_MS);
        Self { frames: VecDeque::new(), bytes: 0, count: 0, until, news: Arc::default() }
    }

    /// Somebody asks: what came after `number`, and what will be told when there is more.
    pub(super) fn ask(&mut self, now: Now, number: u64) -> (Vec<Recorded>, Arc<Notify>) {
        self.until = now.mono.plus(WATCH_MS);
        let newer = self.frames.iter().filter(|frame| frame.number > number);
        (newer.cloned().collect(), self.news.clone())
    }

    pub(super) fn is_watched(&self, now: Now) -> bool {
        now.mono < self.until
    }

    pub(super) fn note(&mut self, now: Now, way: Way, text: &str) {
        let end = (0..=text.len().min(FRAME_BYTES_MAX)).rev().find(|at| text.is_char_boundary(*at));
        let kept: Arc<str> = text[..end.unwrap_or_default()].into();
        self.count += 1;
        self.bytes += kept.len();
        let (number, at, bytes) = (self.count, now.wall, text.len());
        self.frames.push_back(Recorded { number, at, way, text: kept, bytes });
        while self.frames.len() > FRAMES_MAX || self.bytes > BYTES_MAX {
            let oldest =
                self.frames.pop_front().expect("there are frames, or it would not be too much");
            self.bytes -= oldest.text.len();
        }
        self.news.notify_waiters();
    }
}

/// How long a session is recorded after somebody has asked: twice as long as a question waits.
const WATCH_MS: u64 = 20_000;

/// What is kept of one frame: enough to recognise it, and no state of a large scope.
const FRAME_BYTES_MAX: usize = 16 << 10;

/// More than fits on a screen.
const FRAMES_MAX: usize = 500;
const BYTES_MAX: usize = 512 << 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: u64) -> Now {
        Now { mono: Millis(milliseconds), wall: Timestamp(0) }
    }

    #[test]
    fn only_the_latest_frames_are_kept_within_their_bounds() {
        let mut recorder = Recorder::new(at(0));
        for _ in 0..FRAMES_MAX + 10 {
            recorder.note(at(0), Way::FromClient, "[]");
        }
        let (frames, _) = recorder.ask(at(0), 0);
        assert_eq!((frames.len(), frames[0].number), (FRAMES_MAX, 11));
        for _ in 0..100 {
            recorder.note(at(0), Way::ToClient, &"é".repeat(FRAME_BYTES_MAX));
            assert!(recorder.bytes <= BYTES_MAX);
        }
        let (frames, _) = recorder.ask(at(0), 609);
        assert_eq!(frames.len(), 1);
        assert_eq!((frames[0].text.len(), frames[0].bytes), (FRAME_BYTES_MAX, 2 * FRAME_BYTES_MAX));
    }

    #[test]
    fn who_asks_is_told_only_what_is_new_and_watches_on() {
        let mut recorder = Recorder::new(at(0));
        recorder.note(at(0), Way::FromClient, "one");
        recorder.note(at(0), Way::ToClient, "two");
        let (frames, _) = recorder.ask(at(WATCH_MS - 1), 1);
        assert_eq!((&*frames[0].text, frames.len()), ("two", 1));
        assert!(recorder.is_watched(at(2 * WATCH_MS - 2)));
        assert!(!recorder.is_watched(at(2 * WATCH_MS)));
    }
}
