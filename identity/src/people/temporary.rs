//! Temporary codes, for whose key is lost or broken: one shift at most, from a supervisor, with a reason.
//!
//! A code is good until its end, not once: terminals of a ward lock, and whoever has no key must get in again. Sessions
//! that it opens end with it.

use std::time::Duration;

use policy::{Timestamp, UserId};
use store::{InvitationId, Invited, Person};

use super::invite::bounded;
use super::{InvitationCode, MadeInvitation, People, PeopleProblem, text};

/// One shift.
const TEMPORARY_SPAN_MAX: Duration = Duration::from_secs(12 * 3600);

/// A person who signed in by a temporary code.
#[derive(Clone, Debug)]
pub struct TemporarilyIn {
    person: Person,
    invitation: InvitationId,
    ends_at: Timestamp,
}

impl TemporarilyIn {
    /// Who.
    #[must_use]
    pub fn person(&self) -> &Person {
        &self.person
    }

    /// By which code.
    #[must_use]
    pub fn invitation(&self) -> InvitationId {
        self.invitation
    }

    /// When the code ends, and the session with it.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.ends_at
    }
}

impl People {
    /// Makes a temporary code for a person. An earlier one of theirs is void. `supervisor` is the actor and answers
    /// for it.
    ///
    /// # Errors
    /// [`PeopleProblem`].
    pub async fn temporary(
        &self,
        user: &UserId,
        span: Duration,
        reason: &str,
        supervisor: &str,
        at: Timestamp,
    ) -> Result<MadeInvitation, PeopleProblem> {
        if supervisor == user.as_str() {
            return Err(PeopleProblem::Oneself);
        }
        let reason = text(reason).ok_or(PeopleProblem::ReasonMissing)?;
        bounded(span, TEMPORARY_SPAN_MAX)?;
        self.demand_origin(&self.store.person(user).await?.ok_or(PeopleProblem::Unknown)?)?;
        self.make(Invited::Temporary(user.clone()), span, String::new(), reason, supervisor, at).await
    }

    /// Signs a person in by a temporary code. Nobody is whom neither directory nor provider vouches for any more.
    ///
    /// # Errors
    /// [`PeopleProblem::Refused`] for every code that opens nothing, whatever the reason.
    pub async fn sign_in_temporarily(&self, code: &str, at: Timestamp) -> Result<TemporarilyIn, PeopleProblem> {
        let code = InvitationCode::parse(code).ok_or(PeopleProblem::Refused)?;
        let invitation = self.store.invitation(code.hash(), at).await?.ok_or(PeopleProblem::Refused)?;
        let Invited::Temporary(user) = invitation.invited else { return Err(PeopleProblem::Refused) };
        let person = self.store.person(&user).await?.filter(|person| person.disabled.is_none());
        let person = person.filter(|person| self.demand_origin(person).is_ok()).ok_or(PeopleProblem::Refused)?;
        Ok(TemporarilyIn { person, invitation: invitation.id, ends_at: invitation.expires_at })
    }
}
