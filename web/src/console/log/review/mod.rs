//! The periodic review: a sample is drawn by stated rules, somebody looks at every line of it and says what they found,
//! and signs.

mod draw;
mod item;
mod one;

use audit::{Event, Note};
use bytes::Bytes;
use http::Response;
use policy::Timestamp;
use store::{NewReview, REVIEWS_MAX, Review};

pub(in super::super) use item::{ask as ask_item, judge};
pub(in super::super) use one::{one, sign};

use super::super::desk::{Desk, Refused, Shown};
use super::super::posted::{Posted, ago};
use super::super::view::{Bit, ConsoleContent, Field, Form, Go, Mark, MarkTone, Part, Submit, Table, Words};
use super::period::{DAY, Month, Period};
use super::work;
use crate::Fault;
use crate::chart::grouped;
use crate::headers;
use crate::log_view::{Busy, JobState};
use draw::{Draw, HOURS_MAX, Rule, within_of};

/// How many reviews the list shows.
const LIST_MAX: usize = 100;
/// How long there is for a review.
const DUE: std::time::Duration = std::time::Duration::from_secs(14 * 86_400);
/// How many lines one rule may draw.
const LINES_MAX: u32 = 200;
/// How many reviews of one person may wait for their signature.
const UNSIGNED_MAX: usize = 20;
/// What a draw makes that found nothing; reviews are counted from 1.
const NOTHING: u64 = 0;
/// How long a page waits for a draw before it shows how far it is.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// The list.
pub(in super::super) async fn reviews(desk: &Desk<'_>) -> Shown {
    let all = desk.reviews_seen(LIST_MAX).await?;
    let mut rows = Vec::new();
    for review in &all {
        rows.push(row(desk, review).await?);
    }
    let heads = ["log-review", "log-review-of", "console-state", "log-review-found", "log-review-by"];
    let table = Table {
        id: "reviews",
        heading: desk.say("log-reviews"),
        heads: heads.map(|head| desk.say(head)).into(),
        rows,
        empty: desk.say("log-reviews-none"),
        note: None,
        pages: Vec::new(),
    };
    Ok(desk.show(ConsoleContent {
        title: desk.say("log-reviews"),
        lead: Some(desk.say("log-reviews-lead")),
        up: Some(Go::new(desk.say("console-records"), "/log")),
        actions: vec![
            Go::main(desk.say("log-review-new"), "/log/reviews/new"),
            Go::new(desk.say("log-report"), "/log/report"),
        ],
        parts: vec![Part::Table(table)],
        ..ConsoleContent::default()
    }))
}

impl Desk<'_> {
    /// The newest reviews of what who asks may see.
    pub(super) async fn reviews_seen(&self, most: usize) -> Result<Vec<Review>, Refused> {
        // Those of others lie between them.
        let looked_at = if self.sight().within().is_some() { REVIEWS_MAX } else { most };
        let mut all = self.store().reviews(looked_at).await?;
        all.retain(|review| self.sees(review));
        all.truncate(most);
        Ok(all)
    }

    /// Whether a review was kept to what who asks may see.
    fn sees(&self, review: &Review) -> bool {
        let sight = self.sight();
        let Some(own) = sight.within() else { return true };
        let within = within_of(&review.rules).unwrap_or_default();
        !within.is_empty() && within.iter().all(|unit| own.iter().any(|one| one.covers(unit)))
    }
}

async fn row(desk: &Desk<'_>, review: &Review) -> Result<Vec<Vec<Bit>>, Refused> {
    let by = match &review.signature {
        Some(signature) => {
            vec![Bit::Text(desk.actor_name(&signature.by).await?), Bit::Moment(desk.minute(signature.at))]
        }
        None => vec![Bit::Text(desk.actor_name(&review.opened_by).await?)],
    };
    let name = desk.say_with("log-review-number", "number", &review.number.to_string());
    let link = Bit::link(name, format!("/log/reviews/{}", review.number));
    Ok(vec![
        [Some(link), departments(review)].into_iter().flatten().collect(),
        vec![Bit::Moment(days(desk, review))],
        vec![Bit::Mark(state(desk, review))],
        vec![Bit::Text(found(desk, review))],
        by,
    ])
}

/// The departments that a review was kept to, if it was to any.
pub(super) fn departments(review: &Review) -> Option<Bit> {
    within_of(&review.rules).map(|units| Bit::Soft(super::said(&units)))
}

/// The days that a review looks at.
fn days(desk: &Desk<'_>, review: &Review) -> String {
    // The last moment that is looked at: a review of today ends when it is drawn.
    let last = ago(review.until, std::time::Duration::from_micros(1));
    format!("{} – {}", desk.day(review.since), desk.day(last))
}

/// How a review stands.
fn state(desk: &Desk<'_>, review: &Review) -> Mark {
    let open = review.tally.open();
    match &review.signature {
        Some(_) => Mark::good(desk.say("log-review-signed")),
        None if review.due_at <= desk.at() => Mark::bad(desk.say("log-review-overdue")),
        None if open == 0 => Mark::warn(desk.say("log-review-to-sign")),
        None => Mark::warn(desk.say_with("log-review-open", "count", &open.to_string())),
    }
}

/// What was found so far.
fn found(desk: &Desk<'_>, review: &Review) -> String {
    let tally = review.tally;
    let numbers = [tally.items, tally.fine, tally.asked, tally.incidents].map(grouped);
    let [items, fine, asked, incidents] = &numbers;
    desk.voice
        .say_all("log-review-tally", &[("items", items), ("fine", fine), ("asked", asked), ("incidents", incidents)])
}

/// What of the reviews needs attention, for the first page of the console: how many wait for their signature, whether one
/// of them waits for too long, and whether last month has none.
pub(in super::super) async fn attention(desk: &Desk<'_>) -> Result<(usize, bool, bool), Refused> {
    let all = desk.reviews_seen(REVIEWS_MAX).await?;
    let sight = desk.sight();
    let is_whole = |review: &&Review| within_of(&review.rules).as_deref() == sight.within();
    let open = || all.iter().filter(|review| review.signature.is_none());
    let offset = desk.config().offset;
    let last_month = Month::of(desk.at(), offset).before().period(offset);
    // One of some departments is not one of all that who asks sees.
    let is_of = |month: &Period| {
        all.iter().filter(is_whole).any(|review| review.since < month.until && review.until > month.since)
    };
    let is_late = open().any(|review| review.due_at <= desk.at());
    Ok((open().count(), is_late, last_month.is_some_and(|month| !is_of(&month))))
}

/// The form for a new review.
pub(in super::super) fn ask_new(desk: &Desk<'_>) -> Response<Bytes> {
    let offset = desk.config().offset;
    let last_month = Month::of(desk.at(), offset).before();
    let last_day = last_month.period(offset).map_or(desk.at(), |month| ago(month.until, DAY));
    desk.show(new_page(desk, &last_month.first_day(), &desk.day(last_day)))
}

fn new_page(desk: &Desk<'_>, from: &str, to: &str) -> ConsoleContent {
    let number = |rule: Rule| {
        let label = desk.say(&format!("log-rule-{}", rule.as_str()));
        let hint = desk.say(&format!("log-rule-{}-hint", rule.as_str()));
        Field::text("new", rule.as_str(), label, rule.usual().to_string(), 3).hinted(hint)
    };
    let mut fields = vec![
        Field::day("new", "from", desk.say("console-from"), from).required(),
        Field::day("new", "to", desk.say("console-to"), to).required(),
    ];
    fields.extend(Rule::ALL.map(number));
    let form = Form {
        id: "new",
        heading: desk.say("log-review-new"),
        lead: Some(desk.say_with("log-review-new-lead", "count", &LINES_MAX.to_string())),
        action: "/log/reviews".to_owned(),
        with_file: false,
        fields,
        buttons: Submit::main(desk.say("log-review-draw")),
        back: Some(Go::new(desk.say("console-cancel"), "/log/reviews")),
        folded: false,
    };
    ConsoleContent {
        title: desk.say("log-review-new"),
        up: Some(Go::new(desk.say("log-reviews"), "/log/reviews")),
        parts: vec![Part::Form(form)],
        ..ConsoleContent::default()
    }
}

/// Begins to draw the sample of a new review.
pub(in super::super) async fn begin(desk: &Desk<'_>) -> Shown {
    let form = Posted::read(desk.request)?;
    let (from, to) = (form.line("from", 10)?, form.line("to", 10)?);
    let refuse = |key: &str| Ok(desk.show_problem(desk.say(key), new_page(desk, &from, &to)));
    let offset = desk.config().offset;
    let days = (Timestamp::parse_date(&from, offset), Timestamp::parse_date(&to, offset));
    let (Some(since), Some(until)) = (days.0, days.1.map(|day| day.after(DAY))) else {
        return refuse("log-wrong-days");
    };
    let hours = until.since(since).as_secs() / 3_600;
    if since >= until || since >= desk.at() || hours >= HOURS_MAX as u64 {
        return refuse("log-wrong-days");
    }
    let mut wanted = Vec::new();
    for rule in Rule::ALL {
        let number = form.line(rule.as_str(), 10)?;
        match if number.is_empty() { Ok(0) } else { number.parse::<u32>() } {
            Ok(0) => {}
            Ok(number) if number <= LINES_MAX => wanted.push((rule, number)),
            Ok(_) | Err(_) => return refuse("log-wrong-number"),
        }
    }
    if wanted.is_empty() {
        return refuse("log-wrong-number");
    }
    // A sample must not silently lack what the index has not seen.
    if desk.behind().await?.is_some() {
        return refuse("log-review-behind");
    }
    let own = desk.actor();
    let all = desk.store().reviews(REVIEWS_MAX).await?;
    if all.iter().filter(|one| one.signature.is_none() && one.opened_by == own).count() >= UNSIGNED_MAX {
        return refuse("log-review-unsigned-many");
    }
    // What is not over yet could not be drawn again.
    let until = until.min(desk.at());
    let draw = Draw { period: Period { since, until }, calendar: super::asked::calendar(desk), seed: seed()?, wanted };
    match start(desk, draw).await {
        Ok(()) => Ok(headers::redirect(http::StatusCode::SEE_OTHER, "/log/reviews/drawing")),
        Err(Busy::Own) => refuse("log-busy-own"),
        Err(Busy::Others) => refuse("log-busy-others"),
    }
}

fn seed() -> Result<u64, Fault> {
    let mut bytes = [0; 8];
    aws_lc_rs::rand::fill(&mut bytes).map_err(|_| Fault::Internal)?;
    Ok(u64::from_be_bytes(bytes))
}

/// Draws beside the page, and waits a moment for what is quick.
async fn start(desk: &Desk<'_>, draw: Draw) -> Result<(), Busy> {
    // Lines are drawn by their number, so of one log.
    let log = desk.sight().alone();
    let node = desk.config().nodes.as_ref().map(|nodes| nodes.own.to_string());
    let job = desk.log().draws.begin(&desk.who.user)?;
    let (store, recorder) = (desk.site.parts.store.clone(), desk.site.parts.recorder.clone());
    let mut note = desk.placed(Note::new(Event::ReviewOpened, desk.at()).who(&desk.who));
    let mut review = NewReview {
        since: draw.period.since,
        until: draw.period.until,
        rules: String::new(),
        seed: draw.seed,
        opened_at: desk.at(),
        opened_by: desk.actor(),
        due_at: desk.at().after(DUE),
        items: Vec::new(),
    };
    let work = async move {
        let drawing = job.clone();
        let sight = log.clone();
        let drawn = tokio::task::spawn_blocking(move || draw::draw(&sight, &draw, &drawing)).await;
        let drawn = match drawn {
            // A review of nothing would only take another's place.
            Ok(Ok(Some(drawn))) if drawn.items.is_empty() => return job.end(JobState::Made(NOTHING)),
            Ok(Ok(Some(drawn))) if !job.is_cancelled() => drawn,
            Ok(Ok(_)) => return job.end(JobState::Cancelled),
            Ok(Err(_)) | Err(_) => return job.end(JobState::Failed),
        };
        let rules = drawn.written(log.within(), node.as_deref());
        (note.source, note.count) = (Some(rules.clone()), Some(drawn.items.len() as u64));
        (review.rules, review.items) = (rules, drawn.items);
        if let Err(problem) = recorder.note(note).await {
            tracing::warn!(%problem, "a review was not opened, for it could not be recorded");
            return job.end(JobState::Failed);
        }
        match store.open_review(review).await {
            Ok(number) => job.end(JobState::Made(number)),
            Err(problem) => {
                tracing::warn!(%problem, "a review could not be kept");
                job.end(JobState::Failed);
            }
        }
    };
    // Whatever becomes of the page, the work goes on and says how it ended.
    drop(tokio::time::timeout(PATIENCE, tokio::spawn(work)).await);
    Ok(())
}

/// How far the draw of who asks is, or on to what it made.
pub(in super::super) fn drawing(desk: &Desk<'_>) -> Response<Bytes> {
    let Some(job) = desk.log().draws.of(&desk.who.user) else {
        return desk.show(drawing_page(desk, vec![said(desk, "log-drawing-none", MarkTone::Plain)]));
    };
    let place = "/log/reviews/drawing";
    let parts = match job.state() {
        JobState::Made(NOTHING) => vec![said(desk, "log-drawing-empty", MarkTone::Plain)],
        JobState::Made(number) => return desk.go(&format!("/log/reviews/{number}"), "review-opened"),
        JobState::Working => work::under_way(desk, &job, place, "log-drawing", |done, all| {
            desk.voice.say_all("log-drawing-at", &[("done", &grouped(done)), ("all", &grouped(all))])
        }),
        JobState::Cancelled => vec![said(desk, "log-drawing-cancelled", MarkTone::Plain)],
        JobState::Failed => vec![said(desk, "log-drawing-failed", MarkTone::Bad)],
    };
    desk.show(drawing_page(desk, parts))
}

fn drawing_page(desk: &Desk<'_>, parts: Vec<Part>) -> ConsoleContent {
    ConsoleContent {
        title: desk.say("log-drawing"),
        up: Some(Go::new(desk.say("log-reviews"), "/log/reviews")),
        parts,
        ..ConsoleContent::default()
    }
}

fn said(desk: &Desk<'_>, key: &str, tone: MarkTone) -> Part {
    Part::Words(Words {
        id: "said",
        heading: desk.say("log-drawing"),
        tone,
        lines: vec![desk.say(key)],
        links: vec![Go::new(desk.say("log-review-new"), "/log/reviews/new")],
    })
}

/// Stops the draw of who asks.
pub(in super::super) fn cancel(desk: &Desk<'_>) -> Response<Bytes> {
    if let Some(job) = desk.log().draws.of(&desk.who.user) {
        job.cancel();
    }
    headers::redirect(http::StatusCode::SEE_OTHER, "/log/reviews/drawing")
}
