//! The facts of a certificate that matter here, read from its DER form.

use policy::{Fingerprint, Host, Timestamp};
use rustls::pki_types::CertificateDer;
use x509_parser::extensions::GeneralName;
use x509_parser::time::ASN1Time;

/// The SHA-256 of a certificate's DER form: how the ledger, the log and the rules know a device.
#[must_use]
pub fn fingerprint(certificate: &CertificateDer<'_>) -> Fingerprint {
    Fingerprint::new(sha256(certificate))
}

/// What a certificate says.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) starts_at: Timestamp,
    pub(crate) ends_at: Timestamp,
    /// Whether it may sign others.
    pub(crate) is_ca: bool,
    /// Whether it may sign the certificates of devices: a CA, its key for that, and not for other purposes alone.
    pub(crate) may_sign_devices: bool,
    /// Whether a server may show it: no extended key usage at all, or `serverAuth` among it.
    pub(crate) is_for_servers: bool,
    /// Names by which it is asked for; what is no host name or wildcard of one is left out.
    pub(crate) names: Vec<ServedName>,
}

/// A name in a server certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServedName {
    /// This host.
    Exact(Host),
    /// Every host with one more label in front of this one.
    Below(Host),
}

impl Facts {
    /// Reads a certificate; `None` if it is none.
    pub(crate) fn read(certificate: &CertificateDer<'_>) -> Option<Self> {
        let (rest, parsed) = x509_parser::parse_x509_certificate(certificate).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let constraints = parsed.basic_constraints().ok()?;
        let usage = parsed.extended_key_usage().ok()?;
        let names = parsed.subject_alternative_name().ok()?;
        let key_usage = parsed.key_usage().ok()?;
        let is_ca = constraints.is_some_and(|found| found.value.ca);
        let may_sign = key_usage.is_none_or(|found| found.value.key_cert_sign());
        let is_for_clients = usage.as_ref().is_none_or(|found| found.value.any || found.value.client_auth);
        Some(Self {
            may_sign_devices: is_ca && may_sign && is_for_clients,
            starts_at: moment(parsed.validity().not_before),
            ends_at: moment(parsed.validity().not_after),
            is_ca,
            is_for_servers: usage.is_none_or(|found| found.value.any || found.value.server_auth),
            names: names.map(|found| served_names(&found.value.general_names)).unwrap_or_default(),
        })
    }
}

/// The day of a moment, as messages say it.
pub(crate) fn day(at: Timestamp) -> String {
    at.to_string().chars().take_while(|c| *c != 'T').collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes);
    let mut array = [0; 32];
    for (to, from) in array.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    array
}

fn served_names(names: &[GeneralName<'_>]) -> Vec<ServedName> {
    names
        .iter()
        .filter_map(|name| match name {
            GeneralName::DNSName(name) => Some(*name),
            GeneralName::OtherName(..)
            | GeneralName::RFC822Name(_)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::URI(_)
            | GeneralName::IPAddress(_)
            | GeneralName::RegisteredID(_)
            | GeneralName::Invalid(..) => None,
        })
        .filter_map(|name| match name.strip_prefix("*.") {
            Some(parent) => Host::parse(parent).ok().map(ServedName::Below),
            None => Host::parse(name).ok().map(ServedName::Exact),
        })
        .collect()
}

pub(crate) fn moment(time: ASN1Time) -> Timestamp {
    Timestamp::from_unix_micros(time.timestamp().saturating_mul(1_000_000))
}
