//! A row of the rule table as a hospital writes it, parsed. Compiled to Cedar by `compile`.

use std::sync::Arc;
use std::time::Duration;

use crate::{
    Aaguid, Action, AppId, Assurance, Caps, ClassRoute, ConsoleRoles, Day, DeviceClass, Durability, Holidays,
    InfoClass, Methods, Path, PathProblem, PostureDemand, Revision, RoleId, RuleId, UtcOffset, ZoneId,
};

/// Everything a [`Policy`](crate::Policy) is made from.
#[derive(Clone, Debug)]
pub struct PolicySource {
    /// The name of this version.
    pub revision: Revision,
    /// The apps that can be asked for.
    pub apps: Vec<AppFacts>,
    /// The rows of the table, in the order written.
    pub rules: Vec<Rule>,
    /// `.cedar` files beside the configuration.
    pub cedar: Vec<CedarFile>,
    /// Who may use the console.
    pub console: ConsoleRoles,
    /// The hospital's clock, for hours in rules.
    pub offset: UtcOffset,
    /// The hospital's holidays, for days in rules.
    pub holidays: Holidays,
}

/// What the policy must know of an app.
#[derive(Clone, Debug)]
pub struct AppFacts {
    /// The app.
    pub id: AppId,
    /// What its requests do, and to which information; the first that fits tells.
    pub routes: Vec<ClassRoute>,
    /// Paths at which POST only reads, unless a route says what it does.
    pub reads_by_post: Vec<PathPattern>,
    /// How reads and searches are recorded.
    pub reads: Durability,
    /// How writes, deletes, exports and connections are recorded.
    pub writes: Durability,
    /// Whether the app is a part of the gateway itself (`login`, `portal`): then only built-in rules apply.
    pub built_in: bool,
}

/// A file of Cedar policies.
#[derive(Clone, Debug)]
pub struct CedarFile {
    /// Its name, for messages.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// One row of the table: whoever and whatever fits all its columns is allowed, or forbidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, shown to whom it refuses.
    pub id: RuleId,
    /// Allows or forbids.
    pub effect: Effect,
    /// Whom it is about.
    pub subjects: Subjects,
    /// Which apps.
    pub apps: Apps,
    /// Which actions; never empty. What they cover is told by [`Rule::covers`].
    pub actions: Vec<Action>,
    /// Which classes of information; empty for all, and for what is not classified.
    pub classes: Vec<InfoClass>,
    /// Which paths; empty for all.
    pub paths: Vec<PathPattern>,
    /// From which devices.
    pub devices: Devices,
    /// In which zones; empty for all.
    pub zones: Vec<ZoneId>,
    /// On which days and hours; `None` for always.
    pub hours: Option<Hours>,
    /// How surely the person must have been recognised.
    pub assurance: Option<Assurance>,
    /// How long ago the person may have proven who they are.
    pub authenticated_within: Option<Duration>,
    /// By one of which the person must have proven who they are; empty for any.
    pub methods: Methods,
    /// Of which models the passkey must be; empty for any, and for no passkey.
    pub keys: Vec<Aaguid>,
    /// What must be reported of the device, fresh, all of it; empty for nothing.
    pub posture: Vec<PostureDemand>,
    /// Whether a rule that permits reaches people who signed in while their provider could not be reached.
    pub in_outage: bool,
    /// Whether it takes an approved exception.
    pub grant: bool,
    /// Whether it takes broken glass.
    pub break_glass: bool,
    /// How much it lets one person do within an hour; without bounds where absent. Only of rules that permit.
    pub caps: Option<Arc<Caps>>,
}

impl Rule {
    /// A rule without any condition: everyone, every app, every action, always.
    #[must_use]
    pub fn unconditional(id: RuleId, effect: Effect) -> Self {
        Self {
            id,
            effect,
            subjects: Subjects::Anyone,
            apps: Apps::All,
            actions: Action::ALL.to_vec(),
            classes: Vec::new(),
            paths: Vec::new(),
            devices: Devices::Any,
            zones: Vec::new(),
            hours: None,
            assurance: None,
            authenticated_within: None,
            methods: Methods::NONE,
            keys: Vec::new(),
            posture: Vec::new(),
            in_outage: false,
            grant: false,
            break_glass: false,
            caps: None,
        }
    }

    /// Whether the rule is about an action: `read` covers `search` and `write` covers `delete`. In a rule that forbids,
    /// `read` covers `export` too: whoever may not look at something may not take it away. In one that permits, nothing
    /// does.
    #[must_use]
    pub fn covers(&self, action: Action) -> bool {
        let named = |one| self.actions.contains(&one);
        named(action)
            || match action {
                Action::Search => named(Action::Read),
                Action::Delete => named(Action::Write),
                Action::Export => self.effect == Effect::Forbid && named(Action::Read),
                Action::Read | Action::Write | Action::Connect => false,
            }
    }
}

/// Whether a rule allows or forbids.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Allows what fits it.
    Permit,
    /// Forbids what fits it, whatever other rules allow.
    Forbid,
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subjects {
    /// Everyone, signed in or not.
    Anyone,
    /// Everyone who is signed in.
    SignedIn,
    /// Who has one of these roles; never empty.
    Roles(Vec<RoleId>),
}

/// Which apps a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Apps {
    /// Every app that is not built in.
    All,
    /// These; never empty.
    Only(Vec<AppId>),
}

/// From which devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Devices {
    /// Any, known or not.
    Any,
    /// Any device of the ledger.
    Known,
    /// Devices of the ledger of these classes; never empty.
    Classes(Vec<DeviceClass>),
}

/// Days and a daily span, on the hospital's clock. A span whose end is not after its start runs past midnight
/// and belongs to the day it starts on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hours {
    /// The days; never empty.
    pub days: Vec<Day>,
    /// The first minute of the day, 0 to 1,439.
    pub from_minute: u16,
    /// The minute it ends before, 1 to 1,440.
    pub to_minute: u16,
}

impl Rule {
    /// The same, where a rule that forbids a path forbids it with and without a slash at the end: most servers read both
    /// as one. What permits stays as it is written.
    pub(crate) fn led_around_by_no_slash(&self) -> Self {
        let mut rule = self.clone();
        if self.effect == Effect::Forbid {
            rule.paths.extend(self.paths.iter().filter_map(PathPattern::with_other_end));
        }
        rule
    }
}

/// A path with `*` for any run of characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathPattern(String);

impl PathPattern {
    /// Reads a pattern; its text between the stars is canonicalised as paths are.
    ///
    /// # Errors
    /// [`PathProblem`] where the text could not stand in a path.
    pub fn parse(text: &str) -> Result<Self, PathProblem> {
        Path::parse(text).map(|path| Self(path.as_str().to_owned()))
    }

    /// The pattern as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The same with a slash at the end, or without the one it has; nothing where that makes no difference.
    fn with_other_end(&self) -> Option<Self> {
        match self.0.strip_suffix('/') {
            Some("") => None,
            Some(without) => Some(Self(without.to_owned())),
            None => (!self.0.ends_with('*')).then(|| Self(format!("{}/", self.0))),
        }
    }

    /// Whether the path fits.
    #[must_use]
    pub fn matches(&self, path: &Path) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = path.as_str().strip_prefix(first) else { return false };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            let Some(at) = rest.find(part) else { return false };
            rest = rest.get(at + part.len()..).unwrap_or_default();
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn read_covers_search_and_write_covers_delete_and_export_is_covered_by_what_forbids_reading_alone() {
        let covered = |effect, actions: &[Action]| {
            let rule = Rule { actions: actions.to_vec(), ..Rule::unconditional("r".parse().unwrap(), effect) };
            Action::ALL.into_iter().filter(|action| rule.covers(*action)).collect::<Vec<_>>()
        };
        use Action::{Connect, Delete, Export, Read, Search, Write};
        for effect in [Effect::Permit, Effect::Forbid] {
            assert_eq!(covered(effect, &[Write]), [Write, Delete]);
            assert_eq!(covered(effect, &[Delete, Connect]), [Delete, Connect]);
            assert_eq!(covered(effect, &[Search]), [Search]);
            assert_eq!(covered(effect, &[Export]), [Export]);
        }
        assert_eq!(covered(Effect::Permit, &[Read, Write, Connect]), [Read, Search, Write, Delete, Connect]);
        assert_eq!(covered(Effect::Forbid, &[Read]), [Read, Search, Export]);
    }

    #[test]
    fn stars_stand_for_any_run() {
        let check =
            |pattern: &str, path: &str| PathPattern::parse(pattern).unwrap().matches(&Path::parse(path).unwrap());
        assert!(check("/fhir/*", "/fhir/Patient/1"));
        assert!(!check("/fhir/*", "/fhir"));
        assert!(check("/fhir/*/history", "/fhir/Patient/1/history"));
        assert!(!check("/fhir/*/history", "/fhir/Patient/1/historyx"));
        assert!(check("/a*b*c", "/a-b-b-c"));
        assert!(!check("/a", "/ab"));
        assert!(check("/*", "/"));
    }

    #[test]
    fn a_slash_at_the_end_leads_around_no_rule_that_forbids() {
        let paths_of = |effect| {
            let paths = ["/a", "/b/", "/c*", "/"].map(|path| PathPattern::parse(path).unwrap()).to_vec();
            let rule = crate::fixtures::rule_with("r", |rule| {
                rule.effect = effect;
                rule.paths = paths;
            });
            rule.led_around_by_no_slash().paths.iter().map(|path| path.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(paths_of(Effect::Permit), ["/a", "/b/", "/c*", "/"]);
        assert_eq!(paths_of(Effect::Forbid), ["/a", "/b/", "/c*", "/", "/a/", "/b"]);
    }
}
