//! Where a certificate says that the revocation list of its CA can be fetched (RFC 5280 section 4.2.1.13).

use config::CrlUrl;
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::{DistributionPointName, GeneralName, ParsedExtension};

/// The most places of one certificate that are looked at; more than a few is somebody's game.
const POINTS_OF_ONE_MAX: usize = 4;

/// The places that can be asked over http or https. Those for a part of the reasons, or of lists that somebody else
/// signs, are left out: such lists are not used.
pub(crate) fn points(certificate: &CertificateDer<'_>) -> Vec<CrlUrl> {
    let Ok((_, parsed)) = x509_parser::parse_x509_certificate(certificate) else { return Vec::new() };
    let mut urls = Vec::new();
    for extension in parsed.extensions() {
        let ParsedExtension::CRLDistributionPoints(points) = extension.parsed_extension() else { continue };
        for point in points.iter().filter(|point| point.reasons.is_none() && point.crl_issuer.is_none()) {
            let Some(DistributionPointName::FullName(names)) = &point.distribution_point else { continue };
            urls.extend(names.iter().filter_map(address));
        }
    }
    urls.truncate(POINTS_OF_ONE_MAX);
    urls
}

fn address(name: &GeneralName<'_>) -> Option<CrlUrl> {
    match name {
        GeneralName::URI(text) => CrlUrl::parse(text).ok(),
        GeneralName::OtherName(..)
        | GeneralName::RFC822Name(_)
        | GeneralName::DNSName(_)
        | GeneralName::X400Address(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EDIPartyName(_)
        | GeneralName::IPAddress(_)
        | GeneralName::RegisteredID(_)
        | GeneralName::Invalid(..) => None,
    }
}

/// Whether one of these CAs signed a certificate.
pub(crate) fn is_signed_by_one_of(certificate: &CertificateDer<'_>, cas: &[CertificateDer<'_>]) -> bool {
    let Ok((_, certificate)) = x509_parser::parse_x509_certificate(certificate) else { return false };
    cas.iter().any(|ca| {
        x509_parser::parse_x509_certificate(ca).is_ok_and(|(_, ca)| {
            ca.subject().as_raw() == certificate.issuer().as_raw()
                && certificate.verify_signature(Some(ca.public_key())).is_ok()
        })
    })
}

#[cfg(test)]
mod tests;
