//! Posture: what MDM and EDR say of every device; what is out of time is marked.

use std::collections::BTreeMap;

use policy::DeviceId;
use store::PostureRow;
use url::form_urlencoded::Serializer;

use super::desk::{Desk, Shown};
use super::field::pages;
use super::people::ROWS_MAX;
use super::view::{Bit, Choice, ConsoleContent, Field, Filter, Go, Mark, Part, Table};

/// The list by device.
pub(super) async fn posture(desk: &Desk<'_>) -> Shown {
    let text = desk.asked("q").map(|text| text.to_lowercase());
    let only_stale = desk.asked("state").as_deref() == Some("stale");
    let after = desk.asked("after").and_then(|id| DeviceId::parse(&id).ok());
    let rows = desk.store().posture().await?;
    let mut devices: BTreeMap<&DeviceId, Vec<&PostureRow>> = BTreeMap::new();
    for row in &rows {
        devices.entry(&row.device).or_default().push(row);
    }
    let is_stale = |row: &&PostureRow| row.expires_at <= desk.at();
    devices.retain(|device, rows| {
        let is_named = text.as_ref().is_none_or(|text| {
            let about = |row: &&PostureRow| format!("{}={} {}", row.name, row.value, row.source).to_lowercase();
            device.as_str().contains(text.as_str()) || rows.iter().any(|row| about(row).contains(text.as_str()))
        });
        is_named && (!only_stale || rows.iter().any(is_stale))
    });
    let count = devices.len();
    let rest = devices.into_iter().filter(|(device, _)| after.as_ref().is_none_or(|after| *device > after));
    let mut shown: Vec<(&DeviceId, Vec<&PostureRow>)> = rest.take(ROWS_MAX + 1).collect();
    let has_more = shown.len() > ROWS_MAX;
    shown.truncate(ROWS_MAX);
    let last = shown.last().filter(|_| has_more).map(|(device, _)| *device);
    let address = |after: Option<&DeviceId>| {
        let mut query = Serializer::new(String::new());
        query.append_pair("q", text.as_deref().unwrap_or_default());
        query.append_pair("state", if only_stale { "stale" } else { "all" });
        query.extend_pairs(after.map(|after| ("after", after.as_str())));
        format!("/posture?{}", query.finish())
    };
    let heads = ["console-device", "console-attributes", "console-source", "console-as-of", "console-until"];
    let is_filtered = text.is_some() || only_stale;
    let table = Table {
        id: "posture",
        heading: desk.say_with("console-posture-table", "count", &count.to_string()),
        heads: heads.map(|head| desk.say(head)).into(),
        rows: shown.iter().map(|(device, rows)| row(desk, device, rows)).collect(),
        empty: desk.say(if is_filtered { "console-none-fit" } else { "console-posture-none" }),
        note: None,
        pages: pages(
            after.is_some().then(|| Go::new(desk.say("console-first-page"), address(None))),
            last.map(|last| Go::new(desk.say("console-next-page"), address(Some(last)))),
        ),
    };
    let state =
        |value: &str, chosen: bool| Choice::new(value, desk.say(&format!("console-posture-state-{value}")), chosen);
    let filter = Filter {
        label: desk.say("console-posture-search"),
        action: "/posture".to_owned(),
        fields: vec![
            Field::search(desk.say("console-posture-text"), text.as_deref()),
            Field::choice(
                "filter",
                "state",
                desk.say("console-state"),
                vec![state("all", !only_stale), state("stale", only_stale)],
            ),
        ],
        button: desk.say("console-search"),
        clear: is_filtered.then(|| Go::new(desk.say("console-clear"), "/posture")),
    };
    Ok(desk.show(ConsoleContent {
        title: desk.say("console-posture"),
        lead: Some(desk.say("console-posture-lead")),
        parts: vec![Part::Filter(filter), Part::Table(table)],
        ..ConsoleContent::default()
    }))
}

fn row(desk: &Desk<'_>, device: &DeviceId, rows: &[&PostureRow]) -> Vec<Vec<Bit>> {
    let is_stale = |row: &PostureRow| row.expires_at <= desk.at();
    let stale = rows.iter().any(|row| is_stale(row)).then(|| Bit::Mark(Mark::warn(desk.say("console-mark-stale"))));
    let attribute = |row: &&PostureRow| {
        let text = format!("{}={}", row.name, row.value);
        Bit::Mark(if is_stale(row) { Mark::warn(text) } else { Mark::plain(text) })
    };
    let mut sources: Vec<&str> = rows.iter().map(|row| row.source.as_str()).collect();
    sources.dedup();
    let oldest = rows.iter().map(|row| row.at).min();
    let until = rows.iter().map(|row| row.expires_at).min();
    let moment = |at: Option<policy::Timestamp>| vec![Bit::Text(at.map_or_else(String::new, |at| desk.minute(at)))];
    vec![
        [Bit::link(device.as_str(), format!("/devices/{device}"))].into_iter().chain(stale).collect(),
        rows.iter().map(attribute).collect(),
        vec![Bit::Text(sources.join(", "))],
        moment(oldest),
        moment(until),
    ]
}
