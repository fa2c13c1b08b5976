//! Checking the logs of several nodes against each other. Each node writes into its own log what it saw of the others':
//! their signed checkpoints. So a log that is missing, cut off, or written anew with its own key is told by the others.
//! Each log by itself is checked by [`crate::verify`]; that is not repeated here.

use std::collections::BTreeMap;

use memchr::memmem::Finder;

use crate::reader::Reader;
use crate::verify::Finding;
use crate::{Entry, EntryKind, Event, LogKey, LogProblem, Prover, deleted};

/// What other nodes' logs say of these, all of it in order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Crossed {
    /// Checkpoints that were compared.
    pub checkpoints: u64,
    /// By the name of each log, how many of its lines another log vouches for.
    pub vouched: BTreeMap<String, u64>,
    /// Checkpoints over lines that were deleted by age since; they say nothing any more.
    pub passed_over: u64,
}

/// One log, with its key.
#[derive(Debug)]
struct Known<'a> {
    reader: &'a Reader,
    key: LogKey,
    lines: u64,
    deleted: u64,
}

/// Compares what each of these logs says of the others with what those are. A checkpoint of a log that is not here is
/// told as well: its log is missing.
///
/// # Errors
/// Every [`Finding`]: which log is not what another one saw, and by which line.
pub fn cross_check(logs: &[Reader]) -> Result<Crossed, Vec<Finding>> {
    let mut findings = Vec::new();
    let mut known = BTreeMap::new();
    for reader in logs {
        match know(reader) {
            Ok((origin, one)) => {
                if known.insert(origin.clone(), one).is_some() {
                    let what = format!("is a second copy of the log `{origin}`");
                    findings.push(Finding::in_file(reader.directory(), what));
                }
            }
            Err(finding) => findings.push(finding),
        }
    }
    let mut crossed = Crossed::default();
    for one in known.values() {
        if let Err(problem) = read_of(one.reader, &known, &mut crossed, &mut findings) {
            findings.push(Finding::in_file(one.reader.directory(), problem.to_string()));
        }
    }
    if findings.is_empty() { Ok(crossed) } else { Err(findings) }
}

fn know(reader: &Reader) -> Result<(String, Known<'_>), Finding> {
    let file = reader.directory().join("verifier-key");
    let text = std::fs::read_to_string(&file).map_err(|error| Finding::in_file(&file, error.to_string()))?;
    let key = LogKey::parse(&text).ok_or_else(|| Finding::in_file(&file, "is not a verifier key of a signed note"))?;
    let problem = |problem: LogProblem| Finding::in_file(reader.directory(), problem.to_string());
    let (lines, deleted) = (reader.size().map_err(problem)?, deleted::end(reader.directory()).map_err(problem)?);
    Ok((key.origin().to_owned(), Known { reader, key, lines, deleted }))
}

/// Reads what one log says of all others.
fn read_of(
    reader: &Reader,
    known: &BTreeMap<String, Known<'_>>,
    crossed: &mut Crossed,
    findings: &mut Vec<Finding>,
) -> Result<(), LogProblem> {
    let mark = Finder::new("\"peer-checkpoint\"");
    let mut missing: BTreeMap<String, (u64, Finding)> = BTreeMap::new();
    let mut others: BTreeMap<String, Another> = BTreeMap::new();
    let mut lines = reader.from(reader.first()?);
    while let Some(line) = lines.next()? {
        if mark.find(line.text).is_none() {
            continue;
        }
        let Some(entry) = Entry::read(line.text) else { continue };
        if entry.kind != EntryKind::Fact(Event::PeerCheckpoint) {
            continue;
        }
        let place = || Finding::in_file(reader.directory(), "");
        let Some(note) = entry.checkpoint else {
            findings.push(Finding { what: format!("line {} vouches for no checkpoint", entry.seq), ..place() });
            continue;
        };
        let origin = note.split('\n').next().unwrap_or_default().to_owned();
        match known.get(&origin) {
            // Where a log is another one than was seen, so it is from there on.
            Some(_) if others.get(&origin).is_some_and(|another| another.size <= size_of(&note)) => {
                others.entry(origin).and_modify(|another| another.says_so(entry.seq));
            }
            Some(one) => match compare(one, &note) {
                Ok(Some(size)) => {
                    crossed.checkpoints += 1;
                    let vouched = crossed.vouched.entry(origin).or_default();
                    *vouched = size.max(*vouched);
                }
                Ok(None) => crossed.passed_over += 1,
                Err(what) => {
                    let another = others.entry(origin).or_default();
                    (another.size, another.what) = (size_of(&note), what);
                    another.says_so(entry.seq);
                }
            },
            None => {
                let size = size_of(&note);
                let what = format!("line {} saw {size} lines of the log `{origin}`, which is not here", entry.seq);
                let newest = missing.entry(origin).or_insert_with(|| (0, place()));
                if size >= newest.0 {
                    *newest = (size, Finding { what, ..place() });
                }
            }
        }
    }
    findings.extend(missing.into_values().map(|(_, finding)| finding));
    for (origin, another) in others {
        let Some(one) = known.get(&origin) else { continue };
        let what = another.told(reader);
        findings.push(Finding { what, ..Finding::in_file(one.reader.directory(), "") });
    }
    Ok(())
}

/// What a log says of one that is another than it saw: each of its checkpoints says the same, so the first is told.
#[derive(Debug, Default)]
struct Another {
    /// The fewest lines from which on it is another.
    size: u64,
    what: String,
    /// The first and the last line that says so, and how many do.
    lines: Option<(u64, u64)>,
    count: u64,
}

impl Another {
    fn says_so(&mut self, line: u64) {
        self.lines = Some((self.lines.map_or(line, |(first, _)| first), line));
        self.count = self.count.saturating_add(1);
    }

    fn told(&self, reader: &Reader) -> String {
        let (what, directory) = (&self.what, reader.directory().display());
        match self.lines {
            Some((first, last)) if self.count > 1 => {
                format!("{what}: {} lines of {directory} say so, from {first} to {last}", self.count)
            }
            Some((line, _)) => format!("{what}: line {line} of {directory} says so"),
            None => what.clone(),
        }
    }
}

/// How many lines a checkpoint is over, as it says.
fn size_of(note: &str) -> u64 {
    note.split('\n').nth(1).and_then(|size| size.parse().ok()).unwrap_or(0)
}

/// Compares a log with a checkpoint that another node saw of it: its size; nothing where those lines are deleted.
fn compare(one: &Known<'_>, note: &str) -> Result<Option<u64>, String> {
    let signed = one.key.checkpoint(note).ok_or("a checkpoint was seen of it that its key did not sign")?;
    if signed.size < one.deleted {
        return Ok(None);
    }
    if signed.size > one.lines {
        return Err(format!("{} lines were seen of it, but {} are there", signed.size, one.lines));
    }
    let root = Prover::new(one.reader.directory(), |seq| one.reader.line(seq)).root(signed.size);
    match root {
        Ok(root) if root == signed.root => Ok(Some(signed.size)),
        Ok(_) => Err(format!("its first {} lines are not those that were seen", signed.size)),
        Err(problem) => Err(format!("its first {} lines cannot be compared: {problem}", signed.size)),
    }
}

#[cfg(test)]
mod tests {
    use config::OnLogFailure::Refuse;

    use super::*;
    use crate::testing::{Ward, served};
    use crate::{Log, Note, newest_checkpoint};

    /// A ward whose log has another name, with so many accesses.
    async fn node(name: &str, accesses: usize) -> (Ward, Log) {
        let mut ward = Ward::new();
        ward.config.origin = format!("sekimori.example/{name}");
        let log = ward.open();
        write(&mut ward, &log, accesses).await;
        (ward, log)
    }

    async fn write(ward: &mut Ward, log: &Log, accesses: usize) {
        let recorder = log.recorder();
        for _ in 0..accesses {
            recorder.admit(ward.read(), Refuse).await.unwrap().open().1.close(served());
        }
    }

    /// Two nodes, of which the second vouches for the first's log as it was at some moment. The first goes on.
    async fn two() -> (Ward, Ward) {
        let (mut one, log) = node("gw01", 20).await;
        log.stop();
        let seen = newest_checkpoint(one.directory()).unwrap().unwrap();
        let (two, other) = node("gw02", 3).await;
        let note = Note::new(Event::PeerCheckpoint, crate::testing::clock().now());
        other.recorder().note(Note { checkpoint: Some(seen), ..note }).await.unwrap();
        other.stop();
        let log = one.open();
        write(&mut one, &log, 4).await;
        log.stop();
        (one, two)
    }

    fn check(wards: &[&Ward]) -> Result<Crossed, Vec<String>> {
        let readers: Vec<Reader> = wards.iter().map(|ward| ward.reader()).collect();
        cross_check(&readers).map_err(|findings| findings.iter().map(ToString::to_string).collect())
    }

    /// Another log in the place of a ward's, signed with the ward's own key.
    async fn rewrite(ward: &mut Ward, accesses: usize) {
        std::fs::remove_dir_all(ward.directory()).unwrap();
        let log = ward.open();
        write(ward, &log, accesses).await;
        log.stop();
    }

    #[tokio::test]
    async fn logs_that_went_on_from_what_was_seen_are_in_order() {
        let (one, two) = two().await;
        let crossed = check(&[&one, &two]).unwrap();
        assert_eq!((crossed.checkpoints, crossed.passed_over), (1, 0));
        assert!(crossed.vouched["sekimori.example/gw01"] >= 40, "{crossed:?}");
        assert_eq!(check(&[&one]).unwrap(), Crossed::default(), "nobody vouches for anything");
    }

    #[tokio::test]
    async fn a_log_that_is_lost_is_missed() {
        let (_one, two) = two().await;
        let said = check(&[&two]).unwrap_err();
        assert!(
            said.len() == 1 && said[0].contains("of the log `sekimori.example/gw01`, which is not here"),
            "{said:?}"
        );
    }

    #[tokio::test]
    async fn a_log_that_was_written_anew_with_its_own_key_is_found_out() {
        let (mut one, two) = two().await;
        rewrite(&mut one, 40).await;
        assert!(crate::verify(one.directory(), None).is_ok(), "by itself it is in order");
        let said = check(&[&one, &two]).unwrap_err();
        assert!(said.len() == 1 && said[0].contains("lines are not those that were seen"), "{said:?}");
    }

    #[tokio::test]
    async fn a_log_that_was_cut_off_with_its_own_key_is_found_out() {
        let (mut one, two) = two().await;
        rewrite(&mut one, 2).await;
        assert!(crate::verify(one.directory(), None).is_ok(), "by itself it is in order");
        let said = check(&[&one, &two]).unwrap_err();
        assert!(said.len() == 1 && said[0].contains("lines were seen of it, but"), "{said:?}");
    }

    #[tokio::test]
    async fn a_log_that_was_written_anew_is_told_once_however_often_it_was_seen() {
        let (mut one, two) = two().await;
        for _ in 0..3 {
            let log = one.open();
            write(&mut one, &log, 2).await;
            log.stop();
            let seen = newest_checkpoint(one.directory()).unwrap().unwrap();
            let other = two.open();
            let note = Note::new(Event::PeerCheckpoint, crate::testing::clock().now());
            other.recorder().note(Note { checkpoint: Some(seen), ..note }).await.unwrap();
            other.stop();
        }
        assert_eq!(check(&[&one, &two]).unwrap().checkpoints, 4);
        rewrite(&mut one, 60).await;
        let said = check(&[&one, &two]).unwrap_err();
        assert!(said.len() == 1 && said[0].contains("lines are not those that were seen"), "{said:?}");
        assert!(said[0].contains(": 4 lines of ") && said[0].contains("say so, from "), "{said:?}");
    }

    #[tokio::test]
    async fn a_log_with_another_key_is_found_out() {
        let (mut one, two) = two().await;
        std::fs::remove_file(one.folder.path().join("audit-signing.key")).unwrap();
        rewrite(&mut one, 40).await;
        let said = check(&[&one, &two]).unwrap_err();
        assert!(said.len() == 1 && said[0].contains("that its key did not sign"), "{said:?}");
    }

    #[tokio::test]
    async fn two_copies_of_one_log_are_not_two_logs() {
        let (one, two) = two().await;
        let said = check(&[&one, &two, &one]).unwrap_err();
        assert!(said.len() == 1 && said[0].contains("is a second copy"), "{said:?}");
    }
}
