//! What is looked for by the clock: exceptions of which something is overdue, of which the store tells once, and patients
//! of broken glass that the store need not know any more, as the log does.

use std::time::Duration;

use policy::Timestamp;
use store::Store;

/// How often it is looked.
const INTERVAL: Duration = Duration::from_secs(5);
/// How long after its review the store still knows for whom glass was broken: until the review stands in the log for sure.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(60 * 60);

/// When it was looked last.
#[derive(Debug, Default)]
pub struct Chores {
    last: Option<Timestamp>,
}

impl Chores {
    /// Whether to look again. A clock that was set back is no reason to wait.
    pub fn is_time(&self, at: Timestamp) -> bool {
        self.last.is_none_or(|last| at < last || last.after(INTERVAL) <= at)
    }

    /// Looks. Patients are forgotten only where all that happened is recorded, at every node.
    pub async fn run(&mut self, store: &dyn Store, at: Timestamp, is_all_recorded: bool) {
        self.last = Some(at);
        if let Err(problem) = store.note_overdue_grants(at).await {
            tracing::warn!(%problem, "it cannot be told what is overdue");
        }
        if is_all_recorded && let Err(problem) = store.forget_glass_patients(long_before(at)).await {
            tracing::warn!(%problem, "patients of reviewed exceptions could not be forgotten yet");
        }
    }
}

fn long_before(at: Timestamp) -> Timestamp {
    let span = i64::try_from(FORGOTTEN_AFTER.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_unix_micros(at.unix_micros().saturating_sub(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_unix_micros(0).after(Duration::from_secs(second))
    }

    #[tokio::test]
    async fn it_is_looked_at_once_and_then_every_while() {
        let store = store::Sqlite::in_memory().unwrap();
        let mut chores = Chores::default();
        assert!(chores.is_time(at(100)));
        chores.run(&store, at(100), true).await;
        let times = [(100, false), (104, false), (105, true), (99, true)];
        assert!(times.into_iter().all(|(second, expected)| chores.is_time(at(second)) == expected));
    }
}
