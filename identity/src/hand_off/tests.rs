use super::*;
use crate::testing::{START, Ward, host, opening, terminal};

fn desk(ward: &Ward) -> HandOffs {
    HandOffs::new(ward.store.clone(), ward.sessions.clone())
}

fn emr() -> Host {
    host("emr.example.jp")
}

#[tokio::test]
async fn a_sign_in_reaches_the_app_and_the_person_where_they_wanted_to_go() {
    let ward = Ward::open().await;
    let desk = desk(&ward);
    let (session, _) = ward.sessions.open(opening(Some(terminal())), START).await.unwrap();
    let started = desk.start(&emr(), "/chart/0042?tab=labs", START).await.unwrap();
    let approved = desk.approve(&started.id, &session, START).await.unwrap();
    assert_eq!(approved.host, emr());
    let (code, secret) = (approved.code.expose(), started.browser_secret.expose());
    let arrived = desk.arrive(&emr(), &started.id, code, secret, START).await.unwrap();
    assert_eq!((arrived.target.as_str(), arrived.session), ("/chart/0042?tab=labs", session.id()));
    let found = ward.sessions.find(arrived.token.expose(), &emr(), Some(&terminal()), START).await.unwrap();
    assert_eq!(found.unwrap().id(), session.id());
}

#[tokio::test]
async fn each_step_works_once() {
    let ward = Ward::open().await;
    let desk = desk(&ward);
    let (session, _) = ward.sessions.open(opening(None), START).await.unwrap();
    let started = desk.start(&emr(), "/", START).await.unwrap();
    let approved = desk.approve(&started.id, &session, START).await.unwrap();
    assert!(matches!(desk.approve(&started.id, &session, START).await, Err(HandOffProblem::Void)));
    let (code, secret) = (approved.code.expose(), started.browser_secret.expose());
    assert!(desk.arrive(&emr(), &started.id, code, secret, START).await.is_ok());
    assert!(matches!(desk.arrive(&emr(), &started.id, code, secret, START).await, Err(HandOffProblem::Void)));
}

#[tokio::test]
async fn another_browser_host_or_code_gets_nothing_and_disturbs_nothing() {
    let ward = Ward::open().await;
    let desk = desk(&ward);
    let (session, _) = ward.sessions.open(opening(None), START).await.unwrap();
    let started = desk.start(&emr(), "/", START).await.unwrap();
    let other = desk.start(&emr(), "/", START).await.unwrap();
    let approved = desk.approve(&started.id, &session, START).await.unwrap();
    let (code, secret) = (approved.code.expose(), started.browser_secret.expose());
    let pacs = host("pacs.example.jp");
    for (host, id, code, secret) in [
        (&emr(), started.id.as_str(), code, other.browser_secret.expose()),
        (&pacs, started.id.as_str(), code, secret),
        (&emr(), other.id.as_str(), code, secret),
        (&emr(), started.id.as_str(), secret, secret),
        (&emr(), started.id.as_str(), code, ""),
        (&emr(), "", code, secret),
    ] {
        assert!(matches!(desk.arrive(host, id, code, secret, START).await, Err(HandOffProblem::Void)));
    }
    assert!(desk.arrive(&emr(), &started.id, code, secret, START).await.is_ok());
}

#[tokio::test]
async fn hand_offs_grow_old() {
    let ward = Ward::open().await;
    let desk = desk(&ward);
    let (session, _) = ward.sessions.open(opening(None), START).await.unwrap();
    let started = desk.start(&emr(), "/", START).await.unwrap();
    let late = START.after(SIGN_IN_SPAN);
    assert!(matches!(desk.approve(&started.id, &session, late).await, Err(HandOffProblem::Void)));
    let started = desk.start(&emr(), "/", START).await.unwrap();
    let approved = desk.approve(&started.id, &session, START).await.unwrap();
    let (code, secret) = (approved.code.expose(), started.browser_secret.expose());
    let late = START.after(ARRIVAL_SPAN);
    assert!(matches!(desk.arrive(&emr(), &started.id, code, secret, late).await, Err(HandOffProblem::Void)));
}

#[tokio::test]
async fn a_session_that_ended_on_the_way_is_not_handed_on() {
    let ward = Ward::open().await;
    let desk = desk(&ward);
    let (session, _) = ward.sessions.open(opening(None), START).await.unwrap();
    let (early, late) = (desk.start(&emr(), "/", START).await.unwrap(), desk.start(&emr(), "/", START).await.unwrap());
    let approved = desk.approve(&early.id, &session, START).await.unwrap();
    ward.sessions.end(session.id(), "cli:test", START).await.unwrap();
    let (code, secret) = (approved.code.expose(), early.browser_secret.expose());
    assert!(matches!(desk.arrive(&emr(), &early.id, code, secret, START).await, Err(HandOffProblem::SessionOver)));
    assert!(matches!(desk.approve(&late.id, &session, START).await, Err(HandOffProblem::SessionOver)));
}

#[tokio::test]
async fn many_tabs_sign_in_at_once() {
    let ward = Ward::open().await;
    let desk = desk(&ward);
    let (session, _) = ward.sessions.open(opening(None), START).await.unwrap();
    let mut tabs = Vec::new();
    for tab in 0..20 {
        tabs.push((desk.start(&emr(), &format!("/tab/{tab}"), START).await.unwrap(), tab));
    }
    for (started, tab) in tabs.iter().rev() {
        let approved = desk.approve(&started.id, &session, START).await.unwrap();
        let (code, secret) = (approved.code.expose(), started.browser_secret.expose());
        let arrived = desk.arrive(&emr(), &started.id, code, secret, START).await.unwrap();
        assert_eq!(arrived.target, format!("/tab/{tab}"));
    }
}

#[test]
fn nobody_is_sent_to_another_host() {
    for target in ["/", "/a/b?c=/d//e", "/%E3%81%82?q=%0d%0a"] {
        assert_eq!(stays_on_host(target), target);
    }
    for target in [
        "",
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil",
        "a",
        "/a\r\nSet-Cookie: x=y",
        "/\u{9}/evil.example",
        "/あ",
        "javascript:alert(1)",
        &format!("/{}", "a".repeat(TARGET_BYTES_MAX)),
    ] {
        assert_eq!(stays_on_host(target), "/", "{target:?}");
    }
}
