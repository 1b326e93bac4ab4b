//! What a misspelled name was probably meant to be.

/// The candidate that `name` was probably meant to be, if one is close enough.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    // A third of the letters may be wrong.
    let letters = name.chars().count();
    let allowed = (letters / 3).max(1);
    let candidates: Vec<&str> = candidates.into_iter().collect();
    let misspelled = candidates
        .iter()
        .filter(|candidate| candidate.chars().count().abs_diff(letters) <= allowed)
        .map(|candidate| (distance(&lower, &candidate.to_lowercase()), *candidate))
        // Two names that have no letter in common are not close, however short.
        .filter(|(distance, candidate)| {
            *distance <= allowed && *distance < letters.max(candidate.chars().count())
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate);
    misspelled.or_else(|| only_completion(&lower, &candidates))
}

/// The one candidate that begins with `name`, if that is no accident.
fn only_completion<'a>(name: &str, candidates: &[&'a str]) -> Option<&'a str> {
    let begins = |candidate: &&&str| candidate.to_lowercase().starts_with(name);
    let mut completions = candidates.iter().filter(begins);
    let first = completions.next()?;
    (name.chars().count() >= BEGINNING_MIN && completions.next().is_none()).then_some(first)
}

/// How many letters have to be put in, taken out, replaced or swapped with their neighbour.
fn distance(from: &str, to: &str) -> usize {
    let from: Vec<char> = from.chars().take(NAME_MAX).collect();
    let to: Vec<char> = to.chars().take(NAME_MAX).collect();
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in to.iter().enumerate() {
            let mut best = (last[j] + usize::from(a != b)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *a == to[j - 1] && from[i - 1] == *b {
                best = best.min(before_last[j - 1] + 1);
            }
            row.push(best);
        }
        before_last = std::mem::replace(&mut last, row);
    }
    last[to.len()]
}

/// The fewest letters that say which name was begun.
const BEGINNING_MIN: usize = 3;

/// The longest part of a name that is compared with others, in characters.
const NAME_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_taken_for_its_neighbour_only_when_it_is_close() {
        let candidates = ["listen", "limits", "models", "members_max"];
        let cases = [
            ("lisen", Some("listen")),
            ("Listen", Some("listen")),
            ("lsiten", Some("listen")),
            ("limit", Some("limits")),
            ("members", Some("members_max")),
            ("li", None),
            ("member_max", Some("members_max")),
            ("zebra", None),
            ("l", None),
            ("", None),
        ];
        for (name, expected) in cases {
            assert_eq!(nearest(name, candidates), expected, "{name}");
        }
    }
}
