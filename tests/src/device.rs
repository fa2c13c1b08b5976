//! A device of the ledger, added as an operator adds it, holding the file it would install.

use std::path::PathBuf;

use p12_keystore::{KeyStore, Pkcs12ImportPolicy};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::{Hospital, eventually};

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
    /// Has the operator add a device; where the gateway runs, waits until it has heard of it.
    pub async fn add(hospital: &Hospital, id: &str, class: &str) -> Self {
        let file = hospital.folder().join(&format!("{id}.p12"));
        let out = file.display().to_string();
        let told =
            hospital.run(&["device", "add", id, "--class", class, "--out", &out, "--format", "json"]).ok().json();
        let password = told["password"].as_str().expect("the password is told once");
        let (chain, key) = open(&std::fs::read(&file).expect("the file to install was written"), password);
        if hospital.is_open() {
            let heard =
                async || (!hospital.records().with("ev", "device-added").with("dev", id).is_empty()).then_some(());
            eventually("the gateway hears of the device", heard).await;
        }
        Self { id: id.to_owned(), file, chain, key }
    }

    /// A device that holds a certificate and key of any origin, in DER.
    #[must_use]
    pub fn holding(id: &str, chain: Vec<CertificateDer<'static>>, key: Vec<u8>) -> Self {
        Self { id: id.to_owned(), file: PathBuf::new(), chain, key }
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

fn open(file: &[u8], password: &str) -> (Vec<CertificateDer<'static>>, Vec<u8>) {
    let store = KeyStore::from_pkcs12(file, password, Pkcs12ImportPolicy::Strict);
    let store = store.expect("the file opens with its password");
    let (_, entry) = store.private_key_chain().expect("the file holds a key with its chain");
    let chain = entry.certs().iter().map(|one| CertificateDer::from(one.as_der().to_vec())).collect();
    (chain, entry.key().as_der().to_vec())
}
