//! Waiting for the disk together: of those of one worker who wait, one asks the gate, and lets the others look when the disk
//! has moved on. The keeper, on a thread of its own, so wakes each worker once for a sync and not once for each who waits:
//! to wake a task of another thread is a call to the system. Should the one not come to look, because whoever holds it waits
//! for something else first, the keeper wakes the others after a moment, and one of them takes its place. Whoever waits for an
//! earlier line than the one at the gate waits as long as that one, at most a sync more.

use std::future::poll_fn;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::LogProblem;
use crate::gate::Gate;

/// How long whoever leads has to look before the others do by themselves.
const PATIENCE: Duration = Duration::from_millis(100);

/// Those of one worker who wait.
#[derive(Debug, Default)]
pub(crate) struct Together(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    /// Whether one of them waits at the gate.
    is_led: bool,
    /// When the keeper first saw those wait who wait now.
    seen: Option<Instant>,
    waiting: Vec<Waker>,
}

impl State {
    fn take(&mut self) -> Vec<Waker> {
        self.seen = None;
        std::mem::take(&mut self.waiting)
    }
}

/// One who waits.
struct Waiting<'a> {
    all: &'a Together,
    /// Whether it waits at the gate for all.
    leads: bool,
}

impl Together {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until all lines before `end` are on disk.
    pub(crate) async fn wait(&self, gate: &Gate, end: u64) -> Result<(), LogProblem> {
        let mut waiting = Waiting { all: self, leads: false };
        poll_fn(|context| waiting.poll(gate, end, context)).await
    }

    /// Lets those look who were seen waiting long ago, and somebody else lead.
    pub(crate) fn nudge(&self, now: Instant) {
        let waiting = {
            let mut state = self.lock();
            if state.waiting.is_empty() {
                state.seen = None;
                return;
            }
            let since = *state.seen.get_or_insert(now);
            if now.saturating_duration_since(since) < PATIENCE {
                return;
            }
            state.is_led = false;
            state.take()
        };
        waiting.into_iter().for_each(Waker::wake);
    }

    /// Lets all look.
    pub(crate) fn wake(&self) {
        let waiting = self.lock().take();
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl Waiting<'_> {
    fn poll(&mut self, gate: &Gate, end: u64, context: &Context<'_>) -> Poll<Result<(), LogProblem>> {
        if let Some(outcome) = gate.outcome(end) {
            return Poll::Ready(outcome);
        }
        if !self.leads {
            let mut state = self.all.lock();
            if state.is_led {
                if !state.waiting.iter().rev().any(|waker| waker.will_wake(context.waker())) {
                    state.waiting.push(context.waker().clone());
                }
                drop(state);
                // Of all that were written: the one that is under way may have begun before this line was.
                gate.wish();
                return Poll::Pending;
            }
            state.is_led = true;
            self.leads = true;
        }
        gate.poll_wait(end, context)
    }
}

impl Drop for Waiting<'_> {
    /// Whoever led, and is done or gone, leaves the gate to the next; all look how far the disk has come.
    fn drop(&mut self) {
        if self.leads {
            self.all.lock().is_led = false;
            self.all.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Bell {
        fn rings(&self) -> usize {
            self.0.swap(0, Ordering::Relaxed)
        }
    }

    /// Some who wait for these ends, each polled once.
    fn wait_for<'a>(all: &'a Together, gate: &Gate, ends: &[u64]) -> Vec<(Waiting<'a>, u64, Arc<Bell>)> {
        let begin = |end: &u64| {
            let (mut one, bell) = (Waiting { all, leads: false }, Arc::<Bell>::default());
            assert!(look(&mut one, gate, *end, &bell).is_pending());
            (one, *end, bell)
        };
        ends.iter().map(begin).collect()
    }

    fn look(one: &mut Waiting<'_>, gate: &Gate, end: u64, bell: &Arc<Bell>) -> Poll<Result<(), LogProblem>> {
        one.poll(gate, end, &Context::from_waker(&Waker::from(Arc::clone(bell))))
    }

    #[test]
    fn the_gate_wakes_one_and_that_one_the_others() {
        let (all, gate) = (Together::default(), Gate::default());
        let mut waiting = wait_for(&all, &gate, &[3, 5, 9]);
        gate.advance(6);
        let rings: Vec<usize> = waiting.iter().map(|(.., bell)| bell.rings()).collect();
        assert_eq!(rings, [1, 0, 0], "the first alone waits at the gate");
        let (mut first, end, bell) = waiting.remove(0);
        assert!(matches!(look(&mut first, &gate, end, &bell), Poll::Ready(Ok(()))));
        drop(first);
        let rings: Vec<usize> = waiting.iter().map(|(.., bell)| bell.rings()).collect();
        assert_eq!(rings, [1, 1]);
        let (mut third, end, bell) = waiting.pop().unwrap();
        assert!(look(&mut third, &gate, end, &bell).is_pending(), "its line is not on disk yet");
        let (mut second, end, of_second) = waiting.pop().unwrap();
        assert!(matches!(look(&mut second, &gate, end, &of_second), Poll::Ready(Ok(()))));
        drop(second);
        gate.advance(9);
        assert_eq!(bell.rings(), 1, "it has taken the first one's place at the gate");
        assert!(matches!(look(&mut third, &gate, 9, &bell), Poll::Ready(Ok(()))));
    }

    #[test]
    fn whoever_leads_and_goes_away_leaves_nobody_waiting() {
        let (all, gate) = (Together::default(), Gate::default());
        let mut waiting = wait_for(&all, &gate, &[3, 3]);
        drop(waiting.remove(0));
        let (mut second, end, bell) = waiting.remove(0);
        assert_eq!(bell.rings(), 1);
        assert!(look(&mut second, &gate, end, &bell).is_pending());
        gate.advance(3);
        assert_eq!(bell.rings(), 1);
    }

    #[test]
    fn a_leader_that_does_not_come_to_look_holds_nobody_up_for_long() {
        let (all, gate) = (Together::default(), Gate::default());
        let mut waiting = wait_for(&all, &gate, &[3, 3]);
        gate.advance(3);
        let now = Instant::now();
        all.nudge(now);
        let (mut second, end, bell) = waiting.pop().unwrap();
        all.nudge(now + PATIENCE / 2);
        assert_eq!(bell.rings(), 0);
        all.nudge(now + PATIENCE);
        assert_eq!(bell.rings(), 1);
        assert!(matches!(look(&mut second, &gate, end, &bell), Poll::Ready(Ok(()))));
        all.nudge(now + PATIENCE * 3);
        assert_eq!(bell.rings(), 0, "nobody waits any more");
        let (mut third, end, bell) = wait_for(&all, &gate, &[5]).remove(0);
        assert!(look(&mut third, &gate, end, &bell).is_pending());
        gate.advance(5);
        assert_eq!(bell.rings(), 1, "nor does whoever comes later wait for that one");
    }

    #[test]
    fn what_fails_fails_for_all() {
        let (all, gate) = (Together::default(), Gate::default());
        let mut waiting = wait_for(&all, &gate, &[3, 5]);
        gate.fail(LogProblem::Stopped);
        for _ in 0..2 {
            let (mut one, end, bell) = waiting.remove(0);
            assert_eq!(bell.rings(), 1);
            assert!(matches!(look(&mut one, &gate, end, &bell), Poll::Ready(Err(LogProblem::Stopped))));
        }
    }
}
