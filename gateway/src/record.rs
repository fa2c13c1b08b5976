//! Brings what happened in the store into the log: who changed which person, key, invitation, device or session. Here
//! and nowhere else, so that what the command line does beside a running gateway is recorded too, and nothing twice.

use std::sync::Arc;
use std::time::Duration;

use audit::{Event, Note, Recorder};
use aws_lc_rs::digest::{SHA256, digest};
use config::Config;
use identity::Current;
use policy::{DeviceId, GrantId};
use store::{Change, CredentialId, GrantRecord, Invitation, InvitationId, Purpose, Ruling, Store, StoreProblem};

use crate::gate::Gate;
use crate::key_deed::KeyDeed;
use crate::nodes::own_note;

mod chores;
mod whose;
mod windows;

use chores::Chores;
use whose::Whose;
use windows::Windows;

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

/// The last event that this node's log has. A node that is new begins where another one has come to.
///
/// # Errors
/// [`StoreProblem`]; do not serve without it.
pub async fn recorded_here(store: &dyn Store, config: &Config) -> Result<u64, StoreProblem> {
    match store.note(&own_note(config, RECORDED_UP_TO)).await? {
        Some(text) => Ok(text.parse().unwrap_or(0)),
        None => recorded_up_to(store).await,
    }
}

/// Whether every node of the configuration recorded as much as this one. One that has kept nothing yet begins where another
/// has come to.
async fn is_recorded_everywhere(store: &dyn Store, config: &Config, recorded: u64) -> bool {
    let Some(nodes) = &config.nodes else { return true };
    for name in nodes.peers() {
        let up_to = match store.note(&format!("{RECORDED_UP_TO}:{name}")).await {
            Ok(Some(text)) => text.parse().unwrap_or(0),
            Ok(None) => continue,
            Err(_) => return false,
        };
        if up_to < recorded {
            return false;
        }
    }
    true
}

/// Keeps how far events were recorded: for this node, and for one that is new.
async fn keep_recorded(store: &dyn Store, config: &Config, recorded: u64) -> Result<(), StoreProblem> {
    if config.nodes.is_some() {
        store.set_note(&own_note(config, RECORDED_UP_TO), recorded.to_string()).await?;
    }
    store.set_note(RECORDED_UP_TO, recorded.to_string()).await
}

/// Records what happened in the store, in order, each at least once. Each node has all of it in its own log, with the
/// number of the event, by which whoever reads several logs knows what stands there twice. What no event tells of is told
/// by the node that leads.
pub async fn record_events(gate: Arc<Gate>, store: Arc<dyn Store>, from: u64) {
    let recorder = gate.log.recorder();
    let mut recorded = from;
    let mut changed = gate.changed.subscribe();
    let mut whose = Whose::default();
    let mut windows = None;
    let mut chores = Chores::default();
    // Nothing was read yet.
    let mut is_stale = true;
    let mut is_silent = false;
    loop {
        let at = gate.clock.now();
        whose.look(&*store, at).await;
        let snapshot = gate.snapshot.load_full();
        let leads = gate.nodes.leads();
        let lock_of = |device: &DeviceId| snapshot.config.sessions.of(gate.devices.class_of(device)).lock;
        let locked = whose.locked(at, lock_of, |id| matches!(gate.sessions.current(id, at), Current::Open(_)));
        for note in locked.into_iter().filter(|_| leads) {
            // A lock that could not be recorded is no reason to hold up what people did.
            if let Err(problem) = recorder.note(note).await {
                tracing::error!(%problem, "a locked session could not be recorded");
            }
        }
        let events = match store.events_after(recorded, EVENTS_MAX).await {
            Ok(events) => events,
            Err(problem) => {
                // What waits to be recorded is not known, so nothing comes into force.
                if !std::mem::replace(&mut is_silent, true) {
                    tracing::error!(%problem, "what changed cannot be read until the store is back");
                }
                tokio::time::sleep(WAIT).await;
                continue;
            }
        };
        is_silent = false;
        let mut is_cut_short = false;
        is_stale |= events.iter().any(|event| may_give(&event.change));
        for event in &events {
            let told = match whose.follow(event, &*store).await {
                Ok(()) => note_of(event, &*store, &whose).await,
                Err(problem) => Err(problem),
            };
            let note = match told {
                Ok(note) => note,
                Err(problem) => {
                    // Without what the event is about the line would be poorer for ever: it waits for the store.
                    tracing::error!(%problem, "what changed cannot be recorded until the store is back");
                    is_cut_short = true;
                    break;
                }
            };
            if let Some(note) = note {
                let note = Note { store_event: snapshot.config.nodes.as_ref().map(|_| event.sequence), ..note };
                while let Err(problem) = recorder.note(note.clone()).await {
                    tracing::error!(%problem, "a change could not be recorded yet");
                    tokio::time::sleep(WAIT).await;
                }
            }
            recorded = event.sequence;
        }
        if is_stale && !is_cut_short && events.len() < EVENTS_MAX {
            // What was given comes into force once that is recorded; what came meanwhile is recorded first.
            match gate.grants.reload(gate.clock.now(), || is_all_recorded(&*store, recorded)).await {
                Ok(true) => {
                    is_stale = false;
                    gate.ring();
                }
                Ok(false) => {}
                Err(problem) => tracing::error!(%problem, "exceptions cannot be read; none comes into force"),
            }
        }
        if !leads {
            // What another node told meanwhile is read again when this one leads.
            windows = None;
        } else if !is_stale {
            tell_boundaries(&gate, &*store, &recorder, &mut windows).await;
        }
        if chores.is_time(gate.clock.now()) {
            let is_recorded = events.is_empty() && is_recorded_everywhere(&*store, &snapshot.config, recorded).await;
            chores.run(&*store, gate.clock.now(), is_recorded).await;
        }
        if is_cut_short {
            tokio::time::sleep(WAIT).await;
        }
        if events.is_empty() {
            // Either there is news, or it is time to look all the same.
            let _rung = tokio::time::timeout(WAIT, changed.changed()).await;
        } else if let Err(problem) = keep_recorded(&*store, &snapshot.config, recorded).await {
            tracing::warn!(%problem, "how far changes are recorded could not be kept; some may be recorded twice");
        }
    }
}

/// Tells of exceptions that began or are over since the last time. What could not be recorded is told the next time.
async fn tell_boundaries(gate: &Gate, store: &dyn Store, recorder: &Recorder, windows: &mut Option<Windows>) {
    if windows.is_none() {
        // Without an answer it is tried again; else what is open would be told anew.
        *windows = Windows::restore(store).await.ok();
    }
    let Some(windows) = windows else { return };
    let passed = windows.passed(gate, gate.clock.now());
    for one in &passed {
        if let Some(note) = one.to_note() {
            let Ok(note) = of_grant(note, &one.id, store, |_| None).await else { continue };
            if let Err(problem) = recorder.note(note).await {
                tracing::error!(%problem, "the beginning or end of an exception could not be recorded yet");
                continue;
            }
        }
        windows.note(one);
    }
    if !passed.is_empty()
        && let Err(problem) = windows.keep(store).await
    {
        tracing::warn!(%problem, "which exceptions are open could not be kept; an end may be told twice");
    }
}

/// Whether nothing waits to be recorded by which something may come into force.
async fn is_all_recorded(store: &dyn Store, recorded: u64) -> Result<bool, StoreProblem> {
    let waiting = store.events_after(recorded, EVENTS_MAX).await?;
    Ok(waiting.len() < EVENTS_MAX && !waiting.iter().any(|event| may_give(&event.change)))
}

/// Whether something may come into force by it that was not: an exception that was given, or that somebody may give
/// again who gave it.
fn may_give(change: &Change) -> bool {
    match change {
        Change::GrantApproved(_)
        | Change::GrantAdmitted(_)
        | Change::GlassBroken(_)
        | Change::PersonEnabled(_)
        | Change::PersonChanged { .. }
        // Nobody knows.
        | Change::Unknown(_) => true,
        Change::PersonAdded(_)
        | Change::PersonDisabled(_)
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
        | Change::SessionEnded(_)
        | Change::SessionParked(_)
        | Change::SessionResumed(_)
        | Change::SessionChanged(_)
        | Change::OutageBegan(_)
        | Change::OutageEnded(_)
        | Change::OutageSwitched { .. }
        | Change::PolicyProposed(_)
        | Change::PolicyApproved(_)
        | Change::LogRead(_)
        | Change::GrantRequested(_)
        | Change::GrantRefused(_)
        | Change::GrantWithdrawn(_)
        | Change::GrantEnded(_)
        | Change::GrantReported(_)
        | Change::GrantConfirmed(_)
        | Change::GlassReviewed(_)
        | Change::GrantOverdue { .. }
        | Change::InventoryChanged(_) => false,
    }
}

/// What the log says of an event; nothing where the one who did it records more than the event tells.
///
/// # Errors
/// The store does not answer: ask again, or the line would lack what the event is about.
async fn note_of(event: &store::Event, store: &dyn Store, whose: &Whose) -> Result<Option<Note>, StoreProblem> {
    let note = |kind| Note::new(kind, event.at).actor(event.actor.clone());
    Ok(Some(match &event.change {
        Change::PersonAdded(id) => of_person(note(Event::PersonAdded), id, store).await?,
        Change::PersonChanged { user, roles } => {
            let note = of_person(note(Event::PersonChanged), user, store).await?;
            let (before, after) = roles.clone().map(|changed| (changed.before, changed.after)).unzip();
            Note { roles: after, roles_before: before, ..note }
        }
        Change::PersonDisabled(id) => of_person(note(Event::PersonDisabled), id, store).await?,
        Change::PersonEnabled(id) => of_person(note(Event::PersonEnabled), id, store).await?,
        Change::CredentialAdded { user, credential } => {
            of_person(note(Event::KeyAdded).key(digest_of(credential)), user, store).await?
        }
        Change::CredentialRenamed { user, credential } => {
            of_person(note(Event::KeyRenamed).key(digest_of(credential)), user, store).await?
        }
        Change::CredentialRemoved { user, credential } => {
            of_person(note(Event::KeyRemoved).key(digest_of(credential)), user, store).await?
        }
        Change::InvitationMade(id) => of_invitation(note(Event::InvitationMade), *id, store).await?,
        Change::InvitationUsed(id) => of_invitation(note(Event::InvitationUsed), *id, store).await?,
        Change::InvitationRevoked(id) => of_invitation(note(Event::InvitationRevoked), *id, store).await?,
        Change::DeviceAdded(id) => note(Event::DeviceAdded).device(id),
        Change::DeviceChanged(id) => note(Event::DeviceChanged).device(id),
        Change::DeviceRevoked(id) => note(Event::DeviceRevoked).device(id),
        Change::CertificateAdded(id) => {
            let device = answered(store.device(id).await)?;
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
        Change::PostureChanged => return Ok(None),
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
            let note = match KeyDeed::parse(&used.what) {
                Some(deed) => note(Event::LogKeyChanged).code(deed.word()),
                None => note(Event::LogRead).code(used.what.clone()),
            };
            Note { count: Some(used.count), ..note.reason(&used.question) }
        }
        Change::GrantRequested(id) => of_grant(note(Event::GrantRequested), id, store, purpose).await?,
        Change::GrantApproved(id) => {
            // Others may have approved since.
            let is_this = |ruling: &&Ruling| ruling.at == event.at && ruling.by == event.actor;
            of_grant(note(Event::GrantApproved), id, store, |kept| {
                said(kept.maintenance()?.approvals.iter().find(is_this))
            })
            .await?
        }
        Change::GrantAdmitted(id) => {
            of_grant(note(Event::GrantAdmitted), id, store, |kept| {
                said(kept.maintenance()?.admitted.as_ref().map(|admitted| &admitted.by))
            })
            .await?
        }
        Change::GrantRefused(id) => {
            of_grant(note(Event::GrantRefused), id, store, |kept| said(kept.maintenance()?.refused.as_ref())).await?
        }
        Change::GrantWithdrawn(id) => {
            of_grant(note(Event::GrantWithdrawn), id, store, |kept| said(kept.maintenance()?.withdrawn.as_ref()))
                .await?
        }
        Change::GrantEnded(id) => of_grant(note(Event::GrantEnded), id, store, why_ended).await?,
        Change::GrantReported(id) => of_grant(note(Event::GrantReported), id, store, purpose).await?,
        Change::GrantConfirmed(id) => {
            of_grant(note(Event::GrantConfirmed), id, store, |kept| said(kept.maintenance()?.confirmed.as_ref()))
                .await?
        }
        Change::GlassBroken(id) => {
            of_grant(note(Event::GlassBroken), id, store, |kept| kept.glass().map(|glass| glass.words.as_str())).await?
        }
        Change::GlassReviewed(id) => {
            of_grant(note(Event::GlassReviewed), id, store, |kept| {
                said(kept.glass()?.review.as_ref().map(|review| &review.by))
            })
            .await?
        }
        Change::GrantOverdue { grant, duty } => {
            of_grant(note(Event::GrantOverdue), grant, store, |_| None).await?.code(duty.as_str())
        }
        Change::InventoryChanged(number) => Note { count: Some(*number), ..note(Event::InventoryChanged) },
        Change::PolicyProposed(number) => of_revision(note(Event::PolicyProposed), *number, store).await?,
        Change::PolicyApproved(number) => of_revision(note(Event::PolicyApproved), *number, store).await?,
        Change::Unknown(word) => note(Event::UnknownChange).code(word.clone()),
    }))
}

/// What the store says, for the log and for notices; nothing where what it keeps cannot be read, which asking again does
/// not change.
pub fn answered<T>(answer: Result<Option<T>, StoreProblem>) -> Result<Option<T>, StoreProblem> {
    match answer {
        Err(problem) if !problem.may_pass() => {
            tracing::error!(%problem, "what the store cannot say is left out");
            Ok(None)
        }
        answer => answer,
    }
}

/// Adds whom it is about, as far as the store knows.
async fn of_person(note: Note, id: &policy::UserId, store: &dyn Store) -> Result<Note, StoreProblem> {
    let Some(person) = answered(store.person(id).await)? else { return Ok(note.user(id)) };
    let note = Note { login: Some(person.login), provider: Some(person.provider), ..note.user(id) };
    Ok(match person.disabled {
        Some(disabled) if note.event == Event::PersonDisabled => note.reason(&disabled.why),
        Some(_) | None => note,
    })
}

/// Adds which version of the policy it is about and why it was proposed, as far as the store knows.
async fn of_revision(note: Note, number: u64, store: &dyn Store) -> Result<Note, StoreProblem> {
    let kept = answered(store.revision(number).await)?;
    let note = Note { count: Some(number), ..note };
    Ok(match kept {
        Some(kept) => Note { revision: Some(kept.proposal.revision), ..note }.reason(&kept.proposal.why),
        None => note,
    })
}

/// Adds whose exception it is, for which app, until when, why glass was broken or what its review says, and the words of
/// whoever did this, as far as the store knows; with the patient that glass was broken for, where that is known.
async fn of_grant(
    note: Note,
    id: &GrantId,
    store: &dyn Store,
    words: impl Fn(&GrantRecord) -> Option<&str> + Send,
) -> Result<Note, StoreProblem> {
    let note = Note { grant: Some(id.clone()), ..note };
    let Some(kept) = answered(store.grant(id).await)? else { return Ok(note) };
    let mut note = Note { app: Some(kept.app.clone()), until: Some(kept.over_at()), ..note };
    if let Some(words) = words(&kept) {
        note = note.reason(words);
    }
    if let Some(glass) = kept.glass() {
        if note.event == Event::GlassBroken {
            note.patients = glass.patient.iter().cloned().collect();
            note.ward = glass.ward.as_ref().map(ToString::to_string);
        }
        let review = glass.review.as_ref().filter(|_| note.event == Event::GlassReviewed);
        note = note.code(review.map_or(glass.reason.as_str(), |review| review.verdict.as_str()));
    }
    of_person(note, &kept.person, store).await
}

fn purpose(kept: &GrantRecord) -> Option<&str> {
    kept.maintenance().map(|one| one.purpose.as_str())
}

fn why_ended(kept: &GrantRecord) -> Option<&str> {
    said(kept.ended.as_ref())
}

fn said(ruling: Option<&Ruling>) -> Option<&str> {
    ruling.map(|ruling| ruling.words.as_str())
}

/// Adds who or what is invited to which, why, and how they were proofed, as far as the store knows. A temporary code
/// is an invitation too, but an event of its own.
async fn of_invitation(note: Note, id: InvitationId, store: &dyn Store) -> Result<Note, StoreProblem> {
    let note = note.invitation(id.to_string());
    let kept = answered(store.invitations().await.map(Some))?.unwrap_or_default();
    let Some(invitation) = kept.into_iter().find(|one| one.id == id) else { return Ok(note) };
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
        None => Ok(note),
    }
}

/// The id of a key as it is recorded: the first half of its SHA-256, in hexadecimal digits.
fn digest_of(credential: &CredentialId) -> String {
    let digest = digest(&SHA256, &credential.0);
    digest.as_ref().iter().take(KEY_DIGEST_BYTES).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
