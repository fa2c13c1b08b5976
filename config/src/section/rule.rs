//! `[[rule]]`: the rows of the rule table. A column that is left out sets no condition.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use policy::{
    Aaguid, Action, AppId, Apps, Assurance, Beyond, Caps, DeviceClass, Devices, Effect, Hours, InfoClass, Methods,
    PathPattern, PostureDemand, RoleId, Rule, RuleId, SignInMethod, Subjects, ZoneId,
};

use super::app::{BUILT_IN, pattern};
use super::names::NAME_REMEDY;
use super::{class, hours, passkeys};
use crate::Passkeys;
use crate::declared::Declared;
use crate::walk::{Seen, Table, Value};

const EFFECTS: [(&str, Effect); 2] = [("permit", Effect::Permit), ("forbid", Effect::Forbid)];
/// Ids of the rules that are built in.
const RESERVED_ID: &str = "default-deny";
const RESERVED_ID_PREFIX: &str = "builtin-";
/// More than anybody does in an hour.
const CAP_MAX: u32 = 1_000_000;

/// The rows that could be read, and where each stands.
#[derive(Default)]
pub(crate) struct Rules {
    pub(crate) rules: Vec<Rule>,
    pub(crate) places: BTreeMap<RuleId, Place>,
}

/// Where a row stands.
pub(crate) struct Place {
    pub(crate) line: usize,
    pub(crate) column: usize,
    pub(crate) key: String,
}

/// What else a rule depends on.
pub(crate) struct Around<'a> {
    pub(crate) declared: &'a Declared,
    pub(crate) passkeys: &'a Passkeys,
}

/// The columns that set conditions, each of which may be left out.
pub(crate) struct Conditions {
    classes: Vec<InfoClass>,
    paths: Vec<PathPattern>,
    devices: Devices,
    zones: Vec<ZoneId>,
    hours: Option<Hours>,
    assurance: Option<Assurance>,
    authenticated_within: Option<Duration>,
    methods: Methods,
    keys: Vec<Aaguid>,
    posture: Vec<PostureDemand>,
    in_outage: bool,
    grant: bool,
    break_glass: bool,
}

impl Rules {
    pub(crate) fn add(&mut self, rule: Rule, table: &Table<'_>) {
        let (line, column) = table.place();
        self.places.insert(rule.id.clone(), Place { line, column, key: table.key().to_owned() });
        self.rules.push(rule);
    }
}

pub(crate) fn read(root: &Table<'_>, around: &Around<'_>, seen: &mut Seen) -> Rules {
    let mut read = Rules::default();
    for table in root.tables("rule") {
        let apps = table.needed("apps", "`apps = [\"emr\"]` or `\"all\"`", |value| apps(&value, around.declared));
        if let Some(rule) = read_one(&table, apps, around, seen) {
            read.add(rule, &table);
        }
    }
    read
}

/// A row of a set, which says nothing of apps.
pub(crate) fn read_shared(table: &Table<'_>, apps: Apps, around: &Around<'_>, seen: &mut Seen) -> Option<Rule> {
    if let Some(value) = table.value("apps") {
        value.wrong::<()>("is for rules outside of sets", "name the set in `rules` of each `[[app]]` it is for");
    }
    read_one(table, Some(apps), around, seen)
}

fn read_one(table: &Table<'_>, apps: Option<Apps>, around: &Around<'_>, seen: &mut Seen) -> Option<Rule> {
    let id = table.needed("id", "`id = \"nurses-read-charts\"`", |value| {
        let id = value.parse(RuleId::parse, NAME_REMEDY)?;
        if id.as_str() == RESERVED_ID || id.as_str().starts_with(RESERVED_ID_PREFIX) {
            return value.wrong(format!("`{id}` is the name of a built-in rule"), "give the rule another id");
        }
        seen.claim(&value, id.as_str(), "give each rule its own id")?;
        Some(id)
    });
    let effect = table.or("effect", Effect::Permit, |value| value.word(&EFFECTS));
    let subjects = table.needed("roles", "`roles = [\"nurse\"]`, `\"signed-in\"` or `\"anyone\"`", |value| {
        subjects(&value, around.declared)
    });
    let actions = table.needed("actions", "`actions = [\"read\"]` or `\"all\"`", |value| actions(&value));
    let conditions = conditions(table, around);
    let caps = caps(table);
    table.finish();
    let rule = Rule { subjects: subjects?, apps: apps?, actions: actions?, ..Rule::unconditional(id?, effect?) };
    Some(Rule { caps: caps?.map(Arc::new), ..conditions?.onto(rule) })
}

impl Conditions {
    /// The rule with these conditions.
    pub(crate) fn onto(self, rule: Rule) -> Rule {
        let Self { classes, paths, devices, zones, hours, assurance, authenticated_within, .. } = self;
        let Self { methods, keys, posture, in_outage, grant, break_glass, .. } = self;
        Rule {
            classes,
            paths,
            devices,
            zones,
            hours,
            assurance,
            authenticated_within,
            methods,
            keys,
            posture,
            in_outage,
            grant,
            break_glass,
            ..rule
        }
    }
}

/// Reads every column that sets a condition.
pub(crate) fn conditions(table: &Table<'_>, around: &Around<'_>) -> Option<Conditions> {
    let declared = around.declared;
    let classes = table.or("classes", Vec::new(), |value| value.some(|item| class::name(&item, declared)));
    let paths = table.or("paths", Vec::new(), |value| value.some(|item| pattern(&item)));
    let devices = table.or("devices", Devices::Any, |value| devices(&value));
    let zones = table.or("zones", Vec::new(), |value| value.some(|item| zone(&item, declared)));
    let hours = hours::read(table);
    let assurance =
        table.optional("assurance", |value| value.word(&Assurance::ALL.map(|level| (level.as_str(), level))));
    let minute = Duration::from_secs(60);
    let within = table.optional("authenticated_within", |value| value.time(minute..=60 * 24 * 30 * minute));
    let words = SignInMethod::ALL.map(|method| (method.as_str(), method));
    let methods = table.or("methods", Methods::NONE, |value| value.some(|item| item.word(&words)).map(Methods::of));
    let keys = table.or("keys", Vec::new(), |value| value.some(|item| passkeys::model(&item, around.passkeys)));
    let posture = table.or("posture", Vec::new(), |value| {
        value.some(|item| item.parse(PostureDemand::parse, "write it like `disk_encrypted` or `edr=running`"))
    });
    let in_outage = table.or("in_outage", false, |value| value.yes_or_no());
    let grant = table.or("grant", false, |value| value.yes_or_no());
    let break_glass = table.or("break_glass", false, |value| value.yes_or_no());
    Some(Conditions {
        classes: classes?,
        paths: paths?,
        devices: devices?,
        zones: zones?,
        hours: hours?,
        assurance: assurance?,
        authenticated_within: within?,
        methods: methods?,
        keys: keys?,
        posture: posture?,
        in_outage: in_outage?,
        grant: grant?,
        break_glass: break_glass?,
    })
}

/// `requests_per_hour`, `patients_per_hour` and what is beyond them.
fn caps(table: &Table<'_>) -> Option<Option<Caps>> {
    let count = |value: Value<'_>| value.count(1..=CAP_MAX).map(NonZeroU32::new);
    let requests = table.or("requests_per_hour", None, count);
    let patients = table.or("patients_per_hour", None, count);
    let words = Beyond::ALL.map(|beyond| (beyond.as_str(), beyond));
    let beyond = table.optional("beyond", |value| {
        if table.value("requests_per_hour").is_none() && table.value("patients_per_hour").is_none() {
            return value.wrong("is beyond nothing", "add `requests_per_hour` or `patients_per_hour`");
        }
        value.word(&words)
    });
    let (requests, patients, beyond) = (requests?, patients?, beyond?.unwrap_or(Beyond::Deny));
    Some((requests.is_some() || patients.is_some()).then_some(Caps { requests, patients, beyond }))
}

pub(crate) fn subjects(value: &Value<'_>, declared: &Declared) -> Option<Subjects> {
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

pub(crate) fn apps(value: &Value<'_>, declared: &Declared) -> Option<Apps> {
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

pub(crate) fn actions(value: &Value<'_>) -> Option<Vec<Action>> {
    if value.as_text().is_some() {
        return value.word(&[("all", ())]).map(|()| Action::ALL.to_vec());
    }
    let mut actions = value.some(|item| item.word(&Action::ALL.map(|action| (action.as_str(), action))))?;
    actions.sort();
    actions.dedup();
    Some(actions)
}

pub(crate) fn devices(value: &Value<'_>) -> Option<Devices> {
    if value.as_text().is_some() {
        return value
            .word(&[("any", false), ("known", true)])
            .map(|known| if known { Devices::Known } else { Devices::Any });
    }
    value.some(|item| item.word(&DeviceClass::ALL.map(|class| (class.as_str(), class)))).map(Devices::Classes)
}

pub(crate) fn zone(value: &Value<'_>, declared: &Declared) -> Option<ZoneId> {
    let zone = value.parse(ZoneId::parse, NAME_REMEDY)?;
    declared.zone(value, zone.as_str())?;
    Some(zone)
}
