//! The store as configured: a file, or a PostgreSQL database that is dialled and put under TLS here.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use config::{Config, Database, DatabasePlace, StoreKind, UpstreamProtocol};
use ipnet::IpNet;
use rustls::pki_types::ServerName;
use store::{Alone, Answer, Connector, Postgres, PostgresLogin, Sqlite, Store, StoreProblem, Stream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsConnector;

use crate::assembly::store_file;
use crate::failure::Failure;
use crate::upstream::dial::{Dialer, TlsTo};

/// How long dialling may take.
const DIAL_MAX: Duration = Duration::from_secs(4);
/// What asks a server for TLS (PostgreSQL's frontend/backend protocol, "SSLRequest"): its length, and a code.
const TLS_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];
/// What a server answers that agrees.
const TLS_AGREED: u8 = b'S';

/// Opens the store of a configuration. Other programs may have it open too: the gateway itself, other nodes, commands.
///
/// # Errors
/// [`Failure`] where it cannot be reached or used.
pub fn open(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    match &config.store.kind {
        StoreKind::Sqlite => {
            make_folder(&config.state_dir)?;
            Ok(Arc::new(Sqlite::open(store_file(&config.state_dir)).map_err(unavailable)?))
        }
        StoreKind::Postgres(database) => {
            let door = Door::build(database, &config.forbidden_upstreams)?;
            Ok(Arc::new(Postgres::open(Arc::new(door), login(database)).map_err(|problem| at(database, &problem))?))
        }
    }
}

/// Opens the store of a configuration for this program alone.
///
/// # Errors
/// [`Failure`] where it cannot be reached or used, or another program has it open.
pub fn open_alone(config: &Config) -> Result<Alone, Failure> {
    match &config.store.kind {
        StoreKind::Sqlite => open_file_alone(&store_file(&config.state_dir)),
        StoreKind::Postgres(database) => {
            let door = Door::build(database, &config.forbidden_upstreams)?;
            let opened = Postgres::open_alone(Arc::new(door), login(database));
            Ok(Alone::Postgres(opened.map_err(|problem| at(database, &problem))?))
        }
    }
}

/// Opens a file for this program alone, making it where it is missing.
///
/// # Errors
/// [`Failure`] where it cannot be used, or another program has it open.
pub fn open_file_alone(file: &Path) -> Result<Alone, Failure> {
    Ok(Alone::Sqlite(Sqlite::open_alone(file).map_err(unavailable)?))
}

fn make_folder(state_dir: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(state_dir)
        .map_err(|error| Failure::unavailable(format!("`{}`: {error}", state_dir.display())))
}

fn unavailable(problem: StoreProblem) -> Failure {
    Failure::unavailable(problem.to_string())
}

fn at(database: &Database, problem: &StoreProblem) -> Failure {
    Failure::unavailable(format!("{}: {problem}", place(database)))
}

/// Where a database is, in words.
#[must_use]
pub fn place(database: &Database) -> String {
    match &database.place {
        DatabasePlace::Host { host, port, .. } => format!("the database `{}` at `{host}:{port}`", database.name),
        DatabasePlace::Socket(path) => format!("the database `{}` at `{}`", database.name, path.display()),
    }
}

fn login(database: &Database) -> PostgresLogin {
    PostgresLogin {
        database: database.name.clone(),
        user: database.user.clone(),
        password: database.password.clone(),
        connections: database.connections,
    }
}

/// The way to a database.
#[derive(Debug)]
enum Door {
    Host { dialer: Dialer, host: String, port: u16, tls: Option<TlsTo> },
    Socket(PathBuf),
}

impl Door {
    fn build(database: &Database, forbidden: &[IpNet]) -> Result<Self, Failure> {
        let (host, port, tls) = match &database.place {
            DatabasePlace::Socket(path) => return Ok(Self::Socket(path.clone())),
            DatabasePlace::Host { host, port, tls } => (host, *port, tls),
        };
        let dialer = Dialer::new(DIAL_MAX, forbidden);
        let tls = tls.as_ref().map(|tls| -> Result<TlsTo, Failure> {
            let failed = |problem: certs::CertProblem| Failure::input(problem.to_string());
            let mut client = certs::upstream_config(tls, UpstreamProtocol::Http1).map_err(failed)?;
            // The name PostgreSQL registered; servers that do not look at names take it all the same.
            client.alpn_protocols = vec![b"postgresql".to_vec()];
            let name = tls.server_name.clone().unwrap_or_else(|| host.clone());
            let name = ServerName::try_from(name.clone())
                .map_err(|_| Failure::input(format!("`{name}` is not a server name")))?;
            Ok(TlsTo { connector: TlsConnector::from(Arc::new(client)), name })
        });
        Ok(Self::Host { dialer, host: host.clone(), port, tls: tls.transpose()? })
    }

    async fn open(&self) -> Result<Box<dyn Stream>, String> {
        match self {
            Self::Socket(path) => Ok(Box::new(Dialer::socket(path).await.map_err(|problem| problem.to_string())?)),
            Self::Host { dialer, host, port, tls } => {
                let mut plain = dialer.tcp(host, *port).await.map_err(|problem| problem.to_string())?;
                let Some(tls) = tls else { return Ok(Box::new(plain)) };
                let failed = |error: std::io::Error| format!("`{host}:{port}`: {error}");
                plain.write_all(&TLS_REQUEST).await.map_err(failed)?;
                // One byte and no more: whatever came with it would have been said outside of TLS.
                if plain.read_u8().await.map_err(failed)? != TLS_AGREED {
                    return Err(format!("`{host}:{port}` offers no TLS; set `ssl = on` there"));
                }
                let encrypted = tls.connector.connect(tls.name.clone(), plain).await;
                Ok(Box::new(
                    encrypted.map_err(|error| format!("the TLS handshake with `{host}:{port}` failed: {error}"))?,
                ))
            }
        }
    }
}

impl Connector for Door {
    fn connect(&self) -> Answer<'_, Box<dyn Stream>> {
        Box::pin(async move { self.open().await.map_err(StoreProblem::Unavailable) })
    }
}
