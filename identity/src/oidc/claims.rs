//! What claims mean here: roles, assurance, and names that may be shown.

use config::Provider;
use openidconnect::AdditionalClaims;
use policy::{Assurance, RoleId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The longest name, in characters; what is longer is cut.
const SHOWN_CHARS_MAX: usize = 128;

/// Every claim that OpenID Connect does not define itself.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Claims(pub(super) Map<String, Value>);

impl AdditionalClaims for Claims {}

impl Claims {
    /// A claim by its name, or by a dotted path into objects. Names win, as they may hold dots themselves.
    fn at(&self, name: &str) -> Option<&Value> {
        if let Some(value) = self.0.get(name) {
            return Some(value);
        }
        let (first, rest) = name.split_once('.')?;
        rest.split('.').try_fold(self.0.get(first)?, |value, part| value.get(part))
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// The roles, mapped and sorted: `None` if the claim is not there at all, which is not the same as no roles.
    pub(super) fn roles(&self, provider: &Provider) -> Option<Vec<RoleId>> {
        let claim = self.at(&provider.roles_claim)?;
        let has = |wanted: &str| match claim {
            Value::String(one) => one == wanted,
            Value::Array(several) => several.iter().any(|one| one.as_str() == Some(wanted)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
        };
        let mapped = provider.roles.iter().filter(|(value, _)| has(value));
        let mut roles: Vec<RoleId> = mapped.map(|(_, role)| role.clone()).collect();
        roles.sort();
        roles.dedup();
        Some(roles)
    }
}

/// The strongest assurance that `acr` or a member of `amr` stands for.
pub(super) fn assurance<'a>(provider: &Provider, named: impl Iterator<Item = &'a str> + Clone) -> Assurance {
    let reached = provider.assurance.iter().filter(|(name, _)| named.clone().any(|given| given == name));
    reached.map(|(_, level)| *level).max().unwrap_or(Assurance::Aal1)
}

/// A text that is fit to be shown: without control and direction characters, trimmed, not too long. `None` if nothing
/// is left.
pub(super) fn shown(text: &str) -> Option<String> {
    let turns = |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let plain: String = text.chars().filter(|c| !c.is_control() && !turns(*c)).collect();
    let cut: String = plain.trim().chars().take(SHOWN_CHARS_MAX).collect();
    (!cut.is_empty()).then_some(cut)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oidc::tests::provider;

    fn claims(value: Value) -> Claims {
        serde_json::from_value(value).unwrap()
    }

    fn roles(name: &str, value: Value) -> Option<Vec<String>> {
        let provider = Provider { roles_claim: name.to_owned(), ..provider() };
        let roles = claims(value).roles(&provider)?;
        Some(roles.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn roles_are_read_from_names_paths_and_names_with_dots() {
        let nurse = Some(vec!["nurse".to_owned()]);
        assert_eq!(roles("groups", serde_json::json!({"groups": ["ward-nurses", "chess"]})), nurse);
        assert_eq!(roles("groups", serde_json::json!({"groups": "ward-nurses"})), nurse);
        assert_eq!(roles("realm.roles", serde_json::json!({"realm": {"roles": ["ward-nurses"]}})), nurse);
        assert_eq!(roles("https://h.jp/r", serde_json::json!({"https://h.jp/r": ["ward-nurses"]})), nurse);
        let both = Some(vec!["doctor".to_owned(), "nurse".to_owned()]);
        assert_eq!(roles("groups", serde_json::json!({"groups": ["ward-nurses", "doctors", "nurses"]})), both);
    }

    #[test]
    fn nothing_that_only_resembles_a_role_gives_one() {
        let none = Some(Vec::new());
        for odd in [
            serde_json::json!({"groups": ["Ward-Nurses", "ward-nurses ", "ward-nurse"]}),
            serde_json::json!({"groups": {"ward-nurses": true}}),
            serde_json::json!({"groups": [["ward-nurses"], 1, null]}),
            serde_json::json!({"groups": "ward-nurses doctors"}),
            serde_json::json!({"groups": null}),
        ] {
            assert_eq!(roles("groups", odd.clone()), none, "{odd}");
        }
        assert_eq!(roles("groups", serde_json::json!({"nurse": true})), None);
    }

    #[test]
    fn the_strongest_named_assurance_counts_and_none_is_the_weakest() {
        let provider = provider();
        assert_eq!(assurance(&provider, ["pwd"].into_iter()), Assurance::Aal1);
        assert_eq!(assurance(&provider, ["pwd", "mfa"].into_iter()), Assurance::Aal2);
        assert_eq!(assurance(&provider, ["mfa", "phr"].into_iter()), Assurance::Aal3);
        assert_eq!(assurance(&provider, ["MFA"].into_iter()), Assurance::Aal1);
    }

    #[test]
    fn names_are_shown_without_tricks() {
        assert_eq!(shown(" 佐藤 花子\r\nX: 1\u{202e} ").as_deref(), Some("佐藤 花子X: 1"));
        assert_eq!(shown("\u{0}\n"), None);
        assert_eq!(shown(&"あ".repeat(500)).map(|text| text.chars().count()), Some(SHOWN_CHARS_MAX));
    }
}
