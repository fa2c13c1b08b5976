//! What was done in the terminals of a window: commands and files, each with its place in a recording. They may name
//! patients, so they are read from the log for whoever needs to know, and kept nowhere.

use audit::{Event, Story};
use find::{Order, Question};
use policy::RequestId;
use store::GrantRecord;

use super::super::Duty;
use super::super::desk::{Desk, Refused};
use super::super::view::{Bit, Table};
use super::needs_to_know;
use crate::chart::grouped;
use crate::log_view::{Sight, Stories};
use crate::maintenance::Work;

/// How a file went, as the log has it, and the text of that.
const WAYS: [(&str, &str); 5] = [
    ("download", "recording-deeds-download"),
    ("download-cut", "recording-deeds-download-cut"),
    ("upload", "recording-deeds-upload"),
    ("upload-cut", "recording-deeds-upload-cut"),
    ("upload-undone", "recording-deeds-upload-undone"),
];
/// How many of each a page lists.
const LISTED_MAX: usize = 500;

/// The lists, for whoever may see them; that they looked is recorded.
pub(in super::super) async fn deeds(
    desk: &Desk<'_>,
    record: &GrantRecord,
    work: Option<&Work>,
) -> Result<Vec<Table>, Refused> {
    let sees_all = desk.config().console.replays(&desk.who) || needs_to_know(desk, record, false);
    let is_any = work.is_some_and(|work| work.commands + work.files > 0);
    if !is_any || !(sees_all || desk.is(Duty::Inspect)) {
        return Ok(Vec::new());
    }
    let of = |event: Event| Question {
        grant: Some(record.id.as_str().to_owned()),
        event: Some(event.code().to_owned()),
        order: Order::Oldest,
        limit: LISTED_MAX,
        ..Question::default()
    };
    let (commands, files) = (of(Event::CommandEntered), of(Event::FileCarried));
    let ask = move |log: &Sight| Ok((log.stories(&commands)?, log.stories(&files)?));
    let (commands, files) = if sees_all { desk.off_in(desk.whole_of_all(), ask).await? } else { desk.off(ask).await? };
    desk.note_look("maintenance", commands.total + files.total, None).await?;
    let commands = List { id: "commands", heads: &["when", "command", "app"], found: commands, row: command };
    let files = List { id: "files", heads: &["when", "file", "way", "size", "app"], found: files, row: file };
    Ok([commands, files].into_iter().filter(|list| list.found.total > 0).map(|list| list.table(desk)).collect())
}

/// One of the lists.
struct List {
    id: &'static str,
    heads: &'static [&'static str],
    found: Stories,
    row: fn(&Desk<'_>, &Story) -> Vec<Vec<Bit>>,
}

impl List {
    fn table(self, desk: &Desk<'_>) -> Table {
        let is_cut = self.found.total > LISTED_MAX as u64;
        let stories = self.found.records.iter().filter_map(|one| one.story.as_ref());
        Table {
            id: self.id,
            heading: desk.say(&format!("recording-deeds-{}", self.id)),
            heads: self.heads.iter().map(|head| desk.say(&format!("recording-deeds-{head}"))).collect(),
            rows: stories.map(|story| (self.row)(desk, story)).collect(),
            empty: desk.say("recording-deeds-none"),
            note: Some(desk.say(if is_cut { "recording-deeds-cut" } else { "recording-deeds-note" })),
            pages: Vec::new(),
        }
    }
}

fn command(desk: &Desk<'_>, story: &Story) -> Vec<Vec<Bit>> {
    let begin = &story.begin;
    let text = Bit::Mono(begin.command.clone().unwrap_or_default());
    // Of another node it is there.
    let is_here = |id: &str| {
        let has = |id| desk.whole().recordings().is_some_and(|recordings| recordings.has(id));
        desk.config().nodes.is_none() || RequestId::parse(id).is_some_and(has)
    };
    let id = begin.request.as_deref().filter(|id| is_here(id));
    let watch = id.map(|id| Bit::link(desk.say("recording-watch"), format!("/recordings/{id}")));
    vec![when(desk, story), [Some(text), watch].into_iter().flatten().collect(), place(desk, story)]
}

fn file(desk: &Desk<'_>, story: &Story) -> Vec<Vec<Bit>> {
    let begin = &story.begin;
    let why = begin.why.as_deref().unwrap_or_default();
    let way = match WAYS.iter().find(|(word, _)| *word == why) {
        Some((_, text)) => desk.say(text),
        None => why.to_owned(),
    };
    let size = begin.count.map(|bytes| Bit::Text(format!("{} B", grouped(bytes))));
    let hash = begin.sha256.clone().map(Bit::Mono);
    vec![
        when(desk, story),
        vec![Bit::Mono(begin.file.clone().unwrap_or_default())],
        vec![Bit::Text(way)],
        [size, hash].into_iter().flatten().collect(),
        place(desk, story),
    ]
}

fn when(desk: &Desk<'_>, story: &Story) -> Vec<Bit> {
    vec![Bit::Moment(crate::notice::wall_clock(story.begin.at, desk.config().offset))]
}

fn place(desk: &Desk<'_>, story: &Story) -> Vec<Bit> {
    let begin = &story.begin;
    let app = begin.app.as_deref().map(|app| Bit::Text(desk.app_words(app)));
    app.into_iter().chain(begin.host.as_deref().map(Bit::soft)).collect()
}
