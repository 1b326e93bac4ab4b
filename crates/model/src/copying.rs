//! Copying objects out of a scope into values of their own, within bounds.

use jetstream_core::ids::ObjectId;

use crate::{Model, Object, ReadError};

/// A copy in progress.
///
/// A scope is a graph, and clients decide its shape; a value is a tree. An object with several holders is
/// copied for each of them, so a few objects could become endlessly many: the bounds here make that
/// an error.
#[derive(Debug, Default)]
pub struct Copying {
    /// The objects that are being copied, each held by the one before it.
    path: Vec<ObjectId>,
    copied: usize,
}

/// How deep a copy nests.
///
/// Each level is a few frames on the stack; no model that people write down by hand nests like this.
pub const COPY_DEPTH_MAX: usize = 128;

/// How many copies one copy makes for each object of the scope.
///
/// An object that has many holders, such as the author of messages, is copied for each of them.
pub const COPIES_PER_OBJECT_MAX: usize = 16;

impl Copying {
    /// Copies an object, and all that it holds.
    ///
    /// # Errors
    ///
    /// What the Rust type cannot hold, and what would be endless.
    pub fn read<M: Model>(&mut self, object: Object<'_>) -> Result<M, ReadError> {
        let id = object.id();
        if self.path.contains(&id) {
            return Err(object.copy_error("it holds itself, which a value cannot".to_owned()));
        }
        if self.path.len() == COPY_DEPTH_MAX {
            let message = format!("it lies deeper than a value may, which is {COPY_DEPTH_MAX}");
            return Err(object.copy_error(message));
        }
        if self.copied == COPIES_PER_OBJECT_MAX * object.scope_len() {
            let message = format!(
                "a value holds at most {COPIES_PER_OBJECT_MAX} copies for each object of the scope"
            );
            return Err(object.copy_error(message));
        }
        self.copied += 1;
        self.path.push(id);
        let value = M::read(object, self);
        self.path.pop();
        value
    }
}
