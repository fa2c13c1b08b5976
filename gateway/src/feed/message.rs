//! A message on the wire: RFC 5424 header, RFC 5425 frame. The header is short and the same for the same line whenever
//! it is sent, so that a message sent twice is seen to be one (DICOM receivers look for the XML near its beginning).

use policy::{Timestamp, UtcOffset};

/// The facility `authpriv`, of whatever decides about access (PS3.15 A.6).
const FACILITY: u8 = 10;
/// The most of a host name that RFC 5424 allows.
const HOST_BYTES_MAX: usize = 255;
/// The most of a message id that RFC 5424 allows.
const KIND_BYTES_MAX: usize = 32;
/// What begins a text in UTF-8 (RFC 5424 section 6.4).
const BOM: &[u8] = "\u{feff}".as_bytes();

/// How grave a message is, as syslog says it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Severity {
    /// All is as it should be.
    Notice,
    /// It failed, and may be tried again.
    Warning,
    /// It was refused, or failed for good.
    Error,
}

impl Severity {
    fn number(self) -> u8 {
        match self {
            Self::Notice => 5,
            Self::Warning => 4,
            Self::Error => 3,
        }
    }
}

/// Whether a text is announced as UTF-8.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bom {
    /// It is, as RFC 5424 and IHE ITI-20 want it.
    Yes,
    /// It is not: a JSON text may not begin with one (RFC 8259 section 8.1).
    No,
}

/// One message.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    /// How grave it is.
    pub severity: Severity,
    /// When what it tells of happened.
    pub at: Timestamp,
    /// What kind of message it is: the MSGID.
    pub kind: &'a str,
    /// Whether the text is announced as UTF-8.
    pub bom: Bom,
    /// The text.
    pub text: &'a [u8],
}

/// The message is longer than its receiver takes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TooLong;

/// Who speaks: the HOSTNAME of every message.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Speaker(String);

impl Speaker {
    /// The node by its log's origin, such as `sekimori.hospital.example.jp/gw01`: the name before the slash.
    pub fn of(origin: &str) -> Self {
        let name = origin.split('/').next().unwrap_or_default();
        Self(printable(name, HOST_BYTES_MAX))
    }

    /// Appends a message in its frame; nothing of it where it is longer than `bytes_max`.
    ///
    /// # Errors
    /// [`TooLong`]; nothing is appended then.
    pub fn frame(&self, message: &Message<'_>, bytes_max: usize, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let priority = FACILITY * 8 + message.severity.number();
        let kind = printable(message.kind, KIND_BYTES_MAX);
        let header = format!("<{priority}>1 {} {} sekimori - {kind} - ", message.at.rfc3339(UtcOffset::UTC), self.0);
        let bom = match message.bom {
            Bom::Yes => BOM,
            Bom::No => &[],
        };
        let length = header.len() + bom.len() + message.text.len();
        if length > bytes_max {
            return Err(TooLong);
        }
        out.extend_from_slice(format!("{length} {header}").as_bytes());
        out.extend_from_slice(bom);
        out.extend_from_slice(message.text);
        Ok(())
    }
}

/// Visible ASCII alone, of at most so many bytes; `-` where nothing is left.
fn printable(text: &str, bytes_max: usize) -> String {
    let kept: String = text.chars().filter(char::is_ascii_graphic).take(bytes_max).collect();
    if kept.is_empty() { "-".to_owned() } else { kept }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn message(text: &[u8]) -> Message<'_> {
        let at = Timestamp::parse_rfc3339("2026-11-22T10:15:30.123456+09:00").unwrap();
        Message { severity: Severity::Notice, at, kind: "DICOM+RFC3881", bom: Bom::Yes, text }
    }

    fn framed(message: &Message<'_>, bytes_max: usize) -> Result<Vec<u8>, TooLong> {
        let mut out = Vec::new();
        Speaker::of("gw01.hosp.example.jp/gw01").frame(message, bytes_max, &mut out).map(|()| out)
    }

    #[test]
    fn a_message_has_the_header_of_rfc_5424_in_the_frame_of_rfc_5425() {
        let text = "<85>1 2026-11-22T01:15:30.123Z gw01.hosp.example.jp sekimori - DICOM+RFC3881 - \u{feff}<?xml 患者";
        let expected = format!("{} {text}", text.len());
        assert_eq!(framed(&message("<?xml 患者".as_bytes()), 1_000).unwrap(), expected.as_bytes());
        assert!(text.len() - 11 < 200, "receivers look for the XML within the first 200 bytes");
    }

    #[test]
    fn a_message_that_is_too_long_is_left_out_whole() {
        let whole = framed(&message(b"0123456789"), 1_000).unwrap();
        let length = whole.len() - whole.iter().position(|byte| *byte == b' ').unwrap() - 1;
        assert_eq!(framed(&message(b"0123456789"), length).unwrap(), whole);
        assert_eq!(framed(&message(b"0123456789"), length - 1), Err(TooLong));
    }

    #[test]
    fn graver_is_a_lower_number() {
        for (severity, priority) in [(Severity::Notice, "<85>"), (Severity::Warning, "<84>"), (Severity::Error, "<83>")]
        {
            let bytes = framed(&Message { severity, ..message(b"x") }, 1_000).unwrap();
            assert!(String::from_utf8(bytes).unwrap().contains(priority));
        }
    }

    proptest! {
        #[test]
        fn no_name_and_no_text_breaks_out_of_its_place(
            origin in "\\PC{0,40}", kind in "\\PC{0,60}", texts in proptest::collection::vec(any::<Vec<u8>>(), 1..5)
        ) {
            let (speaker, mut out) = (Speaker::of(&origin), Vec::new());
            for text in &texts {
                let kind = kind.as_str();
                speaker.frame(&Message { kind, bom: Bom::No, ..message(text) }, usize::MAX, &mut out).unwrap();
            }
            let mut rest = &out[..];
            for text in &texts {
                let space = rest.iter().position(|byte| *byte == b' ').unwrap();
                let length: usize = std::str::from_utf8(&rest[..space]).unwrap().parse().unwrap();
                let whole = &rest[space + 1..space + 1 + length];
                let header = &whole[..whole.len() - text.len()];
                prop_assert_eq!(&whole[header.len()..], &text[..]);
                prop_assert_eq!(header.iter().filter(|byte| **byte == b' ').count(), 7);
                prop_assert!(header.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' '));
                rest = &rest[space + 1 + length..];
            }
            prop_assert!(rest.is_empty());
        }
    }
}
