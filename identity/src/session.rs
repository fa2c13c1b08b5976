//! One open session as the gateway keeps it in memory.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use policy::{Assurance, Device, DeviceClass, Host, Methods, SessionId, Timestamp, Who};
use store::{FoundSession, Person, Secret, SessionRecord};

/// What is known when somebody has signed in and a session opens.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Who signed in, with their roles.
    pub person: Person,
    /// How surely.
    pub assurance: Assurance,
    /// When they proved who they are.
    pub authenticated_at: Timestamp,
    /// The device they signed in on; the session is bound to it.
    pub device: Option<Arc<Device>>,
    /// The host the first token is for.
    pub host: Host,
    /// `sid` at the provider.
    pub provider_session: Option<String>,
    /// The ID token, as a hint for sign-out at the provider.
    pub id_token: Option<Secret>,
}

/// An open session. Everything but the moment of last use is fixed: a step-up or another person is another session.
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
    /// Microseconds of the last use.
    seen_at: AtomicI64,
    /// Microseconds of the last use as the store knows it.
    written_at: AtomicI64,
    ended: AtomicBool,
}

/// Uses closer together than this are not told apart, so that busy sessions do not fight over a cache line.
const SEEN_STEP: Duration = Duration::from_secs(1);

/// Whether a session is still good.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Standing {
    /// It is.
    Open,
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
        Self {
            who: Arc::new(who(session, person)),
            class,
            opened_at,
            provider_session,
            id_token,
            seen_at: AtomicI64::new(seen_at),
            written_at: AtomicI64::new(seen_at),
            ended: AtomicBool::new(false),
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

    /// Whether it was ended before its time. Does not look at the clock: [`Sessions::is_open`](crate::Sessions::is_open)
    /// does.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    pub(crate) fn mark_ended(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(crate) fn standing(&self, idle: Duration, at: Timestamp) -> Standing {
        if self.is_ended() || at >= self.who.ends_at {
            Standing::Over
        } else if at.since(self.seen_at()) >= idle {
            Standing::Idle
        } else {
            Standing::Open
        }
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

fn who(session: SessionRecord, person: Person) -> Who {
    Who {
        user: person.id,
        login: person.login.into(),
        name: person.name.into(),
        provider: person.provider,
        issuer: person.issuer.into(),
        subject: person.subject.into(),
        roles: session.roles.into(),
        session: session.id,
        assurance: session.assurance,
        methods: Methods::NONE,
        key_model: None,
        in_outage: false,
        roles_confirmed_at: session.authenticated_at,
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
