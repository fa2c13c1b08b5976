//! Reads what a browser says that an authenticator said. Whatever cannot be read is refused as malformed.

use policy::Aaguid;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_cbor_2::Value;
use webauthn_rs::prelude::{PublicKeyCredential, RegisterPublicKeyCredential};

use super::PasskeyRefusal;

/// The longest answer, in bytes: attestation certificates of a TPM need some ten thousand.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Where the model stands in an authenticator's data (WebAuthn Level 3 section 6.5.1): after the hash of the RP id (32
/// bytes), the flags (1) and the counter (4).
const MODEL_AT: std::ops::Range<usize> = 37..53;

/// An answer to a question for a passkey's use.
pub(super) fn assertion(text: &str) -> Result<PublicKeyCredential, PasskeyRefusal> {
    let given: PublicKeyCredential = read(text)?;
    check(&given.type_, &given.response.client_data_json)?;
    Ok(given)
}

/// An answer to a question for a new passkey.
pub(super) fn creation(text: &str) -> Result<RegisterPublicKeyCredential, PasskeyRefusal> {
    let given: RegisterPublicKeyCredential = read(text)?;
    check(&given.type_, &given.response.client_data_json)?;
    Ok(given)
}

/// The model that an attestation object names, whether or not a statement vouches for it; all zero where the
/// authenticator does not say. The library has read the same bytes before, and found that all of it holds.
pub(super) fn model(attestation_object: &[u8]) -> Result<Aaguid, PasskeyRefusal> {
    let Ok(Value::Map(members)) = serde_cbor_2::from_slice(attestation_object) else {
        return Err(PasskeyRefusal::Malformed);
    };
    let Some(Value::Bytes(data)) = members.get(&Value::Text("authData".to_owned())) else {
        return Err(PasskeyRefusal::Malformed);
    };
    let model = data.get(MODEL_AT).and_then(|model| model.try_into().ok());
    model.map(Aaguid::new).ok_or(PasskeyRefusal::Malformed)
}

fn read<T: DeserializeOwned>(text: &str) -> Result<T, PasskeyRefusal> {
    if text.len() > ANSWER_BYTES_MAX {
        return Err(PasskeyRefusal::Malformed);
    }
    serde_json::from_str(text).map_err(|_| PasskeyRefusal::Malformed)
}

/// What the library does not look at: the kind of credential, and, for a use, whether a page of another site had the
/// sign-in page in a frame.
fn check(kind: &str, client_data: &[u8]) -> Result<(), PasskeyRefusal> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Surroundings {
        #[serde(default)]
        cross_origin: bool,
        top_origin: Option<String>,
    }
    if kind != "public-key" {
        return Err(PasskeyRefusal::Malformed);
    }
    let surroundings: Surroundings = serde_json::from_slice(client_data).map_err(|_| PasskeyRefusal::Malformed)?;
    if surroundings.cross_origin || surroundings.top_origin.is_some() {
        return Err(PasskeyRefusal::CrossOrigin);
    }
    Ok(())
}
