//! The console over all nodes: what was done through one of them is seen on every other, and where one does not answer, or
//! shows a certificate of somebody else, the page says whose log it lacks.

use std::path::{Path, PathBuf};

use policy::{AppId, GrantId};
use store::{GlassTerms, NewGlass, PeopleFilter};
use tests::{Ask, Hospital, Manner, Person, Session, eventually_in, now, run};
use url::Url;

use crate::glass::CHARTS_UNDER_GLASS;
use crate::pair::{MINUTE, Pair};

const CHART: &str = "/patients/4711/chart";
const PORT: u16 = 8_447;

/// Makes a CA and certificates of nodes; gives the folder.
fn make(node: &Hospital) -> PathBuf {
    run(node.folder().path(), &["node", "certificates", "gw01", "gw02", "--out", "made"]).ok();
    node.folder().join("made")
}

/// Lays the certificate of a node, and the CA by which it knows the others, where its configuration names them.
fn certify(node: &Hospital, name: &str, made: &Path) {
    for (from, to) in [("nodes-ca.pem", "nodes-ca.pem"), ("node.pem", "node.pem"), ("node.key", "node.key")] {
        let from = if from == "nodes-ca.pem" { made.join(from) } else { made.join(name).join(from) };
        std::fs::copy(&from, node.folder().join(to)).unwrap();
    }
}

/// Two nodes that ask each other.
async fn open() -> Pair {
    let both =
        |plan: &tests::Plan| plan.clone().rules(CHARTS_UNDER_GLASS).set("break_glass", "reviewers = [\"safety\"]");
    let mut pair = Pair::prepared(both, |plan| plan, |_| ()).await;
    let made = make(&pair.one);
    let channel = format!(
        "[nodes.channel]\naddresses = {{ gw01 = \"{}:{PORT}\", gw02 = \"{}:{PORT}\" }}\nca_file = \"nodes-ca.pem\"\n\
         certificate = \"node.pem\"\nkey = \"node.key\"",
        pair.one.address().ip(),
        pair.two.address().ip(),
    );
    for (node, name) in [(&mut pair.one, "gw01"), (&mut pair.two, "gw02")] {
        node.stop();
        certify(node, name, &made);
        let plan = node.plan().clone().block(&channel);
        node.settle(plan);
        node.start();
    }
    pair
}

/// A person of this role at a node.
async fn person(pair: &Pair, node: &Hospital, login: &str, role: &str) -> Person {
    let (key, code) = (node.key(), node.add_person(login, login, role));
    let mut person = Person::by_key(&node.caller(&pair.terminal), &key);
    person.enrol(&code, &key, &Manner::default()).await.expect(200);
    person
}

/// A page of the console, once it is so.
async fn until(person: &mut Person, node: &Hospital, place: &str, what: &str, is_so: impl Fn(&str) -> bool) -> String {
    let url = node.url("console", place);
    eventually_in(MINUTE, what, async || {
        let answer = person.open(&url).await;
        // A node that is too busy to answer in time is away for that page.
        Some(answer.text()).filter(|page| answer.status == 200 && is_so(page))
    })
    .await
}

fn is_whole(page: &str) -> bool {
    page.contains("すべての台の記録") || page.contains("Logs of all nodes")
}

fn lacks(page: &str, node: &str) -> bool {
    page.contains(&format!("{node} の記録が欠けています")) || page.contains(&format!("The log of {node} is missing"))
}

/// A nurse breaks the glass, and opens a chart through the first node.
async fn break_glass(pair: &Pair) {
    let nurse = Session::open_with(&pair.one, "sato", &["nurse"], Some(&pair.terminal), &["emr"]).await;
    let store = pair.one.store();
    let people = store.people(PeopleFilter::default(), None, 100).await.unwrap();
    let later = now().after(MINUTE * 30);
    let glass = NewGlass {
        id: GrantId::parse("glass-1").unwrap(),
        person: people.into_iter().find(|person| person.login == "sato").unwrap().id,
        app: AppId::parse("emr").unwrap(),
        at: now(),
        end: later,
        reason: "emergency".to_owned(),
        words: "救急搬送".to_owned(),
        patient: None,
        ward: None,
        review_due_at: later,
    };
    let terms = GlassTerms { vendor_roles: Vec::new(), blocks_unreviewed: false };
    store.break_glass(glass, terms).await.unwrap().unwrap();
    let caller = pair.one.caller(&pair.terminal);
    eventually_in(MINUTE, "the chart", async || {
        let answer = caller.ask(Ask::get("emr", CHART).signed_in(&nurse)).await;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_was_done_through_one_node_is_reviewed_on_the_other_and_a_node_that_is_away_is_named() {
    let mut pair = open().await;
    break_glass(&pair).await;
    assert!(pair.two.records().opened(CHART).is_empty(), "the other node had no part in it");

    let mut safety = person(&pair, &pair.two, "anzen", "safety").await;
    let review = "/glass/glass-1/review";
    let page = until(&mut safety, &pair.two, review, "what was done", |page| page.contains(CHART)).await;
    assert!(page.contains("gw01") && is_whole(&page) && !lacks(&page, "gw01"), "{page}");

    let mut auditor = person(&pair, &pair.two, "kansa", "auditor").await;
    let page = until(&mut auditor, &pair.two, "/log", "the search", |page| page.contains(CHART)).await;
    assert!(is_whole(&page), "{page}");
    let row = page.split("<tr").find(|row| row.contains(CHART)).unwrap();
    let place = row.split("href=\"").nth(1).unwrap().split('"').next().unwrap();
    assert!(place.ends_with("?node=gw01"), "{place}");
    let record = until(&mut auditor, &pair.two, place, "the record", |page| page.contains(CHART)).await;
    assert!(record.contains("charts-under-glass"), "{record}");
    // What happened in the store is in both logs, and one line of the page.
    let broken = until(&mut auditor, &pair.two, "/log?event=glass-broken", "both logs", is_whole).await;
    assert_eq!(broken.matches("/log/records/").count(), 1, "{broken}");
    until(&mut auditor, &pair.two, "/log/charts?days=7", "charts of both logs", is_whole).await;

    // A file with proof is of one log, and says so before and after; its name tells it from that of the other node.
    let is_of_one =
        |page: &str| page.contains("(gw02) の記録だけが入ります") || page.contains("this node (gw02) alone");
    assert!(is_of_one(&page), "{page}");
    let origin = pair.two.url("console", "");
    let ask = Url::parse(&format!("{origin}/log/export")).unwrap();
    auditor.post(&ask, &origin, &[("form", "jsonl"), ("app", "emr")]).await.expect(303);
    let is_made = |page: &str| page.contains("href=\"/log/export/file\"");
    let made = until(&mut auditor, &pair.two, "/log/export", "the file", is_made).await;
    assert!(made.contains("gw02") && !is_whole(&made), "{made}");
    let file = auditor.open(&format!("{origin}/log/export/file")).await.expect(200);
    assert!(file.headers["content-disposition"].to_str().unwrap().contains("\"records-gw02-"), "{:?}", file.headers);
    assert!(!file.text().contains(CHART), "what was done through the other node is in that node's file");

    pair.one.stop();
    let lacks_one = |page: &str| lacks(page, "gw01") && !is_whole(page);
    let page = safety.open(&pair.two.url("console", review)).await.expect(200).text();
    assert!(lacks_one(&page), "{page}");
    for place in ["/log", "/log/report"] {
        let page = auditor.open(&pair.two.url("console", place)).await.expect(200).text();
        assert!(lacks_one(&page), "{place}: {page}");
    }
    auditor.open(&pair.two.url("console", place)).await.expect(503);

    pair.one.start();
    let page = until(&mut safety, &pair.two, review, "it is back", is_whole).await;
    assert!(page.contains(CHART), "{page}");
}

#[tokio::test]
async fn a_certificate_of_another_ca_is_refused_and_the_page_says_what_it_lacks() {
    let mut pair = open().await;
    let caller = pair.one.caller(&pair.terminal);
    caller.ask(Ask::get("emr", CHART)).await;
    let mut auditor = person(&pair, &pair.two, "kansa", "auditor").await;
    until(&mut auditor, &pair.two, "/log", "both logs", is_whole).await;

    // The second node calls itself by its name, and its CA is somebody else's.
    let made = make(&pair.two);
    pair.two.stop();
    let own_ca = std::fs::read(pair.two.folder().join("nodes-ca.pem")).unwrap();
    certify(&pair.two, "gw02", &made);
    // It believes the others, so that it asks; they do not believe it.
    std::fs::write(pair.two.folder().join("nodes-ca.pem"), own_ca).unwrap();
    pair.two.start();
    let page = auditor.open(&pair.two.url("console", "/log")).await.expect(200).text();
    assert!(lacks(&page, "gw01"), "{page}");
    eventually_in(MINUTE, "the refusal is told", async || {
        pair.one.log_text().contains("was not answered").then_some(())
    })
    .await;
}
