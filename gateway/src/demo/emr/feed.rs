//! Vital signs as server-sent events: one at once and then one a second, until somebody ends it.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use tokio::time::{Interval, MissedTickBehavior};

use super::super::answer::{self, Answer};
use super::super::asked::Asked;
use super::super::patients;
use super::vitals::vitals;

/// Between two sets of vital signs.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// The patient a feed is about: the one asked for, else the first.
pub(super) fn parse_patient(wanted: Option<&str>) -> Option<u32> {
    match wanted {
        None => patients::all().next().map(|patient| patient.number),
        Some(text) => {
            let number = patients::parse_number(text)?;
            patients::all().any(|patient| patient.number == number).then_some(number)
        }
    }
}

/// A ticker that neither catches up nor drifts.
pub(super) fn ticker() -> Interval {
    let mut ticker = tokio::time::interval(INTERVAL);
    ticker.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticker
}

/// Answers `GET /events/vitals?patient=NUMBER`.
pub(super) fn answer(asked: &Asked) -> Answer {
    match parse_patient(asked.query.one("patient")) {
        Some(number) => {
            let feed = Feed { number, second: 0, ticker: ticker() };
            answer::with_body(StatusCode::OK, Some("text/event-stream; charset=utf-8"), feed.boxed_unsync())
        }
        None => answer::problem(StatusCode::NOT_FOUND, "there is no such patient"),
    }
}

struct Feed {
    number: u32,
    second: u32,
    ticker: Interval,
}

impl Body for Feed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        ready!(self.ticker.poll_tick(context));
        let (number, second) = (self.number, self.second);
        self.second = second.wrapping_add(1);
        let data = vitals(number, second).json(&format!("{number:08}"), second);
        let event = format!("event: vitals\nid: {second}\ndata: {data}\n\n");
        Poll::Ready(Some(Ok(Frame::data(Bytes::from(event)))))
    }
}
