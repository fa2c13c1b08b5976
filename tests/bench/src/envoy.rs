//! Envoy as a TLS proxy: bare, and checking a signed token (`jwt_authn`), each time anew or remembering what it checked.

use serde_json::{Value, json};
use tests::Folder;

use crate::gateway::Gateway;
use crate::peer::{Peer, Shows, free_address};
use crate::token;

/// The program.
pub const PROGRAM: &str = "envoy";
const ISSUER: &str = "https://idp.hospital.test";

/// What it does beside proxying.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Nothing.
    Bare,
    /// Checks the token's RS256 signature on each request.
    Jwt,
    /// Remembers the tokens it checked.
    JwtCached,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Bare, Self::Jwt, Self::JwtCached];

    fn name(self) -> &'static str {
        match self {
            Self::Bare => "Envoy bare",
            Self::Jwt => "Envoy + jwt_authn",
            Self::JwtCached => "Envoy + jwt_authn cached",
        }
    }
}

/// Starts it.
pub fn proxy(kind: Kind, gateway: &Gateway) -> Peer {
    let (folder, address) = (Folder::new(), free_address());
    let (token, keys) = token::by_rsa(&token::claims(ISSUER, ""));
    let mut filters = Vec::new();
    if kind != Kind::Bare {
        filters.push(checking(kind, &keys));
    }
    filters.push(typed("envoy.filters.http.router", "http.router.v3.Router", json!({})));
    let (certificate, key) = gateway.certificate();
    let manager = json!({
        "stat_prefix": "door",
        "stream_idle_timeout": "3600s",
        "http2_protocol_options": { "max_concurrent_streams": 256 },
        "route_config": { "virtual_hosts": [{
            "name": "all", "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "app", "timeout": "0s" } }],
        }] },
        "http_filters": filters,
    });
    let tls = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "alpn_protocols": ["h2", "http/1.1"],
            "tls_params": { "tls_minimum_protocol_version": "TLSv1_3" },
            "tls_certificates": [{
                "certificate_chain": { "filename": certificate }, "private_key": { "filename": key },
            }],
        },
    });
    let socket = |address: std::net::SocketAddr| json!({ "socket_address": { "address": address.ip().to_string(), "port_value": address.port() } });
    let manager_name = "envoy.filters.network.http_connection_manager";
    let manager_type = "network.http_connection_manager.v3.HttpConnectionManager";
    let configuration = json!({ "static_resources": {
        "listeners": [{
            "name": "door",
            "address": socket(address),
            "filter_chains": [{
                "transport_socket": { "name": "envoy.transport_sockets.tls", "typed_config": tls },
                "filters": [typed(manager_name, manager_type, manager)],
            }],
        }],
        "clusters": [{
            "name": "app",
            "type": "STATIC",
            "circuit_breakers": { "thresholds": [
                { "max_connections": 20_000, "max_pending_requests": 20_000, "max_requests": 20_000 },
            ] },
            "load_assignment": { "cluster_name": "app", "endpoints": [
                { "lb_endpoints": [{ "endpoint": { "address": socket(gateway.upstream()) } }] },
            ] },
        }],
    } });
    // JSON is YAML.
    let file = folder.write("envoy.yaml", configuration.to_string());
    let words: [&dyn AsRef<std::ffi::OsStr>; 7] =
        [&"-c", &file, &"--concurrency", &"1", &"--disable-hot-restart", &"-l", &"error"];
    let mut peer = Peer::start(kind.name(), address, folder, PROGRAM, &words);
    if kind != Kind::Bare {
        peer.shows = Shows::Bearer(token);
    }
    peer
}

fn checking(kind: Kind, keys: &Value) -> Value {
    let mut provider = json!({
        "issuer": ISSUER, "audiences": [token::CLIENT], "local_jwks": { "inline_string": keys.to_string() },
    });
    if kind == Kind::JwtCached {
        provider["jwt_cache_config"] = json!({ "jwt_cache_size": 100 });
    }
    let settings = json!({
        "providers": { "staff": provider },
        "rules": [{ "match": { "prefix": "/" }, "requires": { "provider_name": "staff" } }],
    });
    typed("envoy.filters.http.jwt_authn", "http.jwt_authn.v3.JwtAuthentication", settings)
}

fn typed(name: &str, kind: &str, mut settings: Value) -> Value {
    settings["@type"] = format!("type.googleapis.com/envoy.extensions.filters.{kind}").into();
    json!({ "name": name, "typed_config": settings })
}
