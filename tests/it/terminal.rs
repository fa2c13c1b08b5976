//! One terminal, many people: handed over quickly, locked when nobody is there, and never two people in one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;
use tests::{Ask, Authenticator, Browser, Caller, Device, Hospital, Manner, Person, Plan, Upstream, eventually};
use url::Url;

const SWITCHES: usize = 50;
/// A switch may take a person three seconds; of these the gateway may take what is left beside touching a key.
const SWITCH_MAX: Duration = Duration::from_secs(3);

/// A shared terminal with two people, each with a key.
struct Station {
    hospital: Hospital,
    emr: Upstream,
    terminal: Device,
    caller: Caller,
    people: [(&'static str, &'static str, Authenticator); 2],
}

impl Station {
    async fn open(more: &str) -> Self {
        let emr = Upstream::http1();
        let plan = Plan::new().with_directory().app(
            "emr",
            emr.address(),
            "assertion = true\nidentity_headers = { \"x-user\" = \"login\" }",
        );
        let mut hospital = Hospital::build(plan.block(&format!("[sessions.ward-shared]\n{more}")));
        let terminal = Device::add(&hospital, "ward-pc-1", "ward-shared").await;
        hospital.start();
        let mut people = [("sato", "佐藤 恵子", hospital.key()), ("suzuki", "鈴木 次郎", hospital.key())];
        for (login, name, key) in &mut people {
            let code = hospital.add_person(login, name, "doctor");
            Person::by_key(&hospital.stranger(), key).enrol(&code, key, &Manner::default()).await.expect(200);
        }
        let caller = hospital.caller(&terminal);
        Self { hospital, emr, terminal, caller, people }
    }

    fn chart(&self, login: &str) -> String {
        self.hospital.url("emr", &format!("/chart/{login}"))
    }

    /// Asks for one's chart, touches the key on the way, and is where one wanted to be.
    async fn arrive(&self, browser: &mut Person, login: &str) {
        browser.open(&self.chart(login)).await.expect(200);
        assert_eq!(browser.trail().last().map(Url::as_str), Some(&*self.chart(login)), "{:#?}", browser.trail());
    }

    /// Hands the terminal over, and lets the browser go on to the page that asks who is here.
    async fn hand_over(&self, browser: &mut Person) {
        let switch = Url::parse(&self.hospital.url("emr", "/.sekimori/switch")).unwrap();
        let answer = browser.post(&switch, &self.hospital.url("emr", ""), &[]).await.expect(200);
        let next = answer.header("refresh").split("url=").nth(1).map(str::to_owned);
        assert_eq!(next, Some(self.hospital.url("login", "/switch")), "{}", answer.text());
        let page = browser.step(&Url::parse(&next.unwrap()).unwrap()).await.expect(200);
        assert!(page.header("clear-site-data").contains("\"cookies\""), "{:?}", page.headers);
    }
}

impl Station {
    /// No assertion, no header and no record of all the switching names another than who asked.
    async fn names_nobody_wrongly(&self) {
        let seen: Vec<_> = self.emr.seen().into_iter().filter(|seen| seen.target.starts_with("/chart/")).collect();
        assert!(seen.len() >= SWITCHES, "{}", seen.len());
        for one in &seen {
            let whose = one.target.trim_start_matches("/chart/").split('?').next().unwrap();
            assert_eq!(told(one), whose, "{}", one.target);
        }
        let records = self.hospital.records();
        for (login, _, _) in &self.people {
            let opened = records.opened(&format!("/chart/{login}"));
            assert!(opened.len() >= SWITCHES / 2, "{}", opened.len());
            for record in opened.all() {
                assert_eq!(record["login"], *login, "{record}");
            }
        }
        eventually("every switch is written", async || {
            (self.hospital.records().with("ev", "session-parked").len() >= SWITCHES).then_some(())
        })
        .await;
    }
}

/// Whom an app was told that a request is from: the assertion and the header agree.
fn told(seen: &tests::Seen) -> String {
    let assertion = seen.header("sekimori-assertion").to_owned();
    let claims = assertion.split('.').nth(1).expect("a signed assertion");
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    let user = seen.header("x-user").to_owned();
    assert!(claims.to_string().contains(&format!("\"{user}\"")), "{claims} but x-user: {user}");
    user
}

#[tokio::test]
async fn two_people_take_turns_fifty_times_and_nothing_ever_names_the_wrong_one() {
    let station = Station::open("").await;
    let mut browser = Person::by_key(&station.caller, &station.people[0].2);
    let mut slowest = Duration::ZERO;
    let mut in_flight = Vec::new();
    for turn in 0..SWITCHES {
        let (login, name, key) = &station.people[turn % 2];
        let (other_login, other_name, _) = &station.people[(turn + 1) % 2];
        browser = browser.with_key(key);
        let begin = std::time::Instant::now();
        browser.open(&station.hospital.url("login", "/switch")).await;
        browser.open(&station.chart(login)).await.expect(200);
        slowest = slowest.max(begin.elapsed());
        let page = browser.open(&station.hospital.url("portal", "/")).await.expect(200).text();
        assert!(page.contains(name) && !page.contains(other_name), "turn {turn}: {page}");
        let page = browser.open(&station.hospital.url("portal", "/me")).await.expect(200).text();
        assert!(page.contains(login) && !page.contains(other_login), "turn {turn}: {page}");

        // These are under way, on connections old and new, while the next person takes over.
        let cookie = browser.jar().field("emr.hospital.test");
        for number in 0..6 {
            let (caller, cookie) = (station.caller.clone(), cookie.clone());
            let target = format!("/chart/{login}?turn={turn}&number={number}");
            in_flight.push(tokio::spawn(async move {
                let ask = || Ask::get("emr", &target).header("cookie", &cookie);
                let connection = caller.http2("emr").await;
                for _ in 0..4 {
                    let answer = connection.answer(ask()).await;
                    assert!(matches!(answer.status, 200 | 401), "{}", answer.status);
                }
            }));
        }
        tokio::task::yield_now().await;
        station.hand_over(&mut browser).await;
        let old = Ask::get("emr", "/late").header("cookie", &cookie);
        eventually("the person before is out", async || {
            let ask = Ask::get("emr", "/late").header("cookie", &cookie);
            (station.caller.ask(ask).await.status == 401).then_some(())
        })
        .await;
        station.caller.ask(old).await.expect(401);
    }
    for one in in_flight {
        one.await.unwrap();
    }
    station.names_nobody_wrongly().await;
    assert!(slowest < SWITCH_MAX, "{slowest:?}");
}

#[tokio::test]
async fn two_people_take_turns_fifty_times_in_one_real_browser() {
    let station = Station::open("").await;
    let browser = Browser::open_on(&station.hospital, "ja", &station.terminal).await;
    let (portal, switch) = (station.hospital.url("portal", "/"), station.hospital.url("login", "/switch"));
    let mut held = Vec::new();
    for (login, _, _) in &station.people {
        let key = browser.plug_in_key().await;
        let code = station.hospital.invite(login);
        browser.go(&format!("{}#{code}", station.hospital.url("login", "/enrol"))).await;
        browser.click("[data-do]").await;
        browser.arrives_at(&portal).await;
        held.push(browser.take_key(&key).await);
        browser.click("form[action$='/.sekimori/switch'] button").await;
        browser.arrives_at(&switch).await;
    }
    for turn in 0..SWITCHES {
        let (login, name, _) = &station.people[turn % 2];
        let (_, other_name, _) = &station.people[(turn + 1) % 2];
        let chart = station.chart(login);
        let key = browser.give_back_key(&held[turn % 2]).await;
        browser.go(&chart).await;
        // Where the browser knows a passkey it may be offered and taken at once, without a click.
        if browser.url().await.contains("/sign-in") {
            browser.script("document.querySelector('[data-do]:enabled')?.click()").await;
        }
        browser.arrives_at(&chart).await;
        // Whoever is next touches their own key, not this one.
        held[turn % 2] = browser.take_key(&key).await;
        browser.go(&portal).await;
        let page = browser.text().await;
        assert!(page.contains(name) && !page.contains(other_name), "turn {turn}: {page}");
        browser.go(&chart).await;
        let page = browser.text().await;
        assert!(page.contains(&format!("/chart/{login}")), "turn {turn}: {page}");
        // These are under way while the next person takes over.
        let script = format!(
            "for (let n = 0; n < 6; n++) fetch('/chart/{login}?turn={turn}&n=' + n, {{ keepalive: true }}).catch(() => 0);\
             const form = document.body.appendChild(document.createElement('form'));\
             form.method = 'post'; form.action = '/.sekimori/switch'; form.submit();"
        );
        browser.script(&script).await;
        browser.arrives_at(&switch).await;
    }
    station.names_nobody_wrongly().await;
}

#[tokio::test]
async fn who_comes_back_finds_their_session_and_no_old_cookie_opens_it() {
    let station = Station::open("").await;
    let [(_, _, sato), (_, _, suzuki)] = &station.people;
    let mut browser = Person::by_key(&station.caller, sato);
    station.arrive(&mut browser, "sato").await;
    let old = browser.jar().field("emr.hospital.test");
    station.hand_over(&mut browser).await;
    let page = browser.step(&Url::parse(&station.hospital.url("login", "/switch")).unwrap()).await.expect(200);
    assert!(page.text().contains("佐藤 恵子"), "who waits is shown");
    browser = browser.with_key(suzuki);
    station.arrive(&mut browser, "suzuki").await;
    station.hand_over(&mut browser).await;
    browser = browser.with_key(sato);
    station.arrive(&mut browser, "sato").await;
    let records = station.hospital.records();
    let opened = records.opened("/chart/sato");
    assert_eq!(opened.len(), 2);
    assert_eq!(opened.all()[0]["sid"], opened.all()[1]["sid"], "the same session");
    eventually("the return is written", async || {
        (station.hospital.records().with("ev", "session-resumed").len() == 1).then_some(())
    })
    .await;
    station.caller.ask(Ask::get("emr", "/late").header("cookie", &old)).await.expect(401);
}

/// Longer than the shortest time after which a terminal may lock.
const LOCKED: Duration = Duration::from_secs(11);

#[tokio::test]
async fn who_comes_back_to_a_locked_terminal_is_at_the_page_that_they_asked_for() {
    let station = Station::open("lock = \"10s\"").await;
    let mut browser = Person::by_key(&station.caller, &station.people[0].2);
    station.arrive(&mut browser, "sato").await;
    tokio::time::sleep(LOCKED).await;
    let next = station.hospital.url("emr", "/chart/sato/orders?day=today");
    browser.step_as_program(&Url::parse(&next).unwrap()).await.expect(401);
    let page = browser.open(&next).await.expect(200);
    assert_eq!(page.json()["target"], "/chart/sato/orders?day=today");
    assert_eq!(browser.trail().last().map(Url::as_str), Some(&*next));
    let records = station.hospital.records();
    let (before, after) = (records.opened("/chart/sato"), records.opened("/chart/sato/orders"));
    assert_eq!(before.only()["sid"], after.only()["sid"], "the same session");
}

#[tokio::test]
async fn a_terminal_that_nobody_uses_locks_and_only_its_owner_goes_on() {
    let station = Station::open("lock = \"10s\"").await;
    let [(_, _, sato), (_, _, suzuki)] = &station.people;
    let mut browser = Person::by_key(&station.caller, sato);
    station.arrive(&mut browser, "sato").await;
    tokio::time::sleep(LOCKED).await;
    let chart = Url::parse(&station.chart("sato")).unwrap();
    browser.step_as_program(&chart).await.expect(401);
    // The browser asks again for what the person before looked at, and the next one touches their key: they land on
    // the portal, and nothing is opened in their name that they did not ask for.
    let mut passer_by = browser.with_key(suzuki);
    passer_by.open(&station.chart("sato")).await.expect(200);
    let portal = station.hospital.url("portal", "/");
    assert_eq!(passer_by.trail().last().map(Url::as_str), Some(&*portal), "{:#?}", passer_by.trail());
    assert_eq!(station.hospital.records().opened("/chart/sato").only()["login"], "sato");
    station.arrive(&mut passer_by, "suzuki").await;
    assert_eq!(station.hospital.records().opened("/chart/suzuki").only()["login"], "suzuki");
    station.hand_over(&mut passer_by).await;
    let mut back = passer_by.with_key(sato);
    station.arrive(&mut back, "sato").await;
    let records = station.hospital.records();
    let opened = records.opened("/chart/sato");
    assert!(opened.all().iter().all(|one| one["login"] == "sato"));
    assert_eq!(opened.all()[0]["sid"], opened.last()["sid"]);
}

#[tokio::test]
async fn where_it_is_said_so_the_next_person_ends_what_the_one_before_left() {
    let station = Station::open("on_switch = \"end\"").await;
    let [(_, _, sato), (_, _, suzuki)] = &station.people;
    let mut browser = Person::by_key(&station.caller, sato);
    station.arrive(&mut browser, "sato").await;
    let cookie = browser.jar().field("emr.hospital.test");
    // No hand-over: the next person simply signs in on the same terminal, in another browser.
    station.arrive(&mut Person::by_key(&station.caller, suzuki), "suzuki").await;
    station.caller.ask(Ask::get("emr", "/late").header("cookie", &cookie)).await.expect(401);
    eventually("the end is written", async || {
        (station.hospital.records().with("ev", "session-ended").len() == 1).then_some(())
    })
    .await;
}
