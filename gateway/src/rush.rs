//! What a worker does when more is asked of it than it can do. How long whoever is ready waits for their turn tells that; not
//! the number of requests, nor a share of the processor. While that wait has been over `queue_delay_max` for a while,
//! each round of this worker serves strangers for so long and answers the rest of them at once and cheaply (503,
//! Retry-After). Whoever is signed in is never turned away here, so neither is broken glass; whoever is known by device or
//! cookie comes between. Of those who show a session that must be looked up first, and of the machines on which others
//! rest, each round serves a number however long it is. All is as before with the first round that is short again. Nobody
//! who is turned away is recorded: they are counted (docs/decisions/0012).
//!
//! Measuring costs next to nothing while there is no rush: a timer a hundred times a second, and only while anybody asks.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::sleep;

/// How often it is looked how late a timer is.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// For how long the wait must be too long: a crowd that comes at once, and is served, is no rush.
const LASTING: Duration = Duration::from_millis(100);
/// In a round with fewer requests than this, it is not they who take long.
const REQUESTS_MIN: u32 = 16;
/// For how many times as long as strangers those are served in each round whom the gateway may know.
const KNOWN_TIMES: u32 = 4;
/// How many with a session that must be looked up, and how many machines, are served in each round however long it is.
const SHARE: u32 = 64;
/// How many of a second's refusals are written as pages; the others are told in short, as programs are.
const PAGES_PER_SECOND: u32 = 50;

/// Who asks, as far as can be told at little cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// In a session that is in memory.
    SignedIn,
    /// With a session's cookie that is not in memory: signed in at another node or before a restart, or anything at all.
    Returning,
    /// For what machines ask on which others rest.
    Machine,
    /// From a device of the ledger, or with another cookie of ours: signing in.
    Known,
    /// Neither.
    Stranger,
}

/// A worker's measure of how much is going on.
#[derive(Debug, Default)]
pub struct Rush {
    /// Requests since it was looked last.
    asked: Cell<u32>,
    /// Whether it is looked at all.
    is_awake: Cell<bool>,
    wanted: Notify,
    /// When this round began, while there is a rush.
    round: Cell<Option<Instant>>,
    /// What is left of this round's share for [`Standing::Returning`] and for [`Standing::Machine`].
    returning: Cell<u32>,
    machines: Cell<u32>,
    /// When the second began, and how many pages of refusals there were since.
    pages: Cell<Option<(Instant, u32)>>,
}

impl Rush {
    /// Notes that somebody asks.
    pub fn note(&self) {
        self.asked.set(self.asked.get().saturating_add(1));
        if !self.is_awake.replace(true) {
            self.wanted.notify_one();
        }
    }

    /// Whether anybody is turned away now.
    pub fn is_on(&self) -> bool {
        self.round.get().is_some()
    }

    /// Whether whoever asks is served.
    pub fn admits(&self, standing: Standing, queue_delay_max: Duration) -> bool {
        let Some(began) = self.round.get() else { return true };
        match standing {
            Standing::SignedIn => true,
            Standing::Returning => self.admits(Standing::Known, queue_delay_max) || take_one(&self.returning),
            Standing::Machine => self.admits(Standing::Known, queue_delay_max) || take_one(&self.machines),
            Standing::Known => began.elapsed() <= queue_delay_max.saturating_mul(KNOWN_TIMES),
            Standing::Stranger => began.elapsed() <= queue_delay_max,
        }
    }

    /// Whether one more refusal may be written as a page.
    pub fn has_page(&self, now: Instant) -> bool {
        let current = self.pages.get().filter(|(begun, _)| now.duration_since(*begun) < Duration::from_secs(1));
        let (begun, written) = current.unwrap_or((now, 0));
        let has = written < PAGES_PER_SECOND;
        self.pages.set(Some((begun, written + u32::from(has))));
        has
    }

    fn share_out(&self) {
        self.returning.set(SHARE);
        self.machines.set(SHARE);
    }

    /// Looks until the worker ends how long whoever is ready waits.
    pub async fn watch(&self, queue_delay_max: impl Fn() -> Duration) {
        loop {
            self.wanted.notified().await;
            while self.asked.take() > 0 {
                let due = Instant::now() + LOOK_INTERVAL;
                sleep(LOOK_INTERVAL).await;
                if due.elapsed() > queue_delay_max() {
                    self.go_round(&queue_delay_max).await;
                    // Looked at once more, whoever asked.
                    self.asked.set(1);
                }
            }
            // Nothing was awaited since: nobody is missed.
            self.is_awake.set(false);
        }
    }

    /// Measures round after round until one is short.
    async fn go_round(&self, queue_delay_max: &impl Fn() -> Duration) {
        let since = Instant::now();
        loop {
            let began = Instant::now();
            self.round.set(self.round.get().map(|_| began));
            self.share_out();
            self.asked.set(0);
            // Resumed when whoever was ready before has had their turn.
            yield_now().await;
            if began.elapsed() <= queue_delay_max() {
                self.round.set(None);
                return;
            }
            if since.elapsed() >= LASTING && self.asked.get() >= REQUESTS_MIN {
                self.round.set(Some(Instant::now()));
            }
        }
    }
}

/// Takes one where any is left.
fn take_one(left: &Cell<u32>) -> bool {
    let fewer = left.get().checked_sub(1);
    fewer.inspect(|fewer| left.set(*fewer)).is_some()
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use tokio::task::spawn_local;

    use super::*;

    const MAX: Duration = Duration::from_millis(1);

    fn on_a_worker(test: impl Future<Output = ()>) {
        let options = tokio::runtime::LocalOptions::default();
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(options).unwrap().block_on(test);
    }

    /// A worker's watch, and people who ask again as soon as they were answered until told otherwise.
    fn busy(people: usize, work: Duration) -> (Rc<Rush>, Rc<Cell<bool>>) {
        let (rush, goes_on) = (Rc::new(Rush::default()), Rc::new(Cell::new(true)));
        let watching = Rc::clone(&rush);
        spawn_local(async move { watching.watch(|| MAX).await });
        for _ in 0..people {
            let (rush, goes_on) = (Rc::clone(&rush), Rc::clone(&goes_on));
            spawn_local(async move {
                while goes_on.get() {
                    rush.note();
                    if rush.admits(Standing::Stranger, MAX) {
                        std::thread::sleep(work);
                    }
                    yield_now().await;
                }
            });
        }
        (rush, goes_on)
    }

    async fn until(rush: &Rush, is_on: bool) {
        while rush.is_on() != is_on {
            yield_now().await;
        }
    }

    #[test]
    fn under_a_rush_strangers_are_turned_away_and_whoever_is_signed_in_is_not() {
        on_a_worker(async {
            let (rush, goes_on) = busy(100, Duration::from_micros(200));
            until(&rush, true).await;
            let mut turned_away = 0;
            for _ in 0..50 {
                assert!(rush.admits(Standing::SignedIn, MAX));
                turned_away += usize::from(!rush.admits(Standing::Stranger, Duration::ZERO));
                yield_now().await;
            }
            assert!(turned_away > 0);
            goes_on.set(false);
            until(&rush, false).await;
            assert!(rush.admits(Standing::Stranger, Duration::ZERO), "all is as before when it is over");
        });
    }

    #[test]
    fn those_who_may_be_known_are_served_for_longer_than_strangers() {
        let rush = Rush::default();
        let ago = |span: Duration| rush.round.set(Instant::now().checked_sub(span));
        let far = Duration::from_secs(60);
        let admitted = |standing| rush.admits(standing, far);
        ago(2 * far);
        assert_eq!([Standing::SignedIn, Standing::Known, Standing::Stranger].map(admitted), [true, true, false]);
        ago(5 * far);
        assert_eq!([Standing::SignedIn, Standing::Known, Standing::Stranger].map(admitted), [true, false, false]);
    }

    #[test]
    fn however_long_a_round_is_some_sessions_are_looked_up_in_it_and_some_machines_served() {
        let rush = Rush::default();
        let far = Duration::from_secs(60);
        rush.round.set(Instant::now().checked_sub(5 * far));
        rush.share_out();
        let served = |standing| (0..1_000).filter(|_| rush.admits(standing, far)).count();
        let all = [Standing::Known, Standing::Returning, Standing::Machine];
        assert_eq!(all.map(served), [0, 64, 64], "neither takes from the other");
        assert_eq!(all.map(served), [0, 0, 0]);
        rush.share_out();
        assert_eq!(all.map(served), [0, 64, 64], "the next round");
        rush.share_out();
        rush.round.set(Some(Instant::now()));
        assert_eq!(all.map(served), [1_000; 3]);
        assert_eq!(rush.returning.get(), 64, "what there was time for takes nothing of it");
    }

    #[test]
    fn few_requests_that_take_long_are_no_rush() {
        on_a_worker(async {
            let (rush, goes_on) = busy(3, Duration::from_millis(5));
            let begun = Instant::now();
            while begun.elapsed() < 4 * LASTING {
                assert!(!rush.is_on());
                yield_now().await;
            }
            goes_on.set(false);
        });
    }

    #[test]
    fn nobody_looks_while_nobody_asks() {
        on_a_worker(async {
            let rush = Rc::new(Rush::default());
            let watching = Rc::clone(&rush);
            spawn_local(async move { watching.watch(|| MAX).await });
            yield_now().await;
            assert!(!rush.is_awake.get());
            rush.note();
            assert!(rush.is_awake.get());
            while rush.is_awake.get() {
                sleep(LOOK_INTERVAL).await;
            }
        });
    }

    #[test]
    fn pages_of_refusals_are_few_in_a_second() {
        let (rush, begun) = (Rush::default(), Instant::now());
        let written = |at| (0..1_000).filter(|_| rush.has_page(at)).count();
        assert_eq!(written(begun), 50);
        assert_eq!(written(begun + Duration::from_millis(999)), 0);
        assert_eq!(written(begun + Duration::from_secs(1)), 50);
    }
}
