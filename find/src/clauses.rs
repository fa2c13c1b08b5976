//! The part of a question that terms answer.

use std::path::Path;

use tantivy::query::{AllQuery, BooleanQuery, EmptyQuery, Occur, Query, TermQuery, TermSetQuery};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{Searcher, Term};

use policy::Unit;

use crate::document::cut;
use crate::fields::Fields;
use crate::words::{self, Wanted};
use crate::{FindProblem, Question};

/// The most words that the beginning of a word may stand for.
const WORDS_MAX: usize = 1_000;
/// The most words that are asked for at once.
const WANTED_MAX: usize = 32;

/// The query that all terms of a question make.
pub(crate) fn query(
    question: &Question,
    fields: &Fields,
    searcher: &Searcher,
    dir: &Path,
) -> Result<Box<dyn Query>, FindProblem> {
    let address = question.address.and_then(|addresses| addresses.only()).map(|address| address.to_string());
    let named = [
        (fields.patient, question.patient.as_deref()),
        (fields.study, question.study.as_deref()),
        (fields.who, question.person.as_deref()),
        (fields.device, question.device.as_deref()),
        (fields.app, question.app.as_deref()),
        (fields.action, question.action.as_deref()),
        (fields.class, question.class.as_deref()),
        (fields.outcome, question.outcome.map(|outcome| outcome.code())),
        (fields.reason, question.reason.as_deref()),
        (fields.rule, question.rule.as_deref()),
        (fields.grant, question.grant.as_deref()),
        (fields.role, question.role.as_deref()),
        (fields.unit, question.unit.as_ref().map(Unit::as_str)),
        (fields.address, address.as_deref()),
        (fields.event, question.event.as_deref()),
        (fields.session, question.session.as_deref()),
        (fields.revision, question.revision.as_deref()),
    ];
    let mut clauses: Vec<Box<dyn Query>> = Vec::new();
    for (field, value) in named {
        clauses.extend(value.map(|value| has(field, cut(value))));
    }
    if let Some(units) = &question.within {
        clauses.push(one_of(fields.unit, units));
    }
    for wanted in words::wanted(question.text.as_deref().unwrap_or_default()).into_iter().take(WANTED_MAX) {
        clauses.push(match wanted {
            Wanted::Whole(word) => has(fields.word, &word),
            Wanted::Beginning(start) => {
                let words =
                    beginning(searcher, fields.word, &start).map_err(|error| FindProblem::engine(dir, &error))?;
                if words.len() > WORDS_MAX {
                    return Err(FindProblem::TooBroad { what: "words", value: format!("{start}*"), max: WORDS_MAX });
                }
                any(words)
            }
        });
    }
    if clauses.len() > 1 {
        return Ok(Box::new(BooleanQuery::new(clauses.into_iter().map(|clause| (Occur::Must, clause)).collect())));
    }
    Ok(clauses.pop().unwrap_or_else(|| Box::new(AllQuery)))
}

fn has(field: Field, value: &str) -> Box<dyn Query> {
    Box::new(TermQuery::new(Term::from_field_text(field, value), IndexRecordOption::Basic))
}

fn one_of(field: Field, units: &[Unit]) -> Box<dyn Query> {
    any(units.iter().map(|unit| Term::from_field_text(field, cut(unit.as_str()))).collect())
}

/// Any of these; nothing has one of none.
fn any(terms: Vec<Term>) -> Box<dyn Query> {
    if terms.is_empty() { Box::new(EmptyQuery) } else { Box::new(TermSetQuery::new(terms)) }
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
