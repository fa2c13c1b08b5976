//! The inventory of remote maintenance as a table, both ways: what a spreadsheet adds and changes is taken in whole or not
//! at all. A table removes no line: what is not in it stays as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use config::Config;
use policy::{AppId, Timestamp, UserId};
use store::{Lapsed, MAINTENANCE_LINES_MAX, MaintenanceLine, MaintenanceWrite, Person, Store, StoreProblem};

use crate::ImportProblem;
use crate::csv::{BEGIN, Cell, Column, CsvFault, CsvProblem, Row, Table, shown, write_row};

const COLUMNS: [Column; 9] = [
    Column { name: "vendor", ja: "ベンダー", required: true },
    Column { name: "contract", ja: "契約", required: false },
    Column { name: "target", ja: "対象", required: true },
    Column { name: "app", ja: "アプリ", required: false },
    Column { name: "path", ja: "経路", required: false },
    Column { name: "owner", ja: "責任者", required: false },
    Column { name: "people", ja: "作業者", required: false },
    // This is written, and passed over when it is read.
    Column { name: "last_used", ja: "最終利用日", required: false },
    Column { name: "note", ja: "備考", required: false },
];
/// The longest text of a cell, in characters.
const TEXT_CHARS_MAX: usize = 200;
/// The most people of one line.
const PEOPLE_MAX: usize = 200;
/// The most problems that are told at once.
const PROBLEMS_MAX: usize = 100;
/// How often is begun anew where somebody else changes the inventory meanwhile.
const TRIES: usize = 3;

/// The inventory, as tables read and write it.
#[derive(Clone)]
pub struct Inventory {
    store: Arc<dyn Store>,
    apps: BTreeSet<AppId>,
}

/// What a table would do, or has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InventoryPlan {
    /// Lines that were not there: vendor and target.
    pub added: Vec<(String, String)>,
    /// Lines that were otherwise.
    pub changed: Vec<(String, String)>,
    /// How many are as they were.
    pub unchanged: usize,
}

/// What tells one line from another.
type Key = (String, String, Option<AppId>);

fn key(line: &MaintenanceLine) -> Key {
    (line.vendor.clone(), line.target.clone(), line.app.clone())
}

impl Inventory {
    /// Over a store, with the apps that lines may name.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, config: &Config) -> Self {
        Self { store, apps: config.apps.iter().map(|app| app.id.clone()).collect() }
    }

    /// The inventory as a table that [`Inventory::read_csv`] reads; `last_used` says when a line was used last.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn write_csv(
        &self,
        last_used: impl Fn(&MaintenanceLine) -> String + Send,
    ) -> Result<String, StoreProblem> {
        let mut out = BEGIN.to_owned();
        write_row(&mut out, COLUMNS.iter().map(|column| column.name));
        let lines = self.store.maintenance_lines().await?;
        let ids: BTreeSet<&str> = lines.iter().flat_map(|line| line.people.iter().map(UserId::as_str)).collect();
        let named = self.called(ids.into_iter().map(str::to_owned).collect()).await?;
        let logins: BTreeSet<String> = named.people.iter().map(|person| person.login.clone()).collect();
        let all = self.called(logins).await?;
        for line in &lines {
            let app = line.app.as_ref().map(AppId::as_str).unwrap_or_default();
            let people: Vec<&str> = line.people.iter().filter_map(|id| Some(all.word(named.of_id(id)?))).collect();
            let (people, last_used) = (people.join(" "), last_used(line));
            let MaintenanceLine { vendor, contract, target, path, owner, note, .. } = line;
            write_row(&mut out, [vendor, contract, target, app, path, owner, &people, &last_used, note]);
        }
        Ok(out)
    }

    /// What [`Inventory::read_csv`] would do.
    ///
    /// # Errors
    /// [`ImportProblem`].
    pub async fn plan_csv(&self, text: &str, at: Timestamp) -> Result<InventoryPlan, ImportProblem> {
        Ok(self.plan(text, at).await?.0)
    }

    /// Takes a table in: adds the lines that are not there and changes those that are otherwise, told apart by vendor,
    /// target and app. All of it, or nothing. What a table has no column for stays as it is.
    ///
    /// # Errors
    /// [`ImportProblem`]; nothing was changed.
    pub async fn read_csv(&self, text: &str, actor: &str, at: Timestamp) -> Result<InventoryPlan, ImportProblem> {
        let mut tries = 1..;
        loop {
            let (plan, writes) = self.plan(text, at).await?;
            if plan.added.is_empty() && plan.changed.is_empty() {
                return Ok(plan);
            }
            match self.store.write_maintenance(writes, at, actor.to_owned()).await {
                Ok(_) => return Ok(plan),
                Err(StoreProblem::NotInForce(Lapsed::Line)) if tries.next().is_some_and(|tried| tried < TRIES) => {}
                Err(problem) => return Err(problem.into()),
            }
        }
    }

    async fn plan(&self, text: &str, at: Timestamp) -> Result<(InventoryPlan, Vec<MaintenanceWrite>), ImportProblem> {
        let table = Table::read(text, &COLUMNS).map_err(ImportProblem::Lines)?;
        if let Some(row) = table.rows.get(MAINTENANCE_LINES_MAX) {
            // Each row is another line, so they cannot all fit. Nothing more is asked for them.
            let fault = CsvFault::TooManyRows { most: MAINTENANCE_LINES_MAX };
            return Err(ImportProblem::Lines(vec![CsvProblem { line: row.line, column: 1, fault }]));
        }
        let kept = self.store.maintenance_lines().await?;
        let mut there: BTreeMap<Key, Vec<&MaintenanceLine>> = BTreeMap::new();
        for line in &kept {
            there.entry(key(line)).or_default().push(line);
        }
        let people = self.people(&table).await?;
        let mut named = BTreeSet::new();
        let (mut plan, mut problems) = (InventoryPlan::default(), Vec::new());
        // What is asked for rests on what was read.
        let mut writes = vec![MaintenanceWrite::StillIs(kept.clone())];
        for row in &table.rows {
            let asked = Asked { table: &table, row, apps: &self.apps, people: &people, there: &there, at };
            match asked.write(&mut named) {
                Ok(Some(write)) => {
                    match &write {
                        MaintenanceWrite::Add(line) => plan.added.push((line.vendor.clone(), line.target.clone())),
                        MaintenanceWrite::Replace(line) => {
                            plan.changed.push((line.vendor.clone(), line.target.clone()));
                        }
                        MaintenanceWrite::Remove(_) | MaintenanceWrite::StillIs(_) => {}
                    }
                    writes.push(write);
                }
                Ok(None) => plan.unchanged += 1,
                Err(problem) => problems.push(problem),
            }
            if problems.is_empty() && kept.len() + plan.added.len() > MAINTENANCE_LINES_MAX {
                let fault = CsvFault::TooManyRows { most: MAINTENANCE_LINES_MAX };
                problems.push(CsvProblem { line: row.line, column: 1, fault });
                break;
            }
        }
        problems.truncate(PROBLEMS_MAX);
        if problems.is_empty() { Ok((plan, writes)) } else { Err(ImportProblem::Lines(problems)) }
    }

    /// Whom the table may mean.
    async fn people(&self, table: &Table) -> Result<Called, StoreProblem> {
        let cells = table.rows.iter().filter_map(|row| table.cell(row, "people"));
        let names = cells.flat_map(|cell| logins(cell.text).take(PEOPLE_MAX + 1));
        self.called(names.filter(|name| !name.contains(char::is_control)).map(str::to_owned).collect()).await
    }

    async fn called(&self, names: BTreeSet<String>) -> Result<Called, StoreProblem> {
        let people = match names.is_empty() {
            true => Vec::new(),
            false => self.store.people_called(names.into_iter().collect()).await?,
        };
        Ok(Called { people })
    }
}

/// People, by what a table calls them.
struct Called {
    people: Vec<Person>,
}

impl Called {
    fn of_id(&self, id: &UserId) -> Option<&Person> {
        self.people.iter().find(|person| person.id == *id)
    }

    /// Whom a word means: who has this login; where several have, the one who is on the line already; or whose id it is.
    fn meant(&self, word: &str, on_line: &[UserId]) -> Option<&Person> {
        let mut having = self.people.iter().filter(|person| person.login == word);
        match (having.next(), having.next()) {
            (Some(one), None) => Some(one),
            (Some(_), Some(_)) => {
                let is_meant = |person: &&Person| person.login == word && on_line.contains(&person.id);
                let mut there = self.people.iter().filter(is_meant);
                there.next().filter(|_| there.next().is_none())
            }
            (None, _) => self.people.iter().find(|person| person.id.as_str() == word),
        }
    }

    /// The word that means somebody wherever it is read: their login, or their id where that is not theirs alone.
    fn word<'a>(&self, person: &'a Person) -> &'a str {
        let is_one_word = logins(&person.login).eq([person.login.as_str()]);
        let mut having = self.people.iter().filter(|other| other.login == person.login);
        let is_theirs = is_one_word && having.next().is_some() && having.next().is_none();
        if is_theirs { &person.login } else { person.id.as_str() }
    }
}

impl fmt::Debug for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inventory").field("apps", &self.apps).finish_non_exhaustive()
    }
}

fn logins(text: &str) -> impl Iterator<Item = &str> {
    text.split([',', '\n', ' ', '、']).map(str::trim).filter(|login| !login.is_empty())
}

/// What a row asks for.
struct Asked<'a> {
    table: &'a Table,
    row: &'a Row,
    apps: &'a BTreeSet<AppId>,
    people: &'a Called,
    there: &'a BTreeMap<Key, Vec<&'a MaintenanceLine>>,
    at: Timestamp,
}

impl<'a> Asked<'a> {
    /// As the inventory stands; nothing if it is so already.
    fn write(&self, named: &mut BTreeSet<Key>) -> Result<Option<MaintenanceWrite>, CsvProblem> {
        let (vendor, target) = (self.needed("vendor")?, self.needed("target")?);
        let app = self.app()?;
        let key = (vendor, target, app);
        let twice = || self.problem("vendor", CsvFault::LineTwice);
        if !named.insert(key.clone()) {
            return Err(twice());
        }
        let known = match self.there.get(&key).map(Vec::as_slice) {
            None | Some([]) => None,
            Some([one]) => Some(*one),
            // Which of them is meant nobody can say.
            Some([_, _, ..]) => return Err(twice()),
        };
        let (vendor, target, app) = key;
        let before = |pick: fn(&MaintenanceLine) -> &String| known.map(pick).cloned().unwrap_or_default();
        let text = |name, pick| Ok::<_, CsvProblem>(self.text(name)?.unwrap_or_else(|| before(pick)));
        let line = MaintenanceLine {
            number: known.map_or(0, |known| known.number),
            vendor,
            contract: text("contract", |line| &line.contract)?,
            target,
            app,
            path: text("path", |line| &line.path)?,
            owner: text("owner", |line| &line.owner)?,
            people: self.people(known)?.or_else(|| known.map(|known| known.people.clone())).unwrap_or_default(),
            note: text("note", |line| &line.note)?,
            changed_at: self.at,
        };
        Ok(match known {
            None => Some(MaintenanceWrite::Add(line)),
            Some(known) if MaintenanceLine { changed_at: known.changed_at, ..line.clone() } == *known => None,
            Some(_) => Some(MaintenanceWrite::Replace(line)),
        })
    }

    fn cell(&self, name: &str) -> Option<Cell<'a>> {
        self.table.cell(self.row, name)
    }

    fn problem(&self, name: &str, fault: CsvFault) -> CsvProblem {
        match self.cell(name) {
            Some(cell) => cell.problem(fault),
            None => CsvProblem { line: self.row.line, column: 1, fault },
        }
    }

    fn text(&self, name: &str) -> Result<Option<String>, CsvProblem> {
        let Some(cell) = self.cell(name) else { return Ok(None) };
        if cell.text.chars().count() > TEXT_CHARS_MAX || cell.text.chars().any(char::is_control) {
            return Err(cell.problem(CsvFault::Text { most: TEXT_CHARS_MAX }));
        }
        Ok(Some(cell.text.to_owned()))
    }

    fn needed(&self, name: &'static str) -> Result<String, CsvProblem> {
        let text = self.text(name)?.filter(|text| !text.is_empty());
        text.ok_or_else(|| self.problem(name, CsvFault::LineEmpty))
    }

    fn app(&self) -> Result<Option<AppId>, CsvProblem> {
        let Some(cell) = self.cell("app").filter(|cell| !cell.text.is_empty()) else { return Ok(None) };
        let known = self.apps.iter().find(|app| app.as_str() == cell.text).cloned();
        let fault = || CsvFault::App { app: shown(cell.text) };
        known.map(Some).ok_or_else(|| cell.problem(fault()))
    }

    fn people(&self, known: Option<&MaintenanceLine>) -> Result<Option<Vec<UserId>>, CsvProblem> {
        let Some(cell) = self.cell("people") else { return Ok(None) };
        if logins(cell.text).nth(PEOPLE_MAX).is_some() {
            return Err(cell.problem(CsvFault::Text { most: TEXT_CHARS_MAX }));
        }
        let on_line = known.map(|known| known.people.as_slice()).unwrap_or_default();
        let mut people: Vec<UserId> = Vec::new();
        for login in logins(cell.text) {
            match self.people.meant(login, on_line) {
                Some(person) if !people.contains(&person.id) => people.push(person.id.clone()),
                Some(_) => {}
                None => return Err(cell.problem(CsvFault::Nobody { login: shown(login) })),
            }
        }
        Ok(Some(people))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{START, Ward, minutes, nurse};

    async fn inventory(ward: &Ward) -> Inventory {
        ward.store.remember_person(nurse()).await.unwrap();
        Inventory { store: ward.store.clone(), apps: BTreeSet::from(["emr".parse().unwrap()]) }
    }

    async fn problems(inventory: &Inventory, text: &str) -> Vec<(usize, usize, &'static str)> {
        match inventory.read_csv(text, "cli:test", START).await.unwrap_err() {
            ImportProblem::Lines(lines) => {
                lines.into_iter().map(|problem| (problem.line, problem.column, problem.fault.code())).collect()
            }
            ImportProblem::People(problem) => panic!("{problem}"),
        }
    }

    #[tokio::test]
    async fn what_goes_out_comes_in_unchanged_and_changes_are_taken_in() {
        let ward = Ward::open().await;
        let inventory = inventory(&ward).await;
        let table = "ベンダー,対象,アプリ,経路,責任者,作業者,備考\n東都システム,電子カルテ,emr,sekimori,医療情報室,n.sato,\"=1+1, \"\"月次\"\"\"\n\
                     北星,CT,,VPN,放射線科,,\n";
        let plan = inventory.plan_csv(table, START).await.unwrap();
        assert_eq!((plan.added.len(), plan.changed.len(), plan.unchanged), (2, 0, 0));
        assert!(ward.store.maintenance_lines().await.unwrap().is_empty(), "a plan changes nothing");
        assert_eq!(inventory.read_csv(table, "cli:test", START).await.unwrap(), plan);
        let out = inventory.write_csv(|_| "2026-11-01".to_owned()).await.unwrap();
        assert!(out.starts_with("\u{feff}vendor,") && out.contains(",2026-11-01,"), "{out}");
        let later = START.after(minutes(5));
        let same = inventory.read_csv(&out, "cli:test", later).await.unwrap();
        assert_eq!(same, InventoryPlan { unchanged: 2, ..InventoryPlan::default() }, "{out}");

        let before = ward.store.maintenance_lines().await.unwrap();
        let change = "vendor,target,owner\n北星,CT,\n";
        let plan = inventory.read_csv(change, "cli:test", later).await.unwrap();
        assert_eq!((plan.changed, plan.unchanged), (vec![("北星".to_owned(), "CT".to_owned())], 0));
        let after = ward.store.maintenance_lines().await.unwrap();
        assert_eq!(after.len(), 2, "no line is removed");
        for line in &after {
            let old = before.iter().find(|old| old.number == line.number).unwrap();
            let is_meant = line.vendor == "北星";
            assert_eq!(is_meant, line.owner.is_empty());
            assert_eq!((&line.path, &line.note, &line.people), (&old.path, &old.note, &old.people), "has no column");
        }
    }

    #[tokio::test]
    async fn every_mistake_is_told_with_its_place_and_nothing_is_taken_in() {
        let ward = Ward::open().await;
        let inventory = inventory(&ward).await;
        let long = "x".repeat(TEXT_CHARS_MAX + 1);
        let table = format!(
            "vendor,target,app,people,note\n\
             good,one,emr,n.sato,\n\
             ,two,,,\n\
             b,,,,\n\
             c,three,gone,,\n\
             d,four,,n.sato nobody,\n\
             e,five,,,{long}\n\
             good,one,emr,,\n\
             good,one,,,\n\
             f,\"six\nlines\",,,\n"
        );
        let expected = [
            (3, 1, "line-empty"),
            (4, 2, "line-empty"),
            (5, 3, "app"),
            (6, 4, "nobody"),
            (7, 5, "text"),
            (8, 1, "line-twice"),
            (10, 2, "text"),
        ];
        assert_eq!(problems(&inventory, &table).await, expected);
        assert_eq!(problems(&inventory, "target\nx\n").await, [(1, 1, "column-missing")]);
        assert_eq!(problems(&inventory, "vendor,target,who\na,b,c\n").await, [(1, 3, "column-unknown")]);
        let many: String = (0..=MAINTENANCE_LINES_MAX).map(|number| format!("v,t{number}\n")).collect();
        let too_many = problems(&inventory, &format!("vendor,target\n{many}")).await;
        assert_eq!(too_many, [(MAINTENANCE_LINES_MAX + 2, 1, "table-too-many-rows")]);
        assert!(ward.store.maintenance_lines().await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_row_that_could_mean_either_of_two_lines_is_refused() {
        let ward = Ward::open().await;
        let inventory = inventory(&ward).await;
        inventory.read_csv("vendor,target\na,b\n", "cli:test", START).await.unwrap();
        let line = ward.store.maintenance_lines().await.unwrap().remove(0);
        ward.store.write_maintenance(vec![MaintenanceWrite::Add(line)], START, "cli:test".to_owned()).await.unwrap();
        assert_eq!(problems(&inventory, "vendor,target\na,b\n").await, [(2, 1, "line-twice")]);
    }

    #[tokio::test]
    async fn a_login_that_two_have_goes_out_as_an_id_and_comes_in_as_whoever_was_on_the_line() {
        let ward = Ward::open().await;
        let inventory = inventory(&ward).await;
        inventory.read_csv("vendor,target,people\na,b,n.sato\n", "cli:test", START).await.unwrap();
        let other = Person {
            id: UserId::parse("u-other-sato").unwrap(),
            provider: "other".parse().unwrap(),
            subject: "sub-other".to_owned(),
            ..nurse()
        };
        ward.store.remember_person(other.clone()).await.unwrap();
        let out = inventory.write_csv(|_| String::new()).await.unwrap();
        assert!(out.contains(nurse().id.as_str()) && !out.contains("n.sato"), "{out}");
        let same = InventoryPlan { unchanged: 1, ..InventoryPlan::default() };
        assert_eq!(inventory.read_csv(&out, "cli:test", START).await.unwrap(), same);
        let by_login = "vendor,target,people\na,b,n.sato\n";
        assert_eq!(inventory.read_csv(by_login, "cli:test", START).await.unwrap(), same, "who is on the line is meant");
        assert_eq!(problems(&inventory, "vendor,target,people\na,c,n.sato\n").await, [(2, 3, "nobody")]);
        let by_id = format!("vendor,target,people\na,c,{}\n", other.id);
        inventory.read_csv(&by_id, "cli:test", START).await.unwrap();
        let lines = ward.store.maintenance_lines().await.unwrap();
        assert_eq!(lines[1].people, [other.id]);
        assert_eq!(problems(&inventory, "vendor,target,people\na,d,\u{7}\n").await, [(2, 3, "nobody")]);
    }

    #[tokio::test]
    async fn two_tables_at_once_add_a_line_once() {
        let ward = Ward::open().await;
        let inventory = inventory(&ward).await;
        let table: String = (0..20).map(|number| format!("v,t{number}\n")).collect();
        let table = format!("vendor,target\n{table}");
        let take = || inventory.read_csv(&table, "cli:test", START);
        let (one, other, third) = tokio::join!(take(), take(), take());
        let added: usize = [one, other, third].into_iter().map(|taken| taken.unwrap().added.len()).sum();
        assert_eq!((added, ward.store.maintenance_lines().await.unwrap().len()), (20, 20));
    }
}
