//! Requests for a certificate (PKCS#10): what a device sends that made its own key.
//!
//! Only the key is taken from a request. Its names and extensions are not even looked at: which device it is, the
//! ledger says.

use rcgen::SubjectPublicKeyInfo;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::oid_registry::{
    OID_EC_P256, OID_KEY_TYPE_EC_PUBLIC_KEY, OID_NIST_EC_P384, OID_PKCS1_RSAENCRYPTION, OID_PKCS1_RSASSAPSS,
    OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA, OID_SIG_ECDSA_WITH_SHA256,
    OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519,
};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::x509::SubjectPublicKeyInfo as ReadKey;

/// The longest request that is read; one with an RSA key of 8192 bits has some 2 KiB.
pub const REQUEST_BYTES_MAX: usize = 16 << 10;
/// The sizes of RSA keys that are accepted.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A request whose sender holds its key.
#[derive(Clone, Debug)]
pub struct DeviceRequest {
    key: SubjectPublicKeyInfo,
}

/// Why a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum RequestProblem {
    /// Longer than [`REQUEST_BYTES_MAX`].
    #[error("the request is longer than {REQUEST_BYTES_MAX} bytes; send one PKCS#10 request and nothing else")]
    TooLong,
    /// Not base64, where it must be.
    #[error(
        "the request is not base64; send the DER form in base64 without a BEGIN line, as `openssl req -outform der | base64` writes it"
    )]
    NotBase64,
    /// Not a PKCS#10 request in DER.
    #[error("the request is not PKCS#10 in DER; write it with `openssl req -new -outform der`")]
    Malformed,
    /// The key is of a kind or size that is not accepted.
    #[error(
        "the request's key is not accepted; make an ECDSA P-256 or P-384, Ed25519, or RSA key of 2048 to 8192 bits"
    )]
    KeyNotAccepted,
    /// Its signature does not verify, or is of a kind that is not accepted.
    #[error("the request's signature does not verify; sign it with its own key and SHA-256 or better")]
    FalseSignature,
}

impl RequestProblem {
    /// Its word in the record.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::TooLong => "request-too-long",
            Self::NotBase64 => "request-not-base64",
            Self::Malformed => "request-malformed",
            Self::KeyNotAccepted => "request-key-not-accepted",
            Self::FalseSignature => "request-false-signature",
        }
    }
}

impl DeviceRequest {
    /// Reads a request in DER.
    ///
    /// # Errors
    /// [`RequestProblem`]; nothing of such a request is to be used.
    pub fn read(der: &[u8]) -> Result<Self, RequestProblem> {
        if der.len() > REQUEST_BYTES_MAX {
            return Err(RequestProblem::TooLong);
        }
        let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| RequestProblem::Malformed)?;
        if !rest.is_empty() {
            return Err(RequestProblem::Malformed);
        }
        let key = &request.certification_request_info.subject_pki;
        if !is_accepted(key) {
            return Err(RequestProblem::KeyNotAccepted);
        }
        let accepted = [
            &OID_SIG_ECDSA_WITH_SHA256,
            &OID_SIG_ECDSA_WITH_SHA384,
            &OID_SIG_ED25519,
            &OID_PKCS1_SHA256WITHRSA,
            &OID_PKCS1_SHA384WITHRSA,
            &OID_PKCS1_SHA512WITHRSA,
            &OID_PKCS1_RSASSAPSS,
        ];
        if !accepted.contains(&&request.signature_algorithm.algorithm) || request.verify_signature().is_err() {
            return Err(RequestProblem::FalseSignature);
        }
        let key = SubjectPublicKeyInfo::from_der(key.raw).map_err(|_| RequestProblem::KeyNotAccepted)?;
        Ok(Self { key })
    }

    pub(crate) fn key(&self) -> &SubjectPublicKeyInfo {
        &self.key
    }
}

fn is_accepted(key: &ReadKey<'_>) -> bool {
    let algorithm = &key.algorithm;
    if algorithm.algorithm == OID_SIG_ED25519 {
        return key.subject_public_key.data.len() == 32;
    }
    if algorithm.algorithm == OID_PKCS1_RSAENCRYPTION {
        return matches!(key.parsed(), Ok(PublicKey::RSA(rsa)) if RSA_BITS.contains(&rsa.key_size()));
    }
    if algorithm.algorithm == OID_KEY_TYPE_EC_PUBLIC_KEY {
        let curve = algorithm.parameters.as_ref().and_then(|parameters| parameters.as_oid().ok());
        return curve.is_some_and(|curve| curve == OID_EC_P256 || curve == OID_NIST_EC_P384);
    }
    false
}

#[cfg(test)]
mod tests;
