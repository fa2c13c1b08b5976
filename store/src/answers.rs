//! Each promise of [`Store`], put as a question to the writer or to a reader, whichever back end these belong to.

use policy::{DeviceId, Fingerprint, GrantId, Host, ProviderId, Revision, RoleId, SessionId, Timestamp, UserId};
use tokio::sync::watch;

use crate::relational::Relational;
use crate::statements::{
    self, credentials, devices, events, grants, inventory, invitations, notes, once, people, posture, questions,
    reviews, revisions, sessions, terminal,
};
use crate::{
    Answer, Approval, AskTerms, Ceremony, CertificateRecord, Change, Credential, CredentialFound, CredentialId,
    CredentialUse, CredentialUsed, DeviceChange, DeviceRecord, DeviceRevocation, DeviceWrite, Displaced, Event,
    FoundSession, GlassTerms, GlassVerdict, GrantConfirmation, GrantFilter, GrantRecord, GrantRefusal, GrantReport,
    Invitation, InvitationId, LogUse, MaintenanceLine, MaintenanceWrite, NewGlass, NewMaintenance, NewReview,
    NewRevision, NewSession, OutageSwitch, PeopleFilter, Person, PersonChange, PersonWrite, PlanFile, PolicyRevision,
    PostureRow, Purpose, Redemption, Resumed, Resumption, Review, ReviewFinding, ReviewItem, Ruler, SavedQuestion,
    Secret, SessionRecord, SessionsOf, Signature, Signing, Store, TokenHash, WhichCredential,
};

impl<S: Relational> Store for S {
    fn remember_person(&self, person: Person) -> Answer<'_, ()> {
        self.write(move |c| people::remember(c, &person))
    }

    fn person<'a>(&'a self, id: &'a UserId) -> Answer<'a, Option<Person>> {
        let id = id.clone();
        self.read(move |c| people::person(c, &id))
    }

    fn person_by_subject<'a>(&'a self, provider: &'a ProviderId, subject: &'a str) -> Answer<'a, Option<Person>> {
        let provider = provider.clone();
        let subject = subject.to_owned();
        self.read(move |c| people::by_subject(c, &provider, &subject))
    }

    fn person_by_login<'a>(&'a self, provider: &'a ProviderId, login: &'a str) -> Answer<'a, Option<Person>> {
        let provider = provider.clone();
        let login = login.to_owned();
        self.read(move |c| people::by_login(c, &provider, &login))
    }

    fn people_called(&self, names: Vec<String>) -> Answer<'_, Vec<Person>> {
        self.read(move |c| people::called(c, &names))
    }

    fn people(&self, filter: PeopleFilter, after: Option<UserId>, most: usize) -> Answer<'_, Vec<Person>> {
        self.read(move |c| people::list(c, &filter, after.as_ref(), most))
    }

    fn add_person(&self, person: Person, actor: String) -> Answer<'_, ()> {
        self.write(move |c| people::add(c, &person, &actor))
    }

    fn change_person<'a>(
        &'a self,
        id: &'a UserId,
        change: PersonChange,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        let id = id.clone();
        self.write(move |c| people::change(c, &id, change, at, &actor))
    }

    fn write_people(&self, writes: Vec<PersonWrite>, at: Timestamp, actor: String) -> Answer<'_, ()> {
        self.write(move |c| people::write_all(c, writes, at, &actor))
    }

    fn disable_person<'a>(
        &'a self,
        id: &'a UserId,
        why: String,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, Option<Vec<SessionRecord>>> {
        let id = id.clone();
        self.write(move |c| people::disable(c, &id, &why, at, &actor))
    }

    fn disable_unused<'a>(
        &'a self,
        provider: &'a ProviderId,
        unused_since: Timestamp,
        why: String,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, Vec<UserId>> {
        let provider = provider.clone();
        self.write(move |c| people::disable_unused(c, &provider, unused_since, &why, at, &actor))
    }

    fn enable_person<'a>(&'a self, id: &'a UserId, at: Timestamp, actor: String) -> Answer<'a, bool> {
        let id = id.clone();
        self.write(move |c| people::enable(c, &id, at, &actor))
    }

    fn confirm_roles<'a>(
        &'a self,
        id: &'a UserId,
        roles: Vec<RoleId>,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        let id = id.clone();
        self.write(move |c| people::confirm_roles(c, &id, roles, at, &actor))
    }

    fn add_credential(&self, credential: Credential, which: WhichCredential, actor: String) -> Answer<'_, ()> {
        self.write(move |c| credentials::add(c, &credential, &which, &actor))
    }

    fn credentials_of<'a>(&'a self, user: &'a UserId) -> Answer<'a, Vec<Credential>> {
        let user = user.clone();
        self.read(move |c| credentials::of_person(c, &user))
    }

    fn had_credential<'a>(&'a self, user: &'a UserId) -> Answer<'a, bool> {
        let user = user.clone();
        self.read(move |c| credentials::had_any(c, &user))
    }

    fn credential<'a>(&'a self, id: &'a CredentialId) -> Answer<'a, Option<CredentialFound>> {
        let id = id.clone();
        self.read(move |c| credentials::find(c, &id))
    }

    fn credential_used<'a>(&'a self, id: &'a CredentialId, used: CredentialUse) -> Answer<'a, CredentialUsed> {
        let id = id.clone();
        self.write(move |c| credentials::note_use(c, &id, &used))
    }

    fn rename_credential<'a>(
        &'a self,
        user: &'a UserId,
        id: &'a CredentialId,
        name: String,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        let user = user.clone();
        let id = id.clone();
        self.write(move |c| credentials::rename(c, &user, &id, &name, at, &actor))
    }

    fn remove_credential<'a>(
        &'a self,
        user: &'a UserId,
        id: &'a CredentialId,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, Option<Vec<SessionRecord>>> {
        let user = user.clone();
        let id = id.clone();
        self.write(move |c| credentials::remove(c, &user, &id, at, &actor))
    }

    fn invite(&self, invitation: Invitation) -> Answer<'_, ()> {
        let most = self.bounds().invitations;
        self.write(move |c| invitations::invite(c, &invitation, most))
    }

    fn invitation(&self, secret: TokenHash, at: Timestamp) -> Answer<'_, Option<Invitation>> {
        self.read(move |c| invitations::find(c, secret, at))
    }

    fn take_invitation(
        &self,
        secret: TokenHash,
        purpose: Purpose,
        at: Timestamp,
        actor: String,
    ) -> Answer<'_, Option<Invitation>> {
        self.write(move |c| invitations::take(c, secret, purpose, at, &actor))
    }

    fn redeem_invitation(
        &self,
        secret: TokenHash,
        redemption: Redemption,
        at: Timestamp,
        actor: String,
    ) -> Answer<'_, Option<Invitation>> {
        self.write(move |c| invitations::redeem(c, secret, &redemption, at, &actor))
    }

    fn invitations(&self) -> Answer<'_, Vec<Invitation>> {
        self.read(invitations::list)
    }

    fn revoke_invitation(&self, id: InvitationId, at: Timestamp, actor: String) -> Answer<'_, bool> {
        self.write(move |c| invitations::revoke(c, id, at, &actor))
    }

    fn add_device(&self, device: DeviceRecord, actor: String) -> Answer<'_, ()> {
        self.write(move |c| devices::add(c, &device, &actor))
    }

    fn change_device<'a>(
        &'a self,
        id: &'a DeviceId,
        change: DeviceChange,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        let id = id.clone();
        self.write(move |c| devices::change(c, &id, change, at, &actor))
    }

    fn write_devices(&self, writes: Vec<DeviceWrite>, at: Timestamp, actor: String) -> Answer<'_, ()> {
        self.write(move |c| devices::write_all(c, writes, at, &actor))
    }

    fn revoke_device<'a>(&'a self, id: &'a DeviceId, at: Timestamp, actor: String) -> Answer<'a, bool> {
        let id = id.clone();
        self.write(move |c| devices::revoke(c, &id, at, &actor))
    }

    fn revoke_device_unless<'a>(
        &'a self,
        id: &'a DeviceId,
        signed_in: Vec<RoleId>,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, DeviceRevocation> {
        let id = id.clone();
        self.write(move |c| devices::revoke_unless(c, &id, &signed_in, at, &actor))
    }

    fn add_certificate<'a>(
        &'a self,
        device: &'a DeviceId,
        certificate: CertificateRecord,
        earlier_end_at: Option<Timestamp>,
        actor: String,
    ) -> Answer<'a, ()> {
        let device = device.clone();
        self.write(move |c| devices::add_certificate(c, &device, &certificate, earlier_end_at, &actor))
    }

    fn revoke_certificate<'a>(
        &'a self,
        device: &'a DeviceId,
        fingerprint: &'a Fingerprint,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        let device = device.clone();
        let fingerprint = *fingerprint;
        self.write(move |c| devices::revoke_certificate(c, &device, &fingerprint, at, &actor))
    }

    fn devices_seen(&self, seen: Vec<(DeviceId, Timestamp)>) -> Answer<'_, ()> {
        self.write(move |c| devices::seen(c, &seen))
    }

    fn device<'a>(&'a self, id: &'a DeviceId) -> Answer<'a, Option<DeviceRecord>> {
        let id = id.clone();
        self.read(move |c| devices::device(c, &id))
    }

    fn device_by_certificate<'a>(&'a self, fingerprint: &'a Fingerprint) -> Answer<'a, Option<DeviceRecord>> {
        let fingerprint = *fingerprint;
        self.read(move |c| devices::by_certificate(c, &fingerprint))
    }

    fn devices(&self) -> Answer<'_, Vec<DeviceRecord>> {
        self.read(devices::list)
    }

    fn set_posture(&self, rows: Vec<PostureRow>, at: Timestamp, actor: String) -> Answer<'_, Vec<DeviceId>> {
        self.write(move |c| posture::set(c, &rows, at, &actor))
    }

    fn posture(&self) -> Answer<'_, Vec<PostureRow>> {
        self.read(posture::list)
    }

    fn open_session(&self, opening: NewSession, actor: String) -> Answer<'_, Displaced> {
        self.write(move |c| terminal::open(c, &opening, &actor))
    }

    fn add_token(&self, session: SessionId, token: TokenHash, host: Host) -> Answer<'_, bool> {
        self.write(move |c| sessions::add_token(c, session, token, &host))
    }

    fn session_by_token(&self, token: TokenHash) -> Answer<'_, Option<FoundSession>> {
        self.read(move |c| sessions::by_token(c, token))
    }

    fn touch_sessions(&self, seen: Vec<(SessionId, Timestamp)>) -> Answer<'_, ()> {
        self.write(move |c| sessions::touch(c, &seen))
    }

    fn park_session(&self, id: SessionId, at: Timestamp, actor: String) -> Answer<'_, bool> {
        self.write(move |c| terminal::park(c, id, at, &actor))
    }

    fn resume_session(&self, resumption: Resumption, actor: String) -> Answer<'_, Option<Resumed>> {
        self.write(move |c| terminal::resume(c, &resumption, &actor))
    }

    fn end_session(&self, id: SessionId, at: Timestamp, actor: String) -> Answer<'_, bool> {
        self.write(move |c| sessions::end(c, id, at, &actor))
    }

    fn end_sessions(&self, of: SessionsOf, at: Timestamp, actor: String) -> Answer<'_, Vec<SessionRecord>> {
        self.write(move |c| sessions::end_those(c, &of, at, &actor))
    }

    fn sessions(&self) -> Answer<'_, Vec<(SessionRecord, Person)>> {
        self.read(sessions::list)
    }

    fn sessions_of(&self, of: SessionsOf) -> Answer<'_, Vec<(SessionRecord, Person)>> {
        self.read(move |c| sessions::those(c, &of))
    }

    fn sessions_to_check<'a>(
        &'a self,
        provider: &'a ProviderId,
        checked_before: Timestamp,
        most: usize,
    ) -> Answer<'a, Vec<(SessionRecord, Person)>> {
        let provider = provider.clone();
        self.read(move |c| sessions::to_check(c, &provider, checked_before, most))
    }

    fn claim_check(&self, session: SessionId, read: Timestamp, at: Timestamp) -> Answer<'_, bool> {
        self.write(move |c| sessions::claim_check(c, session, read, at))
    }

    fn set_refresh_token(&self, session: SessionId, token: Option<Secret>) -> Answer<'_, bool> {
        self.write(move |c| sessions::set_refresh_token(c, session, token.as_ref()))
    }

    fn start_ceremony(&self, secret: TokenHash, ceremony: Ceremony) -> Answer<'_, ()> {
        let most = self.bounds().ceremonies;
        self.write(move |c| once::start_ceremony(c, secret, &ceremony, most))
    }

    fn take_ceremony(&self, secret: TokenHash, kind: &'static str, at: Timestamp) -> Answer<'_, Option<String>> {
        self.write(move |c| once::take_ceremony(c, secret, kind, at))
    }

    fn remember_once(&self, kind: &'static str, key: TokenHash, expires_at: Timestamp) -> Answer<'_, bool> {
        let most = self.bounds().remembered;
        self.write(move |c| once::remember_once(c, kind, key, expires_at, most))
    }

    fn propose_revision(&self, new: NewRevision, replay: Option<String>) -> Answer<'_, u64> {
        self.write(move |c| revisions::propose(c, &new, replay.as_deref()))
    }

    fn replay_of(&self, number: u64) -> Answer<'_, Option<String>> {
        self.read(move |c| revisions::replay(c, number))
    }

    fn approve_revision(&self, number: u64, at: Timestamp, actor: String) -> Answer<'_, Approval> {
        self.write(move |c| revisions::approve(c, number, at, &actor))
    }

    fn note_activated(&self, number: u64, at: Timestamp) -> Answer<'_, bool> {
        self.write(move |c| revisions::activated(c, number, at))
    }

    fn revision(&self, number: u64) -> Answer<'_, Option<PolicyRevision>> {
        self.read(move |c| revisions::one(c, number))
    }

    fn revisions(&self, most: usize) -> Answer<'_, Vec<PolicyRevision>> {
        self.read(move |c| revisions::list(c, most))
    }

    fn activated_revisions(&self, most: usize) -> Answer<'_, Vec<PolicyRevision>> {
        self.read(move |c| revisions::list_activated(c, most))
    }

    fn last_activated_revision(&self) -> Answer<'_, Option<PolicyRevision>> {
        self.read(revisions::last_activated)
    }

    fn revision_to_come<'a>(&'a self, revision: &'a Revision) -> Answer<'a, Option<PolicyRevision>> {
        let revision = revision.clone();
        self.read(move |c| revisions::waiting_to_come(c, &revision))
    }

    fn save_question(&self, owner: UserId, name: String, query: String, at: Timestamp) -> Answer<'_, u64> {
        self.write(move |c| questions::save(c, &owner, &name, &query, at))
    }

    fn saved_questions<'a>(&'a self, owner: &'a UserId) -> Answer<'a, Vec<SavedQuestion>> {
        let owner = owner.clone();
        self.read(move |c| questions::list(c, &owner))
    }

    fn forget_question<'a>(&'a self, owner: &'a UserId, id: u64) -> Answer<'a, bool> {
        let owner = owner.clone();
        self.write(move |c| questions::forget(c, &owner, id))
    }

    fn open_review(&self, new: NewReview) -> Answer<'_, u64> {
        self.write(move |c| reviews::open(c, &new))
    }

    fn review(&self, number: u64) -> Answer<'_, Option<Review>> {
        self.read(move |c| reviews::one(c, number))
    }

    fn reviews(&self, most: usize) -> Answer<'_, Vec<Review>> {
        self.read(move |c| reviews::list(c, most))
    }

    fn review_items(&self, number: u64) -> Answer<'_, Vec<ReviewItem>> {
        self.read(move |c| reviews::items(c, number))
    }

    fn judge_item(&self, number: u64, seq: u64, finding: ReviewFinding) -> Answer<'_, bool> {
        self.write(move |c| reviews::judge(c, number, seq, &finding))
    }

    fn sign_review(&self, number: u64, signature: Signature) -> Answer<'_, Signing> {
        self.write(move |c| reviews::sign(c, number, &signature))
    }

    fn ask_grant(&self, new: NewMaintenance, terms: AskTerms) -> Answer<'_, Result<(), GrantRefusal>> {
        self.write(move |c| grants::answer(grants::ask(c, &new, &terms)))
    }

    fn approve_grant<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        words: String,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>> {
        let id = id.clone();
        self.write(move |c| grants::answer(grants::approve(c, &id, &by, &words, at)))
    }

    fn admit_grant<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        words: String,
        due_at: Timestamp,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>> {
        let id = id.clone();
        self.write(move |c| grants::answer(grants::admit(c, &id, &by, &words, due_at, at)))
    }

    fn refuse_grant<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        words: String,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>> {
        let id = id.clone();
        self.write(move |c| grants::answer(grants::refuse(c, &id, &by, &words, at)))
    }

    fn withdraw_grant<'a>(
        &'a self,
        id: &'a GrantId,
        actor: String,
        words: String,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>> {
        let id = id.clone();
        self.write(move |c| grants::answer(grants::withdraw(c, &id, &actor, &words, at)))
    }

    fn end_grant<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        why: String,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>> {
        let id = id.clone();
        self.write(move |c| grants::answer(grants::end(c, &id, &by, &why, at)))
    }

    fn report_grant<'a>(&'a self, id: &'a GrantId, report: GrantReport) -> Answer<'a, Result<(), GrantRefusal>> {
        let id = id.clone();
        self.write(move |c| grants::answer(grants::report(c, &id, &report)))
    }

    fn confirm_grant<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        confirmation: GrantConfirmation,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>> {
        let id = id.clone();
        self.write(move |c| grants::answer(grants::confirm(c, &id, &by, &confirmation, at)))
    }

    fn break_glass(&self, new: NewGlass, terms: GlassTerms) -> Answer<'_, Result<(), GrantRefusal>> {
        self.write(move |c| grants::answer(grants::break_glass(c, &new, &terms)))
    }

    fn review_glass<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        verdict: GlassVerdict,
        words: String,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>> {
        let id = id.clone();
        self.write(move |c| grants::answer(grants::review(c, &id, &by, verdict, &words, at)))
    }

    fn forget_glass_patients(&self, reviewed_before: Timestamp) -> Answer<'_, u64> {
        self.write(move |c| grants::forget_patients(c, reviewed_before))
    }

    fn note_overdue_grants(&self, at: Timestamp) -> Answer<'_, u64> {
        self.write(move |c| grants::note_overdue(c, at))
    }

    fn grants(&self, filter: GrantFilter, after: Option<GrantId>, most: usize) -> Answer<'_, Vec<GrantRecord>> {
        self.read(move |c| grants::list(c, &filter, after.as_ref(), most))
    }

    fn grant<'a>(&'a self, id: &'a GrantId) -> Answer<'a, Option<GrantRecord>> {
        let id = id.clone();
        self.read(move |c| grants::one(c, &id))
    }

    fn plan_file<'a>(&'a self, id: &'a GrantId) -> Answer<'a, Option<(PlanFile, Vec<u8>)>> {
        let id = id.clone();
        self.read(move |c| grants::file(c, &id))
    }

    fn maintenance_lines(&self) -> Answer<'_, Vec<MaintenanceLine>> {
        self.read(inventory::lines)
    }

    fn write_maintenance(&self, writes: Vec<MaintenanceWrite>, at: Timestamp, actor: String) -> Answer<'_, Vec<u64>> {
        self.write(move |c| inventory::write_all(c, writes, at, &actor))
    }

    fn vendors(&self) -> Answer<'_, Vec<(UserId, String)>> {
        self.read(inventory::vendors)
    }

    fn set_vendor<'a>(
        &'a self,
        person: &'a UserId,
        vendor: Option<String>,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        let person = person.clone();
        self.write(move |c| inventory::set_vendor(c, &person, vendor.as_deref(), at, &actor))
    }

    fn events_after(&self, sequence: u64, most: usize) -> Answer<'_, Vec<Event>> {
        self.read(move |c| events::after(c, sequence, most))
    }

    fn tell_log_use(&self, used: LogUse, at: Timestamp, actor: String) -> Answer<'_, ()> {
        self.write(move |c| events::tell(c, at, &actor, &Change::LogRead(used)))
    }

    fn begin_outage<'a>(
        &'a self,
        provider: &'a ProviderId,
        note: String,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        let provider = provider.clone();
        self.write(move |c| notes::begin_outage(c, &provider, &note, at, &actor))
    }

    fn end_outage<'a>(&'a self, provider: &'a ProviderId, at: Timestamp, actor: String) -> Answer<'a, bool> {
        let provider = provider.clone();
        self.write(move |c| notes::end_outage(c, &provider, at, &actor))
    }

    fn switch_outage<'a>(
        &'a self,
        provider: &'a ProviderId,
        position: OutageSwitch,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        let provider = provider.clone();
        self.write(move |c| notes::switch_outage(c, &provider, position, at, &actor))
    }

    fn note<'a>(&'a self, key: &'a str) -> Answer<'a, Option<String>> {
        let key = key.to_owned();
        self.read(move |c| notes::note(c, &key))
    }

    fn set_note<'a>(&'a self, key: &'a str, value: String) -> Answer<'a, ()> {
        let key = key.to_owned();
        self.write(move |c| notes::set_note(c, &key, &value))
    }

    fn bell(&self) -> Option<watch::Receiver<u64>> {
        self.rung()
    }

    fn prune(&self, at: Timestamp) -> Answer<'_, ()> {
        self.write(move |c| statements::prune(c, at))
    }
}
