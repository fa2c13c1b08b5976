//! Why a ceremony did not come to its end. The page says one thing to all of it; the record says which.

use policy::UserId;
use store::{CredentialId, StoreProblem};
use webauthn_rs::prelude::WebauthnError;

/// Why a ceremony did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyProblem {
    /// Refused. Tell the browser nothing of the reason, and record it.
    #[error("the passkey was refused: {0}")]
    Refused(Box<RefusedPasskey>),
    /// The person has no passkey that may be used.
    #[error("the person has no passkey that may be used")]
    NoPasskey,
    /// Adding a passkey needs a session in which the person proved who they are by two factors, a moment ago.
    #[error("the person must prove who they are first")]
    ProveFirst,
    /// The name or login that a newcomer gave cannot be used.
    #[error("the login name or the name cannot be used")]
    Newcomer,
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreProblem),
}

/// What the record holds of a refused passkey.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}", .reason.as_str())]
pub struct RefusedPasskey {
    /// Why.
    pub reason: PasskeyRefusal,
    /// The person whose passkey it claimed to be, if there is such a passkey. That it was they is not proven.
    pub user: Option<UserId>,
    /// The passkey it claimed to be, if there is one.
    pub credential: Option<CredentialId>,
}

impl From<PasskeyRefusal> for PasskeyProblem {
    fn from(reason: PasskeyRefusal) -> Self {
        Self::Refused(Box::new(RefusedPasskey { reason, user: None, credential: None }))
    }
}

macro_rules! refusals {
    ($($(#[$doc:meta])+ $name:ident = $code:literal)+) => {
        /// Why a passkey was refused.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum PasskeyRefusal {
            $($(#[$doc])+ $name,)+
        }

        impl PasskeyRefusal {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// Its code in the record.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $code,)+
                }
            }
        }
    };
}

refusals! {
    /// No such ceremony: answered already, out of time, another browser's.
    Void = "passkey-ceremony-void"
    /// The answer cannot be read.
    Malformed = "passkey-malformed"
    /// It answers another challenge.
    Challenge = "passkey-wrong-challenge"
    /// It was made on another site.
    Origin = "passkey-wrong-origin"
    /// It was made within a page of another site.
    CrossOrigin = "passkey-cross-origin"
    /// It is for another party.
    Party = "passkey-wrong-party"
    /// It is an answer to another kind of question: a creation instead of a use, or the other way round.
    Kind = "passkey-wrong-kind"
    /// Nobody touched the authenticator.
    NotPresent = "passkey-user-not-present"
    /// The authenticator did not verify the person.
    NotVerified = "passkey-user-not-verified"
    /// The signature is wrong.
    Signature = "passkey-wrong-signature"
    /// The counter did not go forward: perhaps the authenticator was cloned.
    Counter = "passkey-counter-went-back"
    /// The passkey says that it can leave its authenticator, and said the opposite when it was enrolled.
    BackupChanged = "passkey-backup-changed"
    /// Nobody has this passkey: never enrolled, or removed.
    Unknown = "passkey-unknown"
    /// It is the passkey of another person than was asked for, or claims to be.
    Foreign = "passkey-of-another-person"
    /// Its owner is disabled.
    Disabled = "passkey-owner-disabled"
    /// The operator does not allow this model.
    Model = "passkey-model-not-allowed"
    /// The authenticator's statement about itself does not hold.
    Attestation = "passkey-attestation"
    /// It uses an algorithm that was not asked for.
    Algorithm = "passkey-algorithm"
    /// It is enrolled already.
    Known = "passkey-known-already"
    /// The invitation is unknown, out of time, used or revoked.
    Invitation = "invitation-void"
    /// The session or the sign-in out of which the passkey was to be enrolled was ended meanwhile.
    SessionOver = "passkey-session-over"
    /// The person has as many passkeys as one may have.
    TooMany = "passkey-too-many"
}

/// Which check of the library failed. What it cannot read is malformed, whatever the detail.
#[expect(clippy::wildcard_enum_match_arm, reason = "the library's enum; whatever is not named here is unreadable")]
pub(super) fn refusal_of(problem: &WebauthnError) -> PasskeyRefusal {
    use WebauthnError as E;
    match problem {
        E::InvalidClientDataType => PasskeyRefusal::Kind,
        E::MismatchedChallenge => PasskeyRefusal::Challenge,
        E::InvalidRPOrigin => PasskeyRefusal::Origin,
        E::CredentialCrossOrigin => PasskeyRefusal::CrossOrigin,
        E::InvalidRPIDHash => PasskeyRefusal::Party,
        E::UserNotPresent => PasskeyRefusal::NotPresent,
        E::UserNotVerified => PasskeyRefusal::NotVerified,
        E::AuthenticationFailure | E::SignatureInvalid => PasskeyRefusal::Signature,
        E::CredentialPossibleCompromise => PasskeyRefusal::Counter,
        E::CredentialBackupEligibilityInconsistent | E::CredentialMayNotBeHardwareBound => {
            PasskeyRefusal::BackupChanged
        }
        E::CredentialNotFound => PasskeyRefusal::Unknown,
        E::CredentialAlteredAlgFromRequest | E::CredentialInsecureCryptography => PasskeyRefusal::Algorithm,
        E::AttestationNotSupported
        | E::AttestationTrustFailure
        | E::AttestationNotVerifiable
        | E::AttestationUntrustedAaguid
        | E::AttestationFormatMissingAaguid
        | E::AttestationStatementSigInvalid
        | E::AttestationStatementAlgMismatch
        | E::AttestationCertificateAAGUIDMismatch
        | E::AttestationCertificateRequirementsNotMet => PasskeyRefusal::Attestation,
        _ => PasskeyRefusal::Malformed,
    }
}

/// Passkeys cannot be used with this configuration.
#[derive(Debug, thiserror::Error)]
#[error("passkeys cannot be used at `{origin}`: {problem}")]
pub struct PasskeySetUpProblem {
    /// The origin.
    pub origin: String,
    /// What is wrong with it.
    pub problem: String,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_refusal_has_a_code_of_its_own() {
        let codes: BTreeSet<_> = PasskeyRefusal::ALL.iter().map(|refusal| refusal.as_str()).collect();
        assert_eq!(codes.len(), PasskeyRefusal::ALL.len());
    }
}
