//! What the hospital asks of exceptions, as the configuration in force says.

use config::{BreakGlass, Config, Maintenance};
use foldhash::HashMap;
use policy::{AppId, Holidays, RoleId, Timestamp, UserId, UtcOffset};
use store::{AskTerms, GlassTerms, GrantAbout, GrantRecord, GrantRefusal, Ruler};

use super::{has_one_of, people};

/// What is asked of both kinds of exceptions.
pub(super) struct Rules {
    pub(super) maintenance: Maintenance,
    pub(super) glass: BreakGlass,
    pub(super) apps: Vec<AppId>,
    pub(super) offset: UtcOffset,
    pub(super) holidays: Holidays,
}

impl Rules {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            maintenance: config.maintenance.clone(),
            glass: config.break_glass.clone(),
            apps: config.apps.iter().map(|app| app.id.clone()).collect(),
            offset: config.offset,
            holidays: config.policy.holidays.clone(),
        }
    }

    /// Whether an exception is still given by people who could give it now: each has the role still, and there are as
    /// many as must. Whoever approved at the machine has no role to lose.
    pub(super) fn still_give(&self, record: &GrantRecord, roles: &HashMap<UserId, Vec<RoleId>>) -> bool {
        let one = match &record.about {
            GrantAbout::Glass(_) => return true,
            GrantAbout::Maintenance(one) => one,
        };
        let may = |actor: &str, wanted: &[RoleId]| match UserId::parse(actor) {
            Ok(person) => roles.get(&person).is_some_and(|theirs| has_one_of(theirs, wanted)),
            Err(_) => true,
        };
        let approved = one.approvals.iter().filter(|approval| may(&approval.by, &self.maintenance.approvers)).count();
        let enough = u32::try_from(approved).unwrap_or(u32::MAX) >= one.approvals_needed;
        let admitted =
            one.admitted.as_ref().is_some_and(|admitted| may(&admitted.by.by, &self.maintenance.emergency_approvers));
        record.is_given() && (enough || admitted)
    }

    pub(super) fn terms_of_windows(&self) -> AskTerms {
        let one = &self.maintenance;
        AskTerms {
            vendor_roles: one.vendor_roles.clone(),
            approvals_needed: one.people,
            length_max: one.max_length,
            ahead_max: one.max_ahead,
            report_within: one.report_within,
            blocks_when_overdue: one.block_when_overdue,
        }
    }

    pub(super) fn terms_of_glass(&self) -> GlassTerms {
        GlassTerms { vendor_roles: self.vendors().cloned().collect(), blocks_unreviewed: self.glass.block_unreviewed }
    }

    /// The roles of everybody who comes from a vendor.
    pub(super) fn vendors(&self) -> impl Iterator<Item = &RoleId> {
        self.maintenance.vendor_roles.iter().chain(&self.maintenance.vendor_administrators)
    }

    /// Whoever may approve, refuse and confirm.
    pub(super) fn approver(&self, actor: &str) -> Ruler {
        Ruler { actor: actor.to_owned(), roles: self.maintenance.approvers.clone() }
    }

    /// Whoever may let somebody in before it is approved.
    pub(super) fn on_duty(&self, actor: &str) -> Ruler {
        Ruler { actor: actor.to_owned(), roles: self.maintenance.emergency_approvers.clone() }
    }

    pub(super) fn reviewer(&self, actor: &str) -> Ruler {
        Ruler { actor: actor.to_owned(), roles: self.glass.reviewers.clone() }
    }

    /// Refuses outside the hours in which the hospital approves.
    pub(super) fn at_this_hour(&self, at: Timestamp) -> Result<(), GrantRefusal> {
        let hours = self.maintenance.hours.as_ref();
        let now = hours.is_none_or(|hours| hours.cover(at, self.offset, &self.holidays));
        if now { Ok(()) } else { Err(GrantRefusal::OutsideHours) }
    }

    /// Refuses for an app that there is not.
    pub(super) fn known_app(&self, app: &AppId) -> Result<(), GrantRefusal> {
        if self.apps.contains(app) { Ok(()) } else { Err(GrantRefusal::NoSuchApp) }
    }
}

/// The people who gave an exception.
pub(super) fn givers(record: &GrantRecord) -> impl Iterator<Item = UserId> + use<> {
    let given = record.maintenance().into_iter();
    let rulings = given.flat_map(|one| one.approvals.iter().chain(one.admitted.iter().map(|admitted| &admitted.by)));
    people(rulings).collect::<Vec<_>>().into_iter()
}
