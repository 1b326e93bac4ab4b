//! What a commit is to whom: fragments for the store and for 1.0 peers, others for the original's
//! clients, and the reply for the author.

use std::borrow::Cow;
use std::collections::HashSet;

use crate::ids::{ObjectId, SharedText};
use crate::model::{
    ChangeSet, Fragment, FragmentKind, Graph, PropertyId, Rejection, Schema, Value,
};
use crate::wire::encode;
use crate::wire::message::{Dialect, FragmentReply};

use super::pending::Amended;

/// An accepted fragment that says everything about itself.
pub(super) struct Completed<'a> {
    /// The fragment. An `add` names the defaults that its author left out, so that nobody else needs to
    /// have the same ones, today or when the log is read again.
    pub(super) fragment: Cow<'a, Fragment>,
    /// Its place in the ChangeSet.
    pub(super) place: usize,
    /// How many properties were left out.
    pub(super) left_out: usize,
}

impl Completed<'_> {
    /// Keeps defaults to ourselves that the author may not see.
    pub(super) fn hide(&mut self, hidden: &[PropertyId]) {
        if self.left_out == 0 || hidden.is_empty() {
            return;
        }
        let properties = &mut self.fragment.to_mut().properties;
        let named = properties.len() - self.left_out;
        // The author is told the last ones.
        properties[named..].sort_by_key(|(property, _)| !hidden.contains(property));
        let told = properties[named..].iter().filter(|(property, _)| !hidden.contains(property));
        self.left_out = told.count();
    }
}

/// The accepted fragments of a ChangeSet, completed.
pub(super) fn completed<'a>(
    schema: &Schema,
    changes: &'a ChangeSet,
    replies: &[Result<(), Rejection>],
) -> Vec<Completed<'a>> {
    let mut said = HashSet::new();
    if accepted(changes, replies).any(|(_, fragment)| fragment.kind == FragmentKind::Add) {
        said.extend(said_before_added(changes, replies));
    }
    accepted(changes, replies)
        .map(|(place, fragment)| {
            let defaults = left_out(schema, fragment, &said);
            let left_out = defaults.len();
            let mut fragment = Cow::Borrowed(fragment);
            if left_out > 0 {
                fragment.to_mut().properties.extend(defaults);
            }
            Completed { fragment, place, left_out }
        })
        .collect()
}

/// What fragments set of objects that are only added behind them. A default in the add would undo it.
fn said_before_added(
    changes: &ChangeSet,
    replies: &[Result<(), Rejection>],
) -> HashSet<(ObjectId, PropertyId)> {
    let mut added = HashSet::new();
    let mut said = HashSet::new();
    for (_, fragment) in accepted(changes, replies).rev() {
        if fragment.kind == FragmentKind::Add {
            added.insert(fragment.object);
        } else if added.contains(&fragment.object) {
            said.extend(fragment.properties.iter().map(|(id, _)| (fragment.object, *id)));
        }
    }
    said
}

/// The replies for the author, with the values that somebody put in place of its own. A 1.0 author is
/// also told the defaults that it left out.
pub(super) fn reply(
    schema: &Schema,
    author: Dialect,
    replies: &[Result<(), Rejection>],
    completed: &[Completed<'_>],
    amended: &Amended,
) -> SharedText {
    let mut entries: Vec<FragmentReply> = replies
        .iter()
        .map(|reply| FragmentReply { error: reply.as_ref().err().cloned(), modifications: None })
        .collect();
    for Completed { fragment, place, left_out } in completed {
        let amended = amended.get(place).map_or(&[][..], |properties| properties);
        let defaults = if author >= Dialect::V1 { *left_out } else { 0 };
        if amended.is_empty() && defaults == 0 {
            continue;
        }
        let model = schema.model(fragment.model);
        // Defaults stand at the end.
        let (sent, left_out) = fragment.properties.split_at(fragment.properties.len() - left_out);
        let told = sent.iter().filter(|(id, _)| amended.contains(id));
        let told = told.chain(&left_out[..defaults]);
        let named = told.map(|(id, value)| (&**model.property(*id).name(), value));
        entries[*place].modifications = Some(encode::properties(named));
    }
    encode::fragment_replies(&entries)
}

/// Says what moves did instead of calling them moves. An author who does not see all of an object's places
/// leaves only those that it sees; whoever sees all of them would take the object out of the others, too.
pub(super) fn spell_out_moves(
    graph: &Graph,
    fragments: &mut Vec<Fragment>,
    touched: &[(ObjectId, PropertyId)],
) {
    let mut moves = false;
    for fragment in fragments.iter_mut().filter(|f| f.kind == FragmentKind::MoveChange) {
        fragment.kind = FragmentKind::Change;
        moves = true;
    }
    if moves {
        fragments.extend(present(graph, touched));
    }
}

/// The present values of properties. A parent that has left the scope needs no mention.
fn present<'a>(
    graph: &'a Graph,
    places: &'a [(ObjectId, PropertyId)],
) -> impl Iterator<Item = Fragment> + 'a {
    places.iter().filter_map(|(id, property)| {
        let object = graph.object(*id)?;
        let fragment = Fragment::new(FragmentKind::Change, *id, object.model());
        Some(fragment.with(*property, object.value(*property)))
    })
}

/// What peers get that know only `add`, `change` and whole values: the fragments as they were sent,
/// and behind them the present value of every property that was changed in another way.
pub(super) fn for_originals(
    graph: &Graph,
    changes: &ChangeSet,
    replies: &[Result<(), Rejection>],
    touched: &[(ObjectId, PropertyId)],
) -> Vec<Fragment> {
    let mut fragments: Vec<Fragment> = Vec::new();
    for (_, fragment) in accepted(changes, replies) {
        // What was done in another way than by values stands at the end.
        let says_more =
            fragment.kind == FragmentKind::MoveChange || !fragment.collections.is_empty();
        let kind = match fragment.kind {
            FragmentKind::Remove => continue,
            FragmentKind::Change | FragmentKind::MoveChange => {
                if says_more && fragment.properties.is_empty() {
                    continue;
                }
                FragmentKind::Change
            }
            FragmentKind::Add => FragmentKind::Add,
        };
        let fragment = Fragment { kind, collections: Vec::new(), ..fragment.clone() };
        fragments.push(fragment);
    }
    fragments.extend(present(graph, touched));
    fragments
}

fn accepted<'a>(
    changes: &'a ChangeSet,
    replies: &[Result<(), Rejection>],
) -> impl DoubleEndedIterator<Item = (usize, &'a Fragment)> {
    let fragments = changes.fragments.iter().zip(replies).enumerate();
    fragments.filter_map(|(place, (fragment, reply))| match (fragment, reply) {
        (Ok(fragment), Ok(())) => Some((place, fragment)),
        _ => None,
    })
}

/// The defaults that an `add` does not name.
fn left_out(
    schema: &Schema,
    fragment: &Fragment,
    said: &HashSet<(ObjectId, PropertyId)>,
) -> Vec<(PropertyId, Value)> {
    if fragment.kind != FragmentKind::Add {
        return Vec::new();
    }
    let properties = schema.model(fragment.model).properties();
    let missing = properties.filter_map(|(id, property)| {
        let default = property.default()?;
        let named = fragment.properties.iter().any(|(named, _)| *named == id)
            || said.contains(&(fragment.object, id));
        (!named).then(|| (id, Value::Scalar(Some(default.clone()))))
    });
    missing.collect()
}
