//! The device CA as our pages and EST use it: a file with a key made here, or a signature under a key made there.

use std::sync::Arc;
use std::time::Duration;

use certs::{CertProblem, DeviceCa, DeviceCertificate, IssuedDevice, Profile, est};
use config::Config;
use policy::{DeviceClass, DeviceId, Host, Timestamp};
use store::{CertificateIssuer, CertificateRecord};
use web::{CertificateProblem, DeviceCertificates, DeviceFile, DeviceForm, SignedRequest};

/// The device CA with what a configuration says of its certificates.
#[derive(Debug)]
pub struct DeviceIssuer {
    ca: Arc<DeviceCa>,
    lifetime: Duration,
    organization: String,
    host: Host,
}

impl DeviceIssuer {
    /// The CA under a configuration.
    pub fn new(ca: Arc<DeviceCa>, config: &Config) -> Self {
        let (organization, host) = (config.facility.name.clone(), config.login_host.clone());
        Self { ca, lifetime: config.devices.certificate_lifetime, organization, host }
    }
}

impl DeviceCertificates for DeviceIssuer {
    fn make(
        &self,
        device: &DeviceId,
        class: DeviceClass,
        form: DeviceForm,
        at: Timestamp,
    ) -> Result<DeviceFile, CertificateProblem> {
        let ca = |problem: CertProblem| CertificateProblem::Ca(problem.to_string());
        let password = password().map_err(CertificateProblem::Ca)?;
        let issued = self.ca.issue(device, class, at, self.lifetime).map_err(ca)?;
        let ca_pem = self.ca.certificate_pem();
        let bytes = match form {
            DeviceForm::Pkcs12 => certs::pkcs12(&issued, ca_pem, device.as_str(), &password),
            DeviceForm::Mobileconfig => certs::mobileconfig(&Profile {
                device,
                issued: &issued,
                ca_pem,
                organization: &self.organization,
                host: &self.host,
                password: &password,
                server_cas: &[],
            }),
        };
        Ok(DeviceFile { bytes: bytes.map_err(ca)?, password, certificate: made_here(&issued, at) })
    }

    fn sign(
        &self,
        device: &DeviceId,
        class: DeviceClass,
        request: &[u8],
        at: Timestamp,
    ) -> Result<SignedRequest, CertificateProblem> {
        let request = est::read_request(request)
            .map_err(|problem| CertificateProblem::Request { code: problem.code(), text: problem.to_string() })?;
        let signed = self.ca.sign_request(&request, device, class, at, self.lifetime);
        let signed = signed.map_err(|problem| CertificateProblem::Ca(problem.to_string()))?;
        Ok(SignedRequest { body: est::enrolled(&signed), certificate: made_there(&signed, at) })
    }

    fn ca_certificates(&self) -> String {
        est::ca_certificates(self.ca.chain())
    }
}

/// A certificate whose key was made here, as the ledger keeps it.
pub fn made_here(issued: &IssuedDevice, at: Timestamp) -> CertificateRecord {
    CertificateRecord {
        serial: issued.serial.clone(),
        ..CertificateRecord::own(issued.fingerprint, at, issued.certificate_ends_at)
    }
}

/// A certificate whose key was made on the device, as the ledger keeps it.
fn made_there(signed: &DeviceCertificate, at: Timestamp) -> CertificateRecord {
    CertificateRecord {
        serial: signed.serial.clone(),
        issuer: CertificateIssuer::Est,
        ..CertificateRecord::own(signed.fingerprint, at, signed.ends_at)
    }
}

/// A password that can be typed on a tablet: four groups of five letters and digits that are not taken for each other.
///
/// # Errors
/// When the system gives no randomness.
pub fn password() -> Result<String, String> {
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz23456789x";
    let mut bytes = [0; 20];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| "the system gives no randomness".to_owned())?;
    let letters: Vec<char> = bytes
        .iter()
        .filter_map(|byte| LETTERS.get(usize::from(*byte) % LETTERS.len()))
        .map(|byte| char::from(*byte))
        .collect();
    Ok(letters.chunks(5).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-"))
}
