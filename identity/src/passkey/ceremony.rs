//! What is kept between the beginning of a ceremony and its answer.

use serde::{Deserialize, Serialize};
use store::{Store, StoreProblem, TokenHash};

use policy::Timestamp;

use super::{CEREMONY_SPAN, PasskeyProblem, PasskeyRefusal};
use crate::secret::{could_be_name, could_be_secret, hash_all, random_name};
use crate::{BrowserSecret, steps};

/// A ceremony that has begun.
#[derive(Debug)]
pub struct Begun {
    /// What the browser's `navigator.credentials` is to be asked: a JSON object with the member `publicKey`, in the
    /// form that `PublicKeyCredential.parseCreationOptionsFromJSON` and `parseRequestOptionsFromJSON` read.
    pub options: String,
    /// The name of the ceremony; the answer names it again.
    pub ceremony: String,
    /// What the browser keeps in a cookie of the sign-in host, for five minutes.
    pub browser_secret: BrowserSecret,
}

/// A browser's answer to a ceremony.
#[derive(Clone, Copy)]
pub struct Answer<'a> {
    /// [`Begun::ceremony`].
    pub ceremony: &'a str,
    /// [`Begun::browser_secret`].
    pub browser_secret: &'a str,
    /// What the authenticator said: `JSON.stringify(credential.toJSON())`.
    pub credential: &'a str,
}

impl std::fmt::Debug for Answer<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Answer").field("ceremony", &self.ceremony).finish_non_exhaustive()
    }
}

/// Keeps a state until the answer, and tells what the browser must know.
pub(super) async fn keep(
    store: &dyn Store,
    kind: &'static str,
    state: &impl Serialize,
    options: String,
    at: Timestamp,
) -> Result<Begun, StoreProblem> {
    let begun = Begun { options, ceremony: random_name(), browser_secret: BrowserSecret::random() };
    let key = key(kind, &begun.ceremony, begun.browser_secret.expose());
    steps::keep(store, kind, key, state, at.after(CEREMONY_SPAN)).await?;
    Ok(begun)
}

/// Takes the state of a ceremony: once, in time, for the browser that began it.
pub(super) async fn take<T: for<'de> Deserialize<'de>>(
    store: &dyn Store,
    kind: &'static str,
    answer: Answer<'_>,
    at: Timestamp,
) -> Result<T, PasskeyProblem> {
    let Answer { ceremony, browser_secret, credential: _ } = answer;
    if !(could_be_name(ceremony) && could_be_secret(browser_secret)) {
        return Err(PasskeyRefusal::Void.into());
    }
    let state = steps::take(store, kind, key(kind, ceremony, browser_secret), at).await?;
    Ok(state.ok_or(PasskeyRefusal::Void)?)
}

fn key(kind: &str, ceremony: &str, browser_secret: &str) -> TokenHash {
    hash_all(kind, &[ceremony, browser_secret])
}

pub(super) fn unreadable(problem: &serde_json::Error) -> StoreProblem {
    StoreProblem::Corrupt(format!("a passkey: {problem}"))
}
