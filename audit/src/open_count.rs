//! From which segment on accesses are still open, so that recovery knows how far back to read.

use std::collections::BTreeMap;

use crate::bundle::{Kind, Opened};
use crate::held::Count;

/// How many accesses that were opened in each segment are not closed.
#[derive(Debug, Default)]
pub(crate) struct OpenCount {
    current: u64,
    older: BTreeMap<u64, u64>,
    /// The segment into which the first spooled opening was merged that may still be open.
    merged: Option<u64>,
    /// Accesses whose opening went to the spool and that are open.
    spooled: Count,
}

impl OpenCount {
    pub(crate) fn new(spooled: Count) -> Self {
        Self { spooled, ..Self::default() }
    }

    /// Counts a line that was written to segment `now`.
    pub(crate) fn written(&mut self, kind: &Kind, now: u64) {
        match kind {
            Kind::Opening => self.current += 1,
            Kind::Closing(closing) => match &closing.opened {
                // A round that has no place yet is the one being written.
                Opened::In(round) => self.closed(round.place().map_or(now, |place| place.segment), now),
                Opened::Spooled { .. } => {}
            },
            Kind::Fact => {}
        }
    }

    fn closed(&mut self, opened_in: u64, now: u64) {
        if opened_in == now {
            self.current = self.current.saturating_sub(1);
        } else if let Some(count) = self.older.get_mut(&opened_in) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.older.remove(&opened_in);
            }
        }
    }

    /// Notes that lines of the spool are merged into segment `now`.
    pub(crate) fn merging(&mut self, now: u64) {
        self.merged.get_or_insert(now);
    }

    /// Goes on from segment `old` to the next.
    pub(crate) fn rotate(&mut self, old: u64) {
        if self.current > 0 {
            self.older.insert(old, self.current);
        }
        self.current = 0;
        if self.spooled.held() == 0 {
            self.merged = None;
        }
    }

    /// The first segment in which an access was opened that is open still; `now` where there is none.
    pub(crate) fn since(&self, now: u64) -> u64 {
        let oldest = self.older.keys().next().copied().unwrap_or(now);
        oldest.min(self.merged.unwrap_or(now)).min(now)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::bundle::Closing;
    use crate::round::{Place, Round};

    fn closing_of(segment: Option<u64>) -> Kind {
        let round = Arc::new(Round::default());
        if let Some(segment) = segment {
            round.finish(Ok(Place { segment, end: 0 }));
        }
        Kind::Closing(Closing { opened: Opened::In(round), _slot: Count::default().take(1).unwrap() })
    }

    #[test]
    fn it_remembers_the_oldest_segment_with_an_open_access() {
        let mut open = OpenCount::default();
        open.written(&Kind::Opening, 0);
        open.written(&Kind::Opening, 0);
        open.rotate(0);
        open.written(&Kind::Opening, 50);
        open.rotate(50);
        assert_eq!(open.since(90), 0);
        open.written(&closing_of(Some(0)), 90);
        assert_eq!(open.since(90), 0);
        open.written(&closing_of(Some(0)), 90);
        assert_eq!(open.since(90), 50);
        open.written(&closing_of(Some(50)), 90);
        assert_eq!(open.since(90), 90);
    }

    #[test]
    fn an_access_that_is_closed_in_the_batch_it_was_opened_in_leaves_nothing() {
        let mut open = OpenCount::default();
        open.written(&Kind::Opening, 0);
        open.written(&closing_of(None), 0);
        open.rotate(0);
        assert_eq!(open.since(10), 10);
    }

    #[test]
    fn merged_openings_count_until_all_spooled_accesses_are_closed() {
        let spooled = Count::default();
        let held = spooled.take(9).unwrap();
        let mut open = OpenCount::new(spooled);
        open.merging(20);
        open.rotate(20);
        assert_eq!(open.since(30), 20);
        drop(held);
        open.rotate(30);
        assert_eq!(open.since(40), 40);
    }
}
