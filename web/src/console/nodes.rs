//! The machines that serve together: who is there, what they run, how far each vouches for the others' logs, and what is
//! wrong. As the node that answers sees it.

use store::Difference;

use super::desk::{Desk, Shown};
use super::view::{Bit, ConsoleContent, Mark, MarkTone, Part, Table, Tile, Words};
use crate::{Language, NodeStanding, NodeState};

/// How much of a revision tells it from another, in digits.
const REVISION_SHOWN: usize = 12;

/// The page.
pub(super) fn nodes(desk: &Desk<'_>) -> Shown {
    let standings = desk.site.parts.nodes.standings();
    let heads = ["name", "state", "heard", "started", "version", "revision", "lines", "vouched"];
    let table = Table {
        id: "nodes",
        heading: desk.say("console-nodes-all"),
        heads: heads.map(|head| desk.say(&format!("console-nodes-{head}"))).into(),
        rows: standings.iter().map(|standing| row(desk, standing)).collect(),
        empty: desk.say("console-nodes-none"),
        note: (!standings.is_empty()).then(|| desk.say(note(desk))),
        pages: Vec::new(),
    };
    let mut parts = vec![Part::Table(table)];
    parts.extend(alarms(desk, &standings));
    parts.extend(difference(desk, &standings));
    Ok(desk.show(ConsoleContent {
        title: desk.say("console-nodes-title"),
        lead: Some(desk.say("console-nodes-lead")),
        parts,
        ..ConsoleContent::default()
    }))
}

/// Whose logs the pages of the log show.
fn note(desk: &Desk<'_>) -> &'static str {
    let is_together = desk.config().nodes.as_ref().is_some_and(|nodes| nodes.channel.is_some());
    if is_together { "console-nodes-note-together" } else { "console-nodes-note" }
}

/// What is wrong with nodes, for the first page; nothing where all is well.
pub(super) fn attention(desk: &Desk<'_>) -> Option<Tile> {
    let wrong: usize = desk.site.parts.nodes.standings().iter().map(|standing| standing.alarms.len()).sum();
    (wrong > 0).then(|| Tile {
        label: desk.say("console-tile-nodes"),
        number: wrong.to_string(),
        tone: MarkTone::Bad,
        href: "/nodes".to_owned(),
        note: desk.say("console-tile-nodes-note"),
    })
}

fn row(desk: &Desk<'_>, standing: &NodeStanding) -> Vec<Vec<Bit>> {
    let mut name = vec![Bit::text(&standing.name)];
    if standing.is_own {
        name.push(Bit::Soft(desk.say("console-nodes-own")));
    }
    let state = match standing.state {
        NodeState::Serving => Mark::good(desk.say("console-nodes-is-serving")),
        NodeState::Stopped => Mark::warn(desk.say("console-nodes-is-stopped")),
        NodeState::Silent => Mark::bad(desk.say("console-nodes-is-silent")),
        NodeState::Unknown => Mark::warn(desk.say("console-nodes-is-unknown")),
    };
    let mut state = vec![Bit::Mark(state)];
    if standing.leads {
        state.push(Bit::Soft(desk.say("console-nodes-leads")));
    }
    let mut row = vec![name, state];
    match &standing.said {
        Some(said) => row.extend([
            vec![Bit::Moment(desk.minute(said.at))],
            vec![Bit::Moment(desk.minute(said.started_at))],
            vec![Bit::text(&said.version)],
            vec![Bit::Mono(said.revision.chars().take(REVISION_SHOWN).collect())],
            vec![Bit::text(said.lines.to_string())],
            vec![Bit::text(said.vouched.map_or_else(|| "-".to_owned(), |lines| lines.to_string()))],
        ]),
        None => row.extend((0..6).map(|_| Vec::new())),
    }
    row
}

/// What is wrong, node by node, with what it means.
fn alarms(desk: &Desk<'_>, standings: &[NodeStanding]) -> Option<Part> {
    let line = |standing: &NodeStanding, code: &str| {
        format!("{}: {}", standing.name, desk.say(&format!("console-nodes-alarm-{code}")))
    };
    let lines: Vec<String> = standings
        .iter()
        .flat_map(|standing| standing.alarms.iter().map(move |alarm| line(standing, alarm.code())))
        .collect();
    let (heading, links) = (desk.say("console-nodes-alarms"), Vec::new());
    (!lines.is_empty()).then_some(Part::Words(Words { id: "alarms", heading, tone: MarkTone::Bad, lines, links }))
}

/// What the configurations of other nodes say otherwise.
fn difference(desk: &Desk<'_>, standings: &[NodeStanding]) -> Option<Part> {
    let differing: Vec<_> = standings.iter().filter(|standing| !standing.difference.is_empty()).collect();
    let names: Vec<_> = differing.iter().map(|standing| standing.name.as_str()).collect();
    let heading = desk.say_with("console-nodes-difference", "name", &names.join(", "));
    let line = |name: &str, one: &Difference| {
        let text = match desk.language() {
            Language::Japanese => &one.ja,
            Language::English => &one.en,
        };
        if differing.len() > 1 { format!("{name}: {text}") } else { text.clone() }
    };
    let lines: Vec<String> =
        differing.iter().flat_map(|standing| standing.difference.iter().map(|one| line(&standing.name, one))).collect();
    let links = Vec::new();
    (!lines.is_empty()).then_some(Part::Words(Words { id: "difference", heading, tone: MarkTone::Warn, lines, links }))
}
