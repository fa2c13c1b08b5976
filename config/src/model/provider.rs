//! Identity providers, and what holds while one cannot be reached.

use std::path::PathBuf;
use std::time::Duration;

use policy::{AppId, Assurance, ProviderId, RoleId};

use crate::{Names, Secret};

/// An OpenID provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in configuration and log.
    pub id: ProviderId,
    /// Its name on the sign-in page.
    pub name: Names,
    /// Issuer identifier, an https URL without query or fragment (http only to loopback).
    pub issuer: String,
    /// The client id it gave us.
    pub client_id: String,
    /// The client secret it gave us.
    pub client_secret: Option<Secret>,
    /// Scopes beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that holds groups or roles: a name, or a dotted path into objects.
    pub roles_claim: String,
    /// Which value of the claim gives which role.
    pub roles: Vec<(String, RoleId)>,
    /// Which `acr` values or `amr` members stand for which assurance; without a match it is [`Assurance::Aal1`].
    pub assurance: Vec<(String, Assurance)>,
    /// CA of the provider's own certificate; the system's roots where absent.
    pub ca_file: Option<PathBuf>,
    /// The domains of e-mail addresses it is offered for, in lower case; empty for all.
    pub domains: Vec<String>,
    /// The names of the listeners it is offered on; empty for all.
    pub listeners: Vec<String>,
    /// The apps it is offered for; empty for all.
    pub apps: Vec<AppId>,
    /// Where the second factor of its people comes from.
    pub second_factor: SecondFactor,
    /// Whether a passkey alone signs its people in, also while it can be reached.
    pub passkey_sign_in: bool,
    /// Whether people without any passkey may enrol one at their first sign-in, without an invitation.
    pub enrol_at_first_sign_in: bool,
    /// How often it is asked whether people are still its people; never where absent.
    pub check_interval: Option<Duration>,
}

/// Where the second factor of a provider's people comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SecondFactor {
    /// The provider sees to it; rules may ask for more.
    Provider,
    /// The gateway asks for a passkey after the provider's answer, always.
    Passkey,
}

/// What holds while a provider cannot be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outage {
    /// How long it must have been out of reach before people may sign in by passkey alone.
    pub after: Duration,
    /// How long ago the provider may have confirmed their roles.
    pub seen_within: Duration,
    /// How long sessions of the outage live on when it is over.
    pub grace: Duration,
}
