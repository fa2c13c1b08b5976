//! Makers of authenticators, and their word for what they made. Without it a model is what the authenticator says it is.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use policy::Aaguid;
use webauthn_rs::prelude::{AttestationCaList, AttestationCaListBuilder, Credential, Uuid};

use super::PasskeyRefusal;

/// The certificates of makers, by model, where the operator put them beside the model.
pub(super) struct Roots(BTreeMap<Aaguid, AttestationCaList>);

impl Roots {
    pub(super) fn read(rules: &config::Passkeys) -> Result<Self, String> {
        let listed = rules.authenticators.iter().flatten().filter(|one| !one.roots.is_empty());
        let read = listed.map(|one| Ok((one.model, list(one)?)));
        read.collect::<Result<_, String>>().map(Self)
    }

    /// Whether the maker vouches for a passkey that was just made, where the maker is known: its statement covers the
    /// model, so that no other model of the same maker passes for this one.
    pub(super) fn check(&self, kept: &Credential, model: Aaguid) -> Result<(), PasskeyRefusal> {
        let Some(roots) = self.0.get(&model) else { return Ok(()) };
        match kept.verify_attestation(roots) {
            Ok(Some(_)) => Ok(()),
            Ok(None) | Err(_) => Err(PasskeyRefusal::Attestation),
        }
    }
}

fn list(authenticator: &config::Authenticator) -> Result<AttestationCaList, String> {
    let wrong = |problem: String| format!("a certificate of the maker of `{}`: {problem}", authenticator.name);
    let model = Uuid::from_bytes(*authenticator.model.as_bytes());
    let mut list = AttestationCaListBuilder::new();
    for root in &authenticator.roots {
        let der = STANDARD.decode(root).map_err(|problem| wrong(problem.to_string()))?;
        let added = list.insert_device_der(&der, model, authenticator.name.clone(), BTreeMap::new());
        added.map_err(|problem| wrong(format!("{problem:?}")))?;
    }
    Ok(list.build())
}
