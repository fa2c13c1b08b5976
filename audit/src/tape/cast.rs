//! The text of a recording: asciicast version 2, one JSON line for the terminal and one for each thing that happened.
//! Source: <https://docs.asciinema.org/manual/asciicast/v2/>.

use std::time::Duration;

use policy::Timestamp;
use serde::{Deserialize, Serialize};

use crate::tape::TapeHeader;

/// The longest text of one event: whatever comes at once is cut.
const EVENT_BYTES: usize = 16 * 1024;

/// The first line.
#[derive(Serialize, Deserialize)]
struct First {
    version: u32,
    width: u16,
    height: u16,
    timestamp: i64,
    title: String,
}

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Event {
    Output(String),
    Resize {
        columns: u16,
        rows: u16,
    },
    /// A command.
    Marker(String),
}

/// The first line of a recording.
pub(crate) fn first(header: &TapeHeader, at: Timestamp) -> Vec<u8> {
    let timestamp = at.unix_micros().div_euclid(1_000_000);
    let title = header.title.clone();
    let first = First { version: 2, width: header.columns, height: header.rows, timestamp, title };
    let mut line = serde_json::to_vec(&first).unwrap_or_default();
    line.push(b'\n');
    line
}

/// Width and height of the terminal, as the first line says.
pub(crate) fn size(line: &[u8]) -> Option<(u16, u16)> {
    let first: First = serde_json::from_slice(line).ok()?;
    (first.version == 2).then_some((first.width, first.height))
}

/// Writes what was shown, in as many events as it takes.
pub(crate) fn push_output(out: &mut Vec<u8>, at: Duration, mut text: &str) {
    while !text.is_empty() {
        let mut end = text.len().min(EVENT_BYTES);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let (piece, rest) = text.split_at(end);
        push(out, at, "o", piece);
        text = rest;
    }
}

pub(crate) fn push_marker(out: &mut Vec<u8>, at: Duration, text: &str) {
    push(out, at, "m", text);
}

pub(crate) fn push_resize(out: &mut Vec<u8>, at: Duration, columns: u16, rows: u16) {
    push(out, at, "r", &format!("{columns}x{rows}"));
}

fn push(out: &mut Vec<u8>, at: Duration, code: &str, text: &str) {
    let text = serde_json::to_string(text).unwrap_or_default();
    out.extend_from_slice(format!("[{}.{:06},\"{code}\",{text}]\n", at.as_secs(), at.subsec_micros()).as_bytes());
}

/// Reads the line of an event; nothing where it is none of ours.
pub(crate) fn read(line: &[u8]) -> Option<(Duration, Event)> {
    let (at, code, text): (f64, String, String) = serde_json::from_slice(line).ok()?;
    let event = match code.as_str() {
        "o" => Event::Output(text),
        "m" => Event::Marker(text),
        "r" => {
            let (columns, rows) = text.split_once('x')?;
            Event::Resize { columns: columns.parse().ok()?, rows: rows.parse().ok()? }
        }
        _ => return None,
    };
    Some((Duration::try_from_secs_f64(at).ok()?, event))
}

/// Turns bytes into text, whatever they are: what is no UTF-8 stands as U+FFFD, and a character that is cut between two
/// pieces is put together.
#[derive(Debug, Default)]
pub(crate) struct Utf8 {
    rest: Vec<u8>,
}

impl Utf8 {
    pub(crate) fn text(&mut self, bytes: &[u8]) -> String {
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(bytes);
        let mut text = String::with_capacity(all.len());
        let mut chunks = all.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            text.push_str(chunk.valid());
            let is_cut = chunks.peek().is_none() && is_beginning(chunk.invalid());
            if is_cut {
                self.rest = chunk.invalid().to_vec();
            } else if !chunk.invalid().is_empty() {
                text.push(char::REPLACEMENT_CHARACTER);
            }
        }
        text
    }

    /// What was left of a character that never came whole.
    pub(crate) fn end(&mut self) -> Option<&'static str> {
        (!std::mem::take(&mut self.rest).is_empty()).then_some("\u{fffd}")
    }
}

/// Whether these bytes may be the beginning of a character whose end is still to come.
fn is_beginning(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_err_and(|error| error.error_len().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let mut out = Vec::new();
        let at = Duration::from_millis(61_234);
        push_output(&mut out, at, "\u{1b}[31m山田\"\\\r\n");
        push_marker(&mut out, at, "ls -l");
        push_resize(&mut out, at, 132, 50);
        let events: Vec<_> = out.split_inclusive(|byte| *byte == b'\n').map(|line| read(line).unwrap()).collect();
        assert_eq!(events[0], (at, Event::Output("\u{1b}[31m山田\"\\\r\n".into())));
        assert_eq!(events[1].1, Event::Marker("ls -l".into()));
        assert_eq!(events[2].1, Event::Resize { columns: 132, rows: 50 });
        for bad in ["", "[]", "[1]", "[1,\"o\"]", "[-1,\"o\",\"x\"]", "[1,\"x\",\"\"]", "[1,\"r\",\"ax2\"]", "{}"] {
            assert_eq!(read(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn long_output_is_cut_between_characters() {
        let mut out = Vec::new();
        let text = "あ".repeat(EVENT_BYTES);
        push_output(&mut out, Duration::ZERO, &text);
        let read: String = out
            .split_inclusive(|byte| *byte == b'\n')
            .map(|line| match read(line).unwrap().1 {
                Event::Output(text) => text,
                other @ (Event::Resize { .. } | Event::Marker(_)) => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(read, text);
    }

    #[test]
    fn characters_that_are_cut_are_put_together_and_what_is_none_is_marked() {
        let mut utf8 = Utf8::default();
        let bytes = "a山b".as_bytes();
        assert_eq!(
            (utf8.text(&bytes[..2]), utf8.text(&bytes[2..3]), utf8.text(&bytes[3..])),
            ("a".into(), "".into(), "山b".into())
        );
        assert_eq!(utf8.text(b"\xff\xfe\xe5ok"), "\u{fffd}\u{fffd}\u{fffd}ok");
        assert_eq!((utf8.text(b"x\xe5\xb1"), utf8.end(), utf8.end()), ("x".into(), Some("\u{fffd}"), None));
    }
}
