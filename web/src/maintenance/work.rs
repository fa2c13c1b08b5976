//! What was done under a grant, counted from the log: how often what was asked of which app, when first and last, how
//! many patients it was about. It names no patient and no path of theirs, so it may be kept beside a report and shown
//! to the vendor; who may read the log finds the rest there, under the same grant.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use audit::{EntryKind, Event, Story, StoryOutcome};
use find::{Order, Question};
use policy::{AppId, GrantId, Method, Path, Policy, Timestamp};
use serde::{Deserialize, Serialize};
use store::GRANT_TEXT_CHARS_MAX;

use crate::log_view::{LogTrouble, Record, Sight, Turn};

/// How long the index may take to read what the log holds.
const INDEX_TIMEOUT: Duration = Duration::from_secs(2);
/// How long all of it may be looked at.
const READ_TIMEOUT: Duration = Duration::from_secs(10);
/// How many records are looked at.
const RECORDS_MAX: usize = 20_000;
/// How many records are read at once.
const PAGE_MAX: usize = 500;
/// How many kinds of requests are told apart.
const DEEDS_MAX: usize = 200;
/// Where counting patients stops.
const PATIENTS_MAX: usize = 100_000;

/// What was done under a grant.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Work {
    /// When the first of it began, in microseconds since the epoch.
    first_at: Option<i64>,
    /// When the last of it ended.
    last_at: Option<i64>,
    /// How many requests were let through.
    pub(crate) allowed: u64,
    /// How many were refused.
    pub(crate) refused: u64,
    /// How many of those let through failed.
    pub(crate) failed: u64,
    /// How many were still open when the log was read.
    pub(crate) open: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    /// How many commands were entered in terminals.
    pub(crate) commands: u64,
    /// How many files were carried.
    pub(crate) files: u64,
    /// How many patients it was about.
    pub(crate) patients: u64,
    /// Whether it may have been about more: an answer could not be read, or held more than are listed.
    pub(crate) may_be_more: bool,
    /// Number of the first and last line of the log.
    pub(crate) lines: Option<(u64, u64)>,
    /// The same of each node's log, where there are several nodes.
    pub(crate) logs: BTreeMap<String, (u64, u64)>,
    /// The nodes whose logs were not looked at.
    pub(crate) missing: BTreeSet<String>,
    /// Whether all of it was looked at.
    pub(crate) is_whole: bool,
    /// What was asked for, most frequent first.
    pub(crate) deeds: Vec<Deed>,
}

/// One kind of request.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Deed {
    pub(crate) app: String,
    pub(crate) host: String,
    /// What it did: read, write, connect.
    pub(crate) action: String,
    pub(crate) method: String,
    /// The pattern of its path, as the app's routes have it.
    pub(crate) pattern: String,
    /// The class of information.
    pub(crate) class: Option<String>,
    /// Whether it was refused.
    pub(crate) is_refused: bool,
    pub(crate) count: u64,
}

impl Work {
    /// Reads the log. Blocks.
    pub(crate) fn read(log: &Sight, policy: &Policy, grant: &GrantId, span: Span) -> Result<Self, LogTrouble> {
        let mut question = Question::new(span.since, span.until);
        (question.grant, question.order, question.limit) = (Some(grant.as_str().to_owned()), Order::Oldest, PAGE_MAX);
        let mut tally = Tally::default();
        let mut looked_at = 0;
        // What the index has not read may be about anybody.
        let deadline = Instant::now() + READ_TIMEOUT;
        let is_followed = log.follows(INDEX_TIMEOUT);
        tally.work.may_be_more = !is_followed;
        let mut turn = Turn::default();
        loop {
            let found = log.stories_from(&question, &turn)?;
            looked_at += found.records.len();
            found.records.iter().for_each(|record| tally.take(record, policy));
            let is_cut = looked_at >= RECORDS_MAX || Instant::now() >= deadline;
            match found.next {
                Some(next) if !is_cut => turn = next,
                next => {
                    // What another node's log holds may be about anybody, too.
                    tally.work.missing = log.missing();
                    let is_whole = tally.work.missing.is_empty() && is_followed && next.is_none();
                    tally.work.may_be_more |= !tally.work.missing.is_empty();
                    return Ok(tally.done(is_whole));
                }
            }
        }
    }

    /// Reads what was kept beside a report.
    pub(crate) fn kept(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// As it is kept, without the rarest requests where all would be too long.
    pub(crate) fn text(&self) -> String {
        let mut kept = self.clone();
        loop {
            let text = serde_json::to_string(&kept).unwrap_or_default();
            if text.chars().count() <= GRANT_TEXT_CHARS_MAX || kept.deeds.is_empty() {
                return text;
            }
            kept.deeds.truncate(kept.deeds.len() * 3 / 4);
            kept.is_whole = false;
        }
    }

    /// When the first of it began and the last of it ended.
    pub(crate) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let at = Timestamp::from_unix_micros;
        Some((at(self.first_at?), at(self.last_at?)))
    }

    /// The hosts it went to.
    pub(crate) fn hosts(&self) -> BTreeSet<&str> {
        self.deeds.iter().map(|deed| deed.host.as_str()).filter(|host| !host.is_empty()).collect()
    }
}

/// Where in the log is looked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
}

/// Counts.
#[derive(Default)]
struct Tally {
    work: Work,
    deeds: BTreeMap<Deed, u64>,
    patients: BTreeSet<String>,
}

impl Tally {
    fn take(&mut self, record: &Record, policy: &Policy) {
        match &record.story {
            Some(story) => self.add(story, record.node.as_deref(), policy),
            // Nobody knows what stood there.
            None => self.work.may_be_more = true,
        }
    }

    fn lines(&mut self, seq: u64, node: Option<&str>) {
        let lines = match node {
            Some(node) => self.work.logs.entry(node.to_owned()).or_insert((seq, seq)),
            None => self.work.lines.get_or_insert((seq, seq)),
        };
        *lines = (lines.0.min(seq), lines.1.max(seq));
    }

    fn add(&mut self, story: &Story, node: Option<&str>, policy: &Policy) {
        let begin = &story.begin;
        let is_refused = match begin.kind {
            EntryKind::Open => false,
            EntryKind::Refused => true,
            EntryKind::Fact(event @ (Event::CommandEntered | Event::FileCarried)) => {
                return self.in_terminal(event, story, node);
            }
            // What the store tells of the grant itself is no work.
            EntryKind::Close | EntryKind::Segment | EntryKind::Fact(_) | EntryKind::Unknown(_) => return,
        };
        self.lines(begin.seq, node);
        let work = &mut self.work;
        let end = story.end.as_ref();
        let times = end.and_then(|end| end.count).unwrap_or(1).max(1);
        let last = end.map_or(begin.at, |end| end.at).unix_micros();
        work.first_at = Some(work.first_at.map_or(begin.at.unix_micros(), |first| first.min(begin.at.unix_micros())));
        work.last_at = Some(work.last_at.map_or(last, |at| at.max(last)));
        match story.outcome() {
            StoryOutcome::Refused => work.refused = work.refused.saturating_add(times),
            StoryOutcome::Failed => {
                work.allowed = work.allowed.saturating_add(times);
                work.failed = work.failed.saturating_add(times);
            }
            StoryOutcome::Allowed | StoryOutcome::Unknown => work.allowed = work.allowed.saturating_add(times),
        }
        if !is_refused && end.is_none() {
            work.open = work.open.saturating_add(1);
            // Whom the answer is about stands in its closing line.
            work.may_be_more = true;
        }
        let bytes = |pick: fn(&audit::Entry) -> Option<u64>| end.and_then(pick).unwrap_or(0);
        work.bytes_in = work.bytes_in.saturating_add(bytes(|end| end.bytes_in));
        work.bytes_out = work.bytes_out.saturating_add(bytes(|end| end.bytes_out));
        self.patients_of(story);
        self.deed(story, policy, is_refused, times);
    }

    /// What was done in a terminal beside the access that it is.
    fn in_terminal(&mut self, event: Event, story: &Story, node: Option<&str>) {
        self.lines(story.begin.seq, node);
        let work = &mut self.work;
        match (event, story.begin.why.as_deref()) {
            (Event::CommandEntered, _) => work.commands = work.commands.saturating_add(1),
            // It was told as carried just before, and is not there.
            (_, Some("upload-undone")) => work.files = work.files.saturating_sub(1),
            (_, _) => work.files = work.files.saturating_add(1),
        }
        self.patients_of(story);
    }

    fn patients_of(&mut self, story: &Story) {
        let flags = story.end.iter().chain([&story.begin]).flat_map(|entry| &entry.patient_flags);
        let listed = story.patients().count() as u64;
        if story.patients_count() > listed || flags.count() > 0 {
            self.work.may_be_more = true;
        }
        for patient in story.patients() {
            if self.patients.len() >= PATIENTS_MAX {
                self.work.may_be_more = true;
                return;
            }
            if !self.patients.contains(patient) {
                self.patients.insert(patient.to_owned());
            }
        }
    }

    fn deed(&mut self, story: &Story, policy: &Policy, is_refused: bool, times: u64) {
        let begin = &story.begin;
        let text = |given: &Option<String>| given.clone().unwrap_or_default();
        let deed = Deed {
            app: text(&begin.app),
            host: text(&begin.host),
            action: text(&begin.action),
            method: text(&begin.method),
            pattern: pattern(policy, story).unwrap_or_default(),
            class: begin.class.clone(),
            is_refused,
            count: 0,
        };
        if self.deeds.len() >= DEEDS_MAX && !self.deeds.contains_key(&deed) {
            self.work.is_whole = false;
            return;
        }
        let count = self.deeds.entry(deed).or_default();
        *count = count.saturating_add(times);
    }

    fn done(self, is_whole: bool) -> Work {
        let Self { mut work, deeds, patients } = self;
        work.is_whole = is_whole && deeds.len() < DEEDS_MAX;
        work.patients = patients.len() as u64;
        work.deeds = deeds.into_iter().map(|(deed, count)| Deed { count, ..deed }).collect();
        work.deeds.sort_by(|one, other| other.count.cmp(&one.count).then_with(|| one.cmp(other)));
        work
    }
}

/// The pattern of a path as the app's routes have it now; where none fits, its first word, if that names nobody.
fn pattern(policy: &Policy, story: &Story) -> Option<String> {
    let begin = &story.begin;
    let path = Path::parse(begin.path.as_deref()?).ok()?;
    let (app, method) = (AppId::parse(begin.app.as_deref()?).ok()?, Method::parse(begin.method.as_deref()?)?);
    let classifier = policy.classifier(&app);
    let route = classifier.classify(&method, &path).route;
    if let Some(pattern) = route.and_then(|route| classifier.pattern(route)) {
        return Some(pattern.to_owned());
    }
    let mut segments = path.as_str().split('/').skip(1);
    let first = segments.next().unwrap_or_default();
    let has_more = segments.next().is_some();
    let is_word = !first.is_empty() && first.len() <= 32 && first.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
    Some(match (is_word, has_more) {
        (true, true) => format!("/{first}/…"),
        (true, false) => format!("/{first}"),
        (false, _) if first.is_empty() => "/".to_owned(),
        (false, _) => "/…".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use audit::Entry;

    use super::*;

    fn entry(line: &str) -> Entry {
        Entry::read(line.as_bytes()).unwrap_or_else(|| panic!("{line}"))
    }

    fn story(path: &str, more: &str, end: Option<&str>) -> Story {
        let begin = format!(
            "{{\"v\":1,\"seq\":4,\"ts\":\"2026-11-22T01:00:00.000000Z\",\"ev\":\"open\",\"id\":\"x\",\"app\":\"emr\",\
             \"host\":\"emr.hosp.example\",\"act\":\"read\",\"m\":\"GET\",\"path\":\"{path}\",\"vs\":\"g-1\"{more}}}"
        );
        let close = |end: &str| {
            entry(&format!(
                "{{\"v\":1,\"seq\":9,\"ts\":\"2026-11-22T01:00:09.000000Z\",\"ev\":\"close\",\"id\":\"x\",\
                 \"end\":\"served\",\"st\":200{end}}}"
            ))
        };
        Story { begin: entry(&begin), end: end.map(close) }
    }

    fn tallied(stories: &[Story]) -> Work {
        let policy = crate::testing::policy();
        let mut tally = Tally::default();
        for story in stories {
            tally.add(story, None, &policy);
        }
        tally.done(true)
    }

    #[test]
    fn work_is_counted_and_names_nobody() {
        let work = tallied(&[
            story("/patients/4711/chart", r#","pt":["4711"]"#, Some(r#","bi":10,"bo":20"#)),
            story("/patients/4712/chart", r#","pt":["4712"]"#, Some(r#","bi":1,"bo":2"#)),
            story("/patients/4711/chart", r#","pt":["4711"]"#, None),
            story("/%E5%B1%B1%E7%94%B0/x", "", Some("")),
            story("/status", "", Some("")),
        ]);
        assert_eq!((work.allowed, work.refused, work.open, work.patients), (5, 0, 1, 2));
        assert_eq!((work.bytes_in, work.bytes_out, work.may_be_more), (11, 22, true), "one is open still");
        assert_eq!(work.lines, Some((4, 4)));
        let told: Vec<_> = work.deeds.iter().map(|deed| (deed.pattern.as_str(), deed.count)).collect();
        assert_eq!(told.first().map(|(_, count)| *count), Some(3), "{told:?}");
        let text = work.text();
        for name in ["4711", "4712", "E5%B1"] {
            assert!(!text.contains(name), "{name}: {text}");
        }
        assert_eq!(Work::kept(&text), Some(work));
        assert_eq!(Work::kept("nonsense"), None);
    }

    #[test]
    fn commands_and_files_of_terminals_are_counted_and_not_kept() {
        let fact = |rest: &str| {
            let line = format!("{{\"v\":1,\"seq\":5,\"ts\":\"2026-11-22T01:00:03.000000Z\",{rest},\"vs\":\"g-1\"}}");
            Story::of(entry(&line))
        };
        let work = tallied(&[
            fact(r#""ev":"recording-began","id":"x""#),
            fact(r#""ev":"command-entered","id":"x","cmd":"cat 4711.txt","pt":["4711"]"#),
            fact(r#""ev":"file-carried","id":"x","file":"/log/4711","why":"download","sha":"00","n":3"#),
            fact(r#""ev":"file-carried","id":"y","file":"/log/2","why":"upload","sha":"00","n":3"#),
            fact(r#""ev":"file-carried","id":"y","file":"/log/2","why":"upload-undone","sha":"00","n":3"#),
        ]);
        assert_eq!((work.commands, work.files, work.patients, work.allowed), (1, 1, 1, 0));
        assert!(!work.text().contains("4711"));
    }

    #[test]
    fn what_is_kept_fits_beside_a_report() {
        let deed = |count| Deed { host: "長".repeat(500), count, ..Deed::default() };
        let work = Work { is_whole: true, deeds: (0..200).map(deed).collect(), ..Work::default() };
        let text = work.text();
        assert!(text.chars().count() <= GRANT_TEXT_CHARS_MAX);
        let kept = Work::kept(&text).unwrap();
        assert!(!kept.is_whole && !kept.deeds.is_empty() && work.deeds.starts_with(&kept.deeds));
    }

    #[test]
    fn what_may_be_about_more_patients_says_so() {
        for more in [r#","pt":["1"],"ptn":300"#, r#","ptf":["unreadable"]"#] {
            assert!(tallied(&[story("/patients/1", more, Some(""))]).may_be_more, "{more}");
        }
    }
}
