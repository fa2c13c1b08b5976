//! FHIR search (R4 section 3.1.1) as far as the demo needs it. A parameter that is not known is refused, not
//! ignored: an ignored filter would show other patients' data.

use serde_json::Value;

use super::super::asked::Fields;
use super::super::patients::{NUMBER_SYSTEM, parse_number};
use super::observation::LOINC;
use super::records::{Kind, Records, text};

/// The most entries of one answer.
const COUNT_MAX: usize = 100;
const COUNT_DEFAULT: usize = 50;

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    /// How many fit.
    pub(super) total: usize,
    /// The first of them.
    pub(super) resources: Vec<Value>,
}

/// Looks for resources that fit every parameter.
///
/// # Errors
/// A sentence: which parameter is not known, or cannot be read.
pub(super) fn search(records: &Records, kind: Kind, fields: &Fields) -> Result<Found, String> {
    let mut count = COUNT_DEFAULT;
    let mut filters = Vec::new();
    for (name, value) in fields.iter() {
        match (kind, name) {
            (_, "_count") => count = parse_count(value)?,
            (_, "_format" | "_sort" | "_summary") => {}
            (_, "_id")
            | (Kind::Patient, "identifier" | "name")
            | (
                Kind::Observation,
                "patient" | "subject" | "subject:Patient" | "patient.identifier" | "subject.identifier" | "code",
            ) => filters.push((name, value)),
            (Kind::Patient | Kind::Observation, _) => {
                return Err(format!("`{name}` is not a search parameter of {} here", kind.as_str()));
            }
        }
    }
    let fits = |resource: &Value| filters.iter().all(|(name, value)| fits_any(resource, name, value));
    let all: Vec<Value> = records.all(kind).filter(fits).collect();
    Ok(Found { total: all.len(), resources: all.into_iter().take(count).collect() })
}

fn parse_count(value: &str) -> Result<usize, String> {
    let count = value.parse::<usize>().map_err(|_| format!("`{value}` is not a number of entries"))?;
    Ok(count.min(COUNT_MAX))
}

/// A list joined by commas means any of its members.
fn fits_any(resource: &Value, name: &str, values: &str) -> bool {
    values.split(',').any(|value| fits(resource, name, value.trim()))
}

fn fits(resource: &Value, name: &str, value: &str) -> bool {
    match name {
        "_id" => text(resource, "/id") == value,
        "identifier" => identifies(value, text(resource, "/identifier/0/value")),
        "name" => names(resource).any(|name| name.to_lowercase().starts_with(&value.to_lowercase())),
        "patient.identifier" | "subject.identifier" => identifies(value, subject(resource)),
        "code" => codes(resource).any(|code| has_token(value, LOINC, |wanted| wanted == code)),
        _ => same_number(value.rsplit('/').next().unwrap_or_default(), subject(resource)),
    }
}

/// The id of the patient an Observation is about.
fn subject(resource: &Value) -> &str {
    text(resource, "/subject/reference").rsplit('/').next().unwrap_or_default()
}

fn names(resource: &Value) -> impl Iterator<Item = &str> {
    let names = resource.get("name").and_then(Value::as_array).into_iter().flatten();
    names.flat_map(|name| [text(name, "/text"), text(name, "/family"), text(name, "/given/0")])
}

fn codes(resource: &Value) -> impl Iterator<Item = &str> {
    let codings = resource.pointer("/code/coding").and_then(Value::as_array).into_iter().flatten();
    codings.map(|coding| text(coding, "/code"))
}

fn identifies(token: &str, id: &str) -> bool {
    has_token(token, NUMBER_SYSTEM, |value| same_number(value, id))
}

/// A token is `value`, `system|value`, `|value` or `system|`.
fn has_token(token: &str, system: &str, fits: impl Fn(&str) -> bool) -> bool {
    match token.split_once('|') {
        Some((one, "")) => one == system,
        Some((one, value)) => one == system && fits(value),
        None => fits(token),
    }
}

/// Patient numbers are the same with any number of leading zeros; other ids are compared letter by letter.
fn same_number(one: &str, other: &str) -> bool {
    match (parse_number(one), parse_number(other)) {
        (Some(one), Some(other)) => one == other,
        _ => !one.is_empty() && one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use policy::Timestamp;

    fn ids(kind: Kind, query: &str) -> Result<Vec<String>, String> {
        let records = Records::seeded(Timestamp::from_unix_micros(1_800_000_000_000_000));
        let found = search(&records, kind, &Fields::read(query.as_bytes()))?;
        Ok(found.resources.iter().map(|resource| text(resource, "/id").to_owned()).collect())
    }

    #[test]
    fn an_unknown_parameter_is_refused() {
        assert!(ids(Kind::Patient, "identifer=00012345").unwrap_err().contains("`identifer`"));
        assert!(ids(Kind::Observation, "patient=12345&encounter=1").is_err());
        assert!(ids(Kind::Patient, "_count=all").is_err());
    }

    #[test]
    fn a_filter_never_widens() {
        for query in ["patient=", "patient=99999999", "patient=00012345%20x", "patient=Patient/", "code=|8867-4"] {
            assert_eq!(ids(Kind::Observation, query).unwrap(), Vec::<String>::new(), "{query}");
        }
        assert_eq!(ids(Kind::Patient, "identifier=urn:oid:1.2.3|00012345").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_patient_is_found_by_every_spelling_of_the_number() {
        let number = format!("identifier={NUMBER_SYSTEM}|12345");
        for query in ["_id=00012345", "identifier=00012345", "identifier=12345", &number, "name=見本 太郎"] {
            assert_eq!(ids(Kind::Patient, query).unwrap(), ["00012345"], "{query}");
        }
        assert_eq!(ids(Kind::Patient, "name=mihon").unwrap().len(), 5);
    }

    #[test]
    fn observations_are_found_by_every_form_of_their_patient() {
        let by_number = format!("patient.identifier={NUMBER_SYSTEM}|00012345");
        for patient in
            ["patient=12345", "patient=Patient/00012345", "subject=Patient/12345", "subject:Patient=12345", &by_number]
        {
            assert_eq!(
                ids(Kind::Observation, &format!("{patient}&code=8867-4")).unwrap(),
                ["hr-00012345"],
                "{patient}"
            );
        }
        assert_eq!(ids(Kind::Observation, "patient=12345,12346&code=http://loinc.org|8867-4").unwrap().len(), 2);
        assert_eq!(ids(Kind::Observation, "_count=9999").unwrap().len(), COUNT_MAX);
    }
}
