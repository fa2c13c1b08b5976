//! What is kept of a story.

use audit::{EntryKind, Glance, StoryOutcome, Text};
use policy::Timestamp;

use crate::alike::Parts;
use crate::derived::{Derived, PartyText};
use crate::fields::Fields;
use crate::story::Story;
use crate::words;

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
    code: Option<u64>,
    party: PartyText,
    /// The deed as far as the first line tells it.
    deed: Parts,
    reason: Option<String>,
    patients: Vec<String>,
    studies: Vec<String>,
    words: String,
}

impl Begun {
    /// What its first line tells.
    pub(crate) fn by(kind: EntryKind, line: &Glance<'_>, derived: &mut Derived) -> Self {
        let mut deed = Parts::default();
        deed.name(text(&line.app)).name(text(&line.action)).name(text(&line.class)).name(text(&line.rule));
        deed.name(text(&line.revision)).name(Some(kind.code()));
        let mut begun = Self {
            kind,
            seq: line.seq,
            at: line.at,
            code: text(&line.request).and_then(code),
            party: derived.party(line),
            deed,
            reason: text(&line.why).map(str::to_owned),
            patients: Vec::new(),
            studies: Vec::new(),
            words: String::new(),
        };
        // Those of names are the party's.
        for free in [&line.path, &line.reason].into_iter().filter_map(text) {
            words::append(free, &mut begun.words);
        }
        begun.add_people(line);
        begun
    }

    /// The patients and studies that a line tells of, each once.
    fn add_people(&mut self, line: &Glance<'_>) {
        for (told, known) in [(&line.patients, &mut self.patients), (&line.studies, &mut self.studies)] {
            for one in told {
                let one = cut(one.as_str());
                if !known.iter().any(|known| known == one) {
                    known.push(one.to_owned());
                }
            }
        }
    }

    /// The story: with its last line, or as far as it has come.
    pub(crate) fn ended(mut self, fields: Fields, end: Option<&Glance<'_>>) -> Story {
        if let Some(end) = end {
            self.add_people(end);
        }
        let outcome = StoryOutcome::of(&self.kind, end.map(|end| (text(&end.end), end.status)));
        let reason = self.reason.as_deref().or_else(|| end.and_then(|end| text(&end.why)));
        self.deed.name(reason).name(Some(outcome.code()));
        Story {
            fields,
            at: millis(self.at),
            begin: self.seq,
            span: end.map_or(0, |end| end.seq.saturating_sub(self.seq)),
            code: self.code,
            party: self.party,
            deed: self.deed.text(),
            open: None,
            patients: self.patients,
            studies: self.studies,
            words: self.words,
            waits: None,
        }
    }

    /// The story of this line alone.
    pub(crate) fn whole(fields: Fields, kind: EntryKind, line: &Glance<'_>, derived: &mut Derived) -> Story {
        let is_end = kind == EntryKind::Close;
        Self::by(kind, line, derived).ended(fields, is_end.then_some(line))
    }
}

pub(crate) fn text<'a>(text: &'a Option<Text<'_>>) -> Option<&'a str> {
    text.as_ref().map(Text::as_str)
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
