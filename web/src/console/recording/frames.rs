//! The pictures of a recording, as the script of its page takes them. Text and colours: nothing that a target sent goes
//! further than onto the screen that the gateway followed itself.

use std::time::{Duration, Instant};

use audit::{Colour, Frame, Part, Player, Run};
use bytes::Bytes;
use http::StatusCode;
use serde::Serialize;

use super::super::desk::{Desk, Shown};
use super::{State, millis, recordings, told};
use crate::{Fault, headers};

/// How long an answer waits for something to happen.
const WAIT_MAX: Duration = Duration::from_secs(8);
/// How often it looks.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);
/// How long going on to a moment may take; then it is played from where that came to.
const SKIP_MAX: Duration = Duration::from_secs(20);

/// What is given at once.
#[derive(Serialize)]
struct Given {
    frames: Vec<GivenFrame>,
    /// From where to go on, in milliseconds.
    next: u64,
    /// Whether no more is written at this moment.
    all: bool,
    /// Whether no more will be.
    over: bool,
}

#[derive(Serialize)]
struct GivenFrame {
    at: u64,
    size: Option<(u16, u16)>,
    rows: Vec<(u16, Vec<GivenRun>)>,
    cursor: Option<(u16, u16)>,
    commands: Vec<String>,
}

/// Text, ink, ground, and how it looks: 1 bold, 2 dim, 4 italic, 8 underlined, 16 inverse.
#[derive(Serialize)]
struct GivenRun(String, Option<GivenColour>, Option<GivenColour>, u8);

#[derive(Serialize)]
#[serde(untagged)]
enum GivenColour {
    Palette(u8),
    Exact(String),
}

/// The pictures from a moment on.
pub(in super::super) async fn frames(desk: &Desk<'_>) -> Shown {
    let told = told(desk).await?;
    let (id, is_open) = (told.id, told.state() == State::Open);
    let from = desk.asked("from").and_then(|from| from.parse().ok()).map_or(Duration::ZERO, Duration::from_millis);
    let who = (desk.who.session, id);
    if !desk.site.players.looks(who) {
        desk.note_viewing(&told, if is_open { "watch" } else { "play" }).await?;
    }
    desk.site.players.looked(who);
    let kept = desk.asked("on").and_then(|_| desk.site.players.take(who, from));
    let goes_on = kept.is_some();
    let (mut player, first) = match kept {
        Some(player) => (player, None),
        None => desk
            .off_play(move |log, is_left| {
                let Some(recording) = recordings(log)?.open(id)? else { return Ok(None) };
                let mut player = Player::new(recording);
                // The whole of that millisecond is meant.
                let begin = Instant::now();
                let is_enough = || is_left() || begin.elapsed() >= SKIP_MAX;
                let first = player.skip(from.saturating_add(Duration::from_micros(999)), is_enough)?;
                Ok(Some((player, Some(first))))
            })
            .await?
            .ok_or(Fault::NotFound)?,
    };
    let deadline = Instant::now() + if is_open && goes_on { WAIT_MAX } else { Duration::ZERO };
    let mut part;
    loop {
        (player, part) = desk
            .off_play(move |_, _| {
                let part = player.part()?;
                Ok((player, part))
            })
            .await?;
        if !part.frames.is_empty() || player.is_over() || Instant::now() >= deadline {
            break;
        }
        tokio::time::sleep(LOOK_INTERVAL).await;
    }
    let given = given(first, part, &player, is_open);
    desk.site.players.keep(who, player);
    let text = serde_json::to_vec(&given).map_err(|_| Fault::Internal)?;
    Ok(headers::document(StatusCode::OK, "application/json", "no-store", Bytes::from(text)))
}

fn given(first: Option<Frame>, part: Part, player: &Player, is_open: bool) -> Given {
    Given {
        frames: first.into_iter().chain(part.frames).map(frame).collect(),
        next: millis(player.at()),
        all: part.is_all,
        over: part.is_all && (player.is_over() || !is_open),
    }
}

fn frame(frame: Frame) -> GivenFrame {
    GivenFrame {
        at: millis(frame.at),
        size: frame.size,
        rows: frame.rows.into_iter().map(|(row, runs)| (row, runs.into_iter().map(run).collect())).collect(),
        cursor: frame.cursor,
        commands: frame.commands,
    }
}

fn run(run: Run) -> GivenRun {
    let looks = [run.is_bold, run.is_dim, run.is_italic, run.is_underlined, run.is_inverse];
    let look = looks.into_iter().zip(0..).map(|(is_so, bit)| u8::from(is_so) << bit).sum();
    GivenRun(run.text, colour(run.ink), colour(run.ground), look)
}

fn colour(colour: Colour) -> Option<GivenColour> {
    match colour {
        Colour::Usual => None,
        Colour::Palette(number) => Some(GivenColour::Palette(number)),
        Colour::Exact(red, green, blue) => Some(GivenColour::Exact(format!("#{red:02x}{green:02x}{blue:02x}"))),
    }
}
