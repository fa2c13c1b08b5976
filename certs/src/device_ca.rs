//! The gateway's own CA for device certificates, for institutions that have none.
//!
//! One file, `device-ca.pem`, holds key and certificate together: written whole or not at all, readable by its owner
//! only. The keys of devices are made here, handed out once and kept nowhere.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use config::Secret;
use policy::{DeviceClass, DeviceId, Fingerprint, Timestamp};
use rcgen::{DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use crate::der::{Facts, day};
use crate::provider::provider;
use crate::{CertProblem, files, fingerprint, signing};

/// The file in the CA's folder.
const FILE: &str = "device-ca.pem";
/// How long the CA itself lives: longer than any device that it is asked to name.
const LIFETIME: Duration = Duration::from_secs(20 * 365 * 86_400);

/// The gateway's own CA for device certificates.
pub struct DeviceCa {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    ends_at: Timestamp,
    facility: String,
}

/// A device certificate and its key, just made.
#[derive(Debug)]
pub struct IssuedDevice {
    /// The certificate, as PEM.
    pub certificate_pem: String,
    /// Its private key (PKCS#8), as PEM; kept nowhere else.
    pub key_pem: Secret,
    /// When the certificate ends.
    pub certificate_ends_at: Timestamp,
    /// SHA-256 of the certificate, for the ledger.
    pub fingerprint: Fingerprint,
}

impl fmt::Debug for DeviceCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceCa").field("ends_at", &self.ends_at).field("key", &"(..)").finish_non_exhaustive()
    }
}

impl DeviceCa {
    /// Opens the CA kept in a folder, or makes folder and CA. Two programs that make it at once get the same one.
    ///
    /// # Errors
    /// [`CertProblem`] if the file cannot be read, written or understood, or if others may read it.
    pub fn open_or_create(folder: &Path, facility: &str, at: Timestamp) -> Result<Self, CertProblem> {
        let file = folder.join(FILE);
        if !file.try_exists().unwrap_or(true) {
            files::private_folder(folder)?;
            // False if another program was faster; then its file counts.
            files::write_private_once(&file, create(facility, at)?.as_bytes())?;
        }
        Self::open(&file, facility)
    }

    /// The CA's certificate, as PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// When the CA's own certificate ends; no device certificate ends later.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.ends_at
    }

    /// Makes a key and a certificate for a device. The certificate ends with the CA's own at the latest.
    ///
    /// # Errors
    /// [`CertProblem`] if the CA's own certificate has ended.
    pub fn issue(
        &self,
        id: &DeviceId,
        class: DeviceClass,
        at: Timestamp,
        lifetime: Duration,
    ) -> Result<IssuedDevice, CertProblem> {
        let place = format!("device {id}");
        if self.ends_at <= at {
            return Err(CertProblem::new(
                place,
                format!("the device CA expired on {}", day(self.ends_at)),
                "move its file away, restart the gateway, and enrol the devices again",
            ));
        }
        let failed = |error: rcgen::Error| signing::not_made(&place, &error);
        let ends_at = signing::end_of(at, lifetime).min(self.ends_at);
        let mut params = signing::end_params(id.as_str(), ExtendedKeyUsagePurpose::ClientAuth);
        signing::push_organization(&mut params, &self.facility);
        params.distinguished_name.push(DnType::OrganizationalUnitName, class.as_str());
        let name = format!("urn:sekimori:device:{id}");
        params.subject_alt_names = vec![SanType::URI(name.try_into().map_err(failed)?)];
        signing::set_validity(&mut params, at, ends_at);
        let key = signing::make_key(&place)?;
        let certificate = params.signed_by(&key, &self.issuer).map_err(failed)?;
        Ok(IssuedDevice {
            certificate_pem: certificate.pem(),
            key_pem: Secret::new(key.serialize_pem()),
            certificate_ends_at: ends_at,
            fingerprint: fingerprint(certificate.der()),
        })
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    fn open(file: &Path, facility: &str) -> Result<Self, CertProblem> {
        let bytes = files::read(file)?;
        if files::is_open_to_others(file) {
            return Err(CertProblem::at(
                file,
                "holds the key of the device CA and may be read by others",
                "run `chmod 600` on it, and consider whether somebody may have copied it",
            ));
        }
        let restore = "restore it from a backup; a CA made afresh knows no device";
        let damaged = || CertProblem::at(file, "is not the file of a device CA", restore);
        let certificate = files::certificates_in(file, &bytes)?.into_iter().next().ok_or_else(damaged)?;
        let facts = Facts::read(&certificate).filter(|facts| facts.is_ca).ok_or_else(damaged)?;
        let key = files::private_key_in(file, &bytes)?;
        let signer = KeyPair::try_from(&key).map_err(|_| damaged())?;
        if !belong_together(&certificate, key) {
            return Err(CertProblem::at(file, "holds a key that is not the key of its certificate", restore));
        }
        Ok(Self {
            issuer: Issuer::from_ca_cert_der(&certificate, signer).map_err(|_| damaged())?,
            certificate_pem: certificate_pem(&bytes).ok_or_else(damaged)?,
            ends_at: facts.ends_at,
            certificate,
            facility: facility.to_owned(),
        })
    }
}

/// Makes the content of the CA's file.
fn create(facility: &str, at: Timestamp) -> Result<Zeroizing<String>, CertProblem> {
    let place = "device CA";
    let key = signing::make_key(place)?;
    let mut params = signing::ca_params("Sekimori device CA", &key, ExtendedKeyUsagePurpose::ClientAuth);
    signing::push_organization(&mut params, facility);
    signing::set_validity(&mut params, at, signing::end_of(at, LIFETIME));
    let certificate = params.self_signed(&key).map_err(|error| signing::not_made(place, &error))?;
    let key_pem = Zeroizing::new(key.serialize_pem());
    Ok(Zeroizing::new([key_pem.as_str(), &certificate.pem()].concat()))
}

fn belong_together(certificate: &CertificateDer<'static>, key: PrivateKeyDer<'static>) -> bool {
    CertifiedKey::from_der(vec![certificate.clone()], key, &provider()).is_ok()
}

/// The certificate's part of the file, as it stands there: the key must not come along.
fn certificate_pem(bytes: &[u8]) -> Option<String> {
    const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
    const END: &str = "-----END CERTIFICATE-----";
    let text = std::str::from_utf8(bytes).ok()?;
    let (_, rest) = text.split_once(BEGIN)?;
    let (body, _) = rest.split_once(END)?;
    Some([BEGIN, body, END, "\n"].concat())
}

#[cfg(test)]
mod tests;
