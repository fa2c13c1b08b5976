//! Who did what: the audit log, filtered. Reading it is recorded too.

use std::time::Duration;

use policy::{DeviceId, UserId};
use store::PeopleFilter;
use url::form_urlencoded::Serializer;

use super::desk::{Desk, Refused, Shown};
use super::posted::ago;
use super::record::{Reach, is_access, is_change, needle};
use super::view::{Choice, ConsoleContent, Field, Filter, Go, Part};

const HOUR: Duration = Duration::from_secs(3_600);
/// How far back may be looked, in hours.
const HOURS: [u64; 5] = [24, 1, 168, 720, 2_160];
/// How many lines a page shows.
const LINES_MAX: usize = 100;
/// How many people of one name are looked for at once.
const PEOPLE_MAX: usize = 20;

/// Which kind of lines.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    All,
    Changes,
    SignIns,
    Accesses,
    Refusals,
}

impl Kind {
    const ALL: [Self; 5] = [Self::All, Self::Changes, Self::SignIns, Self::Accesses, Self::Refusals];

    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Changes => "changes",
            Self::SignIns => "sign-ins",
            Self::Accesses => "accesses",
            Self::Refusals => "refusals",
        }
    }

    fn has(self, line: &str) -> bool {
        let is = |event: &str| line.contains(&format!("\"ev\":\"{event}"));
        match self {
            Self::All => is_access(line) || is_change(line),
            Self::Changes => {
                let changed = ["person-", "key-", "invitation-", "temporary-", "device-", "certificate-", "outage-"];
                is_change(line) && (changed.iter().any(|event| is(event)) || is("session-ended") || is("config-"))
            }
            Self::SignIns => ["signed-", "sign-in-", "stepped-up", "session-"].iter().any(|event| is(event)),
            Self::Accesses => is("open\""),
            Self::Refusals => is("refused\"") || is("sign-in-failed") || line.contains("-refused\""),
        }
    }
}

/// What is asked for.
struct Asked {
    person: Option<String>,
    device: Option<DeviceId>,
    kind: Kind,
    hours: u64,
    /// Only lines before this number.
    before: Option<u64>,
}

impl Asked {
    fn read(desk: &Desk<'_>) -> Self {
        let (kind, hours) = (desk.asked("kind"), desk.asked("hours"));
        let hours = hours.and_then(|hours| hours.parse().ok()).filter(|hours| HOURS.contains(hours));
        Self {
            person: desk.asked("person"),
            device: desk.asked("device").and_then(|id| DeviceId::parse(&id).ok()),
            kind: Kind::ALL.into_iter().find(|one| kind.as_deref() == Some(one.as_str())).unwrap_or(Kind::All),
            hours: hours.unwrap_or(24),
            before: desk.asked("before").and_then(|number| number.parse().ok()),
        }
    }

    fn address(&self, before: Option<u64>) -> String {
        let mut query = Serializer::new(String::new());
        query.append_pair("person", self.person.as_deref().unwrap_or_default());
        query.append_pair("device", self.device.as_ref().map_or("", |id| id.as_str()));
        query.append_pair("kind", self.kind.as_str()).append_pair("hours", &self.hours.to_string());
        query.extend_pairs(before.map(|before| ("before", before.to_string())));
        format!("/records?{}", query.finish())
    }
}

/// The page.
pub(super) async fn records(desk: &Desk<'_>) -> Shown {
    let asked = Asked::read(desk);
    let needles = people(desk, &asked).await?;
    let nobody_fits = asked.person.is_some() && needles.is_empty();
    desk.note_reading("records", asked.device.as_ref()).await?;
    let since = ago(desk.at(), HOUR.saturating_mul(u32::try_from(asked.hours).unwrap_or(24)));
    let (kind, before) = (asked.kind, asked.before);
    let of_device = asked.device.as_ref().map(|id| needle("dev", id.as_str()));
    let found = desk
        .look(Reach::Since(since, LINES_MAX), move |line| {
            !nobody_fits
                && (needles.is_empty() || needles.iter().any(|needle| line.contains(needle)))
                && of_device.as_ref().is_none_or(|needle| line.contains(needle))
                && kind.has(line)
                && before.is_none_or(|before| number(line).is_some_and(|number| number < before))
        })
        .await?;
    let last = found.entries.last().filter(|_| found.entries.len() == LINES_MAX).map(|entry| entry.seq);
    let is_cut = last.is_some();
    let mut table = desk.trail("console-records-table", found);
    table.empty = desk.say("console-none-fit");
    if is_cut {
        table.note = None;
    }
    let first = asked.before.map(|_| Go::new(desk.say("console-first-page"), asked.address(None)));
    let next = last.map(|last| Go::new(desk.say("console-older"), asked.address(Some(last))));
    table.pages = super::field::pages(first, next);
    Ok(desk.show(ConsoleContent {
        title: desk.say("console-records"),
        lead: Some(desk.say("console-records-lead")),
        parts: vec![Part::Filter(filter(desk, &asked)), Part::Table(table)],
        ..ConsoleContent::default()
    }))
}

/// The number of a line.
fn number(line: &str) -> Option<u64> {
    line.split_once(r#""seq":"#)?.1.split_once(',')?.0.parse().ok()
}

/// How the people who are asked for stand in a line: by id where an id is given, else everybody found by that text.
/// Who did something stands there as actor, or as the person who asked.
async fn people(desk: &Desk<'_>, asked: &Asked) -> Result<Vec<String>, Refused> {
    let Some(text) = &asked.person else { return Ok(Vec::new()) };
    let named = match UserId::parse(text) {
        Ok(id) => desk.store().person(&id).await?.map(|person| vec![person.id]),
        Err(_) => None,
    };
    let ids = match named {
        Some(ids) => ids,
        None => {
            let filter = PeopleFilter { text: Some(text.clone()), ..PeopleFilter::default() };
            let found = desk.store().people(filter, None, PEOPLE_MAX).await?;
            found.into_iter().map(|person| person.id).collect()
        }
    };
    Ok(ids.iter().flat_map(|id| [needle("sub", id.as_str()), needle("actor", id.as_str())]).collect())
}

fn filter(desk: &Desk<'_>, asked: &Asked) -> Filter {
    let kind = |kind: Kind| {
        Choice::new(kind.as_str(), desk.say(&format!("console-kind-{}", kind.as_str())), kind == asked.kind)
    };
    let hours = |hours: u64| {
        let label = match hours {
            1 | 24 => desk.say_with("console-hours", "count", &hours.to_string()),
            _ => desk.say_with("console-days", "count", &(hours / 24).to_string()),
        };
        Choice::new(hours.to_string(), label, hours == asked.hours)
    };
    let text = |name, key: &str, value: &str| Field::text("filter", name, desk.say(key), value, 100);
    Filter {
        label: desk.say("console-records-search"),
        action: "/records".to_owned(),
        fields: vec![
            text("person", "console-records-person", asked.person.as_deref().unwrap_or_default()),
            text("device", "console-device", asked.device.as_ref().map_or("", |id| id.as_str())),
            Field::choice("filter", "kind", desk.say("console-kind"), Kind::ALL.map(kind).into()),
            Field::choice("filter", "hours", desk.say("console-look-back"), HOURS.map(hours).into()),
        ],
        button: desk.say("console-search"),
        clear: (asked.person.is_some() || asked.device.is_some())
            .then(|| Go::new(desk.say("console-clear"), "/records")),
    }
}
