//! A terminal in the browser, for an app that is reached by SSH.

use std::fmt;

use policy::IdPattern;

use crate::Secret;

/// How the gateway itself signs in at the server, and what people may do there from a browser.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Terminal {
    /// The name it signs in by.
    pub user: String,
    /// With what.
    pub credential: SshCredential,
    /// What the server proves itself by; never empty. Any other key is refused.
    pub host_keys: Vec<HostKey>,
    /// Which files may be carried.
    pub files: FileTransfer,
    /// The folders whose files may be carried: absolute paths without a `/` at their end.
    pub folders: Vec<String>,
    /// The largest file that is carried, in bytes.
    pub file_bytes_max: u64,
    /// What of a command is a patient's number.
    pub patient: Option<TerminalPatient>,
}

/// How commands name patients.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TerminalPatient {
    /// What of a command is a patient's number.
    pub pattern: IdPattern,
    /// To how many digits a number is filled up with zeros; 0 leaves it as it is.
    pub pad: usize,
}

/// What the gateway proves itself by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum SshCredential {
    /// A private key, in the format of OpenSSH or as PKCS#8.
    Key(Secret),
    /// A password.
    Password(Secret),
}

/// The public key of a server.
#[derive(Clone, PartialEq, Eq)]
pub struct HostKey {
    /// Its kind, such as `ssh-ed25519`.
    pub algorithm: String,
    /// The key, as SSH sends it.
    pub blob: Vec<u8>,
}

impl fmt::Debug for HostKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = self.blob.get(self.blob.len().saturating_sub(8)..).unwrap_or_default();
        write!(f, "{} ..{}", self.algorithm, tail.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
    }
}

/// Which way files may be carried.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum FileTransfer {
    /// None.
    None,
    /// From the server to the browser.
    Download,
    /// From the browser to the server.
    Upload,
    /// Both ways.
    Both,
}

impl FileTransfer {
    /// Whether files may be taken from the server.
    #[must_use]
    pub fn downloads(self) -> bool {
        match self {
            Self::Download | Self::Both => true,
            Self::None | Self::Upload => false,
        }
    }

    /// Whether files may be put there.
    #[must_use]
    pub fn uploads(self) -> bool {
        match self {
            Self::Upload | Self::Both => true,
            Self::None | Self::Download => false,
        }
    }
}
