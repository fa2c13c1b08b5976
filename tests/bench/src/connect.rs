//! A port behind the gateway by `sekimori connect`, beside the port itself and `ssh -L` to it, in one run: how fast bytes
//! go both ways, and how long one small question and its answer take.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tests::connector::{Connector, SshServer};
use tests::{Device, Hospital, Plan, Session};

use crate::table::median;

/// Questions a round.
const QUESTIONS: usize = 2_000;
/// Bytes of a question, and of its answer.
const QUESTION_BYTES: usize = 64;
const CHUNK_BYTES: usize = 64 * 1024;

/// What one way gave in one round.
struct Gave {
    up: f64,
    down: f64,
    answer: Duration,
}

/// Runs all of it.
pub async fn run(rounds: usize, megabytes: u64) {
    let port = server();
    let sshd = SshServer::start();
    let rules = "[roles]\nvendor = \"Vendor\"\n[[rule]]\nid = \"vendors\"\nroles = [\"vendor\"]\napps = \"all\"\nactions = [\"connect\"]\n";
    let mut hospital = Hospital::build(Plan::new().tcp("shell", port, "other").rules(rules));
    let laptop = Device::add(&hospital, "laptop-1", "vendor").await;
    let vendor = Session::open(&hospital, "vendor", Some(&laptop), &["shell"]).await;
    hospital.start();
    let (_connector, ours) = Connector::open(&hospital, &laptop, "shell", hospital.address(), &vendor).await;
    let forward = sshd.forward(port);
    let ways = [("plain TCP", port), ("ssh -L", forward.address()), ("sekimori connect", ours)];
    let mut all: Vec<Vec<Gave>> = ways.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((_, address), gave) in ways.iter().zip(&mut all) {
            let address = *address;
            gave.push(tokio::task::spawn_blocking(move || measure(address, megabytes)).await.unwrap());
        }
    }
    println!("medians of {rounds} rounds, {megabytes} MiB each way, {QUESTIONS} questions of {QUESTION_BYTES} bytes");
    for ((name, _), gave) in ways.iter().zip(&all) {
        let of = |figure: fn(&Gave) -> f64| median(&mut gave.iter().map(figure).collect::<Vec<f64>>());
        let (up, down) = (of(|gave| gave.up), of(|gave| gave.down));
        let answer = of(|gave| gave.answer.as_secs_f64() * 1e6);
        println!("{name:<18} up {up:>7.1} MiB/s   down {down:>7.1} MiB/s   p50 of an answer {answer:>6.0} us");
    }
}

fn measure(address: SocketAddr, megabytes: u64) -> Gave {
    let bytes = megabytes * 1024 * 1024;
    let (mut stream, chunk) = (ask(address, b'u', bytes), vec![7; CHUNK_BYTES]);
    let begun = Instant::now();
    for _ in 0..bytes / CHUNK_BYTES as u64 {
        stream.write_all(&chunk).unwrap();
    }
    stream.read_exact(&mut [0]).unwrap();
    let up = megabytes as f64 / begun.elapsed().as_secs_f64();

    let (mut stream, mut chunk) = (ask(address, b'd', bytes), chunk);
    let (begun, mut left) = (Instant::now(), bytes);
    while left > 0 {
        left -= stream.read(&mut chunk).unwrap() as u64;
    }
    let down = megabytes as f64 / begun.elapsed().as_secs_f64();

    let (mut stream, mut word) = (ask(address, b'e', 0), [7; QUESTION_BYTES]);
    let mut answers: Vec<Duration> = Vec::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        let asked = Instant::now();
        stream.write_all(&word).unwrap();
        stream.read_exact(&mut word).unwrap();
        answers.push(asked.elapsed());
    }
    answers.sort();
    Gave { up, down, answer: answers[QUESTIONS / 2] }
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
