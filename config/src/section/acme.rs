//! `[acme]`: server certificates that the gateway orders by itself.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use policy::Host;
use url::Url;

use crate::files::Files;
use crate::walk::{Table, Value};
use crate::{Acme, AcmeName, AcmeProof, ClientCertificates, ExternalAccount, Listener, Secret};

/// As many names as a certificate of the public CAs may have.
const NAMES_MAX: usize = 100;
/// More people than a CA would write to.
const CONTACTS_MAX: usize = 8;
/// The longest address of a directory, in bytes.
const DIRECTORY_BYTES_MAX: usize = 2_048;
/// The longest name of an account, in bytes.
const KEY_ID_BYTES_MAX: usize = 512;
/// Shorter keys are guessed; longer ones nobody gives.
const KEY_BYTES: std::ops::RangeInclusive<usize> = 16..=512;

/// What is around it.
pub(crate) struct Around<'a> {
    pub(crate) files: &'a Files<'a>,
    pub(crate) state_dir: &'a Path,
    /// Every host of the configuration, as far as it could be read.
    pub(crate) hosts: &'a [Host],
    pub(crate) listeners: &'a [Listener],
}

pub(crate) fn read(table: &Table<'_>, around: &Around<'_>) -> Option<Acme> {
    let files = around.files;
    let example = "`directory = \"https://acme.hospital.example.jp/directory\"`";
    let directory = table.needed("directory", example, |value| directory(&value));
    let ca_file = table.optional("ca_file", |value| files.readable(&value));
    let contact = table.or("contact", Vec::new(), |value| contacts(&value));
    let terms =
        table.needed("terms_accepted", "`terms_accepted = true` once you have read what the CA asks", |value| {
            if value.yes_or_no()? {
                return Some(());
            }
            value.wrong(
                "is false, and no CA gives certificates then",
                "read its terms, and write true; or remove [acme]",
            )
        });
    let names = table.or("names", hosts(around.hosts), |value| names(&value));
    let hook = table.optional("hook", |value| files.program(&value));
    let challenge = table.or("challenge", Challenge::Tls, |value| {
        value.word(&[("tls-alpn-01", Challenge::Tls), ("dns-01", Challenge::Dns)])
    });
    let external_account = table.optional("external_account", |value| external_account(&value.table()?, files));
    table.finish();
    let names = names?;
    if names.len() > NAMES_MAX {
        let remedy = "write wildcards into `names`, with `challenge = \"dns-01\"`";
        return table.wrong(format!("would order a certificate for more than {NAMES_MAX} names"), remedy);
    }
    let proof = match (challenge?, hook?) {
        (Challenge::Dns, Some(hook)) => AcmeProof::Dns { hook },
        (Challenge::Dns, None) => {
            return table
                .wrong("has `challenge = \"dns-01\"` without a program", "add `hook`, which writes into the DNS");
        }
        (Challenge::Tls, Some(_)) => {
            return table.wrong("has a `hook` that is never run", "add `challenge = \"dns-01\"`, or remove it");
        }
        (Challenge::Tls, None) => by_tls(table, &names, around.listeners)?,
    };
    terms?;
    Some(Acme {
        directory: directory?,
        ca_file: ca_file?,
        contact: contact?,
        names,
        proof,
        external_account: external_account?,
        folder: around.state_dir.join("acme"),
    })
}

#[derive(Clone, Copy)]
enum Challenge {
    Tls,
    Dns,
}

/// The CA has no certificate to show, and a wildcard is nobody it could connect to.
fn by_tls(table: &Table<'_>, names: &[AcmeName], listeners: &[Listener]) -> Option<AcmeProof> {
    if let Some(name) = names.iter().find(|name| matches!(name, AcmeName::Below(_))) {
        let reason = format!("`{name}` cannot be shown by `tls-alpn-01`");
        return table.wrong(reason, "name each host, or write `challenge = \"dns-01\"` with a `hook`");
    }
    let asks_all = |listener: &Listener| listener.client_certificates == ClientCertificates::Required;
    if !listeners.is_empty() && listeners.iter().all(asks_all) {
        let reason = "orders by `tls-alpn-01`, and every listener wants a device certificate, which the CA has not";
        return table.wrong(reason, "write `challenge = \"dns-01\"` with a `hook`");
    }
    Some(AcmeProof::Tls)
}

fn hosts(hosts: &[Host]) -> Vec<AcmeName> {
    let mut names: Vec<AcmeName> = hosts.iter().cloned().map(AcmeName::Host).collect();
    names.sort();
    names.dedup();
    names
}

fn names(value: &Value<'_>) -> Option<Vec<AcmeName>> {
    let remedy = "write a host such as `emr.hospital.example.jp`, or `*.hospital.example.jp`";
    let mut names = value.some(|one| one.parse(AcmeName::parse, remedy))?;
    names.sort();
    let count = names.len();
    names.dedup();
    if names.len() < count {
        return value.wrong("names a host twice", "name each once");
    }
    Some(names)
}

fn directory(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let remedy =
        "write the address that the CA gives for its directory, such as `https://acme.hospital.example.jp/directory`";
    let Ok(url) = Url::parse(text) else { return value.wrong(format!("`{text}` is not an address"), remedy) };
    if url.scheme() != "https" {
        return value.wrong(format!("`{text}` is not https"), remedy);
    }
    let is_plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    if !is_plain || url.host_str().is_none_or(str::is_empty) || text.len() > DIRECTORY_BYTES_MAX {
        return value.wrong(format!("`{text}` has more than host, path and query"), remedy);
    }
    Some(String::from(url))
}

fn contacts(value: &Value<'_>) -> Option<Vec<String>> {
    let contacts = value.each(|one| {
        let text = one.text()?;
        let is_mail = text.strip_prefix("mailto:").is_some_and(|address| {
            address.split_once('@').is_some_and(|(user, host)| !user.is_empty() && Host::parse(host).is_ok())
                && address.bytes().all(|byte| byte.is_ascii_graphic() && !b"?,<>".contains(&byte))
        });
        if is_mail {
            Some(text.to_owned())
        } else {
            one.wrong(format!("`{text}` is not a mail address"), "write it like `mailto:it@hospital.example.jp`")
        }
    })?;
    if contacts.len() > CONTACTS_MAX {
        return value.wrong(format!("has more than {CONTACTS_MAX} addresses"), "name a shared mailbox");
    }
    Some(contacts)
}

fn external_account(table: &Table<'_>, files: &Files<'_>) -> Option<ExternalAccount> {
    let key_id = table.needed("key_id", "`key_id = \"...\"` as the CA gave it", |value| {
        let text = value.text()?;
        if text.is_empty() || text.len() > KEY_ID_BYTES_MAX {
            return value.wrong("is no name of an account", "write it as the CA gave it");
        }
        Some(text.to_owned())
    });
    let key = table.needed("key_file", "`key_file = \"secrets/acme-account.key\"`", |value| key(&value, files));
    table.finish();
    Some(ExternalAccount { key_id: key_id?, key: key? })
}

fn key(value: &Value<'_>, files: &Files<'_>) -> Option<Secret> {
    let key = files.secret(value)?;
    let unpadded = key.expose().trim_end_matches('=');
    let bytes = URL_SAFE_NO_PAD.decode(unpadded).map(zeroize::Zeroizing::new);
    if bytes.is_ok_and(|bytes| KEY_BYTES.contains(&bytes.len())) {
        return Some(Secret::new(unpadded.to_owned()));
    }
    value.wrong("holds no key in base64url", "write the key into it as the CA gave it, and nothing else")
}
