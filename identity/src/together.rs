//! Waits for several answers at once, without tasks of their own: dropping the wait drops them all.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;

/// Work that will be done.
pub(crate) type Work<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Does a handful of works at once and hands back their results in order. Each wake asks all that are not done, so
/// the caller bounds their number.
pub(crate) async fn together<T>(works: Vec<Work<'_, T>>) -> Vec<T> {
    let mut under_way: Vec<_> = works.into_iter().map(|work| (Some(work), None)).collect();
    poll_fn(|context| {
        let mut is_done = true;
        for (work, result) in &mut under_way {
            match work.as_mut().map(|work| work.as_mut().poll(context)) {
                Some(Poll::Ready(value)) => {
                    *result = Some(value);
                    *work = None;
                }
                Some(Poll::Pending) => is_done = false,
                None => {}
            }
        }
        if is_done { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    under_way.into_iter().filter_map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_slowest_decides_and_the_order_stays() {
        let begun = Instant::now();
        let work = |seconds: u64| -> Work<'_, u64> {
            Box::pin(async move {
                sleep(Duration::from_secs(seconds)).await;
                seconds
            })
        };
        assert_eq!(together(vec![work(3), work(1), work(2)]).await, [3, 1, 2]);
        assert_eq!(begun.elapsed(), Duration::from_secs(3));
        assert!(together::<u64>(Vec::new()).await.is_empty());
    }
}
