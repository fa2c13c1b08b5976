//! `[devices]`: device certificates.

use std::path::Path;
use std::time::Duration;

use crate::files::Files;
use crate::walk::{Table, Value};
use crate::{CertificateFiles, CrlFetch, CrlUrl, DeviceTrust, DistributionPoints};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Which part of its life a certificate has left when it may be renewed, unless told otherwise.
const RENEWED_IN_THE_LAST: u32 = 3;

pub(crate) fn read(table: &Table<'_>, files: &Files<'_>, state_dir: &Path) -> Option<DeviceTrust> {
    let ca_files = table.list("ca_files", |value| files.readable(&value));
    let lifetime = table.or("certificate_lifetime", 365 * DAY, |value| value.time(DAY..=1_095 * DAY));
    let renew_before = table.optional("renew_before", |value| {
        let span = value.time(HOUR..=1_095 * DAY)?;
        if lifetime.is_some_and(|lifetime| span >= lifetime) {
            return value.wrong("is not shorter than `certificate_lifetime`", "write about a third of it");
        }
        Some(span)
    });
    let ca = ca(table, files);
    let ca_passphrase = table.optional("ca_passphrase_file", |value| files.secret(&value));
    let no_ca = ca_files.as_ref().is_some_and(Vec::is_empty);
    let crl_files = match table.value("crl_files") {
        Some(value) if no_ca => of_no_use(&value),
        Some(value) => value.each(|item| files.readable(&item)),
        None => Some(Vec::new()),
    };
    let crl_fetch = crl_fetch(table, files, state_dir, no_ca);
    let crl_max_age = table.or("crl_max_age", 7 * DAY, |value| value.time(HOUR..=90 * DAY));
    table.finish();
    let lifetime = lifetime?;
    Some(DeviceTrust {
        ca_files: ca_files?,
        certificate_lifetime: lifetime,
        renew_before: renew_before?.unwrap_or(lifetime / RENEWED_IN_THE_LAST),
        ca: ca?,
        ca_passphrase: ca_passphrase?,
        crl_files: crl_files?,
        crl_fetch: crl_fetch?,
        crl_max_age: crl_max_age?,
    })
}

/// Lists without a CA to make them.
fn of_no_use<T>(value: &Value<'_>) -> Option<T> {
    value.wrong("are of no use without `ca_files`", "name the CAs they belong to")
}

fn crl_fetch(table: &Table<'_>, files: &Files<'_>, state_dir: &Path, no_ca: bool) -> Option<CrlFetch> {
    let urls = match table.value("crl_urls") {
        Some(value) if no_ca => of_no_use(&value),
        Some(value) => value.each(|item| crl_url(&item)),
        None => Some(Vec::new()),
    };
    let points = table.or("crl_distribution_points", DistributionPoints::Ignore, |value| {
        let points = value.word(&[("use", DistributionPoints::Use), ("ignore", DistributionPoints::Ignore)])?;
        if no_ca && points == DistributionPoints::Use { of_no_use(&value) } else { Some(points) }
    });
    let every = table.or("crl_refresh", HOUR, |value| value.time(10 * SECOND..=DAY));
    let server_ca = table.optional("crl_server_ca_file", |value| files.readable(&value));
    Some(CrlFetch {
        urls: urls?,
        points: points?,
        every: every?,
        server_ca: server_ca?,
        folder: state_dir.join("crls"),
    })
}

fn crl_url(value: &Value<'_>) -> Option<CrlUrl> {
    let text = value.text()?;
    match CrlUrl::parse(text) {
        Ok(url) => Some(url),
        Err(reason) => value.wrong(
            format!("`{text}` {reason}"),
            "write where the CA publishes its list, such as `http://pki.hospital.example.jp/mdm-ca.crl`",
        ),
    }
}

fn ca(table: &Table<'_>, files: &Files<'_>) -> Option<Option<CertificateFiles>> {
    let certificate = table.optional("ca_certificate", |value| files.readable(&value));
    let key = table.optional("ca_key", |value| files.readable_secret(&value));
    match (certificate?, key?) {
        (Some(certificate), Some(key)) => Some(Some(CertificateFiles { certificate, key })),
        (None, None) => Some(None),
        (Some(_), None) => table.wrong("has a `ca_certificate` without its key", "add `ca_key`"),
        (None, Some(_)) => table.wrong("has a `ca_key` without its certificate", "add `ca_certificate`"),
    }
}
