//! The gateway's own rules, which no configuration changes: sign-in is open to everyone, the portal to everyone who
//! is signed in, and a session works nowhere but on the device it was opened on.

use crate::answer::{Answer, Outcome};
use crate::facts::signed_in;
use crate::fit::covers;
use crate::{Access, Action, Challenge, Reason, RuleId};

/// The rule that answers when no rule does.
pub(crate) const DEFAULT_DENY: &str = "default-deny";
const OTHER_DEVICE: &str = "builtin-other-device";
const LOGIN: &str = "builtin-login";
const PORTAL: &str = "builtin-portal";

/// Whether a rule id belongs to the gateway itself.
pub(crate) fn is_reserved(id: &RuleId) -> bool {
    id.as_str() == DEFAULT_DENY || id.as_str().starts_with("builtin-")
}

/// A rule id of the gateway itself.
pub(crate) fn id(name: &'static str) -> RuleId {
    RuleId::parse(name).expect("the names above are names")
}

/// Refuses a session that is used from another device than its own.
pub(crate) fn other_device(access: &Access) -> Option<Answer> {
    let elsewhere = signed_in(access).is_some() && !access.session_is_on_its_device();
    elsewhere.then(|| Answer::always(Outcome::deny(Reason::OtherDevice, id(OTHER_DEVICE))))
}

/// Judges a part of the gateway itself; configured rules do not reach it, so none can shut out sign-in.
pub(crate) fn judge(access: &Access) -> Answer {
    match access.app.as_str() {
        "login" => Answer::always(look_and_act(access.action, id(LOGIN))),
        "portal" => portal(access),
        _ => Answer::always(Outcome::deny(Reason::RoleNotAllowed, id(DEFAULT_DENY))),
    }
}

fn portal(access: &Access) -> Answer {
    if let Some(refusal) = other_device(access) {
        return refusal;
    }
    if signed_in(access).is_none() {
        return Answer::always(Outcome::challenge(Challenge::SignIn, id(PORTAL), Vec::new()));
    }
    Answer::always(look_and_act(access.action, id(PORTAL)))
}

fn look_and_act(action: Action, rule: RuleId) -> Outcome {
    if covers(&[Action::Read, Action::Write], action) {
        Outcome::Allow(rule)
    } else {
        Outcome::deny(Reason::ActionNotAllowed, rule)
    }
}
