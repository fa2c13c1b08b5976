//! From the text of a configuration, through all of its sections, to a [`Config`].

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest::{Context, SHA256};
use policy::{CedarFile, Host, PolicySource, Revision, UtcOffset};
use toml::de::DeTable;

use crate::declared::Declared;
use crate::files::{Files, TEXT_BYTES_MAX, open_file, read_text};
use crate::section::hours::ReadHolidays;
use crate::section::{
    acme, app, audit, backup, break_glass, certificate, class, console, devices, directory, expect, facility, feed,
    gateway, limits, listener, maintenance, nodes, notice, operations, outage, passkeys, patients, policy as cedar,
    posture, provider, roles, rule, rule_set, sessions, statements, store, telemetry, upstream,
};
use crate::walk::{Report, Seen, Table};
use crate::{Config, Passkeys, Problem, Problems, SourceText};

/// Where the state is unless `[gateway] state_dir` says otherwise.
pub const STATE_DIR: &str = "/var/lib/sekimori";

/// Half a SHA-256: short enough for every record, long enough that nobody makes two alike.
const REVISION_BYTES: usize = 16;

/// Reads a configuration and every file it names.
///
/// # Errors
/// Every problem at once; nothing is to be started or replaced then.
pub fn read(path: &Path) -> Result<Config, Problems> {
    let file_name = path.display().to_string();
    let whole_file = |(reason, remedy): (String, &str)| {
        let file = file_name.clone();
        Problems(vec![Problem { file, line: 0, column: 0, key: String::new(), reason, remedy: remedy.to_owned() }])
    };
    let absolute = std::path::absolute(path)
        .map_err(|error| whole_file((format!("cannot be found: {error}"), "name the file by its whole path")))?;
    let text = open_file(&absolute).and_then(|file| read_text(file, TEXT_BYTES_MAX)).map_err(whole_file)?;
    let mut config = parse(&text, &file_name, absolute.parent().unwrap_or(Path::new("/")))?;
    if let Some(own) = config.texts.first_mut() {
        own.path.clone_from(&absolute);
    }
    config.files.insert(0, absolute);
    Ok(config)
}

/// What a configuration says of where the state is, as far as it can be read at all: for whoever looks for what was kept
/// of a better version.
#[must_use]
pub fn state_dir_of(path: &Path) -> Option<PathBuf> {
    let absolute = std::path::absolute(path).ok()?;
    let text = open_file(&absolute).and_then(|file| read_text(file, TEXT_BYTES_MAX)).ok()?;
    let (document, _errors) = DeTable::parse_recoverable(&text);
    let gateway = document.get_ref().get("gateway")?.get_ref().as_table()?;
    let folder = gateway.get("state_dir")?.get_ref().as_str()?;
    Some(absolute.parent()?.join(folder))
}

/// Reads the text of a configuration and every file it names. Relative paths start at `base`; `file_name` is for
/// messages. The file itself is not among [`Config::files`], as only [`read`] knows it.
///
/// # Errors
/// Every problem at once.
pub fn parse(text: &str, file_name: &str, base: &Path) -> Result<Config, Problems> {
    parse_from(text, file_name, Files::new(base))
}

/// The same where some texts are taken instead of what is on the disk, such as those of a version that was kept.
///
/// # Errors
/// Every problem at once.
pub fn parse_with(
    text: &str,
    file_name: &str,
    base: &Path,
    kept: &BTreeMap<PathBuf, String>,
) -> Result<Config, Problems> {
    parse_from(text, file_name, Files::new(base).with(kept))
}

fn parse_from(text: &str, file_name: &str, files: Files<'_>) -> Result<Config, Problems> {
    let mut report = Report::new(file_name, text);
    let (document, errors) = DeTable::parse_recoverable(text);
    errors.iter().for_each(|error| report.broken(error));
    let config = sections(text, document.get_ref(), &files, &report);
    if config.is_none() && report.is_empty() {
        report.absence(0, "", "cannot be taken as written", "tell the makers of sekimori: no problem was found in it");
    }
    let problems = report.finish();
    match config {
        Some(config) if problems.is_empty() => {
            let (files, mut texts) = files.into_named();
            texts.insert(0, SourceText { path: PathBuf::from(file_name), text: text.to_owned() });
            Ok(Config { files, texts, ..config })
        }
        Some(_) | None => Err(Problems(problems)),
    }
}

pub(crate) fn sections(text: &str, document: &DeTable<'_>, files: &Files<'_>, report: &Report<'_>) -> Option<Config> {
    let root = Table::new(report, String::new(), 0, document);
    let declared = Declared::new(document);

    let facility = root.section("facility").and_then(|table| facility::read(&table));
    let gateway = root.section("gateway").map(|table| gateway::read(&table, files)).unwrap_or_default();
    let listeners = listener::read(&root);
    let certificates = certificate::read(&root, files, document.contains_key("acme"));
    let providers = provider::read(&root, files, &declared);
    let roles = root.section("roles").and_then(|table| roles::read(&table));
    let classes = root.section("classes").and_then(|table| class::read(&table));
    let directory = root.section("directory").and_then(|table| directory::read(&table));
    let passkeys = root.section("passkeys").and_then(|table| passkeys::read(&table, files));
    let outage = root.section("outage").and_then(|table| outage::read(&table));
    let posture_sources = posture::read(&root, files);
    let console_host = gateway.console_host.as_ref().map(Option::as_ref);
    let console = root.section("console").and_then(|table| console::read(&table, &declared, console_host));
    let has_console = console_host.map(|host| host.is_some());
    let maintenance = root.section("maintenance").and_then(|table| maintenance::read(&table, &declared, has_console));
    let break_glass = root.section("break_glass").and_then(|table| break_glass::read(&table, &declared, has_console));
    let console = console.map(|roles| console::with_deciders(roles, maintenance.as_ref(), break_glass.as_ref()));
    let state_dir = gateway.state_dir.as_deref().unwrap_or(Path::new("/"));
    let devices = root.section("devices").and_then(|table| devices::read(&table, files, state_dir));
    let of_sessions = root.section("sessions");
    let sessions = of_sessions.as_ref().and_then(sessions::read);
    let limits = root.section("limits").and_then(|table| limits::read(&table, gateway.workers));

    let forbidden = gateway.forbidden_upstreams.as_deref().unwrap_or_default();
    let nodes = root.section("nodes").and_then(|table| nodes::read(&table, files, forbidden));
    let node = nodes.as_ref().and_then(Option::as_ref).map(|nodes| &nodes.own);
    let sessions = match of_sessions {
        Some(table) if node.is_some() => sessions.and_then(|spans| sessions::of_nodes(&table, spans)),
        Some(_) | None => sessions,
    };
    let around = audit::Around { files, state_dir, login_host: gateway.login_host.as_ref(), node };
    let addresses: Vec<SocketAddr> = listeners.iter().flatten().map(|listener| listener.address).collect();
    let no_upstream = upstream::NoUpstream {
        forbidden: gateway.forbidden_upstreams.as_deref().unwrap_or_default(),
        listeners: &addresses,
    };
    let of_audit = root.section("audit");
    let of_feeds = feed::Around { files, no_upstream: &no_upstream };
    let feeds = of_audit.as_ref().and_then(|table| feed::read(table, &of_feeds));
    let of_notices = notice::Around { files, no_upstream: &no_upstream };
    let mail = notice::read_mail(&root, of_notices);
    let notices = notice::read(&root, of_notices, document.get("mail").is_some());
    let audit = of_audit.and_then(|table| audit::read(&table, &around));
    let telemetry = root.optional("telemetry", |value| telemetry::read(&value.table()?, files, &no_upstream));
    let of_store = store::Around { files, no_upstream: &no_upstream };
    let store = root.section("store").and_then(|table| store::read(&table, of_store));
    let backup = root.section("backup").and_then(|table| backup::read(&table, files));
    let operations = root.section("operations").and_then(|table| operations::read(&table, &addresses));
    let patients = root.section("patients").and_then(|table| patients::read(&table));
    let no_ids = policy::PatientIds::default();
    let around = app::Around {
        files,
        own_hosts: [
            (gateway.login_host.as_ref(), "login_host"),
            (gateway.portal_host.as_ref(), "portal_host"),
            (console_host.flatten(), "console_host"),
        ],
        no_upstream,
        has_spool: audit.as_ref().is_none_or(|audit| audit.emergency_spool.is_some()),
        declared: &declared,
        patients: patients.as_ref().unwrap_or(&no_ids),
    };
    let apps = app::read(&root, &around);
    let own_hosts = [gateway.login_host.as_ref(), gateway.portal_host.as_ref(), console_host.flatten()];
    let of_apps = apps.iter().flatten().map(|app| &app.host);
    let hosts: Vec<Host> = own_hosts.into_iter().flatten().chain(of_apps).cloned().collect();
    let listening = listeners.as_deref().unwrap_or_default();
    let of_acme = acme::Around { files, state_dir, hosts: &hosts, listeners: listening };
    let acme = root.optional("acme", |value| acme::read(&value.table()?, &of_acme));
    let no_passkeys = Passkeys::default();
    let around =
        rule::Around { declared: &declared, passkeys: passkeys.as_ref().map_or(&no_passkeys, |read| &read.passkeys) };
    let mut seen = Seen::default();
    let mut rules = rule::read(&root, &around, &mut seen);
    let rule_sets = rule_set::read(&root, apps.as_deref().unwrap_or_default(), &around, &mut seen, &mut rules);
    let of_policy = root.section("policy").and_then(|table| cedar::read(&table, files));
    root.finish();

    let authenticators = passkeys.as_ref().and_then(|read| read.text.as_deref());
    let no_holidays = ReadHolidays::default();
    let (cedar, holidays) =
        of_policy.as_ref().map_or((&[][..], &no_holidays), |read| (&read.cedar[..], &read.holidays));
    let policy = PolicySource {
        revision: revision(text, cedar, [authenticators, holidays.text.as_deref()].into_iter().flatten())?,
        apps: cedar::facts(apps.as_deref().unwrap_or_default(), declared.apps()),
        rules: rules.rules,
        cedar: cedar.to_vec(),
        console: console.clone().unwrap_or_default(),
        offset: gateway.offset.unwrap_or(UtcOffset::JAPAN),
        holidays: holidays.holidays.clone(),
    };
    if let (Some(maintenance), Some(glass)) = (&maintenance, &break_glass) {
        break_glass::look_at(&policy.rules, maintenance, glass, |rule, reason, remedy| {
            report.push(cedar::problem_of(&rule.id, &rules.places, report, reason, remedy));
        });
    }
    let loaded = cedar::load(&policy, &rules.places, report);
    let around = expect::Around {
        declared: &declared,
        passkeys: passkeys.as_ref().map_or(&no_passkeys, |read| &read.passkeys),
        offset: policy.offset,
        holidays: &policy.holidays,
        zone: listeners.iter().flatten().map(|listener| &listener.zone).next(),
    };
    let mut policy_tests = Vec::new();
    for (name, text) in of_policy.iter().flat_map(|read| &read.tests) {
        let (tests, problems) = expect::read(name, text, &around);
        policy_tests.extend(tests);
        problems.into_iter().for_each(|problem| report.push(problem));
    }
    let (mut statements, mut ids) = (Vec::new(), Vec::new());
    let around =
        rule::Around { declared: &declared, passkeys: passkeys.as_ref().map_or(&no_passkeys, |read| &read.passkeys) };
    for (name, text) in of_policy.iter().flat_map(|read| &read.statements) {
        let (read, problems) = statements::read((name, text), &around, &policy, &mut ids);
        statements.extend(read);
        problems.into_iter().for_each(|problem| report.push(problem));
    }
    let shadow = of_policy.as_ref().and_then(|read| read.shadow.clone());
    of_policy.as_ref()?;
    patients?;

    Some(Config {
        revision: policy.revision.clone(),
        facility: facility?,
        state_dir: gateway.state_dir?,
        offset: gateway.offset?,
        public_port: gateway.public_port?,
        nodes: nodes?,
        listeners: listeners?,
        certificates: certificates?,
        acme: acme?,
        login_host: gateway.login_host?,
        portal_host: gateway.portal_host?,
        console_host: gateway.console_host?,
        providers: providers?,
        directory: directory?,
        passkeys: passkeys?.passkeys,
        outage: outage?,
        devices: devices?,
        posture_sources: posture_sources?,
        console: console?,
        maintenance: maintenance?,
        break_glass: break_glass?,
        forbidden_upstreams: gateway.forbidden_upstreams?,
        apps: apps?,
        roles: roles?,
        classes: classes?,
        rule_sets: rule_sets?,
        sessions: sessions?,
        policy,
        loaded: loaded?,
        policy_tests,
        statements,
        shadow,
        audit: audit?,
        feeds: feeds?,
        mail: mail?,
        notices: notices?,
        limits: limits?,
        store: store?,
        backup: backup?,
        operations: operations?,
        telemetry: telemetry?,
        activation: of_policy.as_ref()?.activation,
        return_when_denials_rise: of_policy.as_ref()?.return_when_denials_rise,
        files: Vec::new(),
        texts: Vec::new(),
    })
}

/// Names a version by its contents: the same texts give the same revision on every node, wherever they lie.
fn revision<'t>(text: &'t str, cedar: &'t [CedarFile], others: impl Iterator<Item = &'t str>) -> Option<Revision> {
    let mut digest = Context::new(&SHA256);
    for text in std::iter::once(text).chain(cedar.iter().map(|file| file.text.as_str())).chain(others) {
        // The length first, so that moving text between files is another version.
        digest.update(&u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
        digest.update(text.as_bytes());
    }
    let mut name = String::with_capacity(REVISION_BYTES * 2);
    for byte in digest.finish().as_ref().iter().take(REVISION_BYTES) {
        // Writing into a `String` cannot fail.
        let _ = write!(name, "{byte:02x}");
    }
    Revision::parse(&name).ok()
}
