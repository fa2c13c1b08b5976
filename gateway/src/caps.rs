//! Bounds on what one person does by one rule within any hour: requests, and different patients. Counted in this
//! process, shared by all workers, after the policy allowed. Patients are remembered as keyed digests that never leave
//! the memory. Where several nodes serve, each tells the others the numbers of whoever did much ([`elsewhere`]). Deliberately
//! not here: what the bounds are (the rule says so), and how nodes tell each other.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};

use policy::{Authorized, Beyond, Caps, Challenge, Permit, Reason, RuleId, Timestamp, UserId, Verdict};
use serde::{Deserialize, Serialize};

use crate::limit::network_of;
use elsewhere::Elsewhere;

mod elsewhere;

/// What the bounds are about, in seconds.
const HOUR: i64 = 3_600;
/// Requests are counted in spans of so many seconds: what is forgotten is at least an hour old, and at most this more.
const SPAN: i64 = 300;
const SPANS: usize = 13;
/// Parts that are locked one by one.
const SHARDS: usize = 64;
/// The most people (by rule) that are counted at once, and the most patients of all of them, in one part.
const COUNTED_MAX: usize = if cfg!(test) { 64 } else { 1_024 };
const PATIENTS_MAX: usize = 16_384;
/// How often a full part is gone through at most, in seconds.
const SWEEP_EVERY: i64 = 10;

/// Who is counted, by which rule.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Key {
    rule: RuleId,
    who: Subject,
}

/// Who is counted.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
enum Subject {
    Person(UserId),
    /// Nobody is signed in: the network it comes from.
    Nobody(IpAddr),
}

/// What one person did by one rule.
#[derive(Debug)]
struct Count {
    requests: Requests,
    /// Digest of each patient, and the second they were last asked for.
    patients: HashMap<u64, i64>,
    /// When the person was last told to prove themselves.
    reached_at: Option<Timestamp>,
    /// When the operator was last told.
    alarmed_at: Option<i64>,
    used_at: i64,
    /// What was done since this count began.
    ever: Ever,
    /// The bounds of requests and patients that it was last held to.
    bounds: (Option<NonZeroU32>, Option<NonZeroU32>),
}

/// What somebody did since they are counted, however long that is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Ever {
    /// The second at which it began.
    pub since: i64,
    /// How many requests.
    pub requests: u64,
    /// How many patients that were not counted within the hour before.
    pub patients: u64,
}

/// Requests by spans of time, as a ring.
#[derive(Clone, Copy, Default, Debug)]
struct Requests {
    spans: [(i64, u32); SPANS],
}

impl Requests {
    fn within_an_hour(&self, now: i64) -> u64 {
        let span = now.div_euclid(SPAN);
        let counted = self.spans.iter().filter(|(at, _)| span - at < SPANS as i64 && *at <= span);
        counted.map(|(_, number)| u64::from(*number)).sum()
    }

    fn add(&mut self, now: i64) {
        let span = now.div_euclid(SPAN);
        let place = usize::try_from(span.rem_euclid(SPANS as i64)).unwrap_or(0);
        if let Some(slot) = self.spans.get_mut(place) {
            *slot = if slot.0 == span { (span, slot.1.saturating_add(1)) } else { (span, 1) };
        }
    }
}

#[derive(Debug, Default)]
struct Shard {
    counts: HashMap<Key, Count>,
    patients: usize,
    /// When it was last gone through because it was full: that takes time, so not for every request.
    swept_at: Option<i64>,
    /// When the operator was last told that nobody new can be counted.
    full_told_at: Option<i64>,
    /// What the same people did at other nodes, as far as these told.
    elsewhere: HashMap<Key, Elsewhere>,
}

/// All counts of this process.
#[derive(Debug)]
pub struct Counts {
    shards: Vec<Mutex<Shard>>,
    /// Makes digests that nobody else can make again.
    keyed: RandomState,
}

impl Default for Counts {
    fn default() -> Self {
        Self { shards: (0..SHARDS).map(|_| Mutex::default()).collect(), keyed: RandomState::new() }
    }
}

/// What a count says to one more access.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Said {
    /// It is within the bounds.
    Within,
    /// It is beyond them and goes on; `is_news` says whether the operator was not told within the hour.
    Alarm {
        /// Whether this is the first within the hour.
        is_news: bool,
    },
    /// It is beyond them: first the person proves themselves again.
    StepUp,
    /// It is beyond them.
    Refused,
}

impl Counts {
    /// Counts one allowed access, to this patient's information where its path names one.
    pub fn count(&self, caps: &Caps, permit: &Permit, patient: Option<&str>) -> Said {
        let access = permit.access();
        let who = match &access.who {
            Some(who) => Subject::Person(who.user.clone()),
            None => Subject::Nobody(network_of(access.from.address)),
        };
        let proven_at = access.who.as_ref().map(|who| who.authenticated_at);
        let patient = patient.filter(|_| caps.patients.is_some()).map(|patient| self.keyed.hash_one(patient));
        self.count_one(caps, Key { rule: permit.rule().clone(), who }, patient, proven_at, access.at)
    }

    fn count_one(
        &self,
        caps: &Caps,
        key: Key,
        patient: Option<u64>,
        proven_at: Option<Timestamp>,
        at: Timestamp,
    ) -> Said {
        let Some(shard) = self.shards.get(self.place(&key)) else { return Said::Refused };
        let mut shard = shard.lock().unwrap_or_else(PoisonError::into_inner);
        let now = at.unix_seconds();
        let patients_full = shard.patients >= PATIENTS_MAX;
        let swept = shard.swept_at.is_some_and(|swept| (swept..swept + SWEEP_EVERY).contains(&now));
        if (shard.counts.len() >= COUNTED_MAX || patients_full) && !swept {
            shard.swept_at = Some(now);
            shard.forget_before(now - HOUR);
        }
        if shard.counts.len() >= COUNTED_MAX && !shard.counts.contains_key(&key) {
            // Nobody new can be counted, so nobody new is within their bounds.
            let is_news = shard.full_told_at.is_none_or(|told| told <= now - HOUR);
            if is_news {
                shard.full_told_at = Some(now);
            }
            return beyond(caps.beyond, is_news);
        }
        let shard = &mut *shard;
        let room = PATIENTS_MAX.saturating_sub(shard.patients);
        let elsewhere = shard.elsewhere.get_mut(&key);
        let count = shard.counts.entry(key).or_insert_with(|| Count::new(now));
        let before = count.patients.len();
        let is_proven_again = count.is_proven_again(caps, proven_at);
        if is_proven_again {
            // They proved themselves since: the hour begins anew, here and for what was done elsewhere.
            *count = Count::new(now);
        }
        let others = elsewhere.map_or((0, 0), |elsewhere| {
            if is_proven_again {
                elsewhere.forgive();
            }
            elsewhere.within_an_hour(now)
        });
        let said = count.one_more(caps, patient, at, (room, others));
        let (after, patients) = (count.patients.len(), shard.patients);
        shard.patients = (patients + after).saturating_sub(before);
        said
    }

    fn place(&self, key: &Key) -> usize {
        usize::try_from(self.keyed.hash_one(key) % SHARDS as u64).unwrap_or(0)
    }

    /// Forgets who did nothing for an hour. Called now and then by the control plane.
    pub fn prune(&self, at: Timestamp) {
        for shard in &self.shards {
            shard.lock().unwrap_or_else(PoisonError::into_inner).forget_before(at.unix_seconds() - HOUR);
        }
    }
}

impl Shard {
    fn forget_before(&mut self, second: i64) {
        self.counts.retain(|_, count| count.used_at > second);
        for count in self.counts.values_mut() {
            count.patients.retain(|_, seen| *seen > second);
        }
        self.elsewhere.retain(|_, elsewhere| elsewhere.forget_before(second));
        self.patients = self.counts.values().map(|count| count.patients.len()).sum();
    }
}

impl Count {
    fn new(now: i64) -> Self {
        Self {
            requests: Requests::default(),
            patients: HashMap::new(),
            reached_at: None,
            alarmed_at: None,
            used_at: now,
            ever: Ever { since: now, ..Ever::default() },
            bounds: (None, None),
        }
    }

    /// Whether the person proved themselves after they were told to.
    fn is_proven_again(&self, caps: &Caps, proven_at: Option<Timestamp>) -> bool {
        let (Some(reached_at), Some(proven_at)) = (self.reached_at, proven_at) else { return false };
        caps.beyond == Beyond::StepUp && proven_at > reached_at
    }

    /// One more access, where there is room for so many patients and so many requests and patients were told of elsewhere.
    fn one_more(
        &mut self,
        caps: &Caps,
        patient: Option<u64>,
        at: Timestamp,
        (room, (requests, patients)): (usize, (u64, u64)),
    ) -> Said {
        let now = at.unix_seconds();
        self.used_at = now;
        self.bounds = (caps.requests, caps.patients);
        let within = |bound: Option<NonZeroU32>, number: u64| bound.is_none_or(|bound| number < u64::from(bound.get()));
        let requests_left = within(caps.requests, self.requests.within_an_hour(now).saturating_add(requests));
        let patients_left = match patient {
            None => true,
            Some(patient) if self.patients.get(&patient).is_some_and(|seen| *seen > now - HOUR) => true,
            Some(_) => {
                self.patients.retain(|_, seen| *seen > now - HOUR);
                room > 0 && within(caps.patients, (self.patients.len() as u64).saturating_add(patients))
            }
        };
        if requests_left && patients_left {
            self.add(now);
            if let Some(patient) = patient
                && self.patients.insert(patient, now).is_none()
            {
                self.ever.patients = self.ever.patients.saturating_add(1);
            }
            return Said::Within;
        }
        match caps.beyond {
            Beyond::Deny => Said::Refused,
            Beyond::StepUp => {
                self.reached_at.get_or_insert(at);
                Said::StepUp
            }
            Beyond::Alarm => {
                let is_news = self.alarmed_at.is_none_or(|alarmed| alarmed <= now - HOUR);
                if is_news {
                    self.alarmed_at = Some(now);
                }
                self.add(now);
                Said::Alarm { is_news }
            }
        }
    }

    fn add(&mut self, now: i64) {
        self.requests.add(now);
        self.ever.requests = self.ever.requests.saturating_add(1);
    }
}

fn beyond(what: Beyond, is_news: bool) -> Said {
    match what {
        Beyond::Deny => Said::Refused,
        Beyond::StepUp => Said::StepUp,
        Beyond::Alarm => Said::Alarm { is_news },
    }
}

/// What becomes of an allowed access that a count spoke about.
pub fn heed<T>(authorized: Authorized<T>, said: Said) -> Verdict<T> {
    match said {
        Said::Within | Said::Alarm { .. } => Verdict::Allow(authorized),
        Said::Refused => authorized.refuse(Reason::CapReached, None),
        Said::StepUp => match authorized.permit().access().who.as_ref().map(|who| who.assurance) {
            Some(assurance) => authorized.refuse(Reason::CapReached, Some(Challenge::StepUp(assurance))),
            None => authorized.refuse(Reason::CapReached, Some(Challenge::SignIn)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caps(requests: u32, patients: u32, beyond: Beyond) -> Caps {
        Caps { requests: NonZeroU32::new(requests), patients: NonZeroU32::new(patients), beyond }
    }

    fn key(person: &str) -> Key {
        Key { rule: "r".parse().unwrap(), who: Subject::Person(UserId::parse(person).unwrap()) }
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_unix_micros(second * 1_000_000)
    }

    /// Asks at these seconds, for these patients.
    fn told(counts: &Counts, caps: &Caps, asks: &[(i64, Option<u64>)]) -> Vec<Said> {
        asks.iter().map(|(at, patient)| counts.count_one(caps, key("u-1"), *patient, None, second(*at))).collect()
    }

    #[test]
    fn beyond_a_bound_of_requests_the_person_waits_until_an_hour_has_passed() {
        let counts = Counts::default();
        let two = caps(2, 0, Beyond::Deny);
        use Said::{Refused, Within};
        assert_eq!(told(&counts, &two, &[(0, None), (10, None), (20, None)]), [Within, Within, Refused]);
        assert_eq!(counts.count_one(&two, key("u-2"), None, None, second(20)), Within, "another person");
        assert_eq!(told(&counts, &two, &[(HOUR - 1, None)]), [Refused], "within the hour");
        assert_eq!(told(&counts, &two, &[(HOUR + SPAN, None)]), [Within]);
    }

    #[test]
    fn no_hour_ever_holds_more_than_the_bound() {
        let counts = Counts::default();
        let bound = caps(5, 0, Beyond::Deny);
        let asked: Vec<i64> = (0..4_000).map(|number| number * 7).collect();
        let is_within = |at: &i64| counts.count_one(&bound, key("u-1"), None, None, second(*at)) == Said::Within;
        let allowed: Vec<i64> = asked.into_iter().filter(is_within).collect();
        assert!(allowed.len() >= 5 * 28_000 / 3_900, "{}", allowed.len());
        for window in allowed.windows(6) {
            assert!(window[5] - window[0] >= HOUR, "{window:?}");
        }
    }

    #[test]
    fn a_patient_counts_once_and_another_one_too_many_is_refused() {
        let counts = Counts::default();
        let two = caps(0, 2, Beyond::Deny);
        use Said::{Refused, Within};
        let asks = [(0, Some(1)), (1, Some(1)), (2, Some(2)), (3, Some(3)), (4, Some(2)), (5, None)];
        assert_eq!(told(&counts, &two, &asks), [Within, Within, Within, Refused, Within, Within]);
        assert_eq!(told(&counts, &two, &[(HOUR + 1, Some(3))]), [Within], "the first was last seen an hour ago");
        assert_eq!(told(&counts, &two, &[(HOUR + 2, Some(4))]), [Refused]);
    }

    #[test]
    fn who_proves_themselves_again_begins_a_new_hour() {
        let counts = Counts::default();
        let one = caps(1, 0, Beyond::StepUp);
        let ask = |at, proven| counts.count_one(&one, key("u-1"), None, Some(second(proven)), second(at));
        assert_eq!(
            [ask(10, 0), ask(20, 0), ask(30, 20), ask(40, 35)],
            [Said::Within, Said::StepUp, Said::StepUp, Said::Within]
        );
        assert_eq!([ask(50, 35), ask(60, 55)], [Said::StepUp, Said::Within]);
    }

    #[test]
    fn an_alarm_lets_on_and_tells_once_an_hour() {
        let counts = Counts::default();
        let one = caps(0, 1, Beyond::Alarm);
        let asks = [(0, Some(1)), (1, Some(2)), (2, Some(3)), (3, Some(1)), (HOUR + 2, Some(4)), (HOUR + 2, Some(5))];
        let news = |is_news| Said::Alarm { is_news };
        assert_eq!(
            told(&counts, &one, &asks),
            [Said::Within, news(true), news(false), Said::Within, news(true), news(false)]
        );
    }

    #[test]
    fn whoever_cannot_be_counted_is_not_within_their_bounds() {
        let counts = Counts::default();
        let one = caps(1, 0, Beyond::Deny);
        let number = SHARDS * COUNTED_MAX * 2;
        let ask = |person: usize, at| counts.count_one(&one, key(&format!("u-{person}")), None, None, second(at));
        let refused = (0..number).filter(|person| ask(*person, 0) == Said::Refused).count();
        assert!(refused >= number / 4, "{refused} of {number}");
        assert!(counts.shards.iter().all(|shard| shard.lock().unwrap().counts.len() <= COUNTED_MAX));
        assert_eq!(ask(number + 1, HOUR + 1), Said::Within, "an hour later there is room again");
        let alarm = caps(1, 0, Beyond::Alarm);
        let counts = Counts::default();
        let told =
            (0..number).map(|person| counts.count_one(&alarm, key(&format!("u-{person}")), None, None, second(0)));
        let news = told.filter(|said| *said == Said::Alarm { is_news: true }).count();
        assert!(news <= SHARDS, "{news} times the operator is told the same");
        counts.prune(second(3 * HOUR));
        assert!(counts.shards.iter().all(|shard| shard.lock().unwrap().counts.is_empty()));
    }
}
