//! What a request waits more than at bare nginx, at half of what both can do. Requests begin when their time has come,
//! whether or not those before them are answered; one that finds no free connection waits, and its wait counts.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1::SendRequest;
use tokio::sync::mpsc;
use tokio::task::spawn_local;

use crate::load::{ALLOWED, Aim, Load, Protocol, connect_http1, percentile, read, request};
use crate::report::Wanted;
use crate::stage::Stage;

const PATH: &str = "/1k";
const CONNECTIONS: usize = 64;
/// Answers that are waited for after the last request began.
const LAST_ANSWERS: Duration = Duration::from_secs(5);

/// Measures at the same rate through both.
pub async fn run(stage: &mut Stage) {
    let (gateway, nginx) = (&stage.gateway, &stage.nginx);
    let (ours, theirs) = (gateway.aim(), nginx.aim(gateway));
    let most = Load {
        path: PATH,
        protocol: Protocol::Http1,
        connections: CONNECTIONS,
        streams: 1,
        seconds: stage.span.seconds.min(1.0),
        right: ALLOWED,
    };
    let (peak_ours, peak_theirs) = (gateway.measure(most, &ours).await, most.run(&theirs, nginx.pid()).await);
    gateway.note_allowed(peak_ours.requests);
    let rate = peak_ours.per_second().min(peak_theirs.per_second()) / 2.0;
    eprintln!("half load: {rate:.0} requests a second");
    let (mut p50, mut p95, mut p99, mut alone) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..stage.span.rounds {
        let theirs = paced(&theirs, rate, stage.span.seconds).await;
        let ours = paced(&ours, rate, stage.span.seconds).await;
        gateway.note_allowed(requests(&ours));
        gateway.settle().await;
        let more = |percent| micros(percentile(&ours, percent)) - micros(percentile(&theirs, percent));
        p50.push(more(50));
        p95.push(more(95));
        p99.push(more(99));
        alone.push(micros(percentile(&theirs, 99)));
    }
    stage.report.add("half load: added to nginx bare, p50", "us", Wanted::AtMost(60.0), p50);
    stage.report.add("half load: added to nginx bare, p95", "us", Wanted::Nothing, p95);
    stage.report.add("half load: added to nginx bare, p99", "us", Wanted::AtMost(300.0), p99);
    stage.report.add("half load: what nginx bare itself has, p99", "us", Wanted::Nothing, alone);
}

/// How many requests these are with the first of each connection, which are not measured.
pub fn requests(measured: &[u32]) -> u64 {
    (measured.len() + CONNECTIONS) as u64
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

/// Requests that wait for a connection, and connections that wait for a request.
#[derive(Default)]
struct Desk {
    free: RefCell<Vec<SendRequest<Empty<Bytes>>>>,
    waiting: RefCell<VecDeque<Instant>>,
    latencies: RefCell<Vec<u32>>,
    begun: Cell<usize>,
}

/// How long each request took from its time on, in microseconds and in order.
pub async fn paced(aim: &Aim, rate: f64, seconds: f64) -> Vec<u32> {
    let desk = Rc::new(Desk::default());
    for _ in 0..CONNECTIONS {
        let mut sender = connect_http1(aim).await;
        // The first on a connection is not measured, and not lost.
        ask(&mut sender, aim, &desk, None).await;
        desk.free.borrow_mut().push(sender);
    }
    let mut due = pacer(rate, seconds);
    while let Some(time) = due.recv().await {
        desk.begun.set(desk.begun.get() + 1);
        let sender = desk.free.borrow_mut().pop();
        match sender {
            Some(sender) => drop(spawn_local(serve(sender, aim.clone(), Rc::clone(&desk), time))),
            None => desk.waiting.borrow_mut().push_back(time),
        }
    }
    let end = Instant::now() + LAST_ANSWERS;
    while desk.latencies.borrow().len() < desk.begun.get() {
        assert!(Instant::now() < end, "the load is more than the proxy can do: its answers do not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let mut latencies = desk.latencies.take();
    latencies.sort_unstable();
    latencies
}

/// Answers one, and then whatever waits.
async fn serve(mut sender: SendRequest<Empty<Bytes>>, aim: Aim, desk: Rc<Desk>, time: Instant) {
    let mut next = Some(time);
    while let Some(time) = next {
        ask(&mut sender, &aim, &desk, Some(time)).await;
        next = desk.waiting.borrow_mut().pop_front();
    }
    desk.free.borrow_mut().push(sender);
}

async fn ask(sender: &mut SendRequest<Empty<Bytes>>, aim: &Aim, desk: &Desk, time: Option<Instant>) {
    sender.ready().await.unwrap();
    let answer = sender.send_request(request(aim, PATH, Protocol::Http1)).await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
    read(answer.into_body()).await;
    if let Some(time) = time {
        desk.latencies.borrow_mut().push(u32::try_from(time.elapsed().as_micros()).unwrap_or(u32::MAX));
    }
}

/// Tells when the time of a request has come. A thread of its own, because the runtime's timer knows milliseconds only;
/// what it is late itself by does not count as a wait.
fn pacer(rate: f64, seconds: f64) -> mpsc::UnboundedReceiver<Instant> {
    let (tell, due) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        let (begin, step) = (Instant::now(), 1.0 / rate);
        for number in 0..(rate * seconds) as u32 {
            let time = begin + Duration::from_secs_f64(step * f64::from(number));
            std::thread::sleep(time.saturating_duration_since(Instant::now()));
            if tell.send(Instant::now()).is_err() {
                break;
            }
        }
    });
    due
}
