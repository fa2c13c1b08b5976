//! The ledger as a table, both ways: what a spreadsheet adds and changes is taken in whole or not at all.
//!
//! A table neither removes devices nor revokes them nor knows certificates: what leaves service gets a date.

use std::collections::{BTreeMap, BTreeSet};

use policy::{DeviceClass, DeviceId, Timestamp, UtcOffset};
use store::{DeviceChange, DeviceRecord, DeviceWrite, StoreProblem};

use super::Devices;
use crate::ImportProblem;
use crate::csv::{BEGIN, Cell, Column, CsvFault, CsvProblem, Row, Table, shown, write_row};

const COLUMNS: [Column; 12] = [
    Column { name: "id", ja: "端末名", required: true },
    Column { name: "class", ja: "区分", required: false },
    Column { name: "asset", ja: "資産番号", required: false },
    Column { name: "owner", ja: "管理者", required: false },
    Column { name: "place", ja: "設置場所", required: false },
    Column { name: "os", ja: "OS", required: false },
    Column { name: "os_version", ja: "OSバージョン", required: false },
    Column { name: "expires_at", ja: "利用期限", required: false },
    Column { name: "stock_taken_at", ja: "棚卸日", required: false },
    // These are written, and passed over when they are read.
    Column { name: "seen_at", ja: "最終利用日", required: false },
    Column { name: "certificate_ends_at", ja: "証明書の期限", required: false },
    Column { name: "revoked_at", ja: "失効日", required: false },
];
/// The longest cell, in characters.
const TEXT_CHARS_MAX: usize = 200;
/// The most problems that are told at once.
const PROBLEMS_MAX: usize = 100;
const ONE_DAY: std::time::Duration = std::time::Duration::from_secs(86_400);

/// What a table would do, or has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DevicesPlan {
    /// Devices that were not there.
    pub added: Vec<DeviceId>,
    /// Devices that were otherwise.
    pub changed: Vec<DeviceId>,
    /// How many are as they were.
    pub unchanged: usize,
}

impl Devices {
    /// The ledger as a table that [`Devices::read_csv`] reads; days are those of the zone.
    ///
    /// # Errors
    /// [`StoreProblem`].
    pub async fn write_csv(&self, offset: UtcOffset) -> Result<String, StoreProblem> {
        let mut out = BEGIN.to_owned();
        write_row(&mut out, COLUMNS.iter().map(|column| column.name));
        for device in self.store.devices().await? {
            let day = |at: Option<Timestamp>| at.map(|at| date(at, offset)).unwrap_or_default();
            let last_day = |at: Option<Timestamp>| {
                let last = at.map(|at| Timestamp::from_unix_micros(at.unix_micros().saturating_sub(1)));
                last.map(|at| date(at, offset)).unwrap_or_default()
            };
            let cells = [
                device.id.as_str(),
                device.class.as_str(),
                &device.asset,
                &device.owner,
                &device.place,
                &device.os,
                &device.os_version,
                &last_day(device.expires_at),
                &day(device.stock_taken_at),
                &day(device.seen_at),
                &last_day(device.last_certificate().map(|certificate| certificate.ends_at)),
                &day(device.revoked_at),
            ];
            write_row(&mut out, cells);
        }
        Ok(out)
    }

    /// What [`Devices::read_csv`] would do.
    ///
    /// # Errors
    /// [`ImportProblem`].
    pub async fn plan_csv(&self, text: &str, offset: UtcOffset, at: Timestamp) -> Result<DevicesPlan, ImportProblem> {
        Ok(self.plan(text, offset, at).await?.0)
    }

    /// Takes a table in: adds the devices that are not there, without certificates, and changes those that are
    /// otherwise. All of it, or nothing. What a table has no column for stays as it is.
    ///
    /// # Errors
    /// [`ImportProblem`]; nothing was changed.
    pub async fn read_csv(
        &self,
        text: &str,
        offset: UtcOffset,
        actor: &str,
        at: Timestamp,
    ) -> Result<DevicesPlan, ImportProblem> {
        let (plan, writes) = self.plan(text, offset, at).await?;
        if !writes.is_empty() {
            self.store.write_devices(writes, at, actor.to_owned()).await?;
        }
        Ok(plan)
    }

    async fn plan(
        &self,
        text: &str,
        offset: UtcOffset,
        at: Timestamp,
    ) -> Result<(DevicesPlan, Vec<DeviceWrite>), ImportProblem> {
        let table = Table::read(text, &COLUMNS).map_err(ImportProblem::Lines)?;
        let there: BTreeMap<DeviceId, DeviceRecord> =
            self.store.devices().await?.into_iter().map(|device| (device.id.clone(), device)).collect();
        let mut named = BTreeSet::new();
        let (mut plan, mut writes, mut problems) = (DevicesPlan::default(), Vec::new(), Vec::new());
        for row in &table.rows {
            match asked(&table, row, offset, at, &there, &mut named) {
                Ok(Some(write)) => {
                    match &write {
                        DeviceWrite::Add(device) => plan.added.push(device.id.clone()),
                        DeviceWrite::Change(id, _) => plan.changed.push(id.clone()),
                    }
                    writes.push(write);
                }
                Ok(None) => plan.unchanged += 1,
                Err(problem) => problems.push(problem),
            }
        }
        problems.truncate(PROBLEMS_MAX);
        if problems.is_empty() { Ok((plan, writes)) } else { Err(ImportProblem::Lines(problems)) }
    }
}

/// What a row asks for, as the ledger stands; nothing if it is so already.
fn asked(
    table: &Table,
    row: &Row,
    offset: UtcOffset,
    at: Timestamp,
    there: &BTreeMap<DeviceId, DeviceRecord>,
    named: &mut BTreeSet<DeviceId>,
) -> Result<Option<DeviceWrite>, CsvProblem> {
    let cell = |name| table.cell(row, name);
    let missing = |fault| CsvProblem { line: row.line, column: 1, fault };
    let id_cell = cell("id").ok_or_else(|| missing(CsvFault::DeviceName))?;
    let id = DeviceId::parse(id_cell.text).map_err(|_| id_cell.problem(CsvFault::DeviceName))?;
    if !named.insert(id.clone()) {
        return Err(id_cell.problem(CsvFault::DeviceTwice));
    }
    let text = |name| cell(name).map(short).transpose();
    let day = |name, read: fn(Cell<'_>, UtcOffset) -> Result<Option<Timestamp>, CsvProblem>| {
        cell(name).map(|cell| read(cell, offset)).transpose()
    };
    let change = DeviceChange {
        class: cell("class").filter(|cell| !cell.text.is_empty()).map(class).transpose()?,
        asset: text("asset")?,
        owner: text("owner")?,
        place: text("place")?,
        os: text("os")?,
        os_version: text("os_version")?,
        expires_at: day("expires_at", last_day)?,
        stock_taken_at: day("stock_taken_at", first_day)?,
    };
    if let Some(known) = there.get(&id) {
        return Ok(difference(known, change).map(|change| DeviceWrite::Change(id, change)));
    }
    let class = change.class.ok_or_else(|| {
        let at = cell("class");
        at.map_or_else(|| missing(CsvFault::ClassMissing), |cell| cell.problem(CsvFault::ClassMissing))
    })?;
    Ok(Some(DeviceWrite::Add(DeviceRecord {
        asset: change.asset.unwrap_or_default(),
        owner: change.owner.unwrap_or_default(),
        place: change.place.unwrap_or_default(),
        os: change.os.unwrap_or_default(),
        os_version: change.os_version.unwrap_or_default(),
        expires_at: change.expires_at.flatten(),
        stock_taken_at: change.stock_taken_at.flatten(),
        ..DeviceRecord::new(id, class, at)
    })))
}

/// Only what is otherwise.
fn difference(known: &DeviceRecord, change: DeviceChange) -> Option<DeviceChange> {
    let change = DeviceChange {
        class: change.class.filter(|class| *class != known.class),
        asset: change.asset.filter(|text| *text != known.asset),
        owner: change.owner.filter(|text| *text != known.owner),
        place: change.place.filter(|text| *text != known.place),
        os: change.os.filter(|text| *text != known.os),
        os_version: change.os_version.filter(|text| *text != known.os_version),
        expires_at: change.expires_at.filter(|at| *at != known.expires_at),
        // A stock-take of the same day is the same, whatever the hour.
        stock_taken_at: change.stock_taken_at.filter(|at| !is_same_day(*at, known.stock_taken_at)),
    };
    (change != DeviceChange::default()).then_some(change)
}

fn is_same_day(day: Option<Timestamp>, moment: Option<Timestamp>) -> bool {
    match (day, moment) {
        (Some(day), Some(moment)) => moment >= day && moment < day.after(ONE_DAY),
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}

fn class(cell: Cell<'_>) -> Result<DeviceClass, CsvProblem> {
    DeviceClass::parse(cell.text).ok_or_else(|| {
        let known: Vec<&str> = DeviceClass::ALL.iter().map(|class| class.as_str()).collect();
        cell.problem(CsvFault::Class { class: shown(cell.text), known: known.join(", ") })
    })
}

fn short(cell: Cell<'_>) -> Result<String, CsvProblem> {
    if cell.text.chars().count() > TEXT_CHARS_MAX || cell.text.chars().any(char::is_control) {
        return Err(cell.problem(CsvFault::Text { most: TEXT_CHARS_MAX }));
    }
    Ok(cell.text.to_owned())
}

/// The beginning of a day; nothing for an empty cell.
fn first_day(cell: Cell<'_>, offset: UtcOffset) -> Result<Option<Timestamp>, CsvProblem> {
    if cell.text.is_empty() {
        return Ok(None);
    }
    let read = Timestamp::parse_date(&hyphened(cell.text), offset);
    let wrong = || cell.problem(CsvFault::Day { day: shown(cell.text) });
    read.map(Some).ok_or_else(wrong)
}

/// The end of a day: what is good up to and including it.
fn last_day(cell: Cell<'_>, offset: UtcOffset) -> Result<Option<Timestamp>, CsvProblem> {
    first_day(cell, offset).map(|day| day.map(|day| day.after(ONE_DAY)))
}

/// Spreadsheets write `2027/3/31`.
fn hyphened(text: &str) -> String {
    match text.split('/').collect::<Vec<_>>().as_slice() {
        [year, month, day] => format!("{year}-{month:0>2}-{day:0>2}"),
        _ => text.to_owned(),
    }
}

fn date(at: Timestamp, offset: UtcOffset) -> String {
    let day = at.local(offset);
    format!("{:04}-{:02}-{:02}", day.year, day.month, day.day)
}

#[cfg(test)]
mod tests {
    use store::Store;

    use super::*;
    use crate::testing::{START, Ward, minutes, terminal};

    const ZONE: UtcOffset = UtcOffset::JAPAN;

    async fn problems(ward: &Ward, text: &str) -> Vec<(usize, usize)> {
        match ward.devices.plan_csv(text, ZONE, START).await.unwrap_err() {
            ImportProblem::Lines(lines) => lines.into_iter().map(|problem| (problem.line, problem.column)).collect(),
            other => panic!("{other}"),
        }
    }

    #[tokio::test]
    async fn what_is_written_reads_back_as_nothing_new() {
        let ward = Ward::open().await;
        let text = "id,class,asset,expires_at,stock_taken_at\nct-1,fixed,\"A,1\",2027/3/31,2026-11-02\n";
        let plan = ward.devices.read_csv(text, ZONE, "cli:root", START).await.unwrap();
        assert_eq!(plan.added, [DeviceId::parse("ct-1").unwrap()]);
        let added = ward.store.device(&plan.added[0]).await.unwrap().unwrap();
        assert_eq!((added.class, added.asset.as_str()), (DeviceClass::Fixed, "A,1"));
        let last = Timestamp::parse_rfc3339("2027-04-01T00:00:00+09:00");
        assert_eq!(added.expires_at, last, "the whole last day counts");
        let written = ward.devices.write_csv(ZONE).await.unwrap();
        assert!(written.contains("2027-03-31") && written.contains("2026-11-02"), "{written}");
        let again = ward.devices.read_csv(&written, ZONE, "cli:root", START.after(minutes(1))).await.unwrap();
        assert_eq!(again, DevicesPlan { unchanged: 2, ..DevicesPlan::default() });
    }

    #[tokio::test]
    async fn only_what_differs_changes_and_only_where_there_is_a_column() {
        let ward = Ward::open().await;
        let text = "端末名,設置場所,失効日\nward-3,4階西病棟,2020-01-01\n";
        let plan = ward.devices.read_csv(text, ZONE, "cli:root", START).await.unwrap();
        assert_eq!(plan.changed, [terminal().id.clone()]);
        let changed = ward.store.device(&terminal().id).await.unwrap().unwrap();
        assert_eq!((changed.place.as_str(), changed.asset.as_str()), ("4階西病棟", "A-0003"));
        assert_eq!(changed.revoked_at, None, "a table revokes nothing");
        assert_eq!(changed.certificates.len(), 1);
    }

    #[tokio::test]
    async fn one_wrong_cell_and_nothing_is_taken_in() {
        let ward = Ward::open().await;
        let text =
            "id,class,expires_at\nct-1,fixed,\nct 2,fixed,\nct-3,pc,\nct-4,,\nct-1,fixed,\nct-5,fixed,2027-02-30\n";
        assert_eq!(problems(&ward, text).await, [(3, 1), (4, 2), (5, 2), (6, 1), (7, 3)]);
        assert!(ward.devices.read_csv(text, ZONE, "cli:root", START).await.is_err());
        assert_eq!(ward.store.devices().await.unwrap().len(), 1);
        assert_eq!(problems(&ward, "class\nfixed\n").await, [(1, 1)]);
        assert_eq!(problems(&ward, "id\nct-9\n").await, [(2, 1)], "a new device needs a class");
        let long = format!("id,class,owner\nct-9,fixed,{}\n", "長".repeat(TEXT_CHARS_MAX + 1));
        assert_eq!(problems(&ward, &long).await, [(2, 3)]);
    }

    #[test]
    fn no_table_breaks_the_reader_and_what_is_planned_is_what_is_done() {
        let heads = "id|class|asset|owner|place|os|expires_at|stock_taken_at|revoked_at|端末名|区分";
        let cells = "ct-[0-9]|ward-3|fixed|tablet|2027-0?[0-9]-[0-9]{1,2}|2027/3/31|9999-12-31|=1|\"a,b\"|\"|.{0,5}";
        let table = (
            proptest::collection::vec(heads, 1..5),
            proptest::collection::vec(proptest::collection::vec(cells, 1..5), 0..6),
        );
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let config = proptest::test_runner::Config { cases: 300, ..proptest::test_runner::Config::default() };
        let mut runner = proptest::test_runner::TestRunner::new(config);
        let ran = runner.run(&table, |(head, rows)| {
            let lines: Vec<String> = std::iter::once(&head).chain(&rows).map(|cells| cells.join(",")).collect();
            let text = lines.join("\n");
            runtime.block_on(async {
                let ward = Ward::open().await;
                let before = ward.store.devices().await.unwrap();
                let planned = ward.devices.plan_csv(&text, ZONE, START).await;
                assert_eq!(ward.store.devices().await.unwrap(), before, "planning changes nothing");
                match (planned, ward.devices.read_csv(&text, ZONE, "cli:root", START).await) {
                    (Ok(planned), Ok(done)) => assert_eq!(planned, done),
                    (Err(_), Err(_)) => assert_eq!(ward.store.devices().await.unwrap(), before, "all or nothing"),
                    (planned, done) => panic!("{planned:?} but {done:?}: {text:?}"),
                }
            });
            Ok(())
        });
        ran.unwrap();
    }
}
