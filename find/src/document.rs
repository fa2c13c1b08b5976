//! What is kept of a story.

use std::collections::BTreeSet;

use audit::{Entry, Story};
use policy::{Timestamp, Unit};
use tantivy::TantivyDocument;
use tantivy::schema::Field;

use crate::fields::Fields;
use crate::words;

/// The most bytes of a name that are kept; what is longer is cut, here and where it is asked for.
const NAME_BYTES_MAX: usize = 256;

/// The document of a story.
pub(crate) fn document(fields: &Fields, story: &Story) -> TantivyDocument {
    let begin = &story.begin;
    let mut document = TantivyDocument::default();
    document.add_u64(fields.at, millis(begin.at));
    document.add_u64(fields.begin, begin.seq);
    document.add_u64(fields.span, story.end.as_ref().map_or(0, |end| end.seq.saturating_sub(begin.seq)));
    if let Some(code) = begin.request.as_deref().and_then(code) {
        document.add_u64(fields.code, code);
    }
    let mut add = |field: Field, value: &str| document.add_text(field, cut(value));
    story.patients().collect::<BTreeSet<_>>().into_iter().for_each(|patient| add(fields.patient, patient));
    story.studies().collect::<BTreeSet<_>>().into_iter().for_each(|study| add(fields.study, study));
    let names = [&begin.user, &begin.login, &begin.actor].map(Option::as_deref);
    names.iter().flatten().collect::<BTreeSet<_>>().into_iter().for_each(|name| add(fields.who, name));
    let [user, login, actor] = names;
    begin.roles.iter().collect::<BTreeSet<_>>().into_iter().for_each(|role| add(fields.role, role));
    let units: Vec<Unit> = begin.units().collect();
    units.iter().flat_map(Unit::and_above).collect::<BTreeSet<_>>().into_iter().for_each(|unit| add(fields.unit, unit));
    let address = begin.address.map(|address| address.to_string());
    let single = [
        (fields.person, login.or(user).or(actor)),
        (fields.device, begin.device.as_deref()),
        (fields.app, begin.app.as_deref()),
        (fields.action, begin.action.as_deref()),
        (fields.class, begin.class.as_deref()),
        (fields.outcome, Some(story.outcome().code())),
        (fields.reason, reason(story)),
        (fields.rule, begin.rule.as_deref()),
        (fields.grant, begin.grant.as_deref()),
        (fields.address, address.as_deref()),
        (fields.event, Some(begin.kind.code())),
        (fields.session, begin.session.as_deref()),
        (fields.revision, begin.revision.as_deref()),
    ];
    single.into_iter().for_each(|(field, value)| value.into_iter().for_each(|value| add(field, value)));
    words_of(begin).iter().for_each(|word| add(fields.word, word));
    document
}

/// Why it was refused, or cut short.
pub(crate) fn reason(story: &Story) -> Option<&str> {
    let end = story.end.as_ref().and_then(|end| end.why.as_deref());
    story.begin.why.as_deref().or(end)
}

/// The words that free text finds.
pub(crate) fn words_of(entry: &Entry) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let texts = [&entry.login, &entry.name, &entry.host, &entry.path, &entry.reason, &entry.device];
    texts.into_iter().flatten().for_each(|text| words::gather(text, &mut found));
    found
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
