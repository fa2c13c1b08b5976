//! The way through the stories of a leaf that a question fits: by their rows, by moments, hours of work, and the
//! request's code.

use crate::calendar::AtWork;
use crate::clauses::Clauses;
use crate::fields::Column;
use crate::leaf::Leaf;
use crate::story::{code, millis};
use crate::{Deadline, FindProblem, Question};

/// What a question asks.
pub(crate) struct Sieve<'q> {
    question: &'q Question,
    pub(crate) clauses: Clauses<'q>,
    since: u64,
    until: u64,
    code: Option<u64>,
}

impl<'q> Sieve<'q> {
    pub(crate) fn new(question: &'q Question) -> Result<Self, FindProblem> {
        let code = match question.request.as_deref().map(str::trim) {
            Some(request) => Some(code(request).ok_or_else(|| FindProblem::Question {
                what: "request",
                value: request.to_owned(),
                remedy: "write its id, or the last eight digits of it",
            })?),
            None => None,
        };
        let micros = u64::try_from(question.until.unix_micros()).unwrap_or(0);
        let (since, until) = (millis(question.since), micros.div_ceil(1_000));
        Ok(Self { question, clauses: Clauses::of(question), since, until, code })
    }

    /// Whether a leaf has stories of the time that is asked for.
    pub(crate) fn reaches(&self, leaf: &dyn Leaf) -> bool {
        leaf.moments().is_some_and(|(earliest, latest)| latest >= self.since && earliest < self.until)
    }

    /// The stories of a leaf that fit, in its order.
    pub(crate) fn fitting(&self, leaf: &dyn Leaf, deadline: &Deadline) -> Result<Vec<u32>, FindProblem> {
        deadline.check()?;
        let nothing = Ok(Vec::new());
        let Some((earliest, latest)) = leaf.moments().filter(|_| self.reaches(leaf)) else { return nothing };
        let Some(rows) = self.clauses.on(leaf, deadline)? else { return nothing };
        let mut stories: Vec<u32> = (0..u32::try_from(leaf.stories()).unwrap_or(u32::MAX)).collect();
        if !leaf.dead().is_empty() {
            let mut dead = leaf.dead().iter().peekable();
            stories.retain(|story| dead.next_if_eq(&story).is_none());
        }
        if let Some(wanted) = self.code {
            retain(&mut stories, leaf, Column::Code, |code| code == wanted)?;
        }
        for (part, marks) in &rows.parts {
            retain(&mut stories, leaf, Column::Row(*part), |row| marks.has(row))?;
        }
        for having in &rows.words {
            let mut columns = Vec::new();
            for (part, marks) in having {
                columns.push((leaf.column(Column::Row(*part))?, marks));
            }
            stories.retain(|story| {
                columns.iter().any(|(column, marks)| column.get(*story as usize).is_some_and(|row| marks.has(*row)))
            });
        }
        if earliest < self.since || latest >= self.until {
            retain(&mut stories, leaf, Column::At, |at| (self.since..self.until).contains(&at))?;
        }
        if let Some(wanted) = self.question.out_of_hours {
            let mut work = AtWork::new(&self.question.calendar);
            retain(&mut stories, leaf, Column::At, |at| wanted != work.at(at))?;
        }
        Ok(stories)
    }
}

/// Keeps the stories whose value is wanted.
fn retain(
    stories: &mut Vec<u32>,
    leaf: &dyn Leaf,
    column: Column,
    mut is_wanted: impl FnMut(u64) -> bool,
) -> Result<(), FindProblem> {
    if !stories.is_empty() {
        let values = leaf.column(column)?;
        stories.retain(|story| values.get(*story as usize).is_some_and(|value| is_wanted(*value)));
    }
    Ok(())
}
