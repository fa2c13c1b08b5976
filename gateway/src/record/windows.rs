//! What begins and ends by the clock alone: a vendor's window that opens, and any exception that is over, by time or because
//! it was ended. The store has no event of it, so it is looked for here, and which ones the log says are open is kept, so
//! that a gateway that was away tells of what ended meanwhile.

use std::collections::{BTreeMap, BTreeSet};

use audit::{Event, Note};
use policy::{GrantId, GrantKind, Timestamp};
use store::{Store, StoreProblem};

use crate::gate::Gate;

/// Where the store keeps which exceptions the log says are open.
const TOLD_OPEN: &str = "grants-told-open";

/// Which exceptions the log says are open, each with the moment at which it would be over.
#[derive(Debug, Default)]
pub struct Windows {
    open: BTreeMap<GrantId, Timestamp>,
    /// What was given and had not begun when it was last looked for.
    waiting: BTreeSet<GrantId>,
}

/// A boundary that was passed.
#[derive(Debug, PartialEq, Eq)]
pub struct Passed {
    /// Of which exception.
    pub id: GrantId,
    /// What the log calls it; nothing for broken glass that begins, of which [`Event::GlassBroken`] tells.
    pub event: Option<Event>,
    /// When.
    pub at: Timestamp,
    /// When it would be over, where it began.
    until: Option<Timestamp>,
}

impl Windows {
    /// What the log had said before.
    ///
    /// # Errors
    /// [`StoreProblem`]; ask again.
    pub async fn restore(store: &dyn Store) -> Result<Self, StoreProblem> {
        let note = store.note(TOLD_OPEN).await?.unwrap_or_default();
        let read = |line: &str| {
            let (id, end) = line.split_once(' ')?;
            Some((GrantId::parse(id).ok()?, Timestamp::from_unix_micros(end.parse().ok()?)))
        };
        Ok(Self { open: note.lines().filter_map(read).collect(), waiting: BTreeSet::new() })
    }

    /// The boundaries that were passed since the log last told of one, in no order but ends first.
    pub fn passed(&mut self, gate: &Gate, at: Timestamp) -> Vec<Passed> {
        let given = gate.grants.given();
        self.compare(&given.iter().map(|one| (one.id.clone(), one.begin, one.end)).collect::<Vec<_>>(), at)
    }

    fn compare(&mut self, given: &[(GrantId, Timestamp, Timestamp)], at: Timestamp) -> Vec<Passed> {
        self.waiting.retain(|id| given.iter().any(|(one, ..)| one == id));
        self.waiting.extend(given.iter().filter(|(_, begin, _)| at < *begin).map(|(id, ..)| id.clone()));
        let is_in_force = |(_, begin, end): &&(GrantId, Timestamp, Timestamp)| *begin <= at && at < *end;
        let in_force: Vec<_> = given.iter().filter(is_in_force).collect();
        let gone = self.open.iter().filter(|(id, _)| !in_force.iter().any(|(one, ..)| one == *id));
        let ended = gone.map(|(id, end)| {
            let event = match GrantKind::of(id) {
                GrantKind::Maintenance => Event::VendorSessionEnded,
                GrantKind::Glass => Event::EmergencyEnded,
            };
            // Before its time it was ended just now; else its time was it.
            Passed { id: id.clone(), event: Some(event), at: at.min(*end), until: None }
        });
        let new = in_force.iter().filter(|(id, ..)| !self.open.contains_key(id));
        let begun = new.map(|(id, begin, end)| {
            let event = match GrantKind::of(id) {
                GrantKind::Maintenance => Some(Event::VendorSessionBegan),
                GrantKind::Glass => None,
            };
            // What was given before its time began with it; what was given late, when it was let into force.
            let began = if self.waiting.contains(id) { *begin } else { at };
            Passed { id: id.clone(), event, at: began, until: Some(*end) }
        });
        ended.chain(begun).collect()
    }

    /// The log tells of it.
    pub fn note(&mut self, passed: &Passed) {
        self.waiting.remove(&passed.id);
        match passed.until {
            Some(end) => self.open.insert(passed.id.clone(), end),
            None => self.open.remove(&passed.id),
        };
    }

    /// Keeps what the log tells.
    ///
    /// # Errors
    /// [`StoreProblem`]; something may be told twice.
    pub async fn keep(&self, store: &dyn Store) -> Result<(), StoreProblem> {
        let lines = self.open.iter().map(|(id, end)| format!("{id} {}\n", end.unix_micros()));
        store.set_note(TOLD_OPEN, lines.collect()).await
    }
}

impl Passed {
    /// What the log says, before it is filled in from the store.
    pub fn to_note(&self) -> Option<Note> {
        Some(Note { grant: Some(self.id.clone()), ..Note::new(self.event?, self.at).actor("gateway:clock") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_micros(second * 1_000_000)
    }

    fn one(id: &str, begin: i64, end: i64) -> (GrantId, Timestamp, Timestamp) {
        (GrantId::parse(id).unwrap(), at(begin), at(end))
    }

    fn told(windows: &mut Windows, given: &[(GrantId, Timestamp, Timestamp)], now: i64) -> Vec<(Option<Event>, i64)> {
        let passed = windows.compare(given, at(now));
        passed.iter().for_each(|passed| windows.note(passed));
        passed.iter().map(|passed| (passed.event, passed.at.unix_seconds())).collect()
    }

    #[test]
    fn each_boundary_is_told_once_with_its_own_moment() {
        let mut windows = Windows::default();
        let (window, glass) = (one("g-1", 10, 20), one("glass-1", 12, 60));
        assert_eq!(told(&mut windows, std::slice::from_ref(&window), 5), []);
        assert_eq!(told(&mut windows, std::slice::from_ref(&window), 11), [(Some(Event::VendorSessionBegan), 10)]);
        assert_eq!(told(&mut windows, &[window.clone(), glass.clone()], 12), [(None, 12)]);
        assert_eq!(told(&mut windows, &[window, glass.clone()], 13), []);
        assert_eq!(told(&mut windows, &[glass], 25), [(Some(Event::VendorSessionEnded), 20)], "it was over then");
        assert_eq!(told(&mut windows, &[], 30), [(Some(Event::EmergencyEnded), 30)], "it was ended early");
        assert_eq!(told(&mut windows, &[], 31), []);
    }

    #[test]
    fn a_window_that_is_let_into_force_late_begins_then() {
        let mut windows = Windows::default();
        let window = one("g-1", 10, 90);
        assert_eq!(told(&mut windows, &[], 15), []);
        assert_eq!(told(&mut windows, std::slice::from_ref(&window), 17), [(Some(Event::VendorSessionBegan), 17)]);
        assert_eq!(told(&mut windows, &[], 20), [(Some(Event::VendorSessionEnded), 20)], "an approver lost the role");
        assert_eq!(told(&mut windows, &[window], 30), [(Some(Event::VendorSessionBegan), 30)], "and has it again");
    }

    #[tokio::test]
    async fn what_ended_while_the_gateway_was_away_is_told_when_it_is_back() {
        let store = store::Sqlite::in_memory().unwrap();
        let mut windows = Windows::restore(&store).await.unwrap();
        told(&mut windows, &[one("g-1", 10, 20), one("glass-1", 12, 60)], 15);
        windows.keep(&store).await.unwrap();
        let mut windows = Windows::restore(&store).await.unwrap();
        let ended = told(&mut windows, &[], 100);
        assert_eq!(ended, [(Some(Event::VendorSessionEnded), 20), (Some(Event::EmergencyEnded), 60)]);
    }
}
