//! The configuration as a whole.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;
use policy::{ConsoleRoles, Host, InfoClass, Policy, PolicySource, Revision, RoleId, UtcOffset};

use crate::{
    Acme, App, Audit, Backup, BreakGlass, CertificateFiles, DeviceTrust, Directory, Facility, Feed, Limits, Listener,
    MailServer, Maintenance, Names, Nodes, Notice, Operations, Outage, Passkeys, PolicyTest, PostureSource, Provider,
    RuleSet, SessionSpans, Statement, StoreSettings, Telemetry,
};

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
    /// The machines that serve together, where there are several.
    pub nodes: Option<Nodes>,
    /// Where connections are accepted; never empty.
    pub listeners: Vec<Listener>,
    /// Server certificates in files; never empty where none are ordered. Which names they serve is read from the
    /// certificates.
    pub certificates: Vec<CertificateFiles>,
    /// Server certificates that the gateway orders by itself.
    pub acme: Option<Acme>,
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
    /// Who may use the console; who decides on exceptions among them.
    pub console: ConsoleRoles,
    /// What is asked of vendors' windows.
    pub maintenance: Maintenance,
    /// What is asked of whoever breaks the glass.
    pub break_glass: BreakGlass,
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
    /// Table and Cedar files, as written.
    pub policy: PolicySource,
    /// The same, loaded.
    pub loaded: Arc<Policy>,
    /// What the policy is expected to say; asked by `check` and `policy test`.
    pub policy_tests: Vec<PolicyTest>,
    /// What must never happen under the policy; proved by `policy prove`, and by `check` where there is a solver.
    pub statements: Vec<Statement>,
    /// A configuration whose policy is judged beside this one; not read here, as it must stop nothing.
    pub shadow: Option<PathBuf>,
    /// The access log.
    pub audit: Audit,
    /// Receivers that the access log is told to; may be empty.
    pub feeds: Vec<Feed>,
    /// The hospital's mail server, where there is one.
    pub mail: Option<MailServer>,
    /// Who is notified of what; may be empty.
    pub notices: Vec<Notice>,
    /// Bounds on everything a stranger can send.
    pub limits: Limits,
    /// Where people, devices, sessions and exceptions are kept.
    pub store: StoreSettings,
    /// Who can open backups.
    pub backup: Backup,
    /// Health, metrics and diagnostics.
    pub operations: Operations,
    /// Where traces of requests go, if anywhere.
    pub telemetry: Option<Telemetry>,
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

impl Config {
    /// The origin of a host as browsers write it: `https://host`, with the port unless it is 443.
    #[must_use]
    pub fn origin(&self, host: &Host) -> String {
        if self.public_port == 443 { format!("https://{host}") } else { format!("https://{host}:{}", self.public_port) }
    }
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
