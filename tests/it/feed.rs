//! The log told to the hospital's own receivers: everything arrives in order, also after the receiver was away, and no
//! receiver ever keeps anybody from their work.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::Value;
use tests::{Receiver, eventually, eventually_in};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpListener;

use crate::operations::operations;
use crate::ward::Ward;

/// Longer than any wait between two attempts here, and than the rest of a test on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn feed(receiver: &Receiver, address: std::net::SocketAddr, more: &str) -> String {
    format!("[[audit.feed]]\nid = \"siem\"\naddress = \"{address}\"\nsettle = \"1s\"\n{}{more}", receiver.trust())
}

async fn ward(receiver: &Receiver, more: &str) -> Ward {
    let table = feed(receiver, receiver.address(), more);
    Ward::open_with(|plan| plan.block(&table)).await
}

/// The JSON lines that a receiver was told, in order.
fn told(receiver: &Receiver) -> Vec<Value> {
    let text = |message: &String| Some(message.split_once(" - {")?.1.to_owned());
    let read = |text: String| serde_json::from_str(&format!("{{{text}")).unwrap();
    receiver.messages().iter().filter_map(text).map(read).collect()
}

/// Waits until the receiver was told of an access to a path, and of its end.
async fn wait_for(receiver: &Receiver, path: &str) {
    eventually_in(PATIENCE, "the receiver is told", async || {
        let told = told(receiver);
        let opened = told.iter().find(|line| line["path"] == path && line["ev"] == "open")?;
        told.iter().find(|line| line["ev"] == "close" && line["id"] == opened["id"]).map(|_| ())
    })
    .await;
}

/// Every line of the log up to the last one told was told as it stands there, first told in order.
fn everything_was_told(ward: &Ward, receiver: &Receiver) {
    let told = told(receiver);
    let mut seen = BTreeSet::new();
    let firsts: Vec<&Value> = told.iter().filter(|line| seen.insert(line["seq"].as_u64().unwrap())).collect();
    let records = ward.hospital.records();
    assert!(firsts.len() <= records.len());
    for (first, record) in firsts.iter().zip(records.all()) {
        assert_eq!(*first, record, "in order, without a gap, as recorded");
    }
}

#[tokio::test]
async fn a_real_receiver_is_told_everything_over_mutual_tls_also_after_being_killed_for_a_while() {
    let mut receiver = Receiver::start();
    let ward = ward(&receiver, "format = \"json\"\n").await;
    ward.caller.ask(ward.get("/before")).await.expect(200);
    wait_for(&receiver, "/before").await;
    receiver.kill();
    for turn in 0..50 {
        ward.caller.ask(ward.get(&format!("/meanwhile/{turn}"))).await.expect(200);
    }
    eventually_in(PATIENCE, "the outage is told", async || {
        let status = ward.hospital.run(&["audit", "feed", "status", "--format", "json"]).ok().json();
        (status["problem"].is_string() && status["waiting"].as_u64() > Some(100)).then_some(())
    })
    .await;
    receiver.start_again();
    wait_for(&receiver, "/meanwhile/49").await;
    ward.caller.ask(ward.get("/after")).await.expect(200);
    wait_for(&receiver, "/after").await;
    everything_was_told(&ward, &receiver);
    let status = eventually_in(PATIENCE, "all is well again", async || {
        let status = ward.hospital.run(&["audit", "feed", "status", "--format", "json"]).ok().json();
        (status["problem"].is_null() && status["waiting"] == 0).then_some(status)
    })
    .await;
    assert!(status["failures"].as_u64() > Some(0) && status["left_out"] == 0, "{status}");
    assert!(status["last_success"].is_string(), "{status}");
    let first = receiver.messages().remove(0);
    assert!(first.starts_with("<85>1 20") && first.contains(" login.hospital.test sekimori - segment - {"), "{first}");
    let metrics = operations(&ward.hospital, "/metrics").await.expect(200).text();
    for shown in [
        "sekimori_feed_connected{feed=\"siem\"} 1",
        "sekimori_feed_alarm{feed=\"siem\"} 0",
        "sekimori_feed_lag_seconds{feed=\"siem\"} 0",
        "sekimori_feed_failures_total{feed=\"siem\"}",
    ] {
        assert!(metrics.contains(shown), "{shown}: {metrics}");
    }
}

#[tokio::test]
async fn a_gateway_that_was_killed_goes_on_where_the_receiver_stood() {
    let receiver = Receiver::start();
    let mut ward = ward(&receiver, "format = \"json\"\n").await;
    ward.caller.ask(ward.get("/first")).await.expect(200);
    wait_for(&receiver, "/first").await;
    ward.hospital.kill();
    ward.hospital.start();
    ward.caller.ask(ward.get("/second")).await.expect(200);
    wait_for(&receiver, "/second").await;
    ward.hospital.stop();
    everything_was_told(&ward, &receiver);
    assert_eq!(told(&receiver).last().unwrap()["ev"], "stopped", "the last line too, before the gateway is gone");
}

#[tokio::test]
async fn an_audit_repository_is_told_in_dicom_messages_one_for_an_access_that_ended() {
    let receiver = Receiver::start();
    let ward = ward(&receiver, "format = \"dicom-xml\"\nevents = [\"accesses\", \"refusals\"]\n").await;
    ward.caller.ask(ward.get("/charts/7")).await.expect(200);
    ward.caller.ask(tests::Ask::get("emr", "/nobody")).await.expect(401);
    let messages = eventually_in(PATIENCE, "both are told", async || {
        let all = receiver.messages().join("\n");
        (all.contains("/charts/7") && all.contains("/nobody")).then_some(all)
    })
    .await;
    assert!(messages.contains(" login.hospital.test sekimori - DICOM+RFC3881 - \u{feff}<?xml "), "{messages}");
    assert_eq!(messages.matches("<AuditMessage>").count(), 2, "{messages}");
    assert!(messages.contains("<85>1 ") && messages.contains("<84>1 "), "a challenge is a warning: {messages}");
}

#[tokio::test]
async fn a_receiver_that_stalls_refuses_or_vanishes_never_touches_a_request() {
    let receiver = Receiver::away();
    let stalling = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = stalling.local_addr().unwrap();
    let tls = server(&receiver);
    let stalled = tokio::spawn(async move {
        // Takes the first bytes of each connection, and nothing more.
        let mut kept = Vec::new();
        loop {
            let (socket, _) = stalling.accept().await.unwrap();
            // One of the feeds refuses this certificate.
            let Ok(mut stream) = tls.accept(socket).await else { continue };
            let mut few = [0; 16];
            let read = stream.read(&mut few).await.unwrap();
            kept.push((stream, few, read));
        }
    });
    let vanished = feed(&receiver, receiver.address(), "format = \"json\"\n").replace("\"siem\"", "\"vanished\"");
    let refused = feed(&receiver, address, "format = \"dicom-xml\"\n")
        .replace("\"siem\"", "\"refused\"")
        .replace("server_name = \"receiver.test\"", "server_name = \"somebody-else.test\"");
    let stalls = feed(&receiver, address, "format = \"json\"\n");
    let ward = Ward::open_with(|plan| plan.block(&vanished).block(&refused).block(&stalls)).await;
    let begin = Instant::now();
    for turn in 0..200 {
        ward.caller.ask(ward.get(&format!("/turn/{turn}"))).await.expect(200);
    }
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    eventually_in(PATIENCE, "both are told of", async || {
        let told = ward.hospital.run(&["audit", "feed", "status", "--format", "json"]).ok().lines();
        let problem = |id: &str| {
            let one = told.iter().find(|one| one["feed"] == id)?;
            one["problem"].as_str().map(str::to_owned)
        };
        let vanished = problem("vanished")?;
        let refused = problem("refused")?;
        assert!(vanished.contains("cannot be reached"), "{vanished}");
        assert!(refused.contains("TLS handshake"), "{refused}");
        Some(())
    })
    .await;
    let doctor = ward.hospital.run(&["doctor", "--format", "json"]);
    let bad = doctor.lines().into_iter().find(|one| one["what"].as_str().unwrap().starts_with("feed vanished"));
    assert_eq!(bad.unwrap()["grade"], "bad");
    stalled.abort();
}

#[tokio::test]
async fn a_receiver_that_does_not_know_our_certificate_is_an_error_and_not_a_success() {
    let receiver = Receiver::start();
    let trust = receiver.trust().replace("gateway.pem", "stranger.pem").replace("gateway.key", "stranger.key");
    let table = feed(&receiver, receiver.address(), "format = \"json\"\n").replace(&receiver.trust(), &trust);
    let ward = Ward::open_with(|plan| plan.block(&table)).await;
    let status = eventually_in(PATIENCE, "it is told", async || {
        let status = ward.hospital.run(&["audit", "feed", "status", "--format", "json"]).ok().json();
        (status["failures"].as_u64() >= Some(2)).then_some(status)
    })
    .await;
    assert_eq!((&status["arrived"], &status["last_success"]), (&0.into(), &Value::Null), "{status}");
    assert!(receiver.messages().is_empty());
}

#[tokio::test]
async fn a_receiver_may_be_added_and_taken_away_while_the_gateway_runs() {
    let receiver = Receiver::start();
    let mut ward = Ward::open().await;
    ward.caller.ask(ward.get("/before")).await.expect(200);
    let lines = ward.hospital.records().len() as u64;
    eventually("a checkpoint covers it", async || {
        let verify = ward.hospital.run(&["audit", "verify", "--format", "json"]);
        // Before the first checkpoint there is nothing that could verify.
        (verify.code == Some(0) && verify.json()["lines_signed"].as_u64() >= Some(lines)).then_some(())
    })
    .await;
    let plain = ward.hospital.plan().clone();
    let table = feed(&receiver, receiver.address(), "format = \"json\"\nbegin = \"now\"\n");
    ward.hospital.reload(plain.clone().block(&table));
    eventually("the feed is there", async || {
        let metrics = operations(&ward.hospital, "/metrics").await.expect(200).text();
        metrics.contains("sekimori_feed_connected{feed=\"siem\"} 1").then_some(())
    })
    .await;
    ward.caller.ask(ward.get("/after")).await.expect(200);
    wait_for(&receiver, "/after").await;
    assert!(told(&receiver).iter().all(|line| line["path"] != "/before"), "it began with what came then");
    ward.hospital.reload(plain);
    eventually("the feed is gone", async || {
        let metrics = operations(&ward.hospital, "/metrics").await.expect(200).text();
        (!metrics.contains("feed=\"siem\"")).then_some(())
    })
    .await;
}

/// A TLS server with the receiver's certificate, that asks for none.
fn server(receiver: &Receiver) -> tokio_rustls::TlsAcceptor {
    let chain = CertificateDer::pem_file_iter(receiver.file("receiver.pem")).unwrap();
    let chain = chain.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(receiver.file("receiver.key")).unwrap();
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(config))
}
