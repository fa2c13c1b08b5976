//! The parties of a segment of the index that a question asks for, and their stories.

use tantivy::postings::TermInfo;
use tantivy::query::{BitSetDocSet, ConstScorer, Scorer};
use tantivy::schema::IndexRecordOption;
use tantivy::{BitSet, DocId, InvertedIndexReader};

/// Parties that are asked for.
#[derive(Debug, Default)]
pub(crate) struct Parties {
    found: Vec<TermInfo>,
    /// How many stories they have together.
    pub(crate) stories: u64,
}

impl Parties {
    /// Those that fit.
    pub(crate) fn of(terms: &InvertedIndexReader, fits: impl Fn(&str) -> bool) -> tantivy::Result<Self> {
        let mut parties = Self::default();
        let mut stream = terms.terms().stream()?;
        while stream.advance() {
            if std::str::from_utf8(stream.key()).is_ok_and(&fits) {
                parties.stories += u64::from(stream.value().doc_freq);
                parties.found.push(stream.value().clone());
            }
        }
        Ok(parties)
    }
}

/// The stories of these parties.
pub(crate) fn stories_of(
    terms: &InvertedIndexReader,
    parties: &Parties,
    segment_max: DocId,
) -> tantivy::Result<Box<dyn Scorer>> {
    let mut stories = BitSet::with_max_value(segment_max);
    for party in &parties.found {
        let mut postings = terms.read_block_postings_from_terminfo(party, IndexRecordOption::Basic)?;
        while !postings.docs().is_empty() {
            for story in postings.docs() {
                stories.insert(*story);
            }
            postings.advance();
        }
    }
    Ok(Box::new(ConstScorer::new(BitSetDocSet::from(stories), 1.0)))
}
