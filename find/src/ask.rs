//! The page of stories that a question asks for.

use crate::fields::Column;
use crate::leaf::Leaf;
use crate::sieve::Sieve;
use crate::{Answer, Deadline, FindProblem, FoundAt, Order, Place, Question};

/// So many more than the page holds are gathered before the best of them are chosen.
const GATHERED_BEYOND: usize = 1_000;

/// What was found so far: how many in all, and the first ones of the page.
#[derive(Debug)]
pub(crate) struct Page {
    order: Order,
    after: Option<u64>,
    /// One more than the page holds, to know whether there is another.
    room: usize,
    total: u64,
    /// By how late they come in the order: with how many lines further they close.
    best: Vec<(u64, u64)>,
}

impl Page {
    pub(crate) fn new(question: &Question) -> Self {
        let room = question.limit.min(Question::LIMIT_MAX) + 1;
        let order = question.order;
        let after = question.after.map(|place| rank(order, place.0));
        Self { order, after, room, total: 0, best: Vec::new() }
    }

    /// Looks at a leaf.
    pub(crate) fn look(&mut self, leaf: &dyn Leaf, sieve: &Sieve<'_>, deadline: &Deadline) -> Result<(), FindProblem> {
        let stories = sieve.fitting(leaf, deadline)?;
        if stories.is_empty() {
            return Ok(());
        }
        self.total += stories.len() as u64;
        // After the last place there is nothing.
        let Some(first) = self.after.map_or(Some(0), |after| after.checked_add(1)) else { return Ok(()) };
        let mut best = Best { room: self.room, first, last: u64::MAX, found: Vec::new() };
        let begins = leaf.column(Column::Begin)?;
        for story in stories {
            if let Some(begin) = begins.get(story as usize) {
                best.offer(rank(self.order, *begin), story);
            }
        }
        best.choose();
        if !best.found.is_empty() {
            let spans = leaf.column(Column::Span)?;
            let span = |story: u32| spans.get(story as usize).copied().unwrap_or(0);
            self.best = best.found.into_iter().map(|(rank, story)| (rank, span(story))).collect();
        }
        Ok(())
    }

    /// Adds what was found in another leaf.
    pub(crate) fn join(&mut self, other: Self) {
        self.total += other.total;
        self.best.extend(other.best);
        self.best.sort_unstable();
        self.best.truncate(self.room);
    }

    /// The answer.
    pub(crate) fn answer(self) -> Answer {
        let (order, limit) = (self.order, self.room - 1);
        let has_more = self.best.len() > limit;
        let found = self.best.into_iter().take(limit).map(|(ranked, span)| {
            let begin = rank(order, ranked);
            FoundAt { begin, end: (span > 0).then_some(begin + span) }
        });
        let seqs: Vec<_> = found.collect();
        let next = seqs.last().filter(|_| has_more).map(|last| Place(last.begin));
        Answer { seqs, total: self.total, next }
    }
}

/// The first stories of a leaf in the order asked for.
struct Best {
    room: usize,
    /// What comes before is on earlier pages.
    first: u64,
    /// What comes after has no room.
    last: u64,
    found: Vec<(u64, u32)>,
}

impl Best {
    fn offer(&mut self, rank: u64, story: u32) {
        if (self.first..=self.last).contains(&rank) {
            self.found.push((rank, story));
            if self.found.len() >= self.room + GATHERED_BEYOND {
                self.choose();
            }
        }
    }

    /// Keeps as many as there is room for.
    fn choose(&mut self) {
        if self.found.len() > self.room {
            let (_, last, _) = self.found.select_nth_unstable(self.room - 1);
            self.last = last.0;
            self.found.truncate(self.room);
        }
    }
}

/// A number that is smaller the earlier a line comes in the order; twice is the line again.
fn rank(order: Order, line: u64) -> u64 {
    match order {
        Order::Newest => !line,
        Order::Oldest => line,
    }
}
