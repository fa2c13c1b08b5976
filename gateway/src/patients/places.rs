//! In which ward patients are, as far as the app's answers for one ward named them. It is kept in memory alone, for a shift,
//! and forgotten at the next start: what is not known limits nothing and opens nothing.

use std::collections::HashMap;
use std::time::Duration;

use policy::{AppId, Timestamp, Unit};

/// How long a place is believed: patients are moved.
const BELIEVED_FOR: Duration = Duration::from_secs(12 * 60 * 60);
/// How many places are learned until the older half is forgotten.
const LEARNED_MAX: usize = 50_000;

/// In which ward patients are.
#[derive(Debug, Default)]
pub struct Places {
    recent: Learned,
    before: Learned,
}

type Learned = HashMap<(AppId, Box<str>), (Unit, Timestamp)>;

impl Places {
    /// An app's answer for a ward named a patient.
    pub fn learn(&mut self, app: &AppId, patient: &str, ward: &Unit, at: Timestamp) {
        if self.recent.len() >= LEARNED_MAX {
            self.before = std::mem::take(&mut self.recent);
        }
        self.recent.insert((app.clone(), patient.into()), (ward.clone(), at));
    }

    /// The ward where an app said last that a patient is.
    pub fn of(&self, app: &AppId, patient: &str, at: Timestamp) -> Option<Unit> {
        let key = (app.clone(), patient.into());
        let (ward, learned) = self.recent.get(&key).or_else(|| self.before.get(&key))?;
        (at < learned.after(BELIEVED_FOR)).then(|| ward.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_unix_micros(0).after(Duration::from_secs(second))
    }

    #[test]
    fn the_last_word_of_an_app_counts_for_a_shift() {
        let (emr, lab): (AppId, AppId) = ("emr".parse().unwrap(), "lab".parse().unwrap());
        let [third, fourth] = ["3F", "4F"].map(|name| Unit::parse(name).unwrap());
        let mut places = Places::default();
        places.learn(&emr, "7", &third, at(0));
        assert_eq!(places.of(&emr, "7", at(100)), Some(third));
        assert_eq!((places.of(&lab, "7", at(100)), places.of(&emr, "8", at(100))), (None, None));
        places.learn(&emr, "7", &fourth, at(200));
        assert_eq!(places.of(&emr, "7", at(300)), Some(fourth.clone()), "the patient was moved");
        assert_eq!(places.of(&emr, "7", at(199 + 12 * 3_600)), Some(fourth));
        assert_eq!(places.of(&emr, "7", at(200 + 12 * 3_600)), None);
    }

    #[test]
    fn places_are_bounded() {
        let (app, ward): (AppId, Unit) = ("emr".parse().unwrap(), Unit::parse("3F").unwrap());
        let mut places = Places::default();
        for number in 0..3 * LEARNED_MAX {
            places.learn(&app, &number.to_string(), &ward, at(0));
        }
        assert!(places.recent.len() + places.before.len() <= 2 * LEARNED_MAX);
        let last = (3 * LEARNED_MAX - 1).to_string();
        assert_eq!((places.of(&app, "0", at(1)), places.of(&app, &last, at(1))), (None, Some(ward)));
    }
}
