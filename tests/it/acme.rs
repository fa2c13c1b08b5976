//! Server certificates that the gateway orders by itself, from a real CA: ordered, renewed, refused, and what holds while
//! the CA is away, hangs or talks nonsense.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use tests::{
    ACCOUNT_KEY, Ask, Caller, Database, Hospital, Pebble, Plan, Surroundings, Upstream, chain_and_key, eventually_in,
    make_private,
};

/// An order is some twenty questions and answers, and two machines that are slow.
const PATIENCE: Duration = Duration::from_secs(180);
const EMR: &str = "names = [\"emr.hospital.test\"]";
const NODES: &str = "[nodes]\nnames = [\"gw01\", \"gw02\"]\nname_file = \"node\"\nsilent_after = \"60s\"";
const DAY: i64 = 86_400;

/// The certificate that is shown for a host, if one is that this caller trusts.
async fn shown(caller: &Caller, host: &str) -> Option<CertificateDer<'static>> {
    let stream = caller.connect(host, &[]).await.ok()?;
    stream.get_ref().1.peer_certificates()?.first().cloned().map(CertificateDer::into_owned)
}

/// A caller that trusts the CA alone.
fn trusting(hospital: &Hospital, pebble: &Pebble) -> Caller {
    Caller::new(hospital.address(), pebble.roots(), None)
}

/// Waits until a certificate of the CA is shown.
async fn comes(hospital: &Hospital, caller: &Caller, host: &str) -> CertificateDer<'static> {
    let look = async || shown(caller, host).await;
    let come = tokio::time::timeout(PATIENCE, eventually_in(PATIENCE * 2, "a certificate of the CA", look)).await;
    come.unwrap_or_else(|_| panic!("no certificate came:\n{}", hospital.log_text()))
}

/// What is kept in the gateway's folder for it.
fn kept(hospital: &Hospital, name: &str) -> std::path::PathBuf {
    hospital.folder().join("state/acme").join(name)
}

/// Waits until an alarm is raised, or over.
async fn raises(hospital: &Hospital, alarm: &str, level: u8) {
    let alarm = format!("sekimori_alarm{{alarm=\"{alarm}\"}} {level}\n");
    eventually_in(PATIENCE, &alarm, async || {
        crate::operations::operations(hospital, "/metrics").await.text().contains(&alarm).then_some(())
    })
    .await;
}

/// Waits until it failed, and gives what was kept of that.
async fn fails(hospital: &Hospital) -> Value {
    raises(hospital, "certificate-not-ordered", 1).await;
    let text = std::fs::read_to_string(kept(hospital, "tries.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn account(hospital: &Hospital) -> Value {
    serde_json::from_str(&std::fs::read_to_string(kept(hospital, "account.json")).unwrap()).unwrap()
}

#[tokio::test]
async fn a_certificate_is_ordered_recorded_and_shown_without_dropping_a_connection() {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()));
    let pebble = Pebble::start(&hospital);
    hospital.start();
    let mut old = hospital.stranger().http1("emr").await;
    hospital.reload(hospital.plan().clone().block(&pebble.section(EMR)));
    let caller = trusting(&hospital, &pebble);
    comes(&hospital, &caller, "emr").await;
    old.answer(Ask::get("emr", "/a")).await.expect(401);
    assert!(!old.is_closed());
    assert!(shown(&caller, "login").await.is_none(), "other names are served as before");
    assert!(shown(&hospital.stranger(), "login").await.is_some());
    let record = hospital.records().with("ev", "certificate-ordered").with("src", &pebble.name());
    assert!(!record.is_empty());
    for name in ["account.json", "certificate.pem"] {
        let mode = std::fs::metadata(kept(&hospital, name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{name}");
    }
    assert!(!hospital.log_text().contains("PRIVATE KEY"));
    // Whatever is asked by the CA's protocol later is shown nothing, and told nothing.
    assert!(caller.connect("emr", &[b"acme-tls/1"]).await.is_err());
}

#[tokio::test]
async fn a_gateway_without_any_certificate_begins_gets_one_and_keeps_it_where_the_ca_is_away() {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()));
    let mut pebble = Pebble::start(&hospital);
    without_files(&hospital, &pebble.section(""));
    hospital.start();
    let caller = trusting(&hospital, &pebble);
    let certificate = comes(&hospital, &caller, "login").await;
    assert_eq!(shown(&caller, "emr").await.as_ref(), Some(&certificate), "one certificate is for every host");
    assert!(hospital.stop().success());
    pebble.stop();
    hospital.start();
    assert_eq!(shown(&caller, "portal").await, Some(certificate));
}

#[tokio::test]
async fn hosts_that_no_certificate_serves_are_told_by_name_until_one_is_there() {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()));
    let mut pebble = Pebble::start(&hospital);
    pebble.stop();
    let files = hospital.authority().issue(hospital.folder().path(), "emr-alone", &["emr.hospital.test"]);
    let (certificate, key) = (files.certificate.display(), files.key.display());
    let table = format!("[[certificate]]\ncertificate = \"{certificate}\"\nkey = \"{key}\"\n");
    without_files(&hospital, &(table + &pebble.section("")));
    let names_them = |text: &str| text.contains("`login.hospital.test`") && !text.contains("`emr.hospital.test`");
    let told = hospital.run(&["check"]);
    assert_eq!(told.code, Some(0), "it is ordered when the gateway runs: {}", told.err);
    assert!(names_them(&told.err), "{}", told.err);
    hospital.start();
    hospital.stranger().ask(Ask::get("emr", "/a")).await.expect(401);
    raises(&hospital, "certificate-missing", 1).await;
    let metrics = crate::operations::operations(&hospital, "/metrics").await.text();
    assert!(!metrics.contains("sekimori_hosts_without_certificate 0\n"), "{metrics}");
    let lines = hospital.log_text();
    let of_log = lines.lines().filter(|line| line.contains("hosts without a server certificate"));
    assert_eq!(of_log.filter(|line| names_them(line)).count(), 1, "once, with their names: {lines}");
    for (path, status) in [("/readyz", 200), ("/readyz/balancer", 200), ("/readyz/strict", 503)] {
        let answer = crate::operations::operations(&hospital, path).await;
        assert_eq!(answer.status, status, "{path}");
        assert!(answer.text().starts_with("degraded: certificates: none yet for "), "{path}: {}", answer.text());
    }
    let findings = hospital.run(&["doctor", "--format", "json"]).lines();
    let is_told = |line: &Value| {
        line["what"] == "certificate" && line["grade"] == "bad" && names_them(line["says"].as_str().unwrap())
    };
    assert!(findings.iter().any(is_told), "{findings:?}");
    fails(&hospital).await;
    pebble.start_again();
    std::fs::remove_file(kept(&hospital, "tries.json")).unwrap();
    comes(&hospital, &trusting(&hospital, &pebble), "login").await;
    raises(&hospital, "certificate-missing", 0).await;
    assert_eq!(crate::operations::operations(&hospital, "/readyz/strict").await.status, 200);
    assert!(!hospital.run(&["check"]).ok().err.contains("no certificate"));
}

#[tokio::test]
async fn a_certificate_is_renewed_before_it_ends_by_the_same_account() {
    let emr = Upstream::http1();
    let clock = |folder: &tests::Folder| Surroundings::with_clock(&folder.join("clock"));
    let mut hospital = Hospital::build_in(Plan::with_emr(emr.address()), clock);
    let pebble = Pebble::start_with(&hospital, &json!({ "certificateValidityPeriod": 12 * DAY }));
    hospital.settle(hospital.plan().clone().block(&pebble.section(EMR)));
    hospital.start();
    let caller = trusting(&hospital, &pebble);
    let first = comes(&hospital, &caller, "emr").await;
    let before = account(&hospital);
    hospital.surroundings().set_clock(9 * DAY);
    eventually_in(PATIENCE, "another certificate", async || shown(&caller, "emr").await.filter(|now| *now != first))
        .await;
    assert_eq!(account(&hospital), before);
    // To the CA it is the first day, to this clock the ninth: what came is shown, and not ordered again and again.
    assert!(fails(&hospital).await["reason"].as_str().unwrap().contains("look at the clock"));
}

#[tokio::test]
async fn an_account_that_the_ca_has_forgotten_is_made_anew() {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()));
    let mut pebble = Pebble::start(&hospital);
    hospital.settle(hospital.plan().clone().block(&pebble.section(EMR)));
    hospital.start();
    comes(&hospital, &trusting(&hospital, &pebble), "emr").await;
    assert!(hospital.stop().success());
    pebble.stop();
    pebble.start_again();
    std::fs::remove_file(kept(&hospital, "certificate.pem")).unwrap();
    hospital.start();
    let told = fails(&hospital).await;
    assert!(told["reason"].as_str().unwrap().contains("does not know the account"), "{told}");
    // What failed waits a minute; whoever mended it need not.
    std::fs::remove_file(kept(&hospital, "tries.json")).unwrap();
    comes(&hospital, &trusting(&hospital, &pebble), "emr").await;
}

#[tokio::test]
async fn a_name_that_the_ca_refuses_is_told_and_what_there_is_is_shown_on() {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()));
    let pebble = Pebble::start_with(&hospital, &json!({ "domainBlocklist": ["emr.hospital.test"] }));
    hospital.settle(hospital.plan().clone().block(&pebble.section(EMR)));
    hospital.start();
    let told = fails(&hospital).await;
    assert!(told["reason"].as_str().unwrap().contains("rejectedIdentifier"), "{told}");
    let what = format!("CA {}", pebble.name());
    let lines = hospital.run(&["doctor", "--format", "json"]).lines();
    let of_ca: Vec<_> = lines.iter().filter(|line| line["what"] == what.as_str()).collect();
    assert!(of_ca.iter().any(|line| line["grade"] == "good" && line["says"] == "answers"), "{of_ca:?}");
    let is_told =
        |line: &&&Value| line["grade"] == "bad" && line["says"].as_str().unwrap().contains("rejectedIdentifier");
    assert!(of_ca.iter().any(|line| is_told(&line)), "{of_ca:?}");
    hospital.stranger().ask(Ask::get("emr", "/a")).await.expect(401);
}

#[tokio::test]
async fn a_name_that_leads_elsewhere_is_not_certified_and_the_ca_says_why() {
    let emr = Upstream::http1();
    let (mut hospital, other) =
        (Hospital::build(Plan::with_emr(emr.address())), Hospital::open(Plan::with_emr(emr.address())));
    // The CA looks at the other's address, which shows no proof.
    let pebble = Pebble::start(&other);
    let ca = std::fs::read(other.folder().join("ca.pem")).unwrap();
    hospital.folder().write("other-ca.pem", ca);
    let section = pebble.section(EMR).replace("\"ca.pem\"", "\"other-ca.pem\"");
    hospital.settle(hospital.plan().clone().block(&section));
    hospital.start();
    let told = fails(&hospital).await;
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.contains("did not find the names") && reason.contains("emr.hospital.test"), "{reason}");
}

#[tokio::test]
async fn a_ca_that_is_not_there_hangs_talks_nonsense_or_is_busy_stops_nothing() {
    let emr = Upstream::http1();
    for (path, word) in [
        ("/echoed", "missing field"),
        ("/bytes/400000", "CA"),
        ("/hold", "did not answer within"),
        ("/busy", "CA"),
        ("", "cannot be reached"),
    ] {
        let mut hospital = Hospital::build(Plan::with_emr(emr.address()));
        let files = hospital.authority().issue(hospital.folder().path(), "ca-server", &["localhost"]);
        let ca = Upstream::https(server(&files));
        let port = if path.is_empty() { 1 } else { ca.address().port() };
        let section = format!(
            "[acme]\ndirectory = \"https://localhost:{port}{path}\"\nca_file = \"ca.pem\"\nterms_accepted = true\n{EMR}"
        );
        hospital.settle(hospital.plan().clone().block(&section));
        hospital.start();
        hospital.stranger().ask(Ask::get("emr", "/a")).await.expect(401);
        let told = fails(&hospital).await;
        assert!(told["reason"].as_str().unwrap().contains(word), "{path}: {told}");
        let waits = told["next_at"].as_i64().unwrap() - told["failed_at"].as_i64().unwrap();
        assert_eq!(waits, if path == "/busy" { 7_200 } else { 60 }, "{path}");
        hospital.stranger().ask(Ask::get("emr", "/a")).await.expect(401);
    }
}

#[tokio::test]
async fn a_wildcard_is_ordered_by_the_dns_and_what_was_written_there_is_removed() {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()));
    let pebble = Pebble::start(&hospital);
    let hook = pebble.hook();
    let by_dns = format!("names = [\"*.hospital.test\"]\nchallenge = \"dns-01\"\nhook = \"{}\"", hook.display());
    without_files(&hospital, &pebble.section(&by_dns));
    hospital.start();
    let caller = trusting(&hospital, &pebble);
    let certificate = comes(&hospital, &caller, "login").await;
    assert_eq!(shown(&caller, "emr").await, Some(certificate));
    assert_eq!(std::fs::read_to_string(pebble.removed()).unwrap(), "_acme-challenge.hospital.test\n");
}

#[tokio::test]
async fn what_a_stop_left_in_the_dns_is_removed_at_the_next_start_and_the_program_is_ended_with_all_it_began() {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()));
    let pebble = Pebble::start(&hospital);
    let file = |name: &str| hospital.folder().join(name).display().to_string();
    let (added, began, removed) = (file("added"), file("began"), file("removed"));
    // It waits for servers that never show what it wrote.
    let hook = pebble.program(&format!(
        "#!/bin/sh\ncase $1 in\n  add) echo \"$2 $3\" > {added}; sleep 600 & echo $! > {began}.new; mv {began}.new {began}; \
         wait ;;\n  remove) echo \"$2 $3\" >> {removed} ;;\nesac\n"
    ));
    let by_dns = format!("{EMR}\nchallenge = \"dns-01\"\nhook = \"{}\"", hook.display());
    hospital.settle(hospital.plan().clone().block(&pebble.section(&by_dns)));
    hospital.start();
    let begun = eventually_in(PATIENCE, "the program", async || std::fs::read_to_string(&began).ok()).await;
    assert!(hospital.stop().success());
    assert!(!Path::new(&removed).exists());
    let stat = format!("/proc/{}/stat", begun.trim());
    let is_running = || std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
    let is_over = async || (!is_running()).then_some(());
    eventually_in(PATIENCE, "the end of what it began", is_over).await;
    hospital.start();
    // The file is there before what the program writes into it.
    let whole = async || std::fs::read_to_string(&removed).ok().filter(|text| text.ends_with('\n'));
    let told = eventually_in(PATIENCE, "that it is removed", whole).await;
    let written = std::fs::read_to_string(&added).unwrap();
    assert!(written.starts_with("_acme-challenge.emr.hospital.test "), "{written}");
    assert_eq!(told, written, "that text, and no other");
    eventually_in(PATIENCE, "nothing to remove", async || (!kept(&hospital, "shown.json").exists()).then_some(()))
        .await;
}

#[tokio::test]
async fn a_disk_that_hangs_under_the_kept_certificate_keeps_nobody_from_being_served_or_told() {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()));
    let section =
        format!("[acme]\ndirectory = \"https://localhost:1/\"\nca_file = \"ca.pem\"\nterms_accepted = true\n{EMR}");
    hospital.settle(hospital.plan().clone().block(&section));
    hospital.start();
    fails(&hospital).await;
    // Whoever reads a pipe waits for whoever writes into it, as for a disk that does not answer.
    let pipe = kept(&hospital, "certificate.pem");
    rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
    let writing = rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::NONBLOCK;
    make_private(&pipe);
    let holds = eventually_in(PATIENCE, "that it is read", async || {
        rustix::fs::open(&pipe, writing, rustix::fs::Mode::empty()).ok()
    })
    .await;
    for path in ["/healthz", "/readyz", "/readyz/balancer", "/metrics"] {
        let asked = crate::operations::operations(&hospital, path);
        assert_eq!(tokio::time::timeout(PATIENCE, asked).await.expect(path).status, 200, "{path}");
    }
    hospital.stranger().ask(Ask::get("emr", "/a")).await.expect(401);
    // In this order: nobody opens it once more.
    std::fs::remove_file(&pipe).unwrap();
    drop(holds);
    assert!(hospital.stop().success());
}

#[tokio::test]
async fn a_program_that_fails_is_told_with_its_words() {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()));
    let pebble = Pebble::start(&hospital);
    let hook = pebble.program("#!/bin/sh\necho \"zone is locked, $1 $2, ${HOME:-nobody} at home\" >&2\nexit 3\n");
    let by_dns = format!("{EMR}\nchallenge = \"dns-01\"\nhook = \"{}\"", hook.display());
    hospital.settle(hospital.plan().clone().block(&pebble.section(&by_dns)));
    hospital.start();
    let told = fails(&hospital).await;
    let said = "zone is locked, add _acme-challenge.emr.hospital.test, nobody at home";
    assert!(told["reason"].as_str().unwrap().contains(said), "{told}");
}

#[tokio::test]
async fn a_ca_that_serves_its_customers_alone_is_shown_the_account_and_no_other() {
    let emr = Upstream::http1();
    let required =
        json!({ "externalAccountBindingRequired": true, "externalAccountMACKeys": { "sakura": ACCOUNT_KEY } });
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()));
    let pebble = Pebble::start_with(&hospital, &required);
    hospital.settle(hospital.plan().clone().block(&pebble.section(EMR)));
    hospital.start();
    let told = fails(&hospital).await;
    assert!(told["reason"].as_str().unwrap().contains("externalAccountRequired"), "{told}");
    make_private(&hospital.folder().write("account", ACCOUNT_KEY));
    let with_account = format!("{EMR}\nexternal_account = {{ key_id = \"sakura\", key_file = \"account\" }}");
    assert!(hospital.stop().success());
    std::fs::remove_file(kept(&hospital, "tries.json")).unwrap();
    let section = pebble.section(&with_account);
    let text = std::fs::read_to_string(hospital.folder().join("sekimori.toml")).unwrap();
    hospital.folder().write("sekimori.toml", text.replace(&pebble.section(EMR), &section));
    hospital.start();
    comes(&hospital, &trusting(&hospital, &pebble), "emr").await;
    assert_eq!(account(&hospital)["key_id"], "sakura");
}

#[tokio::test]
async fn of_two_nodes_one_orders_and_both_show_it_whichever_the_ca_looks_at() {
    let (emr, mut database) = (Upstream::http1(), Database::build());
    let plan = database.in_plan(Plan::with_emr(emr.address()).block(NODES));
    let mut one = Hospital::build_in(plan.clone(), |folder| {
        folder.write("node", "gw01\n");
        Surroundings::default()
    });
    database.start_for(&one);
    one.start();
    let mut two = one.twin(plan, |folder| {
        folder.write("node", "gw02\n");
    });
    two.start();
    // The first of them orders; the CA looks at the second.
    let pebble = Pebble::start(&two);
    // That one must have heard of it before.
    let activated = |node: &Hospital| node.records().with("ev", "config-activated").len();
    let before = activated(&two);
    two.reload(two.plan().clone().block(&pebble.section(EMR)));
    eventually_in(PATIENCE, "the new settings", async || (activated(&two) > before).then_some(())).await;
    one.reload(one.plan().clone().block(&pebble.section(EMR)));
    let (at_one, at_two) = (trusting(&one, &pebble), trusting(&two, &pebble));
    let first = comes(&one, &at_one, "emr").await;
    assert_eq!(comes(&two, &at_two, "emr").await, first);
    let account_of_both = account(&one);
    assert_eq!(account(&two), account_of_both);
    // In the store stands nothing that a reader of the store could use.
    let sealed = one.store().note("acme").await.unwrap().unwrap();
    assert!(!sealed.contains("PRIVATE") && !sealed.contains("BEGIN"));
    let orders = |node: &Hospital| node.records().with("ev", "certificate-ordered").with("src", &pebble.name());
    assert!(!orders(&one).is_empty() && !orders(&two).is_empty(), "each records what it shows");
    // Whoever can write into the store, and no more, has nothing shown to a CA of his.
    let his = json!([["emr.hospital.test", "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="]]).to_string();
    one.store().set_note("acme-proofs", his).await.unwrap();
    eventually_in(PATIENCE, "that it is not believed", async || {
        two.log_text().contains("what is to be shown to the CA was not sealed").then_some(())
    })
    .await;
    assert!(at_two.connect("emr", &[b"acme-tls/1"]).await.is_err());
}

#[tokio::test]
async fn a_ca_file_that_is_none_is_refused_before_anything_is_ordered() {
    let emr = Upstream::http1();
    let mut hospital = Hospital::build(Plan::with_emr(emr.address()));
    hospital.folder().write("none.pem", "no certificate at all");
    let section = "[acme]\ndirectory = \"https://localhost:1/dir\"\nca_file = \"none.pem\"\nterms_accepted = true";
    hospital.settle(hospital.plan().clone().block(section));
    for words in [["check"], ["serve"]] {
        let told = hospital.run(&words);
        assert_eq!(told.code, Some(64), "{words:?}: {} {}", told.out, told.err);
        assert!(told.err.contains("[acme]") && told.err.contains("none.pem"), "{words:?}: {}", told.err);
    }
}

/// A configuration that has no certificate in files.
fn without_files(hospital: &Hospital, section: &str) {
    let text = std::fs::read_to_string(hospital.folder().join("sekimori.toml")).unwrap();
    let mut text = text;
    for name in ["wild", "annex"] {
        let table = format!("[[certificate]]\ncertificate = \"{name}.pem\"\nkey = \"{name}.key\"");
        assert!(text.contains(&table));
        text = text.replace(&table, "");
    }
    assert!(!Path::new(&hospital.folder().join("state/acme")).exists());
    hospital.folder().write("sekimori.toml", format!("{section}\n{text}"));
}

fn server(files: &config::CertificateFiles) -> rustls::ServerConfig {
    let (chain, key) = chain_and_key(files);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap()
}
