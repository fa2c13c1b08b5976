//! The inventory of remote maintenance (リモートメンテナンス台帳): which vendor comes by which way to what, under which
//! contract, and who of the hospital answers for it.

use policy::{AppId, Timestamp, UserId};

/// The most lines of the inventory.
pub const MAINTENANCE_LINES_MAX: usize = 2_000;

/// A line of the inventory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MaintenanceLine {
    /// Its number; 0 for one that is to be added.
    pub number: u64,
    /// The vendor, as people call it.
    pub vendor: String,
    /// The contract.
    pub contract: String,
    /// What is maintained, as people call it.
    pub target: String,
    /// The app of the gateway by which it is reached; `None` where another way leads there.
    pub app: Option<AppId>,
    /// By which way: `sekimori`, or what else there is, such as a VPN.
    pub path: String,
    /// Who of the hospital answers for it.
    pub owner: String,
    /// Which people of the vendor come.
    pub people: Vec<UserId>,
    /// What else there is to say.
    pub note: String,
    /// When it was written last.
    pub changed_at: Timestamp,
}

/// One of several writes to the inventory that succeed or fail together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaintenanceWrite {
    /// Add a line; its number is given by the store.
    Add(MaintenanceLine),
    /// Put another in place of the one with this number.
    Replace(MaintenanceLine),
    /// Remove the line with this number.
    Remove(u64),
    /// Do the others only where the inventory still is this, as [`Store::maintenance_lines`](crate::Store) gave it.
    StillIs(Vec<MaintenanceLine>),
}
