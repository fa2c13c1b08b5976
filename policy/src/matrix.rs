//! The whole policy as a sheet that can be read and signed: who may do what with which information of which app, and on
//! what conditions. A plain value, made from what the policy itself judges by.
//!
//! A person may do what the columns of their roles, taken together, allow and none of them forbids; whoever is signed
//! in has the column [`Subject::SignedIn`] too. The gateway's own parts (sign-in, portal, console) are not in it: no
//! rule reaches them. What a policy written in Cedar asks is told as [`Condition::InCedar`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::index::AppEntry;
use crate::policy::{Policy, Statement};
use crate::{Action, AppId, Caps, Condition, Effect, InfoClass, Revision, RoleId, RuleId, compile};

/// Who may do what, on what conditions.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// The version of the policy it shows.
    pub revision: Revision,
    /// The columns of every table.
    pub subjects: Vec<Subject>,
    /// The rules that stand in some cell, in the order of the policy.
    pub entries: Vec<Entry>,
    /// The apps, in the order of the configuration.
    pub apps: Vec<AppTable>,
}

/// Whom a column is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Subject {
    /// Nobody: not signed in.
    Nobody,
    /// Whoever is signed in, whatever their roles.
    SignedIn,
    /// Whoever has this role.
    Role(RoleId),
}

/// A rule, as cells name it.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The rule.
    pub rule: RuleId,
    /// Allows or forbids.
    pub effect: Effect,
    /// What it asks beside person, app, action and class; [`Condition::NoOutage`] is not among them.
    pub conditions: Vec<Condition>,
    /// Whether it also reaches people who signed in while their provider was out.
    pub in_outage: bool,
    /// How much of it, where that is bounded.
    pub caps: Option<Arc<Caps>>,
}

/// One app.
#[derive(Clone, Debug)]
pub struct AppTable {
    /// The app.
    pub app: AppId,
    /// One for each class its routes name, and for what is in no class, and each action.
    pub lines: Vec<Line>,
}

/// One kind of access to an app.
#[derive(Clone, Debug)]
pub struct Line {
    /// The class of information; `None` for what the app's routes put in no class.
    pub class: Option<InfoClass>,
    /// The action.
    pub action: Action,
    /// Whether a request to the app can come to this.
    pub is_asked: bool,
    /// For each subject.
    pub cells: Vec<Cell>,
}

/// What holds for one subject and one kind of access: positions in [`Matrix::entries`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// The rules that may allow it.
    pub permits: Vec<usize>,
    /// The rules that may forbid it.
    pub forbids: Vec<usize>,
}

/// A cell at a glance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Allowed by this rule without a condition, outside of outages.
    Always(usize),
    /// Allowed where one of these rules fits.
    When(Vec<usize>),
    /// Not allowed.
    Never(NeverBecause),
}

/// Why a cell is empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NeverBecause {
    /// No rule allows it.
    NoRule,
    /// This rule forbids it without a condition.
    Forbidden(usize),
}

/// Lines of one class that say the same for every subject.
#[derive(Clone, Debug)]
pub struct Lines<'a> {
    /// The class.
    pub class: Option<&'a InfoClass>,
    /// The actions.
    pub actions: Vec<Action>,
    /// For each subject.
    pub cells: &'a [Cell],
}

impl Matrix {
    /// Shows a policy. Roles that no rule names have a column where they are given here.
    #[must_use]
    pub fn of(policy: &Policy, roles: impl IntoIterator<Item = RoleId>) -> Self {
        let subjects = subjects(policy, roles);
        let apps: Vec<&AppEntry> =
            policy.apps().filter(|app| !app.built_in).filter_map(|app| policy.app(&app.id)).collect();
        let mut matrix = Self { revision: policy.revision().clone(), subjects, entries: Vec::new(), apps: Vec::new() };
        let mut places = BTreeMap::new();
        // In the order of the policy, whichever cell names them first.
        let named: BTreeSet<usize> =
            apps.iter().flat_map(|app| Action::ALL.map(|action| app.on(action).all.clone())).flatten().collect();
        for position in named {
            if let Some(statement) = policy.statements.get(position) {
                places.insert(position, matrix.entries.len());
                matrix.entries.push(Entry::of(statement));
            }
        }
        matrix.apps = apps.iter().map(|app| matrix.table(policy, app, &places)).collect();
        matrix
    }

    fn table(&self, policy: &Policy, app: &AppEntry, places: &BTreeMap<usize, usize>) -> AppTable {
        let classes = classes(app);
        let lines = classes.iter().flat_map(|class| {
            Action::ALL.map(|action| {
                let cell = |subject: &Subject| self.cell(policy, app, class.as_ref(), action, subject, places);
                Line {
                    class: class.clone(),
                    action,
                    is_asked: is_asked(app, class.as_ref(), action),
                    cells: self.subjects.iter().map(cell).collect(),
                }
            })
        });
        AppTable { app: app.facts.id.clone(), lines: lines.collect() }
    }

    fn cell(
        &self,
        policy: &Policy,
        app: &AppEntry,
        class: Option<&InfoClass>,
        action: Action,
        subject: &Subject,
        places: &BTreeMap<usize, usize>,
    ) -> Cell {
        let mut cell = Cell::default();
        for position in &app.on(action).all {
            let Some(statement) = policy.statements.get(*position) else { continue };
            if !statement.scope.admits(subject) || !is_about(statement, class) {
                continue;
            }
            let place = places.get(position).copied();
            if statement.permits() { cell.permits.extend(place) } else { cell.forbids.extend(place) }
        }
        cell
    }

    /// A cell at a glance.
    #[must_use]
    pub fn reading(&self, cell: &Cell) -> Reading {
        let always = |place: &&usize| self.entries.get(**place).is_some_and(|entry| entry.conditions.is_empty());
        if let Some(place) = cell.forbids.iter().find(always) {
            return Reading::Never(NeverBecause::Forbidden(*place));
        }
        // Where one rule bounds how much and another does not, the one without bounds decides.
        let is_free = |place: &&usize| self.entries.get(**place).is_some_and(|entry| entry.caps.is_none());
        let free = cell.permits.iter().filter(always).find(is_free);
        match free.or_else(|| cell.permits.iter().find(always)) {
            Some(place) => Reading::Always(*place),
            None if cell.permits.is_empty() => Reading::Never(NeverBecause::NoRule),
            None => Reading::When(cell.permits.clone()),
        }
    }

    /// Whether some rule allows it to people who signed in while their provider was out, on what conditions ever.
    #[must_use]
    pub fn reaches_outages(&self, cell: &Cell) -> bool {
        cell.permits.iter().any(|place| self.entries.get(*place).is_some_and(|entry| entry.in_outage))
    }
}

impl Matrix {
    /// What a request to an app can come to, lines of one class that read the same put together.
    #[must_use]
    pub fn together<'a>(&self, table: &'a AppTable) -> Vec<Lines<'a>> {
        let mut together: Vec<Lines<'a>> = Vec::new();
        for line in table.lines.iter().filter(|line| line.is_asked) {
            let same = |lines: &&mut Lines<'_>| {
                let reads_the_same = |(one, other): (&Cell, &Cell)| self.reads_the_same(one, other);
                lines.class == line.class.as_ref() && lines.cells.iter().zip(&line.cells).all(reads_the_same)
            };
            match together.iter_mut().find(same) {
                Some(lines) => lines.actions.push(line.action),
                None => {
                    together.push(Lines { class: line.class.as_ref(), actions: vec![line.action], cells: &line.cells });
                }
            }
        }
        together
    }

    /// Whether two cells say the same: what forbids where nothing is allowed says nothing.
    fn reads_the_same(&self, one: &Cell, other: &Cell) -> bool {
        match (self.reading(one), self.reading(other)) {
            (Reading::Never(one), Reading::Never(other)) => one == other,
            (Reading::Never(_), _) | (_, Reading::Never(_)) => false,
            (Reading::Always(_) | Reading::When(_), Reading::Always(_) | Reading::When(_)) => one == other,
        }
    }
}

impl Entry {
    fn of(statement: &Statement) -> Self {
        let effect = if statement.permits() { Effect::Permit } else { Effect::Forbid };
        let (conditions, in_outage, caps) = match statement.row() {
            Some(row) => {
                let but_outages = |condition: &Condition| *condition != Condition::NoOutage;
                let conditions = Condition::of_situation(row).filter(but_outages).collect();
                (conditions, compile::reaches_outages(row), row.caps.clone())
            }
            None => (vec![Condition::InCedar], effect == Effect::Forbid || statement.mentions_outage, None),
        };
        Self { rule: statement.rule.clone(), effect, conditions, in_outage, caps }
    }
}

fn subjects(policy: &Policy, roles: impl IntoIterator<Item = RoleId>) -> Vec<Subject> {
    let scopes = || policy.statements.iter().filter(|statement| statement.permits()).map(|statement| &statement.scope);
    let nobody = scopes().any(|scope| scope.admits(&Subject::Nobody)).then_some(Subject::Nobody);
    let somebody = scopes().any(|scope| scope.admits(&Subject::SignedIn)).then_some(Subject::SignedIn);
    let mut subjects: Vec<Subject> = nobody.into_iter().chain(somebody).collect();
    let named = policy.statements.iter().flat_map(|statement| statement.scope.roles()).cloned();
    let mut seen = BTreeSet::new();
    for role in roles.into_iter().chain(named) {
        if seen.insert(role.clone()) {
            subjects.push(Subject::Role(role));
        }
    }
    subjects
}

/// The classes that the app's routes name, in their order, after what is in none.
fn classes(app: &AppEntry) -> Vec<Option<InfoClass>> {
    let mut classes = vec![None];
    for route in &app.facts.routes {
        if !classes.contains(&Some(route.class.clone())) {
            classes.push(Some(route.class.clone()));
        }
    }
    classes
}

/// Whether a request can come to this: by its method, or by what a route says. What no route classifies is asked for
/// unless one takes whatever is left.
fn is_asked(app: &AppEntry, class: Option<&InfoClass>, action: Action) -> bool {
    let by_method = [Action::Read, Action::Write, Action::Delete, Action::Connect];
    let Some(class) = class else { return by_method.contains(&action) };
    app.facts.routes.iter().filter(|route| route.class == *class).any(|route| match route.action {
        Some(given) => given == action,
        None if route.methods.is_empty() => by_method.contains(&action),
        None => route.methods.iter().any(|method| method.action() == action),
    })
}

/// Whether a statement can be about a class. Of what is written in Cedar nobody knows but Cedar.
fn is_about(statement: &Statement, class: Option<&InfoClass>) -> bool {
    statement.row().is_none_or(|row| row.classes.is_empty() || class.is_some_and(|class| row.classes.contains(class)))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::fixtures::{rule, rule_with, source};
    use crate::{ClassRoute, Devices, Method, RoutePattern, Rule, Subjects};

    fn route(class: &str, action: Option<Action>, methods: &[&str]) -> ClassRoute {
        ClassRoute {
            methods: methods.iter().filter_map(|method| Method::parse(method)).collect(),
            pattern: RoutePattern::parse(&format!("/{class}/**")).unwrap(),
            action,
            class: class.parse().unwrap(),
            patients: None,
            folds: false,
            ward_field: None,
        }
    }

    fn matrix(rules: Vec<Rule>, cedar: &str) -> Matrix {
        let mut source = source(rules, cedar);
        source.apps[0].routes =
            vec![route("chart", None, &["GET"]), route("chart", Some(Action::Export), &[]), route("images", None, &[])];
        Matrix::of(&Arc::new(Policy::load(&source).unwrap()), ["clerk".parse().unwrap()])
    }

    /// `class action: reading` of each line of the EMR for one subject.
    fn column(matrix: &Matrix, subject: &Subject) -> Vec<String> {
        let place = matrix.subjects.iter().position(|one| one == subject).unwrap();
        let told = |lines: Lines<'_>| {
            let actions: Vec<_> = lines.actions.iter().map(|action| action.as_str()).collect();
            let class = lines.class.map_or("-", InfoClass::as_str);
            let reading = match matrix.reading(&lines.cells[place]) {
                Reading::Always(rule) => format!("always {}", matrix.entries[rule].rule),
                Reading::When(rules) => format!("when {}", rules.len()),
                Reading::Never(NeverBecause::NoRule) => "never".to_owned(),
                Reading::Never(NeverBecause::Forbidden(rule)) => format!("forbidden {}", matrix.entries[rule].rule),
            };
            format!("{class} {}: {reading}", actions.join(","))
        };
        matrix.together(&matrix.apps[0]).into_iter().map(told).collect()
    }

    #[test]
    fn a_sheet_has_a_column_for_every_role_and_a_line_for_whatever_can_be_asked() {
        let matrix = matrix(
            vec![
                rule_with("charts", |rule| {
                    rule.classes = vec!["chart".parse().unwrap()];
                    rule.in_outage = true;
                }),
                rule_with("images", |rule| rule.devices = Devices::Known),
                rule_with("never", |rule| {
                    rule.effect = Effect::Forbid;
                    rule.subjects = Subjects::Anyone;
                    rule.classes = vec!["images".parse().unwrap()];
                    rule.actions = vec![Action::Write];
                }),
            ],
            "",
        );
        let [clerk, nurse] = ["clerk", "nurse"].map(|role| Subject::Role(role.parse().unwrap()));
        assert_eq!(matrix.subjects, [clerk.clone(), nurse.clone()]);
        assert_eq!(matrix.apps.len(), 2, "the gateway's own apps are not in it");
        assert_eq!(
            column(&matrix, &nurse),
            [
                "- read: when 1",
                "- write,delete,connect: never",
                "chart read: always charts",
                "chart export: never",
                "images read: when 1",
                "images write,delete: forbidden never",
                "images connect: never",
            ]
        );
        assert!(column(&matrix, &clerk).iter().all(|line| line.ends_with("never")));
        let chart = &matrix.apps[0].lines.iter().find(|line| line.class.is_some()).unwrap().cells[1];
        assert!(matrix.reaches_outages(chart));
    }

    #[test]
    fn who_is_not_signed_in_has_a_column_where_a_rule_is_about_them() {
        let open = rule_with("open", |rule| rule.subjects = Subjects::Anyone);
        assert_eq!(matrix(vec![open], "").subjects[..2], [Subject::Nobody, Subject::SignedIn]);
        assert!(!matrix(vec![rule("r", "nurse", "emr")], "").subjects.contains(&Subject::SignedIn));
    }

    #[test]
    fn what_is_written_in_cedar_is_told_as_such() {
        let cedar = r#"@id("v") permit (principal in Sekimori::Role::"vendor", action, resource) when { context.zone == "x" };"#;
        let matrix = matrix(vec![], cedar);
        assert_eq!(matrix.entries[0].conditions, [Condition::InCedar]);
        assert!(column(&matrix, &Subject::Role("vendor".parse().unwrap())).iter().all(|line| line.ends_with("when 1")));
    }
}
