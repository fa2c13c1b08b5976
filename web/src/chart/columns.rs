//! Columns side by side, for something over time.

use super::{Bar, grouped, share};

/// How wide a column is with what is around it: wide enough for a finger.
const SLOT: u64 = 28;
/// How wide the column itself is.
const WIDTH: u64 = 20;
/// How high the highest column is.
const HEIGHT: u64 = 120;
/// Room above the highest for its number, and below for the letters.
const ABOVE: u64 = 18;
const BELOW: u64 = 22;

/// Columns side by side.
#[derive(Debug)]
pub(crate) struct Columns {
    bars: Vec<Bar>,
    highest: u64,
}

/// A column with its place in the picture.
pub(crate) struct Column<'a> {
    pub(crate) bar: &'a Bar,
    /// Where its slot begins.
    pub(crate) slot: u64,
    /// Where it begins itself.
    pub(crate) x: u64,
    pub(crate) y: u64,
    pub(crate) height: u64,
    /// The middle of its slot, for the letters below.
    pub(crate) middle: u64,
}

impl Columns {
    pub(crate) fn new(bars: Vec<Bar>) -> Self {
        let highest = bars.iter().map(|bar| bar.count).max().unwrap_or(0);
        Self { bars, highest }
    }

    pub(super) fn bars(&self) -> &[Bar] {
        &self.bars
    }

    /// Every bar in its place.
    pub(crate) fn placed(&self) -> impl Iterator<Item = Column<'_>> {
        self.bars.iter().zip(0_u64..).map(|(bar, number)| {
            let slot = number * SLOT;
            let height = share(bar.count, self.highest, HEIGHT);
            let x = slot + (SLOT - WIDTH) / 2;
            Column { bar, slot, x, y: ABOVE + HEIGHT - height, height, middle: slot + SLOT / 2 }
        })
    }

    /// How wide the picture is.
    pub(crate) fn width(&self) -> u64 {
        u64::try_from(self.bars.len()).unwrap_or(0).max(1) * SLOT
    }

    /// How high the picture is.
    #[expect(clippy::unused_self, reason = "templates call methods, not paths")]
    pub(crate) fn height(&self) -> u64 {
        ABOVE + HEIGHT + BELOW
    }

    /// Where the columns stand.
    #[expect(clippy::unused_self, reason = "templates call methods, not paths")]
    pub(crate) fn ground(&self) -> u64 {
        ABOVE + HEIGHT
    }

    /// How wide a slot is.
    #[expect(clippy::unused_self, reason = "templates call methods, not paths")]
    pub(crate) fn slot(&self) -> u64 {
        SLOT
    }

    /// How wide a column is.
    #[expect(clippy::unused_self, reason = "templates call methods, not paths")]
    pub(crate) fn column(&self) -> u64 {
        WIDTH
    }

    /// The count of the highest column.
    pub(crate) fn most(&self) -> String {
        grouped(self.highest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_column_stands_on_the_ground_inside_the_picture() {
        let counts = [0, 1, 500_000, u64::MAX, 3];
        let columns = Columns::new(counts.map(|count| Bar::new(count.to_string(), count, "/log")).into());
        for column in columns.placed() {
            assert_eq!(column.y + column.height, columns.ground(), "{}", column.bar.label);
            assert!(column.y >= ABOVE && column.x + WIDTH <= columns.width(), "{}", column.bar.label);
        }
        assert_eq!(columns.placed().map(|one| one.height).collect::<Vec<_>>(), [0, 1, 1, HEIGHT, 1]);
        assert_eq!(Columns::new(Vec::new()).width(), SLOT, "an empty picture still is one");
    }
}
