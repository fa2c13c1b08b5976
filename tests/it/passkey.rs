//! Passkeys: the first one, one after the provider, one for a protected page, one as the whole sign-in, and one that is
//! taken away. In a real browser with a virtual authenticator, and with one of software where a browser is too honest.

use serde_json::json;
use tests::{Ask, Browser, Hospital, Idp, Manner, Person, Plan, Upstream, eventually};
use url::Url;

/// Clerks read the reception from any device; the safe only after a passkey, shown a moment ago.
const RECEPTION: &str = r#"
[[rule]]
id = "safe-needs-a-key"
effect = "permit"
roles = ["clerk"]
apps = ["emr"]
actions = ["read"]
paths = ["/safe/*"]
devices = "any"
methods = ["passkey"]
authenticated_within = "5m"
"#;
/// People of the provider show a key after it, and make their first one then.
const KEY_AFTER_PROVIDER: &str = "second_factor = \"passkey\"\nenrol_at_first_sign_in = true\n";

/// A hospital with a directory of its own, beside a provider where it has one.
struct Clinic {
    hospital: Hospital,
    idp: Option<Idp>,
    emr: Upstream,
}

impl Clinic {
    fn plan(emr: &Upstream) -> Plan {
        Plan::with_emr(emr.address()).with_directory().block(RECEPTION)
    }

    fn open() -> Self {
        let emr = Upstream::http1();
        Self { hospital: Hospital::open(Self::plan(&emr)), idp: None, emr }
    }

    /// With the provider; `more` are further keys of its table.
    fn open_with_provider(more: &str) -> Self {
        let emr = Upstream::http1();
        let (hospital, idp) = Hospital::open_with_provider_and(Self::plan(&emr), more);
        Self { hospital, idp: Some(idp), emr }
    }

    fn reception(&self) -> String {
        self.hospital.url("emr", "/reception/form")
    }

    fn safe(&self) -> String {
        self.hospital.url("emr", "/safe/1")
    }

    /// A person with a key of software, and the first page they opened.
    async fn clerk(&self) -> (Person, tests::Authenticator) {
        let (key, code) = (self.hospital.key(), self.hospital.add_person("yamada", "山田 花子", "clerk"));
        let mut clerk = Person::by_key(&self.hospital.stranger(), &key);
        clerk.enrol(&code, &key, &Manner::default()).await.expect(200);
        (clerk, key)
    }
}

async fn at_the_provider(browser: &Browser, login: &str) {
    browser.fill("#login", login).await;
    browser.click("#continue").await;
}

#[tokio::test]
async fn a_person_enrols_the_first_key_and_later_signs_in_with_nothing_else() {
    let clinic = Clinic::open();
    let code = clinic.hospital.add_person("yamada", "山田 花子", "clerk");
    let browser = Browser::open(&clinic.hospital, "ja").await;
    let key = browser.plug_in_key().await;
    browser.go(&format!("{}#{code}", clinic.hospital.url("login", "/enrol"))).await;
    browser.fill("#name", "私の鍵").await;
    browser.click("[data-do]").await;
    browser.arrives_at(&clinic.hospital.url("portal", "/")).await;
    assert_eq!(browser.passkeys_at(&key).await, 1);
    let bar = browser.url().await;
    assert!(!bar.contains(&code), "the code does not stay in the address: {bar}");

    browser.forget().await;
    // Where the browser knows a passkey it may be offered and taken at once, without a click.
    browser.go(&clinic.reception()).await;
    if browser.url().await.contains("/sign-in") {
        browser.script("document.querySelector('[data-do]:enabled')?.click()").await;
    }
    browser.arrives_at(&clinic.reception()).await;
    eventually("the key's line", async || {
        (!clinic.hospital.records().with("ev", "key-added").is_empty()).then_some(())
    })
    .await;
    let records = clinic.hospital.records();
    assert_eq!(records.with("ev", "key-added").only()["login"], "yamada");
    assert_eq!(records.with("ev", "invitation-made").only()["proofing"], "職員証");
    let opened = records.opened("/reception/form").only().clone();
    assert_eq!((&opened["login"], &opened["amr"]), (&"yamada".into(), &json!(["passkey"])), "{opened}");
    assert_eq!(opened["acr"], "aal3", "the key cannot be copied: {opened}");
    assert!(!clinic.hospital.log_text().contains(&code), "no code in a log");
}

#[tokio::test]
async fn a_key_follows_the_provider_and_without_it_nobody_is_in() {
    let clinic = Clinic::open_with_provider(KEY_AFTER_PROVIDER);
    let browser = Browser::open(&clinic.hospital, "ja").await;
    browser.plug_in_key().await;
    let way = format!("{}&provider=staff", clinic.hospital.url("emr", "/.sekimori/sign-in?to=/reception/form"));
    browser.go(&way).await;
    at_the_provider(&browser, "clerk").await;
    browser.arrives_at(&clinic.hospital.url("login", "/second")).await;
    assert!(clinic.hospital.records().with("ev", "signed-in").is_empty(), "the provider's word is half of it");
    browser.click("[data-passkey=enrol] [data-do]").await;
    browser.arrives_at("https://emr.hospital.test").await;

    browser.forget().await;
    browser.go(&way).await;
    at_the_provider(&browser, "clerk").await;
    browser.arrives_at(&clinic.hospital.url("login", "/second")).await;
    browser.click("[data-passkey=second-factor] [data-do]").await;
    browser.arrives_at("https://emr.hospital.test").await;
    browser.go(&clinic.reception()).await;
    browser.arrives_at(&clinic.reception()).await;
    let opened = clinic.hospital.records().opened("/reception/form").last().clone();
    assert_eq!(opened["amr"], json!(["provider", "passkey"]), "{opened}");
}

#[tokio::test]
async fn another_persons_key_is_no_second_factor() {
    let clinic = Clinic::open_with_provider(KEY_AFTER_PROVIDER);
    let (_, foreign) = clinic.clerk().await;
    let own = clinic.hospital.key();
    let way = clinic.hospital.url("emr", "/.sekimori/sign-in?provider=staff");
    Person::new(&clinic.hospital.stranger(), "clerk").with_key(&own).open(&way).await;
    let mut thief = Person::new(&clinic.hospital.stranger(), "clerk").with_key(&foreign);
    thief.open(&way).await.expect_problem(403, "passkey-refused");
    let refused = clinic.hospital.records().with("ev", "ceremony-refused").last().clone();
    assert_eq!(refused["why"], "passkey-of-another-person", "{refused}");
}

#[tokio::test]
async fn a_protected_page_asks_for_the_key_and_opens_with_it() {
    let clinic = Clinic::open_with_provider("");
    let browser = Browser::open(&clinic.hospital, "ja").await;
    browser.plug_in_key().await;
    let way = clinic.hospital.url("emr", "/.sekimori/sign-in?provider=staff");
    browser.go(&way).await;
    at_the_provider(&browser, "clerk").await;
    browser.arrives_at("https://emr.hospital.test").await;
    let code = clinic.hospital.invite("clerk");
    browser.go(&format!("{}#{code}", clinic.hospital.url("login", "/enrol"))).await;
    browser.click("[data-do]").await;
    eventually("the key is kept", async || {
        (!clinic.hospital.records().with("ev", "key-added").is_empty()).then_some(())
    })
    .await;
    browser.go(&clinic.reception()).await;
    browser.arrives_at(&clinic.reception()).await;
    browser.go(&clinic.safe()).await;
    browser.click("[data-passkey=step-up] [data-do]").await;
    browser.arrives_at(&clinic.safe()).await;
    let records = clinic.hospital.records();
    assert_eq!(records.opened("/safe/1").only()["amr"], json!(["provider", "passkey"]));
    assert_eq!(records.with("ev", "stepped-up").len(), 1);
    assert_eq!(clinic.emr.seen().iter().filter(|seen| seen.target == "/safe/1").count(), 1);
}

#[tokio::test]
async fn who_has_no_key_is_told_so_and_not_sent_round_in_circles() {
    let clinic = Clinic::open_with_provider("");
    let mut clerk = Person::new(&clinic.hospital.stranger(), "clerk");
    clerk.open(&clinic.hospital.url("emr", "/.sekimori/sign-in?provider=staff")).await;
    let page = clerk.step(&Url::parse(&clinic.safe()).unwrap()).await;
    assert!(matches!(page.status, 302 | 401 | 403), "{}", page.status);
    // The rule wants a key; what the login host is asked for one answers so.
    clerk.tell("/passkey/begin", &json!({ "for": "step-up" })).await.expect_problem(403, "no-key");
    assert!(clinic.emr.seen().iter().all(|seen| seen.target != "/safe/1"));
}

#[tokio::test]
async fn a_key_that_does_not_verify_its_owner_opens_nothing() {
    let clinic = Clinic::open();
    let code = clinic.hospital.add_person("yamada", "山田 花子", "clerk");
    let browser = Browser::open(&clinic.hospital, "ja").await;
    let key = browser.plug_in_key().await;
    browser.verify_at_key(&key, false).await;
    browser.go(&format!("{}#{code}", clinic.hospital.url("login", "/enrol"))).await;
    browser.click("[data-do]").await;
    eventually("the page says that nothing was made", async || {
        let said = browser.script("return document.querySelector('[role=alert]').textContent").await;
        (!said.as_str().unwrap().is_empty()).then_some(())
    })
    .await;
    assert_eq!(browser.passkeys_at(&key).await, 0);

    // A browser that lies about it is refused by the gateway, and the code is still good.
    let software = clinic.hospital.key();
    let mut clerk = Person::by_key(&clinic.hospital.stranger(), &software);
    let lazy = Manner { is_unverified: true, ..Manner::default() };
    clerk.enrol(&code, &software, &lazy).await.expect_problem(403, "passkey-refused");
    clerk.enrol(&code, &software, &Manner::default()).await.expect(200);
    let mut again = Person::by_key(&clinic.hospital.stranger(), &software);
    again.prove(&software, &lazy, &json!({ "for": "sign-in" })).await.expect_problem(403, "passkey-refused");
    let records = clinic.hospital.records().with("ev", "ceremony-refused");
    assert_eq!(records.len(), 2);
    for record in records.all() {
        assert!(record["why"].as_str().unwrap().contains("verified"), "{record}");
    }
}

#[tokio::test]
async fn a_key_that_is_removed_takes_its_sessions_with_it() {
    let clinic = Clinic::open();
    let (mut first, lost) = clinic.clerk().await;
    first.open(&clinic.reception()).await.expect(200);
    let spare = clinic.hospital.key();
    let mut second = Person::by_key(&clinic.hospital.stranger(), &spare);
    second.enrol(&clinic.hospital.invite("yamada"), &spare, &Manner::default()).await.expect(200);
    second.open(&clinic.reception()).await.expect(200);

    let portal = clinic.hospital.url("portal", "");
    second.open(&clinic.hospital.url("portal", "/me")).await.expect(200);
    let remove = Url::parse(&clinic.hospital.url("portal", "/me/key/remove")).unwrap();
    let answer = second.post(&remove, &portal, &[("key", &lost.key_id())]).await;
    assert!(matches!(answer.status, 200 | 303), "{}", answer.text());
    let reception = Url::parse(&clinic.reception()).unwrap();
    eventually("the lost key's session is gone", async || {
        (first.step_as_program(&reception).await.status == 401).then_some(())
    })
    .await;
    second.step_as_program(&reception).await.expect(200);
    let mut thief = Person::by_key(&clinic.hospital.stranger(), &lost);
    thief.open(&clinic.reception()).await.expect_problem(403, "passkey-refused");
    for event in ["key-removed", "session-ended"] {
        eventually(event, async || (clinic.hospital.records().with("ev", event).len() == 1).then_some(())).await;
    }
}

#[tokio::test]
async fn a_key_alone_is_no_sign_in_where_the_provider_comes_first() {
    let clinic = Clinic::open_with_provider("");
    let key = clinic.hospital.key();
    Person::new(&clinic.hospital.stranger(), "clerk")
        .open(&clinic.hospital.url("emr", "/.sekimori/sign-in?provider=staff"))
        .await;
    let mut clerk = Person::by_key(&clinic.hospital.stranger(), &key);
    clerk.enrol(&clinic.hospital.invite("clerk"), &key, &Manner::default()).await.expect(200);
    clerk.open(&clinic.reception()).await.expect_problem(403, "provider-first");
    assert_eq!(clinic.hospital.records().with("ev", "sign-in-failed").last()["why"], "provider-first");
    assert!(clinic.idp.is_some() && clinic.emr.seen().is_empty());
}

#[tokio::test]
async fn only_the_models_that_the_hospital_allows_are_enrolled() {
    let emr = Upstream::http1();
    let plan = Clinic::plan(&emr).set("passkeys", "authenticators_file = \"keys.json\"");
    let mut hospital = Hospital::build(plan);
    let listed = json!([{ "aaguid": "cb69481e-8ff7-4039-93ec-0a2729a154a8", "name": "YubiKey 5", "allowed": true }]);
    hospital.folder().write("keys.json", listed.to_string());
    hospital.start();
    let code = hospital.add_person("yamada", "山田 花子", "clerk");
    let key = hospital.key();
    let mut clerk = Person::by_key(&hospital.stranger(), &key);
    clerk.enrol(&code, &key, &Manner::default()).await.expect_problem(403, "key-not-allowed");
    assert_eq!(hospital.records().with("ev", "ceremony-refused").len(), 1);
}

#[tokio::test]
async fn a_rule_that_wants_a_certain_model_is_not_met_by_another() {
    let emr = Upstream::http1();
    let rule = RECEPTION.replace("methods = [\"passkey\"]", "keys = [\"cb69481e-8ff7-4039-93ec-0a2729a154a8\"]");
    let clinic = Clinic {
        hospital: Hospital::open(Plan::with_emr(emr.address()).with_directory().block(&rule)),
        idp: None,
        emr,
    };
    let (mut clerk, _) = clinic.clerk().await;
    clerk.open(&clinic.reception()).await.expect(200);
    let answer = clerk.step_as_program(&Url::parse(&clinic.safe()).unwrap()).await;
    answer.expect_problem(403, "key-not-allowed");
    assert!(clinic.emr.seen().iter().all(|seen| seen.target != "/safe/1"));
}

#[tokio::test]
async fn what_is_no_json_of_ours_is_refused() {
    let clinic = Clinic::open();
    let clerk = clinic.hospital.stranger();
    let ask =
        || Ask::post("login", "/passkey/begin", "for=sign-in").header("origin", "https://login.hospital.test:8443");
    let form = ask().header("content-type", "application/x-www-form-urlencoded").header("accept", "application/json");
    clerk.ask(form).await.expect_problem(415, "not-json");
    let broken = ask().header("content-type", "application/json").header("accept", "application/json");
    clerk.ask(broken).await.expect_problem(400, "bad-request");
    let foreign = Ask::post("login", "/passkey/begin", "{\"for\":\"sign-in\"}")
        .header("content-type", "application/json")
        .header("accept", "application/json")
        .header("origin", "https://evil.test");
    clerk.ask(foreign).await.expect_problem(403, "foreign-form");
}
