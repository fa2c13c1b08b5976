//! Bodies of any size pass through, in both directions, and the gateway's memory does not grow with them.

use std::time::Duration;

use http_body_util::BodyExt;
use tests::{Answer, eventually, filled, resident_bytes, within};

use crate::ward::Ward;

const GIB: u64 = 1 << 30;
const WARM: u64 = 4 << 20;
const GROWTH_BYTES_MAX: u64 = 8 << 20;
const LONG: Duration = Duration::from_secs(300);

/// A ward whose gateway has done a little of everything, so that code and buffers that every gateway has are there,
/// on both of its workers. And the most that it took for small bodies: at rest it gives some of it back.
async fn warm_ward() -> (Ward, u64) {
    let ward = Ward::open().await;
    let mut most = 0;
    // Twice: the index beside the log has memory of its own, which it takes with its first records.
    for _ in 0..2 {
        for _ in 0..8 {
            ward.caller.ask(ward.get(&format!("/bytes/{WARM}"))).await.expect(200);
            ward.caller.ask(ward.ask("POST", "/sink/0").body(filled(WARM))).await.expect(200);
            most = most.max(resident_bytes(ward.hospital.pid()));
        }
        let lines = ward.hospital.records().len() as u64;
        eventually("the index has taken in what warmed it", async || {
            let status = ward.hospital.run(&["audit", "index", "status", "--format", "json"]);
            (status.code == Some(0) && status.json()["followed"].as_u64() >= Some(lines)).then_some(())
        })
        .await;
    }
    (ward, most)
}

#[tokio::test]
async fn a_gibibyte_goes_down_without_the_memory_growing() {
    let (ward, before) = warm_ward().await;
    let mut most = before;

    let mut connection = ward.caller.http1("emr").await;
    let response = connection.send(ward.get(&format!("/bytes/{GIB}"))).await.unwrap();
    let mut body = response.into_body();
    let (mut bytes, mut frames) = (0, 0_u64);
    while let Some(frame) = within(LONG, "the next piece", body.frame()).await {
        bytes += frame.unwrap().data_ref().unwrap().len() as u64;
        frames += 1;
        if frames.is_multiple_of(1_000) {
            most = most.max(resident_bytes(ward.hospital.pid()));
        }
    }
    assert_eq!(bytes, GIB);
    assert!(most - before < GROWTH_BYTES_MAX, "grew by {} bytes", most - before);

    let closing = ward.closing(&format!("/bytes/{GIB}")).await;
    assert_eq!((&closing["end"], &closing["bo"]), (&"served".into(), &GIB.into()));
}

#[tokio::test]
async fn a_gibibyte_goes_up_without_the_memory_growing() {
    let (ward, before) = warm_ward().await;
    let pid = ward.hospital.pid();
    let watch = tokio::spawn(async move {
        let mut most = before;
        loop {
            tokio::time::sleep(Duration::from_millis(50)).await;
            let now = resident_bytes(pid);
            if now <= most {
                continue;
            }
            most = now;
            assert!(most - before < GROWTH_BYTES_MAX, "grew by {} bytes", most - before);
        }
    });
    let mut connection = ward.caller.http1("emr").await;
    let upload = async {
        let ask = ward.ask("POST", "/sink/2").body(filled(GIB));
        Answer::read(connection.upload(ask).await.unwrap()).await.unwrap()
    };
    let answer = within(LONG, "the upload", upload).await.expect(200);
    assert_eq!(answer.text(), GIB.to_string());
    assert!(!watch.is_finished(), "{:?}", watch.await);
}

#[tokio::test]
async fn over_http_2_a_gibibyte_goes_both_ways_without_the_memory_growing() {
    let (ward, _) = warm_ward().await;
    let connection = ward.caller.http2("emr").await;
    connection.answer(ward.get(&format!("/bytes/{WARM}"))).await.expect(200);
    let before = resident_bytes(ward.hospital.pid());
    let mut body = connection.send(ward.get(&format!("/bytes/{GIB}"))).await.unwrap().into_body();
    let mut bytes = 0;
    while let Some(frame) = within(LONG, "the next piece", body.frame()).await {
        bytes += frame.unwrap().data_ref().unwrap().len() as u64;
    }
    assert_eq!(bytes, GIB);
    let upload = connection.upload(ward.ask("POST", "/sink/2").body(filled(GIB)));
    let answer = Answer::read(within(LONG, "the upload", upload).await.unwrap()).await.unwrap().expect(200);
    assert_eq!(answer.text(), GIB.to_string());
    let grown = resident_bytes(ward.hospital.pid()).saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "grew by {grown} bytes");
}

#[tokio::test]
async fn a_client_that_stops_reading_stops_the_app() {
    let (ward, _) = warm_ward().await;
    let mut connection = ward.caller.http1("emr").await;
    let before = resident_bytes(ward.hospital.pid());
    let response = connection.send(ward.get(&format!("/bytes/{GIB}"))).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let grown = resident_bytes(ward.hospital.pid()).saturating_sub(before);
    assert!(grown < GROWTH_BYTES_MAX, "grew by {grown} bytes while nobody read");
    drop((response, connection));
}

#[tokio::test]
async fn a_body_over_the_apps_limit_is_refused_before_the_app_has_all_of_it() {
    let emr = tests::Upstream::http1();
    let plan = tests::Plan::new().app("emr", emr.address(), "body_max = \"64KiB\"");
    let ward = Ward::around(emr, plan).await;
    ward.caller.ask(ward.ask("POST", "/sink/1").body(filled(64 << 10))).await.expect(200);
    let answer = ward.caller.ask(ward.ask("POST", "/sink/2").body(filled((64 << 10) + 1))).await;
    answer.expect_problem(413, "body-too-large");
    assert_eq!(ward.emr.seen().len(), 1, "the length said enough");
}
