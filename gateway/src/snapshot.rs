//! One loaded configuration, ready to serve: routes, policy, TLS, pages. Replaced whole or not at all.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use config::{App, Config, HostHeader, Scheme, UpstreamProtocol};
use foldhash::{HashMap, HashMapExt as _};
use http::header::{HeaderName, HeaderValue};
use identity::{Oidc, People};
use policy::{Host, Path, Policy};
use rustls::pki_types::ServerName;
use tokio_rustls::TlsConnector;
use web::{HostKind, Site};

use crate::feed::Receivers;
use crate::lists::ListClient;
use crate::notices::Senders;
use crate::telemetry::Collector;
use crate::upstream::dial::{Dialer, TlsTo};
use crate::upstream::health::Answers;

/// One loaded configuration.
#[derive(Debug)]
pub struct Snapshot {
    /// The configuration itself.
    pub config: Arc<Config>,
    /// Its policy.
    pub policy: Arc<Policy>,
    /// Which app a request is for.
    pub routes: Routes,
    /// Our own pages.
    pub site: Site,
    /// Sign-in at the providers; also asked by tasks of the control plane.
    pub oidc: Arc<Oidc>,
    /// The local directory.
    pub people: Arc<People>,
    /// Opens connections to upstreams.
    pub dialer: Dialer,
    /// Receivers that the access log is told to.
    pub receivers: Receivers,
    /// Who is notified, and how.
    pub senders: Senders,
    /// Fetches revocation lists.
    pub lists: ListClient,
    /// Where traces go, if anywhere.
    pub collector: Option<Collector>,
}

/// Which app a request is for.
#[derive(Debug, Default)]
pub struct Routes {
    hosts: HashMap<Host, HostRoutes>,
}

/// What is at one host.
#[derive(Debug)]
pub struct HostRoutes {
    /// What it is for.
    pub kind: HostKind,
    /// Longest prefix first.
    apps: Vec<Arc<AppRoute>>,
}

impl Routes {
    /// Builds the routes of a configuration.
    ///
    /// # Errors
    /// What cannot be used, in words for the operator.
    pub fn build(config: &Config, ids: &UpstreamIds) -> Result<Self, Vec<String>> {
        let mut hosts = HashMap::new();
        let own = |kind| HostRoutes { kind, apps: Vec::new() };
        hosts.insert(config.login_host.clone(), own(HostKind::Login));
        hosts.insert(config.portal_host.clone(), own(HostKind::Portal));
        hosts.extend(config.console_host.clone().map(|host| (host, own(HostKind::Console))));
        let mut problems = Vec::new();
        for app in &config.apps {
            match AppRoute::build(app, config, ids) {
                Ok(route) => {
                    let kind = if app.tcp().is_some() { HostKind::Tunnel } else { HostKind::App };
                    hosts.entry(app.host.clone()).or_insert_with(|| own(kind)).apps.push(Arc::new(route));
                }
                Err(problem) => problems.push(format!("app `{}`: {problem}", app.id)),
            }
        }
        for host in hosts.values_mut() {
            host.apps.sort_by_key(|route| std::cmp::Reverse(route.app.prefix.as_str().len()));
        }
        if problems.is_empty() { Ok(Self { hosts }) } else { Err(problems) }
    }

    /// What is at a host; `None` if it is not ours.
    pub fn host(&self, host: &Host) -> Option<&HostRoutes> {
        self.hosts.get(host)
    }

    /// All apps.
    pub fn apps(&self) -> impl Iterator<Item = &Arc<AppRoute>> {
        self.hosts.values().flat_map(|host| &host.apps)
    }
}

impl HostRoutes {
    /// The app at a path: the one with the longest prefix.
    pub fn app(&self, path: &Path) -> Option<&Arc<AppRoute>> {
        self.apps.iter().find(|route| path.is_below(&route.app.prefix))
    }
}

/// Gives every upstream of every snapshot a number of its own, so that pools never mix them up.
#[derive(Debug, Default)]
pub struct UpstreamIds(AtomicU64);

/// An app and how to reach it.
#[derive(Debug)]
pub struct AppRoute {
    /// The app as configured.
    pub app: App,
    /// Its servers, in order of preference; never empty.
    pub servers: Vec<Server>,
    /// The identity headers it wants.
    pub identity_headers: Vec<(HeaderName, config::IdentityField)>,
    /// Its origin: the audience of assertions, and what forms of its pages carry as `Origin`.
    pub origin: String,
}

/// One server of an app.
#[derive(Debug)]
pub struct Server {
    /// Its number among all upstreams.
    pub id: u64,
    /// Host and port, as in `Host` and in messages.
    pub authority: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS with the app's protocol.
    pub tls: Option<TlsTo>,
    /// TLS with HTTP/1.1, for WebSocket.
    pub tls_http1: Option<TlsTo>,
    /// What its `Host` header says, where not the public host.
    pub host_header: Option<HeaderValue>,
    /// Whether it answers.
    pub answers: Answers,
}

impl AppRoute {
    fn build(app: &App, config: &Config, ids: &UpstreamIds) -> Result<Self, String> {
        let servers =
            app.upstreams.iter().map(|upstream| Server::build(app, upstream, ids)).collect::<Result<_, _>>()?;
        let identity_headers = app
            .identity_headers
            .iter()
            .map(|(name, field)| {
                let name =
                    HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("`{name}` is not a header name"))?;
                Ok((name, *field))
            })
            .collect::<Result<_, String>>()?;
        Ok(Self { app: app.clone(), servers, identity_headers, origin: config.origin(&app.host) })
    }

    /// Its servers: those that answer first, in the order configured.
    pub fn candidates(&self) -> impl Iterator<Item = &Server> {
        let up = self.servers.iter().filter(|server| server.answers.yes());
        let down = self.servers.iter().filter(|server| !server.answers.yes());
        up.chain(down)
    }
}

impl Server {
    fn build(app: &App, upstream: &config::Upstream, ids: &UpstreamIds) -> Result<Self, String> {
        let bare_host =
            if upstream.host.contains(':') { format!("[{}]", upstream.host) } else { upstream.host.clone() };
        let default_port = match upstream.scheme {
            Scheme::Http => 80,
            Scheme::Https => 443,
            // Always written: no port is the usual one.
            Scheme::Tcp => 0,
        };
        let authority =
            if upstream.port == default_port { bare_host } else { format!("{bare_host}:{}", upstream.port) };
        let (tls, tls_http1) = match upstream.scheme {
            Scheme::Http | Scheme::Tcp => (None, None),
            Scheme::Https => {
                (Some(tls_to(app, upstream, app.protocol)?), Some(tls_to(app, upstream, UpstreamProtocol::Http1)?))
            }
        };
        let host_header = match app.host_header {
            HostHeader::Public => None,
            HostHeader::Upstream => {
                Some(HeaderValue::from_str(&authority).map_err(|_| format!("`{authority}` is not a host"))?)
            }
        };
        Ok(Self {
            id: ids.0.fetch_add(1, Ordering::Relaxed),
            authority,
            host: upstream.host.clone(),
            port: upstream.port,
            tls,
            tls_http1,
            host_header,
            answers: Answers::default(),
        })
    }
}

fn tls_to(app: &App, upstream: &config::Upstream, protocol: UpstreamProtocol) -> Result<TlsTo, String> {
    let config = certs::upstream_config(&app.upstream_tls, protocol).map_err(|problem| problem.to_string())?;
    let name = app.upstream_tls.server_name.clone().unwrap_or_else(|| upstream.host.clone());
    let name = ServerName::try_from(name.clone()).map_err(|_| format!("`{name}` is not a server name"))?;
    Ok(TlsTo { connector: TlsConnector::from(Arc::new(config)), name })
}
