//! Whatever ends the follower, at whatever line: the next one goes on, nothing is missing and nothing is there twice.

use std::process::{Command, Stdio};
use std::time::Duration;

use audit::Reader;
use proptest::prelude::*;

use super::answers::{check, deadline, reader};
use super::follower::many_acts;
use super::paper::{self, Folder};
use crate::fields::Column;
use crate::index::Index;
use crate::pen::Pen;
use crate::{Order, Question};

const CHILD_LOG: &str = "SEKIMORI_FIND_CHILD_LOG";
const CHILD_INDEX: &str = "SEKIMORI_FIND_CHILD_INDEX";

/// Everything, on pages of ten.
fn everything() -> Question {
    Question { order: Order::Oldest, limit: 10, ..Question::default() }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn what_was_in_the_draft_is_written_again(
        acts in paper::acts(1..80),
        lives in prop::collection::vec((0_usize..40, any::<bool>(), 0_usize..20), 1..6),
    ) {
        let folder = Folder::new();
        let lines = paper::lines(&acts);
        folder.append(&lines);
        let (index, log) = (Index::open(&folder.index()).unwrap(), reader(&folder));
        for (before, seals, after) in lives {
            let mut pen = Pen::take_up(index.core(), &log).unwrap();
            write(&mut pen, &log, before);
            if seals {
                pen.seal().unwrap();
            }
            write(&mut pen, &log, after);
        }
        let mut pen = Pen::take_up(index.core(), &log).unwrap();
        write(&mut pen, &log, usize::MAX);
        // Who asks from outside finds the same meanwhile.
        let outside = Index::open_existing(&folder.index()).unwrap();
        outside.look_ahead(&log).unwrap();
        // What is open and only just began is shown in a moment; here it is long ago by the log's own clock.
        pen.show_all().unwrap();
        for index in [&index, &outside] {
            check(index, &everything(), &lines);
        }
        pen.put_down().unwrap();
        check(&Index::open_existing(&folder.index()).unwrap(), &everything(), &lines);
    }
}

#[test]
fn who_reads_in_files_that_are_put_together_meanwhile_goes_on() {
    let folder = Folder::new();
    folder.append(&paper::lines(&many_acts(40)));
    let (index, log) = (Index::open(&folder.index()).unwrap(), reader(&folder));
    let mut pen = Pen::take_up(index.core(), &log).unwrap();
    write(&mut pen, &log, 10);
    pen.seal().unwrap();
    let before = index.core().shelf();
    let outside = Index::open_existing(&folder.index()).unwrap();
    let all = outside.ask(&everything(), &deadline()).unwrap();
    write(&mut pen, &log, 40);
    pen.seal().unwrap();
    assert!(!before.sheets.is_empty() && before.sheets.iter().all(|shelved| !shelved.sheet.path().exists()));
    for shelved in &before.sheets {
        shelved.sheet.column(Column::At).unwrap();
    }
    assert_eq!(outside.ask(&everything(), &deadline()).unwrap(), all);
}

fn write(pen: &mut Pen<'_>, log: &Reader, count: usize) {
    let mut lines = log.from(pen.next());
    for _ in 0..count {
        let Some(line) = lines.next().unwrap() else { return };
        pen.take(line.seq, line.text, log).unwrap();
    }
}

/// Not a test: the child of the one below. It follows the log until it is killed.
#[test]
#[ignore = "run by `killed_at_any_moment_it_goes_on` as its child"]
fn child_follows_until_it_is_killed() {
    let (Ok(log), Ok(dir)) = (std::env::var(CHILD_LOG), std::env::var(CHILD_INDEX)) else { return };
    let index = Index::open(dir.as_ref()).unwrap();
    let _follower = index.follow(std::path::Path::new(&log).into()).unwrap();
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn killed_at_any_moment_it_goes_on() {
    let folder = Folder::new();
    let acts = super::follower::many_acts(4_000);
    let lines = paper::lines(&acts);
    for (round, part) in (0_u64..).zip(lines.chunks(lines.len().div_ceil(5))) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "trials::crash::child_follows_until_it_is_killed", "--ignored"])
            .env(CHILD_LOG, folder.log())
            .env(CHILD_INDEX, folder.index())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        folder.append(part);
        std::thread::sleep(Duration::from_millis(900 + 170 * round));
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let index = Index::open(&folder.index()).unwrap();
    let follower = index.follow(reader(&folder)).unwrap();
    super::follower::wait_until(|| index.lag().seq == lines.len() as u64);
    // Whatever is open for two seconds is shown.
    super::follower::wait_until(|| {
        let all = crate::trials::scan::stories(&lines).len() as u64;
        index.stories() == all
    });
    drop(follower);
    for index in [index, Index::open_existing(&folder.index()).unwrap()] {
        check(&index, &Question { limit: 500, ..everything() }, &lines);
    }
}
