//! Sign-ins that a provider has answered and that wait for a passkey of the same person.
//!
//! Kept in the store for ten minutes, bound to the browser, and gone once taken. Nobody is signed in by one: only what
//! follows the passkey opens a session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use policy::{Assurance, Methods, ProviderId, RoleId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use store::{Ceremony, Person, Secret, Store, StoreProblem, TokenHash};

use crate::secret::{could_be_name, could_be_secret, hash_all, random_name};
use crate::{BrowserSecret, SignedIn};

/// How long a person may look for their key.
const PENDING_SPAN: Duration = Duration::from_secs(600);

const KIND: &str = "pending-sign-in";

/// Sign-ins between the provider's answer and the passkey.
pub struct PendingSignIns {
    store: Arc<dyn Store>,
}

/// A sign-in that waits.
#[derive(Debug)]
pub struct HeldSignIn {
    /// Its name, for addresses and for the name of the cookie.
    pub id: String,
    /// What the browser keeps in a cookie of the sign-in host.
    pub browser_secret: BrowserSecret,
}

/// The provider's answer as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept {
    user: String,
    issuer: String,
    subject: String,
    provider: String,
    login: String,
    name: String,
    roles: Vec<String>,
    unit: String,
    added_at: i64,
    seen_at: i64,
    confirmed_at: i64,
    assurance: String,
    methods: String,
    authenticated_at: i64,
    id_token: String,
    provider_session: Option<String>,
    refresh_token: Option<String>,
    return_to: String,
    expires_at: i64,
}

impl PendingSignIns {
    /// Keeps them in the store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { store }
    }

    /// Keeps a provider's answer until the passkey.
    ///
    /// # Errors
    /// [`StoreProblem`]; the person begins again.
    pub async fn hold(&self, signed_in: &SignedIn, at: Timestamp) -> Result<HeldSignIn, StoreProblem> {
        let held = HeldSignIn { id: random_name(), browser_secret: BrowserSecret::random() };
        let key = key(&held.id, held.browser_secret.expose());
        self.keep(key, &written(signed_in, at.after(PENDING_SPAN))).await?;
        Ok(held)
    }

    /// Looks at one and leaves it where it is. `None` if there is none for this browser any more.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn look(
        &self,
        id: &str,
        browser_secret: &str,
        at: Timestamp,
    ) -> Result<Option<SignedIn>, StoreProblem> {
        let Some((key, kept)) = self.take_kept(id, browser_secret, at).await? else { return Ok(None) };
        self.keep(key, &kept).await?;
        read(kept).map(Some)
    }

    /// Takes one, for good. `None` if there is none for this browser any more.
    ///
    /// # Errors
    /// [`StoreProblem`]; nobody is signed in then.
    pub async fn take(
        &self,
        id: &str,
        browser_secret: &str,
        at: Timestamp,
    ) -> Result<Option<SignedIn>, StoreProblem> {
        match self.take_kept(id, browser_secret, at).await? {
            Some((_, kept)) => read(kept).map(Some),
            None => Ok(None),
        }
    }

    async fn take_kept(
        &self,
        id: &str,
        browser_secret: &str,
        at: Timestamp,
    ) -> Result<Option<(TokenHash, Kept)>, StoreProblem> {
        if !(could_be_name(id) && could_be_secret(browser_secret)) {
            return Ok(None);
        }
        let key = key(id, browser_secret);
        let Some(state) = self.store.take_ceremony(key, KIND, at).await? else { return Ok(None) };
        Ok(Some((key, serde_json::from_str(&state).map_err(|problem| corrupt(&problem))?)))
    }

    async fn keep(&self, key: TokenHash, kept: &Kept) -> Result<(), StoreProblem> {
        let state = serde_json::to_string(kept).map_err(|problem| corrupt(&problem))?;
        let expires_at = Timestamp::from_unix_micros(kept.expires_at);
        self.store.start_ceremony(key, Ceremony { kind: KIND, state, expires_at }).await
    }
}

/// The name and the browser's secret: taking needs both.
fn key(id: &str, browser_secret: &str) -> TokenHash {
    hash_all(KIND, &[id, browser_secret])
}

fn written(signed_in: &SignedIn, expires_at: Timestamp) -> Kept {
    let SignedIn {
        person,
        assurance,
        methods,
        authenticated_at,
        id_token,
        provider_session,
        refresh_token,
        return_to,
    } = signed_in;
    Kept {
        user: person.id.as_str().to_owned(),
        issuer: person.issuer.clone(),
        subject: person.subject.clone(),
        provider: person.provider.as_str().to_owned(),
        login: person.login.clone(),
        name: person.name.clone(),
        roles: person.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        unit: person.unit.clone(),
        added_at: person.added_at.unix_micros(),
        seen_at: person.seen_at.unix_micros(),
        confirmed_at: person.confirmed_at.unix_micros(),
        assurance: assurance.as_str().to_owned(),
        methods: methods.to_string(),
        authenticated_at: authenticated_at.unix_micros(),
        id_token: id_token.0.clone(),
        provider_session: provider_session.clone(),
        refresh_token: refresh_token.as_ref().map(|token| token.0.clone()),
        return_to: return_to.clone(),
        expires_at: expires_at.unix_micros(),
    }
}

fn read(kept: Kept) -> Result<SignedIn, StoreProblem> {
    let roles: Result<Vec<RoleId>, _> = kept.roles.iter().map(|role| RoleId::parse(role)).collect();
    let person = Person {
        id: UserId::parse(&kept.user).map_err(|problem| corrupt(&problem))?,
        issuer: kept.issuer,
        subject: kept.subject,
        provider: ProviderId::parse(&kept.provider).map_err(|problem| corrupt(&problem))?,
        login: kept.login,
        name: kept.name,
        roles: roles.map_err(|problem| corrupt(&problem))?,
        unit: kept.unit,
        added_at: Timestamp::from_unix_micros(kept.added_at),
        seen_at: Timestamp::from_unix_micros(kept.seen_at),
        confirmed_at: Timestamp::from_unix_micros(kept.confirmed_at),
        disabled: None,
    };
    Ok(SignedIn {
        person,
        assurance: Assurance::parse(&kept.assurance).ok_or_else(|| corrupt(&"an assurance"))?,
        methods: Methods::parse(&kept.methods).ok_or_else(|| corrupt(&"methods"))?,
        authenticated_at: Timestamp::from_unix_micros(kept.authenticated_at),
        id_token: Secret(kept.id_token),
        provider_session: kept.provider_session,
        refresh_token: kept.refresh_token.map(Secret),
        return_to: kept.return_to,
    })
}

fn corrupt(problem: &dyn fmt::Display) -> StoreProblem {
    StoreProblem::Corrupt(format!("a sign-in that waits for a passkey: {problem}"))
}

impl fmt::Debug for PendingSignIns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PendingSignIns(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::SignInMethod;
    use store::Sqlite;

    const NOW: Timestamp = Timestamp::from_unix_micros(1_000_000_000);

    fn signed_in() -> SignedIn {
        let person = Person {
            id: crate::user_id("https://city.example", "n.sato"),
            issuer: "https://city.example".to_owned(),
            subject: "n.sato".to_owned(),
            provider: ProviderId::parse("city").unwrap(),
            login: "n.sato".to_owned(),
            name: "佐藤 花子".to_owned(),
            roles: vec![RoleId::parse("nurse").unwrap()],
            unit: "3F".to_owned(),
            added_at: NOW,
            seen_at: NOW,
            confirmed_at: NOW,
            disabled: None,
        };
        SignedIn {
            person,
            assurance: Assurance::Aal2,
            methods: Methods::of([SignInMethod::Provider, SignInMethod::ProviderMfa]),
            authenticated_at: NOW,
            id_token: Secret("token".to_owned()),
            provider_session: Some("sid".to_owned()),
            refresh_token: Some(Secret("refresh".to_owned())),
            return_to: "begun=1".to_owned(),
        }
    }

    #[tokio::test]
    async fn what_waits_is_found_by_its_own_browser_and_taken_once() {
        let pending = PendingSignIns::new(Arc::new(Sqlite::in_memory().unwrap()));
        let held = pending.hold(&signed_in(), NOW).await.unwrap();
        let secret = held.browser_secret.expose();
        let other = BrowserSecret::random();
        assert!(pending.take(&held.id, other.expose(), NOW).await.unwrap().is_none(), "another browser");
        assert!(pending.take(&random_name(), secret, NOW).await.unwrap().is_none(), "another name");
        assert!(pending.take("", "", NOW).await.unwrap().is_none());
        let seen = pending.look(&held.id, secret, NOW).await.unwrap().expect("is there");
        assert_eq!(seen.person, signed_in().person);
        let taken = pending.take(&held.id, secret, NOW).await.unwrap().expect("is there still");
        assert_eq!(format!("{taken:?}"), format!("{:?}", signed_in()));
        assert_eq!((taken.id_token.0.as_str(), taken.refresh_token.unwrap().0.as_str()), ("token", "refresh"));
        assert!(pending.take(&held.id, secret, NOW).await.unwrap().is_none(), "once");
    }

    #[tokio::test]
    async fn looking_at_it_does_not_make_it_last_longer() {
        let pending = PendingSignIns::new(Arc::new(Sqlite::in_memory().unwrap()));
        let held = pending.hold(&signed_in(), NOW).await.unwrap();
        let secret = held.browser_secret.expose();
        assert!(pending.look(&held.id, secret, NOW.after(Duration::from_secs(599))).await.unwrap().is_some());
        assert!(pending.look(&held.id, secret, NOW.after(PENDING_SPAN)).await.unwrap().is_none());
    }
}
