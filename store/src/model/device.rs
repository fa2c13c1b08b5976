//! The ledger of devices, and their certificates.

use policy::{DeviceClass, DeviceId, Fingerprint, Timestamp};

/// A device in the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceRecord {
    /// Its name, unique for ever.
    pub id: DeviceId,
    /// What kind of device.
    pub class: DeviceClass,
    /// Asset number (資産番号), free text.
    pub asset: String,
    /// Who answers for it, free text.
    pub owner: String,
    /// Where it is, free text.
    pub place: String,
    /// Its operating system, free text.
    pub os: String,
    /// The version of that.
    pub os_version: String,
    /// When it was added.
    pub added_at: Timestamp,
    /// When it was last seen, at most a minute behind.
    pub seen_at: Option<Timestamp>,
    /// When it is to leave service: from then on its certificates are not accepted.
    pub expires_at: Option<Timestamp>,
    /// The last stock-take that found it.
    pub stock_taken_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Its certificates, earliest first; none before it is enrolled.
    pub certificates: Vec<CertificateRecord>,
}

impl DeviceRecord {
    /// A device of which nothing is known yet but name and class.
    #[must_use]
    pub fn new(id: DeviceId, class: DeviceClass, added_at: Timestamp) -> Self {
        Self {
            id,
            class,
            asset: String::new(),
            owner: String::new(),
            place: String::new(),
            os: String::new(),
            os_version: String::new(),
            added_at,
            seen_at: None,
            expires_at: None,
            stock_taken_at: None,
            revoked_at: None,
            certificates: Vec::new(),
        }
    }

    /// The certificate issued last, in force or not.
    #[must_use]
    pub fn last_certificate(&self) -> Option<&CertificateRecord> {
        self.certificates.last()
    }
}

/// A certificate of a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateRecord {
    /// SHA-256 of it, unique for ever.
    pub fingerprint: Fingerprint,
    /// Its serial number in hexadecimal digits; empty where it was not kept.
    pub serial: String,
    /// Who issued it, and how.
    pub issuer: CertificateIssuer,
    /// When it was entered here.
    pub issued_at: Timestamp,
    /// When it is accepted no longer: its own end, or earlier where another one has taken its place.
    pub ends_at: Timestamp,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

impl CertificateRecord {
    /// A certificate of our own CA, whose serial number is not kept.
    #[must_use]
    pub fn own(fingerprint: Fingerprint, issued_at: Timestamp, ends_at: Timestamp) -> Self {
        let serial = String::new();
        Self { fingerprint, serial, issuer: CertificateIssuer::Own, issued_at, ends_at, revoked_at: None }
    }
}

/// Who issued a device's certificate, and how.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum CertificateIssuer {
    /// Our own CA, with the key made here.
    Own,
    /// Our own CA by EST, with the key made on the device.
    Est,
    /// Another CA that the hospital trusts.
    Foreign,
}

impl CertificateIssuer {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Own, Self::Est, Self::Foreign];

    /// Its word in store and log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Est => "est",
            Self::Foreign => "foreign",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|issuer| issuer.as_str() == text)
    }
}

/// What to change of a device; `None` keeps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeviceChange {
    /// What kind of device.
    pub class: Option<DeviceClass>,
    /// Asset number.
    pub asset: Option<String>,
    /// Who answers for it.
    pub owner: Option<String>,
    /// Where it is.
    pub place: Option<String>,
    /// Its operating system.
    pub os: Option<String>,
    /// The version of that.
    pub os_version: Option<String>,
    /// When it is to leave service; `Some(None)` for never.
    pub expires_at: Option<Option<Timestamp>>,
    /// The last stock-take that found it; `Some(None)` for none.
    pub stock_taken_at: Option<Option<Timestamp>>,
}

/// How a revocation came out that spares the devices of some.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceRevocation {
    /// The device is revoked.
    Done,
    /// There is no such device in force.
    NotInForce,
    /// Somebody who is spared is signed in on it.
    Spared,
}

/// One of several writes that succeed or fail together, as a CSV file asks for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceWrite {
    /// Add a device.
    Add(DeviceRecord),
    /// Change a device.
    Change(DeviceId, DeviceChange),
}
