//! Broken glass: offered to whoever is refused and may, in two clicks to the chart, recorded before it opens anything, over
//! to the second, reviewed by another person; and never a vendor's.

use std::time::{Duration, Instant};

use serde_json::Value;
use tests::{Browser, Device, Frame, Hospital, Inbox, Plan, Upstream, eventually, within};
use url::Url;

use crate::axe::Gallery;
use crate::console::Desk;
use crate::stream::open_socket;

/// Nurses read charts under glass, and nothing else.
pub const CHARTS_UNDER_GLASS: &str = r#"
[roles]
nurse = { ja = "看護師", en = "Nurse" }
doctor = { ja = "医師", en = "Doctor" }
safety = { ja = "医療安全管理者", en = "Safety officer" }
administrator = { ja = "管理者", en = "Administrator" }
help-desk = { ja = "ヘルプデスク", en = "Help desk" }
auditor = { ja = "監査人", en = "Auditor" }

[[rule]]
id = "charts-under-glass"
roles = ["nurse"]
apps = ["emr"]
actions = ["read"]
devices = "known"
break_glass = true
"#;

/// Nurses see their own ward; under glass every chart, and vendors nothing of it.
const RULES: &str = r#"
[roles]
nurse = { ja = "看護師", en = "Nurse" }
doctor = { ja = "医師", en = "Doctor" }
vendor = { ja = "保守業者", en = "Vendor" }
safety = { ja = "医療安全管理者", en = "Safety officer" }
administrator = { ja = "管理者", en = "Administrator" }
help-desk = { ja = "ヘルプデスク", en = "Help desk" }
auditor = { ja = "監査人", en = "Auditor" }

[[rule]]
id = "nurses-see-reception"
roles = ["nurse", "doctor", "vendor"]
apps = ["emr"]
actions = ["read"]
paths = ["/reception/*"]
devices = "known"

[[rule]]
id = "charts-under-glass"
roles = ["nurse"]
apps = ["emr"]
actions = ["read", "write", "connect"]
devices = "known"
break_glass = true

[[rule]]
id = "vendors-come-by-appointment"
roles = ["vendor"]
apps = ["emr"]
actions = ["read"]
devices = "known"
grant = true
"#;

fn plan(emr: &Upstream, length: &str) -> Plan {
    let routes = "[[app.route]]\npaths = [\"/patients/{patient}\", \"/patients/{patient}/**\"]\nclass = \"chart\"\n\
                  [[app.route]]\npaths = [\"/wards/{ward}/patients\"]\nclass = \"chart\"\n\
                  patient = [{ from = \"response-json\", pointer = \"/patients/*/id\" }]\n\
                  [[app.route]]\npaths = [\"/beds\"]\nclass = \"chart\"\nward = \"byoto\"\n";
    Plan::new()
        .app("emr", emr.address(), routes)
        .with_console()
        .rules(RULES)
        .set("break_glass", "reviewers = [\"safety\"]")
        .set("break_glass", &format!("length = \"{length}\""))
        .set("maintenance", "vendor_roles = [\"vendor\"]")
}

async fn desk_with(change: impl FnOnce(Plan) -> Plan, length: &str) -> Desk {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(change(plan(&emr, length)));
    let terminal = Device::add(&hospital, "tablet-1", "tablet").await;
    hospital.start();
    Desk { hospital, terminal, emr }
}

/// Chooses the first reason, writes what is happening, presses the button: two clicks.
async fn break_glass(browser: &Browser) {
    browser.click(".glass-reason input").await;
    browser.fill("#glass-words", "救急搬送、担当医不在").await;
    browser.click(".glass-offer button").await;
}

#[tokio::test]
async fn from_the_refusal_to_the_chart_in_ten_seconds_and_from_the_record_to_the_review() {
    let inbox = Inbox::open();
    let notice = "[[notice]]\nid = \"safety\"\nevents = [\"glass-broken\", \"glass-reviewed\"]\n\
                  mail_to = [\"anzen@hospital.test\"]\n";
    let desk = desk_with(|plan| plan.block(&inbox.mail_table()).block(notice), "60m").await;
    let sato = desk.browser("sato", "佐藤 恵子", "nurse", "ja").await;
    // A morning's work: signed in at the app.
    sato.go(&desk.hospital.url("emr", "/reception/form")).await;
    let chart = desk.hospital.url("emr", "/patients/4711/chart");
    let begin = Instant::now();
    sato.go(&chart).await;
    sato.says("緊急アクセスで開く").await;
    assert!(!sato.url().await.contains("/.sekimori"), "it is offered on the page of the refusal");
    break_glass(&sato).await;
    // The browser may ask for the app's icon behind it.
    let is_chart = |seen: &tests::Seen| seen.target == "/patients/4711/chart";
    eventually("the chart", async || desk.emr.seen().iter().any(is_chart).then_some(())).await;
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
    assert_eq!(sato.url().await, chart, "no patient in an address of ours");

    let records = desk.hospital.records();
    let broken = records.with("ev", "glass-broken").only().clone();
    assert_eq!(
        (&broken["login"], &broken["app"], &broken["why"]),
        (&"sato".into(), &"emr".into(), &"emergency".into())
    );
    assert_eq!(broken["reason"], "救急搬送、担当医不在");
    let opened = records.with("ev", "open").with("path", "/patients/4711/chart").only().clone();
    assert_eq!((&opened["vs"], &opened["rule"]), (&broken["vs"], &"charts-under-glass".into()));
    assert!(opened["seq"].as_u64() > broken["seq"].as_u64(), "first the record, then the chart");
    let mail = eventually("the notice", async || inbox.mails().into_iter().next()).await;
    assert!(mail.subject.contains("緊急アクセスが使われました: 佐藤 恵子 (sato) / emr"), "{}", mail.subject);
    for text in [&mail.text, &mail.subject, &mail.head] {
        assert!(!text.contains("4711") && !text.contains("救急搬送"), "{text}");
    }

    // Another patient is not opened by it; the strip says what is, on our own pages.
    sato.go(&desk.hospital.url("emr", "/patients/4712/chart")).await;
    sato.says("緊急アクセスで開く").await;
    sato.says("緊急アクセス中").await;
    assert!(desk.emr.seen().iter().all(|seen| !seen.target.contains("4712")));
    sato.go(&desk.hospital.url("portal", "/")).await;
    sato.says("残り").await;
    sato.click(".glass-ground button").await;
    sato.says("緊急アクセスを終えました").await;
    sato.go(&chart).await;
    sato.says("緊急アクセスで開く").await;
    eventually("its end is on record", async || {
        let records = desk.hospital.records();
        let ended = records.with("ev", "emergency-ended");
        ended.all().first().filter(|line| line["vs"] == broken["vs"]).map(|_| ())
    })
    .await;

    review(&desk, &broken).await;
    let told = eventually("the notice of the review", async || inbox.mails().into_iter().nth(1)).await;
    assert!(told.text.contains("必要だった"), "{}", told.text);
    codes(&desk).await;
}

/// Somebody else reviews it, in the console; whoever broke it cannot.
async fn review(desk: &Desk, broken: &Value) {
    let id = broken["vs"].as_str().unwrap();
    let safety = desk.browser("anzen", "安全 守", "safety", "ja").await;
    safety.go(&desk.hospital.url("console", "/glass")).await;
    safety.says("佐藤 恵子").await;
    safety.says("確認待ち").await;
    safety.go(&desk.hospital.url("console", &format!("/glass/{id}/review"))).await;
    for said in ["救急搬送、担当医不在", "4711", "/patients/4711/chart", "救急・急変"] {
        safety.says(said).await;
    }
    safety.fill("[name=comment]", "救急記録と一致").await;
    safety.click("form[action$='/review'] .form-buttons button").await;
    safety.arrives_at(&desk.hospital.url("console", "/glass?")).await;
    safety.says("緊急アクセスは使われていません").await;
    safety.go(&desk.hospital.url("console", "/glass?show=all")).await;
    safety.says("確認済み").await;
    let reviewed = eventually("the record of the review", async || {
        desk.hospital.records().with("ev", "glass-reviewed").all().first().map(|line| (*line).clone())
    })
    .await;
    assert_eq!((&reviewed["vs"], &reviewed["why"]), (&broken["vs"], &"justified".into()));
    let read = desk.hospital.records();
    assert!(!read.with("ev", "log-read").with("why", "glass").is_empty(), "that it was looked at is on record");
}

/// The exports tell of it in the words of the health sector.
async fn codes(desk: &Desk) {
    let export = |format: &str| {
        let file = desk.hospital.folder().join(format);
        // Where one was tried before the lines were signed.
        std::fs::remove_file(&file).ok();
        desk.hospital.run(&["audit", "export", "--format", format, "--output", file.to_str().unwrap()]).ok();
        std::fs::read_to_string(file).unwrap()
    };
    let dicom = eventually("the codes", async || {
        let text = export("dicom");
        (text.contains("csd-code=\"110127\"") && text.contains("csd-code=\"110138\"")).then_some(text)
    })
    .await;
    assert!(dicom.contains("Emergency Override Started") && dicom.contains("Emergency Override Stopped"), "{dicom}");
    let fhir = export("fhir");
    assert!(fhir.contains("\"110127\"") && fhir.contains("\"110138\"") && fhir.contains("\"BTG\""), "{fhir}");
}

#[tokio::test]
async fn a_vendor_is_offered_nothing_and_what_nobody_offered_breaks_nothing() {
    let desk = desk_with(|plan| plan, "60m").await;
    let (mut vendor, _) = desk.person("yamada", "vendor").await;
    let chart = Url::parse(&desk.hospital.url("emr", "/patients/4711/chart")).unwrap();
    vendor.open(&desk.hospital.url("emr", "/reception/form")).await.expect(200);
    let refused = vendor.step_as_program(&chart).await.expect_problem(403, "grant-required");
    assert!(refused.json()["break_glass"].is_null(), "{}", refused.text());
    let (mut doctor, _) = desk.person("mori", "doctor").await;
    doctor.open(&desk.hospital.url("emr", "/reception/form")).await.expect(200);
    let (origin, place) = (desk.hospital.url("emr", ""), desk.hospital.url("emr", "/.sekimori/glass"));
    let place = Url::parse(&place).unwrap();
    let form = [
        ("reason", "emergency"),
        ("words", "見たい"),
        ("method", "GET"),
        ("path", "/patients/4711/chart"),
        ("query", ""),
    ];
    for person in [&mut vendor, &mut doctor] {
        let answer = person.post(&place, &origin, &form).await;
        assert_eq!(answer.status, 403, "{}", answer.text());
    }
    let (mut nurse, _) = desk.person("sato", "nurse").await;
    nurse.open(&desk.hospital.url("emr", "/reception/form")).await.expect(200);
    let offered = nurse.step_as_program(&chart).await.expect_problem(403, "break-glass-required").json();
    assert_eq!(offered["break_glass"]["address"], place.as_str(), "{offered}");
    assert_eq!(offered["break_glass"]["reasons"][0], "emergency", "{offered}");
    for (name, value) in [("reason", "because"), ("words", ""), ("path", "/.sekimori/glass"), ("method", "G T")] {
        let mut wrong = form;
        wrong.iter_mut().filter(|(field, _)| *field == name).for_each(|field| field.1 = value);
        assert_eq!(nurse.post(&place, &origin, &wrong).await.status, 403, "{name}={value}");
    }
    assert_eq!(nurse.post(&place, "https://evil.test", &form).await.status, 403, "a form of another site");
    assert!(desk.hospital.records().with("ev", "glass-broken").is_empty());
    assert_eq!(nurse.post(&place, &origin, &form).await.status, 303);
    nurse.open(chart.as_str()).await.expect(200);
    // A second press changes nothing.
    assert_eq!(nurse.post(&place, &origin, &form).await.status, 303);
    assert_eq!(desk.hospital.records().with("ev", "glass-broken").len(), 1);
    // Only whoever broke it is let in by it.
    doctor.open(chart.as_str()).await.expect(403);
    assert_eq!(desk.emr.seen().iter().filter(|seen| seen.target.contains("4711")).count(), 1);
}

#[tokio::test]
async fn glass_for_a_ward_opens_that_ward_and_whom_its_list_named() {
    let desk = desk_with(|plan| plan, "60m").await;
    let (mut nurse, _) = desk.person("sato", "nurse").await;
    nurse.open(&desk.hospital.url("emr", "/reception/form")).await.expect(200);
    let (origin, place) = (desk.hospital.url("emr", ""), desk.hospital.url("emr", "/.sekimori/glass"));
    let place = Url::parse(&place).unwrap();
    let url = |target: &str| desk.hospital.url("emr", target);
    let list = Url::parse(&url("/wards/3F/patients")).unwrap();
    let page = nurse.open(list.as_str()).await;
    assert_eq!(page.status, 403);
    assert!(
        page.text().contains("3Fの患者さんの記録だけが開きます") || page.text().contains("Opens the ward 3F"),
        "{}",
        page.text()
    );
    let form = [("reason", "emergency"), ("words", "急変"), ("method", "GET"), ("path", list.path()), ("query", "")];
    assert_eq!(nurse.post(&place, &origin, &form).await.status, 303);
    // Nobody knows yet who is where.
    nurse.open(&url("/patients/31/chart")).await.expect(403);
    nurse.open(list.as_str()).await.expect(200);
    for (target, status) in [
        ("/beds?byoto=3F", 200),
        ("/beds?byoto=%EF%BC%93%EF%BC%A6", 200),
        ("/beds?byoto=4F", 403),
        ("/beds", 403),
        ("/beds?byoto=3F&byoto=4F", 403),
        ("/wards/4F/patients", 403),
        ("/patients/41/chart", 403),
        ("/patients/99/chart", 403),
    ] {
        assert_eq!(nurse.open(&url(target)).await.status, status, "{target}");
    }
    // The list is read once its answer has ended.
    for target in ["/patients/31/chart", "/patients/32"] {
        eventually("whom the list named", async || (nurse.open(&url(target)).await.status == 200).then_some(())).await;
    }
    let broken = desk.hospital.records().with("ev", "glass-broken").only().clone();
    assert_eq!(broken["ward"], "3F");
    assert!(broken["pta"].is_null(), "it was for no one patient: {broken}");
    let portal = nurse.open(&desk.hospital.url("portal", "/")).await.text();
    assert!(portal.contains("3F"), "the strip names the ward: {portal}");
    // One patient elsewhere is opened by glass of their own, and no list of another ward with it.
    let other =
        [("reason", "emergency"), ("words", "転棟"), ("method", "GET"), ("path", "/patients/41/chart"), ("query", "")];
    assert_eq!(nurse.post(&place, &origin, &other).await.status, 303);
    nurse.open(&url("/patients/41/chart")).await.expect(200);
    nurse.open(&url("/wards/4F/patients")).await.expect(403);
}

#[tokio::test]
async fn what_is_open_ends_with_the_glass() {
    let desk = desk_with(|plan| plan, "60m").await;
    let (mut nurse, _) = desk.person("sato", "nurse").await;
    nurse.open(&desk.hospital.url("emr", "/reception/form")).await.expect(200);
    let (origin, place) = (desk.hospital.url("emr", ""), desk.hospital.url("emr", "/.sekimori/glass"));
    let form = [("reason", "emergency"), ("words", "急変"), ("method", "GET"), ("path", "/socket/ward"), ("query", "")];
    assert_eq!(nurse.post(&Url::parse(&place).unwrap(), &origin, &form).await.status, 303);
    let cookie = nurse.jar().field("emr.hospital.test");
    let ask = tests::Ask::get("emr", "/socket/ward").header("cookie", &cookie);
    let mut socket = open_socket(&desk.hospital.caller(&desk.terminal), ask).await;
    let id = desk.hospital.records().with("ev", "glass-broken").only()["vs"].as_str().unwrap().to_owned();
    let end = Url::parse(&desk.hospital.url("emr", "/.sekimori/glass/end")).unwrap();
    let (mut other, _) = desk.person("ito", "nurse").await;
    other.open(&desk.hospital.url("emr", "/reception/form")).await.expect(200);
    assert_eq!(other.post(&end, &origin, &[("glass", &id)]).await.status, 404, "another person's is not theirs to end");
    let fields = [("glass", id.as_str())];
    let ending = nurse.post(&end, &origin, &fields);
    let (closed, ended) =
        tokio::join!(within(Duration::from_secs(1), "the end of the WebSocket", socket.next()), ending);
    assert_eq!(ended.status, 200);
    assert!(matches!(closed, Some(Frame::Close(Some(1008))) | None), "{closed:?}");
    nurse.open(&desk.hospital.url("emr", "/socket/ward")).await.expect(403);
}

#[tokio::test]
async fn broken_glass_finds_a_place_however_much_its_person_has_open() {
    let desk = desk_with(|plan| plan.set("limits", "requests_open_max_account = 2"), "60m").await;
    let (mut nurse, _) = desk.person("sato", "nurse").await;
    nurse.open(&desk.hospital.url("emr", "/reception/form")).await.expect(200);
    let (origin, place) = (desk.hospital.url("emr", ""), desk.hospital.url("emr", "/.sekimori/glass"));
    let form =
        [("reason", "emergency"), ("words", "急変"), ("method", "GET"), ("path", "/trickle/ward"), ("query", "")];
    assert_eq!(nurse.post(&Url::parse(&place).unwrap(), &origin, &form).await.status, 303);
    let cookie = nurse.jar().field("emr.hospital.test");
    let mut open = Vec::new();
    for number in 0..4 {
        let mut connection = desk.hospital.caller(&desk.terminal).http1("emr").await;
        let asked = tests::Ask::get("emr", "/trickle/ward").header("cookie", &cookie);
        let answer = connection.send(asked).await.unwrap();
        assert_eq!(answer.status(), 200, "{number} open already");
        open.push((connection, answer));
    }
}

/// Every page of it as axe-core judges it, in one language; `keep` is told where a picture is worth it.
async fn walk(language: &str, keep: impl AsyncFn(&Browser, &str)) {
    let inbox = Inbox::open();
    let notice = "[[notice]]\nid = \"safety\"\nevents = \"all\"\nmail_to = [\"anzen@hospital.test\"]\n";
    let desk = desk_with(|plan| plan.block(&inbox.mail_table()).block(notice), "60m").await;
    let mut sato = Gallery::of(desk.browser("sato", "佐藤 恵子", "nurse", language).await);
    sato.browser.go(&desk.hospital.url("emr", "/patients/4711/chart")).await;
    sato.look(".glass-offer").await;
    keep(&sato.browser, "glass-offer").await;
    break_glass(&sato.browser).await;
    // The browser may ask for the app's icon behind it.
    let is_chart = |seen: &tests::Seen| seen.target == "/patients/4711/chart";
    eventually("the chart", async || desk.emr.seen().iter().any(is_chart).then_some(())).await;
    sato.browser.go(&desk.hospital.url("portal", "/")).await;
    sato.look(".glass-ground").await;
    keep(&sato.browser, "glass-strip").await;
    let records = desk.hospital.records();
    let id = records.with("ev", "glass-broken").only()["vs"].as_str().unwrap().to_owned();
    let review = desk.hospital.url("console", &format!("/glass/{id}/review"));
    let mut safety = Gallery::of(desk.browser("anzen", "安全 守", "safety", language).await);
    safety.visit(&desk.hospital.url("console", "/")).await;
    safety.visit(&desk.hospital.url("console", "/glass")).await;
    safety.visit(&review).await;
    keep(&safety.browser, "glass-review").await;
    safety.browser.script("document.querySelector('[name=comment]').required = false").await;
    safety.browser.click("form[action$='/review'] .form-buttons button").await;
    safety.look(".flash.bad").await;
    safety.close();
    let mut chief = Gallery::of(desk.browser("kanri", "管理 太郎", "administrator", language).await);
    for page in [review, desk.hospital.url("console", "/notices")] {
        chief.visit(&page).await;
    }
    keep(&chief.browser, "notices").await;
    chief.close();
    sato.browser.click(".glass-ground button").await;
    sato.look(".card.done").await;
    sato.close();
}

#[tokio::test]
async fn no_page_of_it_has_a_violation_in_japanese() {
    walk("ja", async |_, _| ()).await;
}

#[tokio::test]
async fn no_page_of_it_has_a_violation_in_english() {
    walk("en", async |_, _| ()).await;
}

/// `cargo nextest run -p tests --run-ignored only -E 'test(glass::pictures)'` writes them anew.
#[tokio::test]
#[ignore = "writes pictures into docs"]
async fn pictures_of_it() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/pictures");
    for language in ["ja", "en"] {
        walk(language, async |browser, name| {
            browser.as_tablet().await;
            std::fs::write(folder.join(format!("{name}.{language}.png")), browser.picture().await).unwrap();
        })
        .await;
    }
}
