//! What a connection is doing: whether a head is being read, how many exchanges are open, since when it stands idle. The
//! worker's sweeper reads it; so no request pays for timers of its own.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Shared between the connection, the exchanges on it and the sweeper.
#[derive(Clone, Debug)]
pub struct Vitals(Rc<State>);

#[derive(Debug)]
struct State {
    /// Open exchanges.
    open: Cell<usize>,
    /// Since when none is open.
    idle_since: Cell<Instant>,
    /// Since when a head is being read, on HTTP/1.
    head_begun: Cell<Option<Instant>>,
    /// Whether it holds what it needs to serve, though it may be asked nothing, on HTTP/1.
    awake: Cell<bool>,
    /// Whether it is to let go of that.
    tired: Cell<bool>,
}

/// A connection that is asked nothing for so long lets go of what it needs to serve.
const REST_AFTER: Duration = Duration::from_secs(1);

/// What the sweeper thinks of a connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Health {
    /// Let it be.
    Fine,
    /// A head takes too long.
    SlowHead,
    /// Nothing has been asked for too long.
    Idle,
}

impl Vitals {
    /// A connection that just finished its handshake.
    pub fn new(now: Instant) -> Self {
        Self(Rc::new(State {
            open: Cell::new(0),
            idle_since: Cell::new(now),
            head_begun: Cell::new(None),
            awake: Cell::new(false),
            tired: Cell::new(false),
        }))
    }

    /// Notes an exchange that begins. It ends when the returned guard is dropped.
    pub fn begin_exchange(&self) -> OpenExchange {
        self.0.open.set(self.0.open.get() + 1);
        OpenExchange(self.clone())
    }

    /// Notes that a head has begun to arrive, and is not whole.
    pub fn head_begun(&self) {
        if self.0.head_begun.get().is_none() {
            self.0.head_begun.set(Some(Instant::now()));
        }
    }

    /// Notes that it is whole.
    pub fn head_ended(&self) {
        self.0.head_begun.set(None);
    }

    /// Notes that the connection takes what it needs to serve.
    pub fn wakes(&self) {
        self.0.tired.set(false);
        self.0.awake.set(true);
    }

    /// Tells the connection to let go of that, where it is asked nothing; true if it has to be told now.
    pub fn tires(&self, now: Instant) -> bool {
        let State { open, idle_since, head_begun, awake, tired } = &*self.0;
        let is_idle = awake.get() && open.get() == 0 && head_begun.get().is_none();
        let tires = is_idle && !tired.get() && now.saturating_duration_since(idle_since.get()) > REST_AFTER;
        if tires {
            tired.set(true);
        }
        tires
    }

    /// Whether the connection, which is asked nothing now, rests until it is asked.
    pub fn rests(&self) -> bool {
        let rests = self.0.tired.take();
        if rests {
            self.0.awake.set(false);
        }
        rests
    }

    /// Judges the connection.
    pub fn health(&self, now: Instant, head_timeout: Duration, keep_alive_timeout: Duration) -> Health {
        let State { open, idle_since, head_begun, .. } = &*self.0;
        if head_begun.get().is_some_and(|begun| now.saturating_duration_since(begun) > head_timeout) {
            return Health::SlowHead;
        }
        let is_idle = open.get() == 0 && now.saturating_duration_since(idle_since.get()) > keep_alive_timeout;
        if is_idle { Health::Idle } else { Health::Fine }
    }
}

/// Counts one open exchange of a connection until it is dropped.
#[derive(Debug)]
pub struct OpenExchange(Vitals);

impl Drop for OpenExchange {
    fn drop(&mut self) {
        let state = &self.0.0;
        state.open.set(state.open.get().saturating_sub(1));
        state.idle_since.set(Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn slow_heads_and_idle_connections_are_told_apart() {
        let vitals = Vitals::new(Instant::now());
        let later = Instant::now() + SECOND * 5;
        assert_eq!(vitals.health(later, SECOND * 10, SECOND), Health::Idle);
        let open = vitals.begin_exchange();
        assert_eq!(vitals.health(later, SECOND * 10, SECOND), Health::Fine);
        drop(open);
        vitals.head_begun();
        assert_eq!(vitals.health(later, SECOND, SECOND * 10), Health::SlowHead);
        vitals.head_ended();
        assert_eq!(vitals.health(later, SECOND, SECOND * 10), Health::Fine);
    }

    #[test]
    fn only_who_was_served_and_is_asked_nothing_for_a_while_is_told_to_rest_and_once() {
        let vitals = Vitals::new(Instant::now());
        let later = Instant::now() + REST_AFTER * 5;
        assert!(!vitals.tires(later), "it holds nothing yet");
        vitals.wakes();
        assert!(!vitals.tires(Instant::now()));
        let open = vitals.begin_exchange();
        assert!(!vitals.tires(later), "it is asked something");
        drop(open);
        vitals.head_begun();
        assert!(!vitals.tires(later), "it is being asked something");
        vitals.head_ended();
        assert!(!vitals.rests() && vitals.tires(later) && !vitals.tires(later), "told once");
        assert!(vitals.rests() && !vitals.rests());
        assert!(!vitals.tires(later), "it rests already");
        vitals.wakes();
        assert!(vitals.tires(later));
    }

    #[test]
    fn a_head_is_slow_from_its_first_byte_on() {
        let vitals = Vitals::new(Instant::now());
        vitals.head_begun();
        let begun = vitals.0.head_begun.get();
        std::thread::sleep(Duration::from_millis(2));
        vitals.head_begun();
        assert_eq!(vitals.0.head_begun.get(), begun, "bytes that drip in do not begin it again");
    }
}
