//! `.cedar` files: parsed, named by their `@id`, checked strictly against the schema.
//! A warning of Cedar's validator (a policy that can never apply, letters that look alike) is a problem here.

use cedar_policy::ffi::DetailedError;
use cedar_policy::{Policy, PolicyId, PolicySet, ValidationMode, Validator};
use serde_json::Value;

use crate::check;
use crate::facts::{Fact, Reads};
use crate::schema::{self, kind};
use crate::{CedarFile, PolicyPlace, PolicyProblem, RoleId, RuleId, UserId};

/// The policies of a file in the order written, under the names of their `@id`.
pub(crate) fn read(file: &CedarFile, validator: &Validator) -> Result<Vec<(RuleId, Policy)>, Vec<PolicyProblem>> {
    let parsed: PolicySet = file.text.parse().map_err(|errors: cedar_policy::ParseErrors| {
        errors.iter().map(|error| told(file, error.into())).collect::<Vec<_>>()
    })?;
    let mut problems = validation_problems(file, &parsed, validator);
    let mut policies = Vec::new();
    let mut search_from = 0;
    // Cedar numbers the statements of a text in their order.
    for number in 0..parsed.policies().count() + parsed.templates().count() {
        let id = PolicyId::new(format!("policy{number}"));
        let Some(policy) = parsed.policy(&id) else { continue };
        let start = start_of(policy, file, search_from);
        search_from = start + 1;
        match name_of(policy) {
            Ok(rule) => policies.push((rule, policy.clone())),
            Err((reason, remedy)) => problems.push(problem(file, start, reason, remedy)),
        }
        problems.extend(impossible_names(policy).map(|reason| problem(file, start, reason, "correct the name")));
    }
    if parsed.templates().count() > 0 {
        problems.push(problem(
            file,
            0,
            "templates (`?principal`, `?resource`) are not used here",
            "write a policy for each case",
        ));
    }
    if problems.is_empty() { Ok(policies) } else { Err(problems) }
}

fn validation_problems(file: &CedarFile, policies: &PolicySet, validator: &Validator) -> Vec<PolicyProblem> {
    let result = validator.validate(policies, ValidationMode::Strict);
    let errors = result.validation_errors().map(DetailedError::from);
    let warnings = result.validation_warnings().map(DetailedError::from);
    errors.chain(warnings).map(|error| told(file, error)).collect()
}

fn told(file: &CedarFile, error: DetailedError) -> PolicyProblem {
    let start = error.source_locations.first().map_or(0, |label| label.loc.start);
    let facts = || Fact::ALL.map(Fact::key).join(", ");
    let remedy = error.help.unwrap_or_else(|| format!("correct the policy; what it may read is {}", facts()));
    problem(file, start, error.message, remedy)
}

fn problem(file: &CedarFile, start: usize, reason: impl Into<String>, remedy: impl Into<String>) -> PolicyProblem {
    let place = PolicyPlace::in_file(&file.name, &file.text, start);
    PolicyProblem { place, reason: reason.into(), remedy: remedy.into() }
}

fn start_of(policy: &Policy, file: &CedarFile, search_from: usize) -> usize {
    let rest = file.text.get(search_from..).unwrap_or_default();
    policy.to_cedar().and_then(|text| rest.find(&text)).map_or(search_from, |at| search_from + at)
}

fn name_of(policy: &Policy) -> Result<RuleId, (String, &'static str)> {
    let remedy = "write `@id(\"a-name\")` before the policy, with a name that no other rule has";
    let name = policy.annotation("id").ok_or_else(|| ("the policy has no name".to_owned(), remedy))?;
    let rule = RuleId::parse(name).map_err(|problem| (problem.to_string(), remedy))?;
    check::reserved(&rule).map_or(Ok(rule), |reason| Err((reason, remedy)))
}

/// Roles and users that nobody can be: a misspelt one would make a `forbid` forbid nothing.
fn impossible_names(policy: &Policy) -> impl Iterator<Item = String> {
    let (role, user) = (kind("Role"), kind("User"));
    policy.entity_literals().into_iter().filter_map(move |literal| {
        let text = literal.id().unescaped();
        let possible = (literal.type_name() != &role || RoleId::parse(text).is_ok())
            && (literal.type_name() != &user || UserId::parse(text).is_ok());
        (!possible).then(|| format!("nobody can be `{literal}`: names hold a-z, 0-9, `.`, `_` and `-`"))
    })
}

/// Which facts the conditions of a policy read. Whatever this does not understand counts as reading everything.
pub(crate) fn reads(policy: &Policy) -> Reads {
    let Ok(json) = policy.to_json() else { return Reads::all() };
    json.get("conditions").map_or_else(Reads::all, reads_of)
}

/// Whether a policy says anything of people who signed in while their provider could not be reached. One that permits
/// and does not is not for them.
pub(crate) fn mentions_outage(policy: &Policy) -> bool {
    fn mentions(expression: &Value) -> bool {
        match expression {
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
            Value::Array(items) => items.iter().any(mentions),
            Value::Object(members) => {
                let of_context = |(operator, operand): (&String, &Value)| {
                    let text = |pointer| operand.pointer(pointer).and_then(Value::as_str);
                    matches!(operator.as_str(), "." | "has")
                        && text("/left/Var") == Some("context")
                        && text("/attr") == Some(Fact::InOutage.key())
                };
                members.iter().any(of_context) || members.values().any(mentions)
            }
        }
    }
    policy.to_json().is_ok_and(|json| json.get("conditions").is_some_and(mentions))
}

/// Walks Cedar's JSON form (docs.cedarpolicy.com/policies/json-format.html) without knowing its operators: only
/// `context.KEY` and `context has KEY` read one key, any other use of `context` reads all.
fn reads_of(expression: &Value) -> Reads {
    match expression {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Reads::none(),
        Value::Array(items) => items.iter().map(reads_of).fold(Reads::none(), Reads::and),
        Value::Object(members) => members.iter().map(reads_of_member).fold(Reads::none(), Reads::and),
    }
}

fn reads_named(key: &str) -> Reads {
    let fact = Fact::ALL.into_iter().find(|fact| fact.key() == key);
    fact.map_or_else(Reads::all, |fact| Reads::none().with(fact))
}

/// Whether an expression is `context.device`.
fn is_device(expression: Option<&Value>) -> bool {
    let text = |pointer| expression.and_then(|expression| expression.pointer(pointer)).and_then(Value::as_str);
    text("/./left/Var") == Some("context") && text("/./attr") == Some(schema::DEVICE)
}

fn reads_of_member((operator, operand): (&String, &Value)) -> Reads {
    let is_variable = |value: Option<&Value>, name: &str| value.and_then(Value::as_str) == Some(name);
    match operator.as_str() {
        "Var" if is_variable(Some(operand), "context") => Reads::all(),
        "Var" if is_variable(Some(operand), "principal") => Reads::none().with(Fact::Principal),
        "." | "has" if is_variable(operand.pointer("/left/Var"), "context") => {
            match operand.get("attr").and_then(Value::as_str) {
                Some(schema::DEVICE) => Fact::OF_DEVICE.into_iter().fold(Reads::none(), Reads::with),
                Some(key) => reads_named(key),
                None => Reads::all(),
            }
        }
        "." | "has" if is_device(operand.get("left")) => {
            let attribute = operand.get("attr").and_then(Value::as_str);
            attribute.map_or_else(Reads::all, |name| reads_named(&format!("{}.{name}", schema::DEVICE)))
        }
        _ => reads_of(operand),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::apps;

    fn check(text: &str) -> Result<Vec<(RuleId, Policy)>, Vec<String>> {
        let file = CedarFile { name: "extra.cedar".to_owned(), text: text.to_owned() };
        read(&file, &Validator::new(crate::schema::schema(&apps())))
            .map_err(|problems| problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn sound_policies_keep_their_names_and_order() {
        let text = r#"
            @id("zz-first") permit (principal in Sekimori::Role::"vendor", action == Sekimori::Action::"connect",
                resource == Sekimori::App::"emr") when { context.address.isInRange(ip("10.0.0.0/8")) };
            @id("aa-second") forbid (principal, action, resource) when { context.device.class == "byod" };
        "#;
        let names: Vec<_> = check(text).unwrap().into_iter().map(|(name, _)| name.to_string()).collect();
        assert_eq!(names, ["zz-first", "aa-second"]);
    }

    #[test]
    fn each_mistake_is_told_with_its_place() {
        for (text, place, told) in [
            ("permit (principal, action, resource);", "extra.cedar:1:1: ", "no name"),
            ("\n  permit (principal, action, resource);", "extra.cedar:2:3: ", "no name"),
            ("@id(\"Not A Name\") permit (principal, action, resource);", "extra.cedar:1:1: ", "`Not A Name`"),
            ("@id(\"builtin-x\") permit (principal, action, resource);", "extra.cedar:1:1: ", "own rules"),
            ("@id(\"a\")\npermit (principal, action, resource) wen {};", "extra.cedar:2:", "wen"),
            (
                "@id(\"a\")\npermit (principal, action, resource)\nwhen { context.zome == \"x\" };",
                "extra.cedar:3:",
                "zome",
            ),
            ("@id(\"a\") permit (principal, action, resource == Sekimori::App::\"erm\");", "extra.cedar:1:", "erm"),
            (
                "@id(\"a\") permit (principal, action, resource == Sekimori::App::\"portal\");",
                "extra.cedar:1:",
                "portal",
            ),
            ("@id(\"a\") permit (principal == User::\"x\", action, resource);", "extra.cedar:1:", "User"),
            (
                "@id(\"a\") permit (principal, action == Sekimori::Action::\"raed\", resource);",
                "extra.cedar:1:",
                "raed",
            ),
            ("@id(\"a\") permit (principal == ?principal, action, resource);", "extra.cedar:1:", "templates"),
            (
                "@id(\"a\") forbid (principal in Sekimori::Role::\"Vendor\", action, resource);",
                "extra.cedar:1:1: ",
                "nobody can be",
            ),
            ("@id(\"a\") forbid (principal, action, resource) when { false };", "extra.cedar:1:", "impossible"),
        ] {
            let problems = check(text).unwrap_err();
            let found = problems.iter().any(|problem| problem.starts_with(place) && problem.contains(told));
            assert!(found, "{text}: {problems:?}");
        }
    }

    #[test]
    fn an_outage_is_mentioned_by_its_name_alone() {
        let check = |condition: &str| {
            let text = format!("permit (principal, action, resource) when {{ {condition} }};");
            mentions_outage(&Policy::parse(None, text).unwrap())
        };
        assert!(check("!context.in_outage"));
        assert!(check("context.zone == \"ward\" && (if context.in_outage then context.minute < 5 else true)"));
        assert!(check("context has in_outage"));
        for silent in ["true", "context.zone == \"in_outage\"", "context == {}", "{\"in_outage\": context} == {}"] {
            assert!(!check(silent), "{silent}");
        }
    }

    #[test]
    fn only_the_facts_that_are_read_count() {
        let check = |condition: &str| {
            let text = format!("permit (principal, action, resource) when {{ {condition} }};");
            reads(&Policy::parse(None, text).unwrap())
        };
        let only = |fact| Reads::none().with(fact);
        assert_eq!(check("true"), Reads::none());
        assert_eq!(check("context.zone == \"context\""), only(Fact::Zone));
        assert_eq!(check("context.device.class like \"t*\""), only(Fact::Class));
        assert_eq!(check("context.device.posture.contains(\"edr=running\")"), only(Fact::Posture));
        assert_eq!(
            check("context.device == context.device"),
            Fact::OF_DEVICE.into_iter().fold(Reads::none(), Reads::with)
        );
        assert_eq!(check("context.device.known"), only(Fact::Known));
        assert_eq!(check("context.device.unheard"), Reads::all());
        assert_eq!(check("context.roles_age_seconds < 5"), only(Fact::RolesAge));
        assert_eq!(check("context.methods.contains(context.key_model)"), only(Fact::Methods).with(Fact::KeyModel));
        assert_eq!(check("context has path && !(context.minute < 5)"), only(Fact::Path).with(Fact::Minute));
        assert_eq!(check("principal in Sekimori::Role::\"x\""), only(Fact::Principal));
        assert_eq!(
            check("if context.signed_in then true else context.host == \"a\""),
            only(Fact::SignedIn).with(Fact::Host)
        );
        assert_eq!(check("context.address.isInRange(ip(\"10.0.0.0/8\"))"), only(Fact::Address));
        for whole in
            ["{\"x\": context} == {\"x\": 1}", "context == {}", "[context].contains(1)", "context.unheard == 1"]
        {
            assert_eq!(check(whole), Reads::all(), "{whole}");
        }
    }
}
