//! A real browser in front of it all: signing in, reading, being refused, with mouse and keyboard, wide and narrow.

use tests::{Ask, Browser, Hospital, Idp, Manner, Person, Plan, Session, Upstream, eventually};
use url::Url;

/// Clerks see the reception from any device; the browser here has no certificate.
struct Desk {
    hospital: Hospital,
    _idp: Idp,
    emr: Upstream,
    browser: Browser,
}

const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

impl Desk {
    async fn open(language: &str) -> Self {
        let emr = Upstream::http1();
        let anyone = "[[rule]]\nid = \"clerks-write\"\neffect = \"permit\"\nroles = [\"clerk\"]\napps = \"all\"\n\
                      actions = [\"write\"]\npaths = [\"/reception/*\"]\ndevices = \"any\"";
        let plan = Plan::new()
            .app("emr", emr.address(), "portal_path = \"/reception/form\"")
            .app("labs", emr.address(), "")
            .block(anyone);
        let (hospital, idp) = Hospital::open_with_provider(plan);
        let browser = Browser::open(&hospital, language).await;
        Self { hospital, _idp: idp, emr, browser }
    }

    fn reception(&self) -> String {
        self.hospital.url("emr", "/reception/form")
    }

    /// Goes to the reception and signs in on the way.
    async fn sign_in(&self, login: &str) {
        self.browser.go(&self.reception()).await;
        self.at_the_provider(login).await;
        self.browser.arrives_at(&self.reception()).await;
    }

    async fn at_the_provider(&self, login: &str) {
        self.browser.fill("#login", login).await;
        self.browser.click("#continue").await;
    }
}

#[tokio::test]
async fn a_clerk_signs_in_and_reads() {
    let desk = Desk::open("ja").await;
    desk.sign_in("clerk").await;
    assert_eq!(desk.browser.script("return document.title").await, "Reception");
    let record = desk.hospital.records().with("ev", "signed-in").only().clone();
    assert_eq!(record["login"], "clerk");
    assert!(desk.hospital.records().opened("/reception/form").len() == 1);
}

#[tokio::test]
async fn the_apps_page_arrives_as_the_app_sent_it() {
    let desk = Desk::open("ja").await;
    desk.sign_in("clerk").await;
    let elements = desk.browser.script("return document.querySelectorAll('*').length").await;
    let as_sent =
        tests::FORM.matches('<').count() - tests::FORM.matches("</").count() - tests::FORM.matches("<!").count();
    assert_eq!(elements, as_sent, "nothing was added");
    let cookies = desk.browser.script("return document.cookie").await;
    assert!(!cookies.to_string().contains("sekimori"), "no script sees our cookies: {cookies}");
}

#[tokio::test]
async fn a_refusal_is_a_page_one_can_act_on() {
    for (language, word) in [("ja", "端末"), ("en", "device")] {
        let desk = Desk::open(language).await;
        desk.browser.go(&desk.hospital.url("emr", "/patients/1")).await;
        desk.at_the_provider("nurse").await;
        desk.browser.arrives_at(&desk.hospital.url("emr", "/patients/1")).await;
        desk.browser.click("main summary").await;
        let text = desk.browser.text().await;
        assert!(text.to_lowercase().contains(word) && text.contains("nurses-read"), "{text}");
        assert_eq!(desk.browser.script("return document.documentElement.lang").await, language);
        assert_eq!(desk.browser.script("return document.querySelectorAll('main, h1').length").await, 2);
        assert!(desk.emr.seen().is_empty());
    }
}

#[tokio::test]
async fn our_pages_fit_a_phone() {
    let desk = Desk::open("ja").await;
    desk.browser.narrow_to(360).await;
    let fits = async |what: &str| {
        let width = desk.browser.script("return document.documentElement.scrollWidth").await;
        assert!(width.as_u64().unwrap() <= 360, "{what} is {width} wide at {}", desk.browser.url().await);
    };
    desk.browser.go(&desk.hospital.url("login", "/signed-out")).await;
    fits("signed out").await;
    desk.browser.go(&desk.hospital.url("portal", "/")).await;
    desk.at_the_provider("clerk").await;
    desk.browser.arrives_at(&desk.hospital.url("portal", "/")).await;
    fits("the portal").await;
    desk.browser.go(&desk.hospital.url("emr", "/patients/1")).await;
    fits("a refusal").await;
    desk.browser.go(&desk.hospital.url("emr", "/.sekimori/sign-out")).await;
    fits("signing out").await;
    desk.browser.go(&desk.hospital.url("login", "/nothing")).await;
    fits("not found").await;
}

#[tokio::test]
async fn the_keyboard_is_enough() {
    let desk = Desk::open("en").await;
    desk.browser.go(&desk.hospital.url("portal", "/")).await;
    desk.at_the_provider("clerk").await;
    desk.browser.arrives_at(&desk.hospital.url("portal", "/")).await;
    let mut reached = false;
    for _ in 0..20 {
        desk.browser.press(TAB).await;
        let here = desk.browser.script("return document.activeElement.getAttribute('href') || ''").await;
        if here.as_str().unwrap().contains("emr.hospital.test") {
            reached = true;
            break;
        }
    }
    assert!(reached, "the app's link can be reached by Tab");
    let outline = "const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.boxShadow";
    assert_ne!(desk.browser.script(outline).await, "nonenone", "one sees where one is");
    desk.browser.press(ENTER).await;
    desk.browser.arrives_at(&desk.reception()).await;
}

#[tokio::test]
async fn two_tabs_sign_in_one_after_the_other_and_both_arrive() {
    let desk = Desk::open("en").await;
    let (first_url, second_url) = (desk.hospital.url("emr", "/reception/1"), desk.hospital.url("labs", "/reception/2"));
    desk.browser.go(&first_url).await;
    let first = desk.browser.tab().await;
    desk.browser.new_tab().await;
    desk.browser.go(&second_url).await;
    desk.at_the_provider("clerk").await;
    desk.browser.arrives_at(&second_url).await;
    desk.browser.switch_to(&first).await;
    desk.at_the_provider("clerk").await;
    desk.browser.arrives_at(&first_url).await;
}

#[tokio::test]
async fn what_was_typed_survives_the_end_of_the_session() {
    let desk = Desk::open("en").await;
    desk.sign_in("clerk").await;
    desk.browser.fill("#note", "体温 37.5").await;
    let session = desk.hospital.records().with("ev", "signed-in").only()["sid"].as_str().unwrap().to_owned();
    desk.hospital.run(&["session", "revoke", &session]).ok();
    eventually("the session is over", async || {
        (!desk.hospital.records().with("ev", "session-ended").is_empty()).then_some(())
    })
    .await;
    desk.browser.click("#send").await;
    let kept = desk.browser.tab().await;
    assert!(desk.emr.seen().iter().all(|seen| seen.method == "GET"));
    // The page offers to sign in in another tab.
    desk.browser.click("main a[target='_blank']").await;
    let other = desk.browser.tabs().await.into_iter().find(|tab| *tab != kept).unwrap();
    desk.browser.switch_to(&other).await;
    // The provider still knows the clerk, so it does not ask again.
    desk.browser.arrives_at(&desk.hospital.url("emr", "/.sekimori/signed-in")).await;
    desk.browser.switch_to(&kept).await;
    desk.browser.click("main form button").await;
    eventually("the note arrives", async || desk.emr.seen().iter().any(|seen| seen.method == "POST").then_some(()))
        .await;
    let text = desk.browser.text().await;
    assert!(text.contains("%E4%BD%93%E6%B8%A9+37.5"), "{text}");
}

#[tokio::test]
async fn the_language_can_be_switched_and_stays() {
    let desk = Desk::open("ja").await;
    desk.browser.go(&desk.hospital.url("login", "/nothing")).await;
    assert_eq!(desk.browser.script("return document.documentElement.lang").await, "ja");
    desk.browser.click("button[value='en'], button[lang='en']").await;
    desk.browser.find("html[lang='en']").await;
    desk.browser.go(&desk.hospital.url("login", "/nothing")).await;
    assert_eq!(desk.browser.script("return document.documentElement.lang").await, "en");
}

#[tokio::test]
async fn a_person_with_a_session_of_another_sort_is_not_mixed_up() {
    let desk = Desk::open("en").await;
    let nurse = Session::open(&desk.hospital, "nurse", None, &["emr"]).await;
    desk.sign_in("clerk").await;
    let other = desk.hospital.stranger().ask(Ask::get("emr", "/reception/form").signed_in(&nurse)).await;
    other.expect_problem(403, "device-required");
    assert_eq!(desk.hospital.records().opened("/reception/form").only()["login"], "clerk");
}

#[tokio::test]
async fn a_key_that_is_removed_on_ones_own_page_takes_its_sessions_with_it() {
    let emr = Upstream::http1();
    let hospital = Hospital::open(Plan::with_emr(emr.address()).with_directory());
    let reception = hospital.url("emr", "/reception/form");
    let (lost, code) = (hospital.key(), hospital.add_person("yamada", "山田 花子", "clerk"));
    let mut finder = Person::by_key(&hospital.stranger(), &lost);
    finder.enrol(&code, &lost, &Manner::default()).await.expect(200);
    finder.open(&reception).await.expect(200);

    let browser = Browser::open(&hospital, "ja").await;
    browser.plug_in_key().await;
    browser.go(&format!("{}#{}", hospital.url("login", "/enrol"), hospital.invite("yamada"))).await;
    browser.click("[data-do]").await;
    browser.arrives_at(&hospital.url("portal", "/")).await;
    browser.go(&hospital.url("portal", "/me")).await;
    browser.script("document.querySelectorAll('details').forEach((one) => { one.open = true; })").await;
    let form = format!("form[action='/me/key/remove']:has(input[value='{}'])", lost.key_id());
    browser.click(&format!("{form} button")).await;
    browser.arrives_at(&hospital.url("portal", "/me?done=1")).await;
    let left = browser.script("return document.querySelectorAll(\"form[action='/me/key/remove']\").length").await;
    assert_eq!(left, 1, "the other key stays");

    let url = Url::parse(&reception).unwrap();
    eventually("the lost key's session is gone", async || {
        (finder.step_as_program(&url).await.status == 401).then_some(())
    })
    .await;
    Person::by_key(&hospital.stranger(), &lost).open(&reception).await.expect_problem(403, "passkey-refused");
    browser.go(&reception).await;
    assert_eq!(browser.url().await, reception, "who removed it goes on");
    for event in ["key-removed", "session-ended"] {
        eventually(event, async || (hospital.records().with("ev", event).len() == 1).then_some(())).await;
    }
}
