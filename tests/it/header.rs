//! What travels between client and app, and what never does (RFC 9110 section 7.6; T-03, T-04 and T-09 in docs/threats.md).

use tests::{Plan, RawUpstream, Upstream};

use crate::ward::Ward;

/// Fields by which a client could pretend to be someone or somewhere, in spellings that an app might read alike.
const PRETENCES: [&str; 13] = [
    "x-user",
    "X_User",
    "x_user",
    "x-forwarded-user",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x_forwarded_for",
    "forwarded",
    "x-real-ip",
    "x-sekimori-assertion",
    "x_sekimori_assertion",
    "sekimori-assertion",
];

async fn ward() -> Ward {
    let emr = Upstream::http1();
    let identity = "assertion = true\nidentity_headers = { \"x-user\" = \"login\", \"x-role\" = \"roles\" }";
    Ward::around(emr.clone(), Plan::new().app("emr", emr.address(), identity)).await
}

#[tokio::test]
async fn identity_that_the_client_claims_never_reaches_the_app() {
    let ward = ward().await;
    let ask = PRETENCES.iter().fold(ward.get("/a"), |ask, name| ask.header(name, "director"));
    ward.caller.ask(ask).await.expect(200);
    let seen = ward.emr.last();
    for (name, value) in &seen.headers {
        assert!(!value.to_str().unwrap().contains("director"), "{name} reached the app");
    }
    assert_eq!(seen.header("x-user"), "doctor");
    assert_eq!(seen.header("x-role"), "doctor");
}

#[tokio::test]
async fn an_app_that_asked_for_no_identity_is_sent_none_and_the_claims_are_removed_all_the_same() {
    let ward = Ward::open().await;
    for method in ["GET", "OPTIONS", "POST"] {
        let ask = ward.ask(method, "/a").header("X-Forwarded-For", "10.0.0.1").header("x_forwarded_user", "director");
        ward.caller.ask(ask).await.expect(200);
        let seen = ward.emr.last();
        assert!(seen.headers.values().all(|value| !value.to_str().unwrap().contains("director")));
        assert!(!seen.header("x-forwarded-for").contains("10.0.0.1"));
    }
}

#[tokio::test]
async fn hop_by_hop_fields_end_at_the_gateway_in_both_directions() {
    let ward = Ward::open().await;
    let ask = ward
        .get("/headers/1")
        .header("connection", "x-mine, close")
        .header("x-mine", "1")
        .header("te", "deflate")
        .header("proxy-authorization", "Basic eA==")
        .header("keep-alive", "timeout=5")
        .header("x-end-to-end", "1");
    let answer = ward.caller.ask(ask).await.expect(200);
    let seen = ward.emr.last();
    for name in ["x-mine", "te", "proxy-authorization", "keep-alive"] {
        assert!(!seen.headers.contains_key(name), "{name} reached the app");
    }
    assert_eq!(seen.header("x-end-to-end"), "1");
    for name in ["x-hop", "keep-alive", "proxy-authenticate"] {
        assert!(!answer.headers.contains_key(name), "{name} reached the client");
    }
    assert_eq!(answer.header("x-app"), "kept");
}

#[tokio::test]
async fn a_connection_field_cannot_take_away_what_the_gateway_adds() {
    let ward = ward().await;
    let ask = ward.get("/a").header("connection", "x-user, x-role, host, cookie, content-length, x-forwarded-for");
    let answer = ward.caller.ask(ask).await;
    if answer.status == 200 {
        let seen = ward.emr.last();
        assert_eq!(seen.header("x-user"), "doctor");
        assert!(!seen.header("host").is_empty());
    } else {
        assert_eq!(answer.status, 400);
    }
}

#[tokio::test]
async fn the_app_learns_host_address_and_scheme_from_the_gateway_alone() {
    let ward = Ward::open().await;
    let ask = ward.get("/a").header("x-forwarded-proto", "http").header("x-forwarded-host", "evil.test");
    ward.caller.ask(ask).await.expect(200);
    let seen = ward.emr.last();
    assert_eq!(seen.header("host"), "emr.hospital.test:8443");
    for (name, expected) in [("x-forwarded-proto", "https"), ("x-forwarded-host", "emr.hospital.test:8443")] {
        assert!(seen.header(name).is_empty() || seen.header(name) == expected, "{name}: {}", seen.header(name));
    }
    assert!(seen.header("x-forwarded-for").is_empty() || seen.header("x-forwarded-for") == "127.0.0.1");
}

#[tokio::test]
async fn an_answer_that_could_be_read_twice_is_not_passed_on() {
    for (what, bytes) in [
        (
            "two framings",
            "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        ),
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc"),
        ("a folded field", "HTTP/1.1 200 OK\r\nX-A: b\r\n c\r\nContent-Length: 3\r\n\r\nabc"),
        ("a null", "HTTP/1.1 200 OK\r\nX-A: b\0\r\nContent-Length: 3\r\n\r\nabc"),
        ("not HTTP", "220 smtp.hospital.test ESMTP\r\n\r\n"),
        (
            "a switch nobody asked for",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n",
        ),
    ] {
        let app = RawUpstream::answering(bytes);
        let ward = Ward::around(Upstream::http1(), Plan::with_emr(app.address())).await;
        let answer = ward.caller.ask(ward.get("/a")).await;
        // A reader that takes chunks and drops the length, and says so by sending only one, reads it in one way.
        let single = answer.status == 200
            && !(answer.headers.contains_key("content-length") && answer.headers.contains_key("transfer-encoding"));
        assert!(answer.status == 502 || (what == "two framings" && single), "{what}: {}", answer.status);
    }
}

#[tokio::test]
async fn an_app_cannot_weaken_transport_security() {
    let ward = Ward::open().await;
    let answer = ward.caller.ask(ward.get("/headers/1")).await.expect(200);
    let said = answer.all("strict-transport-security");
    assert!(said.iter().all(|one| !one.contains("max-age=0")), "{said:?}");
}

#[tokio::test]
async fn http_1_and_http_2_clients_are_sent_through_alike() {
    let ward = Ward::open().await;
    let over_1 = ward.caller.ask(ward.get("/a?b")).await.expect(200).json();
    let over_2 = ward.caller.http2("emr").await.answer(ward.get("/a?b")).await.expect(200).json();
    assert_eq!(over_1["target"], over_2["target"]);
    let names = |told: &serde_json::Value| -> Vec<String> {
        let fields = told["headers"].as_array().unwrap().iter();
        let mut names: Vec<String> = fields.map(|field| field[0].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&over_1), names(&over_2));
}
