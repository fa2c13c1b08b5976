//! `sekimori audit find`: who saw this patient, what did this person do, how many were refused. Asks the index, reads
//! the lines in the log. Who asked, for what, and how much was found is recorded first.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use audit::{Entry, LogProblem, Once, Reader, Story, StoryOutcome};
use config::Config;
use evidence::{Source, csv};
use find::{Addresses, Bar, By, Calendar, Deadline, FindProblem, FoundAt, Index, Order, Question};
use policy::{Timestamp, Unit};
use serde_json::json;
use store::LogUse;

use super::Place;
use super::patient::as_in_the_log;
use super::peers::{self, Peers};
use crate::cli::{actor, block_on, open_store, out, span, table};
use crate::failure::Failure;
use crate::{clock, finding};

/// How long an answer may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(60);

/// How many different things one log is counted by, where several are counted together.
const BARS_MAX: usize = 100_000;

/// What to find. What is left out fits everything.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Words that all stand in sign-in name, name, host, path, reason or device; `tab*` is the beginning of one.
    words: Vec<String>,
    /// A patient's number.
    #[arg(long, value_name = "NUMBER")]
    patient: Option<String>,
    /// A study (Study Instance UID).
    #[arg(long, value_name = "UID")]
    study: Option<String>,
    /// A person: sign-in name or id, or who did something to others.
    #[arg(long, value_name = "NAME")]
    person: Option<String>,
    /// A device.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// An app.
    #[arg(long, value_name = "APP")]
    app: Option<String>,
    /// read, search, write, delete, export or connect.
    #[arg(long, value_name = "ACTION")]
    action: Option<String>,
    /// An information class.
    #[arg(long, value_name = "CLASS")]
    class: Option<String>,
    /// How it went: allowed, refused, failed or unknown.
    #[arg(long, value_name = "OUTCOME", value_parser = outcome)]
    outcome: Option<StoryOutcome>,
    /// The reason, a code.
    #[arg(long, value_name = "CODE")]
    reason: Option<String>,
    /// The rule that decided.
    #[arg(long, value_name = "RULE")]
    rule: Option<String>,
    /// The grant it rested on.
    #[arg(long, value_name = "GRANT")]
    grant: Option<String>,
    /// A role of the person.
    #[arg(long, value_name = "ROLE")]
    role: Option<String>,
    /// A department, or a facility: where the person worked, or where the device stood.
    #[arg(long, value_name = "NAME")]
    department: Option<Unit>,
    /// Where it came from: `10.1.2.3`, `10.1.2.0/24` or `10.1.`.
    #[arg(long, value_name = "ADDRESS")]
    address: Option<Addresses>,
    /// The word of its first line: `open`, `refused`, or a fact such as `device-added`.
    #[arg(long, value_name = "WORD")]
    event: Option<String>,
    /// A session.
    #[arg(long, value_name = "SESSION")]
    session: Option<String>,
    /// A revision of the configuration.
    #[arg(long, value_name = "REVISION")]
    revision: Option<String>,
    /// A request: its id, or the eight digits that people read to the help desk.
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Only outside Monday to Friday, 8:00 to 18:00, or on holidays.
    #[arg(long)]
    out_of_hours: bool,
    /// From when on: a date, a moment, or a span back from now such as `30d`.
    #[arg(long, value_name = "WHEN")]
    since: Option<String>,
    /// Until when: a date, a moment, or a span back from now.
    #[arg(long, value_name = "WHEN")]
    until: Option<String>,
    /// The oldest first; else the newest.
    #[arg(long)]
    oldest: bool,
    /// How many at most.
    #[arg(short, long, default_value_t = 50)]
    limit: usize,
    /// Counts instead, by hour, day, month, role, app, action, class, outcome, reason, person, device, patient, rule,
    /// event or address.
    #[arg(long, value_name = "WHAT", value_parser = by)]
    count_by: Option<By>,
    /// How to write.
    #[arg(long, value_enum, default_value_t)]
    format: Form,
    #[command(flatten)]
    place: IndexPlace,
    #[command(flatten)]
    peers: Peers,
}

/// Where log and index are.
#[derive(clap::Args, Debug)]
pub struct IndexPlace {
    #[command(flatten)]
    log: Place,
    /// The index's directory; by default `index` in the state directory.
    #[arg(long, value_name = "DIR")]
    index: Option<PathBuf>,
}

/// How what was found is written.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Form {
    /// For people.
    #[default]
    Text,
    /// For programs: one object a line.
    Json,
    /// For spreadsheets.
    Csv,
}

fn outcome(text: &str) -> Result<StoryOutcome, String> {
    StoryOutcome::parse(text)
        .ok_or_else(|| format!("`{text}` is no outcome; write allowed, refused, failed or unknown"))
}

fn by(text: &str) -> Result<By, String> {
    let words = || By::ALL.map(By::as_str).join(", ");
    By::parse(text).ok_or_else(|| format!("`{text}` cannot be counted by; write one of {}", words()))
}

impl IndexPlace {
    pub(super) fn config(&self) -> Result<Config, Failure> {
        self.log.config.read()
    }

    /// The index's directory.
    pub(super) fn index_dir(&self, config: &Config) -> Result<PathBuf, Failure> {
        match &self.index {
            Some(dir) => Ok(dir.clone()),
            None if self.log.is_of_this_node() => Ok(finding::index_dir(&config.state_dir)),
            None => Err(Failure::input(
                "a copy of a log has an index of its own; name it with --index, and make it with `sekimori audit index rebuild`",
            )),
        }
    }

    /// The log.
    pub(super) fn reader(&self) -> Result<Reader, Failure> {
        self.log.reader()
    }
}

/// Finds, or counts.
pub fn run(args: &Args) -> Result<(), Failure> {
    let config = args.place.config()?;
    let now = clock::now();
    let books = args.books(&config)?;
    let question = args.question(&config, now)?;
    let deadline = Deadline::within(ANSWER_WITHIN);
    if let Some(by) = args.count_by {
        let bars = count(&books, &question, by, args.limit, &deadline)?;
        args.tell(&config, bars.iter().map(|bar| bar.count).sum(), now)?;
        say_bars(&bars, by, args.format);
    } else {
        let (found, total) = found(&books, &question, args.limit, &deadline)?;
        args.tell(&config, found.len() as u64, now)?;
        say_stories(&found, &books, &config, args.format)?;
        if total > found.len() as u64 {
            // What stands in several logs is known to be the same only as far as it was read.
            let most = if books.len() > 1 { "at most " } else { "" };
            out::complain(&format!("{most}{total} were found, {} are shown; see --limit", found.len()));
        }
    }
    for book in &books {
        let behind = book.log.size().map_err(unreadable)?.saturating_sub(book.index.lag().seq);
        if behind > 0 {
            let name = book.name.as_ref().map_or_else(|| "the log".to_owned(), |name| format!("`{name}`"));
            out::complain(&format!("the newest {behind} lines of {name} are not in the index yet"));
        }
    }
    Ok(())
}

/// A log with its index.
struct Book {
    index: Index,
    log: Reader,
    /// What it is called, where there are several.
    name: Option<String>,
}

/// What was found in one of several logs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Hit {
    book: usize,
    at: FoundAt,
}

/// Counts in all logs together. What happened in the store stands in each of them, and counts in each.
fn count(books: &[Book], question: &Question, by: By, limit: usize, deadline: &Deadline) -> Result<Vec<Bar>, Failure> {
    if let [only] = books {
        return only.index.count(question, by, limit, deadline).map_err(failure);
    }
    let mut all: BTreeMap<String, u64> = BTreeMap::new();
    for book in books {
        for bar in book.index.count(question, by, BARS_MAX, deadline).map_err(failure)? {
            let sum = all.entry(bar.key).or_default();
            *sum = sum.saturating_add(bar.count);
        }
    }
    let mut bars: Vec<Bar> = all.into_iter().map(|(key, count)| Bar { key, count }).collect();
    let is_time = matches!(by, By::Hour | By::Day | By::Month);
    if !is_time {
        bars.sort_by_key(|bar| std::cmp::Reverse(bar.count));
    }
    bars.truncate(limit);
    Ok(bars)
}

/// What is found in all logs together, in the order that is asked for, and how much there is.
fn found(books: &[Book], question: &Question, limit: usize, deadline: &Deadline) -> Result<(Vec<Hit>, u64), Failure> {
    let (mut timed, mut all) = (Vec::new(), 0_u64);
    for (number, book) in books.iter().enumerate() {
        let (hits, total) = pages(&book.index, question.clone(), limit, deadline)?;
        all = all.saturating_add(total);
        if books.len() == 1 {
            return Ok((hits.into_iter().map(|at| Hit { book: number, at }).collect(), total));
        }
        for at in hits {
            let line = book.log.line(at.begin).ok().flatten();
            let entry = line.as_deref().and_then(Entry::read);
            // What cannot be read is said where it is shown.
            timed.push((entry.map(|entry| entry.at), Hit { book: number, at }, line));
        }
    }
    timed.sort_by_key(|(at, ..)| *at);
    let mut once = Once::default();
    let before = timed.len();
    timed.retain(|(_, hit, line)| line.as_ref().is_none_or(|line| once.is_new(hit.book, line)));
    all = all.saturating_sub((before - timed.len()) as u64);
    if question.order == Order::Newest {
        timed.reverse();
    }
    Ok((timed.into_iter().take(limit).map(|(_, hit, _)| hit).collect(), all))
}

impl Args {
    /// The log and those of other nodes, each with its index: beside it, in the folder `index`.
    fn books(&self, config: &Config) -> Result<Vec<Book>, Failure> {
        let mut dirs = vec![self.place.index_dir(config)?];
        let beside = |dir: &PathBuf| dir.parent().unwrap_or(std::path::Path::new(".")).join("index");
        dirs.extend(self.peers.directories().iter().map(beside));
        let logs = self.peers.readers(&self.place.log)?;
        let is_one = self.peers.is_empty();
        let book = |(dir, log): (PathBuf, Reader)| {
            let name = (!is_one).then(|| peers::name_of(&log));
            let index = Index::open_existing(&dir).map_err(failure)?;
            // The gateway has the newest in memory only.
            index.look_ahead(&log).map_err(failure)?;
            Ok(Book { index, log, name })
        };
        dirs.into_iter().zip(logs).map(book).collect()
    }

    fn question(&self, config: &Config, now: Timestamp) -> Result<Question, Failure> {
        let when = |text: &Option<String>, default| {
            text.as_deref().map_or(Ok(default), |text| span::moment(text, now, config.offset))
        };
        let everything = Question::default();
        let calendar =
            Calendar { offset: config.offset, holidays: config.policy.holidays.clone(), ..Calendar::default() };
        Ok(Question {
            since: when(&self.since, everything.since)?,
            until: when(&self.until, everything.until)?,
            patient: as_in_the_log(self.patient.as_deref(), self.app.as_deref(), Some(config))?,
            study: self.study.clone(),
            person: self.person.clone(),
            device: self.device.clone(),
            app: self.app.clone(),
            action: self.action.clone(),
            class: self.class.clone(),
            outcome: self.outcome,
            reason: self.reason.clone(),
            rule: self.rule.clone(),
            grant: self.grant.clone(),
            role: self.role.clone(),
            unit: self.department.clone(),
            address: self.address,
            event: self.event.clone(),
            session: self.session.clone(),
            revision: self.revision.clone(),
            request: self.request.clone(),
            text: Some(self.words.join(" ")).filter(|words| !words.is_empty()),
            out_of_hours: self.out_of_hours.then_some(true),
            calendar,
            order: if self.oldest { Order::Oldest } else { Order::Newest },
            ..everything
        })
    }

    /// The question in words for the record: no patient's number, and of free words only that there were some.
    fn words(&self) -> String {
        let outcome = self.outcome.map(|outcome| outcome.code().to_owned());
        let address = self.address.map(|address| address.to_string());
        let department = self.department.as_ref().map(ToString::to_string);
        let stated = [
            ("department", &department),
            ("person", &self.person),
            ("device", &self.device),
            ("app", &self.app),
            ("action", &self.action),
            ("class", &self.class),
            ("outcome", &outcome),
            ("reason", &self.reason),
            ("rule", &self.rule),
            ("grant", &self.grant),
            ("role", &self.role),
            ("address", &address),
            ("event", &self.event),
            ("session", &self.session),
            ("revision", &self.revision),
            ("request", &self.request),
            ("since", &self.since),
            ("until", &self.until),
        ];
        let stated = stated.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_deref()?)));
        let hidden =
            [("patient", self.patient.is_some()), ("study", self.study.is_some()), ("words", !self.words.is_empty())];
        let hidden = hidden.into_iter().filter(|(_, is_asked)| *is_asked).map(|(key, _)| format!("{key}=(..)"));
        let flags = self.out_of_hours.then(|| "out-of-hours".to_owned());
        let count = self.count_by.map(|by| format!("count-by={}", by.as_str()));
        hidden.chain(stated).chain(flags).chain(count).collect::<Vec<_>>().join(" ")
    }

    /// Tells the gateway who looked at its log, and for what; nothing is shown where that cannot be told.
    fn tell(&self, config: &Config, count: u64, now: Timestamp) -> Result<(), Failure> {
        if !self.place.log.is_of_this_node() {
            return Ok(());
        }
        let used = LogUse { what: "find".to_owned(), question: self.words(), count };
        let store = open_store(config)?;
        let unavailable = |problem: store::StoreProblem| Failure::unavailable(problem.to_string());
        block_on(async { store.tell_log_use(used, now, actor()).await.map_err(unavailable) })?;
        Ok(())
    }
}

/// As many stories as are wanted, page by page, and how many there are.
fn pages(
    index: &Index,
    mut question: Question,
    limit: usize,
    deadline: &Deadline,
) -> Result<(Vec<FoundAt>, u64), Failure> {
    let mut found = Vec::new();
    loop {
        question.limit = (limit - found.len()).min(Question::LIMIT_MAX);
        let answer = index.ask(&question, deadline).map_err(failure)?;
        found.extend(answer.seqs);
        question.after = answer.next;
        if question.after.is_none() || found.len() >= limit {
            return Ok((found, answer.total));
        }
    }
}

fn say_bars(bars: &[Bar], by: By, form: Form) {
    match form {
        Form::Text => {
            let rows: Vec<_> = bars.iter().map(|bar| vec![printable(&bar.key), bar.count.to_string()]).collect();
            out::say(&table(&[by.as_str(), "count"], &rows));
        }
        Form::Json => {
            bars.iter().for_each(|bar| out::say(&json!({ "key": bar.key, "count": bar.count }).to_string()));
        }
        Form::Csv => {
            let mut text = csv::BEGIN.to_owned();
            csv::push_row(&mut text, [by.as_str(), "count"]);
            bars.iter().for_each(|bar| csv::push_row(&mut text, [bar.key.as_str(), &bar.count.to_string()]));
            out::say(text.trim_end());
        }
    }
}

fn say_stories(found: &[Hit], books: &[Book], config: &Config, form: Form) -> Result<(), Failure> {
    let source = Source::of(config);
    let mut text = csv::BEGIN.to_owned();
    let mut rows = Vec::new();
    if form == Form::Csv {
        csv::push_row(&mut text, csv::HEADINGS);
    }
    let mut firsts = Vec::with_capacity(books.len());
    for book in books {
        firsts.push(book.log.first().map_err(unreadable)?);
    }
    for Hit { book, at } in found {
        let (Some(Book { log, name, .. }), Some(first)) = (books.get(*book), firsts.get(*book).copied()) else {
            continue;
        };
        // What was deleted by age is not in the index for long.
        let Some(begin) = line(log, at.begin, first)? else { continue };
        let end = at.end.map(|seq| line(log, seq, first)).transpose()?.flatten();
        if form == Form::Json {
            let text = |line: &[u8]| String::from_utf8_lossy(line).into_owned();
            let end = end.as_deref().map_or_else(|| "null".to_owned(), text);
            let of = name.as_ref().map_or_else(String::new, |name| format!(r#""log":{},"#, json!(name)));
            out::say(&escaped(&format!(r#"{{{of}"begin":{},"end":{end}}}"#, text(&begin))));
            continue;
        }
        let Some(begin) = Entry::read(&begin) else { continue };
        let story = Story { begin, end: end.as_deref().and_then(Entry::read) };
        if form == Form::Csv {
            csv::push_row(&mut text, csv::row(&story, &source));
        } else {
            rows.push(name.iter().cloned().chain(row(&story, config)).collect());
        }
    }
    match form {
        Form::Text if books.len() > 1 => {
            let headings: Vec<&str> = std::iter::once("log").chain(HEADINGS).collect();
            out::say(&table(&headings, &rows));
        }
        Form::Text => out::say(&table(&HEADINGS, &rows)),
        Form::Csv => out::say(text.trim_end()),
        Form::Json => {}
    }
    Ok(())
}

/// A line that the index knows of; nothing where it was deleted by age, or is damaged, which is said.
fn line(log: &Reader, seq: u64, first: u64) -> Result<Option<Vec<u8>>, Failure> {
    let reason = match log.line(seq) {
        Ok(Some(line)) if Entry::read(&line).is_some() => return Ok(Some(line)),
        Ok(None) if seq < first => return Ok(None),
        Ok(Some(_) | None) => "it is not as it was written".to_owned(),
        Err(problem @ LogProblem::Damaged { .. }) => problem.to_string(),
        Err(problem) => return Err(unreadable(problem)),
    };
    out::complain(&format!("line {seq} of the log is damaged and cannot be shown: {}", printable(&reason)));
    Ok(None)
}

const HEADINGS: [&str; 10] = ["line", "when", "outcome", "who", "device", "app", "what", "patients", "path", "why"];

fn row(story: &Story, config: &Config) -> Vec<String> {
    let begin = &story.begin;
    let text = |value: Option<&str>| printable(value.unwrap_or("-"));
    let who = begin.login.as_deref().or(begin.user.as_deref()).or(begin.actor.as_deref());
    let patients: Vec<_> = story.patients().collect();
    let end = story.end.as_ref().and_then(|end| end.why.as_deref());
    vec![
        begin.seq.to_string(),
        begin.at.rfc3339(config.offset),
        story.outcome().code().to_owned(),
        text(who),
        text(begin.device.as_deref()),
        text(begin.app.as_deref()),
        text(begin.action.as_deref().or(Some(begin.kind.code()))),
        text(Some(&patients.join(" ")).filter(|patients| !patients.is_empty()).map(String::as_str)),
        text(begin.path.as_deref()),
        text(begin.why.as_deref().or(end)),
    ]
}

/// A text in which nothing steers a terminal or turns what follows.
fn printable(text: &str) -> String {
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// The same in JSON, where it can be said exactly.
fn escaped(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for c in json.chars() {
        if steers(c) {
            text.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            text.push(c);
        }
    }
    text
}

fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn unreadable(problem: audit::LogProblem) -> Failure {
    Failure::unavailable(problem.to_string())
}

/// Whether it is the question's fault or the index's.
pub(super) fn failure(problem: FindProblem) -> Failure {
    let text = problem.to_string();
    match problem {
        FindProblem::Question { .. } | FindProblem::TooBroad { .. } => Failure::input(text),
        FindProblem::Missing { .. }
        | FindProblem::InUse { .. }
        | FindProblem::Disk { .. }
        | FindProblem::Damaged { .. }
        | FindProblem::Gone { .. }
        | FindProblem::Log(_)
        | FindProblem::TooLong
        | FindProblem::Cancelled => Failure::unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser, Debug)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &[&str]) -> Args {
        Line::try_parse_from(["find"].iter().chain(line)).unwrap().args
    }

    #[test]
    fn the_record_of_a_question_names_no_patient() {
        let asked = ["--patient", "00012345", "--person", "n.sato", "--out-of-hours", "花子", "--count-by", "day"];
        assert_eq!(args(&asked).words(), "patient=(..) words=(..) person=n.sato out-of-hours count-by=day");
    }

    #[test]
    fn nothing_in_a_record_steers_a_terminal() {
        assert_eq!(printable("a\u{1b}[2J\u{202e}b\n"), "a\u{fffd}[2J\u{fffd}b\u{fffd}");
        let told = escaped(&json!({ "a": "\u{9b}x\u{202e}" }).to_string());
        assert_eq!(told, r#"{"a":"\u009bx\u202e"}"#);
    }

    #[test]
    fn words_that_are_none_are_refused_with_those_that_are() {
        for line in [["--outcome", "ok"], ["--count-by", "weekday"], ["--address", "ward"]] {
            let said = Line::try_parse_from(["find"].iter().chain(&line)).unwrap_err().to_string();
            assert!(said.contains("write"), "{said}");
        }
    }
}
