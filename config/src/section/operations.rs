//! `[operations]`: health, metrics and diagnostics.

use std::net::{Ipv4Addr, SocketAddr};

use crate::Operations;
use crate::walk::{Table, Value};

const DEFAULT_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);

pub(crate) fn read(table: &Table<'_>, taken: &[SocketAddr]) -> Option<Operations> {
    let address = table.or("address", Some(DEFAULT_ADDRESS), |value| address(&value, taken));
    let log_filter = table.or("log", "info".to_owned(), |value| value.text().map(str::to_owned));
    table.finish();
    Some(Operations { address: address?, log_filter: log_filter? })
}

/// `"off"`, or an address of its own.
fn address(value: &Value<'_>, taken: &[SocketAddr]) -> Option<Option<SocketAddr>> {
    if value.text()? == "off" {
        return Some(None);
    }
    let address = value.address()?;
    if address.port() != 0 && taken.contains(&address) {
        return value.wrong(format!("`{address}` is the address of a listener"), "give it a port of its own");
    }
    Some(Some(address))
}
