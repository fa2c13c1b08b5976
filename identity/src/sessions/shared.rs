//! Shared devices, where the device is known and the people change: one session at a time, the others wait, parked,
//! for their person to come back.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use config::{OnSwitch, SessionSpan};
use policy::{Device, Host, SessionId, SignInMethod, Timestamp, UserId};
use store::{Others, Resumed, Resumption, SessionRecord, SessionsOf, StoreProblem};

use super::{IDLE_ACTOR, Sessions};
use crate::secret::hash;
use crate::session::{Standing, standing_of};
use crate::{Proven, Session, SessionToken};

/// How far behind the store may be with the last use of a session in another process.
const WRITE_DOWN_SPAN: Duration = Duration::from_secs(60);

/// A session that waits on a device for its person to come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// The session.
    pub session: SessionId,
    /// Whose it is.
    pub user: UserId,
    /// The name they sign in with.
    pub login: String,
    /// Their name as people read it.
    pub name: String,
    /// Since when.
    pub since: Timestamp,
    /// Whether only the clock locked it: nobody else has come since.
    pub locked: bool,
}

impl Sessions {
    /// Whether several people use this device, one at a time.
    #[must_use]
    pub fn is_shared(&self, device: Option<&Device>) -> bool {
        self.spans.load().of(device.map(|device| device.class)).shared
    }

    /// Parks a session: none of its tokens opens anything, and its streams end. False if it was not open.
    ///
    /// # Errors
    /// [`StoreProblem`]; say that it failed and try again. Meanwhile this process takes it for parked.
    pub async fn park(&self, id: SessionId, actor: &str, at: Timestamp) -> Result<bool, StoreProblem> {
        self.forget(id);
        let parked = self.store.park_session(id, at, actor.to_owned()).await?;
        // A look-up that read the store before may have brought it back meanwhile.
        self.forget(id);
        Ok(parked)
    }

    /// The sessions that wait on a device, parked or locked, latest first: for the page that asks who is here.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn waiting(&self, device: &Device, at: Timestamp) -> Result<Vec<Waiting>, StoreProblem> {
        let span = self.spans.load().of(Some(device.class));
        let mut waiting = Vec::new();
        for (session, person) in self.store.sessions_of(SessionsOf::Device(device.id.clone())).await? {
            let parked = session.parked_at.map(|since| (since, false));
            let Some((since, locked)) = parked.or_else(|| self.locked_since(&session, &span, at)) else { continue };
            if at >= session.ends_at || at.since(since) >= span.parked_max || person.disabled.is_some() {
                continue;
            }
            let (id, user) = (session.id, session.user);
            waiting.push(Waiting { session: id, user, login: person.login, name: person.name, since, locked });
        }
        waiting.sort_by_key(|one| std::cmp::Reverse(one.since));
        Ok(waiting)
    }

    /// Since when an open session is locked.
    fn locked_since(&self, session: &SessionRecord, span: &SessionSpan, at: Timestamp) -> Option<(Timestamp, bool)> {
        let cached = self.cache.by_id(session.id).map(|session| session.seen_at());
        let seen_at = cached.map_or(session.seen_at, |cached| cached.max(session.seen_at));
        match standing_of(span, seen_at, at) {
            Standing::Locked => span.lock.map(|lock| (seen_at.after(lock), true)),
            Standing::Open | Standing::Idle | Standing::Over => None,
        }
    }

    /// Takes a session up again whose person just proved by passkey who they are, on its own device: the same session
    /// with a new token; all earlier ones are void. The others of a shared device are parked or ended in the same
    /// step. `None` if it is not theirs, not this device's, over, or parked for too long: open a new one.
    ///
    /// # Errors
    /// [`StoreProblem`]; the session is as it was.
    pub async fn resume(
        &self,
        id: SessionId,
        proven: &Proven,
        device: &Device,
        host: &Host,
        at: Timestamp,
    ) -> Result<Option<(Arc<Session>, SessionToken)>, StoreProblem> {
        let span = self.spans.load().of(Some(device.class));
        let there = self.store.sessions_of(SessionsOf::Device(device.id.clone())).await?;
        let is_it = |(session, _): &(SessionRecord, _)| session.id == id && session.user == proven.person().id;
        let Some((session, _)) = there.into_iter().find(is_it) else { return Ok(None) };
        if session.parked_at.is_none() && self.is_idle(&session, &span, at) {
            return Ok(None);
        }
        let token = SessionToken::random();
        let resumption = Resumption {
            session: id,
            user: session.user,
            device: device.id.clone(),
            credential: proven.credential().clone(),
            key_model: Some(proven.model()),
            assurance: proven.assurance(),
            methods: session.methods.with(SignInMethod::Passkey),
            parked_since: before(at, span.parked_max),
            token: hash(token.expose()),
            host: host.clone(),
            others: others(&span),
            at,
        };
        let resumed = self.store.resume_session(resumption, proven.person().id.to_string()).await?;
        let Some(Resumed { found, displaced }) = resumed else { return Ok(None) };
        self.forget_all(&displaced);
        // Whatever this process knew of the session went by tokens that are void. What it is now is read when it is
        // next asked for: somebody else may have come to the device meanwhile.
        self.note_resumed(id, at);
        Ok(Some((Arc::new(Session::new(found, Some(device.class))), token)))
    }

    fn is_idle(&self, session: &SessionRecord, span: &SessionSpan, at: Timestamp) -> bool {
        let cached = self.cache.by_id(session.id).map(|session| session.seen_at());
        let seen_at = cached.map_or(session.seen_at, |cached| cached.max(session.seen_at));
        standing_of(span, seen_at, at) == Standing::Idle
    }

    /// Ends sessions that were parked for too long, or that nobody asked for since they became idle. While a node is not
    /// heard, that nobody did is not known.
    pub(crate) async fn end_overdue(&self, at: Timestamp) -> Result<(), StoreProblem> {
        let are_unheard = self.others_are_unheard.load(Ordering::Relaxed);
        for (session, _) in self.store.sessions().await? {
            let span = self.spans.load().of(self.class_of(&session));
            let is_overdue = match session.parked_at {
                Some(since) => at.since(since) >= span.parked_max,
                None => !are_unheard && self.is_idle(&session, &span, before(at, WRITE_DOWN_SPAN)),
            };
            if is_overdue {
                self.end(session.id, IDLE_ACTOR, at).await?;
            }
        }
        Ok(())
    }
}

/// What becomes of the other sessions of a device when one is opened there.
pub(super) fn others(span: &SessionSpan) -> Others {
    match span.on_switch {
        OnSwitch::Park if span.shared => Others::Park,
        OnSwitch::End if span.shared => Others::End,
        OnSwitch::Park | OnSwitch::End => Others::Keep,
    }
}

fn before(at: Timestamp, span: Duration) -> Timestamp {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_unix_micros(at.unix_micros().saturating_sub(micros))
}

#[cfg(test)]
mod tests;
