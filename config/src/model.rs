//! What a valid configuration is, after reading: every value parsed, every default filled in, every file named in it
//! that holds a secret or a policy read. Nothing here can be wrong any more.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use policy::{
    Aaguid, AppId, Assurance, ClassRoute, ConsoleRoles, DeviceClass, Durability, Expectation, Host, InfoClass, Path,
    PathPattern, PolicySource, PostureSourceId, ProviderId, Revision, RoleId, RuleId, RuleSetId, StatementId,
    UtcOffset, ZoneId,
};

use crate::{Secret, Shield};

/// One loaded configuration.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of this version: a digest of the file and of every policy file it names.
    pub revision: Revision,
    /// The institution.
    pub facility: Facility,
    /// Where the gateway keeps what it must not lose: store, keys, audit log.
    pub state_dir: PathBuf,
    /// The hospital's clock.
    pub offset: UtcOffset,
    /// The port people's browsers use, for the addresses the gateway writes.
    pub public_port: u16,
    /// Where connections are accepted; never empty.
    pub listeners: Vec<Listener>,
    /// Server certificates; never empty. Which names they serve is read from the certificates.
    pub certificates: Vec<CertificateFiles>,
    /// The host of the sign-in pages.
    pub login_host: Host,
    /// The host of the portal.
    pub portal_host: Host,
    /// The host of the console; there is no console without one.
    pub console_host: Option<Host>,
    /// Identity providers; may be empty.
    pub providers: Vec<Provider>,
    /// People whom the gateway itself knows.
    pub directory: Directory,
    /// Which passkeys people may have.
    pub passkeys: Passkeys,
    /// What holds while a provider cannot be reached.
    pub outage: Outage,
    /// Device certificates.
    pub devices: DeviceTrust,
    /// Systems that may report the condition of devices.
    pub posture_sources: Vec<PostureSource>,
    /// Who may use the console.
    pub console: ConsoleRoles,
    /// Networks where no upstream may stand, such as that of オンライン資格確認; checked here for addresses, and to be
    /// checked wherever a name is resolved.
    pub forbidden_upstreams: Vec<IpNet>,
    /// The apps behind the gateway.
    pub apps: Vec<App>,
    /// The roles that rules and providers may name, with how people read them.
    pub roles: BTreeMap<RoleId, Names>,
    /// The information classes that rules and routes may name, with how people read them; those that ship among them.
    pub classes: BTreeMap<InfoClass, Names>,
    /// The sets of rules that apps share. The rules of a set are in [`Config::policy`] for the apps that name it.
    pub rule_sets: Vec<RuleSet>,
    /// How long sessions live.
    pub sessions: SessionSpans,
    /// Table and Cedar files, ready to be loaded.
    pub policy: PolicySource,
    /// What the policy is expected to say; asked by `check` and `policy test`.
    pub policy_tests: Vec<PolicyTest>,
    /// What must never happen under the policy; proved by `policy prove`, and by `check` where there is a solver.
    pub statements: Vec<Statement>,
    /// A configuration whose policy is judged beside this one; not read here, as it must stop nothing.
    pub shadow: Option<PathBuf>,
    /// The access log.
    pub audit: Audit,
    /// Bounds on everything a stranger can send.
    pub limits: Limits,
    /// Health, metrics and diagnostics.
    pub operations: Operations,
    /// How many people it takes to bring the next version into force.
    pub activation: Activation,
    /// How many times over the denials of people who were allowed before must rise for the gateway to go back to the
    /// version before by itself; never where absent.
    pub return_when_denials_rise: Option<f64>,
    /// Every file this configuration was read from or names, for watching.
    pub files: Vec<PathBuf>,
    /// What stood in the configuration, first, and in the files it names whose text is a part of it; no secrets.
    pub texts: Vec<SourceText>,
}

/// How many people it takes to bring a version into force.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Activation {
    /// Whoever may write the configuration.
    #[default]
    OnePerson,
    /// Another person approves what the first proposed.
    TwoPeople,
}

/// A file and what stood in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceText {
    /// Its whole path; as it was called where it is no file.
    pub path: PathBuf,
    /// Its text.
    pub text: String,
}

impl Config {
    /// The origin of a host as browsers write it: `https://host`, with the port unless it is 443.
    #[must_use]
    pub fn origin(&self, host: &Host) -> String {
        if self.public_port == 443 { format!("https://{host}") } else { format!("https://{host}:{}", self.public_port) }
    }
}

/// The institution.
#[derive(Clone, Debug)]
pub struct Facility {
    /// Its name, on pages and reports.
    pub name: String,
    /// 医療機関コード, ten digits.
    pub code: Option<String>,
}

/// An expectation of the policy, and where it is written.
#[derive(Clone, Debug)]
pub struct PolicyTest {
    /// What it is about.
    pub name: Names,
    /// The file it stands in.
    pub file: String,
    /// Its line there.
    pub line: usize,
    /// The question and the answer expected.
    pub expectation: Expectation,
}

/// A name in both languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Japanese.
    pub ja: String,
    /// English.
    pub en: String,
}

/// What must never happen, and where it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its name.
    pub id: StatementId,
    /// What it says, as people read it.
    pub says: Names,
    /// What it says, as it is proved.
    pub claim: Claim,
    /// The file it stands in.
    pub file: String,
    /// Its line there.
    pub line: usize,
}

/// What a statement says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nothing is allowed that meets this condition of Cedar.
    Never(String),
    /// Nothing is allowed that the last version did not allow.
    NoWiderThanLast,
}

/// Rules that several apps share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSet {
    /// Its name in configuration.
    pub id: RuleSetId,
    /// Its name as people read it.
    pub name: Names,
    /// Its rules, in the order written.
    pub rules: Vec<RuleId>,
    /// The apps that name it; where there is none, its rules are in force nowhere.
    pub apps: Vec<AppId>,
}

/// A socket that accepts connections.
#[derive(Clone, Debug)]
pub struct Listener {
    /// Its name in logs and metrics.
    pub name: String,
    /// Address and port.
    pub address: SocketAddr,
    /// The zone it stands in.
    pub zone: ZoneId,
    /// Who may connect; empty for everyone.
    pub sources: Vec<IpNet>,
    /// Whether devices must show a certificate.
    pub client_certificates: ClientCertificates,
    /// Which TLS versions.
    pub tls_profile: TlsProfile,
}

/// Whether devices must show a certificate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClientCertificates {
    /// Not asked for.
    Off,
    /// Asked for; a connection without one goes on, as an unknown device.
    Optional,
    /// A connection without one ends in the handshake.
    Required,
}

/// Which TLS versions (guideline 6.0, system operation part, chapter 13).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TlsProfile {
    /// TLS 1.3 only.
    High,
    /// TLS 1.2 with ECDHE and AEAD, and TLS 1.3.
    HighCompat,
}

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, the server's own first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// An OpenID provider.
#[derive(Clone, Debug)]
pub struct Provider {
    /// Its name in configuration and log.
    pub id: ProviderId,
    /// Its name on the sign-in page.
    pub name: Names,
    /// Issuer identifier, an https URL without query or fragment (http only to loopback).
    pub issuer: String,
    /// The client id it gave us.
    pub client_id: String,
    /// The client secret it gave us.
    pub client_secret: Option<Secret>,
    /// Scopes beside `openid`.
    pub scopes: Vec<String>,
    /// The claim that holds groups or roles: a name, or a dotted path into objects.
    pub roles_claim: String,
    /// Which value of the claim gives which role.
    pub roles: Vec<(String, RoleId)>,
    /// Which `acr` values or `amr` members stand for which assurance; without a match it is [`Assurance::Aal1`].
    pub assurance: Vec<(String, Assurance)>,
    /// CA of the provider's own certificate; the system's roots where absent.
    pub ca_file: Option<PathBuf>,
    /// The domains of e-mail addresses it is offered for, in lower case; empty for all.
    pub domains: Vec<String>,
    /// The names of the listeners it is offered on; empty for all.
    pub listeners: Vec<String>,
    /// The apps it is offered for; empty for all.
    pub apps: Vec<AppId>,
    /// Where the second factor of its people comes from.
    pub second_factor: SecondFactor,
    /// Whether a passkey alone signs its people in, also while it can be reached.
    pub passkey_sign_in: bool,
    /// Whether people without any passkey may enrol one at their first sign-in, without an invitation.
    pub enrol_at_first_sign_in: bool,
    /// How often it is asked whether people are still its people; never where absent.
    pub check_interval: Option<Duration>,
}

/// Where the second factor of a provider's people comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SecondFactor {
    /// The provider sees to it; rules may ask for more.
    Provider,
    /// The gateway asks for a passkey after the provider's answer, always.
    Passkey,
}

/// People whom the gateway itself knows, without a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Whether there are any.
    pub local: bool,
    /// How long an account may be unused before it is disabled; for ever where absent.
    pub disable_unused_after: Option<Duration>,
}

/// Which passkeys people may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passkeys {
    /// The models of authenticators the operator listed; every model may be used where there is no list.
    pub authenticators: Option<Vec<Authenticator>>,
}

impl Passkeys {
    /// Whether a passkey of this model may be used.
    #[must_use]
    pub fn allow(&self, model: Aaguid) -> bool {
        let allowed = |one: &Authenticator| one.model == model && one.allowed;
        self.authenticators.as_ref().is_none_or(|listed| listed.iter().any(allowed))
    }

    /// The name of a model, where the operator listed it.
    #[must_use]
    pub fn name_of(&self, model: Aaguid) -> Option<&str> {
        self.authenticators.iter().flatten().find(|one| one.model == model).map(|one| one.name.as_str())
    }
}

/// One model of authenticator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticator {
    /// Its number.
    pub model: Aaguid,
    /// Its name, as people read it.
    pub name: String,
    /// Whether it may be used.
    pub allowed: bool,
    /// The certificates that its maker vouches with, each DER in base64 as FIDO's metadata writes them. Where there are
    /// any, a passkey of this model is enrolled only with a statement that leads to one of them.
    pub roots: Vec<String>,
}

/// What holds while a provider cannot be reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Outage {
    /// How long it must have been out of reach before people may sign in by passkey alone.
    pub after: Duration,
    /// How long ago the provider may have confirmed their roles.
    pub seen_within: Duration,
    /// How long sessions of the outage live on when it is over.
    pub grace: Duration,
}

/// Device certificates.
#[derive(Clone, Debug)]
pub struct DeviceTrust {
    /// CAs beside the gateway's own device CA, such as an MDM's.
    pub ca_files: Vec<PathBuf>,
    /// How long certificates of the gateway's own device CA are valid.
    pub certificate_lifetime: Duration,
    /// How long before its end a device may renew its certificate.
    pub renew_before: Duration,
    /// Certificate and key of the device CA, where the hospital gives them (an intermediate of its own CA); made by the
    /// gateway where absent.
    pub ca: Option<CertificateFiles>,
    /// What the device CA's key is encrypted with; a key in the state directory where absent.
    pub ca_passphrase: Option<Secret>,
    /// Revocation lists of the CAs in `ca_files`.
    pub crl_files: Vec<PathBuf>,
    /// How old a revocation list may be; devices of its CA are refused when it is older.
    pub crl_max_age: Duration,
}

/// A system that may report the condition of devices, such as an MDM or EDR.
#[derive(Clone, Debug)]
pub struct PostureSource {
    /// Its name in configuration and log.
    pub id: PostureSourceId,
    /// What it shows to prove itself.
    pub token: Secret,
    /// How long its reports are believed.
    pub ttl: Duration,
}

/// An app behind the gateway.
#[derive(Clone, Debug)]
pub struct App {
    /// Its name in configuration and log.
    pub id: AppId,
    /// Its name in the portal.
    pub name: Names,
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
}

/// One server of an app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// Whether it is reached by TLS.
    pub scheme: Scheme,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// How an upstream is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scheme {
    /// Plain.
    Http,
    /// TLS 1.2 or 1.3.
    Https,
}

/// TLS towards upstreams.
#[derive(Clone, Debug, Default)]
pub struct UpstreamTls {
    /// The CA that signed the upstream's certificate; the system's roots where absent.
    pub ca_file: Option<PathBuf>,
    /// The certificate the gateway shows.
    pub client_certificate: Option<CertificateFiles>,
    /// The name the certificate must hold, where it is not the upstream's host.
    pub server_name: Option<String>,
}

/// The HTTP version spoken to upstreams.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, by ALPN over TLS or with prior knowledge over plain TCP.
    Http2,
}

/// The `Host` an upstream sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// The host people used.
    Public,
    /// The upstream's own host and port.
    Upstream,
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

/// How long sessions live, by device class.
#[derive(Clone, Debug)]
pub struct SessionSpans {
    /// By class.
    pub by_class: BTreeMap<DeviceClass, SessionSpan>,
    /// Without a known device.
    pub unknown_device: SessionSpan,
}

impl SessionSpans {
    /// The span for a device's class, or for none.
    #[must_use]
    pub fn of(&self, class: Option<DeviceClass>) -> SessionSpan {
        class.and_then(|class| self.by_class.get(&class).copied()).unwrap_or(self.unknown_device)
    }
}

/// How long a session lives, and what becomes of it when another person comes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionSpan {
    /// Without any request.
    pub idle: Duration,
    /// In all.
    pub absolute: Duration,
    /// Whether several people use one device, one at a time.
    pub shared: bool,
    /// Without any request before it is locked; never where absent.
    pub lock: Option<Duration>,
    /// What becomes of it when another person signs in at a shared device.
    pub on_switch: OnSwitch,
    /// How long it may stay parked.
    pub parked_max: Duration,
}

impl SessionSpan {
    /// How long a session may stay parked unless told otherwise.
    pub const PARKED_MAX: Duration = Duration::from_secs(30 * 60);

    /// A session of a device that one person uses: never locked.
    #[must_use]
    pub fn lasting(idle: Duration, absolute: Duration) -> Self {
        Self { idle, absolute, shared: false, lock: None, on_switch: OnSwitch::Park, parked_max: Self::PARKED_MAX }
    }
}

/// What becomes of a session when another person signs in at a shared device.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OnSwitch {
    /// It waits for its person to come back.
    Park,
    /// It ends.
    End,
}

/// The access log.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Where its segments lie.
    pub directory: PathBuf,
    /// The log's name in its checkpoints, such as `sekimori.clinic.example.jp/gw01`.
    pub origin: String,
    /// A segment is closed when it reaches this size.
    pub segment_bytes_max: u64,
    /// How long a `Written` record may wait for the disk.
    pub sync_interval: Duration,
    /// How many accesses may be open at once; more are refused with 503.
    pub open_accesses_max: usize,
    /// Where accesses are recorded when the log cannot be written; none where absent.
    pub emergency_spool: Option<PathBuf>,
    /// The log counts as full when less than this is free on its disk.
    pub free_bytes_min: u64,
}

/// Bounds on everything a stranger can send. Names say the unit.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Open connections, all listeners together.
    pub connections_max: usize,
    /// Open connections from one address (IPv6: one /64).
    pub connections_per_address_max: usize,
    /// From accept to the end of the TLS handshake.
    pub handshake_timeout: Duration,
    /// From the first byte of a request to the end of its head.
    pub head_timeout: Duration,
    /// Size of a request head.
    pub head_bytes_max: usize,
    /// Number of header fields.
    pub headers_max: usize,
    /// A connection without a request is closed after this.
    pub keep_alive_timeout: Duration,
    /// A body that stands still is cut after this.
    pub body_idle_timeout: Duration,
    /// Streams of one HTTP/2 connection.
    pub streams_max: u32,
    /// Until a TCP and TLS connection to an upstream stands.
    pub connect_timeout: Duration,
    /// Requests a second from one address, signed in or not; bursts of ten times as many.
    pub requests_per_second_address: u32,
    /// Requests a second of one account; bursts of ten times as many.
    pub requests_per_second_account: u32,
    /// Sign-in attempts a minute from one address.
    pub sign_ins_per_minute_address: u32,
    /// How long open requests may go on when the gateway stops.
    pub drain_timeout: Duration,
    /// Threads that serve requests.
    pub workers: usize,
}

/// Health, metrics and diagnostics.
#[derive(Clone, Debug)]
pub struct Operations {
    /// Address of the listener for health and metrics; loopback by default.
    pub address: Option<SocketAddr>,
    /// Filter of the diagnostic log, such as `info` or `gateway=debug`.
    pub log_filter: String,
}
