//! A clock to turn by hand, a store in memory, and people and devices for tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use config::{SessionSpan, SessionSpans};
use policy::{
    Assurance, Clock, Device, DeviceClass, DeviceId, Fingerprint, Host, ProviderId, RoleId, SessionId, Timestamp,
    UserId,
};
use store::{
    Answer, Ceremony, DeviceRecord, Event, FoundSession, Person, SessionRecord, Sqlite, Store, StoreProblem, TokenHash,
};

use crate::{Devices, Opening, Sessions};

/// 2026-11-20T23:00Z.
pub(crate) const START: Timestamp = Timestamp::from_unix_micros(1_795_215_600_000_000);

#[derive(Clone)]
pub(crate) struct Hands(Arc<AtomicI64>);

impl Hands {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicI64::new(START.unix_micros())))
    }

    pub(crate) fn clock(&self) -> Clock {
        let hands = self.0.clone();
        Clock::new(move || Timestamp::from_unix_micros(hands.load(Ordering::SeqCst)))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock().now()
    }

    pub(crate) fn turn(&self, span: Duration) {
        self.0.store(self.now().after(span).unix_micros(), Ordering::SeqCst);
    }
}

/// A real store that counts look-ups of tokens and fails on demand.
#[derive(Debug)]
pub(crate) struct Counting {
    inner: Sqlite,
    look_ups: AtomicUsize,
    look_ups_now: AtomicUsize,
    look_ups_at_once_max: AtomicUsize,
    fails: AtomicBool,
}

impl Counting {
    pub(crate) fn new() -> Arc<Self> {
        let inner = Sqlite::in_memory().unwrap();
        let zero = AtomicUsize::default;
        Arc::new(Self {
            inner,
            look_ups: zero(),
            look_ups_now: zero(),
            look_ups_at_once_max: zero(),
            fails: false.into(),
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.look_ups.load(Ordering::SeqCst)
    }

    pub(crate) fn look_ups_at_once_max(&self) -> usize {
        self.look_ups_at_once_max.load(Ordering::SeqCst)
    }

    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    fn or_fail<'a, T: 'a>(&'a self, answer: Answer<'a, T>) -> Answer<'a, T> {
        if self.fails.load(Ordering::SeqCst) {
            return Box::pin(async { Err(StoreProblem::Unavailable("as the test wants".to_owned())) });
        }
        answer
    }
}

impl Store for Counting {
    fn remember_person(&self, person: Person) -> Answer<'_, ()> {
        self.or_fail(self.inner.remember_person(person))
    }
    fn person<'a>(&'a self, id: &'a UserId) -> Answer<'a, Option<Person>> {
        self.or_fail(self.inner.person(id))
    }
    fn add_device(&self, device: DeviceRecord, actor: String) -> Answer<'_, ()> {
        self.or_fail(self.inner.add_device(device, actor))
    }
    fn revoke_device<'a>(&'a self, id: &'a DeviceId, at: Timestamp, actor: String) -> Answer<'a, bool> {
        self.or_fail(self.inner.revoke_device(id, at, actor))
    }
    fn devices(&self) -> Answer<'_, Vec<DeviceRecord>> {
        self.or_fail(self.inner.devices())
    }
    fn open_session(&self, session: SessionRecord, token: TokenHash, host: Host) -> Answer<'_, ()> {
        self.or_fail(self.inner.open_session(session, token, host))
    }
    fn add_token(&self, session: SessionId, token: TokenHash, host: Host) -> Answer<'_, bool> {
        self.or_fail(self.inner.add_token(session, token, host))
    }
    fn session_by_token(&self, token: TokenHash) -> Answer<'_, Option<FoundSession>> {
        Box::pin(async move {
            self.look_ups.fetch_add(1, Ordering::SeqCst);
            let now = self.look_ups_now.fetch_add(1, Ordering::SeqCst) + 1;
            self.look_ups_at_once_max.fetch_max(now, Ordering::SeqCst);
            tokio::task::yield_now().await;
            let found = self.or_fail(self.inner.session_by_token(token)).await;
            self.look_ups_now.fetch_sub(1, Ordering::SeqCst);
            found
        })
    }
    fn touch_sessions(&self, seen: Vec<(SessionId, Timestamp)>) -> Answer<'_, ()> {
        self.or_fail(self.inner.touch_sessions(seen))
    }
    fn end_session(&self, id: SessionId, at: Timestamp, actor: String) -> Answer<'_, Option<SessionRecord>> {
        self.or_fail(self.inner.end_session(id, at, actor))
    }
    fn sessions(&self) -> Answer<'_, Vec<(SessionRecord, Person)>> {
        self.or_fail(self.inner.sessions())
    }
    fn start_ceremony(&self, secret: TokenHash, ceremony: Ceremony) -> Answer<'_, ()> {
        self.or_fail(self.inner.start_ceremony(secret, ceremony))
    }
    fn take_ceremony(&self, secret: TokenHash, kind: &'static str, at: Timestamp) -> Answer<'_, Option<String>> {
        self.or_fail(self.inner.take_ceremony(secret, kind, at))
    }
    fn events_after(&self, sequence: u64, most: usize) -> Answer<'_, Vec<Event>> {
        self.or_fail(self.inner.events_after(sequence, most))
    }
    fn note<'a>(&'a self, key: &'a str) -> Answer<'a, Option<String>> {
        self.or_fail(self.inner.note(key))
    }
    fn set_note<'a>(&'a self, key: &'a str, value: String) -> Answer<'a, ()> {
        self.or_fail(self.inner.set_note(key, value))
    }
    fn prune(&self, at: Timestamp) -> Answer<'_, ()> {
        self.or_fail(self.inner.prune(at))
    }
}

/// Everything that stands around a session.
pub(crate) struct Ward {
    pub(crate) hands: Hands,
    pub(crate) store: Arc<Counting>,
    pub(crate) devices: Arc<Devices>,
    pub(crate) sessions: Arc<Sessions>,
}

impl Ward {
    /// A ward with one shared terminal in its ledger, `ward-3`.
    pub(crate) async fn open() -> Self {
        let store = Counting::new();
        store.add_device(terminal_record(), "cli:test".to_owned()).await.unwrap();
        Self::over(store, Hands::new()).await
    }

    /// Another process over the same store, with empty memory.
    pub(crate) async fn neighbour(&self) -> Self {
        Self::over(self.store.clone(), self.hands.clone()).await
    }

    async fn over(store: Arc<Counting>, hands: Hands) -> Self {
        let devices = Arc::new(Devices::load(store.clone()).await.unwrap());
        let sessions = Arc::new(Sessions::new(store.clone(), devices.clone(), spans()));
        Self { hands, store, devices, sessions }
    }
}

pub(crate) fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// Ten minutes idle and nine hours in all on shared terminals, thirty minutes and an hour without a known device.
pub(crate) fn spans() -> SessionSpans {
    let ward = SessionSpan::lasting(minutes(10), minutes(9 * 60));
    let unknown_device = SessionSpan::lasting(minutes(30), minutes(60));
    SessionSpans { by_class: BTreeMap::from([(DeviceClass::WardShared, ward)]), unknown_device }
}

pub(crate) fn host(text: &str) -> Host {
    Host::parse(text).unwrap()
}

pub(crate) fn terminal() -> Arc<Device> {
    let id = DeviceId::parse("ward-3").unwrap();
    Arc::new(Device { id, class: DeviceClass::WardShared, certificate: Fingerprint::new([3; 32]), posture: Arc::from([]) })
}

pub(crate) fn terminal_record() -> DeviceRecord {
    let device = terminal();
    DeviceRecord {
        id: device.id.clone(),
        class: device.class,
        asset: "A-0003".to_owned(),
        owner: "情報システム室".to_owned(),
        place: "3階東病棟".to_owned(),
        certificate: device.certificate,
        certificate_ends_at: START.after(minutes(60 * 24 * 365)),
        added_at: START,
        revoked_at: None,
    }
}

pub(crate) fn nurse() -> Person {
    let (issuer, subject) = ("https://idp.example.jp".to_owned(), "0001".to_owned());
    Person {
        id: crate::user_id(&issuer, &subject),
        issuer,
        subject,
        provider: ProviderId::parse("ad").unwrap(),
        login: "n.sato".to_owned(),
        name: "佐藤 花子".to_owned(),
        roles: vec![RoleId::parse("nurse").unwrap()],
        seen_at: START,
    }
}

pub(crate) fn opening(device: Option<Arc<Device>>) -> Opening {
    Opening {
        person: nurse(),
        assurance: Assurance::Aal2,
        authenticated_at: START,
        device,
        host: host("login.example.jp"),
        provider_session: Some("idp-session".to_owned()),
        id_token: None,
    }
}
