//! Remote maintenance as a vendor's people see it in the portal: they ask for a window, see how it stands, end it, report
//! what was done; and their own administrator shuts out who left. What is said of a window, and what the log tells of
//! the work under it, is here for the console too. Deliberately not here: what the hospital decides (console), when a
//! window is in force (identity), and whether a request is let through (policy).

mod ask;
mod leavers;
mod own;
mod told;
mod view;
mod visitor;
mod work;

use policy::{RoleId, Who};

pub(crate) use told::{Names, Side, Teller, grant_id};
pub(crate) use work::Work;

use crate::site::Answer;
use crate::{MaintenancePage, PageRequest, Site};

impl Site {
    /// Answers a page for a vendor's people.
    pub(crate) async fn maintenance(&self, page: MaintenancePage, request: &PageRequest) -> Answer {
        match page {
            MaintenancePage::Requests => self.own_maintenance(request).await,
            MaintenancePage::AskNew => self.ask_maintenance(request),
            MaintenancePage::Ask => self.request_maintenance(request).await,
            MaintenancePage::Request => self.own_request(request).await,
            MaintenancePage::File => self.own_file(request).await,
            MaintenancePage::Withdraw => self.withdraw_maintenance(request).await,
            MaintenancePage::End => self.end_own(request).await,
            MaintenancePage::Report => self.report_maintenance(request).await,
            MaintenancePage::People => self.vendors_people(request).await,
            MaintenancePage::AskDisable => self.ask_leaver(request).await,
            MaintenancePage::Disable => self.disable_leaver(request).await,
        }
    }

    /// Whether somebody comes for a vendor.
    pub(crate) fn is_vendors(&self, who: &Who) -> bool {
        self.has_vendors_role(&who.roles)
    }

    /// Whether one of these roles is a vendor's.
    pub(crate) fn has_vendors_role(&self, roles: &[RoleId]) -> bool {
        roles.iter().any(|role| self.is_vendors_role(role))
    }

    /// Whether these roles are a vendor's, and nothing else.
    pub(crate) fn has_vendors_roles_only(&self, roles: &[RoleId]) -> bool {
        !roles.is_empty() && roles.iter().all(|role| self.is_vendors_role(role))
    }

    fn is_vendors_role(&self, role: &RoleId) -> bool {
        let maintenance = &self.config().maintenance;
        maintenance.vendor_roles.contains(role) || maintenance.vendor_administrators.contains(role)
    }

    /// Whether somebody may shut out people of their own vendor.
    pub(crate) fn leads_vendors(&self, who: &Who) -> bool {
        who.roles.iter().any(|role| self.config().maintenance.vendor_administrators.contains(role))
    }
}
