//! The codes given out and not yet redeemed: each once, for a minute, and only so many.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use policy::Timestamp;

use super::super::people::Person;
use super::key::random_text;

/// How long a code can be redeemed.
const LIFETIME: Duration = Duration::from_secs(60);
/// Codes that may wait to be redeemed.
const CODES_MAX: usize = 1024;

/// What a code stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Grant {
    pub(super) person: &'static Person,
    pub(super) redirect_uri: String,
    pub(super) nonce: Option<String>,
    pub(super) code_challenge: String,
    /// When the person proved who they are, in seconds since the epoch.
    pub(super) auth_time: i64,
    pub(super) session: String,
}

/// The codes given out.
#[derive(Default)]
pub(super) struct Codes(Mutex<HashMap<String, (Timestamp, Grant)>>);

impl Codes {
    /// Gives out a code; `None` where too many wait, or the system gives no random numbers.
    pub(super) fn give(&self, grant: Grant, at: Timestamp) -> Option<String> {
        let code = random_text()?;
        let mut codes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        codes.retain(|_, (ends_at, _)| *ends_at > at);
        if codes.len() >= CODES_MAX {
            return None;
        }
        codes.insert(code.clone(), (at.after(LIFETIME), grant));
        Some(code)
    }

    /// Takes back a code that is still good: nobody gets it twice.
    pub(super) fn take(&self, code: &str, at: Timestamp) -> Option<Grant> {
        let (ends_at, grant) = self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(code)?;
        (ends_at > at).then_some(grant)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant() -> Grant {
        Grant {
            person: &super::super::super::people::PEOPLE[0],
            redirect_uri: String::new(),
            nonce: None,
            code_challenge: String::new(),
            auth_time: 0,
            session: String::new(),
        }
    }

    #[test]
    fn a_code_works_once_and_for_a_minute() {
        let (codes, now) = (Codes::default(), Timestamp::from_unix_micros(0));
        let code = codes.give(grant(), now).unwrap();
        assert_eq!(codes.take(&code, now), Some(grant()));
        assert_eq!(codes.take(&code, now), None, "taken");
        let code = codes.give(grant(), now).unwrap();
        assert_eq!(codes.take(&code, now.after(LIFETIME)), None, "too late");
    }

    #[test]
    fn more_codes_than_fit_are_refused_until_old_ones_end() {
        let (codes, now) = (Codes::default(), Timestamp::from_unix_micros(0));
        for _ in 0..CODES_MAX {
            codes.give(grant(), now).unwrap();
        }
        assert_eq!(codes.give(grant(), now), None);
        assert!(codes.give(grant(), now.after(LIFETIME)).is_some());
    }
}
