//! Asking the person at this machine to sign in and to let the program in: the program shows a code and an address, and
//! waits. It never sees how they sign in.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use policy::AppId;
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};
use web::ConnectWords;
use zeroize::Zeroizing;

use super::road::{Road, Trouble};
use crate::cli::say;

/// The longest a gateway may have the program wait, in seconds.
const WAIT_SECONDS_MAX: u64 = 900;
/// The longest between two questions, in seconds.
const INTERVAL_SECONDS_MAX: u64 = 30;

/// What the person lets in.
pub struct Permission {
    road: Rc<Road>,
    app: AppId,
    words: Rc<ConnectWords>,
    /// Counts tokens, so that many tunnels that need another ask once.
    number: Cell<u64>,
    asking: Mutex<()>,
}

impl Permission {
    /// Nothing is let in yet.
    pub fn new(road: Rc<Road>, app: AppId, words: Rc<ConnectWords>) -> Self {
        Self { road, app, words, number: Cell::new(0), asking: Mutex::new(()) }
    }

    /// Which token is in use.
    pub fn number(&self) -> u64 {
        self.number.get()
    }

    /// Asks the person, unless somebody did since the token of this number failed.
    ///
    /// # Errors
    /// [`Trouble`].
    pub async fn ask(&self, failed: Option<u64>) -> Result<(), Trouble> {
        let _one_at_a_time = self.asking.lock().await;
        if failed.is_some_and(|failed| failed != self.number.get()) {
            return Ok(());
        }
        self.road.set_token(None);
        let begun = self.road.post("/.sekimori/connect/begin", &json!({})).await?;
        let text = |key: &str| begun.get(key).and_then(Value::as_str).unwrap_or_default();
        if text("app") != self.app.as_str() {
            return Err(Trouble::Refused(self.words.say("other-app", &[("app", &plain(text("app")))])));
        }
        say(&self.words.say("ask", &[("address", &plain(text("address"))), ("code", &plain(text("code")))]));
        let seconds = |key: &str, most: u64| begun.get(key).and_then(Value::as_u64).unwrap_or(most).clamp(1, most);
        let interval = Duration::from_secs(seconds("interval", INTERVAL_SECONDS_MAX));
        let until = Instant::now() + Duration::from_secs(seconds("expires_in", WAIT_SECONDS_MAX));
        let take = json!({ "secret": text("secret") });
        while Instant::now() < until {
            sleep(interval).await;
            let mut taken = match self.road.post("/.sekimori/connect/token", &take).await {
                Ok(taken) => taken,
                // The line may be bad here too.
                Err(Trouble::Unreachable(_)) => continue,
                Err(trouble) => return Err(trouble),
            };
            if let Some(Value::String(token)) = taken.get_mut("token").map(Value::take) {
                self.road.set_token(Some(Zeroizing::new(token)));
                self.number.set(self.number.get() + 1);
                say(&self.words.say("allowed", &[]));
                return Ok(());
            }
        }
        Err(Trouble::SignIn)
    }
}

/// What came from outside, without what a terminal would obey.
fn plain(text: &str) -> String {
    text.chars().filter(|sign| !sign.is_control()).take(400).collect()
}
