//! `sekimori doctor`: what a careful engineer would look at. Looks, and changes nothing.

mod backup;
mod certificates;
mod devices;
mod feeds;
mod index;
mod log;
mod nodes;
mod people;
mod running;

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use certs::ServerCertificates;
use config::{ClientCertificates, Config, Scheme, StoreKind};
use http::Request;
use policy::Timestamp;
use serde_json::json;

use crate::cli::{ConfigArg, Format, block_on, open_store, out};
use crate::failure::Failure;
use crate::last_good;
use crate::snapshot::{Routes, UpstreamIds};
use crate::upstream::dial::Dialer;
use crate::upstream::health::probe_server;
use crate::{acme, assembly, bare_hosts, clock, database, fetch};

/// A certificate that ends within this is worth a warning.
const CERTIFICATE_WARNING: Duration = Duration::from_secs(21 * 86_400);
/// A clock that differs from the provider's by more than this makes sign-ins fail.
const CLOCK_DIFFERENCE_MAX: Duration = Duration::from_secs(30);

/// What `doctor` takes.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    config: ConfigArg,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

/// How one thing is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Grade {
    Good,
    Warning,
    Bad,
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "good",
            Self::Warning => "warning",
            Self::Bad => "bad",
        })
    }
}

/// One thing that was looked at.
#[derive(Debug)]
struct Finding {
    what: String,
    grade: Grade,
    says: String,
}

/// Looks at everything; exit code 1 if something is bad.
pub fn run(args: &Args) -> Result<(), Failure> {
    let (config, problems) = match config::read(args.config.path()) {
        Ok(config) => (config, None),
        // What can be looked at is looked at by the last good one, which a gateway would begin with.
        Err(problems) => match last_good::find(args.config.path()) {
            Ok(last_good) => (last_good.config, Some(problems)),
            Err(_) => return Err(Failure::input(problems.to_string())),
        },
    };
    let mut findings = block_on(async { Ok(look(&config).await) })?;
    if let Some(problems) = problems {
        let says = format!("cannot be used; a start falls back to the last good one: {problems}");
        findings.insert(0, Finding { what: "configuration".to_owned(), grade: Grade::Bad, says });
    }
    for finding in &findings {
        match args.format {
            Format::Json => out::say(
                &json!({ "what": finding.what, "grade": finding.grade.to_string(), "says": finding.says }).to_string(),
            ),
            Format::Text => out::say(&format!("{:<8} {}: {}", finding.grade.to_string(), finding.what, finding.says)),
        }
    }
    let bad = findings.iter().filter(|finding| finding.grade == Grade::Bad).count();
    if bad == 0 { Ok(()) } else { Err(Failure::no(format!("{bad} things need attention now"))) }
}

async fn look(config: &Config) -> Vec<Finding> {
    let at = clock::now();
    let mut findings = Vec::new();
    look_at_certificates(config, at, &mut findings);
    certificates::look(config, at, &mut findings).await;
    nodes::look(config, at, &mut findings);
    look_at_disk(config, &mut findings);
    log::look(config, &mut findings);
    index::look(config, &mut findings);
    look_at_exposure(config, &mut findings);
    if let Err(failure) = look_at_ledger(config, at, &mut findings).await {
        add(&mut findings, "store", Grade::Bad, failure.to_string());
    }
    look_at_providers(config, at, &mut findings).await;
    look_at_upstreams(config, &mut findings).await;
    feeds::look(config, at, &mut findings).await;
    running::look(config, &mut findings).await;
    findings
}

fn add(findings: &mut Vec<Finding>, what: impl Into<String>, grade: Grade, says: impl Into<String>) {
    findings.push(Finding { what: what.into(), grade, says: says.into() });
}

fn look_at_certificates(config: &Config, at: Timestamp, findings: &mut Vec<Finding>) {
    let certificates = match ServerCertificates::load(&acme::in_use(config, at), at) {
        Ok(certificates) => certificates,
        Err(problems) => {
            problems.iter().for_each(|problem| add(findings, "certificate", Grade::Bad, problem.to_string()));
            return;
        }
    };
    if let Err(failure) = assembly::uncovered_hosts(config, &certificates) {
        add(findings, "certificate", Grade::Bad, failure.to_string());
    } else if let Some(told) = bare_hosts::told(config, &certificates) {
        add(findings, "certificate", Grade::Bad, told);
    }
    for life in certificates.lives() {
        let grade = if life.is_short(at, CERTIFICATE_WARNING) { Grade::Warning } else { Grade::Good };
        let days = life.ends_at.since(at).as_secs() / 86_400;
        let says = format!("ends in {days} days, at {}", life.ends_at.rfc3339(config.offset));
        add(findings, format!("certificate of {}", life.file), grade, says);
    }
}

fn look_at_disk(config: &Config, findings: &mut Vec<Finding>) {
    let places = [
        ("state", Some(&config.state_dir)),
        ("access log", Some(&config.audit.directory)),
        ("emergency spool", config.audit.emergency_spool.as_ref()),
    ];
    for (what, place) in places {
        let Some(place) = place else {
            add(findings, what, Grade::Warning, "none is configured: when the log cannot be written, all apps stop");
            continue;
        };
        let Some(there) = nearest_folder(place) else {
            add(findings, what, Grade::Bad, format!("`{}` does not exist and cannot be made", place.display()));
            continue;
        };
        match rustix::fs::statvfs(there) {
            Ok(disk) => {
                let free = disk.f_bavail.saturating_mul(disk.f_frsize);
                let grade = if free < config.audit.free_bytes_min {
                    Grade::Bad
                } else if free < config.audit.free_bytes_min.saturating_mul(4) {
                    Grade::Warning
                } else {
                    Grade::Good
                };
                add(findings, what, grade, format!("{} MiB free at {}", free / 1024 / 1024, place.display()));
            }
            Err(error) => add(findings, what, Grade::Bad, format!("`{}`: {error}", place.display())),
        }
    }
}

fn nearest_folder(place: &Path) -> Option<&Path> {
    place.ancestors().find(|ancestor| ancestor.is_dir())
}

fn look_at_exposure(config: &Config, findings: &mut Vec<Finding>) {
    if let Some(address) = config.operations.address {
        let grade = if address.ip().is_loopback() { Grade::Good } else { Grade::Warning };
        add(findings, "health and metrics", grade, format!("at {address}, for whoever can reach it"));
    }
    for listener in &config.listeners {
        let open_to_all = listener.sources.is_empty() && !listener.address.ip().is_loopback();
        let (grade, says) = match (listener.client_certificates, open_to_all) {
            (ClientCertificates::Off, true) => {
                (Grade::Warning, "no device certificates are asked for, and every address may connect")
            }
            (ClientCertificates::Optional, true) => {
                (Grade::Good, "device certificates are asked for; every address may connect")
            }
            (ClientCertificates::Required, _) => (Grade::Good, "a device certificate is required"),
            (ClientCertificates::Off | ClientCertificates::Optional, false) if listener.sources.is_empty() => {
                (Grade::Good, "only this machine can connect")
            }
            (ClientCertificates::Off | ClientCertificates::Optional, false) => {
                (Grade::Good, "only listed sources may connect")
            }
        };
        add(findings, format!("listener {}", listener.name), grade, says);
    }
    for app in &config.apps {
        let plain = app.upstreams.iter().find(|upstream| {
            upstream.scheme == Scheme::Http
                && !upstream.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        });
        if let Some(upstream) = plain {
            let says = format!(
                "requests travel in the clear to {}:{}; use https where the app can",
                upstream.host, upstream.port
            );
            add(findings, format!("app {}", app.id), Grade::Warning, says);
        }
    }
}

/// People and devices; nothing is made where the gateway has never run.
async fn look_at_ledger(config: &Config, at: Timestamp, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let store = match &config.store.kind {
        StoreKind::Sqlite if !assembly::store_file(&config.state_dir).is_file() => {
            add(findings, "store", Grade::Good, "there is none yet; it is made at the first start");
            return Ok(());
        }
        StoreKind::Sqlite => open_store(config)?,
        StoreKind::Postgres(kept_in) => match open_store(config) {
            Ok(store) => {
                add(findings, "store", Grade::Good, format!("{} answers", database::place(kept_in)));
                store
            }
            Err(failure) => {
                add(findings, "store", Grade::Bad, failure.to_string());
                return Ok(());
            }
        },
    };
    people::look(config, &store, at, findings).await?;
    devices::look(config, &store, at, findings).await?;
    backup::look(config, &*store, at, findings).await
}

async fn look_at_providers(config: &Config, at: Timestamp, findings: &mut Vec<Finding>) {
    let fetch = match fetch::client(&config.providers, &config.forbidden_upstreams) {
        Ok(fetch) => fetch,
        Err(reason) => {
            add(findings, "identity provider", Grade::Bad, reason);
            return;
        }
    };
    for provider in &config.providers {
        let what = format!("identity provider {}", provider.id);
        let address = format!("{}/.well-known/openid-configuration", provider.issuer.trim_end_matches('/'));
        let Ok(mut request) = Request::get(address).body(Vec::new()) else {
            add(findings, what, Grade::Bad, "its issuer is not an address");
            continue;
        };
        request.extensions_mut().insert(provider.id.clone());
        match fetch(request).await {
            Ok(answer) if answer.status().is_success() => {
                add(findings, what, Grade::Good, "answers");
                look_at_clock(answer.headers(), at, findings);
            }
            Ok(answer) => {
                add(findings, what, Grade::Bad, format!("its discovery document answers {}", answer.status()))
            }
            Err(problem) => add(findings, what, Grade::Bad, problem.to_string()),
        }
    }
}

/// Compares our clock with the `Date` of an answer that just came.
fn look_at_clock(headers: &http::HeaderMap, at: Timestamp, findings: &mut Vec<Finding>) {
    let Some(theirs) = headers.get(http::header::DATE).and_then(|date| date.to_str().ok()).and_then(http_date) else {
        return;
    };
    let difference = at.since(theirs).max(theirs.since(at));
    let grade = if difference > CLOCK_DIFFERENCE_MAX { Grade::Bad } else { Grade::Good };
    add(findings, "clock", grade, format!("differs from the identity provider's by {} s", difference.as_secs()));
}

/// An IMF-fixdate such as `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110 section 5.6.7).
fn http_date(text: &str) -> Option<Timestamp> {
    let time = httpdate::parse_http_date(text).ok()?;
    let micros = time.duration_since(std::time::UNIX_EPOCH).ok()?.as_micros();
    i64::try_from(micros).ok().map(Timestamp::from_unix_micros)
}

async fn look_at_upstreams(config: &Config, findings: &mut Vec<Finding>) {
    let routes = match Routes::build(config, &UpstreamIds::default()) {
        Ok(routes) => routes,
        Err(problems) => {
            problems.into_iter().for_each(|problem| add(findings, "app", Grade::Bad, problem));
            return;
        }
    };
    let dialer = Dialer::new(config.limits.connect_timeout, &config.forbidden_upstreams);
    for route in routes.apps() {
        for server in &route.servers {
            let what = format!("app {} at {}", route.app.id, server.authority);
            match probe_server(route, server, &dialer).await {
                Ok(()) => add(findings, what, Grade::Good, "answers"),
                Err(reason) => add(findings, what, Grade::Bad, reason),
            }
        }
    }
}
