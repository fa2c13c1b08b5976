use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use certs::{IssuedServer, NodeCa};
use config::CertificateFiles;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::clock;

const DAY: Duration = Duration::from_secs(86_400);

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A folder with the CA of the nodes, and certificates.
struct Trial {
    folder: Folder,
    ca: NodeCa,
}

fn node(name: &str) -> NodeName {
    NodeName::parse(name).unwrap()
}

impl Trial {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("sekimori-channel-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let ca = NodeCa::create("病院", clock::now(), DAY).unwrap();
        std::fs::write(folder.join("ca.pem"), ca.certificate_pem()).unwrap();
        Self { folder: Folder(folder), ca }
    }

    fn files(&self, of: &str, issued: &IssuedServer) -> NodeChannel {
        let file = |end: &str| self.folder.0.join(format!("{of}.{end}"));
        let certificate = CertificateFiles { certificate: file("pem"), key: file("key") };
        issued.save(&certificate).unwrap();
        NodeChannel {
            listen: "127.0.0.1:0".parse().unwrap(),
            addresses: BTreeMap::new(),
            ca_file: self.folder.0.join("ca.pem"),
            certificate,
        }
    }

    /// The other node, which answers; gives where.
    async fn answers(&self) -> u16 {
        let of = self.files("gw02", &self.ca.issue("gw02").unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let answering = Answering {
            files: Files::new(&of, &node("gw02")),
            others: vec![node("gw01"), node("gw03")],
            log: Arc::new(LogView::new(None)),
            working: Arc::new(Semaphore::new(WORKING_MAX)),
        };
        drop(tokio::spawn(accept(Arc::new(answering), listener)));
        port
    }

    /// This node, with what it shows.
    fn asks(&self, name: &str, issued: &IssuedServer, port: u16) -> Channel {
        let of = self.files(name, issued);
        Channel {
            files: Files::new(&of, &node(name)),
            addresses: [(node("gw02"), ("127.0.0.1".to_owned(), port))].into(),
            dialer: Dialer::new(CONNECT_TIMEOUT, &[]),
            runtime: Handle::current(),
            places: Arc::new(Semaphore::new(ASKED_MAX)),
        }
    }
}

/// What a node says to a question, if anything.
async fn said(channel: &Channel, question: &str) -> Option<String> {
    let answer = channel.ask("gw02", question.as_bytes().to_vec());
    let said = tokio::task::spawn_blocking(move || answer.recv_timeout(ANSWER_TIMEOUT * 4).ok()).await.unwrap();
    said.map(|bytes| String::from_utf8(bytes).unwrap())
}

/// What a node says at last: a machine may be too busy for a handshake in time.
async fn answered(channel: &Channel, question: &str) -> String {
    for _ in 0..20 {
        if let Some(answer) = said(channel, question).await {
            return answer;
        }
    }
    panic!("no answer came");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_answered_and_asked_by_another_alone() {
    let trial = Trial::new("answered");
    let port = trial.answers().await;
    let one = trial.asks("gw01", &trial.ca.issue("gw01").unwrap(), port);
    let answer = answered(&one, "{}").await;
    assert!(answer.contains("\"trouble\":\"question\""), "{answer}");
    assert!(one.ask("gw09", Vec::new()).recv_timeout(ANSWER_TIMEOUT).is_err(), "there is no such node");
    let large = "x".repeat(QUESTION_BYTES_MAX + 1);
    assert_eq!(said(&one, &large).await, None, "no question is so long");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_a_stranger_or_of_no_other_node_is_refused() {
    let trial = Trial::new("stranger");
    let port = trial.answers().await;
    // Of the right CA, and of no other node; the second is the answering node's own.
    for name in ["ward-pc-1", "gw02"] {
        let channel = trial.asks(name, &trial.ca.issue(name).unwrap(), port);
        assert_eq!(said(&channel, "{}").await, None, "{name}");
    }
    // Of another CA that calls itself the same: it believes ours, and is not believed.
    let other = NodeCa::create("病院", clock::now(), DAY).unwrap();
    let channel = trial.asks("gw01", &other.issue("gw01").unwrap(), port);
    assert_eq!(said(&channel, "{}").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_answers_under_another_nodes_name_is_not_asked() {
    let trial = Trial::new("impostor");
    let of = trial.files("gw03", &trial.ca.issue("gw03").unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = Answering {
        files: Files::new(&of, &node("gw03")),
        others: vec![node("gw01")],
        log: Arc::new(LogView::new(None)),
        working: Arc::new(Semaphore::new(WORKING_MAX)),
    };
    drop(tokio::spawn(accept(Arc::new(answering), listener)));
    let one = trial.asks("gw01", &trial.ca.issue("gw01").unwrap(), port);
    assert_eq!(said(&one, "{}").await, None, "it is asked as gw02, and shows gw03");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_hangs_or_talks_nonsense_costs_a_bounded_time() {
    let trial = Trial::new("hangs");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let tls = Files::new(&trial.files("gw02", &trial.ca.issue("gw02").unwrap()), &node("gw02")).tls().unwrap();
    // How often a question came.
    let (heard, questions) = (Arc::new(AtomicUsize::new(0)), |heard: &AtomicUsize| heard.load(Ordering::SeqCst));
    let hears = Arc::clone(&heard);
    drop(tokio::spawn(async move {
        // Not even a handshake.
        let _silent = listener.accept().await.unwrap();
        let mut manner = 1;
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // Whoever is too slow for a handshake is not there yet.
            let Ok(mut stream) = TlsAcceptor::from(Arc::clone(&tls.server)).accept(stream).await else { continue };
            let mut head = [0; 16];
            let Ok(_) = stream.read_exact(&mut head).await else { continue };
            hears.fetch_add(1, Ordering::SeqCst);
            match manner {
                1 => stream.write_all(b"this is no HTTP\r\n\r\n").await.unwrap(),
                2 => stream.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n").await.unwrap(),
                3 => {
                    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", ANSWER_BYTES_MAX + 1);
                    stream.write_all(head.as_bytes()).await.unwrap();
                    // It is hung up on in the midst of it; the byte that is too much may be the last that leaves.
                    drop(stream.write_all(&vec![b' '; ANSWER_BYTES_MAX + 1]).await);
                    drop(stream.flush().await);
                }
                // Takes the question and says nothing.
                _ => {}
            }
            manner += 1;
            drop(tokio::spawn(async move {
                let _open = stream;
                tokio::time::sleep(DAY).await;
            }));
        }
    }));
    let one = trial.asks("gw01", &trial.ca.issue("gw01").unwrap(), port);
    assert_eq!(said(&one, "{}").await, None, "no handshake");
    for (number, manner) in ["no HTTP", "an older version", "too much", "nothing"].into_iter().enumerate() {
        let mut told = String::new();
        while questions(&heard) <= number {
            // As the channel asks, with time enough for a slow machine to say what was wrong.
            let (tls, gw02) = (one.files.tls().unwrap(), node("gw02"));
            let asked = exchange(&one.dialer, &tls, &gw02, ("127.0.0.1", port), b"{}".to_vec());
            told = match timeout(ANSWER_TIMEOUT * if manner == "nothing" { 1 } else { 12 }, asked).await {
                Ok(answer) => answer.unwrap_err(),
                Err(_) => "late".to_owned(),
            };
        }
        let words = match manner {
            "an older version" => "its version may be another",
            "too much" => "too large",
            "nothing" => "late",
            _ => "",
        };
        assert!(told.contains(words), "{manner}: {told}");
    }
    assert_eq!(said(&one, "{}").await, None, "nothing");
}

#[tokio::test]
async fn a_certificate_that_cannot_be_used_any_more_leaves_the_last() {
    let trial = Trial::new("last");
    let of = trial.files("gw01", &trial.ca.issue("gw01").unwrap());
    let files = Files::new(&of, &node("gw01"));
    assert!(files.tls().is_ok());
    std::fs::write(&of.certificate.certificate, "nonsense").unwrap();
    let last = files.loaded.lock().unwrap().take();
    *files.loaded.lock().unwrap() = last.map(|(_, tls)| (long_ago(), tls));
    assert!(files.tls().is_ok(), "the last one stays");
    assert!(Files::new(&of, &node("gw01")).tls().is_err(), "there is no last one");
}

fn long_ago() -> Instant {
    Instant::now().checked_sub(LOOK_AGAIN_AFTER * 2).unwrap()
}
