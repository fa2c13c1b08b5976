//! The little of WebSocket (RFC 6455) that tests need: the accept key, and frames of up to 64 KiB.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a server answers to a `Sec-WebSocket-Key`.
#[must_use]
pub fn accept_key(key: &str) -> String {
    let digest =
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, format!("{key}{GUID}").as_bytes());
    STANDARD.encode(digest)
}

/// What came over a WebSocket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A text message.
    Text(String),
    /// A close frame with its code.
    Close(Option<u16>),
    /// Anything else: its opcode and payload.
    Other(u8, Vec<u8>),
}

/// One end of a WebSocket.
#[derive(Debug)]
pub struct WebSocket<S> {
    stream: S,
    masks: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> WebSocket<S> {
    /// The end that began it; it masks what it sends.
    pub fn client(stream: S) -> Self {
        Self { stream, masks: true }
    }

    /// The end that accepted it.
    pub fn server(stream: S) -> Self {
        Self { stream, masks: false }
    }

    /// Sends a text message.
    ///
    /// # Errors
    /// Where the connection has ended.
    pub async fn send(&mut self, text: &str) -> std::io::Result<()> {
        self.write(0x1, text.as_bytes()).await
    }

    /// Sends a binary message.
    ///
    /// # Errors
    /// Where the connection has ended.
    pub async fn send_bytes(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.write(0x2, bytes).await
    }

    /// Sends a close frame.
    ///
    /// # Errors
    /// Where the connection has ended.
    pub async fn close(&mut self, code: u16) -> std::io::Result<()> {
        self.write(0x8, &code.to_be_bytes()).await
    }

    async fn write(&mut self, opcode: u8, payload: &[u8]) -> std::io::Result<()> {
        let mask_bit = if self.masks { 0x80 } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match u8::try_from(payload.len()) {
            Ok(short) if short < 126 => frame.push(mask_bit | short),
            _ => {
                frame.push(mask_bit | 126);
                frame.extend(u16::try_from(payload.len()).expect("tests send short frames").to_be_bytes());
            }
        }
        if self.masks {
            frame.extend(MASK);
            frame.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ MASK[at % 4]));
        } else {
            frame.extend(payload);
        }
        self.stream.write_all(&frame).await?;
        self.stream.flush().await
    }

    /// The next frame; `None` when the connection ended without one.
    pub async fn next(&mut self) -> Option<Frame> {
        let (opcode, payload) = self.read().await.ok()?;
        Some(match opcode {
            0x1 => Frame::Text(String::from_utf8(payload).expect("text frames are UTF-8")),
            0x8 => Frame::Close(payload.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]))),
            other => Frame::Other(other, payload),
        })
    }

    async fn read(&mut self) -> std::io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.stream.read_exact(&mut head).await?;
        let mut bytes = usize::from(head[1] & 0x7f);
        if bytes == 126 {
            bytes = usize::from(self.stream.read_u16().await?);
        }
        let mut mask = [0; 4];
        if head[1] & 0x80 != 0 {
            self.stream.read_exact(&mut mask).await?;
        }
        let mut payload = vec![0; bytes];
        self.stream.read_exact(&mut payload).await?;
        payload.iter_mut().enumerate().for_each(|(at, byte)| *byte ^= mask[at % 4]);
        Ok((head[0] & 0x0f, payload))
    }
}
