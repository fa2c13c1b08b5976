//! Which patients an access is about: the ids that were found, and what is to be known about how they were found.

use std::fmt;

/// The patients and studies that a request or its answer is about, as far as they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patients {
    /// Their ids, normalised, each once, the first found first; at most as many as the route lists.
    pub ids: Vec<Box<str>>,
    /// Study Instance UIDs, likewise.
    pub studies: Vec<Box<str>>,
    /// How many patients there are in all, where that is more than are listed.
    pub in_all: Option<u64>,
    /// What is to be known about how they were found.
    pub flags: PatientFlags,
}

impl Patients {
    /// Whether there is nothing to tell.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty() && self.studies.is_empty() && self.in_all.is_none() && self.flags.is_empty()
    }

    /// The same without the ids and studies that are known already.
    #[must_use]
    pub fn beyond(mut self, known: &Self) -> Self {
        self.ids.retain(|id| !known.ids.contains(id));
        self.studies.retain(|study| !known.studies.contains(study));
        self
    }

    /// Adds those of another part of the same access, listing at most so many of each.
    pub fn add(&mut self, other: Self, listed_max: usize) {
        let found = self.in_all.unwrap_or(self.ids.len() as u64);
        let others = other.in_all.map_or(0, |in_all| in_all.saturating_sub(other.ids.len() as u64));
        let mut more = 0;
        for id in other.ids {
            if self.ids.contains(&id) {
                continue;
            }
            more += 1;
            if self.ids.len() < listed_max {
                self.ids.push(id);
            }
        }
        let in_all = found.saturating_add(others).saturating_add(more);
        if in_all > self.ids.len() as u64 {
            self.in_all = Some(in_all);
            self.flags = self.flags.with(PatientFlag::Bulk);
        }
        for study in other.studies {
            if self.studies.len() < listed_max && !self.studies.contains(&study) {
                self.studies.push(study);
            }
        }
        self.flags = self.flags.and(other.flags);
    }
}

/// One thing to know about how patients were found.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum PatientFlag {
    /// More patients than are listed.
    Bulk,
    /// A body was longer than it is looked at, or did not come whole.
    Cut,
    /// A body was not what it said, or could not be read.
    Unreadable,
    /// The route should name a patient, and none was found.
    Missing,
}

impl PatientFlag {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Bulk, Self::Cut, Self::Unreadable, Self::Missing];

    /// Its word in the log.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Bulk => "bulk",
            Self::Cut => "cut",
            Self::Unreadable => "unreadable",
            Self::Missing => "missing",
        }
    }

    fn bit(self) -> u8 {
        1 << (self as u8)
    }
}

/// Some of the flags.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PatientFlags(u8);

impl PatientFlags {
    /// These and one more.
    #[must_use]
    pub fn with(self, flag: PatientFlag) -> Self {
        Self(self.0 | flag.bit())
    }

    /// These and those.
    #[must_use]
    pub fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn has(self, flag: PatientFlag) -> bool {
        self.0 & flag.bit() != 0
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Each of them, in the order of [`PatientFlag::ALL`].
    pub fn iter(self) -> impl Iterator<Item = PatientFlag> {
        PatientFlag::ALL.into_iter().filter(move |flag| self.has(*flag))
    }
}

impl fmt::Debug for PatientFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patients(ids: &[&str]) -> Patients {
        Patients { ids: ids.iter().map(|id| (*id).into()).collect(), ..Patients::default() }
    }

    #[test]
    fn parts_of_one_access_are_counted_together_and_listed_once() {
        let mut all = patients(&["1", "2"]);
        all.add(patients(&["2", "3"]), 100);
        assert_eq!(all, patients(&["1", "2", "3"]));
        all.add(patients(&["4", "5"]), 4);
        assert_eq!((all.ids.len(), all.in_all), (4, Some(5)));
        assert!(all.flags.has(PatientFlag::Bulk));
        all.add(Patients { in_all: Some(1_000), ..patients(&["6"]) }, 4);
        assert_eq!(all.in_all, Some(1_005));
    }

    #[test]
    fn what_the_opening_said_is_not_said_again() {
        let left = patients(&["1", "2"]).beyond(&patients(&["2"]));
        assert_eq!(left, patients(&["1"]));
        assert!(patients(&["2"]).beyond(&patients(&["2"])).is_empty());
    }

    #[test]
    fn flags_are_told_in_one_order() {
        let flags = PatientFlags::default().with(PatientFlag::Missing).with(PatientFlag::Bulk);
        assert_eq!(flags.iter().map(PatientFlag::as_str).collect::<Vec<_>>(), ["bulk", "missing"]);
    }
}
