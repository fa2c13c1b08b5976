//! What nodes share of it, in the store that all of them read: account, certificate and key, sealed under the key of
//! assertions, which each of them has; and what is shown to the CA, whose question may reach any of them, sealed likewise:
//! whoever writes into the store could else have any CA certify the hospital's hosts to him. Where there is one node,
//! nothing of this is in the store.

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use config::{Acme, AcmeName, AcmeProof};
use identity::Assertions;
use policy::{Host, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use store::Store;
use zeroize::Zeroizing;

use super::kept::KeptAccount;
use super::{LOOK_INTERVAL, ORDER_TIMEOUT};
use crate::gate::Gate;

/// Where account and certificate stand.
const SHARED: &str = "acme";
/// Where it stands what is shown to the CA.
const PROOFS: &str = "acme-proofs";
/// What the sealing keys are for: neither is taken for the other.
const PURPOSE: &[u8] = b"sekimori acme v1";
const PURPOSE_OF_PROOFS: &[u8] = b"sekimori acme proofs v1";
/// How long the others have to see what is to be shown: each looks more often.
const SPREAD: Duration = Duration::from_secs(3 * LOOK_INTERVAL.as_secs());
/// More than any chain and account have, in bytes.
const SEALED_BYTES_MAX: usize = 1 << 20;

/// What is shared.
#[derive(Serialize, Deserialize)]
pub struct Shared {
    /// The account.
    pub account: KeptAccount,
    /// Chain and key.
    pub certificate: String,
}

impl Drop for Shared {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.certificate);
    }
}

/// Gives it to the others.
///
/// # Errors
/// In words; the others go on with what they have.
pub async fn give(store: &dyn Store, assertions: &Assertions, shared: &Shared) -> Result<(), String> {
    let text = Zeroizing::new(serde_json::to_vec(shared).map_err(|error| error.to_string())?);
    store.set_note(SHARED, seal(assertions, PURPOSE, &text)?).await.map_err(|problem| problem.to_string())
}

/// What was given, as it stands in the store: to be opened where it is other than before.
///
/// # Errors
/// In words.
pub async fn given(store: &dyn Store) -> Result<Option<String>, String> {
    store.note(SHARED).await.map_err(|problem| problem.to_string())
}

/// Opens it.
///
/// # Errors
/// In words: another key sealed it, or nobody did.
pub fn open(assertions: &Assertions, sealed: &str) -> Result<Shared, String> {
    unseal(assertions, PURPOSE, sealed)
}

fn unseal<T: DeserializeOwned>(assertions: &Assertions, purpose: &[u8], sealed: &str) -> Result<T, String> {
    let not_ours = || "was not sealed by a node with the same key of assertions; see docs/operate/nodes.md".to_owned();
    if sealed.len() > SEALED_BYTES_MAX {
        return Err(not_ours());
    }
    let mut bytes = STANDARD.decode(sealed).map_err(|_| not_ours())?;
    let (nonce, content) = bytes.split_first_chunk_mut::<NONCE_LEN>().ok_or_else(not_ours)?;
    let opened = key(assertions, purpose)?
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(purpose), content)
        .map_err(|_| not_ours())?;
    let read = serde_json::from_slice(opened).map_err(|_| "is of a later version of the program".to_owned());
    zeroize::Zeroize::zeroize(&mut bytes);
    read
}

fn seal(assertions: &Assertions, purpose: &[u8], text: &[u8]) -> Result<String, String> {
    let no_random = |_| "the system gives no randomness".to_owned();
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).map_err(no_random)?;
    let mut content = text.to_vec();
    key(assertions, purpose)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(purpose), &mut content)
        .map_err(no_random)?;
    Ok(STANDARD.encode([&nonce[..], &content].concat()))
}

fn key(assertions: &Assertions, purpose: &[u8]) -> Result<LessSafeKey, String> {
    let key = assertions.key_for(purpose).ok_or("no key can be made")?;
    let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).map_err(|_| "no key can be made".to_owned())?;
    Ok(LessSafeKey::new(key))
}

/// What the other nodes show.
#[derive(Serialize, Deserialize)]
struct Proofs {
    /// Until when, in seconds since 1970: the node that orders may die before it withdraws them.
    until: i64,
    /// Each host, and the digest that the CA expects.
    proofs: Vec<(String, String)>,
}

/// Tells the other nodes what to show the CA, and waits until they do.
///
/// # Errors
/// In words.
pub async fn show(gate: &Gate, store: &dyn Store, digests: &[(Host, [u8; 32])]) -> Result<(), String> {
    if gate.snapshot.load().config.nodes.is_none() {
        return Ok(());
    }
    let told = seal_proofs(&gate.assertions, digests, gate.clock.now())?;
    store.set_note(PROOFS, told).await.map_err(|problem| problem.to_string())?;
    if !digests.is_empty() {
        tokio::time::sleep(SPREAD).await;
    }
    Ok(())
}

/// What the node that orders tells to show the CA for the names of this order, as long as one may take.
///
/// # Errors
/// In words: what stands there was written by no node.
pub async fn to_show(
    store: &dyn Store,
    assertions: &Assertions,
    acme: &Acme,
    at: Timestamp,
) -> Result<Vec<(Host, [u8; 32])>, String> {
    if acme.proof != AcmeProof::Tls {
        return Ok(Vec::new());
    }
    match store.note(PROOFS).await.map_err(|problem| problem.to_string())? {
        Some(sealed) => open_proofs(assertions, &sealed, acme, at),
        None => Ok(Vec::new()),
    }
}

fn seal_proofs(assertions: &Assertions, digests: &[(Host, [u8; 32])], at: Timestamp) -> Result<String, String> {
    let proofs = digests.iter().map(|(host, digest)| (host.to_string(), STANDARD.encode(digest))).collect();
    let told = Proofs { until: at.after(ORDER_TIMEOUT).unix_seconds(), proofs };
    seal(assertions, PURPOSE_OF_PROOFS, &serde_json::to_vec(&told).map_err(|error| error.to_string())?)
}

fn open_proofs(
    assertions: &Assertions,
    sealed: &str,
    acme: &Acme,
    at: Timestamp,
) -> Result<Vec<(Host, [u8; 32])>, String> {
    let told: Proofs = unseal(assertions, PURPOSE_OF_PROOFS, sealed)?;
    if told.until <= at.unix_seconds() {
        return Ok(Vec::new());
    }
    let read = |(host, digest): &(String, String)| {
        let (host, digest) = (Host::parse(host).ok()?, STANDARD.decode(digest).ok()?);
        let is_ordered = acme.names.iter().any(|name| matches!(name, AcmeName::Host(own) if *own == host));
        is_ordered.then_some((host, <[u8; 32]>::try_from(digest).ok()?))
    };
    // Each costs a key.
    Ok(told.proofs.iter().filter_map(read).take(acme.names.len()).collect())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_micros(1_800_000_000_000_000);
    const DIGEST: [u8; 32] = [7; 32];

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("sekimori-acme-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn assertions(&self) -> Assertions {
            Assertions::open_or_create(&self.0, "https://login.hospital.test").unwrap()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    fn acme(name: &str) -> Acme {
        Acme {
            directory: "https://acme.test/directory".to_owned(),
            ca_file: None,
            contact: Vec::new(),
            names: vec![AcmeName::parse(name).unwrap()],
            proof: AcmeProof::Tls,
            external_account: None,
            folder: PathBuf::from("/nowhere"),
        }
    }

    fn host(name: &str) -> Host {
        Host::parse(name).unwrap()
    }

    #[test]
    fn what_a_node_tells_to_show_is_shown_for_ordered_names_alone_and_while_an_order_may_last() {
        let folder = Folder::new("told");
        let assertions = folder.assertions();
        let digests = [(host("emr.hospital.test"), DIGEST), (host("pacs.hospital.test"), DIGEST)];
        let sealed = seal_proofs(&assertions, &digests, NOW).unwrap();
        let shown = |name: &str, at| open_proofs(&assertions, &sealed, &acme(name), at).unwrap();
        assert_eq!(shown("emr.hospital.test", NOW), [(host("emr.hospital.test"), DIGEST)]);
        assert_eq!(shown("lab.hospital.test", NOW), []);
        assert_eq!(shown("*.hospital.test", NOW), [], "no CA looks at a handshake for a wildcard");
        assert_eq!(shown("emr.hospital.test", NOW.after(ORDER_TIMEOUT)), [], "whoever ordered is gone");
    }

    #[test]
    fn what_no_node_told_is_not_shown() {
        let (folder, other) = (Folder::new("own"), Folder::new("other"));
        let (assertions, of_another) = (folder.assertions(), other.assertions());
        let digests = [(host("emr.hospital.test"), DIGEST)];
        let plain = serde_json::to_string(&[("emr.hospital.test", STANDARD.encode(DIGEST))]).unwrap();
        let told = Proofs { until: i64::MAX, proofs: vec![("emr.hospital.test".to_owned(), STANDARD.encode(DIGEST))] };
        let for_another_use = seal(&assertions, PURPOSE, &serde_json::to_vec(&told).unwrap()).unwrap();
        let foreign = seal_proofs(&of_another, &digests, NOW).unwrap();
        for note in [plain, for_another_use, foreign, serde_json::to_string(&told).unwrap(), String::new()] {
            assert!(open_proofs(&assertions, &note, &acme("emr.hospital.test"), NOW).is_err(), "{note}");
        }
    }
}
