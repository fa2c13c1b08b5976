//! The part of a question that texts answer: which rows of each part fit it.

use std::borrow::Cow;
use std::collections::BTreeSet;

use policy::Unit;

use crate::fields::{Field, Part};
use crate::leaf::{Leaf, Marks, Texts};
use crate::story::cut;
use crate::words::{self, Wanted};
use crate::{Addresses, Deadline, FindProblem, Question};

/// The most words that the beginning of a word may stand for.
const WORDS_MAX: usize = 1_000;
/// The most words that are asked for at once.
const WANTED_MAX: usize = 32;

/// What a question asks of texts. Each clause must hold.
pub(crate) struct Clauses<'q> {
    /// Of one field.
    of_field: Vec<(Field, Texts<'q>)>,
    /// Words: wherever words stand.
    of_words: Vec<Texts<'q>>,
    network: Option<Addresses>,
}

/// Which rows of a leaf fit.
pub(crate) struct Rows {
    /// Of each part of which something is asked.
    pub(crate) parts: Vec<(Part, Marks)>,
    /// For each word, the rows that have it: a story needs one of these.
    pub(crate) words: Vec<Vec<(Part, Marks)>>,
}

impl<'q> Clauses<'q> {
    pub(crate) fn of(question: &'q Question) -> Self {
        let only = question.address.and_then(|addresses| addresses.only()).map(|address| address.to_string());
        let named = [
            (Field::Patient, question.patient.as_deref()),
            (Field::Study, question.study.as_deref()),
            (Field::Who, question.person.as_deref()),
            (Field::Device, question.device.as_deref()),
            (Field::App, question.app.as_deref()),
            (Field::Action, question.action.as_deref()),
            (Field::Class, question.class.as_deref()),
            (Field::Outcome, question.outcome.map(|outcome| outcome.code())),
            (Field::Reason, question.reason.as_deref()),
            (Field::Rule, question.rule.as_deref()),
            (Field::Grant, question.grant.as_deref()),
            (Field::Role, question.role.as_deref()),
            (Field::Unit, question.unit.as_ref().map(Unit::as_str)),
            (Field::Event, question.event.as_deref()),
            (Field::Session, question.session.as_deref()),
            (Field::Revision, question.revision.as_deref()),
        ];
        let one = |text: &'q str| Texts::These(vec![Cow::Borrowed(cut(text))]);
        let mut of_field: Vec<_> = named.into_iter().filter_map(|(field, text)| Some((field, one(text?)))).collect();
        let network = question.address.filter(|_| only.is_none());
        of_field.extend(only.map(|address| (Field::Address, Texts::These(vec![Cow::Owned(address)]))));
        if let Some(units) = &question.within {
            let texts = units.iter().map(|unit| Cow::Borrowed(cut(unit.as_str()))).collect();
            of_field.push((Field::Unit, Texts::These(texts)));
        }
        let wanted = words::wanted(question.text.as_deref().unwrap_or_default()).into_iter().take(WANTED_MAX);
        let of_words = wanted.map(|wanted| match wanted {
            Wanted::Whole(word) => Texts::These(vec![Cow::Owned(word)]),
            Wanted::Beginning(start) => Texts::Beginning(start),
        });
        Self { of_field, of_words: of_words.collect(), network }
    }

    /// The beginnings of words that are asked for.
    pub(crate) fn beginnings(&self) -> impl Iterator<Item = &str> {
        self.of_words.iter().filter_map(|texts| match texts {
            Texts::Beginning(start) => Some(start.as_str()),
            Texts::These(_) | Texts::Where(_) => None,
        })
    }

    /// The rows of a leaf that fit; none where no story can.
    pub(crate) fn on(&self, leaf: &dyn Leaf, deadline: &Deadline) -> Result<Option<Rows>, FindProblem> {
        let mut rows = Rows { parts: Vec::new(), words: Vec::new() };
        for (field, texts) in &self.of_field {
            if !rows.must(leaf, *field, texts)? {
                return Ok(None);
            }
        }
        if let Some(network) = self.network {
            let is_of_it = move |text: &str| text.parse().is_ok_and(|address| network.has(address));
            if !rows.must(leaf, Field::Address, &Texts::Where(&is_of_it))? {
                return Ok(None);
            }
        }
        if !self.words_on(leaf, deadline, &mut rows)? {
            return Ok(None);
        }
        Ok(Some(rows))
    }

    /// Adds for each word the rows that have it; false where one stands nowhere. Names are looked at before rows, and both
    /// once for all words: rows are most of what is read.
    fn words_on(&self, leaf: &dyn Leaf, deadline: &Deadline, rows: &mut Rows) -> Result<bool, FindProblem> {
        if self.of_words.is_empty() {
            return Ok(true);
        }
        let mut marked = Vec::new();
        for field in Field::WORDS {
            marked.push((field, leaf.marks(field, &self.of_words)?));
        }
        let stands = |word: usize| marked.iter().any(|(_, marks)| marks.get(word).is_some_and(Marks::is_any));
        if !(0..self.of_words.len()).all(stands) {
            return Ok(false);
        }
        rows.words = vec![Vec::new(); self.of_words.len()];
        for (field, marks) in marked.iter().filter(|(_, marks)| marks.iter().any(Marks::is_any)) {
            deadline.check()?;
            let lists = leaf.lists(*field)?;
            for (having, marks) in rows.words.iter_mut().zip(marks).filter(|(_, marks)| marks.is_any()) {
                having.push((field.part(), lists.rows_with(marks)));
            }
        }
        Ok(true)
    }
}

impl Rows {
    /// Keeps the rows that have one of these; false where none is left.
    fn must(&mut self, leaf: &dyn Leaf, field: Field, texts: &Texts<'_>) -> Result<bool, FindProblem> {
        let marks = leaf.marks(field, std::slice::from_ref(texts))?.pop();
        let Some(marks) = marks.filter(Marks::is_any) else { return Ok(false) };
        let mut having = leaf.lists(field)?.rows_with(&marks);
        let part = field.part();
        if let Some(place) = self.parts.iter().position(|(known, _)| *known == part) {
            having = having.and(&self.parts.swap_remove(place).1);
        }
        let is_any = having.is_any();
        self.parts.push((part, having));
        Ok(is_any)
    }
}

/// The words that begin so, over all leaves that are looked at; a problem where there are too many.
pub(crate) struct Beginning<'q> {
    start: &'q str,
    words: BTreeSet<String>,
}

impl<'q> Beginning<'q> {
    pub(crate) fn new(start: &'q str) -> Self {
        Self { start, words: BTreeSet::new() }
    }

    pub(crate) fn look(&mut self, leaf: &dyn Leaf) -> Result<(), FindProblem> {
        for field in Field::WORDS {
            leaf.beginning(field, self.start, &mut |word| {
                if !self.words.contains(word) {
                    self.words.insert(word.to_owned());
                }
                self.words.len() <= WORDS_MAX
            })?;
        }
        if self.words.len() > WORDS_MAX {
            return Err(FindProblem::TooBroad { what: "words", value: format!("{}*", self.start), max: WORDS_MAX });
        }
        Ok(())
    }
}
