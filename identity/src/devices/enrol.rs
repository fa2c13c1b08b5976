//! How a device gets its certificate: with the code of an invitation, or with the certificate it has.
//!
//! Whoever issues does it first and enters it here then: a code is used up only by a certificate that is in the ledger.

use std::time::Duration;

use policy::{Device, DeviceId, Timestamp};
use store::{CertificateRecord, DeviceRecord, Invited, Redemption, StoreProblem};

use super::Devices;
use crate::InvitationCode;

/// How long an earlier certificate goes on after a renewal: until then it is surely installed.
const OVERLAP: Duration = Duration::from_secs(7 * 86_400);
/// Certificates of one device that are in force at once.
const CERTIFICATES_MAX: usize = 8;

/// Why a device gets no certificate.
#[derive(Debug, thiserror::Error)]
pub enum EnrolProblem {
    /// The code opens nothing, or not for this device. Say no more, whatever the reason.
    #[error("the code is not known, is out of time, was used or is another device's")]
    Refused,
    /// The device is not in force, or not with the certificate it shows.
    #[error("the device is not in force")]
    NotInForce,
    /// Its certificate is good for a long time yet, or it has too many.
    #[error("the device needs no other certificate yet")]
    TooEarly,
    /// The store did not do it.
    #[error(transparent)]
    Store(StoreProblem),
}

impl EnrolProblem {
    /// Its code in log and API.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused => "enrolment-refused",
            Self::NotInForce => "device-not-in-force",
            Self::TooEarly => "renewal-too-early",
            Self::Store(_) => "store",
        }
    }
}

impl From<StoreProblem> for EnrolProblem {
    fn from(problem: StoreProblem) -> Self {
        match problem {
            StoreProblem::NotInForce(_) => Self::NotInForce,
            StoreProblem::Unavailable(_) | StoreProblem::Corrupt(_) | StoreProblem::Exists(_) | StoreProblem::Full => {
                Self::Store(problem)
            }
        }
    }
}

impl Devices {
    /// The device that a code invites; the code stays good.
    ///
    /// # Errors
    /// [`EnrolProblem`].
    pub async fn invited(&self, code: &str, at: Timestamp) -> Result<DeviceRecord, EnrolProblem> {
        let code = InvitationCode::parse(code).ok_or(EnrolProblem::Refused)?;
        let invitation = self.store.invitation(code.hash(), at).await?;
        let invited = invitation.map(|invitation| invitation.invited);
        let Some(Invited::Device(id)) = invited else { return Err(EnrolProblem::Refused) };
        let device = self.store.device(&id).await?.ok_or(EnrolProblem::Refused)?;
        let in_service = device.revoked_at.is_none() && device.expires_at.is_none_or(|expires_at| at < expires_at);
        if in_service { Ok(device) } else { Err(EnrolProblem::NotInForce) }
    }

    /// Enters the certificate of an invited device and uses the code up, in one step.
    ///
    /// # Errors
    /// [`EnrolProblem`]; nothing was entered, and the code is as before.
    pub async fn enrol(
        &self,
        code: &str,
        device: &DeviceId,
        certificate: CertificateRecord,
        at: Timestamp,
    ) -> Result<(), EnrolProblem> {
        if self.invited(code, at).await?.id != *device {
            return Err(EnrolProblem::Refused);
        }
        let code = InvitationCode::parse(code).ok_or(EnrolProblem::Refused)?;
        let redemption = Redemption::Certificate(certificate);
        let used = self.store.redeem_invitation(code.hash(), redemption, at, actor(device)).await?;
        used.ok_or(EnrolProblem::Refused)?;
        Ok(self.reload().await?)
    }

    /// Whether a device may renew the certificate it shows, as it is about to end.
    #[must_use]
    pub fn renewal_due(&self, device: &Device, renew_before: Duration, at: Timestamp) -> bool {
        let ends_at = self.certificate_ends_at(&device.certificate);
        ends_at.is_some_and(|ends_at| at < ends_at && at.after(renew_before) >= ends_at)
    }

    /// Enters another certificate of a device that shows one in force. The earlier ones go on for a week at most.
    ///
    /// # Errors
    /// [`EnrolProblem`]; nothing was entered.
    pub async fn renew(
        &self,
        device: &Device,
        certificate: CertificateRecord,
        renew_before: Duration,
        at: Timestamp,
    ) -> Result<(), EnrolProblem> {
        let known = self.store.device(&device.id).await?.ok_or(EnrolProblem::NotInForce)?;
        let is_in_force = |one: &&CertificateRecord| one.revoked_at.is_none() && at < super::ends_at(&known, one);
        let in_force: Vec<_> = known.certificates.iter().filter(is_in_force).collect();
        let shown = in_force.iter().find(|one| one.fingerprint == device.certificate);
        let shown = shown.filter(|_| known.revoked_at.is_none()).ok_or(EnrolProblem::NotInForce)?;
        if in_force.len() >= CERTIFICATES_MAX || at.after(renew_before) < super::ends_at(&known, shown) {
            return Err(EnrolProblem::TooEarly);
        }
        self.store.add_certificate(&device.id, certificate, Some(at.after(OVERLAP)), actor(&device.id)).await?;
        Ok(self.reload().await?)
    }
}

/// A device did it by itself.
fn actor(device: &DeviceId) -> String {
    format!("device:{device}")
}

#[cfg(test)]
mod tests {
    use policy::Fingerprint;
    use store::{Invitation, InvitationId, Store};

    use super::*;
    use crate::DeviceState;
    use crate::testing::{START, Ward, minutes, terminal};

    const DAY: Duration = Duration::from_secs(86_400);

    fn certificate(number: u8, at: Timestamp) -> CertificateRecord {
        CertificateRecord::own(Fingerprint::new([number; 32]), at, at.after(365 * DAY))
    }

    async fn invite(ward: &Ward) -> String {
        let code = InvitationCode::random();
        let invitation = Invitation {
            id: InvitationId::new(1),
            secret: code.hash(),
            invited: Invited::Device(terminal().id.clone()),
            made_by: "cli:root".to_owned(),
            made_at: START,
            expires_at: START.after(minutes(60)),
            proofing: String::new(),
            reason: "新規導入".to_owned(),
            used_at: None,
            revoked_at: None,
        };
        ward.store.invite(invitation).await.unwrap();
        code.expose()
    }

    #[tokio::test]
    async fn a_code_brings_one_certificate_to_one_device() {
        let ward = Ward::open().await;
        let code = invite(&ward).await;
        let id = terminal().id.clone();
        assert_eq!(ward.devices.invited(&code, START).await.unwrap().id, id);
        let other = DeviceId::parse("ward-4").unwrap();
        let refused = ward.devices.enrol(&code, &other, certificate(8, START), START).await;
        assert!(matches!(refused, Err(EnrolProblem::Refused)), "the code is ward-3's");
        ward.devices.enrol(&code.to_lowercase(), &id, certificate(8, START), START).await.unwrap();
        assert!(matches!(ward.devices.find(&Fingerprint::new([8; 32]), START), DeviceState::Known(_)));
        let again = ward.devices.enrol(&code, &id, certificate(9, START), START).await;
        assert!(matches!(again, Err(EnrolProblem::Refused)));
        assert_eq!(ward.devices.find(&Fingerprint::new([9; 32]), START), DeviceState::Unknown);
    }

    #[tokio::test]
    async fn codes_that_open_nothing_are_all_refused_alike() {
        let ward = Ward::open().await;
        let code = invite(&ward).await;
        for typed in ["", "01ABC-DEFGH-JKMNP-QRSTV", "x"] {
            assert!(matches!(ward.devices.invited(typed, START).await, Err(EnrolProblem::Refused)), "{typed}");
        }
        let late = ward.devices.invited(&code, START.after(minutes(60))).await;
        assert!(matches!(late, Err(EnrolProblem::Refused)));
        ward.store.revoke_device(&terminal().id, START, "cli:root".to_owned()).await.unwrap();
        let revoked = ward.devices.invited(&code, START).await;
        assert!(matches!(revoked, Err(EnrolProblem::Refused)), "its invitations went with it");
    }

    #[tokio::test]
    async fn a_certificate_is_renewed_near_its_end_and_the_old_one_goes_on_for_a_week() {
        let ward = Ward::open().await;
        let device = terminal();
        let renew_before = 100 * DAY;
        let early = START.after(264 * DAY);
        assert!(!ward.devices.renewal_due(&device, renew_before, early));
        let refused = ward.devices.renew(&device, certificate(8, early), renew_before, early).await;
        assert!(matches!(refused, Err(EnrolProblem::TooEarly)));
        let due = START.after(265 * DAY);
        assert!(ward.devices.renewal_due(&device, renew_before, due));
        ward.devices.renew(&device, certificate(8, due), renew_before, due).await.unwrap();
        let known =
            |number: u8, at| matches!(ward.devices.find(&Fingerprint::new([number; 32]), at), DeviceState::Known(_));
        assert!(known(3, due.after(6 * DAY)) && known(8, due.after(6 * DAY)));
        assert!(!known(3, due.after(7 * DAY)) && known(8, due.after(300 * DAY)));
        let gone = ward.devices.renew(&device, certificate(9, due), renew_before, due.after(8 * DAY)).await;
        assert!(matches!(gone, Err(EnrolProblem::NotInForce)), "the old one renews nothing any more");
    }

    #[tokio::test]
    async fn a_device_does_not_collect_certificates() {
        let ward = Ward::open().await;
        let (device, due) = (terminal(), START.after(300 * DAY));
        for number in 10..10 + u8::try_from(CERTIFICATES_MAX - 1).unwrap() {
            ward.devices.renew(&device, certificate(number, due), 100 * DAY, due).await.unwrap();
        }
        let refused = ward.devices.renew(&device, certificate(99, due), 100 * DAY, due).await;
        assert!(matches!(refused, Err(EnrolProblem::TooEarly)));
    }

    #[tokio::test]
    async fn a_revoked_device_renews_nothing() {
        let ward = Ward::open().await;
        let due = START.after(300 * DAY);
        ward.store.revoke_device(&terminal().id, START, "cli:root".to_owned()).await.unwrap();
        let refused = ward.devices.renew(&terminal(), certificate(8, due), 100 * DAY, due).await;
        assert!(matches!(refused, Err(EnrolProblem::NotInForce)));
    }
}
