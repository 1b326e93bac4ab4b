//! The client that changes things.

use crate::crowd::Crowd;
use crate::speech::{self, Changes, Dialect};

/// A member of a crowd that writes.
#[derive(Debug)]
pub struct Writer {
    connection: usize,
    /// The shapes of the collection, in order, as far as this writer knows.
    shapes: Vec<usize>,
    /// How many shapes there have been.
    made: usize,
    sent: usize,
    index: u64,
}

/// What a writer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Sets three properties of a shape.
    Change,
    /// Adds a shape at the end.
    Add,
    /// Takes the last shape out.
    Remove,
}

impl Writer {
    /// A writer over a connection that has joined a scope of so many shapes.
    pub fn new(connection: usize, objects: usize) -> Self {
        // Creating the session was 0, fetching the scope 1.
        let (shapes, sent, index) = ((0..objects).collect(), 0, 1);
        Self { connection, shapes, made: objects, sent, index }
    }

    /// How many changes were sent.
    pub fn sent(&self) -> usize {
        self.sent
    }

    /// Sends a change of the next shape. False: no more are prepared.
    pub fn change(&mut self, crowd: &mut Crowd) -> bool {
        let number = self.sent;
        let speech = crowd.connections[self.connection].speech.clone();
        match &speech.changes {
            Changes::Jetstream(_) => return self.act(crowd, Act::Change),
            Changes::Prepared(frames) => {
                let Some(frame) = frames.get(number) else { return false };
                crowd.send_change(self.connection, number, frame);
            }
        }
        self.sent += 1;
        true
    }

    /// Does something in Jetstream's own words.
    pub fn act(&mut self, crowd: &mut Crowd, act: Act) -> bool {
        let Changes::Jetstream(dialect) = crowd.connections[self.connection].speech.changes else {
            return false;
        };
        self.index += 1;
        let text = self.text(dialect, act);
        crowd.send_change(self.connection, self.sent, text.as_bytes());
        self.sent += 1;
        true
    }

    /// Adds many shapes in one message of 1.0; each counts as a change of its own.
    pub fn add_many(&mut self, crowd: &mut Crowd, count: usize) {
        self.index += 1;
        let (first, numbers) = (self.made, self.sent..self.sent + count);
        let text = speech::add_many(self.index, self.shapes.last(), first, numbers.clone());
        crowd.send_changes(self.connection, numbers, text.as_bytes());
        self.shapes.extend(first..first + count);
        self.made += count;
        self.sent += count;
    }

    /// Changes the root of the scope, which may have no shapes.
    pub fn rename(&mut self, crowd: &mut Crowd, number: usize) {
        self.index += 1;
        let root = crowd.connections[self.connection].root.clone().unwrap_or_default();
        let text = speech::rename(self.index, &root, number);
        crowd.send_change(self.connection, number, text.as_bytes());
        self.sent += 1;
    }

    fn text(&mut self, dialect: Dialect, act: Act) -> String {
        let (index, number) = (self.index, self.sent);
        match act {
            Act::Change => {
                let shape = self.shapes[number % self.shapes.len()];
                speech::change(index, shape, number)
            }
            Act::Add => {
                let new = self.made;
                self.made += 1;
                let text = speech::add(index, dialect, &self.shapes, new, number);
                self.shapes.push(new);
                text
            }
            Act::Remove => {
                let gone = self.shapes.pop().expect("no more are removed than there are");
                speech::remove(index, dialect, &self.shapes, gone, number)
            }
        }
    }
}
