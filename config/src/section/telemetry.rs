//! `[telemetry]`: where traces of requests and the diagnostic log go.

use std::net::IpAddr;
use std::num::NonZeroU64;

use super::upstream::{self, NoUpstream};
use crate::files::Files;
use crate::walk::{Table, Value};
use crate::{Scheme, Severity, Telemetry, Upstream};

/// One in so many requests is traced, unless the hospital says otherwise.
const ONE_IN: u64 = 100;
/// So few that one may as well trace none.
const ONE_IN_MAX: u64 = 1_000_000;
/// From where on the diagnostic log can be told. Not `debug`: that is a line a request.
const LOGS: [(&str, Severity); 3] = [("error", Severity::Error), ("warn", Severity::Warning), ("info", Severity::Info)];

pub(crate) fn read(table: &Table<'_>, files: &Files<'_>, no_upstream: &NoUpstream<'_>) -> Option<Telemetry> {
    let collector = table.needed("otlp", "`otlp = \"http://127.0.0.1:4318\"`", |value| collector(&value, no_upstream));
    let ca_file = table.optional("ca_file", |value| files.readable(&value));
    let one_in = table.or("one_in", ONE_IN, |value| value.count(1..=ONE_IN_MAX));
    let goes_on = table.or("continue_traces", false, |value| value.yes_or_no());
    let logs = table.optional("logs", |value| value.word(&LOGS));
    table.finish();
    Some(Telemetry {
        collector: collector?,
        ca_file: ca_file?,
        one_in: NonZeroU64::new(one_in?)?,
        goes_on: goes_on?,
        logs: logs?,
    })
}

/// Scheme, host and port; not in the clear over a network.
fn collector(value: &Value<'_>, no_upstream: &NoUpstream<'_>) -> Option<Upstream> {
    let read = upstream::read(value, no_upstream)?;
    let is_here = read.host == "localhost" || read.host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
    if read.scheme == Scheme::Http && !is_here {
        let remedy = "write `https://`; `http://` is for a collector on this machine";
        return value.wrong("sends traces and logs in the clear over a network", remedy);
    }
    Some(read)
}
