//! What is said where parts that are sound alone do not fit together.

use super::golden::said_about;
use super::{Folder, only_problem, short_and, short_with};

#[test]
fn a_list_written_as_one_table_is_told_with_double_brackets() {
    let problem = only_problem(&short_with("[[provider]]", "[provider]"));
    assert_eq!(
        problem.to_string(),
        "sekimori.toml:6: provider: holds a table where a list of tables belongs; write `[[provider]]` with double brackets"
    );
    assert_eq!(problem.column, 1);
}

#[test]
fn an_upstream_in_the_network_of_online_eligibility_checks_is_refused() {
    let text = short_with("gateway = {", "gateway = { forbidden_upstreams = [\"10.0.0.0/24\", \"fd00::/8\"],");
    assert_eq!(
        only_problem(&text).to_string(),
        "sekimori.toml:15: app[emr].upstreams: `10.0.0.5` lies in `10.0.0.0/24`, where `forbidden_upstreams` allows no \
         upstream; name a server elsewhere; the network of オンライン資格確認 is never bridged"
    );
    let disguised = text.replace("http://10.0.0.5:8080", "http://[::ffff:10.0.0.5]:8080");
    assert!(only_problem(&disguised).reason.contains("lies in `10.0.0.0/24`"));
}

#[test]
fn two_apps_at_the_same_place_are_refused_and_one_below_another_is_not() {
    let second = |prefix: &str| {
        short_and(&format!(
            "[[app]]\nid = \"b\"\nhost = \"EMR.sakura.example\"\nprefix = \"{prefix}\"\nupstreams = [\"http://h\"]"
        ))
    };
    let problem = only_problem(&second("/"));
    assert_eq!(problem.key, "app[b].prefix");
    assert_eq!(problem.reason, "`https://emr.sakura.example` is already used on line 14");
    assert!(Folder::new().parse(&second("/fhir")).is_ok());
}

#[test]
fn a_rule_that_the_policy_refuses_is_told_at_its_line() {
    let text = short_and(
        "[[rule]]\nid = \"no\"\neffect = \"forbid\"\nroles = \"anyone\"\napps = \"all\"\nactions = \"all\"\nassurance = \"aal2\"",
    );
    let problem = only_problem(&text);
    assert_eq!((problem.line, problem.key.as_str()), (21, "rule[no]"));
}

#[test]
fn the_gateways_own_apps_are_not_the_hospitals() {
    let app = "[[app]]\nid = \"login\"\nhost = \"x.sakura.example\"\nupstreams = [\"http://h\"]";
    assert_eq!(said_about(&short_and(app)), "app[login].id: `login` is a part of the gateway; give the app another id");
}
