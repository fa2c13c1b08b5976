//! Whose a study is: learned from answers that tell both, because paths of DICOMweb name only the study.
//!
//! Bounded: beyond the bound the study goes that was longest not asked for. What was not told again for thirty days is
//! forgotten, and so is what an archive moved to another patient, as soon as it says so.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use policy::Timestamp;

use crate::Told;

/// How long a study is known after it was told.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// A study that is told again is noted as news after this; sooner there is nothing to keep.
const NEWS_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// Into how many parts what is known is divided for keeping.
const PARTS: usize = 64;

/// Whose studies are.
#[derive(Debug)]
pub struct Studies {
    known: HashMap<Arc<str>, Known>,
    /// By when they were last asked for.
    order: BTreeMap<u64, Arc<str>>,
    next: u64,
    max: usize,
    changed: [bool; PARTS],
}

#[derive(Debug)]
struct Known {
    patient: Arc<str>,
    told_at: Timestamp,
    place: u64,
}

impl Studies {
    /// Into how many parts what is known is divided for keeping.
    pub const PARTS: usize = PARTS;

    /// Knows at most so many studies.
    #[must_use]
    pub fn new(max: usize) -> Self {
        Self { known: HashMap::new(), order: BTreeMap::new(), next: 0, max, changed: [false; PARTS] }
    }

    /// Learns whose a study is.
    pub fn learn(&mut self, told: &Told, at: Timestamp) {
        if let Some(known) = self.known.get_mut(&*told.study) {
            let is_news = *known.patient != *told.patient || at.since(known.told_at) >= NEWS_AFTER;
            if is_news {
                (known.patient, known.told_at) = (Arc::from(&*told.patient), at);
                self.note_change(&told.study);
            }
            return;
        }
        self.insert(Arc::from(&*told.study), Arc::from(&*told.patient), at);
        self.note_change(&told.study);
    }

    fn insert(&mut self, study: Arc<str>, patient: Arc<str>, told_at: Timestamp) {
        while self.known.len() >= self.max.max(1) {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            self.known.remove(&oldest);
            self.note_change(&oldest);
        }
        let place = self.next;
        self.next += 1;
        self.order.insert(place, Arc::clone(&study));
        self.known.insert(study, Known { patient, told_at, place });
    }

    /// Whose a study is, if that is known.
    #[must_use]
    pub fn patient_of(&mut self, study: &str, at: Timestamp) -> Option<Arc<str>> {
        let (key, known) = self.known.get_key_value(study)?;
        let (key, place, patient) = (Arc::clone(key), known.place, Arc::clone(&known.patient));
        if at.since(known.told_at) >= KEPT {
            self.known.remove(&key);
            self.order.remove(&place);
            self.note_change(study);
            return None;
        }
        self.order.remove(&place);
        let place = self.next;
        self.next += 1;
        self.order.insert(place, key);
        if let Some(known) = self.known.get_mut(study) {
            known.place = place;
        }
        Some(patient)
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    fn note_change(&mut self, study: &str) {
        if let Some(changed) = self.changed.get_mut(part_of(study)) {
            *changed = true;
        }
    }

    /// The parts that changed since the last time, each as a text to keep; what is too old is left out.
    pub fn changes(&mut self, at: Timestamp) -> Vec<(usize, String)> {
        let changed = std::mem::replace(&mut self.changed, [false; PARTS]);
        let mut texts: BTreeMap<usize, Vec<String>> =
            changed.iter().enumerate().filter(|(_, changed)| **changed).map(|(part, _)| (part, Vec::new())).collect();
        for (study, known) in &self.known {
            if at.since(known.told_at) < KEPT
                && let Some(lines) = texts.get_mut(&part_of(study))
            {
                lines.push(format!("{study}\t{}\t{}", known.told_at.unix_micros(), known.patient));
            }
        }
        texts
            .into_iter()
            .map(|(part, mut lines)| {
                lines.sort_unstable();
                (part, lines.join("\n"))
            })
            .collect()
    }

    /// Takes in a text that was kept. Lines that cannot be read are passed over: they are told again.
    pub fn restore(&mut self, text: &str, at: Timestamp) {
        for line in text.lines() {
            let mut parts = line.splitn(3, '\t');
            let (Some(study), Some(told_at), Some(patient)) = (parts.next(), parts.next(), parts.next()) else {
                continue;
            };
            let Some(told_at) = told_at.parse().ok().map(Timestamp::from_unix_micros) else { continue };
            let (Some(study), Some(patient)) = (crate::id::uid(study), crate::id::normalised(patient, 0)) else {
                continue;
            };
            if told_at <= at && at.since(told_at) < KEPT && !self.known.contains_key(study) {
                self.insert(Arc::from(study), Arc::from(&*patient), told_at);
            }
        }
    }
}

/// The part a study belongs to: the same in every version, as it is kept (FNV-1a).
fn part_of(study: &str) -> usize {
    let hash = study
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3));
    (hash % PARTS as u64) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(study: &str, patient: &str) -> Told {
        Told { study: study.into(), patient: patient.into() }
    }

    fn day(days: u64) -> Timestamp {
        Timestamp::from_unix_micros(0).after(Duration::from_secs(days * 24 * 3_600))
    }

    #[test]
    fn a_study_is_known_for_thirty_days_after_it_was_told_last() {
        let mut studies = Studies::new(10);
        studies.learn(&told("1.2", "7"), day(0));
        assert_eq!(studies.patient_of("1.2", day(29)).as_deref(), Some("7"));
        assert_eq!(studies.patient_of("1.3", day(29)), None);
        studies.learn(&told("1.2", "7"), day(29));
        assert_eq!(studies.patient_of("1.2", day(58)).as_deref(), Some("7"));
        assert_eq!(studies.patient_of("1.2", day(59)), None);
        assert!(studies.is_empty());
    }

    #[test]
    fn a_study_that_was_moved_is_its_new_patients() {
        let mut studies = Studies::new(10);
        studies.learn(&told("1.2", "7"), day(0));
        studies.learn(&told("1.2", "8"), day(0));
        assert_eq!(studies.patient_of("1.2", day(0)).as_deref(), Some("8"));
    }

    #[test]
    fn when_full_the_one_longest_not_asked_for_goes() {
        let mut studies = Studies::new(2);
        studies.learn(&told("1.1", "a"), day(0));
        studies.learn(&told("1.2", "b"), day(0));
        assert!(studies.patient_of("1.1", day(0)).is_some());
        studies.learn(&told("1.3", "c"), day(0));
        assert_eq!(studies.len(), 2);
        assert_eq!(studies.patient_of("1.2", day(0)), None);
        assert!(studies.patient_of("1.1", day(0)).is_some());
        assert_eq!(studies.order.len(), studies.known.len());
    }

    #[test]
    fn what_is_kept_comes_back_and_damage_is_passed_over() {
        let mut studies = Studies::new(1_000);
        (0..300).for_each(|number| studies.learn(&told(&format!("1.2.{number}"), &format!("患者\t{number}")), day(1)));
        (0..300).for_each(|number| studies.learn(&told(&format!("1.3.{number}"), &number.to_string()), day(1)));
        let kept = studies.changes(day(1));
        assert!(kept.len() > 32, "spread over parts");
        assert!(studies.changes(day(1)).is_empty(), "nothing changed since");
        studies.learn(&told("1.2.1", "x"), day(1));
        assert_eq!(studies.changes(day(1)).len(), 1);
        let mut again = Studies::new(1_000);
        kept.iter().for_each(|(_, text)| again.restore(text, day(2)));
        again.restore("\n1.2\nx\ty\tz\n9.9\t99999999999999999999\t1\n../\t0\t1\n", day(2));
        assert_eq!(again.len(), 300, "a tab is no part of an id");
        assert_eq!(again.patient_of("1.3.7", day(2)).as_deref(), Some("7"));
        let mut late = Studies::new(1_000);
        kept.iter().for_each(|(_, text)| late.restore(text, day(31)));
        assert!(late.is_empty());
    }
}
