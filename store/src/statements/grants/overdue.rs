//! What people did not do in time: each is told once, whoever looks first.

use policy::{GrantId, Timestamp};

use crate::rows;
use crate::sql::{Connection, Row};
use crate::statements::events::tell;
use crate::{Change, GrantDuty, StoreProblem};

/// Who tells of it: nobody did anything, which is what is told.
const CLOCK: &str = "gateway:clock";

/// Tells of what became overdue up to a moment, and how much that is.
pub(crate) fn note_overdue(c: &Connection, at: Timestamp) -> Result<u64, StoreProblem> {
    let mut told = 0;
    for duty in GrantDuty::ALL {
        let read = |row: &Row| rows::parsed(row, "id", |text| GrantId::parse(text).ok());
        for grant in rows::all(c.prepare_cached(mark(duty))?, [at.unix_micros()], read)? {
            tell(c, at, CLOCK, &Change::GrantOverdue { grant, duty })?;
            told += 1;
        }
    }
    Ok(told)
}

/// Marks those of which nobody was told. The same as [`GrantRecord::is_overdue`](crate::GrantRecord::is_overdue) says.
fn mark(duty: GrantDuty) -> &'static str {
    match duty {
        GrantDuty::Approval => {
            "update grants set approval_overdue_told = 1
             where approval_overdue_told = 0 and admitted_at is not null and approval_due_at <= ?1
                 and approvals_given < approvals_needed
             returning id"
        }
        GrantDuty::Report => {
            "update grants set overdue_told = 1
             where overdue_told = 0 and kind = 'maintenance' and reported_at is null and confirmed_at is null
                 and refused_at is null and withdrawn_at is null
                 and (admitted_at is not null or approvals_given >= approvals_needed)
                 and (ended_at is null or ended_at > begin)
                 and (case when ended_at < \"end\" then ended_at else \"end\" end) + report_within <= ?1
             returning id"
        }
        GrantDuty::Review => {
            "update grants set overdue_told = 1
             where overdue_told = 0 and kind = 'glass' and reviewed_at is null and review_due_at <= ?1
                 and (ended_at is null or ended_at > begin)
             returning id"
        }
    }
}
