//! Passkeys: enrolled, and used as the whole sign-in, as the second factor after a provider, for a step-up, and to
//! come back to a parked session (Web Authentication Level 3).
//!
//! Every ceremony lasts five minutes, is bound to the browser that began it, and is used up by its first answer, right
//! or wrong. The person is always verified by their authenticator. Whether an account or a key exists shows neither in
//! an answer nor in the work it takes: all refusals look the same to the browser, and only the record knows why.
//! Nobody is locked out by failures: a stranger has nothing to count against.
//! Deliberately not here: cookies and pages (web), what a passkey permits (policy), sessions
//! ([`Sessions`](crate::Sessions)).

mod alone;
mod answer;
mod authentication;
mod ceremony;
mod decoy;
mod problem;
mod proven;
mod registration;
mod roots;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use policy::{Aaguid, Host, Timestamp, UserId};
use store::{Credential, CredentialId, Store, StoreProblem};
use webauthn_rs::prelude::Url;
use webauthn_rs::{Webauthn, WebauthnBuilder};

pub use alone::{Alone, ProviderFirst, may_sign_in_by_passkey};
pub use authentication::Whom;
pub use ceremony::{Answer, Begun};
pub use problem::{PasskeyProblem, PasskeyRefusal, PasskeySetUpProblem, RefusedPasskey};
pub use proven::Proven;
pub use registration::{Enrolled, Enrolment, Newcomer};

/// How long a ceremony lasts: the authenticator, a PIN, a finger.
const CEREMONY_SPAN: Duration = Duration::from_secs(300);
/// The longest name of a passkey, in characters.
const NAME_CHARS_MAX: usize = 64;

/// The party that passkeys are for. They never leave it: changing the host makes every passkey worthless.
#[derive(Clone, Debug)]
pub struct RelyingParty {
    /// The sign-in host; its name is the RP id.
    pub host: Host,
    /// Its origin, as browsers write it.
    pub origin: String,
    /// Its name, as authenticators show it: the institution's.
    pub name: String,
}

/// Passkeys of people, and the ceremonies around them. One for each configuration; it keeps nothing in memory.
pub struct Passkeys {
    store: Arc<dyn Store>,
    webauthn: Webauthn,
    rules: config::Passkeys,
    roots: roots::Roots,
    decoy: decoy::Decoy,
}

/// A passkey, as its owner and the help desk see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passkey {
    /// Its id.
    pub id: CredentialId,
    /// What its owner calls it.
    pub name: String,
    /// The authenticator's model; all zero where it does not say.
    pub model: Aaguid,
    /// The name of the model, where the operator listed it.
    pub model_name: Option<String>,
    /// Whether it may still be used: the operator may have forbidden the model since.
    pub is_allowed: bool,
    /// Whether it cannot leave its authenticator.
    pub device_bound: bool,
    /// When it was added.
    pub added_at: Timestamp,
    /// When it was last used.
    pub used_at: Option<Timestamp>,
    /// Who added it: its owner, or whoever made the invitation.
    pub added_by: String,
}

impl Passkeys {
    /// Makes passkeys for one party, with the rules on models that the operator set.
    ///
    /// # Errors
    /// [`PasskeySetUpProblem`] if the host and the origin do not fit each other, or a maker's certificate cannot be read.
    pub fn new(
        store: Arc<dyn Store>,
        party: &RelyingParty,
        rules: config::Passkeys,
    ) -> Result<Self, PasskeySetUpProblem> {
        let wrong = |problem: String| PasskeySetUpProblem { origin: party.origin.clone(), problem };
        let origin = Url::parse(&party.origin).map_err(|problem| wrong(problem.to_string()))?;
        let builder =
            WebauthnBuilder::new(party.host.as_str(), &origin).map_err(|problem| wrong(problem.to_string()))?;
        let builder = builder.rp_name(&party.name).timeout(CEREMONY_SPAN);
        let webauthn = builder.build().map_err(|problem| wrong(problem.to_string()))?;
        let decoy = decoy::Decoy::new().map_err(wrong)?;
        let roots = roots::Roots::read(&rules).map_err(wrong)?;
        Ok(Self { store, webauthn, rules, roots, decoy })
    }

    /// The passkeys of a person, earliest first.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn of(&self, user: &UserId) -> Result<Vec<Passkey>, StoreProblem> {
        let kept = self.store.credentials_of(user).await?;
        Ok(kept.into_iter().map(|credential| self.shown(credential)).collect())
    }

    /// Whether a person has a passkey that may be used.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn has_any(&self, user: &UserId) -> Result<bool, StoreProblem> {
        Ok(self.of(user).await?.iter().any(|passkey| passkey.is_allowed))
    }

    /// Whether a person ever had a passkey, a removed one too.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn had_any(&self, user: &UserId) -> Result<bool, StoreProblem> {
        self.store.had_credential(user).await
    }

    /// Gives a person's passkey another name. False if they have no such key.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn rename(
        &self,
        user: &UserId,
        id: &CredentialId,
        name: &str,
        actor: &str,
        at: Timestamp,
    ) -> Result<bool, StoreProblem> {
        self.store.rename_credential(user, id, short_name(name), at, actor.to_owned()).await
    }

    /// Removes a person's passkey and ends the sessions that were opened with it. False if they have no such key.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn remove(
        &self,
        user: &UserId,
        id: &CredentialId,
        actor: &str,
        at: Timestamp,
    ) -> Result<bool, StoreProblem> {
        Ok(self.store.remove_credential(user, id, at, actor.to_owned()).await?.is_some())
    }

    fn shown(&self, credential: Credential) -> Passkey {
        let Credential { id, name, model, device_bound, added_at, used_at, added_by, .. } = credential;
        let model_name = self.rules.name_of(model).map(str::to_owned);
        let is_allowed = self.rules.allow(model);
        Passkey { id, name, model, model_name, is_allowed, device_bound, added_at, used_at, added_by }
    }
}

/// A name as it is kept: without control characters, not too long, never empty.
fn short_name(name: &str) -> String {
    let plain: String = name.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX).collect();
    let plain = plain.trim();
    if plain.is_empty() { "passkey".to_owned() } else { plain.to_owned() }
}

impl fmt::Debug for Passkeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passkeys").field("rules", &self.rules).finish_non_exhaustive()
    }
}

#[cfg(test)]
pub(crate) mod tests;
