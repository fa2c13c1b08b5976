//! Statements of what must never happen, read out of files beside the policy.

use super::{Folder, short_and};
use crate::Claim;

/// What is said about a file of statements.
fn with_statements(text: &str) -> (Folder, String) {
    let folder = Folder::new();
    folder.file("never.toml", text, 0o644);
    (folder, short_and("[policy]\nstatements = [\"never.toml\"]\n"))
}

#[test]
fn a_statement_is_a_condition_with_its_line() {
    let text = r#"
[[statement]]
id = "writes-need-a-device"
says = { ja = "台帳にない端末からは書けない", en = "every write needs an enrolled device" }
never = { actions = ["write"], devices_not = "known", hours_not = "08:00-18:00", grant = false, in_outage = true }

[[statement]]
id = "in-cedar"
says = "表では書けないこと"
never_cedar = 'context.path like "/x/*"'

[[statement]]
id = "no-wider"
says = "前の版より広くない"
no_wider_than = "last"
"#;
    let (folder, config) = with_statements(text);
    let config = folder.parse(&config).unwrap();
    let [columns, cedar, last] = &config.statements[..] else { panic!("{:?}", config.statements) };
    assert_eq!((columns.id.as_str(), columns.line, columns.says.en.len()), ("writes-need-a-device", 2, 36));
    let Claim::Never(condition) = &columns.claim else { panic!("{columns:?}") };
    assert_eq!(
        condition,
        "(action == Sekimori::Action::\"write\" || action == Sekimori::Action::\"delete\") && !(context.device.known) \
         && !(context.minute >= 480 && context.minute < 1080) && !(context.grant != \"\") && context.in_outage == true"
    );
    assert_eq!(cedar.claim, Claim::Never("context.path like \"/x/*\"".to_owned()));
    assert_eq!(last.claim, Claim::NoWiderThanLast);
    assert!(config.files.iter().any(|file| file.ends_with("never.toml")), "it is watched");
}

#[test]
fn mistakes_are_told_at_their_line_in_their_file() {
    let text = r#"
[[statement]]
id = "misspelt"
says = "x"
never = { roles = ["nruse"], apps = ["erm"], devices_no = "known" }
[[statement]]
id = "nothing"
says = "x"
[[statement]]
id = "two"
says = "x"
never = { actions = ["write"] }
no_wider_than = "last"
[[statement]]
id = "two"
says = "x"
no_wider_than = "first"
[[statement]]
id = "cedar"
says = "x"
never_cedar = 'context.zome == "x"'
[[statement]]
id = "about-nothing"
says = "x"
never_cedar = 'context.minute < 5 && false'
"#;
    let (folder, config) = with_statements(text);
    let said = folder.said(&config);
    let check = |place: &str, what: &str| {
        assert!(said.iter().any(|said| said.starts_with(place) && said.contains(what)), "{place} {what}: {said:#?}");
    };
    check("never.toml:5: statement[misspelt].never.roles", "write `nurse`");
    check("never.toml:5: statement[misspelt].never.apps", "write `emr`");
    check("never.toml:5: statement[misspelt].never.devices_no", "write `devices");
    check("never.toml:6: statement[nothing]", "says nothing that could be proved");
    check("never.toml:9: statement[two]", "says more than one thing");
    check("never.toml:15: statement[two].id", "give each statement its own id");
    check("never.toml:17: statement[two].no_wider_than", "`last`");
    check("never.toml:18: statement[cedar]", "zome");
    check("never.toml:22: statement[about-nothing]", "cannot be tried");
}
