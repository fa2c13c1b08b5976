//! A passkey that nobody has. An answer with an unknown passkey is checked against it, so that it takes the same work
//! as one with a known passkey.

use webauthn_rs::prelude::{Credential, PublicKeyCredential};

/// A serialized passkey whose private key was thrown away.
const PASSKEY: &str = include_str!("decoy.json");

/// Flag of an authenticator's data: the passkey can leave it (WebAuthn Level 3 section 6.1).
const BACKUP_ELIGIBLE: u8 = 0b0000_1000;
/// Where the flags stand in an authenticator's data.
const FLAGS_AT: usize = 32;

/// A passkey that nobody has.
pub(super) struct Decoy(());

impl Decoy {
    pub(super) fn new() -> Result<Self, String> {
        passkey(PASSKEY).map(|_| Self(())).map_err(|problem| problem.to_string())
    }

    /// The passkey, under the id and with the properties that were claimed, so that only its signature is wrong.
    pub(super) fn for_answer(&self, given: &PublicKeyCredential) -> Option<Credential> {
        let mut decoy = passkey(PASSKEY).ok()?;
        decoy.cred_id = given.raw_id.clone();
        let flags = given.response.authenticator_data.get(FLAGS_AT).copied().unwrap_or_default();
        decoy.backup_eligible = flags & BACKUP_ELIGIBLE != 0;
        Some(decoy)
    }
}

/// Reads a passkey as the store keeps it.
pub(super) fn passkey(text: &str) -> Result<Credential, serde_json::Error> {
    serde_json::from_str::<webauthn_rs::prelude::Passkey>(text).map(Credential::from)
}
