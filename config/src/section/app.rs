//! `[[app]]`: the apps behind the gateway.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::{AppId, Durability, Host, Path, PathPattern, PatientIds, RuleSetId};

use super::app_route;
use super::names::{self, HOST_REMEDY, NAME_REMEDY};
use super::sessions::ON_SWITCHES;
use super::upstream::{self, NoUpstream};
use super::{audit, header, tcp_app};
use crate::declared::Declared;
use crate::files::Files;
use crate::walk::{Seen, Table, Value};
use crate::{App, AppKind, HostHeader, Names, OnLogFailure, UpstreamProtocol};

/// Whether it is a TCP app.
const KINDS: [(&str, bool); 2] = [("web", false), ("tcp", true)];
const PROTOCOLS: [(&str, UpstreamProtocol); 2] =
    [("http1", UpstreamProtocol::Http1), ("http2", UpstreamProtocol::Http2)];
const HOST_HEADERS: [(&str, HostHeader); 2] = [("public", HostHeader::Public), ("upstream", HostHeader::Upstream)];
const DURABILITIES: [(&str, Durability); 2] = [("written", Durability::Written), ("synced", Durability::Synced)];
const ON_LOG_FAILURES: [(&str, OnLogFailure); 2] = [("refuse", OnLogFailure::Refuse), ("spool", OnLogFailure::Spool)];
/// Apps that are parts of the gateway.
pub(crate) const BUILT_IN: [&str; 3] = ["login", "portal", "console"];
/// Where the gateway's own pages live on every host.
const RESERVED_PREFIX: &str = "/.sekimori";
const UPSTREAMS_MAX: usize = 16;
const GIB: u64 = 1 << 30;

/// What else an app depends on.
pub(crate) struct Around<'a> {
    pub(crate) files: &'a Files<'a>,
    pub(crate) own_hosts: [(Option<&'a Host>, &'static str); 3],
    pub(crate) no_upstream: NoUpstream<'a>,
    pub(crate) has_spool: bool,
    pub(crate) declared: &'a Declared,
    /// How the hospital writes the ids of patients.
    pub(crate) patients: &'a PatientIds,
}

#[derive(Default)]
pub(crate) struct Taken {
    ids: Seen,
    routes: Seen,
    /// Every host, and whether it is that of a TCP app.
    hosts: BTreeMap<Host, bool>,
}

pub(crate) fn read(root: &Table<'_>, around: &Around<'_>) -> Option<Vec<App>> {
    let mut taken = Taken::default();
    let tables = root.tables("app");
    tables.into_iter().map(|table| read_one(&table, around, &mut taken)).collect::<Vec<_>>().into_iter().collect()
}

fn read_one(table: &Table<'_>, around: &Around<'_>, taken: &mut Taken) -> Option<App> {
    let id = table.needed("id", "`id = \"emr\"`", |value| id(&value, taken));
    let default_name = id.as_ref().map(ToString::to_string).unwrap_or_default();
    let default_name = Names { ja: default_name.clone(), en: default_name };
    let name = table.or("name", default_name, |value| names::read(&value));
    let is_tcp = table.or("kind", false, |value| value.word(&KINDS));
    if is_tcp == Some(true) {
        return tcp_app::read(table, around, taken, (id, name));
    }
    let route = route(table, around, taken);
    let upstreams = table.needed("upstreams", "`upstreams = [\"https://10.0.0.5:8443\"]`", |value| {
        let upstreams = value.some(|item| upstream::read(&item, &around.no_upstream))?;
        if upstreams.len() > UPSTREAMS_MAX {
            return value.wrong("names too many servers", format!("name at most {UPSTREAMS_MAX}"));
        }
        Some(upstreams)
    });
    let tls = table.section("upstream_tls");
    let upstream_tls = tls.and_then(|tls| upstream::read_tls(&tls, around.files, upstreams.as_deref()));
    let protocol = table.or("protocol", UpstreamProtocol::Http1, |value| value.word(&PROTOCOLS));
    let health_path = table.optional("health_path", |value| path(&value));
    let host_header = table.or("host_header", HostHeader::Public, |value| value.word(&HOST_HEADERS));
    let reads_by_post = table.list("reads_by_post", |value| pattern(&value));
    let prefix = route.as_ref().map(|(_, prefix)| prefix);
    let routes = app_route::read(table, prefix, around.declared, around.patients);
    let rule_sets = rule_sets(table, around);
    let assertion = table.or("assertion", true, |value| value.yes_or_no());
    let identity_headers = table.section("identity_headers").and_then(|table| header::read(&table));
    let reads = table.or("reads", Durability::Written, |value| value.word(&DURABILITIES));
    let writes = table.or("writes", Durability::Synced, |value| value.word(&DURABILITIES));
    let on_log_failure = table.or("on_log_failure", OnLogFailure::Refuse, |value| {
        let chosen = value.word(&ON_LOG_FAILURES)?;
        audit::check_spool(&value, chosen, around.has_spool)?;
        Some(chosen)
    });
    let body_max = table.or("body_max", Some(GIB), |value| {
        if value.as_text() == Some("any") { Some(None) } else { value.size(1..=1_024 * GIB).map(Some) }
    });
    let open_max = table.optional("requests_open_max", |value| value.count(1..=1_000_000));
    let second = Duration::from_secs(1);
    let response_timeout = table.or("response_timeout", 60 * second, |value| value.time(second..=3_600 * second));
    let in_portal = table.or("portal", true, |value| value.yes_or_no());
    let start = route.as_ref().map(|(_, prefix)| prefix.clone());
    let portal_path = table.optional("portal_path", |value| {
        let path = path(&value)?;
        match &start {
            Some(prefix) if !path.is_below(prefix) => {
                value.wrong(format!("`{path}` is not below the app's prefix"), format!("begin it with `{prefix}`"))
            }
            Some(_) | None => Some(path),
        }
    });
    let on_switch = table.optional("on_switch", |value| value.word(&ON_SWITCHES));
    let shield = table.optional("shield", |value| super::shield::read(&value.table()?));
    table.finish();
    is_tcp?;
    let ((host, prefix), shield) = (route?, shield?);
    Some(App {
        id: id?,
        name: name?,
        kind: AppKind::Web,
        host,
        portal_path: portal_path?.unwrap_or_else(|| prefix.clone()),
        prefix,
        upstreams: upstreams?,
        upstream_tls: upstream_tls?,
        protocol: protocol?,
        health_path: health_path?,
        host_header: host_header?,
        reads_by_post: reads_by_post?,
        routes: routes?,
        rule_sets: rule_sets?,
        assertion: assertion?,
        identity_headers: identity_headers?,
        reads: reads?,
        writes: writes?,
        on_log_failure: on_log_failure?,
        body_bytes_max: smaller(body_max?, shield.as_ref().and_then(|shield| shield.body_bytes_max)),
        requests_open_max: open_max?,
        response_timeout: response_timeout?,
        in_portal: in_portal?,
        on_switch: on_switch?,
        shield: shield.map(|read| read.shield),
        terminal: None,
    })
}

/// The sets of rules it shares with others.
pub(crate) fn rule_sets(table: &Table<'_>, around: &Around<'_>) -> Option<Vec<RuleSetId>> {
    table.list("rules", |value| {
        let set = value.parse(RuleSetId::parse, NAME_REMEDY)?;
        around.declared.rule_set(&value, set.as_str())?;
        Some(set)
    })
}

/// The tighter of two bounds.
fn smaller(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    one.into_iter().chain(other).min()
}

fn id(value: &Value<'_>, taken: &mut Taken) -> Option<AppId> {
    let id = value.parse(AppId::parse, NAME_REMEDY)?;
    if BUILT_IN.contains(&id.as_str()) {
        return value.wrong(format!("`{id}` is a part of the gateway"), "give the app another id");
    }
    taken.ids.claim(value, id.as_str(), "give each app its own id")?;
    Some(id)
}

/// Its host: none of the gateway's own, and that of a TCP app is no other app's.
pub(crate) fn host(table: &Table<'_>, around: &Around<'_>, taken: &mut Taken, is_tcp: bool) -> Option<Host> {
    table.needed("host", "`host = \"emr.hospital.example.jp\"`", |value| {
        let host = value.parse(Host::parse, HOST_REMEDY)?;
        if let Some((_, key)) = around.own_hosts.iter().find(|(own, _)| *own == Some(&host)) {
            return value.wrong(format!("`{host}` is the `{key}` of the gateway"), "give the app a host of its own");
        }
        match taken.hosts.insert(host.clone(), is_tcp) {
            Some(other_is_tcp) if is_tcp || other_is_tcp => {
                value.wrong(format!("`{host}` is another app's too"), "give the TCP app a host of its own")
            }
            Some(_) | None => Some(host),
        }
    })
}

/// Host and prefix, which together no other app may have.
fn route(table: &Table<'_>, around: &Around<'_>, taken: &mut Taken) -> Option<(Host, Path)> {
    let host_value = table.value("host");
    let host = host(table, around, taken, false);
    let prefix_value = table.value("prefix");
    let prefix = prefix_value.as_ref().map_or_else(|| Path::parse("/").ok(), prefix);
    let (host, prefix) = (host?, prefix?);
    let place = prefix_value.or(host_value)?;
    let remedy = "give one of the apps another host or `prefix`";
    taken.routes.claim(&place, format!("https://{host}{prefix}").trim_end_matches('/'), remedy)?;
    Some((host, prefix))
}

fn prefix(value: &Value<'_>) -> Option<Path> {
    let path = path(value)?;
    let text = path.as_str();
    if text.contains('*') {
        return value.wrong(format!("`{text}` is a pattern"), "write the beginning of the path alone, without `*`");
    }
    if text.len() > 1 && text.ends_with('/') {
        return value.wrong(format!("`{text}` ends with `/`"), format!("write `{}`", text.trim_end_matches('/')));
    }
    if Path::parse(RESERVED_PREFIX).is_ok_and(|reserved| path.is_below(&reserved)) {
        return value.wrong(format!("`{RESERVED_PREFIX}` belongs to the gateway"), "choose another prefix");
    }
    Some(path)
}

/// A path in its canonical spelling, so that nobody is misled about what it covers.
pub(crate) fn path(value: &Value<'_>) -> Option<Path> {
    let path = value.parse(Path::parse, "write it like `/fhir`, without query")?;
    if value.as_text() == Some(path.as_str()) {
        return Some(path);
    }
    value.wrong("is not written as requests will have it", format!("write `{path}`"))
}

/// A path with `*` for any run of characters.
pub(crate) fn pattern(value: &Value<'_>) -> Option<PathPattern> {
    value.parse(PathPattern::parse, "write it like `/fhir/*`, where `*` stands for anything")
}
