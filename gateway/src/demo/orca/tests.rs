//! The receipt computer as its clients see it.

use super::super::answer::{json_of, text_of};
use super::*;
use policy::Timestamp;
use serde_json::json;

fn ask(method: Method, target: &str, body: &str) -> Answer {
    // 2025-07-15T16:01:18+09:00
    let orca = Orca::new(Clock::new(|| Timestamp::from_unix_micros(1_752_562_878_000_000)));
    let media_type = if body.starts_with('{') { "application/json" } else { "application/xml" };
    orca.answer(&Asked::of(method, target, body).with("content-type", media_type))
}

#[tokio::test]
async fn a_patient_nobody_has_is_said_so() {
    for target in ["?id=99999", "?id=", "", "?id=1%20or%201=1"] {
        let text = text_of(ask(Method::GET, &format!("/api01rv2/patientgetv2{target}"), "")).await;
        assert!(text.contains("<Api_Result type=\"string\">10</Api_Result>"), "{text}");
        assert!(!text.contains("Patient_Information"), "{text}");
    }
}

#[tokio::test]
async fn a_patient_is_read_in_both_forms() {
    let xml = text_of(ask(Method::GET, "/api01rv2/patientgetv2?id=12345", "")).await;
    for part in [
        "<xmlio2>\n<patientinfores type=\"record\">",
        "<Information_Date type=\"string\">2025-07-15</Information_Date>",
        "<Information_Time type=\"string\">16:01:18</Information_Time>",
        "<Api_Result type=\"string\">00</Api_Result>",
        "<Patient_Information type=\"record\">\n<Patient_ID type=\"string\">12345</Patient_ID>",
        "<WholeName type=\"string\">見本　太郎</WholeName>",
        "<HealthInsurance_Information type=\"array\">\n<HealthInsurance_Information_child type=\"record\">",
    ] {
        assert!(xml.contains(part), "{part}\n{xml}");
    }
    let document = json_of(ask(Method::GET, "/api01rv2/patientgetv2?id=00012345&format=json", "")).await;
    assert_eq!(document["patientinfores"]["Patient_Information"]["WholeName_inKana"], "ミホン　タロウ");
}

#[tokio::test]
async fn several_patients_are_read_and_those_that_are_none_counted() {
    let one = |id: &str| format!("<Patient_ID type=\"string\">{id}</Patient_ID>");
    let body = format!("<data><patientlst2req type=\"record\">{}{}</patientlst2req></data>", one("12346"), one("7"));
    let text = text_of(ask(Method::POST, "/api01rv2/patientlst2v2?class=01", &body)).await;
    for part in ["<patientlst2res", ">0002<", ">001<", "架空　太郎", "患者番号がありません"] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let many = format!("<data>{}</data>", one("12346").repeat(101));
    assert!(text_of(ask(Method::POST, "/api01rv2/patientlst2v2?class=01", &many)).await.contains(">20<"));
    assert_eq!(ask(Method::POST, "/api01rv2/patientlst2v2?class=01", "<!DOCTYPE a><a/>").status(), 400);
}

#[tokio::test]
async fn a_name_finds_everyone_it_begins() {
    let body = json!({ "patientlst3req": { "WholeName": "見本" } }).to_string();
    let found = json_of(ask(Method::POST, "/api01rv2/patientlst3v2?class=01", &body)).await;
    assert_eq!(found["patientlst2res"]["Target_Patient_Count"], "0005");
    let body = json!({ "patientlst3req": { "WholeName": "太郎" } }).to_string();
    let found = json_of(ask(Method::POST, "/api01rv2/patientlst3v2?class=01", &body)).await;
    assert_eq!(found["patientlst2res"]["Api_Result"], "11", "not in the middle");
}

#[tokio::test]
async fn masters_are_read_by_class_or_by_request_number() {
    let departments = text_of(ask(Method::POST, "/api01rv2/system01lstv2?class=01", "")).await;
    assert!(departments.contains("<departmentres") && departments.contains("内科"), "{departments}");
    let body = r#"{"system01_managereq":{"Request_Number":"04"}}"#;
    let facility = json_of(ask(Method::POST, "/api01rv2/system01lstv2?class=01", body)).await;
    assert_eq!(facility["system1001res"]["Medical_Information"]["Prefectures_Number"], "13");
    let none = text_of(ask(Method::POST, "/api01rv2/system01lstv2", "")).await;
    assert!(none.contains(">91<"), "{none}");
}

#[test]
fn the_wrong_method_and_the_wrong_address_are_refused() {
    assert_eq!(ask(Method::POST, "/api01rv2/patientgetv2?id=12345", "").status(), 405);
    assert_eq!(ask(Method::GET, "/api01rv2/patientlst2v2?class=01", "").status(), 405);
    assert_eq!(ask(Method::GET, "/api01rv2/patientmodv2", "").status(), 404);
    assert_eq!(ask(Method::GET, "/", "").status(), 200);
}
