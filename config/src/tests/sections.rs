//! What sound configurations mean.

use std::time::Duration;

use policy::{Aaguid, Action, Apps, Day, DeviceClass, Devices, Durability, Methods, SignInMethod, Subjects, Weekday};

use super::{Folder, SHORT, short_and, short_with};
use crate::{
    ClientCertificates, Config, CrlUrl, DistributionPoints, IdentityField, OnLogFailure, OnSwitch, Scheme,
    SecondFactor, SessionSpan, TlsProfile,
};

fn config(text: &str) -> Config {
    match Folder::new().parse(text) {
        Ok(config) => config,
        Err(problems) => panic!("{problems}"),
    }
}

#[test]
fn backups_are_opened_by_the_keys_that_are_named() {
    let plain = config(SHORT).backup;
    assert_eq!((plain.recovery_keys.len(), plain.folder, plain.verified_within.as_secs()), (0, None, 8 * 86_400));
    let key = "x25519:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
    let text = format!("[backup]\nrecovery_keys = [\"{key}\", \"{key}\"]\nfolder = \"/mnt/backup\"\n");
    let told = config(&short_and(&text)).backup;
    assert_eq!((told.recovery_keys, told.folder.unwrap().to_str()), (vec![key.to_owned(); 2], Some("/mnt/backup")));
}

#[test]
fn twenty_lines_are_a_whole_gateway_with_safe_defaults() {
    assert_eq!(SHORT.lines().count(), 20);
    let config = config(SHORT);
    assert_eq!(config.state_dir.to_str(), Some("/var/lib/sekimori"));
    assert_eq!(config.audit.directory.to_str(), Some("/var/lib/sekimori/audit"));
    assert_eq!(config.audit.origin, "login.sakura.example/gw01");
    assert_eq!(config.offset.to_string(), "+09:00");
    let listener = &config.listeners[0];
    assert_eq!((listener.name.as_str(), listener.tls_profile), ("inside", TlsProfile::High));
    assert_eq!(listener.client_certificates, ClientCertificates::Optional);
    let app = &config.apps[0];
    assert_eq!(
        (app.reads, app.writes, app.on_log_failure),
        (Durability::Written, Durability::Synced, OnLogFailure::Refuse)
    );
    assert_eq!((app.name.ja.as_str(), app.prefix.as_str(), app.portal_path.as_str()), ("emr", "/", "/"));
    assert!(app.assertion && app.in_portal && app.identity_headers.is_empty());
    assert!(config.operations.address.unwrap().ip().is_loopback());
    assert!(config.limits.workers > 0);
    assert_eq!(config.roles.values().next().unwrap().en, "看護師", "one text serves both languages");
    assert!(config.console_host.is_none() && config.console.administrators.is_empty());
    assert!(!config.directory.local && config.posture_sources.is_empty());
    let provider = &config.providers[0];
    assert_eq!(provider.second_factor, SecondFactor::Provider);
    assert!(!provider.passkey_sign_in && !provider.enrol_at_first_sign_in && provider.check_interval.is_none());
    assert!(config.passkeys.allow(Aaguid::new([7; 16])), "without a list every model may be used");
    let day = Duration::from_secs(86_400);
    assert_eq!((config.outage.after, config.outage.seen_within), (day / 720, 30 * day));
    assert_eq!((config.devices.renew_before, config.devices.crl_max_age), (365 * day / 3, 7 * day));
    let fetch = &config.devices.crl_fetch;
    assert!(!fetch.is_on() && fetch.folder.ends_with("crls") && fetch.every == day / 24);
}

#[test]
fn lists_are_fetched_where_the_configuration_or_certificates_say() {
    let fetch = |keys: &str| {
        let text = short_and("") + "\n[devices]\nca_files = [\"tls/chain.pem\"]\n" + keys;
        config(&text).devices.crl_fetch
    };
    let named = fetch("crl_urls = [\"http://PKI.sakura.example:80/mdm ca.crl\"]\ncrl_refresh = \"15m\"");
    let urls: Vec<&str> = named.urls.iter().map(CrlUrl::as_str).collect();
    assert_eq!(urls, ["http://pki.sakura.example/mdm%20ca.crl"]);
    assert!(named.is_on() && named.points == DistributionPoints::Ignore && named.every == Duration::from_secs(900));
    let told = fetch("crl_distribution_points = \"use\"");
    assert!(told.is_on() && told.urls.is_empty() && told.points == DistributionPoints::Use);
    assert!(CrlUrl::parse(&format!("http://a/{}", "x".repeat(3_000))).is_err());
    assert!(CrlUrl::parse(&format!("http://a/{}", "あ".repeat(600))).is_err(), "as it is sent");
}

#[test]
fn a_rule_says_what_its_columns_say() {
    let config = config(&short_and(
        "devices = [\"tablet\"]\nzones = [\"inside\"]\ndays = [\"mon\"]\nhours = \"22:00-00:00\"\nassurance = \"aal2\"\n\
         authenticated_within = \"15m\"\npaths = [\"/fhir/*\"]",
    ));
    let rule = &config.policy.rules[0];
    assert_eq!(rule.subjects, Subjects::Roles(vec!["nurse".parse().unwrap()]));
    assert_eq!(rule.apps, Apps::Only(vec!["emr".parse().unwrap()]));
    assert_eq!(rule.actions, [Action::Read, Action::Write]);
    assert_eq!(rule.devices, Devices::Classes(vec![DeviceClass::Tablet]));
    let hours = rule.hours.as_ref().unwrap();
    assert_eq!(
        (&hours.days[..], hours.from_minute, hours.to_minute),
        (&[Day::Week(Weekday::Monday)][..], 22 * 60, 24 * 60)
    );
    assert_eq!(rule.authenticated_within, Some(Duration::from_secs(900)));
}

#[test]
fn a_column_left_out_sets_no_condition() {
    let config = config(
        &short_with("roles = [\"nurse\"]", "roles = \"signed-in\"").replace("apps = [\"emr\"]", "apps = \"all\""),
    );
    let rule = &config.policy.rules[0];
    assert_eq!((&rule.subjects, &rule.apps, &rule.devices), (&Subjects::SignedIn, &Apps::All, &Devices::Any));
    assert!(rule.paths.is_empty() && rule.zones.is_empty() && rule.hours.is_none() && rule.assurance.is_none());
}

#[test]
fn days_alone_mean_whole_days_and_hours_alone_mean_every_day() {
    let days = config(&short_and("days = [\"sat\", \"sun\"]")).policy.rules[0].hours.clone().unwrap();
    assert_eq!((days.days.len(), days.from_minute, days.to_minute), (2, 0, 1_440));
    let hours = config(&short_and("hours = \"08:00-18:30\"")).policy.rules[0].hours.clone().unwrap();
    assert_eq!((hours.days.len(), hours.from_minute, hours.to_minute), (8, 480, 1_110));
}

#[test]
fn the_policy_knows_the_gateways_own_apps_as_built_in() {
    let facts = config(SHORT).policy.apps;
    let built_in: Vec<_> = facts.iter().filter(|app| app.built_in).map(|app| app.id.as_str()).collect();
    assert_eq!(built_in, ["login", "portal", "console"]);
    assert!(facts.iter().any(|app| app.id.as_str() == "emr" && !app.built_in));
}

#[test]
fn listeners_on_the_internet_ask_for_device_certificates_unless_told_otherwise() {
    let internet = short_with("zone = \"inside\"", "zone = \"internet\"");
    assert_eq!(config(&internet).listeners[0].client_certificates, ClientCertificates::Required);
    let told = short_with("zone = \"inside\"", "zone = \"internet\", client_certificates = \"optional\"");
    assert_eq!(config(&told).listeners[0].client_certificates, ClientCertificates::Optional);
}

#[test]
fn several_listeners_of_a_zone_have_names_and_a_free_port_may_be_asked_for_twice() {
    let two = "listener = [{ name = \"a\", address = \"[::1]:0\", zone = \"inside\" }, { address = \"[::1]:0\", zone = \"inside\", sources = [\"10.0.0.7\"] }]";
    let config = config(&short_with("listener = [{ address = \"0.0.0.0:443\", zone = \"inside\" }]", two));
    assert_eq!(config.listeners[1].name, "inside");
    assert_eq!(config.listeners[1].sources[0].to_string(), "10.0.0.7/32");
}

#[test]
fn sessions_follow_their_class_then_the_general_then_the_defaults() {
    let spans = config(&short_and("[sessions]\nidle = \"10m\"\n[sessions.vendor]\nabsolute = \"5m\"")).sessions;
    let of = |class| spans.of(class);
    assert_eq!(of(Some(DeviceClass::Fixed)).idle, Duration::from_secs(600));
    assert_eq!(of(Some(DeviceClass::Fixed)).absolute, Duration::from_secs(12 * 3_600));
    assert_eq!(of(None).idle, Duration::from_secs(600));
    let spans = config(&short_and("[sessions.vendor]\nabsolute = \"5m\"")).sessions;
    let vendor = spans.of(Some(DeviceClass::Vendor));
    assert_eq!((vendor.idle, vendor.absolute), (Duration::from_secs(300), Duration::from_secs(300)));
    assert_eq!(spans.of(Some(DeviceClass::Fixed)).idle, Duration::from_secs(1_800));
}

#[test]
fn an_app_says_what_its_keys_say() {
    let config = config(&short_with(
        "upstreams = [\"http://10.0.0.5:8080\"]",
        "upstreams = [\"https://emr.inside\", \"https://[fd00::1]:8443/\"]\nidentity_headers = { X-Remote-User = \"login\" }\n\
         body_max = \"any\"\nname = { en = \"Charts\" }\nprefix = \"/emr\"\non_log_failure = \"spool\"\n\
         upstream_tls = { ca_file = \"tls/chain.pem\", client_certificate = \"tls/chain.pem\", client_key = \"tls/key.pem\" }",
    )
    .replace("facility.name", "audit.emergency_spool = \"/mnt/spool\"\nfacility.name"));
    let app = &config.apps[0];
    let upstreams: Vec<_> = app.upstreams.iter().map(|one| (one.scheme, one.host.as_str(), one.port)).collect();
    assert_eq!(upstreams, [(Scheme::Https, "emr.inside", 443), (Scheme::Https, "fd00::1", 8443)]);
    assert_eq!(app.identity_headers, [("x-remote-user".to_owned(), IdentityField::Login)]);
    assert_eq!((app.body_bytes_max, app.on_log_failure, app.portal_path.as_str()), (None, OnLogFailure::Spool, "/emr"));
    assert!(app.upstream_tls.client_certificate.is_some() && app.upstream_tls.ca_file.is_some());
}

#[test]
fn providers_on_this_machine_may_be_plain_and_a_dotted_claim_is_a_path() {
    let text = short_with("https://idp.sakura.example", "http://127.0.0.1:3000/realms/x")
        .replace("\"groups\"", "\"realm_access.roles\"");
    let config = config(&text);
    assert_eq!(config.providers[0].issuer, "http://127.0.0.1:3000/realms/x");
    assert_eq!(config.providers[0].roles[0].1.as_str(), "nurse");
}

#[test]
fn rules_ask_for_proofs_posture_and_outages() {
    let text = "methods = [\"passkey\", \"provider-mfa\"]\nkeys = [\"CB69481E-8ff7-4039-93ec-0a2729a154a8\"]\n\
                posture = [\"os_patched\", \"edr=running\"]\nin_outage = true";
    let config = config(&short_and(text));
    let rule = &config.policy.rules[0];
    assert_eq!(rule.methods, Methods::of([SignInMethod::Passkey, SignInMethod::ProviderMfa]));
    assert_eq!(rule.keys[0].to_string(), "cb69481e-8ff7-4039-93ec-0a2729a154a8");
    let posture: Vec<_> = rule.posture.iter().map(ToString::to_string).collect();
    assert_eq!(posture, ["os_patched=true", "edr=running"]);
    assert!(rule.in_outage);
}

#[test]
fn a_provider_says_for_whom_it_is_and_what_it_is_trusted_with() {
    let text = short_with(
        "client_id = \"sekimori\"",
        "client_id = \"sekimori\"\ndomains = [\"Sakura.Example\"]\nlisteners = [\"inside\"]\napps = [\"emr\"]\n\
         second_factor = \"passkey\"\npasskey_sign_in = true\nenrol_at_first_sign_in = true\ncheck_interval = \"5m\"",
    );
    let config = config(&text);
    let provider = &config.providers[0];
    assert_eq!(provider.domains, ["sakura.example"]);
    assert_eq!((provider.listeners[0].as_str(), provider.apps[0].as_str()), ("inside", "emr"));
    assert_eq!(provider.second_factor, SecondFactor::Passkey);
    assert!(provider.passkey_sign_in && provider.enrol_at_first_sign_in);
    assert_eq!(provider.check_interval, Some(Duration::from_secs(300)));
}

#[test]
fn shared_devices_lock_and_park_unless_told_otherwise() {
    let spans = |text: &str| config(&short_and(text)).sessions;
    let minutes = |count: u64| Duration::from_secs(60 * count);
    let ward = spans("").of(Some(DeviceClass::WardShared));
    assert_eq!((ward.shared, ward.lock, ward.on_switch), (true, Some(minutes(3)), OnSwitch::Park));
    assert_eq!(ward.parked_max, SessionSpan::PARKED_MAX);
    let fixed = spans("").of(Some(DeviceClass::Fixed));
    assert_eq!((fixed.shared, fixed.lock), (false, None));
    assert_eq!((spans("").of(None).shared, spans("").of(None).lock), (false, None));

    let tablet = spans("[sessions.tablet]\nshared = true\nidle = \"2m\"\non_switch = \"end\"");
    let tablet = tablet.of(Some(DeviceClass::Tablet));
    assert_eq!((tablet.shared, tablet.lock, tablet.on_switch), (true, Some(minutes(2)), OnSwitch::End));
    let own = spans("[sessions.ward-shared]\nshared = false\nlock = \"off\"").of(Some(DeviceClass::WardShared));
    assert_eq!((own.shared, own.lock), (false, None));
    let locked = spans("[sessions.fixed]\nlock = \"5m\"").of(Some(DeviceClass::Fixed));
    assert_eq!((locked.shared, locked.lock), (false, Some(minutes(5))));
}

#[test]
fn the_console_is_for_the_roles_it_names() {
    let text = short_with("gateway = {", "gateway = { console_host = \"Console.sakura.example\",");
    let config = config(&format!("{text}[console]\nadministrators = [\"nurse\"]\n"));
    assert_eq!(config.console_host.unwrap().as_str(), "console.sakura.example");
    assert_eq!(config.policy.console, config.console);
    assert_eq!(config.console.administrators.len(), 1);
}

#[test]
fn an_auditor_may_be_kept_to_departments() {
    let text = short_with("gateway = {", "gateway = { console_host = \"console.sakura.example\",");
    let tables = "[console]\nadministrators = [\"nurse\"]\n[[console.auditor]]\nroles = [\"nurse\"]\n\
                  departments = [\"本院／３Ｆ東\", \"外来\"]\n";
    let console = config(&format!("{text}{tables}")).console;
    assert_eq!(console.readers.len(), 1);
    let units: Vec<&str> = console.readers[0].units.iter().map(policy::Unit::as_str).collect();
    assert_eq!((console.readers[0].role.as_str(), units), ("nurse", vec!["本院/3F東", "外来"]));
}

#[test]
fn unused_accounts_may_stay_for_ever() {
    let directory = |text: &str| config(&short_and(text)).directory;
    assert_eq!(directory("").disable_unused_after, Some(Duration::from_secs(90 * 86_400)));
    assert_eq!(directory("[directory]\ndisable_unused_after_days = 0").disable_unused_after, None);
}

#[test]
fn how_the_log_is_kept_is_what_is_written_and_nothing_goes_unless_it_is() {
    let plain = config(SHORT).audit;
    assert!(plain.archive && plain.delete_after.is_none() && plain.encryption.is_none());
    let year = 366 * 86_400;
    assert_eq!((plain.keep.as_secs(), plain.segment_age_max.as_secs()), (5 * year, 86_400));
    let told = config(&short_and(
        "[audit]\nkeep = \"6y\"\ndelete_after = \"6y\"\nsize_max = \"1TiB\"\nsegment_age = \"1h\"\n\
         [audit.encryption]\nring = \"/var/lib/sekimori/secrets/audit-ring\"",
    ));
    assert_eq!(told.audit.delete_after, Some(Duration::from_secs(6 * year)));
    assert_eq!(told.audit.size_bytes_max, Some(1 << 40));
    assert_eq!(told.audit.encryption.unwrap().ring.to_str(), Some("/var/lib/sekimori/secrets/audit-ring"));
}
