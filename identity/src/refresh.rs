//! Asks providers again and again whether the people who are signed in are still theirs, and in which roles.
//!
//! A provider that refuses ends the session; other roles hold from then on in every session of the person; silence
//! changes nothing, because that is an outage and not a leaver. Several processes share the work: a session is asked
//! about by whoever claims it.

use std::sync::Arc;

use policy::{ProviderId, Timestamp};
use store::{Person, Secret, SessionRecord, Store, StoreProblem};

use crate::oidc::{Confirmed, PROVIDER_ACTOR, Rejection, SignInProblem};
use crate::together::{Work, together};
use crate::{Oidc, Sessions};

/// Sessions asked about in one round, of one provider.
const SESSIONS_MAX: usize = 256;
/// Sessions asked about at once.
const AT_ONCE_MAX: usize = 8;

/// Looks after people who are signed in. One task owns it.
#[derive(Debug)]
pub struct Refresh {
    store: Arc<dyn Store>,
    sessions: Arc<Sessions>,
}

/// What a round found.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Refreshed {
    /// Sessions whose person the provider confirmed.
    pub confirmed: usize,
    /// People whose roles are others now.
    pub changed: usize,
    /// Sessions that ended because the provider refused.
    pub ended: usize,
    /// Sessions of which nothing is known, because the provider did not answer, or not as it should.
    pub unanswered: usize,
}

/// What became of one session.
enum Found {
    Confirmed,
    Changed,
    Ended,
    Unanswered,
    /// Another process asks, or the session is over.
    NotOurs,
}

impl Refresh {
    /// Asks about the sessions of this store.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, sessions: Arc<Sessions>) -> Self {
        Self { store, sessions }
    }

    /// Asks about the sessions whose time has come. Call it every few seconds.
    ///
    /// # Errors
    /// [`StoreProblem`]; what was not asked is asked the next time.
    pub async fn round(&self, oidc: &Oidc, at: Timestamp) -> Result<Refreshed, StoreProblem> {
        let mut refreshed = Refreshed::default();
        for (provider, interval) in oidc.check_intervals() {
            // Those that were asked about a whole interval ago count too.
            let micros = i64::try_from(interval.as_micros()).unwrap_or(i64::MAX).saturating_sub(1);
            let before = Timestamp::from_unix_micros(at.unix_micros().saturating_sub(micros));
            // It would only make everyone wait, and outages end by themselves.
            if oidc.is_in_outage(provider) {
                continue;
            }
            let due = self.store.sessions_to_check(provider, before, SESSIONS_MAX).await?;
            for several in due.chunks(AT_ONCE_MAX) {
                let ask =
                    |(session, person)| -> Work<'_, _> { Box::pin(self.ask(oidc, provider, session, person, at)) };
                let found = together(several.iter().map(|(session, person)| ask((session, person))).collect()).await;
                for one in found {
                    refreshed.count(&one?);
                }
            }
        }
        Ok(refreshed)
    }

    async fn ask(
        &self,
        oidc: &Oidc,
        provider: &ProviderId,
        session: &SessionRecord,
        person: &Person,
        at: Timestamp,
    ) -> Result<Found, StoreProblem> {
        let Some(token) = &session.refresh_token else { return Ok(Found::NotOurs) };
        if !self.store.claim_check(session.id, session.checked_at, at).await? {
            return Ok(Found::NotOurs);
        }
        let confirmed = match oidc.ask_again(provider, token, &person.subject).await {
            Ok(confirmed) => confirmed,
            Err(SignInProblem::Refused { error, .. }) if error == "invalid_grant" => {
                return self.end(session, at).await;
            }
            Err(problem) => return Ok(unanswered(provider, session, &problem)),
        };
        let Confirmed { refresh_token, roles } = confirmed;
        // First: the token that was used may be void from now on.
        if let Some(next) = refresh_token.filter(|next| *next != Secret(token.0.clone())) {
            self.store.set_refresh_token(session.id, Some(next)).await?;
        }
        match roles {
            Ok(Some(roles)) => self.confirm(person, roles, at).await,
            Ok(None) => Ok(Found::Confirmed),
            // The token is somebody else's: whose session this is, is not certain any more.
            Err(SignInProblem::Rejected { rejection: Rejection::Subject, .. }) => self.end(session, at).await,
            Err(problem) => Ok(unanswered(provider, session, &problem)),
        }
    }

    async fn confirm(&self, person: &Person, roles: Vec<policy::RoleId>, at: Timestamp) -> Result<Found, StoreProblem> {
        match self.store.confirm_roles(&person.id, roles, at, PROVIDER_ACTOR.to_owned()).await {
            Ok(true) => Ok(Found::Changed),
            // Whoever disabled the person ended the session too.
            Ok(false) | Err(StoreProblem::NotInForce(_)) => Ok(Found::Confirmed),
            Err(problem) => Err(problem),
        }
    }

    async fn end(&self, session: &SessionRecord, at: Timestamp) -> Result<Found, StoreProblem> {
        let ended = self.sessions.end(session.id, PROVIDER_ACTOR, at).await?;
        Ok(if ended { Found::Ended } else { Found::NotOurs })
    }
}

fn unanswered(provider: &ProviderId, session: &SessionRecord, problem: &SignInProblem) -> Found {
    tracing::warn!(%provider, session = %session.id, %problem, "whether a person is still the provider's is not known");
    Found::Unanswered
}

impl Refreshed {
    fn count(&mut self, found: &Found) {
        match found {
            Found::Confirmed => self.confirmed += 1,
            Found::Changed => {
                self.confirmed += 1;
                self.changed += 1;
            }
            Found::Ended => self.ended += 1,
            Found::Unanswered => self.unanswered += 1,
            Found::NotOurs => {}
        }
    }
}
