//! The scope index: which policies could apply to whom, in which app, for which action. Cedar would look at every
//! policy, one to two microseconds each; the index names the few that can matter.
//!
//! What the index does not understand is always a candidate, so it can only be too generous; a property test shows
//! the same answers as the full scan.

use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};
use foldhash::HashMap;

use crate::facts::Reads;
use crate::schema::{self, kind};
use crate::{Action, AppFacts, AppId, Apps, Classifier, RoleId, Rule, Subject, Subjects, Who};

/// To whom and what a policy can apply at most.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    principals: Principals,
    apps: Apps,
    actions: Vec<Action>,
}

/// Whom a policy can be about at most.
#[derive(Clone, Debug)]
enum Principals {
    Anyone,
    Nobody,
    SignedIn,
    Roles(Vec<RoleId>),
}

impl Scope {
    pub(crate) fn of_rule(rule: &Rule) -> Self {
        let principals = match &rule.subjects {
            Subjects::Anyone => Principals::Anyone,
            Subjects::SignedIn => Principals::SignedIn,
            Subjects::Roles(roles) => Principals::Roles(roles.clone()),
        };
        Self {
            principals,
            apps: rule.apps.clone(),
            actions: Action::ALL.into_iter().filter(|action| rule.covers(*action)).collect(),
        }
    }

    pub(crate) fn of_policy(policy: &Policy) -> Self {
        Self {
            principals: principals(policy.principal_constraint()),
            apps: apps(policy.resource_constraint()),
            actions: actions(policy.action_constraint()),
        }
    }

    /// Whether the policy can apply to nobody signed in.
    pub(crate) fn admits_nobody(&self) -> bool {
        matches!(self.principals, Principals::Anyone | Principals::Nobody)
    }

    /// Whether the policy can apply to anybody who is signed in.
    pub(crate) fn admits_somebody(&self) -> bool {
        !matches!(self.principals, Principals::Nobody)
    }
}

impl Scope {
    /// Whether the policy can apply to a column of the matrix.
    pub(crate) fn admits(&self, subject: &Subject) -> bool {
        match (&self.principals, subject) {
            (Principals::Anyone, _) | (Principals::Nobody, Subject::Nobody) => true,
            (Principals::SignedIn, Subject::SignedIn | Subject::Role(_)) => true,
            (Principals::Roles(roles), Subject::Role(role)) => roles.contains(role),
            (Principals::Nobody, Subject::SignedIn | Subject::Role(_))
            | (Principals::SignedIn, Subject::Nobody)
            | (Principals::Roles(_), Subject::Nobody | Subject::SignedIn) => false,
        }
    }

    /// The roles that it names.
    pub(crate) fn roles(&self) -> &[RoleId] {
        match &self.principals {
            Principals::Roles(roles) => roles,
            Principals::Anyone | Principals::Nobody | Principals::SignedIn => &[],
        }
    }

    /// Whether the policy can apply to this person, or to nobody signed in, doing this in that app.
    pub(crate) fn can_be_about(&self, who: Option<&Who>, app: &AppId, action: Action) -> bool {
        let about_them = match who {
            None => self.admits(&Subject::Nobody),
            Some(who) => self.admits(&Subject::SignedIn) || who.roles.iter().any(|role| self.roles().contains(role)),
        };
        let in_app = match &self.apps {
            Apps::All => true,
            Apps::Only(apps) => apps.contains(app),
        };
        about_them && in_app && self.actions.contains(&action)
    }
}

fn principals(constraint: PrincipalConstraint) -> Principals {
    let (role, user, visitor) = (kind("Role"), kind("User"), kind("Visitor"));
    let of_type = |name: &EntityTypeName| {
        if *name == user {
            Principals::SignedIn
        } else if *name == visitor {
            Principals::Nobody
        } else {
            Principals::Anyone
        }
    };
    let below = |entity: &EntityUid| match RoleId::parse(entity.id().unescaped()) {
        Ok(id) if *entity.type_name() == role => Principals::Roles(vec![id]),
        Ok(_) | Err(_) => of_type(entity.type_name()),
    };
    match constraint {
        PrincipalConstraint::Any => Principals::Anyone,
        PrincipalConstraint::Is(name) => of_type(&name),
        PrincipalConstraint::Eq(entity) => of_type(entity.type_name()),
        PrincipalConstraint::In(entity) | PrincipalConstraint::IsIn(_, entity) => below(&entity),
    }
}

fn apps(constraint: ResourceConstraint) -> Apps {
    let one = |entity: EntityUid| match AppId::parse(entity.id().unescaped()) {
        Ok(app) if *entity.type_name() == kind("App") => Apps::Only(vec![app]),
        Ok(_) | Err(_) => Apps::All,
    };
    match constraint {
        ResourceConstraint::Any | ResourceConstraint::Is(_) => Apps::All,
        ResourceConstraint::Eq(entity) | ResourceConstraint::In(entity) | ResourceConstraint::IsIn(_, entity) => {
            one(entity)
        }
    }
}

fn actions(constraint: ActionConstraint) -> Vec<Action> {
    let named = |entity: &EntityUid| Action::parse(entity.id().unescaped());
    let all = || Action::ALL.to_vec();
    match constraint {
        ActionConstraint::Any => all(),
        // `==` means that action alone; `in` also those below it in the schema.
        ActionConstraint::Eq(entity) => named(&entity).map_or_else(all, |action| vec![action]),
        ActionConstraint::In(entities) => {
            let actions: Option<Vec<_>> = entities.iter().map(named).collect();
            actions.map_or_else(all, |actions| with_covered(&actions))
        }
    }
}

/// These and those below them in the schema.
fn with_covered(actions: &[Action]) -> Vec<Action> {
    let covered = |action: &Action| {
        actions.contains(action)
            || (*action == Action::Search && actions.contains(&Action::Read))
            || (*action == Action::Delete && actions.contains(&Action::Write))
    };
    Action::ALL.into_iter().filter(covered).collect()
}

/// Every app with the policies that can apply to it. Policies are meant by their position in the policy.
#[derive(Debug)]
pub(crate) struct Index {
    apps: HashMap<AppId, AppEntry>,
}

/// One app, as the policy sees it.
#[derive(Debug)]
pub(crate) struct AppEntry {
    pub(crate) facts: AppFacts,
    /// Its number among the apps.
    pub(crate) number: usize,
    /// The app in Cedar.
    pub(crate) uid: EntityUid,
    pub(crate) classifier: Classifier,
    read: Candidates,
    search: Candidates,
    write: Candidates,
    delete: Candidates,
    export: Candidates,
    connect: Candidates,
}

/// The policies that can apply to one app and action: all of them, and by whom they can be about. Positions in the
/// order of the policy.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// All, whoever asks.
    pub(crate) all: Vec<usize>,
    /// All that any of them reads.
    pub(crate) reads: Reads,
    anyone: Vec<usize>,
    signed_in: Vec<usize>,
    nobody: Vec<usize>,
    by_role: HashMap<RoleId, Vec<usize>>,
}

impl Index {
    /// Builds the index over policies with their scope and what they read, in order.
    pub(crate) fn of<'a>(apps: &[AppFacts], policies: impl Iterator<Item = (&'a Scope, Reads)>) -> Self {
        let mut index = Self {
            apps: apps
                .iter()
                .enumerate()
                .map(|(number, facts)| (facts.id.clone(), AppEntry::of(number, facts)))
                .collect(),
        };
        for (position, (scope, reads)) in policies.enumerate() {
            match &scope.apps {
                Apps::All => index.apps.values_mut().for_each(|entry| entry.add(position, scope, reads)),
                Apps::Only(apps) => {
                    for app in apps {
                        if let Some(entry) = index.apps.get_mut(app) {
                            entry.add(position, scope, reads);
                        }
                    }
                }
            }
        }
        index
    }

    pub(crate) fn app(&self, app: &AppId) -> Option<&AppEntry> {
        self.apps.get(app)
    }

    /// Every app, in the order written.
    pub(crate) fn apps(&self) -> impl Iterator<Item = &AppFacts> {
        let mut entries: Vec<_> = self.apps.values().collect();
        entries.sort_by_key(|entry| entry.number);
        entries.into_iter().map(|entry| &entry.facts)
    }
}

impl AppEntry {
    fn of(number: usize, facts: &AppFacts) -> Self {
        Self {
            facts: facts.clone(),
            number,
            uid: schema::app(&facts.id),
            classifier: Classifier::of(&facts.routes).reading_by_post(&facts.reads_by_post),
            read: Candidates::default(),
            search: Candidates::default(),
            write: Candidates::default(),
            delete: Candidates::default(),
            export: Candidates::default(),
            connect: Candidates::default(),
        }
    }

    fn add(&mut self, position: usize, scope: &Scope, reads: Reads) {
        for action in &scope.actions {
            let candidates = match action {
                Action::Read => &mut self.read,
                Action::Search => &mut self.search,
                Action::Write => &mut self.write,
                Action::Delete => &mut self.delete,
                Action::Export => &mut self.export,
                Action::Connect => &mut self.connect,
            };
            candidates.add(position, scope, reads);
        }
    }

    pub(crate) fn on(&self, action: Action) -> &Candidates {
        match action {
            Action::Read => &self.read,
            Action::Search => &self.search,
            Action::Write => &self.write,
            Action::Delete => &self.delete,
            Action::Export => &self.export,
            Action::Connect => &self.connect,
        }
    }
}

impl Candidates {
    fn add(&mut self, position: usize, scope: &Scope, reads: Reads) {
        // An app or action that a policy names twice is one all the same.
        if self.all.last() == Some(&position) {
            return;
        }
        self.all.push(position);
        self.reads = self.reads.and(reads);
        match &scope.principals {
            Principals::Anyone => self.anyone.push(position),
            Principals::SignedIn => self.signed_in.push(position),
            Principals::Nobody => self.nobody.push(position),
            Principals::Roles(roles) => {
                for role in roles {
                    self.by_role.entry(role.clone()).or_default().push(position);
                }
            }
        }
    }

    /// Those that can be about this person, or about nobody signed in.
    pub(crate) fn about(&self, who: Option<&Who>) -> Vec<usize> {
        let Some(who) = who else { return merged([&self.anyone, &self.nobody]) };
        let of_roles = who.roles.iter().filter_map(|role| self.by_role.get(role));
        merged([&self.anyone, &self.signed_in].into_iter().chain(of_roles))
    }
}

/// The positions of several lists in their order, each once.
fn merged<'a>(lists: impl IntoIterator<Item = &'a Vec<usize>>) -> Vec<usize> {
    let mut positions: Vec<_> = lists.into_iter().flatten().copied().collect();
    positions.sort_unstable();
    positions.dedup();
    positions
}
