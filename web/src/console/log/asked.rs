//! What is asked for, as the search form, links and kept questions write it. What may name a patient stands in forms and
//! on pages, and in addresses only sealed.

use std::collections::BTreeMap;

use audit::StoryOutcome;
use find::{Addresses, Calendar, Order, Question};
use policy::{Timestamp, Unit, UserId};
use store::{PeopleFilter, Person};
use url::form_urlencoded::{self, Serializer};

use super::super::desk::{Desk, Refused};
use super::super::posted::{Posted, ago};
use super::period::{self, DAY, Period};
use crate::log_view::Turn;

/// Every field but the patient, in the order in which pages show them.
pub(super) const FIELDS: [&str; 22] = [
    "who", "unit", "device", "app", "action", "class", "outcome", "event", "reason", "rule", "grant", "role",
    "address", "session", "revision", "study", "request", "words", "hours", "from", "to", "hour",
];
/// The patient, in forms.
const PATIENT: &str = "patient";
/// What may name a patient, and how it is called in addresses, where it stands only sealed: the words of a path may be a
/// patient's number, and a study is one patient's.
pub(super) const SEALED: [(&str, &str); 3] = [(PATIENT, "pt"), ("study", "su"), ("words", "wo")];
/// The time, which a kept question does without.
const TIME: [&str; 3] = ["from", "to", "hour"];
/// Where the page begins.
const AFTER: &str = "after";
/// How long a value may be, in characters.
pub(super) const VALUE_CHARS_MAX: usize = 100;
/// How many days are looked at where nothing else is said.
const DAYS: u32 = 7;
/// How many people of one name are offered.
const PEOPLE_MAX: usize = 20;
/// How many stories a page shows.
pub(super) const PAGE_MAX: usize = 50;

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    values: BTreeMap<&'static str, String>,
    pub(super) patient: Option<String>,
    /// Whether something was stated that cannot be read, or does not open any more.
    pub(super) is_lost: bool,
    pub(super) after: Option<Turn>,
}

/// What becomes of it.
pub(super) enum Asking {
    /// It can be asked.
    Question(Box<Question>),
    /// Several people have this name.
    Which(Vec<Person>),
    /// A value does not read: the key of what is said of it.
    Wrong(&'static str),
}

impl Asked {
    /// Reads the address of a page.
    pub(super) fn read(desk: &Desk<'_>) -> Self {
        let query = desk.request.query.as_bytes();
        let mut asked = Self::of_pairs(query);
        for (name, sealed) in SEALED {
            // What stands there in the clear is none of our addresses, and asking for everything is no answer to it.
            asked.is_lost |= asked.values.remove(name).is_some();
            let Some(sealed) = crate::query::field(query, sealed) else { continue };
            match desk.log().unseal(&desk.who.user, &sealed) {
                Some(patient) if name == PATIENT => asked.patient = Some(patient),
                Some(text) => asked.set(name, &text),
                None => asked.is_lost = true,
            }
        }
        asked.after = crate::query::field(query, AFTER).and_then(|after| Turn::parse(&after));
        asked
    }

    /// Reads what is kept.
    pub(super) fn of_kept(kept: &str) -> Self {
        Self::of_pairs(kept.as_bytes()).keepable()
    }

    fn of_pairs(pairs: &[u8]) -> Self {
        let mut asked = Self::default();
        for (name, value) in form_urlencoded::parse(pairs).take(100) {
            asked.set(&name, &value);
        }
        asked
    }

    /// Reads the search form.
    pub(super) fn of_form(desk: &Desk<'_>, form: &Posted) -> Self {
        let mut asked = Self::default();
        for name in FIELDS {
            asked.set(name, form.raw(name));
        }
        asked.patient = patient::normalised(form.raw(PATIENT), asked.pad(desk)).map(String::from);
        asked.is_lost = asked.patient.is_none() && !form.raw(PATIENT).trim().is_empty();
        asked
    }

    /// To how many digits the apps, or the one that is asked for, fill up patients' ids.
    fn pad(&self, desk: &Desk<'_>) -> usize {
        let app = self.get("app");
        patient::common_pad(desk.config().policy.apps.iter().filter(|one| app.is_none_or(|app| one.id.as_str() == app)))
    }

    fn set(&mut self, name: &str, value: &str) {
        let value = value.trim();
        let is_plain = value.chars().count() <= VALUE_CHARS_MAX && !value.chars().any(char::is_control);
        let Some(name) = FIELDS.into_iter().find(|one| *one == name) else { return };
        if is_plain && !value.is_empty() {
            self.values.entry(name).or_insert_with(|| value.to_owned());
        }
    }

    /// The value of a field, if it is asked for.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str)
    }

    /// Whether nothing but a time is asked for.
    pub(super) fn is_plain(&self) -> bool {
        self.patient.is_none() && self.values.keys().all(|name| ["from", "to"].contains(name))
    }

    /// The same with another value.
    pub(super) fn with(&self, name: &'static str, value: impl Into<String>) -> Self {
        let mut asked = Self { after: None, ..self.clone() };
        asked.values.insert(name, value.into());
        asked
    }

    /// The same of one patient.
    pub(super) fn of_patient(&self, patient: &str) -> Self {
        Self { patient: Some(patient.to_owned()), after: None, ..self.clone() }
    }

    /// Where its page begins.
    pub(super) fn turn(&self) -> Turn {
        self.after.clone().unwrap_or_default()
    }

    /// The page of it that begins at a place.
    pub(super) fn beginning_at(&self, after: Option<Turn>) -> Self {
        Self { after, ..self.clone() }
    }

    /// The same without a value.
    pub(super) fn without(&self, name: &str) -> Self {
        let mut asked = Self { after: None, ..self.clone() };
        asked.values.remove(name);
        asked
    }

    /// The same within a time alone.
    pub(super) fn within(&self, from: &str, to: &str) -> Self {
        self.without("hour").with("from", from).with("to", to)
    }

    /// The time alone.
    pub(super) fn time(&self) -> Self {
        let values = self.values.iter().filter(|(name, _)| ["from", "to"].contains(*name));
        Self { values: values.map(|(name, value)| (*name, value.clone())).collect(), ..Self::default() }
    }

    /// The address of a page that asks for it.
    pub(super) fn address(&self, desk: &Desk<'_>, place: &str) -> String {
        let is_sealed = |name: &str| SEALED.iter().any(|(sealed, _)| *sealed == name);
        let mut query = self.pairs(|name| !is_sealed(name));
        for (name, sealed) in SEALED {
            let text = if name == PATIENT { self.patient.as_deref() } else { self.get(name) };
            // What cannot be sealed is stated all the same, empty: nobody is shown everything instead.
            let text = text.map(|text| desk.log().seal(&desk.who.user, text).unwrap_or_default());
            let text = text.or_else(|| (self.is_lost && name == PATIENT).then(String::new));
            query.extend_pairs(text.map(|text| (sealed, text)));
        }
        query.extend_pairs(self.after.as_ref().map(|after| (AFTER, after.to_string())));
        let query = query.finish();
        if query.is_empty() { place.to_owned() } else { format!("{place}?{query}") }
    }

    /// As it is kept: without the days, which go on, and without what may name a patient.
    pub(super) fn kept(&self) -> String {
        self.keepable().pairs(|_| true).finish()
    }

    /// What of it is kept.
    fn keepable(&self) -> Self {
        let mut kept = Self { values: self.values.clone(), ..Self::default() };
        let names_a_patient = |name: &str, value: &str| match name {
            "study" => true,
            // Digits of any width may be a patient's number.
            "words" => value.chars().any(char::is_numeric),
            _ => false,
        };
        kept.values.retain(|name, value| !TIME.contains(name) && !names_a_patient(name, value));
        kept
    }

    /// Whether it is kept as it is, but for its time.
    pub(super) fn is_kept_whole(&self) -> bool {
        let lasting = self.values.keys().filter(|name| !TIME.contains(*name)).count();
        self.patient.is_none() && self.keepable().values.len() == lasting
    }

    fn pairs(&self, wanted: impl Fn(&str) -> bool) -> Serializer<'static, String> {
        let mut query = Serializer::new(String::new());
        query.extend_pairs(FIELDS.iter().filter(|name| wanted(name)).filter_map(|name| Some((*name, self.get(name)?))));
        query
    }

    /// The question as it was asked, for a file that is handed over.
    pub(super) fn told(&self, question: &Question) -> serde_json::Value {
        let moments = [("since", question.since), ("until", question.until)].map(|(key, at)| (key, at.to_string()));
        let patient = self.patient.iter().map(|patient| (PATIENT, patient.clone()));
        let person = question.person.iter().map(|person| ("who", person.clone()));
        let values = self.values.iter().filter(|(name, _)| !TIME.contains(name) && **name != "who");
        let values = values.map(|(name, value)| (*name, value.clone()));
        let told = moments.into_iter().chain(patient).chain(person).chain(values);
        let within = question.within.iter().map(|units| ("within", super::said(units)));
        let told = told.chain(within);
        serde_json::Value::Object(told.map(|(key, value)| (key.to_owned(), value.into())).collect())
    }

    /// The time that is asked for: an hour, or whole days by the hospital's clock; the last week unless said otherwise.
    pub(super) fn period(&self, desk: &Desk<'_>) -> Period {
        let offset = desk.config().offset;
        if let Some(hour) = self.get("hour").and_then(|hour| period::hour(hour, offset)) {
            return hour;
        }
        let day = |name: &str| self.get(name).and_then(|day| Timestamp::parse_date(day, offset));
        let today = Timestamp::parse_date(&desk.day(desk.at()), offset).unwrap_or(desk.at());
        let last = day("to").unwrap_or(today);
        let first = day("from").unwrap_or_else(|| ago(last, DAY * (DAYS - 1))).min(last);
        Period { since: first, until: last.after(DAY) }
    }

    /// The question, once it is known who is meant.
    pub(super) async fn asking(&self, desk: &Desk<'_>) -> Result<Asking, Refused> {
        let Period { since, until } = self.period(desk);
        let text = |name: &str| self.get(name).map(str::to_owned);
        let mut question = Question::new(since, until);
        question.calendar = calendar(desk);
        question.limit = PAGE_MAX;
        question.order = Order::Newest;
        question.patient.clone_from(&self.patient);
        (question.device, question.app, question.action) = (text("device"), text("app"), text("action"));
        (question.class, question.event, question.reason) = (text("class"), text("event"), text("reason"));
        (question.rule, question.grant, question.role) = (text("rule"), text("grant"), text("role"));
        (question.session, question.revision) = (text("session"), text("revision"));
        (question.study, question.request, question.text) = (text("study"), text("request"), text("words"));
        question.outcome = self.get("outcome").and_then(StoryOutcome::parse);
        question.out_of_hours = match self.get("hours") {
            Some("out") => Some(true),
            Some("in") => Some(false),
            Some(_) | None => None,
        };
        if let Some(address) = self.get("address") {
            let Ok(address) = address.parse::<Addresses>() else { return Ok(Asking::Wrong("log-wrong-address")) };
            question.address = Some(address);
        }
        if let Some(unit) = self.get("unit") {
            let Some(unit) = Unit::parse(unit) else { return Ok(Asking::Wrong("log-wrong-unit")) };
            question.unit = Some(unit);
        }
        if let Some(who) = self.get("who") {
            match who_is(desk, who).await? {
                Who::One(person) => question.person = Some(person),
                Who::Several(people) => return Ok(Asking::Which(people)),
            }
        }
        Ok(Asking::Question(Box::new(question)))
    }
}

/// The hospital's working hours.
pub(super) fn calendar(desk: &Desk<'_>) -> Calendar {
    let config = desk.config();
    Calendar { offset: config.offset, holidays: config.policy.holidays.clone(), ..Calendar::default() }
}

/// Whom a text means.
enum Who {
    One(String),
    Several(Vec<Person>),
}

/// An id or a login stands for itself, also of somebody who is not in the directory any more; a name for whoever has it.
async fn who_is(desk: &Desk<'_>, text: &str) -> Result<Who, Refused> {
    if let Ok(id) = UserId::parse(text)
        && desk.store().person(&id).await?.is_some()
    {
        return Ok(Who::One(text.to_owned()));
    }
    let filter = PeopleFilter { text: Some(text.to_owned()), ..PeopleFilter::default() };
    let mut found = desk.store().people(filter, None, PEOPLE_MAX).await?;
    let is_login = |person: &Person| person.login.eq_ignore_ascii_case(text);
    if found.iter().any(is_login) {
        found.retain(is_login);
    }
    // Whoever is kept to some departments is not offered the people of others.
    let sight = desk.sight();
    if let Some(within) = sight.within() {
        let is_theirs =
            |person: &Person| Unit::parse(&person.unit).is_some_and(|unit| within.iter().any(|one| one.covers(&unit)));
        found.retain(is_theirs);
    }
    Ok(match found.as_slice() {
        [] => Who::One(text.to_owned()),
        [one] => Who::One(one.id.to_string()),
        [_, _, ..] => Who::Several(found),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_name_a_patient_is_not_kept() {
        for (kept, whole) in [
            ("app=emr&study=1.2.3", false),
            ("app=emr&words=chart+12345", false),
            ("app=emr&words=%EF%BC%91%EF%BC%92%EF%BC%93", false),
            ("app=emr&from=2026-11-01", true),
        ] {
            let asked = Asked::of_pairs(kept.as_bytes());
            assert_eq!((asked.kept(), asked.is_kept_whole()), ("app=emr".to_owned(), whole), "{kept}");
            assert_eq!(Asked::of_kept(kept).get("app"), Some("emr"));
            assert_eq!(Asked::of_kept(kept).get("words").or(Asked::of_kept(kept).get("study")), None, "{kept}");
        }
        assert_eq!(Asked::of_kept("words=%E7%97%85%E6%A3%9F").get("words"), Some("病棟"));
    }

    #[test]
    fn only_fields_that_we_know_are_asked_for_and_kept_without_days_or_patient() {
        let mut asked =
            Asked::of_kept("who=n.sato&outcome=refused&from=2026-11-01&to=2026-11-22&evil=1&patient=4711&pt=x");
        asked.patient = Some("4711".to_owned());
        assert_eq!(asked.kept(), "who=n.sato&outcome=refused");
        assert_eq!(asked.get("evil"), None);
        assert_eq!(Asked::of_kept("who=a%0Ab&app=").kept(), "", "control characters and nothing at all");
        assert!(asked.time().is_plain() && !asked.is_plain());
    }
}
