//! What was sent and may not have arrived. Syslog over TLS has no word for "received" (RFC 5425 section 4.3): what was
//! written to a connection counts as arrived only once that connection has lived on for a while without making us wait.
//! When it breaks before, all of that is sent again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What is sent within this part of the span is settled together, which bounds the marks that are kept.
const MARKS_IN_A_SPAN: u32 = 16;

/// How far a feed has come in the log.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Position {
    /// The number of the next line.
    pub next: u64,
    /// The opening lines before it whose access was not told of yet, in order.
    pub open: Arc<[u64]>,
}

/// What one connection carries, from what has arrived to what was sent last.
#[derive(Debug)]
pub struct Window {
    span: Duration,
    settled: Position,
    flying: VecDeque<Mark>,
}

/// What was sent up to a position.
#[derive(Debug)]
struct Mark {
    position: Position,
    begun: Instant,
    /// When the last of it was sent, or when the receiver last made us wait.
    at: Instant,
}

impl Window {
    /// Nothing is in flight; everything before `settled` has arrived.
    pub fn new(settled: Position, span: Duration) -> Self {
        Self { span, settled, flying: VecDeque::new() }
    }

    /// Everything before this has arrived.
    pub fn settled(&self) -> &Position {
        &self.settled
    }

    /// Everything before this was sent.
    pub fn sent(&self) -> &Position {
        self.flying.back().map_or(&self.settled, |mark| &mark.position)
    }

    /// Notes that everything before `position` was sent.
    pub fn note_sent(&mut self, position: Position, now: Instant) {
        match self.flying.back_mut() {
            Some(last) if now.duration_since(last.begun) < self.span / MARKS_IN_A_SPAN => {
                (last.position, last.at) = (position, now);
            }
            Some(_) | None => self.flying.push_back(Mark { position, begun: now, at: now }),
        }
    }

    /// Notes that there was nothing to send up to `position`.
    pub fn note_passed(&mut self, position: Position) {
        match self.flying.back_mut() {
            Some(last) => last.position = position,
            None => self.settled = position,
        }
    }

    /// Notes that the receiver made us wait: whatever is in flight may still lie before it.
    pub fn note_delay(&mut self, now: Instant) {
        self.flying.iter_mut().for_each(|mark| mark.at = now);
    }

    /// Takes as arrived what the connection has outlived. Says whether there was any.
    pub fn settle(&mut self, now: Instant) -> bool {
        let mut any = false;
        while self.flying.front().is_some_and(|first| now.duration_since(first.at) >= self.span)
            && let Some(first) = self.flying.pop_front()
        {
            self.settled = first.position;
            any = true;
        }
        any
    }

    /// The connection is gone, and with it whatever was in flight.
    pub fn lose(&mut self) {
        self.flying.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(16);

    fn at(next: u64) -> Position {
        Position { next, open: Arc::default() }
    }

    #[test]
    fn what_a_connection_has_not_outlived_is_sent_again() {
        let (start, mut window) = (Instant::now(), Window::new(at(5), SPAN));
        window.note_sent(at(10), start);
        window.note_sent(at(20), start + SPAN / 2);
        assert!(!window.settle(start + SPAN - Duration::from_millis(1)));
        assert!(window.settle(start + SPAN));
        assert_eq!((window.settled().next, window.sent().next), (10, 20));
        window.lose();
        assert_eq!(window.sent(), &at(10));
    }

    #[test]
    fn a_receiver_that_makes_us_wait_has_not_received() {
        let (start, mut window) = (Instant::now(), Window::new(at(0), SPAN));
        window.note_sent(at(10), start);
        window.note_delay(start + SPAN / 2);
        assert!(!window.settle(start + SPAN));
        assert!(window.settle(start + SPAN + SPAN / 2));
    }

    #[test]
    fn lines_that_are_not_for_the_receiver_settle_with_what_was_sent_before_them() {
        let (start, mut window) = (Instant::now(), Window::new(at(0), SPAN));
        window.note_passed(at(3));
        assert_eq!(window.settled(), &at(3));
        window.note_sent(at(4), start);
        window.note_passed(at(9));
        assert_eq!(window.settled(), &at(3));
        assert!(window.settle(start + SPAN));
        assert_eq!(window.settled(), &at(9));
    }

    #[test]
    fn a_steady_stream_settles_and_keeps_few_marks() {
        let (start, mut window) = (Instant::now(), Window::new(at(0), SPAN));
        for step in 0..10_000_u32 {
            let now = start + SPAN * step / 1_000;
            window.note_sent(at(u64::from(step)), now);
            window.settle(now);
            assert!(window.flying.len() <= 2 + usize::try_from(MARKS_IN_A_SPAN).unwrap());
        }
        assert!(window.settled().next > 8_800, "{:?}", window.settled());
    }
}
