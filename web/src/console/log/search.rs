//! Finding records with plain fields, and what was found.

use audit::{Event, StoryOutcome};
use http::StatusCode;
use policy::Action;
use store::Person;

use super::super::desk::{Desk, Shown};
use super::super::field::pages;
use super::super::posted::Posted;
use super::super::view::{
    Bit, Choice, ConsoleContent, Facts, Field, FieldKind, Filter, Go, MarkTone, Part, Table, Words,
};
use super::asked::{Asking, VALUE_CHARS_MAX};
use super::{Asked, export, kept};
use crate::chart::grouped;
use crate::headers;
use crate::log_view::Stories;

/// What stands in the form itself; the rest is said beside it, each with the way to drop it.
const IN_FORM: [&str; 12] =
    ["who", "unit", "device", "app", "action", "outcome", "hours", "event", "words", "address", "from", "to"];

/// Takes the form: what may name a patient is sealed before it comes into an address.
pub(in super::super) fn find(desk: &Desk<'_>) -> Shown {
    let asked = Asked::of_form(desk, &Posted::read(desk.request)?);
    Ok(headers::redirect(StatusCode::SEE_OTHER, &asked.address(desk, "/log")))
}

/// The page.
pub(in super::super) async fn search(desk: &Desk<'_>) -> Shown {
    let asked = Asked::read(desk);
    let mut parts = vec![Part::Ask(form(desk, &asked))];
    parts.extend(narrowed(desk, &asked));
    parts.extend(desk.behind().await?);
    match asked.asking(desk).await? {
        Asking::Wrong(key) => return Ok(desk.show_problem(desk.say(key), content(desk, &asked, parts))),
        Asking::Which(people) => {
            desk.note_look("search-people", people.len() as u64, None).await?;
            parts.push(Part::Table(which(desk, &asked, &people)));
        }
        Asking::Question(_) if asked.is_lost => parts.push(Part::Words(lost(desk))),
        Asking::Question(question) => {
            let turn = asked.turn();
            let found = desk.off(move |log| log.stories_from(&question, &turn)).await?;
            desk.note_look("search", found.total, asked.patient.as_deref()).await?;
            parts.push(Part::Table(table(desk, &asked, &found).await?));
            parts.extend((found.total > 0).then(|| Part::Form(export::form(desk, &asked))));
        }
    }
    if asked.is_plain() {
        parts.insert(1, Part::Table(kept::table(desk).await?));
    } else {
        parts.push(Part::Form(kept::form(desk, &asked)));
    }
    Ok(desk.show(content(desk, &asked, parts)))
}

fn content(desk: &Desk<'_>, asked: &Asked, parts: Vec<Part>) -> ConsoleContent {
    ConsoleContent {
        title: desk.say("console-records"),
        lead: Some(desk.say("console-records-lead")),
        actions: vec![
            Go::new(desk.say("log-charts"), asked.time().address(desk, "/log/charts")),
            Go::new(desk.say("log-reviews"), "/log/reviews"),
            Go::new(desk.say("log-report"), "/log/report"),
        ],
        parts,
        ..ConsoleContent::default()
    }
}

async fn table(desk: &Desk<'_>, asked: &Asked, found: &Stories) -> Result<Table, super::super::desk::Refused> {
    let names = desk.names_in(&found.records).await?;
    let heading = desk.say_with("log-found", "count", &grouped(found.total));
    let mut table = desk.records_table("found", heading, &found.records, &names);
    let first = asked
        .after
        .as_ref()
        .map(|_| Go::new(desk.say("console-first-page"), asked.beginning_at(None).address(desk, "/log")));
    let next = found
        .next
        .clone()
        .map(|next| Go::new(desk.say("console-older"), asked.beginning_at(Some(next)).address(desk, "/log")));
    table.pages = pages(first, next);
    if asked.is_plain() || found.records.is_empty() {
        return Ok(table);
    }
    table.pages.push(Go::new(desk.say("log-as-timeline"), asked.address(desk, "/log/timeline")));
    Ok(table)
}

/// Several people have the name that was asked for.
fn which(desk: &Desk<'_>, asked: &Asked, people: &[Person]) -> Table {
    let row = |person: &Person| {
        vec![
            vec![Bit::link(&person.name, asked.with("who", person.id.as_str()).address(desk, "/log"))],
            vec![Bit::text(&person.login)],
            vec![Bit::text(&person.unit)],
        ]
    };
    Table {
        id: "which",
        heading: desk.say("log-which-person"),
        heads: ["console-person", "console-login", "console-unit"].map(|head| desk.say(head)).into(),
        rows: people.iter().map(row).collect(),
        empty: desk.say("console-none-fit"),
        note: None,
        pages: Vec::new(),
    }
}

fn lost(desk: &Desk<'_>) -> Words {
    Words {
        id: "lost-part",
        heading: desk.say("log-lost"),
        tone: MarkTone::Warn,
        lines: vec![desk.say("log-lost-what")],
        links: Vec::new(),
    }
}

fn form(desk: &Desk<'_>, asked: &Asked) -> Filter {
    let value = |name: &str| asked.get(name).unwrap_or_default().to_owned();
    let text = |name: &'static str, key: &str| Field::text("find", name, desk.say(key), value(name), VALUE_CHARS_MAX);
    let any = |name: &str| Choice::new("", desk.say("console-any"), asked.get(name).is_none());
    let choice = |name: &'static str, key: &str, choices: Vec<(String, String)>| {
        let choices = choices.into_iter().map(|(word, label)| {
            let is_chosen = asked.get(name) == Some(word.as_str());
            Choice::new(word, label, is_chosen)
        });
        Field::choice("find", name, desk.say(key), std::iter::once(any(name)).chain(choices).collect())
    };
    let patient = Field::text(
        "find",
        "patient",
        desk.say("log-patient"),
        asked.patient.clone().unwrap_or_default(),
        VALUE_CHARS_MAX,
    );
    let own = ["login", "portal", "console"].map(str::to_owned).into_iter();
    let apps = desk.config().apps.iter().map(|app| app.id.to_string()).chain(own);
    let apps = apps.map(|id| (id.clone(), desk.app_words(&id))).collect();
    let actions = Action::ALL.map(|action| (action.as_str().to_owned(), desk.action_words(action.as_str()))).into();
    let outcomes = StoryOutcome::ALL.map(|one| (one.code().to_owned(), desk.outcome_words(one))).into();
    let hours = ["out", "in"].map(|word| (word.to_owned(), desk.say(&format!("log-hours-{word}")))).into();
    let kinds = ["open", "refused"].into_iter().chain(Event::ALL.iter().map(|event| event.code()));
    let kinds = kinds.map(|word| (word.to_owned(), desk.kind_words(word))).collect();
    let period = asked.period(desk);
    let day = |name, key: &str, at| Field::day("find", name, desk.say(key), desk.day(at));
    let last = super::super::posted::ago(period.until, std::time::Duration::from_micros(1));
    let mut fields = vec![
        patient,
        text("who", "log-who"),
        text("unit", "log-unit"),
        text("device", "console-device"),
        text("words", "log-words"),
        choice("app", "console-app", apps),
        choice("action", "log-action", actions),
        choice("outcome", "log-outcome", outcomes),
        choice("event", "console-kind", kinds),
        choice("hours", "log-hours", hours),
        text("address", "log-address"),
        day("from", "console-from", period.since),
        day("to", "console-to", last),
    ];
    fields.extend(super::asked::FIELDS.into_iter().filter(|name| !IN_FORM.contains(name)).filter_map(|name| {
        let hidden = FieldKind::Hidden(asked.get(name)?.to_owned());
        Some(Field { kind: hidden, ..Field::hidden_value(name, "") })
    }));
    Filter {
        label: desk.say("console-records-search"),
        action: "/log/find".to_owned(),
        fields,
        button: desk.say("console-search"),
        clear: (!asked.is_plain() || asked.is_lost).then(|| Go::new(desk.say("console-clear"), "/log")),
    }
}

/// What else narrows the search, each with the way to drop it.
fn narrowed(desk: &Desk<'_>, asked: &Asked) -> Option<Part> {
    let rows: Vec<(String, Vec<Bit>)> = super::asked::FIELDS
        .into_iter()
        .filter(|name| !IN_FORM.contains(name))
        .filter_map(|name| {
            let value = asked.get(name)?;
            let drop = Bit::link(desk.say("log-drop"), asked.without(name).address(desk, "/log"));
            Some((desk.say(&format!("log-field-{name}")), vec![Bit::Text(words_of(desk, name, value)), drop]))
        })
        .collect();
    let facts = Facts { id: "narrowed", heading: desk.say("log-narrowed"), rows };
    (!facts.rows.is_empty()).then_some(Part::Facts(facts))
}

/// The value of a field as people read it.
fn words_of(desk: &Desk<'_>, name: &str, value: &str) -> String {
    match name {
        "reason" => desk.reason_words(value),
        "role" => desk.role_words(value),
        "class" => desk.class_words(value),
        "hour" => desk.say_with("log-hour-of", "hour", &value.replace('T', " ")),
        _ => value.to_owned(),
    }
}
