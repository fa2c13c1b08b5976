//! A question described without a connection, a session or a certificate: what tests of a policy, its explanation and
//! its replay ask with.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::{
    Aaguid, Access, Action, AppId, Assurance, Device, DeviceClass, DeviceId, Fingerprint, From, Grant, GrantId, Host,
    InfoClass, Method, Methods, Path, Policy, PostureDemand, PostureFact, ProviderId, RequestId, RoleId, SessionId,
    Timestamp, UserId, Who, ZoneId,
};

/// A plain description of one access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// What the person may act as.
    pub roles: Vec<RoleId>,
    /// The person, where a certain one is meant.
    pub user: Option<UserId>,
    /// Whether somebody is signed in; roles and person count for nothing otherwise.
    pub signed_in: bool,
    /// Whether the session is used from the device it was opened on.
    pub on_its_device: bool,
    /// The app.
    pub app: AppId,
    /// The method.
    pub method: Method,
    /// The path.
    pub path: Path,
    /// The host; one that no rule names where absent.
    pub host: Option<Host>,
    /// What it does, where method and path do not tell: a stream that stays open.
    pub action: Option<Action>,
    /// The class of the information, where the app's routes are not to tell.
    pub class: Option<InfoClass>,
    /// The device: its class, and which one where a certain one is meant. `None` for a device that is not known.
    pub device: Option<(Option<DeviceId>, DeviceClass)>,
    /// What is believed of the device's condition.
    pub posture: Vec<PostureDemand>,
    /// The zone it comes from.
    pub zone: ZoneId,
    /// The address it comes from.
    pub address: IpAddr,
    /// When.
    pub at: Timestamp,
    /// How surely the person was recognised.
    pub assurance: Assurance,
    /// How long ago the person proved who they are.
    pub auth_age: Duration,
    /// How long ago the person's roles were confirmed.
    pub roles_age: Duration,
    /// By what the person proved who they are.
    pub methods: Methods,
    /// The model of their passkey.
    pub key_model: Option<Aaguid>,
    /// Whether they signed in while their provider could not be reached.
    pub in_outage: bool,
    /// The exception that is in force for it, and reaches it.
    pub grant: Option<GrantId>,
}

impl Question {
    /// Whether nobody in particular may do this, from a device that is not known: the least there is. What is to count
    /// is filled in after.
    #[must_use]
    pub fn new(app: AppId, method: Method, path: Path, zone: ZoneId, at: Timestamp) -> Self {
        Self {
            roles: Vec::new(),
            user: None,
            signed_in: false,
            on_its_device: true,
            app,
            method,
            path,
            host: None,
            action: None,
            class: None,
            device: None,
            posture: Vec::new(),
            zone,
            address: Ipv4Addr::LOCALHOST.into(),
            at,
            assurance: Assurance::Aal1,
            auth_age: Duration::ZERO,
            roles_age: Duration::ZERO,
            methods: Methods::NONE,
            key_model: None,
            in_outage: false,
            grant: None,
        }
    }

    /// The access it describes, classified by the policy's routes of the app as the gateway does.
    #[must_use]
    pub fn access(&self, policy: &Policy) -> Access {
        let classified = policy.classifier(&self.app).classify(&self.method, &self.path);
        let (action, class) = (self.action.unwrap_or(classified.action), self.class.clone().or(classified.class));
        let device = self.device.as_ref().map(|(id, class)| self.device(id.as_ref(), *class));
        Access {
            request: RequestId::new(self.at, 0),
            at: self.at,
            app: self.app.clone(),
            action,
            class,
            method: self.method.clone(),
            host: self.host.clone().unwrap_or_else(|| Host::parse("host.invalid").expect("it is a host")),
            path: self.path.clone(),
            who: self.signed_in.then(|| Arc::new(self.who(device.as_ref()))),
            device: device.map(Arc::new),
            from: From { address: self.address, zone: self.zone.clone() },
            grant: self.grant.clone().map(Grant::named),
        }
    }

    fn device(&self, id: Option<&DeviceId>, class: DeviceClass) -> Device {
        let believed = |demand: &PostureDemand| PostureFact {
            name: demand.name().clone(),
            value: demand.value().into(),
            fresh_until: Timestamp::MAX,
        };
        Device {
            id: id.cloned().unwrap_or_else(|| DeviceId::parse("some-device").expect("it is a name")),
            class,
            place: "".into(),
            certificate: Fingerprint::new([0; 32]),
            posture: self.posture.iter().map(believed).collect(),
        }
    }

    fn who(&self, device: Option<&Device>) -> Who {
        let mut roles = self.roles.clone();
        roles.sort();
        roles.dedup();
        let own_device = device.map(|device| device.id.clone());
        let another_device =
            DeviceId::parse("another-device").ok().filter(|another| Some(another) != own_device.as_ref());
        Who {
            user: self.user.clone().unwrap_or_else(|| UserId::parse("somebody").expect("it is a name")),
            login: "somebody".into(),
            name: "somebody".into(),
            unit: "".into(),
            provider: ProviderId::parse("some-provider").expect("it is a name"),
            issuer: "".into(),
            subject: "".into(),
            roles: roles.into(),
            session: SessionId::new(0),
            assurance: self.assurance,
            methods: self.methods,
            key_model: self.key_model,
            in_outage: self.in_outage,
            roles_confirmed_at: before(self.at, self.roles_age),
            authenticated_at: before(self.at, self.auth_age),
            bound_to: if self.on_its_device { own_device } else { another_device },
            ends_at: Timestamp::MAX,
        }
    }
}

fn before(at: Timestamp, span: Duration) -> Timestamp {
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    Timestamp::from_unix_micros(at.unix_micros().saturating_sub(micros))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{apps, moment, rule_with, source};
    use crate::{ClassRoute, Devices, Judge, RoutePattern, Verdict};

    fn question() -> Question {
        let (app, method) = ("emr".parse().unwrap(), Method::parse("GET").unwrap());
        let path = Path::parse("/labs/7").unwrap();
        Question::new(app, method, path, "ward".parse().unwrap(), moment("2026-11-20T10:00:00"))
    }

    fn labs() -> Policy {
        let mut source = source(
            vec![rule_with("labs", |rule| {
                rule.classes = vec!["lab-results".parse().unwrap()];
                rule.devices = Devices::Known;
                rule.posture = vec![PostureDemand::parse("edr=running").unwrap()];
                rule.authenticated_within = Some(Duration::from_secs(60));
            })],
            "",
        );
        source.apps = apps();
        source.apps[0].routes = vec![ClassRoute {
            methods: vec![],
            pattern: RoutePattern::parse("/labs/{patient}").unwrap(),
            action: None,
            class: "lab-results".parse().unwrap(),
            patients: None,
            folds: false,
            ward_field: None,
        }];
        Policy::load(&source).unwrap()
    }

    fn nurse() -> Question {
        Question {
            roles: vec!["nurse".parse().unwrap(), "clerk".parse().unwrap(), "nurse".parse().unwrap()],
            signed_in: true,
            device: Some((None, DeviceClass::Fixed)),
            posture: vec![PostureDemand::parse("edr=running").unwrap()],
            auth_age: Duration::from_secs(59),
            ..question()
        }
    }

    fn is_allowed(question: &Question) -> bool {
        let policy = Arc::new(labs());
        let access = question.access(&policy);
        matches!(Judge::new(policy).judge(access, ()), Verdict::Allow(_))
    }

    #[test]
    fn a_description_is_judged_as_the_access_it_describes() {
        assert!(is_allowed(&nurse()));
        assert!(!is_allowed(&question()));
        assert!(!is_allowed(&Question { auth_age: Duration::from_secs(60), ..nurse() }));
        assert!(!is_allowed(&Question { path: Path::parse("/charts/7").unwrap(), ..nurse() }));
        assert!(!is_allowed(&Question { class: Some("images".parse().unwrap()), ..nurse() }));
        assert!(!is_allowed(&Question { device: None, ..nurse() }));
        assert!(!is_allowed(&Question { posture: vec![], ..nurse() }));
        assert!(!is_allowed(&Question { on_its_device: false, ..nurse() }));
        assert!(!is_allowed(&Question { signed_in: false, ..nurse() }));
        assert!(!is_allowed(&Question { action: Some(Action::Connect), ..nurse() }));
    }
}
