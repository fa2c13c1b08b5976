//! Charts: how much over time, by whom, what was refused, what happened outside working hours, which patients were
//! looked at most. Every bar leads to the records behind it.

use std::collections::BTreeMap;

use audit::{Event, StoryOutcome};
use find::{Bar as Counted, By, Question};

use super::super::desk::{Desk, Shown};
use super::super::posted::ago;
use super::super::view::{Choice, ConsoleContent, Field, Filter, Go, Part};
use super::period::{DAY, Month, Period};
use super::{Asked, only_when};
use crate::chart::{Bar, Chart, Columns, Rows, Shape, grouped};
use crate::log_view::{LogTrouble, Sight};

/// How many days may be looked at, the first unless another is chosen.
const SPANS: [u32; 4] = [30, 7, 90, 365];
/// Up to how many days stand as days; more stand as months.
const DAYS_MAX: u32 = 92;
/// The role of vendors, as our templates call it.
const VENDOR: &str = "vendor";
/// How many of each kind are shown.
const TOP: usize = 10;

/// One question of the page.
struct Asking {
    id: &'static str,
    by: By,
    question: Question,
    top: usize,
}

/// The page.
pub(in super::super) async fn charts(desk: &Desk<'_>) -> Shown {
    let asked = chosen(desk);
    let period = asked.period(desk);
    let when = Question { calendar: super::asked::calendar(desk), ..Question::new(period.since, period.until) };
    let over_time = if period.span() > DAY * DAYS_MAX { By::Month } else { By::Day };
    let has_vendors = desk.config().roles.keys().any(|role| role.as_str() == VENDOR);
    let askings = askings(&when, over_time, has_vendors);
    let (counts, total) = desk.off(move |log| look(log, &askings, &when)).await?;
    desk.note_look("charts", total, None).await?;
    let parts = parts(desk, &asked, period, over_time, &counts);
    Ok(desk.show(ConsoleContent {
        title: desk.say("log-charts"),
        lead: Some(desk.say("log-charts-lead")),
        up: Some(Go::new(desk.say("console-records"), "/log")),
        parts: std::iter::once(Part::Filter(filter(desk, &asked))).chain(desk.behind().await?).chain(parts).collect(),
        ..ConsoleContent::default()
    }))
}

/// The time that is chosen: so many days, or those that an address names.
fn chosen(desk: &Desk<'_>) -> Asked {
    let asked = Asked::read(desk).time();
    let days = desk.asked("days").and_then(|days| days.parse().ok()).filter(|days| SPANS.contains(days));
    if asked.get("from").is_some() && days.is_none() {
        return asked;
    }
    let days = days.unwrap_or(30);
    asked.within(&desk.day(ago(desk.at(), DAY * (days - 1))), &desk.day(desk.at()))
}

fn askings(when: &Question, over_time: By, has_vendors: bool) -> Vec<Asking> {
    let only = |change: &dyn Fn(&mut Question)| {
        let mut question = only_when(when);
        change(&mut question);
        question
    };
    let accesses = only(&|question| question.event = Some("open".to_owned()));
    let refused = only(&|question| question.outcome = Some(StoryOutcome::Refused));
    let late = only(&|question| {
        question.event = Some("open".to_owned());
        question.out_of_hours = Some(true);
    });
    let of = |event: Event| only(&|question| question.event = Some(event.code().to_owned()));
    let asking = |id, by, question: &Question, top| Asking { id, by, question: question.clone(), top };
    let vendors = only(&|question| {
        question.event = Some("open".to_owned());
        question.role = Some(VENDOR.to_owned());
    });
    let mut askings = vec![
        asking("accesses", over_time, &accesses, 400),
        asking("refusals", over_time, &refused, 400),
        asking("roles", By::Role, &accesses, TOP),
        asking("apps", By::App, &accesses, TOP),
        asking("reasons", By::Reason, &refused, TOP),
        asking("refused-people", By::Person, &refused, TOP),
        asking("late", over_time, &late, 400),
        asking("late-people", By::Person, &late, TOP),
        asking("patients", By::Patient, &accesses, TOP),
        asking("people", By::Person, &accesses, TOP),
        asking("new-devices", over_time, &of(Event::DeviceAdded), 400),
        asking("failed-sign-ins", over_time, &of(Event::SignInFailed), 400),
    ];
    askings.extend(has_vendors.then(|| asking("vendors", over_time, &vendors, 400)));
    askings
}

type Counts = BTreeMap<&'static str, Vec<Counted>>;

fn look(log: &Sight, askings: &[Asking], when: &Question) -> Result<(Counts, u64), LogTrouble> {
    let mut counts = Counts::new();
    for one in askings {
        counts.insert(one.id, log.count(&one.question, one.by, one.top)?);
    }
    Ok((counts, log.total(&only_when(when))?))
}

fn parts(desk: &Desk<'_>, asked: &Asked, period: Period, over_time: By, counts: &Counts) -> Vec<Part> {
    let none = Vec::new();
    let of = |id: &str| counts.get(id).unwrap_or(&none).as_slice();
    let opened = asked.with("event", "open");
    let refused = asked.with("outcome", StoryOutcome::Refused.code());
    let late = opened.with("hours", "out");
    let event = |event: Event| asked.with("event", event.code());
    let columns = |asked: &Asked, id: &'static str| {
        let heading = format!("log-chart-{id}");
        Part::Chart(if over_time == By::Month {
            columns_by_month(desk, asked, period, of(id), id, &heading)
        } else {
            columns_by_day(desk, asked, period, of(id), id, &heading, "/log")
        })
    };
    let rows = |asked: &Asked, by: By, id: &'static str| Chart {
        id,
        heading: desk.say(&format!("log-chart-{id}")),
        ..rows_by(desk, asked, by, of(id), "/log")
    };
    let vendors = counts.contains_key("vendors").then(|| columns(&opened.with("role", VENDOR), "vendors"));
    let mut parts = vec![
        columns(&opened, "accesses"),
        Part::Charts(vec![rows(&opened, By::Role, "roles"), rows(&opened, By::App, "apps")]),
        columns(&refused, "refusals"),
        Part::Charts(vec![rows(&refused, By::Reason, "reasons"), rows(&refused, By::Person, "refused-people")]),
        columns(&late, "late"),
        Part::Charts(vec![rows(&late, By::Person, "late-people"), rows(&opened, By::Person, "people")]),
        Part::Charts(vec![rows(&opened, By::Patient, "patients")]),
        columns(&event(Event::DeviceAdded), "new-devices"),
        columns(&event(Event::SignInFailed), "failed-sign-ins"),
    ];
    parts.extend(vendors);
    parts
}

fn filter(desk: &Desk<'_>, asked: &Asked) -> Filter {
    let span = asked.period(desk).span();
    let choice = |days: u32| {
        Choice::new(days.to_string(), desk.say_with("console-days", "count", &days.to_string()), span == DAY * days)
    };
    Filter {
        label: desk.say("console-look-back"),
        action: "/log/charts".to_owned(),
        fields: vec![Field::choice("span", "days", desk.say("console-look-back"), SPANS.map(choice).into())],
        button: desk.say("log-draw"),
        clear: None,
    }
}

/// A column for each day, also those on which nothing was.
pub(super) fn columns_by_day(
    desk: &Desk<'_>,
    asked: &Asked,
    period: Period,
    counted: &[Counted],
    id: &'static str,
    heading: &str,
    place: &str,
) -> Chart {
    let counts: BTreeMap<&str, u64> = counted.iter().map(|bar| (bar.key.as_str(), bar.count)).collect();
    let days = (0..DAYS_MAX + 1).map(|number| period.since.after(DAY * number)).take_while(|day| *day < period.until);
    let bars = days.map(|at| {
        let day = desk.day(at);
        let count = counts.get(day.as_str()).copied().unwrap_or(0);
        // The day of the month; the first with its month.
        let number = day.get(8..).unwrap_or_default().trim_start_matches('0').to_owned();
        let short = if number == "1" { day.get(5..).unwrap_or_default().replace('-', "/") } else { number };
        Bar::new(day.clone(), count, asked.within(&day, &day).address(desk, place)).marked(short)
    });
    columns(desk, id, desk.say(heading), bars.collect())
}

fn columns_by_month(
    desk: &Desk<'_>,
    asked: &Asked,
    period: Period,
    counted: &[Counted],
    id: &'static str,
    heading: &str,
) -> Chart {
    let offset = desk.config().offset;
    let counts: BTreeMap<&str, u64> = counted.iter().map(|bar| (bar.key.as_str(), bar.count)).collect();
    let mut months = vec![Month::of(ago(period.until, DAY), offset)];
    while let Some(month) =
        months.last().filter(|month| month.period(offset).is_some_and(|one| one.since > period.since))
    {
        months.push(month.before());
    }
    let bars = months.into_iter().rev().map(|month| {
        let text = month.text();
        let whole = month.period(offset).unwrap_or(period);
        let last = desk.day(ago(whole.until, DAY));
        let count = counts.get(text.as_str()).copied().unwrap_or(0);
        let short = text.get(5..).unwrap_or_default().trim_start_matches('0').to_owned();
        Bar::new(text, count, asked.within(&month.first_day(), &last).address(desk, "/log")).marked(short)
    });
    columns(desk, id, desk.say(heading), bars.collect())
}

/// A column for each hour of a day.
pub(super) fn columns_by_hour(desk: &Desk<'_>, asked: &Asked, day: Period, counted: &[Counted]) -> Chart {
    let counts: BTreeMap<&str, u64> = counted.iter().map(|bar| (bar.key.as_str(), bar.count)).collect();
    let today = desk.day(day.since);
    let bars = (0..24_u32).map(|hour| {
        let key = format!("{today}T{hour:02}");
        let count = counts.get(key.as_str()).copied().unwrap_or(0);
        let label = desk.say_with("log-hour-of", "hour", &format!("{today} {hour:02}"));
        Bar::new(label, count, asked.with("hour", key).address(desk, "/log")).marked(hour.to_string())
    });
    columns(desk, "hours", desk.say_with("log-by-hour", "day", &today), bars.collect())
}

fn columns(desk: &Desk<'_>, id: &'static str, heading: String, bars: Vec<Bar>) -> Chart {
    let total = bars.iter().map(|bar| bar.count).sum();
    Chart {
        id,
        heading,
        lead: Some(desk.say_with("log-chart-total", "count", &grouped(total))),
        empty: desk.say("log-chart-none"),
        shape: Shape::Columns(Columns::new(bars)),
    }
}

/// A row for each kind, the most first.
pub(super) fn rows_by(desk: &Desk<'_>, asked: &Asked, by: By, counted: &[Counted], place: &str) -> Chart {
    let bar = |one: &Counted| {
        let key = one.key.as_str();
        let (label, asked) = match by {
            By::Role => (desk.role_words(key), asked.with("role", key)),
            By::App => (desk.app_words(key), asked.with("app", key)),
            By::Action => (desk.action_words(key), asked.with("action", key)),
            By::Class => (desk.class_words(key), asked.with("class", key)),
            By::Outcome => (desk.known("log-outcome", key), asked.with("outcome", key)),
            By::Reason => (desk.reason_words(key), asked.with("reason", key)),
            By::Person => (key.to_owned(), asked.with("who", key)),
            By::Device => (key.to_owned(), asked.with("device", key)),
            By::Patient => (key.to_owned(), asked.of_patient(key)),
            By::Rule => (key.to_owned(), asked.with("rule", key)),
            By::Event => (desk.kind_words(key), asked.with("event", key)),
            By::Address => (key.to_owned(), asked.with("address", key)),
            By::Hour => (key.to_owned(), asked.with("hour", key)),
            By::Day => (key.to_owned(), asked.within(key, key)),
            By::Month => (key.to_owned(), asked.clone()),
        };
        Bar::new(label, one.count, asked.address(desk, place))
    };
    Chart {
        id: match by {
            By::Person => "by-person",
            By::Patient => "by-patient",
            By::App => "by-app",
            By::Hour | By::Day | By::Month | By::Role | By::Action | By::Class | By::Outcome | By::Reason => "by-kind",
            By::Device | By::Rule | By::Event | By::Address => "by-thing",
        },
        heading: desk.say(&format!("log-by-{}", by.as_str())),
        lead: None,
        empty: desk.say("log-chart-none"),
        shape: Shape::Rows(Rows::new(counted.iter().map(bar).collect())),
    }
}
