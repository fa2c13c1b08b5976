//! What is to be sent next, read from the log: the log itself is the spool, however long a receiver is away. Reading and
//! rendering block, and are for a thread of their own.

use std::sync::Arc;

use audit::{Entry, Lines, LogProblem, Reader, Story};
use config::{Audit, FeedFormat};
use evidence::{dicom, fhir};
use policy::Timestamp;

use crate::feed::choice;
use crate::feed::message::{Bom, Message};
use crate::feed::receiver::Receiver;
use crate::feed::stories::Stories;
use crate::feed::window::Position;

/// Lines read for one batch.
const LINES_MAX: u64 = 2_048;
/// A batch takes no further line once it has so many bytes.
const BYTES_MAX: usize = 256 * 1024;
/// How often a damaged place may be met without getting on.
const DAMAGES_MAX: usize = 64;
/// What a DICOM audit message calls itself (PS3.15 A.7).
const DICOM_KIND: &str = "DICOM+RFC3881";
/// What a FHIR AuditEvent calls itself. No standard has a word for one in a syslog message.
const FHIR_KIND: &str = "FHIR+AuditEvent";

/// Reads the log for one feed.
#[derive(Debug)]
pub struct Spool {
    lines: Lines,
    /// Accesses that the position had open and whose opening lines are damaged now: not told of, and not said yet.
    lost: Vec<u64>,
    teller: Teller,
}

/// Makes messages of lines.
#[derive(Debug)]
struct Teller {
    receiver: Arc<Receiver>,
    stories: Stories,
}

/// What is sent at once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Batch {
    /// Messages in their frames; may be none.
    pub bytes: Vec<u8>,
    /// How many.
    pub messages: u64,
    /// Lines that are damaged, or whose message is longer than the receiver takes.
    pub left_out: Vec<u64>,
    /// Accesses that were begun before and cannot be told of: their opening lines are damaged.
    pub lost: Vec<u64>,
    /// Where the log goes on.
    pub position: Position,
    /// When the first of its lines was written.
    pub oldest: Option<Timestamp>,
}

impl Spool {
    /// A spool that goes on at a position. An access whose opening line is damaged is left out.
    ///
    /// # Errors
    /// [`LogProblem`] where the log cannot be read.
    pub fn at(position: &Position, receiver: Arc<Receiver>, log: &Audit) -> Result<Self, LogProblem> {
        let reader: Reader = log.into();
        let (mut stories, mut lost) = (Stories::new(), Vec::new());
        for seq in position.open.iter() {
            let line = match reader.line(*seq) {
                Ok(line) => line,
                Err(LogProblem::Damaged { .. }) => None,
                Err(problem) => return Err(problem),
            };
            match line.and_then(|line| Entry::read(&line)) {
                // It is open, so there is nothing to tell yet.
                Some(entry) => drop(stories.take(entry)),
                None => lost.push(*seq),
            }
        }
        Ok(Self { lines: reader.from(position.next), lost, teller: Teller { receiver, stories } })
    }

    /// Takes what is to be sent next from the lines before `end`; nothing where all of them were taken. Damaged lines
    /// are passed over.
    ///
    /// # Errors
    /// [`LogProblem`] where the log cannot be read; this spool is not to be asked again then.
    pub fn take(&mut self, end: u64) -> Result<Option<Batch>, LogProblem> {
        let mut batch = Batch { lost: std::mem::take(&mut self.lost), ..Batch::default() };
        let begin = self.lines.place();
        let mut damages = 0;
        while self.lines.place() < end && self.lines.place() - begin < LINES_MAX && batch.bytes.len() < BYTES_MAX {
            let place = self.lines.place();
            match self.lines.next() {
                Ok(Some(line)) => self.teller.tell(line.seq, line.text, &mut batch),
                Ok(None) => break,
                Err(LogProblem::Damaged { .. }) if damages < DAMAGES_MAX => {
                    damages += 1;
                    batch.left_out.push(place);
                }
                // What was got on with is kept; the next batch goes on behind it.
                Err(LogProblem::Damaged { .. }) if place > begin => {
                    batch.left_out.push(place);
                    break;
                }
                Err(problem) => return Err(problem),
            }
        }
        if self.lines.place() == begin {
            self.lost = batch.lost;
            return Ok(None);
        }
        batch.position = Position { next: self.lines.place(), open: self.teller.stories.lines() };
        Ok(Some(batch))
    }
}

impl Teller {
    fn tell(&mut self, seq: u64, line: &[u8], batch: &mut Batch) {
        let Some(entry) = Entry::read(line) else {
            batch.left_out.push(seq);
            return;
        };
        batch.oldest = batch.oldest.or(Some(entry.at));
        match self.receiver.feed.format {
            FeedFormat::Json => self.tell_line(&entry, line, batch),
            FeedFormat::DicomXml | FeedFormat::Fhir => {
                if let Some(story) = self.stories.take(entry) {
                    self.tell_story(seq, &story, batch);
                }
            }
        }
    }

    fn tell_line(&self, entry: &Entry, text: &[u8], batch: &mut Batch) {
        if self.is_wanted(entry) {
            let severity = choice::severity_of_line(entry);
            self.add(
                entry.seq,
                &Message { severity, at: entry.at, kind: entry.kind.code(), bom: Bom::No, text },
                batch,
            );
        }
    }

    fn tell_story(&self, seq: u64, story: &Story, batch: &mut Batch) {
        if !self.is_wanted(&story.begin) {
            return;
        }
        let severity = choice::severity(story);
        let at = story.end.as_ref().map_or(story.begin.at, |end| end.at);
        let source = &self.receiver.source;
        let (kind, bom, texts) = match self.receiver.feed.format {
            FeedFormat::DicomXml => (DICOM_KIND, Bom::Yes, dicom::messages(story, source)),
            FeedFormat::Fhir => {
                let events = fhir::events(story, source).iter().map(ToString::to_string).collect();
                (FHIR_KIND, Bom::No, events)
            }
            // Lines are told one by one, as they are.
            FeedFormat::Json => return,
        };
        for text in texts {
            self.add(seq, &Message { severity, at, kind, bom, text: text.as_bytes() }, batch);
        }
    }

    fn is_wanted(&self, entry: &Entry) -> bool {
        self.receiver.feed.events.contains(&choice::kind(entry))
    }

    fn add(&self, seq: u64, message: &Message<'_>, batch: &mut Batch) {
        let framed = self.receiver.speaker.frame(message, self.receiver.feed.message_bytes_max, &mut batch.bytes);
        match framed {
            Ok(()) => batch.messages += 1,
            Err(_too_long) => batch.left_out.push(seq),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::testing::House;

    fn line(event: &str, request: &str, path: &str) -> String {
        format!("\"ev\":\"{event}\",\"id\":\"{request}\",\"m\":\"GET\",\"act\":\"read\",\"path\":\"{path}\"")
    }

    fn house(more: &str, lines: &[String]) -> House {
        let house = House::with_feed(6514, more);
        house.write_log(lines);
        house
    }

    fn spool(house: &House, position: &Position) -> Spool {
        Spool::at(position, Arc::clone(&house.receiver), &house.config.audit).unwrap()
    }

    /// A log of two files, the first of which is an archived one that cannot be read.
    fn damage(house: &House, first: usize, lines: &[String]) {
        house.write_log(lines);
        let folder = house.config.audit.directory.join("segments");
        let whole = folder.join(format!("{:020}.jsonl", 0));
        let text = std::fs::read_to_string(&whole).unwrap();
        let rest: String = text.split_inclusive('\n').skip(first).collect();
        std::fs::write(folder.join(format!("{first:020}.jsonl")), rest).unwrap();
        std::fs::write(whole.with_extension("archive"), "this is no archive").unwrap();
        std::fs::remove_file(whole).unwrap();
    }

    #[test]
    fn an_access_whose_beginning_is_damaged_is_left_out_and_said_once() {
        let lines =
            [line("open", "a", "/a"), line("open", "b", "/b"), line("close", "a", "/a"), line("refused", "c", "/c")];
        let house = house("format = \"dicom-xml\"", &lines);
        damage(&house, 1, &lines);
        let position = Position { next: 2, open: Arc::from([0, 1]) };
        let mut spool = spool(&house, &position);
        assert_eq!(spool.take(2).unwrap(), None, "said with what is sent next");
        let batch = spool.take(4).unwrap().unwrap();
        assert_eq!((batch.messages, &batch.lost[..], &batch.position.open[..]), (1, &[0][..], &[1][..]));
    }

    #[test]
    fn very_many_damaged_lines_are_got_over_batch_by_batch() {
        let lines: Vec<String> = (0..1_000).map(|n| line("refused", &format!("r{n}"), "/a")).collect();
        let house = house("format = \"json\"", &lines);
        let file = house.config.audit.directory.join("segments").join(format!("{:020}.jsonl", 0));
        let text = std::fs::read_to_string(&file).unwrap();
        // Every other line of a long stretch.
        let worse = |(n, line): (usize, &str)| {
            if (100..500).contains(&n) && n % 2 == 0 {
                line.replacen("{\"v\":1", "{\"w\":1", 1).replacen("\"seq\"", "\"sequ\"", 1)
            } else {
                line.to_owned()
            }
        };
        std::fs::write(&file, text.split_inclusive('\n').enumerate().map(worse).collect::<String>()).unwrap();
        let mut spool = spool(&house, &Position::default());
        let (mut messages, mut left_out) = (0, 0);
        while let Some(batch) = spool.take(1_000).unwrap() {
            messages += batch.messages;
            left_out += batch.left_out.len();
        }
        assert_eq!((messages, left_out), (800, 200));
    }

    fn text(batch: &Batch) -> String {
        String::from_utf8(batch.bytes.clone()).unwrap()
    }

    #[test]
    fn every_line_before_the_end_is_taken_once_and_no_other() {
        let lines: Vec<String> = (0..5_000).map(|n| line("refused", &format!("r{n}"), "/a")).collect();
        let house = house("format = \"json\"", &lines);
        let mut spool = spool(&house, &Position::default());
        let (mut messages, mut told) = (0, String::new());
        while let Some(batch) = spool.take(4_990).unwrap() {
            assert!(batch.bytes.len() <= BYTES_MAX + 64 * 1024 && batch.left_out.is_empty());
            messages += batch.messages;
            told.push_str(&text(&batch));
        }
        assert_eq!(messages, 4_990);
        assert!(told.contains("\"id\":\"r4989\"") && !told.contains("\"id\":\"r4990\""));
        assert_eq!(spool.take(5_000).unwrap().unwrap().messages, 10, "asked again when more is signed");
        assert_eq!(spool.take(5_000).unwrap(), None);
    }

    #[test]
    fn only_what_is_wanted_is_told_and_the_rest_is_passed() {
        let lines = [line("open", "a", "/a"), line("refused", "b", "/b"), line("close", "a", "/a")];
        let house = house("format = \"json\"\nevents = [\"refusals\"]", &lines);
        let batch = spool(&house, &Position::default()).take(3).unwrap().unwrap();
        assert_eq!((batch.messages, batch.position.next), (1, 3));
        assert!(text(&batch).contains(" refused - {"), "{}", text(&batch));
    }

    #[test]
    fn an_access_that_is_still_open_is_part_of_the_position() {
        let lines = [line("open", "a", "/charts/1"), line("open", "b", "/charts/2"), line("close", "b", "/charts/2")];
        let house = house("format = \"dicom-xml\"", &lines);
        let batch = spool(&house, &Position::default()).take(3).unwrap().unwrap();
        assert_eq!((batch.messages, batch.position.next, &batch.position.open[..]), (1, 3, &[0][..]));
        assert!(text(&batch).contains("/charts/2") && !text(&batch).contains("/charts/1"), "{}", text(&batch));
        let more = [&lines[..], &[line("close", "a", "/charts/1")]].concat();
        house.write_log(&more);
        let later = spool(&house, &batch.position).take(4).unwrap().unwrap();
        assert!(
            later.messages == 1 && text(&later).contains("/charts/1"),
            "begun before the restart: {}",
            text(&later)
        );
        assert!(later.position.open.is_empty());
    }

    #[test]
    fn an_access_about_two_patients_is_two_audit_events_in_fhir_and_has_no_byte_order_mark() {
        let begin = line("open", "a", "/fhir/Observation").replace("\"ev\"", "\"pt\":[\"1\",\"2\"],\"ev\"");
        let house = house("format = \"fhir\"", &[begin, line("close", "a", "/fhir/Observation")]);
        let batch = spool(&house, &Position::default()).take(2).unwrap().unwrap();
        assert_eq!(batch.messages, 2);
        assert_eq!(text(&batch).matches(" FHIR+AuditEvent - {").count(), 2, "{}", text(&batch));
        assert_eq!(text(&batch).matches("\"resourceType\":\"AuditEvent\"").count(), 2);
    }

    #[test]
    fn what_is_too_long_or_damaged_is_left_out_and_the_rest_is_told() {
        let lines = [line("refused", "a", "/a"), line("refused", "b", &"/b".repeat(2_000)), line("refused", "c", "/c")];
        let house = house("format = \"json\"\nmessage_max = \"2KiB\"", &lines);
        let batch = spool(&house, &Position::default()).take(3).unwrap().unwrap();
        assert_eq!((batch.messages, &batch.left_out[..]), (2, &[1][..]));
        let file = house.config.audit.directory.join("segments").join(format!("{:020}.jsonl", 0));
        let damaged = std::fs::read_to_string(&file).unwrap().replacen("{\"v\":1,\"seq\":0", "{\"w\":1,\"seqq\":0", 1);
        std::fs::write(&file, damaged).unwrap();
        let mut spool = spool(&house, &Position::default());
        let mut messages = 0;
        while let Some(batch) = spool.take(3).unwrap() {
            messages += batch.messages;
        }
        assert_eq!(messages, 1, "the last one is told whatever lies before it");
    }
}
