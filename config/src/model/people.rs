//! People whom the gateway itself knows, and their passkeys.

use std::time::Duration;

use policy::Aaguid;

/// People whom the gateway itself knows, without a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Whether there are any.
    pub local: bool,
    /// How long an account may be unused before it is disabled; for ever where absent.
    pub disable_unused_after: Option<Duration>,
}

/// Which passkeys people may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passkeys {
    /// The models of authenticators the operator listed; every model may be used where there is no list.
    pub authenticators: Option<Vec<Authenticator>>,
}

impl Passkeys {
    /// Whether a passkey of this model may be used.
    #[must_use]
    pub fn allow(&self, model: Aaguid) -> bool {
        let allowed = |one: &Authenticator| one.model == model && one.allowed;
        self.authenticators.as_ref().is_none_or(|listed| listed.iter().any(allowed))
    }

    /// The name of a model, where the operator listed it.
    #[must_use]
    pub fn name_of(&self, model: Aaguid) -> Option<&str> {
        self.authenticators.iter().flatten().find(|one| one.model == model).map(|one| one.name.as_str())
    }
}

/// One model of authenticator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticator {
    /// Its number.
    pub model: Aaguid,
    /// Its name, as people read it.
    pub name: String,
    /// Whether it may be used.
    pub allowed: bool,
    /// The certificates that its maker vouches with, each DER in base64 as FIDO's metadata writes them. Where there are
    /// any, a passkey of this model is enrolled only with a statement that leads to one of them.
    pub roots: Vec<String>,
}
