//! The ledger of devices: list, search by anything, export.

use std::time::Duration;

use policy::{DeviceClass, DeviceId, Timestamp};
use store::DeviceRecord;
use url::form_urlencoded::Serializer;

use super::desk::{Desk, Shown};
use super::field::pages;
use super::people::ROWS_MAX;
use super::posted::ago;
use super::view::{Bit, Choice, ConsoleContent, Field, Filter, Go, Mark, Part, Table};
use super::{Duty, csv_file};

const DAY: Duration = Duration::from_secs(24 * 3_600);
/// A device that was not seen for so long is looked for.
const UNSEEN_SPAN: Duration = DAY.saturating_mul(90);
/// A device whose last stock-take is older is due (guideline 6.0: periodic stock-take of the ledger).
const STOCK_SPAN: Duration = DAY.saturating_mul(365);

/// Which devices are asked for.
pub(super) struct Asked {
    words: Vec<String>,
    class: Option<DeviceClass>,
    state: State,
    after: Option<DeviceId>,
}

/// In which state they are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Not revoked.
    Active,
    /// Without any certificate yet.
    Waiting,
    /// Not seen for 90 days.
    Unseen,
    /// Whose certificate ends soon, with no other to follow.
    Expiring,
    /// Whose certificates have all ended.
    Expired,
    /// Whose stock-take is due.
    StockDue,
    Revoked,
    All,
}

impl State {
    const ALL: [Self; 8] = [
        Self::Active,
        Self::Waiting,
        Self::Unseen,
        Self::Expiring,
        Self::Expired,
        Self::StockDue,
        Self::Revoked,
        Self::All,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Waiting => "waiting",
            Self::Unseen => "unseen",
            Self::Expiring => "expiring",
            Self::Expired => "expired",
            Self::StockDue => "stock-due",
            Self::Revoked => "revoked",
            Self::All => "all",
        }
    }

    /// Whether a device is in it.
    pub(super) fn has(self, desk: &Desk<'_>, device: &DeviceRecord) -> bool {
        let in_force = device.revoked_at.is_none();
        let certificate = in_force_until(desk, device);
        match self {
            Self::Active => in_force,
            Self::Waiting => in_force && device.certificates.is_empty(),
            Self::Unseen => in_force && !device.certificates.is_empty() && is_unseen(desk, device),
            Self::Expiring => {
                in_force && certificate.is_some_and(|ends_at| ends_at <= desk.at().after(renewal_span(desk)))
            }
            Self::Expired => in_force && !device.certificates.is_empty() && certificate.is_none(),
            Self::StockDue => in_force && is_stock_due(desk, device),
            Self::Revoked => !in_force,
            Self::All => true,
        }
    }
}

/// Until when some certificate of a device is accepted; `None` if none is.
pub(super) fn in_force_until(desk: &Desk<'_>, device: &DeviceRecord) -> Option<Timestamp> {
    let leaves_at = device.expires_at.unwrap_or(Timestamp::MAX);
    let certificates = device.certificates.iter().filter(|one| one.revoked_at.is_none());
    let ends_at = certificates.map(|one| one.ends_at.min(leaves_at)).max()?;
    (ends_at > desk.at()).then_some(ends_at)
}

fn renewal_span(desk: &Desk<'_>) -> Duration {
    desk.config().devices.renew_before
}

fn is_unseen(desk: &Desk<'_>, device: &DeviceRecord) -> bool {
    device.seen_at.unwrap_or(device.added_at) < ago(desk.at(), UNSEEN_SPAN)
}

/// Whether the stock-take of a device is due.
pub(super) fn is_stock_due(desk: &Desk<'_>, device: &DeviceRecord) -> bool {
    device.stock_taken_at.unwrap_or(device.added_at) < ago(desk.at(), STOCK_SPAN)
}

impl Asked {
    fn read(desk: &Desk<'_>) -> Self {
        let state = desk.asked("state");
        Self {
            words: words(desk.asked("q").as_deref()),
            class: desk.asked("class").and_then(|class| DeviceClass::parse(&class)),
            state: State::ALL.into_iter().find(|one| state.as_deref() == Some(one.as_str())).unwrap_or(State::Active),
            after: desk.asked("after").and_then(|id| DeviceId::parse(&id).ok()),
        }
    }

    fn fits(&self, desk: &Desk<'_>, device: &DeviceRecord) -> bool {
        self.class.is_none_or(|class| device.class == class)
            && self.state.has(desk, device)
            && is_found(&self.words, device)
    }

    fn is_filtered(&self) -> bool {
        !self.words.is_empty() || self.class.is_some() || self.state != State::Active
    }

    fn address(&self, after: Option<&DeviceId>) -> String {
        let mut query = Serializer::new(String::new());
        let words = self.words.join(" ");
        let fields = [
            ("q", (!words.is_empty()).then_some(words.as_str())),
            ("class", self.class.map(DeviceClass::as_str)),
            ("state", Some(self.state.as_str())),
            ("after", after.map(DeviceId::as_str)),
        ];
        query.extend_pairs(fields.into_iter().filter_map(|(name, value)| Some((name, value?))));
        format!("/devices?{}", query.finish())
    }
}

/// What is looked for: words, in lower case.
pub(super) fn words(text: Option<&str>) -> Vec<String> {
    text.unwrap_or_default().split_whitespace().map(str::to_lowercase).collect()
}

/// Whether every word stands somewhere in what the ledger says of a device, its certificates too.
pub(super) fn is_found(words: &[String], device: &DeviceRecord) -> bool {
    let DeviceRecord { id, class: _, asset, owner, place, os, os_version, certificates, .. } = device;
    let mut texts: Vec<String> =
        [id.as_str(), asset, owner, place, os, os_version].into_iter().map(str::to_lowercase).collect();
    for certificate in certificates {
        texts.push(certificate.fingerprint.to_string());
        texts.push(certificate.serial.to_lowercase());
    }
    words.iter().all(|word| texts.iter().any(|text| text.contains(word.as_str())))
}

/// The list.
pub(super) async fn devices(desk: &Desk<'_>) -> Shown {
    let asked = Asked::read(desk);
    let ledger = desk.store().devices().await?;
    let fitting: Vec<&DeviceRecord> = ledger.iter().filter(|device| asked.fits(desk, device)).collect();
    let count = fitting.len();
    let rest = fitting.into_iter().filter(|device| asked.after.as_ref().is_none_or(|after| device.id > *after));
    let mut shown: Vec<&DeviceRecord> = rest.take(ROWS_MAX + 1).collect();
    let has_more = shown.len() > ROWS_MAX;
    shown.truncate(ROWS_MAX);
    let last = shown.last().filter(|_| has_more).map(|device| &device.id);
    let heads =
        ["console-device", "console-class", "console-place", "console-os", "console-last-seen", "console-until"];
    let table = Table {
        id: "devices",
        heading: desk.say_with("console-devices-table", "count", &count.to_string()),
        heads: heads.map(|head| desk.say(head)).into(),
        rows: shown.iter().map(|device| row(desk, device)).collect(),
        empty: desk.say(if asked.is_filtered() { "console-none-fit" } else { "console-devices-none" }),
        note: None,
        pages: pages(
            asked.after.is_some().then(|| Go::new(desk.say("console-first-page"), asked.address(None))),
            last.map(|last| Go::new(desk.say("console-next-page"), asked.address(Some(last)))),
        ),
    };
    Ok(desk.show(ConsoleContent {
        title: desk.say("console-devices"),
        lead: Some(desk.say("console-devices-lead")),
        actions: actions(desk),
        parts: vec![Part::Filter(filter(desk, &asked)), Part::Table(table)],
        ..ConsoleContent::default()
    }))
}

fn actions(desk: &Desk<'_>) -> Vec<Go> {
    let mut actions = Vec::new();
    if desk.is(Duty::Administer) {
        actions.push(Go::main(desk.say("console-new-device"), "/new-device"));
        actions.push(Go::new(desk.say("console-stock"), "/stock-take"));
        actions.push(Go::new(desk.say("console-import"), "/import-devices"));
    }
    if desk.is(Duty::Inspect) {
        actions.push(Go::new(desk.say("console-export"), "/devices.csv"));
    }
    actions
}

fn filter(desk: &Desk<'_>, asked: &Asked) -> Filter {
    let any = Choice::new("", desk.say("console-any"), asked.class.is_none());
    let class = |class: DeviceClass| Choice::new(class.as_str(), desk.class_name(class), asked.class == Some(class));
    let state = |state: State| {
        let label = desk.say(&format!("console-devices-state-{}", state.as_str()));
        Choice::new(state.as_str(), label, state == asked.state)
    };
    Filter {
        label: desk.say("console-devices-search"),
        action: "/devices".to_owned(),
        fields: vec![
            Field::search(desk.say("console-devices-text"), Some(&asked.words.join(" "))),
            Field::choice(
                "filter",
                "class",
                desk.say("console-class"),
                [any].into_iter().chain(DeviceClass::ALL.map(class)).collect(),
            ),
            Field::choice("filter", "state", desk.say("console-state"), State::ALL.map(state).into()),
        ],
        button: desk.say("console-search"),
        clear: asked.is_filtered().then(|| Go::new(desk.say("console-clear"), "/devices")),
    }
}

fn row(desk: &Desk<'_>, device: &DeviceRecord) -> Vec<Vec<Bit>> {
    let name = [Bit::link(device.id.as_str(), format!("/devices/{}", device.id)), Bit::soft(&device.asset)];
    let until = in_force_until(desk, device);
    vec![
        name.into_iter().chain(marks(desk, device).into_iter().map(Bit::Mark)).collect(),
        vec![Bit::Text(desk.class_name(device.class))],
        vec![Bit::text(&device.place), Bit::soft(&device.owner)],
        vec![Bit::Text(format!("{} {}", device.os, device.os_version))],
        vec![Bit::Text(device.seen_at.map_or_else(|| desk.say("console-never-yet"), |at| desk.minute(at)))],
        vec![Bit::Text(until.map_or_else(|| desk.say("console-none"), |at| desk.day(at)))],
    ]
}

/// The states of a device that somebody should notice.
pub(super) fn marks(desk: &Desk<'_>, device: &DeviceRecord) -> Vec<Mark> {
    if device.revoked_at.is_some() {
        return vec![Mark::bad(desk.say("console-mark-revoked"))];
    }
    let noticed = [State::Waiting, State::Unseen, State::Expiring, State::Expired, State::StockDue];
    let mark = |state: State| {
        let text = desk.say(&format!("console-mark-{}", state.as_str()));
        if state == State::Expired { Mark::bad(text) } else { Mark::warn(text) }
    };
    noticed.into_iter().filter(|state| state.has(desk, device)).map(mark).collect()
}

/// The ledger as CSV.
pub(super) async fn export(desk: &Desk<'_>) -> Shown {
    let text = desk.site.parts.devices.write_csv(desk.config().offset).await?;
    desk.note_reading("devices-export", None).await?;
    Ok(csv_file(desk, "devices", text))
}
