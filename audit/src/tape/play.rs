//! Playing a recording: what the screen showed, as rows that changed. What a target sent never leaves this file: who looks
//! at it gets letters and colours, and no sequence that a terminal could act on.

use std::time::{Duration, Instant};

use crate::LogProblem;
use crate::tape::cast::Event;
use crate::tape::read::Recording;
use crate::tape::screen::{Run, Screen};

/// What happens within this time is one picture.
const FRAME_INTERVAL: Duration = Duration::from_millis(40);
/// How many pictures are given at once.
const FRAMES_MAX: usize = 1_000;
/// About how many bytes of rows are given at once.
const PART_BYTES: usize = 256 * 1024;
/// How long it may take to make them.
const PART_TIME: Duration = Duration::from_millis(500);
/// What a piece of a row costs besides its letters.
const RUN_BYTES: usize = 32;

/// The screen at one moment, as far as it changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// When, counted from the beginning.
    pub at: Duration,
    /// Columns and rows, where the terminal has another size than before.
    pub size: Option<(u16, u16)>,
    /// Rows that changed, by their number.
    pub rows: Vec<(u16, Vec<Run>)>,
    /// Row and column of the cursor, where it is shown.
    pub cursor: Option<(u16, u16)>,
    /// Commands that were sent off.
    pub commands: Vec<String>,
}

/// Some pictures that follow each other.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Part {
    /// The pictures.
    pub frames: Vec<Frame>,
    /// Whether no more is written at this moment.
    pub is_all: bool,
}

/// Plays one recording from its beginning on.
#[derive(Debug)]
pub struct Player {
    recording: Recording,
    screen: Screen,
    /// How the rows were when they were shown last.
    shown: Vec<Vec<Run>>,
    size_shown: (u16, u16),
    at: Duration,
}

impl Player {
    /// Begins to play.
    #[must_use]
    pub fn new(recording: Recording) -> Self {
        let (columns, rows) = recording.size();
        let screen = Screen::new(columns, rows);
        Self { recording, screen, shown: Vec::new(), size_shown: (0, 0), at: Duration::ZERO }
    }

    /// Whether it was played to its end.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.recording.is_over()
    }

    /// When what is shown now happened.
    #[must_use]
    pub fn at(&self) -> Duration {
        self.at
    }

    /// Goes on to a moment without showing what was between, and shows the whole screen then; or where it is when
    /// `is_enough` says so.
    ///
    /// # Errors
    /// [`LogProblem`] where the recording is damaged.
    pub fn skip(&mut self, to: Duration, is_enough: impl Fn() -> bool) -> Result<Frame, LogProblem> {
        while let Some((at, event)) = self.recording.next_event()? {
            if at > to || is_enough() {
                self.recording.put_back((at, event));
                break;
            }
            self.take(at, event);
        }
        self.shown = Vec::new();
        self.size_shown = (0, 0);
        Ok(self.frame(Vec::new()))
    }

    /// The pictures that follow, as many as are given at once.
    ///
    /// # Errors
    /// [`LogProblem`] where the recording is damaged.
    pub fn part(&mut self) -> Result<Part, LogProblem> {
        let (mut part, mut bytes, begin) = (Part::default(), 0, Instant::now());
        while part.frames.len() < FRAMES_MAX && bytes < PART_BYTES && begin.elapsed() < PART_TIME {
            let Some((first, event)) = self.recording.next_event()? else {
                part.is_all = true;
                break;
            };
            let mut commands = Vec::from_iter(self.take(first, event));
            while let Some((at, event)) = self.recording.next_event()? {
                if at >= first + FRAME_INTERVAL || begin.elapsed() >= PART_TIME {
                    self.recording.put_back((at, event));
                    break;
                }
                commands.extend(self.take(at, event));
            }
            let frame = self.frame(commands);
            let cost = |run: &Run| run.text.len() + RUN_BYTES;
            bytes += frame.rows.iter().flat_map(|(_, runs)| runs).map(cost).sum::<usize>() + RUN_BYTES;
            part.frames.push(frame);
        }
        Ok(part)
    }

    /// Follows one thing that happened; gives it where it is a command.
    fn take(&mut self, at: Duration, event: Event) -> Option<String> {
        self.at = at;
        self.screen.now(at);
        match event {
            Event::Output(text) => self.screen.feed(text.as_bytes()),
            Event::Resize { columns, rows } => self.screen.resize(super::side(columns), super::side(rows)),
            Event::Marker(text) => return Some(text),
        }
        None
    }

    fn frame(&mut self, commands: Vec<String>) -> Frame {
        let size = self.screen.size();
        let is_new_size = size != self.size_shown;
        if is_new_size {
            self.shown = Vec::new();
            self.size_shown = size;
        }
        self.shown.resize(size.1.into(), Vec::new());
        let mut rows = Vec::new();
        for (number, shown) in (0..size.1).zip(&mut self.shown) {
            let row = self.screen.row(number);
            if row != *shown {
                shown.clone_from(&row);
                rows.push((number, row));
            }
        }
        Frame { at: self.at, size: is_new_size.then_some(size), rows, cursor: self.screen.cursor(), commands }
    }
}
