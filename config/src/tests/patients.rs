//! Where patients are named, and what is said where that is wrong.

use std::sync::Arc;

use policy::{BodyForm, Classifier, Method, OnMissing, Path, PatientSource, PatientSources, Side};

use super::golden::said_about;
use super::{Folder, short_with};

/// The short configuration with lines in its app, and lines before that.
fn with(app: &str, before: &str) -> String {
    short_with("id = \"emr\"\n", &format!("id = \"emr\"\n{app}\n")).replace("[[app]]", &format!("{before}\n[[app]]"))
}

fn route(lines: &str) -> String {
    with("", "").replace(
        "[[rule]]",
        &format!("[[app.route]]\npaths = [\"/x/{{study}}\"]\nclass = \"chart\"\n{lines}\n[[rule]]"),
    )
}

fn sources(text: &str, path: &str) -> Option<Arc<PatientSources>> {
    let config = match Folder::new().parse(text) {
        Ok(config) => config,
        Err(problems) => panic!("{problems}"),
    };
    let classifier = Classifier::of(&config.apps[0].routes);
    let path = Path::parse(path).unwrap();
    let found = classifier.classify(&Method::parse("GET").unwrap(), &path);
    classifier.about_patients(found.route?).map(|about| Arc::clone(about.sources))
}

#[test]
fn ids_are_written_as_the_hospital_says_unless_an_app_or_route_says_otherwise() {
    let hospital = "[patients]\npad = 8\nsystem = \"urn:oid:1.2\"\non_missing = \"flag\"";
    let of_template = sources(&with("template = \"orca\"", hospital), "/api01rv2/patientgetv2").unwrap();
    assert_eq!((of_template.ids.pad, of_template.ids.system.as_deref()), (8, Some("urn:oid:1.2")));
    assert_eq!((of_template.ids.listed_max, of_template.ids.on_missing), (100, OnMissing::Flag));
    let of_app = sources(&with("template = \"orca\"\npatients = { pad = 5 }", hospital), "/orca/x").unwrap();
    assert_eq!((of_app.ids.pad, of_app.ids.on_missing), (5, OnMissing::Flag));
    let own = route("pad = 3\nmax_ids = 7\non_missing = \"ok\"").replace("[[app]]", &format!("{hospital}\n[[app]]"));
    let own = sources(&own, "/x/1.2").unwrap();
    assert_eq!((own.ids.pad, own.ids.listed_max, own.ids.on_missing), (3, 7, OnMissing::Ok));
    assert_eq!(sources(&with("", ""), "/x"), None, "nothing is looked at where nothing is said");
}

#[test]
fn every_place_that_can_name_a_patient_has_its_word() {
    let text = route(
        r#"patient = [
            { from = "path", regex = "^/x/([0-9]+)" },
            { from = "query", name = "pid", regex = "^P([0-9]+)$" },
            { from = "form", name = "pid" },
            { from = "fhir-search" },
            { from = "json", pointer = "/a/*/id" },
            { from = "xml", pointer = "/**/Patient_ID", max_bytes = "8KiB" },
            { from = "fhir" }, { from = "dicom" },
            { from = "response-json", pointer = "/id", max_bytes = "2MiB" },
            { from = "response-xml", pointer = "/a/@id" },
            { from = "response-fhir" }, { from = "response-dicom" }, { from = "response-dicom-json" },
            { from = "response-header", name = "X-Patient-Id" },
            { from = "study-map" },
        ]
        folds = true"#,
    );
    let sources = sources(&text, "/x/1.2").unwrap();
    assert_eq!(sources.sources.len(), 15);
    assert_eq!((sources.looks_at(Side::Request), sources.looks_at(Side::Answer)), (Some(64 << 10), Some(2 << 20)));
    let header = sources.headers().next().unwrap();
    assert_eq!((&*header.field.name, header.strip), ("x-patient-id", true));
    let small = sources.sources.iter().any(|source| {
        matches!(source, PatientSource::Body(body) if matches!(body.form, BodyForm::Xml(_)) && body.bytes_max == 8192)
    });
    assert!(small);
    let of_file = |source: &PatientSource| match source {
        PatientSource::Body(body) if body.side == Side::Answer => {
            matches!(body.form, BodyForm::Dicom) && body.bytes_max == 64 << 10
        }
        PatientSource::Body(_)
        | PatientSource::Path(_)
        | PatientSource::Query(_)
        | PatientSource::Form(_)
        | PatientSource::FhirSearch
        | PatientSource::Header(_)
        | PatientSource::Study => false,
    };
    assert!(sources.sources.iter().any(of_file), "the patient stands before the picture");
}

#[test]
fn what_is_wrong_about_patients_is_told_in_words_one_can_act_on() {
    for (patient, said) in [
        ("{ from = \"body\" }", "is not one of"),
        ("{ }", "is missing; add `from = \"query\"`"),
        ("{ from = \"path\" }", "is missing; add `regex ="),
        ("{ from = \"path\", regex = \"(\" }", "cannot be read as a regular expression"),
        (
            "{ from = \"path\", regex = \"[0-9]+\" }",
            "has no group that says which part is the patient; put the id into",
        ),
        ("{ from = \"query\" }", "is missing; add `name ="),
        ("{ from = \"json\" }", "is missing; add `pointer ="),
        ("{ from = \"json\", pointer = \"id\" }", "is not names with `/` before each; write it like"),
        ("{ from = \"xml\", pointer = \"/**\" }", "ends with `**`"),
        ("{ from = \"fhir\", max_bytes = \"1GiB\" }", "`1GiB` is out of bounds; write a size from 1KiB to 16MiB"),
        ("{ from = \"fhir\", pointer = \"/a\" }", "is not a key we know"),
        ("{ from = \"response-header\", name = \"a b\" }", "is not the name of a header; write it like `x-patient-id`"),
    ] {
        let told = said_about(&route(&format!("patient = [{patient}]")));
        assert!(told.contains(said), "{patient}: {told}");
    }
    let told = said_about(&route("folds = true").replace("{study}", "{other}"));
    assert!(
        told.contains("the path names none; write the segment that is the Study Instance UID as `{study}`"),
        "{told}"
    );
    let told = said_about(&route("ward = \"byoto\"").replace("{study}", "{ward}"));
    assert!(told.contains("names the ward a second time; leave it out: the path names it already"), "{told}");
    let told = said_about(&route(&format!("ward = \"{}\"", "w".repeat(1_000))));
    assert!(told.contains("is not the name of a field; write the name as the address has it"), "{told}");
    let told = said_about(&with("", "[patients]\npad = 21\n"));
    assert!(told.starts_with("patients.pad: `21` is out of bounds"), "{told}");
    let told = said_about(&with("", "[patients]\nonmissing = \"ok\"\n"));
    assert!(told.contains("is not a key we know; write `on_missing`"), "{told}");
}
