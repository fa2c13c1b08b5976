//! What is done to devices: entering one, inviting it to enrol, stock-take, revoking it or one of its certificates.

use policy::DeviceId;
use store::{DeviceChange, DeviceRecord, DeviceWrite, StoreProblem};

use super::desk::{Desk, Shown};
use super::device::{certificate, content, fields, typed};
use super::devices::{State, is_found, words};
use super::invite::{CodeFor, INVITATION_HOURS, chosen_hours, hours, slip};
use super::posted::Posted;
use super::view::MarkTone;
use super::view::{Bit, Choice, ConsoleContent, Facts, Field, Filter, Form, Go, Part, Submit, Words};
use crate::Fault;

/// The most devices that one page of a stock-take offers.
const STOCK_ROWS_MAX: usize = 200;

/// The form for a new device.
pub(super) fn ask_new(desk: &Desk<'_>) -> Shown {
    Ok(desk.show(new_page(desk, "", None)))
}

fn new_page(desk: &Desk<'_>, name: &str, typed: Option<&DeviceRecord>) -> ConsoleContent {
    let id = Field::text("new", "id", desk.say("console-device-id"), name, policy::NAME_BYTES_MAX)
        .required()
        .hinted(desk.say("console-device-id-hint"));
    let form = Form {
        id: "new",
        heading: desk.say("console-new-device-form"),
        lead: Some(desk.say("console-new-device-lead")),
        action: "/new-device".to_owned(),
        with_file: false,
        fields: [id]
            .into_iter()
            .chain(fields(desk, "new", typed))
            .chain([hours(desk, "new", &INVITATION_HOURS)])
            .collect(),
        buttons: Submit::main(desk.say("console-new-device-button")),
        back: Some(Go::new(desk.say("console-cancel"), "/devices")),
        folded: false,
    };
    ConsoleContent {
        title: desk.say("console-new-device"),
        up: Some(Go::new(desk.say("console-devices"), "/devices")),
        parts: vec![Part::Form(form)],
        ..ConsoleContent::default()
    }
}

/// Enters a device in the ledger and invites it to enrol.
pub(super) async fn invite(desk: &Desk<'_>) -> Shown {
    let form = Posted::read(desk.request)?;
    let (span, name) = (chosen_hours(&form, &INVITATION_HOURS)?, form.line("id", policy::NAME_BYTES_MAX)?);
    let change = typed(desk, &form)?;
    let Ok(id) = DeviceId::parse(&name) else {
        let shown = entered(desk, DeviceId::parse("x").map_err(|_| Fault::Internal)?, change);
        return Ok(desk.show_problem(desk.say("console-problem-device-id"), new_page(desk, &name, Some(&shown))));
    };
    let device = entered(desk, id, change);
    match desk.store().add_device(device.clone(), desk.actor()).await {
        Ok(()) => invitation(desk, &device, span).await,
        Err(StoreProblem::Exists(_)) => {
            Ok(desk.show_problem(desk.say("console-problem-device-exists"), new_page(desk, &name, Some(&device))))
        }
        Err(problem) => Err(problem.into()),
    }
}

/// A device as it was typed.
fn entered(desk: &Desk<'_>, id: DeviceId, change: DeviceChange) -> DeviceRecord {
    let DeviceChange { class, asset, owner, place, os, os_version, expires_at, stock_taken_at: _ } = change;
    DeviceRecord {
        asset: asset.unwrap_or_default(),
        owner: owner.unwrap_or_default(),
        place: place.unwrap_or_default(),
        os: os.unwrap_or_default(),
        os_version: os_version.unwrap_or_default(),
        expires_at: expires_at.flatten(),
        stock_taken_at: Some(desk.at()),
        ..DeviceRecord::new(id, class.unwrap_or(policy::DeviceClass::Fixed), desk.at())
    }
}

async fn invitation(desk: &Desk<'_>, device: &DeviceRecord, span: std::time::Duration) -> Shown {
    match desk.site.parts.people.invite_device(&device.id, span, "", &desk.actor(), desk.at()).await {
        Ok(made) => Ok(slip(desk, &made, CodeFor::Device, device.id.as_str(), &format!("/devices/{}", device.id))),
        Err(problem) => Ok(desk.show_problem(desk.people_problem(problem)?, content(desk, device).await?)),
    }
}

/// Invites a known device to enrol again.
pub(super) fn invite_again_form(desk: &Desk<'_>, device: &DeviceRecord) -> Form {
    Form {
        id: "invite",
        heading: desk.say("console-invite-device"),
        lead: Some(desk.say("console-invite-device-lead")),
        action: format!("/devices/{}/invite", device.id),
        with_file: false,
        fields: vec![hours(desk, "invite", &INVITATION_HOURS)],
        buttons: Submit::main(desk.say("console-invite-button")),
        back: None,
        folded: true,
    }
}

/// Invites a known device.
pub(super) async fn invite_again(desk: &Desk<'_>) -> Shown {
    let device = desk.device().await?;
    let span = chosen_hours(&Posted::read(desk.request)?, &INVITATION_HOURS)?;
    invitation(desk, &device, span).await
}

/// The devices whose stock-take is due.
pub(super) async fn ask_stock_take(desk: &Desk<'_>) -> Shown {
    let text = desk.asked("q");
    let wanted = words(text.as_deref());
    let ledger = desk.store().devices().await?;
    let fits = |device: &&DeviceRecord| State::StockDue.has(desk, device) && is_found(&wanted, device);
    let due: Vec<&DeviceRecord> = ledger.iter().filter(fits).collect();
    let choice = |device: &&DeviceRecord| {
        let known = [device.asset.as_str(), &device.place, &device.owner];
        let known: Vec<&str> = known.into_iter().filter(|text| !text.is_empty()).collect();
        let taken = device.stock_taken_at.map_or_else(|| desk.say("console-never-yet"), |at| desk.day(at));
        Choice::new(device.id.as_str(), format!("{} ({}) {taken}", device.id, known.join(" / ")), false)
    };
    let filter = Filter {
        label: desk.say("console-devices-search"),
        action: "/stock-take".to_owned(),
        fields: vec![Field::search(desk.say("console-devices-text"), text.as_deref())],
        button: desk.say("console-search"),
        clear: (!wanted.is_empty()).then(|| Go::new(desk.say("console-clear"), "/stock-take")),
    };
    let list = if due.is_empty() {
        Part::Words(Words {
            id: "due",
            heading: desk.say("console-stock-due"),
            tone: MarkTone::Good,
            lines: vec![desk.say("console-stock-none")],
            links: Vec::new(),
        })
    } else {
        Part::Form(Form {
            id: "due",
            heading: desk.say("console-stock-due"),
            lead: (due.len() > STOCK_ROWS_MAX).then(|| desk.say("console-list-cut")),
            action: "/stock-take".to_owned(),
            with_file: false,
            fields: vec![Field::some_of(
                "due",
                "device",
                desk.say("console-stock-seen"),
                due.iter().take(STOCK_ROWS_MAX).map(choice).collect(),
            )],
            buttons: Submit::main(desk.say("console-stock-button")),
            back: None,
            folded: false,
        })
    };
    Ok(desk.show(ConsoleContent {
        title: desk.say("console-stock"),
        lead: Some(desk.say("console-stock-lead")),
        up: Some(Go::new(desk.say("console-devices"), "/devices")),
        parts: vec![Part::Filter(filter), list],
        ..ConsoleContent::default()
    }))
}

/// Notes that devices were seen in their place; all that were ticked, or none.
pub(super) async fn take_stock(desk: &Desk<'_>) -> Shown {
    let form = Posted::read(desk.request)?;
    let mut writes = Vec::new();
    for id in form.all("device") {
        let id = DeviceId::parse(id).map_err(|_| Fault::BadRequest)?;
        let change = DeviceChange { stock_taken_at: Some(Some(desk.at())), ..DeviceChange::default() };
        writes.push(DeviceWrite::Change(id, change));
    }
    if writes.is_empty() {
        return Ok(desk.go("/stock-take", "nothing-changed"));
    }
    match desk.store().write_devices(writes, desk.at(), desk.actor()).await {
        Ok(()) => Ok(desk.go("/stock-take", "stock-taken")),
        Err(StoreProblem::NotInForce(_)) => Err(Fault::NotFound.into()),
        Err(problem) => Err(problem.into()),
    }
}

/// Asks whether to revoke a device.
pub(super) async fn ask_revoke(desk: &Desk<'_>) -> Shown {
    let device = desk.device().await?;
    let place = format!("/devices/{}", device.id);
    Ok(desk.show(ask(desk, &device, "revoke-device", format!("{place}/revoke"), Vec::new())))
}

/// Revokes a device.
pub(super) async fn revoke(desk: &Desk<'_>) -> Shown {
    let device = desk.device().await?;
    if desk.request.device.as_ref().is_some_and(|own| own.id == device.id) {
        let page = content(desk, &device).await?;
        return Ok(desk.show_problem(desk.say("console-problem-own-device"), page));
    }
    let revoked = desk.store().revoke_device(&device.id, desk.at(), desk.actor()).await?;
    Ok(desk.go(&format!("/devices/{}", device.id), if revoked { "device-revoked" } else { "nothing-changed" }))
}

/// Asks whether to revoke one certificate of a device.
pub(super) async fn ask_revoke_certificate(desk: &Desk<'_>) -> Shown {
    let device = desk.device().await?;
    let certificate = certificate(desk, &device)?;
    let fingerprint = certificate.fingerprint.to_string();
    let more = vec![
        (desk.say("console-certificate"), vec![Bit::Mono(fingerprint.clone())]),
        (desk.say("console-until"), vec![Bit::Moment(desk.minute(certificate.ends_at))]),
    ];
    let action = format!("/devices/{}/certificates/{fingerprint}/revoke", device.id);
    Ok(desk.show(ask(desk, &device, "revoke-certificate", action, more)))
}

/// Revokes one certificate of a device.
pub(super) async fn revoke_certificate(desk: &Desk<'_>) -> Shown {
    let device = desk.device().await?;
    let fingerprint = certificate(desk, &device)?.fingerprint;
    let revoked = desk.store().revoke_certificate(&device.id, &fingerprint, desk.at(), desk.actor()).await?;
    let done = if revoked { "certificate-revoked" } else { "nothing-changed" };
    Ok(desk.go(&format!("/devices/{}", device.id), done))
}

/// The page that asks before something of a device ends; `word` begins the keys of its texts.
pub(super) fn ask(
    desk: &Desk<'_>,
    device: &DeviceRecord,
    word: &str,
    action: String,
    more: Vec<(String, Vec<Bit>)>,
) -> ConsoleContent {
    let place = format!("/devices/{}", device.id);
    let known = vec![
        (desk.say("console-device"), vec![Bit::text(device.id.as_str())]),
        (desk.say("console-class"), vec![Bit::Text(desk.class_name(device.class))]),
        (desk.say("console-asset"), vec![Bit::text(&device.asset)]),
        (desk.say("console-owner"), vec![Bit::text(&device.owner)]),
        (desk.say("console-place"), vec![Bit::text(&device.place)]),
    ];
    let form = Form {
        id: "ask",
        heading: desk.say(&format!("console-{word}-form")),
        lead: Some(desk.say(&format!("console-{word}-what"))),
        action,
        with_file: false,
        fields: Vec::new(),
        buttons: Submit::stop(desk.say(&format!("console-{word}-button"))),
        back: Some(Go::new(desk.say("console-cancel"), place.clone())),
        folded: false,
    };
    ConsoleContent {
        title: desk.say(&format!("console-{word}-title")),
        up: Some(Go::new(device.id.to_string(), place)),
        parts: vec![
            Part::Facts(Facts {
                id: "facts",
                heading: desk.say("console-device-facts"),
                rows: known.into_iter().chain(more).collect(),
            }),
            Part::Form(form),
        ],
        ..ConsoleContent::default()
    }
}
