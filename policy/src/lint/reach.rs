//! Which routes of apps the rules reach, and which routes rules ask for that no app has.

use super::{About, Finding, Flaw, names_app};
use crate::policy::Statement;
use crate::{Action, AppFacts, ClassRoute, Effect, Method, Policy, PolicySource, Rule};

/// Apps and routes that no rule lets anybody into.
pub(super) fn findings(source: &PolicySource, policy: &Policy) -> Vec<Finding> {
    let apps = source.apps.iter().filter(|app| !app.built_in);
    apps.flat_map(|app| of_app(app, source, policy)).collect()
}

fn of_app(app: &AppFacts, source: &PolicySource, policy: &Policy) -> Vec<Finding> {
    let about = |flaw| Finding { about: About::App(app.id.clone()), flaw };
    let rows: Vec<&Rule> =
        source.rules.iter().filter(|rule| rule.effect == Effect::Permit && names_app(rule, &app.id)).collect();
    let written = |action: Action| {
        let candidates = policy.app(&app.id).map(|entry| entry.on(action).all.as_slice()).unwrap_or_default();
        policy.at(candidates).any(|statement: &Statement| statement.row.is_none() && statement.permits())
    };
    if rows.is_empty() && !Action::ALL.into_iter().any(written) {
        return vec![about(Flaw::AppNotReached)];
    }
    let mut told = Vec::new();
    let mut findings = Vec::new();
    for route in &app.routes {
        let is_reached = actions(route)
            .into_iter()
            .any(|action| written(action) || rows.iter().any(|row| lets_do(row, route, action)));
        let what = (&route.class, route.action);
        if !is_reached && !told.contains(&what) {
            told.push(what);
            findings.push(about(Flaw::RouteNotReached { class: route.class.clone(), action: route.action }));
        }
    }
    findings
}

/// Whether a row asks for classes, or for actions that routes alone give, and no route of its apps gives them.
pub(super) fn asks_for_no_route(rule: &Rule, apps: &[AppFacts]) -> bool {
    let by_routes_alone = |action: &Action| match action {
        Action::Search | Action::Export => true,
        Action::Read | Action::Write | Action::Delete | Action::Connect => false,
    };
    if rule.classes.is_empty() && !rule.actions.iter().all(by_routes_alone) {
        return false;
    }
    let routes = apps.iter().filter(|app| !app.built_in && names_app(rule, &app.id)).flat_map(|app| &app.routes);
    !routes.into_iter().any(|route| actions(route).into_iter().any(|action| lets_do(rule, route, action)))
}

fn lets_do(rule: &Rule, route: &ClassRoute, action: Action) -> bool {
    rule.covers(action) && (rule.classes.is_empty() || rule.classes.contains(&route.class))
}

/// What a request to a route can be.
fn actions(route: &ClassRoute) -> Vec<Action> {
    match route.action {
        Some(action) => vec![action],
        None if route.methods.is_empty() => vec![Action::Read, Action::Write, Action::Delete, Action::Connect],
        None => route.methods.iter().map(Method::action).collect(),
    }
}
