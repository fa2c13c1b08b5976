//! The diagnostic log, as a collector is told it: how grave it is and which request it is about, and nothing of whom.

use std::time::Duration;

use serde_json::Value;
use tests::{Ask, Collector, Plan, RawUpstream, Rotel, Upstream, eventually, eventually_in};

use crate::operations::operations;
use crate::ward::Ward;

const PATIENT: &str = "00471122";
/// What is said when an app hangs up.
const BROKE_OFF: &str = "upstream broke off";
/// Longer than a gateway waits until it tries a collector again, on a machine that does much else.
const ANOTHER_TIME: Duration = Duration::from_secs(90);

/// A ward whose app hangs up without a word.
async fn ward(collector: std::net::SocketAddr, more: &str) -> (Ward, RawUpstream) {
    let app = RawUpstream::answering("");
    let plan = Plan::with_emr(app.address()).block(&telemetry(collector, more));
    (Ward::around(Upstream::http1(), plan).await, app)
}

fn telemetry(collector: std::net::SocketAddr, more: &str) -> String {
    format!("[telemetry]\notlp = \"http://{collector}\"\n{more}\n")
}

/// Makes the app hang up, and gives the request's id.
async fn hang_up(ward: &Ward, path: &str) -> String {
    ward.caller.ask(ward.ask("POST", &format!("{path}?name=Sato"))).await.expect(502);
    ward.hospital.records().opened(path).only()["id"].as_str().unwrap().to_owned()
}

fn attribute<'r>(record: &'r Value, key: &str) -> Option<&'r str> {
    let found = record["attributes"].as_array()?.iter().find(|one| one["key"] == key)?;
    found["value"]["stringValue"].as_str()
}

/// The records of hanging up, by the request they are about.
fn broken_off(collector: &Collector) -> Vec<String> {
    let records = collector.records();
    let those = records.iter().filter(|record| record["body"]["stringValue"] == BROKE_OFF);
    those.map(|record| attribute(record, "request").unwrap().to_owned()).collect()
}

async fn counted(ward: &Ward, metric: &str) -> u64 {
    let metrics = operations(&ward.hospital, "/metrics").await.expect(200).text();
    let line = metrics.lines().find_map(|line| line.strip_prefix(metric)?.strip_prefix(' ')).unwrap();
    line.parse().unwrap()
}

#[tokio::test]
async fn what_goes_wrong_is_told_with_its_severity_and_the_request_it_is_about() {
    let collector = Collector::open();
    let (ward, app) = ward(collector.address(), "logs = \"warn\"").await;
    let path = format!("/charts/{PATIENT}/notes");
    let id = hang_up(&ward, &path).await;
    let record = eventually("the collector is told", async || {
        collector.records().into_iter().find(|record| record["body"]["stringValue"] == BROKE_OFF)
    })
    .await;
    assert_eq!((&record["severityNumber"], &record["severityText"]), (&13.into(), &"WARN".into()));
    assert_eq!(attribute(&record, "request"), Some(id.as_str()));
    assert_eq!(record["traceId"], id.replace('-', ""), "as a trace of it is named");
    assert_eq!(attribute(&record, "upstream"), Some(app.address().to_string().as_str()));
    eventually("it is counted", async || (counted(&ward, "sekimori_logs_sent_total").await > 0).then_some(())).await;
    for record in collector.records() {
        assert!(record["severityNumber"].as_u64().unwrap() >= 13, "less grave than asked for: {record}");
    }
    let text = collector.text();
    for secret in [PATIENT, "Sato", "notes", "doctor", "ward-pc-1", ward.doctor.token("emr")] {
        assert!(!text.contains(secret), "{secret} was told");
    }
    assert!(text.contains("service.instance.id"));
}

#[tokio::test]
async fn records_wait_while_the_collector_is_away_and_are_told_once() {
    let collector = Collector::open();
    collector.answer(503);
    let (ward, _app) = ward(collector.address(), "logs = \"warn\"\none_in = 1000000").await;
    let mut ids = vec![hang_up(&ward, "/first").await];
    eventually("it tried", async || ward.hospital.log_text().contains("does not take what it is told").then_some(()))
        .await;
    ids.push(hang_up(&ward, "/second").await);
    assert!(collector.records().is_empty());
    collector.answer(200);
    let told = eventually_in(ANOTHER_TIME, "both are told", async || {
        let told = broken_off(&collector);
        (told.len() >= 2).then_some(told)
    })
    .await;
    assert_eq!(told, ids, "each once, in order");
    let said = eventually("that it was away is told too", async || {
        let records = collector.records();
        let said = |record: &Value| record["body"]["stringValue"] == "the collector does not take what it is told";
        records
            .iter()
            .any(|record| said(record) && attribute(record, "what") == Some("records of the diagnostic log"))
            .then_some(())
    });
    said.await;
    assert_eq!(broken_off(&collector), ids);
    assert_eq!(counted(&ward, "sekimori_logs_dropped_total").await, 0);
}

#[tokio::test]
async fn what_a_collector_never_takes_is_dropped_and_counted_and_costs_nobody_anything() {
    let collector = Collector::open();
    collector.answer(400);
    let (ward, _app) = ward(collector.address(), "logs = \"warn\"").await;
    hang_up(&ward, "/first").await;
    eventually("what was dropped is counted", async || {
        (counted(&ward, "sekimori_logs_dropped_total").await > 0).then_some(())
    })
    .await;
    hang_up(&ward, "/second").await;
    assert!(collector.records().is_empty());
}

#[tokio::test]
async fn the_diagnostic_log_stays_here_until_the_hospital_says_where_it_goes() {
    let collector = Collector::open();
    let (ward, _app) = ward(collector.address(), "one_in = 1").await;
    let before = hang_up(&ward, "/first").await;
    eventually("its trace is told", async || (!collector.spans().is_empty()).then_some(())).await;
    let settings = ward.hospital.plan().text().replace("one_in = 1", "one_in = 1\nlogs = \"warn\"");
    ward.hospital.folder().write("sekimori.toml", settings);
    let told = eventually("it is told now", async || {
        ward.caller.ask(ward.ask("POST", "/again")).await.expect(502);
        Some(broken_off(&collector)).filter(|told| !told.is_empty())
    })
    .await;
    assert!(!told.contains(&before), "nothing of before");
}

#[tokio::test]
async fn the_last_words_are_told_before_the_gateway_ends() {
    let collector = Collector::open();
    let (mut ward, _app) = ward(collector.address(), "logs = \"info\"").await;
    ward.hospital.stop();
    let said: Vec<Value> =
        collector.records().into_iter().map(|record| record["body"]["stringValue"].clone()).collect();
    for words in ["serving", "stopping"] {
        assert!(said.iter().any(|one| one == words), "{words}: {said:?}");
    }
}

#[tokio::test]
async fn a_real_collector_takes_both_and_reads_them_as_they_were_meant() {
    let rotel = Rotel::open();
    let (ward, _app) = ward(rotel.address(), "one_in = 1\nlogs = \"info\"").await;
    let id = hang_up(&ward, "/charts/1").await;
    let trace = id.replace('-', "");
    let of_the_record = [
        "SEVERITY_NUMBER_WARN(13)".to_owned(),
        "SeverityText: WARN".to_owned(),
        format!("Trace ID       : {trace}"),
        format!("request: Str({id})"),
    ];
    let of_both = ["Span #0", "service.name: Str(sekimori)", "http.request.method: Str(GET)"];
    // Its own words come piece by piece, and the spans in whichever batch.
    let text = eventually_in(ANOTHER_TIME, "it took both", async || {
        // A collector that begins later than the gateway is told what waited; of traces, those that end from then on.
        ward.caller.ask(Ask::get("emr", "/a")).await.expect(401);
        let text = rotel.text();
        let mut records = text.split("LogRecord #").filter(|record| record.contains(BROKE_OFF));
        let has_record = records.any(|record| of_the_record.iter().all(|words| record.contains(words)));
        (has_record && of_both.iter().all(|words| text.contains(words))).then_some(text)
    })
    .await;
    assert!(!text.contains("Failed to decode"), "{text}");
    assert_eq!(counted(&ward, "sekimori_logs_dropped_total").await, 0);
}
