//! What is kept in the store from one step of something to the next: of a sign-in that began, a hand-off, a ceremony
//! with a key. Found by the digest of the secrets that the next step shows, taken once, and gone when its time is over.

use policy::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Ceremony, Store, StoreProblem, TokenHash};

/// Keeps a state until a moment. `kind` keeps one kind of state from being taken for another.
pub(crate) async fn keep(
    store: &dyn Store,
    kind: &'static str,
    key: TokenHash,
    state: &impl Serialize,
    expires_at: Timestamp,
) -> Result<(), StoreProblem> {
    let state = serde_json::to_string(state).map_err(|problem| unreadable(kind, &problem))?;
    store.start_ceremony(key, Ceremony { kind, state, expires_at }).await
}

/// Takes a state, for good. `None` if there is none of this kind under this key in time.
pub(crate) async fn take<T: for<'de> Deserialize<'de>>(
    store: &dyn Store,
    kind: &'static str,
    key: TokenHash,
    at: Timestamp,
) -> Result<Option<T>, StoreProblem> {
    let Some(state) = store.take_ceremony(key, kind, at).await? else { return Ok(None) };
    Ok(Some(serde_json::from_str(&state).map_err(|problem| unreadable(kind, &problem))?))
}

fn unreadable(kind: &str, problem: &serde_json::Error) -> StoreProblem {
    StoreProblem::Corrupt(format!("what was begun as `{kind}`: {problem}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::hash;
    use store::Sqlite;

    const NOW: Timestamp = Timestamp::from_unix_micros(1_000_000_000);

    #[tokio::test]
    async fn a_state_that_cannot_be_read_is_said_to_be_so_and_is_taken_all_the_same() {
        let store = Sqlite::in_memory().unwrap();
        let until = NOW.after(std::time::Duration::from_secs(1));
        keep(&store, "one", hash("a"), &"no number", until).await.unwrap();
        let problem = take::<u64>(&store, "one", hash("a"), NOW).await.unwrap_err();
        assert!(matches!(&problem, StoreProblem::Corrupt(what) if what.starts_with("what was begun as `one`")));
        assert_eq!(take::<String>(&store, "one", hash("a"), NOW).await.unwrap(), None, "once");
    }
}
