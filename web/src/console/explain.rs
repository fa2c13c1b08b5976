//! How an access is answered, by which rules, and what would turn the answer: for an access that is described, or one
//! out of the log. Nothing is let through and nothing is changed. What is asked may name a patient in its path, so it is
//! posted, and stands in no address.

use std::sync::Arc;

use audit::{Recorded, RecordedAccess, Search};
use policy::{Access, Explanation, Timestamp, what_if};
use tracing::warn;

use super::desk::{Desk, Refused, Shown};
use super::explain_form::{Asked, form};
use super::posted::Posted;
use super::view::{Bit, ConsoleContent, Field, Filter, MarkTone, Part, Table, Words};
use crate::{Fault, PolicyWords, line_of_access};

/// How much of the log is looked through for one access.
const LOG_BYTES_MAX: u64 = 4 << 30;

/// The page: to describe an access, or with the answer to one of the log that its address names.
pub(super) async fn page(desk: &Desk<'_>) -> Shown {
    let Some(id) = desk.asked("request") else {
        return Ok(desk.show(content(desk, Vec::new(), &Asked::default(), None)));
    };
    let problem = |key: &str| {
        let page = content(desk, Vec::new(), &Asked::default(), Some(&id));
        desk.show_problem(desk.say(key), page)
    };
    let Some(wanted) = line_of_access(&id) else { return Ok(problem("policy-ask-problem-id")) };
    desk.note_reading("explain", None).await?;
    let then = match find(desk, wanted).await? {
        Found::Access(then) => then,
        Found::Nothing => return Ok(problem("policy-ask-problem-none")),
        Found::TooLittle => return Ok(problem("policy-ask-problem-line")),
        Found::Unreadable => return Ok(problem("console-log-unreadable")),
    };
    let access = desk.site.parts.policy.classify(&then.access).into_owned();
    let parts = answered(desk, access, Some(&then)).await?;
    Ok(desk.show(content(desk, parts, &Asked::default(), Some(&id))))
}

/// The answer to an access that was described.
pub(super) async fn ask(desk: &Desk<'_>) -> Shown {
    let asked = Asked::read(&Posted::read(desk.request)?)?;
    match asked.access(desk).await? {
        Ok(access) => {
            let parts = answered(desk, access, None).await?;
            Ok(desk.show(content(desk, parts, &asked, None)))
        }
        Err(key) => Ok(desk.show_problem(desk.say(key), content(desk, Vec::new(), &asked, None))),
    }
}

fn content(desk: &Desk<'_>, answer: Vec<Part>, asked: &Asked, id: Option<&str>) -> ConsoleContent {
    let of_log = Filter {
        label: desk.say("policy-ask-of-log"),
        action: "/explain".to_owned(),
        fields: vec![
            Field::text("filter", "request", desk.say("policy-ask-id"), id.unwrap_or_default(), 40)
                .hinted(desk.say("policy-ask-id-hint")),
        ],
        button: desk.say("policy-ask-button"),
        clear: None,
    };
    let mut parts = answer;
    parts.extend([Part::Filter(of_log), Part::Form(form(desk, asked))]);
    ConsoleContent {
        title: desk.say("policy-ask"),
        lead: Some(desk.say("policy-ask-lead")),
        parts,
        ..ConsoleContent::default()
    }
}

/// What is asked, the answer, the rules and what would turn it.
async fn answered(desk: &Desk<'_>, access: Access, then: Option<&RecordedAccess>) -> Result<Vec<Part>, Refused> {
    let words = PolicyWords::new(desk.voice, desk.config());
    let mut asked = words.asked(&access);
    if let Some(then) = then {
        asked.push(words.answered_then(then.judged.reason, &then.judged.rule, &then.revision));
        if !then.known.authentication || (access.device.is_some() && !then.known.posture) {
            asked.push(words.not_all_recorded());
        }
    }
    let explanation = explain(desk, access).await?;
    let told = words.explained(&explanation);
    let tone = if explanation.answer.is_allowed() { MarkTone::Good } else { MarkTone::Bad };
    let part = |id, heading, tone, lines| Part::Words(Words { id, heading, tone, lines, links: Vec::new() });
    let by = words.say_with("policy-ask-by-rule", "rule", &told.rule);
    let rows = told.rules.iter().map(|rule| {
        let missing = match rule.missing.as_slice() {
            [] => vec![Bit::text(&rule.missing_lead)],
            missing => missing.iter().map(Bit::soft).collect(),
        };
        vec![vec![Bit::Mono(rule.rule.clone())], vec![Bit::text(&rule.effect)], vec![Bit::text(&rule.part)], missing]
    });
    let heads = ["policy-rule", "policy-effect", "policy-ask-part", "policy-explain-missing"];
    let rules = Table {
        id: "rules",
        heading: told.rules_head.clone(),
        heads: heads.map(|head| desk.say(head)).into(),
        rows: rows.collect(),
        empty: desk.say("policy-ask-no-rules"),
        note: None,
        pages: Vec::new(),
    };
    Ok(vec![
        part("answer", told.answer.clone(), tone, [by].into_iter().chain(told.why.clone()).collect()),
        part("asked", desk.say("policy-ask-asked"), MarkTone::Plain, asked),
        Part::Table(rules),
        part("turns", told.turns_lead.clone(), MarkTone::Plain, told.turns.clone()),
    ])
}

/// Tries what would turn the answer, off the threads that serve.
async fn explain(desk: &Desk<'_>, access: Access) -> Result<Explanation, Refused> {
    let policy = Arc::clone(&desk.site.parts.policy);
    let Ok(_turn) = desk.site.searches.acquire().await else { return Err(Fault::Stopping.into()) };
    let explained = tokio::task::spawn_blocking(move || what_if(&policy, &access)).await;
    explained.map_err(|problem| {
        warn!(request = %desk.request.request, %problem, "an explanation broke off");
        Fault::Internal.into()
    })
}

/// What came of a look for an access.
enum Found {
    Access(Box<RecordedAccess>),
    Nothing,
    /// Its line does not say enough to ask again.
    TooLittle,
    /// The log cannot be read.
    Unreadable,
}

async fn find(desk: &Desk<'_>, wanted: impl Fn(&str) -> bool + Send + 'static) -> Result<Found, Refused> {
    let log: audit::Reader = (&desk.config().audit).into();
    let search = Search { since: Timestamp::from_unix_micros(0), bytes_max: LOG_BYTES_MAX, lines_max: 1 };
    let Ok(_turn) = desk.site.searches.acquire().await else { return Err(Fault::Stopping.into()) };
    let found = tokio::task::spawn_blocking(move || audit::search(log, search, wanted)).await;
    let line = match found {
        Ok(Ok(found)) => found.lines.into_iter().next(),
        Ok(Err(problem)) => {
            warn!(request = %desk.request.request, %problem, "the log could not be read for an explanation");
            return Ok(Found::Unreadable);
        }
        Err(problem) => {
            warn!(request = %desk.request.request, %problem, "a search of the log broke off");
            return Ok(Found::Unreadable);
        }
    };
    Ok(match line.map(|line| audit::recorded(line.as_bytes())) {
        None => Found::Nothing,
        Some(Recorded::Access(access)) => Found::Access(access),
        Some(Recorded::Unreadable | Recorded::Other) => Found::TooLittle,
    })
}
