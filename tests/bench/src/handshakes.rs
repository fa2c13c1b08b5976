//! Full handshakes: how many each proxy makes for a second of its CPU, with and without the device's certificate.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::client::Resumption;
use tokio::task::spawn_local;

use crate::gateway::Gateway;
use crate::gauge;
use crate::load::{Aim, connect};
use crate::nginx::Proxy;
use crate::table::median;

/// Clients that shake hands at once.
const CLIENTS: usize = 16;

/// Against nginx, which asks for a certificate and does not check it.
pub async fn run(rounds: usize, seconds: u64, nginx: &Proxy, gateway: &Gateway) {
    for with_certificate in [false, true] {
        let mut ratios = Vec::new();
        for _ in 0..rounds {
            let theirs = shake(&aim(nginx.aim(gateway), with_certificate, gateway), nginx.pid(), seconds).await;
            let ours = shake(&aim(gateway.aim(), with_certificate, gateway), gateway.pid(), seconds).await;
            ratios.push(ours / theirs);
        }
        let how = if with_certificate { "with the device's certificate" } else { "without a certificate" };
        println!("full handshakes {how}: {:.2} x nginx's a CPU second (median)", median(&mut ratios));
    }
}

fn aim(aim: Aim, with_certificate: bool, gateway: &Gateway) -> Aim {
    let mut tls = if with_certificate { ClientConfig::clone(&aim.tls) } else { gateway.without_certificate() };
    tls.resumption = Resumption::disabled();
    Aim { tls: Arc::new(tls), ..aim }
}

/// Handshakes for each second of the proxy's CPU.
async fn shake(aim: &Aim, pid: u32, seconds: u64) -> f64 {
    let (cpu, end) = (gauge::cpu_time(pid), Instant::now() + Duration::from_secs(seconds));
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let aim = aim.clone();
            spawn_local(async move {
                let mut made = 0_u32;
                while Instant::now() < end {
                    drop(connect(&aim, b"http/1.1").await);
                    made += 1;
                }
                made
            })
        })
        .collect();
    let mut made = 0;
    for client in clients {
        made += client.await.unwrap();
    }
    f64::from(made) / (gauge::cpu_time(pid) - cpu).as_secs_f64()
}
