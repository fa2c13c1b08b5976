//! People: who has two factors, who administers, who is out.

use std::sync::Arc;

use config::{Config, Provider, SecondFactor};
use identity::{Outage, OutageMode, OutageSwitch};
use policy::{Assurance, Timestamp};
use store::{PeopleFilter, Store};

use super::{Finding, Grade, add};
use crate::cli::user::all_people;
use crate::failure::Failure;

/// How many names a finding tells.
const NAMES_MAX: usize = 5;

/// How people stand.
#[derive(Default)]
struct Coverage {
    people: usize,
    /// Have a key.
    with_key: usize,
    /// Have none, but their provider is configured to tell of a second factor of its own.
    by_provider: usize,
    /// Cannot sign in, or with one factor only.
    without: Vec<String>,
    administrators: usize,
}

/// Looks at the people that the store knows.
pub async fn look(
    config: &Config,
    store: &Arc<dyn Store>,
    at: Timestamp,
    findings: &mut Vec<Finding>,
) -> Result<(), Failure> {
    let coverage = coverage(config, store).await?;
    add_coverage(&coverage, findings);
    if config.console_host.is_some() && coverage.administrators == 0 {
        let says = "nobody in force can administer; see `sekimori user first-admin`";
        add(findings, "administrators", Grade::Warning, says);
    }
    look_at_unused(config, store, at, findings).await?;
    look_at_outages(config, store, findings).await
}

async fn coverage(config: &Config, store: &Arc<dyn Store>) -> Result<Coverage, Failure> {
    let in_force = PeopleFilter { disabled: Some(false), ..PeopleFilter::default() };
    let mut coverage = Coverage::default();
    for person in all_people(&**store, &in_force).await? {
        let keys = store.credentials_of(&person.id).await;
        let has_key = !keys.map_err(|problem| Failure::unavailable(problem.to_string()))?.is_empty();
        let provider = config.providers.iter().find(|provider| provider.id == person.provider);
        coverage.people += 1;
        if has_key {
            coverage.with_key += 1;
        } else if provider.is_some_and(vouches_for_two) {
            coverage.by_provider += 1;
        } else {
            coverage.without.push(person.login.clone());
        }
        let administers = person.roles.iter().any(|role| config.console.administrators.contains(role));
        if administers && (has_key || provider.is_some()) {
            coverage.administrators += 1;
        }
    }
    Ok(coverage)
}

/// Whether a provider is left to see to the second factor, and told how it says so.
fn vouches_for_two(provider: &Provider) -> bool {
    let tells = provider.assurance.iter().any(|(_, assurance)| *assurance >= Assurance::Aal2);
    provider.second_factor == SecondFactor::Provider && tells
}

fn add_coverage(coverage: &Coverage, findings: &mut Vec<Finding>) {
    if coverage.people == 0 {
        add(findings, "two factors", Grade::Good, "nobody has signed in yet");
        return;
    }
    let covered = coverage.with_key + coverage.by_provider;
    let percent = covered * 100 / coverage.people;
    let grade = if coverage.without.is_empty() { Grade::Good } else { Grade::Warning };
    let says = format!(
        "{percent} % of {} people: {} have a key, {} rely on their provider's second factor",
        coverage.people, coverage.with_key, coverage.by_provider
    );
    add(findings, "two factors", grade, says);
    if !coverage.without.is_empty() {
        let says = format!(
            "{}: {}; invite them with `sekimori user invite`",
            coverage.without.len(),
            named(&coverage.without)
        );
        add(findings, "people without a key", Grade::Warning, says);
    }
}

/// Some of the names, and how many more there are.
pub fn named(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_MAX).map(String::as_str).collect();
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

async fn look_at_unused(
    config: &Config,
    store: &Arc<dyn Store>,
    at: Timestamp,
    findings: &mut Vec<Finding>,
) -> Result<(), Failure> {
    let Some(span) = config.directory.disable_unused_after else { return Ok(()) };
    let micros = i64::try_from(span.as_micros()).unwrap_or(i64::MAX);
    let unused = PeopleFilter {
        disabled: Some(false),
        unused_since: Some(Timestamp::from_unix_micros(at.unix_micros().saturating_sub(micros))),
        ..PeopleFilter::default()
    };
    let names: Vec<String> = all_people(&**store, &unused).await?.into_iter().map(|person| person.login).collect();
    if !names.is_empty() {
        let says =
            format!("{} have not signed in for {} days: {}", names.len(), span.as_secs() / 86_400, named(&names));
        add(findings, "unused accounts", Grade::Warning, says);
    }
    Ok(())
}

async fn look_at_outages(config: &Config, store: &Arc<dyn Store>, findings: &mut Vec<Finding>) -> Result<(), Failure> {
    let outage = Outage::load(Arc::clone(store) as Arc<dyn store::Store>, &config.providers, config.outage).await;
    let outage = outage.map_err(|problem| Failure::unavailable(problem.to_string()))?;
    for one in outage.status() {
        let what = format!("outage of {}", one.provider);
        if let OutageMode::Outage { since, .. } = one.mode {
            let says = format!("since {}; people sign in by key", since.rfc3339(config.offset));
            add(findings, what.as_str(), Grade::Warning, says);
        }
        match one.switch {
            OutageSwitch::Automatic => {}
            OutageSwitch::On | OutageSwitch::Off => {
                let says = format!(
                    "the switch is {}, whatever the provider does; `sekimori outage auto {}` leaves it to the gateway",
                    one.switch.as_str(),
                    one.provider
                );
                add(findings, what, Grade::Warning, says);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(coverage: &Coverage) -> Vec<(String, Grade, String)> {
        let mut findings = Vec::new();
        add_coverage(coverage, &mut findings);
        findings.into_iter().map(|one| (one.what, one.grade, one.says)).collect()
    }

    #[test]
    fn whoever_has_no_second_factor_is_named() {
        let without: Vec<String> = (1..=7).map(|number| format!("p{number}")).collect();
        let found = says(&Coverage { people: 10, with_key: 2, by_provider: 1, without, administrators: 1 });
        assert!(found[0].2.starts_with("30 % of 10 people: 2 have a key"), "{found:?}");
        assert_eq!(found[0].1, Grade::Warning);
        assert!(found[1].2.starts_with("7: p1, p2, p3, p4, p5 and 2 more"), "{found:?}");
    }

    #[test]
    fn all_covered_is_good() {
        let found = says(&Coverage { people: 2, with_key: 1, by_provider: 1, ..Coverage::default() });
        assert_eq!((found.len(), found[0].1), (1, Grade::Good));
        assert!(found[0].2.starts_with("100 %"));
    }
}
