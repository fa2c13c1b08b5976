//! Who did what, out of the audit log: looked for from its newest line, within bounds, off the threads that serve.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use audit::{FoundLines, LogProblem, Search};
use policy::{DeviceId, RoleId, Timestamp, UserId};
use serde::Deserialize;
use tracing::warn;

use super::desk::{Desk, Refused};
use super::posted::ago;
use super::view::{Bit, Mark, Table};
use crate::Fault;
pub(super) use crate::seen::is_access;
use crate::seen::{PatientsSeen, opened_from, patients_seen};

/// How much of the log is read for a page about one object.
const NEAR_BYTES_MAX: u64 = 128 << 20;
/// How much of the log is read where the log itself is asked.
const FAR_BYTES_MAX: u64 = 1 << 30;
/// How many lines a page about one object shows.
pub(super) const NEAR_LINES_MAX: usize = 30;
/// How far back a page about one object looks.
const NEAR_SPAN: Duration = Duration::from_secs(90 * 24 * 3_600);

/// How far a page looks back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Reach {
    /// For the last changes of one object.
    Near,
    /// Since a moment, for so many lines.
    Since(Timestamp, usize),
}

/// A line of the log, as far as pages show it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    pub(super) seq: u64,
    pub(super) ts: String,
    pub(super) ev: String,
    /// The person who asked, or whom it is about.
    pub(super) sub: Option<String>,
    pub(super) login: Option<String>,
    pub(super) name: Option<String>,
    pub(super) role: Vec<String>,
    /// The roles before, where they changed.
    pub(super) was: Option<Vec<String>>,
    /// Who did it, where that is someone else.
    pub(super) actor: Option<String>,
    pub(super) sid: Option<String>,
    pub(super) dev: Option<String>,
    pub(super) ip: Option<String>,
    pub(super) app: Option<String>,
    pub(super) m: Option<String>,
    pub(super) path: Option<String>,
    pub(super) prov: Option<String>,
    pub(super) inv: Option<String>,
    pub(super) why: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) proofing: Option<String>,
    pub(super) rule: Option<String>,
    pub(super) outage: bool,
}

/// What was found.
#[derive(Default)]
pub(super) struct Found {
    /// Newest first.
    pub(super) entries: Vec<Entry>,
    /// Whether all that was asked for was looked at.
    pub(super) is_whole: bool,
    /// Whether the log could be read at all.
    pub(super) is_readable: bool,
    /// The names of the people in it, by id.
    names: BTreeMap<String, String>,
}

impl Desk<'_> {
    /// Looks for lines of the log. A log that cannot be read is said on the page and stops nothing else.
    pub(super) async fn look(
        &self,
        reach: Reach,
        wanted: impl FnMut(&str) -> bool + Send + 'static,
    ) -> Result<Found, Refused> {
        let search = match reach {
            Reach::Near => {
                let since = ago(self.at(), NEAR_SPAN);
                Search { since, bytes_max: NEAR_BYTES_MAX, lines_max: NEAR_LINES_MAX }
            }
            Reach::Since(since, lines_max) => Search { since, bytes_max: FAR_BYTES_MAX, lines_max },
        };
        let log = self.config().audit.clone();
        let Ok(_turn) = self.site.searches.acquire().await else { return Err(Fault::Stopping.into()) };
        let found = tokio::task::spawn_blocking(move || audit::search(&log, search, wanted)).await;
        let found = match found {
            Ok(Ok(found)) => found,
            Ok(Err(problem)) => {
                warn!(request = %self.request.request, %problem, "the log could not be read for a page");
                return Ok(Found::default());
            }
            Err(problem) => {
                warn!(request = %self.request.request, %problem, "a search of the log broke off");
                return Ok(Found::default());
            }
        };
        self.read(found).await
    }

    /// Looks for what was opened from a device, and whom it was about.
    pub(super) async fn look_from(
        &self,
        device: &DeviceId,
        since: Timestamp,
        lines_max: usize,
    ) -> Result<(Found, PatientsSeen), Refused> {
        let search = Search { since, bytes_max: FAR_BYTES_MAX, lines_max };
        let (log, device, policy) = (self.config().audit.clone(), device.clone(), Arc::clone(&self.site.parts.policy));
        let Ok(_turn) = self.site.searches.acquire().await else { return Err(Fault::Stopping.into()) };
        let opened = tokio::task::spawn_blocking(move || {
            let opened = opened_from(&log, &device, search)?;
            let patients = patients_seen(&opened.stories, &policy);
            Ok::<_, LogProblem>((opened.found, patients))
        });
        match opened.await {
            Ok(Ok((found, patients))) => Ok((self.read(found).await?, patients)),
            Ok(Err(problem)) => {
                warn!(request = %self.request.request, %problem, "the log could not be read for a page");
                Ok(Default::default())
            }
            Err(problem) => {
                warn!(request = %self.request.request, %problem, "a search of the log broke off");
                Ok(Default::default())
            }
        }
    }

    async fn read(&self, found: FoundLines) -> Result<Found, Refused> {
        let entries: Vec<Entry> = found.lines.iter().filter_map(|line| serde_json::from_str(line).ok()).collect();
        let ids: BTreeSet<&String> =
            entries.iter().flat_map(|entry| entry.actor.iter().chain(entry.sub.iter())).collect();
        let mut names = BTreeMap::new();
        for id in ids.into_iter().filter_map(|id| UserId::parse(id).ok()) {
            if let Some(person) = self.store().person(&id).await? {
                names.insert(id.to_string(), person.name);
            }
        }
        Ok(Found { entries, is_whole: found.is_whole, is_readable: true, names })
    }

    /// What was done to one object lately; `needle` is how its id stands in a line.
    pub(super) async fn changes(&self, needle: String) -> Result<Table, Refused> {
        let found = self.look(Reach::Near, move |line| is_change(line) && line.contains(&needle)).await?;
        Ok(self.trail("console-changes", found))
    }

    /// A table of what was found.
    pub(super) fn trail(&self, heading: &str, found: Found) -> Table {
        let heads = ["console-when", "console-who", "console-what", "console-where-from"];
        let note = match (found.is_readable, found.is_whole) {
            (false, _) => Some(self.say("console-log-unreadable")),
            (true, false) => Some(self.say("console-log-partly")),
            (true, true) => None,
        };
        Table {
            id: "trail",
            heading: self.say(heading),
            heads: heads.map(|head| self.say(head)).into(),
            rows: found.entries.iter().map(|entry| self.trail_row(entry, &found)).collect(),
            empty: self.say(if found.is_readable { "console-changes-none" } else { "console-log-unreadable" }),
            note,
            pages: Vec::new(),
        }
    }

    fn trail_row(&self, entry: &Entry, found: &Found) -> Vec<Vec<Bit>> {
        let device = entry.dev.as_ref().filter(|_| !is_about_device(entry)).map(|dev| self.device_bit(dev));
        let from = [device, entry.ip.as_ref().map(Bit::soft)];
        vec![
            vec![Bit::Moment(self.moment(&entry.ts))],
            self.doer(entry, found),
            self.deed(entry, found),
            from.into_iter().flatten().collect(),
        ]
    }

    /// A device with a link to it, if its name can be one.
    fn device_bit(&self, device: &str) -> Bit {
        match DeviceId::parse(device) {
            Ok(id) => Bit::link(id.as_str(), format!("/devices/{id}")),
            Err(_) => Bit::text(device),
        }
    }

    /// Who did it: the actor where one is named, else the person who asked.
    fn doer(&self, entry: &Entry, found: &Found) -> Vec<Bit> {
        match (&entry.actor, &entry.sub) {
            (Some(actor), _) => vec![self.actor_bit(actor, found)],
            (None, Some(user)) => self.person_bits(user, entry, found),
            (None, None) => {
                vec![entry.login.as_ref().map_or_else(|| Bit::soft(self.say("console-nobody")), Bit::text)]
            }
        }
    }

    fn person_bits(&self, user: &str, entry: &Entry, found: &Found) -> Vec<Bit> {
        let name = entry.name.as_ref().or_else(|| found.names.get(user)).map_or(user, String::as_str);
        let link = match UserId::parse(user) {
            Ok(id) => Bit::link(name, format!("/people/{id}")),
            Err(_) => Bit::text(name),
        };
        [Some(link), entry.login.as_ref().map(Bit::soft)].into_iter().flatten().collect()
    }

    /// Who did it, as events name them: a person, someone at the machine, or the gateway by itself.
    fn actor_bit(&self, actor: &str, found: &Found) -> Bit {
        if let Some(name) = actor.strip_prefix("cli:") {
            return Bit::Text(self.say_with("console-actor-cli", "name", name));
        }
        if actor.starts_with("gateway") {
            return Bit::Text(self.say("console-actor-gateway"));
        }
        match (UserId::parse(actor), found.names.get(actor)) {
            (Ok(id), Some(name)) => Bit::link(name, format!("/people/{id}")),
            (Ok(_) | Err(_), _) => Bit::text(actor),
        }
    }

    /// What was done, and to whom or what.
    fn deed(&self, entry: &Entry, found: &Found) -> Vec<Bit> {
        let mut bits = vec![Bit::Text(self.event_name(&entry.ev))];
        if entry.ev == "refused" || entry.ev.ends_with("-refused") || entry.ev == "sign-in-failed" {
            bits.push(Bit::Mark(Mark::warn(entry.why.clone().unwrap_or_else(|| self.say("console-refused")))));
        }
        if entry.outage {
            bits.push(Bit::Mark(Mark::warn(self.say("console-mark-outage"))));
        }
        if let Some(app) = &entry.app {
            let method = entry.m.as_deref().unwrap_or_default();
            bits.push(Bit::soft(format!("{app} {method} {}", entry.path.as_deref().unwrap_or_default())));
        }
        if let (Some(_), Some(user)) = (&entry.actor, &entry.sub) {
            bits.extend(self.person_bits(user, entry, found));
        }
        if is_about_device(entry) {
            bits.extend(entry.dev.as_ref().map(|device| self.device_bit(device)));
        }
        if let Some(was) = &entry.was {
            let names = |roles: &[String]| match roles {
                [] => self.say("console-none"),
                roles => roles.iter().map(|role| self.named_role(role)).collect::<Vec<_>>().join(", "),
            };
            bits.push(Bit::soft(format!("{} → {}", names(was), names(&entry.role))));
        }
        if entry.ev == "outage-switched" {
            let provider = entry.prov.as_deref().unwrap_or_default();
            let position = entry.why.as_deref().and_then(|why| self.voice.try_say(&format!("console-switch-{why}")));
            bits.push(Bit::soft(format!("{provider}: {}", position.unwrap_or_default())));
        }
        let said = [entry.reason.as_ref(), entry.proofing.as_ref()];
        bits.extend(said.into_iter().flatten().map(Bit::soft));
        bits
    }

    /// A role as people read it, from its id as the log has it.
    fn named_role(&self, id: &str) -> String {
        RoleId::parse(id).map_or_else(|_| id.to_owned(), |role| self.role_name(&role))
    }

    /// What an event is called; its code where we have no words for it.
    pub(super) fn event_name(&self, event: &str) -> String {
        self.voice.try_say(&format!("console-event-{event}")).unwrap_or_else(|| event.to_owned())
    }

    /// The moment of a line, by the hospital's clock.
    pub(super) fn moment(&self, text: &str) -> String {
        Timestamp::parse_rfc3339(text).map_or_else(|| text.to_owned(), |at| self.minute(at))
    }
}

/// Whether the device of a line is what it is about, rather than where somebody sat.
fn is_about_device(entry: &Entry) -> bool {
    entry.actor.is_some() || entry.ev == "log-read"
}

/// Whether a line tells of a change, rather than of an access.
pub(super) fn is_change(line: &str) -> bool {
    !is_access(line) && !line.contains(r#""ev":"close""#) && !line.contains(r#""ev":"segment""#)
}

/// How a text of ours, which has nothing to escape, stands in a line.
pub(super) fn needle(key: &str, value: &str) -> String {
    format!("\"{key}\":\"{value}\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_and_accesses_are_told_apart_by_what_we_write_ourselves() {
        let access = r#"{"v":1,"seq":1,"ts":"x","ev":"open","path":"/\"ev\":\"person-changed\""}"#;
        assert!(is_access(access) && !is_change(access));
        let change = r#"{"v":1,"seq":1,"ts":"x","ev":"person-changed","sub":"u-1"}"#;
        assert!(is_change(change) && !is_access(change) && change.contains(&needle("sub", "u-1")));
    }
}
