//! The handshake: from a socket to a peer whose name and device are known.

use std::cell::Cell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use audit::{Event, Note};
use policy::{Host, Timestamp, ZoneId};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::ahead::Ahead;
use crate::connection::Connection;
use crate::exchange::Cut;
use crate::headers::Introduction;
use crate::pace::Paced;
use crate::slots::Slot;
use crate::telemetry::Handshake;
use crate::vitals::Vitals;
use crate::worker::Worker;

/// A client's stream: TLS over a socket that is read ahead, and whose bytes count against the turn of its task.
pub type ClientStream = TlsStream<Paced<Ahead<TcpStream>>>;

/// A connection whose handshake is done.
#[derive(Debug)]
pub struct Shaken {
    /// Who is at the other end.
    pub connection: Rc<Connection>,
    /// The decrypted stream.
    pub stream: ClientStream,
    /// Whether HTTP/2 was agreed on.
    pub is_http2: bool,
}

/// Does the handshake within its deadline. A failure is counted, recorded where it tells something, and ends the
/// connection.
pub async fn handshake(
    worker: &Worker,
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    address: IpAddr,
    zone: &ZoneId,
    slot: Slot,
) -> Option<Shaken> {
    let config = Arc::clone(&worker.gate.snapshot.load().config);
    let within = config.limits.handshake_timeout;
    let began = worker.gate.clock.now();
    let shaking = async {
        // Whoever says nothing takes nobody's turn.
        stream.readable().await?;
        worker.turns.take(acceptor.accept(Paced::new(Ahead::new(stream)))).await
    };
    let stream = match tokio::time::timeout(within, shaking).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            note_failure(worker, address, zone, &error).await;
            return None;
        }
        Err(_) => {
            worker.gate.metrics.handshakes_failed.inc();
            return None;
        }
    };
    let (_, tls) = stream.get_ref();
    // A handshake without a name does not come this far; the resolver refuses it.
    let server_name = Host::parse(tls.server_name()?).ok()?;
    let shown = tls.peer_certificates().and_then(certs::Shown::new);
    let certificate = tls.peer_certificates().and_then(|chain| chain.first()).map(certs::fingerprint);
    if tls.alpn_protocol() == Some(certs::ACME_PROTOCOL) {
        // A CA that looked whether the name is ours; it has seen what it came for (RFC 8737 section 3).
        return None;
    }
    let is_http2 = tls.alpn_protocol() == Some(b"h2");
    let introduction = Introduction::new(address, &server_name, config.public_port)?;
    let connection = Connection {
        address,
        zone: zone.clone(),
        origin: config.origin(&server_name),
        server_name,
        certificate,
        shown,
        is_disbelief_noted: Cell::new(false),
        seen_noted_at: Cell::new(Timestamp::from_unix_micros(0)),
        handshake: Cell::new(Some(Handshake { began, ended: worker.gate.clock.now() })),
        introduction: Rc::new(introduction),
        _slot: slot,
        vitals: Vitals::new(Instant::now()),
        cut: Rc::new(Cut::default()),
    };
    // A resumed handshake did not ask its CA again.
    if !connection.is_believed(worker, worker.gate.clock.now()) {
        worker.gate.metrics.handshakes_failed.inc();
        return None;
    }
    Some(Shaken { connection: Rc::new(connection), stream, is_http2 })
}

async fn note_failure(worker: &Worker, address: IpAddr, zone: &ZoneId, error: &std::io::Error) {
    worker.gate.metrics.handshakes_failed.inc();
    // Hang-ups and noise say nothing.
    if let Some(code) = failure_code(error) {
        note_refused(worker, address, zone, code).await;
    }
}

/// Records a connection that was refused before it could ask anything; not a flood of them.
pub async fn note_refused(worker: &Worker, address: IpAddr, zone: &ZoneId, code: &'static str) {
    if worker.gate.limiter.address(address).is_err() {
        return;
    }
    let mut note = Note::new(Event::TlsRefused, worker.gate.clock.now()).code(code);
    note.address = Some(address);
    note.zone = Some(zone.clone());
    if let Err(problem) = worker.recorder.note(note).await {
        tracing::error!(%problem, "a refused handshake could not be recorded");
    }
}

/// The reason's code in the log; `None` for a peer that only hung up.
fn failure_code(error: &std::io::Error) -> Option<&'static str> {
    let tls = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    if let Some(refusal) = certs::Refusal::of(tls) {
        return Some(refusal.code());
    }
    #[expect(clippy::wildcard_enum_match_arm, reason = "the enum is another crate's and grows")]
    Some(match tls {
        rustls::Error::PeerIncompatible(_) => "tls-incompatible",
        rustls::Error::PeerMisbehaved(_) => "tls-misbehaved",
        rustls::Error::AlertReceived(_) => "tls-alert-received",
        rustls::Error::InvalidMessage(_) => "not-tls",
        _ => "tls-failed",
    })
}
