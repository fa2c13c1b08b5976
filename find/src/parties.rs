//! The parties of a segment of the index that a question asks for, and their stories.

use tantivy::query::{BitSetDocSet, ConstScorer, Scorer};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{BitSet, SegmentReader, Term};

use crate::cursor::mark;
use crate::fields::PARTY;

/// Gathers the marks of parties that fit.
pub(crate) fn marks_of(segment: &SegmentReader, fits: impl Fn(&str) -> bool) -> tantivy::Result<Vec<u64>> {
    let mut marks = Vec::new();
    if let Some(texts) = segment.fast_fields().str(PARTY)? {
        let mut stream = texts.dictionary().stream()?;
        while stream.advance() {
            if std::str::from_utf8(stream.key()).is_ok_and(&fits) {
                marks.push(mark(stream.key()));
            }
        }
    }
    Ok(marks)
}

/// The stories of the parties with these marks; none where they are more than `most`.
pub(crate) fn stories_of(
    segment: &SegmentReader,
    field: Field,
    marks: &[u64],
    most: u64,
) -> tantivy::Result<Option<Box<dyn Scorer>>> {
    let terms = segment.inverted_index(field)?;
    let (mut found, mut count) = (Vec::with_capacity(marks.len()), 0);
    for mark in marks {
        if let Some(party) = terms.get_term_info(&Term::from_field_u64(field, *mark))? {
            count += u64::from(party.doc_freq);
            found.push(party);
        }
        if count > most {
            return Ok(None);
        }
    }
    let mut stories = BitSet::with_max_value(segment.max_doc());
    for party in &found {
        let mut postings = terms.read_block_postings_from_terminfo(party, IndexRecordOption::Basic)?;
        while !postings.docs().is_empty() {
            for story in postings.docs() {
                stories.insert(*story);
            }
            postings.advance();
        }
    }
    Ok(Some(Box::new(ConstScorer::new(BitSetDocSet::from(stories), 1.0))))
}
