//! The templates are sound, and the hospital's is the reference of every key there is.

use toml::de::DeTable;

use super::Folder;
use crate::files::Files;
use crate::load::sections;
use crate::walk::Report;
use crate::{Template, template};

/// A folder with every file that the hospital's template names.
fn with_every_file() -> Folder {
    let folder = Folder::new();
    for file in [
        "tls/hospital-ca.pem",
        "tls/mdm-ca.pem",
        "tls/mdm-ca.crl",
        "tls/pki-ca.pem",
        "tls/device-ca.pem",
        "tls/emr-ca.pem",
        "tls/gateway-client.pem",
        "tls/nodes-ca.pem",
        "tls/node.pem",
        "extra.cedar",
        "policy.tests.toml",
        "holidays.txt",
        "policy.statements.toml",
    ] {
        folder.file(file, "", 0o644);
    }
    for file in [
        "tls/gateway-client.key",
        "tls/node.key",
        "tls/device-ca.key",
        "secrets/hospital-idp",
        "secrets/device-ca",
        "secrets/mail",
        "secrets/database",
    ] {
        folder.file(file, "secret", 0o600);
    }
    folder.file("secrets/pacs-shell-key", "-----BEGIN PRIVATE KEY-----", 0o600);
    folder.file("node", "gw01\n", 0o644);
    folder.file("hooks/acme-dns", "#!/bin/sh\n", 0o755);
    folder.file("secrets/acme-account", "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY", 0o600);
    folder.file("secrets/mdm", "0123456789abcdef0123456789abcdef", 0o600);
    folder.file("secrets/webhook", "whsec_MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", 0o600);
    let listed = "[{\"aaguid\": \"cb69481e-8ff7-4039-93ec-0a2729a154a8\", \"name\": \"YubiKey 5\", \"allowed\": true}]";
    folder.file("authenticators.json", listed, 0o644);
    folder
}

/// The text with every commented setting switched on: lines with a letter or bracket right after the `#`.
fn everything_on(text: &str) -> String {
    let switch_on = |line: &str| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => setting.to_owned(),
        Some(_) | None => line.to_owned(),
    };
    text.lines().map(switch_on).collect::<Vec<_>>().join("\n")
}

#[test]
fn both_templates_are_sound_once_the_certificate_is_there() {
    for which in [Template::Clinic, Template::Hospital] {
        let folder = Folder::new();
        assert_eq!(folder.said(template(which)), Vec::<String>::new(), "{which:?}");
        std::fs::remove_dir_all(folder.0.join("tls")).unwrap();
        let said = folder.said(template(which));
        assert!(said.len() == 2 && said.iter().all(|problem| problem.contains("` does not exist; ")), "{said:#?}");
    }
}

#[test]
fn templates_write_below_their_own_folder() {
    for which in [Template::Clinic, Template::Hospital] {
        let folder = Folder::new();
        let config = folder.parse(template(which)).unwrap();
        assert_eq!(config.state_dir, folder.0.join("state"));
        assert_eq!(config.audit.directory, folder.0.join("state/audit"));
    }
}

#[test]
fn the_hospital_template_is_sound_with_everything_on() {
    let folder = with_every_file();
    assert_eq!(folder.said(&everything_on(template(Template::Hospital))), Vec::<String>::new());
}

#[test]
fn the_hospital_template_explains_every_key_there_is() {
    let (folder, text) = (with_every_file(), everything_on(template(Template::Hospital)));
    let report = Report::new("sekimori.toml", &text);
    let document = DeTable::parse(&text).unwrap();
    sections(&text, document.get_ref(), &Files::new(&folder.0), &report);
    let asked = report.asked.borrow();
    assert!(asked.len() > 100, "every key is noted as it is asked for");
    // The rules of sets have the columns of rules, but for the apps; a password stands in a key's place.
    let explained = |key: &str| key.starts_with("rule_set.rule.") || key == "app.terminal.password_file";
    let absent: Vec<_> =
        asked.iter().filter(|(key, present)| !**present && !explained(key)).map(|(key, _)| key).collect();
    assert_eq!(absent, Vec::<&String>::new());
}

#[test]
fn what_the_hospital_template_shows_as_defaults_are_the_defaults() {
    let folder = with_every_file();
    let text = template(Template::Hospital);
    let off = folder.parse(text).unwrap();
    let on = folder.parse(&everything_on(text)).unwrap();
    let mut limits = on.limits.clone();
    limits.workers = off.limits.workers;
    assert_eq!(format!("{limits:?}"), format!("{:?}", off.limits));
    assert_eq!(format!("{:?}", on.operations), format!("{:?}", off.operations));
    assert_eq!(format!("{:?}", on.sessions), format!("{:?}", off.sessions));
    let mut audit = on.audit.clone();
    (audit.emergency_spool, audit.encryption) = (None, None);
    (audit.size_bytes_max, audit.delete_after) = (None, None);
    assert_eq!(format!("{audit:?}"), format!("{:?}", off.audit));
    assert_eq!(on.devices.certificate_lifetime, off.devices.certificate_lifetime);
    assert_eq!(on.devices.crl_max_age, off.devices.crl_max_age);
    assert_eq!(on.devices.crl_fetch.every, off.devices.crl_fetch.every);
    assert_eq!((on.directory, on.outage), (off.directory, off.outage));
    let (on_idp, off_idp) = (&on.providers[0], &off.providers[0]);
    assert_eq!(on_idp.second_factor, off_idp.second_factor);
    assert_eq!(
        (on_idp.passkey_sign_in, on_idp.enrol_at_first_sign_in),
        (off_idp.passkey_sign_in, off_idp.enrol_at_first_sign_in)
    );
    assert_eq!(on.policy.rules[0].in_outage, off.policy.rules[0].in_outage);
    assert_eq!(on.listeners[0].client_certificates, off.listeners[0].client_certificates);
    let (on, off) = (&on.apps[0], &off.apps[0]);
    assert_eq!((on.reads, on.writes, on.on_log_failure), (off.reads, off.writes, off.on_log_failure));
    assert_eq!((on.body_bytes_max, on.response_timeout), (off.body_bytes_max, off.response_timeout));
    assert_eq!((on.assertion, on.in_portal, &on.portal_path), (off.assertion, off.in_portal, &off.portal_path));
    assert_eq!((on.protocol, &on.host_header, &on.prefix), (off.protocol, &off.host_header, &off.prefix));
}

#[test]
fn a_clinic_has_its_people_in_the_gateway_and_a_console_for_its_administrators() {
    let config = Folder::new().parse(template(Template::Clinic)).unwrap();
    assert!(config.directory.local && config.providers.is_empty());
    assert!(config.console_host.is_some());
    assert_eq!(config.console.administrators, ["administrator".parse().unwrap()]);
}
