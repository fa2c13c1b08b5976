//! Invitations: a code that brings a person their passkey, a device its certificate, or the first administrator in.

use std::time::Duration;

use policy::{DeviceId, Timestamp, UserId};
use store::{Invitation, InvitationId, Invited, PEOPLE_READ_MAX, PeopleFilter, Person, Purpose, StoreProblem};

use super::{InvitationCode, People, PeopleProblem, is_local, text};
use crate::secret::random;

/// The longest life of an invitation.
const INVITATION_SPAN_MAX: Duration = Duration::from_secs(14 * 24 * 3600);
/// The life of the first administrator's invitation: whoever asks for it stands at the machine.
const FIRST_SPAN: Duration = Duration::from_secs(24 * 3600);

/// An invitation that was made. The code is shown once, now.
#[derive(Clone, Debug)]
pub struct MadeInvitation {
    /// Which, safe to log.
    pub id: InvitationId,
    /// Its code, for a link (`/enrol#CODE`), a QR code or paper.
    pub code: InvitationCode,
    /// When it is void.
    pub expires_at: Timestamp,
}

/// What a code opens, for the page that asks for a passkey or installs a certificate.
#[derive(Clone, Debug)]
pub struct InvitationShown {
    /// Which.
    pub id: InvitationId,
    /// What for.
    pub purpose: Purpose,
    /// For whom, where it names somebody.
    pub person: Option<Person>,
    /// For which device, where it names one.
    pub device: Option<DeviceId>,
    /// When it is void.
    pub expires_at: Timestamp,
}

impl People {
    /// Invites a person to enrol a passkey. An earlier invitation of theirs is void. `proofing` says how they were
    /// identified, such as `職員証、対面`.
    ///
    /// # Errors
    /// [`PeopleProblem`].
    pub async fn invite(
        &self,
        user: &UserId,
        span: Duration,
        proofing: &str,
        actor: &str,
        at: Timestamp,
    ) -> Result<MadeInvitation, PeopleProblem> {
        let proofing = text(proofing).ok_or(PeopleProblem::ProofingMissing)?;
        bounded(span, INVITATION_SPAN_MAX)?;
        self.make(Invited::Passkey(user.clone()), span, proofing, String::new(), actor, at).await
    }

    /// Invites a device of the ledger to get its certificate.
    ///
    /// # Errors
    /// [`PeopleProblem`].
    pub async fn invite_device(
        &self,
        device: &DeviceId,
        span: Duration,
        reason: &str,
        actor: &str,
        at: Timestamp,
    ) -> Result<MadeInvitation, PeopleProblem> {
        bounded(span, INVITATION_SPAN_MAX)?;
        let reason = text(reason).unwrap_or_default();
        self.make(Invited::Device(device.clone()), span, String::new(), reason, actor, at).await
    }

    /// Invites whoever holds the code to become the first administrator, while there is none who can sign in. An
    /// earlier such invitation is void.
    ///
    /// # Errors
    /// [`PeopleProblem`].
    pub async fn first_administrator(&self, actor: &str, at: Timestamp) -> Result<MadeInvitation, PeopleProblem> {
        if self.console.administrators.is_empty() {
            return Err(PeopleProblem::NoAdministratorRole);
        }
        if !self.is_local {
            return Err(PeopleProblem::NoDirectory);
        }
        if self.has_administrator().await? {
            return Err(PeopleProblem::HasAdministrator);
        }
        let proofing = "whoever had the code from the machine".to_owned();
        self.make(Invited::FirstAdministrator, FIRST_SPAN, proofing, String::new(), actor, at).await
    }

    /// What a code opens, without using it. Costs the same whatever the code is.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn look_at_invitation(&self, code: &str, at: Timestamp) -> Result<Option<InvitationShown>, StoreProblem> {
        let Some(code) = InvitationCode::parse(code) else { return Ok(None) };
        let Some(invitation) = self.store.invitation(code.hash(), at).await? else { return Ok(None) };
        let person = match invitation.invited.user() {
            Some(user) => self.store.person(user).await?,
            None => None,
        };
        Ok(Some(InvitationShown {
            id: invitation.id,
            purpose: invitation.invited.purpose(),
            person,
            device: invitation.invited.device().cloned(),
            expires_at: invitation.expires_at,
        }))
    }

    /// The invitations that are kept, newest first, used, revoked and expired ones too.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn invitations(&self) -> Result<Vec<Invitation>, StoreProblem> {
        self.store.invitations().await
    }

    /// Revokes an invitation; with a temporary code end the sessions that it opened, in the same step. False if it is
    /// not in force.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn revoke_invitation(&self, id: InvitationId, actor: &str, at: Timestamp) -> Result<bool, StoreProblem> {
        self.store.revoke_invitation(id, at, actor.to_owned()).await
    }

    pub(super) async fn make(
        &self,
        invited: Invited,
        span: Duration,
        proofing: String,
        reason: String,
        actor: &str,
        at: Timestamp,
    ) -> Result<MadeInvitation, PeopleProblem> {
        let code = InvitationCode::random();
        let id = InvitationId::new(u64::from_le_bytes(random()));
        let expires_at = at.after(span);
        let invitation = Invitation {
            id,
            secret: code.hash(),
            invited,
            made_by: actor.to_owned(),
            made_at: at,
            expires_at,
            proofing,
            reason,
            used_at: None,
            revoked_at: None,
        };
        self.store.invite(invitation).await?;
        Ok(MadeInvitation { id, code, expires_at })
    }

    /// Whether somebody in force holds a role of administrators and has a way to sign in.
    async fn has_administrator(&self) -> Result<bool, StoreProblem> {
        for role in &self.console.administrators {
            let filter = PeopleFilter { role: Some(role.clone()), disabled: Some(false), ..PeopleFilter::default() };
            for person in self.store.people(filter, None, PEOPLE_READ_MAX).await? {
                if !is_local(&person) || !self.store.credentials_of(&person.id).await?.is_empty() {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

pub(super) fn bounded(span: Duration, most: Duration) -> Result<(), PeopleProblem> {
    let fits = !span.is_zero() && span <= most;
    if fits { Ok(()) } else { Err(PeopleProblem::Span { max_hours: most.as_secs() / 3600 }) }
}
