//! How much a screen may work. Two bytes can ask for a whole new screen, so a target could keep one busy for minutes with
//! little. What is heavy costs as many cells as it touches; when they are spent it is passed over until time has passed.
//! Counted in the time of the recording, so that whoever plays it sees what was seen when it was written.

use std::time::Duration;

/// How many cells may be touched in each second, and at once: a hundred of the largest screens, thousands of usual ones.
const CELLS_A_SECOND: u64 = 10_000_000;
/// Cancels the sequence that it stands in.
const CANCEL: u8 = 0x18;
const ESCAPE: u8 = 0x1b;

/// What may still be spent, and where in a sequence what is sent stands.
#[derive(Debug)]
pub(crate) struct Thrift {
    left: u64,
    at: Duration,
    place: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    Text,
    Escape,
    /// In an escape sequence of which none is heavy.
    Light,
    /// In a control sequence: the largest number in it, the one that is being read, and how many there are.
    Control {
        largest: u64,
        number: u64,
        count: u64,
    },
}

impl Default for Thrift {
    fn default() -> Self {
        Self { left: CELLS_A_SECOND, at: Duration::ZERO, place: Place::Text }
    }
}

impl Thrift {
    /// Says what time it is.
    pub(crate) fn now(&mut self, at: Duration) {
        let passed = at.saturating_sub(self.at).min(Duration::from_secs(1));
        let more = u64::try_from(passed.as_micros()).unwrap_or(0) * (CELLS_A_SECOND / 1_000_000);
        self.left = self.left.saturating_add(more).min(CELLS_A_SECOND);
        self.at = self.at.max(at);
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.left == 0
    }

    pub(crate) fn spend(&mut self, cells: u64) {
        self.left = self.left.saturating_sub(cells);
    }

    /// The byte that the screen is given for one that was sent: another where it would end a sequence that is too heavy.
    pub(crate) fn pass(&mut self, byte: u8, columns: u16, rows: u16) -> u8 {
        let (columns, cells) = (u64::from(columns), u64::from(columns) * u64::from(rows));
        let mut cost = 0;
        self.place = match (self.place, byte) {
            (_, ESCAPE) => Place::Escape,
            (Place::Text, _) | (_, CANCEL | 0x1a) => Place::Text,
            (Place::Escape, b'[') => Place::Control { largest: 0, number: 0, count: 1 },
            (Place::Escape, 0x20..=0x2f) => Place::Light,
            (Place::Escape, 0x30..=0x7e) => {
                cost = if byte == b'c' { cells } else { 0 };
                Place::Text
            }
            (Place::Light, 0x30..=0x7e) => Place::Text,
            (Place::Control { largest, number, count }, b'0'..=b'9') => {
                let number = (number * 10 + u64::from(byte - b'0')).min(u64::from(u16::MAX));
                Place::Control { largest: largest.max(number), number, count }
            }
            (Place::Control { largest, count, .. }, b':' | b';') => {
                Place::Control { largest, number: 0, count: count + 1 }
            }
            (Place::Control { largest, count, .. }, 0x40..=0x7e) => {
                cost = match byte {
                    b'J' | b'L' | b'M' | b'S' | b'T' => cells,
                    // Each of several modes may change the screen.
                    b'h' | b'l' if largest >= 47 => cells.saturating_mul(count),
                    // A letter again and again; each may scroll.
                    b'b' => largest.saturating_mul(8),
                    b'@' | b'P' | b'X' | b'K' => columns + largest,
                    _ => 0,
                };
                Place::Text
            }
            (place @ (Place::Escape | Place::Light | Place::Control { .. }), _) => place,
        };
        if cost > self.left {
            self.left = 0;
            return CANCEL;
        }
        self.left -= cost;
        byte
    }
}
