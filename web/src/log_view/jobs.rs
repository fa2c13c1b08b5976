//! Work that takes longer than a page may: one at a time for each person, a few in all, each with its progress, and each
//! can be stopped.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use policy::UserId;

/// How many people may have work under way at once.
const WORKING_MAX: usize = 4;

/// The work of one kind that is under way, or ended lately, by person.
#[derive(Debug)]
pub(crate) struct Jobs<T> {
    of: Mutex<BTreeMap<UserId, Arc<Job<T>>>>,
    /// How many are remembered, those that ended among them, for whoever comes to look.
    kept_max: usize,
}

/// One piece of work, which makes something.
#[derive(Debug)]
pub(crate) struct Job<T> {
    /// In the order in which they began.
    number: u64,
    done: AtomicU64,
    all: AtomicU64,
    is_cancelled: AtomicBool,
    state: Mutex<JobState<T>>,
}

/// How a piece of work stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum JobState<T> {
    /// Under way.
    Working,
    /// It made this.
    Made(T),
    /// Somebody stopped it.
    Cancelled,
    /// It could not be done.
    Failed,
}

/// Why no work begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Busy {
    /// This person's own is not done yet.
    Own,
    /// Others' are not done yet.
    Others,
}

impl<T: Clone + PartialEq> Jobs<T> {
    /// Remembers so many; never fewer than may be under way.
    pub(crate) fn new(kept_max: usize) -> Self {
        Self { of: Mutex::default(), kept_max: kept_max.max(WORKING_MAX) }
    }

    /// Begins a piece of work for a person.
    pub(crate) fn begin(&self, whose: &UserId) -> Result<Arc<Job<T>>, Busy> {
        let mut of = self.lock();
        if of.get(whose).is_some_and(|job| job.state() == JobState::Working) {
            return Err(Busy::Own);
        }
        if of.values().filter(|job| job.state() == JobState::Working).count() >= WORKING_MAX {
            return Err(Busy::Others);
        }
        of.remove(whose);
        while of.len() >= self.kept_max {
            let ended = of.iter().filter(|(_, job)| job.state() != JobState::Working);
            let Some(earliest) = ended.min_by_key(|(_, job)| job.number).map(|(user, _)| user.clone()) else { break };
            of.remove(&earliest);
        }
        let number = of.values().map(|job| job.number).max().map_or(0, |newest| newest.saturating_add(1));
        let job = Arc::new(Job {
            number,
            done: AtomicU64::new(0),
            all: AtomicU64::new(1),
            is_cancelled: AtomicBool::new(false),
            state: Mutex::new(JobState::Working),
        });
        of.insert(whose.clone(), job.clone());
        Ok(job)
    }

    /// The work of a person, under way or ended.
    pub(crate) fn of(&self, whose: &UserId) -> Option<Arc<Job<T>>> {
        self.lock().get(whose).cloned()
    }

    /// Forgets what ended and is not worth keeping.
    pub(crate) fn forget(&self, is_over: impl Fn(&JobState<T>) -> bool) {
        self.lock().retain(|_, job| {
            let state = job.state();
            state == JobState::Working || !is_over(&state)
        });
    }

    /// Forgets this piece of work of a person, if it is still the one that is remembered.
    pub(crate) fn forget_one(&self, whose: &UserId, job: &Arc<Job<T>>) {
        let mut of = self.lock();
        if of.get(whose).is_some_and(|kept| Arc::ptr_eq(kept, job)) {
            of.remove(whose);
        }
    }

    /// A map is whole after whatever happened to who held it.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<UserId, Arc<Job<T>>>> {
        self.of.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Clone + PartialEq> Job<T> {
    /// Notes how far it is; false where it is to stop.
    pub(crate) fn goes_on(&self, done: u64, all: u64) -> bool {
        self.done.store(done, Ordering::Relaxed);
        self.all.store(all.max(1), Ordering::Relaxed);
        !self.is_cancelled()
    }

    /// How far it is: so much of so much.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let all = self.all.load(Ordering::Relaxed);
        (self.done.load(Ordering::Relaxed).min(all), all)
    }

    /// Asks it to stop.
    pub(crate) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked to stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::Relaxed)
    }

    /// How it stands.
    pub(crate) fn state(&self) -> JobState<T> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// It ended so.
    pub(crate) fn end(&self, state: JobState<T>) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT_MAX: usize = 100;

    fn user(number: usize) -> UserId {
        UserId::parse(&format!("u-{number}")).unwrap()
    }

    #[test]
    fn a_person_works_on_one_thing_and_few_people_work_at_once() {
        let jobs = Jobs::<u64>::new(KEPT_MAX);
        let first = jobs.begin(&user(0)).unwrap();
        assert_eq!(jobs.begin(&user(0)).err(), Some(Busy::Own));
        for number in 1..WORKING_MAX {
            jobs.begin(&user(number)).unwrap();
        }
        assert_eq!(jobs.begin(&user(WORKING_MAX)).err(), Some(Busy::Others));
        first.end(JobState::Made(7));
        assert_eq!(jobs.of(&user(0)).unwrap().state(), JobState::Made(7), "whoever comes to look finds it");
        jobs.begin(&user(WORKING_MAX)).unwrap();
    }

    #[test]
    fn what_ended_is_forgotten_in_the_end() {
        let jobs = Jobs::<u64>::new(KEPT_MAX);
        for number in 0..3 * KEPT_MAX {
            jobs.begin(&user(number)).unwrap().end(JobState::Failed);
        }
        assert!(jobs.lock().len() <= KEPT_MAX);
    }

    #[test]
    fn room_is_made_by_what_began_first_and_never_by_anothers_where_ones_own_goes_anyway() {
        let jobs = Jobs::new(0);
        for number in (0..WORKING_MAX).rev() {
            jobs.begin(&user(number)).unwrap().end(JobState::Made(number));
        }
        let is_kept = |number| jobs.of(&user(number)).is_some();
        jobs.begin(&user(1)).unwrap().end(JobState::Made(7));
        assert!((0..WORKING_MAX).all(is_kept), "the place of one's own");
        let newest = jobs.begin(&user(9)).unwrap();
        assert!(!is_kept(WORKING_MAX - 1) && is_kept(0) && is_kept(1) && is_kept(9), "the earliest goes");
        jobs.forget_one(&user(0), &newest);
        jobs.forget_one(&user(9), &newest);
        assert!(is_kept(0) && !is_kept(9));
    }

    #[test]
    fn what_is_not_worth_keeping_is_forgotten_and_what_is_under_way_is_not() {
        let jobs = Jobs::new(KEPT_MAX);
        jobs.begin(&user(1)).unwrap().end(JobState::Made(7));
        jobs.begin(&user(2)).unwrap().end(JobState::Made(8));
        jobs.begin(&user(3)).unwrap();
        jobs.forget(|state| *state != JobState::Made(8));
        assert_eq!([1, 2, 3].map(|number| jobs.of(&user(number)).is_some()), [false, true, true]);
    }

    #[test]
    fn work_stops_where_it_is_asked_to() {
        let jobs = Jobs::<u64>::new(KEPT_MAX);
        let job = jobs.begin(&user(1)).unwrap();
        assert!(job.goes_on(3, 10));
        assert_eq!(job.progress(), (3, 10));
        jobs.of(&user(1)).unwrap().cancel();
        assert!(!job.goes_on(20, 0) && job.is_cancelled());
        assert_eq!(job.progress(), (1, 1), "a whole of nothing is no division");
    }
}
