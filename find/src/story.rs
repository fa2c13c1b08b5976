//! A story as it goes into the index: its numbers, and its parts as texts in a row, by which equal ones are known.

use audit::{EntryKind, Glance, StoryOutcome, Text};
use policy::Timestamp;

use crate::derived::{Derived, words_of};
use crate::fields::{Field, NO_CODE, Part};
use crate::names::{push_number, take_number};

/// The most bytes of a name that are kept; what is longer is cut, here and where it is asked for.
const NAME_BYTES_MAX: usize = 256;

/// A story of which the first line was read.
#[derive(Debug)]
pub(crate) struct Begun {
    kind: EntryKind,
    /// The number of its first line.
    pub(crate) seq: u64,
    /// When it began.
    pub(crate) at: Timestamp,
    code: u64,
    reason: Option<String>,
    /// Party, place and the beginning of the deed.
    texts: Vec<u8>,
    party_end: usize,
    place_end: usize,
    patients: Vec<String>,
    studies: Vec<String>,
}

impl Begun {
    /// What its first line tells.
    pub(crate) fn by(kind: EntryKind, line: &Glance<'_>) -> Self {
        let mut texts = Vec::with_capacity(512);
        let party = [
            &line.user,
            &line.login,
            &line.actor,
            &line.name,
            &line.unit,
            &line.place,
            &line.device,
            &line.address,
            &line.session,
        ];
        party.into_iter().for_each(|one| push(text(one), &mut texts));
        line.roles.iter().for_each(|role| push(Some(role.as_str()), &mut texts));
        let party_end = texts.len();
        [&line.path, &line.reason].into_iter().for_each(|one| push(text(one), &mut texts));
        let place_end = texts.len();
        let deed = [&line.app, &line.host, &line.action, &line.class, &line.rule, &line.grant, &line.revision];
        deed.into_iter().for_each(|one| push(text(one), &mut texts));
        push(Some(kind.code()), &mut texts);
        let mut begun = Self {
            kind,
            seq: line.seq,
            at: line.at,
            code: text(&line.request).and_then(code).unwrap_or(NO_CODE),
            reason: text(&line.why).map(str::to_owned),
            texts,
            party_end,
            place_end,
            patients: Vec::new(),
            studies: Vec::new(),
        };
        begun.add_subjects(line);
        begun
    }

    /// The patients and studies that a line tells of, each once.
    fn add_subjects(&mut self, line: &Glance<'_>) {
        for (told, known) in [(&line.patients, &mut self.patients), (&line.studies, &mut self.studies)] {
            for one in told {
                if !known.iter().any(|known| known == one.as_str()) {
                    known.push(one.as_str().to_owned());
                }
            }
        }
    }

    /// The story: with its last line, or as far as it has come.
    pub(crate) fn ended(mut self, end: Option<&Glance<'_>>) -> Told {
        if let Some(end) = end {
            self.add_subjects(end);
        }
        let outcome = StoryOutcome::of(&self.kind, end.map(|end| (text(&end.end), end.status)));
        let mut texts = self.texts;
        push(self.reason.as_deref().or_else(|| end.and_then(|end| text(&end.why))), &mut texts);
        push(Some(outcome.code()), &mut texts);
        let deed_end = texts.len();
        self.patients.iter().for_each(|patient| push(Some(patient), &mut texts));
        push(None, &mut texts);
        self.studies.iter().for_each(|study| push(Some(study), &mut texts));
        Told {
            at: millis(self.at),
            begin: self.seq,
            span: end.map_or(0, |end| end.seq.saturating_sub(self.seq)),
            code: self.code,
            texts,
            ends: [self.party_end, self.place_end, deed_end],
        }
    }

    /// The story of this line alone.
    pub(crate) fn whole(kind: EntryKind, line: &Glance<'_>) -> Told {
        let is_end = kind == EntryKind::Close;
        Self::by(kind, line).ended(is_end.then_some(line))
    }
}

/// A story as it is kept.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) at: u64,
    pub(crate) begin: u64,
    pub(crate) span: u64,
    pub(crate) code: u64,
    texts: Vec<u8>,
    ends: [usize; 3],
}

impl Told {
    /// What a part is known by: the same bytes are the same row.
    pub(crate) fn key(&self, part: Part) -> &[u8] {
        let [party, place, deed] = self.ends;
        let key = match part {
            Part::Party => self.texts.get(..party),
            Part::Place => self.texts.get(party..place),
            Part::Deed => self.texts.get(place..deed),
            Part::Subject => self.texts.get(deed..),
        };
        key.unwrap_or_default()
    }
}

/// Makes the row of a part out of what it is known by: hands over each of its texts with its field.
pub(crate) fn spell(part: Part, key: &[u8], derived: &mut Derived, mut each: impl FnMut(Field, &str)) {
    let mut texts = Texts(key);
    let mut next = || texts.next().flatten();
    match part {
        Part::Party => {
            let [user, login, actor, name, unit, place] = [next(), next(), next(), next(), next(), next()];
            let [device, address, session] = [next(), next(), next()];
            [user, login, actor].into_iter().flatten().for_each(|who| each(Field::Who, cut(who)));
            login.or(user).or(actor).into_iter().for_each(|person| each(Field::Person, cut(person)));
            for unit in [unit, place].into_iter().flatten() {
                derived.units.of(unit).iter().for_each(|unit| each(Field::Unit, cut(unit)));
            }
            device.into_iter().for_each(|device| each(Field::Device, cut(device)));
            for address in address.map(|address| derived.address.of(address)).unwrap_or_default() {
                each(Field::Address, address);
            }
            session.into_iter().for_each(|session| each(Field::Session, cut(session)));
            for text in [login, name, device].into_iter().flatten() {
                derived.words.of(text).iter().for_each(|word| each(Field::PartyWord, word));
            }
            texts.flatten().for_each(|role| each(Field::Role, cut(role)));
        }
        Part::Place => {
            for text in texts.flatten() {
                words_of(text).iter().for_each(|word| each(Field::PlaceWord, word));
            }
        }
        Part::Deed => {
            let fields = [
                Field::App,
                Field::HostWord,
                Field::Action,
                Field::Class,
                Field::Rule,
                Field::Grant,
                Field::Revision,
                Field::Event,
                Field::Reason,
                Field::Outcome,
            ];
            for (field, text) in fields.into_iter().zip(texts) {
                let Some(text) = text else { continue };
                if field == Field::HostWord {
                    derived.words.of(text).iter().for_each(|word| each(field, word));
                } else {
                    each(field, cut(text));
                }
            }
        }
        Part::Subject => {
            let mut field = Field::Patient;
            for text in texts {
                match text {
                    Some(text) => each(field, cut(text)),
                    None => field = Field::Study,
                }
            }
        }
    }
}

fn text<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    text.as_ref().map(Text::as_str)
}

/// Writes a text, or that there is none, so that what follows cannot be taken for a part of it.
fn push(text: Option<&str>, out: &mut Vec<u8>) {
    push_number(text.map_or(0, |text| text.len() + 1), out);
    out.extend_from_slice(text.unwrap_or_default().as_bytes());
}

/// Reads them again.
struct Texts<'a>(&'a [u8]);

impl<'a> Iterator for Texts<'a> {
    type Item = Option<&'a str>;

    fn next(&mut self) -> Option<Self::Item> {
        let (length, rest) = take_number(self.0)?;
        let Some(length) = length.checked_sub(1) else {
            self.0 = rest;
            return Some(None);
        };
        let (text, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some(std::str::from_utf8(text).ok())
    }
}

/// A moment as it is kept.
pub(crate) fn millis(at: Timestamp) -> u64 {
    u64::try_from(at.unix_micros()).unwrap_or(0) / 1_000
}

/// The last eight digits of a request's id, as a number: the code that people read to the help desk.
pub(crate) fn code(request: &str) -> Option<u64> {
    let digits = request.get(request.len().checked_sub(8)?..)?;
    digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

/// As much of a name as is kept.
pub(crate) fn cut(name: &str) -> &str {
    let mut end = name.len().min(NAME_BYTES_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_of_a_request_is_its_last_eight_digits() {
        assert_eq!(code("01935f1c-1111-7222-8333-4444deadbeef"), Some(0xdead_beef));
        assert_eq!(code("DEADBEEF"), Some(0xdead_beef));
        for wrong in ["", "1234567", "+1234567", "ward-003", "１２３４５６７８"] {
            assert_eq!(code(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_name_is_cut_between_characters() {
        assert_eq!(cut("n.sato"), "n.sato");
        assert_eq!(cut(&"病".repeat(200)), "病".repeat(85));
    }

    #[test]
    fn texts_come_back_and_none_is_not_an_empty_one() {
        let told = [Some("n.sato"), None, Some(""), Some("病")];
        let mut bytes = Vec::new();
        told.into_iter().for_each(|text| push(text, &mut bytes));
        assert_eq!(Texts(&bytes).collect::<Vec<_>>(), told);
        bytes.truncate(bytes.len() - 1);
        assert_eq!(Texts(&bytes).count(), 3);
    }
}
