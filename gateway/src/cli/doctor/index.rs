//! The search index: whether it is there, and how far it is behind the log.

use audit::Reader;
use config::Config;
use find::{FindProblem, Index};

use super::{Finding, Grade, add};
use crate::finding;

/// More lines than this are not only what was written in the last seconds.
const BEHIND_MAX: u64 = 100_000;
const WHAT: &str = "search index";

/// Looks at the index.
pub fn look(config: &Config, findings: &mut Vec<Finding>) {
    let log: Reader = (&config.audit).into();
    // Where the log cannot be read, others say so.
    let Ok(lines) = log.size() else { return };
    let index = match Index::open_existing(&finding::index_dir(&config.state_dir)) {
        Ok(index) => index,
        Err(FindProblem::Missing { .. }) => {
            add(findings, WHAT, Grade::Good, "there is none yet; it is made when the gateway starts");
            return;
        }
        Err(problem) => {
            add(findings, WHAT, Grade::Warning, problem.to_string());
            return;
        }
    };
    let behind = lines.saturating_sub(index.lag().seq);
    let grade = if behind > BEHIND_MAX { Grade::Warning } else { Grade::Good };
    let size = format!("{} accesses and facts in {} MiB", index.stories(), index.bytes() >> 20);
    add(findings, WHAT, grade, format!("{behind} lines behind the log, {size}"));
}
