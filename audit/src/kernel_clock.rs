//! What the kernel knows of its clock: whether something keeps it at true time, and how far off it may be. Read with
//! `adjtimex`, which chrony, ntpd and systemd-timesyncd tell what they do. Nothing is changed.

use rtime_clock::adjtime::{Timex, adjtimex};

/// `STA_UNSYNC` of `adjtimex(2)`: nothing keeps the clock.
const STATUS_UNSYNCHRONISED: i32 = 0x0040;
/// `STA_NANO` of `adjtimex(2)`: the offset is in nanoseconds.
const STATUS_NANO: i32 = 0x2000;

/// Whether something keeps the machine's clock at true time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ClockState {
    /// The kernel says that a time service keeps it.
    Synchronised,
    /// The kernel says that nothing keeps it.
    Unsynchronised,
    /// The kernel does not say.
    Unknown,
}

impl ClockState {
    /// Its code in the log.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Synchronised => "synchronised",
            Self::Unsynchronised => "unsynchronised",
            Self::Unknown => "unknown",
        }
    }
}

/// The kernel's clock at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ClockReading {
    /// Whether something keeps it.
    pub state: ClockState,
    /// How far it is from true time, as the kernel is still correcting, in microseconds; positive where it is behind.
    pub offset_micros: i64,
    /// How far off it may be at most, in microseconds.
    pub error_micros_max: i64,
}

impl ClockReading {
    const UNKNOWN: Self = Self { state: ClockState::Unknown, offset_micros: 0, error_micros_max: 0 };
}

/// Asks the kernel.
#[must_use]
pub fn kernel_clock() -> ClockReading {
    // Nothing is asked to be changed: all fields are zero.
    let mut answer = Timex::new();
    if let Err(error) = adjtimex(&mut answer) {
        tracing::debug!(%error, "the kernel does not say how its clock is");
        return ClockReading::UNKNOWN;
    }
    let answer = answer.0;
    let unsynchronised = answer.status & STATUS_UNSYNCHRONISED != 0;
    let state = if unsynchronised { ClockState::Unsynchronised } else { ClockState::Synchronised };
    let offset_micros = if answer.status & STATUS_NANO != 0 { answer.offset / 1_000 } else { answer.offset };
    ClockReading { state, offset_micros, error_micros_max: answer.maxerror }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_says_how_its_clock_is() {
        let reading = kernel_clock();
        assert!(reading.error_micros_max >= 0, "{reading:?}");
        let codes = [ClockState::Synchronised, ClockState::Unsynchronised, ClockState::Unknown].map(ClockState::code);
        assert_eq!(codes, ["synchronised", "unsynchronised", "unknown"]);
    }
}
