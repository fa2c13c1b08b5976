//! What the log watches beside itself: how full it and its disk are, whether the clock is kept at true time, and whether
//! it was set. Each change is a line of the log, and a warning for the operator.

use std::time::{Duration, Instant};

use policy::Timestamp;

use crate::{ClockReading, ClockState, Event, upkeep};

/// How full the log may be before it is said, in percent.
const LEVELS: [u8; 3] = [70, 85, 95];
/// How far below a level it must come for that to be said.
const SLACK_PERCENT: u8 = 2;
/// A clock that differs from the passing of time by more than this was set.
pub(crate) const STEP_MIN: Duration = Duration::from_secs(5);

/// What was seen last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Watch {
    level: u8,
    clock: ClockState,
    last: Option<(Timestamp, Instant)>,
}

impl Default for Watch {
    fn default() -> Self {
        // A clock that nothing keeps is told of at the start too.
        Self { level: 0, clock: ClockState::Synchronised, last: None }
    }
}

/// What is seen at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight {
    pub(crate) at: Timestamp,
    /// The same moment by a clock that is never set, where there is one to compare with.
    pub(crate) tick: Option<Instant>,
    /// How full the log or its disk is.
    pub(crate) percent: u8,
    pub(crate) clock: ClockReading,
}

impl Watch {
    /// The bodies of the lines that tell what changed.
    pub(crate) fn look(&mut self, seen: &Sight) -> Vec<Vec<u8>> {
        let mut told = Vec::new();
        self.look_at_room(seen, &mut told);
        self.look_at_clock(seen, &mut told);
        self.look_for_steps(seen, &mut told);
        told
    }

    fn look_at_room(&mut self, seen: &Sight, told: &mut Vec<Vec<u8>>) {
        let level = |percent: u8| LEVELS.into_iter().rev().find(|level| percent >= *level).unwrap_or(0);
        let rose = level(seen.percent);
        let fell = level(seen.percent.saturating_add(SLACK_PERCENT));
        let now = if rose > self.level { rose } else { fell.min(self.level) };
        if now == self.level {
            return;
        }
        let percent = seen.percent;
        match now {
            95.. => tracing::error!(percent, "the audit log is almost full; make room"),
            70.. => tracing::warn!(percent, "the audit log fills up"),
            _ => tracing::info!(percent, "the audit log has room again"),
        }
        self.level = now;
        told.push(body(|out| upkeep::capacity(out, seen.at, now)));
    }

    fn look_at_clock(&mut self, seen: &Sight, told: &mut Vec<Vec<u8>>) {
        let event = match (self.clock, seen.clock.state) {
            (ClockState::Synchronised | ClockState::Unknown, ClockState::Unsynchronised) => {
                tracing::error!("nothing keeps this machine's clock at true time; see to its time service");
                Event::ClockUnsynchronised
            }
            (ClockState::Unsynchronised, ClockState::Synchronised) => {
                tracing::info!("this machine's clock is kept at true time again");
                Event::ClockSynchronised
            }
            (ClockState::Unknown, ClockState::Synchronised) => {
                self.clock = ClockState::Synchronised;
                return;
            }
            (ClockState::Synchronised, ClockState::Synchronised)
            | (ClockState::Unsynchronised, ClockState::Unsynchronised)
            | (_, ClockState::Unknown) => return,
        };
        self.clock = seen.clock.state;
        told.push(body(|out| upkeep::clock(out, seen.at, event, &seen.clock)));
    }

    fn look_for_steps(&mut self, seen: &Sight, told: &mut Vec<Vec<u8>>) {
        let Some(now) = seen.tick else { return };
        let Some((at, tick)) = self.last.replace((seen.at, now)) else { return };
        let passed = i64::try_from(now.saturating_duration_since(tick).as_micros()).unwrap_or(i64::MAX);
        let by = seen.at.unix_micros().saturating_sub(at.unix_micros()).saturating_sub(passed);
        if u128::from(by.unsigned_abs()) > STEP_MIN.as_micros() {
            tracing::warn!(micros = by, "this machine's clock was set");
            told.push(body(|out| upkeep::stepped(out, seen.at, by)));
        }
    }
}

fn body(fill: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut body = Vec::new();
    fill(&mut body);
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(second: i64, percent: u8, state: ClockState) -> Sight {
        let at = Timestamp::from_unix_micros(1_795_215_600_000_000 + second * 1_000_000);
        Sight { at, tick: None, percent, clock: ClockReading { state, offset_micros: 0, error_micros_max: 9 } }
    }

    fn told(watch: &mut Watch, seen: &Sight) -> String {
        watch.look(seen).into_iter().map(|body| String::from_utf8(body).unwrap()).collect()
    }

    #[test]
    fn each_level_is_told_once_and_not_again_for_a_little() {
        let mut watch = Watch::default();
        let mut at = |percent| told(&mut watch, &seen(0, percent, ClockState::Synchronised));
        assert_eq!(at(69), "");
        assert!(at(70).contains(r#""ev":"log-capacity","n":70"#));
        assert_eq!((at(84), at(69), at(70)), (String::new(), String::new(), String::new()), "within the slack");
        assert!(at(96).contains(r#""n":95"#));
        assert_eq!(at(94), "");
        assert!(at(80).contains(r#""n":70"#));
        assert!(at(10).contains(r#""n":0"#));
    }

    #[test]
    fn a_clock_that_nothing_keeps_is_told_of_at_the_start_and_when_it_changes() {
        let mut watch = Watch::default();
        let mut at = |state| told(&mut watch, &seen(0, 0, state));
        assert!(at(ClockState::Unsynchronised).contains("clock-unsynchronised"));
        assert_eq!(at(ClockState::Unsynchronised), "");
        assert_eq!(at(ClockState::Unknown), "");
        assert!(at(ClockState::Synchronised).contains("clock-synchronised"));
        assert!(at(ClockState::Unsynchronised).contains(r#""clk":"unsynchronised""#));
    }

    #[test]
    fn a_clock_that_was_set_is_told_with_by_how_much() {
        let (mut watch, start) = (Watch::default(), Instant::now());
        let mut at = |second, after| {
            let tick = Some(start + Duration::from_secs(after));
            told(&mut watch, &Sight { tick, ..seen(second, 0, ClockState::Synchronised) })
        };
        assert_eq!((at(0, 0), at(1, 1), at(61, 61)), (String::new(), String::new(), String::new()));
        assert!(at(61 - 3_600, 61).contains(r#""ev":"clock-stepped","off":-3600000.000"#));
        assert_eq!(at(62 - 3_600, 62), "");
        assert!(at(63, 63).contains(r#""off":3600000.000"#));
    }
}
