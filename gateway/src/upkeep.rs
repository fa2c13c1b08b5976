//! What the control plane does beside serving: follows the store's events, asks upstreams and providers how they are,
//! watches the log.

use std::sync::Arc;
use std::time::Duration;

use identity::{Outage, Refresh, Sessions, Watch};
use store::{Store, StoreProblem};

use crate::gate::Gate;
use crate::upstream::health;

/// How often outages are looked after.
const OUTAGE_INTERVAL: Duration = Duration::from_secs(5);
/// How often sessions whose provider is to be asked are looked for.
const REFRESH_INTERVAL: Duration = Duration::from_secs(10);
/// How often unused accounts are looked for.
const UNUSED_INTERVAL: Duration = Duration::from_secs(3_600);
/// How often the log is looked at.
const LOG_INTERVAL: Duration = Duration::from_secs(1);
/// How often what people did an hour ago is forgotten.
const FORGET_INTERVAL: Duration = Duration::from_secs(60);
/// How often is kept what answers told of studies.
const STUDIES_INTERVAL: Duration = Duration::from_secs(30);

/// Keeps in the store whose studies are.
pub async fn keep_studies(gate: Arc<Gate>, store: Arc<dyn Store>) {
    loop {
        tokio::time::sleep(STUDIES_INTERVAL).await;
        keep_studies_now(&gate, &*store).await;
    }
}

/// The same once.
pub async fn keep_studies_now(gate: &Gate, store: &dyn Store) {
    let nodes = gate.snapshot.load().config.nodes.clone();
    if let Err(problem) = gate.desk.keep(store, nodes.as_ref()).await {
        tracing::warn!(%problem, "whose studies are could not be kept; they are learned again from answers");
    }
}

/// Puts in force what happens in the store: revocations, ended sessions, added devices. Recording it is another task's,
/// so that a slow log never delays a revocation.
pub async fn follow_events(gate: Arc<Gate>, mut watch: Watch) {
    let mut alarmed = false;
    loop {
        match watch.next().await {
            Ok(_) => {
                alarmed = false;
                gate.metrics.store_alarm.set(0);
            }
            Err(problem) => {
                gate.metrics.store_alarm.set(1);
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

/// Asks providers whether they are there, and begins and ends outages.
pub async fn tend_outages(gate: Arc<Gate>, outage: Arc<Outage>, sessions: Arc<Sessions>) {
    let mut alarmed = false;
    loop {
        let oidc = Arc::clone(&gate.snapshot.load().oidc);
        oidc.probe().await;
        let tended = outage.tend(&sessions, gate.clock.now()).await;
        gate.metrics.providers_out.set(i64::try_from(outage.current().len()).unwrap_or(i64::MAX));
        alarmed = alarm(tended, alarmed, "whether providers are out could not be decided");
        tokio::time::sleep(OUTAGE_INTERVAL).await;
    }
}

/// Asks providers whether people who are signed in are still theirs.
pub async fn refresh_sessions(gate: Arc<Gate>, refresh: Refresh) {
    let mut alarmed = false;
    loop {
        tokio::time::sleep(REFRESH_INTERVAL).await;
        let oidc = Arc::clone(&gate.snapshot.load().oidc);
        let round = refresh.round(&oidc, gate.clock.now()).await;
        if let Ok(found) = &round
            && found.changed + found.ended > 0
        {
            tracing::info!(found.confirmed, found.changed, found.ended, "providers were asked about their people");
        }
        alarmed = alarm(round, alarmed, "providers could not be asked about their people");
    }
}

/// Disables people of the local directory whom nobody has seen for as long as the configuration says.
pub async fn disable_unused(gate: Arc<Gate>) {
    let mut alarmed = false;
    loop {
        let snapshot = gate.snapshot.load_full();
        if let Some(after) = snapshot.config.directory.disable_unused_after {
            let disabled = snapshot.people.disable_unused(after, gate.clock.now()).await;
            if let Ok(people) = &disabled
                && !people.is_empty()
            {
                tracing::warn!(
                    people = people.len(),
                    "unused accounts were disabled; `sekimori user list --disabled` names them"
                );
            }
            alarmed = alarm(disabled, alarmed, "unused accounts could not be disabled");
        }
        tokio::time::sleep(UNUSED_INTERVAL).await;
    }
}

/// Says once that the store does not answer, and whether it was said.
fn alarm<T>(done: Result<T, StoreProblem>, alarmed: bool, what: &'static str) -> bool {
    match done {
        Ok(_) => false,
        Err(problem) => {
            if !alarmed {
                tracing::error!(%problem, "{what}");
            }
            true
        }
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

/// Forgets what people did by rules with bounds, once no bound reaches back so far.
pub async fn forget_counts(gate: Arc<Gate>) {
    loop {
        tokio::time::sleep(FORGET_INTERVAL).await;
        gate.counts.prune(gate.clock.now());
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
