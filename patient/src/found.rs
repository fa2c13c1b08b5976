//! What was found so far: listed up to a bound, counted beyond it.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};

use policy::{PatientFlag, PatientIds, Patients};

use crate::id;

/// Beyond so many different ones, patients are counted once for each time they are named.
const TOLD_APART_MAX: usize = 200_000;
/// How many studies an answer can tell of.
const TOLD_MAX: usize = 10_000;

/// Whose a study is, as an answer told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The study.
    pub study: Box<str>,
    /// The patient.
    pub patient: Box<str>,
}

/// What was found so far in one request or answer.
#[derive(Debug)]
pub struct Found<'i> {
    ids: &'i PatientIds,
    patients: Patients,
    count: u64,
    /// The hashes of ids that were named, once there are more than are listed.
    seen: HashSet<u64>,
    hasher: RandomState,
    told: Vec<Told>,
}

impl<'i> Found<'i> {
    /// Nothing yet.
    #[must_use]
    pub fn new(ids: &'i PatientIds) -> Self {
        Self {
            ids,
            patients: Patients::default(),
            count: 0,
            seen: HashSet::new(),
            hasher: RandomState::new(),
            told: Vec::new(),
        }
    }

    /// How ids are written.
    #[must_use]
    pub fn ids(&self) -> &'i PatientIds {
        self.ids
    }

    /// Adds a patient by an id as it was written.
    pub fn patient(&mut self, raw: &str) {
        let Some(id) = id::normalised(raw, self.ids.pad) else { return };
        if self.patients.ids.len() < self.ids.listed_max {
            if !self.patients.ids.contains(&id) {
                self.patients.ids.push(id);
                self.count += 1;
            }
            return;
        }
        if self.patients.ids.contains(&id) {
            return;
        }
        let is_new = self.seen.len() >= TOLD_APART_MAX || self.seen.insert(self.hasher.hash_one(&*id));
        self.count += u64::from(is_new);
    }

    /// Adds a study, if it is one.
    pub fn study(&mut self, raw: &str) {
        let Some(uid) = id::uid(raw) else { return };
        let studies = &mut self.patients.studies;
        if studies.len() < self.ids.listed_max && !studies.iter().any(|one| **one == *uid) {
            studies.push(uid.into());
        }
    }

    /// Adds a patient and a study that an answer names together.
    pub fn patient_of(&mut self, study: &str, patient: &str) {
        self.patient(patient);
        if let (Some(uid), Some(patient)) = (id::uid(study), id::normalised(patient, self.ids.pad))
            && self.told.len() < TOLD_MAX
            && self.told.last().is_none_or(|last| *last.study != *uid || last.patient != patient)
        {
            self.told.push(Told { study: uid.into(), patient });
        }
    }

    /// Marks how it was found.
    pub fn flag(&mut self, flag: PatientFlag) {
        self.patients.flags = self.patients.flags.with(flag);
    }

    /// Forgets whose studies were told so far: what a request says of them is no answer of the archive.
    pub fn forget_told(&mut self) {
        self.told.clear();
    }

    /// The studies so far.
    #[must_use]
    pub fn studies(&self) -> &[Box<str>] {
        &self.patients.studies
    }

    /// Whether no patient was found so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.patients.ids.is_empty()
    }

    /// What was found, and whose studies are told.
    #[must_use]
    pub fn finish(mut self) -> (Patients, Vec<Told>) {
        if self.count > self.patients.ids.len() as u64 {
            self.patients.in_all = Some(self.count);
            self.flag(PatientFlag::Bulk);
        }
        (self.patients, self.told)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_are_counted_and_a_hundred_listed() {
        let ids = PatientIds { pad: 8, ..PatientIds::default() };
        let mut found = Found::new(&ids);
        for number in 0..150_000 {
            found.patient(&number.to_string());
            found.patient(&number.to_string());
        }
        let (patients, _) = found.finish();
        assert_eq!(patients.ids.len(), 100);
        assert_eq!(patients.in_all, Some(150_000));
        assert!(patients.flags.has(PatientFlag::Bulk));
    }

    #[test]
    fn beyond_what_can_be_told_apart_counting_goes_on() {
        let ids = PatientIds::default();
        let mut found = Found::new(&ids);
        (0..1_000_000).for_each(|number| found.patient(&number.to_string()));
        assert_eq!(found.finish().0.in_all, Some(1_000_000));
    }

    #[test]
    fn few_are_listed_and_not_counted() {
        let ids = PatientIds { pad: 4, ..PatientIds::default() };
        let mut found = Found::new(&ids);
        ["7", "0007", "８", ""].into_iter().for_each(|raw| found.patient(raw));
        found.study("1.2");
        found.study("no");
        let (patients, _) = found.finish();
        assert_eq!(patients.ids, ["0007".into(), "0008".into()]);
        assert_eq!((patients.in_all, patients.flags.is_empty(), patients.studies.len()), (None, true, 1));
    }
}
