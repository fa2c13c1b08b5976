//! Numbers of lines, written short: `0-4,7,9-12`.

use std::fmt;
use std::ops::RangeInclusive;

/// Ascending numbers of lines, kept as ranges.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seqs(Vec<RangeInclusive<u64>>);

impl Seqs {
    /// Adds a number that is greater than all before; `false`, and nothing is added, where it is not.
    #[must_use]
    pub fn push(&mut self, seq: u64) -> bool {
        match self.0.last_mut() {
            Some(last) if *last.end() >= seq => false,
            Some(last) if last.end().checked_add(1) == Some(seq) => {
                *last = *last.start()..=seq;
                true
            }
            Some(_) | None => {
                self.0.push(seq..=seq);
                true
            }
        }
    }

    /// Reads what [`Seqs`] writes; nothing where it is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut seqs = Self::default();
        for part in text.split(',').filter(|_| !text.is_empty()) {
            let (start, end) = part.split_once('-').unwrap_or((part, part));
            let (start, end): (u64, u64) = (start.parse().ok()?, end.parse().ok()?);
            let follows = seqs.0.last().is_none_or(|last| last.end().checked_add(1).is_some_and(|next| next < start));
            if !follows || end < start {
                return None;
            }
            seqs.0.push(start..=end);
        }
        (seqs.to_string() == text).then_some(seqs)
    }

    /// How many.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().map(|range| (range.end() - range.start()).saturating_add(1)).fold(0, u64::saturating_add)
    }

    /// Each of them, ascending.
    pub fn iter(&self) -> impl Iterator<Item = u64> {
        self.0.iter().cloned().flatten()
    }

    /// The greatest.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|range| *range.end())
    }
}

impl fmt::Display for Seqs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, range) in self.0.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            if range.start() == range.end() {
                write!(f, "{comma}{}", range.start())?;
            } else {
                write!(f, "{comma}{}-{}", range.start(), range.end())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_have_one_spelling() {
        for wrong in ["-", "1,", ",1", "2,1", "1,1", "1,2", "3-2", "1-1", "01", "+1", "a", "1-2,3", "1 ,3", "1-2-3"] {
            assert_eq!(Seqs::parse(wrong), None, "{wrong}");
        }
        assert_eq!(Seqs::parse("").map(|seqs| seqs.count()), Some(0));
        assert_eq!(Seqs::parse("0-4,7").map(|seqs| seqs.count()), Some(6));
        assert_eq!(Seqs::parse(&format!("0-{}", u64::MAX)).map(|seqs| seqs.count()), Some(u64::MAX));
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(set in prop::collection::btree_set(0_u64..60, 0..40)) {
            let mut seqs = Seqs::default();
            for seq in &set {
                prop_assert!(seqs.push(*seq));
                prop_assert!(!seqs.clone().push(*seq));
            }
            prop_assert_eq!(seqs.iter().collect::<Vec<_>>(), set.into_iter().collect::<Vec<_>>());
            let back = Seqs::parse(&seqs.to_string());
            prop_assert_eq!(back, Some(seqs));
        }
    }
}
