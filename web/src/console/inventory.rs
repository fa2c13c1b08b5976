//! The inventory of remote maintenance (リモートメンテナンス台帳): every way by which a vendor comes to something, whether
//! it leads through the gateway or not; what of it nobody uses or answers for; and windows that it does not know of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use policy::{AppId, GrantKind, Timestamp, UserId};
use store::{
    GRANTS_READ_MAX, GrantFilter, GrantRecord, MaintenanceLine, MaintenanceWrite, PEOPLE_READ_MAX, PeopleFilter, Person,
};

use super::desk::{Desk, Refused, Shown};
use super::posted::{Posted, ago};
use super::view::{Bit, Choice, ConsoleContent, Field, Form, Go, Mark, Part, Submit, Table};
use super::{Duty, csv_file};
use crate::Fault;

/// After so long without a window a line counts as unused.
const UNUSED_AFTER: Duration = Duration::from_secs(90 * 86_400);
/// How far back is looked for windows that no line covers.
const UNLISTED_SINCE: Duration = Duration::from_secs(400 * 86_400);
/// How many windows are looked through.
const GRANTS_MAX: usize = 20_000;
/// The longest text of a field, in characters.
const TEXT_CHARS_MAX: usize = 200;

/// Everything that the pages need.
struct Ledger {
    lines: Vec<MaintenanceLine>,
    people: BTreeMap<UserId, Person>,
    /// The last moment of each person's last window for each app.
    used: BTreeMap<(UserId, AppId), Timestamp>,
}

impl Ledger {
    async fn read(desk: &Desk<'_>) -> Result<Self, Refused> {
        let lines = desk.store().maintenance_lines().await?;
        let used = used(&windows(desk).await?, desk.at());
        let mut people = BTreeMap::new();
        let named =
            lines.iter().flat_map(|line| line.people.clone()).chain(used.keys().map(|(person, _)| person.clone()));
        for id in named.collect::<BTreeSet<_>>() {
            if let Some(person) = desk.store().person(&id).await? {
                people.insert(id, person);
            }
        }
        Ok(Self { lines, people, used })
    }

    /// When one of a line's people last had a window for its app.
    fn last_used(&self, line: &MaintenanceLine) -> Option<Timestamp> {
        let app = line.app.as_ref()?;
        line.people.iter().filter_map(|person| self.used.get(&(person.clone(), app.clone()))).max().copied()
    }

    /// Windows that no line covers: who, for which app, and when last.
    fn unlisted(&self, since: Timestamp) -> impl Iterator<Item = (&UserId, &AppId, Timestamp)> {
        let is_listed = |person: &UserId, app: &AppId| {
            self.lines.iter().any(|line| line.app.as_ref() == Some(app) && line.people.contains(person))
        };
        let recent = self.used.iter().filter(move |(_, at)| **at >= since);
        recent.filter(move |((person, app), _)| !is_listed(person, app)).map(|((person, app), at)| (person, app, *at))
    }

    fn name(&self, person: &UserId) -> String {
        self.people.get(person).map_or_else(|| person.to_string(), |person| person.name.clone())
    }
}

/// Every window there was, newest first.
async fn windows(desk: &Desk<'_>) -> Result<Vec<GrantRecord>, Refused> {
    let filter = GrantFilter { kind: Some(GrantKind::Maintenance), ..GrantFilter::default() };
    let mut all: Vec<GrantRecord> = Vec::new();
    loop {
        let after = all.last().map(|record| record.id.clone());
        let read = desk.store().grants(filter.clone(), after, GRANTS_READ_MAX).await?;
        let is_last = read.len() < GRANTS_READ_MAX;
        all.extend(read);
        if is_last || all.len() >= GRANTS_MAX {
            return Ok(all);
        }
    }
}

/// The last moment of each person's last window for each app, of those that began.
fn used(windows: &[GrantRecord], at: Timestamp) -> BTreeMap<(UserId, AppId), Timestamp> {
    let mut used = BTreeMap::new();
    let began = |record: &&GrantRecord| record.is_given() && record.begin < at && record.begin < record.over_at();
    for record in windows.iter().filter(began) {
        let last = used.entry((record.person.clone(), record.app.clone())).or_insert(record.begin);
        *last = (*last).max(record.over_at().min(at));
    }
    used
}

/// The list.
pub(super) async fn inventory(desk: &Desk<'_>) -> Shown {
    let ledger = Ledger::read(desk).await?;
    let mut actions = Vec::new();
    if desk.is(Duty::Administer) {
        actions.push(Go::main(desk.say("inventory-new"), "/inventory/new"));
        actions.push(Go::new(desk.say("console-import"), "/import-inventory"));
    }
    actions.push(Go::new(desk.say("console-export"), "/inventory.csv"));
    actions.push(Go::new(desk.say("maintenance-console"), "/maintenance"));
    Ok(desk.show(ConsoleContent {
        title: desk.say("inventory"),
        lead: Some(desk.say("inventory-lead")),
        actions,
        parts: vec![Part::Table(table(desk, &ledger)), Part::Table(unlisted(desk, &ledger))],
        ..ConsoleContent::default()
    }))
}

fn table(desk: &Desk<'_>, ledger: &Ledger) -> Table {
    let row = |line: &MaintenanceLine| {
        let target = if desk.is(Duty::Administer) {
            Bit::link(&line.target, format!("/inventory/{}", line.number))
        } else {
            Bit::text(&line.target)
        };
        let marks = marks(desk, ledger, line).into_iter().map(Bit::Mark);
        let app = line.app.as_ref().map(|app| Bit::soft(desk.site.app_name(app, desk.language())));
        let people = line.people.iter().map(|person| Bit::text(ledger.name(person)));
        let last = ledger.last_used(line).map_or_else(|| desk.say("console-never-yet"), |at| desk.day(at));
        vec![
            [Some(target), app].into_iter().flatten().chain(marks).collect(),
            vec![Bit::text(&line.vendor), Bit::soft(&line.contract)],
            vec![Bit::text(&line.path)],
            vec![Bit::text(&line.owner)],
            people.collect(),
            vec![Bit::Moment(last)],
            vec![Bit::text(&line.note)],
        ]
    };
    let heads = ["target", "vendor", "path", "owner", "people", "last-used", "note"];
    Table {
        id: "inventory",
        heading: desk.say("inventory-table"),
        heads: heads.map(|head| desk.say(&format!("inventory-{head}"))).into(),
        rows: ledger.lines.iter().map(row).collect(),
        empty: desk.say("inventory-none"),
        note: Some(desk.say("inventory-print-note")),
        pages: Vec::new(),
    }
}

/// What of a line somebody should notice.
fn marks(desk: &Desk<'_>, ledger: &Ledger, line: &MaintenanceLine) -> Vec<Mark> {
    let is_active = |id: &UserId| ledger.people.get(id).is_some_and(|person| person.disabled.is_none());
    let is_known = |app: &AppId| desk.config().apps.iter().any(|known| known.id == *app);
    let last = ledger.last_used(line).unwrap_or(line.changed_at).max(line.changed_at);
    let is_unused = line.app.is_some() && last < ago(desk.at(), UNUSED_AFTER);
    let mark = |word: &str| desk.say(&format!("inventory-mark-{word}"));
    let marks = [
        is_unused.then(|| Mark::warn(mark("unused"))),
        line.owner.trim().is_empty().then(|| Mark::bad(mark("orphan-owner"))),
        (!line.people.iter().any(is_active)).then(|| Mark::bad(mark("orphan-people"))),
        line.app.as_ref().is_some_and(|app| !is_known(app)).then(|| Mark::bad(mark("orphan-app"))),
        line.app.is_none().then(|| Mark::warn(mark("outside"))),
    ];
    marks.into_iter().flatten().collect()
}

fn unlisted(desk: &Desk<'_>, ledger: &Ledger) -> Table {
    let row = |(person, app, at): (&UserId, &AppId, Timestamp)| {
        let mark = Bit::Mark(Mark::warn(desk.say("inventory-mark-unlisted")));
        vec![
            vec![Bit::text(ledger.name(person)), mark],
            vec![Bit::Text(desk.site.app_name(app, desk.language()))],
            vec![Bit::Moment(desk.day(at))],
        ]
    };
    let rows: Vec<_> = ledger.unlisted(ago(desk.at(), UNLISTED_SINCE)).map(row).collect();
    Table {
        id: "unlisted",
        heading: desk.say("inventory-unlisted"),
        heads: ["maintenance-person", "maintenance-app", "inventory-last-used"].map(|head| desk.say(head)).into(),
        note: (!rows.is_empty()).then(|| desk.say("inventory-unlisted-note")),
        rows,
        empty: desk.say("inventory-unlisted-none"),
        pages: Vec::new(),
    }
}

/// The inventory as CSV.
pub(super) async fn export(desk: &Desk<'_>) -> Shown {
    let ledger = Ledger::read(desk).await?;
    let last_used = |line: &MaintenanceLine| ledger.last_used(line).map(|at| desk.day(at)).unwrap_or_default();
    let text = super::import::inventory(desk).write_csv(last_used).await?;
    desk.note_reading("inventory-export", None).await?;
    Ok(csv_file(desk, "inventory", text))
}

/// What somebody typed into the form of a line.
#[derive(Default)]
struct Typed {
    vendor: String,
    contract: String,
    target: String,
    app: String,
    path: String,
    owner: String,
    people: String,
    note: String,
}

impl Typed {
    fn of(line: &MaintenanceLine, people: &BTreeMap<UserId, Person>) -> Self {
        let login = |id: &UserId| people.get(id).map_or_else(|| id.to_string(), |person| person.login.clone());
        Self {
            vendor: line.vendor.clone(),
            contract: line.contract.clone(),
            target: line.target.clone(),
            app: line.app.as_ref().map(ToString::to_string).unwrap_or_default(),
            path: line.path.clone(),
            owner: line.owner.clone(),
            people: line.people.iter().map(login).collect::<Vec<_>>().join("\n"),
            note: line.note.clone(),
        }
    }

    fn read(form: &Posted) -> Result<Self, Refused> {
        let line = |name| form.line(name, TEXT_CHARS_MAX);
        Ok(Self {
            vendor: line("vendor")?,
            contract: line("contract")?,
            target: line("target")?,
            app: line("app")?,
            path: line("path")?,
            owner: line("owner")?,
            people: form.raw("people").trim().to_owned(),
            note: line("note")?,
        })
    }

    /// The line that was typed, or in words why it is none.
    async fn line(&self, desk: &Desk<'_>, number: u64) -> Result<Result<MaintenanceLine, String>, Refused> {
        if self.vendor.is_empty() || self.target.is_empty() {
            return Ok(Err(desk.say("inventory-problem-empty")));
        }
        let app = match self.app.as_str() {
            "" => None,
            id => match desk.config().apps.iter().find(|app| app.id.as_str() == id) {
                Some(app) => Some(app.id.clone()),
                None => return Ok(Err(desk.say("inventory-problem-app"))),
            },
        };
        let (mut people, mut unknown) = (Vec::new(), Vec::new());
        for login in self.people.split([',', '\n', ' ', '、']).map(str::trim).filter(|login| !login.is_empty()) {
            match person_of(desk, login).await? {
                Some(person) if !people.contains(&person) => people.push(person),
                Some(_) => {}
                None => unknown.push(login),
            }
        }
        if !unknown.is_empty() {
            return Ok(Err(desk.say_with("inventory-problem-people", "name", &unknown.join(", "))));
        }
        let Self { vendor, contract, target, path, owner, note, .. } = self;
        Ok(Ok(MaintenanceLine {
            number,
            vendor: vendor.clone(),
            contract: contract.clone(),
            target: target.clone(),
            app,
            path: path.clone(),
            owner: owner.clone(),
            people,
            note: note.clone(),
            changed_at: desk.at(),
        }))
    }
}

/// The one person with this login.
async fn person_of(desk: &Desk<'_>, login: &str) -> Result<Option<UserId>, Refused> {
    let filter = PeopleFilter { text: Some(login.to_owned()), ..PeopleFilter::default() };
    let found = desk.store().people(filter, None, PEOPLE_READ_MAX).await?;
    let mut fits = found.into_iter().filter(|person| person.login == login);
    Ok(match (fits.next(), fits.next()) {
        (Some(person), None) => Some(person.id),
        (Some(_) | None, _) => None,
    })
}

/// The form for a new line.
pub(super) fn ask_new(desk: &Desk<'_>) -> Shown {
    Ok(desk.show(page(desk, None, &Typed::default())))
}

/// Adds a line.
pub(super) async fn add(desk: &Desk<'_>) -> Shown {
    let typed = Typed::read(&Posted::read(desk.request)?)?;
    match typed.line(desk, 0).await? {
        Err(problem) => Ok(desk.show_problem(problem, page(desk, None, &typed))),
        Ok(line) => {
            desk.store().write_maintenance(vec![MaintenanceWrite::Add(line)], desk.at(), desk.actor()).await?;
            Ok(desk.go("/inventory", "inventory-kept"))
        }
    }
}

/// The line that the path names.
async fn named(desk: &Desk<'_>) -> Result<MaintenanceLine, Refused> {
    let number: u64 = desk.named(1).parse().map_err(|_| Fault::NotFound)?;
    let lines = desk.store().maintenance_lines().await?;
    Ok(lines.into_iter().find(|line| line.number == number).ok_or(Fault::NotFound)?)
}

/// One line, to be changed or removed.
pub(super) async fn ask_change(desk: &Desk<'_>) -> Shown {
    let line = named(desk).await?;
    let mut people = BTreeMap::new();
    for id in &line.people {
        if let Some(person) = desk.store().person(id).await? {
            people.insert(id.clone(), person);
        }
    }
    Ok(desk.show(page(desk, Some(line.number), &Typed::of(&line, &people))))
}

/// Changes it.
pub(super) async fn change(desk: &Desk<'_>) -> Shown {
    let number = named(desk).await?.number;
    let typed = Typed::read(&Posted::read(desk.request)?)?;
    match typed.line(desk, number).await? {
        Err(problem) => Ok(desk.show_problem(problem, page(desk, Some(number), &typed))),
        Ok(line) => {
            desk.store().write_maintenance(vec![MaintenanceWrite::Replace(line)], desk.at(), desk.actor()).await?;
            Ok(desk.go("/inventory", "inventory-kept"))
        }
    }
}

/// Removes it.
pub(super) async fn remove(desk: &Desk<'_>) -> Shown {
    let number = named(desk).await?.number;
    desk.store().write_maintenance(vec![MaintenanceWrite::Remove(number)], desk.at(), desk.actor()).await?;
    Ok(desk.go("/inventory", "inventory-removed"))
}

fn page(desk: &Desk<'_>, number: Option<u64>, typed: &Typed) -> ConsoleContent {
    let say = |key: &str| desk.say(&format!("inventory-{key}"));
    let text = |name: &'static str, value: &str| Field::text("line", name, say(name), value, TEXT_CHARS_MAX);
    let none = Choice::new("", say("app-none"), typed.app.is_empty());
    let apps = desk.config().apps.iter().map(|app| {
        let name = desk.site.app_name(&app.id, desk.language());
        Choice::new(app.id.as_str(), name, app.id.as_str() == typed.app)
    });
    let place = number.map_or_else(|| "/inventory/new".to_owned(), |number| format!("/inventory/{number}/change"));
    let form = Form {
        id: "line",
        heading: say("form"),
        lead: None,
        action: place,
        with_file: false,
        fields: vec![
            text("vendor", &typed.vendor).required(),
            text("contract", &typed.contract),
            text("target", &typed.target).required(),
            Field::choice("line", "app", say("app"), std::iter::once(none).chain(apps).collect()),
            text("path", &typed.path).hinted(say("path-hint")),
            text("owner", &typed.owner),
            Field::area("line", "people", say("people"), typed.people.clone(), 3).hinted(say("people-hint")),
            text("note", &typed.note),
        ],
        buttons: Submit::main(desk.say("console-save")),
        back: Some(Go::new(desk.say("console-cancel"), "/inventory")),
        folded: false,
    };
    let remove = number.map(|number| Form {
        id: "remove",
        heading: say("remove"),
        lead: Some(say("remove-what")),
        action: format!("/inventory/{number}/remove"),
        with_file: false,
        fields: Vec::new(),
        buttons: Submit::stop(say("remove-button")),
        back: None,
        folded: false,
    });
    ConsoleContent {
        title: number
            .map_or_else(|| say("new"), |number| desk.say_with("inventory-line", "number", &number.to_string())),
        up: Some(Go::new(desk.say("inventory"), "/inventory")),
        parts: [Some(form), remove].into_iter().flatten().map(Part::Form).collect(),
        ..ConsoleContent::default()
    }
}
