//! What everybody writes on.

use jetstream_client::{Model, TypedScope};

#[derive(Model)]
pub(crate) struct Mark {
    pub(crate) author: String,
    pub(crate) number: f64,
}

#[derive(Model)]
pub(crate) struct Tally {
    pub(crate) author: String,
    pub(crate) count: f64,
}

#[derive(Model)]
pub(crate) struct Board {
    pub(crate) title: String,
    pub(crate) marks: Vec<Mark>,
    pub(crate) tallies: Vec<Tally>,
}

/// All of a board, to be compared.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct View {
    title: String,
    /// By whom, which one, and under what name.
    marks: Vec<(String, u64, String)>,
    tallies: Vec<(String, u64, String)>,
}

impl View {
    pub(crate) fn of(board: &TypedScope<Board>) -> Self {
        board.read(|board| {
            let marks = board.marks().iter().map(|mark| {
                (mark.author().to_owned(), mark.number() as u64, mark.id().to_string())
            });
            let tallies = board.tallies().iter().map(|tally| {
                (tally.author().to_owned(), tally.count() as u64, tally.id().to_string())
            });
            Self {
                title: board.title().to_owned(),
                marks: marks.collect(),
                tallies: tallies.collect(),
            }
        })
    }

    /// The numbers of an author's marks as they stand on the board.
    pub(crate) fn marks(&self, author: &str) -> Vec<u64> {
        let own = self.marks.iter().filter(|(by, ..)| by == author);
        own.map(|(_, number, _)| *number).collect()
    }

    /// What an author's tally says; nothing, or too much, is no number.
    pub(crate) fn tally(&self, author: &str) -> Option<u64> {
        let mut own = self.tallies.iter().filter(|(by, ..)| by == author);
        match (own.next(), own.next()) {
            (Some((_, count, _)), None) => Some(*count),
            _ => None,
        }
    }

    pub(crate) fn title(&self) -> &str {
        &self.title
    }

    /// Where two views first differ, in words.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        if self == other {
            return None;
        }
        let marks = self.marks.iter().zip(&other.marks).find(|(a, b)| a != b);
        Some(format!(
            "{} and {} marks, {} and {} tallies; the first that differ: {marks:?}",
            self.marks.len(),
            other.marks.len(),
            self.tallies.len(),
            other.tallies.len()
        ))
    }
}
