//! From the files that a configuration names to CAs and lists in force; a file that cannot be used is told, not passed
//! over.

use std::path::Path;

use config::{DeviceTrust, DistributionPoints};
use policy::Timestamp;
use rustls::pki_types::CertificateDer;

use super::fetched;
use super::verifier::{Kept, Manner, Verifier, is_named};
use crate::crl::Crl;
use crate::der::{Facts, day};
use crate::{CertProblem, DeviceCa, files};

/// Loads everything, or tells every problem.
pub(super) fn load(own: &DeviceCa, trust: &DeviceTrust, at: Timestamp) -> Result<Verifier, Vec<CertProblem>> {
    let mut problems = Vec::new();
    let mut others = Vec::new();
    for file in &trust.ca_files {
        match ca_certificates(file, at) {
            Ok(found) => others.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    // Without all CAs it cannot be said whose a list is.
    if !problems.is_empty() {
        return Err(problems);
    }
    let mut lists = Vec::new();
    let mut take = |source: &str, found: Vec<Crl>| {
        lists.extend(found.into_iter().map(|crl| Kept {
            source: source.to_owned(),
            usable_until: crl.usable_until(trust.crl_max_age),
            crl,
        }));
    };
    for file in &trust.crl_files {
        let place = file.display().to_string();
        match Crl::load(file).and_then(|found| of_known_cas(&place, found, &others)) {
            Ok(found) => take(&place, found),
            Err(problem) => problems.push(problem),
        }
    }
    let fetch = &trust.crl_fetch;
    for url in fetched::urls(fetch, &others) {
        take(url.as_str(), fetched::kept(&fetch.folder, &url, &others));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let lists = latest(lists, &others);
    for list in lists.iter().filter(|list| list.usable_until <= at) {
        tracing::error!(source = %list.source, until = %list.usable_until, "a revocation list is too old; devices of its CA are refused");
    }
    let manner = Manner {
        asks_lists: !trust.crl_files.is_empty() || fetch.is_on(),
        learns_points: fetch.points == DistributionPoints::Use,
    };
    Verifier::new(own.anchors().cloned().collect(), others, lists, manner).map_err(|problem| vec![problem])
}

/// Each list must be signed by a CA that is trusted; a list of somebody else would be waited for in vain.
pub(super) fn of_known_cas(
    place: &str,
    lists: Vec<Crl>,
    cas: &[CertificateDer<'static>],
) -> Result<Vec<Crl>, CertProblem> {
    for list in &lists {
        if !cas.iter().any(|ca| is_named(ca, &list.issuer)) {
            return Err(CertProblem::new(
                place,
                format!("holds a revocation list of `{}`, which is no CA of `ca_files`", list.issuer_in_words),
                "name that CA's certificate in `ca_files`, or remove the list",
            ));
        }
        if !cas.iter().any(|ca| list.is_signed_by(ca)) {
            return Err(CertProblem::new(
                place,
                format!(
                    "holds a revocation list that is not signed by `{}`, whose name it bears",
                    list.issuer_in_words
                ),
                "fetch the list again from the CA",
            ));
        }
    }
    Ok(lists)
}

/// Which CA's key signed a list: the first that bears it.
pub(super) fn signer(list: &Crl, cas: &[CertificateDer<'static>]) -> Option<usize> {
    cas.iter().position(|ca| list.is_signed_by(ca))
}

/// Of lists about the same certificates, by the same key, the one made last.
fn latest(lists: Vec<Kept>, cas: &[CertificateDer<'static>]) -> Vec<Kept> {
    let mut latest: Vec<(Option<usize>, Kept)> = Vec::new();
    for kept in lists {
        let by = signer(&kept.crl, cas);
        if latest.iter().any(|(other_by, other)| *other_by == by && other.crl.replaces(&kept.crl)) {
            continue;
        }
        latest.retain(|(other_by, other)| *other_by != by || !kept.crl.replaces(&other.crl));
        latest.push((by, kept));
    }
    latest.into_iter().map(|(_, kept)| kept).collect()
}

/// Reads a file of CA certificates; each must be a CA and in force, because a root's end is looked at nowhere else.
fn ca_certificates(file: &Path, at: Timestamp) -> Result<Vec<CertificateDer<'static>>, CertProblem> {
    let certificates = files::certificates(file)?;
    for certificate in &certificates {
        let facts = Facts::read(certificate)
            .ok_or_else(|| CertProblem::at(file, "holds no readable certificate", "write it again as PEM"))?;
        if !facts.is_ca {
            return Err(CertProblem::at(
                file,
                "holds a certificate that is not of a CA",
                "give the certificate of the CA that signs, not one that it signed",
            ));
        }
        if facts.ends_at < at {
            return Err(CertProblem::at(
                file,
                format!("holds a CA certificate that expired on {}", day(facts.ends_at)),
                "replace it by its successor, or remove it",
            ));
        }
    }
    Ok(certificates)
}
