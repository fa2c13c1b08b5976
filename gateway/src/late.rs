//! Tells whoever waits for an answer that it takes long, by the worker's sweeper: so no request pays for a timer of
//! its own.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// The worker's list of those who wait.
#[derive(Debug, Default)]
pub struct Late {
    waiting: RefCell<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    places: Vec<Place>,
    free: Vec<usize>,
}

#[derive(Debug)]
enum Place {
    Free,
    Waits { since: Instant, waker: Waker },
    IsLate,
}

impl Late {
    /// Waits for a future, but gives up waiting once the sweeper finds it late: `None`, and the future may go on.
    pub fn unless_late<'a, F: Future>(&'a self, future: Pin<&'a mut F>, since: Instant) -> UnlessLate<'a, F> {
        UnlessLate { late: self, future, since, place: None }
    }

    /// Tells all who have waited for longer than `patience`.
    pub fn sweep(&self, now: Instant, patience: Duration) {
        for place in &mut self.waiting.borrow_mut().places {
            if let Place::Waits { since, waker } = place
                && now.saturating_duration_since(*since) > patience
            {
                waker.wake_by_ref();
                *place = Place::IsLate;
            }
        }
    }

    fn enter(&self, since: Instant, waker: Waker) -> usize {
        let waiting = &mut *self.waiting.borrow_mut();
        let waits = Place::Waits { since, waker };
        let place = waiting.free.pop().unwrap_or(waiting.places.len());
        match waiting.places.get_mut(place) {
            Some(free) => *free = waits,
            None => waiting.places.push(waits),
        }
        place
    }

    /// Whether this one is late; else whom to wake is noted.
    fn is_late(&self, place: usize, cx: &Context<'_>) -> bool {
        match self.waiting.borrow_mut().places.get_mut(place) {
            Some(Place::Waits { waker, .. }) => {
                if !waker.will_wake(cx.waker()) {
                    waker.clone_from(cx.waker());
                }
                false
            }
            Some(Place::IsLate | Place::Free) | None => true,
        }
    }

    fn leave(&self, place: usize) {
        let waiting = &mut *self.waiting.borrow_mut();
        if let Some(left) = waiting.places.get_mut(place) {
            *left = Place::Free;
            waiting.free.push(place);
        }
    }
}

/// See [`Late::unless_late`].
#[derive(Debug)]
pub struct UnlessLate<'a, F> {
    late: &'a Late,
    future: Pin<&'a mut F>,
    since: Instant,
    place: Option<usize>,
}

impl<F: Future> Future for UnlessLate<'_, F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if let Poll::Ready(output) = self.future.as_mut().poll(cx) {
            return Poll::Ready(Some(output));
        }
        match self.place {
            None => self.place = Some(self.late.enter(self.since, cx.waker().clone())),
            Some(place) if self.late.is_late(place, cx) => return Poll::Ready(None),
            Some(_) => {}
        }
        Poll::Pending
    }
}

impl<F> Drop for UnlessLate<'_, F> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.late.leave(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(200);

    #[tokio::test]
    async fn whoever_waits_for_long_is_told_and_nobody_else() {
        let (late, start) = (Late::default(), Instant::now());
        let (mut slow, mut young) =
            (std::pin::pin!(std::future::pending::<()>()), std::pin::pin!(std::future::pending::<()>()));
        let mut slow = std::pin::pin!(late.unless_late(slow.as_mut(), start));
        let mut young = std::pin::pin!(late.unless_late(young.as_mut(), start + PATIENCE));
        assert!(futures_poll(slow.as_mut()).is_pending());
        assert!(futures_poll(young.as_mut()).is_pending());
        late.sweep(start + PATIENCE + Duration::from_millis(1), PATIENCE);
        assert_eq!(futures_poll(slow.as_mut()), Poll::Ready(None));
        assert!(futures_poll(young.as_mut()).is_pending());
    }

    #[tokio::test]
    async fn what_is_done_in_time_is_handed_on_and_leaves_its_place() {
        let (late, start) = (Late::default(), Instant::now());
        for _ in 0..3 {
            let mut soon = std::pin::pin!(tokio::task::yield_now());
            assert_eq!(late.unless_late(soon.as_mut(), start).await, Some(()));
        }
        assert_eq!(late.waiting.borrow().places.len(), 1, "places are used again");
    }

    fn futures_poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }
}
