//! How a sign-in on the sign-in host becomes a session cookie on an app's host, which cannot read the other's cookies.
//!
//! The app's host starts a hand-off and gives the browser a secret; the sign-in host approves it for its session and
//! sends the browser back with a code; the app's host takes the code, together with the secret, for a token of its
//! own. Each step works once, for ten minutes at most, and the last one only in the browser and on the host of the
//! first. Where the person wanted to go stays on the server. Many tabs have many hand-offs and do not disturb another.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use policy::{Host, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Store, StoreProblem};

use crate::secret::{could_be_name, could_be_secret, digest, hash_all, random_name};
use crate::steps::{keep, take};
use crate::{BrowserSecret, Session, SessionToken, Sessions};

/// From the first request to the end of the sign-in.
const SIGN_IN_SPAN: Duration = Duration::from_secs(600);
/// From the approval to the arrival: one redirect.
const ARRIVAL_SPAN: Duration = Duration::from_secs(60);
/// The longest target, in bytes; a longer one is forgotten and the person arrives at `/`.
const TARGET_BYTES_MAX: usize = 16 * 1024;

const STARTED: &str = "hand-off";
const APPROVED: &str = "hand-off-arrival";

/// Hand-offs between the sign-in host and the hosts of apps.
pub struct HandOffs {
    store: Arc<dyn Store>,
    sessions: Arc<Sessions>,
}

/// A hand-off that the host of an app started.
#[derive(Debug)]
pub struct StartedHandOff {
    /// Its name, for the address at the sign-in host and for the name of the cookie.
    pub id: String,
    /// What the browser keeps in a cookie of the app's host.
    pub browser_secret: BrowserSecret,
}

/// A hand-off that the sign-in host approved.
#[derive(Debug)]
pub struct Approved {
    /// The host to send the browser back to.
    pub host: Host,
    /// The one-time code to send along.
    pub code: BrowserSecret,
}

/// A hand-off that is done.
#[derive(Debug)]
pub struct Arrived {
    /// The session's token for this host.
    pub token: SessionToken,
    /// The session.
    pub session: SessionId,
    /// Path and query that the person asked for in the first place: begins with `/`, and never leaves the host.
    pub target: String,
}

/// Why a hand-off does not go on.
#[derive(Debug, thiserror::Error)]
pub enum HandOffProblem {
    /// Not one that this browser may go on with here: too old, used already, another browser's, another host's.
    #[error("the hand-off is not known, is too old, was used already or belongs to another browser")]
    Void,
    /// The session is over.
    #[error("the session is over")]
    SessionOver,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreProblem),
}

#[derive(Serialize, Deserialize)]
struct Start {
    host: String,
    target: String,
    browser: String,
}

#[derive(Serialize, Deserialize)]
struct Approval {
    session: String,
    target: String,
}

impl HandOffs {
    /// Keeps started hand-offs in the store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, sessions: Arc<Sessions>) -> Self {
        Self { store, sessions }
    }

    /// Starts a hand-off on the host of an app. `target` is path and query of what was asked for.
    ///
    /// # Errors
    /// [`HandOffProblem::Store`].
    pub async fn start(&self, host: &Host, target: &str, at: Timestamp) -> Result<StartedHandOff, HandOffProblem> {
        let started = StartedHandOff { id: random_name(), browser_secret: BrowserSecret::random() };
        let state = Start {
            host: host.as_str().to_owned(),
            target: stays_on_host(target).to_owned(),
            browser: digest(started.browser_secret.expose()),
        };
        let key = hash_all(STARTED, &[&started.id]);
        keep(&*self.store, STARTED, key, &state, at.after(SIGN_IN_SPAN)).await?;
        Ok(started)
    }

    /// Approves a hand-off on the sign-in host, for the session that is signed in there.
    ///
    /// # Errors
    /// [`HandOffProblem`]; the hand-off is used up all the same.
    pub async fn approve(&self, id: &str, session: &Session, at: Timestamp) -> Result<Approved, HandOffProblem> {
        if !could_be_name(id) {
            return Err(HandOffProblem::Void);
        }
        if !self.sessions.is_open(session, at) {
            return Err(HandOffProblem::SessionOver);
        }
        let start: Option<Start> = take(&*self.store, STARTED, hash_all(STARTED, &[id]), at).await?;
        let start = start.ok_or(HandOffProblem::Void)?;
        let host = Host::parse(&start.host).map_err(|problem| StoreProblem::Corrupt(problem.to_string()))?;
        let code = BrowserSecret::random();
        let key = hash_all(APPROVED, &[host.as_str(), id, code.expose(), &start.browser]);
        let state = Approval { session: session.id().to_string(), target: start.target };
        keep(&*self.store, APPROVED, key, &state, at.after(ARRIVAL_SPAN)).await?;
        Ok(Approved { host, code })
    }

    /// Takes an approved hand-off on the host of the app, for a token of its own. With a wrong host, code or browser
    /// there is nothing to take, and the right one still works.
    ///
    /// # Errors
    /// [`HandOffProblem`].
    pub async fn arrive(
        &self,
        host: &Host,
        id: &str,
        code: &str,
        browser_secret: &str,
        at: Timestamp,
    ) -> Result<Arrived, HandOffProblem> {
        if !(could_be_name(id) && could_be_secret(code) && could_be_secret(browser_secret)) {
            return Err(HandOffProblem::Void);
        }
        let key = hash_all(APPROVED, &[host.as_str(), id, code, &digest(browser_secret)]);
        let approval: Option<Approval> = take(&*self.store, APPROVED, key, at).await?;
        let approval = approval.ok_or(HandOffProblem::Void)?;
        let session = SessionId::parse(&approval.session)
            .ok_or_else(|| StoreProblem::Corrupt("a hand-off without a session".to_owned()))?;
        let token = self.sessions.add_token(session, host).await?.ok_or(HandOffProblem::SessionOver)?;
        Ok(Arrived { token, session, target: approval.target })
    }
}

/// The target if no browser could read it as another host's address or as more than one header line, else `/`.
fn stays_on_host(target: &str) -> &str {
    let is_path = target.starts_with('/') && !target.starts_with("//");
    let is_plain = target.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    if is_path && is_plain && target.len() <= TARGET_BYTES_MAX { target } else { "/" }
}

impl fmt::Debug for HandOffs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HandOffs(..)")
    }
}

#[cfg(test)]
mod tests;
