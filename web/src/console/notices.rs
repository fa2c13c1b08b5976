//! What became of notices: every receiver, and the last ones of each.

use config::{Notice, NoticeEvent, NoticeTo};

use super::desk::{Desk, Refused, Shown};
use super::view::{Bit, ConsoleContent, Mark, Part, Table};
use crate::{NoticeEnd, NoticeResult, NoticeStanding};

/// How many results the page shows.
const RESULTS_MAX: usize = 100;

/// A receiver, and what is kept of it: nothing where it was never told anything, why where that cannot be read.
struct Receiver<'a> {
    notice: &'a Notice,
    standing: Option<Result<NoticeStanding, String>>,
}

/// The page.
pub(super) async fn notices(desk: &Desk<'_>) -> Shown {
    let receivers = receivers(desk).await?;
    let heads = ["name", "to", "state", "sent", "given-up", "last", "problem"];
    let table = Table {
        id: "receivers",
        heading: desk.say("console-notices-receivers"),
        heads: heads.map(|head| head_of(desk, head)).into(),
        rows: receivers.iter().map(|receiver| row(desk, receiver)).collect(),
        empty: desk.say("console-notices-none"),
        note: None,
        pages: Vec::new(),
    };
    Ok(desk.show(ConsoleContent {
        title: desk.say("console-notices-title"),
        lead: Some(desk.say("console-notices-lead")),
        parts: vec![Part::Table(table), Part::Table(results(desk, &receivers))],
        ..ConsoleContent::default()
    }))
}

/// How many receivers cannot be told, for the first page.
pub(super) async fn failing(desk: &Desk<'_>) -> Result<usize, Refused> {
    Ok(receivers(desk).await?.iter().filter(|receiver| receiver.is_failing()).count())
}

async fn receivers<'a>(desk: &Desk<'a>) -> Result<Vec<Receiver<'a>>, Refused> {
    let mut receivers = Vec::new();
    for notice in &desk.config().notices {
        let note = desk.store().note(&NoticeStanding::key(&notice.id)).await?;
        receivers.push(Receiver { notice, standing: note.map(|note| NoticeStanding::read(&note)) });
    }
    Ok(receivers)
}

impl Receiver<'_> {
    fn is_failing(&self) -> bool {
        match &self.standing {
            Some(Ok(standing)) => standing.waiting.is_some(),
            Some(Err(_)) => true,
            None => false,
        }
    }

    fn results(&self) -> impl Iterator<Item = &NoticeResult> {
        self.standing.iter().flatten().flat_map(|standing| &standing.results)
    }
}

fn head_of(desk: &Desk<'_>, head: &str) -> String {
    match head {
        "state" | "problem" => desk.say(&format!("console-{head}")),
        other => desk.say(&format!("console-notices-{other}")),
    }
}

fn row(desk: &Desk<'_>, receiver: &Receiver<'_>) -> Vec<Vec<Bit>> {
    let to = match &receiver.notice.to {
        NoticeTo::Mail(addresses) => addresses.iter().map(|address| Bit::soft(address.as_str())).collect(),
        // The rest of the address may be what opens it.
        NoticeTo::Webhook(webhook) => vec![Bit::soft(webhook.url.host_str().unwrap_or_default())],
    };
    let state = |word: &str| desk.say(&format!("console-notices-is-{word}"));
    let mut row = vec![vec![Bit::text(receiver.notice.id.as_str())], to];
    row.extend(match &receiver.standing {
        None => [vec![Bit::Mark(Mark::plain(state("new")))], zero(), zero(), Vec::new(), Vec::new()],
        Some(Err(problem)) => [
            vec![Bit::Mark(Mark::bad(state("unreadable")))],
            Vec::new(),
            Vec::new(),
            Vec::new(),
            vec![Bit::text(problem)],
        ],
        Some(Ok(standing)) => {
            let mark = match &standing.waiting {
                Some(_) => Mark::bad(state("waiting")),
                None if standing.results.is_empty() => Mark::plain(state("new")),
                None => Mark::good(state("well")),
            };
            let last = standing.last_success.map(|at| Bit::Moment(desk.minute(at)));
            let problem = standing.waiting.as_ref().map_or_else(Vec::new, |waiting| {
                vec![
                    Bit::text(&waiting.problem),
                    Bit::Soft(format!("{} {}", desk.say("console-since"), desk.minute(waiting.since))),
                ]
            });
            [
                vec![Bit::Mark(mark)],
                vec![Bit::Text(standing.sent.to_string())],
                vec![Bit::Text(standing.given_up.to_string())],
                last.into_iter().collect(),
                problem,
            ]
        }
    });
    row
}

fn zero() -> Vec<Bit> {
    vec![Bit::text("0")]
}

/// What became of the last notices of all receivers, newest first.
fn results(desk: &Desk<'_>, receivers: &[Receiver<'_>]) -> Table {
    let of = |receiver| Receiver::results(receiver).map(move |result| (receiver.notice, result));
    let mut all: Vec<(&Notice, &NoticeResult)> = receivers.iter().flat_map(of).collect();
    all.sort_by_key(|(_, result)| std::cmp::Reverse(result.at));
    let heads = ["happened", "event", "name", "result", "known", "attempts", "problem"];
    Table {
        id: "results",
        heading: desk.say("console-notices-results"),
        heads: heads.map(|head| head_of(desk, head)).into(),
        rows: all.into_iter().take(RESULTS_MAX).map(|(notice, result)| result_row(desk, notice, result)).collect(),
        empty: desk.say("console-notices-results-none"),
        note: None,
        pages: Vec::new(),
    }
}

fn result_row(desk: &Desk<'_>, notice: &Notice, result: &NoticeResult) -> Vec<Vec<Bit>> {
    let is_known = NoticeEvent::ALL.iter().any(|(word, _)| *word == result.event);
    // What another version of the program told of.
    let event = if is_known { desk.say(&format!("notice-event-{}", result.event)) } else { result.event.clone() };
    let mark = match result.end {
        NoticeEnd::Sent => Mark::good(desk.say("console-notices-is-sent")),
        NoticeEnd::GivenUp => Mark::bad(desk.say("console-notices-is-given-up")),
    };
    vec![
        vec![Bit::Moment(desk.minute(result.happened_at))],
        vec![Bit::Text(event)],
        vec![Bit::text(notice.id.as_str())],
        vec![Bit::Mark(mark)],
        vec![Bit::Moment(desk.minute(result.at))],
        vec![Bit::Text(result.attempts.to_string())],
        vec![Bit::text(result.problem.as_deref().unwrap_or_default())],
    ]
}
