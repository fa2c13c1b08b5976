//! The answer of the policy, and the proof that it was yes.
//!
//! [`Authorized`] is made by [`Judge::judge`](crate::Judge::judge) alone and opened by `audit` alone, so nothing can
//! be forwarded that was not judged. Forging, copying and reusing do not compile:
//!
//! ```compile_fail
//! let forged = policy::Authorized { permit: todo!(), act: () };
//! ```
//! ```compile_fail
//! fn copy(one: &policy::Authorized<()>) -> policy::Authorized<()> { one.clone() }
//! ```
//! ```compile_fail
//! fn reuse(one: policy::Authorized<()>) { let _ = one.open(); let _ = one.open(); }
//! ```
//! ```compile_fail
//! fn lengthen(permit: &mut policy::Permit) { permit.until = policy::Timestamp::MAX; }
//! ```

use std::fmt;
use std::sync::Arc;

use crate::{Access, Assurance, Caps, Judged, Revision, RuleId, Timestamp};

/// What the policy says to one access. `T` is the act that was asked for: a request, a socket, a tunnel. Boxed, because
/// a verdict passes through many hands on the way of every request.
#[derive(Debug)]
pub enum Verdict<T> {
    /// Yes.
    Allow(Authorized<T>),
    /// Not yet: the person can do something about it.
    Challenge(Box<Refused<T>>, Challenge),
    /// No.
    Deny(Box<Refused<T>>),
}

/// What a person can do to be allowed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Challenge {
    /// Sign in.
    SignIn,
    /// Prove again who they are, at least this surely.
    StepUp(Assurance),
}

/// An act that the policy allowed. Only `audit` opens it.
#[derive(Debug)]
#[must_use = "an authorized act that is dropped was neither recorded nor done"]
pub struct Authorized<T> {
    permit: Box<Permit>,
    act: T,
}

impl<T> Authorized<T> {
    pub(crate) fn new(permit: Box<Permit>, act: T) -> Self {
        Self { permit, act }
    }

    /// What was allowed.
    #[must_use]
    pub fn permit(&self) -> &Permit {
        &self.permit
    }

    pub(crate) fn note_shadow(&mut self, judged: Option<Box<Judged>>) {
        self.permit.shadow = judged;
    }

    /// Refuses it after all, for a reason that the policy does not weigh: with a challenge where the person can do
    /// something about it. There is no way back.
    #[must_use]
    pub fn refuse(self, reason: Reason, challenge: Option<Challenge>) -> Verdict<T> {
        let Permit { access, rule, revision, shadow, .. } = *self.permit;
        let reasons = Reasons { main: reason, rule, others: Vec::new() };
        let refused = Box::new(Refused { access, reasons, revision, shadow, act: self.act });
        match challenge {
            Some(challenge) => Verdict::Challenge(refused, challenge),
            None => Verdict::Deny(refused),
        }
    }

    /// Takes it apart. For `audit`, which records before it lets go; clippy refuses it elsewhere.
    #[must_use]
    pub fn open(self) -> (Box<Permit>, T) {
        (self.permit, self.act)
    }
}

/// What was allowed, by which rule, until when, and how its record must be kept.
#[derive(Debug)]
pub struct Permit {
    access: Access,
    rule: RuleId,
    revision: Revision,
    until: Timestamp,
    durability: Durability,
    caps: Option<Arc<Caps>>,
    shadow: Option<Box<Judged>>,
}

impl Permit {
    pub(crate) fn new(
        access: Access,
        rule: RuleId,
        revision: Revision,
        until: Timestamp,
        durability: Durability,
    ) -> Self {
        Self { access, rule, revision, until, durability, caps: None, shadow: None }
    }

    /// The same, within bounds.
    pub(crate) fn within(self, caps: Option<Arc<Caps>>) -> Self {
        Self { caps, ..self }
    }

    /// The facts it was judged on.
    #[must_use]
    pub fn access(&self) -> &Access {
        &self.access
    }

    /// The rule that allowed it.
    #[must_use]
    pub fn rule(&self) -> &RuleId {
        &self.rule
    }

    /// The version of configuration and policy that judged.
    #[must_use]
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The next moment at which time alone may change the answer.
    #[must_use]
    pub fn until(&self) -> Timestamp {
        self.until
    }

    /// How its record must be kept.
    #[must_use]
    pub fn durability(&self) -> Durability {
        self.durability
    }

    /// How much the rule lets one person do within an hour; without bounds where absent.
    #[must_use]
    pub fn caps(&self) -> Option<&Arc<Caps>> {
        self.caps.as_ref()
    }

    /// What a shadow policy says instead, where it says something else.
    #[must_use]
    pub fn shadow(&self) -> Option<&Judged> {
        self.shadow.as_deref()
    }
}

/// How surely a record is kept before the act goes on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Durability {
    /// In the kernel's hands: survives the program, synced to disk within 50 ms.
    Written,
    /// On disk: survives a power cut.
    Synced,
}

/// An act that was refused, with everything a record and a page need.
#[derive(Debug)]
pub struct Refused<T> {
    /// The facts it was judged on.
    pub access: Access,
    /// Why.
    pub reasons: Reasons,
    /// The version of configuration and policy that judged.
    pub revision: Revision,
    /// What a shadow policy says instead, where it says something else.
    pub shadow: Option<Box<Judged>>,
    /// What was asked for, handed back.
    pub act: T,
}

/// Why an access was refused: one main reason, then others that also stood in the way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reasons {
    /// The reason to tell first.
    pub main: Reason,
    /// The rule that decided, or came nearest to allowing.
    pub rule: RuleId,
    /// What else stood in the way.
    pub others: Vec<Reason>,
}

impl Reasons {
    /// Whether the rule that came nearest lacks nothing but broken glass; what it asks to be proven is asked for after.
    /// Whether this person may break it is not known here: a vendor never may.
    #[must_use]
    pub fn may_break_glass(&self) -> bool {
        self.main == Reason::BreakGlassRequired && self.others.iter().all(|other| *other == Reason::StepUpRequired)
    }
}

/// A closed vocabulary: every reason has a code in the log and a sentence in both languages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Reason {
    /// Nobody is signed in.
    SignInRequired,
    /// The person must prove again, or more surely, who they are.
    StepUpRequired,
    /// The session was opened on another device.
    OtherDevice,
    /// No rule gives any of the person's roles this app.
    RoleNotAllowed,
    /// The roles may use the app, but not for this action.
    ActionNotAllowed,
    /// The roles may do this in the app, but not at this path.
    PathNotAllowed,
    /// The roles may do this in the app, but not to information of this class.
    ClassNotAllowed,
    /// The rule asks for a device of the ledger, and none was shown.
    DeviceRequired,
    /// The device is known but not of a class the rule allows.
    DeviceClassNotAllowed,
    /// Not from this zone.
    ZoneNotAllowed,
    /// Not at this hour.
    OutsideHours,
    /// The rule asks for another way of proving who one is.
    MethodNotAllowed,
    /// The rule asks for a passkey of another model.
    KeyNotAllowed,
    /// The rule asks for a condition of the device that is not reported, or reported otherwise.
    PostureNotMet,
    /// What was reported of the device's condition is too old.
    PostureStale,
    /// The person signed in while their provider could not be reached, and the rule does not reach that far.
    OutageReduced,
    /// The rule takes an approved exception, and there is none.
    GrantRequired,
    /// The approved exception does not reach this method or path.
    GrantReach,
    /// The rule takes broken glass: the person may break it for themselves.
    BreakGlassRequired,
    /// The rule permits no more of it within the hour.
    CapReached,
    /// A rule forbids it, whatever others allow.
    Forbidden,
    /// A rule could not be evaluated; that denies.
    PolicyError,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 22] = [
        Self::SignInRequired,
        Self::StepUpRequired,
        Self::OtherDevice,
        Self::RoleNotAllowed,
        Self::ActionNotAllowed,
        Self::PathNotAllowed,
        Self::ClassNotAllowed,
        Self::DeviceRequired,
        Self::DeviceClassNotAllowed,
        Self::ZoneNotAllowed,
        Self::OutsideHours,
        Self::MethodNotAllowed,
        Self::KeyNotAllowed,
        Self::PostureNotMet,
        Self::PostureStale,
        Self::OutageReduced,
        Self::GrantRequired,
        Self::GrantReach,
        Self::BreakGlassRequired,
        Self::CapReached,
        Self::Forbidden,
        Self::PolicyError,
    ];

    /// Its code in log, API and page.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::SignInRequired => "sign-in-required",
            Self::StepUpRequired => "step-up-required",
            Self::OtherDevice => "other-device",
            Self::RoleNotAllowed => "role-not-allowed",
            Self::ActionNotAllowed => "action-not-allowed",
            Self::PathNotAllowed => "path-not-allowed",
            Self::ClassNotAllowed => "class-not-allowed",
            Self::DeviceRequired => "device-required",
            Self::DeviceClassNotAllowed => "device-class-not-allowed",
            Self::ZoneNotAllowed => "zone-not-allowed",
            Self::OutsideHours => "outside-hours",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::KeyNotAllowed => "key-not-allowed",
            Self::PostureNotMet => "posture-not-met",
            Self::PostureStale => "posture-stale",
            Self::OutageReduced => "outage-reduced",
            Self::GrantRequired => "grant-required",
            Self::GrantReach => "grant-reach",
            Self::BreakGlassRequired => "break-glass-required",
            Self::CapReached => "cap-reached",
            Self::Forbidden => "forbidden",
            Self::PolicyError => "policy-error",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}
