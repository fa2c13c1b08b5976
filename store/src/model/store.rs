//! The one trait that every back end implements.

use std::fmt;

use policy::{DeviceId, Fingerprint, GrantId, Host, ProviderId, Revision, RoleId, SessionId, Timestamp, UserId};
use tokio::sync::watch;

use super::{
    Answer, Approval, AskTerms, Ceremony, CertificateRecord, Credential, CredentialFound, CredentialId, CredentialUse,
    CredentialUsed, DeviceChange, DeviceRecord, DeviceRevocation, DeviceWrite, Displaced, Event, FoundSession,
    GlassTerms, GlassVerdict, GrantConfirmation, GrantFilter, GrantRecord, GrantRefusal, GrantReport, Invitation,
    InvitationId, LogUse, MaintenanceLine, MaintenanceWrite, NewGlass, NewMaintenance, NewReview, NewRevision,
    NewSession, OutageSwitch, PeopleFilter, Person, PersonChange, PersonWrite, PlanFile, PolicyRevision, PostureRow,
    Purpose, Redemption, Resumed, Resumption, Review, ReviewFinding, ReviewItem, Ruler, SavedQuestion, Secret,
    SessionRecord, SessionsOf, Signature, Signing, TokenHash, WhichCredential,
};

/// What every back end does. A change and the events that tell of it are one transaction: whoever reads either reads
/// both. `actor` is who did it, as [`Event::actor`] says.
pub trait Store: Send + Sync + fmt::Debug {
    // People.

    /// Writes down a person as a sign-in showed them: issuer, subject, provider, login, name, roles and both moments.
    /// Of a person who is known already, other roles are told, and unit, [`Person::added_at`] and [`Person::disabled`]
    /// stay as they are.
    fn remember_person(&self, person: Person) -> Answer<'_, ()>;
    /// Reads a person.
    fn person<'a>(&'a self, id: &'a UserId) -> Answer<'a, Option<Person>>;
    /// Reads a person by what their provider calls them.
    fn person_by_subject<'a>(&'a self, provider: &'a ProviderId, subject: &'a str) -> Answer<'a, Option<Person>>;
    /// Reads a person by the name they sign in with; case does not matter for ASCII. `None` where two people of that
    /// provider have the same.
    fn person_by_login<'a>(&'a self, provider: &'a ProviderId, login: &'a str) -> Answer<'a, Option<Person>>;
    /// People by login, then id: those after `after`, at most `most` and never more than
    /// [`PEOPLE_READ_MAX`](crate::PEOPLE_READ_MAX).
    fn people(&self, filter: PeopleFilter, after: Option<UserId>, most: usize) -> Answer<'_, Vec<Person>>;
    /// Everybody whose login or id is one of these, letter by letter.
    fn people_called(&self, names: Vec<String>) -> Answer<'_, Vec<Person>>;
    /// Adds a person at [`Person::added_at`] and tells. [`StoreProblem::Exists`](crate::StoreProblem::Exists) if id,
    /// subject or login is taken at that provider, by a disabled person too.
    fn add_person(&self, person: Person, actor: String) -> Answer<'_, ()>;
    /// Changes a person and tells; other roles are taken over by their open sessions, which is told too. False if
    /// there is no such person; `Exists` if the login is another's.
    fn change_person<'a>(
        &'a self,
        id: &'a UserId,
        change: PersonChange,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool>;
    /// Does all of these or none. `NotInForce` if a person to change is not known.
    fn write_people(&self, writes: Vec<PersonWrite>, at: Timestamp, actor: String) -> Answer<'_, ()>;
    /// Disables a person, ends their sessions, revokes their invitations, and tells of each; their keys stay, unusable.
    /// The sessions that ended; `None` if there is no such person in force.
    fn disable_person<'a>(
        &'a self,
        id: &'a UserId,
        why: String,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, Option<Vec<SessionRecord>>>;
    /// Disables the people of a provider who are in force and have not signed in since, each as
    /// [`Store::disable_person`] does, and says who.
    fn disable_unused<'a>(
        &'a self,
        provider: &'a ProviderId,
        unused_since: Timestamp,
        why: String,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, Vec<UserId>>;
    /// Enables a disabled person and tells. Counts as seen, so that they are not taken for unused at once. False if
    /// there is no such disabled person.
    fn enable_person<'a>(&'a self, id: &'a UserId, at: Timestamp, actor: String) -> Answer<'a, bool>;
    /// Notes the roles that a provider confirmed for a person and their open sessions; tells
    /// ([`Change::PersonChanged`](crate::Change), `SessionChanged` for each session) where they differ, and says
    /// whether they do. `NotInForce` if the person is not.
    fn confirm_roles<'a>(
        &'a self,
        id: &'a UserId,
        roles: Vec<RoleId>,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool>;

    // Credentials.

    /// Adds a key at [`Credential::added_at`] and tells. `Exists` if the id is known, or another key was there where it
    /// was to be the first; `NotInForce` if the person is not, or what [`WhichCredential`] rests on; `Full` past
    /// [`CREDENTIALS_MAX`](crate::CREDENTIALS_MAX).
    fn add_credential(&self, credential: Credential, which: WhichCredential, actor: String) -> Answer<'_, ()>;
    /// The keys of a person, earliest first.
    fn credentials_of<'a>(&'a self, user: &'a UserId) -> Answer<'a, Vec<Credential>>;
    /// Whether a person ever had a key, a removed one too.
    fn had_credential<'a>(&'a self, user: &'a UserId) -> Answer<'a, bool>;
    /// Finds a key with its owner.
    fn credential<'a>(&'a self, id: &'a CredentialId) -> Answer<'a, Option<CredentialFound>>;
    /// Notes a use that was proven, if its counter is above the last one or neither counts, in one step.
    fn credential_used<'a>(&'a self, id: &'a CredentialId, used: CredentialUse) -> Answer<'a, CredentialUsed>;
    /// Renames a key of this person, and tells if it had another name. False if they have no such key.
    fn rename_credential<'a>(
        &'a self,
        user: &'a UserId,
        id: &'a CredentialId,
        name: String,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool>;
    /// Removes a key of this person, ends the sessions that were opened with it, and tells of each. The sessions that
    /// ended; `None` if they have no such key.
    fn remove_credential<'a>(
        &'a self,
        user: &'a UserId,
        id: &'a CredentialId,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, Option<Vec<SessionRecord>>>;

    // Invitations.

    /// Keeps an invitation, revokes those in force of the same purpose and subject as
    /// [`Store::revoke_invitation`] does, and tells. `NotInForce` if the
    /// person or device is not; `Exists` if id or code is known; `Full` past
    /// [`INVITATIONS_MAX`](crate::INVITATIONS_MAX).
    fn invite(&self, invitation: Invitation) -> Answer<'_, ()>;
    /// Reads the invitation in force that this code opens, without using it.
    fn invitation(&self, secret: TokenHash, at: Timestamp) -> Answer<'_, Option<Invitation>>;
    /// Uses the invitation of this purpose up and tells. `None` if there is none in force.
    fn take_invitation(
        &self,
        secret: TokenHash,
        purpose: Purpose,
        at: Timestamp,
        actor: String,
    ) -> Answer<'_, Option<Invitation>>;
    /// Uses an invitation up and brings about what it is for, in one step; if that fails, the invitation is as before.
    /// `None` if no invitation in force has this code, that purpose and that very person or device; otherwise as
    /// [`Store::add_credential`], [`Store::add_certificate`] and [`Store::add_person`].
    fn redeem_invitation(
        &self,
        secret: TokenHash,
        redemption: Redemption,
        at: Timestamp,
        actor: String,
    ) -> Answer<'_, Option<Invitation>>;
    /// The invitations that are kept, newest first, used, revoked and expired ones too.
    fn invitations(&self) -> Answer<'_, Vec<Invitation>>;
    /// Revokes an invitation and tells; with a temporary code the sessions of its person that were opened by one end.
    /// False if there is no such invitation in force.
    fn revoke_invitation(&self, id: InvitationId, at: Timestamp, actor: String) -> Answer<'_, bool>;

    // Devices.

    /// Adds a device with its certificates, if any, and tells ([`Change::DeviceAdded`](crate::Change)). `Exists` if
    /// id or a certificate is known.
    fn add_device(&self, device: DeviceRecord, actor: String) -> Answer<'_, ()>;
    /// Changes what the ledger says of a device and tells. False if there is no such device.
    fn change_device<'a>(
        &'a self,
        id: &'a DeviceId,
        change: DeviceChange,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool>;
    /// Does all of these or none. `NotInForce` if a device to change is not known.
    fn write_devices(&self, writes: Vec<DeviceWrite>, at: Timestamp, actor: String) -> Answer<'_, ()>;
    /// Revokes a device with its certificates and tells; ends its sessions, revokes its invitations and tells of each.
    /// False if there is no such device in force.
    fn revoke_device<'a>(&'a self, id: &'a DeviceId, at: Timestamp, actor: String) -> Answer<'a, bool>;
    /// The same, unless a session on the device that is not over has one of these roles, or its person has: then it
    /// does nothing.
    fn revoke_device_unless<'a>(
        &'a self,
        id: &'a DeviceId,
        signed_in: Vec<RoleId>,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, DeviceRevocation>;
    /// Gives a device another certificate at [`CertificateRecord::issued_at`] and tells; those it has end at
    /// `earlier_end_at` at the latest, or stay as they are. `Exists` if the certificate is known, whoever's it is;
    /// `NotInForce` if the device is not.
    fn add_certificate<'a>(
        &'a self,
        device: &'a DeviceId,
        certificate: CertificateRecord,
        earlier_end_at: Option<Timestamp>,
        actor: String,
    ) -> Answer<'a, ()>;
    /// Revokes one certificate of this device, ends the device's sessions and tells of each. False if the device has
    /// no such certificate that is not revoked.
    fn revoke_certificate<'a>(
        &'a self,
        device: &'a DeviceId,
        fingerprint: &'a Fingerprint,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool>;
    /// Notes when devices were last seen, never backwards.
    fn devices_seen(&self, seen: Vec<(DeviceId, Timestamp)>) -> Answer<'_, ()>;
    /// Reads a device.
    fn device<'a>(&'a self, id: &'a DeviceId) -> Answer<'a, Option<DeviceRecord>>;
    /// Reads the device that has this certificate.
    fn device_by_certificate<'a>(&'a self, fingerprint: &'a Fingerprint) -> Answer<'a, Option<DeviceRecord>>;
    /// The whole ledger, revoked devices too, by id.
    fn devices(&self) -> Answer<'_, Vec<DeviceRecord>>;
    /// Keeps what a source says of devices, each attribute unless something later is known of it, and tells once if
    /// anything changed. Devices that are not in the ledger are left out and named. `Full` past
    /// [`POSTURE_NAMES_MAX`](crate::POSTURE_NAMES_MAX) attributes of one device, and nothing is kept.
    fn set_posture(&self, rows: Vec<PostureRow>, at: Timestamp, actor: String) -> Answer<'_, Vec<DeviceId>>;
    /// All that is known of the posture of devices that are not revoked, by device and name, stale or not.
    fn posture(&self) -> Answer<'_, Vec<PostureRow>>;

    // Sessions.

    /// Opens a session with its first token, and parks or ends the others on its device at
    /// [`SessionRecord::opened_at`], in one step and telling of each. Its person counts as seen. `NotInForce`
    /// if its person, device or credential is not, or the roles were changed since they were confirmed to the caller,
    /// or another of the things does not hold that [`NewSession`] says of itself.
    fn open_session(&self, opening: NewSession, actor: String) -> Answer<'_, Displaced>;
    /// Adds a token for another host to an open session. False if the session is not open, or is parked.
    fn add_token(&self, session: SessionId, token: TokenHash, host: Host) -> Answer<'_, bool>;
    /// Finds an open session by one of its tokens; whether it is out of time is the caller's question. A parked
    /// session has no tokens.
    fn session_by_token(&self, token: TokenHash) -> Answer<'_, Option<FoundSession>>;
    /// Notes when sessions were last used.
    fn touch_sessions(&self, seen: Vec<(SessionId, Timestamp)>) -> Answer<'_, ()>;
    /// Parks a session, voids all its tokens and tells. False if it is not open, or parked already.
    fn park_session(&self, id: SessionId, at: Timestamp, actor: String) -> Answer<'_, bool>;
    /// Takes a session up again: same id, every earlier token void, one new token, the others on its device parked or
    /// ended; tells of each. `None` if there is no such session of that person on that device, or it is out of time
    /// or parked for too long; `NotInForce` if its person, device or credential is not.
    fn resume_session(&self, resumption: Resumption, actor: String) -> Answer<'_, Option<Resumed>>;
    /// Ends a session, removes its tokens and tells. False if it is not open; parked counts as open.
    fn end_session(&self, id: SessionId, at: Timestamp, actor: String) -> Answer<'_, bool>;
    /// Ends sessions, parked ones too, tells of each, and says which, but for those that cannot be read whole. Of a person, a `sub` or a `sid` it ends also what
    /// is under way at that moment: [`NewSession::vouched_at`].
    fn end_sessions(&self, of: SessionsOf, at: Timestamp, actor: String) -> Answer<'_, Vec<SessionRecord>>;
    /// All open sessions with their people, parked ones too, newest first.
    fn sessions(&self) -> Answer<'_, Vec<(SessionRecord, Person)>>;
    /// Some of them.
    fn sessions_of(&self, of: SessionsOf) -> Answer<'_, Vec<(SessionRecord, Person)>>;
    /// Sessions of a provider that can be asked about (they have a refresh token) and were not since, longest first.
    fn sessions_to_check<'a>(
        &'a self,
        provider: &'a ProviderId,
        checked_before: Timestamp,
        most: usize,
    ) -> Answer<'a, Vec<(SessionRecord, Person)>>;
    /// Claims the next question about a session: sets [`SessionRecord::checked_at`] if it still is what the caller
    /// read. False if another node was faster, or the session is not open.
    fn claim_check(&self, session: SessionId, read: Timestamp, at: Timestamp) -> Answer<'_, bool>;
    /// Keeps the refresh token that came in place of the one used. False if the session is not open.
    fn set_refresh_token(&self, session: SessionId, token: Option<Secret>) -> Answer<'_, bool>;

    // What is taken once.

    /// Starts a ceremony under the hash of its secret. `Full` past [`CEREMONIES_MAX`](crate::CEREMONIES_MAX).
    fn start_ceremony(&self, secret: TokenHash, ceremony: Ceremony) -> Answer<'_, ()>;
    /// Takes a ceremony of this kind and deletes it, in one step. `None` if there is none or it is void.
    fn take_ceremony(&self, secret: TokenHash, kind: &'static str, at: Timestamp) -> Answer<'_, Option<String>>;
    /// Remembers something that must not be accepted twice, such as a logout token, until it would be refused anyway.
    /// False if it is remembered already. `Full` past [`REMEMBERED_MAX`](crate::REMEMBERED_MAX): do not accept it.
    fn remember_once(&self, kind: &'static str, key: TokenHash, expires_at: Timestamp) -> Answer<'_, bool>;

    // Versions of configuration and policy.

    /// Keeps a version that was proposed and tells; gives it the next number. The earliest beyond
    /// [`REVISIONS_MAX`](crate::REVISIONS_MAX) are forgotten, but not the one in force.
    /// With it goes the report of its replay, where it was tried on what was recorded.
    fn propose_revision(&self, new: NewRevision, replay: Option<String>) -> Answer<'_, u64>;
    /// The report of the replay that was kept with a version.
    fn replay_of(&self, number: u64) -> Answer<'_, Option<String>>;
    /// Approves a version that waits for another person, and tells.
    fn approve_revision(&self, number: u64, at: Timestamp, actor: String) -> Answer<'_, Approval>;
    /// Notes when a version first came into force. False if it did before, or still waits for its approval.
    fn note_activated(&self, number: u64, at: Timestamp) -> Answer<'_, bool>;
    /// Reads a version.
    fn revision(&self, number: u64) -> Answer<'_, Option<PolicyRevision>>;
    /// Versions, newest first, at most `most`.
    fn revisions(&self, most: usize) -> Answer<'_, Vec<PolicyRevision>>;
    /// Versions that came into force, the last that came first, at most `most`.
    fn activated_revisions(&self, most: usize) -> Answer<'_, Vec<PolicyRevision>>;
    /// The version that came into force last.
    fn last_activated_revision(&self) -> Answer<'_, Option<PolicyRevision>>;
    /// The newest version of these contents that may come into force and never did; none that was proposed, or approved
    /// where it waits, before another came into force.
    fn revision_to_come<'a>(&'a self, revision: &'a Revision) -> Answer<'a, Option<PolicyRevision>>;

    // Questions about the log, and its periodic review.

    /// Keeps a question of a person under a name, in place of the one they had under it, and gives its number. `Full`
    /// past [`QUESTIONS_MAX`](crate::QUESTIONS_MAX).
    fn save_question(&self, owner: UserId, name: String, query: String, at: Timestamp) -> Answer<'_, u64>;
    /// The questions of a person, by name.
    fn saved_questions<'a>(&'a self, owner: &'a UserId) -> Answer<'a, Vec<SavedQuestion>>;
    /// Forgets a question of this person. False if they have no such question.
    fn forget_question<'a>(&'a self, owner: &'a UserId, id: u64) -> Answer<'a, bool>;
    /// Opens a review and gives it the next number; a line that stands there twice counts once. `Full` past
    /// [`REVIEW_ITEMS_MAX`](crate::REVIEW_ITEMS_MAX) lines, or where [`REVIEWS_MAX`](crate::REVIEWS_MAX) reviews wait
    /// for their signature; the earliest that are signed make room.
    fn open_review(&self, new: NewReview) -> Answer<'_, u64>;
    /// Reads a review.
    fn review(&self, number: u64) -> Answer<'_, Option<Review>>;
    /// Reviews, newest first, at most `most`.
    fn reviews(&self, most: usize) -> Answer<'_, Vec<Review>>;
    /// The lines of a review, by their number.
    fn review_items(&self, number: u64) -> Answer<'_, Vec<ReviewItem>>;
    /// Notes what was found of a line, in place of what was found before. False if the review has no such line, or is
    /// signed.
    fn judge_item(&self, number: u64, seq: u64, finding: ReviewFinding) -> Answer<'_, bool>;
    /// Signs a review whose every line is judged; nothing of it changes any more.
    fn sign_review(&self, number: u64, signature: Signature) -> Answer<'_, Signing>;

    // Exceptions. Whoever decides still has the role at that moment, and it is never their own; what is refused changes
    // nothing and is told as a [`GrantRefusal`](crate::GrantRefusal).

    /// Asks for a vendor's window, and tells. `Exists` if the name is taken.
    fn ask_grant(&self, new: NewMaintenance, terms: AskTerms) -> Answer<'_, Result<(), GrantRefusal>>;
    /// Approves a window, or makes up for an admission, and tells. It is given once as many people did as must.
    fn approve_grant<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        words: String,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>>;
    /// Gives a window before it is approved, which is then due at `due_at`; tells.
    fn admit_grant<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        words: String,
        due_at: Timestamp,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>>;
    /// Refuses a window that waits, and tells.
    fn refuse_grant<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        words: String,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>>;
    /// Takes back a window that waits, and tells: for its person, or whoever asked.
    fn withdraw_grant<'a>(
        &'a self,
        id: &'a GrantId,
        actor: String,
        words: String,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>>;
    /// Ends an exception of either kind before its time, or before it begins, and tells: for its person, whoever asked,
    /// or whoever has a role.
    fn end_grant<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        why: String,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>>;
    /// Takes the report of a window that is over, in place of the one before, and tells: for its person, or whoever
    /// asked.
    fn report_grant<'a>(&'a self, id: &'a GrantId, report: GrantReport) -> Answer<'a, Result<(), GrantRefusal>>;
    /// Confirms the report of a window, with what the log tells of it by then, and tells.
    fn confirm_grant<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        confirmation: GrantConfirmation,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>>;
    /// Breaks the glass and tells. `Exists` if the name is taken.
    fn break_glass(&self, new: NewGlass, terms: GlassTerms) -> Answer<'_, Result<(), GrantRefusal>>;
    /// Judges how the glass was broken, once, and tells.
    fn review_glass<'a>(
        &'a self,
        id: &'a GrantId,
        by: Ruler,
        verdict: GlassVerdict,
        words: String,
        at: Timestamp,
    ) -> Answer<'a, Result<(), GrantRefusal>>;
    /// Forgets for which patients glass was broken that is over and was reviewed up to this moment; says of how many.
    /// Ask only once their reviews stand in the log, which keeps it.
    fn forget_glass_patients(&self, reviewed_before: Timestamp) -> Answer<'_, u64>;
    /// Tells of approvals, reports and reviews that are overdue at a moment, of each once and never again; says how many.
    fn note_overdue_grants(&self, at: Timestamp) -> Answer<'_, u64>;
    /// Exceptions of both kinds, newest first: those before `after`, at most `most` and never more than
    /// [`GRANTS_READ_MAX`](crate::GRANTS_READ_MAX).
    fn grants(&self, filter: GrantFilter, after: Option<GrantId>, most: usize) -> Answer<'_, Vec<GrantRecord>>;
    /// Reads an exception.
    fn grant<'a>(&'a self, id: &'a GrantId) -> Answer<'a, Option<GrantRecord>>;
    /// Reads the file that came with a work plan.
    fn plan_file<'a>(&'a self, id: &'a GrantId) -> Answer<'a, Option<(PlanFile, Vec<u8>)>>;
    /// The inventory of remote maintenance, by vendor and target.
    fn maintenance_lines(&self) -> Answer<'_, Vec<MaintenanceLine>>;
    /// Does all of these or none, tells of each, and says the number of each line. `NotInForce` if a line to replace or
    /// remove is not there or the inventory is another than it should still be, `Full` past [`MAINTENANCE_LINES_MAX`](crate::MAINTENANCE_LINES_MAX).
    fn write_maintenance(&self, writes: Vec<MaintenanceWrite>, at: Timestamp, actor: String) -> Answer<'_, Vec<u64>>;
    /// Which people come from which vendor, by vendor.
    fn vendors(&self) -> Answer<'_, Vec<(UserId, String)>>;
    /// Notes from which vendor a person comes, or that they come from none, and tells. False if there is no such person.
    fn set_vendor<'a>(
        &'a self,
        person: &'a UserId,
        vendor: Option<String>,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool>;

    // Events, notes, housekeeping.

    /// Events after a sequence number, oldest first, at most `most`.
    fn events_after(&self, sequence: u64, most: usize) -> Answer<'_, Vec<Event>>;
    /// Tells that the log was read or handed over, so that the gateway records it.
    fn tell_log_use(&self, used: LogUse, at: Timestamp, actor: String) -> Answer<'_, ()>;
    /// Writes the note `outage:PROVIDER` and tells if there was none. False if there was; it is replaced.
    fn begin_outage<'a>(
        &'a self,
        provider: &'a ProviderId,
        note: String,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool>;
    /// Removes the note `outage:PROVIDER` and tells. False if there is none.
    fn end_outage<'a>(&'a self, provider: &'a ProviderId, at: Timestamp, actor: String) -> Answer<'a, bool>;
    /// Writes the note `outage-switch:PROVIDER` and tells. False if the switch stands there already.
    fn switch_outage<'a>(
        &'a self,
        provider: &'a ProviderId,
        position: OutageSwitch,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool>;
    /// Reads a small value that the gateway keeps for itself, such as how far events were recorded.
    fn note<'a>(&'a self, key: &'a str) -> Answer<'a, Option<String>>;
    /// Writes such a value.
    fn set_note<'a>(&'a self, key: &'a str, value: String) -> Answer<'a, ()>;
    /// What rings when another node may have told something; none where nobody would ring. A ring may come for nothing,
    /// and one may be missed: ask for events all the same, only less often.
    fn bell(&self) -> Option<watch::Receiver<u64>> {
        None
    }
    /// Removes what is out of time: sessions, ceremonies, what was remembered, invitations void for thirty days.
    fn prune(&self, at: Timestamp) -> Answer<'_, ()>;
}
