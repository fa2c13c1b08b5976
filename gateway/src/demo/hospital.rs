//! The little hospital as a whole: its ports, its files, its configuration, and what the terminal says when it runs.
//! What starts it is wired elsewhere.

mod banner;
mod configuration;

use std::path::{Path, PathBuf};

use super::people::DemoDevice;

pub use banner::{Tongue, banner};
pub use configuration::config_text;

/// The provider's name in the configuration.
pub const PROVIDER_ID: &str = "demo";
/// The gateway's client id at the provider.
pub const CLIENT_ID: &str = "sekimori";
/// The file of the configuration, in the demo's folder; all other names are relative to it.
pub const CONFIG_FILE: &str = "sekimori.toml";
/// The CA of the demo's server certificate, for `curl --cacert` and browsers.
pub const CA_FILE: &str = "ca.pem";
/// The certificate for all [`hosts`].
pub const SERVER_CERTIFICATE_FILE: &str = "server.pem";
/// The key of [`SERVER_CERTIFICATE_FILE`].
pub const SERVER_KEY_FILE: &str = "server.key";
/// The gateway's client secret at the provider.
pub const CLIENT_SECRET_FILE: &str = "idp.secret";
/// Store, keys and audit log.
pub const STATE_FOLDER: &str = "state";
/// Certificates of the demo devices.
pub const DEVICES_FOLDER: &str = "devices";
/// The password of the devices' PKCS#12 files.
pub const PKCS12_PASSWORD: &str = "sekimori-demo";

/// The ports of everything, all on 127.0.0.1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ports {
    /// The gateway, by https.
    pub gateway: u16,
    /// Health and metrics of the gateway.
    pub operations: u16,
    /// The identity provider.
    pub idp: u16,
    /// The EMR.
    pub emr: u16,
    /// The receipt computer.
    pub orca: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self { gateway: 8443, operations: 8479, idp: 8480, emr: 8481, orca: 8482 }
    }
}

/// A host of the demo. Names below `localhost` mean this machine (RFC 6761), in browsers and in curl.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HostName {
    /// The sign-in pages.
    Login,
    /// The portal.
    Portal,
    /// The administration console.
    Console,
    /// The EMR.
    Emr,
    /// The receipt computer.
    Orca,
}

impl HostName {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Login, Self::Portal, Self::Console, Self::Emr, Self::Orca];

    /// Its name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Login => "login.sekimori.localhost",
            Self::Portal => "portal.sekimori.localhost",
            Self::Console => "console.sekimori.localhost",
            Self::Emr => "emr.sekimori.localhost",
            Self::Orca => "orca.sekimori.localhost",
        }
    }

    /// Its address, without a slash at the end.
    #[must_use]
    pub fn origin(self, ports: &Ports) -> String {
        match ports.gateway {
            443 => format!("https://{}", self.as_str()),
            port => format!("https://{}:{port}", self.as_str()),
        }
    }
}

/// The names that the server certificate must hold.
#[must_use]
pub fn hosts() -> Vec<&'static str> {
    HostName::ALL.map(HostName::as_str).to_vec()
}

impl DemoDevice {
    /// Its certificate and key in one PEM file, for `curl --cert`.
    #[must_use]
    pub fn pem_file(&self, folder: &Path) -> PathBuf {
        folder.join(DEVICES_FOLDER).join(format!("{}.pem", self.id))
    }

    /// Its certificate and key as PKCS#12, for browsers; the password is [`PKCS12_PASSWORD`].
    #[must_use]
    pub fn pkcs12_file(&self, folder: &Path) -> PathBuf {
        folder.join(DEVICES_FOLDER).join(format!("{}.p12", self.id))
    }
}

#[cfg(test)]
mod decisions;
