//! The page of a month, for those who lead the house: figures beside those of the month before, what was refused, what
//! the reviews found. One sheet of A4 to print and sign.

use audit::{Event, StoryOutcome};
use find::{Bar as Counted, By, Question};
use store::{REVIEWS_MAX, Review};

use super::super::desk::{Desk, Refused, Shown};
use super::super::posted::ago;
use super::super::view::{Bit, Choice, ConsoleContent, Field, Filter, Go, Part, Table};
use super::charts::rows_by;
use super::period::{DAY, Month, Period};
use super::review::departments;
use super::{Asked, only_when};
use crate::chart::{Chart, grouped};
use crate::log_view::{LogTrouble, Sight};

/// How many months may be chosen.
const MONTHS: usize = 13;
/// How many of each kind are shown.
const TOP: usize = 5;
/// Where counting people and patients stops.
const COUNT_MAX: usize = 10_000;

/// A figure of the page.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Figure {
    Accesses,
    People,
    Patients,
    Refused,
    Late,
    Failed,
    FailedSignIns,
    NewDevices,
    RevokedDevices,
    PeopleChanged,
    LogReads,
}

impl Figure {
    const ALL: [Self; 11] = [
        Self::Accesses,
        Self::People,
        Self::Patients,
        Self::Refused,
        Self::Late,
        Self::Failed,
        Self::FailedSignIns,
        Self::NewDevices,
        Self::RevokedDevices,
        Self::PeopleChanged,
        Self::LogReads,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Accesses => "accesses",
            Self::People => "people",
            Self::Patients => "patients",
            Self::Refused => "refused",
            Self::Late => "late",
            Self::Failed => "failed",
            Self::FailedSignIns => "failed-sign-ins",
            Self::NewDevices => "new-devices",
            Self::RevokedDevices => "revoked-devices",
            Self::PeopleChanged => "people-changed",
            Self::LogReads => "log-reads",
        }
    }

    /// What it counts, in the words of a search.
    fn asked(self, month: &Asked) -> Asked {
        let event = |event: Event| month.with("event", event.code());
        match self {
            Self::Accesses | Self::People | Self::Patients => month.with("event", "open"),
            Self::Refused => month.with("outcome", StoryOutcome::Refused.code()),
            Self::Late => month.with("event", "open").with("hours", "out"),
            Self::Failed => month.with("outcome", StoryOutcome::Failed.code()),
            Self::FailedSignIns => event(Event::SignInFailed),
            Self::NewDevices => event(Event::DeviceAdded),
            Self::RevokedDevices => event(Event::DeviceRevoked),
            Self::PeopleChanged => event(Event::PersonChanged),
            Self::LogReads => event(Event::LogRead),
        }
    }

    /// The same as a question.
    fn question(self, when: &Question) -> Question {
        let mut question = only_when(when);
        let mut event = |event: Event| question.event = Some(event.code().to_owned());
        match self {
            Self::Accesses | Self::People | Self::Patients => question.event = Some("open".to_owned()),
            Self::Refused => question.outcome = Some(StoryOutcome::Refused),
            Self::Late => (question.event, question.out_of_hours) = (Some("open".to_owned()), Some(true)),
            Self::Failed => question.outcome = Some(StoryOutcome::Failed),
            Self::FailedSignIns => event(Event::SignInFailed),
            Self::NewDevices => event(Event::DeviceAdded),
            Self::RevokedDevices => event(Event::DeviceRevoked),
            Self::PeopleChanged => event(Event::PersonChanged),
            Self::LogReads => event(Event::LogRead),
        }
        question
    }

    fn count(self, log: &Sight, when: &Question) -> Result<u64, LogTrouble> {
        let question = self.question(when);
        let different = |by| -> Result<u64, LogTrouble> { Ok(log.count(&question, by, COUNT_MAX)?.len() as u64) };
        match self {
            Self::People => different(By::Person),
            Self::Patients => different(By::Patient),
            Self::Accesses
            | Self::Refused
            | Self::Late
            | Self::Failed
            | Self::FailedSignIns
            | Self::NewDevices
            | Self::RevokedDevices
            | Self::PeopleChanged
            | Self::LogReads => log.total(&question),
        }
    }
}

/// What is counted for the page.
struct Counts {
    /// Of each figure: this month, the month before.
    figures: Vec<(Figure, u64, u64)>,
    roles: Vec<Counted>,
    reasons: Vec<Counted>,
}

/// The page.
pub(in super::super) async fn report(desk: &Desk<'_>) -> Shown {
    let offset = desk.config().offset;
    let this_month = Month::of(desk.at(), offset);
    let month = desk.asked("month").and_then(|month| Month::parse(&month)).unwrap_or(this_month.before());
    let whole = |month: Month| month.period(offset).ok_or(crate::Fault::NotFound);
    let (period, earlier) = (whole(month)?, whole(month.before())?);
    let when = |period: Period| Question {
        calendar: super::asked::calendar(desk),
        ..Question::new(period.since, period.until)
    };
    let (now, before) = (when(period), when(earlier));
    let counted = desk.off(move |log| look(log, &now, &before)).await?;
    desk.note_look("report", counted.figures.first().map_or(0, |(_, count, _)| *count), None).await?;

    let asked = Asked::default().within(&month.first_day(), &desk.day(ago(period.until, DAY)));
    let chart = |id: &'static str, asked: &Asked, by: By, bars: &[Counted]| Chart {
        id,
        heading: desk.say(&format!("log-chart-{id}")),
        ..rows_by(desk, asked, by, bars, "/log")
    };
    let charts = vec![
        chart("roles", &asked.with("event", "open"), By::Role, &counted.roles),
        chart("reasons", &asked.with("outcome", StoryOutcome::Refused.code()), By::Reason, &counted.reasons),
    ];
    Ok(desk.show(ConsoleContent {
        title: desk.say_with("log-report-title", "month", &month.text()),
        lead: Some(
            desk.voice.say_all(
                "log-report-lead",
                &[("facility", &desk.config().facility.name), ("day", &desk.day(desk.at()))],
            ),
        ),
        up: Some(Go::new(desk.say("console-records"), "/log")),
        actions: vec![Go::new(desk.say("log-charts"), asked.address(desk, "/log/charts"))],
        parts: std::iter::once(Part::Filter(filter(desk, this_month, month)))
            .chain(desk.behind().await?)
            .chain([
                Part::Table(figures(desk, &asked, &counted.figures)),
                Part::Charts(charts),
                Part::Table(reviews(desk, period).await?),
                Part::Signers(signers(desk)),
            ])
            .collect(),
        ..ConsoleContent::default()
    }))
}

fn look(log: &Sight, now: &Question, before: &Question) -> Result<Counts, LogTrouble> {
    let mut figures = Vec::new();
    for figure in Figure::ALL {
        figures.push((figure, figure.count(log, now)?, figure.count(log, before)?));
    }
    Ok(Counts {
        figures,
        roles: log.count(&Figure::Accesses.question(now), By::Role, TOP)?,
        reasons: log.count(&Figure::Refused.question(now), By::Reason, TOP)?,
    })
}

fn figures(desk: &Desk<'_>, asked: &Asked, figures: &[(Figure, u64, u64)]) -> Table {
    let row = |(figure, now, before): &(Figure, u64, u64)| {
        let label = desk.say(&format!("log-figure-{}", figure.as_str()));
        vec![
            vec![Bit::link(label, figure.asked(asked).address(desk, "/log"))],
            vec![Bit::Text(grouped(*now))],
            vec![Bit::Text(grouped(*before))],
            vec![Bit::Text(trend(*now, *before))],
        ]
    };
    Table {
        id: "figures",
        heading: desk.say("log-figures"),
        heads: ["log-figure", "log-this-month", "log-month-before", "log-trend"].map(|head| desk.say(head)).into(),
        rows: figures.iter().map(row).collect(),
        empty: desk.say("log-chart-none"),
        note: Some(desk.say("log-figures-note")),
        pages: Vec::new(),
    }
}

/// How much more or less it is, in hundredths of the month before.
fn trend(now: u64, before: u64) -> String {
    if before == 0 {
        return if now == 0 { "±0 %".to_owned() } else { "–".to_owned() };
    }
    let change = (i128::from(now) - i128::from(before)) * 100 / i128::from(before);
    match change {
        0 => "±0 %".to_owned(),
        more if more > 0 => format!("▲ {more} %"),
        less => format!("▼ {} %", -less),
    }
}

async fn reviews(desk: &Desk<'_>, month: Period) -> Result<Table, Refused> {
    let all = desk.reviews_seen(REVIEWS_MAX).await?;
    let of_month = |review: &&Review| review.since < month.until && review.until > month.since;
    let mut rows = Vec::new();
    for review in all.iter().filter(of_month) {
        let signed = match &review.signature {
            Some(signature) => {
                let by = desk.actor_name(&signature.by).await?;
                vec![Bit::Text(by), Bit::Moment(desk.day(signature.at)), Bit::soft(&signature.comment)]
            }
            None => vec![Bit::Text(desk.say("log-review-unsigned"))],
        };
        let name = desk.say_with("log-review-number", "number", &review.number.to_string());
        let tally = review.tally;
        let link = Bit::link(name, format!("/log/reviews/{}", review.number));
        let mut row = vec![[Some(link), departments(review)].into_iter().flatten().collect()];
        row.extend([tally.items, tally.asked, tally.incidents].map(|count| vec![Bit::Text(grouped(count))]));
        row.push(signed);
        rows.push(row);
    }
    let heads = ["log-review", "log-sample", "log-judgment-ask", "log-judgment-incident", "log-review-signed-by"];
    Ok(Table {
        id: "reviews",
        heading: desk.say("log-report-reviews"),
        heads: heads.map(|head| desk.say(head)).into(),
        rows,
        empty: desk.say("log-report-no-review"),
        note: None,
        pages: Vec::new(),
    })
}

fn filter(desk: &Desk<'_>, newest: Month, shown: Month) -> Filter {
    let months = std::iter::successors(Some(newest), |month| Some(month.before())).take(MONTHS);
    let choices = months.map(|month| Choice::new(month.text(), month.text(), month == shown));
    Filter {
        label: desk.say("log-month"),
        action: "/log/report".to_owned(),
        fields: vec![Field::choice("month", "month", desk.say("log-month"), choices.collect())],
        button: desk.say("log-draw"),
        clear: None,
    }
}

/// Who signs the printed sheet.
fn signers(desk: &Desk<'_>) -> Vec<String> {
    ["log-signer-director", "log-signer-security", "log-signer-reviewer"].map(|key| desk.say(key)).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trend_is_of_the_month_before() {
        for (now, before, said) in [
            (0, 0, "±0 %"),
            (5, 0, "–"),
            (100, 100, "±0 %"),
            (150, 100, "▲ 50 %"),
            (0, 100, "▼ 100 %"),
            (u64::MAX, 1, "▲ 1844674407370955161400 %"),
        ] {
            assert_eq!(trend(now, before), said);
        }
    }

    #[test]
    fn a_figure_and_its_link_ask_for_the_same() {
        let when = Question::new(policy::Timestamp::from_unix_micros(0), policy::Timestamp::MAX);
        for figure in Figure::ALL {
            let (question, asked) = (figure.question(&when), figure.asked(&Asked::default()));
            assert_eq!(question.event.as_deref(), asked.get("event"), "{}", figure.as_str());
            assert_eq!(question.outcome.map(StoryOutcome::code), asked.get("outcome"), "{}", figure.as_str());
            assert_eq!(question.out_of_hours, asked.get("hours").map(|hours| hours == "out"), "{}", figure.as_str());
        }
    }
}
