//! The party of a line, made of its names: their words, the departments above theirs, the address as it is compared.
//! Line after line has the same, so each is made once and remembered.

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use audit::Glance;
use policy::Unit;

use crate::alike::Parts;
use crate::cursor::mark;
use crate::document::text;
use crate::words;

/// The most parties that are remembered; of more, all are forgotten and begin anew.
const PARTIES_MAX: usize = 8_192;
/// What is made of more names than this is not remembered, in bytes.
const NAMES_BYTES_MAX: usize = 2_048;
/// Stands between names of one line; what has it in a name is not remembered.
const BETWEEN: char = '\u{1f}';

/// The text of a party, and the mark that leads to its stories.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct PartyText {
    pub(crate) text: Arc<str>,
    pub(crate) mark: u64,
}

/// Makes parties.
#[derive(Debug, Default)]
pub(crate) struct Derived {
    parties: HashMap<Box<str>, PartyText>,
    names: String,
}

impl Derived {
    /// The party of a line.
    pub(crate) fn party(&mut self, line: &Glance<'_>) -> PartyText {
        if !self.gather(line) {
            return made(line);
        }
        if let Some(known) = self.parties.get(self.names.as_str()) {
            return known.clone();
        }
        if self.parties.len() >= PARTIES_MAX {
            self.parties.clear();
        }
        let party = made(line);
        self.parties.insert(self.names.as_str().into(), party.clone());
        party
    }

    /// Gathers all that a party is made of, and says whether that is worth remembering.
    fn gather(&mut self, line: &Glance<'_>) -> bool {
        self.names.clear();
        let names = [
            &line.user,
            &line.login,
            &line.name,
            &line.actor,
            &line.unit,
            &line.place,
            &line.device,
            &line.address,
            &line.session,
            &line.grant,
            &line.host,
        ];
        let mut between = 0;
        for name in names.into_iter().map(text) {
            self.names.push_str(name.unwrap_or_default());
            self.names.push(BETWEEN);
            between += 1;
        }
        for role in &line.roles {
            self.names.push_str(role.as_str());
            self.names.push(BETWEEN);
            between += 1;
        }
        self.names.len() <= NAMES_BYTES_MAX && self.names.matches(BETWEEN).count() == between
    }
}

/// Makes the party of a line, part by part in the order in which it is read.
fn made(line: &Glance<'_>) -> PartyText {
    let units: Vec<Unit> = [&line.unit, &line.place].into_iter().filter_map(text).filter_map(Unit::parse).collect();
    let units: Vec<&str> = units.iter().flat_map(Unit::and_above).collect();
    let address = text(&line.address).and_then(|address| address.parse::<IpAddr>().ok()).map(|one| one.to_string());
    let mut found = BTreeSet::new();
    for name in [&line.login, &line.name, &line.host, &line.device].into_iter().filter_map(text) {
        words::gather(name, &mut found);
    }
    let mut party = Parts::default();
    party.name(text(&line.user)).name(text(&line.login)).name(text(&line.actor));
    party.names(line.roles.iter().map(audit::Text::as_str)).names(units.into_iter());
    party.name(text(&line.device)).name(address.as_deref()).name(text(&line.session)).name(text(&line.grant));
    party.words(found.iter().map(String::as_str));
    let text: Arc<str> = party.text().into();
    PartyText { mark: mark(text.as_bytes()), text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Question;
    use crate::alike::{Party, PartyAsked};
    use crate::words::Wanted;

    fn line(rest: &str) -> String {
        format!(r#"{{"v":1,"seq":3,"ts":"2026-11-22T16:23:58.000001Z","ev":"open",{rest}}}"#)
    }

    fn party(derived: &mut Derived, rest: &str) -> PartyText {
        derived.party(&Glance::at(line(rest).as_bytes()).unwrap())
    }

    #[test]
    fn a_party_is_made_of_the_names_of_its_line() {
        let text = party(
            &mut Derived::default(),
            r#""login":"n.sato","unit":"本院/3階東病棟","place":"no\nplace","dev":"w-7","ip":"::0001","vs":"g-1""#,
        );
        let fits = |question: Question| PartyAsked::of(&question).unwrap().fits(&text.text);
        let some = |name: &str| Some(name.to_owned());
        assert!(fits(Question { unit: Unit::parse("本院"), device: some("w-7"), ..Question::default() }));
        assert!(fits(Question { address: "::1".parse().ok(), grant: some("g-1"), ..Question::default() }));
        assert!(!fits(Question { unit: Unit::parse("3階東病棟"), ..Question::default() }));
        assert!(Party::read(&text.text).has(&Wanted::Whole("sato".into())));
    }

    #[test]
    fn what_was_made_once_is_remembered_within_bounds() {
        let mut derived = Derived::default();
        let first = party(&mut derived, r#""login":"n.sato","host":"emr""#);
        let again = party(&mut derived, r#""login":"n.sato","host":"emr","path":"/x""#);
        assert!(Arc::ptr_eq(&first.text, &again.text));
        assert_ne!(first, party(&mut derived, r#""name":"n.sato","host":"emr""#));
        for number in 0..PARTIES_MAX + 9 {
            party(&mut derived, &format!(r#""login":"n{number}""#));
        }
        assert!(derived.parties.len() <= PARTIES_MAX);
        let known = derived.parties.len();
        let one = party(&mut derived, r#""login":"a\u001fb""#);
        let other = party(&mut derived, r#""login":"a","name":"b""#);
        assert_ne!(one, other);
        party(&mut derived, &format!(r#""name":"{}""#, "x ".repeat(NAMES_BYTES_MAX)));
        assert!(derived.parties.len() <= known + 1);
    }
}
