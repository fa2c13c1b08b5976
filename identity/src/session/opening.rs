//! What is known when somebody has signed in and a session opens.

use std::sync::Arc;

use policy::{Aaguid, Assurance, Device, Host, Methods, SessionId, SignInMethod, Timestamp};
use store::{CredentialId, InvitationId, Person, Secret};

use crate::{Alone, Proven, Session, SignedIn, TemporarilyIn};

/// What is known when somebody has signed in and a session opens. Made from a proof, and from nothing else.
#[derive(Clone, Debug)]
pub struct Opening {
    pub(crate) person: Person,
    pub(crate) vouched: Vouched,
    pub(crate) roles_confirmed_at: Timestamp,
    pub(crate) assurance: Assurance,
    pub(crate) methods: Methods,
    pub(crate) credential: Option<CredentialId>,
    pub(crate) key_model: Option<Aaguid>,
    pub(crate) authenticated_at: Timestamp,
    /// When the first of the proofs was given here. What ended the person's sessions since ends this one too.
    pub(crate) vouched_at: Timestamp,
    /// The session whose place it takes.
    pub(crate) replaces: Option<SessionId>,
    /// The temporary code that opens it.
    pub(crate) code: Option<InvitationId>,
    pub(crate) in_outage: bool,
    pub(crate) ends_by: Option<Timestamp>,
    /// The device they signed in on; the session is bound to it.
    pub(crate) device: Option<Arc<Device>>,
    /// The host the first token is for.
    pub(crate) host: Host,
    pub(crate) provider_session: Option<String>,
    pub(crate) id_token: Option<Secret>,
    pub(crate) refresh_token: Option<Secret>,
}

/// Where what is known of the person comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Vouched {
    /// The provider said it just now: it is written down.
    ByProvider,
    /// The store: it is compared once more.
    ByStore,
}

impl Opening {
    /// After a sign-in at a provider.
    #[must_use]
    pub fn by_provider(signed_in: SignedIn, device: Option<Arc<Device>>, host: Host) -> Self {
        let SignedIn {
            person,
            assurance,
            methods,
            authenticated_at,
            id_token,
            provider_session,
            refresh_token,
            return_to: _,
        } = signed_in;
        Self {
            roles_confirmed_at: person.confirmed_at,
            vouched_at: person.confirmed_at,
            replaces: None,
            code: None,
            person,
            vouched: Vouched::ByProvider,
            assurance,
            methods,
            credential: None,
            key_model: None,
            authenticated_at,
            in_outage: false,
            ends_by: None,
            device,
            host,
            provider_session,
            id_token: Some(id_token),
            refresh_token,
        }
    }

    /// After a passkey alone; [`may_sign_in_by_passkey`](crate::may_sign_in_by_passkey) gives the leave for it.
    #[must_use]
    pub fn by_passkey(proven: &Proven, alone: Alone, device: Option<Arc<Device>>, host: Host) -> Self {
        let Alone { in_outage, roles_confirmed_at } = alone;
        Self {
            person: proven.person().clone(),
            vouched: Vouched::ByStore,
            roles_confirmed_at,
            assurance: proven.assurance(),
            methods: Methods::of([SignInMethod::Passkey]),
            credential: Some(proven.credential().clone()),
            key_model: Some(proven.model()),
            authenticated_at: proven.at(),
            vouched_at: proven.at(),
            replaces: None,
            code: None,
            in_outage,
            ends_by: None,
            device,
            host,
            provider_session: None,
            id_token: None,
            refresh_token: None,
        }
    }

    /// After a temporary code: the session ends with the code.
    #[must_use]
    pub fn temporary(given: &TemporarilyIn, device: Option<Arc<Device>>, host: Host, at: Timestamp) -> Self {
        Self {
            person: given.person().clone(),
            vouched: Vouched::ByStore,
            roles_confirmed_at: given.person().confirmed_at,
            assurance: Assurance::Aal1,
            methods: Methods::of([SignInMethod::Temporary]),
            credential: None,
            key_model: None,
            authenticated_at: at,
            vouched_at: at,
            replaces: None,
            code: Some(given.invitation()),
            in_outage: false,
            ends_by: Some(given.ends_at()),
            device,
            host,
            provider_session: None,
            id_token: None,
            refresh_token: None,
        }
    }

    /// The same with a passkey as second factor, of the very person the provider vouched for; `None` if it is
    /// another's.
    #[must_use]
    pub fn with_passkey(self, proven: &Proven) -> Option<Self> {
        (self.person.id == proven.person().id).then(|| Self {
            assurance: self.assurance.max(proven.assurance()),
            methods: self.methods.with(SignInMethod::Passkey),
            credential: Some(proven.credential().clone()),
            key_model: Some(proven.model()),
            authenticated_at: proven.at(),
            ..self
        })
    }

    /// In place of an open session whose person just proved by passkey who they are; `None` if it is another's. That
    /// one ends in the same step, and if it has ended already, nothing opens. How surely they are recognised is what the passkey shows, not what was shown before.
    #[must_use]
    pub fn step_up(open: &Session, proven: &Proven, device: Option<Arc<Device>>, host: Host) -> Option<Self> {
        let who = &open.who;
        (who.user == proven.person().id).then(|| Self {
            person: proven.person().clone(),
            vouched: Vouched::ByStore,
            roles_confirmed_at: who.roles_confirmed_at,
            assurance: proven.assurance(),
            methods: who.methods.with(SignInMethod::Passkey),
            credential: Some(proven.credential().clone()),
            key_model: Some(proven.model()),
            authenticated_at: proven.at(),
            vouched_at: proven.at(),
            replaces: Some(open.id()),
            code: None,
            in_outage: who.in_outage,
            ends_by: Some(who.ends_at),
            device,
            host,
            provider_session: open.provider_session.clone(),
            id_token: open.id_token.clone(),
            refresh_token: open.refresh_token.clone(),
        })
    }
}
