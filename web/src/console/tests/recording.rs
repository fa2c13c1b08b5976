//! Recordings of terminals: who may see one, that each look is recorded, and that what a target sent does no harm.

use std::time::Duration;

use audit::{Tape, TapeHeader};
use http::StatusCode;
use policy::{Access, Action, AppId, Grant, Host, Judge, Method, Path, RequestId, Verdict};
use serde_json::Value;

use super::office::{Office, Seat, seat};
use crate::session_token;
use crate::testing::{EMR, PORTAL, text};

/// What attacks whoever watches: the clipboard, a title, a link, the whole screen, what is no text, markup.
const HARM: &[u8] = b"\x1b]52;c;cm0gLXJm\x07\x1b]0;owned\x07\x1b]8;;https://evil.example/\x1b\\click\x1b]8;;\x1b\\\
    \x1b[?1049h\x1b[?1049l\xff\xfe<script>alert(1)</script>\x1b]2;\x9c\x1b[999999C";

impl Office {
    /// The vendor's access to a terminal, under the window.
    async fn connect(&self, number: u128) -> Access {
        let at = self.hospital.now();
        let seat = &self.vendor;
        let headers = seat.browser.headers(PORTAL);
        let (token, host) = (session_token(&headers).unwrap(), Host::parse(PORTAL).unwrap());
        let session = self.hospital.sessions.find(token, &host, seat.browser.device.as_deref(), at).await.unwrap();
        Access {
            request: RequestId::new(at, number),
            at,
            app: AppId::parse("pacs").unwrap(),
            action: Action::Connect,
            class: None,
            method: Method::parse("GET").unwrap(),
            host: Host::parse(EMR).unwrap(),
            path: Path::parse("/").unwrap(),
            who: session.map(|session| session.who.clone()),
            device: seat.browser.device.clone(),
            from: crate::testing::from(),
            grant: Some(Grant::named(self.grant.clone())),
        }
    }

    async fn begin(&self, access: &Access) -> Tape {
        let header = TapeHeader { columns: 80, rows: 24, title: "PACS".to_owned(), patients: None };
        self.hospital.log.tapes().begin(access, header).await.unwrap()
    }

    /// The access itself, open as long as this is held.
    async fn open_connect(&self, access: Access) -> audit::Receipt {
        let policy = self.hospital.site.parts.policy.clone();
        let Verdict::Allow(authorized) = Judge::new(policy).judge(access, ()) else { panic!("a window is in force") };
        let recorder = self.hospital.log.recorder();
        recorder.admit(authorized, config::OnLogFailure::Refuse).await.unwrap().open().1
    }

    /// A terminal that was recorded and is over; its place in the console.
    async fn recorded(&self, number: u128) -> String {
        let access = self.connect(number).await;
        let tape = self.begin(&access).await;
        tape.output(b"$ ");
        tape.input_seen(b"id <b>\r");
        tape.output(b"id <b>\r\nuid=0\r\n");
        tape.output(HARM);
        tape.close();
        self.told_of("recording-ended", &access.request).await;
        format!("/recordings/{}", access.request)
    }

    /// Waits until log and index have it.
    async fn told_of(&self, event: &str, request: &RequestId) {
        let id = request.to_string();
        while !self.hospital.lines().lines().any(|line| line.contains(event) && line.contains(&id)) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.hospital.settle().await;
    }

    /// The approver says yes to the window.
    async fn approve(&self) {
        let place = format!("/maintenance/{}/approve", self.grant);
        let done = self.approver.post(self, &place, "words=").await;
        assert_eq!(done.status(), StatusCode::SEE_OTHER, "{}", text(&done));
    }

    fn viewings(&self) -> Vec<Value> {
        let lines = self.hospital.lines();
        lines
            .lines()
            .filter(|line| line.contains("recording-viewed"))
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

#[tokio::test]
async fn a_recording_is_for_who_needs_to_know_and_each_look_at_it_is_recorded() {
    let office = Office::open().await;
    let place = office.recorded(1).await;
    let every = [&office.administrator, &office.auditor, &office.help_desk, &office.approver, &office.nurse];
    for ending in ["", "/frames", "/cast", "/proof"] {
        for seat in every {
            let refused = seat.get(&office, &format!("{place}{ending}")).await;
            assert_eq!(refused.status(), StatusCode::FORBIDDEN, "{} {ending}", seat.person.login);
            assert!(!text(&refused).contains("uid=0"));
        }
    }
    assert_eq!(office.viewings(), Vec::<Value>::new());
    // Who approved the window needs to know; another approver does not.
    office.approve().await;
    let other = seat(&office.hospital, "o.doi", "土井 央", "approver").await;
    assert_eq!(other.get(&office, &place).await.status(), StatusCode::FORBIDDEN);
    let page = office.approver.get(&office, &place).await;
    assert_eq!(page.status(), StatusCode::OK, "{}", text(&page));
    assert!(text(&page).contains("id &#60;b&#62;") && text(&page).contains("data-player=\""), "{}", text(&page));
    let fence = page.headers()["content-security-policy"].to_str().unwrap();
    assert!(fence.contains("script-src 'self'") && !fence.contains("unsafe"), "{fence}");
    let cast = office.approver.get(&office, &format!("{place}/cast")).await;
    assert!(text(&cast).starts_with("{\"version\":2,") && text(&cast).contains("uid=0"));
    assert!(cast.headers()["content-disposition"].to_str().unwrap().starts_with("attachment; "));
    let proof = office.approver.get(&office, &format!("{place}/proof")).await;
    assert_eq!(proof.status(), StatusCode::OK, "{}", text(&proof));
    let ended = office.hospital.lines().lines().find(|line| line.contains("recording-ended")).unwrap().to_owned();
    assert!(text(&proof).contains(&ended), "{}", text(&proof));
    let viewings = office.viewings();
    let told: Vec<_> = viewings.iter().map(|line| (line["login"].as_str(), line["why"].as_str())).collect();
    assert_eq!(told, [(Some("s.kato"), Some("play")), (Some("s.kato"), Some("download"))]);
    assert_eq!(viewings[0]["vs"], office.grant.as_str());
    // It is listed under its window, with a link for whom it is.
    let window = format!("/maintenance/{}", office.grant);
    assert!(text(&office.approver.get(&office, &window).await).contains(&format!("href=\"{place}\"")));
    let page = text(&office.auditor.get(&office, &window).await);
    assert!(page.contains("id=\"recordings\"") && !page.contains(&place));
}

#[tokio::test]
async fn a_role_that_the_hospital_names_sees_every_recording() {
    let office = Office::open().await;
    let place = office.recorded(1).await;
    let replayer = seat(&office.hospital, "t.abe", "阿部 達", "replayer").await;
    for place in ["/", "/maintenance", &format!("/maintenance/{}", office.grant), &place, &format!("{place}/cast")] {
        assert_eq!(replayer.get(&office, place).await.status(), StatusCode::OK, "{place}");
    }
    for place in ["/people", "/log", "/devices", "/policy"] {
        assert_eq!(replayer.get(&office, place).await.status(), StatusCode::FORBIDDEN, "{place}");
    }
}

/// The pictures of a recording, from a moment on.
async fn frames(office: &Office, seat: &Seat, place: &str) -> Value {
    let answer = seat.get(office, place).await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", text(&answer));
    serde_json::from_str(&text(&answer)).unwrap()
}

#[tokio::test]
async fn what_a_target_sent_comes_as_letters_and_colours_and_nothing_else() {
    let office = Office::open().await;
    office.approve().await;
    let place = office.recorded(1).await;
    let given = frames(&office, &office.approver, &format!("{place}/frames?from=0")).await;
    let all = given.to_string();
    for harm in ["\\u001b", "evil.example", "owned", "cm0gLXJm"] {
        assert!(!all.contains(harm), "{harm}: {all}");
    }
    assert!(all.contains("<script>") && all.contains("click"), "as text: {all}");
    assert_eq!((&given["all"], &given["over"]), (&true.into(), &true.into()));
    assert_eq!(given["frames"][0]["size"], serde_json::json!([80, 24]));
    for bad in ["?from=x", "?from=99999999999999999999999", "?from=-1&on=1", "?from=18446744073709551615"] {
        let given = frames(&office, &office.approver, &format!("{place}/frames{bad}")).await;
        assert!(given["frames"].is_array());
    }
    // Pictures without the page are a look too, and one that goes on is one.
    let viewings = office.viewings();
    let told: Vec<_> = viewings.iter().map(|line| line["why"].as_str()).collect();
    assert_eq!(told, [Some("play")]);
}

#[tokio::test]
async fn a_recording_that_broke_off_is_compared_with_what_the_log_knows_of_it() {
    let office = Office::open().await;
    office.approve().await;
    let access = office.connect(1).await;
    // Nothing is open, and nothing in the log says that it ended.
    let tape = office.begin(&access).await;
    office.told_of("recording-began", &access.request).await;
    let place = format!("/recordings/{}", access.request);
    let says = |page: &str, key: &str| page.contains(&office.hospital.site.voice(crate::Language::Japanese).say(key));
    let page = text(&office.approver.get(&office, &place).await);
    assert!(says(&page, "recording-state-broken-off") && !says(&page, "recording-not-proved"), "{page}");
    let other = seat(&office.hospital, "o.doi", "土井 央", "approver").await;
    assert_eq!(other.get(&office, &place).await.status(), StatusCode::FORBIDDEN);
    let directory = &office.hospital.site.parts.config.audit.directory;
    let path = directory.join("recordings").join(format!("{}.tape", access.request));
    let good = std::fs::read(&path).unwrap();
    std::fs::write(&path, &good[..good.len() - 1]).unwrap();
    let page = text(&office.approver.get(&office, &place).await);
    assert!(says(&page, "recording-not-proved"), "{page}");
    drop(tape);
}

#[tokio::test]
async fn who_watches_sees_what_is_written_within_a_second() {
    let office = Office::open().await;
    office.approve().await;
    let access = office.connect(1).await;
    // The access itself is open as long as the terminal is.
    let open = (office.open_connect(access.clone()).await, office.hospital.site.parts.open_now.enter(&access));
    let tape = office.begin(&access).await;
    office.told_of("recording-began", &access.request).await;
    let place = format!("/recordings/{}", access.request);
    let page = text(&office.approver.get(&office, &place).await);
    assert!(page.contains("data-live=\"\""), "{page}");
    let first = frames(&office, &office.approver, &format!("{place}/frames?from=0")).await;
    assert_eq!(first["over"], false);
    let began = std::time::Instant::now();
    tape.output("検査中\r\n".as_bytes());
    let given = frames(&office, &office.approver, &format!("{place}/frames?from={}&on=1", first["next"])).await;
    assert!(given.to_string().contains("検査中"), "{given}");
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    tape.close();
    drop(open);
    let last = frames(&office, &office.approver, &format!("{place}/frames?from={}&on=1", given["next"])).await;
    assert_eq!(last["over"], true);
    let viewed: Vec<Value> = office.viewings();
    assert_eq!(viewed[0]["why"], "watch");
}

#[tokio::test]
async fn a_recording_that_was_changed_says_so() {
    let office = Office::open().await;
    office.approve().await;
    let place = office.recorded(1).await;
    let name = place.rsplit('/').next().unwrap();
    let directory = &office.hospital.site.parts.config.audit.directory;
    let path = directory.join("recordings").join(format!("{name}.tape"));
    let good = std::fs::read(&path).unwrap();
    let says = |page: &str, key: &str| page.contains(&office.hospital.site.voice(crate::Language::Japanese).say(key));
    assert!(says(&text(&office.approver.get(&office, &place).await), "recording-proved"));
    // Its last block, the empty one, is gone: what is left can be read, and is not what was recorded.
    std::fs::write(&path, &good[..good.len() - 8]).unwrap();
    assert!(says(&text(&office.approver.get(&office, &place).await), "recording-not-proved"));
    let mut changed = good.clone();
    *changed.last_mut().unwrap() ^= 1;
    changed[good.len() - 20] ^= 1;
    std::fs::write(&path, &changed).unwrap();
    // Changed bytes can be no compressed text any more, or another one: either way the page says that it is not good.
    let page = text(&office.approver.get(&office, &place).await);
    assert!(says(&page, "recording-damaged") != says(&page, "recording-not-proved"), "{page}");
}
