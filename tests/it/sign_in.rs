//! Signing in and out with a real OpenID provider, and what must not work on the way.

use tests::{Ask, Device, Hospital, Idp, Person, Plan, Upstream, eventually};
use url::Url;

/// Pharmacists see the stock; what is locked away only with a second factor.
const PHARMACY: &str = r#"
[[rule]]
id = "pharmacists-read"
effect = "permit"
roles = ["pharmacist"]
apps = ["emr"]
actions = ["read"]
paths = ["/stock"]
devices = "known"

[[rule]]
id = "narcotics-need-two-factors"
effect = "permit"
roles = ["pharmacist"]
apps = ["emr"]
actions = ["read"]
paths = ["/narcotics/*"]
devices = "known"
assurance = "aal2"
"#;

/// A hospital with two apps and the provider, and a terminal.
struct Floor {
    hospital: Hospital,
    _idp: Idp,
    emr: Upstream,
    terminal: Device,
}

impl Floor {
    async fn open() -> Self {
        let emr = Upstream::http1();
        let plan = Plan::with_emr(emr.address()).app("labs", emr.address(), "").block(PHARMACY);
        let (hospital, idp) = Hospital::open_with_provider(plan);
        let terminal = Device::add(&hospital, "ward-pc-1", "fixed").await;
        Self { hospital, _idp: idp, emr, terminal }
    }

    fn person(&self, login: &str) -> Person {
        Person::new(&self.hospital.caller(&self.terminal), login)
    }

    fn chart(&self) -> String {
        self.hospital.url("emr", "/patients/1?view=all")
    }
}

fn is_path(path: &'static str) -> impl Fn(&Url) -> bool {
    move |url| url.path() == path
}

#[tokio::test]
async fn a_nurse_signs_in_and_is_where_she_wanted_to_be() {
    let floor = Floor::open().await;
    let mut nurse = floor.person("nurse");
    let page = nurse.open(&floor.chart()).await.expect(200);
    assert_eq!(page.json()["target"], "/patients/1?view=all");
    let record = floor.hospital.records().with("ev", "signed-in").only().clone();
    assert_eq!((&record["login"], &record["dev"]), (&"nurse".into(), &"ward-pc-1".into()), "{record}");
    let opening = floor.hospital.records().opened("/patients/1").only().clone();
    assert_eq!(opening["role"], serde_json::json!(["nurse"]));
    assert_eq!(opening["name"], "看護 花子");
    for url in nurse.trail() {
        assert!(!url.as_str().contains("patients") || url.path() == "/patients/1", "the target stays here: {url}");
    }
}

#[tokio::test]
async fn who_proved_twice_who_they_are_is_known_more_surely() {
    let floor = Floor::open().await;
    floor.person("doctor").with_second_factor().open(&floor.chart()).await.expect(200);
    assert_eq!(floor.hospital.records().opened("/patients/1").only()["acr"], "aal2");
}

#[tokio::test]
async fn a_rule_that_wants_more_proof_sends_the_person_back_for_it_and_opens_a_new_session() {
    let floor = Floor::open().await;
    let chart = floor.hospital.url("emr", "/narcotics/today");
    let mut pharmacist = floor.person("pharmacist");
    pharmacist.open(&floor.hospital.url("emr", "/stock")).await.expect(200);
    let mut careful = pharmacist.with_second_factor();
    careful.open(&chart).await.expect(200);
    let records = floor.hospital.records();
    let (before, after) = (records.opened("/stock").only().clone(), records.opened("/narcotics/today").only().clone());
    assert_eq!((&before["acr"], &after["acr"]), (&"aal1".into(), &"aal2".into()));
    assert_ne!(before["sid"], after["sid"], "a session is new when more is known of the person");
}

#[tokio::test]
async fn who_does_not_bring_more_proof_is_told_so_and_not_sent_round_in_circles() {
    let floor = Floor::open().await;
    let mut pharmacist = floor.person("pharmacist");
    let page = pharmacist.open(&floor.hospital.url("emr", "/narcotics/today")).await;
    assert!(matches!(page.status, 401 | 403), "{}", page.status);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(floor.emr.seen().is_empty());
}

#[tokio::test]
async fn one_sign_in_opens_the_next_app_without_asking_again() {
    let floor = Floor::open().await;
    let mut nurse = floor.person("nurse");
    nurse.open(&floor.chart()).await.expect(200);
    let visited = nurse.trail().len();
    nurse.open(&floor.hospital.url("labs", "/today")).await.expect(200);
    let asked = nurse.trail()[visited..].iter().any(|url| url.host_str() == Some("localhost"));
    assert!(!asked, "{:#?}", nurse.trail());
    let field = |host: &str| nurse.jar().value(&format!("{host}.hospital.test"), "__Host-sekimori").map(str::to_owned);
    assert!(field("emr").is_some() && field("labs").is_some() && field("emr") != field("labs"), "one token a host");
    let records = floor.hospital.records();
    let sids: Vec<_> =
        records.with("ev", "open").all().iter().map(|one| one["sid"].clone()).filter(|sid| !sid.is_null()).collect();
    assert!(sids.iter().all(|sid| *sid == sids[0]), "and one session: {sids:?}");
}

#[tokio::test]
async fn many_tabs_that_sign_in_at_once_all_succeed() {
    let floor = Floor::open().await;
    let mut nurse = floor.person("nurse");
    let mut waiting = Vec::new();
    for tab in 0..6 {
        let url = floor.hospital.url("emr", &format!("/tab/{tab}"));
        waiting.push(nurse.open_until(&url, |url| url.host_str() == Some("localhost")).await);
    }
    for (tab, url) in waiting.into_iter().enumerate().rev() {
        let page = nurse.open(url.as_str()).await.expect(200);
        assert_eq!(page.json()["target"], format!("/tab/{tab}"));
    }
}

#[tokio::test]
async fn someone_of_no_group_we_know_is_told_so_and_opens_nothing() {
    let floor = Floor::open().await;
    let mut stranger = floor.person("stranger");
    let page = stranger.open(&floor.chart()).await.expect(403);
    assert!(page.header("content-type").starts_with("text/html"));
    assert_eq!(
        stranger.open(&floor.hospital.url("portal", "/")).await.expect(200).text().matches("emr.hospital").count(),
        0
    );
    let refused = floor.hospital.records().with("ev", "refused").with("path", "/patients/1");
    assert_eq!((&refused.last()["login"], &refused.last()["why"]), (&"stranger".into(), &"role-not-allowed".into()));
    assert!(floor.emr.seen().is_empty());
}

#[tokio::test]
async fn someone_who_turns_back_at_the_provider_is_told_so() {
    let floor = Floor::open().await;
    floor.person("").open(&floor.chart()).await.expect(403);
    assert!(!floor.hospital.records().with("ev", "sign-in-failed").is_empty());
}

#[tokio::test]
async fn the_providers_answer_is_worth_nothing_in_another_browser() {
    let floor = Floor::open().await;
    let mut victim = floor.person("nurse");
    let callback = victim.open_until(&floor.chart(), is_path("/callback/staff")).await;
    let mut thief = floor.person("nurse");
    let page = thief.step(&callback).await.expect(400);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(page.all("set-cookie").iter().all(|cookie| !cookie.starts_with("__Host-sekimori=")));
}

#[tokio::test]
async fn the_providers_answer_is_taken_once() {
    let floor = Floor::open().await;
    let mut nurse = floor.person("nurse");
    let callback = nurse.open_until(&floor.chart(), is_path("/callback/staff")).await;
    let mut twin = nurse.clone();
    nurse.open(callback.as_str()).await.expect(200);
    twin.step(&callback).await.expect(400);
}

#[tokio::test]
async fn a_changed_state_or_issuer_is_refused() {
    let floor = Floor::open().await;
    for (field, value) in [("state", "x"), ("iss", "https://other.test"), ("code", "x")] {
        let mut nurse = floor.person("nurse");
        let callback = nurse.open_until(&floor.chart(), is_path("/callback/staff")).await;
        let fields =
            callback.query_pairs().filter(|(name, _)| name != field).map(|(a, b)| (a.into_owned(), b.into_owned()));
        let mut changed = callback.clone();
        changed.query_pairs_mut().clear().extend_pairs(fields.collect::<Vec<_>>()).append_pair(field, value);
        let page = nurse.step(&changed).await;
        assert!(matches!(page.status, 400 | 403), "{field}: {}", page.status);
        assert_eq!(nurse.jar().value("login.hospital.test", "__Host-sekimori"), None, "{field}");
    }
}

#[tokio::test]
async fn the_code_that_leads_back_to_an_app_works_once_and_in_one_browser() {
    let floor = Floor::open().await;
    let mut nurse = floor.person("nurse");
    let arrive = nurse.open_until(&floor.chart(), is_path("/.sekimori/arrive")).await;
    let mut thief = floor.person("nurse");
    thief.step(&arrive).await.expect(400);
    assert_eq!(thief.jar().value("emr.hospital.test", "__Host-sekimori"), None);
    let mut twin = nurse.clone();
    let first = nurse.step(&arrive).await;
    let second = twin.step(&arrive).await;
    assert!(first.status == 400 || second.status == 400, "at most once: {} {}", first.status, second.status);
    assert_eq!(twin.jar().value("emr.hospital.test", "__Host-sekimori"), None);
}

#[tokio::test]
async fn nobody_is_sent_to_another_site() {
    let floor = Floor::open().await;
    let mut nurse = floor.person("nurse");
    for query in
        ["?return=https://evil.test/", "?to=//evil.test", "?return_to=%2F%2Fevil.test", "?next=https:evil.test"]
    {
        nurse.open(&floor.hospital.url("emr", &format!("/.sekimori/sign-in{query}"))).await;
    }
    assert!(nurse.trail().iter().all(|url| url.host_str() != Some("evil.test")), "{:#?}", nurse.trail());
}

#[tokio::test]
async fn signing_out_ends_it_here_and_at_the_provider() {
    let floor = Floor::open().await;
    let mut nurse = floor.person("nurse");
    nurse.open(&floor.chart()).await.expect(200);
    nurse.open(&floor.hospital.url("labs", "/today")).await.expect(200);
    let before = nurse.clone();
    let leave = Url::parse(&floor.hospital.url("emr", "/.sekimori/sign-out")).unwrap();
    let origin = leave.origin().ascii_serialization();

    nurse.clone().post(&leave, "https://evil.test", &[]).await.expect(403);
    before.clone().step(&Url::parse(&floor.chart()).unwrap()).await.expect(200);

    let answer = nurse.post(&leave, &origin, &[]).await;
    // A page that goes on by itself: an app's own policy on forms would stop a redirect to the provider.
    let onwards = answer.expect(200).header("refresh").to_owned();
    assert!(onwards.contains("url=https://localhost:"), "on to the provider: {onwards}");
    for host in ["emr", "labs", "login"] {
        let old = before.jar().field(&format!("{host}.hospital.test"));
        let ask = Ask::get(host, if host == "login" { "/" } else { "/x" }).header("cookie", &old);
        let status = floor.hospital.caller(&floor.terminal).ask(ask.header("accept", "application/json")).await.status;
        assert!(host == "login" || status == 401, "{host}: {status}");
    }
    assert_eq!(floor.hospital.records().with("ev", "signed-out").only()["login"], "nurse");
}

#[tokio::test]
async fn a_posted_form_is_kept_for_who_must_sign_in_again() {
    let floor = Floor::open().await;
    let mut doctor = floor.person("doctor");
    doctor.open(&floor.chart()).await.expect(200);
    let session = floor.hospital.records().with("ev", "signed-in").only()["sid"].as_str().unwrap().to_owned();
    floor.hospital.run(&["session", "revoke", &session]).ok();
    eventually("the session is over", async || {
        (!floor.hospital.records().with("ev", "session-ended").is_empty()).then_some(())
    })
    .await;
    let reached = floor.emr.seen().len();
    let form = Url::parse(&floor.hospital.url("emr", "/notes")).unwrap();
    let fields = [("note", "体温 37.5 & <b>"), ("by", "doctor")];
    let page = doctor.post(&form, &form.origin().ascii_serialization(), &fields).await.expect(401);
    assert!(page.header("content-type").starts_with("text/html"), "{:?}", page.headers);
    assert!(page.text().contains("体温 37.5 &#38; &#60;b&#62;"), "{}", page.text());
    assert_eq!(floor.emr.seen().len(), reached);
    let foreign = doctor.post(&form, "https://evil.test", &fields).await;
    assert!(!foreign.text().contains("37.5"), "what another site posts is not kept");
}

#[tokio::test]
async fn a_provider_that_is_down_is_a_page_that_says_so() {
    let emr = Upstream::http1();
    let (mut hospital, mut idp) = Hospital::open_with_provider(Plan::with_emr(emr.address()));
    idp.stop();
    hospital.stop();
    hospital.start();
    let mut nurse = Person::new(&hospital.stranger(), "nurse");
    let page = nurse.open(&hospital.url("emr", "/")).await.expect(502);
    assert!(page.header("content-type").starts_with("text/html"));
    let failed =
        eventually("the record", async || hospital.records().with("ev", "sign-in-failed").all().first().cloned());
    assert_eq!(failed.await["why"], "provider-unavailable");
}

#[tokio::test]
async fn each_sign_in_opens_a_new_session() {
    let floor = Floor::open().await;
    for _ in 0..2 {
        let mut nurse = floor.person("nurse");
        nurse.open(&floor.chart()).await.expect(200);
    }
    let records = floor.hospital.records().with("ev", "signed-in");
    assert_ne!(records.all()[0]["sid"], records.all()[1]["sid"]);
}
