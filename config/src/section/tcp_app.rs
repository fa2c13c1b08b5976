//! `[[app]]` of `kind = "tcp"`: one port behind the gateway, reached by `sekimori connect`, and where it speaks SSH by a
//! terminal in the browser too. None of the keys of web apps is known here.

use std::net::SocketAddr;
use std::time::Duration;

use policy::{AppId, Durability, Host, Path};

use super::app::{self, Around, Taken};
use super::sessions::ON_SWITCHES;
use super::terminal;
use super::upstream::{NoUpstream, refuse_place};
use crate::walk::{Table, Value};
use crate::{
    App, AppKind, HostHeader, Names, OnLogFailure, Scheme, TcpProtocol, Upstream, UpstreamProtocol, UpstreamTls,
};

const UPSTREAM_REMEDY: &str = "write host and port, such as `10.0.0.9:22`";
/// How long the port may take to be opened.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);

/// Reads what follows id and name.
pub(crate) fn read(
    table: &Table<'_>,
    around: &Around<'_>,
    taken: &mut Taken,
    (id, name): (Option<AppId>, Option<Names>),
) -> Option<App> {
    let host = app::host(table, around, taken, true);
    let example = "`upstream = \"10.0.0.9:22\"`";
    let upstream = table.needed("upstream", example, |value| upstream(&value, &around.no_upstream));
    let protocols = TcpProtocol::ALL.map(|protocol| (protocol.as_str(), protocol));
    let protocol = table.or("protocol", TcpProtocol::Other, |value| value.word(&protocols));
    let rule_sets = app::rule_sets(table, around);
    let in_portal = table.or("portal", true, |value| value.yes_or_no());
    let on_switch = table.optional("on_switch", |value| value.word(&ON_SWITCHES));
    let terminal = table.optional("terminal", |value| {
        if protocol.is_some_and(|protocol| protocol != TcpProtocol::Ssh) {
            return value.wrong("is a terminal where no SSH is spoken", "write `protocol = \"ssh\"`, or remove it");
        }
        terminal::read(&value.table()?, around)
    });
    table.finish();
    let root = Path::parse("/").ok()?;
    Some(App {
        id: id?,
        name: name?,
        kind: AppKind::Tcp(protocol?),
        host: host?,
        portal_path: root.clone(),
        prefix: root,
        upstreams: vec![upstream?],
        upstream_tls: UpstreamTls::default(),
        protocol: UpstreamProtocol::Http1,
        health_path: None,
        host_header: HostHeader::Public,
        reads_by_post: Vec::new(),
        routes: Vec::new(),
        rule_sets: rule_sets?,
        assertion: false,
        identity_headers: Vec::new(),
        // Whoever is let to a port can do anything there, so that nothing of it happens unrecorded.
        reads: Durability::Synced,
        writes: Durability::Synced,
        on_log_failure: OnLogFailure::Refuse,
        body_bytes_max: None,
        requests_open_max: None,
        response_timeout: CONNECT_TIMEOUT,
        in_portal: in_portal?,
        on_switch: on_switch?,
        shield: None,
        terminal: terminal?,
    })
}

fn upstream(value: &Value<'_>, no_upstream: &NoUpstream<'_>) -> Option<Upstream> {
    let text = value.text()?;
    if let Ok(address) = text.parse::<SocketAddr>() {
        let address = SocketAddr::new(address.ip().to_canonical(), port(value, address.port())?);
        refuse_place(value, address, no_upstream)?;
        return Some(Upstream { scheme: Scheme::Tcp, host: address.ip().to_string(), port: address.port() });
    }
    let named = text.rsplit_once(':').and_then(|(host, port)| Some((Host::parse(host).ok()?, port.parse().ok()?)));
    let Some((host, given)) = named else {
        return value.wrong(format!("`{text}` is not host and port"), UPSTREAM_REMEDY);
    };
    Some(Upstream { scheme: Scheme::Tcp, host: host.to_string(), port: port(value, given)? })
}

fn port(value: &Value<'_>, port: u16) -> Option<u16> {
    if port == 0 { value.wrong("there is no port 0", UPSTREAM_REMEDY) } else { Some(port) }
}
