//! `sekimori check`: every problem at once, and whether the policy says what is expected of it; nothing is bound, nothing
//! is written.

use std::sync::Arc;

use certs::ServerCertificates;
use config::Config;

use crate::cli::{ConfigArg, out, policy};
use crate::failure::Failure;
use crate::feed::Receivers;
use crate::notices::Senders;
use crate::{acme, assembly, bare_hosts, clock, shadow};

/// Checks the file, what it names, and that certificates serve every host.
pub fn run(args: &ConfigArg) -> Result<(), Failure> {
    let config = args.read()?;
    check_certificates(&config)?;
    Receivers::build(&config).map_err(|problems| Failure::input(problems.join("\n")))?;
    Senders::build(&config).map_err(|problems| Failure::input(problems.join("\n")))?;
    check_policy(&config)?;
    if let Some(said) = policy::prove::check(&config, args.path(), policy::terminal_language())? {
        out::say(&said);
    }
    out::say(&format!(
        "{}: good. revision {}, {} apps, {} rules, {} listeners",
        args.config.display(),
        config.revision,
        config.apps.len(),
        config.policy.rules.len(),
        config.listeners.len()
    ));
    Ok(())
}

/// Asks the policy's expectations, reads its shadow, and shows what a careful reader would ask.
fn check_policy(config: &Config) -> Result<(), Failure> {
    let (policy, language) = (&config.loaded, policy::terminal_language());
    if !config.policy_tests.is_empty() {
        out::say(&policy::test::check(config, Arc::clone(policy), language)?);
    }
    if let Some(file) = &config.shadow {
        shadow::read(file).map_err(|problems| Failure::input(format!("[policy] shadow: {problems}")))?;
    }
    policy::lint::warnings(config, policy, language).iter().for_each(|warning| out::complain(warning));
    Ok(())
}

fn check_certificates(config: &Config) -> Result<(), Failure> {
    let at = clock::now();
    let certificates = ServerCertificates::load(&config.certificates, at)
        .map_err(|problems| Failure::input(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    acme::check(config).map_err(Failure::input)?;
    assembly::uncovered_hosts(config, &certificates)?;
    // No mistake of the configuration: the gateway orders it when it runs.
    let in_use = ServerCertificates::load(&acme::in_use(config, at), at);
    if let Some(told) = in_use.ok().and_then(|in_use| bare_hosts::told(config, &in_use)) {
        out::complain(&told);
    }
    Ok(())
}
