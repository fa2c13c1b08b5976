//! Following a log that grows.

use std::time::{Duration, Instant};

use proptest::strategy::{Strategy as _, ValueTree as _};
use proptest::test_runner::TestRunner;

use super::answers::{check, deadline, reader};
use super::paper::{self, Act, Folder};
use super::scan;
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
    index.ask_to_build_anew().unwrap();
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
    std::fs::write(folder.index().join("meta.json"), "{}").unwrap();
    assert!(matches!(Index::open_existing(&folder.index()), Err(FindProblem::Damaged { .. })));
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
