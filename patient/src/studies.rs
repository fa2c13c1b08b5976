//! Whose a study is: learned from answers that tell both, because paths of DICOMweb name only the study.
//!
//! Known by app: what one archive tells says nothing of another's. Where answers tell of several patients, as after an
//! archive moved a study, all are known. Bounded: beyond the bound the study goes that was longest not asked for. What
//! was not told again for thirty days is forgotten.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use policy::{AppId, Timestamp};

use crate::Told;

/// How long a study is known after it was told.
const KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// A study that is told again is noted as news after this; sooner there is nothing to keep.
const NEWS_AFTER: Duration = Duration::from_secs(24 * 3_600);
/// How many patients of one study are known; beyond that the one goes that was longest not told.
const PATIENTS_MAX: usize = 4;
/// Into how many parts what is known is divided for keeping.
const PARTS: usize = 64;

/// Whose studies are.
#[derive(Debug)]
pub struct Studies {
    /// By app and study ([`key`]), divided for keeping.
    known: Vec<HashMap<Arc<str>, Known>>,
    /// By when they were last asked for.
    order: BTreeMap<u64, Arc<str>>,
    next: u64,
    max: usize,
    changed: [bool; PARTS],
}

#[derive(Debug)]
struct Known {
    patients: Vec<Owner>,
    place: u64,
}

/// A patient, and when an answer last told that the study is theirs.
#[derive(Clone, Debug)]
struct Owner {
    patient: Arc<str>,
    told_at: Timestamp,
}

impl Owner {
    fn is_old(&self, at: Timestamp) -> bool {
        at.since(self.told_at) >= KEPT
    }
}

/// One part of what is known, to be kept.
#[derive(Debug)]
pub struct Part {
    owners: Vec<(Arc<str>, Owner)>,
}

impl Part {
    /// It as a text, without what is too old.
    #[must_use]
    pub fn text(&self, at: Timestamp) -> String {
        let young = self.owners.iter().filter(|(_, owner)| !owner.is_old(at));
        let mut lines: Vec<_> =
            young.map(|(key, owner)| format!("{key}\t{}\t{}", owner.told_at.unix_micros(), owner.patient)).collect();
        lines.sort_unstable();
        lines.join("\n")
    }
}

impl Studies {
    /// Into how many parts what is known is divided for keeping.
    pub const PARTS: usize = PARTS;

    /// Knows at most so many studies.
    #[must_use]
    pub fn new(max: usize) -> Self {
        let known = (0..PARTS).map(|_| HashMap::new()).collect();
        Self { known, order: BTreeMap::new(), next: 0, max, changed: [false; PARTS] }
    }

    /// Learns whose a study is from an answer of an app.
    pub fn learn(&mut self, app: &AppId, told: &Told, at: Timestamp) {
        self.learn_by(Arc::from(key(app, &told.study)), &told.patient, at);
    }

    fn learn_by(&mut self, key: Arc<str>, patient: &str, at: Timestamp) {
        let part = part_of(&key);
        if let Some(known) = self.known.get_mut(part).and_then(|part| part.get_mut(&key)) {
            let owner = known.patients.iter_mut().find(|owner| *owner.patient == *patient);
            match owner {
                Some(owner) if at.since(owner.told_at) < NEWS_AFTER => return,
                Some(owner) => owner.told_at = at,
                None => {
                    known.patients.sort_by_key(|owner| owner.told_at);
                    let beyond = (known.patients.len() + 1).saturating_sub(PATIENTS_MAX);
                    known.patients.drain(..beyond);
                    known.patients.push(Owner { patient: patient.into(), told_at: at });
                }
            }
            self.mark(part);
            return;
        }
        while self.len() >= self.max.max(1) {
            let Some((_, oldest)) = self.order.pop_first() else { break };
            let part = part_of(&oldest);
            self.known.get_mut(part).and_then(|part| part.remove(&oldest));
            self.mark(part);
        }
        let place = self.next;
        self.next += 1;
        self.order.insert(place, Arc::clone(&key));
        if let Some(known) = self.known.get_mut(part) {
            known.insert(key, Known { patients: vec![Owner { patient: patient.into(), told_at: at }], place });
        }
        self.mark(part);
    }

    /// Whose a study of an app is, as far as that is known: several where answers told of several.
    #[must_use]
    pub fn patients_of(&mut self, app: &AppId, study: &str, at: Timestamp) -> Vec<Arc<str>> {
        let key = key(app, study);
        let part = part_of(&key);
        let Some(part_known) = self.known.get_mut(part) else { return Vec::new() };
        let Some(known) = part_known.get_mut(&*key) else { return Vec::new() };
        let before = known.patients.len();
        known.patients.retain(|owner| !owner.is_old(at));
        let patients: Vec<_> = known.patients.iter().map(|owner| Arc::clone(&owner.patient)).collect();
        let has_changed = patients.len() < before;
        let Some(key) = self.order.remove(&known.place) else { return patients };
        if patients.is_empty() {
            part_known.remove(&key);
        } else {
            known.place = self.next;
            self.order.insert(self.next, key);
            self.next += 1;
        }
        if has_changed {
            self.mark(part);
        }
        patients
    }

    /// How many are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Notes that a part is to be kept again.
    pub fn mark(&mut self, part: usize) {
        if let Some(changed) = self.changed.get_mut(part) {
            *changed = true;
        }
    }

    /// A part, if it changed since it was last taken. Who cannot keep it marks it again.
    pub fn take_changed(&mut self, part: usize) -> Option<Part> {
        let changed = self.changed.get_mut(part)?;
        if !std::mem::take(changed) {
            return None;
        }
        let known = self.known.get(part)?.iter();
        let owners = known.flat_map(|(key, known)| known.patients.iter().map(|owner| (Arc::clone(key), owner.clone())));
        Some(Part { owners: owners.collect() })
    }

    /// Takes in a part that was kept. Lines that cannot be read or are too old are passed over, and the part is kept
    /// again without them; what they said is told again.
    pub fn restore(&mut self, part: usize, text: &str, at: Timestamp) {
        let before = self.changed;
        let mut is_whole = true;
        for line in text.lines() {
            match kept(line) {
                Some((key, owner)) if part_of(key) == part && owner.told_at <= at && !owner.is_old(at) => {
                    self.learn_by(Arc::from(key), &owner.patient, owner.told_at);
                }
                Some(_) | None => is_whole = false,
            }
        }
        // What came out of the store needs not go back.
        self.changed = before;
        if !is_whole {
            self.mark(part);
        }
    }
}

/// What a line says that was kept.
fn kept(line: &str) -> Option<(&str, Owner)> {
    let mut parts = line.splitn(3, '\t');
    let (key, told_at, patient) = (parts.next()?, parts.next()?, parts.next()?);
    let (app, study) = key.split_once('/')?;
    app.parse::<AppId>().ok()?;
    crate::id::uid(study).filter(|uid| *uid == study)?;
    let told_at = told_at.parse().ok().map(Timestamp::from_unix_micros)?;
    let patient = crate::id::normalised(patient, 0)?;
    Some((key, Owner { patient: Arc::from(&*patient), told_at }))
}

/// Under what a study of an app is known.
fn key(app: &AppId, study: &str) -> String {
    format!("{app}/{study}")
}

/// The part a key belongs to: the same in every version, as it is kept (FNV-1a).
fn part_of(key: &str) -> usize {
    let hash = key
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

    fn pacs() -> AppId {
        "pacs".parse().unwrap()
    }

    fn patients(studies: &mut Studies, study: &str, at: Timestamp) -> String {
        studies.patients_of(&pacs(), study, at).join(" ")
    }

    fn changes(studies: &mut Studies, at: Timestamp) -> Vec<(usize, String)> {
        (0..PARTS).filter_map(|part| Some((part, studies.take_changed(part)?.text(at)))).collect()
    }

    #[test]
    fn a_study_is_known_for_thirty_days_after_it_was_told_last() {
        let mut studies = Studies::new(10);
        studies.learn(&pacs(), &told("1.2", "7"), day(0));
        assert_eq!(patients(&mut studies, "1.2", day(29)), "7");
        assert_eq!(patients(&mut studies, "1.3", day(29)), "");
        studies.learn(&pacs(), &told("1.2", "7"), day(29));
        assert_eq!(patients(&mut studies, "1.2", day(58)), "7");
        assert_eq!(patients(&mut studies, "1.2", day(59)), "");
        assert!(studies.is_empty());
    }

    #[test]
    fn a_study_that_is_told_of_several_patients_is_all_of_theirs() {
        let mut studies = Studies::new(10);
        studies.learn(&pacs(), &told("1.2", "7"), day(0));
        studies.learn(&pacs(), &told("1.2", "8"), day(10));
        assert_eq!(patients(&mut studies, "1.2", day(10)), "7 8");
        assert_eq!(patients(&mut studies, "1.2", day(30)), "8", "moved long ago");
        (10..20).for_each(|patient| studies.learn(&pacs(), &told("1.2", &patient.to_string()), day(patient)));
        assert_eq!(patients(&mut studies, "1.2", day(30)), "16 17 18 19");
    }

    #[test]
    fn what_one_app_tells_says_nothing_of_another() {
        let mut studies = Studies::new(10);
        studies.learn(&"other".parse().unwrap(), &told("1.2", "8"), day(0));
        assert_eq!(patients(&mut studies, "1.2", day(0)), "");
        studies.learn(&pacs(), &told("1.2", "7"), day(0));
        assert_eq!(patients(&mut studies, "1.2", day(0)), "7");
    }

    #[test]
    fn when_full_the_one_longest_not_asked_for_goes() {
        let mut studies = Studies::new(2);
        studies.learn(&pacs(), &told("1.1", "a"), day(0));
        studies.learn(&pacs(), &told("1.2", "b"), day(0));
        assert_eq!(patients(&mut studies, "1.1", day(0)), "a");
        studies.learn(&pacs(), &told("1.3", "c"), day(0));
        assert_eq!(studies.len(), 2);
        assert_eq!(patients(&mut studies, "1.2", day(0)), "");
        assert_eq!(patients(&mut studies, "1.1", day(0)), "a");
        assert_eq!(studies.order.len(), studies.known.iter().map(HashMap::len).sum::<usize>());
    }

    #[test]
    fn what_is_kept_comes_back_and_damage_is_passed_over() {
        let mut studies = Studies::new(1_000);
        let mut learn = |study: String, patient: &str| studies.learn(&pacs(), &told(&study, patient), day(1));
        (0..300).for_each(|number| learn(format!("1.2.{number}"), &format!("患者\t{number}")));
        (0..300).for_each(|number| learn(format!("1.3.{number}"), &number.to_string()));
        learn("1.3.7".to_owned(), "another");
        let all = changes(&mut studies, day(1));
        assert!(all.len() > 32, "spread over parts");
        assert!(changes(&mut studies, day(1)).is_empty(), "nothing changed since");
        studies.learn(&pacs(), &told("1.2.1", "x"), day(1));
        assert_eq!(changes(&mut studies, day(1)).len(), 1);
        let mut again = Studies::new(1_000);
        all.iter().for_each(|(part, text)| again.restore(*part, text, day(2)));
        assert_eq!(again.len(), 300, "a tab is no part of an id");
        assert_eq!(patients(&mut again, "1.3.7", day(2)), "7 another");
        changes(&mut again, day(2));
        again.restore(0, "\n1.2\nx\ty\tz\n9.9\t99999999999999999999\t1\n../\t0\t1\npacs/1.2\t0\t\n", day(2));
        assert_eq!(again.len(), 300);
    }

    #[test]
    fn what_is_too_old_does_not_stay_in_the_store() {
        let mut studies = Studies::new(10);
        studies.learn(&pacs(), &told("1.2", "7"), day(1));
        let all = changes(&mut studies, day(1));
        let mut late = Studies::new(10);
        all.iter().for_each(|(part, text)| late.restore(*part, text, day(31)));
        assert!(late.is_empty());
        assert_eq!(changes(&mut late, day(31)), [(all[0].0, String::new())]);
        let mut soon = Studies::new(10);
        all.iter().for_each(|(part, text)| soon.restore(*part, text, day(2)));
        assert!(changes(&mut soon, day(2)).is_empty(), "what came out of the store needs not go back");
    }

    #[test]
    fn what_could_not_be_kept_is_kept_the_next_time() {
        let mut studies = Studies::new(10);
        studies.learn(&pacs(), &told("1.2", "7"), day(1));
        let part = (0..PARTS).find(|part| studies.take_changed(*part).is_some()).unwrap();
        assert!(studies.take_changed(part).is_none());
        studies.mark(part);
        assert!(studies.take_changed(part).unwrap().text(day(1)).contains("\t7"));
    }
}
