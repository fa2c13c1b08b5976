//! Adding, changing, disabling people.

use std::path::Path;

use identity::NewPerson;
use policy::RoleId;

use super::{Directory, Who, failure};
use crate::cli::csv::{import_failure, read_file};
use crate::cli::{ConfigArg, actor, block_on, out};
use crate::clock;
use crate::failure::Failure;

/// `user add`.
pub fn add(login: &str, name: &str, roles: &[String], unit: &str, config: &ConfigArg) -> Result<(), Failure> {
    let directory = Directory::open(config)?;
    let role = |text: &String| RoleId::parse(text).map_err(|problem| Failure::input(format!("--role: {problem}")));
    let person = NewPerson {
        login: login.to_owned(),
        name: name.to_owned(),
        roles: roles.iter().map(role).collect::<Result<_, _>>()?,
        unit: unit.to_owned(),
    };
    let added = block_on(async { directory.people.add(person, &actor(), clock::now()).await.map_err(failure) })?;
    out::say(&format!(
        "{login} added as {id}; next: sekimori user invite {login} --proofing \"...\"\n\
         {login} を登録しました。次に、上のコマンドで鍵の登録に招待してください。",
        id = added.id,
    ));
    Ok(())
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
