//! Sessions: found by token, opened, parked, resumed, ended. Open sessions are kept in memory; the store is asked only
//! for what is not.
//!
//! A token names one session of one person for as long as it lives. When another person comes to a shared device, all
//! tokens of the one before are void in the same step of the store, and coming back makes new ones: nothing that a
//! browser still holds can find anybody else.

mod away;
mod shared;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use config::{SessionSpan, SessionSpans};
use foldhash::HashSet;
use policy::{Device, DeviceClass, Host, SessionId, Timestamp, UserId};
use store::{Displaced, FoundSession, NewSession, Person, SessionRecord, SessionsOf, Store, StoreProblem, TokenHash};
use tokio::sync::Semaphore;

use away::Away;
pub use shared::Waiting;
use shared::others;

use crate::cache::Cache;
use crate::secret::{could_be_secret, hash, random_session_id};
use crate::session::{Standing, Vouched};
use crate::unknown::UnknownTokens;
use crate::{Devices, Opening, Session, SessionToken};

/// Tokens looked up in the store at the same moment; more wait.
pub(crate) const LOOK_UPS_MAX: usize = 64;

/// The actor of a session that was ended because nobody used it.
const IDLE_ACTOR: &str = "gateway:idle";
/// The actor of a session that was parked because nobody used it.
const LOCK_ACTOR: &str = "gateway:lock";
/// The actor of a session that was ended because its person was changed while it was opened.
const CHANGED_ACTOR: &str = "gateway:changed";

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
    away: Away,
    /// Whether another node may have seen people whom the store does not know of.
    others_are_unheard: AtomicBool,
}

/// How a session is that somebody holds for long, such as a stream.
#[derive(Clone, Debug)]
pub enum Current {
    /// Open, with these facts.
    Open(Arc<Session>),
    /// Its facts changed and are being read, which takes a moment.
    Changing,
    /// Over, or not in memory.
    Over,
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
            away: Away::default(),
            others_are_unheard: AtomicBool::new(false),
        }
    }

    /// Whether some node cannot be heard: what people do there is not in the store, so nobody is ended as idle here unless
    /// they ask.
    pub fn note_others_unheard(&self, are_unheard: bool) {
        self.others_are_unheard.store(are_unheard, Ordering::Relaxed);
    }

    /// How long sessions go on while the store does not answer.
    pub fn set_away_max(&self, away_max: Duration) {
        self.away.allow(away_max);
    }

    /// Notes that everything the store had told up to this moment is in force here.
    pub(crate) fn note_answered(&self, at: Timestamp) {
        self.away.note_answered(at);
    }

    /// Since when the store has told nothing here, where that is longer than it takes to ask it.
    #[must_use]
    pub fn store_away_since(&self, at: Timestamp) -> Option<Timestamp> {
        self.away.since(at)
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
        if self.away.is_too_long(at) {
            return Err(StoreProblem::Unavailable("it has been away for longer than `away_max`".to_owned()));
        }
        let token = hash(token);
        let session = match self.cache.find(&token, host) {
            Some(found) => found,
            None if self.unknown.contains(&token) => None,
            None => self.look_up(token, host).await?,
        };
        let Some(mut session) = session else { return Ok(None) };
        if session.is_stale() {
            let Some(newer) = self.look_up(token, host).await? else { return Ok(None) };
            session = newer;
        }
        match session.standing(&self.span(&session), at) {
            Standing::Over => return Ok(None),
            Standing::Idle | Standing::Locked if !self.is_used_elsewhere(&session, token, at).await? => {
                return Ok(None);
            }
            Standing::Idle | Standing::Locked | Standing::Open => {}
        }
        self.note_used(&session, device, at);
        Ok(Some(session))
    }

    /// Whether the session of a token is in memory, whatever it is worth by now. Asks nobody.
    #[must_use]
    pub fn is_in_memory(&self, token: &str, host: &Host) -> bool {
        could_be_secret(token) && matches!(self.cache.find(&hash(token), host), Some(Some(_)))
    }

    /// Whether a session that was found is still open. Streams ask this beside the policy.
    #[must_use]
    pub fn is_open(&self, session: &Session, at: Timestamp) -> bool {
        self.stands(session, at) && !self.away.is_too_long(at)
    }

    fn stands(&self, session: &Session, at: Timestamp) -> bool {
        session.standing(&self.span(session), at) == Standing::Open
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

    /// The newest facts of a session, for who holds it for long: it may have other roles than when it was found.
    #[must_use]
    pub fn current(&self, id: SessionId, at: Timestamp) -> Current {
        match self.cache.by_id(id) {
            Some(session) if self.is_open(&session, at) => Current::Open(session),
            Some(session) if session.is_stale() => Current::Changing,
            Some(_) | None => Current::Over,
        }
    }

    /// Opens a session with its first token. Always a new session with a new id: at sign-in, step-up and user switch
    /// alike. After a step-up the one before ends in the same step; otherwise whoever calls ends what it replaces. On a shared device the others are parked or ended in the same
    /// step.
    ///
    /// # Errors
    /// [`StoreProblem`]; nobody is signed in then.
    pub async fn open(&self, opening: Opening, at: Timestamp) -> Result<(Arc<Session>, SessionToken), StoreProblem> {
        let class = opening.device.as_ref().map(|device| device.class);
        let span = self.spans.load().of(class);
        let (vouched, others) = (opening.vouched, others(&span));
        let (vouched_at, replaces, code) = (opening.vouched_at, opening.replaces, opening.code);
        let (session, mut person, host) = record(opening, at, at.after(span.absolute));
        let token = SessionToken::random();
        let token_hash = hash(token.expose());
        match vouched {
            Vouched::ByProvider => self.store.remember_person(person.clone()).await?,
            Vouched::ByStore => {}
        }
        // If it is ended before it is kept (its device was revoked this very moment), it is not kept.
        let generation = self.cache.generation();
        let (session_kept, host_kept) = (session.clone(), host.clone());
        let opening = NewSession {
            session: session_kept,
            token: token_hash,
            host: host_kept,
            others,
            vouched_at,
            replaces,
            code,
        };
        let displaced = self.store.open_session(opening, session.user.to_string()).await?;
        self.forget_all(&displaced);
        match vouched {
            Vouched::ByStore => person = self.compare(&session, at).await?,
            // A provider knows nothing of units: that is the directory's.
            Vouched::ByProvider => person.unit = self.unit_of(&session.user).await?,
        }
        let found = FoundSession { session, person, host };
        let session = self.cache.insert(generation, token_hash, found.clone(), class);
        Ok((session.unwrap_or_else(|| Arc::new(Session::new(found, class))), token))
    }

    /// Reads the person of a session that was just opened on the store's own word. Whatever is changed from now on
    /// reaches the session; what was changed between reading the person and opening the session did not, so that such
    /// a session ends.
    async fn compare(&self, session: &SessionRecord, at: Timestamp) -> Result<Person, StoreProblem> {
        let person = self.store.person(&session.user).await?;
        match person.filter(|person| person.roles == session.roles && person.disabled.is_none()) {
            Some(person) => Ok(person),
            None => {
                self.end(session.id, CHANGED_ACTOR, at).await?;
                Err(StoreProblem::Unavailable("the person was changed at this very moment".to_owned()))
            }
        }
    }

    /// The unit of a person, read once their session is open: whatever is changed from then on reaches the session.
    async fn unit_of(&self, user: &UserId) -> Result<String, StoreProblem> {
        Ok(self.store.person(user).await?.map(|person| person.unit).unwrap_or_default())
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

    /// Ends a session on every host at once. False if it was not open any more.
    ///
    /// # Errors
    /// [`StoreProblem`]; say that it failed and try again. Meanwhile this process takes it for ended.
    pub async fn end(&self, id: SessionId, actor: &str, at: Timestamp) -> Result<bool, StoreProblem> {
        self.forget(id);
        let ended = self.store.end_session(id, at, actor.to_owned()).await?;
        // A look-up that read the store before the end may have brought it back meanwhile.
        self.forget(id);
        Ok(ended)
    }

    /// Ends some on every host at once, those too that this version cannot read.
    ///
    /// # Errors
    /// [`StoreProblem`]; none of them has ended then.
    pub async fn end_those(&self, of: SessionsOf, actor: &str, at: Timestamp) -> Result<(), StoreProblem> {
        for ended in self.store.end_sessions(of, at, actor.to_owned()).await? {
            self.forget(ended.id);
        }
        Ok(())
    }

    /// Takes a session out of memory that was ended in the store.
    pub(crate) fn forget(&self, id: SessionId) {
        self.cache.end(id);
    }

    /// Takes a session out of memory that was parked in the store at `at`, unless its person has come back since.
    pub(crate) fn note_parked(&self, id: SessionId, at: Timestamp) {
        self.cache.end_earlier(id, at.after(Duration::from_micros(1)));
    }

    /// Takes out of memory what a session was before its person came back to it at `at`: those tokens are void.
    pub(crate) fn note_resumed(&self, id: SessionId, at: Timestamp) {
        self.cache.end_earlier(id, at);
    }

    /// Notes that what is known of a session is out of date, because its roles changed. Whoever asks with a token of it
    /// has it read again; whoever holds it for long finds it changing until it is.
    pub(crate) fn note_changed(&self, id: SessionId) {
        self.cache.outdate(id);
    }

    /// The same for every session of people who were changed: their unit may be another. Gives those sessions.
    pub(crate) fn note_people_changed(&self, people: &HashSet<UserId>) -> Vec<SessionId> {
        if people.is_empty() { Vec::new() } else { self.cache.outdate_those_of(people) }
    }

    /// The same for every session: what changed is not known. Gives them.
    pub(crate) fn note_anything_changed(&self) -> Vec<SessionId> {
        self.cache.outdate_all()
    }

    /// Reads sessions again whose roles or unit changed, for who holds them for long and does not ask with a token. One that
    /// cannot be read is let go of: who has lost a role must not go on with it.
    pub(crate) async fn read_again(&self, ids: &[SessionId]) -> Result<(), StoreProblem> {
        let mut read = Ok(());
        let asked: HashSet<SessionId> = ids.iter().copied().collect();
        for (token, session) in self.cache.some_token_of(|session| session.is_stale() && asked.contains(&session.id()))
        {
            if self.cache.is_outdated(session.id()) && read.is_ok() {
                read = self.read_token_again(token).await;
            }
        }
        ids.iter().for_each(|id| self.cache.let_go_if_outdated(*id));
        read
    }

    /// Takes every token out of memory, as when there are too many.
    #[cfg(test)]
    pub(crate) fn forget_tokens(&self) {
        self.cache.retain(|_| false);
    }

    async fn read_token_again(&self, token: TokenHash) -> Result<(), StoreProblem> {
        for _ in 0..CHANGES_MAX {
            let generation = self.cache.generation();
            let Some(found) = self.store.session_by_token(token).await? else { return Ok(()) };
            let class = self.class_of(&found.session);
            if self.cache.insert(generation, token, found, class).is_some() {
                return Ok(());
            }
        }
        Err(StoreProblem::Unavailable("sessions are changing too fast".to_owned()))
    }

    fn forget_all(&self, displaced: &Displaced) {
        for id in displaced.parked.iter().chain(&displaced.ended) {
            self.forget(*id);
        }
    }

    /// Writes down when sessions were last used, parks those that are locked, and lets go of those that are over.
    pub(crate) async fn write_down(&self, at: Timestamp) -> Result<(), StoreProblem> {
        let unwritten = self.cache.unwritten();
        if !unwritten.is_empty() {
            let seen = unwritten.iter().map(|(session, seen_at)| (session.id(), *seen_at)).collect();
            self.store.touch_sessions(seen).await?;
            for (session, seen_at) in unwritten {
                session.note_written(seen_at);
            }
        }
        let is_locked = |session: &Session| session.standing(&self.span(session), at) == Standing::Locked;
        for (token, session) in self.cache.some_token_of(is_locked) {
            self.is_used_elsewhere(&session, token, at).await?;
        }
        self.cache.retain(|session| session.is_stale() || self.stands(session, at));
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

    /// Whether another node, as the store tells, saw a session that is idle or locked here. If not, it is ended for
    /// good, or parked.
    async fn is_used_elsewhere(
        &self,
        session: &Session,
        token: TokenHash,
        at: Timestamp,
    ) -> Result<bool, StoreProblem> {
        let Some(found) = self.store.session_by_token(token).await? else {
            // It ended elsewhere, or its person came back to it with another token: what that is, is not for this one to
            // end.
            session.mark_ended();
            return Ok(false);
        };
        session.note_written(found.session.seen_at);
        match session.standing(&self.span(session), at) {
            Standing::Open => Ok(true),
            Standing::Over => Ok(false),
            Standing::Locked => self.park(session.id(), LOCK_ACTOR, at).await.map(|_| false),
            Standing::Idle => self.end(session.id(), IDLE_ACTOR, at).await.map(|_| false),
        }
    }

    fn span(&self, session: &Session) -> SessionSpan {
        self.spans.load().of(session.class)
    }

    fn class_of(&self, session: &SessionRecord) -> Option<DeviceClass> {
        session.device.as_ref().and_then(|device| self.devices.class_of(device))
    }
}

/// How often a look-up starts over because a session, any session, ended while the store was asked.
const CHANGES_MAX: usize = 8;

fn record(opening: Opening, at: Timestamp, ends_at: Timestamp) -> (SessionRecord, Person, Host) {
    let Opening {
        mut person,
        vouched: _,
        roles_confirmed_at,
        assurance,
        methods,
        credential,
        key_model,
        authenticated_at,
        vouched_at: _,
        replaces: _,
        code: _,
        in_outage,
        ends_by,
        device,
        host,
        provider_session,
        id_token,
        refresh_token,
    } = opening;
    person.roles.sort();
    person.roles.dedup();
    let session = SessionRecord {
        id: random_session_id(),
        user: person.id.clone(),
        roles: person.roles.clone(),
        roles_confirmed_at,
        assurance,
        methods,
        credential,
        key_model,
        authenticated_at,
        device: device.as_ref().map(|device| device.id.clone()),
        opened_at: at,
        seen_at: at,
        ends_at: ends_by.map_or(ends_at, |ends_by| ends_by.min(ends_at)),
        parked_at: None,
        in_outage,
        provider_session,
        id_token,
        refresh_token,
        checked_at: at,
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
