//! What a careful reader would ask of a table that loads: rows that add nothing, rows that contradict each other, rows
//! that never fit, names that nobody uses, routes that nobody reaches. Nothing here changes an answer.
//!
//! A finding is certain as far as the table goes; where Cedar files could make it wrong, it is not made. What is not
//! found may still be there: `policy prove` looks at all requests.

mod reach;
mod wider;

use std::collections::{BTreeMap, BTreeSet};

#[cfg(test)]
pub(crate) use self::wider::is_wider;
use crate::{
    Action, AppId, Apps, Day, DeviceClass, Devices, Effect, InfoClass, Path, Policy, PolicySource, RoleId, Rule,
    RuleId, Subjects, ZoneId,
};

/// What is known around a policy; what is `None` was not asked, and nothing is found about it.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// The roles that the configuration defines.
    pub roles: Vec<RoleId>,
    /// The roles that somebody can have: by a provider's rows or in the directory.
    pub roles_given: Option<BTreeSet<RoleId>>,
    /// The classes of the devices that are in force in the ledger.
    pub device_classes: Option<BTreeSet<DeviceClass>>,
    /// Zones in which no device can show a certificate.
    pub zones_without_devices: BTreeSet<ZoneId>,
    /// Where each app begins on its host.
    pub prefixes: BTreeMap<AppId, Path>,
    /// Rule sets that no app names.
    pub rule_sets_unused: Vec<String>,
    /// Whether networks are named in which no upstream may stand.
    pub has_forbidden_upstreams: bool,
}

/// One thing to look at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Finding {
    /// What it is about.
    pub about: About,
    /// What is the matter.
    pub flaw: Flaw,
}

/// What a finding is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum About {
    /// A rule.
    Rule(RuleId),
    /// A role.
    Role(RoleId),
    /// A class of devices.
    DeviceClass(DeviceClass),
    /// An app.
    App(AppId),
    /// A rule set, by its id.
    RuleSet(String),
    /// The configuration as a whole.
    Configuration,
}

/// What is the matter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Flaw {
    /// The rule says nothing that an earlier one does not say.
    AddsNothing {
        /// The earlier one.
        to: RuleId,
    },
    /// The rule permits only what another forbids.
    NeverAllows {
        /// The one that forbids.
        under: RuleId,
    },
    /// The rule asks for holidays alone, and there are none.
    NoHolidays,
    /// The rule asks for classes or actions that no route of its apps gives.
    NoSuchRoute,
    /// The rule asks for a device, in zones where none can show its certificate.
    NoDevicesThere,
    /// The rule asks for paths that are outside its apps.
    PathsOutside,
    /// No rule names the role, and it gives no right in the console.
    RoleNotNamed,
    /// Rules name the role, and nobody can have it.
    RoleNotGiven,
    /// Rules name the class, and the ledger has no such device.
    NoSuchDevices,
    /// The ledger has such devices, and no rule lets them do anything.
    DevicesNotNamed,
    /// No rule lets anybody into the app.
    AppNotReached,
    /// No rule lets anybody do this in the app.
    RouteNotReached {
        /// The class of the route.
        class: InfoClass,
        /// What the route does; `None` where the method says so.
        action: Option<Action>,
    },
    /// No app names the rule set.
    RuleSetNotNamed,
    /// Nothing keeps an upstream from standing in the network of オンライン資格確認.
    NoForbiddenUpstreams,
}

impl Flaw {
    /// Its code, for programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::AddsNothing { .. } => "adds-nothing",
            Self::NeverAllows { .. } => "never-allows",
            Self::NoHolidays => "no-holidays",
            Self::NoSuchRoute => "no-such-route",
            Self::NoDevicesThere => "no-devices-there",
            Self::PathsOutside => "paths-outside",
            Self::RoleNotNamed => "role-not-named",
            Self::RoleNotGiven => "role-not-given",
            Self::NoSuchDevices => "no-such-devices",
            Self::DevicesNotNamed => "devices-not-named",
            Self::AppNotReached => "app-not-reached",
            Self::RouteNotReached { .. } => "route-not-reached",
            Self::RuleSetNotNamed => "rule-set-not-named",
            Self::NoForbiddenUpstreams => "no-forbidden-upstreams",
        }
    }
}

/// Looks a policy over. `policy` is `source`, loaded.
#[must_use]
pub fn lint(source: &PolicySource, policy: &Policy, around: &Around) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(wider::findings(&source.rules));
    findings.extend(source.rules.iter().flat_map(|rule| never_fits(rule, source, around)));
    findings.extend(roles(source, around));
    findings.extend(device_classes(source, around));
    findings.extend(reach::findings(source, policy));
    let unused = around.rule_sets_unused.iter().cloned();
    findings.extend(unused.map(|set| Finding { about: About::RuleSet(set), flaw: Flaw::RuleSetNotNamed }));
    if !around.has_forbidden_upstreams {
        findings.push(Finding { about: About::Configuration, flaw: Flaw::NoForbiddenUpstreams });
    }
    findings
}

/// Why a row can fit nothing.
fn never_fits(rule: &Rule, source: &PolicySource, around: &Around) -> impl Iterator<Item = Finding> {
    let only_holidays = rule.hours.as_ref().is_some_and(|hours| hours.days.iter().all(|day| *day == Day::Holiday));
    let asks_for_device = rule.devices != Devices::Any || !rule.posture.is_empty();
    let no_devices =
        !rule.zones.is_empty() && rule.zones.iter().all(|zone| around.zones_without_devices.contains(zone));
    [
        (only_holidays && source.holidays.is_empty(), Flaw::NoHolidays),
        (reach::asks_for_no_route(rule, &source.apps), Flaw::NoSuchRoute),
        (asks_for_device && no_devices, Flaw::NoDevicesThere),
        (paths_are_outside(rule, around), Flaw::PathsOutside),
    ]
    .into_iter()
    .filter(|(is_so, _)| *is_so)
    .map(|(_, flaw)| Finding { about: About::Rule(rule.id.clone()), flaw })
    .collect::<Vec<_>>()
    .into_iter()
}

/// Whether no path that a row names can lie in any app it is about.
fn paths_are_outside(rule: &Rule, around: &Around) -> bool {
    let outside = |prefix: &Path| {
        rule.paths.iter().all(|pattern| {
            let fixed = pattern.as_str().split('*').next().unwrap_or_default();
            let prefix = prefix.as_str().trim_end_matches('/');
            // The shorter of the two must begin the longer.
            !fixed.starts_with(prefix) && !prefix.starts_with(fixed)
        })
    };
    let mut prefixes =
        around.prefixes.iter().filter(|(app, _)| names_app(rule, app)).map(|(_, prefix)| prefix).peekable();
    !rule.paths.is_empty() && prefixes.peek().is_some() && prefixes.all(outside)
}

fn names_app(rule: &Rule, app: &AppId) -> bool {
    match &rule.apps {
        Apps::All => true,
        Apps::Only(apps) => apps.contains(app),
    }
}

fn roles(source: &PolicySource, around: &Around) -> Vec<Finding> {
    let of_rule = |rule: &Rule| match &rule.subjects {
        Subjects::Roles(roles) => roles.clone(),
        Subjects::Anyone | Subjects::SignedIn => Vec::new(),
    };
    let in_rules: BTreeSet<RoleId> = source.rules.iter().flat_map(of_rule).collect();
    let console = &source.console;
    let in_console = || [&console.administrators, &console.help_desk, &console.auditors].into_iter().flatten();
    let in_cedar = |role: &RoleId| source.cedar.iter().any(|file| file.text.contains(&format!("\"{role}\"")));
    let about = |role: &RoleId, flaw| Finding { about: About::Role(role.clone()), flaw };
    let is_named = |role: &RoleId| in_rules.contains(role) || in_console().any(|one| one == role) || in_cedar(role);
    let unnamed = around.roles.iter().filter(|role| !is_named(role)).map(|role| about(role, Flaw::RoleNotNamed));
    let named: BTreeSet<&RoleId> = in_rules.iter().chain(in_console()).collect();
    let given = around.roles_given.as_ref();
    let nobodys = named.into_iter().filter(|role| given.is_some_and(|given| !given.contains(*role)));
    unnamed.chain(nobodys.map(|role| about(role, Flaw::RoleNotGiven))).collect()
}

fn device_classes(source: &PolicySource, around: &Around) -> Vec<Finding> {
    let Some(there) = &around.device_classes else { return Vec::new() };
    let about = |class: DeviceClass, flaw| Finding { about: About::DeviceClass(class), flaw };
    let names = |rule: &Rule, class| match &rule.devices {
        Devices::Any | Devices::Known => false,
        Devices::Classes(classes) => classes.contains(&class),
    };
    let reaches = |rule: &Rule, class| {
        let any = matches!(rule.devices, Devices::Any | Devices::Known);
        rule.effect == Effect::Permit && (any || names(rule, class))
    };
    let named_in_vain = DeviceClass::ALL
        .into_iter()
        .filter(|class| !there.contains(class) && source.rules.iter().any(|rule| names(rule, *class)))
        .map(|class| about(class, Flaw::NoSuchDevices));
    let unused = there
        .iter()
        .filter(|class| source.cedar.is_empty() && !source.rules.iter().any(|rule| reaches(rule, **class)))
        .map(|class| about(*class, Flaw::DevicesNotNamed));
    named_in_vain.chain(unused).collect()
}

/// The rows that can go.
#[cfg(test)]
pub(crate) fn needless(rules: &[Rule]) -> Vec<RuleId> {
    let rule = |finding: Finding| match finding.about {
        About::Rule(rule) => Some(rule),
        About::Role(_) | About::DeviceClass(_) | About::App(_) | About::RuleSet(_) | About::Configuration => None,
    };
    wider::findings(rules).into_iter().filter_map(rule).collect()
}

#[cfg(test)]
mod tests;
