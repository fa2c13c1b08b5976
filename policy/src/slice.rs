//! The policies that could apply to one app, one action and one set of roles, prepared to be asked often.

use crate::answer::Outcome;
use crate::edges::Edges;
use crate::explain;
use crate::facts::{Fact, Facts, Reads};
use crate::fit;
use crate::gate::{Gate, Shape};
use crate::index::AppEntry;
use crate::policy::{Policy, Statement};
use crate::{Action, Effect, RuleId, Timestamp, Who};

/// What could decide, by kind, each in the order of the policy.
#[derive(Debug)]
pub(crate) struct Slice {
    /// Rows that forbid.
    forbids: Vec<(Gate, usize)>,
    /// Rows that permit; those without caps first, as bounds of one do not bind whom another permits without.
    permits: Vec<(Gate, usize)>,
    /// Policies written in Cedar. Each of them is asked each time, as any of them may fail.
    written: Vec<usize>,
    /// What those read.
    pub(crate) read_in_cedar: Reads,
    /// The first policy written in Cedar that permits, to tell of.
    pub(crate) written_permit: Option<RuleId>,
    /// The first one that would permit but is not for people who signed in during an outage.
    pub(crate) held_back: Option<RuleId>,
    edges: Edges,
    /// The refusal where no row is for these people, this app and this action.
    pub(crate) nothing_for_it: Outcome,
}

impl Slice {
    pub(crate) fn of(policy: &Policy, app: &AppEntry, action: Action, who: Option<&Who>) -> Self {
        let in_outage = who.is_some_and(|who| who.in_outage);
        let candidates = app.on(action);
        let positions = candidates.about(who);
        let mut slice = Self {
            forbids: Vec::new(),
            permits: Vec::new(),
            written: Vec::new(),
            read_in_cedar: Reads::none(),
            written_permit: None,
            held_back: None,
            edges: Edges::default(),
            nothing_for_it: explain::nothing_for(policy, app, who),
        };
        for (position, statement) in positions.iter().filter_map(|at| Some((*at, policy.statements.get(*at)?))) {
            slice.add(position, statement, in_outage);
        }
        let bounded = |position: usize| policy.row(position).is_some_and(|row| row.caps.is_some());
        slice.permits.sort_by_key(|(_, position)| bounded(*position));
        // To nobody, other people's rows are explained too.
        let weighed = if who.is_some() { &positions } else { &candidates.all };
        let rows = policy.at(weighed).filter_map(Statement::row);
        slice.edges = Edges::of(rows, slice.read_in_cedar.has(Fact::Posture));
        slice
    }

    fn add(&mut self, position: usize, statement: &Statement, in_outage: bool) {
        if let Some((row, gate)) = &statement.row {
            match row.effect {
                Effect::Forbid => self.forbids.push((*gate, position)),
                Effect::Permit => self.permits.push((*gate, position)),
            }
            return;
        }
        if statement.permits() {
            if in_outage && !statement.mentions_outage {
                self.held_back.get_or_insert_with(|| statement.rule.clone());
                return;
            }
            self.written_permit.get_or_insert_with(|| statement.rule.clone());
        }
        self.written.push(position);
        self.read_in_cedar = self.read_in_cedar.and(statement.reads);
    }

    /// Puts together, in the order of the policy, what Cedar must be asked about: every row that fits and forbids, the
    /// first row that fits and permits, and all that was written in Cedar.
    pub(crate) fn choose(&self, policy: &Policy, facts: &Facts<'_>, chosen: &mut Vec<usize>) {
        let shape = Shape::of(facts, &policy.marks);
        let fits = |(gate, position): &&(Gate, usize)| {
            gate.admits(&shape) && policy.row(*position).is_some_and(|row| fit::fits(row, facts))
        };
        chosen.clear();
        chosen.extend(self.forbids.iter().filter(fits).map(|(_, position)| *position));
        chosen.extend(self.permits.iter().find(fits).map(|(_, position)| *position));
        chosen.extend(&self.written);
    }

    /// The rows that permit.
    pub(crate) fn permits(&self) -> impl Iterator<Item = usize> {
        self.permits.iter().map(|(_, position)| *position)
    }

    /// The next moment at which time alone may change what the rows say, or what is believed of a device.
    pub(crate) fn next_edge(&self, facts: &Facts<'_>) -> Timestamp {
        self.edges.next(facts)
    }
}
