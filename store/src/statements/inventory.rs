//! The inventory of remote maintenance, and which people come from which vendor.

use policy::{AppId, Timestamp, UserId};

use super::events::tell;
use super::people;
use crate::rows;
use crate::sql::{Bound, Connection, Row, ToValue as _, Value, params};
use crate::{Change, Lapsed, MAINTENANCE_LINES_MAX, MaintenanceLine, MaintenanceWrite, StoreProblem};

pub(crate) fn lines(c: &Connection) -> Result<Vec<MaintenanceLine>, StoreProblem> {
    rows::all(c.prepare_cached("select * from maintenance_lines order by vendor, target, number")?, (), read)
}

pub(crate) fn write_all(
    c: &Connection,
    writes: Vec<MaintenanceWrite>,
    at: Timestamp,
    actor: &str,
) -> Result<Vec<u64>, StoreProblem> {
    let mut numbers = Vec::with_capacity(writes.len());
    for write in writes {
        let number = match write {
            MaintenanceWrite::StillIs(expected) => {
                if lines(c)? != expected {
                    return Err(StoreProblem::NotInForce(Lapsed::Line));
                }
                continue;
            }
            MaintenanceWrite::Add(line) => {
                let columns = "vendor, contract, target, app, path, owner, people, note, changed_at";
                let places = columns.replace(", ", ", :");
                let insert = format!("insert into maintenance_lines ({columns}) values (:{places}) returning number");
                c.prepare_cached(&insert)?
                    .query_row(Bound::Named(columns_of(&line, at)), |row| row.get::<_, i64>(0))?
                    .unsigned_abs()
            }
            MaintenanceWrite::Replace(line) => {
                changed(replace(c, &line, at)?)?;
                line.number
            }
            MaintenanceWrite::Remove(number) => {
                let gone =
                    c.prepare_cached("delete from maintenance_lines where number = ?1")?.execute([key(number)])?;
                changed(gone)?;
                number
            }
        };
        tell(c, at, actor, &Change::InventoryChanged(number))?;
        numbers.push(number);
    }
    let kept: i64 = c.prepare_cached("select count(*) from maintenance_lines")?.query_row((), |row| row.get(0))?;
    if usize::try_from(kept).unwrap_or(usize::MAX) > MAINTENANCE_LINES_MAX {
        return Err(StoreProblem::Full);
    }
    Ok(numbers)
}

fn changed(rows: usize) -> Result<(), StoreProblem> {
    if rows > 0 { Ok(()) } else { Err(StoreProblem::NotInForce(Lapsed::Line)) }
}

fn replace(c: &Connection, line: &MaintenanceLine, at: Timestamp) -> Result<usize, StoreProblem> {
    let mut values = columns_of(line, at);
    values.push((":number", key(line.number).to_value()));
    c.prepare_cached(
        "update maintenance_lines set vendor = :vendor, contract = :contract, target = :target, app = :app,
             path = :path, owner = :owner, people = :people, note = :note, changed_at = :changed_at
         where number = :number",
    )?
    .execute(Bound::Named(values))
}

/// What is kept of a line beside its number.
fn columns_of(line: &MaintenanceLine, at: Timestamp) -> Vec<(&'static str, Value)> {
    let people = serde_json::Value::from_iter(line.people.iter().map(UserId::as_str)).to_string();
    vec![
        (":vendor", line.vendor.to_value()),
        (":contract", line.contract.to_value()),
        (":target", line.target.to_value()),
        (":app", line.app.as_ref().map(AppId::as_str).to_value()),
        (":path", line.path.to_value()),
        (":owner", line.owner.to_value()),
        (":people", people.to_value()),
        (":note", line.note.to_value()),
        (":changed_at", at.unix_micros().to_value()),
    ]
}

pub(crate) fn vendors(c: &Connection) -> Result<Vec<(UserId, String)>, StoreProblem> {
    let statement = c.prepare_cached("select person, vendor from vendors order by vendor, person")?;
    rows::all(statement, (), |row| {
        Ok((rows::parsed(row, "person", |text| UserId::parse(text).ok())?, row.get("vendor")?))
    })
}

pub(crate) fn set_vendor(
    c: &Connection,
    person: &UserId,
    vendor: Option<&str>,
    at: Timestamp,
    actor: &str,
) -> Result<bool, StoreProblem> {
    if people::person(c, person)?.is_none() {
        return Ok(false);
    }
    match vendor {
        Some(vendor) => c
            .prepare_cached(
                "insert into vendors (person, vendor) values (?1, ?2) on conflict (person) do update set vendor = ?2",
            )?
            .execute(params![person.as_str(), vendor])?,
        None => c.prepare_cached("delete from vendors where person = ?1")?.execute([person.as_str()])?,
    };
    tell(c, at, actor, &Change::PersonChanged { user: person.clone(), roles: None })?;
    Ok(true)
}

fn key(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn read(row: &Row) -> Result<MaintenanceLine, StoreProblem> {
    let people = |text: &str| {
        let kept: Vec<String> = serde_json::from_str(text).ok()?;
        kept.iter().map(|id| UserId::parse(id).ok()).collect()
    };
    Ok(MaintenanceLine {
        number: row.get::<_, i64>("number")?.unsigned_abs(),
        vendor: row.get("vendor")?,
        contract: row.get("contract")?,
        target: row.get("target")?,
        app: rows::parsed_or_none(row, "app", |text| AppId::parse(text).ok())?,
        path: row.get("path")?,
        owner: row.get("owner")?,
        people: rows::parsed(row, "people", people)?,
        note: row.get("note")?,
        changed_at: rows::moment(row, "changed_at")?,
    })
}
