//! A device certificate as the ledger knows it.

use policy::{Fingerprint, Timestamp};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::certificate::X509Certificate;

use crate::der::{fingerprint, moment};
use crate::{CertProblem, pem};

/// A device certificate, and what of it the ledger holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceCertificate {
    /// The certificate itself.
    pub der: CertificateDer<'static>,
    /// Its SHA-256.
    pub fingerprint: Fingerprint,
    /// Its number, as its CA's lists name it: lower-case hexadecimal digits.
    pub serial: String,
    /// Whom it names.
    pub subject: String,
    /// Who signed it.
    pub issuer: String,
    /// From when it is valid.
    pub starts_at: Timestamp,
    /// When it ends.
    pub ends_at: Timestamp,
}

impl DeviceCertificate {
    /// Reads a certificate, as PEM or DER; the first, if there are several. It says nothing about whether it is
    /// trusted: ask [`crate::DeviceRoots::check`].
    ///
    /// # Errors
    /// [`CertProblem`] that names `place`.
    pub fn read(place: &str, bytes: &[u8]) -> Result<Self, CertProblem> {
        let der = CertificateDer::from_pem_slice(bytes).unwrap_or_else(|_| CertificateDer::from(bytes.to_vec()));
        Self::of(der).ok_or_else(|| {
            CertProblem::new(place, "holds no readable certificate", "give one certificate, as PEM or DER")
        })
    }

    pub(crate) fn of(der: CertificateDer<'static>) -> Option<Self> {
        let (rest, parsed) = x509_parser::parse_x509_certificate(&der).ok()?;
        if !rest.is_empty() {
            return None;
        }
        let facts = Self {
            fingerprint: fingerprint(&der),
            serial: serial(&parsed),
            subject: parsed.subject().to_string(),
            issuer: parsed.issuer().to_string(),
            starts_at: moment(parsed.validity().not_before),
            ends_at: moment(parsed.validity().not_after),
            der: CertificateDer::from(&[][..]),
        };
        Some(Self { der, ..facts })
    }

    /// The certificate as PEM.
    #[must_use]
    pub fn pem(&self) -> String {
        pem::certificate(&self.der)
    }
}

fn serial(certificate: &X509Certificate<'_>) -> String {
    let bytes = certificate.raw_serial();
    let digits = bytes.strip_prefix(&[0]).unwrap_or(bytes);
    digits.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
