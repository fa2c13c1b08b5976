//! Makes certificates for devices: what pages and EST need of the gateway's device CA, which is not part of this crate.

use std::fmt;

use policy::{DeviceClass, DeviceId, Timestamp};
use store::CertificateRecord;

/// Makes certificates for devices.
pub trait DeviceCertificates: Send + Sync + fmt::Debug {
    /// Makes a key and a certificate for a device, as a file to be installed there with a one-time password. Neither
    /// key nor password is kept.
    ///
    /// # Errors
    /// [`CertificateProblem::Ca`].
    fn make(
        &self,
        device: &DeviceId,
        class: DeviceClass,
        form: DeviceForm,
        at: Timestamp,
    ) -> Result<DeviceFile, CertificateProblem>;

    /// Signs the key of a request (PKCS#10 in base64, RFC 7030 section 4.2.1).
    ///
    /// # Errors
    /// [`CertificateProblem`].
    fn sign(
        &self,
        device: &DeviceId,
        class: DeviceClass,
        request: &[u8],
        at: Timestamp,
    ) -> Result<SignedRequest, CertificateProblem>;

    /// The device CA and those above it, as EST tells them (RFC 7030 section 4.1.3).
    fn ca_certificates(&self) -> String;
}

/// The form of a file that a device installs.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DeviceForm {
    /// PKCS#12: Windows, macOS, Android, ChromeOS.
    Pkcs12,
    /// A configuration profile: iPadOS, iOS.
    Mobileconfig,
}

impl DeviceForm {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Pkcs12, Self::Mobileconfig];

    /// Its word in our forms.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pkcs12 => "pkcs12",
            Self::Mobileconfig => "mobileconfig",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.as_str() == text)
    }

    /// The content type of such a file.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Pkcs12 => "application/x-pkcs12",
            Self::Mobileconfig => "application/x-apple-aspen-config",
        }
    }

    /// The end of such a file's name.
    #[must_use]
    pub fn extension(self) -> &'static str {
        match self {
            Self::Pkcs12 => "p12",
            Self::Mobileconfig => "mobileconfig",
        }
    }
}

/// A file to be installed on a device.
pub struct DeviceFile {
    /// Its bytes; the key within is encrypted.
    pub bytes: Vec<u8>,
    /// What opens the key, shown once.
    pub password: String,
    /// The certificate, for the ledger.
    pub certificate: CertificateRecord,
}

impl fmt::Debug for DeviceFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceFile").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}

/// A request that was signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignedRequest {
    /// The certificate as EST answers it (PKCS#7 in base64).
    pub body: String,
    /// The certificate, for the ledger.
    pub certificate: CertificateRecord,
}

/// Why there is no certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CertificateProblem {
    /// The request cannot be read, or asks for a key that is not accepted.
    Request {
        /// Its code in the log.
        code: &'static str,
        /// What is wrong, for whoever made it.
        text: String,
    },
    /// The CA cannot sign.
    Ca(String),
}

impl fmt::Display for CertificateProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request { code: _, text } | Self::Ca(text) => f.write_str(text),
        }
    }
}
