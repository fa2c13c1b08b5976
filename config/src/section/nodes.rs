//! `[nodes]`: the machines that serve together. The section is the same on each of them; which one a machine is stands in
//! a file of its own, so that one configuration has one revision everywhere. `[nodes.channel]`: how they ask each other for
//! what stands in their logs.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;
use policy::Host;

use super::upstream::{NoUpstream, refuse_place};
use crate::files::Files;
use crate::walk::{Table, Value};
use crate::{CertificateFiles, NodeChannel, NodeName, Nodes};

/// More nodes than any house has; each reads what all others say, every second.
const NODES_MAX: usize = 16;
const DEFAULT_SILENT_AFTER: Duration = Duration::from_secs(15);
const HOUR: Duration = Duration::from_secs(3_600);
const NAME_FORM: &str = "write small letters, digits and hyphens, 32 at most, such as `gw01`";
const ADDRESS_FORM: &str = "write host and port, such as `10.20.0.11:8443`";

/// Nothing where there is only one machine.
pub(crate) fn read(table: &Table<'_>, files: &Files<'_>, forbidden: &[IpNet]) -> Option<Option<Nodes>> {
    let names = table.optional("names", |value| names(&value));
    let named = names.as_ref().and_then(Option::as_deref).unwrap_or_default();
    let own = table.optional("name_file", |value| own(&value, files, named));
    let silent_after =
        table.or("silent_after", DEFAULT_SILENT_AFTER, |value| value.time(Duration::from_secs(5)..=HOUR));
    let channel = table.optional("channel", |value| {
        let (Some(Some(names)), Some(Some(own))) = (&names, &own) else { return None };
        channel(&value.table()?, files, Among { names, own, forbidden })
    });
    let own_is_missing = matches!((&names, &own), (Some(Some(_)), Some(None)));
    let says_more = matches!(own, Some(Some(_))) || table.value("channel").is_some();
    if matches!(names, Some(None)) && says_more {
        table.needed("names", "`names = [\"gw01\", \"gw02\"]`, all nodes and this one too", |_| Some(()));
    }
    if own_is_missing {
        table.needed("name_file", "`name_file = \"node\"`, a file that holds the name of this machine", |_| Some(()));
    }
    table.finish();
    match (names?, own?) {
        (Some(names), Some(own)) => Some(Some(Nodes { own, names, silent_after: silent_after?, channel: channel? })),
        (Some(_), None) => None,
        (None, Some(_) | None) => Some(None),
    }
}

fn names(value: &Value<'_>) -> Option<Vec<NodeName>> {
    let mut named: Vec<NodeName> = Vec::new();
    for name in value.some(|value| value.parse(NodeName::parse, NAME_FORM))? {
        if named.contains(&name) {
            return value.wrong(format!("names `{name}` twice"), "give each node a name of its own");
        }
        named.push(name);
    }
    if !(2..=NODES_MAX).contains(&named.len()) {
        let remedy = "name all nodes, this one too, or leave `[nodes]` out where there is one machine";
        return value.wrong(format!("names {} nodes; it takes 2 to {NODES_MAX}", named.len()), remedy);
    }
    Some(named)
}

/// The name in the file.
fn own(value: &Value<'_>, files: &Files<'_>, named: &[NodeName]) -> Option<NodeName> {
    let (path, text) = files.of_machine(value)?;
    let path = path.display();
    let name = match NodeName::parse(text.trim()) {
        Ok(name) => name,
        Err(problem) => return value.wrong(format!("`{path}`: {problem}"), NAME_FORM),
    };
    if !named.is_empty() && !named.contains(&name) {
        return value.wrong(
            format!("`{path}` says that this machine is `{name}`, which is not in `names`"),
            "write one of `names` into the file, or add the node to `names` on every machine",
        );
    }
    Some(name)
}

/// Which nodes there are, and where none may be.
struct Among<'a> {
    names: &'a [NodeName],
    own: &'a NodeName,
    forbidden: &'a [IpNet],
}

/// `[nodes.channel]`.
fn channel(table: &Table<'_>, files: &Files<'_>, among: Among<'_>) -> Option<NodeChannel> {
    let example = "`addresses = { gw01 = \"10.20.0.11:8443\", gw02 = \"10.20.0.12:8443\" }`, where each node is asked";
    let addresses = table.needed("addresses", example, |value| addresses(&value, &among));
    let listen = table.optional("listen", |value| value.address());
    let ca_file = table.needed("ca_file", "`ca_file = \"tls/nodes-ca.pem\"`", |value| files.readable(&value));
    let certificate = table.needed(
        "certificate",
        "`certificate = \"tls/node.pem\"`, which differs from machine to machine",
        |value| files.readable(&value),
    );
    let key = table.needed("key", "`key = \"tls/node.key\"`", |value| files.readable_secret(&value));
    table.finish();
    let mut addresses = addresses?;
    let own = addresses.remove(among.own);
    let own = own.and_then(|(host, port)| Some(SocketAddr::new(host.parse().ok()?, port)));
    let Some(listen) = listen?.or(own) else {
        return table.wrong("does not say where this machine listens", "add `listen = \"0.0.0.0:8443\"`");
    };
    let certificate = CertificateFiles { certificate: certificate?, key: key? };
    Some(NodeChannel { listen, addresses, ca_file: ca_file?, certificate })
}

/// Where each node is; all of them, and nobody else.
fn addresses(value: &Value<'_>, among: &Among<'_>) -> Option<BTreeMap<NodeName, (String, u16)>> {
    let table = value.table()?;
    let read = |(key, value): (&str, Value<'_>)| {
        let Some(name) = among.names.iter().find(|name| name.as_str() == key) else {
            return value.wrong(format!("`{key}` is not in `names`"), "write the address of each of `names`");
        };
        Some((name.clone(), address(&value, among.forbidden)?))
    };
    let read = table.entries().into_iter().map(read).collect::<Vec<_>>();
    let read = read.into_iter().collect::<Option<BTreeMap<_, _>>>()?;
    if let Some(name) = among.names.iter().find(|name| !read.contains_key(*name)) {
        return value.wrong(format!("lacks `{name}`"), "write the address of each of `names`, this machine too");
    }
    Some(read)
}

/// A host name or address, with its port.
fn address(value: &Value<'_>, forbidden: &[IpNet]) -> Option<(String, u16)> {
    let text = value.text()?;
    if let Ok(address) = text.parse::<SocketAddr>() {
        let address = SocketAddr::new(address.ip().to_canonical(), address.port());
        refuse_place(value, address, &NoUpstream { forbidden, listeners: &[] })?;
        return Some((address.ip().to_string(), address.port()));
    }
    let parts =
        text.rsplit_once(':').and_then(|(name, port)| Some((name, port.parse().ok().filter(|port| *port > 0)?)));
    let Some((name, port)) = parts.filter(|(name, _)| name.parse::<IpAddr>().is_err()) else {
        return value.wrong(format!("`{text}` is not a host and its port"), ADDRESS_FORM);
    };
    let host = value.parse(|_| Host::parse(name), ADDRESS_FORM)?;
    Some((host.to_string(), port))
}
