//! Every problem at once, each with its line.

use super::{Folder, SHORT, short_and, short_with};

#[test]
fn a_file_with_eight_mistakes_names_all_eight_each_with_its_line() {
    let text = r#"[facility]
name = "さくらクリニック"
code = "99"

[gateway]
login_host = "login.sakura.example:443"
portal_host = "portal.sakura.example"

[[listener]]
address = "0.0.0.0:443"
zone = "inside"
tsl = "high"

[[certificate]]
certificate = "tls/absent.pem"
key = "tls/key.pem"

[roles]
nurse = "看護師"

[[app]]
id = "emr"
host = "emr.sakura.example"
upstreams = "http://10.0.0.5:8080"

[[app]]
id = "emr"
host = "receipt.sakura.example"
upstreams = ["http://10.0.0.6:8000"]
response_timeout = "1 minute"

[[rule]]
id = "nurses-use-emr"
roles = ["nruse"]
apps = ["emr"]
actions = ["read"]
"#;
    assert_eq!(
        Folder::new().said(text).join("\n"),
        "\
sekimori.toml:3: facility.code: `99` is not a 医療機関コード; write ten digits: prefecture (01 to 47), 点数表 (1 or 3), and the seven digits of the institution
sekimori.toml:6: gateway.login_host: `login.sakura.example:443` is not a host name: labels of a-z, 0-9 and `-`, joined by dots, without port or trailing dot; write the name alone, such as `emr.hospital.example.jp`
sekimori.toml:12: listener[#1].tsl: is not a key we know; write `tls`
sekimori.toml:15: certificate[#1].certificate: `tls/absent.pem` does not exist; create it, or correct the path; relative paths start at the folder of the configuration
sekimori.toml:24: app[emr].upstreams: holds a text where a list belongs; put it in brackets, such as `[\"one\", \"two\"]`
sekimori.toml:27: app[emr].id: `emr` is already used on line 22; give each app its own id
sekimori.toml:30: app[emr].response_timeout: `1 minute` is not a span of time; write a number and a unit, such as `\"50ms\"`, `\"30s\"`, `\"5m\"`, `\"12h\"` or `\"30d\"`
sekimori.toml:34: rule[nurses-use-emr].roles: role `nruse` is not defined; write `nurse`, or add it to `[roles]`"
    );
}

#[test]
fn an_empty_file_names_what_every_gateway_needs() {
    let said = Folder::new().said("");
    let keys = ["facility.name", "gateway.login_host", "gateway.portal_host", "listener", "certificate"];
    for key in keys {
        assert!(
            said.iter().any(|problem| problem.starts_with(&format!("sekimori.toml:1: {key}: is missing; add `"))),
            "{key}"
        );
    }
    assert_eq!(said.len(), keys.len(), "{said:#?}");
}

#[test]
fn an_unknown_key_is_named_in_every_table() {
    let tables = [
        "colour = 1",
        "[facility]\ncolour = 1",
        "[gateway]\ncolour = 1",
        "[[listener]]\ncolour = 1",
        "[[certificate]]\ncolour = 1",
        "[[provider]]\ncolour = 1",
        "[[provider]]\nname = { colour = 1 }",
        "[devices]\ncolour = 1",
        "[[app]]\ncolour = 1",
        "[[app]]\n[app.upstream_tls]\ncolour = 1",
        "[[rule]]\ncolour = 1",
        "[[app]]\n[[app.route]]\ncolour = 1",
        "[[rule_set]]\ncolour = 1",
        "[[rule_set]]\n[[rule_set.rule]]\ncolour = 1",
        "[policy]\ncolour = 1",
        "[sessions]\ncolour = 1",
        "[sessions.fixed]\ncolour = 1",
        "[sessions.unknown-device]\ncolour = 1",
        "[audit]\ncolour = 1",
        "[limits]\ncolour = 1",
        "[operations]\ncolour = 1",
    ];
    for table in tables {
        let said = Folder::new().said(table).join("\n");
        assert!(said.contains("colour: is not a key we know; remove it; the keys here are "), "{table}\n{said}");
    }
}

#[test]
fn a_needed_key_that_is_mistyped_is_told_once() {
    let said = Folder::new().said(&short_with("host = \"emr.sakura.example\"", "hots = \"emr.sakura.example\""));
    assert_eq!(said, ["sekimori.toml:14: app[emr].hots: is not a key we know; write `host`"]);
}

#[test]
fn what_depends_on_a_mistake_is_not_told_as_another() {
    // The app's host is wrong, but the rule that names the app is not.
    let said = Folder::new().said(&short_with("host = \"emr.sakura.example\"", "host = \"電子カルテ\""));
    assert_eq!(said.len(), 1, "{said:#?}");
    // The role's name in people's words is wrong, but those who refer to the role are not.
    let said = Folder::new().said(&short_with("nurse = \"看護師\"", "nurse = 7"));
    assert_eq!(said.len(), 1, "{said:#?}");
}

#[test]
fn lines_that_are_not_toml_are_told_together_with_the_others() {
    let text = short_with("client_id = \"sekimori\"", "client_id = sekimori").replace("id = \"emr\"", "id = \"EMR\"");
    let said = Folder::new().said(&text);
    assert!(said[0].starts_with("sekimori.toml:9: is not TOML: "), "{said:#?}");
    assert!(said[1].starts_with("sekimori.toml:13: app[EMR].id: `EMR` may only hold"), "{said:#?}");
    assert_eq!(said.len(), 2, "nothing is said to be missing that may well be there: {said:#?}");
}

#[test]
fn a_key_or_table_written_twice_is_told() {
    let said = Folder::new().said(&short_and("actions = [\"read\"]\n[facility]\nname = \"x\""));
    for line in [21, 22] {
        let start = format!("sekimori.toml:{line}: is not TOML: duplicate key; keep one of the two");
        assert!(said.iter().any(|problem| problem.starts_with(&start)), "{said:#?}");
    }
}

#[test]
fn whatever_is_cut_off_or_changed_nothing_panics_and_nothing_is_refused_without_a_problem() {
    let folder = Folder::new();
    let text = short_and("[sessions.fixed]\nidle = \"5m\"\n[app.upstream_tls]\nserver_name = \"x\"");
    for end in (0..text.len()).step_by(5).filter(|at| text.is_char_boundary(*at)) {
        for tail in ["", "\"", "]", "[", "=", "\n[[app]]\n", "\0", " = { a = [1, 2.5, 1979-05-27] }"] {
            let changed = format!("{}{tail}", &text[..end]);
            if let Err(problems) = folder.parse(&changed) {
                assert!(!problems.0.is_empty(), "{changed}");
            }
        }
    }
}

#[test]
fn every_line_left_out_is_either_sound_or_told() {
    let folder = Folder::new();
    for skipped in 0..SHORT.lines().count() {
        let lines = SHORT.lines().enumerate().filter(|(index, _)| *index != skipped).map(|(_, line)| line);
        let text = lines.collect::<Vec<_>>().join("\n");
        if let Err(problems) = folder.parse(&text) {
            assert!(problems.0.iter().all(|problem| !problem.remedy.is_empty() && problem.line > 0), "{problems}");
        }
    }
}
