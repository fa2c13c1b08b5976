//! A session put into the store as sign-in would put it there, for the many tests that are not about signing in.

use std::collections::BTreeMap;
use std::sync::Arc;

use config::{SessionSpan, SessionSpans};
use identity::{Devices, Opening, Sessions, SignedIn};
use policy::{Assurance, DeviceId, Host, Methods, ProviderId, RoleId, SignInMethod, Timestamp};
use store::{DeviceRecord, Person, Secret, Store};

use crate::authority::now;
use crate::database::store_of;
use crate::hospital::host_name;
use crate::{Device, Hospital};

const ISSUER: &str = "https://idp.hospital.test";
/// The gateway's store in its state folder.
pub const STORE_FILE: &str = "state/store.sqlite";

/// The cookie that carries a session.
const SESSION_COOKIE: &str = "__Host-sekimori";

/// A person who has signed in.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its id, as the log names it.
    pub id: String,
    tokens: BTreeMap<String, String>,
}

impl Session {
    /// Signs a person in on the hosts of these apps. Login and role have the same name, such as `nurse`.
    pub async fn open(hospital: &Hospital, login: &str, device: Option<&Device>, hosts: &[&str]) -> Self {
        Self::open_with(hospital, login, &[login], device, hosts).await
    }

    /// Signs in a person of any name and roles.
    pub async fn open_with(
        hospital: &Hospital,
        login: &str,
        roles: &[&str],
        device: Option<&Device>,
        hosts: &[&str],
    ) -> Self {
        let store = store_of(hospital);
        let devices = Arc::new(Devices::load(Arc::clone(&store)).await.expect("the ledger can be read"));
        let sessions = Sessions::new(Arc::clone(&store), devices, spans());
        let at = now();
        let first = host(hosts.first().expect("a session is for a host"));
        let signed_in = SignedIn {
            person: person(login, roles, at),
            assurance: Assurance::Aal1,
            methods: Methods::of([SignInMethod::Provider]),
            authenticated_at: at,
            id_token: Secret("a test's".to_owned()),
            provider_session: None,
            refresh_token: None,
            return_to: String::new(),
        };
        let opening = Opening::by_provider(signed_in, known(&store, device).await, first.clone());
        let (session, token) = sessions.open(opening, at).await.expect("a session opens");
        let mut tokens = BTreeMap::from([(first.to_string(), token.expose().to_owned())]);
        for short in hosts.iter().skip(1) {
            let token = sessions.add_token(session.id(), &host(short)).await.expect("the store answers");
            tokens.insert(host_name(short), token.expect("the session is open").expose().to_owned());
        }
        Self { id: session.id().to_string(), tokens }
    }

    /// The `Cookie` field for a host.
    #[must_use]
    pub fn cookie(&self, host: &str) -> String {
        format!("{SESSION_COOKIE}={}", self.token(host))
    }

    /// The secret itself.
    #[must_use]
    pub fn token(&self, host: &str) -> &str {
        self.tokens.get(&host_name(host)).expect("the session has a token for the host")
    }
}

fn host(short: &str) -> Host {
    Host::parse(&host_name(short)).expect("a test's host is a host")
}

fn person(login: &str, roles: &[&str], at: Timestamp) -> Person {
    Person {
        id: identity::user_id(ISSUER, login),
        issuer: ISSUER.to_owned(),
        subject: login.to_owned(),
        provider: ProviderId::parse("test").expect("a name"),
        login: login.to_owned(),
        name: format!("{login} さん"),
        roles: roles.iter().map(|role| RoleId::parse(role).expect("a test's role is a role")).collect(),
        unit: String::new(),
        added_at: at,
        seen_at: at,
        confirmed_at: at,
        disabled: None,
    }
}

async fn known(store: &Arc<dyn Store>, device: Option<&Device>) -> Option<Arc<policy::Device>> {
    let id = DeviceId::parse(&device?.id).expect("a test's device is a device");
    let ledger = store.devices().await.expect("the ledger can be read");
    let DeviceRecord { id, class, certificates, .. } =
        ledger.into_iter().find(|one| one.id == id).expect("the device is in the ledger");
    let certificate = certificates.last().expect("the device is enrolled").fingerprint;
    Some(Arc::new(policy::Device { id, class, place: "".into(), certificate, posture: Arc::from([]) }))
}

fn spans() -> SessionSpans {
    let hours = |hours: u64| std::time::Duration::from_secs(hours * 60 * 60);
    SessionSpans { by_class: BTreeMap::new(), unknown_device: SessionSpan::lasting(hours(1), hours(12)) }
}
