//! A hospital with the real identity provider, a terminal, and a clerk's key: where a test begins that is about what the
//! provider says, or about its absence.

use std::time::Duration;

use tests::{Authenticator, Device, Hospital, Idp, Manner, Person, Plan, Upstream, eventually, eventually_in};

/// What clerks may do while the provider is gone: less than else.
const REDUCED: &str = r#"
[[rule]]
id = "clerks-in-an-outage"
effect = "permit"
roles = ["clerk"]
apps = "all"
actions = ["read"]
paths = ["/reception/form"]
devices = "any"
in_outage = true
"#;

/// The hospital and what stands around it.
pub struct House {
    pub hospital: Hospital,
    pub idp: Idp,
    pub terminal: Device,
    pub key: Authenticator,
    _emr: Upstream,
}

/// Outages that are noticed as soon as the configuration allows, with their rule.
pub fn with_outages(plan: Plan) -> Plan {
    plan.set("outage", "after = \"30s\"").set("outage", "grace = \"0s\"").block(REDUCED)
}

impl House {
    /// Opens it; `provider` are further keys of the provider's table.
    pub async fn open(plan: impl FnOnce(Plan) -> Plan, provider: &str) -> Self {
        let emr = Upstream::http1();
        let (hospital, idp) = Hospital::open_with_provider_and(plan(Plan::with_emr(emr.address())), provider);
        let terminal = Device::add(&hospital, "desk-1", "fixed").await;
        Self { key: hospital.key(), hospital, idp, terminal, _emr: emr }
    }

    /// The way to the form by the provider.
    pub fn way(&self) -> String {
        self.hospital.url("emr", "/.sekimori/sign-in?provider=staff")
    }

    /// A page that clerks may read from anywhere.
    pub fn form(&self) -> String {
        self.hospital.url("emr", "/reception/form")
    }

    /// A clerk who has the key.
    pub fn by_key(&self) -> Person {
        Person::by_key(&self.hospital.stranger(), &self.key)
    }

    /// A clerk who goes by the provider.
    pub fn by_provider(&self) -> Person {
        Person::new(&self.hospital.stranger(), "clerk")
    }

    /// A clerk whom the provider has sent here enrols the key.
    pub async fn enrol_clerk(&self) {
        let code = self.hospital.invite("clerk");
        self.by_key().enrol(&code, &self.key, &Manner::default()).await.expect(200);
    }

    /// Puts the switch for outages of the provider.
    pub fn turn(&self, word: &str) {
        let _ = self.hospital.run(&["outage", word, "staff"]).ok();
    }

    /// Waits for a line of the log.
    pub async fn heard(&self, event: &str, span: Duration) {
        eventually_in(span, event, async || (!self.hospital.records().with("ev", event).is_empty()).then_some(()))
            .await;
    }

    /// Signs in by key as soon as the gateway has heard of the outage.
    pub async fn enters_by_key(&self) -> Person {
        eventually("the key is enough", async || {
            let mut clerk = self.by_key();
            (clerk.open(&self.form()).await.status == 200).then_some(clerk)
        })
        .await
    }
}
