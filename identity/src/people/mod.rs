//! People: the local directory, whatever a provider's people need from the gateway, and the codes that bring them in.
//!
//! Somebody of the local directory signs in with a passkey and nothing else; there is no password, and no account that
//! is there from the beginning. Leavers are disabled, never deleted, so that what they did keeps its name.
//! Deliberately not here: the ceremonies of passkeys ([`Passkeys`](crate::Passkeys)), what roles permit (policy).

mod code;
mod invite;
mod problem;
mod sheet;
mod temporary;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use config::Config;
use policy::{ConsoleRoles, ProviderId, RoleId, Timestamp, UserId};
use store::{PEOPLE_READ_MAX, PeopleFilter, Person, PersonChange, SessionRecord, Store, StoreProblem};

pub use code::InvitationCode;
pub use invite::{InvitationShown, MadeInvitation};
pub use problem::PeopleProblem;
pub use sheet::{ImportProblem, Imported, ImportedPerson};
pub use temporary::TemporarilyIn;

use crate::secret::random_name;
use crate::{Newcomer, user_id};

/// The provider of people whom the gateway itself knows.
pub(crate) const LOCAL_PROVIDER: &str = "local";
/// The longest login name, name and unit, in characters.
const TEXT_CHARS_MAX: usize = 100;
/// The actor of what happens by itself.
const UNUSED_ACTOR: &str = "gateway:unused";

/// The people of one configuration. It keeps nothing in memory.
pub struct People {
    store: Arc<dyn Store>,
    /// The issuer of the local directory: the sign-in host.
    issuer: String,
    is_local: bool,
    /// The providers, each with its issuer: whoever comes from another one has nobody who vouches for them.
    providers: BTreeSet<(ProviderId, String)>,
    roles: BTreeSet<RoleId>,
    console: ConsoleRoles,
}

/// A person to add to the local directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewPerson {
    /// The name they are called by in lists and records, unique.
    pub login: String,
    /// Their name as people read it.
    pub name: String,
    /// What they may act as.
    pub roles: Vec<RoleId>,
    /// Where they work.
    pub unit: String,
}

impl People {
    /// Knows the roles of a configuration.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, config: &Config) -> Self {
        let (is_local, roles) = (config.directory.local, config.roles.keys().cloned().collect());
        let named = |provider: &config::Provider| (provider.id.clone(), provider.issuer.clone());
        let (issuer, providers) = (config.origin(&config.login_host), config.providers.iter().map(named).collect());
        Self { store, issuer, is_local, providers, roles, console: config.console.clone() }
    }

    #[cfg(test)]
    pub(crate) fn of(
        store: Arc<dyn Store>,
        issuer: String,
        is_local: bool,
        roles: BTreeSet<RoleId>,
        console: ConsoleRoles,
    ) -> Self {
        Self { store, issuer, is_local, providers: BTreeSet::new(), roles, console }
    }

    #[cfg(test)]
    pub(crate) fn with_provider(mut self, id: &ProviderId, issuer: &str) -> Self {
        self.providers.insert((id.clone(), issuer.to_owned()));
        self
    }

    /// The name under which people of the local directory are kept.
    #[must_use]
    pub fn local_provider() -> ProviderId {
        ProviderId::parse(LOCAL_PROVIDER).expect("`local` is a name")
    }

    /// Reads a person.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn person(&self, id: &UserId) -> Result<Option<Person>, StoreProblem> {
        self.store.person(id).await
    }

    /// Reads a person of the local directory by login name.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn by_login(&self, login: &str) -> Result<Option<Person>, StoreProblem> {
        self.store.person_by_login(&Self::local_provider(), login).await
    }

    /// People by login: those after `after`, at most `most`.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn list(
        &self,
        filter: PeopleFilter,
        after: Option<UserId>,
        most: usize,
    ) -> Result<Vec<Person>, StoreProblem> {
        self.store.people(filter, after, most).await
    }

    /// Adds a person to the local directory. They have no passkey yet: [`People::invite`] them.
    ///
    /// # Errors
    /// [`PeopleProblem`].
    pub async fn add(&self, person: NewPerson, actor: &str, at: Timestamp) -> Result<Person, PeopleProblem> {
        let person = self.made(person, random_name(), at)?;
        let login = person.login.clone();
        let added = self.store.add_person(person.clone(), actor.to_owned()).await;
        added.map_err(|problem| PeopleProblem::of_login(problem, &login))?;
        Ok(person)
    }

    /// Changes a person. Login name, name and roles of a provider's people come from the provider.
    ///
    /// # Errors
    /// [`PeopleProblem`].
    pub async fn change(
        &self,
        id: &UserId,
        change: PersonChange,
        actor: &str,
        at: Timestamp,
    ) -> Result<(), PeopleProblem> {
        let person = self.store.person(id).await?.ok_or(PeopleProblem::Unknown)?;
        let is_providers = change.login.is_some() || change.name.is_some() || change.roles.is_some();
        if !is_local(&person) && is_providers {
            return Err(PeopleProblem::NotLocal);
        }
        let change = self.checked(change)?;
        let login = change.login.clone().unwrap_or_default();
        let changed = self.store.change_person(id, change, at, actor.to_owned()).await;
        if changed.map_err(|problem| PeopleProblem::of_login(problem, &login))? {
            Ok(())
        } else {
            Err(PeopleProblem::Unknown)
        }
    }

    /// Disables a person: their sessions end at once, their invitations are void, their passkeys sleep. Returns the
    /// sessions that ended.
    ///
    /// # Errors
    /// [`PeopleProblem::Unknown`] also where they are disabled already.
    pub async fn disable(
        &self,
        id: &UserId,
        why: &str,
        actor: &str,
        at: Timestamp,
    ) -> Result<Vec<SessionRecord>, PeopleProblem> {
        let why = text(why).ok_or(PeopleProblem::ReasonMissing)?;
        let ended = self.store.disable_person(id, why, at, actor.to_owned()).await?;
        ended.ok_or(PeopleProblem::Unknown)
    }

    /// Enables a disabled person; their passkeys work again.
    ///
    /// # Errors
    /// [`PeopleProblem::Unknown`] also where they are not disabled.
    pub async fn enable(&self, id: &UserId, actor: &str, at: Timestamp) -> Result<(), PeopleProblem> {
        if self.store.enable_person(id, at, actor.to_owned()).await? { Ok(()) } else { Err(PeopleProblem::Unknown) }
    }

    /// Disables everybody of the local directory who has not signed in for so long, and tells who.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn disable_unused(&self, after: Duration, at: Timestamp) -> Result<Vec<Person>, StoreProblem> {
        let since = before(at, after);
        let why = format!("not used for {} days", after.as_secs() / 86_400);
        let provider = Self::local_provider();
        let ids = self.store.disable_unused(&provider, since, why, at, UNUSED_ACTOR.to_owned()).await?;
        let mut people = Vec::with_capacity(ids.len());
        for id in ids {
            people.extend(self.store.person(&id).await?);
        }
        Ok(people)
    }

    /// That what a person comes from is in the configuration: the directory, or their provider under its issuer.
    fn demand_origin(&self, person: &Person) -> Result<(), PeopleProblem> {
        if is_local(person) {
            return if self.is_local { Ok(()) } else { Err(PeopleProblem::NoDirectory) };
        }
        let is_known = self.providers.iter().any(|(id, issuer)| *id == person.provider && *issuer == person.issuer);
        if is_known { Ok(()) } else { Err(PeopleProblem::NoProvider) }
    }

    /// Everybody of the local directory.
    async fn everybody(&self) -> Result<Vec<Person>, StoreProblem> {
        let filter = PeopleFilter { provider: Some(Self::local_provider()), ..PeopleFilter::default() };
        let mut people: Vec<Person> = Vec::new();
        loop {
            let after = people.last().map(|person| person.id.clone());
            let read = self.store.people(filter.clone(), after, PEOPLE_READ_MAX).await?;
            let is_last = read.len() < PEOPLE_READ_MAX;
            people.extend(read);
            if is_last {
                return Ok(people);
            }
        }
    }

    /// A person of the local directory with this subject.
    fn made(&self, person: NewPerson, subject: String, at: Timestamp) -> Result<Person, PeopleProblem> {
        if !self.is_local {
            return Err(PeopleProblem::NoDirectory);
        }
        let NewPerson { login, name, roles, unit } = person;
        let change = PersonChange { login: Some(login), name: Some(name), roles: Some(roles), unit: Some(unit) };
        let PersonChange { login, name, roles, unit } = self.checked(change)?;
        Ok(Person {
            id: self.local_id(&subject),
            issuer: self.issuer.clone(),
            subject,
            provider: Self::local_provider(),
            login: login.unwrap_or_default(),
            name: name.unwrap_or_default(),
            roles: roles.unwrap_or_default(),
            unit: unit.unwrap_or_default(),
            added_at: at,
            seen_at: at,
            confirmed_at: at,
            disabled: None,
        })
    }

    /// The first administrator, as they say they are called; with a new subject unless there is one. `None` if that
    /// is no name, or nobody is to administer.
    pub(crate) fn first(&self, newcomer: Newcomer, subject: Option<String>, at: Timestamp) -> Option<Person> {
        let Newcomer { login, name } = newcomer;
        let roles = vec![self.console.administrators.first()?.clone()];
        let person = NewPerson { login, name, roles, unit: String::new() };
        self.made(person, subject.unwrap_or_else(random_name), at).ok()
    }

    /// The id of somebody of the local directory.
    pub(crate) fn local_id(&self, subject: &str) -> UserId {
        user_id(&self.issuer, subject)
    }

    /// A change whose values can be kept.
    fn checked(&self, change: PersonChange) -> Result<PersonChange, PeopleProblem> {
        let PersonChange { login, name, roles, unit } = change;
        let login = login.map(|login| login_name(&login).ok_or(PeopleProblem::Login)).transpose()?;
        let name = name.map(|name| text(&name).ok_or(PeopleProblem::Name)).transpose()?;
        let unit = unit.map(|unit| unit_text(&unit).ok_or(PeopleProblem::Unit)).transpose()?;
        let unknown = |role: RoleId| PeopleProblem::Role(role.as_str().to_owned());
        let roles = roles.map(|roles| self.known(roles).map_err(unknown)).transpose()?;
        Ok(PersonChange { login, name, roles, unit })
    }

    /// Roles as they are kept, or the first that the configuration does not have.
    fn known(&self, mut roles: Vec<RoleId>) -> Result<Vec<RoleId>, RoleId> {
        roles.sort();
        roles.dedup();
        match roles.iter().find(|role| !self.roles.contains(role)) {
            Some(unknown) => Err(unknown.clone()),
            None => Ok(roles),
        }
    }
}

fn is_local(person: &Person) -> bool {
    person.provider.as_str() == LOCAL_PROVIDER
}

/// A text of one line, as it is kept; `None` for an empty one, or one that is too long.
fn text(given: &str) -> Option<String> {
    let given = given.trim();
    let fits = (1..=TEXT_CHARS_MAX).contains(&given.chars().count()) && !given.chars().any(char::is_control);
    fits.then(|| given.to_owned())
}

/// Where somebody works, as it is kept: may be empty.
fn unit_text(given: &str) -> Option<String> {
    if given.trim().is_empty() { Some(String::new()) } else { text(given) }
}

/// A login name: letters and digits of any script, and `.`, `-`, `_`, `@`, `+`.
fn login_name(given: &str) -> Option<String> {
    let plain = |c: char| c.is_alphanumeric() || ".-_@+".contains(c);
    text(given).filter(|login| login.chars().all(plain))
}

fn before(at: Timestamp, span: Duration) -> Timestamp {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_unix_micros(at.unix_micros().saturating_sub(micros))
}

impl fmt::Debug for People {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("People").field("issuer", &self.issuer).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
