//! PKCS#12 files (`.p12`): how a device certificate and its key travel to the device.

use p12_keystore::{
    Certificate, EncryptionAlgorithm, KeyStore, KeyStoreEntry, MacAlgorithm, PrivateKey, PrivateKeyChain,
};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::Zeroizing;

use crate::{CertProblem, IssuedDevice};

/// The shortest password of a file. Make it at random, longer: whoever holds the file may guess as fast as they can.
pub const PASSWORD_CHARACTERS_MIN: usize = 8;

/// Rounds between password and key.
const ITERATIONS: u32 = 100_000;
/// Rounds for [`pkcs12_for_older_systems`], whose systems are slow and some of which refuse more.
const ITERATIONS_OLDER: u32 = 10_000;

/// Writes a device certificate, its key and its CA as PKCS#12 with AES-256 and SHA-256 (RFC 8018), the form to prefer:
/// current Windows, Android, Chromium and Firefox read it. A device that calls it a wrong password needs
/// [`pkcs12_for_older_systems`].
///
/// # Errors
/// [`CertProblem`] if the password is too short, the name is not writable in PKCS#12, or the PEM is not what it should
/// be.
pub fn pkcs12(
    issued: &IssuedDevice,
    ca_pem: &str,
    friendly_name: &str,
    password: &str,
) -> Result<Vec<u8>, CertProblem> {
    let store = key_store(issued, ca_pem, friendly_name, password)?;
    let writer = store
        .writer(password)
        .encryption_algorithm(EncryptionAlgorithm::PbeWithHmacSha256AndAes256)
        .encryption_iterations(ITERATIONS)
        .mac_algorithm(MacAlgorithm::HmacSha256)
        .mac_iterations(ITERATIONS);
    writer.write().map_err(|error| not_written(friendly_name, &error))
}

/// Writes the same as [`pkcs12`] with triple DES and SHA-1 (RFC 7292 appendix C), which every system reads: Android up
/// to 12, Windows Server 2016 and several releases of macOS and iOS call the newer form a wrong password. The cipher is
/// old but not broken; the password carries the file, so use a long random one.
///
/// # Errors
/// As for [`pkcs12`].
pub fn pkcs12_for_older_systems(
    issued: &IssuedDevice,
    ca_pem: &str,
    friendly_name: &str,
    password: &str,
) -> Result<Vec<u8>, CertProblem> {
    let store = key_store(issued, ca_pem, friendly_name, password)?;
    let writer = store
        .writer(password)
        .encryption_algorithm(EncryptionAlgorithm::PbeWithShaAnd3KeyTripleDesCbc)
        .encryption_iterations(ITERATIONS_OLDER)
        .mac_algorithm(MacAlgorithm::HmacSha1)
        .mac_iterations(ITERATIONS_OLDER);
    writer.write().map_err(|error| not_written(friendly_name, &error))
}

fn key_store(
    issued: &IssuedDevice,
    ca_pem: &str,
    friendly_name: &str,
    password: &str,
) -> Result<KeyStore, CertProblem> {
    if password.chars().count() < PASSWORD_CHARACTERS_MIN {
        return Err(CertProblem::new(
            friendly_name,
            format!("the password is shorter than {PASSWORD_CHARACTERS_MIN} characters"),
            "give a longer one, best made at random",
        ));
    }
    let unreadable = |what: &str| CertProblem::new(friendly_name, format!("{what} is not readable"), "issue it again");
    let certificate = |pem: &str, what: &str| {
        let der = CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| unreadable(what))?;
        Certificate::from_der(&der).map_err(|_| unreadable(what))
    };
    let own = certificate(&issued.certificate_pem, "the certificate")?;
    let ca = certificate(ca_pem, "the CA's certificate")?;
    let key = PrivateKeyDer::from_pem_slice(issued.key_pem.expose().as_bytes()).map_err(|_| unreadable("the key"))?;
    let key_der = Zeroizing::new(key.secret_der().to_vec());
    let key = PrivateKey::from_der(&key_der).map_err(|_| unreadable("the key"))?;
    let mut store = KeyStore::new();
    let chain = PrivateKeyChain::new(issued.fingerprint.as_bytes().as_slice(), key, [own, ca]);
    store.add_entry(friendly_name, KeyStoreEntry::PrivateKeyChain(chain));
    Ok(store)
}

fn not_written(friendly_name: &str, error: &p12_keystore::error::Error) -> CertProblem {
    CertProblem::new(
        friendly_name,
        format!("a PKCS#12 file cannot be written: {error}"),
        "use a name and a password without emoji or other rare characters",
    )
}

#[cfg(test)]
mod tests;
