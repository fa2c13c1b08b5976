//! `[mail]` and `[[notice]]`: who is notified of what, by mail or webhook.

use std::net::{IpAddr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use policy::{Host, NoticeId};
use url::Url;

use super::names::NAME_REMEDY;
use super::upstream::{NoUpstream, refuse_place};
use crate::files::Files;
use crate::walk::{Seen, Table, Value};
use crate::{
    MailAddress, MailEncryption, MailLogin, MailServer, Notice, NoticeEvent, NoticeLanguage, NoticeTo, Secret, Webhook,
    WebhookKey,
};

/// Each is told one event after the other.
const NOTICES_MAX: usize = 16;
/// The most addresses of one receiver.
const ADDRESSES_MAX: usize = 20;
/// The longest address of a webhook, in bytes.
const URL_BYTES_MAX: usize = 2_048;
/// What the secret of a webhook begins with (Standard Webhooks).
const KEY_PREFIX: &str = "whsec_";
/// How long the key behind that may be, in bytes.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

const ENCRYPTIONS: [(&str, MailEncryption); 3] =
    [("starttls", MailEncryption::StartTls), ("tls", MailEncryption::Tls), ("none", MailEncryption::None)];
const LANGUAGES: [(&str, NoticeLanguage); 2] = [("ja", NoticeLanguage::Japanese), ("en", NoticeLanguage::English)];
const ADDRESS_REMEDY: &str = "write one address in ASCII, such as `jimu@hospital.example.jp`";

/// What else the sections depend on.
#[derive(Clone, Copy)]
pub(crate) struct Around<'a> {
    pub(crate) files: &'a Files<'a>,
    pub(crate) no_upstream: &'a NoUpstream<'a>,
}

/// `[mail]`; `Some(None)` where it is left out.
pub(crate) fn read_mail(root: &Table<'_>, around: Around<'_>) -> Option<Option<MailServer>> {
    root.optional("mail", |value| {
        let table = value.table()?;
        let encryption = table.or("encryption", MailEncryption::StartTls, |value| value.word(&ENCRYPTIONS));
        let server = table.needed("server", "`server = \"mail.hospital.example.jp:587\"`", |value| {
            server(&value, encryption.map_or(587, port), around.no_upstream)
        });
        let ca_file = table.optional("ca_file", |value| around.files.readable(&value));
        let server_name = table.optional("server_name", |value| {
            value.parse(
                |text| Host::parse(text).map(|host| host.to_string()),
                "write the name in the server's certificate",
            )
        });
        let from = table.needed("from", "`from = \"sekimori@hospital.example.jp\"`", |value| {
            value.parse(MailAddress::parse, ADDRESS_REMEDY)
        });
        let user = table.optional("user", |value| value.text().map(str::to_owned));
        let password = table.optional("password_file", |value| around.files.secret(&value));
        table.finish();
        let login = match (user?, password?) {
            (Some(user), Some(password)) => Some(MailLogin { user, password }),
            (None, None) => None,
            (Some(_), None) => return table.wrong("has a `user` without its password", "add `password_file`"),
            (None, Some(_)) => return table.wrong("has a `password_file` without its user", "add `user`"),
        };
        let (host, port) = server?;
        let (encryption, ca_file, server_name) = (encryption?, ca_file?, server_name?);
        if encryption == MailEncryption::None {
            if login.is_some() {
                return table.wrong(
                    "would send its password without encryption",
                    "write `encryption = \"starttls\"`, or leave `user` and `password_file` out",
                );
            }
            if ca_file.is_some() || server_name.is_some() {
                return table.wrong(
                    "names a certificate, but is not encrypted",
                    "write `encryption = \"starttls\"`, or leave `ca_file` and `server_name` out",
                );
            }
        }
        Some(MailServer { host, port, encryption, ca_file, server_name, from: from?, login })
    })
}

fn port(encryption: MailEncryption) -> u16 {
    match encryption {
        MailEncryption::StartTls => 587,
        MailEncryption::Tls => 465,
        MailEncryption::None => 25,
    }
}

/// A host name or address, with or without its port.
fn server(value: &Value<'_>, usual: u16, no_upstream: &NoUpstream<'_>) -> Option<(String, u16)> {
    let text = value.text()?;
    let parsed = text.parse::<SocketAddr>().or_else(|_| text.parse().map(|ip: IpAddr| SocketAddr::new(ip, usual)));
    if let Ok(address) = parsed {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        refuse_place(value, address, no_upstream)?;
        return Some((address.ip().to_string(), address.port()));
    }
    let remedy = "write host and port, such as `mail.hospital.example.jp:587`";
    let (name, port) = match text.rsplit_once(':') {
        Some((name, digits)) => match digits.parse() {
            Ok(port) if port > 0 => (name, port),
            Ok(_) | Err(_) => return value.wrong(format!("`{digits}` is not a port"), remedy),
        },
        None => (text, usual),
    };
    let host = value.parse(|_| Host::parse(name), remedy)?;
    Some((host.to_string(), port))
}

/// Every `[[notice]]`. `has_mail` is whether there is a `[mail]`, be it right or wrong.
pub(crate) fn read(root: &Table<'_>, around: Around<'_>, has_mail: bool) -> Option<Vec<Notice>> {
    let mut seen = Seen::default();
    let tables = root.tables("notice");
    if tables.len() > NOTICES_MAX {
        return root
            .wrong(format!("has more than {NOTICES_MAX} notices"), "let one receiver pass them on to the others");
    }
    let read = |table: Table<'_>| read_one(&table, around, has_mail, &mut seen);
    tables.into_iter().map(read).collect::<Vec<_>>().into_iter().collect()
}

fn read_one(table: &Table<'_>, around: Around<'_>, has_mail: bool, seen: &mut Seen) -> Option<Notice> {
    let id = table.needed("id", "`id = \"security-desk\"`", |value| {
        let id = value.parse(NoticeId::parse, NAME_REMEDY)?;
        seen.claim(&value, id.as_str(), "give each notice its own id")?;
        Some(id)
    });
    let events = table.needed("events", "`events = \"all\"`", |value| {
        if value.as_text() == Some("all") {
            return Some(NoticeEvent::ALL.iter().map(|(_, event)| *event).collect());
        }
        Some(value.some(|one| one.word(&NoticeEvent::ALL))?.into_iter().collect())
    });
    let language = table.or("language", NoticeLanguage::Japanese, |value| value.word(&LANGUAGES));
    let mail = table.optional("mail_to", |value| {
        let addresses = value.some(|one| one.parse(MailAddress::parse, ADDRESS_REMEDY))?;
        if addresses.len() > ADDRESSES_MAX {
            return value.wrong(format!("has more than {ADDRESSES_MAX} addresses"), "use a mailing list");
        }
        if !has_mail {
            return value.dangling("needs a mail server, and there is none", "add `[mail]` with `server` and `from`");
        }
        Some(addresses)
    });
    let url = table.optional("webhook", |value| url(&value, around.no_upstream));
    let key = table.optional("secret_file", |value| key(&value, around.files));
    let ca_file = table.optional("ca_file", |value| around.files.readable(&value));
    table.finish();
    let to = match (mail?, url?, key?) {
        (Some(addresses), None, None) => NoticeTo::Mail(addresses),
        (None, Some(url), Some(key)) => NoticeTo::Webhook(Webhook { url, key, ca_file: ca_file.clone()? }),
        (None, Some(_), None) => {
            return table.wrong("has a webhook without its secret", "add `secret_file`; requests to it are signed");
        }
        (None, None, _) => {
            return table
                .wrong("says nobody whom to tell", "add `mail_to = [\"jimu@hospital.example.jp\"]`, or `webhook`");
        }
        (Some(_), _, _) => {
            return table.wrong("mixes mail and webhook", "write a `[[notice]]` for each of them");
        }
    };
    if ca_file?.is_some() && matches!(to, NoticeTo::Mail(_)) {
        return table.wrong("has a `ca_file`, which is for a webhook", "write it in `[mail]`");
    }
    Some(Notice { id: id?, events: events?, to, language: language? })
}

/// The address of a webhook.
fn url(value: &Value<'_>, no_upstream: &NoUpstream<'_>) -> Option<Url> {
    let text = value.text()?;
    let remedy = "write it like `https://chat.hospital.example.jp/hooks/sekimori`";
    let Some(url) = Url::parse(text).ok().filter(|url| url.as_str().len() <= URL_BYTES_MAX) else {
        return value.wrong(format!("`{text}` is not an address"), remedy);
    };
    let address = match url.host() {
        Some(url::Host::Domain(_)) => None,
        Some(url::Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(url::Host::Ipv6(address)) => Some(IpAddr::V6(address).to_canonical()),
        None => return value.wrong(format!("`{text}` has no host"), remedy),
    };
    let is_here = url.host_str() == Some("localhost") || address.is_some_and(|address| address.is_loopback());
    if url.scheme() != "https" && !(url.scheme() == "http" && is_here) {
        return value.wrong(format!("`{text}` is not reached by https"), "use https; http is for this machine only");
    }
    if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
        return value.wrong(format!("`{text}` has more than host, path and query"), remedy);
    }
    if let Some(address) = address {
        refuse_place(value, SocketAddr::new(address, url.port_or_known_default().unwrap_or(443)), no_upstream)?;
    }
    Some(url)
}

/// What requests are signed with.
fn key(value: &Value<'_>, files: &Files<'_>) -> Option<WebhookKey> {
    let secret = files.secret(value)?;
    let base64 = secret.expose().strip_prefix(KEY_PREFIX);
    let decoded = base64.and_then(|text| STANDARD.decode(text).ok()).map(zeroize::Zeroizing::new);
    match (base64, decoded) {
        (Some(base64), Some(key)) if KEY_BYTES.contains(&key.len()) => {
            Some(WebhookKey::new(Secret::new(base64.to_owned())))
        }
        (Some(_) | None, _) => value.wrong(
            "does not hold the secret of a webhook",
            "write it with `echo \"whsec_$(openssl rand -base64 32)\" > FILE`, or take the one the receiver gives you",
        ),
    }
}
