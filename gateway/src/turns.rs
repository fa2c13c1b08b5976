//! Handshakes take turns. Each costs a worker as much time as ten requests, and a morning's or an attacker's hundreds come
//! at once: taken as they come, everybody who is connected already would wait for all of them. So a worker goes round:
//! whoever is ready is served, then a handshake does one step, then whoever is ready by then; where the others take long,
//! further steps for an eighth of their time. Those that were begun go
//! before those that come; whoever waits holds a slot, so that `connections_max` bounds them, and `handshake_timeout` how
//! long.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// Where so much else is going on that going round once takes long, there are further steps: handshakes get their part of
/// the time too, one of so many that all others take.
const PART: u32 = 8;
/// What a step is taken to cost before any was done; from then on what they did cost counts.
const STEP: Duration = Duration::from_micros(250);
/// The most steps of one round.
const STEPS_MAX: usize = 32;

/// A worker's turns.
#[derive(Debug)]
pub struct Turns {
    /// Steps that may still be done before the worker has gone round.
    left: Cell<usize>,
    /// Whether any was done since it was looked last.
    taken: Cell<bool>,
    /// The time that steps took since the worker went round last, and how many they were.
    spent: Cell<(Duration, u32)>,
    /// What a step costs, by what the last ones did.
    cost: Cell<Duration>,
    begun: RefCell<VecDeque<Rc<Ticket>>>,
    fresh: RefCell<VecDeque<Rc<Ticket>>>,
    wanted: Notify,
}

/// One handshake's place.
#[derive(Debug, Default)]
struct Ticket {
    standing: Cell<Standing>,
    waker: RefCell<Option<Waker>>,
}

#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
enum Standing {
    /// Nothing is to be done.
    #[default]
    Away,
    /// It waits for its turn.
    Waits,
    /// It is its turn.
    Turn,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            left: Cell::new(1),
            taken: Cell::new(false),
            spent: Cell::default(),
            cost: Cell::new(STEP),
            begun: RefCell::default(),
            fresh: RefCell::default(),
            wanted: Notify::new(),
        }
    }
}

impl Turns {
    /// Does a handshake, each step of it in its turn.
    pub fn take<F: Future>(&self, handshake: F) -> InTurns<'_, F> {
        InTurns { turns: self, handshake: Box::pin(handshake), ticket: Rc::default(), is_begun: false }
    }

    /// Gives turns until the worker ends.
    pub async fn give(&self) {
        loop {
            self.wanted.notified().await;
            loop {
                let began = Instant::now();
                // Resumed when whoever was ready has been served, and it was asked who is ready by now.
                tokio::task::yield_now().await;
                let is_over = !self.taken.take() && self.waiting() == 0;
                self.next_round(self.others(began.elapsed()));
                if is_over {
                    break;
                }
            }
        }
    }

    /// How long a round took without the handshakes' own time: else slow handshakes would make room for more of them.
    fn others(&self, round: Duration) -> Duration {
        let (spent, steps) = self.spent.take();
        if let Some(each) = spent.checked_div(steps) {
            self.cost.set((self.cost.get() * 7 + each) / 8);
        }
        round.saturating_sub(spent)
    }

    fn note_step(&self, took: Duration) {
        let (spent, steps) = self.spent.get();
        self.spent.set((spent.saturating_add(took), steps.saturating_add(1)));
    }

    /// `others` is the time that all others took since the last one.
    fn next_round(&self, others: Duration) {
        let cost = self.cost.get().as_micros().max(1);
        let more = usize::try_from((others / PART).as_micros() / cost).unwrap_or(STEPS_MAX);
        let mut left = more.saturating_add(1).min(STEPS_MAX);
        while left > 0
            && let Some(ticket) = self.next()
        {
            // Whoever gave up meanwhile costs no turn.
            if ticket.standing.get() == Standing::Waits {
                ticket.standing.set(Standing::Turn);
                left -= 1;
                self.taken.set(true);
                if let Some(waker) = ticket.waker.take() {
                    waker.wake();
                }
            }
        }
        self.left.set(left);
    }

    fn next(&self) -> Option<Rc<Ticket>> {
        self.begun.borrow_mut().pop_front().or_else(|| self.fresh.borrow_mut().pop_front())
    }

    /// How many wait.
    fn waiting(&self) -> usize {
        self.begun.borrow().len() + self.fresh.borrow().len()
    }

    /// Whether it is this one's turn; else it will be told.
    fn is_turn(&self, ticket: &Rc<Ticket>, is_begun: bool, cx: &Context<'_>) -> bool {
        match ticket.standing.get() {
            Standing::Turn => {
                ticket.standing.set(Standing::Away);
                return true;
            }
            Standing::Waits => {
                ticket.waker.replace(Some(cx.waker().clone()));
                return false;
            }
            Standing::Away => {}
        }
        self.wanted.notify_one();
        if self.left.get() > 0 && self.waiting() == 0 {
            self.left.set(self.left.get() - 1);
            self.taken.set(true);
            return true;
        }
        ticket.standing.set(Standing::Waits);
        ticket.waker.replace(Some(cx.waker().clone()));
        let queue = if is_begun { &self.begun } else { &self.fresh };
        queue.borrow_mut().push_back(Rc::clone(ticket));
        false
    }
}

/// See [`Turns::take`].
#[derive(Debug)]
pub struct InTurns<'a, F> {
    turns: &'a Turns,
    handshake: Pin<Box<F>>,
    ticket: Rc<Ticket>,
    is_begun: bool,
}

impl<F: Future> Future for InTurns<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        if !self.turns.is_turn(&self.ticket, self.is_begun, cx) {
            return Poll::Pending;
        }
        self.is_begun = true;
        let began = Instant::now();
        let polled = self.handshake.as_mut().poll(cx);
        self.turns.note_step(began.elapsed());
        polled
    }
}

impl<F> Drop for InTurns<'_, F> {
    fn drop(&mut self) {
        self.ticket.standing.set(Standing::Away);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::{spawn_local, yield_now};

    /// Everything a test's worker did, in its order.
    type Done = Rc<RefCell<Vec<&'static str>>>;

    /// Runs on one thread, as a worker does.
    fn on_a_worker(test: impl Future<Output = ()>) {
        let options = tokio::runtime::LocalOptions::default();
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(options).unwrap().block_on(test);
    }

    /// Handshakes of two steps that come at once.
    fn begin(turns: &Rc<Turns>, done: &Done, number: usize) {
        for _ in 0..number {
            let (turns, done) = (Rc::clone(turns), Rc::clone(done));
            spawn_local(async move {
                let steps = async {
                    done.borrow_mut().push("first step");
                    yield_now().await;
                    done.borrow_mut().push("shaken");
                };
                turns.take(steps).await;
            });
        }
    }

    fn given() -> Rc<Turns> {
        let turns = Rc::new(Turns::default());
        let giving = Rc::clone(&turns);
        spawn_local(async move { giving.give().await });
        turns
    }

    fn count(done: &Done, what: &str) -> usize {
        done.borrow().iter().filter(|one| **one == what).count()
    }

    #[test]
    fn whoever_is_connected_is_served_before_hundreds_of_handshakes() {
        on_a_worker(async {
            let (turns, done) = (given(), Done::default());
            // More than the most steps of ten rounds, however slow they are.
            let number = 100 * STEPS_MAX;
            begin(&turns, &done, number);
            // A request that waits ten times for something, as they do.
            for _ in 0..10 {
                yield_now().await;
            }
            let (begun, shaken) = (count(&done, "first step"), count(&done, "shaken"));
            assert!((1..number / 2).contains(&begun) && shaken < number / 2, "{begun} begun, {shaken} done");
            while count(&done, "shaken") < number {
                yield_now().await;
            }
            assert_eq!(turns.waiting(), 0);
        });
    }

    #[test]
    fn what_was_begun_is_finished_before_more_is_begun() {
        on_a_worker(async {
            let (turns, done) = (given(), Done::default());
            let number = 10 * STEPS_MAX;
            begin(&turns, &done, number);
            let mut most = 0;
            while count(&done, "shaken") < number {
                most = most.max(count(&done, "first step") - count(&done, "shaken"));
                yield_now().await;
            }
            assert!(most <= 2 * STEPS_MAX, "all were begun before any was done");
        });
    }

    #[test]
    fn whoever_gives_up_costs_nobody_a_turn_and_nothing_is_kept_of_them() {
        on_a_worker(async {
            let (turns, done) = (given(), Done::default());
            {
                let mut waiting: Vec<_> =
                    (0..100).map(|_| Box::pin(turns.take(std::future::pending::<()>()))).collect();
                for one in &mut waiting {
                    assert!(one.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
                }
                assert_eq!(turns.waiting(), 99, "the first has its turn at once");
            }
            begin(&turns, &done, 1);
            while count(&done, "shaken") < 1 {
                yield_now().await;
            }
            assert_eq!(turns.waiting(), 0);
        });
    }

    #[test]
    fn one_alone_waits_for_nobody() {
        on_a_worker(async {
            let turns = given();
            let mut alone = std::pin::pin!(turns.take(std::future::ready(7)));
            let polled = alone.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            assert_eq!(polled, Poll::Ready(7));
        });
    }

    #[test]
    fn slow_handshakes_make_no_room_for_more_of_them() {
        on_a_worker(async {
            const NUMBER: usize = 40;
            let (turns, done) = (given(), Done::default());
            for _ in 0..NUMBER {
                let (turns, done) = (Rc::clone(&turns), Rc::clone(&done));
                spawn_local(async move {
                    let step = async {
                        std::thread::sleep(Duration::from_millis(5));
                        done.borrow_mut().push("step");
                    };
                    turns.take(step).await;
                });
            }
            let mut rounds = 0;
            while count(&done, "step") < NUMBER {
                rounds += 1;
                yield_now().await;
            }
            // One a round; more only where this machine stands still in one.
            assert!(rounds >= NUMBER / 4, "{rounds} rounds for {NUMBER} steps");
        });
    }

    #[test]
    fn steps_are_counted_by_what_they_cost_and_by_the_time_of_the_others() {
        let turns = Turns::default();
        for _ in 0..100 {
            turns.note_step(Duration::from_millis(5));
            turns.note_step(Duration::from_millis(5));
            let others = turns.others(Duration::from_millis(11));
            assert_eq!(others, Duration::from_millis(1), "a round without its steps");
        }
        for (others, steps) in [(11, 1), (39, 1), (90, 3), (100_000, STEPS_MAX)] {
            turns.next_round(Duration::from_millis(others));
            assert_eq!(turns.left.get(), steps, "{others} ms");
        }
        assert_eq!(turns.others(Duration::ZERO), Duration::ZERO);
    }

    #[test]
    fn where_a_round_takes_long_there_are_more_steps_in_it() {
        let turns = Turns::default();
        for (round, steps) in [(0, 1), (1_900, 1), (20_000, 11), (10_000_000, STEPS_MAX)] {
            turns.next_round(Duration::from_micros(round));
            assert_eq!(turns.left.get(), steps, "{round} us");
        }
    }
}
