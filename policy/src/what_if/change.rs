//! What could be otherwise about an access, and the access as it would be then.

use std::sync::Arc;

use crate::{
    Aaguid, Access, Assurance, Device, DeviceClass, Fingerprint, Grant, Methods, PostureDemand, PostureFact, RoleId,
    SessionId, SignInMethod, Timestamp, Who, ZoneId,
};

/// One thing that could be otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alteration {
    /// Somebody signs in.
    SignIn,
    /// They sign in on the device that they use now.
    SignInHere,
    /// They have this role too.
    Role(RoleId),
    /// They do not have this role.
    WithoutRole(RoleId),
    /// From a device of the ledger.
    KnownDevice,
    /// From a device of the ledger of this class.
    Device(DeviceClass),
    /// From a device that is not in the ledger.
    WithoutDevice,
    /// The device is freshly reported to be so.
    Posture(PostureDemand),
    /// What was reported of the device is too old.
    PostureStale,
    /// From this zone.
    Zone(ZoneId),
    /// Asked at this moment, everything else being as fresh as it is now.
    At(Timestamp),
    /// Nothing changes but the time.
    Later(Timestamp),
    /// Their provider is back, and they sign in again.
    ProviderBack,
    /// Their provider is out, and they signed in by other means.
    ProviderOut,
    /// They prove in this way, too, who they are.
    Method(SignInMethod),
    /// They prove it with a passkey of this model.
    Key(Aaguid),
    /// They prove it again, at least this surely.
    Assurance(Assurance),
    /// They prove it again.
    ProveAgain,
    /// There is an approved exception for it.
    Grant,
    /// There is no exception for it.
    WithoutGrant,
    /// They break the glass.
    BreakGlass,
    /// They sign out, or their session ends.
    SignOut,
}

impl Alteration {
    /// Whether somebody at work can bring it about without asking anybody.
    #[must_use]
    pub fn is_theirs(&self) -> bool {
        match self {
            Self::SignIn
            | Self::SignInHere
            | Self::KnownDevice
            | Self::Device(_)
            | Self::Posture(_)
            | Self::Zone(_)
            | Self::At(_)
            | Self::Later(_)
            | Self::ProviderBack
            | Self::Method(_)
            | Self::Key(_)
            | Self::Assurance(_)
            | Self::ProveAgain => true,
            Self::BreakGlass
            | Self::Role(_)
            | Self::WithoutRole(_)
            | Self::WithoutDevice
            | Self::PostureStale
            | Self::ProviderOut
            | Self::Grant
            | Self::WithoutGrant
            | Self::SignOut => false,
        }
    }

    /// How much it asks of people: what a person does at once, what takes a walk, what another must give.
    pub(super) fn weight(&self) -> u32 {
        match self {
            Self::SignIn | Self::SignInHere | Self::ProveAgain | Self::Assurance(_) => 1,
            Self::Method(_) | Self::Key(_) | Self::Later(_) | Self::At(_) | Self::SignOut => 2,
            Self::Posture(_) | Self::PostureStale | Self::Zone(_) | Self::ProviderBack | Self::ProviderOut => 3,
            Self::KnownDevice | Self::Device(_) | Self::WithoutDevice => 4,
            Self::Grant | Self::WithoutGrant | Self::BreakGlass => 5,
            Self::Role(_) | Self::WithoutRole(_) => 6,
        }
    }

    /// The access as it would be.
    pub(crate) fn applied(&self, access: &Access) -> Access {
        let mut then = access.clone();
        match self {
            Self::SignIn => then.who = Some(Arc::new(somebody(access))),
            Self::SignOut => then.who = None,
            Self::SignInHere => {
                let here = then.device.as_ref().map(|device| device.id.clone());
                of_person(&mut then, |who| who.bound_to = here);
            }
            Self::Role(role) => of_person(&mut then, |who| {
                let mut roles = who.roles.to_vec();
                roles.push(role.clone());
                roles.sort();
                roles.dedup();
                who.roles = roles.into();
            }),
            Self::WithoutRole(role) => of_person(&mut then, |who| {
                who.roles = who.roles.iter().filter(|one| *one != role).cloned().collect();
            }),
            Self::KnownDevice => sit_at(&mut then, None),
            Self::Device(class) => sit_at(&mut then, Some(*class)),
            Self::WithoutDevice => {
                then.device = None;
                of_person(&mut then, |who| who.bound_to = None);
            }
            Self::Posture(demand) => of_device(&mut then, |device, at| {
                let others = device.posture.iter().filter(|fact| fact.name != *demand.name()).cloned();
                let fact = PostureFact {
                    name: demand.name().clone(),
                    value: Arc::from(demand.value()),
                    fresh_until: at.after(std::time::Duration::from_secs(3_600)),
                };
                device.posture = others.chain([fact]).collect();
            }),
            Self::PostureStale => of_device(&mut then, |device, at| {
                device.posture =
                    device.posture.iter().map(|fact| PostureFact { fresh_until: at, ..fact.clone() }).collect();
            }),
            Self::Zone(zone) => then.from.zone = zone.clone(),
            Self::At(at) => ask_at(&mut then, *at),
            Self::Later(at) => then.at = *at,
            Self::ProviderBack => of_person(&mut then, |who| who.in_outage = false),
            Self::ProviderOut => of_person(&mut then, |who| who.in_outage = true),
            Self::Method(method) => prove(&mut then, |who| {
                who.methods = who.methods.with(*method);
                if *method == SignInMethod::Passkey {
                    who.assurance = who.assurance.max(Assurance::Aal2);
                }
            }),
            Self::Key(model) => prove(&mut then, |who| {
                who.methods = who.methods.with(SignInMethod::Passkey);
                who.key_model = Some(*model);
                who.assurance = who.assurance.max(Assurance::Aal2);
            }),
            Self::Assurance(level) => prove(&mut then, |who| who.assurance = who.assurance.max(*level)),
            Self::ProveAgain => prove(&mut then, |_| {}),
            Self::Grant => then.grant = "what-if".parse().ok().map(Grant::named),
            Self::BreakGlass => then.grant = "glass-what-if".parse().ok().map(Grant::named),
            Self::WithoutGrant => then.grant = None,
        }
        then
    }
}

fn of_person(access: &mut Access, change: impl FnOnce(&mut Who)) {
    if let Some(who) = &mut access.who {
        change(Arc::make_mut(who));
    }
}

fn prove(access: &mut Access, change: impl FnOnce(&mut Who)) {
    let at = access.at;
    of_person(access, |who| {
        who.authenticated_at = at;
        change(who);
    });
}

fn of_device(access: &mut Access, change: impl FnOnce(&mut Device, Timestamp)) {
    let at = access.at;
    if let Some(device) = &mut access.device {
        change(Arc::make_mut(device), at);
    }
}

/// At a device of the ledger, the one at hand where its class fits; their session is theirs there too.
fn sit_at(access: &mut Access, class: Option<DeviceClass>) {
    match &mut access.device {
        Some(device) => {
            if let Some(class) = class {
                Arc::make_mut(device).class = class;
            }
        }
        None => {
            let Ok(id) = "what-if".parse() else { return };
            let class = class.unwrap_or(DeviceClass::Fixed);
            let certificate = Fingerprint::new([0; 32]);
            access.device = Some(Arc::new(Device { id, class, place: "".into(), certificate, posture: Arc::from([]) }));
        }
    }
    let here = access.device.as_ref().map(|device| device.id.clone());
    of_person(access, |who| who.bound_to = here);
}

/// Moves the question with everything that ages, so that nothing is older or newer than it was.
fn ask_at(access: &mut Access, at: Timestamp) {
    let by = at.unix_micros().saturating_sub(access.at.unix_micros());
    let moved = |moment: Timestamp| Timestamp::from_unix_micros(moment.unix_micros().saturating_add(by));
    access.at = at;
    of_person(access, |who| {
        who.authenticated_at = moved(who.authenticated_at);
        who.roles_confirmed_at = moved(who.roles_confirmed_at);
        who.ends_at = moved(who.ends_at);
    });
    of_device(access, |device, _| {
        let moved = |fact: &PostureFact| PostureFact { fresh_until: moved(fact.fresh_until), ..fact.clone() };
        device.posture = device.posture.iter().map(moved).collect();
    });
}

/// Somebody without any role, who just signed in at a provider on the device at hand.
fn somebody(access: &Access) -> Who {
    Who {
        user: "what-if".parse().expect("it is a name"),
        login: Arc::from(""),
        name: Arc::from(""),
        unit: "".into(),
        provider: "what-if".parse().expect("it is a name"),
        issuer: Arc::from(""),
        subject: Arc::from(""),
        roles: Arc::from([]),
        session: SessionId::new(0),
        assurance: Assurance::Aal1,
        methods: Methods::of([SignInMethod::Provider]),
        key_model: None,
        in_outage: false,
        roles_confirmed_at: access.at,
        authenticated_at: access.at,
        bound_to: access.device.as_ref().map(|device| device.id.clone()),
        ends_at: Timestamp::MAX,
    }
}
