//! Bodies that are what they say, and bodies that are not: bounded, marked, never a panic.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use policy::{Path, Patients, Side, Template};
use proptest::prelude::*;

use crate::{Asked, Body, Found, Glance, bound, glance, of_request, read_body};

/// What a template's route says of a body of its usual media type.
fn read(template: Template, side: Side, kind: &str, encoding: Option<&str>, bytes: &[u8], is_cut: bool) -> Patients {
    let base = Path::parse(template.usual_base()).unwrap();
    let routes = template.routes(&base);
    let wanted = if template == Template::Dicomweb { "/dicom-web/studies/{study}/**" } else { "" };
    let route = routes.iter().find(|route| wanted.is_empty() || route.pattern.as_str() == wanted).unwrap();
    let sources = route.patients.as_ref().unwrap();
    let mut found = Found::new(&sources.ids);
    read_body(
        sources,
        Body { side, bytes, is_cut, kind: Some(kind), encoding, path: "/fhir/Patient/_search" },
        &mut found,
    );
    found.finish().0
}

fn fhir(kind: &str, bytes: &[u8]) -> String {
    told(&read(Template::FhirR4, Side::Answer, kind, None, bytes, false))
}

fn told(patients: &Patients) -> String {
    let flags = patients.flags.iter().map(|flag| format!("!{}", flag.as_str()));
    patients.ids.iter().take(3).map(ToString::to_string).chain(flags).collect::<Vec<_>>().join(" ")
}

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

const PATIENT: &[u8] = br#"{"resourceType":"Patient","id":"1"}"#;

#[test]
fn a_body_is_taken_for_what_it_is_and_marked_where_it_said_otherwise() {
    assert_eq!(fhir("application/fhir+json;charset=utf-8", PATIENT), "1");
    assert_eq!(fhir("text/html", PATIENT), "1", "it lies, and is read all the same");
    assert_eq!(fhir("application/fhir+json", b"<Patient><id value='1'/></Patient>"), "1");
    assert_eq!(fhir("application/json", b"oops"), "!unreadable");
    assert_eq!(fhir("application/json", b"{\"a\":"), "!unreadable");
    assert_eq!(fhir("application/json", b"<html><br></html>"), "!unreadable");
    assert_eq!(fhir("text/html", b"<!DOCTYPE html><p>none<br>"), "", "a page is no answer of the interface");
    assert_eq!(fhir("image/png", b"\x89PNG\r\n"), "");
    assert_eq!(fhir("application/json", b"  "), "");
}

#[test]
fn packed_bodies_are_unpacked_up_to_the_bound() {
    let of = |encoding, bytes: &[u8], cut| {
        told(&read(Template::FhirR4, Side::Answer, "application/json", Some(encoding), bytes, cut))
    };
    assert_eq!(of("gzip", &packed(PATIENT), false), "1");
    assert_eq!(of("identity", PATIENT, false), "1");
    assert_eq!(of("gzip", PATIENT, false), "!unreadable");
    assert_eq!(of("br", PATIENT, false), "!unreadable");
    let mut bomb = PATIENT.to_vec();
    bomb.resize(200 << 20, b' ');
    let bomb = packed(&bomb);
    assert!(bomb.len() < 1 << 20);
    assert_eq!(of("gzip", &bomb, false), "1 !cut");
    let whole = packed(&[PATIENT, b"\n", br#"{"resourceType":"Patient","id":"2"}"#].concat());
    assert_eq!(of("gzip", &whole[..whole.len() - 9], true), "1 2 !cut");
}

#[test]
fn a_million_patients_are_counted_and_a_hundred_named() {
    let mut bundle = br#"{"resourceType":"Bundle","entry":["#.to_vec();
    for number in 0..20_000 {
        bundle.extend_from_slice(format!(r#"{{"resource":{{"resourceType":"Patient","id":"{number}"}}}},"#).as_bytes());
    }
    let patients = read(Template::FhirR4, Side::Answer, "application/json", None, &bundle, true);
    assert_eq!((patients.ids.len(), patients.in_all), (100, Some(20_000)));
    assert_eq!(told(&patients), "0 1 2 !bulk !cut");
}

#[test]
fn deep_nesting_and_endless_text_are_marked() {
    let deep = [br#"{"a":"#.repeat(10_000), PATIENT.to_vec()].concat();
    assert_eq!(fhir("application/json", &deep), "!unreadable");
    let long = format!(r#"{{"resourceType":"Patient","id":"{}"}}"#, "1".repeat(1 << 20));
    assert_eq!(fhir("application/json", long.as_bytes()), "");
}

#[test]
fn forms_and_orca_and_files_are_read_by_their_templates() {
    let form = read(Template::FhirR4, Side::Request, "application/x-www-form-urlencoded", None, b"_id=7&name=x", false);
    assert_eq!(told(&form), "7");
    let orca = |kind, body: &[u8]| told(&read(Template::Orca, Side::Request, kind, None, body, false));
    assert_eq!(orca("application/xml", b"<data><q><Patient_ID type=\"string\">13</Patient_ID></q></data>"), "13");
    assert_eq!(orca("application/json", br#"{"data":{"q":[{"Patient_ID":"13"},{"Patient_ID":14}]}}"#), "13 14");
    let kind = "multipart/related; type=\"application/dicom\"; boundary=x";
    let none = read(Template::Dicomweb, Side::Request, kind, None, b"--x\r\n\r\nnothing\r\n--x--", false);
    assert_eq!(told(&none), "!unreadable");
    let frames = "multipart/related; type=\"application/octet-stream\"; boundary=x";
    assert_eq!(told(&read(Template::Dicomweb, Side::Answer, frames, None, b"--x\r\n\r\n\x01\x02", true)), "");
}

#[test]
fn a_form_is_read_as_one_however_it_begins() {
    let form = |bytes: &[u8]| {
        let kind = "application/x-www-form-urlencoded; charset=utf-8";
        told(&read(Template::FhirR4, Side::Request, kind, None, bytes, false))
    };
    for first in ["{", "[", "<", " {", "{\"a\":1}", "DICM"] {
        assert_eq!(form(format!("{first}=1&_id=7").as_bytes()), "7", "{first}");
    }
    assert_eq!(form(PATIENT), "1", "an app that reads it as what it is shows the same");
    assert_eq!(form(("x=1&".repeat(2_000) + "_id=7").as_bytes()), "!cut");
}

#[test]
fn a_form_of_parts_is_marked_where_forms_name_patients() {
    let kind = "multipart/form-data; boundary=x";
    let parts = b"--x\r\nContent-Disposition: form-data; name=\"_id\"\r\n\r\n7\r\n--x--\r\n";
    assert_eq!(glance(Some(kind), None, parts), Glance::Hold);
    let of = |template, side, bytes: &[u8]| told(&read(template, side, kind, None, bytes, false));
    assert_eq!(of(Template::FhirR4, Side::Request, parts), "!unreadable");
    assert_eq!(of(Template::FhirR4, Side::Request, &[b"{}\r\n", &parts[..]].concat()), "!unreadable", "a preamble");
    assert_eq!(of(Template::FhirR4, Side::Answer, parts), "");
    assert_eq!(of(Template::Orca, Side::Request, parts), "", "no form is looked for");
}

#[test]
fn as_much_is_held_of_a_body_as_is_looked_at_of_its_kind() {
    let routes = Template::Dicomweb.routes(&Path::parse("/dicom-web").unwrap());
    let route = routes.iter().find(|route| route.pattern.as_str() == "/dicom-web/studies/{study}/**").unwrap();
    let sources = route.patients.as_ref().unwrap();
    let of = |kind| bound(sources, Side::Answer, kind);
    assert_eq!(of(Some("application/dicom+json")), Some(1 << 20));
    assert_eq!(of(Some("application/dicom")), Some(64 << 10));
    assert_eq!(of(Some("multipart/related; type=\"application/dicom\"; boundary=x")), Some(64 << 10));
    assert_eq!(of(Some("image/jpeg")), Some(1 << 20), "it may lie");
    assert_eq!(of(None), Some(1 << 20));
    assert_eq!(bound(&policy::PatientSources::default(), Side::Answer, Some("application/dicom")), None);
}

#[test]
fn what_cannot_name_anybody_is_not_held() {
    assert_eq!(glance(Some("application/json"), None, b"{"), Glance::Hold);
    assert_eq!(glance(Some("image/png"), None, b"\x89PNG"), Glance::Pass);
    assert_eq!(glance(Some("image/png"), None, b" {\"a\""), Glance::Hold);
    assert_eq!(glance(None, None, b"x"), Glance::Hold);
    assert_eq!(glance(Some("text/plain"), Some("gzip"), b"\x1f\x8b"), Glance::Hold);
    assert_eq!(glance(Some("multipart/related; type=\"application/octet-stream\""), None, b"--x"), Glance::Pass);
    assert_eq!(glance(Some("multipart/related; type=\"application/dicom\"; boundary=x"), None, b"--x"), Glance::Hold);
}

proptest! {
    #[test]
    fn no_body_is_trouble(
        bytes in prop::collection::vec(any::<u8>(), 0..400),
        kind in prop_oneof!["application/json", "application/xml", "application/dicom", "text/html", ".{0,20}"],
        encoding in prop::option::of(prop_oneof!["gzip", "br", ".{0,8}"]),
        is_cut in any::<bool>(),
    ) {
        for template in Template::ALL {
            for side in [Side::Request, Side::Answer] {
                read(template, side, &kind, encoding.as_deref(), &bytes, is_cut);
            }
        }
    }

    #[test]
    fn a_document_cut_anywhere_names_no_more_than_the_whole(at in 0..400_usize, garble in any::<u8>(), place in 0..400_usize) {
        let whole = br#"[{"resourceType":"Patient","id":"1"},{"resourceType":"Bundle","entry":[{"resource":{"resourceType":"Observation",
            "subject":{"reference":"Patient/2"},"contained":[{"resourceType":"Patient","id":"x"}]}}]}]"#;
        let cut = &whole[..at.min(whole.len())];
        let some = read(Template::FhirR4, Side::Answer, "application/json", None, cut, true);
        prop_assert!(some.ids.iter().all(|id| ["1", "2"].contains(&&**id)));
        let mut garbled = whole.to_vec();
        if let Some(byte) = garbled.get_mut(place) { *byte = garble; }
        read(Template::FhirR4, Side::Answer, "application/json", None, &garbled, false);
    }

    #[test]
    fn no_request_is_trouble(query in ".{0,200}", path in "(/[a-zA-Z0-9$_.-]{1,8}){1,6}") {
        let Ok(path) = Path::parse(&path) else { return Ok(()) };
        for template in Template::ALL {
            for route in template.routes(&Path::parse("/").unwrap()) {
                let Some(sources) = &route.patients else { continue };
                let mut found = Found::new(&sources.ids);
                of_request(sources, Asked { path: &path, patient: Some("7"), study: Some("x"), query: Some(&query) }, &mut found);
                prop_assert!(!found.is_empty());
                break;
            }
        }
    }
}
