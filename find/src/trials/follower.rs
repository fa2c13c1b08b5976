//! Following a log that grows.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::answers::{check, deadline, reader};
use super::paper::{self, Act, Folder};
use super::scan;
use crate::shelf::CONTENTS;
use crate::{FindProblem, Index, Question};

pub(super) fn wait_until(is_so: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_so() {
        assert!(began.elapsed() < Duration::from_secs(60), "it did not come about");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Many things that happen, the same each time.
pub(super) fn many_acts(count: usize) -> Vec<Act> {
    paper::acts(count..count + 1).new_tree(&mut TestRunner::deterministic()).unwrap().current()
}

#[test]
fn what_is_written_is_found_soon_and_what_is_open_is_replaced_when_it_closes() {
    let folder = Folder::new();
    let lines = paper::lines(&many_acts(300));
    let index = Index::open(&folder.index()).unwrap();
    folder.append(&lines[..200]);
    let follower = index.follow(reader(&folder)).unwrap();
    for end in [200, 201, 320, lines.len()] {
        folder.append(&lines[(index.lag().seq as usize).max(200).min(end)..end]);
        wait_until(|| index.lag().seq == end as u64);
        wait_until(|| index.stories() == scan::stories(&lines[..end]).len() as u64);
        check(&index, &Question { limit: 1_000, ..Question::default() }, &lines[..end]);
    }
    assert_eq!((index.lag().behind, index.trouble()), (0, None));
    // Built anew on demand, while it is followed.
    Index::ask_to_build_anew(&folder.index()).unwrap();
    wait_until(|| !index.core().is_asked_to_begin_anew());
    wait_until(|| index.stories() == scan::stories(&lines).len() as u64);
    check(&index, &Question { limit: 1_000, ..Question::default() }, &lines);
    assert!(matches!(index.rebuild(&reader(&folder), |_, _| {}), Err(FindProblem::InUse { .. })));
    drop(follower);
    index.rebuild(&reader(&folder), |_, _| {}).unwrap();
}

#[test]
fn an_index_of_another_log_or_version_or_damaged_is_built_anew() {
    let (folder, other) = (Folder::new(), Folder::new());
    let lines = paper::lines(&many_acts(60));
    folder.append(&lines);
    let others = paper::lines(&many_acts(90)[30..]);
    other.append(&others);
    let index = Index::open(&folder.index()).unwrap();
    index.rebuild(&reader(&folder), |_, _| {}).unwrap();
    let all = |lines: &[String]| scan::stories(lines).len() as u64;
    let follower = index.follow(reader(&other)).unwrap();
    wait_until(|| index.lag().seq == others.len() as u64 && index.stories() == all(&others));
    check(&index, &Question { limit: 1_000, ..Question::default() }, &others);
    drop((follower, index));
    for file in [CONTENTS, "meta.json"] {
        std::fs::write(folder.index().join(file), "{}").unwrap();
        assert!(matches!(Index::open_existing(&folder.index()), Err(FindProblem::Damaged { .. })));
        let _removed = std::fs::remove_file(folder.index().join(CONTENTS));
    }
    let index = Index::open(&folder.index()).unwrap();
    assert_eq!(index.ask(&Question::default(), &deadline()).unwrap().total, 0);
    index.rebuild(&reader(&folder), |_, _| {}).unwrap();
    check(&index, &Question { limit: 1_000, ..Question::default() }, &lines);
}

#[test]
fn what_the_log_deleted_by_age_leaves_the_index() {
    let folder = Folder::new();
    let lines = paper::lines(&many_acts(120));
    let half = lines.len() / 2;
    folder.append(&lines[..half]);
    folder.append_segment(half, &lines[half..]);
    let index = Index::open(&folder.index()).unwrap();
    index.rebuild(&reader(&folder), |_, _| {}).unwrap();
    let newer = scan::stories(&lines).iter().filter(|story| story.begin.seq >= half as u64).count() as u64;
    assert!(newer < index.stories());
    folder.delete_first_segment();
    let follower = index.follow(reader(&folder)).unwrap();
    wait_until(|| index.stories() == newer);
    drop(follower);
    // Nor does it come back.
    let again = Index::open(&folder.index()).unwrap();
    assert_eq!(again.stories(), newer);
    let left = scan::stories(&lines).into_iter().filter(|story| story.begin.seq >= half as u64);
    let expected = scan::find(&Question::default(), &left.collect::<Vec<_>>());
    let found = again.ask(&Question { limit: 1_000, ..Question::default() }, &deadline()).unwrap();
    assert_eq!(found.seqs, expected);
}

fn sheet_files(folder: &Folder) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder.index()).unwrap().map(|file| file.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == "sheet")).collect()
}

#[test]
fn names_of_what_the_log_deleted_stand_in_no_file_of_the_index() {
    let folder = Folder::new();
    let begin = |seq: usize, patient: &str| {
        format!(r#"{{"v":1,"seq":{seq},"ts":"2026-11-22T01:02:03.000004Z","ev":"signed-in","login":"{patient}"}}"#)
    };
    folder.append(&[begin(0, "first-to-go"), begin(1, "second-to-go")]);
    folder.append_segment(2, &[begin(2, "one-who-stays")]);
    let index = Index::open(&folder.index()).unwrap();
    index.rebuild(&reader(&folder), |_, _| {}).unwrap();
    let stands = |name: &str| {
        sheet_files(&folder).iter().any(|file| String::from_utf8_lossy(&std::fs::read(file).unwrap()).contains(name))
    };
    assert!(stands("first-to-go") && stands("one-who-stays"));
    folder.delete_first_segment();
    let follower = index.follow(reader(&folder)).unwrap();
    wait_until(|| index.stories() == 1 && !stands("to-go"));
    assert!(stands("one-who-stays"));
    drop(follower);
    assert_eq!(Index::open_existing(&folder.index()).unwrap().stories(), 1);
}

#[test]
fn another_writer_waits_its_turn_and_goes_on_from_what_the_first_put_down() {
    let folder = Folder::new();
    let lines = paper::lines(&many_acts(60));
    folder.append(&lines);
    let (first, second) = (Index::open(&folder.index()).unwrap(), Index::open(&folder.index()).unwrap());
    let following = first.follow(reader(&folder)).unwrap();
    let all = scan::stories(&lines).len() as u64;
    wait_until(|| first.lag().seq == lines.len() as u64 && first.stories() == all);
    // Who asks from outside is told how far the writer is, and finds the same in the log.
    wait_until(|| Index::open_existing(&folder.index()).unwrap().lag().seq == lines.len() as u64);
    let outside = Index::open_existing(&folder.index()).unwrap();
    outside.look_ahead(&reader(&folder)).unwrap();
    assert_eq!(outside.lag().seq, lines.len() as u64);
    let next = second.follow(reader(&folder)).unwrap();
    wait_until(|| second.trouble().is_some_and(|trouble| trouble.contains("another process writes")));
    drop(following);
    wait_until(|| second.trouble().is_none() && second.stories() == all);
    check(&second, &Question { limit: 1_000, ..Question::default() }, &lines);
    drop(next);
}

#[test]
fn an_index_is_for_its_user_alone_and_has_no_files_of_another_version() {
    let folder = Folder::new();
    folder.append(&paper::lines(&many_acts(60)));
    let index = Index::open(&folder.index()).unwrap();
    // An older version was here meanwhile.
    for former in ["meta.json", "0a1b.idx"] {
        std::fs::write(folder.index().join(former), "00000007").unwrap();
    }
    // What is not the index's is left alone.
    let others = folder.index().join("checkpoint");
    std::fs::write(&others, "").unwrap();
    index.rebuild(&reader(&folder), |_, _| {}).unwrap();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder.index()), 0o700);
    std::fs::remove_file(&others).unwrap();
    for file in std::fs::read_dir(folder.index()).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path), 0o600, "{}", path.display());
        assert!(!path.ends_with("meta.json") && !path.ends_with("0a1b.idx"), "{}", path.display());
    }
}

#[test]
fn an_index_whose_contents_are_gone_or_wrong_under_its_writer_is_built_anew_by_it() {
    let folder = Folder::new();
    let lines = paper::lines(&many_acts(60));
    folder.append(&lines);
    let index = Index::open(&folder.index()).unwrap();
    let all = scan::stories(&lines).len() as u64;
    for spoilt in [None, Some("{}")] {
        index.rebuild(&reader(&folder), |_, _| {}).unwrap();
        let place = folder.index().join(CONTENTS);
        match spoilt {
            Some(text) => std::fs::write(&place, text).unwrap(),
            None => std::fs::remove_file(&place).unwrap(),
        }
        assert!(Index::open_existing(&folder.index()).is_err());
        let before = index.core().shelf();
        let follower = index.follow(reader(&folder)).unwrap();
        wait_until(|| Index::open_existing(&folder.index()).is_ok());
        wait_until(|| !Arc::ptr_eq(&before, &index.core().shelf()));
        wait_until(|| index.lag().seq == lines.len() as u64 && index.stories() == all);
        drop(follower);
        check(&index, &Question::default(), &lines);
    }
}

#[test]
fn damage_behind_the_index_neither_stops_it_nor_keeps_it_from_being_built_anew() {
    let folder = Folder::new();
    let lines = paper::lines(&many_acts(300));
    let half = lines.len() / 2;
    folder.append(&lines[..half]);
    folder.append_segment(half, &lines[half..=half]);
    let index = Index::open(&folder.index()).unwrap();
    index.rebuild(&reader(&folder), |_, _| {}).unwrap();
    folder.damage_first_segment();
    folder.append_segment(half, &lines[half + 1..]);
    // Accesses that it has as open close, and their opening lines cannot be read.
    let all = scan::stories(&lines).len() as u64;
    let half = half as u64;
    let over = scan::stories(&lines)
        .into_iter()
        .find(|story| story.begin.seq < half && story.end.as_ref().is_some_and(|end| end.seq > half));
    assert!(over.is_some());
    let follower = index.follow(reader(&folder)).unwrap();
    wait_until(|| index.lag().seq == lines.len() as u64 && index.stories() == all);
    assert_eq!(index.trouble(), None);
    drop(follower);
    index.rebuild(&reader(&folder), |_, _| {}).unwrap();
    assert!((1..all).contains(&index.stories()), "what can be read is findable");
}

#[test]
fn an_index_that_ended_in_what_is_damaged_now_goes_on_behind_it() {
    let folder = Folder::new();
    let lines = paper::lines(&many_acts(100));
    let half = lines.len() / 2;
    folder.append(&lines[..half]);
    let index = Index::open(&folder.index()).unwrap();
    index.rebuild(&reader(&folder), |_, _| {}).unwrap();
    folder.damage_first_segment();
    folder.append_segment(half, &lines[half..]);
    let follower = index.follow(reader(&folder)).unwrap();
    wait_until(|| index.lag().seq == lines.len() as u64);
    assert_eq!(index.trouble(), None);
    drop(follower);
}
