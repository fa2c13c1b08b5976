//! What an app tells the gateway of patients and the client does not get to see, wherever it stands in the answer; and
//! what is folded into one record only where the record says whose it is.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use http_body::Frame;
use hyper_util::rt::TokioIo;
use tests::{Plan, Upstream, WebSocket, fed, within};

use crate::stream::handshake;
use crate::ward::Ward;

const SOON: Duration = Duration::from_secs(5);

/// Routes of which one tells in fields that the client does not see, and one in fields that it sees.
fn routes(page: &str, field: &str) -> String {
    let route = |name: &str, strip: bool| {
        format!(
            "[[app.route]]\npaths = [\"/{page}/{name}\"]\nclass = \"chart\"\n\
             patient = [{{ from = \"response-header\", name = \"{field}\", strip = {strip} }}]\n"
        )
    };
    route("hidden", true) + &route("shown", false)
}

#[tokio::test]
async fn a_field_behind_the_body_names_the_patient_and_goes_no_further() {
    let app = Upstream::http2();
    let more = format!("protocol = \"http2\"\n{}", routes("trailers", "x-asked"));
    let ward = Ward::around(app.clone(), Plan::new().app("emr", app.address(), &more)).await;
    for (name, seen) in [("hidden", None), ("shown", Some("7"))] {
        let (sender, body) = fed();
        sender.send(Frame::data(Bytes::from_static(b"ping"))).await.unwrap();
        let mut trailers = HeaderMap::new();
        trailers.insert("x-asked", HeaderValue::from_static("7"));
        sender.send(Frame::trailers(trailers)).await.unwrap();
        drop(sender);
        let path = format!("/trailers/{name}");
        let ask = ward.ask("POST", &path).header("content-type", "application/grpc").header("te", "trailers");
        let answer = ward.caller.http2("emr").await.answer(ask.body(body)).await.expect(200);
        assert_eq!(answer.text(), "ping");
        assert_eq!(answer.trailers["grpc-status"], "0", "what is nobody's stays");
        assert_eq!(answer.trailers.get("x-asked").map(|value| value.to_str().unwrap()), seen, "{name}");
        assert_eq!(ward.closing(&path).await["pt"][0], "7", "{name}");
    }
}

#[tokio::test]
async fn the_head_of_a_tunnel_names_the_patient_and_the_name_goes_no_further() {
    let app = Upstream::http1();
    let more = routes("socket", "x-patient-id");
    let ward = Ward::around(app.clone(), Plan::new().app("emr", app.address(), &more)).await;
    for (name, seen) in [("hidden", None), ("shown", Some("7"))] {
        let path = format!("/socket/{name}");
        let mut connection = ward.caller.http1("emr").await;
        let response = connection.send(handshake(ward.get(&path))).await.unwrap();
        assert_eq!(response.status(), 101);
        assert_eq!(response.headers().get("x-patient-id").map(|value| value.to_str().unwrap()), seen, "{name}");
        let stream = hyper::upgrade::on(response).await.unwrap();
        let mut socket = WebSocket::client(TokioIo::new(stream));
        socket.close(1000).await.unwrap();
        within(SOON, "a close frame", socket.next()).await;
        assert_eq!(ward.closing(&path).await["pt"][0], "7", "{name}");
    }
    let over_http2 = ward
        .ask("CONNECT", "/socket/hidden")
        .extension(hyper::ext::Protocol::from_static("websocket"))
        .header("sec-websocket-version", "13")
        .header("origin", "https://emr.hospital.test:8443");
    let response = ward.caller.http2("emr").await.send(over_http2).await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(!response.headers().contains_key("x-patient-id"));
}

#[tokio::test]
async fn pictures_of_a_study_that_nobody_told_of_are_records_of_their_own() {
    let app = Upstream::http1();
    let mut ward = Ward::around(app.clone(), Plan::new().app("emr", app.address(), "template = \"dicomweb\"")).await;
    let frame = |study: &str| format!("/dicom-web/studies/{study}/series/1.2.4/instances/1.2.5/frames/1");
    for _ in 0..3 {
        ward.caller.ask(ward.get(&frame("1.2.3"))).await.expect(200);
    }
    assert!(ward.hospital.stop().success());
    let records = ward.hospital.records();
    let opened = records.opened(&frame("1.2.3"));
    assert_eq!(opened.len(), 3, "a record that stands for many names its patient from the start");
    for opening in opened.all() {
        assert_eq!((&opening["study"][0], &opening["pt"]), (&"1.2.3".into(), &serde_json::Value::Null));
        assert!(records.closing(opening).is_some());
    }
}
