//! The WebSocket at `/ws`: echoes what it is sent, and with `?vitals=NUMBER` sends vital signs every second too.
//! The handshake of RFC 6455 section 4.2, by hand.

use std::io;

use aws_lc_rs::digest;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use http::header::{
    CONNECTION, HeaderMap, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::Interval;

use super::super::answer::{self, Answer};
use super::super::asked::Fields;
use super::super::door::Afterwards;
use super::feed;
use super::frame::{Frame, Opcode};
use super::vitals::vitals;

/// What RFC 6455 section 1.3 joins to the client's key.
const PROTOCOL_ID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const NORMAL_CLOSURE: u16 = 1000;

/// Answers the handshake and leaves the rest for afterwards.
pub(super) fn answer<B>(mut request: Request<B>, afterwards: &Afterwards) -> Answer {
    let accept = match accept(request.headers()) {
        Ok(accept) => accept,
        Err(problem) => return problem.answer(),
    };
    let query = Fields::read(request.uri().query().unwrap_or_default().as_bytes());
    let patient = match query.one("vitals").map(|wanted| feed::parse_patient(Some(wanted))) {
        None => None,
        Some(Some(number)) => Some(number),
        Some(None) => return answer::problem(StatusCode::NOT_FOUND, "there is no such patient"),
    };
    let upgrade = hyper::upgrade::on(&mut request);
    afterwards.run(async move {
        match upgrade.await {
            Ok(socket) => {
                if let Err(problem) = talk(TokioIo::new(socket), patient).await {
                    tracing::debug!(%problem, "a demo websocket broke off");
                }
            }
            Err(problem) => tracing::debug!(%problem, "a demo websocket did not open"),
        }
    });
    let answer = answer::empty(StatusCode::SWITCHING_PROTOCOLS);
    let answer = answer::with_header(answer, UPGRADE, HeaderValue::from_static("websocket"));
    let answer = answer::with_header(answer, CONNECTION, HeaderValue::from_static("Upgrade"));
    answer::with_header(answer, SEC_WEBSOCKET_ACCEPT, accept)
}

/// What is wrong with a handshake.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum HandshakeProblem {
    NoUpgrade,
    OtherVersion,
    BadKey,
}

impl HandshakeProblem {
    fn answer(self) -> Answer {
        let required = StatusCode::UPGRADE_REQUIRED;
        match self {
            Self::NoUpgrade => {
                let refusal = answer::problem(required, "this address speaks WebSocket only");
                answer::with_header(refusal, UPGRADE, HeaderValue::from_static("websocket"))
            }
            Self::OtherVersion => {
                let refusal = answer::problem(required, "only WebSocket version 13");
                answer::with_header(refusal, SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"))
            }
            Self::BadKey => answer::problem(StatusCode::BAD_REQUEST, "`Sec-WebSocket-Key` is not 16 bytes in base64"),
        }
    }
}

/// The value of `Sec-WebSocket-Accept`.
fn accept(headers: &HeaderMap) -> Result<HeaderValue, HandshakeProblem> {
    let has = |name: &http::HeaderName, word: &str| {
        let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
        lines.flat_map(|line| line.split(',')).any(|part| part.trim().eq_ignore_ascii_case(word))
    };
    if !has(&UPGRADE, "websocket") || !has(&CONNECTION, "upgrade") {
        return Err(HandshakeProblem::NoUpgrade);
    }
    if !has(&SEC_WEBSOCKET_VERSION, "13") {
        return Err(HandshakeProblem::OtherVersion);
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).and_then(|key| key.to_str().ok()).unwrap_or_default();
    let is_key = STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16);
    HeaderValue::from_str(&accept_of(key)).ok().filter(|_| is_key).ok_or(HandshakeProblem::BadKey)
}

fn accept_of(key: &str) -> String {
    let text = format!("{key}{PROTOCOL_ID}");
    STANDARD.encode(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()))
}

/// Talks until either side closes.
async fn talk(mut socket: impl AsyncRead + AsyncWrite + Unpin, patient: Option<u32>) -> io::Result<()> {
    let (mut received, mut out) = (BytesMut::new(), BytesMut::new());
    let (mut ticker, mut second) = (feed::ticker(), 0_u32);
    let mut is_between_messages = true;
    loop {
        loop {
            match Frame::take(&mut received) {
                Ok(None) => break,
                Ok(Some(frame)) => {
                    if reply(&frame, &mut is_between_messages, &mut out) == Next::End {
                        return finish(&mut socket, &out).await;
                    }
                }
                Err(problem) => {
                    Frame::close(problem.close_code()).put(&mut out);
                    return finish(&mut socket, &out).await;
                }
            }
        }
        socket.write_all_buf(&mut out).await?;
        socket.flush().await?;
        tokio::select! {
            // Both are safe to drop half-way: nothing read is lost, no tick is skipped.
            size = socket.read_buf(&mut received) => if size? == 0 { return Ok(()) },
            number = tick(&mut ticker, patient), if is_between_messages => {
                let data = vitals(number, second).json(&format!("{number:08}"), second);
                second = second.wrapping_add(1);
                Frame::text(data.to_string()).put(&mut out);
            }
        }
    }
}

/// The patient whose vital signs are due; never, without a patient.
async fn tick(ticker: &mut Interval, patient: Option<u32>) -> u32 {
    match patient {
        Some(number) => {
            ticker.tick().await;
            number
        }
        None => std::future::pending().await,
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Next {
    GoOn,
    End,
}

/// Writes what a frame is answered with: messages come back as they are, part by part.
fn reply(frame: &Frame, is_between_messages: &mut bool, out: &mut BytesMut) -> Next {
    match frame.opcode {
        Opcode::Text | Opcode::Binary | Opcode::Continuation => {
            *is_between_messages = frame.is_last;
            frame.put(out);
        }
        Opcode::Ping => Frame { opcode: Opcode::Pong, ..frame.clone() }.put(out),
        Opcode::Pong => {}
        Opcode::Close => {
            Frame::close(NORMAL_CLOSURE).put(out);
            return Next::End;
        }
    }
    Next::GoOn
}

async fn finish(socket: &mut (impl AsyncWrite + Unpin), out: &[u8]) -> io::Result<()> {
    socket.write_all(out).await?;
    socket.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake(changes: &[(&'static str, &str)]) -> Result<HeaderValue, u16> {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("upgrade", "websocket"),
            ("connection", "keep-alive, Upgrade"),
            ("sec-websocket-version", "13"),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        for (name, value) in changes {
            headers.insert(*name, value.parse().unwrap());
        }
        accept(&headers).map_err(|problem| problem.answer().status().as_u16())
    }

    #[test]
    fn a_handshake_that_is_none_is_refused() {
        assert_eq!(handshake(&[("upgrade", "h2c")]), Err(426));
        assert_eq!(handshake(&[("connection", "keep-alive")]), Err(426));
        assert_eq!(handshake(&[("sec-websocket-version", "8")]), Err(426));
        assert_eq!(handshake(&[("sec-websocket-key", "c2hvcnQ=")]), Err(400));
    }

    #[test]
    fn the_handshake_of_rfc_6455_is_accepted() {
        assert_eq!(handshake(&[]).unwrap(), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[tokio::test]
    async fn it_echoes_answers_pings_and_closes() {
        let (mut client, server) = tokio::io::duplex(1024);
        let server = tokio::spawn(talk(server, None));
        let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        let ping = [0x89, 0x81, 0, 0, 0, 0, b'p'];
        let close = [0x88, 0x80, 0, 0, 0, 0];
        client.write_all(&[&hello[..], &ping, &close].concat()).await.unwrap();
        let mut answers = Vec::new();
        client.read_to_end(&mut answers).await.unwrap();
        let expected = [&[0x81, 5], &b"Hello"[..], &[0x8a, 1, b'p'], &[0x88, 2, 0x03, 0xe8]].concat();
        assert_eq!(answers, expected);
        server.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn it_sends_vital_signs_unasked() {
        let (mut client, server) = tokio::io::duplex(1024);
        let server = tokio::spawn(talk(server, Some(12_345)));
        let mut head = [0; 2];
        client.read_exact(&mut head).await.unwrap();
        let mut text = vec![0; usize::from(head[1])];
        client.read_exact(&mut text).await.unwrap();
        let sent: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!((head[0], &sent["patient"]), (0x81, &serde_json::json!("00012345")));
        drop(client);
        // Whether the next tick or the hang-up is seen first is a matter of luck; both end it.
        drop(server.await.unwrap());
    }

    #[tokio::test]
    async fn an_unmasked_frame_ends_it_with_1002() {
        let (mut client, server) = tokio::io::duplex(1024);
        let server = tokio::spawn(talk(server, None));
        client.write_all(&[0x81, 0x00]).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, [0x88, 2, 0x03, 0xea]);
        server.await.unwrap().unwrap();
    }
}
