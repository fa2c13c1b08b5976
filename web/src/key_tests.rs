//! Passkeys, shared terminals, codes and one's own page, from the first touch to the record, with real parts.

use std::time::Duration;

use http::StatusCode;
use http::header::SET_COOKIE;
use identity::NewPerson;
use policy::{Assurance, RoleId, SignInMethod, UserId};
use serde_json::{Value, json};
use store::SessionsOf;

use crate::soft_key::{SoftKey, said};
use crate::testing::{Browser, EMR, Hospital, LOGIN, PORTAL, location, text, ward_terminal};

pub(crate) const SECOND_FACTOR: &str = "second_factor = \"passkey\"\n";

fn sign_in() -> Value {
    json!({ "for": "sign-in" })
}

fn switch() -> Value {
    json!({ "for": "switch" })
}

/// A person of the directory, with the code of an invitation.
pub(crate) async fn invited(hospital: &Hospital, login: &str, name: &str) -> (UserId, String) {
    let people = &hospital.site.parts.people;
    let roles = vec![RoleId::parse("nurse").unwrap()];
    let person = NewPerson { login: login.into(), name: name.into(), roles, unit: "3F".into() };
    let person = people.add(person, "cli:test", hospital.now()).await.unwrap();
    let span = Duration::from_secs(3600);
    let made = people.invite(&person.id, span, "職員証", "cli:test", hospital.now()).await.unwrap();
    (person.id, made.code.expose())
}

/// A person of the directory with their key, enrolled at another browser.
pub(crate) async fn with_key(hospital: &Hospital, login: &str, name: &str) -> (UserId, SoftKey) {
    let (user, code) = invited(hospital, login, name).await;
    let mut key = SoftKey::new();
    let mut elsewhere = Browser::at(None);
    let answer = elsewhere.enrol(hospital, &mut key, &json!({ "code": code })).await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", text(&answer));
    let store = &hospital.store;
    store.end_sessions(SessionsOf::User(user.clone()), hospital.now(), "test".into()).await.unwrap();
    (user, key)
}

/// A key for whoever the provider vouches for.
async fn provider_person_with_key(hospital: &Hospital) -> SoftKey {
    let mut browser = Browser::at(None);
    browser.open(hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
    let user = hospital.store.sessions().await.unwrap()[0].0.user.clone();
    let span = Duration::from_secs(3600);
    let people = &hospital.site.parts.people;
    let made = people.invite(&user, span, "職員証", "cli:test", hospital.now()).await.unwrap();
    let mut key = SoftKey::new();
    let answer = Browser::at(None).enrol(hospital, &mut key, &json!({ "code": made.code.expose() })).await;
    assert_eq!(said(&answer)["to"], "/enrol?done=1", "their provider comes first: {}", text(&answer));
    hospital.store.end_sessions(SessionsOf::User(user), hospital.now(), "test".into()).await.unwrap();
    key
}

#[tokio::test]
async fn an_invitation_becomes_a_passkey_and_the_passkey_a_sign_in() {
    let hospital = Hospital::with_keys("", "").await;
    let (user, code) = invited(&hospital, "h.mori", "森 花").await;
    let mut browser = Browser::at(Some(ward_terminal()));
    let mut key = SoftKey::new();
    let begun = said(&browser.login_json(&hospital, "/enrol/begin", &json!({ "code": code })).await);
    assert!(begun["whose"].as_str().unwrap().contains("森 花"), "{begun}");
    let answer = browser.enrol(&hospital, &mut key, &json!({ "code": code.to_lowercase() })).await;
    assert_eq!(said(&answer)["to"], format!("https://{PORTAL}/"));
    assert!(browser.session_cookie(LOGIN).is_some(), "whoever was verified by the new key is in");
    let again = browser.enrol(&hospital, &mut SoftKey::new(), &json!({ "code": code })).await;
    assert_eq!((again.status(), &said(&again)["code"]), (StatusCode::BAD_REQUEST, &json!("code-void")));

    let mut fresh = Browser::at(None);
    let chart = fresh.get(&hospital, &format!("https://{EMR}/chart/1")).await;
    let login = location(&chart).unwrap();
    let page = fresh.get(&hospital, &login).await;
    let html = text(&page);
    for part in ["data-passkey=\"sign-in\"", "autocomplete=\"username webauthn\"", "/temporary", "/enrol"] {
        assert!(html.contains(part), "{part}");
    }
    let h = login.split("h=").nth(1).unwrap();
    let answer = fresh.touch(&hospital, &mut key, &json!({ "for": "sign-in", "h": h })).await;
    let to = said(&answer)["to"].as_str().unwrap().to_owned();
    let (place, _) = fresh.open(&hospital, &to).await;
    assert_eq!(place, format!("https://{EMR}/chart/1"), "the deep link survives");
    let open = hospital.store.sessions_of(SessionsOf::User(user)).await.unwrap();
    let session = &open.iter().find(|(session, _)| session.device.is_none()).unwrap().0;
    assert_eq!(session.assurance, Assurance::Aal3, "a key that cannot be copied");
    assert!(session.methods.has(SignInMethod::Passkey) && session.credential.is_some());
    assert!(hospital.lines().contains("\"ev\":\"signed-in\""));
}

#[tokio::test]
async fn every_refused_proof_looks_the_same_and_the_record_knows_why() {
    let hospital = Hospital::with_keys("", "").await;
    let (_, mut key) = with_key(&hospital, "h.mori", "森 花").await;
    let mut browser = Browser::at(None);
    let mut stranger = SoftKey::new();
    let begun = said(&browser.login_json(&hospital, "/passkey/begin", &sign_in()).await);
    let options = json!({ "publicKey": { "rp": { "id": LOGIN }, "user": { "id": "AAAA" }, "challenge": "AAAA" } });
    stranger.create(&options);
    let unknown =
        json!({ "for": "sign-in", "ceremony": begun["ceremony"], "credential": stranger.get(&begun["options"]) });
    let unknown = browser.login_json(&hospital, "/passkey/finish", &unknown).await;
    key.verifies = false;
    let unverified = browser.touch(&hospital, &mut key, &sign_in()).await;
    let shape = |answer: &http::Response<bytes::Bytes>| {
        let mut said = said(answer);
        said["request"].take();
        said["help_code"].take();
        (answer.status(), said)
    };
    assert_eq!(shape(&unknown), shape(&unverified));
    assert_eq!((unknown.status(), &said(&unknown)["code"]), (StatusCode::FORBIDDEN, &json!("passkey-refused")));
    assert!(said(&unknown)["title"].as_str().unwrap().contains("パスキー"), "in the person's language");
    for code in ["passkey-unknown", "passkey-user-not-verified"] {
        assert!(hospital.lines().contains(code), "{code}: {}", hospital.lines());
    }
    assert!(browser.session_cookie(LOGIN).is_none());
}

#[tokio::test]
async fn a_ceremony_works_once_in_its_own_browser_and_only_for_our_own_page() {
    let hospital = Hospital::with_keys("", "").await;
    let (_, mut key) = with_key(&hospital, "h.mori", "森 花").await;
    let mut browser = Browser::at(None);
    let begun = said(&browser.login_json(&hospital, "/passkey/begin", &sign_in()).await);
    let finish = json!({ "for": "sign-in", "ceremony": begun["ceremony"], "credential": key.get(&begun["options"]) });
    let stolen = Browser::at(None).login_json(&hospital, "/passkey/finish", &finish).await;
    assert_eq!((stolen.status(), &said(&stolen)["code"]), (StatusCode::BAD_REQUEST, &json!("sign-in-expired")));
    let before = browser.clone();
    assert_eq!(browser.login_json(&hospital, "/passkey/finish", &finish).await.status(), StatusCode::OK);
    let replayed = before.clone().login_json(&hospital, "/passkey/finish", &finish).await;
    assert_eq!(replayed.status(), StatusCode::BAD_REQUEST, "once");
    for path in ["/passkey/begin", "/passkey/finish", "/enrol/begin", "/enrol/finish"] {
        let address = format!("https://{LOGIN}{path}");
        let mut headers = browser.headers(LOGIN);
        headers.insert("content-type", "application/json".parse().unwrap());
        headers.insert("origin", format!("https://{EMR}").parse().unwrap());
        let body = bytes::Bytes::from(sign_in().to_string());
        let foreign = browser.send(&hospital, "POST", &address, headers, body).await;
        assert_eq!(foreign.status(), StatusCode::FORBIDDEN, "{path} from a neighbour");
        let form = browser.post(&hospital, &address, "for=sign-in").await;
        assert_eq!(form.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{path} as a form");
        let unreadable = browser.login_json(&hospital, path, &json!({ "nonsense": true })).await;
        assert_eq!(unreadable.status(), StatusCode::BAD_REQUEST, "{path}");
    }
    hospital.pass_seconds(301);
    let begun = said(&browser.login_json(&hospital, "/passkey/begin", &sign_in()).await);
    hospital.pass_seconds(301);
    let late = json!({ "for": "sign-in", "ceremony": begun["ceremony"], "credential": key.get(&begun["options"]) });
    assert_eq!(browser.login_json(&hospital, "/passkey/finish", &late).await.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn people_of_a_provider_do_not_get_in_by_a_passkey_alone() {
    let hospital = Hospital::with_keys("", "").await;
    let mut key = provider_person_with_key(&hospital).await;
    let mut browser = Browser::at(None);
    let answer = browser.touch(&hospital, &mut key, &sign_in()).await;
    assert_eq!((answer.status(), &said(&answer)["code"]), (StatusCode::FORBIDDEN, &json!("provider-first")));
    assert!(browser.session_cookie(LOGIN).is_none() && hospital.store.sessions().await.unwrap().is_empty());
    assert!(hospital.lines().contains("provider-first"));
}

#[tokio::test]
async fn while_the_provider_is_out_they_do_and_everyone_is_told() {
    let hospital = Hospital::with_keys("", "").await;
    let mut key = provider_person_with_key(&hospital).await;
    let city = policy::ProviderId::parse("city").unwrap();
    let outage = &hospital.site.parts.outage;
    outage.switch(&city, identity::OutageSwitch::On, "cli:test", hospital.now()).await.unwrap();
    let mut browser = Browser::at(None);
    let page = text(&browser.get(&hospital, &format!("https://{LOGIN}/sign-in")).await);
    assert!(page.contains("認証システムの障害中です") && page.contains("市立病院アカウント"), "{page}");
    let answer = browser.touch(&hospital, &mut key, &sign_in()).await;
    assert_eq!(said(&answer)["to"], format!("https://{PORTAL}/"), "{}", text(&answer));
    let open = hospital.store.sessions().await.unwrap();
    assert!(open[0].0.in_outage);
    let portal = text(&browser.open(&hospital, &format!("https://{PORTAL}/")).await.1);
    assert!(portal.contains("認証システムの障害中です"));
}

#[tokio::test]
async fn nobody_has_a_session_between_the_provider_and_the_second_factor() {
    let hospital = Hospital::with_keys("", SECOND_FACTOR).await;
    let mut browser = Browser::at(None);
    let (_, refused) = browser.open(&hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN, "no key, no sign-in");
    assert!(text(&refused).contains("パスキーの登録が必要です"), "{}", text(&refused));
    assert!(hospital.lines().contains("no-passkey"));

    // The first key comes by an invitation to the person of that provider.
    let person = store::Person {
        id: identity::user_id("https://city.example", "n.sato"),
        issuer: "https://city.example".into(),
        subject: "n.sato".into(),
        provider: policy::ProviderId::parse("city").unwrap(),
        login: "n.sato".into(),
        name: "佐藤 花子".into(),
        roles: Vec::new(),
        unit: String::new(),
        added_at: hospital.now(),
        seen_at: hospital.now(),
        confirmed_at: hospital.now(),
        disabled: None,
    };
    hospital.store.remember_person(person.clone()).await.unwrap();
    let people = &hospital.site.parts.people;
    let span = Duration::from_secs(3600);
    let made = people.invite(&person.id, span, "職員証", "cli:test", hospital.now()).await.unwrap();
    let mut key = SoftKey::new();
    Browser::at(None).enrol(&hospital, &mut key, &json!({ "code": made.code.expose() })).await;
    let (_, mut other) = with_key(&hospital, "h.mori", "森 花").await;

    let login = location(&browser.get(&hospital, &format!("https://{EMR}/chart/1")).await).unwrap();
    let (place, page) = browser.open(&hospital, &format!("{login}&provider=city")).await;
    assert!(place.contains("/second?p=") && text(&page).contains("佐藤 花子"), "{place} {}", text(&page));
    assert!(browser.session_cookie(LOGIN).is_none() && hospital.store.sessions().await.unwrap().is_empty());
    let pending = place.split("p=").nth(1).unwrap();
    let facts = json!({ "for": "second-factor", "pending": pending });
    let foreign = browser.touch(&hospital, &mut other, &facts).await;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN, "another person's key");
    let elsewhere = Browser::at(None).login_json(&hospital, "/passkey/begin", &facts).await;
    assert_eq!(elsewhere.status(), StatusCode::BAD_REQUEST, "another browser");
    let answer = browser.touch(&hospital, &mut key, &facts).await;
    let to = said(&answer)["to"].as_str().unwrap_or_else(|| panic!("{}", text(&answer))).to_owned();
    assert_eq!(browser.open(&hospital, &to).await.0, format!("https://{EMR}/chart/1"));
    let session = hospital.store.sessions().await.unwrap().remove(0).0;
    let methods = [SignInMethod::Provider, SignInMethod::Passkey].map(|method| session.methods.has(method));
    assert_eq!((methods, session.assurance), ([true, true], Assurance::Aal3));
    let twice = browser.login_json(&hospital, "/passkey/begin", &facts).await;
    assert_eq!(twice.status(), StatusCode::BAD_REQUEST, "the provider's answer is used up");
}

#[tokio::test]
async fn who_may_enrols_at_the_first_sign_in_and_never_a_second_time() {
    let provider = format!("{SECOND_FACTOR}enrol_at_first_sign_in = true\n");
    let hospital = Hospital::with_keys("", &provider).await;
    let mut browser = Browser::at(None);
    let (place, page) = browser.open(&hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
    assert!(text(&page).contains("はじめに、パスキーを登録します"));
    let pending = place.split("p=").nth(1).unwrap().to_owned();
    let mut key = SoftKey::new();
    let answer = browser.enrol(&hospital, &mut key, &json!({ "pending": pending })).await;
    assert_eq!(said(&answer)["to"], format!("https://{PORTAL}/"), "{}", text(&answer));
    assert_eq!(hospital.store.sessions().await.unwrap().len(), 1);
    let mut again = Browser::at(None);
    let (place, page) = again.open(&hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
    assert!(text(&page).contains("data-passkey=\"second-factor\""));
    let pending = place.split("p=").nth(1).unwrap();
    let second = again.enrol(&hospital, &mut SoftKey::new(), &json!({ "pending": pending })).await;
    assert_eq!(second.status(), StatusCode::FORBIDDEN, "a stolen account gets no key of the thief's");
}

#[tokio::test]
async fn who_lost_their_only_key_is_invited_and_enrols_none_at_the_provider() {
    let provider = format!("{SECOND_FACTOR}enrol_at_first_sign_in = true\n");
    let hospital = Hospital::with_keys("", &provider).await;
    let mut browser = Browser::at(None);
    let (place, _) = browser.open(&hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
    let pending = place.split("p=").nth(1).unwrap().to_owned();
    browser.enrol(&hospital, &mut SoftKey::new(), &json!({ "pending": pending })).await;
    let session = hospital.store.sessions().await.unwrap().remove(0).0;
    let passkeys = &hospital.site.parts.passkeys;
    passkeys.remove(&session.user, &session.credential.unwrap(), "u-desk", hospital.now()).await.unwrap();
    let mut again = Browser::at(None);
    let (_, refused) = again.open(&hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN, "whoever stole the password gets no key");
    assert!(text(&refused).contains("パスキーの登録が必要です"), "{}", text(&refused));
}

/// The provider says that somebody signed out there, and whoever looks after people that somebody left.
async fn ends_meanwhile(hospital: &Hospital, user: &UserId) -> [SessionsOf; 3] {
    let person = hospital.store.person(user).await.unwrap().unwrap();
    let (provider, subject) = (person.provider, person.subject);
    [
        SessionsOf::ProviderSession { provider: provider.clone(), sid: "provider-session".into(), subject: None },
        SessionsOf::Subject { provider, subject },
        SessionsOf::User(user.clone()),
    ]
}

#[tokio::test]
async fn a_sign_in_that_waits_for_its_second_factor_ends_with_the_sessions() {
    let hospital = Hospital::with_keys("", &format!("{SECOND_FACTOR}enrol_at_first_sign_in = true\n")).await;
    let mut browser = Browser::at(None);
    let (place, _) = browser.open(&hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
    let mut key = SoftKey::new();
    browser.enrol(&hospital, &mut key, &json!({ "pending": place.split("p=").nth(1).unwrap() })).await;
    let user = hospital.store.sessions().await.unwrap().remove(0).0.user;
    for of in ends_meanwhile(&hospital, &user).await {
        hospital.pass_seconds(5);
        let mut browser = Browser::at(None);
        let (place, _) = browser.open(&hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
        let facts = json!({ "for": "second-factor", "pending": place.split("p=").nth(1).unwrap() });
        hospital.pass_seconds(1);
        hospital.store.end_sessions(of.clone(), hospital.now(), "gateway:provider".into()).await.unwrap();
        hospital.pass_seconds(1);
        let late = browser.touch(&hospital, &mut key, &facts).await;
        assert_eq!(
            (late.status(), &said(&late)["code"]),
            (StatusCode::BAD_REQUEST, &json!("sign-in-expired")),
            "{of:?}"
        );
        assert!(hospital.store.sessions().await.unwrap().is_empty(), "{of:?}");
        assert!(hospital.lines().contains("ended-meanwhile"), "and the record says why");
    }
    hospital.pass_seconds(5);
    let (place, _) = browser.open(&hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
    let facts = json!({ "for": "second-factor", "pending": place.split("p=").nth(1).unwrap() });
    assert_eq!(browser.touch(&hospital, &mut key, &facts).await.status(), StatusCode::OK, "who begins anew is in");
}

#[tokio::test]
async fn a_step_up_comes_to_nothing_when_the_session_ends_before_it() {
    let hospital = Hospital::with_keys("", "").await;
    let mut key = provider_person_with_key(&hospital).await;
    let mut browser = Browser::at(None);
    browser.open(&hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
    let user = hospital.store.sessions().await.unwrap().remove(0).0.user;
    hospital.pass_seconds(1);
    let facts = json!({ "for": "step-up", "again": "aal3" });
    let begun = said(&browser.login_json(&hospital, "/passkey/begin", &facts).await);
    // This process has not heard of it yet: the session is still in its memory.
    let of = SessionsOf::User(user.clone());
    hospital.store.end_sessions(of, hospital.now(), "gateway:provider".into()).await.unwrap();
    hospital.pass_seconds(1);
    let mut finish = facts.clone();
    finish["ceremony"] = begun["ceremony"].clone();
    finish["credential"] = key.get(&begun["options"]);
    let late = browser.login_json(&hospital, "/passkey/finish", &finish).await;
    assert_eq!((late.status(), &said(&late)["code"]), (StatusCode::BAD_REQUEST, &json!("sign-in-expired")));
    assert!(hospital.store.sessions().await.unwrap().is_empty(), "a logout is not undone by a touch");
}

#[tokio::test]
async fn a_step_up_by_passkey_takes_the_place_of_the_session() {
    let hospital = Hospital::with_keys("", "").await;
    let mut key = provider_person_with_key(&hospital).await;
    let (_, mut other) = with_key(&hospital, "h.mori", "森 花").await;
    let mut browser = Browser::at(None);
    browser.open(&hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
    let before = hospital.store.sessions().await.unwrap().remove(0).0;
    let page = text(&browser.get(&hospital, &format!("https://{LOGIN}/sign-in?again=aal3")).await);
    assert!(page.contains("data-passkey=\"step-up\"") && page.contains("ほかの方法"), "{page}");
    let facts = json!({ "for": "step-up", "again": "aal3" });
    let foreign = browser.touch(&hospital, &mut other, &facts).await;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN);
    let answer = browser.touch(&hospital, &mut key, &facts).await;
    assert_eq!(answer.status(), StatusCode::OK, "{}", text(&answer));
    let after = hospital.store.sessions().await.unwrap();
    assert_eq!(after.len(), 1);
    let after = &after[0].0;
    assert!(after.id != before.id && after.assurance == Assurance::Aal3);
    assert!(after.methods.has(SignInMethod::Provider) && after.methods.has(SignInMethod::Passkey));
    assert!(hospital.lines().contains("stepped-up"));
    let signed_out = Browser::at(None).login_json(&hospital, "/passkey/begin", &facts).await;
    assert_eq!(said(&signed_out)["to"], "/sign-in?again=aal3", "nobody to ask again");
}

#[tokio::test]
async fn two_people_hand_a_terminal_to_and_fro_and_nothing_of_one_is_left_for_the_other() {
    let hospital = Hospital::with_keys("", "").await;
    let (mori, mut moris) = with_key(&hospital, "h.mori", "森 花").await;
    let (ito, mut itos) = with_key(&hospital, "d.ito", "伊藤 大").await;
    let mut terminal = Browser::at(Some(ward_terminal()));
    terminal.touch(&hospital, &mut moris, &sign_in()).await;
    terminal.open(&hospital, &format!("https://{EMR}/chart/1")).await;
    let old = terminal.cookies.clone();
    let of = async |user: &UserId| hospital.store.sessions_of(SessionsOf::User(user.clone())).await.unwrap();
    let first = of(&mori).await.remove(0).0;
    for turn in 0..3 {
        let portal = text(&terminal.open(&hospital, &format!("https://{PORTAL}/")).await.1);
        assert!(portal.contains("席を替わる") && portal.contains("森 花") && !portal.contains("伊藤"), "{turn}");
        let left = terminal.post(&hospital, &format!("https://{PORTAL}/.sekimori/switch"), "").await;
        assert!(left.headers()["refresh"].to_str().unwrap().ends_with(&format!("https://{LOGIN}/switch")));
        assert!(of(&mori).await[0].0.parked_at.is_some());
        let who = terminal.get(&hospital, &format!("https://{LOGIN}/switch")).await;
        assert_eq!(who.headers()["clear-site-data"], "\"cookies\", \"storage\"");
        assert!(terminal.cookies.is_empty() && text(&who).contains("森 花"), "who waits here");
        terminal.touch(&hospital, &mut itos, &switch()).await;
        let portal = text(&terminal.open(&hospital, &format!("https://{PORTAL}/")).await.1);
        assert!(portal.contains("伊藤 大") && !portal.contains("森 花"), "{turn}");
        assert!(of(&mori).await[0].0.parked_at.is_some());
        // Mori comes back without anybody pressing a button: the browser is emptied on the way.
        let begun = said(&terminal.login_json(&hospital, "/passkey/begin", &switch()).await);
        let finish =
            json!({ "for": "switch", "ceremony": begun["ceremony"], "credential": moris.get(&begun["options"]) });
        let answer = terminal.login_json(&hospital, "/passkey/finish", &finish).await;
        assert!(answer.headers().contains_key("clear-site-data") && !answer.headers().contains_key(SET_COOKIE));
        assert!(terminal.cookies.is_empty());
        let land = said(&answer)["land"].clone();
        let landed = terminal.login_json(&hospital, "/land", &land).await;
        assert_eq!(said(&landed)["to"], format!("https://{PORTAL}/"));
        let twice = terminal.clone().login_json(&hospital, "/land", &land).await;
        assert_eq!(twice.status(), StatusCode::BAD_REQUEST, "once");
        assert_eq!(of(&mori).await[0].0.id, first.id, "the same session");
        assert!(of(&ito).await[0].0.parked_at.is_some());
    }
    let mut stale = Browser { cookies: old, ..terminal.clone() };
    let chart = stale.get(&hospital, &format!("https://{EMR}/chart/1")).await;
    assert_eq!(chart.status(), StatusCode::FOUND, "tokens of before the switch are void");
}

#[tokio::test]
async fn a_terminal_locks_and_its_person_goes_on_where_they_were() {
    let hospital = Hospital::with_keys("", "").await;
    let (mori, mut key) = with_key(&hospital, "h.mori", "森 花").await;
    let mut terminal = Browser::at(Some(ward_terminal()));
    terminal.touch(&hospital, &mut key, &sign_in()).await;
    terminal.open(&hospital, &format!("https://{EMR}/chart/1")).await;
    let before = hospital.store.sessions().await.unwrap().remove(0).0;
    hospital.pass_seconds(181);
    let (place, page) = terminal.open(&hospital, &format!("https://{EMR}/chart/2")).await;
    let html = text(&page);
    assert!(
        html.contains("data-passkey=\"switch\"") && html.contains("森 花") && html.contains("別の人が使う"),
        "{html}"
    );
    assert!(!page.headers().contains_key("clear-site-data"), "the same person may go on");
    let h = place.split("h=").nth(1).unwrap();
    let answer = terminal.touch(&hospital, &mut key, &json!({ "for": "switch", "h": h })).await;
    let to = said(&answer)["to"].as_str().unwrap_or_else(|| panic!("{}", text(&answer))).to_owned();
    assert_eq!(terminal.open(&hospital, &to).await.0, format!("https://{EMR}/chart/2"));
    let after = hospital.store.sessions_of(SessionsOf::User(mori)).await.unwrap();
    assert_eq!((after.len(), after[0].0.id), (1, before.id), "resumed, not opened anew");
    assert!(hospital.lines().contains("resumed"));
}

#[tokio::test]
async fn no_other_site_empties_a_browser() {
    let hospital = Hospital::with_keys("", "").await;
    let mut browser = Browser::at(Some(ward_terminal()));
    let address = format!("https://{LOGIN}/switch");
    for (site, dest, clears) in [
        ("none", "document", true),
        ("same-origin", "document", true),
        ("same-site", "document", true),
        ("cross-site", "document", false),
        ("same-origin", "image", false),
        ("cross-site", "image", false),
    ] {
        let mut headers = browser.headers(LOGIN);
        headers.insert("sec-fetch-site", site.parse().unwrap());
        headers.insert("sec-fetch-dest", dest.parse().unwrap());
        let answer = browser.send(&hospital, "GET", &address, headers, bytes::Bytes::new()).await;
        assert_eq!(answer.headers().contains_key("clear-site-data"), clears, "{site} {dest}");
    }
    let (_, mut key) = with_key(&hospital, "h.mori", "森 花").await;
    browser.touch(&hospital, &mut key, &sign_in()).await;
    let open = browser.get(&hospital, &address).await;
    assert!(!open.headers().contains_key("clear-site-data"), "whoever is signed in hands over by a button");
    for origin in ["https://evil.example", "https://pacs.hosp.example"] {
        let mut headers = browser.headers(LOGIN);
        headers.insert("origin", origin.parse().unwrap());
        let place = format!("https://{LOGIN}/.sekimori/switch");
        let answer = browser.send(&hospital, "POST", &place, headers, bytes::Bytes::new()).await;
        assert_eq!(answer.status(), StatusCode::FORBIDDEN, "{origin}");
    }
}

#[tokio::test]
async fn someone_else_by_the_provider_lands_in_an_empty_browser_too() {
    let hospital = Hospital::with_keys("", "").await;
    let (_, mut key) = with_key(&hospital, "h.mori", "森 花").await;
    let mut terminal = Browser::at(Some(ward_terminal()));
    terminal.touch(&hospital, &mut key, &sign_in()).await;
    terminal.post(&hospital, &format!("https://{LOGIN}/.sekimori/sign-out"), "").await;
    assert!(terminal.cookies[LOGIN].contains_key("__Host-sekimori-last"), "the apps' cookies are still there");
    let (_, page) = terminal.open(&hospital, &format!("https://{LOGIN}/begin?provider=city")).await;
    assert!(page.headers().contains_key("clear-site-data") && terminal.cookies.is_empty());
    let html = text(&page);
    let field = |name: &str| {
        let value = html.split(&format!("name=\"{name}\" value=\"")).nth(1).unwrap();
        value.split('"').next().unwrap().to_owned()
    };
    let form = format!("h={}&code={}&secret={}", field("h"), field("code"), field("secret"));
    let foreign = terminal.headers(LOGIN);
    let body = bytes::Bytes::from(form.clone());
    let foreign = terminal.send(&hospital, "POST", &format!("https://{LOGIN}/land"), foreign, body).await;
    assert_eq!(foreign.status(), StatusCode::FORBIDDEN, "only our own page");
    let landed = terminal.post(&hospital, &format!("https://{LOGIN}/land"), &form).await;
    assert_eq!(landed.headers()["refresh"], format!("0; url=https://{PORTAL}/").as_str());
    let portal = text(&terminal.open(&hospital, &format!("https://{PORTAL}/")).await.1);
    assert!(portal.contains("佐藤 花子") && !portal.contains("森 花"));
}

#[tokio::test]
async fn a_temporary_code_signs_in_until_its_end_and_a_wrong_one_tells_nothing() {
    let hospital = Hospital::with_keys("", "").await;
    let (user, _) = with_key(&hospital, "h.mori", "森 花").await;
    let people = &hospital.site.parts.people;
    let span = Duration::from_secs(2 * 3600);
    let made = people.temporary(&user, span, "鍵の紛失", "u-supervisor", hospital.now()).await.unwrap();
    let mut browser = Browser::at(Some(ward_terminal()));
    let address = format!("https://{LOGIN}/temporary");
    assert!(text(&browser.get(&hospital, &address).await).contains("臨時コード"));
    let wrong = browser.post(&hospital, &address, "code=01ABC-DEFGH-JKMNP-QRSTV").await;
    let nonsense = browser.post(&hospital, &address, "code=x").await;
    assert_eq!((wrong.status(), text(&wrong).len()), (nonsense.status(), text(&nonsense).len()));
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let answer = browser.post(&hospital, &address, &format!("code={}", made.code.expose())).await;
    assert_eq!(answer.headers()["refresh"], format!("0; url=https://{PORTAL}/").as_str());
    let session = hospital.store.sessions().await.unwrap().remove(0).0;
    assert_eq!((session.assurance, session.ends_at), (Assurance::Aal1, made.expires_at));
    for code in ["temporary-code-used", "temporary-code-void"] {
        assert!(hospital.lines().contains(code), "{code}");
    }
}

#[tokio::test]
async fn everyone_sees_their_own_keys_and_sessions_and_nobody_elses() {
    let hospital = Hospital::with_keys("", "").await;
    let (mori, mut key) = with_key(&hospital, "h.mori", "森 花").await;
    let (ito, mut itos) = with_key(&hospital, "d.ito", "伊藤 大").await;
    let mut terminal = Browser::at(Some(ward_terminal()));
    let mut phone = Browser::at(None);
    let mut other = Browser::at(None);
    terminal.touch(&hospital, &mut key, &sign_in()).await;
    phone.touch(&hospital, &mut key, &sign_in()).await;
    other.touch(&hospital, &mut itos, &sign_in()).await;
    let me = format!("https://{PORTAL}/me");
    let (_, page) = terminal.open(&hospital, &me).await;
    let html = text(&page);
    for part in ["森 花", "青いキー", "今のサインインに使用", "ward3-pc1", "サインイン中の端末"]
    {
        assert!(html.contains(part), "{part}: {html}");
    }
    assert!(!html.contains("伊藤"));
    let sessions = async |user: &UserId| hospital.store.sessions_of(SessionsOf::User(user.clone())).await.unwrap();
    let itos_session = sessions(&ito).await[0].0.id;
    let end = format!("https://{PORTAL}/me/session/end");
    let foreign = terminal.post(&hospital, &end, &format!("session={itos_session}")).await;
    assert_eq!(foreign.status(), StatusCode::NOT_FOUND);
    let on_phone = sessions(&mori).await.into_iter().find(|(one, _)| one.device.is_none()).unwrap().0.id;
    let ended = terminal.post(&hospital, &end, &format!("session={on_phone}")).await;
    assert_eq!(location(&ended).as_deref(), Some("/me?done=1"));
    assert_eq!((sessions(&mori).await.len(), sessions(&ito).await.len()), (1, 1));

    let keys = hospital.store.credentials_of(&mori).await.unwrap();
    let itos_key = hospital.store.credentials_of(&ito).await.unwrap()[0].id.clone();
    for path in ["rename", "remove"] {
        let address = format!("https://{PORTAL}/me/key/{path}");
        let foreign = terminal.post(&hospital, &address, &format!("key={itos_key}&name=x")).await;
        assert_eq!(foreign.status(), StatusCode::NOT_FOUND, "{path}");
    }
    let form = format!("key={}&name=%E8%B5%A4%E3%81%84%E3%82%AD%E3%83%BC", keys[0].id);
    terminal.post(&hospital, &format!("https://{PORTAL}/me/key/rename"), &form).await;
    assert!(text(&terminal.get(&hospital, &me).await).contains("赤いキー"));
    terminal.post(&hospital, &format!("https://{PORTAL}/me/key/remove"), &form).await;
    assert!(sessions(&mori).await.is_empty(), "what was opened with it is over");
    let refused = terminal.touch(&hospital, &mut key, &sign_in()).await;
    assert_eq!(said(&refused)["code"], "passkey-refused");
}

#[tokio::test]
async fn another_key_of_ones_own_needs_a_fresh_proof() {
    let hospital = Hospital::with_keys("", "").await;
    let (mori, mut key) = with_key(&hospital, "h.mori", "森 花").await;
    let mut browser = Browser::at(None);
    browser.touch(&hospital, &mut key, &sign_in()).await;
    let own = format!("https://{LOGIN}/enrol?own=1");
    let page = browser.get(&hospital, &own).await;
    assert!(text(&page).contains("森 花") && !text(&page).contains("name=\"code\""));
    hospital.pass_seconds(8 * 60);
    browser.get(&hospital, &own).await;
    hospital.pass_seconds(8 * 60);
    let stale = browser.login_json(&hospital, "/enrol/begin", &json!({})).await;
    assert_eq!(said(&stale)["to"], "/enrol?own=1");
    let (place, _) = browser.open(&hospital, &own).await;
    assert!(place.contains("/sign-in?") && place.contains("again=aal2"), "{place}");
    let h = place.split("h=").nth(1).unwrap().split('&').next().unwrap();
    let stepped = browser.touch(&hospital, &mut key, &json!({ "for": "step-up", "h": h, "again": "aal2" })).await;
    let to = said(&stepped)["to"].as_str().unwrap().to_owned();
    let (place, page) = browser.open(&hospital, &to).await;
    assert_eq!((place, page.status()), (own, StatusCode::OK));
    let mut second = SoftKey::new();
    let answer = browser.enrol(&hospital, &mut second, &json!({})).await;
    assert_eq!(said(&answer)["to"], format!("https://{PORTAL}/me?done=1"), "{}", text(&answer));
    assert_eq!(hospital.store.credentials_of(&mori).await.unwrap().len(), 2);
    let nobody = Browser::at(None).login_json(&hospital, "/enrol/begin", &json!({})).await;
    assert_eq!(said(&nobody)["to"], "/enrol?own=1");
}
