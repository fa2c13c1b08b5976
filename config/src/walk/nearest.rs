//! Which known word a mistyped one was meant to be.

/// The candidate closest to the word, if one is close enough to be a slip of the hand.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let slips_max = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|candidate| (slips(&word.to_ascii_lowercase(), candidate), candidate))
        .filter(|(slips, _)| *slips <= slips_max)
        .min_by_key(|(slips, candidate)| (*slips, !word.starts_with(candidate) && !candidate.starts_with(word)))
        .map(|(_, candidate)| candidate)
}

/// How many letters were left out, put in, changed or swapped with their neighbour.
fn slips(from: &str, to: &str) -> usize {
    let (from, to): (Vec<char>, Vec<char>) = (from.chars().collect(), to.chars().collect());
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=to.len()).collect();
    for (row, a) in from.iter().enumerate() {
        let mut current = vec![row + 1];
        for (column, b) in to.iter().enumerate() {
            let changed = at(&last, column) + usize::from(a != b);
            let mut least = changed.min(at(&last, column + 1) + 1).min(at(&current, column) + 1);
            let (a_before, b_before) = (row.checked_sub(1), column.checked_sub(1));
            if let (Some(a_before), Some(b_before)) = (a_before, b_before)
                && from.get(a_before) == Some(b)
                && to.get(b_before) == Some(a)
            {
                least = least.min(at(&before_last, b_before) + 1);
            }
            current.push(least);
        }
        before_last = std::mem::replace(&mut last, current);
    }
    at(&last, to.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_of_the_hand_are_recognised_and_other_words_are_not() {
        let keys = ["roles", "rule", "host", "prefix", "upstreams", "response_timeout"];
        for (word, meant) in [
            ("hots", Some("host")),
            ("Host", Some("host")),
            ("upstream", Some("upstreams")),
            ("rules", Some("rule")),
            ("respons_timeuot", Some("response_timeout")),
            ("color", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(nearest(word, keys), meant, "{word}");
        }
    }

    #[test]
    fn slips_are_counted_as_people_make_them() {
        for (from, to, count) in [("", "", 0), ("abc", "abc", 0), ("abc", "acb", 1), ("abc", "ab", 1), ("", "abc", 3)] {
            assert_eq!(slips(from, to), count, "{from} {to}");
        }
    }
}
