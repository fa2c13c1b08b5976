//! Revocation lists that the gateway fetched, and where it learned to fetch them: kept in a folder from one start to the
//! next. Fetching is the gateway's business; here is what is believed of it, which is no more than what the CA signed.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use config::{CrlFetch, CrlUrl, DeviceTrust, DistributionPoints};
use policy::Timestamp;
use rustls::pki_types::CertificateDer;

use super::load::{of_known_cas, signer};
use crate::crl::Crl;
use crate::der::sha256;
use crate::points::{is_signed_by_one_of, points};
use crate::{CertProblem, files, pem};

/// The most places that are learned from certificates.
pub(super) const POINTS_MAX: usize = 64;
/// The file of learned places, an address a line.
const POINTS_FILE: &str = "points";

/// Where lists are fetched: as configured, and where certificates are asked, as these CAs and the devices seen so far say.
pub(super) fn urls(fetch: &CrlFetch, cas: &[CertificateDer<'_>]) -> BTreeSet<CrlUrl> {
    let mut urls: BTreeSet<CrlUrl> = fetch.urls.iter().cloned().collect();
    match fetch.points {
        DistributionPoints::Use => {
            urls.extend(learned(&fetch.folder));
            // A CA's own certificate names the list of the CA above it, which counts if that is trusted, too.
            urls.extend(cas.iter().filter(|ca| is_signed_by_one_of(ca, cas)).flat_map(points));
        }
        DistributionPoints::Ignore => {}
    }
    urls
}

/// The places that certificates of devices named. What cannot be read is learned again.
pub(super) fn learned(folder: &Path) -> BTreeSet<CrlUrl> {
    let Ok(bytes) = files::read(&folder.join(POINTS_FILE)) else { return BTreeSet::new() };
    let text = String::from_utf8_lossy(&bytes);
    text.lines().filter_map(|line| CrlUrl::parse(line).ok()).take(POINTS_MAX).collect()
}

/// Writes those places down.
pub(super) fn write_learned(folder: &Path, urls: &BTreeSet<CrlUrl>) -> Result<(), CertProblem> {
    files::private_folder(folder)?;
    let lines: String = urls.iter().map(|url| format!("{url}\n")).collect();
    files::write_private(&folder.join(POINTS_FILE), lines.as_bytes())
}

/// Reads what an address answered: lists, each signed by one of these CAs.
pub(super) fn read(url: &CrlUrl, bytes: &[u8], cas: &[CertificateDer<'static>]) -> Result<Vec<Crl>, CertProblem> {
    let lists = Crl::read(bytes)
        .map_err(|problem| CertProblem::new(url.as_str(), format!("answers what {problem}"), problem.remedy()))?;
    of_known_cas(url.as_str(), lists, cas)
}

/// The lists that are kept of an address, as far as a CA that is still trusted signed them.
pub(super) fn kept(folder: &Path, url: &CrlUrl, cas: &[CertificateDer<'static>]) -> Vec<Crl> {
    let file = file_of(folder, url);
    match std::fs::metadata(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(_) | Ok(_) => {}
    }
    let read = |bytes: &[u8]| Crl::read(bytes).map_err(|it| CertProblem::at(&file, it.to_string(), it.remedy()));
    match files::read(&file).and_then(|bytes| read(&bytes)) {
        Ok(lists) => lists.into_iter().filter(|list| signer(list, cas).is_some()).collect(),
        Err(problem) => {
            tracing::warn!(%url, %problem, "a fetched revocation list that was kept is not used");
            Vec::new()
        }
    }
}

/// Keeps what an address answered, unless an older list would take the place of a newer one: who answers over http may
/// be anybody, and a list from before a revocation is signed as well. What was kept and is not in the answer stays, so
/// that an older list does not come by way of an answer without any of its CA. Says whether it is news.
pub(super) fn keep(
    trust: &DeviceTrust,
    url: &CrlUrl,
    lists: &[Crl],
    cas: &[CertificateDer<'static>],
    at: Timestamp,
) -> Result<bool, CertProblem> {
    let folder = &trust.crl_fetch.folder;
    let signed = |lists: Vec<Crl>| -> Vec<(Option<usize>, Crl)> {
        lists.into_iter().map(|list| (signer(&list, cas), list)).collect()
    };
    let before = kept(folder, url, cas);
    let (old, new) = (signed(before.clone()), signed(lists.to_vec()));
    if old.iter().any(|old| new.iter().any(|new| replaces(old, new)) && !new.iter().any(|new| replaces(new, old))) {
        return Err(CertProblem::new(
            url.as_str(),
            "answers a revocation list that is older than the one before",
            "let the server publish the CA's newest list",
        ));
    }
    let stays = |old: &(Option<usize>, Crl)| {
        // A CA that lists its certificates in other parts than before would else be too old for ever.
        let ended = old.1.usable_until(trust.crl_max_age) <= at && new.iter().any(|new| new.0 == old.0);
        !ended && !new.iter().any(|new| replaces(new, old))
    };
    let stay = old.into_iter().filter(stays).map(|(_, list)| list);
    let after: Vec<Crl> = lists.iter().cloned().chain(stay).collect();
    if before == after {
        return Ok(false);
    }
    files::private_folder(folder)?;
    let text: String = after.iter().map(|list| pem::block("X509 CRL", &list.der)).collect();
    if text.len() as u64 > files::FILE_BYTES_MAX {
        return Err(CertProblem::new(
            url.as_str(),
            "answers lists that are too large to keep with those of its other CAs",
            "let the CA publish shorter lists, such as without certificates that have expired",
        ));
    }
    files::write_private(&file_of(folder, url), text.as_bytes())?;
    Ok(true)
}

/// Whether a list is by the same key as another, about the same certificates and not older. A CA that got a new key goes
/// on publishing lists of the key before, under the same name and at their own times.
fn replaces((by, new): &(Option<usize>, Crl), (other_by, old): &(Option<usize>, Crl)) -> bool {
    by == other_by && new.replaces(old)
}

/// The file for the lists of an address.
fn file_of(folder: &Path, url: &CrlUrl) -> PathBuf {
    let digest: String = sha256(url.as_str().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    folder.join(format!("{digest}.crl"))
}

#[cfg(test)]
mod tests;
