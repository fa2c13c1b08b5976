//! How much one person does by one rule within an hour: beyond it they are refused, asked to prove themselves again, or
//! the operator is told, as the rule says.

use tests::{Answer, Ask, Plan, Session, Upstream, eventually};

use crate::ward::Ward;

/// A hospital whose doctors read and whose nurses read, each within these bounds.
async fn ward(bounds: &str) -> Ward {
    let emr = Upstream::http1();
    let route = "[[app.route]]\npaths = [\"/charts/{patient}/*\"]\nclass = \"chart\"";
    let rules = format!(
        "[roles]\ndoctor = {{ ja = \"医師\", en = \"Doctor\" }}\nnurse = {{ ja = \"看護師\", en = \"Nurse\" }}\n\n\
         [[rule]]\nid = \"looks\"\nroles = [\"doctor\", \"nurse\"]\napps = \"all\"\nactions = [\"read\"]\n{bounds}\n"
    );
    Ward::around(emr.clone(), Plan::new().app("emr", emr.address(), route).rules(&rules)).await
}

async fn look(ward: &Ward, session: &Session, path: &str) -> Answer {
    ward.caller.ask(Ask::get("emr", path).signed_in(session)).await
}

#[tokio::test]
async fn beyond_the_requests_of_an_hour_one_person_is_refused_and_nobody_else() {
    let ward = ward("requests_per_hour = 3").await;
    for _ in 0..3 {
        look(&ward, &ward.doctor, "/a").await.expect(200);
    }
    let refused = look(&ward, &ward.doctor, "/a").await.expect_problem(403, "cap-reached");
    assert_eq!(refused.json()["rule"], "looks", "{}", refused.text());
    let nurse = ward.sign_in("nurse").await;
    look(&ward, &nurse, "/a").await.expect(200);
    // Another session is no other person.
    let again = ward.sign_in("doctor").await;
    look(&ward, &again, "/a").await.expect_problem(403, "cap-reached");
    assert_eq!(ward.emr.seen().len(), 4, "what is beyond does not reach the app");
    let record = ward.hospital.records().with("ev", "refused").last().clone();
    assert_eq!((&record["why"], &record["rule"]), (&"cap-reached".into(), &"looks".into()), "{record}");
}

#[tokio::test]
async fn beyond_the_patients_of_an_hour_only_those_seen_already_are_seen_again() {
    let ward = ward("patients_per_hour = 2").await;
    for path in ["/charts/1/notes", "/charts/1/labs", "/charts/%31/labs", "/charts/2/notes", "/reception/today"] {
        look(&ward, &ward.doctor, path).await.expect(200);
    }
    look(&ward, &ward.doctor, "/charts/3/notes").await.expect_problem(403, "cap-reached");
    look(&ward, &ward.doctor, "/charts/2/notes").await.expect(200);
    look(&ward, &ward.doctor, "/reception/today").await.expect(200);
}

#[tokio::test]
async fn who_proves_themselves_again_goes_on() {
    let ward = ward("requests_per_hour = 2\nbeyond = \"step-up\"").await;
    for _ in 0..2 {
        look(&ward, &ward.doctor, "/a").await.expect(200);
    }
    let asked = look(&ward, &ward.doctor, "/a").await.expect_problem(401, "cap-reached");
    assert!(asked.header("www-authenticate").contains("again="), "{}", asked.header("www-authenticate"));
    look(&ward, &ward.doctor, "/a").await.expect(401);
    let proven = ward.sign_in("doctor").await;
    look(&ward, &proven, "/a").await.expect(200);
}

#[tokio::test]
async fn an_alarm_tells_the_operator_once_and_stops_nobody() {
    let ward = ward("patients_per_hour = 1\nbeyond = \"alarm\"").await;
    for patient in 1..=4 {
        look(&ward, &ward.doctor, &format!("/charts/{patient}/notes")).await.expect(200);
    }
    let told = || ward.hospital.records().with("ev", "cap-exceeded");
    eventually("the alarm", async || (!told().is_empty()).then_some(())).await;
    let told = told();
    assert_eq!((&told.only()["why"], &told.only()["login"]), (&"looks".into(), &"doctor".into()), "once an hour");
    assert!(!told.only().to_string().contains("charts"), "it names no patient: {}", told.only());
    let warned = ward.hospital.log().iter().any(|line| line.to_string().contains("hourly bound"));
    assert!(warned, "{}", ward.hospital.log_text());
}
