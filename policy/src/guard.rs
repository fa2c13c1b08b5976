//! A kind of access in the words of a rule's columns: what fits some of them and does not fit others. Statements are
//! written so: what fits never happens.

use crate::{Action, Apps, Effect, Rule, RuleId, Subjects, compile};

/// What fits all columns of one row and none of those of another.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Guard {
    /// The columns that must fit.
    pub is: Rule,
    /// The columns of which each must not fit.
    pub is_not: Rule,
    /// Whether it is about people who signed in while their provider could not be reached; `None` for both.
    pub in_outage: Option<bool>,
}

impl Guard {
    /// What fits everything.
    #[must_use]
    pub fn new(id: RuleId) -> Self {
        let all = Rule::unconditional(id, Effect::Forbid);
        Self { is: all.clone(), is_not: all, in_outage: None }
    }

    /// The same as one condition in Cedar.
    #[must_use]
    pub fn in_cedar(&self) -> String {
        let fits = columns(&self.is).into_iter().map(|column| format!("({column})"));
        let fits_not = columns(&self.is_not).into_iter().map(|column| format!("!({column})"));
        let outage = self.in_outage.map(|in_outage| format!("context.in_outage == {in_outage}"));
        let all: Vec<_> = fits.chain(fits_not).chain(outage).collect();
        if all.is_empty() { "true".to_owned() } else { all.join(" && ") }
    }
}

/// Every column that sets a condition, as that condition.
fn columns(rule: &Rule) -> Vec<String> {
    let subjects = match &rule.subjects {
        Subjects::Anyone => None,
        Subjects::SignedIn => Some("principal is Sekimori::User".to_owned()),
        Subjects::Roles(roles) => Some(compile::alternatives("principal in", roles, "Sekimori::Role::")),
    };
    let apps = match &rule.apps {
        Apps::All => None,
        Apps::Only(apps) => Some(compile::alternatives("resource ==", apps, "Sekimori::App::")),
    };
    let covered: Vec<_> = Action::ALL.into_iter().filter(|action| rule.covers(*action)).map(Action::as_str).collect();
    let actions =
        (covered.len() < Action::ALL.len()).then(|| compile::alternatives("action ==", &covered, "Sekimori::Action::"));
    [subjects, apps, actions].into_iter().flatten().chain(compile::situation(rule)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Devices;

    #[test]
    fn columns_fit_and_columns_that_do_not_are_turned_around() {
        let mut guard = Guard::new("g".parse().unwrap());
        assert_eq!(guard.in_cedar(), "true");
        guard.is.subjects = Subjects::Roles(vec!["vendor".parse().unwrap()]);
        guard.is.actions = vec![Action::Write];
        guard.is_not.devices = Devices::Known;
        guard.is_not.grant = true;
        guard.in_outage = Some(false);
        assert_eq!(
            guard.in_cedar(),
            "(principal in Sekimori::Role::\"vendor\") \
             && (action == Sekimori::Action::\"write\" || action == Sekimori::Action::\"delete\") \
             && !(context.device.known) && !(context.grant != \"\") && context.in_outage == false"
        );
    }
}
