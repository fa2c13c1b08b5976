//! Traces in the words of OTLP 1 in JSON (opentelemetry-proto, `ExportTraceServiceRequest`): identifiers in hex, times as
//! text, enumerations as numbers.

use policy::Timestamp;
use serde_json::{Value, json};

use super::trace::{Done, Facts, Finished, StepName};

/// `SPAN_KIND_INTERNAL`, `_SERVER`, `_CLIENT`.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;
/// The first status that is a failure of ours or an app's.
const FAILURE: u16 = 500;

/// What the collector is sent: these traces of this gateway.
pub fn request(node: &str, traces: &[Finished]) -> Value {
    let resource = json!([
        text("service.name", "sekimori"),
        text("service.version", env!("CARGO_PKG_VERSION")),
        text("service.instance.id", node),
    ]);
    json!({ "resourceSpans": [{
        "resource": { "attributes": resource },
        "scopeSpans": [{
            "scope": { "name": "sekimori" },
            "spans": traces.iter().flat_map(spans).collect::<Vec<_>>(),
        }],
    }] })
}

fn spans(trace: &Finished) -> Vec<Value> {
    let mut all = vec![root(trace)];
    all.extend(trace.steps.iter().map(|step| child(trace, step)));
    all
}

fn root(trace: &Finished) -> Value {
    let Facts { method, app, pattern, decision, status } = &trace.facts;
    let method = method.unwrap_or("_OTHER");
    let name = match pattern {
        Some(pattern) => format!("{method} {pattern}"),
        None => method.to_owned(),
    };
    let mut attributes = vec![text("http.request.method", method)];
    attributes.extend(app.as_deref().map(|app| text("sekimori.app", app)));
    attributes.extend(pattern.as_deref().map(|pattern| text("http.route", pattern)));
    attributes.extend(decision.map(|decision| text("sekimori.decision", decision)));
    attributes.extend(
        status.map(|status| json!({ "key": "http.response.status_code", "value": { "intValue": status.to_string() } })),
    );
    let mut span = span(trace, (&trace.root, trace.parent.as_ref()), name, SERVER, trace.span, attributes);
    if let (Some(fields), true) = (span.as_object_mut(), status.is_some_and(|status| status >= FAILURE)) {
        fields.insert("status".to_owned(), json!({ "code": ERROR }));
    }
    span
}

fn child(trace: &Finished, step: &Done) -> Value {
    let kind = match step.name {
        StepName::Upstream => CLIENT,
        StepName::Handshake | StepName::Session | StepName::Policy | StepName::Record | StepName::Connect => INTERNAL,
    };
    let attributes = step.server.as_deref().map(|server| text("server.address", server)).into_iter().collect();
    span(trace, (&step.id, Some(&trace.root)), step.name.text().to_owned(), kind, step.span, attributes)
}

fn span(
    trace: &Finished,
    (id, parent): (&[u8; 16], Option<&[u8; 16]>),
    name: String,
    kind: u8,
    (began, ended): (Timestamp, Timestamp),
    attributes: Vec<Value>,
) -> Value {
    let digits = |digits: &[u8]| String::from_utf8_lossy(digits).into_owned();
    let mut span = json!({
        "traceId": digits(&trace.trace),
        "spanId": digits(id),
        "name": name,
        "kind": kind,
        "startTimeUnixNano": nanoseconds(began),
        // A clock that was set back meanwhile makes no span end before it began.
        "endTimeUnixNano": nanoseconds(ended.max(began)),
        "attributes": attributes,
    });
    if let (Some(fields), Some(parent)) = (span.as_object_mut(), parent) {
        fields.insert("parentSpanId".to_owned(), digits(parent).into());
    }
    span
}

fn nanoseconds(at: Timestamp) -> String {
    format!("{}000", at.unix_micros().max(0))
}

fn text(key: &str, value: &str) -> Value {
    json!({ "key": key, "value": { "stringValue": value } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_written_as_the_protocol_has_it() {
        let at = |seconds: i64| Timestamp::from_unix_micros(seconds * 1_000_000);
        let facts = Facts {
            method: Some("GET"),
            app: Some("emr".to_owned()),
            pattern: Some("/charts/{patient}".to_owned()),
            decision: Some("allow"),
            status: Some(502),
        };
        let step = |name, id: &[u8; 16], server: Option<&str>| Done {
            name,
            id: *id,
            span: (at(3), at(2)),
            server: server.map(str::to_owned),
        };
        let trace = Finished {
            trace: *b"4bf92f3577b34da6a3ce929d0e0e4736",
            root: *b"00f067aa0ba902b7",
            parent: None,
            span: (at(1), at(4)),
            facts,
            steps: vec![
                step(StepName::Policy, b"00f067aa0ba902b8", None),
                step(StepName::Upstream, b"00f067aa0ba902b9", Some("10.0.0.5:443")),
            ],
        };
        let told = request("gw01", &[trace]);
        let spans = &told["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(spans[0]["name"], "GET /charts/{patient}");
        assert_eq!((&spans[0]["kind"], &spans[0]["status"]["code"]), (&json!(2), &json!(2)));
        assert_eq!(spans[0]["startTimeUnixNano"], "1000000000");
        assert!(spans[0].get("parentSpanId").is_none());
        assert_eq!(spans[1]["parentSpanId"], "00f067aa0ba902b7");
        assert_eq!(spans[1]["endTimeUnixNano"], "3000000000", "never before it began");
        assert_eq!((&spans[2]["kind"], &spans[2]["name"]), (&json!(3), &json!("upstream")));
        assert_eq!(spans[2]["attributes"][0]["value"]["stringValue"], "10.0.0.5:443");
    }
}
