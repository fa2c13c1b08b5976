//! Sessions: found by token, opened, ended. Open sessions are kept in memory; the store is asked only for what is not.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use config::SessionSpans;
use policy::{Device, DeviceClass, Host, Methods, SessionId, Timestamp};
use store::{FoundSession, NewSession, Others, SessionRecord, Store, StoreProblem, TokenHash};
use tokio::sync::Semaphore;

use crate::cache::Cache;
use crate::secret::{could_be_secret, hash, random_session_id};
use crate::session::Standing;
use crate::unknown::UnknownTokens;
use crate::{Devices, Opening, Session, SessionToken};

/// Tokens looked up in the store at the same moment; more wait.
pub(crate) const LOOK_UPS_MAX: usize = 64;

/// The actor of a session that was ended because nobody used it.
const IDLE_ACTOR: &str = "gateway:idle";

/// All sessions that this process knows, in front of the store.
///
/// A cached token costs one SHA-256 and one sharded read lock. A token that cannot be one of ours costs nothing, one
/// that was looked up in vain is remembered in a fixed table, and look-ups in the store are bounded in number.
pub struct Sessions {
    store: Arc<dyn Store>,
    devices: Arc<Devices>,
    spans: ArcSwap<SessionSpans>,
    cache: Cache,
    unknown: UnknownTokens,
    look_ups: Semaphore,
}

impl Sessions {
    /// Starts with nothing in memory.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, devices: Arc<Devices>, spans: SessionSpans) -> Self {
        Self {
            store,
            devices,
            spans: ArcSwap::from_pointee(spans),
            cache: Cache::new(),
            unknown: UnknownTokens::new(),
            look_ups: Semaphore::new(LOOK_UPS_MAX),
        }
    }

    /// Takes other spans into use. Idle limits hold for every session at once, absolute ones for those opened later.
    pub fn set_spans(&self, spans: SessionSpans) {
        self.spans.store(Arc::new(spans));
    }

    /// Finds the open session that a cookie names, and notes its use.
    ///
    /// A session seen from another device than its own is found all the same, because refusing it is the policy's
    /// business, but that is no use of it: a stolen cookie keeps no session alive. Never waits for a cached session.
    ///
    /// # Errors
    /// [`StoreProblem`] if the store had to be asked and did not answer. That is not "no session".
    pub async fn find(
        &self,
        token: &str,
        host: &Host,
        device: Option<&Device>,
        at: Timestamp,
    ) -> Result<Option<Arc<Session>>, StoreProblem> {
        if !could_be_secret(token) {
            return Ok(None);
        }
        let token = hash(token);
        let session = match self.cache.find(&token, host) {
            Some(found) => found,
            None if self.unknown.contains(&token) => None,
            None => self.look_up(token, host).await?,
        };
        let Some(session) = session else { return Ok(None) };
        match session.standing(self.idle_span(&session), at) {
            Standing::Over => return Ok(None),
            Standing::Idle if !self.is_used_elsewhere(&session, token, at).await? => return Ok(None),
            Standing::Idle | Standing::Open => {}
        }
        self.note_used(&session, device, at);
        Ok(Some(session))
    }

    /// Whether a session that was found is still open. Streams ask this beside the policy.
    #[must_use]
    pub fn is_open(&self, session: &Session, at: Timestamp) -> bool {
        session.standing(self.idle_span(session), at) == Standing::Open
    }

    /// The same by id, for who holds no [`Session`]. Whoever runs a stream should hold the `Arc<Session>` as long:
    /// a session that nobody holds may leave the memory, and then the answer is no.
    #[must_use]
    pub fn cached_still_open(&self, id: SessionId, at: Timestamp) -> bool {
        self.cache.by_id(id).is_some_and(|session| self.is_open(&session, at))
    }

    /// Notes a use: a request, or something that came from the person on an open stream.
    pub fn note_used(&self, session: &Session, device: Option<&Device>, at: Timestamp) {
        if session.is_bound_to(device) {
            session.note_seen(at);
        }
    }

    /// Opens a session with its first token. Always a new session with a new id: at sign-in, step-up and user switch
    /// alike; whoever calls ends the session it replaces.
    ///
    /// # Errors
    /// [`StoreProblem`]; nobody is signed in then.
    pub async fn open(&self, opening: Opening, at: Timestamp) -> Result<(Arc<Session>, SessionToken), StoreProblem> {
        let class = opening.device.as_ref().map(|device| device.class);
        let ends_at = at.after(self.spans.load().of(class).absolute);
        let (session, person, host) = record(opening, at, ends_at);
        let token = SessionToken::random();
        let token_hash = hash(token.expose());
        self.store.remember_person(person.clone()).await?;
        // If it is ended before it is kept (its device was revoked this very moment), it is not kept.
        let generation = self.cache.generation();
        let opening =
            NewSession { session: session.clone(), token: token_hash, host: host.clone(), others: Others::Keep };
        self.store.open_session(opening, session.user.to_string()).await?;
        let found = FoundSession { session, person, host };
        let session = self.cache.insert(generation, token_hash, found.clone(), class);
        Ok((session.unwrap_or_else(|| Arc::new(Session::new(found, class))), token))
    }

    /// Makes a token of an open session for another host. `None` if the session is not open.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn add_token(&self, session: SessionId, host: &Host) -> Result<Option<SessionToken>, StoreProblem> {
        let token = SessionToken::random();
        let added = self.store.add_token(session, hash(token.expose()), host.clone()).await?;
        Ok(added.then_some(token))
    }

    /// Ends a session on every host at once and tells what it was, for sign-out at the provider. `None` if it was not
    /// open any more.
    ///
    /// # Errors
    /// [`StoreProblem`]; say that it failed and try again. Meanwhile this process takes it for ended.
    pub async fn end(&self, id: SessionId, actor: &str, at: Timestamp) -> Result<Option<SessionRecord>, StoreProblem> {
        self.forget(id);
        let ended = self.store.end_session(id, at, actor.to_owned()).await?;
        // A look-up that read the store before the end may have brought it back meanwhile.
        self.forget(id);
        Ok(ended)
    }

    /// Takes a session out of memory that was ended in the store.
    pub(crate) fn forget(&self, id: SessionId) {
        self.cache.end(id);
    }

    /// Writes down when sessions were last used, and lets go of those that are over.
    pub(crate) async fn write_down(&self, at: Timestamp) -> Result<(), StoreProblem> {
        let unwritten = self.cache.unwritten();
        if !unwritten.is_empty() {
            let seen = unwritten.iter().map(|(session, seen_at)| (session.id(), *seen_at)).collect();
            self.store.touch_sessions(seen).await?;
            for (session, seen_at) in unwritten {
                session.note_written(seen_at);
            }
        }
        self.cache.retain(|session| session.standing(self.idle_span(session), at) == Standing::Open);
        Ok(())
    }

    /// Asks the store for a token that is not in memory.
    async fn look_up(&self, token: TokenHash, host: &Host) -> Result<Option<Arc<Session>>, StoreProblem> {
        let Ok(_look_up) = self.look_ups.acquire().await else {
            return Err(StoreProblem::Unavailable("the gateway is stopping".to_owned()));
        };
        for _ in 0..CHANGES_MAX {
            if let Some(found) = self.cache.find(&token, host) {
                return Ok(found);
            }
            let generation = self.cache.generation();
            let Some(found) = self.store.session_by_token(token).await? else {
                self.unknown.insert(token);
                return Ok(None);
            };
            let good_here = found.host == *host;
            let class = self.class_of(&found.session);
            if let Some(session) = self.cache.insert(generation, token, found, class) {
                return Ok(good_here.then_some(session));
            }
        }
        Err(StoreProblem::Unavailable("sessions are changing too fast".to_owned()))
    }

    /// Whether another node, as the store tells, saw a session that is idle here. If not, it is ended for good.
    async fn is_used_elsewhere(
        &self,
        session: &Session,
        token: TokenHash,
        at: Timestamp,
    ) -> Result<bool, StoreProblem> {
        if let Some(found) = self.store.session_by_token(token).await? {
            session.note_written(found.session.seen_at);
        }
        match session.standing(self.idle_span(session), at) {
            Standing::Open => Ok(true),
            Standing::Over => Ok(false),
            Standing::Idle => self.end(session.id(), IDLE_ACTOR, at).await.map(|_| false),
        }
    }

    fn idle_span(&self, session: &Session) -> Duration {
        self.spans.load().of(session.class).idle
    }

    fn class_of(&self, session: &SessionRecord) -> Option<DeviceClass> {
        session.device.as_ref().and_then(|device| self.devices.class_of(device))
    }
}

/// How often a look-up starts over because a session, any session, ended while the store was asked.
const CHANGES_MAX: usize = 8;

fn record(opening: Opening, at: Timestamp, ends_at: Timestamp) -> (SessionRecord, store::Person, Host) {
    let Opening { mut person, assurance, authenticated_at, device, host, provider_session, id_token } = opening;
    person.roles.sort();
    person.roles.dedup();
    let session = SessionRecord {
        id: random_session_id(),
        user: person.id.clone(),
        roles: person.roles.clone(),
        roles_confirmed_at: person.confirmed_at,
        assurance,
        methods: Methods::NONE,
        credential: None,
        key_model: None,
        authenticated_at,
        device: device.as_ref().map(|device| device.id.clone()),
        opened_at: at,
        seen_at: at,
        ends_at,
        parked_at: None,
        in_outage: false,
        provider_session,
        id_token,
        refresh_token: None,
        checked_at: authenticated_at,
    };
    (session, person, host)
}

impl fmt::Debug for Sessions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sessions").field("cache", &self.cache).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
