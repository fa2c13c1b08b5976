//! `upstreams` and `[app.upstream_tls]`: the servers of an app.

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use policy::Host;
use url::Url;

use crate::files::Files;
use crate::walk::{Table, Value};
use crate::{CertificateFiles, Scheme, Upstream, UpstreamTls};

/// Where no upstream may stand.
#[derive(Clone, Copy)]
pub(crate) struct NoUpstream<'a> {
    /// Networks the hospital ruled out (requirement R-07).
    pub(crate) forbidden: &'a [IpNet],
    /// The gateway's own doors: a request sent there would go round for ever.
    pub(crate) listeners: &'a [SocketAddr],
}

pub(crate) fn read(value: &Value<'_>, no_upstream: &NoUpstream<'_>) -> Option<Upstream> {
    let text = value.text()?;
    let remedy = "write scheme, host and port, such as `https://10.0.0.5:8443`";
    let Ok(url) = Url::parse(text) else {
        return value.wrong(format!("`{text}` is not an address"), remedy);
    };
    let scheme = match url.scheme() {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        _ => return value.wrong(format!("`{text}` is neither http nor https"), remedy),
    };
    let bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    if !bare || !url.username().is_empty() || url.password().is_some() {
        return value.wrong(
            format!("`{text}` has more than scheme, host and port"),
            "leave the rest out; paths are sent on as they come",
        );
    }
    let (host, address) = match url.host() {
        Some(url::Host::Domain(name)) => (value.parse(|_| Host::parse(name), remedy)?.to_string(), None),
        Some(url::Host::Ipv4(address)) => (address.to_string(), Some(IpAddr::V4(address))),
        Some(url::Host::Ipv6(address)) => (address.to_string(), Some(IpAddr::V6(address).to_canonical())),
        None => return value.wrong(format!("`{text}` has no host"), remedy),
    };
    let port = url.port_or_known_default().unwrap_or(443);
    if let Some(address) = address {
        refuse_place(value, SocketAddr::new(address, port), no_upstream)?;
    }
    Some(Upstream { scheme, host, port })
}

pub(crate) fn refuse_place(value: &Value<'_>, address: SocketAddr, no_upstream: &NoUpstream<'_>) -> Option<()> {
    if let Some(network) = no_upstream.forbidden.iter().find(|network| network.contains(&address.ip())) {
        return value.wrong(
            format!("`{}` lies in `{network}`, where `forbidden_upstreams` allows no upstream", address.ip()),
            "name a server elsewhere; the network of オンライン資格確認 is never bridged",
        );
    }
    let is_ours = |listener: &SocketAddr| {
        listener.port() == address.port()
            && (listener.ip() == address.ip() || (listener.ip().is_unspecified() && address.ip().is_loopback()))
    };
    if no_upstream.listeners.iter().any(is_ours) {
        return value.wrong(format!("`{address}` is the gateway itself"), "name the server behind the gateway");
    }
    Some(())
}

/// `[app.upstream_tls]`.
pub(crate) fn read_tls(table: &Table<'_>, files: &Files<'_>, upstreams: Option<&[Upstream]>) -> Option<UpstreamTls> {
    let ca_file = table.optional("ca_file", |value| files.readable(&value));
    let certificate = table.optional("client_certificate", |value| files.readable(&value));
    let key = table.optional("client_key", |value| files.readable_secret(&value));
    let server_name = table.optional("server_name", |value| {
        let parse = |text: &str| match text.parse::<IpAddr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) => Host::parse(text).map(|host| host.to_string()),
        };
        value.parse(parse, "write a host name or address, as the upstream's certificate has it")
    });
    table.finish();
    let client_certificate = match (certificate?, key?) {
        (Some(certificate), Some(key)) => Some(CertificateFiles { certificate, key }),
        (None, None) => None,
        (Some(_), None) => return table.wrong("has a `client_certificate` without its key", "add `client_key`"),
        (None, Some(_)) => {
            return table.wrong("has a `client_key` without its certificate", "add `client_certificate`");
        }
    };
    let tls = UpstreamTls { ca_file: ca_file?, client_certificate, server_name: server_name? };
    let says_something = tls.ca_file.is_some() || tls.client_certificate.is_some() || tls.server_name.is_some();
    let all_plain = |upstreams: &[Upstream]| upstreams.iter().all(|upstream| upstream.scheme == Scheme::Http);
    if says_something && upstreams.is_some_and(all_plain) {
        return table
            .wrong("no upstream of this app is reached by TLS", "write `https://` in `upstreams`, or remove this");
    }
    Some(tls)
}
