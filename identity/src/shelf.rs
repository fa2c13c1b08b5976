//! What waits on the server for one browser, for a while: a sign-in that waits for a passkey, a file to be fetched.
//!
//! Bound to the browser by a secret that it keeps in a cookie, and gone when its time is over.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use policy::Timestamp;
use serde::{Deserialize, Serialize};
use store::{Store, StoreProblem, TokenHash};

use crate::secret::{could_be_name, could_be_secret, hash_all, random_name};
use crate::{BrowserSecret, steps};

/// Where things wait for their browser.
pub struct Shelf {
    store: Arc<dyn Store>,
}

/// Something that waits.
#[derive(Debug)]
pub struct Shelved {
    /// Its name, for addresses and for the name of the cookie.
    pub id: String,
    /// What the browser keeps in a cookie of the sign-in host.
    pub browser_secret: BrowserSecret,
}

/// How it is kept: with its end, so that looking at it does not make it last longer.
#[derive(Serialize, Deserialize)]
struct Kept {
    until: i64,
    content: String,
}

impl Shelf {
    /// Keeps things in the store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Puts something there. `kind` keeps one kind of thing from being taken for another.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn put(
        &self,
        kind: &'static str,
        content: String,
        span: Duration,
        at: Timestamp,
    ) -> Result<Shelved, StoreProblem> {
        let shelved = Shelved { id: random_name(), browser_secret: BrowserSecret::random() };
        let key = hash_all(kind, &[&shelved.id, shelved.browser_secret.expose()]);
        self.keep(kind, key, &Kept { until: at.after(span).unix_micros(), content }).await?;
        Ok(shelved)
    }

    /// Looks at something and leaves it there. `None` if nothing is there for this browser.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn look(
        &self,
        kind: &'static str,
        id: &str,
        browser_secret: &str,
        at: Timestamp,
    ) -> Result<Option<String>, StoreProblem> {
        let Some((key, kept)) = self.take_kept(kind, id, browser_secret, at).await? else { return Ok(None) };
        self.keep(kind, key, &kept).await?;
        Ok(Some(kept.content))
    }

    /// Takes something, for good. `None` if nothing is there for this browser.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn take(
        &self,
        kind: &'static str,
        id: &str,
        browser_secret: &str,
        at: Timestamp,
    ) -> Result<Option<String>, StoreProblem> {
        Ok(self.take_kept(kind, id, browser_secret, at).await?.map(|(_, kept)| kept.content))
    }

    async fn take_kept(
        &self,
        kind: &'static str,
        id: &str,
        browser_secret: &str,
        at: Timestamp,
    ) -> Result<Option<(TokenHash, Kept)>, StoreProblem> {
        if !(could_be_name(id) && could_be_secret(browser_secret)) {
            return Ok(None);
        }
        let key = hash_all(kind, &[id, browser_secret]);
        Ok(steps::take(&*self.store, kind, key, at).await?.map(|kept| (key, kept)))
    }

    async fn keep(&self, kind: &'static str, key: TokenHash, kept: &Kept) -> Result<(), StoreProblem> {
        steps::keep(&*self.store, kind, key, kept, Timestamp::from_unix_micros(kept.until)).await
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shelf(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use store::Sqlite;

    const NOW: Timestamp = Timestamp::from_unix_micros(1_000_000_000);
    const SPAN: Duration = Duration::from_secs(600);

    fn shelf() -> Shelf {
        Shelf::new(Arc::new(Sqlite::in_memory().unwrap()))
    }

    #[tokio::test]
    async fn what_waits_is_found_by_its_own_browser_and_taken_once() {
        let shelf = shelf();
        let put = shelf.put("file", "content".to_owned(), SPAN, NOW).await.unwrap();
        let (id, secret) = (put.id.as_str(), put.browser_secret.expose());
        let other = BrowserSecret::random();
        assert_eq!(shelf.take("file", id, other.expose(), NOW).await.unwrap(), None, "another browser");
        assert_eq!(shelf.take("file", &random_name(), secret, NOW).await.unwrap(), None, "another name");
        assert_eq!(shelf.take("word", id, secret, NOW).await.unwrap(), None, "another kind");
        assert_eq!(shelf.take("file", "", "", NOW).await.unwrap(), None);
        assert_eq!(shelf.look("file", id, secret, NOW).await.unwrap().as_deref(), Some("content"));
        assert_eq!(shelf.take("file", id, secret, NOW).await.unwrap().as_deref(), Some("content"));
        assert_eq!(shelf.take("file", id, secret, NOW).await.unwrap(), None, "once");
    }

    #[tokio::test]
    async fn looking_at_it_does_not_make_it_last_longer() {
        let shelf = shelf();
        let put = shelf.put("file", "content".to_owned(), SPAN, NOW).await.unwrap();
        let (id, secret) = (put.id.as_str(), put.browser_secret.expose());
        let late = NOW.after(Duration::from_secs(599));
        assert!(shelf.look("file", id, secret, late).await.unwrap().is_some());
        assert!(shelf.look("file", id, secret, NOW.after(SPAN)).await.unwrap().is_none());
    }
}
