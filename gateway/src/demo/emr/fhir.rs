//! FHIR R4 over HTTP: read, search by GET and POST, create, update, delete, and a patient's own compartment.

use http::header::{ETAG, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use policy::Timestamp;
use serde_json::{Value, json};

use super::super::answer::{self, Answer};
use super::super::asked::{Asked, Fields};
use super::records::{Kind, RecordProblem, Records, text};
use super::search::{Found, search};

const MEDIA_TYPE: &str = "application/fhir+json";

/// Answers a request below `/fhir`; `rest` are the segments after it.
pub(super) fn answer(records: &mut Records, asked: &Asked, rest: &[&str], at: Timestamp) -> Answer {
    if let ["metadata"] = rest
        && asked.is_read()
    {
        return document(StatusCode::OK, &capabilities());
    }
    let Some((kind, rest)) = rest.split_first().and_then(|(name, rest)| Some((Kind::parse(name)?, rest))) else {
        return outcome(StatusCode::NOT_FOUND, "not-supported", "only Patient and Observation are kept here");
    };
    match (asked.method.clone(), rest) {
        (Method::GET | Method::HEAD, []) => searched(records, kind, &asked.query),
        (Method::POST, ["_search"]) => searched(records, kind, &asked.form()),
        (Method::GET | Method::HEAD, [id]) => read(records, kind, id),
        (Method::GET | Method::HEAD, [id, "Observation"]) if kind == Kind::Patient => compartment(records, id),
        (Method::GET | Method::HEAD, [id, "$everything"]) if kind == Kind::Patient => everything(records, id),
        (Method::POST, []) => created(records, kind, asked, at),
        (Method::PUT, [id]) => updated(records, kind, id, asked, at),
        (Method::DELETE, [id]) => removed(records, kind, id),
        _ => outcome(StatusCode::METHOD_NOT_ALLOWED, "not-supported", "this interaction is not supported here"),
    }
}

fn read(records: &Records, kind: Kind, id: &str) -> Answer {
    match records.read(kind, id) {
        Some(resource) => versioned(StatusCode::OK, &resource),
        None => outcome(StatusCode::NOT_FOUND, "not-found", "there is no resource with this id"),
    }
}

fn searched(records: &Records, kind: Kind, fields: &Fields) -> Answer {
    match search(records, kind, fields) {
        Ok(found) => bundle(found),
        Err(sentence) => outcome(StatusCode::BAD_REQUEST, "invalid", &sentence),
    }
}

fn compartment(records: &Records, patient: &str) -> Answer {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    searched(records, Kind::Observation, &Fields::read(query.append_pair("patient", patient).finish().as_bytes()))
}

fn everything(records: &Records, id: &str) -> Answer {
    let Some(patient) = records.read(Kind::Patient, id) else { return read(records, Kind::Patient, id) };
    let reference = format!("Patient/{id}");
    let about = records.all(Kind::Observation).filter(|one| text(one, "/subject/reference") == reference);
    let resources: Vec<Value> = [patient].into_iter().chain(about).collect();
    bundle(Found { total: resources.len(), resources })
}

fn created(records: &mut Records, kind: Kind, asked: &Asked, at: Timestamp) -> Answer {
    let kept = match parse(kind, asked) {
        Ok(body) => records.create(kind, body, at),
        Err(sentence) => return outcome(StatusCode::BAD_REQUEST, "structure", sentence),
    };
    match kept {
        Ok(resource) => at_its_place(kind, versioned(StatusCode::CREATED, &resource), &resource),
        Err(problem) => full(problem),
    }
}

fn updated(records: &mut Records, kind: Kind, id: &str, asked: &Asked, at: Timestamp) -> Answer {
    let fits = (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.');
    if !fits {
        return outcome(StatusCode::BAD_REQUEST, "invalid", "an id is 1 to 64 letters, digits, `-` and `.`");
    }
    let body = match parse(kind, asked) {
        Ok(body) if text(&body, "/id") == id => body,
        Ok(_) => return outcome(StatusCode::BAD_REQUEST, "invalid", "the resource's id is not the one in the address"),
        Err(sentence) => return outcome(StatusCode::BAD_REQUEST, "structure", sentence),
    };
    let is_new = records.read(kind, id).is_none();
    match records.replace(kind, id, body, at) {
        Ok(resource) if is_new => at_its_place(kind, versioned(StatusCode::CREATED, &resource), &resource),
        Ok(resource) => versioned(StatusCode::OK, &resource),
        Err(problem) => full(problem),
    }
}

fn removed(records: &mut Records, kind: Kind, id: &str) -> Answer {
    if records.remove(kind, id) { answer::empty(StatusCode::NO_CONTENT) } else { read(records, kind, id) }
}

/// The resource in the body, of the type the address says, and for an Observation about somebody.
fn parse(kind: Kind, asked: &Asked) -> Result<Value, &'static str> {
    let body: Value = serde_json::from_slice(&asked.body).map_err(|_| "the body is not JSON")?;
    if text(&body, "/resourceType") != kind.as_str() {
        return Err("the resource is not of the type in the address");
    }
    let is_about_nobody = !text(&body, "/subject/reference").starts_with("Patient/");
    match kind {
        Kind::Observation if is_about_nobody => Err("an Observation needs a `subject.reference` to a Patient"),
        Kind::Observation | Kind::Patient => Ok(body),
    }
}

fn bundle(found: Found) -> Answer {
    let entries: Vec<Value> = found
        .resources
        .into_iter()
        .map(|resource| json!({ "resource": resource, "search": { "mode": "match" } }))
        .collect();
    let mut bundle = json!({ "resourceType": "Bundle", "type": "searchset", "total": found.total });
    // FHIR forbids empty arrays.
    if let Some(fields) = bundle.as_object_mut().filter(|_| !entries.is_empty()) {
        fields.insert("entry".to_owned(), Value::from(entries));
    }
    document(StatusCode::OK, &bundle)
}

fn versioned(status: StatusCode, resource: &Value) -> Answer {
    let answer = document(status, resource);
    match HeaderValue::from_str(&format!("W/\"{}\"", text(resource, "/meta/versionId"))) {
        Ok(tag) => answer::with_header(answer, ETAG, tag),
        Err(_) => answer,
    }
}

/// Adds where the resource is: relative, so that it holds behind any gateway.
fn at_its_place(kind: Kind, answer: Answer, resource: &Value) -> Answer {
    match HeaderValue::from_str(&format!("/fhir/{}/{}", kind.as_str(), text(resource, "/id"))) {
        Ok(place) => answer::with_header(answer, LOCATION, place),
        Err(_) => answer,
    }
}

fn full(problem: RecordProblem) -> Answer {
    outcome(StatusCode::INSUFFICIENT_STORAGE, "no-store", &problem.to_string())
}

fn outcome(status: StatusCode, code: &str, text: &str) -> Answer {
    let issue = json!({ "severity": "error", "code": code, "diagnostics": text });
    document(status, &json!({ "resourceType": "OperationOutcome", "issue": [issue] }))
}

fn document(status: StatusCode, document: &Value) -> Answer {
    answer::json(status, MEDIA_TYPE, document)
}

fn capabilities() -> Value {
    let interactions: Vec<Value> =
        ["read", "search-type", "create", "update", "delete"].iter().map(|code| json!({ "code": code })).collect();
    let resource = |kind: Kind| json!({ "type": kind.as_str(), "interaction": interactions });
    json!({
        "resourceType": "CapabilityStatement", "status": "active", "date": "2026-01-01", "kind": "instance",
        "fhirVersion": "4.0.1", "format": ["json"],
        "software": { "name": "Sekimori demo EMR" },
        "implementation": { "description": "Invented patients, in memory" },
        "rest": [{ "mode": "server", "resource": [resource(Kind::Patient), resource(Kind::Observation)] }],
    })
}

#[cfg(test)]
mod tests {
    use super::super::super::answer::json_of;
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_micros(1_800_000_000_000_000);

    fn ask(records: &mut Records, method: Method, target: &str, body: &str) -> Answer {
        let asked = Asked::of(method, target, body);
        let segments = asked.segments();
        answer(records, &asked, &segments[1..], NOW)
    }

    fn status(method: Method, target: &str, body: &str) -> u16 {
        ask(&mut Records::seeded(NOW), method, target, body).status().as_u16()
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        assert_eq!(status(Method::GET, "/fhir/Patient/1", ""), 404);
        assert_eq!(status(Method::GET, "/fhir/Encounter/1", ""), 404);
        assert_eq!(status(Method::GET, "/fhir", ""), 404);
        assert_eq!(status(Method::GET, "/fhir/Patient?ssn=1", ""), 400);
        assert_eq!(status(Method::DELETE, "/fhir/Patient", ""), 405);
        assert_eq!(status(Method::POST, "/fhir/Patient", "not json"), 400);
        assert_eq!(status(Method::POST, "/fhir/Patient", r#"{"resourceType":"Observation"}"#), 400);
        assert_eq!(status(Method::POST, "/fhir/Observation", r#"{"resourceType":"Observation"}"#), 400, "about nobody");
        assert_eq!(status(Method::PUT, "/fhir/Patient/1", r#"{"resourceType":"Patient","id":"2"}"#), 400);
        assert_eq!(status(Method::DELETE, "/fhir/Observation/none", ""), 404);
    }

    #[tokio::test]
    async fn a_patient_is_read() {
        let answer = ask(&mut Records::seeded(NOW), Method::GET, "/fhir/Patient/00012345", "");
        assert_eq!(answer.headers()[ETAG], "W/\"1\"");
        assert_eq!(answer.headers()["content-type"], "application/fhir+json");
        assert_eq!(text(&json_of(answer).await, "/birthDate"), "1931-01-01");
    }

    #[tokio::test]
    async fn an_observation_is_created_changed_and_removed() {
        let mut records = Records::seeded(NOW);
        let body = r#"{"resourceType":"Observation","status":"final","subject":{"reference":"Patient/00012345"}}"#;
        let made = ask(&mut records, Method::POST, "/fhir/Observation", body);
        assert_eq!(
            (made.status(), &made.headers()[LOCATION]),
            (StatusCode::CREATED, &"/fhir/Observation/new-1".parse().unwrap())
        );
        let mut resource = json_of(made).await;
        resource["status"] = json!("amended");
        let changed = ask(&mut records, Method::PUT, "/fhir/Observation/new-1", &resource.to_string());
        assert_eq!((changed.status(), &changed.headers()[ETAG]), (StatusCode::OK, &"W/\"2\"".parse().unwrap()));
        assert_eq!(ask(&mut records, Method::DELETE, "/fhir/Observation/new-1", "").status(), StatusCode::NO_CONTENT);
        assert_eq!(ask(&mut records, Method::GET, "/fhir/Observation/new-1", "").status(), StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn posting_a_search_finds_the_same_as_asking_for_it() {
        let mut records = Records::seeded(NOW);
        let asked = Asked::of(Method::POST, "/fhir/Observation/_search", "patient=12345")
            .with("content-type", "application/x-www-form-urlencoded");
        let posted = json_of(answer(&mut records, &asked, &["Observation", "_search"], NOW)).await;
        let got = json_of(ask(&mut records, Method::GET, "/fhir/Observation?patient=12345", "")).await;
        assert_eq!((posted["total"].as_u64(), &posted), (Some(4), &got));
        let compartment = json_of(ask(&mut records, Method::GET, "/fhir/Patient/00012345/Observation", "")).await;
        assert_eq!(compartment, got);
        let everything = json_of(ask(&mut records, Method::GET, "/fhir/Patient/00012345/$everything", "")).await;
        assert_eq!(everything["total"], 5);
    }

    #[tokio::test]
    async fn finding_nothing_is_an_empty_bundle() {
        let found = json_of(ask(&mut Records::seeded(NOW), Method::GET, "/fhir/Patient?identifier=1", "")).await;
        assert_eq!((&found["total"], found.get("entry")), (&json!(0), None));
    }
}
