//! What is kept of ordering certificates from one start to the next: the account at the CA, the certificate with its key
//! in one file, so that they change as one, how often it failed, and what may still stand in the DNS. Nobody else may read any
//! of it. It is read and written apart from the thread on which health is told: a disk may hang.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use config::{Acme, AcmeProof, CertificateFiles, ExternalAccount};
use instant_acme::AccountCredentials;
use policy::Timestamp;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const ACCOUNT: &str = "account.json";
const CERTIFICATE: &str = "certificate.pem";
const TRIES: &str = "tries.json";
const SHOWN: &str = "shown.json";
/// How many texts may stand in the DNS because nobody could remove them; the oldest are forgotten.
const SHOWN_MAX: usize = 256;
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

/// What the hospital's program writes into the DNS for the CA.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Shown {
    /// The name that is shown to be the gateway's, without its wildcard.
    pub host: String,
    /// The text.
    pub text: String,
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
    pub async fn certificate_text(&self) -> io::Result<Option<Zeroizing<String>>> {
        self.apart(|folder| read(folder, CERTIFICATE)).await
    }

    /// Writes a certificate beside the one in use, to be looked at before it takes its place.
    ///
    /// # Errors
    /// [`io::Error`] of the disk.
    pub async fn lay_beside(&self, text: &str) -> io::Result<CertificateFiles> {
        let text = Zeroizing::new(text.to_owned());
        let beside = self.apart(move |folder| write_beside(folder, CERTIFICATE, &text)).await?;
        Ok(CertificateFiles { certificate: beside.clone(), key: beside })
    }

    /// Removes what was laid beside and is not wanted: a key lies in one place.
    pub async fn drop_beside(&self, beside: &CertificateFiles) {
        let beside = beside.certificate.clone();
        // Nobody uses it, and the next one takes its place.
        drop(self.apart(move |_| std::fs::remove_file(beside)).await);
    }

    /// Puts it in place.
    ///
    /// # Errors
    /// [`io::Error`] of the disk; the one before is in place then.
    pub async fn put_in_place(&self, beside: &CertificateFiles) -> io::Result<()> {
        let beside = beside.certificate.clone();
        self.apart(move |folder| put(folder, &beside, CERTIFICATE)).await
    }

    /// The account, where there is one that is meant by the configuration.
    ///
    /// # Errors
    /// [`io::Error`] where it cannot be read: it is not replaced by a new one then.
    pub async fn account(&self, acme: &Acme) -> io::Result<Option<KeptAccount>> {
        let Some(text) = self.apart(|folder| read(folder, ACCOUNT)).await? else { return Ok(None) };
        let account: KeptAccount = serde_json::from_str(&text)?;
        Ok(account.is_of(acme).then_some(account))
    }

    /// Keeps an account.
    ///
    /// # Errors
    /// [`io::Error`] of the disk.
    pub async fn keep_account(&self, account: &KeptAccount) -> io::Result<()> {
        let text = Zeroizing::new(serde_json::to_string(account)?);
        self.apart(move |folder| write(folder, ACCOUNT, &text)).await
    }

    /// Puts an account aside that the CA does not know any more.
    ///
    /// # Errors
    /// [`io::Error`] of the disk.
    pub async fn put_account_aside(&self) -> io::Result<()> {
        let aside = |folder: &Path| std::fs::rename(folder.join(ACCOUNT), folder.join(format!("{ACCOUNT}.unknown")));
        self.apart(aside).await
    }

    /// How it went lately. What cannot be read counts as nothing: it only makes the gateway wait.
    pub async fn tries(&self) -> Tries {
        let text = self.apart(|folder| read(folder, TRIES)).await.ok().flatten();
        text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    /// Keeps how it went.
    ///
    /// # Errors
    /// [`io::Error`] of the disk.
    pub async fn keep_tries(&self, tries: &Tries) -> io::Result<()> {
        let text = if *tries == Tries::default() { None } else { Some(serde_json::to_string(tries)?) };
        self.apart(move |folder| write_or_remove(folder, TRIES, text.as_deref())).await
    }

    /// What was written into the DNS for the CA and was not seen to be removed.
    ///
    /// # Errors
    /// [`io::Error`] where it cannot be read.
    pub async fn shown(&self) -> io::Result<Vec<Shown>> {
        self.apart(shown).await
    }

    /// Notes what is to be written into the DNS.
    ///
    /// # Errors
    /// [`io::Error`] of the disk: it must not be written then.
    pub async fn note_shown(&self, one: Shown) -> io::Result<()> {
        self.change_shown(move |all| {
            all.push(one);
            let forgotten = all.len().saturating_sub(SHOWN_MAX);
            for one in all.drain(..forgotten) {
                tracing::warn!(
                    host = one.host,
                    text = one.text,
                    "a text that nobody could remove from the DNS is forgotten"
                );
            }
        })
        .await
    }

    /// Notes what was removed from there.
    ///
    /// # Errors
    /// [`io::Error`] of the disk: it is removed once more then.
    pub async fn forget_shown(&self, one: Shown) -> io::Result<()> {
        self.change_shown(move |all| all.retain(|other| *other != one)).await
    }

    async fn change_shown(&self, change: impl FnOnce(&mut Vec<Shown>) + Send + 'static) -> io::Result<()> {
        self.apart(move |folder| {
            let mut all = shown(folder)?;
            change(&mut all);
            let text = if all.is_empty() { None } else { Some(serde_json::to_string(&all)?) };
            write_or_remove(folder, SHOWN, text.as_deref())
        })
        .await
    }

    /// Works on the folder where nobody but whoever asked waits for the disk.
    async fn apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let folder = self.0.clone();
        tokio::task::spawn_blocking(move || work(&folder)).await.map_err(io::Error::other)?
    }
}

fn shown(folder: &Path) -> io::Result<Vec<Shown>> {
    Ok(read(folder, SHOWN)?.map(|text| serde_json::from_str(&text)).transpose()?.unwrap_or_default())
}

fn read(folder: &Path, name: &str) -> io::Result<Option<Zeroizing<String>>> {
    let file = match File::open(folder.join(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// Nothing to write is no file.
fn write_or_remove(folder: &Path, name: &str, text: Option<&str>) -> io::Result<()> {
    match text {
        Some(text) => write(folder, name, text),
        None => remove(&folder.join(name)),
    }
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn write(folder: &Path, name: &str, text: &str) -> io::Result<()> {
    put(folder, &write_beside(folder, name, text)?, name)
}

fn put(folder: &Path, beside: &Path, name: &str) -> io::Result<()> {
    std::fs::rename(beside, folder.join(name))?;
    File::open(folder)?.sync_all()
}

fn write_beside(folder: &Path, name: &str, text: &str) -> io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let beside = folder.join(format!("{name}.new"));
    remove(&beside)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(beside)
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

    #[tokio::test]
    async fn what_may_stand_in_the_dns_is_kept_until_it_is_removed_and_never_grows_without_bound() {
        let folder = std::env::temp_dir().join(format!("sekimori-acme-shown-{}", std::process::id()));
        let kept = Kept(folder.clone());
        let one = |number: usize| Shown { host: "emr.test".to_owned(), text: number.to_string() };
        assert_eq!(kept.shown().await.unwrap(), []);
        for number in 0..2 {
            kept.note_shown(one(number)).await.unwrap();
        }
        kept.forget_shown(one(0)).await.unwrap();
        assert_eq!(kept.shown().await.unwrap(), [one(1)], "each is of its own");
        kept.forget_shown(one(1)).await.unwrap();
        assert!(!folder.join(SHOWN).exists());
        let all: Vec<Shown> = (0..SHOWN_MAX).map(one).collect();
        write(&folder, SHOWN, &serde_json::to_string(&all).unwrap()).unwrap();
        kept.note_shown(one(SHOWN_MAX)).await.unwrap();
        let all = kept.shown().await.unwrap();
        assert_eq!((all.len(), all.first(), all.last()), (SHOWN_MAX, Some(&one(1)), Some(&one(SHOWN_MAX))));
        std::fs::remove_dir_all(folder).unwrap();
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
