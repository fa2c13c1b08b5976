//! Patients in the parameters of a FHIR search (R4 section 3.1.1), by the names that the Patient compartment uses.

use policy::PatientFlag;

use crate::found::Found;
use crate::query::{fields, is_escaped_twice};

/// Parameters whose value is a patient also where it says no type: in each type of the Patient compartment that has
/// them, or in all but few.
const BARE: [&str; 4] = ["patient", "subject", "beneficiary", "individual"];
/// Further parameters of the Patient compartment: patients where the value or the modifier says so.
const TYPED: [&str; 19] = [
    "actor",
    "asserter",
    "attester",
    "author",
    "link",
    "member",
    "participant",
    "payee",
    "payor",
    "performer",
    "policy-holder",
    "receiver",
    "recipient",
    "recorder",
    "requester",
    "sender",
    "source",
    "subscriber",
    "entity",
];

/// Finds the patients that the parameters of a search name. `path` tells of which type the search is.
pub(crate) fn parameters(path: &str, text: &str, found: &mut Found<'_>) {
    let of_patients = searches_patients(path);
    for field in fields(text, found) {
        let (name, modifier) = match field.name.split_once(':') {
            Some((name, modifier)) => (name, Some(modifier)),
            None => (&*field.name, None),
        };
        // `_has:Observation:patient:code` names no patient, `patient.name` nobody by id.
        let (base, chained) = match name.split_once('.') {
            Some((base, chained)) => (base, Some(chained)),
            None => (name, None),
        };
        let of_type = modifier.and_then(|modifier| modifier.split('.').next());
        let by_identifier = chained == Some("identifier")
            || modifier.is_some_and(|modifier| modifier == "identifier" || modifier.ends_with(".identifier"));
        let (is_bare, names_type) = (BARE.contains(&base), of_type == Some("Patient"));
        let is_known = is_bare || TYPED.contains(&base);
        let is_token = (of_patients && base == "identifier" && chained.is_none())
            || (is_known && by_identifier && (is_bare || names_type));
        let is_patient = (of_patients && base == "_id") || (is_known && names_type) || (is_bare && modifier.is_none());
        let read: fn(&str, &mut Found<'_>) = if is_token {
            token
        } else if chained.is_some() {
            continue;
        } else if is_patient {
            reference_or_id
        } else if is_known {
            reference
        } else {
            continue;
        };
        if is_escaped_twice(&field.value) {
            found.flag(PatientFlag::Unreadable);
            continue;
        }
        field.value.split(',').for_each(|one| read(one.trim(), found));
    }
}

/// Whether a search at this path is for patients.
fn searches_patients(path: &str) -> bool {
    let path = path.trim_end_matches('/');
    let path = path.strip_suffix("/_search").unwrap_or(path);
    path.rsplit('/').next() == Some("Patient")
}

/// `system|value` or `value`.
pub(crate) fn token(text: &str, found: &mut Found<'_>) {
    match text.split_once('|') {
        Some((system, value)) => identifier(system, value, found),
        None => found.patient(text),
    }
}

/// An identifier of a patient: one of another system than the hospital's numbers names them by something else.
pub(crate) fn identifier(system: &str, value: &str, found: &mut Found<'_>) {
    let ours = found.ids().system.as_deref();
    if ours.is_none_or(|ours| system.is_empty() || system == ours) {
        found.patient(value);
    }
}

/// `Patient/123`, a whole address of it, or `123`.
fn reference_or_id(text: &str, found: &mut Found<'_>) {
    if text.contains('/') { reference(text, found) } else { found.patient(text) }
}

/// `Patient/123` or a whole address of it, also of one of its versions.
pub(crate) fn reference(text: &str, found: &mut Found<'_>) {
    if let Some(id) = patient_of(text) {
        found.patient(id);
    }
}

/// The id in `…/Patient/ID…`.
pub(crate) fn patient_of(text: &str) -> Option<&str> {
    let text = text.split(['?', '#']).next().unwrap_or_default();
    let rest = match text.strip_prefix("Patient/") {
        Some(rest) => rest,
        None => text.rsplit_once("/Patient/")?.1,
    };
    let id = rest.split('/').next().unwrap_or_default();
    let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    (is_id && !id.starts_with('_')).then_some(id)
}

#[cfg(test)]
mod tests {
    use policy::PatientIds;

    use super::*;

    fn named(path: &str, query: &str) -> String {
        let ids = PatientIds { system: Some("urn:oid:1.2".into()), ..PatientIds::default() };
        let mut found = Found::new(&ids);
        parameters(path, query, &mut found);
        found.finish().0.ids.join(" ")
    }

    #[test]
    fn searches_name_patients_in_many_ways() {
        for (query, expected) in [
            ("patient=1", "1"),
            ("patient=Patient/1,Patient/2", "1 2"),
            ("subject=Patient/1", "1"),
            ("subject=https://other.example/fhir/Patient/1/_history/3", "1"),
            ("subject:Patient=1", "1"),
            ("subject=1", "1"),
            ("subject=Group/1", ""),
            ("patient.identifier=urn:oid:1.2|1", "1"),
            ("subject:Patient.identifier=urn:oid:1.2%7C1", "1"),
            ("patient:identifier=urn:oid:9|1", ""),
            ("patient.name=SHIKEN", ""),
            ("beneficiary=Patient/1&code=2", "1"),
            ("actor=Patient/1&actor=Practitioner/2&actor=3", "1"),
            ("performer:Patient=1", "1"),
            ("performer:Practitioner=1", ""),
            ("_has:Observation:patient:code=1", ""),
            ("code=Patient/1", ""),
            ("patient:missing=true", ""),
        ] {
            assert_eq!(named("/fhir/Observation", query), expected, "{query}");
        }
    }

    #[test]
    fn a_search_for_patients_names_them_by_id_and_number() {
        for path in ["/fhir/Patient", "/fhir/Patient/", "/fhir/Patient/_search", "/Patient"] {
            assert_eq!(
                named(path, "_id=1,2&identifier=urn:oid:1.2|3&identifier=4&identifier=x|5"),
                "1 2 3 4",
                "{path}"
            );
        }
        assert_eq!(named("/fhir/Observation", "_id=1&identifier=2"), "");
        assert_eq!(named("/fhir/Patient/9/Observation", "_id=1"), "");
    }

    #[test]
    fn references_are_read_as_servers_write_them() {
        for (text, id) in [
            ("Patient/1", Some("1")),
            ("https://emr/fhir/Patient/a.b-c", Some("a.b-c")),
            ("Patient/1/_history/2", Some("1")),
            ("Patient/1?x", Some("1")),
            ("#p1", None),
            ("urn:uuid:7", None),
            ("Patient/", None),
            ("Patient/_search", None),
            ("SubPatient/1", None),
            ("Patient/<x>", None),
        ] {
            assert_eq!(patient_of(text), id, "{text}");
        }
    }
}
