//! `sekimori check`: every problem at once; nothing is bound, nothing is written.

use certs::ServerCertificates;
use config::Config;

use crate::cli::{ConfigArg, out};
use crate::failure::Failure;
use crate::{assembly, clock};

/// Checks the file, what it names, and that certificates serve every host.
pub fn run(args: &ConfigArg) -> Result<(), Failure> {
    let config = args.read()?;
    check_certificates(&config)?;
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

fn check_certificates(config: &Config) -> Result<(), Failure> {
    let certificates = ServerCertificates::load(&config.certificates, clock::now())
        .map_err(|problems| Failure::input(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    assembly::uncovered_hosts(config, &certificates)
}
