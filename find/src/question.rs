//! What can be asked. Everything that is stated must fit; what is left out fits everything.

use audit::StoryOutcome;
use policy::{Timestamp, Unit};

use crate::{Addresses, Calendar, Place};

/// A question about the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Not before this moment, to the millisecond.
    pub since: Timestamp,
    /// Before this moment, to the millisecond.
    pub until: Timestamp,
    /// A patient's id, normalised as the log has it.
    pub patient: Option<String>,
    /// A Study Instance UID.
    pub study: Option<String>,
    /// A person: their id, their sign-in name, or how they are named where they did something to others.
    pub person: Option<String>,
    /// A device.
    pub device: Option<String>,
    /// An app.
    pub app: Option<String>,
    /// What was to be done: read, search, write, delete, export or connect.
    pub action: Option<String>,
    /// An information class.
    pub class: Option<String>,
    /// How it went.
    pub outcome: Option<StoryOutcome>,
    /// The reason, a code.
    pub reason: Option<String>,
    /// The rule that decided.
    pub rule: Option<String>,
    /// The grant it rested on.
    pub grant: Option<String>,
    /// A role of the person.
    pub role: Option<String>,
    /// A department, or a facility: of the person, or where the device stood.
    pub unit: Option<Unit>,
    /// Where it came from.
    pub address: Option<Addresses>,
    /// The word of its first line: `open` for an access, `refused`, or a fact's code.
    pub event: Option<String>,
    /// A session.
    pub session: Option<String>,
    /// A revision of the configuration.
    pub revision: Option<String>,
    /// A request: its id, or the last eight digits of it.
    pub request: Option<String>,
    /// Words that all stand in sign-in name, name, host, path, reason or device. A word ending in `*` is the beginning
    /// of one.
    pub text: Option<String>,
    /// Only what was done in one of these departments, by people of theirs or on devices that stood there; in none where
    /// the list is empty.
    pub within: Option<Vec<Unit>>,
    /// Whether the house was not at work.
    pub out_of_hours: Option<bool>,
    /// The calendar by which that, and hours, days and months, are reckoned.
    pub calendar: Calendar,
    /// Which come first.
    pub order: Order,
    /// How many at most, on one page.
    pub limit: usize,
    /// Where the page begins: [`Answer::next`](crate::Answer::next) of the page before.
    pub after: Option<Place>,
}

impl Question {
    /// The most that a page holds.
    pub const LIMIT_MAX: usize = 10_000;

    /// Everything between two moments, newest first.
    #[must_use]
    pub fn new(since: Timestamp, until: Timestamp) -> Self {
        Self {
            since,
            until,
            patient: None,
            study: None,
            person: None,
            device: None,
            app: None,
            action: None,
            class: None,
            outcome: None,
            reason: None,
            rule: None,
            grant: None,
            role: None,
            unit: None,
            address: None,
            event: None,
            session: None,
            revision: None,
            request: None,
            text: None,
            within: None,
            out_of_hours: None,
            calendar: Calendar::default(),
            order: Order::Newest,
            limit: 50,
            after: None,
        }
    }
}

impl Default for Question {
    /// Everything there is.
    fn default() -> Self {
        Self::new(Timestamp::from_unix_micros(0), Timestamp::MAX)
    }
}

/// Which come first.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Order {
    /// The newest.
    #[default]
    Newest,
    /// The oldest.
    Oldest,
}

/// By what is counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum By {
    /// Each hour of the calendar.
    Hour,
    /// Each day.
    Day,
    /// Each month.
    Month,
    /// Each role; who has several counts for each.
    Role,
    /// Each app.
    App,
    /// Each action.
    Action,
    /// Each information class.
    Class,
    /// Each outcome.
    Outcome,
    /// Each reason.
    Reason,
    /// Each person, by sign-in name.
    Person,
    /// Each device.
    Device,
    /// Each patient; an access to several counts for each.
    Patient,
    /// Each rule.
    Rule,
    /// Each kind of event.
    Event,
    /// Each address.
    Address,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Hour,
        Self::Day,
        Self::Month,
        Self::Role,
        Self::App,
        Self::Action,
        Self::Class,
        Self::Outcome,
        Self::Reason,
        Self::Person,
        Self::Device,
        Self::Patient,
        Self::Rule,
        Self::Event,
        Self::Address,
    ];

    /// Its word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Month => "month",
            Self::Role => "role",
            Self::App => "app",
            Self::Action => "action",
            Self::Class => "class",
            Self::Outcome => "outcome",
            Self::Reason => "reason",
            Self::Person => "person",
            Self::Device => "device",
            Self::Patient => "patient",
            Self::Rule => "rule",
            Self::Event => "event",
            Self::Address => "address",
        }
    }

    /// Reads the word.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.as_str() == text)
    }
}
