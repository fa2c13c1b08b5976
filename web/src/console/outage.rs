//! Outages: how every provider stands, the switch, and the report of what was done while one was gone.

use std::collections::BTreeSet;

use identity::{
    OutageAct, OutageBy, OutageLine, OutageMode, OutagePeriod, OutagePerson, OutageReport, OutageStanding,
    OutageStatus, OutageSwitch,
};
use policy::{AppId, ProviderId, RoleId, SessionId, Timestamp, UserId};

use super::Duty;
use super::desk::{Desk, Refused, Shown};
use super::posted::Posted;
use super::record::{Entry, Reach, is_access};
use super::view::{Bit, Choice, ConsoleContent, Facts, Field, Form, Go, Mark, Part, Submit, Table};
use crate::Fault;

/// The most lines of the log that a report is made from.
const LINES_MAX: usize = 100_000;

/// How every provider stands.
pub(super) fn outage(desk: &Desk<'_>) -> Shown {
    let statuses = desk.site.parts.outage.status();
    let mut heads = vec!["console-provider", "console-state", "console-since", "console-switch", "console-problem"];
    if desk.is(Duty::Administer) {
        heads.push("console-action");
    }
    let table = Table {
        id: "providers",
        heading: desk.say("console-providers"),
        heads: heads.into_iter().map(|head| desk.say(head)).collect(),
        rows: statuses.iter().map(|status| row(desk, status)).collect(),
        empty: desk.say("console-providers-none"),
        note: None,
        pages: Vec::new(),
    };
    Ok(desk.show(ConsoleContent {
        title: desk.say("console-outage"),
        lead: Some(desk.say("console-outage-lead")),
        parts: vec![Part::Table(table), Part::Table(periods(desk, &statuses))],
        ..ConsoleContent::default()
    }))
}

fn row(desk: &Desk<'_>, status: &OutageStatus) -> Vec<Vec<Bit>> {
    let (mark, since) = mode(desk, status.mode);
    let mut row = vec![
        vec![Bit::Text(desk.provider_name(&status.provider)), Bit::soft(status.provider.as_str())],
        vec![Bit::Mark(mark)],
        vec![Bit::Text(since.map_or_else(String::new, |since| desk.minute(since)))],
        vec![Bit::Text(desk.say(switch_key(status.switch)))],
        vec![Bit::text(status.reason.as_deref().unwrap_or_default())],
    ];
    if desk.is(Duty::Administer) {
        row.push(vec![Bit::link(desk.say("console-switch-change"), format!("/outage/{}/switch", status.provider))]);
    }
    row
}

fn mode(desk: &Desk<'_>, mode: OutageMode) -> (Mark, Option<Timestamp>) {
    match mode {
        OutageMode::Normal => (Mark::good(desk.say("console-outage-normal")), None),
        OutageMode::Outage { since, by } => (Mark::bad(desk.say(by_key(by))), Some(since)),
    }
}

fn by_key(by: OutageBy) -> &'static str {
    match by {
        OutageBy::Automatic => "console-outage-automatic",
        OutageBy::Switch => "console-outage-switched",
    }
}

fn switch_key(switch: OutageSwitch) -> &'static str {
    match switch {
        OutageSwitch::On => "console-switch-on",
        OutageSwitch::Off => "console-switch-off",
        OutageSwitch::Automatic => "console-switch-auto",
    }
}

/// The outages that are remembered, newest first, each with its report.
fn periods(desk: &Desk<'_>, statuses: &[OutageStatus]) -> Table {
    let all = statuses.iter().flat_map(|status| status.periods.iter().map(move |period| (&status.provider, period)));
    let mut all: Vec<(&ProviderId, &OutagePeriod)> = all.collect();
    all.sort_by_key(|(_, period)| std::cmp::Reverse(period.since));
    let row = |(provider, period): &(&ProviderId, &OutagePeriod)| {
        let place = format!("/outage/report?provider={provider}&since={}", period.since.unix_micros());
        vec![
            vec![Bit::Moment(desk.minute(period.since))],
            vec![Bit::Text(period.until.map_or_else(|| desk.say("console-outage-lasts"), |at| desk.minute(at)))],
            vec![Bit::Text(desk.provider_name(provider))],
            vec![Bit::Text(desk.say(by_key(period.by)))],
            vec![Bit::link(desk.say("console-report"), place)],
        ]
    };
    let heads = ["console-from", "console-to", "console-provider", "console-began-by", "console-report"];
    Table {
        id: "outages",
        heading: desk.say("console-outages"),
        heads: heads.map(|head| desk.say(head)).into(),
        rows: all.iter().map(row).collect(),
        empty: desk.say("console-outages-none"),
        note: None,
        pages: Vec::new(),
    }
}

/// The provider that the path names.
fn named(desk: &Desk<'_>) -> Result<OutageStatus, Refused> {
    let id = ProviderId::parse(desk.named(1)).map_err(|_| Fault::NotFound)?;
    find(desk, &id)
}

fn find(desk: &Desk<'_>, id: &ProviderId) -> Result<OutageStatus, Refused> {
    let statuses = desk.site.parts.outage.status();
    Ok(statuses.into_iter().find(|status| status.provider == *id).ok_or(Fault::NotFound)?)
}

/// Asks where the switch should be.
pub(super) fn ask_switch(desk: &Desk<'_>) -> Shown {
    let status = named(desk)?;
    let (mark, since) = mode(desk, status.mode);
    let rows = vec![
        (desk.say("console-provider"), vec![Bit::Text(desk.provider_name(&status.provider))]),
        (desk.say("console-state"), vec![Bit::Mark(mark)]),
        (desk.say("console-since"), vec![Bit::Text(since.map_or_else(String::new, |since| desk.minute(since)))]),
        (desk.say("console-switch"), vec![Bit::Text(desk.say(switch_key(status.switch)))]),
    ];
    let choice =
        |switch: OutageSwitch| Choice::new(switch.as_str(), desk.say(switch_key(switch)), switch == status.switch);
    let form = Form {
        id: "switch",
        heading: desk.say("console-switch-form"),
        lead: Some(desk.say("console-switch-what")),
        action: format!("/outage/{}/switch", status.provider),
        with_file: false,
        fields: vec![Field::choice("switch", "to", desk.say("console-switch"), OutageSwitch::ALL.map(choice).into())],
        buttons: Submit::stop(desk.say("console-switch-button")),
        back: Some(Go::new(desk.say("console-cancel"), "/outage")),
        folded: false,
    };
    Ok(desk.show(ConsoleContent {
        title: desk.say("console-switch-title"),
        up: Some(Go::new(desk.say("console-outage"), "/outage")),
        parts: vec![
            Part::Facts(Facts { id: "facts", heading: desk.say("console-provider-facts"), rows }),
            Part::Form(form),
        ],
        ..ConsoleContent::default()
    }))
}

/// Puts the switch elsewhere.
pub(super) async fn switch(desk: &Desk<'_>) -> Shown {
    let status = named(desk)?;
    let to = OutageSwitch::parse(Posted::read(desk.request)?.raw("to")).ok_or(Fault::BadRequest)?;
    if to == status.switch {
        return Ok(desk.go("/outage", "nothing-changed"));
    }
    if desk.site.parts.outage.switch(&status.provider, to, &desk.actor(), desk.at()).await? {
        Ok(desk.go("/outage", "outage-switched"))
    } else {
        Err(Fault::NotFound.into())
    }
}

/// What was done during an outage.
pub(super) async fn report(desk: &Desk<'_>) -> Shown {
    let provider = desk.asked("provider").and_then(|id| ProviderId::parse(&id).ok()).ok_or(Fault::NotFound)?;
    let since = desk.asked("since").and_then(|micros| micros.parse().ok()).map(Timestamp::from_unix_micros);
    let status = find(desk, &provider)?;
    let period = status.periods.into_iter().find(|period| Some(period.since) == since).ok_or(Fault::NotFound)?;
    desk.note_reading("outage-report", None).await?;
    let wanted =
        |line: &str| line.contains(r#""outage":true"#) && (is_access(line) || line.contains(r#""ev":"signed-in""#));
    let found = desk.look(Reach::Since(period.since, LINES_MAX), wanted).await?;
    let lines: Vec<OutageLine> = found.entries.iter().filter_map(line).collect();
    let ids: BTreeSet<&UserId> = lines.iter().map(|line| &line.user).collect();
    let mut people = Vec::new();
    for id in ids {
        people.extend(desk.store().person(id).await?);
    }
    let grace = desk.config().outage.grace;
    let report = OutageReport::of(&provider, period, grace, lines.iter().cloned(), &people);
    let note = match (found.is_readable, found.is_whole) {
        (false, _) => Some(desk.say("console-log-unreadable")),
        (true, false) => Some(desk.say("console-log-partly")),
        (true, true) => None,
    };
    Ok(desk.show(report_page(desk, &report, note)))
}

/// Reads a line of the log as the report needs it.
fn line(entry: &Entry) -> Option<OutageLine> {
    Some(OutageLine {
        at: Timestamp::parse_rfc3339(&entry.ts)?,
        user: UserId::parse(entry.sub.as_deref()?).ok()?,
        login: entry.login.clone().unwrap_or_default(),
        roles: entry.role.iter().filter_map(|role| RoleId::parse(role).ok()).collect(),
        session: entry.sid.as_deref().and_then(SessionId::parse),
        app: entry.app.as_deref().and_then(|app| AppId::parse(app).ok()),
        act: match entry.ev.as_str() {
            "signed-in" => OutageAct::SignedIn,
            "open" => OutageAct::Accessed,
            "refused" => OutageAct::Refused,
            _ => return None,
        },
    })
}

fn report_page(desk: &Desk<'_>, report: &OutageReport, note: Option<String>) -> ConsoleContent {
    let until = report.period.until.map_or_else(|| desk.say("console-outage-lasts"), |at| desk.minute(at));
    let rows = vec![
        (desk.say("console-provider"), vec![Bit::Text(desk.provider_name(&report.provider))]),
        (desk.say("console-from"), vec![Bit::Moment(desk.minute(report.period.since))]),
        (desk.say("console-to"), vec![Bit::Text(until)]),
        (desk.say("console-began-by"), vec![Bit::Text(desk.say(by_key(report.period.by)))]),
        (desk.say("console-people"), vec![Bit::Text(report.people.len().to_string())]),
        (desk.say("console-sessions"), vec![Bit::Text(report.sessions().to_string())]),
        (desk.say("console-accesses"), vec![Bit::Text(report.accesses().to_string())]),
    ];
    let heads = [
        "console-person",
        "console-roles-then",
        "console-sessions",
        "console-accesses",
        "console-refused",
        "console-since-then",
    ];
    let table = Table {
        id: "people",
        heading: desk.say("console-report-people"),
        heads: heads.map(|head| desk.say(head)).into(),
        rows: report.people.iter().map(|person| person_row(desk, person)).collect(),
        empty: desk.say("console-report-none"),
        note,
        pages: Vec::new(),
    };
    ConsoleContent {
        title: desk.say("console-report-title"),
        lead: Some(desk.say("console-report-lead")),
        up: Some(Go::new(desk.say("console-outage"), "/outage")),
        parts: vec![
            Part::Facts(Facts { id: "facts", heading: desk.say("console-report-facts"), rows }),
            Part::Table(table),
        ],
        ..ConsoleContent::default()
    }
}

fn person_row(desk: &Desk<'_>, person: &OutagePerson) -> Vec<Vec<Bit>> {
    let name = person.name.as_deref().unwrap_or(&person.login);
    let apps: Vec<String> = person.accesses.iter().map(|(app, count)| format!("{app} {count}")).collect();
    let span = format!("{} - {}", desk.minute(person.first_at), desk.minute(person.last_at));
    vec![
        vec![Bit::link(name, format!("/people/{}", person.user)), Bit::soft(&person.login), Bit::Soft(span)],
        vec![Bit::Text(desk.role_names(&person.roles))],
        vec![Bit::Text(person.sessions.len().to_string())],
        vec![Bit::Text(apps.join(", "))],
        vec![Bit::Text(person.refused.to_string())],
        standing(desk, &person.standing),
    ]
}

/// What is known of a person since; what must be looked at is marked.
fn standing(desk: &Desk<'_>, standing: &OutageStanding) -> Vec<Bit> {
    let text = desk.say(&format!("console-standing-{}", standing.code()));
    match standing {
        OutageStanding::Confirmed => vec![Bit::Mark(Mark::good(text))],
        OutageStanding::RolesLost(roles) => vec![Bit::Mark(Mark::bad(text)), Bit::Soft(desk.role_names(roles))],
        OutageStanding::Disabled(at) => vec![Bit::Mark(Mark::bad(text)), Bit::Soft(desk.minute(*at))],
        OutageStanding::NotSeen | OutageStanding::Unknown => vec![Bit::Mark(Mark::warn(text))],
    }
}
