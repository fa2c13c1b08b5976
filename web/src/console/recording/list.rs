//! Recordings under a window, and the way to one from its record.

use std::collections::{BTreeMap, BTreeSet};

use audit::{EntryKind, Event, Story};
use find::{Order, Question};
use policy::RequestId;
use store::GrantRecord;

use super::super::desk::{Desk, Refused};
use super::super::view::{Bit, Go, Table};
use super::{State, clock, needs_to_know};

/// How many a page lists.
const LISTED_MAX: usize = 200;

/// The recordings that were made under a window; nothing where there is none.
pub(in super::super) async fn of_grant(desk: &Desk<'_>, record: &GrantRecord) -> Result<Option<Table>, Refused> {
    let of = |event: Event| Question {
        grant: Some(record.id.as_str().to_owned()),
        event: Some(event.code().to_owned()),
        order: Order::Newest,
        limit: LISTED_MAX,
        ..Question::default()
    };
    let (began, ended) = (of(Event::RecordingBegan), of(Event::RecordingEnded));
    let found = desk.off_all(move |log| Ok((log.stories(&began)?, log.stories(&ended)?))).await;
    let (began, ended) = match found {
        // Without an index the rest of the page is still there.
        Err(Refused::Log(_)) => return Ok(None),
        found => found?,
    };
    if began.total == 0 {
        return Ok(None);
    }
    let stories = |found: crate::log_view::Stories| found.records.into_iter().filter_map(|one| one.story);
    let is_cut = began.total > LISTED_MAX as u64;
    let ended: BTreeMap<String, Story> =
        stories(ended).filter_map(|story| Some((story.begin.request.clone()?, story))).collect();
    let open: BTreeSet<String> =
        desk.site.parts.open_now.under(&record.id).iter().map(|one| one.access.request.to_string()).collect();
    let rows = stories(began).filter_map(|story| row(desk, record, &story, &ended, &open)).collect();
    let heads = ["when", "who", "app", "length", "state"];
    let own = desk.config().nodes.as_ref().map(|nodes| desk.say_with("log-this-node", "name", nodes.own.as_str()));
    Ok(Some(Table {
        id: "recordings",
        heading: desk.say("recordings"),
        heads: heads.map(|head| desk.say(&format!("recording-{head}"))).into(),
        rows,
        empty: desk.say("recordings-none"),
        note: Some(
            [Some(desk.say(if is_cut { "recordings-cut" } else { "recordings-note" })), own]
                .into_iter()
                .flatten()
                .collect::<Vec<_>>()
                .join(" "),
        ),
        pages: Vec::new(),
    }))
}

fn row(
    desk: &Desk<'_>,
    record: &GrantRecord,
    story: &Story,
    ended: &BTreeMap<String, Story>,
    open: &BTreeSet<String>,
) -> Option<Vec<Vec<Bit>>> {
    let begin = &story.begin;
    let id = begin.request.as_deref()?;
    let end = ended.get(id);
    let state = match end {
        Some(end) => State::ended(end),
        None if open.contains(id) => State::Open,
        None => State::BrokenOff,
    };
    let is_open = state == State::Open;
    let may_see = desk.config().console.replays(&desk.who) || needs_to_know(desk, record, is_open);
    let label = desk.say(if is_open { "recording-watch-live" } else { "recording-watch" });
    let watch = may_see.then(|| Bit::link(label, format!("/recordings/{id}")));
    let length = end.and_then(|end| end.begin.duration).map(clock).unwrap_or_default();
    Some(vec![
        vec![Bit::Moment(desk.minute(begin.at))],
        vec![Bit::text(begin.login.as_deref().unwrap_or_default())],
        vec![Bit::Text(begin.app.as_deref().map(|app| desk.app_words(app)).unwrap_or_default())],
        vec![Bit::Text(length)],
        [Some(Bit::Mark(state.mark(desk))), watch].into_iter().flatten().collect(),
    ])
}

/// The way from a record to the recording of its terminal, where there is one.
pub(in super::super) fn of_story(desk: &Desk<'_>, story: &Story) -> Option<Go> {
    let begin = &story.begin;
    let is_its = match &begin.kind {
        EntryKind::Open => begin.action.as_deref() == Some("connect"),
        EntryKind::Fact(event) => {
            matches!(
                event,
                Event::RecordingBegan | Event::RecordingMarked | Event::RecordingEnded | Event::CommandEntered
            )
        }
        EntryKind::Close | EntryKind::Refused | EntryKind::Segment | EntryKind::Unknown(_) => false,
    };
    let id = RequestId::parse(begin.request.as_deref()?).filter(|_| is_its)?;
    let has_one = desk.sight().recordings().is_some_and(|recordings| recordings.has(id));
    has_one.then(|| Go::new(desk.say("recording-watch"), format!("/recordings/{id}")))
}
