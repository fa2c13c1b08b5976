//! Adding, changing, disabling people.

use std::path::Path;

use identity::NewPerson;
use policy::RoleId;
use store::{Person, PersonChange};

use super::{Directory, What, Who, failure};
use crate::cli::csv::{import_failure, read_file};
use crate::cli::{ConfigArg, actor, block_on, out};
use crate::clock;
use crate::failure::Failure;

/// `user add`.
pub fn add(login: &str, name: &str, roles: &[String], unit: &str, config: &ConfigArg) -> Result<(), Failure> {
    let directory = Directory::open(config)?;
    let person =
        NewPerson { login: login.to_owned(), name: name.to_owned(), roles: read_roles(roles)?, unit: unit.to_owned() };
    let added = block_on(async { directory.people.add(person, &actor(), clock::now()).await.map_err(failure) })?;
    out::say(&format!(
        "{login} added as {id}; next: sekimori user invite {login} --proofing \"...\"\n\
         {login} を登録しました。次に、上のコマンドで鍵の登録に招待してください。",
        id = added.id,
    ));
    Ok(())
}

/// `user change`.
pub fn change(who: &Who, what: &What, config: &ConfigArg) -> Result<(), Failure> {
    let directory = Directory::open(config)?;
    let roles = (what.no_roles || !what.roles.is_empty()).then(|| read_roles(&what.roles)).transpose()?;
    let change = PersonChange { login: what.login.clone(), name: what.name.clone(), roles, unit: what.unit.clone() };
    let (before, after) = block_on(async {
        let before = directory.find(who).await?;
        directory.people.change(&before.id, change, &actor(), clock::now()).await.map_err(failure)?;
        let after = directory.people.person(&before.id).await;
        let after = after.map_err(|problem| Failure::unavailable(problem.to_string()))?;
        Ok((before.clone(), after.unwrap_or(before)))
    })?;
    let lines = difference(&before, &after);
    if lines.is_empty() {
        out::say(&format!("{} ({}) is so already / もとのままです", before.login, before.id));
    } else {
        out::say(&format!("{} ({}) changed / 変更しました\n{}", before.login, before.id, lines.join("\n")));
    }
    Ok(())
}

/// What is otherwise than before, a line each.
fn difference(before: &Person, after: &Person) -> Vec<String> {
    let names = |person: &Person| person.roles.iter().map(RoleId::as_str).collect::<Vec<_>>().join(", ");
    let (roles_before, roles_after) = (names(before), names(after));
    let shown = |text: &str| if text.is_empty() { "-".to_owned() } else { text.to_owned() };
    [
        ("login", before.login.as_str(), after.login.as_str()),
        ("name", &before.name, &after.name),
        ("roles", &roles_before, &roles_after),
        ("unit", &before.unit, &after.unit),
    ]
    .into_iter()
    .filter(|(_, before, after)| before != after)
    .map(|(what, before, after)| format!("{what}: {} -> {}", shown(before), shown(after)))
    .collect()
}

fn read_roles(roles: &[String]) -> Result<Vec<RoleId>, Failure> {
    let role = |text: &String| RoleId::parse(text).map_err(|problem| Failure::input(format!("--role: {problem}")));
    roles.iter().map(role).collect()
}

/// `user disable`.
pub fn disable(who: &Who, reason: &str, config: &ConfigArg) -> Result<(), Failure> {
    let directory = Directory::open(config)?;
    let (person, ended) = block_on(async {
        let person = directory.find(who).await?;
        if person.disabled.is_some() {
            return Err(Failure::no(format!("{} ({}) is disabled already", person.login, person.id)));
        }
        let ended = directory.people.disable(&person.id, reason, &actor(), clock::now()).await.map_err(failure)?;
        Ok((person, ended))
    })?;
    out::say(&format!("{} ({}) disabled; {} sessions ended, invitations void", person.login, person.id, ended.len()));
    Ok(())
}

/// `user enable`.
pub fn enable(who: &Who, config: &ConfigArg) -> Result<(), Failure> {
    let directory = Directory::open(config)?;
    let person = block_on(async {
        let person = directory.find(who).await?;
        if person.disabled.is_none() {
            return Err(Failure::no(format!("{} ({}) is not disabled", person.login, person.id)));
        }
        directory.people.enable(&person.id, &actor(), clock::now()).await.map_err(failure)?;
        Ok(person)
    })?;
    out::say(&format!("{} ({}) enabled", person.login, person.id));
    Ok(())
}

/// `user import`.
pub fn import(file: &Path, dry_run: bool, config: &ConfigArg) -> Result<(), Failure> {
    let directory = Directory::open(config)?;
    let text = read_file(file)?;
    let at = clock::now();
    let imported = block_on(async {
        let imported = if dry_run {
            directory.people.plan_csv(&text, at).await
        } else {
            directory.people.read_csv(&text, &actor(), at).await
        };
        imported.map_err(|problem| import_failure(problem, file))
    })?;
    let verb = if dry_run { "would be " } else { "" };
    let kinds = [("added", &imported.added), ("changed", &imported.changed), ("disabled", &imported.disabled)];
    let counts = kinds.map(|(word, people)| format!("{} {verb}{word}", people.len()));
    out::say(&format!("{}, {} as they were", counts.join(", "), imported.unchanged));
    for (word, people) in kinds.into_iter().filter(|(_, people)| !people.is_empty()) {
        let logins: Vec<&str> = people.iter().map(|person| person.login.as_str()).collect();
        out::say(&format!("{word}: {}", logins.join(", ")));
    }
    Ok(())
}
