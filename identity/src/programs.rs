//! How a program on a person's device, `sekimori connect`, gets a token of its own for a TCP app, without ever seeing
//! how its person signs in (in the manner of RFC 8628, device authorization).
//!
//! The program begins and is given a code and a secret; its person reads the code in the program, compares it with the
//! one on the page of the app's host, where they are signed in, and lets it in; the program takes the token with its
//! secret. Each step works once, within ten minutes, and all of them with the certificate of one and the same device:
//! whoever sends another person a code of their own program gets nothing, because that person's browser shows another
//! certificate.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use policy::{DeviceId, Host, SessionId, Timestamp};
use serde::{Deserialize, Serialize};
use store::{Store, StoreProblem};

use crate::secret::{could_be_secret, digest, hash_all, random};
use crate::steps::{keep, take};
use crate::{BrowserSecret, Session, SessionToken, Sessions};

/// From the program's first question to its person's word.
const BEGUN_SPAN: Duration = Duration::from_secs(600);
/// From the person's word to the program's next question, which it asks every few seconds.
const ALLOWED_SPAN: Duration = Duration::from_secs(60);
/// What codes are made of: no vowels, so that no word comes out, and nothing that looks like something else.
const CODE_LETTERS: &[u8; 20] = b"BCDFGHJKLMNPQRSTVWXZ";
/// How many letters a code has: 34 bits, guessed on one device and within ten minutes.
const CODE_LENGTH: usize = 8;

const BEGUN: &str = "program";
const ALLOWED: &str = "program-allowed";

/// Programs that ask to be let in to a TCP app.
pub struct Programs {
    store: Arc<dyn Store>,
    sessions: Arc<Sessions>,
}

/// A program that asked.
#[derive(Debug)]
pub struct BegunProgram {
    /// The code that its person compares.
    pub code: ProgramCode,
    /// What the program takes its token with.
    pub secret: BrowserSecret,
    /// How long all of this is good for.
    pub span: Duration,
}

/// What a person compares on the page with what the program shows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProgramCode(String);

impl ProgramCode {
    fn random() -> Self {
        // 240 is the largest multiple of twenty that a byte holds: what lies beyond would favour some letters.
        let letters = std::iter::repeat_with(random::<16>).flatten().filter(|byte| *byte < 240);
        let letter = |byte: u8| CODE_LETTERS.get(usize::from(byte) % CODE_LETTERS.len()).copied().map(char::from);
        Self(letters.filter_map(letter).take(CODE_LENGTH).collect())
    }

    /// Reads a code as it is shown or typed: small letters, spaces and hyphens do no harm.
    #[must_use]
    pub fn parse(typed: &str) -> Option<Self> {
        let letters: String = typed
            .chars()
            .filter(|sign| !matches!(sign, ' ' | '-'))
            .take(CODE_LENGTH + 1)
            .map(|sign| sign.to_ascii_uppercase())
            .collect();
        let is_code = letters.len() == CODE_LENGTH && letters.bytes().all(|byte| CODE_LETTERS.contains(&byte));
        is_code.then_some(Self(letters))
    }
}

impl fmt::Display for ProgramCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = self.0.split_at_checked(CODE_LENGTH / 2).unwrap_or((&self.0, ""));
        write!(f, "{first}-{second}")
    }
}

/// Why a program is not let in.
#[derive(Debug, thiserror::Error)]
pub enum ProgramProblem {
    /// Not one that may go on here: too old, used already, another device's, another host's.
    #[error("the code is not known here, is too old, was used already or is another device's")]
    Void,
    /// The session is over.
    #[error("the session is over")]
    SessionOver,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreProblem),
}

#[derive(Serialize, Deserialize)]
struct Asked {
    program: String,
}

#[derive(Serialize, Deserialize)]
struct Allowed {
    session: String,
}

impl Programs {
    /// Keeps programs that asked in the store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, sessions: Arc<Sessions>) -> Self {
        Self { store, sessions }
    }

    /// A program asks on the host of an app.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn begin(&self, host: &Host, device: &DeviceId, at: Timestamp) -> Result<BegunProgram, StoreProblem> {
        let begun = BegunProgram { code: ProgramCode::random(), secret: BrowserSecret::random(), span: BEGUN_SPAN };
        let key = hash_all(BEGUN, &[host.as_str(), device.as_str(), &begun.code.0]);
        let state = Asked { program: digest(begun.secret.expose()) };
        keep(&*self.store, BEGUN, key, &state, at.after(BEGUN_SPAN)).await?;
        Ok(begun)
    }

    /// Its person lets it in, on the page of the same host and with the same device. With a wrong host, code or device
    /// there is nothing to let in, and the right one still works.
    ///
    /// # Errors
    /// [`ProgramProblem`].
    pub async fn allow(
        &self,
        host: &Host,
        code: &ProgramCode,
        session: &Session,
        at: Timestamp,
    ) -> Result<(), ProgramProblem> {
        if !self.sessions.is_open(session, at) {
            return Err(ProgramProblem::SessionOver);
        }
        let device = session.who.bound_to.as_ref().ok_or(ProgramProblem::Void)?;
        let key = hash_all(BEGUN, &[host.as_str(), device.as_str(), &code.0]);
        let asked: Option<Asked> = take(&*self.store, BEGUN, key, at).await?;
        let asked = asked.ok_or(ProgramProblem::Void)?;
        let key = hash_all(ALLOWED, &[host.as_str(), device.as_str(), &asked.program]);
        let state = Allowed { session: session.id().to_string() };
        Ok(keep(&*self.store, ALLOWED, key, &state, at.after(ALLOWED_SPAN)).await?)
    }

    /// The program takes its token for this host, once its person let it in.
    ///
    /// # Errors
    /// [`ProgramProblem::Void`] as long as nobody let it in.
    pub async fn take_token(
        &self,
        host: &Host,
        device: &DeviceId,
        secret: &str,
        at: Timestamp,
    ) -> Result<SessionToken, ProgramProblem> {
        if !could_be_secret(secret) {
            return Err(ProgramProblem::Void);
        }
        let key = hash_all(ALLOWED, &[host.as_str(), device.as_str(), &digest(secret)]);
        let allowed: Option<Allowed> = take(&*self.store, ALLOWED, key, at).await?;
        let allowed = allowed.ok_or(ProgramProblem::Void)?;
        let session = SessionId::parse(&allowed.session)
            .ok_or_else(|| StoreProblem::Corrupt("a program that was let in without a session".to_owned()))?;
        self.sessions.add_token(session, host).await?.ok_or(ProgramProblem::SessionOver)
    }
}

impl fmt::Debug for Programs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Programs(..)")
    }
}

#[cfg(test)]
mod tests;
