//! What passes over the line between `sekimori connect` and the gateway: frames of a kind, a length and so many bytes.
//! docs/decisions/0046 describes them.

use bytes::{Buf, Bytes, BytesMut};

/// Kind and length.
const HEAD_BYTES: usize = 3;
/// The most bytes in a frame.
pub const FRAME_BYTES_MAX: usize = 16 * 1024;
/// The longest code of an end, in bytes.
const CODE_BYTES_MAX: usize = 64;

const DATA: u8 = 0;
const TAKEN: u8 = 1;
const BEAT: u8 = 2;
const END: u8 = 3;
const GOODBYE: u8 = 4;

/// One frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Frame {
    /// The next bytes.
    Data(Bytes),
    /// So many bytes of the other direction were handed on since the beginning; its end counts as one.
    Taken(u64),
    /// Nothing, so that both sides know that the line is there.
    Beat,
    /// There are no more bytes in this direction.
    End,
    /// It is over, for the reason of this code.
    Goodbye(String),
}

/// The line carries what nobody who keeps to the rules would send.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("something came over the line that breaks its rules")]
pub struct Garbled;

impl Frame {
    /// Writes it behind what is there.
    pub fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Data(bytes) => put(to, DATA, bytes),
            Self::Taken(count) => put(to, TAKEN, &count.to_be_bytes()),
            Self::Beat => put(to, BEAT, &[]),
            Self::End => put(to, END, &[]),
            Self::Goodbye(code) => put(to, GOODBYE, code.as_bytes().get(..CODE_BYTES_MAX).unwrap_or(code.as_bytes())),
        }
    }
}

fn put(to: &mut Vec<u8>, kind: u8, payload: &[u8]) {
    // No payload is longer than a frame may be, which two bytes count.
    let length = u16::try_from(payload.len()).unwrap_or_default();
    to.push(kind);
    to.extend(length.to_be_bytes());
    to.extend(payload.iter().take(usize::from(length)));
}

/// Cuts what arrives into frames.
#[derive(Debug, Default)]
pub struct Frames {
    arrived: BytesMut,
}

impl Frames {
    /// Where the next bytes go.
    pub fn room(&mut self) -> &mut BytesMut {
        self.arrived.reserve(HEAD_BYTES + FRAME_BYTES_MAX);
        &mut self.arrived
    }

    /// The next whole frame.
    ///
    /// # Errors
    /// [`Garbled`].
    pub fn next(&mut self) -> Result<Option<Frame>, Garbled> {
        let Some(&[kind, high, low]) = self.arrived.first_chunk::<HEAD_BYTES>() else { return Ok(None) };
        let length = usize::from(u16::from_be_bytes([high, low]));
        let is_right = match kind {
            DATA => (1..=FRAME_BYTES_MAX).contains(&length),
            TAKEN => length == size_of::<u64>(),
            BEAT | END => length == 0,
            GOODBYE => length <= CODE_BYTES_MAX,
            _ => false,
        };
        if !is_right {
            return Err(Garbled);
        }
        if self.arrived.len() < HEAD_BYTES + length {
            return Ok(None);
        }
        self.arrived.advance(HEAD_BYTES);
        let payload = self.arrived.split_to(length).freeze();
        Ok(Some(match kind {
            DATA => Frame::Data(payload),
            TAKEN => Frame::Taken(payload.as_ref().try_into().map(u64::from_be_bytes).map_err(|_| Garbled)?),
            BEAT => Frame::Beat,
            END => Frame::End,
            _ => Frame::Goodbye(code(&payload).ok_or(Garbled)?),
        }))
    }
}

/// A code as ours are: small letters, digits, hyphens.
fn code(payload: &[u8]) -> Option<String> {
    let is_plain = payload.iter().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || *byte == b'-');
    is_plain.then(|| String::from_utf8_lossy(payload).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8], step: usize) -> Result<Vec<Frame>, Garbled> {
        let (mut frames, mut found) = (Frames::default(), Vec::new());
        for piece in bytes.chunks(step) {
            frames.room().extend_from_slice(piece);
            while let Some(frame) = frames.next()? {
                found.push(frame);
            }
        }
        assert!(frames.arrived.is_empty(), "{} bytes are left", frames.arrived.len());
        Ok(found)
    }

    #[test]
    fn frames_read_as_they_were_written_however_they_are_cut() {
        let sent = [
            Frame::Data(Bytes::from(vec![7; FRAME_BYTES_MAX])),
            Frame::Taken(u64::MAX),
            Frame::Beat,
            Frame::Data(Bytes::from_static(b"x")),
            Frame::End,
            Frame::Goodbye("sign-in-required".to_owned()),
        ];
        let mut bytes = Vec::new();
        sent.iter().for_each(|frame| frame.write(&mut bytes));
        for step in [1, 2, 3, 5, 1000, bytes.len()] {
            assert_eq!(all(&bytes, step).unwrap(), sent, "{step}");
        }
    }

    #[test]
    fn what_breaks_the_rules_is_refused_before_it_is_held() {
        for bytes in [
            &[5, 0, 0][..],
            &[255, 255, 255],
            &[DATA, 0, 0],
            &[DATA, 0x40, 0x01],
            &[TAKEN, 0, 7],
            &[BEAT, 0, 1],
            &[END, 1, 0],
            &[GOODBYE, 0, 65],
            &[GOODBYE, 0, 3, b'a', b'\n', b'b'],
            &[GOODBYE, 0, 1, b'<'],
        ] {
            assert_eq!(all(bytes, 100), Err(Garbled), "{bytes:?}");
        }
    }
}
