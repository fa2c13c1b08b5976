//! The scope index: which policies could apply to whom, in which app, for which action. Cedar would look at every
//! policy, one to two microseconds each; the index hands it the few that can matter.
//!
//! What the index does not understand is always a candidate, so it can only be too generous; a property test shows
//! the same answers as the full scan.

use std::collections::HashMap;

use cedar_policy::{ActionConstraint, EntityTypeName, EntityUid, Policy, PrincipalConstraint, ResourceConstraint};

use crate::facts::Reads;
use crate::fit;
use crate::schema::kind;
use crate::{Action, AppFacts, AppId, Apps, RoleId, Rule, Subjects, Who};

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
        Self { principals, apps: rule.apps.clone(), actions: with_covered(&rule.actions) }
    }

    pub(crate) fn of_policy(policy: &Policy) -> Self {
        Self {
            principals: principals(policy.principal_constraint()),
            apps: apps(policy.resource_constraint()),
            actions: actions(policy.action_constraint()),
        }
    }

    /// Whether the policy can apply to this person, or to nobody signed in.
    pub(crate) fn admits(&self, who: Option<&Who>) -> bool {
        match &self.principals {
            Principals::Anyone => true,
            Principals::Nobody => who.is_none(),
            Principals::SignedIn => who.is_some(),
            Principals::Roles(roles) => who.is_some_and(|who| who.roles.iter().any(|role| roles.contains(role))),
        }
    }

    /// Whether the policy can apply to anybody who is signed in.
    pub(crate) fn admits_somebody(&self) -> bool {
        !matches!(self.principals, Principals::Nobody)
    }

    fn names(&self, app: &AppId, action: Action) -> bool {
        let app_named = match &self.apps {
            Apps::All => true,
            Apps::Only(apps) => apps.contains(app),
        };
        app_named && self.actions.contains(&action)
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
        ActionConstraint::Eq(entity) => named(&entity).map_or_else(all, |action| vec![action]),
        ActionConstraint::In(entities) => {
            let actions: Option<Vec<_>> = entities.iter().map(named).collect();
            actions.map_or_else(all, |actions| with_covered(&actions))
        }
    }
}

fn with_covered(actions: &[Action]) -> Vec<Action> {
    Action::ALL.into_iter().filter(|action| fit::covers(actions, *action)).collect()
}

/// Every app with the policies that can apply to it. Policies are meant by their position in the policy.
#[derive(Debug)]
pub(crate) struct Index {
    apps: HashMap<AppId, AppEntry>,
}

/// One app.
#[derive(Debug)]
pub(crate) struct AppEntry {
    pub(crate) facts: AppFacts,
    read: Candidates,
    write: Candidates,
    delete: Candidates,
    connect: Candidates,
}

/// The policies that can apply to one app and action, whoever asks.
#[derive(Debug, Default)]
pub(crate) struct Candidates {
    /// In the order of the policy.
    pub(crate) policies: Vec<usize>,
    /// All that any of them reads.
    pub(crate) reads: Reads,
}

impl Index {
    /// Builds the index over policies with their scope and what they read, in order.
    pub(crate) fn of<'a>(apps: &[AppFacts], policies: impl Iterator<Item = (&'a Scope, Reads)> + Clone) -> Self {
        let candidates = |app: &AppId, action| {
            let mut candidates = Candidates::default();
            for (position, (scope, reads)) in policies.clone().enumerate() {
                if scope.names(app, action) {
                    candidates.policies.push(position);
                    candidates.reads = candidates.reads.and(reads);
                }
            }
            candidates
        };
        let entry = |facts: &AppFacts| AppEntry {
            read: candidates(&facts.id, Action::Read),
            write: candidates(&facts.id, Action::Write),
            delete: candidates(&facts.id, Action::Delete),
            connect: candidates(&facts.id, Action::Connect),
            facts: facts.clone(),
        };
        Self { apps: apps.iter().map(|facts| (facts.id.clone(), entry(facts))).collect() }
    }

    pub(crate) fn app(&self, app: &AppId) -> Option<&AppEntry> {
        self.apps.get(app)
    }
}

impl AppEntry {
    pub(crate) fn on(&self, action: Action) -> &Candidates {
        match action {
            Action::Read => &self.read,
            Action::Write => &self.write,
            Action::Delete => &self.delete,
            Action::Connect => &self.connect,
        }
    }
}
