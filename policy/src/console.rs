//! Who may use the console, and as what. Its pages ask [`ConsoleRoles::right_of`] too, to show what can be done.

use crate::{RoleId, Unit, Who};

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
    /// May look at every recording of a terminal.
    pub recording_readers: Vec<RoleId>,
    /// May look at a part of the log, and at nothing else.
    pub readers: Vec<Readers>,
}

/// A role that reads what was done in some departments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Readers {
    /// The role.
    pub role: RoleId,
    /// The departments, or facilities.
    pub units: Vec<Unit>,
}

/// What of the log somebody may look at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reads {
    /// All of it.
    Everything,
    /// What was done by people of these departments, or on devices that stand there.
    Units(Vec<Unit>),
    /// Nothing.
    Nothing,
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
    /// Decide on exceptions, as approver or reviewer, or look at recordings, and see nothing else.
    Decide,
    /// Look at a part of the log, and see nothing else.
    Read,
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
            (false, false) if self.approves(who) || self.reviews(who) || self.replays(who) => {
                Some(ConsoleRight::Decide)
            }
            (false, false) => self.readers_of(who).next().map(|_| ConsoleRight::Read),
        }
    }

    /// What of the log this person may look at. Whoever may see all of it is not kept to a part by another role.
    #[must_use]
    pub fn reads(&self, who: &Who) -> Reads {
        if self.right_of(who).is_some_and(ConsoleRight::sees_all) {
            return Reads::Everything;
        }
        let mut units: Vec<Unit> = self.readers_of(who).flat_map(|readers| readers.units.clone()).collect();
        units.sort_unstable();
        units.dedup();
        if units.is_empty() { Reads::Nothing } else { Reads::Units(units) }
    }

    fn readers_of<'a>(&'a self, who: &'a Who) -> impl Iterator<Item = &'a Readers> {
        self.readers.iter().filter(|readers| who.roles.contains(&readers.role))
    }

    /// Whether this person may say yes or no to maintenance. Administrators may not unless they have such a role.
    #[must_use]
    pub fn approves(&self, who: &Who) -> bool {
        has_one_of(who, &self.approvers)
    }

    /// Whether this person may look at every recording of a terminal. Administrators may not unless they have such a role.
    #[must_use]
    pub fn replays(&self, who: &Who) -> bool {
        has_one_of(who, &self.recording_readers)
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
            Self::Help | Self::Decide | Self::Read => false,
        }
    }

    /// Whether they may invite people, end sessions and deal with lost devices and keys.
    #[must_use]
    pub fn helps(self) -> bool {
        match self {
            Self::Administer | Self::Help | Self::HelpAndAudit => true,
            Self::Audit | Self::Decide | Self::Read => false,
        }
    }

    /// Whether they may change everything.
    #[must_use]
    pub fn administers(self) -> bool {
        self == Self::Administer
    }
}
