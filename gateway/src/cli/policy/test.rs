//! `sekimori policy test`: the expectations that are kept beside the policy, asked of it.

use std::sync::Arc;

use config::{Config, PolicyTest};
use policy::{Decision, Judge, Judged, Policy, Reason, RuleId};
use web::Language;

use super::Lang;
use crate::cli::{ConfigArg, out};
use crate::failure::Failure;

/// Whose expectations.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    language: Lang,
    #[command(flatten)]
    config: ConfigArg,
}

/// Asks all of them.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.config.read()?;
    let policy = Arc::clone(&config.loaded);
    out::say(&check(&config, policy, args.language.language())?);
    Ok(())
}

/// Asks all expectations, and says in one line that they hold.
///
/// # Errors
/// Each that does not hold: where it stands, what came instead, and why.
pub fn check(config: &Config, policy: Arc<Policy>, language: Language) -> Result<String, Failure> {
    let mut judge = Judge::new(policy);
    let failed: Vec<_> = config
        .policy_tests
        .iter()
        .filter_map(|test| test.expectation.check(&mut judge).err().map(|came| told(test, &came, language)))
        .collect();
    let (all, failures) = (config.policy_tests.len(), failed.len());
    if failed.is_empty() {
        return Ok(match language {
            Language::Japanese => format!("方針の期待: {all}件すべて一致"),
            Language::English => format!("expectations of the policy: all {all} hold"),
        });
    }
    let summary = match language {
        Language::Japanese => format!("方針の期待: {all}件のうち{failures}件が一致しません"),
        Language::English => format!("expectations of the policy: {failures} of {all} do not hold"),
    };
    Err(Failure::no(format!("{}\n{summary}", failed.join("\n"))))
}

/// One expectation that does not hold.
fn told(test: &PolicyTest, came: &Judged, language: Language) -> String {
    let expected = &test.expectation;
    let wanted = answer(expected.then, expected.reason, expected.rule.as_ref(), language);
    let got = answer(came.decision, came.reason, Some(&came.rule), language);
    let (file, line) = (&test.file, test.line);
    match language {
        Language::Japanese => format!("{file}:{line}: {}: 期待は {wanted}、実際は {got}", test.name.ja),
        Language::English => format!("{file}:{line}: {}: expected {wanted}; came {got}", test.name.en),
    }
}

/// `deny (role-not-allowed, rule nurses-read)`.
fn answer(decision: Decision, reason: Option<Reason>, rule: Option<&RuleId>, language: Language) -> String {
    let by_rule = rule.map(|rule| match language {
        Language::Japanese => format!("規則 {rule}"),
        Language::English => format!("rule {rule}"),
    });
    let details: Vec<_> = reason.map(|reason| reason.code().to_owned()).into_iter().chain(by_rule).collect();
    if details.is_empty() {
        return decision.as_str().to_owned();
    }
    format!("{} ({})", decision.as_str(), details.join(", "))
}
