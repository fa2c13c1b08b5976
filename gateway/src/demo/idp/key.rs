//! The provider's signing key: made when the demo starts, gone when it ends.

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use serde_json::{Value, json};

/// An ES256 key with its public half as a JWK.
pub(super) struct SigningKey {
    private: EncodingKey,
    id: String,
    public: Value,
}

impl SigningKey {
    /// Makes a key; `None` where the system gives no random numbers.
    pub(super) fn generate() -> Option<Self> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).ok()?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, document.as_ref()).ok()?;
        // An uncompressed point: 0x04, then x and y of 32 bytes each (SEC 1 section 2.3.3).
        let point = pair.public_key().as_ref().strip_prefix(&[4])?;
        let (x, y) = point.split_at_checked(32)?;
        let id = base64url(digest::digest(&digest::SHA256, point).as_ref().get(..8)?);
        let public = json!({
            "kty": "EC", "crv": "P-256", "alg": "ES256", "use": "sig",
            "kid": id, "x": base64url(x), "y": base64url(y),
        });
        Some(Self { private: EncodingKey::from_ec_der(document.as_ref()), id, public })
    }

    /// The public half as a JWK set.
    pub(super) fn jwks(&self) -> Value {
        json!({ "keys": [self.public] })
    }

    /// Signs claims; `None` where the key does not sign.
    pub(super) fn sign(&self, claims: &Value) -> Option<String> {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.id.clone());
        jsonwebtoken::encode(&header, claims, &self.private).ok()
    }
}

/// base64url without padding.
pub(super) fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// SHA-256 of a text.
pub(super) fn sha256(text: &str) -> digest::Digest {
    digest::digest(&digest::SHA256, text.as_bytes())
}

/// 256 random bits as text; `None` where the system gives none.
pub(super) fn random_text() -> Option<String> {
    let mut bytes = [0; 32];
    aws_lc_rs::rand::fill(&mut bytes).ok()?;
    Some(base64url(&bytes))
}
