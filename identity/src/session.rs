//! One open session as the gateway keeps it in memory.

mod opening;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU8, Ordering};
use std::time::Duration;

use config::SessionSpan;
use policy::{Device, DeviceClass, SessionId, Timestamp, Who};
use store::{FoundSession, Person, Secret, SessionRecord};

pub use opening::Opening;
pub(crate) use opening::Vouched;

/// An open session. Everything but the moment of last use is fixed: a step-up or another person is another session,
/// and when the roles or the unit change, or the person comes back to a parked session, another `Session` takes this one's place.
pub struct Session {
    /// The person, as the policy sees them.
    pub who: Arc<Who>,
    /// The class of the device it was opened on.
    pub class: Option<DeviceClass>,
    /// When it was opened.
    pub opened_at: Timestamp,
    /// `sid` at the provider.
    pub provider_session: Option<String>,
    /// The ID token, as a hint for sign-out at the provider.
    pub id_token: Option<Secret>,
    /// What the provider is asked with whether the person is still in force.
    pub(crate) refresh_token: Option<Secret>,
    /// Microseconds of the last use.
    seen_at: AtomicI64,
    /// Microseconds of the last use as the store knows it.
    written_at: AtomicI64,
    state: AtomicU8,
}

/// Good as far as this process knows.
const OPEN: u8 = 0;
/// Another `Session` with the same id takes its place, or will when it is asked for.
const STALE: u8 = 1;
/// Ended or parked: none of its tokens opens anything, ever.
const ENDED: u8 = 2;

/// Uses closer together than this are not told apart, so that busy sessions do not fight over a cache line.
const SEEN_STEP: Duration = Duration::from_secs(1);

/// Whether a session is still good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It is.
    Open,
    /// Not used for so long that its person must prove again who they are, as far as this process knows.
    Locked,
    /// Not used for too long, as far as this process knows.
    Idle,
    /// Ended, or out of time.
    Over,
}

impl Session {
    pub(crate) fn new(found: FoundSession, class: Option<DeviceClass>) -> Self {
        let FoundSession { session, person, host: _ } = found;
        let (seen_at, opened_at) = (session.seen_at.unix_micros(), session.opened_at);
        let (provider_session, id_token) = (session.provider_session.clone(), session.id_token.clone());
        let refresh_token = session.refresh_token.clone();
        Self {
            who: Arc::new(who(session, person)),
            class,
            opened_at,
            provider_session,
            id_token,
            refresh_token,
            seen_at: AtomicI64::new(seen_at),
            written_at: AtomicI64::new(seen_at),
            state: AtomicU8::new(OPEN),
        }
    }

    /// Its id, safe to log.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.who.session
    }

    /// When it was last used.
    #[must_use]
    pub fn seen_at(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.seen_at.load(Ordering::Relaxed))
    }

    /// Whether it was ended or parked before its time, or is out of date. Does not look at the clock:
    /// [`Sessions::is_open`](crate::Sessions::is_open) does.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.state.load(Ordering::Acquire) != OPEN
    }

    /// Whether its tokens may open another `Session` that the store knows.
    pub(crate) fn is_stale(&self) -> bool {
        self.state.load(Ordering::Acquire) == STALE
    }

    pub(crate) fn mark_ended(&self) {
        self.state.store(ENDED, Ordering::Release);
    }

    /// An end is for ever: what ended does not become stale.
    pub(crate) fn mark_stale(&self) {
        self.state.fetch_max(STALE, Ordering::AcqRel);
    }

    /// Whether the store's answer says the same of it.
    pub(crate) fn is_as(&self, found: &FoundSession) -> bool {
        let SessionRecord { authenticated_at, roles, .. } = &found.session;
        self.who.authenticated_at == *authenticated_at
            && self.who.roles.as_ref() == roles.as_slice()
            && *self.who.unit == found.person.unit
    }

    pub(crate) fn standing(&self, span: &SessionSpan, at: Timestamp) -> Standing {
        if self.is_ended() || at >= self.who.ends_at {
            return Standing::Over;
        }
        standing_of(span, self.seen_at(), at)
    }

    /// Notes a use, never backwards.
    pub(crate) fn note_seen(&self, at: Timestamp) {
        if at.since(self.seen_at()) >= SEEN_STEP {
            self.seen_at.fetch_max(at.unix_micros(), Ordering::Relaxed);
        }
    }

    /// Takes over what the store knows of its last use.
    pub(crate) fn note_written(&self, at: Timestamp) {
        self.seen_at.fetch_max(at.unix_micros(), Ordering::Relaxed);
        self.written_at.fetch_max(at.unix_micros(), Ordering::Relaxed);
    }

    /// The last use, if the store does not know it yet.
    pub(crate) fn unwritten(&self) -> Option<Timestamp> {
        let seen = self.seen_at();
        (!self.is_ended() && seen.unix_micros() > self.written_at.load(Ordering::Relaxed)).then_some(seen)
    }

    /// Whether a request with this device comes from the device it was opened on.
    pub(crate) fn is_bound_to(&self, device: Option<&Device>) -> bool {
        self.who.bound_to.as_ref() == device.map(|device| &device.id)
    }
}

/// How a session stands that is not over, by its last use. Where sessions are locked, they end when they were locked
/// for as long as one may be parked.
pub(crate) fn standing_of(span: &SessionSpan, seen_at: Timestamp, at: Timestamp) -> Standing {
    let unused = at.since(seen_at);
    match span.lock.filter(|lock| *lock < span.idle) {
        Some(lock) if unused < lock => Standing::Open,
        Some(lock) if unused < lock.saturating_add(span.parked_max) => Standing::Locked,
        Some(_) => Standing::Idle,
        None if unused < span.idle => Standing::Open,
        None => Standing::Idle,
    }
}

fn who(session: SessionRecord, person: Person) -> Who {
    Who {
        user: person.id,
        login: person.login.into(),
        name: person.name.into(),
        unit: person.unit.into(),
        provider: person.provider,
        issuer: person.issuer.into(),
        subject: person.subject.into(),
        roles: session.roles.into(),
        session: session.id,
        assurance: session.assurance,
        methods: session.methods,
        key_model: session.key_model,
        in_outage: session.in_outage,
        roles_confirmed_at: session.roles_confirmed_at,
        authenticated_at: session.authenticated_at,
        bound_to: session.device,
        ends_at: session.ends_at,
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("id", &self.id()).field("user", &self.who.user).finish_non_exhaustive()
    }
}
