//! `[[listener]]`: where connections are accepted.

use std::net::IpAddr;

use ipnet::IpNet;
use policy::ZoneId;

use super::names::NAME_REMEDY;
use crate::walk::{Seen, Table, Value};
use crate::{ClientCertificates, Listener, TlsProfile};

const CLIENT_CERTIFICATES: [(&str, ClientCertificates); 3] = [
    ("off", ClientCertificates::Off),
    ("optional", ClientCertificates::Optional),
    ("required", ClientCertificates::Required),
];
const TLS_PROFILES: [(&str, TlsProfile); 2] = [("high", TlsProfile::High), ("high-compat", TlsProfile::HighCompat)];

/// The zone whose listeners ask for a device certificate unless told otherwise: over open networks the guideline
/// wants TLS client authentication (6.0, system operation part, chapter 13).
const OPEN_ZONE: &str = "internet";

#[derive(Default)]
struct Taken {
    names: Seen,
    addresses: Seen,
}

pub(crate) fn read(root: &Table<'_>) -> Option<Vec<Listener>> {
    let example = "`[[listener]]` with `address = \"0.0.0.0:443\"` and `zone = \"inside\"`";
    let tables = root.needed("listener", example, |value| {
        let tables = value.tables()?;
        if tables.is_empty() { value.wrong("is an empty list", "name at least one") } else { Some(tables) }
    })?;
    let mut taken = Taken::default();
    tables.into_iter().map(|table| read_one(&table, &mut taken)).collect::<Vec<_>>().into_iter().collect()
}

fn read_one(table: &Table<'_>, taken: &mut Taken) -> Option<Listener> {
    let address = table.needed("address", "`address = \"0.0.0.0:443\"`", |value| {
        let address = value.address()?;
        if address.port() != 0 {
            taken.addresses.claim(&value, &address.to_string(), "give each listener its own address or port")?;
        }
        Some(address)
    });
    let zone_value = table.value("zone");
    let zone = table.needed("zone", "`zone = \"inside\"`", |value| value.parse(ZoneId::parse, NAME_REMEDY));
    let default_name = zone.as_ref().map(ToString::to_string).unwrap_or_default();
    let name = match table.value("name").or(zone_value) {
        None => Some(default_name),
        Some(value) => value.text().and_then(|text| {
            taken.names.claim(&value, text, "give each listener its own `name`")?;
            Some(text.to_owned())
        }),
    };
    let sources = table.list("sources", |value| network(&value));
    let proxy_protocol_from = table.list("proxy_protocol_from", |value| balancer(&value));
    let is_open = zone.as_ref().is_some_and(|zone| zone.as_str() == OPEN_ZONE);
    let asked = if is_open { ClientCertificates::Required } else { ClientCertificates::Optional };
    let client_certificates = table.or("client_certificates", asked, |value| value.word(&CLIENT_CERTIFICATES));
    let tls_profile = table.or("tls", TlsProfile::High, |value| value.word(&TLS_PROFILES));
    table.finish();
    Some(Listener {
        name: name?,
        address: address?,
        zone: zone?,
        sources: sources?,
        proxy_protocol_from: proxy_protocol_from?,
        client_certificates: client_certificates?,
        tls_profile: tls_profile?,
    })
}

/// A network of balancers: never all there is, for whoever is in it may say to be anybody.
fn balancer(value: &Value<'_>) -> Option<IpNet> {
    let network = network(value)?;
    if network.prefix_len() == 0 {
        return value.wrong(
            format!("`{network}` is every address, and each of them could say to be any other"),
            "name the balancers alone",
        );
    }
    Some(network)
}

/// A network such as `10.1.0.0/16`, or a single address. IPv4 written as IPv6 is read as IPv4, as the gateway does
/// with the addresses it sees.
pub(crate) fn network(value: &Value<'_>) -> Option<IpNet> {
    let text = value.text()?;
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address.to_canonical()));
    }
    let Ok(network) = text.parse::<IpNet>() else {
        return value.wrong(
            format!("`{text}` is not a network"),
            "write an address and the length of its network part, such as `10.1.0.0/16` or `fd00::/8`",
        );
    };
    let mapped = matches!(network, IpNet::V6(inner) if inner.addr().to_ipv4_mapped().is_some());
    if mapped {
        return value.wrong(format!("`{text}` is IPv4 written as IPv6"), "write the IPv4 network itself");
    }
    if network.trunc() != network {
        return value.wrong(
            format!("`{text}` has digits after its network part"),
            format!("write `{}`, or one address alone", network.trunc()),
        );
    }
    Some(network)
}
