//! A real picture archive and the demo's FHIR server, judged by what information it is (情報区分): a clerk finds a patient
//! but opens no image, a radiographer does, taking out asks for proof, and nobody writes from a device nobody enrolled.

use tests::pacs::{INSTANCE, PATIENT, SERIES, STUDY};
use tests::{Answer, Ask, Caller, Device, Hospital, Pacs, Plan, Session, Upstream};

const RULES: &str = r#"
[roles]
clerk = { ja = "事務", en = "Clerk" }
radiographer = { ja = "診療放射線技師", en = "Radiographer" }

[[rule]]
id = "clerks-find-patients"
roles = ["clerk"]
apps = ["pacs", "fhir"]
actions = ["search"]
classes = ["patient-identity"]

[[rule]]
id = "radiographers-see-images"
roles = ["radiographer"]
apps = ["pacs", "fhir"]
actions = ["read"]
classes = ["patient-identity", "images"]

[[rule]]
id = "radiographers-store-images"
roles = ["radiographer"]
apps = ["pacs", "fhir"]
actions = ["write"]
classes = ["images"]
devices = "known"

[[rule]]
id = "radiographers-take-out"
roles = ["radiographer"]
apps = ["pacs", "fhir"]
actions = ["export"]
devices = "known"
assurance = "aal2"
authenticated_within = "5m"
"#;

/// Who asks, from where.
struct Person {
    caller: Caller,
    session: Session,
}

impl Person {
    async fn on(hospital: &Hospital, role: &str, device: Option<&Device>) -> Self {
        let caller = device.map_or_else(|| hospital.stranger(), |device| hospital.caller(device));
        Self { caller, session: Session::open(hospital, role, device, &["pacs", "fhir"]).await }
    }

    async fn ask(&self, ask: Ask) -> Answer {
        self.caller.ask(ask.signed_in(&self.session)).await
    }

    async fn get(&self, app: &str, target: &str) -> Answer {
        let kind = if target.contains("/instances/") { "multipart/related; type=\"application/dicom\"" } else { "*/*" };
        self.ask(Ask::get(app, target).header("accept", kind)).await
    }
}

fn stow(picture: &[u8]) -> Ask {
    let mut body = b"--edge\r\nContent-Type: application/dicom\r\n\r\n".to_vec();
    body.extend_from_slice(picture);
    body.extend_from_slice(b"\r\n--edge--\r\n");
    Ask::post("pacs", "/dicom-web/studies", body)
        .header("content-type", "multipart/related; type=\"application/dicom\"; boundary=edge")
        .header("accept", "application/dicom+json")
}

#[tokio::test]
async fn a_clerk_finds_a_patient_in_the_archive_and_only_a_radiographer_opens_the_images() {
    let pacs = Pacs::start();
    let fhir = Upstream::http1();
    let plan = Plan::new()
        .app("pacs", pacs.address(), "template = \"dicomweb\"")
        .app("fhir", fhir.address(), "template = \"fhir-r4\"")
        .rules(RULES);
    let hospital = Hospital::open(plan);
    let console = Device::add(&hospital, "ct-console-1", "fixed").await;
    let clerk = Person::on(&hospital, "clerk", Some(&console)).await;
    let radiographer = Person::on(&hospital, "radiographer", Some(&console)).await;
    let at_home = Person::on(&hospital, "radiographer", None).await;
    let picture = pacs.picture();

    // Nobody writes from a device that nobody enrolled, and a clerk writes nowhere.
    at_home.ask(stow(&picture)).await.expect_problem(403, "device-required");
    clerk.ask(stow(&picture)).await.expect_problem(403, "action-not-allowed");
    let stored = radiographer.ask(stow(&picture)).await.expect(200);
    assert!(stored.text().contains(INSTANCE), "{}", stored.text());

    // A clerk finds the patient, and opens nothing.
    let search = format!("/dicom-web/studies?PatientID={PATIENT}");
    let found = clerk.ask(Ask::get("pacs", &search).header("accept", "application/dicom+json")).await.expect(200);
    assert_eq!(found.json()[0]["0020000D"]["Value"][0], STUDY);
    let instance = format!("/dicom-web/studies/{STUDY}/series/{SERIES}/instances/{INSTANCE}");
    let study = format!("/dicom-web/studies/{STUDY}");
    for image in
        [&instance, &format!("{instance}/rendered"), &format!("{study}/metadata"), &study, &format!("{study}/")]
    {
        let refused = clerk.get("pacs", image).await.expect(403);
        let code = refused.json()["code"].clone();
        assert!(code == "action-not-allowed" || code == "class-not-allowed", "{image}: {code}");
    }

    // A radiographer opens it.
    let got = radiographer.get("pacs", &instance).await.expect(200);
    assert!(got.body.windows(64).any(|window| window == [0x80; 64]), "the picture came back");

    // Taking out is another thing than looking: it asks for proof, and then goes through.
    let archive = format!("{study}/archive");
    radiographer.get("pacs", &archive).await.expect_problem(401, "step-up-required");
    at_home.get("pacs", &archive).await.expect_problem(403, "device-required");
    clerk.get("pacs", &archive).await.expect(403);

    // The same of FHIR, by the same words.
    clerk.get("fhir", "/fhir/Patient?name=SHIKEN").await.expect(200);
    clerk.ask(Ask::post("fhir", "/fhir/Patient/_search", "name=SHIKEN")).await.expect(200);
    clerk.get("fhir", "/fhir/Patient/7").await.expect(403);
    clerk.get("fhir", "/fhir/ImagingStudy").await.expect_problem(403, "class-not-allowed");
    radiographer.get("fhir", "/fhir/ImagingStudy/7").await.expect(200);
    radiographer.get("fhir", "/fhir/Observation/7").await.expect_problem(403, "class-not-allowed");
    for export in ["/fhir/$export", "/fhir/Patient/7/$everything", "/fhir/Patient/7/%24everything/"] {
        radiographer.get("fhir", export).await.expect_problem(401, "step-up-required");
    }
    at_home.ask(Ask::post("fhir", "/fhir/ImagingStudy", "{}")).await.expect_problem(403, "device-required");
    clerk.ask(Ask::post("fhir", "/fhir/Patient", "{}")).await.expect_problem(403, "action-not-allowed");

    let records = hospital.records();
    let refused = records.with("ev", "refused").with("path", "/fhir/$export");
    assert_eq!((&refused.only()["act"], &refused.only()["cls"]), (&"export".into(), &"chart".into()));
    let opened = records.opened(&instance);
    assert_eq!((&opened.only()["act"], &opened.only()["cls"]), (&"read".into(), &"images".into()));
}

/// The demo, whose FHIR server believes only the gateway.
#[test]
fn the_demos_fhir_server_is_judged_by_information_class() {
    let demo = crate::readme::Demo::start();
    let cookies = |who: &str, device: &str| {
        demo.type_in(&format!(
            "curl -sS --cacert \"$D/ca.pem\" {device} -L -o /dev/null -o /dev/null -c \"$D/{who}.cookies\" -H 'accept: text/html' \
             http://127.0.0.1:8480/as/{who} 'https://emr.sekimori.localhost:8443/.sekimori/sign-in?provider=demo'"
        ));
    };
    let tablet = "--cert \"$D/devices/ward-tablet-1.pem\"";
    cookies("nurse", tablet);
    cookies("doctor", tablet);
    let ask = |who: &str, more: &str, path: &str| {
        let line = format!(
            "curl -sS --cacert \"$D/ca.pem\" {tablet} -o /dev/null -w '%{{http_code}}' -b \"$D/{who}.cookies\" {more} \
             'https://emr.sekimori.localhost:8443{path}'"
        );
        demo.type_in(&line)
    };
    let form = "-d 'patient=00012345'";
    assert_eq!(ask("nurse", "", "/fhir/Patient/00012345"), "200");
    assert_eq!(ask("nurse", form, "/fhir/Observation/_search"), "200", "a search by POST writes nothing");
    assert_eq!(ask("nurse", "", "/fhir/Patient/00012345/$everything"), "403", "a nurse takes nothing out");
    assert_eq!(ask("doctor", "", "/fhir/Patient/00012345/$everything"), "200", "a doctor who just signed in does");
}
