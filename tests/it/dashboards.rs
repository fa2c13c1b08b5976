//! The panels and alert rules in `deploy`, against what a running gateway really tells a real Prometheus: nothing asks for
//! a metric or a label that is not there.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tests::{Ask, Folder, Inbox, Plan, Receiver, Run, Upstream, eventually_in};

use crate::judges::root;
use crate::operations::operations;
use crate::ward::Ward;

const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

fn promtool(words: &[&str], input: Option<&str>) -> Run {
    use std::io::Write as _;
    let mut child = Command::new("promtool")
        .args(words)
        .current_dir(root().join("deploy/prometheus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("prometheus is installed: see tests/run");
    let mut to = child.stdin.take().unwrap();
    to.write_all(input.unwrap_or_default().as_bytes()).unwrap();
    drop(to);
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Run { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
}

/// A hospital where everything that is counted was counted at least once.
async fn busy_ward(receiver: &Receiver, inbox: &Inbox) -> Ward {
    let emr = Upstream::http1();
    let routes = "[[app.route]]\npaths = [\"/charts/{patient}/**\"]\nclass = \"chart\"\n";
    let feed = format!(
        "[[audit.feed]]\nid = \"siem\"\naddress = \"{}\"\nformat = \"json\"\nsettle = \"1s\"\n{}",
        receiver.address(),
        receiver.trust()
    );
    let notice = format!("[[notice]]\nid = \"on-call\"\nevents = \"all\"\n{}", inbox.hook_lines());
    let plan = Plan::new()
        .app("emr", emr.address(), routes)
        .block(&feed)
        .block(&notice)
        .set("policy", "shadow = \"proposed.toml\"");
    let ward = Ward::around(emr, plan).await;
    // A shadow by which doctors may not write.
    ward.hospital.folder().write("proposed.toml", ward.hospital.plan().text().replace("\"write\", ", ""));
    ward
}

/// A real Prometheus that collects from a gateway; ends with this value.
struct Prometheus {
    process: Child,
    port: u16,
    _folder: Folder,
}

impl Prometheus {
    fn collecting(target: &str) -> Self {
        let folder = Folder::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let rules = root().join("deploy/prometheus/alerts.yml");
        let settings = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [\"{}\"]\nscrape_configs:\n  - job_name: sekimori\n    static_configs: [{{ targets: [\"{target}\"] }}]\n",
            rules.display()
        );
        let settings = folder.write("prometheus.yml", settings);
        let process = Command::new("prometheus")
            .arg(format!("--config.file={}", settings.display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(folder.join("log")).unwrap())
            .spawn()
            .expect("prometheus is installed: see tests/run");
        Self { process, port, _folder: folder }
    }

    /// What it answers to a question of its API; `None` where it does not, or finds it wrong.
    fn ask(&self, path: &str, field: &str, value: &str) -> Option<Value> {
        let output = Command::new("curl")
            .args(["-sS", "--get", "--max-time", "5", "--data-urlencode", &format!("{field}={value}")])
            .arg(format!("http://127.0.0.1:{}/api/v1/{path}", self.port))
            .output()
            .unwrap();
        let told: Value = serde_json::from_slice(&output.stdout).ok()?;
        (told["status"] == "success").then(|| told["data"].clone())
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// What panels ask, with the values that the dashboard's own variables would have.
fn panel_questions() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("deploy/grafana/sekimori.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let titles: BTreeSet<_> = panels.iter().map(|panel| panel["title"].as_str().unwrap()).collect();
    assert_eq!(titles.len(), panels.len(), "each panel has a name of its own");
    let of = |panel: &Value| {
        let title = panel["title"].as_str().unwrap().to_owned();
        let targets = panel["targets"].as_array().cloned().unwrap_or_default();
        targets.into_iter().map(move |target| (title.clone(), target["expr"].as_str().unwrap().to_owned()))
    };
    let fill = |text: String| text.replace("$instance", ".*").replace("$__rate_interval", "1m");
    panels.iter().flat_map(of).map(|(title, expression)| (title, fill(expression))).collect()
}

/// What rules ask.
fn rule_questions() -> Vec<(String, String)> {
    let text = std::fs::read_to_string(root().join("deploy/prometheus/alerts.yml")).unwrap();
    let mut name = String::new();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(alert) = line.strip_prefix("- alert: ") {
            name = alert.to_owned();
        } else if let Some(expression) = line.strip_prefix("expr: ") {
            found.push((name.clone(), expression.trim_matches('\'').to_owned()));
        }
    }
    assert!(found.len() > 15, "{found:?}");
    found
}

/// The metrics of a question, each with the labels it is chosen by, as Prometheus reads selectors; and the labels by which
/// it is added up.
fn selectors(question: &str) -> Vec<String> {
    let mut found = Vec::new();
    for (at, _) in question.match_indices("sekimori_") {
        let after_name = question[at..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).map(|end| at + end);
        let Some(end) = after_name else {
            found.push(question[at..].to_owned());
            continue;
        };
        let whole = if question[end..].starts_with('{') { end + question[end..].find('}').unwrap() + 1 } else { end };
        found.push(question[at..whole].to_owned());
    }
    found
}

#[test]
fn the_alert_rules_are_sound_and_each_was_tried() {
    promtool(&["check", "rules", "alerts.yml"], None).ok();
    promtool(&["check", "config", "--syntax-only", "scrape.yml"], None).ok();
    promtool(&["test", "rules", "alerts.test.yml"], None).ok();
    let tried = std::fs::read_to_string(root().join("deploy/prometheus/alerts.test.yml")).unwrap();
    for (alert, _) in rule_questions() {
        let blocks = tried.matches(&format!("alertname: {alert}\n")).count();
        assert_eq!(blocks, 2, "{alert}: once while all is well, once for its own reason");
    }
}

#[tokio::test]
async fn panels_and_rules_ask_only_for_what_a_gateway_tells() {
    let (mut receiver, inbox) = (Receiver::away(), Inbox::open());
    inbox.answer_calls(503);
    let ward = busy_ward(&receiver, &inbox).await;
    let text = async || operations(&ward.hospital, "/metrics").await.expect(200).text();
    eventually_in(PATIENCE, "the shadow is read", async || text().await.contains("shadow_alarm 0").then_some(())).await;
    ward.caller.ask(ward.get("/charts/7/a")).await.expect(200);
    ward.caller.ask(ward.ask("POST", "/notes")).await.expect(200);
    ward.caller.ask(Ask::get("emr", "/nobody")).await.expect(401);
    // Somebody is told of something.
    let _ = ward.hospital.run(&["device", "revoke", "ward-pc-1"]).ok();
    // What fails is counted too: both are there only later.
    for failures in ["sekimori_feed_failures_total{", "sekimori_notices_failures_total{"] {
        eventually_in(PATIENCE, failures, async || text().await.contains(failures).then_some(())).await;
    }
    receiver.start_again();
    inbox.answer_calls(0);

    let prometheus = Prometheus::collecting(&ward.hospital.operations().to_string());
    eventually_in(PATIENCE, "Prometheus collects, notices and feeds too", async || {
        for needed in ["sekimori_notices_sent_total", "sekimori_feed_sent_total", "sekimori_shadow_differences_total"] {
            let found = prometheus.ask("query", "query", needed)?;
            found["result"].as_array().filter(|all| !all.is_empty())?;
        }
        Some(())
    })
    .await;
    let questions: Vec<_> = panel_questions().into_iter().chain(rule_questions()).collect();
    assert!(questions.len() > 50, "{}", questions.len());
    for (place, question) in &questions {
        assert!(prometheus.ask("query", "query", question).is_some(), "{place}: Prometheus cannot read `{question}`");
        for selector in selectors(question) {
            // Values may not have come up; the metric and the names of its labels must have.
            let (metric, labels) = selector.split_once('{').unwrap_or((&selector, ""));
            let names: BTreeSet<&str> = labels.split(',').filter_map(|one| one.split(['=', '!']).next()).collect();
            let found = prometheus.ask("series", "match[]", metric).unwrap();
            let series = found.as_array().unwrap();
            assert!(!series.is_empty(), "{place}: no gateway tells `{metric}`");
            let missing =
                names.iter().find(|name| !name.is_empty() && **name != "}" && series[0].get(**name).is_none());
            assert!(missing.is_none(), "{place}: `{metric}` has no label {missing:?}");
        }
    }
    for rules in prometheus.ask("rules", "type", "alert").unwrap()["groups"].as_array().unwrap() {
        for rule in rules["rules"].as_array().unwrap() {
            assert_ne!(rule["health"], "err", "{rule}");
        }
    }
}

/// What Prometheus' own judge says of names and words. It reads the older format, where counters are named with their end.
#[tokio::test]
async fn metrics_are_named_as_prometheus_would_have_them() {
    let ward = Ward::open().await;
    ward.caller.ask(ward.get("/a")).await.expect(200);
    let text = operations(&ward.hospital, "/metrics").await.expect(200).text();
    let counters: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let older: String = text.lines().filter(|line| *line != "# EOF").fold(String::new(), |text, line| {
        let mut words = line.splitn(4, ' ');
        let line = match (words.next(), words.next(), words.next(), words.next()) {
            (Some("#"), Some(what), Some(name), rest) if counters.contains(name) => {
                format!("# {what} {name}_total {}", rest.unwrap_or_default())
            }
            _ => line.to_owned(),
        };
        text + &line + "\n"
    });
    let told = promtool(&["check", "metrics"], Some(&older));
    assert_eq!(told.code, Some(0), "{} {}", told.out, told.err);
}

#[test]
fn whatever_a_rule_asks_for_is_explained_in_the_page() {
    let page = std::fs::read_to_string(root().join("docs/operate/metrics.md")).unwrap();
    // Of a family the page writes the first name whole, and the ends of the others in the same row.
    let explained = |metric: &str| {
        page.contains(metric)
            || page.lines().any(|row| {
                ["sekimori_feed", "sekimori_notices"].iter().any(|family| {
                    let end = metric.strip_prefix(family);
                    row.contains(&format!("`{family}_")) && end.is_some_and(|end| row.contains(&format!("`{end}`")))
                })
            })
    };
    for (alert, question) in rule_questions() {
        for selector in selectors(&question) {
            let metric = selector.split('{').next().unwrap();
            assert!(explained(metric), "{alert}: {metric} is not in docs/operate/metrics.md");
        }
    }
}
