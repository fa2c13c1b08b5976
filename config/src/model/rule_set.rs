//! Rules that several apps share.

use policy::{AppId, RuleId, RuleSetId};

use crate::Names;

/// Rules that several apps share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleSet {
    /// Its name in configuration.
    pub id: RuleSetId,
    /// Its name as people read it.
    pub name: Names,
    /// Its rules, in the order written.
    pub rules: Vec<RuleId>,
    /// The apps that name it; where there is none, its rules are in force nowhere.
    pub apps: Vec<AppId>,
}
