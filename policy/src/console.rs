//! Who may use the console, and as what. Its pages ask [`ConsoleRoles::right_of`] too, to show what can be done.

use crate::{RoleId, Who};

/// The roles that may use the console; nobody may where none is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsoleRoles {
    /// May do everything.
    pub administrators: Vec<RoleId>,
    /// May help people: invitations, lost devices, sessions.
    pub help_desk: Vec<RoleId>,
    /// May look at everything and change nothing.
    pub auditors: Vec<RoleId>,
    /// May say yes or no to the maintenance that vendors ask for, and end it.
    pub approvers: Vec<RoleId>,
    /// May judge how somebody broke the glass.
    pub reviewers: Vec<RoleId>,
}

/// What somebody may do in the console.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ConsoleRight {
    /// Everything.
    Administer,
    /// Invite people, end sessions, deal with lost devices and keys; look at the same.
    Help,
    /// Look at everything, change nothing.
    Audit,
    /// Both [`ConsoleRight::Help`] and [`ConsoleRight::Audit`].
    HelpAndAudit,
    /// Decide on exceptions, as approver or reviewer, and see nothing else.
    Decide,
}

impl ConsoleRoles {
    /// What this person may do; `None` for nothing.
    #[must_use]
    pub fn right_of(&self, who: &Who) -> Option<ConsoleRight> {
        if has_one_of(who, &self.administrators) {
            return Some(ConsoleRight::Administer);
        }
        match (has_one_of(who, &self.help_desk), has_one_of(who, &self.auditors)) {
            (true, true) => Some(ConsoleRight::HelpAndAudit),
            (true, false) => Some(ConsoleRight::Help),
            (false, true) => Some(ConsoleRight::Audit),
            (false, false) => (self.approves(who) || self.reviews(who)).then_some(ConsoleRight::Decide),
        }
    }

    /// Whether this person may say yes or no to maintenance. Administrators may not unless they have such a role.
    #[must_use]
    pub fn approves(&self, who: &Who) -> bool {
        has_one_of(who, &self.approvers)
    }

    /// Whether this person may judge how the glass was broken. Administrators may not unless they have such a role.
    #[must_use]
    pub fn reviews(&self, who: &Who) -> bool {
        has_one_of(who, &self.reviewers)
    }
}

fn has_one_of(who: &Who, roles: &[RoleId]) -> bool {
    who.roles.iter().any(|role| roles.contains(role))
}

impl ConsoleRight {
    /// Whether they may look at everything.
    #[must_use]
    pub fn sees_all(self) -> bool {
        match self {
            Self::Administer | Self::Audit | Self::HelpAndAudit => true,
            Self::Help | Self::Decide => false,
        }
    }

    /// Whether they may invite people, end sessions and deal with lost devices and keys.
    #[must_use]
    pub fn helps(self) -> bool {
        match self {
            Self::Administer | Self::Help | Self::HelpAndAudit => true,
            Self::Audit | Self::Decide => false,
        }
    }

    /// Whether they may change everything.
    #[must_use]
    pub fn administers(self) -> bool {
        self == Self::Administer
    }
}
