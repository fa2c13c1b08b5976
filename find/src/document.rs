//! What is kept of a story.

use audit::{EntryKind, Glance, StoryOutcome, Text};
use policy::Timestamp;
use tantivy::TantivyDocument;
use tantivy::schema::Field;

use crate::derived::{Derived, words_of};
use crate::fields::Fields;

/// The most bytes of a name that are kept; what is longer is cut, here and where it is asked for.
const NAME_BYTES_MAX: usize = 256;
/// The most words that are kept of one story.
const WORDS_MAX: usize = 200;

/// A story of which the first line was read.
#[derive(Debug)]
pub(crate) struct Begun {
    document: TantivyDocument,
    kind: EntryKind,
    /// The number of its first line.
    pub(crate) seq: u64,
    /// When it began.
    pub(crate) at: Timestamp,
    has_reason: bool,
    patients: Vec<String>,
    studies: Vec<String>,
}

impl Begun {
    /// What its first line tells.
    pub(crate) fn by(fields: &Fields, kind: EntryKind, line: &Glance<'_>, derived: &mut Derived) -> Self {
        let mut document = TantivyDocument::default();
        document.add_u64(fields.at, millis(line.at));
        document.add_u64(fields.begin, line.seq);
        if let Some(code) = text(&line.request).and_then(code) {
            document.add_u64(fields.code, code);
        }
        let [user, login, actor] = [&line.user, &line.login, &line.actor].map(text);
        let single = [
            (fields.who, user),
            (fields.who, login.filter(|login| user != Some(login))),
            (fields.who, actor.filter(|actor| user != Some(actor) && login != Some(actor))),
            (fields.person, login.or(user).or(actor)),
            (fields.device, text(&line.device)),
            (fields.app, text(&line.app)),
            (fields.action, text(&line.action)),
            (fields.class, text(&line.class)),
            (fields.reason, text(&line.why)),
            (fields.rule, text(&line.rule)),
            (fields.grant, text(&line.grant)),
            (fields.event, Some(kind.code())),
            (fields.session, text(&line.session)),
            (fields.revision, text(&line.revision)),
        ];
        single
            .into_iter()
            .for_each(|(field, value)| value.into_iter().for_each(|value| add(&mut document, field, value)));
        let mut begun = Self {
            document,
            kind,
            seq: line.seq,
            at: line.at,
            has_reason: line.why.is_some(),
            patients: Vec::new(),
            studies: Vec::new(),
        };
        for (place, role) in line.roles.iter().enumerate() {
            if !line.roles.iter().take(place).any(|earlier| earlier == role) {
                add(&mut begun.document, fields.role, role.as_str());
            }
        }
        for unit in [&line.unit, &line.place].into_iter().filter_map(text) {
            derived.units.of(unit).iter().for_each(|unit| add(&mut begun.document, fields.unit, unit));
        }
        for address in text(&line.address).map(|address| derived.address.of(address)).unwrap_or_default() {
            add(&mut begun.document, fields.address, address);
        }
        begun.add_words(fields, line, derived);
        begun.add_people(fields, line);
        begun
    }

    /// The words that free text finds. Those of a path and of a reason are others in each line.
    fn add_words(&mut self, fields: &Fields, line: &Glance<'_>, derived: &mut Derived) {
        let mut left = WORDS_MAX;
        let mut take = |words: &[String]| {
            for word in words.iter().take(left) {
                self.document.add_text(fields.word, word);
            }
            left = left.saturating_sub(words.len());
        };
        for name in [&line.login, &line.name, &line.host, &line.device].into_iter().filter_map(text) {
            take(derived.words.of(name));
        }
        for free in [&line.path, &line.reason].into_iter().filter_map(text) {
            take(&words_of(free));
        }
    }

    /// The patients and studies that a line tells of, each once.
    fn add_people(&mut self, fields: &Fields, line: &Glance<'_>) {
        let lists =
            [(fields.patient, &line.patients, &mut self.patients), (fields.study, &line.studies, &mut self.studies)];
        for (field, told, known) in lists {
            for one in told {
                if !known.iter().any(|known| known == one.as_str()) {
                    add(&mut self.document, field, one.as_str());
                    known.push(one.as_str().to_owned());
                }
            }
        }
    }

    /// The document of the story: with its last line, or as far as it has come. `shown` marks it as open.
    pub(crate) fn ended(mut self, fields: &Fields, end: Option<&Glance<'_>>) -> TantivyDocument {
        if let Some(end) = end {
            self.add_people(fields, end);
            if let Some(why) = text(&end.why).filter(|_| !self.has_reason) {
                add(&mut self.document, fields.reason, why);
            }
        }
        self.document.add_u64(fields.span, end.map_or(0, |end| end.seq.saturating_sub(self.seq)));
        let outcome = StoryOutcome::of(&self.kind, end.map(|end| (text(&end.end), end.status)));
        self.document.add_text(fields.outcome, outcome.code());
        self.document
    }

    /// The document of a story of this line alone.
    pub(crate) fn whole(fields: &Fields, kind: EntryKind, line: &Glance<'_>, derived: &mut Derived) -> TantivyDocument {
        let is_end = kind == EntryKind::Close;
        let begun = Self::by(fields, kind, line, derived);
        begun.ended(fields, is_end.then_some(line))
    }
}

fn text<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    text.as_ref().map(Text::as_str)
}

fn add(document: &mut TantivyDocument, field: Field, value: &str) {
    document.add_text(field, cut(value));
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
}
