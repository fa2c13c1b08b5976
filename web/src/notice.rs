//! A refusal for a person: what happened, what to do, and a code for the help desk.

use policy::{Challenge, Reason, Timestamp, UtcOffset};

use crate::query::{Ask, target};
use crate::texts::Voice;
use crate::view::{Help, Link, Notice, Tone};
use crate::{Fault, PolicyWords, Refusal, Site, Why, help_code};

/// Where a sign-in starts, on every host.
pub(crate) const START_SIGN_IN: &str = "/.sekimori/sign-in";

/// Says a refusal.
pub(crate) fn of(site: &Site, refusal: &Refusal, voice: Voice<'_>) -> Notice {
    let key = refusal.key();
    Notice {
        tone: tone(&refusal.why),
        title: voice.say(&format!("{key}-title")),
        what: voice.say(&format!("{key}-what")),
        todo: Some(voice.say(&format!("{key}-do"))),
        ways: PolicyWords::new(voice, site.config()).ways(&refusal.ways),
        sign_out: false,
        actions: actions(site, refusal, voice),
        help: Some(Help { code: help_code(refusal.request), rows: rows(site, refusal, voice) }),
        urgent: is_urgent(&refusal.why),
    }
}

fn tone(why: &Why) -> Tone {
    match why {
        Why::Policy(_) => Tone::Stop,
        Why::Challenge(..) => Tone::Ask,
        Why::Fault(Fault::SignInExpired) => Tone::Wait,
        Why::Fault(fault) if fault.status().is_server_error() || fault.may_pass() => Tone::Wait,
        Why::Fault(_) => Tone::Stop,
    }
}

/// Whether somebody at a bedside may be stopped by it, without having done anything wrong.
fn is_urgent(why: &Why) -> bool {
    match why {
        Why::Policy(_) => true,
        Why::Challenge(..) => false,
        Why::Fault(fault) => fault.status().is_server_error() || fault.may_pass(),
    }
}

fn actions(site: &Site, refusal: &Refusal, voice: Voice<'_>) -> Vec<Link> {
    let link = |key: &str, href: String| Link::new(voice.say(key), href);
    let portal = || link("action-portal", site.portal_address());
    let sign_in = |key: &str, again| link(key, Ask { again, ..Ask::default() }.address(START_SIGN_IN));
    match &refusal.why {
        Why::Policy(reasons) if reasons.main == Reason::OtherDevice => vec![sign_in("action-again", None)],
        Why::Policy(_) => vec![portal()],
        Why::Challenge(_, Challenge::SignIn) => vec![sign_in("action-sign-in", None)],
        Why::Challenge(_, Challenge::StepUp(level)) => vec![sign_in("action-step-up", Some(*level)), portal()],
        Why::Fault(
            Fault::SignInExpired
            | Fault::SignInRefused
            | Fault::ProviderUnreachable
            | Fault::PasskeyRefused
            | Fault::ProviderFirst
            | Fault::CodeVoid,
        ) => {
            vec![sign_in("action-again", None)]
        }
        Why::Fault(Fault::NoKey) => {
            vec![link("sign-in-enrol", format!("{}/enrol", site.login_origin())), sign_in("action-again", None)]
        }
        Why::Fault(fault) => {
            let retry = refusal.target.as_ref().filter(|_| fault.may_pass());
            let retry = retry.map(|(path, query)| link("action-retry", target(path, query)));
            retry.into_iter().chain([portal()]).collect()
        }
    }
}

/// What the help desk may ask for.
fn rows(site: &Site, refusal: &Refusal, voice: Voice<'_>) -> Vec<(String, String)> {
    let mut rows = Vec::new();
    let mut row = |key: &str, value: String| rows.push((voice.say(key), value));
    if let Some(app) = &refusal.app {
        row("detail-app", site.app_name(app, voice.language()));
    }
    if let Some(who) = &refusal.who {
        row("detail-who", format!("{} ({})", who.name, who.login));
    }
    if let Some(reasons) = refusal.reasons() {
        row("detail-rule", reasons.rule.to_string());
    }
    row("detail-reason", refusal.code().to_owned());
    if let Some(reasons) = refusal.reasons().filter(|reasons| !reasons.others.is_empty()) {
        let others = reasons.others.iter().map(|other| voice.say(&format!("reason-{}-title", other.code())));
        row("detail-others", others.collect::<Vec<_>>().join(" / "));
    }
    row("detail-time", wall_clock(refusal.at, site.config().offset));
    row("detail-request", refusal.request.to_string());
    rows
}

/// A moment as people read it from a clock and a calendar.
pub(crate) fn wall_clock(at: Timestamp, offset: UtcOffset) -> String {
    let t = at.local(offset);
    let (hour, minute) = (t.minute_of_day / 60, t.minute_of_day % 60);
    format!("{:04}-{:02}-{:02} {hour:02}:{minute:02}:{:02}", t.year, t.month, t.day, t.second)
}

/// Reads a moment as people and browsers write it, `2026-11-23 08:30` or with `T` between, by the hospital's clock.
pub(crate) fn read_wall_clock(text: &str, offset: UtcOffset) -> Option<Timestamp> {
    let (date, time) = text.trim().split_once([' ', 'T'])?;
    let seconds = if time.len() == 5 { ":00" } else { "" };
    Timestamp::parse_rfc3339(&format!("{date}T{time}{seconds}{offset}"))
}
