//! A port behind the gateway by `sekimori connect`, beside the port itself and `ssh -L` to it, in one run: how fast bytes
//! go both ways, what that costs, and how long one small question and its answer take.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tests::connector::{Connector, SshServer};
use tests::{Device, Hospital, Plan, Session};

use crate::gauge;
use crate::table::median;

/// Questions a round.
const QUESTIONS: usize = 2_000;
/// Bytes of a question, and of its answer.
const QUESTION_BYTES: usize = 64;
const CHUNK_BYTES: usize = 64 * 1024;

/// A way to the port, and the processes that carry it.
struct Way {
    name: &'static str,
    address: SocketAddr,
    carriers: Vec<u32>,
}

/// What one way gave in one round.
struct Gave {
    up: f64,
    down: f64,
    /// CPU of all carriers by megabyte, both ways taken together, in milliseconds.
    cpu: f64,
    answer: Duration,
    slow_answer: Duration,
}

/// Runs all of it.
pub async fn run(rounds: usize, megabytes: u64) {
    gauge::spread();
    println!("load average at the start: {}", gauge::load_average());
    let port = server();
    let sshd = SshServer::start();
    let rules = "[roles]\nvendor = \"Vendor\"\n[[rule]]\nid = \"vendors\"\nroles = [\"vendor\"]\napps = \"all\"\nactions = [\"connect\"]\n";
    let mut hospital = Hospital::build(Plan::new().tcp("shell", port, "other").rules(rules));
    let laptop = Device::add(&hospital, "laptop-1", "vendor").await;
    let vendor = Session::open(&hospital, "vendor", Some(&laptop), &["shell"]).await;
    hospital.start();
    let (connector, ours) = Connector::open(&hospital, &laptop, "shell", hospital.address(), &vendor).await;
    let forward = sshd.forward(port);
    let ways = [
        Way { name: "plain TCP", address: port, carriers: Vec::new() },
        Way { name: "ssh -L", address: forward.address(), carriers: vec![forward.pid(), sshd.pid()] },
        Way { name: "sekimori connect", address: ours, carriers: vec![connector.pid(), hospital.pid()] },
    ];
    let mut all: Vec<Vec<Gave>> = ways.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (way, gave) in ways.iter().zip(&mut all) {
            let (address, carriers) = (way.address, way.carriers.clone());
            let measured = tokio::task::spawn_blocking(move || measure(address, &carriers, megabytes));
            gave.push(measured.await.unwrap());
        }
    }
    println!("medians of {rounds} rounds, {megabytes} MiB each way, {QUESTIONS} questions of {QUESTION_BYTES} bytes");
    println!("CPU is that of both ends of the way: ssh and sshd, connect and gateway; a port by itself has none");
    for (way, gave) in ways.iter().zip(&all) {
        let of = |figure: fn(&Gave) -> f64| median(&mut gave.iter().map(figure).collect::<Vec<f64>>());
        let (up, down, cpu) = (of(|gave| gave.up), of(|gave| gave.down), of(|gave| gave.cpu));
        let (p50, p99) = (of(|gave| micros(gave.answer)), of(|gave| micros(gave.slow_answer)));
        println!(
            "{:<18} up {up:>7.1} MiB/s   down {down:>7.1} MiB/s   answer p50 {p50:>6.0} us  p99 {p99:>6.0} us   \
             CPU {cpu:>6.2} ms/MiB",
            way.name
        );
    }
    println!("load average at the end: {}", gauge::load_average());
}

fn micros(span: Duration) -> f64 {
    span.as_secs_f64() * 1e6
}

fn cpu_of(carriers: &[u32]) -> Duration {
    carriers.iter().map(|pid| gauge::cpu_time(*pid)).sum()
}

fn measure(address: SocketAddr, carriers: &[u32], megabytes: u64) -> Gave {
    let (bytes, cpu) = (megabytes * 1024 * 1024, cpu_of(carriers));
    let (mut stream, mut chunk) = (ask(address, b'u', bytes), vec![7; CHUNK_BYTES]);
    let begun = Instant::now();
    for _ in 0..bytes / CHUNK_BYTES as u64 {
        stream.write_all(&chunk).unwrap();
    }
    stream.read_exact(&mut [0]).unwrap();
    let up = megabytes as f64 / begun.elapsed().as_secs_f64();

    let mut down_stream = ask(address, b'd', bytes);
    let (begun, mut left) = (Instant::now(), bytes);
    while left > 0 {
        let length = down_stream.read(&mut chunk).unwrap() as u64;
        assert!(length > 0, "the way ended early");
        left -= length;
    }
    let down = megabytes as f64 / begun.elapsed().as_secs_f64();
    // While both connections are there: what ends takes its count along.
    let cpu = cpu_of(carriers).saturating_sub(cpu).as_secs_f64() * 1e3 / (2 * megabytes) as f64;

    let (mut stream, mut word) = (ask(address, b'e', 0), [7; QUESTION_BYTES]);
    let mut answers: Vec<Duration> = Vec::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        let asked = Instant::now();
        stream.write_all(&word).unwrap();
        stream.read_exact(&mut word).unwrap();
        answers.push(asked.elapsed());
    }
    answers.sort();
    Gave { up, down, cpu, answer: answers[QUESTIONS / 2], slow_answer: answers[QUESTIONS * 99 / 100] }
}

/// A connection on which this is asked for.
fn ask(address: SocketAddr, what: u8, bytes: u64) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(&[what]).unwrap();
    stream.write_all(&bytes.to_be_bytes()).unwrap();
    stream
}

/// A server that takes so many bytes and says when it has them, gives so many, or says back what it hears.
fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            // Ends with its connection; whoever hangs up has what was asked for.
            std::thread::spawn(move || serve(stream).ok());
        }
    });
    address
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let (mut what, mut bytes, mut chunk) = ([0; 1], [0; 8], vec![7; CHUNK_BYTES]);
    stream.read_exact(&mut what)?;
    stream.read_exact(&mut bytes)?;
    let mut left = u64::from_be_bytes(bytes);
    match what {
        [b'u'] => {
            while left > 0 {
                left = left.saturating_sub(stream.read(&mut chunk)? as u64);
            }
            stream.write_all(&[1])?;
        }
        [b'd'] => {
            while left > 0 {
                let length = left.min(CHUNK_BYTES as u64) as usize;
                stream.write_all(&chunk[..length])?;
                left -= length as u64;
            }
        }
        [_] => loop {
            let length = stream.read(&mut chunk)?;
            if length == 0 {
                break;
            }
            stream.write_all(&chunk[..length])?;
        },
    }
    Ok(())
}
