//! The access log at rest: how full it is, whether it is encrypted and its keys are there, and the clock it is written by.

use audit::{ClockState, KeyRing};
use config::Config;

use super::{Finding, Grade, add};

pub(super) fn look(config: &Config, findings: &mut Vec<Finding>) {
    look_at_clock(findings);
    look_at_keys(config, findings);
    if !config.audit.archive {
        add(findings, "access log at rest", Grade::Warning, "closed segments are neither compressed nor encrypted");
    }
}

fn look_at_clock(findings: &mut Vec<Finding>) {
    let clock = audit::kernel_clock();
    let (grade, says) = match clock.state {
        ClockState::Synchronised => (
            Grade::Good,
            format!("a time service keeps it; it is off by {} ms at most", clock.error_micros_max / 1_000),
        ),
        ClockState::Unsynchronised => (
            Grade::Warning,
            "nothing keeps it at true time: set up chrony or systemd-timesyncd with the institution's time source"
                .into(),
        ),
        ClockState::Unknown => (Grade::Warning, "the kernel does not say whether a time service keeps it".into()),
    };
    add(findings, "clock of this machine", grade, says);
}

fn look_at_keys(config: &Config, findings: &mut Vec<Finding>) {
    let Some(encryption) = &config.audit.encryption else { return };
    let what = "keys of the access log";
    if !encryption.ring.exists() && !config.audit.directory.exists() {
        add(findings, what, Grade::Good, "the key ring is made at the first start");
        return;
    }
    let ring = match KeyRing::read(&encryption.ring) {
        Ok(ring) => ring,
        Err(problem) => {
            add(findings, what, Grade::Bad, problem.to_string());
            return;
        }
    };
    match audit::key_use(&config.audit.directory) {
        Ok(needed) => {
            let lost = needed.keys().filter(|id| ring.keys().all(|(known, _)| known != id.as_str())).count();
            let grade = if lost > 0 { Grade::Bad } else { Grade::Good };
            add(
                findings,
                what,
                grade,
                format!("{} in the ring, {lost} that segments need are missing", ring.keys().count()),
            );
        }
        Err(problem) => add(findings, what, Grade::Bad, problem.to_string()),
    }
    if encryption.recovery_key.is_none() {
        let says = "there is no recovery key: who loses the ring loses the log; see `sekimori audit key escrow`";
        add(findings, what, Grade::Warning, says);
    }
}
