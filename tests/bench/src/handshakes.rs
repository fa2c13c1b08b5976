//! Full handshakes: how many each proxy makes for a second of its CPU, with and without the device's certificate; and where
//! the client offers what both know.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::ClientConfig;
use rustls::client::Resumption;
use tokio::task::spawn_local;

use crate::client::Offers;
use crate::gauge;
use crate::load::{Aim, connect};
use crate::nginx::{self, Kind};
use crate::report::Wanted;
use crate::stage::Stage;

/// Clients that shake hands at once.
const CLIENTS: usize = 16;

/// Against nginx. Where the device shows its certificate, both check who issued it, and the gateway asks its ledger as well.
pub async fn run(stage: &mut Stage) {
    let (gateway, nginx, span) = (&stage.gateway, &stage.nginx, &stage.span);
    let verifying = nginx::proxy(Kind::VerifyClient, gateway);
    let (mut without, mut alike, mut with) = (Vec::new(), Vec::new(), Vec::new());
    let without_certificate = |offers| Some(gateway.without_certificate(offers));
    for _ in 0..span.rounds {
        for (peer, tls, ratios) in [
            (nginx, without_certificate(Offers::MlKem), &mut without),
            (nginx, without_certificate(Offers::X25519), &mut alike),
            (&verifying, None, &mut with),
        ] {
            let theirs = shake(&aim(peer.aim(gateway), tls.clone()), peer.pid(), span.seconds).await;
            let ours = shake(&aim(gateway.aim(), tls), gateway.pid(), span.seconds).await;
            ratios.push(ours / theirs);
        }
    }
    stage.report.add("full handshakes: x nginx, per CPU second", "x", Wanted::AtLeast(2.0), without);
    stage.report.add("full handshakes by X25519 alone: x nginx", "x", Wanted::Nothing, alike);
    let name = "full handshakes with device certificate: x nginx verifying";
    stage.report.add(name, "x", Wanted::AtLeast(3.0), with);
}

/// Every handshake a full one; as ever, with the device's certificate, where no other TLS is named.
fn aim(aim: Aim, tls: Option<ClientConfig>) -> Aim {
    let mut tls = tls.unwrap_or_else(|| ClientConfig::clone(&aim.tls));
    tls.resumption = Resumption::disabled();
    Aim { tls: Arc::new(tls), ..aim }
}

/// Handshakes for each second of the proxy's CPU.
async fn shake(aim: &Aim, pid: u32, seconds: f64) -> f64 {
    let (cpu, end) = (gauge::cpu_time(pid), Instant::now() + Duration::from_secs_f64(seconds));
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
