//! A story as it is handed to the engine.

use std::iter::Empty;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tantivy::schema::Field;
use tantivy::schema::document::{Document, ReferenceValue, ReferenceValueLeaf, Value};

use crate::derived::PartyText;
use crate::fields::Fields;

/// What the index keeps of one story.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) fields: Fields,
    pub(crate) at: u64,
    pub(crate) begin: u64,
    pub(crate) span: u64,
    pub(crate) code: Option<u64>,
    pub(crate) party: PartyText,
    pub(crate) deed: String,
    /// Only while it is open: by what it is taken out when it closes.
    pub(crate) open: Option<String>,
    pub(crate) patients: Vec<String>,
    pub(crate) studies: Vec<String>,
    /// The words of its path and its reason, each behind a space.
    pub(crate) words: String,
    /// Its place among those that wait for the engine.
    pub(crate) waits: Option<Waits>,
}

/// How many stories wait for the engine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue(Arc<AtomicUsize>);

/// A place in the queue.
#[derive(Debug)]
pub(crate) struct Waits(Queue);

impl Queue {
    /// Takes a place.
    pub(crate) fn join(&self) -> Waits {
        self.0.fetch_add(1, Ordering::Relaxed);
        Waits(self.clone())
    }

    /// How many wait.
    pub(crate) fn length(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One value of a story.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kept<'a> {
    Number(u64),
    Text(&'a str),
}

impl<'a> Value<'a> for Kept<'a> {
    type ArrayIter = Empty<Self>;
    type ObjectIter = Empty<(&'a str, Self)>;

    fn as_value(&self) -> ReferenceValue<'a, Self> {
        ReferenceValue::Leaf(match *self {
            Self::Number(number) => ReferenceValueLeaf::U64(number),
            Self::Text(text) => ReferenceValueLeaf::Str(text),
        })
    }
}

/// The values of a story, in the order of their fields.
#[derive(Debug)]
pub(crate) struct Values<'a> {
    single: std::array::IntoIter<Option<(Field, Kept<'a>)>, 8>,
    patients: std::slice::Iter<'a, String>,
    studies: std::slice::Iter<'a, String>,
    words: std::str::SplitAsciiWhitespace<'a>,
    fields: &'a Fields,
}

impl<'a> Iterator for Values<'a> {
    type Item = (Field, Kept<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(value) = self.single.by_ref().flatten().next() {
            return Some(value);
        }
        if let Some(patient) = self.patients.next() {
            return Some((self.fields.patient, Kept::Text(patient)));
        }
        if let Some(study) = self.studies.next() {
            return Some((self.fields.study, Kept::Text(study)));
        }
        self.words.next().map(|word| (self.fields.word, Kept::Text(word)))
    }
}

impl Document for Story {
    type Value<'a> = Kept<'a>;
    type FieldsValuesIter<'a> = Values<'a>;

    fn iter_fields_and_values(&self) -> Values<'_> {
        let Self { fields, at, begin, span, code, party, deed, open, patients, studies, words, waits: _ } = self;
        let number = |field, number: u64| Some((field, Kept::Number(number)));
        let single = [
            number(fields.at, *at),
            number(fields.begin, *begin),
            number(fields.span, *span),
            code.and_then(|code| number(fields.code, code)),
            number(fields.party_mark, party.mark),
            Some((fields.party, Kept::Text(&party.text))),
            Some((fields.deed, Kept::Text(deed))),
            open.as_deref().map(|open| (fields.open, Kept::Text(open))),
        ];
        Values {
            single: single.into_iter(),
            patients: patients.iter(),
            studies: studies.iter(),
            words: words.split_ascii_whitespace(),
            fields,
        }
    }
}
