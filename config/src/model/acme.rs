//! Server certificates that the gateway orders by itself (ACME, RFC 8555).

use std::fmt;
use std::path::PathBuf;

use policy::Host;

use crate::Secret;

/// Where certificates are ordered, for which names, and how the gateway shows that they are its own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Acme {
    /// The address of the CA's directory; always `https`.
    pub directory: String,
    /// The CA of the directory's own certificate; those of the system where absent.
    pub ca_file: Option<PathBuf>,
    /// Whom the CA writes to, such as `mailto:it@hospital.example.jp`; may be empty.
    pub contact: Vec<String>,
    /// What the certificate is for; never empty.
    pub names: Vec<AcmeName>,
    /// How it is shown that these names are the gateway's.
    pub proof: AcmeProof,
    /// The account at a CA that gives certificates to its customers alone.
    pub external_account: Option<ExternalAccount>,
    /// Where account and certificate are kept: a folder in the state directory.
    pub folder: PathBuf,
}

impl Acme {
    /// Whether the certificate is for this host.
    #[must_use]
    pub fn covers(&self, host: &Host) -> bool {
        self.names.iter().any(|name| name.covers(host))
    }

    /// The host of the directory, as people call the CA.
    #[must_use]
    pub fn authority(&self) -> &str {
        let rest = self.directory.strip_prefix("https://").unwrap_or(&self.directory);
        rest.split('/').next().unwrap_or(rest)
    }
}

/// A name in the certificate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AcmeName {
    /// This host.
    Host(Host),
    /// Every host with one more label in front of this one.
    Below(Host),
}

impl AcmeName {
    /// Reads a host, or `*.` and a host.
    ///
    /// # Errors
    /// In words, where it is neither.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.strip_prefix("*.") {
            Some(parent) => Host::parse(parent).map(Self::Below).map_err(|problem| problem.to_string()),
            None => Host::parse(text).map(Self::Host).map_err(|problem| problem.to_string()),
        }
    }

    /// Whether it stands for this host.
    #[must_use]
    pub fn covers(&self, host: &Host) -> bool {
        match self {
            Self::Host(own) => own == host,
            Self::Below(parent) => host.as_str().split_once('.').is_some_and(|(_, above)| above == parent.as_str()),
        }
    }
}

impl fmt::Display for AcmeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host) => write!(f, "{host}"),
            Self::Below(parent) => write!(f, "*.{parent}"),
        }
    }
}

/// How it is shown to the CA that a name is the gateway's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AcmeProof {
    /// The CA connects to the name, port 443, and is shown a certificate made for this (`tls-alpn-01`, RFC 8737).
    Tls,
    /// A program of the hospital's puts a text into the DNS (`dns-01`); nobody connects to the gateway.
    Dns {
        /// The program.
        hook: PathBuf,
    },
}

/// An account that the CA knows already (external account binding, RFC 8555 section 7.3.4).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExternalAccount {
    /// Its name at the CA.
    pub key_id: String,
    /// The key that the CA gave, in base64url as it gives it.
    pub key: Secret,
}
