//! What can go wrong around a request, told to programs by its code and to people by a page, and never a way in.

use rustix::process::Signal;
use tests::{Answer, Ask, Hospital, Person, Plan, Session, Upstream, eventually};
use url::Url;

use crate::ward::Ward;

#[tokio::test]
async fn a_request_that_cannot_be_read_and_a_page_that_does_not_exist_have_their_codes() {
    let ward = Ward::open().await;
    ward.caller.ask(ward.get("/a;b")).await.expect_problem(400, "bad-request");
    ward.caller.ask(ward.get("/.sekimori/nothing")).await.expect_problem(404, "not-found");
    let page = ward.caller.ask(Ask::get("login", "/nothing").as_browser()).await.expect(404);
    assert!(page.header("content-type").starts_with("text/html"));
}

#[tokio::test]
async fn a_form_of_another_site_signs_nobody_out() {
    let ward = Ward::open().await;
    for origin in ["https://evil.test", "https://labs.hospital.test:8443", "null"] {
        let ask = Ask::post("emr", "/.sekimori/sign-out", "").signed_in(&ward.doctor).header("origin", origin);
        ward.caller.ask(ask).await.expect_problem(403, "foreign-form");
    }
    let without = Ask::post("emr", "/.sekimori/sign-out", "").signed_in(&ward.doctor);
    ward.caller.ask(without).await.expect_problem(403, "foreign-form");
    ward.caller.ask(ward.get("/a")).await.expect(200);
}

#[tokio::test]
async fn a_store_that_is_locked_signs_nobody_in_and_who_has_a_session_goes_on() {
    let ward = Ward::open().await;
    ward.caller.ask(ward.get("/before")).await.expect(200);
    let store = rusqlite::Connection::open(ward.hospital.folder().join("state/store.sqlite")).unwrap();
    store.execute_batch("BEGIN IMMEDIATE").unwrap();
    let start = Ask::get("emr", "/a").header("accept", "text/html").header("sec-fetch-mode", "navigate");
    let (page, reading) = tokio::join!(ward.caller.ask(start), ward.caller.ask(ward.get("/meanwhile")));
    reading.expect(200);
    let page = page.expect(503);
    assert!(page.header("content-type").starts_with("text/html"));
    assert!(!page.header("retry-after").is_empty(), "{}", page.text());
    store.execute_batch("ROLLBACK").unwrap();
    ward.caller.ask(Ask::get("emr", "/a").as_browser()).await.expect(302);
}

#[tokio::test]
async fn a_store_that_cannot_be_read_lets_nobody_in() {
    let ward = Ward::open().await;
    let store = rusqlite::Connection::open(ward.hospital.folder().join("state/store.sqlite")).unwrap();
    // Whoever looks a session up from now on finds the table gone.
    store.execute_batch("ALTER TABLE sessions RENAME TO gone").unwrap();
    let answer = ward.caller.ask(ward.get("/a")).await;
    answer.expect_problem(503, "store-unavailable");
    assert!(ward.emr.seen().is_empty());
}

#[tokio::test]
async fn more_accesses_than_may_be_open_wait_outside() {
    let ward = Ward::open_with(|plan| plan.set("audit", "open_accesses_max = 1")).await;
    let mut connection = ward.caller.http1("emr").await;
    let open = connection.send(ward.get("/trickle/1")).await.unwrap();
    let answer = ward.caller.ask(ward.get("/a")).await.expect_problem(503, "overloaded");
    assert!(!answer.header("retry-after").is_empty());
    drop((open, connection));
    let is_let_in = async || (ward.caller.ask(ward.get("/a")).await.status == 200).then_some(());
    eventually("there is room again", is_let_in).await;
}

#[tokio::test]
async fn a_gateway_that_stops_takes_no_new_requests_on_old_connections() {
    let ward = Ward::open().await;
    let mut open = ward.caller.http1("emr").await;
    let download = open.send(ward.get("/bytes/300000000")).await.unwrap();
    let idle = ward.caller.http2("emr").await;
    idle.answer(ward.get("/before")).await.expect(200);
    ward.hospital.signal(Signal::TERM);
    let refused = async || match idle.send(ward.get("/after")).await {
        Err(_) => Some(()),
        Ok(answer) => {
            let answer = Answer::read(answer).await.ok()?;
            (answer.status == 503 && answer.json()["code"] == "stopping").then_some(())
        }
    };
    eventually("new requests are refused", refused).await;
    assert_eq!(Answer::read(download).await.unwrap().body.len(), 300_000_000);
}

/// A hospital whose provider answers, or does not.
async fn sign_in_page(hospital: &Hospital, change: impl FnOnce(&mut Url), login: &str) -> Answer {
    let mut person = Person::new(&hospital.stranger(), login);
    let start = hospital.url("emr", "/");
    let mut callback = person.open_until(&start, |url| url.path() == "/callback/staff").await;
    change(&mut callback);
    person.step_as_program(&callback).await
}

#[tokio::test]
async fn sign_ins_that_do_not_hold_have_their_codes() {
    let emr = Upstream::http1();
    let (hospital, _idp) = Hospital::open_with_provider(Plan::with_emr(emr.address()));
    let swap = |field: &'static str| {
        move |url: &mut Url| {
            let others: Vec<(String, String)> = url.query_pairs().filter(|(name, _)| name != field).map(own).collect();
            url.query_pairs_mut().clear().extend_pairs(others).append_pair(field, "other");
        }
    };
    sign_in_page(&hospital, swap("state"), "nurse").await.expect_problem(400, "sign-in-expired");
    sign_in_page(&hospital, swap("code"), "nurse").await.expect_problem(403, "sign-in-refused");
    sign_in_page(&hospital, |_| {}, "").await.expect_problem(403, "sign-in-refused");
    assert!(emr.seen().is_empty());
}

fn own((name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)) -> (String, String) {
    (name.into_owned(), value.into_owned())
}

#[tokio::test]
async fn a_provider_that_is_gone_has_its_code_and_open_sessions_go_on() {
    let emr = Upstream::http1();
    let (mut hospital, mut idp) = Hospital::open_with_provider(Plan::with_emr(emr.address()));
    idp.stop();
    hospital.stop();
    hospital.start();
    let mut nurse = Person::new(&hospital.stranger(), "nurse");
    let begin = nurse.open_until(&hospital.url("emr", "/"), |url| url.path() == "/begin").await;
    nurse.step_as_program(&begin).await.expect_problem(502, "provider-unreachable");
    let clerk = Session::open(&hospital, "clerk", None, &["emr"]).await;
    hospital.stranger().ask(Ask::get("emr", "/reception/today").signed_in(&clerk)).await.expect(200);
}

#[tokio::test]
async fn one_address_cannot_start_sign_ins_without_end() {
    let ward = Ward::open_with(|plan| plan.set("limits", "sign_ins_per_minute_address = 3")).await;
    let mut statuses = Vec::new();
    for _ in 0..60 {
        statuses.push(ward.caller.ask(Ask::get("login", "/begin").as_browser()).await.status);
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    ward.caller.ask(ward.get("/a")).await.expect(200);
}
