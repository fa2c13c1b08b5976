//! Server certificates that the gateway orders by itself: whether the CA answers, and how it went lately.

use config::Config;
use policy::Timestamp;

use super::{Finding, Grade, add};
use crate::acme;

pub(super) async fn look(config: &Config, at: Timestamp, findings: &mut Vec<Finding>) {
    let Some(ordered) = &config.acme else { return };
    let what = format!("CA {}", ordered.authority());
    match acme::ask_directory(config, ordered).await {
        Ok(()) => add(findings, what.clone(), Grade::Good, "answers"),
        Err(reason) => add(findings, what.clone(), Grade::Warning, reason),
    }
    if let Some(tries) = acme::trouble(ordered).await {
        if tries.is_under_way() {
            return add(findings, what, Grade::Good, tries.reason);
        }
        // How soon the certificate ends is said of the certificate itself.
        let next = if tries.next_at() > at { tries.next_at().rfc3339(config.offset) } else { "now".to_owned() };
        let says = format!("gave no certificate, {} times; tried again {next}: {}", tries.failures, tries.reason);
        add(findings, what, Grade::Bad, says);
    }
}
