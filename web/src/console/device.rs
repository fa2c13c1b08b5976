//! One device: what the ledger says of it, its certificates, posture and sessions, and what was done to it.

use std::time::Duration;

use policy::{DeviceClass, DeviceId, Fingerprint, Timestamp};
use store::{CertificateIssuer, CertificateRecord, DeviceChange, DeviceRecord, SessionRecord, SessionsOf};

use super::Duty;
use super::desk::{Desk, Refused, Shown};
use super::devices::{in_force_until, marks};
use super::person::{methods, session_marks};
use super::posted::{Posted, ago};
use super::record::needle;
use super::view::{Bit, Choice, ConsoleContent, Facts, Field, Form, Go, Mark, Part, Submit, Table};
use crate::Fault;

/// The longest text of the ledger, in characters.
pub(super) const TEXT_CHARS_MAX: usize = 200;
const ONE_DAY: Duration = Duration::from_secs(24 * 3_600);

impl Desk<'_> {
    /// The device that the path names.
    pub(super) async fn device(&self) -> Result<DeviceRecord, Refused> {
        let id = DeviceId::parse(self.named(1)).map_err(|_| Fault::NotFound)?;
        Ok(self.store().device(&id).await?.ok_or(Fault::NotFound)?)
    }

    /// A class of devices as people read it.
    pub(super) fn class_name(&self, class: DeviceClass) -> String {
        self.say(&format!("device-{}", class.as_str()))
    }
}

/// The page.
pub(super) async fn device(desk: &Desk<'_>) -> Shown {
    let device = desk.device().await?;
    Ok(desk.show(content(desk, &device).await?))
}

/// What the page says, for showing it again where something stood in the way.
pub(super) async fn content(desk: &Desk<'_>, device: &DeviceRecord) -> Result<ConsoleContent, Refused> {
    let in_force = device.revoked_at.is_none();
    let mut parts = vec![
        Part::Facts(facts(desk, device)),
        Part::Table(certificates(desk, device)),
        Part::Table(posture(desk, device).await?),
        Part::Table(sessions(desk, device).await?),
    ];
    if desk.is(Duty::Administer) && in_force {
        parts.push(Part::Form(super::device_form::invite_again_form(desk, device)));
        parts.push(Part::Form(change_form(desk, device)));
    }
    parts.push(Part::Table(changes(desk, device).await?));
    Ok(ConsoleContent {
        title: device.id.to_string(),
        up: Some(Go::new(desk.say("console-devices"), "/devices")),
        marks: marks(desk, device),
        actions: actions(desk, device),
        parts,
        ..ConsoleContent::default()
    })
}

/// What was done to a device; sign-ins on it are another table.
async fn changes(desk: &Desk<'_>, device: &DeviceRecord) -> Result<Table, Refused> {
    let needle = needle("dev", device.id.as_str());
    let of_ledger = [r#""ev":"device-"#, r#""ev":"certificate-"#, r#""ev":"invitation-"#, r#""ev":"posture-"#];
    let found = desk.look(super::record::Reach::Near, move |line| {
        line.contains(&needle) && of_ledger.iter().any(|event| line.contains(event))
    });
    let found = found.await?;
    Ok(desk.trail("console-changes", found))
}

fn actions(desk: &Desk<'_>, device: &DeviceRecord) -> Vec<Go> {
    let (in_force, place) = (device.revoked_at.is_none(), format!("/devices/{}", device.id));
    let mut actions = Vec::new();
    if in_force && desk.is(Duty::Help) {
        actions.push(Go::stop(desk.say("console-lost"), format!("{place}/lost")));
    }
    if in_force && desk.is(Duty::Administer) {
        actions.push(Go::stop(desk.say("console-revoke-device"), format!("{place}/revoke")));
    }
    if may_see_trail(desk, device) {
        actions.push(Go::new(desk.say("console-device-trail"), format!("{place}/trail")));
    }
    actions
}

/// Whether who asks may see what was opened from a device: who sees everything, and the help desk where the device is
/// gone and that is what must be known.
pub(super) fn may_see_trail(desk: &Desk<'_>, device: &DeviceRecord) -> bool {
    desk.is(Duty::Inspect) || (desk.is(Duty::Help) && device.revoked_at.is_some())
}

fn facts(desk: &Desk<'_>, device: &DeviceRecord) -> Facts {
    let never = || desk.say("console-never-yet");
    let until = in_force_until(desk, device).map_or_else(|| desk.say("console-none"), |at| desk.day(at));
    let leaves = device.expires_at.map_or_else(|| desk.say("console-never"), |at| last_day(desk, at));
    let mut rows = vec![
        ("console-class", Bit::Text(desk.class_name(device.class))),
        ("console-asset", Bit::text(&device.asset)),
        ("console-owner", Bit::text(&device.owner)),
        ("console-place", Bit::text(&device.place)),
        ("console-os", Bit::Text(format!("{} {}", device.os, device.os_version))),
        ("console-last-seen", Bit::Text(device.seen_at.map_or_else(never, |at| desk.minute(at)))),
        ("console-certificate-until", Bit::Text(until)),
        ("console-leaves", Bit::Text(leaves)),
        ("console-stock-taken", Bit::Text(device.stock_taken_at.map_or_else(never, |at| desk.day(at)))),
        ("console-added", Bit::Moment(desk.day(device.added_at))),
    ];
    if let Some(at) = device.revoked_at {
        rows.push(("console-revoked", Bit::Moment(desk.minute(at))));
    }
    let rows = rows.into_iter().map(|(label, bit)| (desk.say(label), vec![bit])).collect();
    Facts { id: "facts", heading: desk.say("console-device-facts"), rows }
}

fn certificates(desk: &Desk<'_>, device: &DeviceRecord) -> Table {
    let may_revoke = desk.is(Duty::Administer);
    let heads = ["console-certificate", "console-issuer", "console-issued", "console-until"];
    let row = |certificate: &CertificateRecord| {
        let fingerprint = certificate.fingerprint.to_string();
        let short: String = fingerprint.chars().take(16).collect();
        let mut first = vec![Bit::Mono(short), Bit::Mark(certificate_mark(desk, certificate))];
        if may_revoke && certificate.revoked_at.is_none() && certificate.ends_at > desk.at() {
            let place = format!("/devices/{}/certificates/{fingerprint}/revoke", device.id);
            first.push(Bit::link(desk.say("console-revoke"), place));
        }
        vec![
            first,
            vec![Bit::Text(desk.say(issuer_key(certificate.issuer))), Bit::soft(&certificate.serial)],
            vec![Bit::Moment(desk.minute(certificate.issued_at))],
            vec![Bit::Moment(desk.minute(certificate.ends_at))],
        ]
    };
    Table {
        id: "certificates",
        heading: desk.say("console-certificates"),
        heads: heads.map(|head| desk.say(head)).into(),
        rows: device.certificates.iter().rev().map(row).collect(),
        empty: desk.say("console-certificates-none"),
        note: None,
        pages: Vec::new(),
    }
}

fn certificate_mark(desk: &Desk<'_>, certificate: &CertificateRecord) -> Mark {
    if certificate.revoked_at.is_some() {
        Mark::bad(desk.say("console-mark-revoked"))
    } else if certificate.ends_at <= desk.at() {
        Mark::bad(desk.say("console-mark-expired"))
    } else {
        Mark::good(desk.say("console-mark-in-force"))
    }
}

fn issuer_key(issuer: CertificateIssuer) -> &'static str {
    match issuer {
        CertificateIssuer::Own => "console-issuer-own",
        CertificateIssuer::Est => "console-issuer-est",
        CertificateIssuer::Foreign => "console-issuer-foreign",
    }
}

async fn posture(desk: &Desk<'_>, device: &DeviceRecord) -> Result<Table, Refused> {
    let rows = desk.store().posture().await?;
    let theirs = rows.iter().filter(|row| row.device == device.id);
    let heads = ["console-attribute", "console-value", "console-source", "console-as-of", "console-until"];
    Ok(Table {
        id: "posture",
        heading: desk.say("console-posture"),
        heads: heads.map(|head| desk.say(head)).into(),
        rows: theirs
            .map(|row| {
                let stale =
                    (row.expires_at <= desk.at()).then(|| Bit::Mark(Mark::warn(desk.say("console-mark-stale"))));
                vec![
                    [Bit::text(row.name.as_str())].into_iter().chain(stale).collect(),
                    vec![Bit::text(&row.value)],
                    vec![Bit::text(row.source.as_str())],
                    vec![Bit::Moment(desk.minute(row.at))],
                    vec![Bit::Moment(desk.minute(row.expires_at))],
                ]
            })
            .collect(),
        empty: desk.say("console-posture-none"),
        note: None,
        pages: Vec::new(),
    })
}

async fn sessions(desk: &Desk<'_>, device: &DeviceRecord) -> Result<Table, Refused> {
    let open = desk.store().sessions_of(SessionsOf::Device(device.id.clone())).await?;
    let heads = ["console-person", "console-methods", "console-since", "console-last-used"];
    let row = |session: &SessionRecord, person: &store::Person| {
        let mut first = vec![Bit::link(&person.name, format!("/people/{}", person.id)), Bit::soft(&person.login)];
        first.extend(session_marks(desk, session).into_iter().map(Bit::Mark));
        if desk.may_touch(person) {
            first.push(Bit::link(desk.say("console-end"), format!("/sessions/{}/end", session.id)));
        }
        vec![
            first,
            vec![Bit::Text(methods(desk, session))],
            vec![Bit::Moment(desk.minute(session.opened_at))],
            vec![Bit::Moment(desk.minute(session.seen_at))],
        ]
    };
    Ok(Table {
        id: "sessions",
        heading: desk.say("console-sessions"),
        heads: heads.map(|head| desk.say(head)).into(),
        rows: open.iter().map(|(session, person)| row(session, person)).collect(),
        empty: desk.say("console-sessions-none"),
        note: None,
        pages: Vec::new(),
    })
}

/// The fields that the ledger keeps of a device; `form` makes their ids unique.
pub(super) fn fields(desk: &Desk<'_>, form: &str, device: Option<&DeviceRecord>) -> Vec<Field> {
    let of = |text: fn(&DeviceRecord) -> &String| device.map(text).cloned().unwrap_or_default();
    let class = device.map_or(DeviceClass::Fixed, |device| device.class);
    let choice = |one: DeviceClass| Choice::new(one.as_str(), desk.class_name(one), one == class);
    let leaves_at = device.and_then(|device| device.expires_at).map_or_else(String::new, |at| last_day(desk, at));
    let text = |name, key: &str, value| Field::text(form, name, desk.say(key), value, TEXT_CHARS_MAX);
    vec![
        Field::choice(form, "class", desk.say("console-class"), DeviceClass::ALL.map(choice).into())
            .hinted(desk.say("console-class-hint")),
        text("asset", "console-asset", of(|device| &device.asset)),
        text("owner", "console-owner", of(|device| &device.owner)),
        text("place", "console-place", of(|device| &device.place)),
        text("os", "console-os-name", of(|device| &device.os)),
        text("os_version", "console-os-version", of(|device| &device.os_version)),
        Field::day(form, "leaves", desk.say("console-leaves"), leaves_at).hinted(desk.say("console-leaves-hint")),
    ]
}

/// The last day before a moment.
fn last_day(desk: &Desk<'_>, at: Timestamp) -> String {
    desk.day(ago(at, Duration::from_micros(1)))
}

fn change_form(desk: &Desk<'_>, device: &DeviceRecord) -> Form {
    Form {
        id: "change",
        heading: desk.say("console-device-change"),
        lead: Some(desk.say("console-device-change-lead")),
        action: format!("/devices/{}/change", device.id),
        with_file: false,
        fields: fields(desk, "change", Some(device)),
        buttons: Submit::main(desk.say("console-save")),
        back: None,
        folded: true,
    }
}

/// What somebody typed into the form of a device.
pub(super) fn typed(desk: &Desk<'_>, form: &Posted) -> Result<DeviceChange, Refused> {
    let line = |name| form.line(name, TEXT_CHARS_MAX).map(Some);
    let leaves = form.line("leaves", 10)?;
    let leaves_at = match leaves.as_str() {
        "" => None,
        // The day that is typed is the last one in service.
        day => Some(Timestamp::parse_date(day, desk.config().offset).ok_or(Fault::BadRequest)?.after(ONE_DAY)),
    };
    Ok(DeviceChange {
        class: Some(DeviceClass::parse(form.raw("class")).ok_or(Fault::BadRequest)?),
        asset: line("asset")?,
        owner: line("owner")?,
        place: line("place")?,
        os: line("os")?,
        os_version: line("os_version")?,
        expires_at: Some(leaves_at),
        stock_taken_at: None,
    })
}

/// Changes what the ledger says of a device.
pub(super) async fn change(desk: &Desk<'_>) -> Shown {
    let device = desk.device().await?;
    let change = typed(desk, &Posted::read(desk.request)?)?;
    let changed = desk.store().change_device(&device.id, change, desk.at(), desk.actor()).await?;
    Ok(desk.go(&format!("/devices/{}", device.id), if changed { "device-changed" } else { "nothing-changed" }))
}

/// The certificate that the path names, of this device.
pub(super) fn certificate<'a>(desk: &Desk<'_>, device: &'a DeviceRecord) -> Result<&'a CertificateRecord, Refused> {
    let fingerprint = Fingerprint::parse(desk.named(3)).ok_or(Fault::NotFound)?;
    Ok(device.certificates.iter().find(|one| one.fingerprint == fingerprint).ok_or(Fault::NotFound)?)
}
