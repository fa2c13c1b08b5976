//! An exception for maintenance in words: what was asked for, what came of it, what comes next, and what was done under
//! it. Console and portal say it alike.

use std::collections::{BTreeMap, BTreeSet};

use policy::{GrantId, Timestamp, UserId};
use store::{GrantRecord, GrantRefusal, GrantState, Maintenance, Person, PlanFile, Ruling, StoreProblem};

use super::work::{Deed, Work};
use crate::chart::grouped;
use crate::console::view::{Bit, Facts, Go, Mark, MarkTone, Part, Raw, Table, Words};
use crate::notice::wall_clock;
use crate::site::said;
use crate::texts::Voice;
use crate::{Language, Site};

/// Says what a page needs, in one language, at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Teller<'a> {
    pub(crate) site: &'a Site,
    pub(crate) voice: Voice<'a>,
    pub(crate) at: Timestamp,
}

/// On whose page it is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Vendor,
    Hospital,
}

/// The names of those who had a part in it, by actor.
pub(crate) type Names = BTreeMap<String, String>;

impl Teller<'_> {
    pub(crate) fn say(&self, key: &str) -> String {
        self.voice.say(key)
    }

    fn language(&self) -> Language {
        self.voice.language()
    }

    /// A moment to the minute, by the hospital's clock.
    pub(crate) fn minute(&self, at: Timestamp) -> String {
        wall_clock(at, self.site.config().offset).chars().take(16).collect()
    }

    fn second(&self, at: Timestamp) -> String {
        wall_clock(at, self.site.config().offset)
    }

    /// The names of everybody who had a part in these.
    pub(crate) async fn names<'r>(
        &self,
        records: impl IntoIterator<Item = &'r GrantRecord>,
    ) -> Result<Names, StoreProblem> {
        let mut actors = BTreeSet::new();
        for record in records {
            actors.insert(record.person.to_string());
            actors.insert(record.asked_by.clone());
            actors.extend(moments(record).into_iter().map(|(_, ruling)| ruling.by));
        }
        let mut names = Names::new();
        for actor in actors {
            let name = self.actor(&actor).await?;
            names.insert(actor, name);
        }
        Ok(names)
    }

    /// Who did something, as people read it.
    pub(crate) async fn actor(&self, actor: &str) -> Result<String, StoreProblem> {
        if let Some(name) = actor.strip_prefix("cli:") {
            return Ok(self.voice.say_with("console-actor-cli", "name", name));
        }
        if actor.starts_with("gateway") {
            return Ok(self.say("console-actor-gateway"));
        }
        let Ok(id) = UserId::parse(actor) else { return Ok(actor.to_owned()) };
        Ok(self.site.parts.store.person(&id).await?.map_or_else(|| actor.to_owned(), |person| person.name))
    }

    /// How it stands, as words.
    pub(crate) fn marks(&self, record: &GrantRecord) -> Vec<Mark> {
        let state = record.state(self.at);
        let text = self.say(&format!("maintenance-is-{}", state.code()));
        let tone = match state {
            GrantState::Active => MarkTone::Good,
            GrantState::Requested | GrantState::Armed | GrantState::Ended | GrantState::Reported => MarkTone::Warn,
            GrantState::Refused => MarkTone::Bad,
            GrantState::Lapsed | GrantState::Withdrawn | GrantState::Confirmed => MarkTone::Plain,
        };
        let is_urgent = record.maintenance().is_some_and(|one| one.is_urgent) && state == GrantState::Requested;
        let marks = [
            Some(Mark { tone, text }),
            is_urgent.then(|| Mark::bad(self.say("maintenance-mark-urgent"))),
            record.approval_due_at().map(|_| Mark::bad(self.say("maintenance-mark-unapproved"))),
            record.is_overdue(self.at).then(|| Mark::bad(self.say("maintenance-mark-overdue"))),
        ];
        marks.into_iter().flatten().collect()
    }

    /// The window by the hospital's clock.
    pub(crate) fn window(&self, record: &GrantRecord) -> String {
        let (begin, end) = (self.minute(record.begin), self.minute(record.end));
        self.voice.say_all("maintenance-window-of", &[("begin", &begin), ("end", &end)])
    }

    /// What who reads it does next.
    pub(crate) fn next(&self, record: &GrantRecord, side: Side) -> Words {
        let state = record.state(self.at);
        let whose = match side {
            Side::Vendor => "vendor",
            Side::Hospital => "hospital",
        };
        let mut lines = vec![self.say(&format!("maintenance-{whose}-next-{}", state.code()))];
        if let (Side::Hospital, Some(due)) = (side, record.approval_due_at()) {
            lines.push(self.voice.say_with("maintenance-hospital-next-admitted", "at", &self.minute(due)));
        }
        let tone = if record.is_overdue(self.at) || record.approval_due_at().is_some() {
            MarkTone::Bad
        } else {
            match (state, side) {
                (GrantState::Active, _) => MarkTone::Good,
                (GrantState::Requested | GrantState::Reported, Side::Hospital)
                | (GrantState::Ended | GrantState::Refused, Side::Vendor) => MarkTone::Warn,
                (
                    GrantState::Requested
                    | GrantState::Lapsed
                    | GrantState::Refused
                    | GrantState::Withdrawn
                    | GrantState::Armed
                    | GrantState::Ended
                    | GrantState::Reported
                    | GrantState::Confirmed,
                    _,
                ) => MarkTone::Plain,
            }
        };
        Words { id: "next", heading: self.say("maintenance-next"), tone, lines, links: Vec::new() }
    }

    /// All that was asked for.
    pub(crate) fn request(
        &self,
        record: &GrantRecord,
        person: Option<&Person>,
        vendor: &str,
        file: String,
    ) -> Vec<Part> {
        let Some(one) = record.maintenance() else { return Vec::new() };
        let mut parts = vec![Part::Facts(self.facts(record, one, person, vendor))];
        parts.push(Part::Raw(Raw {
            id: "plan",
            heading: self.say("maintenance-plan"),
            lead: self.say("maintenance-plan-lead"),
            text: one.plan.clone(),
        }));
        parts.extend(one.file.as_ref().map(|kept| Part::Facts(self.file(kept, file))));
        parts
    }

    fn facts(&self, record: &GrantRecord, one: &Maintenance, person: Option<&Person>, vendor: &str) -> Facts {
        let mut rows = Vec::new();
        let mut row = |key: &str, bits: Vec<Bit>| rows.push((self.say(&format!("maintenance-{key}")), bits));
        let who = match person {
            Some(person) => vec![Bit::text(&person.name), Bit::soft(&person.login)],
            None => vec![Bit::Mono(record.person.to_string())],
        };
        row("person", who);
        row("vendor", vec![Bit::text(if vendor.is_empty() { "-" } else { vendor })]);
        row("app", vec![Bit::Text(self.site.app_name(&record.app, self.language())), Bit::soft(record.app.as_str())]);
        row("window", vec![Bit::Text(self.window(record))]);
        if let Some(ended) = &record.ended {
            row("over", vec![Bit::Moment(self.second(ended.at))]);
        }
        row("purpose", vec![Bit::text(&one.purpose)]);
        row("ticket", vec![Bit::text(if one.ticket.is_empty() { "-" } else { &one.ticket })]);
        row("reach", self.reach(one));
        row("asked-at", vec![Bit::Moment(self.minute(record.asked_at))]);
        let count = |count: usize| count.to_string();
        let given = [("given", count(one.approvals.len())), ("needed", one.approvals_needed.to_string())];
        let given: Vec<(&str, &str)> = given.iter().map(|(name, value)| (*name, value.as_str())).collect();
        row("approvals", vec![Bit::Text(self.voice.say_all("maintenance-approvals-of", &given))]);
        if let Some(due) = record.approval_due_at() {
            row("approval-due", vec![Bit::Moment(self.minute(due))]);
        }
        if let Some(due) = record.due_at(self.at) {
            row("report-due", vec![Bit::Moment(self.minute(due))]);
        }
        row("number", vec![Bit::Mono(record.id.to_string())]);
        Facts { id: "facts", heading: self.say("maintenance-facts"), rows }
    }

    fn reach(&self, one: &Maintenance) -> Vec<Bit> {
        let reach = &one.reach;
        let methods: Vec<&str> = reach.methods.iter().map(|method| method.as_str()).collect();
        let methods = (!methods.is_empty()).then(|| Bit::text(methods.join(", ")));
        let paths = reach.paths.iter().map(|path| Bit::Mono(path.as_str().to_owned()));
        let bits: Vec<Bit> = methods.into_iter().chain(paths).collect();
        if bits.is_empty() { vec![Bit::Text(self.say("maintenance-reach-all"))] } else { bits }
    }

    fn file(&self, file: &PlanFile, place: String) -> Facts {
        let size = self.voice.say_with("maintenance-file-size", "size", &grouped(file.bytes));
        let digest: String = file.sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        let rows = vec![
            (
                self.say("maintenance-file"),
                vec![
                    Bit::link(self.voice.say_with("maintenance-file-download", "name", &file.name), place),
                    Bit::soft(size),
                    Bit::soft(self.say("maintenance-file-what")),
                ],
            ),
            ("SHA-256".to_owned(), vec![Bit::Mono(digest)]),
        ];
        Facts { id: "file", heading: self.say("maintenance-file"), rows }
    }

    /// Who did what with it, in the order in which it happened.
    pub(crate) fn history(&self, record: &GrantRecord, names: &Names) -> Table {
        let row = |(what, ruling): (&str, Ruling)| {
            vec![
                vec![Bit::Moment(self.second(ruling.at))],
                vec![Bit::text(names.get(&ruling.by).unwrap_or(&ruling.by))],
                vec![Bit::Text(self.say(&format!("maintenance-did-{what}")))],
                vec![Bit::text(&ruling.words)],
            ]
        };
        let heads = ["when", "who", "what", "words"];
        Table {
            id: "history",
            heading: self.say("maintenance-history"),
            heads: heads.map(|head| self.say(&format!("maintenance-history-{head}"))).into(),
            rows: moments(record).into_iter().map(row).collect(),
            empty: String::new(),
            note: None,
            pages: Vec::new(),
        }
    }

    /// What the vendor says of the work, once they did.
    pub(crate) fn report(&self, record: &GrantRecord) -> Option<Raw> {
        let report = record.maintenance()?.report.as_ref()?;
        Some(Raw {
            id: "report",
            heading: self.say("maintenance-report-said"),
            lead: format!("{}: {}", self.say("maintenance-report-at"), self.minute(report.at)),
            text: report.text.clone(),
        })
    }

    /// What was done, as the log tells it.
    pub(crate) fn work(&self, work: Option<&Work>) -> Vec<Part> {
        let words = |key: &str, tone| {
            let heading = self.say("maintenance-work");
            vec![Part::Words(Words { id: "work", heading, tone, lines: vec![self.say(key)], links: Vec::new() })]
        };
        let Some(work) = work else { return words("maintenance-work-not-read", MarkTone::Warn) };
        let missing = work.missing.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let lacks = (!missing.is_empty()).then(|| self.voice.say_with("maintenance-work-missing", "names", &missing));
        let Some((first, last)) = work.span() else {
            let Some(lacks) = lacks else { return words("maintenance-work-none", MarkTone::Plain) };
            let (heading, lines) = (self.say("maintenance-work"), vec![self.say("maintenance-work-none-found"), lacks]);
            return vec![Part::Words(Words { id: "work", heading, tone: MarkTone::Warn, lines, links: Vec::new() })];
        };
        let bytes = [("in", grouped(work.bytes_in)), ("out", grouped(work.bytes_out))];
        let bytes: Vec<(&str, &str)> = bytes.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut rows = vec![
            ("first", Bit::Moment(self.second(first))),
            ("last", Bit::Moment(self.second(last))),
            ("allowed", Bit::Text(grouped(work.allowed))),
            ("failed", Bit::Text(grouped(work.failed))),
            ("refused", Bit::Text(grouped(work.refused))),
            ("open", Bit::Text(grouped(work.open))),
            ("bytes", Bit::Text(self.voice.say_all("maintenance-work-bytes-of", &bytes))),
            ("hosts", Bit::Text(work.hosts().into_iter().collect::<Vec<_>>().join(", "))),
            ("patients", Bit::Text(self.patients(work))),
        ];
        for (key, count) in [("commands", work.commands), ("files", work.files)] {
            if count > 0 {
                rows.push((key, Bit::Text(grouped(count))));
            }
        }
        if let Some((first, last)) = work.lines {
            let lines = [("first", first.to_string()), ("last", last.to_string())];
            let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
            rows.push(("lines", Bit::Text(self.voice.say_all("maintenance-work-lines-of", &lines))));
        }
        for (node, (first, last)) in &work.logs {
            let lines = [("node", node.clone()), ("first", first.to_string()), ("last", last.to_string())];
            let lines: Vec<(&str, &str)> = lines.iter().map(|(name, value)| (*name, value.as_str())).collect();
            rows.push(("lines", Bit::Text(self.voice.say_all("maintenance-work-lines-in", &lines))));
        }
        rows.extend(lacks.map(|lacks| ("unread", Bit::Mark(Mark::bad(lacks)))));
        let rows = rows.into_iter().map(|(key, bit)| (self.say(&format!("maintenance-work-{key}")), vec![bit]));
        let facts = Facts { id: "work", heading: self.say("maintenance-work"), rows: rows.collect() };
        let heads = ["app", "request", "class", "outcome", "count"];
        let deeds = Table {
            id: "deeds",
            heading: self.say("maintenance-work-deeds"),
            heads: heads.map(|head| self.say(&format!("maintenance-work-{head}"))).into(),
            rows: work.deeds.iter().map(|deed| self.deed(deed)).collect(),
            empty: self.say("maintenance-work-none"),
            note: (!work.is_whole).then(|| self.say("maintenance-work-cut")),
            pages: Vec::new(),
        };
        vec![Part::Facts(facts), Part::Table(deeds)]
    }

    fn deed(&self, deed: &Deed) -> Vec<Vec<Bit>> {
        let app = policy::AppId::parse(&deed.app);
        let app = app.map_or_else(|_| deed.app.clone(), |id| self.site.app_name(&id, self.language()));
        let classes = &self.site.config().classes;
        let class = deed.class.as_ref().map(|class| {
            let names = policy::InfoClass::parse(class).ok().and_then(|class| classes.get(&class));
            names.map_or_else(|| class.clone(), |names| said(names, self.language()).to_owned())
        });
        let action = self.voice.try_say(&format!("policy-action-{}", deed.action));
        let outcome = if deed.is_refused { "maintenance-work-stopped" } else { "maintenance-work-through" };
        vec![
            vec![Bit::Text(app)],
            vec![Bit::Mono(format!("{} {}", deed.method, deed.pattern)), Bit::soft(action.unwrap_or_default())],
            vec![Bit::Text(class.unwrap_or_default())],
            vec![Bit::Text(self.say(outcome))],
            vec![Bit::Text(grouped(deed.count))],
        ]
    }

    /// Whether and how many patients' information it was about (PIアクセスの有無).
    pub(crate) fn patients(&self, work: &Work) -> String {
        let count = grouped(work.patients);
        match (work.patients, work.may_be_more || !work.is_whole) {
            (0, false) => self.say("maintenance-work-patients-none"),
            (0, true) => self.say("maintenance-work-patients-unsure"),
            (_, false) => self.voice.say_with("maintenance-work-patients-some", "count", &count),
            (_, true) => self.voice.say_with("maintenance-work-patients-more", "count", &count),
        }
    }

    /// Why nothing was done, in words.
    pub(crate) fn refusal(&self, refusal: &GrantRefusal) -> String {
        self.say(&format!("maintenance-problem-{}", refusal.code()))
    }

    /// The way to one of them, where it is listed.
    pub(crate) fn link(&self, record: &GrantRecord, place: &str) -> Bit {
        Bit::link(self.window(record), format!("{place}/{}", record.id))
    }

    /// The way back.
    pub(crate) fn go(&self, key: &str, place: &str) -> Go {
        Go::new(self.say(key), place)
    }
}

/// Everything that somebody did with it, in the order in which it happened.
fn moments(record: &GrantRecord) -> Vec<(&'static str, Ruling)> {
    let asked = Ruling { at: record.asked_at, by: record.asked_by.clone(), words: String::new() };
    let mut moments = vec![("asked", asked)];
    if let Some(one) = record.maintenance() {
        moments.extend(one.approvals.iter().map(|ruling| ("approved", ruling.clone())));
        let reported =
            one.report.as_ref().map(|report| Ruling { at: report.at, by: report.by.clone(), words: String::new() });
        let others = [
            ("admitted", one.admitted.as_ref().map(|admission| admission.by.clone())),
            ("refused", one.refused.clone()),
            ("withdrawn", one.withdrawn.clone()),
            ("ended", record.ended.clone()),
            ("reported", reported),
            ("confirmed", one.confirmed.clone()),
        ];
        moments.extend(others.into_iter().filter_map(|(what, ruling)| Some((what, ruling?))));
    }
    moments.sort_by_key(|(_, ruling)| ruling.at);
    moments
}

/// The exception that a part of a path names.
pub(crate) fn grant_id(named: &str) -> Option<GrantId> {
    GrantId::parse(named).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::texts::Texts;

    #[test]
    fn every_state_and_every_refusal_has_words_for_both_sides() {
        let states = GrantState::ALL.into_iter().flat_map(|state| {
            let code = state.code();
            ["is", "vendor-next", "hospital-next"].map(|side| format!("maintenance-{side}-{code}"))
        });
        let other = || GrantId::parse("g-1").unwrap();
        let refusals = [
            GrantRefusal::NotThere,
            GrantRefusal::NotNow(GrantState::Ended),
            GrantRefusal::PersonNotInForce,
            GrantRefusal::NotAVendor,
            GrantRefusal::Vendor,
            GrantRefusal::NotInRole,
            GrantRefusal::TheirOwn,
            GrantRefusal::SamePerson,
            GrantRefusal::OutsideHours,
            GrantRefusal::InThePast,
            GrantRefusal::Empty,
            GrantRefusal::TooLong(Duration::ZERO),
            GrantRefusal::TooFarAhead(Duration::ZERO),
            GrantRefusal::Overlaps(other()),
            GrantRefusal::Overdue(other()),
            GrantRefusal::TooMany,
            GrantRefusal::NoSuchApp,
            GrantRefusal::NoSuchReason,
            GrantRefusal::NoWords,
            GrantRefusal::TooLarge,
            GrantRefusal::NotApproved,
            GrantRefusal::NotOffered,
        ];
        let refusals = refusals.map(|refusal| format!("maintenance-problem-{}", refusal.code()));
        let texts = Texts::new();
        for key in states.chain(refusals) {
            for language in Language::ALL {
                assert!(texts.voice(language).try_say(&key).is_some(), "{key} in {}", language.tag());
            }
        }
    }
}
