//! Sign-ins that a provider has answered and that wait for a passkey of the same person.
//!
//! Kept for ten minutes, bound to the browser, and gone once taken. Nobody is signed in by one: only what follows the
//! passkey opens a session.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use policy::{Assurance, Methods, ProviderId, RoleId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use store::{Person, Secret, Store, StoreProblem};

use crate::{Shelf, Shelved, SignedIn};

/// How long a person may look for their key.
const PENDING_SPAN: Duration = Duration::from_secs(600);

const KIND: &str = "pending-sign-in";

/// Sign-ins between the provider's answer and the passkey.
#[derive(Debug)]
pub struct PendingSignIns {
    shelf: Shelf,
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
}

impl PendingSignIns {
    /// Keeps them in the store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self { shelf: Shelf::new(store) }
    }

    /// Keeps a provider's answer until the passkey.
    ///
    /// # Errors
    /// [`StoreProblem`]; the person begins again.
    pub async fn hold(&self, signed_in: &SignedIn, at: Timestamp) -> Result<Shelved, StoreProblem> {
        let content = serde_json::to_string(&written(signed_in)).map_err(|problem| corrupt(&problem))?;
        self.shelf.put(KIND, content, PENDING_SPAN, at).await
    }

    /// Looks at one and leaves it where it is. `None` if there is none for this browser any more.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn look(&self, id: &str, browser_secret: &str, at: Timestamp) -> Result<Option<SignedIn>, StoreProblem> {
        self.shelf.look(KIND, id, browser_secret, at).await?.map(|text| read(&text)).transpose()
    }

    /// Takes one, for good. `None` if there is none for this browser any more.
    ///
    /// # Errors
    /// [`StoreProblem`]; nobody is signed in then.
    pub async fn take(&self, id: &str, browser_secret: &str, at: Timestamp) -> Result<Option<SignedIn>, StoreProblem> {
        self.shelf.take(KIND, id, browser_secret, at).await?.map(|text| read(&text)).transpose()
    }
}

fn written(signed_in: &SignedIn) -> Kept {
    let SignedIn { person, assurance, methods, authenticated_at, id_token, provider_session, refresh_token, return_to } =
        signed_in;
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
    }
}

fn read(text: &str) -> Result<SignedIn, StoreProblem> {
    let kept: Kept = serde_json::from_str(text).map_err(|problem| corrupt(&problem))?;
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
    async fn a_providers_answer_comes_back_as_it_was_and_once() {
        let pending = PendingSignIns::new(Arc::new(Sqlite::in_memory().unwrap()));
        let held = pending.hold(&signed_in(), NOW).await.unwrap();
        let secret = held.browser_secret.expose();
        let seen = pending.look(&held.id, secret, NOW).await.unwrap().expect("is there");
        assert_eq!(seen.person, signed_in().person);
        let taken = pending.take(&held.id, secret, NOW).await.unwrap().expect("is there still");
        assert_eq!(format!("{taken:?}"), format!("{:?}", signed_in()));
        assert_eq!((taken.id_token.0.as_str(), taken.refresh_token.unwrap().0.as_str()), ("token", "refresh"));
        assert!(pending.take(&held.id, secret, NOW).await.unwrap().is_none(), "once");
    }
}
