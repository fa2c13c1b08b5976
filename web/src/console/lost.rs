//! A lost device: one action revokes it, ends its sessions, and shows what was opened from it lately.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use audit::{Event, Note};
use store::{DeviceRecord, DeviceRevocation, Person, SessionRecord, SessionsOf, StoreProblem};
use tracing::warn;

use super::Duty;
use super::desk::{Desk, Refused, Shown};
use super::device::{content, may_see_trail};
use super::device_form::ask;
use super::person_form::TEXT_CHARS_MAX;
use super::posted::{Posted, ago};
use super::record::{Entry, Found};
use super::view::{Bit, Choice, ConsoleContent, Field, Filter, Go, MarkTone, Part, Table, Words};
use crate::Fault;
use crate::seen::{PatientSeen, PatientsSeen};

const HOUR: Duration = Duration::from_secs(3_600);
/// How many hours may be looked back; the first unless another is chosen.
const HOURS: [u64; 4] = [24, 8, 72, 168];
/// The most accesses that are shown.
const LINES_MAX: usize = 2_000;

/// Asks whether a device is lost.
pub(super) async fn ask_lost(desk: &Desk<'_>) -> Shown {
    let device = desk.device().await?;
    Ok(desk.show(lost_page(desk, &device).await?))
}

/// Whether the sessions that would end are not for who asks to end: nobody but an administrator ends the session of
/// one, or a lost device would be the help desk's way to do it.
fn is_for_administrators(desk: &Desk<'_>, open: &[(SessionRecord, Person)]) -> bool {
    let is_administrators = |(session, person): &(SessionRecord, Person)| {
        session.ends_at > desk.at() && (desk.administers(&session.roles) || desk.administers(&person.roles))
    };
    !desk.is(Duty::Administer) && open.iter().any(is_administrators)
}

async fn lost_page(desk: &Desk<'_>, device: &DeviceRecord) -> Result<ConsoleContent, Refused> {
    let open = desk.store().sessions_of(SessionsOf::Device(device.id.clone())).await?;
    let names: Vec<&str> = open.iter().map(|(_, person)| person.name.as_str()).collect();
    let names = if names.is_empty() { desk.say("console-none") } else { names.join(", ") };
    let more = vec![(desk.say("console-signed-in-there"), vec![Bit::Text(names)])];
    let mut page = ask(desk, device, "lost", format!("/devices/{}/lost", device.id), more);
    if is_for_administrators(desk, &open) {
        // Words in place of a form that would be refused.
        page.parts.pop();
        page.parts.push(Part::Words(Words {
            id: "administrator",
            heading: desk.say("console-lost-form"),
            tone: MarkTone::Warn,
            lines: vec![desk.say("console-problem-lost-administrator")],
            links: Vec::new(),
        }));
    } else if let Some(Part::Form(form)) = page.parts.last_mut() {
        form.fields = vec![
            Field::text("lost", "reason", desk.say("console-lost-reason"), "", TEXT_CHARS_MAX)
                .required()
                .hinted(desk.say("console-lost-hint")),
            hours_field(desk, "lost", HOURS.first().copied()),
        ];
    }
    Ok(page)
}

fn hours_field(desk: &Desk<'_>, form: &str, chosen: Option<u64>) -> Field {
    let choice = |hours: u64| {
        let label = desk.say_with("console-hours", "count", &hours.to_string());
        Choice::new(hours.to_string(), label, chosen == Some(hours))
    };
    Field::choice(form, "hours", desk.say("console-look-back"), HOURS.map(choice).into())
}

fn hours_of(text: Option<&str>) -> Option<u64> {
    text.and_then(|text| text.parse().ok()).filter(|hours| HOURS.contains(hours))
}

/// The device is lost: revokes it at once, which ends its sessions, and goes on to what was opened from it.
pub(super) async fn lose(desk: &Desk<'_>) -> Shown {
    let device = desk.device().await?;
    let form = Posted::read(desk.request)?;
    let (reason, hours) = (form.line("reason", TEXT_CHARS_MAX)?, hours_of(Some(form.raw("hours"))));
    let hours = hours.ok_or(Fault::BadRequest)?;
    if reason.is_empty() {
        return Ok(desk.show_problem(desk.say("console-problem-reason"), lost_page(desk, &device).await?));
    }
    if desk.request.device.as_ref().is_some_and(|own| own.id == device.id) {
        return Ok(desk.show_problem(desk.say("console-problem-own-device"), content(desk, &device).await?));
    }
    let revoked = match revoke(desk, &device).await? {
        DeviceRevocation::Done => true,
        DeviceRevocation::NotInForce => false,
        DeviceRevocation::Spared => {
            let problem = desk.say("console-problem-lost-administrator");
            return Ok(desk.show_problem(problem, content(desk, &device).await?));
        }
    };
    let note = Note::new(Event::DeviceRevoked, desk.at()).actor(desk.actor()).session(desk.who.session).code("lost");
    // The device is shut out whether or not the reason can be recorded; the store's event tells the log of it again.
    if desk.record_about(note.reason(&reason), Some(&device.id)).await.is_err() {
        warn!(request = %desk.request.request, device = %device.id, "why a device was lost could not be recorded");
    }
    let done = if revoked { "device-lost" } else { "nothing-changed" };
    Ok(desk.go(&format!("/devices/{}/trail?hours={hours}", device.id), done))
}

/// Revokes the device. Whether an administrator is signed in on it is looked at where it is revoked: the page may have
/// been asked for a while ago.
async fn revoke(desk: &Desk<'_>, device: &DeviceRecord) -> Result<DeviceRevocation, StoreProblem> {
    if desk.is(Duty::Administer) {
        let revoked = desk.store().revoke_device(&device.id, desk.at(), desk.actor()).await?;
        return Ok(if revoked { DeviceRevocation::Done } else { DeviceRevocation::NotInForce });
    }
    let administrators = desk.config().console.administrators.clone();
    desk.store().revoke_device_unless(&device.id, administrators, desk.at(), desk.actor()).await
}

/// What was opened from a device lately.
pub(super) async fn trail(desk: &Desk<'_>) -> Shown {
    let device = desk.device().await?;
    if !may_see_trail(desk, &device) {
        return Err(Refused::Right(policy::Reason::ActionNotAllowed));
    }
    let hours = hours_of(desk.asked("hours").as_deref()).or(HOURS.first().copied()).unwrap_or(24);
    desk.note_reading("device-trail", Some(&device.id)).await?;
    let since = ago(desk.at(), HOUR.saturating_mul(u32::try_from(hours).unwrap_or(24)));
    let (found, patients) = desk.look_from(&device.id, since, LINES_MAX).await?;
    let filter = Filter {
        label: desk.say("console-look-back"),
        action: format!("/devices/{}/trail", device.id),
        fields: vec![hours_field(desk, "filter", Some(hours))],
        button: desk.say("console-search"),
        clear: None,
    };
    let place = format!("/devices/{}", device.id);
    Ok(desk.show(ConsoleContent {
        title: desk.say_with("console-trail-title", "name", device.id.as_str()),
        lead: Some(desk.say_with("console-trail-lead", "count", &hours.to_string())),
        up: Some(Go::new(device.id.to_string(), place)),
        marks: super::devices::marks(desk, &device),
        parts: vec![
            Part::Filter(filter),
            Part::Words(next_steps(desk, &device)),
            Part::Table(by_patient(desk, &found, &patients)),
            Part::Table(by_person(desk, &found)),
            Part::Table(opened(desk, found)),
        ],
        ..ConsoleContent::default()
    }))
}

fn next_steps(desk: &Desk<'_>, device: &DeviceRecord) -> Words {
    let is_shut = device.revoked_at.is_some();
    let lines: &[&str] = if is_shut {
        &["console-lost-next-1", "console-lost-next-2", "console-lost-next-3"]
    } else {
        &["console-trail-in-force"]
    };
    Words {
        id: "next",
        heading: desk.say("console-lost-next"),
        tone: if is_shut { MarkTone::Warn } else { MarkTone::Plain },
        lines: lines.iter().map(|line| desk.say(line)).collect(),
        links: Vec::new(),
    }
}

/// Whose information was opened, the last one first.
fn by_patient(desk: &Desk<'_>, found: &Found, seen: &PatientsSeen) -> Table {
    let list = |words: &BTreeSet<String>| words.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
    let row = |patient: &PatientSeen| {
        vec![
            vec![Bit::text(&patient.id)],
            vec![Bit::Moment(desk.minute(patient.last_at))],
            vec![Bit::Text(list(&patient.logins))],
            vec![Bit::Text(list(&patient.apps))],
            vec![Bit::Text(patient.times.to_string())],
        ]
    };
    let said = |key: &str, count: u64| (count > 0).then(|| desk.say_with(key, "count", &count.to_string()));
    let notes = [
        (found.is_readable && !found.is_whole).then(|| desk.say("log-trail-partly")),
        said("console-trail-more-patients", seen.with_more),
        said("console-trail-no-patient", seen.without),
    ];
    let notes: Vec<String> = notes.into_iter().flatten().collect();
    let heads = ["console-trail-patient", "console-last-seen", "console-person", "console-app", "console-count"];
    Table {
        id: "patients",
        heading: desk.say("console-trail-patients"),
        heads: heads.map(|head| desk.say(head)).into(),
        rows: seen.patients.iter().map(row).collect(),
        empty: desk.say(if found.is_readable { "console-trail-patients-none" } else { "console-log-unreadable" }),
        note: (!notes.is_empty()).then(|| notes.join(" ")),
        pages: Vec::new(),
    }
}

/// Who opened how much of which app.
fn by_person(desk: &Desk<'_>, found: &Found) -> Table {
    let mut counts: BTreeMap<(String, String), (u64, &Entry)> = BTreeMap::new();
    for entry in found.entries.iter().filter(|entry| entry.ev == "open") {
        let key = (entry.sub.clone().unwrap_or_default(), entry.app.clone().unwrap_or_default());
        counts.entry(key).or_insert((0, entry)).0 += 1;
    }
    let row = |((user, app), (count, entry)): (&(String, String), &(u64, &Entry))| {
        let name = entry.name.clone().unwrap_or_else(|| user.clone());
        vec![
            vec![Bit::link(name, format!("/people/{user}")), Bit::soft(entry.login.clone().unwrap_or_default())],
            vec![Bit::text(app)],
            vec![Bit::Text(count.to_string())],
        ]
    };
    let heads = ["console-person", "console-app", "console-count"];
    Table {
        id: "people",
        heading: desk.say("console-trail-people"),
        heads: heads.map(|head| desk.say(head)).into(),
        rows: counts.iter().map(row).collect(),
        empty: desk.say(if found.is_readable { "console-trail-none" } else { "console-log-unreadable" }),
        note: (found.is_readable && !found.is_whole).then(|| desk.say("console-log-partly")),
        pages: Vec::new(),
    }
}

fn opened(desk: &Desk<'_>, found: Found) -> Table {
    let empty = desk.say(if found.is_readable { "console-trail-none" } else { "console-log-unreadable" });
    Table { id: "opened", empty, ..desk.trail("console-trail-opened", found) }
}
