//! Signed tokens for proxies that check them, as an identity provider gives them.

use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The audience of every token.
pub const CLIENT: &str = "bench";

/// What a token says of a nurse.
pub fn claims(issuer: &str, nonce: &str) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    json!({ "iss": issuer, "sub": "nurse", "aud": CLIENT, "iat": now, "exp": now + 24 * 3600, "nonce": nonce })
}

/// A token signed with RS256, and the set of keys that checks it.
pub fn by_rsa(claims: &Value) -> (String, Value) {
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let unsigned = unsigned("RS256", claims);
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), unsigned.as_bytes(), &mut signature).unwrap();
    let key = pair.public_key();
    let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let (n, e) = (
        number(key.modulus().big_endian_without_leading_zero()),
        number(key.exponent().big_endian_without_leading_zero()),
    );
    let keys = json!({ "keys": [{ "kty": "RSA", "alg": "RS256", "use": "sig", "n": n, "e": e }] });
    (format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature)), keys)
}

/// A token signed with HS256.
pub fn by_secret(claims: &Value, secret: &str) -> String {
    let unsigned = unsigned("HS256", claims);
    let signature = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()), unsigned.as_bytes());
    format!("{unsigned}.{}", URL_SAFE_NO_PAD.encode(signature))
}

fn unsigned(algorithm: &str, claims: &Value) -> String {
    let head = json!({ "alg": algorithm, "typ": "JWT" });
    [head.to_string(), claims.to_string()].map(|part| URL_SAFE_NO_PAD.encode(part)).join(".")
}
