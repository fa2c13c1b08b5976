//! The page of stories that a question asks for.

use std::collections::BinaryHeap;

use tantivy::query::Weight;
use tantivy::{DocId, SegmentReader};

use crate::fields::{BEGIN, SPAN};
use crate::sieve::{Sieve, Stopped, first_values};
use crate::{Answer, Deadline, FoundAt, Order, Place, Question};

/// What was found so far: how many in all, and the first ones of the page.
#[derive(Debug)]
pub(crate) struct Page {
    order: Order,
    after: Option<u64>,
    /// One more than the page holds, to know whether there is another.
    room: usize,
    total: u64,
    /// The last of them in the order asked for is on top.
    best: BinaryHeap<(u64, u64)>,
}

impl Page {
    pub(crate) fn new(question: &Question) -> Self {
        let room = question.limit.min(Question::LIMIT_MAX) + 1;
        let order = question.order;
        let after = question.after.map(|place| rank(order, place.0));
        Self { order, after, room, total: 0, best: BinaryHeap::new() }
    }

    /// Looks at a segment.
    pub(crate) fn look(
        &mut self,
        segment: &SegmentReader,
        weight: &dyn Weight,
        sieve: &Sieve<'_>,
        deadline: &Deadline,
    ) -> Result<(), Stopped> {
        let (begin, span) = (segment.fast_fields().u64(BEGIN)?, segment.fast_fields().u64(SPAN)?);
        let mut begins = Vec::new();
        sieve.each(segment, weight, deadline, |docs: &[DocId]| {
            self.total += docs.len() as u64;
            first_values(docs, &begin, &mut begins);
            for (doc, begin) in docs.iter().zip(&begins) {
                let Some(rank) = begin.map(|begin| rank(self.order, begin)) else { continue };
                if self.has_room_for(rank) {
                    self.best.push((rank, span.first(*doc).unwrap_or(0)));
                    if self.best.len() > self.room {
                        self.best.pop();
                    }
                }
            }
        })
    }

    fn has_room_for(&self, rank: u64) -> bool {
        let is_later = self.after.is_none_or(|after| rank > after);
        is_later && (self.best.len() < self.room || self.best.peek().is_some_and(|(last, _)| rank < *last))
    }

    /// Adds what was found in other segments.
    pub(crate) fn join(&mut self, other: Self) {
        self.total += other.total;
        self.best.extend(other.best);
        while self.best.len() > self.room {
            self.best.pop();
        }
    }

    /// The answer.
    pub(crate) fn answer(self) -> Answer {
        let (order, limit) = (self.order, self.room - 1);
        let has_more = self.best.len() > limit;
        let found = self.best.into_sorted_vec().into_iter().take(limit).map(|(ranked, span)| {
            let begin = rank(order, ranked);
            FoundAt { begin, end: (span > 0).then_some(begin + span) }
        });
        let seqs: Vec<_> = found.collect();
        let next = seqs.last().filter(|_| has_more).map(|last| Place(last.begin));
        Answer { seqs, total: self.total, next }
    }
}

/// A number that is smaller the earlier a line comes in the order; twice is the line again.
fn rank(order: Order, line: u64) -> u64 {
    match order {
        Order::Newest => !line,
        Order::Oldest => line,
    }
}
