//! Devices: who was not seen, which certificates end, which lists and reports are too old.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use certs::{Crl, DeviceCa, DeviceRoots};
use config::Config;
use policy::Timestamp;
use store::{DeviceRecord, Store};

use super::people::named;
use super::{Finding, Grade, add};
use crate::assembly::device_ca_dir;
use crate::cli::device::{in_force, is_unseen};
use crate::failure::Failure;
use crate::lists::ListClient;

const DAY: Duration = Duration::from_secs(86_400);
/// A device that nobody saw for this long may be lost.
const UNSEEN: Duration = Duration::from_secs(90 * 86_400);
/// A device CA that ends within this must be followed by another in time.
const CA_WARNING: Duration = Duration::from_secs(365 * 86_400);
/// A revocation list that will be too old within this was not fetched as it should be.
const CRL_WARNING: Duration = Duration::from_secs(2 * 86_400);

/// Looks at the ledger that the store keeps.
pub async fn look(
    config: &Config,
    store: &Arc<dyn Store>,
    at: Timestamp,
    findings: &mut Vec<Finding>,
) -> Result<(), Failure> {
    let unavailable = |problem: store::StoreProblem| Failure::unavailable(problem.to_string());
    let devices: Vec<DeviceRecord> = store.devices().await.map_err(unavailable)?.into_iter().filter(in_force).collect();
    let names = |fits: &dyn Fn(&DeviceRecord) -> bool| -> Vec<String> {
        devices.iter().filter(|device| fits(device)).map(|device| device.id.to_string()).collect()
    };
    let unseen = names(&|device| is_unseen(device, UNSEEN, at));
    let says = format!("{} in force, {} not seen for 90 days", devices.len(), unseen.len());
    if unseen.is_empty() {
        add(findings, "devices", Grade::Good, says);
    } else {
        add(findings, "devices", Grade::Warning, format!("{says}: {}", named(&unseen)));
    }
    let soon = config.devices.renew_before;
    let last = |device: &DeviceRecord| {
        let good = device.certificates.iter().filter(|one| one.revoked_at.is_none());
        good.map(|one| one.ends_at).max()
    };
    let ended = names(&|device| last(device).is_some_and(|ends_at| ends_at <= at));
    let ending = names(&|device| last(device).is_some_and(|ends_at| ends_at > at && ends_at.since(at) < soon));
    for (ids, what) in [
        (ended, "have a certificate that has ended".to_owned()),
        (ending, format!("have a certificate that ends within {} days", soon.as_secs() / DAY.as_secs())),
    ] {
        if !ids.is_empty() {
            let says =
                format!("{} {what}: {}; `sekimori device invite` or the page /device renews", ids.len(), named(&ids));
            add(findings, "device certificates", Grade::Warning, says);
        }
    }
    look_at_posture(config, store, at, findings).await.map_err(unavailable)?;
    if let Some(roots) = look_at_ca(config, at, findings) {
        look_at_places(config, &roots, findings).await;
    }
    Ok(())
}

/// Reports that are too old to be believed, by source.
async fn look_at_posture(
    config: &Config,
    store: &Arc<dyn Store>,
    at: Timestamp,
    findings: &mut Vec<Finding>,
) -> Result<(), store::StoreProblem> {
    let mut by_source: BTreeMap<&str, (usize, usize)> =
        config.posture_sources.iter().map(|source| (source.id.as_str(), (0, 0))).collect();
    let rows = store.posture().await?;
    for row in &rows {
        let (facts, stale) = by_source.entry(row.source.as_str()).or_default();
        *facts += 1;
        *stale += usize::from(row.expires_at <= at);
    }
    for (source, (facts, stale)) in by_source {
        let grade = if facts == 0 || stale > 0 { Grade::Warning } else { Grade::Good };
        let says = if facts == 0 {
            "has reported nothing yet".to_owned()
        } else {
            format!("{stale} of {facts} facts are too old; rules that ask for them refuse")
        };
        add(findings, format!("posture by {source}"), grade, says);
    }
    Ok(())
}

/// The device CA and the revocation lists. Where there is no CA yet nothing is made.
fn look_at_ca(config: &Config, at: Timestamp, findings: &mut Vec<Finding>) -> Option<Arc<DeviceRoots>> {
    let folder = device_ca_dir(&config.state_dir);
    if !folder.is_dir() && config.devices.ca.is_none() {
        return None;
    }
    let ca = match DeviceCa::open(&folder, &config.devices, &config.facility.name, at) {
        Ok(ca) => ca,
        Err(problem) => {
            add(findings, "device CA", Grade::Bad, problem.to_string());
            return None;
        }
    };
    let left = ca.ends_at().since(at);
    let grade = if left > CA_WARNING { Grade::Good } else { Grade::Warning };
    add(findings, "device CA", grade, format!("ends in {} days", left.as_secs() / DAY.as_secs()));
    let roots = match DeviceRoots::load(&ca, &config.devices, at) {
        Ok(roots) => roots,
        Err(problems) => {
            problems.iter().for_each(|problem| add(findings, "device CAs", Grade::Bad, problem.to_string()));
            return None;
        }
    };
    for crl in roots.crls() {
        let left = crl.usable_until.since(at);
        let grade = if left.is_zero() {
            Grade::Bad
        } else if left < CRL_WARNING {
            Grade::Warning
        } else {
            Grade::Good
        };
        let until = crl.usable_until.rfc3339(config.offset);
        let says = if left.is_zero() {
            format!("{} of {}: too old since {until}; its devices are refused", crl.source, crl.issuer)
        } else {
            format!("{} of {}: believed until {until}", crl.source, crl.issuer)
        };
        add(findings, "revocation list", grade, says);
    }
    Some(roots)
}

/// Asks the places where revocation lists are fetched. What they answer is not taken: that is the running gateway's.
async fn look_at_places(config: &Config, roots: &DeviceRoots, findings: &mut Vec<Finding>) {
    let fetch = &config.devices.crl_fetch;
    if !fetch.is_on() {
        return;
    }
    let client = match ListClient::new(fetch, &config.forbidden_upstreams) {
        Ok(client) => client,
        Err(reason) => {
            add(findings, "revocation lists", Grade::Bad, reason);
            return;
        }
    };
    let kept = roots.crls();
    for url in roots.crl_urls() {
        let is_kept = kept.iter().any(|crl| crl.source == url.as_str());
        let read = client.get(&url).await.map_err(|problem| problem.to_string());
        let read = read.and_then(|bytes| Crl::read(&bytes).map_err(|problem| problem.to_string()));
        let (grade, says) = match (read, is_kept) {
            (Ok(_), true) => (Grade::Good, "answers".to_owned()),
            (Ok(_), false) => (Grade::Warning, "answers, but no list of it is in force yet".to_owned()),
            (Err(reason), true) => (Grade::Warning, format!("{reason}; the list before counts until it is too old")),
            (Err(reason), false) => {
                (Grade::Bad, format!("{reason}; without its list the devices of its CA are refused"))
            }
        };
        add(findings, format!("revocation list at {url}"), grade, says);
    }
}
