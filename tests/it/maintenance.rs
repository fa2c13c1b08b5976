//! The vendor's hour: asked for, approved, open to the second, ended, reported and confirmed, by two people at two
//! browsers; and everything that ends it before its time.

use std::time::{Duration, Instant};

use policy::{AppId, GrantId, ProviderId, RoleId, Timestamp, UtcOffset};
use rustix::process::Signal;
use store::{AskTerms, GrantReach, NewMaintenance, PersonChange, Ruler, Sqlite, Store};
use tests::{Ask, Browser, Device, Hospital, Manner, Person, Plan, Upstream, eventually, now};
use url::Url;

use crate::revocation::{end_of, socket};
use crate::ward::Ward;

/// What is promised, and what a busy test machine may add to it.
const IN_TIME: Duration = Duration::from_millis(1_000 + 500);

/// What the page of a refusal says without a window.
const REFUSED: &str = "承認が必要です";

/// Whose the vendors are, and who lets them in.
pub const OFFICE: &str = r#"
[roles]
administrator = { ja = "管理者", en = "Administrator" }
approver = { ja = "承認者", en = "Approver" }
vendor = { ja = "保守業者", en = "Vendor" }

[maintenance]
vendor_roles = ["vendor"]
approvers = ["approver"]
emergency_approvers = ["approver"]
"#;

const RULE: &str = r#"
[[rule]]
id = "vendors"
effect = "permit"
roles = ["vendor"]
apps = ["emr"]
actions = ["read", "connect"]
devices = ["vendor"]
grant = true
"#;

fn office() -> String {
    format!("{OFFICE}{RULE}")
}

/// A moment of the future, to the second, as a form takes it.
pub fn in_seconds(seconds: u64) -> (Timestamp, String) {
    let at = now().after(Duration::from_secs(seconds));
    let at = Timestamp::from_unix_micros(at.unix_micros() / 1_000_000 * 1_000_000);
    (at, at.rfc3339(UtcOffset::JAPAN).chars().take(19).collect())
}

pub async fn until(at: Timestamp) {
    let left = u64::try_from(at.unix_micros() - now().unix_micros()).unwrap_or(0);
    tokio::time::sleep(Duration::from_micros(left)).await;
}

/// A browser on a device, in which a new person of this role has enrolled a key, and so is in.
pub async fn enters(
    hospital: &Hospital,
    device: &Device,
    login: &str,
    name: &str,
    role: &str,
    language: &str,
) -> Browser {
    let code = hospital.add_person(login, name, role);
    let browser = Browser::open_on(hospital, language, device).await;
    browser.as_tablet().await;
    browser.plug_in_key().await;
    browser.go(&format!("{}#{code}", hospital.url("login", "/enrol"))).await;
    browser.click("[data-do]").await;
    browser.arrives_at(&hospital.url("portal", "/")).await;
    browser
}

/// A hospital with a console, whose vendors come into its one app under a grant; not open yet.
pub fn hour_house() -> (Hospital, Upstream) {
    let emr = Upstream::http1();
    let plan = Plan::with_emr(emr.address())
        .rules(&office())
        .with_directory()
        .set("gateway", "console_host = \"console.hospital.test\"")
        .set("console", "administrators = [\"administrator\"]");
    (Hospital::build(plan), emr)
}

/// Types into a field what no keyboard can, such as a moment to the second.
pub async fn sets(browser: &Browser, name: &str, value: &str) {
    let script = format!(
        "const field = document.querySelector('[name={name}]'); field.form.noValidate = true; field.step = 1;\
         field.value = '{value}';"
    );
    browser.script(&script).await;
}

#[tokio::test]
async fn the_whole_loop_by_two_browsers_over_an_app_with_a_websocket() {
    let (mut hospital, _emr) = hour_house();
    let (desk, laptop) =
        (Device::add(&hospital, "desk-1", "fixed").await, Device::add(&hospital, "nova-1", "vendor").await);
    hospital.start();
    let vendor = enters(&hospital, &laptop, "m.hoshi", "星 誠", "vendor", "ja").await;
    let chief = enters(&hospital, &desk, "s.kato", "加藤 進", "approver", "ja").await;

    // Before it nothing.
    vendor.go(&hospital.url("emr", "/patients/1")).await;
    vendor.says(REFUSED).await;
    vendor.go(&hospital.url("portal", "/")).await;
    vendor.click("a[href='/maintenance']").await;
    vendor.click("a[href='/new-maintenance']").await;
    vendor.fill("[name=purpose]", "画像が出ない").await;
    vendor.fill("[name=plan]", "1. 記録を見る").await;
    let ((begin, begin_text), (end, end_text)) = (in_seconds(15), in_seconds(30));
    sets(&vendor, "begin", &begin_text).await;
    sets(&vendor, "end", &end_text).await;
    vendor.click("form.fields .form-buttons button").await;
    vendor.arrives_at(&hospital.url("portal", "/maintenance/requests/g-")).await;
    let own = vendor.url().await.split('?').next().unwrap().to_owned();
    let id = own.rsplit('/').next().unwrap().to_owned();

    chief.narrow_to(360).await;
    chief.go(&hospital.url("console", "/maintenance")).await;
    chief.click(&format!("a[href='/maintenance/{id}']")).await;
    chief.click(&format!("a[href='/maintenance/{id}/approve']")).await;
    chief.click("form[action$='/approve'] .form-buttons button").await;
    chief.arrives_at(&hospital.url("console", &format!("/maintenance/{id}?done="))).await;

    // In it all, from its first second on.
    let page = hospital.url("emr", "/patients/1");
    until(begin).await;
    eventually("the page is open", async || {
        vendor.go(&page).await;
        (!vendor.text().await.contains(REFUSED)).then_some(())
    })
    .await;
    assert!(now() < end, "the window is long enough for a slow machine");
    let open = "window.closed_at = 0; window.socket = new WebSocket('wss://' + location.host + '/socket/ward');\
                window.socket.onclose = (event) => { window.closed_at = Date.now(); window.code = event.code; };\
                return true";
    vendor.script(open).await;
    eventually("the WebSocket is open", async || {
        let state = vendor.script("return window.socket.readyState").await;
        (state == 1).then_some(())
    })
    .await;
    eventually("the console sees it", async || {
        chief.go(&hospital.url("console", &format!("/maintenance/{id}"))).await;
        (chief.text().await.contains("nova-1")).then_some(())
    })
    .await;

    // After it every open thing ended within one second.
    until(end).await;
    let closed = eventually("the end of the WebSocket", async || {
        vendor.script("return window.closed_at").await.as_i64().filter(|at| *at > 0)
    })
    .await;
    let late = closed - end.unix_micros() / 1_000;
    assert!((0..=i64::try_from(IN_TIME.as_millis()).unwrap()).contains(&late), "{late} ms after the end");
    vendor.go(&page).await;
    vendor.says(REFUSED).await;

    vendor.go(&own).await;
    vendor.fill("form[action$='/report'] textarea", "設定を直しました").await;
    vendor.click("form[action$='/report'] .form-buttons button").await;
    vendor.arrives_at(&format!("{own}?done=reported")).await;
    chief.go(&hospital.url("console", &format!("/maintenance/{id}"))).await;
    chief.says("設定を直しました").await;
    chief.click("form[action$='/confirm'] .form-buttons button").await;
    chief.arrives_at(&hospital.url("console", &format!("/maintenance/{id}?done="))).await;
    chief.go(&hospital.url("console", &format!("/maintenance/{id}/report"))).await;
    for words in ["リモート保守 作業報告書", "設定を直しました", "emr.hospital.test", "報告の確認"]
    {
        chief.says(words).await;
    }
    let events = ["grant-requested", "grant-approved", "grant-reported", "grant-confirmed"];
    // What the store changed is told to the log a moment after the page is there.
    let records = eventually("each step is on record", async || {
        let records = hospital.records();
        events.iter().all(|event| !records.with("ev", event).is_empty()).then_some(records)
    })
    .await;
    for event in events {
        assert_eq!(records.with("ev", event).len(), 1, "{event}");
    }
    let opened = records.opened("/socket/ward").only().clone();
    assert_eq!(opened["vs"], id.as_str(), "{opened}");
}

/// A ward whose doctor comes for a vendor, with a window that an approver gave.
struct Window {
    ward: Ward,
    id: GrantId,
    approver: Person,
}

fn rules(more: &str) -> String {
    office()
        .replace("vendor_roles = [\"vendor\"]", "vendor_roles = [\"doctor\"]")
        .replace("roles = [\"vendor\"]", "roles = [\"doctor\"]")
        .replace("devices = [\"vendor\"]", "devices = \"known\"")
        .replace("vendor = {", "doctor = {")
        + more
}

async fn store(hospital: &Hospital) -> Sqlite {
    Sqlite::open(hospital.folder().join("state/store.sqlite")).unwrap()
}

impl Window {
    async fn open() -> Self {
        let emr = Upstream::http1();
        let plan = Plan::with_emr(emr.address())
            .rules(&rules(""))
            .with_directory()
            .set("gateway", "console_host = \"console.hospital.test\"")
            .set("console", "administrators = [\"administrator\"]");
        let ward = Ward::around(emr, plan).await;
        let (key, code) = (ward.hospital.key(), ward.hospital.add_person("s.kato", "加藤 進", "approver"));
        let mut approver = Person::by_key(&ward.caller, &key);
        approver.enrol(&code, &key, &Manner::default()).await.expect(200);
        let id = GrantId::parse("g-0a1b2c3d").unwrap();
        let store = store(&ward.hospital).await;
        let doctor = store.person_by_login(&ProviderId::parse("test").unwrap(), "doctor").await.unwrap().unwrap();
        let kato = store.person_by_login(&ProviderId::parse("local").unwrap(), "s.kato").await.unwrap().unwrap();
        let at = now();
        let new = NewMaintenance {
            id: id.clone(),
            person: doctor.id.clone(),
            app: AppId::parse("emr").unwrap(),
            begin: at,
            end: at.after(Duration::from_secs(600)),
            asked_at: at,
            asked_by: doctor.id.to_string(),
            purpose: "点検".to_owned(),
            ticket: String::new(),
            plan: "見る".to_owned(),
            file: None,
            reach: GrantReach::default(),
            is_urgent: false,
        };
        let terms = AskTerms {
            vendor_roles: vec![RoleId::parse("doctor").unwrap()],
            approvals_needed: 1,
            length_max: Duration::from_secs(3_600),
            ahead_max: Duration::from_secs(3_600),
            report_within: Duration::from_secs(3_600),
            blocks_when_overdue: true,
        };
        store.ask_grant(new, terms).await.unwrap().unwrap();
        let by = Ruler { actor: kato.id.to_string(), roles: vec![RoleId::parse("approver").unwrap()] };
        store.approve_grant(&id, by, String::new(), now()).await.unwrap().unwrap();
        let is_open = async || (ward.caller.ask(ward.get("/a")).await.status == 200).then_some(());
        eventually("the window is in force", is_open).await;
        Self { ward, id, approver }
    }

    /// Something ends what is open within one second, and nothing opens any more.
    async fn ends(mut self, what: &str, end: impl AsyncFnOnce(&mut Self)) {
        let open = socket(&self.ward).await;
        let begin = Instant::now();
        end(&mut self).await;
        let done = Instant::now();
        assert_eq!(end_of(open).await, Some(1008), "{what}");
        let took = done.elapsed();
        assert!(took <= IN_TIME, "{what}: {took:?} after it was done, {:?} after it began", begin.elapsed());
        let refused = self.ward.caller.ask(self.ward.get("/a").header("accept", "application/json")).await;
        assert!(matches!(refused.status, 401 | 403), "{what}: {}", refused.status);
    }
}

#[tokio::test]
async fn one_tap_in_the_console_ends_it() {
    let window = Window::open().await;
    let end = async |window: &mut Window| {
        let url = window.ward.hospital.url("console", &format!("/maintenance/{}/end", window.id));
        let origin = window.ward.hospital.url("console", "");
        // In at the console first: its session is another host's.
        window.approver.open(&window.ward.hospital.url("console", "/maintenance")).await.expect(200);
        window.approver.post(&Url::parse(&url).unwrap(), &origin, &[]).await.expect(303);
    };
    window.ends("one tap", end).await;
}

#[tokio::test]
async fn another_policy_ends_it() {
    let window = Window::open().await;
    let end = async |window: &mut Window| {
        let forbid = "\n[[rule]]\nid = \"closed\"\neffect = \"forbid\"\nroles = [\"doctor\"]\napps = \"all\"\n\
                      actions = \"all\"\ndevices = \"any\"\n";
        let plan = window.ward.hospital.plan().clone().rules(&rules(forbid));
        window.ward.hospital.folder().write("sekimori.toml", plan.text());
        window.ward.hospital.signal(Signal::HUP);
    };
    window.ends("another policy", end).await;
}

#[tokio::test]
async fn a_revoked_device_ends_it() {
    let window = Window::open().await;
    let end = async |window: &mut Window| {
        let _ = window.ward.hospital.run(&["device", "revoke", "ward-pc-1"]).ok();
    };
    let open = socket(&window.ward).await;
    let mut window = window;
    end(&mut window).await;
    let done = Instant::now();
    end_of(open).await;
    assert!(done.elapsed() <= IN_TIME, "{:?}", done.elapsed());
}

#[tokio::test]
async fn an_approver_who_loses_the_role_gives_nothing_any_more() {
    let window = Window::open().await;
    let end = async |window: &mut Window| {
        let store = store(&window.ward.hospital).await;
        let kato = store.person_by_login(&ProviderId::parse("local").unwrap(), "s.kato").await.unwrap().unwrap();
        let change = PersonChange { roles: Some(Vec::new()), ..PersonChange::default() };
        assert!(store.change_person(&kato.id, change, now(), "cli:test".to_owned()).await.unwrap());
    };
    window.ends("a role taken from the approver", end).await;
}

#[tokio::test]
async fn a_request_with_a_large_file_is_taken_and_a_larger_one_is_not() {
    let window = Window::open().await;
    let (hospital, caller) = (&window.ward.hospital, &window.ward.caller);
    let portal = tests::Session::open(hospital, "doctor", Some(&window.ward.terminal), &["portal"]).await;
    let ask = |bytes: usize| {
        let mut body = Vec::new();
        for (name, value) in [
            ("app", "emr"),
            ("purpose", "x"),
            ("plan", "x"),
            ("begin", "2030-01-01T10:00"),
            ("end", "2030-01-01T11:00"),
        ] {
            let piece = format!("--b1\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n");
            body.extend_from_slice(piece.as_bytes());
        }
        body.extend_from_slice(b"--b1\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n");
        body.extend(std::iter::repeat_n(0xff, bytes));
        body.extend_from_slice(b"\r\n--b1--\r\n");
        Ask::post("portal", "/new-maintenance", body)
            .signed_in(&portal)
            .header("content-type", "multipart/form-data; boundary=b1")
            .header("origin", &hospital.url("portal", ""))
            .header("accept", "text/html")
            .header("sec-fetch-mode", "navigate")
    };
    // It is read whole, and refused for its date alone.
    let read = caller.ask(ask(store::PLAN_FILE_BYTES_MAX)).await.expect(422).text();
    assert!(read.contains("先すぎる日時です") || read.contains("too far ahead"), "{read}");
    caller.ask(ask(store::PLAN_FILE_BYTES_MAX + 1024 * 1024)).await.expect(413);
}
