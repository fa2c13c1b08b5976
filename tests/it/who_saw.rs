//! Who saw which patient: mixed traffic through the gateway to a real picture archive, a FHIR server and a receipt
//! computer, and what the log says of each patient, held against the list of what was asked.

use std::collections::BTreeMap;

use serde_json::Value;
use tests::pacs::{INSTANCE, PATIENT, SERIES, STUDY};
use tests::{Ask, Caller, Device, Hospital, Pacs, Plan, Records, Session, Upstream};

/// Where the routes begin in the tests' app.
const FHIR: &str = "template = \"fhir-r4\"\ntemplate_base = \"/clinic/fhir\"";
const ORCA: &str = "template = \"orca\"\ntemplate_base = \"/clinic\"";
const DICOM_JSON: &str = "application/dicom+json";

fn plan(emr: &Upstream, pacs: &Pacs) -> Plan {
    let own = "\n[[app.route]]\npaths = [\"/told/**\"]\nclass = \"chart\"\non_missing = \"flag\"\n\
               patient = [{ from = \"response-json\", pointer = \"/body\" }]";
    Plan::new()
        .set("patients", "pad = 8")
        .app("emr", emr.address(), &format!("{FHIR}{own}"))
        .app("receipt", emr.address(), ORCA)
        .app("pacs", pacs.address(), "template = \"dicomweb\"")
}

/// A small generator of numbers: the same list every time.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// Somebody at a terminal.
struct Staff {
    caller: Caller,
    session: Session,
    login: &'static str,
}

/// How often each person opened each patient, by number as the log has it.
type Seen = BTreeMap<(String, String), usize>;

/// One of the ways to open patients: what is asked, and whom it opens.
fn ask(kind: u64, patient: u64) -> (Ask, Vec<u64>) {
    let fhir = |target: &str| Ask::get("emr", &format!("/clinic/fhir/{target}"));
    let orca = |target: &str| format!("/clinic/api01rv2/{target}");
    match kind {
        0 => (fhir(&format!("Patient/{patient}")), vec![patient]),
        1 => (fhir(&format!("Observation/{}", patient * 1_000 + 7)), vec![patient]),
        2 => (fhir(&format!("Observation?patient={patient}%2C{}&code=x", patient + 1)), vec![patient, patient + 1]),
        3 => {
            let form = format!("patient=Patient%2F{patient}");
            let ask = Ask::post("emr", "/clinic/fhir/Observation/_search", form);
            (ask.header("content-type", "application/x-www-form-urlencoded"), vec![patient])
        }
        4 => (fhir(&format!("Patient/{patient}/Observation")), vec![patient]),
        5 => (Ask::get("receipt", &format!("{}?id={patient}", orca("patientgetv2"))), vec![patient]),
        6 => {
            let child = |id: u64| format!("<c><Patient_ID type=\"string\">{id}</Patient_ID></c>");
            let body = format!("<data><q>{}{}</q></data>", child(patient), child(patient + 1));
            let ask = Ask::post("receipt", &orca("patientlst2v2?class=01"), body);
            (ask.header("content-type", "application/xml"), vec![patient, patient + 1])
        }
        _ => {
            // Full-width digits, and a browser that has an older answer.
            let wide: String = patient.to_string().chars().map(|c| format!("%EF%BC%9{}", c)).collect();
            let ask = fhir(&format!("Observation?patient={wide}")).header("if-none-match", "W/\"1\"");
            (ask, vec![patient])
        }
    }
}

/// Who saw whom, by the log alone.
fn told(records: &Records) -> Seen {
    let mut seen = Seen::new();
    for opening in records.with("ev", "open").all() {
        let (Some(login), Some(app)) = (opening["login"].as_str(), opening["app"].as_str()) else { continue };
        if !["emr", "receipt", "pacs"].contains(&app) {
            continue;
        }
        let closing = records.closing(opening).unwrap_or_else(|| panic!("{opening} has no end"));
        for id in [opening, closing].into_iter().flat_map(patients) {
            *seen.entry((login.to_owned(), id)).or_default() += 1;
        }
    }
    seen
}

fn patients(line: &Value) -> Vec<String> {
    let ids = line["pt"].as_array().into_iter().flatten();
    ids.map(|id| id.as_str().expect("an id is a text").to_owned()).collect()
}

async fn staff(hospital: &Hospital, device: &Device, login: &'static str) -> Staff {
    let session = Session::open(hospital, login, Some(device), &["emr", "receipt", "pacs"]).await;
    Staff { caller: hospital.caller(device), session, login }
}

#[tokio::test]
async fn the_log_says_exactly_who_saw_whom() {
    let (emr, pacs) = (Upstream::http1(), Pacs::start());
    let mut hospital = Hospital::open(plan(&emr, &pacs));
    let device = Device::add(&hospital, "ward-3", "fixed").await;
    let people = [staff(&hospital, &device, "doctor").await, staff(&hospital, &device, "nurse").await];
    let mut expected = Seen::new();
    let mut random = Seeded(20_261_122);
    for _ in 0..200 {
        let person = &people[random.below(2) as usize];
        // A nurse writes nothing, and the receipt computer is asked by POST: the templates tell both apart.
        let (kind, patient) = (random.below(8), 1 + random.below(40));
        let (ask, whom) = ask(kind, patient);
        let answer = person.caller.ask(ask.signed_in(&person.session)).await.expect(200);
        drop(answer);
        for id in whom {
            *expected.entry((person.login.to_owned(), format!("{id:08}"))).or_default() += 1;
        }
    }
    images(&pacs, &people, &mut expected).await;
    let coverage = hospital.run(&["audit", "coverage"]);
    assert!(hospital.stop().success());
    let records = hospital.records();
    assert_eq!(told(&records), expected);

    let printed = hospital.run(&["audit", "coverage", "--format", "json"]);
    let rows: Vec<Value> = printed.out.lines().map(|line| serde_json::from_str(line).expect("a row is JSON")).collect();
    let without: Vec<_> = rows.iter().filter(|row| row["accesses"] != row["with_patient"]).collect();
    // Storing comes first, when nobody has told whose the study is: DICOM files in the request do.
    assert!(without.is_empty(), "{without:#?}\n{}", coverage.out);
    assert!(coverage.out.contains("/clinic/fhir/Patient/{patient}"), "{}", coverage.out);
    assert!(coverage.out.contains("100 %"), "{}", coverage.out);
}

/// A study is stored, found and looked at: forty pictures are one record of one person.
async fn images(pacs: &Pacs, people: &[Staff; 2], expected: &mut Seen) {
    let mut body = b"--edge\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
    body.extend_from_slice(&pacs.picture());
    body.extend_from_slice(b"\r\n--edge--\r\n");
    let kind = "multipart/related; type=\"application/dicom\"; boundary=edge";
    let [doctor, nurse] = people;
    let store = Ask::post("pacs", "/dicom-web/studies", body).header("content-type", kind).header("accept", DICOM_JSON);
    doctor.caller.ask(store.signed_in(&doctor.session)).await.expect(200);
    let search = Ask::get("pacs", "/dicom-web/studies?StudyDate=20250401").header("accept", DICOM_JSON);
    nurse.caller.ask(search.signed_in(&nurse.session)).await.expect(200);
    let instance = format!("/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}");
    let wanted = "multipart/related; type=\"application/octet-stream\"";
    for _ in 0..40 {
        let frame = Ask::get("pacs", &format!("{instance}/frames/1")).header("accept", wanted);
        nurse.caller.ask(frame.signed_in(&nurse.session)).await.expect(200);
    }
    // Storing and searching, and all pictures together.
    *expected.entry(("doctor".to_owned(), PATIENT.to_owned())).or_default() += 1;
    *expected.entry(("nurse".to_owned(), PATIENT.to_owned())).or_default() += 2;
}

#[tokio::test]
async fn pictures_are_one_record_with_their_number_and_a_restart_does_not_forget_whose_they_are() {
    let (emr, pacs) = (Upstream::http1(), Pacs::start());
    let mut hospital = Hospital::open(plan(&emr, &pacs));
    let device = Device::add(&hospital, "ward-3", "fixed").await;
    let people = [staff(&hospital, &device, "doctor").await, staff(&hospital, &device, "nurse").await];
    images(&pacs, &people, &mut Seen::new()).await;
    assert!(hospital.stop().success());
    let records = hospital.records();
    let frames = format!("/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}/frames/1");
    let opening = records.opened(&frames).only().clone();
    assert_eq!((&opening["pt"][0], &opening["study"][0]), (&PATIENT.into(), &STUDY.into()));
    let closing = records.closing(&opening).expect("a stop closes it");
    assert_eq!((&closing["n"], &closing["end"]), (&40.into(), &"served".into()), "{closing}");
    hospital.start();
    let frame = Ask::get("pacs", &format!("/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}/frames/1"));
    let wanted = "multipart/related; type=\"application/octet-stream\"";
    let again = people[1].caller.at(hospital.address());
    again.ask(frame.header("accept", wanted).signed_in(&people[1].session)).await.expect(200);
    assert!(hospital.stop().success());
    let opened = hospital.records().opened(&frames);
    assert_eq!(opened.len(), 2);
    assert_eq!(opened.last()["pt"][0], PATIENT, "the store kept whose it is");
}

#[tokio::test]
async fn what_could_not_be_told_is_marked_and_the_answer_is_never_touched() {
    let (emr, pacs) = (Upstream::http1(), Pacs::start());
    let mut hospital = Hospital::open(plan(&emr, &pacs));
    let device = Device::add(&hospital, "ward-3", "fixed").await;
    let doctor = staff(&hospital, &device, "doctor").await;
    let ask = async |ask: Ask| doctor.caller.ask(ask.signed_in(&doctor.session)).await;

    let everyone = ask(Ask::get("emr", "/clinic/fhir/Patient")).await.expect(200).json();
    assert_eq!(everyone["entry"].as_array().map(Vec::len), Some(300), "the answer came whole");
    let lies =
        Ask::post("emr", "/clinic/fhir/Observation", "not json at all").header("content-type", "application/json");
    ask(lies).await.expect(404);
    ask(Ask::get("emr", "/told/none")).await.expect(200);
    ask(Ask::get("emr", "/clinic/fhir/Patient/5?x=%2535")).await.expect(200);
    ask(Ask::get("pacs", "/dicom-web/studies/1.2.3.4/metadata").header("accept", DICOM_JSON)).await;

    // An app is asked for what can be read.
    let plain = Ask::get("emr", "/clinic/fhir/Patient/6")
        .header("accept-encoding", "br, gzip, zstd")
        .header("range", "bytes=0-9");
    ask(plain).await.expect(200);
    let sent = emr.last();
    assert_eq!((sent.header("accept-encoding"), sent.header("range")), ("gzip", ""));

    assert!(hospital.stop().success());
    let records = hospital.records();
    let closing = |path: &str| records.closing(records.opened(path).last()).cloned().unwrap_or_default();
    let bulk = closing("/clinic/fhir/Patient");
    assert_eq!((&bulk["ptn"], &bulk["ptf"][0], patients(&bulk).len()), (&300.into(), &"bulk".into(), 100), "{bulk}");
    assert_eq!(closing("/clinic/fhir/Observation")["ptf"][0], "unreadable");
    assert_eq!(closing("/told/none")["ptf"][0], "missing");
    let study = records.opened("/dicom-web/studies/1.2.3.4/metadata").only().clone();
    assert_eq!(study["study"][0], "1.2.3.4");
    assert!(!hospital.log_text().contains("00000005"), "no patient in the diagnostic log");
}

#[tokio::test]
async fn a_refusal_says_whom_it_was_about() {
    let (emr, pacs) = (Upstream::http1(), Pacs::start());
    let hospital = Hospital::open(plan(&emr, &pacs));
    let stranger = hospital.stranger();
    stranger.ask(Ask::get("emr", "/clinic/fhir/Observation?patient=7")).await.expect_problem(401, "sign-in-required");
    let refused = hospital.records().with("ev", "refused").last().clone();
    assert_eq!(refused["pt"][0], "00000007", "{refused}");
}
