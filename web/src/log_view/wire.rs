//! What nodes ask each other of their logs, and answer, as it travels. The types are of the wire alone. A question that
//! says more than a node knows is not answered, for what it does not know may be what narrows it; an answer may say more
//! than is read of it.

use audit::StoryOutcome;
use find::{Calendar, Order, Place, Question};
use policy::{Date, Timestamp, Unit, UtcOffset};
use serde::{Deserialize, Serialize};

/// The form that is written. A form that a later version cannot read gets another number.
const FORM: u32 = 1;
/// The longest answer that is read, in bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 8 << 20;
/// The longest question that is read, in bytes.
const QUESTION_BYTES_MAX: usize = 64 << 10;

/// What is asked of a node.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    v: u32,
    /// The departments that the answer is kept to; none for the whole log.
    pub(super) within: Option<Vec<String>>,
    pub(super) what: What,
}

/// What is asked.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(super) enum What {
    /// Whether the index has read all that the log holds, within so many milliseconds.
    Follows(u64),
    /// A page of stories.
    Stories(Box<AskedQuestion>),
    /// How many there are of each.
    Count(Box<AskedCount>),
    /// How many there are in all.
    Total(Box<AskedQuestion>),
    /// The records that lines belong to.
    Records(Vec<u64>),
    /// The record that a line belongs to, with its lines as they were written.
    Record(u64),
}

/// What is counted by what, and how many of the first.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedCount {
    pub(super) question: AskedQuestion,
    pub(super) by: String,
    pub(super) top: usize,
}

/// A question of the index.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AskedQuestion {
    since: i64,
    until: i64,
    patient: Option<String>,
    study: Option<String>,
    person: Option<String>,
    device: Option<String>,
    app: Option<String>,
    action: Option<String>,
    class: Option<String>,
    outcome: Option<String>,
    reason: Option<String>,
    rule: Option<String>,
    grant: Option<String>,
    role: Option<String>,
    unit: Option<String>,
    address: Option<String>,
    event: Option<String>,
    session: Option<String>,
    revision: Option<String>,
    request: Option<String>,
    text: Option<String>,
    out_of_hours: Option<bool>,
    offset: String,
    opens_at_minute: u16,
    closes_at_minute: u16,
    holidays: Vec<String>,
    is_oldest_first: bool,
    limit: usize,
    after: Option<String>,
}

/// What a node answers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Answered {
    v: u32,
    pub(super) said: Said,
}

/// The answer.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Said {
    /// There is none, and why.
    Trouble(String),
    Follows(bool),
    Stories(SaidStories),
    Count(Shares<Vec<(String, u64)>>),
    Total(Shares<u64>),
    Records(Vec<Option<SaidRecord>>),
    Record(Option<SaidRecord>, Vec<String>),
}

/// A page of stories.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub(super) struct SaidStories {
    pub(super) records: Vec<SaidRecord>,
    pub(super) total: Shares<u64>,
    pub(super) next: Option<String>,
}

/// What a log alone tells, and what the logs of all nodes tell, for it happened in the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct Shares<T> {
    pub(super) own: T,
    pub(super) shared: T,
}

/// A record, by its lines as they were written.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub(super) struct SaidRecord {
    pub(super) seq: u64,
    pub(super) begin: Option<String>,
    pub(super) end: Option<String>,
    /// The number of the line that is damaged, and the file that it is in.
    pub(super) damage: Option<(u64, Option<String>)>,
}

impl Asked {
    /// A question that is kept to some departments.
    pub(super) fn new(within: Option<&[Unit]>, what: What) -> Self {
        Self { v: FORM, within: within.map(names_of), what }
    }

    /// As it travels.
    pub(super) fn write(&self) -> Vec<u8> {
        // Numbers, texts and lists of them can always be written.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Reads a question; nothing where it is none, or says more than is known.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let asked: Self = Some(bytes).filter(|bytes| bytes.len() <= QUESTION_BYTES_MAX).and_then(parsed)?;
        (asked.v == FORM).then_some(asked)
    }

    /// The departments; `None` where one does not read: nothing is answered then.
    pub(super) fn units(&self) -> Option<Option<Vec<Unit>>> {
        let Some(names) = &self.within else { return Some(None) };
        names.iter().map(|name| Unit::parse(name)).collect::<Option<Vec<_>>>().map(Some)
    }
}

impl Answered {
    /// As it travels.
    pub(super) fn write(said: Said) -> Vec<u8> {
        serde_json::to_vec(&Self { v: FORM, said }).unwrap_or_default()
    }

    /// Reads an answer; nothing where it is none.
    pub(super) fn read(bytes: &[u8]) -> Option<Said> {
        let answered: Self = Some(bytes).filter(|bytes| bytes.len() <= ANSWER_BYTES_MAX).and_then(parsed)?;
        (answered.v == FORM).then_some(answered.said)
    }
}

fn parsed<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

fn names_of(units: &[Unit]) -> Vec<String> {
    units.iter().map(|unit| unit.as_str().to_owned()).collect()
}

impl From<&Question> for AskedQuestion {
    fn from(question: &Question) -> Self {
        // Each by its name: what is not carried would be asked too widely.
        let Question {
            since,
            until,
            patient,
            study,
            person,
            device,
            app,
            action,
            class,
            outcome,
            reason,
            rule,
            grant,
            role,
            unit,
            address,
            event,
            session,
            revision,
            request,
            text,
            // Said once, for whatever is asked.
            within: _,
            out_of_hours,
            calendar,
            order,
            limit,
            after,
        } = question.clone();
        let Calendar { offset, opens_at_minute, closes_at_minute, holidays } = calendar;
        Self {
            since: since.unix_micros(),
            until: until.unix_micros(),
            patient,
            study,
            person,
            device,
            app,
            action,
            class,
            outcome: outcome.map(|outcome| outcome.code().to_owned()),
            reason,
            rule,
            grant,
            role,
            unit: unit.map(|unit| unit.as_str().to_owned()),
            address: address.map(|address| address.to_string()),
            event,
            session,
            revision,
            request,
            text,
            out_of_hours,
            offset: offset.to_string(),
            opens_at_minute,
            closes_at_minute,
            holidays: holidays.iter().map(|date| date.to_string()).collect(),
            is_oldest_first: order == Order::Oldest,
            limit,
            after: after.map(|place| place.to_string()),
        }
    }
}

impl AskedQuestion {
    /// The question, kept to some departments; nothing where a word of it does not read.
    pub(super) fn read(self, within: Option<Vec<Unit>>) -> Option<Question> {
        /// What is stated must read.
        fn stated<T>(text: Option<String>, read: impl Fn(&str) -> Option<T>) -> Option<Option<T>> {
            text.map_or(Some(None), |text| read(&text).map(Some))
        }
        Some(Question {
            since: Timestamp::from_unix_micros(self.since),
            until: Timestamp::from_unix_micros(self.until),
            patient: self.patient,
            study: self.study,
            person: self.person,
            device: self.device,
            app: self.app,
            action: self.action,
            class: self.class,
            outcome: stated(self.outcome, StoryOutcome::parse)?,
            reason: self.reason,
            rule: self.rule,
            grant: self.grant,
            role: self.role,
            unit: stated(self.unit, Unit::parse)?,
            address: stated(self.address, |text| text.parse().ok())?,
            event: self.event,
            session: self.session,
            revision: self.revision,
            request: self.request,
            text: self.text,
            within,
            out_of_hours: self.out_of_hours,
            calendar: Calendar {
                offset: UtcOffset::parse(&self.offset)?,
                opens_at_minute: self.opens_at_minute,
                closes_at_minute: self.closes_at_minute,
                holidays: self.holidays.iter().map(|date| Date::parse(date)).collect::<Option<_>>()?,
            },
            order: if self.is_oldest_first { Order::Oldest } else { Order::Newest },
            limit: self.limit,
            after: stated(self.after, Place::parse)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> Question {
        let text = |text: &str| Some(text.to_owned());
        Question {
            since: Timestamp::from_unix_micros(1_795_000_000_000_000),
            until: Timestamp::MAX,
            patient: text("00012345"),
            study: text("1.2.3"),
            person: text("n.sato"),
            device: text("ward-pc-1"),
            app: text("emr"),
            action: text("read"),
            class: text("psychiatry"),
            outcome: Some(StoryOutcome::Refused),
            reason: text("role-not-allowed"),
            rule: text("r"),
            grant: text("g-1"),
            role: text("nurse"),
            unit: Unit::parse("3階西"),
            address: "10.1.".parse().ok(),
            event: text("open"),
            session: text("s"),
            revision: text("v"),
            request: text("q"),
            text: text("chart*"),
            within: Some(vec![Unit::parse("救急").unwrap()]),
            out_of_hours: Some(true),
            calendar: Calendar {
                offset: UtcOffset::parse("-03:30").unwrap(),
                opens_at_minute: 1,
                closes_at_minute: 2,
                holidays: Date::parse("2026-11-23").into_iter().collect(),
            },
            order: Order::Oldest,
            limit: 7,
            after: Place::parse("9"),
        }
    }

    #[test]
    fn a_question_is_read_as_it_was_asked() {
        for question in [Question::default(), full()] {
            let what = What::Stories(Box::new((&question).into()));
            let asked = Asked::read(&Asked::new(question.within.as_deref(), what).write()).unwrap();
            let within = asked.units().unwrap();
            let What::Stories(read) = asked.what else { panic!("another question") };
            assert_eq!(read.read(within), Some(question));
        }
    }

    #[test]
    fn what_is_not_understood_in_full_is_not_read() {
        let text = String::from_utf8(Asked::new(None, What::Total(Box::new((&full()).into()))).write()).unwrap();
        assert!(Asked::read(text.as_bytes()).is_some());
        for (from, to) in [
            ("\"v\":1", "\"v\":2"),
            ("\"v\":1", "\"v\":1,\"only_mine\":true"),
            ("\"patient\"", "\"ward\":\"3\",\"patient\""),
            ("\"total\"", "\"everything\""),
        ] {
            assert!(text.contains(from));
            assert!(Asked::read(text.replacen(from, to, 1).as_bytes()).is_none(), "{to}");
        }
        assert!(Asked::read(&vec![b' '; QUESTION_BYTES_MAX + 1]).is_none());
        let wrong = |change: &dyn Fn(&mut AskedQuestion)| {
            let mut asked = AskedQuestion::from(&full());
            change(&mut asked);
            asked.read(None)
        };
        assert!(wrong(&|asked| asked.outcome = Some("maybe".to_owned())).is_none());
        assert!(wrong(&|asked| asked.unit = Some(String::new())).is_none());
        let asked = Asked { within: Some(vec![String::new()]), ..Asked::new(None, What::Record(1)) };
        assert_eq!(asked.units(), None, "never wider than it was asked");
        assert!(wrong(&|asked| asked.address = Some("ward".to_owned())).is_none());
        assert!(wrong(&|asked| asked.after = Some("-".to_owned())).is_none());
        assert!(wrong(&|asked| asked.offset = "+25:00".to_owned()).is_none());
    }

    #[test]
    fn an_answer_of_another_version_is_read_as_far_as_it_is_known() {
        let read = |text: &str| Answered::read(text.as_bytes());
        assert_eq!(read(r#"{"v":1,"said":{"follows":true},"more":1}"#), Some(Said::Follows(true)));
        let total = Said::Total(Shares { own: 3, shared: 1 });
        assert_eq!(Answered::read(&Answered::write(total.clone())), Some(total));
        for text in ["", "{}", "null", r#"{"v":2,"said":{"follows":true}}"#, r#"{"v":1,"said":{"weather":"fine"}}"#] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(Answered::read(&vec![b' '; ANSWER_BYTES_MAX + 1]), None);
    }
}
