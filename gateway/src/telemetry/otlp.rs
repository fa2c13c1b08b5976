//! Traces and records of the diagnostic log in the words of OTLP 1 in JSON (opentelemetry-proto,
//! `ExportTraceServiceRequest`, `ExportLogsServiceRequest`): identifiers in hex, times and whole numbers as text,
//! enumerations as numbers.

use std::collections::BTreeSet;

use config::{Config, Severity};
use policy::Timestamp;
use serde_json::{Value, json};

use super::diagnostics::{Record, Said};
use super::trace::{Done, Facts, Finished, StepName};

/// `SPAN_KIND_INTERNAL`, `_SERVER`, `_CLIENT`.
const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;
/// The first status that is a failure of ours or an app's.
const FAILURE: u16 = 500;

/// Which gateway tells: the host where people sign in, and the node where several serve it.
pub fn instance(config: &Config) -> String {
    match &config.nodes {
        Some(nodes) => format!("{}/{}", config.login_host, nodes.own),
        None => config.login_host.to_string(),
    }
}

/// What the collector is sent: these traces of this gateway.
pub fn traces(instance: &str, traces: &[Finished]) -> Value {
    json!({ "resourceSpans": [{
        "resource": resource(instance),
        "scopeSpans": [{
            "scope": { "name": "sekimori" },
            "spans": traces.iter().flat_map(spans).collect::<Vec<_>>(),
        }],
    }] })
}

/// What the collector is sent: these records of this gateway's diagnostic log, those of one part of it together. Where a
/// request's trace may have a client's name, no record is given one.
pub fn logs(instance: &str, records: &[Record], goes_on: bool) -> Value {
    let parts: BTreeSet<&str> = records.iter().map(|record| record.part).collect();
    let of = |part| records.iter().filter(move |record| record.part == part).map(|one| log_record(one, goes_on));
    let scopes = parts.into_iter().map(|part| {
        json!({
            "scope": { "name": part },
            "logRecords": of(part).collect::<Vec<_>>(),
        })
    });
    json!({ "resourceLogs": [{
        "resource": resource(instance),
        "scopeLogs": scopes.collect::<Vec<_>>(),
    }] })
}

fn resource(instance: &str) -> Value {
    json!({ "attributes": [
        text("service.name", "sekimori"),
        text("service.version", env!("CARGO_PKG_VERSION")),
        text("service.instance.id", instance),
    ] })
}

fn log_record(record: &Record, goes_on: bool) -> Value {
    let (number, name) = match record.severity {
        Severity::Error => (17, "ERROR"),
        Severity::Warning => (13, "WARN"),
        Severity::Info => (9, "INFO"),
    };
    let attributes: Vec<Value> = record.fields.iter().map(|(key, said)| attribute(key, said)).collect();
    let mut told = json!({
        "timeUnixNano": nanoseconds(record.at),
        "observedTimeUnixNano": nanoseconds(record.at),
        "severityNumber": number,
        "severityText": name,
        "body": { "stringValue": record.message },
        "attributes": attributes,
    });
    if let (Some(fields), Some(request), false) = (told.as_object_mut(), record.request, goes_on) {
        let digits: String = request.to_string().chars().filter(|digit| *digit != '-').collect();
        fields.insert("traceId".to_owned(), digits.into());
    }
    told
}

fn attribute(key: &str, said: &Said) -> Value {
    let value = match said {
        Said::Text(text) => json!({ "stringValue": text }),
        Said::Whole(number) => json!({ "intValue": number.to_string() }),
        Said::Fraction(number) => json!({ "doubleValue": number }),
        Said::Whether(answer) => json!({ "boolValue": answer }),
    };
    json!({ "key": key, "value": value })
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
        let told = traces("gw01", &[trace]);
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
    #[test]
    fn records_of_the_log_are_written_as_the_protocol_has_them() {
        let at = Timestamp::from_unix_micros(1_700_000_000_000_000);
        let id = policy::RequestId::new(at, 5);
        let record = |severity, part, request| Record {
            at,
            severity,
            part,
            message: "upstream does not answer".to_owned(),
            fields: vec![
                ("app", Said::Text("emr".to_owned())),
                ("count", Said::Whole(3)),
                ("load", Said::Fraction(0.5)),
                ("first", Said::Whether(true)),
            ],
            request,
        };
        let records = [
            record(Severity::Error, "gateway::upstream", Some(id)),
            record(Severity::Warning, "audit::keeper", None),
            record(Severity::Info, "gateway::upstream", None),
        ];
        let told = logs("gw01", &records, false);
        let scopes = told["resourceLogs"][0]["scopeLogs"].as_array().unwrap();
        assert_eq!((scopes.len(), &scopes[0]["scope"]["name"]), (2, &json!("audit::keeper")));
        let of_upstream = scopes[1]["logRecords"].as_array().unwrap();
        assert_eq!((&of_upstream[0]["severityNumber"], &of_upstream[1]["severityNumber"]), (&json!(17), &json!(9)));
        assert_eq!(of_upstream[0]["traceId"], id.to_string().replace('-', ""), "as in the access log");
        assert!(of_upstream[1].get("traceId").is_none());
        assert_eq!(of_upstream[0]["timeUnixNano"], "1700000000000000000");
        assert_eq!(of_upstream[0]["body"]["stringValue"], "upstream does not answer");
        let values: Vec<&Value> =
            of_upstream[0]["attributes"].as_array().unwrap().iter().map(|one| &one["value"]).collect();
        assert_eq!(
            values,
            [
                &json!({ "stringValue": "emr" }),
                &json!({ "intValue": "3" }),
                &json!({ "doubleValue": 0.5 }),
                &json!({ "boolValue": true })
            ]
        );
        let told = logs("gw01", &records, true);
        assert!(!told.to_string().contains("traceId"), "the request's trace may have a client's name");
    }
}
