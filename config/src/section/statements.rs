//! Files of statements: what must never happen, in the columns of a rule or in Cedar.

use std::time::Duration;

use policy::{
    Assurance, CedarFile, Devices, Guard, Methods, Policy, PolicySource, PostureDemand, Rule, RuleId, SignInMethod,
    StatementId,
};
use toml::de::DeTable;

use super::app::pattern;
use super::names::{self, NAME_REMEDY};
use super::rule::{Around, actions, apps, devices, subjects, zone};
use super::{class, hours, passkeys};
use crate::walk::{Report, Seen, Table};
use crate::{Claim, Problem, Statement};

/// The name a statement has in Cedar while it is read.
const TRIED: &str = "statement";

/// Reads one file of statements about the policy, and every problem of it. `ids` holds those of the files before.
pub(crate) fn read(
    (file_name, text): (&str, &str),
    around: &Around<'_>,
    source: &PolicySource,
    ids: &mut Vec<StatementId>,
) -> (Vec<Statement>, Vec<Problem>) {
    let mut report = Report::new(file_name, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    errors.iter().for_each(|error| report.broken(error));
    let root = Table::new(&report, String::new(), 0, document.get_ref());
    let mut seen = Seen::default();
    let mut statements = Vec::new();
    for table in root.tables("statement") {
        let Some(statement) = read_one(&table, around, source, file_name, &mut seen) else { continue };
        if ids.contains(&statement.id) {
            table.wrong::<()>("has the id of a statement in another file", "give each statement its own id");
        }
        statements.push(statement);
    }
    ids.extend(statements.iter().map(|statement| statement.id.clone()));
    root.finish();
    (statements, report.finish())
}

fn read_one(
    table: &Table<'_>,
    around: &Around<'_>,
    source: &PolicySource,
    file: &str,
    seen: &mut Seen,
) -> Option<Statement> {
    let id = table.needed("id", "`id = \"writes-need-a-device\"`", |value| {
        let id = value.parse(StatementId::parse, NAME_REMEDY)?;
        seen.claim(&value, id.as_str(), "give each statement its own id")?;
        Some(id)
    });
    let says = table.needed("says", "`says = { ja = \"...\", en = \"...\" }`", |value| names::read(&value));
    let never = table.optional("never", |value| {
        let columns = value.table()?;
        guard(&columns, around).map(|guard| Claim::Never(guard.in_cedar()))
    });
    let in_cedar = table.optional("never_cedar", |value| {
        let Some(condition) = value.as_text().map(str::trim).filter(|text| !text.is_empty()) else {
            return value.wrong("is not a condition", "write one such as `'context.class == \"images\"'`");
        };
        Some(Claim::Never(condition.to_owned()))
    });
    let no_wider =
        table.optional("no_wider_than", |value| value.word(&[("last", ())]).map(|()| Claim::NoWiderThanLast));
    table.finish();
    let mut claims = [never?, in_cedar?, no_wider?].into_iter().flatten();
    let remedy = "write one of `never`, `never_cedar` and `no_wider_than`";
    let claim = match (claims.next(), claims.next()) {
        (Some(claim), None) => claim,
        (None, _) => return table.wrong("says nothing that could be proved", remedy),
        (Some(_), Some(_)) => return table.wrong("says more than one thing", remedy),
    };
    if let Claim::Never(condition) = &claim {
        about_something(table, condition, source)?;
    }
    Some(Statement { id: id?, says: says?, claim, file: file.to_owned(), line: table.place().0 })
}

/// Adds a problem where Cedar does not take a condition, or where nothing can meet it.
fn about_something(table: &Table<'_>, condition: &str, source: &PolicySource) -> Option<()> {
    let text = format!("@id(\"{TRIED}\") forbid (principal, action, resource) when {{ {condition} }};");
    let cedar = vec![CedarFile { name: TRIED.to_owned(), text }];
    let alone = PolicySource { rules: Vec::new(), cedar, ..source.clone() };
    let Err(problems) = Policy::load(&alone) else { return Some(()) };
    for problem in problems {
        table.wrong::<()>(format!("cannot be tried: {}", problem.reason), problem.remedy);
    }
    None
}

/// The columns of a statement; each may stand as it does in a rule, and with `_not` at its end.
struct Keys {
    roles: &'static str,
    apps: &'static str,
    actions: &'static str,
    classes: &'static str,
    paths: &'static str,
    devices: &'static str,
    zones: &'static str,
    days: &'static str,
    hours: &'static str,
    assurance: &'static str,
    authenticated_within: &'static str,
    methods: &'static str,
    keys: &'static str,
    posture: &'static str,
}

const FITS: Keys = Keys {
    roles: "roles",
    apps: "apps",
    actions: "actions",
    classes: "classes",
    paths: "paths",
    devices: "devices",
    zones: "zones",
    days: "days",
    hours: "hours",
    assurance: "assurance",
    authenticated_within: "authenticated_within",
    methods: "methods",
    keys: "keys",
    posture: "posture",
};

const FITS_NOT: Keys = Keys {
    roles: "roles_not",
    apps: "apps_not",
    actions: "actions_not",
    classes: "classes_not",
    paths: "paths_not",
    devices: "devices_not",
    zones: "zones_not",
    days: "days_not",
    hours: "hours_not",
    assurance: "assurance_not",
    authenticated_within: "authenticated_within_not",
    methods: "methods_not",
    keys: "keys_not",
    posture: "posture_not",
};

fn guard(table: &Table<'_>, around: &Around<'_>) -> Option<Guard> {
    let nothing = Guard::new(RuleId::parse(TRIED).ok()?);
    let is = columns(table, &FITS, nothing.is, around);
    let is_not = columns(table, &FITS_NOT, nothing.is_not, around);
    let grant = table.optional("grant", |value| value.yes_or_no());
    let glass = table.optional("break_glass", |value| value.yes_or_no());
    let in_outage = table.optional("in_outage", |value| value.yes_or_no());
    table.finish();
    let (mut is, mut is_not) = (is?, is_not?);
    match grant? {
        Some(true) => is.grant = true,
        Some(false) => is_not.grant = true,
        None => {}
    }
    match glass? {
        Some(true) => is.break_glass = true,
        Some(false) => is_not.break_glass = true,
        None => {}
    }
    Some(Guard { is, is_not, in_outage: in_outage? })
}

fn columns(table: &Table<'_>, key: &Keys, any: Rule, around: &Around<'_>) -> Option<Rule> {
    let declared = around.declared;
    let subjects = table.or(key.roles, any.subjects, |value| subjects(&value, declared));
    let apps = table.or(key.apps, any.apps, |value| apps(&value, declared));
    let actions = table.or(key.actions, any.actions, |value| actions(&value));
    let classes = table.or(key.classes, any.classes, |value| value.some(|item| class::name(&item, declared)));
    let paths = table.or(key.paths, any.paths, |value| value.some(|item| pattern(&item)));
    let devices = table.or(key.devices, Devices::Any, |value| devices(&value));
    let zones = table.or(key.zones, any.zones, |value| value.some(|item| zone(&item, declared)));
    let hours = hours::read_as(table, [key.days, key.hours]);
    let assurance =
        table.optional(key.assurance, |value| value.word(&Assurance::ALL.map(|level| (level.as_str(), level))));
    let minute = Duration::from_secs(60);
    let within = table.optional(key.authenticated_within, |value| value.time(minute..=60 * 24 * 30 * minute));
    let words = SignInMethod::ALL.map(|method| (method.as_str(), method));
    let methods = table.or(key.methods, any.methods, |value| value.some(|item| item.word(&words)).map(Methods::of));
    let keys = table.or(key.keys, any.keys, |value| value.some(|item| passkeys::model(&item, around.passkeys)));
    let posture = table.or(key.posture, any.posture, |value| {
        value.some(|item| item.parse(PostureDemand::parse, "write it like `disk_encrypted` or `edr=running`"))
    });
    Some(Rule {
        subjects: subjects?,
        apps: apps?,
        actions: actions?,
        classes: classes?,
        paths: paths?,
        devices: devices?,
        zones: zones?,
        hours: hours?,
        assurance: assurance?,
        authenticated_within: within?,
        methods: methods?,
        keys: keys?,
        posture: posture?,
        id: any.id,
        effect: any.effect,
        in_outage: any.in_outage,
        grant: any.grant,
        break_glass: any.break_glass,
        caps: any.caps,
    })
}
