//! Exceptions and their life: a vendor's window from the request to the confirmed report, and glass that a person broke
//! until its review. How one stands is told by its moments and the clock alone.

use std::fmt;
use std::time::Duration;

use policy::{AppId, GrantId, GrantKind, Method, PathPattern, RoleId, Timestamp, Unit, UserId};

/// The most bytes of a file that comes with a work plan.
pub const PLAN_FILE_BYTES_MAX: usize = 5 * 1024 * 1024;
/// The most characters of a purpose, a ticket, a reason, a comment.
pub const GRANT_WORDS_CHARS_MAX: usize = 1_000;
/// The most characters of a work plan, a draft, a report.
pub const GRANT_TEXT_CHARS_MAX: usize = 50_000;
/// The most methods, and the most paths, that one exception names.
pub const GRANT_REACH_MAX: usize = 50;
/// The most requests of one person that wait for an answer.
pub const GRANTS_WAITING_MAX: usize = 20;
/// The most exceptions that are read at once.
pub const GRANTS_READ_MAX: usize = 500;

/// An exception that is kept. It is never deleted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantRecord {
    /// Its name.
    pub id: GrantId,
    /// Which kind of exception.
    pub kind: GrantKind,
    /// Whose it is.
    pub person: UserId,
    /// For which app.
    pub app: AppId,
    /// Its first moment.
    pub begin: Timestamp,
    /// The first moment at which it is over, as it was asked for.
    pub end: Timestamp,
    /// When it was asked for, or the glass broken.
    pub asked_at: Timestamp,
    /// Who asked, as [`Event::actor`](crate::Event::actor) says: the person, or somebody of the hospital for them.
    pub asked_by: String,
    /// What is asked for and what came of it.
    pub about: GrantAbout,
    /// Set when it was ended before its time.
    pub ended: Option<Ruling>,
}

/// What is particular to each kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GrantAbout {
    /// A vendor's window.
    Maintenance(Box<Maintenance>),
    /// Broken glass.
    Glass(Box<Glass>),
}

/// A vendor's window, beyond who, which and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Maintenance {
    /// What for.
    pub purpose: String,
    /// The number of the ticket, where there is one.
    pub ticket: String,
    /// The work plan.
    pub plan: String,
    /// The file that came with the plan; its bytes are read by [`Store::plan_file`](crate::Store::plan_file).
    pub file: Option<PlanFile>,
    /// Which methods and paths of the app it reaches.
    pub reach: GrantReach,
    /// Whether the person asked to be let in at once.
    pub is_urgent: bool,
    /// How many people must approve.
    pub approvals_needed: u32,
    /// Who approved, earliest first.
    pub approvals: Vec<Ruling>,
    /// Who let the person in before it was approved, and when that must be made up for.
    pub admitted: Option<Admission>,
    /// Who refused.
    pub refused: Option<Ruling>,
    /// Who took it back before it was decided.
    pub withdrawn: Option<Ruling>,
    /// How long after the end the report is due.
    pub report_within: Duration,
    /// What was reported last.
    pub report: Option<GrantReport>,
    /// Who confirmed the report.
    pub confirmed: Option<Ruling>,
}

/// Glass that was broken, beyond who, where and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glass {
    /// Why: a code of the configuration.
    pub reason: String,
    /// Why, in the person's words.
    pub words: String,
    /// The patient it is for, where that is known: it opens nothing about others. Forgotten some time after its review
    /// ([`Store::forget_glass_patients`](crate::Store::forget_glass_patients)): the log keeps it.
    pub patient: Option<String>,
    /// The ward it is for, where no patient is and that is known: it opens nothing about others' patients.
    pub ward: Option<Unit>,
    /// When its review is due.
    pub review_due_at: Timestamp,
    /// What came of the review.
    pub review: Option<GlassReview>,
}

impl Glass {
    /// Whether it opens everything already that another would: for the whole app, or for the same patient or ward.
    #[must_use]
    pub fn opens_as_much_as(&self, new: &NewGlass) -> bool {
        match (&self.patient, &self.ward) {
            (Some(patient), _) => new.patient.as_ref() == Some(patient),
            (None, Some(ward)) => new.patient.is_none() && new.ward.as_ref().is_some_and(|other| ward.covers(other)),
            (None, None) => true,
        }
    }
}

/// What somebody decided, when, and in which words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// When.
    pub at: Timestamp,
    /// Who, as [`Event::actor`](crate::Event::actor) says.
    pub by: String,
    /// In their words; may be empty.
    pub words: String,
}

/// Somebody was let in before it was approved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// Who let them in.
    pub by: Ruling,
    /// When it must have been approved.
    pub due_at: Timestamp,
}

/// A file that came with a work plan. Nobody here ever opens it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanFile {
    /// Its name as it was sent.
    pub name: String,
    /// What it was said to be.
    pub media_type: String,
    /// How many bytes.
    pub bytes: u64,
    /// Their SHA-256.
    pub sha256: [u8; 32],
}

/// Which requests an exception reaches; both empty for all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantReach {
    /// The methods; empty for all.
    pub methods: Vec<Method>,
    /// The paths; empty for all.
    pub paths: Vec<PathPattern>,
}

impl GrantReach {
    /// Whether it covers a request.
    #[must_use]
    pub fn covers(&self, method: &Method, path: &policy::Path) -> bool {
        (self.methods.is_empty() || self.methods.contains(method))
            && (self.paths.is_empty() || self.paths.iter().any(|pattern| pattern.matches(path)))
    }
}

/// What was done in a window, as it was reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantReport {
    /// What the product drafted from the log. No patient is named in it: those stand in the log alone.
    pub draft: String,
    /// What the vendor says of it.
    pub text: String,
    /// When it was handed in last.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// What the hospital confirms of a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantConfirmation {
    /// When the report was handed in that they were shown; whichever is there, where nothing says.
    pub reported_at: Option<Timestamp>,
    /// What the log tells by now, in place of what was drafted when it was handed in; that one where it tells nothing.
    pub draft: Option<String>,
    /// What they say of it.
    pub words: String,
}

/// What came of a review of broken glass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlassReview {
    /// Whether it was right.
    pub verdict: GlassVerdict,
    /// Who says so.
    pub by: Ruling,
}

/// What a review says of broken glass.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GlassVerdict {
    /// It was needed.
    Justified,
    /// The person must be asked.
    Ask,
    /// It was not.
    Unjustified,
}

impl GlassVerdict {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Justified, Self::Ask, Self::Unjustified];

    /// Its word in store, log and forms.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Justified => "justified",
            Self::Ask => "ask",
            Self::Unjustified => "unjustified",
        }
    }

    /// Reads it back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// How long before its beginning a window may be let into force before it is approved: whatever can wait longer waits for
/// its approval.
pub const GRANT_ADMITTED_AHEAD_MAX: Duration = Duration::from_secs(3_600);

/// What people did not do in time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GrantDuty {
    /// Approving whom somebody let in before.
    Approval,
    /// Reporting what was done in a window.
    Report,
    /// Reviewing broken glass.
    Review,
}

impl GrantDuty {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Approval, Self::Report, Self::Review];

    /// Its word in store, log and notices.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Report => "report",
            Self::Review => "review",
        }
    }

    /// Reads it back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == text)
    }
}

/// How an exception stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GrantState {
    /// It waits for the hospital.
    Requested,
    /// Its time passed before it was approved.
    Lapsed,
    /// The hospital refused it.
    Refused,
    /// It was taken back, or ended before it began.
    Withdrawn,
    /// It is approved, and its time has not come.
    Armed,
    /// It is in force.
    Active,
    /// It is over; a report, or a review, is due.
    Ended,
    /// The report is there, and not confirmed.
    Reported,
    /// The report was confirmed, or the review done.
    Confirmed,
}

impl GrantState {
    /// All of them, in the order of a life.
    pub const ALL: [Self; 9] = [
        Self::Requested,
        Self::Lapsed,
        Self::Refused,
        Self::Withdrawn,
        Self::Armed,
        Self::Active,
        Self::Ended,
        Self::Reported,
        Self::Confirmed,
    ];

    /// Its code for programs and pages.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Lapsed => "lapsed",
            Self::Refused => "refused",
            Self::Withdrawn => "withdrawn",
            Self::Armed => "armed",
            Self::Active => "active",
            Self::Ended => "ended",
            Self::Reported => "reported",
            Self::Confirmed => "confirmed",
        }
    }
}

impl GrantRecord {
    /// The vendor's part, if it is a vendor's.
    #[must_use]
    pub fn maintenance(&self) -> Option<&Maintenance> {
        match &self.about {
            GrantAbout::Maintenance(maintenance) => Some(maintenance),
            GrantAbout::Glass(_) => None,
        }
    }

    /// The part of broken glass, if it is that.
    #[must_use]
    pub fn glass(&self) -> Option<&Glass> {
        match &self.about {
            GrantAbout::Glass(glass) => Some(glass),
            GrantAbout::Maintenance(_) => None,
        }
    }

    /// The first moment at which it is over, or will be.
    #[must_use]
    pub fn over_at(&self) -> Timestamp {
        self.ended.as_ref().map_or(self.end, |ended| ended.at.min(self.end))
    }

    /// Whether it was let into force: approved by as many as must, or admitted before; nobody refused it or took it
    /// back.
    #[must_use]
    pub fn is_given(&self) -> bool {
        match &self.about {
            GrantAbout::Maintenance(one) => {
                one.refused.is_none() && one.withdrawn.is_none() && (one.is_approved() || one.admitted.is_some())
            }
            GrantAbout::Glass(_) => true,
        }
    }

    /// Whether it is in force at a moment: from its first one, up to the one at which it is over.
    #[must_use]
    pub fn is_in_force(&self, at: Timestamp) -> bool {
        self.is_given() && self.begin <= at && at < self.over_at()
    }

    /// How it stands at a moment.
    #[must_use]
    pub fn state(&self, at: Timestamp) -> GrantState {
        let after = match &self.about {
            GrantAbout::Maintenance(one) => match &**one {
                Maintenance { refused: Some(_), .. } => Some(GrantState::Refused),
                Maintenance { withdrawn: Some(_), .. } => Some(GrantState::Withdrawn),
                Maintenance { confirmed: Some(_), .. } => Some(GrantState::Confirmed),
                Maintenance { report: Some(_), .. } => Some(GrantState::Reported),
                Maintenance { .. } => None,
            },
            GrantAbout::Glass(glass) => {
                glass.review.is_some().then_some(GrantState::Confirmed).filter(|_| at >= self.over_at())
            }
        };
        let over_at = self.over_at();
        match after {
            Some(after) => after,
            None if over_at <= self.begin => GrantState::Withdrawn,
            None if !self.is_given() => {
                if at < self.end {
                    GrantState::Requested
                } else {
                    GrantState::Lapsed
                }
            }
            None if at < self.begin => GrantState::Armed,
            None if at < over_at => GrantState::Active,
            None => GrantState::Ended,
        }
    }

    /// When the next thing is due from people after the window, where something is: the report, or the review.
    #[must_use]
    pub fn due_at(&self, at: Timestamp) -> Option<Timestamp> {
        match (&self.about, self.state(at)) {
            (GrantAbout::Maintenance(one), GrantState::Ended) => Some(self.over_at().after(one.report_within)),
            (GrantAbout::Glass(glass), GrantState::Active | GrantState::Ended) if glass.review.is_none() => {
                Some(glass.review_due_at)
            }
            (GrantAbout::Maintenance(_) | GrantAbout::Glass(_), _) => None,
        }
    }

    /// When the approval of somebody who was let in before it is due, until it is there.
    #[must_use]
    pub fn approval_due_at(&self) -> Option<Timestamp> {
        let one = self.maintenance().filter(|one| !one.is_approved())?;
        one.admitted.as_ref().map(|admitted| admitted.due_at)
    }

    /// Whether something of it is overdue: an approval, a report, a review.
    #[must_use]
    pub fn is_overdue(&self, at: Timestamp) -> bool {
        [self.due_at(at), self.approval_due_at()].into_iter().flatten().any(|due| due <= at)
    }
}

impl Maintenance {
    /// Whether as many approved as must.
    #[must_use]
    pub fn is_approved(&self) -> bool {
        u32::try_from(self.approvals.len()).unwrap_or(u32::MAX) >= self.approvals_needed
    }
}

/// A window as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewMaintenance {
    /// Its name, of [`GrantKind::Maintenance`].
    pub id: GrantId,
    /// Whose it is to be.
    pub person: UserId,
    /// For which app.
    pub app: AppId,
    /// Its first moment.
    pub begin: Timestamp,
    /// The first moment at which it is over.
    pub end: Timestamp,
    /// As [`GrantRecord::asked_at`].
    pub asked_at: Timestamp,
    /// As [`GrantRecord::asked_by`].
    pub asked_by: String,
    /// As [`Maintenance::purpose`].
    pub purpose: String,
    /// As [`Maintenance::ticket`].
    pub ticket: String,
    /// As [`Maintenance::plan`].
    pub plan: String,
    /// As [`Maintenance::file`], with its bytes.
    pub file: Option<(PlanFile, Vec<u8>)>,
    /// As [`Maintenance::reach`].
    pub reach: GrantReach,
    /// As [`Maintenance::is_urgent`].
    pub is_urgent: bool,
}

/// What the hospital asks of a window, and of whoever asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskTerms {
    /// The roles that vendors' people have: nobody else is given a window.
    pub vendor_roles: Vec<RoleId>,
    /// How many people must approve.
    pub approvals_needed: u32,
    /// The longest window.
    pub length_max: Duration,
    /// How far ahead it may begin.
    pub ahead_max: Duration,
    /// How long after the end the report is due.
    pub report_within: Duration,
    /// Whether a report that is overdue stands in the way of the person's next window.
    pub blocks_when_overdue: bool,
}

/// Glass as it is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewGlass {
    /// Its name, of [`GrantKind::Glass`].
    pub id: GrantId,
    /// Who breaks it, for themselves.
    pub person: UserId,
    /// For which app.
    pub app: AppId,
    /// When: its first moment.
    pub at: Timestamp,
    /// The first moment at which it is over.
    pub end: Timestamp,
    /// As [`Glass::reason`].
    pub reason: String,
    /// As [`Glass::words`].
    pub words: String,
    /// As [`Glass::patient`].
    pub patient: Option<String>,
    /// As [`Glass::ward`].
    pub ward: Option<Unit>,
    /// As [`Glass::review_due_at`].
    pub review_due_at: Timestamp,
}

/// What the hospital asks of whoever breaks the glass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlassTerms {
    /// The roles that vendors' people have: who has one never breaks the glass.
    pub vendor_roles: Vec<RoleId>,
    /// Whether glass of theirs that is not reviewed in time stands in the way of the next.
    pub blocks_unreviewed: bool,
}

/// Who decides something of an exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruler {
    /// Who, as [`Event::actor`](crate::Event::actor) says.
    pub actor: String,
    /// The roles of which they must have one at that moment; asked of people, not of whoever works at the machine.
    pub roles: Vec<RoleId>,
}

/// Why nothing was done to an exception. Nothing was changed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum GrantRefusal {
    /// There is no such exception.
    NotThere,
    /// It does not stand so that this could be done.
    NotNow(GrantState),
    /// The person is unknown or disabled.
    PersonNotInForce,
    /// The person is no vendor's.
    NotAVendor,
    /// The person is a vendor's: they never break the glass.
    Vendor,
    /// Whoever decides does not have the role, or has it no longer.
    NotInRole,
    /// It is their own, or they asked for it.
    TheirOwn,
    /// They approved it already: another person must.
    SamePerson,
    /// The hospital lets nobody decide at this hour.
    OutsideHours,
    /// It would begin in the past.
    InThePast,
    /// It would end before it begins, or as it begins.
    Empty,
    /// It would be longer than the hospital lets one be.
    TooLong(Duration),
    /// It would begin later than the hospital lets one be asked for.
    TooFarAhead(Duration),
    /// The person has another one for the app in that time.
    Overlaps(GrantId),
    /// A report of theirs is overdue, or a review.
    Overdue(GrantId),
    /// Too many of theirs wait for an answer.
    TooMany,
    /// There is no such app.
    NoSuchApp,
    /// There is no such reason.
    NoSuchReason,
    /// Words that must be there are not.
    NoWords,
    /// Words are too long, or the file is, or too many methods and paths are named.
    TooLarge,
    /// Its admission was not approved yet.
    NotApproved,
    /// The hospital does not do this.
    NotOffered,
}

impl GrantRefusal {
    /// Its code for programs and pages.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotThere => "grant-not-there",
            Self::NotNow(_) => "grant-not-now",
            Self::PersonNotInForce => "grant-person-not-in-force",
            Self::NotAVendor => "grant-not-a-vendor",
            Self::Vendor => "grant-vendor",
            Self::NotInRole => "grant-not-in-role",
            Self::TheirOwn => "grant-their-own",
            Self::SamePerson => "grant-same-person",
            Self::OutsideHours => "grant-outside-hours",
            Self::InThePast => "grant-in-the-past",
            Self::Empty => "grant-empty",
            Self::TooLong(_) => "grant-too-long",
            Self::TooFarAhead(_) => "grant-too-far-ahead",
            Self::Overlaps(_) => "grant-overlaps",
            Self::Overdue(_) => "grant-overdue",
            Self::TooMany => "grant-too-many",
            Self::NoSuchApp => "grant-no-such-app",
            Self::NoSuchReason => "grant-no-such-reason",
            Self::NoWords => "grant-no-words",
            Self::TooLarge => "grant-too-large",
            Self::NotApproved => "grant-not-approved",
            Self::NotOffered => "grant-not-offered",
        }
    }
}

impl fmt::Display for GrantRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hours = |span: &Duration| span.as_secs().div_ceil(3_600);
        match self {
            Self::NotThere => f.write_str("there is no such exception"),
            Self::NotNow(state) => write!(f, "it is {}", state.code()),
            Self::PersonNotInForce => f.write_str("the person is unknown or disabled"),
            Self::NotAVendor => f.write_str("the person has no role of a vendor's people"),
            Self::Vendor => f.write_str("the people of vendors never break the glass"),
            Self::NotInRole => f.write_str("whoever decides this must have the role for it at this moment"),
            Self::TheirOwn => f.write_str("nobody decides what they asked for themselves"),
            Self::SamePerson => f.write_str("another person must approve it"),
            Self::OutsideHours => f.write_str("nobody approves at this hour"),
            Self::InThePast => f.write_str("it would begin in the past"),
            Self::Empty => f.write_str("it would end before it begins"),
            Self::TooLong(most) => write!(f, "it would be longer than {} hours", hours(most)),
            Self::TooFarAhead(most) => write!(f, "it would begin more than {} hours from now", hours(most)),
            Self::Overlaps(other) => write!(f, "`{other}` is for the same person and app at that time"),
            Self::Overdue(other) => write!(f, "what is due for `{other}` must be there first"),
            Self::TooMany => f.write_str("too many requests of this person wait"),
            Self::NoSuchApp => f.write_str("there is no such app"),
            Self::NoSuchReason => f.write_str("there is no such reason"),
            Self::NoWords => f.write_str("words are missing"),
            Self::TooLarge => f.write_str("the words or the file are too long"),
            Self::NotApproved => f.write_str("its admission was not approved yet"),
            Self::NotOffered => f.write_str("the configuration names nobody who decides on it"),
        }
    }
}

/// Which exceptions to read; the default is all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GrantFilter {
    /// Of this kind.
    pub kind: Option<GrantKind>,
    /// Of this person.
    pub person: Option<UserId>,
    /// For this app.
    pub app: Option<AppId>,
    /// Given, and not over at this moment: what is in force then, or comes into force later.
    pub not_over_at: Option<Timestamp>,
    /// Where somebody still has something to do at this moment: neither refused nor withdrawn nor confirmed nor reviewed,
    /// and no window that lapsed or was ended before it began.
    pub unfinished_at: Option<Timestamp>,
}
