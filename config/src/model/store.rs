//! Where people, devices, sessions and exceptions are kept.

use std::path::PathBuf;
use std::time::Duration;

use crate::{Secret, UpstreamTls};

/// The store.
#[derive(Clone, Debug)]
pub struct StoreSettings {
    /// Which.
    pub kind: StoreKind,
    /// How long people who are signed in go on while it does not answer.
    pub away_max: Duration,
}

/// Which store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum StoreKind {
    /// A file in the state directory.
    Sqlite,
    /// A PostgreSQL database, which several nodes may share.
    Postgres(Box<Database>),
}

/// A PostgreSQL database, and how it is reached.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Database {
    /// Where it listens.
    pub place: DatabasePlace,
    /// Its name.
    pub name: String,
    /// The role that owns the tables.
    pub user: String,
    /// Its password; none where the server knows the account by the socket.
    pub password: Option<Secret>,
    /// Connections of this node.
    pub connections: usize,
}

/// Where a database listens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum DatabasePlace {
    /// At a host and port; without TLS on this machine alone.
    Host {
        /// Host name or address, without brackets.
        host: String,
        /// Port.
        port: u16,
        /// How its certificate is verified.
        tls: Option<UpstreamTls>,
    },
    /// At a socket of this machine.
    Socket(PathBuf),
}
