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
    /// What these lines say of deletions counts for nothing.
    Void(Range<u64>),
}

/// Lines that say of others that they count for nothing, in their order, each with its number. One that was itself found
/// unsigned later counts for nothing in turn, and so does one that speaks of what comes after it.
#[derive(Debug, Default)]
pub(crate) struct Voids(Vec<(u64, Range<u64>)>);

impl Voids {
    /// Adds the next one.
    pub(crate) fn note(&mut self, number: u64, lines: Range<u64>) {
        self.0.push((number, lines));
    }

    /// Of which lines they say that truly, the newest first.
    pub(crate) fn in_force(&self) -> Vec<&Range<u64>> {
        let mut in_force: Vec<&Range<u64>> = Vec::new();
        for (number, lines) in self.0.iter().rev().filter(|(number, lines)| lines.end <= *number) {
            if !in_force.iter().any(|later| later.contains(number)) {
                in_force.push(lines);
            }
        }
        in_force
    }

    /// How many of them count for nothing, and were not left by a start that a crash cut short.
    pub(crate) fn forged(&self) -> u64 {
        let in_force = self.in_force();
        let is_forged = |number: u64, lines: &Range<u64>| {
            in_force.iter().any(|later| later.contains(&number) && reaches_out(number, lines, later.start))
        };
        self.0.iter().filter(|(number, lines)| is_forged(*number, lines)).count() as u64
    }
}

/// Whether a line that says that others count for nothing, and was found unsigned with all from `unsigned` on, speaks of
/// lines outside. A start that was cut short leaves one that does not.
pub(crate) fn reaches_out(number: u64, lines: &Range<u64>, unsigned: u64) -> bool {
    lines.start < unsigned || lines.end > number
}

#[derive(Deserialize)]
struct VoidLine {
    first: u64,
    end: u64,
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
        return Some(OfDeletion::Void(read.first..read.end));
    }
    None
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
    fn what_says_that_lines_count_for_nothing_counts_itself_only_where_a_start_wrote_it() {
        let voids = |lines: &[(u64, Range<u64>)]| {
            let mut voids = Voids::default();
            lines.iter().for_each(|(number, lines)| voids.note(*number, lines.clone()));
            (voids.in_force().into_iter().map(|lines| (lines.start, lines.end)).collect::<Vec<_>>(), voids.forged())
        };
        assert_eq!(voids(&[(6, 5..6)]), (vec![(5, 6)], 0));
        assert_eq!(voids(&[(6, 5..6), (7, 5..7)]), (vec![(5, 7)], 0), "a start that was killed");
        assert_eq!(voids(&[(6, 0..6), (7, 5..7)]), (vec![(5, 7)], 1), "of what was signed before");
        assert_eq!(voids(&[(6, 0..u64::MAX)]), (vec![], 0), "of what comes after it");
        assert_eq!(voids(&[(6, 0..u64::MAX), (7, 5..7), (9, 8..9)]), (vec![(8, 9), (5, 7)], 1));
    }

    #[test]
    fn what_the_log_says_of_itself_reads_back() {
        let at = Timestamp::from_unix_micros(1_743_466_530_123_456);
        let segment = DeletedSegment { first: 10, end: 20, root: "AAAA".into() };
        let line = whole(|out| deleted(out, at, &segment));
        assert_eq!(of_deletion(line.as_bytes()), Some(OfDeletion::Recorded(20, "AAAA".into())));
        assert_eq!(of_deletion(line.replace("segment-deleted", "log-read").as_bytes()), None);
        let from_spool = line.replacen("\"seq\":5,", "\"seq\":5,\"spool\":\"a/0\",", 1);
        assert_eq!(of_deletion(from_spool.as_bytes()), None, "whoever writes the spool is not the log");
        let line = whole(|out| void(out, at, &(3..5), 2));
        assert_eq!(of_deletion(line.as_bytes()), Some(OfDeletion::Void(3..5)));
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
