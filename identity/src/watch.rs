//! Follows what changed in the store, here or in another process, so that a revocation is in force within a second.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use foldhash::HashSet;
use policy::{Clock, Timestamp};
use store::{Change, Event, Store, StoreProblem};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::{Devices, Grants, Outage, Sessions};

/// How often the store is asked for events where nobody rings.
const POLL_INTERVAL: Duration = Duration::from_millis(200);
/// How often it is asked where another node rings when it told something: a ring may be missed.
const RUNG_INTERVAL: Duration = Duration::from_secs(1);
/// Events read at once.
const EVENTS_MAX: usize = 256;
/// How often the last use of sessions is written down.
const WRITE_DOWN_INTERVAL: Duration = Duration::from_secs(30);
/// How often the store is told to remove what is out of time.
const PRUNE_INTERVAL: Duration = Duration::from_secs(300);

/// Follows the store's events and does its housekeeping. One task owns it.
pub struct Watch {
    store: Arc<dyn Store>,
    sessions: Arc<Sessions>,
    devices: Arc<Devices>,
    clock: Clock,
    outage: Option<Arc<Outage>>,
    grants: Option<Arc<Grants>>,
    /// The last event that was applied.
    applied: u64,
    changes: watch::Sender<u64>,
    bell: Option<watch::Receiver<u64>>,
    /// Whether the last answer was none.
    is_away: bool,
    written_down_at: Timestamp,
    pruned_at: Timestamp,
}

impl Watch {
    /// Follows the events after `from`: the last one that was recorded.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, sessions: Arc<Sessions>, devices: Arc<Devices>, clock: Clock, from: u64) -> Self {
        let now = clock.now();
        let changes = watch::Sender::new(from);
        let bell = store.bell();
        sessions.note_answered(now);
        Self {
            store,
            sessions,
            devices,
            clock,
            outage: None,
            grants: None,
            applied: from,
            changes,
            bell,
            is_away: false,
            written_down_at: now,
            pruned_at: now,
        }
    }

    /// Follows outages too.
    #[must_use]
    pub fn with_outage(self, outage: Arc<Outage>) -> Self {
        Self { outage: Some(outage), ..self }
    }

    /// Follows the ends of exceptions too. What is given comes into force elsewhere, once that is recorded.
    #[must_use]
    pub fn with_grants(self, grants: Arc<Grants>) -> Self {
        Self { grants: Some(grants), ..self }
    }

    /// Tells the number of the last event each time some were applied: streams then ask again whether they may go on.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Waits for events, applies them to sessions and devices, and returns them, oldest first, for the record; none only
    /// where that is the first answer after the store was away. May be dropped at any point: an event that was not returned is returned again.
    ///
    /// # Errors
    /// [`StoreProblem`] once for each time the store did not answer; call again. Until it does, revocations made
    /// elsewhere are not in force here: raise the alarm.
    pub async fn next(&mut self) -> Result<Vec<Event>, StoreProblem> {
        loop {
            let events = match self.poll().await {
                Ok(events) => events,
                Err(problem) => {
                    self.is_away = true;
                    sleep(POLL_INTERVAL).await;
                    return Err(problem);
                }
            };
            if !events.is_empty() || std::mem::take(&mut self.is_away) {
                self.is_away = false;
                return Ok(events);
            }
            if let Err(problem) = self.keep_house().await {
                self.is_away = true;
                return Err(problem);
            }
            self.rest().await;
        }
    }

    /// Waits until something may have been told.
    async fn rest(&mut self) {
        match &mut self.bell {
            Some(bell) => match timeout(RUNG_INTERVAL, bell.changed()).await {
                Ok(Ok(())) | Err(_) => {}
                // Nobody will ring any more.
                Ok(Err(_)) => self.bell = None,
            },
            None => sleep(POLL_INTERVAL).await,
        }
    }

    /// Asks once.
    async fn poll(&mut self) -> Result<Vec<Event>, StoreProblem> {
        let asked_at = self.clock.now();
        let events = self.store.events_after(self.applied, EVENTS_MAX).await?;
        let Some(last) = events.last().map(|event| event.sequence) else {
            self.sessions.note_answered(asked_at);
            return Ok(events);
        };
        let applied = self.apply(&events).await;
        self.changes.send_replace(last);
        applied?;
        self.sessions.note_answered(asked_at);
        self.applied = last;
        Ok(events)
    }

    /// Ends come first and cannot fail; what was added is read at last.
    async fn apply(&self, events: &[Event]) -> Result<(), StoreProblem> {
        let (mut is_ledger_changed, mut is_outage_changed, mut is_anything_changed) = (false, false, false);
        let (mut changed, mut doubted, mut people) = (Vec::new(), HashSet::default(), HashSet::default());
        for event in events {
            match &event.change {
                Change::SessionEnded(id) => self.sessions.forget(*id),
                Change::SessionParked(id) => self.sessions.note_parked(*id, event.at),
                Change::SessionResumed(id) => self.sessions.note_resumed(*id, event.at),
                Change::SessionChanged(id) => {
                    self.sessions.note_changed(*id);
                    changed.push(*id);
                }
                Change::DeviceRevoked(id) => {
                    self.devices.note_revoked(id).await;
                    is_ledger_changed = true;
                }
                Change::DeviceAdded(_)
                | Change::DeviceChanged(_)
                | Change::CertificateAdded(_)
                | Change::CertificateRevoked(_)
                | Change::PostureChanged => is_ledger_changed = true,
                Change::PersonChanged { user, roles } => {
                    if roles.is_some() {
                        doubted.insert(user.clone());
                    }
                    people.insert(user.clone());
                }
                Change::PersonDisabled(user) => {
                    doubted.insert(user.clone());
                }
                Change::GrantEnded(id) => {
                    if let Some(grants) = &self.grants {
                        grants.note_ended(id).await;
                    }
                }
                Change::PersonAdded(_)
                | Change::PersonEnabled(_)
                | Change::CredentialAdded { .. }
                | Change::CredentialRenamed { .. }
                | Change::CredentialRemoved { .. }
                | Change::InvitationMade(_)
                | Change::InvitationUsed(_)
                | Change::InvitationRevoked(_)
                | Change::LogRead(_)
                | Change::PolicyProposed(_)
                | Change::PolicyApproved(_)
                | Change::GrantRequested(_)
                | Change::GrantApproved(_)
                | Change::GrantAdmitted(_)
                | Change::GrantRefused(_)
                | Change::GrantWithdrawn(_)
                | Change::GrantReported(_)
                | Change::GrantConfirmed(_)
                | Change::GlassBroken(_)
                | Change::GlassReviewed(_)
                | Change::GrantOverdue { .. }
                | Change::InventoryChanged(_) => {}
                Change::OutageBegan(_) | Change::OutageEnded(_) | Change::OutageSwitched { .. } => {
                    is_outage_changed = true;
                }
                Change::Unknown(word) => {
                    tracing::warn!(word, "a later version tells of a change that this one does not know");
                    (is_ledger_changed, is_outage_changed, is_anything_changed) = (true, true, true);
                }
            }
        }
        changed.extend(self.sessions.note_people_changed(&people));
        if is_anything_changed {
            changed.extend(self.sessions.note_anything_changed());
        }
        if !changed.is_empty() {
            self.sessions.read_again(&changed).await?;
        }
        if is_ledger_changed {
            self.devices.reload().await?;
        }
        if let Some(grants) = &self.grants
            && (is_anything_changed || doubted.iter().any(|person| grants.rest_on(person)))
        {
            grants.narrow(&doubted, self.clock.now()).await?;
        }
        match &self.outage {
            Some(outage) if is_outage_changed => outage.reload().await,
            Some(_) | None => Ok(()),
        }
    }

    async fn keep_house(&mut self) -> Result<(), StoreProblem> {
        let now = self.clock.now();
        if now.since(self.written_down_at) >= WRITE_DOWN_INTERVAL {
            self.written_down_at = now;
            self.sessions.write_down(now).await?;
            self.devices.write_down().await?;
        }
        if now.since(self.pruned_at) >= PRUNE_INTERVAL {
            self.pruned_at = now;
            self.sessions.end_overdue(now).await?;
            self.store.prune(now).await?;
        }
        Ok(())
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("applied", &self.applied).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::RoleId;
    use store::PersonChange;

    use crate::testing::{START, Ward, host, minutes, nurse, opening, terminal};
    use crate::{Current, DeviceState, Session, SessionToken};

    fn watch(ward: &Ward, from: u64) -> Watch {
        Watch::new(ward.store.clone(), ward.sessions.clone(), ward.devices.clone(), ward.hands.clock(), from)
    }

    async fn is_signed_in(ward: &Ward, token: &SessionToken) -> bool {
        let now = ward.hands.now();
        let found = ward.sessions.find(token.expose(), &host("login.example.jp"), Some(&terminal()), now).await;
        found.unwrap().is_some()
    }

    #[tokio::test(start_paused = true)]
    async fn a_revocation_elsewhere_is_in_force_here_and_streams_are_told() {
        let (here, there) = {
            let ward = Ward::open().await;
            let neighbour = ward.neighbour().await;
            (ward, neighbour)
        };
        let mut watch = watch(&here, 0);
        let mut changes = watch.changes();
        assert!(matches!(watch.next().await.unwrap().as_slice(), [Event { change: Change::DeviceAdded(_), .. }]));
        let (session, token) = here.sessions.open(opening(Some(terminal())), START).await.unwrap();
        assert!(is_signed_in(&here, &token).await);
        changes.mark_unchanged();
        there.store.revoke_device(&terminal().id, START, "cli:root".to_owned()).await.unwrap();
        let events = watch.next().await.unwrap();
        assert!(events.iter().any(|event| event.change == Change::DeviceRevoked(terminal().id.clone())));
        assert!(events.iter().any(|event| event.change == Change::SessionEnded(session.id())));
        assert!(events.iter().all(|event| event.actor == "cli:root"));
        assert!(changes.has_changed().unwrap());
        assert!(!is_signed_in(&here, &token).await);
        assert!(!here.sessions.is_open(&session, START));
        let state = here.devices.find(&terminal().certificate, START);
        assert_eq!(state, DeviceState::Revoked(terminal().id.clone()));
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_go_on_while_the_store_is_away_for_as_long_as_the_hospital_says() {
        let ward = Ward::open().await;
        ward.sessions.set_away_max(Duration::from_secs(300));
        let mut watch = watch(&ward, 0);
        watch.next().await.unwrap();
        let (session, token) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
        ward.store.fail(true);
        for _ in 0..5 {
            assert!(watch.next().await.is_err());
            assert!(is_signed_in(&ward, &token).await);
            assert!(matches!(held(&ward, &session), Current::Open(_)));
            ward.hands.turn(Duration::from_secs(60));
        }
        assert!(ward.sessions.store_away_since(ward.hands.now()).is_some());
        ward.hands.turn(Duration::from_secs(1));
        let (host, device, now) = (host("login.example.jp"), terminal(), ward.hands.now());
        let late = ward.sessions.find(token.expose(), &host, Some(&device), now);
        assert!(matches!(late.await, Err(StoreProblem::Unavailable(_))), "neither signed in nor signed out");
        assert!(matches!(held(&ward, &session), Current::Over), "streams end");
        ward.store.fail(false);
        assert!(watch.next().await.unwrap().is_empty(), "that it is back is told");
        assert!(is_signed_in(&ward, &token).await, "nothing happened meanwhile");
        ward.store.revoke_device(&terminal().id, ward.hands.now(), "cli:root".to_owned()).await.unwrap();
        watch.next().await.unwrap();
        assert!(!is_signed_in(&ward, &token).await, "what was revoked is known before anybody is in again");
    }

    /// A stream: what is known of its session now.
    fn held(ward: &Ward, session: &Session) -> Current {
        ward.sessions.current(session.id(), ward.hands.now())
    }

    async fn give_roles(ward: &Ward, roles: &[&str]) {
        let roles = Some(roles.iter().map(|role| RoleId::parse(role).unwrap()).collect());
        let change = PersonChange { roles, ..PersonChange::default() };
        assert!(ward.store.change_person(&nurse().id, change, START, "cli:root".to_owned()).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_holds_a_session_finds_its_new_roles_without_asking_with_a_token() {
        let ward = Ward::open().await;
        let (session, token) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
        let mut watch = watch(&ward, 1);
        give_roles(&ward, &["clerk"]).await;
        assert!(matches!(held(&ward, &session), Current::Open(as_before) if Arc::ptr_eq(&as_before, &session)));
        watch.next().await.unwrap();
        let Current::Open(now) = held(&ward, &session) else { panic!("it is open") };
        assert_eq!(now.who.roles.as_ref(), [RoleId::parse("clerk").unwrap()]);
        assert!(!ward.sessions.is_open(&session, START), "nobody goes on with what it was");
        assert!(is_signed_in(&ward, &token).await);
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_holds_a_session_has_it_read_anew_when_what_changed_is_not_known() {
        let ward = Ward::open().await;
        let (session, _token) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
        let watch = watch(&ward, 1);
        give_roles(&ward, &["clerk"]).await;
        let change = Change::Unknown("roles-rearranged".to_owned());
        let event = Event { sequence: 9, at: START, actor: "cli:root".to_owned(), change };
        watch.apply(&[event]).await.unwrap();
        let Current::Open(now) = held(&ward, &session) else { panic!("it is open") };
        assert_eq!(now.who.roles.as_ref(), [RoleId::parse("clerk").unwrap()]);
    }

    async fn give_unit(ward: &Ward, unit: &str) {
        let change = PersonChange { unit: Some(unit.to_owned()), ..PersonChange::default() };
        assert!(ward.store.change_person(&nurse().id, change, START, "cli:root".to_owned()).await.unwrap());
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_moved_to_another_unit_is_of_it_from_then_on() {
        let ward = Ward::open().await;
        let (session, token) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
        let (resting, rests) = ward.sessions.open(opening(None), START).await.unwrap();
        drop(resting);
        let mut watch = watch(&ward, 1);
        give_unit(&ward, "ICU").await;
        watch.next().await.unwrap();
        let Current::Open(now) = held(&ward, &session) else { panic!("it is open") };
        assert_eq!((now.who.unit.as_ref(), &now.who.roles), ("ICU", &session.who.roles));
        let find = |token: &SessionToken| {
            let (sessions, token) = (ward.sessions.clone(), token.expose().to_owned());
            async move { sessions.find(&token, &host("login.example.jp"), None, START).await.unwrap().unwrap() }
        };
        assert!(Arc::ptr_eq(&now, &find(&token).await));
        assert_eq!(find(&rests).await.who.unit.as_ref(), "ICU");
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_whose_new_roles_cannot_be_read_is_over_for_whoever_holds_it() {
        let ward = Ward::open().await;
        let (session, token) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
        give_roles(&ward, &["clerk"]).await;
        ward.sessions.note_changed(session.id());
        assert!(matches!(held(&ward, &session), Current::Changing));
        ward.store.fail(true);
        assert!(ward.sessions.read_again(&[session.id()]).await.is_err());
        assert!(matches!(held(&ward, &session), Current::Over));
        ward.store.fail(false);
        assert!(is_signed_in(&ward, &token).await, "it is not: only nobody may go on unasked");
        assert!(matches!(held(&ward, &session), Current::Open(_)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_that_changes_while_no_token_of_it_is_in_memory_is_over_for_whoever_holds_it() {
        let ward = Ward::open().await;
        let (session, _token) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
        ward.sessions.forget_tokens();
        give_roles(&ward, &["clerk"]).await;
        watch(&ward, 1).next().await.unwrap();
        assert!(matches!(held(&ward, &session), Current::Over));
    }

    #[tokio::test(start_paused = true)]
    async fn no_event_is_missed_while_the_store_is_silent() {
        let ward = Ward::open().await;
        let mut watch = watch(&ward, 0);
        ward.store.fail(true);
        assert!(watch.next().await.is_err());
        assert!(watch.next().await.is_err());
        ward.store.fail(false);
        assert_eq!(watch.next().await.unwrap().len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn housekeeping_writes_down_use_and_prunes() {
        let ward = Ward::open().await;
        let (_, token) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
        let mut watch = watch(&ward, 1);
        ward.hands.turn(minutes(6));
        assert!(is_signed_in(&ward, &token).await);
        watch.keep_house().await.unwrap();
        let (session, _) = ward.store.sessions().await.unwrap().remove(0);
        assert_eq!(session.seen_at, ward.hands.now());
    }
}
