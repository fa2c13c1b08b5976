//! A real picture archive behind the gateway: stored, found and retrieved by DICOMweb, each with its record.

use tests::pacs::{INSTANCE, PATIENT, SERIES, STUDY};
use tests::{Ask, Device, Hospital, Pacs, Plan, Session};

const DICOM_JSON: &str = "application/dicom+json";

/// A picture as STOW-RS posts it.
fn stow(picture: &[u8]) -> (String, Vec<u8>) {
    let kind = "multipart/related; type=\"application/dicom\"; boundary=edge".to_owned();
    let mut body = b"--edge\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
    body.extend_from_slice(picture);
    body.extend_from_slice(b"\r\n--edge--\r\n");
    (kind, body)
}

#[tokio::test]
async fn a_study_is_stored_found_and_retrieved_through_the_gateway_and_each_has_its_record() {
    let pacs = Pacs::start();
    let plan = Plan::new().app("pacs", pacs.address(), "health_path = \"/system\"");
    let hospital = Hospital::open(plan);
    let modality = Device::add(&hospital, "ct-console-1", "fixed").await;
    let caller = hospital.caller(&modality);
    let doctor = Session::open(&hospital, "doctor", Some(&modality), &["pacs"]).await;
    let nurse = Session::open(&hospital, "nurse", Some(&modality), &["pacs"]).await;
    let picture = pacs.picture();
    let (kind, body) = stow(&picture);
    let store = |session: &Session| {
        let ask = Ask::post("pacs", "/dicom-web/studies", body.clone()).signed_in(session);
        ask.header("content-type", &kind).header("accept", DICOM_JSON)
    };
    caller.ask(store(&nurse)).await.expect_problem(403, "action-not-allowed");
    caller.ask(Ask::get("pacs", "/dicom-web/studies")).await.expect_problem(401, "sign-in-required");
    let stored = caller.ask(store(&doctor)).await.expect(200);
    assert!(stored.text().contains(INSTANCE), "{}", stored.text());

    let search = format!("/dicom-web/studies?PatientID={PATIENT}");
    let found = caller.ask(Ask::get("pacs", &search).header("accept", DICOM_JSON).signed_in(&nurse)).await.expect(200);
    let found = found.json();
    assert_eq!(found.as_array().unwrap().len(), 1, "{found}");
    assert_eq!(found[0]["0020000D"]["Value"][0], STUDY);

    let instance = format!("/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}");
    let wanted = "multipart/related; type=\"application/dicom\"";
    let got = caller.ask(Ask::get("pacs", &instance).header("accept", wanted).signed_in(&nurse)).await.expect(200);
    let pixels = [0x80; 64];
    assert!(got.body.windows(64).any(|window| window == pixels), "the picture came back");
    assert!(got.body.windows(4).any(|window| window == b"DICM"));

    let records = hospital.records();
    let recorded = |event: &str, method: &str, path: &str| {
        records.with("ev", event).with("app", "pacs").with("m", method).with("path", path).len()
    };
    assert_eq!(recorded("open", "POST", "/dicom-web/studies"), 1);
    assert_eq!(recorded("open", "GET", "/dicom-web/studies"), 1);
    assert_eq!(recorded("open", "GET", &instance), 1);
    assert_eq!(recorded("refused", "POST", "/dicom-web/studies"), 1);
    assert_eq!(recorded("refused", "GET", "/dicom-web/studies"), 1);
    assert!(!format!("{records:?}").contains(PATIENT), "a query is not recorded as it came");
}
