//! `[[provider]]`: identity providers.

use std::net::IpAddr;
use std::time::Duration;

use policy::{AppId, Assurance, Host, ProviderId, RoleId};
use url::Url;

use super::names::{self, NAME_REMEDY};
use crate::declared::Declared;
use crate::files::Files;
use crate::walk::{Seen, Table, Value};
use crate::{Names, Provider, SecondFactor};

const ASSURANCES: [(&str, Assurance); 3] =
    [("aal1", Assurance::Aal1), ("aal2", Assurance::Aal2), ("aal3", Assurance::Aal3)];

const SECOND_FACTORS: [(&str, SecondFactor); 2] =
    [("provider", SecondFactor::Provider), ("passkey", SecondFactor::Passkey)];
/// The name of the gateway's own directory where a provider's name stands.
const LOCAL: &str = "local";
const MINUTE: Duration = Duration::from_secs(60);

pub(crate) fn read(root: &Table<'_>, files: &Files<'_>, declared: &Declared) -> Option<Vec<Provider>> {
    let mut seen = Seen::default();
    let tables = root.tables("provider");
    tables
        .into_iter()
        .map(|table| read_one(&table, files, declared, &mut seen))
        .collect::<Vec<_>>()
        .into_iter()
        .collect()
}

fn read_one(table: &Table<'_>, files: &Files<'_>, declared: &Declared, seen: &mut Seen) -> Option<Provider> {
    let id = table.needed("id", "`id = \"hospital-idp\"`", |value| {
        let id = value.parse(ProviderId::parse, NAME_REMEDY)?;
        if id.as_str() == LOCAL {
            return value.wrong(format!("`{LOCAL}` is the gateway's own directory"), "give the provider another id");
        }
        seen.claim(&value, id.as_str(), "give each provider its own id")?;
        Some(id)
    });
    let default_name = id.as_ref().map(ToString::to_string).unwrap_or_default();
    let default_name = Names { ja: default_name.clone(), en: default_name };
    let name = table.or("name", default_name, |value| names::read(&value));
    let issuer = table.needed("issuer", "`issuer = \"https://idp.hospital.example.jp/realms/staff\"`", |v| issuer(&v));
    let client_id = table.needed("client_id", "`client_id = \"sekimori\"`", |value| value.text().map(str::to_owned));
    let client_secret = table.optional("client_secret_file", |value| files.secret(&value));
    let scopes = table.or("scopes", vec!["profile".to_owned()], |value| value.each(|item| scope(&item)));
    let roles_claim = table.or("roles_claim", "roles".to_owned(), |value| claim(&value));
    let roles = table.section("roles").and_then(|table| {
        let read_one = |(claimed, value): (&str, Value<'_>)| {
            let role = value.parse(RoleId::parse, NAME_REMEDY)?;
            declared.role(&value, role.as_str())?;
            Some((claimed.to_owned(), role))
        };
        table.entries().into_iter().map(read_one).collect::<Vec<_>>().into_iter().collect()
    });
    let assurance = table.section("assurance").and_then(|table| {
        let read_one = |(claimed, value): (&str, Value<'_>)| Some((claimed.to_owned(), value.word(&ASSURANCES)?));
        table.entries().into_iter().map(read_one).collect::<Vec<_>>().into_iter().collect()
    });
    let ca_file = table.optional("ca_file", |value| files.readable(&value));
    let domains = table.or("domains", Vec::new(), |value| value.some(|item| domain(&item)));
    let listeners = table.or("listeners", Vec::new(), |value| {
        value.some(|item| {
            let name = item.text()?;
            declared.listener(&item, name)?;
            Some(name.to_owned())
        })
    });
    let apps = table.or("apps", Vec::new(), |value| {
        value.some(|item| {
            let app = item.parse(AppId::parse, NAME_REMEDY)?;
            declared.app(&item, app.as_str())?;
            Some(app)
        })
    });
    let second_factor = table.or("second_factor", SecondFactor::Provider, |value| value.word(&SECOND_FACTORS));
    let passkey_sign_in = table.or("passkey_sign_in", false, |value| value.yes_or_no());
    let enrol = table.or("enrol_at_first_sign_in", false, |value| value.yes_or_no());
    let check_interval = table.optional("check_interval", |value| value.time(MINUTE..=24 * 60 * MINUTE));
    table.finish();
    Some(Provider {
        id: id?,
        name: name?,
        issuer: issuer?,
        client_id: client_id?,
        client_secret: client_secret?,
        scopes: scopes?,
        roles_claim: roles_claim?,
        roles: roles?,
        assurance: assurance?,
        ca_file: ca_file?,
        domains: domains?,
        listeners: listeners?,
        apps: apps?,
        second_factor: second_factor?,
        passkey_sign_in: passkey_sign_in?,
        enrol_at_first_sign_in: enrol?,
        check_interval: check_interval?,
    })
}

/// An issuer identifier, kept as written because it is compared letter by letter (OpenID Connect Core section 2).
fn issuer(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    let remedy = "write the `issuer` that the provider's `/.well-known/openid-configuration` shows";
    let Ok(url) = Url::parse(text) else {
        return value.wrong(format!("`{text}` is not an address"), remedy);
    };
    let is_loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => IpAddr::V4(address).is_loopback(),
        Some(url::Host::Ipv6(address)) => IpAddr::V6(address).is_loopback(),
        None => false,
    };
    if url.scheme() != "https" && !(url.scheme() == "http" && is_loopback) {
        return value.wrong(format!("`{text}` is not reached by https"), "use https; http is for this machine only");
    }
    if url.query().is_some() || url.fragment().is_some() || !url.username().is_empty() || url.password().is_some() {
        return value.wrong(format!("`{text}` has more than host and path"), remedy);
    }
    Some(text.to_owned())
}

/// The part of an e-mail address after the `@`.
fn domain(value: &Value<'_>) -> Option<String> {
    let domain =
        value.parse(Host::parse, "write what follows the `@` of people's addresses, such as `hospital.example.jp`")?;
    Some(domain.as_str().to_owned())
}

/// RFC 6749 section 3.3 `scope-token`.
fn scope(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\') {
        return Some(text.to_owned());
    }
    value.wrong(format!("`{text}` is not a scope"), "write one scope an item, such as `[\"profile\", \"groups\"]`")
}

/// A claim, or a path into objects with dots between.
fn claim(value: &Value<'_>) -> Option<String> {
    let text = value.text()?;
    if text.split('.').all(|part| !part.is_empty()) {
        return Some(text.to_owned());
    }
    value.wrong(format!("`{text}` has an empty part"), "write `roles`, or a path such as `realm_access.roles`")
}
