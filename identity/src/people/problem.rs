//! Why something cannot be done with people, for whoever administers them.

use store::{Lapsed, StoreProblem};

/// Why something cannot be done with people.
#[derive(Debug, thiserror::Error)]
pub enum PeopleProblem {
    /// There is no such person, or they are disabled already, or not at all.
    #[error("there is no such person, or they are disabled")]
    Unknown,
    /// There is no such device, or it is revoked.
    #[error("there is no such device, or it is revoked")]
    UnknownDevice,
    /// The local directory is off.
    #[error("the local directory is switched off; set `local = true` in `[directory]`")]
    NoDirectory,
    /// The person's provider is not in the configuration.
    #[error("the provider of the person is not in the configuration, or under another issuer")]
    NoProvider,
    /// Login name, name and roles of a provider's people are changed at the provider.
    #[error("the person comes from a provider; change login name, name and roles there")]
    NotLocal,
    /// That is no login name.
    #[error("a login name has 1 to 100 letters, digits, or `.`, `-`, `_`, `@`, `+`")]
    Login,
    /// The login name is somebody else's, perhaps somebody's who is disabled.
    #[error("the login name `{0}` is taken")]
    LoginTaken(String),
    /// That is no name.
    #[error("a name has 1 to 100 characters in one line")]
    Name,
    /// That is no unit.
    #[error("a unit has up to 100 characters in one line")]
    Unit,
    /// The role is not in the configuration.
    #[error("the role `{0}` is not in `[roles]`")]
    Role(String),
    /// A reason must be given.
    #[error("a reason must be given, up to 100 characters in one line")]
    ReasonMissing,
    /// How the person was proofed must be said.
    #[error("how the person was identified must be said, up to 100 characters in one line")]
    ProofingMissing,
    /// The span is too long, or nothing.
    #[error("the span must be longer than nothing and at most {max_hours} hours")]
    Span {
        /// The most, in hours.
        max_hours: u64,
    },
    /// Nobody gives themselves a temporary code.
    #[error("a temporary code must come from somebody else")]
    Oneself,
    /// There is an administrator who can sign in.
    #[error("there is an administrator already; ask them for an invitation")]
    HasAdministrator,
    /// The configuration names no role of administrators.
    #[error("no role may administer; name one in `[console] administrators`")]
    NoAdministratorRole,
    /// There are too many invitations.
    #[error("there are too many invitations in force; revoke some")]
    TooManyInvitations,
    /// The code opens nothing. Say no more, whatever the reason.
    #[error("the code is not known, is out of time or was revoked")]
    Refused,
    /// The store did not do it.
    #[error(transparent)]
    Store(StoreProblem),
}

impl PeopleProblem {
    /// A store's problem where a login name was to be taken.
    pub(super) fn of_login(problem: StoreProblem, login: &str) -> Self {
        match problem {
            StoreProblem::Exists(_) => Self::LoginTaken(login.to_owned()),
            StoreProblem::Unavailable(_)
            | StoreProblem::Corrupt(_)
            | StoreProblem::Full
            | StoreProblem::NotInForce(_) => problem.into(),
        }
    }
}

impl From<StoreProblem> for PeopleProblem {
    fn from(problem: StoreProblem) -> Self {
        match problem {
            StoreProblem::NotInForce(
                Lapsed::Person
                | Lapsed::Credential
                | Lapsed::Roles
                | Lapsed::Session
                | Lapsed::SignIn
                | Lapsed::Code
                | Lapsed::Line,
            ) => Self::Unknown,
            StoreProblem::NotInForce(Lapsed::Device) => Self::UnknownDevice,
            StoreProblem::Full => Self::TooManyInvitations,
            StoreProblem::Unavailable(_) | StoreProblem::Corrupt(_) | StoreProblem::Exists(_) => Self::Store(problem),
        }
    }
}
