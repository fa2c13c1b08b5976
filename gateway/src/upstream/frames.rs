//! Where WebSocket frames begin and end (RFC 6455 section 5.2), without reading what is in them: so that a tunnel can
//! be closed between two frames, with a close frame, and never inside one.

/// Follows the frames of one direction.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    header: Vec<u8>,
    payload_left: u64,
    saw_data: bool,
}

/// The longest frame header, in bytes.
const HEADER_BYTES_MAX: usize = 14;
/// Control frames have this bit in their opcode (RFC 6455 section 5.5): pings and their answers, which nobody typed.
const CONTROL: u8 = 0x08;

impl Frames {
    /// Whether the next byte begins a frame.
    pub fn at_boundary(&self) -> bool {
        self.payload_left == 0 && self.header.is_empty()
    }

    /// Whether a frame other than a control frame began since this was last asked.
    pub fn take_saw_data(&mut self) -> bool {
        std::mem::take(&mut self.saw_data)
    }

    /// Goes over bytes that passed. Returns the length of the part up to the last boundary in them, if there is one.
    pub fn advance(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut last_boundary = self.at_boundary().then_some(0);
        let mut at = 0;
        while at < bytes.len() {
            if self.payload_left > 0 {
                let left = usize::try_from(self.payload_left).unwrap_or(usize::MAX);
                let step = left.min(bytes.len() - at);
                self.payload_left -= step as u64;
                at += step;
            } else {
                self.header.extend(bytes.get(at).copied());
                at += 1;
                if let Some(payload) = payload_length(&self.header) {
                    self.saw_data |= self.header.first().is_some_and(|first| first & CONTROL == 0);
                    self.header.clear();
                    self.payload_left = payload;
                }
            }
            if self.at_boundary() {
                last_boundary = Some(at);
            }
        }
        last_boundary
    }
}

/// The payload's length, once the header is whole.
fn payload_length(header: &[u8]) -> Option<u64> {
    let second = *header.get(1)?;
    let (extended, mask) = (second & 0x7f, if second & 0x80 == 0 { 0 } else { 4 });
    let length_bytes = match extended {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    if header.len() < (2 + length_bytes + mask).min(HEADER_BYTES_MAX) {
        return None;
    }
    if length_bytes == 0 {
        return Some(u64::from(extended));
    }
    Some(header.get(2..2 + length_bytes)?.iter().fold(0, |length, byte| length << 8 | u64::from(*byte)))
}

/// A close frame; masked where a client would send it.
pub fn close_frame(code: u16, reason: &str, mask: Option<[u8; 4]>) -> Vec<u8> {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend(reason.bytes().take(100));
    let length = u8::try_from(payload.len()).unwrap_or(0);
    let mut frame = vec![0x88, length | if mask.is_some() { 0x80 } else { 0 }];
    if let Some(mask) = mask {
        frame.extend(mask);
        for (byte, key) in payload.iter_mut().zip(mask.iter().cycle()) {
            *byte ^= key;
        }
    }
    frame.extend(payload);
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(payload: usize, masked: bool) -> Vec<u8> {
        let mask_bit = if masked { 0x80 } else { 0 };
        let mut bytes = vec![0x82];
        match payload {
            0..126 => bytes.push(payload as u8 | mask_bit),
            126..65536 => {
                bytes.push(126 | mask_bit);
                bytes.extend((payload as u16).to_be_bytes());
            }
            _ => {
                bytes.push(127 | mask_bit);
                bytes.extend((payload as u64).to_be_bytes());
            }
        }
        bytes.extend(std::iter::repeat_n(7, payload + if masked { 4 } else { 0 }));
        bytes
    }

    #[test]
    fn boundaries_are_found_however_the_bytes_are_cut() {
        let stream: Vec<u8> =
            [frame(0, false), frame(5, true), frame(125, false), frame(126, true), frame(70_000, false)].concat();
        for step in [1, 2, 3, 7, 1000, stream.len()] {
            let mut frames = Frames::default();
            for chunk in stream.chunks(step) {
                frames.advance(chunk);
            }
            assert!(frames.at_boundary(), "step {step}");
            frames.advance(&[0x82]);
            assert!(!frames.at_boundary());
        }
    }

    #[test]
    fn the_last_boundary_of_a_chunk_is_told() {
        let mut frames = Frames::default();
        let whole = frame(5, true);
        let mut chunk = whole.clone();
        chunk.extend([0x82, 0x05, 1]);
        assert_eq!(frames.advance(&chunk), Some(whole.len()));
        assert_eq!(frames.advance(&[1, 1]), None);
        assert_eq!(frames.advance(&[1, 1]), Some(2));
    }

    #[test]
    fn close_frames_are_frames() {
        for mask in [None, Some([1, 2, 3, 4])] {
            let mut frames = Frames::default();
            frames.advance(&close_frame(1008, "sign-in-required", mask));
            assert!(frames.at_boundary());
        }
    }
}
