//! A record in words.

use std::collections::BTreeMap;

use audit::{Entry, EntryKind, Event, Story, StoryOutcome};
use policy::{Action, AppId, DeviceId, InfoClass, Reason, RoleId, UserId};

use super::super::desk::{Desk, Refused};
use super::super::view::{Bit, Mark, MarkTone, Table};
use super::Asked;
use crate::log_view::{Damage, Record};

/// How many patients of one record a table names.
const PATIENTS_SHOWN: usize = 4;

/// Where a record is shown, whichever node shows it.
pub(super) fn record_place(node: Option<&str>, seq: u64) -> String {
    let node = node.map(|node| format!("?node={node}")).unwrap_or_default();
    format!("/log/records/{seq}{node}")
}

/// The names of people, by id.
pub(super) type Names = BTreeMap<String, String>;

impl Desk<'_> {
    /// The names of everybody in these records, as the directory has them.
    pub(super) async fn names_in(&self, records: &[Record]) -> Result<Names, Refused> {
        let begins = records.iter().filter_map(|record| Some(&record.story.as_ref()?.begin));
        let ids = begins.flat_map(|entry| entry.user.iter().chain(&entry.actor));
        let mut names = Names::new();
        for id in ids.filter_map(|id| UserId::parse(id).ok()) {
            if names.contains_key(id.as_str()) {
                continue;
            }
            if let Some(person) = self.store().person(&id).await? {
                names.insert(id.to_string(), person.name);
            }
        }
        Ok(names)
    }

    /// A table of records; `asked` is where its links go on from.
    pub(super) fn records_table(&self, id: &'static str, heading: String, records: &[Record], names: &Names) -> Table {
        let heads = ["console-when", "console-who", "console-what", "console-where-from", "log-outcome"];
        Table {
            id,
            heading,
            heads: heads.map(|head| self.say(head)).into(),
            rows: records.iter().map(|record| self.record_row(record, names)).collect(),
            empty: self.say("console-none-fit"),
            note: None,
            pages: Vec::new(),
        }
    }

    /// A record as a row of five cells.
    pub(super) fn record_row(&self, record: &Record, names: &Names) -> Vec<Vec<Bit>> {
        let damage = record.damage.as_ref().map(|damage| self.damage_bits(damage)).unwrap_or_default();
        let place = record_place(record.node.as_deref(), record.seq);
        let node = record.node.as_deref().map(Bit::soft);
        let Some(story) = &record.story else {
            let place = Bit::link(record.seq.to_string(), place);
            return vec![std::iter::once(place).chain(node).collect(), vec![], damage, vec![], vec![]];
        };
        let begin = &story.begin;
        let when = Bit::link(self.second(begin), place);
        let from = [
            begin.device.as_ref().map(|device| self.device_link(device)),
            begin.address.map(|ip| Bit::soft(ip.to_string())),
        ];
        vec![
            std::iter::once(when).chain(node).collect(),
            self.who_bits(begin, names),
            self.what_bits(story, names).into_iter().chain(damage).collect(),
            from.into_iter().flatten().collect(),
            self.outcome_bits(story),
        ]
    }

    /// What is said in the place of what is damaged.
    fn damage_bits(&self, damage: &Damage) -> Vec<Bit> {
        let mark = Mark::bad(self.say_with("log-damaged", "number", &damage.seq.to_string()));
        [Some(Bit::Mark(mark)), damage.file.as_ref().map(Bit::soft)].into_iter().flatten().collect()
    }

    /// When it was, to the second.
    pub(super) fn second(&self, entry: &Entry) -> String {
        crate::notice::wall_clock(entry.at, self.config().offset)
    }

    fn device_link(&self, device: &str) -> Bit {
        match DeviceId::parse(device) {
            Ok(id) => {
                Bit::link(id.as_str(), Asked::default().with("device", id.as_str()).address(self, "/log/timeline"))
            }
            Err(_) => Bit::text(device),
        }
    }

    /// Somebody with the way to what they did.
    pub(super) fn person_link(&self, id: &str, name: &str) -> Bit {
        match UserId::parse(id) {
            Ok(id) => Bit::link(name, Asked::default().with("who", id.as_str()).address(self, "/log/timeline")),
            Err(_) => Bit::text(name),
        }
    }

    /// A patient with the way to who looked.
    pub(super) fn patient_link(&self, patient: &str) -> Bit {
        Bit::link(patient, Asked::default().of_patient(patient).address(self, "/log/timeline"))
    }

    /// Who did it: the one who asked, or whoever did something to somebody else.
    pub(super) fn who_bits(&self, entry: &Entry, names: &Names) -> Vec<Bit> {
        match (&entry.actor, &entry.user) {
            (Some(actor), _) => vec![self.actor_words(actor, names)],
            (None, Some(user)) => {
                let name = entry.name.as_ref().or_else(|| names.get(user)).map_or(user.as_str(), String::as_str);
                let login = entry.login.as_ref().map(Bit::soft);
                [Some(self.person_link(user, name)), login].into_iter().flatten().collect()
            }
            (None, None) => vec![entry.login.as_ref().map_or_else(|| Bit::soft(self.say("console-nobody")), Bit::text)],
        }
    }

    fn actor_words(&self, actor: &str, names: &Names) -> Bit {
        if let Some(name) = actor.strip_prefix("cli:") {
            return Bit::Text(self.say_with("console-actor-cli", "name", name));
        }
        if actor.starts_with("gateway") {
            return Bit::Text(self.say("console-actor-gateway"));
        }
        match names.get(actor) {
            Some(name) => self.person_link(actor, name),
            None => Bit::text(actor),
        }
    }

    /// What was done, in a few words.
    pub(super) fn done_in_words(&self, entry: &Entry) -> String {
        let app = entry.app.as_deref().map(|app| self.app_words(app));
        match (&entry.kind, app) {
            (EntryKind::Open | EntryKind::Refused | EntryKind::Close, Some(app)) => {
                let action = entry.action.as_deref().map(|action| self.action_words(action)).unwrap_or_default();
                self.voice.say_all("log-deed", &[("app", &app), ("action", &action)])
            }
            (kind, _) => self.event_name(kind.code()),
        }
    }

    fn what_bits(&self, story: &Story, names: &Names) -> Vec<Bit> {
        let begin = &story.begin;
        let mut bits = vec![Bit::Text(self.done_in_words(begin))];
        let patients: Vec<&str> = story.patients().collect();
        bits.extend(patients.iter().take(PATIENTS_SHOWN).map(|patient| self.patient_link(patient)));
        let more = story.patients_count().saturating_sub(PATIENTS_SHOWN as u64);
        if more > 0 {
            bits.push(Bit::soft(self.say_with("log-more-patients", "count", &more.to_string())));
        }
        if let (Some(_), Some(user)) = (&begin.actor, &begin.user) {
            let name = names.get(user).map_or(user.as_str(), String::as_str);
            bits.push(self.person_link(user, name));
        }
        if let Some(path) = &begin.path {
            bits.push(Bit::soft(format!("{} {path}", begin.method.as_deref().unwrap_or_default())));
        }
        if let Some(count) = story.end.as_ref().and_then(|end| end.count).filter(|count| *count > 1) {
            bits.push(Bit::soft(self.say_with("log-folded", "count", &count.to_string())));
        }
        bits.extend(begin.reason.iter().map(Bit::soft));
        bits
    }

    /// How it went.
    pub(super) fn outcome_bits(&self, story: &Story) -> Vec<Bit> {
        let outcome = story.outcome();
        let tone = match outcome {
            StoryOutcome::Allowed => MarkTone::Good,
            StoryOutcome::Refused => MarkTone::Bad,
            StoryOutcome::Failed => MarkTone::Warn,
            StoryOutcome::Unknown => MarkTone::Plain,
        };
        let mark = Bit::Mark(Mark { tone, text: self.outcome_words(outcome) });
        let why = story.begin.why.as_deref().filter(|_| outcome == StoryOutcome::Refused);
        [Some(mark), why.map(|why| Bit::Soft(self.reason_words(why)))].into_iter().flatten().collect()
    }

    pub(super) fn outcome_words(&self, outcome: StoryOutcome) -> String {
        self.say(&format!("log-outcome-{}", outcome.code()))
    }

    /// A reason in words; its code where we have none.
    pub(super) fn reason_words(&self, code: &str) -> String {
        let known = Reason::ALL.iter().find(|reason| reason.code() == code);
        known.map_or_else(|| code.to_owned(), |reason| self.say(&format!("reason-{}-title", reason.code())))
    }

    pub(super) fn action_words(&self, action: &str) -> String {
        let known = Action::ALL.into_iter().find(|one| one.as_str() == action);
        known.map_or_else(|| action.to_owned(), |action| self.say(&format!("policy-action-{}", action.as_str())))
    }

    /// An app as people read it; our own pages are apps too.
    pub(in crate::console) fn app_words(&self, app: &str) -> String {
        if let Some(own) = self.voice.try_say(&format!("log-app-{app}")) {
            return own;
        }
        AppId::parse(app).map_or_else(|_| app.to_owned(), |id| self.site.app_name(&id, self.language()))
    }

    pub(super) fn role_words(&self, role: &str) -> String {
        RoleId::parse(role).map_or_else(|_| role.to_owned(), |role| self.role_name(&role))
    }

    pub(super) fn class_words(&self, class: &str) -> String {
        let names = InfoClass::parse(class).ok().and_then(|class| self.config().classes.get(&class));
        names.map_or_else(|| class.to_owned(), |names| crate::site::said(names, self.language()).to_owned())
    }

    /// What kind of record a word stands for.
    pub(super) fn kind_words(&self, word: &str) -> String {
        match word {
            "open" => self.say("console-event-open"),
            "refused" => self.say("console-event-refused"),
            other => Event::parse(other).map_or_else(|| other.to_owned(), |event| self.event_name(event.code())),
        }
    }
}
