//! Reviews of broken glass: which there were, what was done by each, and what another person than who broke it says of
//! that. Deliberately not here: the offer, and the breaking (`crate::glass`).

use std::time::{Duration, Instant};

use audit::EntryKind;
use find::{Order, Question};
use identity::GrantProblem;
use policy::{GrantId, GrantKind, Reads, Timestamp};
use store::{GRANTS_READ_MAX, GlassVerdict, GrantFilter, GrantRecord, GrantRefusal};
use tracing::warn;

use super::Duty;
use super::desk::{Desk, Refused, Shown};
use super::posted::Posted;
use super::view::{
    Bit, Choice, ConsoleContent, Facts, Field, Filter, Form, Go, Mark, MarkTone, Part, Submit, Table, Words,
};
use crate::Fault;
use crate::glass::glass_reason;
use crate::log_view::{LogTrouble, Record, Sight, Turn};
use crate::seen::patients_of;

/// How many the list shows.
const LISTED_MAX: usize = 200;
/// How many accesses a review shows.
const DEEDS_MAX: usize = 200;
/// How many records are read at once.
const PAGE_MAX: usize = 200;
/// How long the index may take to read what the log holds.
const INDEX_TIMEOUT: Duration = Duration::from_secs(2);
/// How long all of it may be looked at.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How long after the end an access is written that began before it.
const WRITTEN_WITHIN: Duration = Duration::from_secs(60);
/// The most characters of a reviewer's comment.
const COMMENT_CHARS_MAX: usize = 500;

/// The list.
pub(super) async fn glasses(desk: &Desk<'_>) -> Shown {
    let shows_all = desk.asked("show").as_deref() == Some("all");
    let mut records = read(desk, !shows_all).await?;
    // What is due first is on top; what is done comes last.
    records.sort_by_key(|one| (one.due_at(desk.at()).unwrap_or(Timestamp::MAX), std::cmp::Reverse(one.begin)));
    records.truncate(LISTED_MAX);
    let mut rows = Vec::new();
    for record in &records {
        rows.push(row(desk, record).await?);
    }
    let heads = ["at", "who", "app", "reason", "due", "state"];
    let table = Table {
        id: "glass",
        heading: desk.say("console-glass-list"),
        heads: heads.map(|head| desk.say(&format!("console-glass-{head}"))).into(),
        rows,
        empty: desk.say("console-glass-none"),
        note: (records.len() == LISTED_MAX).then(|| desk.say("console-list-cut")),
        pages: Vec::new(),
    };
    let choices = [("", "unfinished", !shows_all), ("all", "all", shows_all)];
    let choice = |(value, label, chosen): (&str, &str, bool)| {
        Choice::new(value, desk.say(&format!("console-glass-{label}")), chosen)
    };
    let filter = Filter {
        label: desk.say("console-glass-show"),
        action: "/glass".to_owned(),
        fields: vec![Field::choice("show", "show", desk.say("console-glass-show"), choices.map(choice).into())],
        button: desk.say("console-search"),
        clear: None,
    };
    Ok(desk.show(ConsoleContent {
        title: desk.say("console-glass-title"),
        lead: Some(desk.say("console-glass-lead")),
        parts: vec![Part::Filter(filter), Part::Table(table)],
        ..ConsoleContent::default()
    }))
}

/// How many wait for their review, and whether one is overdue, for the first page.
pub(super) async fn waiting(desk: &Desk<'_>) -> Result<(usize, bool), Refused> {
    let records = read(desk, true).await?;
    Ok((records.len(), records.iter().any(|one| one.is_overdue(desk.at()))))
}

async fn read(desk: &Desk<'_>, unfinished: bool) -> Result<Vec<GrantRecord>, Refused> {
    let unfinished_at = unfinished.then(|| desk.at());
    let filter = GrantFilter { kind: Some(GrantKind::Glass), unfinished_at, ..GrantFilter::default() };
    Ok(desk.store().grants(filter, None, GRANTS_READ_MAX).await?)
}

async fn row(desk: &Desk<'_>, record: &GrantRecord) -> Result<Vec<Vec<Bit>>, Refused> {
    let reason = record.glass().map(|glass| glass_reason(desk.config(), &glass.reason, desk.language()));
    Ok(vec![
        vec![Bit::link(desk.minute(record.begin), format!("/glass/{}/review", record.id))],
        vec![Bit::Text(desk.actor_name(record.person.as_str()).await?)],
        vec![Bit::Text(desk.site.app_name(&record.app, desk.language()))],
        vec![Bit::Text(reason.unwrap_or_default())],
        record.due_at(desk.at()).map(|due| Bit::Moment(desk.minute(due))).into_iter().collect(),
        vec![Bit::Mark(mark(desk, record))],
    ])
}

fn mark(desk: &Desk<'_>, record: &GrantRecord) -> Mark {
    let said = |word: &str| desk.say(&format!("console-glass-is-{word}"));
    let is_reviewed = record.glass().is_some_and(|glass| glass.review.is_some());
    match () {
        () if is_reviewed => Mark::good(said("reviewed")),
        () if record.is_overdue(desk.at()) => Mark::bad(said("late")),
        () if record.is_in_force(desk.at()) => Mark::warn(said("in-force")),
        () => Mark::warn(said("open")),
    }
}

/// One of them, with the form for its review.
pub(super) async fn ask_review(desk: &Desk<'_>) -> Shown {
    let record = named(desk).await?;
    let content = content(desk, &record).await?;
    Ok(desk.show(content))
}

/// Keeps a review.
pub(super) async fn review(desk: &Desk<'_>) -> Shown {
    let record = named(desk).await?;
    let posted = Posted::read(desk.request)?;
    let (verdict, comment) = (GlassVerdict::parse(posted.raw("verdict")), posted.line("comment", COMMENT_CHARS_MAX)?);
    let Some(verdict) = verdict.filter(|_| !comment.is_empty()) else {
        return Ok(desk.show_problem(desk.say("console-glass-problem-verdict"), content(desk, &record).await?));
    };
    let done = desk.site.parts.grants.review(&record.id, &desk.actor(), verdict, &comment, desk.at()).await;
    match done {
        Ok(()) => Ok(desk.go("/glass", "glass-reviewed")),
        Err(GrantProblem::Refused(refusal)) => refused(desk, &record, &refusal).await,
        Err(GrantProblem::Store(problem)) => Err(problem.into()),
    }
}

/// Ends glass that is still broken.
pub(super) async fn end(desk: &Desk<'_>) -> Shown {
    let record = named(desk).await?;
    let console = &desk.config().console;
    match desk.site.parts.grants.end(&record.id, &desk.actor(), "", &console.administrators, desk.at()).await {
        Ok(()) => Ok(desk.go(&format!("/glass/{}/review", record.id), "glass-ended")),
        Err(GrantProblem::Refused(refusal)) => refused(desk, &record, &refusal).await,
        Err(GrantProblem::Store(problem)) => Err(problem.into()),
    }
}

async fn refused(desk: &Desk<'_>, record: &GrantRecord, refusal: &GrantRefusal) -> Shown {
    let key = match refusal {
        GrantRefusal::NotInRole | GrantRefusal::TheirOwn => "console-glass-problem-right",
        GrantRefusal::NoWords => "console-glass-problem-verdict",
        GrantRefusal::NotThere => return Err(Fault::NotFound.into()),
        GrantRefusal::NotNow(_)
        | GrantRefusal::PersonNotInForce
        | GrantRefusal::NotAVendor
        | GrantRefusal::Vendor
        | GrantRefusal::SamePerson
        | GrantRefusal::OutsideHours
        | GrantRefusal::InThePast
        | GrantRefusal::Empty
        | GrantRefusal::TooLong(_)
        | GrantRefusal::TooFarAhead(_)
        | GrantRefusal::Overlaps(_)
        | GrantRefusal::Overdue(_)
        | GrantRefusal::TooMany
        | GrantRefusal::NoSuchApp
        | GrantRefusal::NoSuchReason
        | GrantRefusal::TooLarge
        | GrantRefusal::NotApproved
        | GrantRefusal::NotOffered => "console-glass-problem-not-now",
    };
    Ok(desk.show_problem(desk.say(key), content(desk, record).await?))
}

/// The one that the path names.
async fn named(desk: &Desk<'_>) -> Result<GrantRecord, Refused> {
    let id = GrantId::parse(desk.named(1)).map_err(|_| Fault::NotFound)?;
    let record = desk.store().grant(&id).await?.filter(|record| record.kind == GrantKind::Glass);
    Ok(record.ok_or(Fault::NotFound)?)
}

async fn content(desk: &Desk<'_>, record: &GrantRecord) -> Result<ConsoleContent, Refused> {
    // Whose records were opened is in it: nobody reads that unrecorded.
    desk.note_reading("glass", None).await?;
    let who = desk.actor_name(record.person.as_str()).await?;
    let mut parts = vec![Part::Facts(facts(desk, record, &who).await?), Part::Table(deeds(desk, record).await)];
    parts.extend(decision(desk, record));
    if record.is_in_force(desk.at()) && desk.is(Duty::Mend) {
        parts.push(Part::Form(Form {
            id: "end",
            heading: desk.say("console-glass-end"),
            lead: Some(desk.say("console-glass-end-what")),
            action: format!("/glass/{}/end", record.id),
            with_file: false,
            fields: Vec::new(),
            buttons: Submit::stop(desk.say("console-glass-end")),
            back: None,
            folded: false,
        }));
    }
    Ok(ConsoleContent {
        title: desk.say_with("console-glass-page", "who", &who),
        up: Some(Go::new(desk.say("console-glass"), "/glass")),
        marks: vec![mark(desk, record)],
        parts,
        ..ConsoleContent::default()
    })
}

async fn facts(desk: &Desk<'_>, record: &GrantRecord, who: &str) -> Result<Facts, Refused> {
    let span = format!("{} - {}", desk.minute(record.begin), desk.minute(record.over_at()));
    let mut rows = vec![
        ("id", vec![Bit::Mono(record.id.to_string())]),
        ("who", vec![Bit::text(who)]),
        ("app", vec![Bit::Text(desk.site.app_name(&record.app, desk.language()))]),
        ("span", vec![Bit::Text(span)]),
    ];
    if let Some(glass) = record.glass() {
        let whose = match (&glass.patient, &glass.ward) {
            (Some(patient), _) => patient.clone(),
            (None, Some(ward)) => desk.say_with("console-glass-ward", "ward", ward.as_str()),
            // Where the patient was forgotten and where there never was one look alike.
            (None, None) if glass.review.is_some() => desk.say("console-glass-patient-forgotten"),
            (None, None) => desk.say("console-glass-patient-none"),
        };
        rows.extend([
            ("reason", vec![Bit::Text(glass_reason(desk.config(), &glass.reason, desk.language()))]),
            ("words", vec![Bit::text(&glass.words)]),
            ("patient", vec![Bit::Text(whose)]),
        ]);
    }
    if let Some(ended) = &record.ended {
        rows.push(("ended-by", vec![Bit::Text(desk.actor_name(&ended.by).await?), Bit::Moment(desk.minute(ended.at))]));
    }
    rows.extend(record.due_at(desk.at()).map(|due| ("due", vec![Bit::Moment(desk.minute(due))])));
    if let Some(review) = record.glass().and_then(|glass| glass.review.as_ref()) {
        let verdict = desk.say(&format!("glass-verdict-{}", review.verdict.as_str()));
        let tone = match review.verdict {
            GlassVerdict::Justified => Mark::good(verdict),
            GlassVerdict::Ask => Mark::warn(verdict),
            GlassVerdict::Unjustified => Mark::bad(verdict),
        };
        rows.extend([
            ("verdict", vec![Bit::Mark(tone)]),
            (
                "reviewed-by",
                vec![Bit::Text(desk.actor_name(&review.by.by).await?), Bit::Moment(desk.minute(review.by.at))],
            ),
            ("comment", vec![Bit::text(&review.by.words)]),
        ]);
    }
    let rows = rows.into_iter().map(|(key, bits)| (desk.say(&format!("console-glass-{key}")), bits)).collect();
    Ok(Facts { id: "facts", heading: desk.say("console-glass-facts"), rows })
}

/// The form for the review, or why there is none.
fn decision(desk: &Desk<'_>, record: &GrantRecord) -> Option<Part> {
    if record.glass().is_some_and(|glass| glass.review.is_some()) {
        return None;
    }
    let why_not = match () {
        () if desk.is_self(&record.person) => Some("console-glass-own"),
        () if !desk.is(Duty::Judge) => Some("console-glass-not-reviewer"),
        () => None,
    };
    if let Some(key) = why_not {
        let heading = desk.say("console-glass-review");
        let lines = vec![desk.say(key)];
        return Some(Part::Words(Words { id: "review", heading, tone: MarkTone::Plain, lines, links: Vec::new() }));
    }
    let verdict = |verdict: GlassVerdict| {
        Choice::new(
            verdict.as_str(),
            desk.say(&format!("glass-verdict-{}", verdict.as_str())),
            verdict == GlassVerdict::Justified,
        )
    };
    Some(Part::Form(Form {
        id: "review",
        heading: desk.say("console-glass-review"),
        lead: Some(desk.say("console-glass-review-lead")),
        action: format!("/glass/{}/review", record.id),
        with_file: false,
        fields: vec![
            Field::choice(
                "review",
                "verdict",
                desk.say("console-glass-verdict"),
                GlassVerdict::ALL.map(verdict).into(),
            ),
            Field::text("review", "comment", desk.say("console-glass-comment"), "", COMMENT_CHARS_MAX).required(),
        ],
        buttons: Submit::main(desk.say("console-glass-review-button")),
        back: Some(Go::new(desk.say("console-cancel"), "/glass")),
        folded: false,
    }))
}

/// What was done by it, as the log has it.
async fn deeds(desk: &Desk<'_>, record: &GrantRecord) -> Table {
    let found = look(desk, record).await;
    let note = match &found {
        None => Some("console-log-unreadable"),
        Some(done) if done.is_cut => Some("console-glass-done-cut"),
        Some(done) if !done.is_whole => Some("console-log-partly"),
        Some(_) => None,
    };
    let rows = found.iter().flat_map(|done| &done.records).filter_map(|record| {
        let story = record.story.as_ref()?;
        let begin = &story.begin;
        let patients: Vec<String> = patients_of(story, &desk.site.parts.policy).into_iter().collect();
        let act = [begin.method.as_deref(), begin.action.as_deref()];
        let node = record.node.as_deref().map(Bit::soft);
        Some(vec![
            std::iter::once(Bit::Moment(desk.minute(begin.at))).chain(node).collect(),
            vec![Bit::Text(act.into_iter().flatten().collect::<Vec<_>>().join(" "))],
            vec![Bit::Mono(begin.path.clone().unwrap_or_default())],
            vec![Bit::Text(patients.join(", "))],
        ])
    });
    let heads = ["done-at", "done-act", "done-path", "done-patients"];
    Table {
        id: "done",
        heading: desk.say("console-glass-done-title"),
        heads: heads.map(|head| desk.say(&format!("console-glass-{head}"))).into(),
        rows: rows.collect(),
        empty: desk.say(match &found {
            Some(done) if done.is_whole => "console-glass-done-none",
            Some(_) => "console-log-partly",
            None => "console-log-unreadable",
        }),
        note: note.map(|key| desk.say(key)),
        pages: Vec::new(),
    }
}

/// What was done under an exception.
struct Done {
    /// The accesses that were allowed, the first first.
    records: Vec<Record>,
    /// Whether there are more than are shown.
    is_cut: bool,
    /// Whether all that the logs of all nodes hold of it was looked at.
    is_whole: bool,
}

/// Asks the index; nothing where it, or the log, cannot be read.
async fn look(desk: &Desk<'_>, record: &GrantRecord) -> Option<Done> {
    // All of it, whoever reviews: they see what was done by this one exception.
    let log = Sight::new(desk.site.parts.log_view.clone(), Reads::Everything).heard_by(&desk.heard);
    let mut question = Question::new(record.begin, record.over_at().after(WRITTEN_WITHIN));
    let grant = Some(record.id.as_str().to_owned());
    (question.grant, question.order, question.limit) = (grant, Order::Oldest, PAGE_MAX);
    let _turn = desk.site.searches.acquire().await.ok()?;
    match tokio::task::spawn_blocking(move || read_done(&log, &question)).await.unwrap_or(Err(LogTrouble::Failed)) {
        Ok(done) => Some(done),
        Err(trouble) => {
            warn!(request = %desk.request.request, trouble = trouble.code(), "the log could not be read for a review");
            None
        }
    }
}

/// Blocks.
fn read_done(log: &Sight, question: &Question) -> Result<Done, LogTrouble> {
    let deadline = Instant::now() + READ_TIMEOUT;
    let mut done = Done { records: Vec::new(), is_cut: false, is_whole: log.follows(INDEX_TIMEOUT) };
    let mut turn = Turn::default();
    loop {
        let found = log.stories_from(question, &turn)?;
        done.is_whole &= log.missing().is_empty() && found.records.iter().all(|record| record.story.is_some());
        let is_opened =
            |record: &Record| record.story.as_ref().is_some_and(|story| story.begin.kind == EntryKind::Open);
        done.records.extend(found.records.into_iter().filter(is_opened));
        done.is_cut = done.records.len() > DEEDS_MAX || (done.records.len() == DEEDS_MAX && found.next.is_some());
        done.records.truncate(DEEDS_MAX);
        match found.next {
            Some(next) if !done.is_cut && Instant::now() < deadline => turn = next,
            Some(_) => {
                done.is_whole &= done.is_cut;
                return Ok(done);
            }
            None => return Ok(done),
        }
    }
}
