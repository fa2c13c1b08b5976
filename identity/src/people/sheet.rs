//! The local directory as a table, out and in. Taking one in does all of it or nothing; people it does not name stay
//! as they are.

use std::collections::{BTreeMap, BTreeSet};

use policy::{RoleId, Timestamp};
use store::{Person, PersonChange, PersonWrite, StoreProblem};

use super::{NewPerson, People, PeopleProblem, login_name, text, unit_text};
use crate::csv::{BEGIN, Cell, Column, CsvFault, CsvProblem, Row, Table, shown, write_row};
use crate::secret::random_name;

const COLUMNS: [Column; 5] = [
    Column { name: "login", ja: "ログイン名", required: true },
    Column { name: "name", ja: "氏名", required: true },
    Column { name: "roles", ja: "役割", required: true },
    Column { name: "unit", ja: "所属", required: false },
    Column { name: "state", ja: "状態", required: false },
];
const IN_FORCE: [&str; 3] = ["active", "有効", ""];
const DISABLED: [&str; 2] = ["disabled", "無効"];
/// Why a person was disabled whom a table disables.
const WHY: &str = "disabled by a table";
/// The most problems that are told at once.
const PROBLEMS_MAX: usize = 100;

/// What a table would change, or has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// People who were not there.
    pub added: Vec<ImportedPerson>,
    /// People who were otherwise.
    pub changed: Vec<ImportedPerson>,
    /// People who are disabled by it.
    pub disabled: Vec<ImportedPerson>,
    /// How many are as they were.
    pub unchanged: usize,
}

/// A person whom a table names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedPerson {
    /// Their login name.
    pub login: String,
    /// Their name.
    pub name: String,
}

/// Why a table was not taken in; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ImportProblem {
    /// What is wrong with the table, by its lines; at most a hundred.
    #[error("the table has {} problems", .0.len())]
    Lines(Vec<CsvProblem>),
    /// Something else, such as the store.
    #[error(transparent)]
    People(#[from] PeopleProblem),
}

impl From<StoreProblem> for ImportProblem {
    fn from(problem: StoreProblem) -> Self {
        Self::People(problem.into())
    }
}

/// What one row asks for.
enum Asked {
    Add(NewPerson),
    Change(Box<Person>, PersonChange),
    Disable(Box<Person>),
    Nothing,
}

impl People {
    /// The local directory as a table that [`People::read_csv`] reads: login name, name, roles with spaces between,
    /// unit, state.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn write_csv(&self) -> Result<String, StoreProblem> {
        let mut out = BEGIN.to_owned();
        write_row(&mut out, COLUMNS.iter().map(|column| column.name));
        for person in self.everybody().await? {
            let roles = person.roles.iter().map(RoleId::as_str).collect::<Vec<_>>().join(" ");
            let state = if person.disabled.is_some() { "disabled" } else { "active" };
            write_row(&mut out, [person.login.as_str(), &person.name, &roles, &person.unit, state]);
        }
        Ok(out)
    }

    /// What [`People::read_csv`] would change.
    ///
    /// # Errors
    /// [`ImportProblem`].
    pub async fn plan_csv(&self, text: &str, at: Timestamp) -> Result<Imported, ImportProblem> {
        Ok(self.plan(text, at).await?.0)
    }

    /// Takes a table in: adds who is not there, changes who is otherwise, disables whom it calls disabled. All of it,
    /// or nothing.
    ///
    /// # Errors
    /// [`ImportProblem`]; nothing was changed.
    pub async fn read_csv(&self, text: &str, actor: &str, at: Timestamp) -> Result<Imported, ImportProblem> {
        let (imported, writes) = self.plan(text, at).await?;
        if !writes.is_empty() {
            self.store.write_people(writes, at, actor.to_owned()).await?;
        }
        Ok(imported)
    }

    async fn plan(&self, text: &str, at: Timestamp) -> Result<(Imported, Vec<PersonWrite>), ImportProblem> {
        let table = Table::read(text, &COLUMNS).map_err(ImportProblem::Lines)?;
        let people = self.everybody().await?;
        let there: BTreeMap<String, Person> =
            people.into_iter().map(|person| (person.login.to_ascii_lowercase(), person)).collect();
        let mut named = BTreeSet::new();
        let (mut imported, mut writes, mut problems) = (Imported::default(), Vec::new(), Vec::new());
        for row in &table.rows {
            match self.asked(&table, row, &there, &mut named) {
                Ok(asked) => self.note(asked, at, &mut imported, &mut writes)?,
                Err(problem) => problems.push(problem),
            }
        }
        problems.truncate(PROBLEMS_MAX);
        if problems.is_empty() { Ok((imported, writes)) } else { Err(ImportProblem::Lines(problems)) }
    }

    /// What a row asks for, as the directory stands.
    fn asked(
        &self,
        table: &Table,
        row: &Row,
        there: &BTreeMap<String, Person>,
        named: &mut BTreeSet<String>,
    ) -> Result<Asked, CsvProblem> {
        let cell = |name| table.cell(row, name);
        let change = self.cells(cell("login"), cell("name"), cell("roles"), cell("unit"))?;
        let key = change.login.clone().unwrap_or_default().to_ascii_lowercase();
        let known = there.get(&key);
        if !named.insert(key) {
            let problem = |cell: Cell<'_>| cell.problem(CsvFault::LoginTwice);
            return cell("login").map_or(Ok(Asked::Nothing), |cell| Err(problem(cell)));
        }
        let is_disabled = cell("state").map(state).transpose()?.unwrap_or_else(|| {
            // A table without that column says nothing of it.
            known.is_some_and(|person| person.disabled.is_some())
        });
        Ok(match known {
            None if is_disabled => Asked::Nothing,
            None => {
                let PersonChange { login, name, roles, unit } = change;
                let (login, name) = (login.unwrap_or_default(), name.unwrap_or_default());
                Asked::Add(NewPerson { login, name, roles: roles.unwrap_or_default(), unit: unit.unwrap_or_default() })
            }
            Some(person) if is_disabled && person.disabled.is_some() => Asked::Nothing,
            Some(person) if is_disabled => Asked::Disable(Box::new(person.clone())),
            Some(person) if person.disabled.is_some() => {
                let at = cell("state").or_else(|| cell("login"));
                let whole = || CsvProblem { line: row.line, column: 1, fault: CsvFault::PersonDisabled };
                return Err(at.map_or_else(whole, |cell| cell.problem(CsvFault::PersonDisabled)));
            }
            Some(person) => match difference(person, change) {
                Some(change) => Asked::Change(Box::new(person.clone()), change),
                None => Asked::Nothing,
            },
        })
    }

    /// The cells of a row, each checked.
    fn cells(
        &self,
        login: Option<Cell<'_>>,
        name: Option<Cell<'_>>,
        roles: Option<Cell<'_>>,
        unit: Option<Cell<'_>>,
    ) -> Result<PersonChange, CsvProblem> {
        let read = |cell: Option<Cell<'_>>, read: fn(&str) -> Option<String>, fault: CsvFault| {
            cell.map(|cell| read(cell.text).ok_or_else(|| cell.problem(fault))).transpose()
        };
        Ok(PersonChange {
            login: read(login, login_name, CsvFault::Login)?,
            name: read(name, text, CsvFault::Name)?,
            roles: roles.map(|cell| self.read_roles(cell)).transpose()?,
            unit: read(unit, unit_text, CsvFault::Unit)?,
        })
    }

    fn read_roles(&self, cell: Cell<'_>) -> Result<Vec<RoleId>, CsvProblem> {
        let words = cell.text.split(|c: char| c.is_whitespace() || c == ';').filter(|word| !word.is_empty());
        let unknown = |role: &str| cell.problem(CsvFault::Role { role: shown(role) });
        let roles: Vec<RoleId> =
            words.map(|word| RoleId::parse(word).map_err(|_| unknown(word))).collect::<Result<_, _>>()?;
        self.known(roles).map_err(|role| unknown(role.as_str()))
    }

    fn note(
        &self,
        asked: Asked,
        at: Timestamp,
        imported: &mut Imported,
        writes: &mut Vec<PersonWrite>,
    ) -> Result<(), PeopleProblem> {
        let named = |login: &str, name: &str| ImportedPerson { login: login.to_owned(), name: name.to_owned() };
        match asked {
            Asked::Nothing => imported.unchanged += 1,
            Asked::Add(person) => {
                let person = self.made(person, random_name(), at)?;
                imported.added.push(named(&person.login, &person.name));
                writes.push(PersonWrite::Add(person));
            }
            Asked::Change(person, change) => {
                imported.changed.push(named(&person.login, change.name.as_deref().unwrap_or(&person.name)));
                writes.push(PersonWrite::Change(person.id, change));
            }
            Asked::Disable(person) => {
                imported.disabled.push(named(&person.login, &person.name));
                writes.push(PersonWrite::Disable(person.id, WHY.to_owned()));
            }
        }
        Ok(())
    }
}

/// Only what is otherwise.
fn difference(person: &Person, change: PersonChange) -> Option<PersonChange> {
    let change = PersonChange {
        // It is by the login name that the row found the person.
        login: None,
        name: change.name.filter(|name| *name != person.name),
        roles: change.roles.filter(|roles| *roles != person.roles),
        unit: change.unit.filter(|unit| *unit != person.unit),
    };
    (change != PersonChange::default()).then_some(change)
}

/// Whether the person is disabled.
fn state(cell: Cell<'_>) -> Result<bool, CsvProblem> {
    match cell.text {
        text if IN_FORCE.contains(&text) => Ok(false),
        text if DISABLED.contains(&text) => Ok(true),
        text => Err(cell.problem(CsvFault::State { state: shown(text) })),
    }
}
