//! Looking at people.

use policy::{RoleId, Timestamp, UtcOffset};
use serde_json::json;
use store::{PEOPLE_READ_MAX, PeopleFilter, Person, Store};

use super::{Directory, Which, provider};
use crate::cli::{ConfigArg, Format, block_on, out, table};
use crate::clock;
use crate::failure::Failure;

const DAY_SECONDS: u64 = 86_400;

/// `user list`.
pub fn list(which: &Which, config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let directory = Directory::open(config)?;
    let filter = filter(which)?;
    let rows = block_on(async {
        let mut rows = Vec::new();
        for person in all(&*directory.store, &filter).await? {
            let keys = directory.store.credentials_of(&person.id).await;
            rows.push((person, keys.map_err(|problem| Failure::unavailable(problem.to_string()))?.len()));
        }
        Ok(rows)
    })?;
    match format {
        Format::Json => rows.iter().for_each(|(person, keys)| out::say(&as_json(person, *keys))),
        Format::Text => {
            let rows: Vec<_> = rows.iter().map(|(person, keys)| row(person, *keys, directory.config.offset)).collect();
            out::say(&table(&["LOGIN", "NAME", "PROVIDER", "ROLES", "UNIT", "KEYS", "STATE", "LAST SIGN-IN"], &rows));
        }
    }
    Ok(())
}

fn filter(which: &Which) -> Result<PeopleFilter, Failure> {
    let role = |text: &String| RoleId::parse(text).map_err(|problem| Failure::input(format!("--role: {problem}")));
    let days_ago = |days: u32| {
        let span = i64::from(days).saturating_mul(DAY_SECONDS.cast_signed()).saturating_mul(1_000_000);
        Timestamp::from_unix_micros(clock::now().unix_micros().saturating_sub(span))
    };
    Ok(PeopleFilter {
        text: which.search.clone(),
        role: which.role.as_ref().map(role).transpose()?,
        provider: which.provider.as_deref().map(provider).transpose()?,
        disabled: which.disabled.then_some(true),
        unused_since: which.unused.map(days_ago),
    })
}

/// Everybody that a filter lets through.
pub async fn all(store: &dyn Store, filter: &PeopleFilter) -> Result<Vec<Person>, Failure> {
    let mut people: Vec<Person> = Vec::new();
    loop {
        let after = people.last().map(|person| person.id.clone());
        let next = store.people(filter.clone(), after, PEOPLE_READ_MAX).await;
        let next = next.map_err(|problem| Failure::unavailable(problem.to_string()))?;
        let is_last = next.len() < PEOPLE_READ_MAX;
        people.extend(next);
        if is_last {
            return Ok(people);
        }
    }
}

fn as_json(person: &Person, keys: usize) -> String {
    json!({
        "id": person.id.as_str(),
        "login": person.login,
        "name": person.name,
        "provider": person.provider.as_str(),
        "roles": person.roles.iter().map(RoleId::as_str).collect::<Vec<_>>(),
        "unit": person.unit,
        "keys": keys,
        "added_at": person.added_at.to_string(),
        "seen_at": person.seen_at.to_string(),
        "confirmed_at": person.confirmed_at.to_string(),
        "disabled_at": person.disabled.as_ref().map(|disabled| disabled.at.to_string()),
        "disabled_why": person.disabled.as_ref().map(|disabled| disabled.why.clone()),
    })
    .to_string()
}

fn row(person: &Person, keys: usize, offset: UtcOffset) -> Vec<String> {
    vec![
        person.login.clone(),
        person.name.clone(),
        person.provider.to_string(),
        person.roles.iter().map(RoleId::as_str).collect::<Vec<_>>().join(","),
        person.unit.clone(),
        keys.to_string(),
        if person.disabled.is_some() { "disabled" } else { "in force" }.to_owned(),
        if has_signed_in(person) { person.seen_at.rfc3339(offset) } else { "never".to_owned() },
    ]
}

/// People of a provider are known from their first sign-in; those of the local directory are added before it.
fn has_signed_in(person: &Person) -> bool {
    person.provider != identity::People::local_provider() || person.seen_at > person.added_at
}

/// `user export`.
pub fn export(config: &ConfigArg) -> Result<(), Failure> {
    let directory = Directory::open(config)?;
    let text = block_on(async {
        directory.people.write_csv().await.map_err(|problem| Failure::unavailable(problem.to_string()))
    })?;
    out::say(text.trim_end());
    Ok(())
}
