//! Which stories of the log are asked for, found by reading its lines: complete by itself, whatever an index knows.

use std::collections::HashMap;

use audit::{Entry, EntryKind, LogProblem, Reader, Story};
use evidence::export::StoryAt;
use policy::Timestamp;
use serde_json::{Map, Value};

use crate::cli::out;
use crate::failure::Failure;

/// The most lines that one export names.
const LINES_MAX: usize = 5_000_000;
/// Lines of several workers, and after a clock was set, are out of order by no more than this, in microseconds.
const DISORDER_MAX: i64 = 60_000_000;
/// How often a damaged place may be met in a row without getting on.
pub const STANDSTILLS_MAX: u32 = 64;

/// What is asked for. What is left out fits everything.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    /// Not before.
    pub since: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
    /// A patient's number, as the log has it.
    pub patient: Option<String>,
    /// A person's id or sign-in name, or who acted.
    pub person: Option<String>,
    /// A device.
    pub device: Option<String>,
    /// An app.
    pub app: Option<String>,
}

impl Wanted {
    /// Whether it is everything.
    pub fn is_everything(&self) -> bool {
        let Self { since, until, patient, person, device, app } = self;
        since.is_none() && until.is_none() && [patient, person, device, app].into_iter().all(Option::is_none)
    }

    /// The question as it was asked, for the file.
    pub fn question(&self) -> Value {
        let texts =
            [("patient", &self.patient), ("person", &self.person), ("device", &self.device), ("app", &self.app)];
        let moments = [("since", self.since), ("until", self.until)];
        let moments = moments.into_iter().filter_map(|(key, at)| Some((key.to_owned(), at?.to_string().into())));
        let texts = texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text.clone()?.into())));
        Value::Object(moments.chain(texts).collect::<Map<_, _>>())
    }

    /// The question in words for the record, without a patient's number.
    pub fn words(&self) -> String {
        let Value::Object(asked) = self.question() else { return String::new() };
        let word = |(key, value): (&String, &Value)| match (key.as_str(), value.as_str()) {
            ("patient", _) => "patient=(..)".to_owned(),
            (_, text) => format!("{key}={}", text.unwrap_or_default()),
        };
        asked.iter().map(word).collect::<Vec<_>>().join(" ")
    }

    fn begins_in_time(&self, at: Timestamp) -> bool {
        self.since.is_none_or(|since| at >= since) && self.until.is_none_or(|until| at < until)
    }

    /// Whether the first line fits in everything that only it says.
    fn fits_begin(&self, begin: &Entry) -> bool {
        let is = |wanted: &Option<String>, stated: &[&Option<String>]| wanted.is_none() || stated.contains(&wanted);
        self.begins_in_time(begin.at)
            && is(&self.person, &[&begin.user, &begin.login, &begin.actor])
            && is(&self.device, &[&begin.device])
            && is(&self.app, &[&begin.app])
    }

    fn fits_patients(&self, story: &Story) -> bool {
        self.patient.as_deref().is_none_or(|wanted| story.patients().any(|patient| patient == wanted))
    }
}

/// What was selected.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selected {
    /// The stories that are wanted, in the order in which they begin.
    pub stories: Vec<StoryAt>,
    /// Lines that may have been wanted and are damaged.
    pub damaged: u64,
}

impl Selected {
    /// Says what could not be read, if there was any.
    pub fn warn(&self) {
        if self.damaged > 0 {
            let lines = self.damaged;
            out::complain(&format!(
                "{lines} lines of the log are damaged and left out; run `sekimori audit verify` to see which"
            ));
        }
    }
}

/// The stories that are wanted. Where everything is, every line is there. Damaged lines are passed over and counted.
pub fn select(log: &Reader, wanted: &Wanted) -> Result<Selected, Failure> {
    let unavailable = |problem: LogProblem| Failure::unavailable(problem.to_string());
    let size = log.size().map_err(unavailable)?;
    let everything = wanted.is_everything();
    let mut selecting = Selecting { wanted, everything, open: HashMap::new(), found: Vec::new() };
    let mut lines = log.from(first_line(log, wanted.since, size).map_err(unavailable)?);
    let (mut damaged, mut standstills) = (0, 0);
    while lines.place() < size {
        let place = lines.place();
        match lines.next() {
            Ok(Some(line)) => match Entry::read(line.text) {
                Some(entry)
                    if wanted.until.is_some_and(|until| is_long_after(entry.at, until))
                        && selecting.open.is_empty() =>
                {
                    break;
                }
                Some(entry) => selecting.line(entry),
                None => damaged += 1,
            },
            Ok(None) => break,
            Err(problem @ LogProblem::Damaged { .. }) => {
                let passed = lines.place().saturating_sub(place);
                standstills = if passed == 0 { standstills + 1 } else { 0 };
                if standstills > STANDSTILLS_MAX {
                    return Err(unavailable(problem));
                }
                damaged += passed;
            }
            Err(problem) => return Err(unavailable(problem)),
        }
        if selecting.found.len() > LINES_MAX {
            return Err(Failure::input(format!("more than {LINES_MAX} lines are asked for; ask for a shorter time")));
        }
    }
    let mut stories = selecting.end();
    stories.sort_unstable_by_key(|story| story.begin);
    Ok(Selected { stories, damaged })
}

struct Selecting<'a> {
    wanted: &'a Wanted,
    everything: bool,
    /// Accesses that are not closed yet, by their request.
    open: HashMap<String, Entry>,
    found: Vec<StoryAt>,
}

impl Selecting<'_> {
    fn line(&mut self, entry: Entry) {
        match entry.kind {
            EntryKind::Open if self.wanted.fits_begin(&entry) => {
                if let Some(request) = entry.request.clone() {
                    self.open.insert(request, entry);
                }
            }
            EntryKind::Close => {
                let begin = entry.request.as_ref().and_then(|request| self.open.remove(request));
                match begin {
                    Some(begin) => self.story(Story { begin, end: Some(entry) }),
                    None if self.everything => self.found.push(StoryAt { begin: entry.seq, end: None }),
                    None => {}
                }
            }
            EntryKind::Segment => {
                if self.everything {
                    self.found.push(StoryAt { begin: entry.seq, end: None });
                }
            }
            EntryKind::Refused | EntryKind::Fact(_) | EntryKind::Unknown(_) => {
                if self.wanted.fits_begin(&entry) {
                    self.story(Story::of(entry));
                }
            }
            EntryKind::Open => {}
        }
    }

    fn story(&mut self, story: Story) {
        if self.wanted.fits_patients(&story) {
            self.found.push(StoryAt { begin: story.begin.seq, end: story.end.map(|end| end.seq) });
        }
    }

    /// Everything that was found; what is still open, by its first line.
    fn end(mut self) -> Vec<StoryAt> {
        let open = std::mem::take(&mut self.open);
        open.into_values().for_each(|begin| self.story(Story::of(begin)));
        self.found
    }
}

/// A line from which on everything since a moment stands, found by halving.
fn first_line(log: &Reader, since: Option<Timestamp>, size: u64) -> Result<u64, LogProblem> {
    let mut low = log.first()?;
    let Some(since) = since else { return Ok(low) };
    let mut high = size;
    while high.saturating_sub(low) > 1 {
        let middle = low + (high - low) / 2;
        let line = match log.line(middle) {
            Ok(line) => line,
            Err(LogProblem::Damaged { .. }) => None,
            Err(problem) => return Err(problem),
        };
        match line.and_then(|line| Entry::read(&line)).map(|entry| entry.at) {
            Some(at) if is_long_after(since, at) => low = middle,
            Some(_) => high = middle,
            // What cannot be read says nothing: from the beginning of what is left.
            None => return Ok(low),
        }
    }
    Ok(low)
}

fn is_long_after(at: Timestamp, before: Timestamp) -> bool {
    at.unix_micros().saturating_sub(before.unix_micros()) > DISORDER_MAX
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of accesses a minute apart, each with its closing line half a minute later, and facts between.
    fn log() -> (tempfolder::Folder, Reader) {
        let folder = tempfolder::Folder::new();
        std::fs::create_dir_all(folder.path().join("segments")).unwrap();
        let mut text = String::new();
        let mut seq = 0;
        let mut line = |second: u64, rest: &str| {
            let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
            text.push_str(&format!(
                "{{\"v\":1,\"seq\":{seq},\"ts\":\"2026-11-22T{hour:02}:{minute:02}:{second:02}.000000Z\",{rest}}}\n"
            ));
            seq += 1;
        };
        line(0, r#""ev":"segment","since":0,"origin":"a""#);
        for n in 0..300_u64 {
            let patient = if n % 10 == 0 { r#","pt":["7"]"# } else { "" };
            line(n * 60, &format!(r#""ev":"open","id":"r{n}","login":"p{}","app":"emr","dev":"d{}""#, n % 2, n % 3));
            line(n * 60 + 30, &format!(r#""ev":"close","id":"r{n}","end":"served","st":200{patient}"#));
        }
        line(18_100, r#""ev":"open","id":"still","login":"p0","app":"emr","pt":["7"]"#);
        line(18_101, r#""ev":"device-added","actor":"p0","dev":"d9""#);
        std::fs::write(folder.path().join("segments").join(format!("{:020}.jsonl", 0)), text).unwrap();
        let reader = folder.path().into();
        (folder, reader)
    }

    mod tempfolder {
        use std::path::{Path, PathBuf};
        use std::sync::atomic::{AtomicU32, Ordering};

        pub struct Folder(PathBuf);

        impl Folder {
            pub fn new() -> Self {
                static NEXT: AtomicU32 = AtomicU32::new(0);
                let name = format!("sekimori-select-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
                let path = std::env::temp_dir().join(name);
                std::fs::create_dir_all(&path).unwrap();
                Self(path)
            }

            pub fn path(&self) -> &Path {
                &self.0
            }
        }

        impl Drop for Folder {
            fn drop(&mut self) {
                drop(std::fs::remove_dir_all(&self.0));
            }
        }
    }

    fn nothing() -> Wanted {
        Wanted { since: None, until: None, patient: None, person: None, device: None, app: None }
    }

    fn at(text: &str) -> Option<Timestamp> {
        Timestamp::parse_rfc3339(&format!("2026-11-22T{text}Z"))
    }

    fn stories(log: &Reader, wanted: &Wanted) -> Vec<StoryAt> {
        let selected = select(log, wanted).unwrap();
        assert_eq!(selected.damaged, 0);
        selected.stories
    }

    #[test]
    fn what_is_damaged_is_passed_over_and_counted() {
        let (folder, log) = log();
        let segments = folder.path().join("segments");
        let file = segments.join(format!("{:020}.jsonl", 0));
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        // Two lines that are no lines any more, and one that says nothing.
        let worse = |(seq, line): (usize, &&str)| match seq {
            301 | 305 => "#".repeat(40) + "\n",
            311 => format!("{{\"v\":1,\"seq\":{seq},\"ts\":\"yesterday\"}}\n"),
            _ => (*line).to_owned(),
        };
        std::fs::write(&file, lines.iter().enumerate().map(worse).collect::<String>()).unwrap();
        let selected = select(&log, &Wanted { since: at("02:00:00"), ..nothing() }).unwrap();
        assert_eq!((selected.stories.len(), selected.damaged), (179, 3));
        assert_eq!(select(&log, &nothing()).unwrap().damaged, 3);
        // A whole file that cannot be read.
        std::fs::write(segments.join(format!("{:020}.jsonl", 400)), lines[400..].concat()).unwrap();
        std::fs::write(file.with_extension("archive"), "this is no archive").unwrap();
        std::fs::remove_file(&file).unwrap();
        let log: Reader = folder.path().into();
        let selected = select(&log, &Wanted { since: at("03:00:00"), ..nothing() }).unwrap();
        assert_eq!((selected.stories.len(), selected.damaged), (102, 400));
    }

    #[test]
    fn everything_is_every_line() {
        let (_folder, log) = log();
        let found = stories(&log, &nothing());
        let lines: usize = found.iter().map(|story| 1 + usize::from(story.end.is_some())).sum();
        assert_eq!(lines as u64, log.size().unwrap());
        assert!(found.is_sorted_by_key(|story| story.begin));
    }

    #[test]
    fn stories_are_found_by_what_either_line_says() {
        let (_folder, log) = log();
        let of_patient = stories(&log, &Wanted { patient: Some("7".into()), ..nothing() });
        assert_eq!(of_patient.len(), 31, "thirty closed, and one that is still open");
        assert_eq!(of_patient.last(), Some(&StoryAt { begin: 601, end: None }));
        let both = Wanted { person: Some("p0".into()), device: Some("d9".into()), ..nothing() };
        assert_eq!(stories(&log, &both), [StoryAt { begin: 602, end: None }]);
        assert_eq!(stories(&log, &Wanted { app: Some("pacs".into()), ..nothing() }), []);
    }

    #[test]
    fn a_time_counts_by_the_beginning() {
        let (_folder, log) = log();
        let hour = Wanted { since: at("02:00:00"), until: at("03:00:00"), ..nothing() };
        let found = stories(&log, &hour);
        assert_eq!((found.len(), found[0]), (60, StoryAt { begin: 241, end: Some(242) }));
        let last = Wanted { until: at("00:00:01"), ..nothing() };
        assert_eq!(stories(&log, &last), [StoryAt { begin: 1, end: Some(2) }]);
    }

    #[test]
    fn the_record_of_a_question_names_no_patient() {
        let wanted =
            Wanted { since: at("02:00:00"), patient: Some("00012345".into()), person: Some("a".into()), ..nothing() };
        let words = wanted.words();
        assert!(!words.contains("00012345") && words.contains("patient=(..)") && words.contains("person=a"), "{words}");
        assert_eq!(wanted.question()["patient"], "00012345");
    }
}
