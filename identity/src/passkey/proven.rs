//! A person who just proved by passkey who they are.

use policy::{Aaguid, Assurance, Timestamp};
use store::{CredentialId, Person};

/// A person who proved by passkey who they are, verified by their authenticator. Only a finished ceremony makes one.
#[derive(Clone, Debug)]
pub struct Proven {
    person: Person,
    credential: CredentialId,
    model: Aaguid,
    device_bound: bool,
    at: Timestamp,
}

impl Proven {
    pub(crate) fn new(
        person: Person,
        credential: CredentialId,
        model: Aaguid,
        device_bound: bool,
        at: Timestamp,
    ) -> Self {
        Self { person, credential, model, device_bound, at }
    }

    /// Who.
    #[must_use]
    pub fn person(&self) -> &Person {
        &self.person
    }

    /// With which passkey.
    #[must_use]
    pub fn credential(&self) -> &CredentialId {
        &self.credential
    }

    /// The model of its authenticator; all zero where it does not say.
    #[must_use]
    pub fn model(&self) -> Aaguid {
        self.model
    }

    /// Whether the passkey cannot leave its authenticator.
    #[must_use]
    pub fn device_bound(&self) -> bool {
        self.device_bound
    }

    /// When.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// How surely: a key that cannot be copied is AAL3, one that is synced AAL2 (NIST SP 800-63B-4, section 3.1.7
    /// and appendix B).
    #[must_use]
    pub fn assurance(&self) -> Assurance {
        if self.device_bound { Assurance::Aal3 } else { Assurance::Aal2 }
    }
}
