//! Apps behind the gateway.

use std::time::Duration;

use policy::{AppId, ClassRoute, Durability, Host, Path, PathPattern, RuleSetId};

use crate::{HostHeader, Names, OnSwitch, Shield, Terminal, Upstream, UpstreamProtocol, UpstreamTls};

/// An app behind the gateway.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name in configuration and log.
    pub id: AppId,
    /// Its name in the portal.
    pub name: Names,
    /// How it is reached.
    pub kind: AppKind,
    /// The host people reach it by.
    pub host: Host,
    /// The path it lives under on that host; `/` for the whole host.
    pub prefix: Path,
    /// Where requests go; never empty; the first healthy one is used.
    pub upstreams: Vec<Upstream>,
    /// TLS towards https upstreams.
    pub upstream_tls: UpstreamTls,
    /// The HTTP version spoken to upstreams.
    pub protocol: UpstreamProtocol,
    /// What is asked to see whether an upstream is healthy; only the TCP connection where absent.
    pub health_path: Option<Path>,
    /// The `Host` the upstream sees.
    pub host_header: HostHeader,
    /// Paths at which POST only reads, such as ORCA's look-ups or FHIR `_search`.
    pub reads_by_post: Vec<PathPattern>,
    /// What its requests do, and to which information: its own routes, then those of its template.
    pub routes: Vec<ClassRoute>,
    /// The sets of rules it shares with others.
    pub rule_sets: Vec<RuleSetId>,
    /// Whether requests carry a signed assertion of who asks.
    pub assertion: bool,
    /// Plain headers that say who asks: header name (lower case) and what it carries.
    pub identity_headers: Vec<(String, IdentityField)>,
    /// How reads are recorded.
    pub reads: Durability,
    /// How writes are recorded.
    pub writes: Durability,
    /// What happens when the log cannot be written.
    pub on_log_failure: OnLogFailure,
    /// The largest request body, in bytes; `None` for any size.
    pub body_bytes_max: Option<u64>,
    /// How many requests it may have open at once; any number where absent.
    pub requests_open_max: Option<usize>,
    /// How long the upstream may take to begin its answer.
    pub response_timeout: Duration,
    /// Whether the portal shows it.
    pub in_portal: bool,
    /// Where the portal's link goes.
    pub portal_path: Path,
    /// What becomes of sessions that are parked, as far as this app goes; the device class decides where absent.
    pub on_switch: Option<OnSwitch>,
    /// What shields it, where it cannot be patched; nothing where absent.
    pub shield: Option<Shield>,
    /// Its terminal in the browser, where it has one.
    pub terminal: Option<Terminal>,
}

impl App {
    /// What is spoken with it, where it is reached by `sekimori connect` alone.
    #[must_use]
    pub fn tcp(&self) -> Option<TcpProtocol> {
        match self.kind {
            AppKind::Web => None,
            AppKind::Tcp(protocol) => Some(protocol),
        }
    }
}

/// How an app is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AppKind {
    /// By a browser, request by request.
    Web,
    /// By `sekimori connect`: streams of bytes to one port.
    Tcp(TcpProtocol),
}

/// What is spoken on a port.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TcpProtocol {
    /// SSH.
    Ssh,
    /// Remote Desktop.
    Rdp,
    /// VNC.
    Vnc,
    /// PostgreSQL.
    Postgres,
    /// DICOM: the names of both sides are in the clear, and recorded.
    Dicom,
    /// Anything else.
    Other,
}

impl TcpProtocol {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Ssh, Self::Rdp, Self::Vnc, Self::Postgres, Self::Dicom, Self::Other];

    /// Its word in configurations.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Rdp => "rdp",
            Self::Vnc => "vnc",
            Self::Postgres => "postgres",
            Self::Dicom => "dicom",
            Self::Other => "other",
        }
    }
}

/// What an identity header carries.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdentityField {
    /// The login name.
    Login,
    /// The name as people read it (percent-encoded UTF-8).
    Name,
    /// The person's stable id.
    User,
    /// The roles, joined by commas.
    Roles,
    /// The device's id.
    Device,
}

/// What happens to accesses of an app when the log cannot be written (domain decision D10).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnLogFailure {
    /// They are refused with 503.
    Refuse,
    /// They go on, recorded in the emergency spool, with an alarm.
    Spool,
}
