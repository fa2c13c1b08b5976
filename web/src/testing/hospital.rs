//! A whole site with a real store, real sessions and a real log, and its clock.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use audit::Log;
use identity::{
    Assertions, Devices, Grants, HandOffs, Oidc, Outage, Passkeys, People, PostureDesk, RelyingParty, Sessions,
};
use policy::{Clock, Timestamp};
use store::{Sqlite, Store};

use super::authority::FakeCa;
use super::configuration::{Extra, config};
use super::provider::FakeProvider;
use super::{CONSOLE, Folder, LOGIN, PORTAL, SHELL, START, folder, ward_terminal_record};
use crate::{HostKind, LogView, Site, SiteParts};

/// A whole site, its parts, and the clock.
pub(crate) struct Hospital {
    pub(crate) site: Site,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) sessions: Arc<Sessions>,
    pub(crate) provider: Arc<FakeProvider>,
    pub(crate) log: Log,
    /// Follows the log, where auditors are to find in it.
    pub(crate) index: Option<find::Index>,
    _follower: Option<find::Follower>,
    /// Goes away with the hospital.
    _folder: Folder,
    clock: Arc<AtomicI64>,
}

impl Hospital {
    pub(crate) async fn open() -> Self {
        Self::with_providers(1).await
    }

    pub(crate) async fn with_providers(count: usize) -> Self {
        Self::with(count, &Extra::default()).await
    }

    /// With a console, its roles, and people whom the gateway itself knows.
    pub(crate) async fn with_console() -> Self {
        let gateway = format!("console_host = \"{CONSOLE}\"\n");
        let role = |id: &str| format!("{id} = {{ ja = \"{id}\", en = \"{id}\" }}\n");
        let roles =
            ["administrator", "help-desk", "auditor", "ward-auditor", "approver", "vendor", "vendor-lead", "replayer"]
                .map(role)
                .concat();
        let roles = roles
            + "[console]\nadministrators = [\"administrator\"]\nhelp_desk = [\"help-desk\"]\n\
               auditors = [\"auditor\"]\n[[console.auditor]]\nroles = [\"ward-auditor\"]\n\
               departments = [\"外来\", \"本院/3F\"]\n\n[directory]\nlocal = true\n\n\
               [maintenance]\nvendor_roles = [\"vendor\"]\nvendor_administrators = [\"vendor-lead\"]\n\
               approvers = [\"approver\"]\nemergency_approvers = [\"approver\"]\nrecording_readers = [\"replayer\"]\n\n\
               [[rule]]\nid = \"vendors\"\neffect = \"permit\"\nroles = [\"vendor\"]\napps = [\"pacs\"]\n\
               actions = [\"read\", \"write\", \"connect\"]\ndevices = \"known\"\ngrant = true\n\n";
        Self::with(1, &Extra { gateway, roles, ..Extra::default() }).await
    }

    /// With people whom the gateway itself knows, and more tables and lines for the first provider.
    pub(crate) async fn with_keys(tables: &str, provider: &str) -> Self {
        let roles = format!("[directory]\nlocal = true\n\n{tables}\n");
        Self::with(1, &Extra { roles, provider: provider.to_owned(), ..Extra::default() }).await
    }

    async fn with(count: usize, extra: &Extra) -> Self {
        let folder = folder();
        let config = Arc::new(config(&folder, count, extra));
        let clock = Arc::new(AtomicI64::new(START));
        let told = clock.clone();
        let clock_arg = Clock::new(move || Timestamp::from_unix_micros(told.load(Ordering::SeqCst)));
        let store: Arc<dyn Store> = Arc::new(Sqlite::in_memory().unwrap());
        store.add_device(ward_terminal_record(), "test".to_owned()).await.unwrap();
        let devices = Arc::new(Devices::load(store.clone()).await.unwrap());
        let sessions = Arc::new(Sessions::new(store.clone(), devices.clone(), config.sessions.clone()));
        let provider = Arc::new(FakeProvider::new(clock_arg.clone()));
        let outage = Outage::load(store.clone(), &config.providers, config.outage).await.unwrap();
        let outage = Arc::new(outage);
        let oidc = Oidc::new(&config.providers, store.clone(), fetch(&provider), clock_arg.clone());
        let oidc = Arc::new(oidc.with_outage(outage.clone()));
        let party = RelyingParty {
            host: config.login_host.clone(),
            origin: config.origin(&config.login_host),
            name: config.facility.name.clone(),
        };
        let keys = config.state_dir.clone();
        fs::create_dir_all(&keys).unwrap();
        let (log, _) = Log::open(&config.audit, &config.facility, &keys, clock_arg).unwrap();
        let book = config.console_host.is_some().then(|| {
            let index = find::Index::open(&folder.0.join("index")).unwrap();
            (index, audit::Reader::open(&config.audit.directory, audit::Keys::default()).unwrap())
        });
        let follower = book.as_ref().map(|(index, reader)| index.follow(reader.clone()).unwrap());
        let index = book.as_ref().map(|(index, _)| index.clone());
        let site = Site::new(SiteParts {
            policy: Arc::new(policy::Policy::load(&config.policy).unwrap()),
            hand_offs: Arc::new(HandOffs::new(store.clone(), sessions.clone())),
            assertions: Arc::new(Assertions::open_or_create(&keys, "https://login.hosp.example").unwrap()),
            recorder: log.recorder(),
            sessions: sessions.clone(),
            people: Arc::new(People::new(store.clone(), &config)),
            passkeys: Arc::new(Passkeys::new(store.clone(), &party, config.passkeys.clone()).unwrap()),
            devices,
            certificates: Arc::new(FakeCa::default()),
            posture: Arc::new(PostureDesk::new(store.clone(), config.posture_sources.clone())),
            outage,
            grants: Arc::new(Grants::new(store.clone(), &config)),
            store: store.clone(),
            log_view: Arc::new(LogView::new(book)),
            nodes: Arc::default(),
            open_now: Arc::default(),
            alarms: Arc::default(),
            oidc,
            config,
        });
        Self { site, store, sessions, provider, log, index, _follower: follower, _folder: folder, clock }
    }

    /// The gateway starts again: what it knew of the provider is forgotten, sessions are not.
    pub(crate) fn restart(&mut self) {
        let told = self.clock.clone();
        let clock = Clock::new(move || Timestamp::from_unix_micros(told.load(Ordering::SeqCst)));
        let parts = &self.site.parts;
        let oidc = Oidc::new(&parts.config.providers, self.store.clone(), fetch(&self.provider), clock);
        self.site = Site::new(SiteParts {
            config: parts.config.clone(),
            policy: parts.policy.clone(),
            sessions: parts.sessions.clone(),
            oidc: Arc::new(oidc),
            hand_offs: parts.hand_offs.clone(),
            assertions: parts.assertions.clone(),
            people: parts.people.clone(),
            passkeys: parts.passkeys.clone(),
            devices: parts.devices.clone(),
            certificates: parts.certificates.clone(),
            posture: parts.posture.clone(),
            outage: parts.outage.clone(),
            grants: parts.grants.clone(),
            store: parts.store.clone(),
            recorder: self.log.recorder(),
            log_view: parts.log_view.clone(),
            nodes: parts.nodes.clone(),
            open_now: parts.open_now.clone(),
            alarms: parts.alarms.clone(),
        });
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.clock.load(Ordering::SeqCst))
    }

    pub(crate) fn pass_seconds(&self, seconds: i64) {
        self.clock.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    /// The lines of the log so far.
    pub(crate) fn lines(&self) -> String {
        let directory = &self.site.parts.config.audit.directory;
        audit::tail(directory, 1_000).unwrap().join("\n")
    }

    /// Waits until the index has seen what the log holds now.
    pub(crate) async fn settle(&self) {
        let Some(index) = &self.index else { return };
        // What is written last is read back whole before it is looked for.
        let written = self.lines().lines().count() as u64;
        for _ in 0..400 {
            if index.lag().seq >= written {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(25)).await;
        }
        panic!("the index does not follow: {:?} of {written}", index.lag());
    }

    /// The kind of a host, as the gateway would tell it.
    pub(super) fn kind(host: &str) -> HostKind {
        match host {
            LOGIN => HostKind::Login,
            PORTAL => HostKind::Portal,
            CONSOLE => HostKind::Console,
            SHELL => HostKind::Tunnel,
            _ => HostKind::App,
        }
    }
}

fn fetch(provider: &Arc<FakeProvider>) -> identity::Fetch {
    let serving = provider.clone();
    Arc::new(move |request| {
        let answer = serving.answer(&request);
        Box::pin(async move { answer })
    })
}
