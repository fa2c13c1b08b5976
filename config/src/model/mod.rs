//! What a valid configuration is, after reading: every value parsed, every default filled in, every file named in it
//! that holds a secret or a policy read. Nothing here can be wrong any more. A file an idea.

mod acme;
mod app;
mod audit;
mod backup;
mod config;
mod crl;
mod device;
mod expected;
mod facility;
mod feed;
mod grant;
mod limits;
mod listener;
mod node;
mod notice;
mod operations;
mod people;
mod provider;
mod rule_set;
mod session;
mod store;
mod telemetry;
mod terminal;
mod upstream;

pub use acme::{Acme, AcmeName, AcmeProof, ExternalAccount};
pub use app::{App, AppKind, IdentityField, OnLogFailure, TcpProtocol};
pub use audit::{Audit, AuditEncryption};
pub use backup::Backup;
pub use config::{Activation, Config, SourceText};
pub use crl::{CrlFetch, CrlUrl, DistributionPoints};
pub use device::{DeviceTrust, PostureSource};
pub use expected::{Claim, PolicyTest, Statement};
pub use facility::{Facility, Names};
pub use feed::{Feed, FeedBegin, FeedEvents, FeedFormat};
pub use grant::{BreakGlass, Maintenance};
pub use limits::Limits;
pub use listener::{CertificateFiles, ClientCertificates, Listener, TlsProfile};
pub use node::{NodeChannel, NodeName, Nodes};
pub use notice::{
    MailAddress, MailEncryption, MailLogin, MailServer, Notice, NoticeEvent, NoticeLanguage, NoticeTo, Webhook,
    WebhookKey,
};
pub use operations::Operations;
pub use people::{Authenticator, Directory, Passkeys};
pub use provider::{Outage, Provider, SecondFactor};
pub use rule_set::RuleSet;
pub use session::{OnSwitch, SessionSpan, SessionSpans};
pub use store::{Database, DatabasePlace, StoreKind, StoreSettings};
pub use telemetry::{Severity, Telemetry};
pub use terminal::{FileTransfer, HostKey, SshCredential, Terminal, TerminalPatient};
pub use upstream::{HostHeader, Scheme, Upstream, UpstreamProtocol, UpstreamTls};
