//! Whole collections as edits: what somebody did to a collection, worked out from the list before and
//! the list after, and done again to the list as it is now.
//!
//! Peers that send whole collections say what the result is, not what they did. When others have changed
//! the collection meanwhile, taking the result literally would undo what they did.

use std::collections::{HashMap, HashSet};

use super::sequence::Sequence;
use crate::ids::ObjectId;

/// What leads from one list to another: the fewest insertions and removals, where an element that
/// changes its place is one of each.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    /// What is taken out.
    removed: Vec<ObjectId>,
    /// What is put in: places in the new list, ascending.
    inserted: Vec<usize>,
}

/// Does to `present` what somebody did to one of `bases` to make it `after`.
///
/// The base that explains `after` with the fewest edits is taken, but never one that leaves nothing to
/// explain; of several that explain it equally well the first, and then only what is missing from `after`
/// under all of them is taken out: an element too many can be taken out again, one too few is lost.
///
/// Everything that others put into `present` stays, and what they took out of it stays out. What is put
/// in stands behind the element that it stands behind in `after`, as far as that is still there. Nothing
/// is put in that `present` has already.
pub fn rebase<'a>(
    bases: impl IntoIterator<Item = &'a [ObjectId]>,
    after: &[ObjectId],
    present: &[ObjectId],
) -> Vec<ObjectId> {
    let mut explanations: Vec<(&[ObjectId], Difference)> = Vec::new();
    for base in bases {
        let difference = difference(base, after);
        let edits = difference.edits();
        let fewest = explanations.first().map_or(usize::MAX, |(_, best)| best.edits());
        if edits > 0 && edits < fewest {
            explanations = vec![(base, difference)];
        } else if edits > 0 && edits == fewest {
            explanations.push((base, difference));
        }
    }
    let mut explanations = explanations.into_iter();
    let Some((base, difference)) = explanations.next() else { return present.to_vec() };
    if base == present && explanations.len() == 0 {
        return after.to_vec();
    }
    let mut removed = difference.removed;
    for (_, other) in explanations {
        let other: HashSet<ObjectId> = other.removed.into_iter().collect();
        removed.retain(|id| other.contains(id));
    }
    let mut result: Sequence<ObjectId> = present.iter().copied().collect();
    for removed in removed {
        result.remove_first(removed);
    }
    for place in difference.inserted {
        if result.contains(after[place]) {
            continue;
        }
        let neighbour = after[..place].iter().rev().find(|other| result.contains(**other));
        result.insert_after(after[place], neighbour.copied());
    }
    result.iter().collect()
}

impl Difference {
    fn edits(&self) -> usize {
        self.removed.len() + self.inserted.len()
    }
}

fn difference(before: &[ObjectId], after: &[ObjectId]) -> Difference {
    let start = before.iter().zip(after).take_while(|(a, b)| a == b).count();
    let (before, rest) = (&before[start..], &after[start..]);
    let end = before.iter().rev().zip(rest.iter().rev()).take_while(|(a, b)| a == b).count();
    let (before, rest) = (&before[..before.len() - end], &rest[..rest.len() - end]);

    let mut places: HashMap<ObjectId, Vec<usize>> = HashMap::new();
    for (place, id) in before.iter().enumerate().rev() {
        places.entry(*id).or_default().push(place);
    }
    // For each element of the new list its place in the old one, the first that is not taken yet.
    let from: Vec<Option<usize>> =
        rest.iter().map(|id| places.get_mut(id).and_then(Vec::pop)).collect();
    let staying = longest_ascending(&from);
    let mut stays = vec![false; before.len()];
    for place in staying.iter().filter_map(|new| from[*new]) {
        stays[place] = true;
    }
    let removed = before.iter().zip(stays).filter(|(_, stays)| !stays).map(|(id, _)| *id);
    let mut kept = staying.into_iter().peekable();
    let inserted = (0..rest.len()).filter(|new| kept.next_if_eq(new).is_none());
    Difference { removed: removed.collect(), inserted: inserted.map(|new| new + start).collect() }
}

/// The places of a longest ascending subsequence, by patience sorting (Fredman, "On computing the length
/// of longest increasing subsequences", 1975).
fn longest_ascending(values: &[Option<usize>]) -> Vec<usize> {
    // For each length, the place of the smallest value that ends such a subsequence.
    let mut ends: Vec<usize> = Vec::new();
    let mut previous: Vec<Option<usize>> = vec![None; values.len()];
    for (place, value) in values.iter().enumerate() {
        if value.is_none() {
            continue;
        }
        let length = ends.partition_point(|end| values[*end] < *value);
        previous[place] = length.checked_sub(1).map(|shorter| ends[shorter]);
        if length == ends.len() {
            ends.push(place);
        } else {
            ends[length] = place;
        }
    }
    let mut result: Vec<usize> =
        std::iter::successors(ends.last().copied(), |place| previous[*place]).collect();
    result.reverse();
    result
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ids(text: &str) -> Vec<ObjectId> {
        text.bytes().map(|byte| ObjectId::from_uuid(uuid::Uuid::from_u128(byte.into()))).collect()
    }

    fn text(ids: &[ObjectId]) -> String {
        ids.iter().map(|id| id.as_uuid().as_u128() as u8 as char).collect()
    }

    #[test]
    fn what_was_done_is_done_again_to_what_is_there_now() {
        let cases = [
            // before, after, present, result
            ("ab", "abx", "ab", "abx"),
            ("a", "ax", "ay", "axy"),
            ("abc", "ac", "abcd", "acd"),
            ("abc", "acx", "bc", "cx"),
            ("abc", "cab", "abcx", "cabx"),
            ("abc", "bca", "ac", "ca"),
            ("", "x", "ab", "xab"),
            ("ab", "", "abc", "c"),
            ("ab", "axb", "axb", "axb"),
            ("ab", "abx", "ba", "bxa"),
        ];
        for (before, after, present, result) in cases {
            let rebased = rebase([&ids(before)[..]], &ids(after), &ids(present));
            assert_eq!(text(&rebased), result, "{before} -> {after} on {present}");
        }
    }

    #[test]
    fn the_base_that_explains_most_is_taken() {
        let cases: [(&[&str], &str, &str, &str); 6] = [
            // bases, latest first; after; present; result
            (&["ay", "a"], "ax", "ay", "axy"),
            (&["ay", "a"], "ayx", "ayz", "ayxz"),
            // Nobody sends what it has: `y` was taken out.
            (&["ay", "a"], "a", "ay", "a"),
            (&["a"], "a", "ay", "ay"),
            // Either `b` was taken out or `c`; better neither than the wrong one.
            (&["b", "c"], "", "bc", "bc"),
            (&["ab", "ac"], "", "abc", "bc"),
        ];
        for (bases, after, present, result) in cases {
            let bases: Vec<Vec<ObjectId>> = bases.iter().map(|base| ids(base)).collect();
            let rebased = rebase(bases.iter().map(Vec::as_slice), &ids(after), &ids(present));
            assert_eq!(text(&rebased), result, "{after} on {present}");
        }
    }

    #[test]
    fn edits_are_insertions_and_removals() {
        for (before, after, expected) in [
            ("abc", "abc", 0),
            ("abc", "abcx", 1),
            ("abc", "ac", 1),
            ("abc", "bca", 2),
            ("aa", "a", 1),
        ] {
            assert_eq!(
                difference(&ids(before), &ids(after)).edits(),
                expected,
                "{before} -> {after}"
            );
        }
    }

    proptest! {
        #[test]
        fn edits_lead_from_the_one_to_the_other(before in "[a-h]{0,12}", after in "[a-h]{0,12}") {
            let (before, after) = (ids(&before), ids(&after));
            let difference = difference(&before, &after);
            prop_assert!(difference.removed.iter().all(|removed| before.contains(removed)));
            // What stays is the same in both, in the same order.
            let mut stays = after.clone();
            for place in difference.inserted.iter().rev() {
                stays.remove(*place);
            }
            let mut rest = before.iter();
            prop_assert!(stays.iter().all(|id| rest.any(|other| other == id)));
            prop_assert_eq!(stays.len() + difference.removed.len(), before.len());
            prop_assert_eq!(rebase([&before[..]], &after, &before), after);
        }

        #[test]
        fn nothing_that_others_added_is_lost(
            before in "[a-d]{0,6}", after in "[a-h]{0,8}", others in "[p-t]{0,4}", at in 0usize..6,
        ) {
            let mut present = ids(&before);
            let at = at.min(present.len());
            present.splice(at..at, ids(&others));
            let (base, after) = (ids(&before), ids(&after));
            let result = rebase([&base[..]], &after, &present);
            for id in ids(&others).iter().chain(if base == after { &[] } else { &after[..] }) {
                prop_assert!(result.contains(id));
            }
        }
    }
}
