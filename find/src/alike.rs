//! What many stories have alike, kept as one text for all of it: the party, who asked from where, and the deed, what
//! was done and how it went.
//!
//! A nurse opens hundreds of charts from one device in one session; each of these stories has the same two texts, so the
//! index keeps a number for each and not some thirty names. A question about the names is put to the texts, of which
//! there are few, and not to the stories.

use std::net::IpAddr;

use policy::Unit;

use crate::document::cut;
use crate::words::Wanted;
use crate::{Addresses, By, Question};

/// Stands between the parts of a text; no name that is kept has it.
const PART: char = '\u{1f}';
/// Stands between several names of one part.
const NAME: char = '\u{1e}';
/// The most names that are kept of one part, but for words.
const NAMES_MAX: usize = 100;
/// The most words that are kept of a party.
const WORDS_MAX: usize = 200;

/// Writes a text, part by part.
#[derive(Debug, Default)]
pub(crate) struct Parts(String);

impl Parts {
    /// A part with one name, or none.
    pub(crate) fn name(&mut self, name: Option<&str>) -> &mut Self {
        name.into_iter().for_each(|name| push(&mut self.0, cut(name)));
        self.0.push(PART);
        self
    }

    /// A part with several names, each once.
    pub(crate) fn names<'b>(&mut self, names: impl Iterator<Item = &'b str> + Clone) -> &mut Self {
        self.members(names, NAMES_MAX)
    }

    /// A part with words.
    pub(crate) fn words<'b>(&mut self, words: impl Iterator<Item = &'b str> + Clone) -> &mut Self {
        self.members(words, WORDS_MAX)
    }

    fn members<'b>(&mut self, names: impl Iterator<Item = &'b str> + Clone, max: usize) -> &mut Self {
        let earlier = names.clone();
        for (place, name) in names.enumerate().take(max) {
            if !earlier.clone().take(place).any(|one| one == name) {
                push(&mut self.0, cut(name));
                self.0.push(NAME);
            }
        }
        self.0.push(PART);
        self
    }

    /// The text.
    pub(crate) fn text(self) -> String {
        self.0
    }
}

fn push(out: &mut String, name: &str) {
    if name.contains([PART, NAME]) {
        out.extend(name.chars().map(|c| if c == PART || c == NAME { ' ' } else { c }));
    } else {
        out.push_str(name);
    }
}

/// A name as a text has it.
fn kept(name: &str) -> String {
    let mut kept = String::new();
    push(&mut kept, cut(name));
    kept
}

fn names(part: &str) -> impl Iterator<Item = &str> {
    part.split_terminator(NAME)
}

/// A party, read.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Party<'a> {
    user: &'a str,
    login: &'a str,
    actor: &'a str,
    roles: &'a str,
    units: &'a str,
    device: &'a str,
    address: &'a str,
    session: &'a str,
    grant: &'a str,
    words: &'a str,
}

impl<'a> Party<'a> {
    /// Reads what was written part by part, in this order.
    pub(crate) fn read(text: &'a str) -> Self {
        let mut parts = text.split(PART);
        let mut next = || parts.next().unwrap_or_default();
        Self {
            user: next(),
            login: next(),
            actor: next(),
            roles: next(),
            units: next(),
            device: next(),
            address: next(),
            session: next(),
            grant: next(),
            words: next(),
        }
    }

    /// The one name by which persons are counted.
    fn person(&self) -> &'a str {
        [self.login, self.user, self.actor].into_iter().find(|name| !name.is_empty()).unwrap_or_default()
    }

    /// Whether one of its words is wanted.
    pub(crate) fn has(&self, wanted: &Wanted) -> bool {
        match wanted {
            Wanted::Whole(word) => names(self.words).any(|one| one == word),
            Wanted::Beginning(start) => names(self.words).any(|one| one.starts_with(start.as_str())),
        }
    }
}

/// What a question asks of the party.
#[derive(Clone, Debug, Default)]
pub(crate) struct PartyAsked {
    person: Option<String>,
    role: Option<String>,
    unit: Option<String>,
    within: Option<Vec<String>>,
    device: Option<String>,
    addresses: Option<Addresses>,
    session: Option<String>,
    grant: Option<String>,
}

impl PartyAsked {
    /// What this question asks of it; nothing where that is nothing.
    pub(crate) fn of(question: &Question) -> Option<Self> {
        let name = |name: &Option<String>| name.as_deref().map(kept);
        let unit = |unit: &Unit| kept(unit.as_str());
        let Question { person, role, unit: department, within, device, address, session, grant, .. } = question;
        let names = [person, role, device, session, grant];
        let asks =
            names.iter().any(|name| name.is_some()) || department.is_some() || within.is_some() || address.is_some();
        asks.then(|| Self {
            person: name(person),
            role: name(role),
            unit: department.as_ref().map(unit),
            within: within.as_ref().map(|units| units.iter().map(unit).collect()),
            device: name(device),
            addresses: *address,
            session: name(session),
            grant: name(grant),
        })
    }

    /// Whether a party is asked for.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let party = Party::read(text);
        let is_in = |unit: &String| names(party.units).any(|one| one == unit);
        let people = [party.user, party.login, party.actor];
        (self.person.is_none() || people.into_iter().any(|one| is(&self.person, one)))
            && is(&self.device, party.device)
            && is(&self.session, party.session)
            && is(&self.grant, party.grant)
            && self.role.as_ref().is_none_or(|role| names(party.roles).any(|one| one == role))
            && self.unit.as_ref().is_none_or(is_in)
            && self.within.as_ref().is_none_or(|units| units.iter().any(is_in))
            && self.addresses.is_none_or(|asked| party.address.parse::<IpAddr>().is_ok_and(|one| asked.has(one)))
    }
}

fn is(asked: &Option<String>, has: &str) -> bool {
    asked.as_ref().is_none_or(|asked| !has.is_empty() && asked == has)
}

/// A deed, read.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Deed<'a> {
    app: &'a str,
    action: &'a str,
    class: &'a str,
    rule: &'a str,
    revision: &'a str,
    event: &'a str,
    reason: &'a str,
    outcome: &'a str,
}

impl<'a> Deed<'a> {
    /// Reads what was written part by part, in this order.
    pub(crate) fn read(text: &'a str) -> Self {
        let mut parts = text.split(PART);
        let mut next = || parts.next().unwrap_or_default();
        Self {
            app: next(),
            action: next(),
            class: next(),
            rule: next(),
            revision: next(),
            event: next(),
            reason: next(),
            outcome: next(),
        }
    }
}

/// What a question asks of the deed.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeedAsked {
    app: Option<String>,
    action: Option<String>,
    class: Option<String>,
    rule: Option<String>,
    revision: Option<String>,
    event: Option<String>,
    reason: Option<String>,
    outcome: Option<String>,
}

impl DeedAsked {
    /// What this question asks of it; nothing where that is nothing.
    pub(crate) fn of(question: &Question) -> Option<Self> {
        let name = |name: &Option<String>| name.as_deref().map(kept);
        let asked = Self {
            app: name(&question.app),
            action: name(&question.action),
            class: name(&question.class),
            rule: name(&question.rule),
            revision: name(&question.revision),
            event: name(&question.event),
            reason: name(&question.reason),
            outcome: question.outcome.map(|outcome| outcome.code().to_owned()),
        };
        let Self { app, action, class, rule, revision, event, reason, outcome } = &asked;
        let asks = [app, action, class, rule, revision, event, reason, outcome].iter().any(|name| name.is_some());
        asks.then_some(asked)
    }

    /// Whether a deed is asked for.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let deed = Deed::read(text);
        is(&self.app, deed.app)
            && is(&self.action, deed.action)
            && is(&self.class, deed.class)
            && is(&self.rule, deed.rule)
            && is(&self.revision, deed.revision)
            && is(&self.event, deed.event)
            && is(&self.reason, deed.reason)
            && is(&self.outcome, deed.outcome)
    }
}

/// Hands over the names by which a party, or a deed, is counted; what is counted otherwise has none.
pub(crate) fn each_name(by: By, text: &str, each: &mut dyn FnMut(&str)) {
    let name = match by {
        By::Role => return names(Party::read(text).roles).for_each(each),
        By::Person => Party::read(text).person(),
        By::Device => Party::read(text).device,
        By::Address => Party::read(text).address,
        By::App => Deed::read(text).app,
        By::Action => Deed::read(text).action,
        By::Class => Deed::read(text).class,
        By::Outcome => Deed::read(text).outcome,
        By::Reason => Deed::read(text).reason,
        By::Rule => Deed::read(text).rule,
        By::Event => Deed::read(text).event,
        By::Hour | By::Day | By::Month | By::Patient => return,
    };
    if !name.is_empty() {
        each(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(person: &str, roles: &[&str]) -> String {
        let mut parts = Parts::default();
        parts.name(Some(person)).name(None).name(None).names(roles.iter().copied());
        parts.names([].into_iter()).name(Some("ward3")).name(Some("10.1.2.3")).name(None).name(None);
        parts.words(["sato"].into_iter());
        parts.text()
    }

    fn counted(by: By, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        each_name(by, text, &mut |name| found.push(name.to_owned()));
        found
    }

    #[test]
    fn what_was_written_part_by_part_is_read_back() {
        let text = party("u-1", &["nurse", "vendor", "nurse"]);
        assert_eq!(counted(By::Role, &text), ["nurse", "vendor"]);
        assert_eq!(counted(By::Person, &text), ["u-1"]);
        assert_eq!(counted(By::Device, &text), ["ward3"]);
        assert_eq!(counted(By::Hour, &text), [""; 0]);
        assert!(Party::read(&text).has(&Wanted::Beginning("sa".into())));
        assert!(!Party::read(&text).has(&Wanted::Whole("sa".into())));
        assert_eq!(Party::read("").person(), "");
    }

    #[test]
    fn a_name_that_holds_what_stands_between_names_is_no_other_name() {
        let text = party("a\u{1f}b\u{1e}c", &["x\u{1e}y"]);
        assert_eq!(counted(By::Person, &text), ["a b c"]);
        assert_eq!(counted(By::Role, &text), ["x y"]);
        let asked = |person: &str| {
            PartyAsked::of(&Question { person: Some(person.into()), ..Question::default() }).unwrap().fits(&text)
        };
        assert!(asked("a\u{1f}b\u{1e}c") && !asked("a") && !asked("") && !asked("b"));
    }

    #[test]
    fn the_longest_text_is_one_that_the_engine_takes() {
        let long = "病".repeat(300);
        let words: Vec<String> = (0..1_000).map(|n| format!("{n:040}")).collect();
        let roles: Vec<String> = (0..1_000).map(|n| format!("{n}{long}")).collect();
        let mut parts = Parts::default();
        (0..8).for_each(|_| {
            parts.name(Some(&long));
        });
        parts.names(roles.iter().map(String::as_str)).words(words.iter().map(String::as_str));
        assert!(parts.text().len() < usize::from(u16::MAX) - 8);
    }
}
