//! What an open connection that asks nothing costs in memory.

use std::time::Duration;

use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;

use crate::gateway::Gateway;
use crate::load::{Aim, connect, request};
use crate::nginx::Proxy;

/// Opens so many at each, after one request on each of them.
pub async fn run(connections: usize, nginx: &Proxy, gateway: &Gateway) {
    let theirs = hold(&nginx.aim(gateway), nginx.pids(), connections).await;
    let ours = hold(&gateway.aim(), vec![gateway.pid()], connections).await;
    println!("idle: {connections} TLS connections, KiB each: sekimori {ours:.1}, nginx bare {theirs:.1}");
}

/// By how many KiB the processes grow for each connection.
async fn hold(aim: &Aim, pids: Vec<u32>, connections: usize) -> f64 {
    let resident = || pids.iter().map(|pid| tests::resident_bytes(*pid)).sum::<u64>();
    let before = resident();
    let mut held: Vec<http1::SendRequest<Empty<bytes::Bytes>>> = Vec::new();
    for _ in 0..connections {
        let (mut sender, connection) = http1::handshake(TokioIo::new(connect(aim, b"http/1.1").await)).await.unwrap();
        drop(spawn_local(connection));
        let answer = sender.send_request(request(aim, "/200", false)).await.unwrap();
        assert_eq!(answer.status(), 200, "{answer:?}");
        answer.into_body().collect().await.unwrap();
        held.push(sender);
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    let grown = resident().saturating_sub(before) as f64 / 1024.0 / connections as f64;
    drop(held);
    tokio::time::sleep(Duration::from_secs(1)).await;
    grown
}
