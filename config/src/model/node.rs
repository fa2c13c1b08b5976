//! The nodes of a gateway that is more than one machine.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::CertificateFiles;

/// The longest name of a node.
const NAME_MAX: usize = 32;

/// The name of a node: small letters, digits and hyphens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct NodeName(String);

impl NodeName {
    /// Reads a name.
    ///
    /// # Errors
    /// In words, where it is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let ends = text.starts_with('-') || text.ends_with('-');
        if text.is_empty() || text.len() > NAME_MAX || ends || !text.bytes().all(fits) {
            return Err(format!("`{}` is not a node's name", text.escape_debug()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The nodes that serve together from one store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nodes {
    /// Which of them this machine is.
    pub own: NodeName,
    /// All of them, this one too; at least two, each once. The order says who takes over.
    pub names: Vec<NodeName>,
    /// How long a node may say nothing before it counts as gone.
    pub silent_after: Duration,
    /// How they ask each other for what stands in their logs; nothing where they do not.
    pub channel: Option<NodeChannel>,
}

/// The way from node to node, over mutual TLS.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NodeChannel {
    /// Where this machine is asked.
    pub listen: SocketAddr,
    /// Host and port of every other node.
    pub addresses: BTreeMap<NodeName, (String, u16)>,
    /// The CA of the nodes' certificates, and no other.
    pub ca_file: PathBuf,
    /// The certificate of this machine, which names its node, with its key.
    pub certificate: CertificateFiles,
}

impl Nodes {
    /// All others.
    pub fn peers(&self) -> impl Iterator<Item = &NodeName> {
        self.names.iter().filter(|name| **name != self.own)
    }
}
