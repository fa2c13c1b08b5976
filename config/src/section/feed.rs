//! `[[audit.feed]]`: receivers that the access log is told to.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use policy::{FeedId, Host};

use super::names::NAME_REMEDY;
use super::upstream::{NoUpstream, refuse_place};
use crate::files::Files;
use crate::walk::{Seen, Table, Value};
use crate::{CertificateFiles, Feed, FeedBegin, FeedEvents, FeedFormat, UpstreamTls};

/// The port of syslog over TLS (RFC 5425 section 4.1).
const PORT: u16 = 6514;
/// Each feed reads the whole log.
const FEEDS_MAX: usize = 8;
const KIB: u64 = 1 << 10;
const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

const FORMATS: [(&str, FeedFormat); 3] =
    [("json", FeedFormat::Json), ("dicom-xml", FeedFormat::DicomXml), ("fhir", FeedFormat::Fhir)];
const BEGINS: [(&str, FeedBegin); 2] = [("oldest", FeedBegin::Oldest), ("now", FeedBegin::Now)];

/// What else the section depends on.
pub(crate) struct Around<'a> {
    pub(crate) files: &'a Files<'a>,
    pub(crate) no_upstream: &'a NoUpstream<'a>,
}

/// Reads the receivers from `[audit]`. To be called before that section is finished.
pub(crate) fn read(audit: &Table<'_>, around: &Around<'_>) -> Option<Vec<Feed>> {
    let mut seen = Seen::default();
    let tables = audit.tables("feed");
    if tables.len() > FEEDS_MAX {
        return audit.wrong(format!("has more than {FEEDS_MAX} feeds"), "let one receiver pass it on to the others");
    }
    tables.into_iter().map(|table| read_one(&table, around, &mut seen)).collect::<Vec<_>>().into_iter().collect()
}

fn read_one(table: &Table<'_>, around: &Around<'_>, seen: &mut Seen) -> Option<Feed> {
    let id = table.needed("id", "`id = \"siem\"`", |value| {
        let id = value.parse(FeedId::parse, NAME_REMEDY)?;
        seen.claim(&value, id.as_str(), "give each feed its own id")?;
        Some(id)
    });
    let address = table.needed("address", "`address = \"siem.hospital.example.jp:6514\"`", |value| {
        address(&value, around.no_upstream)
    });
    let server_name = table.optional("server_name", |value| {
        let parse = |text: &str| match text.parse::<IpAddr>() {
            Ok(address) => Ok(address.to_string()),
            Err(_) => Host::parse(text).map(|host| host.to_string()),
        };
        value.parse(parse, "write a host name or address, as the receiver's certificate has it")
    });
    let ca = table.needed("ca_file", "`ca_file = \"tls/siem-ca.pem\"`", |value| around.files.readable(&value));
    let certificate = table
        .needed("client_certificate", "`client_certificate = \"tls/feed.pem\"`", |value| around.files.readable(&value));
    let key =
        table.needed("client_key", "`client_key = \"tls/feed.key\"`", |value| around.files.readable_secret(&value));
    let format = table.needed("format", "`format = \"json\"`", |value| value.word(&FORMATS));
    let all = FeedEvents::ALL.iter().map(|(_, events)| *events).collect();
    let events = table.or("events", all, |value| events(&value));
    let begin = table.or("begin", FeedBegin::Oldest, |value| value.word(&BEGINS));
    let longest = table.or("message_max", 32 * KIB, |value| value.size(2 * KIB..=1024 * KIB));
    let settle = table.or("settle", 10 * SECOND, |value| value.time(SECOND..=10 * MINUTE));
    let alarm_after = table.or("alarm_after", 15 * MINUTE, |value| value.time(MINUTE..=72 * 60 * MINUTE));
    table.finish();
    let (host, port) = address?;
    let client_certificate = Some(CertificateFiles { certificate: certificate?, key: key? });
    Some(Feed {
        id: id?,
        host,
        port,
        tls: UpstreamTls { ca_file: Some(ca?), client_certificate, server_name: server_name? },
        format: format?,
        events: events?,
        begin: begin?,
        message_bytes_max: usize::try_from(longest?).unwrap_or(usize::MAX),
        settle: settle?,
        alarm_after: alarm_after?,
    })
}

/// A host name or address, with or without its port.
fn address(value: &Value<'_>, no_upstream: &NoUpstream<'_>) -> Option<(String, u16)> {
    let text = value.text()?;
    let parsed = text.parse::<SocketAddr>().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, PORT)));
    if let Ok(address) = parsed {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        refuse_place(value, address, no_upstream)?;
        return Some((address.ip().to_string(), address.port()));
    }
    let remedy = "write host and port, such as `siem.hospital.example.jp:6514`";
    let (name, port) = match text.rsplit_once(':') {
        Some((name, digits)) => match digits.parse() {
            Ok(port) if port > 0 => (name, port),
            Ok(_) | Err(_) => return value.wrong(format!("`{digits}` is not a port"), remedy),
        },
        None => (text, PORT),
    };
    let host = value.parse(|_| Host::parse(name), remedy)?;
    Some((host.to_string(), port))
}

/// `"all"`, or some kinds.
fn events(value: &Value<'_>) -> Option<BTreeSet<FeedEvents>> {
    if value.as_text() == Some("all") {
        return Some(FeedEvents::ALL.iter().map(|(_, events)| *events).collect());
    }
    Some(value.some(|one| one.word(&FeedEvents::ALL))?.into_iter().collect())
}
