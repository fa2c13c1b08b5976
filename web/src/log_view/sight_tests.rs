//! Logs of several nodes on one page: who asks is told what all of them hold, within their departments, and whom they
//! lack.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use audit::Reader;
use find::{By, Index, Order, Question};
use policy::{Reads, Timestamp, Unit};

use super::{Heard, LogPeers, LogTrouble, LogView, Sight, Turn};

struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.0));
    }
}

/// A log with these lines: second, and the rest.
fn log(name: &str, lines: &[(u64, String)]) -> (Folder, LogView) {
    let folder = Folder(std::env::temp_dir().join(format!("sekimori-together-{name}-{}", std::process::id())));
    let log = folder.0.join("log");
    std::fs::create_dir_all(log.join("segments")).unwrap();
    let line = |(seq, (second, rest)): (usize, &(u64, String))| {
        format!("{{\"v\":1,\"seq\":{seq},\"ts\":\"2026-11-22T01:00:{second:02}.000000Z\",{rest}}}\n")
    };
    let text: String = lines.iter().enumerate().map(line).collect();
    std::fs::write(log.join("segments").join(format!("{:020}.jsonl", 0)), text).unwrap();
    let index = Index::open(&folder.0.join("index")).unwrap();
    let reader: Reader = log.as_path().into();
    index.rebuild(&reader, |_, _| {}).unwrap();
    (folder, LogView::new(Some((index, log.as_path().into()))))
}

fn access(login: &str, unit: &str) -> String {
    let id = login.bytes().fold(0_u64, |id, byte| id * 31 + u64::from(byte));
    format!(
        r#""ev":"open","id":"01935f1c-0000-7000-8000-{id:012x}","app":"emr","sub":"u-{login}","login":"{login}","unit":"{unit}""#
    )
}

fn event(device: &str, number: u64) -> String {
    format!(r#""ev":"device-added","actor":"cli:a","dev":"{device}","sn":{number}"#)
}

/// What another node does when it is asked.
#[derive(Debug)]
enum Manner {
    Answers(Arc<LogView>),
    /// The same, but each answer comes so late.
    AnswersLate(Arc<LogView>, Duration),
    /// It takes the question, and says nothing.
    Leaves,
    Says(&'static str),
}

#[derive(Debug)]
struct Way {
    manner: Manner,
    asked: Mutex<Vec<String>>,
}

impl LogPeers for Way {
    fn ask(&self, node: &str, question: Vec<u8>) -> Receiver<Vec<u8>> {
        self.asked.lock().unwrap().push(node.to_owned());
        let (answer, receiver) = channel();
        match &self.manner {
            Manner::Answers(log) => answer.send(log.answer(&question)).unwrap(),
            Manner::AnswersLate(log, late) => {
                let (log, late) = (Arc::clone(log), *late);
                std::thread::spawn(move || {
                    std::thread::sleep(late);
                    // Nobody may wait any more.
                    drop(answer.send(log.answer(&question)));
                });
            }
            Manner::Leaves => {}
            Manner::Says(text) => answer.send(text.as_bytes().to_vec()).unwrap(),
        }
        receiver
    }
}

fn names() -> Vec<Arc<str>> {
    vec![Arc::from("gw01"), Arc::from("gw02")]
}

/// Two nodes; the first asks the second.
struct Pair {
    one: Arc<LogView>,
    way: Arc<Way>,
    heard: Heard,
    _folders: Vec<Folder>,
}

impl Pair {
    fn new(name: &str, manner: impl FnOnce(Arc<LogView>) -> Manner) -> Self {
        let one = [(1, access("sato", "3F")), (9, event("d1", 7)), (20, access("kato", "ER"))];
        let two = [(5, access("sato", "3F")), (9, event("d1", 7)), (30, access("ueda", "ER"))];
        let (first, one) = log(&format!("{name}-1"), &one);
        let (second, two) = log(&format!("{name}-2"), &two);
        let two = Arc::new(two.among(names(), "gw02", None));
        let way = Arc::new(Way { manner: manner(two), asked: Mutex::default() });
        let one = Arc::new(one.among(names(), "gw01", Some(Arc::clone(&way) as _)));
        Self { one, way, heard: Heard::default(), _folders: vec![first, second] }
    }

    fn sight(&self, reads: Reads) -> Sight {
        Sight::new(Arc::clone(&self.one), reads).heard_by(&self.heard)
    }

    fn all(&self) -> Sight {
        self.sight(Reads::Everything)
    }

    /// Node and line of everything that a question asks for, and the nodes that are missing.
    fn found(&self, sight: &Sight, question: &Question) -> (Vec<String>, u64, Vec<String>) {
        let found = sight.stories(question).unwrap();
        let named = found.records.iter().map(|one| format!("{}:{}", one.node.as_deref().unwrap_or("-"), one.seq));
        (named.collect(), found.total, self.heard.missing().into_iter().collect())
    }
}

fn everything() -> Question {
    Question { order: Order::Oldest, ..Question::new(Timestamp::from_unix_micros(0), Timestamp::MAX) }
}

fn both(name: &str) -> Pair {
    Pair::new(name, Manner::Answers)
}

#[test]
fn the_stories_of_both_logs_stand_together_and_what_happened_in_the_store_once() {
    let pair = both("stories");
    let (found, total, missing) = pair.found(&pair.all(), &everything());
    assert_eq!(found, ["gw01:0", "gw02:0", "gw01:1", "gw01:2", "gw02:2"]);
    assert_eq!((total, missing.len()), (5, 0));
    let bars = pair.all().count(&everything(), By::Person, 9).unwrap();
    let told: Vec<_> = bars.iter().map(|bar| (bar.key.as_str(), bar.count)).collect();
    assert!(told.contains(&("sato", 2)) && told.contains(&("kato", 1)) && told.contains(&("ueda", 1)), "{told:?}");
    let devices = Question { event: Some("device-added".to_owned()), ..everything() };
    assert_eq!(pair.all().total(&devices).unwrap(), 1, "one device, whatever number of nodes tells of it");
    assert_eq!(pair.all().total(&everything()).unwrap(), 5);
    assert!(pair.heard.is_together());
}

#[test]
fn pages_go_on_where_they_ended_in_each_log() {
    let pair = both("pages");
    let (mut turn, mut seen) = (Turn::default(), Vec::new());
    loop {
        let question = Question { limit: 2, ..everything() };
        let found = pair.all().stories_from(&question, &turn).unwrap();
        seen.extend(found.records.iter().map(|one| format!("{}:{}", one.node.as_deref().unwrap(), one.seq)));
        match found.next {
            // As a link carries it.
            Some(next) => turn = Turn::parse(&next.to_string()).unwrap(),
            None => break,
        }
        assert!(seen.len() < 20, "{seen:?}");
    }
    for one in ["gw01:0", "gw02:0", "gw01:2", "gw02:2"] {
        assert_eq!(seen.iter().filter(|seen| *seen == one).count(), 1, "{one}: {seen:?}");
    }
}

#[test]
fn whoever_is_kept_to_a_department_is_told_nothing_else_by_another_node() {
    let pair = both("scope");
    let reader = || pair.sight(Reads::Units(vec![Unit::parse("3F").unwrap()]));
    let (found, total, _) = pair.found(&reader(), &everything());
    assert_eq!((found, total), (vec!["gw01:0".to_owned(), "gw02:0".to_owned()], 2));
    assert_eq!(reader().total(&everything()).unwrap(), 2);
    assert!(reader().record_at(Some("gw02"), 0).unwrap().is_some());
    assert!(reader().record_at(Some("gw02"), 2).unwrap().is_none(), "it is of another department");
    assert_eq!(reader().records_at(Some("gw02"), &[0, 2]).unwrap().iter().filter(|one| one.is_some()).count(), 1);
    let nobody = pair.sight(Reads::Nothing);
    assert_eq!(nobody.total(&everything()).unwrap(), 0);
}

#[test]
fn a_node_that_tells_what_was_not_asked_for_is_not_believed() {
    let line =
        r#"{\"v\":1,\"seq\":2,\"ts\":\"2026-11-22T01:00:30.000000Z\",\"ev\":\"open\",\"id\":\"x\",\"unit\":\"ER\"}"#;
    let told = format!(
        r#"{{"v":1,"said":{{"stories":{{"records":[{{"seq":2,"begin":"{line}","end":null,"damage":null}}],"total":{{"own":1,"shared":0}},"next":null}}}}}}"#
    );
    let told: &'static str = Box::leak(told.into_boxed_str());
    let pair = Pair::new("lies", |_| Manner::Says(told));
    let (found, _, missing) = pair.found(&pair.all(), &everything());
    assert!(found.contains(&"gw02:2".to_owned()) && missing.is_empty(), "who sees the whole sees it: {found:?}");
    let reader = pair.sight(Reads::Units(vec![Unit::parse("3F").unwrap()]));
    let (found, _, missing) = pair.found(&reader, &everything());
    assert_eq!((found, missing), (vec!["gw01:0".to_owned()], vec!["gw02".to_owned()]));
}

#[test]
fn who_does_not_answer_or_answers_something_else_is_named_and_asked_once_for_a_page() {
    let texts = [
        "",
        "{}",
        r#"{"v":2,"said":{"follows":true}}"#,
        r#"{"v":1,"said":{"follows":true}}"#,
        r#"{"v":1,"said":{"trouble":"failed"}}"#,
    ];
    let manners = texts.iter().map(|text| Manner::Says(text)).chain([Manner::Leaves]);
    for (number, manner) in manners.enumerate() {
        let pair = Pair::new(&format!("silent-{number}"), |_| manner);
        let (found, total, missing) = pair.found(&pair.all(), &everything());
        assert_eq!((found.len(), total, missing), (3, 3, vec!["gw02".to_owned()]), "{number}");
        pair.all().count(&everything(), By::App, 9).unwrap();
        assert!(!pair.all().follows(std::time::Duration::ZERO), "the page is not whole");
        assert_eq!(pair.way.asked.lock().unwrap().len(), 1, "{number}");
        assert_eq!(pair.all().record_at(Some("gw02"), 0).err(), Some(LogTrouble::Away), "{number}");
    }
}

#[test]
fn what_began_without_a_node_goes_on_without_it() {
    let pair = Pair::new("gone", |_| Manner::Leaves);
    let question = Question { limit: 2, ..everything() };
    let next = pair.all().stories(&question).unwrap().next.unwrap();
    let back = both("back");
    let found = back.all().stories_from(&question, &next).unwrap();
    let of_two = found.records.iter().filter(|one| one.node.as_deref() == Some("gw02")).count();
    assert_eq!((of_two, back.heard.missing().len()), (0, 1), "its first stories would stand in the wrong place");
    assert!(back.way.asked.lock().unwrap().is_empty());
}

#[test]
fn a_record_is_of_the_node_that_is_named_whichever_shows_it() {
    let pair = both("record");
    let seq = |node| pair.all().record_at(node, 2).unwrap()?.record.story?.begin.login;
    assert_eq!(seq(Some("gw01")).as_deref(), Some("kato"));
    assert_eq!(seq(Some("gw02")).as_deref(), Some("ueda"));
    assert_eq!(seq(None).as_deref(), Some("kato"));
    assert_eq!(seq(Some("gw03")), None);
    let written = pair.all().record_at(Some("gw02"), 2).unwrap().unwrap();
    assert!(String::from_utf8_lossy(&written.lines[0]).contains("ueda"), "the line as it was written");
    assert!(pair.heard.is_of_one());
}

#[test]
fn one_log_alone_asks_nobody() {
    let pair = both("alone");
    let (found, total, missing) = pair.found(&pair.all().alone(), &everything());
    assert_eq!((found.len(), total, missing.len()), (3, 3, 0));
    assert!(pair.way.asked.lock().unwrap().is_empty() && !pair.heard.is_together());
}

#[test]
fn nodes_that_do_not_ask_each_other_are_missing() {
    let pair = both("no-way");
    let (_folder, log) = log("no-way", &[(1, access("sato", "3F"))]);
    let log = Arc::new(log.among(names(), "gw02", None));
    let sight = Sight::new(log, Reads::Everything).heard_by(&pair.heard);
    let (found, _, missing) = pair.found(&sight, &everything());
    assert_eq!((found, missing), (vec!["gw02:0".to_owned()], vec!["gw01".to_owned()]));
}

#[test]
fn a_node_that_answers_each_question_late_is_asked_no_more_once_the_page_has_waited_long_enough() {
    let pair = Pair::new("late", |two| Manner::AnswersLate(two, Duration::from_millis(2_500)));
    for _ in 0..20 {
        pair.all().total(&everything()).unwrap();
    }
    assert_eq!(pair.heard.missing().into_iter().collect::<Vec<_>>(), ["gw02"]);
    assert!(pair.way.asked.lock().unwrap().len() <= 3, "2.5 s each, and 6 s in all");
}
