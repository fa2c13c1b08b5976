//! Why a device certificate was refused: a closed list, each with a code for the record.
//!
//! rustls carries a refusal through the handshake as its own error, because the alert that the client is told follows
//! from it; [`Refusal::of`] reads it back on the other side.

use std::fmt;

use rustls::{CertificateError, Error};

/// Why a device certificate was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The listener requires a certificate, and none was shown.
    Missing,
    /// No CA that is trusted for devices signed it.
    Foreign,
    /// It has ended.
    Expired,
    /// It has not begun.
    NotYetValid,
    /// Its CA has revoked it.
    Revoked,
    /// Its CA's revocation list is older than allowed, so whether it is revoked is not known.
    CrlTooOld,
    /// No revocation list tells of its CA, although lists are kept.
    CrlMissing,
    /// It is for something else, such as a server.
    NotForClients,
    /// A signature is wrong: of the certificate, or of the client that should hold its key.
    FalseSignature,
    /// Its kind of key or signature is too weak, or not known.
    WeakKey,
    /// It cannot be read.
    Malformed,
    /// Its CA was not allowed to sign it: names, lengths of the chain.
    NotAllowed,
}

impl Refusal {
    /// Every refusal.
    pub const ALL: [Self; 12] = [
        Self::Missing,
        Self::Foreign,
        Self::Expired,
        Self::NotYetValid,
        Self::Revoked,
        Self::CrlTooOld,
        Self::CrlMissing,
        Self::NotForClients,
        Self::FalseSignature,
        Self::WeakKey,
        Self::Malformed,
        Self::NotAllowed,
    ];

    /// Its word in the record of a refused handshake.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Missing => "client-certificate-missing",
            Self::Foreign => "client-certificate-foreign",
            Self::Expired => "client-certificate-expired",
            Self::NotYetValid => "client-certificate-not-yet-valid",
            Self::Revoked => "client-certificate-revoked",
            Self::CrlTooOld => "client-certificate-crl-too-old",
            Self::CrlMissing => "client-certificate-crl-missing",
            Self::NotForClients => "client-certificate-not-for-clients",
            Self::FalseSignature => "client-certificate-false-signature",
            Self::WeakKey => "client-certificate-weak-key",
            Self::Malformed => "client-certificate-malformed",
            Self::NotAllowed => "client-certificate-not-allowed",
        }
    }

    /// The refusal that an error of a handshake stands for; `None` if it failed for another reason.
    #[must_use]
    pub fn of(error: &Error) -> Option<Self> {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is another crate's and grows")]
        match error {
            Error::NoCertificatesPresented => Some(Self::Missing),
            Error::InvalidCertificate(reason) => Some(Self::of_certificate(reason)),
            // A list that does not verify is as good as none.
            Error::InvalidCertRevocationList(_) => Some(Self::CrlMissing),
            _ => None,
        }
    }

    fn of_certificate(reason: &CertificateError) -> Self {
        #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is another crate's and grows")]
        #[expect(deprecated, reason = "a variant that is still made somewhere must not fall to another reason")]
        match reason {
            CertificateError::UnknownIssuer => Self::Foreign,
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => Self::NotYetValid,
            CertificateError::Revoked => Self::Revoked,
            CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. } => {
                Self::CrlTooOld
            }
            CertificateError::UnknownRevocationStatus => Self::CrlMissing,
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. } => Self::NotForClients,
            CertificateError::BadSignature => Self::FalseSignature,
            CertificateError::UnsupportedSignatureAlgorithm
            | CertificateError::UnsupportedSignatureAlgorithmContext { .. }
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => Self::WeakKey,
            CertificateError::BadEncoding | CertificateError::UnhandledCriticalExtension => Self::Malformed,
            _ => Self::NotAllowed,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => "no device certificate was shown",
            Self::Foreign => "the certificate is not from a CA that is trusted for devices",
            Self::Expired => "the certificate has expired",
            Self::NotYetValid => "the certificate is not valid yet",
            Self::Revoked => "the certificate is revoked by its CA",
            Self::CrlTooOld => "the revocation list of the certificate's CA is too old",
            Self::CrlMissing => "there is no usable revocation list of the certificate's CA",
            Self::NotForClients => "the certificate is not for clients",
            Self::FalseSignature => "a signature of the certificate, or of whoever showed it, is wrong",
            Self::WeakKey => "the kind of key or signature of the certificate is not accepted",
            Self::Malformed => "the certificate cannot be read",
            Self::NotAllowed => "the certificate's CA was not allowed to sign it",
        })
    }
}

impl std::error::Error for Refusal {}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_refusal_has_its_own_code_and_words() {
        let codes: HashSet<_> = Refusal::ALL.iter().map(|refusal| refusal.code()).collect();
        let words: HashSet<_> = Refusal::ALL.iter().map(ToString::to_string).collect();
        assert_eq!((codes.len(), words.len()), (Refusal::ALL.len(), Refusal::ALL.len()));
        assert!(codes.iter().all(|code| code.starts_with("client-certificate-")));
    }

    #[test]
    fn an_error_about_something_else_is_no_refusal() {
        assert_eq!(Refusal::of(&Error::HandshakeNotComplete), None);
        assert_eq!(Refusal::of(&Error::General("x".to_owned())), None);
        let other = CertificateError::ApplicationVerificationFailure;
        assert_eq!(Refusal::of(&Error::InvalidCertificate(other)), Some(Refusal::NotAllowed));
    }
}
