//! Patients that stand in the path, the query, a posted form or the head of an answer.

use std::borrow::Cow;

use policy::{Field, Path, PatientFlag, PatientSource, PatientSources};

use crate::fhir_search;
use crate::found::Found;

/// The most fields of one query or form that are looked at.
const FIELDS_MAX: usize = 2_000;
/// How WADO-URI names a study (PS3.18 section 9.1.2).
const STUDY_FIELD: &str = "studyUID";

/// What a request names before its body.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Its path.
    pub path: &'a Path,
    /// The patient that the route's pattern takes from it.
    pub patient: Option<&'a str>,
    /// The study that the pattern takes from it.
    pub study: Option<&'a str>,
    /// Its query, without `?`.
    pub query: Option<&'a str>,
}

/// Finds the patients and studies that a request names in its path and query.
pub fn of_request(sources: &PatientSources, asked: Asked<'_>, found: &mut Found<'_>) {
    if let Some(id) = asked.patient.filter(|id| names_somebody(sources, id)) {
        found.patient(id);
    }
    if let Some(study) = asked.study {
        found.study(study);
    }
    for source in &sources.sources {
        match source {
            PatientSource::Path(pattern) => {
                let path = decoded(asked.path.as_str());
                pattern.find(&path).for_each(|id| found.patient(id));
            }
            PatientSource::Query(field) => of_field(field, asked.query.unwrap_or_default(), found),
            PatientSource::FhirSearch => {
                fhir_search::parameters(asked.path.as_str(), asked.query.unwrap_or_default(), found);
            }
            PatientSource::Study => {
                let fields = fields(asked.query.unwrap_or_default(), found);
                for field in fields.filter(|field| field.name == STUDY_FIELD || field.name == "StudyInstanceUID") {
                    found.study(&field.value);
                }
            }
            PatientSource::Form(_) | PatientSource::Header(_) | PatientSource::Body(_) => {}
        }
    }
}

/// Whether the segment of a path is an id: in FHIR, `_search` and `$match` stand in the same place.
fn names_somebody(sources: &PatientSources, id: &str) -> bool {
    !(id.starts_with(['_', '$']) && sources.sources.contains(&PatientSource::FhirSearch))
}

/// Finds the patients that the head of an answer names; `value` gives the value of a field.
pub fn of_header<'h>(sources: &PatientSources, mut values: impl FnMut(&str) -> Vec<&'h str>, found: &mut Found<'_>) {
    for header in sources.headers() {
        for value in values(&header.field.name) {
            match &header.field.pattern {
                Some(pattern) => pattern.find(value).for_each(|id| found.patient(id)),
                None => value.split(',').for_each(|id| found.patient(id)),
            }
        }
    }
}

/// Takes ids out of one field of a query or form; a list with commas is several.
pub(crate) fn of_field(field: &Field, text: &str, found: &mut Found<'_>) {
    for one in fields(text, found).filter(|one| *one.name == *field.name) {
        if is_escaped_twice(&one.value) {
            found.flag(PatientFlag::Unreadable);
            continue;
        }
        match &field.pattern {
            Some(pattern) => pattern.find(&one.value).for_each(|id| found.patient(id)),
            None => one.value.split([',', '，', '、']).for_each(|id| found.patient(id)),
        }
    }
}

/// One field, without escapes.
pub(crate) struct OneField<'t> {
    pub(crate) name: Cow<'t, str>,
    pub(crate) value: Cow<'t, str>,
}

/// The fields of a query or form; marked where there are more than are looked at.
pub(crate) fn fields<'t>(text: &'t str, found: &mut Found<'_>) -> impl Iterator<Item = OneField<'t>> + use<'t> {
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    if pairs.clone().nth(FIELDS_MAX).is_some() {
        found.flag(PatientFlag::Cut);
    }
    pairs.take(FIELDS_MAX).map(|pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        OneField { name: decoded_in_query(name), value: decoded_in_query(value) }
    })
}

/// Whether escapes are left after they were taken away: two programs would read two ids.
pub(crate) fn is_escaped_twice(text: &str) -> bool {
    text.as_bytes()
        .windows(3)
        .any(|window| matches!(window, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()))
}

/// A text of a query, where `+` is a space.
fn decoded_in_query(text: &str) -> Cow<'_, str> {
    if text.contains('+') { Cow::Owned(decoded(&text.replace('+', " ")).into_owned()) } else { decoded(text) }
}

/// A text without its escapes; what does not spell UTF-8 then has a mark in its place.
pub(crate) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut left = text.as_bytes();
    while let Some((byte, rest)) = left.split_first() {
        let escaped = rest.get(..2).filter(|_| *byte == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        let value = escaped.filter(|hex| hex.bytes().all(|digit| digit.is_ascii_hexdigit()));
        match value.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(value) => {
                bytes.push(value);
                left = rest.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*byte);
                left = rest;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use policy::{IdPattern, PatientIds};

    use super::*;

    fn field(name: &str, pattern: Option<&str>) -> Field {
        Field { name: name.into(), pattern: pattern.map(|text| IdPattern::parse(text).unwrap()) }
    }

    fn asked(sources: Vec<PatientSource>, path: &str, query: &str) -> String {
        let sources = PatientSources { sources, ids: PatientIds { pad: 4, ..PatientIds::default() } };
        let path = Path::parse(path).unwrap();
        let mut found = Found::new(&sources.ids);
        of_request(&sources, Asked { path: &path, patient: None, study: None, query: Some(query) }, &mut found);
        let (patients, _) = found.finish();
        let mut told: Vec<String> = patients.ids.iter().chain(&patients.studies).map(ToString::to_string).collect();
        told.extend(patients.flags.iter().map(|flag| format!("!{}", flag.as_str())));
        told.join(" ")
    }

    #[test]
    fn a_query_names_patients_however_it_is_spelt() {
        let by = |query: &str| asked(vec![PatientSource::Query(field("pid", None))], "/x", query);
        assert_eq!(by("a=1&pid=7"), "0007");
        assert_eq!(by("pid=%EF%BC%97&pid=8"), "0007 0008", "full width");
        assert_eq!(by("p%69d=1,2%2C3+"), "0001 0002 0003");
        assert_eq!(by("pid"), "");
        assert_eq!(by("&&=&pid=&"), "");
        assert_eq!(by("pid=%2537"), "!unreadable", "escaped twice");
        assert_eq!(by("pid=%"), "%");
        assert_eq!(by("pid=%ff"), "\u{fffd}");
    }

    #[test]
    fn an_expression_takes_a_part_of_path_or_value() {
        let path = IdPattern::parse("^/chart-([0-9]+)[.]html$").unwrap();
        assert_eq!(asked(vec![PatientSource::Path(path)], "/chart-7.html", ""), "0007");
        let token = field("identifier", Some("^urn:oid:1[.]2[|](?<patient>.+)$"));
        assert_eq!(asked(vec![PatientSource::Query(token)], "/x", "identifier=urn:oid:1.2%7C9&identifier=x|8"), "0009");
    }

    #[test]
    fn wado_names_its_study_in_the_query() {
        assert_eq!(asked(vec![PatientSource::Study], "/wado", "requestType=WADO&studyUID=1.2.3&seriesUID=4"), "1.2.3");
        assert_eq!(asked(vec![PatientSource::Study], "/wado", "studyUID=x"), "");
    }

    #[test]
    fn an_answer_names_patients_in_its_head() {
        let header = |pattern| policy::AnswerHeader { field: field("x-patient-id", pattern), strip: true };
        let of = |pattern, value: &'static str| {
            let sources =
                PatientSources { sources: vec![PatientSource::Header(header(pattern))], ..Default::default() };
            let mut found = Found::new(&sources.ids);
            of_header(&sources, |name| if name == "x-patient-id" { vec![value] } else { vec![] }, &mut found);
            found.finish().0.ids.join(" ")
        };
        assert_eq!(of(None, "7, 8"), "7 8");
        assert_eq!(of(Some("Patient/([0-9]+)"), "/fhir/Patient/7/_history/1"), "7");
    }

    #[test]
    fn the_longest_query_is_no_trouble() {
        let by = |query: &str| asked(vec![PatientSource::Query(field("p", None))], "/x", query);
        assert_eq!(by(&"p=1&".repeat(100_000)), "0001 !cut");
    }

    #[test]
    fn a_patient_behind_more_fields_than_are_looked_at_is_marked() {
        let with = |before: usize| "x=1&".repeat(before) + "p=7";
        for source in [PatientSource::Query(field("p", None)), PatientSource::FhirSearch, PatientSource::Study] {
            let is_by_name = matches!(source, PatientSource::Query(_));
            let by = |before: usize| asked(vec![source.clone()], "/Patient", &with(before));
            assert_eq!(by(FIELDS_MAX - 1), if is_by_name { "0007" } else { "" });
            assert_eq!(by(FIELDS_MAX), "!cut");
        }
    }
}
