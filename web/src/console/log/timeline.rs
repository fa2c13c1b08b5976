//! What a person, a device or a patient had to do with, day by day: how much on each day, on the chosen day how much in
//! each hour, with whom and what, and every record in the order in which it happened.

use find::{Bar as Counted, By, Order, Question};

use super::super::desk::{Desk, Shown};
use super::super::field::pages;
use super::super::posted::ago;
use super::super::view::{ConsoleContent, Field, Filter, Go, Part};
use super::Asked;
use super::asked::{Asking, PAGE_MAX, SEALED};
use super::charts::{columns_by_day, columns_by_hour, rows_by};
use super::period::{DAY, Period};
use crate::chart::{Chart, grouped};
use crate::log_view::{LogTrouble, Sight, Stories, Turn};

/// How many days stand beside each other.
const DAYS: u32 = 28;
/// How many of each kind are named.
const TOP: usize = 8;

/// Everything that the page needs, asked at once.
struct Seen {
    days: Vec<Counted>,
    hours: Vec<Counted>,
    beside: Vec<(By, Vec<Counted>)>,
    stories: Stories,
}

/// The page.
pub(in super::super) async fn timeline(desk: &Desk<'_>) -> Shown {
    let asked = Asked::read(desk);
    let asking = asked.asking(desk).await?;
    let question = match asking {
        Asking::Question(question) if !asked.is_lost => question,
        // The search page says what is wrong with it, or offers whom it may mean.
        Asking::Question(_) | Asking::Which(_) | Asking::Wrong(_) => {
            return Ok(crate::headers::redirect(http::StatusCode::SEE_OTHER, &asked.address(desk, "/log")));
        }
    };
    // A day with a month around it, so that one sees where to go next.
    let day = day_of(desk, &asked);
    let around = Period { since: ago(day.until, DAY * DAYS), until: day.until };
    let beside = beside(&asked);
    let question = Question { order: Order::Oldest, limit: PAGE_MAX, ..*question };
    let turn = asked.turn();
    let seen = desk.off(move |log| look(log, &question, &turn, around, day, beside)).await?;
    desk.note_look("timeline", seen.stories.total, asked.patient.as_deref()).await?;

    let names = desk.names_in(&seen.stories.records).await?;
    let today = desk.day(day.since);
    let on_day = asked.within(&today, &today);
    let heading = desk.voice.say_all("log-on-day", &[("day", &today), ("count", &grouped(seen.stories.total))]);
    let mut table = desk.records_table("found", heading, &seen.stories.records, &names);
    table.pages = pages(
        asked.after.as_ref().map(|_| Go::new(desk.say("console-first-page"), on_day.address(desk, "/log/timeline"))),
        seen.stories
            .next
            .clone()
            .map(|next| Go::new(desk.say("log-later"), on_day.beginning_at(Some(next)).address(desk, "/log/timeline"))),
    );
    let charts: Vec<Chart> =
        seen.beside.iter().map(|(by, bars)| rows_by(desk, &on_day, *by, bars, "/log/timeline")).collect();
    let mut parts = vec![
        Part::Filter(filter(desk, &today, &asked)),
        Part::Chart(columns_by_day(desk, &asked, around, &seen.days, "days", "log-by-day", "/log/timeline")),
        Part::Chart(columns_by_hour(desk, &on_day, day, &seen.hours)),
        Part::Charts(charts),
        Part::Table(table),
    ];
    parts.extend(desk.behind().await?);
    let place = on_day.address(desk, "/log");
    Ok(desk.show(ConsoleContent {
        title: title(desk, &asked).await?,
        lead: Some(desk.say("log-timeline-lead")),
        up: Some(Go::new(desk.say("console-records"), "/log")),
        actions: vec![Go::new(desk.say("log-as-search"), place)],
        parts,
        ..ConsoleContent::default()
    }))
}

/// The day that is shown: the last of those that are asked for.
fn day_of(desk: &Desk<'_>, asked: &Asked) -> Period {
    let until = asked.without("hour").period(desk).until;
    Period { since: ago(until, DAY), until }
}

/// What stands beside the day: of a patient who looked, of a person what they saw, of a device who used it.
fn beside(asked: &Asked) -> Vec<By> {
    match (&asked.patient, asked.get("who"), asked.get("device")) {
        (Some(_), _, _) => vec![By::Person, By::App],
        (None, Some(_), _) => vec![By::Patient, By::App],
        (None, None, Some(_)) => vec![By::Person, By::Patient],
        (None, None, None) => vec![By::Person, By::App],
    }
}

fn look(
    log: &Sight,
    question: &Question,
    turn: &Turn,
    around: Period,
    day: Period,
    beside: Vec<By>,
) -> Result<Seen, LogTrouble> {
    let of = |period: Period| Question { since: period.since, until: period.until, ..question.clone() };
    let days = log.count(&of(around), By::Day, DAYS as usize)?;
    let hours = log.count(&of(day), By::Hour, 25)?;
    let mut counted = Vec::new();
    for by in beside {
        counted.push((by, log.count(&of(day), by, TOP)?));
    }
    let stories = log.stories_from(&of(day), turn)?;
    Ok(Seen { days, hours, beside: counted, stories })
}

async fn title(desk: &Desk<'_>, asked: &Asked) -> Result<String, super::super::desk::Refused> {
    if let Some(patient) = &asked.patient {
        return Ok(desk.say_with("log-timeline-patient", "name", patient));
    }
    if let Some(who) = asked.get("who") {
        let id = policy::UserId::parse(who).ok();
        let person = match &id {
            Some(id) => desk.store().person(id).await?,
            None => None,
        };
        // Whoever is kept to some departments learns no name by an id.
        let person = person.filter(|_| desk.sight().within().is_none());
        let name = person.map_or_else(|| who.to_owned(), |person| person.name);
        return Ok(desk.say_with("log-timeline-person", "name", &name));
    }
    Ok(match asked.get("device") {
        Some(device) => desk.say_with("log-timeline-device", "name", device),
        None => desk.say("log-timeline"),
    })
}

/// Another day of the same.
fn filter(desk: &Desk<'_>, today: &str, asked: &Asked) -> Filter {
    let mut fields = vec![Field::day("day", "to", desk.say("log-day"), today)];
    // What an address holds already may stand in one again.
    let address = asked.without("from").without("to").without("hour").address(desk, "");
    let query = address.strip_prefix('?').unwrap_or_default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let known = super::asked::FIELDS.into_iter().chain(SEALED.map(|(_, sealed)| sealed)).find(|one| *one == name);
        fields.extend(known.map(|name| Field::hidden_value(name, value.into_owned())));
    }
    Filter {
        label: desk.say("log-day"),
        action: "/log/timeline".to_owned(),
        fields,
        button: desk.say("log-go-to-day"),
        clear: None,
    }
}
