//! Whose a session is, for events that tell only of the session: an ended one is out of the store when its event is
//! read. And which sessions stand locked.

use std::collections::HashMap;
use std::time::Duration;

use audit::{Event, Note};
use policy::{DeviceId, ProviderId, SessionId, Timestamp, UserId};
use store::{Change, Store, StoreProblem};

/// How often all open sessions are looked at when nothing is told of them.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// How much less often for each of them, so that many cost no more than few.
const LOOK_INTERVAL_EACH: Duration = Duration::from_millis(1);
/// The most sessions remembered.
const SESSIONS_MAX: usize = 100_000;

/// What is remembered of a session.
#[derive(Debug)]
struct Known {
    user: UserId,
    login: String,
    provider: ProviderId,
    device: Option<DeviceId>,
    in_outage: bool,
    /// The last use, as far as it was written down.
    seen_at: Timestamp,
    is_parked: bool,
    /// The use after which it was found locked, so that each lock is told once.
    lock_told_of: Option<Timestamp>,
    /// In which look it was last seen.
    look: u64,
}

/// Sessions and their people, as of the last look. A session that lives for less than the time between two looks is
/// recorded by its id alone; its sign-in has the person.
#[derive(Debug, Default)]
pub struct Whose {
    sessions: HashMap<SessionId, Known>,
    looks: u64,
    looked_at: Option<Timestamp>,
}

impl Whose {
    /// Looks at all open sessions, if the last look is a while ago.
    pub async fn look(&mut self, store: &dyn Store, at: Timestamp) {
        let each = u32::try_from(self.sessions.len()).unwrap_or(u32::MAX);
        let interval = LOOK_INTERVAL + LOOK_INTERVAL_EACH * each;
        if self.looked_at.is_some_and(|looked_at| at.since(looked_at) < interval) {
            return;
        }
        self.looked_at = Some(at);
        self.looks += 1;
        if self.look_now(store).await.is_ok() {
            // What ended since the look before may still be told of; what ended earlier was.
            let looks = self.looks;
            self.sessions.retain(|_, known| known.look + 1 >= looks);
        }
    }

    /// Looks again where an event is of a session that is not known, unless it is gone.
    ///
    /// # Errors
    /// The store does not answer: ask again.
    pub async fn follow(&mut self, event: &store::Event, store: &dyn Store) -> Result<(), StoreProblem> {
        match &event.change {
            Change::SessionParked(id) | Change::SessionResumed(id) | Change::SessionChanged(id)
                if !self.sessions.contains_key(id) =>
            {
                match self.look_now(store).await {
                    Err(problem) if problem.may_pass() => return Err(problem),
                    // Asking again changes nothing: its id alone is recorded.
                    Ok(()) | Err(_) => {}
                }
            }
            Change::SessionParked(_)
            | Change::SessionResumed(_)
            | Change::SessionChanged(_)
            | Change::SessionEnded(_)
            | Change::PersonAdded(_)
            | Change::PersonChanged { .. }
            | Change::PersonDisabled(_)
            | Change::PersonEnabled(_)
            | Change::CredentialAdded { .. }
            | Change::CredentialRenamed { .. }
            | Change::CredentialRemoved { .. }
            | Change::InvitationMade(_)
            | Change::InvitationUsed(_)
            | Change::InvitationRevoked(_)
            | Change::DeviceAdded(_)
            | Change::DeviceChanged(_)
            | Change::DeviceRevoked(_)
            | Change::CertificateAdded(_)
            | Change::CertificateRevoked(_)
            | Change::PostureChanged
            | Change::OutageBegan(_)
            | Change::OutageEnded(_)
            | Change::OutageSwitched { .. }
            | Change::LogRead(_)
            | Change::PolicyProposed(_)
            | Change::GrantRequested(_)
            | Change::GrantApproved(_)
            | Change::GrantAdmitted(_)
            | Change::GrantRefused(_)
            | Change::GrantWithdrawn(_)
            | Change::GrantEnded(_)
            | Change::GrantReported(_)
            | Change::GrantConfirmed(_)
            | Change::GlassBroken(_)
            | Change::GlassReviewed(_)
            | Change::GrantOverdue { .. }
            | Change::InventoryChanged(_)
            | Change::PolicyApproved(_)
            | Change::Unknown(_) => {}
        }
        Ok(())
    }

    async fn look_now(&mut self, store: &dyn Store) -> Result<(), StoreProblem> {
        let sessions = store.sessions().await?;
        for (session, person) in sessions.into_iter().take(SESSIONS_MAX) {
            let known = Known {
                user: session.user,
                login: person.login,
                provider: person.provider,
                device: session.device,
                in_outage: session.in_outage,
                seen_at: session.seen_at,
                is_parked: session.parked_at.is_some(),
                lock_told_of: self.sessions.get(&session.id).and_then(|before| before.lock_told_of),
                look: self.looks,
            };
            self.sessions.insert(session.id, known);
        }
        Ok(())
    }

    /// The sessions that stand locked since the last time, each told once: a lock is nothing that anybody does, so the
    /// store has no event of it.
    pub fn locked(
        &mut self,
        at: Timestamp,
        lock_of: impl Fn(&DeviceId) -> Option<Duration>,
        is_open: impl Fn(SessionId) -> bool,
    ) -> Vec<Note> {
        let mut found = Vec::new();
        for (id, known) in &mut self.sessions {
            let Some(lock) = known.device.as_ref().and_then(&lock_of) else { continue };
            let is_told = known.lock_told_of == Some(known.seen_at);
            if known.look == self.looks
                && !known.is_parked
                && !is_told
                && at.since(known.seen_at) > lock
                && !is_open(*id)
            {
                known.lock_told_of = Some(known.seen_at);
                found.push(*id);
            }
        }
        found.into_iter().map(|id| self.of_session(Note::new(Event::SessionLocked, at), id)).collect()
    }

    /// Adds the session, and whose it is as far as that is known.
    pub fn of_session(&self, note: Note, id: SessionId) -> Note {
        let note = note.session(id);
        let Some(known) = self.sessions.get(&id) else { return note };
        Note {
            login: Some(known.login.clone()),
            provider: Some(known.provider.clone()),
            device: known.device.clone(),
            in_outage: known.in_outage,
            ..note.user(&known.user)
        }
    }
}
