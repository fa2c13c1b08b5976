//! `[[rule]]`: the rows of the rule table. A column that is left out sets no condition.

use std::collections::BTreeMap;
use std::time::Duration;

use policy::{
    Action, AppId, Apps, Assurance, DeviceClass, Devices, Effect, Hours, Methods, PostureDemand, RoleId, Rule, RuleId,
    SignInMethod, Subjects, Weekday, ZoneId,
};

use super::app::{BUILT_IN, pattern};
use super::names::NAME_REMEDY;
use super::passkeys;
use crate::Passkeys;
use crate::declared::Declared;
use crate::walk::{Seen, Table, Value};

const EFFECTS: [(&str, Effect); 2] = [("permit", Effect::Permit), ("forbid", Effect::Forbid)];
/// Ids of the rules that are built in.
const RESERVED_ID: &str = "default-deny";
const RESERVED_ID_PREFIX: &str = "builtin-";
const MINUTES_PER_DAY: u16 = 1_440;

/// The rows that could be read, and the line of each.
pub(crate) struct Rules {
    pub(crate) rules: Vec<Rule>,
    pub(crate) lines: BTreeMap<RuleId, Place>,
}

/// Where a row stands.
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
}

pub(crate) fn read(root: &Table<'_>, declared: &Declared, known: &Passkeys) -> Rules {
    let mut seen = Seen::default();
    let mut read = Rules { rules: Vec::new(), lines: BTreeMap::new() };
    for table in root.tables("rule") {
        if let Some(rule) = read_one(&table, declared, known, &mut seen) {
            let (line, column) = table.place();
            read.lines.insert(rule.id.clone(), Place { line, column });
            read.rules.push(rule);
        }
    }
    read
}

fn read_one(table: &Table<'_>, declared: &Declared, known: &Passkeys, seen: &mut Seen) -> Option<Rule> {
    let id = table.needed("id", "`id = \"nurses-read-charts\"`", |value| {
        let id = value.parse(RuleId::parse, NAME_REMEDY)?;
        if id.as_str() == RESERVED_ID || id.as_str().starts_with(RESERVED_ID_PREFIX) {
            return value.wrong(format!("`{id}` is the name of a built-in rule"), "give the rule another id");
        }
        seen.claim(&value, id.as_str(), "give each rule its own id")?;
        Some(id)
    });
    let effect = table.or("effect", Effect::Permit, |value| value.word(&EFFECTS));
    let subjects = table
        .needed("roles", "`roles = [\"nurse\"]`, `\"signed-in\"` or `\"anyone\"`", |value| subjects(&value, declared));
    let apps = table.needed("apps", "`apps = [\"emr\"]` or `\"all\"`", |value| apps(&value, declared));
    let actions = table.needed("actions", "`actions = [\"read\"]` or `\"all\"`", |value| actions(&value));
    let paths = table.or("paths", Vec::new(), |value| value.some(|item| pattern(&item)));
    let devices = table.or("devices", Devices::Any, |value| devices(&value));
    let zones = table.or("zones", Vec::new(), |value| value.some(|item| zone(&item, declared)));
    let days = table.optional("days", |value| value.some(|item| weekday(&item)));
    let span = table.optional("hours", |value| hours(&value));
    let assurance =
        table.optional("assurance", |value| value.word(&Assurance::ALL.map(|level| (level.as_str(), level))));
    let minute = Duration::from_secs(60);
    let within = table.optional("authenticated_within", |value| value.time(minute..=60 * 24 * 30 * minute));
    let words = SignInMethod::ALL.map(|method| (method.as_str(), method));
    let methods = table.or("methods", Methods::NONE, |value| value.some(|item| item.word(&words)).map(Methods::of));
    let keys = table.or("keys", Vec::new(), |value| value.some(|item| passkeys::model(&item, known)));
    let posture = table.or("posture", Vec::new(), |value| {
        value.some(|item| item.parse(PostureDemand::parse, "write it like `disk_encrypted` or `edr=running`"))
    });
    let in_outage = table.or("in_outage", false, |value| value.yes_or_no());
    table.finish();
    let hours = match (days?, span?) {
        (None, None) => None,
        (days, span) => {
            let (from_minute, to_minute) = span.unwrap_or((0, MINUTES_PER_DAY));
            Some(Hours { days: days.unwrap_or_else(|| Weekday::ALL.to_vec()), from_minute, to_minute })
        }
    };
    Some(Rule {
        id: id?,
        effect: effect?,
        subjects: subjects?,
        apps: apps?,
        actions: actions?,
        paths: paths?,
        devices: devices?,
        zones: zones?,
        hours,
        assurance: assurance?,
        authenticated_within: within?,
        methods: methods?,
        keys: keys?,
        posture: posture?,
        in_outage: in_outage?,
    })
}

fn subjects(value: &Value<'_>, declared: &Declared) -> Option<Subjects> {
    if value.as_text().is_some() {
        return value
            .word(&[("anyone", ()), ("signed-in", ())])
            .map(|()| if value.as_text() == Some("anyone") { Subjects::Anyone } else { Subjects::SignedIn });
    }
    let role = |item: Value<'_>| {
        let role = item.parse(RoleId::parse, NAME_REMEDY)?;
        declared.role(&item, role.as_str())?;
        Some(role)
    };
    value.some(role).map(Subjects::Roles)
}

fn apps(value: &Value<'_>, declared: &Declared) -> Option<Apps> {
    if value.as_text().is_some() {
        return value.word(&[("all", ())]).map(|()| Apps::All);
    }
    let app = |item: Value<'_>| {
        let app = item.parse(AppId::parse, NAME_REMEDY)?;
        if BUILT_IN.contains(&app.as_str()) {
            return item.wrong(format!("`{app}` is a part of the gateway, with rules of its own"), "remove it");
        }
        declared.app(&item, app.as_str())?;
        Some(app)
    };
    value.some(app).map(Apps::Only)
}

fn actions(value: &Value<'_>) -> Option<Vec<Action>> {
    if value.as_text().is_some() {
        return value.word(&[("all", ())]).map(|()| Action::ALL.to_vec());
    }
    let mut actions = value.some(|item| item.word(&Action::ALL.map(|action| (action.as_str(), action))))?;
    actions.sort();
    actions.dedup();
    Some(actions)
}

fn devices(value: &Value<'_>) -> Option<Devices> {
    if value.as_text().is_some() {
        return value
            .word(&[("any", false), ("known", true)])
            .map(|known| if known { Devices::Known } else { Devices::Any });
    }
    value.some(|item| item.word(&DeviceClass::ALL.map(|class| (class.as_str(), class)))).map(Devices::Classes)
}

fn zone(value: &Value<'_>, declared: &Declared) -> Option<ZoneId> {
    let zone = value.parse(ZoneId::parse, NAME_REMEDY)?;
    declared.zone(value, zone.as_str())?;
    Some(zone)
}

fn weekday(value: &Value<'_>) -> Option<Weekday> {
    value.word(&Weekday::ALL.map(|day| (day.as_str(), day)))
}

/// `08:00-18:00`; `22:00-06:00` runs past midnight.
fn hours(value: &Value<'_>) -> Option<(u16, u16)> {
    let text = value.text()?;
    let span = text.split_once('-').and_then(|(from, to)| Some((minute(from)?, minute(to)?)));
    match span {
        Some((from, _)) if from == MINUTES_PER_DAY => value.wrong("begins at `24:00`", "begin at `00:00`"),
        Some((from, to)) if from == to => {
            value.wrong(format!("`{text}` begins and ends at the same minute"), "leave it out for the whole day")
        }
        Some((from, 0)) => Some((from, MINUTES_PER_DAY)),
        Some(span) => Some(span),
        None => value.wrong(format!("`{text}` is not a span of hours"), "write it like `08:00-18:00`"),
    }
}

/// `00:00` to `24:00`.
fn minute(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let two_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    if !two_digits(hours) || !two_digits(minutes) {
        return None;
    }
    let (hours, minutes) = (hours.parse::<u16>().ok()?, minutes.parse::<u16>().ok()?);
    let minute = hours * 60 + minutes;
    (minutes < 60 && minute <= MINUTES_PER_DAY).then_some(minute)
}
