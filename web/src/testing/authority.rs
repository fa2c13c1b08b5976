//! A device CA that makes certificates which are none.

use std::sync::atomic::{AtomicU64, Ordering};

use policy::{DeviceClass, DeviceId, Fingerprint, Timestamp};
use store::{CertificateIssuer, CertificateRecord};

use crate::{CertificateProblem, DeviceCertificates, DeviceFile, DeviceForm, SignedRequest};

/// Makes certificates that are none, each with a fingerprint of its own.
#[derive(Debug, Default)]
pub(super) struct FakeCa {
    made: AtomicU64,
}

impl FakeCa {
    fn record(&self, issuer: CertificateIssuer, at: Timestamp) -> CertificateRecord {
        let made = self.made.fetch_add(1, Ordering::Relaxed);
        let mut fingerprint = [9; 32];
        fingerprint[..8].copy_from_slice(&made.to_le_bytes());
        let ends_at = at.after(std::time::Duration::from_secs(365 * 86_400));
        CertificateRecord { issuer, ..CertificateRecord::own(Fingerprint::new(fingerprint), at, ends_at) }
    }
}

impl DeviceCertificates for FakeCa {
    fn make(
        &self,
        device: &DeviceId,
        _class: DeviceClass,
        form: DeviceForm,
        at: Timestamp,
    ) -> Result<DeviceFile, CertificateProblem> {
        let bytes = format!("{} of {device}", form.as_str()).into_bytes();
        let certificate = self.record(CertificateIssuer::Own, at);
        Ok(DeviceFile { bytes, password: "one-time-password".to_owned(), certificate })
    }

    fn sign(
        &self,
        device: &DeviceId,
        _class: DeviceClass,
        request: &[u8],
        at: Timestamp,
    ) -> Result<SignedRequest, CertificateProblem> {
        if request != b"request" {
            return Err(CertificateProblem::Request { code: "request-malformed", text: "unreadable".to_owned() });
        }
        Ok(SignedRequest {
            body: format!("certificate of {device}"),
            certificate: self.record(CertificateIssuer::Est, at),
        })
    }

    fn ca_certificates(&self) -> String {
        "the CA".to_owned()
    }
}
