//! The part of a body that is held to be looked at: a copy, bounded for each body and for all together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use patient::{Body, Glance, glance};
use policy::Side;

/// How much of bodies is held at once, by all exchanges together.
pub const HELD_BYTES_MAX: usize = 64 << 20;

/// How much is held, by all together.
#[derive(Clone, Debug, Default)]
pub struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// Takes room for so many bytes more, where there is.
    fn take(&self, bytes: usize) -> bool {
        let more = |held: usize| held.checked_add(bytes).filter(|sum| *sum <= HELD_BYTES_MAX);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, more).is_ok()
    }

    /// How much is held.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// What is held of one body.
#[derive(Debug)]
pub struct Held {
    budget: Budget,
    side: Side,
    most: usize,
    kind: Option<Box<str>>,
    encoding: Option<Box<str>>,
    bytes: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// Nothing came yet.
    Begins,
    /// It may name patients.
    Holds,
    /// There was more than is held.
    IsCut,
    /// It is something else.
    Passes,
}

impl Held {
    /// Holds at most so many bytes of a body that says it is of this kind.
    pub fn new(budget: Budget, side: Side, most: usize, kind: Option<&str>, encoding: Option<&str>) -> Self {
        let (kind, encoding) = (kind.map(Into::into), encoding.map(Into::into));
        Self { budget, side, most, kind, encoding, bytes: Vec::new(), state: State::Begins }
    }

    /// Sees the next bytes pass.
    pub fn see(&mut self, data: &[u8]) {
        if self.state == State::Begins && !data.is_empty() {
            self.state = match glance(self.kind.as_deref(), self.encoding.as_deref(), data) {
                Glance::Hold => State::Holds,
                Glance::Pass => State::Passes,
            };
        }
        if self.state != State::Holds {
            return;
        }
        let room = self.most.saturating_sub(self.bytes.len());
        let taken = data.get(..room.min(data.len())).unwrap_or_default();
        if self.budget.take(taken.len()) {
            self.bytes.extend_from_slice(taken);
        } else {
            self.state = State::IsCut;
        }
        if taken.len() < data.len() {
            self.state = State::IsCut;
        }
    }

    /// How much is held.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it came packed.
    pub fn is_packed(&self) -> bool {
        self.encoding.is_some()
    }

    /// The body as far as it was held; `None` where it is of no interest.
    pub fn body<'a>(&'a self, came_whole: bool, path: &'a str) -> Option<Body<'a>> {
        let is_cut = match self.state {
            State::Begins | State::Passes => return None,
            State::Holds => !came_whole,
            State::IsCut => true,
        };
        let (kind, encoding) = (self.kind.as_deref(), self.encoding.as_deref());
        Some(Body { side: self.side, bytes: &self.bytes, is_cut, kind, encoding, path })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.budget.0.fetch_sub(self.bytes.len(), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(budget: &Budget, kind: &str, most: usize) -> Held {
        Held::new(budget.clone(), Side::Answer, most, Some(kind), None)
    }

    #[test]
    fn a_body_is_held_up_to_its_bound_and_let_go_of() {
        let budget = Budget::default();
        let mut one = held(&budget, "application/json", 10);
        one.see(b"");
        one.see(b"{\"a\":");
        assert!(!one.body(true, "/").unwrap().is_cut);
        assert!(one.body(false, "/").unwrap().is_cut, "it did not come to its end");
        one.see(b"1234567890");
        assert_eq!((one.body(true, "/").unwrap().bytes.len(), one.body(true, "/").unwrap().is_cut), (10, true));
        one.see(b"more");
        assert_eq!(budget.held(), 10);
        drop(one);
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn a_picture_is_not_held() {
        let budget = Budget::default();
        let mut one = held(&budget, "image/jpeg", 1 << 20);
        one.see(&[0xff; 50_000]);
        assert!(one.body(true, "/").is_none());
        assert_eq!(budget.held(), 0);
    }

    #[test]
    fn all_together_hold_no_more_than_their_bound() {
        let budget = Budget::default();
        let mut all: Vec<_> = (0..70).map(|_| held(&budget, "application/json", 1 << 20)).collect();
        all.iter_mut().for_each(|one| one.see(&vec![b'{'; 1 << 20]));
        assert_eq!(budget.held(), HELD_BYTES_MAX);
        assert_eq!(all.iter().filter(|one| one.body(true, "/").unwrap().is_cut).count(), 6);
        all.clear();
        assert_eq!(budget.held(), 0);
    }
}
