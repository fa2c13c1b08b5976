//! An hour of a hospital: four people at two terminals, a real picture archive, the demo's FHIR server and receipt
//! computer, and what they open, drawn from a seed. Then for each patient the log is asked who saw them, and must answer
//! with the generator's own list: those accesses, in that order, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde_json::Value;
use tests::{Answer, Ask, Caller, Device, Hospital, Pacs, Plan, Session, eventually_in};

use crate::readme::Demo;

/// Ten a minute.
const REQUESTS: usize = 600;
/// The demo's patients: fifty numbers from here on, with ten family names in turn.
const FIRST: u64 = 12_345;
const PATIENTS: u64 = 50;
const FAMILIES: [&str; 10] = ["見本", "架空", "例示", "試験", "模擬", "仮名", "雛形", "練習", "記入", "演習"];
/// The FHIR server believes what is signed for this host.
const EMR: &str = "emr.sekimori.localhost";
const STUDIES: u64 = 6;
const DICOM_JSON: &str = "application/dicom+json";
const PATIENCE: Duration = Duration::from_secs(120);

/// The gateway under test in front of the demo's apps: a second one of that house, with its key for assertions.
async fn hospital(demo: &Demo, pacs: &Pacs) -> (Hospital, [Device; 2]) {
    let local = |part| SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), demo.port(part));
    let emr = format!(
        "[[app]]\nid = \"emr\"\nname = \"emr\"\nhost = \"{EMR}\"\nupstreams = [\"http://{}\"]\ntemplate = \"fhir-r4\"\n\
         [[app.route]]\npaths = [\"/charts/{{patient}}/**\"]\nclass = \"chart\"",
        local(3)
    );
    let plan = Plan::new()
        .set("gateway", &format!("public_port = {}", demo.port(0)))
        .set("patients", "pad = 8")
        .set("patients", "system = \"urn:oid:1.2.392.100495.20.3.51.11312345670\"")
        .block("[[certificate]]\ncertificate = \"demo.pem\"\nkey = \"demo.key\"")
        .block(&emr)
        .app("orca", local(4), "template = \"orca\"")
        .app("pacs", pacs.address(), "template = \"dicomweb\"");
    let mut hospital = Hospital::build(plan);
    hospital.renew("demo", &[EMR]);
    let devices = [Device::add(&hospital, "ward-3", "fixed").await, Device::add(&hospital, "ward-4", "fixed").await];
    std::fs::copy(demo.state().join("assertion-key.pem"), hospital.folder().join("state/assertion-key.pem")).unwrap();
    hospital.start();
    (hospital, devices)
}

/// Somebody at a terminal.
struct Person {
    login: &'static str,
    is_doctor: bool,
    caller: Caller,
    session: Session,
}

impl Person {
    async fn at(hospital: &Hospital, device: &Device, login: &'static str, role: &str) -> Self {
        let session = Session::open_with(hospital, login, &[role], Some(device), &[EMR, "orca", "pacs"]).await;
        Self { login, is_doctor: role == "doctor", caller: hospital.caller(device), session }
    }

    async fn ask(&self, ask: Ask) -> Answer {
        self.caller.ask(ask.signed_in(&self.session)).await
    }
}

/// A small generator of numbers: the same hour every time.
struct Seeded(u64);

impl Seeded {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// An access as the generator and the log both tell it: who, of which app, what of it, and whether it was refused.
type Seen = (String, String, String, String);

/// What was seen of each patient, in order.
#[derive(Default)]
struct Expected {
    of: BTreeMap<String, Vec<Seen>>,
    /// Pictures of one study that one person looks at are one record.
    folded: BTreeSet<(String, u64)>,
}

impl Expected {
    fn add(&mut self, login: &str, app: &str, (method, path): (&str, &str), (end, patients): (&str, &[u64])) {
        let path = path.split('?').next().unwrap();
        for patient in patients.iter().collect::<BTreeSet<_>>() {
            let seen = (login.to_owned(), app.to_owned(), format!("{method} {path}"), end.to_owned());
            self.of.entry(id(*patient)).or_default().push(seen);
        }
    }
}

fn id(number: u64) -> String {
    format!("{number:08}")
}

/// All who have this family name.
fn family(place: u64) -> Vec<u64> {
    (0..PATIENTS).filter(|one| one % 10 == place).map(|one| FIRST + one).collect()
}

/// One thing that is asked for: app, method, target, body with its type, whom it opens, and what is answered.
struct Work {
    app: &'static str,
    method: &'static str,
    target: String,
    body: Option<(&'static str, String)>,
    patients: Vec<u64>,
    status: u16,
}

impl Work {
    fn get(app: &'static str, target: String, patients: Vec<u64>) -> Self {
        Self { app, method: "GET", target, body: None, patients, status: 200 }
    }

    fn sent(self, method: &'static str, kind: &'static str, body: String) -> Self {
        Self { method, body: Some((kind, body)), ..self }
    }

    fn answered(self, status: u16) -> Self {
        Self { status, ..self }
    }

    async fn of(self, person: &Person, expected: &mut Expected) {
        let host = if self.app == "emr" { EMR } else { self.app };
        let ask = match &self.body {
            Some((kind, body)) => {
                let ask = Ask::new(self.method, host, &self.target).body(tests::full(body.clone()));
                ask.header("content-type", kind)
            }
            None => Ask::new(self.method, host, &self.target),
        };
        let answer = person.ask(ask).await;
        assert_eq!(answer.status, self.status, "{} {} {}: {}", person.login, self.method, self.target, answer.text());
        let end = if self.status == 403 { "refused" } else { "open" };
        if end == "refused" {
            // After a refusal nothing joins a record from before.
            expected.folded.retain(|(login, _)| login != person.login);
        }
        expected.add(person.login, self.app, (self.method, &self.target), (end, &self.patients));
    }
}

/// What is done next.
fn work(random: &mut Seeded, is_doctor: bool) -> Work {
    const FORM: &str = "application/x-www-form-urlencoded";
    const JSON: &str = "application/fhir+json";
    const XML: &str = "application/xml";
    let place = random.below(PATIENTS);
    let (one, next) = (FIRST + place, FIRST + (place + 1) % PATIENTS);
    let measured = ["hr", "spo2", "bt", "bp"][usize::try_from(random.below(4)).unwrap()];
    let observation = |patient: u64| {
        format!(
            "{{\"resourceType\":\"Observation\",\"id\":\"{measured}-{}\",\"status\":\"final\",\"code\":{{\"text\":\"x\"}},\
             \"subject\":{{\"reference\":\"Patient/{}\"}}}}",
            id(patient),
            id(patient)
        )
    };
    let name = usize::try_from(place % 10).unwrap();
    match random.below(16) {
        0 | 1 => Work::get("emr", format!("/fhir/Patient/{}", id(one)), vec![one]),
        2 => Work::get("emr", format!("/fhir/Observation/{measured}-{}", id(one)), vec![one]),
        3 => Work::get("emr", format!("/fhir/Observation?patient={},{}", id(one), id(next)), vec![one, next]),
        4 => {
            let form = format!("subject=Patient%2F{}&code=8867-4", id(one));
            Work::get("emr", "/fhir/Observation/_search".to_owned(), vec![one]).sent("POST", FORM, form)
        }
        5 => Work::get("emr", format!("/fhir/Patient/{}/Observation", id(one)), vec![one]),
        // Taking out is not covered by reading.
        6 => Work::get("emr", format!("/fhir/Patient/{}/$everything", id(one)), vec![one]).answered(403),
        7 | 8 => Work::get("emr", format!("/charts/{}", id(one)), vec![one]),
        9 => Work::get("orca", format!("/api01rv2/patientgetv2?id={one}"), vec![one]),
        10 => {
            let child = |id: u64| format!("<x type=\"record\"><Patient_ID type=\"string\">{id}</Patient_ID></x>");
            let xml =
                format!("<data><patientlst2req type=\"record\">{}{}</patientlst2req></data>", child(one), child(next));
            Work::get("orca", "/api01rv2/patientlst2v2?class=01".to_owned(), vec![one, next]).sent("POST", XML, xml)
        }
        11 => {
            let asked = format!("<WholeName type=\"string\">{}</WholeName>", FAMILIES[name]);
            let xml = format!("<data><patientlst3req type=\"record\">{asked}</patientlst3req></data>");
            let found = family(place % 10);
            Work::get("orca", "/api01rv2/patientlst3v2?class=01".to_owned(), found).sent("POST", XML, xml)
        }
        12 => {
            let name: String = url::form_urlencoded::byte_serialize(FAMILIES[name].as_bytes()).collect();
            Work::get("emr", format!("/fhir/Patient?name={name}"), family(place % 10))
        }
        13 if is_doctor => {
            let target = format!("/fhir/Observation/{measured}-{}", id(one));
            Work::get("emr", target, vec![one]).sent("PUT", JSON, observation(one))
        }
        14 if is_doctor => {
            let work = Work::get("emr", "/fhir/Observation".to_owned(), vec![one]);
            work.sent("POST", JSON, observation(one)).answered(201)
        }
        // Nobody has this number, and it was asked for all the same.
        13 | 14 => Work::get("emr", format!("/fhir/Patient/{}", id(99_999)), vec![99_999]).answered(404),
        _ => Work::get("emr", "/fhir/metadata".to_owned(), Vec::new()),
    }
}

/// Looks at the pictures of a study.
async fn images(person: &Person, number: u64, turn: u64, expected: &mut Expected) {
    let (patient, study) = (FIRST + number, study(number));
    let get = |target: String, accept: &str| Ask::get("pacs", &target).header("accept", accept);
    match turn {
        0 => {
            let target = format!("/dicom-web/studies?PatientID={}", id(patient));
            person.ask(get(target.clone(), DICOM_JSON)).await.expect(200);
            expected.add(person.login, "pacs", ("GET", &target), ("open", &[patient]));
        }
        1 => {
            let target = format!("/dicom-web/studies/{study}/metadata");
            person.ask(get(target.clone(), DICOM_JSON)).await.expect(200);
            expected.add(person.login, "pacs", ("GET", &target), ("open", &[patient]));
        }
        _ => {
            let target = format!("/dicom-web/studies/{study}/series/{study}.1/instances/{study}.1.1/frames/1");
            for _ in 0..3 {
                let wanted = "multipart/related; type=\"application/octet-stream\"";
                person.ask(get(target.clone(), wanted)).await.expect(200);
            }
            if expected.folded.insert((person.login.to_owned(), number)) {
                expected.add(person.login, "pacs", ("GET", &target), ("open", &[patient]));
            }
        }
    }
}

fn study(number: u64) -> String {
    format!("1.2.826.0.1.3680043.8.498.7{number}")
}

/// The pictures come into the archive, and are looked for: whose a study is, the archive's answers tell.
async fn store(pacs: &Pacs, doctor: &Person, expected: &mut Expected) {
    for number in 0..STUDIES {
        let mut body = b"--edge\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
        body.extend_from_slice(&pacs.picture_of(&id(FIRST + number), &study(number)));
        body.extend_from_slice(b"\r\n--edge--\r\n");
        let kind = "multipart/related; type=\"application/dicom\"; boundary=edge";
        let ask = Ask::post("pacs", "/dicom-web/studies", body).header("content-type", kind);
        doctor.ask(ask.header("accept", DICOM_JSON)).await.expect(200);
        expected.add(doctor.login, "pacs", ("POST", "/dicom-web/studies"), ("open", &[FIRST + number]));
        images(doctor, number, 0, expected).await;
    }
}

/// Who saw a patient, as `audit find` tells it.
fn found(hospital: &Hospital, patient: &str) -> Vec<Seen> {
    let words = ["audit", "find", "--patient", patient, "--oldest", "--limit", "10000", "--format", "json"];
    let text = |begin: &Value, key: &str| begin[key].as_str().unwrap_or("-").to_owned();
    let seen = |line: Value| {
        let begin = &line["begin"];
        let what = format!("{} {}", text(begin, "m"), text(begin, "path"));
        (text(begin, "login"), text(begin, "app"), what, text(begin, "ev"))
    };
    hospital.run(&words).ok().lines().into_iter().map(seen).collect()
}

#[tokio::test]
async fn of_an_hours_traffic_each_patient_has_exactly_their_own_list() {
    let (demo, pacs) = (Demo::start(), Pacs::start());
    let (mut hospital, [third, fourth]) = hospital(&demo, &pacs).await;
    let people = [
        Person::at(&hospital, &third, "d.ito", "doctor").await,
        Person::at(&hospital, &third, "n.sato", "nurse").await,
        Person::at(&hospital, &fourth, "d.mori", "doctor").await,
        Person::at(&hospital, &fourth, "n.kato", "nurse").await,
    ];
    let (mut random, mut expected) = (Seeded(20_261_122), Expected::default());
    store(&pacs, &people[0], &mut expected).await;
    for _ in 0..REQUESTS {
        let person = &people[usize::try_from(random.below(4)).unwrap()];
        if random.below(10) == 0 {
            images(person, random.below(STUDIES), random.below(3), &mut expected).await;
        } else {
            work(&mut random, person.is_doctor).of(person, &mut expected).await;
        }
    }
    // What is folded into one record ends with the gateway.
    assert!(hospital.stop().success());
    hospital.start();
    let lines = hospital.records().len() as u64;
    eventually_in(PATIENCE, "the index has all of it", async || {
        let status = hospital.run(&["audit", "index", "status", "--format", "json"]).ok().json();
        (status["followed"].as_u64() >= Some(lines)).then_some(())
    })
    .await;
    let mut accesses = 0;
    for patient in (0..PATIENTS).map(|one| id(FIRST + one)).chain([id(99_999), id(1)]) {
        let wanted = expected.of.remove(&patient).unwrap_or_default();
        accesses += wanted.len();
        assert_eq!(found(&hospital, &patient), wanted, "{patient}");
    }
    assert!(expected.of.is_empty() && accesses > REQUESTS, "{accesses}");
    coverage(&hospital);
}

/// Every access by a route that says where patients are named has one, but for those that are about nobody.
fn coverage(hospital: &Hospital) {
    let table = hospital.run(&["audit", "coverage"]).ok().out;
    eprintln!("{table}");
    let rows = hospital.run(&["audit", "coverage", "--format", "json"]).ok().lines();
    let holes: Vec<&Value> = rows.iter().filter(|row| row["accesses"] != row["with_patient"]).collect();
    assert_eq!(holes.iter().map(|row| row["route"].as_str().unwrap()).collect::<Vec<_>>(), ["/fhir/metadata"]);
    assert!(rows.len() >= 12, "{table}");
}
