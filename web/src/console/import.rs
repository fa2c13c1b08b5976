//! People, devices and the inventory of remote maintenance as CSV: first what it would do and every problem in it, then, when somebody has looked at that,
//! all of it or nothing.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use identity::{CsvProblem, DevicesPlan, ImportProblem, Imported, ImportedPerson, Inventory, InventoryPlan};

use super::desk::{Desk, LOCAL, Refused, Shown};
use super::field::pages;
use super::posted::Posted;
use super::view::{Bit, ConsoleContent, Field, Form, Go, GoLook, MarkTone, Part, Submit, Table, Words};
use crate::Language;

/// The most rows of a preview.
const PREVIEW_MAX: usize = 200;

/// Whose table.
#[derive(Clone, Copy)]
pub(super) enum Of {
    People,
    Devices,
    Inventory,
}

impl Of {
    fn place(self) -> &'static str {
        match self {
            Self::People => "/import-people",
            Self::Devices => "/import-devices",
            Self::Inventory => "/import-inventory",
        }
    }

    fn list(self) -> (&'static str, &'static str) {
        match self {
            Self::People => ("console-people", "/people"),
            Self::Devices => ("console-devices", "/devices"),
            Self::Inventory => ("inventory", "/inventory"),
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Devices => "devices",
            Self::Inventory => "inventory",
        }
    }
}

/// The form.
pub(super) fn ask(desk: &Desk<'_>, of: Of) -> Shown {
    Ok(desk.show(page(desk, of, "", Vec::new(), false)))
}

/// Shows what the table would do, or does it.
pub(super) async fn import(desk: &Desk<'_>, of: Of) -> Shown {
    let form = Posted::read(desk.request)?;
    if form.unreadable.iter().any(|name| name == "file") {
        return Ok(desk.show_problem(desk.say("console-import-not-utf8"), page(desk, of, "", Vec::new(), false)));
    }
    let file = form.raw("file");
    let text = if file.trim().is_empty() { form.raw("text") } else { file };
    if text.trim().is_empty() {
        return Ok(desk.show_problem(desk.say("console-import-empty"), page(desk, of, "", Vec::new(), false)));
    }
    // What is done is what was looked at: another file, or a text that was changed since, is shown first.
    let is_sure = form.raw("step") == "import" && form.raw("seen") == digest(text);
    let plan = match of {
        Of::People => people_plan(desk, text).await,
        Of::Devices => devices_plan(desk, text).await,
        Of::Inventory => inventory_plan(desk, text).await,
    };
    let plan = match plan {
        Ok(plan) => plan,
        Err(problem) => return refused(desk, of, text, problem),
    };
    if plan.touches_oneself {
        let page = page(desk, of, text, Vec::new(), false);
        return Ok(desk.show_problem(desk.say("console-problem-import-oneself"), page));
    }
    if is_sure && plan.changes > 0 {
        return take_in(desk, of, text).await;
    }
    let may_import = plan.changes > 0;
    Ok(desk.show(page(desk, of, text, plan.parts, may_import)))
}

/// Tells one table from another, however a browser ends its lines. It protects nothing.
fn digest(text: &str) -> String {
    let mut hasher = DefaultHasher::new();
    for line in text.trim().lines() {
        line.trim_end().hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

/// What a table would do.
struct Plan {
    parts: Vec<Part>,
    changes: usize,
    /// Whether it would change or disable whoever takes it in.
    touches_oneself: bool,
}

async fn people_plan(desk: &Desk<'_>, text: &str) -> Result<Plan, ImportProblem> {
    let Imported { added, changed, disabled, unchanged } = desk.site.parts.people.plan_csv(text, desk.at()).await?;
    let is_own = |person: &ImportedPerson| person.login.eq_ignore_ascii_case(&desk.who.login);
    let is_local = desk.who.provider.as_str() == LOCAL;
    let touches_oneself = is_local && changed.iter().chain(&disabled).any(is_own);
    let changes = added.len() + changed.len() + disabled.len();
    let row = |key: &'static str| {
        move |person: &ImportedPerson| {
            vec![vec![Bit::text(&person.login)], vec![Bit::text(&person.name)], vec![Bit::Text(desk.say(key))]]
        }
    };
    let rows = added.iter().map(row("console-import-added"));
    let rows = rows.chain(changed.iter().map(row("console-import-changed")));
    let rows = rows.chain(disabled.iter().map(row("console-import-disabled"))).take(PREVIEW_MAX).collect();
    let heads = vec!["console-login", "console-name-of-person", "console-what"];
    Ok(Plan { parts: preview(desk, heads, rows, changes, unchanged), changes, touches_oneself })
}

async fn devices_plan(desk: &Desk<'_>, text: &str) -> Result<Plan, ImportProblem> {
    let plan = desk.site.parts.devices.plan_csv(text, desk.config().offset, desk.at()).await?;
    let DevicesPlan { added, changed, unchanged } = plan;
    let changes = added.len() + changed.len();
    let row = |key: &'static str| {
        move |id: &policy::DeviceId| vec![vec![Bit::text(id.as_str())], vec![Bit::Text(desk.say(key))]]
    };
    let rows = added.iter().map(row("console-import-added"));
    let rows = rows.chain(changed.iter().map(row("console-import-changed"))).take(PREVIEW_MAX).collect();
    let heads = vec!["console-device-id", "console-what"];
    Ok(Plan { parts: preview(desk, heads, rows, changes, unchanged), changes, touches_oneself: false })
}

async fn inventory_plan(desk: &Desk<'_>, text: &str) -> Result<Plan, ImportProblem> {
    let InventoryPlan { added, changed, unchanged } = inventory(desk).plan_csv(text, desk.at()).await?;
    let changes = added.len() + changed.len();
    let row = |key: &'static str| {
        move |(vendor, target): &(String, String)| {
            vec![vec![Bit::text(vendor)], vec![Bit::text(target)], vec![Bit::Text(desk.say(key))]]
        }
    };
    let rows = added.iter().map(row("console-import-added"));
    let rows = rows.chain(changed.iter().map(row("console-import-changed"))).take(PREVIEW_MAX).collect();
    let heads = vec!["inventory-vendor", "inventory-target", "console-what"];
    Ok(Plan { parts: preview(desk, heads, rows, changes, unchanged), changes, touches_oneself: false })
}

/// The inventory, as tables read and write it.
pub(super) fn inventory(desk: &Desk<'_>) -> Inventory {
    Inventory::new(desk.site.parts.store.clone(), desk.config())
}

fn preview(desk: &Desk<'_>, heads: Vec<&str>, rows: Vec<Vec<Vec<Bit>>>, changes: usize, unchanged: usize) -> Vec<Part> {
    let mut lines = vec![desk.say_with("console-import-changes", "count", &changes.to_string())];
    lines.push(desk.say_with("console-import-unchanged", "count", &unchanged.to_string()));
    let words = Words {
        id: "would",
        heading: desk.say("console-import-would"),
        tone: if changes == 0 { MarkTone::Plain } else { MarkTone::Warn },
        lines,
        links: Vec::new(),
    };
    let table = Table {
        id: "preview",
        heading: desk.say("console-import-preview"),
        heads: heads.into_iter().map(|head| desk.say(head)).collect(),
        rows,
        empty: desk.say("console-import-nothing"),
        note: (changes > PREVIEW_MAX).then(|| desk.say("console-list-cut")),
        pages: pages(None, None),
    };
    vec![Part::Words(words), Part::Table(table)]
}

async fn take_in(desk: &Desk<'_>, of: Of, text: &str) -> Shown {
    let (parts, actor) = (&desk.site.parts, desk.actor());
    let taken = match of {
        Of::People => parts.people.read_csv(text, &actor, desk.at()).await.map(|_| ()),
        Of::Devices => parts.devices.read_csv(text, desk.config().offset, &actor, desk.at()).await.map(|_| ()),
        Of::Inventory => inventory(desk).read_csv(text, &actor, desk.at()).await.map(|_| ()),
    };
    match taken {
        Ok(()) => Ok(desk.go(of.list().1, "imported")),
        Err(problem) => refused(desk, of, text, problem),
    }
}

/// Says every problem with its place; nothing was changed.
fn refused(desk: &Desk<'_>, of: Of, text: &str, problem: ImportProblem) -> Shown {
    let page = page(desk, of, text, Vec::new(), false);
    match problem {
        ImportProblem::Lines(problems) => {
            let said = desk.say_with("console-import-problems", "count", &problems.len().to_string());
            let lines = problems.iter().map(|problem| place_and_reason(desk, problem)).collect();
            Ok(desk.show_problems(said, lines, page))
        }
        ImportProblem::People(problem) => Ok(desk.show_problem(desk.people_problem(problem)?, page)),
    }
}

fn place_and_reason(desk: &Desk<'_>, problem: &CsvProblem) -> String {
    let place = desk.say_with("console-import-line", "line", &problem.line.to_string());
    let column = desk.say_with("console-import-column", "column", &problem.column.to_string());
    let said = match desk.language() {
        Language::Japanese => problem.fault.ja(),
        Language::English => problem.fault.en(),
    };
    format!("{place} {column}: {said} ({})", problem.fault.code())
}

fn page(desk: &Desk<'_>, of: Of, text: &str, preview: Vec<Part>, may_import: bool) -> ConsoleContent {
    let word = of.word();
    let check = Submit {
        label: desk.say("console-import-check"),
        look: if may_import { GoLook::Plain } else { GoLook::Main },
        sends: Some(("step", "check")),
    };
    let sure = Submit { label: desk.say("console-import-button"), look: GoLook::Main, sends: Some(("step", "import")) };
    let form = Form {
        id: "import",
        heading: desk.say("console-import-form"),
        lead: Some(desk.say(&format!("console-import-{word}-lead"))),
        action: of.place().to_owned(),
        with_file: true,
        fields: vec![
            Field::hidden_value("seen", if may_import { digest(text) } else { String::new() }),
            Field::file("import", "file", desk.say("console-import-file"), ".csv,text/csv")
                .hinted(desk.say("console-import-file-hint")),
            Field::area("import", "text", desk.say("console-import-text"), text, 12)
                .hinted(desk.say(&format!("console-import-{word}-columns"))),
        ],
        buttons: may_import.then_some(sure).into_iter().chain([check]).collect(),
        back: Some(Go::new(desk.say("console-cancel"), of.list().1)),
        folded: false,
    };
    let (label, list) = of.list();
    ConsoleContent {
        title: desk.say(&format!("console-import-{word}")),
        up: Some(Go::new(desk.say(label), list)),
        parts: preview.into_iter().chain([Part::Form(form)]).collect(),
        ..ConsoleContent::default()
    }
}

/// What the console says where people cannot be changed as asked.
impl Desk<'_> {
    /// A problem in words for who asked; what is the store's fault stays that.
    pub(super) fn people_problem(&self, problem: identity::PeopleProblem) -> Result<String, Refused> {
        use identity::PeopleProblem as P;
        let key = match problem {
            P::Unknown => "unknown",
            P::UnknownDevice => "unknown-device",
            P::NoDirectory => "no-directory",
            P::NoProvider => "no-provider",
            P::NotLocal => "not-local",
            P::Login => "login",
            P::LoginTaken(login) => return Ok(self.say_with("console-problem-login-taken", "name", &login)),
            P::Name => "name",
            P::Unit => "unit",
            P::Role(role) => return Ok(self.say_with("console-problem-role", "name", &role)),
            P::ReasonMissing => "reason",
            P::ProofingMissing => "proofing",
            P::Span { .. } => "span",
            P::Oneself => "oneself",
            P::HasAdministrator => "has-administrator",
            P::NoAdministratorRole => "no-administrator-role",
            P::TooManyInvitations => "too-many-invitations",
            P::Refused => "unknown",
            P::Store(problem) => return Err(problem.into()),
        };
        Ok(self.say(&format!("console-problem-{key}")))
    }
}
