//! What the control plane does beside serving: follows the store's events, asks upstreams how they are, watches the
//! log.

use std::sync::Arc;
use std::time::Duration;

use audit::{Event, Note};
use identity::{Sessions, Watch};
use store::{Change, Store, StoreProblem};

use crate::gate::Gate;
use crate::upstream::health;

/// Where the store keeps how far events were recorded.
const RECORDED_UP_TO: &str = "events-recorded-up-to";
/// How often the log is looked at.
const LOG_INTERVAL: Duration = Duration::from_secs(1);
/// How many events are read at once.
const EVENTS_MAX: usize = 256;

/// The last event that the log has.
///
/// # Errors
/// [`StoreProblem`]; do not serve without it.
pub async fn recorded_up_to(store: &dyn Store) -> Result<u64, StoreProblem> {
    Ok(store.note(RECORDED_UP_TO).await?.and_then(|text| text.parse().ok()).unwrap_or(0))
}

/// Puts in force what happens in the store: revocations, ended sessions, added devices. Recording it is another task's,
/// so that a slow log never delays a revocation.
pub async fn follow_events(gate: Arc<Gate>, store: Arc<dyn Store>, sessions: Arc<Sessions>, from: u64) {
    let mut watch = Watch::new(store, sessions, Arc::clone(&gate.devices), gate.clock.clone(), from);
    let mut alarmed = false;
    loop {
        match watch.next().await {
            Ok(_) => alarmed = false,
            Err(problem) => {
                if !alarmed {
                    tracing::error!(%problem, "the store does not answer; changes made elsewhere are not in force here");
                }
                alarmed = true;
            }
        }
        // Also after a failure: part of it may be in force.
        gate.ring();
    }
}

/// Records what happened in the store, in order, each at least once.
pub async fn record_events(gate: Arc<Gate>, store: Arc<dyn Store>, from: u64) {
    let recorder = gate.log.recorder();
    let mut recorded = from;
    let mut changed = gate.changed.subscribe();
    loop {
        let events = store.events_after(recorded, EVENTS_MAX).await.unwrap_or_default();
        for event in &events {
            let note = note_of(event);
            while let Err(problem) = recorder.note(note.clone()).await {
                tracing::error!(%problem, "a change could not be recorded yet");
                tokio::time::sleep(LOG_INTERVAL).await;
            }
            recorded = event.sequence;
        }
        if events.is_empty() {
            // Either there is news, or it is time to look all the same.
            let _rung = tokio::time::timeout(LOG_INTERVAL, changed.changed()).await;
        } else if let Err(problem) = store.set_note(RECORDED_UP_TO, recorded.to_string()).await {
            tracing::warn!(%problem, "how far changes are recorded could not be kept; some may be recorded twice");
        }
    }
}

fn note_of(event: &store::Event) -> Note {
    let note = |kind| Note { actor: Some(event.actor.clone()), ..Note::new(kind, event.at) };
    match &event.change {
        Change::DeviceAdded(id) => note(Event::DeviceAdded).device(id),
        Change::DeviceRevoked(id) => note(Event::DeviceRevoked).device(id),
        Change::DeviceChanged(id) => note(Event::DeviceChanged).device(id),
        Change::CertificateAdded(id) => note(Event::CertificateAdded).device(id),
        Change::CertificateRevoked(id) => note(Event::CertificateRevoked).device(id),
        Change::PostureChanged => note(Event::PostureReceived),
        Change::SessionEnded(id) => note(Event::SessionEnded).session(*id),
        Change::SessionParked(id) => note(Event::SessionParked).session(*id),
        Change::SessionResumed(id) => note(Event::SessionResumed).session(*id),
        Change::SessionChanged(id) => note(Event::SessionChanged).session(*id),
        Change::PersonAdded(id) => note(Event::PersonAdded).user(id),
        Change::PersonChanged(id) => note(Event::PersonChanged).user(id),
        Change::PersonDisabled(id) => note(Event::PersonDisabled).user(id),
        Change::PersonEnabled(id) => note(Event::PersonEnabled).user(id),
        Change::CredentialAdded { user, credential: _ } => note(Event::KeyAdded).user(user),
        Change::CredentialRemoved { user, credential: _ } => note(Event::KeyRemoved).user(user),
        Change::InvitationMade(id) => note(Event::InvitationMade).invitation(id.to_string()),
        Change::InvitationUsed(id) => note(Event::InvitationUsed).invitation(id.to_string()),
        Change::InvitationRevoked(id) => note(Event::InvitationRevoked).invitation(id.to_string()),
        Change::OutageBegan(id) => Note { provider: Some(id.clone()), ..note(Event::OutageBegan) },
        Change::OutageEnded(id) => Note { provider: Some(id.clone()), ..note(Event::OutageEnded) },
    }
}

/// Asks every upstream again and again.
pub async fn probe_upstreams(gate: Arc<Gate>) {
    loop {
        let snapshot = gate.snapshot.load_full();
        for route in snapshot.routes.apps() {
            health::probe_app(route, &snapshot.dialer).await;
        }
        tokio::time::sleep(health::PROBE_INTERVAL).await;
    }
}

/// Raises the alarm when the log cannot be written, and forgets idle callers.
pub async fn watch_log(gate: Arc<Gate>) {
    let mut was_writable = true;
    loop {
        tokio::time::sleep(LOG_INTERVAL).await;
        gate.limiter.prune();
        let log = gate.log.health();
        if log.writable != was_writable {
            if log.writable {
                tracing::info!("the access log can be written again");
            } else {
                tracing::error!(problem = log.problem, "the access log cannot be written");
            }
        }
        was_writable = log.writable;
    }
}
