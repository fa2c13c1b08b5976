//! What a FHIR server and a receipt computer answer about invented patients, as far as tests of the record need it.
//! Patient `N` has the number `N`; Observation `1000 * N + K` is about patient `N`.

use http::header::{CONTENT_TYPE, ETAG, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::text;
use crate::Payload;

/// `/clinic/fhir/...` and `/clinic/api01rv2/...`.
pub async fn answer(request: Request<Incoming>) -> Response<Payload> {
    if request.uri().path().starts_with("/clinic/fhir") { fhir(request).await } else { orca(request).await }
}

/// Reads, searches by GET and POST, a Bundle of everyone.
async fn fhir(request: Request<Incoming>) -> Response<Payload> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|all| all.to_bytes()).unwrap_or_default();
    let (path, query) = (head.uri.path().to_owned(), head.uri.query().unwrap_or_default().to_owned());
    let form = String::from_utf8_lossy(&body).into_owned();
    let parts: Vec<&str> = path.trim_start_matches("/clinic/fhir").split('/').filter(|part| !part.is_empty()).collect();
    let found = match (head.method.as_str(), parts.as_slice()) {
        ("GET", ["Patient"]) if query.is_empty() => Some(bundle((1..=300).map(patient))),
        ("GET", ["Patient", id]) => number(id).map(patient),
        ("GET", ["Observation", id]) => number(id).map(observation),
        ("GET", ["Patient", id, "Observation"]) => {
            number(id).map(|id| bundle((1..=3).map(|k| observation(1_000 * id + k))))
        }
        ("GET", ["Observation"]) => Some(searched(&query)),
        ("POST", ["Observation", "_search"]) => Some(searched(&form)),
        ("POST", ["Observation"]) => serde_json::from_slice(&body).ok(),
        _ => None,
    };
    let Some(found) = found else {
        let mut none = json_answer(&json!({ "resourceType": "OperationOutcome" }));
        *none.status_mut() = StatusCode::NOT_FOUND;
        return none;
    };
    json_answer(&found)
}

/// One patient by GET, several by POST, in xml2.
async fn orca(request: Request<Incoming>) -> Response<Payload> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|all| all.to_bytes()).unwrap_or_default();
    let body = String::from_utf8_lossy(&body).into_owned();
    let query = head.uri.query().unwrap_or_default();
    let asked: Vec<u64> = match head.method.as_str() {
        "GET" => query.split('&').filter_map(|pair| pair.strip_prefix("id=")).filter_map(number).collect(),
        _ => body
            .split("<Patient_ID type=\"string\">")
            .skip(1)
            .filter_map(|rest| number(rest.split('<').next()?))
            .collect(),
    };
    let child =
        |id: &u64| format!("<x><Patient_ID type=\"string\">{id:05}</Patient_ID><WholeName>試験</WholeName></x>");
    let list: String = asked.iter().map(child).collect();
    let mut response =
        Response::new(text(format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><xmlio2>{list}</xmlio2>")));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

fn searched(fields: &str) -> Value {
    let asked = fields.split('&').filter_map(|pair| pair.strip_prefix("patient=")).flat_map(|ids| ids.split("%2C"));
    bundle(asked.filter_map(number).map(|id| observation(1_000 * id)))
}

fn patient(id: u64) -> Value {
    json!({ "resourceType": "Patient", "id": id.to_string(), "name": [{ "text": "試験" }] })
}

fn observation(id: u64) -> Value {
    let subject = format!("Patient/{}", id / 1_000);
    json!({ "resourceType": "Observation", "id": id.to_string(), "subject": { "reference": subject } })
}

fn bundle(resources: impl Iterator<Item = Value>) -> Value {
    let entries: Vec<_> = resources.map(|resource| json!({ "resource": resource })).collect();
    json!({ "resourceType": "Bundle", "type": "searchset", "entry": entries })
}

fn json_answer(value: &Value) -> Response<Payload> {
    let mut response = Response::new(text(value.to_string()));
    let fields = response.headers_mut();
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/fhir+json"));
    fields.insert(ETAG, HeaderValue::from_static("W/\"1\""));
    fields.insert("x-patient-id", HeaderValue::from_static("told-in-the-head"));
    response
}
