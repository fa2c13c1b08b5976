//! One loaded version of the policy: table and files, compiled, checked and indexed.

use std::collections::HashSet;
use std::sync::Arc;

use cedar_policy::{PolicyId, Schema, Validator};

use crate::calendar::Calendar;
use crate::facts::Reads;
use crate::gate::{Gate, Marks};
use crate::index::{AppEntry, Index, Scope};
use crate::mould::Moulds;
use crate::schema::{self, Words};
use crate::{
    AppFacts, AppId, Caps, CedarFile, Classifier, ConsoleRoles, PolicyPlace, PolicyProblem, PolicySource, Revision,
    Rule, RuleId, cedar_file, check, compile,
};

/// One loaded version of the policy: immutable, shared by every worker.
#[derive(Debug)]
pub struct Policy {
    revision: Revision,
    pub(crate) calendar: Calendar,
    pub(crate) words: Words,
    pub(crate) marks: Marks,
    pub(crate) console: ConsoleRoles,
    /// The table's rows, then the files' policies, each in the order written.
    pub(crate) statements: Vec<Statement>,
    index: Index,
    /// For apps that there are not.
    unclassified: Classifier,
}

/// One policy as Cedar judges it.
#[derive(Clone, Debug)]
pub(crate) struct Statement {
    pub(crate) rule: RuleId,
    pub(crate) cedar: cedar_policy::Policy,
    pub(crate) scope: Scope,
    pub(crate) reads: Reads,
    /// The row it was compiled from; `None` if it was written in Cedar.
    pub(crate) row: Option<(Rule, Gate)>,
    /// Whether, written in Cedar, it says anything of people who signed in during an outage.
    pub(crate) mentions_outage: bool,
}

impl Policy {
    /// Compiles the table, reads the Cedar files and checks all of it.
    ///
    /// # Errors
    /// Every problem at once; nothing may be served by such a policy.
    pub fn load(source: &PolicySource) -> Result<Self, Vec<PolicyProblem>> {
        let mut problems = check::check(&source.rules, &source.apps);
        let schema = schema::schema(&source.apps);
        let validator = Validator::new(schema.clone());
        let mut statements = Vec::new();
        let marks = Marks::of(&source.rules);
        if problems.is_empty() {
            let mut moulds = Moulds::new(&validator);
            for rule in &source.rules {
                compile_row(rule, &mut moulds, &marks)
                    .map_or_else(|found| problems.push(found), |row| statements.push(row));
            }
        }
        let mut names: HashSet<_> = source.rules.iter().map(|rule| rule.id.clone()).collect();
        for file in &source.cedar {
            match cedar_file::read(file, &validator) {
                Ok(policies) => {
                    for (rule, policy) in policies {
                        if !names.insert(rule.clone()) {
                            problems.push(taken(file, &policy, &rule));
                        }
                        statements.push(Statement::written(rule, &policy));
                    }
                }
                Err(found) => problems.extend(found),
            }
        }
        if problems.is_empty() { Ok(Self::of(source, &schema, marks, statements)) } else { Err(problems) }
    }

    fn of(source: &PolicySource, schema: &Schema, marks: Marks, statements: Vec<Statement>) -> Self {
        Self {
            revision: source.revision.clone(),
            calendar: Calendar::new(source.offset, source.holidays.clone()),
            words: Words::of(schema),
            marks,
            console: source.console.clone(),
            index: index(&source.apps, &statements),
            statements,
            unclassified: Classifier::default(),
        }
    }

    /// The name of this version.
    #[must_use]
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// What the requests of an app do, and to which information; by method alone for an app that there is not.
    #[must_use]
    pub fn classifier(&self, app: &AppId) -> &Classifier {
        self.app(app).map_or(&self.unclassified, |entry| &entry.classifier)
    }

    /// Every app it knows, the gateway's own parts too, in the order written.
    pub fn apps(&self) -> impl Iterator<Item = &AppFacts> {
        self.index.apps()
    }

    pub(crate) fn app(&self, app: &AppId) -> Option<&AppEntry> {
        self.index.app(app)
    }

    /// The row at a position, if one stands there.
    pub(crate) fn row(&self, position: usize) -> Option<&Rule> {
        self.statements.get(position).and_then(Statement::row)
    }

    /// The statements at these positions, in order.
    pub(crate) fn at<'a>(&'a self, positions: &'a [usize]) -> impl Iterator<Item = &'a Statement> + Clone {
        positions.iter().filter_map(|position| self.statements.get(*position))
    }
}

impl Statement {
    fn written(rule: RuleId, policy: &cedar_policy::Policy) -> Self {
        Self {
            cedar: without_places(policy.new_id(PolicyId::new(rule.as_str()))),
            scope: Scope::of_policy(policy),
            reads: cedar_file::reads(policy),
            row: None,
            mentions_outage: cedar_file::mentions_outage(policy),
            rule,
        }
    }

    pub(crate) fn row(&self) -> Option<&Rule> {
        self.row.as_ref().map(|(row, _)| row)
    }

    /// The bounds of a row that permits.
    pub(crate) fn caps(&self) -> Option<&Arc<Caps>> {
        self.row().and_then(|row| row.caps.as_ref())
    }

    pub(crate) fn permits(&self) -> bool {
        self.cedar.effect() == cedar_policy::Effect::Permit
    }
}

fn index(apps: &[AppFacts], statements: &[Statement]) -> Index {
    let configured = statements.iter().map(|statement| (&statement.scope, statement.reads));
    Index::of(apps, configured)
}

fn compile_row(rule: &Rule, moulds: &mut Moulds<'_>, marks: &Marks) -> Result<Statement, PolicyProblem> {
    let rule = &rule.led_around_by_no_slash();
    let cedar = moulds.cast(&rule.id, &compile::statement(rule)).map_err(|reason| PolicyProblem {
        place: PolicyPlace::Rule(rule.id.clone()),
        reason,
        remedy: "correct the rule".to_owned(),
    })?;
    Ok(Statement {
        rule: rule.id.clone(),
        cedar,
        scope: Scope::of_rule(rule),
        reads: compile::reads(rule),
        row: Some((rule.clone(), Gate::of(rule, marks))),
        mentions_outage: false,
    })
}

/// The same policy without its places in a text, which Cedar copies at each step of an evaluation.
pub(crate) fn without_places(policy: cedar_policy::Policy) -> cedar_policy::Policy {
    let again =
        policy.to_json().ok().and_then(|json| cedar_policy::Policy::from_json(Some(policy.id().clone()), json).ok());
    again.unwrap_or(policy)
}

fn taken(file: &CedarFile, policy: &cedar_policy::Policy, rule: &RuleId) -> PolicyProblem {
    let start = policy.to_cedar().and_then(|text| file.text.find(&text)).unwrap_or(0);
    PolicyProblem {
        place: PolicyPlace::in_file(&file.name, &file.text, start),
        reason: format!("`{rule}` is the name of an earlier rule"),
        remedy: "give each rule its own name".to_owned(),
    }
}
