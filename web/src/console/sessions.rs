//! Open sessions: list, search, and ending one.

use policy::SessionId;
use store::{Person, SessionRecord};
use url::form_urlencoded::Serializer;

use super::Duty;
use super::desk::{Desk, Refused, Shown};
use super::devices::words;
use super::field::pages;
use super::people::ROWS_MAX;
use super::person::{device_bit, methods, session_marks};
use super::view::{Bit, ConsoleContent, Facts, Field, Filter, Form, Go, Part, Submit, Table};
use crate::Fault;

/// The list, newest first.
pub(super) async fn sessions(desk: &Desk<'_>) -> Shown {
    let text = desk.asked("q");
    let wanted = words(text.as_deref());
    let from = desk.asked("from").and_then(|from| from.parse::<usize>().ok()).unwrap_or(0);
    let all = desk.store().sessions().await?;
    let open = all.iter().filter(|(session, _)| session.ends_at > desk.at());
    let fitting: Vec<&(SessionRecord, Person)> = open.filter(|(s, p)| is_found(&wanted, s, p)).collect();
    let shown = fitting.iter().skip(from).take(ROWS_MAX);
    let mut heads = vec!["console-person", "console-device", "console-methods", "console-since", "console-last-used"];
    if desk.is(Duty::Help) {
        heads.push("console-action");
    }
    let address = |from: usize| {
        let mut query = Serializer::new(String::new());
        query.append_pair("q", text.as_deref().unwrap_or_default()).append_pair("from", &from.to_string());
        format!("/sessions?{}", query.finish())
    };
    let next = from.saturating_add(ROWS_MAX);
    let table = Table {
        id: "sessions",
        heading: desk.say_with("console-sessions-table", "count", &fitting.len().to_string()),
        heads: heads.into_iter().map(|head| desk.say(head)).collect(),
        rows: shown.map(|(session, person)| row(desk, session, person)).collect(),
        empty: desk.say(if wanted.is_empty() { "console-sessions-none" } else { "console-none-fit" }),
        note: None,
        pages: pages(
            (from > 0).then(|| Go::new(desk.say("console-first-page"), address(0))),
            (fitting.len() > next).then(|| Go::new(desk.say("console-next-page"), address(next))),
        ),
    };
    let filter = Filter {
        label: desk.say("console-sessions-search"),
        action: "/sessions".to_owned(),
        fields: vec![Field::search(desk.say("console-sessions-text"), text.as_deref())],
        button: desk.say("console-search"),
        clear: (!wanted.is_empty()).then(|| Go::new(desk.say("console-clear"), "/sessions")),
    };
    Ok(desk.show(ConsoleContent {
        title: desk.say("console-sessions"),
        lead: Some(desk.say("console-sessions-lead")),
        parts: vec![Part::Filter(filter), Part::Table(table)],
        ..ConsoleContent::default()
    }))
}

fn is_found(words: &[String], session: &SessionRecord, person: &Person) -> bool {
    let device = session.device.as_ref().map_or("", |device| device.as_str());
    let texts = [person.name.as_str(), &person.login, &person.unit, device].map(str::to_lowercase);
    let id = session.id.to_string();
    words.iter().all(|word| id == *word || texts.iter().any(|text| text.contains(word.as_str())))
}

fn row(desk: &Desk<'_>, session: &SessionRecord, person: &Person) -> Vec<Vec<Bit>> {
    let name = [Bit::link(&person.name, format!("/people/{}", person.id)), Bit::soft(&person.login)];
    let mut row = vec![
        name.into_iter().chain(session_marks(desk, session).into_iter().map(Bit::Mark)).collect(),
        vec![device_bit(desk, session)],
        vec![Bit::Text(methods(desk, session))],
        vec![Bit::Moment(desk.minute(session.opened_at))],
        vec![Bit::Moment(desk.minute(session.seen_at))],
    ];
    if desk.is(Duty::Help) {
        let end = Bit::link(desk.say("console-end"), format!("/sessions/{}/end", session.id));
        row.push(if desk.may_touch(person) { vec![end] } else { Vec::new() });
    }
    row
}

/// The session that the path names, where who asks may end it.
async fn session(desk: &Desk<'_>) -> Result<(SessionRecord, Person), Refused> {
    let id = SessionId::parse(desk.named(1)).ok_or(Fault::NotFound)?;
    let open = desk.store().sessions().await?;
    let (session, person) = open.into_iter().find(|(session, _)| session.id == id).ok_or(Fault::NotFound)?;
    desk.demand_touch(&person)?;
    Ok((session, person))
}

/// Asks whether to end a session.
pub(super) async fn ask_end(desk: &Desk<'_>) -> Shown {
    let (session, person) = session(desk).await?;
    let rows = vec![
        (desk.say("console-person"), vec![Bit::link(&person.name, format!("/people/{}", person.id))]),
        (desk.say("console-device"), vec![device_bit(desk, &session)]),
        (desk.say("console-methods"), vec![Bit::Text(methods(desk, &session))]),
        (desk.say("console-since"), vec![Bit::Moment(desk.minute(session.opened_at))]),
        (desk.say("console-last-used"), vec![Bit::Moment(desk.minute(session.seen_at))]),
        (desk.say("console-until"), vec![Bit::Moment(desk.minute(session.ends_at))]),
        (desk.say("console-id"), vec![Bit::Mono(session.id.to_string())]),
    ];
    let form = Form {
        id: "end",
        heading: desk.say("console-end-form"),
        lead: Some(desk.say("console-end-what")),
        action: format!("/sessions/{}/end", session.id),
        with_file: false,
        fields: Vec::new(),
        buttons: Submit::stop(desk.say("console-end-button")),
        back: Some(Go::new(desk.say("console-cancel"), "/sessions")),
        folded: false,
    };
    Ok(desk.show(ConsoleContent {
        title: desk.say("console-end-title"),
        up: Some(Go::new(desk.say("console-sessions"), "/sessions")),
        marks: session_marks(desk, &session),
        parts: vec![
            Part::Facts(Facts { id: "facts", heading: desk.say("console-session-facts"), rows }),
            Part::Form(form),
        ],
        ..ConsoleContent::default()
    }))
}

/// Ends a session, here and on every node.
pub(super) async fn end(desk: &Desk<'_>) -> Shown {
    let (session, _person) = session(desk).await?;
    let ended = desk.site.parts.sessions.end(session.id, &desk.actor(), desk.at()).await?;
    Ok(desk.go("/sessions", if ended { "session-ended" } else { "nothing-changed" }))
}
