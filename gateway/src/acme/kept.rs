//! What is kept of ordering certificates from one start to the next: the account at the CA, the certificate with its key
//! in one file, so that they change as one, and how often it failed. Nobody else may read any of it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;
use std::time::Duration;

use config::{Acme, AcmeProof, CertificateFiles, ExternalAccount};
use instant_acme::AccountCredentials;
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const ACCOUNT: &str = "account.json";
const CERTIFICATE: &str = "certificate.pem";
const TRIES: &str = "tries.json";
/// The largest of these files; a chain has some KiB.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// How long to wait after the first failure, twice as long after each more.
const WAIT_MIN: Duration = Duration::from_secs(60);
/// Whatever the CA says, it is asked again after this.
const WAIT_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Doubling ends here: six hours, when the CA says nothing.
const WAIT_DOUBLED_MAX: Duration = Duration::from_secs(6 * 3_600);
/// The reason of what is not over.
const UNDER_WAY: &str = "an order is under way, or was broken off";
/// The longest reason that is kept, in characters.
const REASON_CHARACTERS_MAX: usize = 400;

/// The folder where all of it is.
#[derive(Clone, Debug)]
pub struct Kept(PathBuf);

/// The account at a CA.
#[derive(Serialize, Deserialize)]
pub struct KeptAccount {
    directory: String,
    key_id: Option<String>,
    /// Whom the CA writes to.
    pub contact: Vec<String>,
    /// Its address and key.
    pub credentials: AccountCredentials,
}

impl KeptAccount {
    /// A new one.
    pub fn new(acme: &Acme, credentials: AccountCredentials) -> Self {
        let key_id = acme.external_account.as_ref().map(|ExternalAccount { key_id, .. }| key_id.clone());
        Self { directory: acme.directory.clone(), key_id, contact: acme.contact.clone(), credentials }
    }

    /// The same, once the CA was told whom to write to.
    pub fn told(self, acme: &Acme) -> Self {
        Self { contact: acme.contact.clone(), ..self }
    }

    /// Whether it is the one that the configuration means.
    pub fn is_of(&self, acme: &Acme) -> bool {
        let key_id = acme.external_account.as_ref().map(|ExternalAccount { key_id, .. }| key_id.as_str());
        self.directory == acme.directory && self.key_id.as_deref() == key_id
    }
}

/// How it went lately: nothing where all is well.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Tries {
    /// What was ordered, and how: another order is not made to wait for this one's failures.
    order: String,
    /// How often in a row it failed.
    pub failures: u32,
    /// When it failed last, in seconds since 1970.
    failed_at: i64,
    /// When it is tried next.
    next_at: i64,
    /// Why it failed last.
    pub reason: String,
}

impl Tries {
    /// Before an order is begun: what is broken off in the midst counts as failed.
    pub fn begun(self, acme: &Acme, at: Timestamp) -> Self {
        self.failed(acme, at, UNDER_WAY, None)
    }

    /// Whether an order is under way, or was broken off.
    pub fn is_under_way(&self) -> bool {
        self.reason == UNDER_WAY
    }

    /// After one more failure; the CA may have said for how long it wants to hear nothing.
    pub fn failed(self, acme: &Acme, at: Timestamp, reason: &str, asked_to_wait: Option<Duration>) -> Self {
        let failures = if self.order == order(acme) { self.failures } else { 0 };
        let doubled = WAIT_MIN.saturating_mul(2_u32.saturating_pow(failures)).min(WAIT_DOUBLED_MAX);
        let wait = doubled.max(asked_to_wait.unwrap_or_default()).min(WAIT_MAX);
        let reason = reason.chars().map(|one| if one.is_control() { ' ' } else { one });
        Self {
            order: order(acme),
            failures: failures.saturating_add(1),
            failed_at: at.unix_seconds(),
            next_at: at.after(wait).unix_seconds(),
            reason: reason.take(REASON_CHARACTERS_MAX).collect(),
        }
    }

    /// Whether the next try has to wait. A clock that was set back makes nobody wait for longer than a day.
    pub fn waits(&self, acme: &Acme, at: Timestamp) -> bool {
        let left = self.next_at.saturating_sub(at.unix_seconds());
        self.order == order(acme) && left > 0 && left.unsigned_abs() <= WAIT_MAX.as_secs()
    }

    /// When it is tried next.
    pub fn next_at(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.next_at.saturating_mul(1_000_000))
    }
}

/// Whether both mean the same order: of the same CA, for the same names, shown to be the gateway's in the same way.
pub fn is_same_order(one: &Acme, other: &Acme) -> bool {
    order(one) == order(other) && one.folder == other.folder
}

fn order(acme: &Acme) -> String {
    let names: Vec<String> = acme.names.iter().map(ToString::to_string).collect();
    let proof = match &acme.proof {
        AcmeProof::Tls => "tls-alpn-01".to_owned(),
        AcmeProof::Dns { hook } => format!("dns-01 {}", hook.display()),
    };
    format!("{} {proof} {}", acme.directory, names.join(" "))
}

impl Kept {
    /// Where a configuration keeps it.
    pub fn of(acme: &Acme) -> Self {
        Self(acme.folder.clone())
    }

    /// The certificate, which may not be there.
    pub fn certificate(&self) -> CertificateFiles {
        let file = self.0.join(CERTIFICATE);
        CertificateFiles { certificate: file.clone(), key: file }
    }

    /// The text of chain and key.
    ///
    /// # Errors
    /// [`io::Error`] where it is there and cannot be read.
    pub fn certificate_text(&self) -> io::Result<Option<Zeroizing<String>>> {
        self.read(CERTIFICATE)
    }

    /// Writes a certificate beside the one in use, to be looked at before it takes its place.
    ///
    /// # Errors
    /// [`io::Error`] of the disk.
    pub fn lay_beside(&self, text: &str) -> io::Result<CertificateFiles> {
        let beside = self.write_beside(CERTIFICATE, text)?;
        Ok(CertificateFiles { certificate: beside.clone(), key: beside })
    }

    /// Removes what was laid beside and is not wanted: a key lies in one place.
    pub fn drop_beside(&self, beside: &CertificateFiles) {
        // Nobody uses it, and the next one takes its place.
        drop(std::fs::remove_file(&beside.certificate));
    }

    /// Puts it in place.
    ///
    /// # Errors
    /// [`io::Error`] of the disk; the one before is in place then.
    pub fn put_in_place(&self, beside: &CertificateFiles) -> io::Result<()> {
        std::fs::rename(&beside.certificate, self.0.join(CERTIFICATE))?;
        File::open(&self.0)?.sync_all()
    }

    /// The account, where there is one that is meant by the configuration.
    ///
    /// # Errors
    /// [`io::Error`] where it cannot be read: it is not replaced by a new one then.
    pub fn account(&self, acme: &Acme) -> io::Result<Option<KeptAccount>> {
        let Some(text) = self.read(ACCOUNT)? else { return Ok(None) };
        let account: KeptAccount = serde_json::from_str(&text)?;
        Ok(account.is_of(acme).then_some(account))
    }

    /// Keeps an account.
    ///
    /// # Errors
    /// [`io::Error`] of the disk.
    pub fn keep_account(&self, account: &KeptAccount) -> io::Result<()> {
        self.write(ACCOUNT, &Zeroizing::new(serde_json::to_string(account)?))
    }

    /// Puts an account aside that the CA does not know any more.
    ///
    /// # Errors
    /// [`io::Error`] of the disk.
    pub fn put_account_aside(&self) -> io::Result<()> {
        std::fs::rename(self.0.join(ACCOUNT), self.0.join(format!("{ACCOUNT}.unknown")))
    }

    /// How it went lately. What cannot be read counts as nothing: it only makes the gateway wait.
    pub fn tries(&self) -> Tries {
        let text = self.read(TRIES).ok().flatten();
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Keeps how it went.
    ///
    /// # Errors
    /// [`io::Error`] of the disk.
    pub fn keep_tries(&self, tries: &Tries) -> io::Result<()> {
        if *tries != Tries::default() {
            return self.write(TRIES, &serde_json::to_string(tries)?);
        }
        match std::fs::remove_file(self.0.join(TRIES)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn read(&self, name: &str) -> io::Result<Option<Zeroizing<String>>> {
        let file = match File::open(self.0.join(name)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = Zeroizing::new(String::new());
        file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
        Ok(Some(text))
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        let beside = self.write_beside(name, text)?;
        std::fs::rename(beside, self.0.join(name))?;
        File::open(&self.0)?.sync_all()
    }

    fn write_beside(&self, name: &str, text: &str) -> io::Result<PathBuf> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        let beside = self.0.join(format!("{name}.new"));
        match std::fs::remove_file(&beside) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        Ok(beside)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acme(names: &[&str]) -> Acme {
        Acme {
            directory: "https://acme.test/directory".to_owned(),
            ca_file: None,
            contact: Vec::new(),
            names: names.iter().map(|name| config::AcmeName::parse(name).unwrap()).collect(),
            proof: AcmeProof::Tls,
            external_account: None,
            folder: PathBuf::from("/nowhere"),
        }
    }

    const NOW: Timestamp = Timestamp::from_unix_micros(1_800_000_000_000_000);

    #[test]
    fn failures_make_the_gateway_wait_longer_and_longer_but_never_for_longer_than_six_hours() {
        let acme = acme(&["emr.test"]);
        let (mut tries, mut waits) = (Tries::default(), Vec::new());
        assert!(!tries.waits(&acme, NOW));
        for _ in 0..40 {
            tries = tries.failed(&acme, NOW, "no", None);
            waits.push(tries.next_at().since(NOW).as_secs());
        }
        assert_eq!(waits.get(..4), Some(&[60, 120, 240, 480][..]));
        assert_eq!(waits.last(), Some(&(6 * 3_600)));
        assert!(tries.waits(&acme, NOW) && !tries.waits(&acme, NOW.after(WAIT_DOUBLED_MAX)));
    }

    #[test]
    fn what_the_ca_asks_for_is_heeded_up_to_a_day() {
        let acme = acme(&["emr.test"]);
        let wait = |asked| Tries::default().failed(&acme, NOW, "no", Some(asked)).next_at().since(NOW);
        assert_eq!(wait(Duration::from_secs(3_600)), Duration::from_secs(3_600));
        assert_eq!(wait(Duration::from_secs(1)), WAIT_MIN);
        assert_eq!(wait(Duration::from_secs(u32::MAX.into())), WAIT_MAX);
    }

    #[test]
    fn another_order_does_not_wait_and_a_clock_set_back_makes_nobody_wait_for_years() {
        let (one, other) = (acme(&["emr.test"]), acme(&["emr.test", "pacs.test"]));
        let tries = Tries::default().failed(&one, NOW, "a\u{7}b", None);
        assert!(tries.waits(&one, NOW) && !tries.waits(&other, NOW));
        let years_before = Timestamp::from_unix_micros(1_600_000_000_000_000);
        assert!(!tries.waits(&one, years_before));
        assert_eq!(tries.reason, "a b", "what a CA says is no control character");
        assert_eq!(tries.failed(&other, NOW, "no", None).failures, 1);
    }
}
