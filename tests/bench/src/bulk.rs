//! Large bodies, one at a time: how fast they pass, and what they do to the gateway's memory. What is sent up goes to the
//! tests' own app, which reads it and keeps nothing: an app that wrote it to a file would be what is measured.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;

use crate::gauge;
use crate::load::{Aim, connect, read};
use crate::report::Wanted;
use crate::stage::Stage;

/// A large body takes long enough to be measured by itself.
const ROUNDS_MAX: usize = 3;

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Down,
    Up,
}

/// Both ways, against nginx.
pub async fn run(stage: &mut Stage) {
    let (gateway, nginx, span) = (&stage.gateway, &stage.nginx, &stage.span);
    let ways = [(Way::Down, "download", span.megabytes, 1.2), (Way::Up, "upload", span.megabytes / 4, 1.0)];
    for (way, what, megabytes, wanted) in ways {
        let (mut ratios, mut by_cpu, mut growth) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..span.rounds.min(ROUNDS_MAX) {
            let aim = if way == Way::Up { gateway.socket() } else { gateway.aim() };
            let theirs = pass(way, &nginx.aim_like(&aim), nginx.pid(), megabytes).await;
            let before = gauge::own_memory(gateway.pid());
            let ours = pass(way, &aim, gateway.pid(), megabytes).await;
            gateway.note_allowed(1);
            growth.push(gauge::own_memory(gateway.pid()).saturating_sub(before) as f64 / 1024.0 / 1024.0);
            ratios.push(theirs.took.as_secs_f64() / ours.took.as_secs_f64());
            by_cpu.push(theirs.cpu.as_secs_f64() / ours.cpu.as_secs_f64());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let most = growth.iter().copied().fold(0.0, f64::max);
        let name = format!("{what} of {megabytes} MiB");
        stage.report.add(format!("{name}: x nginx bare in MB/s"), "x", Wanted::AtLeast(wanted), ratios);
        stage.report.add(format!("{name}: x nginx bare, per CPU second"), "x", Wanted::Nothing, by_cpu);
        stage.report.add(format!("{name}: memory grew at most by"), "MiB", Wanted::AtMost(8.0), vec![most]);
    }
}

/// A body of so many bytes, made of one piece again and again.
struct Pieces {
    left: u64,
    piece: Bytes,
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = self.piece.clone();
        self.left = self.left.saturating_sub(piece.len() as u64);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// What one body took.
struct Passed {
    took: Duration,
    cpu: Duration,
}

async fn pass(way: Way, aim: &Aim, pid: u32, megabytes: u64) -> Passed {
    let (mut sender, connection) = http1::handshake(TokioIo::new(connect(aim, b"http/1.1").await)).await.unwrap();
    drop(spawn_local(connection));
    let bytes = megabytes * 1024 * 1024;
    let (request, left) = match way {
        Way::Down => (Request::get("/large"), 0),
        Way::Up => (Request::put("/sink/one"), bytes),
    };
    let request = aim.dress(request).header("host", &aim.host).header("accept", "*/*");
    let request = request.body(Pieces { left, piece: Bytes::from(vec![b'x'; 64 * 1024]) }).unwrap();
    let (begin, cpu) = (Instant::now(), gauge::cpu_time(pid));
    let answer = sender.send_request(request).await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    let told = match way {
        Way::Down => read(answer.into_body()).await.to_string(),
        // The app says how much reached it.
        Way::Up => String::from_utf8_lossy(&answer.into_body().collect().await.unwrap().to_bytes()).into_owned(),
    };
    assert_eq!(told, bytes.to_string(), "the body came short");
    Passed { took: begin.elapsed(), cpu: gauge::cpu_time(pid) - cpu }
}
