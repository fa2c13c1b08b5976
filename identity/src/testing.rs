//! A clock to turn by hand, a store in memory, and people and devices for tests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::time::Duration;

use config::{SessionSpan, SessionSpans};
use policy::{
    Assurance, Clock, Device, DeviceClass, DeviceId, Fingerprint, GrantId, Host, Methods, ProviderId, Revision, RoleId,
    SessionId, SignInMethod, Timestamp, UserId,
};
use store::{
    Answer, Approval, AskTerms, Ceremony, CertificateRecord, Credential, CredentialFound, CredentialId, CredentialUse,
    CredentialUsed, DeviceChange, DeviceRecord, DeviceRevocation, DeviceWrite, Displaced, Event, FoundSession,
    GlassTerms, GlassVerdict, GrantConfirmation, GrantFilter, GrantRecord, GrantRefusal, GrantReport, Invitation,
    InvitationId, LogUse, MaintenanceLine, MaintenanceWrite, NewGlass, NewMaintenance, NewReview, NewRevision,
    NewSession, OutageSwitch, PeopleFilter, Person, PersonChange, PersonWrite, PlanFile, PolicyRevision, PostureRow,
    Purpose, Redemption, Resumed, Resumption, Review, ReviewFinding, ReviewItem, Ruler, SavedQuestion, Secret,
    SessionRecord, SessionsOf, Signature, Signing, Sqlite, Store, StoreProblem, TokenHash, WhichCredential,
};

use crate::{Devices, Opening, Sessions, SignedIn};

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
    calls_left: AtomicUsize,
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
            calls_left: usize::MAX.into(),
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

    /// Answers so many times more, then fails until it is told otherwise.
    pub(crate) fn fail_after(&self, calls: usize) {
        self.calls_left.store(calls, Ordering::SeqCst);
    }

    fn or_fail<'a, T: 'a>(&'a self, answer: Answer<'a, T>) -> Answer<'a, T> {
        let left = self.calls_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
        if left.is_err() || self.fails.load(Ordering::SeqCst) {
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
    fn person_by_subject<'a>(&'a self, provider: &'a ProviderId, subject: &'a str) -> Answer<'a, Option<Person>> {
        self.or_fail(self.inner.person_by_subject(provider, subject))
    }
    fn person_by_login<'a>(&'a self, provider: &'a ProviderId, login: &'a str) -> Answer<'a, Option<Person>> {
        self.or_fail(self.inner.person_by_login(provider, login))
    }
    fn people_called(&self, names: Vec<String>) -> Answer<'_, Vec<Person>> {
        self.or_fail(self.inner.people_called(names))
    }
    fn people(&self, filter: PeopleFilter, after: Option<UserId>, most: usize) -> Answer<'_, Vec<Person>> {
        self.or_fail(self.inner.people(filter, after, most))
    }
    fn add_person(&self, person: Person, actor: String) -> Answer<'_, ()> {
        self.or_fail(self.inner.add_person(person, actor))
    }
    fn change_person<'a>(
        &'a self,
        id: &'a UserId,
        change: PersonChange,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        self.or_fail(self.inner.change_person(id, change, at, actor))
    }
    fn write_people(&self, writes: Vec<PersonWrite>, at: Timestamp, actor: String) -> Answer<'_, ()> {
        self.or_fail(self.inner.write_people(writes, at, actor))
    }
    fn disable_person<'a>(
        &'a self,
        id: &'a UserId,
        why: String,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, Option<Vec<SessionRecord>>> {
        self.or_fail(self.inner.disable_person(id, why, at, actor))
    }
    fn disable_unused<'a>(
        &'a self,
        provider: &'a ProviderId,
        unused_since: Timestamp,
        why: String,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, Vec<UserId>> {
        self.or_fail(self.inner.disable_unused(provider, unused_since, why, at, actor))
    }
    fn enable_person<'a>(&'a self, id: &'a UserId, at: Timestamp, actor: String) -> Answer<'a, bool> {
        self.or_fail(self.inner.enable_person(id, at, actor))
    }
    fn confirm_roles<'a>(
        &'a self,
        id: &'a UserId,
        roles: Vec<RoleId>,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        self.or_fail(self.inner.confirm_roles(id, roles, at, actor))
    }
    fn add_credential(&self, credential: Credential, which: WhichCredential, actor: String) -> Answer<'_, ()> {
        self.or_fail(self.inner.add_credential(credential, which, actor))
    }
    fn credentials_of<'a>(&'a self, user: &'a UserId) -> Answer<'a, Vec<Credential>> {
        self.or_fail(self.inner.credentials_of(user))
    }
    fn credential<'a>(&'a self, id: &'a CredentialId) -> Answer<'a, Option<CredentialFound>> {
        self.or_fail(self.inner.credential(id))
    }
    fn credential_used<'a>(&'a self, id: &'a CredentialId, used: CredentialUse) -> Answer<'a, CredentialUsed> {
        self.or_fail(self.inner.credential_used(id, used))
    }
    fn had_credential<'a>(&'a self, user: &'a UserId) -> Answer<'a, bool> {
        self.or_fail(self.inner.had_credential(user))
    }
    fn rename_credential<'a>(
        &'a self,
        user: &'a UserId,
        id: &'a CredentialId,
        name: String,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        self.or_fail(self.inner.rename_credential(user, id, name, at, actor))
    }
    fn remove_credential<'a>(
        &'a self,
        user: &'a UserId,
        id: &'a CredentialId,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, Option<Vec<SessionRecord>>> {
        self.or_fail(self.inner.remove_credential(user, id, at, actor))
    }
    fn invite(&self, invitation: Invitation) -> Answer<'_, ()> {
        self.or_fail(self.inner.invite(invitation))
    }
    fn invitation(&self, secret: TokenHash, at: Timestamp) -> Answer<'_, Option<Invitation>> {
        self.or_fail(self.inner.invitation(secret, at))
    }
    fn take_invitation(
        &self,
        secret: TokenHash,
        purpose: Purpose,
        at: Timestamp,
        actor: String,
    ) -> Answer<'_, Option<Invitation>> {
        self.or_fail(self.inner.take_invitation(secret, purpose, at, actor))
    }
    fn redeem_invitation(
        &self,
        secret: TokenHash,
        redemption: Redemption,
        at: Timestamp,
        actor: String,
    ) -> Answer<'_, Option<Invitation>> {
        self.or_fail(self.inner.redeem_invitation(secret, redemption, at, actor))
    }
    fn invitations(&self) -> Answer<'_, Vec<Invitation>> {
        self.or_fail(self.inner.invitations())
    }
    fn revoke_invitation(&self, id: InvitationId, at: Timestamp, actor: String) -> Answer<'_, bool> {
        self.or_fail(self.inner.revoke_invitation(id, at, actor))
    }
    fn add_device(&self, device: DeviceRecord, actor: String) -> Answer<'_, ()> {
        self.or_fail(self.inner.add_device(device, actor))
    }
    fn change_device<'a>(
        &'a self,
        id: &'a DeviceId,
        change: DeviceChange,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        self.or_fail(self.inner.change_device(id, change, at, actor))
    }
    fn write_devices(&self, writes: Vec<DeviceWrite>, at: Timestamp, actor: String) -> Answer<'_, ()> {
        self.or_fail(self.inner.write_devices(writes, at, actor))
    }
    fn revoke_device<'a>(&'a self, id: &'a DeviceId, at: Timestamp, actor: String) -> Answer<'a, bool> {
        self.or_fail(self.inner.revoke_device(id, at, actor))
    }
    fn revoke_device_unless<'a>(
        &'a self,
        id: &'a DeviceId,
        signed_in: Vec<RoleId>,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, DeviceRevocation> {
        self.or_fail(self.inner.revoke_device_unless(id, signed_in, at, actor))
    }
    fn add_certificate<'a>(
        &'a self,
        device: &'a DeviceId,
        certificate: CertificateRecord,
        earlier_end_at: Option<Timestamp>,
        actor: String,
    ) -> Answer<'a, ()> {
        self.or_fail(self.inner.add_certificate(device, certificate, earlier_end_at, actor))
    }
    fn revoke_certificate<'a>(
        &'a self,
        device: &'a DeviceId,
        fingerprint: &'a Fingerprint,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        self.or_fail(self.inner.revoke_certificate(device, fingerprint, at, actor))
    }
    fn devices_seen(&self, seen: Vec<(DeviceId, Timestamp)>) -> Answer<'_, ()> {
        self.or_fail(self.inner.devices_seen(seen))
    }
    fn device<'a>(&'a self, id: &'a DeviceId) -> Answer<'a, Option<DeviceRecord>> {
        self.or_fail(self.inner.device(id))
    }
    fn device_by_certificate<'a>(&'a self, fingerprint: &'a Fingerprint) -> Answer<'a, Option<DeviceRecord>> {
        self.or_fail(self.inner.device_by_certificate(fingerprint))
    }
    fn devices(&self) -> Answer<'_, Vec<DeviceRecord>> {
        self.or_fail(self.inner.devices())
    }
    fn set_posture(&self, rows: Vec<PostureRow>, at: Timestamp, actor: String) -> Answer<'_, Vec<DeviceId>> {
        self.or_fail(self.inner.set_posture(rows, at, actor))
    }
    fn posture(&self) -> Answer<'_, Vec<PostureRow>> {
        self.or_fail(self.inner.posture())
    }
    fn open_session(&self, opening: NewSession, actor: String) -> Answer<'_, Displaced> {
        self.or_fail(self.inner.open_session(opening, actor))
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
    fn park_session(&self, id: SessionId, at: Timestamp, actor: String) -> Answer<'_, bool> {
        self.or_fail(self.inner.park_session(id, at, actor))
    }
    fn resume_session(&self, resumption: Resumption, actor: String) -> Answer<'_, Option<Resumed>> {
        self.or_fail(self.inner.resume_session(resumption, actor))
    }
    fn end_session(&self, id: SessionId, at: Timestamp, actor: String) -> Answer<'_, bool> {
        self.or_fail(self.inner.end_session(id, at, actor))
    }
    fn end_sessions(&self, of: SessionsOf, at: Timestamp, actor: String) -> Answer<'_, Vec<SessionRecord>> {
        self.or_fail(self.inner.end_sessions(of, at, actor))
    }
    fn sessions(&self) -> Answer<'_, Vec<(SessionRecord, Person)>> {
        self.or_fail(self.inner.sessions())
    }
    fn sessions_of(&self, of: SessionsOf) -> Answer<'_, Vec<(SessionRecord, Person)>> {
        self.or_fail(self.inner.sessions_of(of))
    }
    fn sessions_to_check<'a>(
        &'a self,
        provider: &'a ProviderId,
        checked_before: Timestamp,
        most: usize,
    ) -> Answer<'a, Vec<(SessionRecord, Person)>> {
        self.or_fail(self.inner.sessions_to_check(provider, checked_before, most))
    }
    fn claim_check(&self, session: SessionId, read: Timestamp, at: Timestamp) -> Answer<'_, bool> {
        self.or_fail(self.inner.claim_check(session, read, at))
    }
    fn set_refresh_token(&self, session: SessionId, token: Option<Secret>) -> Answer<'_, bool> {
        self.or_fail(self.inner.set_refresh_token(session, token))
    }
    fn start_ceremony(&self, secret: TokenHash, ceremony: Ceremony) -> Answer<'_, ()> {
        self.or_fail(self.inner.start_ceremony(secret, ceremony))
    }
    fn take_ceremony(&self, secret: TokenHash, kind: &'static str, at: Timestamp) -> Answer<'_, Option<String>> {
        self.or_fail(self.inner.take_ceremony(secret, kind, at))
    }
    fn remember_once(&self, kind: &'static str, key: TokenHash, expires_at: Timestamp) -> Answer<'_, bool> {
        self.or_fail(self.inner.remember_once(kind, key, expires_at))
    }
    fn propose_revision(&self, new: NewRevision, replay: Option<String>) -> Answer<'_, u64> {
        self.or_fail(self.inner.propose_revision(new, replay))
    }
    fn replay_of(&self, number: u64) -> Answer<'_, Option<String>> {
        self.or_fail(self.inner.replay_of(number))
    }
    fn approve_revision(&self, number: u64, at: Timestamp, actor: String) -> Answer<'_, Approval> {
        self.or_fail(self.inner.approve_revision(number, at, actor))
    }
    fn note_activated(&self, number: u64, at: Timestamp) -> Answer<'_, bool> {
        self.or_fail(self.inner.note_activated(number, at))
    }
    fn revision(&self, number: u64) -> Answer<'_, Option<PolicyRevision>> {
        self.or_fail(self.inner.revision(number))
    }
    fn revisions(&self, most: usize) -> Answer<'_, Vec<PolicyRevision>> {
        self.or_fail(self.inner.revisions(most))
    }
    fn activated_revisions(&self, most: usize) -> Answer<'_, Vec<PolicyRevision>> {
        self.or_fail(self.inner.activated_revisions(most))
    }
    fn last_activated_revision(&self) -> Answer<'_, Option<PolicyRevision>> {
        self.or_fail(self.inner.last_activated_revision())
    }
    fn revision_to_come<'a>(&'a self, revision: &'a Revision) -> Answer<'a, Option<PolicyRevision>> {
        self.or_fail(self.inner.revision_to_come(revision))
    }
    fn save_question(&self, owner: UserId, name: String, query: String, at: Timestamp) -> Answer<'_, u64> {
        self.or_fail(self.inner.save_question(owner, name, query, at))
    }
    fn saved_questions<'a>(&'a self, owner: &'a UserId) -> Answer<'a, Vec<SavedQuestion>> {
        self.or_fail(self.inner.saved_questions(owner))
    }
    fn forget_question<'a>(&'a self, owner: &'a UserId, id: u64) -> Answer<'a, bool> {
        self.or_fail(self.inner.forget_question(owner, id))
    }
    fn open_review(&self, new: NewReview) -> Answer<'_, u64> {
        self.or_fail(self.inner.open_review(new))
    }
    fn review(&self, number: u64) -> Answer<'_, Option<Review>> {
        self.or_fail(self.inner.review(number))
    }
    fn reviews(&self, most: usize) -> Answer<'_, Vec<Review>> {
        self.or_fail(self.inner.reviews(most))
    }
    fn review_items(&self, number: u64) -> Answer<'_, Vec<ReviewItem>> {
        self.or_fail(self.inner.review_items(number))
    }
    fn judge_item(&self, number: u64, seq: u64, finding: ReviewFinding) -> Answer<'_, bool> {
        self.or_fail(self.inner.judge_item(number, seq, finding))
    }
    fn sign_review(&self, number: u64, signature: Signature) -> Answer<'_, Signing> {
        self.or_fail(self.inner.sign_review(number, signature))
    }
    fn ask_grant(&self, new: NewMaintenance, terms: AskTerms) -> Answer<'_, Result<(), GrantRefusal>> {
        self.or_fail(self.inner.ask_grant(new, terms))
    }
    fn approve_grant<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        words: String,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>> {
        self.or_fail(self.inner.approve_grant(id, by, words, at))
    }
    fn admit_grant<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        words: String,
        due_at: Timestamp,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>> {
        self.or_fail(self.inner.admit_grant(id, by, words, due_at, at))
    }
    fn refuse_grant<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        words: String,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>> {
        self.or_fail(self.inner.refuse_grant(id, by, words, at))
    }
    fn withdraw_grant<'a>(
        &'a self,
        id: &'a GrantId,
        actor: String,
        words: String,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>> {
        self.or_fail(self.inner.withdraw_grant(id, actor, words, at))
    }
    fn end_grant<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        why: String,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>> {
        self.or_fail(self.inner.end_grant(id, by, why, at))
    }
    fn report_grant<'a>(&'a self, id: &'a GrantId, report: GrantReport) -> Answer<'a, Result<(), GrantRefusal>> {
        self.or_fail(self.inner.report_grant(id, report))
    }
    fn confirm_grant<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        confirmation: GrantConfirmation,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>> {
        self.or_fail(self.inner.confirm_grant(id, by, confirmation, at))
    }
    fn break_glass(&self, new: NewGlass, terms: GlassTerms) -> Answer<'_, Result<(), GrantRefusal>> {
        self.or_fail(self.inner.break_glass(new, terms))
    }
    fn review_glass<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        verdict: GlassVerdict,
        words: String,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>> {
        self.or_fail(self.inner.review_glass(id, by, verdict, words, at))
    }
    fn forget_glass_patients(&self, reviewed_before: Timestamp) -> Answer<'_, u64> {
        self.or_fail(self.inner.forget_glass_patients(reviewed_before))
    }
    fn note_overdue_grants(&self, at: Timestamp) -> Answer<'_, u64> {
        self.or_fail(self.inner.note_overdue_grants(at))
    }
    fn grants(&self, filter: GrantFilter, after: Option<GrantId>, most: usize) -> Answer<'_, Vec<GrantRecord>> {
        self.or_fail(self.inner.grants(filter, after, most))
    }
    fn grant<'a>(&'a self, id: &'a GrantId) -> Answer<'a, Option<GrantRecord>> {
        self.or_fail(self.inner.grant(id))
    }
    fn plan_file<'a>(&'a self, id: &'a GrantId) -> Answer<'a, Option<(PlanFile, Vec<u8>)>> {
        self.or_fail(self.inner.plan_file(id))
    }
    fn maintenance_lines(&self) -> Answer<'_, Vec<MaintenanceLine>> {
        self.or_fail(self.inner.maintenance_lines())
    }
    fn write_maintenance(&self, writes: Vec<MaintenanceWrite>, at: Timestamp, actor: String) -> Answer<'_, Vec<u64>> {
        self.or_fail(self.inner.write_maintenance(writes, at, actor))
    }
    fn vendors(&self) -> Answer<'_, Vec<(UserId, String)>> {
        self.or_fail(self.inner.vendors())
    }
    fn set_vendor<'a>(
        &'a self,
        person: &'a UserId,
        vendor: Option<String>,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        self.or_fail(self.inner.set_vendor(person, vendor, at, actor))
    }
    fn events_after(&self, sequence: u64, most: usize) -> Answer<'_, Vec<Event>> {
        self.or_fail(self.inner.events_after(sequence, most))
    }
    fn tell_log_use(&self, used: LogUse, at: Timestamp, actor: String) -> Answer<'_, ()> {
        self.or_fail(self.inner.tell_log_use(used, at, actor))
    }
    fn begin_outage<'a>(
        &'a self,
        provider: &'a ProviderId,
        note: String,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        self.or_fail(self.inner.begin_outage(provider, note, at, actor))
    }
    fn end_outage<'a>(&'a self, provider: &'a ProviderId, at: Timestamp, actor: String) -> Answer<'a, bool> {
        self.or_fail(self.inner.end_outage(provider, at, actor))
    }
    fn switch_outage<'a>(
        &'a self,
        provider: &'a ProviderId,
        position: OutageSwitch,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        self.or_fail(self.inner.switch_outage(provider, position, at, actor))
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
    Arc::new(Device {
        id,
        class: DeviceClass::WardShared,
        place: "3階東病棟".into(),
        certificate: Fingerprint::new([3; 32]),
        posture: Arc::from([]),
    })
}

pub(crate) fn terminal_record() -> DeviceRecord {
    let device = terminal();
    DeviceRecord {
        asset: "A-0003".to_owned(),
        owner: "情報システム室".to_owned(),
        place: "3階東病棟".to_owned(),
        certificates: vec![CertificateRecord::own(device.certificate, START, START.after(minutes(60 * 24 * 365)))],
        ..DeviceRecord::new(device.id.clone(), device.class, START)
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
        unit: String::new(),
        added_at: START,
        seen_at: START,
        confirmed_at: START,
        disabled: None,
    }
}

pub(crate) fn opening(device: Option<Arc<Device>>) -> Opening {
    opening_of(nurse(), device)
}

/// After a sign-in at the provider, by its two factors.
pub(crate) fn opening_of(person: Person, device: Option<Arc<Device>>) -> Opening {
    let signed_in = SignedIn {
        person,
        assurance: Assurance::Aal2,
        methods: Methods::of([SignInMethod::Provider, SignInMethod::ProviderMfa]),
        authenticated_at: START,
        id_token: Secret("id-token".to_owned()),
        provider_session: Some("idp-session".to_owned()),
        refresh_token: None,
        return_to: String::new(),
    };
    Opening::by_provider(signed_in, device, host("login.example.jp"))
}
