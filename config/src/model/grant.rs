//! What the hospital asks of exceptions: vendors' windows, and broken glass.

use std::time::Duration;

use policy::{Hours, RoleId};

use crate::Names;

/// What is asked of vendors' windows. Without approvers nobody can be given one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// The roles of vendors' people: they may ask for windows, and never break the glass.
    pub vendor_roles: Vec<RoleId>,
    /// The roles of those vendors' people who look after their colleagues' accounts.
    pub vendor_administrators: Vec<RoleId>,
    /// The roles of those who approve, refuse, end and confirm.
    pub approvers: Vec<RoleId>,
    /// How many of them must approve.
    pub people: u32,
    /// When they may; always where absent.
    pub hours: Option<Hours>,
    /// The roles of those on duty, who may let somebody in before it is approved; at any hour.
    pub emergency_approvers: Vec<RoleId>,
    /// How long after it that must be approved.
    pub approve_within: Duration,
    /// The longest window.
    pub max_length: Duration,
    /// How far ahead one may begin.
    pub max_ahead: Duration,
    /// How long after its end the report is due.
    pub report_within: Duration,
    /// Whether a report that is overdue stands in the way of the next window.
    pub block_when_overdue: bool,
    /// The roles of those who may look at every recording of a terminal.
    pub recording_readers: Vec<RoleId>,
}

impl Maintenance {
    /// Whether a role is one of a vendor's people.
    pub(crate) fn is_vendors(&self, role: &RoleId) -> bool {
        self.vendor_roles.iter().chain(&self.vendor_administrators).any(|vendors| vendors == role)
    }
}

impl Default for Maintenance {
    fn default() -> Self {
        const HOUR: Duration = Duration::from_secs(3_600);
        Self {
            vendor_roles: Vec::new(),
            vendor_administrators: Vec::new(),
            approvers: Vec::new(),
            people: 1,
            hours: None,
            emergency_approvers: Vec::new(),
            approve_within: 24 * HOUR,
            max_length: 8 * HOUR,
            max_ahead: 30 * 24 * HOUR,
            report_within: 3 * 24 * HOUR,
            block_when_overdue: true,
            recording_readers: Vec::new(),
        }
    }
}

/// What is asked of whoever breaks the glass. Without reviewers nobody can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreakGlass {
    /// Why somebody may: a code, and how people read it.
    pub reasons: Vec<(String, Names)>,
    /// How long it stays broken.
    pub length: Duration,
    /// How long after it the review is due.
    pub review_within: Duration,
    /// The roles of those who review.
    pub reviewers: Vec<RoleId>,
    /// Whether a review that is overdue stands in the way of the same person's next time.
    pub block_unreviewed: bool,
}

impl BreakGlass {
    /// The reasons there are where the hospital names none.
    #[must_use]
    pub fn usual_reasons() -> Vec<(String, Names)> {
        [
            ("emergency", "救急・急変", "Emergency, sudden change"),
            ("cover", "担当者不在の代行", "Covering for a colleague"),
            ("consult", "他科からの相談", "Asked by another department"),
            ("other", "その他", "Other"),
        ]
        .map(|(code, ja, en)| (code.to_owned(), Names { ja: ja.to_owned(), en: en.to_owned() }))
        .into()
    }

    /// How people read a reason.
    #[must_use]
    pub fn reason(&self, code: &str) -> Option<&Names> {
        self.reasons.iter().find(|(one, _)| one == code).map(|(_, names)| names)
    }
}

impl Default for BreakGlass {
    fn default() -> Self {
        Self {
            reasons: Self::usual_reasons(),
            length: Duration::from_secs(3_600),
            review_within: Duration::from_secs(72 * 3_600),
            reviewers: Vec::new(),
            block_unreviewed: false,
        }
    }
}
