//! The gateway's own CA for device certificates: a root of its own for institutions that have none, or an intermediate
//! of the hospital's CA.
//!
//! One file, `device-ca.pem`, holds key and certificate together: written whole or not at all, readable by its owner
//! only, the key encrypted ([`crate::sealed`]). The keys of devices are made here, handed out once and kept nowhere;
//! devices that make their own send a request.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{DeviceTrust, Secret};
use policy::{DeviceClass, DeviceId, Fingerprint, Timestamp};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, Issuer, KeyPair, PublicKeyData, SanType};
use rustls::pki_types::CertificateDer;

use crate::der::day;
use crate::sealed::Openers;
use crate::{CertProblem, DeviceCertificate, DeviceRequest, signing};

mod file;

/// The file in the CA's folder.
const FILE: &str = "device-ca.pem";
/// The key file that opens it, in a folder beside the CA's so that a copy of one is not a copy of both.
const KEY_FILE: &str = "secrets/device-ca.kek";
/// How long the CA itself lives: longer than any device that it is asked to name.
const LIFETIME: Duration = Duration::from_secs(20 * 365 * 86_400);

/// The gateway's own CA for device certificates.
pub struct DeviceCa {
    issuer: Issuer<'static, KeyPair>,
    /// Its certificate, then those above it as far as they are known.
    chain: Vec<CertificateDer<'static>>,
    certificate_pem: String,
    /// A CA that signed here before the hospital gave an intermediate; its devices go on.
    former: Option<CertificateDer<'static>>,
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
    /// The certificate's number: lower-case hexadecimal digits.
    pub serial: String,
}

impl fmt::Debug for DeviceCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceCa").field("ends_at", &self.ends_at).field("key", &"(..)").finish_non_exhaustive()
    }
}

impl DeviceCa {
    /// Opens the CA that a configuration describes. Where the hospital gives none, it is the one kept in the folder,
    /// made if there is none yet; two programs that make it at once get the same one. A key that lies there plain, or
    /// sealed otherwise than the configuration says, is sealed in place.
    ///
    /// # Errors
    /// [`CertProblem`] if a file cannot be read, written or understood, if others may read it, or if what should open
    /// the key does not.
    pub fn open(folder: &Path, trust: &DeviceTrust, facility: &str, at: Timestamp) -> Result<Self, CertProblem> {
        let openers = openers(folder, trust.ca_passphrase.as_ref());
        let own = folder.join(FILE);
        let Some(given) = &trust.ca else {
            file::make(&own, &openers, facility, at)?;
            return file::open(&own, &openers)?.ca(facility, None);
        };
        let former = if own.try_exists().unwrap_or(false) { Some(file::certificate(&own)?) } else { None };
        file::open_given(given, &openers)?.ca(facility, former)
    }

    /// Opens the CA kept in a folder, or makes folder and CA, with the key file as what opens it.
    ///
    /// # Errors
    /// As for [`DeviceCa::open`].
    pub fn open_or_create(folder: &Path, facility: &str, at: Timestamp) -> Result<Self, CertProblem> {
        let openers = openers(folder, None);
        let own = folder.join(FILE);
        file::make(&own, &openers, facility, at)?;
        file::open(&own, &openers)?.ca(facility, None)
    }

    /// The CA's certificate, as PEM.
    #[must_use]
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The CA's certificate, then those above it as far as the hospital gave them: what EST answers to `cacerts`.
    #[must_use]
    pub fn chain(&self) -> &[CertificateDer<'static>] {
        &self.chain
    }

    /// When the CA's own certificate ends; no device certificate ends later.
    #[must_use]
    pub fn ends_at(&self) -> Timestamp {
        self.ends_at
    }

    /// A request (PKCS#10, as PEM) for the CA's own key and name, to be signed by the hospital's CA as an intermediate:
    /// devices enrolled before then go on.
    ///
    /// # Errors
    /// [`CertProblem`] if the CA's name cannot be written in a request.
    pub fn request_pem(&self) -> Result<String, CertProblem> {
        let failed = |error: rcgen::Error| signing::not_made("device CA", &error);
        let mut params = CertificateParams::default();
        params.distinguished_name = file::subject(self.certificate()).unwrap_or_default();
        params.is_ca = signing::of_end_certificates();
        params.key_usages = signing::ca_usages();
        params.serialize_request(self.issuer.key()).and_then(|request| request.pem()).map_err(failed)
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
        let key = signing::make_key(&place(id))?;
        let certificate = self.sign(&key, id, class, at, lifetime)?;
        Ok(IssuedDevice {
            certificate_pem: certificate.pem(),
            key_pem: Secret::new(key.serialize_pem()),
            certificate_ends_at: certificate.ends_at,
            fingerprint: certificate.fingerprint,
            serial: certificate.serial,
        })
    }

    /// Signs the key of a request for a device; nothing else of the request is looked at.
    ///
    /// # Errors
    /// As for [`DeviceCa::issue`].
    pub fn sign_request(
        &self,
        request: &DeviceRequest,
        id: &DeviceId,
        class: DeviceClass,
        at: Timestamp,
        lifetime: Duration,
    ) -> Result<DeviceCertificate, CertProblem> {
        self.sign(request.key(), id, class, at, lifetime)
    }

    pub(crate) fn certificate(&self) -> &CertificateDer<'static> {
        // The chain of an open CA begins with its own certificate.
        static NONE: CertificateDer<'static> = CertificateDer::from_slice(&[]);
        self.chain.first().unwrap_or(&NONE)
    }

    /// The certificates that vouch for devices enrolled here, the one in use first.
    pub(crate) fn anchors(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        std::iter::once(self.certificate()).chain(self.former.as_ref())
    }

    fn sign(
        &self,
        key: &impl PublicKeyData,
        id: &DeviceId,
        class: DeviceClass,
        at: Timestamp,
        lifetime: Duration,
    ) -> Result<DeviceCertificate, CertProblem> {
        let place = place(id);
        if self.ends_at <= at {
            return Err(CertProblem::new(
                place,
                format!("the device CA expired on {}", day(self.ends_at)),
                "give a CA in force with `ca_certificate`, or move the file of this one away and restart the gateway; then enrol the devices again",
            ));
        }
        let failed = |error: rcgen::Error| signing::not_made(&place, &error);
        let ends_at = signing::end_of(at, lifetime).min(self.ends_at);
        let mut params = signing::end_params(id.as_str(), ExtendedKeyUsagePurpose::ClientAuth)?;
        signing::push_organization(&mut params, &self.facility);
        params.distinguished_name.push(DnType::OrganizationalUnitName, class.as_str());
        let name = format!("urn:sekimori:device:{id}");
        params.subject_alt_names = vec![SanType::URI(name.try_into().map_err(failed)?)];
        signing::set_validity(&mut params, at, ends_at);
        let certificate = params.signed_by(key, &self.issuer).map_err(failed)?;
        DeviceCertificate::of(certificate.der().clone())
            .ok_or_else(|| CertProblem::new(place.clone(), "its certificate does not read back", "report this"))
    }
}

fn place(id: &DeviceId) -> String {
    format!("device {id}")
}

fn openers<'a>(folder: &Path, passphrase: Option<&'a Secret>) -> Openers<'a> {
    let beside: PathBuf = folder.parent().unwrap_or(folder).join(KEY_FILE);
    Openers { key_file: beside, passphrase }
}

#[cfg(test)]
mod tests;
