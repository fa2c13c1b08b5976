//! Remote maintenance as the hospital sees it: what vendors ask for, what is open now, what is overdue; one request in
//! full with what may be done with it. Deliberately not here: the decisions themselves (`decide`), the report on paper
//! (`paper`), and when a window is in force (identity).

mod decide;
mod paper;
mod vendor;

use std::collections::BTreeMap;

use find::{By, Question};
use http::header::{HeaderName, HeaderValue};
use policy::{GrantKind, UserId};
use store::{GRANTS_READ_MAX, GrantFilter, GrantRecord, GrantState};

pub(super) use decide::{admit, approve, ask_admit, ask_approve, confirm, end, refuse};
pub(super) use paper::paper;
pub(super) use vendor::{set_vendor, vendor_form};

use super::desk::{Desk, Refused, Shown};
use super::view::{Bit, Choice, ConsoleContent, Field, Filter, Form, Go, MarkTone, Part, Submit, Table, Tile};
use super::{Duty, recording};
use crate::chart::grouped;
use crate::maintenance::{Names, Side, Teller, Work, grant_id};
use crate::{Fault, headers};

/// How many patients of one window the page names.
const PATIENTS_MAX: usize = 500;
/// How often a live page looks again, in seconds.
const LIVE_SECONDS: HeaderValue = HeaderValue::from_static("5");

/// The list.
pub(super) async fn requests(desk: &Desk<'_>) -> Shown {
    let shows_all = desk.asked("show").is_some_and(|show| show == "all");
    let mut records = read(desk, !shows_all).await?;
    let is_cut = records.len() >= GRANTS_READ_MAX;
    records.sort_by_key(|record| rank(desk, record));
    let teller = desk.teller();
    let names = teller.names(&records).await?;
    let vendors = vendors(desk).await?;
    let rows = records.iter().map(|record| row(desk, record, &names, &vendors)).collect();
    let heads = ["window", "app", "person", "purpose", "state"];
    let table = Table {
        id: "requests",
        heading: desk.say("maintenance-console-table"),
        heads: heads.map(|head| desk.say(&format!("maintenance-{head}"))).into(),
        rows,
        empty: desk.say(if shows_all { "maintenance-console-none" } else { "console-none-fit" }),
        note: is_cut.then(|| desk.say("maintenance-console-cut")),
        pages: Vec::new(),
    };
    let choice =
        |word: &str, is_chosen| Choice::new(word, desk.say(&format!("maintenance-console-show-{word}")), is_chosen);
    let filter = Filter {
        label: desk.say("maintenance-console-search"),
        action: "/maintenance".to_owned(),
        fields: vec![Field::choice(
            "filter",
            "show",
            desk.say("maintenance-console-show"),
            vec![choice("unfinished", !shows_all), choice("all", shows_all)],
        )],
        button: desk.say("console-search"),
        clear: None,
    };
    Ok(desk.show(ConsoleContent {
        title: desk.say("maintenance-console"),
        lead: Some(desk.say("maintenance-console-lead")),
        actions: vec![Go::new(desk.say("maintenance-console-inventory"), "/inventory")],
        parts: vec![Part::Filter(filter), Part::Table(table)],
        ..ConsoleContent::default()
    }))
}

/// One request in full.
pub(super) async fn one(desk: &Desk<'_>) -> Shown {
    let record = named(desk).await?;
    let is_live = desk.asked("live").is_some() && record.state(desk.at()) == GrantState::Active;
    let mut response = desk.show(content(desk, &record, is_live).await?);
    if is_live {
        headers::set(&mut response, HeaderName::from_static("refresh"), LIVE_SECONDS);
    }
    Ok(response)
}

/// The file that came with one.
pub(super) async fn file(desk: &Desk<'_>) -> Shown {
    let record = named(desk).await?;
    Ok(desk.site.plan_file(&record.id).await?)
}

/// The request that the path names.
async fn named(desk: &Desk<'_>) -> Result<GrantRecord, Refused> {
    let id = grant_id(desk.named(1)).ok_or(Fault::NotFound)?;
    let found = desk.store().grant(&id).await?.filter(|record| record.maintenance().is_some());
    Ok(found.ok_or(Fault::NotFound)?)
}

async fn read(desk: &Desk<'_>, unfinished: bool) -> Result<Vec<GrantRecord>, Refused> {
    let unfinished_at = unfinished.then(|| desk.at());
    let filter = GrantFilter { kind: Some(GrantKind::Maintenance), unfinished_at, ..GrantFilter::default() };
    Ok(desk.store().grants(filter, None, GRANTS_READ_MAX).await?)
}

/// From which vendor everybody comes.
async fn vendors(desk: &Desk<'_>) -> Result<BTreeMap<UserId, String>, Refused> {
    Ok(desk.store().vendors().await?.into_iter().collect())
}

/// What must be seen first comes first.
fn rank(desk: &Desk<'_>, record: &GrantRecord) -> u8 {
    if record.is_overdue(desk.at()) || record.approval_due_at().is_some() {
        return 0;
    }
    let is_urgent = record.maintenance().is_some_and(|one| one.is_urgent);
    match record.state(desk.at()) {
        GrantState::Requested if is_urgent => 1,
        GrantState::Active => 2,
        GrantState::Requested => 3,
        GrantState::Reported => 4,
        GrantState::Armed => 5,
        GrantState::Ended => 6,
        GrantState::Lapsed | GrantState::Refused | GrantState::Withdrawn | GrantState::Confirmed => 7,
    }
}

fn row(desk: &Desk<'_>, record: &GrantRecord, names: &Names, vendors: &BTreeMap<UserId, String>) -> Vec<Vec<Bit>> {
    let teller = desk.teller();
    let person = record.person.as_str();
    let vendor = vendors.get(&record.person).map(Bit::soft);
    vec![
        vec![teller.link(record, "/maintenance")],
        vec![Bit::Text(desk.site.app_name(&record.app, desk.language()))],
        [Bit::text(names.get(person).map_or(person, String::as_str))].into_iter().chain(vendor).collect(),
        vec![Bit::text(record.maintenance().map(|one| one.purpose.as_str()).unwrap_or_default())],
        teller.marks(record).into_iter().map(Bit::Mark).collect(),
    ]
}

/// What the page of one request says.
async fn content(desk: &Desk<'_>, record: &GrantRecord, is_live: bool) -> Result<ConsoleContent, Refused> {
    let teller = desk.teller();
    let state = record.state(desk.at());
    let names = teller.names([record]).await?;
    let person = desk.store().person(&record.person).await?;
    let vendor = vendors(desk).await?.remove(&record.person).unwrap_or_default();
    let mut parts = vec![Part::Words(teller.next(record, Side::Hospital))];
    if matches!(state, GrantState::Armed | GrantState::Active) && desk.is(Duty::Stop) {
        parts.push(Part::Form(stop_form(desk, record, state)));
    }
    if state == GrantState::Active {
        parts.push(Part::Table(open_now(desk, record, is_live)));
    }
    if state == GrantState::Reported && desk.is(Duty::Approve) {
        parts.push(Part::Form(decide::confirm_form(desk, record)));
    }
    parts.extend(recording::of_grant(desk, record).await?.map(Part::Table));
    let is_over = matches!(state, GrantState::Ended | GrantState::Reported | GrantState::Confirmed);
    parts.extend(teller.report(record).map(Part::Raw));
    if is_over {
        let work = desk.site.work_of(record, Side::Hospital).await;
        parts.extend(teller.work(work.as_ref()));
        parts.extend(patients(desk, record, work.as_ref()).await?.map(Part::Table));
        parts.extend(recording::deeds(desk, record, work.as_ref()).await?.into_iter().map(Part::Table));
    }
    parts.push(Part::Table(teller.history(record, &names)));
    parts.extend(teller.request(record, person.as_ref(), &vendor, format!("{}/file", place(record))));
    Ok(ConsoleContent {
        title: desk.site.app_name(&record.app, desk.language()),
        lead: Some(teller.window(record)),
        up: Some(Go::new(desk.say("maintenance-console"), "/maintenance")),
        marks: teller.marks(record),
        actions: actions(desk, record, state),
        parts,
    })
}

/// Where one goes on from there.
fn actions(desk: &Desk<'_>, record: &GrantRecord, state: GrantState) -> Vec<Go> {
    let waits = state == GrantState::Requested || record.approval_due_at().is_some();
    let is_over = matches!(state, GrantState::Ended | GrantState::Reported | GrantState::Confirmed);
    let actions = [
        (waits && desk.is(Duty::Approve))
            .then(|| Go::main(desk.say("maintenance-decide"), format!("{}/approve", place(record)))),
        (state == GrantState::Requested && desk.is(Duty::Approve))
            .then(|| Go::new(desk.say("maintenance-admit"), format!("{}/admit", place(record)))),
        is_over.then(|| Go::new(desk.say("maintenance-print"), format!("{}/report", place(record)))),
        desk.is(Duty::Inspect).then(|| {
            let (from, to) = (desk.day(record.begin), desk.day(record.over_at()));
            Go::new(desk.say("maintenance-in-log"), format!("/log?grant={}&from={from}&to={to}", record.id))
        }),
    ];
    actions.into_iter().flatten().collect()
}

fn place(record: &GrantRecord) -> String {
    format!("/maintenance/{}", record.id)
}

/// One tap ends it.
pub(super) fn stop_form(desk: &Desk<'_>, record: &GrantRecord, state: GrantState) -> Form {
    let word = if state == GrantState::Armed { "call-off" } else { "stop" };
    Form {
        id: "stop",
        heading: desk.say(&format!("maintenance-{word}")),
        lead: Some(desk.say(&format!("maintenance-{word}-what"))),
        action: format!("{}/end", place(record)),
        with_file: false,
        fields: Vec::new(),
        buttons: Submit::stop(desk.say(&format!("maintenance-{word}-button"))),
        back: None,
        folded: false,
    }
}

/// What is open at this moment. Paths may name patients, so they are for whoever may read the log.
fn open_now(desk: &Desk<'_>, record: &GrantRecord, is_live: bool) -> Table {
    let row = |one: &crate::open_now::OpenOne| {
        let access = &one.access;
        let action = desk.say(&format!("policy-action-{}", access.action.as_str()));
        let asked = format!("{} {}", access.method.as_str(), access.path);
        let device = access.device.as_ref().map(|device| Bit::soft(device.id.as_str()));
        let (bytes_in, bytes_out) = one.bytes();
        let bytes = [("in", grouped(bytes_in)), ("out", grouped(bytes_out))];
        let bytes: Vec<(&str, &str)> = bytes.iter().map(|(name, value)| (*name, value.as_str())).collect();
        vec![
            vec![Bit::Moment(crate::notice::wall_clock(access.at, desk.config().offset))],
            [Some(Bit::Text(action)), desk.is(Duty::Inspect).then_some(Bit::Mono(asked))]
                .into_iter()
                .flatten()
                .collect(),
            [Bit::text(access.from.address.to_string())].into_iter().chain(device).collect(),
            vec![Bit::Text(desk.voice.say_all("maintenance-open-bytes-of", &bytes))],
        ]
    };
    let now = crate::notice::wall_clock(desk.at(), desk.config().offset);
    let (label, href) = if is_live {
        ("maintenance-open-still", place(record))
    } else {
        ("maintenance-open-live", format!("{}?live=on", place(record)))
    };
    let heads = ["since", "what", "from", "bytes"];
    Table {
        id: "open",
        heading: desk.say("maintenance-open"),
        heads: heads.map(|head| desk.say(&format!("maintenance-open-{head}"))).into(),
        rows: desk.site.parts.open_now.under(&record.id).iter().map(|one| row(one)).collect(),
        empty: desk.say("maintenance-open-none"),
        note: Some(desk.say_with("maintenance-open-note", "at", &now)),
        pages: vec![Go::new(desk.say("maintenance-open-again"), place(record)), Go::new(desk.say(label), href)],
    }
}

/// Which patients it was about, for whoever may read the log; that they looked is recorded.
async fn patients(desk: &Desk<'_>, record: &GrantRecord, work: Option<&Work>) -> Result<Option<Table>, Refused> {
    if !desk.is(Duty::Inspect) || work.is_none_or(|work| work.patients == 0) {
        return Ok(None);
    }
    let mut question = Question::new(record.begin, record.over_at().after(std::time::Duration::from_secs(60)));
    question.grant = Some(record.id.as_str().to_owned());
    let found = desk.off(move |log| log.count(&question, By::Patient, PATIENTS_MAX)).await?;
    desk.note_look("maintenance", found.len() as u64, None).await?;
    Ok(Some(Table {
        id: "patients",
        heading: desk.say("maintenance-work-patient-list"),
        heads: ["maintenance-work-patient", "maintenance-work-count"].map(|head| desk.say(head)).into(),
        rows: found
            .iter()
            .map(|bar| vec![vec![Bit::Mono(bar.key.clone())], vec![Bit::Text(grouped(bar.count))]])
            .collect(),
        empty: desk.say("maintenance-work-patients-none"),
        note: Some(desk.say("maintenance-work-patient-note")),
        pages: Vec::new(),
    }))
}

/// What of it needs attention, for the first page.
pub(super) async fn attention(desk: &Desk<'_>) -> Result<Vec<Tile>, Refused> {
    let records = read(desk, true).await?;
    let count = |fits: &dyn Fn(&GrantRecord) -> bool| records.iter().filter(|record| fits(record)).count();
    let is = |state: GrantState| move |record: &GrantRecord| record.state(desk.at()) == state;
    let overdue = |record: &GrantRecord| record.is_overdue(desk.at()) || record.approval_due_at().is_some();
    let tiles = [
        ("overdue", count(&overdue), MarkTone::Bad),
        ("waiting", count(&is(GrantState::Requested)), MarkTone::Warn),
        ("active", count(&is(GrantState::Active)), MarkTone::Warn),
    ];
    let tile = |(word, count, tone): (&str, usize, MarkTone)| Tile {
        label: desk.say(&format!("maintenance-tile-{word}")),
        number: count.to_string(),
        tone: if count == 0 { MarkTone::Plain } else { tone },
        href: "/maintenance".to_owned(),
        note: desk.say(&format!("maintenance-tile-{word}-note")),
    };
    Ok(tiles.into_iter().map(tile).collect())
}

impl<'a> Desk<'a> {
    /// Says what is to be said of maintenance.
    fn teller(&self) -> Teller<'a> {
        Teller { site: self.site, voice: self.voice, at: self.at() }
    }
}
