//! The report of a window on paper: one sheet of A4 to print, sign and keep, in the language of who prints it. No
//! patient is named on it.

use store::GrantRecord;

use super::super::desk::{Desk, Shown};
use super::super::view::{Bit, ConsoleContent, Go, MarkTone, Part, Table, Words};
use super::{named, place, vendors};
use crate::maintenance::{Side, Work};

/// The sheet.
pub(in super::super) async fn paper(desk: &Desk<'_>) -> Shown {
    let record = named(desk).await?;
    let teller = desk.teller();
    let names = teller.names([&record]).await?;
    let person = desk.store().person(&record.person).await?;
    let vendor = vendors(desk).await?.remove(&record.person).unwrap_or_default();
    let work = desk.site.work_of(&record, Side::Hospital).await;
    let mut parts = vec![Part::Table(compare(desk, &record, work.as_ref()))];
    parts.push(teller.report(&record).map_or_else(|| Part::Words(no_report(desk)), Part::Raw));
    parts.extend(teller.work(work.as_ref()));
    parts.push(Part::Table(teller.history(&record, &names)));
    parts.extend(teller.request(&record, person.as_ref(), &vendor, format!("{}/file", place(&record))));
    parts.push(Part::Signers(signers(desk)));
    let lead = [("facility", desk.config().facility.name.clone()), ("day", desk.day(desk.at()))];
    let lead: Vec<(&str, &str)> = lead.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Ok(desk.show(ConsoleContent {
        title: desk.say("maintenance-paper"),
        lead: Some(desk.voice.say_all("maintenance-paper-lead", &lead)),
        up: Some(Go::new(teller.window(&record), place(&record))),
        marks: teller.marks(&record),
        parts,
        ..ConsoleContent::default()
    }))
}

/// What was planned beside what was done.
fn compare(desk: &Desk<'_>, record: &GrantRecord, work: Option<&Work>) -> Table {
    let teller = desk.teller();
    let unknown = || desk.say("maintenance-work-none");
    let app = desk.site.app_name(&record.app, desk.language());
    let time = work.and_then(Work::span).map_or_else(unknown, |(first, last)| {
        let span = [("begin", teller.minute(first)), ("end", teller.minute(last))];
        let span: Vec<(&str, &str)> = span.iter().map(|(name, value)| (*name, value.as_str())).collect();
        desk.voice.say_all("maintenance-window-of", &span)
    });
    let hosts = work.map(|work| work.hosts().into_iter().collect::<Vec<_>>().join(", "));
    let patients = work.map_or_else(unknown, |work| teller.patients(work));
    let count = |of: fn(&Work) -> u64| work.map_or_else(unknown, |work| crate::chart::grouped(of(work)));
    let row = |key: &str, planned: String, done: String| {
        vec![vec![Bit::Text(desk.say(key))], vec![Bit::Text(planned)], vec![Bit::Text(done)]]
    };
    let heads = ["what", "planned", "done"];
    Table {
        id: "compare",
        heading: desk.say("maintenance-paper-compare"),
        heads: heads.map(|head| desk.say(&format!("maintenance-paper-{head}"))).into(),
        rows: vec![
            row("maintenance-paper-time", teller.window(record), time),
            row("maintenance-paper-place", app, hosts.filter(|hosts| !hosts.is_empty()).unwrap_or_else(unknown)),
            row("maintenance-work-patients", "-".to_owned(), patients),
            row("maintenance-work-commands", "-".to_owned(), count(|work| work.commands)),
            row("maintenance-work-files", "-".to_owned(), count(|work| work.files)),
        ],
        empty: String::new(),
        note: None,
        pages: Vec::new(),
    }
}

fn no_report(desk: &Desk<'_>) -> Words {
    Words {
        id: "report",
        heading: desk.say("maintenance-paper-report"),
        tone: MarkTone::Plain,
        lines: vec![desk.say("maintenance-paper-no-report")],
        links: Vec::new(),
    }
}

/// Who signs the printed sheet.
fn signers(desk: &Desk<'_>) -> Vec<String> {
    ["vendor", "hospital", "planner"].map(|who| desk.say(&format!("maintenance-signer-{who}"))).into()
}
