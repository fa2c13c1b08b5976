//! An app that cannot be patched stands behind a shield: only what it needs reaches it, and what comes back is strict.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use tests::{Answer, Ask, Plan, Upstream, empty, fed, full};

use crate::stream::handshake;
use crate::ward::Ward;

const SHIELD: &str = r#"
[app.shield]
methods = ["GET", "HEAD", "POST"]
paths = ["/forms/*", "/headers/*", "/save/*", "/bytes/*", "/socket/*"]
content_types = ["application/x-www-form-urlencoded", "image/*"]
body_max = "1KiB"
no_store = true
strict_headers = true
downloads = "forbid"
"#;

async fn ward(shield: &str) -> Ward {
    let emr = Upstream::http1();
    Ward::around(emr.clone(), Plan::new().app("emr", emr.address(), shield)).await
}

fn post(ward: &Ward, kind: &str, bytes: usize) -> Ask {
    let ask = ward.ask("POST", "/forms/1").body(full(vec![b'a'; bytes]));
    if kind.is_empty() { ask } else { ask.header("content-type", kind) }
}

/// What the log says of the last request that was kept from the app.
fn why(ward: &Ward) -> String {
    let records = ward.hospital.records();
    records.with("ev", "bad-request").last()["why"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn only_the_methods_paths_and_contents_it_needs_reach_it() {
    let ward = ward(SHIELD).await;
    let ask = async |ask: Ask| -> Answer { ward.caller.ask(ask).await };
    let answer = ask(ward.ask("DELETE", "/forms/1")).await.expect_problem(405, "method-not-served");
    assert_eq!(answer.header("allow"), "GET, HEAD, POST");
    assert_eq!(why(&ward), "shield-method");
    for method in ["PUT", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get"] {
        ask(ward.ask(method, "/forms/1")).await.expect_problem(405, "method-not-served");
    }
    for path in ["/", "/forms", "/admin/forms/1", "/FORMS/1", "/headers"] {
        ask(ward.get(path)).await.expect_problem(404, "not-found");
    }
    assert_eq!(why(&ward), "shield-path");
    for kind in ["", "application/json", "text/xml; x=image/png", "multipart/form-data"] {
        ask(post(&ward, kind, 10)).await.expect_problem(415, "content-not-served");
    }
    assert_eq!(why(&ward), "shield-content");
    let twice = post(&ward, "image/png", 10).header("content-type", "text/xml");
    ask(twice).await.expect_problem(415, "content-not-served");
    ask(post(&ward, "image/png", 1_025)).await.expect_problem(413, "body-too-large");
    ask(handshake(ward.get("/socket/1"))).await.expect_problem(405, "method-not-served");
    // Before anybody is asked who they are: a scan ends here.
    ask(Ask::new("PUT", "emr", "/forms/1")).await.expect_problem(405, "method-not-served");
    assert!(ward.emr.seen().is_empty(), "{:?}", ward.emr.seen());

    ask(ward.get("/forms/1")).await.expect(200);
    ask(ward.ask("POST", "/forms/1").body(empty())).await.expect(200);
    ask(post(&ward, "Application/x-www-form-urlencoded; charset=utf-8", 1_024)).await.expect(200);
    ask(post(&ward, "image/png", 10)).await.expect(200);
    assert_eq!(ward.emr.seen().len(), 4);
}

#[tokio::test]
async fn its_headers_are_strict_in_both_directions() {
    let ward = ward(SHIELD).await;
    let ask = ward
        .get("/headers/1")
        .header("accept-language", "ja")
        .header("x-http-method-override", "DELETE")
        .header("x-debug", "1")
        .header("soapaction", "\"drop\"");
    let answer = ward.caller.ask(ask).await.expect(200);
    let seen = ward.emr.last();
    for gone in ["x-http-method-override", "x-debug", "soapaction"] {
        assert_eq!(seen.header(gone), "", "{gone}");
    }
    assert_eq!(seen.header("accept-language"), "ja");
    assert_ne!(seen.header("sekimori-assertion"), "", "what the gateway tells arrives");
    for gone in ["server", "x-powered-by", "access-control-allow-origin"] {
        assert_eq!(answer.header(gone), "", "{gone}");
    }
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("x-content-type-options"), "nosniff");
    assert_eq!(answer.header("x-app"), "kept");
}

#[tokio::test]
async fn what_a_browser_would_save_is_not_handed_out() {
    let ward = ward(SHIELD).await;
    ward.caller.ask(ward.get("/save/patients.csv")).await.expect_problem(403, "download-forbidden");
    let closing = ward.closing("/save/patients.csv").await;
    assert_eq!((&closing["end"], &closing["st"]), (&"refused".into(), &403.into()), "{closing}");
    // The app does not say what these are.
    ward.caller.ask(ward.get("/bytes/10")).await.expect_problem(403, "download-forbidden");
    ward.caller.ask(ward.get("/bytes/0")).await.expect(200);
    ward.caller.ask(ward.ask("HEAD", "/bytes/10")).await.expect(200);
}

#[tokio::test]
async fn no_trailers_reach_it() {
    for (shield, came) in [("", "1"), ("[app.shield]\nstrict_headers = true", "")] {
        for http2 in [false, true] {
            let (app, protocol) =
                if http2 { (Upstream::http2(), "protocol = \"http2\"\n") } else { (Upstream::http1(), "") };
            let plan = Plan::new().app("emr", app.address(), &format!("{protocol}{shield}"));
            let ward = Ward::around(app, plan).await;
            let (sender, body) = fed();
            sender.send(Frame::data(Bytes::from_static(b"ping"))).await.unwrap();
            let mut trailers = HeaderMap::new();
            trailers.insert("x-asked", HeaderValue::from_static("1"));
            sender.send(Frame::trailers(trailers)).await.unwrap();
            drop(sender);
            let ask =
                ward.ask("POST", "/trailers/1").header("content-type", "application/grpc").header("te", "trailers");
            let answer = ward.caller.http2("emr").await.answer(ask.body(body)).await.expect(200);
            assert_eq!(answer.text(), "ping");
            assert_eq!(answer.trailers["grpc-status"], "0");
            let echoed = answer.trailers.get("x-asked").map_or("", |value| value.to_str().unwrap());
            assert_eq!(echoed, came, "http2 {http2}, {shield}");
        }
    }
}

#[tokio::test]
async fn an_app_without_a_shield_is_as_before() {
    let ward = ward("").await;
    let answer = ward.caller.ask(ward.get("/save/patients.csv").header("x-debug", "1")).await.expect(200);
    assert_eq!(answer.header("content-disposition"), "attachment; filename=\"patients.csv\"");
    assert_eq!(ward.emr.last().header("x-debug"), "1");
    assert_eq!(ward.caller.ask(ward.get("/headers/1")).await.header("server"), "Apache/1.3.0");
    ward.caller.ask(ward.ask("PROPFIND", "/a")).await.expect(200);
}
