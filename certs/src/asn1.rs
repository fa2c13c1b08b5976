//! Writing DER: the few tags that are needed.

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OBJECT_IDENTIFIER: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
/// Context-specific, constructed, number 0.
pub(crate) const CONTEXT_0: u8 = 0xa0;

/// A value with its tag and length.
pub(crate) fn value(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits: Vec<u8> = length.into_iter().skip_while(|byte| *byte == 0).collect();
    let mut written = vec![tag];
    match digits.as_slice() {
        [] => written.push(0),
        [short] if *short < 0x80 => written.push(*short),
        // At most eight digits, so the count fits.
        long => {
            written.push(0x80 | long.len().to_le_bytes().first().copied().unwrap_or(0));
            written.extend_from_slice(long);
        }
    }
    written.extend_from_slice(content);
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_written_in_their_shortest_form() {
        assert_eq!(value(SET, &[]), [0x31, 0]);
        assert_eq!(value(INTEGER, &[1]), [2, 1, 1]);
        assert_eq!(value(SEQUENCE, &[0; 127])[..2], [0x30, 0x7f]);
        assert_eq!(value(SEQUENCE, &[0; 128])[..3], [0x30, 0x81, 0x80]);
        assert_eq!(value(SEQUENCE, &[0; 300])[..4], [0x30, 0x82, 0x01, 0x2c]);
    }
}
