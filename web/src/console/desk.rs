//! Who asks at the console and with which right, and what every page needs to answer them.

use std::sync::Arc;

use bytes::Bytes;
use config::Config;
use http::{Response, StatusCode};
use policy::{ConsoleRight, ProviderId, Reads, Reason, RoleId, Timestamp, UserId, Who};
use store::{Person, Store, StoreProblem};
use tracing::warn;

use super::view::{ConsoleContent, ConsoleView, Flash, Mark, MarkTone, NavItem};
use super::{Duty, texts};
use crate::log_view::{Heard, LogTrouble};
use crate::notice::wall_clock;
use crate::site::{said, store_fault};
use crate::texts::Voice;
use crate::view::show;
use crate::{Fault, Language, PageRequest, Site, headers, language, query};

/// Why a page of the console is not shown.
#[derive(Debug)]
pub(super) enum Refused {
    /// Something went wrong, or there is no such thing.
    Fault(Fault),
    /// It is not theirs to see or do.
    Right(Reason),
    /// The log cannot be shown.
    Log(LogTrouble),
}

impl From<Fault> for Refused {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<LogTrouble> for Refused {
    fn from(trouble: LogTrouble) -> Self {
        Self::Log(trouble)
    }
}

impl From<StoreProblem> for Refused {
    fn from(problem: StoreProblem) -> Self {
        warn!(%problem, "the console could not read or change the store");
        Self::Fault(store_fault(&problem))
    }
}

/// What a page of the console comes to.
pub(super) type Shown = Result<Response<Bytes>, Refused>;

/// Who asks, and what the page needs to answer.
#[derive(Clone)]
pub(super) struct Desk<'a> {
    pub(super) site: &'a Site,
    pub(super) request: &'a PageRequest,
    pub(super) who: Arc<Who>,
    pub(super) right: ConsoleRight,
    pub(super) voice: Voice<'a>,
    /// Whose logs the page is of.
    pub(super) heard: Heard,
}

impl<'a> Desk<'a> {
    /// Whoever is signed in on this device and has a part in the console; nobody else gets a desk.
    pub(super) fn of(site: &'a Site, request: &'a PageRequest) -> Result<Self, Refused> {
        let session = request.usable_session().ok_or(Refused::Right(Reason::RoleNotAllowed))?;
        let right = site.config().console.right_of(&session.who).ok_or(Refused::Right(Reason::RoleNotAllowed))?;
        let voice = site.voice(language(&request.headers));
        Ok(Self { site, request, who: session.who.clone(), right, voice, heard: Heard::default() })
    }

    /// Whether who asks is what a page demands.
    pub(super) fn is(&self, duty: Duty) -> bool {
        match duty {
            Duty::Enter | Duty::Replay => true,
            Duty::Look => !matches!(self.right, ConsoleRight::Decide | ConsoleRight::Read),
            Duty::Read => self.config().console.reads(&self.who) != Reads::Nothing,
            Duty::Inspect => self.right.sees_all(),
            Duty::Oversee => {
                self.right.sees_all()
                    || self.right.helps()
                    || self.approves()
                    || self.config().console.replays(&self.who)
            }
            Duty::Stop => self.right.administers() || self.right.helps() || self.approves(),
            Duty::Approve => self.approves(),
            Duty::Witness => self.right.sees_all() || self.reviews(),
            Duty::Mend => self.right.administers() || self.reviews(),
            Duty::Judge => self.reviews(),
            Duty::Help => self.right.helps(),
            Duty::Administer => self.right.administers(),
        }
    }

    /// Whether who asks may say yes or no to maintenance.
    fn approves(&self) -> bool {
        self.config().console.approves(&self.who)
    }

    /// Whether who asks may judge how the glass was broken.
    fn reviews(&self) -> bool {
        self.config().console.reviews(&self.who)
    }

    /// Refuses who is not what a page demands.
    pub(super) fn demand(&self, duty: Duty) -> Result<(), Refused> {
        if self.is(duty) { Ok(()) } else { Err(Refused::Right(Reason::ActionNotAllowed)) }
    }

    /// Whether who asks may change this person's account: nobody but an administrator touches whoever has a part in
    /// the console, else the help desk could make itself one.
    pub(super) fn may_touch(&self, person: &Person) -> bool {
        self.right.administers() || (self.right.helps() && !self.has_part(&person.roles) && !self.is_self(&person.id))
    }

    /// Refuses who may not change this person's account.
    pub(super) fn demand_touch(&self, person: &Person) -> Result<(), Refused> {
        if self.may_touch(person) { Ok(()) } else { Err(Refused::Right(Reason::ActionNotAllowed)) }
    }

    /// Whether one of these roles has a part in the console.
    pub(super) fn has_part(&self, roles: &[RoleId]) -> bool {
        let console = &self.config().console;
        let parts = [
            &console.administrators,
            &console.help_desk,
            &console.auditors,
            &console.approvers,
            &console.reviewers,
            &console.recording_readers,
        ];
        let reads = |role: &RoleId| console.readers.iter().any(|readers| readers.role == *role);
        roles.iter().any(|role| parts.iter().any(|part| part.contains(role)) || reads(role))
    }

    /// Whether one of these roles administers.
    pub(super) fn administers(&self, roles: &[RoleId]) -> bool {
        roles.iter().any(|role| self.config().console.administrators.contains(role))
    }

    /// Whether this is who asks.
    pub(super) fn is_self(&self, user: &UserId) -> bool {
        self.who.user == *user
    }

    pub(super) fn config(&self) -> &'a Config {
        self.site.config()
    }

    pub(super) fn store(&self) -> &'a dyn Store {
        self.site.parts.store.as_ref()
    }

    pub(super) fn at(&self) -> Timestamp {
        self.request.at
    }

    /// Who asks, as events and log name the one who did it.
    pub(super) fn actor(&self) -> String {
        self.who.user.to_string()
    }

    pub(super) fn say(&self, key: &str) -> String {
        self.voice.say(key)
    }

    pub(super) fn say_with(&self, key: &str, name: &str, value: &str) -> String {
        self.voice.say_with(key, name, value)
    }

    pub(super) fn language(&self) -> Language {
        self.voice.language()
    }

    /// A moment to the minute, by the hospital's clock.
    pub(super) fn minute(&self, at: Timestamp) -> String {
        if at == Timestamp::MAX {
            return self.say("console-never");
        }
        wall_clock(at, self.config().offset).chars().take(16).collect()
    }

    /// A moment to the day.
    pub(super) fn day(&self, at: Timestamp) -> String {
        if at == Timestamp::MAX {
            return self.say("console-never");
        }
        wall_clock(at, self.config().offset).chars().take(10).collect()
    }

    /// A role as people read it.
    pub(super) fn role_name(&self, role: &RoleId) -> String {
        self.config().roles.get(role).map_or_else(|| role.to_string(), |names| said(names, self.language()).to_owned())
    }

    /// Roles as people read them.
    pub(super) fn role_names(&self, roles: &[RoleId]) -> String {
        let names: Vec<String> = roles.iter().map(|role| self.role_name(role)).collect();
        if names.is_empty() { self.say("console-none") } else { names.join(", ") }
    }

    /// A provider as people read it.
    pub(super) fn provider_name(&self, id: &ProviderId) -> String {
        if id.as_str() == LOCAL {
            return self.say("console-provider-local");
        }
        let provider = self.config().providers.iter().find(|provider| provider.id == *id);
        provider.map_or_else(|| id.to_string(), |provider| said(&provider.name, self.language()).to_owned())
    }

    /// The part of the path that names the object, counted from 0: in `/people/u-1/keys/k`, 1 is the person.
    pub(super) fn named(&self, place: usize) -> &'a str {
        self.request.path.as_str().split('/').nth(place + 1).unwrap_or_default()
    }

    /// The person that the path names.
    pub(super) async fn person(&self) -> Result<Person, Refused> {
        let id = UserId::parse(self.named(1)).map_err(|_| Fault::NotFound)?;
        Ok(self.store().person(&id).await?.ok_or(Fault::NotFound)?)
    }

    /// The first value of a field of the query.
    pub(super) fn asked(&self, name: &str) -> Option<String> {
        query::field(self.request.query.as_bytes(), name)
            .map(|value| value.trim().to_owned())
            .filter(|value| !value.is_empty() && value.len() <= ASKED_BYTES_MAX)
    }

    /// Shows a page.
    pub(super) fn show(&self, page: ConsoleContent) -> Response<Bytes> {
        self.show_as(StatusCode::OK, self.done(), page)
    }

    /// Shows a page with what stood in the way of a change; nothing was changed.
    pub(super) fn show_problem(&self, problem: impl Into<String>, page: ConsoleContent) -> Response<Bytes> {
        self.show_problems(problem, Vec::new(), page)
    }

    /// The same with a line for each thing that stood in the way.
    pub(super) fn show_problems(
        &self,
        problem: impl Into<String>,
        lines: Vec<String>,
        page: ConsoleContent,
    ) -> Response<Bytes> {
        let flash = Flash { tone: MarkTone::Bad, text: problem.into(), lines };
        self.show_as(StatusCode::UNPROCESSABLE_ENTITY, Some(flash), page)
    }

    /// Shows a page that says why something cannot be shown now.
    pub(super) fn show_unavailable(&self, page: ConsoleContent) -> Response<Bytes> {
        self.show_as(StatusCode::SERVICE_UNAVAILABLE, None, page)
    }

    fn show_as(&self, status: StatusCode, flash: Option<Flash>, page: ConsoleContent) -> Response<Bytes> {
        let right = self.say(match self.right {
            ConsoleRight::Administer => "console-right-administrator",
            ConsoleRight::Help => "console-right-help-desk",
            ConsoleRight::Audit => "console-right-auditor",
            ConsoleRight::HelpAndAudit => "console-right-help-and-audit",
            ConsoleRight::Decide => "console-right-decide",
            ConsoleRight::Read => "console-right-read",
        });
        let who = format!("{} ({right})", self.who.name);
        let mut page = page;
        let is_log = place_of(self.named(0)) == "log";
        let scope = self.scope().filter(|_| is_log).map(|units| self.say_with("log-scope", "units", &units));
        page.marks.extend(scope.map(Mark::warn));
        page.marks.extend(self.marks_of_nodes(is_log));
        show(status, &ConsoleView { frame: self.site.frame_of(self.request), nav: self.nav(), who, flash, page })
    }

    /// Whose logs the page is of, where there are several.
    fn marks_of_nodes(&self, is_log: bool) -> Vec<Mark> {
        let Some(nodes) = &self.config().nodes else { return Vec::new() };
        let (heard, own) = (&self.heard, nodes.own.as_str());
        match () {
            () if heard.is_together() && nodes.channel.is_some() => {
                let missing = heard.missing();
                let all = missing.is_empty().then(|| Mark::plain(self.say("log-all-nodes")));
                let lacks = |name: &String| Mark::bad(self.say_with("log-node-missing", "name", name));
                all.into_iter().chain(missing.iter().map(lacks)).collect()
            }
            () if heard.is_together() => vec![Mark::warn(self.say_with("log-this-node", "name", own))],
            () if is_log && !heard.is_of_one() => vec![Mark::plain(self.say_with("log-this-node", "name", own))],
            () => Vec::new(),
        }
    }

    /// On to a page of the console after a change, which says `done`: one of [`texts::DONE`].
    pub(super) fn go(&self, place: &str, done: &'static str) -> Response<Bytes> {
        let mark = if place.contains('?') { '&' } else { '?' };
        headers::redirect(StatusCode::SEE_OTHER, &format!("{place}{mark}done={done}"))
    }

    /// What the page before says it did; only what we have words for.
    fn done(&self) -> Option<Flash> {
        let done = self.asked("done").filter(|done| texts::DONE.contains(&done.as_str()))?;
        Some(Flash { tone: MarkTone::Good, text: self.say(&format!("console-done-{done}")), lines: Vec::new() })
    }

    fn nav(&self) -> Vec<NavItem> {
        let here = self.named(0);
        let places = [
            (Duty::Enter, "console-home", "/"),
            (Duty::Look, "console-people", "/people"),
            (Duty::Look, "console-invitations", "/invitations"),
            (Duty::Look, "console-devices", "/devices"),
            (Duty::Look, "console-sessions", "/sessions"),
            (Duty::Oversee, "maintenance-console", "/maintenance"),
            (Duty::Inspect, "console-posture", "/posture"),
            (Duty::Inspect, "console-outage", "/outage"),
            (Duty::Witness, "console-glass", "/glass"),
            (Duty::Inspect, "console-notices", "/notices"),
            (Duty::Inspect, "console-nodes", "/nodes"),
            (Duty::Inspect, "console-policy", "/policy"),
            (Duty::Inspect, "policy-ask", "/explain"),
            (Duty::Inspect, "policy-versions", "/versions"),
            (Duty::Read, "console-records", "/log"),
        ];
        let item = |(_, label, href): (Duty, &str, &'static str)| NavItem {
            label: self.say(label),
            href,
            is_current: href.trim_start_matches('/') == place_of(here),
        };
        let is_one = self.config().nodes.is_none();
        let is_there = |(duty, _, href): &(Duty, &str, &str)| self.is(*duty) && !(is_one && *href == "/nodes");
        places.into_iter().filter(is_there).map(item).collect()
    }
}

/// Where in the navigation a page belongs whose path begins otherwise.
fn place_of(here: &str) -> &str {
    match here {
        "new-person" | "import-people" => "people",
        "new-device" | "import-devices" | "stock-take" => "devices",
        "inventory" | "import-inventory" => "maintenance",
        other => other,
    }
}

/// The provider of people whom the gateway itself knows.
pub(super) const LOCAL: &str = "local";

/// The longest value of a query's field that is looked at, in bytes.
const ASKED_BYTES_MAX: usize = 256;
