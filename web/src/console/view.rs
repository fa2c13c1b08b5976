//! What a page of the console is made of: a few kinds of parts, each with one template, so that every table, form and
//! fact of the console looks and reads alike. Plain values: every decision is made before.

use askama::Template;

use crate::Sheet;
use crate::chart::{Chart, Shape};
use crate::view::Frame;

/// A page of the console.
#[derive(Template)]
#[template(path = "console/page.html")]
pub(crate) struct ConsoleView<'a> {
    pub(crate) frame: Frame<'a>,
    pub(crate) nav: Vec<NavItem>,
    /// Who is signed in, as what.
    pub(crate) who: String,
    /// What was just done, or what stood in the way.
    pub(crate) flash: Option<Flash>,
    pub(crate) page: ConsoleContent,
}

/// An entry of the navigation.
pub(crate) struct NavItem {
    pub(crate) label: String,
    pub(crate) href: &'static str,
    pub(crate) is_current: bool,
}

/// What was just done, or what stood in the way.
pub(crate) struct Flash {
    pub(crate) tone: MarkTone,
    pub(crate) text: String,
    /// Where it is several things: one a line.
    pub(crate) lines: Vec<String>,
}

/// A page without what is around it.
#[derive(Default)]
pub(crate) struct ConsoleContent {
    pub(crate) title: String,
    pub(crate) lead: Option<String>,
    /// The list that the page belongs to.
    pub(crate) up: Option<Go>,
    pub(crate) marks: Vec<Mark>,
    pub(crate) actions: Vec<Go>,
    pub(crate) parts: Vec<Part>,
}

/// One part of a page.
pub(crate) enum Part {
    Filter(Filter),
    /// The same by POST: what is asked for must not stand in an address.
    Ask(Filter),
    Facts(Facts),
    Table(Table),
    Form(Form),
    Words(Words),
    Code(Code),
    Tiles(Vec<Tile>),
    Sheet(Box<Sheet>),
    Chart(Chart),
    /// Charts beside each other, where there is room.
    Charts(Vec<Chart>),
    /// A text as it is, to be read letter by letter.
    Raw(Raw),
    Progress(Progress),
    /// Room for signatures, on paper alone.
    Signers(Vec<String>),
    /// Plays the recording of a terminal.
    Player(Player),
}

impl ConsoleContent {
    /// Whether it plays a recording.
    pub(crate) fn has_player(&self) -> bool {
        self.parts.iter().any(|part| matches!(part, Part::Player(_)))
    }
}

/// Plays the recording of a terminal.
pub(crate) struct Player {
    /// Where its pictures are.
    pub(crate) source: String,
    pub(crate) length_ms: u64,
    /// Whether it is being recorded.
    pub(crate) is_live: bool,
    pub(crate) commands: Vec<PlayerCommand>,
    /// Whether there are more commands.
    pub(crate) is_cut: bool,
}

/// A command in a recording.
pub(crate) struct PlayerCommand {
    pub(crate) at_ms: u64,
    pub(crate) at: String,
    pub(crate) text: String,
}

/// A link.
pub(crate) struct Go {
    pub(crate) label: String,
    pub(crate) href: String,
    pub(crate) look: GoLook,
}

/// How a link stands out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum GoLook {
    /// What is most likely wanted.
    Main,
    /// One of several.
    Plain,
    /// What takes something away.
    Stop,
}

impl GoLook {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Main => "button slim primary",
            Self::Plain => "button slim",
            Self::Stop => "button slim danger",
        }
    }
}

impl Go {
    pub(crate) fn new(label: String, href: impl Into<String>) -> Self {
        Self { label, href: href.into(), look: GoLook::Plain }
    }

    pub(crate) fn main(label: String, href: impl Into<String>) -> Self {
        Self { look: GoLook::Main, ..Self::new(label, href) }
    }

    pub(crate) fn stop(label: String, href: impl Into<String>) -> Self {
        Self { look: GoLook::Stop, ..Self::new(label, href) }
    }
}

/// A word that says a state. Never colour alone.
#[derive(Clone)]
pub(crate) struct Mark {
    pub(crate) tone: MarkTone,
    pub(crate) text: String,
}

/// How a state feels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MarkTone {
    /// As it should be.
    Good,
    /// Look at it.
    Warn,
    /// Not in force, or wrong.
    Bad,
    /// Neither.
    Plain,
}

impl MarkTone {
    pub(crate) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Plain => "plain",
        }
    }

    /// How a screen reader is told: at once what stood in the way, politely what was done.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Bad | Self::Warn => "alert",
            Self::Good | Self::Plain => "status",
        }
    }
}

impl Mark {
    pub(crate) fn good(text: String) -> Self {
        Self { tone: MarkTone::Good, text }
    }

    pub(crate) fn warn(text: String) -> Self {
        Self { tone: MarkTone::Warn, text }
    }

    pub(crate) fn bad(text: String) -> Self {
        Self { tone: MarkTone::Bad, text }
    }

    pub(crate) fn plain(text: String) -> Self {
        Self { tone: MarkTone::Plain, text }
    }
}

/// A piece of a cell or fact.
pub(crate) enum Bit {
    Text(String),
    /// Beside the point, on its own line.
    Soft(String),
    /// A day, or a day and an hour; neither is broken.
    Moment(String),
    /// To be read character by character.
    Mono(String),
    Link {
        label: String,
        href: String,
    },
    Mark(Mark),
    /// A form of one button.
    Button {
        label: String,
        /// What it is about, for who cannot see the row.
        about: String,
        action: String,
    },
}

impl Bit {
    /// The words of a text that are kept whole.
    pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
        text.split(' ')
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(crate) fn soft(text: impl Into<String>) -> Self {
        Self::Soft(text.into())
    }

    pub(crate) fn link(label: impl Into<String>, href: impl Into<String>) -> Self {
        Self::Link { label: label.into(), href: href.into() }
    }
}

/// Label and value, several.
pub(crate) struct Facts {
    pub(crate) id: &'static str,
    pub(crate) heading: String,
    pub(crate) rows: Vec<(String, Vec<Bit>)>,
}

/// A table.
pub(crate) struct Table {
    pub(crate) id: &'static str,
    pub(crate) heading: String,
    pub(crate) heads: Vec<String>,
    pub(crate) rows: Vec<Vec<Vec<Bit>>>,
    /// What is said where there is no row.
    pub(crate) empty: String,
    /// Said below it.
    pub(crate) note: Option<String>,
    /// The pages before and after.
    pub(crate) pages: Vec<Go>,
}

/// What narrows a list; a form by GET.
pub(crate) struct Filter {
    pub(crate) label: String,
    pub(crate) action: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) button: String,
    /// Back to everything, where something is filtered.
    pub(crate) clear: Option<Go>,
}

/// A form by POST.
pub(crate) struct Form {
    pub(crate) id: &'static str,
    pub(crate) heading: String,
    pub(crate) lead: Option<String>,
    pub(crate) action: String,
    /// Whether it carries a file.
    pub(crate) with_file: bool,
    pub(crate) fields: Vec<Field>,
    pub(crate) buttons: Vec<Submit>,
    /// Back without doing it.
    pub(crate) back: Option<Go>,
    /// Whether it is shown only when asked for.
    pub(crate) folded: bool,
}

/// A button of a form.
pub(crate) struct Submit {
    pub(crate) label: String,
    pub(crate) look: GoLook,
    /// Name and value it sends, where there are several buttons.
    pub(crate) sends: Option<(&'static str, &'static str)>,
}

/// A field of a form.
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// Unique on the page.
    pub(crate) id: String,
    pub(crate) label: String,
    pub(crate) hint: Option<String>,
    pub(crate) is_required: bool,
    pub(crate) kind: FieldKind,
}

impl Field {
    /// Its value, where nobody sees it.
    pub(crate) fn hidden(&self) -> Option<&str> {
        if let FieldKind::Hidden(value) = &self.kind { Some(value) } else { None }
    }

    /// What may be ticked, where it is several boxes under one name.
    pub(crate) fn ticks(&self) -> Option<&[Choice]> {
        if let FieldKind::Ticks(choices) = &self.kind { Some(choices) } else { None }
    }
}

/// What a field takes.
pub(crate) enum FieldKind {
    Text {
        value: String,
        chars_max: usize,
    },
    Search {
        value: String,
    },
    Date {
        value: String,
    },
    /// A day and a time, to the minute.
    Moment {
        value: String,
    },
    Area {
        value: String,
        rows: usize,
    },
    File {
        accept: &'static str,
    },
    Choice(Vec<Choice>),
    Ticks(Vec<Choice>),
    Hidden(String),
}

/// One of several.
pub(crate) struct Choice {
    pub(crate) value: String,
    pub(crate) label: String,
    pub(crate) is_chosen: bool,
}

/// Words between the other parts.
pub(crate) struct Words {
    pub(crate) id: &'static str,
    pub(crate) heading: String,
    pub(crate) tone: MarkTone,
    pub(crate) lines: Vec<String>,
    pub(crate) links: Vec<Go>,
}

/// A one-time code, shown once.
pub(crate) struct Code {
    pub(crate) heading: String,
    pub(crate) code: String,
    /// Where it is used, with the code in the fragment, which is sent to no server.
    pub(crate) link: String,
    /// The same as a picture; markup of ours.
    pub(crate) picture: Option<String>,
    pub(crate) until: String,
    pub(crate) steps: Vec<String>,
}

/// A number that leads to a list.
pub(crate) struct Tile {
    pub(crate) label: String,
    pub(crate) number: String,
    pub(crate) tone: MarkTone,
    pub(crate) href: String,
    pub(crate) note: String,
}

/// A text as it is, to be read letter by letter.
pub(crate) struct Raw {
    pub(crate) id: &'static str,
    pub(crate) heading: String,
    pub(crate) lead: String,
    pub(crate) text: String,
}

/// How far something is that takes long.
pub(crate) struct Progress {
    pub(crate) heading: String,
    /// In words, for everybody.
    pub(crate) said: String,
    pub(crate) done: u64,
    pub(crate) all: u64,
    pub(crate) links: Vec<Go>,
}
