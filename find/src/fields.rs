//! What the index keeps of a story: four numbers, and four parts of which many stories have the same.
//!
//! Who asked from where is the same for all that one session does, what was done and how it went is the same for all
//! that is done alike. So each different part is kept once, as a row, and a story is the numbers of its rows.

use crate::calendar::{day_text, hour_text, month_text};
use crate::{By, Calendar};

/// A part of a story that others share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// Who asked, from where.
    Party,
    /// What was done and how it went.
    Deed,
    /// The path, and what was said about it.
    Place,
    /// Whom and what it was about.
    Subject,
}

impl Part {
    pub(crate) const ALL: [Self; 4] = [Self::Party, Self::Deed, Self::Place, Self::Subject];
}

/// What stands in a row of a part. Each row has none, one or several texts of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Field {
    /// Every name of the person, and of whoever did it.
    Who,
    /// The one name by which persons are counted.
    Person,
    Device,
    Role,
    /// Departments: of the person and of the device, and all that they are a part of.
    Unit,
    Address,
    Session,
    /// The words of sign-in name, name and device.
    PartyWord,
    App,
    Action,
    Class,
    Outcome,
    Reason,
    Rule,
    Grant,
    Event,
    Revision,
    /// The words of the host.
    HostWord,
    /// The words of the path, and of what was said.
    PlaceWord,
    Patient,
    Study,
}

impl Field {
    pub(crate) const ALL: [Self; 21] = [
        Self::Who,
        Self::Person,
        Self::Device,
        Self::Role,
        Self::Unit,
        Self::Address,
        Self::Session,
        Self::PartyWord,
        Self::App,
        Self::Action,
        Self::Class,
        Self::Outcome,
        Self::Reason,
        Self::Rule,
        Self::Grant,
        Self::Event,
        Self::Revision,
        Self::HostWord,
        Self::PlaceWord,
        Self::Patient,
        Self::Study,
    ];
    /// Where words stand.
    pub(crate) const WORDS: [Self; 3] = [Self::PartyWord, Self::HostWord, Self::PlaceWord];

    /// The part whose rows have it.
    pub(crate) fn part(self) -> Part {
        match self {
            Self::Who
            | Self::Person
            | Self::Device
            | Self::Role
            | Self::Unit
            | Self::Address
            | Self::Session
            | Self::PartyWord => Part::Party,
            Self::App
            | Self::Action
            | Self::Class
            | Self::Outcome
            | Self::Reason
            | Self::Rule
            | Self::Grant
            | Self::Event
            | Self::Revision
            | Self::HostWord => Part::Deed,
            Self::PlaceWord => Part::Place,
            Self::Patient | Self::Study => Part::Subject,
        }
    }

    /// Its place among all.
    pub(crate) fn number(self) -> usize {
        self as usize
    }

    /// The fields of a part.
    pub(crate) fn of(part: Part) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |field| field.part() == part)
    }
}

/// A number that each story has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Column {
    /// When it began: milliseconds since the epoch.
    At,
    /// The number of its first line.
    Begin,
    /// How many lines further its closing line stands; 0 where there is none.
    Span,
    /// The last 32 bits of its request's id; [`NO_CODE`] where it has none.
    Code,
    /// The number of its row of a part.
    Row(Part),
}

/// Stands for the code of a story without a request.
pub(crate) const NO_CODE: u64 = 1 << 32;

impl Column {
    pub(crate) const ALL: [Self; 8] = [
        Self::At,
        Self::Begin,
        Self::Span,
        Self::Code,
        Self::Row(Part::Party),
        Self::Row(Part::Deed),
        Self::Row(Part::Place),
        Self::Row(Part::Subject),
    ];

    /// Its place among all.
    pub(crate) fn number(self) -> usize {
        match self {
            Self::At => 0,
            Self::Begin => 1,
            Self::Span => 2,
            Self::Code => 3,
            Self::Row(part) => 4 + part as usize,
        }
    }
}

/// What is looked at to count by something.
pub(crate) enum Counts {
    /// The texts of a field.
    Names(Field),
    /// Moments: into which hour or day of the calendar one falls, and how that is written.
    Moments {
        /// The number of the hour or day since the epoch.
        place: fn(&Calendar, u64) -> i64,
        /// What of its name is told apart.
        name: fn(i64) -> String,
    },
}

/// What is looked at to count by this.
pub(crate) fn counts(by: By) -> Counts {
    Counts::Names(match by {
        By::Hour => return Counts::Moments { place: Calendar::hour, name: hour_text },
        By::Day => return Counts::Moments { place: Calendar::day, name: day_text },
        By::Month => return Counts::Moments { place: Calendar::day, name: month_text },
        By::Role => Field::Role,
        By::App => Field::App,
        By::Action => Field::Action,
        By::Class => Field::Class,
        By::Outcome => Field::Outcome,
        By::Reason => Field::Reason,
        By::Person => Field::Person,
        By::Device => Field::Device,
        By::Patient => Field::Patient,
        By::Rule => Field::Rule,
        By::Event => Field::Event,
        By::Address => Field::Address,
    })
}
