//! `[limits]`: bounds on everything a stranger can send. Also `workers`, which stands in `[gateway]`.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::Limits;
use crate::walk::Table;

const SECOND: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);

pub(crate) fn read(table: &Table<'_>, workers: Option<usize>) -> Option<Limits> {
    let time = |key, default: u32, bounds: RangeInclusive<u32>| {
        let bounds = *bounds.start() * SECOND..=*bounds.end() * SECOND;
        table.or(key, default * SECOND, |value| value.time(bounds))
    };
    let rate = |key, default: u32| table.or(key, default, |value| value.count(1..=1_000_000));

    let connections = table.or("connections_max", 10_000, |value| value.count(16..=1_000_000));
    let per_address = table.or("connections_per_address_max", 1_000, |value| value.count(1..=1_000_000));
    let handshake = time("handshake_timeout", 10, 1..=60);
    let head = time("head_timeout", 10, 1..=120);
    let head_bytes = table.or("head_bytes_max", 32 << 10, |value| value.size(8 << 10..=256 << 10));
    let headers = table.or("headers_max", 100, |value| value.count(16..=1_000));
    let keep_alive = time("keep_alive_timeout", 75, 1..=3_600);
    let body_idle = time("body_idle_timeout", 60, 1..=3_600);
    let streams = table.or("streams_max", 128, |value| value.count(1..=1_024));
    let connect = time("connect_timeout", 5, 1..=60);
    let by_address = rate("requests_per_second_address", 1_000);
    let by_account = rate("requests_per_second_account", 200);
    let open_by_account = table.or("requests_open_max_account", 1_000, |value| value.count(1..=1_000_000));
    let queue_delay = table.or("queue_delay_max", 20 * MILLISECOND, |value| value.time(MILLISECOND..=10 * SECOND));
    let sign_ins = rate("sign_ins_per_minute_address", 60);
    let drain = time("drain_timeout", 30, 1..=600);
    let handover = time("handover_timeout", 10, 1..=600);
    let notice = time("balancer_notice", 0, 0..=300);
    table.finish();
    Some(Limits {
        connections_max: connections?,
        connections_per_address_max: per_address?,
        handshake_timeout: handshake?,
        head_timeout: head?,
        head_bytes_max: usize::try_from(head_bytes?).ok()?,
        headers_max: headers?,
        keep_alive_timeout: keep_alive?,
        body_idle_timeout: body_idle?,
        streams_max: streams?,
        connect_timeout: connect?,
        requests_per_second_address: by_address?,
        requests_per_second_account: by_account?,
        requests_open_max_account: open_by_account?,
        queue_delay_max: queue_delay?,
        sign_ins_per_minute_address: sign_ins?,
        drain_timeout: drain?,
        handover_timeout: handover?,
        balancer_notice: notice?,
        workers: workers?,
    })
}
