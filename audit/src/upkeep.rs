//! The lines that the log writes about itself: room, clock, deletion.

use std::ops::Range;

use policy::Timestamp;
use serde::Deserialize;

use crate::deleted::DeletedSegment;
use crate::json::{Object, push_number};
use crate::line::BEGINNING;
use crate::{ClockReading, Event};

/// Adds how the kernel's clock is: `clk` its state, `off` how far off it is and `err` how far at most, in milliseconds.
pub(crate) fn push_clock(line: &mut Object<'_>, clock: &ClockReading) {
    line.word("clk", clock.state.code());
    push_signed_millis(line, "off", clock.offset_micros);
    push_signed_millis(line, "err", clock.error_micros_max);
}

/// Milliseconds with three decimals, from microseconds, which may be negative.
fn push_signed_millis(line: &mut Object<'_>, key: &str, micros: i64) {
    let mut field = format!("\"{key}\":{}", if micros < 0 { "-" } else { "" }).into_bytes();
    push_number(&mut field, micros.unsigned_abs() / 1_000);
    field.extend_from_slice(format!(".{:03},", micros.unsigned_abs() % 1_000).as_bytes());
    line.encoded(&field);
}

/// The body that says that a segment is about to be deleted: `first` and `end` are numbers of lines, `root` the root of
/// the tree over all lines before `end`.
pub(crate) fn deleted(out: &mut Vec<u8>, at: Timestamp, segment: &DeletedSegment) {
    let mut line = Object::continued(out);
    line.moment("ts", at).word("ev", Event::SegmentDeleted.code());
    line.number("first", segment.first).number("end", segment.end).text("root", &segment.root);
    line.end();
}

/// The body that says that what `count` of the lines say of a deletion counts for nothing: they were there when the log
/// was opened, and no signature stood for them.
pub(crate) fn void(out: &mut Vec<u8>, at: Timestamp, lines: &Range<u64>, count: u64) {
    let mut line = Object::continued(out);
    line.moment("ts", at).word("ev", Event::DeletionVoid.code());
    line.number("first", lines.start).number("end", lines.end).number("n", count);
    line.end();
}

/// What a line says of deletions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum OfDeletion {
    /// A segment is about to be deleted: the number after its last line, and the root there.
    Recorded(u64, String),
    /// Among these lines so many say that, and count for nothing.
    Void(Range<u64>, u64),
}

#[derive(Deserialize)]
struct VoidLine {
    first: u64,
    end: u64,
    n: u64,
}

/// What [`deleted`] or [`void`] wrote, where a line is one. What was merged from the spool is none: there the log itself
/// writes nothing of the kind.
pub(crate) fn of_deletion(line: &[u8]) -> Option<OfDeletion> {
    // The fields before it hold nothing from outside.
    let head = std::str::from_utf8(line.get(..line.len().min(120))?).ok()?;
    let (number, rest) = head.strip_prefix(BEGINNING)?.split_once(r#","ts":""#)?;
    let (_, rest) = rest.split_once(r#"","ev":""#)?;
    let (event, rest) = rest.split_once('"')?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) || !rest.starts_with(r#","first":"#) {
        return None;
    }
    if event == Event::SegmentDeleted.code() {
        let read: DeletedSegment = serde_json::from_slice(line).ok()?;
        return Some(OfDeletion::Recorded(read.end, read.root));
    }
    if event == Event::DeletionVoid.code() {
        let read: VoidLine = serde_json::from_slice(line).ok()?;
        return Some(OfDeletion::Void(read.first..read.end, read.n));
    }
    None
}

/// What [`deleted`] wrote, where a line is one: the number after the segment's last line, and the root.
pub(crate) fn read_deleted(line: &[u8]) -> Option<(u64, String)> {
    match of_deletion(line)? {
        OfDeletion::Recorded(end, root) => Some((end, root)),
        OfDeletion::Void(..) => None,
    }
}

/// The body that says how full the log is, in percent: it has come to 70, 85 or 95, or back below.
pub(crate) fn capacity(out: &mut Vec<u8>, at: Timestamp, percent: u8) {
    let mut line = Object::continued(out);
    line.moment("ts", at).word("ev", Event::LogCapacity.code()).number("n", percent.into());
    line.end();
}

/// The body that says that the kernel's clock is kept at true time again, or no longer.
pub(crate) fn clock(out: &mut Vec<u8>, at: Timestamp, event: Event, clock: &ClockReading) {
    let mut line = Object::continued(out);
    line.moment("ts", at).word("ev", event.code());
    push_clock(&mut line, clock);
    line.end();
}

/// The body that says that the clock was set: `off` is by how much, in milliseconds, negative where it went back.
pub(crate) fn stepped(out: &mut Vec<u8>, at: Timestamp, by_micros: i64) {
    let mut line = Object::continued(out);
    line.moment("ts", at).word("ev", Event::ClockStepped.code());
    push_signed_millis(&mut line, "off", by_micros);
    line.end();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ClockState;

    fn whole(fill: impl FnOnce(&mut Vec<u8>)) -> String {
        let (mut body, mut out) = (Vec::new(), Vec::new());
        fill(&mut body);
        crate::line::push_line(&mut out, 5, &body);
        String::from_utf8(out).unwrap().trim_end().to_owned()
    }

    #[test]
    fn what_the_log_says_of_itself_reads_back() {
        let at = Timestamp::from_unix_micros(1_743_466_530_123_456);
        let segment = DeletedSegment { first: 10, end: 20, root: "AAAA".into() };
        let line = whole(|out| deleted(out, at, &segment));
        assert_eq!(read_deleted(line.as_bytes()), Some((20, "AAAA".into())));
        assert_eq!(read_deleted(line.replace("segment-deleted", "log-read").as_bytes()), None);
        let from_spool = line.replacen("\"seq\":5,", "\"seq\":5,\"spool\":\"a/0\",", 1);
        assert_eq!(read_deleted(from_spool.as_bytes()), None, "whoever writes the spool is not the log");
        let line = whole(|out| void(out, at, &(3..5), 2));
        assert_eq!(of_deletion(line.as_bytes()), Some(OfDeletion::Void(3..5, 2)));
        let reading =
            ClockReading { state: ClockState::Synchronised, offset_micros: -1_234, error_micros_max: 500_000 };
        let line = whole(|out| clock(out, at, Event::ClockSynchronised, &reading));
        assert!(
            line.ends_with(r#""ev":"clock-synchronised","clk":"synchronised","off":-1.234,"err":500.000}"#),
            "{line}"
        );
        let line = whole(|out| stepped(out, at, -3_600_000_000));
        assert!(line.ends_with(r#""ev":"clock-stepped","off":-3600000.000}"#), "{line}");
        assert!(whole(|out| capacity(out, at, 85)).ends_with(r#""ev":"log-capacity","n":85}"#));
    }
}
