//! The way back: the ChangeSet that makes a graph what it was.
//!
//! A revert is a change like any other, so that members are told of it, it stands in the log, and it can
//! be reverted itself. So nothing is put back behind the graph's back: two graphs are compared, and what
//! comes out is judged and applied as if somebody had sent it.

use super::graph::{Graph, Key, ObjectRef};
use super::sequence::Sequence;
use super::{ChangeSet, Fragment, FragmentKind, Lifetime, PropertyId, Value};
use crate::ids::ObjectId;

/// Why no ChangeSet leads back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// The root of a scope never changes.
    #[error("the root was {wanted} and is {present}")]
    Root {
        /// The root as it is.
        present: ObjectId,
        /// The root as it was.
        wanted: ObjectId,
    },
    /// An object left, and its uuid came back as an object of another model: within one ChangeSet a uuid
    /// is one object.
    #[error(
        "{object} was of the model {wanted:?} and is now another object, of the model {present:?}"
    )]
    Model {
        /// The uuid.
        object: ObjectId,
        /// The model as it is.
        present: String,
        /// The model as it was.
        wanted: String,
    },
}

/// The atomic ChangeSet that makes `present` what `wanted` is: values, references, collections in their
/// order, objects that came since gone, and objects that left since back under their uuids.
///
/// Objects that live no longer than their session are not history: those of `present` stay where they
/// are held by what stays, and those of `wanted` are passed over. Both graphs must have the same schema.
/// Empty if there is nothing to do.
///
/// # Errors
///
/// Where one ChangeSet cannot say it.
pub fn restore(present: &Graph, wanted: &Graph) -> Result<ChangeSet, RestoreError> {
    if present.root() != wanted.root() {
        return Err(RestoreError::Root { present: present.root(), wanted: wanted.root() });
    }
    let restoring = Restoring { present, lasting: lasting(wanted), wanted };
    let mut fragments = Vec::new();
    for key in &restoring.lasting.keys {
        fragments.extend(restoring.object(*key)?);
    }
    let passing = present.depth_first().filter(|object| is_passing(present, object.id()));
    fragments.extend(passing.filter_map(|object| restoring.passing(object)));
    Ok(ChangeSet::atomic(fragments))
}

/// The objects of a graph that the root reaches over objects that outlive their sessions.
struct Lasting {
    /// In depth-first order.
    keys: Vec<Key>,
    /// By key, whether it is one of them.
    reached: Vec<bool>,
}

fn lasting(graph: &Graph) -> Lasting {
    let slots = graph.depth_first().map(|object| object.key().0 as usize + 1).max().unwrap_or(0);
    let mut lasting = Lasting { keys: Vec::new(), reached: vec![false; slots] };
    let mut stack = vec![graph.root_key()];
    while let Some(key) = stack.pop() {
        if std::mem::replace(&mut lasting.reached[key.0 as usize], true) {
            continue;
        }
        lasting.keys.push(key);
        let children = stack.len();
        stack.extend(graph.children(key).filter(|child| !is_passing(graph, graph.at(*child).id)));
        stack[children..].reverse();
    }
    lasting
}

/// Whether an object lives no longer than a session. The root does, whatever its model says.
fn is_passing(graph: &Graph, id: ObjectId) -> bool {
    let of_session = |object: ObjectRef<'_>| {
        graph.schema().model(object.model()).lifetime() == Lifetime::Session
    };
    id != graph.root() && graph.object(id).is_some_and(of_session)
}

struct Restoring<'a> {
    present: &'a Graph,
    wanted: &'a Graph,
    lasting: Lasting,
}

impl Restoring<'_> {
    /// What has to happen to an object that is wanted.
    fn object(&self, key: Key) -> Result<Option<Fragment>, RestoreError> {
        let wanted = self.wanted.at(key);
        let wanted = self.wanted.object(wanted.id).expect("it was just looked up by its key");
        let model = self.wanted.schema().model(wanted.model());
        let Some(present) = self.present.object(wanted.id()) else {
            let mut fragment = Fragment::new(FragmentKind::Add, wanted.id(), wanted.model());
            for (property, _) in model.properties() {
                fragment.properties.push((property, self.wanted_value(wanted, property)));
            }
            return Ok(Some(fragment));
        };
        if present.model() != wanted.model() {
            let name = |object: ObjectRef<'_>| {
                object.graph().schema().model(object.model()).name().to_string()
            };
            let (object, present, wanted) = (wanted.id(), name(present), name(wanted));
            return Err(RestoreError::Model { object, present, wanted });
        }
        let mut fragment = Fragment::new(FragmentKind::Change, wanted.id(), wanted.model());
        for (property, _) in model.properties() {
            let is = present.value(property);
            let value = self.with_passing(&is, self.wanted_value(wanted, property));
            if value != is {
                fragment.properties.push((property, value));
            }
        }
        Ok((!fragment.properties.is_empty()).then_some(fragment))
    }

    /// What an object of the moment refers to has to be wanted, or of the moment itself: it must not
    /// keep alive what is to leave.
    fn passing(&self, object: ObjectRef<'_>) -> Option<Fragment> {
        let mut fragment = Fragment::new(FragmentKind::Change, object.id(), object.model());
        for (property, _) in self.present.schema().model(object.model()).properties() {
            let is = object.value(property);
            let value = only(&is, |id| self.is_wanted(id) || is_passing(self.present, id));
            if value != is {
                fragment.properties.push((property, value));
            }
        }
        (!fragment.properties.is_empty()).then_some(fragment)
    }

    fn wanted_value(&self, object: ObjectRef<'_>, property: PropertyId) -> Value {
        only(&object.value(property), |id| self.is_wanted(id))
    }

    fn is_wanted(&self, id: ObjectId) -> bool {
        self.wanted.key(id).is_some_and(|key| self.lasting.reached[key.0 as usize])
    }

    /// Puts the objects of the moment, which stand in `present`, into the value that is wanted: each
    /// behind the element that it stands behind now, as far as that stays.
    fn with_passing(&self, present: &Value, wanted: Value) -> Value {
        let stays = |id: &ObjectId| is_passing(self.present, *id);
        match (present, wanted) {
            (Value::Reference(Some(id)), Value::Reference(None)) if stays(id) => present.clone(),
            (Value::References(present), Value::References(wanted))
                if present.iter().any(stays) =>
            {
                let mut woven: Sequence<ObjectId> = wanted.iter().copied().collect();
                let mut neighbour = None;
                for id in present.iter() {
                    if stays(id) {
                        woven.insert_after(*id, neighbour);
                        neighbour = Some(*id);
                    } else if woven.contains(*id) {
                        neighbour = Some(*id);
                    }
                }
                Value::References(woven.iter().collect())
            }
            (_, wanted) => wanted,
        }
    }
}

/// A value without the references that `keep` does not want.
fn only(value: &Value, keep: impl Fn(ObjectId) -> bool) -> Value {
    match value {
        Value::Reference(Some(id)) if !keep(*id) => Value::Reference(None),
        Value::References(ids) => {
            Value::References(ids.iter().copied().filter(|id| keep(*id)).collect())
        }
        value => value.clone(),
    }
}
