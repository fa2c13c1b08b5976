//! What nodes share of it, in the store that all of them read: account, certificate and key, sealed under the key of
//! assertions, which each of them has; and what is shown to the CA, whose question may reach any of them. Where there is
//! one node, nothing of this is in the store.

use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::rand;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use identity::Assertions;
use policy::Host;
use serde::{Deserialize, Serialize};
use store::Store;
use zeroize::Zeroizing;

use super::LOOK_INTERVAL;
use super::kept::KeptAccount;
use crate::gate::Gate;

/// Where account and certificate stand.
const SHARED: &str = "acme";
/// Where it stands what is shown to the CA.
const PROOFS: &str = "acme-proofs";
/// What the sealing key is for.
const PURPOSE: &[u8] = b"sekimori acme v1";
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
    store.set_note(SHARED, seal(assertions, &text)?).await.map_err(|problem| problem.to_string())
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
    let not_ours = || "was not sealed by a node with the same key of assertions; see docs/operate/nodes.md".to_owned();
    if sealed.len() > SEALED_BYTES_MAX {
        return Err(not_ours());
    }
    let mut bytes = STANDARD.decode(sealed).map_err(|_| not_ours())?;
    let (nonce, content) = bytes.split_first_chunk_mut::<NONCE_LEN>().ok_or_else(not_ours)?;
    let opened = key(assertions)?
        .open_in_place(Nonce::assume_unique_for_key(*nonce), Aad::from(PURPOSE), content)
        .map_err(|_| not_ours())?;
    let shared = serde_json::from_slice(opened).map_err(|_| "is of a later version of the program".to_owned());
    zeroize::Zeroize::zeroize(&mut bytes);
    shared
}

fn seal(assertions: &Assertions, text: &[u8]) -> Result<String, String> {
    let no_random = |_| "the system gives no randomness".to_owned();
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce).map_err(no_random)?;
    let mut content = text.to_vec();
    key(assertions)?
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(PURPOSE), &mut content)
        .map_err(no_random)?;
    Ok(STANDARD.encode([&nonce[..], &content].concat()))
}

fn key(assertions: &Assertions) -> Result<LessSafeKey, String> {
    let key = assertions.key_for(PURPOSE).ok_or("no key can be made")?;
    let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).map_err(|_| "no key can be made".to_owned())?;
    Ok(LessSafeKey::new(key))
}

/// Tells the other nodes what to show the CA, and waits until they do.
///
/// # Errors
/// In words.
pub async fn show(gate: &Gate, store: &dyn Store, digests: &[(Host, [u8; 32])]) -> Result<(), String> {
    if gate.snapshot.load().config.nodes.is_none() {
        return Ok(());
    }
    let told: Vec<(String, String)> =
        digests.iter().map(|(host, digest)| (host.to_string(), STANDARD.encode(digest))).collect();
    let told = serde_json::to_string(&told).map_err(|error| error.to_string())?;
    store.set_note(PROOFS, told).await.map_err(|problem| problem.to_string())?;
    if !digests.is_empty() {
        tokio::time::sleep(SPREAD).await;
    }
    Ok(())
}

/// What the node that orders tells to show the CA. These are digests: whoever writes them into the store could make
/// this node show them, and nothing else.
///
/// # Errors
/// In words.
pub async fn to_show(store: &dyn Store) -> Result<Vec<(Host, [u8; 32])>, String> {
    let Some(told) = store.note(PROOFS).await.map_err(|problem| problem.to_string())? else { return Ok(Vec::new()) };
    let told: Vec<(String, String)> = serde_json::from_str(&told).map_err(|error| error.to_string())?;
    let read = |(host, digest): &(String, String)| {
        let digest = STANDARD.decode(digest).ok()?;
        Some((Host::parse(host).ok()?, <[u8; 32]>::try_from(digest).ok()?))
    };
    Ok(told.iter().filter_map(read).collect())
}
