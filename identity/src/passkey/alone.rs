//! When a passkey alone signs a person in: people of the local directory always, people of a provider only where the
//! operator said so, or while the provider is gone.

use std::time::Duration;

use policy::Timestamp;
use store::Person;

use crate::InOutage;
use crate::people::LOCAL_PROVIDER;

/// How recently a provider must have confirmed a person for whom a passkey alone is enough: nobody who has left there
/// may come in by it for ever.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(30 * 86_400);

/// Leave to open a session for a passkey alone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Alone {
    /// Whether that is so only because the provider is gone.
    pub in_outage: bool,
    /// When the roles were last confirmed.
    pub roles_confirmed_at: Timestamp,
}

/// The person must sign in at their provider first. Tell them no more than that.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ProviderFirst;

/// Whether a passkey alone signs this person in, at `at`. `outage` is what [`Outage`](crate::Outage) answered for
/// them.
///
/// # Errors
/// [`ProviderFirst`], also if their provider was taken out of the configuration, and for local people where the
/// directory was switched off.
pub fn may_sign_in_by_passkey(
    person: &Person,
    directory: &config::Directory,
    providers: &[config::Provider],
    outage: Option<InOutage>,
    at: Timestamp,
) -> Result<Alone, ProviderFirst> {
    if person.disabled.is_some() {
        return Err(ProviderFirst);
    }
    if person.provider.as_str() == LOCAL_PROVIDER {
        // The directory is the gateway's own: what it says of roles, it says now.
        let alone = Alone { in_outage: false, roles_confirmed_at: at };
        return if directory.local { Ok(alone) } else { Err(ProviderFirst) };
    }
    let same = |provider: &&config::Provider| provider.id == person.provider && provider.issuer == person.issuer;
    let provider = providers.iter().find(same).ok_or(ProviderFirst)?;
    match outage {
        Some(InOutage { roles_confirmed_at }) => Ok(Alone { in_outage: true, roles_confirmed_at }),
        None if provider.passkey_sign_in && at.since(person.confirmed_at) <= CONFIRMED_WITHIN => {
            Ok(Alone { in_outage: false, roles_confirmed_at: person.confirmed_at })
        }
        None => Err(ProviderFirst),
    }
}
