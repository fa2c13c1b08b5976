//! Large bodies, one at a time: how fast they pass, and what they do to the gateway's memory.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Request;
use hyper::body::{Body, Frame, SizeHint};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::task::spawn_local;

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
        let (mut ratios, mut growth) = (Vec::new(), Vec::new());
        for _ in 0..span.rounds.min(ROUNDS_MAX) {
            let theirs = pass(way, &nginx.aim(gateway), megabytes).await;
            let before = crate::gauge::own_memory(gateway.pid());
            let ours = pass(way, &gateway.aim(), megabytes).await;
            gateway.note_allowed(1);
            growth.push(crate::gauge::own_memory(gateway.pid()).saturating_sub(before) as f64 / 1024.0 / 1024.0);
            ratios.push(theirs.as_secs_f64() / ours.as_secs_f64());
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let most = growth.iter().copied().fold(0.0, f64::max);
        let name = format!("{what} of {megabytes} MiB");
        stage.report.add(format!("{name}: x nginx bare in MB/s"), "x", Wanted::AtLeast(wanted), ratios);
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

/// How long one body takes.
async fn pass(way: Way, aim: &Aim, megabytes: u64) -> Duration {
    let (mut sender, connection) = http1::handshake(TokioIo::new(connect(aim, b"http/1.1").await)).await.unwrap();
    drop(spawn_local(connection));
    let bytes = megabytes * 1024 * 1024;
    let (request, left) = match way {
        Way::Down => (Request::get("/large"), 0),
        Way::Up => (Request::put("/taken/one"), bytes),
    };
    let request = aim.dress(request).header("host", &aim.host).header("accept", "*/*");
    let request = request.body(Pieces { left, piece: Bytes::from(vec![b'x'; 64 * 1024]) }).unwrap();
    let begin = Instant::now();
    let answer = sender.send_request(request).await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    let got = read(answer.into_body()).await;
    assert!(way == Way::Up || got == bytes, "the download came short");
    begin.elapsed()
}
