//! When a backup was last verified.

use config::Config;
use policy::Timestamp;
use store::Store;

use super::{Finding, Grade, add};
use crate::backups::VerifiedBackup;
use crate::failure::Failure;

/// A backup that nobody verified may be none.
pub(super) async fn look(
    config: &Config,
    store: &dyn Store,
    at: Timestamp,
    findings: &mut Vec<Finding>,
) -> Result<(), Failure> {
    let within = config.backup.verified_within;
    let (grade, says) = match VerifiedBackup::last(store).await? {
        None => (
            Grade::Warning,
            "none was ever verified here; run `sekimori backup --to FOLDER`, then `sekimori backup verify --from FOLDER \
             --config FILE`"
                .to_owned(),
        ),
        Some(last) => {
            let age = last.age(at).unwrap_or(std::time::Duration::MAX);
            let grade = if age > within { Grade::Warning } else { Grade::Good };
            let opened = if last.opened { "opened with the recovery key" } else { "not opened" };
            let says = format!(
                "the last one that was verified is backup {} in {}, made at {}, verified at {}, {opened}",
                last.number, last.place, last.made_at, last.verified_at
            );
            (grade, says)
        }
    };
    add(findings, "backup", grade, says);
    Ok(())
}
