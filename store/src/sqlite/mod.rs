//! The embedded back end: one SQLite file in WAL mode, one writer thread that commits in groups, two reader threads.
//! Several processes may open the same file. Every commit is on the disk before its answer is given.

mod lane;
mod rows;
mod schema;
mod statements;

use std::fs::{OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use policy::{DeviceId, Fingerprint, Host, ProviderId, RoleId, SessionId, Timestamp, UserId};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{
    Answer, CEREMONIES_MAX, Ceremony, CertificateRecord, Credential, CredentialFound, CredentialId, CredentialUse,
    CredentialUsed, DeviceChange, DeviceRecord, DeviceWrite, Displaced, Event, FoundSession, Invitation, InvitationId,
    NewSession, PeopleFilter, Person, PersonChange, PersonWrite, PostureRow, Purpose, Redemption, Resumed, Resumption,
    Secret, SessionRecord, SessionsOf, Store, StoreProblem, TokenHash, WhichCredential,
};
use lane::{Lane, Sharing};

/// How long a statement waits for another process that holds the file.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Threads that only read.
const READERS: usize = 2;

/// The store in one SQLite file.
#[derive(Debug)]
pub struct Sqlite {
    place: PathBuf,
    writer: Lane,
    /// Absent in memory, where the one connection does both.
    readers: Option<Lane>,
    ceremonies_max: usize,
}

impl Sqlite {
    /// Opens the file, making it (mode 0600) or bringing its tables up to date where needed.
    ///
    /// # Errors
    /// [`StoreProblem::Unavailable`] if the file cannot be reached, opened or written, [`StoreProblem::Corrupt`] if
    /// it is no store, or one of a later version.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreProblem> {
        let path = path.as_ref();
        keep_private(path)?;
        let in_file = |problem| name_place(problem, path);
        let writer = connect(path).map_err(in_file)?;
        schema::migrate(&writer).map_err(in_file)?;
        let readers = (0..READERS)
            .map(|_| {
                let reader = connect(path)?;
                reader.pragma_update(None, "query_only", true)?;
                Ok(reader)
            })
            .collect::<Result<Vec<_>, StoreProblem>>()
            .map_err(in_file)?;
        Ok(Self {
            place: path.to_path_buf(),
            writer: Lane::start("store-writer", vec![writer], Sharing::Writes)?,
            readers: Some(Lane::start("store-reader", readers, Sharing::ReadsOnly)?),
            ceremonies_max: CEREMONIES_MAX,
        })
    }

    /// Makes an empty store that lives in memory and is gone when dropped.
    ///
    /// # Errors
    /// [`StoreProblem::Unavailable`] if no thread or no memory is to be had.
    pub fn in_memory() -> Result<Self, StoreProblem> {
        let writer = Connection::open_in_memory()?;
        set_up(&writer)?;
        schema::migrate(&writer)?;
        Ok(Self {
            place: PathBuf::from(":memory:"),
            writer: Lane::start("store-writer", vec![writer], Sharing::Writes)?,
            readers: None,
            ceremonies_max: CEREMONIES_MAX,
        })
    }

    /// The file, or `:memory:`.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    fn write<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Connection) -> Result<T, StoreProblem> + Send + 'static,
    ) -> Answer<'_, T> {
        self.writer.ask(change)
    }

    fn read<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Connection) -> Result<T, StoreProblem> + Send + 'static,
    ) -> Answer<'_, T> {
        self.readers.as_ref().unwrap_or(&self.writer).ask(question)
    }
}

impl Store for Sqlite {
    fn remember_person(&self, person: Person) -> Answer<'_, ()> {
        self.write(move |c| statements::remember_person(c, &person))
    }

    fn person<'a>(&'a self, id: &'a UserId) -> Answer<'a, Option<Person>> {
        let id = id.clone();
        self.read(move |c| statements::person(c, &id))
    }

    fn person_by_subject<'a>(&'a self, provider: &'a ProviderId, subject: &'a str) -> Answer<'a, Option<Person>> {
        todo!()
    }

    fn person_by_login<'a>(&'a self, provider: &'a ProviderId, login: &'a str) -> Answer<'a, Option<Person>> {
        todo!()
    }

    fn people(&self, filter: PeopleFilter, after: Option<UserId>, most: usize) -> Answer<'_, Vec<Person>> {
        todo!()
    }

    fn add_person(&self, person: Person, actor: String) -> Answer<'_, ()> {
        todo!()
    }

    fn change_person<'a>(
        &'a self,
        id: &'a UserId,
        change: PersonChange,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        todo!()
    }

    fn write_people(&self, writes: Vec<PersonWrite>, at: Timestamp, actor: String) -> Answer<'_, ()> {
        todo!()
    }

    fn disable_person<'a>(
        &'a self,
        id: &'a UserId,
        why: String,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, Option<Vec<SessionRecord>>> {
        todo!()
    }

    fn disable_unused<'a>(
        &'a self,
        provider: &'a ProviderId,
        unused_since: Timestamp,
        why: String,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, Vec<UserId>> {
        todo!()
    }

    fn enable_person<'a>(&'a self, id: &'a UserId, at: Timestamp, actor: String) -> Answer<'a, bool> {
        todo!()
    }

    fn confirm_roles<'a>(
        &'a self,
        id: &'a UserId,
        roles: Vec<RoleId>,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        todo!()
    }

    fn add_credential(&self, credential: Credential, which: WhichCredential, actor: String) -> Answer<'_, ()> {
        todo!()
    }

    fn credentials_of<'a>(&'a self, user: &'a UserId) -> Answer<'a, Vec<Credential>> {
        todo!()
    }

    fn credential<'a>(&'a self, id: &'a CredentialId) -> Answer<'a, Option<CredentialFound>> {
        todo!()
    }

    fn credential_used<'a>(&'a self, id: &'a CredentialId, used: CredentialUse) -> Answer<'a, CredentialUsed> {
        todo!()
    }

    fn rename_credential<'a>(&'a self, user: &'a UserId, id: &'a CredentialId, name: String) -> Answer<'a, bool> {
        todo!()
    }

    fn remove_credential<'a>(
        &'a self,
        user: &'a UserId,
        id: &'a CredentialId,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, Option<Vec<SessionRecord>>> {
        todo!()
    }

    fn invite(&self, invitation: Invitation) -> Answer<'_, ()> {
        todo!()
    }

    fn invitation(&self, secret: TokenHash, at: Timestamp) -> Answer<'_, Option<Invitation>> {
        todo!()
    }

    fn take_invitation(
        &self,
        secret: TokenHash,
        purpose: Purpose,
        at: Timestamp,
        actor: String,
    ) -> Answer<'_, Option<Invitation>> {
        todo!()
    }

    fn redeem_invitation(
        &self,
        secret: TokenHash,
        redemption: Redemption,
        at: Timestamp,
        actor: String,
    ) -> Answer<'_, Option<Invitation>> {
        todo!()
    }

    fn invitations(&self) -> Answer<'_, Vec<Invitation>> {
        todo!()
    }

    fn revoke_invitation(&self, id: InvitationId, at: Timestamp, actor: String) -> Answer<'_, bool> {
        todo!()
    }

    fn add_device(&self, device: DeviceRecord, actor: String) -> Answer<'_, ()> {
        self.write(move |c| statements::add_device(c, &device, &actor))
    }

    fn change_device<'a>(
        &'a self,
        id: &'a DeviceId,
        change: DeviceChange,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        todo!()
    }

    fn write_devices(&self, writes: Vec<DeviceWrite>, at: Timestamp, actor: String) -> Answer<'_, ()> {
        todo!()
    }

    fn revoke_device<'a>(&'a self, id: &'a DeviceId, at: Timestamp, actor: String) -> Answer<'a, bool> {
        let id = id.clone();
        self.write(move |c| statements::revoke_device(c, &id, at, &actor))
    }

    fn add_certificate<'a>(
        &'a self,
        device: &'a DeviceId,
        certificate: CertificateRecord,
        earlier_end_at: Option<Timestamp>,
        actor: String,
    ) -> Answer<'a, ()> {
        todo!()
    }

    fn revoke_certificate<'a>(
        &'a self,
        device: &'a DeviceId,
        fingerprint: &'a Fingerprint,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        todo!()
    }

    fn devices_seen(&self, seen: Vec<(DeviceId, Timestamp)>) -> Answer<'_, ()> {
        todo!()
    }

    fn device<'a>(&'a self, id: &'a DeviceId) -> Answer<'a, Option<DeviceRecord>> {
        todo!()
    }

    fn device_by_certificate<'a>(&'a self, fingerprint: &'a Fingerprint) -> Answer<'a, Option<DeviceRecord>> {
        todo!()
    }

    fn devices(&self) -> Answer<'_, Vec<DeviceRecord>> {
        self.read(statements::devices)
    }

    fn set_posture(&self, rows: Vec<PostureRow>, at: Timestamp, actor: String) -> Answer<'_, Vec<DeviceId>> {
        todo!()
    }

    fn posture(&self) -> Answer<'_, Vec<PostureRow>> {
        todo!()
    }

    fn open_session(&self, opening: NewSession, _actor: String) -> Answer<'_, Displaced> {
        self.write(move |c| {
            statements::open_session(c, &opening.session, opening.token, &opening.host).map(|()| Displaced::default())
        })
    }

    fn add_token(&self, session: SessionId, token: TokenHash, host: Host) -> Answer<'_, bool> {
        self.write(move |c| statements::add_token(c, session, token, &host))
    }

    fn session_by_token(&self, token: TokenHash) -> Answer<'_, Option<FoundSession>> {
        self.read(move |c| statements::session_by_token(c, token))
    }

    fn touch_sessions(&self, seen: Vec<(SessionId, Timestamp)>) -> Answer<'_, ()> {
        self.write(move |c| statements::touch_sessions(c, &seen))
    }

    fn park_session(&self, id: SessionId, at: Timestamp, actor: String) -> Answer<'_, bool> {
        todo!()
    }

    fn resume_session(&self, resumption: Resumption, actor: String) -> Answer<'_, Option<Resumed>> {
        todo!()
    }

    fn end_session(&self, id: SessionId, at: Timestamp, actor: String) -> Answer<'_, Option<SessionRecord>> {
        self.write(move |c| statements::end_session(c, id, at, &actor))
    }

    fn end_sessions(&self, of: SessionsOf, at: Timestamp, actor: String) -> Answer<'_, Vec<SessionRecord>> {
        todo!()
    }

    fn sessions(&self) -> Answer<'_, Vec<(SessionRecord, Person)>> {
        self.read(statements::sessions)
    }

    fn sessions_of(&self, of: SessionsOf) -> Answer<'_, Vec<(SessionRecord, Person)>> {
        todo!()
    }

    fn sessions_to_check<'a>(
        &'a self,
        provider: &'a ProviderId,
        checked_before: Timestamp,
        most: usize,
    ) -> Answer<'a, Vec<(SessionRecord, Person)>> {
        todo!()
    }

    fn claim_check(&self, session: SessionId, read: Timestamp, at: Timestamp) -> Answer<'_, bool> {
        todo!()
    }

    fn set_refresh_token(&self, session: SessionId, token: Option<Secret>) -> Answer<'_, bool> {
        todo!()
    }

    fn start_ceremony(&self, secret: TokenHash, ceremony: Ceremony) -> Answer<'_, ()> {
        let most = self.ceremonies_max;
        self.write(move |c| statements::start_ceremony(c, secret, &ceremony, most))
    }

    fn take_ceremony(&self, secret: TokenHash, kind: &'static str, at: Timestamp) -> Answer<'_, Option<String>> {
        self.write(move |c| statements::take_ceremony(c, secret, kind, at))
    }

    fn remember_once(&self, kind: &'static str, key: TokenHash, expires_at: Timestamp) -> Answer<'_, bool> {
        todo!()
    }

    fn events_after(&self, sequence: u64, most: usize) -> Answer<'_, Vec<Event>> {
        self.read(move |c| statements::events_after(c, sequence, most))
    }

    fn begin_outage<'a>(
        &'a self,
        provider: &'a ProviderId,
        note: String,
        at: Timestamp,
        actor: String,
    ) -> Answer<'a, bool> {
        todo!()
    }

    fn end_outage<'a>(&'a self, provider: &'a ProviderId, at: Timestamp, actor: String) -> Answer<'a, bool> {
        todo!()
    }

    fn note<'a>(&'a self, key: &'a str) -> Answer<'a, Option<String>> {
        let key = key.to_owned();
        self.read(move |c| statements::note(c, &key))
    }

    fn set_note<'a>(&'a self, key: &'a str, value: String) -> Answer<'a, ()> {
        let key = key.to_owned();
        self.write(move |c| statements::set_note(c, &key, &value))
    }

    fn prune(&self, at: Timestamp) -> Answer<'_, ()> {
        self.write(move |c| statements::prune(c, at))
    }
}

/// Makes the file, or takes it away from other eyes, before SQLite sees it; SQLite gives its side files the same mode.
fn keep_private(path: &Path) -> Result<(), StoreProblem> {
    let failed = |error: std::io::Error| StoreProblem::Unavailable(format!("{}: {error}", path.display()));
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        file.set_permissions(Permissions::from_mode(0o600)).map_err(failed)?;
    }
    Ok(())
}

fn connect(path: &Path) -> Result<Connection, StoreProblem> {
    // No URI names: a path is a path, whatever characters it holds.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    set_up(&connection)?;
    Ok(connection)
}

fn set_up(connection: &Connection) -> Result<(), StoreProblem> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |row| row.get::<_, String>(0))?;
    // A revocation or a sign-out that was answered must survive a power cut; the writer's groups share the cost.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    // A removed session or ceremony leaves nothing readable behind in the file.
    connection.pragma_update(None, "secure_delete", true)?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}

fn name_place(problem: StoreProblem, path: &Path) -> StoreProblem {
    match problem {
        StoreProblem::Unavailable(text) => StoreProblem::Unavailable(format!("{}: {text}", path.display())),
        StoreProblem::Corrupt(text) => StoreProblem::Corrupt(format!("{}: {text}", path.display())),
        problem @ (StoreProblem::Exists(_) | StoreProblem::Full | StoreProblem::NotInForce(_)) => problem,
    }
}

impl From<rusqlite::Error> for StoreProblem {
    fn from(error: rusqlite::Error) -> Self {
        let unreadable = matches!(
            error.sqlite_error_code(),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase | ErrorCode::ConstraintViolation)
        ) || matches!(
            error,
            rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
        );
        if unreadable { Self::Corrupt(error.to_string()) } else { Self::Unavailable(error.to_string()) }
    }
}

#[cfg(test)]
mod tests;
