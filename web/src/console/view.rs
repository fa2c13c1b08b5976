//! What a page of the console is made of: a few kinds of parts, each with one template, so that every table, form and
//! fact of the console looks and reads alike. Plain values: every decision is made before.

use askama::Template;

use crate::Sheet;
use crate::chart::{Chart, Shape};
use crate::view::Frame;

/// A page of the console.
#[derive(Template)]
#[template(path = "console/page.html")]
pub(super) struct ConsoleView<'a> {
    pub(super) frame: Frame<'a>,
    pub(super) nav: Vec<NavItem>,
    /// Who is signed in, as what.
    pub(super) who: String,
    /// What was just done, or what stood in the way.
    pub(super) flash: Option<Flash>,
    pub(super) page: ConsoleContent,
}

/// An entry of the navigation.
pub(super) struct NavItem {
    pub(super) label: String,
    pub(super) href: &'static str,
    pub(super) is_current: bool,
}

/// What was just done, or what stood in the way.
pub(super) struct Flash {
    pub(super) tone: MarkTone,
    pub(super) text: String,
    /// Where it is several things: one a line.
    pub(super) lines: Vec<String>,
}

/// A page without what is around it.
#[derive(Default)]
pub(super) struct ConsoleContent {
    pub(super) title: String,
    pub(super) lead: Option<String>,
    /// The list that the page belongs to.
    pub(super) up: Option<Go>,
    pub(super) marks: Vec<Mark>,
    pub(super) actions: Vec<Go>,
    pub(super) parts: Vec<Part>,
}

/// One part of a page.
pub(super) enum Part {
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
}

/// A link.
pub(super) struct Go {
    pub(super) label: String,
    pub(super) href: String,
    pub(super) look: GoLook,
}

/// How a link stands out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum GoLook {
    /// What is most likely wanted.
    Main,
    /// One of several.
    Plain,
    /// What takes something away.
    Stop,
}

impl GoLook {
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Main => "button slim primary",
            Self::Plain => "button slim",
            Self::Stop => "button slim danger",
        }
    }
}

impl Go {
    pub(super) fn new(label: String, href: impl Into<String>) -> Self {
        Self { label, href: href.into(), look: GoLook::Plain }
    }

    pub(super) fn main(label: String, href: impl Into<String>) -> Self {
        Self { look: GoLook::Main, ..Self::new(label, href) }
    }

    pub(super) fn stop(label: String, href: impl Into<String>) -> Self {
        Self { look: GoLook::Stop, ..Self::new(label, href) }
    }
}

/// A word that says a state. Never colour alone.
#[derive(Clone)]
pub(super) struct Mark {
    pub(super) tone: MarkTone,
    pub(super) text: String,
}

/// How a state feels.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum MarkTone {
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
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Plain => "plain",
        }
    }

    /// How a screen reader is told: at once what stood in the way, politely what was done.
    pub(super) fn role(self) -> &'static str {
        match self {
            Self::Bad | Self::Warn => "alert",
            Self::Good | Self::Plain => "status",
        }
    }
}

impl Mark {
    pub(super) fn good(text: String) -> Self {
        Self { tone: MarkTone::Good, text }
    }

    pub(super) fn warn(text: String) -> Self {
        Self { tone: MarkTone::Warn, text }
    }

    pub(super) fn bad(text: String) -> Self {
        Self { tone: MarkTone::Bad, text }
    }

    pub(super) fn plain(text: String) -> Self {
        Self { tone: MarkTone::Plain, text }
    }
}

/// A piece of a cell or fact.
pub(super) enum Bit {
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
    pub(super) fn words(text: &str) -> impl Iterator<Item = &str> {
        text.split(' ')
    }

    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn soft(text: impl Into<String>) -> Self {
        Self::Soft(text.into())
    }

    pub(super) fn link(label: impl Into<String>, href: impl Into<String>) -> Self {
        Self::Link { label: label.into(), href: href.into() }
    }
}

/// Label and value, several.
pub(super) struct Facts {
    pub(super) id: &'static str,
    pub(super) heading: String,
    pub(super) rows: Vec<(String, Vec<Bit>)>,
}

/// A table.
pub(super) struct Table {
    pub(super) id: &'static str,
    pub(super) heading: String,
    pub(super) heads: Vec<String>,
    pub(super) rows: Vec<Vec<Vec<Bit>>>,
    /// What is said where there is no row.
    pub(super) empty: String,
    /// Said below it.
    pub(super) note: Option<String>,
    /// The pages before and after.
    pub(super) pages: Vec<Go>,
}

/// What narrows a list; a form by GET.
pub(super) struct Filter {
    pub(super) label: String,
    pub(super) action: String,
    pub(super) fields: Vec<Field>,
    pub(super) button: String,
    /// Back to everything, where something is filtered.
    pub(super) clear: Option<Go>,
}

/// A form by POST.
pub(super) struct Form {
    pub(super) id: &'static str,
    pub(super) heading: String,
    pub(super) lead: Option<String>,
    pub(super) action: String,
    /// Whether it carries a file.
    pub(super) with_file: bool,
    pub(super) fields: Vec<Field>,
    pub(super) buttons: Vec<Submit>,
    /// Back without doing it.
    pub(super) back: Option<Go>,
    /// Whether it is shown only when asked for.
    pub(super) folded: bool,
}

/// A button of a form.
pub(super) struct Submit {
    pub(super) label: String,
    pub(super) look: GoLook,
    /// Name and value it sends, where there are several buttons.
    pub(super) sends: Option<(&'static str, &'static str)>,
}

/// A field of a form.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Unique on the page.
    pub(super) id: String,
    pub(super) label: String,
    pub(super) hint: Option<String>,
    pub(super) is_required: bool,
    pub(super) kind: FieldKind,
}

impl Field {
    /// Its value, where nobody sees it.
    pub(super) fn hidden(&self) -> Option<&str> {
        if let FieldKind::Hidden(value) = &self.kind { Some(value) } else { None }
    }

    /// What may be ticked, where it is several boxes under one name.
    pub(super) fn ticks(&self) -> Option<&[Choice]> {
        if let FieldKind::Ticks(choices) = &self.kind { Some(choices) } else { None }
    }
}

/// What a field takes.
pub(super) enum FieldKind {
    Text { value: String, chars_max: usize },
    Search { value: String },
    Date { value: String },
    Area { value: String, rows: usize },
    File { accept: &'static str },
    Choice(Vec<Choice>),
    Ticks(Vec<Choice>),
    Hidden(String),
}

/// One of several.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) is_chosen: bool,
}

/// Words between the other parts.
pub(super) struct Words {
    pub(super) id: &'static str,
    pub(super) heading: String,
    pub(super) tone: MarkTone,
    pub(super) lines: Vec<String>,
    pub(super) links: Vec<Go>,
}

/// A one-time code, shown once.
pub(super) struct Code {
    pub(super) heading: String,
    pub(super) code: String,
    /// Where it is used, with the code in the fragment, which is sent to no server.
    pub(super) link: String,
    /// The same as a picture; markup of ours.
    pub(super) picture: Option<String>,
    pub(super) until: String,
    pub(super) steps: Vec<String>,
}

/// A number that leads to a list.
pub(super) struct Tile {
    pub(super) label: String,
    pub(super) number: String,
    pub(super) tone: MarkTone,
    pub(super) href: String,
    pub(super) note: String,
}

/// A text as it is, to be read letter by letter.
pub(super) struct Raw {
    pub(super) id: &'static str,
    pub(super) heading: String,
    pub(super) lead: String,
    pub(super) text: String,
}

/// How far something is that takes long.
pub(super) struct Progress {
    pub(super) heading: String,
    /// In words, for everybody.
    pub(super) said: String,
    pub(super) done: u64,
    pub(super) all: u64,
    pub(super) links: Vec<Go>,
}
