//! Looking at the ledger.

use std::time::Duration;

use config::Config;
use policy::Timestamp;
use serde_json::json;
use store::DeviceRecord;

use super::{device_class, unavailable};
use crate::cli::{ConfigArg, Format, block_on, open_store, out, table};
use crate::clock;
use crate::failure::Failure;

const DAY: Duration = Duration::from_secs(86_400);

/// Which devices to list.
#[derive(clap::Args, Debug)]
pub struct Which {
    /// Found in name, asset number, owner, place or operating system.
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Of this class.
    #[arg(long)]
    class: Option<String>,
}

/// `device list`.
pub fn list(which: &Which, config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let class = which.class.as_deref().map(device_class).transpose()?;
    let wanted = which.search.as_deref().map(str::to_lowercase);
    let fits = |device: &DeviceRecord| {
        let texts = [device.id.as_str(), &device.asset, &device.owner, &device.place, &device.os];
        let is_found = |wanted: &String| texts.iter().any(|text| text.to_lowercase().contains(wanted));
        class.is_none_or(|class| device.class == class) && wanted.as_ref().is_none_or(is_found)
    };
    show(config, format, |_| true, fits)
}

/// `device unseen`.
pub fn unseen(days: u32, config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let at = clock::now();
    show(config, format, in_force, |device| is_unseen(device, DAY * days, at))
}

/// `device stock-take` without devices.
pub fn waiting_for_stock_take(within: Duration, config: &ConfigArg, format: Format) -> Result<(), Failure> {
    let at = clock::now();
    let waits = |device: &DeviceRecord| at.since(device.stock_taken_at.unwrap_or(device.added_at)) > within;
    show(config, format, in_force, waits)
}

/// Whether the ledger has it in force.
pub fn in_force(device: &DeviceRecord) -> bool {
    device.revoked_at.is_none()
}

/// Whether nobody saw it for that long.
pub fn is_unseen(device: &DeviceRecord, span: Duration, at: Timestamp) -> bool {
    at.since(device.seen_at.unwrap_or(device.added_at)) > span
}

fn show(
    config: &ConfigArg,
    format: Format,
    among: impl Fn(&DeviceRecord) -> bool,
    fits: impl Fn(&DeviceRecord) -> bool,
) -> Result<(), Failure> {
    let config = config.read()?;
    let store = open_store(&config)?;
    let devices = block_on(async { store.devices().await.map_err(unavailable) })?;
    let devices: Vec<&DeviceRecord> = devices.iter().filter(|device| among(device) && fits(device)).collect();
    match format {
        Format::Json => devices.iter().for_each(|device| out::say(&as_json(device))),
        Format::Text => {
            let at = clock::now();
            let rows: Vec<_> = devices.iter().map(|device| row(device, &config, at)).collect();
            out::say(&table(&["DEVICE", "CLASS", "STATE", "CERTIFICATE UNTIL", "LAST SEEN", "ASSET", "PLACE"], &rows));
        }
    }
    Ok(())
}

fn as_json(device: &DeviceRecord) -> String {
    let text = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let certificates: Vec<_> = device
        .certificates
        .iter()
        .map(|certificate| {
            json!({
                "fingerprint": certificate.fingerprint.to_string(),
                "serial": certificate.serial,
                "issuer": certificate.issuer.as_str(),
                "issued_at": certificate.issued_at.to_string(),
                "ends_at": certificate.ends_at.to_string(),
                "revoked_at": text(certificate.revoked_at),
            })
        })
        .collect();
    json!({
        "id": device.id.as_str(),
        "class": device.class.as_str(),
        "asset": device.asset,
        "owner": device.owner,
        "place": device.place,
        "os": device.os,
        "os_version": device.os_version,
        "added_at": device.added_at.to_string(),
        "seen_at": text(device.seen_at),
        "expires_at": text(device.expires_at),
        "stock_taken_at": text(device.stock_taken_at),
        "revoked_at": text(device.revoked_at),
        "certificates": certificates,
    })
    .to_string()
}

fn row(device: &DeviceRecord, config: &Config, at: Timestamp) -> Vec<String> {
    let last = device.last_certificate();
    vec![
        device.id.to_string(),
        device.class.as_str().to_owned(),
        state(device, at).to_owned(),
        last.map_or_else(|| "-".to_owned(), |certificate| certificate.ends_at.rfc3339(config.offset)),
        device.seen_at.map_or_else(|| "never".to_owned(), |at| at.rfc3339(config.offset)),
        device.asset.clone(),
        device.place.clone(),
    ]
}

fn state(device: &DeviceRecord, at: Timestamp) -> &'static str {
    let is_good = |one: &store::CertificateRecord| one.revoked_at.is_none() && at < one.ends_at;
    if device.revoked_at.is_some() {
        "revoked"
    } else if device.expires_at.is_some_and(|ends| at >= ends) {
        "out of service"
    } else if device.certificates.is_empty() {
        "invited"
    } else if device.certificates.iter().any(is_good) {
        "in force"
    } else {
        "no certificate"
    }
}
