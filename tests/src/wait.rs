//! Waiting for what another process does: looked at again and again, never slept for and hoped.

use std::future::Future;
use std::time::{Duration, Instant};

/// How long anything may take before its test fails.
const PATIENCE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Looks until there is something to see. `what` names it in the failure.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begin.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::time::sleep(LOOK_AGAIN).await;
    }
}

/// The same for what takes longer than most.
pub async fn eventually_in<T>(span: Duration, what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(begin.elapsed() < span, "{what}: not within {span:?}");
        tokio::time::sleep(LOOK_AGAIN * 20).await;
    }
}

/// Runs to the end, or fails when it takes longer than `span`.
pub async fn within<T>(span: Duration, what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(span, work).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not within {span:?}"),
    }
}
