//! How rows are numbered: what belongs to one scope stands together.
//!
//! The number of a row is its scope and its position in one. So the rows of a scope are neighbours in the file,
//! no index is needed to find them, what one scope writes touches its own pages, and damage on a page is the
//! matter of the few scopes whose rows are on it.

use jetstream_core::ids::Position;

use super::trouble::Trouble;

/// Where the rows of a scope begin.
pub(super) const fn first(scope: i64) -> i64 {
    scope << POSITION_BITS
}

/// Where those of the next one begin.
pub(super) const fn end(scope: i64) -> i64 {
    first(scope).saturating_add(POSITIONS)
}

/// The row of a scope at a position; the end for one that no row has.
pub(super) fn row(scope: i64, position: Position) -> i64 {
    let position = i64::try_from(position.0).unwrap_or(POSITIONS);
    first(scope).saturating_add(position.min(POSITIONS))
}

/// The position of a row.
pub(super) const fn position(row: i64) -> Position {
    Position((row & (POSITIONS - 1)) as u64)
}

/// The rows of the parts of a snapshot.
pub(super) const fn parts(serial: i64) -> std::ops::Range<i64> {
    let first = serial << PART_BITS;
    first..first.saturating_add(1 << PART_BITS)
}

/// A number for a new scope. Numbers are drawn by chance, so that a page where no row can be added is not in
/// the way of every scope that is yet to come.
pub(super) fn draw_scope() -> Result<i64, Trouble> {
    draw(SCOPE_BITS)
}

/// A number for a new snapshot. That another one has it is so rare that it may fail.
pub(super) fn draw_snapshot() -> Result<i64, Trouble> {
    draw(63 - PART_BITS)
}

fn draw(bits: u32) -> Result<i64, Trouble> {
    let random = getrandom::u64().map_err(|error| Trouble::Disk(error.to_string()))?;
    // 0 is nobody's, so that it can stand for what is not there; and behind the last there is no end.
    Ok(((random >> (64 - bits)) as i64).clamp(1, (1 << bits) - 2))
}

/// 68 thousand million entries for each scope: two years of a thousand a second.
const POSITION_BITS: u32 = 36;
pub(super) const POSITIONS: i64 = 1 << POSITION_BITS;

/// The rest: 134 million scopes.
const SCOPE_BITS: u32 = 63 - POSITION_BITS;

/// 65,536 parts of a quarter of a megabyte.
const PART_BITS: u32 = 16;
pub(super) const PARTS_MAX: usize = 1 << PART_BITS;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_scopes_do_not_meet_and_give_their_positions_back() {
        for scope in [1, 2, (1 << SCOPE_BITS) - 2] {
            for at in [0, 1, 77, POSITIONS as u64 - 1] {
                let row = row(scope, Position(at));
                assert!((first(scope)..end(scope)).contains(&row), "{scope} {at}");
                assert_eq!(position(row), Position(at));
            }
            assert_eq!(row(scope, Position(u64::MAX)), end(scope));
        }
        assert_eq!(end(1), first(2));
        assert_eq!(parts(1).end, parts(2).start);
    }

    #[test]
    fn numbers_that_are_drawn_are_within_their_bits() {
        for _ in 0..100 {
            assert!((1..1 << SCOPE_BITS).contains(&draw_scope().unwrap()));
            assert!((1..1 << (63 - PART_BITS)).contains(&draw_snapshot().unwrap()));
        }
    }
}
