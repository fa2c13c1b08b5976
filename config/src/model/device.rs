//! Which certificates of devices are believed, and who may report their condition.

use std::path::PathBuf;
use std::time::Duration;

use policy::PostureSourceId;

use crate::{CertificateFiles, CrlFetch, Secret};

/// Device certificates.
#[derive(Clone, Debug)]
pub struct DeviceTrust {
    /// CAs beside the gateway's own device CA, such as an MDM's.
    pub ca_files: Vec<PathBuf>,
    /// How long certificates of the gateway's own device CA are valid.
    pub certificate_lifetime: Duration,
    /// How long before its end a device may renew its certificate.
    pub renew_before: Duration,
    /// Certificate and key of the device CA, where the hospital gives them (an intermediate of its own CA); made by the
    /// gateway where absent.
    pub ca: Option<CertificateFiles>,
    /// What the device CA's key is encrypted with; a key in the state directory where absent.
    pub ca_passphrase: Option<Secret>,
    /// Revocation lists of the CAs in `ca_files`, in files.
    pub crl_files: Vec<PathBuf>,
    /// Those that are fetched.
    pub crl_fetch: CrlFetch,
    /// How old a revocation list may be; devices of its CA are refused when it is older.
    pub crl_max_age: Duration,
}

/// A system that may report the condition of devices, such as an MDM or EDR.
#[derive(Clone, Debug)]
pub struct PostureSource {
    /// Its name in configuration and log.
    pub id: PostureSourceId,
    /// What it shows to prove itself.
    pub token: Secret,
    /// How long its reports are believed.
    pub ttl: Duration,
}
