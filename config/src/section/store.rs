//! `[store]`: a file, or a PostgreSQL database.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use policy::Host;

use super::upstream::{NoUpstream, refuse_place};
use crate::files::Files;
use crate::walk::{Table, Value};
use crate::{Database, DatabasePlace, StoreKind, StoreSettings, UpstreamTls};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// A shift.
const AWAY_MAX: Duration = Duration::from_secs(12 * 3_600);
/// The port of PostgreSQL.
const PORT: u16 = 5_432;
/// One writes, one listens, at least one reads.
const CONNECTIONS: std::ops::RangeInclusive<u32> = 3..=32;

/// What else the section depends on.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) files: &'a Files<'a>,
    pub(crate) no_upstream: &'a NoUpstream<'a>,
}

/// Which store.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Sqlite,
    Postgres,
}

pub(crate) fn read(table: &Table<'_>, around: Around<'_>) -> Option<StoreSettings> {
    let away_max = table.or("away_max", AWAY_MAX, |value| value.time(MINUTE..=72 * HOUR));
    let kinds = [("sqlite", Kind::Sqlite), ("postgres", Kind::Postgres)];
    let kind = table.or("kind", Kind::Sqlite, |value| value.word(&kinds));
    let kind = match kind {
        Some(Kind::Sqlite) => {
            table.finish();
            Some(StoreKind::Sqlite)
        }
        Some(Kind::Postgres) => database(table, around).map(|database| StoreKind::Postgres(Box::new(database))),
        None => None,
    };
    Some(StoreSettings { kind: kind?, away_max: away_max? })
}

fn database(table: &Table<'_>, around: Around<'_>) -> Option<Database> {
    let address = table
        .needed("address", "`address = \"db.hospital.example.jp:5432\"`", |value| address(&value, around.no_upstream));
    let name = table.or("database", "sekimori".to_owned(), |value| value.text().map(str::to_owned));
    let user = table.or("user", "sekimori".to_owned(), |value| value.text().map(str::to_owned));
    let password = table.optional("password_file", |value| around.files.secret(&value));
    let ca_file = table.optional("ca_file", |value| around.files.readable(&value));
    let server_name = table.optional("server_name", |value| {
        value.parse(|text| Host::parse(text).map(|host| host.to_string()), "write the name in the server's certificate")
    });
    let connections = table.or("connections", 4_u32, |value| value.count(CONNECTIONS));
    table.finish();
    let (password, ca_file, server_name) = (password?, ca_file?, server_name?);
    let place = match address? {
        Address::Socket(_) if ca_file.is_some() || server_name.is_some() => {
            return table.wrong(
                "names a certificate, but a socket of this machine has none",
                "leave `ca_file` and `server_name` out",
            );
        }
        Address::Socket(path) => DatabasePlace::Socket(Path::new(&path).to_owned()),
        Address::Host { .. } if password.is_none() => {
            return table.wrong("has no password", "add `password_file`, or name a socket of this machine");
        }
        Address::Host { host, port } => {
            // What does not leave the machine may go without TLS; with a CA named it does not.
            let is_plain = is_here(&host) && ca_file.is_none() && server_name.is_none();
            let tls = (!is_plain).then_some(UpstreamTls { ca_file, client_certificate: None, server_name });
            DatabasePlace::Host { host, port, tls }
        }
    };
    Some(Database {
        place,
        name: name?,
        user: user?,
        password,
        connections: usize::try_from(connections?).unwrap_or(usize::MAX),
    })
}

enum Address {
    Host { host: String, port: u16 },
    Socket(String),
}

/// Host and port, or the path of a socket.
fn address(value: &Value<'_>, no_upstream: &NoUpstream<'_>) -> Option<Address> {
    let text = value.text()?;
    if text.starts_with('/') {
        return Some(Address::Socket(text.to_owned()));
    }
    let parsed = text.parse::<SocketAddr>().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, PORT)));
    if let Ok(address) = parsed {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        refuse_place(value, address, no_upstream)?;
        return Some(Address::Host { host: address.ip().to_string(), port: address.port() });
    }
    let remedy = "write host and port, such as `db.hospital.example.jp:5432`, or the path of a socket, such as \
                  `/run/postgresql/.s.PGSQL.5432`";
    let (name, port) = match text.rsplit_once(':') {
        Some((name, digits)) => match digits.parse() {
            Ok(port) if port > 0 => (name, port),
            Ok(_) | Err(_) => return value.wrong(format!("`{digits}` is not a port"), remedy),
        },
        None => (text, PORT),
    };
    let host = value.parse(|_| Host::parse(name), remedy)?;
    Some(Address::Host { host: host.to_string(), port })
}

fn is_here(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}
