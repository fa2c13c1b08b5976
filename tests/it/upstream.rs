//! What stands behind the gateway: several servers, servers that are gone, slow or speak TLS.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ServerConfig;
use rustls::server::WebPkiClientVerifier;
use tests::{Authority, ClientAuthority, Folder, Hospital, Plan, Upstream, eventually};

use crate::ward::Ward;

/// An address where nobody listens.
fn nobody() -> String {
    let socket = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", socket.local_addr().unwrap())
}

#[tokio::test]
async fn the_next_server_answers_when_the_first_is_gone() {
    let emr = Upstream::http1();
    let servers = [nobody(), format!("http://{}", emr.address())];
    let ward = Ward::around(emr, Plan::new().app_at("emr", &servers, "health_path = \"/healthy\"")).await;
    for _ in 0..5 {
        ward.caller.ask(ward.get("/a")).await.expect(200);
    }
    ward.caller.ask(ward.ask("POST", "/a")).await.expect(200);
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_again() {
    let first = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = first.local_addr().unwrap();
    drop(first);
    let second = Upstream::http1();
    let servers = [format!("http://{address}"), format!("http://{}", second.address())];
    let plan = Plan::new().app_at("emr", &servers, "health_path = \"/healthy\"");
    let ward = Ward::around(second, plan).await;
    ward.caller.ask(ward.get("/a")).await.expect(200);
    let back = Upstream::http1_at(address);
    eventually("the first server is used", async || {
        ward.caller.ask(ward.get("/a")).await.expect(200);
        (!back.seen().is_empty()).then_some(())
    })
    .await;
}

#[tokio::test]
async fn when_no_server_answers_the_person_is_told_and_it_is_recorded() {
    let ward = Ward::around(Upstream::http1(), Plan::new().app_at("emr", &[nobody(), nobody()], "")).await;
    ward.caller.ask(ward.get("/a")).await.expect_problem(502, "app-unreachable");
    let closing = ward.closing("/a").await;
    assert_eq!((&closing["end"], &closing["st"]), (&"upstream-failed".into(), &502.into()));
}

#[tokio::test]
async fn a_write_is_never_sent_twice() {
    // The server takes the request and hangs up without a word: it may or may not have been done.
    let broken = tests::RawUpstream::answering("");
    let emr = Upstream::http1();
    let servers = [format!("http://{}", broken.address()), format!("http://{}", emr.address())];
    let ward = Ward::around(emr, Plan::new().app_at("emr", &servers, "")).await;
    ward.caller.ask(ward.ask("POST", "/notes")).await.expect(502);
    assert_eq!(broken.heads().len(), 1);
    assert!(ward.emr.seen().is_empty(), "{:?}", ward.emr.seen());
}

#[tokio::test]
async fn a_server_that_does_not_answer_in_time_is_given_up() {
    let emr = Upstream::http1();
    let ward = Ward::around(emr.clone(), Plan::new().app("emr", emr.address(), "response_timeout = \"1s\"")).await;
    let begin = Instant::now();
    ward.caller.ask(ward.get("/hold/1")).await.expect_problem(504, "app-timeout");
    assert!(begin.elapsed() < Duration::from_secs(4));
    assert_eq!(ward.closing("/hold/1").await["end"], "upstream-timeout");
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_look_whole() {
    let app = tests::RawUpstream::answering("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf");
    let ward = Ward::around(Upstream::http1(), Plan::with_emr(app.address())).await;
    let mut connection = ward.caller.http1("emr").await;
    // The connection may break before or after the head was sent on, but never is the answer whole.
    if let Ok(response) = connection.send(ward.get("/a")).await {
        assert!(tests::Answer::read(response).await.is_err());
    }
    assert_eq!(ward.closing("/a").await["end"], "upstream-failed");
}

/// TLS of an app: its own certificate from this CA, and a demand for a client certificate where `clients` is given.
fn app_tls(folder: &Folder, authority: &Authority, clients: Option<&ClientAuthority>) -> ServerConfig {
    let files = authority.issue(folder.path(), "app", &["emr.inside.test"]);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions();
    let builder = builder.unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(clients) => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(clients.roots(), provider).build().unwrap(),
        ),
    };
    let (chain, key) = tests::chain_and_key(&files);
    builder.with_single_cert(chain, key).unwrap()
}

/// The answer's status through an app whose TLS settings are `tls`.
async fn status_through(tls: ServerConfig, more: &str, files: impl FnOnce(&Folder)) -> (u16, String) {
    let app = Upstream::https(tls);
    let server = [format!("https://{}", app.address())];
    let mut hospital = Hospital::build(Plan::new());
    files(hospital.folder());
    let plan = hospital.plan().clone().app_at("emr", &server, more);
    hospital.folder().write("sekimori.toml", plan.text());
    hospital.start();
    let terminal = tests::Device::add(&hospital, "ward-pc-1", "fixed").await;
    let doctor = tests::Session::open(&hospital, "doctor", Some(&terminal), &["emr"]).await;
    let answer = hospital.caller(&terminal).ask(tests::Ask::get("emr", "/a").signed_in(&doctor)).await;
    (answer.status, hospital.log_text())
}

#[tokio::test]
async fn an_app_is_reached_by_tls_only_with_the_certificate_the_settings_name() {
    let (folder, inside, other) = (Folder::new(), Authority::new(), Authority::new());
    let named = "[app.upstream_tls]\nca_file = \"inside.pem\"\nserver_name = \"emr.inside.test\"";
    let misnamed = named.replace("emr.inside", "labs.inside");
    for (what, settings, trusted, expected) in [
        ("as it should be", named, &inside, 200),
        ("another CA", named, &other, 502),
        ("another name", &misnamed, &inside, 502),
    ] {
        let tls = app_tls(&folder, &inside, None);
        let (status, log) = status_through(tls, settings, |folder| trusted.save(&folder.join("inside.pem"))).await;
        assert_eq!(status, expected, "{what}: {log}");
    }
}

#[tokio::test]
async fn an_app_that_demands_a_certificate_of_the_gateway_gets_it() {
    let (folder, inside) = (Folder::new(), Authority::new());
    let clients = ClientAuthority::new(folder.path());
    let without = "[app.upstream_tls]\nca_file = \"inside.pem\"\nserver_name = \"emr.inside.test\"\n";
    let with = format!("{without}client_certificate = \"gateway.pem\"\nclient_key = \"gateway.key\"");
    for (settings, expected) in [(with.as_str(), 200), (without, 502)] {
        let files = |folder: &Folder| {
            inside.save(&folder.join("inside.pem"));
            clients.issue(folder.path(), "gateway");
        };
        let (status, log) = status_through(app_tls(&folder, &inside, Some(&clients)), settings, files).await;
        assert_eq!(status, expected, "{log}");
    }
}
