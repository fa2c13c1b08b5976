//! What became of the notices of one receiver, as the store keeps it in a note: written by the gateway's runner, read by
//! the console and the command line.

use std::collections::VecDeque;

use policy::{NoticeId, Timestamp};
use serde::{Deserialize, Serialize};

use super::late::{LATE_MAX, NoticeLate};

/// How many results are kept.
const RESULTS_MAX: usize = 20;
/// The longest problem that is kept, in characters.
const PROBLEM_CHARS_MAX: usize = 300;
/// The form of the note.
const VERSION: u32 = 1;

/// What became of the notices of one receiver.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoticeStanding {
    /// The number of the last event that is dealt with: told, given up, or nothing to tell.
    pub dealt_with: u64,
    /// How many notices were taken.
    pub sent: u64,
    /// How many were given up.
    pub given_up: u64,
    /// How many attempts failed.
    pub failures: u64,
    /// When one was last taken.
    pub last_success: Option<Timestamp>,
    /// The one that waits to be sent again.
    pub waiting: Option<NoticeWaiting>,
    /// Those that some addresses do not have yet, while others do; the first first.
    pub late: Vec<NoticeLate>,
    /// What became of the last ones, newest first.
    pub results: VecDeque<NoticeResult>,
}

/// A notice that could not be sent yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoticeWaiting {
    /// The number of its event.
    pub sequence: u64,
    /// The event's code.
    pub event: String,
    /// When it was first tried.
    pub since: Timestamp,
    /// How often it was tried.
    pub attempts: u64,
    /// What stood in the way the last time.
    pub problem: String,
}

/// What became of a notice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NoticeResult {
    /// The number of its event.
    pub sequence: u64,
    /// The event's code.
    pub event: String,
    /// When the event happened.
    pub happened_at: Timestamp,
    /// When this was known.
    pub at: Timestamp,
    /// How it ended.
    pub end: NoticeEnd,
    /// After how many attempts.
    pub attempts: u64,
    /// What stood in the way the last time; for a notice that was taken, by which addresses it was not.
    pub problem: Option<String>,
}

/// How a notice ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeEnd {
    /// The receiver took it.
    Sent,
    /// It was tried long enough.
    GivenUp,
}

impl NoticeEnd {
    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::GivenUp => "given-up",
        }
    }
}

impl NoticeStanding {
    /// Of a receiver that was never told anything: it begins after this event.
    #[must_use]
    pub fn after(sequence: u64) -> Self {
        Self {
            dealt_with: sequence,
            sent: 0,
            given_up: 0,
            failures: 0,
            last_success: None,
            waiting: None,
            late: Vec::new(),
            results: VecDeque::new(),
        }
    }

    /// The key of the note.
    #[must_use]
    pub fn key(id: &NoticeId) -> String {
        format!("notice:{id}")
    }

    /// Notes a failed attempt.
    pub fn note_failure(&mut self, sequence: u64, event: &str, problem: &str, at: Timestamp) {
        let before = self.waiting.take().filter(|waiting| waiting.sequence == sequence);
        self.failures = self.failures.saturating_add(1);
        self.waiting = Some(NoticeWaiting {
            sequence,
            event: event.to_owned(),
            since: before.as_ref().map_or(at, |waiting| waiting.since),
            attempts: before.map_or(0, |waiting| waiting.attempts).saturating_add(1),
            problem: problem.chars().take(PROBLEM_CHARS_MAX).collect(),
        });
    }

    /// Notes that some addresses put a notice off while others took it.
    pub fn note_late(&mut self, late: NoticeLate) {
        self.late.push(late);
        if self.late.len() > LATE_MAX {
            self.late.remove(0);
            self.given_up = self.given_up.saturating_add(1);
        }
    }

    /// Notes what came of trying such addresses again: who is left, and by which addresses it was not taken.
    pub fn note_late_attempt(&mut self, sequence: u64, left: Vec<String>, problem: Option<String>, at: Timestamp) {
        let Some(place) = self.late.iter().position(|late| late.sequence == sequence) else { return };
        let was_left = !left.is_empty();
        match self.late.remove(place).tried(left, at) {
            Some(late) => self.late.insert(place, late),
            None if was_left => self.given_up = self.given_up.saturating_add(1),
            None => {}
        }
        if let Some(result) = self.results.iter_mut().find(|result| result.sequence == sequence) {
            result.attempts = result.attempts.saturating_add(1);
            (result.at, result.problem) = (at, problem);
        }
    }

    /// Notes how a notice ended; nothing waits then.
    pub fn note_end(&mut self, result: NoticeResult) {
        match result.end {
            NoticeEnd::Sent => {
                self.sent = self.sent.saturating_add(1);
                self.last_success = Some(result.at);
            }
            NoticeEnd::GivenUp => self.given_up = self.given_up.saturating_add(1),
        }
        self.dealt_with = result.sequence;
        self.waiting = None;
        self.results.push_front(result);
        self.results.truncate(RESULTS_MAX);
    }

    /// Reads a note.
    ///
    /// # Errors
    /// In words, where it is not one of ours.
    pub fn read(note: &str) -> Result<Self, String> {
        let kept: Kept = serde_json::from_str(note).map_err(|error| error.to_string())?;
        if kept.v != VERSION {
            return Err(format!("has the form {}, of another version", kept.v));
        }
        Ok(Self {
            dealt_with: kept.dealt_with,
            sent: kept.sent,
            given_up: kept.given_up,
            failures: kept.failures,
            last_success: kept.last_success.map(Timestamp::from_unix_micros),
            waiting: kept.waiting.map(|waiting| NoticeWaiting {
                sequence: waiting.sequence,
                event: waiting.event,
                since: Timestamp::from_unix_micros(waiting.since),
                attempts: waiting.attempts,
                problem: waiting.problem,
            }),
            late: kept.late,
            results: kept.results.into_iter().take(RESULTS_MAX).map(NoticeResult::from).collect(),
        })
    }

    /// Writes the note.
    #[must_use]
    pub fn write(&self) -> String {
        let kept = Kept {
            v: VERSION,
            dealt_with: self.dealt_with,
            sent: self.sent,
            given_up: self.given_up,
            failures: self.failures,
            last_success: self.last_success.map(Timestamp::unix_micros),
            waiting: self.waiting.as_ref().map(|waiting| KeptWaiting {
                sequence: waiting.sequence,
                event: waiting.event.clone(),
                since: waiting.since.unix_micros(),
                attempts: waiting.attempts,
                problem: waiting.problem.clone(),
            }),
            late: self.late.clone(),
            results: self.results.iter().map(KeptResult::from).collect(),
        };
        // Invariant: a struct of texts and numbers always serializes.
        serde_json::to_string(&kept).unwrap_or_default()
    }
}

/// The form in the note.
#[derive(Serialize, Deserialize)]
struct Kept {
    v: u32,
    dealt_with: u64,
    sent: u64,
    given_up: u64,
    failures: u64,
    last_success: Option<i64>,
    waiting: Option<KeptWaiting>,
    #[serde(default)]
    late: Vec<NoticeLate>,
    results: Vec<KeptResult>,
}

#[derive(Serialize, Deserialize)]
struct KeptWaiting {
    sequence: u64,
    event: String,
    since: i64,
    attempts: u64,
    problem: String,
}

#[derive(Serialize, Deserialize)]
struct KeptResult {
    sequence: u64,
    event: String,
    happened_at: i64,
    at: i64,
    end: NoticeEnd,
    attempts: u64,
    problem: Option<String>,
}

impl From<KeptResult> for NoticeResult {
    fn from(kept: KeptResult) -> Self {
        Self {
            sequence: kept.sequence,
            event: kept.event,
            happened_at: Timestamp::from_unix_micros(kept.happened_at),
            at: Timestamp::from_unix_micros(kept.at),
            end: kept.end,
            attempts: kept.attempts,
            problem: kept.problem,
        }
    }
}

impl From<&NoticeResult> for KeptResult {
    fn from(result: &NoticeResult) -> Self {
        Self {
            sequence: result.sequence,
            event: result.event.clone(),
            happened_at: result.happened_at.unix_micros(),
            at: result.at.unix_micros(),
            end: result.end,
            attempts: result.attempts,
            problem: result.problem.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_unix_micros(micros)
    }

    fn result(sequence: u64, end: NoticeEnd) -> NoticeResult {
        let event = "device-revoked".to_owned();
        NoticeResult { sequence, event, happened_at: at(1), at: at(2), end, attempts: 1, problem: None }
    }

    #[test]
    fn what_is_written_is_read_back_and_nothing_is_guessed() {
        let mut standing = NoticeStanding::after(7);
        standing.note_failure(9, "device-revoked", "`mail:587` cannot be reached", at(5));
        standing.note_failure(9, "device-revoked", "again", at(6));
        let waiting = standing.waiting.clone().unwrap();
        assert_eq!((waiting.since, waiting.attempts, waiting.problem.as_str()), (at(5), 2, "again"));
        assert_eq!(NoticeStanding::read(&standing.write()), Ok(standing.clone()));
        standing.note_end(result(9, NoticeEnd::GivenUp));
        standing.note_end(result(10, NoticeEnd::Sent));
        assert_eq!((standing.sent, standing.given_up, standing.failures), (1, 1, 2));
        assert_eq!((standing.dealt_with, standing.waiting.is_none(), standing.last_success), (10, true, Some(at(2))));
        assert_eq!(NoticeStanding::read(&standing.write()), Ok(standing));
        for damaged in ["", "{}", "{\"v\":2}", "[1"] {
            assert!(NoticeStanding::read(damaged).is_err(), "{damaged}");
        }
    }

    #[test]
    fn addresses_that_were_put_off_are_kept_until_they_have_it_or_for_a_day() {
        let mut standing = NoticeStanding::after(7);
        let left = vec!["b@x".to_owned()];
        standing.note_end(result(9, NoticeEnd::Sent));
        standing.note_late(NoticeLate::new(9, left.clone(), at(2)));
        assert_eq!(NoticeStanding::read(&standing.write()), Ok(standing.clone()));
        let before = standing
            .write()
            .replace("\"late\":[{\"sequence\":9,\"to\":[\"b@x\"],\"since\":2,\"tried_at\":2,\"attempts\":1}],", "");
        assert!(NoticeStanding::read(&before).unwrap().late.is_empty(), "a note of an earlier version: {before}");
        standing.note_late_attempt(9, left.clone(), Some("450".to_owned()), at(60));
        let first = standing.results.front().unwrap();
        assert_eq!((standing.late.len(), first.attempts, first.problem.as_deref()), (1, 2, Some("450")));
        let mut given_up = standing.clone();
        given_up.note_late_attempt(9, left, Some("450".to_owned()), at(25 * 3_600_000_000));
        assert_eq!((given_up.late.len(), given_up.given_up), (0, 1));
        standing.note_late_attempt(9, Vec::new(), None, at(90));
        assert_eq!((standing.late.len(), standing.given_up), (0, 0));
        assert_eq!(standing.results.front().unwrap().problem, None, "everybody has it");
        (0..200).for_each(|number| standing.note_late(NoticeLate::new(number, Vec::new(), at(1))));
        assert_eq!(standing.late.len(), LATE_MAX);
    }

    #[test]
    fn the_last_results_are_kept_and_no_more() {
        let mut standing = NoticeStanding::after(0);
        (1..100).for_each(|number| standing.note_end(result(number, NoticeEnd::Sent)));
        assert_eq!(standing.results.len(), RESULTS_MAX);
        assert_eq!(standing.results.front().unwrap().sequence, 99);
        standing.note_failure(100, "x", &"長い".repeat(1_000), at(1));
        assert_eq!(standing.waiting.unwrap().problem.chars().count(), PROBLEM_CHARS_MAX);
    }
}
