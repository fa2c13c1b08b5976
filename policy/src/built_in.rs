//! The gateway's own rules, which no configuration changes: sign-in is open to everyone, the portal to everyone who
//! is signed in, the console to its roles on a known device with two fresh factors, and a session works nowhere but on
//! the device it was opened on.

use std::time::Duration;

use crate::answer::{Answer, Outcome};
use crate::facts::signed_in;
use crate::{
    Access, Action, Assurance, Challenge, ConsoleRight, ConsoleRoles, Path, Reads, Reason, Reasons, RuleId, Timestamp,
};

/// The rule that answers when no rule does.
pub(crate) const DEFAULT_DENY: &str = "default-deny";
const OTHER_DEVICE: &str = "builtin-other-device";
const LOGIN: &str = "builtin-login";
const PORTAL: &str = "builtin-portal";
const CONSOLE: &str = "builtin-console";
/// How surely one must have been recognised for the console.
const CONSOLE_ASSURANCE: Assurance = Assurance::Aal2;
/// How long ago.
const CONSOLE_WITHIN: Duration = Duration::from_secs(12 * 3_600);
/// How long ago, for whoever approves what another person proposed or asked for, or judges what they did.
const APPROVAL_WITHIN: Duration = Duration::from_secs(10 * 60);
/// Where whoever may look at everything posts: questions name patients, who stand in no address, and reviews are theirs.
const ASKED_BY_POST: [&str; 2] = ["explain", LOG];
/// Where whoever may look at a part of the log posts too.
const LOG: &str = "log";
/// What of the console the help desk may change: the first segments of its paths.
const HELPED_WITH: [&str; 4] = ["people", "invitations", "devices", "sessions"];
/// Where approvers decide.
const MAINTENANCE: &str = "maintenance";
/// Where reviewers decide.
const GLASS: &str = "glass";

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
pub(crate) fn judge(access: &Access, console_roles: &ConsoleRoles) -> Answer {
    match access.app.as_str() {
        "login" => Answer::always(look_and_act(access.action, id(LOGIN))),
        "portal" => portal(access),
        "console" => console(access, console_roles),
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

fn console(access: &Access, roles: &ConsoleRoles) -> Answer {
    if let Some(refusal) = other_device(access) {
        return refusal;
    }
    let Some(who) = signed_in(access) else {
        return Answer::always(Outcome::challenge(Challenge::SignIn, id(CONSOLE), Vec::new()));
    };
    let Some(right) = roles.right_of(who) else {
        return Answer::always(Outcome::deny(Reason::RoleNotAllowed, id(CONSOLE)));
    };
    let within = if approves(access, roles, right) { APPROVAL_WITHIN } else { CONSOLE_WITHIN };
    let until = who.authenticated_at.after(within);
    let fresh = access.at < until;
    let mut unmet = [
        (access.device.is_none(), Reason::DeviceRequired),
        (who.in_outage, Reason::OutageReduced),
        (who.assurance < CONSOLE_ASSURANCE || !fresh, Reason::StepUpRequired),
    ]
    .into_iter()
    .filter(|(is_unmet, _)| *is_unmet)
    .map(|(_, reason)| reason);
    let outcome = match (unmet.next(), unmet.collect::<Vec<_>>()) {
        (None, _) => may_change(access, roles, right),
        (Some(Reason::StepUpRequired), _) => {
            Outcome::challenge(Challenge::StepUp(CONSOLE_ASSURANCE), id(CONSOLE), Vec::new())
        }
        (Some(main), others) => Outcome::Deny(Reasons { main, rule: id(CONSOLE), others }),
    };
    Answer { until: if fresh { until } else { Timestamp::MAX }, ..Answer::always(outcome) }
}

/// What of the console somebody with this right may do, everything else being met.
fn may_change(access: &Access, roles: &ConsoleRoles, right: ConsoleRight) -> Outcome {
    if access.action == Action::Read {
        return Outcome::allow(id(CONSOLE));
    }
    let place = first_segment(&access.path);
    let helps_here = right.helps() && (HELPED_WITH.contains(&place) || is_end_of_maintenance(&access.path));
    let asks = access.action == Action::Write && right.sees_all() && ASKED_BY_POST.contains(&place);
    let reads = access.action == Action::Write && place == LOG && reads_log(access, roles);
    if right.administers() || helps_here || asks || reads || decides(access, roles) {
        return look_and_act(access.action, id(CONSOLE));
    }
    Outcome::deny(Reason::ActionNotAllowed, id(CONSOLE))
}

/// Whether who asks may look at the log, or at a part of it.
fn reads_log(access: &Access, roles: &ConsoleRoles) -> bool {
    signed_in(access).is_some_and(|who| roles.reads(who) != Reads::Nothing)
}

/// Whether who asks has the role that decides on what is found there.
fn decides(access: &Access, roles: &ConsoleRoles) -> bool {
    let Some(who) = signed_in(access) else { return false };
    match first_segment(&access.path) {
        MAINTENANCE => roles.approves(who),
        GLASS => roles.reviews(who),
        _ => false,
    }
}

/// Whether who asks is where they approve, or judge, what another person wants: `/versions/NUMBER/approve`,
/// `/maintenance/GRANT/approve`, `/maintenance/GRANT/admit`, `/glass/GRANT/review`.
fn approves(access: &Access, roles: &ConsoleRoles, right: ConsoleRight) -> bool {
    let mut segments = access.path.as_str().split('/').skip(1);
    match (segments.next(), segments.nth(1)) {
        (Some("versions"), Some("approve")) => right.administers(),
        (Some(MAINTENANCE), Some("approve" | "admit")) | (Some(GLASS), Some("review")) => decides(access, roles),
        _ => false,
    }
}

/// Whether this ends maintenance that is under way, which whoever helps may do: `/maintenance/GRANT/end`.
fn is_end_of_maintenance(path: &Path) -> bool {
    let mut segments = path.as_str().split('/').skip(1);
    (segments.next(), segments.nth(1)) == (Some(MAINTENANCE), Some("end"))
}

fn first_segment(path: &Path) -> &str {
    path.as_str().split('/').nth(1).unwrap_or_default()
}

fn look_and_act(action: Action, rule: RuleId) -> Outcome {
    match action {
        Action::Read | Action::Search | Action::Write | Action::Delete => Outcome::allow(rule),
        Action::Export | Action::Connect => Outcome::deny(Reason::ActionNotAllowed, rule),
    }
}
