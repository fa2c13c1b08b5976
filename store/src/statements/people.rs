//! People: written down at sign-in, kept by the directory, disabled and enabled.

use policy::{ProviderId, RoleId, Timestamp, UserId};

use super::events::tell;
use super::{invitations, sessions};
use crate::conditions::Conditions;
use crate::rows;
use crate::sql::{Connection, Row, Value, named_params, params};
use crate::{
    Change, Disabled, Lapsed, PEOPLE_READ_MAX, PeopleFilter, Person, PersonChange, PersonWrite, RolesChanged,
    SessionRecord, SessionsOf, StoreProblem,
};

/// Columns of `people p`, as [`read`] reads them.
pub(crate) const COLUMNS: &str = "p.id as person_id, p.issuer as person_issuer, \
     p.subject as person_subject, p.provider as person_provider, p.login as person_login, p.name as person_name, \
     p.roles as person_roles, p.unit as person_unit, p.added_at as person_added_at, p.seen_at as person_seen_at, \
     p.confirmed_at as person_confirmed_at, p.disabled_at as person_disabled_at, \
     p.disabled_why as person_disabled_why, p.disabled_by as person_disabled_by";

pub(crate) fn read(row: &Row) -> Result<Person, StoreProblem> {
    Ok(Person {
        id: rows::parsed(row, "person_id", |text| UserId::parse(text).ok())?,
        issuer: row.get("person_issuer")?,
        subject: row.get("person_subject")?,
        provider: rows::parsed(row, "person_provider", |text| ProviderId::parse(text).ok())?,
        login: row.get("person_login")?,
        name: row.get("person_name")?,
        roles: rows::parsed(row, "person_roles", rows::roles)?,
        unit: row.get("person_unit")?,
        added_at: rows::moment(row, "person_added_at")?,
        seen_at: rows::moment(row, "person_seen_at")?,
        confirmed_at: rows::moment(row, "person_confirmed_at")?,
        disabled: match rows::moment_or_none(row, "person_disabled_at")? {
            Some(at) => {
                Some(Disabled { at, why: row.get("person_disabled_why")?, actor: row.get("person_disabled_by")? })
            }
            None => None,
        },
    })
}

/// The actor of roles that a sign-in brings.
const PROVIDER_ACTOR: &str = "gateway:provider";

pub(crate) fn remember(c: &Connection, shown: &Person) -> Result<(), StoreProblem> {
    let before = person(c, &shown.id)?.filter(|before| shown.confirmed_at >= before.confirmed_at);
    write(
        c,
        shown,
        // What was confirmed earlier than what is known, such as by a sign-in that waited for its second factor, brings
        // no role back.
        "on conflict (id) do update set issuer = :issuer, subject = :subject, provider = :provider,
             login = case when :confirmed_at >= people.confirmed_at then :login else people.login end,
             name = case when :confirmed_at >= people.confirmed_at then :name else people.name end,
             roles = case when :confirmed_at >= people.confirmed_at then :roles else people.roles end,
             seen_at = case when people.seen_at > :seen_at then people.seen_at else :seen_at end,
             confirmed_at = case when people.confirmed_at > :confirmed_at then people.confirmed_at
                 else :confirmed_at end",
    )?;
    let changed = before.and_then(|before| roles_changed(&before.roles, &sorted(shown.roles.clone())));
    match changed {
        Some(roles) => {
            let change = Change::PersonChanged { user: shown.id.clone(), roles: Some(roles) };
            tell(c, shown.confirmed_at, PROVIDER_ACTOR, &change)
        }
        None => Ok(()),
    }
}

fn write(c: &Connection, person: &Person, on_conflict: &str) -> Result<(), StoreProblem> {
    let disabled = person.disabled.as_ref();
    c.prepare_cached(&format!(
        "insert into people (id, issuer, subject, provider, login, name, roles, unit, added_at, seen_at, confirmed_at,
             disabled_at, disabled_why, disabled_by)
         values (:id, :issuer, :subject, :provider, :login, :name, :roles, :unit, :added_at, :seen_at, :confirmed_at,
             :disabled_at, :disabled_why, :disabled_by)
         {on_conflict}"
    ))?
    .execute(named_params! {
        ":id": person.id.as_str(),
        ":issuer": person.issuer,
        ":subject": person.subject,
        ":provider": person.provider.as_str(),
        ":login": person.login,
        ":name": person.name,
        ":roles": rows::roles_column(&sorted(person.roles.clone())),
        ":unit": person.unit,
        ":added_at": person.added_at.unix_micros(),
        ":seen_at": person.seen_at.unix_micros(),
        ":confirmed_at": person.confirmed_at.unix_micros(),
        ":disabled_at": disabled.map(|disabled| disabled.at.unix_micros()),
        ":disabled_why": disabled.map(|disabled| disabled.why.as_str()),
        ":disabled_by": disabled.map(|disabled| disabled.actor.as_str()),
    })?;
    Ok(())
}

pub(crate) fn person(c: &Connection, id: &UserId) -> Result<Option<Person>, StoreProblem> {
    let statement = c.prepare_cached(&format!("select {COLUMNS} from people p where p.id = ?1"))?;
    rows::one(statement, [id.as_str()], read)
}

pub(crate) fn by_subject(c: &Connection, provider: &ProviderId, subject: &str) -> Result<Option<Person>, StoreProblem> {
    let statement =
        c.prepare_cached(&format!("select {COLUMNS} from people p where p.subject = ?1 and p.provider = ?2"))?;
    only(rows::all(statement, [subject, provider.as_str()], read)?)
}

pub(crate) fn by_login(c: &Connection, provider: &ProviderId, login: &str) -> Result<Option<Person>, StoreProblem> {
    let statement = c.prepare_cached(&format!(
        "select {COLUMNS} from people p where {} = {} and p.provider = ?2 limit 2",
        c.folded("p.login"),
        c.folded("?1"),
    ))?;
    only(rows::all(statement, [login, provider.as_str()], read)?)
}

/// Everybody whose login or id is one of these.
pub(crate) fn called(c: &Connection, names: &[String]) -> Result<Vec<Person>, StoreProblem> {
    let named = c.members("cast(?1 as text)");
    let statement = c.prepare_cached(&format!(
        "select {COLUMNS} from people p where p.login in (select n.value from {named} n)
             or p.id in (select n.value from {named} n)"
    ))?;
    rows::all(statement, [serde_json::Value::from(names).to_string()], read)
}

/// Two people under one name are nobody: a guess could be the wrong one.
fn only(mut people: Vec<Person>) -> Result<Option<Person>, StoreProblem> {
    Ok(if people.len() == 1 { people.pop() } else { None })
}

/// The person, if they may do anything.
pub(crate) fn in_force(c: &Connection, id: &UserId) -> Result<Person, StoreProblem> {
    person(c, id)?.filter(|person| person.disabled.is_none()).ok_or(StoreProblem::NotInForce(Lapsed::Person))
}

pub(crate) fn list(
    c: &Connection,
    filter: &PeopleFilter,
    after: Option<&UserId>,
    most: usize,
) -> Result<Vec<Person>, StoreProblem> {
    let mut conditions = Conditions::default();
    if let Some(text) = &filter.text {
        let like = format!(r"{} ? escape '\'", c.like());
        conditions.also(&format!("(p.login {like} or p.name {like} or p.unit {like})"), contains(text));
    }
    if let Some(role) = &filter.role {
        let has = format!("exists (select 1 from {} r where r.value = ?)", c.members("p.roles"));
        conditions.also(&has, role.as_str().to_owned());
    }
    if let Some(provider) = &filter.provider {
        conditions.also("p.provider = ?", provider.as_str().to_owned());
    }
    if let Some(disabled) = filter.disabled {
        conditions.also("(p.disabled_at is not null) = ?", i64::from(disabled));
    }
    if let Some(since) = filter.unused_since {
        conditions.also("p.seen_at < ?", since.unix_micros());
    }
    if let Some(after) = after {
        let (here, there) = (c.folded("p.login"), c.folded("a.login"));
        let follows = format!("({here} > {there} or ({here} = {there} and p.id > a.id))");
        conditions
            .also(&format!("exists (select 1 from people a where a.id = ? and {follows})"), after.as_str().to_owned());
    }
    let (asked, values) = conditions.into_parts();
    let statement = c.prepare_cached(&format!(
        "select {COLUMNS} from people p where {asked} order by {}, p.id limit {}",
        c.folded("p.login"),
        most.min(PEOPLE_READ_MAX)
    ))?;
    rows::all(statement, values, read)
}

/// A pattern that finds the text itself, whatever characters it holds.
fn contains(text: &str) -> Value {
    let plain: String =
        text.chars().flat_map(|c| matches!(c, '%' | '_' | '\\').then_some('\\').into_iter().chain([c])).collect();
    format!("%{plain}%").into()
}

pub(crate) fn add(c: &Connection, new: &Person, actor: &str) -> Result<(), StoreProblem> {
    if person(c, &new.id)?.is_some() {
        return Err(StoreProblem::Exists(new.id.to_string()));
    }
    let known = c
        .prepare_cached("select 1 from people where subject = ?1 and provider = ?2")?
        .exists([new.subject.as_str(), new.provider.as_str()])?;
    if known {
        return Err(StoreProblem::Exists(new.subject.clone()));
    }
    login_is_free(c, &new.provider, &new.login, &new.id)?;
    write(c, new, "")?;
    tell(c, new.added_at, actor, &Change::PersonAdded(new.id.clone()))
}

fn login_is_free(c: &Connection, provider: &ProviderId, login: &str, for_whom: &UserId) -> Result<(), StoreProblem> {
    let taken = c
        .prepare_cached(&format!(
            "select 1 from people where {} = {} and provider = ?2 and id <> ?3",
            c.folded("login"),
            c.folded("?1"),
        ))?
        .exists([login, provider.as_str(), for_whom.as_str()])?;
    if taken { Err(StoreProblem::Exists(login.to_owned())) } else { Ok(()) }
}

pub(crate) fn change(
    c: &Connection,
    id: &UserId,
    change: PersonChange,
    at: Timestamp,
    actor: &str,
) -> Result<bool, StoreProblem> {
    let Some(before) = person(c, id)? else { return Ok(false) };
    let PersonChange { login, name, roles, unit } = change;
    let roles_given = roles.is_some();
    let after = Person {
        login: login.unwrap_or_else(|| before.login.clone()),
        name: name.unwrap_or_else(|| before.name.clone()),
        roles: roles.map_or_else(|| before.roles.clone(), sorted),
        unit: unit.unwrap_or_else(|| before.unit.clone()),
        ..before.clone()
    };
    if after.login != before.login {
        login_is_free(c, &after.provider, &after.login, id)?;
    }
    c.prepare_cached("update people set login = ?2, name = ?3, unit = ?4 where id = ?1")?.execute(params![
        id.as_str(),
        after.login,
        after.name,
        after.unit
    ])?;
    if after != before {
        let roles = roles_changed(&before.roles, &after.roles);
        tell(c, at, actor, &Change::PersonChanged { user: id.clone(), roles })?;
    }
    if roles_given {
        set_roles(c, id, &after.roles, at, actor)?;
    }
    Ok(true)
}

pub(crate) fn write_all(
    c: &Connection,
    writes: Vec<PersonWrite>,
    at: Timestamp,
    actor: &str,
) -> Result<(), StoreProblem> {
    for write in writes {
        let known = match write {
            PersonWrite::Add(person) => add(c, &person, actor).map(|()| true)?,
            PersonWrite::Change(id, one) => change(c, &id, one, at, actor)?,
            PersonWrite::Disable(id, why) => {
                disable(c, &id, &why, at, actor)?;
                person(c, &id)?.is_some()
            }
        };
        if !known {
            return Err(StoreProblem::NotInForce(Lapsed::Person));
        }
    }
    Ok(())
}

pub(crate) fn disable(
    c: &Connection,
    id: &UserId,
    why: &str,
    at: Timestamp,
    actor: &str,
) -> Result<Option<Vec<SessionRecord>>, StoreProblem> {
    let disabled = c
        .prepare_cached(
            "update people set disabled_at = ?2, disabled_why = ?3, disabled_by = ?4
             where id = ?1 and disabled_at is null",
        )?
        .execute(params![id.as_str(), at.unix_micros(), why, actor])?;
    if disabled == 0 {
        return Ok(None);
    }
    tell(c, at, actor, &Change::PersonDisabled(id.clone()))?;
    invitations::revoke_of_person(c, id, at, actor)?;
    sessions::end_those(c, &SessionsOf::User(id.clone()), at, actor).map(Some)
}

pub(crate) fn disable_unused(
    c: &Connection,
    provider: &ProviderId,
    unused_since: Timestamp,
    why: &str,
    at: Timestamp,
    actor: &str,
) -> Result<Vec<UserId>, StoreProblem> {
    let statement = c.prepare_cached(&format!(
        "select {COLUMNS} from people p where p.provider = ?1 and p.seen_at < ?2 and p.disabled_at is null order by p.id"
    ))?;
    let unused = rows::all(statement, params![provider.as_str(), unused_since.unix_micros()], read)?;
    for person in &unused {
        disable(c, &person.id, why, at, actor)?;
    }
    Ok(unused.into_iter().map(|person| person.id).collect())
}

pub(crate) fn enable(c: &Connection, id: &UserId, at: Timestamp, actor: &str) -> Result<bool, StoreProblem> {
    let enabled = c
        .prepare_cached(
            "update people set disabled_at = null, disabled_why = null, disabled_by = null,
                 seen_at = case when seen_at > ?2 then seen_at else ?2 end
             where id = ?1 and disabled_at is not null",
        )?
        .execute(params![id.as_str(), at.unix_micros()])?;
    if enabled > 0 {
        tell(c, at, actor, &Change::PersonEnabled(id.clone()))?;
    }
    Ok(enabled > 0)
}

pub(crate) fn confirm_roles(
    c: &Connection,
    id: &UserId,
    roles: Vec<RoleId>,
    at: Timestamp,
    actor: &str,
) -> Result<bool, StoreProblem> {
    let before = in_force(c, id)?;
    let roles = sorted(roles);
    let changed = roles_changed(&before.roles, &roles);
    let differ = changed.is_some();
    if differ {
        tell(c, at, actor, &Change::PersonChanged { user: id.clone(), roles: changed })?;
    }
    let session_differs = set_roles(c, id, &roles, at, actor)?;
    Ok(differ || session_differs)
}

fn roles_changed(before: &[RoleId], after: &[RoleId]) -> Option<RolesChanged> {
    (before != after).then(|| RolesChanged { before: before.to_vec(), after: after.to_vec() })
}

/// Writes the roles of a person and of their open sessions; whether any of these differed.
fn set_roles(c: &Connection, id: &UserId, roles: &[RoleId], at: Timestamp, actor: &str) -> Result<bool, StoreProblem> {
    let column = rows::roles_column(roles);
    c.prepare_cached(
        "update people set roles = ?2, confirmed_at = case when confirmed_at > ?3 then confirmed_at else ?3 end
         where id = ?1",
    )?
    .execute(params![id.as_str(), column, at.unix_micros()])?;
    let mut differ = false;
    for (session, _) in sessions::those(c, &SessionsOf::User(id.clone()))? {
        c.prepare_cached(
            "update sessions set roles = ?2, roles_confirmed_at =
                 case when roles_confirmed_at > ?3 then roles_confirmed_at else ?3 end
             where id = ?1",
        )?
        .execute(params![session.id.to_string(), column, at.unix_micros()])?;
        if session.roles != roles {
            differ = true;
            tell(c, at, actor, &Change::SessionChanged(session.id))?;
        }
    }
    Ok(differ)
}

/// Roles as they are kept: sorted, each once.
pub(crate) fn sorted(mut roles: Vec<RoleId>) -> Vec<RoleId> {
    roles.sort();
    roles.dedup();
    roles
}
