//! `[gateway]`: the gateway itself.

use std::path::PathBuf;

use ipnet::IpNet;
use policy::{Host, UtcOffset};

use super::listener::network;
use super::names::HOST_REMEDY;
use crate::files::Files;
use crate::walk::Table;

/// What `[gateway]` says; each part `None` where it could not be read, so that other sections go on without it.
#[derive(Default)]
pub(crate) struct Gateway {
    pub(crate) state_dir: Option<PathBuf>,
    pub(crate) offset: Option<UtcOffset>,
    pub(crate) public_port: Option<u16>,
    pub(crate) login_host: Option<Host>,
    pub(crate) portal_host: Option<Host>,
    pub(crate) console_host: Option<Option<Host>>,
    pub(crate) forbidden_upstreams: Option<Vec<IpNet>>,
    pub(crate) workers: Option<usize>,
}

pub(crate) fn read(table: &Table<'_>, files: &Files<'_>) -> Gateway {
    let login_host = table.needed("login_host", "`login_host = \"login.hospital.example.jp\"`", |value| {
        value.parse(Host::parse, HOST_REMEDY)
    });
    let portal_host = table.needed("portal_host", "`portal_host = \"portal.hospital.example.jp\"`", |value| {
        let host = value.parse(Host::parse, HOST_REMEDY)?;
        if login_host.as_ref() == Some(&host) {
            return value.wrong(format!("`{host}` is the login host too"), "give the portal a host of its own");
        }
        Some(host)
    });
    let console_host = table.optional("console_host", |value| {
        let host = value.parse(Host::parse, HOST_REMEDY)?;
        for (own, kind) in [(&login_host, "login"), (&portal_host, "portal")] {
            if own.as_ref() == Some(&host) {
                return value.wrong(format!("`{host}` is the {kind} host too"), "give the console a host of its own");
            }
        }
        Some(host)
    });
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let gateway = Gateway {
        state_dir: table.or("state_dir", PathBuf::from(crate::STATE_DIR), |value| files.path(&value)),
        offset: table.or("utc_offset", UtcOffset::JAPAN, |value| {
            let parse =
                |text: &str| UtcOffset::parse(text).ok_or_else(|| format!("`{text}` is not an offset from UTC"));
            value.parse(parse, "write `+09:00` for Japan")
        }),
        public_port: table.or("public_port", 443, |value| value.count(1..=u16::MAX)),
        login_host,
        portal_host,
        console_host,
        forbidden_upstreams: table.list("forbidden_upstreams", |value| network(&value)),
        workers: table.or("workers", cores.min(256), |value| value.count(1..=256)),
    };
    table.finish();
    gateway
}
