//! The logs of several nodes, read together: by time, with what stands in more than one of them only once. What happened
//! in the store is recorded by every node, with the number of the event; lines that say the same of it are one. Where two
//! logs differ, both lines stay: none can hide what another one says.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::Write;
use std::path::PathBuf;

use audit::{Entry, Keys, LogKey, LogProblem, Once, Reader};
use policy::Timestamp;

use super::Place;
use super::select::STANDSTILLS_MAX;
use crate::failure::Failure;

/// Logs of other nodes.
#[derive(clap::Args, Debug, Clone)]
pub struct Peers {
    /// The log of another node, such as a copy, to be read together with this one; may be given several times.
    #[arg(long = "peer", value_name = "DIR")]
    peers: Vec<PathBuf>,
}

impl Peers {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    /// Their directories.
    pub fn directories(&self) -> &[PathBuf] {
        &self.peers
    }

    /// The log of a place, and those of the others. The same key ring opens all of them.
    pub fn readers(&self, place: &Place) -> Result<Vec<Reader>, Failure> {
        let keys = || Ok(place.ring()?.map_or_else(Keys::none, |ring| Keys::ring(&ring)));
        let mut readers = vec![place.reader()?];
        for dir in &self.peers {
            readers.push(Reader::open(dir, keys()?).map_err(unavailable)?);
        }
        Ok(readers)
    }
}

fn unavailable(problem: LogProblem) -> Failure {
    Failure::unavailable(problem.to_string())
}

/// The name of a log: as its key says, else its directory.
pub fn name_of(log: &Reader) -> String {
    let key = std::fs::read_to_string(log.directory().join("verifier-key")).ok();
    let origin = key.and_then(|text| LogKey::parse(&text).map(|key| key.origin().to_owned()));
    origin.unwrap_or_else(|| log.directory().display().to_string())
}

/// A line of one of several logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// When.
    pub at: Timestamp,
    /// Which log, by its place among them.
    pub log: usize,
    /// As it was written.
    pub text: Vec<u8>,
}

/// As one object a line: which log, and the line as it was written.
pub fn write(out: &mut dyn Write, name: &str, line: &[u8]) -> std::io::Result<()> {
    let name = serde_json::Value::from(name);
    match std::str::from_utf8(line).ok().filter(|line| Entry::read(line.as_bytes()).is_some()) {
        Some(line) => writeln!(out, "{{\"log\":{name},\"line\":{line}}}"),
        None => writeln!(out, "{{\"log\":{name},\"line\":null}}"),
    }
}

/// The last lines of all logs together, oldest first.
pub fn tail(logs: &[Reader], lines: usize) -> Result<Vec<Told>, Failure> {
    let mut told = Vec::new();
    for (log, reader) in logs.iter().enumerate() {
        let last = audit::tail(reader, lines).map_err(unavailable)?;
        let read = |line: String| Some(Told { at: Entry::read(line.as_bytes())?.at, log, text: line.into_bytes() });
        told.extend(last.into_iter().filter_map(read));
    }
    told.sort_by_key(|one| one.at);
    let mut once = Once::default();
    told.retain(|one| once.is_new(one.log, &one.text));
    Ok(told.split_off(told.len().saturating_sub(lines)))
}

/// Hands every line of all logs on that is wanted, by time; gives how many are damaged and left out. Lines of one log
/// keep their order.
pub fn merge<E: From<LogProblem>>(
    logs: &[Reader],
    mut wanted: impl FnMut(usize, &Entry) -> bool,
    mut take: impl FnMut(&Told) -> Result<(), E>,
) -> Result<u64, E> {
    let mut cursors = Vec::with_capacity(logs.len());
    let mut heap = BinaryHeap::new();
    let (mut once, mut damaged) = (Once::default(), 0);
    for (log, reader) in logs.iter().enumerate() {
        let mut cursor = Cursor { lines: reader.from(reader.first()?), standstills: 0 };
        if let Some((at, text)) = cursor.next(&mut damaged)? {
            heap.push(Reverse((at, log, text)));
        }
        cursors.push(cursor);
    }
    while let Some(Reverse((at, log, text))) = heap.pop() {
        if let Some(cursor) = cursors.get_mut(log)
            && let Some((next, text)) = cursor.next(&mut damaged)?
        {
            // Lines of several workers are a little out of order: the log's own order stands.
            heap.push(Reverse((next.max(at), log, text)));
        }
        if let Some(entry) = Entry::read(&text)
            && wanted(log, &entry)
            && once.is_new(log, &text)
        {
            take(&Told { at, log, text })?;
        }
    }
    Ok(damaged)
}

struct Cursor {
    lines: audit::Lines,
    standstills: u32,
}

impl Cursor {
    /// The next line that can be read, and its moment.
    fn next(&mut self, damaged: &mut u64) -> Result<Option<(Timestamp, Vec<u8>)>, LogProblem> {
        loop {
            let place = self.lines.place();
            match self.lines.next() {
                Ok(Some(line)) => match Entry::read(line.text) {
                    Some(entry) => return Ok(Some((entry.at, line.text.to_vec()))),
                    None => *damaged += 1,
                },
                Ok(None) => return Ok(None),
                Err(problem @ LogProblem::Damaged { .. }) => {
                    let passed = self.lines.place().saturating_sub(place);
                    self.standstills = if passed == 0 { self.standstills + 1 } else { 0 };
                    if self.standstills > STANDSTILLS_MAX {
                        return Err(problem);
                    }
                    *damaged += passed;
                }
                Err(problem) => return Err(problem),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        /// A log with these lines: second, and the rest.
        fn new(name: &str, lines: &[(u64, &str)]) -> Self {
            let path = std::env::temp_dir().join(format!("sekimori-peers-{name}-{}", std::process::id()));
            std::fs::create_dir_all(path.join("segments")).unwrap();
            let line = |(seq, (second, rest)): (usize, &(u64, &str))| {
                format!("{{\"v\":1,\"seq\":{seq},\"ts\":\"2026-11-22T00:00:{second:02}.000000Z\",{rest}}}\n")
            };
            let text: String = lines.iter().enumerate().map(line).collect();
            std::fs::write(path.join("segments").join(format!("{:020}.jsonl", 0)), text).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            drop(std::fs::remove_dir_all(&self.0));
        }
    }

    fn two(name: &str) -> (Folder, Folder) {
        let device = r#""ev":"device-added","actor":"cli:a","dev":"d1","sn":7"#;
        let one = [
            (0, r#""ev":"segment","since":0,"origin":"a""#),
            (2, r#""ev":"started""#),
            (5, device),
            (9, r#""ev":"stopped""#),
        ];
        let two = [
            (1, r#""ev":"segment","since":0,"origin":"b""#),
            (3, r#""ev":"started""#),
            (5, device),
            (4, r#""ev":"recovered""#),
        ];
        (Folder::new(&format!("{name}-1"), &one), Folder::new(&format!("{name}-2"), &two))
    }

    #[test]
    fn lines_of_several_logs_come_by_time_and_the_stores_events_once() {
        let (one, two) = two("merge");
        let logs: [Reader; 2] = [(&one.0).into(), (&two.0).into()];
        let mut told = Vec::new();
        let damaged = merge(
            &logs,
            |_, _| true,
            |line: &Told| {
                let entry = Entry::read(&line.text).unwrap();
                told.push(format!("{} {}", line.log, entry.kind.code()));
                Ok::<(), LogProblem>(())
            },
        );
        assert_eq!(damaged, Ok(0));
        let expected =
            ["0 segment", "1 segment", "0 started", "1 started", "0 device-added", "1 recovered", "0 stopped"];
        assert_eq!(told, expected);
    }

    #[test]
    fn a_line_that_says_otherwise_hides_none() {
        let event = |device: &str| format!(r#""ev":"device-revoked","actor":"cli:a","dev":"{device}","sn":501"#);
        let (true_one, forged) = (event("d1"), event("d2"));
        let one = Folder::new("hide-1", &[(5, &true_one), (6, &true_one), (6, &true_one)]);
        let two = Folder::new("hide-2", &[(5, &forged), (6, &true_one)]);
        let logs: [Reader; 2] = [(&one.0).into(), (&two.0).into()];
        assert_eq!(tail(&logs, 9).unwrap().len(), 4, "both of the fifth second, and what one log says twice");
        let mut told = 0;
        let merged = merge(
            &logs,
            |_, _| true,
            |_| {
                told += 1;
                Ok::<(), LogProblem>(())
            },
        );
        assert_eq!((merged, told), (Ok(0), 4));
    }

    #[test]
    fn the_last_lines_are_those_of_all_logs() {
        let (one, two) = two("tail");
        let logs: [Reader; 2] = [(&one.0).into(), (&two.0).into()];
        let last = tail(&logs, 3).unwrap();
        let codes: Vec<_> = last.iter().map(|one| Entry::read(&one.text).unwrap().kind.code().to_owned()).collect();
        assert_eq!(codes, ["recovered", "device-added", "stopped"]);
    }

    #[test]
    fn a_line_is_handed_on_as_it_was_written() {
        let mut out = Vec::new();
        let line = r#"{"v":1,"seq":1,"ts":"2026-11-22T00:00:01.000000Z","ev":"close","ms":1.50}"#;
        write(&mut out, "log.example/a", line.as_bytes()).unwrap();
        write(&mut out, "log.example/a", b"nonsense").unwrap();
        let text = String::from_utf8(out).unwrap();
        let named = "{\"log\":\"log.example/a\",\"line\":";
        assert_eq!(text, format!("{named}{line}}}\n{named}null}}\n"));
    }
}
