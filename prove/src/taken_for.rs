//! Rules as if every request were taken for a certain action and class: how the last version is asked where its routes
//! read a request otherwise than those of now.

use cedar_policy::{Policy, PolicySet};
use policy::Action;
use serde_json::{Value, json};

use crate::cells::Reading;

/// The rules of a text, each with this action and class instead of what is asked; `None` where a rule reads its context
/// as a whole, so that nothing can be put in its place.
pub(crate) fn taken_for(rules: &str, reading: &Reading) -> Option<String> {
    let set: PolicySet = rules.parse().ok()?;
    let mut texts = Vec::new();
    for rule in set.policies() {
        let mut json = rule.to_json().ok()?;
        if !fits(json.get("action")?, reading.action)? {
            continue;
        }
        let parts = json.as_object_mut()?;
        parts.insert("action".to_owned(), json!({ "op": "All" }));
        put_in(parts.get_mut("conditions")?, reading)?;
        texts.push(Policy::from_json(None, json).ok()?.to_string());
    }
    Some(texts.join("\n"))
}

/// Whether the scope of a rule is about an action: that action, or with `in` one above it.
fn fits(scope: &Value, action: Action) -> Option<bool> {
    let above = match action {
        Action::Search => Some(Action::Read),
        Action::Delete => Some(Action::Write),
        Action::Read | Action::Write | Action::Export | Action::Connect => None,
    };
    let is = |entity: &Value, action: Action| entity.get("id").and_then(Value::as_str) == Some(action.as_str());
    let is_or_above = |entity: &Value| is(entity, action) || above.is_some_and(|above| is(entity, above));
    let entities =
        || scope.get("entity").into_iter().chain(scope.get("entities").and_then(Value::as_array).into_iter().flatten());
    match scope.get("op").and_then(Value::as_str)? {
        "All" => Some(true),
        "==" => Some(entities().any(|entity| is(entity, action))),
        "in" => Some(entities().any(is_or_above)),
        _ => None,
    }
}

/// Puts action and class into an expression.
fn put_in(value: &mut Value, reading: &Reading) -> Option<()> {
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| put_in(item, reading)),
        Value::Object(_) => {
            if let Some(instead) = instead(value, reading)? {
                *value = instead;
                return Some(());
            }
            if is_of_context(value) {
                return Some(());
            }
            value.as_object_mut()?.values_mut().try_for_each(|part| put_in(part, reading))
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(()),
    }
}

/// What stands instead of an expression, where something does; the outer `None` where nothing can.
fn instead(value: &Value, reading: &Reading) -> Option<Option<Value>> {
    if value.get("Value").is_some() {
        // A value holds no expression, whatever it looks like.
        return Some(Some(value.clone()));
    }
    match value.get("Var").and_then(Value::as_str) {
        Some("action") => {
            let entity = json!({ "type": "Sekimori::Action", "id": reading.action.as_str() });
            return Some(Some(json!({ "Value": { "__entity": entity } })));
        }
        Some("context") => return None,
        Some(_) | None => {}
    }
    let class = reading.class.as_ref().map_or("", policy::InfoClass::as_str);
    let of_class = |operator: &str| {
        let part = value.get(operator);
        is_of_context(value) && part.and_then(|part| part.get("attr")).and_then(Value::as_str) == Some("class")
    };
    if of_class(".") {
        return Some(Some(json!({ "Value": class })));
    }
    if of_class("has") {
        return Some(Some(json!({ "Value": true })));
    }
    Some(None)
}

/// Whether an expression is `context.something`, or asks whether there is such.
fn is_of_context(value: &Value) -> bool {
    let left = |operator: &str| value.get(operator).and_then(|part| part.pointer("/left/Var")).and_then(Value::as_str);
    left(".") == Some("context") || left("has") == Some("context")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: &str, action: Action, class: Option<&str>) -> Option<String> {
        taken_for(rule, &Reading { action, class: class.map(|class| class.parse().unwrap()) })
    }

    #[test]
    fn action_and_class_are_put_in_and_nothing_else_changes() {
        let rule = "permit (principal, action in Sekimori::Action::\"read\", resource) when { context.class == \"chart\" \
                    && action == Sekimori::Action::\"search\" && context.device.class == \"class\" && context has class };";
        let text = check(rule, Action::Search, Some("images")).unwrap();
        for kept in ["\"images\" == \"chart\"", "Sekimori::Action::\"search\" == ", "context[\"device\"]", "true"] {
            let plain = text.replace("(context[\"device\"])", "context[\"device\"]");
            let other = kept.replace("context[\"device\"]", "context.device");
            assert!(plain.contains(kept) || plain.contains(&other), "{kept}: {text}");
        }
        assert!(!text.contains("action in"), "{text}");
        assert!(check(rule, Action::Search, None).unwrap().contains("\"\" == \"chart\""));
    }

    #[test]
    fn a_rule_about_another_action_is_silent() {
        let rule = |scope: &str| format!("permit (principal, action {scope}, resource);");
        for (scope, action, stays) in [
            ("== Sekimori::Action::\"read\"", Action::Read, true),
            ("== Sekimori::Action::\"read\"", Action::Search, false),
            ("in Sekimori::Action::\"read\"", Action::Search, true),
            ("in [Sekimori::Action::\"write\", Sekimori::Action::\"export\"]", Action::Export, true),
            ("in [Sekimori::Action::\"write\", Sekimori::Action::\"export\"]", Action::Read, false),
            ("", Action::Connect, true),
        ] {
            assert_eq!(check(&rule(scope), action, None).unwrap().contains("permit"), stays, "{scope} {action:?}");
        }
    }

    #[test]
    fn where_the_context_is_read_whole_nothing_is_guessed() {
        let whole = "permit (principal, action, resource) when { context == context };";
        assert_eq!(check(whole, Action::Read, None), None);
        let text = "permit (principal, action, resource) when { context.path == \"context\" };";
        assert!(check(text, Action::Read, None).is_some());
    }
}
