//! Files of the index that are changed under whoever has them open.

use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::answers::{check, deadline, reader};
use super::follower::{many_acts, wait_until};
use super::paper::{self, Folder};
use super::scan;
use crate::{FindProblem, Index, Question};

fn sheets(index: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(index).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.extension().is_some_and(|end| end == "sheet")).collect()
}

/// Changes a byte in the midst of a file.
fn damage(path: &Path) {
    let file = std::fs::File::options().read(true).write(true).open(path).unwrap();
    let (mut byte, middle) = ([0], file.metadata().unwrap().len() / 8);
    file.read_exact_at(&mut byte, middle).unwrap();
    file.write_all_at(&[byte[0] ^ 0x20], middle).unwrap();
}

#[test]
fn a_changed_byte_is_told_and_never_a_wrong_answer_and_the_index_is_built_anew_on_demand() {
    let folder = Folder::new();
    let lines = paper::lines(&many_acts(200));
    folder.append(&lines);
    let index = Index::open(&folder.index()).unwrap();
    index.rebuild(&reader(&folder), |_, _| {}).unwrap();
    let all = index.stories();
    assert!(sheets(&folder.index()).len() > 2);
    sheets(&folder.index()).iter().for_each(|path| damage(path));
    let mut told = 0;
    for by in crate::By::ALL {
        match index.count(&Question::default(), by, 10, &deadline()) {
            Ok(bars) => assert!(bars.iter().map(|bar| bar.count).max().is_none_or(|most| most <= all)),
            Err(FindProblem::Damaged { .. }) => told += 1,
            Err(problem) => panic!("{problem}"),
        }
    }
    assert!(told > 0, "no question came to the changed bytes");
    assert!(index.trouble().is_some_and(|trouble| trouble.contains("index rebuild")), "others would ask in vain");
    let follower = index.follow(reader(&folder)).unwrap();
    Index::ask_to_build_anew(&folder.index()).unwrap();
    wait_until(|| !index.core().is_asked_to_begin_anew() && index.trouble().is_none() && index.stories() == all);
    check(&index, &Question { limit: 1_000, ..Question::default() }, &lines);
    drop(follower);
    check(&Index::open_existing(&folder.index()).unwrap(), &Question::default(), &lines);
}

#[test]
fn a_file_that_is_cut_short_or_gone_makes_the_index_begin_anew() {
    let folder = Folder::new();
    let lines = paper::lines(&many_acts(200));
    folder.append(&lines);
    for spoil in [
        |path: &Path| std::fs::remove_file(path).unwrap(),
        |path: &Path| {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_len(file.metadata().unwrap().len() - 1).unwrap();
        },
    ] {
        let index = Index::open(&folder.index()).unwrap();
        index.rebuild(&reader(&folder), |_, _| {}).unwrap();
        drop(index);
        spoil(&sheets(&folder.index())[1]);
        let index = Index::open(&folder.index()).unwrap();
        assert_eq!((index.stories(), index.lag().seq), (0, 0));
        let follower = index.follow(reader(&folder)).unwrap();
        // What never closed is shown once it is open for long.
        let all = scan::stories(&lines).len() as u64;
        wait_until(|| index.lag().seq == lines.len() as u64 && index.stories() == all);
        drop(follower);
        check(&index, &Question::default(), &lines);
    }
}
