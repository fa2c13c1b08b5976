//! The part of a question that leads to stories: patients, studies and words, of which few stories have the same. The rest
//! is asked of what many have alike (`sieve.rs`).

use std::path::Path;

use tantivy::query::{
    BooleanQuery, EmptyQuery, EmptyScorer, EnableScoring, Explanation, Occur, Query, Scorer, TermQuery, TermSetQuery,
    Weight,
};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocId, Searcher, SegmentReader, TantivyError, Term};

use crate::alike::Party;
use crate::document::cut;
use crate::fields::Fields;
use crate::parties::{marks_of, stories_of};
use crate::words::{self, Wanted};
use crate::{FindProblem, Question};

/// The most words that the beginning of a word may stand for.
const WORDS_MAX: usize = 1_000;
/// The most words that are asked for at once.
const WANTED_MAX: usize = 32;

/// The query that these make; none where nothing of the kind is asked.
pub(crate) fn query(
    question: &Question,
    fields: &Fields,
    searcher: &Searcher,
    dir: &Path,
) -> Result<Option<Box<dyn Query>>, FindProblem> {
    let named = [(fields.patient, question.patient.as_deref()), (fields.study, question.study.as_deref())];
    let mut clauses: Vec<Box<dyn Query>> = Vec::new();
    for (field, value) in named {
        clauses.extend(value.map(|value| has(field, cut(value))));
    }
    for wanted in words::wanted(question.text.as_deref().unwrap_or_default()).into_iter().take(WANTED_MAX) {
        let own = match &wanted {
            Wanted::Whole(word) => has(fields.word, word),
            Wanted::Beginning(start) => {
                let words =
                    beginning(searcher, fields.word, start).map_err(|error| FindProblem::engine(dir, &error))?;
                if words.len() > WORDS_MAX {
                    return Err(FindProblem::TooBroad { what: "words", value: format!("{start}*"), max: WORDS_MAX });
                }
                any(words)
            }
        };
        let of_party: Box<dyn Query> = Box::new(PartyWord { field: fields.party_mark, wanted });
        clauses.push(Box::new(BooleanQuery::new(vec![(Occur::Should, own), (Occur::Should, of_party)])));
    }
    if clauses.len() > 1 {
        let all = BooleanQuery::new(clauses.into_iter().map(|clause| (Occur::Must, clause)).collect());
        return Ok(Some(Box::new(all)));
    }
    Ok(clauses.pop())
}

fn has(field: Field, value: &str) -> Box<dyn Query> {
    Box::new(TermQuery::new(Term::from_field_text(field, value), IndexRecordOption::Basic))
}

/// Any of these; nothing has one of none.
fn any(terms: Vec<Term>) -> Box<dyn Query> {
    if terms.is_empty() { Box::new(EmptyQuery) } else { Box::new(TermSetQuery::new(terms)) }
}

/// The stories whose party has a word. Two parties of one mark would pass for each other here: one of billions.
#[derive(Clone, Debug)]
struct PartyWord {
    field: Field,
    wanted: Wanted,
}

impl Query for PartyWord {
    fn weight(&self, _scoring: EnableScoring<'_>) -> tantivy::Result<Box<dyn Weight>> {
        Ok(Box::new(self.clone()))
    }
}

impl Weight for PartyWord {
    fn scorer(&self, segment: &SegmentReader, _boost: f32) -> tantivy::Result<Box<dyn Scorer>> {
        let marks = marks_of(segment, |text| Party::read(text).has(&self.wanted))?;
        let stories = stories_of(segment, self.field, &marks, u64::MAX)?;
        Ok(stories.unwrap_or_else(|| Box::new(EmptyScorer)))
    }

    fn explain(&self, _segment: &SegmentReader, _doc: DocId) -> tantivy::Result<Explanation> {
        Err(TantivyError::InvalidArgument("nobody asks why".to_owned()))
    }
}

/// The words of the index that begin so; at most one more than there may be.
fn beginning(searcher: &Searcher, field: Field, start: &str) -> Result<Vec<Term>, tantivy::TantivyError> {
    let mut found = std::collections::BTreeSet::new();
    for segment in searcher.segment_readers() {
        let terms = segment.inverted_index(field)?;
        let mut stream = terms.terms().range().ge(start.as_bytes()).into_stream()?;
        while found.len() <= WORDS_MAX && stream.advance() && stream.key().starts_with(start.as_bytes()) {
            found.extend(std::str::from_utf8(stream.key()).map(str::to_owned));
        }
    }
    Ok(found.into_iter().map(|word| Term::from_field_text(field, &word)).collect())
}
