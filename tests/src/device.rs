//! A device of the ledger, added as an operator adds it, holding the file it would install.

use std::path::PathBuf;

use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::Hospital;

const PASSWORD: &str = "correct-horse-1";

/// A device with its certificate and key.
#[derive(Clone, Debug)]
pub struct Device {
    /// Its name in the ledger.
    pub id: String,
    /// The PKCS#12 file to install.
    pub file: PathBuf,
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
}

impl Device {
    /// Has the operator add a device.
    #[must_use]
    pub fn add(hospital: &Hospital, id: &str, class: &str) -> Self {
        let file = hospital.folder().join(&format!("{id}.p12"));
        let password = hospital.folder().write(&format!("{id}.password"), PASSWORD);
        let (out, password) = (file.display().to_string(), password.display().to_string());
        let words =
            ["device", "add", id, "--class", class, "--out", &out, "--password-file", &password, "--format", "json"];
        let told = hospital.run(&words).ok().json();
        assert_eq!(told["id"], id, "{told}");
        let (chain, key) = open(&std::fs::read(&file).expect("the file to install was written"));
        Self { id: id.to_owned(), file, chain, key }
    }

    /// Its certificate and those above it.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.clone()
    }

    /// Its private key.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.key.clone()).into()
    }
}

fn open(file: &[u8]) -> (Vec<CertificateDer<'static>>, Vec<u8>) {
    let store = KeyStore::from_pkcs12(file, PASSWORD, Pkcs12ImportPolicy::Strict);
    let store = store.expect("the file opens with its password");
    let (_, entry) = store.private_key_chain().expect("the file holds a key with its chain");
    let chain = entry.certs().iter().map(|one| CertificateDer::from(one.as_der().to_vec())).collect();
    (chain, entry.key().as_der().to_vec())
}
