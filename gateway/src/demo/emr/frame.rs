//! WebSocket frames (RFC 6455 section 5), read from and written to bytes; no socket here.

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// The largest payload of one frame that is taken.
pub(super) const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn parse(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xa => Some(Self::Pong),
            _ => None,
        }
    }

    fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    fn is_control(self) -> bool {
        match self {
            Self::Close | Self::Ping | Self::Pong => true,
            Self::Continuation | Self::Text | Self::Binary => false,
        }
    }
}

/// One frame, its payload in clear.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Frame {
    /// Whether it ends its message.
    pub(super) is_last: bool,
    pub(super) opcode: Opcode,
    pub(super) payload: Bytes,
}

/// Why a client's bytes are not frames.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum FrameProblem {
    /// It breaks RFC 6455: unmasked, reserved bits, unknown opcode, a control frame in parts or over 125 bytes.
    Protocol,
    /// Larger than [`PAYLOAD_BYTES_MAX`].
    TooBig,
}

impl FrameProblem {
    /// The close code that tells the client (RFC 6455 section 7.4.1).
    pub(super) fn close_code(self) -> u16 {
        match self {
            Self::Protocol => 1002,
            Self::TooBig => 1009,
        }
    }
}

impl Frame {
    /// A message of one text frame.
    pub(super) fn text(text: String) -> Self {
        Self { is_last: true, opcode: Opcode::Text, payload: Bytes::from(text) }
    }

    /// A close frame with a code.
    pub(super) fn close(code: u16) -> Self {
        Self { is_last: true, opcode: Opcode::Close, payload: Bytes::copy_from_slice(&code.to_be_bytes()) }
    }

    /// Takes one client's frame from the front of what was received; `None` until all of it is there.
    pub(super) fn take(received: &mut BytesMut) -> Result<Option<Self>, FrameProblem> {
        let Some(head) = Head::read(received)? else { return Ok(None) };
        if received.len() < head.size + head.payload_size {
            return Ok(None);
        }
        received.advance(head.size);
        let mut payload = received.split_to(head.payload_size);
        for (byte, mask) in payload.iter_mut().zip(head.mask.iter().cycle()) {
            *byte ^= mask;
        }
        Ok(Some(Self { is_last: head.is_last, opcode: head.opcode, payload: payload.freeze() }))
    }

    /// Writes the frame as a server does: unmasked.
    pub(super) fn put(&self, out: &mut BytesMut) {
        let size = self.payload.len();
        out.put_u8((u8::from(self.is_last) << 7) | self.opcode.bits());
        match (u8::try_from(size), u16::try_from(size)) {
            (Ok(size), _) if size < 126 => out.put_u8(size),
            (_, Ok(size)) => {
                out.put_u8(126);
                out.put_u16(size);
            }
            (_, Err(_)) => {
                out.put_u8(127);
                out.put_u64(u64::try_from(size).unwrap_or(u64::MAX));
            }
        }
        out.put_slice(&self.payload);
    }
}

/// The part of a frame before its payload.
struct Head {
    is_last: bool,
    opcode: Opcode,
    mask: [u8; 4],
    payload_size: usize,
    size: usize,
}

impl Head {
    fn read(received: &[u8]) -> Result<Option<Self>, FrameProblem> {
        let (Some(&first), Some(&second)) = (received.first(), received.get(1)) else { return Ok(None) };
        let opcode = Opcode::parse(first & 0x0f).filter(|_| first & 0x70 == 0).ok_or(FrameProblem::Protocol)?;
        let is_last = first & 0x80 != 0;
        let short_size = second & 0x7f;
        let is_masked = second & 0x80 != 0;
        if !is_masked || (opcode.is_control() && (!is_last || short_size > 125)) {
            return Err(FrameProblem::Protocol);
        }
        let extended = match short_size {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some(rest) = received.get(2..).and_then(|rest| rest.split_at_checked(extended)) else { return Ok(None) };
        let (long_size, rest) = rest;
        let Some(mask) = rest.first_chunk::<4>() else { return Ok(None) };
        let payload_size = match extended {
            0 => usize::from(short_size),
            _ => usize::try_from(big_endian(long_size)).map_err(|_| FrameProblem::TooBig)?,
        };
        if payload_size > PAYLOAD_BYTES_MAX {
            return Err(FrameProblem::TooBig);
        }
        Ok(Some(Self { is_last, opcode, mask: *mask, payload_size, size: 2 + extended + 4 }))
    }
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(bytes: &[u8]) -> Result<Option<Frame>, FrameProblem> {
        Frame::take(&mut BytesMut::from(bytes))
    }

    #[test]
    fn broken_frames_are_refused_before_their_payload_arrives() {
        assert_eq!(take(&[0x81, 0x05]), Err(FrameProblem::Protocol), "unmasked");
        assert_eq!(take(&[0xc1, 0x80]), Err(FrameProblem::Protocol), "reserved bit");
        assert_eq!(take(&[0x83, 0x80]), Err(FrameProblem::Protocol), "unknown opcode");
        assert_eq!(take(&[0x09, 0x80]), Err(FrameProblem::Protocol), "a ping in parts");
        assert_eq!(take(&[0x89, 0xfe]), Err(FrameProblem::Protocol), "a long ping");
        let mut huge = vec![0x82, 0xff];
        huge.extend([0xff; 8]);
        huge.extend([0; 4]);
        assert_eq!(take(&huge), Err(FrameProblem::TooBig));
    }

    #[test]
    fn the_masked_hello_of_rfc_6455_is_read_however_it_is_cut() {
        let hello = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58];
        for cut in 0..hello.len() {
            assert_eq!(take(&hello[..cut]), Ok(None), "{cut}");
        }
        assert_eq!(take(&hello), Ok(Some(Frame::text("Hello".to_owned()))));
    }

    #[test]
    fn frames_of_every_size_are_written_as_rfc_6455_says() {
        let head = |size: usize| {
            let mut out = BytesMut::new();
            Frame { is_last: true, opcode: Opcode::Binary, payload: Bytes::from(vec![0; size]) }.put(&mut out);
            assert_eq!(out[out.len() - size..], vec![0; size]);
            out[..out.len() - size].to_vec()
        };
        assert_eq!(head(5), [0x82, 5]);
        assert_eq!(head(125), [0x82, 125]);
        assert_eq!(head(126), [0x82, 126, 0, 126]);
        assert_eq!(head(256), [0x82, 126, 1, 0]);
        assert_eq!(head(65_536), [0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
    }
}
