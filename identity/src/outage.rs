//! When an identity provider cannot be reached: whether that is so, for every process, and what is allowed meanwhile.
//!
//! An outage begins by itself when a provider did not answer for the configured time, or by switch; it is kept in the
//! store, so every process sees the same. Meanwhile people of that provider sign in by passkey with the roles that it
//! last confirmed, not too long ago. When it is back, their sessions end after a grace, and what was done can be
//! reported. What a session of an outage may do is the policy's business.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwap;
use policy::{ProviderId, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use store::{Person, SessionsOf, Store, StoreProblem};

pub use report::{OutageAct, OutageLine, OutagePerson, OutageReport, OutageStanding};
use state::{Begun, Health, Kept, Over};
pub use state::{OutageBy, OutageMode, OutagePeriod};
pub use store::OutageSwitch;

use crate::Sessions;

mod report;
mod state;

/// The actor of what happens by itself.
const ACTOR: &str = "gateway:outage";
/// The longest reason that is kept, in characters.
const REASON_CHARS_MAX: usize = 200;

/// Which providers are in an outage. One for the process; configurations come and go under it.
pub struct Outage {
    store: Arc<dyn Store>,
    known: ArcSwap<Known>,
    health: Mutex<BTreeMap<ProviderId, Health>>,
    /// Held while what is known is replaced, so that an older reading never overwrites a newer one.
    replacing: tokio::sync::Mutex<()>,
}

#[derive(Clone)]
struct Known {
    spans: config::Outage,
    providers: BTreeMap<ProviderId, Kept>,
}

/// Leave to sign in by passkey while the provider is gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InOutage {
    /// When the provider last confirmed who it is and in which roles.
    pub roles_confirmed_at: Timestamp,
}

/// How a provider stands, for people who look after it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutageStatus {
    /// Which provider.
    pub provider: ProviderId,
    /// Whether it is in an outage.
    pub mode: OutageMode,
    /// Where the switch is.
    pub switch: OutageSwitch,
    /// Since when it does not answer this process.
    pub failing_since: Option<Timestamp>,
    /// What went wrong last.
    pub reason: Option<String>,
    /// The outages that are remembered, oldest first, with the one that lasts.
    pub periods: Vec<OutagePeriod>,
}

impl Outage {
    /// Reads how the providers stand.
    ///
    /// # Errors
    /// [`StoreProblem`] if that cannot be read; do not serve without it.
    pub async fn load(
        store: Arc<dyn Store>,
        providers: &[config::Provider],
        spans: config::Outage,
    ) -> Result<Self, StoreProblem> {
        let known = Known { spans, providers: read(store.as_ref(), providers.iter().map(|one| &one.id)).await? };
        Ok(Self {
            store,
            known: ArcSwap::from_pointee(known),
            health: Mutex::default(),
            replacing: tokio::sync::Mutex::new(()),
        })
    }

    /// Takes another configuration into use.
    ///
    /// # Errors
    /// [`StoreProblem`]; everything stays as it was.
    pub async fn set_config(&self, providers: &[config::Provider], spans: config::Outage) -> Result<(), StoreProblem> {
        let _replacing = self.replacing.lock().await;
        let providers = read(self.store.as_ref(), providers.iter().map(|one| &one.id)).await?;
        self.health().retain(|id, _| providers.contains_key(id));
        self.known.store(Arc::new(Known { spans, providers }));
        Ok(())
    }

    /// Whether a provider is in an outage; one that is not configured is not.
    #[must_use]
    pub fn mode(&self, provider: &ProviderId) -> OutageMode {
        self.known.load().providers.get(provider).map_or(OutageMode::Normal, Kept::mode)
    }

    /// The providers that are in an outage, for the banner.
    #[must_use]
    pub fn current(&self) -> Vec<(ProviderId, OutageMode)> {
        let known = self.known.load();
        let modes = known.providers.iter().map(|(id, kept)| (id.clone(), kept.mode()));
        modes.filter(|(_, mode)| mode.is_outage()).collect()
    }

    /// How every provider stands.
    #[must_use]
    pub fn status(&self) -> Vec<OutageStatus> {
        let (known, health) = (self.known.load(), self.health());
        let status = |(id, kept): (&ProviderId, &Kept)| {
            let health = health.get(id);
            OutageStatus {
                provider: id.clone(),
                mode: kept.mode(),
                switch: kept.switch,
                failing_since: health.and_then(|health| health.failing_since),
                reason: health.and_then(|health| health.reason.clone()),
                periods: kept.periods(),
            }
        };
        known.providers.iter().map(status).collect()
    }

    /// Whether this person may sign in by passkey alone because their provider is gone: it must have confirmed them
    /// recently enough, and nobody have disabled them since.
    #[must_use]
    pub fn grants(&self, person: &Person, at: Timestamp) -> Option<InOutage> {
        let known = self.known.load();
        let is_outage = known.providers.get(&person.provider).is_some_and(|kept| kept.mode().is_outage());
        let confirmed_at = person.confirmed_at;
        let is_recent = confirmed_at.unix_micros() > 0 && at.since(confirmed_at) <= known.spans.seen_within;
        (is_outage && is_recent && person.disabled.is_none()).then_some(InOutage { roles_confirmed_at: confirmed_at })
    }

    /// Puts the switch of a provider elsewhere. False if the provider is not configured.
    ///
    /// # Errors
    /// [`StoreProblem`]; say that it failed and try again.
    pub async fn switch(
        &self,
        provider: &ProviderId,
        switch: OutageSwitch,
        actor: &str,
        at: Timestamp,
    ) -> Result<bool, StoreProblem> {
        if !self.known.load().providers.contains_key(provider) {
            return Ok(false);
        }
        self.change(provider, actor, at, |kept| kept.switched(switch, at)).await.map(|()| true)
    }

    /// Notes that a provider answered.
    pub(crate) fn note_answer(&self, provider: &ProviderId) {
        self.note(provider, Health::note_answer);
    }

    /// Notes that it did not.
    pub(crate) fn note_failure(&self, provider: &ProviderId, reason: &str, at: Timestamp) {
        let reason: String = reason.chars().filter(|c| !c.is_control()).take(REASON_CHARS_MAX).collect();
        self.note(provider, |health| health.note_failure(&reason, at));
    }

    /// Draws the conclusions: begins and ends outages, and ends sessions that an outage left behind. Call it every few
    /// seconds, after [`Oidc::probe`](crate::Oidc::probe).
    ///
    /// # Errors
    /// [`StoreProblem`]; what was not done is done the next time.
    pub async fn tend(&self, sessions: &Sessions, at: Timestamp) -> Result<(), StoreProblem> {
        self.reload().await?;
        let known = self.known.load_full();
        for (provider, kept) in &known.providers {
            let health = self.health().get(provider).cloned().unwrap_or_default();
            let tended = |kept: &Kept| kept.tended(&health, known.spans.after, at);
            if tended(kept) != *kept {
                self.change(provider, ACTOR, at, tended).await?;
            }
        }
        for provider in known.providers.keys() {
            self.end_left_over(provider, sessions, at).await?;
        }
        Ok(())
    }

    /// Reads again how the providers stand, because a process changed it.
    pub(crate) async fn reload(&self) -> Result<(), StoreProblem> {
        let _replacing = self.replacing.lock().await;
        let known = self.known.load_full();
        let providers = read(self.store.as_ref(), known.providers.keys()).await?;
        self.known.store(Arc::new(Known { spans: known.spans, providers }));
        Ok(())
    }

    /// Changes what is kept of a provider, on top of whatever other processes did.
    async fn change(
        &self,
        provider: &ProviderId,
        actor: &str,
        at: Timestamp,
        change: impl Fn(&Kept) -> Kept,
    ) -> Result<(), StoreProblem> {
        let kept = read_one(self.store.as_ref(), provider).await?;
        let changed = change(&kept);
        if changed.switch != kept.switch {
            self.store.switch_outage(provider, changed.switch, at, actor.to_owned()).await?;
        }
        let did = match (kept.now, changed.now) {
            (None, Some(begun)) => {
                self.store.begin_outage(provider, text(provider, &begun)?, at, actor.to_owned()).await?
            }
            (Some(_), None) => {
                // First, so that an end without its moment is impossible: the grace counts from it.
                self.store.set_note(&past_key(provider), text(provider, &changed.past)?).await?;
                self.store.end_outage(provider, at, actor.to_owned()).await?
            }
            (None, None) | (Some(_), Some(_)) => false,
        };
        if did {
            // Not who: that stands in the access log.
            tracing::warn!(%provider, outage = changed.now.is_some(), "an outage began or ended");
        }
        self.reload().await
    }

    /// Ends the sessions of an outage that is over for longer than the grace.
    async fn end_left_over(
        &self,
        provider: &ProviderId,
        sessions: &Sessions,
        at: Timestamp,
    ) -> Result<(), StoreProblem> {
        let of = || SessionsOf::Outage(provider.clone());
        if !self.is_over_for_good(provider, at) || self.store.sessions_of(of()).await?.is_empty() {
            return Ok(());
        }
        // Another outage may have begun elsewhere before these sessions were opened.
        self.reload().await?;
        if self.is_over_for_good(provider, at) {
            for ended in self.store.end_sessions(of(), at, ACTOR.to_owned()).await? {
                sessions.forget(ended.id);
            }
        }
        Ok(())
    }

    fn is_over_for_good(&self, provider: &ProviderId, at: Timestamp) -> bool {
        let known = self.known.load();
        known.providers.get(provider).is_some_and(|kept| {
            kept.now.is_none() && kept.ended_at().is_none_or(|ended_at| at.since(ended_at) >= known.spans.grace)
        })
    }

    fn health(&self) -> MutexGuard<'_, BTreeMap<ProviderId, Health>> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Only providers that are configured have a health, so that nothing grows.
    fn note(&self, provider: &ProviderId, note: impl FnOnce(&mut Health)) {
        if self.known.load().providers.contains_key(provider) {
            note(self.health().entry(provider.clone()).or_default());
        }
    }
}

async fn read<'a>(
    store: &dyn Store,
    providers: impl Iterator<Item = &'a ProviderId> + Send,
) -> Result<BTreeMap<ProviderId, Kept>, StoreProblem> {
    let mut known = BTreeMap::new();
    for provider in providers {
        known.insert(provider.clone(), read_one(store, provider).await?);
    }
    Ok(known)
}

async fn read_one(store: &dyn Store, provider: &ProviderId) -> Result<Kept, StoreProblem> {
    let now: Option<Begun> = parsed(provider, store.note(&now_key(provider)).await?)?;
    let past: Option<Vec<Over>> = parsed(provider, store.note(&past_key(provider)).await?)?;
    let switch = store.note(&switch_key(provider)).await?;
    let switch = switch.as_deref().and_then(OutageSwitch::parse).unwrap_or_default();
    Ok(Kept { switch, now, past: past.unwrap_or_default() })
}

fn parsed<T: DeserializeOwned>(provider: &ProviderId, text: Option<String>) -> Result<Option<T>, StoreProblem> {
    let read = text.as_deref().map(serde_json::from_str).transpose();
    read.map_err(|problem| StoreProblem::Corrupt(format!("the outages of `{provider}`: {problem}")))
}

fn text(provider: &ProviderId, value: &impl Serialize) -> Result<String, StoreProblem> {
    let text = serde_json::to_string(value);
    text.map_err(|problem| StoreProblem::Corrupt(format!("the outages of `{provider}`: {problem}")))
}

/// As [`Store::begin_outage`] writes it.
fn now_key(provider: &ProviderId) -> String {
    format!("outage:{provider}")
}

fn past_key(provider: &ProviderId) -> String {
    format!("outages-past:{provider}")
}

/// As [`Store::switch_outage`] writes it.
fn switch_key(provider: &ProviderId) -> String {
    format!("outage-switch:{provider}")
}

impl fmt::Debug for Outage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outage").field("current", &self.current()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
