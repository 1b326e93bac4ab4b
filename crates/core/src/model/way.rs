//! Whether the root leads to something, asked from below.
//!
//! For those who do not see everything: the hanging of the graph leads over objects that they may not know of,
//! so it cannot say what is still there for them.

use std::collections::HashSet;
use std::hash::Hash;

use indexmap::IndexMap;

/// Goes up from `start` over its `holders` until it meets something that is `safe`. Then all on that way is
/// safe, too, and nothing comes back; if it never does, everything that it met is cut off, and comes back.
pub(crate) fn climb<T: Copy + Eq + Hash>(
    start: T,
    safe: &mut HashSet<T>,
    mut holders: impl FnMut(T) -> Vec<T>,
) -> Vec<T> {
    let mut came_from: IndexMap<T, Option<T>> = IndexMap::from([(start, None)]);
    let mut stack = vec![start];
    while let Some(at) = stack.pop() {
        if safe.contains(&at) {
            let mut step = Some(at);
            while let Some(on_the_way) = step {
                safe.insert(on_the_way);
                step = came_from.get(&on_the_way).copied().flatten();
            }
            return Vec::new();
        }
        for holder in holders(at) {
            if !came_from.contains_key(&holder) {
                came_from.insert(holder, Some(at));
                stack.push(holder);
            }
        }
    }
    came_from.into_keys().collect()
}
