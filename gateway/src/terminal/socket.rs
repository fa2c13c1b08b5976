//! The gateway's own end of a WebSocket (RFC 6455): a browser speaks, the gateway answers. No extensions, no fragments but
//! those that browsers make; everything bounded.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;

use crate::upstream::frames::close_frame;

/// The largest message of a browser, in bytes.
pub const MESSAGE_BYTES_MAX: usize = 20 * 1024;
/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 16 * 1024;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;
/// The longest payload of a control frame.
const CONTROL_BYTES_MAX: usize = 125;

/// What a browser sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// A binary message.
    Message(Bytes),
    /// It asks whether somebody is there.
    Ping(Bytes),
    /// It is there.
    Pong,
    /// It is done.
    Close,
}

/// What came is no WebSocket, or more than may come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the browser does not keep to the protocol")]
pub struct Garbled;

/// Reads what a browser sends.
#[derive(Debug, Default)]
pub struct Ear {
    buffer: BytesMut,
    /// What came of a message in several frames.
    begun: Option<BytesMut>,
}

impl Ear {
    /// The next of it; nothing where the line ended. Dropping the future loses nothing.
    ///
    /// # Errors
    /// [`Garbled`]: end it.
    pub async fn next(&mut self, from: &mut (impl AsyncRead + Unpin)) -> Result<Option<Heard>, Garbled> {
        loop {
            while let Some((opcode, is_last, payload)) = self.frame()? {
                if let Some(heard) = self.heard(opcode, is_last, payload)? {
                    return Ok(Some(heard));
                }
            }
            self.buffer.reserve(CHUNK_BYTES);
            match from.read_buf(&mut self.buffer).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Ok(None),
            }
        }
    }

    fn heard(&mut self, opcode: u8, is_last: bool, payload: BytesMut) -> Result<Option<Heard>, Garbled> {
        match opcode {
            BINARY if self.begun.is_none() => {
                if is_last {
                    return Ok(Some(Heard::Message(payload.freeze())));
                }
                self.begun = Some(payload);
                Ok(None)
            }
            CONTINUATION => {
                let mut begun = self.begun.take().ok_or(Garbled)?;
                if begun.len() + payload.len() > MESSAGE_BYTES_MAX {
                    return Err(Garbled);
                }
                begun.extend_from_slice(&payload);
                if is_last {
                    return Ok(Some(Heard::Message(begun.freeze())));
                }
                self.begun = Some(begun);
                Ok(None)
            }
            PING => Ok(Some(Heard::Ping(payload.freeze()))),
            PONG => Ok(Some(Heard::Pong)),
            CLOSE => Ok(Some(Heard::Close)),
            // Texts have no meaning here, and neither have other opcodes.
            _ => Err(Garbled),
        }
    }

    /// Takes one whole frame out of what came.
    fn frame(&mut self) -> Result<Option<(u8, bool, BytesMut)>, Garbled> {
        let &[first, second, ..] = &*self.buffer else { return Ok(None) };
        let (opcode, is_last) = (first & OPCODE, first & FIN != 0);
        let is_control = opcode & 0x8 != 0;
        // RFC 6455 sections 5.1 and 5.2: clients mask, and use no bit that nobody agreed on.
        if first & RESERVED != 0 || second & MASKED == 0 || (is_control && !is_last) {
            return Err(Garbled);
        }
        let (length, head) = match second & !MASKED {
            126 => match self.buffer.get(2..4) {
                Some(&[high, low]) => (usize::from(high) << 8 | usize::from(low), 4),
                Some(_) | None => return Ok(None),
            },
            // Longer than anything that may come.
            127 => return Err(Garbled),
            short => (usize::from(short), 2),
        };
        if length > if is_control { CONTROL_BYTES_MAX } else { MESSAGE_BYTES_MAX } {
            return Err(Garbled);
        }
        let Some(&[a, b, c, d]) = self.buffer.get(head..head + 4) else { return Ok(None) };
        if self.buffer.len() < head + 4 + length {
            return Ok(None);
        }
        self.buffer.advance(head + 4);
        let mut payload = self.buffer.split_to(length);
        for (byte, key) in payload.iter_mut().zip([a, b, c, d].into_iter().cycle()) {
            *byte ^= key;
        }
        Ok(Some((opcode, is_last, payload)))
    }
}

/// Says things to a browser, each whole: what was begun is finished before anything else is said.
#[derive(Debug, Default)]
pub struct Mouth {
    waiting: RefCell<VecDeque<Bytes>>,
    waiting_bytes: Cell<usize>,
    /// Whether some of the first frame that waits was said.
    is_begun: Cell<bool>,
    rung: Notify,
}

impl Mouth {
    /// Says bytes that a terminal shows.
    pub fn show(&self, bytes: &[u8]) {
        self.push(BINARY, bytes);
    }

    /// Says a text.
    pub fn tell(&self, text: &str) {
        self.push(TEXT, text.as_bytes());
    }

    /// Asks whether the browser is there.
    pub fn ping(&self) {
        self.push(PING, &[]);
    }

    /// Says that the gateway is there.
    pub fn pong(&self, payload: &[u8]) {
        self.push(PONG, payload);
    }

    /// Says goodbye; nothing follows.
    pub fn close(&self, code: u16, reason: &str) {
        self.give(Bytes::from(close_frame(code, reason, None)));
    }

    /// Says nothing more of what waits, but for the rest of what was begun.
    pub fn forget(&self) {
        let mut waiting = self.waiting.borrow_mut();
        waiting.truncate(usize::from(self.is_begun.get()));
        self.waiting_bytes.set(waiting.iter().map(Bytes::len).sum());
    }

    /// How much waits to be said, in bytes.
    pub fn waiting_bytes(&self) -> usize {
        self.waiting_bytes.get()
    }

    fn push(&self, opcode: u8, payload: &[u8]) {
        let mut frame = Vec::with_capacity(payload.len() + 10);
        frame.push(FIN | opcode);
        match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
            (Ok(short @ 0..126), _) => frame.push(short),
            (_, Ok(length)) => {
                frame.push(126);
                frame.extend(length.to_be_bytes());
            }
            (_, Err(_)) => {
                frame.push(127);
                frame.extend((payload.len() as u64).to_be_bytes());
            }
        }
        frame.extend_from_slice(payload);
        self.give(Bytes::from(frame));
    }

    fn give(&self, frame: Bytes) {
        self.waiting_bytes.set(self.waiting_bytes.get() + frame.len());
        self.waiting.borrow_mut().push_back(frame);
        self.rung.notify_one();
    }

    /// Says what waits, and what comes to wait; ends only when the line does. Dropping the future loses nothing.
    ///
    /// # Errors
    /// How the line ended.
    pub async fn speak(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        loop {
            self.say_all(to).await?;
            self.rung.notified().await;
        }
    }

    /// Says what waits.
    ///
    /// # Errors
    /// How the line ended.
    pub async fn say_all(&self, to: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        loop {
            let next = self.waiting.borrow().front().cloned();
            let Some(frame) = next else { return to.flush().await };
            let written = to.write(&frame).await?;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            let mut waiting = self.waiting.borrow_mut();
            if let Some(front) = waiting.front_mut() {
                front.advance(written);
                self.is_begun.set(!front.is_empty());
                if front.is_empty() {
                    waiting.pop_front();
                }
            }
            self.waiting_bytes.set(self.waiting_bytes.get().saturating_sub(written));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame as a browser sends it.
    fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [7, 77, 0, 250];
        let mut bytes = vec![first];
        match payload.len() {
            length @ 0..126 => bytes.push(MASKED | u8::try_from(length).unwrap()),
            length => {
                bytes.push(MASKED | 126);
                bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
        }
        bytes.extend(mask);
        bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, key)| byte ^ key));
        bytes
    }

    async fn heard(bytes: &[u8]) -> Result<Vec<Heard>, Garbled> {
        let (mut ear, mut all, mut from) = (Ear::default(), Vec::new(), bytes);
        while let Some(one) = ear.next(&mut from).await? {
            all.push(one);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn messages_are_heard_however_they_are_cut() {
        let long = vec![9; 5_000];
        let bytes = [
            frame(FIN | BINARY, b"ls\r"),
            frame(FIN | BINARY, &long),
            frame(BINARY, b"in "),
            frame(FIN | PING, b"?"),
            frame(FIN | CONTINUATION, b"two"),
            frame(FIN | PONG, b""),
            frame(FIN | CLOSE, &1000_u16.to_be_bytes()),
        ]
        .concat();
        let expected = [
            Heard::Message(Bytes::from_static(b"ls\r")),
            Heard::Message(Bytes::from(long)),
            Heard::Ping(Bytes::from_static(b"?")),
            Heard::Message(Bytes::from_static(b"in two")),
            Heard::Pong,
            Heard::Close,
        ];
        assert_eq!(heard(&bytes).await.unwrap(), expected);
        let (near, mut far) = tokio::io::duplex(1);
        let saying = async move { far.write_all(&bytes).await.unwrap() };
        let hearing = async move {
            let (mut ear, mut near, mut all) = (Ear::default(), near, Vec::new());
            while let Some(one) = ear.next(&mut near).await.unwrap() {
                all.push(one);
            }
            all
        };
        assert_eq!(tokio::join!(saying, hearing).1, expected);
    }

    #[tokio::test]
    async fn what_is_no_websocket_or_too_much_ends_it() {
        let mut plain = frame(FIN | BINARY, b"a");
        plain[1] &= !MASKED;
        let too_long = frame(FIN | BINARY, &vec![0; MESSAGE_BYTES_MAX + 1]);
        let parts = [frame(BINARY, &vec![0; MESSAGE_BYTES_MAX]), frame(FIN | CONTINUATION, b"a")].concat();
        for odd in [
            plain,
            too_long,
            parts,
            vec![FIN | BINARY, MASKED | 127],
            frame(FIN | 0x40 | BINARY, b"a"),
            frame(FIN | TEXT, b"a"),
            frame(FIN | 0x3, b"a"),
            frame(FIN | CONTINUATION, b"a"),
            frame(PING, b"a"),
            frame(FIN | PING, &[0; 126]),
        ] {
            assert_eq!(heard(&odd).await, Err(Garbled), "{:?}", odd.get(..2));
        }
    }

    #[tokio::test]
    async fn what_was_begun_is_finished_before_the_goodbye() {
        let mouth = Mouth::default();
        mouth.show(&[b'x'; 300]);
        let (mut near, mut far) = tokio::io::duplex(100);
        let cut = tokio::time::timeout(std::time::Duration::from_millis(20), mouth.speak(&mut near)).await;
        assert!(cut.is_err() && mouth.waiting_bytes() > 0);
        mouth.tell("{}");
        mouth.close(1008, "outside-hours");
        let mut said = Vec::new();
        let all = async {
            mouth.say_all(&mut near).await.unwrap();
            drop(near);
        };
        tokio::join!(all, async { far.read_to_end(&mut said).await.unwrap() });
        assert_eq!((&said[..4], &said[304..308]), (&[0x82, 126, 1, 44][..], &[0x81, 2, b'{', b'}'][..]));
        assert!(said.ends_with(b"outside-hours") && mouth.waiting_bytes() == 0);
    }
}
