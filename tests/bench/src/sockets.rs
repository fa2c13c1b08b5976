//! WebSockets: how many echoes for a second of the proxy's processor, and what one that is open costs in memory.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tests::WebSocket;
use tokio::task::spawn_local;

use crate::gauge;
use crate::load::{Aim, connect};
use crate::report::Wanted;
use crate::stage::Stage;

const CONNECTIONS: usize = 64;
const TEXT: &str = "a word of sixty-four bytes, as monitors send them every second..";
const WARM_UP: Duration = Duration::from_millis(300);

/// Measures echoes in turn.
pub async fn run(stage: &mut Stage) {
    let (gateway, nginx) = (&stage.gateway, &stage.nginx);
    let (ours, theirs) = (gateway.socket(), nginx.aim_like(&gateway.socket()));
    let (mut cost, mut rate) = (Vec::new(), Vec::new());
    for _ in 0..stage.span.rounds {
        let theirs = echoes(&theirs, nginx.pid(), stage.span.seconds).await;
        let ours = echoes(&ours, gateway.pid(), stage.span.seconds).await;
        gateway.note_allowed(CONNECTIONS as u64);
        cost.push(ours.0 / theirs.0);
        rate.push(ours.1 / theirs.1);
    }
    stage.report.add("WebSocket echoes: x nginx bare, per CPU second", "x", Wanted::AtLeast(1.1), cost);
    stage.report.add("WebSocket echoes: x nginx bare, per second", "x", Wanted::Nothing, rate);
}

/// Echoes for a second of the proxy's processor, and for a second.
async fn echoes(aim: &Aim, pid: u32, seconds: f64) -> (f64, f64) {
    let (count, over) = (Rc::new(Cell::new(0_u64)), Rc::new(Cell::new(false)));
    let mut asking = Vec::new();
    for _ in 0..CONNECTIONS {
        let (mut socket, count, over) = (open(aim).await, Rc::clone(&count), Rc::clone(&over));
        asking.push(spawn_local(async move {
            while !over.get() {
                socket.send(TEXT).await.unwrap();
                socket.next().await.expect("an echo");
                count.set(count.get() + 1);
            }
            socket.close(1000).await.unwrap();
            while socket.next().await.is_some() {}
        }));
    }
    tokio::time::sleep(WARM_UP).await;
    let (before, cpu) = (count.get(), gauge::cpu_time(pid));
    tokio::time::sleep(Duration::from_secs_f64(seconds)).await;
    let (made, cpu) = ((count.get() - before) as f64, gauge::cpu_time(pid) - cpu);
    over.set(true);
    for one in asking {
        one.await.unwrap();
    }
    (made / cpu.as_secs_f64(), made / seconds)
}

/// Opens one through a proxy.
pub async fn open(aim: &Aim) -> WebSocket<TokioIo<Upgraded>> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(connect(aim, b"http/1.1").await)).await.unwrap();
    drop(spawn_local(connection.with_upgrades()));
    let request = aim.dress(Request::get("/socket/bench")).header("host", &aim.host);
    let request = request
        .header("connection", "upgrade")
        .header("upgrade", "websocket")
        .header("sec-websocket-version", "13")
        .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    let answer = sender.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 101, "{answer:?}");
    WebSocket::client(TokioIo::new(hyper::upgrade::on(answer).await.unwrap()))
}
