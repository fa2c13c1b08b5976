//! Why nobody was signed in.

use policy::ProviderId;
use store::StoreProblem;

/// Why nobody was signed in. Whether the account exists is never among the reasons: only the provider knows.
#[derive(Debug, thiserror::Error)]
pub enum SignInProblem {
    /// No such provider in the configuration.
    #[error("no provider `{0}` is configured")]
    UnknownProvider(ProviderId),
    /// The provider does not answer, or not with what it should.
    #[error("the provider `{provider}` is not available: {reason}")]
    Unavailable {
        /// Which.
        provider: ProviderId,
        /// What happened.
        reason: String,
    },
    /// The answer belongs to no sign-in that this browser has under way: too late, used already, another browser.
    #[error("the sign-in is not known, is too old, was finished already or belongs to another browser")]
    Void,
    /// The provider did not sign the person in.
    #[error("the provider `{provider}` refused: `{error}`")]
    Refused {
        /// Which.
        provider: ProviderId,
        /// Its error code (RFC 6749 section 4.1.2.1).
        error: String,
    },
    /// The answer failed a check.
    #[error("the answer of `{provider}` was rejected: {rejection}")]
    Rejected {
        /// Which provider.
        provider: ProviderId,
        /// Which check.
        rejection: Rejection,
    },
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreProblem),
}

/// The check that an answer failed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Rejection {
    /// `iss`, of the token or of the answer (RFC 9207).
    Issuer,
    /// `aud` or `azp`.
    Audience,
    /// `exp`, `iat` or `nbf`.
    Time,
    /// `nonce`.
    Nonce,
    /// Signature, algorithm or key.
    Signature,
    /// `at_hash`.
    AccessToken,
    /// `auth_time` missing or too old for a step-up.
    AuthenticationTime,
    /// Not as surely as was asked for.
    Assurance,
    /// Another redirect URI than the sign-in was started with.
    RedirectUri,
    /// Of another subject, or of nobody at all.
    Subject,
    /// A token of another kind (`typ`).
    Kind,
    /// A logout token without the event that makes it one.
    Events,
    /// A token that was accepted before.
    Replayed,
    /// No ID token, or one that cannot be read.
    Malformed,
}

impl Rejection {
    /// Its code in the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Time => "time",
            Self::Nonce => "nonce",
            Self::Signature => "signature",
            Self::AccessToken => "access-token",
            Self::AuthenticationTime => "authentication-time",
            Self::Assurance => "assurance",
            Self::RedirectUri => "redirect-uri",
            Self::Subject => "subject",
            Self::Kind => "kind",
            Self::Events => "events",
            Self::Replayed => "replayed",
            Self::Malformed => "malformed",
        }
    }
}

impl std::fmt::Display for Rejection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.code())
    }
}

impl SignInProblem {
    /// Its code in log, API and page.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::UnknownProvider(_) => "unknown-provider",
            Self::Unavailable { .. } => "provider-unavailable",
            Self::Void => "sign-in-void",
            Self::Refused { .. } => "provider-refused",
            Self::Rejected { .. } => "answer-rejected",
            Self::Store(_) => "store",
        }
    }
}
