//! Names, conditions and changes in words.

use std::time::Duration;

use config::Config;
use policy::{
    Aaguid, Action, Alteration, AppId, Assurance, Beyond, Caps, Condition, DeviceClass, Hours, InfoClass, Matrix,
    Methods, Reason, RoleId, Subject, Timestamp, Turn,
};

use crate::Language;
use crate::notice::wall_clock;
use crate::site::said;
use crate::texts::{Texts, Voice};

/// The words of both languages, read once.
#[derive(Debug)]
pub struct WordBook(Texts);

impl Default for WordBook {
    fn default() -> Self {
        Self::new()
    }
}

impl WordBook {
    /// Reads the words.
    #[must_use]
    pub fn new() -> Self {
        Self(Texts::new())
    }

    /// One language, with the names of a hospital.
    #[must_use]
    pub fn words<'a>(&'a self, language: Language, config: &'a Config) -> PolicyWords<'a> {
        PolicyWords::new(self.0.voice(language), config)
    }
}

/// One language, with the names of a hospital.
#[derive(Clone, Copy)]
pub struct PolicyWords<'a> {
    pub(crate) voice: Voice<'a>,
    pub(crate) config: &'a Config,
}

impl std::fmt::Debug for PolicyWords<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PolicyWords(..)")
    }
}

impl<'a> PolicyWords<'a> {
    pub(crate) fn new(voice: Voice<'a>, config: &'a Config) -> Self {
        Self { voice, config }
    }

    pub(crate) fn say(&self, key: &str) -> String {
        self.voice.say(key)
    }

    pub(crate) fn say_with(&self, key: &str, name: &str, value: &str) -> String {
        self.voice.say_with(key, name, value)
    }

    fn list(&self, items: impl IntoIterator<Item = String>, joint: &str) -> String {
        let joint = self.say(joint).replace('_', " ");
        items.into_iter().collect::<Vec<_>>().join(&joint)
    }

    /// One or the other.
    pub(crate) fn any_of(&self, items: impl IntoIterator<Item = String>) -> String {
        self.list(items, "policy-or")
    }

    /// One beside the other.
    pub(crate) fn all_of(&self, items: impl IntoIterator<Item = String>) -> String {
        self.list(items, "policy-and")
    }

    /// One after the other.
    pub(crate) fn row_of(&self, items: impl IntoIterator<Item = String>) -> String {
        self.list(items, "policy-comma")
    }

    /// A role.
    #[must_use]
    pub fn role(&self, role: &RoleId) -> String {
        let named = self.config.roles.get(role);
        named.map_or_else(|| role.to_string(), |names| said(names, self.voice.language()).to_owned())
    }

    /// An app.
    #[must_use]
    pub fn app(&self, app: &AppId) -> String {
        let named = self.config.apps.iter().find(|one| one.id == *app);
        named.map_or_else(|| app.to_string(), |app| said(&app.name, self.voice.language()).to_owned())
    }

    /// A class of information.
    #[must_use]
    pub fn class(&self, class: &InfoClass) -> String {
        let named = self.config.classes.get(class);
        named.map_or_else(|| class.to_string(), |names| said(names, self.voice.language()).to_owned())
    }

    /// A class of information, or that there is none.
    #[must_use]
    pub fn class_or_none(&self, class: Option<&InfoClass>) -> String {
        class.map_or_else(|| self.say("policy-class-none"), |class| self.class(class))
    }

    /// An action.
    #[must_use]
    pub fn action(&self, action: Action) -> String {
        self.say(&format!("policy-action-{}", action.as_str()))
    }

    /// A class of devices.
    #[must_use]
    pub fn device_class(&self, class: DeviceClass) -> String {
        self.say(&format!("device-{}", class.as_str()))
    }

    /// Whom a column is about.
    #[must_use]
    pub fn subject(&self, subject: &Subject) -> String {
        match subject {
            Subject::Nobody => self.say("policy-subject-nobody"),
            Subject::SignedIn => self.say("policy-subject-signed-in"),
            Subject::Role(role) => self.role(role),
        }
    }

    /// A reason, as the page of a refusal is headed.
    #[must_use]
    pub fn reason(&self, reason: Reason) -> String {
        self.say(&format!("reason-{}-title", reason.code()))
    }

    /// How surely somebody was recognised.
    #[must_use]
    pub fn assurance(&self, level: Assurance) -> String {
        self.say(&format!("policy-assurance-{}", level.as_str()))
    }

    fn methods(&self, methods: Methods) -> String {
        self.any_of(methods.iter().map(|method| self.say(&format!("console-method-{}", method.as_str()))))
    }

    fn keys(&self, models: &[Aaguid]) -> String {
        let name =
            |model: &Aaguid| self.config.passkeys.name_of(*model).map_or_else(|| model.to_string(), str::to_owned);
        self.any_of(models.iter().map(name))
    }

    /// A moment to the minute, by the hospital's clock.
    #[must_use]
    pub fn moment(&self, at: Timestamp) -> String {
        wall_clock(at, self.config.offset).chars().take(16).collect()
    }

    /// A span of time.
    #[must_use]
    pub fn span(&self, span: Duration) -> String {
        let seconds = span.as_secs();
        let (unit, count) = match seconds {
            _ if seconds.is_multiple_of(86_400) => ("days", seconds / 86_400),
            _ if seconds.is_multiple_of(3_600) => ("hours", seconds / 3_600),
            _ if seconds.is_multiple_of(60) => ("minutes", seconds / 60),
            _ => ("seconds", seconds),
        };
        self.say_with(&format!("policy-span-{unit}"), "count", &count.to_string())
    }

    /// Days and hours.
    #[must_use]
    pub fn hours(&self, hours: &Hours) -> String {
        let days = self.days(hours);
        if (hours.from_minute, hours.to_minute) == (0, 24 * 60) {
            return days;
        }
        let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
        let key = if hours.from_minute < hours.to_minute { "policy-hours" } else { "policy-hours-overnight" };
        let span = [("days", days.as_str()), ("from", &clock(hours.from_minute)), ("to", &clock(hours.to_minute))];
        self.voice.say_all(key, &span)
    }

    fn days(&self, hours: &Hours) -> String {
        let chosen: Vec<bool> = policy::Day::ALL.iter().map(|day| hours.days.contains(day)).collect();
        let weekdays = chosen.iter().take(5).all(|chosen| *chosen);
        let weekend = chosen.iter().skip(5).any(|chosen| *chosen);
        if chosen.iter().all(|chosen| *chosen) {
            return self.say("policy-days-all");
        }
        if weekdays && !weekend {
            return self.say("policy-days-weekdays");
        }
        let name = |day: &policy::Day| self.say(&format!("policy-day-{}", day.as_str()));
        self.row_of(policy::Day::ALL.iter().filter(|day| hours.days.contains(day)).map(name))
    }

    /// A condition.
    #[must_use]
    pub fn condition(&self, condition: &Condition) -> String {
        let with = |word: &str, value: &str| self.say_with(&format!("policy-if-{word}"), "what", value);
        match condition {
            Condition::SignedIn => self.say("policy-if-signed-in"),
            Condition::Roles(roles) => with("roles", &self.any_of(roles.iter().map(|role| self.role(role)))),
            Condition::Actions(actions) => with("actions", &self.any_of(actions.iter().map(|one| self.action(*one)))),
            Condition::Classes(classes) => with("classes", &self.any_of(classes.iter().map(|one| self.class(one)))),
            Condition::Paths(paths) => with("paths", &self.any_of(paths.iter().map(|path| path.as_str().to_owned()))),
            Condition::KnownDevice => self.say("policy-if-known-device"),
            Condition::DeviceClasses(classes) => {
                with("device-classes", &self.any_of(classes.iter().map(|class| self.device_class(*class))))
            }
            Condition::Posture(demand) => with("posture", &demand.to_string()),
            Condition::Zones(zones) => with("zones", &self.any_of(zones.iter().map(ToString::to_string))),
            Condition::Hours(hours) => with("hours", &self.hours(hours)),
            Condition::Grant => self.say("policy-if-grant"),
            Condition::BreakGlass => self.say("policy-if-break-glass"),
            Condition::NoOutage => self.say("policy-if-no-outage"),
            Condition::Methods(methods) => with("methods", &self.methods(*methods)),
            Condition::Keys(models) => with("keys", &self.keys(models)),
            Condition::Assurance(level) => with("assurance", &self.assurance(*level)),
            Condition::AuthenticatedWithin(span) => with("authenticated-within", &self.span(*span)),
            Condition::InCedar => self.say("policy-if-cedar"),
        }
    }

    /// How much, where a rule bounds it.
    #[must_use]
    pub fn caps(&self, caps: &Caps) -> Vec<String> {
        let bound = |word: &str, count: Option<std::num::NonZeroU32>| {
            count.map(|count| self.say_with(&format!("policy-cap-{word}"), "count", &count.to_string()))
        };
        let beyond = match caps.beyond {
            Beyond::Deny => "deny",
            Beyond::StepUp => "step-up",
            Beyond::Alarm => "alarm",
        };
        let bounds = [bound("requests", caps.requests), bound("patients", caps.patients)];
        bounds.into_iter().flatten().chain([self.say(&format!("policy-beyond-{beyond}"))]).collect()
    }

    /// What could be otherwise.
    #[must_use]
    pub fn change(&self, change: &Alteration) -> String {
        let with = |word: &str, value: &str| self.say_with(&format!("policy-change-{word}"), "what", value);
        match change {
            Alteration::SignIn => self.say("policy-change-sign-in"),
            Alteration::SignInHere => self.say("policy-change-sign-in-here"),
            Alteration::Role(role) => with("role", &self.role(role)),
            Alteration::WithoutRole(role) => with("without-role", &self.role(role)),
            Alteration::KnownDevice => self.say("policy-change-known-device"),
            Alteration::Device(class) => with("device", &self.device_class(*class)),
            Alteration::WithoutDevice => self.say("policy-change-without-device"),
            Alteration::Posture(demand) => with("posture", &demand.to_string()),
            Alteration::PostureStale => self.say("policy-change-posture-stale"),
            Alteration::Zone(zone) => with("zone", zone.as_str()),
            Alteration::At(at) => with("at", &self.moment(*at)),
            Alteration::Later(at) => with("later", &self.moment(*at)),
            Alteration::ProviderBack => self.say("policy-change-provider-back"),
            Alteration::ProviderOut => self.say("policy-change-provider-out"),
            Alteration::Method(method) => with("method", &self.methods(Methods::of([*method]))),
            Alteration::Key(model) => with("key", &self.keys(&[*model])),
            Alteration::Assurance(level) => with("assurance", &self.assurance(*level)),
            Alteration::ProveAgain => self.say("policy-change-prove-again"),
            Alteration::Grant => self.say("policy-change-grant"),
            Alteration::BreakGlass => self.say("policy-change-break-glass"),
            Alteration::WithoutGrant => self.say("policy-change-without-grant"),
            Alteration::SignOut => self.say("policy-change-sign-out"),
        }
    }

    /// Changes that come together.
    #[must_use]
    pub fn turn(&self, turn: &Turn) -> String {
        self.all_of(turn.changes.iter().map(|either| self.either(either)))
    }

    /// One of several changes of one kind.
    fn either(&self, changes: &[Alteration]) -> String {
        let roles =
            |change: &Alteration| if let Alteration::Role(role) = change { Some(self.role(role)) } else { None };
        let devices = |change: &Alteration| {
            if let Alteration::Device(class) = change { Some(self.device_class(*class)) } else { None }
        };
        let zones =
            |change: &Alteration| if let Alteration::Zone(zone) = change { Some(zone.to_string()) } else { None };
        let kinds: [(&str, Option<Vec<String>>); 3] = [
            ("role", changes.iter().map(roles).collect()),
            ("device", changes.iter().map(devices).collect()),
            ("zone", changes.iter().map(zones).collect()),
        ];
        match kinds.into_iter().find_map(|(word, names)| Some((word, names?))) {
            Some((word, names)) => self.say_with(&format!("policy-change-{word}"), "what", &self.any_of(names)),
            None => self.any_of(changes.iter().map(|change| self.change(change))),
        }
    }

    /// A matrix as a sheet.
    #[must_use]
    pub fn sheet(&self, matrix: &Matrix, at: Timestamp) -> super::Sheet {
        super::rows::sheet(self, matrix, at)
    }
}
