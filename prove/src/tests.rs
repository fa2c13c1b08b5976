//! Small policies, proved or broken, with the real solver.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use config::Config;
use policy::Timestamp;

use crate::{Around, Finding, Language, Outcome, Solver, Undecided, Witness, prove, solver, text};

/// Half past nine on Sunday 2026-11-22 in Japan.
const NOW: Timestamp = Timestamp::from_unix_micros(1_795_307_400_000_000);

const HOSPITAL: &str = r#"
facility.name = "試験病院"
gateway = { login_host = "login.hospital.test", portal_host = "portal.hospital.test" }
listener = [{ address = "127.0.0.1:1443", zone = "inside" }, { address = "127.0.0.1:2443", zone = "internet" }]
certificate = [{ certificate = "chain.pem", key = "key.pem" }]
policy = { statements = ["never.toml"], holidays = ["2026-11-23"] }
[roles]
doctor = { ja = "医師", en = "Doctor" }
clerk = { ja = "事務", en = "Clerk" }
vendor = { ja = "業者", en = "Vendor" }
[[provider]]
id = "idp"
issuer = "https://idp.hospital.test"
client_id = "sekimori"
roles = { doctors = "doctor" }
[[app]]
id = "emr"
host = "emr.hospital.test"
upstreams = ["http://127.0.0.1:9"]
template = "fhir-r4"
template_base = "/fhir"
[[app]]
id = "status"
host = "status.hospital.test"
upstreams = ["http://127.0.0.1:9"]
[[app.route]]
paths = ["/patients/{patient}/**"]
class = "chart"
"#;

/// A folder of its own with a configuration; removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn with(statements: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("sekimori-prove-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = Self(std::env::temp_dir().join(name));
        std::fs::create_dir_all(&folder.0).unwrap();
        for (file, text) in [("chain.pem", ""), ("key.pem", ""), ("never.toml", statements)] {
            std::fs::write(folder.0.join(file), text).unwrap();
        }
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(folder.0.join("key.pem"), private).unwrap();
        folder
    }

    fn read(&self, rules: &str) -> Config {
        config::parse(&format!("{HOSPITAL}{rules}"), "sekimori.toml", &self.0).unwrap_or_else(|problems| {
            unreachable!("{problems}");
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // Whatever is left lies in a temporary folder.
        let _removed = std::fs::remove_dir_all(&self.0);
    }
}

fn findings(config: &Config, last: Option<&Config>) -> Vec<Finding> {
    let program = solver().expect("cvc5 is installed: `apt install cvc5`");
    let around = Around::new(config, last.map(|last| &last.policy), NOW).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut solver = Solver::start(program, Duration::from_secs(60)).unwrap();
        prove(&around, &mut solver, |_, _| ()).await.unwrap()
    })
}

/// What becomes of one claim under these rules.
fn outcome(claim: &str, rules: &str) -> Outcome {
    let folder = Folder::with(&format!("[[statement]]\nid = \"s\"\nsays = \"s\"\n{claim}\n"));
    findings(&folder.read(rules), None).remove(0).outcome
}

fn witness(outcome: Outcome) -> Witness {
    let Outcome::Broken(witness) = outcome else { unreachable!("{outcome:?}") };
    *witness
}

fn rule(id: &str, columns: &str) -> String {
    format!("[[rule]]\nid = \"{id}\"\n{columns}\n")
}

#[test]
fn what_no_rule_permits_never_happens() {
    assert!(matches!(outcome("never = { actions = [\"write\"] }", ""), Outcome::Proved));
    let reads = rule("reads", "roles = [\"doctor\"]\napps = [\"emr\"]\nactions = [\"read\"]\ndevices = \"known\"");
    for claim in [
        "never = { actions = [\"write\"] }",
        "never = { devices_not = \"known\" }",
        "never = { roles_not = [\"doctor\"] }",
        "never = { roles_not = \"signed-in\" }",
        "never = { apps = [\"status\"] }",
        "never = { actions = [\"export\"] }",
        "never = { in_outage = true }",
    ] {
        assert!(matches!(outcome(claim, &reads), Outcome::Proved), "{claim}");
    }
}

#[test]
fn a_hole_is_answered_by_a_request_that_is_as_plain_as_can_be() {
    let hole = rule("hole", "roles = [\"clerk\", \"doctor\"]\napps = [\"emr\"]\nactions = [\"write\"]");
    let found = witness(outcome("never = { actions = [\"write\"], devices_not = \"known\" }", &hole));
    let (access, who) = (&found.access, found.access.who.as_ref().unwrap());
    assert_eq!((found.rule.as_str(), access.app.as_str(), access.device.is_none()), ("hole", "emr", true));
    assert_eq!((who.roles.len(), who.assurance, who.in_outage), (1, policy::Assurance::Aal1, false));
    assert_eq!((access.method.as_str(), access.at.local(policy::UtcOffset::JAPAN).minute_of_day), ("POST", 660));
}

#[test]
fn somebody_with_two_roles_is_thought_of() {
    let rules = rule("treat", "roles = [\"doctor\"]\napps = [\"emr\"]\nactions = [\"read\"]");
    let found = witness(outcome("never = { roles = [\"vendor\"], grant = false }", &rules));
    let roles: Vec<_> = found.access.who.unwrap().roles.iter().map(ToString::to_string).collect();
    assert_eq!(roles, ["doctor", "vendor"]);
}

#[test]
fn paths_stand_for_the_classes_that_routes_give_them_and_for_no_others() {
    let status = |paths: &str| {
        let columns = format!("roles = [\"vendor\"]\napps = [\"status\"]\nactions = [\"read\"]\npaths = [\"{paths}\"]");
        rule("status", &columns)
    };
    let claim = "never = { roles = [\"vendor\"], classes = [\"chart\"] }";
    assert!(matches!(outcome(claim, &status("/health/*")), Outcome::Proved), "no path there is of the chart");
    let found = witness(outcome(claim, &status("/patients/*")));
    assert_eq!(found.access.class.as_ref().unwrap().as_str(), "chart");
    assert!(found.access.path.as_str().starts_with("/patients/"), "{:?}", found.access.path);
    // `{patient}` wants a segment: of the paths below, the folder itself alone has no class.
    let unclassified = "never_cedar = 'context.class == \"\" && context.path like \"/patients/*\"'";
    assert_eq!(witness(outcome(unclassified, &status("/*"))).access.path.as_str(), "/patients/");
}

#[test]
fn holidays_and_nights_are_found_in_the_calendar() {
    let nights =
        "roles = [\"doctor\"]\napps = [\"emr\"]\nactions = [\"read\"]\ndays = [\"hol\"]\nhours = \"22:00-06:00\"";
    let found = witness(outcome("never = { hours_not = \"06:00-24:00\" }", &rule("nights", nights)));
    let at = found.access.at.local(policy::UtcOffset::JAPAN);
    assert!(at.day == 24 && at.minute_of_day < 360, "the night of 23 November ends on the 24th: {at:?}");
    let day = "never = { days_not = [\"hol\"], hours = \"06:00-24:00\" }";
    assert!(matches!(outcome(day, &rule("nights", nights)), Outcome::Proved));
}

#[test]
fn a_wider_version_is_told_from_a_narrower_one() {
    let folder = Folder::with("[[statement]]\nid = \"s\"\nsays = \"s\"\nno_wider_than = \"last\"\n");
    let columns = "roles = [\"doctor\"]\napps = [\"emr\"]\nactions = [\"read\"]";
    let narrow = folder.read(&rule("reads", &format!("{columns}\nzones = [\"inside\"]")));
    let wide = folder.read(&rule("reads", columns));
    let check = |config: &Config, last: &Config| findings(config, Some(last)).remove(0).outcome;
    assert!(matches!(check(&narrow, &wide), Outcome::Proved));
    let found = witness(check(&wide, &narrow));
    assert_eq!(found.access.from.zone.as_str(), "internet");
    let alone = findings(&wide, None).remove(0);
    assert!(alone.stands() && matches!(alone.outcome, Outcome::Undecided(Undecided::NothingToCompare)));
}

#[test]
fn versions_with_other_routes_are_compared_by_what_each_takes_a_request_for() {
    let folder = Folder::with("[[statement]]\nid = \"s\"\nsays = \"s\"\nno_wider_than = \"last\"\n");
    let version = |routes: &str, classes: &str| {
        let classes = format!("classes = [{classes}]");
        let columns = format!("roles = [\"clerk\"]\napps = [\"desk\"]\nactions = [\"read\"]\n{classes}");
        let app = "[[app]]\nid = \"desk\"\nhost = \"desk.hospital.test\"\nupstreams = [\"http://127.0.0.1:9\"]\n";
        folder.read(&format!("{app}{routes}{}", rule("desk", &columns)))
    };
    let route = |paths: &str, class: &str, more: &str| {
        format!("[[app.route]]\npaths = [\"{paths}\"]\nclass = \"{class}\"\n{more}")
    };
    let check = |now: &Config, last: &Config| findings(now, Some(last)).remove(0).outcome;
    let before = version(&route("/a/**", "chart", ""), "\"chart\"");
    // Under another name, the same requests.
    let renamed = version(&route("/a/**", "lab-results", ""), "\"lab-results\"");
    assert!(matches!(check(&renamed, &before), Outcome::Proved));
    // A route more makes a request readable that nobody could read.
    let more = version(&(route("/a/**", "chart", "") + &route("/b/**", "chart", "")), "\"chart\"");
    let found = witness(check(&more, &before));
    assert!(found.access.path.as_str().starts_with("/b"), "{:?}", found.access.path);
    assert!(matches!(check(&before, &more), Outcome::Proved), "a route less is narrower");
    // What POST did there was to write.
    let posted = version(&route("/a/**", "chart", "action = \"read\"\n"), "\"chart\"");
    assert_ne!(witness(check(&posted, &before)).access.method.as_str(), "GET");
    assert!(matches!(check(&before, &posted), Outcome::Proved));
}

#[test]
fn a_rule_that_reads_its_context_whole_is_not_guessed_at_where_routes_changed() {
    let folder = Folder::with("[[statement]]\nid = \"s\"\nsays = \"s\"\nno_wider_than = \"last\"\n");
    let columns = "roles = [\"doctor\"]\napps = [\"emr\"]\nactions = [\"read\"]";
    let now = folder.read(&rule("reads", columns));
    let mut last = now.clone();
    last.policy.apps.iter_mut().for_each(|app| app.routes.clear());
    let whole =
        "@id(\"whole\") forbid (principal, action, resource) when { context == context && context.minute < 5 };";
    last.policy.cedar.push(policy::CedarFile { name: "w.cedar".to_owned(), text: whole.to_owned() });
    let finding = findings(&now, Some(&last)).remove(0);
    let undecided = matches!(finding.outcome, Outcome::Undecided(Undecided::RoutesChanged(_)));
    assert!(!finding.stands() && undecided, "{:?}", finding.outcome);
}

#[test]
fn a_broken_statement_is_told_in_both_languages_with_the_way_to_ask_for_it() {
    let folder = Folder::with(
        "[[statement]]\nid = \"s\"\nsays = { ja = \"書けない\", en = \"no writing\" }\nnever = { actions = [\"write\"] }\n",
    );
    let config = folder
        .read(&rule("hole", "roles = [\"clerk\"]\napps = [\"status\"]\nactions = [\"write\"]\nclasses = [\"chart\"]"));
    let finding = findings(&config, None).remove(0);
    let around = Around::new(&config, None, NOW).unwrap();
    let told = |language| text(&around, &config.statements[0], &finding, language);
    let (japanese, english) = (told(Language::Japanese), told(Language::English));
    for (text, words) in [
        (
            &japanese,
            ["破れあり  s: 書けない", "規則 `hole`", "利用者: 事務", "POST https://status.hospital.test/patients/1/1"],
        ),
        (
            &english,
            [
                "BROKEN  s: no writing",
                "the rule `hole`",
                "somebody who is Clerk",
                "POST https://status.hospital.test/patients/1/1",
            ],
        ),
    ] {
        for word in words {
            assert!(text.contains(word), "{word}: {text}");
        }
        assert!(text.contains("--app status --method POST --path '/patients/1/1' --zone inside --at"), "{text}");
    }
}
