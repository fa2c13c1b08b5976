//! One app, one action, and whether somebody is signed in: the parts in which a policy is asked about. In each only the
//! few rules of that app and action count, so questions stay small however large the hospital is.

use cedar_policy::{EntityId, EntityTypeName, EntityUid, PolicySet, RequestEnv, Schema};
use cedar_policy_symcc::CompiledPolicySet;
use policy::{Action, AppId, InfoClass, Policy, ZoneId};

use crate::solver::Problem;

/// What there is in the hospital.
#[derive(Debug)]
pub(crate) struct World {
    /// Where listeners stand.
    pub(crate) zones: Vec<ZoneId>,
    /// What routes name.
    pub(crate) classes: Vec<InfoClass>,
}

/// A part of all questions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Corner {
    pub(crate) app: AppId,
    pub(crate) action: Action,
    pub(crate) signed_in: bool,
}

impl Corner {
    /// All there are of these apps.
    pub(crate) fn all<'a>(apps: impl Iterator<Item = &'a AppId>) -> impl Iterator<Item = Self> {
        let actions = |app: &'a AppId| Action::ALL.into_iter().map(move |action| (app.clone(), action));
        apps.flat_map(actions).flat_map(|(app, action)| {
            [true, false].into_iter().map(move |signed_in| Self { app: app.clone(), action, signed_in })
        })
    }

    /// The rules of a policy that count here, as Cedar; `None` where none of them permits.
    pub(crate) fn rules(&self, policy: &Policy) -> Option<String> {
        let rules = policy.in_cedar(&self.app, self.action);
        let permitted = rules.iter().any(|rule| rule.permits && (self.signed_in || rule.admits_nobody));
        permitted.then(|| rules.iter().map(|rule| rule.text.as_str()).collect::<Vec<_>>().join("\n"))
    }

    /// What is always true of a question here, as rules that forbid what is not so. What paths and classes have to do
    /// with each other is long, and told only where a path is read.
    pub(crate) fn always(&self, policy: &Policy, world: &World, rules: &str, other: &str) -> String {
        let World { zones, classes } = world;
        let mut always = policy.always_in_cedar(&self.app, self.action, self.signed_in);
        if [rules, other].iter().any(|text| text.contains("context.path")) {
            let named = |class: &&InfoClass| [rules, other].iter().any(|text| text.contains(&format!("\"{class}\"")));
            let classes: Vec<_> = classes.iter().filter(named).cloned().collect();
            always.extend(policy.paths_in_cedar(&self.app, self.action, &classes));
        }
        let zones: Vec<_> = zones.iter().map(|zone| format!("\"{zone}\"")).collect();
        always.push(format!("[{}].contains(context.zone)", zones.join(", ")));
        always.push(format!("resource == Sekimori::App::\"{}\"", self.app));
        always.into_iter().map(|one| format!("forbid (principal, action, resource) unless {{ {one} }};\n")).collect()
    }

    /// Makes Cedar text ready to be asked about.
    pub(crate) fn compile(&self, schema: &Schema, text: &str) -> Result<CompiledPolicySet, Problem> {
        let unanswered = |problem: String| Problem::Unanswered(format!("{}: {problem}", self.app));
        let set: PolicySet =
            text.parse().map_err(|errors: cedar_policy::ParseErrors| unanswered(errors.to_string()))?;
        CompiledPolicySet::compile(&set, &self.env(), schema).map_err(|error| unanswered(error.to_string()))
    }

    fn env(&self) -> RequestEnv {
        let action = EntityUid::from_type_name_and_id(kind("Action"), EntityId::new(self.action.as_str()));
        RequestEnv::new(kind(if self.signed_in { "User" } else { "Visitor" }), action, kind("App"))
    }
}

fn kind(name: &str) -> EntityTypeName {
    format!("Sekimori::{name}").parse().expect("names of our schema are names of Cedar")
}
