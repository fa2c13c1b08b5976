//! What lies between a worker and the thread that writes its tape: a bounded queue, and word of how it goes.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::tape::TapeProblem;

/// How much may wait before the target is not read on from.
const WAITING_BYTES: usize = 1 << 20;
/// How much may wait at all.
const WAITING_BYTES_MAX: usize = 8 << 20;
/// How long so much may wait that the target is not read on from.
const FULL_MAX: Duration = Duration::from_secs(1);
/// How long anything may wait: a disk that hangs shows in no error.
const STUCK_MAX: Duration = Duration::from_secs(5);
/// About how much is taken at once: so much is written in far less than a second.
const TAKEN_BYTES: usize = 128 * 1024;
/// What one entry costs besides its bytes.
const ITEM_BYTES: usize = 64;

/// One thing that happened, and when, counted from the beginning.
#[derive(Debug)]
pub(crate) struct Item {
    pub(crate) at: Duration,
    pub(crate) what: What,
}

impl Item {
    /// What it costs while it waits.
    fn cost(&self) -> usize {
        let bytes = match &self.what {
            What::Output(bytes) => bytes.len(),
            What::Input(bytes) => bytes.len(),
            What::Resize { .. } => 0,
        };
        bytes + ITEM_BYTES
    }
}

/// What happened.
#[derive(Debug)]
pub(crate) enum What {
    /// The target showed this.
    Output(Vec<u8>),
    /// The person typed this.
    Input(Zeroizing<Vec<u8>>),
    /// The terminal has another size.
    Resize { columns: u16, rows: u16 },
}

/// The queue of one tape.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    state: Mutex<State>,
    /// Wakes the thread that writes.
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    items: VecDeque<Item>,
    bytes: usize,
    /// Since when the oldest of them waits.
    waits_since: Option<Instant>,
    /// Since when there has been more than ought to wait.
    full_since: Option<Instant>,
    is_begun: bool,
    is_closed: bool,
    problem: Option<TapeProblem>,
    wakers: Vec<Waker>,
}

impl State {
    fn is_full(&self) -> bool {
        self.bytes >= WAITING_BYTES
    }

    /// Takes some of what waits. Then it goes on, and what is left has waited from now on.
    fn take(&mut self) -> VecDeque<Item> {
        let (mut taken, mut bytes) = (VecDeque::new(), 0);
        while bytes < TAKEN_BYTES {
            let Some(item) = self.items.pop_front() else { break };
            bytes += item.cost();
            taken.push_back(item);
        }
        self.bytes = self.bytes.saturating_sub(bytes);
        let now = Instant::now();
        self.waits_since = (!self.items.is_empty()).then_some(now);
        self.full_since = self.is_full().then_some(now);
        taken
    }

    /// Nothing more is taken in; what waits was shown, and is still written.
    fn fall_behind(&mut self) -> Vec<Waker> {
        self.problem.get_or_insert(TapeProblem::Behind);
        std::mem::take(&mut self.wakers)
    }

    /// Nothing more can be written.
    fn fail(&mut self, problem: TapeProblem) -> Vec<Waker> {
        self.problem.get_or_insert(problem);
        (self.items, self.bytes) = (VecDeque::new(), 0);
        std::mem::take(&mut self.wakers)
    }
}

/// What the thread that writes finds.
#[derive(Debug)]
pub(crate) enum Taken {
    /// These happened; nothing where the wait was over before anything did.
    Items(VecDeque<Item>),
    /// The tape ends: nothing more comes.
    End,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn output(&self, began: Instant, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.push(began, What::Output(bytes.to_vec()));
        }
    }

    pub(crate) fn input(&self, began: Instant, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.push(began, What::Input(Zeroizing::new(bytes.to_vec())));
        }
    }

    pub(crate) fn resize(&self, began: Instant, columns: u16, rows: u16) {
        self.push(began, What::Resize { columns, rows });
    }

    fn push(&self, began: Instant, what: What) {
        let now = Instant::now();
        let wakers = {
            let mut state = self.lock();
            if state.problem.is_some() || state.is_closed {
                return;
            }
            let at = now.saturating_duration_since(began);
            let item = Item { at, what };
            state.bytes += item.cost();
            state.items.push_back(item);
            state.waits_since.get_or_insert(now);
            if state.is_full() {
                state.full_since.get_or_insert(now);
            }
            if state.bytes > WAITING_BYTES_MAX { state.fall_behind() } else { Vec::new() }
        };
        self.bell.notify_one();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Says that nothing more comes.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.bell.notify_one();
    }

    /// Says that the recording has begun.
    pub(crate) fn begin(&self) {
        let wakers = {
            let mut state = self.lock();
            state.is_begun = true;
            std::mem::take(&mut state.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Says that the recording failed.
    pub(crate) fn fail(&self, problem: TapeProblem) {
        let wakers = self.lock().fail(problem);
        self.bell.notify_one();
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn problem(&self) -> Option<TapeProblem> {
        self.lock().problem.clone()
    }

    /// Fails it where what waits has waited too long. Whoever calls it is not the thread that writes.
    pub(crate) fn watch(&self, now: Instant) {
        let too_long = |since: Option<Instant>, most| {
            since.is_some_and(|since: Instant| now.saturating_duration_since(since) >= most)
        };
        let wakers = {
            let mut state = self.lock();
            let is_behind = too_long(state.full_since, FULL_MAX) || too_long(state.waits_since, STUCK_MAX);
            if is_behind { state.fall_behind() } else { Vec::new() }
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Takes what waits first; waits for something until `until`.
    pub(crate) fn take(&self, until: Option<Instant>) -> Taken {
        let (items, wakers) = {
            let mut state = self.lock();
            while state.items.is_empty() && !state.is_closed && state.problem.is_none() {
                let left = until.map(|until| until.saturating_duration_since(Instant::now()));
                state = match left {
                    None => self.bell.wait(state).unwrap_or_else(PoisonError::into_inner),
                    Some(Duration::ZERO) => break,
                    Some(left) => self.bell.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
                };
            }
            if state.items.is_empty() && (state.is_closed || state.problem.is_some()) {
                return Taken::End;
            }
            (state.take(), std::mem::take(&mut state.wakers))
        };
        wakers.into_iter().for_each(Waker::wake);
        Taken::Items(items)
    }

    /// Waits until the recording has begun or cannot.
    pub(crate) async fn begun(&self) -> Result<(), TapeProblem> {
        self.when(|state| match &state.problem {
            Some(problem) => Some(Err(problem.clone())),
            None => state.is_begun.then_some(Ok(())),
        })
        .await
    }

    pub(crate) async fn failed(&self) -> TapeProblem {
        self.when(|state| state.problem.clone()).await
    }

    /// Waits until there is room; where it failed nobody waits.
    pub(crate) async fn room(&self) {
        self.when(|state| (!state.is_full() || state.problem.is_some()).then_some(())).await;
    }

    async fn when<T>(&self, mut is_so: impl FnMut(&State) -> Option<T>) -> T {
        poll_fn(|context: &mut Context<'_>| {
            let mut state = self.lock();
            if let Some(found) = is_so(&state) {
                return Poll::Ready(found);
            }
            let waker = context.waker();
            if !state.wakers.iter().any(|known| known.will_wake(waker)) {
                state.wakers.push(waker.clone());
            }
            Poll::Pending
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_laid_down_is_taken_in_order_and_then_the_end() {
        let (queue, began) = (Queue::default(), Instant::now());
        queue.output(began, b"a");
        queue.resize(began, 80, 24);
        queue.input(began, b"secret");
        queue.output(began, b"");
        queue.close();
        queue.output(began, b"after the end");
        let Taken::Items(items) = queue.take(None) else { panic!("something waits") };
        assert_eq!(items.len(), 3);
        assert!(matches!(queue.take(None), Taken::End));
        assert_eq!(queue.problem(), None);
    }

    #[test]
    fn a_queue_that_stays_full_for_a_second_fails() {
        let (queue, began) = (Queue::default(), Instant::now());
        queue.output(began, &vec![b'x'; WAITING_BYTES]);
        queue.watch(Instant::now());
        assert_eq!(queue.problem(), None);
        queue.watch(Instant::now() + FULL_MAX);
        assert_eq!(queue.problem(), Some(TapeProblem::Behind));
        queue.output(began, b"shown by nobody");
        let Taken::Items(items) = queue.take(None) else { panic!("what was shown is still written") };
        assert_eq!(items.len(), 1);
        assert!(matches!(queue.take(None), Taken::End));
    }

    #[test]
    fn what_waits_for_a_hanging_disk_fails_however_little_it_is() {
        let (queue, began) = (Queue::default(), Instant::now());
        queue.output(began, b"x");
        queue.watch(Instant::now() + FULL_MAX);
        assert_eq!(queue.problem(), None);
        queue.watch(Instant::now() + STUCK_MAX);
        assert_eq!(queue.problem(), Some(TapeProblem::Behind));
    }

    #[test]
    fn nothing_grows_beyond_its_bound_whoever_does_not_wait() {
        let (queue, began) = (Queue::default(), Instant::now());
        for _ in 0..20 {
            queue.output(began, &vec![b'x'; 1 << 20]);
        }
        assert_eq!(queue.problem(), Some(TapeProblem::Behind));
        assert!(queue.lock().bytes <= WAITING_BYTES_MAX + (1 << 20) + ITEM_BYTES);
    }

    #[tokio::test]
    async fn who_waits_is_woken() {
        let queue = std::sync::Arc::new(Queue::default());
        let other = std::sync::Arc::clone(&queue);
        queue.output(Instant::now(), &vec![b'x'; WAITING_BYTES]);
        let waiting = tokio::spawn(async move { (other.room().await, other.begun().await, other.failed().await) });
        tokio::task::yield_now().await;
        assert!(matches!(queue.take(None), Taken::Items(_)));
        tokio::task::yield_now().await;
        queue.begin();
        tokio::task::yield_now().await;
        queue.fail(TapeProblem::TooLong { bytes: 1 });
        assert_eq!(waiting.await.unwrap(), ((), Ok(()), TapeProblem::TooLong { bytes: 1 }));
    }
}
