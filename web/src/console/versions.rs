//! The history of what was in force: who brought which version, when and why, what each changed in words, and what its
//! replay came to. Deliberately not here: the approval of a version (`approval`).

use policy::Timestamp;
use store::{PolicyRevision, RevisionState};

use super::Duty;
use super::desk::{Desk, Refused, Shown};
use super::view::{Bit, ConsoleContent, Facts, Go, Mark, MarkTone, Part, Table, Words};
use crate::{Fault, Language, ReplayTable, Replayed};

/// How many versions the list shows.
const VERSIONS_MAX: usize = 50;
/// The ids of the tables of a replay on the page.
const TABLE_IDS: [&str; 8] =
    ["replay-1", "replay-2", "replay-3", "replay-4", "replay-5", "replay-6", "replay-7", "replay-8"];

/// All versions, newest first.
pub(super) async fn versions(desk: &Desk<'_>) -> Shown {
    let last = desk.store().last_activated_revision().await?;
    let kept = desk.store().revisions(VERSIONS_MAX).await?;
    let mut rows = Vec::new();
    for one in &kept {
        let approved = match &one.approved {
            Some((_, by)) => vec![Bit::Text(by_whom(desk, by).await?)],
            None => Vec::new(),
        };
        rows.push(vec![
            vec![Bit::link(one.number.to_string(), format!("/versions/{}", one.number))],
            vec![Bit::Mark(mark(desk, one.state(last.as_ref())))],
            vec![Bit::Moment(desk.minute(moment(one)))],
            vec![Bit::Text(by_whom(desk, &one.proposal.proposed_by).await?)],
            approved,
            vec![Bit::text(&one.proposal.why)],
        ]);
    }
    let heads = ["number", "state", "at", "by", "approved-by", "why"];
    let table = Table {
        id: "versions",
        heading: desk.say("policy-versions"),
        heads: heads.map(|head| desk.say(&format!("policy-version-{head}"))).into(),
        rows,
        empty: desk.say("policy-versions-none"),
        note: (kept.len() == VERSIONS_MAX).then(|| desk.say("policy-versions-more")),
        pages: Vec::new(),
    };
    Ok(desk.show(ConsoleContent {
        title: desk.say("policy-versions"),
        lead: Some(desk.say("policy-versions-lead")),
        parts: vec![Part::Table(table)],
        ..ConsoleContent::default()
    }))
}

/// One version.
pub(super) async fn version(desk: &Desk<'_>) -> Shown {
    let (kept, state) = named(desk).await?;
    let mut content = content(desk, &kept, state).await?;
    if state == RevisionState::Waits && desk.is(Duty::Administer) {
        let href = format!("/versions/{}/approve", kept.number);
        content.actions = vec![Go::main(desk.say("policy-version-to-approval"), href)];
    }
    Ok(desk.show(content))
}

/// The version that the path names, and how it stands.
pub(super) async fn named(desk: &Desk<'_>) -> Result<(PolicyRevision, RevisionState), Refused> {
    let number = desk.named(1).parse().map_err(|_| Fault::NotFound)?;
    let kept = desk.store().revision(number).await?.ok_or(Fault::NotFound)?;
    let last = desk.store().last_activated_revision().await?;
    let state = kept.state(last.as_ref());
    Ok((kept, state))
}

/// All that is kept of a version, as a page.
pub(super) async fn content(
    desk: &Desk<'_>,
    kept: &PolicyRevision,
    state: RevisionState,
) -> Result<ConsoleContent, Refused> {
    let mut parts = vec![Part::Facts(facts(desk, kept).await?), Part::Words(difference(desk, kept))];
    parts.extend(next_step(desk, kept, state).map(Part::Words));
    let replay = desk.store().replay_of(kept.number).await?;
    match replay.as_deref().and_then(Replayed::read) {
        Some(replay) => parts.extend(replayed(desk, &replay)),
        None => parts.push(Part::Words(Words {
            id: "replay",
            heading: desk.say("policy-version-replay"),
            tone: MarkTone::Plain,
            lines: vec![desk.say("policy-version-replay-none")],
            links: Vec::new(),
        })),
    }
    Ok(ConsoleContent {
        title: desk.say_with("policy-version-title", "number", &kept.number.to_string()),
        up: Some(Go::new(desk.say("policy-versions"), "/versions")),
        marks: vec![mark(desk, state)],
        parts,
        ..ConsoleContent::default()
    })
}

async fn facts(desk: &Desk<'_>, kept: &PolicyRevision) -> Result<Facts, Refused> {
    let PolicyRevision { proposal, approved, activated_at, .. } = kept;
    let moment = |at: Timestamp| Bit::Moment(desk.minute(at));
    let mut rows = vec![
        ("why", vec![Bit::text(&proposal.why)]),
        ("by", vec![Bit::Text(by_whom(desk, &proposal.proposed_by).await?)]),
        ("proposed-at", vec![moment(proposal.proposed_at)]),
    ];
    if let Some((at, by)) = approved {
        rows.push(("approved-by", vec![Bit::Text(by_whom(desk, by).await?), moment(*at)]));
    }
    rows.extend(activated_at.map(|at| ("activated-at", vec![moment(at)])));
    rows.push(("revision", vec![Bit::Mono(proposal.revision.to_string())]));
    let rows = rows.into_iter().map(|(key, bits)| (desk.say(&format!("policy-version-{key}")), bits)).collect();
    Ok(Facts { id: "facts", heading: desk.say("policy-version-facts"), rows })
}

fn difference(desk: &Desk<'_>, kept: &PolicyRevision) -> Words {
    let told = kept.proposal.difference.iter().map(|one| match desk.language() {
        Language::Japanese => one.ja.clone(),
        Language::English => one.en.clone(),
    });
    let mut lines: Vec<String> = told.collect();
    if lines.is_empty() {
        lines.push(desk.say("policy-version-difference-none"));
    }
    let heading = desk.say("policy-version-difference");
    Words { id: "difference", heading, tone: MarkTone::Plain, lines, links: Vec::new() }
}

/// What is to be done with it next, where something is.
fn next_step(desk: &Desk<'_>, kept: &PolicyRevision, state: RevisionState) -> Option<Words> {
    let key = match state {
        RevisionState::ToCome => "policy-version-next-put",
        RevisionState::WaitsBehind | RevisionState::Overtaken => "policy-version-next-again",
        RevisionState::InForce | RevisionState::WasInForce | RevisionState::Waits => return None,
    };
    Some(Words {
        id: "next",
        heading: desk.say("policy-version-next"),
        tone: MarkTone::Warn,
        lines: vec![desk.say_with(key, "number", &kept.number.to_string())],
        links: Vec::new(),
    })
}

/// The report of a replay.
fn replayed(desk: &Desk<'_>, replay: &Replayed) -> Vec<Part> {
    let told = replay.told(desk.language());
    let rows = told.facts.iter().map(|(name, value)| (name.clone(), vec![Bit::text(value)])).collect();
    let mut parts = vec![Part::Facts(Facts { id: "replay", heading: told.title.clone(), rows })];
    if !told.remarks.is_empty() {
        parts.push(Part::Words(Words {
            id: "replay-remarks",
            heading: desk.say("policy-version-replay-remarks"),
            tone: MarkTone::Plain,
            lines: told.remarks.clone(),
            links: Vec::new(),
        }));
    }
    let tables = told.tables.iter().filter(|table| !table.rows.is_empty()).zip(TABLE_IDS);
    parts.extend(tables.map(|(table, id)| Part::Table(replay_table(desk, table, id))));
    parts
}

fn replay_table(desk: &Desk<'_>, table: &ReplayTable, id: &'static str) -> Table {
    let row = |row: &Vec<String>| row.iter().map(|cell| vec![Bit::text(cell)]).collect();
    Table {
        id,
        heading: table.title.clone(),
        heads: table.headings.clone(),
        rows: table.rows.iter().map(row).collect(),
        empty: String::new(),
        note: (table.left > 0).then(|| desk.say_with("policy-version-rows-left", "count", &table.left.to_string())),
        pages: Vec::new(),
    }
}

/// When it came into force, or else was proposed.
fn moment(kept: &PolicyRevision) -> Timestamp {
    kept.activated_at.unwrap_or(kept.proposal.proposed_at)
}

/// Who did something with a version.
async fn by_whom(desk: &Desk<'_>, actor: &str) -> Result<String, Refused> {
    if actor == "file" { Ok(desk.say("policy-version-by-file")) } else { desk.actor_name(actor).await }
}

/// How a version stands, as a word.
fn mark(desk: &Desk<'_>, state: RevisionState) -> Mark {
    let text = desk.say(&format!("policy-version-is-{}", state.code()));
    match state {
        RevisionState::InForce => Mark::good(text),
        RevisionState::Waits | RevisionState::WaitsBehind | RevisionState::ToCome => Mark::warn(text),
        RevisionState::WasInForce | RevisionState::Overtaken => Mark::plain(text),
    }
}
