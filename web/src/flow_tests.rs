//! Sign-in and sign-out from the first click to the last redirect, with real parts.

use std::collections::BTreeMap;

use http::StatusCode;
use http::header::{CACHE_CONTROL, REFRESH, SET_COOKIE};
use policy::{Assurance, Challenge, Path};

use crate::testing::{Browser, EMR, Hospital, LOGIN, PACS, PORTAL, challenged, location, parts, text, ward_terminal};

const CHART: &str = "https://emr.hosp.example/chart/1?tab=meds";

#[tokio::test]
async fn a_nurse_who_is_not_signed_in_comes_back_to_the_very_page_she_opened() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(Some(ward_terminal()));
    let (place, response) = browser.open(&hospital, CHART).await;
    assert_eq!((place.as_str(), text(&response).as_str()), (CHART, "app"));
    assert!(browser.session_cookie(EMR).is_some() && browser.session_cookie(LOGIN).is_some());
    assert_ne!(browser.session_cookie(EMR), browser.session_cookie(LOGIN), "each host has its own token");
    for jar in browser.cookies.values() {
        let kept = |name: &String| matches!(name.as_str(), "__Host-sekimori" | "__Host-sekimori-last");
        assert!(jar.keys().all(kept), "the ceremonies' cookies are gone: {jar:?}");
    }
    assert!(hospital.lines().contains("signed-in"));
}

#[tokio::test]
async fn the_second_app_opens_without_asking_again() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(None);
    browser.open(&hospital, CHART).await;
    let (place, response) = browser.open(&hospital, "https://pacs.hosp.example/studies").await;
    assert_eq!((place.as_str(), text(&response).as_str()), ("https://pacs.hosp.example/studies", "app"));
    assert_eq!(hospital.provider.asked().len(), 1);
    assert_eq!(hospital.store.sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_path_stays_on_the_server_while_one_signs_in() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(None);
    let first = browser.get(&hospital, "https://emr.hosp.example/patient/12345?name=yamada").await;
    assert_eq!(first.status(), StatusCode::FOUND);
    assert_eq!(first.headers()[CACHE_CONTROL], "no-store");
    let place = location(&first).unwrap();
    assert!(place.starts_with("https://login.hosp.example/sign-in?h="), "{place}");
    assert!(!place.contains("12345") && !place.contains("yamada"));
}

#[tokio::test]
async fn many_tabs_at_once_all_succeed() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(Some(ward_terminal()));
    let addresses: Vec<String> = (0..24)
        .map(|tab| if tab % 2 == 0 { format!("https://{EMR}/{tab}") } else { format!("https://{PACS}/{tab}") })
        .collect();
    // Every tab takes each step before any takes the next.
    let mut steps = addresses.clone();
    let mut answers = BTreeMap::new();
    for _ in 0..6 {
        for (tab, step) in steps.iter_mut().enumerate() {
            if let Some(back) = hospital.provider.visit(&url::Url::parse(step).unwrap()) {
                *step = back;
                continue;
            }
            let response = browser.get(&hospital, step).await;
            match location(&response) {
                Some(place) => *step = place,
                None => {
                    answers.insert(tab, (step.clone(), text(&response)));
                }
            }
        }
    }
    for (tab, address) in addresses.iter().enumerate() {
        assert_eq!(answers[&tab], (address.clone(), "app".to_owned()), "tab {tab}");
    }
    assert_eq!(hospital.store.sessions().await.unwrap().len(), 1, "the others went on with the first tab's session");
}

#[tokio::test]
async fn too_many_tabs_let_go_of_the_oldest() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(None);
    for tab in 0..100 {
        browser.get(&hospital, &format!("https://{EMR}/{tab}")).await;
        hospital.pass_seconds(1);
    }
    assert_eq!(browser.cookies[EMR].len(), 32);
    let (place, _) = browser.open(&hospital, &format!("https://{EMR}/last")).await;
    assert_eq!(place, format!("https://{EMR}/last"));
}

#[tokio::test]
async fn a_hand_off_works_only_in_the_browser_that_began_it() {
    let hospital = Hospital::open().await;
    let mut thief = Browser::at(None);
    let lure = location(&thief.get(&hospital, CHART).await).unwrap();
    let mut victim = Browser::at(None);
    let (place, response) = victim.open(&hospital, &lure).await;
    assert!(place.starts_with("https://emr.hosp.example/.sekimori/arrive?h="), "{place}");
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert!(victim.session_cookie(EMR).is_none());
    let stolen = thief.get(&hospital, &place).await;
    assert_eq!(stolen.status(), StatusCode::FOUND, "with the address and the cookie it works: that is the browser");
    let again = thief.get(&hospital, &place).await;
    assert_eq!(location(&again).as_deref(), Some("/"), "and only once");
}

#[tokio::test]
async fn an_answer_of_the_provider_works_only_in_the_browser_that_asked() {
    let hospital = Hospital::open().await;
    let mut asker = Browser::at(None);
    let login = location(&asker.get(&hospital, CHART).await).unwrap();
    let provider = location(&asker.get(&hospital, &login).await).unwrap();
    let back = hospital.provider.visit(&url::Url::parse(&provider).unwrap()).unwrap();
    let mut other = Browser::at(None);
    assert_eq!(other.get(&hospital, &back).await.status(), StatusCode::BAD_REQUEST);
    assert!(other.session_cookie(LOGIN).is_none());
    assert!(hospital.lines().contains("sign-in-failed"));
    let moved = back.replace("/callback/city", "/callback/vendor-idp");
    let mixed_up = asker.get(&hospital, &moved).await;
    assert_eq!(mixed_up.status(), StatusCode::FORBIDDEN, "at another provider's address it is refused");
    assert!(asker.session_cookie(LOGIN).is_none());
}

#[tokio::test]
async fn going_back_and_reloading_lead_on_instead_of_failing() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(None);
    let login = location(&browser.get(&hospital, CHART).await).unwrap();
    let provider = location(&browser.get(&hospital, &login).await).unwrap();
    let back = hospital.provider.visit(&url::Url::parse(&provider).unwrap()).unwrap();
    let arrive = location(&browser.get(&hospital, &back).await).unwrap();
    browser.get(&hospital, &arrive).await;
    assert_eq!(location(&browser.get(&hospital, &back).await), Some(format!("https://{PORTAL}/")));
    assert_eq!(location(&browser.get(&hospital, &arrive).await).as_deref(), Some("/"));
}

#[tokio::test]
async fn a_hand_off_that_waited_too_long_leads_to_the_portal() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(None);
    let login = location(&browser.get(&hospital, CHART).await).unwrap();
    hospital.pass_seconds(599);
    let provider = location(&browser.get(&hospital, &login).await).unwrap();
    hospital.pass_seconds(599);
    let back = hospital.provider.visit(&url::Url::parse(&provider).unwrap()).unwrap();
    let response = browser.get(&hospital, &back).await;
    let (place, response) = browser.follow(&hospital, &back, response).await;
    assert_eq!((place, response.status()), (format!("https://{PORTAL}/"), StatusCode::OK));
}

#[tokio::test]
async fn several_providers_give_a_choice_and_the_hint_travels() {
    let hospital = Hospital::with_providers(2).await;
    let mut browser = Browser::at(None);
    let page = browser.get(&hospital, &format!("https://{LOGIN}/sign-in?login_hint=v.tanaka")).await;
    assert_eq!(page.status(), StatusCode::OK);
    let way = "/begin?login_hint=v.tanaka&#38;provider=vendor-idp";
    assert!(text(&page).contains(way), "{}", text(&page));
    let (place, response) =
        browser.open(&hospital, &format!("https://{LOGIN}/begin?login_hint=v.tanaka&provider=vendor-idp")).await;
    assert_eq!((place, response.status()), (format!("https://{PORTAL}/"), StatusCode::OK));
    assert_eq!(hospital.provider.asked()[0]["login_hint"], "v.tanaka");
    let unknown = browser.get(&hospital, &format!("https://{LOGIN}/begin?provider=nobody")).await;
    assert_eq!(unknown.status(), StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn the_portal_shows_what_may_be_opened_and_nothing_else() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(Some(ward_terminal()));
    let (_, response) = browser.open(&hospital, &format!("https://{PORTAL}/?login_hint=n.sato")).await;
    let page = text(&response);
    for shown in ["佐藤 花子", "看護師", "ward3-pc1", "病棟の共用端末", "電子カルテ", "https://emr.hosp.example/"]
    {
        assert!(page.contains(shown), "{shown}");
    }
    assert!(!page.contains("医事会計"), "the policy would not open it");
    assert_eq!(hospital.provider.asked()[0]["login_hint"], "n.sato");
}

#[tokio::test]
async fn a_session_carried_to_another_device_opens_nothing() {
    let hospital = Hospital::open().await;
    let mut ward = Browser::at(Some(ward_terminal()));
    ward.open(&hospital, CHART).await;
    let mut thief = Browser { device: None, ..ward.clone() };
    let (place, _) = thief.open(&hospital, &format!("https://{LOGIN}/sign-in")).await;
    assert_eq!(hospital.provider.asked().len(), 2, "it had to sign in, to get to {place}");
}

#[tokio::test]
async fn stepping_up_asks_the_provider_again_and_changes_the_session() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(None);
    browser.open(&hospital, CHART).await;
    let before = browser.session_cookie(EMR).cloned();
    hospital.pass_seconds(60);
    let (host, path, query) = parts(CHART);
    let step_up = Challenge::StepUp(Assurance::Aal2);
    let challenged = challenged(step_up, &host, path, query, browser.headers(EMR), hospital.now());
    let sent = hospital.site.sign_in_redirect(&challenged).await;
    for cookie in sent.headers().get_all(SET_COOKIE) {
        let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        browser.cookies.get_mut(EMR).unwrap().insert(name.to_owned(), value.to_owned());
    }
    let page = browser.get(&hospital, &location(&sent).unwrap()).await;
    assert_eq!(page.status(), StatusCode::OK, "one is told why");
    assert!(text(&page).contains("もう一度、本人確認をお願いします") && text(&page).contains("佐藤 花子"));
    let go = text(&page).split("href=\"/begin").nth(1).unwrap().split('"').next().unwrap().replace("&#38;", "&");
    let (place, response) = browser.open(&hospital, &format!("https://{LOGIN}/begin{go}")).await;
    assert_eq!((place.as_str(), text(&response).as_str()), (CHART, "app"));
    let asked = &hospital.provider.asked()[1];
    assert_eq!((asked["prompt"].as_str(), asked["max_age"].as_str()), ("login", "0"));
    assert_eq!(asked["acr_values"], "mfa");
    assert_ne!(browser.session_cookie(EMR).cloned(), before);
    assert_eq!(hospital.store.sessions().await.unwrap().len(), 1, "the session before has ended");
    assert!(hospital.lines().contains("stepped-up"));
}

#[tokio::test]
async fn when_someone_else_signs_in_everything_of_the_person_before_ends() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(Some(ward_terminal()));
    browser.open(&hospital, CHART).await;
    browser.open(&hospital, &format!("https://{PACS}/")).await;
    hospital.provider.seat("d.ito", &["nurses"]);
    browser.cookies.remove(LOGIN);
    browser.cookies.get_mut(EMR).unwrap().clear();
    browser.open(&hospital, CHART).await;
    let start = format!("https://{PACS}/.sekimori/sign-in");
    browser.open(&hospital, &start).await;
    let left = hospital.store.sessions().await.unwrap();
    let open: Vec<_> = left.iter().filter(|(session, _)| session.parked_at.is_none()).collect();
    assert_eq!((open.len(), open[0].1.login.as_str()), (1, "d.ito"), "on a shared terminal the other waits, parked");
    assert_eq!(left.len(), 2);
}

#[tokio::test]
async fn signing_out_ends_the_session_everywhere_and_goes_on_to_the_provider() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(Some(ward_terminal()));
    browser.open(&hospital, CHART).await;
    browser.open(&hospital, &format!("https://{PORTAL}/")).await;
    let response = browser.post(&hospital, &format!("https://{EMR}/.sekimori/sign-out"), "").await;
    assert_eq!(response.status(), StatusCode::OK);
    let refresh = response.headers()[REFRESH].to_str().unwrap();
    assert!(refresh.starts_with("0; url=https://city.example/end?client_id=sekimori&"), "{refresh}");
    assert!(refresh.contains("post_logout_redirect_uri=https%3A%2F%2Flogin.hosp.example%2Fsigned-out"));
    assert!(refresh.contains("id_token_hint="));
    assert!(browser.session_cookie(EMR).is_none());
    assert!(hospital.store.sessions().await.unwrap().is_empty());
    let portal = browser.get(&hospital, &format!("https://{PORTAL}/")).await;
    assert_eq!(portal.status(), StatusCode::FOUND, "the portal's token opens nothing");
    let after = browser.get(&hospital, &format!("https://{LOGIN}/signed-out")).await;
    assert!(text(&after).contains("サインアウトしました"));
    assert!(browser.session_cookie(LOGIN).is_none());
    assert!(hospital.lines().contains("signed-out"));
}

#[tokio::test]
async fn sessions_of_tabs_that_signed_in_in_parallel_end_together() {
    let hospital = Hospital::open().await;
    let mut one = Browser::at(None);
    let mut other = Browser::at(None);
    one.open(&hospital, CHART).await;
    other.open(&hospital, CHART).await;
    hospital.pass_seconds(700);
    let mut later = Browser::at(None);
    later.open(&hospital, CHART).await;
    assert_eq!(hospital.store.sessions().await.unwrap().len(), 3);
    one.post(&hospital, &format!("https://{EMR}/.sekimori/sign-out"), "").await;
    assert_eq!(hospital.store.sessions().await.unwrap().len(), 1, "a phone that signed in later stays");
}

#[tokio::test]
async fn nobody_is_signed_out_by_another_site_or_by_a_link() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(None);
    browser.open(&hospital, CHART).await;
    let address = format!("https://{EMR}/.sekimori/sign-out");
    for origin in ["https://evil.example", "https://pacs.hosp.example", "null"] {
        let mut headers = browser.headers(EMR);
        headers.insert("origin", origin.parse().unwrap());
        let response = browser.send(&hospital, "POST", &address, headers, bytes::Bytes::new()).await;
        assert_eq!(response.status(), StatusCode::FORBIDDEN, "{origin}");
    }
    let headers = browser.headers(EMR);
    let bare = browser.send(&hospital, "POST", &address, headers, bytes::Bytes::new()).await;
    assert_eq!(bare.status(), StatusCode::FORBIDDEN, "no word on where it comes from");
    let link = browser.get(&hospital, &address).await;
    assert!(text(&link).contains("サインアウトしますか"));
    assert_eq!(hospital.store.sessions().await.unwrap().len(), 1);
}

#[tokio::test]
async fn signing_out_works_while_the_provider_is_down() {
    let mut hospital = Hospital::open().await;
    let mut browser = Browser::at(None);
    browser.open(&hospital, CHART).await;
    hospital.provider.go_down();
    hospital.restart();
    let response = browser.post(&hospital, &format!("https://{EMR}/.sekimori/sign-out"), "").await;
    assert_eq!(response.status(), StatusCode::OK);
    assert!(text(&response).contains("サインアウトしました"));
    assert!(
        text(&response).contains("ブラウザーの画面をすべて閉じてください"),
        "the provider may still know the person"
    );
}

#[tokio::test]
async fn a_provider_that_is_down_or_says_no_is_told_as_it_is() {
    let hospital = Hospital::open().await;
    hospital.provider.refuse();
    let mut browser = Browser::at(None);
    let (_, refused) = browser.open(&hospital, CHART).await;
    assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    assert!(text(&refused).contains("サインインできませんでした") && text(&refused).contains("/.sekimori/sign-in"));
    assert!(browser.session_cookie(LOGIN).is_none());
    let hospital = Hospital::open().await;
    hospital.provider.go_down();
    let (_, down) = Browser::at(None).open(&hospital, CHART).await;
    assert_eq!(down.status(), StatusCode::BAD_GATEWAY);
    assert!(text(&down).contains("サインイン先につながりません"));
    assert!(hospital.lines().contains("provider-unavailable"));
}

#[tokio::test]
async fn nobody_is_signed_in_without_a_record() {
    let hospital = Hospital::open().await;
    hospital.log.stop();
    let mut browser = Browser::at(None);
    let (_, response) = browser.open(&hospital, CHART).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(text(&response).contains("記録できないため止めました"));
    assert!(browser.session_cookie(LOGIN).is_none() && browser.session_cookie(EMR).is_none());
    assert!(hospital.store.sessions().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_posted_form_waits_while_its_person_signs_in_beside_it() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(Some(ward_terminal()));
    let address = format!("https://{EMR}/notes?patient=1");
    let form = "text=%E5%9B%9E%E8%A8%BA%0D%0A%3Cb%3E%22x%22&text=2&save=";
    let page = browser.post(&hospital, &address, form).await;
    assert_eq!(page.status(), StatusCode::UNAUTHORIZED);
    let html = text(&page);
    assert!(html.contains("action=\"/notes?patient=1\""), "{html}");
    assert!(html.contains("href=\"/.sekimori/sign-in?then=tell\" target=\"_blank\""));
    assert!(html.contains("name=\"text\" value=\"回診\r\n&#60;b&#62;&#34;x&#34;\""), "{html}");
    assert!(html.contains("name=\"save\" value=\"\""));
    let (place, told) = browser.open(&hospital, &format!("https://{EMR}/.sekimori/sign-in?then=tell")).await;
    assert_eq!(place, format!("https://{EMR}/.sekimori/signed-in"));
    assert!(text(&told).contains("サインインできました"));
    assert_eq!(text(&browser.post(&hospital, &address, form).await), "app");
}

#[tokio::test]
async fn a_form_is_not_kept_where_keeping_would_change_it_or_help_an_attacker() {
    let hospital = Hospital::open().await;
    let browser = Browser::at(None);
    let check = |fields: &[(&'static str, &'static str)], body: Option<&'static [u8]>| {
        let mut headers = browser.headers(EMR);
        headers.insert("content-type", "application/x-www-form-urlencoded".parse().unwrap());
        headers.insert("origin", "https://emr.hosp.example".parse().unwrap());
        for (name, value) in fields {
            headers.insert(*name, value.parse().unwrap());
        }
        let path = Path::parse("/notes").unwrap();
        let challenged = challenged(Challenge::SignIn, EMR, path, String::new(), headers, hospital.now());
        let body = body.map(bytes::Bytes::from_static);
        let page = hospital.site.session_over_form(&challenged, body.as_ref());
        assert_eq!(page.status(), StatusCode::UNAUTHORIZED);
        text(&page).contains("secret")
    };
    assert!(check(&[], Some(b"a=secret")));
    assert!(check(&[("content-type", "application/x-www-form-urlencoded; charset=UTF-8")], Some(b"a=secret")));
    assert!(!check(&[("origin", "https://evil.example")], Some(b"a=secret")), "another site's form");
    assert!(!check(&[("origin", "https://pacs.hosp.example")], Some(b"a=secret")), "a neighbour's form");
    assert!(!check(&[("sec-fetch-site", "cross-site")], Some(b"a=secret")));
    assert!(!check(&[("content-type", "multipart/form-data; boundary=x")], Some(b"a=secret")));
    assert!(!check(&[("content-type", "application/x-www-form-urlencoded; charset=Shift_JIS")], Some(b"a=secret")));
    assert!(!check(&[], Some(b"a=secret&b=%89%F1%90f")), "Shift_JIS");
    assert!(!check(&[], Some(b"a=secret&b=%00")));
    assert!(!check(&[], None), "too large");
}

#[tokio::test]
async fn the_language_is_chosen_by_a_form_and_leads_back_here_only() {
    let hospital = Hospital::open().await;
    let mut browser = Browser::at(None);
    let address = format!("https://{LOGIN}/.sekimori/language");
    let response = browser.post(&hospital, &address, "language=en&back=%2Fsigned-out").await;
    assert_eq!(location(&response).as_deref(), Some("/signed-out"));
    let page = browser.get(&hospital, &format!("https://{LOGIN}/signed-out")).await;
    assert!(text(&page).contains("<html lang=\"en\">") && text(&page).contains("You are signed out"));
    let elsewhere = browser.post(&hospital, &address, "language=ja&back=%2F%2Fevil.example").await;
    assert_eq!(location(&elsewhere).as_deref(), Some("/"));
    let nonsense = browser.post(&hospital, &address, "language=xx").await;
    assert_eq!(nonsense.status(), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn assertion_keys_are_published_on_the_login_host() {
    let hospital = Hospital::open().await;
    let response = Browser::at(None).get(&hospital, &format!("https://{LOGIN}/.well-known/jwks.json")).await;
    let keys: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(keys["keys"][0]["kty"], "EC");
    assert!(keys["keys"][0].get("d").is_none(), "the private part stays here");
    let home = Browser::at(None).get(&hospital, &format!("https://{LOGIN}/")).await;
    assert_eq!(location(&home), Some(format!("https://{PORTAL}/")));
}
