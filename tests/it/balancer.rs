//! Behind a balancer that says by the PROXY protocol whom it connects for.

use std::net::{SocketAddr, TcpListener};

use tests::{Ask, Plan, Upstream, eventually};

use crate::ward::Ward;

/// A header of version 2 for an IPv4 client, or the balancer's own health check.
fn header(client: Option<[u8; 4]>) -> Vec<u8> {
    let mut header = b"\r\n\r\n\0\r\nQUIT\n".to_vec();
    match client {
        Some(client) => {
            header.extend([0x21, 0x11, 0, 12]);
            header.extend(client);
            header.extend([10, 0, 0, 1, 0x30, 0x39, 1, 0xbb]);
        }
        None => header.extend([0x20, 0, 0, 0]),
    }
    header
}

/// A ward with a further listener, behind a balancer at 127.0.0.1; its clients come from one network.
async fn ward() -> (Ward, SocketAddr) {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listener = format!(
        "[[listener]]\naddress = \"{free}\"\nzone = \"balanced\"\nclient_certificates = \"optional\"\n\
         proxy_protocol_from = [\"127.0.0.1\"]\nsources = [\"192.0.2.0/24\"]"
    );
    let emr = Upstream::http1();
    let ward = Ward::around(emr.clone(), Plan::with_emr(emr.address()).block(&listener)).await;
    (ward, free)
}

#[tokio::test]
async fn the_address_that_is_judged_and_recorded_is_the_clients() {
    let (ward, balanced) = ward().await;
    let caller = ward.caller.at(balanced);
    let stream = caller.connect_behind(&header(Some([192, 0, 2, 7])), "emr", &[b"http/1.1"]).await.unwrap();
    let mut line = tests::Http1::on(stream).await;
    line.answer(ward.get("/balanced")).await.expect(200);
    let record = ward.hospital.records().opened("/balanced").only().clone();
    assert_eq!((record["ip"].as_str(), record["zone"].as_str()), (Some("192.0.2.7"), Some("balanced")), "{record}");
    assert!(ward.emr.last().header("x-forwarded-for").contains("192.0.2.7"));
}

#[tokio::test]
async fn a_client_that_is_not_listed_is_closed_whatever_its_balancer_says() {
    let (ward, balanced) = ward().await;
    let caller = ward.caller.at(balanced);
    assert!(caller.connect_behind(&header(Some([198, 51, 100, 7])), "emr", &[b"http/1.1"]).await.is_err());
}

#[tokio::test]
async fn a_balancer_must_say_it_in_version_2_and_nobody_else_may() {
    let (ward, balanced) = ward().await;
    let caller = ward.caller.at(balanced);
    let text = b"PROXY TCP4 192.0.2.7 10.0.0.1 12345 443\r\n".as_slice();
    assert!(caller.connect_behind(text, "emr", &[b"http/1.1"]).await.is_err(), "version 1");
    assert!(caller.connect("emr", &[b"http/1.1"]).await.is_err(), "no header");
    let refused = eventually("the refusal is recorded", async || {
        let records = ward.hospital.records();
        records.with("ev", "tls-refused").all().iter().find(|one| one["why"] == "proxy-protocol").cloned()
    })
    .await;
    assert_eq!(refused["ip"], "127.0.0.1", "{refused}");
    // The other listener knows no balancer: what stands before TLS is no TLS.
    let forged = ward.caller.connect_behind(&header(Some([192, 0, 2, 7])), "emr", &[b"http/1.1"]).await;
    assert!(forged.is_err());
    ward.caller.ask(Ask::get("emr", "/a")).await.expect(401);
}

#[tokio::test]
async fn a_health_check_of_the_balancer_is_answered_as_its_own() {
    let (ward, balanced) = ward().await;
    let caller = ward.caller.at(balanced);
    let stream = caller.connect_behind(&header(None), "emr", &[b"http/1.1"]).await.unwrap();
    tests::Http1::on(stream).await.answer(ward.get("/check")).await.expect(200);
    assert_eq!(ward.hospital.records().opened("/check").only()["ip"], "127.0.0.1");
}
