//! Traces of requests, as a collector is told them: where the time went, and nothing of whom it was about.

use serde_json::Value;
use tests::{Ask, Collector, Plan, Upstream, eventually};

use crate::operations::operations;
use crate::ward::Ward;

/// Longer than the names of routes and times are.
const PATIENT: &str = "00471122";

async fn ward(collector: &Collector, more: &str) -> Ward {
    let table = format!("[telemetry]\notlp = \"http://{}\"\n{more}", collector.address());
    let emr = Upstream::http1();
    let routes = "[[app.route]]\npaths = [\"/charts/{patient}/**\"]\nclass = \"chart\"\n";
    let plan = Plan::new().app("emr", emr.address(), routes).block(&table);
    Ward::around(emr, plan).await
}

/// The spans of one trace: the whole request's, and its steps by name.
async fn trace_of(collector: &Collector, id: &str) -> (Value, Vec<Value>) {
    let id = id.replace('-', "");
    eventually("the collector is told", async || {
        let spans: Vec<Value> = collector.spans().into_iter().filter(|span| span["traceId"] == id.as_str()).collect();
        let root = spans.iter().find(|span| span.get("parentSpanId").is_none())?.clone();
        Some((root, spans))
    })
    .await
}

fn step<'s>(spans: &'s [Value], name: &str) -> &'s Value {
    spans.iter().find(|span| span["name"] == name).unwrap_or_else(|| panic!("no step {name}: {spans:?}"))
}

fn attribute(span: &Value, key: &str) -> Option<String> {
    let found = span["attributes"].as_array()?.iter().find(|one| one["key"] == key)?;
    let value = &found["value"];
    value["stringValue"].as_str().or_else(|| value["intValue"].as_str()).map(str::to_owned)
}

fn time(span: &Value, key: &str) -> u64 {
    span[key].as_str().unwrap().parse().unwrap()
}

#[tokio::test]
async fn one_request_is_traced_from_the_handshake_to_the_app_s_answer() {
    let collector = Collector::open();
    let ward = ward(&collector, "one_in = 1").await;
    let path = format!("/charts/{PATIENT}/notes");
    let mut connection = ward.caller.http1("emr").await;
    connection.answer(ward.get(&format!("{path}?name=Sato"))).await.expect(200);
    let id = ward.hospital.records().opened(&path).only()["id"].as_str().unwrap().to_owned();
    let (root, spans) = trace_of(&collector, &id).await;
    assert_eq!(root["name"], "GET /charts/{patient}/**");
    assert_eq!(root["kind"], 2, "a server's");
    assert_eq!(attribute(&root, "sekimori.app").as_deref(), Some("emr"));
    assert_eq!(attribute(&root, "sekimori.decision").as_deref(), Some("allow"));
    assert_eq!(attribute(&root, "http.response.status_code").as_deref(), Some("200"));
    let steps = ["handshake", "session", "policy", "record", "connect", "upstream"].map(|name| step(&spans, name));
    for step in steps {
        assert_eq!(step["parentSpanId"], root["spanId"], "{step}");
    }
    let [handshake, session, policy, record, connect, upstream] =
        steps.map(|step| (time(step, "startTimeUnixNano"), time(step, "endTimeUnixNano")));
    assert!(handshake.1 <= session.0 && session.1 <= policy.0 && policy.1 <= record.0, "in the order of the way");
    assert!(record.1 <= upstream.0 && upstream.0 <= connect.0 && connect.1 <= upstream.1, "recorded before forwarded");
    assert!(upstream.1 <= time(&root, "endTimeUnixNano"));
    let told = step(&spans, "upstream");
    assert_eq!(attribute(told, "server.address"), Some(ward.emr.address().to_string()));
    assert_eq!(told["kind"], 3, "a client's");
    // The app is told of the step that asks it.
    let field = ward.emr.last().header("traceparent").to_owned();
    let span = told["spanId"].as_str().unwrap();
    assert_eq!(field, format!("00-{}-{span}-01", id.replace('-', "")));

    connection.answer(ward.get("/b")).await.expect(200);
    let id = ward.hospital.records().opened("/b").only()["id"].as_str().unwrap().to_owned();
    let (root, spans) = trace_of(&collector, &id).await;
    assert_eq!(root["name"], "GET", "no route says what it is");
    assert!(!spans.iter().any(|span| span["name"] == "handshake"), "once a connection");

    let text = collector.text();
    for secret in [PATIENT, "Sato", "notes", "doctor", "ward-pc-1", "127.", "hospital.test/", ward.doctor.token("emr")]
    {
        let servers = text.replace(&ward.emr.address().to_string(), "");
        assert!(!servers.contains(secret), "{secret} was told");
    }
}

#[tokio::test]
async fn refusals_are_traced_with_what_the_policy_said_and_failures_as_such() {
    let collector = Collector::open();
    let ward = ward(&collector, "one_in = 1").await;
    ward.caller.ask(Ask::get("emr", "/charts/7/a")).await.expect(401);
    ward.caller.ask(ward.ask("DELETE", "/archive/1")).await.expect(403);
    let decisions = eventually("both are told", async || {
        let spans = collector.spans();
        let said: Vec<_> = spans.iter().filter_map(|span| attribute(span, "sekimori.decision")).collect();
        (said.len() == 2).then_some(said)
    })
    .await;
    assert_eq!(decisions, ["sign-in", "deny"]);
    assert!(!collector.spans().iter().any(|span| span["name"] == "upstream"), "nothing was forwarded");
}

#[tokio::test]
async fn a_client_s_own_trace_is_not_believed_unless_the_hospital_says_so() {
    const CLIENTS: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    for (more, goes_on) in [("one_in = 1", false), ("one_in = 1000000\ncontinue_traces = true", true)] {
        let collector = Collector::open();
        let ward = ward(&collector, more).await;
        ward.caller.ask(ward.get("/a").header("traceparent", CLIENTS).header("tracestate", "a=b")).await.expect(200);
        let seen = ward.emr.last();
        let is_the_clients = seen.header("traceparent").contains("4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(is_the_clients, goes_on, "{}", seen.header("traceparent"));
        assert_ne!(seen.header("traceparent"), CLIENTS, "the app's parent is the gateway");
        assert_eq!(seen.header("tracestate"), if goes_on { "a=b" } else { "" });
        let root = eventually("the collector is told", async || {
            collector.spans().into_iter().find(|span| span["name"] == "GET")
        })
        .await;
        let parent = root.get("parentSpanId").and_then(Value::as_str);
        assert_eq!(parent, goes_on.then_some("00f067aa0ba902b7"));
    }
}

#[tokio::test]
async fn a_collector_that_refuses_or_is_away_costs_nobody_anything_and_is_counted() {
    let collector = Collector::open();
    collector.answer(503);
    let ward = ward(&collector, "one_in = 1").await;
    for turn in 0..50 {
        ward.caller.ask(ward.get(&format!("/turn/{turn}"))).await.expect(200);
    }
    eventually("what was dropped is counted", async || {
        let metrics = operations(&ward.hospital, "/metrics").await.expect(200).text();
        let line = metrics.lines().find(|line| line.starts_with("sekimori_traces_dropped_total "))?;
        line.split(' ').nth(1)?.parse::<u64>().ok().filter(|count| *count > 0)
    })
    .await;
    assert!(collector.spans().is_empty());
}

#[tokio::test]
async fn nothing_is_traced_where_nobody_asked_for_it() {
    let ward = Ward::open().await;
    ward.caller
        .ask(ward.get("/a").header("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
        .await
        .expect(200);
    assert_eq!(
        ward.emr.last().header("traceparent"),
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "what a client says to its app is theirs"
    );
}
