//! Brings what happened in the store into the log: who changed which person, key, invitation, device or session. Here
//! and nowhere else, so that what the command line does beside a running gateway is recorded too, and nothing twice.

use std::sync::Arc;
use std::time::Duration;

use audit::{Event, Note};
use aws_lc_rs::digest::{SHA256, digest};
use identity::Current;
use policy::DeviceId;
use store::{Change, CredentialId, Invitation, InvitationId, Purpose, Store, StoreProblem};

use crate::gate::Gate;

mod whose;

use whose::Whose;

/// Where the store keeps how far events were recorded.
const RECORDED_UP_TO: &str = "events-recorded-up-to";
/// How long to wait for news, and for a log that cannot be written.
const WAIT: Duration = Duration::from_secs(1);
/// How many events are read at once.
const EVENTS_MAX: usize = 256;
/// How much of the digest of a key's id is recorded, in bytes.
const KEY_DIGEST_BYTES: usize = 16;

/// The last event that the log has.
///
/// # Errors
/// [`StoreProblem`]; do not serve without it.
pub async fn recorded_up_to(store: &dyn Store) -> Result<u64, StoreProblem> {
    Ok(store.note(RECORDED_UP_TO).await?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Records what happened in the store, in order, each at least once.
pub async fn record_events(gate: Arc<Gate>, store: Arc<dyn Store>, from: u64) {
    let recorder = gate.log.recorder();
    let mut recorded = from;
    let mut changed = gate.changed.subscribe();
    let mut whose = Whose::default();
    loop {
        let at = gate.clock.now();
        whose.look(&*store, at).await;
        let snapshot = gate.snapshot.load_full();
        let lock_of = |device: &DeviceId| snapshot.config.sessions.of(gate.devices.class_of(device)).lock;
        for note in whose.locked(at, lock_of, |id| matches!(gate.sessions.current(id, at), Current::Open(_))) {
            // A lock that could not be recorded is no reason to hold up what people did.
            if let Err(problem) = recorder.note(note).await {
                tracing::error!(%problem, "a locked session could not be recorded");
            }
        }
        let events = store.events_after(recorded, EVENTS_MAX).await.unwrap_or_default();
        for event in &events {
            whose.follow(event, &*store).await;
            if let Some(note) = note_of(event, &*store, &whose).await {
                while let Err(problem) = recorder.note(note.clone()).await {
                    tracing::error!(%problem, "a change could not be recorded yet");
                    tokio::time::sleep(WAIT).await;
                }
            }
            recorded = event.sequence;
        }
        if events.is_empty() {
            // Either there is news, or it is time to look all the same.
            let _rung = tokio::time::timeout(WAIT, changed.changed()).await;
        } else if let Err(problem) = store.set_note(RECORDED_UP_TO, recorded.to_string()).await {
            tracing::warn!(%problem, "how far changes are recorded could not be kept; some may be recorded twice");
        }
    }
}

/// What the log says of an event; nothing where the one who did it records more than the event tells.
async fn note_of(event: &store::Event, store: &dyn Store, whose: &Whose) -> Option<Note> {
    let note = |kind| Note::new(kind, event.at).actor(event.actor.clone());
    Some(match &event.change {
        Change::PersonAdded(id) => of_person(note(Event::PersonAdded), id, store).await,
        Change::PersonChanged { user, roles } => {
            let note = of_person(note(Event::PersonChanged), user, store).await;
            let (before, after) = roles.clone().map(|changed| (changed.before, changed.after)).unzip();
            Note { roles: after, roles_before: before, ..note }
        }
        Change::PersonDisabled(id) => of_person(note(Event::PersonDisabled), id, store).await,
        Change::PersonEnabled(id) => of_person(note(Event::PersonEnabled), id, store).await,
        Change::CredentialAdded { user, credential } => {
            of_person(note(Event::KeyAdded).key(digest_of(credential)), user, store).await
        }
        Change::CredentialRenamed { user, credential } => {
            of_person(note(Event::KeyRenamed).key(digest_of(credential)), user, store).await
        }
        Change::CredentialRemoved { user, credential } => {
            of_person(note(Event::KeyRemoved).key(digest_of(credential)), user, store).await
        }
        Change::InvitationMade(id) => of_invitation(note(Event::InvitationMade), *id, store).await,
        Change::InvitationUsed(id) => of_invitation(note(Event::InvitationUsed), *id, store).await,
        Change::InvitationRevoked(id) => of_invitation(note(Event::InvitationRevoked), *id, store).await,
        Change::DeviceAdded(id) => note(Event::DeviceAdded).device(id),
        Change::DeviceChanged(id) => note(Event::DeviceChanged).device(id),
        Change::DeviceRevoked(id) => note(Event::DeviceRevoked).device(id),
        Change::CertificateAdded(id) => {
            let device = store.device(id).await.ok().flatten();
            let mut note = note(Event::CertificateAdded).device(id);
            if let Some(certificate) = device.as_ref().and_then(store::DeviceRecord::last_certificate) {
                note.certificate = Some(certificate.fingerprint);
                note.until = Some(certificate.ends_at);
                note.code = Some(certificate.issuer.as_str().to_owned());
            }
            note
        }
        Change::CertificateRevoked(id) => note(Event::CertificateRevoked).device(id),
        // Whoever takes reports of posture records them with their source, changed or not.
        Change::PostureChanged => return None,
        Change::SessionEnded(id) => whose.of_session(note(Event::SessionEnded), *id),
        Change::SessionParked(id) => whose.of_session(note(Event::SessionParked), *id),
        Change::SessionResumed(id) => whose.of_session(note(Event::SessionResumed), *id),
        Change::SessionChanged(id) => whose.of_session(note(Event::SessionChanged), *id),
        Change::OutageBegan(id) => Note { provider: Some(id.clone()), ..note(Event::OutageBegan) },
        Change::OutageEnded(id) => Note { provider: Some(id.clone()), ..note(Event::OutageEnded) },
        Change::OutageSwitched { provider, position } => {
            Note { provider: Some(provider.clone()), ..note(Event::OutageSwitched).code(position.as_str()) }
        }
        Change::LogRead(used) => {
            Note { count: Some(used.count), ..note(Event::LogRead).code(used.what.clone()).reason(&used.question) }
        }
        Change::PolicyProposed(number) => of_revision(note(Event::PolicyProposed), *number, store).await,
        Change::PolicyApproved(number) => of_revision(note(Event::PolicyApproved), *number, store).await,
    })
}

/// Adds whom it is about, as far as the store answers.
async fn of_person(note: Note, id: &policy::UserId, store: &dyn Store) -> Note {
    let Ok(Some(person)) = store.person(id).await else { return note.user(id) };
    let note = Note { login: Some(person.login), provider: Some(person.provider), ..note.user(id) };
    match person.disabled {
        Some(disabled) if note.event == Event::PersonDisabled => note.reason(&disabled.why),
        Some(_) | None => note,
    }
}

/// Adds which version of the policy it is about and why it was proposed, as far as the store answers.
async fn of_revision(note: Note, number: u64, store: &dyn Store) -> Note {
    let kept = store.revision(number).await.ok().flatten();
    let note = Note { count: Some(number), ..note };
    match kept {
        Some(kept) => Note { revision: Some(kept.proposal.revision), ..note }.reason(&kept.proposal.why),
        None => note,
    }
}

/// Adds who or what is invited to which, why, and how they were proofed, as far as the store answers. A temporary code
/// is an invitation too, but an event of its own.
async fn of_invitation(note: Note, id: InvitationId, store: &dyn Store) -> Note {
    let note = note.invitation(id.to_string());
    let kept = store.invitations().await.unwrap_or_default();
    let Some(invitation) = kept.into_iter().find(|one| one.id == id) else { return note };
    let purpose = invitation.invited.purpose();
    let is_code = purpose == Purpose::Temporary;
    let event = if is_code && note.event == Event::InvitationMade {
        Event::TemporaryCodeIssued
    } else if is_code && note.event == Event::InvitationUsed {
        Event::TemporaryCodeUsed
    } else {
        note.event
    };
    let Invitation { invited, expires_at, proofing, reason, .. } = &invitation;
    let mut note = Note { event, until: Some(*expires_at), ..note }.code(purpose.as_str());
    if event == Event::InvitationMade || event == Event::TemporaryCodeIssued {
        note = note.proofing(proofing).reason(reason);
    }
    note.device = invited.device().cloned();
    match invited.user() {
        Some(user) => of_person(note, user, store).await,
        None => note,
    }
}

/// The id of a key as it is recorded: the first half of its SHA-256, in hexadecimal digits.
fn digest_of(credential: &CredentialId) -> String {
    let digest = digest(&SHA256, &credential.0);
    digest.as_ref().iter().take(KEY_DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
