//! The real clock and the real dice. Everything else is handed its time and its randomness.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::rand;
use policy::{Clock, RequestId, Timestamp};

/// The machine's clock.
pub fn real() -> Clock {
    Clock::new(now)
}

/// The moment it is.
#[expect(clippy::disallowed_methods, reason = "this is the one place that asks the clock")]
pub fn now() -> Timestamp {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_micros(i64::try_from(since_epoch.as_micros()).unwrap_or(i64::MAX))
}

/// Makes request ids: 48 random bits fixed at start and a counter, so that no request pays for randomness.
/// An id is not a secret; it only has to be unique.
#[derive(Debug)]
pub struct RequestIds {
    salt: u64,
    next: AtomicU64,
}

impl RequestIds {
    /// A fresh series.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn new() -> Result<Self, String> {
        Ok(Self { salt: random_u64()?, next: AtomicU64::new(random_u64()?) })
    }

    /// The next id.
    pub fn next(&self, at: Timestamp) -> RequestId {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        RequestId::new(at, u128::from(self.salt) << 64 | u128::from(count))
    }
}

/// 64 bits from the system.
///
/// # Errors
/// When the system gives no randomness.
pub fn random_u64() -> Result<u64, String> {
    let mut bytes = [0; 8];
    rand::fill(&mut bytes).map_err(|_| "the system gives no randomness".to_owned())?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn request_ids_differ() {
        let ids = RequestIds::new().unwrap();
        let at = Timestamp::from_unix_micros(1_700_000_000_000_000);
        assert_ne!(ids.next(at), ids.next(at));
    }
}
