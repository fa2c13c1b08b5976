//! The gateway's cookies stay between it and the browser (T-10 in docs/threats.md).

use tests::Ask;

use crate::ward::Ward;

#[tokio::test]
async fn the_gateways_cookies_never_reach_an_app_and_the_apps_own_do() {
    let ward = Ward::open().await;
    let own = ward.cookie();
    for (sent, kept) in [
        (format!("{own}; emr=1; lang=ja"), "emr=1; lang=ja"),
        (format!("emr=1; {own}"), "emr=1"),
        (format!("a=1;{own};b=2"), "a=1; b=2"),
        (format!("{own}; __Host-sekimori-h-0=x; __Host-sekimori-lang=en; __host-SEKIMORI-o-1=x"), ""),
    ] {
        ward.caller.ask(Ask::get("emr", "/a").header("cookie", &sent)).await.expect(200);
        assert_eq!(ward.emr.last().header("cookie"), kept, "{sent}");
    }
}

#[tokio::test]
async fn no_token_is_in_anything_the_app_sees() {
    let ward = Ward::open().await;
    let cookie = format!("a=1; {}", ward.cookie());
    // HTTP/2 clients send cookies as several fields.
    let ask = Ask::get("emr", "/a").header("cookie", "b=2").header("cookie", &cookie);
    let told = ward.caller.http2("emr").await.answer(ask).await.expect(200).text();
    assert!(!told.contains(ward.doctor.token("emr")), "{told}");
    assert!(told.contains("b=2") && told.contains("a=1"), "{told}");
}

#[tokio::test]
async fn two_different_tokens_are_no_token() {
    let ward = Ward::open().await;
    let nurse = ward.sign_in("nurse").await;
    let both = format!("{}; {}", ward.cookie(), nurse.cookie("emr"));
    let answer = ward.caller.ask(Ask::get("emr", "/a").header("cookie", &both)).await;
    assert!(matches!(answer.status, 400 | 401), "{}", answer.status);
    assert!(ward.emr.seen().is_empty());
}

#[tokio::test]
async fn an_app_cannot_set_or_shadow_the_gateways_cookies() {
    let ward = Ward::open().await;
    let answer = ward.caller.ask(ward.get("/cookies/1")).await.expect(200);
    assert_eq!(answer.all("set-cookie"), ["emr=1; Path=/; HttpOnly"]);
}

#[tokio::test]
async fn the_cookies_of_a_sign_in_are_for_one_host_https_and_no_script() {
    let ward = Ward::open().await;
    let answer = ward.caller.ask(Ask::get("emr", "/a").as_browser()).await.expect(302);
    let cookies = answer.all("set-cookie");
    assert!(!cookies.is_empty(), "the sign-in is bound to this browser");
    for cookie in cookies {
        let lower = cookie.to_ascii_lowercase();
        assert!(cookie.starts_with("__Host-"), "{cookie}");
        for attribute in ["; secure", "; httponly", "; path=/", "; samesite="] {
            assert!(lower.contains(attribute), "{cookie} lacks {attribute}");
        }
        assert!(!lower.contains("domain="), "{cookie}");
    }
}
