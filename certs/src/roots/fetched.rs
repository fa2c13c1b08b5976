//! Revocation lists that the gateway fetched, and where it learned to fetch them: kept in a folder from one start to the
//! next. Fetching is the gateway's business; here is what is believed of it, which is no more than what the CA signed.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use config::{CrlFetch, CrlUrl, DistributionPoints};
use rustls::pki_types::CertificateDer;

use super::load::of_known_cas;
use crate::crl::Crl;
use crate::der::sha256;
use crate::points::{is_signed_by_one_of, points};
use crate::{CertProblem, files};

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

/// The lists that are kept of an address; none where nothing usable is.
pub(super) fn kept(folder: &Path, url: &CrlUrl, cas: &[CertificateDer<'static>]) -> Vec<Crl> {
    let file = file_of(folder, url);
    match std::fs::metadata(&file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Vec::new(),
        Err(_) | Ok(_) => {}
    }
    match files::read(&file).and_then(|bytes| read(url, &bytes, cas)) {
        Ok(lists) => lists,
        Err(problem) => {
            tracing::warn!(%problem, "a fetched revocation list that was kept is not used");
            Vec::new()
        }
    }
}

/// Keeps what an address answered, unless an older list would take the place of a newer one: who answers over http may
/// be anybody, and a list from before a revocation is signed as well. Says whether it is news.
pub(super) fn keep(
    folder: &Path,
    url: &CrlUrl,
    (lists, bytes): (&[Crl], &[u8]),
    cas: &[CertificateDer<'static>],
) -> Result<bool, CertProblem> {
    let before = kept(folder, url, cas);
    if before == lists {
        return Ok(false);
    }
    let goes_back = |old: &Crl| lists.iter().any(|new| old.replaces(new) && !new.replaces(old));
    if before.iter().any(goes_back) {
        return Err(CertProblem::new(
            url.as_str(),
            "answers a revocation list that is older than the one before",
            "let the server publish the CA's newest list",
        ));
    }
    files::private_folder(folder)?;
    files::write_private(&file_of(folder, url), bytes)?;
    Ok(true)
}

/// The file for the lists of an address.
fn file_of(folder: &Path, url: &CrlUrl) -> PathBuf {
    let digest: String = sha256(url.as_str().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    folder.join(format!("{digest}.crl"))
}

#[cfg(test)]
mod tests;
