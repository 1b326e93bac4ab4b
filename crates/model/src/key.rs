//! Which property a field stands for.

use jetstream_core::model::{Model, PropertyId};

/// A property by name, with the place that it has where the schema comes from `#[derive(Model)]`.
///
/// A scope may have its schema from a configuration file, in which the property stands elsewhere. So the
/// place is a guess that costs one comparison to check; only where it is wrong the name is looked up.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// The name on the wire.
    pub name: &'static str,
    /// The place in the model as derived, inherited properties counted.
    pub index: usize,
}

impl Key {
    /// The property in this model.
    ///
    /// # Panics
    ///
    /// If the model has no such property. Whoever hands out typed access compares the schemas first, but
    /// a program can ask for an object of a model that those do not mention.
    pub(crate) fn of(self, model: &Model) -> PropertyId {
        if let Some((id, property)) = model.properties().nth(self.index)
            && **property.name() == *self.name
        {
            return id;
        }
        match model.find(self.name) {
            Some((id, _)) => id,
            None => panic!(
                "no property {:?} on {:?} of the scope, which was not compared with the program's",
                self.name,
                model.name()
            ),
        }
    }
}
